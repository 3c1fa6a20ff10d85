//! The frames that were sent and received, with secrets redacted.

use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::id::{AgentKey, AttemptKey, TaskId};
use crate::domain::job::Attempt;
use crate::domain::job::task::TaskState;
use crate::domain::state::snapshot::Snapshot;
use crate::engine::{Answer, Query};
use crate::net::tap::{Frame, Kind, Label, Tap};
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::format;
use crate::tui::queries::{Ask, Refresh, Subscription};
use crate::tui::saved_view::{ListKind, ListSettings};
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::listing::List;
use crate::tui::views::raw;
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::filter::{Filter, Filtered};
use crate::tui::widgets::list::ListState;
use crate::tui::widgets::sorted::{SortKey, Sorted};
use crate::tui::widgets::table::{self, Column, Cursor, Row, Shown, TableColumn, columns, fixed, flexible};
use crate::tui::widgets::text;
use crate::tui::widgets::text::TextState;

/// Identifies a frame.
type Key = (AgentKey, u64);

/// The interval between two reads while the view is shown.
const EVERY: Duration = Duration::from_millis(500);

/// The newest attempts among which that of a frame is searched.
const SEARCHED: usize = 20_000;

columns! {
    /// The columns of the frames.
    pub enum FrameColumn {
        Time = fixed("TIME", 'T', 12, 8).highest_first(),
        Agent = flexible("AGENT", 'A', 10, 7),
        Call = fixed("CALL", 'C', 5, 4).right().highest_first(),
        Frame = flexible("FRAME", 'F', 24, 9),
        Size = fixed("SIZE", 'S', 7, 5).right().highest_first(),
    }
}

struct FilterRow<'s>(&'s Context, AgentKey, &'s Frame);

impl Filtered for FilterRow<'_> {
    fn words(&self) -> Vec<String> {
        let frame = self.2;
        let task = frame.task.as_ref().map(|task| task.text().line().into_string());
        let words = [said(frame), agent_name(self.0, self.1), frame.method.name().to_owned()];
        let texts = [&frame.head, &frame.text].map(|text| text.line().into_string());
        words.into_iter().chain(texts).chain(task).collect()
    }

    fn value(&self, key: &str) -> Option<String> {
        match key {
            "agent" => Some(agent_name(self.0, self.1)),
            "call" => Some(self.2.call.to_string()),
            // `SendMessage` finds its streaming form too.
            "method" => match self.2.method.name() {
                streams @ "SendStreamingMessage" => Some(format!("{streams} SendMessage")),
                name => Some(name.to_owned()),
            },
            "task" => self.2.task.as_ref().map(|task| task.text().line().into_string()),
            "frame" => Some(said(self.2)),
            "kind" => Some(word(self.2.kind).to_owned()),
            _ => None,
        }
    }
}

fn agent_name(ctx: &Context, key: AgentKey) -> String {
    if Tap::is_webhook(key) {
        return "the webhook".into();
    }
    if Tap::is_source(key) {
        return "a source".into();
    }
    ctx.snapshot.agents.get(key).map(|agent| agent.name.line().into_string()).unwrap_or_default()
}

/// `the last 5 frames`
fn last_frames(count: usize) -> String {
    match count {
        0 => "no frame".to_owned(),
        1 => "the last frame".to_owned(),
        count => format!("the last {count} frames"),
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Request => "request",
        Kind::Response => "response",
        Kind::Event => "event",
        Kind::End => "end",
    }
}

/// The view.
#[derive(Debug)]
pub struct WireView {
    agent: Option<AgentKey>,
    /// How many frames there ever were, and the newest of them, oldest first.
    count: u64,
    frames: Vec<(AgentKey, Frame)>,
    rows: Sorted<Key>,
    state: ListState<Key>,
    /// The count when it was drawn last.
    seen: u64,
    /// The inputs that `rows` was built from.
    built: Option<(u64, Filter, usize, bool, bool)>,
    /// True if all rows are of one agent by choice.
    one_agent: bool,
}

impl WireView {
    /// The frames of one agent or of all.
    pub fn new(agent: Option<AgentKey>) -> Self {
        Self {
            agent,
            count: 0,
            frames: Vec::new(),
            rows: Sorted::default(),
            state: ListState::new(FrameColumn::Time.number()),
            seen: 0,
            built: None,
            one_agent: agent.is_some(),
        }
    }

    fn frame(&self, key: Key) -> Option<&Frame> {
        let frames = self.frames.iter();
        frames.rev().find(|(agent, frame)| (*agent, frame.number) == key).map(|(_, frame)| frame)
    }

    fn target_frame(&self) -> Option<(AgentKey, &Frame)> {
        let key = self.state.target(&self.rows)?;
        Some((key.0, self.frame(key)?))
    }

    fn parts(&self, area: Rect) -> (Rect, Option<Rect>) {
        let inner = inside(area);
        if !self.state.details || inner.height < 14 {
            return (inner, None);
        }
        let below = inner.height / 2;
        let list = Rect { height: inner.height - below, ..inner };
        (list, Some(Rect { y: list.bottom(), height: below, ..inner }))
    }

    /// The columns that are drawn: rows of one agent need not repeat its name.
    fn visible(&self, ctx: &Context, cursor: Cursor) -> Shown {
        let mut shown = self.shown(ctx, cursor);
        if self.one_agent {
            shown.columns.retain(|at| *at != FrameColumn::Agent.number());
        }
        shown
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(self.parts(area).0.height.saturating_sub(1))
    }

    fn row(ctx: &Context, agent: AgentKey, frame: &Frame) -> Row {
        let role = role(frame);
        let mark = if is_fault(frame) { ctx.glyphs().failed } else { frame.kind.arrow() };
        Row {
            mark: span(mark, role),
            cells: FrameColumn::cells(|column| match column {
                FrameColumn::Time => span(ctx.clocks.precise(frame.at), Role::Quiet),
                FrameColumn::Agent => span(agent_name(ctx, agent), role),
                FrameColumn::Call => span(frame.call.to_string(), Role::Quiet),
                FrameColumn::Frame => span(said(frame), role),
                FrameColumn::Size => span(format::bytes(frame.bytes as u64), Role::Quiet),
            }),
            marked: false,
        }
    }

    fn drawn(&self, ctx: &Context, window: &[Key]) -> Vec<Row> {
        // The frames are in order of time, and so are the rows: one walk finds them all.
        let wanted: std::collections::BTreeSet<Key> = window.iter().copied().collect();
        let mut found = std::collections::BTreeMap::new();
        for (agent, frame) in self.frames.iter().rev() {
            let key = (*agent, frame.number);
            if wanted.contains(&key) {
                found.insert(key, Self::row(ctx, *agent, frame));
                if found.len() == wanted.len() {
                    break;
                }
            }
        }
        window.iter().filter_map(|key| found.remove(key)).collect()
    }
}

/// The newest attempt with this task of an agent.
fn attempt_of(ctx: &Context, agent: AgentKey, task: &TaskId) -> Option<AttemptKey> {
    let mut newest = ctx.snapshot.attempts.iter().rev().take(SEARCHED);
    let is_it = |attempt: &Attempt| attempt.task.as_ref().is_some_and(|known| known.id == *task);
    newest.find(|(_, attempt)| attempt.agent == agent && is_it(attempt)).map(|(key, _)| key)
}

/// Whose frame it is, of which call, and its kind.
fn name_of(ctx: &Context, agent: AgentKey, frame: &Frame) -> String {
    format!("{} {} {}", agent_name(ctx, agent), asked(frame), word(frame.kind))
}

/// What a frame says, in one line: its label, or what there is without one.
fn said(frame: &Frame) -> String {
    let head = frame.head.line();
    match (frame.kind, frame.label.words()) {
        (Kind::Request, _) => asked(frame),
        (Kind::Response, Some(words)) => format!("{words}, {head}"),
        (Kind::Event, Some(words)) => words,
        (Kind::Event, None) => frame.text.shortened(400).line().into_string(),
        (Kind::Response | Kind::End, _) => head.into_string(),
    }
}

/// What the call of a frame asks for: `GetTask 2fbf`.
fn asked(frame: &Frame) -> String {
    let task = frame.task.as_ref().map(|task| format!(" {}", task.short())).unwrap_or_default();
    format!("{}{task}", frame.method.name())
}

fn is_fault(frame: &Frame) -> bool {
    matches!(&frame.label, Label::Failed(fault) if !fault.expected)
}

fn role(frame: &Frame) -> Role {
    match &frame.label {
        Label::Failed(fault) if !fault.expected => return Role::Bad,
        Label::Task(TaskState::Failed | TaskState::Rejected)
        | Label::Status(TaskState::Failed | TaskState::Rejected) => return Role::Bad,
        Label::Task(state) | Label::Status(state) if state.is_interrupted() => return Role::You,
        _ => {}
    }
    match frame.kind {
        Kind::Request => Role::Key,
        Kind::Response => Role::Plain,
        Kind::Event => Role::Doubt,
        Kind::End => Role::Quiet,
    }
}

/// A frame in full: what it says, its head, then its text, JSON over several lines.
fn whole(frame: &Frame) -> Vec<Vec<Span>> {
    let head = frame.head.line();
    let mut lines = Vec::new();
    if let Some(words) = frame.label.words().filter(|words| !head.contains(words.as_str())) {
        lines.push(vec![span(words, role(frame))]);
    }
    if !head.is_empty() {
        lines.push(vec![span(head.into_string(), Role::Title)]);
    }
    // Headers and body are apart by an empty line.
    let block = frame.text.block();
    match block.split_once("\n\n") {
        Some((headers, _)) if frame.kind != Kind::Event => {
            lines.extend(headers.lines().map(|line| vec![span(line, Role::Key)]));
            lines.push(Vec::new());
            lines.extend(raw::pretty(&frame.text.after_blank_line()));
        }
        _ => lines.extend(raw::pretty(&frame.text)),
    }
    if frame.text.len() < frame.bytes {
        let text = format!(
            "shown: {} of {}",
            format::bytes(frame.text.len() as u64),
            format::bytes(frame.bytes as u64)
        );
        lines.push(vec![span(text, Role::Doubt)]);
    }
    lines
}

impl List for WireView {
    fn kind(&self) -> ListKind {
        ListKind::Wire
    }

    fn settings(&self) -> &ListSettings {
        &self.state.settings
    }

    fn settings_mut(&mut self) -> &mut ListSettings {
        &mut self.state.settings
    }

    fn columns(&self) -> &'static [Column] {
        FrameColumn::COLUMNS
    }

    fn count(&self) -> usize {
        self.rows.len()
    }

    fn as_filter(&self, snapshot: &Snapshot) -> String {
        let agent = self.agent.and_then(|key| snapshot.agents.get(key)).map(|agent| agent.name.line());
        let word = agent.as_ref().and_then(|name| name.split_whitespace().next());
        word.map(|name| format!("agent={name}")).unwrap_or_default()
    }

    fn stick(&mut self) {
        self.state.stick(&self.rows);
    }

    fn click_line(&mut self, line: usize) -> bool {
        self.state.click(line)
    }

    fn table(&self, ctx: &Context) -> Vec<Vec<String>> {
        let shown = self.visible(ctx, Cursor::None).columns;
        let head = shown.iter().map(|at| FrameColumn::COLUMNS[*at].name.to_owned()).collect();
        let rows: Vec<Key> = self.rows.iter().collect();
        let rows = self.drawn(ctx, &rows);
        let cells = rows.into_iter().map(|row| shown.iter().map(|at| row.cells[*at].text.clone()).collect());
        std::iter::once(head).chain(cells).collect()
    }
}

impl Screen for WireView {
    fn word(&self) -> &'static str {
        "wire"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let settings = &self.state.settings;
        let wanted = (self.count, settings.filter.clone(), settings.sort, settings.reversed, settings.faults);
        let mut visible = false;
        if self.built.as_ref() != Some(&wanted) {
            let by = FrameColumn::at(settings.sort);
            let order = |agent: AgentKey, frame: &Frame| match by {
                FrameColumn::Time => {
                    SortKey::Pair(frame.at.micros(), i64::try_from(frame.number).unwrap_or(0))
                }
                FrameColumn::Agent => SortKey::Text(agent_name(ctx, agent).into()),
                FrameColumn::Call => SortKey::Number(i64::try_from(frame.call).unwrap_or(0)),
                FrameColumn::Frame => SortKey::Text(said(frame).into()),
                FrameColumn::Size => SortKey::Number(i64::try_from(frame.bytes).unwrap_or(0)),
            };
            let passing = self
                .frames
                .iter()
                .filter(|(_, frame)| !settings.faults || is_fault(frame))
                .filter(|(agent, frame)| settings.filter.passes(&FilterRow(ctx, *agent, frame)))
                .map(|(agent, frame)| (order(*agent, frame), (*agent, frame.number)));
            let (before, asks) = (self.rows.len(), settings.filter.asks_for("agent"));
            let rows =
                Sorted::build(passing, FrameColumn::COLUMNS[by.number()].highest_first != settings.reversed);
            let new: Vec<Key> = rows.iter().filter(|key| !self.rows.contains(*key)).collect();
            let first = rows.iter().next().map(|(agent, _)| agent);
            let alone = first.is_some() && rows.iter().all(|(agent, _)| Some(agent) == first);
            self.one_agent = self.agent.is_some() || asks && alone;
            self.rows = rows;
            if before > 0 {
                self.state.came_in(&self.rows, &new);
            }
            self.built = Some(wanted);
            visible = true;
        }
        visible |= self.seen != self.count;
        self.seen = self.count;
        let lines = self.lines(area);
        self.state.refresh(&self.rows, lines);
        visible
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let mut title = self.title();
        if let Some(agent) = self.agent {
            title.push(span(format!(" of {}", agent_name(ctx, agent)), Role::Title));
        }
        let mut facts = vec![span(format!("{}, secrets removed", last_frames(self.rows.len())), Role::Quiet)];
        if self.state.settings.faults {
            facts.push(span(" · faults only", Role::You));
        }
        if !self.state.settings.filter.is_empty() {
            facts.push(span(format!(" · filter {}", self.state.settings.filter.text()), Role::You));
        }
        if self.state.new_above > 0 {
            facts.push(span(format!(" · {} {} new", ctx.glyphs().more, self.state.new_above), Role::You));
        }
        canvas.rule(area, area.y, Edge::Top, &title, &facts);
        let (list, below) = self.parts(area);
        if self.rows.is_empty() {
            return empty(
                canvas,
                ctx,
                list,
                self.state.settings.faults || !self.state.settings.filter.is_empty(),
                &[
                    "Nothing was sent or received yet.",
                    &format!(
                        "The last 128 frames of each agent are kept while this program runs; {} on an agent checks it.",
                        ctx.key(Action::Check)
                    ),
                ],
            );
        }
        let lines = usize::from(list.height.saturating_sub(1));
        let (window, cursor) = self.state.window(&self.rows, lines);
        let rows = self.drawn(ctx, &window);
        let shown = self.visible(ctx, cursor.map_or(Cursor::Follows, Cursor::On));
        table::draw(canvas, list, FrameColumn::COLUMNS, &shown, &rows);
        if let (Some(pane), Some((agent, frame))) = (below, self.target_frame()) {
            let whole_rule = Rect { x: area.x, width: area.width, ..pane };
            let title = [span(name_of(ctx, agent, frame), Role::Title)];
            let facts = [span(ctx.clocks.precise(frame.at), Role::Quiet)];
            canvas.rule(whole_rule, pane.y, Edge::Middle, &title, &facts);
            let inner = Rect {
                x: pane.x + 1,
                y: pane.y + 1,
                width: pane.width.saturating_sub(2),
                height: pane.height - 1,
            };
            text::draw(canvas, inner, &whole(frame), &TextState::default());
        }
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let lines = self.lines(area);
        if self.state.act(action, &self.rows, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Open | Action::Raw => {
                let (agent, frame) = self.target_frame()?;
                let title = format!("wire › {} {}", name_of(ctx, agent, frame), frame.number);
                let target = Target { agent: Some(agent), ..Target::default() };
                let page = Destination::RawText { title, lines: whole(frame), target };
                Some(vec![Step::Open(Box::new(page))])
            }
            _ => None,
        }
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Open, "open"),
            (Action::Filter, "filter"),
            (Action::Faults, "failed"),
            (Action::First, "newest"),
            (Action::Hold, "hold"),
            (Action::Details, "details"),
            (Action::GoTo, "go to"),
            (Action::Copy, "copy"),
        ]
    }

    fn list(&self) -> Option<&dyn List> {
        Some(self)
    }

    fn list_mut(&mut self) -> Option<&mut dyn List> {
        Some(self)
    }

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).0
    }

    fn target(&self, ctx: &Context) -> Target {
        let Some((agent, frame)) = self.target_frame() else {
            return Target { agent: self.agent, ..Target::default() };
        };
        let attempt = frame.task.as_ref().and_then(|task| attempt_of(ctx, agent, task));
        Target { agent: Some(agent), attempt, ..Target::default() }
    }

    fn queries(&self, _ctx: &Context) -> Vec<Subscription> {
        let query = Query::Wire { agent: self.agent, known: self.count }.into();
        vec![Subscription::Ask(Ask { name: "frames", query, refresh: Refresh::Every(EVERY) })]
    }

    fn on_answer(&mut self, _ask: &Ask, answer: Answer) {
        if let Answer::Wire(count, Some(frames)) = answer {
            self.count = count;
            self.frames = frames;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::At;
    use crate::net::tap::{Fault, Method};

    #[test]
    fn a_frame_is_shown_with_its_headers_apart() {
        let frame = Frame {
            number: 1,
            at: At::ZERO,
            call: 7,
            method: Method::Send,
            task: None,
            kind: Kind::Request,
            label: Label::Plain,
            head: "POST /".into(),
            text: "accept: */*\n\n{\"a\":\"\u{1b}[2J\"}".into(),
            bytes: 40,
        };
        let lines: Vec<String> =
            whole(&frame).iter().map(|line| line.iter().map(|span| span.text.as_str()).collect()).collect();
        assert_eq!(lines[..3], ["POST /".to_owned(), "accept: */*".to_owned(), String::new()]);
        assert!(lines.iter().all(|line| !line.contains('\u{1b}')), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("␛[2J")), "{lines:?}");
    }

    #[test]
    fn a_row_says_what_its_frame_says() {
        let frame = |kind, method, label, head: &str| Frame {
            number: 1,
            at: At::ZERO,
            call: 7,
            method,
            task: Some("2fbf-11".into()),
            kind,
            label,
            head: head.into(),
            text: "{}".into(),
            bytes: 2,
        };
        let fault = |expected| {
            let fault = Fault { code: Some(-32001), text: "TaskNotFound".into(), expected };
            Label::Failed(Box::new(fault))
        };
        for (kind, label, head, text, role_expected) in [
            (Kind::Request, Label::Plain, "POST http://h/", "SendMessage 2fbf", Role::Key),
            (
                Kind::Response,
                Label::Task(TaskState::Submitted),
                "200 in 3 ms",
                "Task submitted, 200 in 3 ms",
                Role::Plain,
            ),
            (Kind::Response, Label::Stream, "200 in 3 ms, streaming", "200 in 3 ms, streaming", Role::Plain),
            (Kind::Event, Label::Status(TaskState::Working), "", "statusUpdate working", Role::Doubt),
            (
                Kind::Event,
                Label::Status(TaskState::InputRequired),
                "",
                "statusUpdate needs an answer",
                Role::You,
            ),
            (Kind::Event, Label::Artifact { last: true }, "", "artifactUpdate, last chunk", Role::Doubt),
            (Kind::Event, Label::Plain, "", "{}", Role::Doubt),
            (Kind::Response, fault(false), "200 in 3 ms", "-32001 TaskNotFound, 200 in 3 ms", Role::Bad),
            (
                Kind::Response,
                fault(true),
                "200 in 3 ms",
                "-32001 TaskNotFound, as a check expects, 200 in 3 ms",
                Role::Plain,
            ),
            (Kind::End, fault(false), "the stream was cut", "the stream was cut", Role::Bad),
        ] {
            let frame = frame(kind, Method::Send, label, head);
            assert_eq!((said(&frame).as_str(), role(&frame)), (text, role_expected), "{frame:?}");
        }
    }
}
