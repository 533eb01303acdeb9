//! What the analyses ask of the machine.

use necropsy_dump::Read;

use super::{code::far_call, fixups};
use crate::{Architecture, Target, regs::Reg};

/// The code that belongs to one symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    /// First address.
    pub(super) start: u64,
    /// One past the last.
    pub(super) end: u64,
    /// Part of another function that was moved out of the way (`name.cold`).
    pub(super) cold: bool,
}

/// An entry of the exception table: a fault of `at` continues at `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fixup {
    pub(super) at: u64,
    pub(super) to: u64,
    /// A register that the kernel sets on the way, if it sets any.
    pub(super) register: Reg,
}

pub(super) trait Source {
    /// The machine that the code is of.
    fn architecture(&self) -> &'static dyn Architecture;
    /// Bytes of a page.
    fn page_size(&self) -> u64;
    /// Fills `buf` from kernel virtual memory.
    fn read(&self, address: u64, buf: &mut [u8]) -> Read<()>;
    /// The symbol that holds an address of code.
    fn region(&self, address: u64) -> Option<Region>;
    /// The fixups of the instructions from `start` to `end`; `None` if that cannot be read.
    fn fixups(&self, start: u64, end: u64) -> Option<Vec<Fixup>>;
    /// The register by which the code at `address` jumps on, if it stands for an indirect jump.
    fn thunk(&self, address: u64) -> Option<Reg>;
    /// Whether the function at `address` is known never to return.
    fn never_returns(&self, address: u64) -> bool;
    /// Whether the code at `address` is ftrace's.
    fn traces(&self, address: u64) -> bool;
}

/// Functions that the kernel declares `__noreturn`, of those that are called most: what stands
/// behind a call of them is not reached by it.
const NEVER_RETURN: [&str; 9] = [
    "panic",
    "vpanic",
    "__stack_chk_fail",
    "do_exit",
    "do_group_exit",
    "make_task_dead",
    "rewind_stack_and_make_dead",
    "__fortify_panic",
    "__ubsan_handle_builtin_unreachable",
];

impl Source for Target {
    fn architecture(&self) -> &'static dyn Architecture {
        Target::architecture(self)
    }

    fn page_size(&self) -> u64 {
        Target::page_size(self)
    }

    fn read(&self, address: u64, buf: &mut [u8]) -> Read<()> {
        Target::read(self, address, buf)
    }

    fn region(&self, address: u64) -> Option<Region> {
        if !self.is_text(address) {
            return None;
        }
        let symbol = self.locate(address)?.symbol;
        let end = symbol.address.checked_add(symbol.size)?;
        let cold = is_cold(symbol.name);
        (symbol.address..end).contains(&address).then_some(Region {
            start: symbol.address,
            end,
            cold,
        })
    }

    fn fixups(&self, start: u64, end: u64) -> Option<Vec<Fixup>> {
        fixups::within(self, start, end).ok()
    }

    fn thunk(&self, address: u64) -> Option<Reg> {
        let located = self.locate(address)?;
        let mut names = located.image.symbols.at(located.symbol.address).map(|s| s.name);
        names.find_map(|name| self.architecture().thunk(name, located.offset))
    }

    fn never_returns(&self, address: u64) -> bool {
        let address = far_call(self, address).unwrap_or(address);
        self.locate(address).is_some_and(|located| {
            located.offset == 0 && NEVER_RETURN.contains(&located.symbol.name)
        })
    }

    fn traces(&self, address: u64) -> bool {
        match self.locate(address) {
            Some(located) => {
                located.offset == 0 && self.abi().tracers.contains(&located.symbol.name)
            }
            // Copies of them, made for a single tracer, have no symbol.
            None => true,
        }
    }
}

/// Whether a symbol is the part of a function that the compiler moved away as unlikely.
pub(crate) fn is_cold(name: &str) -> bool {
    cold_owner(name).is_some()
}

/// The function that `name.cold` or `name.cold.12` belongs to.
pub(super) fn cold_owner(name: &str) -> Option<&str> {
    let (owner, rest) = name.rsplit_once(".cold")?;
    let number = rest.strip_prefix('.').unwrap_or(rest);
    (rest.is_empty() || number.chars().all(|c| c.is_ascii_digit())).then_some(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cold_parts() {
        assert_eq!(cold_owner("watchdog.cold"), Some("watchdog"));
        assert_eq!(cold_owner("f.isra.0.cold.12"), Some("f.isra.0"));
        assert_eq!(cold_owner("scold"), None);
    }
}
