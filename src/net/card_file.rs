//! An agent's card in a file of the operator's.

use std::io;
use std::path::Path;

use super::regular_file;
use crate::domain::limits;

/// Reads a card's file. It must be a regular file of at most 4 MiB; nothing else is waited for or read.
///
/// # Errors
/// It cannot be opened, is no regular file, is too large, or is no UTF-8.
pub fn read(path: &Path) -> io::Result<String> {
    regular_file::read_text(path, limits::CARD as u64)
}
