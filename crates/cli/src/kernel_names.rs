//! The kernel's names for the language and completion.

use necropsy_debuginfo::{CompositeKind, Kind, Type, TypeId, Types};
use necropsy_linux::Kernel;

use crate::names::{Names, TypeKind};

/// Nested anonymous structs are looked into, so deep.
const MAX_NESTING: u32 = 16;

impl Names for Kernel {
    fn symbol(&self, name: &str) -> Option<u64> {
        Some(self.target().symbol(name)?.address)
    }

    fn type_kind(&self, name: &str) -> Option<TypeKind> {
        let types = self.types();
        let of_composite = |id: TypeId| match types.as_composite(id).map(|found| found.kind) {
            Some(CompositeKind::Struct) => TypeKind::Struct,
            Some(CompositeKind::Union) => TypeKind::Union,
            None => TypeKind::Other,
        };
        [Kind::Struct, Kind::Union, Kind::Typedef, Kind::Enum]
            .into_iter()
            .find_map(|kind| types.find(kind, name))
            .map(of_composite)
    }

    fn symbols(&self, prefix: &str, limit: usize) -> Vec<String> {
        let all = self.target().images().flat_map(|image| image.symbols.iter());
        let fitting = all.map(|symbol| symbol.name).filter(|name| name.starts_with(prefix));
        fitting.take(limit).map(str::to_owned).collect()
    }

    fn types(&self, prefix: &str, limit: usize) -> Vec<String> {
        let kinds = [Kind::Struct, Kind::Union, Kind::Typedef];
        let all = kinds.into_iter().flat_map(|kind| Kernel::types(self).names(kind));
        let fitting = all.map(|(name, _)| name).filter(|name| name.starts_with(prefix));
        fitting.take(limit).map(str::to_owned).collect()
    }

    fn members(&self, path: &str, prefix: &str, limit: usize) -> Vec<String> {
        let types = Kernel::types(self);
        let (base, rest) = match path.split_once('.') {
            Some((base, rest)) => (base, Some(rest)),
            None => (path, None),
        };
        let Some(base) = types.composite(base).or_else(|| self.global_type(base)) else {
            return Vec::new();
        };
        let step = |id: TypeId, name: &str| Some(types.member(pointed(types, id), name)?.ty);
        let Some(id) = rest.into_iter().flat_map(|rest| rest.split('.')).try_fold(base, step)
        else {
            return Vec::new();
        };
        let mut found = Vec::new();
        collect_members(types, pointed(types, id), prefix, 0, &mut found);
        found.truncate(limit);
        found
    }

    fn tasks(&self, prefix: &str, limit: usize) -> Vec<String> {
        let mut found: Vec<_> = Kernel::tasks(self)
            .tasks
            .iter()
            .flat_map(|task| [task.pid().ok().map(|pid| pid.to_string()), task.comm().ok()])
            .flatten()
            .filter(|name| name.starts_with(prefix))
            .collect();
        found.sort_unstable();
        found.dedup();
        found.truncate(limit);
        found
    }
}

/// What a pointer or array leads to, else the type itself: `->` and `.` are alike while typing.
fn pointed(types: &Types, id: TypeId) -> TypeId {
    match types.resolve(id) {
        Type::Pointer(target) => *target,
        Type::Array { element, .. } => *element,
        _ => id,
    }
}

fn collect_members(types: &Types, id: TypeId, prefix: &str, depth: u32, found: &mut Vec<String>) {
    let Some(composite) = types.as_composite(id).filter(|_| depth < MAX_NESTING) else {
        return;
    };
    for member in &composite.members {
        if member.name.is_none() {
            collect_members(types, member.ty, prefix, depth + 1, found);
        } else if types.name(member.name).starts_with(prefix) {
            found.push(types.name(member.name).to_owned());
        }
    }
}
