//! Numbers of devices and who has them (fs/char_dev.c, block/genhd.c), areas of swap
//! (mm/swapfile.c), and queues of waiters (include/linux/wait.h).

use std::collections::BTreeMap;

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    list::{chain, list},
};

/// Chains of the tables of devices (CHRDEV_MAJOR_HASH_SIZE, BLKDEV_MAJOR_HASH_SIZE).
const CHAINS: u64 = 255;
/// Bits of a device number below its major (MINORBITS).
const MINOR_BITS: u32 = 20;
/// More areas of swap than there can be (MAX_SWAPFILES is below 32).
const MAX_SWAP_AREAS: u64 = 32;
/// `SWP_USED`, `SWP_WRITEOK` (include/linux/swap.h): both for an area in use.
const IN_USE: u64 = 3;
/// The most waiters of a queue that are looked at.
const MAX_WAITERS: usize = 1_000_000;

/// Numbers of devices that a driver has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// The major number.
    pub major: u64,
    /// What the driver calls itself.
    pub name: String,
    /// Virtual address of the `struct cdev` or `struct gendisk`; `None` without one.
    pub object: Option<u64>,
    /// Virtual address of its operations.
    pub operations: Option<u64>,
}

/// An area of swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapArea {
    /// Its number, which entries of page tables name it by.
    pub number: u64,
    /// Virtual address of its `struct swap_info_struct`.
    pub address: u64,
    /// Pages.
    pub pages: u64,
    /// Pages in use.
    pub used: u64,
    /// Areas of a higher one are filled first.
    pub priority: i64,
    /// Virtual address of the `struct file` of the partition or file.
    pub file: u64,
}

impl Kernel {
    /// Character devices by major number, and what could not be read.
    ///
    /// # Errors
    /// This kernel has no such table.
    pub fn char_devices(&self) -> Result<(Vec<Driver>, Vec<Error>)> {
        let (target, shapes) = (self.target(), self.shapes());
        let table = shapes.device_tables.char_devices.address()?;
        let next = shapes.char_device.next.offset()?;
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        let mut driver = |at: u64| -> Result<Driver> {
            let device = shapes.char_device.at(target, at);
            let (major, cdev) = (device.major()?, device.cdev()?);
            let number = major << MINOR_BITS | device.first()?;
            // Who asks for numbers only brings the device later.
            let object = Some(cdev).filter(|cdev| *cdev != 0).or_else(|| self.cdev_of(number));
            let operations = object.and_then(|at| shapes.cdev.at(target, at).operations().ok());
            Ok(Driver { major, name: device.text(|s| &s.name)?, object, operations })
        };
        for bucket in 0..CHAINS {
            match target.read_pointer_at(table, bucket)? {
                0 => {}
                first => {
                    for entry in chain(target, first, next) {
                        match entry.and_then(&mut driver) {
                            Ok(driver) => found.push(driver),
                            Err(error) => errors.push(error),
                        }
                    }
                }
            }
        }
        found.sort_by_key(|driver| driver.major);
        Ok((found, errors))
    }

    /// The `struct cdev` of a device number in the map of all of them: drivers share major numbers.
    fn cdev_of(&self, number: u64) -> Option<u64> {
        let (target, shapes) = (self.target(), self.shapes());
        let map = target.read_pointer(shapes.device_tables.cdevs.address().ok()?).ok()?;
        let probes = shapes.kobj_map.probes.address(map).ok()?;
        let first = target.read_pointer_at(probes, (number >> MINOR_BITS) % CHAINS).ok()?;
        let mine = chain(target, first, shapes.probe.next.offset().ok()?)
            .map_while(Result::ok)
            .filter_map(|at| {
                let probe = shapes.probe.at(target, at);
                Some((probe.number().ok()?, probe.data().ok()?))
            })
            .find(|(start, data)| *start == number && *data != 0);
        mine.map(|(_, data)| data)
    }

    /// Block devices by major number, each with its last disk, and what could not be read.
    ///
    /// # Errors
    /// This kernel has no such table.
    pub fn block_devices(&self) -> Result<(Vec<Driver>, Vec<Error>)> {
        let (target, shapes) = (self.target(), self.shapes());
        let table = shapes.device_tables.block_majors.address()?;
        let next = shapes.block_major.next.offset()?;
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        let (all, unread) = self.disks();
        errors.extend(unread);
        // Of several disks with one major number, crash has the one that came last.
        let disks: BTreeMap<u64, u64> =
            all.into_iter().map(|disk| (disk.major, disk.address)).collect();
        for bucket in 0..CHAINS {
            let first = target.read_pointer_at(table, bucket)?;
            if first == 0 {
                continue;
            }
            for entry in chain(target, first, next) {
                let driver = entry.and_then(|at| {
                    let entry = shapes.block_major.at(target, at);
                    let major = entry.major()?;
                    let object = disks.get(&major).copied();
                    let operations =
                        object.and_then(|at| shapes.gendisk.at(target, at).operations().ok());
                    Ok(Driver { major, name: entry.text(|s| &s.name)?, object, operations })
                });
                match driver {
                    Ok(driver) => found.push(driver),
                    Err(error) => errors.push(error),
                }
            }
        }
        Ok((found, errors))
    }

    /// The areas of swap in use, and what could not be read.
    ///
    /// # Errors
    /// A fault. A kernel without swap has none.
    pub fn swap_areas(&self) -> Result<(Vec<SwapArea>, Vec<Error>)> {
        let (target, shapes) = (self.target(), self.shapes());
        let tables = &shapes.device_tables;
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        let (Ok(table), Ok(count)) = (tables.swap.address(), tables.swap_count.address()) else {
            return Ok((found, errors));
        };
        let count = u64::from(target.read_u32(count)?).min(MAX_SWAP_AREAS);
        for number in 0..count {
            let area = || -> Result<Option<SwapArea>> {
                let area = shapes.swap_info.at(target, target.read_pointer_at(table, number)?);
                if area.address == 0 || area.flags()? & IN_USE != IN_USE {
                    return Ok(None);
                }
                Ok(Some(SwapArea {
                    number,
                    address: area.address,
                    pages: area.pages()?,
                    used: area.used()?,
                    priority: area.signed(|s| &s.priority)?,
                    file: area.file()?,
                }))
            };
            match area() {
                Ok(area) => found.extend(area),
                Err(error) => errors.push(error),
            }
        }
        Ok((found, errors))
    }

    /// The tasks that wait on a `wait_queue_head`, and what could not be read.
    ///
    /// # Errors
    /// This kernel has no such queues.
    pub fn waiters(&self, queue: u64) -> Result<(Vec<u64>, Vec<Error>)> {
        let (target, shapes) = (self.target(), self.shapes());
        let link = shapes.wait_queue_entry.list.offset()?;
        let (mut tasks, mut errors) = (Vec::new(), Vec::new());
        for entry in list(target, shapes.wait_queue_head.head.address(queue)?).take(MAX_WAITERS) {
            let task = entry.and_then(|entry| {
                shapes.wait_queue_entry.at(target, entry.wrapping_sub(link)).task()
            });
            match task {
                Ok(task) => tasks.push(task),
                Err(error) => errors.push(error),
            }
        }
        Ok((tasks, errors))
    }
}
