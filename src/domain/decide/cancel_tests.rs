//! How a cancel goes on: what the operator and the agent did until when, and what the console says then.

use std::time::Duration;

use crate::domain::decide::testing::OnCancel::{self, Agrees, Fails, NoAnswer, NotCancelable};
use crate::domain::decide::testing::{Conduct, Event, Fleet};
use crate::domain::input::Rules;
use crate::domain::job::task::CancelMark::{self, Agreed, Asked, Refused, TooLate, Unconfirmed, Verified};
use crate::domain::job::task::TaskState;
use crate::domain::problem::Kind::{self, CancelIgnored, CancelRefused, CancelUnconfirmed};

fn fleet() -> Fleet {
    // Silence is none of these rows' business.
    let day = Duration::from_secs(24 * 3600);
    Fleet::new(1, Rules { probe_interval: day, silent_after: day, ..Rules::default() })
}

type Script = Vec<(u64, Event)>;

/// An agent that answers cancels like this; the cancel is asked for after 10 s.
fn cancel(on_cancel: OnCancel, then: &[(u64, Event)]) -> Script {
    let begin = [(0, Event::OnCancel(0, on_cancel)), (0, Event::Send(0, "a")), (10_000, Event::Cancel(0))];
    [&begin, then].concat()
}

#[test]
fn a_cancel_is_confirmed_only_once_the_task_is_seen_to_have_ended() {
    let says = |at| (at, Event::Says(0, "still here"));
    let ends = |at, state| (at, Event::Ends(0, state));
    let ends_unseen = |at| (at, Event::EndsSilently(0, TaskState::Canceled));
    let rows: Vec<(&str, Script, u64, CancelMark, &[Kind])> = vec![
        ("it agrees", cancel(Agrees, &[]), 10_000, Agreed, &[]),
        ("no answer yet", cancel(NoAnswer, &[]), 15_000, Asked, &[]),
        ("it agrees and ends", cancel(Agrees, &[ends(10_100, TaskState::Canceled)]), 10_100, Verified, &[]),
        (
            "it agrees and completes",
            cancel(Agrees, &[ends(10_100, TaskState::Completed)]),
            10_100,
            TooLate,
            &[],
        ),
        ("it agrees and fails", cancel(Agrees, &[ends(12_000, TaskState::Failed)]), 12_000, TooLate, &[]),
        (
            "it completes before it answers the cancel",
            cancel(NoAnswer, &[ends(12_000, TaskState::Completed)]),
            12_000,
            TooLate,
            &[],
        ),
        (
            "it completes long after it agreed",
            cancel(Agrees, &[ends(40_000, TaskState::Completed)]),
            40_000,
            TooLate,
            &[],
        ),
        ("it ends unseen by the stream", cancel(Agrees, &[ends_unseen(10_500)]), 11_000, Verified, &[]),
        ("it talks for almost five seconds", cancel(Agrees, &[says(14_999)]), 14_999, Agreed, &[]),
        ("it talks for five seconds", cancel(Agrees, &[says(15_000)]), 15_000, Agreed, &[CancelIgnored]),
        (
            "it talked on, and ended",
            cancel(Agrees, &[says(15_000), ends(16_000, TaskState::Canceled)]),
            16_000,
            Verified,
            &[],
        ),
        ("it fails the cancel", cancel(Fails, &[]), 10_000, Unconfirmed, &[CancelUnconfirmed]),
        (
            "it fails the cancel, and the task ends",
            cancel(Fails, &[ends(12_000, TaskState::Completed)]),
            12_000,
            TooLate,
            &[],
        ),
        ("it cannot be canceled", cancel(NotCancelable, &[]), 10_000, Refused, &[CancelRefused]),
        (
            "it cannot be canceled, and ends by itself",
            cancel(NotCancelable, &[ends(20_000, TaskState::Completed)]),
            20_000,
            Refused,
            &[],
        ),
        (
            "it cannot be canceled, and is canceled later",
            cancel(NotCancelable, &[ends(20_000, TaskState::Canceled)]),
            20_000,
            Verified,
            &[],
        ),
        (
            "it cannot be canceled, as it has ended",
            vec![
                (0, Event::OnCancel(0, NotCancelable)),
                (0, Event::Send(0, "a")),
                ends_unseen(9_000),
                (10_000, Event::Cancel(0)),
            ],
            10_000,
            Verified,
            &[],
        ),
        (
            "it cannot be canceled, and is asked once more",
            cancel(NotCancelable, &[(20_000, Event::OnCancel(0, Agrees)), (20_000, Event::Cancel(0))]),
            20_000,
            Agreed,
            &[],
        ),
        ("almost ten seconds without an end", cancel(Agrees, &[]), 19_999, Agreed, &[]),
        ("ten seconds without an end", cancel(Agrees, &[]), 20_000, Unconfirmed, &[CancelUnconfirmed]),
    ];
    for (name, script, until, mark, problems) in rows {
        let mut fleet = fleet();
        fleet.play(&script, until);
        let marked = fleet.newest(0).task.as_ref().and_then(|task| task.cancel);
        assert_eq!((marked, &*fleet.problems()), (Some(mark), problems), "{name}");
    }
}

#[test]
fn a_task_whose_cancel_was_accepted_is_read_at_growing_intervals() {
    let mut fleet = fleet();
    fleet.play(&cancel(OnCancel::Agrees, &[]), 200_000);
    let reads: Vec<u64> = fleet.calls("get").into_iter().map(|at| (at - 10_000) / 1000).collect();
    assert_eq!(reads, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
    assert_eq!(fleet.calls("cancel"), [10_000]);
}

#[test]
fn a_cancel_of_a_task_that_cannot_be_canceled_is_refused() {
    for (script, word) in [
        (cancel(OnCancel::NoAnswer, &[(11_000, Event::Cancel(0))]), "already in progress"),
        (
            vec![(0, Event::Send(0, "a")), (1, Event::Ends(0, TaskState::Completed)), (2, Event::Cancel(0))],
            "already",
        ),
    ] {
        let mut fleet = fleet();
        fleet.play(&script, 20_000);
        assert!(fleet.last_refusal().contains(word), "{:?}", fleet.last_refusal());
    }
}

#[test]
fn an_unconfirmed_cancel_is_sent_again_when_its_agent_is_back() {
    let mut fleet = fleet();
    let script = cancel(
        OnCancel::Agrees,
        &[
            (11_000, Event::Conduct(0, Conduct::Hangs)),
            (11_000, Event::Probe(0)),
            (12_500, Event::Conduct(0, Conduct::Works)),
            (12_500, Event::Probe(0)),
        ],
    );
    fleet.play(&script, 12_500);
    assert_eq!(fleet.calls("cancel"), [10_000, 12_500]);
}
