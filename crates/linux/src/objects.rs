//! Objects of caches that tell what their objects are.

use necropsy_debuginfo::TypeId;

use crate::{Kernel, error::Result, slub::Cache};

/// Objects in use of one type.
#[derive(Debug, Clone)]
pub struct Typed {
    /// The structure's tag.
    pub tag: &'static str,
    /// Its type.
    pub ty: TypeId,
    /// Their cache's name.
    pub cache: String,
    /// Where they lie, ascending.
    pub objects: Vec<u64>,
}

/// Caches whose objects are one structure, where the two have different names.
const TYPES: &[(&str, &str)] = &[
    ("anon_vma", "anon_vma"),
    ("anon_vma_chain", "anon_vma_chain"),
    ("bdev_cache", "bdev_inode"),
    ("blkdev_ioc", "io_context"),
    ("buffer_head", "buffer_head"),
    ("cred_jar", "cred"),
    ("dentry", "dentry"),
    ("eventpoll_epi", "epitem"),
    ("eventpoll_pwq", "eppoll_entry"),
    ("ext4_inode_cache", "ext4_inode_info"),
    ("files_cache", "files_struct"),
    ("filp", "file"),
    ("fs_cache", "fs_struct"),
    ("hugetlbfs_inode_cache", "hugetlbfs_inode_info"),
    ("inode_cache", "inode"),
    ("ip_fib_alias", "fib_alias"),
    ("key_jar", "key"),
    ("kernfs_node_cache", "kernfs_node"),
    ("kmem_cache", "kmem_cache"),
    ("kmem_cache_node", "kmem_cache_node"),
    ("maple_node", "maple_node"),
    ("mm_struct", "mm_struct"),
    ("mnt_cache", "mount"),
    ("mqueue_inode_cache", "mqueue_inode_info"),
    ("net_namespace", "net"),
    ("nsproxy", "nsproxy"),
    ("pid", "pid"),
    ("posix_timers_cache", "k_itimer"),
    ("proc_dir_entry", "proc_dir_entry"),
    ("proc_inode_cache", "proc_inode"),
    ("radix_tree_node", "xa_node"),
    ("shared_policy_node", "sp_node"),
    ("shmem_inode_cache", "shmem_inode_info"),
    ("sighand_cache", "sighand_struct"),
    ("signal_cache", "signal_struct"),
    ("sock_inode_cache", "socket_alloc"),
    ("task_group", "task_group"),
    ("task_struct", "task_struct"),
    ("TCP", "tcp_sock"),
    ("TCPv6", "tcp6_sock"),
    ("UDP", "udp_sock"),
    ("UDPv6", "udp6_sock"),
    ("UNIX", "unix_sock"),
    ("vm_area_struct", "vm_area_struct"),
    ("vmap_area", "vmap_area"),
];

impl Kernel {
    /// The structure that the objects of a cache are, and why that is known; `None` where nobody
    /// tells: a cache that several share, whatever its name is.
    pub fn type_of_cache(&self, cache: &Cache) -> Option<(&'static str, TypeId)> {
        if cache.users > 1 && cache.users as u32 != u32::MAX {
            return None;
        }
        let name = cache.name.as_deref()?;
        // Until 5.8 a control group's own cache had its name behind.
        let name = name.split('(').next().unwrap_or(name);
        let (_, tag) = TYPES.iter().find(|(known, _)| *known == name)?;
        let types = self.types();
        let ty = types.composite(tag)?;
        let size = types.size_of(ty)?;
        // A structure may be given more room than its type has, but not by much less than as much.
        let fits = size <= cache.object_size && cache.object_size < size.saturating_mul(2).max(64);
        // A task, a pid and a `kmem_cache` have a last member of a size that the machine decides.
        let open =
            matches!(*tag, "task_struct" | "pid" | "kmem_cache" | "signal_struct" | "mm_struct");
        (fits || open).then_some((*tag, ty))
    }

    /// The objects in use of a cache, by its name or by that of one that was merged into it, whatever
    /// else it holds.
    ///
    /// # Errors
    /// The caches or slabs cannot be found.
    pub fn objects_of_cache(&self, name: &str) -> Result<Vec<u64>> {
        let (caches, _) = self.slab_caches()?;
        let is = |cache: &&Cache| {
            cache.name.as_deref() == Some(name)
                || (cache.users > 1 && self.cache_aliases(cache).iter().any(|alias| alias == name))
        };
        let Some(cache) = caches.iter().find(is) else { return Ok(Vec::new()) };
        self.objects_in_use(cache)
    }

    fn objects_in_use(&self, cache: &Cache) -> Result<Vec<u64>> {
        let held = self.held_of(cache);
        let mut objects = Vec::new();
        for slab in self.slabs()?.of(cache.address) {
            let states = self.slab_states(cache, slab, &held);
            for number in 0..slab.objects.min(0x7fff) {
                let object = cache.nth(slab, number);
                if states.of(number, object, &held).allocated() == Some(true) {
                    objects.push(object);
                }
            }
        }
        Ok(objects)
    }

    /// The objects in use of every cache whose objects have a known type.
    ///
    /// # Errors
    /// The caches or slabs cannot be found.
    pub fn typed_objects(&self) -> Result<Vec<Typed>> {
        let (caches, _) = self.slab_caches()?;
        let mut all = Vec::new();
        for cache in &caches {
            let Some((tag, ty)) = self.type_of_cache(cache) else { continue };
            let objects = self.objects_in_use(cache)?;
            let cache = cache.name.clone().unwrap_or_default();
            all.push(Typed { tag, ty, cache, objects });
        }
        Ok(all)
    }
}
