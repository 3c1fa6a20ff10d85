//! Conditions that raise and clear each kind of problem. The tables for breakers, cancels, watching and health cover
//! the kinds raised there.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::AgentSpec;
use crate::domain::agent::version::Minimum;
use crate::domain::cause::Cause;
use crate::domain::decide::testing::{Conduct, Event, Fleet, every, spec, tasks};
use crate::domain::fleet::source::{DiscoveredAgent, SourceKind, SourceReport, SourceSpec};
use crate::domain::input::{Input, PostResult, Rules};
use crate::domain::job::task::TaskState::{Completed, Failed};
use crate::domain::metrics::objective::Objective;
use crate::domain::problem::Kind::{
    self, AgentDown, AgentFlapping, AgentNameConfusable, AgentVersionMixed, AgentVersionOld, CardChanged,
    CertificateEnds, ClockSkew, HostDown, HostileText, JournalUnsaved, ObjectiveMissed, OverCapacity,
    ProtocolBroken, SourceDown, SourceFailing, WebhookFailing,
};
use crate::domain::problem::Severity;
use crate::domain::time::At;

const DAY: u64 = 24 * 3600;

fn rules() -> Rules {
    let day = Duration::from_secs(DAY);
    Rules { probe_interval: day, silent_after: day, ..Rules::default() }
}

type Script = Vec<(u64, Event)>;

/// Each row: a name, what happens, until when, and the problems of these kinds that are open then.
fn check(fleet: impl Fn() -> Fleet, kinds: &[Kind], rows: Vec<(&str, Script, u64, &[Kind])>) {
    for (name, script, until, expected) in rows {
        let mut fleet = fleet();
        fleet.play(&script, until);
        let open: Vec<Kind> = fleet.problems().into_iter().filter(|kind| kinds.contains(kind)).collect();
        assert_eq!(open, expected, "{name}");
    }
}

fn one() -> Fleet {
    Fleet::new(1, rules())
}

/// The agent goes down and comes back; each takes 50 s.
fn restarts(changes: u64) -> Script {
    let change = |number: u64| {
        let conduct = if number.is_multiple_of(2) { Conduct::Hangs } else { Conduct::Works };
        [(number * 50_000, Event::Conduct(0, conduct)), (number * 50_000, Event::Probe(0))]
    };
    (0..changes).flat_map(change).collect()
}

#[test]
fn an_agent_flaps_after_six_changes_until_it_stays_for_ten_minutes() {
    let later = |at: u64| [restarts(6), vec![(at, Event::Probe(0))]].concat();
    check(
        one,
        &[AgentFlapping],
        vec![
            ("five changes", restarts(5), 240_000, &[]),
            ("six changes", restarts(6), 260_000, &[AgentFlapping]),
            ("unchanged for almost ten minutes", later(849_999), 849_999, &[AgentFlapping]),
            ("unchanged for ten minutes", later(850_000), 850_000, &[]),
        ],
    );
}

#[test]
fn a_certificate_that_ends_within_two_weeks_is_reported() {
    let until = |second: u64| vec![(0, Event::CertificateUntil(0, second)), (0, Event::Probe(0))];
    let renewed =
        [until(1000), vec![(1, Event::CertificateUntil(0, 90 * DAY)), (1, Event::Probe(0))]].concat();
    check(
        one,
        &[CertificateEnds],
        vec![
            ("in two weeks", until(14 * DAY), 0, &[]),
            ("a second less", until(14 * DAY - 1), 0, &[CertificateEnds]),
            ("it is renewed", renewed, 1, &[]),
        ],
    );
}

#[test]
fn a_changed_card_is_news_for_an_hour() {
    let changed = vec![(0, Event::Version(0, "1.1")), (0, Event::Probe(0))];
    check(
        one,
        &[CardChanged],
        vec![
            ("the first card", vec![(0, Event::Probe(0))], 0, &[]),
            ("another version", changed.clone(), 0, &[CardChanged]),
            ("almost an hour later", changed.clone(), 3_599_999, &[CardChanged]),
            ("an hour later", changed, 3_600_000, &[]),
        ],
    );
}

#[test]
fn a_clock_is_wrong_from_thirty_seconds_and_right_again_from_fifteen() {
    let clocks = |skews: &[i64]| -> Script {
        let of = |(number, ahead): (u64, &i64)| (1 + number, Event::Clock(0, *ahead));
        [vec![(0, Event::Send(0, "a"))], (0..).zip(skews).map(of).collect()].concat()
    };
    check(
        one,
        &[ClockSkew],
        vec![
            ("twice", clocks(&[30_001; 2]), 9, &[]),
            ("three times", clocks(&[30_001; 3]), 9, &[ClockSkew]),
            ("exactly thirty seconds", clocks(&[30_000; 3]), 9, &[]),
            ("behind ours", clocks(&[-30_001; 3]), 9, &[ClockSkew]),
            ("now ahead, now behind", clocks(&[30_001, -30_001, 30_001]), 9, &[]),
            ("more than half of it", clocks(&[30_001, 30_001, 30_001, 15_001]), 9, &[ClockSkew]),
            ("half of it", clocks(&[30_001, 30_001, 30_001, 15_000]), 9, &[]),
        ],
    );
}

#[test]
fn more_tasks_than_an_agent_accepts_are_reported_until_a_fifth_is_free() {
    let fleet = || Fleet::of(vec![AgentSpec { capacity: Some(6), ..spec("http://h:1/") }], rules());
    // It accepted one more until its owner thought better of it: nothing of ours goes to an agent that is full.
    let fewer =
        || Event::Input(Input::Configured(vec![AgentSpec { capacity: Some(5), ..spec("http://h:1/") }]));
    let running = |tasks: u64| [every(0, 1, tasks, &Event::Send(0, "a")), vec![(50, fewer())]].concat();
    let ended = |tasks: u64| {
        let ends = (0..tasks).map(|number| (100 + number, Event::EndsOldest(0)));
        [running(6), ends.collect()].concat()
    };
    check(
        fleet,
        &[OverCapacity],
        vec![
            ("as many as it accepts", running(5), 200, &[]),
            ("one more", running(6), 200, &[OverCapacity]),
            ("one ended", ended(1), 200, &[OverCapacity]),
            ("two ended", ended(2), 200, &[]),
        ],
    );
}

#[test]
fn versions_are_compared_with_the_minimum_and_with_those_of_replicas() {
    let minimum = Minimum { agent: None, skill: None, version: "1.5".into() };
    let rules = Rules { minimum_versions: vec![minimum], ..rules() };
    let run = |versions: &[&'static str]| -> Script {
        let of = |(agent, version): (usize, &&'static str)| {
            [(0, Event::Version(agent, version)), (0, Event::Probe(agent))]
        };
        versions.iter().enumerate().flat_map(of).collect()
    };
    check(
        || Fleet::new(2, rules.clone()),
        &[AgentVersionOld, AgentVersionMixed],
        vec![
            ("both old", run(&["1.4", "1.4"]), 1, &[AgentVersionOld, AgentVersionOld]),
            ("one is new", run(&["1.5", "1.4"]), 1, &[AgentVersionOld, AgentVersionMixed]),
            ("both have the minimum", run(&["1.5", "1.5"]), 1, &[]),
            ("both are newer, and differ", run(&["1.6", "1.7"]), 1, &[AgentVersionMixed]),
        ],
    );
}

/// The row's name, the agents at first, those configured next (none: no change), and the expected problems.
type NameRow = (&'static str, Vec<&'static str>, Vec<&'static str>, Vec<(usize, &'static str)>);

#[test]
fn a_name_that_looks_like_an_older_one_is_reported_until_one_of_the_two_leaves() {
    let named =
        |name: &str, port: u16| AgentSpec { name: Some(name.into()), ..spec(&format!("http://h:{port}/")) };
    let fleet = |names: &[&str]| -> Vec<AgentSpec> {
        (1..).zip(names).map(|(port, name)| named(name, port)).collect()
    };
    // "b\u{430}nk" has a Cyrillic letter.
    let rows: Vec<NameRow> = vec![
        ("other names", vec!["bank", "tank"], vec![], vec![]),
        (
            "one imitates",
            vec!["bank", "b\u{430}nk"],
            vec![],
            vec![(1, "\"bank\" at http://h:1/: U+0430 instead of U+0061")],
        ),
        (
            "another case",
            vec!["bank", "Bank"],
            vec![],
            vec![(1, "\"bank\" at http://h:1/: U+0042 instead of U+0062")],
        ),
        (
            "two imitate the first",
            vec!["bank", "b\u{430}nk", "BANK"],
            vec![],
            vec![
                (1, "\"bank\" at http://h:1/: U+0430 instead of U+0061"),
                (2, "\"bank\" at http://h:1/: U+0042 instead of U+0062"),
            ],
        ),
        ("the newer one leaves", vec!["bank", "b\u{430}nk"], vec!["bank"], vec![]),
        ("the older one leaves", vec!["bank", "b\u{430}nk"], vec!["tank", "b\u{430}nk"], vec![]),
        (
            "the oldest of three leaves",
            vec!["bank", "b\u{430}nk", "BANK"],
            vec!["tank", "b\u{430}nk", "BANK"],
            vec![(2, "\"b\u{430}nk\" at http://h:2/: U+0042 instead of U+0062")],
        ),
        ("one comes later", vec!["bank"], vec!["bank", "b\u{430}nk"], vec![(1, "U+0430 instead of U+0061")]),
    ];
    for (name, names, then, expected) in rows {
        let mut members = Fleet::of(fleet(&names), rules());
        if !then.is_empty() {
            members.configure(fleet(&then));
        }
        let found = members.texts_of(AgentNameConfusable);
        assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
        for ((agent, text), (expected_agent, words)) in found.iter().zip(&expected) {
            assert!(agent == expected_agent && text.contains(words), "{name}: {found:?}");
        }
    }
    let many = (0..30).map(|number| named(&variant(number), number + 1)).collect();
    assert_eq!(Fleet::of(many, rules()).texts_of(AgentNameConfusable).len(), 20, "only so many are reported");
}

/// One of the 32 ways to write `abcde` in small and capital letters.
fn variant(number: u16) -> String {
    let letter = |(bit, c): (u16, char)| if number >> bit & 1 == 1 { c.to_ascii_uppercase() } else { c };
    (0..).zip("abcde".chars()).map(letter).collect()
}

fn down(agents: std::ops::Range<usize>) -> Script {
    agents.flat_map(|agent| [(0, Event::Conduct(agent, Conduct::Hangs)), (0, Event::Probe(agent))]).collect()
}

fn back(agents: std::ops::Range<usize>) -> Script {
    agents.flat_map(|agent| [(9, Event::Conduct(agent, Conduct::Works)), (9, Event::Probe(agent))]).collect()
}

#[test]
fn agents_of_a_host_that_are_down_together_are_one_problem() {
    let host = |agents: usize| {
        let specs = (1..=agents).map(|port| spec(&format!("http://h:{port}/"))).collect();
        Fleet::of(specs, rules())
    };
    let kinds = [AgentDown, Kind::AgentFrozen, HostDown];
    let frozen = Kind::AgentFrozen;
    check(
        || host(8),
        &kinds,
        vec![
            ("four of eight", down(0..4), 10, &[frozen; 4]),
            ("five of eight are 62 %", down(0..5), 10, &[HostDown]),
            ("three are left", [down(0..5), back(3..5)].concat(), 10, &[HostDown]),
            ("two are left", [down(0..5), back(2..5)].concat(), 10, &[frozen; 2]),
        ],
    );
    check(
        || host(9),
        &kinds,
        vec![
            ("five of nine are 55 %", down(0..5), 10, &[frozen; 5]),
            ("six of nine are 66 %", down(0..6), 10, &[HostDown]),
        ],
    );
}

#[test]
fn agents_of_a_source_are_one_problem_only_on_several_hosts() {
    let source = |urls: [&str; 5]| {
        let mut fleet = Fleet::new(0, rules());
        let spec = SourceSpec { name: "shop".into(), kind: SourceKind::Kubernetes, at: "shop".into() };
        let found = urls.map(DiscoveredAgent::at).to_vec();
        fleet.discover(spec, found);
        fleet
    };
    let several = ["http://a:1/", "http://a:2/", "http://a:3/", "http://a:4/", "http://b:1/"];
    let single = ["http://a:1/", "http://a:2/", "http://a:3/", "http://a:4/", "http://a:5/"];
    let kinds = [Kind::AgentFrozen, HostDown, SourceDown];
    let row = |expected: &'static [Kind]| vec![("all are down", down(0..5), 10, expected)];
    check(|| source(several), &kinds, row(&[SourceDown]));
    check(|| source(single), &kinds, row(&[HostDown]));
}

#[test]
fn failures_of_the_console_itself_are_problems_until_they_end() {
    let input = |input: Input| (1, Event::Input(input));
    let failed = || input(Input::JournalFailed("no space".into()));
    let again = || (60_000, failed().1);
    let retried = |at| (at, Event::Input(Input::JournalRetried { from: At::ZERO, facts: 0 }));
    let recovered = |at| (at, Event::Input(Input::JournalRecovered));
    let posted = |why: Option<&str>| {
        input(Input::Posted(PostResult {
            number: 1,
            event: crate::domain::problem::NotificationEvent::Raised,
            failed: why.map(Into::into),
        }))
    };
    let report = |news| input(Input::Discovered { source: "shop".into(), news });
    let source = || {
        let spec = SourceSpec { name: "shop".into(), kind: SourceKind::Kubernetes, at: "shop".into() };
        input(Input::Sources(vec![spec]))
    };
    let unread = || report(SourceReport::Failed(Arc::new(Cause::Refused)));
    check(
        one,
        &[JournalUnsaved, WebhookFailing, SourceFailing],
        vec![
            ("the journal fails", vec![failed()], 1, &[JournalUnsaved]),
            ("its rows are written", vec![failed(), retried(1)], 61_000, &[JournalUnsaved]),
            ("its facts are written", vec![failed(), retried(1), recovered(1)], 60_000, &[JournalUnsaved]),
            ("for a minute", vec![failed(), retried(1), recovered(1)], 60_001, &[]),
            (
                "it fails again within a minute",
                vec![failed(), retried(1), recovered(1), again(), retried(60_000), recovered(60_000)],
                119_999,
                &[JournalUnsaved],
            ),
            ("a post fails", vec![posted(Some("refused"))], 1, &[WebhookFailing]),
            ("a post succeeds", vec![posted(Some("refused")), posted(None)], 1, &[]),
            ("a source cannot be read", vec![source(), unread()], 1, &[SourceFailing]),
            (
                "a source can be read again",
                vec![source(), unread(), report(SourceReport::Agents(vec![]))],
                1,
                &[],
            ),
        ],
    );
}

#[test]
fn protocol_violations_stay_reported() {
    let sent = |event| vec![(0, Event::Send(0, "a")), (1, event)];
    let hostile = sent(Event::Says(0, "\u{1b}[2J"));
    let twice = [sent(Event::Ends(0, Completed)), vec![(2, Event::Ends(0, Failed))]].concat();
    check(
        one,
        &[ProtocolBroken, HostileText],
        vec![
            ("plain words", sent(Event::Says(0, "hello")), 9, &[]),
            ("control sequences", hostile, 86_000_000, &[HostileText]),
            ("a task that ended twice", twice, 86_000_000, &[ProtocolBroken]),
        ],
    );
}

#[test]
fn an_objective_is_missed_if_the_hour_and_the_last_minutes_miss_it() {
    let objective = Objective { skill: None, caller: None, agent: None, ok: Some(900), p95: None };
    let breaker = crate::domain::agent::breaker::BreakerRules { enabled: false, ..Default::default() };
    let rules = Rules { objectives: vec![objective], breaker, ..rules() };
    let ended = |good: u64, bad: u64| {
        [tasks(0, 60_000, 1, good, "a", &Completed), tasks(0, 70_000, 1, bad, "a", &Failed)].concat()
    };
    let over = [ended(4, 6), tasks(0, 400_000, 1, 10, "a", &Completed)].concat();
    check(
        || Fleet::new(1, rules.clone()),
        &[ObjectiveMissed],
        vec![
            ("four ended", ended(0, 4), 90_000, &[]),
            ("half of ten failed: five times what may", ended(5, 5), 90_000, &[]),
            ("six of ten failed: six times what may", ended(4, 6), 90_000, &[ObjectiveMissed]),
            ("the last five minutes were good", over, 420_000, &[]),
        ],
    );
}

/// What does no more harm is no longer red, but it is not over either.
#[test]
fn a_journal_that_can_be_written_again_is_a_notice() {
    let failed = |at| (at, Event::Input(Input::JournalFailed("no space".into())));
    let recovered = |at| (at, Event::Input(Input::JournalRecovered));
    for (name, script, until, expected) in [
        ("it fails", vec![failed(1)], 1000, Some(Severity::Bad)),
        ("it can be written", vec![failed(1), recovered(1000)], 2000, Some(Severity::Info)),
        ("it fails again", vec![failed(1), recovered(1000), failed(2000)], 3000, Some(Severity::Bad)),
        ("a minute later", vec![failed(1), recovered(1000)], 62_000, None),
    ] {
        let mut fleet = one();
        fleet.play(&script, until);
        assert_eq!(fleet.severity_of(JournalUnsaved), expected, "{name}");
    }
}
