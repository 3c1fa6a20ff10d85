//! The list of traces: each job of ours is one, whether or not an agent sent spans for it, beside those that only agents
//! know of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::query::{TraceFilter, TraceOrder, TraceRow};
use crate::domain::id::JobKey;
use crate::domain::job::delegated::{self, ByParent};
use crate::domain::job::task::TaskState;
use crate::domain::job::{Attempt, Job, Phase};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::domain::trace::TraceId;
use crate::telemetry::convention;

/// One trace in the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceEntry {
    /// The trace.
    pub trace: TraceId,
    /// The job that it is of; `None` if no job of ours has it.
    pub job: Option<JobKey>,
    /// The title of the job, or the name of the root; empty if that has not come.
    pub name: Untrusted,
    /// When it began, on our clock as far as that is known.
    pub start: At,
    /// How long it took, or has taken.
    pub took: Duration,
    /// True while it goes on.
    pub goes_on: bool,
    /// Spans that were received, and our own: the job and its attempts.
    pub spans: u64,
    /// Failed attempts, and spans with an error.
    pub errors: u64,
    /// Spans, attributes and events that were dropped for a limit.
    pub dropped: u64,
    /// The agents and services in it.
    pub agents: Vec<Untrusted>,
    /// Ids of its tasks.
    pub tasks: Vec<Untrusted>,
    /// The skill of the job.
    pub skill: Option<Untrusted>,
    /// The state of the job's last task.
    pub state: Option<TaskState>,
}

/// What a list is narrowed to, beside what the store knows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListFilter {
    /// What the store is asked for too.
    pub common: TraceFilter,
    /// Of this skill.
    pub skill: Option<Untrusted>,
    /// Whose last task is in this state.
    pub state: Option<TaskState>,
}

/// Merges the jobs of a snapshot with the traces that were received. Spans of a trace that names a task of a job count for
/// that job; what a task delegated is in the trace of its parent.
pub fn entries(snapshot: &Snapshot, received: &[TraceRow], filter: &ListFilter) -> Vec<TraceEntry> {
    let by_parent = ByParent::new(snapshot);
    let mut entries: BTreeMap<TraceId, TraceEntry> = BTreeMap::new();
    let mut of_task: BTreeMap<&Untrusted, TraceId> = BTreeMap::new();
    let since = filter.common.since.unwrap_or(At::ZERO);
    for (key, job) in snapshot.jobs.iter() {
        if delegated::parent(&by_parent, job).is_some() {
            continue;
        }
        let entry = of_job(snapshot, key, job);
        if entry.start + entry.took >= since {
            entries.insert(entry.trace, entry);
        }
    }
    let tasks: Vec<(Untrusted, TraceId)> = entries
        .values()
        .flat_map(|entry| entry.tasks.iter().map(|task| (task.clone(), entry.trace)))
        .collect();
    of_task.extend(tasks.iter().map(|(task, trace)| (task, *trace)));
    let mut with_spans = BTreeSet::new();
    for row in received {
        let joined = row.tasks.iter().find_map(|task| of_task.get(task));
        let trace = *joined.filter(|_| !entries.contains_key(&row.trace)).unwrap_or(&row.trace);
        with_spans.insert(trace);
        match entries.get_mut(&trace) {
            Some(entry) => entry.add(row),
            None => {
                entries.insert(trace, of_row(row));
            }
        }
    }
    let mut entries: Vec<TraceEntry> = entries
        .into_values()
        .filter(|entry| filter.passes(entry, with_spans.contains(&entry.trace)))
        .collect();
    sort(&mut entries, filter.common.order);
    entries.truncate(filter.common.limit);
    entries
}

/// The trace of a job, as far as its rows tell.
pub fn of_job(snapshot: &Snapshot, key: JobKey, job: &Job) -> TraceEntry {
    let attempts: Vec<&Attempt> = job.attempts.iter().filter_map(|key| snapshot.attempts.get(*key)).collect();
    let mut agents = Vec::new();
    for attempt in &attempts {
        let name = snapshot.agents.get(attempt.agent).map(|agent| agent.name.clone());
        add_agents(&mut agents, name.as_slice());
    }
    let goes_on = job.phase != crate::domain::job::plan::JobPhase::Over && job.plan.is_some()
        || attempts.iter().any(|attempt| attempt.is_live());
    let start = attempts.iter().map(|attempt| attempt.began()).fold(job.created, At::min);
    let ended = attempts.iter().filter_map(|attempt| attempt.ended()).max();
    let end = if goes_on { snapshot.at } else { ended.unwrap_or(job.created) };
    let tasks = attempts.iter().filter_map(|attempt| attempt.task.as_ref()).map(|task| task.id.text());
    let last = job.current(|key| snapshot.attempts.get(key)).and_then(|key| snapshot.attempts.get(key));
    TraceEntry {
        trace: job.id.into(),
        job: Some(key),
        name: job.title.clone(),
        start,
        took: end.since(start),
        goes_on,
        spans: 1 + attempts.len() as u64,
        errors: attempts.iter().filter(|attempt| has_failed(attempt)).count() as u64,
        dropped: 0,
        agents,
        tasks: tasks.collect(),
        skill: job.skill.clone(),
        state: last.and_then(|attempt| attempt.task.as_ref()).map(|task| task.state.clone()),
    }
}

fn has_failed(attempt: &Attempt) -> bool {
    let ended_badly = attempt.task.as_ref().is_some_and(|task| {
        matches!(task.state, TaskState::Failed | TaskState::Rejected)
            || (task.is_over() && !task.state.is_terminal())
    });
    ended_badly || matches!(attempt.phase, Phase::Refused | Phase::Unsent | Phase::PresumedLost)
}

/// A trace that only agents know of.
pub fn of_row(row: &TraceRow) -> TraceEntry {
    // A clock that is far off would put the trace out of every window.
    let start = row.start.at();
    let far =
        start.since(row.received).max((row.received).since(start + row.took)) > Duration::from_secs(900);
    TraceEntry {
        trace: row.trace,
        job: None,
        name: row.name.clone(),
        start: if far { row.received - row.took } else { start },
        took: row.took,
        goes_on: false,
        spans: row.spans,
        errors: row.errors,
        dropped: row.dropped,
        agents: row.services.clone(),
        tasks: row.tasks.clone(),
        skill: None,
        state: None,
    }
}

impl TraceEntry {
    /// Adds what was received of it.
    pub fn add(&mut self, row: &TraceRow) {
        self.spans += row.spans;
        self.errors += row.errors;
        self.dropped += row.dropped;
        add_agents(&mut self.agents, &row.services);
    }
}

fn add_agents(agents: &mut Vec<Untrusted>, more: &[Untrusted]) {
    for agent in more {
        if !agents.contains(agent) {
            agents.push(agent.clone());
        }
    }
}

/// In the order that is asked for; the trace decides between equals, so that nothing jumps.
pub fn sort(entries: &mut [TraceEntry], order: TraceOrder) {
    let newest = |a: &TraceEntry, b: &TraceEntry| (b.start, b.trace).cmp(&(a.start, a.trace));
    entries.sort_by(|a, b| match order {
        TraceOrder::Newest => newest(a, b),
        TraceOrder::Slowest => b.took.cmp(&a.took).then_with(|| newest(a, b)),
        TraceOrder::Failing => b.errors.cmp(&a.errors).then_with(|| newest(a, b)),
    });
}

impl ListFilter {
    /// True if an entry belongs into the list. The store has checked the attributes of what it returned.
    fn passes(&self, entry: &TraceEntry, received: bool) -> bool {
        let common = &self.common;
        let attribute = |(key, value): &(Untrusted, Untrusted)| {
            received || (key.raw() == convention::A2A_TASK && entry.tasks.contains(value))
        };
        common.service.as_ref().is_none_or(|agent| entry.agents.contains(agent))
            && common.at_least.is_none_or(|least| entry.took >= least)
            && (!common.failed || entry.errors > 0)
            && common.name.as_ref().is_none_or(|name| entry.name.contains_ignore_case(name.raw()))
            && common.attributes.iter().all(attribute)
            && self.skill.as_ref().is_none_or(|skill| entry.skill.as_ref() == Some(skill))
            && self.state.as_ref().is_none_or(|state| entry.state.as_ref() == Some(state))
    }
}
