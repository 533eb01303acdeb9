//! Debug information of real kernels: against their BTF, against pahole, and damaged. Full-size
//! ones are found through the environment variable `NECROPSY_LAB`; `NECROPSY_PAHOLE` says how to
//! run pahole (`pahole -F dwarf --structs {vmlinux}`).

use necropsy_synth::Needs;
use std::{
    collections::BTreeMap,
    env, fs, io,
    ops::Deref,
    path::{Path, PathBuf},
    process::Command,
};

use necropsy_debuginfo::{
    Kind, Type, TypeId, Types,
    dwarf::{Cache, DebugFile, Dwarf, FileData, IndexBytes},
    load_btf,
};
use necropsy_dump::Map;

struct Mapped(Map);

impl Deref for Mapped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl FileData for Mapped {}

fn kernels() -> Vec<(String, PathBuf)> {
    let Some(lab) = env::var_os("NECROPSY_LAB").map(PathBuf::from) else {
        eprintln!("SKIPPED: NECROPSY_LAB is not set");
        return Vec::new();
    };
    let names = ["k510", "k612", "k72"];
    let files = names.map(|name| (name.to_owned(), lab.join(name).join("vmlinux")));
    files.into_iter().filter(|(_, path)| path.exists()).collect()
}

fn open(path: &Path, cache: Option<&Cache<'_>>) -> Dwarf {
    let file = DebugFile::open(Box::new(Mapped(Map::open(path).unwrap()))).unwrap();
    Dwarf::open(file, cache).unwrap()
}

fn btf_of(path: &Path) -> Types {
    use object::{Object, ObjectSection};
    let bytes = Map::open(path).unwrap();
    let elf = object::File::parse(&*bytes).unwrap();
    let types = Types::new(8);
    let section = elf.section_by_name(".BTF").unwrap().data().unwrap();
    load_btf(&types, section, None).unwrap();
    types
}

fn debug_information_and_btf_describe_the_same_structures() {
    for (name, path) in kernels() {
        let comparison = open(&path, None).compare(&btf_of(&path));
        eprintln!(
            "{name}: {} alike, {} differ, {} not in BTF",
            comparison.same,
            comparison.differences.len(),
            comparison.only_here
        );
        assert!(comparison.same > 5000, "{name}");
        assert_eq!(comparison.differences, [], "{name}");
    }
}

fn a_kernel_without_btf_has_its_types_from_debug_information() {
    for (name, path) in kernels() {
        let types = Types::new(8);
        let start = std::time::Instant::now();
        open(&path, None).load_types(&types);
        eprintln!("{name}: {} types in {:?}", types.len(), start.elapsed());
        let btf = btf_of(&path);
        for (tag, member) in [("task_struct", "mm"), ("module", "list.next"), ("page", "flags")] {
            let offset = |types: &Types| {
                types.composite(tag).and_then(|id| types.member(id, member)).map(|m| m.bit_offset)
            };
            assert!(offset(&types).is_some(), "{name}: {tag}.{member}");
            assert_eq!(offset(&types), offset(&btf), "{name}: {tag}.{member}");
        }
    }
}

fn an_index_is_kept_and_found_again() {
    let map = |path: &Path| -> io::Result<IndexBytes> { Ok(Box::new(Map::open(path)?)) };
    for (_, path) in kernels() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache { directory: directory.path(), map: &map };
        let made = open(&path, Some(&cache));
        let files: Vec<_> = fs::read_dir(directory.path()).unwrap().flatten().collect();
        assert_eq!(files.len(), 1);
        let found = open(&path, Some(&cache));
        let names = |dwarf: &Dwarf| dwarf.names(Kind::Struct);
        assert_eq!(names(&made), names(&found));
        // A file that is not whole is made anew.
        let kept = files[0].path();
        let whole = fs::read(&kept).unwrap();
        fs::write(&kept, &whole[..whole.len() / 2]).unwrap();
        assert_eq!(names(&open(&path, Some(&cache))), names(&made));
        assert_eq!(fs::read(&kept).unwrap(), whole);
    }
}

/// What pahole prints of a structure: its size, and name and offset in bits of each direct
/// member.
type Layout = (u64, Vec<(String, u64)>);

/// Structures and unions of pahole's output.
fn pahole(text: &str) -> BTreeMap<String, Vec<Layout>> {
    let mut found: BTreeMap<String, Vec<Layout>> = BTreeMap::new();
    let mut current: Option<(String, Vec<(String, u64)>)> = None;
    for line in text.lines() {
        let direct = line.starts_with('\t') && !line.starts_with("\t\t");
        if let Some(tag) = line.strip_suffix(" {").filter(|_| !line.starts_with('\t')) {
            current = Some((tag.to_owned(), Vec::new()));
        } else if let (Some(rest), Some((_, members))) =
            (line.strip_prefix("\t/* size: "), &current)
        {
            let size = rest.split(',').next().unwrap().trim().parse().unwrap();
            let (tag, _) = current.as_ref().unwrap();
            found.entry(tag.clone()).or_default().push((size, members.clone()));
        } else if let (true, Some((_, members))) = (direct, &mut current)
            && let Some((declaration, comment)) = line.rsplit_once("/*")
            && let Some((declaration, _)) = declaration.trim().rsplit_once(';')
        {
            // `32: 6  4`: bit 6 of four bytes at 32.
            let numbers = comment.trim_end_matches("*/").trim();
            let (first, bit) = match numbers.split_once(':') {
                Some((first, rest)) => (first, rest.split_whitespace().next().unwrap_or("0")),
                None => (numbers.split(' ').next().unwrap_or(""), "0"),
            };
            let (Ok(offset), Ok(bit)) = (first.parse::<u64>(), bit.parse::<u64>()) else {
                continue;
            };
            members.push((name_of(declaration), offset * 8 + bit));
        }
    }
    found
}

/// The name that a declaration declares; empty for an anonymous structure.
fn name_of(declaration: &str) -> String {
    let text = match declaration.find("(*") {
        Some(at) => &declaration[at + 2..],
        None => declaration,
    };
    // Attributes stand behind a name, and between the members of a structure and its name.
    let mut plain = text.to_owned();
    while let Some(start) = plain.find("__attribute__((") {
        let mut depth = 0;
        let end = plain[start..].find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            c == ')' && depth == 0
        });
        plain.replace_range(start..end.map_or(plain.len(), |end| start + end + 1), "");
    }
    let text = plain.trim();
    let text = text.split([')', '[', ':']).next().unwrap().trim();
    if text.starts_with('}') {
        return text.trim_start_matches('}').trim().trim_start_matches('*').trim().to_owned();
    }
    // `struct filename_head;`: a member without a name of a type with one.
    if matches!(text.split_whitespace().collect::<Vec<_>>()[..], ["struct" | "union", _]) {
        return String::new();
    }
    text.rsplit([' ', '*', '\t']).next().unwrap().to_owned()
}

fn structures_have_the_offsets_that_pahole_prints() {
    let Some(command) = env::var("NECROPSY_PAHOLE").ok() else {
        eprintln!("SKIPPED: NECROPSY_PAHOLE is not set");
        return;
    };
    for (name, path) in kernels() {
        let line =
            command.replace("{vmlinux}", &fs::canonicalize(&path).unwrap().to_string_lossy());
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        let expected = pahole(&String::from_utf8_lossy(&output.stdout));
        assert!(expected.len() > 5000, "{name}: pahole printed {} structures", expected.len());
        let dwarf = open(&path, None);
        for (source, types) in [("DWARF", Types::new(8)), ("BTF", btf_of(&path))] {
            let (mut equal, mut missing, mut wrong) = (0, 0, Vec::new());
            for (tag, layouts) in &expected {
                let Some((keyword, bare)) = tag.split_once(' ') else { continue };
                // Types of Rust: pahole cannot write their members as C.
                if !bare.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                    continue;
                }
                let kind = if keyword == "union" { Kind::Union } else { Kind::Struct };
                let ids = match source {
                    "DWARF" => dwarf.types_named(&types, kind, bare),
                    _ => types.find_all(kind, bare),
                };
                if ids.is_empty() {
                    missing += 1;
                    continue;
                }
                let ours: Vec<Layout> = ids.iter().filter_map(|id| layout(&types, *id)).collect();
                match layouts.iter().find(|layout| !ours.contains(layout)) {
                    None => equal += 1,
                    Some(other) => wrong.push(format!("{tag}: {other:?}\n  ours {ours:?}")),
                }
            }
            eprintln!("{name}: {source}: {equal} equal, {} differ, {missing} missing", wrong.len());
            assert_eq!((missing, wrong.first()), (0, None), "{name}: {source}");
        }
    }
}

fn layout(types: &Types, id: TypeId) -> Option<Layout> {
    let Type::Composite(composite) = types.get(id) else { return None };
    let members = composite
        .members
        .iter()
        .map(|member| (types.name(member.name).to_owned(), member.bit_offset));
    Some((composite.size, members.collect()))
}

/// The debug information of this very test: made by rustc, and hurt.
fn damage_is_no_panic_and_no_hang() {
    let whole = fs::read(env::current_exe().unwrap()).unwrap();
    let look = |bytes: Vec<u8>| {
        let Ok(file) = DebugFile::open(Box::new(bytes)) else { return };
        let Ok(dwarf) = Dwarf::open(file, None) else { return };
        let starts: Vec<u64> =
            dwarf.file().symbols().iter().map(|s| s.address).step_by(997).collect();
        for address in starts {
            let _ = (dwarf.frames_at(address), dwarf.cfi_at(address));
        }
        let types = Types::new(8);
        for (_, entry) in dwarf.names(Kind::Struct).into_iter().take(50) {
            let _ = dwarf.type_at(&types, entry);
        }
    };
    for cut in [0, 16, 64, 4096, whole.len() / 2, whole.len() - 1000] {
        look(whole[..cut].to_vec());
    }
    for (seed, step) in [(1u8, 97usize), (7, 1009), (0x80, 4099), (0xff, 65_537)] {
        let mut bytes = whole.clone();
        for at in (4096..bytes.len() - 8192).step_by(step) {
            bytes[at] ^= seed;
        }
        look(bytes);
    }
}

necropsy_synth::data_tests! {
    debug_information_and_btf_describe_the_same_structures: [Needs::Lab("k612/vmlinux")],
    a_kernel_without_btf_has_its_types_from_debug_information: [Needs::Lab("k612/vmlinux")],
    an_index_is_kept_and_found_again: [Needs::Lab("k612/vmlinux")],
    damage_is_no_panic_and_no_hang: [Needs::Lab("k612/vmlinux")],
    structures_have_the_offsets_that_pahole_prints: [Needs::Lab("k612/vmlinux"), Needs::Variable("NECROPSY_PAHOLE")],
}
