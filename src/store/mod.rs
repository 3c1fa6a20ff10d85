//! Storage: the journal of facts, the resulting rows, and large outputs as files.
//!
//! The only place with SQL. One thread writes; readers open the same file beside it (WAL).

pub mod audit;
pub mod blobs;
pub mod lock;
pub mod metrics;
mod migrate;
mod past;
mod read;
pub mod record;
pub mod registry;
pub mod telemetry;
mod write;

pub use past::{PastEnd, PastPage};
pub use read::{Loaded, Reader};
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
        /// The newest version that this program supports.
        known: i64,
    },
    /// The file is damaged.
    Damaged {
        /// The file.
        file: PathBuf,
        /// Which kind of damage, and where.
        what: String,
    },
    /// A database error.
    Sql {
        /// The file.
        file: PathBuf,
        /// The error.
        error: rusqlite::Error,
    },
    /// A file system error.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error.
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
            Self::Damaged { file, what } => {
                let dir = file.parent().unwrap_or(file);
                write!(
                    f,
                    "{} is damaged: {what}; nothing was changed. Restore the folder {} from a backup, or move it \
                     away to begin with an empty one",
                    file.display(),
                    dir.display()
                )
            }
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

/// Classifies a database error: damage, or a file that cannot be used now.
fn sql(file: &Path) -> impl Fn(rusqlite::Error) -> StoreError {
    let file = file.to_owned();
    move |error| match damage(&error) {
        Some(what) => StoreError::Damaged { file: file.clone(), what },
        None => StoreError::Sql { file: file.clone(), error },
    }
}

/// The kind of damage that an error shows, if it shows one.
fn damage(error: &rusqlite::Error) -> Option<String> {
    use rusqlite::Error;
    use rusqlite::ffi::ErrorCode;
    Some(match error {
        Error::SqliteFailure(cause, _) if cause.code == ErrorCode::NotADatabase => {
            "it is not an SQLite database, or its header is overwritten".to_owned()
        }
        Error::SqliteFailure(cause, _) if cause.code == ErrorCode::DatabaseCorrupt => {
            format!("its pages contradict each other ({cause})")
        }
        // The tables are created in one transaction: a missing one was removed, or the file is not ours.
        Error::SqliteFailure(cause, Some(why)) if cause.code == ErrorCode::Unknown => {
            let unknown = ["no such table", "no such column"].iter().any(|start| why.starts_with(start));
            return unknown.then(|| format!("its tables are not those of a journal ({why})"));
        }
        Error::Utf8Error(_, error) => format!("a text in it is not UTF-8 ({error})"),
        Error::FromSqlConversionFailure(column, _, error) => {
            format!("a value in column {column} cannot be read ({error})")
        }
        Error::InvalidColumnType(_, name, found) => format!("column {name} holds a value of type {found}"),
        Error::IntegralValueOutOfRange(column, value) => {
            format!("a number in column {column} is out of range ({value})")
        }
        _ => return None,
    })
}

/// Settings of every connection.
fn prepare(connection: &Connection, power_loss_safe: bool) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(2))?;
    connection.pragma_update(None, "synchronous", if power_loss_safe { "FULL" } else { "NORMAL" })?;
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    /// A folder that an engine has used.
    fn used() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut lock = lock::Lock::take(dir.path()).unwrap().unwrap();
        lock.announce(&lock::LockHolder { socket: dir.path().join("engine.sock"), pid: 1, lasting: true })
            .unwrap();
        drop(Writer::open(dir.path(), false, |_| {}).unwrap());
        dir
    }

    /// The errors of readers and writers for a damaged journal, which is left unchanged.
    #[track_caller]
    fn check(what: &str, damage: impl FnOnce(&Path), expected: &str) {
        let dir = used();
        let journal = journal_path(dir.path());
        damage(&journal);
        let before = std::fs::read(&journal).unwrap();
        let read = Reader::open(dir.path()).and_then(|reader| reader.map(|reader| reader.load()).transpose());
        let reader = read.map(|loaded| loaded.is_some()).expect_err(what).to_string();
        let writer = Writer::open(dir.path(), false, |_| {}).map(|_| ()).and_then(|()| {
            let reader = Reader::open(dir.path())?;
            reader.map_or(Ok(()), |reader| reader.load().map(|_| ()))
        });
        for error in [reader, writer.expect_err(what).to_string()] {
            assert!(error.contains("journal.db is damaged: ") && error.contains(expected), "{what}: {error}");
            let next = format!("Restore the folder {} from a backup, or move it", dir.path().display());
            assert!(error.contains(&next), "{what}: {error}");
        }
        assert!(std::fs::read(&journal).unwrap() == before, "{what}: it was changed");
    }

    fn sql_damage(text: &'static str) -> impl FnOnce(&Path) {
        move |journal| Connection::open(journal).unwrap().execute_batch(text).unwrap()
    }

    fn writable(journal: &Path) -> std::fs::File {
        std::fs::OpenOptions::new().write(true).open(journal).unwrap()
    }

    #[test]
    fn the_error_for_a_damaged_journal_names_the_next_step() {
        let overwrite = |at, bytes: &'static [u8]| {
            move |journal: &Path| writable(journal).write_all_at(bytes, at).unwrap()
        };
        let empty = |journal: &Path| writable(journal).set_len(0).unwrap();
        check("empty", empty, "it is empty, but the folder was used before: engine.lock is there");
        check(
            "text",
            |journal| std::fs::write(journal, "x".repeat(9000)).unwrap(),
            "it is not an SQLite database",
        );
        check("header", overwrite(0, b"XXXXXXXXXXXXXXXX"), "it is not an SQLite database");
        check("page", overwrite(100, &[0xff; 400]), "its pages contradict each other");
        check("negative version", sql_damage("PRAGMA user_version = -1"), "its schema version is -1");
        check("lost version", sql_damage("PRAGMA user_version = 0"), "it has tables but no schema version");
        check("lost table", sql_damage("DROP TABLE agent"), "its tables are not those of a journal");
        let not_text = "INSERT INTO problem VALUES (1, 1, CAST(x'ff' AS TEXT))";
        check("a text that is none", sql_damage(not_text), "a text in it is not UTF-8");
        let not_a_number = "INSERT INTO problem VALUES (1, 'x', '{}')";
        check(
            "a text instead of a number",
            sql_damage(not_a_number),
            "column version holds a value of type Text",
        );
    }

    #[test]
    fn a_newer_journal_is_refused_and_a_new_folder_is_empty() {
        let dir = used();
        Connection::open(journal_path(dir.path())).unwrap().pragma_update(None, "user_version", 99).unwrap();
        for error in
            [Reader::open(dir.path()).unwrap_err(), Writer::open(dir.path(), false, |_| {}).unwrap_err()]
        {
            assert!(error.to_string().contains("written by a newer quarterdeck (schema 99"), "{error}");
        }
        let dir = tempfile::tempdir().unwrap();
        assert!(Reader::open(dir.path()).unwrap().is_none());
        std::fs::write(journal_path(dir.path()), "").unwrap();
        assert!(Reader::open(dir.path()).unwrap().is_none());
        // An engine that has taken the lock is about to fill the journal.
        let mut lock = lock::Lock::take(dir.path()).unwrap().unwrap();
        lock.announce(&lock::LockHolder { socket: "/s".into(), pid: 1, lasting: true }).unwrap();
        assert!(Reader::open(dir.path()).unwrap().is_none());
    }
}
