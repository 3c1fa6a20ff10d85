//! The fields of messages that jobs began with, as last read.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::id::JobId;
use crate::domain::text::Untrusted;
use crate::engine::Query;
use crate::tui::queries::{Ask, Refresh, Subscription, ViewQuery};

/// Names and values of one message.
pub type Fields = Vec<(Untrusted, Untrusted)>;

/// Jobs that are kept although they are no longer compared.
const KEPT: usize = 2000;

/// The fields of each job that was read; empty where there were none.
#[derive(Debug, Default)]
pub struct FieldCache(BTreeMap<JobId, Fields>);

impl FieldCache {
    /// The query for jobs that have not been read yet; `None` if all have.
    pub fn query(&self, jobs: &[JobId]) -> Option<Subscription> {
        let unread: Arc<[JobId]> = jobs.iter().filter(|job| !self.0.contains_key(*job)).copied().collect();
        let ask =
            |jobs| Ask { name: "fields", query: Query::Fields { jobs }.into(), refresh: Refresh::Version(0) };
        (!unread.is_empty()).then(|| Subscription::Ask(ask(unread)))
    }

    /// Takes the answer. `wanted` are the jobs that are compared now.
    pub fn take(&mut self, ask: &Ask, fields: Vec<(JobId, Fields)>, wanted: &[JobId]) {
        if self.0.len() > wanted.len() + KEPT {
            self.0.retain(|job, _| wanted.contains(job));
        }
        self.0.extend(fields);
        // A job without any is not read again.
        if let ViewQuery::Engine(Query::Fields { jobs }) = &ask.query {
            for job in jobs.iter() {
                self.0.entry(*job).or_default();
            }
        }
    }

    /// How many jobs were read.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The fields of a job, if it was read.
    pub fn of(&self, job: JobId) -> Option<&Fields> {
        self.0.get(&job)
    }
}
