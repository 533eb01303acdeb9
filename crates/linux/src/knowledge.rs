//! What is found out of a kernel once: by the [`crate::Kernel`], or before there is one, when an
//! address makes the target load its modules.

use std::sync::{Arc, OnceLock};

use necropsy_machine::Target;

use crate::{
    error::Error,
    module::{self, Module},
    shape::Sources,
    shapes::Shapes,
};

/// Shapes and modules of the kernel of one target.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    shapes: OnceLock<Shapes>,
    /// And what ended the list early.
    modules: OnceLock<(Vec<Module>, Option<Error>)>,
}

impl Knowledge {
    /// That of a target which a kernel was made of.
    pub(crate) fn of(target: &Target) -> Option<&Knowledge> {
        target.system::<Arc<Knowledge>>().map(Arc::as_ref)
    }

    pub(crate) fn shapes(&self, target: &Target) -> &Shapes {
        self.shapes.get_or_init(|| Sources::of(target, Shapes::resolve))
    }

    pub(crate) fn modules(&self, target: &Target) -> (&[Module], Option<&Error>) {
        let list = || module::list(target, self.shapes(target));
        let (modules, error) = self.modules.get_or_init(list);
        (modules, error.as_ref())
    }
}
