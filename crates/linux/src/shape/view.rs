//! A structure at an address.

use necropsy_machine::Target;

use super::Field;
use crate::error::Result;

/// A structure at an address: made by `shape.at(target, address)`. Each member is a method that
/// reads it as an unsigned number; these read it as something else.
#[derive(Debug, Clone, Copy)]
pub struct At<'a, S> {
    pub(crate) shape: &'a S,
    pub(crate) target: &'a Target,
    /// Its virtual address.
    pub address: u64,
}

impl<'a, S> At<'a, S> {
    /// A member as a signed number.
    ///
    /// # Errors
    /// As [`Field::read`].
    pub fn signed(&self, member: impl FnOnce(&'a S) -> &'a Field) -> Result<i64> {
        member(self.shape).read_signed(self.target, self.address)
    }

    /// A member's text, up to its NUL.
    ///
    /// # Errors
    /// As [`Field::read`].
    pub fn text(&self, member: impl FnOnce(&'a S) -> &'a Field) -> Result<String> {
        member(self.shape).text(self.target, self.address)
    }

    /// A member's own address.
    ///
    /// # Errors
    /// As [`Field::offset`].
    pub fn address_of(&self, member: impl FnOnce(&'a S) -> &'a Field) -> Result<u64> {
        member(self.shape).address(self.address)
    }
}
