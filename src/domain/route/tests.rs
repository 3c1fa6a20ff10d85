//! Distributions of the balances, and conditions of rules.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::balance::{Balance, Candidate, Draw, Turns, rank};
use super::condition::{Condition, DataPath, DataTest, Field, TextPattern};
use super::decision::{Obstacle, Verdict};
use super::message::MessageFields;
use super::shift::{Pair, Went, rank_shifted};
use super::{Backoff, Fit, Rule, Rules, Selector, Target};
use crate::domain::agent::Health;
use crate::domain::id::{AgentId, Rng};
use crate::domain::job::message::{Content, Json, Message, Part, Role};
use crate::domain::text::Untrusted;

const SENDS: u32 = 10_000;

fn agent(n: u128) -> AgentId {
    AgentId(Uuid::from_u128(n))
}

fn candidate(n: u128) -> Candidate {
    Candidate {
        agent: agent(n),
        health: Health::Up,
        in_flight: 0,
        capacity: None,
        latency: None,
        failing: 0,
        weight: 1,
        tried: false,
        obstacle: None,
    }
}

/// Sends by a balance; `ends` decides which of the tasks in flight end after each send.
fn sends(
    balance: Balance,
    candidates: &mut [Candidate],
    mut after: impl FnMut(&mut Candidate, &mut Rng),
) -> BTreeMap<AgentId, u32> {
    let (mut turns, mut random, mut counts) = (Turns::default(), Rng::new(11), BTreeMap::new());
    for n in 0..SENDS {
        let draw = Draw { conversation: Some(u64::from(n % 1000)), random: [random.next(), random.next()] };
        let ranked = rank(balance, candidates, &turns, draw);
        let taken = ranked[0].agent;
        assert_eq!(ranked[0].verdict, Verdict::Taken);
        turns.took(candidates, taken);
        *counts.entry(taken).or_default() += 1;
        for one in candidates.iter_mut() {
            if one.agent == taken {
                one.in_flight += 1;
            }
            after(one, &mut random);
        }
    }
    counts
}

/// What each of three agents gets of 10,000 sends, with the bound that its definition gives: turns and weights are exact;
/// draws are within four standard deviations of a binomial distribution, which one run in 15,000 would exceed.
#[test]
fn sends_are_distributed_as_defined() {
    let idle = |one: &mut Candidate, _: &mut Rng| one.in_flight = 0;
    let check = |name: &str, counts: BTreeMap<AgentId, u32>, expected: [u32; 3], bound: u32| {
        for (n, expected) in (1..).zip(expected) {
            let got = counts.get(&agent(n)).copied().unwrap_or(0);
            assert!(got.abs_diff(expected) <= bound, "{name}: agent {n} got {got}, not {expected} ± {bound}");
        }
    };
    let three = || [candidate(1), candidate(2), candidate(3)];
    check("turns", sends(Balance::RoundRobin, &mut three(), idle), [3334, 3333, 3333], 1);
    let mut weighted = three();
    for (one, weight) in weighted.iter_mut().zip([1, 4, 15]) {
        one.weight = weight;
    }
    check("weights", sends(Balance::Weighted, &mut weighted, idle), [500, 2000, 7500], 1);
    let mut none = three();
    none[0].weight = 0;
    check("a weight of zero", sends(Balance::Weighted, &mut none, idle), [0, 5000, 5000], 1);
    // Nothing ends: the agents fill up in proportion to what they accept.
    let mut sized = three();
    for (one, capacity) in sized.iter_mut().zip([1_000, 3_000, 16_000]) {
        one.capacity = Some(capacity);
    }
    check("capacity", sends(Balance::LeastConnections, &mut sized, |_, _| {}), [500, 1500, 8000], 2);
    // Equal agents: the standard deviation of a third of 10,000 is 47.
    check("two of three", sends(Balance::TwoChoices, &mut three(), idle), [3333, 3333, 3333], 189);
    // A thousand conversations, ten messages each: the standard deviation of a third of them is 14.9 conversations.
    check("conversations", sends(Balance::Sticky, &mut three(), idle), [3333, 3333, 3333], 600);
    // Tasks take 1, 2 and 4 units; with nothing waiting the quickest gets everything.
    let mut timed = three();
    for (one, latency) in timed.iter_mut().zip([10, 20, 40]) {
        one.latency = Some(Duration::from_millis(latency));
    }
    check(
        "latency of idle agents",
        sends(Balance::LowestLatency, &mut timed.clone(), idle),
        [10_000, 0, 0],
        0,
    );
    // With nothing ending, tasks in flight times latency is equal: shares of 4, 2 and 1 sevenths.
    check("latency", sends(Balance::LowestLatency, &mut timed, |_, _| {}), [5714, 2857, 1429], 3);
}

/// An agent that fails at once never has tasks in flight. It gets a fiftieth of the traffic of an equal agent at most.
#[test]
fn an_agent_that_fails_fast_does_not_win() {
    for balance in [Balance::LeastConnections, Balance::TwoChoices, Balance::LowestLatency] {
        let mut agents = [candidate(1), candidate(2), candidate(3)];
        for one in &mut agents {
            one.latency = Some(Duration::from_millis(if one.agent == agent(1) { 10 } else { 100 }));
        }
        let counts = sends(balance, &mut agents, |one, random| {
            if one.agent == agent(1) {
                (one.in_flight, one.failing) = (0, 1000);
            } else if random.below(5) < 4 {
                // Four in five end after each send, so that one or two are always in flight.
                one.in_flight = one.in_flight.saturating_sub(1);
            }
        });
        let failing = counts.get(&agent(1)).copied().unwrap_or(0);
        assert!(failing <= SENDS / 10, "{balance:?}: the failing agent got {failing}");
    }
}

#[test]
fn an_agent_that_is_out_is_last_and_one_that_was_tried_comes_after_the_others() {
    let draw = Draw { conversation: Some(1), random: [0, 0] };
    for balance in Balance::ALL {
        let mut agents = [candidate(1), candidate(2), candidate(3)];
        agents[0].obstacle = Some(Obstacle::Full);
        agents[1].tried = true;
        let ranked = rank(balance, &agents, &Turns::default(), draw);
        let order: Vec<_> = ranked.iter().map(|one| (one.agent, one.verdict)).collect();
        let expected = [
            (agent(3), Verdict::Taken),
            (agent(2), Verdict::Behind),
            (agent(1), Verdict::Out(Obstacle::Full)),
        ];
        assert_eq!(order, expected, "{balance:?}");
    }
}

/// When an agent leaves, only its own conversations move.
#[test]
fn a_conversation_stays_with_its_agent() {
    let all: Vec<_> = (1..=5).map(candidate).collect();
    let of = |agents: &[Candidate], conversation| {
        let draw = Draw { conversation: Some(conversation), random: [0, 0] };
        rank(Balance::Sticky, agents, &Turns::default(), draw)[0].agent
    };
    for conversation in 0..1000 {
        let before = of(&all, conversation);
        let after = of(&all[1..], conversation);
        assert!(before == after || before == agent(1), "{conversation}");
    }
}

fn data(json: &str) -> MessageFields {
    let part = Part { content: Content::Data(Json::new(json)), ..Part::text("") };
    let message = Message {
        metadata: Some(Json::new(r#"{"type":"charge","tags":["vip","eu"],"quarterdeck.caller":"shop-web"}"#)),
        ..Message::new("m-1", Role::User, vec![Part::text("Charge order 88213"), part])
    };
    MessageFields::of(&message, None)
}

#[test]
fn conditions_hold_for_the_messages_that_they_name() {
    let one_of = |field, values: &[&str]| Condition::OneOf {
        field,
        values: values.iter().map(|value| Untrusted::from(*value)).collect(),
    };
    let at = |path: &str, test| Condition::Data { path: DataPath::new(path).unwrap(), test };
    let is = |values: &[serde_json::Value]| DataTest::OneOf(values.to_vec());
    let between = |above: Option<i64>, below: Option<i64>| DataTest::Between {
        above: above.map(Into::into),
        below: below.map(Into::into),
    };
    let fields = data(r#"{"country":"DE","amount":470.0,"lines":[{"sku":"a"},{"sku":"b"}]}"#);
    for (condition, expected) in [
        (one_of(Field::Type, &["charge"]), None),
        (one_of(Field::Type, &["refund", "charge"]), None),
        (one_of(Field::Type, &["refund"]), Some("not type refund: it has charge")),
        (one_of(Field::Tag, &["eu"]), None),
        (one_of(Field::Tag, &["us"]), Some("not tag us: it has vip, eu")),
        (one_of(Field::Caller, &["vip-desk"]), Some("not caller vip-desk: it has shop-web")),
        (one_of(Field::Skill, &["charge"]), Some("not skill charge: it has none")),
        (Condition::Text(TextPattern::new(r"order \d{5}").unwrap()), None),
        (
            Condition::Text(TextPattern::new("^refund").unwrap()),
            Some("not text /^refund/: it has Charge order 88213"),
        ),
        (at("country", DataTest::Exists), None),
        (at("$.country", is(&["DE".into(), "FR".into()])), None),
        (at("country", is(&["US".into()])), Some("not data.country is US: it has DE")),
        (at("amount", is(&[470.into()])), None),
        (at("amount", between(Some(900), None)), Some("not data.amount is over 900: it has 470.0")),
        (at("amount", between(Some(400), Some(500))), None),
        (at("lines[*].sku", is(&["b".into()])), None),
        (at("$..nothing", DataTest::Exists), Some("not data..nothing exists: it has none")),
    ] {
        let unmet = condition.unmet(&fields).map(|unmet| unmet.to_string());
        assert_eq!(unmet.as_deref(), expected, "{condition}");
    }
    for broken in ["$.[", "a b c", "$[?@.x = 1]"] {
        assert!(DataPath::new(broken).is_err(), "{broken}");
    }
    assert!(TextPattern::new("(").is_err());
}

#[test]
fn the_first_rule_that_fits_decides() {
    let rule = |name: &str, conditions: Vec<Condition>, to: &str| Rule {
        conditions,
        ..Rule::new(name, Selector::Skill(Untrusted::from(to)))
    };
    let of_type = |kind: &str| Condition::OneOf { field: Field::Type, values: vec![Untrusted::from(kind)] };
    let mut rules = Rules {
        revision: 1,
        rules: vec![
            rule("refunds", vec![of_type("refund")], "refund").into(),
            rule("eu", vec![of_type("charge")], "charge-eu").into(),
            rule("all", vec![], "charge").into(),
        ],
    };
    let fields = data("{}");
    let name =
        |rules: &Rules, target: Target| rules.decide(&target, &fields).map(|rule| rule.name.to_string());
    let skill = |skill: &str| Target::Skill(Untrusted::from(skill));
    assert_eq!(name(&rules, Target::Any).as_deref(), Some("eu"));
    assert_eq!(name(&rules, skill("charge")).as_deref(), Some("all"));
    assert_eq!(name(&rules, skill("other")), None);
    assert_eq!(name(&rules, Target::Route("eu".into())).as_deref(), Some("eu"));
    assert_eq!(name(&rules, Target::Route("refunds".into())), None);
    assert_eq!(name(&rules, Target::Agent(agent(1))), None);
    let words: Vec<_> = rules
        .explain(&Target::Any, &fields)
        .into_iter()
        .map(|(rule, fit)| match fit {
            Fit::Decides => format!("{} decides", rule.name),
            Fit::Unmet(unmet) => format!("{} {unmet}", rule.name),
            Fit::OtherRoute => format!("{} other", rule.name),
            Fit::Later => format!("{} later", rule.name),
        })
        .collect();
    assert_eq!(words, ["refunds not type refund: it has charge", "eu decides", "all later"]);
    rules.rules.truncate(1);
    assert_eq!(name(&rules, Target::Any), None);
}

#[test]
fn waits_double_up_to_their_cap() {
    let seconds = Duration::from_secs;
    let doubling = Backoff::Exponential { base: seconds(1), cap: seconds(10) };
    for (backoff, expected) in
        [(doubling, [1, 2, 4, 8, 10]), (Backoff::Fixed(seconds(3)), [3; 5]), (Backoff::None, [0; 5])]
    {
        let waits: Vec<_> = (1..=5).map(|retry| backoff.wait(retry).as_secs()).collect();
        assert_eq!(waits, expected, "{backoff:?}");
    }
    assert_eq!(doubling.wait(u16::MAX), seconds(10));
}

/// Sends to three agents while a shift moves work from the first to the second: who got the jobs.
fn shifted_sends(balance: Balance, percent: u8) -> BTreeMap<AgentId, u32> {
    let mut three = [candidate(1), candidate(2), candidate(3)];
    let mut pair = Pair { from: agent(1), to: agent(2), percent, step: 1, steps: 5, decided: 0, given: 0 };
    let (mut turns, mut random, mut counts) = (Turns::default(), Rng::new(11), BTreeMap::new());
    for n in 0..SENDS {
        let conversation = Some(u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let draw = Draw { conversation, random: [random.next(), random.next()] };
        let ranked = rank_shifted(balance, &three, &turns, draw, &[pair]);
        turns.took(&ranked.seats, ranked.turn_of.unwrap());
        let taken = ranked.considered[0].agent;
        assert_eq!(ranked.considered.len(), 3, "everybody is considered once");
        assert_eq!(ranked.shifted.is_some(), taken != agent(3));
        if let Some(shifted) = ranked.shifted {
            pair.decided += 1;
            pair.given += u64::from(shifted.went == Went::Successor);
            assert_eq!(shifted.went == Went::Successor, taken == agent(2));
        }
        *counts.entry(taken).or_default() += 1;
        // Each job ends after eight others have begun.
        for one in &mut three {
            one.in_flight += u32::from(one.agent == taken);
            one.in_flight -= u32::from(one.in_flight > 0 && n % 8 == 7);
        }
    }
    counts
}

/// What the two of a shift get of 10,000 sends at each step. By turns and by load the successor's part of what both get is
/// exact to half a job; by context it is within four standard deviations of a binomial distribution. The third agent
/// has its turns as if the two were one, and by load, draws or context between a quarter and three quarters.
#[test]
fn a_shift_gives_the_successor_its_share_of_what_both_would_get() {
    for balance in Balance::ALL {
        for percent in [0, 1, 5, 25, 50, 100] {
            let counts = shifted_sends(balance, percent);
            let got = |n: u128| counts.get(&agent(n)).copied().unwrap_or(0);
            let (both, share) = (got(1) + got(2), u32::from(percent));
            assert!(both > 0, "{balance:?} at {percent} %");
            // In hundredths of a job.
            let difference = u64::from((got(2) * 100).abs_diff(both * share));
            let variance = u64::from(both) * u64::from(share * (100 - share));
            let fits = match balance {
                Balance::Sticky => difference * difference <= 16 * variance,
                _ => difference <= 50,
            };
            assert!(fits, "{balance:?} at {percent} %: {counts:?}");
            let third = match balance {
                Balance::RoundRobin | Balance::Weighted => 1,
                // Loads, draws and conversations differ, but nobody is crowded out.
                Balance::LeastConnections
                | Balance::LowestLatency
                | Balance::TwoChoices
                | Balance::Sticky => 2_500,
            };
            assert!(got(3).abs_diff(SENDS / 2) <= third, "{balance:?} at {percent} %: {counts:?}");
        }
    }
}

/// Each row: what keeps each of the two from taking work, which of them was tried, and who gets the job for which reason.
#[test]
fn a_shift_decides_only_where_both_can_take_the_job() {
    let full = Some(Obstacle::Full);
    for (obstacles, tried, percent, expected) in [
        ([None, None], [false, false], 100, (2, Some(Went::Successor))),
        ([None, None], [false, false], 0, (1, Some(Went::Legacy))),
        ([None, full], [false, false], 100, (1, Some(Went::OnlyLegacy))),
        ([full, None], [false, false], 0, (2, Some(Went::OnlySuccessor))),
        ([None, None], [false, true], 100, (1, None)),
        ([None, None], [true, false], 0, (2, None)),
        ([None, None], [true, true], 100, (2, Some(Went::Successor))),
    ] {
        let mut two = [candidate(1), candidate(2)];
        for ((one, obstacle), tried) in two.iter_mut().zip(obstacles).zip(tried) {
            (one.obstacle, one.tried) = (obstacle, tried);
        }
        let pair = Pair { from: agent(1), to: agent(2), percent, step: 1, steps: 5, decided: 0, given: 0 };
        let draw = Draw { conversation: None, random: [0; 2] };
        let ranked = rank_shifted(Balance::RoundRobin, &two, &Turns::default(), draw, &[pair]);
        let found = (ranked.considered[0].agent, ranked.shifted.map(|shifted| shifted.went));
        assert_eq!(found, (agent(expected.0), expected.1), "{obstacles:?} {tried:?} {percent}");
        assert_eq!(ranked.considered.len(), 2);
    }
}
