//! When a breaker opens, tries again and closes: what happened until when, and where it stands then.

use std::time::Duration;

use crate::domain::agent::breaker::BreakerRules;
use crate::domain::agent::breaker::BreakerState::{self, Closed, HalfOpen, Open};
use crate::domain::decide::testing::{Conduct, Event, Fleet, every, tasks};
use crate::domain::input::Rules;
use crate::domain::job::task::TaskState::{Completed, Failed};
use crate::domain::problem::Kind;

const SEND: Event = Event::Send(0, "a");
const SOUND: Event = Event::Conduct(0, Conduct::Works);
const FAULTY: Event = Event::Conduct(0, Conduct::Answers503);

/// Probes are rare, so that only the script makes calls.
fn rules() -> Rules {
    Rules { probe_interval: Duration::from_secs(24 * 3600), ..Rules::default() }
}

type Script = Vec<(u64, Event)>;

/// Each row: a name, the agents, what happens, until when, and where the breaker of the first agent stands then.
fn check(rules: &Rules, rows: Vec<(&str, usize, Script, u64, BreakerState)>) {
    for (name, agents, script, until, expected) in rows {
        let mut fleet = Fleet::new(agents, rules.clone());
        fleet.play(&script, until);
        assert_eq!(fleet.agent(0).breaker.position, expected, "{name}");
    }
}

/// So many answered reads of one task, and then so many sends that are answered 503. Each call takes 100 ms.
fn calls(answered: u64, failed: u64) -> Script {
    let begin = tasks(0, 0, 1, 1, "a", &Completed);
    // Sending and confirming were two answered calls; the window has passed when the others begin.
    let reads = every(100_000, 100, answered, &Event::Read(0));
    let faulty = vec![(110_000, FAULTY)];
    [begin, reads, faulty, every(110_000, 100, failed, &SEND)].concat()
}

#[test]
fn failed_calls_open_a_breaker_by_number_and_share_within_the_window() {
    let spread = |step: u64| [vec![(0, FAULTY)], every(100_000, step, 5, &SEND)].concat();
    check(
        &rules(),
        vec![
            ("four failed calls", 1, calls(0, 4), 120_000, Closed),
            ("five failed calls", 1, calls(0, 5), 120_000, Open),
            ("five of ten", 1, calls(5, 5), 120_000, Open),
            ("five of eleven", 1, calls(6, 5), 120_000, Closed),
            ("six of twelve", 1, calls(6, 6), 120_000, Open),
            ("five within a minute", 1, spread(14_999), 160_000, Open),
            ("five within a minute and a moment", 1, spread(15_000), 160_000, Closed),
        ],
    );
    let off = Rules { breaker: BreakerRules { enabled: false, ..BreakerRules::default() }, ..rules() };
    check(&off, vec![("it is switched off", 1, calls(0, 20), 120_000, Closed)]);
}

#[test]
fn failed_tasks_open_a_breaker_by_number_and_share() {
    let ended = |good: u64, bad: u64| {
        [tasks(0, 0, 100, good, "a", &Completed), tasks(0, 10_000, 100, bad, "a", &Failed)].concat()
    };
    let other_version = vec![(15_000, Event::Version(0, "2.0.0")), (15_001, Event::Probe(0))];
    let day = 24 * 3_600_000;
    let old = |wait: u64| [tasks(0, 0, 0, 1, "a", &Failed), tasks(0, wait, 1, 7, "a", &Failed)].concat();
    check(
        &rules(),
        vec![
            ("seven failed", 1, ended(0, 7), 20_000, Closed),
            ("eight failed", 1, ended(0, 8), 20_000, Open),
            ("eight of ten", 1, ended(2, 8), 20_000, Open),
            ("eight of eleven", 1, ended(3, 8), 20_000, Closed),
            ("nine of twelve", 1, ended(3, 9), 20_000, Open),
            ("another version since", 1, [ended(0, 8), other_version].concat(), 20_000, Closed),
            ("fourteen of the last twenty", 1, ended(20, 14), 20_000, Closed),
            ("fifteen of the last twenty", 1, ended(20, 15), 20_000, Open),
            ("the first of eight is almost a day old", 1, old(day - 7), day, Open),
            ("the first of eight is a day old", 1, old(day), day + 10, Closed),
        ],
    );
}

#[test]
fn an_open_breaker_is_tried_again_after_a_doubling_wait() {
    // It opens at 110.4 s.
    let opened = 110_400;
    let trial = |at: u64| vec![(at, SEND)];
    let twice = [calls(0, 5), trial(opened + 30_000)].concat();
    let again = opened + 30_000;
    let sound = |at: u64| [calls(0, 5), vec![(at - 1, SOUND)], trial(at)].concat();
    check(
        &rules(),
        vec![
            ("just before the wait is over", 1, calls(0, 5), opened + 29_999, Open),
            ("when the wait is over", 1, calls(0, 5), opened + 30_000, HalfOpen),
            ("the trial is answered", 1, sound(again), again, Closed),
            ("the trial fails", 1, twice.clone(), again, Open),
            ("just before the second wait is over", 1, twice.clone(), again + 59_999, Open),
            ("when the second wait is over", 1, twice, again + 60_000, HalfOpen),
        ],
    );
    // 30, 60, 120, 240 and 480 seconds, and from then on ten minutes.
    let waits = [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000];
    let mut fleet = Fleet::new(1, rules());
    let mut now = opened;
    fleet.play(&calls(0, 5), now);
    for wait in waits {
        fleet.play(&[], now + wait - 1);
        assert_eq!(fleet.agent(0).breaker.position, Open, "before {wait} ms are over");
        now += wait;
        fleet.play(&[], now);
        assert_eq!(fleet.agent(0).breaker.position, HalfOpen, "after {wait} ms");
        fleet.play(&trial(now), now);
    }
    // One success makes it forget how often it opened.
    fleet.play(&[(now, SOUND)], now + 600_000);
    now += 600_000;
    fleet.play(&[trial(now), vec![(now + 1, FAULTY)], every(now + 1, 0, 5, &SEND)].concat(), now + 30_000);
    assert_eq!(fleet.agent(0).breaker.position, Open);
    fleet.play(&[], now + 30_001);
    assert_eq!(fleet.agent(0).breaker.position, HalfOpen);
}

#[test]
fn a_trial_of_an_agent_that_fails_tasks_ends_with_its_task() {
    let failed = tasks(0, 0, 0, 8, "a", &Failed);
    let trial = |then: Script| [failed.clone(), vec![(30_000, SEND)], then].concat();
    let ends = |state| vec![(40_000, Event::Ends(0, state))];
    check(
        &rules(),
        vec![
            ("the call of the trial was answered", 1, trial(vec![]), 39_999, HalfOpen),
            ("its task completed", 1, trial(ends(Completed)), 40_000, Closed),
            ("its task failed", 1, trial(ends(Failed)), 40_000, Open),
            ("and the next trial comes after twice the wait", 1, trial(ends(Failed)), 99_999, Open),
            ("which is then over", 1, trial(ends(Failed)), 100_000, HalfOpen),
        ],
    );
    // One send at a time, until five minutes have shown that its task does not end.
    for (at, expected) in [(30_001, 9), (329_999, 9), (330_000, 10)] {
        let mut fleet = Fleet::new(1, rules());
        fleet.play(&trial(vec![(at, SEND)]), at);
        assert_eq!(fleet.calls("send").len(), expected, "a second trial after {at} ms");
    }
}

#[test]
fn an_open_breaker_refuses_sends_and_says_why() {
    let opened = [calls(0, 5), vec![(110_500, SEND)]].concat();
    let forced = vec![(0, Event::Breaker(0, Some(Open))), (1, SEND)];
    let trial = [tasks(0, 0, 0, 8, "a", &Failed), vec![(30_000, SEND), (30_001, SEND)]].concat();
    for (script, sends, word) in
        [(opened, 6, "its breaker is open"), (forced, 0, "held open by ada"), (trial, 9, "half-open")]
    {
        let mut fleet = Fleet::new(1, rules());
        fleet.play(&script, 110_500);
        assert_eq!(fleet.calls("send").len(), sends, "{word}");
        assert!(fleet.last_refusal().contains(word), "{:?} has no {word:?}", fleet.last_refusal());
    }
}

#[test]
fn a_breaker_held_by_an_operator_ignores_the_results_of_calls() {
    let by_hand = |to| vec![(0, Event::Breaker(0, to))];
    let hour = 3_600_000;
    check(
        &rules(),
        vec![
            ("held open", 1, by_hand(Some(Open)), hour, Open),
            ("held closed", 1, [by_hand(Some(Closed)), calls(0, 9)].concat(), hour, Closed),
            (
                "returned to automatic",
                1,
                [by_hand(Some(Closed)), by_hand(None), calls(0, 5)].concat(),
                110_400,
                Open,
            ),
            (
                "closed after it had opened",
                1,
                [calls(0, 5), vec![(120_000, Event::Breaker(0, None))]].concat(),
                hour,
                Closed,
            ),
        ],
    );
}

/// Agent 0 ends so many tasks badly of so many, each replica so many of so many.
fn compared(own: (u64, u64), others: (u64, u64), replicas: usize) -> Script {
    let all = |agent: usize, from: u64, (bad, of): (u64, u64)| {
        [tasks(agent, from, 1, of - bad, "a", &Completed), tasks(agent, from + 100, 1, bad, "a", &Failed)]
            .concat()
    };
    let mut script: Script =
        (1..=replicas).flat_map(|agent| all(agent, agent as u64 * 1000, others)).collect();
    script.extend(all(0, 100_000, own));
    script
}

#[test]
fn an_outlier_is_ejected_by_number_volume_and_difference_from_its_replicas() {
    let down = |agent: usize| vec![(0, Event::Conduct(agent, Conduct::Refuses)), (0, Event::Probe(agent))];
    check(
        &rules(),
        vec![
            ("four failed", 2, compared((4, 10), (0, 10), 1), 110_000, Closed),
            ("five failed", 2, compared((5, 10), (0, 10), 1), 110_000, Open),
            ("of nine", 2, compared((5, 9), (0, 10), 1), 110_000, Closed),
            ("replicas ended nine", 2, compared((5, 10), (0, 9), 1), 110_000, Closed),
            ("two replicas ended ten between them", 3, compared((5, 10), (0, 5), 2), 110_000, Open),
            ("29 points worse", 2, compared((5, 17), (0, 20), 1), 110_000, Closed),
            ("exactly 30 points worse", 2, compared((6, 20), (0, 20), 1), 110_000, Open),
            ("35 points worse", 2, compared((12, 20), (5, 20), 1), 110_000, Open),
            ("as bad as its replicas", 2, compared((7, 10), (7, 10), 1), 110_000, Closed),
            ("no replica", 1, compared((7, 10), (0, 0), 0), 110_000, Closed),
            (
                "one of two replicas is down: half is left",
                4,
                [down(3), compared((5, 10), (0, 10), 2)].concat(),
                110_000,
                Open,
            ),
            (
                "two of four are down: fewer than half would be left",
                4,
                [down(2), down(3), compared((5, 10), (0, 10), 1)].concat(),
                110_000,
                Closed,
            ),
        ],
    );
    let off = Rules { breaker: BreakerRules { outliers: false, ..BreakerRules::default() }, ..rules() };
    check(&off, vec![("ejection is off", 2, compared((5, 10), (0, 10), 1), 110_000, Closed)]);
}

/// The console says that a breaker is open until it is closed: a trial alone ends nothing.
#[test]
fn the_problem_lasts_until_the_breaker_closes() {
    let opened = 110_400;
    let again = opened + 30_000;
    let trial_fails = [calls(0, 5), vec![(again, SEND)]].concat();
    let trial_succeeds = [calls(0, 5), vec![(again - 1, SOUND), (again, SEND)]].concat();
    for (name, script, until, open) in [
        ("before it opened", calls(0, 4), opened, false),
        ("open", calls(0, 5), opened, true),
        ("half-open", calls(0, 5), again, true),
        ("open again", trial_fails.clone(), again, true),
        ("closed", trial_succeeds, again, false),
    ] {
        let mut fleet = Fleet::new(1, rules());
        fleet.play(&script, until);
        assert_eq!(fleet.problems().contains(&Kind::BreakerOpen), open, "{name}: {:?}", fleet.problems());
    }
}
