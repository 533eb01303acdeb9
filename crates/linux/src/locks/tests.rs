//! Locks in memory made by hand, in the forms that no dump of ours has.

use necropsy_debuginfo::{Composite, CompositeKind, Kind, Member, Type, TypeId, Types};
use necropsy_machine::testkit::{HEAP, Machine, TEXT};

use super::{Certainty, Lock, LockKind, ring::Ring};
use crate::Kernel;

/// Where structures are put together.
struct Build(Types);

impl Build {
    fn new() -> Build {
        let types = Types::new(8);
        let name = types.add_name("long");
        let long = Type::Int { name, size: 8, signed: false, char: false, bool: false };
        let long = types.add(long);
        types.index([(Kind::Typedef, name, long)]);
        Build(types)
    }

    fn long(&self) -> TypeId {
        self.0.find(Kind::Typedef, "long").expect("made first")
    }

    /// A structure with members at offsets.
    fn structure(&self, tag: &str, size: u64, members: &[(&str, u64, TypeId)]) -> TypeId {
        let members = members.iter().map(|(name, at, ty)| Member {
            name: self.0.add_name(name),
            ty: *ty,
            bit_offset: at * 8,
            bit_size: 0,
        });
        let members: Vec<Member> = members.collect();
        let (name, kind) = (self.0.add_name(tag), CompositeKind::Struct);
        let ty = Type::Composite(Composite { kind, name, size, members: members.into() });
        let ty = self.0.add(ty);
        self.0.index([(Kind::Struct, name, ty)]);
        ty
    }
}

/// PREEMPT_RT: everything has an rt_mutex in it.
fn realtime() -> Types {
    let build = Build::new();
    let long = build.long();
    let root =
        build.structure("rb_root_cached", 16, &[("rb_root", 0, long), ("rb_leftmost", 8, long)]);
    let rt = build.structure("rt_mutex_base", 32, &[("waiters", 8, root), ("owner", 24, long)]);
    build.structure("mutex", 40, &[("rtmutex", 8, rt)]);
    let base = build.structure("rwbase_rt", 40, &[("readers", 0, long), ("rtmutex", 8, rt)]);
    build.structure("rw_semaphore", 40, &[("rwbase", 0, base)]);
    build.0
}

fn holder(kernel: &Kernel, kind: LockKind) -> (Option<u64>, Certainty) {
    let holder = kernel.lock_holder(Lock::new(kind, HEAP)).expect("it is in memory");
    (holder.task, holder.certainty)
}

#[test]
fn a_realtime_mutex_names_its_owner() {
    let kernel = Kernel::new(
        Machine::new().types(realtime()).words(HEAP + 8 + 24, &[HEAP + 0x1000 + 1]).target(),
    );
    assert_eq!(holder(&kernel, LockKind::Mutex), (Some(HEAP + 0x1000), Certainty::Known));
    let rwsem = holder(&kernel, LockKind::RwSemaphore);
    assert_eq!(rwsem, (Some(HEAP + 0x1000), Certainty::Known), "its writer");
}

#[test]
fn readers_of_a_realtime_semaphore_are_only_counted() {
    let kernel = Kernel::new(Machine::new().types(realtime()).words(HEAP, &[3]).target());
    assert_eq!(holder(&kernel, LockKind::RwSemaphore), (None, Certainty::NotRecorded));
}

#[test]
fn a_semaphore_of_readers_names_the_last_as_a_hint() {
    let build = Build::new();
    let long = build.long();
    build.structure("rw_semaphore", 40, &[("count", 0, long), ("owner", 8, long)]);
    let machine = Machine::new().types(build.0).words(HEAP, &[2 << 8 | 2, HEAP + 0x1000 + 1]);
    let kernel = Kernel::new(machine.target());
    assert_eq!(holder(&kernel, LockKind::RwSemaphore), (Some(HEAP + 0x1000), Certainty::Hint));
}

#[test]
fn a_ring_has_one_head_at_most() {
    let at = |index: u64| HEAP + index * 16;
    // Three links, each after the other and back.
    let machine = Machine::new().words(HEAP, &[at(1), at(2), at(2), at(0), at(0), at(1)]);
    let target = machine.function("f", TEXT, &[0xc3]).target();
    let with_head = Ring::through(&target, at(2), |node| node == at(1)).expect("it closes");
    assert_eq!(with_head.head, Some(at(0)));
    assert_eq!(with_head.waiters, [at(1), at(2)], "in the order of the queue");
    let without = Ring::through(&target, at(2), |_| true).expect("it closes");
    assert_eq!((without.head, without.waiters.len()), (None, 3));
    assert_eq!(Ring::through(&target, at(2), |_| false), None, "two that are no waiters");
}

#[test]
fn a_ring_whose_links_do_not_agree_is_none() {
    let at = |index: u64| HEAP + index * 16;
    let machine = Machine::new().words(HEAP, &[at(1), at(1), at(0), at(5)]);
    assert_eq!(Ring::through(&machine.target(), at(0), |_| true), None);
}
