//! A session whose output a test looks at.
#![allow(dead_code)]

use std::sync::{Arc, Mutex, atomic::AtomicBool};

use necropsy_dump::illumos::IllumosDump;
use necropsy_illumos::Kernel;
use necropsy_mdb::{
    Mdb,
    illumos::{IllumosSystem, REGISTRY},
};

/// A session that keeps what it prints.
pub(crate) struct Session {
    pub(crate) mdb: Mdb,
    pub(crate) kernel: Arc<Kernel>,
    out: Arc<Mutex<String>>,
    warned: Arc<Mutex<String>>,
}

impl Session {
    pub(crate) fn on(dump: IllumosDump) -> Session {
        Session::named(dump, "vmcore.0".into())
    }

    /// Under the name that `::status` calls it.
    pub(crate) fn named(dump: IllumosDump, name: String) -> Session {
        let kernel = Arc::new(Kernel::new(Arc::new(dump)));
        let system = Arc::new(IllumosSystem::new(kernel.clone(), name));
        let (out, warned): (Arc<Mutex<String>>, Arc<Mutex<String>>) = Default::default();
        let (sink, warn) = (out.clone(), warned.clone());
        let mdb = Mdb::new(
            system,
            &REGISTRY,
            Box::new(move |text| {
                sink.lock().unwrap().push_str(text);
                true
            }),
            Box::new(move |text| {
                let mut all = warn.lock().unwrap();
                all.push_str(text);
                all.push('\n');
            }),
            Arc::new(AtomicBool::new(false)),
        );
        Session { mdb, kernel, out, warned }
    }

    /// What a line prints.
    pub(crate) fn run(&mut self, line: &str) -> String {
        self.mdb.run_line(line).unwrap();
        std::mem::take(&mut *self.out.lock().unwrap())
    }

    /// What a line warns of.
    pub(crate) fn warnings(&mut self, line: &str) -> String {
        self.run(line);
        std::mem::take(&mut *self.warned.lock().unwrap())
    }

    pub(crate) fn lines(&mut self, line: &str) -> Vec<String> {
        self.run(line).lines().map(str::to_owned).collect()
    }
}
