//! The impact on callers: results of each skill or caller in the window, compared with the baseline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::Health;
use crate::domain::agent::breaker::BreakerState;
use crate::domain::metrics::{Dimension, DimensionValue, Series, Tally};
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::tui::context::Context;
use crate::tui::metrics::Group;
use crate::tui::saved_view::ListKind;
use crate::tui::theme::Role;
use crate::tui::views::listing::{Order, Rows};
use crate::tui::views::measured::{
    MeasuredGroups, Named, a_minute, count, micros, ok_percent, ok_role, over_time, percentile, trend,
};
use crate::tui::widgets::canvas::{Canvas, span};
use crate::tui::widgets::sorted::SortKey;
use crate::tui::widgets::table::{Row, TableColumn, columns, fixed, flexible};

/// The number of recent minutes, if the parts of the window are minutes.
const LATELY: usize = 5;
/// Width of the failures over time, in cells.
const TREND: u16 = 30;

/// Tasks of a group that run on unhealthy agents, and those that need an operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GroupRisk {
    /// On unhealthy agents, or in an uncertain state.
    pub at_risk: u32,
    /// For an answer, a login or a decision.
    pub need_you: u32,
}

/// The rows, worst first.
#[derive(Clone, Debug, Default)]
pub struct ImpactRows {
    pub groups: MeasuredGroups,
    pub risk: Arc<Vec<GroupRisk>>,
    pub step: u32,
}

/// Results of the last minutes, or of the last part if parts are longer.
pub fn lately(group: &Group, step: u32) -> Tally {
    let parts = if step == 1 { LATELY } else { 1 };
    let mut tally = Tally::default();
    let parts = group.parts.iter().rev().take(parts).filter(|part| !part.made_up);
    parts.for_each(|part| tally.merge(&part.tally));
    tally
}

/// True if tasks take far longer than in the baseline.
fn is_slower(now: &Tally, previous: &Tally) -> bool {
    match (now.took.percentile(95), previous.took.percentile(95)) {
        (Some(now), Some(previous)) => now > previous * 2 && now > Duration::from_millis(500),
        _ => false,
    }
}

/// True if a row is worth more than a glance now, whatever happened earlier in the window.
pub fn is_unusual(group: &Group, risk: GroupRisk, step: u32) -> bool {
    let now = lately(group, step);
    now.bad() > 0 || is_slower(&now, &group.previous) || risk != GroupRisk::default()
}

/// The role of a success rate: red only while the latest minutes fail too.
fn rate_role(group: &Group, now: &Tally) -> Role {
    match ok_role(&group.total) {
        Role::Bad if now.bad() == 0 => Role::Warn,
        role => role,
    }
}

impl ImpactRows {
    /// The affected tasks of a group.
    pub fn risk(&self, key: u32) -> GroupRisk {
        usize::try_from(key).ok().and_then(|at| self.risk.get(at)).copied().unwrap_or_default()
    }
}

/// Running tasks on unhealthy agents, by rule, skill or caller.
pub fn risk(snapshot: &Snapshot, by: Dimension) -> BTreeMap<DimensionValue, GroupRisk> {
    let mut all: BTreeMap<DimensionValue, GroupRisk> = BTreeMap::new();
    for (key, agent) in snapshot.agents.iter() {
        let risky = agent.health != Health::Up || agent.breaker.position != BreakerState::Closed;
        for attempt in snapshot.attention.of(key).filter_map(|key| snapshot.attempts.get(key)) {
            let at_risk = attempt.is_live() && (risky || attempt.is_doubtful());
            let need_you = attempt.needs_you();
            if !(at_risk || need_you) {
                continue;
            }
            let Some(job) = snapshot.job_of(attempt) else { continue };
            let risk = all.entry(by.value_of(&Series::of_job(agent.id, job))).or_default();
            risk.at_risk += u32::from(at_risk);
            risk.need_you += u32::from(need_you);
        }
    }
    all
}

columns! {
    /// The columns of the impact table.
    pub enum ImpactColumn {
        DimensionValue = flexible("WHO", 'W', 12, 9),
        Ok = fixed("OK %", 'O', 5, 8).right().highest_first(),
        Previous = fixed("WAS", ' ', 5, 5).right().unsorted(),
        P95 = fixed("P95", 'P', 6, 7).right().highest_first(),
        P95Previous = fixed("P95 WAS", ' ', 7, 4).right().unsorted(),
        Tasks = fixed("TASKS/MIN", 'T', 9, 3).right().highest_first(),
        Failed = fixed("FAILED", 'F', 6, 7).right().highest_first(),
        Refused = fixed("REFUSED", 'D', 7, 6).right().highest_first().if_any(),
        Lost = fixed("LOST", 'L', 4, 6).right().highest_first().if_any(),
        AtRisk = fixed("AT RISK", 'R', 7, 6).right().highest_first(),
        NeedYou = fixed("NEED YOU", 'N', 8, 6).right().highest_first(),
        Trend = fixed("NOT OK OVER TIME", ' ', TREND, 2).right().unsorted(),
    }
}

impl Rows for ImpactRows {
    type Key = u32;

    const KIND: ListKind = ListKind::Now;

    type Column = ImpactColumn;

    fn keys<'s>(&'s self, _snapshot: &'s Snapshot) -> Box<dyn Iterator<Item = u32> + 's> {
        self.groups.keys()
    }

    fn changed(&self, _snapshot: &Snapshot, _changed: Changed, _rows: &mut Vec<u32>) {}

    fn shows(&self, _snapshot: &Snapshot, key: u32, order: &Order) -> bool {
        self.groups.get(key).is_some_and(|group| {
            let risk = self.risk(key);
            // While nothing has been measured yet, what a demo made up shows what is usual.
            let something = group.total.begun + group.total.ended() > 0
                || risk != GroupRisk::default()
                || group.parts.iter().any(|part| part.made_up && part.tally.begun > 0);
            let wanted = !order.faults || is_unusual(group, risk, self.step);
            something && wanted && order.filter.passes(&Named(group, &["name", "skill", "caller"]))
        })
    }

    fn sort_key(&self, _snapshot: &Snapshot, key: u32, by: ImpactColumn) -> SortKey {
        let Some(group) = self.groups.get(key) else { return SortKey::Number(0) };
        let (total, risk) = (&group.total, self.risk(key));
        let bad = 1000 - total.ok_per_mille().map_or(1000, i64::from);
        match by {
            ImpactColumn::DimensionValue => SortKey::Text(group.name.to_lowercase().into()),
            ImpactColumn::P95 => micros(&total.took, 95),
            ImpactColumn::Tasks => SortKey::Number(i64::from(total.ended())),
            ImpactColumn::Failed => SortKey::Number(i64::from(total.failed)),
            ImpactColumn::Refused => SortKey::Number(i64::from(total.refused)),
            ImpactColumn::Lost => SortKey::Number(i64::from(total.lost)),
            ImpactColumn::AtRisk => SortKey::Number(i64::from(risk.at_risk)),
            ImpactColumn::NeedYou => SortKey::Number(i64::from(risk.need_you)),
            // The share of failures first, then risk, then volume.
            ImpactColumn::Ok | ImpactColumn::Previous | ImpactColumn::P95Previous | ImpactColumn::Trend => {
                SortKey::Pair(
                    bad * 10_000 + i64::from(risk.at_risk + risk.need_you).min(9_999),
                    i64::from(total.ended()),
                )
            }
        }
    }

    fn row(&self, canvas: &Canvas<'_>, ctx: &Context, key: u32) -> Row {
        let Some(group) = self.groups.get(key) else { return Row::blank() };
        let (now, previous, risk) = (lately(group, self.step), &group.previous, self.risk(key));
        let glyphs = ctx.glyphs();
        // The mark is about the latest minutes, as an agent's is about its health now.
        let mark = match ok_role(&now) {
            Role::Bad => span(glyphs.down, Role::Bad),
            Role::Warn => span(glyphs.degraded, Role::Warn),
            _ if is_unusual(group, risk, self.step) && risk.need_you == 0 => {
                span(glyphs.degraded, Role::Warn)
            }
            _ => span(glyphs.up, Role::Ok),
        };
        let quiet = |text: String| span(text, Role::Quiet);
        let slow = is_slower(&group.total, previous);
        let role = if group.total.bad() > 0 { Role::Bad } else { Role::Quiet };
        let trend = trend(&over_time(group, Tally::bad), TREND, role, canvas.theme.is_ascii());
        Row {
            mark,
            cells: ImpactColumn::cells(|column| match column {
                ImpactColumn::DimensionValue => span(group.name.clone(), Role::Plain),
                ImpactColumn::Ok => span(ok_percent(&group.total), rate_role(group, &now)),
                ImpactColumn::Previous => quiet(ok_percent(previous)),
                ImpactColumn::P95 => {
                    span(percentile(&group.total.took, 95), if slow { Role::Warn } else { Role::Plain })
                }
                ImpactColumn::P95Previous => quiet(percentile(&previous.took, 95)),
                ImpactColumn::Tasks => span(a_minute(group, self.step), Role::Plain),
                ImpactColumn::Failed => count(group.total.failed, Role::Bad),
                ImpactColumn::Refused => count(group.total.refused, Role::Warn),
                ImpactColumn::Lost => count(group.total.lost, Role::Warn),
                ImpactColumn::AtRisk => count(risk.at_risk, Role::Warn),
                ImpactColumn::NeedYou => count(risk.need_you, Role::You),
                ImpactColumn::Trend => trend.clone(),
            }),
            marked: false,
        }
    }
}
