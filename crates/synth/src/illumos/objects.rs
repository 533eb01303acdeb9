//! Locks that threads wait for, open files, the tree of devices, a stream, mounts, pools.

use super::kernel::Builder;

impl Builder {
    /// Two threads that wait for each other's mutex, and one that waits for a readers-writer lock,
    /// which the fourth holds for writing.
    pub(super) fn locks(&mut self, threads: &[u64]) {
        let [first, second, third, fourth, ..] = *threads else { return };
        let (mutex_ops, rwlock_ops) = (self.object("sobj_ops"), self.object("sobj_ops"));
        self.set("sobj_ops", mutex_ops, "sobj_type", 1);
        self.set("sobj_ops", rwlock_ops, "sobj_type", 2);
        let locks = [("lock_a", second | 1), ("lock_b", first | 1), ("lock_rw", fourth | 5)];
        let locks = locks.map(|(name, word)| self.pointer(name, word));
        let waits = [(first, locks[0], mutex_ops), (second, locks[1], mutex_ops)];
        for (thread, lock, ops) in waits.into_iter().chain([(third, locks[2], rwlock_ops)]) {
            self.set("_kthread", thread, "t_sobj_ops", ops);
            self.set("_kthread", thread, "t_lwpchan.lc_wchan", lock);
        }
    }

    /// Files of a process: path and `vtype_t`, at every second number.
    pub(super) fn files(&mut self, process: u64, files: &[(&str, u64)]) {
        let size = self.size("uf_entry");
        let table = self.memory.room(size * 2 * files.len() as u64);
        for (index, (path, kind)) in files.iter().enumerate() {
            let (vnode, file) = (self.object("vnode"), self.object("file"));
            let text = self.memory.text(path);
            self.set("vnode", vnode, "v_path", text);
            self.set("vnode", vnode, "v_type", *kind);
            self.set("file", file, "f_vnode", vnode);
            self.set("uf_entry", table + size * 2 * index as u64, "uf_file", file);
        }
        self.set("proc", process, "p_user.u_finfo.fi_nfiles", 2 * files.len() as u64);
        self.set("proc", process, "p_user.u_finfo.fi_list", table);
    }

    /// `i86pc` with a disk controller, its disk, and `pseudo`.
    pub(super) fn devices(&mut self) {
        let nodes = [("i86pc", u64::from(u32::MAX)), ("pci", 0), ("disk", 1), ("pseudo", 0)];
        let found = nodes.map(|(name, instance)| {
            let at = self.object("dev_info");
            let text = self.memory.text(name);
            self.set("dev_info", at, "devi_node_name", text);
            self.set("dev_info", at, "devi_binding_name", text);
            self.set("dev_info", at, "devi_major", if name == "disk" { 91 } else { 0 });
            self.set("dev_info", at, "devi_instance", instance);
            at
        });
        self.set("dev_info", found[0], "devi_child", found[1]);
        self.set("dev_info", found[1], "devi_child", found[2]);
        self.set("dev_info", found[1], "devi_sibling", found[3]);
        self.pointer("top_devinfo", found[0]);
    }

    /// Two queues, `ldterm` above `ptem`, and a message of 12 bytes in the first.
    pub(super) fn stream(&mut self) {
        let mut next = 0;
        for name in ["ptem", "ldterm"] {
            let (queue, init) = (self.object("queue"), self.object("qinit"));
            let info = self.object("module_info");
            let text = self.memory.text(name);
            self.set("module_info", info, "mi_idname", text);
            self.set("qinit", init, "qi_minfo", info);
            self.set("queue", queue, "q_qinfo", init);
            self.set("queue", queue, "q_flag", 0x21);
            self.set("queue", queue, "q_next", next);
            next = queue;
        }
        let (message, block) = (self.object("msgb"), self.object("datab"));
        let bytes = self.memory.room(64);
        for (member, value) in [("b_rptr", bytes), ("b_wptr", bytes + 12), ("b_datap", block)] {
            self.set("msgb", message, member, value);
        }
        self.set("datab", block, "db_base", bytes);
        self.set("datab", block, "db_lim", bytes + 64);
        self.set("datab", block, "db_type", 1);
        self.set("queue", next, "q_first", message);
        self.pointer("stream_head", next);
    }

    /// `/` of type 2 (`zfs`), and the pool `zones`.
    pub(super) fn mounts(&mut self) {
        let size = self.size("vfssw");
        let table = self.variable("vfssw", size * 3);
        let name = self.memory.text("zfs");
        self.set("vfssw", table + 2 * size, "vsw_name", name);
        let (root, mount) = (self.object("vfs"), self.object("refstr"));
        self.set_text("refstr", mount, "rs_string", "/");
        for (member, value) in [("vfs_next", root), ("vfs_fstype", 2), ("vfs_mntpt", mount)] {
            self.set("vfs", root, member, value);
        }
        self.pointer("rootvfs", root);
        let size = self.size("avl_tree");
        let (tree, pool) = (self.variable("spa_namespace_avl", size), self.object("spa"));
        self.set_text("spa", pool, "spa_name", "zones");
        let node = self.place("spa", "spa_avl");
        self.set("avl_tree", tree, "avl_root", pool + node);
        self.set("avl_tree", tree, "avl_offset", node);
        self.set("avl_tree", tree, "avl_numnodes", 1);
    }

    /// Two pieces of memory: pages of the kernel, of ZFS, of a process, of a program, of a file, one
    /// of a file that is free again, and two that are free. So many of each, as `planted` has it.
    pub(super) fn pages(&mut self, planted: &[(&'static str, u64)]) {
        let vnode = self.size("vnode");
        let own = self.variable("kvps", 2 * vnode);
        let (swap, program, file) =
            (self.object("vnode"), self.object("vnode"), self.object("vnode"));
        self.set("vnode", swap, "v_flag", 0x2_0000);
        self.set("vnode", program, "v_flag", 0x1000);
        let of = |what: &str| match what {
            "Kernel" => (own, 0),
            "ZFS File Data" => (own + vnode, 0),
            "Anon" => (swap, 0),
            "Exec and libs" => (program, 0),
            "Page cache" => (file, 0),
            "Free (cachelist)" => (file, 0x80),
            _ => (0, 0x80),
        };
        let all: Vec<(u64, u64)> =
            planted.iter().flat_map(|&(what, count)| (0..count).map(move |_| of(what))).collect();
        let size = self.size("page");
        let mut next = 0;
        for part in all.chunks(all.len().div_ceil(2)) {
            let (segment, pages) =
                (self.object("memseg"), self.memory.room(size * part.len() as u64));
            for (index, &(vnode, state)) in part.iter().enumerate() {
                let at = pages + size * index as u64;
                self.set("page", at, "p_vnode", vnode);
                self.set("page", at, "p_state", state);
            }
            let end = pages + size * part.len() as u64;
            for (member, value) in [("pages", pages), ("epages", end), ("next", next)] {
                self.set("memseg", segment, member, value);
            }
            next = segment;
        }
        let free = planted.iter().filter(|(what, _)| what.starts_with("Free"));
        let free: u64 = free.map(|(_, count)| count).sum();
        self.pointer("memsegs", next);
        self.pointer("freemem", free);
        self.pointer("total_pages", all.len() as u64);
        self.pointer("physmem", all.len() as u64);
    }
}
