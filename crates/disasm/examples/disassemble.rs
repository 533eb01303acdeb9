//! Disassembles bytes, and tells the memory that they touch:
//! `cargo run -p necropsy-disasm --example disassemble 48 8b 47 20 0f 0b`

use necropsy_disasm::{Isa, decode_all, memory_operands};

fn main() -> Result<(), std::num::ParseIntError> {
    let bytes = std::env::args().skip(1).map(|byte| u8::from_str_radix(&byte, 16));
    let bytes = bytes.collect::<Result<Vec<u8>, _>>()?;
    for instruction in decode_all(Isa::X86_64, &bytes, 0) {
        println!("{:4x}: {}", instruction.address, instruction.text(&|_| None));
        for operand in memory_operands(Isa::X86_64, &instruction.bytes, instruction.address) {
            println!("      {operand:?}");
        }
    }
    Ok(())
}
