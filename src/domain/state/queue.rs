//! The queue: which jobs wait, in the order in which they leave, and how many jobs of each rule run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::id::JobKey;
use crate::domain::job::Job;
use crate::domain::job::plan::{JobPhase, WaitReason};
use crate::domain::route::Target;
use crate::domain::time::At;

/// Jobs that compete for the same agents: those of one rule, or, before a rule decided, of one target. When the first of
/// a lane has to wait, the others have to as well.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Lane {
    /// Of a rule.
    Rule(Arc<str>),
    /// Of a target that no rule decided.
    Target(Target),
}

/// The place of a job in its lane: higher priorities first, then the older ones.
type Place = (Reverse<u8>, At, JobKey);

#[derive(Clone, Debug)]
struct Entry {
    lane: Lane,
    place: Place,
    /// True while it may leave as soon as an agent takes it; false during the pause before a retry.
    ready: bool,
    bytes: u64,
}

/// The jobs that wait, and the running jobs of each rule. Derived from the jobs, not stored.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    entries: BTreeMap<JobKey, Entry>,
    lanes: BTreeMap<Lane, BTreeSet<Place>>,
    bytes: u64,
    running: BTreeMap<Arc<str>, BTreeSet<JobKey>>,
    ruled: BTreeMap<JobKey, Arc<str>>,
}

impl Queue {
    /// How many jobs wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if no job waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of the messages that wait.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The jobs that wait, in no particular order.
    pub fn jobs(&self) -> impl Iterator<Item = JobKey> + '_ {
        self.entries.keys().copied()
    }

    /// The lanes with jobs that may leave.
    pub fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.keys()
    }

    /// The job of a lane that leaves first.
    pub fn first(&self, lane: &Lane) -> Option<JobKey> {
        self.lanes.get(lane)?.first().map(|(_, _, key)| *key)
    }

    /// How many jobs wait in front of one in its lane.
    pub fn ahead(&self, key: JobKey) -> Option<usize> {
        let entry = self.entries.get(&key).filter(|entry| entry.ready)?;
        Some(self.lanes.get(&entry.lane)?.range(..entry.place).count())
    }

    /// How many jobs of a rule run.
    pub fn running(&self, rule: &str) -> usize {
        self.running.get(rule).map_or(0, BTreeSet::len)
    }

    /// Puts a job where it belongs; `None` for one that is gone.
    pub(super) fn place(&mut self, key: JobKey, job: Option<&Job>) {
        self.leave(key);
        let Some((job, plan)) = job.and_then(|job| Some((job, job.plan.as_ref()?))) else { return };
        match job.phase {
            JobPhase::Queued => {
                let lane = match &plan.rule {
                    Some(rule) => Lane::Rule(rule.clone()),
                    None => Lane::Target(plan.target.clone()),
                };
                let place = (Reverse(plan.priority), job.created, key);
                let ready = plan.waiting.is_none_or(|waiting| waiting.why != WaitReason::Backoff);
                if ready {
                    self.lanes.entry(lane.clone()).or_default().insert(place);
                }
                let bytes = job.message.as_ref().map_or(0, |message| message.size());
                self.bytes += bytes;
                self.entries.insert(key, Entry { lane, place, ready, bytes });
            }
            JobPhase::Running => {
                if let Some(rule) = &plan.rule {
                    self.running.entry(rule.clone()).or_default().insert(key);
                    self.ruled.insert(key, rule.clone());
                }
            }
            JobPhase::Over => {}
        }
    }

    fn leave(&mut self, key: JobKey) {
        if let Some(Entry { lane, place, ready, bytes }) = self.entries.remove(&key) {
            self.bytes -= bytes;
            if ready && let Some(places) = self.lanes.get_mut(&lane) {
                places.remove(&place);
                if places.is_empty() {
                    self.lanes.remove(&lane);
                }
            }
        }
        if let Some(rule) = self.ruled.remove(&key)
            && let Some(running) = self.running.get_mut(&rule)
        {
            running.remove(&key);
            if running.is_empty() {
                self.running.remove(&rule);
            }
        }
    }
}
