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
}

impl Report {
    /// Give the trace its source lines and inlined frames.
    ///
    /// What ran or trapped is exact; all others are return addresses, and the
    /// call lies one byte before.
    pub fn symbolize(&mut self, symbols: &dyn Symbolizer) {
        let mut trace = Vec::with_capacity(self.trace.len());
        for frame in self.trace.drain(..) {
            let Some(offset) = frame.offset.filter(|_| !frame.inlined) else {
                trace.push(frame);
                continue;
            };
            let found = symbols.locate(Place {
                function: &frame.function,
                offset: if frame.exact { offset } else { offset.saturating_sub(1) },
                size: frame.size,
                module: frame.module.as_deref(),
                build_id: frame.build_id.as_deref(),
            });
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
