//! What a task delegated: the jobs whose parent it is, and what those delegated in turn.
//!
//! A parent is an id that an agent writes as it likes. Ids of tasks are unique at one agent only, so an id that several
//! agents have is nobody's parent here, and a circle of parents ends where it began.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::{AttemptKey, JobKey, TaskId};
use crate::domain::job::task::CancelMark;
use crate::domain::job::{Attempt, Job};
use crate::domain::state::snapshot::Snapshot;

/// Tasks that are followed below one, at most.
pub const MOST: usize = 1000;
/// How many times a task may be handed on, at most.
pub const DEPTH: usize = 16;

/// Rows by which delegations are followed.
pub trait Delegations {
    /// A job.
    fn job(&self, key: JobKey) -> Option<&Job>;
    /// An attempt.
    fn attempt(&self, key: AttemptKey) -> Option<&Attempt>;
    /// The jobs that a task delegated.
    fn children(&self, task: &TaskId) -> &[JobKey];
    /// The attempts of the agents that have a task of this id, two at most.
    fn named(&self, task: &TaskId) -> Vec<AttemptKey>;
}

/// What a task delegated, at any depth.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Delegated {
    /// The tasks, ended ones among them, those that it delegated itself first.
    pub tasks: Vec<AttemptKey>,
    /// True if there are more than are followed.
    pub more: bool,
    /// True if several agents have a task of the same id, so that nobody can say which of them delegated.
    pub is_ambiguous: bool,
}

/// What a task delegated.
pub fn below(rows: &impl Delegations, task: AttemptKey) -> Delegated {
    let mut found = Delegated::default();
    let mut seen = BTreeSet::from([task]);
    let mut level = vec![task];
    for depth in 0..=DEPTH {
        let mut next = Vec::new();
        for parent in level {
            let Some(parent) = rows.attempt(parent).and_then(|row| row.task.as_ref()) else { continue };
            let children = rows.children(&parent.id);
            if !children.is_empty() && rows.named(&parent.id).len() > 1 {
                found.is_ambiguous = true;
                continue;
            }
            let attempts = children.iter().filter_map(|job| rows.job(*job)).flat_map(|job| &job.attempts);
            for key in attempts {
                let is_task = rows.attempt(*key).is_some_and(|row| row.task.is_some());
                if !is_task || !seen.insert(*key) {
                    continue;
                }
                if depth == DEPTH || found.tasks.len() == MOST {
                    found.more = true;
                    return found;
                }
                found.tasks.push(*key);
                next.push(*key);
            }
        }
        level = next;
    }
    found
}

/// The task that delegated a job; `None` if it is not known, or if several could be it.
pub fn parent(rows: &impl Delegations, job: &Job) -> Option<AttemptKey> {
    let named = rows.named(job.parent.as_ref()?);
    match named.as_slice() {
        [one] => Some(*one),
        _ => None,
    }
}

/// How far the cancels of delegated tasks have come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Seen ended, however they ended, or lost by their agents.
    pub ended: usize,
    /// Asked or agreed.
    pub asked: usize,
    /// Nothing confirms their cancel, or it was refused.
    pub unconfirmed: usize,
    /// Nobody asked.
    pub left: usize,
}

impl Progress {
    /// Counts tasks.
    pub fn of<'a>(tasks: impl Iterator<Item = &'a Attempt>) -> Self {
        let mut all = Self::default();
        for attempt in tasks {
            let mark = attempt.task.as_ref().and_then(|task| task.cancel);
            match mark {
                _ if !attempt.is_live() => all.ended += 1,
                Some(CancelMark::Asked | CancelMark::Agreed) => all.asked += 1,
                Some(CancelMark::Unconfirmed | CancelMark::Refused) => all.unconfirmed += 1,
                Some(CancelMark::Verified | CancelMark::TooLate) | None => all.left += 1,
            }
        }
        all
    }

    /// All of them.
    pub fn total(self) -> usize {
        self.ended + self.asked + self.unconfirmed + self.left
    }

    /// Those that run.
    pub fn live(self) -> usize {
        self.total() - self.ended
    }
}

/// An index of a snapshot by parents.
#[derive(Debug)]
pub struct ByParent<'s> {
    snapshot: &'s Snapshot,
    children: BTreeMap<&'s TaskId, Vec<JobKey>>,
    named: BTreeMap<&'s TaskId, Vec<AttemptKey>>,
}

impl<'s> ByParent<'s> {
    /// Goes once over all jobs, and over all attempts if any job was delegated.
    pub fn new(snapshot: &'s Snapshot) -> Self {
        let mut children: BTreeMap<&TaskId, Vec<JobKey>> = BTreeMap::new();
        for (key, job) in snapshot.jobs.iter() {
            if let Some(parent) = &job.parent {
                children.entry(parent).or_default().push(key);
            }
        }
        let mut named: BTreeMap<&TaskId, Vec<AttemptKey>> = BTreeMap::new();
        if !children.is_empty() {
            for (key, attempt) in snapshot.attempts.iter() {
                if let Some(task) = attempt.task.as_ref().filter(|task| children.contains_key(&task.id)) {
                    named.entry(&task.id).or_default().push(key);
                }
            }
        }
        Self { snapshot, children, named }
    }
}

impl Delegations for ByParent<'_> {
    fn job(&self, key: JobKey) -> Option<&Job> {
        self.snapshot.jobs.get(key)
    }

    fn attempt(&self, key: AttemptKey) -> Option<&Attempt> {
        self.snapshot.attempts.get(key)
    }

    fn children(&self, task: &TaskId) -> &[JobKey] {
        self.children.get(task).map_or(&[], Vec::as_slice)
    }

    fn named(&self, task: &TaskId) -> Vec<AttemptKey> {
        self.named.get(task).map(|keys| keys.iter().copied().take(2).collect()).unwrap_or_default()
    }
}
