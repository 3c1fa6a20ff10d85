//! The rows to send to a client of the control socket, given what it has.

use std::collections::BTreeSet;

use crate::domain::id::JobKey;
use crate::domain::job::Attempt;
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::engine::handle::wire::Tasks;

/// Tracks the rows of one client.
#[derive(Clone, Debug)]
pub struct Deltas {
    which: Tasks,
    /// The jobs that it has, unless it gets all of them.
    jobs: BTreeSet<JobKey>,
    /// True once it has been sent rows.
    started: bool,
}

impl Deltas {
    /// For a client that has nothing yet.
    pub fn new(which: Tasks) -> Self {
        Self { which, jobs: BTreeSet::new(), started: false }
    }

    /// The rows to send next: the changed ones, or everything if `changed` is unknown because the client was too slow.
    pub fn next(&mut self, snapshot: &Snapshot, changed: Option<Vec<Changed>>) -> Vec<Changed> {
        let started = std::mem::replace(&mut self.started, true);
        let mut gone = if started && changed.is_none() { gone(snapshot) } else { Vec::new() };
        let mut rows = self.rows(snapshot, changed);
        rows.append(&mut gone);
        rows
    }

    fn rows(&mut self, snapshot: &Snapshot, changed: Option<Vec<Changed>>) -> Vec<Changed> {
        match (self.which, changed) {
            (Tasks::All, Some(changed)) => changed,
            (Tasks::All, None) => everything(snapshot, snapshot.jobs.iter().map(|(key, _)| key)),
            (Tasks::Open, None) => {
                // Jobs that it has are sent again: they may be over meanwhile.
                let open = |job: &[_]| {
                    job.iter().any(|key| snapshot.attempts.get(*key).is_some_and(Attempt::wants_attention))
                };
                let jobs = snapshot.jobs.iter().filter(|(_, job)| open(&job.attempts));
                self.jobs.retain(|key| snapshot.jobs.get(*key).is_some());
                self.jobs.extend(jobs.map(|(key, _)| key));
                everything(snapshot, self.jobs.iter().copied())
            }
            (Tasks::Open, Some(changed)) => self.with_jobs(snapshot, changed),
        }
    }

    /// A client that does not have a job is sent all of it once a part of it changes.
    fn with_jobs(&mut self, snapshot: &Snapshot, mut changed: Vec<Changed>) -> Vec<Changed> {
        let of = |changed: &Changed| match *changed {
            Changed::Attempt(key) => snapshot.attempts.get(key).map(|attempt| attempt.job),
            Changed::Job(key) | Changed::Timeline(key) => Some(key),
            Changed::Agent(_) | Changed::Problem(_) | Changed::Source(_) => None,
        };
        let unknown = |job: &JobKey| !self.jobs.contains(job);
        let new: BTreeSet<JobKey> = changed.iter().filter_map(of).filter(unknown).collect();
        changed.retain(|changed| of(changed).is_none_or(|job| !new.contains(&job)));
        changed.extend(new.iter().flat_map(|job| whole(snapshot, *job)));
        self.jobs.extend(new);
        changed
    }
}

/// A job with its attempts.
fn whole(snapshot: &Snapshot, key: JobKey) -> impl Iterator<Item = Changed> {
    let attempts = snapshot.jobs.get(key).into_iter().flat_map(|job| &job.attempts);
    [Changed::Job(key)].into_iter().chain(attempts.map(|key| Changed::Attempt(*key)))
}

/// Keys of rows that no longer exist: a client that was slow may still have them.
fn gone(snapshot: &Snapshot) -> Vec<Changed> {
    let agents = snapshot.agents.vacant().map(Changed::Agent);
    let jobs = snapshot.jobs.vacant().map(Changed::Job);
    let attempts = snapshot.attempts.vacant().map(Changed::Attempt);
    let problems = snapshot.problems.vacant().map(Changed::Problem);
    let sources = snapshot.sources.vacant().map(Changed::Source);
    agents.chain(jobs).chain(attempts).chain(problems).chain(sources).collect()
}

fn everything(snapshot: &Snapshot, jobs: impl Iterator<Item = JobKey>) -> Vec<Changed> {
    let agents = snapshot.agents.iter().map(|(key, _)| Changed::Agent(key));
    let jobs = jobs.flat_map(|key| whole(snapshot, key));
    let problems = snapshot.problems.iter().map(|(key, _)| Changed::Problem(key));
    let sources = snapshot.sources.iter().map(|(key, _)| Changed::Source(key));
    agents.chain(jobs).chain(sources).chain(problems).collect()
}
