//! From when on something is a problem, and from when on no longer.

use std::time::Duration;

/// The thresholds of the lints. Fixed limits are listed in docs/problems.md.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProblemThresholds {
    /// The number of changes within [`Self::flap_window`] from which an agent is flapping.
    pub flaps: u32,
    /// The window; the problem clears after this long without a change.
    pub flap_window: Duration,
    /// The remaining lifetime from which a certificate is reported.
    pub certificate: Duration,
    /// The time for which a changed card is reported.
    pub card_news: Duration,
    /// The skew from which a clock is wrong; it is right again from half of it.
    pub clock_skew: Duration,
    /// The number of failures among an agent's last 20 ended tasks,
    pub failed_tasks: u32,
    /// and their share in per cent, from which the agent is failing. The same number of successes in a row ends it.
    pub failed_tasks_percent: u32,
    /// The number of failed tasks of one skill, while the others work, from which the skill is failing.
    pub failed_skill: u32,
    /// The number of failures among the last 20 calls from which an agent is degraded.
    pub failed_calls: u32,
    /// The multiple of the usual latency from which calls are slow.
    pub slow_factor: u32,
    /// The latency from which calls are slow while no usual one is known.
    pub slow: Duration,
    /// The multiple of the usual longest pause after which a task is stuck,
    pub stuck_factor: u32,
    /// but never sooner than this.
    pub stuck_least: Duration,
    /// The number of ended tasks needed before a usual pause is known.
    pub stuck_seen: u32,
    /// The number of repeats of a status text, with nothing new in between, that is a loop.
    pub loops: u32,
    /// The number of unreachable agents of one host or source,
    pub group: u32,
    /// and such a share of its agents, in per cent, are one problem of the host or the source.
    pub group_percent: u32,
}

impl Default for ProblemThresholds {
    fn default() -> Self {
        Self {
            flaps: 6,
            flap_window: Duration::from_secs(600),
            certificate: Duration::from_secs(14 * 86400),
            card_news: Duration::from_secs(3600),
            clock_skew: Duration::from_secs(30),
            failed_tasks: 8,
            failed_tasks_percent: 40,
            failed_skill: 5,
            failed_calls: 3,
            slow_factor: 3,
            slow: Duration::from_secs(2),
            stuck_factor: 5,
            stuck_least: Duration::from_secs(30),
            stuck_seen: 5,
            loops: 20,
            group: 5,
            group_percent: 60,
        }
    }
}
