//! The rows of the list of traces: the jobs of the window, kept up from changes, beside what was received.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::id::{AttemptKey, JobKey};
use crate::domain::job::{Attempt, Job};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::{At, duration};
use crate::domain::trace::TraceId;
use crate::telemetry::convention::{A2A_TASK, SEARCHABLE};
use crate::telemetry::list::{TraceEntry, of_job, of_row};
use crate::telemetry::query::TraceRow;
use crate::tui::context::Context;
use crate::tui::format;
use crate::tui::saved_view::ListKind;
use crate::tui::states::{self, Label};
use crate::tui::theme::{Glyphs, Role, Theme};
use crate::tui::views::listing::{Order, Rows};
use crate::tui::widgets::canvas::{Canvas, span};
use crate::tui::widgets::filter::{Filter, Filtered};
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{NOTHING, Row, TableColumn, columns, fixed, flexible};

/// Jobs in the list at most, the newest: there may be a million.
pub const MOST: usize = 10_000;
/// Jobs that are looked at when the list is opened, the newest.
const SCANNED: usize = 200_000;
/// Times that a task may be handed on.
const DEPTH: usize = 16;
/// Traces that go on and grow on the screen, at most.
const GROWING: usize = 200;

/// A job of the window.
#[derive(Clone, Debug)]
struct Known {
    key: JobKey,
    start: At,
    /// Ids of its tasks.
    tasks: Vec<Untrusted>,
    /// The task that delegated it.
    parent: Option<Untrusted>,
}

/// Conditions of a filter that compare more than words.
#[derive(Clone, Debug, Default)]
struct Typed {
    at_least: Option<(String, Duration)>,
    attributes: Vec<(String, String)>,
}

/// The traces of a stretch of time, by their ids.
#[derive(Clone, Debug, Default)]
pub struct TraceRows {
    jobs: BTreeMap<TraceId, Known>,
    by_key: BTreeMap<JobKey, TraceId>,
    by_start: BTreeSet<(At, TraceId)>,
    /// The jobs that have a task of an id: several agents may use the same one.
    by_task: BTreeMap<Untrusted, Vec<TraceId>>,
    /// The jobs that a task delegated.
    children: BTreeMap<Untrusted, BTreeSet<TraceId>>,
    live: BTreeSet<TraceId>,
    /// What was received, by the trace under which it is shown.
    received: BTreeMap<TraceId, Vec<TraceRow>>,
    typed: Typed,
    since: At,
    rev: u64,
    /// True if there are more jobs than are listed.
    pub has_more: bool,
    /// Rows to be shown anew, beside those that changes name.
    touched: Vec<TraceId>,
    /// When what goes on was touched last.
    grown: At,
}

columns! {
    /// The columns of the traces.
    pub enum TraceColumn {
        Started = fixed("STARTED", 'S', 13, 4).highest_first(),
        Took = fixed("TOOK", 'T', 7, 9).right().highest_first(),
        Spans = fixed("SPANS", 'P', 5, 3).right().highest_first(),
        Errors = fixed("ERRORS", 'E', 6, 7).right().highest_first(),
        Agents = flexible("AGENTS", 'A', 10, 6).prefers(18),
        State = flexible("STATE", 'U', 9, 8),
        Name = flexible("NAME", 'M', 12, 10).prefers(30),
    }
}

fn agents(entry: &TraceEntry) -> String {
    let names: Vec<String> = entry.agents.iter().map(|agent| agent.line().into_string()).collect();
    names.join(", ")
}

/// The attempt that stands for the job of a trace.
pub fn attempt_of<'s>(snapshot: &'s Snapshot, entry: &TraceEntry) -> Option<(AttemptKey, &'s Attempt)> {
    let job = snapshot.jobs.get(entry.job?)?;
    let key = job.current(|key| snapshot.attempts.get(key))?;
    Some((key, snapshot.attempts.get(key)?))
}

/// How a trace is shown: by the attempt that stands for its job, else by what is known of it.
fn label(snapshot: &Snapshot, entry: &TraceEntry, glyphs: &'static Glyphs) -> Label {
    let waits = Label { mark: glyphs.queued, word: "waits".into(), role: Role::Plain };
    match attempt_of(snapshot, entry) {
        Some((_, attempt)) if attempt.is_live() || !entry.goes_on => states::attempt(attempt, glyphs),
        // Another attempt follows.
        Some(_) => waits,
        None if entry.job.is_some() && entry.goes_on => waits,
        None if entry.job.is_some() => {
            Label { mark: glyphs.canceled, word: "not sent".into(), role: Role::Quiet }
        }
        None if entry.errors > 0 => Label { mark: glyphs.failed, word: "received".into(), role: Role::Bad },
        None => Label { mark: glyphs.info, word: "received".into(), role: Role::Quiet },
    }
}

/// The name of a trace in a list or a title.
pub fn name_of(entry: &TraceEntry) -> String {
    if entry.name.is_empty() { "root not received".to_owned() } else { entry.name.line().into_string() }
}

/// The words before `=` in a filter; the last ones are attributes that the store finds traces by.
pub const FILTER_KEYS: &[&str] = &[
    "agent",
    "skill",
    "state",
    "at-least",
    "is",
    "name",
    "trace",
    "task",
    "gen_ai.request.model",
    "gen_ai.tool.name",
    "gen_ai.conversation.id",
    "error.type",
    "a2a.method.name",
    "a2a.task.id",
    "a2a.task.state",
    "quarterdeck.skill",
];

struct FilterRow<'r>(&'r TraceRows, &'r Snapshot, &'r TraceEntry);

impl Filtered for FilterRow<'_> {
    fn words(&self) -> Vec<String> {
        ["name", "agent", "state", "skill", "trace", "task"]
            .iter()
            .filter_map(|key| self.value(key))
            .collect()
    }

    fn value(&self, key: &str) -> Option<String> {
        let Self(rows, snapshot, entry) = self;
        match key {
            "name" => Some(name_of(entry)),
            "agent" => Some(agents(entry)),
            "state" => Some(label(snapshot, entry, Theme::plain_glyphs()).word),
            "skill" => entry.skill.as_ref().map(|skill| skill.line().into_string()),
            "trace" => Some(entry.trace.to_string()),
            "task" | A2A_TASK => {
                let tasks: Vec<String> = entry.tasks.iter().map(|task| task.line().into_string()).collect();
                Some(tasks.join(" "))
            }
            "is" => {
                let goes_on = if entry.goes_on { "running" } else { "over" };
                let failed = if entry.errors > 0 { " failed" } else { "" };
                Some(format!("{goes_on}{failed}"))
            }
            // A filter compares words: the value that was typed is had by every trace that took as long.
            "at-least" => {
                let (text, time) = rows.typed.at_least.as_ref()?;
                (entry.took >= *time).then(|| text.clone())
            }
            // The store was asked for traces with the value.
            key => {
                let (_, value) = rows.typed.attributes.iter().find(|(known, _)| known == key)?;
                rows.received.contains_key(&entry.trace).then(|| value.clone())
            }
        }
    }
}

impl TraceRows {
    /// Takes changes of the snapshot into account, and the begin of the window.
    pub fn sync(&mut self, snapshot: &Snapshot, since: At) -> bool {
        let changes = snapshot.changes_since(self.rev).filter(|_| self.rev > 0 && since >= self.since);
        let Some(changes) = changes else {
            self.read(snapshot, since);
            return true;
        };
        if since > self.since {
            self.since = since;
            let left = |(trace, known): (&TraceId, &Known)| {
                let job = snapshot.jobs.get(known.key)?;
                (!is_within(snapshot, job, since)).then_some((*trace, known.key))
            };
            let left: Vec<(TraceId, JobKey)> = self.jobs.iter().filter_map(left).collect();
            for (trace, key) in left {
                self.forget(key);
                self.touched.push(trace);
            }
        }
        for change in changes {
            let key = match change {
                Changed::Job(key) => Some(key),
                Changed::Attempt(key) => snapshot.attempts.get(key).map(|attempt| attempt.job),
                Changed::Timeline(_) | Changed::Agent(_) | Changed::Problem(_) | Changed::Source(_) => None,
            };
            if let Some(key) = key {
                self.note(snapshot, key);
            }
        }
        self.rev = snapshot.rev;
        // What goes on grows, though nothing else of it may change.
        if snapshot.at.since(self.grown) >= Duration::from_secs(1) {
            self.grown = snapshot.at;
            self.touched.extend(self.live.iter().rev().take(GROWING));
        }
        false
    }

    fn read(&mut self, snapshot: &Snapshot, since: At) {
        let (typed, received) = (std::mem::take(&mut self.typed), std::mem::take(&mut self.received));
        *self = Self { typed, received, since, rev: snapshot.rev, grown: snapshot.at, ..Self::default() };
        self.has_more = snapshot.jobs.len() > SCANNED;
        for (key, _) in snapshot.jobs.iter().rev().take(SCANNED) {
            if self.jobs.len() == MOST {
                self.has_more = true;
                break;
            }
            self.note(snapshot, key);
        }
        self.touched.clear();
    }

    /// Enters a job as it is now, or removes it.
    fn note(&mut self, snapshot: &Snapshot, key: JobKey) {
        let before = self.forget(key);
        self.touched.extend(before);
        let Some(job) = snapshot.jobs.get(key).filter(|job| is_within(snapshot, job, self.since)) else {
            return;
        };
        let attempts = || job.attempts.iter().filter_map(|key| snapshot.attempts.get(*key));
        let tasks = attempts().filter_map(|attempt| Some(attempt.task.as_ref()?.id.text()));
        let known = Known {
            key,
            start: attempts().map(Attempt::began).fold(job.created, At::min),
            tasks: tasks.collect(),
            parent: job.parent.as_ref().map(|parent| parent.text()),
        };
        let trace = TraceId::from(job.id);
        self.by_key.insert(key, trace);
        self.by_start.insert((known.start, trace));
        if attempts().any(Attempt::is_live) {
            self.live.insert(trace);
        }
        for task in &known.tasks {
            self.by_task.entry(task.clone()).or_default().push(trace);
            self.touched.extend(self.children.get(task).into_iter().flatten());
        }
        if let Some(parent) = &known.parent {
            self.children.entry(parent.clone()).or_default().insert(trace);
        }
        self.jobs.insert(trace, known);
        self.touched.push(trace);
        if self.jobs.len() > MOST
            && let Some((_, oldest)) = self.by_start.first().copied()
            && let Some(known) = self.jobs.get(&oldest)
        {
            self.has_more = true;
            self.forget(known.key);
            self.touched.push(oldest);
        }
    }

    fn forget(&mut self, key: JobKey) -> Option<TraceId> {
        let trace = self.by_key.remove(&key)?;
        let known = self.jobs.remove(&trace)?;
        self.by_start.remove(&(known.start, trace));
        self.live.remove(&trace);
        for task in &known.tasks {
            if let Some(jobs) = self.by_task.get_mut(task) {
                jobs.retain(|of| *of != trace);
                if jobs.is_empty() {
                    self.by_task.remove(task);
                }
            }
        }
        if let Some(parent) = &known.parent
            && let Some(children) = self.children.get_mut(parent)
        {
            children.remove(&trace);
            if children.is_empty() {
                self.children.remove(parent);
            }
        }
        Some(trace)
    }

    /// Takes what was received in the window.
    pub fn receive(&mut self, rows: Vec<TraceRow>) {
        let mut received: BTreeMap<TraceId, Vec<TraceRow>> = BTreeMap::new();
        for row in rows {
            let joined = row.tasks.iter().find_map(|task| self.owner(task));
            let trace = joined.filter(|_| !self.jobs.contains_key(&row.trace)).unwrap_or(row.trace);
            received.entry(trace).or_default().push(row);
        }
        let before = std::mem::replace(&mut self.received, received);
        let ids: BTreeSet<&TraceId> = before.keys().chain(self.received.keys()).collect();
        let changed = ids.into_iter().filter(|trace| before.get(trace) != self.received.get(trace));
        self.touched.extend(changed);
    }

    /// The one job that has a task.
    fn owner(&self, task: &Untrusted) -> Option<TraceId> {
        match self.by_task.get(task)?.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    /// True if a job belongs into the trace of the one whose task delegated it; jobs in a circle have their own.
    fn is_delegated(&self, trace: TraceId) -> bool {
        let parent = |trace: TraceId| self.owner(self.jobs.get(&trace)?.parent.as_ref()?);
        let mut at = trace;
        for _ in 0..DEPTH {
            match parent(at) {
                Some(above) if above == trace || above == at => return false,
                Some(above) => at = above,
                None => return at != trace,
            }
        }
        true
    }

    /// Applies what a filter compares beyond words; the attributes that the store is to be asked for.
    pub fn set_filter(&mut self, filter: &Filter) -> Vec<(Untrusted, Untrusted)> {
        let mut typed = Typed::default();
        for (key, value) in filter.pairs() {
            if key == "at-least" {
                typed.at_least = duration(value).ok().map(|time| (value.to_owned(), time));
            } else if SEARCHABLE.contains(&key) && key != A2A_TASK && !value.is_empty() {
                typed.attributes.push((key.to_owned(), value.to_owned()));
            }
        }
        self.typed = typed;
        self.attributes()
    }

    /// The attributes that the store is to be asked for.
    pub fn attributes(&self) -> Vec<(Untrusted, Untrusted)> {
        let pair = |(key, value): &(String, String)| (key.as_str().into(), value.as_str().into());
        self.typed.attributes.iter().map(pair).collect()
    }

    /// A trace as it is known now.
    pub fn entry(&self, snapshot: &Snapshot, trace: TraceId) -> Option<TraceEntry> {
        let received = self.received.get(&trace).map(Vec::as_slice).unwrap_or_default();
        let job = self.jobs.get(&trace).and_then(|known| Some((known.key, snapshot.jobs.get(known.key)?)));
        let (mut entry, more) = match (job, received.split_first()) {
            (Some((key, job)), _) => (of_job(snapshot, key, job), received),
            (None, Some((first, more))) => (of_row(first), more),
            (None, None) => return None,
        };
        for row in more {
            entry.add(row);
        }
        Some(entry)
    }

    /// What was touched has been shown.
    pub fn settle(&mut self) {
        self.touched.clear();
    }
}

/// True if a job was going on at a time, or began later.
fn is_within(snapshot: &Snapshot, job: &Job, since: At) -> bool {
    let attempts = || job.attempts.iter().filter_map(|key| snapshot.attempts.get(*key));
    job.created >= since || attempts().any(|attempt| attempt.ended().is_none_or(|ended| ended >= since))
}

impl Rows for TraceRows {
    type Key = TraceId;

    const KIND: ListKind = ListKind::Traces;

    type Column = TraceColumn;

    fn keys<'s>(&'s self, _snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = TraceId> + 's> {
        let received = self.received.keys().filter(|trace| !self.jobs.contains_key(trace));
        Box::new(self.jobs.keys().chain(received).copied())
    }

    // Changes are noted when they are applied to the rows.
    fn changed(&self, _snapshot: &Snapshot, _changed: Changed, _rows: &mut Vec<TraceId>) {}

    fn all_changed(&self, _snapshot: &Snapshot, _changes: &[Changed], rows: &mut Vec<TraceId>) {
        rows.extend(&self.touched);
        rows.sort_unstable();
        rows.dedup();
    }

    fn shows(&self, snapshot: &Snapshot, key: TraceId, order: &Order) -> bool {
        if self.is_delegated(key) {
            return false;
        }
        if !order.faults && order.filter.is_empty() {
            return self.jobs.contains_key(&key) || self.received.contains_key(&key);
        }
        let Some(entry) = self.entry(snapshot, key) else { return false };
        (!order.faults || entry.errors > 0) && order.filter.passes(&FilterRow(self, snapshot, &entry))
    }

    fn sort_key(&self, snapshot: &Snapshot, key: TraceId, by: TraceColumn) -> SortKey {
        let Some(entry) = self.entry(snapshot, key) else { return SortKey::Number(0) };
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let start = entry.start.micros();
        let text = |text: String| SortKey::Text(text.to_lowercase().into());
        match by {
            TraceColumn::Started => SortKey::Number(start),
            TraceColumn::Took => {
                SortKey::Pair(i64::try_from(entry.took.as_micros()).unwrap_or(i64::MAX), start)
            }
            TraceColumn::Spans => SortKey::Pair(number(entry.spans), start),
            // The failing ones first, then the newest.
            TraceColumn::Errors => SortKey::Pair(number(entry.errors), start),
            TraceColumn::Agents => text(agents(&entry)),
            TraceColumn::State => text(label(snapshot, &entry, Theme::plain_glyphs()).word),
            TraceColumn::Name => text(name_of(&entry)),
        }
    }

    fn row(&self, canvas: &Canvas<'_>, ctx: &Context, key: TraceId) -> Row {
        let Some(entry) = self.entry(&ctx.snapshot, key) else { return Row::blank() };
        let label = label(&ctx.snapshot, &entry, ctx.glyphs());
        let count = |number: u64, role| match number {
            0 => span(NOTHING, Role::Quiet),
            number => span(format::count(usize::try_from(number).unwrap_or(usize::MAX)), role),
        };
        Row {
            mark: span(label.mark, label.role),
            cells: TraceColumn::cells(|column| match column {
                TraceColumn::Started => span(canvas.since(entry.start), Role::Quiet),
                TraceColumn::Took => {
                    let took = format::measured(entry.took);
                    if entry.goes_on { span(took, Role::Plain) } else { span(took, Role::Quiet) }
                }
                TraceColumn::Spans => count(entry.spans, Role::Plain),
                TraceColumn::Errors => count(entry.errors, Role::Bad),
                TraceColumn::Agents => span(agents(&entry), Role::Plain),
                TraceColumn::State => span(label.word.clone(), label.role),
                TraceColumn::Name => span(name_of(&entry), Role::Plain),
            }),
            marked: false,
        }
    }
}
