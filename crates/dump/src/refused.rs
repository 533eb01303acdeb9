//! Files that are no Linux kernel dump, or none that can be read, and what to do with them: one
//! sentence each.

use crate::{
    bytes::Fields,
    elf::{ElfHeader, is_elf},
    meta::Input,
    note::{self, Note},
    reader::{Answer, Reader, Tested},
};

const fn refuse(
    name: &'static str,
    about: &'static str,
    recognise: fn(&Input) -> bool,
    advice: &'static str,
) -> Reader {
    let answer = Answer::Refuse(advice);
    Reader { name, about, tested: Tested::Description, recognise, answer }
}

const fn explain(
    name: &'static str,
    about: &'static str,
    recognise: fn(&Input) -> bool,
    advice: &'static str,
    how: fn(&Input) -> String,
) -> Reader {
    let answer = Answer::Explain(advice, how);
    Reader { name, about, tested: Tested::Description, recognise, answer }
}

/// Asked before ELF cores are opened as kernel dumps.
pub(crate) const PROCESS_CORE: Reader = explain(
    "process core",
    "a program that crashed, not a kernel",
    |input| program_of(input).is_some(),
    "open it with gdb PROGRAM FILE",
    |input| {
        let Program { name, command, system } = program_of(input).unwrap_or_default();
        if !system.is_empty() {
            return format!("of {system}: open it with that system's debugger");
        }
        let of = if command.is_empty() { &name } else { &command };
        format!("of the program {name} ({of}): open it with gdb {name} FILE")
    },
);

const DISK: &str = "file systems are not read here: mount it (guestmount, losetup -P, qemu-nbd) and \
                    open the dump inside, usually below /var/crash";
const PACKED: &str = "this packing is not read: unpack it and open what was inside";

/// What is left when no format was recognised, in the order in which it is asked.
pub(crate) static KINDS: &[Reader] = &[
    refuse(
        "empty file",
        "nothing was ever written to it",
        |input| input.image.len() == 0,
        "nothing was written: look for vmcore-incomplete or vmcore-dmesg.txt beside it, and at the log of the kdump service",
    ),
    refuse(
        "Windows minidump",
        "a Windows program, or a small dump of Windows (MDMP)",
        |input| input.has(0, b"MDMP"),
        "open it with WinDbg or minidump-stackwalk",
    ),
    refuse(
        "Windows kernel dump",
        "Windows' MEMORY.DMP (PAGEDUMP, PAGEDU64)",
        |input| input.has(0, b"PAGEDUMP") || input.has(0, b"PAGEDU64"),
        "open it with WinDbg",
    ),
    refuse(
        "Windows hibernation file",
        "hiberfil.sys",
        |input| [b"hibr", b"HIBR", b"wake", b"WAKE", b"RSTR"].iter().any(|&m| input.has(0, m)),
        "open it with a memory forensics tool for Windows, such as Volatility",
    ),
    refuse(
        "Hyper-V saved state",
        "a .vmrs file of a Hyper-V virtual machine",
        |input| input.has(0, b"\x14\x20\x28\x01"),
        "its layout is not documented: on the Hyper-V host, write the guest's memory with the Saved State Dump Provider (VmSavedStateDumpProvider.dll) and open that, or panic the guest so that its kdump writes a vmcore",
    ),
    refuse(
        "FreeBSD kernel dump",
        "FreeBSD's savecore: minidump, or a dump partition",
        |input| input.has(0, b"minidump FreeBSD") || input.has(0, b"FreeBSD Kernel Dump"),
        "open it with kgdb on FreeBSD (pkg install gdb)",
    ),
    refuse(
        "NetBSD or OpenBSD kernel dump",
        "savecore of NetBSD or OpenBSD",
        |input| input.has(2, b"\x8f\xca") || input.has(0, b"\xca\x8f"),
        "open it on that system: gdb with target kvm, or crash(8)",
    ),
    refuse(
        "macOS core",
        "a Mach-O core of macOS, of a program or its kernel",
        |input| {
            is_mach(input)
                && Fields::new(&input.head(16), !input.has(3, b"\xfe")).u32(12) == Some(4)
        },
        "open it with lldb on macOS",
    ),
    refuse("macOS program", "a Mach-O file", is_mach, "this is a program, not a dump"),
    explain(
        "kernel or program",
        "an ELF file with code: vmlinux, a module, a program",
        |input| is_elf(&input.image),
        "name the dump first: necropsy DUMP vmlinux",
        program_file,
    ),
    refuse(
        "kernel image",
        "a bootable kernel: bzImage, vmlinuz",
        |input| input.has(0x202, b"HdrS") || input.has(0x38, b"ARM\x64"),
        "this is a kernel to boot, not a dump; for symbols take the vmlinux with debug information: necropsy DUMP vmlinux",
    ),
    refuse(
        "VirtualBox saved state",
        "a .sav file",
        |input| input.has(0, b"\x7fVirtualBox SavedState"),
        "write the memory of the running machine instead: VBoxManage debugvm NAME dumpvmcore --filename FILE",
    ),
    refuse(
        "Xen saved domain",
        "xl save",
        |input| input.has(0, b"Xen saved domain") || input.has(0, b"LinuxGuestRecord"),
        "write a core instead: xl dump-core DOMAIN FILE",
    ),
    refuse(
        "Proxmox backup",
        "a .vma archive of a virtual machine's disks",
        |input| input.has(0, b"VMA\0"),
        "it holds disks: extract them with vma extract, mount them, and open the dump inside",
    ),
    refuse("disk image", "VMDK, VHD, VHDX, VDI, a disk with partitions", is_disk, DISK),
    refuse(
        "file system",
        "an image of a file system: ISO 9660, ext4, XFS, Btrfs, SquashFS",
        is_file_system,
        DISK,
    ),
    refuse(
        "swap area",
        "a swap partition or file",
        |input| input.has(4086, b"SWAPSPACE2") || input.has(4086, b"SWAP-SPACE"),
        "it holds pages that were swapped out, not the machine's memory: open a dump",
    ),
    refuse(
        "LUKS volume",
        "an encrypted disk",
        |input| input.has(0, b"LUKS\xba\xbe"),
        "unlock it with cryptsetup open, mount it, and open the dump inside",
    ),
    refuse(
        "package",
        "an RPM or Debian package",
        |input| input.has(0, b"\xed\xab\xee\xdb") || input.has(0, b"!<arch>\ndebian"),
        "unpack it (rpm2cpio, dpkg -x): debug information goes behind the dump, necropsy DUMP vmlinux",
    ),
    refuse("archive", "7z, RAR, cpio, CAB, lzop, lrzip, lzip, compress", is_other_archive, PACKED),
    explain(
        "text",
        "a kernel's log, or any other text",
        is_text,
        "the panic in a kernel log is read with necropsy oops FILE",
        |input| {
            format!(
                "no dump; if it is a kernel's log, read it with: necropsy oops {}",
                input.path.display()
            )
        },
    ),
    refuse(
        "zeros",
        "a file of nothing but zeros",
        is_zeros,
        "no dump was written into it (space that was set aside, or a copy that failed)",
    ),
];

fn is_mach(input: &Input) -> bool {
    [b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf"]
        .iter()
        .any(|&magic| input.has(0, magic))
}

fn is_disk(input: &Input) -> bool {
    let has_partitions = || {
        // A boot sector: its mark, and a first partition with a type.
        input.has(510, b"\x55\xaa") && !input.has(0x1c2, b"\0")
    };
    input.has(0, b"KDMV")
        || input.has(0, b"COWD")
        || input.has(0, b"# Disk DescriptorFile")
        || input.has(0, b"conectix")
        || input.has(0, b"vhdxfile")
        || input.has(0x40, b"\x7f\x10\xda\xbe")
        || input.has(512, b"EFI PART")
        || has_partitions()
}

fn is_file_system(input: &Input) -> bool {
    input.has(0x8001, b"CD001")
        || input.has(0x438, b"\x53\xef")
        || input.has(0, b"XFSB")
        || input.has(0x10040, b"_BHRfS_M")
        || input.has(0, b"hsqs")
}

fn is_other_archive(input: &Input) -> bool {
    let magics: [&[u8]; 9] = [
        b"7z\xbc\xaf\x27\x1c",
        b"Rar!\x1a\x07",
        b"07070",
        b"MSCF",
        b"\x89LZO\0",
        b"LRZI",
        b"LZIP",
        b"\x1f\x9d",
        b"\xc7\x71",
    ];
    magics.iter().any(|magic| input.has(0, magic))
}

/// Bytes looked at to tell text and zeros from other things.
const SAMPLE: usize = 4096;

fn is_text(input: &Input) -> bool {
    let head = input.head(SAMPLE);
    let text = match std::str::from_utf8(&head) {
        Ok(text) => text,
        // The sample may end within a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\x1b' | '\x0c');
    !text.trim().is_empty() && !text.chars().any(is_control)
}

/// Zeros at the beginning, in the middle and at the end are taken for zeros everywhere.
fn is_zeros(input: &Input) -> bool {
    let len = input.image.len();
    let last = len.saturating_sub(SAMPLE as u64);
    [0, len / 4, len / 2, last]
        .iter()
        .all(|&at| input.image.get_up_to(at, SAMPLE).iter().all(|&byte| byte == 0))
}

/// What an ELF file with code is, and where it belongs.
fn program_file(input: &Input) -> String {
    const ET_REL: u16 = 1;
    let Some(header) = ElfHeader::parse(&input.image) else {
        return "an ELF file whose header is cut or damaged".into();
    };
    let has = |name| header.section(&input.image, name).is_some();
    if header.kind == ET_REL {
        return "a kernel module or object file, not a dump; it goes behind the dump: necropsy DUMP vmlinux MODULE.ko".into();
    }
    if has("__ksymtab") || has("__ksymtab_strings") || has(".init.text") || has("__param") {
        return "a kernel (vmlinux), not a dump; it goes behind the dump: necropsy DUMP vmlinux"
            .into();
    }
    if has(".debug_info") && !has(".text") {
        return "debug information, not a dump; it goes behind the dump: necropsy DUMP FILE".into();
    }
    "a program or library, not a dump".into()
}

/// Whose core it is.
#[derive(Debug, Clone, Default)]
struct Program {
    name: String,
    command: String,
    /// Another system than Linux.
    system: &'static str,
}

const NT_PRPSINFO: u32 = 3;
const OTHER_SYSTEMS: [&str; 3] = ["FreeBSD", "NetBSD", "OpenBSD"];
/// Bytes of notes that are looked at; a core's own come first.
const NOTES: usize = 1 << 20;

/// The program whose core this is. A kernel's core has physical addresses, or notes of its own.
fn program_of(input: &Input) -> Option<Program> {
    const ET_CORE: u16 = 4;
    if !is_elf(&input.image) {
        return None;
    }
    let header = ElfHeader::parse(&input.image).filter(|header| header.kind == ET_CORE)?;
    let programs = header.programs(&input.image);
    let area = programs.iter().find(|program| program.is_note())?;
    let size = area.file_size.min(NOTES as u64) as usize;
    let notes = note::parse(&input.image.get_up_to(area.offset, size), header.big_endian);
    let loads = || programs.iter().filter(|program| program.is_load());
    let no_physical = loads().count() > 0 && loads().all(|load| load.physical_address == 0);
    let other =
        OTHER_SYSTEMS.iter().find(|name| notes.iter().any(|note| note.name.starts_with(**name)));
    if let Some(system) = other {
        return Some(Program { system, ..Program::default() });
    }
    let kernels = ["VMCOREINFO", "QEMU", "VBCORE", "Xen", "ERASEINFO"];
    let is_kernel = notes.iter().any(|note| kernels.contains(&note.name.as_str()));
    let info = notes.iter().find(|note| note.name == "CORE" && note.kind == NT_PRPSINFO)?;
    let (name, command) = names(info, header.big_endian);
    (no_physical && !is_kernel && name != "vmlinux").then_some(Program {
        name,
        command,
        system: "",
    })
}

/// `pr_fname` and `pr_psargs` of `struct elf_prpsinfo`, whose size tells the machine's words.
fn names(note: &Note, big_endian: bool) -> (String, String) {
    let at = match note.desc.len() {
        136 => 40,
        128 => 32,
        _ => 28,
    };
    let fields = Fields::new(&note.desc, big_endian);
    let clean = |text: String| text.trim().chars().filter(|c| !c.is_control()).collect();
    (clean(fields.string(at, 16)), clean(fields.string(at + 16, 80)))
}
