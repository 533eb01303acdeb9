//! BTF and kallsyms built by hand from the specifications: encodings that no kernel at hand has,
//! and damage that none should have.

use necropsy_debuginfo::{
    BtfError, Bytes, KallsymsError, KallsymsTables, Kind, Type, Types, find_kallsyms, load_btf,
    load_btf_with_holes, load_kallsyms,
};

/// Writes BTF: records and strings, header last.
#[derive(Default)]
struct BtfWriter {
    types: Vec<u8>,
    strings: Vec<u8>,
    /// Length of the strings that this blob continues.
    before: u32,
}

impl BtfWriter {
    fn new() -> Self {
        BtfWriter { strings: vec![0], ..Self::default() }
    }

    fn string(&mut self, text: &str) -> u32 {
        let at = self.before + self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        at
    }

    fn record(&mut self, name: &str, kind: u32, flag: bool, count: u32, word: u32, rest: &[u32]) {
        let name = if name.is_empty() { 0 } else { self.string(name) };
        let info = u32::from(flag) << 31 | kind << 24 | count;
        for word in [name, info, word].iter().chain(rest) {
            self.types.extend(word.to_le_bytes());
        }
    }

    fn finish(self) -> Vec<u8> {
        let mut blob = vec![0x9f, 0xeb, 1, 0];
        let lengths = (self.types.len() as u32, self.strings.len() as u32);
        for word in [24, 0, lengths.0, lengths.0, lengths.1] {
            blob.extend(u32::to_le_bytes(word));
        }
        blob.extend(self.types);
        blob.extend(self.strings);
        blob
    }
}

fn vmlinux() -> Vec<u8> {
    let mut w = BtfWriter::new();
    let (a, b, c) = (w.string("a"), w.string("b"), w.string("c"));
    w.record("int", 1, false, 0, 4, &[1 << 24 | 32]); // 1
    w.record("", 1, false, 0, 4, &[3 << 16 | 5]); // 2: bits 3 to 7 of an int, as before 5.0
    w.record("flags", 4, true, 2, 4, &[a, 1, 3 << 24, b, 1, 5 << 24 | 3]); // 3
    w.record("old_flags", 4, false, 2, 8, &[a, 1, 0, b, 2, 32]); // 4
    w.record("sign", 6, true, 1, 4, &[a, u32::MAX]); // 5: signed
    w.record("mask", 6, false, 1, 4, &[b, u32::MAX]); // 6: unsigned
    w.record("wide", 19, false, 1, 8, &[c, 1, 0x8000_0000]); // 7
    w.record("", 18, false, 0, 1, &[]); // 8: type tag on int
    w.record("", 2, false, 0, 8, &[]); // 9: pointer to it
    w.record("", 13, false, 3, 1, &[a, 9, b, 1, 0, 0]); // 10: int (int *, int, ...)
    w.record("printk", 12, false, 1, 10, &[]); // 11
    w.record("counter", 14, false, 0, 1, &[1]); // 12
    w.record(".data..percpu", 15, false, 1, 4, &[12, 0, 4]); // 13
    w.record("", 3, false, 0, 0, &[1, 1, 16]); // 14: int [16]
    w.record("ring", 8, false, 0, 14, &[]); // 15
    w.record("later", 7, true, 0, 0, &[]); // 16: union later;
    w.record("double", 16, false, 0, 8, &[]); // 17
    w.finish()
}

#[test]
fn every_kind_of_record_is_read() {
    let types = Types::new(8);
    let base = load_btf(&types, &vmlinux(), None).unwrap();
    assert_eq!((base.len(), base.damage()), (17, None));
    let find = |kind, name| types.find(kind, name).unwrap();
    let member = |name, path| {
        let found = types.member(find(Kind::Struct, name), path).unwrap();
        (found.bit_offset, found.bit_size)
    };
    assert_eq!((member("flags", "a"), member("flags", "b")), ((0, 3), (3, 5)));
    assert_eq!((member("old_flags", "a"), member("old_flags", "b")), ((0, 0), (35, 5)));
    assert_eq!(types.enumerator("a").unwrap().0, -1);
    assert_eq!(types.enumerator("b").unwrap().0, 0xffff_ffff);
    assert_eq!(types.enumerator("c").unwrap().0.cast_unsigned(), 0x8000_0000_0000_0001);
    let printk = find(Kind::Function, "printk");
    assert_eq!(types.declare(printk, "printk"), "int printk(int *, int, ...)");
    assert_eq!(types.display(find(Kind::Variable, "counter")), "int");
    assert_eq!(types.size_of(find(Kind::Typedef, "ring")), Some(64));
    assert_eq!(types.display(base.type_id(16).unwrap()), "union later");
    assert!(matches!(types.get(find(Kind::Typedef, "double")), Type::Float { size: 8, .. }));
    assert_eq!(base.type_id(11), None);
    assert_eq!(base.type_id(18), None);
}

#[test]
fn big_endian_is_read_alike() {
    let little = vmlinux();
    let mut big: Vec<u8> = vec![0xeb, 0x9f, 1, 0];
    let strings = u32::from_le_bytes(little[16..20].try_into().unwrap()) as usize + 24;
    for word in little[4..strings].chunks(4) {
        big.extend(word.iter().rev());
    }
    big.extend(&little[strings..]);
    let types = Types::new(8);
    assert_eq!(load_btf(&types, &big, None).unwrap().damage(), None);
    assert!(types.find(Kind::Struct, "old_flags").is_some());
}

#[test]
fn a_module_continues_types_and_names_of_vmlinux() {
    let types = Types::new(8);
    let blob = vmlinux();
    let base = load_btf(&types, &blob, None).unwrap();
    let before = u32::from_le_bytes(blob[20..24].try_into().unwrap());
    let mut w = BtfWriter { before, ..BtfWriter::default() };
    let serial = w.string("serial");
    w.record("widget", 4, false, 2, 24, &[serial, 1, 0, 1, 19, 64]); // 18; "a" is vmlinux's
    w.record("", 2, false, 0, 18, &[]); // 19: struct widget *
    let module = load_btf(&types, &w.finish(), Some(&base)).unwrap();
    assert_eq!(module.damage(), None);
    let widget = types.find(Kind::Struct, "widget").unwrap();
    assert_eq!(module.type_id(18), Some(widget));
    assert_eq!(
        types.display(types.member(widget, "a.serial").map_or(widget, |m| m.ty)),
        "struct widget"
    );
    assert_eq!(types.display(types.member(widget, "a").unwrap().ty), "struct widget *");
    assert_eq!(types.display(types.member(widget, "serial").unwrap().ty), "int");
}

#[test]
fn damage_costs_what_it_touches() {
    let mut w = BtfWriter::new();
    w.record("int", 1, false, 0, 4, &[32]);
    w.record("self", 8, false, 0, 2, &[]); // typedef of itself
    w.record("lost", 8, false, 0, 999, &[]);
    w.record("huge", 4, false, 0xffff, 4, &[]);
    let types = Types::new(8);
    let base = load_btf(&types, &w.finish(), None).unwrap();
    assert_eq!(base.damage(), Some(&BtfError::Record { id: 4 }));
    assert!(types.find(Kind::Typedef, "int").is_some());
    assert_eq!(types.size_of(types.find(Kind::Typedef, "self").unwrap()), None);
    assert_eq!(types.size_of(types.find(Kind::Typedef, "lost").unwrap()), None);

    let mut w = BtfWriter::new();
    w.record("one", 8, false, 0, 7, &[]);
    let base = load_btf(&types, &w.finish(), None).unwrap();
    assert_eq!(base.damage(), Some(&BtfError::Reference { count: 1, id: 1 }));

    let blob = vmlinux();
    for (cut, expected) in [(3, "header"), (60, "type section"), (blob.len() - 1, "string section")]
    {
        match load_btf(&types, &blob[..cut], None) {
            Err(BtfError::Truncated { what, .. }) => assert_eq!(what, expected),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(load_btf(&types, &[0; 24], None), Err(BtfError::Magic(0))));
}

#[test]
fn types_that_hold_each_other_end() {
    let mut w = BtfWriter::new();
    // Each function takes eight of the next, each struct holds eight of the next unnamed.
    for id in (1..100).step_by(2) {
        w.record("f", 13, false, 8, 0, &[0, id + 2].repeat(8));
        w.record("s", 4, false, 8, 8, &[0, id + 3, 0].repeat(8));
    }
    w.record("", 13, false, 0, 0, &[]);
    w.record("", 4, false, 0, 8, &[]);
    let types = Types::new(8);
    let base = load_btf(&types, &w.finish(), None).unwrap();
    assert_eq!(base.damage(), None);
    assert!(types.display(base.type_id(1).unwrap()).len() < 1 << 20);
    assert_eq!(types.member(base.type_id(2).unwrap(), "none"), None);
}

/// A piece of memory.
struct Piece {
    address: u64,
    bytes: Vec<u8>,
}

impl Bytes for Piece {
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        let start = address.wrapping_sub(self.address) as usize;
        match start.checked_add(buf.len()).and_then(|end| self.bytes.get(start..end)) {
            Some(bytes) => {
                buf.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }
}

const RODATA: u64 = 0xffff_ffff_81e0_0000;
const TEXT: u64 = 0xffff_ffff_8100_0000;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Stored {
    Absolute,
    BaseRelative,
    AbsolutePercpu,
    PlaceRelative,
}

/// Lays the tables out as `scripts/kallsyms.c` writes them, in the order until 6.3 or the later one.
fn kallsyms(symbols: &[(u64, String)], stored: Stored, old_order: bool) -> (Piece, KallsymsTables) {
    let mut piece = Piece { address: RODATA, bytes: vec![0xcc; 4096] };
    let mut tables = KallsymsTables::default();
    fn place(piece: &mut Piece, bytes: &[u8]) -> u64 {
        while !piece.bytes.len().is_multiple_of(8) {
            piece.bytes.push(0);
        }
        let at = piece.address + piece.bytes.len() as u64;
        piece.bytes.extend(bytes);
        at
    }
    let addresses = |piece: &mut Piece, tables: &mut KallsymsTables| {
        let at = piece.address + (piece.bytes.len() as u64).next_multiple_of(8);
        let words: Vec<u8> = symbols
            .iter()
            .enumerate()
            .flat_map(|(index, &(address, _))| {
                let word = match stored {
                    Stored::Absolute => return address.to_le_bytes().to_vec(),
                    Stored::BaseRelative => address - TEXT,
                    Stored::AbsolutePercpu if address < TEXT => address,
                    Stored::AbsolutePercpu => (TEXT - 1).wrapping_sub(address),
                    Stored::PlaceRelative => address.wrapping_sub(at + index as u64 * 4),
                };
                (word as u32).to_le_bytes().to_vec()
            })
            .collect();
        let table = place(piece, &words);
        match stored {
            Stored::Absolute => tables.addresses = Some(table),
            _ => tables.offsets = Some(table),
        }
        if matches!(stored, Stored::BaseRelative | Stored::AbsolutePercpu) {
            tables.relative_base = Some(place(piece, &TEXT.to_le_bytes()));
        }
    };
    if old_order {
        addresses(&mut piece, &mut tables);
    }
    tables.num_syms = place(&mut piece, &(symbols.len() as u32).to_le_bytes());
    let (mut names, mut markers) = (Vec::new(), Vec::new());
    for (index, (_, name)) in symbols.iter().enumerate() {
        if index % 256 == 0 {
            markers.extend((names.len() as u32).to_le_bytes());
        }
        if name.len() > 127 {
            names.extend([name.len() as u8 | 0x80, (name.len() >> 7) as u8]);
        } else {
            names.push(name.len() as u8);
        }
        names.extend(name.as_bytes());
    }
    tables.names = place(&mut piece, &names);
    tables.markers = Some(place(&mut piece, &markers));
    // Every character is its own token; the first 32 are longer ones that no name here uses.
    let (mut table, mut index) = (Vec::new(), Vec::<u8>::new());
    for token in 0..=255u8 {
        index.extend((table.len() as u16).to_le_bytes());
        if token.is_ascii_graphic() {
            table.push(token);
        } else {
            table.extend(format!("tok{token:02x}").as_bytes());
        }
        table.push(0);
    }
    tables.token_table = place(&mut piece, &table);
    tables.token_index = place(&mut piece, &index);
    if !old_order {
        addresses(&mut piece, &mut tables);
    }
    piece.bytes.extend([0xcc; 4096]);
    (piece, tables)
}

/// `count` symbols, some of them per-CPU where the encoding has such, a few with long names.
fn symbols(count: u64, stored: Stored) -> Vec<(u64, String)> {
    (0..count)
        .map(|i| match (stored, i) {
            (Stored::AbsolutePercpu, 0..100) => (i * 64, format!("Apercpu_{i}")),
            (_, 200) => (TEXT + i * 32, format!("t{}", "long_".repeat(60))),
            (_, 150) => (TEXT + i * 32, "T_stext".to_owned()),
            _ => (TEXT + i * 32, format!("tfunction_{i}")),
        })
        .collect()
}

#[test]
fn every_encoding_and_order_of_kallsyms_is_found_and_read() {
    let all =
        [Stored::Absolute, Stored::BaseRelative, Stored::AbsolutePercpu, Stored::PlaceRelative];
    for (stored, old_order) in all.into_iter().flat_map(|s| [(s, true), (s, false)]) {
        let wanted = symbols(3000, stored);
        let (piece, tables) = kallsyms(&wanted, stored, old_order);
        let new_to_old = stored == Stored::PlaceRelative && old_order;
        let old_to_new = stored == Stored::Absolute && !old_order;
        if !new_to_old && !old_to_new {
            let found = find_kallsyms(&[(RODATA, &piece.bytes)]);
            assert_eq!(found, Some(tables), "{stored:?} {old_order}");
        }
        for markers in [tables.markers, None] {
            let tables = KallsymsTables { markers, ..tables };
            for check in [&[("_stext", TEXT + 150 * 32)][..], &[]] {
                let symbols = load_kallsyms(&piece, &tables, check).unwrap();
                assert_eq!(symbols.len(), wanted.len());
                for (address, name) in &wanted {
                    let found = symbols.by_name(&name[1..]).unwrap();
                    assert_eq!(
                        (found.address, found.kind),
                        (*address, name.chars().next().unwrap())
                    );
                }
            }
            // The kernel moved, the table did not.
            let moved = TEXT + 150 * 32 + 0x1a0_0000;
            let symbols = load_kallsyms(&piece, &tables, &[("_stext", moved)]).unwrap();
            assert_eq!(symbols.by_name("_stext").unwrap().address, moved);
            // What fits nothing is refused.
            let wrong = load_kallsyms(&piece, &tables, &[("_stext", moved + 1)]);
            assert_eq!(wrong.unwrap_err(), KallsymsError::Encoding);
        }
    }
}

#[test]
fn damaged_kallsyms_are_refused() {
    let (mut piece, tables) =
        kallsyms(&symbols(600, Stored::BaseRelative), Stored::BaseRelative, true);
    let mut set = |address: u64, bytes: &[u8]| {
        let at = (address - RODATA) as usize;
        piece.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        load_kallsyms(&piece, &tables, &[]).unwrap_err()
    };
    assert_eq!(set(tables.num_syms, &[0; 4]), KallsymsError::Count(0));
    assert_eq!(set(tables.num_syms, &[0xff; 4]), KallsymsError::Count(u32::MAX));
    // More than there are: the walk runs into what is no name.
    let error = set(tables.num_syms, &[0, 0, 0x3f, 0]);
    assert!(matches!(error, KallsymsError::Names(_)), "{error:?}");
    let piece = Piece { address: RODATA, bytes: Vec::new() };
    assert!(matches!(
        load_kallsyms(&piece, &tables, &[]),
        Err(KallsymsError::Unreadable { what: "kallsyms_num_syms", .. })
    ));
}

/// Struct, prototype, function, over and over; a page is missing, wherever it is.
#[test]
fn a_hole_costs_what_lies_in_it() {
    let mut w = BtfWriter::new();
    let member = w.string("value");
    w.record("int", 1, false, 0, 4, &[0x0100_0020]);
    for index in 0..700u32 {
        let id = 2 + index * 3;
        w.record(&format!("thing_{index}"), 4, false, 1, 4, &[member, 1, 0]);
        w.record("", 13, false, 1, 1, &[0, id]);
        w.record(&format!("do_{index}"), 12, false, 1, id + 1, &[]);
    }
    let blob = w.finish();
    let whole = Types::new(8);
    assert_eq!(load_btf(&whole, &blob, None).unwrap().damage(), None);
    let member_name = blob.windows(7).position(|bytes| bytes == b"\0value\0").unwrap() + 1;
    for page in 1..blob.len() / 4096 {
        let hole = page * 4096..(page + 1) * 4096;
        // The one name that every member has, and its type's beside it, are lost with their page.
        let named = !hole.contains(&member_name);
        let mut cut = blob.clone();
        cut[hole.clone()].fill(0);
        let types = Types::new(8);
        let base = load_btf_with_holes(&types, &cut, None, &[hole]).unwrap();
        let found = (0..700).filter(|index| {
            types.find(Kind::Struct, &format!("thing_{index}")).is_some_and(|id| {
                // What is found is right; a name that is lost is no name.
                let member = types.member(id, "value");
                !named || member.is_some_and(|member| types.display(member.ty) == "int")
            })
        });
        let found = found.count();
        assert!(found > 350, "page {page} of {}: {found} of 700", blob.len() / 4096);
        assert!(found < 700 && base.len() > 1900, "page {page}: {found}, {}", base.len());
    }
}
