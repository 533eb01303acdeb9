//! Integrity.

use necropsy_rows::{Hex, row};

row! {
    /// Something in memory that cannot be so (`check`).
    #[derive(Debug)]
    pub struct DamageRow {
        /// What was checked: `slab`, `page`, `list`, …
        pub area: &'static str,
        /// Which check found it.
        pub check: &'static str,
        /// What kind of contradiction: `overrun`, `write_after_free`, `pointer`, `link`, `counter`,
        /// `value` or `text`.
        pub class: &'static str,
        /// What is wrong.
        pub statement: String,
        /// What it belongs to: a cache, an object of it, a task, a list.
        pub object: String,
        /// First byte of that object.
        pub object_address: Option<Hex>,
        /// Where it shows: the first wrong byte.
        pub address: Hex,
        /// What should be there; of bytes, the first eight.
        pub expected: Option<Hex>,
        /// What is there.
        pub found: Option<Hex>,
        /// How the two differ: `one bit N`, `one byte N`, `ascii "…"`, `poison NAME`, `shifted by N`,
        /// `swapped halves`, `zeroed run of N`, `stride N`, `whole page` or `N bytes`.
        pub difference: Option<String>,
        /// Who agrees with what was expected.
        pub neighbours: Option<String>,
        /// `certain`; `likely`; `possible`: the kernel may have died in the middle of a change.
        pub confidence: &'static str,
    }

    /// An area of checks (`check -l`).
    #[derive(Debug)]
    pub struct CheckAreaRow {
        /// Its name.
        pub area: &'static str,
        /// What is checked in it.
        pub about: &'static str,
    }

    /// What was checked (`check`, last row).
    #[derive(Debug)]
    pub struct CheckedRow {
        /// How many findings.
        pub findings: usize,
        /// What was looked at.
        pub checked: Vec<CheckedCountRow>,
        /// What could not be.
        pub unchecked: Vec<UncheckedRow>,
        /// Whether all of it was looked at.
        pub complete: bool,
    }

    /// How many of a kind were looked at.
    #[derive(Debug)]
    pub struct CheckedCountRow {
        /// The area.
        pub area: &'static str,
        /// What: `slabs`, `objects`, …
        pub what: &'static str,
        /// How many.
        pub count: u64,
    }

    /// What could not be looked at.
    #[derive(Debug)]
    pub struct UncheckedRow {
        /// The area.
        pub area: &'static str,
        /// What: `free lists`, `page frames`, …
        pub what: &'static str,
        /// How many.
        pub count: u64,
        /// Why the first of them could not be.
        pub why: Option<String>,
    }
}
