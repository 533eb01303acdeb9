//! Flattened files (`makedumpfile -F`): a stream of `(offset, size, data)` records, written where
//! the output cannot seek. Read in place through an index of the rearranged content.

use std::{collections::BTreeMap, io, ops::Range};

use crate::bytes::Fields;

pub(crate) const SIGNATURE: &[u8; 16] = b"makedumpfile\0\0\0\0";
/// Where the records begin.
const HEADER_SIZE: usize = 4096;
/// Records are written through a cache of pages: very many tiny ones are not makedumpfile's, and
/// an index of them would outgrow the file.
const BYTES_PER_RECORD: usize = 128;
const FEW_RECORDS: usize = 4096;

pub(crate) fn is_flattened(file: &[u8]) -> bool {
    file.starts_with(SIGNATURE)
}

/// A piece of content and where it lies in the file, all in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) at: u64,
}

/// Where each piece of the rearranged content lies.
#[derive(Debug)]
pub(crate) struct Index {
    /// Disjoint, in ascending order of `offset`.
    pieces: Vec<Piece>,
    /// Neighbouring pieces as one: `(start, end)` of content.
    islands: Vec<(u64, u64)>,
    /// Size of the content in bytes.
    pub(crate) len: u64,
    /// Whether the stream's end mark was seen.
    pub(crate) complete: bool,
}

impl Index {
    /// Walks the records once.
    ///
    /// # Errors
    /// `InvalidData` for another type or version of stream, or an absurd number of records.
    pub(crate) fn build(file: &[u8]) -> io::Result<Self> {
        let fields = Fields::new(file, true);
        if (fields.u64(16), fields.u64(24)) != (Some(1), Some(1)) {
            return Err(invalid("flattened file of a type or version other than 1"));
        }
        let mut pieces = BTreeMap::new();
        let mut at = HEADER_SIZE;
        let mut complete = false;
        while let (Some(offset), Some(size)) = (fields.u64(at), fields.u64(at + 8)) {
            if offset as i64 == -1 && size as i64 == -1 {
                complete = true;
                break;
            }
            let data = at + 16;
            let there = size.min((file.len() - data) as u64);
            if (offset as i64) < 0 || size == 0 || offset.checked_add(size).is_none() {
                break;
            }
            if there > 0 {
                insert(&mut pieces, Piece { offset, len: there, at: data as u64 });
            }
            if pieces.len() > file.len() / BYTES_PER_RECORD + FEW_RECORDS {
                return Err(invalid("flattened file with an absurd number of records"));
            }
            at = data + there as usize;
            // A stream may end without its mark, but not within a record.
            complete = there == size && at == file.len();
        }
        Ok(Index::of(pieces, complete))
    }

    /// An index of pieces that another format arranges, by their offset and without overlap. Holes
    /// are zeros if it is `complete`.
    pub(crate) fn of(pieces: BTreeMap<u64, Piece>, complete: bool) -> Self {
        let pieces: Vec<Piece> = pieces.into_values().collect();
        let mut islands: Vec<(u64, u64)> = Vec::new();
        for piece in &pieces {
            let end = piece.offset + piece.len;
            match islands.last_mut() {
                Some(last) if last.1 == piece.offset => last.1 = end,
                _ => islands.push((piece.offset, end)),
            }
        }
        let len = islands.last().map_or(0, |&(_, end)| end);
        Index { pieces, islands, len, complete }
    }

    /// The piece that holds `offset`, or the first one after it.
    fn find(&self, offset: u64) -> usize {
        self.pieces.partition_point(|piece| piece.offset + piece.len <= offset)
    }

    /// The file offset of `len` bytes of content that lie in one piece.
    pub(crate) fn locate(&self, offset: u64, len: usize) -> Option<u64> {
        let piece = self.pieces.get(self.find(offset))?;
        let skip = offset.checked_sub(piece.offset)?;
        (skip.checked_add(len as u64)? <= piece.len).then_some(piece.at + skip)
    }

    /// Whether `len` bytes of content are there: see [`gather`](Self::gather) about holes.
    pub(crate) fn has(&self, offset: u64, len: usize) -> bool {
        self.extent(offset, len as u64) == len as u64
    }

    /// How many of `len` bytes from `offset` on are there before the first that is missing.
    pub(crate) fn extent(&self, offset: u64, len: u64) -> u64 {
        let end = offset.saturating_add(len).min(self.len);
        if self.complete {
            return end.saturating_sub(offset);
        }
        let island = self.islands.get(self.island(offset));
        let there = island.filter(|&&(start, _)| start <= offset).map_or(offset, |&(_, end)| end);
        there.min(end).saturating_sub(offset)
    }

    /// The island that holds `offset`, or the first one after it.
    fn island(&self, offset: u64) -> usize {
        self.islands.partition_point(|&(_, end)| end <= offset)
    }

    /// The parts of a range that some piece holds.
    pub(crate) fn pieces_in(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let islands = self.islands.get(self.island(range.start)..).unwrap_or(&[]);
        let within = islands.iter().take_while(|island| island.0 < range.end);
        within.map(|&(start, end)| start.max(range.start)..end.min(range.end)).collect()
    }

    /// The first offset from `at` on that a piece holds; the size of the content if none does.
    pub(crate) fn next_data(&self, at: u64) -> u64 {
        self.islands.get(self.island(at)).map_or(self.len, |&(start, _)| start.max(at))
    }

    /// Copies `len` bytes of content. Holes are zeros, as they are in the file that
    /// `makedumpfile -R` would write, unless the stream was cut: then they are missing.
    pub(crate) fn gather(&self, file: &[u8], offset: u64, len: usize) -> Option<Vec<u8>> {
        if !self.has(offset, len) {
            return None;
        }
        let end = offset + len as u64;
        let mut out = vec![0; len];
        for piece in self.pieces.iter().skip(self.find(offset)).take_while(|p| p.offset < end) {
            let from = piece.offset.max(offset);
            let to = (piece.offset + piece.len).min(end);
            let n = (to - from) as usize;
            let source = (piece.at + (from - piece.offset)) as usize;
            let target = (from - offset) as usize;
            out[target..target + n].copy_from_slice(file.get(source..source + n)?);
        }
        Some(out)
    }
}

/// Adds a piece; what it overlaps was written earlier and is overwritten.
fn insert(pieces: &mut BTreeMap<u64, Piece>, new: Piece) {
    let end = new.offset + new.len;
    let first = pieces.range(..=new.offset).next_back().map_or(new.offset, |(&key, _)| key);
    let old: Vec<Piece> = pieces
        .range(first..end)
        .map(|(_, &piece)| piece)
        .filter(|piece| piece.offset + piece.len > new.offset)
        .collect();
    for piece in old {
        pieces.remove(&piece.offset);
        if piece.offset < new.offset {
            let head = Piece { len: new.offset - piece.offset, ..piece };
            pieces.insert(head.offset, head);
        }
        let piece_end = piece.offset + piece.len;
        if piece_end > end {
            let skip = end - piece.offset;
            pieces.insert(end, Piece { offset: end, len: piece_end - end, at: piece.at + skip });
        }
    }
    pieces.insert(new.offset, new);
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(records: &[(u64, &[u8])]) -> Vec<u8> {
        let mut out = SIGNATURE.to_vec();
        out.extend(1u64.to_be_bytes());
        out.extend(1u64.to_be_bytes());
        out.resize(HEADER_SIZE, 0);
        for (offset, data) in records {
            out.extend(offset.to_be_bytes());
            out.extend((data.len() as u64).to_be_bytes());
            out.extend(*data);
        }
        out
    }

    #[test]
    fn later_records_win_and_holes_are_zero() {
        let mut file = stream(&[(0, b"abcdefgh"), (12, b"xy"), (2, b"CDE"), (0, b"A")]);
        file.extend([0xff; 16]);
        let index = Index::build(&file).unwrap();
        assert!(index.complete);
        assert_eq!(index.len, 14);
        assert_eq!(index.gather(&file, 0, 14).unwrap(), b"AbCDEfgh\0\0\0\0xy");
        assert_eq!(index.locate(2, 3).map(|at| &file[at as usize..][..3]), Some(&b"CDE"[..]));
        assert_eq!(index.locate(1, 3), None, "in two pieces");
        assert_eq!(index.gather(&file, 10, 5), None, "beyond the end");
    }

    #[test]
    fn a_cut_stream_has_no_zeros() {
        let mut file = stream(&[(0, b"abcd"), (8, b"efgh")]);
        file.truncate(file.len() - 2);
        let index = Index::build(&file).unwrap();
        assert_eq!(index.len, 10);
        let cut = stream(&[(0, b"abcd"), (8, b"efgh")]);
        let index = Index::build(&cut[..cut.len() - 21]).unwrap();
        assert_eq!(index.len, 3);
    }
}
