//! What the panic left behind.

use crate::{
    Kernel, Result,
    panicbuf::{PAIRS, PANICBUF_SIZE, pairs},
    stack::Registers,
};

/// The panic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Panic {
    /// Number of the CPU that panicked.
    pub cpu: Option<u64>,
    /// Address of the thread that panicked.
    pub thread: Option<u64>,
    /// The message.
    pub message: String,
    /// Registers and what else was saved, by name, in the kernel's order.
    pub registers: Vec<(String, u64)>,
}

impl Kernel {
    /// What the panic left; a live dump has none.
    pub fn panic(&self) -> Panic {
        let header = self.dump().header();
        let bytes = self
            .address_of("panicbuf")
            .ok()
            .and_then(|at| self.read_bytes(at, PANICBUF_SIZE as u64).ok())
            .unwrap_or_default();
        let message_at = bytes.get(4..8).and_then(|part| part.try_into().ok());
        let message = message_at
            .map(u32::from_le_bytes)
            .filter(|&at| at as usize >= PAIRS)
            .and_then(|at| bytes.get(at as usize..))
            .map(|text| {
                let text = text.split(|&byte| byte == 0).next().unwrap_or(&[]);
                String::from_utf8_lossy(text).into_owned()
            });
        let thread = self.pointer("panic_thread").ok().filter(|&thread| thread != 0);
        let cpu =
            || -> Result<u64> { self.shapes().cpu.id.get(self, self.address_of("panic_cpu")?) };
        Panic {
            cpu: thread.and_then(|_| cpu().ok()),
            thread,
            message: message
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| header.panicstring.clone()),
            registers: pairs(&bytes),
        }
    }

    /// The registers of the panic: those that panicbuf holds, else those that `panic_reg` leads
    /// to, else what the thread's switch saved.
    pub fn panic_registers(&self) -> Registers {
        let saved = self.panic().registers;
        if !saved.is_empty() {
            return Registers(saved);
        }
        let of_trap = || -> Result<Vec<(String, u64)>> {
            let at = self.pointer("panic_reg")?;
            let ty = self.type_named("struct regs")?;
            let Some(composite) = self.types().as_composite(ty) else { return Ok(Vec::new()) };
            let mut all = Vec::new();
            for member in &composite.members {
                let name = self.types().name(member.name);
                let value = self.read_u64(at + member.bit_offset / 8)?;
                let short = name.trim_start_matches("__").trim_start_matches("r_");
                let short = if short == "rfl" { "rflags" } else { short };
                all.push((short.to_owned(), value));
            }
            Ok(all)
        };
        let of_switch = || -> Result<Vec<(String, u64)>> {
            let thread = self.pointer("panic_thread")?;
            let saved = self.saved_registers(thread)?;
            Ok(vec![("rip".into(), saved[0]), ("rsp".into(), saved[1]), ("rbp".into(), saved[2])])
        };
        let found = of_trap().ok().filter(|all| !all.is_empty()).or_else(|| of_switch().ok());
        Registers(found.unwrap_or_default())
    }

    /// Clock ticks when the kernel stopped.
    pub fn lbolt(&self) -> Option<u64> {
        // A kernel with events for its clock keeps the count elsewhere while it runs.
        let panic = self.pointer("panic_lbolt").or_else(|_| self.pointer("panic_lbolt64")).ok();
        let plain = || self.pointer("lbolt64").or_else(|_| self.pointer("lbolt")).ok();
        panic.filter(|&ticks| ticks != 0).or_else(plain)
    }
}
