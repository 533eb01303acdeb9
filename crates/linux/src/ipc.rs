//! System V IPC (ipc/util.c, shm.c, sem.c, msg.c): shared memory, semaphores, messages.

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    list::list,
    task::Task,
    xarray,
};

/// `ipc_namespace.ids` holds one table a kind, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpcKind {
    /// Sets of semaphores.
    Semaphores,
    /// Queues of messages.
    Messages,
    /// Segments of shared memory.
    SharedMemory,
}

/// `SHM_DEST`: goes away with its last user.
const DEST: u64 = 0o1000;
/// `SHM_LOCKED`: is not swapped.
const LOCKED: u64 = 0o2000;
/// The most semaphores of a set that are looked at (SEMMSL is 32000).
const MAX_SEMAPHORES: u64 = 65_536;
/// The most messages of a queue, and waiters for a semaphore, that are looked at.
const MAX_ENTRIES: usize = 1_000_000;

/// What every object has (`struct kern_ipc_perm`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Perm {
    /// Virtual address of the object.
    pub address: u64,
    /// The number that processes know it by.
    pub id: u64,
    /// The key that it was made for; 0 for private ones.
    pub key: u64,
    /// Its owner.
    pub uid: u64,
    /// Permissions, and bits of the kind above them.
    pub mode: u64,
}

/// A segment of shared memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shm {
    /// What every object has.
    pub perm: Perm,
    /// Bytes.
    pub bytes: Result<u64>,
    /// How often it is attached.
    pub attached: Result<u64>,
    /// Virtual address of the `struct file` behind it.
    pub file: Result<u64>,
}

impl Shm {
    /// `dest` for one that goes with its last user, `locked`; empty otherwise.
    pub fn status(&self) -> String {
        let words = [(DEST, "dest"), (LOCKED, "locked")];
        let set = words.iter().filter(|(bit, _)| self.perm.mode & bit != 0);
        set.map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
    }
}

/// How much of a segment is where, in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShmPages {
    /// That it has room for.
    pub allocated: u64,
    /// In memory.
    pub resident: u64,
    /// In swap; `None` for huge pages, which are not swapped.
    pub swapped: Option<u64>,
    /// Virtual address of the inode.
    pub inode: u64,
}

/// A set of semaphores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Semaphores {
    /// What every object has.
    pub perm: Perm,
    /// How many.
    pub count: Result<u64>,
    /// The tasks that wait, and what could not be read of them.
    pub waiters: (Vec<u64>, Vec<Error>),
}

/// A message that waits to be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Virtual address of its `struct msg_msg`.
    pub address: u64,
    /// The type that its sender gave it.
    pub kind: u64,
    /// Bytes of text.
    pub bytes: u64,
}

/// A queue of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// What every object has.
    pub perm: Perm,
    /// Bytes of all messages.
    pub used: Result<u64>,
    /// How many.
    pub count: Result<u64>,
    /// The messages, and what could not be read of them.
    pub messages: (Vec<Message>, Vec<Error>),
}

impl Kernel {
    /// The objects of a kind that a task sees, by index: `struct kern_ipc_perm`s, and what could
    /// not be read.
    fn ipc_objects(&self, task: Task<'_>, kind: IpcKind) -> Result<(Vec<u64>, Vec<Error>)> {
        let (target, shapes) = (self.target(), self.shapes());
        let namespace = shapes.nsproxy.at(target, task.namespaces()?).ipc()?;
        let table = shapes.ipc_namespace.ids.address(namespace)?;
        let table = table.wrapping_add(shapes.ipc_ids.sizeof()?.wrapping_mul(kind as u64));
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        let root = shapes.ipc_ids.idr.address(table)?;
        xarray::for_each(self, root, &mut |_, entry| found.push(entry), &mut |e| errors.push(e))?;
        Ok((found, errors))
    }

    fn perm(&self, object: u64, perm: u64) -> Result<Perm> {
        let perm = self.shapes().ipc_perm.at(self.target(), perm);
        Ok(Perm {
            address: object,
            id: perm.id()?,
            key: perm.key()?,
            uid: perm.uid()?,
            mode: perm.mode()?,
        })
    }

    /// Shared memory that a task sees, and what could not be read.
    ///
    /// # Errors
    /// The namespace or its table cannot be read.
    pub fn shared_memory(&self, task: Task<'_>) -> Result<(Vec<Shm>, Vec<Error>)> {
        let (objects, mut errors) = self.ipc_objects(task, IpcKind::SharedMemory)?;
        let shape = &self.shapes().shm;
        let offset = shape.perm.offset()?;
        let mut found = Vec::new();
        for perm in objects {
            let object = shape.at(self.target(), perm.wrapping_sub(offset));
            match self.perm(object.address, perm) {
                Ok(perm) => found.push(Shm {
                    perm,
                    bytes: object.bytes(),
                    attached: object.attached(),
                    file: object.file(),
                }),
                Err(error) => errors.push(error),
            }
        }
        Ok((found, errors))
    }

    /// Where the pages of a segment are.
    ///
    /// # Errors
    /// A fault.
    pub fn shm_pages(&self, shm: &Shm) -> Result<ShmPages> {
        let (target, shapes) = (self.target(), self.shapes());
        let place = self.place_of_file(shm.file.clone()?)?;
        let inode = self.inode_of(place.dentry)?;
        let (_, resident) = self.inode_pages(inode)?;
        let kind = self.file_system_of(place.dentry)?;
        let swapped = if kind == "hugetlbfs" {
            None
        } else {
            let info = inode.wrapping_sub(shapes.shmem_inode.inode.offset()?);
            Some(shapes.shmem_inode.at(target, info).swapped()?)
        };
        let allocated = shm.bytes.clone()?.div_ceil(target.page_size().max(1));
        Ok(ShmPages { allocated, resident, swapped, inode })
    }

    /// Semaphores that a task sees, and what could not be read.
    ///
    /// # Errors
    /// The namespace or its table cannot be read.
    pub fn semaphores(&self, task: Task<'_>) -> Result<(Vec<Semaphores>, Vec<Error>)> {
        let (objects, mut errors) = self.ipc_objects(task, IpcKind::Semaphores)?;
        let offset = self.shapes().sem_array.perm.offset()?;
        let mut found = Vec::new();
        for perm in objects {
            let object = perm.wrapping_sub(offset);
            let count = self.shapes().sem_array.count.read(self.target(), object);
            match self.perm(object, perm) {
                Ok(perm) => found.push(Semaphores {
                    perm,
                    waiters: self.semaphore_waiters(object, count.clone().unwrap_or(0)),
                    count,
                }),
                Err(error) => errors.push(error),
            }
        }
        Ok((found, errors))
    }

    /// The tasks that wait for semaphores of a set: for several of them, or for one.
    fn semaphore_waiters(&self, set: u64, count: u64) -> (Vec<u64>, Vec<Error>) {
        let (target, shapes) = (self.target(), self.shapes());
        let (mut waiters, mut errors) = (Vec::new(), Vec::new());
        let array = &shapes.sem_array;
        let mut heads = vec![array.alter.address(set), array.constant.address(set)];
        if let (Ok(first), Ok(size)) = (array.semaphores.address(set), shapes.sem.sizeof()) {
            for number in 0..count.min(MAX_SEMAPHORES) {
                let semaphore = first.wrapping_add(number * size);
                heads.push(shapes.sem.alter.address(semaphore));
                heads.push(shapes.sem.constant.address(semaphore));
            }
        }
        let link = shapes.sem_queue.list.offset().unwrap_or(0);
        for head in heads.into_iter().flatten() {
            for entry in list(target, head).take(MAX_ENTRIES) {
                let task = entry.and_then(|entry| {
                    shapes.sem_queue.at(target, entry.wrapping_sub(link)).sleeper()
                });
                match task {
                    Ok(task) => waiters.push(task),
                    Err(error) => errors.push(error),
                }
            }
        }
        (waiters, errors)
    }

    /// Queues of messages that a task sees, and what could not be read.
    ///
    /// # Errors
    /// The namespace or its table cannot be read.
    pub fn message_queues(&self, task: Task<'_>) -> Result<(Vec<Queue>, Vec<Error>)> {
        let (objects, mut errors) = self.ipc_objects(task, IpcKind::Messages)?;
        let (target, shapes) = (self.target(), self.shapes());
        let offset = shapes.msg_queue.perm.offset()?;
        let mut found = Vec::new();
        for perm in objects {
            let object = shapes.msg_queue.at(target, perm.wrapping_sub(offset));
            match self.perm(object.address, perm) {
                Ok(perm) => found.push(Queue {
                    perm,
                    used: object.used(),
                    count: object.count(),
                    messages: self.messages(object.address),
                }),
                Err(error) => errors.push(error),
            }
        }
        Ok((found, errors))
    }

    fn messages(&self, queue: u64) -> (Vec<Message>, Vec<Error>) {
        let (target, shapes) = (self.target(), self.shapes());
        let (mut messages, mut errors) = (Vec::new(), Vec::new());
        let (Ok(head), Ok(link)) =
            (shapes.msg_queue.messages.address(queue), shapes.msg.list.offset())
        else {
            return (messages, errors);
        };
        for entry in list(target, head).take(MAX_ENTRIES) {
            let message = entry.and_then(|entry| {
                let message = shapes.msg.at(target, entry.wrapping_sub(link));
                let (kind, bytes) = (message.kind()?, message.bytes()?);
                Ok(Message { address: message.address, kind, bytes })
            });
            match message {
                Ok(message) => messages.push(message),
                Err(error) => errors.push(error),
            }
        }
        (messages, errors)
    }
}
