//! Counters of a listener.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counts of one listener since it started.
#[derive(Debug, Default)]
pub struct Stats {
    /// Requests by route, method and status. All three come from closed sets, so their number is bounded.
    requests: Mutex<BTreeMap<(&'static str, &'static str, u16), u64>>,
    connections: AtomicU64,
}

impl Stats {
    /// Requests by route, method and status.
    pub fn requests(&self) -> BTreeMap<(&'static str, &'static str, u16), u64> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Open connections.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, route: &'static str, method: &'static str, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((route, method, status)).or_default() += 1;
    }

    pub(super) fn opened(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
