//! Disks and what they have been asked to do (block/blk-mq.c, block/genhd.c).

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    list::{chain, list},
    shape::Form,
    xarray,
};

/// Chains of the map of disks, and bits of a device number below its major (block/genhd.c).
const CHAINS: u64 = 255;
const MINOR_BITS: u32 = 20;
/// The most inodes of block devices that are looked at.
const MAX_INODES: usize = 1_000_000;
/// More queues than any hardware has.
const MAX_QUEUES: u64 = 1 << 16;
/// More requests than a queue can hold (BLK_MQ_MAX_DEPTH is 10240).
const MAX_TAGS: u64 = 1 << 16;
/// `MQ_RQ_IN_FLIGHT`.
const IN_FLIGHT: u64 = 1;
/// Whether an operation writes (`op_is_write`).
const WRITES: u64 = 1;

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Virtual address of the `struct gendisk`.
    pub address: u64,
    /// Its major number.
    pub major: u64,
    /// `vda`
    pub name: String,
    /// Virtual address of its `struct request_queue`.
    pub queue: u64,
}

/// Requests that were handed to a disk and have not come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InFlight {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
}

impl Kernel {
    /// All disks, the oldest first, and what could not be read. Every disk has a block device, whose inode
    /// is in the file system of block devices; until 5.10 there was a map of them, and only block devices
    /// in use had an inode.
    pub fn disks(&self) -> (Vec<Disk>, Vec<Error>) {
        let (mut disks, mut errors) = (Vec::<Disk>::new(), Vec::new());
        let found = match self.shapes().device_tables.disks.address() {
            Ok(map) => self.mapped_disks(map, &mut disks, &mut errors),
            Err(_) => self.look_for_disks(&mut disks, &mut errors),
        };
        errors.extend(found.err());
        // The list of inodes has the newest first.
        disks.reverse();
        (disks, errors)
    }

    /// The disks in the map by number.
    fn mapped_disks(&self, map: u64, disks: &mut Vec<Disk>, errors: &mut Vec<Error>) -> Result<()> {
        let (target, shapes) = (self.target(), self.shapes());
        let probes = shapes.kobj_map.probes.address(target.read_pointer(map)?)?;
        let next = shapes.probe.next.offset()?;
        for bucket in 0..CHAINS {
            let first = target.read_pointer_at(probes, bucket)?;
            for entry in chain(target, first, next).take(if first == 0 { 0 } else { MAX_INODES }) {
                let disk = entry.and_then(|at| {
                    let probe = shapes.probe.at(target, at);
                    let (number, address) = (probe.number()?, probe.data()?);
                    // Who makes disks on demand stands there without one.
                    let major = if address == 0 { None } else { self.disk_at(address).ok() };
                    Ok(major.filter(|disk| disk.major == number >> MINOR_BITS))
                });
                match disk {
                    Ok(Some(disk)) if disks.iter().all(|known| known.address != disk.address) => {
                        disks.push(disk);
                    }
                    Ok(_) => {}
                    Err(error) => errors.push(error),
                }
            }
        }
        Ok(())
    }

    fn disk_at(&self, address: u64) -> Result<Disk> {
        let disk = self.shapes().gendisk.at(self.target(), address);
        let (major, name, queue) = (disk.major()?, disk.text(|s| &s.name)?, disk.queue()?);
        Ok(Disk { address, major, name, queue })
    }

    fn look_for_disks(&self, disks: &mut Vec<Disk>, errors: &mut Vec<Error>) -> Result<()> {
        let (target, shapes) = (self.target(), self.shapes());
        let superblock = target.read_pointer(shapes.device_tables.block_superblock.address()?)?;
        let head = shapes.super_block.inodes.address(superblock)?;
        let link = shapes.inode.on_superblock.offset()?;
        let within = shapes.bdev_inode.inode.offset()?;
        let device = shapes.bdev_inode.device.offset()?;
        let disk = |at: u64| -> Result<Option<Disk>> {
            let at = at.wrapping_sub(link).wrapping_sub(within).wrapping_add(device);
            let address = shapes.block_device.at(target, at).disk()?;
            if address == 0 { Ok(None) } else { self.disk_at(address).map(Some) }
        };
        for entry in list(target, head).take(MAX_INODES) {
            match entry.and_then(disk) {
                // Partitions lead to the same disk.
                Ok(Some(disk)) if disks.iter().all(|known| known.address != disk.address) => {
                    disks.push(disk);
                }
                Ok(_) => {}
                Err(error) => errors.push(error),
            }
        }
        Ok(())
    }

    /// The requests that a disk has not answered. Of one that has no queue of requests (device mapper, MD),
    /// what its counters say.
    ///
    /// # Errors
    /// A fault.
    pub fn in_flight(&self, disk: &Disk) -> Result<InFlight> {
        let (target, shapes) = (self.target(), self.shapes());
        let queue = shapes.request_queue.at(target, disk.queue);
        if queue.operations()? == 0 {
            return self.counted(disk);
        }
        let mut found = InFlight::default();
        let mut seen = Vec::new();
        for hardware in self.hardware_queues(disk.queue)? {
            let tags = shapes.hardware_queue.at(target, hardware).tags()?;
            // Queues may share one set.
            if tags == 0 || seen.contains(&tags) {
                continue;
            }
            seen.push(tags);
            let tags = shapes.tags.at(target, tags);
            let (first, count) = (tags.requests()?, tags.count()?.min(MAX_TAGS));
            for tag in 0..count {
                let at = target.read_pointer_at(first, tag)?;
                if at == 0 {
                    continue;
                }
                let request = shapes.request.at(target, at);
                if request.queue()? != disk.queue || request.state()? != IN_FLIGHT {
                    continue;
                }
                match request.flags()? & WRITES {
                    0 => found.reads += 1,
                    _ => found.writes += 1,
                }
            }
        }
        Ok(found)
    }

    /// The hardware queues (`struct blk_mq_hw_ctx`) of a queue of requests.
    pub(crate) fn hardware_queues(&self, queue: u64) -> Result<Vec<u64>> {
        let (target, shapes) = (self.target(), self.shapes());
        let shape = &shapes.request_queue;
        if shape.queues.form() == Some(Form::Radix) {
            let layout = xarray::Layout::of(self)?;
            let entries = xarray::entries(target, layout, shape.queues.address(queue)?);
            return entries.map(|entry| entry.map(|entry| entry.raw)).collect();
        }
        let queue = shape.at(target, queue);
        let (first, count) = (queue.queues()?, queue.count()?.min(MAX_QUEUES));
        let all = (0..count).map(|index| Ok(target.read_pointer_at(first, index)?));
        all.filter(|found| *found != Ok(0)).collect()
    }

    fn counted(&self, disk: &Disk) -> Result<InFlight> {
        let (target, shapes) = (self.target(), self.shapes());
        let counters = match shapes.gendisk.whole.form() {
            Some(Form::Embedded) => {
                let part = shapes.gendisk.whole.address(disk.address)?;
                shapes.disk_part.at(target, part).counters()?
            }
            _ => {
                let part = shapes.gendisk.at(target, disk.address).whole()?;
                shapes.block_device.at(target, part).counters()?
            }
        };
        let mut sums = [0u64; 2];
        for cpu in self.possible_cpus() {
            let at = counters.wrapping_add(self.cpu_base(cpu)?);
            let counts = shapes.disk_stats.in_flight.address(at)?;
            for (index, sum) in (0..).zip(&mut sums) {
                *sum = sum.wrapping_add(target.read_pointer_at(counts, index)?);
            }
        }
        let [reads, writes] = sums;
        Ok(InFlight { reads, writes })
    }
}
