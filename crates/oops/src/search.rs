//! What a pass over a text looks for.

use crate::system::System;

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    pub(crate) system: Option<&'static System>,
    /// Kinds that only plain titles know, as well.
    pub(crate) all: bool,
    /// Nothing has been found yet.
    pub(crate) first: bool,
}
