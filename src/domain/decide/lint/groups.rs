//! One host or one source behind many agents that cannot be reached: one problem, not one for each.
//!
//! A group problem is raised when enough of its listed agents, by number and share, are down for any reason except a
//! broken certificate. It clears when half as many, or half that share, are down. A source is blamed only if its agents
//! are on several hosts; otherwise the host is.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::agent::{Agent, AgentSpec, Health, host_of};
use crate::domain::cause::Cause;
use crate::domain::decide::lint::Finding;
use crate::domain::decide::lint::agent::unreachable;
use crate::domain::decide::turn::Turn;
use crate::domain::id::{AgentKey, SourceKey};
use crate::domain::problem::{Kind, Problem, Subject};

/// The property shared by a group of agents.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::domain) enum GroupKey {
    /// The host in their URLs.
    Host(Arc<str>),
    /// The source that names them.
    Source(SourceKey),
}

/// Agents that have something in common.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct Group {
    listed: BTreeSet<AgentKey>,
    down: BTreeSet<AgentKey>,
    /// The open problem of the group.
    raised: Option<Subject>,
}

/// An agent's settings and everything that names it.
type Named = (Arc<AgentSpec>, Arc<[Arc<str>]>);

/// The groups of an agent, as of its last check.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct GroupMembership {
    /// The inputs that `common` was derived from.
    of: Option<Named>,
    common: Vec<GroupKey>,
    down: bool,
}

/// Updates the groups of an agent; raises and clears what that changes.
pub(super) fn place(turn: &mut Turn, key: AgentKey) {
    let Some(agent) = turn.state().agent(key) else { return };
    if agent.listed && agent.health == Health::Stale {
        return;
    }
    let down = agent.listed && is_down(agent);
    let live = turn.live.agents.get(&key).map(|live| &live.membership);
    let same = |place: &&GroupMembership| {
        let same =
            |(spec, sources): &Named| Arc::ptr_eq(spec, &agent.spec) && Arc::ptr_eq(sources, &agent.sources);
        place.down == down && agent.listed != place.common.is_empty() && place.of.as_ref().is_some_and(same)
    };
    // Nearly always nothing has changed.
    if live.as_ref().is_some_and(same) {
        return;
    }
    let common = if agent.listed { common_of(turn, agent) } else { Vec::new() };
    let of = Some((agent.spec.clone(), agent.sources.clone()));
    let before = std::mem::replace(
        &mut turn.agent_live(key).membership,
        GroupMembership { of, common: common.clone(), down },
    );
    let mut all: BTreeSet<GroupKey> = before.common.into_iter().collect();
    all.extend(common.iter().cloned());
    for one in all {
        let belongs = common.contains(&one);
        let group = turn.live.groups.entry(one.clone()).or_default();
        put(&mut group.listed, key, belongs);
        put(&mut group.down, key, belongs && down);
        judge(turn, &one);
    }
}

fn put(keys: &mut BTreeSet<AgentKey>, key: AgentKey, belongs: bool) {
    if belongs {
        keys.insert(key);
    } else {
        keys.remove(&key);
    }
}

fn is_down(agent: &Agent) -> bool {
    let broken = |cause: &Cause| unreachable(cause) == Kind::CertificateBroken;
    agent.health == Health::Down && !agent.cause.as_deref().is_some_and(broken)
}

fn common_of(turn: &Turn, agent: &Agent) -> Vec<GroupKey> {
    let sources = agent.sources.iter().filter_map(|name| turn.state().source_key(name)).map(GroupKey::Source);
    std::iter::once(GroupKey::Host(host_of(&agent.spec.url).into())).chain(sources).collect()
}

/// Raises or clears the problem of a group.
fn judge(turn: &mut Turn, one: &GroupKey) {
    let Some(group) = turn.live.groups.get(one) else { return };
    let rules = &turn.rules.problems;
    let (least, percent) = (rules.group as usize, rules.group_percent as usize);
    let (down, listed) = (group.down.len(), group.listed.len());
    let known = group.raised;
    let bad = match known {
        Some(_) => down > least / 2 && down * 200 >= listed * percent,
        None => down >= least && down * 100 >= listed * percent && is_to_blame(turn, one, &group.down),
    };
    let agents = if listed == down {
        format!("none of its {listed} agents can be reached")
    } else {
        format!("most of its {listed} agents cannot be reached")
    };
    let (kind, text, next) = match one {
        GroupKey::Host(host) => (
            Kind::HostDown,
            format!("host {host}: {agents}"),
            "check the host and the network path to it; its agents are probed again automatically",
        ),
        GroupKey::Source(key) => {
            let name = turn.state().sources().get(*key).map(|row| row.spec.name.clone());
            let name = name.unwrap_or_else(|| "(removed)".into());
            (
                Kind::SourceDown,
                format!("source {name}: {agents}"),
                "check the platform of the source and its agents; the agents are probed again automatically",
            )
        }
    };
    let first = group.listed.first().copied();
    let subject = known.or_else(|| match one {
        GroupKey::Host(_) => first.map(Subject::Host),
        GroupKey::Source(key) => Some(Subject::Source(*key)),
    });
    let Some(subject) = subject.filter(|_| bad || known.is_some()) else {
        if listed == 0 {
            turn.live.groups.remove(one);
        }
        return;
    };
    let found = bad.then(|| Finding { kind, text, next: next.into(), eased: false });
    crate::domain::decide::lint::reconcile(turn, subject, &[kind], found.into_iter().collect());
    if let Some(group) = turn.live.groups.get_mut(one) {
        group.raised = bad.then_some(subject);
    }
    // Agents reported individually are now reported by the group, or the reverse.
    if bad != known.is_some() {
        let down = turn.live.groups.get(one).map(|group| group.down.clone()).unwrap_or_default();
        for agent in down {
            crate::domain::decide::lint::about_one(turn, agent);
        }
    }
}

/// True for a host; for a source only if its agents that are down are on several hosts.
fn is_to_blame(turn: &Turn, one: &GroupKey, down: &BTreeSet<AgentKey>) -> bool {
    let GroupKey::Source(_) = one else { return true };
    let hosts = down.iter().filter_map(|key| {
        let place = &turn.live.agents.get(key)?.membership;
        place.common.iter().find(|common| matches!(common, GroupKey::Host(_)))
    });
    let mut hosts = hosts;
    let first = hosts.next();
    hosts.any(|host| Some(host) != first)
}

/// The open group problem that covers an agent.
pub(super) fn covering_problem<'t>(turn: &'t Turn<'_>, key: AgentKey) -> Option<&'t Problem> {
    let place = &turn.live.agents.get(&key)?.membership;
    if !place.down {
        return None;
    }
    place.common.iter().find_map(|one| {
        let subject = turn.live.groups.get(one)?.raised?;
        let kind = match one {
            GroupKey::Host(_) => Kind::HostDown,
            GroupKey::Source(_) => Kind::SourceDown,
        };
        turn.state().raised(kind, subject)
    })
}

/// Restores the groups from the stored rows after a start.
pub(super) fn resume(turn: &mut Turn) {
    let open: Vec<(Kind, Subject)> = turn
        .state()
        .problems()
        .iter()
        .filter(|(_, problem)| {
            problem.cleared.is_none() && matches!(problem.kind, Kind::HostDown | Kind::SourceDown)
        })
        .map(|(_, problem)| (problem.kind, problem.subject))
        .collect();
    // Open problems stay open while their agents are added one by one.
    let agents: Vec<_> = turn.state().agents().iter().map(|(key, agent)| (key, agent.clone())).collect();
    for (key, agent) in agents.iter().filter(|(_, agent)| agent.listed) {
        let common = common_of(turn, agent);
        let down = is_down(agent);
        for one in &common {
            let group = turn.live.groups.entry(one.clone()).or_default();
            group.listed.insert(*key);
            put(&mut group.down, *key, down);
        }
        let of = Some((agent.spec.clone(), agent.sources.clone()));
        turn.agent_live(*key).membership = GroupMembership { of, common, down };
    }
    for (_, subject) in &open {
        let one = match subject {
            Subject::Host(key) => {
                turn.state().agent(*key).map(|agent| GroupKey::Host(host_of(&agent.spec.url).into()))
            }
            Subject::Source(key) => Some(GroupKey::Source(*key)),
            Subject::Agent(_) | Subject::Console | Subject::Objective(_) => None,
        };
        if let Some(one) = one {
            turn.live.groups.entry(one).or_default().raised = Some(*subject);
        }
    }
    let all: Vec<GroupKey> = turn.live.groups.keys().cloned().collect();
    for one in all {
        judge(turn, &one);
    }
}
