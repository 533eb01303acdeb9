//! Values as rows hold them: addresses, sizes, and what stands for a value that is not there.

use std::fmt;

use necropsy_dump::{Fault, Read, Reason};
use serde::{Serialize, Serializer};

/// A number that people read in hexadecimal: an address, a mask, raw flags.
///
/// Text: bare digits as crash prints them, padded by the format's width with zeros
/// (`{:016}`). JSON: the string `"0x…"`, because JSON's numbers lose bits above 2⁵³.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hex(pub u64);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

impl From<u64> for Hex {
    fn from(value: u64) -> Self {
        Hex(value)
    }
}

/// A number of bytes. Text: in the largest unit that keeps it readable (`7.9 GB`), units of
/// 1024 as crash's. JSON: the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 3] = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
        let text = match UNITS.iter().find(|(unit, _)| self.0 >= *unit) {
            None => format!("{} bytes", self.0),
            Some((unit, name)) if self.0.is_multiple_of(*unit) => {
                format!("{} {name}", self.0 / unit)
            }
            Some((unit, name)) => {
                // Rounded as crash rounds.
                let unit = u128::from(*unit);
                let tenths = (u128::from(self.0) * 10 + unit / 2) / unit;
                format!("{}.{} {name}", tenths / 10, tenths % 10)
            }
        };
        f.pad(&text)
    }
}

/// `value`, or in its place the reason why it could not be read: `(excluded)`.
pub fn or_fault<T: fmt::Display>(value: &Read<T>) -> impl fmt::Display {
    struct OrFault<'a, T>(&'a Read<T>);
    impl<T: fmt::Display> fmt::Display for OrFault<'_, T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {
                Ok(value) => value.fmt(f),
                Err(fault) => f.pad(&format!("({})", short_reason(fault))),
            }
        }
    }
    OrFault(value)
}

fn short_reason(fault: &Fault) -> &'static str {
    match fault.reason {
        Reason::Excluded => "excluded",
        Reason::NotSaved => "not saved",
        Reason::Truncated => "truncated",
        Reason::Corrupt => "corrupt",
        Reason::NotMapped { .. } => "not mapped",
        Reason::NoTable { .. } => "no page table",
        Reason::Swapped { .. } => "swapped out",
        _ => "bad address",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(Hex(0xffff_8880_0000_0010).to_string(), "ffff888000000010");
        assert_eq!(format!("{:016}", Hex(0x10)), "0000000000000010");
        assert_eq!(serde_json::to_string(&Hex(u64::MAX)).unwrap(), "\"0xffffffffffffffff\"");
    }

    #[test]
    fn sizes() {
        assert_eq!(Size(0).to_string(), "0 bytes");
        assert_eq!(Size(4096).to_string(), "4 KB");
        assert_eq!(Size((8 << 30) - (100 << 20)).to_string(), "7.9 GB");
        assert_eq!(Size(536_326_144).to_string(), "511.5 MB");
        assert_eq!(Size(u64::MAX).to_string(), "17179869184.0 GB");
        assert_eq!(serde_json::to_string(&Size(4096)).unwrap(), "4096");
    }

    #[test]
    fn faults_stand_in_for_values() {
        let gone: Read<u64> = Err(Fault::kernel(0x1000, Reason::Excluded));
        assert_eq!(or_fault(&gone).to_string(), "(excluded)");
        assert_eq!(or_fault(&Ok(5)).to_string(), "5");
    }
}
