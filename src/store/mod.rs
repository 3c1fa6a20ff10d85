//! What survives: the journal of facts, the rows that they led to, and large outputs as files.
//!
//! The only place with SQL. One thread writes; readers open the same file beside it (WAL).

pub mod blobs;
pub mod lock;
pub mod metrics;
mod migrate;
mod read;
pub mod record;
pub mod registry;
mod write;

pub use read::{Loaded, Reader, outputs_of};
pub use write::{Batch, Done, Writer};

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// Why a store cannot be used.
#[derive(Debug)]
pub enum StoreError {
    /// It was written by a newer version of this program.
    Newer {
        /// The folder.
        dir: PathBuf,
        /// The version of its schema.
        found: i64,
        /// The newest one that this program knows.
        known: i64,
    },
    /// A row cannot be read.
    Damaged {
        /// The file.
        file: PathBuf,
        /// Which row.
        what: String,
    },
    /// The database says no.
    Sql {
        /// The file.
        file: PathBuf,
        /// Why.
        error: rusqlite::Error,
    },
    /// The file system says no.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer { dir, found, known } => write!(
                f,
                "the data in {} was written by a newer quarterdeck (schema {found}, this one knows {known}); \
                 use that version, or another --data-dir",
                dir.display()
            ),
            Self::Damaged { file, what } => write!(
                f,
                "{} is damaged: {what}; keep a copy of the folder and start with another --data-dir",
                file.display()
            ),
            Self::Sql { file, error } => write!(f, "{} cannot be used: {error}", file.display()),
            Self::Io { path, error } => write!(f, "{} cannot be used: {error}", path.display()),
        }
    }
}

impl std::error::Error for StoreError {}

/// The journal's file in a data folder.
pub fn journal_path(dir: &Path) -> PathBuf {
    dir.join("journal.db")
}

/// Makes a data folder that only its owner can read.
///
/// # Errors
/// The file system says no.
pub fn make_dir(dir: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let fault = |error| StoreError::Io { path: dir.to_owned(), error };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fault)?;
    let mut permissions = std::fs::metadata(dir).map_err(fault)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o700);
        std::fs::set_permissions(dir, permissions).map_err(fault)?;
    }
    Ok(())
}

fn sql(file: &Path) -> impl Fn(rusqlite::Error) -> StoreError {
    let file = file.to_owned();
    move |error| StoreError::Sql { file: file.clone(), error }
}

/// Settings of every connection.
fn prepare(connection: &Connection, power_loss_safe: bool) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(2))?;
    connection.pragma_update(None, "synchronous", if power_loss_safe { "FULL" } else { "NORMAL" })?;
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}
