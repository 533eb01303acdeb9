//! Interrupts.

use necropsy_rows::{Hex, row};

row! {
    /// A handler of an interrupt: `struct irqaction`.
    #[derive(Debug)]
    pub struct ActionRow {
        /// Its `struct irqaction`.
        pub irqaction: Hex,
        /// The name that the driver gave, as /proc/interrupts shows it.
        pub name: Option<String>,
        /// The function called when the interrupt occurs.
        pub handler: Hex,
        /// The handler's name.
        pub handler_name: Option<String>,
        /// The function that runs in a thread of its own; 0 if there is none.
        pub thread_fn: Hex,
        /// IRQF_ flags (include/linux/interrupt.h).
        pub flags: Hex,
        /// The driver's cookie.
        pub dev_id: Hex,
    }

    /// An interrupt number with its descriptor and handlers.
    #[derive(Debug)]
    pub struct IrqRow {
        /// Linux's number of the interrupt.
        pub irq: u64,
        /// Its `struct irq_desc`; `null` for a number that is not in use.
        pub irq_desc: Option<Hex>,
        /// Handlers, in the order in which they are called.
        pub actions: Vec<ActionRow>,
    }

    /// An entry of the interrupt descriptor table (`-d`).
    #[derive(Debug)]
    pub struct VectorRow {
        /// The processor's number of it.
        pub vector: usize,
        /// Where the processor goes.
        pub address: Hex,
        /// The symbol there.
        pub symbol: Option<String>,
    }

    /// A softirq (`-b`).
    #[derive(Debug)]
    pub struct SoftirqRow {
        /// Its number.
        pub softirq: u64,
        /// Its name.
        pub name: String,
        /// The function that it calls.
        pub action: Hex,
        /// The function's name.
        pub function: Option<String>,
    }

    /// The CPUs that an interrupt may go to (`-a`).
    #[derive(Debug)]
    pub struct AffinityRow {
        /// Linux's number of the interrupt.
        pub irq: u64,
        /// Names of its handlers, with commas between.
        pub names: String,
        /// The CPUs.
        pub cpus: Option<Vec<u32>>,
    }

    /// How often an interrupt occurred (`-s`).
    #[derive(Debug)]
    pub struct CountRow {
        /// Linux's number of the interrupt.
        pub irq: u64,
        /// How often, on each CPU that was asked for in turn.
        pub counts: Vec<Option<u64>>,
        /// The interrupt controller.
        pub chip: String,
        /// How the interrupt is signalled: `edge`, `fasteoi`.
        pub flow: String,
        /// Names of its handlers, with commas between.
        pub names: String,
    }
}
