//! Dumps of a kernel that never ran: what the generator put in is what the language prints.

mod damage;
mod files;
mod language;
mod objects;
mod speed;

#[path = "../common/mod.rs"]
mod common;

use std::{io::Cursor, path::Path};

use common::Session;
use necropsy_dump::{OpenOptions, illumos::IllumosDump};
use necropsy_synth::illumos::{Kernel as Made, Options, Packing};

impl Session {
    fn made(options: Options) -> (Session, Made) {
        let made = Made::new(options);
        let bytes = vmdump(&made, Packing::Lzjb);
        (Session::on(open(bytes)), made)
    }
}

fn vmdump(made: &Made, packing: Packing) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    made.dump.vmdump(packing, &mut file).unwrap();
    file.into_inner()
}

fn device(made: &Made, packing: Packing) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    made.dump.device(packing, &mut file).unwrap();
    file.into_inner()
}

fn open(bytes: Vec<u8>) -> IllumosDump {
    IllumosDump::from_bytes(Path::new("vmdump.0"), bytes, &OpenOptions::default()).unwrap()
}
