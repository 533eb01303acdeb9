//! Locks that threads wait for, open files, the tree of devices.

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
            self.set("dev_info", at, "devi_instance", instance);
            at
        });
        self.set("dev_info", found[0], "devi_child", found[1]);
        self.set("dev_info", found[1], "devi_child", found[2]);
        self.set("dev_info", found[1], "devi_sibling", found[3]);
        self.pointer("top_devinfo", found[0]);
    }
}
