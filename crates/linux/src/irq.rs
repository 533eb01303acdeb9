//! Interrupts: lines with their handlers, softirqs, and the interrupt descriptor table.

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    list::chain,
    maple,
    shapes::Form,
    xarray,
};

/// The longest name that is read, in bytes.
const MAX_NAME: usize = 256;
/// More interrupts than any machine has (IRQ_BITMAP_BITS is NR_IRQS + 8196).
const MAX_IRQS: u64 = 1 << 20;
/// More kinds of softirq than there can be: they are bits of a word.
const MAX_SOFTIRQS: u64 = 64;
/// Vectors of an x86 CPU.
const VECTORS: u64 = 256;

/// An interrupt line (`struct irq_desc`).
#[derive(Debug, Clone, Copy)]
pub struct Irq<'k> {
    kernel: &'k Kernel,
    /// Its number.
    pub number: u64,
    /// Virtual address of the descriptor.
    pub address: u64,
}

/// A handler of an interrupt (`struct irqaction`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Virtual address.
    pub address: u64,
    /// What its driver calls itself; empty where it gave no name.
    pub name: Result<String>,
    /// Virtual address of the handler.
    pub handler: u64,
    /// Virtual address of the part that runs in a thread; 0 without one.
    pub thread_fn: u64,
    /// `IRQF_*`.
    pub flags: u64,
    /// What the handler is told its device is.
    pub dev_id: u64,
}

/// A kind of softirq.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Softirq {
    /// Its number.
    pub number: u64,
    /// Its name: `TIMER`; empty when the kernel does not tell.
    pub name: String,
    /// Virtual address of its handler; 0 when nobody registered one.
    pub action: u64,
}

impl Kernel {
    /// How many interrupt numbers there can be at present.
    ///
    /// # Errors
    /// A fault, or a missing symbol.
    pub fn irq_limit(&self) -> Result<u64> {
        let at = self.shapes().irq_tables.limit.address()?;
        Ok(u64::from(self.target().read_u32(at)?).min(MAX_IRQS))
    }

    /// Every interrupt that has a descriptor, by number, and what went wrong on the way.
    ///
    /// # Errors
    /// When the kernel keeps its descriptors in no way that is known.
    pub fn irqs(&self) -> Result<(Vec<Irq<'_>>, Vec<Error>)> {
        let mut irqs = Vec::new();
        let mut errors = Vec::new();
        let irq = |number, address| Irq { kernel: self, number, address };
        let descriptors = &self.shapes().irq_tables.descriptors;
        let at = descriptors.address()?;
        match descriptors.form() {
            Some(Form::Maple) => {
                for entry in maple::entries(self.target(), maple::Layout::of(self)?, at) {
                    match entry {
                        Ok(entry) => irqs.push(irq(entry.first, entry.raw)),
                        Err(error) => errors.push(error),
                    }
                }
            }
            Some(Form::Radix) => {
                let visit = &mut |number, entry| irqs.push(irq(number, entry));
                xarray::for_each(self, at, visit, &mut |error| errors.push(error))?;
            }
            _ => {
                let size = self.shapes().irq_desc.sizeof()?;
                irqs.extend((0..self.irq_limit()?).map(|n| irq(n, at.wrapping_add(n * size))));
            }
        }
        Ok((irqs, errors))
    }

    /// The kinds of softirq.
    ///
    /// # Errors
    /// A fault, or a missing symbol or type.
    pub fn softirqs(&self) -> Result<Vec<Softirq>> {
        let target = self.target();
        let shape = &self.shapes().softirq_action;
        let table = self.shapes().irq_tables.softirqs.address()?;
        let size = shape.sizeof()?;
        let count = self.shapes().softirqs.count.index()?.min(MAX_SOFTIRQS);
        let names = self.shapes().irq_tables.softirq_names.address().ok();
        let name = |number: u64| {
            let text = target.read_pointer_at(names?, number).ok()?;
            target.read_cstr(text, MAX_NAME).ok()
        };
        (0..count)
            .map(|number| {
                let action = shape.action.read(target, table.wrapping_add(number * size))?;
                Ok(Softirq { number, name: name(number).unwrap_or_default(), action })
            })
            .collect()
    }

    /// The addresses that the vectors of the interrupt descriptor table lead to, by vector.
    ///
    /// # Errors
    /// A missing symbol or type; each vector can have a fault of its own.
    pub fn idt(&self) -> Result<Vec<Result<u64>>> {
        let target = self.target();
        let shape = &self.shapes().gate;
        let table = self.shapes().irq_tables.gates.address()?;
        let size = shape.sizeof()?;
        let gate = |at: u64| -> Result<u64> {
            let gate = shape.at(target, at);
            Ok(gate.offset_low()? | gate.offset_middle()? << 16 | gate.offset_high()? << 32)
        };
        Ok((0..VECTORS).map(|vector| gate(table.wrapping_add(vector * size))).collect())
    }
}

impl<'k> Irq<'k> {
    fn shape(&self) -> &'k crate::shapes::IrqDesc {
        &self.kernel.shapes().irq_desc
    }

    fn text(&self, pointer: u64) -> Result<String> {
        if pointer == 0 {
            return Ok(String::new());
        }
        Ok(self.kernel.target().read_cstr(pointer, MAX_NAME)?)
    }

    /// The flow: `edge`, `fasteoi`; empty when it has no name.
    ///
    /// # Errors
    /// A fault.
    pub fn flow(&self) -> Result<String> {
        self.text(self.shape().name.read(self.kernel.target(), self.address)?)
    }

    /// The name of its controller; empty without one.
    ///
    /// # Errors
    /// A fault.
    pub fn chip(&self) -> Result<String> {
        let target = self.kernel.target();
        let chip = self.shape().chip.read(target, self.address)?;
        if chip == 0 {
            return Ok(String::new());
        }
        self.text(self.kernel.shapes().irq_chip.name.read(target, chip)?)
    }

    /// Its number at its controller.
    ///
    /// # Errors
    /// A fault.
    pub fn hwirq(&self) -> Result<u64> {
        self.shape().hwirq.read(self.kernel.target(), self.address)
    }

    /// Its handlers, in the order in which they are called. An `Err` ends them.
    pub fn actions(&self) -> Vec<Result<Action>> {
        let (target, shape) = (self.kernel.target(), &self.kernel.shapes().irq_action);
        let start = self.shape().action.read(target, self.address);
        let (first, next) = match (start, shape.next.offset()) {
            (Ok(0), _) => return Vec::new(),
            (Ok(first), Ok(next)) => (first, next),
            (Err(error), _) | (_, Err(error)) => return vec![Err(error)],
        };
        chain(target, first, next)
            .map(|at| {
                let address = at?;
                let action = shape.at(target, address);
                Ok(Action {
                    address,
                    name: action.name().and_then(|name| self.text(name)),
                    handler: action.handler()?,
                    thread_fn: action.thread_fn().unwrap_or(0),
                    flags: action.flags()?,
                    dev_id: action.dev_id()?,
                })
            })
            .collect()
    }

    /// The CPUs that may be interrupted.
    ///
    /// # Errors
    /// A fault, or a missing member.
    pub fn affinity(&self) -> Result<Vec<u32>> {
        let field = &self.shape().affinity;
        let mask = match field.form() {
            Some(Form::Pointer) => field.read(self.kernel.target(), self.address)?,
            _ => field.address(self.address)?,
        };
        // A mask is only as long as this machine has CPUs; beyond lies something else.
        let target = self.kernel.target();
        let mut cpus = Vec::new();
        for cpu in 0..self.kernel.per_cpu_offsets().len() as u32 {
            let bits = 8 * target.pointer_size();
            let word = target.read_pointer_at(mask, (cpu / bits).into())?;
            if word >> (cpu % bits) & 1 == 1 {
                cpus.push(cpu);
            }
        }
        Ok(cpus)
    }

    /// How often it occurred on a CPU.
    ///
    /// # Errors
    /// A fault, or a missing member.
    pub fn count(&self, cpu: u32) -> Result<u64> {
        let target = self.kernel.target();
        let counts = &self.shape().counts;
        let at = counts.read(target, self.address)?.wrapping_add(self.kernel.cpu_base(cpu)?);
        match counts.form() {
            Some(Form::Structs) => self.kernel.shapes().irq_stat.at(target, at).count(),
            _ => Ok(counts.named(target.read_u32(at))?.into()),
        }
    }
}
