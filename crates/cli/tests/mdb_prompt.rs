//! The mdb prompt on a terminal: completion, history, typos, pipes to the shell, Ctrl-C.

use std::{
    fs::File,
    io::{BufWriter, Read, Write},
    path::Path,
    process::{Child, Command},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use necropsy_synth::illumos::{Kernel, Options, Packing};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// A machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);
const CTRL_C: &str = "\x03";
const UP: &str = "\x1b[A";
const TAB: &str = "\t";
const ENTER: &str = "\r";

/// The program at a terminal of its own.
struct Terminal {
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// What was shown and not yet looked at, without the codes that place it.
    shown: String,
    child: Child,
}

impl Terminal {
    /// `None` where a program cannot be given a terminal of its own.
    fn open(folder: &Path, arguments: &[&str]) -> Option<Terminal> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).ok()?;
        grantpt(&master).ok()?;
        unlockpt(&master).ok()?;
        let size = Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).ok()?;
        let name = ptsname(&master, Vec::new()).ok()?.into_string().ok()?;
        let end = File::options().read(true).write(true).open(name).ok()?;
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_necropsy")])
            .args(arguments)
            .current_dir(folder)
            .env("HOME", folder)
            .env("XDG_CACHE_HOME", folder)
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm")
            .stdin(end.try_clone().ok()?)
            .stdout(end.try_clone().ok()?)
            .stderr(end)
            .spawn()
            .ok()?;
        let keyboard = File::from(master);
        let (mut reader, mut answers) = (keyboard.try_clone().ok()?, keyboard.try_clone().ok()?);
        let (sender, screen) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n) = reader.read(&mut bytes) {
                // The editor asks where the cursor is, as any terminal can tell.
                if bytes[..n].windows(4).any(|part| part == b"\x1b[6n") {
                    let _ = answers.write_all(b"\x1b[1;1R");
                }
                if n == 0 || sender.send(bytes[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Some(Terminal { keyboard, screen, shown: String::new(), child })
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// What is shown up to and with `wanted`; `None` if it does not come in time.
    fn within(&mut self, time: Duration, wanted: &str) -> Option<String> {
        let begun = Instant::now();
        loop {
            if let Some(at) = self.shown.find(wanted) {
                return Some(self.shown.drain(..at + wanted.len()).collect());
            }
            let left = time.saturating_sub(begun.elapsed());
            self.shown.push_str(&plain(&self.screen.recv_timeout(left).ok()?));
        }
    }

    fn until(&mut self, wanted: &str) -> String {
        let found = self.within(PATIENCE, wanted);
        found.unwrap_or_else(|| panic!("{wanted:?} was not shown, but {:?}", self.shown))
    }

    /// A line that is typed, and what it shows up to `wanted`.
    fn line(&mut self, line: &str, wanted: &str) -> String {
        self.press(line);
        self.until(line);
        self.press(ENTER);
        self.until(wanted)
    }
}

/// Text without the codes that place and colour it.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\x1b' => {
                if letters.next() == Some('[') {
                    letters.find(|letter| letter.is_ascii_alphabetic());
                }
            }
            '\r' => {}
            other => out.push(other),
        }
    }
    out
}

#[test]
fn the_first_ten_minutes_at_the_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let made = Kernel::new(Options::default());
    let mut file = BufWriter::new(File::create(folder.path().join("vmdump.4")).unwrap());
    made.dump.vmdump(Packing::Lzjb, &mut file).unwrap();
    drop(file);
    let Some(mut terminal) = Terminal::open(folder.path(), &["vmdump.4"]) else {
        println!("SKIPPED: there is no setsid (util-linux), or no terminal to be had");
        return;
    };
    terminal.until("Loading modules: [ unix genunix broken ]");
    terminal.until("> ");

    // Names are completed: dcmds, walkers, symbols, types, members.
    for (typed, completed) in [
        ("::msgb", "::msgbuf"),
        ("::walk thre", "::walk thread"),
        ("broken_io", "broken_ioctl"),
        ("p0::print proc_t p_user.u_psa", "p0::print proc_t p_user.u_psargs"),
    ] {
        terminal.press(typed);
        terminal.press(TAB);
        terminal.until(completed);
        terminal.press(CTRL_C);
        terminal.until("> ");
    }

    terminal.line("::ps ! grep 1234", " cat\n");
    terminal.line("::msgbfu", "did you mean ::msgbuf?");
    terminal.line("::walk thraed", "did you mean thread?");
    terminal.line("brokn_read::dis", "did you mean broken_read?");
    terminal.line("::help print", "SYNOPSIS");
    terminal.line("::dcmds !grep process", "- print process tree");

    // The line before comes again.
    terminal.line("::pgrep -x ini.", " init\n");
    terminal.press(UP);
    terminal.until("::pgrep -x ini.");
    terminal.press(ENTER);
    terminal.until(" init\n");

    // What takes long is stopped, whatever it is, and the prompt is there again.
    for line in [",ffffffff::typeset a=1", "! sleep 1000"] {
        terminal.press(line);
        terminal.until(line);
        terminal.press(ENTER);
        terminal.until("\n");
        // It has to have begun before it can be stopped: on a busy machine that takes a while.
        let stopped = (0..PATIENCE.as_secs()).any(|_| {
            terminal.press(CTRL_C);
            terminal.within(Duration::from_secs(1), "> ").is_some()
        });
        assert!(stopped, "{line}");
        terminal.line("::status", "debugging crash dump");
    }

    terminal.press("$q\r");
    assert!(terminal.child.wait().unwrap().code().is_some());
}
