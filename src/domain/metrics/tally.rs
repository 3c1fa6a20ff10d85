//! The counts and durations of one stretch of time.

use crate::domain::metrics::{Histogram, share};

/// Results of one period. Two can be merged.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Messages that were sent, and tasks of other clients that were found.
    pub begun: u32,
    /// Completed, or answered with a message.
    pub ok: u32,
    /// Failed by the agent.
    pub failed: u32,
    /// Not taken by the agent, or never delivered to it.
    pub refused: u32,
    /// Forgotten by the agent, or taken as lost by a person.
    pub lost: u32,
    /// Ended by a cancel.
    pub canceled: u32,
    /// The most that were live at once.
    pub live: u32,
    /// Calls that were answered, whatever for, or failed.
    pub calls: u32,
    /// Calls among them that failed.
    pub calls_failed: u32,
    /// The time from planning a message, or from the first report of a found task, to its end; only of completed and
    /// failed tasks.
    pub took: Histogram,
    /// From sending to the first word of the agent.
    pub first: Histogram,
    /// Between two words of a task on an open stream.
    pub between: Histogram,
    /// Calls that do no work.
    pub answer: Histogram,
}

impl Tally {
    /// The number of tasks that ended otherwise than the caller wanted. Canceled ones are wanted.
    pub fn bad(&self) -> u32 {
        self.failed + self.refused + self.lost
    }

    /// The number of tasks that completed or ended badly.
    pub fn ended(&self) -> u32 {
        self.ok + self.bad()
    }

    /// Completed tasks per thousand; `None` if none ended. 1000 only if all did.
    pub fn ok_per_mille(&self) -> Option<u32> {
        let ended = self.ended();
        (ended > 0).then(|| share(u64::from(self.ok), u64::from(ended), 1000))
    }

    /// True if nothing happened.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds another tally. Live tasks are not summed: the maximum counts.
    pub fn merge(&mut self, other: &Self) {
        for (mine, other) in [
            (&mut self.begun, other.begun),
            (&mut self.ok, other.ok),
            (&mut self.failed, other.failed),
            (&mut self.refused, other.refused),
            (&mut self.lost, other.lost),
            (&mut self.canceled, other.canceled),
            (&mut self.calls, other.calls),
            (&mut self.calls_failed, other.calls_failed),
        ] {
            *mine = mine.saturating_add(other);
        }
        self.live = self.live.max(other.live);
        self.took.merge(&other.took);
        self.first.merge(&other.first);
        self.between.merge(&other.between);
        self.answer.merge(&other.answer);
    }
}
