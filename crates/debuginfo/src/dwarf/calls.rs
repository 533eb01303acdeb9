//! Calls: where they lead, and what they pass.

use std::sync::Arc;

use gimli::constants as dw;

use super::{
    Dwarf, Frame, Inner, Unit,
    place::{Evaluation, register_in},
    source::Die,
};

/// Entries of one function that are looked through.
const MAX_ENTRIES: usize = 1 << 18;

/// Where a call leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callee {
    /// To the function of this name.
    Named(String),
    /// To this address of the running kernel, which a pointer told.
    At(u64),
    /// Wherever a pointer led that is lost.
    Unknown,
}

/// A jump to another function in place of a call and a return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailCall {
    /// Address of the file behind the jump.
    pub address: u64,
    /// The call's entry in `.debug_info`.
    site: u32,
    /// The function's that jumps.
    function: u32,
}

/// The jumps of a function, and the names of those that they lead to.
pub(super) type Jumps = Arc<[(String, TailCall)]>;

impl Dwarf {
    /// Where the call leads that returns to `address`, as its frame tells.
    pub fn callee(&self, address: u64, caller: &dyn Frame) -> Option<Callee> {
        self.with(|inner| {
            let (unit, site) = inner.call_site(address)?;
            if let Some(name) = inner.callee_name(unit, &site) {
                return Some(Callee::Named(name));
            }
            let value = site
                .attr_value(dw::DW_AT_call_target)
                .or_else(|| site.attr_value(dw::DW_AT_GNU_call_site_target))
                .and_then(|value| value.exprloc_value());
            let at = inner.evaluation(unit, address, caller)?;
            Some(value.and_then(|value| at.number(value).ok()).map_or(Callee::Unknown, Callee::At))
        })
    }

    /// The jumps in the function at `address` that stand for calls of a function by one of these
    /// names.
    pub fn tail_calls(&self, address: u64, callee: &[String]) -> Vec<TailCall> {
        self.with(|inner| inner.tail_calls(address, callee)).unwrap_or_default()
    }

    /// As [`Dwarf::call_argument`], for such a jump. `frame` is the one of the function that jumps:
    /// all that is left of it is what it was called with.
    pub fn tail_argument(&self, call: &TailCall, register: u16, frame: &dyn Frame) -> Option<u64> {
        self.with(|inner| {
            let (unit, at) = inner.place(call.site)?;
            let site = unit.unit.entry(at).ok()?;
            let evaluation = Evaluation {
                inner,
                unit,
                function: call.function,
                address: call.address.checked_sub(1)?,
                frame,
                depth: 0,
            };
            inner.argument_of(unit, &site, &evaluation, &passed_in(register))
        })
    }

    /// The value that a call which returns to `address` put into a register, told by the frame
    /// that makes the call.
    pub fn call_argument(&self, address: u64, register: u16, caller: &dyn Frame) -> Option<u64> {
        self.with(|inner| inner.call_value(address, caller, &passed_in(register)))
    }

    /// As [`Dwarf::call_argument`], for an argument by its entry's offset in `.debug_info`.
    pub fn call_parameter(&self, address: u64, argument: u32, caller: &dyn Frame) -> Option<u64> {
        self.with(|inner| {
            inner.call_value(address, caller, &|unit, parameter| {
                let named = parameter
                    .attr_value(dw::DW_AT_call_parameter)
                    .or_else(|| parameter.attr_value(dw::DW_AT_abstract_origin));
                named.and_then(|named| inner.reference(unit, &named)) == Some(argument)
            })
        })
    }
}

/// Whether an argument is the one that is passed in a register.
fn passed_in<'a>(register: u16) -> impl Fn(&Unit<'a>, &Die<'a>) -> bool {
    move |unit, parameter| {
        let place = parameter.attr_value(dw::DW_AT_location);
        let expression = place.and_then(|place| place.exprloc_value());
        expression.and_then(|expression| register_in(unit, expression)) == Some(register)
    }
}

impl<'a> Inner<'a> {
    /// The value of the first argument of a call that `wanted` takes.
    fn call_value(
        &self,
        address: u64,
        caller: &dyn Frame,
        wanted: &dyn Fn(&Unit<'a>, &Die<'a>) -> bool,
    ) -> Option<u64> {
        let (unit, site) = self.call_site(address)?;
        let evaluation = self.evaluation(unit, address, caller)?;
        self.argument_of(unit, &site, &evaluation, wanted)
    }

    /// Of what a call passes that returns to `address`.
    fn evaluation<'e>(
        &'e self,
        unit: &'e Unit<'a>,
        address: u64,
        frame: &'e dyn Frame,
    ) -> Option<Evaluation<'e, 'a>> {
        let address = address.checked_sub(1)?;
        let function = self.index.function_at(address)?;
        Some(Evaluation { inner: self, unit, function, address, frame, depth: 0 })
    }

    fn argument_of(
        &self,
        unit: &Unit<'a>,
        site: &Die<'a>,
        evaluation: &Evaluation<'_, 'a>,
        wanted: &dyn Fn(&Unit<'a>, &Die<'a>) -> bool,
    ) -> Option<u64> {
        let mut value = None;
        self.children(unit, site.offset(), &mut |child| {
            let parameter = matches!(
                child.tag(),
                dw::DW_TAG_call_site_parameter | dw::DW_TAG_GNU_call_site_parameter
            );
            if !parameter || !wanted(unit, child) {
                return true;
            }
            value = child
                .attr_value(dw::DW_AT_call_value)
                .or_else(|| child.attr_value(dw::DW_AT_GNU_call_site_value))
                .and_then(|value| value.exprloc_value());
            false
        });
        evaluation.number(value?).ok()
    }

    /// The name of the function that a call names.
    fn callee_name(&self, unit: &Unit<'a>, site: &Die<'a>) -> Option<String> {
        let origin = site
            .attr_value(dw::DW_AT_call_origin)
            .or_else(|| site.attr_value(dw::DW_AT_abstract_origin))?;
        self.name(self.reference(unit, &origin)?)
    }

    /// Where the code of a call ends.
    fn call_address(&self, unit: &Unit<'a>, site: &Die<'a>) -> Option<u64> {
        let value = match site.tag() {
            dw::DW_TAG_call_site => site
                .attr_value(dw::DW_AT_call_return_pc)
                .or_else(|| site.attr_value(dw::DW_AT_low_pc))?,
            dw::DW_TAG_GNU_call_site => site.attr_value(dw::DW_AT_low_pc)?,
            _ => return None,
        };
        self.dwarf.attr_address(&unit.unit, value).ok()?
    }

    /// The jumps in the function at `address` to one of these.
    fn tail_calls(&self, address: u64, callee: &[String]) -> Option<Vec<TailCall>> {
        let function = self.index.function_at(address)?;
        let jumps =
            self.jumps.get(function, || self.find_jumps(function).unwrap_or_default().into());
        let wanted = jumps.iter().filter(|(name, _)| callee.contains(name));
        Some(wanted.map(|(_, jump)| *jump).collect())
    }

    /// The jumps of a function that stand for calls, with the names of the functions called.
    fn find_jumps(&self, function: u32) -> Option<Vec<(String, TailCall)>> {
        let unit = self.unit(function)?;
        let mut found = Vec::new();
        let mut entries = unit.unit.entries_at_offset(unit.local(function)?).ok()?;
        // The function itself, then all that is in it.
        let mut depth = 0isize;
        for _ in 0..MAX_ENTRIES {
            if !entries.next_entry().ok()? {
                break;
            }
            let Some(entry) = entries.current() else {
                depth -= 1;
                if depth <= 0 {
                    break;
                }
                continue;
            };
            let tail = entry.attr_value(dw::DW_AT_call_tail_call).is_some()
                || entry.attr_value(dw::DW_AT_GNU_tail_call).is_some();
            if tail
                && let (Some(name), Some(address), Some(site)) = (
                    self.callee_name(unit, entry),
                    self.call_address(unit, entry),
                    unit.global(entry.offset()),
                )
            {
                found.push((name, TailCall { address, site, function }));
            }
            depth += isize::from(entry.has_children());
            if depth == 0 {
                break;
            }
        }
        Some(found)
    }

    /// The call that returns to an address, and its unit.
    fn call_site(&self, address: u64) -> Option<(&Unit<'a>, Die<'a>)> {
        let site = self.call_sites.get(address, || self.find_call_site(address))?;
        let (unit, at) = self.place(site)?;
        Some((unit, unit.unit.entry(at).ok()?))
    }

    fn find_call_site(&self, address: u64) -> Option<u32> {
        let inside = address.checked_sub(1)?;
        let function = self.index.function_at(inside)?;
        let unit = self.unit(function)?;
        let scopes = self.scopes(unit, function, inside)?;
        // The call stands in the innermost block that holds it.
        for die in scopes.iter().rev().flat_map(|scope| scope.dies.iter().rev()) {
            let mut found = None;
            self.children(unit, unit.local(*die)?, &mut |child| {
                if self.call_address(unit, child) == Some(address) {
                    found = unit.global(child.offset());
                }
                found.is_none()
            });
            if found.is_some() {
                return found;
            }
        }
        None
    }
}
