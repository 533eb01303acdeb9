//! Small ELF files in every place.

use std::{fs, io::Write, path::Path};

use necropsy_synth::{Codec, ElfFile, pack};

use super::*;

const ID: &[u8] = &[0xab, 0xcd, 0xef, 1, 2, 3, 4, 5];
const OTHER: &[u8] = &[0xab, 0x11, 0x22, 1, 2, 3, 4, 5];
const RELEASE: &str = "6.1.0-18-amd64";
const RELOCATABLE: u16 = 1;
const LINKED: u16 = 2;

fn bare(kind: u16, id: &[u8]) -> ElfFile {
    ElfFile::new(kind).section(".text", b"code").build_id(id)
}

fn with_debug(kind: u16, id: &[u8]) -> Vec<u8> {
    bare(kind, id).section(".debug_info", b"dwarf").build()
}

fn kernel() -> Vec<u8> {
    with_debug(LINKED, ID)
}

fn module() -> Vec<u8> {
    with_debug(RELOCATABLE, ID)
}

/// A machine of its own, with a folder `dumps` and one called `given`.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Machine(tempfile::tempdir().unwrap());
        for folder in ["dumps", "given"] {
            fs::create_dir(machine.path(folder)).unwrap();
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn files(&self, given: &[&Path]) -> DebugFiles {
        self.with(given, |_| {})
    }

    fn with(&self, given: &[&Path], change: impl Fn(&mut Options)) -> DebugFiles {
        let mut options = Options {
            given: given.iter().map(|path| (*path).to_owned()).collect(),
            dump_dirs: vec![self.path("dumps")],
            ..Options::default()
        };
        change(&mut options);
        DebugFiles::below(self.0.path().to_owned(), options)
    }
}

#[track_caller]
fn assert_found(lookup: Lookup, path: &Path, how: &str) -> Found {
    let found = lookup.found.unwrap_or_else(|| panic!("nothing: {:?}", lookup.refused));
    assert_eq!((found.path.as_path(), found.how), (path, how));
    assert!(found.bytes.starts_with(b"\x7fELF"));
    found
}

#[track_caller]
fn assert_refused(lookup: &Lookup, parts: &[&str]) {
    assert!(lookup.found.is_none(), "{lookup:?}");
    let [line] = lookup.refused.as_slice() else { panic!("{:?}", lookup.refused) };
    for part in parts {
        assert!(line.contains(part), "{line}");
    }
    assert!(!line.contains('\n'));
}

#[track_caller]
fn assert_nothing(lookup: &Lookup) {
    assert!(lookup.found.is_none() && lookup.refused.is_empty(), "{lookup:?}");
}

#[test]
fn every_place_of_a_kernel_is_looked_at() {
    let places = [
        ("usr/lib/debug/.build-id/ab/cdef0102030405.debug", "build-id directory"),
        ("usr/lib/debug/boot/vmlinux-6.1.0-18-amd64", "release's directory"),
        ("usr/lib/debug/boot/vmlinux-6.1.0-18-amd64.debug", "release's directory"),
        ("usr/lib/debug/lib/modules/6.1.0-18-amd64/vmlinux", "release's directory"),
        ("lib/modules/6.1.0-18-amd64/build/vmlinux", "release's directory"),
        ("dumps/vmlinux", "beside the dump"),
        ("dumps/vmlinux-mine", "beside the dump"),
        ("dumps/whatever.debug", "beside the dump"),
    ];
    for (place, how) in places {
        let machine = Machine::new();
        let path = machine.put(place, &kernel());
        let found = assert_found(machine.files(&[]).kernel(Some(ID), Some(RELEASE)), &path, how);
        assert_eq!((found.build_id.as_deref(), found.note), (Some(ID), None));
        // Not this one, and nobody asked for it.
        assert_nothing(&machine.files(&[]).kernel(Some(OTHER), Some(RELEASE)));
        let off = machine.with(&[&path], |options| options.search = false);
        assert_nothing(&off.kernel(Some(ID), Some(RELEASE)));
    }
}

#[test]
fn every_place_of_a_module_is_looked_at() {
    let places = [
        ("usr/lib/debug/.build-id/ab/cdef0102030405.debug", "build-id directory"),
        ("usr/lib/debug/lib/modules/6.1.0-18-amd64/kernel/a/b/snd-x.ko.debug", ""),
        ("usr/lib/modules/6.1.0-18-amd64/updates/snd_x.ko", ""),
        ("dumps/snd-x.ko", "beside the dump"),
        ("dumps/whatever.debug", "beside the dump"),
    ];
    for (place, how) in places {
        let machine = Machine::new();
        let path = machine.put(place, &module());
        let how = if how.is_empty() { "release's directory" } else { how };
        assert_found(machine.files(&[]).module("snd_x", Some(ID), Some(RELEASE)), &path, how);
        assert_nothing(&machine.files(&[]).module("snd_x", Some(OTHER), Some(RELEASE)));
        assert_nothing(&machine.files(&[]).kernel(Some(ID), Some(RELEASE)));
    }
}

#[test]
fn given_files_come_first_and_are_told_apart() {
    let machine = Machine::new();
    machine.put("dumps/vmlinux", &kernel());
    let vmlinux = machine.put("given/my-kernel", &kernel());
    let own = machine.put("given/own.ko", &with_debug(RELOCATABLE, OTHER));
    let unnamed = machine.put("given/unnamed", &module());
    let files = machine.files(&[&own, &vmlinux, &unnamed]);
    assert_found(files.kernel(Some(ID), None), &vmlinux, "given");
    assert_found(files.module("own", Some(OTHER), None), &own, "given");
    assert_found(files.module("ext4", Some(ID), None), &unnamed, "given");
    assert_nothing(&files.module("ext4", None, None));
    assert_nothing(&files.module("ext4", Some(&[1, 2]), None));
}

#[test]
fn another_build_id_is_refused_with_both_unless_overridden() {
    let machine = Machine::new();
    let path = machine.put("given/vmlinux", &with_debug(LINKED, OTHER));
    let parts = ["vmlinux: build-id ab112201", "the dump's kernel has abcdef01", "--any-build-id"];
    for given in [&path, &machine.path("given")] {
        assert_refused(&machine.files(&[given]).kernel(Some(ID), None), &parts);
        let any = machine.with(&[given], |options| options.any_build_id = true);
        let found = assert_found(any.kernel(Some(ID), None), &path, "given");
        assert!(found.note.unwrap().contains("used all the same"));
    }
    // One that fits is better, even so.
    let right = machine.put("given/vmlinux-z", &kernel());
    let any = machine.with(&[&path, &right], |options| options.any_build_id = true);
    assert_found(any.kernel(Some(ID), None), &right, "given");
    let lookup = machine.files(&[&path]).kernel(Some(ID), None);
    assert_refused(&lookup, &parts);
    let lookup = machine.files(&[&machine.path("given")]).kernel(Some(ID), None);
    assert!(lookup.refused.is_empty());
    assert_found(lookup, &right, "given");
}

#[test]
fn without_the_dump_s_build_id_the_user_or_the_release_decides() {
    let machine = Machine::new();
    let beside = machine.put("dumps/vmlinux", &kernel());
    assert_refused(&machine.files(&[]).kernel(None, Some(RELEASE)), &["not known", "--symbols"]);
    let found = assert_found(machine.files(&[&beside]).kernel(None, None), &beside, "given");
    assert!(found.note.unwrap().contains("not compared"));
    let named = machine.put("dumps/vmlinux-6.1.0-18-amd64", &kernel());
    assert_found(machine.files(&[]).kernel(None, Some(RELEASE)), &named, "beside the dump");
    let installed = machine.put("usr/lib/debug/boot/vmlinux-6.1.0-18-amd64", &kernel());
    assert_found(machine.files(&[]).kernel(None, Some(RELEASE)), &installed, "release's directory");

    // In a folder, if there is no doubt.
    let machine = Machine::new();
    let folder = machine.path("given");
    let built = machine.put("given/vmlinux", &kernel());
    machine.put("given/vmlinux.o", &module());
    machine.put("given/arch/x86/boot/compressed/vmlinux", &bare(LINKED, OTHER).build());
    assert_found(machine.files(&[&folder]).kernel(None, None), &built, "given");
    machine.put("given/vmlinux-b", &kernel());
    let lookup = machine.files(&[&folder]).kernel(None, None);
    assert!(lookup.found.is_none() && lookup.refused.len() == 2, "{lookup:?}");
    let named = machine.put("given/6.1.0-18-amd64/vmlinux", &kernel());
    assert_found(machine.files(&[&folder]).kernel(None, Some(RELEASE)), &named, "given");
}

#[test]
fn a_release_leads_nowhere_else() {
    let machine = Machine::new();
    machine.put("usr/lib/debug/boot/vmlinux-", &kernel());
    machine.put("usr/lib/vmlinux", &kernel());
    for release in ["", "..", "../..", "x/../../../lib"] {
        assert_nothing(&machine.files(&[]).kernel(Some(ID), Some(release)));
    }
}

#[test]
fn given_folders_are_searched_and_build_id_folders_known() {
    let machine = Machine::new();
    let folder = machine.path("given");
    for n in 0..7 {
        machine.put(&format!("given/{n}/vmlinux"), &with_debug(LINKED, OTHER));
    }
    let lookup = machine.files(&[&folder]).kernel(Some(ID), None);
    assert_eq!(lookup.refused.len(), 5, "{lookup:?}");
    assert!(lookup.refused[4].ends_with("3 more files do not fit"));
    let by_id = machine.put("given/usr/lib/debug/.build-id/ab/cdef0102030405.debug", &kernel());
    let lookup = machine.files(&[&folder]).kernel(Some(ID), None);
    assert!(lookup.refused.is_empty());
    assert_found(lookup, &by_id, "given");
    let module = machine.put("given/a/b/zram.ko.debug", &module());
    assert_found(machine.files(&[&folder]).module("zram", Some(ID), None), &module, "given");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn packed_files_are_unpacked() {
    let zstd: fn(&[u8]) -> Vec<u8> = |bytes| pack(bytes, Codec::Zstd);
    for (pack, suffix) in [(gzip as fn(&[u8]) -> Vec<u8>, "gz"), (zstd, "zst")] {
        let machine = Machine::new();
        let path = machine.put(&format!("given/snd-x.ko.{suffix}"), &pack(&module()));
        assert_found(machine.files(&[&path]).module("snd_x", Some(ID), None), &path, "given");
        assert!(is_debug_file(&path));
        let path = machine.put("dumps/vmlinux.packed", &pack(&kernel()));
        assert_found(machine.files(&[]).kernel(Some(ID), None), &path, "beside the dump");
    }
}

#[test]
fn packed_and_stripped_sections() {
    let machine = Machine::new();
    let path = machine.path("given/vmlinux");
    for (section, has) in
        [(".debug_info", true), (".zdebug_info", true), (".debug_line", false), (".BTF", false)]
    {
        fs::write(&path, bare(LINKED, ID).section(section, b"x").build()).unwrap();
        let lookup = machine.files(&[&path]).kernel(Some(ID), None);
        assert_eq!(lookup.found.is_some(), has, "{section}: {lookup:?}");
    }
    for hollow in [
        bare(LINKED, ID).without_bits(".debug_info", 100),
        bare(LINKED, ID).section(".debug_info", b""),
    ] {
        fs::write(&path, hollow.build()).unwrap();
        let lookup = machine.files(&[&path]).kernel(Some(ID), None);
        assert_refused(&lookup, &["vmlinux: no debug information in it"]);
    }
}

#[test]
fn separate_files_are_followed() {
    let debug = module();
    let stripped = bare(RELOCATABLE, ID).debug_link("x.ko.debug", facts::checksum(&debug));
    let places = [
        ("given/x.ko.debug", ".gnu_debuglink"),
        ("given/.debug/x.ko.debug", ".gnu_debuglink"),
        ("usr/lib/debug/.build-id/ab/cdef0102030405.debug", "build-id directory"),
    ];
    for (place, how) in places {
        let machine = Machine::new();
        let path = machine.put("given/x.ko", &stripped.build());
        let lookup = machine.files(&[&path]).module("x", Some(ID), None);
        assert_refused(&lookup, &["no debug information in it"]);
        let linked = machine.put(place, &with_debug(RELOCATABLE, OTHER));
        let lookup = machine.files(&[&path]).module("x", Some(ID), None);
        assert_refused(&lookup, &["no debug information in it"]);
        fs::write(&linked, &debug).unwrap();
        let found = machine.files(&[&path]).module("x", Some(ID), None).found.unwrap();
        let real = linked.canonicalize().unwrap();
        assert_eq!((found.path.canonicalize().unwrap(), found.how), (real, how));
    }
    let machine = Machine::new();
    let path = machine.put("given/x.ko", &stripped.build());
    let below = machine.path("given").canonicalize().unwrap();
    let below = below.strip_prefix("/").unwrap().display().to_string();
    let linked = machine.put(&format!("usr/lib/debug/{below}/x.ko.debug"), &debug);
    assert_found(machine.files(&[&path]).module("x", Some(ID), None), &linked, ".gnu_debuglink");
}

#[test]
fn without_build_ids_the_checksum_tells() {
    let machine = Machine::new();
    let debug = ElfFile::new(LINKED).section(".debug_info", b"dwarf").build();
    let machine_file = |name: &str, bytes: &[u8]| machine.put(name, bytes);
    machine_file("given/v.debug", &debug);
    for (name, checksum, good) in [
        ("v.debug", facts::checksum(&debug), true),
        ("v.debug", 1, false),
        ("../given/v.debug", facts::checksum(&debug), false),
    ] {
        let stripped = ElfFile::new(LINKED).section(".text", b"x").debug_link(name, checksum);
        let path = machine_file("given/vmlinux", &stripped.build());
        let lookup = machine.files(&[&path]).kernel(None, None);
        assert_eq!(lookup.found.is_some(), good, "{name}: {lookup:?}");
    }
    assert_eq!(facts::checksum(b"123456789"), 0xcbf4_3926);
}

#[test]
fn modules_of_a_file_or_folder_named_at_the_prompt() {
    let machine = Machine::new();
    let path = machine.put("given/x.ko", &module());
    let odd = machine.put("given/odd", &module());
    let vmlinux = machine.put("given/vmlinux", &kernel());
    let files = machine.with(&[], |options| options.search = false);
    assert_found(files.module_in(&path, "x", Some(ID)), &path, "given");
    assert_found(files.module_in(&odd, "x", None), &odd, "given");
    assert_found(files.module_in(&machine.path("given"), "x", Some(ID)), &path, "given");
    let folder = machine.path("given");
    assert_refused(&files.module_in(&folder, "y-z", Some(ID)), &["no file of y_z in it"]);
    assert_refused(&files.module_in(&vmlinux, "x", Some(ID)), &["not a module"]);
    assert_refused(&files.module_in(&machine.path("none"), "x", None), &["none: No such file"]);
    let parts = ["the dump's module x has ab112201"];
    assert_refused(&files.module_in(&path, "x", Some(OTHER)), &parts);
}

#[test]
fn what_is_no_elf_file_is_told_if_it_was_given() {
    let machine = Machine::new();
    let text = machine.put("given/vmlinux", b"not a kernel at all");
    machine.put("dumps/vmlinux", b"");
    machine.put("dumps/a.debug", b"\x7fELF");
    assert_refused(&machine.files(&[&text]).kernel(Some(ID), None), &["not an ELF file"]);
    assert_refused(&machine.files(&[Path::new("/none")]).kernel(Some(ID), None), &["/none: No"]);
    let core = machine.put("given/vmcore", &ElfFile::new(4).section("x", b"y").build());
    assert_refused(&machine.files(&[&core]).kernel(Some(ID), None), &["a dump, not"]);
    assert!(!is_debug_file(&core) && !is_debug_file(&text));
}

#[test]
fn damage_is_survived() {
    let machine = Machine::new();
    let debug = facts::checksum(&module());
    let whole = bare(RELOCATABLE, ID).debug_link("x.ko.debug", debug);
    let whole = whole.section(".debug_info", b"dwarf").build();
    let path = machine.path("given/x.ko");
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let _ = machine.files(&[&path]).module("x", Some(ID), None);
    }
    for at in 0..whole.len() {
        for value in [0, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            let _ = facts::Facts::of(&bytes);
        }
    }
}

#[cfg(feature = "debuginfod")]
mod servers {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    use super::*;

    /// A server that gives each request the same answer, and counts them.
    fn serve(status: &'static str, body: Vec<u8>) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let lines: Vec<_> =
                    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                let wanted = "GET /buildid/abcdef0102030405/debuginfo HTTP/1.1";
                let right = lines.first().is_some_and(|line| line == wanted);
                let status = if right { status } else { "400 Bad Request" };
                let size = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
                );
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            }
        });
        (url, asked)
    }

    fn asking(machine: &Machine, urls: &[&str]) -> DebugFiles {
        machine.with(&[], |options| {
            options.debuginfod_urls = urls.iter().map(|url| (*url).to_owned()).collect();
            options.debuginfod_cache = Some(machine.path("cache"));
        })
    }

    #[test]
    fn what_a_server_has_is_fetched_once() {
        let machine = Machine::new();
        let (nothing, _) = serve("404 Not Found", Vec::new());
        let (url, asked) = serve("200 OK", kernel());
        let cached = machine.path("cache/abcdef0102030405/debuginfo");
        machine.put("cache/abcdef0102030405/debuginfo", b"");
        for _ in 0..2 {
            let files = asking(&machine, &[&nothing, &format!("{url}/")]);
            assert_found(files.kernel(Some(ID), None), &cached, "debuginfod");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        let kept = fs::read_dir(machine.path("cache/abcdef0102030405")).unwrap();
        assert_eq!(kept.count(), 1);
        // Nobody is asked for what has no build-id.
        assert_nothing(&asking(&machine, &[&url]).kernel(None, None));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn failures_are_a_line_each() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let cut = kernel()[..100].to_vec();
        let speaks_plain = serve("200 OK", kernel()).0.replace("http:", "https:");
        for (url, part) in [
            (serve("404 Not Found", Vec::new()).0, "does not have abcdef0102030405"),
            (serve("503 Busy", Vec::new()).0, "answered 503"),
            (serve("200 OK", with_debug(LINKED, OTHER)).0, "another build-id"),
            (serve("200 OK", bare(LINKED, ID).build()).0, "without debug information"),
            (serve("200 OK", b"<html>".to_vec()).0, "no ELF file"),
            (serve("200 OK", cut).0, "no ELF file"),
            (format!("http://{closed}"), "asked no more"),
            (format!("https://{closed}"), "asked no more"),
            (speaks_plain, "asked no more"),
            ("ftp://x".to_owned(), "not an http"),
            ("http://a b".to_owned(), "asked no more"),
        ] {
            let machine = Machine::new();
            let lookup = asking(&machine, &[&url]).kernel(Some(ID), None);
            assert_refused(&lookup, &[&url, part]);
            assert!(!machine.path("cache/abcdef0102030405/debuginfo").exists());
        }
    }

    #[test]
    fn a_server_that_does_not_answer_is_asked_once() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let machine = Machine::new();
        let files = asking(&machine, &[&format!("http://{closed}")]);
        assert_eq!(files.module("a", Some(ID), None).refused.len(), 1);
        assert_nothing(&files.module("b", Some(ID), None));
    }

    #[test]
    fn without_a_cache_it_says_so() {
        let machine = Machine::new();
        let files = machine.with(&[], |options| options.debuginfod_urls = vec!["http://x".into()]);
        assert_refused(&files.kernel(Some(ID), None), &["DEBUGINFOD_CACHE_PATH"]);
    }
}
