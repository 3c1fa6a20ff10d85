//! Agents whose names look alike but differ, as one that imitates another would choose them.
//!
//! Listed agents are indexed by the skeleton of their names (UTS 39), so that a change costs the same whatever the
//! size of the fleet. The agent that has been known longest keeps its name unreported; each newer one is reported
//! beside it, up to `REPORTED` per skeleton: agents choose their names, and may choose any number that look alike.

use std::collections::BTreeSet;

use crate::domain::agent::Agent;
use crate::domain::decide::lint::{Finding, reconcile};
use crate::domain::decide::turn::Turn;
use crate::domain::id::AgentKey;
use crate::domain::problem::{Kind, Subject};
use crate::domain::text::{Untrusted, skeleton};

/// The number of agents reported per skeleton; further ones would add nothing.
const REPORTED: usize = 20;
/// Names and URLs are cut to this many characters in the text of a problem.
const CHARS: usize = 60;

/// The name under which an agent was indexed, with the skeleton of that name.
#[derive(Clone, Debug)]
pub(in crate::domain) struct IndexedName {
    name: Untrusted,
    skeleton: String,
}

/// Indexes the name of an agent, and raises or clears what that changes.
pub(super) fn look(turn: &mut Turn, key: AgentKey) {
    for skeleton in index(turn, key) {
        judge(turn, &skeleton);
    }
    // An agent that has left, or whose name looks like no other, is not reported.
    if turn.state().raised(Kind::AgentNameConfusable, Subject::Agent(key)).is_some() {
        report(turn, key);
    }
}

/// Restores the index from the stored rows after a start.
pub(super) fn resume(turn: &mut Turn) {
    let agents: Vec<AgentKey> = turn.state().agents().iter().map(|(key, _)| key).collect();
    let changed: BTreeSet<String> = agents.into_iter().flat_map(|key| index(turn, key)).collect();
    for skeleton in changed {
        judge(turn, &skeleton);
    }
    let raised: Vec<Subject> = turn.state().raised_of(Kind::AgentNameConfusable).collect();
    for key in raised.into_iter().filter_map(Subject::one) {
        report(turn, key);
    }
}

/// Brings the index up to date for one agent; returns the skeletons whose agents have changed.
fn index(turn: &mut Turn, key: AgentKey) -> Vec<String> {
    let name = turn.state().agent(key).filter(|agent| agent.listed).map(|agent| &agent.name);
    let indexed = turn.live.agents.get(&key).and_then(|live| live.indexed_name.as_ref());
    // Nearly every step leaves the name as it was.
    if name == indexed.map(|indexed| &indexed.name) {
        return Vec::new();
    }
    let now = name.map(|name| IndexedName { name: name.clone(), skeleton: skeleton(name.raw()) });
    let before = std::mem::replace(&mut turn.agent_live(key).indexed_name, now.clone());
    let mut changed = Vec::new();
    if let Some(IndexedName { skeleton, .. }) = before {
        if let Some(agents) = turn.live.skeletons.get_mut(&skeleton) {
            agents.remove(&key);
            if agents.is_empty() {
                turn.live.skeletons.remove(&skeleton);
            }
        }
        changed.push(skeleton);
    }
    if let Some(IndexedName { skeleton, .. }) = now {
        turn.live.skeletons.entry(skeleton.clone()).or_default().insert(key);
        changed.push(skeleton);
    }
    changed.dedup();
    changed
}

/// Checks the oldest agents of a skeleton, and the one that may have been the last of them before.
fn judge(turn: &mut Turn, skeleton: &str) {
    let agents = turn.live.skeletons.get(skeleton).into_iter().flatten();
    let agents: Vec<AgentKey> = agents.take(REPORTED + 2).copied().collect();
    for key in agents {
        report(turn, key);
    }
}

/// Raises or clears the problem of one agent.
fn report(turn: &mut Turn, key: AgentKey) {
    let found = finding(turn, key);
    reconcile(turn, Subject::Agent(key), &[Kind::AgentNameConfusable], found.into_iter().collect());
}

fn finding(turn: &Turn, key: AgentKey) -> Option<Finding> {
    let agent = turn.state().agent(key)?;
    let indexed = turn.live.agents.get(&key)?.indexed_name.as_ref()?;
    let alike = turn.live.skeletons.get(&indexed.skeleton)?;
    let oldest = *alike.first()?;
    if !alike.iter().take(REPORTED + 1).any(|other| *other == key) {
        return None;
    }
    let other = turn.state().agent(oldest).filter(|other| other.name != agent.name)?;
    Some(Finding {
        kind: Kind::AgentNameConfusable,
        text: words(agent, other),
        next: "compare the URLs of both; if one imitates the other, remove it and report it to its publisher"
            .into(),
        eased: false,
    })
}

/// `has a name that looks like "bank" at http://bank:1/: U+0430 instead of U+0061`
fn words(agent: &Agent, other: &Agent) -> String {
    let (name, url) = (other.name.shortened(CHARS), Untrusted::from(&*other.spec.url).shortened(CHARS));
    format!(
        "has a name that looks like \"{}\" at {}: {}",
        name.line(),
        url.line(),
        difference(agent.name.raw(), other.name.raw())
    )
}

/// The first code point in which two different names differ.
fn difference(name: &str, other: &str) -> String {
    let (mut own, mut others) = (name.chars(), other.chars());
    loop {
        match (own.next(), others.next()) {
            (Some(own), Some(other)) if own == other => {}
            (Some(own), Some(other)) => {
                return format!("U+{:04X} instead of U+{:04X}", u32::from(own), u32::from(other));
            }
            (Some(own), None) => return format!("U+{:04X} more at its end", u32::from(own)),
            (None, Some(other)) => return format!("U+{:04X} less at its end", u32::from(other)),
            (None, None) => return "no code point differs".to_owned(),
        }
    }
}
