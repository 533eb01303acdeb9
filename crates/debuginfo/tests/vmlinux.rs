//! BTF, kallsyms and ORC of real kernels, read out of the sections of `vmlinux` and compared with
//! what its symbol table says. Needs the environment variable `NECROPSY_LAB`.

use necropsy_synth::Needs;
use std::{collections::HashMap, fs::File, path::PathBuf, time::Instant};

use necropsy_debuginfo::{
    Bytes, Elf, KallsymsTables, Kind, Orc, OrcFormat, OrcKind, OrcReg, Symbols, Type, Types,
    find_btf, find_kallsyms, global_type_within, load_btf, load_kallsyms, orc_format,
};
use object::{Object, ObjectSection, ObjectSymbol, ReadCache};

const KERNELS: [&str; 3] = ["k510", "k612", "k72"];

/// The read-only part of a kernel image, as a dump would hold it.
struct Kernel {
    name: &'static str,
    sections: Vec<(String, u64, Vec<u8>)>,
    symbols: HashMap<String, u64>,
}

impl Kernel {
    fn open(name: &'static str) -> Option<Kernel> {
        let Some(lab) = std::env::var_os("NECROPSY_LAB") else {
            eprintln!("SKIPPED: NECROPSY_LAB is not set");
            return None;
        };
        let path = PathBuf::from(lab).join(name).join("vmlinux");
        let Ok(file) = File::open(&path) else {
            eprintln!("SKIPPED: {} is not there", path.display());
            return None;
        };
        let cache = ReadCache::new(file);
        let elf = object::File::parse(&cache).unwrap();
        let wanted = [".rodata", ".BTF", ".orc_header", ".orc_unwind_ip", ".orc_unwind"];
        let sections = elf
            .sections()
            .filter(|s| wanted.contains(&s.name().unwrap_or("")))
            .map(|s| (s.name().unwrap().to_owned(), s.address(), s.data().unwrap().to_vec()))
            .collect();
        let symbols = elf
            .symbols()
            .filter(|s| s.is_definition())
            .map(|s| (s.name().unwrap_or("").to_owned(), s.address()))
            .collect();
        Some(Kernel { name, sections, symbols })
    }

    fn section(&self, name: &str) -> Option<(u64, &[u8])> {
        let found = self.sections.iter().find(|s| s.0 == name)?;
        Some((found.1, &found.2))
    }

    fn tables(&self) -> KallsymsTables {
        let at = |name: &str| self.symbols.get(name).copied();
        KallsymsTables {
            names: at("kallsyms_names").unwrap(),
            num_syms: at("kallsyms_num_syms").unwrap(),
            token_table: at("kallsyms_token_table").unwrap(),
            token_index: at("kallsyms_token_index").unwrap(),
            offsets: at("kallsyms_offsets"),
            addresses: at("kallsyms_addresses"),
            relative_base: at("kallsyms_relative_base"),
            markers: at("kallsyms_markers"),
        }
    }

    fn load(&self, tables: &KallsymsTables, check: &[(&str, u64)]) -> Symbols {
        load_kallsyms(self, tables, check).unwrap()
    }
}

impl Bytes for Kernel {
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        self.sections.iter().any(|(_, start, data)| {
            let Some(from) = address.checked_sub(*start) else { return false };
            let Some(bytes) = data.get(from as usize..).and_then(|d| d.get(..buf.len())) else {
                return false;
            };
            buf.copy_from_slice(bytes);
            true
        })
    }
}

fn kallsyms_of_real_kernels() {
    for kernel in KERNELS.into_iter().filter_map(Kernel::open) {
        let tables = kernel.tables();
        let stext = kernel.symbols["_stext"];
        let start = Instant::now();
        let symbols = kernel.load(&tables, &[("_stext", stext)]);
        eprintln!("{}: {} symbols in {:?}", kernel.name, symbols.len(), start.elapsed());
        let mut unknown = 0;
        let mut wrong = Vec::new();
        let truth: std::collections::HashSet<(&str, u64)> =
            kernel.symbols.iter().map(|(n, &a)| (n.as_str(), a)).collect();
        for symbol in symbols.iter() {
            match kernel.symbols.get(symbol.name) {
                None => unknown += 1,
                Some(_) if truth.contains(&(symbol.name, symbol.address)) => {}
                Some(_) => wrong.push((symbol.name.to_owned(), symbol.address)),
            }
        }
        // A static name can stand for several addresses, of which the map keeps one.
        let wrong: Vec<_> =
            wrong.into_iter().filter(|(n, _)| symbols.all_by_name(n).len() == 1).collect();
        eprintln!("  {unknown} not in the symbol table, wrong: {:?}", wrong.first());
        assert!(wrong.is_empty(), "{}: {wrong:x?}", kernel.name);
        assert_eq!(symbols.by_name("_stext").unwrap().address, stext);
        assert_eq!(symbols.lookup(stext + 1).unwrap().address, stext);

        // The address of nothing in the kernel is told by a per-CPU offset.
        assert!(symbols.lookup(0x1000).is_none());
        let percpu = symbols.by_name("runqueues").unwrap();
        assert_eq!(percpu.address, kernel.symbols["runqueues"]);

        // Without anything to check by, the order of addresses tells the same.
        assert_eq!(kernel.load(&tables, &[]).by_name("schedule"), symbols.by_name("schedule"));
        // Not relocated while the truth is: everything moves but per-CPU offsets.
        let moved = kernel.load(&tables, &[("_stext", stext + 0x1320_0000)]);
        assert_eq!(
            moved.by_name("schedule").unwrap().address,
            symbols.by_name("schedule").unwrap().address + 0x1320_0000
        );
        if percpu.address < 0x10_0000 {
            assert_eq!(moved.by_name("runqueues").unwrap().address, percpu.address);
        }
    }
}

fn kallsyms_are_found_in_read_only_data() {
    for kernel in KERNELS.into_iter().filter_map(Kernel::open) {
        let (address, rodata) = kernel.section(".rodata").unwrap();
        let start = Instant::now();
        let found = find_kallsyms(&[(address, rodata)]);
        eprintln!("{}: searched in {:?}", kernel.name, start.elapsed());
        assert_eq!(found, Some(kernel.tables()), "{}", kernel.name);
    }
}

fn btf_of_real_kernels() {
    for kernel in KERNELS.into_iter().filter_map(Kernel::open) {
        let (address, data) = kernel.section(".BTF").unwrap();
        let types = Types::new(8);
        let start = Instant::now();
        let base = load_btf(&types, data, None).unwrap();
        eprintln!("{}: {} BTF records in {:?}", kernel.name, base.len(), start.elapsed());
        assert_eq!(base.damage(), None);
        let task = types.find(Kind::Struct, "task_struct").unwrap();
        assert_eq!(types.display(types.member(task, "comm").unwrap().ty), "char [16]");
        assert!(types.member(task, "se.run_node.rb_left").is_some());
        assert!(types.find(Kind::Function, "schedule").is_some());
        let function = types.find(Kind::Function, "wake_up_process").unwrap();
        assert_eq!(
            types.declare(function, "wake_up_process"),
            "int wake_up_process(struct task_struct *)"
        );
        assert!(matches!(types.get(function), Type::Function { .. }));
        // pahole left out variables of sections at address zero: 5.10 has none.
        if kernel.name != "k510" {
            let runqueues = types.find(Kind::Variable, "runqueues").unwrap();
            assert_eq!(types.display(runqueues), "struct rq");
        }
        assert_eq!(types.enumerator("PIDTYPE_SID").unwrap().0, 3);
        assert_eq!(find_btf(&[(address, data)]), Some((address, data.len() as u64)));
    }
}

fn orc_of_real_kernels() {
    for kernel in KERNELS.into_iter().filter_map(Kernel::open) {
        let (address, ips) = kernel.section(".orc_unwind_ip").unwrap();
        let (_, entries) = kernel.section(".orc_unwind").unwrap();
        let header = kernel.section(".orc_header").map(|(_, h)| h.try_into().unwrap());
        let format = orc_format(header.as_ref(), entries);
        let expected = match kernel.name {
            "k510" => OrcFormat::V1,
            "k612" => OrcFormat::V3,
            _ => OrcFormat::V4,
        };
        assert_eq!(format, expected, "{}", kernel.name);
        assert_eq!(orc_format(None, entries), expected, "{} probed", kernel.name);
        let start = Instant::now();
        let orc = Orc::parse(ips, address, entries, format).unwrap();
        eprintln!("{}: {} ORC entries in {:?}", kernel.name, orc.len(), start.elapsed());
        assert_eq!(orc.len(), ips.len() / 4);
        assert!(orc.iter().map(|(ip, _)| ip).is_sorted());
        let schedule = orc.lookup(kernel.symbols["schedule"]).unwrap();
        assert_eq!((schedule.kind, schedule.sp_offset), (OrcKind::Call, 8));
        assert_eq!(schedule.sp_reg, OrcReg::Sp);

        // Functions begin with nothing but the return address on the stack. Parts of functions
        // that were moved elsewhere, and entry code, begin with more.
        let symbols = kernel.load(&kernel.tables(), &[]);
        let (mut plain, mut others) = (0, 0);
        // In 7.2 data also has the letter of text.
        let text = kernel.symbols["_stext"]..kernel.symbols["_etext"];
        for symbol in symbols.iter().filter(|s| s.is_text() && text.contains(&s.address)) {
            let rule = orc.lookup(symbol.address);
            match rule {
                _ if symbol.name.ends_with(".cold") => {}
                Some(rule) if (rule.sp_reg, rule.sp_offset) == (OrcReg::Sp, 8) => plain += 1,
                _ => others += 1,
            }
        }
        eprintln!("  {plain} functions begin at sp+8, {others} do not");
        assert!(others * 20 < plain);
    }
}

fn elf_symbols_agree_with_kallsyms() {
    for kernel in KERNELS.into_iter().filter_map(Kernel::open) {
        let lab = PathBuf::from(std::env::var_os("NECROPSY_LAB").unwrap());
        let file = ReadCache::new(File::open(lab.join(kernel.name).join("vmlinux")).unwrap());
        let elf = Elf::parse(&file).unwrap();
        assert_eq!(elf.build_id().unwrap().len(), 20);
        let (_, btf) = kernel.section(".BTF").unwrap();
        assert_eq!(elf.section_data(".BTF").unwrap().unwrap(), btf);
        assert!(elf.sections().any(|s| s.name == ".text" && s.address == kernel.symbols["_text"]));
        let start = Instant::now();
        let from_elf = elf.symbols();
        eprintln!("{}: {} ELF symbols in {:?}", kernel.name, from_elf.len(), start.elapsed());
        let from_kernel = kernel.load(&kernel.tables(), &[]);
        let text = |s: &&necropsy_debuginfo::Symbol<'_>| s.is_text();
        let (mut same, mut different) = (0, Vec::new());
        for symbol in from_kernel.iter().filter(|s| text(&s)) {
            let best = from_kernel.lookup(symbol.address).unwrap();
            match from_elf.lookup(symbol.address) {
                Some(found) if found.name == best.name => same += 1,
                other => different.push((best.name.to_owned(), other.map(|s| s.name.to_owned()))),
            }
        }
        eprintln!(
            "  {same} alike, {} not: {:?}",
            different.len(),
            &different[..different.len().min(12)]
        );
        // The order of the linker's table, which breaks the last ties, is not that of kallsyms.
        assert!(different.len() * 1000 < same, "{different:?}");
    }
}

fn globals_have_the_size_of_their_symbols() {
    for kernel in KERNELS.into_iter().filter_map(Kernel::open) {
        let lab = PathBuf::from(std::env::var_os("NECROPSY_LAB").unwrap());
        let file = ReadCache::new(File::open(lab.join(kernel.name).join("vmlinux")).unwrap());
        let from_elf = Elf::parse(&file).unwrap().symbols();
        let from_kernel = kernel.load(&kernel.tables(), &[]);
        let types = Types::new(8);
        load_btf(&types, kernel.section(".BTF").unwrap().1, None).unwrap();
        let (mut right, mut unknown, mut wrong) = (0, Vec::new(), Vec::new());
        let start = Instant::now();
        for line in include_str!("../src/globals.txt").lines() {
            let (name, _) = line.split_once(':').unwrap();
            let [truth] = from_elf.all_by_name(name)[..] else { continue };
            let Some(symbol) = from_kernel.by_name(name) else { continue };
            match global_type_within(&types, name, symbol.size) {
                None => unknown.push(name),
                Some(ty) if types.size_of(ty) == Some(truth.size) => right += 1,
                Some(ty) => wrong.push((name, types.display(ty), types.size_of(ty), truth.size)),
            }
        }
        eprintln!("{}: {right} right, in {:?}", kernel.name, start.elapsed());
        eprintln!("  {} unknown: {unknown:?}", unknown.len());
        eprintln!("  {} wrong: {:?}", wrong.len(), &wrong[..wrong.len().min(60)]);
        // Left are flexible tails, padding, and types of one kernel that fit into another's.
        assert!(unknown.len() < 10 && wrong.len() * 100 < right, "{wrong:?}");
    }
}

necropsy_synth::data_tests! {
    kallsyms_of_real_kernels: [Needs::Lab("k612/vmlinux")],
    kallsyms_are_found_in_read_only_data: [Needs::Lab("k612/vmlinux")],
    btf_of_real_kernels: [Needs::Lab("k612/vmlinux")],
    orc_of_real_kernels: [Needs::Lab("k612/vmlinux")],
    elf_symbols_agree_with_kallsyms: [Needs::Lab("k612/vmlinux")],
    globals_have_the_size_of_their_symbols: [Needs::Lab("k612/vmlinux")],
}
