//! Kernel memory searched for words.

use necropsy_dump::PhysicalMemory;

use crate::Kernel;

impl Kernel {
    /// Calls `found` with the address of every aligned word of `size` bytes that `wanted` accepts,
    /// in all kernel memory of the dump by address. `stop` tells whether to give up.
    pub fn search(
        &self,
        size: usize,
        wanted: &dyn Fn(u64) -> bool,
        stop: &dyn Fn() -> bool,
        found: &mut dyn FnMut(u64),
    ) {
        let page_size = self.dump().header().pagesize;
        let size = size.clamp(1, 8);
        for (number, mapping) in self.mappings().iter().enumerate() {
            if number % 1024 == 0 && stop() {
                return;
            }
            let Ok(page) = self.dump().page(mapping.frame) else { continue };
            let base = mapping.page.wrapping_mul(page_size);
            for (index, word) in page.chunks_exact(size).enumerate() {
                let mut bytes = [0; 8];
                bytes[..size].copy_from_slice(word);
                if wanted(u64::from_le_bytes(bytes)) {
                    found(base.wrapping_add((index * size) as u64));
                }
            }
        }
    }
}
