//! What parts of this crate find out of a kernel once, each in a type of its own: the kernel
//! keeps it and need not know what it is.

use std::{any::Any, fmt, sync::OnceLock};

/// Values, one of each type; a chain to which entries are only ever added, so that what it holds
/// can be lent for as long as it lives itself.
#[derive(Default)]
pub(crate) struct Memo(OnceLock<Box<Entry>>);

struct Entry {
    value: Box<dyn Any + Send + Sync>,
    next: Memo,
}

impl Memo {
    /// The value of type `T`, empty at first.
    pub(crate) fn of<T: Any + Default + Send + Sync>(&self) -> &T {
        let mut at = self;
        loop {
            let entry = at.0.get_or_init(|| {
                Box::new(Entry { value: Box::new(T::default()), next: Memo::default() })
            });
            if let Some(value) = entry.value.downcast_ref() {
                return value;
            }
            at = &entry.next;
        }
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_one_value() {
        let memo = Memo::default();
        memo.of::<OnceLock<u32>>().get_or_init(|| 1);
        memo.of::<OnceLock<&str>>().get_or_init(|| "two");
        assert_eq!(memo.of::<OnceLock<u32>>().get(), Some(&1));
        assert_eq!(memo.of::<OnceLock<&str>>().get(), Some(&"two"));
    }
}
