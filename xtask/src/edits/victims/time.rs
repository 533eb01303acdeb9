//! Timers, interrupts, tables of entries into the kernel.

use necropsy_linux::Kernel;

use super::{super::Random, Victim, victim};

pub(super) fn timer_function(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let mut timers = Vec::new();
    for cpu in kernel.possible_cpus() {
        for wheel in kernel.timer_wheels(cpu).ok()? {
            timers.extend(kernel.wheel_timers(&wheel).ok()?.0);
        }
    }
    let timer = *random.one_of(&timers.iter().map(|timer| timer.address).collect::<Vec<_>>())?;
    let shape = &kernel.shapes().timer_list;
    victim("timer_function", "timer_list".into(), timer, shape.sizeof().ok()?, &shape.function)
}

pub(super) fn hrtimer_expires(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let mut timers = Vec::new();
    for cpu in kernel.possible_cpus() {
        for base in kernel.clock_bases(cpu).ok()? {
            timers.extend(kernel.clock_timers(&base).ok()?.0);
        }
    }
    let timer = *random.one_of(&timers.iter().map(|timer| timer.address).collect::<Vec<_>>())?;
    let shape = &kernel.shapes().hrtimer;
    victim("hrtimer_expires", "hrtimer".into(), timer, shape.sizeof().ok()?, &shape.function)
}

pub(super) fn irq_number(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let (irqs, _) = kernel.irqs().ok()?;
    let irq = *random.one_of(&irqs.iter().map(|irq| irq.address).collect::<Vec<_>>())?;
    let shape = &kernel.shapes().irq_desc;
    victim("irq_number", "irq_desc".into(), irq, shape.sizeof().ok()?, &shape.number)
}

pub(super) fn irq_handler(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let (irqs, _) = kernel.irqs().ok()?;
    let actions: Vec<u64> =
        irqs.iter().flat_map(|irq| irq.actions()).flatten().map(|action| action.address).collect();
    let action = *random.one_of(&actions)?;
    let shape = &kernel.shapes().irq_action;
    victim("irq_handler", "irqaction".into(), action, shape.sizeof().ok()?, &shape.handler)?.low(4)
}

pub(super) fn gate(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let table = kernel.shapes().irq_tables.gates.address().ok()?;
    let shape = &kernel.shapes().gate;
    let size = shape.sizeof().ok()?;
    let at = table + random.below(32) * size;
    victim("gate", "idt_table".into(), at, size, &shape.offset_high)
}

pub(super) fn system_call(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let table = kernel.symbol("sys_call_table").ok()?;
    let number = random.below(300);
    Some(Victim {
        kind: "system_call",
        object: format!("sys_call_table[{number}]"),
        start: table,
        extent: 8 * 450,
        address: table + number * 8,
        size: 8,
        low_byte: 0,
        page: false,
        relatives: Vec::new(),
    })
}
