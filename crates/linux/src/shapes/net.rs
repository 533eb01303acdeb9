//! include/linux/net.h, netdevice.h, inetdevice.h, include/net/sock.h, if_inet6.h, af_unix.h

shapes! {
    /// A network as some processes see it.
    Net = "net" for net {
        devices: "dev_base_head",
    }
    /// A network device.
    NetDevice = "net_device" for net {
        name: "name",
        list: "dev_list",
        ipv4: maybe "ip_ptr",
        ipv6: maybe "ip6_ptr",
        flags: "flags",
        operstate: maybe "operstate",
        index: "ifindex",
    }
    /// IPv4 on a device.
    InDevice = "in_device" for net {
        addresses: "ifa_list",
    }
    /// An IPv4 address of a device.
    InAddress = "in_ifaddr" for net {
        next: "ifa_next",
        local: "ifa_local",
    }
    /// IPv6 on a device.
    Inet6Device = "inet6_dev" for net {
        addresses: "addr_list",
    }
    /// An IPv6 address of a device.
    Inet6Address = "inet6_ifaddr" for net {
        address: "addr",
        list: "if_list" | "if_next",
    }
    /// What a file descriptor of a socket leads to.
    Socket = "socket" for net files {
        kind: "type",
        state: "state",
        sock: "sk",
    }
    /// The protocol's side of a socket.
    Sock = "sock" for net files {
        family: "__sk_common.skc_family",
        state: "__sk_common.skc_state",
        port: "__sk_common.skc_num",
        peer_port: "__sk_common.skc_dport",
        address: "__sk_common.skc_rcv_saddr",
        peer_address: "__sk_common.skc_daddr",
        address6: maybe "__sk_common.skc_v6_rcv_saddr",
        peer_address6: maybe "__sk_common.skc_v6_daddr",
        protocol: "__sk_common.skc_prot",
        protocol_number: "sk_protocol",
        received: "sk_backlog.rmem_alloc" | "sk_rmem_alloc",
        sent: "sk_wmem_queued",
    }
    /// A protocol.
    Proto = "proto" for net files {
        name: "name",
    }
    /// A unix socket.
    UnixSock = "unix_sock" for net {
        address: "addr",
        peer: "peer",
    }
    /// Its name.
    UnixAddress = "unix_address" for net {
        bytes: "len",
        name: "name",
    }
    /// A netlink socket.
    NetlinkSock = "netlink_sock" for net {
        port: "portid",
        peer: "dst_portid",
    }
    /// A packet socket.
    PacketSock = "packet_sock" for net {
        device: "ifindex",
        protocol: "num",
    }
    /// A vsock socket.
    Vsock = "vsock_sock" for net {
        local: "local_addr",
        remote: "remote_addr",
    }
    /// What is known of the hosts next to this one.
    NeighTable = "neigh_table" for net {
        hash: "nht",
    }
    /// By their addresses.
    NeighHash = "neigh_hash_table" for net {
        buckets: "hash_heads" | "hash_buckets",             // hlist_heads since 6.13
        shift: "hash_shift",
    }
    /// One of them.
    Neighbour = "neighbour" for net {
        hash: maybe "hash",                                 // 6.13
        next: maybe "next",
        state: "nud_state",
        hardware: "ha",
        device: "dev",
        key: "primary_key",
    }
    /// The length of hardware addresses.
    NetHardware = "net_device" for net {
        address_bytes: "addr_len",
        kind: "type",
    }
}
