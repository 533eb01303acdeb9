//! crash's own command line, for a program that is called by the name `crash`.
//!
//! Words come in any order. What crash has and we have no use for is accepted where ignoring it
//! does no harm, and refused where the user would wait for an effect.

use std::{ffi::OsString, path::PathBuf};

use crate::{
    args::{Invocation, SessionArgs},
    numbers::parse_hex,
    opening::Request,
};

/// What one of crash's options means here.
enum Means {
    /// No effect here; the number of values that follow it.
    Ignored(usize),
    /// Has an effect, and takes no value.
    Switch(fn(&mut Read)),
    /// Has an effect, and takes a value; the error says what is wrong with it.
    Value(fn(&mut Read, &str) -> Result<(), String>),
    /// Refused; says what to do.
    Refused(&'static str),
}

use Means::{Ignored, Refused, Switch, Value};

const NOT_HERE: &str = "is not supported";

/// crash's options.
const OPTIONS: &[(&str, Means)] = &[
    ("-s", Switch(|read| read.session.silent = true)),
    (
        "-i",
        Value(|read, file| {
            read.session.input.push(file.into());
            Ok(())
        }),
    ),
    ("--no_crashrc", Switch(|read| read.session.no_rc = true)),
    ("--no_scroll", Switch(|read| read.session.no_scroll = true)),
    ("--hex", Switch(|read| read.setup("set radix 16"))),
    ("--dec", Switch(|read| read.setup("set radix 10"))),
    (
        "-e",
        Value(|read, mode| {
            read.setup(&format!("set edit {mode}"));
            Ok(())
        }),
    ),
    (
        "--offline",
        Value(|read, show| {
            read.setup(&format!("set offline {show}"));
            Ok(())
        }),
    ),
    (
        "--zero_excluded",
        Switch(|read| {
            read.request.zero_excluded = true;
            read.setup("set zero_excluded on");
        }),
    ),
    (
        "--kaslr",
        Value(|read, offset| match offset {
            "auto" | "off" => Ok(()),
            offset => number(offset).map(|offset| read.request.kaslr = Some(offset)),
        }),
    ),
    ("-m", Value(machine_option)),
    (
        "--log",
        Value(|read, file| {
            read.only(file, "log");
            Ok(())
        }),
    ),
    (
        "--osrelease",
        Value(|read, file| {
            read.vmcoreinfo(file, "OSRELEASE");
            Ok(())
        }),
    ),
    (
        "--build-id",
        Value(|read, file| {
            read.vmcoreinfo(file, "BUILD-ID");
            Ok(())
        }),
    ),
    ("--version", Switch(|read| read.version = true)),
    ("-v", Switch(|read| read.version = true)),
    ("-S", Ignored(0)),
    ("-f", Ignored(0)),
    ("-L", Ignored(0)),
    ("--active", Ignored(0)),
    ("--minimal", Ignored(0)),
    ("--no_modules", Ignored(0)),
    ("--no_kallsyms", Ignored(0)),
    ("--no_ikconfig", Ignored(0)),
    ("--no_data_debug", Ignored(0)),
    ("--no_kmem_cache", Ignored(0)),
    ("--kmem_cache_delay", Ignored(0)),
    ("--no_elf_notes", Ignored(0)),
    ("--no_panic", Ignored(0)),
    ("--no_strip", Ignored(0)),
    ("--readnow", Ignored(0)),
    ("--smp", Ignored(0)),
    ("-d", Ignored(1)),
    ("-p", Ignored(1)),
    ("-c", Ignored(1)),
    ("--cpus", Ignored(1)),
    ("--hash", Ignored(1)),
    ("--max-malloc-bufs", Ignored(1)),
    (
        "--mod",
        Value(|read, folder| {
            read.request.symbols.push(folder.into());
            Ok(())
        }),
    ),
    (
        "--src",
        Value(|read, folder| {
            read.request.source.push(folder.into());
            Ok(())
        }),
    ),
    ("--reloc", Refused("is for relocated 32-bit kernels; give --kaslr OFFSET")),
    ("--memory_module", Refused("is for live systems")),
    ("--memory_device", Refused("is for live systems")),
    ("--hyper", Refused(NOT_HERE)),
    ("--p2m_mfn", Refused(NOT_HERE)),
    ("--xen_phys_start", Refused(NOT_HERE)),
    ("--kvmhost", Refused(NOT_HERE)),
    ("--kvmio", Refused(NOT_HERE)),
    ("-k", Refused(NOT_HERE)),
    ("-x", Refused("loads extensions; what they do is built in or missing")),
    ("-o", Refused("writes a dump; use necropsy convert")),
    ("-t", Refused("is \"sys\" at the prompt")),
    ("-g", Refused("is \"mod\" at the prompt")),
];

/// What has been read so far.
#[derive(Default)]
struct Read {
    request: Request,
    session: SessionArgs,
    version: bool,
    vmcoreinfo: Option<&'static str>,
}

impl Read {
    /// A line to run before the session's first, rc files included in what it overrides.
    fn setup(&mut self, line: &str) {
        self.session.setup.push(line.to_owned());
    }
    fn only(&mut self, file: &str, command: &str) {
        self.request.files.push(file.into());
        self.session.exec.push(command.to_owned());
        self.session.silent = true;
    }
    fn vmcoreinfo(&mut self, file: &str, key: &'static str) {
        self.request.files.push(file.into());
        self.vmcoreinfo = Some(key);
    }
}

fn number(text: &str) -> Result<u64, String> {
    parse_hex(text).ok_or_else(|| format!("{text} is not a hexadecimal number"))
}

/// `-m name=value`
fn machine_option(read: &mut Read, text: &str) -> Result<(), String> {
    match text.split_once('=') {
        Some(("phys_base", value)) => read.request.phys_base = Some(number(value)?),
        // Found in the dump.
        Some(("vm" | "max_physmem_bits" | "kernel_image_size" | "irq_eframe_link", _)) => {}
        _ => return Err(format!("{text} is not known; there is phys_base=ADDRESS")),
    }
    Ok(())
}

/// Reads crash's arguments, the program's name not among them.
///
/// # Errors
/// One line that says what is wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, String> {
    let mut read = Read::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let text = match arg.to_str() {
            Some(text) if text.len() > 1 && text.starts_with('-') => text,
            _ => {
                read.request.files.push(PathBuf::from(arg));
                continue;
            }
        };
        let (flag, attached) = match text.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (text, None),
        };
        let Some((_, means)) = OPTIONS.iter().find(|(name, _)| *name == flag) else {
            return Err(format!("unknown option {flag}; run necropsy --help for what there is"));
        };
        let mut value = || match attached.clone() {
            Some(value) => Ok(value),
            None => args
                .next()
                .and_then(|value| value.into_string().ok())
                .ok_or_else(|| format!("option {flag} needs a value")),
        };
        match means {
            Ignored(0) => {}
            Ignored(_) => drop(value()?),
            Switch(apply) => apply(&mut read),
            Value(apply) => {
                let value = value()?;
                apply(&mut read, &value).map_err(|why| format!("option {flag}: {why}"))?;
            }
            Refused(why) => return Err(format!("option {flag} {why}")),
        }
    }
    if read.version {
        return Ok(Invocation::Version);
    }
    if read.request.files.is_empty() {
        return Err("no dump given (live systems are not supported); name a dump file".to_owned());
    }
    Ok(match read.vmcoreinfo {
        Some(key) => Invocation::VmCoreInfo(read.request, key),
        None => Invocation::Session(read.request, read.session),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Invocation, String> {
        parse(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn files_and_options_in_any_order() {
        let line = "vmlinux -s --hash 32 vmcore --no_crashrc -i cmds --kaslr=1f000000 --hex";
        let Ok(Invocation::Session(request, session)) = read(line) else { panic!("no session") };
        assert_eq!(request.files, [PathBuf::from("vmlinux"), PathBuf::from("vmcore")]);
        assert_eq!(request.kaslr, Some(0x1f00_0000));
        assert!(session.silent && session.no_rc);
        assert_eq!((session.input.len(), session.setup), (1, vec!["set radix 16".to_owned()]));
    }

    #[test]
    fn folders_of_modules_and_of_the_source() {
        let line = "vmlinux vmcore --mod /lib/modules/x --src=/usr/src/linux";
        let Ok(Invocation::Session(request, _)) = read(line) else { panic!("no session") };
        assert_eq!(request.symbols, [PathBuf::from("/lib/modules/x")]);
        assert_eq!(request.source, [PathBuf::from("/usr/src/linux")]);
        assert_eq!(request.files.len(), 2);
    }

    #[test]
    fn questions_that_end_at_once() {
        assert!(matches!(read("--osrelease v"), Ok(Invocation::VmCoreInfo(_, "OSRELEASE"))));
        assert!(matches!(read("--version"), Ok(Invocation::Version)));
        let Ok(Invocation::Session(_, session)) = read("--log vmcore") else { panic!() };
        assert_eq!(session.exec, ["log"]);
    }

    #[test]
    fn what_is_refused_says_why() {
        for (line, says) in [
            ("", "no dump given"),
            ("vmcore --bogus", "unknown option --bogus"),
            ("vmcore -i", "needs a value"),
            ("vmcore --kaslr x", "not a hexadecimal"),
            ("vmcore -m foo=1", "phys_base"),
            ("vmcore --memory_module x", "live systems"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(says), "{line}: {error}");
        }
    }

    #[test]
    fn options_are_listed_once() {
        for (index, (name, _)) in OPTIONS.iter().enumerate() {
            assert!(OPTIONS[..index].iter().all(|(other, _)| other != name), "{name}");
        }
    }
}
