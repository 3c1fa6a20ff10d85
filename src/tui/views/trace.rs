//! A trace: its waterfall, where the time went, and the selected span beside its logs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::id::{AgentKey, AttemptKey};
use crate::domain::text::Untrusted;
use crate::domain::trace::{SpanId, TraceId};
use crate::telemetry::query::{LogFilter, LogRow, TelemetryQuery};
use crate::telemetry::tree::Trace;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::format;
use crate::tui::queries::{Ask, Refresh, Subscription, Telemetry};
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::about;
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::span_detail;
use crate::tui::views::trace_tree::TraceTree;
use crate::tui::views::traces::short;
use crate::tui::views::waterfall::{self, Needed};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::text::{self, TextState};

/// How often a trace is read: while it goes on, and afterwards, as exporters send later.
const LIVE: Duration = Duration::from_secs(1);
const OVER: Duration = Duration::from_secs(5);
/// Records that are read of each of its ids, and ids whose records are read: agents that start traces of their own are
/// shown below the attempt, and their records have their ids.
const LOGS: usize = 1000;
const LOGS_OF: [&str; 4] = ["logs", "logs of a second id", "logs of a third id", "logs of a fourth id"];
/// Newest attempts among which those of the trace are searched.
const SEARCHED: usize = 20_000;
/// Below this width the detail and the logs are tabs.
const NARROW: u16 = 90;

/// What keys speak to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pane {
    Tree,
    Logs,
}

/// The view.
#[derive(Debug)]
pub struct TraceView {
    id: TraceId,
    tree: TraceTree,
    /// The newest reading, until it is shown.
    read: Option<Box<Trace>>,
    is_read: bool,
    needed: Needed,
    focus: Pane,
    full: bool,
    details: bool,
    logs: [Vec<LogRow>; LOGS_OF.len()],
    /// True until new records were shown.
    has_new_logs: bool,
    logs_text: TextState,
    /// Our attempts in it.
    attempts: BTreeMap<SpanId, AttemptKey>,
}

/// The panes.
struct Parts {
    tree: Option<Rect>,
    /// The line with where the time went, and the rule above it.
    shares: Option<Rect>,
    detail: Option<Rect>,
    logs: Option<Rect>,
}

impl TraceView {
    /// A trace, with the cursor on a span if there is one.
    pub fn new(id: TraceId, at: Option<SpanId>) -> Self {
        Self {
            id,
            tree: TraceTree::at(at),
            read: None,
            is_read: false,
            needed: Needed::default(),
            focus: Pane::Tree,
            full: false,
            details: true,
            logs: Default::default(),
            has_new_logs: false,
            logs_text: TextState::following(),
            attempts: BTreeMap::new(),
        }
    }

    fn parts(&self, area: Rect) -> Parts {
        let inner = inside(area);
        let mut parts = Parts { tree: None, shares: None, detail: None, logs: None };
        if self.full || self.tree.trace.lines.is_empty() {
            parts.logs = Some(inner).filter(|_| self.full);
            parts.tree = Some(inner).filter(|_| !self.full);
            return parts;
        }
        let mut tree = inner;
        if self.details && inner.height >= 16 {
            // What a small trace leaves is for its detail and logs.
            let wanted = u16::try_from(self.tree.trace.lines.len() + 4).unwrap_or(u16::MAX);
            let least = (inner.height / 3).clamp(6, 14);
            let height = inner.height.saturating_sub(wanted).clamp(least, inner.height * 2 / 3);
            tree.height -= height;
            let below = Rect { y: tree.bottom(), height, ..inner };
            if area.width >= NARROW {
                let width = below.width / 2;
                parts.detail = Some(Rect { width, ..below });
                parts.logs = Some(Rect { x: below.x + width + 1, width: below.width - width - 1, ..below });
            } else if self.focus == Pane::Logs {
                parts.logs = Some(below);
            } else {
                parts.detail = Some(below);
            }
        } else if self.focus == Pane::Logs {
            parts.logs = Some(inner);
            return parts;
        }
        if tree.height >= 9 {
            tree.height -= 2;
            parts.shares = Some(Rect { y: tree.bottom(), height: 2, ..tree });
        }
        parts.tree = Some(tree);
        parts
    }

    /// Rows of the tree that fit.
    fn height(&self, area: Rect) -> usize {
        self.parts(area).tree.map_or(0, |tree| usize::from(tree.height.saturating_sub(1)))
    }

    /// Takes a new reading.
    fn take(&mut self, ctx: &Context, trace: Trace) {
        self.tree.take(trace);
        self.is_read = true;
        self.needed = Needed::of(&self.tree.trace, ctx.glyphs());
        self.find_attempts(ctx);
    }

    fn find_attempts(&mut self, ctx: &Context) {
        let own = self.tree.trace.spans.iter().filter(|span| span.is_attempt()).map(|span| span.id);
        let mut unknown: BTreeSet<SpanId> = own.filter(|id| !self.attempts.contains_key(id)).collect();
        for (key, attempt) in ctx.snapshot.attempts.iter().rev().take(SEARCHED) {
            if unknown.is_empty() {
                break;
            }
            let id = SpanId::from(attempt.id);
            if unknown.remove(&id) {
                self.attempts.insert(id, key);
            }
        }
    }

    /// Our attempt that a line belongs to: its own, or the nearest above it.
    fn attempt(&self) -> Option<AttemptKey> {
        let mut place = Some(self.tree.place()?);
        while let Some(at) = place {
            let line = self.tree.trace.lines.get(at)?;
            let known = self.tree.span_of(line).and_then(|span| self.attempts.get(&span.id));
            if let Some(key) = known {
                return Some(*key);
            }
            place = self.tree.above(at);
        }
        // The job's own line stands for its last attempt.
        self.attempts.values().next_back().copied()
    }

    fn agent(&self, ctx: &Context) -> Option<AgentKey> {
        let line = self.tree.selected()?;
        let named = |name: &Untrusted| {
            let mut agents = ctx.snapshot.agents.iter();
            agents.find(|(_, agent)| agent.name == *name).map(|(key, _)| key)
        };
        let of_attempt = || Some(ctx.snapshot.attempts.get(self.attempt()?)?.agent);
        named(&line.agent).or_else(of_attempt)
    }

    /// The ids whose records are read.
    fn ids(&self) -> Vec<TraceId> {
        let mut ids = vec![self.id];
        for span in &self.tree.trace.spans {
            if ids.len() == LOGS_OF.len() {
                break;
            }
            if !ids.contains(&span.trace) {
                ids.push(span.trace);
            }
        }
        ids
    }

    /// The records of the selected line and what is below it, oldest first; of the whole trace for its first line.
    fn records(&self) -> Vec<&LogRow> {
        let mut rows: Vec<&LogRow> = self.logs.iter().flatten().collect();
        if let Some(at) = self.tree.place().filter(|at| *at > 0) {
            let line = &self.tree.trace.lines[at];
            let within = self.tree.trace.lines.get(at..=at + line.below).unwrap_or_default();
            let ids: BTreeSet<SpanId> =
                within.iter().filter_map(|line| Some(self.tree.span_of(line)?.id)).collect();
            rows.retain(|row| row.record.span.is_some_and(|span| ids.contains(&span)));
        }
        rows.sort_by_key(|row| (row.record.at, row.number));
        rows
    }

    fn log_lines(&self, ctx: &Context, width: u16) -> about::Lines {
        let rows = self.records();
        if rows.is_empty() {
            let why = if self.tree.trace.logs == 0 {
                "No log records came for this trace."
            } else {
                "No log records of this span; the first line of the trace shows all."
            };
            let lines = text::wrap(why, usize::from(width));
            return lines.into_iter().map(|line| vec![span(line, Role::Doubt)]).collect();
        }
        span_detail::log_lines(ctx, rows.into_iter(), usize::from(width))
    }

    fn name(&self) -> String {
        let root = self.tree.trace.lines.first().and_then(|line| self.tree.span_of(line));
        root.map(|root| root.name.line().into_string()).unwrap_or_default()
    }

    fn facts(&self) -> Vec<Span> {
        let count = |number: usize, one: &str| {
            if number == 1 { format!("1 {one}") } else { format!("{} {one}s", format::count(number)) }
        };
        let trace = &self.tree.trace;
        let took = waterfall::took(trace.end.since(trace.start));
        let so_far = if trace.goes_on { " so far" } else { "" };
        let mut facts = vec![span(format!("{took}{so_far}"), Role::Plain)];
        if trace.errors > 0 {
            facts.push(span(format!(" · {}", count(trace.errors, "error")), Role::Bad));
        }
        if trace.dropped > 0 {
            let dropped = usize::try_from(trace.dropped).unwrap_or(usize::MAX);
            facts.push(span(format!(" · {} dropped", format::count(dropped)), Role::Warn));
        }
        if trace.left_out > 0 {
            facts.push(span(format!(" · {} of libraries", format::count(trace.left_out)), Role::Quiet));
        }
        facts.push(span(
            format!(
                " · {} · {} · {}",
                count(trace.spans.len(), "span"),
                count(trace.agents.len(), "agent"),
                short(self.id)
            ),
            Role::Quiet,
        ));
        if !self.tree.search.is_empty() {
            let search = Untrusted::from(self.tree.search.as_str());
            facts.push(span(format!(" · search {}", search.line()), Role::You));
        }
        facts
    }

    fn draw_tree(&self, canvas: &mut Canvas<'_>, area: Rect) {
        let bars = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        let columns = waterfall::columns(bars.width, self.needed);
        waterfall::head(canvas, bars, columns, &self.tree.trace);
        let height = usize::from(area.height.saturating_sub(1));
        for (number, at) in self.tree.rows.iter().enumerate().skip(self.tree.top).take(height) {
            let y = area.y + 1 + u16::try_from(number - self.tree.top).unwrap_or(u16::MAX);
            let line = &self.tree.trace.lines[*at];
            let bar = Rect { y, height: 1, ..bars };
            waterfall::line(canvas, bar, columns, &self.tree.trace, line, self.tree.fold_of(line));
            let row = Rect { y, height: 1, ..area };
            if number == self.tree.row {
                if self.focus == Pane::Tree {
                    canvas.put(area.x, y, canvas.theme.glyphs.cursor, Role::You, 1);
                }
                canvas.select(Rect { x: area.x + 1, width: area.width - 1, ..row });
            } else if self.tree.hit(line) {
                canvas.tint(Rect { x: bars.x, width: columns.name, ..row }, Role::Title);
            }
        }
    }

    fn logs_title(&self) -> Vec<Span> {
        let shown = self.records().len();
        let all = usize::try_from(self.tree.trace.logs).unwrap_or(usize::MAX).max(shown);
        let of = if self.tree.row == 0 { "logs of the trace" } else { "logs of this span" };
        let words =
            if shown == all { format!("{of} · {shown}") } else { format!("{of} · {shown} of {all}") };
        let role = if self.focus == Pane::Logs { Role::Title } else { Role::Quiet };
        vec![span(words, role)]
    }

    fn draw_logs(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let pane = text_pane(area);
        let lines = self.log_lines(ctx, pane.width);
        text::draw(canvas, pane, &lines, &self.logs_text);
    }

    fn draw_below(&self, canvas: &mut Canvas<'_>, area: Rect, parts: &Parts, ctx: &Context) {
        let Some(line) = self.tree.selected() else { return };
        let name = self
            .tree
            .span_of(line)
            .map_or_else(|| "nothing told".to_owned(), |of| of.name.line().into_string());
        let name = span(name, if self.focus == Pane::Tree { Role::Title } else { Role::Quiet });
        match (parts.detail, parts.logs) {
            (Some(detail), Some(logs)) => {
                let left = Rect { x: area.x, width: detail.width + 2, ..detail };
                let right = Rect { x: logs.x - 1, width: logs.width + 2, ..logs };
                canvas.rule(right, logs.y, Edge::Middle, &self.logs_title(), &self.follows());
                canvas.rule(left, detail.y, Edge::Middle, &[name], &[]);
                canvas.divider(logs.x - 1, detail.y, area.bottom());
            }
            (Some(detail), None) => {
                let tab =
                    [span("logs", Role::Quiet), span(format!(" · {}", self.records().len()), Role::Quiet)];
                canvas.rule(area, detail.y, Edge::Middle, &[name], &tab);
            }
            (None, Some(logs)) => canvas.rule(area, logs.y, Edge::Middle, &self.logs_title(), &[name]),
            (None, None) => {}
        }
        if let Some(detail) = parts.detail {
            let pane = text_pane(Rect { y: detail.y + 1, height: detail.height - 1, ..detail });
            let lines = span_detail::lines(ctx, &self.tree.trace, line, usize::from(pane.width));
            text::draw(canvas, pane, &lines, &TextState::default());
        }
        if let Some(logs) = parts.logs {
            self.draw_logs(canvas, Rect { y: logs.y + 1, height: logs.height - 1, ..logs }, ctx);
        }
    }

    fn follows(&self) -> Vec<Span> {
        let follows = self.tree.trace.goes_on && self.logs_text.follow;
        if follows { vec![span("following", Role::Quiet)] } else { Vec::new() }
    }

    /// The area of the logs' text, wherever they are.
    fn logs_pane(&self, area: Rect) -> Rect {
        let parts = self.parts(area);
        let logs = parts.logs.unwrap_or_default();
        // A pane of its own has a rule above it.
        let rule = u16::from(parts.tree.is_some() && logs.height > 0);
        text_pane(Rect { y: logs.y + rule, height: logs.height - rule, ..logs })
    }

    fn act_in_tree(&mut self, action: Action, ctx: &Context, height: usize) -> Option<Vec<Step>> {
        let before = self.tree.place();
        if self.tree.act(action, height) {
            if self.tree.place() != before {
                self.logs_text = TextState::following();
            }
            return Some(Vec::new());
        }
        // A line with nothing to fold opens as what was received.
        if !matches!(action, Action::Open | Action::Raw) {
            return None;
        }
        let Some(of) = self.tree.selected_span() else {
            let words = "nothing was received of this time".to_owned();
            return Some(vec![Step::Say(Role::Quiet, words)]);
        };
        let title = format!("traces › {} › span {}", short(self.id), of.id);
        let page = Destination::RawText { title, lines: span_detail::raw(of), target: self.target(ctx) };
        Some(vec![Step::Open(Box::new(page))])
    }
}

/// The inside of a pane, without its margins.
fn text_pane(area: Rect) -> Rect {
    Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }
}

impl Screen for TraceView {
    fn word(&self) -> &'static str {
        "trace"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let mut visible = std::mem::take(&mut self.has_new_logs);
        if let Some(read) = self.read.take()
            && (!self.is_read || *read != self.tree.trace)
        {
            self.take(ctx, *read);
            visible = true;
        }
        let top = self.tree.top;
        self.tree.scroll(self.height(area));
        visible || top != self.tree.top
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let title = [span("traces › ", Role::Title), span(self.name(), Role::Title)];
        if self.tree.trace.lines.is_empty() {
            canvas.rule(area, area.y, Edge::Top, &title, &[span(short(self.id), Role::Quiet)]);
            if !self.is_read {
                return;
            }
            let why = [
                "Nothing is known of this trace: none of our tasks has it, and no span of it was received or is kept.",
                &format!("{} goes back.", ctx.key(Action::Back)),
            ];
            return empty(canvas, ctx, inside(area), false, &why);
        }
        let parts = self.parts(area);
        let facts = if parts.tree.is_some() { self.facts() } else { self.logs_title() };
        canvas.rule(area, area.y, Edge::Top, &title, &facts);
        let Some(tree) = parts.tree else {
            return parts.logs.map_or((), |logs| self.draw_logs(canvas, logs, ctx));
        };
        self.draw_tree(canvas, tree);
        if let Some(shares) = parts.shares {
            let legend = waterfall::legend(canvas, area.width.saturating_sub(6));
            canvas.rule(area, shares.y, Edge::Middle, &[], &legend);
            let mut line = vec![span("where the time went  ", Role::Quiet)];
            if area.width < 60 {
                line = vec![span("time  ", Role::Quiet)];
            }
            line.extend(waterfall::shares(&self.tree.trace, area.width >= 100));
            canvas.put_spans(shares.x + 1, shares.y + 1, &line, shares.width.saturating_sub(2));
        }
        self.draw_below(canvas, area, &parts, ctx);
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        match action {
            Action::NextPane | Action::PrevPane => {
                self.focus = if self.focus == Pane::Tree { Pane::Logs } else { Pane::Tree };
                self.full &= self.focus == Pane::Logs;
            }
            Action::FullScreen => {
                self.full = !self.full;
                self.focus = if self.full { Pane::Logs } else { Pane::Tree };
            }
            Action::Back if !self.searched().is_empty() => match self.focus {
                Pane::Tree => self.tree.search.clear(),
                Pane::Logs => self.logs_text.search.clear(),
            },
            Action::Back if self.focus == Pane::Logs => {
                self.full = false;
                self.focus = Pane::Tree;
            }
            Action::Details => self.details = !self.details,
            action if self.focus == Pane::Logs => {
                let pane = self.logs_pane(area);
                let lines = self.log_lines(ctx, pane.width);
                return self.logs_text.act(action, &lines, usize::from(pane.height)).then(Vec::new);
            }
            action => {
                let height = self.height(area);
                return self.act_in_tree(action, ctx, height);
            }
        }
        Some(Vec::new())
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        let mut keys = Vec::new();
        if !self.searched().is_empty() {
            keys.extend([(Action::NextMatch, "next match"), (Action::Back, "end search")]);
        }
        let open =
            if self.tree.selected().is_some_and(|line| line.below > 0) { "fold" } else { "attributes" };
        keys.extend([
            (Action::Open, open),
            (Action::Filter, "search"),
            (Action::NextPane, "logs"),
            (Action::FullScreen, "logs wide"),
            (Action::GoTo, "go to"),
            (Action::Raw, "raw"),
            (Action::Details, "details"),
            (Action::Copy, "copy"),
            (Action::Back, "back"),
        ]);
        keys
    }

    fn target(&self, ctx: &Context) -> Target {
        let span = self.tree.selected().and_then(|line| self.tree.span_of(line)).map(|span| span.id);
        Target {
            agent: self.agent(ctx),
            attempt: self.attempt(),
            problem: None,
            trace: Some((self.id, span)),
        }
    }

    fn in_text(&self) -> bool {
        true
    }

    fn click(&mut self, _ctx: &Context, area: Rect, x: u16, y: u16) -> bool {
        let parts = self.parts(area);
        let within = |rect: Option<Rect>| rect.filter(|rect| rect.contains((x, y).into()));
        if let Some(tree) = within(parts.tree) {
            self.focus = Pane::Tree;
            let row = self.tree.top + usize::from(y.saturating_sub(tree.y + 1));
            let is_head = y == tree.y;
            let same = row == self.tree.row;
            if is_head || row >= self.tree.rows.len() {
                return false;
            }
            self.tree.go(row);
            self.logs_text = TextState::following();
            return same;
        }
        if within(parts.logs).is_some() {
            self.focus = Pane::Logs;
        }
        false
    }

    fn searched(&self) -> String {
        match self.focus {
            Pane::Tree => self.tree.search.clone(),
            Pane::Logs => self.logs_text.search.clone(),
        }
    }

    fn search(&mut self, text: &str, ctx: &Context, area: Rect) -> Option<usize> {
        if self.focus == Pane::Logs {
            let pane = self.logs_pane(area);
            let lines = self.log_lines(ctx, pane.width);
            return Some(self.logs_text.look_for(text, &lines, usize::from(pane.height)));
        }
        self.logs_text = TextState::following();
        Some(self.tree.look_for(text))
    }

    fn queries(&self, _ctx: &Context) -> Vec<Subscription> {
        let refresh = Refresh::Every(if self.tree.trace.goes_on || !self.is_read { LIVE } else { OVER });
        let ask = |name, query: TelemetryQuery| Subscription::Ask(Ask { name, query: query.into(), refresh });
        let logs = |(id, name): (TraceId, &'static str)| {
            let filter = LogFilter { trace: Some(id), limit: LOGS, ..LogFilter::default() };
            ask(name, TelemetryQuery::Logs(filter))
        };
        let mut all = vec![ask("trace", TelemetryQuery::Trace(self.id))];
        all.extend(self.ids().into_iter().zip(LOGS_OF).map(logs));
        all
    }

    fn on_telemetry(&mut self, ask: &Ask, answer: Telemetry) {
        match answer {
            Telemetry::Trace(trace) => self.read = Some(trace),
            Telemetry::Logs(rows) => {
                if let Some(at) = LOGS_OF.iter().position(|name| *name == ask.name)
                    && self.logs[at] != rows
                {
                    self.logs[at] = rows;
                    self.has_new_logs = true;
                }
            }
            Telemetry::Traces(_) | Telemetry::Status(_) => {}
        }
    }

    fn table(&self, _ctx: &Context) -> Option<Vec<Vec<String>>> {
        let head = ["SPAN", "AGENT", "BEGAN", "TOOK"].map(str::to_owned).to_vec();
        let rows = self.tree.rows.iter().filter_map(|at| {
            let line = self.tree.trace.lines.get(*at)?;
            let name = self
                .tree
                .span_of(line)
                .map_or_else(|| "nothing told".into(), |of| of.name.line().into_string());
            let indent = "  ".repeat(line.depth);
            Some(vec![
                format!("{indent}{name}"),
                line.agent.line().into_string(),
                waterfall::offset(&self.tree.trace, line.start),
                waterfall::took(line.took()),
            ])
        });
        Some(std::iter::once(head).chain(rows).collect())
    }
}
