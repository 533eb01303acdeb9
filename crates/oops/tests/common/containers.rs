//! The same log as a machine would have kept it over a reset.

use std::io::Write;

use super::forms::escaped;
use super::{Log, Random, Record};

/// Files of one capture: names and contents.
pub type Files = Vec<(String, Vec<u8>)>;

/// One way to keep a log.
pub struct Container {
    pub name: &'static str,
    pub pack: fn(&Log, &mut Random) -> Files,
}

/// All containers.
pub const CONTAINERS: &[Container] = &[
    Container {
        name: "EFI parts, newest first",
        pack: |log, _| {
            let mut files = Vec::new();
            let parts = parts(log, 1000);
            for (index, part) in parts.iter().rev().enumerate() {
                let number = index as u64 + 1;
                let id = (1_557_413_376 * 100 + number) * 1000 + 1;
                files.push((format!("dmesg-efi-{id}"), headed(part, number).into_bytes()));
            }
            files
        },
    },
    Container {
        name: "EFI parts in one file",
        pack: |log, _| {
            let parts = parts(log, 1000);
            let text: String =
                parts.iter().rev().enumerate().map(|(i, p)| headed(p, i as u64 + 1)).collect();
            vec![("pstore.txt".into(), text.into_bytes())]
        },
    },
    Container {
        name: "systemd's dmesg.txt",
        pack: |log, _| {
            let parts = parts(log, 1000);
            let text: String = parts
                .iter()
                .rev()
                .enumerate()
                .map(|(i, p)| {
                    format!("dmesg-efi-1557413376{:02}001:\n{}\n", i + 1, headed(p, i as u64 + 1))
                })
                .collect();
            vec![("dmesg.txt".into(), text.into_bytes())]
        },
    },
    Container { name: ".enc.z, raw deflate", pack: |log, _| encoded(log, deflate) },
    Container { name: ".enc.z, zlib", pack: |log, _| encoded(log, zlib) },
    Container {
        name: "efivarfs",
        pack: |log, _| {
            let parts = parts(log, 3000);
            parts
                .iter()
                .rev()
                .enumerate()
                .map(|(index, part)| {
                    let number = index as u64 + 1;
                    let guid = "cfc8fc79-be2e-4ddc-97f0-9f98bfe298a0";
                    let name = format!("dump-type0-{number}-1-1557413376-C-{guid}");
                    let mut bytes = vec![7, 0, 0, 0];
                    bytes.extend(deflate(headed(part, number).as_bytes()));
                    (name, bytes)
                })
                .collect()
        },
    },
    Container {
        name: "dmesg-ramoops",
        pack: |log, _| {
            let text = headed(&leveled(&log.records), 1) + "\nNo errors detected\n";
            vec![("dmesg-ramoops-0".into(), text.into_bytes())]
        },
    },
    Container {
        name: "console-ramoops",
        pack: |log, _| {
            let text: String = log.records.iter().map(|r| stamped(r) + "\n").collect();
            vec![("console-ramoops-0".into(), text.into_bytes())]
        },
    },
    Container {
        name: "ramoops image, packed dump",
        pack: |log, random| {
            let text = headed(&leveled(&log.records), 1);
            let mut dump = b"====1557413376.123456-C\n".to_vec();
            dump.extend(deflate(text.as_bytes()));
            image(&dump, dump.len() as u32, random)
        },
    },
    Container {
        name: "ramoops image, console ring",
        pack: |log, random| {
            let mut ring: Vec<u8> =
                log.records.iter().flat_map(|r| (stamped(r) + "\n").into_bytes()).collect();
            let start = random.below(ring.len());
            ring.rotate_right(start);
            image(&ring, start as u32, random)
        },
    },
    Container {
        name: "gzip",
        pack: |log, _| {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(log.text.as_bytes()).unwrap();
            vec![("console.log.gz".into(), encoder.finish().unwrap())]
        },
    },
    Container {
        name: "kmsg with keys and escapes",
        pack: |log, _| {
            let mut last_us = 0;
            let text: String = log
                .records
                .iter()
                .enumerate()
                .map(|(index, r)| {
                    last_us = r.time_us.unwrap_or(last_us).max(last_us);
                    let caller =
                        r.caller.as_ref().map_or(String::new(), |c| format!(",caller={c}"));
                    let text = escaped(&r.text).replace('<', "\\x3c");
                    format!(
                        "4,{index},{last_us},-{caller};{text}\n SUBSYSTEM=pci\n DEVICE=+pci:0000\n"
                    )
                })
                .collect();
            vec![("kmsg".into(), text.into_bytes())]
        },
    },
    Container { name: "QR code, z", pack: |log, _| qr(log, "z", seventeen) },
    Container { name: "QR code, zl", pack: |log, _| qr(log, "zl", thirteen) },
];

fn stamped(record: &Record) -> String {
    match record.time_us {
        Some(us) => {
            let caller = record.caller.as_ref().map_or(String::new(), |c| format!("[{c:>6}]"));
            format!("[{:5}.{:06}]{caller} {}", us / 1_000_000, us % 1_000_000, record.text)
        }
        None => record.text.clone(),
    }
}

fn leveled(records: &[Record]) -> String {
    records.iter().map(|r| format!("<4>{}\n", stamped(r))).collect()
}

fn headed(text: &str, part: u64) -> String {
    format!("Panic#1 Part{part}\n{text}")
}

/// Pieces of whole lines, the oldest first.
fn parts(log: &Log, size: usize) -> Vec<String> {
    let mut parts = vec![String::new()];
    for record in &log.records {
        let line = leveled(std::slice::from_ref(record));
        match parts.last_mut() {
            Some(part) if part.len() + line.len() <= size || part.is_empty() => {
                part.push_str(&line)
            }
            _ => parts.push(line),
        }
    }
    parts
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn encoded(log: &Log, pack: fn(&[u8]) -> Vec<u8>) -> Files {
    let parts = parts(log, 4000);
    parts
        .iter()
        .rev()
        .enumerate()
        .map(|(index, part)| {
            let number = index as u64 + 1;
            let id = (1_557_413_376 * 100 + number) * 1000 + 1;
            let mut bytes = pack(headed(part, number).as_bytes());
            bytes.resize(bytes.len() + index % 3 * 16, 0);
            (format!("dmesg-efi-{id}.enc.z"), bytes)
        })
        .collect()
}

/// Three empty dump zones, then one with `data`, then an empty one.
fn image(data: &[u8], start: u32, random: &mut Random) -> Files {
    let mut image = Vec::new();
    let mut zone = |start: u32, data: &[u8]| {
        image.extend(b"DBGC");
        image.extend(start.to_le_bytes());
        image.extend((data.len() as u32).to_le_bytes());
        image.extend(data);
        image.resize(image.len().next_multiple_of(0x4000), 0);
    };
    for _ in 0..random.below(3) {
        zone(0, b"");
    }
    zone(start, data);
    zone(0, b"");
    vec![("ramoops.bin".into(), image)]
}

/// The newest bytes of a log, as many as a code can hold.
fn qr(log: &Log, name: &str, digits: fn(&[u8]) -> String) -> Files {
    let text: String = log.records.iter().map(|r| stamped(r) + "\n").collect();
    let url = format!(
        "https://kdj0c.github.io/panic_report/?a=x86_64&v=6.15.0&{name}={}",
        digits(&zlib(text.as_bytes()))
    );
    vec![("qr.txt".into(), url.into_bytes())]
}

fn seventeen(bytes: &[u8]) -> String {
    const DIGITS: [usize; 8] = [0, 3, 5, 8, 10, 13, 15, 17];
    bytes
        .chunks(7)
        .map(|group| {
            let value = group.iter().rev().fold(0u64, |sum, b| sum << 8 | u64::from(*b));
            format!("{value:0width$}", width = DIGITS[group.len()])
        })
        .collect()
}

fn thirteen(bytes: &[u8]) -> String {
    let bits: Vec<u32> =
        bytes.iter().flat_map(|b| (0..8).rev().map(move |n| u32::from(b >> n & 1))).collect();
    bits.chunks(13)
        .map(|group| {
            let value = group.iter().fold(0, |sum, bit| sum << 1 | bit);
            let width = if group.len() == 1 { 1 } else { (group.len() + 1) / 3 };
            format!("{value:0width$}")
        })
        .collect()
}
