//! Interrupts: descriptors, handlers, and the tables that lead to code.

use super::{Area, Checker, Class};
use crate::shape::Field;

pub(super) static AREA: Area = Area {
    name: "irq",
    about: "\
every interrupt's descriptor has the number of its place, a controller and handlers that are code; \
the interrupt descriptor table, the softirqs and the system call table lead to code",
    run,
};

fn run(checker: &mut Checker<'_>) {
    descriptors(checker);
    tables(checker);
}

fn descriptors(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let (target, shapes) = (kernel.target(), kernel.shapes());
    let (irqs, errors) = match kernel.irqs() {
        Ok(found) => found,
        Err(error) => return checker.unread("interrupts", 1, Some(&error)),
    };
    for error in &errors {
        checker.walk("descriptors", "interrupts", "table of interrupts", 0, error);
    }
    for irq in irqs {
        checker.count("interrupts", 1);
        let name = format!("irq_desc {:x} (interrupt {})", irq.address, irq.number);
        let known = |field: &Field| field.read(target, irq.address).ok();
        let shape = &shapes.irq_desc;
        if let Some(number) = known(&shape.number)
            && number != irq.number
        {
            let at = shape.number.address(irq.address).unwrap_or(irq.address);
            checker
                .find(
                    "number",
                    Class::Value,
                    name.clone(),
                    at,
                    "its number is not that of its place",
                )
                .start(irq.address)
                .values(irq.number, number);
        }
        let mut wrong = |start: u64, field: &Field, found: u64, text: &str| {
            let at = field.address(start).unwrap_or(start);
            checker
                .find("handler", Class::Pointer, name.clone(), at, text)
                .start(start)
                .found(found);
        };
        if let Some(handle) = known(&shape.handle_irq)
            && handle != 0
            && !target.is_text(handle)
        {
            wrong(irq.address, &shape.handle_irq, handle, "its flow handler is no code");
        }
        if let Some(chip) = known(&shape.chip)
            && chip != 0
            && target.read_pointer(chip).is_err_and(|fault| super::no_address(&fault))
        {
            wrong(irq.address, &shape.chip, chip, "its controller cannot be read");
        }
        if let Some(depth) = known(&shape.depth)
            && depth > 1 << 16
        {
            wrong(irq.address, &shape.depth, depth, "it is disabled more often than anybody can");
        }
        let mut lacking = None;
        for action in irq.actions() {
            let action = match action {
                Ok(action) => action,
                Err(error) if error.fault().is_some_and(|fault| !super::no_address(fault)) => {
                    lacking = Some(error);
                    continue;
                }
                Err(_) => {
                    let found = known(&shape.action).unwrap_or(0);
                    wrong(irq.address, &shape.action, found, "its handlers cannot be read");
                    continue;
                }
            };
            let shape = &shapes.irq_action;
            for field in [&shape.handler, &shape.thread_fn] {
                if let Ok(function) = field.read(target, action.address)
                    && function != 0
                    && !target.is_text(function)
                {
                    wrong(action.address, field, function, "a handler is no code");
                }
            }
        }
        if let Some(error) = &lacking {
            checker.unread("handlers", 1, Some(error));
        }
    }
}

fn tables(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let target = kernel.target();
    if let (Ok(gates), Ok(first), Ok(size)) =
        (kernel.idt(), kernel.shapes().irq_tables.gates.address(), kernel.shapes().gate.sizeof())
    {
        for (vector, gate) in (0u64..).zip(gates) {
            let Ok(address) = gate else { continue };
            checker.count("gates", 1);
            if address != 0 && !target.is_text(address) {
                let at = first.wrapping_add(vector * size);
                checker
                    .find(
                        "idt",
                        Class::Pointer,
                        format!("idt_table, vector {vector:#x}"),
                        at,
                        "a gate leads to what is no code",
                    )
                    .start(at)
                    .found(address);
            }
        }
    }
    if let (Ok(softirqs), Ok(first)) =
        (kernel.softirqs(), kernel.shapes().irq_tables.softirqs.address())
    {
        for softirq in softirqs {
            if softirq.action != 0 && !target.is_text(softirq.action) {
                let at = first.wrapping_add(softirq.number * u64::from(target.pointer_size()));
                checker
                    .find(
                        "softirq",
                        Class::Pointer,
                        format!("softirq_vec, {}", softirq.name),
                        at,
                        "a softirq's action is no code",
                    )
                    .start(first)
                    .found(softirq.action);
            }
        }
    }
    system_calls(checker);
}

/// Entries of the system call table: up to the next symbol, where nearly all lead to code.
fn system_calls(checker: &mut Checker<'_>) {
    const MOST: u64 = 4096;
    let kernel = checker.kernel;
    let target = kernel.target();
    let Ok(table) = kernel.symbol("sys_call_table") else { return };
    let end = target.kernel().symbols.next(table).map_or(table, |next| next.address);
    let count = (end.saturating_sub(table) / u64::from(target.pointer_size())).min(MOST);
    let entry = |number: u64| target.read_pointer_at(table, number).ok();
    let known = (0..count).rev().find(|number| entry(*number).is_some_and(|at| target.is_text(at)));
    for number in 0..known.map_or(0, |last| last + 1) {
        let Some(address) = entry(number) else { continue };
        checker.count("system calls", 1);
        let begins = target.locate(address).is_some_and(|found| found.offset == 0);
        if !target.is_text(address) || !begins {
            let at = table.wrapping_add(number * u64::from(target.pointer_size()));
            checker
                .find(
                    "system_call",
                    Class::Pointer,
                    format!("sys_call_table, call {number}"),
                    at,
                    "a system call is not the start of a function",
                )
                .start(table)
                .found(address);
        }
    }
}
