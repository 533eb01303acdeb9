//! The functions of a trace by number, inlined ones among them.

use std::{fmt, num::ParseIntError, str::FromStr};

use necropsy_debuginfo::dwarf::SourceFrame;

use super::{StackFrame, Work};
use crate::{target::Target, unwind::Frame};

/// What a function of a trace is called by. A frame on the stack keeps its number whether or not there is
/// debug information; the functions that this finds within it follow its number: `8`, `8.1`, `8.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FrameNumber {
    /// The number of the frame on the stack.
    pub index: usize,
    /// Which of those that have no frame of their own, counted from 1; 0 for the frame itself.
    pub inline: usize,
}

impl fmt::Display for FrameNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.inline {
            0 => write!(f, "{}", self.index),
            inline => write!(f, "{}.{inline}", self.index),
        }
    }
}

impl FromStr for FrameNumber {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<FrameNumber, ParseIntError> {
        let text = text.strip_prefix('#').unwrap_or(text);
        let (index, inline) = text.split_once('.').unwrap_or((text, "0"));
        Ok(FrameNumber { index: index.parse()?, inline: inline.parse()? })
    }
}

/// A function of a trace: one that has a frame on the stack, or one that is inlined in it.
#[derive(Debug, Clone)]
pub struct LogicalFrame {
    /// What it is called by.
    pub number: FrameNumber,
    /// Its frame, by its number among those on the stack.
    pub on_stack: usize,
    /// What debug information says of it.
    pub source: Option<SourceFrame>,
    /// It has no frame of its own.
    pub inlined: bool,
    /// It ended in a jump to the function inside of it, and has no frame any more: the address
    /// behind the jump.
    pub jumped: Option<u64>,
}

impl LogicalFrame {
    /// Whether it is the function that the frame on the stack belongs to.
    pub fn has_frame(&self) -> bool {
        !self.inlined && self.jumped.is_none()
    }
}

/// The functions of a trace, innermost first.
pub fn logical_frames(target: &Target, frames: &[Frame]) -> Vec<LogicalFrame> {
    let mut all = Vec::with_capacity(frames.len());
    for (on_stack, frame) in frames.iter().enumerate() {
        let mut inline = 0;
        let mut add = |source: Option<SourceFrame>, inlined: bool, jumped: Option<u64>| {
            let own = !inlined && jumped.is_none();
            inline += usize::from(!own);
            let number = FrameNumber { index: on_stack, inline: if own { 0 } else { inline } };
            all.push(LogicalFrame { number, on_stack, source, inlined, jumped });
        };
        let sources = target.source_frames(frame.lookup_pc());
        if sources.is_empty() {
            add(None, false, None);
            continue;
        }
        for source in sources.iter().cloned() {
            let inlined = source.inlined;
            add(Some(source), inlined, None);
        }
        let work = Work::default();
        let entered = StackFrame::new(target, frames, on_stack, &work).entered();
        if let Some(behind) = entered.and_then(|entered| entered.jump()) {
            let there = target.source_frames(behind.wrapping_sub(1));
            for source in there.iter().cloned() {
                let inlined = source.inlined;
                add(Some(source), inlined, Some(behind));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_and_read() {
        let number = FrameNumber { index: 8, inline: 1 };
        assert_eq!((number.to_string().as_str(), "#8.1".parse()), ("8.1", Ok(number)));
        assert_eq!("8".parse(), Ok(FrameNumber { index: 8, inline: 0 }));
        assert!("8.x".parse::<FrameNumber>().is_err() && "".parse::<FrameNumber>().is_err());
    }
}
