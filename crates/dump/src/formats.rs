//! The table of everything that a file may turn out to be: formats that are opened, and kinds of
//! files that are refused by name. A new format is one file with a `READER`, and one line here.

use crate::{
    containers, elf, illumos, kdump, lime, lkcd,
    meta::Input,
    migration,
    reader::{Answer, Reader, Tested},
    refused, s390, sadump, unpack, vmware, xen,
};

/// In the order in which they are asked.
static FORMATS: &[Reader] = &[
    kdump::READER,
    refused::PROCESS_CORE,
    xen::READER,
    elf::READER,
    lkcd::READER,
    s390::READER,
    sadump::READER,
    lime::READER,
    migration::READER,
    containers::LIBVIRT,
    containers::QCOW2,
    vmware::READER,
    illumos::READER,
];

/// The kind of a file; `None` when it is none of the table's.
pub(crate) fn recognise(input: &Input) -> Option<&'static Reader> {
    FORMATS.iter().chain(refused::KINDS).find(|reader| (reader.recognise)(input))
}

/// The reader's identity: two files of one dump have the same.
pub(crate) fn is_same(a: &Reader, b: &Reader) -> bool {
    a.name == b.name
}

/// A row of the table of formats, for documentation.
#[derive(Debug, Clone, Copy)]
pub struct FormatRow {
    /// As users call it.
    pub name: &'static str,
    /// What makes such files.
    pub about: &'static str,
    /// What the reader was tried on; `None` for what is refused.
    pub tested: Option<Tested>,
    /// What is said to whoever opens such a file; `None` for what is read.
    pub refusal: Option<&'static str>,
}

/// All kinds of files that are known by name, in the order in which they are asked.
pub fn formats() -> impl Iterator<Item = FormatRow> {
    FORMATS.iter().chain(refused::KINDS).map(|reader| {
        let (tested, refusal) = match reader.answer {
            Answer::Open(_) | Answer::Apart => (Some(reader.tested), None),
            Answer::Refuse(advice) | Answer::Explain(advice, _) => (None, Some(advice)),
        };
        FormatRow { name: reader.name, about: reader.about, tested, refusal }
    })
}

/// The packings that are unpacked before: name and ending of file names.
pub fn packings() -> impl Iterator<Item = (&'static str, &'static str)> {
    unpack::packing_names()
}
