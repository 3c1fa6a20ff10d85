//! Groups of agents as rows of the fleet, and the details of the group under the cursor.

use ratatui::layout::Rect;

use super::groups::Group;
use crate::domain::agent::Health;
use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::replicas::GroupBy;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;
use crate::tui::context::Context;
use crate::tui::theme::Role;
use crate::tui::views::about;
use crate::tui::views::agent_rows::{AgentColumn, AgentRows, lower, number, shows_signs, skills};
use crate::tui::widgets::canvas::{Canvas, Edge, span};
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Row, TableColumn};
use crate::tui::widgets::text;
use crate::tui::{format, states};

impl AgentRows {
    /// The sort key of a group.
    pub(super) fn sort_of_group(&self, snapshot: &Snapshot, group: &Group, by: AgentColumn) -> SortKey {
        let order = i64::from(group.orders.first().copied().unwrap_or(0));
        let number = |count: u32| SortKey::Pair(i64::from(count), -order);
        let counts = group.counts;
        let results = || self.metrics.results(group.members.iter().copied());
        match by {
            AgentColumn::State => SortKey::Pair(states::health_rank(group.worst().0), order),
            AgentColumn::Speaks => lower(group.speaks.first().cloned().unwrap_or_default()),
            AgentColumn::Live => number(counts.live),
            AgentColumn::NeedYou => number(counts.need_you),
            AgentColumn::Done => number(results().done),
            AgentColumn::Failed => number(results().failed),
            AgentColumn::Refused => number(results().refused),
            AgentColumn::Lost => number(results().lost),
            AgentColumn::Doubt => number(counts.doubtful),
            AgentColumn::Breaker => {
                SortKey::Pair(group.breakers.last().map_or(0, |position| *position as i64), -order)
            }
            AgentColumn::LastSign => SortKey::Number(group.seen.last().map_or(0, |at| at.micros())),
            AgentColumn::Version => {
                lower(group.versions.last().map(|text| text.line().into_string()).unwrap_or_default())
            }
            AgentColumn::Agent
            | AgentColumn::Ok
            | AgentColumn::P95
            | AgentColumn::Trend
            | AgentColumn::Skills
            | AgentColumn::Url => lower(group.title(snapshot).line().into_string()),
        }
    }

    /// The row of a group.
    pub(super) fn row_of_group(&self, canvas: &Canvas<'_>, ctx: &Context, of: u32) -> Row {
        let Some(group) = self.groups.get(of) else { return Row::blank() };
        let snapshot = &ctx.snapshot;
        let (health, worst) = group.worst();
        let label = states::health(health, ctx.glyphs());
        let all = group.members.len();
        let ascii = ctx.theme.is_ascii();
        let (fold, times) = match (self.groups.is_open(group), ascii) {
            (true, false) => ("▾", "×"),
            (true, true) => ("v", "x"),
            (false, false) => ("▸", "×"),
            (false, true) => (">", "x"),
        };
        let name = format!("{fold} {} {times}{}", group.title(snapshot).line(), format::count(all));
        let state = if worst as usize == all { label.word } else { format!("{worst}/{all} {}", label.word) };
        let one = |kinds: usize, only: Option<String>, what: &str| match kinds {
            1 => only.unwrap_or_default(),
            kinds => format!("{kinds} {what}"),
        };
        let speaks = one(group.speaks.kinds(), group.speaks.first().cloned(), "ways");
        let replicas = matches!(self.groups.by(), GroupBy::Declared | GroupBy::Replicas);
        let only = group.versions.first().map(|text| text.line().into_string());
        let mixed = if replicas { Role::Warn } else { Role::Plain };
        let version = span(
            one(group.versions.kinds(), only, "at once"),
            if group.versions.kinds() > 1 { mixed } else { Role::Plain },
        );
        let closed = group.breakers.count(&BreakerState::Closed) as usize;
        let breaker = match all - closed {
            0 => span("·", Role::Quiet),
            open => span(format!("{open} open"), Role::Warn),
        };
        let first = group.members.first().and_then(|key| snapshot.agents.get(*key));
        let works = group
            .ranks
            .iter()
            .any(|(rank, _)| Health::ALL.get(usize::from(*rank)).is_some_and(|health| shows_signs(*health)));
        let sign = match group.seen.last() {
            _ if works => "now".to_owned(),
            Some(at) if *at > At::ZERO => canvas.coarse_age(*at),
            _ => "never".to_owned(),
        };
        let counts = group.counts;
        let results = self.metrics.results(group.members.iter().copied());
        let [ok, p95, trend] = self.metrics.cells(group.members.iter().copied(), ascii);
        Row {
            mark: span(label.mark, label.role),
            cells: AgentColumn::cells(|column| match column {
                AgentColumn::Agent => span(name.clone(), Role::Plain),
                AgentColumn::State => span(state.clone(), label.role),
                AgentColumn::Speaks => span(speaks.clone(), Role::Plain),
                AgentColumn::Version => version.clone(),
                AgentColumn::Live => number(counts.live, Role::Plain),
                AgentColumn::NeedYou => number(counts.need_you, Role::You),
                AgentColumn::Done => number(results.done, Role::Plain),
                AgentColumn::Failed => number(results.failed, Role::Bad),
                AgentColumn::Refused => number(results.refused, Role::Warn),
                AgentColumn::Lost => number(results.lost, Role::Warn),
                AgentColumn::Doubt => number(counts.doubtful, Role::Warn),
                AgentColumn::Breaker => breaker.clone(),
                AgentColumn::LastSign => span(sign.clone(), Role::Plain),
                AgentColumn::Ok => ok.clone(),
                AgentColumn::P95 => p95.clone(),
                AgentColumn::Trend => trend.clone(),
                AgentColumn::Skills => {
                    span(first.filter(|_| replicas).map(skills).unwrap_or_default(), Role::Quiet)
                }
                AgentColumn::Url => span("", Role::Quiet),
            }),
            marked: false,
        }
    }
}

/// The details of a group and its members, as far as they fit.
pub(super) fn draw_group(canvas: &mut Canvas<'_>, area: Rect, pane: Rect, ctx: &Context, group: &Group) {
    let whole = Rect { x: area.x, width: area.width, ..pane };
    let title = [span(group.title(&ctx.snapshot).line().into_string(), Role::Title)];
    let facts = [span(format!("{} agents", format::count(group.members.len())), Role::Quiet)];
    canvas.rule(whole, pane.y, Edge::Middle, &title, &facts);
    let inner =
        Rect { x: pane.x + 1, y: pane.y + 1, width: pane.width.saturating_sub(2), height: pane.height - 1 };
    let lines = about::group(canvas, ctx, group, usize::from(inner.width), usize::from(inner.height));
    text::draw(canvas, inner, &lines, &text::TextState::default());
}
