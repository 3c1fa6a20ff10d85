//! The inbox: tasks that wait for an answer or a login, and messages that may not have arrived.

use ratatui::layout::Rect;

use crate::domain::fact::{Act, Fact, FleetFact, JournalEntry, Owner};
use crate::domain::id::{AgentId, AttemptId, AttemptKey};
use crate::domain::job::message::{Content, Message, Role as Speaker};
use crate::domain::job::task::TaskState;
use crate::domain::job::{Attempt, Phase};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::engine::Answer as Reply;
use crate::protocol::question::choices;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::fact_cache::{FLEET_FACTS, FactCache};
use crate::tui::followed_job::FollowedJob;
use crate::tui::queries::{Ask, Subscription};
use crate::tui::saved_view::ListKind;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::listing::{List, Listing, Order, Rows};
use crate::tui::views::{about, conversation};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::filter::{Filter, Filtered};
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Row, TableColumn, columns, fixed, share};
use crate::tui::widgets::text;
use crate::tui::widgets::text::TextState;
use crate::tui::{command, states};

/// Attempts that need a person.
#[derive(Clone, Debug)]
pub struct WaitingRows;

struct FilterRow<'s>(&'s Snapshot, &'s Attempt);

impl Filtered for FilterRow<'_> {
    fn words(&self) -> Vec<String> {
        ["wants", "question", "agent", "job"].iter().filter_map(|key| self.value(key)).collect()
    }

    fn value(&self, key: &str) -> Option<String> {
        let Self(snapshot, attempt) = self;
        match key {
            "wants" => Some(attempt.wants().to_owned()),
            "question" => Some(question(attempt)),
            "agent" => snapshot.agents.get(attempt.agent).map(|agent| agent.name.line().into_string()),
            "job" => snapshot.job_of(attempt).map(|job| job.title.line().into_string()),
            _ => None,
        }
    }
}

/// The question in a line.
fn question(attempt: &Attempt) -> String {
    match &attempt.task {
        Some(task) => match &task.note {
            Some(note) => note.line().into_string(),
            None => "it does not say what it needs".into(),
        },
        None => "did it arrive? Send it again with the same id, or presume it lost".into(),
    }
}

columns! {
    /// The columns of the inbox.
    pub enum WaitingColumn {
        Waits = fixed("WAITS", 'W', 7, 8).highest_first(),
        Wants = fixed("WANTS", 'N', 9, 6),
        Question = share("QUESTION", 'Q', 20, 6, 9).prefers(40),
        Agent = share("AGENT", 'A', 10, 2, 4),
        Job = share("JOB", 'J', 8, 3, 2),
    }
}

impl Rows for WaitingRows {
    type Key = AttemptKey;

    const KIND: ListKind = ListKind::Inbox;

    type Column = WaitingColumn;

    fn keys<'s>(&'s self, snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = AttemptKey> + 's> {
        Box::new(snapshot.inbox().into_iter())
    }

    fn changed(&self, _snapshot: &Snapshot, changed: Changed, rows: &mut Vec<AttemptKey>) {
        if let Changed::Attempt(key) = changed {
            rows.push(key);
        }
    }

    fn shows(&self, snapshot: &Snapshot, key: AttemptKey, order: &Order) -> bool {
        let attempt = snapshot.attempts.get(key);
        attempt
            .is_some_and(|attempt| attempt.needs_you() && order.filter.passes(&FilterRow(snapshot, attempt)))
    }

    fn sort_key(&self, snapshot: &Snapshot, key: AttemptKey, by: WaitingColumn) -> SortKey {
        let Some(attempt) = snapshot.attempts.get(key) else { return SortKey::Number(0) };
        let seen = FilterRow(snapshot, attempt);
        let text = |key: &str| SortKey::Text(seen.value(key).unwrap_or_default().to_lowercase().into());
        match by {
            WaitingColumn::Wants => text("wants"),
            WaitingColumn::Question => text("question"),
            WaitingColumn::Agent => text("agent"),
            WaitingColumn::Job => text("job"),
            // The column shows the waiting time.
            WaitingColumn::Waits => SortKey::Pair(-attempt.since().at.micros(), -i64::from(key.0)),
        }
    }

    fn row(&self, canvas: &Canvas<'_>, ctx: &Context, key: AttemptKey) -> Row {
        let Some(attempt) = ctx.snapshot.attempts.get(key) else { return Row::blank() };
        let label = states::attempt(attempt, ctx.glyphs());
        let seen = FilterRow(&ctx.snapshot, attempt);
        let plain = |key: &str| span(seen.value(key).unwrap_or_default(), Role::Plain);
        Row {
            mark: span(label.mark, Role::You),
            cells: WaitingColumn::cells(|column| match column {
                WaitingColumn::Waits => span(canvas.age(attempt.since().at), Role::You),
                WaitingColumn::Wants => plain("wants"),
                WaitingColumn::Question => plain("question"),
                WaitingColumn::Agent => plain("agent"),
                WaitingColumn::Job => plain("job"),
            }),
            marked: false,
        }
    }
}

/// The question itself, from the conversation: the last message of the agent.
pub fn asked(job: &FollowedJob) -> Option<&Message> {
    let entries = job.detail.messages.iter().rev();
    entries.map(|entry| &*entry.message).find(|message| message.role == Speaker::Agent)
}

/// The view.
#[derive(Debug)]
pub struct InboxView {
    list: Listing<WaitingRows>,
    /// The job of the selected row.
    followed: FollowedJob,
    conversation: TextState,
    /// The conversation is scrolled, not the list.
    reading: bool,
    seen: Option<(AttemptKey, u64)>,
    /// Facts of the whole fleet, among them the answers that were given.
    facts: FactCache,
    /// How many of those reads are shown.
    reads: u64,
}

/// Where the parts of the view are.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    list: Rect,
    /// The conversation, with its title line.
    conversation: Option<Rect>,
    /// What is accepted, and what an answer does.
    foot: Option<Rect>,
    /// The last answers.
    lately: Option<Rect>,
}

/// The newest attempts among which that of an answer is searched, each time it is drawn.
const SEARCHED: usize = 2000;
/// The most answers that are shown.
const LATELY: u16 = 8;

impl InboxView {
    /// The inbox, oldest first.
    pub fn new() -> Self {
        Self {
            list: Listing::new(WaitingRows, WaitingColumn::Waits),
            followed: FollowedJob::default(),
            conversation: TextState::following(),
            reading: false,
            seen: None,
            facts: FactCache::default(),
            reads: 0,
        }
    }

    fn selected<'s>(&self, ctx: &'s Context) -> Option<(AttemptKey, &'s Attempt)> {
        let key = self.list.target()?;
        Some((key, ctx.snapshot.attempts.get(key)?))
    }

    fn selected_job(&self, ctx: &Context) -> Option<&FollowedJob> {
        let (_, attempt) = self.selected(ctx)?;
        self.followed.of(ctx.snapshot.job_of(attempt)?.id)
    }

    fn parts(&self, area: Rect) -> Parts {
        let inner = inside(area);
        let answers = u16::try_from(self.answers().take(usize::from(LATELY)).count()).unwrap_or(LATELY);
        // The answers with their title line, where that much is free.
        let lately = |free: u16| if answers > 0 && free > 4 { (answers + 1).min(free) } else { 0 };
        if self.list.rows.is_empty() && self.list.state.settings.filter.is_empty() {
            let high = lately(inner.height.saturating_sub(8));
            let list = Rect { height: inner.height - high, ..inner };
            let lately = (high > 0).then_some(Rect { y: list.bottom(), height: high, ..inner });
            return Parts { list, lately, ..Parts::default() };
        }
        if !self.list.state.details || inner.height < 12 || self.list.rows.is_empty() {
            return Parts { list: inner, ..Parts::default() };
        }
        let rows = u16::try_from(self.list.rows.len()).unwrap_or(u16::MAX).saturating_add(1);
        let list = rows.clamp(4, (inner.height / 3).max(4));
        let foot = if inner.height >= 20 { 6 } else { 0 };
        let room = inner.height - list - foot;
        let high = lately(room.saturating_sub(10));
        let conversation = Rect { y: inner.y + list, height: room - high, ..inner };
        let after = conversation.bottom();
        Parts {
            list: Rect { height: list, ..inner },
            conversation: Some(conversation),
            foot: (foot > 0).then_some(Rect { y: after, height: foot, ..inner }),
            lately: (high > 0).then_some(Rect { y: after + foot, height: high, ..inner }),
        }
    }

    /// The answers that were given, newest first.
    fn answers(&self) -> impl Iterator<Item = (&JournalEntry, AttemptId, AgentId)> {
        let facts = self.facts.of(Owner::Fleet).unwrap_or_default().iter().rev();
        facts.filter_map(|entry| match &entry.fact {
            Fact::Fleet(FleetFact::Acted { act: Act::Answer, attempt: (_, attempt), agent }) => {
                Some((entry, *attempt, *agent))
            }
            _ => None,
        })
    }

    /// Draws the last answers: when, to which job of whom, by whom, and how the task is now.
    fn draw_lately(&self, canvas: &mut Canvas<'_>, area: Rect, pane: Rect, ctx: &Context) {
        let whole = Rect { x: area.x, width: area.width, ..pane };
        canvas.rule(whole, pane.y, Edge::Middle, &[span("answered lately", Role::Title)], &[]);
        let snapshot = &ctx.snapshot;
        for (y, (entry, attempt, agent)) in (pane.y + 1..pane.bottom()).zip(self.answers()) {
            let mut newest = snapshot.attempts.iter().rev().take(SEARCHED).map(|(_, row)| row);
            let row = newest.find(|row| row.id == attempt);
            let label = row.map(|row| states::attempt(row, ctx.glyphs()));
            let job = row.and_then(|row| snapshot.job_of(row)).map(|job| job.title.line().into_string());
            let name = snapshot.agents.iter().find(|(_, row)| row.id == agent).map(|(_, row)| &row.name);
            let name =
                name.map_or_else(|| "an agent that was removed".to_owned(), |name| name.line().fit(24));
            let mut line = vec![span(format!("{}  ", ctx.clocks.second(entry.at, ctx.now)), Role::Quiet)];
            line.push(match &label {
                Some(label) => span(format!("{} {:<18}", label.mark, label.word), label.role),
                None => span(format!("{:<20}", "no longer kept"), Role::Doubt),
            });
            line.push(span(format!("{name:<16}"), Role::Plain));
            line.push(span(format!("answered by {}  ", entry.actor_name().line()), Role::Plain));
            line.push(span(job.unwrap_or_default(), Role::Quiet));
            canvas.put_spans(pane.x + 1, y, &line, pane.width.saturating_sub(2));
        }
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(self.parts(area).list.height.saturating_sub(1))
    }

    /// Scrolls the conversation, once `tab` has gone there.
    fn read(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let pane = self.parts(area).conversation?;
        match action {
            Action::NextPane | Action::PrevPane => self.reading = !self.reading,
            Action::Back if self.reading && self.conversation.search.is_empty() => self.reading = false,
            _ if self.reading => {
                let width = usize::from(pane.width.saturating_sub(2));
                let lines = self.conversation_lines(ctx, width);
                return self.conversation.act(action, &lines, usize::from(pane.height - 1)).then(Vec::new);
            }
            _ => return None,
        }
        Some(Vec::new())
    }

    fn conversation_lines(&self, ctx: &Context, width: usize) -> Vec<Vec<Span>> {
        let Some((_, attempt)) = self.selected(ctx) else { return Vec::new() };
        match self.selected_job(ctx) {
            Some(job) => conversation::messages(ctx, ctx.snapshot.job_of(attempt), job, width),
            None => vec![vec![span("reading", Role::Doubt)]],
        }
    }
}

impl Default for InboxView {
    fn default() -> Self {
        Self::new()
    }
}

/// Shown with a question whose last answer is unconfirmed.
pub const MAY_HAVE_ARRIVED: &str = "the last answer may have arrived; this is another";

/// True if an answer was sent and may not have arrived.
pub fn uncertain_answer(attempt: &Attempt) -> bool {
    attempt.answer.as_ref().is_some_and(|answer| answer.phase == Phase::Uncertain)
}

/// The accepted answers, as lines.
fn accepts(ctx: &Context, attempt: &Attempt, followed: Option<&FollowedJob>, width: usize) -> about::Lines {
    if attempt.task.is_none() {
        return vec![
            vec![
                span(ctx.key(Action::Again), Role::Key),
                span(
                    "  send it again with the same message id: agents that check ids drop the duplicate",
                    Role::Plain,
                ),
            ],
            vec![
                span(ctx.key(Action::Again), Role::Key),
                span("  or presume it lost: nothing is sent, the job ends", Role::Plain),
            ],
        ];
    }
    let answer = ctx.key(Action::Answer);
    if attempt.task.as_ref().is_some_and(|task| task.state == TaskState::AuthRequired) {
        return vec![vec![span(
            format!("a login, out of band: sign in where it says, then {answer} confirms it"),
            Role::Plain,
        )]];
    }
    let mut lines = Vec::new();
    if uncertain_answer(attempt) {
        lines.push(vec![span(MAY_HAVE_ARRIVED, Role::Warn)]);
    }
    let question = followed.and_then(asked);
    let choices = question.map(choices).unwrap_or_default();
    if choices.is_empty() {
        lines.push(vec![span(format!("words: {answer} opens the answer"), Role::Plain)]);
    } else {
        let mut line = vec![span(format!("{answer} opens the answer:  "), Role::Plain)];
        for (at, choice) in choices.iter().enumerate() {
            line.push(span(format!("{} ", at + 1), Role::Key));
            line.push(span(format!("{}   ", choice.label.shortened(30).line()), Role::Plain));
        }
        line.push(span("w ", Role::Key));
        line.push(span("in words", Role::Plain));
        lines.push(line);
    }
    for part in question.map(|message| message.parts.as_slice()).unwrap_or_default() {
        if let Content::Data(json) = &part.content {
            lines.extend(about::wrapped("", &json.0.line(), Role::Doubt, width).into_iter().take(2));
        }
    }
    lines
}

fn when_answered(ctx: &Context, attempt: &Attempt) -> about::Lines {
    let mut lines = Vec::new();
    let Some(task) = &attempt.task else { return lines };
    lines.push(vec![span("continues the same task, in the same context", Role::Plain)]);
    lines.push(vec![span(format!("sent as {}", ctx.info.operator), Role::Plain)]);
    let agent = ctx.snapshot.agents.get(attempt.agent).map(command::reference).unwrap_or_default();
    let copy = ctx.key(Action::Copy);
    let text = format!("{copy} a copies: quarterdeck send -a {agent} --task-id {} …", task.id.short());
    lines.push(vec![span(text, Role::Quiet)]);
    lines
}

impl Screen for InboxView {
    fn word(&self) -> &'static str {
        "inbox"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let lines = self.lines(area);
        let visible = self.list.refresh(&ctx.snapshot, lines);
        let seq = self.selected_job(ctx).map_or(0, |job| job.seq);
        let seen = self.list.target().map(|key| (key, seq));
        let news = seen != self.seen;
        if seen.map(|(key, _)| key) != self.seen.map(|(key, _)| key) {
            self.conversation = TextState::following();
            self.reading = false;
        }
        self.seen = seen;
        let news = news || std::mem::replace(&mut self.reads, self.facts.reads()) != self.facts.reads();
        visible || news
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let count = self.list.rows.len();
        let word = if count == 1 { "needs you" } else { "need you" };
        let by_age = count > 1
            && self.list.state.settings.sort == WaitingColumn::Waits.number()
            && !self.list.state.settings.reversed;
        let order = if by_age { " · oldest first" } else { "" };
        let facts = self.list.facts(ctx, format!("{count} {word}{order}"));
        canvas.rule(area, area.y, Edge::Top, &self.list.title(), &facts);
        let Parts { list, conversation, foot, lately } = self.parts(area);
        if let Some(pane) = lately {
            self.draw_lately(canvas, area, pane, ctx);
        }
        if self.list.rows.is_empty() {
            return empty(
                canvas,
                ctx,
                list,
                !self.list.state.settings.filter.is_empty(),
                &[
                    "Nothing needs you.",
                    "Agents' questions, and messages that may not have arrived, appear here automatically.",
                ],
            );
        }
        self.list.draw(canvas, list, ctx);
        let Some((_, attempt)) = self.selected(ctx) else { return };
        let agent = ctx.snapshot.agents.get(attempt.agent);
        let name = agent.map(|agent| agent.name.line().into_string()).unwrap_or_default();
        if let Some(pane) = conversation {
            let whole = Rect { x: area.x, width: area.width, ..pane };
            let task =
                attempt.task.as_ref().map(|task| format!(", task {}", task.id.short())).unwrap_or_default();
            let role = if self.reading { Role::You } else { Role::Title };
            let title = [span(format!("{name} asks{task}"), role)];
            let since = attempt.since();
            let asked = if since.found {
                format!("found {} ago", canvas.age(since.at))
            } else {
                format!("asked {}", ctx.clocks.second(since.at, ctx.now))
            };
            let facts = [span(asked, Role::Quiet)];
            canvas.rule(whole, pane.y, Edge::Middle, &title, &facts);
            let inner = Rect {
                x: pane.x + 1,
                y: pane.y + 1,
                width: pane.width.saturating_sub(2),
                height: pane.height - 1,
            };
            let lines = self.conversation_lines(ctx, usize::from(inner.width));
            text::draw(canvas, inner, &lines, &self.conversation);
        }
        if let Some(pane) = foot {
            let whole = Rect { x: area.x, width: area.width, ..pane };
            let facts = [span("its text is quoted, never executed", Role::Quiet)];
            let inner = Rect {
                x: pane.x + 1,
                y: pane.y + 1,
                width: pane.width.saturating_sub(2),
                height: pane.height - 1,
            };
            let wide = inner.width >= 90 && attempt.task.is_some();
            let left = if wide { inner.width / 2 } else { inner.width };
            let accepts_rule =
                if wide { Rect { width: inner.x + left + 1 - area.x, ..whole } } else { whole };
            canvas.rule(accepts_rule, pane.y, Edge::Middle, &[span("it accepts", Role::Title)], &facts);
            let lines = accepts(ctx, attempt, self.selected_job(ctx), usize::from(left));
            text::draw(canvas, Rect { width: left, ..inner }, &lines, &TextState::default());
            let after = when_answered(ctx, attempt);
            if wide {
                let x = inner.x + left;
                canvas.rule(
                    Rect { x, width: area.right() - x, ..whole },
                    pane.y,
                    Edge::Middle,
                    &[span("when you answer", Role::Title)],
                    &[],
                );
                canvas.divider(x, pane.y, pane.bottom());
                let right = Rect { x: x + 2, width: inner.right() - x - 2, ..inner };
                text::draw(canvas, right, &after, &TextState::default());
            } else {
                let used = u16::try_from(lines.len()).unwrap_or(inner.height).min(inner.height);
                let rest = Rect { y: inner.y + used, height: inner.height - used, ..inner };
                text::draw(canvas, rest, &after, &TextState::default());
            }
        }
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let lines = self.lines(area);
        if action == Action::Faults {
            return None;
        }
        if let Some(steps) = self.read(action, ctx, area) {
            return Some(steps);
        }
        if self.list.act(action, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Open => {
                let page = self.list.target().and_then(|key| Destination::attempt(ctx, key));
                Some(page.map(|page| Step::Open(Box::new(page))).into_iter().collect())
            }
            Action::Back => self.list.clear_one().then(Vec::new),
            _ => None,
        }
    }

    fn keys(&self, ctx: &Context) -> Vec<(Action, &'static str)> {
        let decision = self.selected(ctx).is_some_and(|(_, attempt)| attempt.task.is_none());
        let first = if decision { (Action::Again, "again, or lost") } else { (Action::Answer, "answer") };
        vec![
            first,
            (Action::Open, "task"),
            (Action::NextPane, if self.reading { "list" } else { "read" }),
            (Action::Cancel, "cancel"),
            (Action::GoTo, "go to"),
            (Action::Filter, "filter"),
            (Action::Mark, "mark"),
            (Action::Copy, "copy"),
        ]
    }

    fn list(&self) -> Option<&dyn List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut dyn List> {
        Some(&mut self.list)
    }

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).list
    }

    fn target(&self, ctx: &Context) -> Target {
        match self.selected(ctx) {
            Some((key, attempt)) => Target { agent: Some(attempt.agent), attempt: Some(key), problem: None },
            None => Target::default(),
        }
    }

    fn in_text(&self) -> bool {
        self.reading
    }

    fn searched(&self) -> String {
        if self.reading {
            return self.conversation.search.clone();
        }
        self.list.state.settings.filter.text().to_owned()
    }

    fn search(&mut self, text: &str, ctx: &Context, area: Rect) -> Option<usize> {
        let (true, Some(pane)) = (self.reading, self.parts(area).conversation) else {
            self.list.state.settings.filter = Filter::parse(text);
            return None;
        };
        let lines = self.conversation_lines(ctx, usize::from(pane.width.saturating_sub(2)));
        Some(self.conversation.look_for(text, &lines, usize::from(pane.height.saturating_sub(1))))
    }

    fn unmark(&mut self) {
        self.list.state.marks.clear();
    }

    fn marked(&self, _ctx: &Context) -> Vec<AttemptKey> {
        self.list.state.marks.iter().copied().collect()
    }

    fn queries(&self, ctx: &Context) -> Vec<Subscription> {
        let job = self.selected(ctx).and_then(|(_, attempt)| ctx.snapshot.job_of(attempt));
        let facts = FactCache::query("fleet facts", Owner::Fleet, ctx.snapshot.fleet_seq, FLEET_FACTS);
        job.map(|job| Subscription::Job(job.id)).into_iter().chain([facts]).collect()
    }

    fn on_answer(&mut self, ask: &Ask, answer: Reply) {
        self.facts.take(ask, answer);
    }

    fn followed(&self) -> Option<&FollowedJob> {
        Some(&self.followed)
    }

    fn followed_mut(&mut self) -> Option<&mut FollowedJob> {
        Some(&mut self.followed)
    }
}
