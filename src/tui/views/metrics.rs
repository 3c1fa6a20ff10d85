//! Metrics by agent, skill or caller: counts, shares and durations, with charts of the marked rows.

use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget};

use crate::domain::agent::replicas;
use crate::domain::metrics::objective::{BurnRate, Objective};
use crate::domain::metrics::{Dimension, DimensionValue, Minute, Series, Tally};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::tui::actions::Action;
use crate::tui::context::Context;
use crate::tui::destination::{Destination, Target};
use crate::tui::format;
use crate::tui::metrics::{Group, Groups, Part, Split};
use crate::tui::queries::Subscription;
use crate::tui::saved_view::ListKind;
use crate::tui::screen::Screen;
use crate::tui::step::Step;
use crate::tui::theme::Role;
use crate::tui::views::frame::{empty, inside};
use crate::tui::views::listing::{Listing, Order, Rows, shows_list};
use crate::tui::views::measured::{
    MeasuredGroups, Named, a_minute, count, micros, ok_percent, ok_role, over_time, percentile, trend,
};
use crate::tui::widgets::canvas::{Canvas, Edge, Span, span};
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Row, TableColumn, columns, fixed, flexible};

/// The interval between two reads while the view is shown.
const EVERY: Duration = Duration::from_secs(1);
/// Cells of the trend.
const TREND: u16 = 30;
/// The maximum number of groups compared in one chart.
const COMPARED: usize = 4;
/// The lines of a chart, in the order of those that are compared. None of them looks like the focus: the list has it.
const LINES: [Role; COMPARED] = [Role::Plain, Role::You, Role::Ok, Role::Warn];

/// The groups of a window.
#[derive(Clone, Debug)]
pub struct GroupRows {
    groups: MeasuredGroups,
    /// Burn rates, for groups with an objective.
    burns: Arc<Vec<Option<BurnRate>>>,
    /// Minutes of a part.
    step: u32,
}

/// The burn rate of each group's objective; only objectives for exactly that group count.
fn burns(ctx: &Context, groups: &Groups) -> Vec<Option<BurnRate>> {
    let now = Minute::of(ctx.now);
    let name = |series: &Series| {
        let mut agents = ctx.snapshot.agents.iter();
        agents.find(|(_, agent)| agent.id == series.agent).map(|(_, agent)| &agent.name)
    };
    let of = |group: &Group| {
        let is = |wanted: &Option<Arc<str>>, by: Dimension| match (wanted, *groups.by() == Split::Series(by))
        {
            (Some(wanted), true) => *Untrusted::from(&**wanted).line() == *group.name,
            (None, same) => !same,
            (Some(_), false) => false,
        };
        let fits = |objective: &&Objective| {
            is(&objective.agent, Dimension::Agent)
                && is(&objective.skill, Dimension::Skill)
                && is(&objective.caller, Dimension::Caller)
        };
        let objective = ctx.info.objectives.iter().find(fits)?;
        Some(objective.standing(&ctx.metrics.live, now, name).worst())
    };
    if ctx.info.objectives.is_empty() { Vec::new() } else { groups.all().iter().map(of).collect() }
}

/// `8.2×`: how many times more than may is going wrong now.
fn burn_cell(burn: Option<BurnRate>) -> Span {
    match burn {
        None => span("–", Role::Quiet),
        Some(burn) => {
            let tenths = burn.minutes;
            let role = match tenths {
                60.. => Role::Bad,
                11..60 => Role::Warn,
                _ => Role::Ok,
            };
            span(format!("{}.{}×", tenths / 10, tenths % 10), role)
        }
    }
}

columns! {
    /// The columns of metrics.
    pub enum MetricsColumn {
        Name = flexible("NAME", 'N', 14, 9),
        Tasks = fixed("TASKS/MIN", 'T', 9, 6).right().highest_first(),
        Ok = fixed("OK %", 'O', 5, 8).right(),
        Previous = fixed("WAS", ' ', 5, 4).right().unsorted(),
        Median = fixed("MEDIAN", 'M', 6, 3).right().highest_first(),
        P95 = fixed("P95", 'P', 6, 7).right().highest_first(),
        P95Previous = fixed("P95 WAS", ' ', 7, 4).right().unsorted(),
        P99 = fixed("P99", ' ', 6, 2).right().unsorted(),
        First = fixed("FIRST", 'F', 6, 2).right().highest_first(),
        Between = fixed("BETWEEN", 'B', 7, 1).right().highest_first(),
        Live = fixed("LIVE", 'L', 4, 5).right().highest_first(),
        Failed = fixed("FAILED", 'D', 6, 6).right().highest_first(),
        Refused = fixed("REFUSED", 'R', 7, 6).right().highest_first().if_any(),
        Lost = fixed("LOST", 'S', 4, 6).right().highest_first().if_any(),
        BurnRate = fixed("BURN", ' ', 6, 5).right().unsorted(),
        Answers = fixed("ANSWERS", 'A', 7, 1).right().highest_first(),
        Trend = fixed("TASKS OVER TIME", ' ', TREND, 3).right().unsorted(),
    }
}

impl Rows for GroupRows {
    type Key = u32;

    const KIND: ListKind = ListKind::Metrics;

    type Column = MetricsColumn;

    fn keys<'s>(&'s self, _snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = u32> + 's> {
        self.groups.keys()
    }

    fn changed(&self, _snapshot: &Snapshot, _changed: Changed, _rows: &mut Vec<u32>) {}

    fn shows(&self, _snapshot: &Snapshot, key: u32, order: &Order) -> bool {
        self.groups.get(key).is_some_and(|group| {
            let something = !group.total.is_empty() || group.previous.ended() > 0;
            something
                && (!order.faults || group.total.bad() > 0)
                && order.filter.passes(&Named(group, &["name", "agent", "skill", "caller"]))
        })
    }

    fn sort_key(&self, _snapshot: &Snapshot, key: u32, by: MetricsColumn) -> SortKey {
        let Some(group) = self.groups.get(key) else { return SortKey::Number(0) };
        let total = &group.total;
        match by {
            MetricsColumn::Name => SortKey::Text(group.name.to_lowercase().into()),
            MetricsColumn::Ok => SortKey::Number(total.ok_per_mille().map_or(2000, i64::from)),
            MetricsColumn::Median => micros(&total.took, 50),
            MetricsColumn::P95 => micros(&total.took, 95),
            MetricsColumn::First => micros(&total.first, 95),
            MetricsColumn::Between => micros(&total.between, 95),
            MetricsColumn::Answers => micros(&total.answer, 95),
            MetricsColumn::Live => SortKey::Number(i64::from(total.live)),
            MetricsColumn::Failed => SortKey::Pair(i64::from(total.failed), i64::from(total.ended())),
            MetricsColumn::Refused => SortKey::Pair(i64::from(total.refused), i64::from(total.ended())),
            MetricsColumn::Lost => SortKey::Pair(i64::from(total.lost), i64::from(total.ended())),
            MetricsColumn::Tasks
            | MetricsColumn::Previous
            | MetricsColumn::P95Previous
            | MetricsColumn::P99
            | MetricsColumn::BurnRate
            | MetricsColumn::Trend => SortKey::Pair(i64::from(total.ended()), i64::from(total.calls)),
        }
    }

    fn row(&self, canvas: &Canvas<'_>, ctx: &Context, key: u32) -> Row {
        let Some(group) = self.groups.get(key) else { return Row::blank() };
        let (total, previous) = (&group.total, &group.previous);
        let quiet = |text: String| span(text, Role::Quiet);
        let plain = |text: String| {
            let role = if text == "–" { Role::Quiet } else { Role::Plain };
            span(text, role)
        };
        let role = if total.bad() > 0 { Role::Warn } else { Role::Ok };
        let trend = trend(&over_time(group, Tally::ended), TREND, role, canvas.theme.is_ascii());
        let agent = group.agent.and_then(|key| ctx.snapshot.agents.get(key));
        let mark = agent.map_or_else(
            || span(" ", Role::Plain),
            |agent| {
                let label = crate::tui::states::agent(agent, ctx.glyphs());
                span(label.mark, label.role)
            },
        );
        Row {
            mark,
            cells: MetricsColumn::cells(|column| match column {
                MetricsColumn::Name => span(group.name.clone(), Role::Plain),
                MetricsColumn::Tasks => plain(a_minute(group, self.step)),
                MetricsColumn::Ok => span(ok_percent(total), ok_role(total)),
                MetricsColumn::Previous => quiet(ok_percent(previous)),
                MetricsColumn::Median => plain(percentile(&total.took, 50)),
                MetricsColumn::P95 => plain(percentile(&total.took, 95)),
                MetricsColumn::P95Previous => quiet(percentile(&previous.took, 95)),
                MetricsColumn::P99 => plain(percentile(&total.took, 99)),
                MetricsColumn::First => plain(percentile(&total.first, 95)),
                MetricsColumn::Between => plain(percentile(&total.between, 95)),
                MetricsColumn::Live => {
                    plain(agent.map_or_else(|| "–".into(), |agent| agent.counts.live.to_string()))
                }
                MetricsColumn::Failed => count(total.failed, Role::Bad),
                MetricsColumn::Refused => count(total.refused, Role::Warn),
                MetricsColumn::Lost => count(total.lost, Role::Warn),
                MetricsColumn::BurnRate => {
                    burn_cell(usize::try_from(key).ok().and_then(|at| self.burns.get(at)).copied().flatten())
                }
                MetricsColumn::Answers => plain(percentile(&total.answer, 95)),
                MetricsColumn::Trend => trend.clone(),
            }),
            marked: false,
        }
    }
}

/// The value in a chart.
#[derive(Clone, Copy)]
enum Shown {
    Tasks,
    Ok,
    P95,
}

impl Shown {
    const ALL: [Self; 3] = [Self::Tasks, Self::Ok, Self::P95];

    fn title(self) -> &'static str {
        match self {
            Self::Tasks => "tasks ended a minute",
            Self::Ok => "ok %",
            Self::P95 => "95 % took at most",
        }
    }

    fn value(self, tally: &Tally, minutes: u32) -> Option<f64> {
        match self {
            Self::Tasks => Some(f64::from(tally.ended()) / f64::from(minutes.max(1))),
            Self::Ok => tally.ok_per_mille().map(|share| f64::from(share) / 10.0),
            Self::P95 => tally.took.percentile(95).map(|time| time.as_secs_f64()),
        }
    }

    /// The lowest and highest of the axis.
    fn bounds(self, most: f64, least: f64) -> [f64; 2] {
        match self {
            // Near 100 % small differences matter.
            Self::Ok => [(least / 10.0).floor().clamp(0.0, 9.0) * 10.0, 100.0],
            Self::Tasks | Self::P95 => [0.0, if most > 0.0 { most * 1.05 } else { 1.0 }],
        }
    }

    fn label(self, value: f64) -> String {
        match self {
            Self::Tasks => format!("{value:.1}"),
            Self::Ok => format!("{value:.0}"),
            Self::P95 => format::measured(Duration::from_secs_f64(value.max(0.0))),
        }
    }
}

/// The view.
#[derive(Debug)]
pub struct MetricsView {
    groups: Groups,
    list: Listing<GroupRows>,
    /// The chart that is shown where only one fits.
    chart: usize,
}

impl MetricsView {
    /// By agent, the busiest first.
    pub fn new() -> Self {
        let rows = GroupRows { groups: MeasuredGroups::default(), burns: Arc::default(), step: 1 };
        Self {
            groups: Groups::new(Dimension::Agent),
            list: Listing::new(rows, MetricsColumn::Tasks),
            chart: 0,
        }
    }

    /// Groups by another dimension.
    #[must_use]
    pub fn by(mut self, by: Dimension) -> Self {
        self.groups = Groups::new(by);
        self
    }

    /// Groups the agents by a property from cards and labels.
    pub fn group(&mut self, by: replicas::GroupBy) {
        self.groups = Groups::new(Split::Fleet(by));
        self.list.state.first();
        self.list.state.marks.clear();
    }

    fn turn(&mut self, ctx: &Context, back: bool) {
        let blocks = ctx.metrics.blocks(ctx.window.parts(ctx.now), ctx.now);
        let has_rules = blocks.into_iter().any(|(_, block)| block.iter().any(|(of, _)| of.rule.is_some()));
        let all: Vec<Dimension> =
            Dimension::ALL.into_iter().filter(|by| has_rules || *by != Dimension::Rule).collect();
        let at = all.iter().position(|by| *self.groups.by() == Split::Series(*by)).unwrap_or(0);
        let next = if back { at + all.len() - 1 } else { at + 1 } % all.len();
        self.groups = Groups::new(all[next]);
        self.list.state.first();
        self.list.state.marks.clear();
    }

    fn parts(&self, area: Rect) -> (Rect, Option<Rect>) {
        let inner = inside(area);
        if !self.list.state.details || inner.height < 14 {
            return (inner, None);
        }
        let below = (inner.height * 2 / 5).clamp(8, 18);
        let list = Rect { height: inner.height - below, ..inner };
        (list, Some(Rect { y: list.bottom(), height: below, ..inner }))
    }

    fn lines(&self, area: Rect) -> usize {
        usize::from(self.parts(area).0.height.saturating_sub(1))
    }

    /// The compared groups: the marked ones and the one under the cursor.
    fn compared(&self) -> Vec<&Group> {
        let here = self.list.target();
        let marked = self.list.state.marks.iter().copied().filter(|key| Some(*key) != here);
        let keys = here.into_iter().chain(marked).take(COMPARED);
        keys.filter_map(|key| self.list.source.groups.get(key)).collect()
    }

    fn draw_charts(&self, canvas: &mut Canvas<'_>, area: Rect, pane: Rect, ctx: &Context) {
        let compared = self.compared();
        let whole = Rect { x: area.x, width: area.width, ..pane };
        let mut title = Vec::new();
        for (group, role) in compared.iter().zip(LINES) {
            if !title.is_empty() {
                title.push(span(" · ", Role::Quiet));
            }
            title.push(span(group.name.clone(), role));
        }
        let facts = [span("space compares", Role::Quiet)];
        canvas.rule(whole, pane.y, Edge::Middle, &title, &facts);
        let pane = Rect { y: pane.y + 1, height: pane.height - 1, ..pane };
        let seen = self.groups.all().iter().filter_map(|group| group.parts.iter().position(|part| part.seen));
        let first = seen.min().unwrap_or(0);
        let many = u16::try_from(usize::from(pane.width / 40).clamp(1, 3)).unwrap_or(1);
        let wide = pane.width / many;
        for place in 0..many {
            let shown = Shown::ALL[(self.chart + usize::from(place)) % Shown::ALL.len()];
            let at = Rect { x: pane.x + place * wide, width: wide.saturating_sub(1), ..pane };
            draw_chart(canvas, at, ctx, shown, &compared, first);
        }
    }
}

/// Draws a chart of the parts from `first` on, the first of which anything is known, to the last that is over.
fn draw_chart(
    canvas: &mut Canvas<'_>,
    area: Rect,
    ctx: &Context,
    shown: Shown,
    compared: &[&Group],
    first: usize,
) {
    let parts = ctx.window.parts(ctx.now);
    let closed = compared.iter().map(|group| group.closed_parts().len()).max().unwrap_or(0);
    let begins = |part: usize| {
        let minutes = u32::try_from(part).unwrap_or(0).saturating_mul(parts.step);
        ctx.clocks.time_of_day(parts.from.after(minutes).begins())
    };
    let mut title = shown.title().to_owned();
    if ctx.metrics.made_up_until(parts, ctx.now).is_some() {
        title.push_str(" (partly made up)");
    } else if first > 0 {
        title.push_str(&format!(" · watching since {}", begins(first)));
    }
    canvas.put(area.x + 1, area.y, &title, Role::Quiet, area.width - 1);
    let area = Rect {
        x: area.x + 1,
        y: area.y + 1,
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(1),
    };
    // No line crosses parts without a value: nobody knows what it was there.
    let value = |part: &Part| shown.value(&part.tally, parts.step).filter(|_| part.seen);
    let mut values: Vec<(Role, Vec<(f64, f64)>)> = Vec::new();
    for (group, role) in compared.iter().zip(LINES) {
        for run in group
            .closed_parts()
            .iter()
            .zip(0u32..)
            .collect::<Vec<_>>()
            .split(|(part, _)| value(part).is_none())
        {
            let points = run.iter().filter_map(|(part, at)| Some((f64::from(*at), value(part)?)));
            values.push((role, points.collect()));
        }
    }
    let all = values.iter().flat_map(|(_, points)| points).map(|(_, value)| *value);
    if all.clone().next().is_none() {
        let words = if first >= closed && parts.is_recent(ctx.now) {
            "nothing yet: a minute is drawn once it is over"
        } else {
            &format!("nothing in this window; {}", ctx.hint(Action::Time, "chooses another"))
        };
        canvas.put(area.x, area.y + 1, words, Role::Doubt, area.width);
        return;
    }
    let most = all.clone().fold(0.0, f64::max);
    let least = all.fold(100.0, f64::min);
    let [low, high] = shown.bounds(most, least);
    let marker = if canvas.theme.is_ascii() { Marker::Dot } else { Marker::Braille };
    // The lines stand on the ground of the rest, also where that is not the terminal's.
    let paper = canvas.theme.style(Role::Plain).bg.unwrap_or(ratatui::style::Color::Reset);
    let sets: Vec<Dataset<'_>> = values
        .iter()
        .map(|(role, points)| {
            let style =
                canvas.theme.style(*role).bg(paper).remove_modifier(ratatui::style::Modifier::REVERSED);
            Dataset::default().marker(marker).graph_type(GraphType::Line).style(style).data(points)
        })
        .collect();
    let quiet = canvas.theme.style(Role::Quiet);
    let place = |part: usize| f64::from(u32::try_from(part).unwrap_or(u32::MAX));
    let bounds = [place(first), place(closed.saturating_sub(1).max(first + 1))];
    let x = Axis::default().style(quiet).bounds(bounds).labels([begins(first), begins(closed)]);
    let middle = f64::midpoint(low, high);
    let labels = [shown.label(low), shown.label(middle), shown.label(high)];
    let y = Axis::default().style(quiet).bounds([low, high]).labels(labels);
    let chart = Chart::new(sets).x_axis(x).y_axis(y).legend_position(None);
    let area = area.intersection(canvas.area());
    chart.render(area, canvas.buffer());
    if canvas.theme.is_ascii() {
        canvas.ascii_only(area);
    }
}

impl Default for MetricsView {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen for MetricsView {
    fn word(&self) -> &'static str {
        "metrics"
    }

    fn refresh(&mut self, ctx: &Context, area: Rect) -> bool {
        let mut visible = self.groups.refresh(ctx);
        if visible {
            let step = ctx.window.parts(ctx.now).step;
            let burns = Arc::new(burns(ctx, &self.groups));
            self.list.source = GroupRows { groups: MeasuredGroups::new(self.groups.all()), burns, step };
            self.list.rebuild();
        }
        let lines = self.lines(area);
        visible |= self.list.refresh(&ctx.snapshot, lines);
        visible
    }

    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect, ctx: &Context) {
        let first = format!(
            "{} by {} · {} · {}",
            self.list.rows.len(),
            self.groups.by().word(),
            ctx.window_words(),
            ctx.baseline_words()
        );
        let facts = self.list.facts(ctx, area, first);
        canvas.rule(area, area.y, Edge::Top, &[span("metrics", Role::Title)], &facts);
        let (list, below) = self.parts(area);
        if self.list.rows.is_empty() {
            let filtered = !self.list.state.settings.filter.is_empty() || self.list.state.settings.faults;
            return empty(
                canvas,
                ctx,
                list,
                filtered,
                &[
                    "Nothing was measured in this window.",
                    &ctx.hint(
                        Action::Time,
                        "chooses another one; tasks and calls are counted from the start.",
                    ),
                ],
            );
        }
        self.list.draw(canvas, list, ctx);
        if let Some(pane) = below {
            self.draw_charts(canvas, area, pane, ctx);
        }
    }

    fn act(&mut self, action: Action, ctx: &Context, area: Rect) -> Option<Vec<Step>> {
        let lines = self.lines(area);
        if self.list.act(action, lines) {
            return Some(Vec::new());
        }
        match action {
            Action::Open => {
                let group = self.list.target().and_then(|key| self.list.source.groups.get(key))?;
                let page = match (self.groups.by(), group.agent) {
                    (Split::Series(Dimension::Agent), agent) => Destination::agent(ctx, agent?)?,
                    (Split::Fleet(by), _) => Destination::FleetBy(by.clone()),
                    (Split::Series(by), _) => {
                        let key = self.list.target()?;
                        let by = match (by, self.groups.value_of(key)?) {
                            (Dimension::Rule, DimensionValue::Named(_)) => Dimension::Skill,
                            (by, _) => *by,
                        };
                        let word = group.name.split_whitespace().next().unwrap_or_default();
                        Destination::Tasks(format!("{}={word}", by.word()))
                    }
                };
                Some(vec![Step::Open(Box::new(page))])
            }
            Action::NextPane | Action::PrevPane => {
                self.turn(ctx, action == Action::PrevPane);
                Some(Vec::new())
            }
            Action::Right | Action::Left => {
                let by = if action == Action::Right { 1 } else { Shown::ALL.len() - 1 };
                self.chart = (self.chart + by) % Shown::ALL.len();
                Some(Vec::new())
            }
            _ => None,
        }
    }

    fn keys(&self, _ctx: &Context) -> Vec<(Action, &'static str)> {
        vec![
            (Action::Open, "open"),
            (Action::NextPane, "agent, rule, skill, caller"),
            (Action::Time, "time"),
            (Action::Mark, "compare"),
            (Action::Right, "next chart"),
            (Action::Wide, "all columns"),
            (Action::Filter, "filter"),
            (Action::Details, "charts"),
        ]
    }

    fn target(&self, _ctx: &Context) -> Target {
        let group = self.list.target().and_then(|key| self.list.source.groups.get(key));
        Target { agent: group.and_then(|group| group.agent), ..Target::default() }
    }

    shows_list!(list);

    fn list_area(&self, area: Rect) -> Rect {
        self.parts(area).0
    }

    fn queries(&self, _ctx: &Context) -> Vec<Subscription> {
        vec![Subscription::Metrics(EVERY)]
    }
}
