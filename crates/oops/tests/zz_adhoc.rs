mod common;
use common::forms::*;
use common::*;
use necropsy_oops::{Options, TitleStyle, reports};
#[test]
fn ocr_seeds() {
    let o = Options { style: TitleStyle::Syzkaller, ..Options::default() };
    let mut logs = common::examples();
    logs.retain(|l| l.title.is_some() && !l.corrupted);
    logs.extend(common::consoles());
    for (label, n) in [("1%", 100usize), ("4%", 25)] {
        let (mut same, mut all, mut found) = (0, 0, 0);
        let mut bad = std::collections::BTreeMap::<String, usize>::new();
        for log in &logs {
            let Some(e) = reports(log.text.as_bytes(), &o).into_iter().next() else { continue };
            for seed in 0..12 {
                let mut r = Random::new(seed * 977 + 5);
                let t = misread_at(&log.text, &mut r, n);
                let g = reports(t.as_bytes(), &o).into_iter().next();
                all += 1;
                found += g.is_some() as usize;
                match g {
                    Some(g) if g.title == e.title && g.class == e.class => same += 1,
                    Some(g) => *bad.entry(format!("{}: {} -> {}", log.name, e.title, g.title)).or_default() += 1,
                    None => *bad.entry(format!("{}: {} -> nothing", log.name, e.title)).or_default() += 1,
                }
            }
        }
        eprintln!("{label}: {same} of {all}, found {found}");
        for (k, n) in bad { eprintln!("   {n} {k}"); }
    }
}
