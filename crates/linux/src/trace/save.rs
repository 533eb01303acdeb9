//! A trace as a file for trace-cmd and KernelShark (trace.dat(5), version 6).
//!
//! The pages of the rings are written as they are, whole; what had been read before is among them,
//! with the length that the kernel forgot put back.

use std::{
    collections::BTreeMap,
    io::{self, Seek, SeekFrom, Write},
};

use crate::{Kernel, error::Result};

use super::{Comms, Formats, Instance, Page, event::page_data, record::Records};

/// What was written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// Pages of rings.
    pub pages: u64,
    /// Pages that could not be read.
    pub missing: u64,
}

/// TRACECMD_OPTION_BUFFER: the rings of another instance.
const OPTION_BUFFER: u16 = 3;

/// Writes an integer of the file's byte order.
macro_rules! put {
    ($out:expr, $value:expr) => {
        $out.write_all(&$value.to_le_bytes())?
    };
}

/// Writes a count or a length for which the file has 32 bits.
fn put_length<W: Write>(out: &mut W, length: usize) -> io::Result<()> {
    let length = u32::try_from(length)
        .map_err(|_| io::Error::other(format!("{length} is more than a trace.dat can hold")))?;
    out.write_all(&length.to_le_bytes())
}

/// Writes instances into a file; the first is what readers show without being asked for another.
///
/// # Errors
/// The file cannot be written.
pub fn save<W: Write + Seek>(
    out: &mut W,
    instances: &[&Instance<'_>],
    formats: &Formats<'_>,
) -> io::Result<Saved> {
    let kernel = formats.kernel();
    let page_size = instances
        .iter()
        .flat_map(|instance| &instance.rings)
        .map(|ring| ring.page_bytes)
        .max()
        .unwrap_or(kernel.target().page_size());
    let header = kernel.shapes().buffer_data_page.data.offset().unwrap_or(16);
    out.write_all(b"\x17\x08\x44tracing6\0")?;
    // Little-endian, with words of so many bytes.
    out.write_all(&[0, kernel.target().pointer_size() as u8])?;
    put_length(out, page_size as usize)?;
    let text = format!(
        "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\
         \tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n\
         \tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n\
         \tfield: char data;\toffset:{header};\tsize:{};\tsigned:1;\n",
        page_size.saturating_sub(header)
    );
    section(out, b"header_page\0", &text)?;
    let text = "# compressed entry header\n\ttype_len    :    5 bits\n\ttime_delta  :   27 bits\n\
                \tarray       :   32 bits\n\n\tpadding     : type == 29\n\ttime_extend : type == 30\n\
                \ttime_stamp : type == 31\n\tdata max type_len  == 28\n";
    section(out, b"header_event\0", text)?;
    kinds(out, formats)?;
    // Addresses to names, and the texts of trace_printk, in the forms of /proc/kallsyms and
    // printk_formats. Only functions are looked up.
    let mut names = String::new();
    for image in kernel.target().images() {
        let module = match image.name.as_str() {
            necropsy_machine::target::VMLINUX => String::new(),
            name => format!("\t[{name}]"),
        };
        for symbol in image.symbols.iter().filter(|symbol| image.is_text(symbol.address)) {
            names.push_str(&format!("{:016x} t {}{module}\n", symbol.address, symbol.name));
        }
    }
    put_length(out, names.len())?;
    out.write_all(names.as_bytes())?;
    put!(out, 0u32);
    let comms: String =
        Comms::of(kernel).all().into_iter().map(|(pid, name)| format!("{pid} {name}\n")).collect();
    put!(out, comms.len() as u64);
    out.write_all(comms.as_bytes())?;
    let cpus = kernel.possible_cpus().last().map_or(1, |cpu| cpu + 1);
    put!(out, cpus);
    out.write_all(b"options  \0")?;
    // Where each instance's rings will be is written when that is known.
    let mut places = Vec::new();
    for instance in instances.iter().skip(1) {
        let name = instance.name.as_deref().unwrap_or("");
        put!(out, OPTION_BUFFER);
        put_length(out, 8 + name.len() + 1)?;
        places.push(out.stream_position()?);
        put!(out, 0u64);
        out.write_all(name.as_bytes())?;
        out.write_all(&[0])?;
    }
    put!(out, 0u16);
    let mut saved = Saved::default();
    for (index, instance) in instances.iter().enumerate() {
        if let Some(place) = index.checked_sub(1).and_then(|index| places.get(index)) {
            let here = out.stream_position()?;
            out.seek(SeekFrom::Start(*place))?;
            put!(out, here);
            out.seek(SeekFrom::Start(here))?;
        }
        rings(out, instance, cpus, page_size, header, &mut saved)?;
    }
    Ok(saved)
}

fn section<W: Write>(out: &mut W, name: &[u8], text: &str) -> io::Result<()> {
    out.write_all(name)?;
    put!(out, text.len() as u64);
    out.write_all(text.as_bytes())
}

/// The kinds of events: those of tracers, then the others by group.
fn kinds<W: Write>(out: &mut W, formats: &Formats<'_>) -> io::Result<()> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for format in formats.ids().into_iter().filter_map(|id| formats.of_id(id).ok()) {
        groups.entry(format.system.clone()).or_default().push(format.to_text());
    }
    let own = groups.remove("ftrace").unwrap_or_default();
    put_length(out, own.len())?;
    for text in own {
        put!(out, text.len() as u64);
        out.write_all(text.as_bytes())?;
    }
    put_length(out, groups.len())?;
    for (group, texts) in groups {
        out.write_all(group.as_bytes())?;
        out.write_all(&[0])?;
        put_length(out, texts.len())?;
        for text in texts {
            put!(out, text.len() as u64);
            out.write_all(text.as_bytes())?;
        }
    }
    Ok(())
}

/// `flyrecord`: for each CPU where its pages are and how many bytes, then the pages.
fn rings<W: Write + Seek>(
    out: &mut W,
    instance: &Instance<'_>,
    cpus: u32,
    page_size: u64,
    header: u64,
    saved: &mut Saved,
) -> io::Result<()> {
    out.write_all(b"flyrecord\0")?;
    let table = out.stream_position()?;
    for _ in 0..cpus {
        put!(out, 0u64);
        put!(out, 0u64);
    }
    let mut places = vec![(0u64, 0u64); cpus as usize];
    for ring in &instance.rings {
        let start = out.stream_position()?.next_multiple_of(page_size);
        out.seek(SeekFrom::Start(start))?;
        let mut bytes = 0;
        for page in &ring.pages {
            match page_bytes(instance.kernel, page, ring.page_bytes, page_size, header) {
                Ok(Some(page)) => {
                    out.write_all(&page)?;
                    bytes += page_size;
                    saved.pages += 1;
                }
                Ok(None) => {}
                Err(_) => saved.missing += 1,
            }
        }
        if let Some(place) = places.get_mut(ring.cpu as usize) {
            *place = (start, bytes);
        }
    }
    let end = out.stream_position()?;
    out.seek(SeekFrom::Start(table))?;
    for (start, bytes) in places {
        put!(out, start);
        put!(out, bytes);
    }
    out.seek(SeekFrom::Start(end))?;
    Ok(())
}

/// A page as it is written: time, length, data. `None`: there is no event in it.
fn page_bytes(
    kernel: &Kernel,
    page: &Page,
    ring_page: u64,
    page_size: u64,
    header: u64,
) -> Result<Option<Vec<u8>>> {
    let mut data = page_data(kernel, page, ring_page)?;
    if page.length.is_none() {
        let mut records = Records::new(&data, page.time);
        while records.next().is_some() {}
        let end = records.position();
        data.truncate(end);
    }
    if data.is_empty() {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(page_size as usize);
    bytes.extend(page.time.to_le_bytes());
    bytes.extend((data.len() as u64).to_le_bytes());
    bytes.resize(header as usize, 0);
    bytes.extend(data);
    bytes.resize(page_size as usize, 0);
    Ok(Some(bytes))
}
