//! Agents named by other agents' cards. They are only listed, and not contacted until an operator adds one.

use std::collections::BTreeMap;
use std::sync::Arc;

use ratatui::layout::Rect;

use crate::domain::agent::candidates::{Candidate, Candidates};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::Target;
use crate::tui::overlays::service;
use crate::tui::saved_view::ListKind;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::listing::{List, Listing, Order, Rows, shows_list};
use crate::tui::widgets::canvas::{Canvas, Edge, span};
use crate::tui::widgets::filter::Filtered;
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Row, TableColumn, columns, flexible};

/// Those that are offered, each under a number of its own.
#[derive(Clone, Debug, Default)]
pub struct CandidateRows {
    index: Candidates,
    numbers: BTreeMap<Arc<str>, u32>,
    rows: BTreeMap<u32, Candidate>,
    rev: u64,
}

struct FilterRow<'s>(&'s Candidate, String);

impl Filtered for FilterRow<'_> {
    fn words(&self) -> Vec<String> {
        ["url", "name", "by"].iter().filter_map(|key| self.value(key)).collect()
    }

    fn value(&self, key: &str) -> Option<String> {
        match key {
            "url" => Some(self.0.url.to_string()),
            "name" => Some(name(self.0)),
            "by" => Some(self.1.clone()),
            _ => None,
        }
    }
}

fn name(candidate: &Candidate) -> String {
    candidate.name.as_ref().map_or_else(|| "–".to_owned(), |name| name.line().into_string())
}

fn named_by(snapshot: &Snapshot, candidate: &Candidate) -> String {
    let names = candidate.by.iter().filter_map(|key| snapshot.agents.get(*key)).take(8);
    names.map(|agent| agent.name.line().into_string()).collect::<Vec<_>>().join(", ")
}

impl CandidateRows {
    /// Applies changes; true if the candidates changed.
    fn sync(&mut self, snapshot: &Snapshot) -> bool {
        let mut new = false;
        match snapshot.changes_since(self.rev).filter(|_| self.rev > 0) {
            Some(changes) => {
                for change in changes {
                    if let Changed::Agent(key) = change {
                        new |= self.index.note(key, snapshot.agents.get(key));
                    }
                }
            }
            None => {
                self.index = Candidates::of(snapshot.agents.iter());
                new = true;
            }
        }
        self.rev = snapshot.rev;
        if new {
            self.rows.clear();
            for candidate in self.index.iter() {
                let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
                let number = *self.numbers.entry(candidate.url.clone()).or_insert(next);
                self.rows.insert(number, candidate);
            }
        }
        new
    }
}

columns! {
    /// The columns of candidates.
    pub enum CandidateColumn {
        Url = flexible("URL", 'U', 20, 9),
        Name = flexible("NAME", 'N', 12, 7),
        NamedBy = flexible("NAMED BY", 'B', 14, 8),
    }
}

impl Rows for CandidateRows {
    type Key = u32;

    const KIND: ListKind = ListKind::Candidates;

    type Column = CandidateColumn;

    fn keys<'s>(&'s self, _snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = u32> + 's> {
        Box::new(self.rows.keys().copied())
    }

    // Every change of the candidates reads the list again.
    fn changed(&self, _snapshot: &Snapshot, _changed: Changed, _rows: &mut Vec<u32>) {}

    fn shows(&self, snapshot: &Snapshot, key: u32, order: &Order) -> bool {
        let Some(row) = self.rows.get(&key) else { return false };
        order.filter.passes(&FilterRow(row, named_by(snapshot, row)))
    }

    fn sort_key(&self, snapshot: &Snapshot, key: u32, by: CandidateColumn) -> SortKey {
        let Some(row) = self.rows.get(&key) else { return SortKey::Number(0) };
        let text = match by {
            CandidateColumn::Name => name(row),
            CandidateColumn::NamedBy => named_by(snapshot, row),
            CandidateColumn::Url => row.url.to_string(),
        };
        SortKey::Text(text.to_lowercase().into())
    }

    fn row(&self, _canvas: &Canvas<'_>, ctx: &Context, key: u32) -> Row {
        let Some(row) = self.rows.get(&key) else { return Row::blank() };
        Row {
            mark: span(ctx.glyphs().unknown, Role::Doubt),
            cells: CandidateColumn::cells(|column| match column {
                CandidateColumn::Url => span(Untrusted::from(&*row.url).line().into_string(), Role::Plain),
                CandidateColumn::Name => span(name(row), Role::Plain),
                CandidateColumn::NamedBy => span(named_by(&ctx.snapshot, row), Role::Quiet),
            }),
            marked: false,
        }
    }
}

/// The view.
#[derive(Debug)]
pub struct CandidatesView {
    list: Listing<CandidateRows>,
}

impl CandidatesView {
    /// The list, sorted by URL.
    pub fn new() -> Self {
        Self { list: Listing::new(CandidateRows::default(), CandidateColumn::Url) }
    }

    fn lines(area: Rect) -> usize {
        usize::from(inside(area).height.saturating_sub(1))
    }
}

impl Default for CandidatesView {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen for CandidatesView {
    fn word(&self) -> &'static str {
        "candidates"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        if self.list.source.sync(&ctx.snapshot) {
            self.list.rebuild();
        }
        self.list.refresh(&ctx.snapshot, Self::lines(area))
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let count = self.list.source.rows.len();
        let facts = self.list.facts(ctx, area, format!("{count} named by cards, none of them asked"));
        canvas.rule(area, area.y, Edge::Top, &self.list.title(), &facts);
        if self.list.rows.is_empty() {
            let filtered = !self.list.state.settings.filter.is_empty();
            return empty(
                canvas,
                ctx,
                inside(area),
                filtered,
                &[
                    "No card names an agent that is not in the fleet.",
                    "Whom a card names as peers, agents or delegations, in itself, in its metadata or in the params of an extension, is offered here; nothing is called before you add it.",
                ],
            );
        }
        self.list.draw(canvas, inside(area), ctx);
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        if matches!(action, Action::Mark | Action::MarkAll | Action::MarkTo) {
            return None;
        }
        if self.list.act(action, Self::lines(area)) {
            return Some(Vec::new());
        }
        match action {
            Action::Service | Action::Answer => {
                let row = self.list.source.rows.get(&self.list.target()?)?;
                let menu = service::candidate(ctx, &row.url, &named_by(&ctx.snapshot, row));
                Some(vec![Step::Menu(Box::new(menu))])
            }
            _ => None,
        }
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Service, "add it"),
            (Action::Filter, "filter"),
            (Action::Copy, "copy"),
            (Action::Back, "back"),
        ]
    }

    fn target(&self, _ctx: &Context) -> Target {
        Target::default()
    }

    shows_list!(list);
}
