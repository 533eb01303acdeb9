//! Zones (`sys/zone.h`).

use crate::{Kernel, Result, list::Walk};

/// Status words, by number.
pub const STATUS: [&str; 9] = [
    "uninitialized",
    "initialized",
    "ready",
    "booting",
    "running",
    "shutting_down",
    "empty",
    "down",
    "dying",
];

/// A zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Address of its `zone_t`.
    pub address: u64,
    /// Its number.
    pub id: i64,
    /// Its status.
    pub status: String,
    /// Its name.
    pub name: String,
    /// Path of its root.
    pub path: String,
}

impl Kernel {
    /// Addresses of all zones.
    pub fn zones(&self) -> Walk {
        match self.address_of("zone_active") {
            Ok(list) => self.list(list),
            Err(error) => Walk { found: Vec::new(), problem: Some(error) },
        }
    }

    /// A zone by its address.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn zone(&self, address: u64) -> Result<Zone> {
        let shape = &self.shapes().zone;
        let status = shape.status.get(self, address)?;
        let string = |field: crate::shapes::Field| -> Result<String> {
            match field.get(self, address)? {
                0 => Ok("-".into()),
                at => Ok(self.read_string(at, 1024)?),
            }
        };
        // The kernel has a word more than it had: the last one is "dead" everywhere.
        let word = self
            .types()
            .enumerator("ZONE_IS_DEAD")
            .filter(|(dead, _)| *dead as u64 == status)
            .map_or_else(|| STATUS.get(status as usize).copied().unwrap_or("dead"), |_| "dead");
        Ok(Zone {
            address,
            id: shape.id.signed(self, address)?,
            status: word.into(),
            name: string(shape.name)?,
            path: string(shape.rootpath)?,
        })
    }
}
