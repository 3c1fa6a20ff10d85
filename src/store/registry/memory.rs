//! Registrations in memory, for tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::RegistryStore;
use crate::domain::fleet::registry::{Entry, Registration};
use crate::domain::id::RegistrationId;
use crate::domain::time::At;
use crate::store::StoreError;

/// Keeps registrations while it lives.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: Mutex<BTreeMap<RegistrationId, Registration>>,
}

impl MemoryStore {
    fn rows(&self) -> MutexGuard<'_, BTreeMap<RegistrationId, Registration>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RegistryStore for MemoryStore {
    fn register(
        &self,
        id: RegistrationId,
        entry: &Arc<Entry>,
        at: At,
        until: At,
    ) -> Result<Registration, StoreError> {
        let mut rows = self.rows();
        let known = rows.values().find(|row| row.entry.key() == entry.key());
        let (id, registered_at) = known.map_or((id, at), |row| (row.id, row.registered_at));
        let row = Registration { id, entry: entry.clone(), registered_at, lease_until: until };
        rows.insert(id, row.clone());
        Ok(row)
    }

    fn heartbeat(&self, id: RegistrationId, until: At) -> Result<bool, StoreError> {
        let mut rows = self.rows();
        let row = rows.get_mut(&id);
        Ok(row.map(|row| row.lease_until = until).is_some())
    }

    fn deregister(&self, id: RegistrationId) -> Result<bool, StoreError> {
        Ok(self.rows().remove(&id).is_some())
    }

    fn get(&self, id: RegistrationId) -> Result<Option<Registration>, StoreError> {
        Ok(self.rows().get(&id).cloned())
    }

    fn list(&self) -> Result<Vec<Registration>, StoreError> {
        Ok(self.rows().values().cloned().collect())
    }

    fn expire(&self, at: At) -> Result<Vec<RegistrationId>, StoreError> {
        let mut rows = self.rows();
        let ended: Vec<_> = rows.values().filter(|row| row.lease_until <= at).map(|row| row.id).collect();
        rows.retain(|_, row| row.lease_until > at);
        Ok(ended)
    }

    fn grace(&self, until: At) -> Result<(), StoreError> {
        self.rows().values_mut().for_each(|row| row.lease_until = until);
        Ok(())
    }
}
