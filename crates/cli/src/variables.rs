//! The variables of `set`, one entry each.

use std::path::PathBuf;

use crate::settings::{EditMode, ErrorTarget, Radix, Settings};

/// A variable that `set` shows and changes.
pub struct Variable {
    /// As typed.
    pub name: &'static str,
    /// Its value as `set` shows it.
    pub show: fn(&Settings) -> String,
    /// Takes a new value; the error says what it must be.
    pub change: fn(&mut Settings, &str) -> Result<(), &'static str>,
}

/// crash's variables that have nothing to act on here. Setting them is no error, because rc files
/// do it.
pub const NO_EFFECT: &[&str] = &[
    "refresh",
    "console",
    "debug",
    "core",
    "hash",
    "namelist",
    "null-stop",
    "gdb",
    "scope",
    "unwind",
    "redzone",
    "offline",
];

/// The variable called `name`.
pub fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

/// All of them, in crash's order.
pub static VARIABLES: &[Variable] = &[
    Variable {
        name: "scroll",
        show: |s| if s.scroll { "on".into() } else { "off (none)".into() },
        change: |s, value| switch(value).map(|on| s.scroll = on),
    },
    Variable {
        name: "radix",
        show: |s| match s.radix {
            Radix::Decimal => "10 (decimal)".into(),
            Radix::Hexadecimal => "16 (hexadecimal)".into(),
        },
        change: |s, value| {
            s.radix = match value {
                "10" | "dec" | "decimal" => Radix::Decimal,
                "16" | "0x10" | "hex" | "hexadecimal" => Radix::Hexadecimal,
                _ => return Err("10 or 16"),
            };
            Ok(())
        },
    },
    Variable {
        name: "print_max",
        show: |s| s.print_max.to_string(),
        change: |s, value| {
            s.print_max = value.parse().map_err(|_| "a decimal number of elements")?;
            Ok(())
        },
    },
    Variable {
        name: "print_array",
        show: |s| on_off(s.print_array),
        change: |s, value| switch(value).map(|on| s.print_array = on),
    },
    Variable {
        name: "silent",
        show: |s| on_off(s.silent),
        change: |s, value| switch(value).map(|on| s.silent = on),
    },
    Variable {
        name: "edit",
        show: |s| match s.edit {
            EditMode::Vi => "vi".into(),
            EditMode::Emacs => "emacs".into(),
        },
        change: |s, value| {
            s.edit = match value {
                "vi" => EditMode::Vi,
                "emacs" => EditMode::Emacs,
                _ => return Err("vi or emacs"),
            };
            Ok(())
        },
    },
    Variable {
        name: "zero_excluded",
        show: |s| on_off(s.zero_excluded),
        change: |s, value| switch(value).map(|on| s.zero_excluded = on),
    },
    Variable {
        name: "error",
        show: |s| match &s.error {
            ErrorTarget::Stderr => "default".into(),
            ErrorTarget::Output => "redirect".into(),
            ErrorTarget::File(path) => path.display().to_string(),
        },
        change: |s, value| {
            s.error = match value {
                "default" => ErrorTarget::Stderr,
                "redirect" => ErrorTarget::Output,
                file => ErrorTarget::File(PathBuf::from(file)),
            };
            Ok(())
        },
    },
];

fn on_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

fn switch(value: &str) -> Result<bool, &'static str> {
    match value {
        "on" | "1" => Ok(true),
        "off" | "0" => Ok(false),
        _ => Err("on or off"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_set() {
        let mut settings = Settings::default();
        for variable in VARIABLES {
            let shown = (variable.show)(&settings);
            let value = shown.split(' ').next().unwrap();
            assert_eq!((variable.change)(&mut settings, value), Ok(()), "{}", variable.name);
            assert_eq!((variable.show)(&settings), shown, "{}", variable.name);
        }
    }

    #[test]
    fn nothing_is_both_with_and_without_effect() {
        assert!(NO_EFFECT.iter().all(|name| find(name).is_none()));
    }
}
