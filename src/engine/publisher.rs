//! Publishes the snapshots that surfaces read, with the rows that changed since the last one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::domain::core::Core;
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;

/// The shortest interval between published snapshots.
const PUBLISH: Duration = Duration::from_millis(33);

pub(super) struct Publisher {
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// True if the last snapshot does not show everything.
    dirty: bool,
    published: Option<Instant>,
    /// Rows that changed since the last publication.
    changed: Vec<Changed>,
    /// The number of the fleet's last fact that was published; some facts, such as notes, change no row.
    fleet_seq: u64,
    /// The number of events that agents have sent.
    events: Arc<AtomicU64>,
    last_events: (Instant, u64),
}

impl Publisher {
    /// A publisher whose first snapshot is empty and has this time.
    /// The snapshot that surfaces read now.
    pub fn current(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    pub fn new(now: At) -> (Self, watch::Receiver<Arc<Snapshot>>) {
        let (snapshots, receiver) = watch::channel(Arc::new(Snapshot::starting(now)));
        let publisher = Self {
            snapshots,
            dirty: true,
            published: None,
            changed: Vec::new(),
            fleet_seq: 0,
            events: Arc::default(),
            last_events: (Instant::now(), 0),
        };
        (publisher, receiver)
    }

    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The time of the next snapshot, if anything has changed.
    pub fn due(&self) -> Option<Instant> {
        match (self.dirty, self.published) {
            (false, _) => None,
            (true, None) => Some(Instant::now()),
            (true, Some(last)) => Some(last + PUBLISH),
        }
    }

    /// Collects the rows that a step has changed, and returns them.
    pub fn take_changes(&mut self, core: &mut Core) -> &[Changed] {
        let before = self.changed.len();
        core.move_changes(&mut self.changed);
        self.dirty |= self.changed.len() > before || core.state().fleet_seq() != self.fleet_seq;
        &self.changed[before..]
    }

    pub fn publish(&mut self, core: &Core, at: At) {
        self.dirty = false;
        self.published = Some(Instant::now());
        let changed = std::mem::take(&mut self.changed);
        self.fleet_seq = core.state().fleet_seq();
        let mut next = Snapshot::clone(&self.snapshots.borrow());
        next.unsaved = core.is_unsaved();
        next.publish(core.state(), at, changed);
        self.snapshots.send_replace(Arc::new(next));
    }

    /// The counter of the events that calls read.
    pub fn events(&self) -> Arc<AtomicU64> {
        self.events.clone()
    }

    /// Publishes the rate of events since the last call.
    pub fn measure_events(&mut self) {
        let (since, count) = self.last_events;
        let now = self.events.load(Ordering::Relaxed);
        let took = since.elapsed().as_millis().max(1);
        let rate = u32::try_from(u128::from(now - count) * 1000 / took).unwrap_or(u32::MAX);
        self.last_events = (Instant::now(), now);
        if self.snapshots.borrow().events_per_second != rate {
            self.snapshots.send_modify(|snapshot| {
                let mut next = Snapshot::clone(snapshot);
                next.events_per_second = rate;
                *snapshot = Arc::new(next);
            });
        }
    }
}
