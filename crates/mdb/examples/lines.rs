//! Runs the lines of standard input on an illumos dump: the language without its front end.

use std::{
    io::{BufRead, Write},
    sync::{Arc, atomic::AtomicBool},
};

use necropsy_dump::{OpenOptions, illumos::IllumosDump};
use necropsy_illumos::Kernel;
use necropsy_mdb::{
    Mdb,
    illumos::{IllumosSystem, REGISTRY},
};

fn main() {
    let files: Vec<_> = std::env::args_os().skip(1).map(Into::into).collect();
    let dump = match IllumosDump::open(&files, &OpenOptions::default()) {
        Ok(dump) => dump,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(3);
        }
    };
    let name =
        dump.path().file_name().unwrap_or_default().to_string_lossy().replace("vmdump", "vmcore");
    let kernel = Arc::new(Kernel::new(Arc::new(dump)));
    let system = Arc::new(IllumosSystem::new(kernel, name));
    let mut out = std::io::BufWriter::new(std::io::stdout());
    let sink = Box::new(move |text: &str| match text {
        "" => out.flush().is_ok(),
        text => out.write_all(text.as_bytes()).is_ok(),
    });
    let warn = Box::new(|text: &str| eprintln!("mdb: {text}"));
    let mut mdb = Mdb::new(system, &REGISTRY, sink, warn, Arc::new(AtomicBool::new(false)));
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if mdb.run_line(&line).is_err() {
            break;
        }
    }
    let _ = mdb.flush();
}
