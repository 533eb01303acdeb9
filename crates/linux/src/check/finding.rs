//! What a check says.

use super::Difference;

/// What kind of contradiction it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Bytes behind or before an object were written.
    Overrun,
    /// A free object was written.
    WriteAfterFree,
    /// A pointer leads where it cannot.
    Pointer,
    /// Links of a list, tree or table do not fit together.
    Link,
    /// A counter is not the number of what it counts.
    Counter,
    /// A value that cannot be.
    Value,
    /// Code or data that never changes was changed.
    Text,
}

impl Class {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Class::Overrun => "overrun",
            Class::WriteAfterFree => "write_after_free",
            Class::Pointer => "pointer",
            Class::Link => "link",
            Class::Counter => "counter",
            Class::Value => "value",
            Class::Text => "text",
        }
    }
}

/// How sure it is that memory was damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// It can also be that the kernel died in the middle of a change.
    Possible,
    /// More than one thing would have to be in the middle of a change at once.
    Likely,
    /// No kernel leaves it so, not even for a moment.
    Certain,
}

impl Confidence {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Confidence::Possible => "possible",
            Confidence::Likely => "likely",
            Confidence::Certain => "certain",
        }
    }
}

/// A contradiction in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The area whose check found it.
    pub area: &'static str,
    /// The check: `free_pointer`, `red_zone`, …
    pub check: &'static str,
    /// What kind of contradiction.
    pub class: Class,
    /// What is wrong, in a sentence without its end.
    pub statement: String,
    /// What it belongs to, in words: a cache, a task, a list.
    pub object: String,
    /// First byte of that object.
    pub start: Option<u64>,
    /// Where it shows: the first wrong byte.
    pub address: u64,
    /// What should be there.
    pub expected: Option<u64>,
    /// What is there.
    pub found: Option<u64>,
    /// How the two differ.
    pub difference: Option<Difference>,
    /// Who agrees with what was expected, or what of the same kind is right.
    pub neighbours: Option<String>,
    /// How sure it is.
    pub confidence: Confidence,
}

impl Finding {
    pub(super) fn new(
        area: &'static str,
        check: &'static str,
        class: Class,
        object: String,
        address: u64,
        statement: String,
    ) -> Finding {
        Finding {
            area,
            check,
            class,
            statement,
            object,
            start: None,
            address,
            expected: None,
            found: None,
            difference: None,
            neighbours: None,
            confidence: Confidence::Certain,
        }
    }

    /// First byte of the object.
    pub(crate) fn start(&mut self, start: u64) -> &mut Self {
        self.start = Some(start);
        self
    }

    /// What should be there and what is, and how they differ.
    pub(crate) fn values(&mut self, expected: u64, found: u64) -> &mut Self {
        (self.expected, self.found) = (Some(expected), Some(found));
        self.difference = Difference::of_words(expected, found);
        self
    }

    /// What is there, where it is not known what should be.
    pub(crate) fn found(&mut self, found: u64) -> &mut Self {
        self.found = Some(found);
        self.difference = Difference::of_word(found);
        self
    }

    /// Bytes that should be there and those that are.
    pub(crate) fn bytes(&mut self, expected: &[u8], found: &[u8]) -> &mut Self {
        self.difference = Difference::of_bytes(expected, found);
        (self.expected, self.found) = (Some(word(expected)), Some(word(found)));
        self
    }

    pub(crate) fn neighbours(&mut self, neighbours: impl Into<String>) -> &mut Self {
        self.neighbours = Some(neighbours.into());
        self
    }

    pub(crate) fn confidence(&mut self, confidence: Confidence) -> &mut Self {
        self.confidence = confidence;
        self
    }
}

/// The first bytes as a little-endian word, whatever the machine: the first byte is the last two
/// digits.
fn word(bytes: &[u8]) -> u64 {
    crate::span::Numbers::default().number(bytes, 0, bytes.len().min(8))
}
