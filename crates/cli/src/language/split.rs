//! One line taken apart: the command, where its output goes, where its arguments come from.

use std::path::{Path, PathBuf};

use crate::CommandError;

/// Where a line sends its output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `| sh pipeline`
    Pipe(String),
    /// `> file` or `>> file`
    File { path: PathBuf, append: bool },
}

/// A line without its redirections.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The command and its arguments.
    pub(crate) command: String,
    /// What stands behind `< file` within parentheses: `rd (8 + < file)` leaves `)` here.
    pub(crate) after_input: String,
    /// `< file`: the command runs once for every line of it.
    pub(crate) input: Option<PathBuf>,
    /// Where the output goes.
    pub(crate) target: Option<Target>,
}

/// Finds `|`, `>`, `>>` and `<` outside of quotes and brackets. `->` and `>=` are no redirections.
pub(crate) fn split_line(text: &str) -> Result<Line, CommandError> {
    let mut line = Line {
        command: text.trim().to_owned(),
        after_input: String::new(),
        input: None,
        target: None,
    };
    let mut scan = Scan::default();
    let mut command_end = None;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let quoted = scan.step(c);
        let rest = &text[at + c.len_utf8()..];
        let previous = std::mem::replace(&mut before, c);
        if quoted {
            continue;
        }
        match c {
            '|' if scan.depth == 0 => {
                if rest.trim_start().starts_with("::") {
                    return Err(CommandError::usage(
                        "typed pipelines (| ::filter) are not built yet; use --json | jq",
                    ));
                }
                let pipeline = rest.trim();
                if pipeline.is_empty() {
                    return Err(CommandError::usage("nothing behind |"));
                }
                line.target = Some(Target::Pipe(pipeline.to_owned()));
            }
            '>' if scan.depth == 0 && previous != '-' && !rest.starts_with('=') => {
                let (append, rest) = rest.strip_prefix('>').map_or((false, rest), |r| (true, r));
                let path = one_file(rest, ">")?;
                line.target = Some(Target::File { path, append });
            }
            '<' if line.input.is_none() && previous != '<' && !rest.starts_with(['<', '=']) => {
                let word_end = rest.trim_start().find([' ', '|', '>', ')']);
                let start = rest.len() - rest.trim_start().len();
                let (name, tail) = rest.split_at(word_end.map_or(rest.len(), |end| start + end));
                let name = name.trim();
                // Within brackets it is "less than", unless there is such a file.
                if scan.depth > 0 && !Path::new(name).is_file() {
                    continue;
                }
                line.input = Some(one_file(name, "<")?);
                line.command = text[..at].trim().to_owned();
                let (after, target) = if scan.depth > 0 {
                    let close = tail.find(['|', '>']).unwrap_or(tail.len());
                    tail.split_at(close)
                } else {
                    ("", tail)
                };
                line.after_input = after.trim().to_owned();
                line.target = split_line(target)?.target;
                return Ok(line);
            }
            _ => continue,
        }
        if line.target.is_some() {
            command_end = Some(at);
            break;
        }
    }
    if let Some(end) = command_end {
        line.command = text[..end].trim().to_owned();
    }
    Ok(line)
}

fn one_file(text: &str, operator: &str) -> Result<PathBuf, CommandError> {
    match split_words(text)?.as_slice() {
        [path] => Ok(PathBuf::from(path)),
        [] => Err(CommandError::usage(format!("no file behind {operator}"))),
        _ => Err(CommandError::usage(format!("more than one file behind {operator}"))),
    }
}

/// Words as crash makes them: blanks separate; double quotes group and go away, single quotes
/// group and stay (they mark regular expressions); brackets group, for `(expressions)`.
pub(crate) fn split_words(text: &str) -> Result<Vec<String>, CommandError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut scan = Scan::default();
    for c in text.chars() {
        let was_quoted = scan.quote;
        let quoted = scan.step(c);
        match c {
            '"' if scan.quote == Some('"') || was_quoted == Some('"') => {
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !quoted && scan.depth == 0 => words.extend(word.take()),
            // A comment behind the command.
            '#' if !quoted && scan.depth == 0 && word.is_none() && !words.is_empty() => break,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match scan.quote {
        Some(quote) => Err(CommandError::usage(format!("missing closing {quote}"))),
        None => Ok(words),
    }
}

/// Quotes and brackets, followed over a line.
#[derive(Default)]
struct Scan {
    quote: Option<char>,
    depth: u32,
}

impl Scan {
    /// Takes the next character; true if it is within quotes, or is one.
    fn step(&mut self, c: char) -> bool {
        match (self.quote, c) {
            (Some(quote), c) => {
                if quote == c {
                    self.quote = None;
                }
                return true;
            }
            (None, '"' | '\'') => {
                self.quote = Some(c);
                return true;
            }
            (None, '(' | '[') => self.depth += 1,
            (None, ')' | ']') => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        split_words(text).unwrap()
    }

    fn pipe(text: &str) -> Option<Target> {
        Some(Target::Pipe(text.to_owned()))
    }

    #[test]
    fn words_group_in_quotes_and_brackets() {
        assert_eq!(words("rd (jiffies + 8) 4"), ["rd", "(jiffies + 8)", "4"]);
        assert_eq!(words("p ((struct page *)0x10)->flags"), ["p", "((struct page *)0x10)->flags"]);
        assert_eq!(words(r#"alias ksd "kmem -p | grep""#), ["alias", "ksd", "kmem -p | grep"]);
        assert_eq!(words("ps 'k w.*'"), ["ps", "'k w.*'"]);
        assert_eq!(words(r#"alias kp """#), ["alias", "kp", ""]);
        assert!(split_words("p \"abc").is_err());
    }

    #[test]
    fn pipes_and_files() {
        let line = split_line("log | grep -v 'a|b' | tail > x").unwrap();
        assert_eq!((line.command.as_str(), line.target), ("log", pipe("grep -v 'a|b' | tail > x")));
        let line = split_line("foreach bt > bt.all").unwrap();
        let file = Target::File { path: "bt.all".into(), append: false };
        assert_eq!((line.command.as_str(), line.target), ("foreach bt", Some(file)));
        let line = split_line("ps>>\"a b\"").unwrap();
        let file = Target::File { path: "a b".into(), append: true };
        assert_eq!((line.command.as_str(), line.target), ("ps", Some(file)));
    }

    #[test]
    fn what_is_no_redirection() {
        for text in [
            "p init_task.mm->pgd",
            "eval (1 | 2)",
            "p (a > b)",
            "p (1 << 2)",
            "p a >= b",
            "alias k \"kmem | grep\"",
            "p x[a|b]",
            "p (1 < 2)",
        ] {
            let line = split_line(text).unwrap();
            assert_eq!((line.command.as_str(), line.target, line.input), (text, None, None));
        }
    }

    #[test]
    fn arguments_from_a_file() {
        let line = split_line("ps -p < pids | tail").unwrap();
        assert_eq!(line.command, "ps -p");
        assert_eq!((line.input, line.target), (Some("pids".into()), pipe("tail")));
        let line = split_line("< commands").unwrap();
        assert_eq!((line.command.as_str(), line.input), ("", Some("commands".into())));
        let file = tempfile::NamedTempFile::new().unwrap();
        let name = file.path().display();
        let line = split_line(&format!("rd (8 + < {name}) 2 > out")).unwrap();
        assert_eq!((line.command.as_str(), line.after_input.as_str()), ("rd (8 +", ") 2"));
        assert_eq!(line.input.as_deref(), Some(file.path()));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, says) in [
            ("ps >", "no file behind >"),
            ("ps <", "no file behind <"),
            ("ps > a b", "more than one file"),
            ("ps |", "nothing behind |"),
            ("ps | ::filter pid", "typed pipelines"),
        ] {
            assert!(split_line(text).unwrap_err().to_string().contains(says), "{text}");
        }
    }
}
