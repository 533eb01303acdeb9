//! The example programs do what they say.

use necropsy_synth::run_example;

#[test]
fn reports() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("console.log");
    let text = "\
[   12.300000] BUG: kernel NULL pointer dereference, address: 0000000000000000
[   12.300000] CPU: 0 PID: 170 Comm: crashapp Tainted: G           OE
[   12.300000] RIP: 0010:crashme_run+0x3f/0x1b0 [crashme]
[   12.300000] Call Trace:
[   12.300000]  <TASK>
[   12.300000]  crashme_write+0x42/0x70 [crashme]
[   12.300000]  proc_reg_write+0x5a/0xa0
[   12.300000]  </TASK>
[   12.300000] ---[ end trace 0000000000000000 ]---
";
    std::fs::write(&log, text).unwrap();
    let said = run_example("reports", [&log]);
    for part in ["console.log:1: ", "crashme_run", "crashme_write"] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}
