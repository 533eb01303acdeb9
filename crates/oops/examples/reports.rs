//! The kernel's reports in a log of any kind, one line each:
//! `cargo run -p necropsy-oops --example reports console.log`

use necropsy_oops::{Options, reports};

fn main() -> std::io::Result<()> {
    for file in std::env::args().skip(1) {
        let log = std::fs::read(&file)?;
        for report in reports(&log, &Options::default()) {
            println!("{file}:{}: {}", report.start_line, report.title);
            for frame in report.trace.iter().filter(|frame| frame.reliable).take(3) {
                println!("    {}", frame.function);
            }
        }
    }
    Ok(())
}
