//! What a client of the control socket has been told, and so what is news to it.

use std::collections::BTreeSet;

use crate::domain::id::JobKey;
use crate::domain::job::Attempt;
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::engine::handle::wire::Tasks;

/// What one client has been told of the rows that it watches.
#[derive(Clone, Debug)]
pub struct Told {
    which: Tasks,
    /// Jobs that it has, where it is not sent every one.
    jobs: BTreeSet<JobKey>,
    /// It has rows of before.
    again: bool,
}

impl Told {
    /// Nothing yet.
    pub fn new(which: Tasks) -> Self {
        Self { which, jobs: BTreeSet::new(), again: false }
    }

    /// The rows that are news, by what has changed; everything, where nobody knows what.
    pub fn news(&mut self, snapshot: &Snapshot, changed: Option<Vec<Changed>>) -> Vec<Changed> {
        let again = std::mem::replace(&mut self.again, true);
        let mut gone = if again && changed.is_none() { gone(snapshot) } else { Vec::new() };
        let mut news = self.rows(snapshot, changed);
        news.append(&mut gone);
        news
    }

    fn rows(&mut self, snapshot: &Snapshot, changed: Option<Vec<Changed>>) -> Vec<Changed> {
        match (self.which, changed) {
            (Tasks::All, Some(changed)) => changed,
            (Tasks::All, None) => everything(snapshot, snapshot.jobs.iter().map(|(key, _)| key)),
            (Tasks::Open, None) => {
                // What it has is told again: it may be over meanwhile.
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

    /// Whoever does not know a job is told all of it once a part of it changes.
    fn with_jobs(&mut self, snapshot: &Snapshot, mut changed: Vec<Changed>) -> Vec<Changed> {
        let of = |changed: &Changed| match *changed {
            Changed::Attempt(key) => snapshot.attempts.get(key).map(|attempt| attempt.job),
            Changed::Job(key) | Changed::Story(key) => Some(key),
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

/// Rows that were there once: whoever was slow may have them still.
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
