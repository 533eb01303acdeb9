//! Debug information of a target's images: which functions an address lies in, what a frame's
//! variables are, where a frame's registers were saved.

mod frame;
mod infer;
mod logical;
mod variable;

use std::sync::Arc;

use necropsy_debuginfo::{
    TypeId, Types,
    dwarf::{self, Cfi, Rule, SourceFrame},
};

use crate::{Image, Target, arch::Abi, regs::Regs};

pub use crate::{image::ImageDebug, target::DebugLoader};
pub use frame::{Entered, StackFrame, Work};
pub use logical::{FrameNumber, LogicalFrame, logical_frames};
pub use variable::{Known, Variable};

impl Target {
    /// Says how debug information is found; called once.
    pub fn set_debug_loader(&self, loader: DebugLoader) {
        let _ = self.debug_loader.set(loader);
    }

    /// An image's debug information, looked for when first asked; `None` when there is none.
    pub fn debug(&self, image: &Image) -> Option<Arc<ImageDebug>> {
        image.debug.get(|| self.debug_loader.get().and_then(|load| load(self, image)))
    }

    /// What of it is loaded already.
    pub fn loaded_debug(&self, image: &Image) -> Option<Arc<ImageDebug>> {
        image.debug.known().flatten()
    }

    /// Replaces an image's debug information, or drops it.
    pub fn set_debug(&self, image: &Image, debug: Option<ImageDebug>) {
        image.debug.put(debug);
    }

    /// The debug information at an address, and the address in the file.
    pub fn debug_at(&self, address: u64) -> Option<(Arc<ImageDebug>, u64)> {
        let debug = self.debug(self.image_at(address)?)?;
        let inside = address.wrapping_sub(debug.bias);
        Some((debug, inside))
    }

    /// The functions that an address lies in, the innermost inlined one first; empty without
    /// debug information.
    pub fn source_frames(&self, address: u64) -> Arc<[SourceFrame]> {
        self.debug_at(address)
            .map_or_else(Default::default, |(debug, at)| debug.dwarf.frames_at(at))
    }

    /// File and line of an address.
    pub fn source_line(&self, address: u64) -> Option<(String, u32)> {
        let (debug, at) = self.debug_at(address)?;
        debug.dwarf.line_at(at)
    }

    /// Unwind rules of an address.
    pub(crate) fn cfi(&self, address: u64) -> Option<Arc<Cfi>> {
        let (debug, at) = self.debug_at(address)?;
        debug.dwarf.cfi_at(at)
    }

    /// The type of the global variable `name` at an address, as the debug information of its image
    /// tells it.
    pub fn debug_variable(&self, types: &Types, name: &str, address: u64) -> Option<TypeId> {
        // A per-CPU variable lies in no image until the offset of a CPU is added.
        let image = self.image_at(address).unwrap_or(self.kernel());
        // What BTF and our table say is better than the file of another kernel.
        let debug = self.debug(image).filter(|debug| debug.matches)?;
        let found = debug.dwarf.variables_named(types, name);
        let here = |v: &&dwarf::Variable| {
            v.address.is_some_and(|linked| linked.wrapping_add(debug.bias) == address)
        };
        let only = if let [only] = found.as_slice() { Some(only) } else { None };
        found.iter().find(here).or(only).map(|variable| variable.ty)
    }
}

/// The canonical frame address of a frame, by its rules.
pub(crate) fn cfa(abi: &Abi, cfi: &Cfi, regs: &Regs) -> Option<u64> {
    let (register, offset) = cfi.cfa?;
    Some(regs.get(abi.from_dwarf(register)?)?.wrapping_add_signed(offset))
}

/// The caller's registers that survive a call, by the rules of the called function.
pub(crate) fn restore(target: &Target, cfi: &Cfi, cfa: u64, inner: &Regs, outer: &mut Regs) {
    let abi = target.abi();
    for reg in abi.preserved.iter().copied() {
        let number = abi.dwarf_number(reg);
        let rule = cfi.registers.iter().find(|(at, _)| Some(*at) == number).map(|(_, rule)| *rule);
        let value = match rule {
            None | Some(Rule::Same) => inner.get(reg),
            Some(Rule::AtCfa(offset)) => target.read_pointer(cfa.wrapping_add_signed(offset)).ok(),
            Some(Rule::IsCfa(offset)) => Some(cfa.wrapping_add_signed(offset)),
            Some(Rule::Register(other)) => abi.from_dwarf(other).and_then(|r| inner.get(r)),
            Some(Rule::Undefined | Rule::Expression) => None,
        };
        if value.is_some() {
            outer.put(reg, value);
        }
    }
}
