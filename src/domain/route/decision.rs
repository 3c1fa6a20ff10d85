//! A decision of the router with what it looked at, as facts keep it and `route explain` shows it.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::Health;
use crate::domain::id::AgentId;
use crate::domain::route::shift::Shifted;

/// Candidates that a decision keeps at most; the one taken is always among them.
pub const CANDIDATES_KEPT: usize = 16;

/// Why an agent does not take a job now, although it could otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Obstacle {
    /// Its health; the next probe decides.
    Health(Health),
    /// Its breaker lets nothing through.
    Breaker,
    /// It runs as many tasks as it accepts at once.
    Full,
    /// It was taken out of service: no new work.
    Cordoned,
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // With these it takes work once this engine has reached it.
            Self::Health(Health::Unknown | Health::Up | Health::Degraded | Health::LoginNeeded) => {
                f.write_str("not reached yet")
            }
            Self::Health(health @ (Health::Down | Health::Stale)) => f.write_str(health.as_str()),
            Self::Health(Health::NotSpoken) => f.write_str("not spoken"),
            Self::Breaker => f.write_str("its breaker is open"),
            Self::Full => f.write_str("full"),
            Self::Cordoned => f.write_str("cordoned"),
        }
    }
}

/// What the router says about one agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It gets the job.
    Taken,
    /// It could take the job; another one is ahead of it.
    Behind,
    /// It cannot take the job now.
    Out(Obstacle),
}

/// An agent that was considered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Considered {
    /// The agent.
    pub agent: AgentId,
    /// The lower, the better; what it measures depends on the balance. `None` for one that is out.
    pub score: Option<u64>,
    /// Its health then.
    pub health: Health,
    /// Its tasks in flight then.
    pub in_flight: u32,
    /// The number of tasks that it accepts at once.
    pub capacity: Option<u32>,
    /// The time that its tasks take, as the balance sees it; `None` if unknown.
    pub latency: Option<Duration>,
    /// Failed ones among its last results, in thousandths.
    pub failing: u32,
    /// The verdict.
    pub verdict: Verdict,
}

/// A decision of the router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// The rule that decided; `None` if no rule fitted and the target's agents were taken by turns.
    pub rule: Option<Arc<str>>,
    /// The route of that rule.
    pub route: Option<Arc<str>>,
    /// The revision of the rules.
    pub revision: u64,
    /// What the rule asked of the message, in words; all of it held.
    pub matched: Vec<Arc<str>>,
    /// Which of the rule's selectors the agents are from: 0 is `to`, 1 the first fallback.
    pub stage: u8,
    /// The agents that were considered, the one taken first, [`CANDIDATES_KEPT`] at most.
    pub candidates: Vec<Considered>,
    /// What a shift did; `None` if none concerns the agent that was taken.
    pub shift: Option<Shifted>,
}

impl Decision {
    /// The agent that got the job.
    pub fn taken(&self) -> Option<AgentId> {
        self.candidates.iter().find(|one| one.verdict == Verdict::Taken).map(|one| one.agent)
    }
}
