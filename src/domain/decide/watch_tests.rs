//! How tasks are watched: what came of one until when, and what the console doubts then.

use std::time::Duration;

use crate::domain::agent::Health;
use crate::domain::decide::testing::{Conduct, Event, Fleet, every};
use crate::domain::input::Rules;
use crate::domain::job::task::TaskState::{self, Completed, Failed};
use crate::domain::limits;
use crate::domain::problem::Kind::{
    self, TaskConflict, TaskLooping, TaskLost, TaskSilent, TaskStalled, TaskStuck,
};

fn fleet() -> Fleet {
    Fleet::new(1, Rules { probe_interval: Duration::from_secs(24 * 3600), ..Rules::default() })
}

type Script = Vec<(u64, Event)>;

fn check(rows: Vec<(&str, Script, u64, &[Kind])>) {
    for (name, script, until, expected) in rows {
        let mut fleet = fleet();
        fleet.play(&script, until);
        assert_eq!(fleet.problems(), expected, "{name}");
    }
}

fn task(then: &[(u64, Event)]) -> Script {
    [&[(0, Event::Send(0, "a"))], then].concat()
}

fn says(at: u64, words: &'static str) -> (u64, Event) {
    (at, Event::Says(0, words))
}

#[test]
fn a_task_that_sends_nothing_is_silent_after_thirty_seconds() {
    check(vec![
        ("almost thirty seconds", task(&[]), 29_999, &[]),
        ("thirty seconds", task(&[]), 30_000, &[TaskSilent]),
        ("an event starts the time anew", task(&[says(20_000, "half")]), 49_999, &[]),
        ("and it runs out again", task(&[says(20_000, "half")]), 50_000, &[TaskSilent]),
        ("an event clears it", task(&[says(40_000, "half")]), 40_000, &[]),
        (
            "a task that waits for a person",
            task(&[(1000, Event::Ends(0, TaskState::InputRequired))]),
            100_000,
            &[],
        ),
        ("an end clears it", task(&[(40_000, Event::Ends(0, Completed))]), 40_000, &[]),
    ]);
}

/// The limits of a task apply to all its streams together; the 1st, the 10th and the 100th drop are recorded.
#[test]
fn the_limits_of_a_task_hold_across_all_its_streams() {
    let most = u32::try_from(limits::ARTIFACTS).unwrap();
    let brings = |at: u64, numbers| (at, Event::Brings(0, numbers));
    for (name, script, artifacts, violations) in [
        ("as many as it may", task(&[brings(1000, 0..most)]), most, 0),
        ("one more", task(&[brings(1000, 0..most + 1)]), most, 1),
        ("known ones again", task(&[brings(1000, 0..most), brings(2000, 0..most)]), most, 0),
        (
            "on two streams",
            task(&[brings(1000, 0..600), (2000, Event::Cut(0)), brings(20_000, 600..most + 150)]),
            most,
            3,
        ),
    ] {
        let mut fleet = fleet();
        fleet.play(&script, 21_000);
        let seen = fleet.newest(0).task.as_ref().map(|task| u32::from(task.artifacts));
        assert_eq!((seen, fleet.agent(0).violations), (Some(artifacts), violations), "{name}");
    }
}

#[test]
fn a_task_is_stuck_only_once_a_usual_pause_is_known() {
    // Each task pauses for 10 s at most.
    let usual = |tasks: u64| -> Script {
        (0..tasks)
            .flat_map(|number| {
                let at = number * 20_000;
                [
                    (at, Event::Send(0, "a")),
                    says(at + 10_000, "half"),
                    (at + 20_000, Event::Ends(0, Completed)),
                ]
            })
            .collect()
    };
    let then = |tasks: u64| [usual(tasks), vec![(200_000, Event::Send(0, "a"))]].concat();
    let other = [usual(5), vec![(200_000, Event::Send(0, "b"))]].concat();
    check(vec![
        ("four tasks make nothing usual", then(4), 230_000, &[TaskSilent]),
        ("five tasks make ten seconds usual", then(5), 230_000, &[]),
        ("almost five times the usual", then(5), 249_999, &[]),
        ("five times the usual", then(5), 250_000, &[TaskStuck]),
        ("of another skill nothing is usual", other, 230_000, &[TaskSilent]),
        ("an event clears it", [then(5), vec![says(260_000, "at last")]].concat(), 260_000, &[]),
    ]);
}

#[test]
fn the_same_status_text_twenty_times_is_a_loop() {
    let same = |times: u64| [task(&[]), every(100, 100, times, &Event::Says(0, "searching"))].concat();
    let then = |more: &[(u64, Event)]| [same(20), more.to_vec()].concat();
    check(vec![
        ("nineteen times", same(19), 5000, &[]),
        ("twenty times", same(20), 5000, &[TaskLooping]),
        ("a sign of life without words ends nothing", then(&[says(5000, "")]), 5000, &[TaskLooping]),
        ("other words end it", then(&[says(5000, "found")]), 5000, &[]),
        ("an end ends it", then(&[(5000, Event::Ends(0, Failed))]), 5000, &[]),
    ]);
}

#[test]
fn the_task_of_a_cut_stream_is_read_and_subscribed_to_again() {
    let mut fleet = fleet();
    fleet.play(&task(&[(5000, Event::Cut(0))]), 6000);
    assert_eq!((fleet.calls("get"), fleet.calls("subscribe")), (vec![5000], vec![5000]));
    assert_eq!(fleet.problems(), []);
    // Without a stream it is stalled, however often it is read.
    let polled = |then: &[(u64, Event)]| {
        [vec![(0, Event::NoSubscriptions(0)), (0, Event::Send(0, "a")), (5000, Event::Cut(0))], then.to_vec()]
            .concat()
    };
    let ends = (21_000, Event::EndsSilently(0, Completed));
    check(vec![
        ("almost fifteen seconds after the cut", polled(&[]), 19_999, &[]),
        ("fifteen seconds after the cut", polled(&[]), 20_000, &[TaskStalled]),
        ("it ended meanwhile", polled(&[ends]), 60_000, &[]),
    ]);
}

#[test]
fn a_task_without_a_stream_is_read_at_growing_intervals() {
    let mut fleet = fleet();
    fleet.play(&[(0, Event::NoSubscriptions(0)), (0, Event::Send(0, "a")), (1, Event::Cut(0))], 14_000);
    // The waits are 2 s, 3 s and 4.5 s, each varied by up to a fifth. The first read follows the cut.
    let reads = fleet.calls("get");
    let waits: Vec<u64> = reads.windows(2).map(|pair| pair[1] - pair[0]).filter(|wait| *wait > 0).collect();
    for (wait, usual) in waits.iter().zip([2000, 3000, 4500]) {
        assert!((usual * 4 / 5..=usual * 6 / 5).contains(wait), "{waits:?}");
    }
    assert!(waits.len() >= 3, "{waits:?}");
}

#[test]
fn a_lost_task_and_a_conflict_are_confirmed_by_a_second_read() {
    let forgets = task(&[(1000, Event::Conduct(0, Conduct::Forgets)), (1000, Event::Read(0))]);
    let knows = (1999, Event::Conduct(0, Conduct::Works));
    let disagrees = task(&[(1000, Event::EndsOnStreamOnly(0, Completed))]);
    // The end is confirmed by a read once the stream has had two seconds for more events.
    let agrees = (3999, Event::EndsSilently(0, Completed));
    check(vec![
        ("not known once", forgets.clone(), 1999, &[]),
        ("not known twice", forgets.clone(), 2000, &[TaskLost]),
        ("known at the second look", [forgets, vec![knows]].concat(), 2000, &[]),
        ("ended by its stream, working when read", disagrees.clone(), 3999, &[]),
        ("the same a second later", disagrees.clone(), 4000, &[TaskConflict]),
        ("ended at the second look", [disagrees, vec![agrees]].concat(), 4000, &[]),
    ]);
}

/// What watching costs a busy agent is bounded: beyond twenty a second, ends are taken as their streams report them.
#[test]
fn of_many_ends_in_a_second_twenty_are_compared() {
    for (ends, apart, reads) in [(20, 10, 20), (30, 10, 20), (30, 100, 30)] {
        let mut fleet = fleet();
        let script =
            [every(0, 0, ends, &Event::Send(0, "a")), every(1000, apart, ends, &Event::EndsOldest(0))];
        fleet.play(&script.concat(), 10_000);
        assert_eq!(fleet.calls("get").len(), reads, "{ends} ends, {apart} ms apart");
        let settled = fleet.newest(0).task.as_ref().map(|task| task.settled);
        assert_eq!((settled, fleet.problems()), (Some(true), vec![]), "{ends} ends, {apart} ms apart");
    }
}

/// The time that a person takes to answer is none of the agent's.
#[test]
fn a_task_takes_as_long_as_its_agent_works() {
    let asks = (1000, Event::Ends(0, TaskState::InputRequired));
    for (name, script, took) in [
        ("without a question", task(&[(2000, Event::Ends(0, Completed))]), 2000),
        (
            "an answer after a minute",
            task(&[asks.clone(), says(61_000, "go on"), (61_500, Event::Ends(0, Completed))]),
            1500,
        ),
        ("an end while it asks", task(&[asks, (61_000, Event::Ends(0, Failed))]), 1000),
    ] {
        let mut fleet = fleet();
        fleet.play(&script, 70_000);
        assert_eq!(fleet.took(), Duration::from_millis(took), "{name}");
    }
}

/// What came of a task over a time in which no engine ran: its latency, and the time from its begin to its end as shown.
#[test]
fn a_task_that_ended_unseen_has_the_time_of_its_agent_or_none() {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
    let silently = Event::EndsSilently(0, Completed);
    let unseen = |at| Event::EndsUnseen(0, Completed, at);
    for (name, end, took, shown) in [
        ("its agent says when", unseen(15_000), 15_000, Some(15_000)),
        ("its agent does not", silently, 0, None),
        ("its agent gives a time before the last sign", unseen(3000), 0, None),
        ("its agent gives a time that is to come", unseen(900_000), 0, None),
    ] {
        let mut fleet = fleet();
        // The stream has not brought its end by then.
        fleet.play(&task(&[says(9000, "half"), (10_000, end)]), 10_000);
        fleet.restart_after(60_000, Rules::default());
        let attempt = fleet.newest(0);
        assert_eq!(attempt.task.as_ref().map(|task| &task.state), Some(&Completed), "{name}");
        let ended = attempt.ended().filter(|_| attempt.ended_unseen().is_none());
        assert_eq!(ended.map(|end| millis(end.since(attempt.began()))), shown, "{name}");
        assert_eq!(millis(fleet.took()), took, "{name}");
    }
}

#[test]
fn a_lost_task_took_until_it_was_found_to_be_lost() {
    let forgets = [(50_000, Event::Conduct(0, Conduct::Forgets)), (50_000, Event::Read(0))];
    let mut fleet = fleet();
    fleet.play(&task(&[&[says(1000, "half")], &forgets[..]].concat()), 52_000);
    let attempt = fleet.newest(0);
    let took = attempt.ended().map(|end| end.since(attempt.began()));
    assert_eq!(took, Some(Duration::from_millis(51_000)));
}

/// A problem is told once, however often the engine is restarted while it lasts.
#[test]
fn a_restart_neither_ends_a_problem_nor_begins_it_anew() {
    let loops = [task(&[]), every(100, 100, 20, &Event::Says(0, "searching"))].concat();
    for (name, script, goes_on, kind, words) in [
        ("silent", task(&[]), None, TaskSilent, "at last"),
        ("looping", loops, Some("searching"), TaskLooping, "found"),
    ] {
        let mut fleet = fleet();
        fleet.play(&script, 2000);
        for until in [40_000, 60_000, 80_000, 100_000] {
            let then = goes_on.map(|words| every(until - 15_000, 5000, 3, &Event::Says(0, words)));
            fleet.play(&then.unwrap_or_default(), until);
            assert_eq!((fleet.problems(), fleet.problem_numbers()), (vec![kind], vec![1]), "{name} {until}");
            fleet.restart_after(1000, Rules::default());
            assert_eq!((fleet.problems(), fleet.problem_numbers()), (vec![kind], vec![1]), "{name} {until}");
        }
        fleet.play(&[says(110_000, words)], 110_000);
        assert_eq!(fleet.problems(), [], "{name}");
    }
}

/// An agent is up since it came up, whatever nobody saw in between.
#[test]
fn a_restart_is_no_change_of_health() {
    let mut fleet = fleet();
    let up = fleet.agent(0).since;
    fleet.play(&[], 40_000);
    for _ in 0..2 {
        fleet.restart_after(5000, Rules::default());
        assert_eq!((fleet.agent(0).health, fleet.agent(0).since), (Health::Up, up));
    }
    let refuses = [(100_000, Event::Conduct(0, Conduct::Refuses)), (100_000, Event::Probe(0))];
    fleet.play(&refuses, 120_000);
    let down = fleet.agent(0).since;
    fleet.restart_after(5000, Rules::default());
    assert_eq!((fleet.agent(0).health, fleet.agent(0).since), (Health::Down, down));
}

/// What one agent waits follows from the seed and from itself: the same story is the same, whatever others do beside it.
#[test]
fn the_jitter_of_an_agent_does_not_depend_on_others() {
    let polled = |agent, at| {
        vec![
            (at, Event::NoSubscriptions(agent)),
            (at, Event::Send(agent, "a")),
            (at + 100, Event::Cut(agent)),
        ]
    };
    let reads = |script: Script| {
        let day = Duration::from_secs(24 * 3600);
        let mut fleet = Fleet::new(2, Rules { probe_interval: day, ..Rules::default() });
        fleet.play(&script, 60_000);
        fleet.calls_of("get", 0)
    };
    let alone = reads(polled(0, 20_000));
    assert!(alone.len() > 4, "{alone:?}");
    assert_eq!(reads([polled(1, 0), polled(0, 20_000)].concat()), alone);
}
