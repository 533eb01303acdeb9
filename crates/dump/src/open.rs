//! From files to a dump: told apart by content.

use std::{
    fs::File,
    io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use crate::{
    OpenError, OpenOptions, containers, formats,
    image::Image,
    meta::{Input, Opened},
    raw,
    reader::{Answer, Reader},
    unpack::{self, Archive, Member},
};

/// Why a file cannot be opened as a dump by itself; `None` if it might be one.
pub fn why_no_dump(path: &Path) -> Option<OpenError> {
    if is_dump(path) {
        return None;
    }
    let image = match Image::open(path) {
        Ok(image) => image,
        Err(error) => return Some(failed(path, error)),
    };
    let input = Input::plain(path.into(), image);
    let Some(reader) = formats::recognise(&input) else { return Some(not_a_dump(&input)) };
    Some(match reader.answer {
        Answer::Open(_) | Answer::Apart => return None,
        Answer::Refuse(advice) => refused(&input, reader, advice),
        Answer::Explain(_, explain) => refused(&input, reader, &explain(&input)),
    })
}

/// Whether the file looks like a dump, or a packed file that may hold one; a kernel with debug
/// information is none. What cannot be read is no dump.
pub fn is_dump(path: &Path) -> bool {
    if raw::split_address(path).is_some() {
        return true;
    }
    if is_stream(path) {
        return true;
    }
    let Ok(image) = Image::open(path) else { return false };
    if unpack::packing(&image).is_some() {
        return true;
    }
    if let Some(archive) = Archive::open(&image) {
        return archive.members.iter().any(|member| may_be_dump(member, &image));
    }
    formats::recognise(&see_through(Input::plain(path.into(), image))).is_some_and(is_opened)
}

fn is_opened(reader: &Reader) -> bool {
    matches!(reader.answer, Answer::Open(_) | Answer::Apart)
}

pub(crate) fn open(files: &[PathBuf], options: &OpenOptions) -> Result<Opened, OpenError> {
    check_once(files)?;
    let images: Vec<_> = files.iter().filter_map(|path| raw::split_address(path)).collect();
    if images.len() == files.len() && !files.is_empty() {
        let inputs = images.into_iter().map(|(path, address)| {
            let input = load(&path, options)?;
            match formats::recognise(&input) {
                // A dump's own headers are no memory.
                Some(reader) if is_opened(reader) => {
                    let what =
                        format!("this is a dump ({}): name it without an address", reader.name);
                    Err(OpenError::unsupported(&path, "raw memory image", what))
                }
                _ => Ok((input, address)),
            }
        });
        let inputs: Vec<_> = inputs.collect::<Result<_, OpenError>>()?;
        let files: Vec<Input> = inputs.iter().map(|(input, _)| input.clone()).collect();
        return raw::open(inputs).map(|opened| with_cuts(opened, &files));
    }
    let inputs: Result<Vec<Input>, OpenError> =
        files.iter().map(|path| load(path, options)).collect();
    open_inputs(inputs?, options)
}

/// Opens files that are in memory; they may not be packed.
pub(crate) fn open_bytes(
    files: Vec<(PathBuf, Vec<u8>)>,
    options: &OpenOptions,
) -> Result<Opened, OpenError> {
    let inputs: Result<Vec<Input>, OpenError> = files
        .into_iter()
        .map(|(path, bytes)| match Image::from_bytes(bytes) {
            Ok(image) => Ok(see_through(Input::plain(path, image))),
            Err(error) => Err(failed(&path, error)),
        })
        .collect();
    open_inputs(inputs?, options)
}

/// The same file twice (also by another name) is a slip of the hand, not a set.
fn check_once(files: &[PathBuf]) -> Result<(), OpenError> {
    let mut seen = std::collections::HashSet::new();
    for path in files {
        if let Ok(real) = path.canonicalize()
            && !seen.insert(real)
        {
            return Err(OpenError::Twice { path: path.clone() });
        }
    }
    Ok(())
}

fn open_inputs(inputs: Vec<Input>, options: &OpenOptions) -> Result<Opened, OpenError> {
    let mut readers: Vec<&'static Reader> = Vec::new();
    for input in &inputs {
        readers.push(formats::recognise(input).ok_or_else(|| not_a_dump(input))?);
    }
    let [reader, others @ ..] = &readers[..] else { return Err(OpenError::NoFile) };
    for (reader, input) in readers.iter().zip(&inputs) {
        match reader.answer {
            Answer::Open(_) => {}
            Answer::Apart => {
                let advice = "it is opened alone, or with its unix.N";
                return Err(refused(input, reader, advice));
            }
            Answer::Refuse(advice) => return Err(refused(input, reader, advice)),
            Answer::Explain(_, explain) => return Err(refused(input, reader, &explain(input))),
        }
    }
    if let Some(other) = others.iter().position(|other| !formats::is_same(other, reader)) {
        return Err(OpenError::not_one_dump(
            &inputs[0].path,
            &inputs[other + 1].path,
            "they are dumps of different formats",
        ));
    }
    let Answer::Open(open) = reader.answer else { return Err(OpenError::NoFile) };
    let files = inputs.clone();
    open(inputs, options).map(|opened| with_cuts(opened, &files))
}

/// Says which packed files could only be unpacked in part.
fn with_cuts(mut opened: Opened, inputs: &[Input]) -> Opened {
    let cuts = inputs.iter().filter_map(|input| Some((input.path.clone(), input.cut.clone()?)));
    opened.meta.completeness.packed_cut.extend(cuts);
    opened
}

fn refused(input: &Input, reader: &Reader, advice: &str) -> OpenError {
    let kind = input.packings.iter().copied().chain([reader.name]).collect::<Vec<_>>().join(" of ");
    OpenError::Refused { path: input.path.clone(), kind, advice: advice.into() }
}

fn not_a_dump(input: &Input) -> OpenError {
    if input.packings.is_empty() {
        return OpenError::NotADump { path: input.path.clone() };
    }
    let kind = format!("{} of something else", input.packings.join(" of "));
    let advice = "what is packed in it is no kernel dump in a known format".into();
    OpenError::Refused { path: input.path.clone(), kind, advice }
}

fn failed(path: &Path, error: io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::InvalidData => OpenError::corrupt(path, error.to_string()),
        _ => OpenError::io(path, error),
    }
}

/// Packings and archives inside each other that are followed.
const DEPTH: usize = 4;

/// Maps a file, unpacked before if need be.
pub(crate) fn load(path: &Path, options: &OpenOptions) -> Result<Input, OpenError> {
    // Standard input may be a file after all.
    let stdin = Path::new("/dev/stdin");
    let mut input = if path == Path::new("-") && stdin.is_file() {
        let image = Image::open(stdin).map_err(|error| failed(path, error))?;
        Input::plain(path.into(), image)
    } else if is_stream(path) {
        spooled(path, options).map_err(|error| failed(path, error))?
    } else {
        let image = Image::open(path).map_err(|error| failed(path, error))?;
        Input::plain(path.into(), image)
    };
    for _ in 0..DEPTH {
        input = if let Some(packing) = unpack::packing(&input.image) {
            unpacked(input, path, packing.name, |counted| packing.reader(counted), options)?
        } else if let Some(archive) = Archive::open(&input.image) {
            member(input, path, &archive, options)?
        } else if let Some((name, image)) = containers::inside(&input.image) {
            let mut packings = input.packings;
            packings.push(name);
            Input { image, packings, ..input }
        } else {
            return Ok(input);
        };
    }
    let what = "packed in itself more often than anybody packs a dump: unpack it by hand";
    Err(OpenError::unsupported(path, "packed file", what))
}

/// Whether bytes come from there only once, one after the other: `-`, /dev/stdin, a pipe.
fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
        || path.metadata().is_ok_and(|meta| {
            let kind = meta.file_type();
            kind.is_fifo() || kind.is_char_device() || kind.is_socket()
        })
}

fn spooled(path: &Path, options: &OpenOptions) -> io::Result<Input> {
    let (file, cut) = if path == Path::new("-") {
        unpack::spool(io::stdin().lock(), options)?
    } else {
        unpack::spool(File::open(path)?, options)?
    };
    Ok(Input { cut, ..Input::plain(path.into(), Image::of_file(file)?) })
}

/// What a container that packs nothing has inside.
fn see_through(input: Input) -> Input {
    match containers::inside(&input.image) {
        Some((name, image)) => Input { image, packings: vec![name], ..input },
        None => input,
    }
}

/// The input, unpacked. `file` is the file on the disk.
fn unpacked(
    input: Input,
    file: &Path,
    name: &'static str,
    open: impl for<'a> FnOnce(Box<dyn io::Read + 'a>) -> io::Result<Box<dyn io::Read + 'a>>,
    options: &OpenOptions,
) -> Result<Input, OpenError> {
    let fail = |error| failed(&input.path, error);
    // What was unpacked before, and which member it is.
    let key = format!("{:?} {name}", (&input.packings, &input.path));
    let mut packings = input.packings.clone();
    packings.push(name);
    if let Some((image, copy)) =
        unpack::by_parts(file, &key, &input.image, options).map_err(fail)?
    {
        return Ok(Input { image, unpacked: Some(copy), packings, ..input });
    }
    let copy = unpack::unpack(file, &key, &input.image, open, options).map_err(fail)?;
    let image = Image::open(&copy.path).map_err(fail)?;
    let cut = copy.cut.or(input.cut);
    Ok(Input { image, unpacked: Some(copy.path), cut, packings, path: input.path })
}

/// The one dump of an archive.
fn member(
    input: Input,
    file: &Path,
    archive: &Archive,
    options: &OpenOptions,
) -> Result<Input, OpenError> {
    let dumps: Vec<&Member> =
        archive.members.iter().filter(|member| may_be_dump(member, &input.image)).collect();
    let [dump] = dumps[..] else {
        let advice = if dumps.is_empty() {
            let names: Vec<&str> =
                archive.members.iter().take(5).map(|member| member.name.as_str()).collect();
            let more = if archive.members.len() > 5 { ", …" } else { "" };
            format!(
                "no dump is inside (it holds {} files: {}{more})",
                archive.members.len(),
                names.join(", ")
            )
        } else {
            let names: Vec<&str> = dumps.iter().map(|member| member.name.as_str()).collect();
            format!(
                "{} dumps are inside: unpack it and name one of {}",
                names.len(),
                names.join(", ")
            )
        };
        let kind =
            input.packings.iter().copied().chain([archive.name]).collect::<Vec<_>>().join(" of ");
        return Err(OpenError::Refused { path: input.path, kind, advice });
    };
    let path: PathBuf = format!("{}:{}", input.path.display(), dump.name).into();
    let fail = |error| failed(&path, error);
    if let Some(image) = dump.in_place(&input.image).map_err(fail)? {
        let mut packings = input.packings;
        packings.push(archive.name);
        return Ok(Input { path, image, packings, unpacked: input.unpacked, cut: input.cut });
    }
    let image = dump.packed(&input.image).map_err(fail)?;
    let packed = Input { path: path.clone(), image, ..input };
    unpacked(packed, file, archive.name, |counted| dump.reader(counted), options)
}

/// Whether a member of an archive is a dump, going by its beginning: also a packed one.
fn may_be_dump(member: &Member, archive: &Image) -> bool {
    let Ok(image) = member.head(archive) else { return false };
    let is_text_name = [".txt", ".log", ".journal"]
        .iter()
        .any(|ending| member.name.split('/').next_back().is_some_and(|name| name.contains(ending)));
    if unpack::packing(&image).is_some() {
        return !is_text_name;
    }
    let input = Input::plain(member.name.clone().into(), image);
    formats::recognise(&input).is_some_and(is_opened)
}

/// The beginning of a file, of what is packed in it, or of the one dump of an archive: enough to see
/// what it is.
pub(crate) fn beginning(path: &Path) -> Option<Image> {
    let mut image = Image::open(path).ok()?;
    for _ in 0..DEPTH {
        image = if let Some(packing) = unpack::packing(&image) {
            unpack::head(&image, packing).ok()?
        } else if let Some(archive) = Archive::open(&image) {
            let mut dumps = archive.members.iter().filter(|m| may_be_dump(m, &image));
            let dump = dumps.next().filter(|_| dumps.next().is_none())?;
            dump.head(&image).ok()?
        } else {
            return Some(image);
        };
    }
    None
}
