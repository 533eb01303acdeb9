//! Earlier lines by number or beginning: `r`, `!!`, `r 5`, `!5`, `r ps`.

use crate::CommandError;

/// The line of `history` that `line` asks for; `None` if it is a line of its own.
///
/// # Errors
/// There is no such line.
pub(super) fn recall(history: &[String], line: &str) -> Result<Option<String>, CommandError> {
    let which = match line {
        "r" | "!!" => "",
        _ => match (line.strip_prefix("r "), line.strip_prefix('!')) {
            (Some(which), _) => which.trim(),
            // Only digits: anything else behind ! is for the shell.
            (_, Some(number))
                if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) =>
            {
                number
            }
            _ => return Ok(None),
        },
    };
    let found = match which.parse::<usize>() {
        Ok(number) => number.checked_sub(1).and_then(|index| history.get(index)),
        Err(_) => history.iter().rev().find(|line| line.starts_with(which)),
    };
    match found {
        Some(line) => Ok(Some(line.clone())),
        None => Err(CommandError::usage(format!("no such line: {which}; \"h\" lists them"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_number_and_by_beginning() {
        let history = ["ps -k", "bt", "rd jiffies"].map(str::to_owned);
        let get = |line: &str| recall(&history, line).unwrap();
        assert_eq!(get("r").as_deref(), Some("rd jiffies"));
        assert_eq!(get("!!").as_deref(), Some("rd jiffies"));
        assert_eq!(get("r 1").as_deref(), Some("ps -k"));
        assert_eq!(get("!2").as_deref(), Some("bt"));
        assert_eq!(get("r ps").as_deref(), Some("ps -k"));
        assert_eq!(get("rd jiffies"), None);
        assert_eq!(get("!ls"), None);
        for missing in ["r 0", "r 4", "r xyz", "!99999999999999999999"] {
            assert!(recall(&history, missing).is_err(), "{missing}");
        }
        assert!(recall(&[], "r").is_err());
    }
}
