//! Findings about the versions that agents run.

use std::collections::BTreeSet;

use crate::domain::agent::Health;
use crate::domain::agent::replicas::{Group, ReplicaKey};
use crate::domain::agent::version;
use crate::domain::decide::lint::{Finding, reconcile};
use crate::domain::decide::turn::Turn;
use crate::domain::id::AgentKey;
use crate::domain::problem::{Kind, Subject};

/// The maximum numbers of versions, and of agents of each, named in a text.
const VERSIONS: usize = 4;
const NAMES: usize = 3;
/// Versions and names are cut to this many characters in the words of a problem.
const CHARS: usize = 40;

/// Checks an agent's version against the configured minimum. While its state is stale, nothing is raised or cleared.
pub(super) fn old(turn: &mut Turn, key: AgentKey) {
    let Some(agent) = turn.state().agent(key) else { return };
    if agent.listed && agent.health == Health::Stale {
        return;
    }
    let missed = version::missed(agent, &turn.rules.minimum_versions).filter(|_| agent.listed);
    let found = missed.map(|minimum| {
        let runs = agent.card.as_ref().map(|card| card.version.shortened(CHARS).line().into_string());
        Finding {
            kind: Kind::AgentVersionOld,
            text: format!("runs {} but needs at least {}", runs.unwrap_or_default(), minimum.version),
            next: "update it to that version, or change minimum_version in the configuration".into(),
            eased: false,
        }
    });
    reconcile(turn, Subject::Agent(key), &[Kind::AgentVersionOld], found.into_iter().collect());
}

/// Checks whether replicas run several versions: one problem for all of them, attached to the first.
pub(super) fn mixed(turn: &mut Turn, touched: &[ReplicaKey]) {
    if touched.is_empty() {
        return;
    }
    let state = turn.state();
    let first = |group: &Group| group.members().first().copied().filter(|_| group.versions().len() > 1);
    let mut about: BTreeSet<AgentKey> =
        touched.iter().filter_map(|replica_key| first(state.replicas().group(replica_key)?)).collect();
    // The previous first replica may have left, or belong to another group.
    about.extend(state.raised_of(Kind::AgentVersionMixed).filter_map(|subject| match subject {
        Subject::Agent(key) => Some(key),
        Subject::Console | Subject::Source(_) | Subject::Host(_) | Subject::Objective(_) => None,
    }));
    for key in about {
        let group = turn.state().replicas_of(key).filter(|group| first(group) == Some(key));
        let found = group.map(|group| Finding {
            kind: Kind::AgentVersionMixed,
            text: words(turn, group),
            next: "finish the rollout or roll it back; `:group version` shows which agent runs what".into(),
            eased: false,
        });
        reconcile(turn, Subject::Agent(key), &[Kind::AgentVersionMixed], found.into_iter().collect());
    }
}

/// `and its replicas run 2 versions: 2.4.1 (cashier-2), 2.4.0 (cashier-1, cashier-3)`
fn words(turn: &Turn, group: &Group) -> String {
    let mut versions: Vec<_> = group.versions().iter().collect();
    versions.sort_by(|(a, _), (b, _)| version::newest_first(a, b));
    let listed = versions.iter().take(VERSIONS).map(|(version, members)| {
        let version = version.shortened(CHARS).line().into_string();
        let version = if version.is_empty() { "none".to_owned() } else { version };
        let rows = members.iter().take(NAMES).filter_map(|key| turn.state().agent(*key));
        let names = rows.map(|agent| agent.name.line().into_string());
        let mut names = names.collect::<Vec<_>>().join(", ");
        if members.len() > NAMES {
            names.push_str(&format!(" and {} more", members.len() - NAMES));
        }
        format!("{version} ({names})")
    });
    let mut listed = listed.collect::<Vec<_>>().join(", ");
    if versions.len() > VERSIONS {
        listed.push_str(&format!(" and {} more", versions.len() - VERSIONS));
    }
    format!("and its replicas run {} versions: {listed}", versions.len())
}
