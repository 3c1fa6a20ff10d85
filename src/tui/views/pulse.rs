//! The pulse: a heat map of the agents over time. Each cell shows how far the agent deviated from its own baseline,
//! readable from a distance.

use std::time::Duration;

use ratatui::layout::Rect;

use crate::domain::agent::Health;
use crate::domain::metrics::{Dimension, Heat, HeatCause, Minute, share as share_of};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::format;
use crate::tui::metrics::{Group, Groups};
use crate::tui::queries::Subscription;
use crate::tui::saved_view::ListKind;
use crate::tui::screen::Screen;
use crate::tui::states;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::listing::{Listing, Order, Rows, shows_list};
use crate::tui::views::measured::{MeasuredGroups, Named};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Row, TableColumn, columns, fixed, flexible};

/// The interval between two reads while the view is shown.
const EVERY: Duration = Duration::from_secs(2);
/// The width of the text after a row's cells.
pub const FACTS: u16 = 15;

/// The agents of a window, the worst first.
#[derive(Clone, Debug, Default)]
pub struct PulseRows {
    /// The groups.
    pub groups: MeasuredGroups,
}

columns! {
    /// The columns of the pulse, as the clipboard has them.
    pub enum PulseColumn {
        Agent = flexible("AGENT", 'A', 14, 9),
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
        // Those that fail come before those that are only slow.
        let fails = i64::from(heat >= Heat::Much as u32 && group.cause_lately() == Some(HeatCause::Failures));
        SortKey::Pair(down * 20 + fails * 10 + i64::from(heat), i64::from(bad))
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
                PulseColumn::Now => now(ctx, group, u16::MAX),
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
pub fn now(ctx: &Context, group: &Group, room: u16) -> Span {
    let agent = group.agent.and_then(|key| ctx.snapshot.agents.get(key));
    if let Some(agent) = agent.filter(|agent| !matches!(agent.health, Health::Up | Health::Degraded)) {
        let label = states::agent(agent, ctx.glyphs());
        return span(label.word, label.role);
    }
    let last: Vec<_> = group.parts.iter().rev().take(5).filter(|part| !part.made_up).collect();
    let recent = ctx.now - Duration::from_secs(5 * 60);
    let outage = agent.and_then(|agent| agent.last_outage());
    if let Some((from, until)) = outage.and_then(|outage| Some((outage.from, outage.until?)))
        && until >= recent
    {
        return span(format!("was down {}", format::duration(until.since(from))), Role::Warn);
    }
    let (ended, bad) =
        last.iter().fold((0, 0), |(ended, bad), part| (ended + part.tally.ended(), bad + part.tally.bad()));
    match group.lately() {
        Heat::Unwatched => span("not watched", Role::Doubt),
        Heat::Usual => span("as usual", Role::Quiet),
        _ => {
            let slow = |what: &str, now: Duration, usual: Duration| {
                let short = format!("{what} {}", format::measured(now));
                let long = format!("{short}, usually {}", format::measured(usual));
                let text = if long.chars().count() <= usize::from(room) { long } else { short };
                span(text, Role::Warn)
            };
            match group.cause_lately() {
                Some(HeatCause::Took(now, usual)) => slow("tasks", now, usual),
                Some(HeatCause::Answers(now, usual)) => slow("answers", now, usual),
                Some(HeatCause::Failures) if bad > 0 => {
                    let role = if bad * 5 > ended { Role::Bad } else { Role::Warn };
                    let percent = share_of(u64::from(bad), u64::from(ended), 100);
                    span(format!("{percent} % {}", ctx.glyphs().failed), role)
                }
                Some(HeatCause::Failures)
                    if group.parts.iter().rev().take(5).any(|part| part.tally.bad() > 0) =>
                {
                    span("some failed", Role::Warn)
                }
                Some(HeatCause::Failures) => span("calls failed", Role::Warn),
                // An outage that ended longer ago than it is named.
                None => span("was down", Role::Warn),
            }
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

    /// The lines of the inside: without those of the axis and the legend.
    fn lines(area: Rect) -> usize {
        usize::from(inside(area).height.saturating_sub(FOOT))
    }
}

/// Where a row's name, cells and verdict are.
struct Columns {
    name: u16,
    /// The first part that is drawn: the oldest are left out where not all fit.
    skip: usize,
    /// The drawn cells together.
    width: u16,
}

impl Columns {
    fn fit(inner: Rect, longest: usize, parts: usize) -> Self {
        let parts = u16::try_from(parts).unwrap_or(u16::MAX).max(1);
        let fixed = NAME_AT + FACTS + 2;
        // Names give way to cells, down to half of what is left.
        let room = inner.width.saturating_sub(fixed);
        let name = u16::try_from(longest).unwrap_or(u16::MAX).clamp(8, (room / 2).max(8));
        let name = name.min(room.saturating_sub(parts).max(13));
        let room = room.saturating_sub(name);
        let each = (room / parts).clamp(1, 6);
        let shown = parts.min(room / each);
        Self { name, skip: usize::from(parts - shown), width: shown * each }
    }
}

/// Lines below the rows: the axis and the legend.
const FOOT: u16 = 2;
/// The place of a name in its row, after the cursor and the mark.
const NAME_AT: u16 = 3;

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
        let lines = Self::lines(area);
        visible |= self.list.refresh(&ctx.snapshot, lines);
        visible
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let parts = ctx.window.parts(ctx.now);
        let each = match parts.step {
            1 => "a minute".to_owned(),
            step => format::window(Duration::from_secs(u64::from(step) * 60)),
        };
        let first = format!("{} · each cell {each}", ctx.window_words());
        let facts = self.list.facts(ctx, area, first);
        canvas.rule(area, area.y, Edge::Top, &[span("pulse", Role::Title)], &facts);
        let inner = inside(area);
        if self.list.rows.is_empty() {
            let filtered = !self.list.state.settings.filter.is_empty() || self.list.state.settings.faults;
            return empty(canvas, ctx, inner, filtered, &["No agent was watched in this window."]);
        }
        let (window, cursor) = self.list.state.window(&self.list.rows, Self::lines(area));
        let groups = || window.iter().filter_map(|key| self.list.source.groups.get(*key));
        let longest = groups().map(|group| group.name.chars().count()).max().unwrap_or(0);
        let columns = Columns::fit(inner, longest, parts.count());
        let left = inner.x + NAME_AT + columns.name + 1;
        for (line, group) in groups().enumerate() {
            let y = inner.y + u16::try_from(line).unwrap_or(0);
            let agent = group.agent.and_then(|key| ctx.snapshot.agents.get(key));
            if let Some(label) = agent.map(|agent| states::agent(agent, ctx.glyphs())) {
                canvas.put(inner.x + 1, y, label.mark, label.role, 1);
            }
            canvas.put(inner.x + NAME_AT, y, &group.name, Role::Plain, columns.name);
            if cursor.unwrap_or(0) == line {
                canvas.put(inner.x, y, canvas.theme.glyphs.cursor, Role::You, 1);
                canvas.select(Rect::new(inner.x + 1, y, columns.name + NAME_AT - 1, 1));
            }
            draw_cells(canvas, Rect { x: left, y, width: columns.width, height: 1 }, group);
            let x = left + columns.width + 1;
            let room = inner.right().saturating_sub(x).max(FACTS);
            let now = now(ctx, group, room);
            canvas.put(x, y, &now.text, now.role, room);
        }
        // The axis follows the last row.
        let rows = u16::try_from(window.len()).unwrap_or(u16::MAX);
        let y = (inner.y + rows).min(inner.bottom().saturating_sub(FOOT));
        let time = |part: usize| {
            let minutes = u32::try_from(part).unwrap_or(0).saturating_mul(parts.step);
            ctx.clocks.time_of_day(parts.from.after(minutes).begins())
        };
        canvas.put(left, y, &time(columns.skip), Role::Quiet, columns.width);
        let end = if parts.place(Minute::of(ctx.now)).is_some() { "now".into() } else { time(parts.count()) };
        if columns.width > 12 {
            canvas.put_right(left + columns.width, y, &end, Role::Quiet, columns.width - 6);
        }
        let ascii = canvas.theme.is_ascii();
        let legend = |words: [&str; 5]| {
            let all = [Heat::Usual, Heat::Some, Heat::Much, Heat::High, Heat::Full];
            let parts =
                all.iter().zip(words).map(|(heat, words)| format!("{} {words}", mark(*heat, ascii).0));
            parts.collect::<Vec<_>>().join("  ")
        };
        let long =
            ["as usual", "some failed, or 2 times slower", "5 %, 4 times", "20 %, 8 times", "half, or down"];
        let short = ["usual", "some, 2x", "5 %, 4x", "20 %, 8x", "half, down"];
        let room = inner.width.saturating_sub(2);
        let text = Some(legend(long)).filter(|text| text.chars().count() <= usize::from(room));
        let text = text.unwrap_or_else(|| legend(short));
        canvas.put(inner.x + 1, inner.bottom() - 1, &text, Role::Quiet, room);
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let lines = Self::lines(area);
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
        let line = y.checked_sub(inner.y).map(usize::from);
        line.is_some_and(|line| self.list.state.click(line))
    }

    shows_list!(list);

    fn queries(&self, _ctx: &Context) -> Vec<Subscription> {
        vec![Subscription::Metrics(EVERY)]
    }
}
