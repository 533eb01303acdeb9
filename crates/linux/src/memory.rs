//! Kernel virtual memory as the walkers of this crate read it.

use necropsy_dump::Read;
use necropsy_machine::Target;

use crate::span::Numbers;

/// Readable kernel virtual memory: a target, or the few words of a test.
pub trait Memory {
    /// Fills `buf` from the virtual address `address` on.
    ///
    /// # Errors
    /// The first byte that cannot be read.
    fn read(&self, address: u64, buf: &mut [u8]) -> Read<()>;

    /// How numbers lie in it.
    fn numbers(&self) -> Numbers {
        Numbers::default()
    }

    /// Bytes of a word.
    fn word_size(&self) -> u64 {
        self.numbers().word_size() as u64
    }

    /// The word (or pointer) at `address`.
    ///
    /// # Errors
    /// As [`Memory::read`].
    fn word(&self, address: u64) -> Read<u64> {
        let mut bytes = [0; 8];
        let numbers = self.numbers();
        let size = numbers.word_size().min(8);
        self.read(address, &mut bytes[..size])?;
        Ok(numbers.number(&bytes, 0, size))
    }

    /// The byte at `address`.
    ///
    /// # Errors
    /// As [`Memory::read`].
    fn byte(&self, address: u64) -> Read<u8> {
        let mut byte = [0];
        self.read(address, &mut byte)?;
        Ok(byte[0])
    }
}

impl Memory for Target {
    fn read(&self, address: u64, buf: &mut [u8]) -> Read<()> {
        Target::read(self, address, buf)
    }

    fn numbers(&self) -> Numbers {
        Numbers::of(self)
    }
}

#[cfg(test)]
pub(crate) mod fake {
    //! Memory made of single words, for tests of damaged structures.

    use std::collections::BTreeMap;

    use necropsy_dump::{Fault, Reason};

    use super::{Memory, Read};

    /// Words by address; what was not written cannot be read.
    #[derive(Debug, Default)]
    pub(crate) struct Words(BTreeMap<u64, u64>);

    impl Words {
        pub(crate) fn put(&mut self, address: u64, words: &[u64]) {
            for (at, word) in (address..).step_by(8).zip(words) {
                self.0.insert(at, *word);
            }
        }

        pub(crate) fn lose(&mut self, address: u64) {
            self.0.remove(&address);
        }
    }

    impl Memory for Words {
        fn read(&self, address: u64, buf: &mut [u8]) -> Read<()> {
            for (at, byte) in (address..).zip(buf) {
                let word = self.0.get(&(at & !7)).ok_or(Fault::kernel(at, Reason::NotSaved))?;
                *byte = word.to_le_bytes()[(at & 7) as usize];
            }
            Ok(())
        }
    }
}
