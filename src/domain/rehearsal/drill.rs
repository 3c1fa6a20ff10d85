//! A failover drill: what would become of everything if some agents died now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::{Agent, Health};
use crate::domain::core::Core;
use crate::domain::id::{AgentId, AgentKey, AttemptId, AttemptKey, JobId, JobKey, ProblemKey};
use crate::domain::job::plan::{JobPhase, WaitReason};
use crate::domain::job::{Attempt, Job, Origin, Phase};
use crate::domain::problem::{Kind, Subject};
use crate::domain::rehearsal::{Messages, Rehearsal};
use crate::domain::route::{Selector, UNREACHABLE_AFTER};
use crate::domain::state::State;
use crate::domain::state::slab::Slab;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Agents that a drill takes, at most.
pub const MOST: usize = 64;
/// Tasks that are listed, at most; the rest is counted.
pub const TASKS: usize = 1000;
/// Agents that are named for each skill and rule.
const NAMED: usize = 8;
/// How long after the last agent was given up a retry may still wait.
const PAUSES: Duration = Duration::from_secs(70);
/// A drill looks no further ahead.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// What becomes of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is given up, and another attempt follows by rule, at this agent.
    Moves(AgentId),
    /// It is given up, and another attempt waits.
    Waits(WaitReason),
    /// An operator is asked, as doing it twice may do harm.
    Asked,
    /// Its job ends without a result; the text says why.
    Ends(Untrusted),
    /// Somebody else sent it: that caller has to see to it.
    Foreign,
    /// It waits for its agent to come back.
    Stays,
}

impl Fate {
    /// The word in JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Moves(_) => "moves",
            Self::Waits(_) => "waits",
            Self::Asked => "asked",
            Self::Ends(_) => "ends",
            Self::Foreign => "foreign",
            Self::Stays => "stays",
        }
    }
}

/// A task of an agent that dies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Foretold {
    /// Its attempt.
    pub attempt: AttemptId,
    /// Its job.
    pub job: JobId,
    /// The agent.
    pub agent: AgentId,
    /// What becomes of it.
    pub fate: Fate,
    /// After how long; `None` if that is not known.
    pub after: Option<Duration>,
}

/// What is left of the agents of a skill or a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Left {
    /// `skill charge`, `rule eu`.
    pub what: Untrusted,
    /// How many agents it has.
    pub of: u32,
    /// How many of them still take work.
    pub agents: u32,
    /// Some of those, with their tasks in flight then, and what each accepts.
    pub named: Vec<(AgentId, (u32, Option<u32>))>,
    /// Free places of all of them then; `None` if one of them does not say what it accepts.
    pub free: Option<u32>,
}

/// What would happen.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Drill {
    /// The agents that would die.
    pub agents: Vec<AgentId>,
    /// How far ahead it looks.
    pub within: Duration,
    /// Their live tasks.
    pub tasks: Vec<Foretold>,
    /// Live tasks that are not listed, as there are too many.
    pub unlisted: u32,
    /// Jobs that wait, now and then, for each reason.
    pub queue: Vec<(WaitReason, (u32, u32))>,
    /// What is left, of each skill and rule that the agents serve; those with the least first.
    pub left: Vec<Left>,
    /// Problems that would be raised, by kind and by what each is about.
    pub problems: Vec<(Kind, Untrusted)>,
    /// How many more agents would do for those that would wait for a place; `None` if none does.
    pub more_agents: Option<u32>,
    /// True if it was cut short.
    pub is_cut: bool,
}

/// Rehearses the death of agents.
pub fn of(core: Core, now: At, agents: &[AgentId], messages: &mut Messages<'_>) -> Drill {
    let dead: BTreeSet<AgentKey> =
        agents.iter().take(MOST).filter_map(|agent| core.state().agent_key(*agent)).collect();
    let routes = core.routes().clone();
    let longest = routes.rules.iter().map(|rule| rule.unreachable_after).max();
    let given_up = longest.map_or(UNREACHABLE_AFTER, |longest| longest.max(UNREACHABLE_AFTER));
    let within = (core.rules().probe_interval * 2 + given_up + PAUSES).min(LONGEST);
    let before = waiting(core.state());
    let known: BTreeSet<ProblemKey> = core.state().problems().iter().map(|(key, _)| key).collect();
    let live = |key: &AttemptKey| core.state().attempt(*key).is_some_and(Attempt::is_live);
    let all: Vec<AttemptKey> =
        dead.iter().flat_map(|agent| core.state().open_attempts(*agent)).filter(live).collect();

    let mut load = |job| messages(job);
    let mut rehearsal = Rehearsal::new(core, now, &mut load);
    for agent in &dead {
        rehearsal.dead.insert(*agent);
    }
    for agent in &dead {
        rehearsal.kill(*agent);
    }
    rehearsal.pass_until(now + within);

    let state = rehearsal.state();
    let id = |key: AgentKey| state.agent(key).map(|agent| agent.id);
    let tasks: Vec<Foretold> = all.iter().take(TASKS).filter_map(|key| foretold(state, now, *key)).collect();
    let queue = queue(&before, &waiting(state));
    let grown = queue.iter().find(|(why, _)| *why == WaitReason::Capacity);
    let missing = grown.map_or(0, |(_, (was, is))| is.saturating_sub(*was));
    let accepts: Vec<u32> =
        dead.iter().filter_map(|key| state.agent(*key)?.spec.capacity).filter(|most| *most > 0).collect();
    let each =
        accepts.iter().sum::<u32>().checked_div(u32::try_from(accepts.len()).unwrap_or(1)).unwrap_or(1);
    Drill {
        agents: dead.iter().filter_map(|key| id(*key)).collect(),
        within,
        unlisted: u32::try_from(all.len().saturating_sub(TASKS)).unwrap_or(u32::MAX),
        tasks,
        queue,
        left: left(state, &routes.rules, &dead),
        problems: problems(state, &known, &dead),
        more_agents: (missing > 0).then(|| missing.div_ceil(each.max(1))),
        is_cut: rehearsal.is_cut(),
    }
}

fn foretold(state: &State, now: At, key: AttemptKey) -> Option<Foretold> {
    let row = state.attempt(key)?;
    let (fate, at) = fate(state.agents(), state.jobs(), state.attempts(), key)?;
    let (job, agent) = (state.job_of(row)?.id, state.agent(row.agent)?.id);
    Some(Foretold { attempt: row.id, job, agent, fate, after: at.map(|at| at.since(now)) })
}

/// What has become of a task whose agent died, and when, where that is known.
pub fn fate(
    agents: &Slab<AgentKey, Agent>,
    jobs: &Slab<JobKey, Job>,
    attempts: &Slab<AttemptKey, Attempt>,
    key: AttemptKey,
) -> Option<(Fate, Option<At>)> {
    let row = attempts.get(key)?;
    let job = jobs.get(row.job)?;
    let next = job.attempts.last().filter(|last| **last != key).and_then(|last| attempts.get(*last));
    let plan = job.plan.as_ref();
    let waiting = plan.and_then(|plan| plan.waiting).filter(|_| job.phase == JobPhase::Queued);
    let ended = row.task.as_ref().filter(|task| task.state.is_terminal());
    Some(match (next, waiting) {
        (Some(next), _) => (Fate::Moves(agents.get(next.agent)?.id), Some(next.created)),
        (None, Some(waiting)) => (Fate::Waits(waiting.why), Some(waiting.since)),
        (None, None) if row.needs_you() || row.phase == Phase::Uncertain => (Fate::Asked, None),
        (None, None) => match (ended, plan.and_then(|plan| plan.dead.as_ref())) {
            (Some(task), _) => (Fate::Ends(task.state.word().into()), Some(task.state_since)),
            (None, Some(dead)) => (Fate::Ends(dead.to_string().into()), None),
            (None, None) if job.origin == Origin::Found => (Fate::Foreign, None),
            (None, None) => (Fate::Stays, None),
        },
    })
}

/// How many jobs wait, for each reason.
fn waiting(state: &State) -> BTreeMap<WaitReason, u32> {
    let mut counts = BTreeMap::new();
    for (_, job) in state.jobs().iter().filter(|(_, job)| job.phase == JobPhase::Queued) {
        if let Some(waiting) = job.plan.as_ref().and_then(|plan| plan.waiting) {
            *counts.entry(waiting.why).or_default() += 1;
        }
    }
    counts
}

fn queue(
    before: &BTreeMap<WaitReason, u32>,
    after: &BTreeMap<WaitReason, u32>,
) -> Vec<(WaitReason, (u32, u32))> {
    let reasons: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
    let count = |counts: &BTreeMap<WaitReason, u32>, why| counts.get(&why).copied().unwrap_or(0);
    reasons.into_iter().map(|why| (why, (count(before, why), count(after, why)))).collect()
}

fn takes_work(agent: &Agent) -> bool {
    let is_well = matches!(agent.health, Health::Up | Health::Degraded | Health::LoginNeeded);
    agent.listed && is_well && agent.service.is_none() && agent.breaker.position != BreakerState::Open
}

/// What is left of the skills of the dead, and of the rules that send to them.
fn left(
    state: &State,
    rules: &[std::sync::Arc<crate::domain::route::Rule>],
    dead: &BTreeSet<AgentKey>,
) -> Vec<Left> {
    let gone = || dead.iter().filter_map(|key| state.agent(*key));
    let skills: BTreeSet<Untrusted> = gone()
        .flat_map(|agent| agent.card.iter().flat_map(|card| &card.skills))
        .map(|skill| skill.id.clone())
        .collect();
    let mut all: Vec<Left> = skills
        .into_iter()
        .map(|skill| {
            let what = format!("skill {}", skill.raw()).into();
            of_selectors(state, dead, what, &[&Selector::Skill(skill)])
        })
        .collect();
    for rule in rules {
        let stages: Vec<&Selector> = rule.stages().collect();
        if gone().any(|agent| stages.iter().any(|stage| stage.names(agent))) {
            all.push(of_selectors(state, dead, format!("rule {}", rule.name).into(), &stages));
        }
    }
    all.sort_by_key(|left| (left.agents, left.free.unwrap_or(u32::MAX)));
    all
}

fn of_selectors(state: &State, dead: &BTreeSet<AgentKey>, what: Untrusted, selectors: &[&Selector]) -> Left {
    let members = state
        .agents()
        .iter()
        .filter(|(_, agent)| agent.listed && selectors.iter().any(|selector| selector.names(agent)));
    let members: Vec<_> = members.collect();
    let well: Vec<&Agent> = members
        .iter()
        .filter(|(key, agent)| !dead.contains(key) && takes_work(agent))
        .map(|(_, agent)| *agent)
        .collect();
    let free = well.iter().map(|agent| Some(agent.spec.capacity?.saturating_sub(agent.counts.live)));
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Left {
        what,
        of: number(members.len()),
        agents: number(well.len()),
        named: well
            .iter()
            .take(NAMED)
            .map(|agent| (agent.id, (agent.counts.live, agent.spec.capacity)))
            .collect(),
        free: free.sum(),
    }
}

/// The problems that are new, but for those of agents that only seem silent as nothing is played of them.
fn problems(
    state: &State,
    known: &BTreeSet<ProblemKey>,
    dead: &BTreeSet<AgentKey>,
) -> Vec<(Kind, Untrusted)> {
    let new = state.problems().iter().filter(|(key, problem)| {
        let about_dead = match problem.subject {
            Subject::Agent(agent) => dead.contains(&agent),
            Subject::Host(_) | Subject::Source(_) | Subject::Objective(_) | Subject::Console => true,
        };
        !known.contains(key) && problem.cleared.is_none() && about_dead
    });
    new.map(|(_, problem)| {
        let agent = problem.subject.agent().and_then(|key| state.agent(key));
        let name = agent.map(|agent| format!("{} ", agent.name.raw())).unwrap_or_default();
        (problem.kind, format!("{name}{}", problem.text.raw()).into())
    })
    .collect()
}
