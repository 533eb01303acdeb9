//! Lists (`list_t`) and balanced trees (`avl_tree_t`): walked with bounds, cycles are told.

use hashbrown::HashSet;

use crate::{Error, Kernel, Result, error::damaged};

/// Most elements of one list or tree.
pub const MAX_ELEMENTS: usize = 10_000_000;
/// Deepest tree: a balanced one of 2⁶⁴ nodes is not twice as deep.
const MAX_DEPTH: usize = 128;

/// Elements in order, and why there are no more if that is not the end.
#[derive(Debug, Clone, Default)]
pub struct Walk {
    /// Addresses.
    pub found: Vec<u64>,
    /// What stopped it.
    pub problem: Option<Error>,
}

impl Walk {
    /// Follows links until `stop` or a null pointer.
    pub fn follow(
        start: u64,
        stop: impl Fn(u64) -> bool,
        mut next: impl FnMut(u64) -> Result<u64>,
    ) -> Walk {
        let mut walk = Walk::default();
        let mut seen = HashSet::new();
        let mut at = start;
        while at != 0 && !stop(at) {
            if !seen.insert(at) || walk.found.len() >= MAX_ELEMENTS {
                walk.problem = Some(Error::Damaged(format!("the list runs in a circle at {at:x}")));
                break;
            }
            walk.found.push(at);
            match next(at) {
                Ok(link) => at = link,
                Err(error) => {
                    walk.problem = Some(error);
                    break;
                }
            }
        }
        walk
    }

    /// A ring: every element until the first comes again.
    pub fn ring(start: u64, mut next: impl FnMut(u64) -> Result<u64>) -> Walk {
        Walk::follow(
            start,
            |_| false,
            |at| {
                let link = next(at)?;
                Ok(if link == start { 0 } else { link })
            },
        )
    }

    fn failed(error: Error) -> Walk {
        Walk { found: Vec::new(), problem: Some(error) }
    }
}

impl Kernel {
    /// The elements of the `list_t` at `list`.
    pub fn list(&self, list: u64) -> Walk {
        let shape = &self.shapes().list;
        let head = || -> Result<(u64, u64, u64)> {
            let head = shape.head.at(list)?;
            Ok((shape.offset.get(self, list)?, head, self.read_u64(head)?))
        };
        let (offset, head, first) = match head() {
            Ok(found) => found,
            Err(error) => return Walk::failed(error),
        };
        let mut walk = Walk::follow(first, |at| at == head, |at| Ok(self.read_u64(at)?));
        for element in &mut walk.found {
            *element = element.wrapping_sub(offset);
        }
        walk
    }

    /// The elements of the `avl_tree_t` at `tree`, in order.
    pub fn avl(&self, tree: u64) -> Walk {
        let (shape, node) = (&self.shapes().avl, &self.shapes().avl_node);
        let head = || -> Result<(u64, u64, u64)> {
            Ok((
                shape.root.get_pointer(self, tree)?,
                shape.offset.get(self, tree)?,
                node.child.offset()?,
            ))
        };
        let (root, offset, child) = match head() {
            Ok(found) => found,
            Err(error) => return Walk::failed(error),
        };
        let mut walk = Walk::default();
        let mut seen = HashSet::new();
        let mut stack: Vec<u64> = Vec::new();
        let mut at = root;
        let mut step = || -> Result<()> {
            while at != 0 || !stack.is_empty() {
                if at != 0 {
                    if !seen.insert(at) || stack.len() > MAX_DEPTH {
                        return damaged(format!("the tree runs in a circle at {at:x}"));
                    }
                    stack.push(at);
                    at = self.read_u64(at.wrapping_add(child))?;
                } else if let Some(node) = stack.pop() {
                    walk.found.push(node.wrapping_sub(offset));
                    at = self.read_u64(node.wrapping_add(child + 8))?;
                }
            }
            Ok(())
        };
        let problem = step().err();
        walk.problem = problem;
        walk
    }
}

impl crate::shapes::Field {
    /// The member as a pointer of 8 bytes.
    ///
    /// # Errors
    /// As [`crate::shapes::Field::get`].
    pub fn get_pointer(&self, kernel: &Kernel, base: u64) -> Result<u64> {
        Ok(kernel.read_u64(self.at(base)?)?)
    }
}
