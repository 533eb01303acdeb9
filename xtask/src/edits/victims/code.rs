//! Modules, and code.

use necropsy_linux::Kernel;

use super::{super::Random, Victim, victim};

pub(super) fn module_state(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let module = random.one_of(kernel.modules().0)?;
    let shape = &kernel.shapes().module;
    let object = format!("module {}", module.name);
    victim("module_state", object, module.address, shape.sizeof().ok()?, &shape.state)
}

/// A byte of a function, where the kernel's file tells what it should be.
pub(super) fn text(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let target = kernel.target();
    target.debug(target.kernel())?;
    let (start, end) = (kernel.symbol("_stext").ok()?, kernel.symbol("_etext").ok()?);
    let address = start + random.below(end.checked_sub(start)?);
    let symbol = target.locate(address)?.symbol;
    let next = target.kernel().symbols.next(address)?.address;
    Some(bytes("text", symbol.name, symbol.address, next - symbol.address, address, 1))
}

/// An instruction that a table names.
fn site(kernel: &Kernel, random: &mut Random, table: &str, size: u64) -> Option<u64> {
    let start = kernel.symbol(&format!("__start_{table}")).ok()?;
    let end = kernel.symbol(&format!("__stop_{table}")).ok()?;
    let at = start + random.below(end.checked_sub(start)? / size) * size;
    let offset = kernel.target().read_u32(at).ok()?;
    let site = at.wrapping_add(i64::from(offset as i32) as u64);
    let within = |first: &str, last: &str| {
        Some(kernel.symbol(first).ok()? <= site && site < kernel.symbol(last).ok()?)
    };
    (within("_stext", "_etext")? && !within("__init_begin", "__init_end")?).then_some(site)
}

fn site_victim(kernel: &Kernel, kind: &'static str, site: u64) -> Option<Victim> {
    let symbol = kernel.target().locate(site)?.symbol;
    let next = kernel.target().kernel().symbols.next(site)?.address;
    Some(bytes(kind, symbol.name, symbol.address, next - symbol.address, site, 1))
}

pub(super) fn static_call(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let site = site(kernel, random, "static_call_sites", 8)?;
    site_victim(kernel, "static_call", site)
}

pub(super) fn static_branch(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let site = site(kernel, random, "__jump_table", 16)?;
    site_victim(kernel, "static_branch", site)
}

fn bytes(
    kind: &'static str,
    object: &str,
    start: u64,
    extent: u64,
    address: u64,
    size: u64,
) -> Victim {
    Victim {
        kind,
        object: object.to_owned(),
        start,
        extent,
        address,
        size,
        low_byte: 0,
        page: false,
        relatives: Vec::new(),
    }
}
