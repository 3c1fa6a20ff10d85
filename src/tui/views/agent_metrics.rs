//! The metrics of agents in the window, for tables that show them beside other things.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::id::AgentKey;
use crate::domain::metrics::Tally;
use crate::tui::metrics;
use crate::tui::theme::Role;
use crate::tui::views::measured::{ok_percent, ok_role, percentile, trend};
use crate::tui::widgets::canvas::{Span, span};

/// The metrics of agents in the window.
#[derive(Clone, Debug, Default)]
pub struct AgentMetrics {
    all: Arc<Vec<metrics::Group>>,
    places: BTreeMap<AgentKey, usize>,
}

/// What became of tasks in the window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Results {
    /// Completed, or answered with a message.
    pub done: u32,
    /// Failed by the agent.
    pub failed: u32,
    /// Not taken by the agent, or never delivered to it.
    pub refused: u32,
    /// Forgotten by the agent, or taken as lost by a person.
    pub lost: u32,
}

/// Cells of the tasks over time.
pub const TREND: u16 = 20;

impl AgentMetrics {
    /// The groups by agent.
    pub fn new(all: &Arc<Vec<metrics::Group>>) -> Self {
        let places = all.iter().enumerate().filter_map(|(at, group)| Some((group.agent?, at))).collect();
        Self { all: all.clone(), places }
    }

    fn of<'s>(
        &'s self,
        agents: impl Iterator<Item = AgentKey> + 's,
    ) -> impl Iterator<Item = &'s metrics::Group> {
        agents.filter_map(|key| self.all.get(*self.places.get(&key)?))
    }

    /// How many tasks of these agents completed, failed, were refused and lost.
    pub fn results(&self, agents: impl Iterator<Item = AgentKey>) -> Results {
        let mut sum = Results::default();
        for Tally { ok, failed, refused, lost, .. } in self.of(agents).map(|group| &group.total) {
            sum.done += ok;
            sum.failed += failed;
            sum.refused += refused;
            sum.lost += lost;
        }
        sum
    }

    /// The share of tasks that completed, the 95th percentile of their time, and the tasks over time, for these agents
    /// together.
    pub fn cells(&self, agents: impl Iterator<Item = AgentKey>, ascii: bool) -> [Span; 3] {
        let mut total = Tally::default();
        let mut ended: Vec<Option<u64>> = Vec::new();
        for group in self.of(agents) {
            total.ok += group.total.ok;
            total.failed += group.total.bad();
            total.took.merge(&group.total.took);
            let parts = group.closed_parts();
            ended.resize(parts.len().max(ended.len()), None);
            for (sum, part) in ended.iter_mut().zip(parts).filter(|(_, part)| part.seen && !part.made_up) {
                *sum = Some(sum.unwrap_or(0) + u64::from(part.tally.ended()));
            }
        }
        let role = if total.failed > 0 { Role::Warn } else { Role::Ok };
        [
            span(ok_percent(&total), ok_role(&total)),
            span(percentile(&total.took, 95), Role::Plain),
            trend(&ended, TREND, role, ascii),
        ]
    }
}
