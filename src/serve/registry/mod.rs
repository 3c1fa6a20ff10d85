//! The built-in registry: agents register, and stay in the fleet while they renew their lease.
//!
//! [`Registry`] keeps the registrations and ends leases; `routes.rs` answers for it on the HTTP listener. Registrations
//! are kept in a [`RegistryStore`]; every request is answered from a copy in memory.

mod metrics;
mod routes;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

use super::http::{Access, Limits, Server, Stats};
use crate::config::secret::Secret;
use crate::domain::fleet::registry::{Entry, MOST, Registration};
use crate::domain::fleet::source::DiscoveredAgent;
use crate::domain::id::{RegistrationId, Rng};
use crate::domain::time::At;
use crate::engine::Handle;
use crate::engine::discovery::own::RegisteredAgents;
use crate::store::StoreError;
use crate::store::registry::RegistryStore;

/// The registry looks at its leases at least this often.
const BEAT: Duration = Duration::from_secs(5);
/// A heartbeat later than this means that no lease could be renewed: the machine slept, or the process was stopped.
const PAUSE: Duration = Duration::from_secs(15);
/// Changes within this time are reported to the engine together; the time grows with their number.
const GATHER: Duration = Duration::from_millis(50);
const GATHER_EACH: Duration = Duration::from_micros(10);
/// After the store failed, leases are looked at again so soon.
const AGAIN: Duration = Duration::from_secs(1);

/// The engine's clock, which belongs to another layer.
#[derive(Clone)]
pub struct Time(Arc<dyn Fn() -> At + Send + Sync>);

impl Time {
    /// Wraps a function that returns the time.
    pub fn new(now: impl Fn() -> At + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

/// Why a registration was not taken.
#[derive(Debug)]
pub enum RegistrationError {
    /// The maximum number of registrations is reached.
    Full,
    /// The store cannot be used.
    Store(StoreError),
    /// A fault of our own.
    Broken,
}

impl From<StoreError> for RegistrationError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for RegistrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(f, "{MOST} agents are registered already"),
            Self::Store(error) => error.fmt(f),
            Self::Broken => f.write_str("the registry failed by a fault of its own"),
        }
    }
}

/// A registry that is served. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct Serving {
    server: Server,
    _leases: AbortOnDropHandle<()>,
}

impl Serving {
    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Takes no more requests, and waits up to 3 s for replies to those in flight.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// Answers requests, expires leases, and reports to the engine, until it is dropped.
///
/// # Errors
/// The port cannot be used.
pub fn serve(
    bound: TcpListener,
    registry: Registry,
    handle: &Handle,
    token: Option<&Secret>,
) -> io::Result<Serving> {
    let address = bound.local_addr()?;
    let stats = Arc::new(Stats::default());
    let api = routes::Api::new(registry.clone(), handle.watch(), address, stats.clone());
    let access = Access::new(token, address);
    let server = Server::start(bound, routes::routes(&api), access, Limits::default(), stats)?;
    Ok(Serving { server, _leases: AbortOnDropHandle::new(tokio::spawn(registry.keep())) })
}

/// The registrations. A clone is the same registry.
#[derive(Clone, Debug)]
pub struct Registry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn RegistryStore>,
    lease: Duration,
    time: Time,
    /// The content of the store, changed only by the holder of `turn`, after the store.
    rows: Mutex<BTreeMap<RegistrationId, Registration>>,
    /// One store call at a time, so that no threads wait for each other.
    turn: Arc<Semaphore>,
    /// Generates ids, with the time of the last one: earlier registrations have lower ids.
    ids: Mutex<(Rng, At)>,
    /// True if the engine has not been informed yet.
    dirty: AtomicBool,
    changed: Notify,
    registered: watch::Sender<RegisteredAgents>,
    expired: AtomicU64,
    new: AtomicU64,
    renewed: AtomicU64,
}

impl Registry {
    /// Reads the registrations. Each lease starts again, because none could be renewed while no registry was running.
    ///
    /// # Errors
    /// The store cannot be used.
    pub fn open(store: Arc<dyn RegistryStore>, lease: Duration, time: Time) -> Result<Self, StoreError> {
        let now = (time.0)();
        store.grace(now + lease)?;
        let rows: BTreeMap<_, _> = store.list()?.into_iter().map(|row| (row.id, row)).collect();
        let registered = watch::Sender::new(Ok(found(&rows)));
        let seed = RandomState::new().hash_one(now.micros());
        Ok(Self {
            shared: Arc::new(Shared {
                store,
                lease,
                time,
                rows: Mutex::new(rows),
                turn: Arc::new(Semaphore::new(1)),
                ids: Mutex::new((Rng::new(seed), now)),
                dirty: AtomicBool::new(false),
                changed: Notify::new(),
                registered,
                expired: AtomicU64::new(0),
                new: AtomicU64::new(0),
                renewed: AtomicU64::new(0),
            }),
        })
    }

    /// All agents whose lease is alive, each time that changes.
    pub fn registered(&self) -> watch::Receiver<RegisteredAgents> {
        self.shared.registered.subscribe()
    }

    /// The lease duration.
    pub fn lease(&self) -> Duration {
        self.shared.lease
    }

    /// Takes an agent in, or renews the one of the same URL.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn register(&self, entry: Entry) -> Result<Registration, RegistrationError> {
        self.on_store(move |shared| {
            let entry = Arc::new(entry);
            let full = {
                let rows = shared.rows();
                rows.len() >= MOST && !rows.values().any(|row| row.entry.key() == entry.key())
            };
            if full {
                return Err(RegistrationError::Full);
            }
            let now = shared.now();
            let id = shared.next_id(now);
            let row = shared.store.register(id, &entry, now, now + shared.lease)?;
            let before = shared.rows().insert(row.id, row.clone());
            let counter = if before.is_some() { &shared.renewed } else { &shared.new };
            counter.fetch_add(1, Ordering::Relaxed);
            if before.is_none_or(|before| before.entry != entry) {
                shared.change();
            }
            Ok(row)
        })
        .await
    }

    /// Renews a lease; false if the id is unknown, so that the agent registers again.
    ///
    /// # Errors
    /// The store cannot be used.
    pub async fn heartbeat(&self, id: RegistrationId) -> Result<bool, RegistrationError> {
        self.on_store(move |shared| {
            let until = shared.now() + shared.lease;
            let known = shared.store.heartbeat(id, until)?;
            if let Some(row) = shared.rows().get_mut(&id) {
                row.lease_until = until;
            }
            Ok(known)
        })
        .await
    }

    /// Removes a registration; false if the id is unknown.
    ///
    /// # Errors
    /// The store cannot be used.
    pub async fn deregister(&self, id: RegistrationId) -> Result<bool, RegistrationError> {
        self.on_store(move |shared| {
            let known = shared.store.deregister(id)?;
            if shared.rows().remove(&id).is_some() {
                shared.change();
            }
            Ok(known)
        })
        .await
    }

    /// A registration.
    pub fn get(&self, id: RegistrationId) -> Option<Registration> {
        self.shared.rows().get(&id).cloned()
    }

    /// All of them, oldest first.
    pub fn list(&self) -> Vec<Registration> {
        self.shared.rows().values().cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shared.rows().len()
    }

    /// True if there are no registrations.
    pub fn is_empty(&self) -> bool {
        self.shared.rows().is_empty()
    }

    /// Runs blocking disk work off the serving threads. Once begun it is completed, even if the client has left.
    async fn on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, RegistrationError> + Send + 'static,
    ) -> Result<T, RegistrationError> {
        let turn = self.shared.turn.clone().acquire_owned().await.map_err(|_| RegistrationError::Broken)?;
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&shared)
        });
        done.await.unwrap_or(Err(RegistrationError::Broken))
    }

    /// Expires leases and reports changes to the engine, until it is dropped.
    async fn keep(self) {
        let mut last = self.shared.now();
        loop {
            let now = self.shared.now();
            let slept = now.since(last) > PAUSE;
            last = now;
            if slept || self.next_end().is_some_and(|end| end <= now) {
                let done = self.on_store(move |shared| shared.end_leases(now, slept)).await;
                if let Err(trouble) = done {
                    tracing::warn!("leases could not be ended: {trouble}");
                    tokio::time::sleep(AGAIN).await;
                }
            }
            if self.shared.dirty.swap(false, Ordering::AcqRel) {
                let found = found(&self.shared.rows());
                self.shared.registered.send_modify(|roll| *roll = Ok(found));
            }
            let next = self.next_end().map_or(BEAT, |end| end.since(self.shared.now()).min(BEAT));
            tokio::select! {
                () = self.shared.changed.notified() => {
                    let agents = u32::try_from(self.len()).unwrap_or(u32::MAX);
                    tokio::time::sleep(GATHER + GATHER_EACH * agents).await;
                }
                () = tokio::time::sleep(next) => {}
            }
        }
    }

    /// When the first lease ends.
    fn next_end(&self) -> Option<At> {
        self.shared.rows().values().map(|row| row.lease_until).min()
    }
}

impl Shared {
    fn now(&self) -> At {
        (self.time.0)()
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<RegistrationId, Registration>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_id(&self, now: At) -> RegistrationId {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let (seed, last) = &mut *ids;
        *last = now.max(*last + Duration::from_millis(1));
        RegistrationId(seed.uuid(*last))
    }

    fn change(&self) {
        self.dirty.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    fn end_leases(&self, now: At, slept: bool) -> Result<(), RegistrationError> {
        if slept {
            let until = now + self.lease;
            self.store.grace(until)?;
            self.rows().values_mut().for_each(|row| row.lease_until = until);
            return Ok(());
        }
        let gone = self.store.expire(now)?;
        if !gone.is_empty() {
            let mut rows = self.rows();
            rows.retain(|id, _| !gone.contains(id));
            drop(rows);
            self.expired.fetch_add(u64::try_from(gone.len()).unwrap_or(0), Ordering::Relaxed);
            self.change();
        }
        Ok(())
    }
}

/// The agents reported to the engine.
fn found(rows: &BTreeMap<RegistrationId, Registration>) -> Vec<DiscoveredAgent> {
    rows.values().map(|row| row.entry.found()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::registry::registration;
    use crate::store::registry::MemoryStore;

    fn entry(url: &str) -> Entry {
        registration(&format!(r#"{{"cardUrl":"{url}"}}"#)).unwrap()
    }

    async fn wait_until(roll: &mut watch::Receiver<RegisteredAgents>, expected: &[&str]) {
        let named = |roll: &RegisteredAgents| -> Vec<String> {
            roll.iter().flatten().map(|found| found.url.to_string()).collect()
        };
        let seen = roll.wait_for(|roll| named(roll) == expected);
        tokio::time::timeout(Duration::from_secs(3600), seen).await.expect("it is reported").unwrap();
    }

    /// A registry on tokio's paused clock, which advances only when everything waits.
    fn paused(store: Arc<MemoryStore>) -> Registry {
        let begun = tokio::time::Instant::now();
        let time = Time::new(move || At::from_micros(1_000_000) + begun.elapsed());
        Registry::open(store, Duration::from_secs(10), time).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn leases_end_by_themselves_and_heartbeats_renew_them() {
        let registry = paused(Arc::default());
        let keeping = tokio::spawn(registry.clone().keep());
        let mut roll = registry.registered();
        let kept = registry.register(entry("http://a")).await.unwrap();
        registry.register(entry("http://b")).await.unwrap();
        wait_until(&mut roll, &["http://a", "http://b"]).await;
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert!(registry.heartbeat(kept.id).await.unwrap());
        wait_until(&mut roll, &["http://a"]).await;
        assert_eq!(registry.register(entry("http://a/")).await.unwrap().id, kept.id);
        wait_until(&mut roll, &["http://a/"]).await;
        wait_until(&mut roll, &[]).await;
        assert_eq!(registry.shared.expired.load(Ordering::Relaxed), 2);
        assert!(!registry.heartbeat(kept.id).await.unwrap());
        keeping.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_and_a_sleep_renew_every_lease() {
        let store = Arc::new(MemoryStore::default());
        let registry = paused(store.clone());
        let row = registry.register(entry("http://a")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(600)).await;
        let registry = Registry { shared: paused(store).shared };
        assert_eq!(
            registry.get(row.id).unwrap().lease_until.since(registry.shared.now()),
            Duration::from_secs(10)
        );
        let shared = registry.shared.clone();
        registry.on_store(move |shared| shared.end_leases(shared.now() + PAUSE * 4, true)).await.unwrap();
        assert_eq!(shared.rows().len(), 1);
    }
}
