//! Snapshots for readers: the rows, and the changes since a reader last looked.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::domain::agent::{Agent, Counts};
use crate::domain::fleet::source::SourceRow;
use crate::domain::id::{AgentKey, AttemptKey, JobKey, ProblemKey, SourceKey};
use crate::domain::job::attention::Attention;
use crate::domain::job::{Attempt, Job};
use crate::domain::problem::Problem;
use crate::domain::problem::counts::ProblemCounts;
use crate::domain::state::slab::Slab;
use crate::domain::state::{Changed, State};
use crate::domain::time::At;

/// The fleet at one moment. A clone shares all rows.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The revision: the number of publications.
    pub rev: u64,
    /// The time of publication, from which ages are computed.
    pub at: At,
    /// When this engine began to watch.
    pub watching_since: At,
    /// True while the journal cannot be written.
    pub unsaved: bool,
    /// The number of the fleet's last fact: the facts that a surface has read are old once this has grown.
    pub fleet_seq: u64,
    /// The agents.
    pub agents: Slab<AgentKey, Agent>,
    /// The jobs.
    pub jobs: Slab<JobKey, Job>,
    /// The attempts with their tasks.
    pub attempts: Slab<AttemptKey, Attempt>,
    /// Attempts that a person may have to look at.
    pub attention: Attention,
    /// The problems, open and cleared.
    pub problems: Slab<ProblemKey, Problem>,
    /// The sources of agents.
    pub sources: Slab<SourceKey, SourceRow>,
    /// Events a second over the last seconds, of all streams.
    pub events_per_second: u32,
    changes: VecDeque<Arc<Batch>>,
}

#[derive(Debug)]
struct Batch {
    rev: u64,
    rows: Vec<Changed>,
}

/// The number of publications remembered; a reader that is further behind rebuilds.
const BATCHES: usize = 256;

impl Snapshot {
    /// An empty fleet, watched since now.
    pub fn starting(at: At) -> Self {
        Self { at, watching_since: at, ..Self::default() }
    }

    /// Publishes the current state.
    pub fn publish(&mut self, state: &State, at: At, mut changed: Vec<Changed>) {
        self.rev += 1;
        self.at = at;
        self.fleet_seq = state.fleet_seq();
        self.agents = state.agents().clone();
        self.jobs = state.jobs().clone();
        self.attempts = state.attempts().clone();
        self.attention = state.attention().clone();
        self.problems = state.problems().clone();
        self.sources = state.sources().clone();
        changed.sort_unstable();
        changed.dedup();
        self.push_batch(changed);
    }

    /// Adds the changes of a publication.
    pub fn push_batch(&mut self, rows: Vec<Changed>) {
        if self.changes.len() == BATCHES {
            self.changes.pop_front();
        }
        self.changes.push_back(Arc::new(Batch { rev: self.rev, rows }));
    }

    /// The rows changed after `rev`; `None` if that is too long ago and everything must be read again.
    pub fn changes_since(&self, rev: u64) -> Option<Vec<Changed>> {
        if rev == self.rev {
            return Some(Vec::new());
        }
        if self.changes.front().is_none_or(|oldest| oldest.rev > rev + 1) {
            return None;
        }
        let mut rows: Vec<_> = self
            .changes
            .iter()
            .filter(|batch| batch.rev > rev)
            .flat_map(|batch| batch.rows.iter().copied())
            .collect();
        rows.sort_unstable();
        rows.dedup();
        Some(rows)
    }

    /// The job of an attempt.
    pub fn job_of(&self, attempt: &Attempt) -> Option<&Job> {
        self.jobs.get(attempt.job)
    }

    /// Problems that are not over, by number.
    pub fn open_problems(&self) -> impl Iterator<Item = (ProblemKey, &Problem)> {
        self.problems.iter().filter(|(_, problem)| problem.cleared.is_none())
    }

    /// How many problems there are.
    pub fn problem_counts(&self) -> ProblemCounts {
        ProblemCounts::of(self.problems.iter().map(|(_, problem)| problem))
    }

    /// How many tasks there are, of all agents.
    pub fn task_counts(&self) -> Counts {
        let mut all = Counts::default();
        for (_, agent) in self.agents.iter() {
            all += agent.counts;
        }
        all
    }

    /// Attempts that wait for a person, oldest first.
    pub fn inbox(&self) -> Vec<AttemptKey> {
        let waiting = self.agents.iter().filter(|(_, agent)| agent.counts.need_you > 0);
        let mut keys: Vec<_> = waiting
            .flat_map(|(agent, _)| self.attention.of(agent))
            .filter_map(|key| Some((self.attempts.get(key)?, key)))
            .filter(|(attempt, _)| attempt.needs_you())
            .map(|(attempt, key)| (attempt.since().at, key))
            .collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, key)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_published_once_or_a_rebuild_is_requested() {
        let mut snapshot = Snapshot::default();
        let state = State::default();
        let agent = |n| Changed::Agent(AgentKey(n));
        for n in 0..300 {
            snapshot.publish(&state, At::ZERO, vec![agent(n), agent(n)]);
        }
        assert_eq!(snapshot.changes_since(300), Some(vec![]));
        assert_eq!(snapshot.changes_since(298), Some(vec![agent(298), agent(299)]));
        assert_eq!(snapshot.changes_since(44).map(|rows| rows.len()), Some(256));
        assert_eq!(snapshot.changes_since(43), None);
    }
}
