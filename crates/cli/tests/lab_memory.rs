//! Memory of full-size dumps: what was planted is found and nothing else, totals are those that the
//! guests printed, and what an address is agrees with drgn.
//!
//! See `lab.rs` for the lab and for `NECROPSY_DRGN`.

mod common;

use std::{collections::BTreeMap, fs, path::Path};

use common::{address, drgn, dumps, lab, name, open, rows};
use necropsy_synth::Needs;
use serde_json::Value;

/// The findings of `check`, without the last row.
fn findings(dump: &Path) -> Vec<Value> {
    let mut session = open(&[dump.to_owned()]);
    let mut all = rows(&mut session, "check");
    let last = all.pop().unwrap();
    assert!(last["complete"] == true && last["checked"].is_array(), "{}: {last}", name(dump));
    all
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

fn check_finds_what_was_planted_and_nothing_else() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let dump_name = name(&dump);
        let found = findings(&dump);
        // `k612-null+numa`: the same, booted in another way.
        let scenario = dump_name.split(['-', '+']).nth(1).unwrap_or_default();
        match scenario {
            "overflow" => {
                let object = found.iter().find(|row| text(row, "check") == "red_zone");
                let object = object.unwrap_or_else(|| panic!("{dump_name}: {found:#?}"));
                assert!(text(object, "object").contains("crashme_widget"), "{object}");
                assert!(text(object, "difference").starts_with("ascii \"AAAA"), "{object}");
                for row in &found {
                    assert!(text(row, "object").contains("crashme_widget"), "{dump_name}: {row}");
                }
            }
            "uaf" => {
                let planted = |row: &&Value| text(row, "difference").contains("????");
                assert!(found.iter().any(|row| planted(&row)), "{dump_name}: {found:#?}");
                for row in &found {
                    assert!(text(row, "object").contains("kmalloc-256"), "{dump_name}: {row}");
                }
            }
            "shm" => {
                let file = found.iter().find(|row| text(row, "check") == "shm_file_data");
                let file = file.unwrap_or_else(|| panic!("{dump_name}: {found:#?}"));
                let (expected, found) = (address(&file["expected"]), address(&file["found"]));
                assert_eq!(expected ^ found, 0x2f ^ 0x5c, "{file}");
            }
            // Of other dumps of a lab nothing is known.
            "null" | "bug" | "warn" | "div0" | "panic" | "sysrq" | "deadlock" | "softlockup" => {
                assert!(found.is_empty(), "{dump_name}: {found:#?}");
            }
            _ => {}
        }
    }
}

/// The guest of `xtask/lab-modules` that made 100,000 objects in every state says how many are left.
fn a_crowd_of_objects_is_counted_right() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let console = fs::read(dump.with_file_name("console.log")).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        let Some((_, left)) = console.split_once("LAB crowd: ") else { continue };
        let left: u64 = left.split(' ').next().unwrap().parse().unwrap();
        let mut session = open(std::slice::from_ref(&dump));
        let row = rows(&mut session, "kmem -s faulty_crowd").remove(0);
        assert_eq!(row["allocated"].as_u64(), Some(left), "{}: {row}", name(&dump));
    }
}

/// What the guest printed of a file of /proc before it failed.
fn printed(dump: &Path, file: &str) -> Vec<String> {
    let bytes = fs::read(dump.with_file_name("console.log")).unwrap();
    let mark = format!("LAB proc: {file}: ");
    let text = String::from_utf8_lossy(&bytes).replace('\r', "");
    text.lines().filter_map(|line| Some(line.split_once(&mark)?.1.to_owned())).collect()
}

fn near(ours: u64, theirs: u64, share: u64, least: u64) -> bool {
    ours.abs_diff(theirs) <= (theirs / share).max(least)
}

fn totals_are_those_that_the_guest_printed() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let lines = printed(&dump, "meminfo");
        if lines.is_empty() {
            continue;
        }
        let proc: BTreeMap<&str, u64> = lines
            .iter()
            .filter_map(|line| {
                let (field, value) = line.split_once(':')?;
                Some((field, value.split_whitespace().next()?.parse::<u64>().ok()? / 4))
            })
            .collect();
        let mut session = open(std::slice::from_ref(&dump));
        let usage: BTreeMap<String, u64> = rows(&mut session, "kmem -i")
            .iter()
            .filter_map(|row| Some((text(row, "name").to_owned(), row["pages"].as_u64()?)))
            .collect();
        let name = name(&dump);
        assert_eq!(usage["TOTAL MEM"], proc["MemTotal"], "{name}: total");
        assert_eq!(usage["TOTAL SWAP"], proc["SwapTotal"], "{name}: swap");
        assert!(near(usage["COMMIT LIMIT"], proc["CommitLimit"], 1000, 2), "{name}: {usage:?}");
        for (ours, theirs) in [("FREE", "MemFree"), ("CACHED", "Cached"), ("SLAB", "Slab")] {
            let (ours, theirs) = (usage[ours], proc[theirs]);
            assert!(near(ours, theirs, 10, 1024), "{name}: {ours} and {theirs} of {proc:?}");
        }
        // Zones do not move.
        let zones: BTreeMap<String, Value> = rows(&mut session, "kmem -z")
            .into_iter()
            .filter(|row| row["zone"].as_str().is_some_and(|at| at.starts_with("0x")))
            .map(|row| (text(&row, "name").to_owned(), row))
            .collect();
        let mut zone = String::new();
        for line in printed(&dump, "zoneinfo") {
            if let Some((_, name)) = line.split_once("zone ") {
                name.trim().clone_into(&mut zone);
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [field @ ("spanned" | "present" | "managed" | "min" | "low" | "high"), value] =
                words.as_slice()
                && let (Some(row), Ok(value)) = (zones.get(&zone), value.parse::<u64>())
                // "high" is a field of each CPU's lists, too.
                && (*field != "high" || row["high"] == value)
            {
                assert_eq!(row[*field], value, "{name}: {field} of {zone}");
            }
        }
        // Frames on free lists, by order, within what moved.
        let mut orders = BTreeMap::<(String, u64), u64>::new();
        for row in rows(&mut session, "kmem -f") {
            let key = (text(&row, "zone").to_owned(), row["order"].as_u64().unwrap());
            *orders.entry(key).or_default() += row["blocks"].as_u64().unwrap();
        }
        for line in printed(&dump, "buddyinfo") {
            let Some((_, rest)) = line.split_once("zone") else { continue };
            let mut words = rest.split_whitespace();
            let zone = words.next().unwrap_or_default().to_owned();
            let theirs: u64 = words
                .clone()
                .zip(0u32..)
                .map(|(n, order)| n.parse::<u64>().unwrap_or(0) << order)
                .sum();
            let of_zone = orders.iter().filter(|((of, _), _)| *of == zone);
            let ours: u64 = of_zone.map(|((_, order), blocks)| blocks << order).sum();
            assert!(near(ours, theirs, 10, 1024), "{name}: {zone}: {ours} free, {theirs} printed");
        }
    }
}

fn references_name_members() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab).iter().filter(|dump| name(dump).ends_with("-shm")) {
        let mut session = open(std::slice::from_ref(dump));
        let segments = rows(&mut session, "ipcs -m");
        let segment = segments.iter().max_by_key(|row| row["nattch"].as_u64()).unwrap();
        let shm = address(&segment["address"]);
        let file = rows(&mut session, &format!("struct shmid_kernel.shm_file {shm:x}"));
        let file = address(&file[0]["value"]["shm_file"]);
        let found = rows(&mut session, &format!("refs {file:x}"));
        let of = |kind: &str, member: &str| {
            let is = |row: &&Value| text(row, "type") == kind && text(row, "member") == member;
            found.iter().filter(is).count()
        };
        assert_eq!(of("shmid_kernel", "shm_file"), 1, "{}: {found:#?}", name(dump));
        let attached = segment["nattch"].as_u64().unwrap() as usize;
        let files = of("shm_file_data", "file");
        assert!(files >= attached.min(11), "{}: {files} of {attached}: {found:#?}", name(dump));
    }
}

/// For each address, what drgn says: cache, object, whether it is allocated; the page and its count.
fn script(addresses: &[u64]) -> String {
    let list = addresses.iter().map(|at| format!("{at:#x}")).collect::<Vec<_>>().join(",");
    format!(
        r#"
import json
from drgn import FaultError, Object
from drgn.helpers.linux.mm import virt_to_page, page_to_pfn, decode_page_flags
from drgn.helpers.linux.slab import slab_object_info
from drgn.helpers.common.memory import identify_address
for address in [{list}]:
    row = dict(address=hex(address))
    try:
        info = slab_object_info(prog, address)
        if info is not None:
            row["cache"] = info.slab_cache.name.string_().decode()
            row["object"] = hex(info.address)
            row["allocated"] = info.allocated
    except Exception as error:
        row["error"] = str(error)
    try:
        page = virt_to_page(prog, address)
        row["page"] = hex(page.value_())
        row["pfn"] = hex(page_to_pfn(page).value_())
        row["refcount"] = page._refcount.counter.value_()
    except Exception as error:
        row["page_error"] = str(error)
    try:
        row["identity"] = identify_address(prog, address)
    except Exception as error:
        row["identity_error"] = str(error)
    print(json.dumps(row))
"#
    )
}

/// A small generator with a fixed seed (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0.rotate_left(32) >> 1) % end.max(1)
    }
}

/// How many addresses of a dump are compared; `NECROPSY_IDENTIFY` says how many more.
const ADDRESSES: u64 = 400;

fn addresses_are_what_drgn_says() {
    let Some(lab) = lab() else { return };
    let count = std::env::var("NECROPSY_IDENTIFY").ok().and_then(|count| count.parse().ok());
    let (mut same, mut all, mut differences) = (0, 0, Vec::new());
    for dump in dumps(&lab) {
        let mut session = open(std::slice::from_ref(&dump));
        let kernel = session.kernel().unwrap();
        let direct = kernel.target().layout().and_then(|layout| layout.direct).unwrap();
        let size = kernel.target().page_size();
        let mut random = Random(7);
        let mut addresses = Vec::new();
        while (addresses.len() as u64) < count.unwrap_or(ADDRESSES) {
            let slabs = kernel.slabs().unwrap().all();
            let at = match addresses.len() % 2 {
                // Most of memory is in no slab.
                0 => {
                    let slab = &slabs[random.below(slabs.len() as u64) as usize];
                    slab.start + random.below(size / 8) * 8
                }
                _ => {
                    let pfn = random.below(kernel.target().dump_pfns());
                    direct.start + pfn * size + random.below(size / 8) * 8
                }
            };
            if kernel.target().read_u64(at).is_ok() {
                addresses.push(at);
            }
        }
        drop(kernel);
        let Some(theirs) = drgn(&lab, &dump, &script(&addresses)) else { return };
        for (at, theirs) in addresses.iter().zip(&theirs) {
            let ours = rows(&mut session, &format!("kmem {at:x}")).remove(0);
            all += 1;
            let slab = (text(&ours, "cache"), text(&ours, "object"));
            let of_slab = (text(theirs, "cache"), text(theirs, "object"));
            // What drgn counts as allocated may be at hand for a CPU, or in a sheaf.
            let held = ours["allocated"] == false && !text(&ours, "where").is_empty();
            // Behind the last object of a slab, drgn names one more.
            let behind = ours["kind"] == "slab" && ours["object"].is_null();
            let same_cache = of_slab.0.is_empty() || slab.0 == of_slab.0;
            let same_object = of_slab.1.is_empty()
                || behind
                || address(&ours["object"]) == address(&theirs["object"]);
            let same_state = theirs["allocated"].is_null()
                || behind
                || held
                || ours["allocated"] == theirs["allocated"];
            let same_page = theirs["page"].is_null()
                || (address(&ours["page"]) == address(&theirs["page"])
                    && ours["refcount"] == theirs["refcount"]);
            let agree = same_cache && same_object && same_state && same_page;
            if agree {
                same += 1;
            } else {
                differences.push(format!("{}: {ours}\n  drgn {theirs}", name(&dump)));
            }
        }
    }
    differences.truncate(20);
    eprintln!("{same} of {all} addresses are what drgn says\n{}", differences.join("\n"));
    assert!(same * 1000 >= all * 999, "{same} of {all} addresses");
}

necropsy_synth::data_tests! {
    check_finds_what_was_planted_and_nothing_else: [Needs::Lab("out")],
    a_crowd_of_objects_is_counted_right: [Needs::Lab("out")],
    totals_are_those_that_the_guest_printed: [Needs::Lab("out")],
    references_name_members: [Needs::Lab("out")],
    addresses_are_what_drgn_says: [Needs::Lab("out"), Needs::Variable("NECROPSY_DRGN")],
}
