//! What an ELF machine number is called: `cargo run -p necropsy-lexicon --example machines 62 183`

use necropsy_lexicon::Arch;

fn main() {
    for number in std::env::args().skip(1) {
        let arch = number.parse().ok().and_then(|machine| Arch::from_elf(machine, true));
        match arch {
            Some(arch) => println!("{number}: {arch}, pointers of {} bytes", arch.pointer_size()),
            None => println!("{number}: not known"),
        }
    }
}
