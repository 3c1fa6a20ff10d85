//! The router at work: gathers the agents that a rule names, with what is known of each, and chooses one.

use std::sync::Arc;

use crate::domain::decide::admission::{self, Admission, Work};
use crate::domain::decide::dispatch;
use crate::domain::decide::instead;
use crate::domain::decide::not_now;
use crate::domain::decide::retry;
use crate::domain::decide::shift;
use crate::domain::decide::timeout;
use crate::domain::decide::turn::Turn;
use crate::domain::fact::FleetFact;
use crate::domain::id::{AgentKey, MessageId};
use crate::domain::intent::{Refusal, Remedy, Send};
use crate::domain::job::plan::WaitReason;
use crate::domain::route::balance::{Candidate, Draw, Turns, rank};
use crate::domain::route::decision::{CANDIDATES_KEPT, Decision, Obstacle, Verdict};
use crate::domain::route::explanation::{Explanation, Outcome, RuleRow};
use crate::domain::route::message::MessageFields;
use crate::domain::route::shift::rank_shifted;
use crate::domain::route::{Rule, Rules, Selector, Target, conversation, default_rule};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Failed results of the last minutes weigh on an agent; it may be well again after that.
const FAILING_AGE: std::time::Duration = std::time::Duration::from_secs(300);
/// With fewer results than this, the missing ones count as successes: one failure says little.
const FAILING_NEEDS: u32 = 3;

/// What the router says about a job.
#[derive(Clone, Debug)]
pub(in crate::domain) enum Choice {
    /// This agent gets it.
    Agent(AgentKey, Decision),
    /// It has to wait.
    Wait(WaitReason, Decision),
    /// No rule fits, or no agent is what the rule asks for; the text says which.
    Nobody(Untrusted),
}

/// Chooses an agent for a job. Agents of its earlier attempts come last.
pub(super) fn choose(turn: &mut Turn, target: &Target, fields: &MessageFields, tried: &[AgentKey]) -> Choice {
    choose_among(turn, target, fields, tried, false)
}

/// Chooses an agent for another attempt of a job that runs at these agents. The job has its place in its rule already.
pub(super) fn choose_beside(
    turn: &mut Turn,
    target: &Target,
    fields: &MessageFields,
    runs_at: &[AgentKey],
) -> Choice {
    choose_among(turn, target, fields, runs_at, true)
}

fn choose_among(
    turn: &mut Turn,
    target: &Target,
    fields: &MessageFields,
    tried: &[AgentKey],
    beside: bool,
) -> Choice {
    if let Target::Agent(agent) = target {
        return match turn.state().agent_key(*agent) {
            Some(key) => choose_named(turn, key),
            None => Choice::Nobody(admission::LEFT.into()),
        };
    }
    let routes = turn.live.routes.clone();
    let decided = routes.decide(target, fields).cloned();
    let Some(rule) = decided.clone().or_else(|| default_rule(target).map(Arc::new)) else {
        return Choice::Nobody(nobody(target, routes.rules.is_empty()).into());
    };
    let decision = |stage: usize, candidates, shift| Decision {
        rule: decided.as_ref().map(|rule| rule.name.clone()),
        route: decided.as_ref().map(|rule| rule.route.clone()),
        revision: routes.revision,
        matched: rule.conditions.iter().map(|condition| Arc::from(condition.to_string())).collect(),
        stage: u8::try_from(stage).unwrap_or(u8::MAX),
        candidates,
        shift,
    };
    if decided.is_some()
        && !beside
        && rule.concurrency.is_some_and(|most| turn.state().queue().running(&rule.name) >= most as usize)
    {
        return Choice::Wait(WaitReason::Concurrency, decision(0, Vec::new(), None));
    }
    let mut waits: Option<(WaitReason, Decision)> = None;
    for (stage, selector) in rule.stages().enumerate() {
        let agents = selected(turn, selector);
        let candidates: Vec<Candidate> = agents
            .iter()
            .filter(|key| !beside || !tried.contains(key))
            .filter_map(|key| candidate(turn, *key, &rule, tried.contains(key)))
            .collect();
        if candidates.is_empty() {
            continue;
        }
        let random = [turn.seed.next(), turn.seed.next()];
        let draw = Draw { conversation: fields.context.as_ref().map(conversation), random };
        let pairs = shift::pairs(turn, target, fields, selector);
        let turns = turn.live.turns.entry(rule.name.clone()).or_default();
        let ranked = rank_shifted(rule.balance, &candidates, turns, draw, &pairs);
        if let Some(turn_of) = ranked.turn_of {
            turns.took(&ranked.seats, turn_of);
        }
        let (mut ranked, shifted) = (ranked.considered, ranked.shifted);
        let taken = ranked.first().filter(|one| one.verdict == Verdict::Taken).map(|one| one.agent);
        if let Some(taken) = taken {
            ranked.truncate(CANDIDATES_KEPT);
            if let Some(key) = turn.state().agent_key(taken) {
                return Choice::Agent(key, decision(stage, ranked, shifted));
            }
        }
        let full = ranked.iter().any(|one| one.verdict == Verdict::Out(Obstacle::Full));
        let why = if full { WaitReason::Capacity } else { WaitReason::Unavailable };
        ranked.truncate(CANDIDATES_KEPT);
        // A place that becomes free is a better prospect than an agent that comes back.
        if waits.as_ref().is_none_or(|(now, _)| why == WaitReason::Capacity && *now != why) {
            waits = Some((why, decision(stage, ranked, None)));
        }
    }
    match waits {
        Some((why, decision)) => Choice::Wait(why, decision),
        None => {
            let wanted: Vec<_> = rule.stages().map(Selector::wanted).collect();
            Choice::Nobody(format!("no agent of the fleet {}", wanted.join(", or ")).into())
        }
    }
}

/// The same for a job whose agent the operator named: it waits for that one.
pub(super) fn choose_named(turn: &Turn, key: AgentKey) -> Choice {
    let rule = Rule::new("", Selector::Set(Arc::default()));
    let Some(candidate) = candidate(turn, key, &rule, false) else {
        return Choice::Nobody(admission::LEFT.into());
    };
    let obstacle = candidate.obstacle;
    let draw = Draw { conversation: None, random: [0; 2] };
    let candidates = rank(rule.balance, &[candidate], &Turns::default(), draw);
    let decision = Decision {
        rule: None,
        route: None,
        revision: 0,
        matched: Vec::new(),
        stage: 0,
        candidates,
        shift: None,
    };
    match obstacle {
        None => Choice::Agent(key, decision),
        Some(Obstacle::Full) => Choice::Wait(WaitReason::Capacity, decision),
        Some(_) => Choice::Wait(WaitReason::Unavailable, decision),
    }
}

/// The refusal of a message that nobody can take: where rules decided, they can say why.
pub(super) fn refusal(turn: &Turn, target: &Target, why: &Untrusted) -> Refusal {
    match target {
        Target::Route(route) => instead(why.clone(), Remedy::Explain(Some(route.clone()))),
        Target::Any if !turn.live.routes.rules.is_empty() => instead(why.clone(), Remedy::Explain(None)),
        Target::Any | Target::Agent(_) | Target::Skill(_) | Target::Tag(_) => not_now(why.clone()),
    }
}

/// Why no rule decides.
fn nobody(target: &Target, none: bool) -> String {
    match target {
        Target::Route(route) => format!("no rule of route {route} fits this message"),
        _ if none => "this fleet has no routes: name an agent or a skill".to_owned(),
        _ => "no rule fits this message".to_owned(),
    }
}

/// Takes in the rules of the configuration. Jobs that wait are looked at again: other agents may take them now.
pub(super) fn load(turn: &mut Turn, read: Result<Arc<Rules>, Untrusted>) {
    turn.touched.console = true;
    let routes = match read {
        Ok(routes) => routes,
        Err(why) => return turn.live.routes_fault = Some(why),
    };
    turn.live.routes_fault = None;
    turn.live.turns.retain(|name, _| routes.rule(name).is_some());
    turn.live.budgets.retain(|name, _| routes.rule(name).is_some());
    let news = turn.live.routes.revision != routes.revision;
    turn.live.routes = routes;
    if news {
        record_rules(turn);
        timeout::resume(turn);
    }
    turn.touched.freed = true;
}

/// Records which rules hold from here on.
pub(super) fn record_rules(turn: &mut Turn) {
    let (revision, rules) = (turn.live.routes.revision, turn.live.routes.rules.len());
    if rules > 0 {
        let rules = u32::try_from(rules).unwrap_or(u32::MAX);
        turn.fleet_fact(FleetFact::RoutesLoaded { revision, rules });
    }
}

/// The rules, and where a message would go now.
pub(in crate::domain) fn explain(turn: &mut Turn, send: Option<&Send>) -> Explanation {
    let routes = turn.live.routes.clone();
    let row = |rule: &Arc<Rule>, fit| {
        let running = u32::try_from(turn.state().queue().running(&rule.name)).unwrap_or(u32::MAX);
        let budget = retry::budget(turn, rule);
        RuleRow { budget, fit, ..RuleRow::of(rule, &routes, running) }
    };
    let Some(send) = send else {
        let rules = routes.rules.iter().map(|rule| row(rule, None)).collect();
        return Explanation { revision: routes.revision, rules, ..Explanation::default() };
    };
    let message = dispatch::message_of(&MessageId::from(""), send);
    let caller = send.caller.clone().unwrap_or_else(|| turn.operator());
    let fields = MessageFields::of(&message, Some(&caller));
    let rules =
        routes.explain(&send.target, &fields).into_iter().map(|(rule, fit)| row(&rule, Some(fit))).collect();
    // Whose turn it is stays as it is.
    let (turns, seed) = (turn.live.turns.clone(), turn.seed.clone());
    let choice = choose(turn, &send.target, &fields, &[]);
    (turn.live.turns, *turn.seed) = (turns, seed);
    let (outcome, decision) = match choice {
        Choice::Agent(key, decision) => {
            let agent = turn.state().agent(key).map(|agent| agent.id);
            (agent.map(Outcome::Goes), Some(decision))
        }
        Choice::Wait(why, decision) => (Some(Outcome::Waits(why)), Some(decision)),
        Choice::Nobody(why) => (Some(Outcome::Nowhere(why)), None),
    };
    let candidates = decision.iter().flat_map(|decision| &decision.candidates).map(|one| one.agent);
    let shifted = decision.iter().filter_map(|decision| decision.shift);
    let mut ids: Vec<_> = candidates.chain(shifted.flat_map(|shift| [shift.from, shift.to])).collect();
    ids.sort_unstable();
    ids.dedup();
    let name = |id| Some((id, turn.state().agent(turn.state().agent_key(id)?)?.name.clone()));
    let names = ids.into_iter().filter_map(name).collect();
    Explanation { revision: routes.revision, rules, outcome, decision, names }
}

/// The listed agents that a selector names, in the order of the fleet. Remembered until an agent, a name or a card
/// changes: a fleet may have thousands.
pub(super) fn selected(turn: &mut Turn, selector: &Selector) -> Arc<[AgentKey]> {
    if let Some(known) = turn.live.selected.get(selector) {
        return known.clone();
    }
    let agents = turn.state().agents().iter();
    let mut found: Vec<_> = agents
        .filter(|(_, agent)| agent.listed && selector.names(agent))
        .map(|(key, agent)| (agent.order, key))
        .collect();
    // What is equal goes in the order of the configuration, also after a restart.
    found.sort_unstable();
    let found: Arc<[AgentKey]> = found.into_iter().map(|(_, key)| key).collect();
    turn.live.selected.insert(selector.clone(), found.clone());
    found
}

/// An agent with what is known of it.
fn candidate(turn: &Turn, key: AgentKey, rule: &Rule, tried: bool) -> Option<Candidate> {
    let agent = turn.state().agent(key)?;
    let live = turn.live.agents.get(&key);
    let obstacle = match admission::admit(turn, key, Work::New) {
        Admission::Granted => None,
        Admission::Wait(wait) => Some(wait.obstacle()),
        Admission::Refused(_) => return None,
    };
    let since =
        At::from_micros(turn.at.micros().saturating_sub(micros(FAILING_AGE))).max(agent.breaker.since);
    let failing = live.map_or(0, |live| {
        let tasks = live.evidence.tasks_since(turn.at, since);
        let calls = live.evidence.calls_since(turn.at, since, FAILING_AGE);
        [tasks, calls]
            .map(|rate| rate.failed * 1000 / rate.of.max(FAILING_NEEDS))
            .into_iter()
            .max()
            .unwrap_or(0)
    });
    Some(Candidate {
        agent: agent.id,
        health: agent.health,
        in_flight: agent.counts.live,
        capacity: agent.spec.capacity,
        latency: live.and_then(|live| live.task_time.usual()),
        failing,
        weight: rule.weight(agent.spec.name.as_deref().unwrap_or(agent.name.raw())),
        tried,
        obstacle,
    })
}

fn micros(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
