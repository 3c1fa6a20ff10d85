//! Words of files written by people, and the errors found in them.

use crate::domain::text::Untrusted;

/// A word of a file, with its line number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word<'w> {
    /// The word.
    pub text: &'w str,
    /// The line, from 1.
    pub line: usize,
}

/// A name, and the words that the file gives it.
pub type NamedWords<'w> = (Word<'w>, Vec<Word<'w>>);

/// An error in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileError {
    /// The line, from 1.
    pub line: usize,
    /// The key, from the top of the file, such as `keys.cancel`.
    pub key: String,
    /// The fault, and what to write instead.
    pub what: String,
}

impl FileError {
    /// A fault at a line, about a key.
    pub fn new(line: usize, key: impl AsRef<str>, what: impl Into<String>) -> Self {
        // The key may be any text.
        Self { line, key: Untrusted::from(key.as_ref()).line().into_string(), what: what.into() }
    }
}
