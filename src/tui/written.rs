//! Words of a file that a person wrote, and what is wrong with them.

use crate::domain::text::Untrusted;

/// A word of a file, and the line on which it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word<'w> {
    /// The word.
    pub text: &'w str,
    /// The line, from 1.
    pub line: usize,
}

/// A name, and the words that the file gives it.
pub type Wish<'w> = (Word<'w>, Vec<Word<'w>>);

/// Something wrong with what was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// The line, from 1.
    pub line: usize,
    /// The key, from the top of the file, such as `keys.cancel`.
    pub key: String,
    /// What is wrong, and what to write instead.
    pub what: String,
}

impl Wrong {
    /// A fault at a line, about a key.
    pub fn new(line: usize, key: impl AsRef<str>, what: impl Into<String>) -> Self {
        // The key may be what somebody else wrote.
        Self { line, key: Untrusted::from(key.as_ref()).line().into_string(), what: what.into() }
    }
}
