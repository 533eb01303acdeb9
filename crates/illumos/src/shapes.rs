//! Which members of which structures objects are made of: declared here, resolved once for a
//! kernel by name. Alternatives stand side by side, the first that a kernel has is used; nothing
//! asks for a release.

use necropsy_debuginfo::TypeId;

use crate::{Error, Kernel, Result};

/// A member of a structure, where this kernel has it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    of: &'static str,
    name: &'static str,
    place: Option<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    bit_offset: u64,
    bit_size: u32,
    size: u64,
    ty: TypeId,
}

impl Field {
    /// The member by the first of its names that the kernel has, in the first of the structures. For
    /// what few ask for, and what lies in another module than `genunix`: [`Shapes`] has the rest.
    pub fn resolve(kernel: &Kernel, owners: &[&'static str], names: &[&'static str]) -> Field {
        let (of, name) = (owners[0], names[0]);
        let types = kernel.types();
        let owner = owners.iter().find_map(|owner| kernel.type_named(owner).ok());
        let found = owner.and_then(|owner| names.iter().find_map(|name| types.member(owner, name)));
        let place = found.map(|member| Place {
            bit_offset: member.bit_offset,
            bit_size: member.bit_size,
            size: types.size_of(member.ty).unwrap_or(0),
            ty: member.ty,
        });
        Field { of, name, place }
    }

    fn place(&self) -> Result<Place> {
        self.place.ok_or_else(|| Error::NoMember { of: self.of.into(), member: self.name.into() })
    }

    /// Whether this kernel has the member.
    pub fn exists(&self) -> bool {
        self.place.is_some()
    }

    /// The member as written: `proc_t.p_stat`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.of, self.name)
    }

    /// Bytes from the start of the structure.
    ///
    /// # Errors
    /// This kernel lacks the member.
    pub fn offset(&self) -> Result<u64> {
        Ok(self.place()?.bit_offset / 8)
    }

    /// Bytes of the member.
    ///
    /// # Errors
    /// This kernel lacks the member.
    pub fn size(&self) -> Result<u64> {
        Ok(self.place()?.size)
    }

    /// Its type.
    ///
    /// # Errors
    /// This kernel lacks the member.
    pub fn ty(&self) -> Result<TypeId> {
        Ok(self.place()?.ty)
    }

    /// Where the member of the structure at `base` lies.
    ///
    /// # Errors
    /// This kernel lacks the member.
    pub fn at(&self, base: u64) -> Result<u64> {
        Ok(base.wrapping_add(self.offset()?))
    }

    /// The member's value as an unsigned number.
    ///
    /// # Errors
    /// This kernel lacks the member, or it cannot be read.
    pub fn get(&self, kernel: &Kernel, base: u64) -> Result<u64> {
        let place = self.place()?;
        let value = kernel.read_uint(self.at(base)?, place.size.clamp(1, 8) as usize)?;
        Ok(match place.bit_size {
            0 | 64.. => value,
            bits => value >> (place.bit_offset % 8) & ((1 << bits) - 1),
        })
    }

    /// The member's value as a signed number.
    ///
    /// # Errors
    /// As [`Field::get`].
    pub fn signed(&self, kernel: &Kernel, base: u64) -> Result<i64> {
        let bits = self.place()?.size.clamp(1, 8) * 8;
        let value = self.get(kernel, base)?;
        Ok((value << (64 - bits)) as i64 >> (64 - bits))
    }

    /// The member as an array of characters.
    ///
    /// # Errors
    /// As [`Field::get`].
    pub fn text(&self, kernel: &Kernel, base: u64) -> Result<String> {
        Ok(kernel.read_string(self.at(base)?, self.place()?.size.clamp(1, 4096) as usize)?)
    }
}

macro_rules! shapes {
    ($(
        $(#[$doc:meta])*
        $shape:ident as $slot:ident = $owners:tt {
            $( $field:ident: $($member:literal)|+ ),* $(,)?
        }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone)]
            #[allow(missing_docs, reason = "the kernel's names say it")]
            pub struct $shape { $( pub $field: Field, )* }
        )*

        /// All of them.
        #[derive(Debug, Clone)]
        #[allow(missing_docs, reason = "the kernel's names say it")]
        pub struct Shapes { $( pub $slot: $shape, )* }

        impl Shapes {
            pub(crate) fn resolve(kernel: &Kernel) -> Shapes {
                Shapes { $(
                    $slot: $shape {
                        $( $field: Field::resolve(kernel, &$owners, &[$($member),+]), )*
                    },
                )* }
            }

            /// Every member, to be listed.
            pub fn all(&self) -> Vec<Field> {
                vec![ $( $( self.$slot.$field, )* )* ]
            }
        }
    };
}

shapes! {
    /// A process (`sys/proc.h`).
    Proc as proc = ["proc_t", "struct proc"] {
        stat: "p_stat", pidp: "p_pidp", pgidp: "p_pgidp", ppid: "p_ppid", parent: "p_parent",
        child: "p_child", sibling: "p_sibling", next: "p_next", sessp: "p_sessp",
        cred: "p_cred", flag: "p_flag", aspace: "p_as", tlist: "p_tlist", zone: "p_zone",
        task: "p_task", comm: "p_user.u_comm", psargs: "p_user.u_psargs",
        start: "p_user.u_start.tv_sec", finfo: "p_user.u_finfo", lwpcnt: "p_lwpcnt",
    }
    /// A process's number (`sys/proc.h`).
    Pid as pid = ["struct pid"] { id: "pid_id" }
    /// A session (`sys/session.h`).
    Sess as sess = ["struct sess", "sess_t"] { sidp: "s_sidp" }
    /// Credentials (`sys/cred_impl.h`).
    Cred as cred = ["struct cred", "cred_t"] {
        uid: "cr_uid", gid: "cr_gid", ruid: "cr_ruid", rgid: "cr_rgid",
    }
    /// A task (`sys/task.h`).
    Task as task = ["task_t", "struct task"] {
        id: "tk_tkid", flags: "tk_flags", proj: "tk_proj", holds: "tk_hold_count",
        zone: "tk_zone",
    }
    /// A project (`sys/project.h`).
    Project as project = ["kproject_t", "struct kproject"] {
        id: "kpj_id", zone_id: "kpj_zoneid", holds: "kpj_count",
    }
    /// A zone (`sys/zone.h`).
    Zone as zone = ["zone_t", "struct zone"] {
        id: "zone_id", name: "zone_name", rootpath: "zone_rootpath", status: "zone_status",
        linkage: "zone_linkage",
    }
    /// A thread (`sys/thread.h`).
    Thread as thread = ["kthread_t", "struct _kthread"] {
        link: "t_link", stk: "t_stk", stkbase: "t_stkbase", startpc: "t_startpc",
        bound_cpu: "t_bound_cpu", flag: "t_flag", proc_flag: "t_proc_flag",
        schedflag: "t_schedflag", state: "t_state", pri: "t_pri", epri: "t_epri",
        pcb: "t_pcb.val" | "t_pcb", wchan0: "t_lwpchan.lc_wchan0", wchan: "t_lwpchan.lc_wchan",
        sobj_ops: "t_sobj_ops", cid: "t_cid", pil: "t_pil", cpu: "t_cpu", intr: "t_intr",
        tid: "t_tid", lwp: "t_lwp", procp: "t_procp", forw: "t_forw", next: "t_next",
        cred: "t_cred", disp_time: "t_disp_time", ts: "t_ts", prioinv: "t_prioinv",
        priforw: "t_priforw", preempt: "t_preempt", taskq: "t_taskq", name: "t_name",
        sigqueue: "t_sigqueue", sig: "t_sig", hold: "t_hold",
    }
    /// A synchronisation object's operations (`sys/sobject.h`).
    Sobj as sobj = ["sobj_ops_t", "struct _sobj_ops"] { kind: "sobj_type" }
    /// A task queue (`sys/taskq_impl.h`).
    Taskq as taskq = ["taskq_t", "struct taskq"] {
        name: "tq_name", flags: "tq_flags", active: "tq_active", nthreads: "tq_nthreads",
        tasks: "tq_tasks", executed: "tq_executed", maxtasks: "tq_maxtasks", pri: "tq_pri",
    }
    /// A CPU (`sys/cpuvar.h`).
    Cpu as cpu = ["cpu_t", "struct cpu"] {
        id: "cpu_id", flags: "cpu_flags", thread: "cpu_thread", idle: "cpu_idle_thread",
        next: "cpu_next", disp: "cpu_disp", runrun: "cpu_runrun", kprunrun: "cpu_kprunrun",
        dispatch_pri: "cpu_dispatch_pri", last_swtch: "cpu_last_swtch", base_spl: "cpu_base_spl",
        intr_actv: "cpu_intr_actv", intr_stack: "cpu_intr_stack", intr_thread: "cpu_intr_thread",
    }
    /// A dispatcher (`sys/disp.h`).
    Disp as disp = ["disp_t", "struct _disp"] {
        nrunnable: "disp_nrunnable", npri: "disp_npri", queue: "disp_q",
    }
    /// A dispatch queue (`sys/disp.h`).
    Dispq as dispq = ["dispq_t", "struct dispq"] { first: "dq_first", count: "dq_sruncnt" }
    /// A list (`sys/list_impl.h`).
    List as list = ["list_t", "struct list"] {
        offset: "list_offset", head: "list_head",
    }
    /// A tree (`sys/avl_impl.h`).
    Avl as avl = ["avl_tree_t", "struct avl_tree"] {
        root: "avl_root", offset: "avl_offset", count: "avl_numnodes",
    }
    /// A tree's node (`sys/avl_impl.h`).
    AvlNode as avl_node = ["struct avl_node", "avl_node_t"] { child: "avl_child", pcb: "avl_pcb" }
    /// A cache of kernel memory (`sys/kmem_impl.h`).
    KmemCache as kmem_cache = ["kmem_cache_t", "struct kmem_cache"] {
        slab_create: "cache_slab_create", slab_destroy: "cache_slab_destroy",
        slab_alloc: "cache_slab_alloc", slab_free: "cache_slab_free",
        alloc_fail: "cache_alloc_fail", buftotal: "cache_buftotal", name: "cache_name",
        bufsize: "cache_bufsize", arena: "cache_arena", cflags: "cache_cflags",
        flags: "cache_flags", chunksize: "cache_chunksize", slabsize: "cache_slabsize",
        bufctl: "cache_bufctl", buftag: "cache_buftag", verify: "cache_verify",
        contents: "cache_contents", hash_shift: "cache_hash_shift",
        hash_mask: "cache_hash_mask", hash_table: "cache_hash_table", link: "cache_link",
        complete: "cache_complete_slabs", partial: "cache_partial_slabs",
        nullslab: "cache_nullslab", magtype: "cache_magtype", full: "cache_full.ml_list",
        full_total: "cache_full.ml_total", full_alloc: "cache_full.ml_alloc", cpus: "cache_cpu",
        dumplog: "cache_dumplog" | "cache_dump.kd_alloc_fails",
    }
    /// A CPU's part of a cache (`sys/kmem_impl.h`).
    KmemCpu as kmem_cpu = ["kmem_cpu_cache_t", "struct kmem_cpu_cache"] {
        alloc: "cc_alloc", loaded: "cc_loaded", ploaded: "cc_ploaded", flags: "cc_flags",
        rounds: "cc_rounds", prounds: "cc_prounds", magsize: "cc_magsize",
        dump_rounds: "cc_dump_rounds", dump_prounds: "cc_dump_prounds",
    }
    /// A magazine (`sys/kmem_impl.h`).
    Magazine as magazine = ["kmem_magazine_t", "struct kmem_magazine"] {
        next: "mag_next", round: "mag_round",
    }
    /// A kind of magazines (`sys/kmem_impl.h`).
    Magtype as magtype = ["kmem_magtype_t", "struct kmem_magtype"] { size: "mt_magsize" }
    /// A slab (`sys/kmem_impl.h`).
    Slab as slab = ["kmem_slab_t", "struct kmem_slab"] {
        base: "slab_base", head: "slab_head", refcnt: "slab_refcnt", chunks: "slab_chunks",
        next: "slab_next", cache: "slab_cache",
    }
    /// What describes a buffer (`sys/kmem_impl.h`).
    Bufctl as bufctl = ["kmem_bufctl_t", "struct kmem_bufctl"] {
        next: "bc_next", addr: "bc_addr", slab: "bc_slab",
    }
    /// What describes an audited buffer (`sys/kmem_impl.h`).
    BufctlAudit as bufctl_audit = ["kmem_bufctl_audit_t", "struct kmem_bufctl_audit"] {
        addr: "bc_addr", slab: "bc_slab", cache: "bc_cache", timestamp: "bc_timestamp",
        thread: "bc_thread", lastlog: "bc_lastlog", contents: "bc_contents", depth: "bc_depth",
        stack: "bc_stack",
    }
    /// What follows a buffer that is checked (`sys/kmem_impl.h`).
    Buftag as buftag = ["kmem_buftag_t", "struct kmem_buftag"] {
        redzone: "bt_redzone", bufctl: "bt_bufctl", bxstat: "bt_bxstat",
    }
    /// A log of transactions (`sys/kmem_impl.h`).
    KmemLog as kmem_log = ["kmem_log_header_t", "struct kmem_log_header"] {
        base: "lh_base", chunksize: "lh_chunksize", nchunks: "lh_nchunks",
    }
    /// An arena (`sys/vmem_impl.h`).
    Vmem as vmem = ["vmem_t", "struct vmem"] {
        name: "vm_name", next: "vm_next", source: "vm_source", seg0: "vm_seg0",
        quantum: "vm_quantum",
        inuse: "vm_kstat.vk_mem_inuse.value.ui64", total: "vm_kstat.vk_mem_total.value.ui64",
        import: "vm_kstat.vk_mem_import.value.ui64", alloc: "vm_kstat.vk_alloc.value.ui64",
        fail: "vm_kstat.vk_fail.value.ui64",
    }
    /// A segment of an arena (`sys/vmem_impl.h`).
    VmemSeg as vmem_seg = ["vmem_seg_t", "struct vmem_seg"] {
        start: "vs_start", end: "vs_end", knext: "vs_knext", anext: "vs_anext", kind: "vs_type",
        depth: "vs_depth", thread: "vs_thread", timestamp: "vs_timestamp", stack: "vs_stack",
    }
    /// A message (`sys/stream.h`).
    Mblk as mblk = ["mblk_t", "struct msgb"] {
        next: "b_next", cont: "b_cont", rptr: "b_rptr", wptr: "b_wptr", flag: "b_flag",
        data: "b_datap",
    }
    /// What a message's bytes lie in (`sys/stream.h`).
    Dblk as dblk = ["dblk_t", "struct datab"] {
        base: "db_base", lim: "db_lim", kind: "db_type",
    }
    /// A queue of messages (`sys/stream.h`).
    Queue as queue = ["queue_t", "struct queue"] {
        info: "q_qinfo", first: "q_first", next: "q_next", count: "q_count", flag: "q_flag",
    }
    /// What goes with a logged message (`sys/log.h`).
    LogCtl as log_ctl = ["log_ctl_t", "struct log_ctl"] { ttime: "ttime", seq_no: "seq_no" }
    /// What a module says of itself (`sys/modctl.h`).
    Modlinkage as modlinkage = ["struct modlinkage"] { rev: "ml_rev", linkage: "ml_linkage" }
    /// A driver's linkage (`sys/modctl.h`).
    Modldrv as modldrv = ["struct modldrv"] { info: "drv_linkinfo" }
    /// A turnstile (`sys/turnstile.h`).
    Turnstile as turnstile = ["turnstile_t", "struct turnstile"] {
        next: "ts_next", free: "ts_free", sobj: "ts_sobj", waiters: "ts_waiters",
        epri: "ts_epri", inheritor: "ts_inheritor", prioinv: "ts_prioinv",
    }
    /// An address space (`vm/as.h`).
    As as aspace = ["struct as"] { segtree: "a_segtree", hat: "a_hat" }
    /// A segment of an address space (`vm/seg.h`).
    Seg as seg = ["struct seg"] { base: "s_base", size: "s_size", ops: "s_ops", data: "s_data" }
    /// A file of a process (`sys/user.h`).
    UfInfo as uf_info = ["uf_info_t", "struct uf_info"] { nfiles: "fi_nfiles", list: "fi_list" }
    /// An entry of a process's table of files (`sys/user.h`).
    UfEntry as uf_entry = ["uf_entry_t", "struct uf_entry"] { file: "uf_file" }
    /// An open file (`sys/file.h`).
    File as file = ["file_t", "struct file"] { vnode: "f_vnode", offset: "f_offset" }
    /// A device (`sys/ddi_impldefs.h`).
    DevInfo as dev_info = ["struct dev_info"] {
        name: "devi_node_name", child: "devi_child", sibling: "devi_sibling",
        instance: "devi_instance", major: "devi_major", binding: "devi_binding_name",
    }
    /// A vnode (`sys/vnode.h`).
    Vnode as vnode = ["vnode_t", "struct vnode"] { path: "v_path", kind: "v_type", vfsp: "v_vfsp" }
}
