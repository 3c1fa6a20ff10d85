//! What the tasks of a card delegated.

use std::collections::BTreeMap;

use crate::domain::id::AttemptKey;
use crate::domain::job::delegated::{self, ByParent};
use crate::domain::rehearsal::plan::MOST;
use crate::domain::state::snapshot::Snapshot;

/// The tasks that each task of a card delegated, ended ones among them.
pub(super) fn of(snapshot: &Snapshot, keys: &[AttemptKey]) -> BTreeMap<AttemptKey, Vec<AttemptKey>> {
    let parents = ByParent::new(snapshot);
    let of = |key: &AttemptKey| {
        let below = delegated::below(&parents, *key).tasks;
        (!below.is_empty()).then_some((*key, below))
    };
    keys.iter().take(MOST).filter_map(of).collect()
}

/// `2 at ledger-1, 1 at bank-link`
pub fn at_agents(snapshot: &Snapshot, keys: &[AttemptKey]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in keys.iter().filter_map(|key| snapshot.attempts.get(*key)) {
        let agent = snapshot.agents.get(row.agent).map(|agent| agent.name.line().into_string());
        *counts.entry(agent.unwrap_or_default()).or_default() += 1;
    }
    counts.into_iter().map(|(agent, count)| format!("{count} at {agent}")).collect::<Vec<_>>().join(", ")
}
