//! What the shell of the product asks the kernel: does a name exist, and which begin so.

/// The kernel's names, as the language (a line that begins with no command) and completion
/// need them.
///
/// Completion runs while a line is edited: answers come from indexes at hand, and stop at `limit`.
pub trait Names: Send + Sync {
    /// The virtual address of the kernel symbol `name`.
    fn symbol(&self, name: &str) -> Option<u64> {
        let _ = name;
        None
    }
    /// What kind of type `name` is.
    fn type_kind(&self, name: &str) -> Option<TypeKind> {
        let _ = name;
        None
    }
    /// Symbols that begin with `prefix`, at most `limit`.
    fn symbols(&self, prefix: &str, limit: usize) -> Vec<String> {
        let _ = (prefix, limit);
        Vec::new()
    }
    /// Structs, unions and typedefs that begin with `prefix`, at most `limit`.
    fn types(&self, prefix: &str, limit: usize) -> Vec<String> {
        let _ = (prefix, limit);
        Vec::new()
    }
    /// Members that begin with `prefix` of what `path` names: a type or a variable with members
    /// behind it, `task_struct.mm` or `init_task.mm`.
    fn members(&self, path: &str, prefix: &str, limit: usize) -> Vec<String> {
        let _ = (path, prefix, limit);
        Vec::new()
    }
    /// Pids and command names of tasks that begin with `prefix`.
    fn tasks(&self, prefix: &str, limit: usize) -> Vec<String> {
        let _ = (prefix, limit);
        Vec::new()
    }
}

/// Which command shows a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeKind {
    /// `struct` does, for typedefs of structs too.
    Struct,
    /// `union` does.
    Union,
    /// `whatis` does: enums, typedefs of scalars.
    Other,
}

/// No kernel: nothing has a name.
#[derive(Debug)]
pub struct NoNames;

impl Names for NoNames {}
