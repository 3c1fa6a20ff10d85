//! Attempts that run beside each other, what is taken along, and dead letters without an attempt.

use std::time::Duration;

use crate::domain::decide::routing_tests::{Script, by_skill, check, fleet, retries, skill};
use crate::domain::decide::testing::{Conduct, Event, every};
use crate::domain::job::carry::{Carry, CarryContext, CarryHistory};
use crate::domain::job::message::Part;
use crate::domain::job::task::TaskState::{Canceled, Completed, Failed, InputRequired};
use crate::domain::route::{Hedge, HedgeAfter, Retry, Rule};
use crate::domain::text::Untrusted;

fn rule() -> Rule {
    Rule::new("r", skill())
}

/// Another attempt follows beside one that takes longer than five seconds.
fn hedged() -> Rule {
    let hedge = Some(Hedge { after: HedgeAfter::Time(Duration::from_secs(5)), max: 1 });
    Rule { idempotent: true, hedge, ..rule() }
}

fn ends(agent: usize) -> Event {
    Event::Ends(agent, Completed)
}

fn fails(agent: usize) -> Event {
    Event::Ends(agent, Failed)
}

/// A job is sent by its rule, and raced.
fn raced(script: Script) -> Script {
    [vec![(0, by_skill()), (10, Event::Race(0, None))], script].concat()
}

#[test]
fn the_first_of_a_race_that_completes_wins() {
    let retried = || Rule { retry: retries(2, 10), ..rule() };
    check(vec![
        ("both run", 2, None, rule(), raced(vec![]), 100, &["running: 0 working, 1 working"]),
        (
            "the other one is canceled",
            2,
            None,
            rule(),
            raced(vec![(20, ends(1))]),
            100,
            &["over: 0 working, 1 completed, won"],
        ),
        (
            "which is seen",
            2,
            None,
            rule(),
            raced(vec![(20, ends(1)), (30, Event::Ends(0, Canceled))]),
            100,
            &["over: 0 canceled, 1 completed, won"],
        ),
        (
            "both complete: the first is the result",
            2,
            None,
            rule(),
            raced(vec![(20, ends(1)), (30, ends(0))]),
            100,
            &["over: 0 completed, 1 completed, won"],
        ),
        (
            "a failed one does not win",
            2,
            None,
            retried(),
            raced(vec![(20, fails(1))]),
            60_000,
            &["running: 0 working, 1 failed"],
        ),
        (
            "the other one does",
            2,
            None,
            rule(),
            raced(vec![(20, fails(1)), (30, ends(0))]),
            100,
            &["over: 0 completed, won, 1 failed"],
        ),
    ]);
}

#[test]
fn what_follows_a_race_and_who_decides_about_it() {
    let retried = || Rule { retry: retries(2, 10), ..rule() };
    check(vec![
        (
            "a retry follows once all have failed",
            2,
            None,
            retried(),
            raced(vec![(20, fails(1)), (30, fails(0))]),
            100,
            &["queued for backoff: 0 failed, 1 failed"],
        ),
        (
            "and is an attempt of its own",
            2,
            None,
            retried(),
            raced(vec![(20, fails(1)), (30, fails(0)), (20_000, ends(0))]),
            20_100,
            &["over: 0 failed, 1 failed, 0 completed"],
        ),
        (
            "an operator cancels one of them: the other goes on",
            2,
            None,
            rule(),
            raced(vec![(20, Event::Cancel(0)), (30, Event::Ends(0, Canceled)), (40, ends(1))]),
            100,
            &["over: 0 canceled, 1 completed, won"],
        ),
        (
            "an operator cancels all of them",
            2,
            None,
            retried(),
            raced(vec![
                (20, Event::Cancel(0)),
                (30, Event::Ends(0, Canceled)),
                (40, Event::Cancel(1)),
                (50, Event::Ends(1, Canceled)),
            ]),
            100,
            &["over: 0 canceled, 1 canceled"],
        ),
        (
            "a question of one of them does not stop the other",
            2,
            None,
            rule(),
            raced(vec![(20, Event::Ends(0, InputRequired)), (30, ends(1))]),
            100,
            &["over: 0 needs an answer, 1 completed, won"],
        ),
        (
            "a job that was sent to a named agent",
            2,
            None,
            rule(),
            vec![(0, Event::Send(0, "a")), (10, Event::Race(0, Some(1))), (20, ends(1))],
            100,
            &["over: 0 working, 1 completed, won"],
        ),
        (
            "raced twice",
            3,
            None,
            rule(),
            raced(vec![(20, Event::Race(0, None)), (30, ends(2))]),
            100,
            &["over: 0 working, 1 working, 2 completed, won"],
        ),
        (
            "its deadline is that of all",
            2,
            None,
            Rule { deadline: Some(Duration::from_secs(20)), ..rule() },
            raced(vec![(21_000, Event::Ends(0, Canceled)), (21_001, Event::Ends(1, Canceled))]),
            22_000,
            &["over, its deadline of 20 s passed: 0 canceled, 1 canceled"],
        ),
    ]);
}

#[test]
fn a_race_that_makes_no_sense_is_refused() {
    let refusals: [(&str, usize, Option<u32>, Script, &str); 8] = [
        ("nobody else", 1, None, raced(vec![]), "no other agent takes it now"),
        (
            "nobody has room",
            2,
            Some(1),
            [vec![(0, Event::Send(1, "a"))], raced(vec![])].concat(),
            "no other agent",
        ),
        (
            "the named one is full",
            2,
            Some(1),
            vec![(0, Event::Send(0, "a")), (1, Event::Send(1, "a")), (10, Event::Race(0, Some(1)))],
            "it runs 1 of 1 tasks",
        ),
        ("over", 2, None, vec![(0, by_skill()), (5, fails(0)), (10, Event::Race(0, None))], "is failed"),
        (
            "being canceled",
            2,
            None,
            vec![(0, by_skill()), (5, Event::Cancel(0)), (10, Event::Race(0, None))],
            "is being canceled",
        ),
        ("moved", 2, None, raced(vec![(20, Event::Reroute(0, None))]), "runs beside this one"),
        (
            "tried again",
            2,
            None,
            raced(vec![(20, fails(1)), (30, Event::Retry(1, None))]),
            "attempt 1 of it is alive",
        ),
        (
            "tried again, and another one won",
            2,
            None,
            raced(vec![(20, ends(1)), (30, fails(0)), (40, Event::Retry(0, None))]),
            "another attempt has completed",
        ),
    ];
    for (name, agents, capacity, script, words) in refusals {
        let mut fleet = fleet(agents, capacity, rule());
        fleet.play(&script, 100);
        assert!(fleet.last_refusal().contains(words), "{name}: {}", fleet.last_refusal());
    }
}

#[test]
fn the_others_are_asked_to_stop_once() {
    let mut fleet = fleet(3, None, rule());
    fleet.play(&raced(vec![(20, Event::Race(0, None)), (30, ends(2)), (40, ends(1))]), 100);
    assert_eq!(fleet.calls("cancel"), [30, 30]);
}

#[test]
fn slow_attempts_are_hedged() {
    let seconds = Duration::from_secs;
    let hedge = |after, max| Rule { hedge: Some(Hedge { after, max }), ..hedged() };
    let many = || hedge(HedgeAfter::Time(seconds(5)), 2);
    let percentile = || hedge(HedgeAfter::Percentile(95), 1);
    // Twenty tasks of the first agent that take a tenth of a second each.
    let usual = || -> Script {
        (0..20).flat_map(|n| [(n * 200, Event::Send(0, "a")), (n * 200 + 100, ends(0))]).collect()
    };
    let sends = vec![(0, by_skill())];
    let ended = vec!["over: 0 completed"; 20];
    let story = |line: &'static str| [&*ended, &[line]].concat();
    check(vec![
        ("not at once", 2, None, hedged(), sends.clone(), 4900, &["running: 0 working"]),
        ("after its time", 2, None, hedged(), sends.clone(), 60_000, &["running: 0 working, 1 working"]),
        (
            "as often as its rule says",
            4,
            None,
            many(),
            sends.clone(),
            60_000,
            &["running: 0 working, 1 working, 2 working"],
        ),
        (
            "the first wins",
            2,
            None,
            hedged(),
            [sends.clone(), vec![(6000, ends(1))]].concat(),
            7000,
            &["over: 0 working, 1 completed, won"],
        ),
        ("nobody else takes it", 1, None, hedged(), sends.clone(), 60_000, &["running: 0 working"]),
        (
            "nobody has room: it does not wait",
            2,
            Some(1),
            hedged(),
            vec![(0, Event::Send(1, "a")), (1, by_skill()), (6000, ends(1))],
            60_000,
            &["over: 1 completed", "running: 0 working"],
        ),
        (
            "it asks something",
            2,
            None,
            hedged(),
            [sends.clone(), vec![(1000, Event::Ends(0, InputRequired))]].concat(),
            60_000,
            &["running: 0 needs an answer"],
        ),
        (
            "nothing is known of its usual time",
            2,
            None,
            percentile(),
            sends.clone(),
            60_000,
            &["running: 0 working"],
        ),
        (
            "longer than usual",
            2,
            None,
            percentile(),
            [usual(), vec![(4000, by_skill())]].concat(),
            4200,
            &story("running: 0 working, 1 working"),
        ),
        (
            "not longer than usual",
            2,
            None,
            percentile(),
            [usual(), vec![(4000, by_skill())]].concat(),
            4090,
            &story("running: 0 working"),
        ),
        (
            "its place in its rule is its own",
            2,
            None,
            Rule { concurrency: Some(1), ..hedged() },
            sends,
            60_000,
            &["running: 0 working, 1 working"],
        ),
    ]);
}

#[test]
fn hedges_count_as_retries() {
    let budget = Retry { budget: 0, ..Retry::default() };
    let mut fleet = fleet(2, None, Rule { retry: budget, ..hedged() });
    fleet.play(&every(0, 10, 15, &by_skill()), 60_000);
    // Ten are always allowed.
    assert_eq!(fleet.calls("send").len(), 15 + 10);
}

/// The agent refuses connections from the first second on, which a probe shows.
fn dies(agent: usize) -> Script {
    let probe = |second: u64| (second * 1000, Event::Probe(agent));
    let dead = [(1000, Event::Conduct(agent, Conduct::Refuses)), (1001, Event::Cut(agent))];
    dead.into_iter().chain([2, 4, 6].map(probe)).collect()
}

fn returns(agent: usize, second: u64) -> Script {
    vec![(second * 1000, Event::Conduct(agent, Conduct::Works)), (second * 1000 + 1, Event::Probe(agent))]
}

#[test]
fn an_unreachable_one_does_not_keep_a_race_open() {
    let idempotent = || Rule { idempotent: true, ..rule() };
    let dead = |script: Script| [raced(dies(0)), script].concat();
    check(vec![
        ("it may run", 2, None, rule(), dead(vec![]), 90_000, &["running: 0 working, 1 working"]),
        (
            "given up where that does no harm",
            2,
            None,
            idempotent(),
            dead(vec![]),
            90_000,
            &["running: 0 presumed lost, 1 working"],
        ),
        (
            "it comes back, and is in the race again",
            2,
            None,
            idempotent(),
            dead([returns(0, 100), vec![(110_000, ends(0))]].concat()),
            120_000,
            &["over: 0 completed, won, 1 working"],
        ),
        (
            "the other one wins",
            2,
            None,
            rule(),
            dead(vec![(10_000, ends(1))]),
            90_000,
            &["over: 0 presumed lost, 1 completed, won"],
        ),
        (
            "it comes back after that, and is canceled",
            2,
            None,
            rule(),
            dead(
                [vec![(10_000, ends(1))], returns(0, 100), vec![(110_000, Event::Ends(0, Canceled))]]
                    .concat(),
            ),
            120_000,
            &["over: 0 canceled, 1 completed, won"],
        ),
        (
            "the other one fails: an operator decides",
            2,
            None,
            Rule { retry: retries(2, 1), ..rule() },
            dead(vec![(10_000, fails(1))]),
            90_000,
            &["running: 0 working, 1 failed"],
        ),
    ]);
}

/// What the message says that is sent last.
fn texts(parts: &[Part]) -> Vec<&str> {
    parts.iter().filter_map(Part::as_text).map(Untrusted::raw).collect()
}

#[test]
fn another_attempt_takes_along_what_the_operator_chooses() {
    let carry = |context, history| Carry { context, history };
    let content = carry(CarryContext::New, CarryHistory::Content);
    let references = carry(CarryContext::Same, CarryHistory::References);
    let heading =
        "[Carried over from an earlier attempt (task t1): its conversation and its artifacts so far follow.]";
    let done = vec![(5, Event::Says(0, "half done")), (6, Event::Brings(0, 1..2))];
    let whole =
        ["work", heading, "Message of the agent:", "half done", "Artifact output-1 (id output-1):", "text"];
    let cases: [(&str, Script, &[&str], &[&str]); 6] = [
        ("nothing", vec![(10, fails(0)), (20, Event::Retry(0, Some(1)))], &["work"], &[]),
        ("references", vec![(10, fails(0)), (20, Event::RetryWith(0, 1, references))], &["work"], &["t1"]),
        ("content", vec![(10, fails(0)), (20, Event::RetryWith(0, 1, content))], &whole, &["t1"]),
        (
            "what was done until it was moved",
            vec![(10, Event::RerouteWith(0, 1, content)), (20, Event::Ends(0, Canceled))],
            &whole,
            &["t1"],
        ),
        (
            "a second time by its rule",
            vec![(10, Event::RerouteWith(0, 1, content)), (20, Event::Ends(0, Canceled)), (1000, fails(1))],
            &whole,
            &["t1"],
        ),
        (
            "and no longer",
            vec![
                (10, fails(0)),
                (20, Event::RetryWith(0, 1, content)),
                (30, fails(1)),
                (40, Event::Retry(1, Some(0))),
            ],
            &["work"],
            &[],
        ),
    ];
    for (name, script, expected, references) in cases {
        for by_rules in [true, false] {
            let send = if by_rules { by_skill() } else { Event::Send(0, "a") };
            let retry = if name.contains("rule") { retries(1, 5) } else { Retry::default() };
            let mut fleet = fleet(2, None, Rule { retry, ..rule() });
            fleet.play(&[vec![(0, send)], done.clone(), script.clone()].concat(), 20_000);
            let (_, message) = fleet.last_sent();
            assert_eq!(texts(&message.parts), expected, "{name}, by rules: {by_rules}");
            let named: Vec<_> = message.references.iter().map(|task| task.raw().to_string()).collect();
            assert_eq!(named, references, "{name}, by rules: {by_rules}");
            assert_eq!(fleet.unattended(), Vec::<&str>::new(), "{name}");
        }
    }
}

#[test]
fn a_dead_letter_without_an_attempt_is_tried_again() {
    let rule = || Rule { deadline: Some(Duration::from_secs(1)), ..rule() };
    let dead =
        |script: Script| -> Script { [vec![(0, Event::Send(0, "a")), (1, by_skill())], script].concat() };
    check(vec![
        (
            "given up",
            1,
            Some(1),
            rule(),
            dead(vec![]),
            2000,
            &["running: 0 working", "over, its deadline of 1 s passed:"],
        ),
        (
            "it waits again, without its deadline",
            1,
            Some(1),
            rule(),
            dead(vec![(2000, Event::Requeue(None))]),
            9000,
            &["running: 0 working", "queued for capacity:"],
        ),
        (
            "and is sent",
            1,
            Some(1),
            rule(),
            dead(vec![(2000, Event::Requeue(None)), (3000, ends(0))]),
            9000,
            &["over: 0 completed", "running: 0 working"],
        ),
        (
            "to the agent that the operator names",
            2,
            Some(1),
            rule(),
            [
                vec![(0, Event::Send(0, "a")), (0, Event::Send(1, "a")), (1, by_skill())],
                vec![(2000, ends(0)), (2001, ends(1)), (2002, Event::Requeue(Some(1)))],
            ]
            .concat(),
            9000,
            &["over: 0 completed", "over: 1 completed", "running: 1 working"],
        ),
    ]);
    for (name, script, words) in [
        ("it waits", vec![(500, Event::Requeue(None))], "it waits already"),
        (
            "tried again twice",
            vec![(2000, Event::Requeue(None)), (2001, Event::Requeue(None))],
            "it waits already",
        ),
    ] {
        let mut fleet = fleet(1, Some(1), rule());
        fleet.play(&dead(script), 3000);
        assert!(fleet.last_refusal().contains(words), "{name}: {}", fleet.last_refusal());
    }
}
