//! Spans and log records, in a file and a thread of their own: what agents send never delays the journal.
//!
//! The file is made when the first of them comes. Spans are kept as the bytes that were sent, in blocks by trace, beside
//! one row a trace by which it is found.

mod read;
mod retention;
mod write;

pub use read::TelemetryReader;
pub use write::{Offer, Taken, TelemetryWriter};

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, migrate, prepare, sql};
use crate::telemetry::convention::SEARCHABLE;

/// The schema, grown by appending: never change a step that was released.
const STEPS: &[&str] = &["
    -- Times of spans and records are nanoseconds by the clock of their sender, `received` microseconds by ours.
    CREATE TABLE trace (
        number INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        start INTEGER NOT NULL,
        took INTEGER NOT NULL,
        received INTEGER NOT NULL,
        name TEXT,
        service TEXT,
        spans INTEGER NOT NULL,
        errors INTEGER NOT NULL,
        dropped INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        -- 1 once it was looked at to make room, and stays: what is slow is decided among all that came, once.
        kept INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX trace_start ON trace (start);
    CREATE INDEX trace_took ON trace (took);
    CREATE INDEX trace_received ON trace (received);
    CREATE INDEX trace_errors ON trace (errors) WHERE errors > 0;
    CREATE TABLE block (number INTEGER PRIMARY KEY, trace INTEGER NOT NULL, data BLOB NOT NULL);
    CREATE INDEX block_trace ON block (trace);
    -- Values by which traces are found; the keys are places in a list of the program, and one more for services.
    CREATE TABLE value (
        key INTEGER NOT NULL, value TEXT NOT NULL, trace INTEGER NOT NULL, PRIMARY KEY (key, value, trace)
    ) WITHOUT ROWID;
    CREATE INDEX value_trace ON value (trace);

    CREATE TABLE resource (number INTEGER PRIMARY KEY, data BLOB NOT NULL UNIQUE);
    CREATE TABLE log (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        received INTEGER NOT NULL,
        severity INTEGER NOT NULL,
        service TEXT NOT NULL,
        trace BLOB,
        span BLOB,
        resource INTEGER NOT NULL,
        body TEXT NOT NULL,
        data BLOB NOT NULL
    );
    CREATE INDEX log_received ON log (received);
    CREATE INDEX log_resource ON log (resource);
    CREATE INDEX log_trace ON log (trace) WHERE trace IS NOT NULL;
"];

/// The key under which the services of a trace are found.
const SERVICE: u8 = {
    assert!(SEARCHABLE.len() < 100);
    100
};

/// The file in a data folder.
pub fn telemetry_path(dir: &Path) -> PathBuf {
    dir.join("telemetry.db")
}

/// Opens the file for writing, and makes or migrates its schema.
fn open_to_write(file: &Path) -> Result<Connection, StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let mut connection = Connection::open(file).map_err(sql(file))?;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| StoreError::Io { path: file.to_owned(), error })?;
    prepare(&connection, false).map_err(sql(file))?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(sql(file))?;
    migrate::bring_to(STEPS, &mut connection, file)?;
    Ok(connection)
}

/// Opens the file for reading; `None` if nothing was ever received.
fn open_to_read(file: &Path) -> Result<Option<Connection>, StoreError> {
    if !file.exists() {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(sql(file))?;
    prepare(&connection, false).map_err(sql(file))?;
    let version: i64 =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql(file))?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if version > known {
        let dir = file.parent().unwrap_or(file).to_owned();
        return Err(StoreError::Newer { dir, found: version, known });
    }
    Ok((version == known).then_some(connection))
}

#[cfg(test)]
mod tests;
