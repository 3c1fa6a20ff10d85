//! Every task of every agent.

use ratatui::layout::Rect;

use super::listing::{List, Listing, Order, Rows};
use super::{ListKind, Screen, Target, View, about, inside, labelled};
use crate::domain::id::{AgentKey, AttemptKey, ContextId};
use crate::domain::job::task::{TaskState, Verdict};
use crate::domain::job::{Attempt, Phase};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::tui::actions::Action;
use crate::tui::format;
use crate::tui::model::{Shared, Step};
use crate::tui::states;
use crate::tui::theme::{Role, Theme};
use crate::tui::widgets::canvas::{Canvas, Joint, Span, span};
use crate::tui::widgets::filter::{Filter, Filtered};
use crate::tui::widgets::sorted::{SortKey, Sorted};
use crate::tui::widgets::table::{Column, Row, fixed, share};
use crate::tui::widgets::text;

/// Tasks: of all agents, of one, or of one conversation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TaskRows {
    /// Only of this agent.
    pub agent: Option<AgentKey>,
    /// Only of this conversation.
    pub context: Option<ContextId>,
    /// Of what wants nobody's attention only among so many rows, for panes that show a few.
    pub newest: Option<u32>,
}

/// What a worker needs to build an order beside the screen's work.
#[derive(Clone, Debug)]
pub struct Work {
    /// Which tasks.
    pub source: TaskRows,
    /// In which order.
    pub order: Order,
}

impl Work {
    /// Builds the order; takes its time.
    pub fn build(&self, snapshot: &Snapshot) -> Sorted<AttemptKey> {
        super::listing::build(&self.source, snapshot, &self.order)
    }
}

struct Seen<'s>(&'s Snapshot, &'s Attempt);

impl Filtered for Seen<'_> {
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

/// What needs a person first, then what is in doubt, then what runs, then what has ended.
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
    /// Rows before this one are shown only if they want attention.
    fn oldest(&self, snapshot: &Snapshot) -> AttemptKey {
        AttemptKey(self.newest.map_or(0, |newest| snapshot.attempts.end().saturating_sub(newest)))
    }
}

impl Rows for TaskRows {
    type Key = AttemptKey;

    const KIND: ListKind = ListKind::Tasks;

    const MANY: bool = true;

    const COLUMNS: &'static [Column] = &[
        fixed("TASK", 'T', 5, 6),
        share("JOB", 'J', 14, 5, 9).wants(28),
        share("AGENT", 'A', 10, 2, 7),
        share("STATE", 'S', 12, 1, 8).wants(18),
        fixed("AGE", 'E', 7, 4).right(),
        fixed("LAST SIGN", 'L', 9, 3).right(),
        fixed("ATTEMPT", 'M', 7, 2),
        share("FROM", 'F', 8, 2, 1),
        share("SKILL", 'K', 8, 1, 1).wide(),
        fixed("OUT", 'O', 7, 1).right().wide(),
        share("CONTEXT", 'C', 8, 1, 1).wide(),
    ];

    fn as_filter(&self, snapshot: &Snapshot) -> String {
        let agent = self.agent.and_then(|key| snapshot.agents.get(key)).map(|agent| agent.name.line());
        // A filter has no spaces: the first word of a name is what it can say of it.
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
            Changed::Agent(_) | Changed::Problem(_) | Changed::Source(_) | Changed::Story(_) => {}
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
        (!order.faults || states::is_fault(attempt)) && order.filter.passes(&Seen(snapshot, attempt))
    }

    fn sort_key(&self, snapshot: &Snapshot, key: AttemptKey, by: char) -> SortKey {
        let Some(attempt) = snapshot.attempts.get(key) else { return SortKey::Number(0) };
        let job = snapshot.job_of(attempt);
        let text = |text: Option<String>| SortKey::Text(text.unwrap_or_default().to_lowercase().into());
        match by {
            'T' => text(attempt.task.as_ref().map(|task| task.id.to_string())),
            'J' => text(job.map(|job| job.title.line().into_string())),
            'A' => text(snapshot.agents.get(attempt.agent).map(|agent| agent.name.line().into_string())),
            'S' => SortKey::Pair(state_rank(attempt), -micros(attempt.created)),
            // What is shown is an age: the youngest has the least.
            'L' => SortKey::Number(attempt.task.as_ref().map_or(0, |task| -micros(task.last_sign))),
            'M' => SortKey::Pair(i64::from(attempt.number), micros(attempt.created)),
            'F' => text(job.and_then(|job| job.caller.as_ref()).map(|caller| caller.line().into_string())),
            'K' => text(job.and_then(|job| job.skill.as_ref()).map(|skill| skill.line().into_string())),
            'O' => {
                let bytes = attempt.task.as_ref().map_or(0, |task| task.bytes);
                SortKey::Number(i64::try_from(bytes).unwrap_or(i64::MAX))
            }
            'C' => {
                text(attempt.task.as_ref().and_then(|task| task.context.as_ref()).map(ToString::to_string))
            }
            _ => SortKey::Pair(-micros(attempt.created), -i64::from(key.0)),
        }
    }

    fn highest_first(by: char) -> bool {
        matches!(by, 'M' | 'O')
    }

    fn row(&self, canvas: &Canvas<'_>, shared: &Shared, key: AttemptKey) -> Row {
        let Some(attempt) = shared.snapshot.attempts.get(key) else {
            return Row { mark: span(" ", Role::Plain), cells: Vec::new(), marked: false };
        };
        let told = states::attempt(attempt, shared.glyphs());
        let live = attempt.is_live();
        let quiet = if live { Role::Plain } else { Role::Quiet };
        let job = shared.snapshot.job_of(attempt);
        let agent = shared.snapshot.agents.get(attempt.agent);
        let task = attempt.task.as_ref();
        let dash = || "–".to_owned();
        let age = if live { canvas.age(attempt.created) } else { canvas.coarse_age(attempt.created) };
        let sign = match task {
            Some(task) if live => canvas.age(task.last_sign),
            _ => dash(),
        };
        let attempts = job.map_or(1, |job| job.attempts.len());
        let number = if attempts > 1 {
            format!("{} of {attempts}", attempt.number)
        } else {
            attempt.number.to_string()
        };
        let bytes = task.filter(|task| task.artifacts > 0).map(|task| format::bytes(task.bytes));
        let words = |text: Option<&crate::domain::text::Untrusted>| {
            text.map_or_else(dash, |text| text.shortened(200).line().into_string())
        };
        Row {
            mark: span(told.mark, told.role),
            cells: vec![
                span(task.map_or_else(dash, |task| task.id.short()), quiet),
                span(words(job.map(|job| &job.title)), if live { Role::Plain } else { Role::Doubt }),
                span(words(agent.map(|agent| &agent.name)), quiet),
                span(told.word, told.role),
                span(age, quiet),
                span(sign, quiet),
                span(number, quiet),
                span(words(job.and_then(|job| job.caller.as_ref())), quiet),
                span(words(job.and_then(|job| job.skill.as_ref())), quiet),
                span(bytes.unwrap_or_else(dash), quiet),
                span(words(task.and_then(|task| task.context.as_ref()).map(ContextId::text).as_ref()), quiet),
            ],
            marked: false,
        }
    }
}

/// What is to be said about an attempt: its words, its doubts, the next step.
pub fn explain(canvas: &Canvas<'_>, shared: &Shared, attempt: &Attempt, width: usize) -> about::Lines {
    let told = states::attempt(attempt, shared.glyphs());
    let mut lines = Vec::new();
    let job = shared.snapshot.job_of(attempt);
    if let Some(job) = job {
        lines.push(vec![span(job.title.line().into_string(), Role::Title)]);
    }
    let since = attempt.task.as_ref().map_or(attempt.phase_since, |task| task.state_since);
    let mut state = vec![span(format!("{} {}", told.mark, told.word), told.role)];
    state.push(span(format!(" since {}", canvas.since(since)), Role::Plain));
    if let Some(agent) = shared.snapshot.agents.get(attempt.agent) {
        state.push(span(format!(" on {}", agent.name.line()), Role::Plain));
    }
    lines.push(labelled("state", state));
    if let Some(doubt) = doubt(attempt) {
        lines.extend(about::wrapped("doubt", &doubt, Role::Warn, width));
    }
    if let Some(note) = attempt.task.as_ref().and_then(|task| task.note.as_ref()) {
        lines.extend(about::wrapped("it says", &note.line(), Role::Plain, width));
    }
    if let Some(cause) = &attempt.cause {
        lines.extend(about::wrapped("because", &cause.to_string(), Role::Plain, width));
    }
    if let Some(next) = next_step(shared, attempt) {
        lines.extend(about::wrapped("next", &next, Role::You, width));
    }
    lines.push(labelled("ids", ids(attempt, job)));
    lines
}

fn ids(attempt: &Attempt, job: Option<&crate::domain::job::Job>) -> Vec<Span> {
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

/// Why the agent's word alone is not believed.
pub fn doubt(attempt: &Attempt) -> Option<String> {
    let task = attempt.task.as_ref()?;
    let says = task.says.as_ref().unwrap_or(&task.state).word();
    Some(match task.verdict? {
        Verdict::Silent => format!("it says {says}, and no event has come for far longer than is usual"),
        Verdict::Unheard => format!("it says {says}, and nothing ever came on its stream"),
        Verdict::Stuck => format!("it says {says}, and no event has come for many times what is usual there"),
        Verdict::Looping => format!("{says}, and it says the same again and again"),
        Verdict::Stalled => format!("stream cut, agent says {says}; its answer has not changed since"),
        Verdict::Stale => format!("its agent has not answered since; {says} is what it said last"),
        Verdict::Conflict => format!("{}, and its agent still says {says}", task.state.word()),
        Verdict::Lost => "its agent came back and no longer knows it".into(),
    })
}

/// What a person can do about an attempt, if anything.
pub fn next_step(shared: &Shared, attempt: &Attempt) -> Option<String> {
    let key = |action| shared.key(action);
    if attempt.phase == Phase::Uncertain {
        let again = key(Action::Again);
        return Some(format!("{again}: send it once more with the same id, or take it as lost"));
    }
    if let Some(cause) = attempt.cause.as_ref().filter(|_| attempt.task.is_none()) {
        return Some(cause.next_step().to_owned());
    }
    let task = attempt.task.as_ref()?;
    if attempt.needs_you() {
        return Some(match task.state {
            TaskState::AuthRequired => {
                format!("sign in where it says, then {}: tell it", key(Action::Answer))
            }
            _ => format!("{}: answer it", key(Action::Answer)),
        });
    }
    match task.verdict? {
        Verdict::Silent | Verdict::Unheard | Verdict::Stuck | Verdict::Looping | Verdict::Stalled => {
            Some(format!(
                "{}: ask it now; {}: end it; {}: send a copy",
                key(Action::Check),
                key(Action::Cancel),
                key(Action::EditCopy)
            ))
        }
        Verdict::Stale => Some("it is asked again as soon as its agent answers".into()),
        Verdict::Conflict => {
            Some(format!("{}: what it sent; the wire view has both answers", key(Action::Raw)))
        }
        Verdict::Lost => {
            Some(format!("{}: send a copy; the agent drops tasks when it restarts", key(Action::EditCopy)))
        }
    }
}

/// The view.
#[derive(Debug)]
pub struct TasksView {
    list: Listing<TaskRows>,
    agent_name: Option<String>,
}

impl TasksView {
    /// All tasks, newest first.
    pub fn new() -> Self {
        Self { list: Listing::new(TaskRows::default(), 'E'), agent_name: None }
    }

    /// True if it is about all tasks.
    pub fn is_all(&self) -> bool {
        self.list.source == TaskRows::default() && self.list.state.look.saved.is_none()
    }

    /// The tasks of one conversation.
    pub fn of_context(context: ContextId) -> Self {
        let rows = TaskRows { context: Some(context), ..TaskRows::default() };
        Self { list: Listing::new(rows, 'E'), agent_name: None }
    }

    /// The tasks of one agent.
    pub fn of_agent(shared: &Shared, agent: AgentKey) -> Self {
        let name = shared.snapshot.agents.get(agent).map(|agent| agent.name.line().into_string());
        let rows = TaskRows { agent: Some(agent), ..TaskRows::default() };
        Self { list: Listing::new(rows, 'E'), agent_name: name }
    }

    /// Shows what a filter lets through.
    #[must_use]
    pub fn filtered(mut self, text: &str) -> Self {
        self.list.state.look.filter = Filter::parse(text);
        self
    }

    fn parts(&self, area: Rect) -> (Rect, Option<Rect>) {
        let inner = inside(area);
        let details =
            if self.list.state.details && inner.height >= 14 { (inner.height / 4).clamp(5, 9) } else { 0 };
        if details == 0 {
            return (inner, None);
        }
        let list = Rect { height: inner.height - details, ..inner };
        let below = Rect { y: inner.y + list.height, height: details, ..inner };
        (list, Some(below))
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(self.parts(area).0.height.saturating_sub(1))
    }
}

impl Default for TasksView {
    fn default() -> Self {
        Self::new()
    }
}

/// What every list says at its right: counts, filter, order.
pub fn list_facts<R: Rows>(list: &Listing<R>, shared: &Shared, first: String) -> Vec<Span> {
    let mut facts = vec![span(first, Role::Plain)];
    if list.is_building() {
        facts.push(span(" · sorting", Role::Doubt));
    }
    if !list.state.marks.is_empty() {
        facts.push(span(format!(" · {} marked", list.state.marks.len()), Role::You));
    }
    if list.state.look.faults {
        facts.push(span(" · faults only", Role::You));
    }
    if !list.state.look.filter.is_empty() {
        facts.push(span(format!(" · filter {}", list.state.look.filter.text()), Role::You));
    }
    if list.state.new_above > 0 {
        facts.push(span(format!(" · {} {} new", shared.glyphs().more, list.state.new_above), Role::You));
    }
    facts
}

impl Screen for TasksView {
    fn word(&self) -> &'static str {
        "tasks"
    }

    fn settle(&mut self, shared: &Shared, area: Rect) -> bool {
        let lines = self.lines(area);
        self.list.settle(&shared.snapshot, lines)
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, shared: &Shared) {
        let mut title = self.list.title();
        if let Some(name) = &self.agent_name {
            title.push(span(format!(" of {name}"), Role::Title));
        }
        if let Some(context) = &self.list.source.context {
            title.push(span(format!(" of context {context}"), Role::Title));
        }
        let live: u32 = shared.snapshot.agents.iter().map(|(_, agent)| agent.counts.live).sum();
        let whole = self.list.source.agent.is_none() && self.list.source.context.is_none();
        let shown = format::count(self.list.rows.len());
        let first = if whole && self.list.state.look.filter.is_empty() && !self.list.state.look.faults {
            format!("{} live of {shown}", format::count(live as usize))
        } else {
            format!("{shown} of {}", format::count(shared.snapshot.attempts.len()))
        };
        canvas.rule(area, area.y, Joint::Top, &title, &list_facts(&self.list, shared, first));
        let (list, below) = self.parts(area);
        if self.list.rows.is_empty() {
            let filtered = !self.list.state.look.filter.is_empty() || self.list.state.look.faults;
            empty(
                canvas,
                shared,
                list,
                filtered,
                &[
                    "No tasks yet.",
                    &format!(
                        "{} sends one; tasks that others send appear by themselves where the agent lists its tasks.",
                        shared.key(Action::New)
                    ),
                ],
            );
        } else {
            self.list.draw(canvas, list, shared);
        }
        if let Some(below) = below {
            let whole = Rect { x: area.x, width: area.width, ..below };
            let attempt = self.list.target().and_then(|key| shared.snapshot.attempts.get(key));
            let title = attempt.and_then(|attempt| attempt.task.as_ref()).map(|task| task.id.short());
            let title: Vec<Span> = title.map(|id| span(id, Role::Title)).into_iter().collect();
            canvas.rule(whole, below.y, Joint::Middle, &title, &[]);
            if let Some(attempt) = attempt {
                let pane = Rect {
                    x: below.x + 1,
                    y: below.y + 1,
                    width: below.width.saturating_sub(2),
                    height: below.height - 1,
                };
                let lines = explain(canvas, shared, attempt, usize::from(pane.width));
                text::draw(canvas, pane, &lines, &text::TextState::default());
            }
        }
    }

    fn act(&mut self, action: Action, shared: &Shared, area: Rect) -> Option<Vec<Step>> {
        let lines = self.lines(area);
        if self.list.act(action, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Open => {
                let view = self.list.target().and_then(|key| View::attempt(shared, key));
                Some(view.map(|view| Step::Open(Box::new(view))).into_iter().collect())
            }
            Action::Back => self.list.clear_one().then(Vec::new),
            _ => None,
        }
    }

    fn keys(&self, _shared: &Shared) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Open, "open"),
            (Action::New, "new"),
            (Action::Answer, "answer"),
            (Action::Cancel, "cancel"),
            (Action::Again, "again"),
            (Action::Filter, "filter"),
            (Action::Faults, "faults"),
            (Action::EditCopy, "edit a copy"),
            (Action::GoTo, "go to"),
            (Action::Mark, "mark"),
            (Action::Copy, "copy"),
            (Action::Wide, "wide"),
        ]
    }

    fn list(&self) -> Option<&dyn List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut dyn List> {
        Some(&mut self.list)
    }

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).0
    }

    fn target(&self, shared: &Shared) -> Target {
        let attempt = self.list.target();
        let agent = attempt.and_then(|key| shared.snapshot.attempts.get(key)).map(|attempt| attempt.agent);
        Target { agent: agent.or(self.list.source.agent), attempt, problem: None }
    }

    fn unmark(&mut self) {
        self.list.state.marks.clear();
    }

    fn marked(&self, _shared: &Shared) -> Vec<AttemptKey> {
        self.list.state.marks.iter().copied().collect()
    }

    fn index(&mut self) -> Option<Work> {
        let order = self.list.work()?;
        Some(Work { source: self.list.source.clone(), order })
    }

    fn indexed(&mut self, order: &Order, rev: u64, rows: &mut Sorted<AttemptKey>) {
        self.list.built(order, rev, rows);
    }
}

/// A canvas of no cells, for words without a screen.
pub fn with_scratch<T>(shared: &Shared, draw: impl FnOnce(&Canvas<'_>) -> T) -> T {
    let mut buffer = ratatui::buffer::Buffer::empty(Rect::ZERO);
    draw(&Canvas::new(&mut buffer, &shared.theme, &shared.clocks, shared.now))
}

/// Says why a list is empty, and what to press.
pub fn empty(canvas: &mut Canvas<'_>, shared: &Shared, area: Rect, filtered: bool, why: &[&str]) {
    let clears = format!("{} clears it.", shared.key(Action::Back));
    let filtered_words = ["Nothing here passes the filter.", clears.as_str()];
    let why: &[&str] = if filtered { &filtered_words } else { why };
    let lines = why.iter().flat_map(|line| text::wrap(line, usize::from(area.width.saturating_sub(4))));
    let from = area.y + 1 + area.height.saturating_sub(4) / 3;
    for (y, line) in (from..area.bottom()).zip(lines) {
        canvas.put(area.x + 2, y, &line, Role::Doubt, area.width.saturating_sub(3));
    }
}
