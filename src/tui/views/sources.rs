//! Where agents are found: each source with how it is, since when, and why it cannot be read.

use ratatui::layout::Rect;

use super::fleet::FleetView;
use super::listing::{List, Listing, Order, Rows};
use super::tasks::{empty, list_facts};
use super::{ListKind, Screen, Target, about, inside, labelled};
use crate::domain::fleet::source::{SourceHealth, SourceRow};
use crate::domain::id::SourceKey;
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::tui::actions::Action;
use crate::tui::model::{Shared, Step};
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Joint, Span, span};
use crate::tui::widgets::filter::Filtered;
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Column, Row, fixed, share};
use crate::tui::widgets::text::{self, TextState};
use crate::tui::{format, states};

/// The sources of the fleet.
#[derive(Clone, Debug)]
pub struct SourceRows;

struct Seen<'s>(&'s SourceRow);

impl Filtered for Seen<'_> {
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

impl Rows for SourceRows {
    type Key = SourceKey;

    const KIND: ListKind = ListKind::Sources;

    const COLUMNS: &'static [Column] = &[
        share("SOURCE", 'S', 14, 3, 9),
        fixed("KIND", 'K', 12, 4),
        share("WHERE", 'W', 14, 3, 3),
        fixed("STATE", 'T', 12, 8),
        fixed("SINCE", 'I', 9, 5),
        fixed("AGENTS", 'A', 6, 6).right(),
        share("LAST ERROR", 'E', 12, 4, 7),
    ];

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
        (!order.faults || row.health != SourceHealth::Working) && order.filter.passes(&Seen(row))
    }

    fn sort_key(&self, snapshot: &Snapshot, key: SourceKey, by: char) -> SortKey {
        let Some(row) = snapshot.sources.get(key) else { return SortKey::Number(0) };
        let text = |text: String| SortKey::Text(text.to_lowercase().into());
        match by {
            'S' => text(name(row)),
            'K' => text(row.spec.kind.as_str().into()),
            'W' => text(place(row)),
            // What is shown is an age: the youngest has the least.
            'I' => SortKey::Number(-row.since.micros()),
            'A' => SortKey::Number(i64::from(row.agents)),
            'E' => text(error(row)),
            // What fails first, then in the order configured.
            _ => SortKey::Pair(-(row.health as i64), i64::from(key.0)),
        }
    }

    fn highest_first(by: char) -> bool {
        by == 'A'
    }

    fn row(&self, canvas: &Canvas<'_>, shared: &Shared, key: SourceKey) -> Row {
        let Some(row) = shared.snapshot.sources.get(key) else {
            return Row { mark: span(" ", Role::Plain), cells: Vec::new(), marked: false };
        };
        let told = states::source(row.health, shared.glyphs());
        let plain = if row.health == SourceHealth::Working { Role::Plain } else { Role::Doubt };
        Row {
            mark: span(told.mark, told.role),
            cells: vec![
                span(name(row), Role::Plain),
                span(row.spec.kind.as_str(), Role::Quiet),
                span(place(row), Role::Quiet),
                span(told.word, told.role),
                since(canvas, row),
                span(format::count(row.agents as usize), plain),
                span(error(row), Role::Plain),
            ],
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
    /// What cannot be read first.
    pub fn new() -> Self {
        Self { list: Listing::new(SourceRows, 'T') }
    }

    /// The same with the cursor on one.
    #[must_use]
    pub fn at(mut self, key: SourceKey) -> Self {
        self.list.state.selected = Some(key);
        self
    }

    fn selected<'s>(&self, shared: &'s Shared) -> Option<&'s SourceRow> {
        shared.snapshot.sources.get(self.list.target()?)
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
fn explain(canvas: &Canvas<'_>, shared: &Shared, row: &SourceRow, width: usize) -> about::Lines {
    let told = states::source(row.health, shared.glyphs());
    let mut state = vec![span(format!("{} {}", told.mark, told.word), told.role)];
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
        (SourceHealth::Unknown, _) => "it has told nothing yet".to_owned(),
        (SourceHealth::Working, 1) => "it names 1".to_owned(),
        (SourceHealth::Working, count) => format!("it names {count}"),
        (SourceHealth::Failing, 0) => "it never named one".to_owned(),
        (SourceHealth::Failing, count) => format!("{count}, as it told before; they stay"),
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

    fn settle(&mut self, shared: &Shared, area: Rect) -> bool {
        let lines = self.lines(area);
        self.list.settle(&shared.snapshot, lines)
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, shared: &Shared) {
        let count = shared.snapshot.sources.len();
        let failing = |row: &SourceRow| row.health == SourceHealth::Failing;
        let failing = shared.snapshot.sources.iter().filter(|(_, row)| failing(row)).count();
        let first = format!("{count} configured · {failing} failing");
        let facts = list_facts(&self.list, shared, first);
        canvas.rule(area, area.y, Joint::Top, &self.list.title(), &facts);
        let (list, below) = self.parts(area);
        if self.list.rows.is_empty() {
            let filtered = !self.list.state.look.filter.is_empty() || self.list.state.look.faults;
            return empty(
                canvas,
                shared,
                list,
                filtered,
                &[
                    "No source of agents is configured.",
                    "Agents come from the configuration and the command line alone. [[fleet.NAME.sources]] names a folder of cards, a URL, an ARD manifest, a registry, a Kubernetes cluster or SRV records; quarterdeck config example shows each.",
                ],
            );
        }
        self.list.draw(canvas, list, shared);
        if let (Some(pane), Some(row)) = (below, self.selected(shared)) {
            let whole = Rect { x: area.x, width: area.width, ..pane };
            canvas.rule(whole, pane.y, Joint::Middle, &[span(name(row), Role::Title)], &[]);
            let inner = Rect {
                x: pane.x + 1,
                y: pane.y + 1,
                width: pane.width.saturating_sub(2),
                height: pane.height - 1,
            };
            let lines = explain(canvas, shared, row, usize::from(inner.width));
            text::draw(canvas, inner, &lines, &TextState::default());
        }
    }

    fn act(&mut self, action: Action, shared: &Shared, area: Rect) -> Option<Vec<Step>> {
        let lines = self.lines(area);
        if matches!(action, Action::Mark | Action::MarkAll | Action::MarkTo) {
            return None;
        }
        if self.list.act(action, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Open => {
                let row = self.selected(shared)?;
                // A filter has no spaces: the first word of a name is what it can say of it.
                let name = name(row);
                let word = name.split_whitespace().next().unwrap_or_default();
                let fleet = FleetView::new().filtered(&format!("source={word}"));
                Some(vec![Step::Open(Box::new(fleet.into()))])
            }
            Action::NextPane => Some(vec![Step::Act(Action::ViewCandidates)]),
            Action::Back => self.list.clear_one().then(Vec::new),
            _ => None,
        }
    }

    fn keys(&self, _shared: &Shared) -> Vec<(Action, &'static str)> {
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

    fn list(&self) -> Option<&dyn List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut dyn List> {
        Some(&mut self.list)
    }

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).0
    }

    fn target(&self, _shared: &Shared) -> Target {
        Target::default()
    }
}
