//! What is typed by gdb's habit: `p/a x`, `print/x x`, `x/4gx address`.

use crate::{CommandError, parsed};

/// Whether a first word is a command of gdb with a format.
pub(super) fn is_formatted(word: &str) -> bool {
    let command = word.split_once('/').map(|(command, _)| command);
    matches!(command, Some("p" | "print" | "output" | "x" | "inspect")) || word == "print"
}

/// What `gdb COMMAND` asks for, if one of our commands answers it.
pub(super) fn passed(words: &[String]) -> Option<Vec<String>> {
    let (first, rest) = words.split_first()?;
    let ours: &[&str] = match first.split('/').next()? {
        "p" | "print" | "output" | "inspect" | "x" | "whatis" | "bt" | "frame" | "up" | "down" => {
            return Some(words.to_vec());
        }
        "ptype" => &["whatis"],
        "backtrace" | "where" => &["bt"],
        "disassemble" | "disas" => &["dis"],
        "list" => &["dis", "-s"],
        "info" => {
            let (what, rest) = rest.split_first()?;
            let asked = matches!(what.as_str(), "line" | "symbol" | "address");
            let sym = std::iter::once("sym".to_owned()).chain(rest.iter().cloned());
            return asked.then(|| sym.collect());
        }
        _ => return None,
    };
    Some(ours.iter().map(|word| (*word).to_owned()).chain(rest.iter().cloned()).collect())
}

/// The same in our words.
pub(super) fn translate(words: &[String]) -> Result<Vec<String>, CommandError> {
    let first = words.first().map_or("", String::as_str);
    let (command, format) = first.split_once('/').unwrap_or((first, ""));
    let rest = words.iter().skip(1).cloned();
    if command == "x" {
        return examine(format, rest.collect());
    }
    let chosen = match format {
        "" => Vec::new(),
        "x" => vec!["-x".to_owned()],
        "d" => vec!["-d".to_owned()],
        "a" | "c" | "s" | "t" | "o" | "u" | "z" => vec!["--format".to_owned(), format.to_owned()],
        _ => {
            return Err(CommandError::usage(format!(
                "/{format}: no format of a value: a address, c character, d decimal, o octal, \
                 s string, t binary, u unsigned, x hexadecimal"
            )));
        }
    };
    Ok(std::iter::once("p".to_owned()).chain(chosen).chain(rest).collect())
}

/// `x/COUNT FORMAT SIZE address` as rd or dis would have it.
fn examine(format: &str, address: Vec<String>) -> Result<Vec<String>, CommandError> {
    let letters = format.trim_start_matches(|c: char| c.is_ascii_digit());
    let count = &format[..format.len() - letters.len()];
    let count = if count.is_empty() { "1" } else { count };
    let (mut size, mut shown) = ("-64", Vec::new());
    for letter in letters.chars() {
        match letter {
            'b' => size = "-8",
            'h' => size = "-16",
            'w' => size = "-32",
            'g' => size = "-64",
            'x' | 'z' => {}
            'd' => shown.push("-d"),
            'u' => shown.push("-D"),
            'a' => shown.push("-s"),
            'c' => size = "-8",
            's' => return Ok(line(&["rd", "-a"], &address, None)),
            'i' => return Ok(line(&["dis"], &address, Some(count))),
            other => {
                return Err(CommandError::usage(format!(
                    "x/{format}: {other} is neither a size (b h w g) nor a format (x d u a c s i)"
                )));
            }
        }
    }
    let mut options = vec!["rd", size];
    options.extend(shown);
    Ok(line(&options, &address, Some(count)))
}

fn line(command: &[&str], address: &[String], count: Option<&str>) -> Vec<String> {
    let address = address.iter().map(|word| match parsed::is_plain(word) {
        true => word.clone(),
        // An expression of C.
        false => format!("({word})"),
    });
    let command = command.iter().map(|word| (*word).to_owned());
    command.chain(address).chain(count.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(text: &str) -> String {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        translate(&words).map_or_else(|error| error.to_string(), |words| words.join(" "))
    }

    #[test]
    fn what_is_passed_to_gdb_is_answered_where_it_can_be() {
        let passed = |text: &str| {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            passed(&words).map(|words| words.join(" "))
        };
        assert_eq!(passed("p/x jiffies").as_deref(), Some("p/x jiffies"));
        assert_eq!(passed("ptype struct page").as_deref(), Some("whatis struct page"));
        assert_eq!(passed("info symbol 1234").as_deref(), Some("sym 1234"));
        assert_eq!(passed("info registers"), None);
        assert_eq!(passed("thread apply all bt"), None);
    }

    #[test]
    fn habits_become_our_words() {
        assert!(is_formatted("p/a") && is_formatted("x/4gx") && is_formatted("print"));
        assert!(!is_formatted("p") && !is_formatted("ps/x"));
        assert_eq!(translated("p/a jiffies"), "p --format a jiffies");
        assert_eq!(translated("print/x jiffies"), "p -x jiffies");
        assert_eq!(translated("x/4gx linux_banner"), "rd -64 linux_banner 4");
        assert_eq!(translated("x/2wd ffffffff81000000"), "rd -32 -d ffffffff81000000 2");
        assert_eq!(translated("x/5i schedule"), "dis schedule 5");
        assert_eq!(translated("x/s linux_banner"), "rd -a linux_banner");
        assert!(translated("x/4q x").contains("neither"));
        assert!(translated("p/q x").contains("no format"));
    }
}
