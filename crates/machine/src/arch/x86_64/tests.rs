//! The rules by which the kernel is found, as tables.

use std::path::PathBuf;

use necropsy_dump::{Dump, OpenOptions};
use necropsy_lexicon::{
    AddressClass,
    reg::x86_64::{CS, ORIG_RAX, R10, RCX},
};
use necropsy_synth::{ElfCore, Order, Segment};

use super::{
    X86_64,
    layout::{address_class, find},
};
use crate::{
    Architecture,
    layout::{Layout, Linear, Overrides},
    paging::PagingFormat,
    regs::Regs,
    target::Fact,
};

const KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// `swapper_pg_dir` and `_stext`, in the kernel's map.
const IMAGE: u64 = 0x100_0000;
const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;

/// A dump of a kernel whose image begins with its page tables: root, third and second level.
fn dump(phys_base: u64, mapped: bool, info: Option<&str>, cr3: Option<u64>) -> Dump {
    let physical = phys_base.wrapping_add(IMAGE);
    let mut data = vec![0; 0x4000];
    let mut entry = |table: usize, index: usize, value: u64| {
        data[table * 0x1000 + index * 8..][..8].copy_from_slice(&value.to_le_bytes());
    };
    if mapped {
        entry(0, 511, (physical + 0x1000) | PRESENT);
        entry(1, 510, (physical + 0x2000) | PRESENT);
        entry(2, (IMAGE >> 21) as usize, physical | LARGE | PRESENT);
    }
    let mut notes = Vec::new();
    if let Some(info) = info {
        notes.push(("VMCOREINFO".to_owned(), 0, info.as_bytes().to_vec()));
    }
    if let Some(cr3) = cr3 {
        // QEMUCPUState: version, size, registers, segments, control registers.
        let mut state = vec![0; 440];
        state[0] = 1;
        state[4..8].copy_from_slice(&440u32.to_le_bytes());
        state[416..424].copy_from_slice(&cr3.to_le_bytes());
        notes.push(("QEMU".to_owned(), 0, state));
    }
    let segments = vec![Segment { physical, address: 0, memory_size: 0x4000, data }];
    let (wide, order, machine) = (true, Order::Little, 62);
    let core = ElfCore { wide, order, machine, notes, segments, extended_count: false };
    let files = vec![(PathBuf::from("core"), core.build())];
    Dump::from_bytes(files, OpenOptions::default()).unwrap()
}

fn rule<'a>(facts: &'a [Fact], name: &str) -> &'a str {
    facts.iter().find(|fact| fact.name == name).map_or("", |fact| &fact.rule)
}

#[test]
fn where_phys_base_comes_from() {
    let symbols = "SYMBOL(swapper_pg_dir)=ffffffff81000000\nSYMBOL(_stext)=ffffffff81000000\n";
    let moved = format!("{symbols}NUMBER(phys_base)=4194304\nKERNELOFFSET=1e000000\n");
    let moved = Some(moved.as_str());
    let bare = Some(symbols);
    let base = 4 << 20;
    let cr3 = Some(base + IMAGE + 0x1003);
    // The kernel's place, whether its tables are whole, VMCOREINFO, CR3, what the user says, and
    // the rule that finds it.
    let table = [
        (base, true, moved, None, None, "NUMBER(phys_base) of VMCOREINFO; the page tables agree"),
        (
            base,
            false,
            moved,
            None,
            None,
            "NUMBER(phys_base) of VMCOREINFO; the page tables could not confirm it",
        ),
        (0, true, bare, None, None, "assumed: nothing names it; the page tables agree"),
        (base, true, bare, None, Some(base), "given on the command line; the page tables agree"),
        (base, true, moved, None, Some(0), "given on the command line; the page tables disagree"),
        // The bits of CR3 that are no address are left out, and so is the user's table.
        (base, true, None, cr3, None, "page tables of a CPU (CR3)"),
        (base, true, bare, cr3, None, "page tables of a CPU (CR3)"),
    ];
    for (place, mapped, info, cr3, given, expected) in table {
        let dump = dump(place, mapped, info, cr3);
        let overrides = Overrides { phys_base: given, kaslr: None };
        let mut facts = Vec::new();
        let layout = find(&dump, dump.vmcoreinfo(), &overrides, &mut facts).expect(expected);
        assert_eq!(rule(&facts, "phys_base"), expected);
        assert_eq!(layout.phys_base, given.unwrap_or(place), "{expected}");
        assert_eq!(layout.root, layout.phys_base + IMAGE, "{expected}");
        if mapped && given.is_none_or(|given| given == place) {
            let (start, end) = (KERNEL_MAP + IMAGE, KERNEL_MAP + IMAGE + (2 << 20));
            assert_eq!((layout.image.start, layout.image.end), (start, end), "{expected}");
            assert_eq!(layout.linear(start + 5), Some(place + IMAGE + 5), "{expected}");
        }
    }
    for info in [None, Some("OSRELEASE=6.12\n")] {
        let dump = dump(base, true, info, None);
        let found = find(&dump, dump.vmcoreinfo(), &Overrides::default(), &mut Vec::new());
        assert!(found.unwrap_err().starts_with("no kernel recognised"));
    }
}

#[test]
fn where_kaslr_comes_from() {
    let info = "SYMBOL(swapper_pg_dir)=ffffffff81000000\nNUMBER(phys_base)=0\n";
    let with = format!("{info}KERNELOFFSET=1e000000\n");
    let table = [
        (with.as_str(), None, Some(0x1e00_0000), "KERNELOFFSET of VMCOREINFO"),
        (info, None, None, "VMCOREINFO has no KERNELOFFSET"),
        (&with, Some(0x20_0000), Some(0x20_0000), "given on the command line"),
    ];
    for (info, given, kaslr, expected) in table {
        let dump = dump(0, true, Some(info), None);
        let overrides = Overrides { phys_base: None, kaslr: given };
        let mut facts = Vec::new();
        let layout = find(&dump, dump.vmcoreinfo(), &overrides, &mut facts).expect(expected);
        assert_eq!((layout.kaslr, rule(&facts, "kaslr")), (kaslr, expected));
    }
}

#[test]
fn what_an_address_can_be() {
    use AddressClass::*;
    let layout = |levels, direct, vmalloc, vmemmap| Layout {
        paging: PagingFormat::X86_64 { levels, mask: 0 },
        root: 0,
        image_map: KERNEL_MAP,
        phys_base: 0,
        kaslr: Some(0),
        image: Linear { start: KERNEL_MAP + IMAGE, end: KERNEL_MAP + (48 << 20), physical: IMAGE },
        direct: Some(Linear { start: direct, end: direct + (1 << 30), physical: 0 }),
        vmalloc: Some(vmalloc),
        vmemmap: Some(vmemmap),
        vmemmap_parts: Vec::new(),
    };
    // Documentation/arch/x86/x86_64/mm.rst, without KASLR.
    let four = layout(4, 0xffff_8880_0000_0000, 0xffff_c900_0000_0000, 0xffff_ea00_0000_0000);
    let five = layout(5, 0xff11_0000_0000_0000, 0xffa0_0000_0000_0000, 0xffd4_0000_0000_0000);
    let table = [
        (0, User, User),
        (0x0000_7fff_ffff_ffff, User, User),
        (0x0000_8000_0000_0000, NonCanonical, User),
        (0x00ff_ffff_ffff_ffff, NonCanonical, User),
        (0x0100_0000_0000_0000, NonCanonical, NonCanonical),
        (0x6b6b_6b6b_6b6b_6b6b, NonCanonical, NonCanonical),
        (0xdead_0000_0000_0100, NonCanonical, NonCanonical),
        (0xff11_0000_0000_0000, NonCanonical, DirectMap),
        (0xffa0_0000_0000_0000, NonCanonical, Vmalloc),
        (0xffd4_0000_0000_0000, NonCanonical, Vmemmap),
        (0xffff_7fff_ffff_ffff, NonCanonical, Kernel),
        (0xffff_8880_0000_0000, DirectMap, Kernel),
        (0xffff_8880_4000_0000, Kernel, Kernel),
        (0xffff_c900_0000_0000, Vmalloc, Kernel),
        (0xffff_e8ff_ffff_ffff, Vmalloc, Kernel),
        (0xffff_ea00_0000_0000, Vmemmap, Kernel),
        (KERNEL_MAP + IMAGE, KernelImage, KernelImage),
        (0xffff_ffff_c000_0000, Modules, Modules),
        (0xffff_ffff_ff60_0000, Fixmap, Fixmap),
    ];
    for (address, of_four, of_five) in table {
        assert_eq!(address_class(Some(&four), address), of_four, "{address:x}");
        assert_eq!(address_class(Some(&five), address), of_five, "{address:x}");
    }
    assert_eq!(address_class(None, 0x1000), User);
    assert_eq!(address_class(None, KERNEL_MAP), Kernel);
}

#[test]
fn a_system_call_passes_its_fourth_argument_otherwise_than_a_function() {
    let abi = X86_64.abi();
    assert_eq!((abi.arguments[3], abi.system_call_arguments[3]), (RCX, R10));
    // A program of 32 bits has numbers of its own.
    let mut regs = Regs::new();
    regs.put(ORIG_RAX, Some(1));
    regs.put(CS, Some(0x33));
    assert_eq!(X86_64.system_call(&regs), Some(1));
    regs.put(CS, Some(0x23));
    assert_eq!(X86_64.system_call(&regs), None);
}
