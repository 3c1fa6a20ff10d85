//! The inbox: tasks that wait for an answer or a login, and messages that may not have arrived.

mod behind;
mod lately;

use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::fact::Owner;
use crate::domain::id::AttemptKey;
use crate::domain::job::message::{Content, Message, Role as Speaker};
use crate::domain::job::task::TaskState;
use crate::domain::job::{Attempt, Phase};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;
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
use crate::tui::views::inbox::behind::Relation;
use crate::tui::views::inbox::lately::GivenAnswer;
use crate::tui::views::listing::{List, Listing, Order, Rows, shows_list};
use crate::tui::views::{about, conversation};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::filter::{Filter, Filtered};
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Row, TableColumn, columns, fixed, flexible};
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
    match (attempt.decision(), attempt.task.as_ref().and_then(|task| task.note.as_ref())) {
        (Some(decision), _) => decision.into(),
        (None, Some(note)) => note.line().into_string(),
        (None, None) => "it does not say what it needs".into(),
    }
}

columns! {
    /// The columns of the inbox.
    pub enum WaitingColumn {
        Waits = fixed("WAITS", 'W', 7, 8).highest_first(),
        Wants = fixed("WANTS", 'N', 9, 6),
        Question = flexible("QUESTION", 'Q', 20, 9).prefers(40),
        Agent = flexible("AGENT", 'A', 10, 4),
        Job = flexible("JOB", 'J', 8, 2),
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
    /// The answers among them, as of so many reads.
    answers: Vec<GivenAnswer>,
    reads: u64,
    /// The tasks behind the selected question.
    behind: Vec<(AttemptKey, Relation)>,
    /// The question, the publication and the time that they were searched for.
    searched_behind: Option<(AttemptKey, u64, At)>,
}

/// Tasks behind a question are searched again after this time at the earliest, as that looks at every live task.
const ANEW: Duration = Duration::from_secs(1);

/// Where the parts of the view are.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    list: Rect,
    /// The conversation, with its title line.
    conversation: Option<Rect>,
    /// What is accepted, and what an answer does.
    foot: Option<Rect>,
    /// The tasks behind the question, with a title line.
    behind: Option<Rect>,
    /// The last answers, with a title line.
    lately: Option<Rect>,
}

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
            answers: Vec::new(),
            reads: 0,
            behind: Vec::new(),
            searched_behind: None,
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
        // Rows with their title line, where that much is free.
        let titled = |rows: usize, free: u16| match u16::try_from(rows).unwrap_or(u16::MAX) {
            rows if rows > 0 && free > 4 => (rows + 1).min(free),
            _ => 0,
        };
        if self.list.rows.is_empty() && self.list.state.settings.filter.is_empty() {
            let high = titled(self.answers.len(), inner.height.saturating_sub(8));
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
        let behind = titled(self.behind.len(), room.saturating_sub(8));
        let lately = titled(self.answers.len(), (room - behind).saturating_sub(10));
        let conversation = Rect { y: inner.y + list, height: room - behind - lately, ..inner };
        let after = conversation.bottom() + foot;
        Parts {
            list: Rect { height: list, ..inner },
            conversation: Some(conversation),
            foot: (foot > 0).then_some(Rect { y: conversation.bottom(), height: foot, ..inner }),
            behind: (behind > 0).then_some(Rect { y: after, height: behind, ..inner }),
            lately: (lately > 0).then_some(Rect { y: after + behind, height: lately, ..inner }),
        }
    }

    /// Finds the tasks behind the selected question; true if they are others than before.
    fn look_behind(&mut self, ctx: &Context) -> bool {
        let selected = self.selected(ctx).map(|(key, _)| key);
        let known = selected.zip(self.searched_behind).is_some_and(|(key, (of, rev, at))| {
            key == of && (rev == ctx.snapshot.rev || ctx.now.since(at) < ANEW)
        });
        if known {
            return false;
        }
        self.searched_behind = selected.map(|key| (key, ctx.snapshot.rev, ctx.now));
        let found = selected.map(|key| behind::behind(&ctx.snapshot, key)).unwrap_or_default();
        let differs = self.behind != found;
        self.behind = found;
        differs
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

    fn draw_conversation(
        &self,
        canvas: &mut Canvas<'_>,
        pane: Rect,
        area: Rect,
        ctx: &Context,
        attempt: &Attempt,
    ) {
        let agent = ctx.snapshot.agents.get(attempt.agent);
        let name = agent.map(|agent| agent.name.line().into_string()).unwrap_or_default();
        let whole = Rect { x: area.x, width: area.width, ..pane };
        let task =
            attempt.task.as_ref().map(|task| format!(", task {}", task.id.short())).unwrap_or_default();
        let role = if self.reading { Role::You } else { Role::Title };
        let words = match (attempt.decision(), &attempt.task) {
            (None, _) => format!("{name} asks{task}"),
            (Some(_), Some(_)) => format!("{name}{task}"),
            (Some(_), None) => format!("sent to {name}"),
        };
        let title = [span(words, role)];
        let since = attempt.since();
        let decides = attempt.decision().is_some();
        let asked = if since.found {
            format!("found {} ago", canvas.age(since.at))
        } else {
            format!("asked {}", ctx.clocks.second(since.at, ctx.now))
        };
        let facts = [span(if decides { String::new() } else { asked }, Role::Quiet)];
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

/// The accepted answers, as lines; without keys where this console answers nothing.
fn accepts(ctx: &Context, attempt: &Attempt, followed: Option<&FollowedJob>, width: usize) -> about::Lines {
    let plain = |words: String| vec![span(words, Role::Plain)];
    if attempt.decision().is_some() {
        let again = ctx.offers(Action::Again).then(|| format!("{}  ", ctx.key(Action::Again)));
        let key = || again.clone().unwrap_or_default();
        let by_key = |words: &str| vec![span(key(), Role::Key), span(words, Role::Plain)];
        return if attempt.task.is_none() {
            vec![
                by_key("send it again with the same message id: agents that check ids drop the duplicate"),
                by_key("or presume it lost: nothing is sent, the job ends"),
            ]
        } else {
            vec![
                by_key("presume it lost, and send it to another agent: the work may be done twice"),
                plain("or wait: once its agent answers, the task is read and goes on".into()),
            ]
        };
    }
    let (can_answer, key) = (ctx.offers(Action::Answer), ctx.key(Action::Answer));
    if attempt.task.as_ref().is_some_and(|task| task.state == TaskState::AuthRequired) {
        let then = if can_answer { format!(", then {key} confirms it") } else { String::new() };
        return vec![plain(format!("a login, out of band: sign in where it says{then}"))];
    }
    let mut lines = Vec::new();
    if uncertain_answer(attempt) {
        lines.push(vec![span(MAY_HAVE_ARRIVED, Role::Warn)]);
    }
    let opens = if can_answer { format!("{key} opens the answer") } else { String::new() };
    let question = followed.and_then(asked);
    let choices = question.map(choices).unwrap_or_default();
    if choices.is_empty() {
        lines.push(plain(if can_answer { format!("words: {opens}") } else { "words".into() }));
    } else {
        let mut line = plain(if can_answer { format!("{opens}:  ") } else { String::new() });
        for (at, choice) in choices.iter().enumerate() {
            if can_answer {
                line.push(span(format!("{} ", at + 1), Role::Key));
            }
            line.push(span(format!("{}   ", choice.label.shortened(30).line()), Role::Plain));
        }
        line.push(span(if can_answer { "w " } else { "" }, Role::Key));
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

/// What an answer does; nothing where this console answers nothing.
fn when_answered(ctx: &Context, attempt: &Attempt) -> about::Lines {
    let mut lines = Vec::new();
    let Some(task) =
        attempt.task.as_ref().filter(|_| attempt.decision().is_none() && ctx.offers(Action::Answer))
    else {
        return lines;
    };
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
        let read = std::mem::replace(&mut self.reads, self.facts.reads()) != self.facts.reads();
        if read {
            self.answers = lately::answers(self.facts.of(Owner::Fleet).unwrap_or_default(), &ctx.snapshot);
        }
        self.look_behind(ctx) || visible || news || read
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let count = self.list.rows.len();
        let word = if count == 1 { "needs you" } else { "need you" };
        let by_age = count > 1
            && self.list.state.settings.sort == WaitingColumn::Waits.number()
            && !self.list.state.settings.reversed;
        let order = if by_age { " · oldest first" } else { "" };
        let facts = self.list.facts(ctx, area, format!("{count} {word}{order}"));
        canvas.rule(area, area.y, Edge::Top, &self.list.title(), &facts);
        let Parts { list, conversation, foot, behind, lately } = self.parts(area);
        let mut head = |pane: Rect, title: &str| {
            let whole = Rect { x: area.x, width: area.width, ..pane };
            canvas.rule(whole, pane.y, Edge::Middle, &[span(title, Role::Title)], &[]);
            Rect { y: pane.y + 1, height: pane.height.saturating_sub(1), ..pane }
        };
        let behind = behind.map(|pane| head(pane, "who waits behind it"));
        let lately = lately.map(|pane| head(pane, "answered lately"));
        if let Some(pane) = behind {
            behind::draw(canvas, pane, &self.behind, ctx);
        }
        if let Some(pane) = lately {
            lately::draw(canvas, pane, &self.answers, ctx);
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
        if let Some(pane) = conversation {
            self.draw_conversation(canvas, pane, area, ctx, attempt);
        }
        if let Some(pane) = foot {
            let whole = Rect { x: area.x, width: area.width, ..pane };
            let decides = attempt.decision().is_some();
            let (accepted, quoted) = if decides {
                ("you decide", "")
            } else {
                ("it accepts", "its text is quoted, never executed")
            };
            let facts = [span(quoted, Role::Quiet)];
            let inner = Rect {
                x: pane.x + 1,
                y: pane.y + 1,
                width: pane.width.saturating_sub(2),
                height: pane.height - 1,
            };
            let after = when_answered(ctx, attempt);
            let wide = inner.width >= 90 && !after.is_empty();
            let left = if wide { inner.width / 2 } else { inner.width };
            let accepts_rule =
                if wide { Rect { width: inner.x + left + 1 - area.x, ..whole } } else { whole };
            canvas.rule(accepts_rule, pane.y, Edge::Middle, &[span(accepted, Role::Title)], &facts);
            let lines = accepts(ctx, attempt, self.selected_job(ctx), usize::from(left));
            text::draw(canvas, Rect { width: left, ..inner }, &lines, &TextState::default());
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
            _ => None,
        }
    }

    fn keys(&self, ctx: &Context) -> Vec<(Action, &'static str)> {
        let decision = self.selected(ctx).is_some_and(|(_, attempt)| attempt.decision().is_some());
        let first = if decision { (Action::Again, "decide") } else { (Action::Answer, "answer") };
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

    shows_list!(list);

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).list
    }

    fn target(&self, ctx: &Context) -> Target {
        match self.selected(ctx) {
            Some((key, attempt)) => {
                Target { agent: Some(attempt.agent), attempt: Some(key), problem: None, trace: None }
            }
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
