//! Source lines for the frames of a report, where somebody has the symbols.

use crate::report::{Frame, Report};

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Function, inlined or not.
    pub function: String,
    /// Source file.
    pub file: Option<String>,
    /// Line in it, from 1.
    pub line: Option<u32>,
}

/// A frame, as the text names it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Function, with what the compiler appended to its name.
    pub function: &'a str,
    /// Offset in it, in bytes. Already taken back by one in a return address.
    pub offset: u64,
    /// Its size, in bytes: tells functions of one name apart.
    pub size: Option<u64>,
    /// Module; none for the kernel itself.
    pub module: Option<&'a str>,
    /// Build id of the module or the kernel, in hexadecimal.
    pub build_id: Option<&'a str>,
}

/// Who has symbols.
pub trait Symbolizer {
    /// The place's source, innermost inlined function first; empty if unknown.
    fn locate(&self, place: Place<'_>) -> Vec<Location>;

    /// Where the kernel was linked to have the place; modules have none.
    fn address(&self, place: Place<'_>) -> Option<u64>;

    /// The kernel's symbol at an address as linked, with the offset in it.
    fn name(&self, address: u64) -> Option<String>;
}

impl Report {
    /// Give the trace its source lines and inlined frames.
    ///
    /// What ran or trapped is exact; all others are return addresses, and the
    /// call lies one byte before.
    ///
    /// Values in registers get the names of what they point to, where the text
    /// tells how far the kernel was moved from where it was linked.
    pub fn symbolize(&mut self, symbols: &dyn Symbolizer) {
        if let Some(moved) = self.moved(symbols) {
            for register in &mut self.registers {
                let Some(name) = symbols.name(register.value.wrapping_sub(moved)) else { continue };
                let separator = if register.meaning.is_empty() { "" } else { ": " };
                register.meaning = format!("{}{separator}{name}", register.meaning);
            }
        }
        let mut trace = Vec::with_capacity(self.trace.len());
        for frame in self.trace.drain(..) {
            let Some(offset) = frame.offset.filter(|_| !frame.inlined) else {
                trace.push(frame);
                continue;
            };
            let back = u64::from(!frame.exact);
            let found = symbols.locate(place(&frame, offset.saturating_sub(back)));
            let Some((outer, inlined)) = found.split_last() else {
                trace.push(frame);
                continue;
            };
            for location in inlined {
                trace.push(Frame {
                    function: location.function.clone(),
                    file: location.file.clone(),
                    line: location.line,
                    module: frame.module.clone(),
                    reliable: frame.reliable,
                    stack: frame.stack,
                    inlined: true,
                    ..Frame::default()
                });
            }
            trace.push(Frame { file: outer.file.clone(), line: outer.line, ..frame });
        }
        self.trace = trace;
    }

    /// How far the kernel was moved (KASLR), in bytes: as the panic says it
    /// (`kernel_offset_notifier`), or as addresses in the trace show.
    fn moved(&self, symbols: &dyn Symbolizer) -> Option<u64> {
        let said = self.text.iter().find_map(|line| {
            let said = line.split_once("Kernel Offset: ")?.1;
            if said.starts_with("disabled") {
                return Some(0);
            }
            u64::from_str_radix(said.split(' ').next()?.strip_prefix("0x")?, 16).ok()
        });
        said.or_else(|| {
            self.trace.iter().find_map(|frame| {
                let linked = symbols.address(place(frame, frame.offset?))?;
                Some(frame.address?.wrapping_sub(linked))
            })
        })
    }
}

fn place(frame: &Frame, offset: u64) -> Place<'_> {
    Place {
        function: &frame.function,
        offset,
        size: frame.size,
        module: frame.module.as_deref(),
        build_id: frame.build_id.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Symbolizer for Echo {
        fn locate(&self, place: Place<'_>) -> Vec<Location> {
            let at = |function: &str, line| Location {
                function: function.to_owned(),
                file: Some("f.c".to_owned()),
                line: Some(line),
            };
            match place.function {
                "unknown" => Vec::new(),
                function => vec![at("small", 1), at(function, place.offset as u32)],
            }
        }

        fn address(&self, place: Place<'_>) -> Option<u64> {
            place.module.is_none().then_some(0xffff_ffff_8100_0000 + place.offset)
        }

        fn name(&self, address: u64) -> Option<String> {
            (address == 0xffff_ffff_8200_0010).then(|| "init_task+0x10".to_owned())
        }
    }

    #[test]
    fn values_of_a_kernel_that_was_moved() {
        let log = |offset: &str, address: &str| {
            format!(
                "[    1.000000] BUG: kernel NULL pointer dereference, address: 0000000000000008\n\
                 [    1.000000] RIP: 0010:fault+0x10/0x20 [m]\n\
                 [    1.000000] RAX: ffffffff92000010 RBX: 0000000000000001\n\
                 [    1.000000] Call Trace:\n\
                 [    1.000000]  {address}caller+0x30/0x40\n\
                 [    1.000000] ---[ end trace 0000000000000000 ]---\n\
                 {offset}"
            )
        };
        let said = "[    1.000000] Kernel Offset: 0x10000000 from 0xffffffff81000000\n";
        for (offset, address, named) in [
            (said, "", true),
            ("", "[<ffffffff91000030>] ", true),
            ("", "", false),
            ("[    1.000000] Kernel Offset: disabled\n", "", false),
        ] {
            let log = log(offset, address);
            let mut reports = crate::reports(log.as_bytes(), &crate::Options::default());
            reports[0].symbolize(&Echo);
            let rax = reports[0].registers.iter().find(|r| r.name == "rax").unwrap();
            assert_eq!(rax.meaning.ends_with(": init_task+0x10"), named, "{}\n{log}", rax.meaning);
        }
    }

    #[test]
    fn only_return_addresses_are_taken_back() {
        let log =
            b"[    1.000000] BUG: kernel NULL pointer dereference, address: 0000000000000008\n\
            [    1.000000] RIP: 0010:fault+0x10/0x20 [m]\n\
            [    1.000000] Call Trace:\n\
            [    1.000000]  ? fault+0x10/0x20 [m]\n\
            [    1.000000]  caller+0x30/0x40\n\
            [    1.000000]  unknown+0x50/0x60\n";
        let mut reports = crate::reports(log, &crate::Options::default());
        reports[0].symbolize(&Echo);
        let trace: Vec<_> = reports[0]
            .trace
            .iter()
            .map(|f| (f.function.as_str(), f.line, f.inlined, f.reliable))
            .collect();
        assert_eq!(
            trace,
            [
                ("small", Some(1), true, true),
                ("fault", Some(0x10), false, true),
                ("small", Some(1), true, false),
                ("fault", Some(0x10), false, false),
                ("small", Some(1), true, true),
                ("caller", Some(0x2f), false, true),
                ("unknown", None, false, true),
            ]
        );
    }
}
