//! The page as text.

use std::fmt::{self, Write};

use super::facts::Facts;
use crate::{render::Size, wall};

pub(super) fn write(facts: &Facts, out: &mut dyn Write) -> fmt::Result {
    let machine = &facts.machine;
    let unknown = "(unknown)";
    let mut field = |name: &str, value: &str| writeln!(out, "{name:>12}  {value}");
    field("kernel", machine.release.as_deref().unwrap_or(unknown))?;
    field("", machine.version.as_deref().unwrap_or(unknown))?;
    let node = machine.nodename.as_deref().unwrap_or(unknown);
    match &machine.hardware {
        Some(hardware) => field("machine", &format!("{node}, {hardware}"))?,
        None => field("machine", node)?,
    }
    let memory = machine.memory_bytes.map_or(unknown.to_owned(), |b| Size(b).to_string());
    field("", &format!("{} CPUs, {memory}", machine.cpus))?;
    let uptime = machine.uptime_ns.map_or(unknown.to_owned(), wall::uptime);
    field("died", &format!("{}, up {uptime}", machine.date.as_deref().unwrap_or(unknown)))?;
    field("dump", &machine.dump)?;
    for defect in &machine.dump_defects {
        field("", defect)?;
    }
    if let Some(panic) = &machine.panic {
        field("panic", panic)?;
    }
    let letters: String = facts.taint.iter().map(|t| t.letter).collect();
    field("taint", if letters.is_empty() { "none" } else { &letters })?;
    for taint in &facts.taint {
        field("", &format!("{}  {}", taint.letter, taint.meaning))?;
    }
    for module in &facts.modules {
        field("", &format!("module {} ({})", module.name, module.taints))?;
    }

    if let Some(said) = &facts.said {
        writeln!(out, "\nWHAT THE KERNEL SAID FIRST: {}", said.title)?;
        for line in &said.lines {
            writeln!(out, "    {line}")?;
        }
        if let Some(cause) = &said.cause {
            writeln!(out, "    => {cause}")?;
        }
        for title in &said.followed_by {
            writeln!(out, "    then: {title}")?;
        }
    }

    if let Some(task) = &facts.task {
        writeln!(out, "\nTHE TASK THAT PANICKED\n    {}", task.header)?;
        if let Some(call) = &task.system_call {
            writeln!(out, "    in system call {call}")?;
        }
        for (index, function) in task.stack.iter().enumerate() {
            writeln!(out, "    {:>3} {function}", format!("#{index}"))?;
        }
        if let Some(why) = &task.stack_ended {
            writeln!(out, "    ({why})")?;
        }
        if !task.registers.is_empty() {
            writeln!(out, "\nITS REGISTERS WHEN THE KERNEL WAS INTERRUPTED")?;
        }
        for register in &task.registers {
            let line = format!(
                "    {:>4}  {:016x}  {}",
                register.name, register.value.0, register.meaning
            );
            writeln!(out, "{}", line.trim_end())?;
        }
    }

    writeln!(out, "\nCPUS")?;
    for cpu in &facts.cpus {
        let task = cpu.task.as_ref().and_then(|t| t.comm.as_deref()).unwrap_or("?");
        let mark = if cpu.panicked { "*" } else { " " };
        writeln!(out, "   {mark}{:>3}  {task:<16} {}", cpu.cpu, cpu.doing)?;
    }

    if !facts.blocked.is_empty() {
        writeln!(out, "\nBLOCKED UNINTERRUPTIBLY ({} in all)", facts.blocked_in_all)?;
    }
    for blocked in &facts.blocked {
        let comm = blocked.header.comm.as_deref().unwrap_or("?");
        let pid = blocked.header.pid.map_or("?".to_owned(), |p| p.to_string());
        let seconds = blocked.blocked_ns / 1_000_000_000;
        let stack: Vec<&str> = blocked.stack.iter().take(5).map(String::as_str).collect();
        writeln!(out, "    {comm} (pid {pid}) for {seconds} s: {}", stack.join(" < "))?;
    }

    writeln!(out, "\nEND OF THE LOG")?;
    for line in &facts.log {
        writeln!(out, "    {line}")?;
    }
    if !facts.missing.is_empty() {
        writeln!(out, "\nNOT TO BE HAD")?;
    }
    for missing in &facts.missing {
        writeln!(out, "    {missing}")?;
    }
    Ok(())
}
