//! The labelled logs of a public corpus, where they are at hand.

use std::path::{Path, PathBuf};

fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("NECROPSY_CORPORA")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"));
    let path = root.join("oops-examples");
    path.is_dir().then_some(path)
}

#[test]
fn score() {
    let Some(path) = corpus() else { eprintln!("SKIPPED"); return };
    let mut bad = 0;
    let mut files: Vec<_> = std::fs::read_dir(path.join("linux")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort_by_key(|p| p.file_name().unwrap().to_str().unwrap().parse::<u32>().unwrap());
    for file in files {
        let data: Vec<u8> = std::fs::read(&file).unwrap().into_iter().filter(|b| *b != b'\r').collect();
        let (head, log) = if data.starts_with(b"\n") { (&data[..0], &data[1..]) } else {
            let at = data.windows(2).position(|w| w == b"\n\n").unwrap();
            (&data[..at], &data[at + 2..])
        };
        let log = match log.windows(10).position(|w| w == b"\n\nREPORT:\n") { Some(at) => &log[..at + 1], None => log };
        let head = String::from_utf8_lossy(head);
        let key = |k: &str| head.lines().filter_map(|l| l.strip_prefix(k)).map(|s| s.trim().to_owned()).collect::<Vec<_>>();
        let got = necropsy_oops::titles(log);
        let (t, a, c, ty) = got.unwrap_or_default();
        let want = key("TITLE:").pop().unwrap_or_default();
        let ok = t == want && a == key("ALT:") && c.is_some() == (key("CORRUPTED:") == ["Y"]) && ty.map(str::to_owned) == key("TYPE:").pop();
        if !ok { bad += 1; println!("{:?}\n want {want:?} {:?} {:?} {:?}\n got  {t:?} {a:?} {c:?} {ty:?}", file.file_name().unwrap(), key("ALT:"), key("CORRUPTED:"), key("TYPE:")); }
    }
    println!("bad {bad}");
}
