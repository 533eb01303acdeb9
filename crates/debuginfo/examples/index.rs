//! Indexes a debug file and says how long it took: `index VMLINUX [ADDRESS]...`.
use necropsy_debuginfo::dwarf::*;
use std::time::Instant;
struct M(necropsy_dump::Map);
impl std::ops::Deref for M { type Target = [u8]; fn deref(&self) -> &[u8] { &self.0 } }
impl FileData for M { fn release(&self, r: std::ops::Range<usize>) { self.0.release(r) } }
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let t = Instant::now();
    let map = necropsy_dump::Map::open(std::path::Path::new(&path)).unwrap();
    let file = DebugFile::open(Box::new(M(map))).unwrap();
    println!("open {:?}", t.elapsed());
    let t = Instant::now();
    let dir = std::env::temp_dir().join("nidx");
    let cache = Cache { directory: &dir, map: &|p| Ok(Box::new(necropsy_dump::Map::open(p)?)) };
    let dwarf = Dwarf::open(file, Some(&cache)).unwrap();
    println!("index {:?} {dwarf:?}", t.elapsed());
    print!("{}", std::fs::read_to_string("/proc/self/status").unwrap().lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("Rss")).map(|l| format!("{l}\n")).collect::<String>());
    for a in std::env::args().skip(2) {
        let a = u64::from_str_radix(&a, 16).unwrap();
        let t = Instant::now();
        let f = dwarf.frames_at(a);
        println!("{a:x} {:?}", t.elapsed());
        for f in f { println!("   {:?} {:?}:{:?} {}", f.function, f.file, f.line, f.inlined); }
        println!("   {:?}", dwarf.cfi_at(a));
    }
}
