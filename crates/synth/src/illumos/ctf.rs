//! CTF version 2, written from its description.

use std::{collections::HashMap, io::Write as _};

use flate2::{Compression, write::ZlibEncoder};

use super::layout::{Layouts, size_of};

/// A container under construction.
#[derive(Debug)]
pub(super) struct Ctf {
    types: Vec<u8>,
    strings: Vec<u8>,
    known: HashMap<String, u16>,
    next: u16,
    functions: Vec<u8>,
    objects: Vec<u8>,
    parent: Option<u32>,
}

const INTEGER: u16 = 1;
const POINTER: u16 = 3;
const ARRAY: u16 = 4;
const STRUCT: u16 = 6;
const ENUM: u16 = 8;
const TYPEDEF: u16 = 10;

impl Ctf {
    /// The parent of all others, with the types of every layout.
    pub(super) fn of(layouts: &Layouts) -> Ctf {
        let mut ctf = Ctf::empty(None);
        for (name, encoding) in [
            ("char", 3),
            ("uchar", 0),
            ("short", 1),
            ("ushort", 0),
            ("int", 1),
            ("uint", 0),
            ("long", 1),
            ("ulong", 0),
        ] {
            let size = size_of(name);
            ctf.integer(name, encoding, 0, size * 8, size);
        }
        // Bit-fields: an integer with fewer bits, which has the name of the whole one.
        ctf.integer("bits3", 0, 0, 3, 4);
        ctf.integer("bits5", 0, 3, 5, 4);
        let void = ctf.record("", POINTER, 0, 0);
        ctf.known.insert("ptr".into(), void);
        for structure in &layouts.all {
            for member in &structure.members {
                ctf.member_type(member.ty, member.count);
            }
            ctf.structure(layouts, structure.name);
        }
        for (name, target) in layouts.typedefs() {
            let target = ctf.known[&format!("struct:{target}")];
            let id = ctf.record(name, TYPEDEF, 0, target);
            ctf.known.insert((*name).into(), id);
        }
        let id = ctf.record("vtype", ENUM, 2, 4);
        for (name, value) in [("VNON", 0u32), ("VREG", 1)] {
            let name = ctf.string(name);
            ctf.types.extend(name.to_le_bytes());
            ctf.types.extend(value.to_le_bytes());
        }
        ctf.known.insert("vtype".into(), id);
        ctf
    }

    /// A child: its own types build on those of `genunix`.
    pub(super) fn child() -> Ctf {
        let mut ctf = Ctf::empty(Some(0));
        ctf.parent = Some(ctf.string("genunix"));
        ctf
    }

    fn empty(parent: Option<u32>) -> Ctf {
        Ctf {
            types: Vec::new(),
            strings: vec![0],
            known: HashMap::new(),
            next: 1,
            functions: Vec::new(),
            objects: Vec::new(),
            parent,
        }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        at
    }

    /// The head of a record: name, kind with a count, and a size or another type.
    fn record(&mut self, name: &str, kind: u16, count: u16, size: u16) -> u16 {
        let name = self.string(name);
        self.types.extend(name.to_le_bytes());
        self.types.extend((kind << 11 | 1 << 10 | count).to_le_bytes());
        self.types.extend(size.to_le_bytes());
        self.next += 1;
        let id = self.next - 1;
        if self.parent.is_some() { id | 0x8000 } else { id }
    }

    fn integer(&mut self, name: &str, encoding: u32, offset: u32, bits: u64, size: u64) {
        let shown = match name {
            "uchar" => "unsigned char",
            "ushort" => "unsigned short",
            "uint" | "bits3" | "bits5" => "unsigned int",
            "ulong" => "unsigned long",
            name => name,
        };
        let id = self.record(shown, INTEGER, 0, size as u16);
        self.types.extend((encoding << 24 | offset << 16 | bits as u32).to_le_bytes());
        self.known.insert(name.into(), id);
    }

    fn member_type(&mut self, ty: &str, count: u64) -> u16 {
        let key = if count == 0 { ty.to_owned() } else { format!("{ty}*{count}") };
        if let Some(&id) = self.known.get(&key) {
            return id;
        }
        let element = self.known[ty];
        let index = self.known["long"];
        let id = self.record("", ARRAY, 0, 0);
        self.types.extend(element.to_le_bytes());
        self.types.extend(index.to_le_bytes());
        self.types.extend((count as u32).to_le_bytes());
        self.known.insert(key, id);
        id
    }

    fn structure(&mut self, layouts: &Layouts, name: &str) {
        let structure = layouts.get(name);
        let large = structure.size >= 8192;
        let id = self.record(name, STRUCT, structure.members.len() as u16, structure.size as u16);
        for member in &structure.members {
            let ty = self.member_type(member.ty, member.count);
            let name = self.string(member.name);
            // The bit-field's own offset is in its type.
            let bits = member.offset * 8;
            self.types.extend(name.to_le_bytes());
            self.types.extend(ty.to_le_bytes());
            if large {
                self.types.extend(0u16.to_le_bytes());
                self.types.extend(((bits >> 32) as u32).to_le_bytes());
                self.types.extend((bits as u32).to_le_bytes());
            } else {
                self.types.extend((bits as u16).to_le_bytes());
            }
        }
        self.known.insert(format!("struct:{name}"), id);
    }

    /// A function of the symbol table, in its order: how many pointers it takes.
    pub(super) fn function(&mut self, args: Option<u16>, pointer: u16) {
        let Some(args) = args else {
            self.functions.extend(0u16.to_le_bytes());
            return;
        };
        self.functions.extend((5u16 << 11 | args).to_le_bytes());
        self.functions.extend(0u16.to_le_bytes());
        for _ in 0..args {
            self.functions.extend(pointer.to_le_bytes());
        }
    }

    /// A variable of the symbol table, in its order.
    pub(super) fn object(&mut self, ty: u16) {
        self.objects.extend(ty.to_le_bytes());
    }

    pub(super) fn id(&self, name: &str) -> u16 {
        self.known[name]
    }

    /// The container, its body packed or not.
    pub(super) fn finish(mut self, packed: bool) -> Vec<u8> {
        let objects = 0u32;
        let functions = self.objects.len() as u32;
        while !(self.objects.len() + self.functions.len()).is_multiple_of(4) {
            self.functions.extend(0u16.to_le_bytes());
        }
        let types = (self.objects.len() + self.functions.len()) as u32;
        let strings = types + self.types.len() as u32;
        let mut body = self.objects;
        body.extend(self.functions);
        body.extend(self.types);
        body.extend(&self.strings);
        let mut out = 0xcff1u16.to_le_bytes().to_vec();
        out.extend([2, u8::from(packed)]);
        let parent = self.parent.unwrap_or(0);
        let words = [0, parent, 0, objects, functions, types, strings, self.strings.len() as u32];
        for word in words {
            out.extend(word.to_le_bytes());
        }
        if packed {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&body).expect("memory");
            body = encoder.finish().expect("memory");
        }
        out.extend(body);
        out
    }
}
