//! The same log as other tools would have printed it.

use super::{Log, Random, Record};

/// What happens to the text of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Every line comes back as it was.
    None,
    /// Callers are lost: interleaved lines cannot be told apart.
    Callers,
    /// Rows are broken.
    Width,
    /// Characters are misread.
    Characters,
}

/// One way to print a log.
pub struct Form {
    pub name: &'static str,
    pub loss: Loss,
    pub print: fn(&Log, &mut Random) -> String,
}

/// All forms.
pub const FORMS: &[Form] = &[
    Form { name: "native", loss: Loss::None, print: |log, _| log.text.clone() },
    Form { name: "notime", loss: Loss::Callers, print: |log, _| each(log, |r| r.text.clone()) },
    Form {
        name: "syslog+ts",
        loss: Loss::Callers,
        print: |log, _| {
            each(log, |r| format!("{} host1 kernel: {}{}", syslog_date(r), stamp(r), r.text))
        },
    },
    Form {
        name: "journal",
        loss: Loss::Callers,
        print: |log, _| each(log, |r| format!("{} host1 kernel: {}", syslog_date(r), r.text)),
    },
    Form {
        name: "ISO syslog",
        loss: Loss::Callers,
        print: |log, _| {
            each(log, |r| format!("{}+00:00 host1 kernel: {}{}", iso_date(r, 6), stamp(r), r.text))
        },
    },
    Form { name: "ISO syslog among others", loss: Loss::Callers, print: among_others },
    Form {
        name: "RFC 5424",
        loss: Loss::Callers,
        print: |log, _| {
            each(log, |r| {
                format!("<4>1 {}Z host1 kernel - - - {}{}", iso_date(r, 6), stamp(r), r.text)
            })
        },
    },
    Form {
        name: "short-monotonic",
        loss: Loss::Callers,
        print: |log, _| each(log, |r| format!("{}host1 kernel: {}", stamp(&timed(r)), r.text)),
    },
    Form {
        name: "rsyslog escapes",
        loss: Loss::Callers,
        print: |log, _| {
            each(log, |r| {
                let text = r.text.replace('\t', "#011");
                format!("{} host1 kernel: {}{text}", syslog_date(r), stamp(r))
            })
        },
    },
    Form {
        name: "dmesg -T",
        loss: Loss::Callers,
        print: |log, _| each(log, |r| format!("[{}] {}", ctime(r), r.text)),
    },
    Form {
        name: "dmesg -x",
        loss: Loss::Callers,
        print: |log, _| each(log, |r| format!("kern  :warn  : {}{}", stamp(r), r.text)),
    },
    Form {
        name: "dmesg -d",
        loss: Loss::Callers,
        print: |log, _| {
            each(log, |r| {
                let us = r.time_us.unwrap_or(0);
                format!("[{:5}.{:06} <    0.000012>] {}", us / 1_000_000, us % 1_000_000, r.text)
            })
        },
    },
    Form { name: "dmesg --json", loss: Loss::None, print: dmesg_json },
    Form {
        name: "journal json",
        loss: Loss::Callers,
        print: |log, _| {
            each(log, |r| {
                serde_json::json!({
            "_TRANSPORT": "kernel", "PRIORITY": "4", "_HOSTNAME": "host1", "MESSAGE": r.text,
            "_SOURCE_MONOTONIC_TIMESTAMP": r.time_us.unwrap_or(0).to_string(),
        })
        .to_string()
            })
        },
    },
    Form {
        name: "journal export",
        loss: Loss::Callers,
        print: |log, _| {
            each(log, |r| {
                format!(
                    "__CURSOR=s=1\n_TRANSPORT=kernel\n_HOSTNAME=host1\nPRIORITY=4\nMESSAGE={}\n",
                    r.text
                )
            })
        },
    },
    Form {
        name: "level",
        loss: Loss::None,
        print: |log, _| each(log, |r| format!("<4>{}{}", full_stamp(r), r.text)),
    },
    Form { name: "kmsg", loss: Loss::None, print: |log, _| kmsg(log, "") },
    Form { name: "netconsole extended", loss: Loss::None, print: |log, _| kmsg(log, "6.9.0-rc1,") },
    Form {
        name: "netconsole fragments",
        loss: Loss::None,
        print: |log, random| fragments(log, random, false),
    },
    Form {
        name: "netconsole reordered",
        loss: Loss::None,
        print: |log, random| fragments(log, random, true),
    },
    Form {
        name: "no caller",
        loss: Loss::Callers,
        print: |log, _| each(log, |r| format!("{}{}", stamp(r), r.text)),
    },
    Form {
        name: "LAVA",
        loss: Loss::Callers,
        print: |log, _| each(log, |r| format!("{}  {}{}", iso_date(r, 6), stamp(r), r.text)),
    },
    Form {
        name: "unknown column",
        loss: Loss::Callers,
        print: |log, _| {
            each(log, |r| {
                let us = r.time_us.unwrap_or(0);
                format!(
                    "board-7/uart0 {:04}+{:03} | {}{}",
                    us / 1_000_000,
                    us % 1000,
                    stamp(r),
                    r.text
                )
            })
        },
    },
    Form {
        name: "TAP",
        loss: Loss::None,
        print: |log, _| each(log, |r| format!("# {}{}", full_stamp(r), r.text)),
    },
    Form {
        name: "Xen guest",
        loss: Loss::None,
        print: |log, _| each(log, |r| format!("(d1) {}{}", full_stamp(r), r.text)),
    },
    Form {
        name: "CRLF+ANSI",
        loss: Loss::None,
        print: |log, random| {
            each(log, |r| {
                let text = format!("{}{}", full_stamp(r), r.text);
                match random.chance(30) {
                    true => format!("\u{1b}[1m{text}\u{1b}[0m\r"),
                    false => format!("{text}\r"),
                }
            })
        },
    },
    Form {
        name: "mail",
        loss: Loss::None,
        print: |log, _| each(log, |r| format!("> {}{}", full_stamp(r), r.text)),
    },
    Form {
        name: "HTML",
        loss: Loss::None,
        print: |log, _| {
            let body = each(log, |r| {
                let text = r.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                format!("{}{text}", full_stamp(r))
            });
            format!("<pre>\n{body}</pre>\n")
        },
    },
    Form { name: "wrap80", loss: Loss::Width, print: |log, _| wrapped(&log.text, 80) },
    Form {
        name: "wrap80 syslog",
        loss: Loss::Width,
        print: |log, _| {
            let syslog =
                each(log, |r| format!("{} host1 kernel: {}{}", syslog_date(r), stamp(r), r.text));
            wrapped(&syslog, 80)
        },
    },
    Form {
        name: "wrap80 CRLF",
        loss: Loss::Width,
        print: |log, _| wrapped(&log.text, 80).replace('\n', "\r\n"),
    },
    Form { name: "wrap132", loss: Loss::Width, print: |log, _| wrapped(&log.text, 132) },
    Form {
        name: "wrap80 notime",
        loss: Loss::Width,
        print: |log, _| wrapped(&each(log, |r| r.text.clone()), 80),
    },
    Form {
        name: "OCR 1%",
        loss: Loss::Characters,
        print: |log, random| misread(&log.text, random),
    },
];

fn each(log: &Log, mut print: impl FnMut(&Record) -> String) -> String {
    log.records.iter().map(|r| print(r) + "\n").collect()
}

fn stamp(record: &Record) -> String {
    match record.time_us {
        Some(us) => format!("[{:5}.{:06}] ", us / 1_000_000, us % 1_000_000),
        None => String::new(),
    }
}

fn timed(record: &Record) -> Record {
    Record { time_us: record.time_us.or(Some(0)), ..record.clone() }
}

fn full_stamp(record: &Record) -> String {
    match (&record.caller, record.time_us) {
        (Some(caller), Some(us)) => {
            format!("[{:5}.{:06}][{caller:>6}] ", us / 1_000_000, us % 1_000_000)
        }
        _ => stamp(record),
    }
}

fn clock(record: &Record) -> (u64, u64, u64) {
    let seconds = record.time_us.unwrap_or(0) / 1_000_000;
    (15 + seconds / 3600 % 8, seconds / 60 % 60, seconds % 60)
}

fn syslog_date(record: &Record) -> String {
    let (h, m, s) = clock(record);
    format!("Nov 20 {h:02}:{m:02}:{s:02}")
}

fn iso_date(record: &Record, digits: usize) -> String {
    let (h, m, s) = clock(record);
    let us = format!("{:06}", record.time_us.unwrap_or(0) % 1_000_000);
    format!("2025-11-20T{h:02}:{m:02}:{s:02}.{}", &us[..digits])
}

fn ctime(record: &Record) -> String {
    let (h, m, s) = clock(record);
    format!("Thu Nov 20 {h:02}:{m:02}:{s:02} 2025")
}

/// A syslog in which other programs speak as well.
fn among_others(log: &Log, random: &mut Random) -> String {
    each(log, |r| {
        let mut out = String::new();
        if random.chance(20) {
            let date = iso_date(r, 3);
            out += &format!("{date}Z host1 sshd[42]: BUG: no kernel's, and Call Trace: none\n");
        }
        out + &format!("{}Z host1 kernel: {}{}", iso_date(r, 3), stamp(r), r.text)
    })
}

fn dmesg_json(log: &Log, _: &mut Random) -> String {
    let entries: Vec<String> = log
        .records
        .iter()
        .map(|r| {
            let us = r.time_us.unwrap_or(0);
            let caller = match &r.caller {
                Some(caller) => format!("         \"caller\": \"{caller}\",\n"),
                None => String::new(),
            };
            let text = serde_json::to_string(&r.text).unwrap();
            format!(
                "{{\n         \"pri\": 4,\n         \"time\": {:5}.{:06},\n{caller}         \"msg\": {text}\n      }}",
                us / 1_000_000,
                us % 1_000_000
            )
        })
        .collect();
    format!("{{\n   \"dmesg\": [\n      {}\n   ]\n}}\n", entries.join(","))
}

/// Text as /dev/kmsg escapes it.
pub fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'\\' => "\\x5c".to_owned(),
            0x20..=0x7e => char::from(b).to_string(),
            _ => format!("\\x{b:02x}"),
        })
        .collect()
}

fn header(log: &Log, index: usize, last_us: &mut u64, release: &str) -> String {
    let record = &log.records[index];
    *last_us = record.time_us.unwrap_or(*last_us).max(*last_us);
    let caller = match &record.caller {
        Some(caller) => format!(",caller={caller}"),
        None => String::new(),
    };
    format!("{release}4,{},{last_us},-{caller}", 300 + index)
}

fn kmsg(log: &Log, release: &str) -> String {
    let mut last_us = 0;
    (0..log.records.len())
        .map(|index| {
            let head = header(log, index, &mut last_us, release);
            let keys = match index % 7 {
                3 => " SUBSYSTEM=usb\n DEVICE=c189:1\n",
                _ => "",
            };
            format!("{head};{}\n{keys}", escaped(&log.records[index].text))
        })
        .collect()
}

/// Datagrams with fragments, which may overtake each other.
fn fragments(log: &Log, random: &mut Random, reorder: bool) -> String {
    let mut last_us = 0;
    let mut datagrams = Vec::new();
    for index in 0..log.records.len() {
        let head = header(log, index, &mut last_us, "6.9.0-rc1,");
        let body = escaped(&log.records[index].text);
        if body.len() < 60 {
            datagrams.push(format!("{head};{body}"));
            continue;
        }
        let bytes = body.as_bytes();
        for (number, piece) in bytes.chunks(40).enumerate() {
            let at = number * 40;
            let piece = String::from_utf8_lossy(piece);
            datagrams.push(format!("{head},ncfrag={at}/{};{piece}", bytes.len()));
        }
    }
    if reorder {
        for index in (1..datagrams.len()).rev() {
            let other = index.saturating_sub(random.below(12));
            datagrams.swap(index, other);
        }
    }
    datagrams.iter().map(|d| d.clone() + "\n").collect()
}

/// Rows of at most `width` characters.
pub fn wrapped(text: &str, width: usize) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let letters: Vec<char> = line.chars().collect();
        if letters.is_empty() {
            out.push('\n');
        }
        for piece in letters.chunks(width) {
            out.extend(piece);
            out.push('\n');
        }
    }
    out
}

/// One in a hundred characters confused, as far as it is one that can be.
pub fn misread(text: &str, random: &mut Random) -> String {
    const PAIRS: [(char, char); 6] =
        [('0', 'O'), ('1', 'l'), ('8', 'B'), ('5', 'S'), ('f', 't'), (':', ';')];
    text.chars()
        .map(|c| {
            let other = PAIRS.iter().find_map(|(a, b)| match c {
                c if c == *a => Some(*b),
                c if c == *b => Some(*a),
                _ => None,
            });
            other.filter(|_| random.below(100) == 0).unwrap_or(c)
        })
        .collect()
}
