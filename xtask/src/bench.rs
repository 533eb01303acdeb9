//! Times necropsy, crash and drgn on the same dump, one after the other.
//!
//! crash and drgn run through the command lines in `NECROPSY_CRASH` and `NECROPSY_DRGN`, in which
//! `{dump}`, `{vmlinux}` and `{script}` stand for files; each is left out, loudly, when it cannot
//! be started. A wrapper (`chroot`, `podman`) must show them these files under the same names:
//! scripts are written into the lab's directory for that reason.

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};

const CRASH: &str = "crash -s {vmlinux} {dump} -i {script}";
const DRGN: &str = "drgn -c {dump} -s {vmlinux} -q {script}";
/// A crash of a machine with 6 GB and 10,000 tasks, and its kernel, in the lab's directory.
const DUMP: &str = "out/k612-crowd/kdump-c";
const VMLINUX: &str = "k612/vmlinux";
/// The fastest of so many runs counts; crash and drgn take long enough to be run once.
const RUNS: usize = 5;

/// What is asked, in each program's language, and how many times faster than the others it has to
/// be answered.
struct Question {
    name: &'static str,
    ours: &'static [&'static str],
    crash: &'static str,
    drgn: &'static str,
    goals: &'static [(Program, f64)],
}

const QUESTIONS: &[Question] = &[
    Question {
        name: "sys, bt",
        ours: &["sys", "bt"],
        crash: "sys\nbt\n",
        drgn: "print(prog['init_uts_ns'].name)
thread = prog.crashed_thread()
print(thread.object.pid.value_(), thread.object.comm.string_())
print(thread.stack_trace())
",
        goals: &[(Program::Crash, 20.0), (Program::Drgn, 3.0)],
    },
    Question {
        name: "ps",
        ours: &["ps"],
        crash: "ps\n",
        drgn: "from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.sched import task_state_to_char
for task in for_each_task(prog):
    print(task.pid.value_(), task.parent.pid.value_(), hex(task.value_()),
          task_state_to_char(task), task.comm.string_())
",
        goals: &[(Program::Crash, 20.0)],
    },
    Question {
        name: "foreach bt",
        ours: &["foreach bt"],
        crash: "foreach bt\n",
        drgn: "from drgn.helpers.linux.pid import for_each_task
for task in for_each_task(prog):
    try:
        print(task.pid.value_(), task.comm.string_())
        print(prog.stack_trace(task))
    except Exception as error:
        print(error)
",
        goals: &[(Program::Crash, 10.0)],
    },
    Question {
        name: "foreach files",
        ours: &["foreach files"],
        crash: "foreach files\n",
        drgn: "from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.fs import for_each_file, d_path
for task in for_each_task(prog):
    if task.files:
        for fd, file in for_each_file(task):
            if file:
                print(task.pid.value_(), fd, hex(file.value_()), d_path(file.f_path))
",
        goals: &[(Program::Crash, 10.0)],
    },
    Question {
        name: "foreach vm",
        ours: &["foreach vm"],
        crash: "foreach vm\n",
        drgn: "from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.fs import d_path
from drgn.helpers.linux.mm import for_each_vma
for task in for_each_task(prog):
    if task.mm:
        for vma in for_each_vma(task.mm):
            file = d_path(vma.vm_file.f_path) if vma.vm_file else b''
            print(task.pid.value_(), hex(vma.vm_start), hex(vma.vm_end), hex(vma.vm_flags), file)
",
        goals: &[(Program::Crash, 10.0)],
    },
    Question {
        name: "foreach net -s",
        ours: &["foreach net -s"],
        crash: "foreach net -s\n",
        drgn: "from drgn import cast
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.fs import for_each_file
for task in for_each_task(prog):
    if task.files:
        for fd, file in for_each_file(task):
            if file and file.f_inode.i_mode.value_() >> 12 == 12:
                socket = cast('struct socket *', file.private_data)
                print(task.pid.value_(), fd, hex(socket), hex(socket.sk), socket.sk.__sk_common.skc_family)
",
        goals: &[(Program::Crash, 10.0)],
    },
];

/// Our memory is at most this part of crash's, for the first question.
const MEMORY_GOAL: f64 = 4.0;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    Necropsy,
    Crash,
    Drgn,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Program::Necropsy => "necropsy",
            Program::Crash => "crash",
            Program::Drgn => "drgn",
        }
    }
}

/// What a run took.
#[derive(Clone, Copy)]
struct Cost {
    wall_seconds: f64,
    cpu_seconds: f64,
    peak_kb: f64,
}

struct Bench {
    necropsy: PathBuf,
    dump: PathBuf,
    vmlinux: PathBuf,
    scripts: tempfile::TempDir,
}

/// Runs every program on every question and prints a table. `lab`: see CONTRIBUTING.md; without it
/// `NECROPSY_LAB`.
pub(crate) fn run(lab: Option<&str>) -> Result<()> {
    let lab = match lab {
        Some(lab) => PathBuf::from(lab),
        None => {
            env::var_os("NECROPSY_LAB").map(PathBuf::from).context("no --lab, no NECROPSY_LAB")?
        }
    };
    let crowd = lab.join(DUMP);
    let small = lab.join("out/k612-null/vmcore");
    let dump = if crowd.exists() { crowd } else { small };
    let bench = Bench {
        necropsy: build()?,
        dump,
        vmlinux: lab.join(VMLINUX).canonicalize().context("the dump's vmlinux")?,
        scripts: tempfile::tempdir_in(&lab)?,
    };
    warm(&bench.dump)?;
    println!("{}", bench.dump.display());
    println!("{:<12} {:<10} {:>9} {:>9} {:>9}   us to them", "", "", "wall s", "CPU s", "peak MB");
    let mut missed = 0;
    for (index, question) in QUESTIONS.iter().enumerate() {
        let ours = bench.ours(question)?;
        show(question.name, Program::Necropsy, ours, "");
        for (program, text) in [(Program::Crash, question.crash), (Program::Drgn, question.drgn)] {
            let Some(theirs) = bench.theirs(program, text)? else { continue };
            let faster = theirs.wall_seconds / ours.wall_seconds;
            let smaller = theirs.peak_kb / ours.peak_kb;
            let mut verdict = format!("{faster:.0} times faster, {smaller:.1} times smaller");
            let goal = question.goals.iter().find(|(of, _)| *of == program);
            if goal.is_some_and(|(_, goal)| faster < *goal) {
                verdict.push_str(": TOO SLOW");
                missed += 1;
            }
            if index == 0 && program == Program::Crash && smaller < MEMORY_GOAL {
                verdict.push_str(": TOO BIG");
                missed += 1;
            }
            show("", program, theirs, &verdict);
        }
    }
    missed += bench.index()?;
    ensure!(missed == 0, "{missed} goals missed");
    Ok(())
}

/// A type of debug information alone: `whatis` of a variable takes the index.
const LOOKUP: &str = "whatis file_systems";
/// What drgn does to answer the like.
const DRGN_LOOKUP: &str = "print(prog['file_systems'].type_)\n";
/// Without an index kept: not slower than drgn. With one: in a tenth of its time. In half of its
/// memory.
const COLD_GOAL: f64 = 1.0;
const WARM_GOAL: f64 = 10.0;
const INDEX_MEMORY_GOAL: f64 = 2.0;

fn show(question: &str, program: Program, cost: Cost, verdict: &str) {
    let line = format!(
        "{question:<12} {:<10} {:>9.2} {:>9.2} {:>9.0}   {verdict}",
        program.name(),
        cost.wall_seconds,
        cost.cpu_seconds,
        cost.peak_kb / 1024.0
    );
    println!("{}", line.trim_end());
}

/// The release build of this tree.
fn build() -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let status =
        Command::new(cargo).args(["build", "--release", "--package", "necropsy"]).status()?;
    ensure!(status.success(), "necropsy does not build");
    // This program lies in target/PROFILE.
    let here = env::current_exe()?;
    let target = here.ancestors().nth(2).context("this program lies in no target directory")?;
    Ok(target.join("release/necropsy"))
}

/// Reads the file once: every program finds it in the page cache.
fn warm(path: &Path) -> Result<()> {
    let mut file = fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

impl Bench {
    fn ours(&self, question: &Question) -> Result<Cost> {
        let mut words = vec![self.necropsy.display().to_string(), self.dump.display().to_string()];
        for line in question.ours {
            words.extend(["--exec".to_owned(), (*line).to_owned()]);
        }
        let mut best: Option<Cost> = None;
        for _ in 0..RUNS {
            let cost = self.measure(&words)?.context("necropsy cannot be started")?;
            if best.is_none_or(|best| cost.wall_seconds < best.wall_seconds) {
                best = Some(cost);
            }
        }
        best.context("no run")
    }

    /// The first look-up in debug information, with and without an index of it at hand. Returns the
    /// number of goals missed.
    fn index(&self) -> Result<usize> {
        warm(&self.vmlinux)?;
        let cache = self.scripts.path().join("cache");
        let words = |option: &str| {
            [
                "/usr/bin/env".to_owned(),
                format!("XDG_CACHE_HOME={}", cache.display()),
                self.necropsy.display().to_string(),
                self.dump.display().to_string(),
                self.vmlinux.display().to_string(),
                option.to_owned(),
                "--exec".to_owned(),
                LOOKUP.to_owned(),
            ]
        };
        let best = |keep: bool, option: &str| -> Result<Cost> {
            let mut best: Option<Cost> = None;
            for _ in 0..RUNS {
                if !keep && cache.exists() {
                    fs::remove_dir_all(&cache)?;
                }
                let cost = self.measure(&words(option))?.context("necropsy cannot be started")?;
                if best.is_none_or(|best| cost.wall_seconds < best.wall_seconds) {
                    best = Some(cost);
                }
            }
            best.context("no run")
        };
        let (cold, warm) = (best(false, "-s")?, best(true, "-s")?);
        // What opening the dump takes is no matter of the index.
        let without = best(true, "--no-debuginfo")?;
        show("type, cold", Program::Necropsy, cold, "");
        show("type, warm", Program::Necropsy, warm, "");
        show("no debug info", Program::Necropsy, without, "");
        let index = (warm.wall_seconds - without.wall_seconds).max(0.001);
        let mut missed = 0;
        if let Some(drgn) = self.theirs(Program::Drgn, DRGN_LOOKUP)? {
            let (cold_faster, warm_faster) =
                (drgn.wall_seconds / cold.wall_seconds, drgn.wall_seconds / index);
            let smaller = drgn.peak_kb / cold.peak_kb;
            let mut verdict = format!(
                "cold {cold_faster:.1} times faster, the kept index {warm_faster:.0} times, \
                 {smaller:.1} times smaller"
            );
            for (bad, word) in [
                (cold_faster < COLD_GOAL || warm_faster < WARM_GOAL, ": TOO SLOW"),
                (smaller < INDEX_MEMORY_GOAL, ": TOO BIG"),
            ] {
                if bad {
                    verdict.push_str(word);
                    missed += 1;
                }
            }
            show("", Program::Drgn, drgn, &verdict);
        }
        Ok(missed)
    }

    /// `None` when the program is not there.
    fn theirs(&self, program: Program, script: &str) -> Result<Option<Cost>> {
        let (variable, default, end) = match program {
            Program::Drgn => ("NECROPSY_DRGN", DRGN, ""),
            _ => ("NECROPSY_CRASH", CRASH, "quit\n"),
        };
        let template = env::var(variable).unwrap_or(default.to_owned());
        let path = self.scripts.path().join("script");
        fs::write(&path, format!("{script}{end}"))?;
        let words = template.split_whitespace().map(|word| {
            word.replace("{dump}", &self.dump.display().to_string())
                .replace("{vmlinux}", &self.vmlinux.display().to_string())
                .replace("{script}", &path.display().to_string())
        });
        let words: Vec<_> = words.collect();
        let cost = self.measure(&words)?;
        if cost.is_none() {
            println!("{:<12} {:<10} SKIPPED: cannot run `{template}`", "", program.name());
        }
        Ok(cost)
    }

    /// Runs a command under GNU time, which alone tells the peak memory of a child.
    fn measure(&self, words: &[String]) -> Result<Option<Cost>> {
        let report = self.scripts.path().join("time");
        let started = Instant::now();
        let ran = Command::new("/usr/bin/time")
            .args(["--format", "%U %S %M", "--output"])
            .arg(&report)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let wall_seconds = started.elapsed().as_secs_f64();
        let Ok(status) = ran else { bail!("/usr/bin/time is not there: install GNU time") };
        // As a shell does: 126 cannot be run, 127 not found.
        if matches!(status.code(), Some(126 | 127)) {
            return Ok(None);
        }
        let text = fs::read_to_string(&report)?;
        let last = text.lines().last().unwrap_or_default();
        let numbers: Vec<f64> = last.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [user, system, peak_kb] = numbers[..] else { bail!("time says {text:?}") };
        ensure!(status.success(), "{} failed: {status}", words.join(" "));
        Ok(Some(Cost { wall_seconds, cpu_seconds: user + system, peak_kb }))
    }
}
