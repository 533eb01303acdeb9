use super::*;
use crate::memory::fake;

/// As in 6.12.
const LAYOUT: Layout = Layout {
    root: 8,
    flags: 4,
    parent: 0,
    dense_slots: Words { offset: 8, count: 31 },
    range_pivots: Words { offset: 8, count: 15 },
    range_slots: Words { offset: 128, count: 16 },
    range_end: 248,
    arange_pivots: Words { offset: 8, count: 9 },
    arange_slots: Words { offset: 80, count: 10 },
    arange_gaps: Words { offset: 160, count: 10 },
    arange_end: 240,
};
const TREE: u64 = 0x100;
const TOP: u64 = 0x1_0000;
const LEFT: u64 = 0x2_0000;
const RIGHT: u64 = 0x3_0000;

fn leaf(memory: &mut fake::Words, at: u64, parent: u64, pivots: &[u64], slots: &[u64]) {
    memory.put(at, &[0; 32]);
    memory.put(at, &[parent]);
    memory.put(at + 8, pivots);
    memory.put(at + 128, slots);
}

/// An arange node over two leaves: 0-9 → a, 10 gap, 11-15 → b | 16-99 → c, 100- gap.
fn tree() -> fake::Words {
    let mut memory = fake::Words::default();
    memory.put(TREE, &[2 << (2 + 32), TOP | 3 << 3 | 6]);
    memory.put(TOP, &[0; 32]);
    memory.put(TOP, &[TREE | 1, 15]);
    memory.put(TOP + 80, &[LEFT | 1 << 3 | 4, RIGHT | 1 << 3 | 4]);
    memory.put(TOP + 240, &[1]);
    leaf(&mut memory, LEFT, TOP | 6, &[9, 10, 15], &[0xa000, 0, 0xb000]);
    leaf(&mut memory, RIGHT, TOP | 0xe, &[99, u64::MAX], &[0xc000, 0]);
    memory.put(LEFT + 248, &[2]);
    memory.put(RIGHT + 248, &[1]);
    memory
}

fn all(memory: &fake::Words) -> (Vec<(u64, u64, u64)>, Vec<String>) {
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for step in walk(memory, LAYOUT, TREE) {
        match step {
            Ok(Step::Entry(entry)) => found.push((entry.first, entry.last, entry.raw)),
            Ok(Step::Node(_)) => {}
            Err(error) => errors.push(error.to_string()),
        }
    }
    (found, errors)
}

#[test]
fn ranges_and_gaps_by_index() {
    let (found, errors) = all(&tree());
    assert!(errors.is_empty(), "{errors:?}");
    let expected =
        [(0, 9, 0xa000), (10, 10, 0), (11, 15, 0xb000), (16, 99, 0xc000), (100, u64::MAX, 0)];
    assert_eq!(found, expected);
    let entries: Vec<_> = entries(&tree(), LAYOUT, TREE).map(Result::unwrap).collect();
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[2].path.to_string(), "root/1/0");
    assert_eq!(Root::read(&tree(), LAYOUT, TREE).unwrap().height(), 2);
}

#[test]
fn a_tree_of_one_entry_has_no_node() {
    let mut memory = fake::Words::default();
    memory.put(TREE, &[0, 0xa000]);
    assert_eq!(all(&memory).0, [(0, 0, 0xa000)]);
    memory.put(TREE, &[0, 0]);
    assert!(all(&memory).0.is_empty());
}

#[test]
fn a_full_leaf_needs_no_end_mark() {
    let mut memory = fake::Words::default();
    memory.put(TREE, &[1 << 34, LEFT | 1 << 3 | 6]);
    let pivots: Vec<u64> = (0..15).collect();
    let slots: Vec<u64> = (0..16).map(|i| 0xa000 + i * 16).collect();
    leaf(&mut memory, LEFT, TREE | 1, &pivots, &slots);
    let (found, errors) = all(&memory);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(found.len(), 16);
    assert_eq!(found[15], (15, u64::MAX, 0xa0f0));
}

#[test]
fn dead_nodes_cycles_and_falling_pivots_are_named() {
    let mut memory = tree();
    memory.put(LEFT, &[LEFT]);
    let (found, errors) = all(&memory);
    assert_eq!(found.len(), 5);
    assert!(errors[0].contains("node 20000 is dead"), "{errors:?}");
    let mut memory = tree();
    memory.put(TOP + 88, &[TOP | 3 << 3 | 4]);
    let (found, errors) = all(&memory);
    assert_eq!(found.len(), 3);
    assert!(errors[0].contains("node 10000 appears twice, again as root/1"), "{errors:?}");
    let mut memory = tree();
    memory.put(LEFT + 8, &[9, 3, 15]);
    let (found, errors) = all(&memory);
    assert_eq!(found.len(), 3);
    assert!(errors[0].contains("pivot 1 is 3, not within a-f"), "{errors:?}");
}

#[test]
fn an_end_beyond_the_slots_is_not_believed() {
    let mut memory = tree();
    memory.put(TOP + 240, &[200]);
    let (found, errors) = all(&memory);
    assert_eq!(found.len(), 5);
    assert!(errors[0].contains("its last slot is 200 of 10"), "{errors:?}");
}

#[test]
fn a_lost_leaf_costs_its_range() {
    let mut memory = tree();
    memory.lose(LEFT + 128);
    let (found, errors) = all(&memory);
    assert_eq!(found.len(), 2);
    assert_eq!(errors.len(), 1);
}
