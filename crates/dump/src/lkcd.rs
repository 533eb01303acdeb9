//! LKCD.
use crate::{
    OpenError,
    image::Image,
    meta::{Input, Opened},
};
pub(crate) fn is_lkcd(_: &Image) -> bool {
    false
}
pub(crate) fn open(input: Input, _: usize) -> Result<Opened, OpenError> {
    Err(OpenError::NotADump { path: input.path })
}
