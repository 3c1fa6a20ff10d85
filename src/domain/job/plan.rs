//! How a job that goes by rules, or that had to wait, is dispatched.

use std::sync::Arc;

use crate::domain::cause::Cause;
use crate::domain::id::AgentId;
use crate::domain::route::Target;
use crate::domain::time::At;

/// How far a job has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum JobPhase {
    /// It waits, and no attempt of it is live.
    Queued,
    /// An attempt is live, or its outcome is not known yet.
    Running,
    /// Nothing more is tried.
    Over,
}

impl JobPhase {
    /// The word in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Over => "over",
        }
    }
}

/// Why a job waits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum WaitReason {
    /// Every agent that could take it runs as many tasks as it accepts.
    Capacity,
    /// As many jobs of its rule run as the rule allows.
    Concurrency,
    /// No agent that could take it takes work now: down, breaker open, cordoned, or gone.
    Unavailable,
    /// The pause before the next attempt.
    Backoff,
}

impl WaitReason {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::Concurrency => "concurrency",
            Self::Unavailable => "unavailable",
            Self::Backoff => "backoff",
        }
    }

    /// The words on screens, behind "waits for".
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Capacity => "a free place",
            Self::Concurrency => "a place in its route",
            Self::Unavailable => "an agent that takes work",
            Self::Backoff => "the next attempt",
        }
    }
}

/// The wait of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// Why.
    pub why: WaitReason,
    /// Since when.
    pub since: At,
    /// Until when at least; `None` if something else ends the wait.
    pub until: Option<At>,
}

/// Where an operator wants the next attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextAgent {
    /// Wherever the router sends it; agents that were not tried come first.
    Any,
    /// At this agent.
    Named(AgentId),
}

/// How a job is dispatched. A job sent to a named agent has none unless it had to wait.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Where it is to go.
    pub target: Target,
    /// The rule of the last decision; `None` before the first one and if no rule fitted.
    pub rule: Option<Arc<str>>,
    /// The revision of the rules then.
    pub revision: u64,
    /// When nothing more is tried; `None` for no limit.
    pub deadline: Option<At>,
    /// Higher numbers leave the queue first.
    pub priority: u8,
    /// Running the work twice does no harm.
    pub idempotent: bool,
    /// Attempts that followed an earlier one by rule.
    pub retries: u16,
    /// Where an operator wants the next attempt; `None` once it was made, and if no operator asked for one.
    pub next: Option<NextAgent>,
    /// Its wait; `None` if it does not wait.
    pub waiting: Option<Waiting>,
    /// Why it ended without a result, as a dead letter; `None` if it has not, or if its last attempt says how it ended.
    pub dead: Option<Arc<Cause>>,
}

impl Plan {
    /// The plan of a job that has not been decided about.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            rule: None,
            revision: 0,
            deadline: None,
            priority: crate::domain::route::PRIORITY,
            idempotent: false,
            retries: 0,
            next: None,
            waiting: None,
            dead: None,
        }
    }
}
