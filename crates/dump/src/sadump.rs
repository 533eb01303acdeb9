//! SADUMP.
use crate::{
    OpenError,
    image::Image,
    meta::{Input, Opened},
};
pub(crate) fn is_sadump(_: &Image) -> bool {
    false
}
pub(crate) fn open(_: Vec<Input>, _: bool) -> Result<Opened, OpenError> {
    Err(OpenError::NoFile)
}
