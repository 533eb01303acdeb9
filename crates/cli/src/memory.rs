//! The address spaces that commands read, chosen by option or by address.

use necropsy_dump::{Fault, Read, Reason, Space};
use necropsy_linux::Kernel;

use crate::{CommandError, parsed::Parsed, session::Session};

/// The lowest kernel virtual address on any machine we know; user addresses lie below.
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

/// Whether `address` can only be a kernel's.
pub fn is_kernel_address(address: u64) -> bool {
    address >= KERNEL_START
}

impl<'k> Memory<'k> {
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
        match parsed.one_of(&["-k", "-u", "-p"])? {
            Some("-p") => Ok(Memory { kernel, space: Space::Physical, root: 0 }),
            Some("-u") => Self::of_user(session, kernel),
            None if address < USER_END => Self::of_user(session, kernel),
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
            Space::User if is_kernel_address(address) => {
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
