//! The registrations of our own registry. They are in a file of their own: agents renew them all the time,
//! and nothing of that belongs into the journal.
//!
//! Leases survive a restart. While no registry was running none could be renewed, so a start gives each registration a
//! full lease ([`RegistryStore::grace`]) before it may expire.

mod memory;
mod sqlite;

pub use memory::MemoryStore;
pub use sqlite::{SqliteStore, registry_path};

use std::fmt::Debug;
use std::sync::Arc;

use super::StoreError;
use crate::domain::fleet::registry::{Entry, Registration};
use crate::domain::id::RegistrationId;
use crate::domain::time::At;

/// Keeps registrations. Every call may wait for a disk; each is whole or did nothing, so that several
/// supervisors can share a store.
pub trait RegistryStore: Send + Sync + Debug {
    /// Stores an agent under `id`; one with a known URL keeps its id and its first time.
    ///
    /// # Errors
    /// The store cannot be used.
    fn register(
        &self,
        id: RegistrationId,
        entry: &Arc<Entry>,
        at: At,
        until: At,
    ) -> Result<Registration, StoreError>;

    /// Renews a lease; false if the id is unknown.
    ///
    /// # Errors
    /// The store cannot be used.
    fn heartbeat(&self, id: RegistrationId, until: At) -> Result<bool, StoreError>;

    /// Removes a registration; false if the id is unknown.
    ///
    /// # Errors
    /// The store cannot be used.
    fn deregister(&self, id: RegistrationId) -> Result<bool, StoreError>;

    /// One registration.
    ///
    /// # Errors
    /// The store cannot be used.
    fn get(&self, id: RegistrationId) -> Result<Option<Registration>, StoreError>;

    /// All of them, by id.
    ///
    /// # Errors
    /// The store cannot be used.
    fn list(&self) -> Result<Vec<Registration>, StoreError>;

    /// Removes expired registrations, and returns them.
    ///
    /// # Errors
    /// The store cannot be used.
    fn expire(&self, at: At) -> Result<Vec<RegistrationId>, StoreError>;

    /// Extends every lease to `until`: after a time in which none could be renewed.
    ///
    /// # Errors
    /// The store cannot be used.
    fn grace(&self, until: At) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::id::Rng;
    use crate::protocol::registry::registration;

    fn entry(url: &str) -> Arc<Entry> {
        let card =
            r#"{"name":"B\u001babel","url":"http://127.0.0.1:9/a","skills":[{"id":"t","tags":["x"]}]}"#;
        let body = format!(
            r#"{{"cardUrl":"{url}","card":{card},"capabilities":["a"],"max_concurrent_tasks":4,
                "health_check_interval":30,"labels":{{"region":"eu"}}}}"#
        );
        Arc::new(registration(&body).unwrap())
    }

    fn check(store: &dyn RegistryStore) {
        let mut seed = Rng::new(7);
        let at = At::from_micros(1_795_000_000_000_000);
        let until = at + Duration::from_secs(60);
        let first =
            store.register(RegistrationId(seed.uuid(at)), &entry("http://A.example/"), at, until).unwrap();
        let later = at + Duration::from_secs(5);
        let again = store
            .register(RegistrationId(seed.uuid(later)), &entry("http://a.example:80"), later, later)
            .unwrap();
        assert_eq!((again.id, again.registered_at, again.lease_until), (first.id, at, later));
        let other =
            store.register(RegistrationId(seed.uuid(later)), &entry("http://b.example"), later, until);
        let other = other.unwrap();
        assert_eq!(store.list().unwrap(), [again.clone(), other.clone()]);
        assert_eq!(store.get(first.id).unwrap(), Some(again));
        assert!(store.heartbeat(first.id, until).unwrap());
        assert_eq!(store.expire(later).unwrap(), []);
        store.grace(until + Duration::from_secs(1)).unwrap();
        assert_eq!(store.expire(until).unwrap(), []);
        assert!(store.deregister(other.id).unwrap() && !store.deregister(other.id).unwrap());
        assert!(!store.heartbeat(other.id, until).unwrap());
        assert_eq!(store.expire(until + Duration::from_secs(1)).unwrap(), [first.id]);
        assert_eq!((store.list().unwrap(), store.get(first.id).unwrap()), (vec![], None));
    }

    #[test]
    fn all_stores_keep_the_same_promises() {
        check(&MemoryStore::default());
        let dir = tempfile::tempdir().unwrap();
        check(&SqliteStore::open(dir.path(), false).unwrap());
    }

    #[test]
    fn registrations_survive_a_restart_and_a_newer_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let at = At::from_micros(1_795_000_000_000_000);
        let store = SqliteStore::open(dir.path(), false).unwrap();
        let kept = store.register(RegistrationId(Rng::new(1).uuid(at)), &entry("http://a"), at, at).unwrap();
        drop(store);
        let store = SqliteStore::open(dir.path(), true).unwrap();
        assert_eq!(store.list().unwrap(), [kept]);
        drop(store);
        let connection = rusqlite::Connection::open(registry_path(dir.path())).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        let refused = SqliteStore::open(dir.path(), false).unwrap_err().to_string();
        assert!(refused.contains("newer quarterdeck (schema 99"), "{refused}");
    }
}
