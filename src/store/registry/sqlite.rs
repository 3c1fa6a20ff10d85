//! Registrations in `registry.db` of the fleet's data folder.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use uuid::Uuid;

use super::RegistryStore;
use crate::domain::fleet::registry::{Entry, Registration};
use crate::domain::id::RegistrationId;
use crate::domain::time::At;
use crate::store::record::{BodyKind, Record, VERSION, record, upcast};
use crate::store::{StoreError, migrate, prepare, sql};

/// The schema, grown by appending: never change a step that was released.
const STEPS: &[&str] = &["
    CREATE TABLE registration (
        id BLOB PRIMARY KEY,
        url TEXT NOT NULL UNIQUE,
        registered_at INTEGER NOT NULL,
        lease_until INTEGER NOT NULL,
        version INTEGER NOT NULL,
        body TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX registration_lease ON registration (lease_until);
"];

record! {
    Entry { url, named, card, capabilities, max_concurrent_tasks, health_check_interval, labels }
}

/// The registry's file in a data folder.
pub fn registry_path(dir: &Path) -> PathBuf {
    dir.join("registry.db")
}

/// Keeps registrations in a file.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Mutex<Connection>,
    file: PathBuf,
}

impl SqliteStore {
    /// Opens the registrations of a folder, and makes or migrates their schema.
    ///
    /// # Errors
    /// The file cannot be used, or a newer version wrote it.
    pub fn open(dir: &Path, power_loss_safe: bool) -> Result<Self, StoreError> {
        use std::os::unix::fs::PermissionsExt;
        let file = registry_path(dir);
        let mut connection = Connection::open(&file).map_err(sql(&file))?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))
            .map_err(|error| StoreError::Io { path: file.clone(), error })?;
        prepare(&connection, power_loss_safe).map_err(sql(&file))?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(sql(&file))?;
        migrate::bring_to(STEPS, &mut connection, &file)?;
        Ok(Self { connection: Mutex::new(connection), file })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sql(&self) -> impl Fn(rusqlite::Error) -> StoreError + '_ {
        sql(&self.file)
    }

    fn read(&self, row: Stored) -> Result<Registration, StoreError> {
        let id = Uuid::from_slice(&row.id).ok();
        let entry = Entry::get(&upcast(BodyKind::Registered, row.version, row.body));
        let Some((id, entry)) = id.zip(entry) else {
            let what = format!("the registration of {} cannot be read", row.url);
            return Err(StoreError::Damaged { file: self.file.clone(), what });
        };
        Ok(Registration {
            id: RegistrationId(id),
            entry: Arc::new(entry),
            registered_at: At::from_micros(row.registered_at),
            lease_until: At::from_micros(row.lease_until),
        })
    }
}

/// A row of the file.
struct Stored {
    id: Vec<u8>,
    url: String,
    registered_at: i64,
    lease_until: i64,
    version: i64,
    body: String,
}

const COLUMNS: &str = "id, url, registered_at, lease_until, version, body";

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: row.get(0)?,
        url: row.get(1)?,
        registered_at: row.get(2)?,
        lease_until: row.get(3)?,
        version: row.get(4)?,
        body: row.get(5)?,
    })
}

impl RegistryStore for SqliteStore {
    fn register(
        &self,
        id: RegistrationId,
        entry: &Arc<Entry>,
        at: At,
        until: At,
    ) -> Result<Registration, StoreError> {
        let mut connection = self.connection();
        let mut write = || -> rusqlite::Result<(Vec<u8>, i64)> {
            // A read followed by a write takes the write lock first: others may share the file.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let kept = transaction
                .prepare_cached(
                    "INSERT INTO registration (id, url, registered_at, lease_until, version, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT (url) DO UPDATE SET
                     lease_until = excluded.lease_until, version = excluded.version, body = excluded.body
                     RETURNING id, registered_at",
                )?
                .query_row(
                    params![id.0.as_bytes(), entry.key(), at.micros(), until.micros(), VERSION, entry.put()],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?;
            transaction.commit()?;
            Ok(kept)
        };
        let (kept, registered_at) = write().map_err(self.sql())?;
        Ok(Registration {
            id: Uuid::from_slice(&kept).map_or(id, RegistrationId),
            entry: entry.clone(),
            registered_at: At::from_micros(registered_at),
            lease_until: until,
        })
    }

    fn heartbeat(&self, id: RegistrationId, until: At) -> Result<bool, StoreError> {
        let connection = self.connection();
        let renewed = connection
            .prepare_cached("UPDATE registration SET lease_until = ?2 WHERE id = ?1")
            .and_then(|mut update| update.execute(params![id.0.as_bytes(), until.micros()]));
        renewed.map(|rows| rows > 0).map_err(self.sql())
    }

    fn deregister(&self, id: RegistrationId) -> Result<bool, StoreError> {
        let connection = self.connection();
        let gone = connection
            .prepare_cached("DELETE FROM registration WHERE id = ?1")
            .and_then(|mut delete| delete.execute(params![id.0.as_bytes()]));
        gone.map(|rows| rows > 0).map_err(self.sql())
    }

    fn get(&self, id: RegistrationId) -> Result<Option<Registration>, StoreError> {
        let connection = self.connection();
        let found = connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM registration WHERE id = ?1"))
            .and_then(|mut select| select.query_row(params![id.0.as_bytes()], stored).optional());
        found.map_err(self.sql())?.map(|row| self.read(row)).transpose()
    }

    fn list(&self) -> Result<Vec<Registration>, StoreError> {
        let connection = self.connection();
        let rows = || -> rusqlite::Result<Vec<Stored>> {
            let mut select =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM registration ORDER BY id"))?;
            select.query_map([], stored)?.collect()
        };
        rows().map_err(self.sql())?.into_iter().map(|row| self.read(row)).collect()
    }

    fn expire(&self, at: At) -> Result<Vec<RegistrationId>, StoreError> {
        let connection = self.connection();
        let gone = || -> rusqlite::Result<Vec<Vec<u8>>> {
            let mut delete =
                connection.prepare_cached("DELETE FROM registration WHERE lease_until <= ?1 RETURNING id")?;
            delete.query_map(params![at.micros()], |row| row.get(0))?.collect()
        };
        let gone = gone().map_err(self.sql())?;
        Ok(gone.iter().filter_map(|id| Uuid::from_slice(id).ok()).map(RegistrationId).collect())
    }

    fn grace(&self, until: At) -> Result<(), StoreError> {
        let connection = self.connection();
        let set = connection
            .prepare_cached("UPDATE registration SET lease_until = ?1")
            .and_then(|mut update| update.execute(params![until.micros()]));
        set.map(|_| ()).map_err(self.sql())
    }
}
