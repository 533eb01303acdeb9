//! Repairing text that was read from a picture: the characters that optical
//! recognition takes for each other (0/O 1/l 8/B 5/S f/t :/;) are put right
//! only where the grammar or the vocabulary says what must stand there.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::printk;

/// Words of report texts, replaced as whole words.
static REPORT_WORDS: LazyLock<Vocabulary> =
    LazyLock::new(|| Vocabulary::of(include_str!("report_words.txt")));

/// Words that names of kernel functions are made of.
static SYMBOL_WORDS: LazyLock<Vocabulary> =
    LazyLock::new(|| Vocabulary::of(include_str!("symbol_words.txt")));

/// Names of one text that are kept in mind.
const MAX_NAMES: usize = 65_536;

/// Of how many rows one must show damage, for the capture to be read so.
const ROWS_A_DAMAGE: usize = 100;

/// A character's class of confusion.
fn fold(c: char) -> char {
    match c {
        'O' => '0',
        'l' => '1',
        'B' => '8',
        'S' => '5',
        't' => 'f',
        ';' => ':',
        c => c,
    }
}

fn folded(word: &str) -> String {
    word.chars().map(fold).collect()
}

/// Known words, found by what they may have been taken for.
struct Vocabulary {
    words: HashSet<&'static str>,
    /// None where two known words look alike.
    by_fold: HashMap<String, Option<&'static str>>,
}

impl Vocabulary {
    fn of(text: &'static str) -> Self {
        let words: HashSet<&str> = text.split_whitespace().collect();
        let mut by_fold = HashMap::new();
        for word in &words {
            by_fold.entry(folded(word)).and_modify(|known| *known = None).or_insert(Some(*word));
        }
        Vocabulary { words, by_fold }
    }

    /// The only known word that this can be, if it is not one itself.
    fn repair(&self, word: &str) -> Option<&'static str> {
        if self.words.contains(word) {
            return None;
        }
        (*self.by_fold.get(&folded(word))?).filter(|known| *known != word)
    }
}

/// Digits where only digits can stand; None if something else is there.
fn digits(text: &str) -> Option<String> {
    text.chars()
        .map(|c| match c {
            '0'..='9' | '.' | ' ' => Some(c),
            'O' | 'l' | 'B' | 'S' => Some(fold(c)),
            _ => None,
        })
        .collect()
}

/// Hexadecimal digits, as the kernel prints them, in lower case.
fn hex(text: &str) -> Option<String> {
    text.chars()
        .map(|c| match c {
            '0'..='9' | 'a'..='f' => Some(c),
            'O' | 'l' | 'B' | 'S' => Some(fold(c)),
            't' => Some('f'),
            'o' => Some('0'),
            _ => None,
        })
        .collect()
}

/// A row whose time and caller were misread, with both put right.
pub(super) fn mend_prefix(row: &str) -> Option<String> {
    let head = &row.as_bytes()[..row.len().min(48)];
    if !head.iter().any(|b| matches!(b, b'O' | b'l' | b'B' | b'S')) {
        return None;
    }
    let level = printk::priority(row).map_or(0, |(_, n)| n);
    let open = level + row[level..].len() - row[level..].trim_start().len();
    let inner = row[open..].strip_prefix('[')?;
    let end = inner.find(']').filter(|&at| at <= 24)?;
    let time = format!("[{}]", digits(&inner[..end])?);
    printk::plain_stamp(&time)?;
    let mut rest = &inner[end + 1..];
    let mut caller = String::new();
    if let Some(who) = rest.strip_prefix('[')
        && let Some(end) = who.find(']').filter(|&at| at <= 16)
        && let Some(number) = who[..end].trim_start().strip_prefix(['T', 'C']).and_then(digits)
        && printk::all_digits(&number)
    {
        let head = &who[..end - number.len()];
        caller = format!("[{head}{number}]");
        rest = &who[end + 1..];
    }
    let mended = format!("{}{time}{caller}{rest}", &row[..open]);
    (mended != row).then_some(mended)
}

/// Gathers what a sample tells about misread characters.
#[derive(Debug, Default)]
pub(super) struct Signs {
    rows: usize,
    damaged: usize,
    /// Names by their fold: each spelling and how often it occurs.
    names: HashMap<String, HashMap<String, usize>>,
}

impl Signs {
    /// Counts a row.
    pub(super) fn count(&mut self, row: &str) {
        self.rows += 1;
        self.damaged += usize::from(is_damaged(row));
    }

    /// Keeps the names of a row in mind. Called for captures that are damaged.
    pub(super) fn learn_names(&mut self, row: &str) {
        for word in words(row).filter(|(_, word)| word.len() > 3) {
            if self.names.len() < MAX_NAMES {
                *self
                    .names
                    .entry(folded(word.1))
                    .or_default()
                    .entry(word.1.to_owned())
                    .or_default() += 1;
            }
        }
    }

    /// Was the sample read from a picture?
    pub(super) fn verdict(&self) -> bool {
        self.damaged > 0 && self.damaged * ROWS_A_DAMAGE >= self.rows
    }

    /// What has been learned, for mending.
    pub(super) fn mender(self) -> Mender {
        let names = self
            .names
            .into_iter()
            .filter_map(|(fold, spellings)| {
                let rank = |(word, n): &(String, usize)| (*n, known_parts(word), word.clone());
                let (best, count) = spellings.into_iter().max_by_key(rank)?;
                Some((fold, Name { spelling: best, sure: count > 1 }))
            })
            .collect();
        Mender { names }
    }
}

/// A name as the capture spells it most often.
#[derive(Clone, Debug)]
struct Name {
    spelling: String,
    /// Spelled so more than once: not to be touched.
    sure: bool,
}

/// Is there something in the row that only misreading explains?
fn is_damaged(row: &str) -> bool {
    if mend_prefix(row).is_some() {
        return true;
    }
    let bytes = row.as_bytes();
    // `+Ox1b`, `/Ox20`, and `+0x1S/0x2O`
    if let Some(at) = row.find("+0x").or_else(|| row.find("+Ox")) {
        let name_before =
            at > 1 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let tail = row[at + 1..].split(' ').next().unwrap_or_default();
        if name_before && let Some((offset, size)) = tail.split_once('/') {
            let number = |text: &str| {
                let text = text.trim_end_matches([':', ')', ',']);
                text.get(2..)
                    .filter(|t| !t.is_empty() && t.len() <= 8)
                    .is_some_and(|t| hex(t).is_some_and(|h| h != t))
                    || text.starts_with("Ox")
            };
            return number(offset) || number(size);
        }
    }
    // `[<ffffffff81O44c6b>]`
    if let Some(at) = row.find("[<")
        && let Some(end) = row[at + 2..].find(">]").filter(|&n| n == 16 || n == 8)
    {
        let address = &row[at + 2..at + 2 + end];
        return hex(address).is_some_and(|h| h != address);
    }
    // Register values, and the bytes of the code.
    let misread = |word: &str| hex(word).is_some_and(|h| h != word);
    let address = |word: &str| {
        word.len() == 16 && word.bytes().filter(u8::is_ascii_digit).count() >= 4 && misread(word)
    };
    let bytes = row.split_once("Code: ").map_or("", |(_, bytes)| bytes);
    row.split(' ').any(address) || (is_code(bytes) && bytes.split(' ').any(misread))
}

/// Are these the bytes of code, most of them read right? Prose such as
/// `Unable to access opcode bytes at RIP` is not.
fn is_code(bytes: &str) -> bool {
    let words = || bytes.split_whitespace().map(|word| word.trim_matches(['<', '>']));
    let sound = words().filter(|word| hex(word).is_some_and(|h| h == *word)).count();
    let all = words().count();
    all >= 8 && sound * 4 >= all * 3 && words().all(|word| word.len() == 2 && hex(word).is_some())
}

/// Words of letters, digits and `_`, each with its place.
fn words(row: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + row[at..].find(is_word)?;
        let end = row[start..].find(|c| !is_word(c)).map_or(row.len(), |n| start + n);
        at = end;
        Some((start, &row[start..end]))
    })
}

/// Parts of a name that are words of the vocabulary.
fn known_parts(name: &str) -> usize {
    name.split('_').filter(|part| SYMBOL_WORDS.words.contains(part)).count()
}

/// Mends the rows of one capture.
#[derive(Clone, Debug, Default)]
pub(super) struct Mender {
    /// The best spelling of the capture's names, by fold.
    names: HashMap<String, Name>,
}

impl Mender {
    /// A message with all put right that must have been something else.
    pub(super) fn mend(&self, text: &str) -> String {
        let text = text.replace(';', ":");
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (at, word) in words(&text) {
            if at < done {
                continue;
            }
            let (length, mended) = self.mend_word(&text, at, word);
            out.push_str(&text[done..at]);
            out.push_str(&mended);
            done = at + length;
        }
        out.push_str(&text[done..]);
        out
    }

    /// What the word at `at` stands for, and the bytes that it replaces.
    fn mend_word(&self, text: &str, at: usize, word: &str) -> (usize, String) {
        let after = &text[at + word.len()..];
        let before = &text[..at];
        // Words with hyphens are known as a whole.
        let hyphenated: usize = word.len()
            + after.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'-').count();
        if after.starts_with('-')
            && let Some(known) =
                REPORT_WORDS.repair(text[at..at + hyphenated].trim_end_matches('-'))
        {
            return (known.len(), known.to_owned());
        }
        if let Some(number) = number_here(before, word, after) {
            return (word.len(), number);
        }
        (word.len(), self.mend_name(word))
    }

    fn mend_name(&self, word: &str) -> String {
        if let Some(known) = REPORT_WORDS.repair(word) {
            return known.to_owned();
        }
        if REPORT_WORDS.words.contains(word) {
            return word.to_owned();
        }
        let name = self.names.get(&folded(word));
        if let Some(name) = name.filter(|name| name.sure) {
            return name.spelling.clone();
        }
        let word = name.map_or(word, |name| &name.spelling);
        word.split('_').map(mend_part).collect::<Vec<_>>().join("_")
    }
}

/// A part of a name as the vocabulary has it. Short words are alike too often
/// to be believed, but for those with a digit.
fn mend_part(part: &str) -> String {
    let known = SYMBOL_WORDS
        .repair(part)
        .filter(|known| known.len() > 3 || known.bytes().any(|b| b.is_ascii_digit()));
    known.map_or_else(|| by_neighbours(part), str::to_owned)
}

/// A part of a name with letters among digits and digits among letters put
/// right: names of the kernel are in lower case, and have their digits at ends.
fn by_neighbours(part: &str) -> String {
    if SYMBOL_WORDS.words.contains(part) || !part.bytes().any(|b| b.is_ascii_lowercase()) {
        return part.to_owned();
    }
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let is_lower = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase());
    let mut out = String::with_capacity(part.len());
    let mut rest = part.chars().peekable();
    while let Some(c) = rest.next() {
        let (before, after) = (out.chars().next_back(), rest.peek().copied());
        out.push(match c {
            '1' if is_lower(before) && is_lower(after) => 'l',
            'l' if is_digit(before) && is_digit(after) => '1',
            'O' | 'S' | 'B' if is_digit(before) || is_digit(after) => fold(c),
            c => c,
        });
    }
    out
}

/// A number, where the place says that one must stand here.
fn number_here(before: &str, word: &str, after: &str) -> Option<String> {
    let has_digit = word.bytes().any(|b| b.is_ascii_digit());
    // `0x…`, `Ox…`
    if let Some(body) = word.strip_prefix("0x").or_else(|| word.strip_prefix("Ox"))
        && let Some(value) = hex(body)
    {
        return Some(format!("0x{value}"));
    }
    let last = before.trim_end().rsplit([' ', '[', '(', '\t']).next().unwrap_or_default();
    let closed = before.ends_with([' ', '<', '[', ':', '#', '(']) || before.is_empty();
    let labelled = matches!(
        last,
        "CPU:" | "PID:" | "UID:" | "PID" | "size" | "Pid:" | "than" | "task" | "pid:" | "pid"
    ) || before.ends_with('#');
    if labelled && let Some(value) = digits(word) {
        return Some(value);
    }
    // `file.c:97l`, `0010:`
    let line_number = before.ends_with(".c:") || before.ends_with(".h:") || before.ends_with(".S:");
    if (line_number || (after.starts_with(':') && word.len() == 4 && has_digit))
        && let Some(value) = digits(word)
    {
        return Some(value);
    }
    if !closed {
        return None;
    }
    let value = hex(word)?;
    let address = matches!(value.len(), 8 | 16) && has_digit;
    let code_byte = value.len() == 2 && (before.starts_with("Code") || byte_follows(before, after));
    (address || code_byte).then_some(value)
}

/// Is a word of two characters one of a row of bytes?
fn byte_follows(before: &str, after: &str) -> bool {
    let is_byte = |word: &str| {
        let word = word.trim_matches(['<', '>', '(', ')']);
        word.len() == 2 && hex(word).is_some()
    };
    let next = after.split_whitespace().next().is_some_and(is_byte);
    let previous = before.split_whitespace().next_back().is_some_and(is_byte);
    let first = before.trim().is_empty();
    let last = after.trim().is_empty();
    match (previous, next) {
        (true, true) => true,
        (false, true) => first,
        (true, false) => last,
        (false, false) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mend(rows: &[&str]) -> Vec<String> {
        let mut signs = Signs::default();
        rows.iter().for_each(|row| signs.learn_names(row));
        let mender = signs.mender();
        rows.iter().map(|row| mender.mend(row)).collect()
    }

    #[test]
    fn prefixes() {
        assert_eq!(
            mend_prefix("[  5O1.8B3925][ T9I86] x").as_deref(),
            Some("[  501.883925][ T9I86] x")
        );
        assert_eq!(
            mend_prefix("[   55.4688S4][ T9l86] BUG").as_deref(),
            Some("[   55.468854][ T9186] BUG")
        );
        assert_eq!(mend_prefix("[   55.468844][ T9186] BUG"), None);
        assert_eq!(mend_prefix("[<ffffffff81844c6b>] x"), None);
        assert_eq!(mend_prefix(""), None);
    }

    #[test]
    fn keywords_and_numbers() {
        assert_eq!(
            mend(&[
                "8UG; KASAN; use-atter-tree in consume_skb+Ox39f/0xS30 af addr tfff8801cbeda574",
                "CPU: O PID: 46S5 Comm: x Nof tainted",
                "WARNING; CPU: l PID: 3O8l at mm/slab_common.c:97l kmalloc_slab+0x5d/0x70",
                "Code: 4l 54 5S 0t 0B <Of> 0b",
                " [<ffffffff8lB44c6b>] pipe_lock+0x5b/0x70",
                "Cal1 Trace;",
                " entry_5YSCALL_64_affer_hwframe+0x49/0xbe",
            ]),
            [
                "BUG: KASAN: use-after-free in consume_skb+0x39f/0x530 at addr ffff8801cbeda574",
                "CPU: 0 PID: 4655 Comm: x Not tainted",
                "WARNING: CPU: 1 PID: 3081 at mm/slab_common.c:971 kmalloc_slab+0x5d/0x70",
                "Code: 41 54 55 0f 08 <0f> 0b",
                " [<ffffffff81844c6b>] pipe_lock+0x5b/0x70",
                "Call Trace:",
                " entry_SYSCALL_64_after_hwframe+0x49/0xbe",
            ]
        );
    }

    #[test]
    fn a_name_is_spelled_as_most_often() {
        let rows = [
            " vcs_wrife_it+0x1/0x2",
            " vcs_write_it+0x1/0x2",
            " vcs_write_it+0x1/0x2",
            " qtop_x",
            " qfop_x",
            " qfop_x",
        ];
        assert_eq!(mend(&rows)[0], " vcs_write_it+0x1/0x2");
        assert_eq!(mend(&rows)[3], " qfop_x");
    }

    #[test]
    fn neighbours_decide() {
        assert_eq!(by_neighbours("ca1l32"), "call32");
        assert_eq!(by_neighbours("xB6"), "x86");
        assert_eq!(by_neighbours("sha5l2"), "sha512");
        assert_eq!(by_neighbours("el1"), "el1");
    }

    #[test]
    fn sound_text_shows_no_damage() {
        for row in [
            "[   55.468844][ T9186] BUG: KASAN: use-after-free in f+0x302a/0x3b50",
            " [<ffffffff81844c6b>] pipe_lock+0x5b/0x70",
            "echo 0 > /proc/sys/kernel/hung_task_timeout_secs",
            "a+0xlong/path",
            "Code: Unable to access opcode bytes at RIP 0x7f2a5c3a9e4d.",
            "Code: Bad RIP value.",
            "Code: 8B 45 FC 8B 00 89 04 24 E8 1B",
        ] {
            assert!(!is_damaged(row), "{row}");
        }
        assert!(is_damaged(" f+Ox1/0x2"));
        assert!(is_damaged(" f+0x1/0xS2"));
    }
}
