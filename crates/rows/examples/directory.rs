//! A folder's files as CSV, or what is in them as a JSON schema:
//! `cargo run -p necropsy-rows --example directory FOLDER [--schema]`

use std::{error::Error, fs, io::stdout};

use necropsy_rows::{Csv, Schema, row};

row! {
    /// A file.
    struct File {
        /// Its name.
        name: String,
        /// Its size.
        size: u64 [bytes],
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    if std::env::args().any(|word| word == "--schema") {
        let schema = Schema { title: "directory", rows: &[File::TYPE] };
        return {
            println!("{}", serde_json::to_string_pretty(&schema)?);
            Ok(())
        };
    }
    let mut csv = Csv::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        csv.write(&File { name, size: entry.metadata()?.len() }, &mut stdout())?;
    }
    Ok(())
}
