//! How long it takes: on demand, `cargo test -p necropsy-mdb --release --test synthetic -- --ignored`.

use std::{fs::File, io::BufWriter, time::Instant};

use necropsy_dump::{OpenOptions, illumos::IllumosDump};
use necropsy_synth::illumos::{Kernel, Options, Packing};

use super::Session;

#[test]
#[ignore = "takes minutes: it writes a dump of a million pages"]
fn a_million_pages_and_ten_thousand_threads() {
    let mut made = Kernel::new(Options { sleepers: 10_000, ..Options::default() });
    made.dump.filler = 1_000_000;
    let (kas, after) = (made.dump.translations[0].0, made.dump.pages.last().unwrap().0 + 1);
    let mapped = |page: u64| (kas, 0xffff_fd80_0000_0000 + (page << 12), after + 2 * page);
    made.dump.translations.extend((0..made.dump.filler).map(mapped));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vmdump.0");
    let mut file = BufWriter::new(File::create(&path).unwrap());
    made.dump.vmdump(Packing::Lzjb, &mut file).unwrap();
    drop(file);
    for what in ["cold", "warm"] {
        let started = Instant::now();
        let options = OpenOptions { cache_dir: Some(dir.path().into()), ..OpenOptions::default() };
        let dump = IllumosDump::open(std::slice::from_ref(&path), &options).unwrap();
        let mut session = Session::on(dump);
        assert!(session.run("::status").contains("panic message"));
        eprintln!("::status {what}: {:?}", started.elapsed());
        let started = Instant::now();
        let lines = session.lines("::walk thread | ::findstack");
        assert!(lines.len() > 60_000);
        eprintln!("all stacks: {:?}", started.elapsed());
    }
}
