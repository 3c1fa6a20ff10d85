//! The control lane: bounded, and fair to every agent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{CONTROL, CREDITS};
use crate::domain::id::{AgentKey, CallId};
use crate::domain::input::Outcome;
use crate::domain::time::At;
use crate::net::clock::Clock;

/// An outcome on its way to the loop. Its credit returns when it is dropped.
#[derive(Debug)]
pub(super) struct Observed {
    pub at: At,
    pub call: CallId,
    pub outcome: Outcome,
    _credit: OwnedSemaphorePermit,
    _place: Option<OwnedSemaphorePermit>,
}

/// Where outcomes of one agent's calls go in.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    sender: mpsc::Sender<Observed>,
    credits: Arc<Semaphore>,
    clock: Arc<Clock>,
}

impl Lane {
    /// Sends an outcome, at once if it can, else as soon as the agent has a credit and the lane has room; what waits
    /// is lost if nobody waits for it. False once the loop has ended.
    pub fn send(&self, call: CallId, outcome: Outcome) -> impl Future<Output = bool> + Send {
        self.send_holding(call, outcome, None)
    }

    /// The same; a place that the call has returns once the loop has taken what it told.
    pub fn send_holding(
        &self,
        call: CallId,
        outcome: Outcome,
        held: Option<OwnedSemaphorePermit>,
    ) -> impl Future<Output = bool> + Send {
        let at = self.clock.now();
        // Whoever need not wait, and that is nearly everybody, holds no room for it.
        let credit = self.credits.clone().try_acquire_owned();
        let waits = match (credit, self.sender.try_reserve()) {
            (Ok(credit), Ok(place)) => {
                place.send(Observed { at, call, outcome, _credit: credit, _place: held });
                None
            }
            (credit, _) => Some(Box::pin(async move {
                let credit = match credit {
                    Ok(credit) => credit,
                    Err(_) => match self.credits.clone().acquire_owned().await {
                        Ok(credit) => credit,
                        Err(_) => return false,
                    },
                };
                let Ok(place) = self.sender.reserve().await else { return false };
                place.send(Observed { at, call, outcome, _credit: credit, _place: held });
                true
            })),
        };
        async move {
            match waits {
                Some(waits) => waits.await,
                None => true,
            }
        }
    }
}

/// The lanes of all agents.
#[derive(Debug)]
pub(super) struct Lanes {
    sender: mpsc::Sender<Observed>,
    credits: Mutex<BTreeMap<AgentKey, Arc<Semaphore>>>,
    clock: Arc<Clock>,
}

impl Lanes {
    /// The lanes, and the end that the loop reads.
    pub fn new(clock: Arc<Clock>) -> (Self, mpsc::Receiver<Observed>) {
        let (sender, receiver) = mpsc::channel(CONTROL);
        (Self { sender, credits: Mutex::default(), clock }, receiver)
    }

    /// The lane of one agent.
    pub fn of(&self, agent: AgentKey) -> Lane {
        let mut all = self.credits.lock().unwrap_or_else(PoisonError::into_inner);
        let credits = all.entry(agent).or_insert_with(|| Arc::new(Semaphore::new(CREDITS))).clone();
        Lane { sender: self.sender.clone(), credits, clock: self.clock.clone() }
    }
}

#[cfg(test)]
impl Lanes {
    /// An outcome of a call that nobody made.
    pub fn unasked(at: At) -> Observed {
        let credit = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a permit");
        Observed {
            at,
            call: CallId(u64::MAX),
            outcome: Outcome::Ended(Ok(())),
            _credit: credit,
            _place: None,
        }
    }

    /// Keeps the lane full of such outcomes, past all credits, until the loop has ended.
    pub fn flood(&self) -> impl Future<Output = ()> + Send + use<> {
        let lanes =
            Self { sender: self.sender.clone(), credits: Mutex::default(), clock: self.clock.clone() };
        async move {
            loop {
                match lanes.sender.try_send(Self::unasked(lanes.clock.now())) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(_)) => tokio::task::yield_now().await,
                    Err(mpsc::error::TrySendError::Closed(_)) => return,
                }
            }
        }
    }
}
