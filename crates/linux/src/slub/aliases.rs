//! Names of caches that were merged into another one: links in the folder of caches in sysfs, which
//! are all that is left of them.

use std::{collections::HashMap, sync::OnceLock};

use super::cache::Cache;
use crate::{
    Kernel,
    error::Result,
    rbtree::{Order, rbtree},
};

/// By the `kernfs_node` that a link leads to.
#[derive(Debug, Default)]
struct Links(OnceLock<HashMap<u64, Vec<String>>>);

/// KERNFS_LINK among the bits of KERNFS_TYPE_MASK (include/linux/kernfs.h).
const LINK: u64 = 4;
const KIND: u64 = 0xf;

impl Kernel {
    /// The names of the caches that are one with this one, as far as sysfs keeps them; without its
    /// own.
    pub fn cache_aliases(&self, cache: &Cache) -> Vec<String> {
        let links = self.memo::<Links>().0.get_or_init(|| self.cache_links().unwrap_or_default());
        let node = self.shapes().kmem_cache.sysfs.read(self.target(), cache.address);
        let Some(names) = node.ok().and_then(|node| links.get(&node)) else { return Vec::new() };
        let own = cache.name.as_deref();
        let mut names: Vec<String> =
            names.iter().filter(|name| Some(name.as_str()) != own).cloned().collect();
        names.sort();
        names
    }

    fn cache_links(&self) -> Result<HashMap<u64, Vec<String>>> {
        let (shapes, target) = (self.shapes(), self.target());
        let set = target.read_pointer(shapes.slab_variables.slab_kset.address()?)?;
        let folder = shapes.kset.sysfs.read(target, set)?;
        let shape = &shapes.kernfs_tree;
        let (root, node) = (shape.children.address(folder)?, shape.node.offset()?);
        let mut links: HashMap<u64, Vec<String>> = HashMap::new();
        for entry in rbtree(target, root, Order::FromRoot).filter_map(Result::ok) {
            let at = shape.at(target, entry.address.wrapping_sub(node));
            if at.flags()? & KIND != LINK {
                continue;
            }
            let name = target.read_cstr(at.name()?, 64)?;
            links.entry(at.leads_to()?).or_default().push(name);
        }
        Ok(links)
    }
}
