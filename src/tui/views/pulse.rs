//! The pulse: a heat map of the agents over time. Each cell shows how far the agent deviated from its own baseline,
//! readable from a distance.

use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::agent::Health;
use crate::domain::metrics::{Dimension, Heat};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::metrics::{Group, Groups};
use crate::tui::queries::Subscription;
use crate::tui::saved_view::ListKind;
use crate::tui::screen::Screen;
use crate::tui::states;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::listing::{List, Listing, Order, Rows};
use crate::tui::views::measured::{MeasuredGroups, Named, percentile};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Row, TableColumn, columns, fixed, share};

/// The interval between two reads while the view is shown.
const EVERY: Duration = Duration::from_secs(2);
/// The width of the text after a row's cells.
const FACTS: u16 = 13;

/// The agents of a window, the worst first.
#[derive(Clone, Debug, Default)]
pub struct PulseRows {
    /// The groups.
    pub groups: MeasuredGroups,
}

columns! {
    /// The columns of the pulse, as the clipboard has them.
    pub enum PulseColumn {
        Agent = share("AGENT", 'A', 14, 3, 9),
        Heat = fixed("HEAT", 'H', 30, 8).highest_first(),
        Now = fixed("NOW", 'N', FACTS, 8).highest_first(),
    }
}

impl Rows for PulseRows {
    type Key = u32;

    const KIND: ListKind = ListKind::Pulse;

    type Column = PulseColumn;

    fn keys<'s>(&'s self, _snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = u32> + 's> {
        self.groups.keys()
    }

    fn changed(&self, _snapshot: &Snapshot, _changed: Changed, _rows: &mut Vec<u32>) {}

    fn shows(&self, snapshot: &Snapshot, key: u32, order: &Order) -> bool {
        let Some(group) = self.groups.get(key) else { return false };
        let listed = group.agent.and_then(|key| snapshot.agents.get(key)).is_some_and(|agent| agent.listed);
        listed
            && (!order.faults || group.badness().0 > Heat::Usual as u32)
            && order.filter.passes(&Named(group, &["name", "agent"]))
    }

    fn sort_key(&self, snapshot: &Snapshot, key: u32, by: PulseColumn) -> SortKey {
        let Some(group) = self.groups.get(key) else { return SortKey::Number(0) };
        if by == PulseColumn::Agent {
            return SortKey::Text(group.name.to_lowercase().into());
        }
        let down = group.agent.and_then(|key| snapshot.agents.get(key)).map_or(0, |agent| {
            i64::from(matches!(agent.health, Health::Down | Health::LoginNeeded | Health::NotSpoken))
        });
        let (heat, bad) = group.badness();
        SortKey::Pair(down * 10 + i64::from(heat), i64::from(bad))
    }

    fn row(&self, canvas: &Canvas<'_>, ctx: &Context, key: u32) -> Row {
        let Some(group) = self.groups.get(key) else { return Row::blank() };
        let ascii = canvas.theme.is_ascii();
        let cells = group.heat.iter().map(|heat| mark(*heat, ascii).0).collect::<String>();
        Row {
            mark: span(" ", Role::Plain),
            cells: PulseColumn::cells(|column| match column {
                PulseColumn::Agent => span(group.name.clone(), Role::Plain),
                PulseColumn::Heat => span(cells.clone(), Role::Plain),
                PulseColumn::Now => now(ctx, group),
            }),
            marked: false,
        }
    }
}

/// The symbol and role of a cell.
pub fn mark(heat: Heat, ascii: bool) -> (char, Role) {
    let (unicode, plain, role) = match heat {
        Heat::Unwatched => (' ', ' ', Role::Quiet),
        Heat::Usual => ('·', '.', Role::Ok),
        Heat::Some => ('░', '-', Role::Warn),
        Heat::Much => ('▒', '=', Role::Warn),
        Heat::High => ('▓', '%', Role::Bad),
        Heat::Full => ('█', '#', Role::Bad),
    };
    (if ascii { plain } else { unicode }, role)
}

/// The text after a row: its current fault, or that there is none.
pub fn now(ctx: &Context, group: &Group) -> Span {
    let agent = group.agent.and_then(|key| ctx.snapshot.agents.get(key));
    if let Some(agent) = agent.filter(|agent| !matches!(agent.health, Health::Up | Health::Degraded)) {
        let label = states::agent(agent, ctx.glyphs());
        return span(label.word, label.role);
    }
    let last: Vec<_> = group.parts.iter().rev().take(5).collect();
    let (ended, bad) =
        last.iter().fold((0, 0), |(ended, bad), part| (ended + part.tally.ended(), bad + part.tally.bad()));
    match group.lately() {
        Heat::Unwatched => span("not watched", Role::Doubt),
        Heat::Usual => span("as usual", Role::Quiet),
        _ if bad > 0 => {
            let role = if bad * 5 > ended { Role::Bad } else { Role::Warn };
            span(format!("{} % {}", (bad * 100).div_ceil(ended.max(1)), ctx.glyphs().failed), role)
        }
        _ => {
            let slowest = last.iter().max_by_key(|part| part.tally.took.percentile(95));
            let p95 = slowest.map_or_else(String::new, |part| percentile(&part.tally.took, 95));
            span(format!("p95 {p95}"), Role::Warn)
        }
    }
}

/// Draws the cells of a group, as large as the area allows.
pub fn draw_cells(canvas: &mut Canvas<'_>, area: Rect, group: &Group) {
    let heat = &group.heat;
    let count = u16::try_from(heat.len()).unwrap_or(u16::MAX).max(1);
    let wide = (area.width / count).max(1);
    let ascii = canvas.theme.is_ascii();
    // If not all fit, the oldest are dropped.
    let skip = usize::from(count.saturating_sub(area.width / wide));
    for (at, heat) in heat.iter().skip(skip).enumerate() {
        let (glyph, role) = mark(*heat, ascii);
        let text = glyph.to_string().repeat(usize::from(wide));
        let x = area.x + u16::try_from(at).unwrap_or(0) * wide;
        for y in area.y..area.bottom() {
            canvas.put(x, y, &text, role, wide);
        }
    }
}

/// The view.
#[derive(Debug)]
pub struct PulseView {
    groups: Groups,
    list: Listing<PulseRows>,
}

impl PulseView {
    /// The agents, worst first.
    pub fn new() -> Self {
        Self {
            groups: Groups::new(Dimension::Agent),
            list: Listing::new(PulseRows::default(), PulseColumn::Heat),
        }
    }

    /// How many lines a row takes: two where all of them fit.
    fn high(&self, area: Rect) -> u16 {
        let height = inside(area).height.saturating_sub(2);
        let rows = u16::try_from(self.list.rows.len()).unwrap_or(u16::MAX).max(1);
        (height / rows).clamp(1, 3)
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(inside(area).height.saturating_sub(2) / self.high(area))
    }
}

impl Default for PulseView {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen for PulseView {
    fn word(&self) -> &'static str {
        "pulse"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let mut visible = self.groups.refresh(ctx);
        if visible {
            self.list.source = PulseRows { groups: MeasuredGroups::new(self.groups.all()) };
            self.list.rebuild();
        }
        let lines = self.lines(area);
        visible |= self.list.refresh(&ctx.snapshot, lines);
        visible
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let parts = ctx.window.parts(ctx.now);
        let each = match parts.step {
            1 => "a minute".to_owned(),
            step => crate::tui::format::window(Duration::from_secs(u64::from(step) * 60)),
        };
        let first = format!("last {} · each cell {each}", ctx.window.word(&ctx.clocks));
        let facts = self.list.facts(ctx, first);
        canvas.rule(area, area.y, Edge::Top, &[span("pulse", Role::Title)], &facts);
        let inner = inside(area);
        if self.list.rows.is_empty() {
            let filtered = !self.list.state.settings.filter.is_empty() || self.list.state.settings.faults;
            return empty(canvas, ctx, inner, filtered, &["No agent was watched in this window."]);
        }
        let names = self.list.rows.iter().filter_map(|key| self.list.source.groups.get(key));
        let name = names.map(|group| group.name.chars().count()).max().unwrap_or(0);
        let name = u16::try_from(name).unwrap_or(30).clamp(8, (inner.width / 4).max(8));
        let high = self.high(area);
        let (window, cursor) = self.list.state.window(&self.list.rows, self.lines(area));
        let left = inner.x + name + 5;
        let room = inner.width.saturating_sub(name + 5 + FACTS + 1);
        for (line, key) in window.iter().enumerate() {
            let Some(group) = self.list.source.groups.get(*key) else { continue };
            let y = inner.y + u16::try_from(line).unwrap_or(0) * high;
            let agent = group.agent.and_then(|key| ctx.snapshot.agents.get(key));
            let label = agent.map(|agent| states::agent(agent, ctx.glyphs()));
            if let Some(label) = label {
                canvas.put(inner.x + 1, y, label.mark, label.role, 1);
            }
            canvas.put(inner.x + 3, y, &group.name, Role::Plain, name);
            if cursor == Some(line) {
                canvas.put(inner.x, y, canvas.theme.glyphs.cursor, Role::You, 1);
                canvas.tint(Rect::new(inner.x + 1, y, name + 3, 1), Role::Accent);
            }
            let gap = u16::from(high > 1);
            draw_cells(canvas, Rect { x: left, y, width: room, height: high - gap }, group);
            let now = now(ctx, group);
            canvas.put_right(inner.right(), y, &now.text, now.role, FACTS);
        }
        let y = inner.bottom() - 1;
        let begins = ctx.clocks.time_of_day(parts.from.begins());
        canvas.put(left, y, &begins, Role::Quiet, room);
        let ascii = canvas.theme.is_ascii();
        let legend: String = [
            (Heat::Usual, "as usual"),
            (Heat::Some, "some failed, 2 times slower"),
            (Heat::Much, "5 %, 4 times"),
            (Heat::High, "20 %, 8 times"),
            (Heat::Full, "half, or gone"),
        ]
        .map(|(heat, words)| format!("{} {words}", mark(heat, ascii).0))
        .join("  ");
        let legend_room = inner.width.saturating_sub(name + 13);
        canvas.put_right(inner.right(), y, &legend, Role::Quiet, legend_room);
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
                let group = self.list.target().and_then(|key| self.list.source.groups.get(key))?;
                let page = Destination::agent(ctx, group.agent?)?;
                Some(vec![Step::Open(Box::new(page))])
            }
            Action::Back => self.list.clear_one().then(Vec::new),
            _ => None,
        }
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Open, "open"),
            (Action::Time, "time"),
            (Action::ViewMetrics, "metrics"),
            (Action::ViewProblems, "problems"),
            (Action::Faults, "faults only"),
            (Action::Filter, "filter"),
            (Action::Service, "in/out of service"),
        ]
    }

    fn target(&self, _ctx: &Context) -> Target {
        let group = self.list.target().and_then(|key| self.list.source.groups.get(key));
        Target { agent: group.and_then(|group| group.agent), ..Target::default() }
    }

    fn click(&mut self, _ctx: &Context, area: Rect, _x: u16, y: u16) -> bool {
        let inner = inside(area);
        let line = y.checked_sub(inner.y).map(|y| usize::from(y / self.high(area)));
        line.is_some_and(|line| self.list.state.click(line))
    }

    fn list(&self) -> Option<&dyn List> {
        Some(&self.list)
    }

    fn list_mut(&mut self) -> Option<&mut dyn List> {
        Some(&mut self.list)
    }

    fn queries(&self, _ctx: &Context) -> Vec<Subscription> {
        vec![Subscription::Metrics(EVERY)]
    }
}
