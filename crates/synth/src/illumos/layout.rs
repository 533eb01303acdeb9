//! Layouts of structures: names and offsets of the headers of December 2019 (LP64), irrelevant
//! members left out. They are what objects are written by, and what the types are made of.

use std::collections::HashMap;

/// `struct NAME SIZE: TYPE MEMBER OFFSET, …`; a type is a base type, `ptr`, `struct NAME`, or one
/// of them with `*COUNT` behind it.
const STRUCTURES: &str = "\
list_node 16: ptr list_next 0, ptr list_prev 8
list 32: ulong list_size 0, ulong list_offset 8, struct:list_node list_head 16
avl_node 24: ptr*2 avl_child 0, ulong avl_pcb 16
avl_tree 40: ptr avl_root 0, ptr avl_compar 8, ulong avl_offset 16, ulong avl_numnodes 24, ulong avl_size 32
pid 40: uint pid_id 4
sess 64: ptr s_sidp 0
cred 128: uint cr_ref 0, int cr_uid 4, int cr_gid 8, int cr_ruid 12, int cr_rgid 16
uf_info 80: int fi_nfiles 8, ptr fi_list 16
uf_entry 48: ptr uf_file 8
file 64: ptr f_vnode 8
vnode 208: uint v_flag 40, int v_type 56, ptr v_path 176
memseg 64: ptr pages 0, ptr epages 8, ulong pages_base 16, ulong pages_end 24, ptr next 32
page 120: ulong p_offset 0, ptr p_vnode 8, uchar p_state 62
dev_info 400: ptr devi_child 8, ptr devi_sibling 16, ptr devi_binding_name 24, int devi_major 32, int devi_instance 48, ptr devi_node_name 64
user 2496: char*17 u_comm 480, char*80 u_psargs 497, struct:uf_info u_finfo 2400
proc 4232: ptr p_exec 0, ptr p_as 8, ptr p_cred 32, char p_stat 44, int p_ppid 52, ptr p_parent 64, ptr p_child 72, ptr p_sibling 80, ptr p_next 112, ptr p_sessp 168, ptr p_pidp 176, ptr p_pgidp 184, uint p_flag 204, ptr p_tlist 400, ptr p_zone 1600, struct:user p_user 1696
lwpchan 16: ptr lc_wchan0 0, ptr lc_wchan 8
label 64: long*8 val 0
sobj_ops 32: int sobj_type 0
taskq 280: char*32 tq_name 0
_kthread 936: ptr t_link 0, ptr t_stk 8, ptr t_startpc 16, ptr t_bound_cpu 24, ushort t_flag 36, ushort t_proc_flag 38, ushort t_schedflag 40, uint t_state 44, short t_pri 48, short t_epri 50, struct:label t_pcb 56, struct:lwpchan t_lwpchan 120, ptr t_sobj_ops 136, int t_cid 144, uchar t_pil 210, ptr t_cpu 216, ptr t_intr 256, uint t_tid 304, ptr t_forw 368, ptr t_lwp 392, ptr t_procp 400, ptr t_next 416, ptr t_cred 456, ptr t_ts 576, ptr t_prioinv 568, ptr t_stkbase 656, ptr t_taskq 776, ptr t_name 920
dispq 24: ptr dq_first 0, ptr dq_last 8, int dq_sruncnt 16
disp 128: short disp_npri 8, ptr disp_q 16, int disp_nrunnable 72
cpu 1568: int cpu_id 0, uint cpu_flags 8, ptr cpu_thread 24, ptr cpu_idle_thread 32, ptr cpu_next 88, ptr cpu_disp 208, char cpu_runrun 216, char cpu_kprunrun 217, long cpu_last_swtch 240, int cpu_base_spl 268
queue 248: ptr q_qinfo 0, ptr q_first 8, ptr q_next 24, ulong q_count 48, uint q_flag 56
qinit 56: ptr qi_minfo 40
module_info 40: ushort mi_idnum 0, ptr mi_idname 8
msgb 64: ptr b_next 0, ptr b_cont 16, ptr b_rptr 24, ptr b_wptr 32, ptr b_datap 40, ushort b_flag 50
datab 112: ptr db_base 8, ptr db_lim 16, uchar db_type 25
refstr 16: uint rs_size 0, char*1 rs_string 8
vfs 224: ptr vfs_next 0, int vfs_fstype 56, ptr vfs_mntpt 120
vfssw 64: ptr vsw_name 0
spa 320: char*256 spa_name 0, struct:avl_node spa_avl 256, int spa_state 280
log_ctl 24: int ttime 12
utsname 1285: char*257 sysname 0, char*257 nodename 257, char*257 release 514, char*257 version 771, char*257 machine 1028
kmem_maglist 40: ptr ml_list 0, long ml_total 8, ulong ml_alloc 32
kmem_cpu_cache 64: ulong cc_alloc 8, ptr cc_loaded 24, ptr cc_ploaded 32, int cc_flags 40, short cc_rounds 44, short cc_prounds 46, short cc_magsize 48, short cc_dump_rounds 50, short cc_dump_prounds 52
kmem_magtype 32: int mt_magsize 0
kmem_magazine 16: ptr mag_next 0, ptr mag_round 8
kmem_slab 72: ptr slab_cache 0, ptr slab_base 8, struct:avl_node slab_link 16, ptr slab_head 40, long slab_refcnt 48, long slab_chunks 56
kmem_bufctl 24: ptr bc_next 0, ptr bc_addr 8, ptr bc_slab 16
kmem_bufctl_audit 192: ptr bc_next 0, ptr bc_addr 8, ptr bc_slab 16, ptr bc_cache 24, long bc_timestamp 32, ptr bc_thread 40, ptr bc_lastlog 48, ptr bc_contents 56, int bc_depth 64, ulong*15 bc_stack 72
kmem_buftag 24: ulong bt_redzone 0, ptr bt_bufctl 8, long bt_bxstat 16
kmem_log_header 112: ptr lh_base 8, ulong lh_chunksize 24, int lh_nchunks 32
kmem_cache 632: ulong cache_slab_create 0, ulong cache_slab_destroy 8, ulong cache_slab_alloc 16, ulong cache_slab_free 24, ulong cache_alloc_fail 32, ulong cache_buftotal 40, char*32 cache_name 104, ulong cache_bufsize 136, ptr cache_arena 192, int cache_cflags 200, int cache_flags 204, struct:list_node cache_link 224, ulong cache_chunksize 248, ulong cache_slabsize 256, ulong cache_bufctl 272, ulong cache_buftag 280, ulong cache_verify 288, ulong cache_contents 296, ulong cache_hash_shift 328, ulong cache_hash_mask 336, struct:list cache_complete_slabs 344, struct:avl_tree cache_partial_slabs 384, ptr cache_hash_table 440, ptr cache_magtype 464, struct:kmem_maglist cache_full 472, struct:kmem_cpu_cache*1 cache_cpu 568
zone 904: ptr zone_name 0, struct:list_node zone_linkage 40, int zone_id 56, ptr zone_rootpath 136, int zone_status 148
flags_demo 16: bits3 low 0, bits5 high 0, int after 8
large_demo 9000: int first 0, int last 8996
";

/// Other names of structures.
const TYPEDEFS: &[(&str, &str)] = &[
    ("proc_t", "proc"),
    ("uf_info_t", "uf_info"),
    ("uf_entry_t", "uf_entry"),
    ("file_t", "file"),
    ("vnode_t", "vnode"),
    ("page_t", "page"),
    ("kthread_t", "_kthread"),
    ("cpu_t", "cpu"),
    ("disp_t", "disp"),
    ("dispq_t", "dispq"),
    ("list_t", "list"),
    ("avl_tree_t", "avl_tree"),
    ("sobj_ops_t", "sobj_ops"),
    ("taskq_t", "taskq"),
    ("zone_t", "zone"),
    ("mblk_t", "msgb"),
    ("queue_t", "queue"),
    ("log_ctl_t", "log_ctl"),
    ("kmem_cache_t", "kmem_cache"),
    ("kmem_cpu_cache_t", "kmem_cpu_cache"),
    ("kmem_magazine_t", "kmem_magazine"),
    ("kmem_magtype_t", "kmem_magtype"),
    ("kmem_slab_t", "kmem_slab"),
    ("kmem_bufctl_t", "kmem_bufctl"),
    ("kmem_bufctl_audit_t", "kmem_bufctl_audit"),
    ("kmem_buftag_t", "kmem_buftag"),
    ("kmem_log_header_t", "kmem_log_header"),
];

/// Structures whose members another release has elsewhere: all but the smallest.
const MOVED: &[&str] = &["proc", "_kthread", "cpu", "kmem_cache", "zone"];

/// A member: its type's name, how many, where.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) ty: &'static str,
    pub(super) count: u64,
    pub(super) offset: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Structure {
    pub(super) name: &'static str,
    pub(super) size: u64,
    pub(super) members: Vec<Member>,
}

#[derive(Debug)]
pub(super) struct Layouts {
    pub(super) all: Vec<Structure>,
    by_name: HashMap<&'static str, usize>,
}

impl Layouts {
    /// Members from 8 bytes on lie `shift` bytes further on; without thread names if not `named`.
    pub(super) fn new(shift: u64, named: bool) -> Layouts {
        let mut all = Vec::new();
        let mut by_name = HashMap::new();
        for line in STRUCTURES.lines() {
            let (head, members) = line.split_once(": ").expect("a structure");
            let (name, size) = head.split_once(' ').expect("a size");
            let shift = if MOVED.contains(&name) { shift } else { 0 };
            let members = members
                .split(", ")
                .map(|member| {
                    let mut words = member.split(' ');
                    let ty = words.next().expect("a type");
                    let (ty, count) = ty
                        .split_once('*')
                        .map_or((ty, 0), |(ty, count)| (ty, count.parse().expect("a count")));
                    let name = words.next().expect("a name");
                    let offset: u64 = words.next().expect("an offset").parse().expect("a number");
                    let offset = if offset >= 8 { offset + shift } else { offset };
                    Member { name, ty, count, offset }
                })
                .filter(|member| named || member.name != "t_name")
                .collect();
            by_name.insert(name, all.len());
            let size = size.parse::<u64>().expect("a number") + shift;
            all.push(Structure { name, size, members });
        }
        Layouts { all, by_name }
    }

    pub(super) fn typedefs(&self) -> &'static [(&'static str, &'static str)] {
        TYPEDEFS
    }

    pub(super) fn get(&self, name: &str) -> &Structure {
        &self.all[self.by_name[name]]
    }

    pub(super) fn size(&self, name: &str) -> u64 {
        self.get(name).size
    }

    /// Offset of `a.b` and bytes of what is there.
    pub(super) fn place(&self, name: &str, path: &str) -> (u64, u64) {
        let (first, rest) = path.split_once('.').map_or((path, None), |(a, b)| (a, Some(b)));
        let structure = self.get(name);
        let member = structure.members.iter().find(|member| member.name == first);
        let member = member.unwrap_or_else(|| panic!("no {name}.{first}"));
        match (member.ty.strip_prefix("struct:"), rest) {
            (Some(inner), Some(rest)) => {
                let (offset, size) = self.place(inner, rest);
                (member.offset + offset, size)
            }
            (Some(inner), None) => (member.offset, self.size(inner)),
            (None, _) => (member.offset, size_of(member.ty)),
        }
    }
}

/// Bytes of a base type.
pub(super) fn size_of(ty: &str) -> u64 {
    match ty {
        "char" | "uchar" => 1,
        "short" | "ushort" => 2,
        "int" | "uint" | "bits3" | "bits5" => 4,
        _ => 8,
    }
}
