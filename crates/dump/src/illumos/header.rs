//! The header of an illumos dump (`dumphdr_t`, `uts/common/sys/dumphdr.h`), and the data header
//! behind the second copy of it (`dumpdatahdr_t`).

use std::path::Path;

use crate::{OpenError, bytes::Fields, image::Image};

/// Bytes of `dumphdr_t`; 1864 before 2010, when what follows was added without a new version.
pub(super) const HEADER_SIZE: usize = 1912;
/// `DUMP_OFFSET`: what lies before the header on a dump device, and behind the last one.
pub(super) const DUMP_OFFSET: u64 = 65536;

const MAGIC: u32 = 0xdefe_c8ed;
const VERSION: u32 = 10;
const DATA_MAGIC: u32 = 0x6468_6472;
const FORMAT: &str = "illumos dump";

/// The kernel pages were all written.
pub const DF_COMPLETE: u32 = 0x2;
/// The dump of a running system.
pub const DF_LIVE: u32 = 0x4;
/// Page data is compressed: a `vmdump`.
pub const DF_COMPRESSED: u32 = 0x8;
/// Page data is encrypted (SmartOS, on the device alone).
pub const DF_ENCRYPTED: u32 = 0x10;
/// Kernel pages only.
pub const DF_KERNEL: u32 = 0x1_0000;
/// Kernel pages and all user pages.
pub const DF_ALL: u32 = 0x2_0000;
/// Kernel pages and those of the current process.
pub const DF_CURPROC: u32 = 0x4_0000;

/// What the header of an illumos dump says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpHeader {
    /// `DF_*`.
    pub flags: u32,
    /// Where the first copy lies on the device; 0 in a `vmdump`.
    pub start: u64,
    /// File offset of the symbol image.
    pub ksyms: u64,
    /// File offset of the table of page frame numbers.
    pub pfn: u64,
    /// File offset of the translations.
    pub map: u64,
    /// File offset of page data.
    pub data: u64,
    /// `uname`: system, node, release, version, machine.
    pub utsname: [String; 5],
    /// As `uname -i` prints it.
    pub platform: String,
    /// The panic message; empty for a live dump.
    pub panicstring: String,
    /// Seconds since 1970.
    pub crashtime: u64,
    /// Bytes of a page, a power of two.
    pub pagesize: u64,
    /// 2^n - 1 for the hash table of translations.
    pub hashmask: u64,
    /// Number of translations.
    pub nvtop: u64,
    /// Number of pages.
    pub npages: u64,
    /// Bytes of the symbol image.
    pub ksyms_size: u64,
    /// Bytes of the symbol image as stored.
    pub ksyms_csize: u64,
    /// Whether the fault manager asked for the panic.
    pub fm_panic: bool,
    /// UUID of the operating system's image, if set.
    pub uuid: String,
}

impl DumpHeader {
    /// Whether all pages were written.
    pub fn is_complete(&self) -> bool {
        self.flags & DF_COMPLETE != 0
    }

    /// Whether the system went on running.
    pub fn is_live(&self) -> bool {
        self.flags & DF_LIVE != 0
    }

    pub(super) fn page_shift(&self) -> u32 {
        self.pagesize.trailing_zeros()
    }

    /// Rounded up to whole pages.
    pub(super) fn round(&self, bytes: u64) -> Option<u64> {
        bytes.checked_next_multiple_of(self.pagesize)
    }
}

/// Whether a header starts at `offset`, in either byte order.
pub(super) fn is_header(image: &Image, offset: u64) -> bool {
    let start = image.get_up_to(offset, 4);
    *start == MAGIC.to_le_bytes() || *start == MAGIC.to_be_bytes()
}

/// Reads the header at `offset`.
///
/// # Errors
/// There is none, or it is of a kind that cannot be read, which is named.
pub(super) fn read(image: &Image, offset: u64, path: &Path) -> Result<DumpHeader, OpenError> {
    let bytes = image.get_up_to(offset, HEADER_SIZE);
    let fields = Fields::new(&bytes, false);
    let short = || OpenError::corrupt(path, "the illumos dump header is cut short");
    let magic = fields.u32(0).ok_or_else(short)?;
    if magic == MAGIC.swap_bytes() {
        let what = "it was written by a big-endian machine (SPARC): use mdb there";
        return Err(OpenError::unsupported(path, FORMAT, what));
    }
    if magic != MAGIC {
        return Err(OpenError::corrupt(path, "no illumos dump header where one should be"));
    }
    let version = fields.u32(4).ok_or_else(short)?;
    if version != VERSION {
        let what = match version {
            ..VERSION => format!("version {version} is of Solaris 8 or older: use its own mdb"),
            _ => format!("version {version} is Oracle Solaris's, which is not documented"),
        };
        return Err(OpenError::unsupported(path, FORMAT, what));
    }
    let wordsize = fields.u32(12).ok_or_else(short)?;
    if wordsize != 64 {
        let what = format!("the dump of a {wordsize}-bit kernel (i386): use mdb of its release");
        return Err(OpenError::unsupported(path, FORMAT, what));
    }
    let at = |at: usize| fields.u64(at).ok_or_else(short);
    let header = DumpHeader {
        flags: fields.u32(8).ok_or_else(short)?,
        start: at(16)?,
        ksyms: at(24)?,
        pfn: at(32)?,
        map: at(40)?,
        data: at(48)?,
        utsname: std::array::from_fn(|index| fields.string(56 + 257 * index, 257)),
        platform: fields.string(1341, 257),
        panicstring: fields.string(1598, 200),
        crashtime: at(1800)?,
        pagesize: at(1816)?,
        hashmask: at(1824)?,
        nvtop: at(1832)?,
        npages: at(1840)?,
        ksyms_size: at(1848)?,
        ksyms_csize: at(1856)?,
        fm_panic: fields.u32(1864) == Some(1),
        uuid: uuid(&fields.string(1868, 37)),
    };
    check(&header, path)?;
    Ok(header)
}

/// In dumps of before 2010 something else lies here: only what looks like a UUID is one.
fn uuid(text: &str) -> String {
    let good = text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if good { text.to_owned() } else { String::new() }
}

fn check(header: &DumpHeader, path: &Path) -> Result<(), OpenError> {
    let refuse = |what: &str| Err(OpenError::corrupt(path, what));
    if !header.pagesize.is_power_of_two() || !(512..=1 << 20).contains(&header.pagesize) {
        return refuse("the header's page size is impossible");
    }
    if !header.hashmask.wrapping_add(1).is_power_of_two() {
        return refuse("the header's hash mask is impossible");
    }
    if header.npages > 1 << 40 || header.nvtop > 1 << 40 {
        return refuse("the header's number of pages is impossible");
    }
    Ok(())
}

/// How page data is packed, as the data header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataHeader {
    /// Bytes of page data, the end mark included.
    pub csize: u64,
    /// Largest block of a stream, in bytes.
    pub max_csize: u32,
    /// Most pages of one range.
    pub max_range: u32,
    /// Number of streams.
    pub streams: u16,
    /// 0: one stream of LZJB; 1: parallel LZJB; 2 and more: parallel bzip2.
    pub level: u16,
}

/// The data header behind the header at `offset`: of a header with encryption or of an old one,
/// too. Without one the dump is old, and its pages are one stream of LZJB.
pub(super) fn data_header(image: &Image, offset: u64) -> Option<DataHeader> {
    let bytes = image.get_up_to(offset, 1985 + 32);
    let fields = Fields::new(&bytes, false);
    let at = [1912, 1985, 1864].into_iter().find(|&at| fields.u32(at) == Some(DATA_MAGIC))?;
    Some(DataHeader {
        csize: fields.u64(at + 8)?,
        max_csize: fields.u32(at + 16)?,
        max_range: fields.u32(at + 20)?,
        streams: fields.u16(at + 24)?,
        level: fields.u16(at + 26)?,
    })
}
