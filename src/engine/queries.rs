//! Answers queries outside the loop, from the journal and from facts that are not in it yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::follower::Follower;
use super::handle::{Answer, Follow, JobRows, Query, QueryError};
use super::rehearsals::Rehearsed;
use super::run::Runner;
use super::{effects, message_fields};
use crate::domain::audit::page::{AuditFilter, AuditPage, Head, Verification};
use crate::domain::fact::{Fact, JobFact, JournalEntry, Owner};
use crate::domain::id::{AgentId, JobId, TaskId};
use crate::domain::job::carry::{Carried, compose};
use crate::domain::job::message::{Json, Message};
use crate::domain::job::{Attempt, Job};
use crate::domain::metrics::{Block, Minute, MinuteRange};
use crate::domain::problem::shared_attributes::Attribute;
use crate::domain::text::Untrusted;
use crate::store::{Reader, StoreError};

impl Runner {
    pub(super) fn on_query(&mut self, query: Query, reply: oneshot::Sender<Result<Answer, QueryError>>) {
        match query {
            Query::Plan(acts) => self.rehearse(Rehearsed::Acts(acts), reply),
            Query::Drill(agents) => self.rehearse(Rehearsed::Death(agents), reply),
            Query::Kill { agents, time } => self.kill(&agents, time, reply),
            Query::Wire { agent, known } => {
                let tap = self.net.tap().clone();
                tokio::task::spawn_blocking(move || {
                    let count = tap.count(agent);
                    let frames = (count != known).then(|| tap.frames(agent));
                    let _the_surface_has_gone = reply.send(Ok(Answer::Wire(count, frames)));
                });
            }
            Query::Facts { owner, limit } => {
                let pending = self.pending(owner);
                let reader = self.reader.clone();
                tokio::task::spawn_blocking(move || {
                    let facts = read_facts(reader.as_deref(), owner, limit, pending).map(Answer::Facts);
                    let _the_surface_has_gone = reply.send(facts);
                });
            }
            Query::Metrics(range) => self.on_metrics(range, reply),
            Query::Totals => {
                let _the_surface_has_gone = reply.send(Ok(Answer::Totals(Box::new(self.core.totals()))));
            }
            Query::Job(job) => {
                let _the_surface_has_gone = reply.send(Ok(Answer::Job(self.rows_of(job).map(Box::new))));
            }
            Query::Fields { jobs } => {
                let pending: Vec<(JobId, Vec<JournalEntry>)> =
                    jobs.iter().take(FIELDS_OF).map(|job| (*job, self.pending(Owner::Job(*job)))).collect();
                let reader = self.reader.clone();
                tokio::task::spawn_blocking(move || {
                    let fields = read_fields(reader.as_deref(), pending).map(Answer::Fields);
                    let _the_surface_has_gone = reply.send(fields);
                });
            }
            Query::Audit { filter, before, limit } => self.read_audit(filter, before, limit, reply),
            Query::VerifyAudit { head } => self.verify_audit(head, reply),
            Query::Explain(send) => {
                let at = self.clock.now();
                let explained = self.core.explain(at, send.as_deref());
                let _the_surface_has_gone = reply.send(Ok(Answer::Explained(Box::new(explained))));
            }
            Query::RulesFile { file } => self.on_rules_file(file, reply),
            Query::Replay { file, since, after, listed } => {
                self.on_replay((file, listed), (since, after), reply);
            }
            Query::ReadTask { agent, task } => self.read_task(agent, task, reply),
            Query::Outputs { job, attempt } => {
                let pending = self.pending(Owner::Job(job));
                let reader = self.reader.clone();
                tokio::task::spawn_blocking(move || {
                    let facts = read_facts(reader.as_deref(), Owner::Job(job), usize::MAX, pending);
                    let outputs = facts.map(|facts| {
                        Answer::Outputs(crate::domain::job::detail::outputs_of(&facts, attempt))
                    });
                    let _the_surface_has_gone = reply.send(outputs);
                });
            }
        }
    }

    /// The rows of a job, without its message and without what was recorded of its tasks.
    fn rows_of(&self, job: JobId) -> Option<JobRows> {
        let state = self.core.state();
        let key = state.job_key(job)?;
        let job = Job { message: None, ..state.jobs().get(key)?.clone() };
        let attempts = job.attempts.iter().filter_map(|key| {
            let attempt = Attempt { progress: None, ..state.attempt(*key)?.clone() };
            Some((*key, state.agent(attempt.agent)?.id, attempt))
        });
        let attempts = attempts.collect();
        Some(JobRows { key, job, attempts })
    }

    /// Reads the audit; an engine without a journal has none.
    fn read_audit(
        &self,
        filter: Box<AuditFilter>,
        before: Option<u64>,
        limit: usize,
        reply: oneshot::Sender<Result<Answer, QueryError>>,
    ) {
        let reader = self.reader.clone();
        tokio::task::spawn_blocking(move || {
            let found = reader.map_or(Ok(AuditPage::default()), |reader| {
                let reader = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                reader.audit(&filter, before, limit)
            });
            let _the_surface_has_gone = reply.send(found.map(Answer::Audit).map_err(unreadable));
        });
    }

    /// Verifies the audit with a reader of its own, one verification at a time: it reads everything.
    fn verify_audit(&self, head: Option<Head>, reply: oneshot::Sender<Result<Answer, QueryError>>) {
        let (reader, turns) = (self.reader.clone(), self.verifications.clone());
        tokio::spawn(async move {
            let _turn = turns.acquire().await;
            let verified = tokio::task::spawn_blocking(move || {
                let another = reader
                    .map(|reader| reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner).another());
                let another = another.transpose()?.flatten();
                another.map_or(Ok(Verification::default()), |reader| reader.verify_audit(head))
            });
            let answer = match verified.await {
                Ok(found) => found.map(|found| Answer::AuditVerified(Box::new(found))).map_err(unreadable),
                Err(error) => Err(QueryError::Unreadable(Untrusted::from(error.to_string()))),
            };
            let _the_surface_has_gone = reply.send(answer);
        });
    }

    /// The last hour is in memory, everything before it in the journal.
    fn on_metrics(&self, range: MinuteRange, reply: oneshot::Sender<Result<Answer, QueryError>>) {
        let MinuteRange { from, until, step } = range;
        let metrics = self.core.metrics().clone();
        let kept = metrics.minutes().next().map_or(until, |(minute, _)| minute).min(until);
        let unwritten = self.made_up.clone();
        let reader = self.reader.clone().filter(|_| from < kept);
        if reader.is_none() && step == 1 {
            let blocks = metrics.from(from).filter(|(minute, _)| *minute < until);
            let blocks = blocks.map(|(minute, block)| (minute, block.clone())).collect();
            let _the_surface_has_gone = reply.send(Ok(Answer::Metrics(blocks)));
            return;
        }
        tokio::task::spawn_blocking(move || {
            let old = reader.as_ref().filter(|_| unwritten.is_empty()).map_or(Ok(Vec::new()), |reader| {
                let reader = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                reader.metrics(MinuteRange { until: kept, ..range })
            });
            let answer = match old {
                Ok(old) => {
                    let mut blocks: BTreeMap<Minute, Block> = old.into_iter().collect();
                    let unwritten = unwritten.iter().map(|(minute, block)| (*minute, block));
                    let unwritten = unwritten.filter(|(minute, _)| *minute < kept);
                    let recent = unwritten.chain(metrics.minutes());
                    for (minute, block) in recent.filter(|(minute, _)| *minute >= from && *minute < until) {
                        blocks.entry(range.begins(minute)).or_default().merge(block);
                    }
                    let blocks = blocks.into_iter().map(|(minute, block)| (minute, Arc::new(block)));
                    Ok(Answer::Metrics(blocks.collect()))
                }
                Err(error) => Err(QueryError::Unreadable(Untrusted::from(error.to_string()))),
            };
            let _the_surface_has_gone = reply.send(answer);
        });
    }

    /// Reads a task for display, without the core.
    fn read_task(
        &mut self,
        agent: AgentId,
        task: TaskId,
        reply: oneshot::Sender<Result<Answer, QueryError>>,
    ) {
        let key = self.core.state().agent_key(agent);
        let interface =
            key.and_then(|key| self.core.state().agent(key)).and_then(|agent| agent.interface.clone());
        let access = key.and_then(|key| self.access_of(key));
        let (Some(key), Some(interface), Some(access)) = (key, interface, access) else {
            let _the_surface_has_gone = reply.send(Err(QueryError::Unknown));
            return;
        };
        let (net, reads) = (self.net.clone(), self.reads.clone());
        tokio::spawn(async move {
            let _place = reads.acquire().await;
            let answer = effects::read_task(&net, &access, key, &interface, &task).await;
            let answer = match answer {
                Ok(report) => {
                    let codec = crate::protocol::codec(crate::domain::agent::card::Dialect::V1_0);
                    Ok(Answer::Task(Json::new(codec.encode_task(&report))))
                }
                Err(failure) => Err(QueryError::Failed(Arc::new(failure.cause))),
            };
            let _the_surface_has_gone = reply.send(answer);
        });
    }

    /// The newest facts of an owner, among them all that a reader of the journal may not see yet.
    pub(super) fn pending(&self, owner: Owner) -> Vec<JournalEntry> {
        if self.gate.is_durable() {
            self.gate.newest(owner)
        } else {
            self.memory.get(&owner).cloned().unwrap_or_default()
        }
    }

    pub(super) fn on_follow(&mut self, job: JobId, reply: oneshot::Sender<Result<Follow, QueryError>>) {
        let state = self.core.state();
        let Some(until) = state.job_key(job).and_then(|key| state.jobs().get(key)).map(|row| row.seq) else {
            let _the_surface_has_gone = reply.send(Err(QueryError::Unknown));
            return;
        };
        let (follower, more) = Follower::new();
        self.followers.entry(job).or_default().push(follower);
        let owner = Owner::Job(job);
        let pending = self.pending(owner);
        let follow = move |facts: Vec<JournalEntry>| Follow {
            facts: facts.into_iter().map(Arc::new).collect(),
            until,
            more,
        };
        if pending.first().is_some_and(|first| first.seq == 1) {
            let _the_surface_has_gone = reply.send(Ok(follow(pending)));
            return;
        }
        let reader = self.reader.clone();
        tokio::task::spawn_blocking(move || {
            let facts = read_facts(reader.as_deref(), owner, usize::MAX, pending);
            let _the_surface_has_gone = reply.send(facts.map(follow));
        });
    }
}

impl Runner {
    /// Reads the message of a job for the core, which keeps none of jobs that are over.
    pub(super) fn load_message(&self, job: JobId, composed: bool, carry: Option<Arc<Carried>>) {
        let (pending, reader) = (self.pending(Owner::Job(job)), self.reader.clone());
        let loaded = self.loaded.clone();
        tokio::task::spawn_blocking(move || {
            let message = if composed || carry.is_some() {
                let facts = read_facts(reader.as_deref(), Owner::Job(job), usize::MAX, pending);
                facts.ok().and_then(|facts| composed_of(&facts, carry.as_deref()))
            } else {
                let stored = reader.and_then(|reader| {
                    let reader = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    reader.first_facts(Owner::Job(job), 1).ok()
                });
                opened_with(&stored.filter(|facts| !facts.is_empty()).unwrap_or(pending))
            };
            let _the_engine_has_ended = loaded.blocking_send((job, carry, message));
        });
    }
}

/// The message that a job was opened with.
fn opened_with(facts: &[JournalEntry]) -> Option<Arc<Message>> {
    facts.iter().find_map(|entry| match &entry.fact {
        Fact::Job(_, JobFact::Opened { message, .. }) => message.clone(),
        _ => None,
    })
}

/// The message of a job with what it is to carry, or as it was composed last.
fn composed_of(facts: &[JournalEntry], carry: Option<&Carried>) -> Option<Arc<Message>> {
    let original = opened_with(facts)?;
    if let Some(carried) = carry {
        return Some(Arc::new(compose(&original, facts, carried)));
    }
    let composed = facts.iter().rev().find_map(|entry| match &entry.fact {
        Fact::Job(_, JobFact::Composed { message }) => Some(message.clone()),
        _ => None,
    });
    Some(composed.unwrap_or(original))
}

fn unreadable(error: StoreError) -> QueryError {
    QueryError::Unreadable(Untrusted::from(error.to_string()))
}

/// How many of the first facts of a job are searched for its message.
const FIRST: usize = 16;
/// The maximum number of jobs whose fields are read at once.
const FIELDS_OF: usize = 1000;

fn read_fields(
    reader: Option<&std::sync::Mutex<Reader>>,
    jobs: Vec<(JobId, Vec<JournalEntry>)>,
) -> Result<Vec<(JobId, Vec<Attribute>)>, QueryError> {
    let mut all = Vec::new();
    for (job, pending) in jobs {
        let known = match reader {
            Some(reader) => {
                let reader = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let first = reader.first_facts(Owner::Job(job), FIRST);
                first.map_err(|error| QueryError::Unreadable(Untrusted::from(error.to_string())))?
            }
            None => Vec::new(),
        };
        let facts = if known.is_empty() { pending } else { known };
        let fields = message_fields::of_job(&facts);
        if !fields.is_empty() {
            all.push((job, fields));
        }
    }
    Ok(all)
}

/// The facts in the journal, then those that it does not contain yet, without duplicates.
pub(super) fn read_facts(
    reader: Option<&std::sync::Mutex<Reader>>,
    owner: Owner,
    limit: usize,
    pending: Vec<JournalEntry>,
) -> Result<Vec<JournalEntry>, QueryError> {
    let mut facts = match reader {
        Some(reader) => {
            let reader = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            reader
                .facts(owner, limit)
                .map_err(|error| QueryError::Unreadable(Untrusted::from(error.to_string())))?
        }
        None => Vec::new(),
    };
    let last = facts.last().map_or(0, |fact| fact.seq);
    facts.extend(pending.into_iter().filter(|fact| fact.seq > last));
    if facts.len() > limit {
        facts.drain(..facts.len() - limit);
    }
    Ok(facts)
}
