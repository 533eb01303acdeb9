//! Messages that could not reach the log: the per-CPU buffers of NMIs and of printk within
//! printk, before 5.15 (kernel/printk/printk_safe.c).

use crate::{
    error::{Error, Result},
    kernel::Kernel,
};

/// A CPU's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafeBuffer {
    /// `nmi_print_seq` or `safe_print_seq`.
    pub name: &'static str,
    /// The CPU.
    pub cpu: u32,
    /// Virtual address of its `struct printk_safe_seq_buf`.
    pub address: u64,
    /// Bytes that were written.
    pub len: u32,
    /// Messages that found no room.
    pub messages_lost: u32,
    /// Level, where a line carries one, and text of each line.
    pub lines: Vec<(Option<char>, String)>,
}

impl Kernel {
    /// The buffers of all CPUs, and what could not be read.
    ///
    /// # Errors
    /// [`Error::NoSuch`] when this kernel has no such buffers: since 5.15 the log needs none.
    pub fn printk_safe(&self) -> Result<(Vec<SafeBuffer>, Vec<Error>)> {
        let shape = &self.shapes().printk_safe_seq_buf;
        shape.sizeof()?;
        let (mut buffers, mut errors) = (Vec::new(), Vec::new());
        for name in ["nmi_print_seq", "safe_print_seq"] {
            if self.symbol(name).is_err() {
                continue;
            }
            for cpu in self.possible_cpus() {
                match self.safe_buffer(name, cpu) {
                    Ok(buffer) => buffers.push(buffer),
                    Err(error) => errors.push(error),
                }
            }
        }
        Ok((buffers, errors))
    }

    fn safe_buffer(&self, name: &'static str, cpu: u32) -> Result<SafeBuffer> {
        let shape = &self.shapes().printk_safe_seq_buf;
        let target = self.target();
        let address = self.per_cpu(name, cpu)?;
        let buffer = shape.at(target, address);
        let len = buffer.len()? as u32;
        let room = shape.buffer.size()?.min(1 << 20);
        let bytes = target.read_bytes(shape.buffer.address(address)?, room.min(len.into()))?;
        Ok(SafeBuffer {
            name,
            cpu,
            address,
            len,
            messages_lost: buffer.message_lost()? as u32,
            lines: lines(&bytes),
        })
    }
}

/// A message begins with SOH and its level; it ends with a line end or where the next begins.
fn lines(bytes: &[u8]) -> Vec<(Option<char>, String)> {
    const SOH: char = '\u{1}';
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\0');
    let mut lines = Vec::new();
    for (index, message) in text.split(SOH).enumerate() {
        let mut chars = message.chars();
        let level = (index > 0).then(|| chars.next()).flatten();
        let rest = chars.as_str();
        for line in rest.strip_suffix('\n').unwrap_or(rest).split('\n') {
            if level.is_some() || !line.is_empty() {
                lines.push((level, line.to_owned()));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_with_and_without_level() {
        let bytes = b"plain\n\x014warn\ncontinued\n\x01ccut";
        let expected =
            [(None, "plain"), (Some('4'), "warn"), (Some('4'), "continued"), (Some('c'), "cut")];
        let expected: Vec<_> = expected.map(|(l, t)| (l, t.to_owned())).into();
        assert_eq!(lines(bytes), expected);
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\x01"), []);
    }
}
