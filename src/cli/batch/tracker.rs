//! Which jobs a batch waits for, and whose turn it is: one look at each snapshot serves all of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::place::is_of_batch;
use crate::cli::protocol_json::is_decided;
use crate::domain::cause::Cause;
use crate::domain::id::{AttemptKey, JobId, JobKey};
use crate::domain::job::plan::JobPhase;
use crate::domain::job::{Attempt, Phase};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;
use crate::engine::handle::JobRows;
use crate::engine::{Answer, Handle, Query, QueryError};

/// The time in which an engine answers what it knows of a job.
const ANSWERS: Duration = Duration::from_secs(5);

/// A job that is decided, in the snapshot that shows it.
#[derive(Debug)]
pub(super) struct Decided {
    pub snapshot: Arc<Snapshot>,
    /// Its latest attempt; `None` if it never left the queue.
    pub key: Option<AttemptKey>,
    /// Why it was given up in the queue.
    pub given_up: Option<Arc<Cause>>,
}

impl Decided {
    fn new(snapshot: &Arc<Snapshot>, key: Option<AttemptKey>) -> Self {
        Self { snapshot: snapshot.clone(), key, given_up: None }
    }

    /// A job as a snapshot shows it; `None` if it is not decided.
    fn of(snapshot: &Arc<Snapshot>, key: JobKey) -> Option<Self> {
        let job = snapshot.jobs.get(key)?;
        let latest = latest(snapshot, key, job.id);
        // Another attempt may follow one that failed.
        let is_over = job.phase == JobPhase::Over;
        let decided = match latest.and_then(|key| snapshot.attempts.get(key)) {
            Some(attempt) => {
                is_decided(attempt) && (is_over || attempt.is_live() || attempt.phase == Phase::Uncertain)
            }
            None => is_over,
        };
        let given_up = job.plan.as_ref().and_then(|plan| plan.dead.clone());
        decided.then(|| Self { given_up, ..Self::new(snapshot, latest) })
    }

    /// Its latest attempt.
    pub fn attempt(&self) -> Option<&Attempt> {
        self.snapshot.attempts.get(self.key?)
    }
}

/// The jobs that are waited for, at the engine that runs now.
#[derive(Debug)]
pub(super) struct Tracker {
    handle: watch::Sender<Handle>,
    /// Jobs that were created later are of this run.
    began: At,
    jobs: RefCell<Jobs>,
}

#[derive(Debug)]
struct Jobs {
    /// The revision of the snapshot that was looked at last.
    rev: u64,
    /// What batches have sent before the engine was joined. The row may have gone meanwhile.
    earlier: HashMap<JobId, JobKey>,
    waiting: HashMap<JobId, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    key: Option<JobKey>,
    decided: oneshot::Sender<Decided>,
}

impl Tracker {
    pub fn new(handle: Handle) -> Self {
        let began = handle.snapshot().at;
        let jobs = Jobs { rev: 0, earlier: HashMap::new(), waiting: HashMap::new() };
        let tracker = Self { handle: watch::Sender::new(handle.clone()), began, jobs: RefCell::new(jobs) };
        tracker.join(handle);
        tracker
    }

    /// The engine, and the next one once it has gone.
    pub fn handle(&self) -> watch::Receiver<Handle> {
        self.handle.subscribe()
    }

    /// Another engine runs from now on.
    pub fn join(&self, handle: Handle) {
        let snapshot = handle.snapshot();
        let mut jobs = self.jobs.borrow_mut();
        let of_batch = snapshot.jobs.iter().filter(|(_, job)| is_of_batch(job.id));
        jobs.earlier = of_batch.map(|(key, job)| (job.id, key)).collect();
        jobs.look_at_all(&snapshot);
        handle.has_seen(snapshot.rev);
        self.handle.send_replace(handle);
    }

    /// Looks at what has changed since the last time.
    pub fn look(&self) {
        let handle = self.handle.borrow().clone();
        let snapshot = handle.snapshot();
        // What has ended by then is decided below, and its rows are not needed again.
        handle.has_seen(snapshot.rev);
        let mut jobs = self.jobs.borrow_mut();
        let Some(changed) = snapshot.changes_since(jobs.rev) else { return jobs.look_at_all(&snapshot) };
        jobs.rev = snapshot.rev;
        for changed in changed {
            let key = match changed {
                Changed::Attempt(key) => snapshot.attempts.get(key).map(|attempt| attempt.job),
                Changed::Job(key) | Changed::Timeline(key) => Some(key),
                Changed::Agent(_) | Changed::Problem(_) | Changed::Source(_) => None,
            };
            if let Some(key) = key {
                jobs.look_at(&snapshot, key);
            }
        }
    }

    /// True if the job was there when the engine was joined.
    pub fn is_known(&self, job: JobId) -> bool {
        self.jobs.borrow().earlier.contains_key(&job)
    }

    /// True if the attempt was made by an earlier run.
    pub fn is_earlier(&self, attempt: &Attempt) -> bool {
        attempt.created <= self.began
    }

    /// Waits for a job. Called before it is submitted, so that nothing of it is missed.
    pub fn expect(&self, job: JobId) -> oneshot::Receiver<Decided> {
        let mut jobs = self.jobs.borrow_mut();
        let (decided, receiver) = oneshot::channel();
        let snapshot = self.handle.borrow().snapshot();
        let is_it = |key: &JobKey| snapshot.jobs.get(*key).is_some_and(|row| row.id == job);
        let key = jobs.earlier.get(&job).copied().filter(is_it);
        jobs.waiting.insert(job, Waiting { key, decided });
        if let Some(key) = key {
            jobs.look_at(&snapshot, key);
        }
        receiver
    }

    /// Asks the engine for a job whose rows are not here, because it had ended before; `None` if it has not ended, or is
    /// unknown.
    ///
    /// # Errors
    /// The engine does not answer: it has gone, or is of an earlier version.
    pub async fn ask(&self, job: JobId) -> Result<Option<Decided>, QueryError> {
        let handle = self.handle.borrow().clone();
        let asked = tokio::time::timeout(ANSWERS, handle.query(Query::Job(job))).await;
        let Ok(Ok(Answer::Job(rows))) = asked else { return Err(QueryError::Gone) };
        let Some(JobRows { mut job, attempts, .. }) = rows.map(|rows| *rows) else { return Ok(None) };
        // Its rows alone, at the first places: under their own keys there would be as many empty places before them as
        // there are jobs.
        let here = handle.snapshot();
        let mut snapshot = Snapshot::starting(here.at);
        snapshot.agents = here.agents.clone();
        let key = JobKey(0);
        job.attempts = (0..).map(AttemptKey).take(attempts.len()).collect();
        for (at, (_, _, attempt)) in job.attempts.iter().zip(attempts) {
            snapshot.attempts.set(*at, Some(Attempt { job: key, ..attempt }));
        }
        snapshot.jobs.set(key, Some(job));
        Ok(Decided::of(&Arc::new(snapshot), key))
    }

    /// Nobody waits for the job any more; its latest attempt, if it was seen.
    pub fn give_up(&self, job: JobId) -> Option<Decided> {
        let waiting = self.jobs.borrow_mut().waiting.remove(&job)?;
        let snapshot = self.handle.borrow().snapshot();
        let key = latest(&snapshot, waiting.key?, job);
        Some(Decided::new(&snapshot, key))
    }

    /// True if a job that is waited for has no row here.
    pub fn is_unseen(&self, job: JobId) -> bool {
        self.jobs.borrow().waiting.get(&job).is_some_and(|waiting| waiting.key.is_none())
    }

    /// True if a message may be on its way whose agent has not answered yet.
    pub fn is_sending(&self) -> bool {
        let snapshot = self.handle.borrow().snapshot();
        let is_sending = |(job, waiting): (&JobId, &Waiting)| {
            let latest = waiting.key.and_then(|key| latest(&snapshot, key, *job));
            let attempt = latest.and_then(|key| snapshot.attempts.get(key));
            attempt.is_none_or(|attempt| matches!(attempt.phase, Phase::Planned | Phase::Sending))
        };
        self.jobs.borrow().waiting.iter().any(is_sending)
    }
}

impl Jobs {
    fn look_at_all(&mut self, snapshot: &Arc<Snapshot>) {
        self.rev = snapshot.rev;
        for waiting in self.waiting.values_mut() {
            waiting.key = None;
        }
        for (key, job) in snapshot.jobs.iter() {
            if self.waiting.contains_key(&job.id) {
                self.look_at(snapshot, key);
            }
        }
    }

    fn look_at(&mut self, snapshot: &Arc<Snapshot>, key: JobKey) {
        let Some(id) = snapshot.jobs.get(key).map(|job| job.id) else { return };
        let Some(waiting) = self.waiting.get_mut(&id) else { return };
        waiting.key = Some(key);
        if let Some(decided) = Decided::of(snapshot, key)
            && let Some(waiting) = self.waiting.remove(&id)
        {
            let _nobody_waits_any_more = waiting.decided.send(decided);
        }
    }
}

fn latest(snapshot: &Snapshot, key: JobKey, id: JobId) -> Option<AttemptKey> {
    let job = snapshot.jobs.get(key).filter(|job| job.id == id)?;
    job.current(|key| snapshot.attempts.get(key))
}
