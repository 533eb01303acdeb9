//! The address spaces that commands read, chosen by option or by address.

use necropsy_dump::{Fault, Read, Reason, Space};
use necropsy_linux::Kernel;

use crate::{CommandError, command::Opt, parsed::Parsed, render::Size, session::Session};

/// `-k`: which memory an address is of.
pub(crate) const KERNEL: Opt = Opt::flag("-k", "a kernel virtual address");
/// `-u`: which memory an address is of.
pub(crate) const USER: Opt = Opt::flag("-u", "a user virtual address of the current task");
/// `-p`: which memory an address is of.
pub(crate) const PHYSICAL: Opt = Opt::flag("-p", "a physical address");

/// The lowest kernel virtual address on most machines; user addresses lie below.
const KERNEL_START: u64 = 0xff00_0000_0000_0000;

/// The user half ends here even with five levels of page tables (56 bits).
const USER_END: u64 = 1 << 56;

/// One address space of a dump.
#[derive(Debug, Clone, Copy)]
pub struct Memory<'k> {
    kernel: &'k Kernel,
    /// Kernel virtual, user virtual or physical.
    pub space: Space,
    /// Physical address of the root page table, in user space.
    root: u64,
}

/// Whether `address` is the kernel's, as far as its value tells.
pub fn is_kernel_address(kernel: &Kernel, address: u64) -> bool {
    address >= KERNEL_START || kernel.target().address_class(address).is_kernel()
}

impl<'k> Memory<'k> {
    /// The instruction set of its code.
    pub(crate) fn isa(&self) -> necropsy_disasm::Isa {
        self.kernel.target().isa()
    }

    /// Kernel virtual memory.
    pub fn of_kernel(kernel: &'k Kernel) -> Self {
        Memory { kernel, space: Space::Kernel, root: 0 }
    }

    /// User memory of the session's task.
    ///
    /// # Errors
    /// The task has no address space, or it cannot be found.
    pub fn of_user(session: &Session, kernel: &'k Kernel) -> Result<Self, CommandError> {
        let root = session.context(kernel)?.page_table()?;
        Ok(Memory { kernel, space: Space::User, root })
    }

    /// What `-k`, `-u` or `-p` say, of those that the command has; else by the address: user
    /// addresses are told from kernel addresses by their value.
    ///
    /// # Errors
    /// Two options that exclude each other; no user memory to be read.
    pub fn choose(
        session: &Session,
        kernel: &'k Kernel,
        parsed: &Parsed,
        address: u64,
    ) -> Result<Self, CommandError> {
        match parsed.one_of(&[KERNEL, USER, PHYSICAL])? {
            Some(PHYSICAL) => Ok(Memory { kernel, space: Space::Physical, root: 0 }),
            Some(USER) => Self::of_user(session, kernel),
            None if address < USER_END && !is_kernel_address(kernel, address) => {
                Self::of_user(session, kernel)
            }
            _ => Ok(Self::of_kernel(kernel)),
        }
    }

    /// Fills `buf` from `address`.
    ///
    /// # Errors
    /// The first byte that cannot be read.
    pub fn read(&self, address: u64, buf: &mut [u8]) -> Read<()> {
        let target = self.kernel.target();
        match self.space {
            Space::Kernel => target.read(address, buf),
            // The kernel's half hangs in every task's tables, and is no user's.
            Space::User
                if target.architecture().splits_addresses()
                    && is_kernel_address(self.kernel, address) =>
            {
                Err(Fault { address, space: Space::User, reason: Reason::BadAddress })
            }
            Space::User => target.read_user(self.root, address, buf),
            Space::Physical => target.read_physical(address, buf),
        }
    }

    /// As many of `len` bytes as can be read in one piece, and why there are no more.
    pub fn read_most(&self, address: u64, len: usize) -> (Vec<u8>, Option<Fault>) {
        let mut bytes = vec![0; len];
        match self.read(address, &mut bytes) {
            Ok(()) => (bytes, None),
            Err(fault) => {
                let readable = fault.address.wrapping_sub(address);
                bytes.truncate(usize::try_from(readable).unwrap_or(0).min(len));
                // The fault names the first byte in vain; what lies before it is checked once
                // more, so that nothing unread is shown.
                match self.read(address, &mut bytes) {
                    Ok(()) => (bytes, Some(fault)),
                    Err(first) => (Vec::new(), Some(first)),
                }
            }
        }
    }
}

/// How much memory a machine has, as crash says it: `511.5 MB`.
///
/// The last 64 MB of a gigabyte are firmware's and the kernel's own: crash counts them in.
pub(crate) fn installed(bytes: u64) -> String {
    const GIB: u64 = 1 << 30;
    let next = bytes.div_ceil(GIB).saturating_mul(GIB);
    let bytes = if next - bytes <= 64 << 20 { next } else { bytes };
    // crash rounds to the nearest tenth.
    let (unit, name) = match bytes {
        GIB.. => (GIB, "GB"),
        0x10_0000.. => (1 << 20, "MB"),
        _ => return Size(bytes).to_string(),
    };
    let tenths = format!("{:.1}", bytes as f64 / unit as f64);
    format!("{} {name}", tenths.strip_suffix(".0").unwrap_or(&tenths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_as_crash_prints_it() {
        assert_eq!(installed(536_338_432), "511.5 MB");
        assert_eq!(installed((6 << 30) - (1 << 20)), "6 GB");
        assert_eq!(installed((6 << 30) + (512 << 20)), "6.5 GB");
        assert_eq!(installed(0), "0 bytes");
    }
}
