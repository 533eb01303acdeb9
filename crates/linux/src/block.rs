//! Requests to block devices (block/blk-mq.c): those that have been given out and not come back.

use std::collections::HashSet;

use crate::{
    Kernel,
    disk::Disk,
    error::{Error, Result, or_missing},
    shapes::Form,
};

/// A request that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its `struct request`.
    pub address: u64,
    /// What it does: `read`, `write`, `flush`.
    pub operation: String,
    /// The first sector, of 512 bytes.
    pub sector: u64,
    /// Bytes that are left of it.
    pub bytes: u64,
    /// The number of the queue of the hardware.
    pub queue: u32,
    /// `waiting`: not yet given to the driver; `in_flight`; `complete`: about to be told. `None` where
    /// that cannot be read, or is none of them.
    pub state: Option<&'static str>,
    /// Nanoseconds of CLOCK_MONOTONIC at which it was made; `None` where the kernel does not note it.
    pub began_ns: Option<u64>,
    /// And at which it was given to the driver.
    pub sent_ns: Option<u64>,
    /// `struct page`s of what it moves.
    pub pages: Vec<u64>,
    /// What is told when it is done: functions and their data, of each of its parts.
    pub told: Vec<(u64, u64)>,
}

/// More of anything here than there is.
const MAX_TAGS: u64 = 65_536;
const MAX_BIOS: usize = 4096;
const MAX_VECTORS: u64 = 4096;

/// What a request does, by the lowest byte of its flags (include/linux/blk_types.h).
fn operation(flags: u64) -> String {
    let name = match flags & 0xff {
        0 => "read",
        1 => "write",
        2 => "flush",
        3 => "discard",
        5 => "secure_erase",
        7 => "zone_append",
        9 => "write_zeroes",
        10 => "zone_open",
        11 => "zone_close",
        12 => "zone_finish",
        13 | 15 => "zone_reset",
        34 => "driver_in",
        35 => "driver_out",
        other => return format!("operation {other}"),
    };
    name.to_owned()
}

impl Kernel {
    /// The requests of a disk that are under way, and what could not be read.
    ///
    /// # Errors
    /// The queues of its hardware cannot be found; it may have none (a device of its own kind).
    pub fn requests(&self, disk: &Disk) -> Result<(Vec<Request>, Vec<Error>)> {
        let (mut requests, mut errors) = (Vec::new(), Vec::new());
        for (number, queue) in self.hardware_queues(disk.queue)?.into_iter().enumerate() {
            // What one queue lacks is no reason to leave the others out.
            let tagged = match self.tagged(queue) {
                Err(error) if !error.is_no_such() => {
                    errors.push(error);
                    continue;
                }
                tagged => tagged?,
            };
            for request in tagged {
                let request = request.and_then(|at| self.request(at, disk, number as u32));
                match request {
                    Ok(request) => requests.extend(request),
                    Err(error) => errors.push(error),
                }
            }
        }
        // Queues may share their tags.
        requests.sort_by_key(|request| request.address);
        requests.dedup_by_key(|request| request.address);
        requests.sort_by_key(|request| request.began_ns.unwrap_or(u64::MAX));
        Ok((requests, errors))
    }

    /// The requests of a queue of the hardware whose numbers are in use.
    fn tagged(&self, queue: u64) -> Result<Vec<Result<u64>>> {
        let (target, shapes) = (self.target(), self.shapes());
        let queue = shapes.hardware_queue.at(target, queue);
        // With a scheduler its tags are those of all requests.
        let tags = match queue.scheduler_tags()? {
            0 => queue.tags()?,
            tags => tags,
        };
        if tags == 0 {
            return Ok(Vec::new());
        }
        let count = shapes.tags.count.read(target, tags)?.min(MAX_TAGS);
        let requests = shapes.tags.all_requests.read(target, tags)?;
        let used = match shapes.tags.used.form() {
            // 5.10 and 5.11: a queue of them, which begins with the set.
            Some(Form::Pointer) => shapes.tags.used.read(target, tags)?,
            _ => shapes.tags.used.address(tags)?,
        };
        let set = shapes.sbitmap.at(target, used);
        let (shift, words, map) = (set.shift()?.min(6), set.words()?.min(MAX_TAGS), set.map()?);
        let size = shapes.sbitmap_word.sizeof()?;
        let mut found = Vec::new();
        for word in 0..words {
            let at = shapes.sbitmap_word.at(target, map.wrapping_add(word * size));
            let bits = at.word()? & !or_missing(at.cleared(), 0)?;
            for bit in (0..64).filter(|bit| bits >> bit & 1 == 1) {
                let tag = (word << shift) + bit;
                if tag < count {
                    let request = target.read_pointer_at(requests, tag);
                    found.push(request.map_err(Error::from));
                }
            }
        }
        Ok(found)
    }

    fn request(&self, address: u64, disk: &Disk, queue: u32) -> Result<Option<Request>> {
        let (target, shapes) = (self.target(), self.shapes());
        let request = shapes.request.at(target, address);
        if address == 0 || request.queue()? != disk.queue {
            return Ok(None);
        }
        let set = |ns: Result<u64>| ns.ok().filter(|ns| *ns > 0);
        let (mut pages, mut told) = (Vec::new(), Vec::new());
        let mut bio = request.bio()?;
        let mut seen = HashSet::new();
        while bio != 0 && seen.len() < MAX_BIOS && seen.insert(bio) {
            let part = shapes.bio.at(target, bio);
            told.push((part.end()?, part.private()?));
            let (vectors, count) = (part.vectors()?, part.vector_count()?.min(MAX_VECTORS));
            let size = shapes.bio_vec.sizeof()?;
            for number in 0..count {
                let vector = vectors.wrapping_add(number * size);
                pages.push(shapes.bio_vec.page.read(target, vector)?);
            }
            bio = part.next()?;
        }
        Ok(Some(Request {
            address,
            operation: operation(request.flags()?),
            sector: request.sector()?,
            bytes: request.bytes()?,
            queue,
            state: match request.state() {
                Ok(0) => Some("waiting"),
                Ok(1) => Some("in_flight"),
                Ok(2) => Some("complete"),
                _ => None,
            },
            began_ns: set(request.began()),
            sent_ns: set(request.sent()),
            pages,
            told,
        }))
    }
}
