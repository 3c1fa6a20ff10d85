//! What acts on many tasks would do to each: where it would go, what stays and why. The core itself answers, on a copy.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::core::Core;
use crate::domain::id::{AgentId, AgentKey, AttemptId, AttemptKey};
use crate::domain::input::Input;
use crate::domain::intent::Intent;
use crate::domain::job::Attempt;
use crate::domain::job::delegated;
use crate::domain::job::plan::{JobPhase, WaitReason};
use crate::domain::rehearsal::{Messages, Rehearsal};
use crate::domain::state::State;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Tasks of one plan, at most.
pub const MOST: usize = 1000;
/// What is decided within this time belongs to the acts: a queue is emptied in steps.
const SETTLES: Duration = Duration::from_secs(2);

/// What becomes of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Becomes {
    /// Another attempt, at this agent.
    Goes(AgentId),
    /// Another attempt, once what it waits for is there.
    Waits(WaitReason),
    /// It ends, and another attempt follows once what it delegated was seen to end, which nobody can see now.
    Held,
    /// It ends, and nothing follows.
    Ends,
    /// Nothing is done; the text says why.
    Stays(Untrusted),
}

/// One task of a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its attempt.
    pub attempt: AttemptId,
    /// What becomes of it.
    pub becomes: Becomes,
    /// The live tasks that are canceled with it, by agent.
    pub delegated: Vec<(AgentId, u32)>,
}

/// What an agent gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// The agent.
    pub agent: AgentId,
    /// How many tasks it gets.
    pub gets: u32,
    /// Its tasks in flight now.
    pub before: u32,
    /// Its tasks in flight then.
    pub after: u32,
    /// What it accepts at once.
    pub capacity: Option<u32>,
}

/// What acts would do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Each task, in the order of the acts.
    pub rows: Vec<Row>,
    /// The agents that get any, the most first.
    pub loads: Vec<Load>,
    /// True if it was cut short: some rows may say less than would happen.
    pub is_cut: bool,
}

impl Plan {
    /// The rows to which something happens.
    pub fn acts(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !matches!(row.becomes, Becomes::Stays(_)))
    }

    /// Why rows stay, and how many for each reason, the most frequent first.
    pub fn stays(&self) -> Vec<(&Untrusted, u32)> {
        let mut counts: BTreeMap<&Untrusted, u32> = BTreeMap::new();
        for row in &self.rows {
            if let Becomes::Stays(why) = &row.becomes {
                *counts.entry(why).or_default() += 1;
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }

    /// For what rows would wait, and how many.
    pub fn waits(&self) -> Vec<(WaitReason, u32)> {
        let mut counts: BTreeMap<WaitReason, u32> = BTreeMap::new();
        for row in &self.rows {
            if let Becomes::Waits(why) = row.becomes {
                *counts.entry(why).or_default() += 1;
            }
        }
        counts.into_iter().collect()
    }

    /// How many rows would end in this way.
    pub fn count(&self, becomes: &Becomes) -> usize {
        self.rows.iter().filter(|row| row.becomes == *becomes).count()
    }

    /// The tasks that are canceled with the others, by agent.
    pub fn delegated(&self) -> Vec<(AgentId, u32)> {
        let mut counts: BTreeMap<AgentId, u32> = BTreeMap::new();
        for (agent, count) in self.acts().flat_map(|row| &row.delegated) {
            *counts.entry(*agent).or_default() += count;
        }
        counts.into_iter().collect()
    }

    /// How many more agents would do, if each accepts this many tasks at once; `None` if none is missing.
    pub fn more_agents(&self, capacity: Option<u32>) -> Option<u32> {
        let waits: u32 =
            self.waits().iter().filter(|(why, _)| *why == WaitReason::Capacity).map(|(_, count)| count).sum();
        (waits > 0).then(|| waits.div_ceil(capacity.unwrap_or(1).max(1)))
    }
}

/// What was rehearsed of one task.
struct Asked {
    attempt: AttemptId,
    key: Option<AttemptKey>,
    below: Vec<(AgentId, u32)>,
    refused: Option<Untrusted>,
}

/// Rehearses acts, in order. Acts on the same attempt belong together; if one is refused, the next are left out.
pub fn of(core: Core, now: At, acts: &[Intent], messages: &mut Messages<'_>) -> Plan {
    let before = counts(core.state());
    // The borrow of the messages has to outlive the rehearsal alone.
    let mut load = |job| messages(job);
    let mut rehearsal = Rehearsal::new(core, now, &mut load);
    let mut asked: Vec<Asked> = Vec::new();
    for act in acts.iter().take(MOST * 2) {
        let Some(attempt) = act.attempt() else { continue };
        if asked.last().is_some_and(|last| last.attempt == attempt && last.refused.is_some()) {
            continue;
        }
        let key = rehearsal.state().attempt_key(attempt);
        let cascades = matches!(act, Intent::CancelWithDelegated { .. } | Intent::Reroute { .. });
        let below =
            key.filter(|_| cascades).map(|key| live_below(rehearsal.state(), key)).unwrap_or_default();
        rehearsal.replies.clear();
        rehearsal.feed(Input::Intent { ticket: u64::MAX, intent: act.clone(), by: None });
        let reply = rehearsal.replies.iter().find(|reply| reply.ticket == u64::MAX);
        let refused = match reply.map(|reply| &reply.result) {
            Some(Ok(_)) => None,
            Some(Err(refusal)) => Some(refusal.to_string().into()),
            None => Some("it was not rehearsed".into()),
        };
        match asked.last_mut().filter(|last| last.attempt == attempt) {
            Some(last) => last.refused = refused,
            None => asked.push(Asked { attempt, key, below, refused }),
        }
    }
    rehearsal.pass_until(now + SETTLES);
    let state = rehearsal.state();
    let rows: Vec<Row> = asked
        .into_iter()
        .map(|asked| {
            let becomes = match asked.refused {
                Some(why) => Becomes::Stays(why),
                None => asked.key.map_or(Becomes::Ends, |key| becomes(state, key)),
            };
            Row { attempt: asked.attempt, becomes, delegated: asked.below }
        })
        .collect();
    let after = counts(state);
    let mut gets: BTreeMap<AgentId, u32> = BTreeMap::new();
    for row in &rows {
        if let Becomes::Goes(agent) = row.becomes {
            *gets.entry(agent).or_default() += 1;
        }
    }
    let mut loads: Vec<Load> = gets
        .into_iter()
        .map(|(agent, gets)| Load {
            agent,
            gets,
            before: before.get(&agent).copied().unwrap_or(0),
            after: after.get(&agent).copied().unwrap_or(0),
            capacity: state
                .agent_key(agent)
                .and_then(|key| state.agent(key))
                .and_then(|agent| agent.spec.capacity),
        })
        .collect();
    loads.sort_by_key(|load| std::cmp::Reverse(load.gets));
    Plan { rows, loads, is_cut: rehearsal.is_cut() }
}

fn counts(state: &State) -> BTreeMap<AgentId, u32> {
    state.agents().iter().map(|(_, agent)| (agent.id, agent.counts.live)).collect()
}

/// The live tasks below one, by agent.
pub(super) fn live_below(state: &State, key: AttemptKey) -> Vec<(AgentId, u32)> {
    let mut agents: BTreeMap<AgentKey, u32> = BTreeMap::new();
    for key in delegated::below(state, key).tasks {
        if let Some(row) = state.attempt(key).filter(|row| row.is_live()) {
            *agents.entry(row.agent).or_default() += 1;
        }
    }
    agents.into_iter().filter_map(|(key, count)| Some((state.agent(key)?.id, count))).collect()
}

/// What has become of the job of an attempt.
pub(super) fn becomes(state: &State, key: AttemptKey) -> Becomes {
    let job = state.attempt(key).and_then(|attempt: &Attempt| state.job_of(attempt));
    let Some(job) = job else { return Becomes::Ends };
    let last = job.attempts.last().copied();
    match last.filter(|last| *last != key).and_then(|last| state.attempt(last)) {
        Some(next) => state.agent(next.agent).map_or(Becomes::Ends, |agent| Becomes::Goes(agent.id)),
        None if job.phase == JobPhase::Queued => {
            let waiting = job.plan.as_ref().and_then(|plan| plan.waiting);
            Becomes::Waits(waiting.map_or(WaitReason::Unavailable, |waiting| waiting.why))
        }
        None if job.phase == JobPhase::Running
            && job.plan.as_ref().is_some_and(|plan| plan.next.is_some()) =>
        {
            Becomes::Held
        }
        None => Becomes::Ends,
    }
}
