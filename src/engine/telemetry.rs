//! Telemetry beside the loop: what is received goes to its own store, and questions about it are answered outside the core.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::handle::QueryError;
use super::queries::read_facts;
use super::run::Runner;
use crate::domain::agent::Agent;
use crate::domain::fact::{JournalEntry, Owner};
use crate::domain::id::{AgentId, AgentKey, AttemptId, JobId, JobKey};
use crate::domain::job::delegated::{self, ByParent, Delegations};
use crate::domain::state::slab::Slab;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::trace::{SpanId, TraceId};
use crate::net::Redactor;
use crate::net::clock::Clock;
use crate::store::telemetry::{Offer, Taken, TelemetryReader, TelemetryWriter};
use crate::store::{Reader, StoreError};
use crate::telemetry::limits::{self, Retention};
use crate::telemetry::model::Span;
use crate::telemetry::otlp::{Signal, Unreadable, json, split};
use crate::telemetry::own::{self, OwnJob};
use crate::telemetry::query::{TelemetryAnswer, TelemetryQuery, TraceSpans};

/// Delegated jobs whose spans are in the trace of a job, at most.
const JOBS: usize = 200;
/// Traces of agents that did not join ours, but name one of its tasks.
const JOINED: usize = 8;

/// Takes telemetry in. Clones share it.
#[derive(Clone, Debug)]
pub struct Telemetry {
    dir: Option<PathBuf>,
    writer: Option<TelemetryWriter>,
    clock: Arc<Clock>,
    redactor: Redactor,
    listening: Arc<Mutex<Vec<Untrusted>>>,
}

/// Why a request is not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotTaken {
    /// It cannot be read.
    Unreadable(Unreadable),
    /// This engine keeps nothing.
    NoStore,
}

impl Telemetry {
    /// The telemetry of an engine; without a folder nothing is taken.
    pub(super) fn new(dir: Option<&Path>, keep: Retention, clock: Arc<Clock>, redactor: Redactor) -> Self {
        let writer = dir.map(|dir| TelemetryWriter::new(dir, keep));
        Self { dir: dir.map(Path::to_owned), writer, clock, redactor, listening: Arc::default() }
    }

    /// It is received at this address.
    pub fn is_received(&self, address: SocketAddr) {
        self.received_at(address.to_string());
    }

    /// Why it is not received somewhere.
    pub fn is_not_received(&self, why: String) {
        self.received_at(why);
    }

    fn received_at(&self, place: String) {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).push(place.into());
    }

    /// Takes a request in protocol buffers.
    ///
    /// # Errors
    /// It cannot be read, or nothing is kept; nothing of it was taken then.
    pub fn receive(&self, signal: Signal, request: &[u8]) -> Result<Taken, NotTaken> {
        let writer = self.writer.as_ref().ok_or(NotTaken::NoStore)?;
        let unreadable = |why| {
            writer.count_invalid(1);
            NotTaken::Unreadable(why)
        };
        let request = self.redactor.mask(request);
        let offer = match signal {
            Signal::Traces => Offer::Traces(split::traces(&request).map_err(unreadable)?),
            Signal::Logs => Offer::Logs(split::logs(&request).map_err(unreadable)?),
        };
        let invalid = match &offer {
            Offer::Traces(traces) => traces.invalid,
            Offer::Logs(_) => 0,
        };
        let taken = writer.offer(self.clock.now(), offer);
        Ok(Taken { refused: taken.refused + invalid, ..taken })
    }

    /// The same in JSON.
    ///
    /// # Errors
    /// As [`Telemetry::receive`].
    pub fn receive_json(&self, signal: Signal, request: &str) -> Result<Taken, NotTaken> {
        let writer = self.writer.as_ref().ok_or(NotTaken::NoStore)?;
        let (request, invalid) = json::to_protobuf(signal, request).map_err(|why| {
            writer.count_invalid(1);
            NotTaken::Unreadable(why)
        })?;
        writer.count_invalid(invalid);
        let taken = self.receive(signal, &request)?;
        Ok(Taken { refused: taken.refused + invalid, ..taken })
    }

    fn reader(&self) -> Result<Option<TelemetryReader>, QueryError> {
        self.dir.as_deref().map_or(Ok(None), |dir| TelemetryReader::open(dir).map_err(unreadable))
    }

    fn status(&self) -> TelemetryAnswer {
        let mut status = self.writer.as_ref().map(TelemetryWriter::status).unwrap_or_default();
        status.listening.clone_from(&self.listening.lock().unwrap_or_else(PoisonError::into_inner));
        TelemetryAnswer::Status(Box::new(status))
    }

    /// Answers what the store alone knows.
    fn stored(&self, query: &TelemetryQuery) -> Result<TelemetryAnswer, QueryError> {
        Ok(match query {
            TelemetryQuery::Traces(filter) => {
                let reader = self.reader()?;
                let rows = reader.map_or(Ok(Vec::new()), |reader| reader.traces(filter));
                TelemetryAnswer::Traces(rows.map_err(unreadable)?)
            }
            TelemetryQuery::Logs(filter) => {
                let reader = self.reader()?;
                let rows = reader.map_or(Ok(Vec::new()), |reader| reader.logs(filter));
                TelemetryAnswer::Logs(rows.map_err(unreadable)?)
            }
            TelemetryQuery::Trace(trace) => {
                let reader = self.reader()?;
                let spans = reader.map_or_else(|| Ok(TraceSpans::default()), |reader| reader.trace(*trace));
                TelemetryAnswer::Trace(Box::new(spans.map_err(unreadable)?))
            }
            TelemetryQuery::TraceOfJob(_) => return Err(QueryError::Unknown),
            TelemetryQuery::Status => self.status(),
        })
    }
}

fn unreadable(error: StoreError) -> QueryError {
    QueryError::Unreadable(Untrusted::from(error.to_string()))
}

/// A job of a trace: whose task delegated it, its facts that are not in the journal yet, and its tasks.
struct JobOfTrace {
    job: JobId,
    parent: Option<AttemptId>,
    pending: Vec<JournalEntry>,
    tasks: Vec<(AttemptId, Untrusted)>,
}

impl Runner {
    pub(super) fn on_telemetry(
        &mut self,
        query: TelemetryQuery,
        reply: oneshot::Sender<Result<TelemetryAnswer, QueryError>>,
    ) {
        let key = job_of(&query).and_then(|job| self.core.state().job_key(job));
        let telemetry = self.telemetry.clone();
        let Some(key) = key else {
            tokio::task::spawn_blocking(move || {
                let _the_surface_has_gone = reply.send(telemetry.stored(&query));
            });
            return;
        };
        let state = self.core.state();
        let jobs = jobs_of_trace(state, key, |job| self.pending(Owner::Job(job)));
        let agents = names(state.agents());
        let reader = self.reader.clone();
        tokio::task::spawn_blocking(move || {
            let read = |of: &JobOfTrace| {
                read_facts(reader.as_deref(), Owner::Job(of.job), usize::MAX, of.pending.clone())
            };
            let answer = trace_of(&telemetry, &jobs, &agents, read);
            let _the_surface_has_gone =
                reply.send(answer.map(|spans| TelemetryAnswer::Trace(Box::new(spans))));
        });
    }
}

/// The job, and those that its tasks delegated, at any depth.
fn jobs_of_trace(
    rows: &impl Delegations,
    root: JobKey,
    pending: impl Fn(JobId) -> Vec<JournalEntry>,
) -> Vec<JobOfTrace> {
    let mut keys = vec![root];
    let mut seen = BTreeSet::from([root]);
    for attempt in rows.job(root).into_iter().flat_map(|job| job.attempts.iter().copied()) {
        for task in delegated::below(rows, attempt).tasks {
            let job = rows.attempt(task).map(|attempt| attempt.job);
            if let Some(job) = job.filter(|job| keys.len() < JOBS && seen.insert(*job)) {
                keys.push(job);
            }
        }
    }
    let of = |key: JobKey| {
        let job = rows.job(key)?;
        let parent = if key == root { None } else { delegated::parent(rows, job) };
        let parent = parent.and_then(|attempt| rows.attempt(attempt)).map(|attempt| attempt.id);
        let tasks = job.attempts.iter().filter_map(|attempt| {
            let attempt = rows.attempt(*attempt)?;
            Some((attempt.id, attempt.task.as_ref()?.id.text()))
        });
        Some(JobOfTrace { job: job.id, parent, pending: pending(job.id), tasks: tasks.collect() })
    };
    keys.into_iter().filter_map(of).collect()
}

/// Answers from what is stored, without an engine.
///
/// # Errors
/// The journal or the store of telemetry cannot be read.
pub fn answer_stored(
    dir: &Path,
    snapshot: &Snapshot,
    query: &TelemetryQuery,
) -> Result<TelemetryAnswer, QueryError> {
    let telemetry = Telemetry {
        dir: Some(dir.to_owned()),
        writer: None,
        clock: Arc::new(Clock::start()),
        redactor: Redactor::default(),
        listening: Arc::default(),
    };
    let Some(key) = job_of(query).and_then(|job| snapshot.jobs.iter().find(|(_, row)| row.id == job)) else {
        return telemetry.stored(query);
    };
    let jobs = jobs_of_trace(&ByParent::new(snapshot), key.0, |_| Vec::new());
    let agents = names(&snapshot.agents);
    let reader = Reader::open(dir).map_err(unreadable)?.map(Mutex::new);
    let read = |of: &JobOfTrace| read_facts(reader.as_ref(), Owner::Job(of.job), usize::MAX, Vec::new());
    trace_of(&telemetry, &jobs, &agents, read).map(|spans| TelemetryAnswer::Trace(Box::new(spans)))
}

/// The job whose trace a question is about, if that is one.
fn job_of(query: &TelemetryQuery) -> Option<JobId> {
    match query {
        TelemetryQuery::TraceOfJob(job) => Some(*job),
        TelemetryQuery::Trace(trace) => Some(JobId(uuid::Uuid::from_bytes(trace.0))),
        TelemetryQuery::Traces(_) | TelemetryQuery::Logs(_) | TelemetryQuery::Status => None,
    }
}

fn names(agents: &Slab<AgentKey, Agent>) -> Vec<(AgentId, Untrusted)> {
    agents.iter().map(|(_, agent)| (agent.id, agent.name.clone())).collect()
}

fn trace_of(
    telemetry: &Telemetry,
    jobs: &[JobOfTrace],
    agents: &[(AgentId, Untrusted)],
    read: impl Fn(&JobOfTrace) -> Result<Vec<JournalEntry>, QueryError>,
) -> Result<TraceSpans, QueryError> {
    let Some(root) = jobs.first() else { return Err(QueryError::Unknown) };
    let trace = TraceId::from(root.job);
    let mut all = TraceSpans::default();
    for of in jobs {
        let facts = read(of)?;
        let own = OwnJob { job: of.job, trace, parent: of.parent, facts: &facts, agents };
        all.own.extend(own::spans(&own));
    }
    let Some(reader) = telemetry.reader()? else { return Ok(all) };
    let mut known = BTreeSet::new();
    for of in jobs {
        let id = TraceId::from(of.job);
        if known.insert(id) {
            add(&mut all, reader.trace(id).map_err(unreadable)?);
        }
        // An agent that does not take part in the trace may still name the task in one of its own.
        for (attempt, task) in &of.tasks {
            for id in reader.traces_of_task(task, JOINED).map_err(unreadable)? {
                if known.insert(id) {
                    let mut joined = reader.trace(id).map_err(unreadable)?;
                    join(&mut joined.spans, SpanId::from(*attempt));
                    add(&mut all, joined);
                }
            }
        }
    }
    Ok(all)
}

/// Adds spans as far as one trace may have them: what many delegated tasks did may be many traces.
fn add(all: &mut TraceSpans, mut more: TraceSpans) {
    let room = limits::SPANS_OF_TRACE.saturating_sub(all.spans.len());
    all.dropped += more.spans.len().saturating_sub(room) as u64;
    more.spans.truncate(room);
    all.spans.extend(more.spans);
    all.logs += more.logs;
    all.dropped += more.dropped;
}

/// Hangs the roots of another trace below an attempt.
fn join(spans: &mut [Span], attempt: SpanId) {
    let ids: BTreeSet<SpanId> = spans.iter().map(|span| span.id).collect();
    for span in spans {
        if span.parent.is_none_or(|parent| !ids.contains(&parent)) {
            span.parent = Some(attempt);
        }
    }
}
