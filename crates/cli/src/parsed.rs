//! A command's words, sorted into options and arguments.

use crate::{
    CommandError,
    command::{Arg, Command, Opt},
    render::Form,
};

/// What was typed after a command's name.
#[derive(Debug)]
pub struct Parsed {
    command: &'static Command,
    options: Vec<(Opt, Option<String>)>,
    /// Positional arguments. Text within single quotes keeps them, as in crash, where they mark
    /// a regular expression.
    pub args: Vec<String>,
    /// `--json` or `--csv` was among the options.
    pub form: Option<Form>,
    /// `--help` was among the options.
    pub help: bool,
}

impl Parsed {
    /// Sorts `words` by the options that `command` declares.
    ///
    /// # Errors
    /// An option it does not have, or one that lacks its value; an argument it does not take.
    pub fn new(
        command: &'static Command,
        words: impl IntoIterator<Item = String>,
    ) -> Result<Self, CommandError> {
        let mut parsed =
            Parsed { command, options: Vec::new(), args: Vec::new(), form: None, help: false };
        let expression = command.args.contains(&Arg::Expression);
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if !command.options.iter().any(|opt| opt.flag == word) {
                match word.as_str() {
                    "--json" | "--csv" => {
                        let form = if word == "--json" { Form::Json } else { Form::Csv };
                        parsed.form = Some(form);
                        continue;
                    }
                    "--help" => {
                        parsed.help = true;
                        continue;
                    }
                    "--" => {
                        parsed.args.extend(words);
                        break;
                    }
                    _ => {}
                }
            }
            if !looks_like_option(&word) {
                parsed.args.push(word);
                if command.args.first() == Some(&Arg::CommandLine) {
                    parsed.args.extend(words);
                    break;
                }
                continue;
            }
            match split_options(command.options, &word) {
                Ok(found) => {
                    for (opt, attached) in found {
                        let value = match (opt.value, attached) {
                            (None, _) => None,
                            (Some(name), value) if name.starts_with('=') => value,
                            (Some(_), Some(value)) => Some(value),
                            (Some(name), None) => Some(words.next().ok_or_else(|| {
                                parsed.wrong(format_args!("option {} needs {name}", opt.flag))
                            })?),
                        };
                        parsed.options.push((*opt, value));
                    }
                }
                // `-1`, `-(a+b)`: a number, unless the digits are an option's.
                Err(_) if starts_like_number(&word) => parsed.args.push(word),
                // `p a -b`
                Err(_) if expression && !parsed.args.is_empty() => parsed.args.push(word),
                Err(flag) => {
                    return Err(parsed.wrong(format_args!("unknown option {flag}")));
                }
            }
        }
        if command.args.is_empty()
            && let Some(arg) = parsed.args.first()
            && !parsed.help
        {
            return Err(parsed.wrong(format_args!("takes no arguments, but there is {arg:?}")));
        }
        Ok(parsed)
    }

    /// Whether `opt` was given.
    pub fn has(&self, opt: Opt) -> bool {
        self.options.iter().any(|(given, _)| given.flag == opt.flag)
    }

    /// The value of `opt`, the last one if there are several.
    pub fn value(&self, opt: Opt) -> Option<&str> {
        self.options.iter().rev().find(|(given, _)| given.flag == opt.flag)?.1.as_deref()
    }

    /// All values of `opt`, in order.
    pub fn values(&self, opt: Opt) -> impl Iterator<Item = &str> {
        let given = self.options.iter().filter(move |(given, _)| given.flag == opt.flag);
        given.filter_map(|(_, value)| value.as_deref())
    }

    /// The options in the order they were typed.
    pub fn options(&self) -> impl Iterator<Item = (Opt, Option<&str>)> {
        self.options.iter().map(|(opt, value)| (*opt, value.as_deref()))
    }

    /// The argument at `index`.
    pub fn arg(&self, index: usize) -> Option<&str> {
        self.args.get(index).map(String::as_str)
    }

    /// All arguments as one text: an expression typed with blanks.
    pub fn text(&self) -> String {
        self.args.join(" ")
    }

    /// The argument at `index`, which the command cannot do without.
    ///
    /// # Errors
    /// There is none; the error shows the command's usage.
    pub fn need(&self, index: usize, what: &str) -> Result<&str, CommandError> {
        self.arg(index).ok_or_else(|| self.wrong(format_args!("needs {what}")))
    }

    /// Of several options that exclude each other, the one that was given.
    ///
    /// # Errors
    /// Two of them were.
    pub fn one_of(&self, options: &[Opt]) -> Result<Option<Opt>, CommandError> {
        let mut given = options.iter().copied().filter(|opt| self.has(*opt));
        let first = given.next();
        match (first, given.next()) {
            (Some(Opt { flag: a, .. }), Some(Opt { flag: b, .. })) => {
                Err(self.wrong(format_args!("{a} and {b} exclude each other")))
            }
            _ => Ok(first),
        }
    }

    /// A usage error which shows how the command is used.
    pub fn wrong(&self, what: impl std::fmt::Display) -> CommandError {
        CommandError::Usage(format!("{what}; {}", self.command.usage()))
    }
}

/// Whether a word is a name or a number, and no expression.
pub(crate) fn is_plain(word: &str) -> bool {
    word.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// The text within crash's single quotes, which mark a regular expression.
pub fn quoted_pattern(arg: &str) -> Option<&str> {
    arg.strip_prefix('\'')?.strip_suffix('\'')
}

fn looks_like_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-')
}

fn starts_like_number(word: &str) -> bool {
    word[1..].starts_with(|c: char| c.is_ascii_digit() || c == '(')
}

/// The options that `word` is made of: one, or several with one dash, the longest that fits
/// first. The error is the part that is no option.
fn split_options(
    options: &'static [Opt],
    word: &str,
) -> Result<Vec<(&'static Opt, Option<String>)>, String> {
    if let Some(opt) = options.iter().find(|opt| opt.flag == word) {
        return Ok(vec![(opt, None)]);
    }
    if let Some((flag, value)) = word.split_once('=')
        && let Some(opt) = options.iter().find(|opt| opt.flag == flag && opt.value.is_some())
    {
        return Ok(vec![(opt, Some(value.to_owned()))]);
    }
    if word.starts_with("--") {
        return Err(word.to_owned());
    }
    let mut found = Vec::new();
    let mut rest = &word[1..];
    while !rest.is_empty() {
        let fits = options
            .iter()
            .filter(|opt| !opt.flag.starts_with("--"))
            .filter_map(|opt| Some((opt, rest.strip_prefix(&opt.flag[1..])?)))
            .max_by_key(|(opt, _)| opt.flag.len());
        let Some((opt, tail)) = fits else {
            return Err(format!("-{}", rest.chars().take(1).collect::<String>()));
        };
        let optional = opt.value.is_some_and(|name| name.starts_with('='));
        if opt.value.is_some() && !tail.is_empty() && (!optional || tail.starts_with('=')) {
            found.push((opt, Some(tail.strip_prefix('=').unwrap_or(tail).to_owned())));
            break;
        }
        found.push((opt, None));
        rest = tail;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    static PLAIN: Command = Command {
        names: &["plain"],
        summary: "",
        synopsis: "[options] [address [count]]",
        options: &[
            Opt::flag("-16", ""),
            Opt::flag("-F", ""),
            Opt::flag("-FF", ""),
            Opt::flag("-l", ""),
            Opt::value("-s", "start", ""),
            Opt::value("-S", "=cpus", ""),
            Opt::value("--touched", "file", ""),
        ],
        rows: &[],
        args: &[Arg::Number],
        description: "",
        examples: &[],
        run: |_, _, _| Ok(()),
    };
    static EXPRESSION: Command = Command {
        names: &["x"],
        options: &[Opt::flag("-d", "")],
        args: &[Arg::Expression],
        ..PLAIN
    };
    static LINE: Command =
        Command { names: &["each"], options: &[], args: &[Arg::CommandLine], ..PLAIN };

    /// What was given is told by its flag.
    fn opt(flag: &'static str) -> Opt {
        Opt::flag(flag, "")
    }

    fn parse(command: &'static Command, line: &str) -> Result<Parsed, CommandError> {
        Parsed::new(command, line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_of_several_letters_and_combined_ones() {
        let parsed = parse(&PLAIN, "-16 -FFl -S=0,2 -sff10 --touched=x 5").unwrap();
        assert!(
            parsed.has(opt("-16"))
                && parsed.has(opt("-FF"))
                && parsed.has(opt("-l"))
                && !parsed.has(opt("-F"))
        );
        assert_eq!(parsed.value(opt("-S")), Some("0,2"));
        assert_eq!(parsed.value(opt("-s")), Some("ff10"));
        assert_eq!(parsed.value(opt("--touched")), Some("x"));
        assert_eq!(parsed.args, ["5"]);
    }

    #[test]
    fn optional_values_need_an_equals_sign() {
        let parsed = parse(&PLAIN, "-S 0 -s -5").unwrap();
        assert!(parsed.has(opt("-S")) && parsed.value(opt("-S")).is_none());
        assert_eq!((parsed.value(opt("-s")), parsed.arg(0)), (Some("-5"), Some("0")));
    }

    #[test]
    fn options_may_follow_arguments() {
        let parsed = parse(&PLAIN, "ffff 4 -l").unwrap();
        assert!(parsed.has(opt("-l")));
        assert_eq!(parsed.args, ["ffff", "4"]);
    }

    #[test]
    fn negative_numbers_are_arguments_unless_an_option_has_the_digits() {
        assert_eq!(parse(&PLAIN, "-0x7f -7").unwrap().args, ["-0x7f", "-7"]);
        assert!(parse(&PLAIN, "-16").unwrap().has(opt("-16")));
        assert_eq!(parse(&EXPRESSION, "-d a -b").unwrap().args, ["a", "-b"]);
    }

    #[test]
    fn the_rest_of_the_line_may_be_another_command() {
        assert_eq!(parse(&LINE, "bt -t --json").unwrap().args, ["bt", "-t", "--json"]);
    }

    #[test]
    fn errors_name_the_option_and_the_usage() {
        let error = parse(&PLAIN, "-lZ").unwrap_err().to_string();
        assert_eq!(error, "unknown option -Z; usage: plain [options] [address [count]]");
        assert!(parse(&PLAIN, "-s").unwrap_err().to_string().starts_with("option -s needs start"));
        assert!(parse(&PLAIN, "--bogus").unwrap_err().to_string().contains("--bogus"));
        assert!(parse(&EXPRESSION, "-z").is_err());
    }

    #[test]
    fn patterns_keep_their_quotes() {
        assert_eq!(quoted_pattern("'k.*'"), Some("k.*"));
        assert_eq!(quoted_pattern("k.*"), None);
        assert_eq!(quoted_pattern("'"), None);
    }
}
