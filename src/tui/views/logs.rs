//! What agents logged: filtered, followed, each record with what was logged around it, and on to its trace.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::telemetry::model::Severity;
use crate::telemetry::query::{LogFilter, LogRow, TelemetryQuery, TelemetryStatus};
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, LogsOf, Target};
use crate::tui::format;
use crate::tui::queries::{Ask, Refresh, Subscription, Telemetry, ViewQuery};
use crate::tui::saved_view::ListKind;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::about::Lines;
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::listing::{List, Listing, Order, Rows, shows_list};
use crate::tui::views::span_detail::{log_lines, record, severity_role, severity_word};
use crate::tui::views::traces::{lost, sending, short};
use crate::tui::widgets::canvas::{Canvas, Edge, span};
use crate::tui::widgets::filter::Filtered;
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{NOTHING, Row, TableColumn, columns, fixed, flexible};
use crate::tui::widgets::text::{self, TextState};

/// Records that are read at most, the newest of the window.
const MOST: usize = 1000;
/// How often they are read while the view is shown.
const EVERY: Duration = Duration::from_secs(1);
/// Records that are shown before and after the selected one.
const AROUND: u64 = 12;
/// The name of that query.
const AROUND_IT: &str = "around";

/// The records, each under its number.
#[derive(Clone, Debug, Default)]
pub struct LogRows {
    of: LogsOf,
    rows: Arc<BTreeMap<u64, LogRow>>,
}

columns! {
    /// The columns of the records.
    pub enum LogColumn {
        Time = fixed("TIME", 'T', 12, 7).highest_first(),
        Level = fixed("LEVEL", 'L', 5, 8).highest_first(),
        Agent = flexible("AGENT", 'A', 8, 6).prefers(14),
        Message = flexible("MESSAGE", 'M', 20, 10).prefers(30),
        Trace = fixed("TRACE", 'R', 8, 2),
    }
}

struct FilterRow<'r>(&'r LogRow);

impl Filtered for FilterRow<'_> {
    fn words(&self) -> Vec<String> {
        ["text", "agent", "logger", "trace"].iter().filter_map(|key| self.value(key)).collect()
    }

    fn value(&self, key: &str) -> Option<String> {
        let record = &self.0.record;
        match key {
            "text" => Some(record.body.text().line().into_string()),
            "agent" => Some(record.resource.service().line().into_string()),
            "logger" => Some(record.scope.line().into_string()),
            "trace" => record.trace.map(|trace| trace.to_string()),
            "span" => record.span.map(|span| span.to_string()),
            // What is asked for is the least severity: an error has the words of warnings, too.
            "severity" | "level" => {
                let words = Severity::ALL.iter().filter(|severity| **severity <= record.severity);
                Some(words.map(|severity| severity.as_str()).collect::<Vec<_>>().join(" "))
            }
            _ => None,
        }
    }
}

impl Rows for LogRows {
    type Key = u64;

    const KIND: ListKind = ListKind::Logs;

    type Column = LogColumn;

    fn as_filter(&self, _snapshot: &Snapshot) -> String {
        let agent = self.of.agent.as_ref().map(Untrusted::line);
        let agent = agent.as_ref().and_then(|name| name.split_whitespace().next());
        let words = [
            agent.map(|name| format!("agent={name}")),
            self.of.trace.map(|trace| format!("trace={trace}")),
            self.of.span.map(|span| format!("span={span}")),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn keys<'s>(&'s self, _snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = u64> + 's> {
        Box::new(self.rows.keys().copied())
    }

    // The rows are read by a query, and all of them are new then.
    fn changed(&self, _snapshot: &Snapshot, _changed: Changed, _rows: &mut Vec<u64>) {}

    fn shows(&self, _snapshot: &Snapshot, key: u64, order: &Order) -> bool {
        let Some(row) = self.rows.get(&key) else { return false };
        (!order.faults || row.record.severity >= Severity::Warn) && order.filter.passes(&FilterRow(row))
    }

    fn sort_key(&self, _snapshot: &Snapshot, key: u64, by: LogColumn) -> SortKey {
        let Some(row) = self.rows.get(&key) else { return SortKey::Number(0) };
        let at = row.record.at.at().micros();
        let text = |text: String| SortKey::Text(text.to_lowercase().into());
        match by {
            LogColumn::Time => SortKey::Pair(at, i64::try_from(key).unwrap_or(i64::MAX)),
            LogColumn::Level => SortKey::Pair(i64::try_from(row.record.severity.number()).unwrap_or(0), at),
            LogColumn::Agent => text(row.record.resource.service().line().into_string()),
            LogColumn::Message => text(row.record.body.text().line().into_string()),
            LogColumn::Trace => text(row.record.trace.map(|trace| trace.to_string()).unwrap_or_default()),
        }
    }

    fn row(&self, _canvas: &Canvas<'_>, ctx: &Context, key: u64) -> Row {
        let Some(LogRow { record, .. }) = self.rows.get(&key) else { return Row::blank() };
        let role = severity_role(record.severity);
        let glyphs = ctx.glyphs();
        let mark = match record.severity {
            Severity::Fatal | Severity::Error => glyphs.down,
            Severity::Warn => glyphs.degraded,
            _ => glyphs.info,
        };
        Row {
            mark: span(mark, role),
            cells: LogColumn::cells(|column| match column {
                LogColumn::Time => span(ctx.clocks.precise(record.at.at()), Role::Quiet),
                LogColumn::Level => span(severity_word(record.severity), role),
                LogColumn::Agent => span(record.resource.service().line().into_string(), Role::Plain),
                LogColumn::Message => match record.body.text().shortened(400).line().into_string() {
                    text if text.is_empty() => span(NOTHING, Role::Quiet),
                    text => span(text, role),
                },
                LogColumn::Trace => match record.trace {
                    Some(trace) => span(trace.to_string()[..8].to_owned(), Role::Quiet),
                    None => span(NOTHING, Role::Quiet),
                },
            }),
            marked: false,
        }
    }
}

/// The view.
#[derive(Debug)]
pub struct LogsView {
    list: Listing<LogRows>,
    /// The newest reading, until it is shown.
    read: Option<Vec<LogRow>>,
    is_read: bool,
    /// The records around one, with its number.
    around: (u64, Vec<LogRow>),
    has_news: bool,
    status: Option<Box<TelemetryStatus>>,
}

impl LogsView {
    /// The records of the window, the newest first.
    pub fn new(of: LogsOf) -> Self {
        let rows = LogRows { of, ..LogRows::default() };
        Self {
            list: Listing::new(rows, LogColumn::Time),
            read: None,
            is_read: false,
            around: (0, Vec::new()),
            has_news: false,
            status: None,
        }
    }

    /// True if it is about all records.
    pub fn is_all(&self) -> bool {
        self.list.source.of == LogsOf::default()
    }

    fn selected(&self) -> Option<&LogRow> {
        self.list.source.rows.get(&self.list.target()?)
    }

    /// True if records are left out that may explain the selected one.
    fn leaves_out(&self) -> bool {
        self.list.state.settings.leaves_out() || !self.is_all()
    }

    fn parts(&self, area: Rect) -> Parts {
        let inner = inside(area);
        if !self.list.state.details || inner.height < 14 || self.list.rows.is_empty() {
            return Parts { list: inner, record: None, around: None };
        }
        let below = (inner.height * 2 / 5).max(6);
        let list = Rect { height: inner.height - below, ..inner };
        let pane = Rect { y: list.bottom(), height: below, ..inner };
        if !self.leaves_out() || area.width < 90 {
            return Parts { list, record: Some(pane), around: None };
        }
        let width = pane.width / 2;
        let around = Rect { x: pane.x + width + 1, width: pane.width - width - 1, ..pane };
        Parts { list, record: Some(Rect { width, ..pane }), around: Some(around) }
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(self.parts(area).list.height.saturating_sub(1))
    }

    fn why_empty(&self, ctx: &Context) -> Vec<String> {
        let window = ctx.window.word(&ctx.clocks);
        let of = match (&self.list.source.of.agent, self.list.source.of.trace) {
            (Some(agent), _) => format!(" of {}", agent.line().fit(30)),
            (None, Some(_)) => " of this trace".to_owned(),
            (None, None) => String::new(),
        };
        let mut lines = vec![format!(
            "No log records{of} in the last {window}. {}",
            ctx.hint(Action::Time, "chooses another window.")
        )];
        lines.extend(sending(self.status.as_deref()));
        lines
    }

    fn around_lines(&self, ctx: &Context, number: u64, width: usize) -> Lines {
        if self.around.0 != number {
            return Vec::new();
        }
        let of = |is_it: bool| self.around.1.iter().rev().filter(move |row| (row.number == number) == is_it);
        let mut lines = Lines::new();
        lines.extend(log_lines(ctx, of(false).filter(|row| row.number < number), width));
        let mut it = log_lines(ctx, of(true), width);
        it.iter_mut().flatten().for_each(|span| span.role = Role::Title);
        lines.extend(it);
        lines.extend(log_lines(ctx, of(false).filter(|row| row.number > number), width));
        lines
    }

    fn draw_below(&self, canvas: &mut Canvas<'_>, area: Rect, parts: &Parts, ctx: &Context) {
        let (Some(pane), Some(row)) = (parts.record, self.selected()) else { return };
        let text_of = |pane: Rect| Rect {
            x: pane.x + 1,
            y: pane.y + 1,
            width: pane.width.saturating_sub(2),
            height: pane.height - 1,
        };
        let title = [span("the record", Role::Title)];
        if let Some(around) = parts.around {
            let left = Rect { x: area.x, width: pane.width + 2, ..pane };
            let right = Rect { x: around.x - 1, width: around.width + 2, ..around };
            canvas.rule(right, around.y, Edge::Middle, &[span("around it, of all agents", Role::Quiet)], &[]);
            canvas.rule(left, pane.y, Edge::Middle, &title, &[]);
            canvas.divider(around.x - 1, pane.y, area.bottom());
            let inner = text_of(around);
            let lines = self.around_lines(ctx, row.number, usize::from(inner.width));
            // The record stands in the middle, whatever comes before it.
            let before = lines.iter().position(|line| line.iter().any(|span| span.role == Role::Title));
            let top = before.unwrap_or(0).saturating_sub(usize::from(inner.height) / 2);
            text::draw(canvas, inner, &lines, &TextState { top, ..TextState::default() });
        } else {
            let whole = Rect { x: area.x, width: area.width, ..pane };
            canvas.rule(whole, pane.y, Edge::Middle, &title, &[]);
        }
        let inner = text_of(pane);
        let lines = record(ctx, &row.record, usize::from(inner.width));
        text::draw(canvas, inner, &lines, &TextState::default());
    }
}

struct Parts {
    list: Rect,
    record: Option<Rect>,
    around: Option<Rect>,
}

impl Screen for LogsView {
    fn word(&self) -> &'static str {
        "logs"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let mut visible = std::mem::take(&mut self.has_news);
        if let Some(rows) = self.read.take() {
            visible |= !self.is_read;
            self.is_read = true;
            let until = ctx.window.parts(ctx.now).until.begins();
            let rows = rows.into_iter().filter(|row| row.received < until);
            let rows: BTreeMap<u64, LogRow> = rows.map(|row| (row.number, row)).collect();
            if rows != *self.list.source.rows {
                self.list.source.rows = Arc::new(rows);
                self.list.rebuild();
                visible = true;
            }
        }
        let lines = self.lines(area);
        self.list.refresh(&ctx.snapshot, lines) | visible
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let mut title = self.list.title();
        let of = &self.list.source.of;
        if let Some(agent) = &of.agent {
            title.push(span(format!(" of {}", agent.line().fit(30)), Role::Title));
        }
        if let Some(trace) = of.trace {
            let what = if of.span.is_some() { "a span of " } else { "" };
            title.push(span(format!(" of {what}trace {}", short(trace)), Role::Title));
        }
        let count = self.list.source.rows.len();
        let newest = if count >= MOST { "newest " } else { "" };
        let window = ctx.window.word(&ctx.clocks);
        let first = format!("{newest}{} in {window}", format::count(count));
        let mut facts = self.list.facts(ctx, area, first);
        facts.extend(lost(self.status.as_deref()));
        canvas.rule(area, area.y, Edge::Top, &title, &facts);
        let parts = self.parts(area);
        if self.list.rows.is_empty() {
            if self.is_read {
                let why = self.why_empty(ctx);
                let why: Vec<&str> = why.iter().map(String::as_str).collect();
                let filtered = self.list.state.settings.leaves_out();
                empty(canvas, ctx, parts.list, filtered, &why);
            }
            return;
        }
        self.list.draw(canvas, parts.list, ctx);
        self.draw_below(canvas, area, &parts, ctx);
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let lines = self.lines(area);
        if matches!(action, Action::Mark | Action::MarkAll | Action::MarkTo) {
            return None;
        }
        if self.list.act(action, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Open | Action::Raw => {
                let row = self.selected()?;
                let service = row.record.resource.service();
                let title =
                    format!("logs › {} {}", service.line().fit(30), ctx.clocks.precise(row.record.at.at()));
                let page = Destination::RawText {
                    title,
                    lines: record(ctx, &row.record, usize::MAX),
                    target: self.target(ctx),
                };
                Some(vec![Step::Open(Box::new(page))])
            }
            _ => None,
        }
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Open, "open"),
            (Action::Filter, "filter"),
            (Action::Faults, "warnings only"),
            (Action::First, "follow"),
            (Action::Hold, "hold"),
            (Action::GoTo, "its trace"),
            (Action::Time, "time"),
            (Action::Details, "details"),
            (Action::Copy, "copy"),
            (Action::Back, "back"),
        ]
    }

    shows_list!(list);

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).list
    }

    fn target(&self, ctx: &Context) -> Target {
        let of = &self.list.source.of;
        let record = self.selected().map(|row| &row.record);
        let trace = record.and_then(|record| Some((record.trace?, record.span)));
        let service = record.map(|record| record.resource.service()).or_else(|| of.agent.clone());
        let agent = service.and_then(|service| {
            let mut agents = ctx.snapshot.agents.iter();
            agents.find(|(_, agent)| agent.name == service).map(|(key, _)| key)
        });
        let trace = trace.or_else(|| of.trace.map(|trace| (trace, of.span)));
        Target { agent, attempt: None, problem: None, trace }
    }

    fn queries(&self, ctx: &Context) -> Vec<Subscription> {
        let of = &self.list.source.of;
        let settings = &self.list.state.settings;
        let typed = |wanted: &[&str]| {
            let mut pairs = settings.filter.pairs();
            pairs.find(|(key, _)| wanted.contains(key)).map(|(_, value)| value.to_owned())
        };
        let least = typed(&["severity", "level"]).and_then(|word| Severity::from_word(&word));
        let least = if settings.faults { least.max(Some(Severity::Warn)) } else { least };
        let filter = LogFilter {
            // The records of a trace are asked for whenever they came.
            since: of.trace.is_none().then(|| ctx.window.parts(ctx.now).from.begins()),
            service: of.agent.clone(),
            severity: least.unwrap_or_default(),
            trace: of.trace.or_else(|| typed(&["trace"])?.parse().ok()),
            span: of.span,
            text: typed(&["text"]).filter(|text| !text.is_empty()).map(Untrusted::from),
            limit: MOST,
            ..LogFilter::default()
        };
        let refresh = Refresh::EveryOrChanged(EVERY);
        let ask = |name, query: TelemetryQuery, refresh| {
            Subscription::Ask(Ask { name, query: query.into(), refresh })
        };
        let mut all = vec![
            ask("logs", TelemetryQuery::Logs(filter), refresh),
            ask("status", TelemetryQuery::Status, Refresh::Every(EVERY * 2)),
        ];
        if let Some(row) = self.selected().filter(|_| self.leaves_out()) {
            let filter = LogFilter {
                before: Some(row.number + AROUND),
                after: Some(row.number.saturating_sub(AROUND)),
                limit: usize::try_from(AROUND * 2).unwrap_or(MOST),
                ..LogFilter::default()
            };
            all.push(ask(AROUND_IT, TelemetryQuery::Logs(filter), Refresh::Version(0)));
        }
        all
    }

    fn on_telemetry(&mut self, ask: &Ask, answer: Telemetry) {
        match answer {
            Telemetry::Logs(rows) if ask.name == AROUND_IT => {
                if let ViewQuery::Telemetry(TelemetryQuery::Logs(LogFilter {
                    before: Some(before), ..
                })) = &ask.query
                {
                    self.around = (before.saturating_sub(AROUND), rows);
                    self.has_news = true;
                }
            }
            Telemetry::Logs(rows) => self.read = Some(rows),
            Telemetry::Status(status) => {
                self.has_news |= lost(Some(&status)) != lost(self.status.as_deref())
                    || self.list.rows.is_empty() && self.status.as_ref() != Some(&status);
                self.status = Some(status);
            }
            Telemetry::Traces(_) | Telemetry::Trace(_) => {}
        }
    }
}
