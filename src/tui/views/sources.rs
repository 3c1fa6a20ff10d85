//! The sources of agents: the health of each, since when, and why it cannot be read.

use ratatui::layout::Rect;

use crate::domain::fleet::source::{SourceHealth, SourceRow};
use crate::domain::id::SourceKey;
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::saved_view::ListKind;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::about;
use crate::tui::views::frame::{empty, inside, labelled};
use crate::tui::views::listing::{List, Listing, Order, Rows, shows_list};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::filter::Filtered;
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Row, TableColumn, columns, fixed, flexible};
use crate::tui::widgets::text;
use crate::tui::widgets::text::TextState;
use crate::tui::{format, states};

/// The sources of the fleet.
#[derive(Clone, Debug)]
pub struct SourceRows;

struct FilterRow<'s>(&'s SourceRow);

impl Filtered for FilterRow<'_> {
    fn words(&self) -> Vec<String> {
        ["name", "kind", "at", "state", "error"].iter().filter_map(|key| self.value(key)).collect()
    }

    fn value(&self, key: &str) -> Option<String> {
        let Self(row) = self;
        match key {
            "name" | "source" => Some(name(row)),
            "kind" => Some(row.spec.kind.as_str().into()),
            "at" | "where" => Some(place(row)),
            "state" => Some(row.health.as_str().into()),
            "error" => Some(error(row)),
            _ => None,
        }
    }
}

fn name(row: &SourceRow) -> String {
    Untrusted::from(&*row.spec.name).line().into_string()
}

fn place(row: &SourceRow) -> String {
    Untrusted::from(&*row.spec.at).line().into_string()
}

fn error(row: &SourceRow) -> String {
    row.cause
        .as_ref()
        .map(|cause| Untrusted::from(cause.to_string()).line().into_string())
        .unwrap_or_default()
}

columns! {
    /// The columns of sources.
    pub enum SourceColumn {
        Source = flexible("SOURCE", 'S', 14, 9),
        Kind = fixed("KIND", 'K', 12, 4),
        Where = flexible("WHERE", 'W', 14, 3),
        State = fixed("STATE", 'T', 12, 8),
        Since = fixed("SINCE", 'I', 9, 5),
        Agents = fixed("AGENTS", 'A', 6, 6).right().highest_first(),
        LastError = flexible("LAST ERROR", 'E', 12, 7),
    }
}

impl Rows for SourceRows {
    type Key = SourceKey;

    const KIND: ListKind = ListKind::Sources;

    type Column = SourceColumn;

    fn keys<'s>(&'s self, snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = SourceKey> + 's> {
        Box::new(snapshot.sources.iter().map(|(key, _)| key))
    }

    fn changed(&self, _snapshot: &Snapshot, changed: Changed, rows: &mut Vec<SourceKey>) {
        if let Changed::Source(key) = changed {
            rows.push(key);
        }
    }

    fn shows(&self, snapshot: &Snapshot, key: SourceKey, order: &Order) -> bool {
        let Some(row) = snapshot.sources.get(key) else { return false };
        (!order.faults || row.health != SourceHealth::Working) && order.filter.passes(&FilterRow(row))
    }

    fn sort_key(&self, snapshot: &Snapshot, key: SourceKey, by: SourceColumn) -> SortKey {
        let Some(row) = snapshot.sources.get(key) else { return SortKey::Number(0) };
        let text = |text: String| SortKey::Text(text.to_lowercase().into());
        match by {
            SourceColumn::Source => text(name(row)),
            SourceColumn::Kind => text(row.spec.kind.as_str().into()),
            SourceColumn::Where => text(place(row)),
            // The column shows an age: the youngest has the smallest value.
            SourceColumn::Since => SortKey::Number(-row.since.micros()),
            SourceColumn::Agents => SortKey::Number(i64::from(row.agents)),
            SourceColumn::LastError => text(error(row)),
            // Failing sources first, then in configured order.
            SourceColumn::State => SortKey::Pair(-(row.health as i64), i64::from(key.0)),
        }
    }

    fn row(&self, canvas: &Canvas<'_>, ctx: &Context, key: SourceKey) -> Row {
        let Some(row) = ctx.snapshot.sources.get(key) else { return Row::blank() };
        let label = states::source(row.health, ctx.glyphs());
        let plain = if row.health == SourceHealth::Working { Role::Plain } else { Role::Doubt };
        Row {
            mark: span(label.mark, label.role),
            cells: SourceColumn::cells(|column| match column {
                SourceColumn::Source => span(name(row), Role::Plain),
                SourceColumn::Kind => span(row.spec.kind.as_str(), Role::Quiet),
                SourceColumn::Where => span(place(row), Role::Quiet),
                SourceColumn::State => span(label.word.clone(), label.role),
                SourceColumn::Since => since(canvas, row),
                SourceColumn::Agents => span(format::count(row.agents as usize), plain),
                SourceColumn::LastError => span(error(row), Role::Plain),
            }),
            marked: false,
        }
    }
}

fn since(canvas: &Canvas<'_>, row: &SourceRow) -> Span {
    let since = if row.since > At::ZERO { canvas.coarse_age(row.since) } else { String::new() };
    span(since, Role::Plain)
}

/// The view.
#[derive(Debug)]
pub struct SourcesView {
    list: Listing<SourceRows>,
}

impl SourcesView {
    /// The sources, failing ones first.
    pub fn new() -> Self {
        Self { list: Listing::new(SourceRows, SourceColumn::State) }
    }

    /// The same with the cursor on one.
    #[must_use]
    pub fn at(mut self, key: SourceKey) -> Self {
        self.list.state.selected = Some(key);
        self
    }

    fn selected<'s>(&self, ctx: &'s Context) -> Option<&'s SourceRow> {
        ctx.snapshot.sources.get(self.list.target()?)
    }

    fn parts(&self, area: Rect) -> (Rect, Option<Rect>) {
        let inner = inside(area);
        if !self.list.state.details || inner.height < 12 || self.list.rows.is_empty() {
            return (inner, None);
        }
        let below = (inner.height / 2).clamp(6, 12);
        let list = Rect { height: inner.height - below, ..inner };
        (list, Some(Rect { y: list.bottom(), height: below, ..inner }))
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(self.parts(area).0.height.saturating_sub(1))
    }
}

impl Default for SourcesView {
    fn default() -> Self {
        Self::new()
    }
}

/// Everything about a source, in lines.
fn explain(canvas: &Canvas<'_>, ctx: &Context, row: &SourceRow, width: usize) -> about::Lines {
    let label = states::source(row.health, ctx.glyphs());
    let mut state = vec![span(format!("{} {}", label.mark, label.word), label.role)];
    if row.since > At::ZERO {
        state.push(span(format!(" since {}", canvas.since(row.since)), Role::Plain));
    }
    let mut lines = vec![labelled("STATE", state)];
    lines.extend(about::wrapped(
        "WHERE",
        &format!("{}, {}", row.spec.kind.as_str(), place(row)),
        Role::Plain,
        width,
    ));
    let agents = match (row.health, row.agents) {
        (SourceHealth::Unknown, _) => "it has reported nothing yet".to_owned(),
        (SourceHealth::Working, 1) => "it names 1".to_owned(),
        (SourceHealth::Working, count) => format!("it names {count}"),
        (SourceHealth::Failing, 0) => "it never reported an agent".to_owned(),
        (SourceHealth::Failing, count) => format!("{count}, as last reported; they stay"),
    };
    lines.extend(about::wrapped("AGENTS", &agents, Role::Plain, width));
    if let Some(cause) = &row.cause {
        lines.extend(about::wrapped("WHY", &error(row), Role::Plain, width));
        lines.extend(about::wrapped("NEXT", cause.next_step_of_source(), Role::You, width));
    }
    lines
}

impl Screen for SourcesView {
    fn word(&self) -> &'static str {
        "sources"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let lines = self.lines(area);
        self.list.refresh(&ctx.snapshot, lines)
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let count = ctx.snapshot.sources.len();
        let failing = |row: &SourceRow| row.health == SourceHealth::Failing;
        let failing = ctx.snapshot.sources.iter().filter(|(_, row)| failing(row)).count();
        let first = format!("{count} configured · {failing} failing");
        let facts = self.list.facts(ctx, area, first);
        canvas.rule(area, area.y, Edge::Top, &self.list.title(), &facts);
        let (list, below) = self.parts(area);
        if self.list.rows.is_empty() {
            let filtered = !self.list.state.settings.filter.is_empty() || self.list.state.settings.faults;
            return empty(
                canvas,
                ctx,
                list,
                filtered,
                &[
                    "No source of agents is configured.",
                    "Agents come only from the configuration and the command line. [[fleet.NAME.sources]] names a folder of cards, a URL, an ARD manifest, a registry, a Kubernetes cluster or SRV records; quarterdeck config example shows each.",
                ],
            );
        }
        self.list.draw(canvas, list, ctx);
        if let (Some(pane), Some(row)) = (below, self.selected(ctx)) {
            let whole = Rect { x: area.x, width: area.width, ..pane };
            canvas.rule(whole, pane.y, Edge::Middle, &[span(name(row), Role::Title)], &[]);
            let inner = Rect {
                x: pane.x + 1,
                y: pane.y + 1,
                width: pane.width.saturating_sub(2),
                height: pane.height - 1,
            };
            let lines = explain(canvas, ctx, row, usize::from(inner.width));
            text::draw(canvas, inner, &lines, &TextState::default());
        }
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
            Action::Open => {
                let row = self.selected(ctx)?;
                // A filter cannot contain spaces, so it uses the first word of the name.
                let name = name(row);
                let word = name.split_whitespace().next().unwrap_or_default();
                let page = Destination::Fleet(format!("source={word}"));
                Some(vec![Step::Open(Box::new(page))])
            }
            Action::NextPane => Some(vec![Step::Act(Action::ViewCandidates)]),
            _ => None,
        }
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Open, "its agents"),
            (Action::Filter, "filter"),
            (Action::Faults, "failing only"),
            (Action::Details, "details"),
            (Action::NextPane, "candidates"),
            (Action::Copy, "copy"),
            (Action::Back, "back"),
        ]
    }

    shows_list!(list);

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).0
    }

    fn target(&self, _ctx: &Context) -> Target {
        Target::default()
    }
}
