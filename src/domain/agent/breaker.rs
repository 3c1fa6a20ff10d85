//! The circuit breaker between us and an agent's interface: what fails again and again is given nothing for a while.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::cause::Cause;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Where a breaker stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum BreakerState {
    /// Everything goes through.
    #[default]
    Closed,
    /// Nothing is sent; watching and cancelling go on.
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
    /// Where it stands.
    pub position: BreakerState,
    /// Since when.
    pub since: At,
    /// Why it opened.
    pub cause: Option<Arc<Cause>>,
    /// Who holds it where it stands, whatever calls and tasks show.
    pub forced: Option<Untrusted>,
    /// How often it opened without having closed: each time it stays open twice as long.
    pub opened: u16,
}

/// When breakers open, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BreakerRules {
    /// Breakers open by themselves.
    pub enabled: bool,
    /// So many failed calls within the window,
    pub calls: u32,
    /// and such a share of them, in per cent, open it.
    pub calls_percent: u32,
    /// The window of calls.
    pub window: Duration,
    /// So many failed ones of the last 20 ended tasks,
    pub tasks: u32,
    /// and such a share of them, in per cent, open it.
    pub tasks_percent: u32,
    /// One that does far worse than its replicas is given nothing while they do its work.
    pub outliers: bool,
    /// So many of its last 20 tasks, or of its calls of the window, failed at least,
    pub outlier_failed: u32,
    /// of so many at least, and as many of theirs are known,
    pub outlier_volume: u32,
    /// and its share of failed ones is so many points, in per cent, above theirs.
    pub outlier_points: u32,
    /// It stays open so long; twice as long each time that the trial fails, up to ten minutes.
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
