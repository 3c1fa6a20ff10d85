//! Jobs that go by rules: where they go, for what they wait, and what follows an attempt that has ended.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::AgentSpec;
use crate::domain::agent::breaker::{BreakerRules, BreakerState};
use crate::domain::agent::service::ServiceChange;
use crate::domain::decide::testing::{Conduct, Event, Fleet, every, spec};
use crate::domain::input::{Input, Rules};
use crate::domain::intent::{Intent, Send};
use crate::domain::job::message::Part;
use crate::domain::job::task::TaskState::{Completed, Failed};
use crate::domain::route::balance::Balance;
use crate::domain::route::{Backoff, Retry, Rule, Selector, Target};
use crate::domain::text::Untrusted;

pub(in crate::domain) type Script = Vec<(u64, Event)>;
pub(in crate::domain) type Case<'a> = (&'a str, usize, Option<u32>, Rule, Script, u64, &'a [&'a str]);

pub(in crate::domain) fn skill() -> Selector {
    Selector::Skill(Untrusted::from("a"))
}

pub(in crate::domain) fn retries(max: u16, seconds: u64) -> Retry {
    Retry { backoff: Backoff::Fixed(Duration::from_secs(seconds)), max, budget: 20 }
}

/// Probes are rare, so that only the script makes calls; breakers are not what is tested here.
fn rules(rule: Rule) -> Rules {
    Rules {
        probe_interval: Duration::from_secs(24 * 3600),
        breaker: BreakerRules { enabled: false, ..BreakerRules::default() },
        routes: Arc::new(crate::domain::route::Rules { revision: 1, rules: vec![Arc::new(rule)] }),
        ..Rules::default()
    }
}

fn to(target: Target) -> Event {
    Event::Intent(Intent::Send(Box::new(Send::to(target, vec![Part::text("work")]))))
}

pub(in crate::domain) fn by_skill() -> Event {
    to(Target::Skill("a".into()))
}

pub(in crate::domain) fn fleet(agents: usize, capacity: Option<u32>, rule: Rule) -> Fleet {
    let spec = |number| AgentSpec { capacity, ..spec(&format!("http://host-{number}:80/")) };
    Fleet::of((0..agents).map(spec).collect(), rules(rule))
}

/// Each row: a name, the agents with what each accepts, the rule, what happens, until when, and the story of each job.
#[track_caller]
pub(in crate::domain) fn check(rows: Vec<Case<'_>>) {
    for (name, agents, capacity, rule, script, until, expected) in rows {
        let mut fleet = fleet(agents, capacity, rule);
        fleet.play(&script, until);
        assert_eq!(fleet.stories(), expected, "{name}");
        assert_eq!(fleet.unattended(), Vec::<&str>::new(), "{name}");
        assert_eq!(fleet.missing_timers(), Vec::<String>::new(), "{name}");
    }
}

fn ends(agent: usize) -> Event {
    Event::Ends(agent, Completed)
}

fn fails(agent: usize) -> Event {
    Event::Ends(agent, Failed)
}

#[test]
fn jobs_go_to_the_agents_of_their_rule() {
    let rule = |to| Rule::new("r", to);
    let fallback =
        Rule { fallback: vec![Selector::Skill("b".into())], ..rule(Selector::Skill("nobody".into())) };
    let asks = |to| Rule { route: "x".into(), ..rule(to) };
    check(vec![
        (
            "by turns",
            3,
            None,
            rule(skill()),
            every(0, 1, 4, &by_skill()),
            100,
            &["running: 0 working", "running: 1 working", "running: 2 working", "running: 0 working"],
        ),
        (
            "no rule fits: the agents of the skill by turns",
            2,
            None,
            asks(Selector::Skill("b".into())),
            every(0, 1, 2, &by_skill()),
            100,
            &["running: 0 working", "running: 1 working"],
        ),
        (
            "by the name of the route",
            2,
            None,
            asks(skill()),
            vec![(0, to(Target::Route("x".into())))],
            100,
            &["running: 0 working"],
        ),
        (
            "by whatever rule fits",
            2,
            None,
            rule(skill()),
            vec![(0, to(Target::Any))],
            100,
            &["running: 0 working"],
        ),
        (
            "nobody has the skill: its fallback",
            2,
            None,
            fallback,
            vec![(0, to(Target::Any))],
            100,
            &["running: 0 working"],
        ),
        (
            "the agent that holds the fewest tasks for what it accepts",
            2,
            None,
            Rule { balance: Balance::LeastConnections, ..rule(skill()) },
            [every(0, 1, 2, &Event::Send(0, "a")), every(10, 1, 2, &by_skill())].concat(),
            100,
            &["running: 0 working", "running: 0 working", "running: 1 working", "running: 1 working"],
        ),
    ]);
    for (target, words) in [
        (Target::Route("y".into()), "no rule of route y fits this message"),
        (Target::Skill("z".into()), "no agent of the fleet has skill z"),
    ] {
        let mut fleet = fleet(1, None, rule(skill()));
        fleet.play(&[(0, to(target))], 10);
        assert!(fleet.last_refusal().contains(words), "{}", fleet.last_refusal());
        assert!(fleet.stories().is_empty());
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of rows")]
fn jobs_wait_for_a_place_and_leave_in_order() {
    let rule = || Rule::new("r", skill());
    let urgent = {
        let send =
            Send { priority: Some(9), ..Send::to(Target::Skill("a".into()), vec![Part::text("work")]) };
        Event::Intent(Intent::Send(Box::new(send)))
    };
    let down = |agent| [(0, Event::Conduct(agent, Conduct::Refuses)), (0, Event::Probe(agent))];
    check(vec![
        (
            "full",
            2,
            Some(1),
            rule(),
            every(0, 1, 3, &by_skill()),
            100,
            &["running: 0 working", "running: 1 working", "queued for capacity:"],
        ),
        (
            "a place is free again",
            2,
            Some(1),
            rule(),
            [every(0, 1, 4, &by_skill()), vec![(10, ends(1))]].concat(),
            100,
            &["running: 0 working", "over: 1 completed", "running: 1 working", "queued for capacity:"],
        ),
        (
            "the urgent one first",
            1,
            Some(1),
            rule(),
            [every(0, 1, 2, &by_skill()), vec![(5, urgent), (10, ends(0))]].concat(),
            100,
            &["over: 0 completed", "queued for capacity:", "running: 0 working"],
        ),
        (
            "an agent that was named",
            2,
            Some(1),
            rule(),
            [every(0, 1, 2, &Event::Send(0, "a")), vec![(10, ends(0))]].concat(),
            100,
            &["over: 0 completed", "running: 0 working"],
        ),
        (
            "as many of a rule as it allows",
            2,
            None,
            Rule { concurrency: Some(1), ..rule() },
            [every(0, 1, 2, &by_skill()), vec![(10, ends(0))]].concat(),
            100,
            &["over: 0 completed", "running: 1 working"],
        ),
        (
            "everybody is down, until one comes back",
            1,
            None,
            rule(),
            [
                down(0).to_vec(),
                vec![(5000, by_skill()), (6000, Event::Conduct(0, Conduct::Works)), (6000, Event::Probe(0))],
            ]
            .concat(),
            7000,
            &["running: 0 working"],
        ),
        (
            "everybody is down",
            1,
            None,
            rule(),
            [down(0).to_vec(), vec![(5000, by_skill())]].concat(),
            7000,
            &["queued for unavailable:"],
        ),
        (
            "its deadline passes in the queue",
            1,
            Some(1),
            Rule { deadline: Some(Duration::from_secs(60)), ..rule() },
            every(0, 1, 2, &by_skill())[..1].iter().cloned().chain([(30_000, by_skill())]).collect(),
            95_000,
            &["running: 0 working", "over, its deadline of 60 s passed:"],
        ),
        (
            "its breaker is held open",
            1,
            None,
            rule(),
            vec![
                (0, Event::Breaker(0, Some(BreakerState::Open))),
                (1, by_skill()),
                (10, Event::Breaker(0, None)),
            ],
            100,
            &["running: 0 working"],
        ),
        (
            "another rule allows more",
            1,
            None,
            Rule { concurrency: Some(1), ..rule() },
            [every(0, 1, 2, &by_skill()), vec![(10, Event::Input(Input::Routes(Ok(rules(rule()).routes))))]]
                .concat(),
            100,
            &["running: 0 working", "running: 0 working"],
        ),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of rows")]
fn what_follows_an_attempt_is_decided_by_how_it_ended() {
    let rule = || Rule { retry: retries(2, 10), ..Rule::new("r", skill()) };
    let idempotent = || Rule { idempotent: true, ..rule() };
    let one = || vec![(0, by_skill())];
    let with = |script: Script| [one(), script].concat();
    let conduct = |agent, conduct| (0, Event::Conduct(agent, conduct));
    let first = |conducts: Script| [conducts, one()].concat();
    check(vec![
        ("it completed", 2, None, rule(), with(vec![(10, ends(0))]), 60_000, &["over: 0 completed"]),
        (
            "it failed: another agent after a pause",
            2,
            None,
            rule(),
            with(vec![(10, fails(0))]),
            60_000,
            &["running: 0 failed, 1 working"],
        ),
        (
            "in the pause",
            2,
            None,
            rule(),
            with(vec![(10, fails(0))]),
            5000,
            &["queued for backoff: 0 failed"],
        ),
        (
            "the only agent is tried again",
            1,
            None,
            rule(),
            with(vec![(10, fails(0))]),
            60_000,
            &["running: 0 failed, 0 working"],
        ),
        (
            "as often as the rule says",
            1,
            None,
            rule(),
            with(vec![(10, fails(0)), (20_000, fails(0)), (40_000, fails(0))]),
            90_000,
            &["over, its task is failed: 0 failed, 0 failed, 0 failed"],
        ),
        (
            "no retry without a policy",
            2,
            None,
            Rule::new("r", skill()),
            with(vec![(10, fails(0))]),
            60_000,
            &["over, its task is failed: 0 failed"],
        ),
        (
            "an operator canceled it",
            2,
            None,
            rule(),
            with(vec![
                (10, Event::Cancel(0)),
                (20, Event::Ends(0, crate::domain::job::task::TaskState::Canceled)),
            ]),
            60_000,
            &["over: 0 canceled"],
        ),
        (
            "it was refused",
            2,
            None,
            rule(),
            first(vec![conduct(0, Conduct::Answers503)]),
            60_000,
            &["running: 0 refused, 1 working"],
        ),
        (
            "it never left: the next agent at once",
            2,
            None,
            Rule::new("r", skill()),
            first(vec![conduct(0, Conduct::InterfaceRefuses)]),
            100,
            &["running: 0 unsent, 1 working"],
        ),
        (
            "it may have arrived: an operator decides",
            2,
            None,
            rule(),
            first(vec![conduct(0, Conduct::Hangs)]),
            60_000,
            &["running: 0 uncertain"],
        ),
        (
            "it may have arrived, and twice does no harm",
            2,
            None,
            idempotent(),
            first(vec![conduct(0, Conduct::Hangs)]),
            60_000,
            &["running: 0 presumed lost, 1 working"],
        ),
        (
            "it takes too long: canceled, and seen to end",
            2,
            None,
            Rule { timeout: Some(Duration::from_secs(5)), ..rule() },
            with(vec![(6000, Event::Ends(0, crate::domain::job::task::TaskState::Canceled))]),
            20_000,
            &["running: 0 canceled, 1 working"],
        ),
        (
            "it takes too long, and is not seen to end",
            2,
            None,
            Rule { timeout: Some(Duration::from_secs(5)), ..rule() },
            one(),
            60_000,
            &["running: 0 working"],
        ),
        (
            "a job of an operator's choice is not tried again",
            2,
            None,
            rule(),
            vec![(0, Event::Send(0, "a")), (10, fails(0))],
            60_000,
            &["over: 0 failed"],
        ),
    ]);
}

/// A name, the rule, the rule after the restart, until when, and each task.
type Restarted<'a> = (&'a str, Rule, Option<Rule>, u64, &'a [&'a str]);

/// The process ends while an attempt runs: the limits of its rule still hold, counted from when it was sent.
#[test]
fn a_restart_keeps_the_limits_of_what_runs() {
    let limit = |seconds| Some(Duration::from_secs(seconds));
    let base = || Rule::new("r", skill());
    let hedge = Some(crate::domain::route::Hedge {
        after: crate::domain::route::HedgeAfter::Time(Duration::from_secs(20)),
        max: 1,
    });
    let canceled = "0 working asked";
    let rows: [Restarted<'_>; 6] = [
        ("not before its time", Rule { timeout: limit(20), ..base() }, None, 19_000, &["0 working"]),
        ("it takes too long", Rule { timeout: limit(20), ..base() }, None, 21_000, &[canceled]),
        ("its deadline passes", Rule { deadline: limit(20), ..base() }, None, 21_000, &[canceled]),
        (
            "the rule has become shorter",
            base(),
            Some(Rule { timeout: limit(5), ..base() }),
            11_000,
            &[canceled],
        ),
        (
            "the rule has become longer",
            Rule { timeout: limit(15), ..base() },
            Some(Rule { timeout: limit(60), ..base() }),
            30_000,
            &["0 working"],
        ),
        (
            "it is hedged",
            Rule { idempotent: true, hedge, ..base() },
            None,
            21_000,
            &["0 working", "1 working"],
        ),
    ];
    for (name, rule, then, until, expected) in rows {
        let mut fleet = fleet(2, None, rule.clone());
        fleet.play(&[(0, by_skill())], 10_000);
        fleet.restart(rules(then.unwrap_or(rule)));
        assert_eq!(fleet.missing_timers(), Vec::<String>::new(), "{name}");
        fleet.play(&[], until);
        let cancels: Vec<_> = fleet.cancels().iter().map(|line| line.replace("agreed", "asked")).collect();
        assert_eq!(cancels, expected, "{name}");
    }
}

/// Retries are a share of the traffic: when everything fails, the retries do not double it.
#[test]
fn retries_stay_within_their_budget() {
    let rule = Rule { retry: retries(3, 1), ..Rule::new("r", skill()) };
    let mut fleet = fleet(1, None, rule);
    let script: Script = (0..200)
        .flat_map(|n| [(n * 100, Event::Conduct(0, Conduct::Answers503)), (n * 100, by_skill())])
        .collect();
    fleet.play(&script, 60_000);
    let attempts = fleet.calls("send").len();
    // Ten are always allowed; then a fifth of 200.
    assert!((230..=241).contains(&attempts), "{attempts} attempts of 200 jobs");
    let spent = fleet
        .core()
        .0
        .state()
        .jobs()
        .iter()
        .filter_map(|(_, job)| Some(job.plan.as_ref()?.spent.as_ref()?.to_string()));
    let spent: Vec<String> = spent.collect();
    assert_eq!(
        spent.first().map(String::as_str),
        Some("not tried again: the retry budget of rule r is spent (20 % of its jobs)")
    );
    assert_eq!(spent.len(), 200, "each job would have been tried again three times");
}

#[test]
fn an_operator_tries_a_job_again_or_moves_it() {
    let rule = || Rule::new("r", skill());
    let canceled = |agent| Event::Ends(agent, crate::domain::job::task::TaskState::Canceled);
    let named = |script: Script| [vec![(0, Event::Send(0, "a"))], script].concat();
    check(vec![
        (
            "failed: another agent with the skill",
            2,
            None,
            rule(),
            named(vec![(10, fails(0)), (20, Event::Retry(0, None))]),
            100,
            &["running: 0 failed, 1 working"],
        ),
        (
            "failed: the same agent",
            2,
            None,
            rule(),
            named(vec![(10, fails(0)), (20, Event::Retry(0, Some(0)))]),
            100,
            &["running: 0 failed, 0 working"],
        ),
        (
            "by rules, at an agent of the operator's choice",
            3,
            None,
            rule(),
            vec![(0, by_skill()), (10, fails(0)), (20, Event::Retry(0, Some(2)))],
            100,
            &["running: 0 failed, 2 working"],
        ),
        (
            "the agent is full: it waits there",
            2,
            Some(1),
            rule(),
            named(vec![(10, fails(0)), (20, Event::Send(1, "a")), (30, Event::Retry(0, Some(1)))]),
            100,
            &["queued for capacity: 0 failed", "running: 1 working"],
        ),
        (
            "moved: not before its task was seen to end",
            2,
            None,
            rule(),
            named(vec![(10, Event::Reroute(0, None))]),
            100,
            &["running: 0 working"],
        ),
        (
            "moved",
            2,
            None,
            rule(),
            named(vec![(10, Event::Reroute(0, None)), (20, canceled(0))]),
            100,
            &["running: 0 canceled, 1 working"],
        ),
        (
            "moved by rules",
            3,
            None,
            rule(),
            vec![(0, by_skill()), (10, Event::Reroute(0, Some(2))), (20, canceled(0))],
            100,
            &["running: 0 canceled, 2 working"],
        ),
        (
            "it completed before it could be moved",
            2,
            None,
            rule(),
            named(vec![(10, Event::Reroute(0, None)), (20, ends(0))]),
            100,
            &["over: 0 completed"],
        ),
    ]);
    let refusals: [(&str, Script, &str); 4] = [
        ("alive", vec![(10, Event::Retry(0, None))], "is working"),
        ("completed", vec![(10, ends(0)), (20, Event::Retry(0, None))], "it completed"),
        ("moved to where it is", vec![(10, Event::Reroute(0, Some(0)))], "it is there already"),
        ("over", vec![(10, fails(0)), (20, Event::Reroute(0, None))], "is failed already"),
    ];
    for (name, script, words) in refusals {
        let mut fleet = fleet(2, None, rule());
        fleet.play(&named(script), 100);
        assert!(fleet.last_refusal().contains(words), "{name}: {}", fleet.last_refusal());
    }
}

#[test]
fn an_agent_that_is_out_of_service_gets_no_new_work() {
    let rule = || Rule::new("r", skill());
    let seconds = Duration::from_secs;
    let cordon = |agent, window| Event::Service(agent, ServiceChange::Cordon { window });
    let drain = |agent, move_after| Event::Service(agent, ServiceChange::Drain { window: None, move_after });
    let resume = |agent| Event::Service(agent, ServiceChange::Resume);
    let canceled = |agent| Event::Ends(agent, crate::domain::job::task::TaskState::Canceled);
    check(vec![
        (
            "the other one gets it",
            2,
            None,
            rule(),
            [vec![(0, cordon(0, None))], every(1, 1, 2, &by_skill())].concat(),
            100,
            &["running: 1 working", "running: 1 working"],
        ),
        (
            "all are out: it waits until one is back",
            1,
            None,
            rule(),
            vec![(0, cordon(0, None)), (1, by_skill()), (10, resume(0))],
            100,
            &["running: 0 working"],
        ),
        (
            "it is back by itself",
            1,
            None,
            rule(),
            vec![(0, cordon(0, Some(seconds(60)))), (1, by_skill())],
            70_000,
            &["running: 0 working"],
        ),
        (
            "what it has goes on",
            2,
            None,
            rule(),
            vec![(0, by_skill()), (1, drain(0, None))],
            70_000,
            &["running: 0 working"],
        ),
        (
            "what it has is moved after a while",
            2,
            None,
            rule(),
            vec![(0, by_skill()), (1, drain(0, Some(seconds(60)))), (61_000, canceled(0))],
            70_000,
            &["running: 0 canceled, 1 working"],
        ),
    ]);
    let words = |script: Script| {
        let mut fleet = fleet(2, None, rule());
        fleet.play(&script, 1000);
        fleet.agent(0).service.as_ref().map(|out| out.in_words())
    };
    let send = (0, Event::Send(0, "a"));
    for (name, script, expected) in [
        ("empty at once", vec![(1, drain(0, None))], Some("drained by ada: disk")),
        ("one left", vec![send.clone(), (1, drain(0, None))], Some("draining by ada: disk")),
        ("it ended", vec![send, (1, drain(0, None)), (5, ends(0))], Some("drained by ada: disk")),
        ("cordoned", vec![(1, cordon(0, None))], Some("cordoned by ada: disk")),
        ("resumed", vec![(1, cordon(0, None)), (2, resume(0))], None),
    ] {
        assert_eq!(words(script).as_deref(), expected, "{name}");
    }
    let mut named = fleet(1, None, rule());
    named.play(&[(0, cordon(0, None)), (1, Event::Send(0, "a"))], 10);
    assert!(
        named.last_refusal().contains("out of service, cordoned by ada: disk"),
        "{}",
        named.last_refusal()
    );
}
