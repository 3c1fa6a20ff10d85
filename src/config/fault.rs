//! Errors of a configuration file, each with its place.

use std::fmt;
use std::path::{Path, PathBuf};

/// An error in the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The line, from 1; 0 if it concerns the file as a whole.
    pub line: usize,
    /// The key, from the top; empty if it concerns none.
    pub key: String,
    /// The error, and what to write instead.
    pub what: String,
}

/// All errors in a configuration file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faults {
    /// The file.
    pub file: PathBuf,
    /// In order of line.
    pub faults: Vec<Fault>,
}

impl Faults {
    /// One line for each, if there are several.
    pub fn several(&self) -> impl Iterator<Item = String> {
        self.faults.iter().filter(|_| self.faults.len() > 1).map(|fault| fault.at(&self.file))
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&fault.at(&self.file))?;
        }
        Ok(())
    }
}

impl Fault {
    /// One line: the place, as editors and compilers write it, and the error.
    pub fn at(&self, file: &Path) -> String {
        let mut text = file.display().to_string();
        if self.line > 0 {
            text.push_str(&format!(":{}", self.line));
        }
        if !self.key.is_empty() {
            text.push_str(&format!(": {}", self.key));
        }
        text.push_str(": ");
        text.push_str(&self.what);
        text
    }
}

impl std::error::Error for Faults {}
