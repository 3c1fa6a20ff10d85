//! Tasks as rows of a table, and the explanation of a single task.

use crate::domain::id::{AgentKey, AttemptKey, ContextId};
use crate::domain::job::plan::RaceReason;
use crate::domain::job::task::{TaskState, Verdict};
use crate::domain::job::{Attempt, Job, Phase};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::saved_view::ListKind;
use crate::tui::theme::{Role, Theme};
use crate::tui::views::frame::labelled;
use crate::tui::views::listing::{Order, Rows};
use crate::tui::views::{about, timeline, waiting};
use crate::tui::widgets::canvas::{Canvas, Span, span};
use crate::tui::widgets::filter::Filtered;
use crate::tui::widgets::sorted::{SortKey, Sorted};
use crate::tui::widgets::table::{Row, TableColumn, columns, fixed, flexible};
use crate::tui::{format, states};

/// Tasks: of all agents, of one, or of one conversation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TaskRows {
    /// Only of this agent.
    pub agent: Option<AgentKey>,
    /// Only of this conversation.
    pub context: Option<ContextId>,
    /// Limits rows that need no attention to this many of the newest, for panes that show a few; `None` for all.
    pub newest: Option<u32>,
}

/// The inputs of a worker that builds an order.
#[derive(Clone, Debug)]
pub struct Work {
    /// The tasks.
    pub source: TaskRows,
    /// The order.
    pub order: Order,
}

impl Work {
    /// Builds the order; takes its time.
    pub fn build(&self, snapshot: &Snapshot) -> Sorted<AttemptKey> {
        crate::tui::views::listing::build(&self.source, snapshot, &self.order)
    }
}

struct FilterRow<'s>(&'s Snapshot, &'s Attempt);

impl Filtered for FilterRow<'_> {
    fn words(&self) -> Vec<String> {
        ["task", "job", "agent", "state", "from", "note", "context"]
            .iter()
            .filter_map(|key| self.value(key))
            .collect()
    }

    fn value(&self, key: &str) -> Option<String> {
        let Self(snapshot, attempt) = self;
        let task = attempt.task.as_ref();
        let job = snapshot.job_of(attempt);
        match key {
            "task" => task.map(|task| task.id.to_string()),
            "job" => job.map(|job| job.title.line().into_string()),
            "agent" => snapshot.agents.get(attempt.agent).map(|agent| agent.name.line().into_string()),
            "state" => Some(states::attempt(attempt, Theme::plain_glyphs()).word),
            "from" | "caller" => {
                job.and_then(|job| job.caller.as_ref()).map(|caller| caller.line().into_string())
            }
            "skill" => job.and_then(|job| job.skill.as_ref()).map(|skill| skill.line().into_string()),
            "rule" => job.and_then(|job| job.plan.as_ref()?.rule.as_deref()).map(ToOwned::to_owned),
            "note" => task.and_then(|task| task.note.as_ref()).map(|note| note.line().into_string()),
            "context" => task.and_then(|task| task.context.as_ref()).map(ToString::to_string),
            "is" => Some(if attempt.is_live() { "live".into() } else { "ended".into() }),
            _ => None,
        }
    }
}

fn micros(at: crate::domain::time::At) -> i64 {
    at.micros()
}

/// Tasks that need an operator first, then uncertain, then running, then ended ones.
fn state_rank(attempt: &Attempt) -> i64 {
    if attempt.needs_you() {
        0
    } else if attempt.is_doubtful() {
        1
    } else if attempt.is_live() {
        2
    } else if states::is_fault(attempt) {
        3
    } else {
        4
    }
}

impl TaskRows {
    /// Rows older than this one are shown only if they need attention.
    fn oldest(&self, snapshot: &Snapshot) -> AttemptKey {
        AttemptKey(self.newest.map_or(0, |newest| snapshot.attempts.end().saturating_sub(newest)))
    }
}

columns! {
    /// The columns of tasks.
    pub enum TaskColumn {
        Task = fixed("TASK", 'T', 5, 6),
        Job = flexible("JOB", 'J', 14, 9).prefers(28),
        Agent = flexible("AGENT", 'A', 10, 7),
        State = flexible("STATE", 'S', 12, 8).prefers(18),
        Age = fixed("AGE", 'E', 7, 4).right(),
        LastSign = fixed("LAST SIGN", 'L', 9, 3).right(),
        Attempt = fixed("ATTEMPT", 'M', 7, 2).highest_first(),
        From = flexible("FROM", 'F', 8, 1),
        Skill = flexible("SKILL", 'K', 8, 1).wide(),
        Out = fixed("OUT", 'O', 7, 1).right().wide().highest_first(),
        Context = flexible("CONTEXT", 'C', 8, 1).wide(),
    }
}

impl Rows for TaskRows {
    type Key = AttemptKey;

    const KIND: ListKind = ListKind::Tasks;

    const MANY: bool = true;

    type Column = TaskColumn;

    fn says_nothing(&self, column: TaskColumn, _rows: &[Row]) -> bool {
        match column {
            TaskColumn::Agent => self.agent.is_some(),
            TaskColumn::Context => self.context.is_some(),
            _ => false,
        }
    }

    fn as_filter(&self, snapshot: &Snapshot) -> String {
        let agent = self.agent.and_then(|key| snapshot.agents.get(key)).map(|agent| agent.name.line());
        // A filter cannot contain spaces, so it uses the first word of the name.
        let agent = agent.as_ref().and_then(|name| name.split_whitespace().next());
        let agent = agent.map(|name| format!("agent={name}"));
        let context = self.context.as_ref().map(|context| format!("context={context}"));
        agent.into_iter().chain(context).collect::<Vec<_>>().join(" ")
    }

    fn keys<'s>(&'s self, snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = AttemptKey> + 's> {
        let oldest = self.oldest(snapshot);
        let most = self.newest.unwrap_or(0) as usize;
        let newest = snapshot.attempts.iter().rev().map(|(key, _)| key).take_while(move |key| *key >= oldest);
        let agents = snapshot.agents.iter().map(|(key, _)| key);
        let wanted = agents.filter(|agent| self.agent.is_none_or(|only| only == *agent));
        let wanted = wanted.flat_map(move |agent| {
            let older = snapshot.attention.of(agent).rev().filter(move |key| *key < oldest);
            older.take(most)
        });
        Box::new(newest.chain(wanted))
    }

    fn changed(&self, snapshot: &Snapshot, changed: Changed, rows: &mut Vec<AttemptKey>) {
        match changed {
            Changed::Attempt(key) => rows.push(key),
            Changed::Job(key) => {
                if let Some(job) = snapshot.jobs.get(key) {
                    rows.extend(&job.attempts);
                }
            }
            Changed::Agent(_) | Changed::Problem(_) | Changed::Source(_) | Changed::Timeline(_) => {}
        }
    }

    fn shows(&self, snapshot: &Snapshot, key: AttemptKey, order: &Order) -> bool {
        let Some(attempt) = snapshot.attempts.get(key) else { return false };
        if self.agent.is_some_and(|agent| agent != attempt.agent) {
            return false;
        }
        if key < self.oldest(snapshot) && !attempt.wants_attention() {
            return false;
        }
        if let Some(context) = &self.context {
            let of_task = attempt.task.as_ref().and_then(|task| task.context.as_ref());
            let of_job = snapshot.job_of(attempt).and_then(|job| job.context.as_ref());
            if of_task.or(of_job) != Some(context) {
                return false;
            }
        }
        (!order.faults || states::is_fault(attempt)) && order.filter.passes(&FilterRow(snapshot, attempt))
    }

    fn sort_key(&self, snapshot: &Snapshot, key: AttemptKey, by: TaskColumn) -> SortKey {
        let Some(attempt) = snapshot.attempts.get(key) else { return SortKey::Number(0) };
        let job = snapshot.job_of(attempt);
        let text = |text: Option<String>| SortKey::Text(text.unwrap_or_default().to_lowercase().into());
        match by {
            TaskColumn::Task => text(attempt.task.as_ref().map(|task| task.id.to_string())),
            TaskColumn::Job => text(job.map(|job| job.title.line().into_string())),
            TaskColumn::Agent => {
                text(snapshot.agents.get(attempt.agent).map(|agent| agent.name.line().into_string()))
            }
            TaskColumn::State => SortKey::Pair(state_rank(attempt), -micros(attempt.created)),
            // The column shows an age: the youngest has the smallest value.
            TaskColumn::LastSign => {
                SortKey::Number(attempt.task.as_ref().map_or(0, |task| -micros(task.last_activity)))
            }
            TaskColumn::Attempt => SortKey::Pair(i64::from(attempt.number), micros(attempt.created)),
            TaskColumn::From => {
                text(job.and_then(|job| job.caller.as_ref()).map(|caller| caller.line().into_string()))
            }
            TaskColumn::Skill => {
                text(job.and_then(|job| job.skill.as_ref()).map(|skill| skill.line().into_string()))
            }
            TaskColumn::Out => {
                let bytes = attempt.task.as_ref().map_or(0, |task| task.bytes);
                SortKey::Number(i64::try_from(bytes).unwrap_or(i64::MAX))
            }
            TaskColumn::Context => {
                text(attempt.task.as_ref().and_then(|task| task.context.as_ref()).map(ToString::to_string))
            }
            TaskColumn::Age => SortKey::Pair(-micros(attempt.began()), -i64::from(key.0)),
        }
    }

    fn row(&self, canvas: &Canvas<'_>, ctx: &Context, key: AttemptKey) -> Row {
        let Some(attempt) = ctx.snapshot.attempts.get(key) else { return Row::blank() };
        let label = states::attempt(attempt, ctx.glyphs());
        let live = attempt.is_live();
        let quiet = if live { Role::Plain } else { Role::Quiet };
        let job = ctx.snapshot.job_of(attempt);
        let agent = ctx.snapshot.agents.get(attempt.agent);
        let task = attempt.task.as_ref();
        let dash = || "–".to_owned();
        let age = if live { canvas.age(attempt.began()) } else { canvas.coarse_age(attempt.began()) };
        let sign = match task {
            Some(task) if live => canvas.age(task.last_activity),
            _ => dash(),
        };
        let attempts = job.map_or(1, |job| job.attempts.len());
        let number = match job {
            Some(job) if job.race().is_some_and(|race| race.won == Some(attempt.number)) => {
                format!("{} won", attempt.number)
            }
            Some(job) if job.raced(attempt.number).is_some() => {
                let raced = matches!(job.raced(attempt.number), Some(RaceReason::Raced { .. }));
                format!("{} {}", attempt.number, if raced { "race" } else { "hedge" })
            }
            _ if attempts > 1 => format!("{} of {attempts}", attempt.number),
            _ => attempt.number.to_string(),
        };
        let bytes = task.filter(|task| task.artifacts > 0).map(|task| format::bytes(task.bytes));
        let words = |text: Option<&crate::domain::text::Untrusted>| {
            text.map_or_else(dash, |text| text.shortened(200).line().into_string())
        };
        Row {
            mark: span(label.mark, label.role),
            cells: TaskColumn::cells(|column| match column {
                TaskColumn::Task => span(task.map_or_else(dash, |task| task.id.short()), quiet),
                TaskColumn::Job => {
                    span(words(job.map(|job| &job.title)), if live { Role::Plain } else { Role::Doubt })
                }
                TaskColumn::Agent => span(words(agent.map(|agent| &agent.name)), quiet),
                TaskColumn::State => span(label.word.clone(), label.role),
                TaskColumn::Age => span(age.clone(), quiet),
                TaskColumn::LastSign => span(sign.clone(), quiet),
                TaskColumn::Attempt => span(number.clone(), quiet),
                TaskColumn::From => span(words(job.and_then(|job| job.caller.as_ref())), quiet),
                TaskColumn::Skill => span(words(job.and_then(|job| job.skill.as_ref())), quiet),
                TaskColumn::Out => span(bytes.clone().unwrap_or_else(dash), quiet),
                TaskColumn::Context => span(
                    words(task.and_then(|task| task.context.as_ref()).map(ContextId::text).as_ref()),
                    quiet,
                ),
            }),
            marked: false,
        }
    }
}

/// Explains an attempt: its status text, its doubts, the next step.
pub fn explain(canvas: &Canvas<'_>, ctx: &Context, attempt: &Attempt, width: usize) -> about::Lines {
    let label = states::attempt(attempt, ctx.glyphs());
    let mut lines = Vec::new();
    let job = ctx.snapshot.job_of(attempt);
    if let Some(job) = job {
        lines.push(vec![span(job.title.line().into_string(), Role::Title)]);
    }
    let mut state = vec![span(format!("{} {}", label.mark, label.word), label.role)];
    // The time is that of the task's state, which a cancel does not change before it is confirmed.
    let of = attempt.task.as_ref().filter(|_| label.word.starts_with("cancel "));
    let of = of.map(|task| format!("; {}", task.state.word())).unwrap_or_default();
    state.push(span(format!("{of} {}", since(canvas, ctx, attempt, job)), Role::Plain));
    if let Some(agent) = ctx.snapshot.agents.get(attempt.agent) {
        state.push(span(format!(" on {}", agent.name.line()), Role::Plain));
    }
    lines.push(labelled("state", state));
    if let Some(doubt) = doubt(canvas, attempt) {
        lines.extend(about::wrapped("doubt", &doubt, Role::Warn, width));
    }
    if let Some(note) = attempt.task.as_ref().and_then(|task| task.note.as_ref()) {
        lines.extend(about::wrapped("it says", &note.line(), Role::Plain, width));
    }
    if let Some(cause) = &attempt.cause {
        lines.extend(about::wrapped("because", &cause.to_string(), Role::Plain, width));
    }
    if let Some(spent) = job.and_then(waiting::spent) {
        lines.extend(about::wrapped("retries", &spent, Role::Warn, width));
    }
    if let Some(next) = next_step(ctx, attempt) {
        lines.extend(about::wrapped("next", &next, Role::You, width));
    }
    lines.push(labelled("ids", ids(attempt, job)));
    lines
}

/// Since when it is so: `14:41:09, 7s ago, took 30s` once it has ended, `since 14:41:09, 7s` before. Of a job with several
/// attempts, the time is that of this one.
fn since(canvas: &Canvas<'_>, ctx: &Context, attempt: &Attempt, job: Option<&Job>) -> String {
    let since = attempt.since();
    let (at, age) = (ctx.clocks.second(since.at, ctx.now), canvas.age(since.at));
    if let Some(unseen) = attempt.ended_unseen() {
        let [after, before] = [unseen.after, unseen.before].map(|at| ctx.clocks.second(at, ctx.now));
        return format!("between {after} and {before}, when nobody watched");
    }
    if since.found {
        return format!("when it was found, {age} ago");
    }
    match (attempt.ended(), timeline::took(attempt)) {
        (Some(_), Some(took)) if job.is_some_and(|job| job.attempts.len() > 1) => {
            format!("{at}, {age} ago, this attempt took {took}")
        }
        (Some(_), Some(took)) => format!("{at}, {age} ago, took {took}"),
        (Some(_), None) => format!("{at}, {age} ago"),
        (None, _) => format!("since {at}, {age}"),
    }
}

fn ids(attempt: &Attempt, job: Option<&Job>) -> Vec<Span> {
    let mut text = String::new();
    if let Some(task) = &attempt.task {
        text.push_str(&format!("task {}", task.id));
        if let Some(context) = &task.context {
            text.push_str(&format!(" · context {context}"));
        }
    }
    if let Some(job) = job {
        let gap = if text.is_empty() { "" } else { " · " };
        text.push_str(&format!("{gap}job {}", job.id.short()));
    }
    vec![span(text, Role::Quiet)]
}

/// The reason why the agent's report alone is not trusted.
pub fn doubt(canvas: &Canvas<'_>, attempt: &Attempt) -> Option<String> {
    let task = attempt.task.as_ref()?;
    let silent = || format!("silent for {}", canvas.age(task.last_activity));
    let says = task.says.as_deref().unwrap_or(&task.state).word();
    Some(match task.verdict? {
        Verdict::Silent => format!("{}, what is usual is not known yet; reported as {says}", silent()),
        Verdict::Unheard => format!("reported as {says}, but nothing ever arrived on its stream"),
        Verdict::Stuck => {
            let usual = task
                .usual
                .as_deref()
                .map_or_else(|| "far longer than usual".into(), |usual| usual.to_string());
            format!("{}, {usual}; reported as {says}", silent())
        }
        Verdict::Looping => format!("{says}, and it keeps repeating the same status"),
        Verdict::Stalled => format!("stream cut, agent reports {says}; no change since"),
        Verdict::Stale | Verdict::Unreachable => {
            format!("its agent no longer answers; last reported as {says}")
        }
        Verdict::Conflict => format!("{}, but its agent still reports {says}", task.state.word()),
        Verdict::Lost => "its agent came back and no longer knows it".into(),
    })
}

/// The next step for an operator; `None` if there is none.
pub fn next_step(ctx: &Context, attempt: &Attempt) -> Option<String> {
    if attempt.is_live() && attempt.waits_for_decision() {
        return Some(ctx.step(Action::Again, "presume it lost, and send it elsewhere; or wait"));
    }
    if attempt.phase == Phase::Uncertain {
        return Some(ctx.step(Action::Again, "send it again with the same id, or presume it lost"));
    }
    if let Some(cause) = attempt.cause.as_ref().filter(|_| attempt.task.is_none()) {
        return Some(cause.next_step().to_owned());
    }
    let task = attempt.task.as_ref()?;
    if attempt.needs_you() {
        return Some(match task.state {
            TaskState::AuthRequired if ctx.offers(Action::Answer) => {
                format!("sign in where it says, then {} to confirm", ctx.key(Action::Answer))
            }
            TaskState::AuthRequired => "sign in where it says, then confirm it".into(),
            _ => ctx.step(Action::Answer, "answer it"),
        });
    }
    match task.verdict? {
        Verdict::Silent | Verdict::Unheard | Verdict::Stuck | Verdict::Looping | Verdict::Stalled => {
            let steps = [
                (Action::Check, "read it now"),
                (Action::Cancel, "cancel it"),
                (Action::EditCopy, "send a copy"),
            ];
            Some(steps.map(|(action, words)| ctx.step(action, words)).join("; "))
        }
        Verdict::Stale | Verdict::Unreachable => Some("it is read again as soon as its agent answers".into()),
        Verdict::Conflict => Some(ctx.step(Action::Raw, "raw data; the wire view has both answers")),
        Verdict::Lost => {
            Some(ctx.step(Action::EditCopy, "send a copy; the agent drops tasks when it restarts"))
        }
    }
}
