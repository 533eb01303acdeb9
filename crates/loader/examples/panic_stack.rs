//! The stack of the task that panicked: `cargo run -p necropsy-loader --example panic_stack vmcore`

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let kernel = necropsy_loader::open(std::env::args().skip(1))?;
    let task = kernel.panic_task().ok_or("no task panicked")?;
    println!("{} (pid {})", task.comm()?, task.pid()?);
    let trace = task.trace()?;
    for frame in &trace.frames {
        let name = match kernel.target().locate(frame.lookup_pc()) {
            Some(at) => format!("{}+{:#x}", at.symbol.name, at.offset),
            None => "?".to_owned(),
        };
        println!("  {:016x} {name}  ({})", frame.pc, frame.found_by.name());
    }
    println!("  {:?}", trace.end);
    Ok(())
}
