//! What becomes of an attempt whose agent cannot be reached.

use std::time::Duration;

use crate::domain::decide::routing_tests::{Script, by_skill, check, fleet, retries, skill};
use crate::domain::decide::testing::{Conduct, Event};
use crate::domain::job::task::TaskState::Completed;
use crate::domain::route::Rule;

/// The agent refuses connections from the first second on, which a probe shows.
fn dies(agent: usize) -> Script {
    let probe = |second: u64| (second * 1000, Event::Probe(agent));
    let dead = [(1000, Event::Conduct(agent, Conduct::Refuses)), (1001, Event::Cut(agent))];
    dead.into_iter().chain([2, 4, 6].map(probe)).collect()
}

fn returns(agent: usize, second: u64) -> Script {
    vec![(second * 1000, Event::Conduct(agent, Conduct::Works)), (second * 1000 + 1, Event::Probe(agent))]
}

fn rule() -> Rule {
    Rule { retry: retries(2, 10), ..Rule::new("r", skill()) }
}

fn idempotent() -> Rule {
    Rule { idempotent: true, ..rule() }
}

/// A job is sent, and its agent dies.
fn begin() -> Script {
    [vec![(0, by_skill())], dies(0)].concat()
}

fn with(script: Script) -> Script {
    [begin(), script].concat()
}

/// A task that its agent lost is a problem for as long as somebody has to decide what becomes of its job.
#[test]
fn a_lost_task_is_no_problem_once_another_attempt_follows_it() {
    let forgets = with(vec![(90_000, Event::Conduct(0, Conduct::Forgets)), (90_001, Event::Probe(0))]);
    let retried = [forgets.clone(), vec![(130_000, Event::Retry(0, None))]].concat();
    for (name, rule, script, until, is_open) in [
        ("its rule lets it be tried again", idempotent(), forgets.clone(), 120_000, false),
        ("an operator decides", rule(), forgets, 120_000, true),
        ("an operator has decided", rule(), retried, 140_000, false),
    ] {
        let mut fleet = fleet(2, None, rule);
        fleet.play(&script, until);
        let open = fleet.problems().contains(&crate::domain::problem::Kind::TaskLost);
        assert_eq!(open, is_open, "{name}");
    }
}

#[test]
fn an_attempt_at_an_unreachable_agent_is_given_up_or_asked_about() {
    check(vec![
        ("not at once", 2, None, idempotent(), begin(), 50_000, &["running: 0 working"]),
        (
            "after a minute, where the work is idempotent",
            2,
            None,
            idempotent(),
            begin(),
            90_000,
            &["running: 0 presumed lost, 1 working"],
        ),
        (
            "as soon as its rule says",
            2,
            None,
            Rule { unreachable_after: Duration::from_secs(5), ..idempotent() },
            begin(),
            30_000,
            &["running: 0 presumed lost, 1 working"],
        ),
        ("otherwise an operator decides", 2, None, rule(), begin(), 90_000, &["running: 0 working"]),
        (
            "it comes back in time",
            2,
            None,
            idempotent(),
            with(returns(0, 30)),
            90_000,
            &["running: 0 working"],
        ),
        (
            "it comes back while its job waits: it is the attempt again",
            1,
            None,
            idempotent(),
            with(returns(0, 90)),
            120_000,
            &["running: 0 working"],
        ),
        (
            "its only agent comes back without it: it is tried again",
            1,
            None,
            idempotent(),
            with(vec![(90_000, Event::Conduct(0, Conduct::Forgets)), (90_001, Event::Probe(0))]),
            120_000,
            &["running: 0 presumed lost, 0 working"],
        ),
        (
            "it comes back completed while its job waits",
            1,
            None,
            idempotent(),
            with([vec![(80_000, Event::EndsSilently(0, Completed))], returns(0, 90)].concat()),
            120_000,
            &["over: 0 completed"],
        ),
        (
            "the operator moves what is idempotent",
            2,
            None,
            idempotent(),
            with(vec![(20_000, Event::Reroute(0, None))]),
            30_000,
            &["running: 0 presumed lost, 1 working"],
        ),
        (
            "the operator gives it up",
            2,
            None,
            rule(),
            with(vec![(20_000, Event::PresumeLost(0))]),
            30_000,
            &["over, its port refuses connections: 0 presumed lost"],
        ),
        (
            "and sends it elsewhere",
            2,
            None,
            rule(),
            with(vec![(20_000, Event::PresumeLost(0)), (20_001, Event::Retry(0, None))]),
            30_000,
            &["running: 0 presumed lost, 1 working"],
        ),
        (
            "it was given up and comes back: its job goes on",
            2,
            None,
            rule(),
            with([vec![(20_000, Event::PresumeLost(0))], returns(0, 30)].concat()),
            60_000,
            &["running: 0 working"],
        ),
    ]);
}

#[test]
fn an_operator_is_asked_as_long_as_the_agent_is_unreachable() {
    let decision = |script: Script, until| {
        let mut fleet = fleet(2, None, rule());
        fleet.play(&script, until);
        fleet.newest(0).decision().map(|words| words.split(':').next().unwrap_or_default())
    };
    for (name, script, until, expected) in [
        ("not yet", begin(), 50_000, None),
        ("after a minute", begin(), 90_000, Some("its agent cannot be reached")),
        ("it came back after that", with(returns(0, 95)), 120_000, None),
        ("given up", with(vec![(90_000, Event::PresumeLost(0))]), 95_000, None),
    ] {
        assert_eq!(decision(script, until), expected, "{name}");
    }
    let mut both = fleet(2, None, idempotent());
    both.play(&with(returns(0, 95)), 120_000);
    assert_eq!(both.stories(), ["running: 0 working, 1 working"]);
    assert_eq!(both.calls("cancel").len(), 1, "the one that came back is canceled");
    for (name, script, words) in [
        ("not idempotent", vec![(20_000, Event::Reroute(0, None))], "nobody can see it end"),
        ("alive, as far as is known", vec![(20_000, Event::Retry(0, None))], "nobody can see it end"),
        ("it answers", [returns(0, 30), vec![(40_000, Event::PresumeLost(0))]].concat(), "its agent answers"),
    ] {
        let mut fleet = fleet(2, None, rule());
        fleet.play(&with(script), 50_000);
        assert!(fleet.last_refusal().contains(words), "{name}: {}", fleet.last_refusal());
    }
}

/// A job that was over and goes on with an attempt that came back is ended by its limits like any other.
#[test]
fn what_comes_back_has_its_limits() {
    let limit = Some(Duration::from_secs(60));
    let lost = vec![(8000, Event::PresumeLost(0))];
    for rule in [Rule { deadline: limit, ..rule() }, Rule { timeout: limit, ..rule() }] {
        let mut fleet = fleet(1, None, rule);
        fleet.play(&[with(lost.clone()), returns(0, 30)].concat(), 50_000);
        assert_eq!(fleet.stories(), ["running: 0 working"]);
        assert_eq!(fleet.missing_timers(), Vec::<String>::new());
        fleet.play(&[], 62_000);
        assert_eq!(fleet.cancels(), ["0 working agreed"]);
    }
}
