//! VMCOREINFO: the lines `KEY=VALUE` in which a kernel describes itself to dump tools
//! (`kernel/vmcore_info.c`, before 6.8 `kernel/crash_core.c`).

use std::collections::HashMap;

/// A parsed VMCOREINFO text.
///
/// A line that is absent proves nothing: the kernel cuts the text at one page.
#[derive(Debug, Clone, Default)]
pub struct VmCoreInfo {
    text: String,
    /// Key to the byte range of its value in `text`.
    values: HashMap<Box<str>, (usize, usize)>,
}

impl VmCoreInfo {
    /// Parses the note's text, which ends at the first NUL. Never fails: a line without `=` is
    /// ignored; of a key that occurs twice the last value counts, as the kernel appends.
    pub fn parse(text: &[u8]) -> Self {
        let text = text.split(|&b| b == 0).next().unwrap_or(&[]);
        let text = String::from_utf8_lossy(text).into_owned();
        let mut values = HashMap::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if let Some((key, value)) = line.trim_end_matches(['\n', '\r']).split_once('=') {
                let start = at + key.len() + 1;
                values.insert(key.into(), (start, start + value.len()));
            }
            at += line.len();
        }
        VmCoreInfo { text, values }
    }

    /// The value of a plain key, such as `OSRELEASE` or `PAGESIZE`.
    pub fn get(&self, key: &str) -> Option<&str> {
        let &(start, end) = self.values.get(key)?;
        self.text.get(start..end)
    }

    /// `SYMBOL(name)`: a kernel virtual address.
    pub fn symbol(&self, name: &str) -> Option<u64> {
        u64::from_str_radix(self.get(&format!("SYMBOL({name})"))?.trim(), 16).ok()
    }

    /// `OFFSET(struct.member)` in bytes.
    pub fn offset(&self, member: &str) -> Option<u64> {
        number(self.get(&format!("OFFSET({member})"))?)
    }

    /// `SIZE(name)` in bytes.
    pub fn size(&self, name: &str) -> Option<u64> {
        number(self.get(&format!("SIZE({name})"))?)
    }

    /// `LENGTH(name)` in elements.
    pub fn length(&self, name: &str) -> Option<u64> {
        number(self.get(&format!("LENGTH({name})"))?)
    }

    /// `NUMBER(name)`; a negative number comes as its two's complement.
    pub fn number(&self, name: &str) -> Option<u64> {
        number(self.get(&format!("NUMBER({name})"))?)
    }

    /// A plain key that holds a hexadecimal number without prefix, such as `KERNELOFFSET`.
    pub fn hex(&self, key: &str) -> Option<u64> {
        let text = self.get(key)?.trim();
        u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `PAGESIZE` in bytes, when it is a sane power of two.
    pub fn page_size(&self) -> Option<u64> {
        let size: u64 = self.get("PAGESIZE")?.trim().parse().ok()?;
        (size.is_power_of_two() && (512..=1 << 22).contains(&size)).then_some(size)
    }

    /// How much a text found somewhere in memory looks like the kernel's own: `None` when it
    /// does not, else greater is better.
    pub(crate) fn quality(&self) -> Option<usize> {
        self.page_size()?;
        let release = self.get("OSRELEASE")?;
        if !release.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let crashed = usize::from(self.values.contains_key("CRASHTIME"));
        let symbols = self.values.keys().filter(|key| key.starts_with("SYMBOL(")).count();
        (symbols > 0).then_some(self.values.len() + crashed)
    }
}

/// Decimal, negative decimal, or hexadecimal after `0x`.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok();
    }
    match text.strip_prefix('-') {
        Some(_) => text.parse::<i64>().ok().map(|n| n as u64),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"OSRELEASE=6.12.0\nPAGESIZE=4096\nSYMBOL(_stext)=ffffffff81000000\n\
        OFFSET(page.flags)=0\nSIZE(page)=64\nLENGTH(zone.free_area)=11\nNUMBER(phys_base)=-1048576\n\
        NUMBER(sme_mask)=0x800000000000\nKERNELOFFSET=2a000000\nPAGESIZE=8192\nno equals sign\n\0rest=1\n";

    #[test]
    fn every_kind_of_line() {
        let info = VmCoreInfo::parse(TEXT);
        assert_eq!(info.get("OSRELEASE"), Some("6.12.0"));
        assert_eq!(info.get("PAGESIZE"), Some("8192"), "the later line counts");
        assert_eq!(info.symbol("_stext"), Some(0xffff_ffff_8100_0000));
        assert_eq!(info.offset("page.flags"), Some(0));
        assert_eq!(info.size("page"), Some(64));
        assert_eq!(info.length("zone.free_area"), Some(11));
        assert_eq!(info.number("phys_base"), Some(0xffff_ffff_fff0_0000));
        assert_eq!(info.number("sme_mask"), Some(1 << 47));
        assert_eq!(info.hex("KERNELOFFSET"), Some(0x2a00_0000));
        assert_eq!(info.get("rest"), None, "the text ends at the first NUL");
        assert!(info.quality().is_some());
    }

    #[test]
    fn junk_is_no_vmcoreinfo() {
        for junk in [&b"OSRELEASE=%s\nPAGESIZE=%ld\n"[..], b"", b"\xff\xfe=\x80\n"] {
            assert!(VmCoreInfo::parse(junk).quality().is_none());
        }
    }
}
