//! Facts of an agent.

use std::sync::Arc;

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::card::{Card, Dialect, Interface};
use crate::domain::agent::service::Service;
use crate::domain::agent::shift::{Shift, ShiftCounts, ShiftEvent};
use crate::domain::agent::{AgentSpec, Health};
use crate::domain::cause::Cause;
use crate::domain::job::task::ProtocolViolation;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Facts of an agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AgentFact {
    /// It joined the fleet for the first time.
    Listed {
        /// The operator's settings.
        spec: Arc<AgentSpec>,
        /// Its place among all agents, from 0.
        order: u32,
        /// The name that it has until its card is read.
        name: Untrusted,
    },
    /// It joined the fleet again, or with other settings.
    Relisted {
        /// The operator's settings.
        spec: Arc<AgentSpec>,
        /// Its place among all agents, from 0.
        order: u32,
    },
    /// The set of sources that name it changed.
    Sourced {
        /// The names of all sources that name it now; empty if none does.
        sources: Vec<Arc<str>>,
    },
    /// The actor added it permanently.
    Added,
    /// The actor withdrew what had been added permanently.
    Removed,
    /// It left the fleet; its history is kept for a while.
    Unlisted,
    /// It is removed with its facts, as nobody names it any more and nothing else of it is kept.
    Forgotten,
    /// It is called by another name.
    Named {
        /// Unique among the listed agents.
        name: Untrusted,
    },
    /// Its card was read for the first time, or has changed.
    CardSeen {
        /// The new card.
        card: Arc<Card>,
        /// True if a source reported it, false if the agent itself served it.
        reported: bool,
    },
    /// It presented a certificate that expires at another time than the one before.
    CertificateSeen {
        /// When it expires; `None` if the agent no longer uses TLS.
        until: Option<At>,
    },
    /// Its `Server` header has changed.
    ServerSeen {
        /// The software, such as `uvicorn` or `Express`; `None` if the header is absent.
        server: Option<Untrusted>,
    },
    /// The difference between the card that was just read and the one before.
    CardChanged {
        /// Such as `version 2.4.0 → 2.4.1; skills: + refund`.
        words: Untrusted,
    },
    /// Another of its interfaces is called from here on.
    InterfaceChosen {
        /// The interface; `None` if it offers none that we speak.
        interface: Option<Arc<Interface>>,
    },
    /// A call confirmed another protocol version than the card's.
    DialectConfirmed {
        /// The dialect that works.
        dialect: Dialect,
    },
    /// It refused to stream although its card offers it, and answered the plain call.
    StreamingRefused {
        /// The refusal.
        cause: Arc<Cause>,
    },
    /// Its health or the cause of it has changed.
    HealthChanged {
        /// Its health from here on.
        health: Health,
        /// The reason; `None` if the health implies it.
        cause: Option<Arc<Cause>>,
        /// When it last answered anything.
        last_seen: At,
    },
    /// Its circuit breaker moved, automatically or by hand.
    BreakerMoved {
        /// The position from here on.
        position: BreakerState,
        /// The reason it opened; `None` if it did not open automatically.
        cause: Option<Arc<Cause>>,
        /// The operator who holds it in this state; `None` if it works automatically.
        forced: Option<Untrusted>,
    },
    /// An operator took it out of service or put it back, or its maintenance window ended.
    ServiceChanged {
        /// Why it gets no new work from here on; `None` if it is in service.
        service: Service,
    },
    /// Nothing runs any more at an agent that is being drained.
    Drained,
    /// The shift of its work to a successor began, moved or ended.
    ShiftMoved {
        /// What happened.
        event: ShiftEvent,
        /// What was counted in the step that is over; `None` if none is.
        evidence: Option<ShiftCounts>,
        /// The shift from here on; `None` if there is none any more.
        shift: Option<Arc<Shift>>,
    },
    /// Control sequences or hidden characters were removed from text that it sent.
    TextSanitised {
        /// How many were removed since the last such fact.
        count: u32,
    },
    /// It did something in one of its tasks that the protocol does not allow.
    ViolationCounted {
        /// The violation.
        violation: ProtocolViolation,
    },
}
