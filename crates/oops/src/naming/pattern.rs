//! The vocabulary of the rules' patterns: short names for the pieces that
//! kernel text is made of, expanded before a pattern is compiled.

use regex::{Regex, RegexBuilder};

/// What the short names stand for.
const WORDS: &[(&str, &str)] = &[
    // the instruction pointer of the crash, as every architecture prints it;
    // the last alternatives match a pointer that has no symbol, so that the
    // search does not run on into a later dump
    (
        "@RIP",
        r"(?:(?:^|[^A-Za-z])(?:RIP|EIP|IP|NIP):? +(?:[0-9a-f]{4}:)?(?: *@PC){0,2} *\.?@FUNC|(?:EIP is at|PC is at|\bpc :|epc :|epc *: [0-9a-f]+|ERA: [0-9a-f]+) @FUNC|Krnl PSW : [0-9a-f]+ [0-9a-f]+ \(@FUNC|RIP: 00(?:10|18|60):(?:\[<)?(?:0x)?[0-9a-f]+|RIP: 00(?:10|18|60): +\(null\)|PC is at (?:0x[0-9a-f]+|\(null\))|\bpc : 0x[0-9a-f]+)",
    ),
    ("@PC", r"\[<?(?:0x)?[0-9a-f]+>?\]"),
    ("@FUNC", r"([a-zA-Z_$][a-zA-Z0-9_$]*)(?:\.|\+)"),
    ("@ADDR", r"(?:0x)?[0-9a-f]+"),
    ("@SRC", r"([a-zA-Z0-9-_/.]+\.[a-z]+:[0-9]+)"),
    ("@CT", r"(?:Call [Tt]race|Backtrace):?"),
];

/// Expand the short names.
pub(crate) fn expand(pattern: &str) -> String {
    let mut text = pattern.to_owned();
    for (word, meaning) in WORDS {
        if text.contains(word) {
            text = text.replace(word, meaning);
        }
    }
    text
}

/// Compile a pattern of the tables; `^` and `$` match at line ends.
///
/// The tables are constants and every pattern is compiled in a test, so a
/// pattern that does not compile cannot ship; should one all the same, it
/// matches nothing.
pub(crate) fn compile(pattern: &str) -> Regex {
    RegexBuilder::new(&expand(pattern))
        .multi_line(true)
        .size_limit(1 << 22)
        .build()
        .unwrap_or_else(|_| never())
}

/// Does a pattern compile?
#[cfg(test)]
pub(crate) fn check(pattern: &str) -> Result<(), regex::Error> {
    RegexBuilder::new(&expand(pattern)).multi_line(true).build().map(|_| ())
}

#[allow(clippy::unwrap_used, clippy::expect_used)]
fn never() -> Regex {
    // an empty class: no character is both a digit and not a digit
    Regex::new(r"[^\s\S]").expect("a constant pattern")
}
