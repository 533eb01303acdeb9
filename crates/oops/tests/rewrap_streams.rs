//! Captures that come in chunks, mix hosts, or are no log at all.

mod common;

use common::Random;
use common::forms::FORMS;
use necropsy_oops::channel::{Feed, lines, unwrap};
use necropsy_oops::{Line, LineKind, Options, reports};

fn texts<'a>(lines: impl IntoIterator<Item = Line<'a>>) -> Vec<(usize, u64, String)> {
    lines.into_iter().map(|line| (line.number, line.offset, line.text.into_owned())).collect()
}

fn fed(capture: &[u8], random: &mut Random) -> Vec<Line<'static>> {
    let mut feed = Feed::default();
    let mut out = Vec::new();
    let mut rest = capture;
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at((1 + random.below(9000)).min(rest.len()));
        feed.push(chunk, &mut out);
        rest = tail;
    }
    feed.finish(&mut out);
    out
}

#[test]
fn chunks_make_no_difference() {
    for (index, log) in common::examples().iter().enumerate() {
        for form in FORMS {
            let random = &mut Random::new(index as u64 + 7);
            let capture = (form.print)(log, random);
            if capture.len() > 250_000 {
                continue;
            }
            assert_eq!(
                texts(fed(capture.as_bytes(), random)),
                texts(lines(capture.as_bytes())),
                "{} as {}",
                log.name,
                form.name
            );
        }
    }
}

/// Two machines that crash at the same time, in one file.
#[test]
fn two_hosts_are_told_apart() {
    let oops = |host: &str, function: &str| -> Vec<String> {
        [
            "BUG: kernel NULL pointer dereference, address: 0000000000000008".to_owned(),
            "#PF: supervisor read access in kernel mode".to_owned(),
            "#PF: error_code(0x0000) - not-present page".to_owned(),
            "Oops: 0000 [#1] PREEMPT SMP".to_owned(),
            "CPU: 0 PID: 7 Comm: x Not tainted 6.1.0 #1".to_owned(),
            format!("RIP: 0010:{function}+0x38/0x440"),
            "Code: 48 89 f3 <48> 8b 47 08 c3".to_owned(),
            "Call Trace:".to_owned(),
            " <TASK>".to_owned(),
            format!(" {function}_caller+0x77/0xa80"),
            " vfs_write+0xc4/0x170".to_owned(),
            " ksys_write+0x97/0xe0".to_owned(),
            " do_syscall_64+0x37/0x1b0".to_owned(),
            " </TASK>".to_owned(),
        ]
        .iter()
        .enumerate()
        .map(|(n, text)| format!("Nov 20 15:00:00 {host} kernel: [    9.{n:06}] {text}\n"))
        .collect()
    };
    let (one, two) = (oops("web1", "alpha_run"), oops("db2", "beta_run"));
    let mixed: String = one.iter().zip(&two).flat_map(|(a, b)| [a.as_str(), b.as_str()]).collect();
    let titles: Vec<String> =
        reports(mixed.as_bytes(), &Options::default()).into_iter().map(|r| r.title).collect();
    for function in ["alpha_run", "beta_run"] {
        assert!(titles.iter().any(|t| t.contains(function)), "{function}: {titles:?}");
    }
}

#[test]
fn a_wall_of_one_line() {
    let wall = vec![b'A'; 8 << 20];
    let longest = lines(&wall).map(|line| line.text.len()).max();
    assert!(longest.is_some_and(|n| n <= 1 << 16));
    let mut feed = Feed::default();
    let mut out = Vec::new();
    for chunk in wall.chunks(1 << 20) {
        feed.push(chunk, &mut out);
        assert!(out.iter().all(|line| line.text.len() <= 1 << 16));
        out.clear();
    }
    feed.finish(&mut out);
}

/// Captures with bytes changed, cut, doubled and thrown in: none may panic.
#[test]
fn damaged_captures_are_read() {
    let base = b"[    1.000000][   T7] BUG: x\nNov 20 15:00:00 h kernel: [    1.2] y\n4,1,5,-,ncfrag=0/9;a\n\
        {\"MESSAGE\":\"x\"}\n__CURSOR=1\nMESSAGE=x\n\n<4>1 - - kernel - - [a b=\"c\"] z\n\x1b[1mq\x1b[0m\n> > quoted\n\
        Panic#1 Part1\n<4>[ 1.0] p\nDBGC\x01\0\0\0\x05\0\0\0hello ====1.2-C\n&lt;x&gt; ** replaying previous printk message **\n\
        https://a/?a=x&z=38594564273838182&zl=1234\n** 3 printk messages dropped ** [    2.000000] w\n(d1) [0:a:1] \n\
        Entering kdb (current=0, pid 1)\n[0]kdb> bt\nDumping ftrace buffer:\n-----------------------\n";
    let mut random = Random::new(42);
    for _ in 0..3000 {
        let mut capture = base.to_vec();
        for _ in 0..random.below(12) {
            let at = random.below(capture.len());
            match random.below(4) {
                0 => capture[at] = random.next() as u8,
                1 => capture.truncate(at.max(1)),
                2 => {
                    let piece = capture[at..(at + random.below(40)).min(capture.len())].to_vec();
                    let to = random.below(capture.len());
                    capture.splice(to..to, piece);
                }
                _ => capture
                    .insert(at, [0, 0xc3, 0xff, b'\n', b'[', b';', b'<', 0x1b][random.below(8)]),
            }
        }
        for stream in
            unwrap(&[(Some("dmesg-efi-155741337601001.enc.z"), &capture), (None, &capture)])
        {
            let counted = lines(&stream.text).filter(|line| line.kind != LineKind::Mark).count();
            assert!(counted <= 4 * capture.len() + 4);
        }
    }
}
