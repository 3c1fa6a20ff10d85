//! The details of one job, kept up to date while a view follows it.

use std::sync::Arc;

use crate::domain::fact::JournalEntry;
use crate::domain::id::JobId;
use crate::domain::job::detail::Detail;

/// A job with its facts, for the view that follows it.
#[derive(Debug, Default)]
pub struct FollowedJob {
    job: Option<JobId>,
    /// The details, accumulated from the facts.
    pub detail: Detail,
    /// The number of the last fact in it.
    pub seq: u64,
    /// The facts so far have been read at least once.
    is_read: bool,
    /// Further facts follow on those that were read.
    is_current: bool,
}

impl FollowedJob {
    /// Follows a job, or none. If the job is the same, its details stay visible until they have been read again.
    pub fn follow(&mut self, job: Option<JobId>) {
        if self.job != job {
            *self = Self { job, ..Self::default() };
        }
        self.is_current = false;
    }

    /// Takes all facts of a job so far; true if it is the one that is followed.
    pub fn read(&mut self, job: JobId, facts: &[Arc<JournalEntry>], seq: u64) -> bool {
        if self.job != Some(job) {
            return false;
        }
        self.detail = Detail::default();
        for fact in facts {
            self.detail.apply(fact);
        }
        self.seq = seq;
        (self.is_read, self.is_current) = (true, true);
        true
    }

    /// Adds one fact of a job, unless it was added before.
    pub fn add(&mut self, job: JobId, fact: &JournalEntry) {
        if self.job == Some(job) && self.is_current && fact.seq > self.seq {
            self.detail.apply(fact);
            self.seq = fact.seq;
        }
    }

    /// The details of a job; `None` if another job is followed or nothing has been read yet.
    pub fn of(&self, job: JobId) -> Option<&Self> {
        (self.job == Some(job) && self.is_read).then_some(self)
    }
}
