//! A small machine for tests: a few types, symbols and bytes.

use necropsy_debuginfo::{
    Composite, CompositeKind, Enumerator, Kind, Member, Name, Type, TypeId, Types, parse_type,
};
use necropsy_dump::{Fault, Read, Reason};

use crate::scope::{Scope, SymbolValue};

/// Address of the first byte of memory.
pub(crate) const BASE: u64 = 0xffff_8880_0000_0000;

pub(crate) struct Fake {
    pub(crate) types: Types,
    pub(crate) memory: Vec<u8>,
}

impl Fake {
    /// A `struct task` at [`BASE`], known as `init_task`:
    ///
    /// ```c
    /// struct task {
    ///     int pid;                        // 0
    ///     unsigned int low : 3, high : 5; // 4
    ///     int delta : 4;                  // 5
    ///     char comm[8];                   // 8
    ///     struct list_head { struct list_head *next, *prev; } tasks; // 16
    ///     union { unsigned long key; unsigned char bytes[4]; };      // 32
    ///     enum state { RUNNING, SLEEPING, DEAD, GONE } state;        // 40
    ///     enum flags { F_A = 1, F_B = 2, F_C = 4 } flags;            // 44
    ///     _Bool dead;                     // 48
    ///     void (*fn)(int);                // 56
    ///     char *name;                     // 64
    ///     unsigned short pair[2];         // 72
    ///     unsigned long tail[];           // 80
    /// };                                  // 80
    /// ```
    pub(crate) fn new() -> Fake {
        let types = Types::new(8);
        let int = |name: &str, size: u32, signed: bool, bool: bool| {
            let name = types.add_name(name);
            let ty = types.add(Type::Int { name, size, signed, char: size == 1 && !bool, bool });
            types.index([(Kind::Typedef, name, ty)]);
            ty
        };
        let int32 = int("int", 4, true, false);
        let uint = int("unsigned int", 4, false, false);
        let char = int("char", 1, true, false);
        let byte = int("unsigned char", 1, false, false);
        let ulong = int("long unsigned int", 8, false, false);
        int("long int", 8, true, false);
        let short = int("short unsigned int", 2, false, false);
        let boolean = int("_Bool", 1, false, true);
        let member = |name: &str, ty, bit_offset, bit_size| Member {
            name: if name.is_empty() { Name::NONE } else { types.add_name(name) },
            ty,
            bit_offset,
            bit_size,
        };
        let composite = |kind, tag: &str, size, members: Vec<Member>| {
            let name = if tag.is_empty() { Name::NONE } else { types.add_name(tag) };
            let members = members.into();
            let ty = types.add(Type::Composite(Composite { kind, name, size, members }));
            types.index([(Kind::Struct, name, ty)]);
            ty
        };
        let enumeration = |tag: &str, constants: &[(&str, i64)]| {
            let name = types.add_name(tag);
            let values: Box<[Enumerator]> = constants
                .iter()
                .map(|(name, value)| Enumerator { name: types.add_name(name), value: *value })
                .collect();
            let names: Vec<Name> = values.iter().map(|v| v.name).collect();
            let ty = types.add(Type::Enum { name, size: 4, signed: false, values });
            types.index([(Kind::Enum, name, ty)]);
            types.index(names.into_iter().map(|name| (Kind::Enumerator, name, ty)));
            ty
        };
        // A list_head points to itself: its id is the one after the pointer's.
        let next = TypeId(types.len() as u32 + 1);
        let list_pointer = types.pointer_to(next);
        let list = composite(
            CompositeKind::Struct,
            "list_head",
            16,
            vec![member("next", list_pointer, 0, 0), member("prev", list_pointer, 64, 0)],
        );
        assert_eq!(list, next);
        let key = composite(
            CompositeKind::Union,
            "",
            8,
            vec![member("key", ulong, 0, 0), member("bytes", types.array_of(byte, 4), 0, 0)],
        );
        let state =
            enumeration("state", &[("RUNNING", 0), ("SLEEPING", 1), ("DEAD", 2), ("GONE", 3)]);
        let flags = enumeration("flags", &[("F_A", 1), ("F_B", 2), ("F_C", 4)]);
        let function = parse_type(&types, "void (*)(int)").unwrap();
        composite(
            CompositeKind::Struct,
            "task",
            80,
            vec![
                member("pid", int32, 0, 0),
                member("low", uint, 32, 3),
                member("high", uint, 35, 5),
                member("delta", int32, 40, 4),
                member("comm", types.array_of(char, 8), 64, 0),
                member("tasks", list, 128, 0),
                member("", key, 256, 0),
                member("state", state, 320, 0),
                member("flags", flags, 352, 0),
                member("dead", boolean, 384, 0),
                member("fn", function, 448, 0),
                member("name", types.pointer_to(char), 512, 0),
                member("pair", types.array_of(short, 2), 576, 0),
                member("tail", types.array_of(ulong, 0), 640, 0),
            ],
        );
        let mut memory = vec![0; 256];
        let mut put = |at: usize, bytes: &[u8]| memory[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &(-7i32).to_le_bytes());
        put(4, &[0b1010_1011, 0b1001]);
        put(8, b"swapper\0");
        put(16, &(BASE + 16).to_le_bytes());
        put(24, &0u64.to_le_bytes());
        put(32, &0x41u64.to_le_bytes());
        put(40, &1u32.to_le_bytes());
        put(44, &5u32.to_le_bytes());
        put(48, &[1]);
        put(56, &0xffff_ffff_8100_0010u64.to_le_bytes());
        put(64, &(BASE + 128).to_le_bytes());
        put(72, &[1, 0, 2, 0]);
        put(128, b"hello\n\"you\"\xff\0");
        Fake { types, memory }
    }
}

impl Scope for Fake {
    fn types(&self) -> &Types {
        &self.types
    }
    fn read(&self, address: u64, buf: &mut [u8]) -> Read<()> {
        let start = address.wrapping_sub(BASE) as usize;
        let bytes = start.checked_add(buf.len()).and_then(|end| self.memory.get(start..end));
        let fault = || Fault::kernel(address, Reason::Excluded);
        buf.copy_from_slice(bytes.ok_or_else(fault)?);
        Ok(())
    }
    fn symbol(&self, name: &str) -> Option<SymbolValue> {
        let (address, ty, per_cpu, text) = match name {
            "init_task" => (BASE, "struct task", false, false),
            "counter" => (0x20, "unsigned long", true, false),
            "untyped" => (BASE + 32, "", false, false),
            "handler" => (0xffff_ffff_8100_0010, "void (int)", false, true),
            "asm_entry" => (0xffff_ffff_8100_0000, "", false, true),
            _ => return None,
        };
        let ty = (!ty.is_empty()).then(|| parse_type(&self.types, ty).unwrap());
        Some(SymbolValue { address, ty, per_cpu, text })
    }
    fn symbolize(&self, address: u64) -> Option<(String, u64)> {
        match address {
            0xffff_ffff_8100_0010..=0xffff_ffff_8100_00ff => {
                Some(("handler".into(), address - 0xffff_ffff_8100_0010))
            }
            0xffff_ffff_8100_0000..=0xffff_ffff_8100_000f => {
                Some(("asm_entry".into(), address - 0xffff_ffff_8100_0000))
            }
            _ => None,
        }
    }
    fn register(&self, name: &str) -> Option<u64> {
        (name == "rip").then_some(0xffff_ffff_8100_0014)
    }
    fn per_cpu_offset(&self, cpu: u32) -> Option<u64> {
        (cpu == 0).then_some(BASE)
    }
}
