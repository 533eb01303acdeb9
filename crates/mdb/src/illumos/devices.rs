//! Devices.

use necropsy_illumos::device::Device;
use serde_json::json;

use crate::{Call, Dcmd, Failure, Mdb, Options, Outcome, failure::fail};

use super::kernel;

fn all(mdb: &mut Mdb) -> Outcome<Vec<Device>> {
    let (devices, walk) = kernel(mdb)?.devices();
    mdb.noted(walk);
    Ok(devices)
}

fn heading(mdb: &mut Mdb, call: &Call) -> Outcome {
    match call.wants_heading() {
        true => mdb.heading(&format!("{:<16} {:<50}", "DEVINFO", "NAME")),
        false => Ok(()),
    }
}

/// A device, indented by how deep it lies.
fn show(mdb: &mut Mdb, call: &Call, device: &Device, indent: usize) -> Outcome {
    mdb.check()?;
    if call.pipe_out {
        mdb.pipe(device.address);
        return Ok(());
    }
    let instance = match device.instance {
        Some(number) => format!(", instance #{number}"),
        None => String::new(),
    };
    let text = format!("{:indent$}{:<16x} {}{instance}", "", device.address, device.name);
    let object = json!({
        "address": format!("{:#x}", device.address), "depth": device.depth,
        "name": device.name, "instance": device.instance,
    });
    mdb.row(&text, object)
}

pub(super) const PRTCONF: Dcmd = Dcmd::new(&["prtconf"], "", "print devinfo tree", |mdb, call| {
    let devices = all(mdb)?;
    heading(mdb, call)?;
    for device in devices {
        show(mdb, call, &device, 4 * device.depth)?;
    }
    Ok(())
});

pub(super) const DEVINFO: Dcmd =
    Dcmd::new(&["devinfo"], ": [-qs]", "detailed devinfo of one node", |mdb, call| {
        let at = call.needs_address()?;
        let options = Options::take(&call.args, "dqs")?;
        let Some(device) = all(mdb)?.into_iter().find(|device| device.address == at) else {
            return fail(format!("{at:x} is no device of the tree"));
        };
        heading(mdb, call)?;
        show(mdb, call, &device, 0)?;
        if options.has('q') || options.has('s') || call.pipe_out || mdb.out.json {
            return Ok(());
        }
        mdb.run_dcmd("print", Some(at), &["struct", "dev_info"])
    })
    .with_help("  -q, -s  without the members of its structure");

pub(super) const DEVBINDINGS: Dcmd = Dcmd::new(
    &["devbindings"],
    "? [-qs] [NAME | MAJOR]",
    "print devinfo nodes bound to device-name or major-num",
    |mdb, call| {
        let options = Options::take(&call.args, "qs")?;
        let wanted = match (options.rest.first(), call.address) {
            (Some(arg), _) => arg.text.clone(),
            (None, Some(major)) => format!("{major:x}"),
            (None, None) => return Err(Failure::Usage("a driver must be given".into())),
        };
        let kernel = kernel(mdb)?;
        let shape = &kernel.shapes().dev_info;
        let major = u64::from_str_radix(&wanted, 16).ok();
        let devices = all(mdb)?;
        heading(mdb, call)?;
        for device in devices {
            let name = shape.binding.get(&kernel, device.address).ok().filter(|&at| at != 0);
            let name = name.and_then(|at| kernel.read_string(at, 256).ok());
            let is_major =
                major.is_some() && shape.major.get(&kernel, device.address).ok() == major;
            if is_major || device.name == wanted || name.as_ref() == Some(&wanted) {
                show(mdb, call, &device, 0)?;
            }
        }
        Ok(())
    },
);

pub(super) const DEVT: Dcmd =
    Dcmd::new(&["devt"], ":", "display a dev_t's major and minor numbers", |mdb, call| {
        let number = call.needs_address()?;
        let (major, minor) = (number >> 32, number & 0xffff_ffff);
        if call.wants_heading() {
            mdb.heading(&format!("{:>10}  {:>10}", "MAJOR", "MINOR"))?;
        }
        let object = json!({ "major": major, "minor": minor });
        mdb.row(&format!("{major:>10}  {minor:>10}"), object)
    });
