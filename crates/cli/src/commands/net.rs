//! Networks: devices, sockets, neighbours.

use std::net::Ipv4Addr;

use necropsy_linux::{Kernel, files::FileKind, task::Task};

use super::structure;
use crate::rows::net::{NeighbourRow, NetDeviceRow, SocketRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    problems::Problems,
    render::{Faults, Hex, Output},
    session::Session,
    tasks::{self, Header},
};

const SOCKETS: Opt = Opt::flag("-s", "sockets of tasks");
const STRUCTURES: Opt = Opt::flag("-S", "sockets of tasks, member by member");
const NAMESPACE: Opt = Opt::flag(
    "-n",
    "the devices that a task sees: the one that is named, else the one that is set",
);
const NEIGHBOURS: Opt = Opt::flag("-a", "the table of ARP");
const CONVERT: Opt = Opt::value("-N", "number", "an IPv4 address as the kernel stores it");
const REFERENCE: Opt = Opt::value("-R", "reference", "with -s, only this descriptor or address");
const HEXADECIMAL: Opt = Opt::flag("-x", "with -S, numbers in hexadecimal");
const DECIMAL: Opt = Opt::flag("-d", "with -S, numbers in decimal");

pub(crate) static COMMAND: Command = Command {
    names: &["net"],
    summary: "network devices and sockets",
    synopsis: "[-n [task]]\n[-s | -S [-x | -d]] [-R reference] [pid | task | name] ...\n-a | -N number",
    options: &[
        SOCKETS,
        STRUCTURES,
        NAMESPACE,
        NEIGHBOURS,
        CONVERT,
        REFERENCE,
        HEXADECIMAL,
        DECIMAL,
    ],
    rows: &[NetDeviceRow::TYPE, SocketRow::TYPE, NeighbourRow::TYPE],
    args: &[Arg::Task],
    description: "\
Shows network devices with their addresses: those of the first network, or with -n those that a task
sees. -s shows the sockets of tasks: family and type, the names of both ends (address and
port, path of a unix socket, port of a netlink socket, device of a packet socket), and the state.",
    examples: &[
        Example { about: "Devices.", line: "net", output: "" },
        Example { about: "Every socket.", line: "foreach net -s", output: "" },
        Example {
            about: "An address out of a structure.",
            line: "net -N 0100007f",
            output: "127.0.0.1\n",
        },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    if let Some(word) = parsed.value(CONVERT) {
        let number = u32::try_from(session.address(word)?)
            .map_err(|_| CommandError::failed(format!("{word}: an IPv4 address has 32 bits")))?;
        // As on most machines, where no dump says otherwise.
        let big_endian = session.kernel().is_ok_and(|kernel| kernel.target().big_endian());
        let number = if big_endian { number } else { number.swap_bytes() };
        return out.line(Ipv4Addr::from(number));
    }
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let mut problems = Problems::default();
    match parsed.one_of(&[SOCKETS, STRUCTURES, NEIGHBOURS, NAMESPACE])? {
        Some(NEIGHBOURS) => neighbours(kernel, &mut problems, out)?,
        Some(SOCKETS | STRUCTURES) => {
            let chosen = tasks::select_or_context(session, kernel, &parsed.args)?;
            let mut between = false;
            for task in chosen {
                out.check_interrupt()?;
                sockets(session, kernel, task, parsed, &mut between, &mut problems, out)?;
            }
        }
        Some(_) => {
            let task = tasks::select_or_context(session, kernel, &parsed.args)?.pop();
            devices(kernel, task, &mut problems, out)?;
        }
        None if !parsed.args.is_empty() => {
            return Err(parsed.wrong("tasks have sockets: -s shows them"));
        }
        None => devices(kernel, None, &mut problems, out)?,
    }
    problems.report("network", out)
}

fn devices(
    kernel: &Kernel,
    task: Option<Task<'_>>,
    problems: &mut Problems,
    out: &mut Output,
) -> Outcome {
    let (devices, errors) = kernel.net_devices(kernel.network(task)?)?;
    problems.extend(errors);
    out.title("   NET_DEVICE     NAME       IP ADDRESS(ES)")?;
    for device in devices {
        let mut faults = Faults::default();
        problems.extend(device.errors);
        let row = NetDeviceRow {
            net_device: Hex(device.address),
            name: faults.keep(device.name),
            addresses: device.addresses.iter().map(ToString::to_string).collect(),
            state: faults.keep(device.state),
            faults,
        };
        out.record(&row, |line| {
            let name = row.name.as_deref().unwrap_or("?");
            let text =
                format!("{:016x}  {name:<10} {}", row.net_device.0, row.addresses.join(", "));
            writeln!(line, "{}", text.trim_end())
        })?;
    }
    Ok(())
}

fn sockets(
    session: &mut Session,
    kernel: &Kernel,
    task: Task<'_>,
    parsed: &Parsed,
    between: &mut bool,
    problems: &mut Problems,
    out: &mut Output,
) -> Outcome {
    let wanted = parsed.value(REFERENCE);
    let header = Header::new(task, &mut Faults::default());
    let mut rows = Vec::new();
    if let Some((files, errors)) = problems.keep(task.open_files()) {
        problems.extend(errors);
        for open in files {
            let socket = || -> necropsy_linux::Result<Option<SocketRow>> {
                let inode = kernel.inode_of(kernel.place_of_file(open.file)?.dentry)?;
                if kernel.inode_kind(inode)? != FileKind::Socket {
                    return Ok(None);
                }
                let socket = kernel.shapes().file.at(kernel.target(), open.file).private_data()?;
                let info = kernel.socket(socket)?;
                Ok(Some(SocketRow {
                    pid: header.pid,
                    fd: open.fd,
                    socket: Hex(socket),
                    sock: Hex(info.sock),
                    family: info.family,
                    socket_type: info.kind,
                    state: info.state,
                    source: info.source,
                    destination: info.destination,
                    received_bytes: info.received.ok(),
                    sent_bytes: info.sent.ok(),
                }))
            };
            rows.extend(problems.keep(socket()).flatten());
        }
    }
    if let Some(wanted) = wanted {
        let at = crate::numbers::parse_hex(wanted);
        rows.retain(|row| {
            wanted.parse() == Ok(row.fd) || at == Some(row.socket.0) || at == Some(row.sock.0)
        });
        if rows.is_empty() {
            return Ok(());
        }
    }
    if *between {
        out.line("")?;
    }
    *between = true;
    out.line(&header)?;
    if rows.is_empty() {
        return out.line("No open sockets.");
    }
    if parsed.has(STRUCTURES) {
        return members(session, parsed, &rows, out);
    }
    out.title(
        "FD      SOCKET            SOCK       FAMILY:TYPE SOURCE-PORT DESTINATION-PORT STATE",
    )?;
    for row in &rows {
        out.record(row, |line| {
            write!(line, "{:>2} {:016x} {:016x} ", row.fd, row.socket.0, row.sock.0)?;
            let ends = format!("{} {}", row.source, row.destination);
            let state = row.state.unwrap_or("");
            let text = format!("{}:{} {} {state}", row.family, row.socket_type, ends.trim());
            writeln!(line, "{}", text.trim_end())
        })?;
    }
    Ok(())
}

fn members(
    session: &mut Session,
    parsed: &Parsed,
    rows: &[SocketRow],
    out: &mut Output,
) -> Outcome {
    for row in rows {
        out.line("FD       SOCKET             SOCK")?;
        out.line(format_args!("{:>2}  {:016x}  {:016x}", row.fd, row.socket.0, row.sock.0))?;
        for (tag, address) in [("socket", row.socket.0), ("sock", row.sock.0)] {
            if address == 0 {
                continue;
            }
            let radix = [HEXADECIMAL, DECIMAL].into_iter().filter(|opt| parsed.has(*opt));
            let words = [tag.to_owned(), format!("{address:x}")];
            let words = radix.map(|opt| opt.flag.to_owned()).chain(words);
            let parsed = Parsed::new(&structure::COMMAND, words)?;
            (structure::COMMAND.run)(session, &parsed, out)?;
        }
    }
    Ok(())
}

fn neighbours(kernel: &Kernel, problems: &mut Problems, out: &mut Output) -> Outcome {
    let (neighbours, errors) = kernel.neighbours()?;
    problems.extend(errors);
    out.title("NEIGHBOUR        IP ADDRESS      HW TYPE    HW ADDRESS         DEVICE  STATE")?;
    for neighbour in neighbours {
        let bytes: Vec<String> = neighbour.hardware.iter().map(|b| format!("{b:02x}")).collect();
        let row = NeighbourRow {
            neighbour: Hex(neighbour.address),
            address: neighbour.ip.to_string(),
            hardware_type: neighbour.hardware_word(),
            hardware_address: bytes.join(" "),
            state: neighbour.state_words(),
            device: neighbour.device,
        };
        out.record(&row, |line| {
            write!(line, "{:016x} {:<15} ", row.neighbour.0, row.address)?;
            write!(line, "{:<10} {:<18} ", row.hardware_type, row.hardware_address)?;
            writeln!(line, "{:<7} {}", row.device, row.state)
        })?;
    }
    Ok(())
}
