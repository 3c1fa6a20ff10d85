//! Shifts: steps need both time and jobs, the successor loses its share at either limit, and nothing forgets a shift.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::AgentSpec;
use crate::domain::agent::breaker::BreakerRules;
use crate::domain::agent::shift::{ShiftChange, ShiftTerms};
use crate::domain::decide::routing_tests::{by_skill, skill};
use crate::domain::decide::testing::{Event, Fleet, spec};
use crate::domain::input::{Input, Rules};
use crate::domain::intent::{Intent, Send};
use crate::domain::job::message::Part;
use crate::domain::job::task::TaskState::{self, Completed, Failed};
use crate::domain::problem::Kind;
use crate::domain::route::{self, Rule, Target};

fn rules() -> Rules {
    Rules {
        probe_interval: Duration::from_secs(24 * 3600),
        breaker: BreakerRules { enabled: false, ..BreakerRules::default() },
        routes: Arc::new(route::Rules { revision: 1, rules: vec![Arc::new(Rule::new("r", skill()))] }),
        ..Rules::default()
    }
}

fn fleet(agents: usize, capacity: Option<u32>) -> Fleet {
    let spec = |number| AgentSpec { capacity, ..spec(&format!("http://host-{number}:80/")) };
    Fleet::of((0..agents).map(spec).collect(), rules())
}

/// Jobs by skill, one each ten milliseconds from a moment on, each of which ends at once.
fn jobs(fleet: &mut Fleet, from: u64, count: u64, state: impl Fn(usize) -> TaskState) {
    for number in 0..count {
        let at = from + number * 10;
        fleet.play(&[(at, by_skill())], at + 5);
        fleet.end_all(&state);
    }
}

fn completed(_: usize) -> TaskState {
    Completed
}

/// `5 %, step 2 of 5: 3 of 60, new 3 ok of 3, old 57 ok of 57`
fn stands(fleet: &Fleet) -> String {
    let Some(shift) = fleet.agent(0).shift.clone() else { return "none".to_owned() };
    let counts = shift.counts;
    format!(
        "{} %, {}: {} of {}, new {} ok of {}, old {} ok of {}",
        shift.percent(),
        shift.place(),
        counts.given,
        counts.decided,
        counts.successor.ok,
        counts.successor.ended(),
        counts.legacy.ok,
        counts.legacy.ended()
    )
}

#[test]
fn a_step_needs_its_time_and_its_jobs() {
    let mut fleet = fleet(2, None);
    fleet.play(&[(0, Event::ShiftTo(0, 1, 3))], 1);
    assert_eq!(stands(&fleet), "1 %, step 1 of 5: 0 of 0, new 0 ok of 0, old 0 ok of 0");
    jobs(&mut fleet, 10, 200, completed);
    assert_eq!(stands(&fleet), "1 %, step 1 of 5: 2 of 200, new 2 ok of 2, old 198 ok of 198");
    fleet.play(&[], 61_000);
    assert_eq!(
        stands(&fleet),
        "1 %, step 1 of 5: 2 of 200, new 2 ok of 2, old 198 ok of 198",
        "one job is missing"
    );
    jobs(&mut fleet, 61_010, 50, completed);
    assert_eq!(stands(&fleet), "5 %, step 2 of 5: 0 of 0, new 0 ok of 0, old 0 ok of 0");
    jobs(&mut fleet, 62_000, 100, completed);
    assert_eq!(
        stands(&fleet),
        "5 %, step 2 of 5: 5 of 100, new 5 ok of 5, old 95 ok of 95",
        "its time is not over"
    );
    fleet.play(&[], 123_000);
    assert_eq!(stands(&fleet), "25 %, step 3 of 5: 0 of 0, new 0 ok of 0, old 0 ok of 0");
    for (from, expected) in [
        (124_000, "50 %, step 4 of 5: 0 of 0, new 0 ok of 0, old 0 ok of 0"),
        (190_000, "100 %, step 5 of 5: 0 of 0, new 0 ok of 0, old 0 ok of 0"),
        (255_000, "100 %, complete: 0 of 0, new 0 ok of 0, old 0 ok of 0"),
    ] {
        jobs(&mut fleet, from, 20, completed);
        fleet.play(&[], from + 62_000);
        assert_eq!(stands(&fleet), expected);
    }
    jobs(&mut fleet, 320_000, 20, completed);
    assert_eq!(
        stands(&fleet),
        "100 %, complete: 20 of 20, new 20 ok of 20, old 0 ok of 0",
        "its share stays"
    );
}

#[test]
fn the_successor_loses_its_share_at_either_limit() {
    let failing = |agent: usize| if agent == 1 { Failed } else { Completed };
    let mut under = fleet(2, None);
    under.play(&[(0, Event::ShiftTo(0, 1, 50))], 1);
    jobs(&mut under, 10, 249, failing);
    let two = "1 %, step 1 of 5: 2 of 249, new 0 ok of 2, old 247 ok of 247";
    assert_eq!(stands(&under), two, "two of fifty may fail");
    jobs(&mut under, 3000, 1, failing);
    assert_eq!(stands(&under), "0 %, back at 0: 0 of 0, new 0 ok of 0, old 0 ok of 0");
    let text = "took its work back from toy~2: 0.0 % ok of 3, the limit is 95 %";
    assert_eq!(under.texts_of(Kind::ShiftBack), [(0, text.to_owned())]);
    jobs(&mut under, 4000, 50, completed);
    assert_eq!(stands(&under), "0 %, back at 0: 0 of 50, new 0 ok of 0, old 50 ok of 50");
    under.play(&[(5000, Event::Shift(0, ShiftChange::Resume))], 5001);
    assert_eq!(stands(&under), "1 %, step 1 of 5: 0 of 0, new 0 ok of 0, old 0 ok of 0");
    assert_eq!(under.texts_of(Kind::ShiftBack), [], "a shift that goes on is no problem");

    let mut behind = fleet(2, None);
    let terms = ShiftTerms { ok_limit: 0, jobs: 10, ..ShiftTerms::to(behind.agent(1).id) };
    behind.play(&[(0, Event::Shift(0, ShiftChange::Begin(terms)))], 1);
    jobs(&mut behind, 10, 49, failing);
    assert_eq!(stands(&behind).split(':').next(), Some("1 %, step 1 of 5"));
    jobs(&mut behind, 1000, 1, failing);
    let text = "took its work back from toy~2: 0.0 % ok of 1, the legacy agent's 100.0 % of 49 is 5 points better or more";
    assert_eq!(behind.texts_of(Kind::ShiftBack), [(0, text.to_owned())]);
}

#[test]
fn operators_hold_take_back_and_end_a_shift() {
    let mut fleet = fleet(3, None);
    let shift = |at, change| (at, Event::Shift(0, change));
    fleet.play(&[(0, Event::ShiftTo(0, 1, 1)), shift(1, ShiftChange::Hold)], 2);
    jobs(&mut fleet, 10, 120, completed);
    fleet.play(&[], 90_000);
    assert_eq!(
        fleet.agent(0).shift.as_ref().map(|shift| shift.place()).as_deref(),
        Some("held at step 1 of 5")
    );
    fleet.play(&[shift(90_001, ShiftChange::Resume)], 90_002);
    assert_eq!(stands(&fleet).split(':').next(), Some("5 %, step 2 of 5"), "what was counted still counts");
    fleet.play(&[shift(90_003, ShiftChange::Back)], 90_004);
    assert_eq!(stands(&fleet).split(':').next(), Some("0 %, back at 0"));
    assert_eq!(fleet.problems(), [], "an operator knows what he does");
    for (at, event, refusal) in [
        (91_000, Event::Shift(0, ShiftChange::Back), "back at 0 already"),
        (91_001, Event::Shift(0, ShiftChange::Hold), "nothing to hold"),
        (91_002, Event::Shift(1, ShiftChange::Hold), "not shifted to anybody"),
        (91_003, Event::ShiftTo(2, 2, 1), "its own successor"),
        (91_004, Event::ShiftTo(2, 1, 1), "takes part in another shift"),
        (91_005, Event::ShiftTo(1, 2, 1), "takes part in another shift"),
        (91_006, Event::ShiftTo(1, 2, 0), "at least one job"),
    ] {
        fleet.play(&[(at, event)], at + 1);
        assert!(fleet.last_refusal().contains(refusal), "{refusal}: {}", fleet.last_refusal());
    }
    fleet.play(&[shift(92_000, ShiftChange::End)], 92_001);
    assert_eq!(stands(&fleet), "none");
    fleet.play(&[(92_002, Event::ShiftTo(2, 1, 1))], 92_003);
    assert!(fleet.agent(2).shift.is_some(), "both are free again");
}

#[test]
fn who_names_an_agent_gets_it_and_a_full_successor_leaves_the_job_to_the_legacy_agent() {
    let mut fleet = fleet(2, Some(1));
    fleet.play(&[(0, Event::ShiftTo(0, 1, 1))], 1);
    for (at, to) in [(61_000, "5 %"), (122_000, "25 %"), (183_000, "50 %"), (244_000, "100 %")] {
        jobs(&mut fleet, at - 60_000, 100, completed);
        fleet.play(&[], at + 1000);
        assert!(stands(&fleet).starts_with(to), "{}", stands(&fleet));
    }
    fleet.play(&[(250_000, Event::Send(0, "a"))], 250_001);
    assert_eq!(fleet.stories().last().map(String::as_str), Some("running: 0 working"));
    fleet.end_all(completed);
    fleet.play(&[(250_010, by_skill()), (250_011, by_skill())], 250_012);
    let stories = fleet.stories();
    assert_eq!(stories[stories.len() - 2..], ["running: 1 working", "running: 0 working"]);
    let send = Send::to(Target::Skill("a".into()), vec![Part::text("work")]);
    fleet.end_all(completed);
    fleet.play(&[(250_020, by_skill())], 250_021);
    let explained = fleet.explain(&send);
    let shifted = explained.decision.and_then(|decision| decision.shift).expect("a shift");
    assert_eq!(
        shifted.in_words("old", "new"),
        "100 % of what old would get goes to new (shift, step 5 of 5), but new cannot take it now"
    );
}

#[test]
fn a_shift_survives_a_restart_and_other_rules() {
    let mut fleet = fleet(2, None);
    fleet.play(&[(0, Event::ShiftTo(0, 1, 2))], 1);
    jobs(&mut fleet, 10, 90, completed);
    let before = stands(&fleet);
    assert_eq!(before, "1 %, step 1 of 5: 1 of 90, new 1 ok of 1, old 89 ok of 89");
    let other = Rule { idempotent: true, ..Rule::new("other", skill()) };
    let other = Arc::new(route::Rules { revision: 2, rules: vec![Arc::new(other)] });
    fleet.input(Input::Routes(Ok(other.clone())));
    assert_eq!(stands(&fleet), before);
    fleet.restart(Rules { routes: other, ..rules() });
    assert_eq!(stands(&fleet), before);
    jobs(&mut fleet, 3000, 60, completed);
    assert_eq!(stands(&fleet), "1 %, step 1 of 5: 2 of 150, new 2 ok of 2, old 148 ok of 148");
    fleet.play(&[], 61_000);
    assert_eq!(stands(&fleet).split(':').next(), Some("5 %, step 2 of 5"), "the timer is set again");
}

#[test]
fn acts_on_a_shift_that_were_not_kept_are_taken_back() {
    let begin = Event::ShiftTo(0, 1, 1);
    let change = |change| Event::Shift(0, change);
    // Each row: what was kept, what was not, and how the shift stands then.
    for (kept, refused, expected) in [
        (vec![], vec![begin.clone()], "none"),
        (vec![begin.clone()], vec![change(ShiftChange::Hold)], "1 %, step 1 of 5"),
        (vec![begin.clone()], vec![change(ShiftChange::End)], "1 %, step 1 of 5"),
        (
            vec![begin.clone()],
            vec![change(ShiftChange::Back), change(ShiftChange::Resume)],
            "1 %, step 1 of 5",
        ),
        (
            vec![begin.clone(), change(ShiftChange::Hold)],
            vec![change(ShiftChange::End)],
            "1 %, held at step 1 of 5",
        ),
        (
            vec![begin.clone(), change(ShiftChange::Back)],
            vec![change(ShiftChange::End), begin.clone()],
            "0 %, back at 0",
        ),
    ] {
        for backwards in [false, true] {
            let mut fleet = fleet(2, None);
            let intent = |fleet: &Fleet, event: &Event| match event {
                Event::Shift(agent, change) => Intent::Shift {
                    agent: fleet.agent(*agent).id,
                    change: change.clone(),
                    why: None,
                    by: "ada".into(),
                },
                Event::ShiftTo(from, to, jobs) => Intent::Shift {
                    agent: fleet.agent(*from).id,
                    change: ShiftChange::Begin(ShiftTerms {
                        jobs: *jobs,
                        ..ShiftTerms::to(fleet.agent(*to).id)
                    }),
                    why: None,
                    by: "ada".into(),
                },
                _ => unreachable!("only shifts"),
            };
            for event in &kept {
                let intent = intent(&fleet, event);
                fleet.input(Input::Intent { ticket: 0, intent, by: None });
                fleet.saved(0);
            }
            for (ticket, event) in (1..).zip(&refused) {
                let intent = intent(&fleet, event);
                fleet.input(Input::Intent { ticket, intent, by: None });
            }
            let tickets: Vec<u64> = (1..=refused.len() as u64).collect();
            let tickets: Vec<u64> = if backwards { tickets.into_iter().rev().collect() } else { tickets };
            for ticket in tickets {
                fleet.input(Input::ActUnsaved { ticket, why: "disk full".into() });
            }
            assert_eq!(
                stands(&fleet).split(':').next(),
                Some(expected),
                "{refused:?}, backwards: {backwards}"
            );
        }
    }
}
