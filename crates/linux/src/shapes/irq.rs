//! include/linux/irq.h, irqdesc.h, interrupt.h, arch/x86/include/asm/desc_defs.h

shapes! {
    /// An interrupt line.
    IrqDesc = "irq_desc" for irq {
        number: "irq_data.irq",
        hwirq: "irq_data.hwirq",
        chip: "irq_data.chip",
        // A mask of one CPU set, or a pointer to one with CONFIG_CPUMASK_OFFSTACK; in irq_data
        // until 4.2.
        affinity: maybe pointer "irq_common_data.affinity" | embedded "irq_common_data.affinity"
            | pointer "irq_data.affinity" | embedded "irq_data.affinity",
        action: "action",
        handle_irq: "handle_irq",
        name: "name",
        depth: "depth",
        counts: maybe structs "kstat_irqs" | numbers "kstat_irqs", // irqstat since 6.10
    }
    /// A handler of an interrupt.
    IrqAction = "irqaction" for irq {
        handler: "handler",
        thread_fn: maybe "thread_fn",
        dev_id: "dev_id",
        next: "next",
        flags: "flags",
        name: "name",
    }
    /// An interrupt controller.
    IrqChip = "irq_chip" for irq {
        name: "name",
    }
    /// The count of an interrupt on a CPU since 6.10; a plain number before.
    IrqStat = "irqstat" for irq {
        count: maybe "cnt",
    }
    /// A handler of a softirq.
    SoftirqAction = "softirq_action" for irq {
        action: "action",
    }
    /// A gate of the interrupt descriptor table.
    Gate = "gate_struct" for irq {
        offset_low: "offset_low",
        segment: "segment",
        offset_middle: "offset_middle",
        offset_high: "offset_high",
    }
}

variables! {
    /// Where the descriptors of interrupts are.
    IrqTables = "tables of interrupts" for irq {
        // Since 6.5; before; without CONFIG_SPARSE_IRQ.
        descriptors: maple "sparse_irqs" | radix "irq_desc_tree" | table "irq_desc",
        limit: "total_nr_irqs" | "nr_irqs",                 // renamed in 6.13
        softirqs: "softirq_vec",
        softirq_names: maybe "softirq_to_name",
        gates: "idt_table",
    }
}

constants! {
    /// How many kinds of softirq there are.
    Softirqs = "kinds of softirq" for irq {
        count: "NR_SOFTIRQS",
    }
}
