//! The memory that large answers and events of all agents share while they are read and decoded.
//!
//! An answer larger than `limits::SMALL` requests once as much room as it may need and then never more, so answers
//! cannot deadlock. Room is given in order of request, to one answer and one event of an origin at a time: an agent
//! that always sends large ones takes turns with the others. One that arrives too slowly fails once others wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use url::Url;

use crate::domain::cause::{Cause, Limit};
use crate::domain::limits;

/// The semaphore counts in this many bytes.
const UNIT: usize = 1024;
/// How often a slow answer is looked at while it has room.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// The user of room. An agent's streams do not wait for its large answers, nor the reverse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum RoomPurpose {
    Answer,
    Event,
}

type Origins = BTreeMap<(RoomPurpose, String), Arc<Semaphore>>;

/// Hands out room. A clone shares it.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    room: Arc<Semaphore>,
    /// Answers that wait for room now.
    waiting: Arc<AtomicUsize>,
    /// One permit for each origin that has or wants room.
    origins: Arc<Mutex<Origins>>,
}

/// Room for one large answer. Dropping it gives the room back.
#[derive(Debug)]
pub struct Room {
    since: Instant,
    waiting: Arc<AtomicUsize>,
    _origin: Option<OwnedSemaphorePermit>,
    _bytes: Option<OwnedSemaphorePermit>,
}

/// The share of one origin's events in a budget. A stream keeps one: it is smaller than the budget and a URL.
#[derive(Debug)]
pub(super) struct EventShare {
    all: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    origin: Arc<Semaphore>,
}

impl EventShare {
    /// Waits for the room of one large event.
    pub async fn room(&self) -> Room {
        Room::wait(&self.all, &self.waiting, self.origin.clone(), limits::EVENT).await
    }
}

impl Budget {
    pub fn new() -> Self {
        let room = Arc::new(Semaphore::new(limits::LARGE_IN_FLIGHT / UNIT));
        Self { room, waiting: Arc::default(), origins: Arc::default() }
    }

    /// Waits for this many bytes of room, at most [`limits::LARGE_IN_FLIGHT`].
    pub async fn room(&self, what: RoomPurpose, url: &Url, bytes: usize) -> Room {
        Room::wait(&self.room, &self.waiting, self.origin(what, url), bytes).await
    }

    /// The share of the events of a URL's origin.
    pub fn events_of(&self, url: &Url) -> EventShare {
        EventShare {
            all: self.room.clone(),
            waiting: self.waiting.clone(),
            origin: self.origin(RoomPurpose::Event, url),
        }
    }

    fn origin(&self, what: RoomPurpose, url: &Url) -> Arc<Semaphore> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (what, url.origin().ascii_serialization());
        if let Some(one) = origins.get(&key) {
            return one.clone();
        }
        // An origin without other references has no room and requests none. Looking at all of them each time the map
        // has doubled keeps it below twice those in use.
        if origins.len().is_power_of_two() {
            origins.retain(|_, one| Arc::strong_count(one) > 1);
        }
        origins.entry(key).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
    }
}

impl Room {
    async fn wait(
        all: &Arc<Semaphore>,
        waiting: &Arc<AtomicUsize>,
        origin: Arc<Semaphore>,
        bytes: usize,
    ) -> Self {
        let _waits = Waits::new(waiting);
        let origin = origin.acquire_owned().await.ok();
        let units = bytes.min(limits::LARGE_IN_FLIGHT).div_ceil(UNIT);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let bytes = all.clone().acquire_many_owned(units).await.ok();
        Self { since: Instant::now(), waiting: waiting.clone(), _origin: origin, _bytes: bytes }
    }

    /// Checks that an answer may still be read.
    ///
    /// # Errors
    /// It has had its time, and others wait.
    pub fn check(&self) -> Result<(), Cause> {
        let had = self.since.elapsed();
        let others_wait = self.waiting.load(Ordering::Relaxed) > 0;
        if others_wait && had > Duration::from_secs(limits::LARGE_WITHIN_S) {
            return Err(Cause::Limit(Limit::TooSlow));
        }
        Ok(())
    }
}

/// Counts a waiter until it is dropped.
struct Waits<'b>(&'b AtomicUsize);

impl<'b> Waits<'b> {
    fn new(count: &'b AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const ALL: usize = limits::LARGE_IN_FLIGHT;

    fn url(host: &str) -> Url {
        Url::parse(&format!("http://{host}/")).unwrap()
    }

    /// Large requests are served before later small ones; of one origin, one at a time.
    #[tokio::test]
    async fn memory_is_granted_in_order_and_to_one_call_of_an_origin() {
        let budget = Budget::new();
        let first = budget.room(RoomPurpose::Answer, &url("a"), ALL / 2).now_or_never().unwrap();
        assert!(
            budget.room(RoomPurpose::Answer, &url("a"), UNIT).now_or_never().is_none(),
            "a has room already"
        );
        assert!(
            budget.room(RoomPurpose::Event, &url("a"), UNIT).now_or_never().is_some(),
            "its streams go on"
        );
        let (b, c) = (url("b"), url("c"));
        let mut large = Box::pin(budget.room(RoomPurpose::Answer, &b, ALL));
        assert!(large.as_mut().now_or_never().is_none());
        let mut small = Box::pin(budget.room(RoomPurpose::Answer, &c, UNIT));
        assert!(small.as_mut().now_or_never().is_none(), "it came later");
        drop(first);
        let large = large.now_or_never().unwrap();
        assert!(small.as_mut().now_or_never().is_none());
        drop(large);
        assert!(small.now_or_never().is_some());
        assert_eq!(budget.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_is_ended_once_others_wait() {
        let budget = Budget::new();
        let slow = budget.room(RoomPurpose::Answer, &url("slow"), ALL).await;
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(slow.check(), Ok(()), "nobody waits");
        let other = url("other");
        let mut waits = Box::pin(budget.room(RoomPurpose::Answer, &other, ALL));
        assert!(waits.as_mut().now_or_never().is_none());
        assert_eq!(slow.check(), Err(Cause::Limit(Limit::TooSlow)));
        drop(waits);
        assert_eq!(slow.check(), Ok(()));
    }
}
