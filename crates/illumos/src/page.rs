//! Physical pages (`vm/page.h`): what they are used for.

use hashbrown::HashMap;

use crate::{Kernel, Result, list::Walk, shapes::Field};

/// `P_FREE` and `P_BOOTPAGES` of `p_state`.
const P_FREE: u8 = 0x80;
const P_BOOTPAGES: u8 = 0x8;
/// `VVMEXEC` and `VISSWAPFS` of `v_flag` (`sys/vnode.h`).
const VVMEXEC: u64 = 0x1000;
const VISSWAPFS: u64 = 0x2_0000;
/// How many pages are read at once.
const BATCH: u64 = 512;
/// Most pages of one piece of memory: 64 TiB of them.
const MAX_PAGES: u64 = 1 << 34;

/// Numbers of pages by what they are used for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageUse {
    /// The kernel's own.
    pub kernel: u64,
    /// What the boot loader brought.
    pub boot: u64,
    /// Files of ZFS.
    pub zfs: u64,
    /// Anonymous memory of processes.
    pub anon: u64,
    /// Programs and libraries.
    pub exec: u64,
    /// Other files.
    pub files: u64,
    /// Free, and still what a file holds.
    pub cachelist: u64,
    /// Free.
    pub freelist: u64,
    /// All that the kernel has (`total_pages`).
    pub total: u64,
    /// All that the machine has (`physmem`).
    pub physical: u64,
    /// Pages whose structure is not in the dump.
    pub lost: u64,
}

/// The vnodes that stand for the kernel's memory.
struct KernelVnodes {
    first: u64,
    count: u64,
    size: u64,
    zfs: Option<u64>,
    /// Pages that the administrator took away from the kernel.
    unused: Option<u64>,
}

/// What a page belongs to.
enum Class {
    Kernel,
    Zfs,
    Anon,
    Exec,
    File,
}

impl Kernel {
    /// What pages are used for: every `page_t` is looked at. `stop` tells whether to give up.
    ///
    /// # Errors
    /// The kernel keeps its pages in another way.
    pub fn page_use(&self, stop: &dyn Fn() -> bool) -> Result<(PageUse, Walk)> {
        let field = |owner: [&'static str; 2], name| Field::resolve(self, &owner, &[name]);
        let of_memseg = |name| field(["struct memseg", "memseg_t"], name);
        let (pages, epages, next) = (of_memseg("pages"), of_memseg("epages"), of_memseg("next"));
        let of_page = |name| field(["page_t", "struct page"], name);
        let (vnode_at, state_at) = (of_page("p_vnode").offset()?, of_page("p_state").offset()?);
        let size = self.types().size_of(self.type_named("page_t")?).unwrap_or(0);
        let v_flag = field(["vnode_t", "struct vnode"], "v_flag");
        let own = self.kernel_vnodes()?;
        let first = self.pointer("memsegs")?;
        let walk = Walk::follow(first, |_| false, |at| next.get(self, at));

        let mut found = PageUse {
            total: self.pointer("total_pages")?,
            physical: self.pointer("physmem")?,
            ..PageUse::default()
        };
        let mut classes: HashMap<u64, Class> = HashMap::new();
        // No more structures are looked for than twice what the dump's pages could hold of them.
        let header = self.dump().header();
        let in_dump = header.npages.saturating_mul(header.pagesize).checked_div(size).unwrap_or(0);
        let mut left = in_dump.saturating_mul(2);
        for &segment in &walk.found {
            let (first, end) = (pages.get(self, segment)?, epages.get(self, segment)?);
            let count = end.saturating_sub(first).checked_div(size).unwrap_or(0).min(MAX_PAGES);
            found.lost = found.lost.saturating_add(count.saturating_sub(left));
            let count = count.min(left);
            left -= count;
            let mut done = 0;
            while done < count && !stop() {
                let batch = BATCH.min(count - done);
                let at = first.wrapping_add(done.wrapping_mul(size));
                done += batch;
                let Ok(bytes) = self.read_bytes(at, batch.saturating_mul(size)) else {
                    found.lost += batch;
                    continue;
                };
                for page in bytes.chunks_exact(size as usize) {
                    let word = page.get(vnode_at as usize..).and_then(|rest| rest.first_chunk());
                    let vnode = word.map_or(0, |word| u64::from_le_bytes(*word));
                    let state = page.get(state_at as usize).copied().unwrap_or(0);
                    if state & P_BOOTPAGES != 0 {
                        found.boot += 1;
                        continue;
                    }
                    if vnode == 0 || Some(vnode) == own.unused {
                        continue;
                    }
                    let class = classes
                        .entry(vnode)
                        .or_insert_with(|| own.class(vnode, || v_flag.get(self, vnode)));
                    match class {
                        Class::Kernel => found.kernel += 1,
                        Class::Zfs => found.zfs += 1,
                        _ if state & P_FREE != 0 => found.cachelist += 1,
                        Class::Anon => found.anon += 1,
                        Class::Exec => found.exec += 1,
                        Class::File => found.files += 1,
                    }
                }
            }
        }
        found.freelist = self.pointer("freemem")?.saturating_sub(found.cachelist);
        Ok((found, walk))
    }

    /// An array of them; of older kernels one, and another of ZFS.
    fn kernel_vnodes(&self) -> Result<KernelVnodes> {
        let size = self.types().size_of(self.type_named("vnode_t")?).unwrap_or(0).max(1);
        let unused = self.address_of("unused_pages_vp").ok();
        let Some(all) = self.symbol("kvps") else {
            let first = self.address_of("kvp")?;
            let zfs = self.address_of("zvp").ok();
            return Ok(KernelVnodes { first, count: 1, size, zfs, unused });
        };
        // KV_KVP, KV_ZVP, and what newer ones have.
        let zfs = self.types().enumerator("KV_ZVP").map_or(1, |(index, _)| index as u64);
        Ok(KernelVnodes {
            first: all.address,
            count: (all.size / size).max(2),
            size,
            zfs: Some(all.address.wrapping_add(zfs.wrapping_mul(size))),
            unused,
        })
    }
}

impl KernelVnodes {
    fn class(&self, vnode: u64, flags: impl Fn() -> Result<u64>) -> Class {
        if self.zfs == Some(vnode) {
            return Class::Zfs;
        }
        if vnode.wrapping_sub(self.first) < self.count * self.size {
            return Class::Kernel;
        }
        // Of a vnode that is not there a page is still one of a file.
        match flags().unwrap_or(0) {
            flags if flags & VISSWAPFS != 0 => Class::Anon,
            flags if flags & VVMEXEC != 0 => Class::Exec,
            _ => Class::File,
        }
    }
}
