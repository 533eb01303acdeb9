//! Damaged dumps: answers or reasons, never a panic, never a hang.
//!
//! `NECROPSY_MUTATIONS=2000` says how many.

use std::path::Path;

use necropsy_dump::{OpenOptions, illumos::IllumosDump};
use necropsy_synth::illumos::{Kernel, Options, Packing};

use super::{Session, device, vmdump};

/// Everything that reads much.
const LINES: &[&str] = &[
    "::status",
    "::panicinfo",
    "::msgbuf -v",
    "$C",
    "$r",
    "::ps -fz",
    "::ptree",
    "::walk thread | ::findstack -v",
    "::threadlist -v",
    "::thread -pbsd",
    "::stacks",
    "::cpuinfo -v",
    "::modinfo",
    "::zone",
    "::kmem_cache",
    "::kmastat",
    "::kmem_verify",
    "::kmalog",
    "::kmausers -e",
    "::findleaks",
    "::wchaninfo -v",
    "::walk proc | ::print proc_t",
    "*kmem_caches::whatis -a",
    "p0::whatis -a",
    "<rip::dis",
    "utsname::print",
    "::self_check",
    "::vmem",
    "::memstat",
    "::report",
];

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    let len = (random.below(64) + 1).min(bytes.len() - at);
    match random.below(6) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at..at + len].fill(0),
        2 => bytes[at..at + len].fill(0xff),
        3 => bytes.truncate(at),
        4 => {
            let from = random.below(bytes.len() - len);
            bytes.copy_within(from..from + len, at);
        }
        // Where the headers and tables are.
        _ => {
            let at = random.below(bytes.len().min(8192));
            bytes[at] = random.below(256) as u8;
        }
    }
}

#[test]
fn damaged_dumps_give_answers_or_reasons() {
    let count = std::env::var("NECROPSY_MUTATIONS").ok().and_then(|count| count.parse().ok());
    let count: usize = count.unwrap_or(40);
    let made = Kernel::new(Options { sleepers: 4, packed: false, ..Options::default() });
    let mut kinds = vec![made.dump.vmcore()];
    for packing in [Packing::Lzjb, Packing::ParallelLzjb, Packing::Bzip2] {
        kinds.extend([vmdump(&made, packing), device(&made, packing)]);
    }
    let mut random = Random(14);
    let mut opened = 0;
    for number in 0..count {
        let mut bytes = kinds[number % kinds.len()].clone();
        for _ in 0..=random.below(3) {
            if !bytes.is_empty() {
                mutate(&mut bytes, &mut random);
            }
        }
        let opening =
            IllumosDump::from_bytes(Path::new("vmdump.0"), bytes, &OpenOptions::default());
        let Ok(dump) = opening else { continue };
        opened += 1;
        let dir = tempfile::tempdir().unwrap();
        let _ = dump.expand(dir.path(), &mut |_| {});
        let mut session = Session::on(dump);
        for line in LINES {
            session.run(line);
        }
    }
    assert!(opened > count / 2, "{opened} of {count} opened");
}

/// Lines that are none.
#[test]
fn lines_that_are_none_are_told() {
    let (mut session, _) = Session::made(Options { sleepers: 1, ..Options::default() });
    session.mdb.confine();
    let letters: Vec<char> = "::ps|!walk 0123/K=$C<>[](){}\"'*%#-+^&~.,;@\\?\n".chars().collect();
    let mut random = Random(99);
    for _ in 0..3000 {
        let line: String =
            (0..random.below(20)).map(|_| letters[random.below(letters.len())]).collect();
        let _ = session.mdb.run_line(&line);
    }
}
