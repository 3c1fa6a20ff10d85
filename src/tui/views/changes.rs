//! Changes in and around the fleet: cards, health, breakers, operators, sources, traffic. Newest first.

use std::sync::Arc;

use ratatui::layout::Rect;

use crate::domain::fact::Owner;
use crate::domain::fleet::changes::{Change, changes, fold};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;
use crate::engine::Answer;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::fact_cache::{FLEET_FACTS, FactCache};
use crate::tui::queries::{Ask, Subscription};
use crate::tui::saved_view::ListKind;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::listing::{List, Listing, Order, Rows, shows_list};
use crate::tui::widgets::canvas::{Canvas, Edge, span};
use crate::tui::widgets::filter::Filtered;
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Row, TableColumn, columns, fixed, flexible};

/// Changes, newest first.
#[derive(Clone, Debug, Default)]
pub struct ChangeRows(Arc<Vec<Change>>);

/// When a change was, and its place among those of that time: newer ones do not move it.
type Key = (At, u32);

struct FilterRow<'s>(&'s Snapshot, &'s Change);

impl FilterRow<'_> {
    /// Its agent, or the agents of the changes that it stands for.
    fn agent(&self) -> Option<String> {
        let agents = self.1.agent.into_iter().chain(self.1.members.iter().filter_map(|one| one.agent));
        let names = agents.filter_map(|key| Some(self.0.agents.get(key)?.name.line().into_string()));
        Some(names.collect::<Vec<_>>().join(" ")).filter(|names| !names.is_empty())
    }
}

impl Filtered for FilterRow<'_> {
    fn words(&self) -> Vec<String> {
        let all = std::iter::once(self.1).chain(&self.1.members);
        let words = all.map(|change| change.words.line().into_string());
        std::iter::once(self.1.kind.as_str().to_owned()).chain(words).collect()
    }

    fn value(&self, key: &str) -> Option<String> {
        match key {
            "kind" => Some(self.1.kind.as_str().to_owned()),
            "agent" => self.agent(),
            _ => None,
        }
    }
}

impl ChangeRows {
    fn change(&self, (at, place): Key) -> Option<&Change> {
        let first = self.0.partition_point(|change| change.at > at);
        let found = self.0.get(first + usize::try_from(place).ok()?);
        found.filter(|change| change.at == at)
    }
}

columns! {
    /// The columns of changes.
    pub enum ChangeColumn {
        When = fixed("WHEN", 'W', 10, 8).highest_first(),
        Age = fixed("AGE", 'E', 4, 7).right(),
        Kind = fixed("KIND", 'K', 8, 6),
        What = flexible("WHAT", 'H', 20, 9),
    }
}

impl Rows for ChangeRows {
    type Key = Key;

    const KIND: ListKind = ListKind::Changes;

    type Column = ChangeColumn;

    fn keys<'s>(&'s self, _snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = Key> + 's> {
        let mut before: Option<Key> = None;
        Box::new(self.0.iter().map(move |change| {
            let place = before.filter(|(at, _)| *at == change.at).map_or(0, |(_, place)| place + 1);
            *before.insert((change.at, place))
        }))
    }

    fn changed(&self, _snapshot: &Snapshot, _changed: Changed, _rows: &mut Vec<Key>) {}

    fn shows(&self, snapshot: &Snapshot, key: Key, order: &Order) -> bool {
        self.change(key).is_some_and(|change| order.filter.passes(&FilterRow(snapshot, change)))
    }

    fn sort_key(&self, _snapshot: &Snapshot, key: Key, by: ChangeColumn) -> SortKey {
        let Some(change) = self.change(key) else { return SortKey::Number(0) };
        match by {
            ChangeColumn::Kind => SortKey::Pair(change.kind as i64, -change.at.micros()),
            ChangeColumn::What => SortKey::Text(change.words.line().to_lowercase().into()),
            // What is shown is an age: the youngest has the least.
            ChangeColumn::Age => SortKey::Number(-change.at.micros()),
            ChangeColumn::When => SortKey::Number(change.at.micros()),
        }
    }

    fn row(&self, canvas: &Canvas<'_>, ctx: &Context, key: Key) -> Row {
        let Some(change) = self.change(key) else { return Row::blank() };
        Row {
            mark: span(" ", Role::Plain),
            cells: ChangeColumn::cells(|column| match column {
                ChangeColumn::When => span(ctx.clocks.second(change.at, ctx.now), Role::Plain),
                ChangeColumn::Age => span(canvas.coarse_age(change.at), Role::Quiet),
                ChangeColumn::Kind => span(change.kind.as_str(), Role::Quiet),
                ChangeColumn::What => span(change.words.line().into_string(), Role::Plain),
            }),
            marked: false,
        }
    }
}

/// What `enter` opens: the agent of a change, or the changes that it stands for.
pub fn destination(ctx: &Context, change: &Change) -> Option<Destination> {
    if change.members.is_empty() {
        return Destination::agent(ctx, change.agent?);
    }
    let line = |one: &Change| {
        let at = ctx.clocks.second(one.at, ctx.now);
        vec![span(format!("{at}  "), Role::Quiet), span(one.words.line().into_string(), Role::Plain)]
    };
    let title = format!("changes › {}", change.words.line());
    let lines = change.members.iter().map(line).collect();
    Some(Destination::RawText { title, lines, target: Target::default() })
}

/// The view.
#[derive(Debug)]
pub struct ChangesView {
    list: Listing<ChangeRows>,
    /// Facts of the whole fleet.
    facts: FactCache,
    /// The point in time that the changes are shown around; `None` for the window.
    around: Option<At>,
    /// The inputs that the rows were built from.
    of: Option<(u64, u64, At)>,
}

impl ChangesView {
    /// In the window, or around something that happened before it.
    pub fn new(around: Option<At>) -> Self {
        Self {
            list: Listing::new(ChangeRows::default(), ChangeColumn::When),
            facts: FactCache::default(),
            around,
            of: None,
        }
    }

    /// The displayed period: the window, or the two hours before `around`.
    fn stretch(&self, ctx: &Context) -> (At, At) {
        let parts = ctx.window.parts(ctx.now);
        let from = parts.from.begins();
        let before = self.around.map(|at| at - std::time::Duration::from_secs(2 * 3600));
        (before.map_or(from, |before| before.min(from)), parts.until.begins())
    }
}

impl Screen for ChangesView {
    fn word(&self) -> &'static str {
        "changes"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let (from, until) = self.stretch(ctx);
        let of = (ctx.snapshot.rev, self.facts.reads(), from);
        let mut visible = false;
        if self.of != Some(of) {
            self.of = Some(of);
            let facts = self.facts.of(Owner::Fleet).unwrap_or_default();
            let all = fold(changes(&ctx.snapshot, facts, from, until));
            if all != *self.list.source.0 {
                self.list.source = ChangeRows(Arc::new(all));
                self.list.rebuild();
                visible = true;
            }
        }
        let lines = usize::from(inside(area).height.saturating_sub(1));
        visible | self.list.refresh(&ctx.snapshot, lines)
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let count = self.list.rows.len();
        let window = ctx.window.word(&ctx.clocks);
        let (from, _) = self.stretch(ctx);
        let first = match self.around {
            // It goes further back than the window where the row happened before that.
            Some(at) if from < ctx.window.parts(ctx.now).from.begins() => {
                format!("{count} from 2h before {} on", ctx.clocks.time_of_day(at))
            }
            _ => format!("{count} in {window}"),
        };
        let facts = self.list.facts(ctx, area, first);
        canvas.rule(area, area.y, Edge::Top, &self.list.title(), &facts);
        if self.list.rows.is_empty() {
            let filtered = !self.list.state.settings.filter.is_empty();
            return empty(
                canvas,
                ctx,
                inside(area),
                filtered,
                &[
                    "No change is known in this window.",
                    &format!("{} chooses another one.", ctx.key(Action::Time)),
                ],
            );
        }
        self.list.draw(canvas, inside(area), ctx);
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        if matches!(action, Action::Mark | Action::MarkAll | Action::MarkTo) {
            return None;
        }
        let lines = usize::from(inside(area).height.saturating_sub(1));
        if self.list.act(action, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Open => {
                let change = self.list.target().and_then(|key| self.list.source.change(key))?;
                Some(vec![Step::Open(Box::new(destination(ctx, change)?))])
            }
            _ => None,
        }
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        let change = self.list.target().and_then(|key| self.list.source.change(key));
        let opens = if change.is_some_and(|change| change.members.len() > 1) { "each" } else { "its agent" };
        vec![
            (Action::Open, opens),
            (Action::Time, "time"),
            (Action::Filter, "filter"),
            (Action::Copy, "copy"),
            (Action::Back, "back"),
        ]
    }

    fn target(&self, _ctx: &Context) -> Target {
        let change = self.list.target().and_then(|key| self.list.source.change(key));
        Target { agent: change.and_then(|change| change.agent), ..Target::default() }
    }

    shows_list!(list);

    fn queries(&self, ctx: &Context) -> Vec<Subscription> {
        vec![FactCache::query("fleet facts", Owner::Fleet, ctx.snapshot.fleet_seq, FLEET_FACTS)]
    }

    fn on_answer(&mut self, ask: &Ask, answer: Answer) {
        self.facts.take(ask, answer);
    }
}
