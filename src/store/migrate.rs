//! The schema, grown by appending: never change a step that was released.

use std::path::Path;

use rusqlite::Connection;

use super::{StoreError, sql};

/// Each step brings the schema one version on. `PRAGMA user_version` counts them.
const STEPS: &[&str] = &[
    "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

    -- Facts of an owner in order. An owner is the watch itself (empty), an agent (a + id) or a job (j + id).
    CREATE TABLE fact (
        owner BLOB NOT NULL,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        version INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (owner, seq)
    ) WITHOUT ROWID;

    -- The state that the facts led to; loaded at a start, so that nothing is replayed.
    CREATE TABLE agent (id BLOB PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE job (id BLOB PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE attempt (
        id BLOB PRIMARY KEY, job BLOB NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX attempt_job ON attempt (job);
    CREATE TABLE problem (number INTEGER PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL);

    -- Outputs over 64 KiB: a growing file, and once complete a file named by its SHA-256.
    CREATE TABLE output (
        id INTEGER PRIMARY KEY,
        job BLOB NOT NULL,
        attempt BLOB NOT NULL,
        artifact TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        sha256 TEXT
    );
    CREATE INDEX output_attempt ON output (attempt, artifact);
    CREATE INDEX output_sha256 ON output (sha256);
",
    "
    -- Rows of the kind bundle hold several facts. Whoever knows the first version only would overlook them,
    -- so it must not open this one.
",
    "
    CREATE TABLE source (name TEXT PRIMARY KEY, place INTEGER NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL);
",
    "
    -- What happened, minute by minute, and the same by the hour; a body holds the numbers of its series.
    CREATE TABLE series (id INTEGER PRIMARY KEY, agent BLOB NOT NULL, skill TEXT, caller TEXT);
    CREATE TABLE minute (minute INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE hour (minute INTEGER PRIMARY KEY, body BLOB NOT NULL);
",
];

/// The schema that brought sources of agents.
pub(super) const SOURCES: i64 = 3;
/// The schema that brought metrics.
pub(super) const METRICS: i64 = 4;

/// Brings a journal to the newest schema; refuses one that is newer still.
pub(super) fn migrate(connection: &mut Connection, file: &Path) -> Result<(), StoreError> {
    bring_to(STEPS, connection, file)
}

/// Brings a database to the schema that these steps make; refuses one that is newer still.
pub(super) fn bring_to(steps: &[&str], connection: &mut Connection, file: &Path) -> Result<(), StoreError> {
    let found = version(connection, file)?;
    refuse_newer(found, steps, file)?;
    for (index, step) in steps.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
        let transaction = connection.transaction().map_err(sql(file))?;
        transaction.execute_batch(step).map_err(sql(file))?;
        transaction
            .pragma_update(None, "user_version", i64::try_from(index + 1).unwrap_or(i64::MAX))
            .map_err(sql(file))?;
        transaction.commit().map_err(sql(file))?;
    }
    Ok(())
}

pub(super) fn version(connection: &Connection, file: &Path) -> Result<i64, StoreError> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sql(file))
}

pub(super) fn check(found: i64, file: &Path) -> Result<(), StoreError> {
    refuse_newer(found, STEPS, file)
}

fn refuse_newer(found: i64, steps: &[&str], file: &Path) -> Result<(), StoreError> {
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    if found > known {
        let dir = file.parent().unwrap_or(file).to_owned();
        return Err(StoreError::Newer { dir, found, known });
    }
    Ok(())
}
