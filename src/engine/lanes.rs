//! The control lane, which is bounded and fair to every agent.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::pages::Pages;
use super::{CONTROL, CREDITS};
use crate::domain::call::{CallKind, Outcome, SendOutcome, StreamOutcome, SubscribeOutcome};
use crate::domain::id::{AgentKey, AttemptKey, CallId};
use crate::domain::job::message::{Message, Part};
use crate::domain::job::task::{ProtocolViolation, StreamEvent, TaskReport};
use crate::domain::limits;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::net::clock::Clock;
use crate::net::{Redactor, Room};
use crate::protocol::Deviations;

/// The maximum number of different deviations reported per agent. More of them would add no information.
const DEVIATIONS: usize = 32;

/// The bytes of content per credit. A larger outcome takes more credits, up to all of them, so that the size of what
/// waits for the loop is bounded too: 256 KiB per agent, or one outcome that has room in the budget of large answers.
const BYTES_A_CREDIT: usize = limits::SMALL / CREDITS;

/// The resources that an outcome returns once the loop has taken it.
#[derive(Debug, Default)]
pub(super) struct Held {
    _place: Option<OwnedSemaphorePermit>,
    _room: Option<Room>,
}

impl Held {
    /// A place among the calls of its kind, and room in the budget of large answers.
    pub fn new(place: Option<OwnedSemaphorePermit>, room: Option<Room>) -> Self {
        Self { _place: place, _room: room }
    }
}

impl From<Option<Room>> for Held {
    fn from(room: Option<Room>) -> Self {
        Self::new(None, room)
    }
}

/// An outcome on its way to the loop. Its credits return when it is dropped.
///
/// Only a [`Lane`] creates one, after it has redacted the secrets that are split over the pieces of the outcome.
#[derive(Debug)]
pub(super) struct Observed {
    pub at: At,
    pub call: CallId,
    pub outcome: Outcome,
    _credits: OwnedSemaphorePermit,
    _held: Held,
}

/// The sending end for the outcomes of one call.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    sender: mpsc::Sender<Observed>,
    agent: Arc<AgentLane>,
    clock: Arc<Clock>,
    redactor: Redactor,
    /// The attempt that the call belongs to.
    attempt: Option<AttemptKey>,
}

/// Shared by the lanes of one agent's calls.
#[derive(Debug)]
struct AgentLane {
    credits: Arc<Semaphore>,
    /// The rest of the agent's last large page of tasks.
    pages: Pages,
    /// Deviations that have been reported since the engine began.
    reported: Mutex<BTreeSet<Untrusted>>,
}

impl AgentLane {
    fn new() -> Self {
        Self {
            credits: Arc::new(Semaphore::new(CREDITS)),
            pages: Pages::default(),
            reported: Mutex::default(),
        }
    }
}

impl Lane {
    /// The rest of the agent's last large page of tasks.
    pub fn pages(&self) -> &Pages {
        &self.agent.pages
    }

    /// The deviations, in the answer to a call of `kind`, that were not reported before. Each is reported only once,
    /// because a stream would repeat it with every event.
    pub fn new_deviations(&self, kind: CallKind, deviations: &Deviations) -> Vec<Outcome> {
        if deviations.is_empty() {
            return Vec::new();
        }
        let mut reported = self.agent.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh =
            deviations.iter().filter(|what| reported.len() < DEVIATIONS && reported.insert((*what).clone()));
        let violation =
            |what: &Untrusted| Outcome::Violation(kind, ProtocolViolation::Deviation(what.clone()));
        fresh.map(violation).collect()
    }

    /// Sends an outcome, at once if possible, otherwise as soon as the agent has a credit and the lane has room. If the
    /// future is dropped, the outcome is lost. False once the loop has ended.
    pub fn send(&self, call: CallId, outcome: Outcome) -> impl Future<Output = bool> + Send {
        self.send_holding(call, outcome, Held::default())
    }

    /// The same; the call's resources are returned once the loop has taken the outcome.
    pub fn send_holding(
        &self,
        call: CallId,
        mut outcome: Outcome,
        held: Held,
    ) -> impl Future<Output = bool> + Send {
        let before = self.redactor.join(self.attempt, &mut outcome);
        let waits = match before {
            None => self.put(call, outcome, held),
            Some(before) => {
                let both: Waiting<'_> = Box::pin(async move {
                    if let Some(waits) = self.put(call, before, Held::default())
                        && !waits.await
                    {
                        return false;
                    }
                    match self.put(call, outcome, held) {
                        Some(waits) => waits.await,
                        None => true,
                    }
                });
                Some(both)
            }
        };
        async move {
            match waits {
                Some(waits) => waits.await,
                None => true,
            }
        }
    }

    /// Sends an outcome, or returns the future that waits for room, so that the common case allocates nothing.
    fn put(&self, call: CallId, outcome: Outcome, held: Held) -> Option<Waiting<'_>> {
        let at = self.clock.now();
        let weight = weight(&outcome);
        let credit = self.agent.credits.clone().try_acquire_many_owned(weight);
        match (credit, self.sender.try_reserve()) {
            (Ok(credit), Ok(place)) => {
                place.send(Observed { at, call, outcome, _credits: credit, _held: held });
                None
            }
            (credit, _) => Some(Box::pin(async move {
                let credit = match credit {
                    Ok(credit) => credit,
                    Err(_) => match self.agent.credits.clone().acquire_many_owned(weight).await {
                        Ok(credit) => credit,
                        Err(_) => return false,
                    },
                };
                let Ok(place) = self.sender.reserve().await else { return false };
                place.send(Observed { at, call, outcome, _credits: credit, _held: held });
                true
            })),
        }
    }
}

/// Waits until there is room. False once the loop has ended.
type Waiting<'l> = Pin<Box<dyn Future<Output = bool> + Send + 'l>>;

/// The number of credits that an outcome takes.
fn weight(outcome: &Outcome) -> u32 {
    let bytes = match outcome {
        Outcome::Send(SendOutcome::Stream(StreamOutcome::Events(events)))
        | Outcome::Subscribe(SubscribeOutcome::Stream(StreamOutcome::Events(events))) => {
            events.iter().map(bytes_of_event).sum()
        }
        Outcome::Send(SendOutcome::Task(task)) | Outcome::Get(Ok(task)) | Outcome::Cancel(Ok(task)) => {
            bytes_of_task(&task.value)
        }
        Outcome::Send(SendOutcome::Message(message)) => bytes_of(&message.value.parts),
        Outcome::List(Ok(page)) => page.value.tasks.iter().map(bytes_of_task).sum(),
        _ => 0,
    };
    u32::try_from((bytes / BYTES_A_CREDIT).clamp(1, CREDITS)).unwrap_or(1)
}

fn bytes_of(parts: &[Part]) -> usize {
    parts.iter().map(Part::len).sum()
}

fn bytes_of_event(event: &StreamEvent) -> usize {
    match event {
        StreamEvent::Task(report) => bytes_of_task(report),
        StreamEvent::Message(message) => bytes_of(&message.parts),
        StreamEvent::Status { status, .. } => {
            status.message.as_ref().map_or(0, |message| bytes_of(&message.parts))
        }
        StreamEvent::Artifact { artifact, .. } => bytes_of(&artifact.parts),
        StreamEvent::Unknown(json) => json.raw().len(),
    }
}

fn bytes_of_task(report: &TaskReport) -> usize {
    let size = |message: &Message| bytes_of(&message.parts);
    let artifacts = report.artifacts.iter().flatten().map(|artifact| bytes_of(&artifact.parts));
    artifacts.sum::<usize>()
        + report.history.iter().map(size).sum::<usize>()
        + report.status.message.as_ref().map_or(0, size)
}

/// The lanes of all agents.
#[derive(Debug)]
pub(super) struct Lanes {
    sender: mpsc::Sender<Observed>,
    agents: Mutex<BTreeMap<AgentKey, Arc<AgentLane>>>,
    clock: Arc<Clock>,
}

impl Lanes {
    /// An agent was forgotten.
    pub fn forget(&self, agent: AgentKey) {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner).remove(&agent);
    }

    /// The lanes, and the receiving end for the loop.
    pub fn new(clock: Arc<Clock>) -> (Self, mpsc::Receiver<Observed>) {
        let (sender, receiver) = mpsc::channel(CONTROL);
        (Self { sender, agents: Mutex::default(), clock }, receiver)
    }

    /// The lane of a call to an agent. `attempt` is the attempt that the call belongs to.
    pub fn of(&self, agent: AgentKey, redactor: Redactor, attempt: Option<AttemptKey>) -> Lane {
        let mut all = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let agent = all.entry(agent).or_insert_with(|| Arc::new(AgentLane::new())).clone();
        Lane { sender: self.sender.clone(), agent, clock: self.clock.clone(), redactor, attempt }
    }
}

#[cfg(test)]
impl Lanes {
    /// An outcome of a call that was never made.
    pub fn unasked(at: At) -> Observed {
        let credit = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a permit");
        Observed {
            at,
            call: CallId(u64::MAX),
            outcome: CallKind::Check.unsent(crate::domain::cause::Cause::Stopping),
            _credits: credit,
            _held: Held::default(),
        }
    }

    /// Keeps the lane full of such outcomes, regardless of credits, until the loop has ended.
    pub fn flood(&self) -> impl Future<Output = ()> + Send + use<> {
        let lanes = Self { sender: self.sender.clone(), agents: Mutex::default(), clock: self.clock.clone() };
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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::domain::cause::Cause;
    use crate::domain::job::message::Json;

    fn is_sent(sending: Pin<&mut impl Future<Output = bool>>) -> bool {
        sending.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(true)
    }

    /// An outcome without content, and one with this many bytes.
    fn outcome(bytes: usize) -> Outcome {
        if bytes == 0 {
            return CallKind::Check.unsent(Cause::Stopping);
        }
        let events = vec![StreamEvent::Unknown(Json::new("x".repeat(bytes)))];
        Outcome::Send(SendOutcome::Stream(StreamOutcome::Events(events)))
    }

    #[test]
    fn an_agent_that_sends_much_waits_and_delays_no_other() {
        // The bytes of each outcome, and how many outcomes are sent before the loop takes any.
        for (bytes, at_once) in
            [(0, CREDITS), (BYTES_A_CREDIT * 4, CREDITS / 4), (BYTES_A_CREDIT * CREDITS, 1)]
        {
            let (lanes, mut taken) = Lanes::new(Arc::new(Clock::start()));
            let lane = |agent| lanes.of(AgentKey(agent), Redactor::default(), None);
            let (busy, other) = (lane(0), lane(1));
            for nth in 0..at_once {
                assert!(is_sent(pin!(busy.send(CallId(1), outcome(bytes)))), "{bytes} bytes, {nth}");
            }
            let mut waits = pin!(busy.send(CallId(1), outcome(bytes)));
            assert!(!is_sent(waits.as_mut()), "{bytes} bytes: one more does not wait");
            assert!(
                is_sent(pin!(other.send(CallId(2), outcome(bytes)))),
                "{bytes} bytes: another agent waits"
            );
            drop(taken.try_recv());
            assert!(is_sent(waits.as_mut()), "{bytes} bytes: it still waits");
        }
    }
}
