//! Admission: the only way from a job to an agent. It holds everything that decides whether a message may be sent to an
//! agent now; nothing else asks for breaker, health or the fleet's membership.

use crate::domain::agent::Health;
use crate::domain::agent::breaker::BreakerState;
use crate::domain::decide::breaker;
use crate::domain::decide::instead;
use crate::domain::decide::not_now;
use crate::domain::decide::turn::Turn;
use crate::domain::id::AgentKey;
use crate::domain::intent::{Refusal, Remedy};
use crate::domain::route::decision::Obstacle;
use crate::domain::text::Untrusted;

/// The reason shown for an agent that is not listed.
pub(super) const LEFT: &str = "the agent is no longer part of the fleet";

/// What is to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Work {
    /// A message for which no attempt is planned yet: it needs a free place.
    New,
    /// The message of an attempt, which has its place.
    Planned,
    /// A message to a task that the agent already has.
    Answer,
}

/// Whether an agent takes a message now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Admission {
    /// It may be sent.
    Granted,
    /// Not now, but perhaps later.
    Wait(Wait),
    /// Never, as things stand.
    Refused(Refusal),
}

/// Why a message has to wait for its agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Wait {
    /// The agent has not been reached, or does not answer: its next probe decides.
    Health(Health),
    /// Its breaker lets nothing through; the text says why, and what ends that.
    Breaker(Untrusted),
    /// An operator took it out of service; the text says who and why.
    Cordoned(Untrusted),
    /// It runs as many tasks as it accepts at once.
    Full {
        /// Its tasks in flight.
        in_flight: u32,
        /// What it accepts.
        capacity: u32,
    },
}

impl Wait {
    /// The same for the router.
    pub fn obstacle(&self) -> Obstacle {
        match self {
            Self::Health(health) => Obstacle::Health(*health),
            Self::Breaker(_) => Obstacle::Breaker,
            Self::Cordoned(_) => Obstacle::Cordoned,
            Self::Full { .. } => Obstacle::Full,
        }
    }
}

/// Decides whether a message may be sent to an agent.
pub(super) fn admit(turn: &Turn, key: AgentKey, work: Work) -> Admission {
    let Some(agent) = turn.state().agent(key).filter(|agent| agent.listed || work == Work::Answer) else {
        return Admission::Refused(not_now(format!("{LEFT}: add it again before you send to it")));
    };
    if let Err(why) = breaker::lets_through(turn, key) {
        return Admission::Wait(Wait::Breaker(why));
    }
    if work == Work::New
        && let Some(out) = &agent.service
    {
        return Admission::Wait(Wait::Cordoned(out.in_words().into()));
    }
    if work == Work::New
        && let Some(capacity) = agent.spec.capacity
        && agent.counts.live >= capacity
    {
        return Admission::Wait(Wait::Full { in_flight: agent.counts.live, capacity });
    }
    let reached = turn.live.agents.get(&key).is_some_and(|live| live.reached);
    match agent.health {
        Health::Up | Health::Degraded | Health::LoginNeeded if reached => Admission::Granted,
        health => Admission::Wait(Wait::Health(health)),
    }
}

/// The refusal of an act for which the operator named the agent. A message for an agent that could not be reached yet is
/// accepted: its next probe decides. So is one
/// for an agent that is full: it waits in the queue.
pub(super) fn accepts(turn: &Turn, key: AgentKey, work: Work) -> Result<(), Refusal> {
    match admit(turn, key, work) {
        Admission::Granted | Admission::Wait(Wait::Health(_) | Wait::Full { .. }) => Ok(()),
        Admission::Wait(Wait::Breaker(why)) => {
            let breaker = turn.state().agent(key).map(|agent| &agent.breaker);
            Err(match breaker {
                Some(breaker) if breaker.forced.is_some() => instead(why, Remedy::ReleaseBreaker),
                Some(breaker) if breaker.position == BreakerState::Open => instead(why, Remedy::CloseBreaker),
                _ => not_now(why),
            })
        }
        Admission::Wait(Wait::Cordoned(out)) => {
            Err(instead(format!("it is out of service, {out}"), Remedy::Resume))
        }
        Admission::Refused(refusal) => Err(refusal),
    }
}
