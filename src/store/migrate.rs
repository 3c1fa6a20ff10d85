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
    "
    -- As part of a primary key, bodies were read and copied whenever two keys were compared.
    ALTER TABLE fact RENAME TO fact_by_owner;
    CREATE TABLE fact (
        id INTEGER PRIMARY KEY,
        owner BLOB NOT NULL,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        version INTEGER NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (owner, seq)
    );
    INSERT INTO fact (owner, seq, at, kind, version, body)
        SELECT owner, seq, at, kind, version, body FROM fact_by_owner;
    DROP TABLE fact_by_owner;
",
    "
    -- True for what a demo made up. Whoever does not know the column would show it as measured.
    ALTER TABLE minute ADD COLUMN made_up INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE hour ADD COLUMN made_up INTEGER NOT NULL DEFAULT 0;
",
    "
    -- Acts of operators, and what keeps their chains together, in the order in which they were written. Owners are those
    -- of facts, but rows stay when the facts of their owner are removed.
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY,
        owner BLOB NOT NULL,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        version INTEGER NOT NULL,
        body TEXT NOT NULL,
        hash BLOB NOT NULL,
        UNIQUE (owner, seq)
    );
",
    "
    -- The rule that dispatched the work of a series. Whoever does not know the column would count it twice.
    ALTER TABLE series ADD COLUMN rule TEXT;
",
];

/// The schema that brought sources of agents.
pub(super) const SOURCES: i64 = 3;
/// The schema that brought metrics.
pub(super) const METRICS: i64 = 4;
/// The schema that brought the audit.
pub(super) const AUDIT: i64 = 7;
/// The schema that brought metrics by rule.
pub(super) const RULES: i64 = 8;
/// The schema that brought metrics that are made up.
pub(super) const MADE_UP: i64 = 6;

/// Migrates a journal to the newest schema; refuses a newer one.
pub(super) fn migrate(connection: &mut Connection, file: &Path) -> Result<(), StoreError> {
    bring_to(STEPS, connection, file)
}

/// Migrates a database by these steps; refuses a newer one.
pub(super) fn bring_to(steps: &[&str], connection: &mut Connection, file: &Path) -> Result<(), StoreError> {
    let found = version(connection, file)?;
    refuse_unknown(found, steps, file)?;
    if found == 0 {
        refuse_foreign(connection, file)?;
    }
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
    refuse_unknown(found, STEPS, file)
}

/// Refuses a database that has tables but no schema version: its version was lost, or another program made it.
pub(super) fn refuse_foreign(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
        .map_err(sql(file))?;
    if tables == 0 {
        return Ok(());
    }
    let what = "it has tables but no schema version".to_owned();
    Err(StoreError::Damaged { file: file.to_owned(), what })
}

/// Refuses an empty journal in a folder that was used before: its history was lost, which must not look like a new
/// folder. The first start makes the file and fills it at once, so only a kill within that moment leaves one too.
pub(super) fn refuse_emptied(file: &Path) -> Result<(), StoreError> {
    let is_empty = std::fs::symlink_metadata(file).is_ok_and(|meta| meta.is_file() && meta.len() == 0);
    let has = |name: &&&str| {
        let path = file.with_file_name(name);
        std::fs::metadata(path).is_ok_and(|meta| meta.is_dir() || meta.len() > 0)
    };
    let Some(trace) = TRACES.iter().find(has).filter(|_| is_empty) else { return Ok(()) };
    let what = format!("it is empty, but the folder was used before: {trace} is there");
    Err(StoreError::Damaged { file: file.to_owned(), what })
}

/// Files of a used folder beside its journal.
const TRACES: [&str; 5] = ["blobs", "views.toml", "registry.db", "journal.db-wal", "engine.lock"];

fn refuse_unknown(found: i64, steps: &[&str], file: &Path) -> Result<(), StoreError> {
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    if found < 0 {
        let what = format!("its schema version is {found}");
        return Err(StoreError::Damaged { file: file.to_owned(), what });
    }
    if found > known {
        let dir = file.parent().unwrap_or(file).to_owned();
        return Err(StoreError::Newer { dir, found, known });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal of an earlier schema holds the same facts after it is brought to the newest one.
    #[test]
    fn facts_of_earlier_schemas_are_kept() {
        let file = Path::new("journal.db");
        let facts = |connection: &Connection| {
            let select = "SELECT owner, seq, at, kind, version, body FROM fact ORDER BY owner, seq";
            let mut select = connection.prepare(select).unwrap();
            let rows = select.query_map([], |row| {
                let owner: Vec<u8> = row.get(0)?;
                let kind: String = row.get(3)?;
                let body: String = row.get(5)?;
                Ok((owner, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, kind, row.get::<_, i64>(4)?, body))
            });
            rows.unwrap().collect::<rusqlite::Result<Vec<_>>>().unwrap()
        };
        for steps in 1..STEPS.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            bring_to(&STEPS[..steps], &mut connection, file).unwrap();
            for (owner, seq) in [("", 3), ("jobs", 1), ("", 1), ("agents", 7), ("", 2)] {
                let body = format!("{{\"long\":\"{}\"}}", "x".repeat(3_000 * seq));
                connection
                    .execute(
                        "INSERT INTO fact (owner, seq, at, kind, version, body) VALUES (?1, ?2, 5, 'noted', 1, ?3)",
                        rusqlite::params![owner.as_bytes(), i64::try_from(seq).unwrap(), body],
                    )
                    .unwrap();
            }
            let before = facts(&connection);
            assert_eq!(before.len(), 5, "{steps}");
            migrate(&mut connection, file).unwrap();
            assert_eq!(facts(&connection), before, "{steps}");
        }
    }
}
