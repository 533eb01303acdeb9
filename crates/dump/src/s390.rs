//! The stand-alone dump of s390 (`zipl -d`, `df_s390.h` of s390-tools): a header as LKCD had it, then
//! memory as it is. Newer stand-alone dumps are ELF cores.

use crate::{
    Arch, Format, FormatKind, OpenError, OpenOptions,
    bytes::Fields,
    meta::{FileInfo, Header, Input, Meta, Opened, Truncation},
    reader::{Answer, Reader, Tested, single},
    segments::{Load, Segments},
};

const MAGIC: &[u8; 8] = b"\xa8\x19\x01\x73\x61\x8f\x23\xfd";
const HEADER: u64 = 4096;
/// `arch` of the header: a machine of 64 bits.
const ARCH_64: u32 = 2;

pub(crate) const READER: Reader = Reader {
    name: "s390 stand-alone dump",
    about: "zipl's dump tools for DASD and SCSI disks, and VMDUMP converted by zgetdump -f s390",
    tested: Tested::Description,
    recognise: |input| input.has(0, MAGIC),
    answer: Answer::Open(open),
};

fn open(inputs: Vec<Input>, options: &OpenOptions) -> Result<Opened, OpenError> {
    let input = single(inputs)?;
    let image = &input.image;
    let head = image.get_up_to(0, 128);
    let fields = Fields::new(&head, true);
    let numbers = (|| {
        let (version, header_size, page_size) = (fields.u32(8)?, fields.u32(12)?, fields.u32(20)?);
        let (start, end, arch) = (fields.u64(32)?, fields.u64(40)?, fields.u32(72)?);
        Some((version, u64::from(header_size), u64::from(page_size), start, end, arch))
    })();
    let cut = || OpenError::corrupt(&input.path, "the s390 dump header is cut or makes no sense");
    let (version, header_size, page_size, start, end, arch) = numbers.ok_or_else(cut)?;
    let size = end.checked_sub(start).ok_or_else(cut)?;
    if page_size != 4096 || !(HEADER..=1 << 20).contains(&header_size) {
        return Err(cut());
    }
    let arch = if arch == ARCH_64 { Arch::S390x } else { Arch::S390 };
    let mut meta = Meta::new(
        Format::new(FormatKind::Named { name: "s390 stand-alone dump", description: "S390 dump" }),
        Some(arch),
        true,
    );
    meta.header = Header {
        version: Some(version),
        nr_cpus: fields.u16(93).map(u32::from).filter(|&count| count > 0),
        ..Header::default()
    };
    let expected = header_size.saturating_add(size);
    let truncated = expected > image.len();
    if truncated {
        let (path, actual) = (input.path.clone(), image.len());
        let expected = Some(expected);
        meta.completeness.truncated = vec![Truncation { path, expected, actual }];
    }
    let load = Load { offset: header_size, address: start, file_size: size, memory_size: size };
    let memory = Segments::new(image.clone(), page_size, &[load], options.zero_excluded);
    let pfns = (start / page_size, end.div_ceil(page_size));
    meta.files = vec![FileInfo::new(&input, truncated, pfns)];
    Ok(Opened { memory: Box::new(memory), meta })
}
