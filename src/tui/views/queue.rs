//! The queue: jobs that wait, in the order in which they leave, then dead letters: jobs that ended without a result.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::cause::Cause;
use crate::domain::id::{AttemptKey, JobKey};
use crate::domain::job::Job;
use crate::domain::job::plan::JobPhase;
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::format;
use crate::tui::saved_view::ListKind;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::listing::{List, Listing, Order, Rows, shows_list};
use crate::tui::views::waiting;
use crate::tui::widgets::canvas::{Canvas, Edge, span};
use crate::tui::widgets::filter::Filtered;
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{NOTHING, Row, TableColumn, columns, fixed, flexible};

/// Jobs that wait and dead letters, found once and then kept up from changes: there may be a million other jobs.
#[derive(Clone, Debug, Default)]
pub struct QueueRows {
    /// Jobs that wait, with the time at which they were accepted.
    queued: BTreeMap<JobKey, At>,
    /// The same, oldest first.
    by_age: BTreeSet<(At, JobKey)>,
    dead: BTreeSet<JobKey>,
    /// When jobs were sent that had waited, oldest first: those of the last minute.
    left: VecDeque<At>,
    /// Since when their leaving was watched.
    since: At,
    rev: u64,
}

/// How long jobs that left are counted.
const LEFT_WITHIN: Duration = Duration::from_secs(60);

struct FilterRow<'s>(&'s Snapshot, &'s Job);

impl Filtered for FilterRow<'_> {
    fn words(&self) -> Vec<String> {
        ["job", "waits-for", "rule", "cause", "from"].iter().filter_map(|key| self.value(key)).collect()
    }

    fn value(&self, key: &str) -> Option<String> {
        let Self(snapshot, job) = self;
        match key {
            "job" => Some(job.title.line().into_string()),
            "waits-for" => waiting::queued(job).map(|plan| waiting::reason_words(plan).to_owned()),
            "rule" => job.plan.as_ref().map(|plan| waiting::rule_words(snapshot, plan)),
            "cause" => waiting::dead(job).map(waiting::cause_words),
            "from" | "caller" => job.caller.as_ref().map(|caller| caller.line().into_string()),
            "is" => Some(if waiting::dead(job).is_some() { "dead" } else { "waiting" }.into()),
            _ => None,
        }
    }
}

columns! {
    /// The columns of the queue.
    pub enum QueueColumn {
        Job = flexible("JOB", 'J', 12, 10).prefers(20),
        WaitsFor = flexible("WAITS FOR", 'W', 12, 9).prefers(24),
        Cause = flexible("CAUSE", 'C', 12, 7).prefers(20).if_any(),
        Since = fixed("SINCE", 'I', 5, 3).right(),
        Age = fixed("AGE", 'E', 4, 8).right(),
        Priority = fixed("PRIORITY", 'P', 8, 3).right().highest_first(),
        Rule = flexible("RULE", 'R', 8, 6).prefers(14),
        Attempts = fixed("ATTEMPTS", 'T', 8, 2).right().highest_first(),
        Deadline = fixed("DEADLINE", 'D', 8, 3).right().if_any(),
    }
}

/// The last sending of a job.
fn last(snapshot: &Snapshot, job: &Job) -> Option<AttemptKey> {
    job.current(|key| snapshot.attempts.get(key))
}

/// When a dead letter ended, as far as its rows say; else when the job was accepted.
fn died(snapshot: &Snapshot, job: &Job) -> At {
    if let Some(ended) = job.plan.as_ref().and_then(|plan| plan.ended) {
        return ended;
    }
    // Earlier versions did not keep it.
    let plan = job.plan.as_deref();
    let deadline = plan.filter(|plan| matches!(plan.dead.as_deref(), Some(Cause::Deadline(_))));
    let attempt =
        last(snapshot, job).and_then(|key| snapshot.attempts.get(key)).map(|attempt| attempt.since().at);
    deadline.and_then(|plan| plan.deadline).max(attempt).unwrap_or(job.created)
}

impl QueueRows {
    /// Applies changes; true if the list has other rows now, or these have changed.
    pub fn sync(&mut self, snapshot: &Snapshot) -> bool {
        if self.rev == snapshot.rev {
            return false;
        }
        let mut changed = false;
        match snapshot.changes_since(self.rev).filter(|_| self.rev > 0) {
            Some(changes) => {
                for change in changes {
                    if let Changed::Job(key) = change {
                        let waited = self.queued.contains_key(&key);
                        changed |= self.note(key, snapshot.jobs.get(key));
                        let is_sent =
                            snapshot.jobs.get(key).is_some_and(|job| job.phase == JobPhase::Running);
                        if waited && is_sent {
                            self.left.push_back(snapshot.at);
                        }
                    }
                }
                while self.left.front().is_some_and(|at| snapshot.at.since(*at) >= LEFT_WITHIN) {
                    self.left.pop_front();
                }
            }
            None => {
                *self = Self { since: snapshot.at, ..Self::default() };
                for (key, job) in snapshot.jobs.iter() {
                    self.note(key, Some(job));
                }
                changed = true;
            }
        }
        self.rev = snapshot.rev;
        changed
    }

    /// How many wait, and how many dead letters there are.
    pub fn words(&self) -> String {
        let waiting = match self.queued.len() {
            1 => "1 waits".to_owned(),
            count => format!("{} wait", format::count(count)),
        };
        format!("{waiting}, {}", self.dead_words())
    }

    fn dead_words(&self) -> String {
        match self.dead.len() {
            1 => "1 dead letter".to_owned(),
            count => format!("{} dead letters", format::count(count)),
        }
    }

    /// Notes where a job belongs; true if it does, or did.
    fn note(&mut self, key: JobKey, job: Option<&Job>) -> bool {
        let queued = job.filter(|job| waiting::queued(job).is_some());
        let dead = job.is_some_and(|job| waiting::dead(job).is_some());
        let before = self.queued.remove(&key);
        if let Some(at) = before {
            self.by_age.remove(&(at, key));
        }
        if let Some(job) = queued {
            self.queued.insert(key, job.created);
            self.by_age.insert((job.created, key));
        }
        let was_dead = if dead { !self.dead.insert(key) } else { self.dead.remove(&key) };
        before.is_some() || queued.is_some() || dead || was_dead
    }
}

impl Rows for QueueRows {
    type Key = JobKey;

    const KIND: ListKind = ListKind::Queue;

    type Column = QueueColumn;

    fn keys<'s>(&'s self, _snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = JobKey> + 's> {
        Box::new(self.queued.keys().chain(&self.dead).copied())
    }

    fn changed(&self, _snapshot: &Snapshot, changed: Changed, rows: &mut Vec<JobKey>) {
        if let Changed::Job(key) = changed {
            rows.push(key);
        }
    }

    fn shows(&self, snapshot: &Snapshot, key: JobKey, order: &Order) -> bool {
        let Some(job) = snapshot.jobs.get(key) else { return false };
        let dead = waiting::dead(job).is_some();
        let belongs = dead || waiting::queued(job).is_some() && !order.faults;
        belongs && order.filter.passes(&FilterRow(snapshot, job))
    }

    fn sort_key(&self, snapshot: &Snapshot, key: JobKey, by: QueueColumn) -> SortKey {
        let Some(job) = snapshot.jobs.get(key) else { return SortKey::Number(0) };
        let Some(plan) = job.plan.as_deref() else { return SortKey::Number(0) };
        let text = |text: String| SortKey::Text(text.to_lowercase().into());
        let dead = waiting::dead(job);
        match by {
            QueueColumn::Job => text(job.title.line().into_string()),
            QueueColumn::WaitsFor => {
                let why = plan.waiting.map_or(0, |waiting| waiting.why as i64);
                SortKey::Pair(if dead.is_some() { i64::MAX } else { why }, job.created.micros())
            }
            // These columns show ages: the youngest has the least.
            QueueColumn::Since => {
                SortKey::Number(plan.waiting.map_or(i64::MAX, |waiting| -waiting.since.micros()))
            }
            QueueColumn::Age => SortKey::Number(-job.created.micros()),
            // The order in which they leave; dead letters follow, the newest first.
            QueueColumn::Priority => match dead {
                Some(_) => SortKey::Pair(-1, died(snapshot, job).micros()),
                None => SortKey::Pair(i64::from(plan.priority), -job.created.micros()),
            },
            QueueColumn::Rule => text(waiting::rule_words(snapshot, plan)),
            QueueColumn::Attempts => SortKey::Number(i64::try_from(job.attempts.len()).unwrap_or(i64::MAX)),
            QueueColumn::Deadline => {
                let until = plan.deadline.filter(|_| dead.is_none());
                SortKey::Number(until.map_or(i64::MAX, At::micros))
            }
            QueueColumn::Cause => text(dead.map(waiting::cause_words).unwrap_or_default()),
        }
    }

    fn row(&self, canvas: &Canvas<'_>, ctx: &Context, key: JobKey) -> Row {
        let Some(job) = ctx.snapshot.jobs.get(key) else { return Row::blank() };
        let Some(plan) = job.plan.as_deref() else { return Row::blank() };
        let dead = waiting::dead(job);
        let glyphs = ctx.glyphs();
        let (mark, role) =
            if dead.is_some() { (glyphs.failed, Role::Bad) } else { (glyphs.queued, Role::Plain) };
        Row {
            mark: span(mark, role),
            cells: QueueColumn::cells(|column| match column {
                QueueColumn::Job => span(job.title.line().into_string(), Role::Plain),
                QueueColumn::WaitsFor if dead.is_some() => span("dead letter", Role::Bad),
                QueueColumn::WaitsFor => {
                    if plan.waiting.is_some_and(|waiting| waiting.until.is_some()) {
                        let _counts_down = canvas.age(ctx.now);
                    }
                    span(waiting::wait_words(plan, ctx.now), Role::Warn)
                }
                QueueColumn::Since => {
                    let since = plan.waiting.map(|waiting| canvas.coarse_age(waiting.since));
                    span(since.unwrap_or_default(), Role::Quiet)
                }
                QueueColumn::Age => span(canvas.coarse_age(job.created), Role::Plain),
                QueueColumn::Priority if dead.is_some() => span("", Role::Quiet),
                QueueColumn::Priority => span(plan.priority.to_string(), Role::Plain),
                QueueColumn::Rule => span(waiting::rule_words(&ctx.snapshot, plan), Role::Plain),
                QueueColumn::Attempts => match job.attempts.len() {
                    0 => span(NOTHING, Role::Quiet),
                    count => span(count.to_string(), Role::Plain),
                },
                QueueColumn::Deadline => match plan.deadline.filter(|_| dead.is_none()) {
                    Some(until) => {
                        let _counts_down = canvas.age(ctx.now);
                        span(waiting::seconds(until, ctx.now), Role::Plain)
                    }
                    None => span("", Role::Quiet),
                },
                QueueColumn::Cause => span(dead.map(waiting::cause_words).unwrap_or_default(), Role::Plain),
            }),
            marked: false,
        }
    }
}

/// The view.
#[derive(Debug)]
pub struct QueueView {
    list: Listing<QueueRows>,
}

impl QueueView {
    /// The queue, the job that leaves first at the top.
    pub fn new() -> Self {
        Self { list: Listing::new(QueueRows::default(), QueueColumn::Priority) }
    }

    fn lines(area: Rect) -> usize {
        usize::from(inside(area).height.saturating_sub(1))
    }

    fn attempt(ctx: &Context, key: JobKey) -> Option<AttemptKey> {
        ctx.snapshot.jobs.get(key).and_then(|job| last(&ctx.snapshot, job))
    }
}

impl Default for QueueView {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen for QueueView {
    fn word(&self) -> &'static str {
        "queue"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let first = self.list.source.rev == 0;
        let visible = self.list.source.sync(&ctx.snapshot);
        if first {
            self.list.rebuild();
        }
        self.list.refresh(&ctx.snapshot, Self::lines(area)) || visible
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let rows = &self.list.source;
        let oldest = rows.by_age.first().map(|(at, _)| format!(", oldest {}", canvas.coarse_age(*at)));
        let waiting = match rows.queued.len() {
            1 => "1 job waits".to_owned(),
            count => format!("{} jobs wait{}", format::count(count), oldest.unwrap_or_default()),
        };
        let left = rows.left.iter().filter(|at| ctx.now.since(**at) < LEFT_WITHIN).count();
        let watched = canvas.coarse_age(rows.since.max(ctx.now - LEFT_WITHIN));
        let left = match left {
            0 => String::new(),
            count => format!(" · {} sent in {watched}", format::count(count)),
        };
        let facts = self.list.facts(ctx, area, format!("{waiting}{left} · {}", rows.dead_words()));
        canvas.rule(area, area.y, Edge::Top, &self.list.title(), &facts);
        if self.list.rows.is_empty() {
            let filtered = self.list.state.settings.leaves_out();
            return empty(
                canvas,
                ctx,
                inside(area),
                filtered,
                &[
                    "No job waits, and none ended without a result.",
                    "A job for which no agent takes work waits here: for a free place, for an agent that takes work, for a place in its route, or for its next attempt. Dead letters are jobs that went by rules and ended without a result.",
                ],
            );
        }
        self.list.draw(canvas, inside(area), ctx);
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        if self.list.act(action, Self::lines(area)) {
            return Some(Vec::new());
        }
        match action {
            Action::Open => {
                let page = self.list.target().and_then(|key| Destination::job(ctx, key));
                Some(page.map(|page| Step::Open(Box::new(page))).into_iter().collect())
            }
            _ => None,
        }
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Open, "open"),
            (Action::Again, "again"),
            (Action::Filter, "filter"),
            (Action::Faults, "dead letters only"),
            (Action::GoTo, "go to"),
            (Action::Mark, "mark"),
            (Action::Copy, "copy"),
            (Action::Back, "back"),
        ]
    }

    fn target(&self, ctx: &Context) -> Target {
        let attempt = self.list.target().and_then(|key| Self::attempt(ctx, key));
        let agent = attempt.and_then(|key| ctx.snapshot.attempts.get(key)).map(|attempt| attempt.agent);
        Target { agent, attempt, problem: None, trace: None }
    }

    fn marked(&self, ctx: &Context) -> Vec<AttemptKey> {
        self.list.state.marks.iter().filter_map(|key| Self::attempt(ctx, *key)).collect()
    }

    fn jobs(&self, ctx: &Context) -> Vec<JobKey> {
        let marks = &self.list.state.marks;
        let keys: Vec<JobKey> = if marks.is_empty() {
            self.list.target().into_iter().collect()
        } else {
            marks.iter().copied().collect()
        };
        let without = |key: &JobKey| ctx.snapshot.jobs.get(*key).is_some_and(|job| job.attempts.is_empty());
        keys.into_iter().filter(without).collect()
    }

    fn unmark(&mut self) {
        self.list.state.marks.clear();
    }

    shows_list!(list);
}
