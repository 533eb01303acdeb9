//! `necropsy oops` on the logs of full-size dumps: see `lab.rs` for `NECROPSY_LAB`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use necropsy_synth::Needs;
use serde_json::Value;

fn oops(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_necropsy"));
    command.arg("oops").args(arguments).output().unwrap()
}

fn rows(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

const KERNELS: [&str; 3] = ["k510", "k612", "k72"];

fn a_dump_s_log_says_what_its_console_did() {
    let lab = PathBuf::from(std::env::var_os("NECROPSY_LAB").unwrap());
    let mut seen = 0;
    for kernel in KERNELS {
        for scenario in
            ["null", "shm", "uaf", "bug", "deadlock", "softlockup", "div0", "overflow", "sysrq"]
        {
            let folder = lab.join("out").join(format!("{kernel}-{scenario}"));
            let (dump, log) = (folder.join("vmcore"), folder.join("console.log"));
            if !dump.exists() || !log.exists() {
                continue;
            }
            seen += 1;
            let console = rows(&oops(&["--json", path(&log)]));
            let session = Command::new(env!("CARGO_BIN_EXE_necropsy"))
                .args([path(&dump), "--no-rc", "--silent", "-e", "oops --json"])
                .output()
                .unwrap();
            let session = rows(&session);
            // The dump of the trace buffer that follows this oops overwrites it in the ring.
            if scenario == "div0" && session.is_empty() {
                continue;
            }
            let file = rows(&oops(&["--json", path(&dump)]));
            let told = |rows: &[Value]| {
                let first = rows.first().unwrap_or_else(|| panic!("{kernel}-{scenario}: nothing"));
                ["class", "frame", "title"].map(|key| first[key].clone())
            };
            assert_eq!(told(&session), told(&console), "{kernel}-{scenario}");
            assert_eq!(told(&file), told(&console), "{kernel}-{scenario}");
            let frame = console[0]["frame"].as_str().unwrap_or_default();
            let expected: &[&str] = match scenario {
                "shm" => &["__shm_close", "shm_close"],
                "sysrq" => &["sysrq_handle_crash"],
                _ => &["crashme_"],
            };
            assert!(
                expected.iter().any(|name| frame.starts_with(name)),
                "{kernel}-{scenario}: {}",
                console[0]["title"]
            );
        }
    }
    assert!(seen > 0, "no dumps under NECROPSY_LAB");
}

fn kernels_and_modules_have_lines() {
    let lab = PathBuf::from(std::env::var_os("NECROPSY_LAB").unwrap());
    for kernel in KERNELS {
        let log = lab.join(format!("out/{kernel}-null/console.log"));
        let symbols =
            [lab.join(kernel).join("vmlinux"), lab.join(format!("mod-{kernel}/crashme.ko"))];
        if ![&log, &symbols[0], &symbols[1]].iter().all(|path| path.exists()) {
            eprintln!("SKIPPED: no {kernel}");
            continue;
        }
        let [vmlinux, module] = &symbols;
        let found = rows(&oops(&[
            "--json",
            "--symbols",
            path(vmlinux),
            "--symbols",
            path(module),
            path(&log),
        ]));
        let trace = found[0]["trace"].as_array().unwrap();
        let file = |name: &str| {
            let frame = trace.iter().find(|f| f["function"] == name && f["reliable"] == true);
            frame.unwrap_or_else(|| panic!("{kernel}: {name}"))["file"].as_str().unwrap_or("none")
        };
        assert!(file("crashme_run").ends_with("crashme.c"), "{kernel}");
        assert_eq!(file("vfs_write"), "fs/read_write.c", "{kernel}");
        assert_eq!(file("proc_reg_write"), "fs/proc/inode.c", "{kernel}");
        let write = trace.iter().position(|f| f["function"] == "proc_reg_write").unwrap();
        assert_eq!(trace[write - 1]["function"], "pde_write", "{kernel}");
        assert_eq!(trace[write - 1]["inlined"], true, "{kernel}");
    }
}

necropsy_synth::data_tests! {
    a_dump_s_log_says_what_its_console_did: [Needs::Lab("out")],
    kernels_and_modules_have_lines: [Needs::Lab("k612/vmlinux")],
}
