//! Machine checks: which CPU and bank, and what the status says.
//!
//! The words are those of `arch/x86/kernel/cpu/mce/core.c` (`print_mce`), of GHES
//! (`drivers/firmware/efi/cper.c`) and of EDAC; the bits those of the Intel and AMD manuals
//! (`arch/x86/include/asm/mce.h`).

use std::sync::LazyLock;

use regex::Regex;

use crate::naming::pattern::compile;
use crate::report::{MachineCheck, Report};

static HEAD: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"CPU:? ?([0-9]+)[: ].*?(?:Machine Check(?: Exception| Event)?: *([0-9a-f]+)?|MCE MISC|MCE).*?Bank ([0-9]+): ([0-9a-f]{16})",
    )
});
static STATUS: LazyLock<Regex> =
    LazyLock::new(|| compile(r"CPU:?([0-9]+) .*MC([0-9]+)_STATUS\[[^\]]*\]: 0x([0-9a-f]{16})"));
/// Kernels before 2.6.32 have a line for the CPU and one for each bank.
static OLD_HEAD: LazyLock<Regex> =
    LazyLock::new(|| compile(r"CPU ?([0-9]+): Machine Check Exception: *[0-9a-f]{8,16} *$"));
static OLD_BANK: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"^ *Bank ([0-9]+): ([0-9a-f]{16})(?:\[[0-9a-f]+\])?(?: at ([0-9a-f]{8,16}))?")
});
static ADDRESS: LazyLock<Regex> =
    LazyLock::new(|| compile(r"\bADDR (?:0x)?([0-9a-f]{4,16})\b|Error Addr: 0x([0-9a-f]+)"));
static SEVERITY: LazyLock<Regex> =
    LazyLock::new(|| compile(r"(?:event severity|error_severity|[Ee]rror severity): ([a-z]+)"));
/// What EDAC's drivers say of an error they have decoded.
static EDAC: LazyLock<Regex> =
    LazyLock::new(|| compile(r"EDAC MC[0-9]+: [0-9]+ (CE|UE|FE) (.*?) on "));
static KIND: LazyLock<Regex> =
    LazyLock::new(|| compile(r"section_type: (.+)|error_type: [0-9]+, (.+)"));

/// Takes what a line says of an error of the hardware.
pub(super) fn read(line: &str, report: &mut Report) {
    if !["Hardware Error", "MCE", "mce:", "EDAC", "Machine Check Exception", "Bank "]
        .iter()
        .any(|word| line.contains(word))
    {
        return;
    }
    let checks = &mut report.machine_checks;
    if let Some(groups) = HEAD.captures(line).filter(|_| checks.len() < 64) {
        checks.push(check(groups[1].parse().ok(), groups[3].parse().ok(), hex(&groups[4])));
    } else if let Some(groups) = OLD_BANK.captures(line)
        && let Some(last) = checks.last_mut()
    {
        // a line above named the CPU
        let found = check(last.cpu, groups[1].parse().ok(), hex(&groups[2]));
        let address = groups.get(3).and_then(|m| hex(m.as_str()));
        let found = MachineCheck { address, ..found };
        if last.status.is_none() {
            *last = found;
        } else if checks.len() < 64 {
            checks.push(found);
        }
    } else if let Some(groups) = OLD_HEAD.captures(line).filter(|_| checks.len() < 64) {
        checks.push(check(groups[1].parse().ok(), None, None));
    } else if let Some(groups) = STATUS.captures(line).filter(|_| checks.len() < 64) {
        checks.push(check(groups[1].parse().ok(), groups[2].parse().ok(), hex(&groups[3])));
    } else if let Some(groups) = SEVERITY.captures(line) {
        let severity = match &groups[1] {
            "fatal" => "fatal",
            "corrected" => "corrected",
            _ => "uncorrected",
        };
        if checks.len() < 64 {
            checks.push(MachineCheck { severity, ..MachineCheck::default() });
        }
    }
    if let Some(groups) = EDAC.captures(line) {
        let severity = match &groups[1] {
            "CE" => "corrected",
            "UE" => "uncorrected",
            _ => "fatal",
        };
        let room = checks.len() < 64;
        match checks.last_mut() {
            Some(last) if last.status.is_some() && last.severity == severity => {
                last.meaning.push_str(&format!(", {}", &groups[2]));
            }
            _ if room => checks.push(MachineCheck {
                severity,
                meaning: groups[2].to_owned(),
                ..MachineCheck::default()
            }),
            _ => {}
        }
    }
    let Some(last) = checks.last_mut() else { return };
    if let Some(groups) = ADDRESS.captures(line) {
        last.address =
            last.address.or(groups.get(1).or(groups.get(2)).and_then(|m| hex(m.as_str())));
    }
    if let Some(groups) = KIND.captures(line)
        && let Some(kind) = groups.get(1).or(groups.get(2))
    {
        if !last.meaning.is_empty() {
            last.meaning.push_str(", ");
        }
        last.meaning.push_str(kind.as_str());
    }
    report.cpu = report.cpu.or(report.machine_checks.first().and_then(|check| check.cpu));
}

/// The one that the machine died of: the first of the gravest.
pub(crate) fn gravest(checks: &[MachineCheck]) -> Option<&MachineCheck> {
    let grave = |check: &&MachineCheck| match check.severity {
        "fatal" => 0,
        "uncorrected" => 1,
        _ => 2,
    };
    checks.iter().min_by_key(grave)
}

fn check(cpu: Option<u32>, bank: Option<u32>, status: Option<u64>) -> MachineCheck {
    let mut check =
        MachineCheck { cpu, bank, status, severity: "uncorrected", ..MachineCheck::default() };
    let Some(status) = status else { return check };
    let bit = |bit: u32| status >> bit & 1 == 1;
    // UC: uncorrected; PCC: the processor's state is lost with it
    check.severity = match (bit(61), bit(57)) {
        (_, true) => "fatal",
        (true, false) => "uncorrected",
        _ => "corrected",
    };
    let mut words = Vec::new();
    if !bit(63) {
        words.push("the record is not valid".to_owned());
    }
    words.push(check.severity.to_owned());
    for (at, name) in [
        (57, "processor context corrupt"),
        (62, "an earlier error was overwritten"),
        (60, "error reporting enabled"),
        (56, "software recovery signalled"),
        (55, "software recovery action required"),
        (44, "deferred"),
    ] {
        if bit(at) && at != 60 {
            words.push(name.to_owned());
        }
    }
    words.push(code(status as u16));
    check.meaning = words.join(", ");
    check
}

/// The architecture's own error codes (Intel SDM volume 3, chapter 17.9.1; AMD's are alike).
fn code(code: u16) -> String {
    let level =
        |code: u16| ["level 0", "level 1", "level 2", "generic level"][usize::from(code & 3)];
    let what =
        |code: u16| ["instruction", "data", "generic", "generic"][usize::from(code >> 2 & 3)];
    let request = |code: u16| match code >> 4 & 0xf {
        0 => "generic error",
        1 => "generic read",
        2 => "generic write",
        3 => "data read",
        4 => "data write",
        5 => "instruction fetch",
        6 => "prefetch",
        7 => "eviction",
        8 => "snoop",
        _ => "other request",
    };
    match code & 0xefff {
        0 => "no error code".into(),
        1 => "unclassified error".into(),
        2 => "microcode ROM parity error".into(),
        3 => "external error".into(),
        4 => "functional redundancy check".into(),
        5 => "internal parity error".into(),
        6 => "SMM handler violation".into(),
        0x400 => "internal timer error".into(),
        0xe0b => "I/O error".into(),
        code if code & 0xfc00 == 0x400 => "internal error".into(),
        code if code & 0xfffc == 0xc => format!("cache error, {}", level(code)),
        code if code & 0xfff0 == 0x10 => format!("TLB error, {}, {}", what(code), level(code)),
        code if code & 0xff80 == 0x80 => match code & 0xf {
            0xf => format!("memory controller error, {}, channel unknown", memory(code)),
            channel => format!("memory controller error, {}, channel {channel}", memory(code)),
        },
        code if code & 0xff00 == 0x100 => {
            format!("cache error, {}, {}, {}", what(code), level(code), request(code))
        }
        code if code & 0xf800 == 0x800 => {
            format!("bus or interconnect error, {}, {}", request(code), level(code))
        }
        code => format!("code {code:#x}"),
    }
}

fn memory(code: u16) -> &'static str {
    match code >> 4 & 7 {
        0 => "undefined request",
        1 => "read",
        2 => "write",
        3 => "address or command",
        4 => "scrub",
        _ => "reserved",
    }
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fatal_and_corrected() {
        let fatal = check(Some(7), Some(0), Some(0xb200_0000_0080_0400));
        assert_eq!(fatal.severity, "fatal");
        assert_eq!(fatal.meaning, "fatal, processor context corrupt, internal timer error");
        let corrected = check(Some(0), Some(8), Some(0x8c00_0040_0001_009f));
        assert_eq!(corrected.severity, "corrected");
        assert_eq!(corrected.meaning, "corrected, memory controller error, read, channel unknown");
    }
}
