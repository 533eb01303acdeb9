//! LiME and AVML: memory of a running machine, one header and content for each range. AVML's own
//! version packs the content with snappy's frames.

mod snappy;

use crate::{
    Format, FormatKind, OpenError, OpenOptions,
    bytes::Fields,
    image::Image,
    meta::{FileInfo, Input, Meta, Opened, Truncation},
    reader::{Answer, Reader, Tested, single},
    segments::{Load, Segments},
};
use snappy::Frames;

/// Bytes of a range's header: magic 4, version 4, first and last address 8 each, 8 unused.
const HEADER: u64 = 32;
/// Neither says what machine it was; both take pages of this size.
const PAGE_SIZE: u64 = 4096;
/// Ranges of one file: memory maps have some dozens.
const RANGES: usize = 1 << 16;

pub(crate) const READER: Reader = Reader {
    name: "LiME, AVML",
    about: "memory of a running machine, taken with the module LiME (format=lime) or with avml",
    tested: Tested::Generated,
    recognise: |input| input.has(0, b"EMiL\x01\0\0\0") || input.has(0, b"AVML\x02\0\0\0"),
    answer: Answer::Open(open),
};

/// A range of memory and where its content begins in the file.
struct Range {
    first: u64,
    /// Bytes.
    size: u64,
    offset: u64,
    packed: bool,
}

fn open(inputs: Vec<Input>, options: &OpenOptions) -> Result<Opened, OpenError> {
    let input = single(inputs)?;
    let image = &input.image;
    let mut frames = Frames::new(image.clone(), PAGE_SIZE, options.cache_bytes);
    let (mut ranges, mut cut) = (Vec::new(), None);
    let mut at = 0;
    while at < image.len() && ranges.len() < RANGES {
        let Some(range) = header(image, at) else {
            cut = Some(image.len());
            break;
        };
        if range.packed {
            match frames.add(range.first, range.size, range.offset) {
                Ok(end) => at = end,
                Err(end) => {
                    cut = Some(end);
                    at = image.len();
                }
            }
        } else {
            at = range.offset.saturating_add(range.size);
        }
        ranges.push(range);
    }
    let expected = (at > image.len()).then_some(at);
    if ranges.is_empty() {
        return Err(OpenError::corrupt(&input.path, "its first header makes no sense"));
    }
    let is_packed = ranges.iter().any(|range| range.packed);
    let kind = match is_packed {
        true => FormatKind::Named { name: "AVML, snappy", description: "AVML image" },
        false => FormatKind::Named { name: "LiME", description: "LiME image" },
    };
    let mut meta = Meta::new(Format::new(kind), None, false);
    meta.page_size = PAGE_SIZE;
    let truncated = cut.is_some() || expected.is_some();
    if truncated {
        let (path, actual) = (input.path.clone(), image.len());
        meta.completeness.truncated = vec![Truncation { path, expected, actual }];
    }
    let first = ranges.iter().map(|range| range.first / PAGE_SIZE).min().unwrap_or(0);
    let end = ranges.iter().map(|range| (range.first + range.size).div_ceil(PAGE_SIZE)).max();
    meta.files = vec![FileInfo::new(&input, truncated, (first, end.unwrap_or(0)))];
    if is_packed {
        if ranges.iter().any(|range| !range.packed) {
            let what = "ranges with and without compression in one file";
            return Err(OpenError::unsupported(&input.path, "AVML", what));
        }
        frames.finish();
        return Ok(Opened { memory: Box::new(frames), meta });
    }
    let loads = ranges.iter().map(|range| Load {
        offset: range.offset,
        address: range.first,
        file_size: range.size,
        memory_size: range.size,
    });
    let loads: Vec<Load> = loads.collect();
    let memory = Segments::new(image.clone(), PAGE_SIZE, &loads, options.zero_excluded);
    Ok(Opened { memory: Box::new(memory), meta })
}

fn header(image: &Image, at: u64) -> Option<Range> {
    let bytes = image.get(at, HEADER as usize)?;
    let fields = Fields::new(&bytes, false);
    let packed = match (bytes.get(..4)?, fields.u32(4)?) {
        (b"EMiL", 1) => false,
        (b"AVML", 2) => true,
        _ => return None,
    };
    let (first, last) = (fields.u64(8)?, fields.u64(16)?);
    let size = last.checked_sub(first)?.checked_add(1)?;
    first.checked_add(size)?;
    Some(Range { first, size, offset: at + HEADER, packed })
}
