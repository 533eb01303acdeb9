//! ORC: the kernel's unwind tables for x86_64.
//!
//! Two parallel arrays, `orc_unwind_ip` (a signed 32-bit distance from the field itself to the
//! instruction) and `orc_unwind` (`struct orc_entry`, 6 bytes, `arch/x86/include/asm/orc_types.h`),
//! sorted by instruction. The bits of an entry changed four times; [`OrcFormat`] has the layouts
//! and [`OrcEntry`] is what all of them mean.

use std::ops::Range;

use crate::bytes::{u16_le, u32_le};

/// Bytes of `struct orc_entry`.
const ENTRY: usize = 6;

/// Entries of one address that are looked at; real tables have at most two.
const MAX_ALIASES: usize = 8;

/// Why ORC tables could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrcError {
    /// The two tables have different numbers of entries.
    #[error("ORC tables of {ips} addresses and {entries} entries")]
    Lengths {
        /// Entries of the table of instruction addresses.
        ips: usize,
        /// Entries of the table of unwind rules.
        entries: usize,
    },
}

/// How the bits of an entry are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrcFormat {
    /// Linux 4.14 to 6.2: type in bits 8-9, end in bit 10.
    V1,
    /// Linux 6.3: type in bits 8-9, signal in bit 10, end in bit 11.
    V2,
    /// Linux 6.4: type in bits 8-10 with its own values for undefined and end, signal in bit 11.
    V3,
    /// Linux 7.1: as V3 with registers renumbered.
    V4,
}

/// What kind of frame an entry describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrcKind {
    /// Nothing is known here (a gap between functions, data in text).
    Undefined,
    /// The stack ends here.
    EndOfStack,
    /// An ordinary frame: the return address is at `sp - 8`.
    Call,
    /// `struct pt_regs` at `sp`.
    Regs,
    /// An interrupt frame (ip, cs, flags, sp, ss) at `sp`.
    RegsPartial,
}

/// The register an entry starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrcReg {
    /// None: for `bp`, it is unchanged.
    Undefined,
    /// The stack pointer of the caller's frame.
    PrevSp,
    /// rdx
    Dx,
    /// rdi
    Di,
    /// rbp
    Bp,
    /// rsp
    Sp,
    /// r10
    R10,
    /// r13
    R13,
    /// The word at rbp + offset.
    BpIndirect,
    /// The word at rsp, plus the offset.
    SpIndirect,
    /// rax
    Ax,
}

/// An unwind rule, whatever the format was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrcEntry {
    /// Kind of frame.
    pub kind: OrcKind,
    /// The frame was interrupted: its caller's pc is not a return address.
    pub signal: bool,
    /// Where the caller's stack pointer comes from.
    pub sp_reg: OrcReg,
    /// Bytes added to it.
    pub sp_offset: i16,
    /// Where the caller's rbp comes from.
    pub bp_reg: OrcReg,
    /// Bytes added to it.
    pub bp_offset: i16,
}

impl OrcFormat {
    fn register(self, number: u16) -> OrcReg {
        use OrcReg::*;
        const OLD: [OrcReg; 11] =
            [Undefined, PrevSp, Dx, Di, Bp, Sp, R10, R13, BpIndirect, SpIndirect, Ax];
        const NEW: [OrcReg; 11] =
            [Undefined, Ax, Dx, Sp, Bp, Di, R10, R13, PrevSp, SpIndirect, BpIndirect];
        let table = if self == OrcFormat::V4 { NEW } else { OLD };
        table.get(usize::from(number)).copied().unwrap_or(Undefined)
    }

    fn decode(self, raw: [u8; ENTRY]) -> OrcEntry {
        let [sp0, sp1, bp0, bp1, low, high] = raw;
        let flags = u16::from_le_bytes([low, high]);
        let sp_reg = self.register(flags & 0xf);
        let kind2 = (flags >> 8) & 3;
        let kind3 = (flags >> 8) & 7;
        let bit = |n: u16| flags >> n & 1 != 0;
        let old_kind = |end: bool| match kind2 {
            _ if sp_reg == OrcReg::Undefined && end => OrcKind::EndOfStack,
            _ if sp_reg == OrcReg::Undefined => OrcKind::Undefined,
            0 => OrcKind::Call,
            1 => OrcKind::Regs,
            2 => OrcKind::RegsPartial,
            _ => OrcKind::Undefined,
        };
        let (kind, signal) = match self {
            OrcFormat::V1 => {
                let kind = old_kind(bit(10));
                (kind, matches!(kind, OrcKind::Regs | OrcKind::RegsPartial))
            }
            OrcFormat::V2 => (old_kind(bit(11)), bit(10)),
            OrcFormat::V3 | OrcFormat::V4 => {
                let kind = match kind3 {
                    1 => OrcKind::EndOfStack,
                    2 => OrcKind::Call,
                    3 => OrcKind::Regs,
                    4 => OrcKind::RegsPartial,
                    _ => OrcKind::Undefined,
                };
                (kind, bit(11))
            }
        };
        OrcEntry {
            kind,
            signal,
            sp_reg,
            sp_offset: i16::from_le_bytes([sp0, sp1]),
            bp_reg: self.register(flags >> 4 & 0xf),
            bp_offset: i16::from_le_bytes([bp0, bp1]),
        }
    }
}

/// The format of a kernel's tables: by the hash in its section `.orc_header` (Linux 6.4, some
/// 6.3), else from what is common among `sample`, any few thousand raw entries. Never refuses:
/// distributions backport formats, and every format has entries that no other one explains.
pub fn orc_format(header_hash: Option<&[u8; 20]>, sample: &[u8]) -> OrcFormat {
    match header_hash {
        Some([0xdb, 0x84, 0xae, 0xd4, ..]) => return OrcFormat::V2,
        Some([0xfe, 0x5d, 0x32, 0xbf, ..]) => return OrcFormat::V3,
        Some([0x13, 0x7c, 0x36, 0xad, ..]) => return OrcFormat::V4,
        _ => {}
    }
    let flags = || sample.chunks_exact(ENTRY).filter_map(|entry| u16_le(entry, 4));
    let count = |test: &dyn Fn(u16) -> bool| flags().filter(|&f| test(f)).count();
    // Nearly every frame is found from rsp, which is 5 in the old numbering and 3 in the new one.
    if count(&|f| f & 0xf == 3) > count(&|f| f & 0xf == 5) {
        return OrcFormat::V4;
    }
    // Nearly every rsp frame is a call: type 2 in V3, 0 before.
    let call = |ty: u16| count(&|f| f & 0xf == 5 && f >> 8 & 3 == ty);
    if call(2) > call(0) {
        return OrcFormat::V3;
    }
    // V1 ends at bit 10. V2 marks the end of stacks with bit 11.
    if count(&|f| f >> 11 & 1 != 0) > 0 { OrcFormat::V2 } else { OrcFormat::V1 }
}

/// The raw tables as far as they could be read; what could not be is zeros, and a hole.
#[derive(Debug, Clone, Copy)]
pub struct RawOrc<'a> {
    /// `orc_unwind_ip`.
    pub ips: &'a [u8],
    /// Bytes of it that are missing, ascending.
    pub ip_holes: &'a [Range<usize>],
    /// Virtual address of it.
    pub ips_at: u64,
    /// `orc_unwind`.
    pub entries: &'a [u8],
    /// Bytes of it that are missing, ascending.
    pub entry_holes: &'a [Range<usize>],
    /// Virtual address of it.
    pub entries_at: u64,
}

/// Unwind rules of vmlinux or of a module.
pub struct Orc {
    format: OrcFormat,
    /// Virtual address that `ips` count from.
    base: u64,
    ips: Vec<i32>,
    entries: Vec<[u8; ENTRY]>,
    /// Instructions (from `base`) whose rule is missing, and the virtual address of what could not
    /// be read of the tables.
    holes: Vec<(Range<i64>, u64)>,
}

impl std::fmt::Debug for Orc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Orc")
            .field("format", &self.format)
            .field("len", &self.ips.len())
            .finish_non_exhaustive()
    }
}

impl Orc {
    /// As [`Orc::parse_with_holes`], of tables that are all there. `ips_at` is the virtual address
    /// of the first.
    ///
    /// # Errors
    /// When the tables have different numbers of entries.
    pub fn parse(
        ips: &[u8],
        ips_at: u64,
        entries: &[u8],
        format: OrcFormat,
    ) -> Result<Orc, OrcError> {
        let (ip_holes, entry_holes) = (&[][..], &[][..]);
        let tables = RawOrc { ips, ip_holes, ips_at, entries, entry_holes, entries_at: 0 };
        Orc::parse_with_holes(&tables, format)
    }

    /// Takes the raw tables. Unsorted ones (kernels before 5.6 sort at boot) are sorted. An entry
    /// that leads further than 2 GiB from the table is left out: no kernel has one. What is missing
    /// costs the rules that lie in it; [`Orc::missing`] tells which.
    ///
    /// # Errors
    /// When the tables have different numbers of entries.
    pub fn parse_with_holes(tables: &RawOrc<'_>, format: OrcFormat) -> Result<Orc, OrcError> {
        let (count, others) = (tables.ips.len() / 4, tables.entries.len() / ENTRY);
        if count != others {
            return Err(OrcError::Lengths { ips: count, entries: others });
        }
        let ip = |index: usize| {
            let distance = u32_le(tables.ips, index * 4)?;
            Some(index as i64 * 4 + i64::from(distance.cast_signed()))
        };
        let indices = |hole: &Range<usize>, size: usize| {
            hole.start / size..hole.end.div_ceil(size).min(count)
        };
        let lost_ips: Vec<Range<usize>> = tables.ip_holes.iter().map(|h| indices(h, 4)).collect();
        let lost = |index: usize| lost_ips.iter().find(|lost| lost.contains(&index));
        let mut holes = Vec::new();
        // Where a rule begins is missing: the one before may reach as far as the one behind.
        for (lost, hole) in lost_ips.iter().zip(tables.ip_holes) {
            let from = lost.start.checked_sub(1).and_then(ip).unwrap_or(i64::MIN);
            let to = if lost.end < count { ip(lost.end) } else { None };
            holes.push((
                from..to.unwrap_or(i64::MAX),
                tables.ips_at.wrapping_add(hole.start as u64),
            ));
        }
        for hole in tables.entry_holes {
            let missing = indices(hole, ENTRY);
            let known = |index: &usize| *index < count && lost(*index).is_none();
            let from = Some(missing.start).filter(known).and_then(ip).unwrap_or(i64::MIN);
            let to = Some(missing.end).filter(known).and_then(ip).unwrap_or(i64::MAX);
            holes.push((from..to, tables.entries_at.wrapping_add(hole.start as u64)));
        }
        let (raw, _) = tables.entries.as_chunks::<ENTRY>();
        let mut orc = Orc {
            format,
            base: tables.ips_at,
            ips: Vec::with_capacity(count),
            entries: Vec::with_capacity(count),
            holes,
        };
        let mut index = 0;
        while let Some(entry) = raw.get(index) {
            if let Some(lost) = lost(index) {
                index = lost.end;
                continue;
            }
            if let Some(Ok(ip)) = ip(index).map(i32::try_from) {
                orc.ips.push(ip);
                orc.entries.push(*entry);
            }
            index += 1;
        }
        if !orc.ips.is_sorted() {
            orc.sort();
        }
        Ok(orc)
    }

    /// Where the rule for the instruction at `pc` would lie, when that is missing: the virtual
    /// address of what could not be read.
    pub fn missing(&self, pc: u64) -> Option<u64> {
        let distance = pc.wrapping_sub(self.base).cast_signed();
        self.holes.iter().find(|(hole, _)| hole.contains(&distance)).map(|&(_, at)| at)
    }

    fn sort(&mut self) {
        let mut order: Vec<u32> = (0..self.ips.len() as u32).collect();
        order.sort_by_key(|&index| self.ips[index as usize]);
        self.ips = order.iter().map(|&index| self.ips[index as usize]).collect();
        self.entries = order.iter().map(|&index| self.entries[index as usize]).collect();
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.ips.len()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.ips.is_empty()
    }

    /// The format the tables were read as.
    pub fn format(&self) -> OrcFormat {
        self.format
    }

    /// The rule for the instruction at `pc`: that of the rightmost entry which is not above it.
    /// An entry that ends a section is weak and loses against a real one of the same address.
    /// For a return address, ask for the byte before it.
    pub fn lookup(&self, pc: u64) -> Option<OrcEntry> {
        let distance = i64::from_ne_bytes(pc.wrapping_sub(self.base).to_ne_bytes());
        let after = self.ips.partition_point(|&ip| i64::from(ip) <= distance);
        let rightmost = after.checked_sub(1)?;
        let ip = *self.ips.get(rightmost)?;
        let mut weak = None;
        for index in (0..=rightmost).rev().take(MAX_ALIASES).take_while(|&i| self.ips[i] == ip) {
            let entry = self.format.decode(*self.entries.get(index)?);
            if entry.kind != OrcKind::Undefined {
                return Some(entry);
            }
            weak = weak.or(Some(entry));
        }
        weak
    }

    /// Every rule with the address it begins at, by address.
    pub fn iter(&self) -> impl Iterator<Item = (u64, OrcEntry)> {
        self.ips
            .iter()
            .zip(&self.entries)
            .map(|(&ip, &raw)| (self.base.wrapping_add_signed(ip.into()), self.format.decode(raw)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: u64 = 0xffff_ffff_8289_2a34;
    const ENTRIES: u64 = 0xffff_ffff_82a0_0000;
    const TEXT: u64 = 0xffff_ffff_8100_0000;

    /// The two tables for rules (address, sp offset, bp offset, flags).
    fn tables(rules: &[(u64, i16, i16, u16)]) -> (Vec<u8>, Vec<u8>) {
        let (mut ips, mut entries) = (Vec::new(), Vec::new());
        for (index, (ip, sp, bp, flags)) in rules.iter().enumerate() {
            let own = TABLE + index as u64 * 4;
            ips.extend((ip.wrapping_sub(own) as u32).to_le_bytes());
            entries.extend(sp.to_le_bytes().into_iter().chain(bp.to_le_bytes()));
            entries.extend(flags.to_le_bytes());
        }
        (ips, entries)
    }

    /// What is missing is said to be, and nothing else is lost.
    #[test]
    fn holes_cost_the_rules_in_them() {
        let rules: Vec<_> = (0..100).map(|i| (TEXT + i * 16, 8 * i as i16, 0, 5)).collect();
        let (mut ips, mut entries) = tables(&rules);
        ips[40..80].fill(0);
        entries[300..360].fill(0);
        let cut = RawOrc {
            ips: &ips,
            ip_holes: std::slice::from_ref(&(40..80)),
            ips_at: TABLE,
            entries: &entries,
            entry_holes: std::slice::from_ref(&(300..360)),
            entries_at: ENTRIES,
        };
        let orc = Orc::parse_with_holes(&cut, OrcFormat::V1).unwrap();
        for i in 0..100 {
            let missing = orc.missing(TEXT + i * 16 + 3);
            match i {
                9..20 => assert_eq!(missing, Some(TABLE + 40), "{i}"),
                50..60 => assert_eq!(missing, Some(ENTRIES + 300), "{i}"),
                _ => {
                    assert_eq!(missing, None, "{i}");
                    assert_eq!(orc.lookup(TEXT + i * 16 + 3).unwrap().sp_offset, 8 * i as i16);
                }
            }
        }
    }

    fn parse(rules: &[(u64, i16, i16, u16)], format: OrcFormat) -> Orc {
        let (ips, entries) = tables(rules);
        Orc::parse(&ips, TABLE, &entries, format).unwrap()
    }

    #[test]
    fn the_rightmost_rule_counts_and_ends_of_sections_are_weak() {
        // V1: CALL from SP (5); 0 is undefined.
        let rules =
            [(TEXT, 8, 0, 5), (TEXT + 4, 16, -16, 0x15), (TEXT + 9, 8, 0, 5), (TEXT + 9, 0, 0, 0)];
        let orc = parse(&rules, OrcFormat::V1);
        let offset = |pc| orc.lookup(pc).map(|e| e.sp_offset);
        assert_eq!(offset(TEXT - 1), None);
        assert_eq!(offset(TEXT + 3), Some(8));
        assert_eq!(offset(TEXT + 4), Some(16));
        let entry = orc.lookup(TEXT + 8).unwrap();
        assert_eq!((entry.bp_reg, entry.bp_offset), (OrcReg::PrevSp, -16));
        assert_eq!(orc.lookup(TEXT + 9).unwrap().kind, OrcKind::Call);
        assert_eq!(orc.lookup(u64::MAX).unwrap().kind, OrcKind::Call);
    }

    #[test]
    fn unsorted_tables_are_sorted() {
        let rules = [(TEXT + 64, 24, 0, 5), (TEXT, 8, 0, 5), (TEXT + 32, 16, 0, 5)];
        let orc = parse(&rules, OrcFormat::V1);
        let found: Vec<_> = orc.iter().map(|(ip, e)| (ip - TEXT, e.sp_offset)).collect();
        assert_eq!(found, [(0, 8), (32, 16), (64, 24)]);
    }

    #[test]
    fn every_format_says_the_same_in_its_own_bits() {
        use OrcKind::*;
        // flags of: a call from rsp; pt_regs at rsp; an interrupt frame; end of stack; nothing.
        let formats = [
            (OrcFormat::V1, [0x005, 0x105, 0x205, 0x400, 0x000]),
            (OrcFormat::V2, [0x005, 0x505, 0x605, 0x800, 0x000]),
            (OrcFormat::V3, [0x205, 0xb05, 0xc05, 0x100, 0x000]),
            (OrcFormat::V4, [0x203, 0xb03, 0xc03, 0x100, 0x000]),
        ];
        for (format, flags) in formats {
            let rules: Vec<_> =
                flags.iter().enumerate().map(|(i, &f)| (TEXT + i as u64, 8, 0, f)).collect();
            let orc = parse(&rules, format);
            let found: Vec<_> = orc.iter().map(|(_, e)| (e.kind, e.signal)).collect();
            let expected = [
                (Call, false),
                (Regs, true),
                (RegsPartial, true),
                (EndOfStack, false),
                (Undefined, false),
            ];
            assert_eq!(found, expected, "{format:?}");
            assert_eq!(orc.lookup(TEXT).unwrap().sp_reg, OrcReg::Sp);
            // Most of any real table are calls.
            let mut sample = tables(&rules).1;
            sample.extend(sample[..6].repeat(10));
            assert_eq!(orc_format(None, &sample), format);
        }
        assert_eq!(orc_format(None, &[]), OrcFormat::V1);
    }

    #[test]
    fn tables_of_unequal_length_are_refused() {
        let (ips, entries) = tables(&[(TEXT, 8, 0, 5), (TEXT + 4, 8, 0, 5)]);
        let error = Orc::parse(&ips, TABLE, &entries[..6], OrcFormat::V1).unwrap_err();
        assert_eq!(error, OrcError::Lengths { ips: 2, entries: 1 });
        assert!(Orc::parse(&[], 0, &[], OrcFormat::V4).unwrap().lookup(TEXT).is_none());
    }
}
