//! Areas that are mapped page by page: vmalloc, ioremap, stacks, modules (mm/vmalloc.c).

use std::sync::OnceLock;

use crate::{
    Kernel,
    error::{Error, Result},
    list,
};

/// An area in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Its `vmap_area`.
    pub address: u64,
    /// First virtual address.
    pub start: u64,
    /// One past the last, the guard page among them.
    pub end: u64,
    /// Its `vm_struct`; 0 where there is none.
    pub vm: u64,
    /// VM_ flags (include/linux/vmalloc.h).
    pub flags: Option<u64>,
    /// Who asked for it: an address in code.
    pub caller: Option<u64>,
    /// Frames that it maps.
    pub pages: Option<u64>,
}

/// Areas by address, and what was wrong with their lists.
#[derive(Debug, Default)]
struct Known(OnceLock<Result<(Vec<Area>, Vec<Error>)>>);

/// More areas than any kernel has, over all lists.
const MAX_AREAS: usize = 16_000_000;
/// More lists of areas than CPUs.
const MAX_NODES: u64 = 8192;

impl Kernel {
    /// The areas in use, ascending by address, and what was wrong with their lists.
    ///
    /// # Errors
    /// The lists cannot be found.
    pub fn vmalloc_areas(&self) -> Result<(&[Area], &[Error])> {
        let found = self.memo::<Known>().0.get_or_init(|| self.find_areas()).as_ref();
        found.map(|(areas, errors)| (areas.as_slice(), errors.as_slice())).map_err(Clone::clone)
    }

    /// The area that an address lies in.
    pub fn vmalloc_area(&self, address: u64) -> Option<&Area> {
        let (areas, _) = self.vmalloc_areas().ok()?;
        let at = areas.partition_point(|area| area.start <= address).checked_sub(1)?;
        areas.get(at).filter(|area| address < area.end)
    }

    fn area_heads(&self) -> Result<Vec<u64>> {
        let (variables, target) = (&self.shapes().vmap_variables, self.target());
        if let Ok(list) = variables.list.address() {
            return Ok(vec![list]);
        }
        let shape = &self.shapes().vmap_node;
        let nodes = target.read_pointer(variables.nodes.address()?)?;
        let count = u64::from(target.read_u32(variables.nr_nodes.address()?)?);
        let size = shape.sizeof()?;
        let node = |number: u64| shape.head.address(nodes.wrapping_add(number * size));
        (0..count.min(MAX_NODES)).map(node).collect()
    }

    fn find_areas(&self) -> Result<(Vec<Area>, Vec<Error>)> {
        let link = self.shapes().vmap_area.list.offset()?;
        let (mut areas, mut errors) = (Vec::new(), Vec::new());
        for head in self.area_heads()? {
            for entry in list::list(self.target(), head) {
                if areas.len() + errors.len() >= MAX_AREAS {
                    break;
                }
                match entry.and_then(|at| self.area(at.wrapping_sub(link))) {
                    Ok(area) => areas.push(area),
                    Err(error) => errors.push(error),
                }
            }
        }
        areas.sort_unstable_by_key(|area| area.start);
        Ok((areas, errors))
    }

    fn area(&self, address: u64) -> Result<Area> {
        let (shapes, target) = (self.shapes(), self.target());
        let at = shapes.vmap_area.at(target, address);
        let (start, end, vm) = (at.va_start()?, at.va_end()?, at.vm().unwrap_or(0));
        let about = shapes.vm_struct.at(target, vm);
        // In an area that has none, the place is used for something else.
        let its_own = vm != 0 && about.addr().is_ok_and(|addr| addr == start);
        let known = |read: Result<u64>| read.ok().filter(|_| its_own);
        Ok(Area {
            address,
            start,
            end,
            vm: if its_own { vm } else { 0 },
            flags: known(about.flags()),
            caller: known(about.caller()),
            pages: known(about.nr_pages()),
        })
    }
}
