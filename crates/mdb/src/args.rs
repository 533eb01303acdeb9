//! A dcmd's arguments: options and words.

use crate::{Failure, Outcome, failure::fail};

/// An argument: what was typed, or the value of `$[…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// What was typed, or the value in hexadecimal.
    pub text: String,
    /// The value of `$[…]`.
    pub value: Option<u64>,
}

impl Arg {
    /// Its text.
    pub fn text(text: &str) -> Arg {
        Arg { text: text.to_owned(), value: None }
    }
}

/// Options taken off the arguments of a dcmd.
#[derive(Debug, Clone, Default)]
pub struct Options {
    letters: Vec<(char, Option<String>)>,
    /// What is left.
    pub rest: Vec<Arg>,
}

impl Options {
    /// Takes options off the front: single letters, several behind one dash; a letter that a
    /// colon follows in `known` takes a value, in the same word or the next one.
    ///
    /// # Errors
    /// An option that is not known, or a value that is missing.
    pub fn take(args: &[Arg], known: &str) -> Outcome<Options> {
        let mut options = Options::default();
        let mut args = args.iter();
        for arg in args.by_ref() {
            let is_option = arg.value.is_none() && arg.text.starts_with('-') && arg.text.len() > 1;
            if !is_option {
                options.rest.push(arg.clone());
                break;
            }
            if arg.text == "--" {
                break;
            }
            options.letters_of(&arg.text[1..], known)?;
        }
        options.rest.extend(args.cloned());
        options.join(known)
    }

    /// Options anywhere among the arguments, as some dcmds are typed.
    ///
    /// # Errors
    /// As [`Options::take`].
    pub fn take_anywhere(args: &[Arg], known: &str) -> Outcome<Options> {
        let mut options = Options::default();
        let mut left = args.iter();
        while let Some(arg) = left.next() {
            if arg.value.is_none() && arg.text.starts_with('-') && arg.text.len() > 1 {
                options.letters_of(&arg.text[1..], known)?;
                if let Some((_, value)) = options.letters.last_mut()
                    && value.as_deref() == Some("")
                {
                    let next = left.next().ok_or_else(missing)?;
                    *value = Some(next.text.clone());
                }
            } else {
                options.rest.push(arg.clone());
            }
        }
        Ok(options)
    }

    fn letters_of(&mut self, word: &str, known: &str) -> Outcome {
        let chars = word.char_indices();
        for (at, letter) in chars {
            let Some(place) = known.find(letter).filter(|_| letter != ':') else {
                return fail(format!("illegal option -- {letter}"));
            };
            if known[place + letter.len_utf8()..].starts_with(':') {
                let value = &word[at + letter.len_utf8()..];
                self.letters.push((letter, Some(value.to_owned())));
                return Ok(());
            }
            self.letters.push((letter, None));
        }
        Ok(())
    }

    /// Values that stand in words of their own, and the options behind those.
    fn join(mut self, known: &str) -> Outcome<Options> {
        let wants = self.letters.last().is_some_and(|(_, value)| value.as_deref() == Some(""));
        if wants {
            if self.rest.is_empty() {
                return Err(missing());
            }
            let value = self.rest.remove(0);
            if let Some(last) = self.letters.last_mut() {
                last.1 = Some(value.text);
            }
            let more = Options::take(&self.rest, known)?;
            self.letters.extend(more.letters);
            self.rest = more.rest;
        }
        Ok(self)
    }

    /// Whether the option was given.
    pub fn has(&self, letter: char) -> bool {
        self.letters.iter().any(|&(found, _)| found == letter)
    }

    /// The option's value, the last one that was given.
    pub fn get(&self, letter: char) -> Option<&str> {
        self.letters.iter().rev().find(|(found, _)| *found == letter)?.1.as_deref()
    }
}

fn missing() -> Failure {
    Failure::Text("option requires an argument".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_as_they_are_typed() {
        let args: Vec<Arg> = ["-va", "-c", "cv_wait", "-mzfs", "x", "-y"].map(Arg::text).into();
        let options = Options::take(&args, "vac:m:").unwrap();
        assert!(options.has('v') && options.has('a'));
        assert_eq!(options.get('c'), Some("cv_wait"));
        assert_eq!(options.get('m'), Some("zfs"));
        assert_eq!(options.rest.len(), 2);
        assert!(Options::take(&args, "va").is_err());
        assert!(Options::take(&[Arg::text("-c")], "c:").is_err());
    }
}
