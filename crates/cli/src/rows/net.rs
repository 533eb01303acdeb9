//! Networks.

use necropsy_rows::{Faults, Hex, row};

row! {
    /// A network device.
    #[derive(Debug)]
    pub struct NetDeviceRow {
        /// Its `struct net_device`.
        pub net_device: Hex,
        /// Its name.
        pub name: Option<String>,
        /// Its addresses: IPv4, then IPv6.
        pub addresses: Vec<String>,
        /// `up` or `down`.
        pub state: Option<&'static str>,
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// A socket of a task (`net -s`).
    #[derive(Debug)]
    pub struct SocketRow {
        /// The task.
        pub pid: Option<u64>,
        /// The file descriptor.
        pub fd: u64,
        /// Its `struct socket`.
        pub socket: Hex,
        /// Its `struct sock`.
        pub sock: Hex,
        /// The family: `INET`, `INET6`, `UNIX`, `NETLINK`, …
        pub family: String,
        /// The type: `STREAM`, `DGRAM`, …
        pub socket_type: String [key "type"],
        /// The state: `ESTABLISHED`, `LISTEN`, …
        pub state: Option<&'static str>,
        /// The name of this end.
        pub source: String,
        /// The name of the other end.
        pub destination: String,
        /// Memory of what nobody has read yet.
        pub received_bytes: Option<u64> [bytes],
        /// Memory of what waits to be sent.
        pub sent_bytes: Option<u64> [bytes],
    }

    /// A host next to this one (`net -a`).
    #[derive(Debug)]
    pub struct NeighbourRow {
        /// Its `struct neighbour`.
        pub neighbour: Hex,
        /// Its address.
        pub address: String,
        /// The kind of hardware.
        pub hardware_type: &'static str,
        /// Its hardware address.
        pub hardware_address: String,
        /// The device that leads to it.
        pub device: String,
        /// What is known of it: `REACHABLE`, `STALE`, …
        pub state: String,
    }
}
