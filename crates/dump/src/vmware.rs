//! VMware's saved state: `.vmss` of a suspended machine, `.vmsn` of a snapshot. Groups of tagged
//! values; memory is in the group `memory`, or in the `.vmem` beside it.

mod tags;

use std::path::{Path, PathBuf};

use crate::{
    Arch, Format, FormatKind, OpenError, OpenOptions,
    image::Image,
    meta::{FileInfo, Input, Meta, Opened, Truncation},
    reader::{Answer, Reader, Tested},
    segments::Segments,
};
use tags::State;

const PAGE_SIZE: u64 = 4096;
/// 64-bit checkpoints: plain, partial, restored, not restored.
const MAGICS: [&[u8; 4]; 4] =
    [b"\xd2\xbe\xd2\xbe", b"\xd3\xbe\xd3\xbe", b"\xd1\xba\xd1\xba", b"\xd2\xba\xd2\xba"];
const OLD_MAGIC: &[u8; 4] = b"\xd0\xbe\xd0\xbe";

pub(crate) const READER: Reader = Reader {
    name: "VMware saved state",
    about: ".vmss of a suspended machine or .vmsn of a snapshot, with the .vmem beside it; either file may be named",
    tested: Tested::Description,
    recognise: |input| is_state(input) || is_memory(&input.path),
    answer: Answer::Open(open),
};

fn is_state(input: &Input) -> bool {
    MAGICS.iter().chain([&OLD_MAGIC]).any(|&magic| input.has(0, magic))
}

/// Memory has no mark of its own.
fn is_memory(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("vmem"))
}

fn open(inputs: Vec<Input>, options: &OpenOptions) -> Result<Opened, OpenError> {
    let (states, memories): (Vec<Input>, Vec<Input>) = inputs.into_iter().partition(is_state);
    let first = states.first().or(memories.first()).map(|input| input.path.clone());
    let first = first.ok_or(OpenError::NoFile)?;
    if let [one, other, ..] = &states[..] {
        return Err(OpenError::not_one_dump(&one.path, &other.path, "both are saved states"));
    }
    if let [one, other, ..] = &memories[..] {
        return Err(OpenError::not_one_dump(&one.path, &other.path, "both are memory files"));
    }
    let beside = |endings: &[&str]| endings.iter().find_map(|ending| companion(&first, ending));
    let state = states.into_iter().next().or_else(|| beside(&["vmss", "vmsn"])).ok_or_else(|| {
        let what = "its .vmss or .vmsn, which says where memory belongs, is not beside it; up to 3 GB of memory may be opened as FILE@0";
        OpenError::unsupported(&first, ".vmem", what)
    })?;
    if state.has(0, OLD_MAGIC) {
        let what = "a 32-bit checkpoint, of VMware products before 2006, is not read";
        return Err(OpenError::unsupported(&state.path, "VMware saved state", what));
    }
    let found = State::parse(&state.image)
        .ok_or_else(|| OpenError::corrupt(&state.path, "its groups make no sense"))?;
    if found.is_packed {
        let what = "its memory is compressed; suspend the machine again without compression (or export the snapshot), or copy the .vmem";
        return Err(OpenError::unsupported(&state.path, "VMware saved state", what));
    }
    let mut meta = Meta::new(
        Format::new(FormatKind::Named {
            name: "VMware saved state",
            description: "VMware saved state",
        }),
        Some(Arch::X86_64),
        false,
    );
    meta.cpu_states = found.cpus.clone();
    meta.header.nr_cpus = u32::try_from(found.cpus.len()).ok().filter(|&count| count > 0);
    let (holder, offset, size) = match found.memory {
        Some((offset, size)) => (state.clone(), offset, size),
        None => {
            let memory = memories.into_iter().next().or_else(|| beside(&["vmem"]));
            let memory = memory.ok_or_else(|| {
                let what = "memory is not in it, and its .vmem is not beside it: copy both into one folder";
                OpenError::unsupported(&state.path, "VMware saved state", what)
            })?;
            let size = memory.image.len();
            (memory, 0, size)
        }
    };
    let loads = found.loads(offset, size, PAGE_SIZE);
    let expected = loads.iter().map(|load| load.offset.saturating_add(load.file_size)).max();
    let image: Image = holder.image.clone();
    let truncated = expected.is_some_and(|expected| expected > image.len());
    if truncated {
        let (path, actual) = (holder.path.clone(), image.len());
        meta.completeness.truncated = vec![Truncation { path, expected, actual }];
    }
    let memory = Segments::new(image, PAGE_SIZE, &loads, options.zero_excluded);
    if state.path != holder.path {
        meta.files.push(FileInfo::new(&state, false, (0, 0)));
    }
    meta.files.push(FileInfo::new(&holder, truncated, (0, memory.ranges().max_pfn())));
    Ok(Opened { memory: Box::new(memory), meta })
}

/// The file of the same name and another ending.
fn companion(path: &Path, ending: &str) -> Option<Input> {
    let path: PathBuf = path.with_extension(ending);
    let input = Input::plain(path.clone(), Image::open(&path).ok()?);
    (is_memory(&path) || is_state(&input)).then_some(input)
}
