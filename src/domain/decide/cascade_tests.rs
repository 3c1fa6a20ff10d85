//! Cancels that go on to what a task delegated: what was sent and done until when, and how far each cancel is then.

use std::time::Duration;

use crate::domain::decide::routing_tests::{by_skill, fleet, skill};
use crate::domain::decide::testing::OnCancel::{NoAnswer, NotCancelable};
use crate::domain::decide::testing::{Event, Fleet};
use crate::domain::input::{Input, Rules};
use crate::domain::intent::{Intent, Send};
use crate::domain::job::delegated;
use crate::domain::job::message::Part;
use crate::domain::job::task::TaskState::{Canceled, Completed};
use crate::domain::route::Rule;

type Script = Vec<(u64, Event)>;

/// Tasks are numbered in the order in which they are sent: t1, t2, …
fn three() -> Fleet {
    let day = Duration::from_secs(24 * 3600);
    Fleet::new(3, Rules { probe_interval: day, silent_after: day, ..Rules::default() })
}

/// A task for an agent, delegated by another one.
fn delegates(at: u64, parent: &str, to: usize) -> (u64, Event) {
    (at, Event::Delegate(parent.to_owned(), to))
}

/// A chain: t1 at the first agent delegates t2 to the second, which delegates t3 to the third.
fn chain(then: &[(u64, Event)]) -> Script {
    let begin = [(0, Event::Send(0, "a")), delegates(1, "t1", 1), delegates(2, "t2", 2)];
    [&begin, then].concat()
}

#[test]
fn a_cancel_goes_on_to_what_was_delegated() {
    let all = |at, agent| (at, Event::CancelWithDelegated(agent));
    let ends = |at, agent| (at, Event::Ends(agent, Canceled));
    let rows: Vec<(&str, Script, &[&str])> = vec![
        (
            "each is asked",
            chain(&[all(10, 0)]),
            &["0 working agreed", "1 working agreed", "2 working agreed"],
        ),
        (
            "each is verified by itself",
            chain(&[all(10, 0), ends(20, 0), ends(21, 2)]),
            &["0 canceled verified", "1 working agreed", "2 canceled verified"],
        ),
        (
            "from the middle",
            chain(&[all(10, 1), ends(20, 1), ends(21, 2)]),
            &["0 working", "1 canceled verified", "2 canceled verified"],
        ),
        (
            "one that refuses keeps no other from it",
            chain(&[(5, Event::OnCancel(1, NotCancelable)), all(10, 0), ends(20, 0), ends(21, 2)]),
            &["0 canceled verified", "1 working refused", "2 canceled verified"],
        ),
        (
            "one that does not answer is unconfirmed by itself",
            chain(&[(5, Event::OnCancel(2, NoAnswer)), all(10, 0), ends(20, 0), ends(21, 1)]),
            &["0 canceled verified", "1 canceled verified", "2 working asked"],
        ),
        (
            "without the rest, if that is asked for",
            chain(&[(10, Event::Cancel(0)), ends(20, 0)]),
            &["0 canceled verified", "1 working", "2 working"],
        ),
        (
            "one that has ended in between is passed",
            chain(&[ends(5, 1), all(10, 0), ends(20, 0), ends(21, 2)]),
            &["0 canceled verified", "1 canceled", "2 canceled verified"],
        ),
        (
            "what an ended task delegated can still be canceled",
            chain(&[(5, Event::Ends(0, Completed)), all(10, 0), ends(20, 1)]),
            &["0 completed", "1 canceled verified", "2 working agreed"],
        ),
        (
            "a circle of parents ends where it began",
            vec![delegates(0, "t2", 0), delegates(1, "t1", 1), all(10, 0)],
            &["0 working agreed", "1 working agreed"],
        ),
        (
            "an id that two agents have is nobody's parent",
            vec![(0, Event::Send(0, "a")), delegates(1, "t1", 2), (5, Event::Adopt(1, "t1")), all(10, 0)],
            &["0 working agreed", "2 working", "1 working"],
        ),
        (
            "what is delegated after the cancel follows",
            chain(&[all(10, 0), ends(20, 0), delegates(30, "t1", 1), delegates(40, "t4", 2)]),
            &[
                "0 canceled verified",
                "1 working agreed",
                "2 working agreed",
                "1 working agreed",
                "2 working agreed",
            ],
        ),
        (
            "but not after one that was meant for the task alone",
            vec![(0, Event::Send(0, "a")), (10, Event::Cancel(0)), ends(20, 0), delegates(30, "t1", 1)],
            &["0 canceled verified", "1 working"],
        ),
        (
            "nor if the task completed all the same",
            vec![
                (0, Event::Send(0, "a")),
                all(10, 0),
                (20, Event::Ends(0, Completed)),
                delegates(30, "t1", 1),
            ],
            &["0 completed too-late", "1 working"],
        ),
    ];
    for (name, script, expected) in rows {
        let mut fleet = three();
        fleet.play(&script, 100);
        assert_eq!(fleet.cancels(), expected, "{name}");
        assert_eq!(fleet.unattended(), Vec::<&str>::new(), "{name}");
    }
}

#[test]
fn a_cascade_that_was_not_written_leaves_nothing() {
    let mut fleet = three();
    let why = "disk full".into();
    let undone = Event::Input(Input::ActUnsaved { ticket: 0, why });
    fleet.play(&chain(&[(10, Event::CancelWithDelegated(0)), (10, undone)]), 20);
    assert_eq!(fleet.cancels(), ["0 working", "1 working", "2 working"]);
    fleet.play(&[delegates(30, "t1", 1)], 100);
    assert_eq!(fleet.cancels().last().map(String::as_str), Some("1 working"), "the cascade was not kept");
}

#[test]
fn a_cascade_is_bounded_in_number_and_depth() {
    let mut fleet = three();
    let many = (0..delegated::MOST as u64 + 5).map(|number| delegates(1 + number / 100, "t1", 1));
    let script: Script = std::iter::once((0, Event::Send(0, "a"))).chain(many).collect();
    fleet.play(&script, 100).play(&[(200, Event::CancelWithDelegated(0))], 300);
    let asked = fleet.cancels().iter().filter(|cancel| cancel.ends_with("agreed")).count();
    assert_eq!(asked, delegated::MOST + 1);

    let mut fleet = three();
    let deep = (1..40).map(|number| delegates(number, &format!("t{number}"), 1));
    let script: Script = std::iter::once((0, Event::Send(0, "a"))).chain(deep).collect();
    fleet.play(&script, 100).play(&[(200, Event::CancelWithDelegated(0))], 300);
    let asked = fleet.cancels().iter().filter(|cancel| cancel.ends_with("agreed")).count();
    assert_eq!(asked, delegated::DEPTH + 1);
}

/// A job that went by a rule to the first agent and delegated to the third.
fn moved(then: &[(u64, Event)]) -> Script {
    let begin = [(0, by_skill()), delegates(1, "t1", 2), (10, Event::Reroute(0, Some(1)))];
    [&begin, then].concat()
}

#[test]
fn a_job_is_not_sent_elsewhere_while_what_it_delegated_may_run() {
    let rule = |idempotent| Rule { idempotent, ..Rule::new("r", skill()) };
    let ends = |at, agent| (at, Event::Ends(agent, Canceled));
    let rows: Vec<(&str, bool, Script, &str)> = vec![
        ("it waits for what it delegated", false, moved(&[ends(20, 0)]), "running: 0 canceled"),
        (
            "and goes on once that was seen to end",
            false,
            moved(&[ends(20, 0), ends(30, 2)]),
            "running: 0 canceled, 1 working",
        ),
        (
            "also if that ends first",
            false,
            moved(&[ends(20, 2), ends(30, 0)]),
            "running: 0 canceled, 1 working",
        ),
        (
            "or however it ends",
            false,
            moved(&[ends(20, 0), (30, Event::Ends(2, Completed))]),
            "running: 0 canceled, 1 working",
        ),
        (
            "an operator may send it all the same",
            false,
            moved(&[ends(20, 0), (30, Event::Retry(0, Some(1)))]),
            "running: 0 canceled, 1 working",
        ),
        ("idempotent work does not wait", true, moved(&[ends(20, 0)]), "running: 0 canceled, 1 working"),
    ];
    for (name, idempotent, script, expected) in rows {
        let mut fleet = fleet(3, None, rule(idempotent));
        fleet.play(&script, 100);
        assert_eq!(fleet.stories()[0], expected, "{name}");
        assert_eq!(fleet.unattended(), Vec::<&str>::new(), "{name}");
    }
}

/// A message to an agent that names the task which delegated it.
pub(super) fn delegated(fleet: &Fleet, parent: &str, to: usize) -> Intent {
    let agent = fleet.agent(to).id;
    Intent::Send(Box::new(Send { parent: Some(parent.into()), ..Send::new(agent, vec![Part::text("work")]) }))
}
