//! The configuration that a kernel was built with (CONFIG_IKCONFIG, kernel/configs.c).

use std::io::Read;

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    span::Span,
};

/// What stands in front of the packed text, and behind it.
const START: &[u8] = b"IKCFG_ST";
const END: &[u8] = b"IKCFG_ED";
/// A configuration is 300 KB of text, 80 KB packed.
const MAX_PACKED: u64 = 4 << 20;
const MAX_TEXT: u64 = 32 << 20;

impl Kernel {
    /// The configuration's text.
    ///
    /// # Errors
    /// [`Error::Absent`] when the kernel carries none, or only in its module `configs`.
    pub fn config(&self) -> Result<String> {
        let target = self.target();
        let at = self.symbol("kernel_config_data").map_err(|_| {
            Error::absent(
                "configuration in this kernel: it was built without IKCONFIG, or has it in its \
                 module configs",
            )
        })?;
        let len = match self.symbol("kernel_config_data_end") {
            Ok(end) => end.saturating_sub(at).min(MAX_PACKED),
            Err(_) => MAX_PACKED,
        };
        let span = Span::read(target, at, len);
        unpack(span.sparse())
            .ok_or_else(|| Error::corrupt(format!("kernel_config_data at {at:x} is damaged")))
    }
}

/// Since 5.1 the symbols enclose the gzip stream itself, before that the marks around it.
fn unpack(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_prefix(START).unwrap_or(bytes);
    let end = bytes.windows(END.len()).position(|window| window == END);
    let packed = &bytes[..end.unwrap_or(bytes.len())];
    let mut text = String::new();
    let stream = flate2::read::GzDecoder::new(packed);
    stream.take(MAX_TEXT).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn with_and_without_marks() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        encoder.write_all(b"CONFIG_X=y\n").unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(unpack(&packed).as_deref(), Some("CONFIG_X=y\n"));
        let marked = [START, &packed, END, b"rest"].concat();
        assert_eq!(unpack(&marked).as_deref(), Some("CONFIG_X=y\n"));
        assert_eq!(unpack(&packed[..packed.len() / 2]), None);
    }
}
