//! Network devices and their addresses (include/linux/netdevice.h, inetdevice.h), and the hosts
//! next to this one (include/net/neighbour.h).

use std::net::{IpAddr, Ipv4Addr};

use crate::{
    error::{Error, Result},
    hlist::hlist,
    kernel::Kernel,
    list::{chain, list},
    task::Task,
};

/// The most addresses of a device that are looked at.
const MAX_ADDRESSES: usize = 65_536;
/// More bits than a table of neighbours has buckets for.
const MAX_HASH_SHIFT: u64 = 24;
/// `IFF_UP`.
const UP: u64 = 1;

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Virtual address of the `struct net_device`.
    pub address: u64,
    /// `eth0`.
    pub name: Result<String>,
    /// Its addresses: IPv4, then IPv6.
    pub addresses: Vec<IpAddr>,
    /// `up` or `down`: whether it was switched on.
    pub state: Result<&'static str>,
    /// What could not be read of the addresses.
    pub errors: Vec<Error>,
}

/// A host next to this one (`struct neighbour`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Virtual address.
    pub address: u64,
    /// Its IPv4 address.
    pub ip: IpAddr,
    /// Its hardware address.
    pub hardware: Vec<u8>,
    /// The kind of hardware (`ARPHRD_*`).
    pub hardware_kind: u64,
    /// The device that leads to it.
    pub device: String,
    /// `NUD_*`.
    pub state: u64,
}

/// States of neighbours (include/uapi/linux/neighbour.h).
const NUD: [(u64, &str); 8] = [
    (0x1, "INCOMPLETE"),
    (0x2, "REACHABLE"),
    (0x4, "STALE"),
    (0x8, "DELAY"),
    (0x10, "PROBE"),
    (0x20, "FAILED"),
    (0x40, "NOARP"),
    (0x80, "PERMANENT"),
];

impl Neighbour {
    /// `REACHABLE`; `NONE` without a state.
    pub fn state_words(&self) -> String {
        let set = NUD.iter().filter(|(bit, _)| self.state & bit != 0);
        let words: Vec<&str> = set.map(|(_, word)| *word).collect();
        if words.is_empty() { "NONE".to_owned() } else { words.join("|") }
    }

    /// Crash's word for the kind of hardware (include/uapi/linux/if_arp.h).
    pub fn hardware_word(&self) -> &'static str {
        match self.hardware_kind {
            1 => "ETHER",
            6 => "IEEE802",
            15 => "DLCI",
            32 => "INFINIBAND",
            512 => "PPP",
            772 => "LOOPBACK",
            778 => "IPGRE",
            _ => "UNKNOWN",
        }
    }
}

impl Kernel {
    /// The `struct net` that a task sees; without a task, the first one.
    ///
    /// # Errors
    /// A fault; the task is exiting; this kernel has no network.
    pub fn network(&self, task: Option<Task<'_>>) -> Result<u64> {
        match task {
            Some(task) => self.shapes().nsproxy.at(self.target(), task.namespaces()?).net(),
            None => self.shapes().device_tables.init_net.address(),
        }
    }

    /// The devices of a network, and what could not be read.
    ///
    /// # Errors
    /// This kernel's networks have no devices that could be found.
    pub fn net_devices(&self, network: u64) -> Result<(Vec<Device>, Vec<Error>)> {
        let (target, shapes) = (self.target(), self.shapes());
        let link = shapes.net_device.list.offset()?;
        let (mut devices, mut errors) = (Vec::new(), Vec::new());
        for entry in list(target, shapes.net.devices.address(network)?) {
            let address = match entry {
                Ok(entry) => entry.wrapping_sub(link),
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            let device = shapes.net_device.at(target, address);
            let (mut addresses, mut unread) = (Vec::new(), Vec::new());
            for found in [self.ipv4_addresses(address), self.ipv6_addresses(address)] {
                match found {
                    Ok((found, faults)) => {
                        addresses.extend(found);
                        unread.extend(faults);
                    }
                    // A kernel without IPv6 has none of its addresses.
                    Err(error) if error.is_no_such() => {}
                    Err(error) => unread.push(error),
                }
            }
            devices.push(Device {
                address,
                name: device.text(|s| &s.name),
                addresses,
                state: device.flags().map(|flags| if flags & UP != 0 { "up" } else { "down" }),
                errors: unread,
            });
        }
        Ok((devices, errors))
    }

    fn ipv4_addresses(&self, device: u64) -> Result<(Vec<IpAddr>, Vec<Error>)> {
        let (target, shapes) = (self.target(), self.shapes());
        let (mut addresses, mut errors) = (Vec::new(), Vec::new());
        let ipv4 = shapes.net_device.at(target, device).ipv4()?;
        let first = if ipv4 == 0 { 0 } else { shapes.in_device.at(target, ipv4).addresses()? };
        if first == 0 {
            return Ok((addresses, errors));
        }
        for entry in chain(target, first, shapes.in_address.next.offset()?).take(MAX_ADDRESSES) {
            match entry.and_then(|at| shapes.in_address.at(target, at).local()) {
                Ok(raw) => {
                    addresses.push(Ipv4Addr::from(target.from_network(raw, 4) as u32).into());
                }
                Err(error) => errors.push(error),
            }
        }
        Ok((addresses, errors))
    }

    fn ipv6_addresses(&self, device: u64) -> Result<(Vec<IpAddr>, Vec<Error>)> {
        let (target, shapes) = (self.target(), self.shapes());
        let (mut addresses, mut errors) = (Vec::new(), Vec::new());
        let ipv6 = shapes.net_device.at(target, device).ipv6()?;
        if ipv6 == 0 {
            return Ok((addresses, errors));
        }
        let link = shapes.inet6_address.list.offset()?;
        let head = shapes.inet6_device.at(target, ipv6).address_of(|s| &s.addresses)?;
        for entry in list(target, head).take(MAX_ADDRESSES) {
            let address = entry.and_then(|entry| {
                let entry = shapes.inet6_address.at(target, entry.wrapping_sub(link));
                self.address6(entry.address_of(|s| &s.address)?)
            });
            match address {
                Ok(address) => addresses.push(address),
                Err(error) => errors.push(error),
            }
        }
        Ok((addresses, errors))
    }

    /// The hosts that the table of ARP knows, and what could not be read.
    ///
    /// # Errors
    /// This kernel has no such table, or it cannot be read.
    pub fn neighbours(&self) -> Result<(Vec<Neighbour>, Vec<Error>)> {
        let (target, shapes) = (self.target(), self.shapes());
        let table = shapes.device_tables.arp.address()?;
        let hash = shapes.neigh_hash.at(target, shapes.neigh_table.at(target, table).hash()?);
        let (buckets, shift) = (hash.buckets()?, hash.shift()?.min(MAX_HASH_SHIFT));
        let entries = &shapes.neighbour;
        let by_node = entries.hash.exists();
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for bucket in 0..1u64 << shift {
            let at = buckets.wrapping_add(bucket * u64::from(target.pointer_size()));
            let chained: Vec<Result<u64>> = if by_node {
                let link = entries.hash.offset()?;
                hlist(target, at).map(|e| e.map(|e| e.wrapping_sub(link))).collect()
            } else {
                match target.read_pointer(at)? {
                    0 => Vec::new(),
                    first => chain(target, first, entries.next.offset()?).collect(),
                }
            };
            for entry in chained {
                match entry.and_then(|entry| self.neighbour(entry)) {
                    Ok(neighbour) => found.push(neighbour),
                    Err(error) => errors.push(error),
                }
            }
        }
        Ok((found, errors))
    }

    fn neighbour(&self, address: u64) -> Result<Neighbour> {
        let (target, shapes) = (self.target(), self.shapes());
        let entry = shapes.neighbour.at(target, address);
        let device = entry.device()?;
        let hardware = shapes.net_hardware.at(target, device);
        let key = target.read_array::<4>(entry.address_of(|s| &s.key)?)?;
        let bytes = hardware.address_bytes()?.min(shapes.neighbour.hardware.size()?);
        Ok(Neighbour {
            address,
            ip: Ipv4Addr::from(key).into(),
            hardware: target.read_bytes(entry.address_of(|s| &s.hardware)?, bytes)?,
            hardware_kind: hardware.kind()?,
            device: shapes.net_device.at(target, device).text(|s| &s.name)?,
            state: entry.state()?,
        })
    }
}
