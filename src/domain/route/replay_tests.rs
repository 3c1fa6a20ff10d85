//! The past against changed rules: a fleet and jobs with known candidates, and changes with known outcomes.

use std::sync::Arc;

use uuid::Uuid;

use super::balance::Balance;
use super::decision::{Considered, Decision, Obstacle, Verdict};
use super::message::MessageFields;
use super::replay::{Changes, Goes, PastJob, Replay, Replayer, Way};
use super::{Rule, Rules, Selector, Target};
use crate::domain::agent::card::{Card, Skill};
use crate::domain::agent::{Agent, AgentSpec, Health, Source};
use crate::domain::apply::apply;
use crate::domain::fact::{AgentFact, Fact, JournalEntry};
use crate::domain::id::{AgentId, JobId};
use crate::domain::route::condition::{Condition, Field};
use crate::domain::state::State;
use crate::domain::time::At;

fn agent(n: u128) -> AgentId {
    AgentId(Uuid::from_u128(n))
}

/// Three agents with the skill, told as facts; they are `a-1` to `a-3`.
fn fleet() -> State {
    let mut state = State::default();
    for n in 1..=3u32 {
        let spec = AgentSpec {
            name: Some(format!("a-{n}").into()),
            ..AgentSpec::at(format!("http://host-{n}"), Source::Config)
        };
        let skill = Skill {
            id: "charge".into(),
            name: "".into(),
            description: "".into(),
            tags: Vec::new(),
            examples: Vec::new(),
            input_modes: Vec::new(),
            output_modes: Vec::new(),
        };
        let card = Arc::new(Card { skills: vec![skill], ..Card::empty() });
        let facts = [
            AgentFact::Listed { spec: Arc::new(spec), order: n, name: format!("a-{n}").into() },
            AgentFact::CardSeen { card, reported: false },
            AgentFact::HealthChanged { health: Health::Up, cause: None, last_seen: At::ZERO },
        ];
        for (seq, fact) in (1..).zip(facts) {
            let fact = Fact::Agent(agent(u128::from(n)), fact);
            apply(&mut state, &JournalEntry { at: At::ZERO, seq, actor: None, fact });
        }
    }
    state
}

/// A candidate with tasks in flight; the verdict follows from the place.
fn considered(n: u128, in_flight: u32, verdict: Verdict) -> Considered {
    Considered {
        agent: agent(n),
        score: Some(0),
        health: Health::Up,
        in_flight,
        capacity: Some(30),
        latency: None,
        failing: 0,
        verdict,
    }
}

/// A job of a type whose rule took the first candidate.
fn job(rule: Option<&str>, message_type: &str, candidates: Vec<Considered>) -> PastJob {
    PastJob {
        id: JobId(Uuid::from_u128(7)),
        at: At::ZERO,
        title: "charge".into(),
        target: Some(Target::Any),
        fields: MessageFields { message_type: Some(message_type.into()), ..MessageFields::default() },
        decision: rule.map(|rule| {
            Arc::new(Decision {
                rule: Some(rule.into()),
                route: Some(rule.into()),
                revision: 1,
                matched: Vec::new(),
                stage: 0,
                candidates,
                shift: None,
            })
        }),
    }
}

fn rules(rules: Vec<Rule>) -> Rules {
    Rules { revision: 1, rules: rules.into_iter().map(Arc::new).collect() }
}

fn of_type(message_type: &str) -> Vec<Condition> {
    vec![Condition::OneOf { field: Field::Type, values: vec![message_type.into()] }]
}

fn rule(balance: Balance) -> Rule {
    Rule { balance, conditions: of_type("charge"), ..Rule::new("r", Selector::Skill("charge".into())) }
}

fn replayed(now: &Rules, changed: &Rules, jobs: &[PastJob]) -> Replay {
    let state = fleet();
    let agents: Vec<Agent> = state.agents().iter().map(|(_, agent)| agent.clone()).collect();
    let mut replayer = Replayer::new(now, changed, agents.iter(), 10);
    for job in jobs {
        replayer.add(job);
    }
    replayer.end()
}

/// Of three candidates, the first was taken although the second has fewest in flight, and the third is full.
fn by_turns() -> PastJob {
    use Verdict::{Behind, Out, Taken};
    let all = vec![considered(1, 9, Taken), considered(2, 3, Behind), considered(3, 30, Out(Obstacle::Full))];
    job(Some("r"), "charge", all)
}

fn to(n: u128) -> Goes {
    Goes::To(agent(n))
}

#[test]
fn known_changes_of_rules_have_known_outcomes() {
    let now = || rules(vec![rule(Balance::RoundRobin)]);
    let fewest = || rules(vec![rule(Balance::LeastConnections)]);
    let named =
        |name: &str| rules(vec![Rule { to: Selector::Agent(name.into()), ..rule(Balance::RoundRobin) }]);
    let idle = || {
        let all = [1, 2, 3].map(|n| considered(n, 4, if n == 1 { Verdict::Taken } else { Verdict::Behind }));
        job(Some("r"), "charge", all.to_vec())
    };
    let none = Changes::default();
    // Each row: the rules, the changed rules, a job, what the changed rules do, and its way.
    for (what, now, changed, job, expected, way) in [
        ("nothing changed", now(), now(), by_turns(), Changes { same: 1, ..none }, None),
        (
            "a setting that chooses nobody",
            now(),
            rules(vec![Rule { priority: 9, ..rule(Balance::RoundRobin) }]),
            by_turns(),
            Changes { same: 1, ..none },
            None,
        ),
        (
            "turns become fewest in flight",
            now(),
            fewest(),
            by_turns(),
            Changes { elsewhere: 1, ..none },
            Some((to(1), to(2))),
        ),
        ("fewest in flight of equals", now(), fewest(), idle(), Changes { same: 1, ..none }, None),
        (
            "fewest in flight become turns",
            fewest(),
            now(),
            by_turns(),
            Changes { by_chance: 1, ..none },
            None,
        ),
        (
            "draws instead of turns",
            now(),
            rules(vec![rule(Balance::TwoChoices)]),
            by_turns(),
            Changes { same: 1, ..none },
            None,
        ),
        ("the one that took it", now(), named("a-1"), by_turns(), Changes { same: 1, ..none }, None),
        (
            "another one",
            now(),
            named("a-2"),
            by_turns(),
            Changes { elsewhere: 1, ..none },
            Some((to(1), to(2))),
        ),
        (
            "the one that was full",
            now(),
            named("a-3"),
            by_turns(),
            Changes { waits: 1, ..none },
            Some((to(1), Goes::Waits)),
        ),
        (
            "no such agent",
            now(),
            named("a-9"),
            by_turns(),
            Changes { nowhere: 1, ..none },
            Some((to(1), Goes::Nowhere)),
        ),
        (
            "no rule any more",
            now(),
            rules(vec![Rule { conditions: of_type("refund"), ..rule(Balance::RoundRobin) }]),
            by_turns(),
            Changes { nowhere: 1, ..none },
            Some((to(1), Goes::Nowhere)),
        ),
        (
            "a rule for what nobody took",
            rules(Vec::new()),
            fewest(),
            job(None, "charge", Vec::new()),
            Changes { elsewhere: 1, ..none },
            Some((Goes::Nowhere, Goes::OneOf(vec![agent(1), agent(2), agent(3)]))),
        ),
        (
            "another rule before it",
            now(),
            rules(vec![Rule::new("all", Selector::Agent("a-2".into())), rule(Balance::RoundRobin)]),
            by_turns(),
            Changes { elsewhere: 1, ..none },
            Some((to(1), to(2))),
        ),
    ] {
        let found = replayed(&now, &changed, &[job]);
        assert_eq!(found.changes, expected, "{what}");
        let ways: Vec<Way> = way.into_iter().map(|(from, to)| Way { from, to, jobs: 1 }).collect();
        assert_eq!(found.ways, ways, "{what}");
        assert_eq!(found.differing.len(), ways.len(), "{what}");
    }
}

#[test]
fn what_the_record_lacks_is_taken_as_it_is_now_and_said() {
    let now = rules(vec![Rule { to: Selector::Agent("a-1".into()), ..rule(Balance::RoundRobin) }]);
    let one = job(Some("r"), "charge", vec![considered(1, 3, Verdict::Taken)]);
    let changed = rules(vec![Rule { to: Selector::Agent("a-2".into()), ..rule(Balance::RoundRobin) }]);
    let found = replayed(&now, &changed, std::slice::from_ref(&one));
    assert_eq!((found.changes.elsewhere, found.unrecorded), (1, 1));
    assert_eq!(found.names.iter().map(|(_, name)| name.raw()).collect::<Vec<_>>(), ["a-1", "a-2"]);
    let same = replayed(&now, &now, &[one]);
    assert_eq!((same.changes.same, same.unrecorded), (1, 0));
}

#[test]
fn pages_add_up() {
    let now = rules(vec![rule(Balance::RoundRobin)]);
    let changed = rules(vec![rule(Balance::LeastConnections)]);
    let named = PastJob { target: Some(Target::Agent(agent(1))), ..by_turns() };
    let mut all = Replay::default();
    for jobs in [vec![by_turns(), named], vec![by_turns(), by_turns()], vec![]] {
        all.merge(replayed(&now, &changed, &jobs), 2);
    }
    assert_eq!((all.changes.elsewhere, all.by_name, all.changes.all()), (3, 1, 3));
    assert_eq!(all.ways, [Way { from: to(1), to: to(2), jobs: 3 }]);
    assert_eq!(all.rules.len(), 1);
    assert_eq!(all.differing.len(), 2, "as many as wanted");
}
