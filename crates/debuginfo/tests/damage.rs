//! Real tables, damaged thousands of ways: whatever comes of them, it comes soon, without a panic
//! and without memory that the input does not justify. Needs `NECROPSY_LAB`.

use necropsy_synth::Needs;
use std::{
    fs::File,
    path::PathBuf,
    time::{Duration, Instant},
};

use necropsy_debuginfo::{
    Bytes, KallsymsTables, Kind, Orc, OrcFormat, Types, find_kallsyms, load_btf, load_kallsyms,
    orc_format,
};
use object::{Object, ObjectSection, ReadCache};

/// A small generator of pseudo-random numbers (xorshift): failures repeat.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }

    /// Flips, overwrites, moves or cuts a little of `data`, mostly near the start.
    fn damage(&mut self, data: &mut Vec<u8>) {
        for _ in 0..1 + self.next(8) {
            let reach = match self.next(4) {
                0 => data.len().min(64),
                1 => data.len().min(4096),
                _ => data.len(),
            };
            let at = self.next(reach);
            let end = (at + 1 + self.next(64)).min(data.len());
            match self.next(6) {
                0 => data[at] ^= 1 << self.next(8),
                1 => data[at..end].fill(0),
                2 => data[at..end].fill(0xff),
                3 => {
                    let word = (self.0 as u32).to_le_bytes();
                    data[at..end].iter_mut().zip(word).for_each(|(b, w)| *b = w);
                }
                4 => {
                    let from = self.next(data.len() - (end - at));
                    data.copy_within(from..from + (end - at), at);
                }
                _ if self.next(8) == 0 => data.truncate(at.max(1)),
                _ => data[at] = data[at].wrapping_add(1),
            }
        }
    }
}

fn section(name: &str) -> Option<(u64, Vec<u8>)> {
    let Some(lab) = std::env::var_os("NECROPSY_LAB") else {
        eprintln!("SKIPPED: NECROPSY_LAB is not set");
        return None;
    };
    let path = PathBuf::from(lab).join("k612").join("vmlinux");
    let Ok(file) = File::open(&path) else {
        eprintln!("SKIPPED: {} is not there", path.display());
        return None;
    };
    let cache = ReadCache::new(file);
    let elf = object::File::parse(&cache).unwrap();
    let section = elf.section_by_name(name)?;
    Some((section.address(), section.data().unwrap().to_vec()))
}

/// Longest that any one of them may take, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

fn rounds() -> u64 {
    std::env::var("NECROPSY_DAMAGE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(200)
}

fn damaged_btf() {
    let Some((_, whole)) = section(".BTF") else { return };
    for seed in 1..=rounds() {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut data = whole.clone();
        random.damage(&mut data);
        let start = Instant::now();
        let types = Types::new(8);
        let Ok(base) = load_btf(&types, &data, None) else { continue };
        assert!(base.len() * 12 <= data.len());
        for name in ["task_struct", "rq", "module", "page", "mm_struct"] {
            let Some(id) = types.find(Kind::Struct, name) else { continue };
            types.display(id);
            types.member(id, "se.run_node.rb_left");
            let Some(composite) = types.as_composite(id) else { continue };
            for member in &composite.members {
                types.size_of(member.ty);
                types.declare(member.ty, types.name(member.name));
            }
        }
        assert!(start.elapsed() < PATIENCE, "seed {seed}");
    }
}

struct Piece<'a>(u64, &'a [u8]);

impl Bytes for Piece<'_> {
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        let start = address.wrapping_sub(self.0) as usize;
        let found = start.checked_add(buf.len()).and_then(|end| self.1.get(start..end));
        found.map(|bytes| buf.copy_from_slice(bytes)).is_some()
    }
}

fn damaged_kallsyms() {
    let Some((address, rodata)) = section(".rodata") else { return };
    let tables = find_kallsyms(&[(address, &rodata)]).unwrap();
    let from = (tables.num_syms - address) as usize;
    let whole = &rodata[from..(tables.relative_base.unwrap() - address) as usize + 4096];
    let address = tables.num_syms;
    for seed in 1..=rounds() {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut data = whole.to_vec();
        random.damage(&mut data);
        let start = Instant::now();
        let mut damaged = tables;
        for pointer in [&mut damaged.names, &mut damaged.token_table, &mut damaged.token_index] {
            if random.next(10) == 0 {
                *pointer = address.wrapping_add(random.next(data.len()) as u64);
            }
        }
        let tables: [Option<KallsymsTables>; 2] =
            [Some(damaged), find_kallsyms(&[(address, &data)])];
        for tables in tables.into_iter().flatten() {
            if let Ok(symbols) = load_kallsyms(&Piece(address, &data), &tables, &[]) {
                symbols.by_name("schedule");
                symbols.lookup(0xffff_ffff_8100_1000);
                assert!(symbols.iter().all(|s| !s.name.is_empty()));
            }
        }
        assert!(start.elapsed() < PATIENCE, "seed {seed}");
    }
}

fn damaged_orc() {
    let (Some((address, ips)), Some((_, entries))) =
        (section(".orc_unwind_ip"), section(".orc_unwind"))
    else {
        return;
    };
    let (ips, entries) = (&ips[..400_000], &entries[..600_000]);
    for seed in 1..=rounds() {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (mut ips, mut entries) = (ips.to_vec(), entries.to_vec());
        random.damage(&mut ips);
        random.damage(&mut entries);
        let start = Instant::now();
        let format = orc_format(None, &entries);
        let formats = [format, OrcFormat::V1, OrcFormat::V2, OrcFormat::V3, OrcFormat::V4];
        for format in formats {
            let Ok(orc) = Orc::parse(&ips, address, &entries, format) else { continue };
            assert!(orc.iter().is_sorted_by_key(|(ip, _)| ip.wrapping_sub(address).cast_signed()));
            for _ in 0..100 {
                orc.lookup(address.wrapping_sub(random.next(40 << 20) as u64));
            }
        }
        assert!(start.elapsed() < PATIENCE, "seed {seed}");
    }
}

necropsy_synth::data_tests! {
    damaged_btf: [Needs::Lab("k612/vmlinux")],
    damaged_kallsyms: [Needs::Lab("k612/vmlinux")],
    damaged_orc: [Needs::Lab("k612/vmlinux")],
}
