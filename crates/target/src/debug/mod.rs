//! Debug information of a target's images: which functions an address lies in, what a frame's
//! variables are, where a frame's registers were saved.

mod frame;
mod infer;
mod variable;

use std::{
    path::PathBuf,
    sync::{Arc, RwLock},
};

use necropsy_debuginfo::{
    TypeId, Types,
    dwarf::{self, Cfi, Dwarf, Rule, SourceFrame},
};

use crate::{
    Image, Target,
    dataflow::PRESERVED,
    regs::{Reg, Regs},
};

pub use frame::{Entered, StackFrame, Work};
pub use variable::{Known, Variable};

/// The debug information of an image.
#[derive(Debug)]
pub struct ImageDebug {
    /// What the file tells.
    pub dwarf: Dwarf,
    /// What is added to its addresses to have those of the running kernel.
    pub bias: u64,
    /// The file.
    pub path: PathBuf,
    /// How it was found.
    pub how: &'static str,
    /// It is known to be of this very kernel: its build ID is the same.
    pub matches: bool,
}

/// Finds an image's debug information when it is first asked for.
pub type DebugLoader = Box<dyn Fn(&Target, &Image) -> Option<ImageDebug> + Send + Sync>;

/// An image's debug information, once it was looked for.
#[derive(Debug, Default)]
pub(crate) struct DebugSlot(RwLock<Option<Option<Arc<ImageDebug>>>>);

impl DebugSlot {
    fn known(&self) -> Option<Option<Arc<ImageDebug>>> {
        self.0.read().unwrap_or_else(|error| error.into_inner()).clone()
    }

    fn get(&self, load: impl FnOnce() -> Option<ImageDebug>) -> Option<Arc<ImageDebug>> {
        if let Some(known) = self.known() {
            return known;
        }
        let mut slot = self.0.write().unwrap_or_else(|error| error.into_inner());
        slot.get_or_insert_with(|| load().map(Arc::new)).clone()
    }

    fn put(&self, debug: Option<ImageDebug>) {
        *self.0.write().unwrap_or_else(|error| error.into_inner()) = Some(debug.map(Arc::new));
    }
}

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

impl Reg {
    /// The number that DWARF has for it (System V ABI for x86_64, figure 3.36).
    pub fn dwarf_number(self) -> Option<u16> {
        dwarf::register_number(self.name())
    }

    /// The register of a DWARF number.
    pub fn from_dwarf(number: u16) -> Option<Reg> {
        Reg::by_name(dwarf::register_name(number))
    }
}

/// The canonical frame address of a frame, by its rules.
pub(crate) fn cfa(cfi: &Cfi, regs: &Regs) -> Option<u64> {
    let (register, offset) = cfi.cfa?;
    Some(regs.get(Reg::from_dwarf(register)?)?.wrapping_add_signed(offset))
}

/// The caller's registers that survive a call, by the rules of the called function.
pub(crate) fn restore(target: &Target, cfi: &Cfi, cfa: u64, inner: &Regs, outer: &mut Regs) {
    for reg in PRESERVED {
        let number = reg.dwarf_number();
        let rule = cfi.registers.iter().find(|(at, _)| Some(*at) == number).map(|(_, rule)| *rule);
        let value = match rule {
            None | Some(Rule::Same) => inner.get(reg),
            Some(Rule::AtCfa(offset)) => target.read_u64(cfa.wrapping_add_signed(offset)).ok(),
            Some(Rule::IsCfa(offset)) => Some(cfa.wrapping_add_signed(offset)),
            Some(Rule::Register(other)) => Reg::from_dwarf(other).and_then(|r| inner.get(r)),
            Some(Rule::Undefined | Rule::Expression) => None,
        };
        if value.is_some() {
            outer.put(reg, value);
        }
    }
}
