//! The tree of devices (`sys/ddi_impldefs.h`).

use std::collections::HashSet;

use crate::{Error, Kernel, Result, list::Walk};

/// Most devices, and how deep they lie.
const MAX_DEVICES: usize = 100_000;

/// A device of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Address of its `struct dev_info`.
    pub address: u64,
    /// How many devices are above it.
    pub depth: usize,
    /// Its node's name.
    pub name: String,
    /// Its number among those of its driver; none is bound to some.
    pub instance: Option<u64>,
}

impl Kernel {
    /// All devices, each behind its parent, and what stopped the walk.
    pub fn devices(&self) -> (Vec<Device>, Walk) {
        let shape = &self.shapes().dev_info;
        let mut walk = Walk::default();
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let mut waiting = match self.pointer("top_devinfo") {
            Ok(top) => vec![(top, 0)],
            Err(error) => {
                walk.problem = Some(error);
                Vec::new()
            }
        };
        while let Some((at, depth)) = waiting.pop() {
            if at == 0 {
                continue;
            }
            if !seen.insert(at) || found.len() >= MAX_DEVICES {
                walk.problem = Some(Error::Damaged(format!("devices run in a circle at {at:x}")));
                continue;
            }
            let read = || -> Result<(Device, u64, u64)> {
                let name = match shape.name.get(self, at)? {
                    0 => String::new(),
                    text => self.read_string(text, 256)?,
                };
                let number = shape.instance.get(self, at)?;
                let instance = (number as u32 != u32::MAX).then_some(number);
                let device = Device { address: at, depth, name, instance };
                Ok((device, shape.child.get(self, at)?, shape.sibling.get(self, at)?))
            };
            match read() {
                Ok((device, child, sibling)) => {
                    walk.found.push(at);
                    found.push(device);
                    waiting.push((sibling, depth));
                    waiting.push((child, depth + 1));
                }
                Err(error) => walk.problem = Some(error),
            }
        }
        (found, walk)
    }
}
