//! include/linux/irq.h, irqdesc.h, interrupt.h, arch/x86/include/asm/desc_defs.h

shapes! {
    /// An interrupt line.
    IrqDesc = "irq_desc" {
        number: "irq_data.irq",
        hwirq: "irq_data.hwirq",
        chip: "irq_data.chip",
        affinity?o: "irq_common_data.affinity" | "irq_data.affinity",
        action: "action",
        handle_irq: "handle_irq",
        name: "name",
        depth: "depth",
        counts?o: "kstat_irqs",
    }
    /// A handler of an interrupt.
    IrqAction = "irqaction" {
        handler: "handler",
        thread_fn?o: "thread_fn",
        dev_id: "dev_id",
        next: "next",
        flags: "flags",
        name: "name",
    }
    /// An interrupt controller.
    IrqChip = "irq_chip" {
        name: "name",
    }
    /// The count of an interrupt on a CPU since 6.10; a plain number before.
    IrqStat = "irqstat" {
        count?o: "cnt",
    }
    /// A handler of a softirq.
    SoftirqAction = "softirq_action" {
        action: "action",
    }
    /// A gate of the interrupt descriptor table.
    Gate = "gate_struct" {
        offset_low: "offset_low",
        segment: "segment",
        offset_middle: "offset_middle",
        offset_high: "offset_high",
    }
}
