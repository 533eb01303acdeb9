//! Sockets (include/linux/net.h, include/net/sock.h): families, states, addresses, queues.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{error::Result, kernel::Kernel};

/// Families of sockets (include/linux/socket.h): the number, and crash's word.
const FAMILIES: [(u64, &str); 18] = [
    (0, "UNSPEC"),
    (1, "UNIX"),
    (2, "INET"),
    (3, "AX25"),
    (4, "IPX"),
    (5, "APPLETALK"),
    (10, "INET6"),
    (15, "KEY"),
    (16, "NETLINK"),
    (17, "PACKET"),
    (21, "RDS"),
    (29, "CAN"),
    (30, "TIPC"),
    (31, "BLUETOOTH"),
    (38, "ALG"),
    (40, "VSOCK"),
    (44, "XDP"),
    (45, "MCTP"),
];
/// Types of sockets (include/linux/net.h).
const TYPES: [(u64, &str); 7] = [
    (1, "STREAM"),
    (2, "DGRAM"),
    (3, "RAW"),
    (4, "RDM"),
    (5, "SEQPACKET"),
    (6, "DCCP"),
    (10, "PACKET"),
];
/// States of TCP, which others borrow (include/net/tcp_states.h).
const STATES: [&str; 14] = [
    "",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
    "BOUND_INACTIVE",
];
/// Longest path of a unix socket, in bytes (UNIX_PATH_MAX).
const MAX_UNIX_PATH: u64 = 108;
/// Bytes of `sun_family`, which a unix socket's address begins with.
const FAMILY_BYTES: u64 = 2;
const UNIX: u64 = 1;
const INET: u64 = 2;
const INET6: u64 = 10;
const NETLINK: u64 = 16;
const PACKET: u64 = 17;
const VSOCK: u64 = 40;

fn word(table: &[(u64, &'static str)], number: u64) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == number).map(|(_, word)| *word)
}

/// A socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketInfo {
    /// Virtual address of the `struct sock`; 0 for one that is closed.
    pub sock: u64,
    /// The family: `INET`, or its number.
    pub family: String,
    /// The type: `STREAM`, or its number.
    pub kind: String,
    /// The state, in TCP's words.
    pub state: Option<&'static str>,
    /// The name of this end; empty without one.
    pub source: String,
    /// The name of the other end.
    pub destination: String,
    /// Bytes that nobody has read yet, as they are charged to the socket.
    pub received: Result<u64>,
    /// Bytes that wait to be sent, likewise.
    pub sent: Result<u64>,
}

impl Kernel {
    /// The protocol of a socket, by its `struct socket`: `TCP`, `UNIX-STREAM`.
    ///
    /// # Errors
    /// A fault.
    pub fn socket_protocol(&self, socket: u64) -> Result<String> {
        let (target, shapes) = (self.target(), self.shapes());
        let sock = shapes.socket.at(target, socket).sock()?;
        if sock == 0 {
            return Ok(String::new());
        }
        let protocol = shapes.sock.at(target, sock).protocol()?;
        shapes.proto.name.text(target, protocol)
    }

    /// A socket by its `struct socket`, which `file.private_data` leads to.
    ///
    /// # Errors
    /// A fault.
    pub fn socket(&self, socket: u64) -> Result<SocketInfo> {
        let (target, shapes) = (self.target(), self.shapes());
        let outer = shapes.socket.at(target, socket);
        let (sock, kind) = (outer.sock()?, outer.kind()?);
        let kind = word(&TYPES, kind).map_or_else(|| kind.to_string(), str::to_owned);
        let mut info = SocketInfo {
            sock,
            family: String::new(),
            kind,
            state: None,
            source: String::new(),
            destination: String::new(),
            received: Ok(0),
            sent: Ok(0),
        };
        if sock == 0 {
            return Ok(info);
        }
        let inner = shapes.sock.at(target, sock);
        let family = inner.family()?;
        info.family = word(&FAMILIES, family).map_or_else(|| family.to_string(), str::to_owned);
        (info.received, info.sent) = (inner.received(), inner.sent());
        let state = inner.state()? as usize;
        info.state = STATES.get(state).copied().filter(|word| !word.is_empty());
        match family {
            INET => {
                let address =
                    |raw: u64| IpAddr::V4(Ipv4Addr::from(target.from_network(raw, 4) as u32));
                let (near, far) = (address(inner.address()?), address(inner.peer_address()?));
                (info.source, info.destination) = self.inet_ends(sock, near, far)?;
            }
            INET6 => {
                let near = self.address6(inner.address_of(|s| &s.address6)?)?;
                let far = self.address6(inner.address_of(|s| &s.peer_address6)?)?;
                (info.source, info.destination) = self.inet_ends(sock, near, far)?;
            }
            UNIX => {
                let peer = shapes.unix_sock.at(target, sock).peer()?;
                info.source = self.unix_name(sock)?;
                if peer != 0 {
                    info.destination = self.unix_name(peer)?;
                }
            }
            NETLINK => {
                let netlink = shapes.netlink_sock.at(target, sock);
                info.source = netlink.port()?.to_string();
                info.destination = netlink.peer()?.to_string();
                // Netlink has states of its own.
                info.state = None;
            }
            PACKET => {
                let packet = shapes.packet_sock.at(target, sock);
                let protocol = target.from_network(packet.protocol()?, 2);
                info.source = format!("device {} protocol {protocol:#06x}", packet.device()?);
            }
            VSOCK => {
                let vsock = shapes.vsock.at(target, sock);
                info.source = self.vsock_name(vsock.address_of(|s| &s.local)?)?;
                info.destination = self.vsock_name(vsock.address_of(|s| &s.remote)?)?;
            }
            _ => info.state = None,
        }
        Ok(info)
    }

    /// `127.0.0.1-8080`: both ends, as crash has them.
    fn inet_ends(&self, sock: u64, near: IpAddr, far: IpAddr) -> Result<(String, String)> {
        let sock = self.shapes().sock.at(self.target(), sock);
        let far_port = self.target().from_network(sock.peer_port()?, 2);
        Ok((format!("{near}-{}", sock.port()?), format!("{far}-{far_port}")))
    }

    /// The IPv6 address at a virtual address.
    pub(crate) fn address6(&self, at: u64) -> Result<IpAddr> {
        Ok(IpAddr::V6(Ipv6Addr::from(self.target().read_array::<16>(at)?)))
    }

    /// The name of a unix socket: a path, or `@` and an abstract name; empty without one.
    fn unix_name(&self, sock: u64) -> Result<String> {
        let (target, shapes) = (self.target(), self.shapes());
        let address = shapes.unix_sock.at(target, sock).address()?;
        if address == 0 {
            return Ok(String::new());
        }
        let address = shapes.unix_address.at(target, address);
        let len = address.bytes()?.saturating_sub(FAMILY_BYTES).min(MAX_UNIX_PATH);
        let name = address.address_of(|s| &s.name)?.wrapping_add(FAMILY_BYTES);
        let bytes = target.read_bytes(name, len)?;
        let (at, bytes) = match bytes.split_first() {
            Some((0, rest)) => ("@", rest),
            _ => ("", bytes.split(|byte| *byte == 0).next().unwrap_or(&bytes)),
        };
        Ok(format!("{at}{}", bytes.escape_ascii()))
    }

    /// `cid:port` of a `struct sockaddr_vm` (include/uapi/linux/vm_sockets.h): the port is at 4,
    /// the context ID at 8.
    fn vsock_name(&self, at: u64) -> Result<String> {
        let port = self.target().read_u32(at.wrapping_add(4))?;
        let cid = self.target().read_u32(at.wrapping_add(8))?;
        let part =
            |number: u32| if number == u32::MAX { "any".to_owned() } else { number.to_string() };
        Ok(format!("{}:{}", part(cid), part(port)))
    }
}
