//! Jobs of the past against changed rules: what would have gone elsewhere.
//!
//! Both versions of the rules are asked about each job, with the candidates as its decision recorded them; an agent that
//! the record does not have is taken as it is now. Where a balance chooses by turns or by drawing, who gets a single job
//! is chance: such jobs are compared by the agents among which the choice is.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::{Agent, Health};
use crate::domain::id::{AgentId, JobId};
use crate::domain::route::balance::{Balance, Candidate, Draw, Turns, rank};
use crate::domain::route::decision::{CANDIDATES_KEPT, Considered, Decision, Obstacle, Verdict};
use crate::domain::route::message::MessageFields;
use crate::domain::route::{Rule, Rules, Selector, Target, conversation, default_rule};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Ways from one agent to another that are counted one by one; the rest is counted together.
const WAYS: usize = 200;
/// Jobs that a page lists at most.
pub const LISTED: usize = 1000;

/// A job as the journal has it.
#[derive(Clone, PartialEq, Debug)]
pub struct PastJob {
    /// The job.
    pub id: JobId,
    /// When it was accepted.
    pub at: At,
    /// The first words of its message.
    pub title: Untrusted,
    /// Where its sender wanted it to go; `None` if that was an agent by its name.
    pub target: Option<Target>,
    /// What conditions look at.
    pub fields: MessageFields,
    /// The decision about its first attempt; `None` if there was none.
    pub decision: Option<Arc<Decision>>,
}

/// Where a job goes by one version of the rules.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Goes {
    /// To this agent.
    To(AgentId),
    /// To one of these, by chance; in order.
    OneOf(Vec<AgentId>),
    /// It waits: nobody who could take it does.
    Waits,
    /// To nobody: no rule fits, or no agent is what the rule asks for.
    Nowhere,
}

/// What changed rules do to a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Change {
    /// It goes where it went.
    Same,
    /// It may go elsewhere, by chance.
    ByChance,
    /// It goes elsewhere.
    Elsewhere,
    /// It would have to wait.
    Waits,
    /// It goes to nobody.
    Nowhere,
}

impl Change {
    /// The word in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::ByChance => "by chance",
            Self::Elsewhere => "elsewhere",
            Self::Waits => "waits",
            Self::Nowhere => "to nobody",
        }
    }
}

/// Counts of jobs by what changed rules do to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// They go where they went.
    pub same: u64,
    /// They may go elsewhere, by chance.
    pub by_chance: u64,
    /// They go elsewhere.
    pub elsewhere: u64,
    /// They would have to wait.
    pub waits: u64,
    /// They go to nobody.
    pub nowhere: u64,
}

impl Changes {
    /// Counts a job.
    pub fn count(&mut self, change: Change) {
        match change {
            Change::Same => self.same += 1,
            Change::ByChance => self.by_chance += 1,
            Change::Elsewhere => self.elsewhere += 1,
            Change::Waits => self.waits += 1,
            Change::Nowhere => self.nowhere += 1,
        }
    }

    /// All jobs.
    pub fn all(&self) -> u64 {
        self.same + self.by_chance + self.differ()
    }

    /// Jobs that certainly go another way.
    pub fn differ(&self) -> u64 {
        self.elsewhere + self.waits + self.nowhere
    }

    fn merge(&mut self, other: Self) {
        self.same += other.same;
        self.by_chance += other.by_chance;
        self.elsewhere += other.elsewhere;
        self.waits += other.waits;
        self.nowhere += other.nowhere;
    }
}

/// A way that jobs take with the changed rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Way {
    /// Where they go by the present rules.
    pub from: Goes,
    /// Where they go by the changed ones.
    pub to: Goes,
    /// How many.
    pub jobs: u64,
}

/// Jobs that one of the present rules decides about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleChanges {
    /// The present rule; `None` if none fits.
    pub rule: Option<Arc<str>>,
    /// What the changed rules do to its jobs.
    pub changes: Changes,
}

/// A job that goes another way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Differing {
    /// The job.
    pub job: JobId,
    /// When it was accepted.
    pub at: At,
    /// The first words of its message.
    pub title: Untrusted,
    /// The present rule.
    pub rule: Option<Arc<str>>,
    /// The changed rule that decides.
    pub by: Option<Arc<str>>,
    /// Where it goes by the present rules.
    pub from: Goes,
    /// Where it goes by the changed ones.
    pub to: Goes,
    /// What the changed rules do to it.
    pub change: Change,
}

/// What a stretch of the past shows. Pages are merged.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Replay {
    /// What the changed rules do.
    pub changes: Changes,
    /// Jobs that were sent to an agent by name: no rule is asked.
    pub by_name: u64,
    /// Jobs for which a candidate was taken as it is now, because the record does not have it.
    pub unrecorded: u64,
    /// The ways of jobs that certainly go another way, most jobs first.
    pub ways: Vec<Way>,
    /// Jobs of ways that are not listed.
    pub other_ways: u64,
    /// By the present rule, in the order in which they were met.
    pub rules: Vec<RuleChanges>,
    /// Jobs that go another way, oldest first.
    pub differing: Vec<Differing>,
    /// Agents that are named here.
    pub names: Vec<(AgentId, Untrusted)>,
}

impl Replay {
    /// Adds a later page; keeps as many jobs as `listed`.
    pub fn merge(&mut self, later: Self, listed: usize) {
        let Self { changes, by_name, unrecorded, ways, other_ways, rules, differing, names } = later;
        self.changes.merge(changes);
        self.by_name += by_name;
        self.unrecorded += unrecorded;
        self.other_ways += other_ways;
        for way in ways {
            self.count_way(way);
        }
        self.ways.sort_by(|a, b| (b.jobs, &a.from, &a.to).cmp(&(a.jobs, &b.from, &b.to)));
        for of in rules {
            self.of_rule(of.rule).merge(of.changes);
        }
        let room = listed.saturating_sub(self.differing.len());
        self.differing.extend(differing.into_iter().take(room));
        for (id, name) in names {
            if self.names.iter().all(|(known, _)| *known != id) {
                self.names.push((id, name));
            }
        }
    }

    fn count_way(&mut self, way: Way) {
        let known = self.ways.iter().position(|known| known.from == way.from && known.to == way.to);
        match known {
            Some(place) => self.ways[place].jobs += way.jobs,
            None if self.ways.len() < WAYS => self.ways.push(way),
            None => self.other_ways += way.jobs,
        }
    }

    fn of_rule(&mut self, rule: Option<Arc<str>>) -> &mut Changes {
        let place = self.rules.iter().position(|of| of.rule == rule).unwrap_or_else(|| {
            self.rules.push(RuleChanges { rule, changes: Changes::default() });
            self.rules.len() - 1
        });
        &mut self.rules[place].changes
    }
}

/// One page of the past, and where the next one begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplayPage {
    /// What the jobs of the page show.
    pub replay: Replay,
    /// Where the next page begins; `None` if this was the last one.
    pub next: Option<u64>,
    /// The part of the past that has been read, in per cent.
    pub percent: u8,
}

/// Runs both versions of the rules over jobs.
#[derive(Debug)]
pub struct Replayer<'f> {
    now: &'f Rules,
    changed: &'f Rules,
    /// The agents of the fleet as they are now, in its order.
    fleet: Vec<&'f Agent>,
    by_id: BTreeMap<AgentId, usize>,
    /// The agents that selectors name, by their places.
    named: BTreeMap<Selector, Arc<[usize]>>,
    replay: Replay,
    listed: usize,
}

/// Where a job goes, and by which rule.
struct Routed {
    rule: Option<Arc<Rule>>,
    goes: Goes,
    /// True if an agent was taken as it is now.
    unrecorded: bool,
}

impl<'f> Replayer<'f> {
    /// A comparison of two versions of the rules for a fleet. `listed` jobs that differ are kept.
    pub fn new(
        now: &'f Rules,
        changed: &'f Rules,
        agents: impl Iterator<Item = &'f Agent>,
        listed: usize,
    ) -> Self {
        let mut fleet: Vec<&Agent> = agents.collect();
        fleet.sort_by_key(|agent| agent.order);
        let by_id = fleet.iter().enumerate().map(|(place, agent)| (agent.id, place)).collect();
        let listed = listed.min(LISTED);
        Self { now, changed, fleet, by_id, named: BTreeMap::new(), replay: Replay::default(), listed }
    }

    /// Looks at a job.
    pub fn add(&mut self, job: &PastJob) {
        let Some(target) = job.target.as_ref().filter(|target| !matches!(target, Target::Agent(_))) else {
            self.replay.by_name += 1;
            return;
        };
        let (now, changed) = (self.now, self.changed);
        let before = self.route(now, target, job);
        let after = self.route(changed, target, job);
        // The record says who got it, if the same rule decided then.
        let decided = job.decision.as_ref().filter(|decision| {
            decision.rule.as_deref()
                == before.rule.as_ref().filter(|rule| !rule.name.is_empty()).map(|rule| &*rule.name)
        });
        let same_rule = before.rule == after.rule;
        let from = match (decided.and_then(|decision| decision.taken()), &before.goes) {
            (Some(taken), Goes::OneOf(of)) if of.contains(&taken) && !same_rule => Goes::To(taken),
            _ => before.goes.clone(),
        };
        let change = if same_rule { Change::Same } else { change(&from, &before.goes, &after.goes) };
        let name = |rule: &Option<Arc<Rule>>| {
            rule.as_ref().map(|rule| rule.name.clone()).filter(|name| !name.is_empty())
        };
        self.replay.changes.count(change);
        self.replay.of_rule(name(&before.rule)).count(change);
        self.replay.unrecorded += u64::from(!same_rule && (before.unrecorded || after.unrecorded));
        if !matches!(change, Change::Same | Change::ByChance) {
            self.replay.count_way(Way { from: from.clone(), to: after.goes.clone(), jobs: 1 });
            if self.replay.differing.len() < self.listed {
                self.replay.differing.push(Differing {
                    job: job.id,
                    at: job.at,
                    title: job.title.clone(),
                    rule: name(&before.rule),
                    by: name(&after.rule),
                    from,
                    to: after.goes,
                    change,
                });
            }
        }
    }

    /// What was found, with the names of the agents in it.
    pub fn end(mut self) -> Replay {
        let ways = self.replay.ways.iter().flat_map(|way| [&way.from, &way.to]);
        let listed = self.replay.differing.iter().flat_map(|job| [&job.from, &job.to]);
        let mut ids: Vec<AgentId> = ways.chain(listed).flat_map(agents_of).collect();
        ids.sort_unstable();
        ids.dedup();
        let name = |id: AgentId| Some((id, self.fleet.get(*self.by_id.get(&id)?)?.name.clone()));
        self.replay.names = ids.into_iter().filter_map(name).collect();
        self.replay
    }

    fn route(&mut self, rules: &Rules, target: &Target, job: &PastJob) -> Routed {
        let decided = rules.decide(target, &job.fields).cloned();
        let Some(rule) = decided.or_else(|| default_rule(target).map(Arc::new)) else {
            return Routed { rule: None, goes: Goes::Nowhere, unrecorded: false };
        };
        let mut unrecorded = false;
        let mut waits = false;
        for selector in rule.stages() {
            let (candidates, now) = self.candidates(selector, &rule, (target, job));
            unrecorded |= now;
            if candidates.is_empty() {
                continue;
            }
            match choice(&rule, &candidates, job) {
                Some(goes) => return Routed { rule: Some(rule.clone()), goes, unrecorded },
                None => waits = true,
            }
        }
        let goes = if waits { Goes::Waits } else { Goes::Nowhere };
        Routed { rule: Some(rule), goes, unrecorded }
    }

    /// The agents that a selector names, as they were; true if one had to be taken as it is now.
    fn candidates(
        &mut self,
        selector: &Selector,
        rule: &Rule,
        (target, job): (&Target, &PastJob),
    ) -> (Vec<Candidate>, bool) {
        let recorded =
            job.decision.as_deref().map(|decision| decision.candidates.as_slice()).unwrap_or_default();
        let weight = |name: &str| rule.weight(name);
        let of_record = |one: &Considered| {
            let agent = self.by_id.get(&one.agent).and_then(|place| self.fleet.get(*place));
            let name = agent.map(|agent| agent.spec.name.as_deref().unwrap_or(agent.name.raw()));
            as_recorded(one, name.map_or(1, weight))
        };
        // A record of the same agents says who they were then, also if the fleet has changed since.
        if recorded.len() < CANDIDATES_KEPT && self.is_of(selector, target, job) {
            return (recorded.iter().map(of_record).collect(), false);
        }
        let mut unrecorded = false;
        let places = self.places(selector);
        let candidates = places.iter().filter_map(|place| self.fleet.get(*place)).map(|agent| match recorded
            .iter()
            .find(|one| one.agent == agent.id)
        {
            Some(one) => as_recorded(one, weight(agent.spec.name.as_deref().unwrap_or(agent.name.raw()))),
            None => {
                unrecorded = true;
                as_now(agent, weight(agent.spec.name.as_deref().unwrap_or(agent.name.raw())))
            }
        });
        let candidates = candidates.collect();
        (candidates, unrecorded)
    }

    /// True if the candidates of a job's decision are the agents of this selector.
    fn is_of(&self, selector: &Selector, target: &Target, job: &PastJob) -> bool {
        let Some(decision) = job.decision.as_ref() else { return false };
        let stage = usize::from(decision.stage);
        match &decision.rule {
            Some(name) => self.now.rule(name).and_then(|rule| rule.stages().nth(stage)) == Some(selector),
            None => default_rule(target).is_some_and(|rule| rule.to == *selector),
        }
    }

    fn places(&mut self, selector: &Selector) -> Arc<[usize]> {
        if let Some(known) = self.named.get(selector) {
            return known.clone();
        }
        let fleet = self.fleet.iter().enumerate();
        let found: Arc<[usize]> = fleet
            .filter(|(_, agent)| agent.listed && selector.names(agent))
            .map(|(place, _)| place)
            .collect();
        self.named.insert(selector.clone(), found.clone());
        found
    }
}

/// The agents that are named.
fn agents_of(goes: &Goes) -> Vec<AgentId> {
    match goes {
        Goes::To(agent) => vec![*agent],
        Goes::OneOf(agents) => agents.clone(),
        Goes::Waits | Goes::Nowhere => Vec::new(),
    }
}

/// What changes for a job that goes to `from`, one of `among`, and would go to `to`.
fn change(from: &Goes, among: &Goes, to: &Goes) -> Change {
    if from == to || among == to {
        return Change::Same;
    }
    match (from, to) {
        (_, Goes::Nowhere) => Change::Nowhere,
        (_, Goes::Waits) => Change::Waits,
        (Goes::To(from), Goes::OneOf(to)) if to.contains(from) => Change::ByChance,
        (Goes::OneOf(from), Goes::To(to)) if from.contains(to) => Change::ByChance,
        (Goes::OneOf(from), Goes::OneOf(to)) if from.iter().any(|one| to.contains(one)) => Change::ByChance,
        (Goes::To(_) | Goes::OneOf(_) | Goes::Waits | Goes::Nowhere, Goes::To(_) | Goes::OneOf(_)) => {
            Change::Elsewhere
        }
    }
}

/// Where a job goes among candidates; `None` if none of them takes it.
fn choice(rule: &Rule, candidates: &[Candidate], job: &PastJob) -> Option<Goes> {
    let draw = Draw { conversation: job.fields.context.as_ref().map(conversation), random: [0; 2] };
    let ranked = rank(rule.balance, candidates, &Turns::default(), draw);
    let ready: Vec<&Considered> =
        ranked.iter().filter(|one| !matches!(one.verdict, Verdict::Out(_))).collect();
    let first = ready.first()?;
    let by_turns = match rule.balance {
        Balance::RoundRobin | Balance::Weighted | Balance::TwoChoices => true,
        Balance::Sticky => draw.conversation.is_none(),
        Balance::LeastConnections | Balance::LowestLatency => false,
    };
    let weightless = |id: AgentId| {
        rule.balance == Balance::Weighted && candidates.iter().any(|one| one.agent == id && one.weight == 0)
    };
    let alike = ready.iter().filter(|one| {
        weightless(one.agent) == weightless(first.agent) && (by_turns || one.score == first.score)
    });
    let mut alike: Vec<AgentId> = alike.map(|one| one.agent).collect();
    alike.sort_unstable();
    Some(if alike.len() == 1 { Goes::To(alike[0]) } else { Goes::OneOf(alike) })
}

/// A candidate as its record has it.
fn as_recorded(one: &Considered, weight: u32) -> Candidate {
    Candidate {
        agent: one.agent,
        health: one.health,
        in_flight: one.in_flight,
        capacity: one.capacity,
        latency: one.latency,
        failing: one.failing,
        weight,
        tried: false,
        obstacle: match one.verdict {
            Verdict::Out(obstacle) => Some(obstacle),
            Verdict::Taken | Verdict::Behind => None,
        },
    }
}

/// A candidate as the agent is now.
fn as_now(agent: &Agent, weight: u32) -> Candidate {
    let full = agent.spec.capacity.is_some_and(|most| agent.counts.live >= most);
    let obstacle = if agent.breaker.position == BreakerState::Open {
        Some(Obstacle::Breaker)
    } else if agent.service.is_some() {
        Some(Obstacle::Cordoned)
    } else if full {
        Some(Obstacle::Full)
    } else {
        let takes = matches!(agent.health, Health::Up | Health::Degraded | Health::LoginNeeded);
        (!takes).then_some(Obstacle::Health(agent.health))
    };
    Candidate {
        agent: agent.id,
        health: agent.health,
        in_flight: agent.counts.live,
        capacity: agent.spec.capacity,
        latency: None,
        failing: 0,
        weight,
        tried: false,
        obstacle,
    }
}
