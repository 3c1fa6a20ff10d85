//! The circuit breaker between us and an agent's interface: an agent that keeps failing receives no work for a while.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::cause::Cause;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// The state of a breaker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum BreakerState {
    /// Everything is sent.
    #[default]
    Closed,
    /// Nothing is sent; watching and cancelling continue.
    Open,
    /// One sending is let through, to see.
    HalfOpen,
}

impl BreakerState {
    /// The word in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// The breaker of an agent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Breaker {
    /// The state.
    pub position: BreakerState,
    /// The time of the last change.
    pub since: At,
    /// The reason it opened; `None` while it is closed or if an operator opened it.
    pub cause: Option<Arc<Cause>>,
    /// The operator who holds the breaker in its state, regardless of evidence; `None` if it works automatically.
    pub forced: Option<Untrusted>,
    /// How often it opened without having closed: each time it stays open twice as long.
    pub opened: u16,
}

impl Breaker {
    /// `open, held by sam`
    pub fn in_words(&self) -> String {
        let held = self.forced.as_ref().map(|by| format!(", held by {}", by.line())).unwrap_or_default();
        format!("{}{held}", self.position.as_str())
    }
}

/// When breakers open, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BreakerRules {
    /// True if breakers open automatically.
    pub enabled: bool,
    /// The number of failed calls within the window,
    pub calls: u32,
    /// and such a share of them, in per cent, open it.
    pub calls_percent: u32,
    /// The window of calls.
    pub window: Duration,
    /// the number of failures among the last 20 ended tasks,
    pub tasks: u32,
    /// and such a share of them, in per cent, open it.
    pub tasks_percent: u32,
    /// One that does far worse than its replicas is given nothing while they do its work.
    pub outliers: bool,
    /// the number of failures among its last 20 tasks, or its calls in the window,
    pub outlier_failed: u32,
    /// the number of results needed, of the agent and of its replicas,
    pub outlier_volume: u32,
    /// and the number of percentage points by which its failure rate exceeds theirs.
    pub outlier_points: u32,
    /// The time it stays open; doubled after each failed trial, up to ten minutes.
    pub open_for: Duration,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self {
            enabled: true,
            calls: 5,
            calls_percent: 50,
            window: Duration::from_secs(60),
            tasks: 8,
            tasks_percent: 75,
            outliers: true,
            outlier_failed: 5,
            outlier_volume: 10,
            outlier_points: 30,
            open_for: Duration::from_secs(30),
        }
    }
}
