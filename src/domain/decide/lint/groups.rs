//! One host or one source behind many agents that cannot be reached: one problem, not one for each.
//!
//! The rule: so many of its listed agents, and such a share of them, are down, whatever the reason but a broken
//! certificate. It is over when half as many, or half that share, are. A source is blamed only where its agents are
//! on several hosts; otherwise the host is.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::agent::{Agent, AgentSpec, Health, host_of};
use crate::domain::cause::Cause;
use crate::domain::decide::lint::Finding;
use crate::domain::decide::lint::agent::unreachable;
use crate::domain::decide::turn::Turn;
use crate::domain::id::{AgentKey, SourceKey};
use crate::domain::problem::{Kind, Problem, Subject};

/// What agents have in common.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::domain) enum GroupKey {
    /// The host in their URLs.
    Host(Arc<str>),
    /// Who names them.
    Source(SourceKey),
}

/// Agents that have something in common.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct Group {
    listed: BTreeSet<AgentKey>,
    down: BTreeSet<AgentKey>,
    /// The open problem that tells them.
    raised: Option<Subject>,
}

/// What an operator set for an agent, and who names it.
type Named = (Arc<AgentSpec>, Arc<[Arc<str>]>);

/// Where an agent stands in its groups, as it was when it was last looked at.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct GroupMembership {
    /// What it was made from.
    of: Option<Named>,
    common: Vec<GroupKey>,
    down: bool,
}

/// Notes where an agent belongs and whether it is down; raises and clears what that changes.
pub(super) fn place(turn: &mut Turn, key: AgentKey) {
    let Some(agent) = turn.state().agent(key) else { return };
    if agent.listed && agent.health == Health::Stale {
        return;
    }
    let down = agent.listed && is_down(agent);
    let live = turn.live.agents.get(&key).map(|live| &live.place);
    let same = |place: &&GroupMembership| {
        let same =
            |(spec, sources): &Named| Arc::ptr_eq(spec, &agent.spec) && Arc::ptr_eq(sources, &agent.sources);
        place.down == down && agent.listed != place.common.is_empty() && place.of.as_ref().is_some_and(same)
    };
    // Nearly always nothing of it has changed.
    if live.as_ref().is_some_and(same) {
        return;
    }
    let common = if agent.listed { common_of(turn, agent) } else { Vec::new() };
    let of = Some((agent.spec.clone(), agent.sources.clone()));
    let before = std::mem::replace(
        &mut turn.agent_live(key).place,
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

/// Raises or clears what a group has become.
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
            "look at the host and at the way to it; each agent is asked again by itself",
        ),
        GroupKey::Source(key) => {
            let name = turn.state().sources().get(*key).map(|row| row.spec.name.clone());
            let name = name.unwrap_or_else(|| "that is gone".into());
            (
                Kind::SourceDown,
                format!("source {name}: {agents}"),
                "look at what the source and its agents run on; each agent is asked again by itself",
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
    let found = bad.then(|| Finding { kind, text, next: next.into() });
    crate::domain::decide::lint::reconcile(turn, subject, &[kind], found.into_iter().collect());
    if let Some(group) = turn.live.groups.get_mut(one) {
        group.raised = bad.then_some(subject);
    }
    // Whoever was told by itself is told by the group from here on, and the other way round.
    if bad != known.is_some() {
        let down = turn.live.groups.get(one).map(|group| group.down.clone()).unwrap_or_default();
        for agent in down {
            crate::domain::decide::lint::about_one(turn, agent);
        }
    }
}

/// Of a host always; of a source only where its agents are on several.
fn is_to_blame(turn: &Turn, one: &GroupKey, down: &BTreeSet<AgentKey>) -> bool {
    let GroupKey::Source(_) = one else { return true };
    let hosts = down.iter().filter_map(|key| {
        let place = &turn.live.agents.get(key)?.place;
        place.common.iter().find(|common| matches!(common, GroupKey::Host(_)))
    });
    let mut hosts = hosts;
    let first = hosts.next();
    hosts.any(|host| Some(host) != first)
}

/// The open problem that tells an agent with others of its kind.
pub(super) fn covering_problem<'t>(turn: &'t Turn<'_>, key: AgentKey) -> Option<&'t Problem> {
    let place = &turn.live.agents.get(&key)?.place;
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

/// After a start: the groups as the rows have them.
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
    // What was raised stays so while its agents are put in one by one.
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
        turn.agent_live(*key).place = GroupMembership { of, common, down };
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
