//! From a fault of an agent to its problem: what happened until when, and which problems are open then.

use std::time::Duration;

use crate::domain::agent::breaker::BreakerRules;
use crate::domain::decide::testing::{Conduct, Event, Fleet, every, tasks};
use crate::domain::input::{Input, Rules};
use crate::domain::job::task::TaskState::{Completed, Failed};
use crate::domain::problem::Kind::{
    self, AgentDegraded, AgentDown, AgentFrozen, AgentSlow, CertificateBroken, LoginNeeded, NotSpoken,
};

/// Probes are rare, so that only the script makes calls; breakers and silent tasks have tables of their own.
fn rules() -> Rules {
    let day = Duration::from_secs(24 * 3600);
    let breaker = BreakerRules { enabled: false, ..BreakerRules::default() };
    Rules { probe_interval: day, silent_after: day, breaker, ..Rules::default() }
}

type Script = Vec<(u64, Event)>;

/// Each row: a name, what happens to one agent, until when, and the problems that are open then.
fn check(rows: Vec<(&str, Script, u64, &[Kind])>) {
    for (name, script, until, expected) in rows {
        let mut fleet = Fleet::new(1, rules());
        fleet.play(&script, until);
        assert_eq!(fleet.problems(), expected, "{name}");
    }
}

fn probed(conduct: Conduct) -> Script {
    vec![(1000, Event::Conduct(0, conduct)), (1000, Event::Probe(0))]
}

#[test]
fn a_failed_probe_is_repeated_or_believed_depending_on_its_cause() {
    let back = |at: u64| [probed(Conduct::Refuses), vec![(at, Event::Conduct(0, Conduct::Works))]].concat();
    let busy = [vec![(0, Event::Input(Input::Busy(true)))], probed(Conduct::Hangs)].concat();
    let again = |conduct, at: u64| {
        [probed(conduct), vec![(at, Event::Conduct(0, Conduct::Works)), (at, Event::Probe(0))]].concat()
    };
    check(vec![
        ("refused twice", probed(Conduct::Refuses), 3999, &[]),
        ("refused three times", probed(Conduct::Refuses), 4000, &[AgentDown]),
        ("it answers before the third probe", back(3999), 4000, &[]),
        ("it answers again", again(Conduct::Refuses, 5000), 5000, &[]),
        ("silence counts at once", probed(Conduct::Hangs), 1000, &[AgentFrozen]),
        ("silence while this machine is busy", busy, 1500, &[]),
        ("it is thawed", again(Conduct::Hangs, 5000), 5000, &[]),
        ("a certificate counts at once", probed(Conduct::CertificateExpired), 1000, &[CertificateBroken]),
        ("a login counts at once", probed(Conduct::WantsLogin), 1000, &[LoginNeeded]),
        ("a card that was readable before", probed(Conduct::BadCard), 1000, &[AgentDegraded]),
        ("it is readable again", again(Conduct::BadCard, 5000), 5000, &[]),
    ]);
}

#[test]
fn calls_that_fail_before_the_first_probe_has_failed_belong_to_the_outage() {
    // Calls take longer than the pause between the reads, so all have failed when the probe does.
    let refused = [
        vec![
            (0, Event::Send(0, "a")),
            (1000, Event::Latency(0, 100)),
            (1000, Event::Conduct(0, Conduct::Refuses)),
        ],
        every(1000, 10, 5, &Event::Read(0)),
    ]
    .concat();
    for until in (1040..1200).step_by(10) {
        check(vec![("five reads were refused", refused.clone(), until, &[])]);
    }
    check(vec![("the third probe was refused", refused, 4500, &[AgentDown])]);
}

#[test]
fn an_agent_whose_card_was_never_readable_offers_no_interface() {
    let mut fleet = Fleet::new(1, rules());
    fleet.play(&[], 0);
    let spec = crate::domain::decide::testing::spec("http://host-9:80/");
    fleet.add(spec, Conduct::BadCard);
    assert_eq!(fleet.problems(), [NotSpoken]);
}

/// Each read of a task is one call.
fn reads(failed: u64, answered: u64) -> Script {
    let end = 20_000 + failed * 10;
    [
        vec![(10_000, Event::Send(0, "a")), (20_000, Event::Conduct(0, Conduct::Answers503))],
        every(20_000, 10, failed, &Event::Read(0)),
        vec![(end, Event::Conduct(0, Conduct::Works))],
        every(end, 10, answered, &Event::Read(0)),
    ]
    .concat()
}

#[test]
fn failed_calls_degrade_an_agent_until_its_last_twenty_succeeded() {
    check(vec![
        ("two failed", reads(2, 0), 20_500, &[]),
        ("three failed", reads(3, 0), 20_500, &[AgentDegraded]),
        ("eighteen succeeded since", reads(3, 18), 20_500, &[AgentDegraded]),
        ("nineteen succeeded since", reads(3, 19), 20_500, &[AgentDegraded]),
        ("twenty succeeded since", reads(3, 20), 20_500, &[]),
    ]);
}

fn latencies(slow: u64, from: u64, step: u64, quick: u64) -> Script {
    [
        vec![(0, Event::Send(0, "a")), (10_000, Event::Latency(0, 2001))],
        every(10_000, 100, slow, &Event::Read(0)),
        vec![(from, Event::Latency(0, 3))],
        every(from, step, quick, &Event::Read(0)),
    ]
    .concat()
}

#[test]
fn slow_calls_make_an_agent_slow_until_two_minutes_were_fast() {
    let at_limit = [
        vec![(0, Event::Send(0, "a")), (10_000, Event::Latency(0, 2000))],
        every(10_000, 100, 6, &Event::Read(0)),
    ]
    .concat();
    check(vec![
        ("one slow call", latencies(1, 11_000, 1, 4), 12_000, &[]),
        ("two slow calls of four", latencies(2, 11_000, 1, 2), 12_000, &[AgentSlow]),
        ("calls of exactly two seconds", at_limit, 12_000, &[]),
        // The last slow call is made at 10.3 s.
        ("thirty fast calls within a second", latencies(4, 11_000, 10, 30), 12_000, &[AgentSlow]),
        ("fast for almost two minutes", latencies(4, 11_000, 119_299, 2), 130_299, &[AgentSlow]),
        ("fast for two minutes", latencies(4, 11_000, 119_300, 2), 130_300, &[]),
    ]);
}

/// Its card shows another version, as found by a probe.
fn another_version(at: u64) -> Script {
    vec![(at, Event::Version(0, "2.0.0")), (at + 1, Event::Probe(0))]
}

#[test]
fn failing_agents_and_skills_are_reported_by_number_and_share_of_failed_tasks() {
    let ended = |good: u64, bad: u64, then: u64| {
        [
            tasks(0, 0, 100, good, "b", &Completed),
            tasks(0, 10_000, 100, bad, "a", &Failed),
            tasks(0, 20_000, 100, then, "a", &Completed),
        ]
        .concat()
    };
    let failing = |script: Script| {
        let mut fleet = Fleet::new(1, rules());
        fleet.play(&script, 25_000);
        let kinds = [Kind::AgentFailing, Kind::SkillFailing];
        fleet.problems().into_iter().filter(|kind| kinds.contains(kind)).collect::<Vec<_>>()
    };
    for (name, script, expected) in [
        ("seven failed", ended(0, 7, 0), vec![]),
        ("eight failed", ended(0, 8, 0), vec![Kind::AgentFailing]),
        ("seven in a row went well since", ended(0, 8, 7), vec![Kind::AgentFailing]),
        ("eight in a row went well since", ended(0, 8, 8), vec![]),
        ("another version", [ended(0, 8, 0), another_version(21_000)].concat(), vec![]),
        (
            "another version that fails as well",
            [ended(0, 8, 0), another_version(11_000), tasks(0, 12_000, 100, 8, "a", &Failed)].concat(),
            vec![Kind::AgentFailing],
        ),
        ("of a skill", [ended(5, 5, 0), another_version(21_000)].concat(), vec![]),
        ("four of one skill failed", ended(5, 4, 0), vec![]),
        ("five of one skill failed", ended(5, 5, 0), vec![Kind::SkillFailing]),
        ("two of another skill went well", ended(2, 5, 0), vec![]),
        ("three of another skill went well", ended(3, 5, 0), vec![Kind::SkillFailing]),
        ("half of the skill failed", ended(5, 5, 5), vec![Kind::SkillFailing]),
        ("fewer than half of the skill failed", ended(5, 5, 6), vec![]),
    ] {
        assert_eq!(failing(script), expected, "{name}");
    }
}

#[test]
fn an_interface_that_refuses_while_the_card_answers_is_down() {
    let faulty = |until: &[(u64, Event)]| {
        [
            vec![
                (0, Event::Send(0, "a")),
                (1000, Event::Conduct(0, Conduct::InterfaceRefuses)),
                (1000, Event::Read(0)),
            ],
            until.to_vec(),
        ]
        .concat()
    };
    check(vec![
        // Failed calls of an agent that is about to be down do not degrade it on the way.
        ("refused twice", faulty(&[]), 2500, &[]),
        ("refused three times", faulty(&[]), 4000, &[AgentDown]),
        (
            "it answers again",
            faulty(&[(5000, Event::Conduct(0, Conduct::Works)), (5000, Event::Probe(0))]),
            5000,
            &[],
        ),
    ]);
}
