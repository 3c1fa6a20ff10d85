//! How a job that goes by rules, or that had to wait, is dispatched.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::cause::Cause;
use crate::domain::id::AgentId;
use crate::domain::job::carry::Carried;
use crate::domain::route::{HedgeAfter, Target};
use crate::domain::text::Untrusted;
use crate::domain::time::{At, format_duration};

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

/// Why an attempt is sent beside a live one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RaceReason {
    /// An operator wants it.
    Raced {
        /// The operator's name.
        by: Untrusted,
    },
    /// Its rule wants it: the live one took longer than usual.
    Hedged {
        /// The limit as the rule names it.
        after: HedgeAfter,
        /// The limit in time.
        limit: Duration,
    },
}

impl RaceReason {
    /// The word in JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Raced { .. } => "raced",
            Self::Hedged { .. } => "hedged",
        }
    }
}

impl std::fmt::Display for RaceReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Raced { by } => write!(f, "raced by {}", by.line()),
            Self::Hedged { after: HedgeAfter::Time(limit), .. } => {
                write!(f, "hedged: it took longer than {}", tenths(*limit))
            }
            Self::Hedged { after, limit } => {
                write!(f, "hedged: it took longer than {after} of {}", tenths(*limit))
            }
        }
    }
}

/// A duration, with tenths where it is short.
fn tenths(time: Duration) -> String {
    if time < Duration::from_secs(60) { format!("{:.1}s", time.as_secs_f64()) } else { format_duration(time) }
}

/// An attempt that was sent beside a live one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Racer {
    /// Its number within the job.
    pub number: u16,
    /// Why.
    pub why: RaceReason,
}

/// An attempt that is about to be sent beside a live one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NextRacer {
    /// Where.
    pub to: NextAgent,
    /// Why.
    pub why: RaceReason,
}

/// Attempts of a job that run beside each other: the first that completes wins.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Race {
    /// The attempts that were sent beside a live one, in order.
    pub racers: Vec<Racer>,
    /// The one that is to follow; `None` once it was planned.
    pub next: Option<NextRacer>,
    /// The number of the attempt that completed first.
    pub won: Option<u16>,
}

/// The budget of a rule that had no retry left when it was needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpentBudget {
    /// The rule.
    pub rule: Arc<str>,
    /// The share of its jobs that may be retries, in per cent.
    pub percent: u8,
}

impl std::fmt::Display for SpentBudget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rule, percent } = self;
        write!(f, "not tried again: the retry budget of rule {rule} is spent ({percent} % of its jobs)")
    }
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
    /// The budget because of which nothing followed its last attempt; `None` if that was not why.
    pub spent: Option<Box<SpentBudget>>,
    /// When it ended; `None` while it goes on, and if an earlier version recorded its end.
    pub ended: Option<At>,
    /// Attempts that run beside each other; `None` if there never were several.
    pub race: Option<Box<Race>>,
    /// What the next attempt takes along from an earlier one; `None` once its message was composed.
    pub carry: Option<Box<Carried>>,
    /// True if its message was composed with what an earlier attempt had come to.
    pub composed: bool,
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
            spent: None,
            ended: None,
            race: None,
            carry: None,
            composed: false,
        }
    }
}
