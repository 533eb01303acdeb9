//! Expressions, formats, pipelines, as the reference has them.

use necropsy_synth::illumos::Options;

use super::Session;

fn session() -> Session {
    Session::made(Options::default()).0
}

/// What `value=letters` prints, without blanks around.
fn shown(session: &mut Session, text: &str) -> String {
    session.run(text).trim().to_owned()
}

#[test]
fn operators_bind_as_mdb_s_do() {
    let mut session = session();
    for (text, value) in [
        ("1+2*3=K", "7"),
        ("(1+2)*3=K", "9"),
        ("10%3=K", "5"),
        ("10%%3=K", "1"),
        ("11#8=K", "18"),
        ("2-1-1=K", "0"),
        ("1<<4|1=K", "11"),
        ("f&3^1=K", "2"),
        ("1==1=K", "1"),
        ("1!=1=K", "0"),
        ("~0=K", "ffffffffffffffff"),
        ("-1=K", "ffffffffffffffff"),
        ("#0=K", "1"),
        ("0t16=K", "10"),
        ("0i101=K", "5"),
        ("0o17=K", "f"),
        ("'ab'=K", "6162"),
        ("0t10=D", "10"),
        ("8=O", "010"),
        ("ffff=d", "-1"),
        ("41=C", "A"),
        ("12345678=H", "78563412"),
        ("5=R", "101"),
        ("0=p", "0"),
    ] {
        assert_eq!(shown(&mut session, text), value.to_owned(), "{text}");
    }
    assert!(session.warnings("1%0=K").contains("divide by zero"));
}

/// What the test-suite of mdb checks of formats.
#[test]
fn formats_wrap_before_column_eighty() {
    let mut session = session();
    let all = "ffffffffffffffff=";
    for (letters, a_line) in [("16E", 3), ("16e", 3), ("16J", 3), ("4G", 2)] {
        let lines = session.lines(&format!("{all}{letters}"));
        assert_eq!(lines[0].split_whitespace().count(), a_line, "{letters}: {lines:?}");
        assert!(lines.iter().all(|line| line.starts_with("                ")));
    }
    let lines = session.lines("fffffffffffffff=8J");
    assert_eq!(lines[0].split_whitespace().count(), 4);
    let lines = session.lines("8000000000000000=6P");
    assert_eq!(lines[0].split_whitespace().count(), 3);
    assert_eq!(session.lines("8000000000000000=g")[0].trim(), "-1000000000000000000000");
    let lines = session.lines("5=j");
    assert_eq!(lines[0].trim(), "101");
    assert!(lines[2].ends_with("bit 0  mask 0x0000000000000001"));
    assert!(lines[3].trim_start().starts_with("+--- bit 2"), "{lines:?}");
}

#[test]
fn memory_in_formats_and_dumps() {
    let mut session = session();
    let line = session.run("utsname/S");
    assert!(line.starts_with("utsname:        SunOS"), "{line}");
    assert!(session.run("utsname,2/B").lines().count() == 2);
    assert!(session.run("<rip/i").starts_with("broken_read+0x10:"));
    let dump = session.lines("utsname::dump -l 20");
    assert_eq!(dump.len(), 3);
    assert!(dump[1].ends_with("SunOS..........."), "{dump:?}");
    assert!(session.warnings("1000/K").contains("not saved"));
    assert!(session.warnings("utsname/W 1").contains("cannot be written"));
}

#[test]
fn pipelines_variables_and_loops() {
    let (mut session, made) = Session::made(Options::default());
    assert_eq!(session.lines("::walk proc | ::head -2").len(), 2);
    assert_eq!(shown(&mut session, "::walk proc | ::grep .==p0"), session.run("p0=K").trim());
    assert_eq!(session.lines("::walk thread | ::map .+1 | ::head -1").len(), 1);
    session.run("p0>mine");
    assert_eq!(shown(&mut session, "<mine=K"), shown(&mut session, "p0=K"));
    let pids = session.run("::walk proc | ::printf \"%d \" proc_t p_ppid");
    assert_eq!(pids.trim(), "0 0 1 1");
    assert_eq!(session.lines("0,3::echo again").len(), 3);
    let parent = session.lines("*panic_thread::print kthread_t t_procp | ::ps");
    assert_eq!(parent.len(), 2);
    assert!(parent[1].ends_with("cat"));
    assert_eq!(
        session.lines("*allthreads::list kthread_t t_next").len(),
        made.planted.threads.len()
    );
    assert_eq!(session.lines("::eval '::walk proc'").len(), 4);
    assert_eq!(session.lines("p0$<procargs").len(), 1);
}

#[test]
fn typos_and_help() {
    let mut session = session();
    assert!(session.warnings("::msgbuff").contains("did you mean ::msgbuf?"));
    assert!(session.warnings("::walk thred").contains("did you mean thread?"));
    assert!(session.warnings("utsnam=K").contains("did you mean utsname?"));
    assert!(session.run("::help print").contains("SYNOPSIS"));
    assert!(session.run("::help").contains("::dcmds"));
    assert!(session.lines("::dcmds").len() > 60);
    assert!(session.lines("::walkers").len() > 20);
    // As people type it, without the colons.
    assert!(session.run("msgbuf").starts_with("MESSAGE"));
    assert!(session.warnings("p0::print proc_t p_nothing").contains("no such member"));
    assert!(session.warnings("::findstack").contains("needs an address"));
}

#[test]
fn rows_are_objects_in_json() {
    let mut session = session();
    session.mdb.set_json(true);
    for line in session.lines("::ps") {
        assert!(line.starts_with("{\"") && line.contains("\"pid\""), "{line}");
    }
    assert_eq!(session.lines("::pgrep cat | ::ps").len(), 1);
}

#[test]
fn logs_and_names_for_types() {
    let mut session = session();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    session.run(&format!("::log {}", file.display()));
    session.run("1+2=K");
    session.run("$>");
    session.run("3=K");
    let log = std::fs::read_to_string(&file).unwrap();
    assert!(log.contains("> 1+2=K\n                3"), "{log}");
    assert!(!log.contains("3=K\n                3"), "{log}");
    session.run(&format!("$>{}", file.display()));
    session.run("5=K");
    assert!(std::fs::read_to_string(&file).unwrap().starts_with(&log));
    assert!(session.warnings("::log /no/such/folder/x").contains("failed to open"));

    session.run("::typedef proc_t process_t");
    assert_eq!(session.run("::sizeof process_t"), session.run("::sizeof proc_t"));
    assert!(session.lines("::typedef -l")[0].ends_with("process_t;"));
    assert!(session.warnings("::typedef proc_t kthread_t").contains("a type of the kernel"));
    session.mdb.confine();
    assert!(session.warnings("::log x").contains("writes no files"));
    assert!(session.warnings("!ls").contains("runs no shell commands"));
}

#[test]
fn pipelines_within_pipelines() {
    let (mut session, made) = Session::made(Options::default());
    let cats = "::pgrep -x cat";
    let thread = format!("{:x}", made.planted.panic_thread);
    assert_eq!(session.run(&format!("{cats} | ::walk thread")).trim(), thread);
    let back = format!("{cats} | ::walk thread | ::print kthread_t t_procp | ::ps | ::map .");
    assert_eq!(session.run(&back), session.run(&format!("{cats} | ::map .")));
    assert_eq!(session.run("::walk proc p | ::grep \"<p==0\""), "");
    let names = session.lines("::walk proc | ::eval '::print proc_t p_user.u_comm'");
    assert_eq!(names.len(), 4, "{names:?}");
    let inner = session.lines("::walk proc | ::eval '.::walk thread | ::head -1'");
    assert_eq!(inner.len(), 2, "{inner:?}");
    // A shell command that gets nothing to read does not wait for the terminal.
    session.run("::pgrep nobody ! cat");
}

#[test]
fn a_variable_of_a_walk_is_the_element_wherever_the_pipeline_is() {
    let (mut session, made) = Session::made(Options::default());
    let processes: Vec<String> =
        made.planted.processes.iter().map(|(.., at)| format!("{at:x}")).collect();
    let words = |lines: Vec<String>| -> Vec<String> {
        lines.iter().map(|line| line.trim().to_owned()).collect()
    };
    let seen = session.lines("::walk proc p | ::eval '<p=K'");
    assert_eq!(words(seen), processes);
    // Behind a second walk each thread has its own process, and both are known.
    let seen = session.lines("::walk proc p | ::walk thread t | ::eval '<p=K; <t=K'");
    let threads = session.lines("::walk proc | ::walk thread");
    assert_eq!(seen.len(), 2 * threads.len());
    for (pair, thread) in words(seen).chunks(2).zip(&threads) {
        let process = session.run(&format!("{thread}::print kthread_t t_procp | ::map ."));
        assert_eq!(pair, [process.trim(), thread]);
    }
}
