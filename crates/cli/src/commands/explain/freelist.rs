//! The pointer in a free object that SLUB mangles (CONFIG_SLAB_FREELIST_HARDENED, mm/slub.c): the
//! stored word is the next object's address, XOR the cache's random number, XOR the byte-swapped
//! address of the word. Whoever overwrote a free object shows only once that is undone.

use necropsy_linux::{Kernel, slab::FreePointers};
use necropsy_target::format::quote;

/// Says which overwritten free object gave `value`, a pointer that is no address, in the cache
/// whose `kmem_cache` lies at `cache`, if it was overwritten with equal bytes. That the address
/// comes out right, at the place of the pointer in an object of that cache, is no accident: 64
/// bits agree.
pub(super) fn overwritten(kernel: &Kernel, cache: u64, value: u64) -> Option<String> {
    let target = kernel.target();
    let FreePointers { offset, stride, random } = kernel.free_pointers(cache).ok()?;
    (1..=255u8).find_map(|byte| {
        let stored = u64::from_le_bytes([byte; 8]);
        let address = (value ^ random ^ stored).swap_bytes();
        if kernel.kmem_cache_of(address).ok().flatten() != Some(cache) {
            return None;
        }
        let into = address.checked_sub(kernel.slab_start(address).ok()?)?;
        if into % stride != offset {
            return None;
        }
        let name = kernel.slab_cache_of(address).ok().flatten();
        let name = name.unwrap_or_else(|| format!("the cache at {cache:x}"));
        let text = match byte.is_ascii_graphic() {
            true => format!(" ({})", quote(&[byte; 8])),
            false => String::new(),
        };
        let now = match target.read_u64(address) {
            Ok(now) if now == stored => "memory still holds it".to_owned(),
            Ok(now) => format!("memory holds {now:x} since the object was handed out again"),
            Err(fault) => fault.to_string(),
        };
        Some(format!(
            "{value:016x} is a mangled free-list pointer (inferred): with s->random and the \
             address {address:016x} undone, the word there was {stored:016x}{text}; {now}. The \
             free object {:016x} of {name} was written to after it was freed",
            address.wrapping_sub(offset)
        ))
    })
}
