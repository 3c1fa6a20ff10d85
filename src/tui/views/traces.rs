//! The traces of the window: our jobs, and what agents sent.

use std::net::SocketAddr;
use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::trace::TraceId;
use crate::telemetry::list::TraceEntry;
use crate::telemetry::query::{TelemetryQuery, TelemetryStatus, TraceFilter};
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::format;
use crate::tui::queries::{Ask, Refresh, Subscription, Telemetry};
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::about;
use crate::tui::views::frame::{empty, inside, labelled};
use crate::tui::views::listing::{List, Listing, shows_list};
use crate::tui::views::trace_rows::{MOST, TraceColumn, TraceRows, attempt_of, name_of};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::filter::Filter;
use crate::tui::widgets::text;
use crate::tui::widgets::text::TextState;

/// Traces that the store is asked for, the newest of the window.
const RECEIVED: usize = 2000;
/// How often they are read while the view is shown.
const EVERY: Duration = Duration::from_secs(2);

/// The view.
#[derive(Debug)]
pub struct TracesView {
    list: Listing<TraceRows>,
    /// The filter that the rows know.
    filter: Filter,
    status: Option<Box<TelemetryStatus>>,
    /// The newest status, until it is shown.
    read: Option<Box<TelemetryStatus>>,
}

impl TracesView {
    /// The traces of the window, newest first.
    pub fn new() -> Self {
        let list = Listing::new(TraceRows::default(), TraceColumn::Started);
        Self { list, filter: Filter::default(), status: None, read: None }
    }

    fn parts(&self, area: Rect) -> (Rect, Option<Rect>) {
        let inner = inside(area);
        if !self.list.state.details || inner.height < 14 || self.list.rows.is_empty() {
            return (inner, None);
        }
        let list = Rect { height: inner.height - 6, ..inner };
        (list, Some(Rect { y: list.bottom(), height: 6, ..inner }))
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(self.parts(area).0.height.saturating_sub(1))
    }

    fn selected(&self, ctx: &Context) -> Option<TraceEntry> {
        self.list.source.entry(&ctx.snapshot, self.list.target()?)
    }

    /// Why there are no traces, and how they come.
    fn why_empty(&self, ctx: &Context) -> Vec<String> {
        let window = ctx.window.word(&ctx.clocks);
        let mut lines = vec![format!(
            "No traces in the last {window}. {}",
            ctx.hint(Action::Time, "chooses another window.")
        )];
        lines.extend(sending(self.status.as_deref()));
        let own = ctx.hint(Action::New, "sends one.");
        lines.push(format!(
            "Each task that is sent or found has a trace too, whatever its agent sends. {own}"
        ));
        lines
    }
}

impl Default for TracesView {
    fn default() -> Self {
        Self::new()
    }
}

/// How agents send telemetry here, or why they cannot.
pub fn sending(status: Option<&TelemetryStatus>) -> Vec<String> {
    let Some(status) = status else { return Vec::new() };
    let places = status.listening.iter().map(|place| place.line().into_string());
    let (addresses, reasons): (Vec<String>, Vec<String>) =
        places.partition(|place| place.parse::<SocketAddr>().is_ok());
    let mut lines = Vec::new();
    match addresses.first() {
        Some(first) => {
            lines.push(format!(
                "Agents with an OpenTelemetry SDK send theirs with OTEL_EXPORTER_OTLP_ENDPOINT=http://{first}"
            ));
        }
        None => lines.push(
            "Nothing is received from agents: [telemetry] in the configuration sets an address.".into(),
        ),
    }
    lines.extend(reasons);
    lines
}

/// What was not taken, in words; nothing while everything was.
pub fn lost(status: Option<&TelemetryStatus>) -> Vec<Span> {
    let Some(status) = status else { return Vec::new() };
    let count = |number: u64| format::count(usize::try_from(number).unwrap_or(usize::MAX));
    let mut words: Vec<Span> = [
        (status.refused, "refused"),
        (status.invalid, "invalid"),
        (status.dropped, "dropped"),
        (status.sampled, "removed for room"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, word)| span(format!(" · {} {word}", count(number)), Role::Warn))
    .collect();
    if let Some(fault) = &status.fault {
        words.push(span(format!(" · not written: {}", fault.line().fit(40)), Role::Bad));
    }
    words
}

fn explain(ctx: &Context, entry: &TraceEntry, width: usize) -> about::Lines {
    let agents: Vec<String> = entry.agents.iter().map(|agent| agent.line().into_string()).collect();
    let tasks: Vec<String> = entry.tasks.iter().map(|task| task.line().into_string()).collect();
    let mut lines = vec![labelled(
        "TRACE",
        vec![
            span(entry.trace.to_string(), Role::Plain),
            span(format!(", began {}", ctx.clocks.precise(entry.start)), Role::Quiet),
        ],
    )];
    let mut add = |label: &str, text: String, role| {
        if !text.is_empty() {
            lines.extend(about::wrapped(label, &text, role, width));
        }
    };
    add("AGENTS", agents.join(", "), Role::Plain);
    add("TASKS", tasks.join(", "), Role::Plain);
    add(
        "SKILL",
        entry.skill.as_ref().map(|skill| skill.line().into_string()).unwrap_or_default(),
        Role::Plain,
    );
    if entry.dropped > 0 {
        add("DROPPED", format!("{} spans, attributes or events, for a limit", entry.dropped), Role::Warn);
    }
    lines
}

impl Screen for TracesView {
    fn word(&self) -> &'static str {
        "traces"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let mut visible = false;
        if let Some(read) = self.read.take().filter(|read| self.status.as_ref() != Some(read)) {
            visible = self.list.rows.is_empty() || lost(Some(&read)) != lost(self.status.as_deref());
            self.status = Some(read);
        }
        if self.filter != self.list.state.settings.filter {
            self.filter = self.list.state.settings.filter.clone();
            self.list.source.set_filter(&self.filter);
        }
        let since = ctx.window.parts(ctx.now).from.begins();
        if self.list.source.sync(&ctx.snapshot, since) {
            self.list.rebuild();
        }
        let lines = self.lines(area);
        visible |= self.list.refresh(&ctx.snapshot, lines);
        self.list.source.settle();
        visible
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let window = ctx.window.word(&ctx.clocks);
        let newest = if self.list.source.has_more {
            format!(", of the newest {}", format::count(MOST))
        } else {
            String::new()
        };
        let first = format!("{} in {window}{newest}", format::count(self.list.rows.len()));
        let mut facts = self.list.facts(ctx, area, first);
        facts.extend(lost(self.status.as_deref()));
        canvas.rule(area, area.y, Edge::Top, &self.list.title(), &facts);
        let (list, below) = self.parts(area);
        if self.list.rows.is_empty() {
            let why = self.why_empty(ctx);
            let why: Vec<&str> = why.iter().map(String::as_str).collect();
            return empty(canvas, ctx, list, self.list.state.settings.leaves_out(), &why);
        }
        self.list.draw(canvas, list, ctx);
        let (Some(pane), Some(entry)) = (below, self.selected(ctx)) else { return };
        let whole = Rect { x: area.x, width: area.width, ..pane };
        canvas.rule(whole, pane.y, Edge::Middle, &[span(name_of(&entry), Role::Title)], &[]);
        let inner = Rect {
            x: pane.x + 1,
            y: pane.y + 1,
            width: pane.width.saturating_sub(2),
            height: pane.height - 1,
        };
        let lines = explain(ctx, &entry, usize::from(inner.width));
        text::draw(canvas, inner, &lines, &TextState::default());
    }

    fn act(&mut self, action: Action, _ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let lines = self.lines(area);
        if matches!(action, Action::Mark | Action::MarkAll | Action::MarkTo) {
            return None;
        }
        if self.list.act(action, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Open => {
                let page = self.list.target().map(|trace| Destination::Trace(trace, None));
                Some(page.map(|page| Step::Open(Box::new(page))).into_iter().collect())
            }
            _ => None,
        }
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Open, "open"),
            (Action::Filter, "filter"),
            (Action::Faults, "failed only"),
            (Action::RowLogs, "logs"),
            (Action::GoTo, "go to"),
            (Action::Time, "time"),
            (Action::Details, "details"),
            (Action::Copy, "copy"),
            (Action::Back, "back"),
        ]
    }

    shows_list!(list);

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).0
    }

    fn target(&self, ctx: &Context) -> Target {
        let Some(entry) = self.selected(ctx) else { return Target::default() };
        let attempt = attempt_of(&ctx.snapshot, &entry);
        let agent = attempt.map(|(_, attempt)| attempt.agent);
        Target {
            agent,
            attempt: attempt.map(|(key, _)| key),
            trace: Some((entry.trace, None)),
            problem: None,
        }
    }

    fn queries(&self, ctx: &Context) -> Vec<Subscription> {
        let filter = TraceFilter {
            since: Some(ctx.window.parts(ctx.now).from.begins()),
            attributes: self.list.source.attributes(),
            limit: RECEIVED,
            ..TraceFilter::default()
        };
        let refresh = Refresh::EveryOrChanged(EVERY);
        vec![
            Subscription::Ask(Ask { name: "traces", query: TelemetryQuery::Traces(filter).into(), refresh }),
            Subscription::Ask(Ask { name: "status", query: TelemetryQuery::Status.into(), refresh }),
        ]
    }

    fn on_telemetry(&mut self, _ask: &Ask, answer: Telemetry) {
        match answer {
            Telemetry::Traces(rows) => self.list.source.receive(rows),
            Telemetry::Status(status) => self.read = Some(status),
            Telemetry::Trace(_) | Telemetry::Logs(_) => {}
        }
    }
}

/// A trace by the first and last digits of its id.
pub fn short(trace: TraceId) -> String {
    let text = trace.to_string();
    format!("{}…{}", &text[..8], &text[28..])
}
