//! From when on something is a problem, and from when on no longer.

use std::time::Duration;

/// The thresholds of the lints. What each lint needs beside them is fixed, and said in docs/problems.md.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProblemThresholds {
    /// So many comings and goings within [`Self::flap_window`] make an agent flapping.
    pub flaps: u32,
    /// The window; it flaps no longer when it has stayed for so long.
    pub flap_window: Duration,
    /// A certificate that ends within so long is to be renewed.
    pub certificate: Duration,
    /// A changed card is news for so long.
    pub card_news: Duration,
    /// A clock that is wrong by so much is; half of it is right again.
    pub clock_skew: Duration,
    /// So many failed ones of an agent's last 20 ended tasks,
    pub failed_tasks: u32,
    /// and such a share of them, in per cent, make it failing. So many good ones in a row end it.
    pub failed_tasks_percent: u32,
    /// So many failed tasks of one skill, and nearly none of the others, make the skill failing.
    pub failed_skill: u32,
    /// So many failed ones of the last 20 calls make an agent degraded.
    pub failed_calls: u32,
    /// Calls that take so many times their usual are slow.
    pub slow_factor: u32,
    /// Until there is a usual time, calls that take longer than this are.
    pub slow: Duration,
    /// A task that tells nothing for so many times the usual longest pause there is stuck,
    pub stuck_factor: u32,
    /// but never sooner than this.
    pub stuck_least: Duration,
    /// So many tasks must have ended before a pause is usual.
    pub stuck_seen: u32,
    /// The same words of a status so many times, and nothing else new, are a loop.
    pub loops: u32,
    /// So many agents of one host or one source that cannot be reached,
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
