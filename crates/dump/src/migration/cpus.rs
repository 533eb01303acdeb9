//! The CPUs' registers in a stream of an x86 machine: the section `cpu` of each, whose first fields
//! have kept their places since 2009 (`vmstate_x86_cpu`, `target/i386/machine.c`).

use memchr::memmem;

use crate::{CpuState, Segment, bytes::Fields, image::Image};

/// A section's name with its length, and the high bytes of its instance.
const NAME: &[u8] = b"\x03cpu\0\0";
const SECTION_FULL: u8 = 4;
const VERSION: u32 = 12;
/// Bytes behind memory that are looked through: devices come first, then video memory does not.
const LIMIT: usize = 64 << 20;
const CPUS: usize = 4096;

/// The registers of each CPU, in the order of their numbers.
pub(super) fn find(image: &Image, from: u64) -> Vec<CpuState> {
    let bytes = image.get_up_to(from, LIMIT);
    let mut cpus = Vec::new();
    for at in memmem::find_iter(&bytes, NAME).take(CPUS) {
        // Type and identifier stand before the name, instance and version behind it.
        let is_section = at >= 5 && bytes.get(at - 5) == Some(&SECTION_FULL);
        let fields = Fields::new(&bytes, true);
        if is_section && fields.u32(at + 8) == Some(VERSION) {
            cpus.extend(state(Fields::new(bytes.get(at + 12..).unwrap_or(&[]), true)));
        }
    }
    cpus
}

fn state(fields: Fields<'_>) -> Option<CpuState> {
    /// QEMU's numbers: rax rcx rdx rbx rsp rbp rsi rdi r8 … r15, by index in `general`.
    const ORDER: [usize; 16] = [0, 2, 3, 1, 6, 7, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15];
    /// es cs ss ds fs gs, by index in `segments`.
    const SEGMENTS: [usize; 6] = [2, 0, 5, 1, 3, 4];
    let segment = |at: usize| {
        Some(Segment {
            selector: fields.u32(at)?,
            base: fields.u64(at + 4)?,
            limit: fields.u32(at + 12)?,
            flags: fields.u32(at + 16)?,
        })
    };
    let mut state = CpuState::default();
    for (index, register) in ORDER.into_iter().enumerate() {
        state.general[register] = fields.u64(index * 8)?;
    }
    state.rip = fields.u64(128)?;
    state.rflags = fields.u64(136)?;
    // The floating-point unit's take 92 bytes.
    for (index, place) in SEGMENTS.into_iter().enumerate() {
        state.segments[place] = segment(236 + index * 20)?;
    }
    state.ldt = segment(356)?;
    state.tr = segment(376)?;
    state.gdt = segment(396)?;
    state.idt = segment(416)?;
    for (index, number) in [0, 2, 3, 4].into_iter().enumerate() {
        state.cr[number] = fields.u64(456 + index * 8)?;
    }
    // Debug registers, A20, MXCSR, 16 SSE registers, then EFER, STAR, LSTAR, CSTAR, FMASK.
    state.kernel_gs_base = fields.u64(856);
    Some(state)
}
