//! The time that an agent's tasks take, as the router sees it: it follows a slow one at once and falls slowly (peak
//! EWMA), so that an agent that becomes slow loses work before its next tasks have ended.

use std::time::Duration;

use crate::domain::time::At;

/// After this time without a slow task, half of the distance to what its tasks take now is gone.
const HALF: Duration = Duration::from_secs(60);

/// The time that the tasks of one agent take.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::domain) struct TaskTime {
    usual: Option<Duration>,
    at: At,
}

impl TaskTime {
    /// The time; `None` if no task has ended yet.
    pub fn usual(&self) -> Option<Duration> {
        self.usual
    }

    /// Adds a task that completed. Failed ones say nothing: an agent that fails at once is not quick.
    pub fn record(&mut self, at: At, took: Duration) {
        let next = match self.usual {
            Some(usual) if took < usual => {
                let since = at.since(self.at).as_millis();
                let kept = HALF.as_millis();
                let above = usual.saturating_sub(took).as_micros() * kept / (kept + since);
                took + Duration::from_micros(u64::try_from(above).unwrap_or(u64::MAX))
            }
            _ => took,
        };
        (self.usual, self.at) = (Some(next), at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_task_counts_at_once_and_is_forgotten_slowly() {
        let mut time = TaskTime::default();
        let mut seen = Vec::new();
        for (second, took) in [(0, 100), (1, 1000), (1, 100), (61, 100), (661, 100)] {
            time.record(At::from_micros(second * 1_000_000), Duration::from_millis(took));
            seen.push(time.usual().unwrap().as_millis());
        }
        assert_eq!(seen, [100, 1000, 1000, 550, 140]);
    }
}
