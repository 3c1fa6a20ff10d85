//! Each rule as a row: what is known, and the expected diagnosis.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::{AgentSpec, Source};
use crate::domain::apply::apply;
use crate::domain::cause::Cause as Why;
use crate::domain::fact::{AgentFact, AttemptFact, Fact, FleetFact, JobFact, JournalEntry};
use crate::domain::id::{AgentId, AttemptId, JobId};
use crate::domain::job::Origin;
use crate::domain::job::message::{Message, Part, Role};
use crate::domain::job::task::{Verdict, Via};
use crate::domain::state::State;
use crate::domain::time::At;

/// So many seconds after the beginning.
fn at(second: u64) -> At {
    At::from_micros(1_795_000_000_000_000) + std::time::Duration::from_secs(second)
}

/// How a job ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends<'w> {
    Never,
    Well,
    Failed(&'w str),
}

fn fails(words: &str) -> Ends<'_> {
    Ends::Failed(words)
}

#[derive(Default)]
struct Fleet {
    state: State,
    next: u128,
}

impl Fleet {
    fn id(&mut self) -> Uuid {
        self.next += 1;
        Uuid::from_u128(self.next)
    }

    fn add_fact(&mut self, second: u64, fact: Fact) {
        apply(&mut self.state, &JournalEntry { at: at(second), seq: 1, actor: None, fact });
    }

    fn agent(&mut self, host: &str, capacity: Option<u32>) -> AgentId {
        let id = AgentId(self.id());
        let spec = AgentSpec {
            capacity,
            ..AgentSpec::at(format!("http://{host}:{}/", self.next).as_str(), Source::Config)
        };
        let name = format!("a{}", self.next).into();
        self.add_fact(0, Fact::Agent(id, AgentFact::Listed { spec: Arc::new(spec), order: 0, name }));
        id
    }

    fn health(&mut self, second: u64, agent: AgentId, health: Health, cause: Option<Why>) {
        let cause = cause.map(Arc::new);
        let fact = AgentFact::HealthChanged { health, cause, last_seen: at(second) };
        self.add_fact(second, Fact::Agent(agent, fact));
    }

    /// A job of a caller for a skill; it ends, well or with words, or runs on.
    fn job(&mut self, second: u64, agent: AgentId, caller: &str, ends: Ends<'_>) -> AttemptId {
        let (job, attempt) = (JobId(self.id()), AttemptId(self.id()));
        let fact = |fact| Fact::attempt(job, attempt, fact);
        let opened = JobFact::Opened {
            origin: Origin::Sent,
            title: "work".into(),
            caller: Some(caller.into()),
            skill: Some("charge".into()),
            context: None,
            parent: None,
            message: None,
            plan: None,
        };
        self.add_fact(second, Fact::Job(job, opened));
        self.add_fact(second, fact(AttemptFact::Planned { agent, message_id: None }));
        let state = TaskState::Working;
        let task = format!("t{}", self.next).as_str().into();
        let (via, peer_time, context, raw) = (Via::Send, None, None, None);
        self.add_fact(second, fact(AttemptFact::TaskSeen { task, context, state, peer_time, via, raw }));
        if ends != Ends::Never {
            let how = if let Ends::Failed(words) = ends { Some(words) } else { None };
            let state = if how.is_some() { TaskState::Failed } else { TaskState::Completed };
            let (context, raw) = (None, None);
            self.add_fact(second, fact(AttemptFact::StateSeen { state, context, peer_time, via, raw }));
            if let Some(words) = how {
                let message = Message::new(words, Role::Agent, vec![Part::text(words)]);
                let message = Arc::new(message);
                self.add_fact(second, fact(AttemptFact::MessageSeen { message, status: true }));
            }
            self.add_fact(second, fact(AttemptFact::Settled));
        }
        attempt
    }

    fn raise(&mut self, second: u64, kind: Kind, agent: Option<AgentId>) -> u32 {
        let number = self.state.next_problem();
        let (attempt, source) = (None, None);
        let (text, next) = (kind.as_str().into(), "look".into());
        let fact = FleetFact::ProblemRaised { number, kind, agent, attempt, source, text, next };
        self.add_fact(second, Fact::Fleet(fact));
        number
    }

    fn changes_card(&mut self, second: u64, agent: AgentId, words: &str) {
        self.add_fact(second, Fact::Agent(agent, AgentFact::CardChanged { words: words.into() }));
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::starting(at(0));
        snapshot.publish(&self.state, at(5000), Vec::new());
        snapshot
    }
}

fn found(snapshot: &Snapshot, number: u32) -> (ProblemKey, &Problem) {
    snapshot.problems.iter().find(|(_, problem)| problem.number == number).unwrap()
}

/// `build` sets up the fleet and returns the number of the problem.
#[track_caller]
fn check(expected: &str, build: impl FnOnce(&mut Fleet, AgentId) -> u32) {
    let mut fleet = Fleet::default();
    let agent = fleet.agent("h", Some(4));
    let number = build(&mut fleet, agent);
    let snapshot = fleet.snapshot();
    let (key, problem) = found(&snapshot, number);
    let sentence = cause(&snapshot, problem, &impact_of(&snapshot, key, problem)).sentence();
    assert_eq!(sentence, expected);
}

#[test]
fn problems_of_tasks_of_a_dead_agent_are_caused_by_the_agent() {
    for (died, certainty) in [(90, "surely"), (150, "surely"), (400, "probably")] {
        check(&format!("{certainty} the agent, p-2: agent-down"), |fleet, agent| {
            let number = fleet.raise(100, Kind::SendUncertain, Some(agent));
            fleet.raise(died, Kind::AgentDown, Some(agent));
            number
        });
    }
    check("surely its host, p-2: host-down", |fleet, agent| {
        let number = fleet.raise(100, Kind::TaskStalled, Some(agent));
        fleet.health(100, agent, Health::Down, Some(Why::Refused));
        fleet.raise(101, Kind::HostDown, Some(agent));
        number
    });
    // Another agent's death explains nothing.
    check("unknown: nothing known points to a cause", |fleet, agent| {
        let other = fleet.agent("h", None);
        fleet.raise(100, Kind::AgentDown, Some(other));
        fleet.raise(100, Kind::SendUncertain, Some(agent))
    });
}

#[test]
fn a_change_shortly_before_is_the_first_suspect() {
    for (changed, expected) in [
        (988, "probably its new version: 12 s before, its card changed: version 2.4.0 → 2.4.1"),
        (400, "probably its new version: 10 min before, its card changed: version 2.4.0 → 2.4.1"),
        (399, "perhaps its new version: 10 min before, its card changed: version 2.4.0 → 2.4.1"),
        // What came after is no cause.
        (1001, "unknown: nothing known points to a cause"),
    ] {
        check(expected, |fleet, agent| {
            fleet.changes_card(changed, agent, "version 2.4.0 → 2.4.1");
            fleet.raise(1000, Kind::AgentFailing, Some(agent))
        });
    }
    check(
        "probably what its owner changed: 5 s before, its card changed: skills: + refund",
        |fleet, agent| {
            fleet.changes_card(995, agent, "skills: + refund");
            fleet.health(1000, agent, Health::Down, Some(Why::Refused));
            fleet.raise(1000, Kind::AgentDown, Some(agent))
        },
    );
    check("unknown: nothing known points to a cause", |fleet, agent| {
        fleet.changes_card(10, agent, "version 1 → 2");
        fleet.raise(4000, Kind::AgentFailing, Some(agent))
    });
}

#[test]
fn causes_of_unreachable_agents_differ_in_certainty() {
    for (why, expected) in [
        (Why::Refused, "probably its process: the host answers, but nothing listens on the port"),
        (
            Why::Interface(Box::new(Why::Refused)),
            "probably its process: the host answers, but nothing listens on the port",
        ),
        (
            Why::TimedOut(std::time::Duration::from_secs(5)),
            "perhaps its process hangs, or packets are lost on the way",
        ),
        (Why::Dns("h".into()), "surely its host name, which does not resolve"),
    ] {
        check(expected, |fleet, agent| {
            fleet.health(100, agent, Health::Down, Some(why));
            fleet.raise(100, Kind::AgentDown, Some(agent))
        });
    }
}

#[test]
fn agents_of_one_host_that_fail_together_point_to_the_host() {
    for (apart, expected) in [
        (1, "probably the host, or the network path to it: all went down within 5 s"),
        (30, "perhaps the host: they went down one after another, over 2 min"),
    ] {
        check(expected, |fleet, agent| {
            fleet.health(100, agent, Health::Down, Some(Why::Refused));
            for number in 1..=5 {
                let other = fleet.agent("h", None);
                fleet.health(100 + number * apart, other, Health::Down, Some(Why::Refused));
            }
            // Neither another host nor one that is well.
            let other = fleet.agent("i", None);
            fleet.health(900, other, Health::Down, Some(Why::Refused));
            fleet.agent("h", None);
            fleet.raise(106, Kind::HostDown, Some(agent))
        });
    }
}

#[test]
fn some_kinds_of_problems_name_their_cause() {
    check("surely its failures: 8 of its last 20 tasks failed", |fleet, agent| {
        let cause = Some(Arc::new(Why::TasksFailing { failed: 8, of: 20 }));
        let fact = AgentFact::BreakerMoved { position: BreakerState::Open, cause, forced: None };
        fleet.add_fact(100, Fact::Agent(agent, fact));
        fleet.raise(100, Kind::BreakerOpen, Some(agent))
    });
    check("surely sam, who holds it open", |fleet, agent| {
        let fact =
            AgentFact::BreakerMoved { position: BreakerState::Open, cause: None, forced: Some("sam".into()) };
        fleet.add_fact(100, Fact::Agent(agent, fact));
        fleet.raise(100, Kind::BreakerOpen, Some(agent))
    });
    for (tasks, expected) in [
        (5, "surely more work than it accepts, 5 of 4: 1 more slot would be enough, 1 more agent like it"),
        (
            11,
            "surely more work than it accepts, 11 of 4: 7 more slots would be enough, 2 more agents like it",
        ),
    ] {
        check(expected, |fleet, agent| {
            for _ in 0..tasks {
                fleet.job(50, agent, "shop", Ends::Never);
            }
            fleet.raise(100, Kind::OverCapacity, Some(agent))
        });
    }
    check("probably too much work: 5 tasks, but it accepts 4 at once", |fleet, agent| {
        for _ in 0..5 {
            fleet.job(50, agent, "shop", Ends::Never);
        }
        fleet.raise(100, Kind::AgentSlow, Some(agent))
    });
}

#[test]
fn an_attribute_shared_by_failed_tasks_is_only_a_possible_cause() {
    let failing = |texts: &'static [(&'static str, &'static str)]| {
        move |fleet: &mut Fleet, agent: AgentId| {
            let number = fleet.raise(100, Kind::AgentFailing, Some(agent));
            for (caller, words) in texts {
                fleet.job(150, agent, caller, fails(words));
            }
            number
        }
    };
    check(
        "perhaps one fault: all 5 reported \"no rule\"",
        failing(&[("a", "no rule"), ("b", "no rule"), ("a", "no rule"), ("c", "no rule"), ("a", "no rule")]),
    );
    check(
        "perhaps what shop sends: all failed tasks came from it",
        failing(&[("shop", "1"), ("shop", "2"), ("shop", "3"), ("shop", "4"), ("shop", "5")]),
    );
    check("unknown: nothing known points to a cause", failing(&[("shop", "1"), ("shop", "1")]));
    check(
        "unknown: nothing known points to a cause",
        failing(&[("a", "1"), ("b", "2"), ("a", "3"), ("b", "4"), ("a", "5")]),
    );
}

#[test]
fn impact_is_counted_from_the_start_of_the_problem() {
    let mut fleet = Fleet::default();
    let (agent, other) = (fleet.agent("h", None), fleet.agent("h", None));
    fleet.job(50, agent, "old", fails("before"));
    let number = fleet.raise(1000, Kind::AgentFailing, Some(agent));
    for (caller, ends) in [
        ("shop-web", fails("no rule")),
        ("shop-web", fails("no rule")),
        ("shop-app", fails("no answer")),
        ("shop-app", Ends::Well),
        ("shop-app", Ends::Never),
    ] {
        fleet.job(1050, agent, caller, ends);
        fleet.job(1050, other, "elsewhere", ends);
    }
    let snapshot = fleet.snapshot();
    let (key, problem) = found(&snapshot, number);
    let impact = impact_of(&snapshot, key, problem);
    let words = |counts: &[Count]| counts.iter().map(|(what, n)| format!("{what} {n}")).collect::<Vec<_>>();
    assert_eq!((impact.jobs, impact.failed, impact.ended, impact.at_risk, impact.agents), (4, 3, 4, 1, 1));
    assert_eq!(words(&impact.callers), ["shop-app 2", "shop-web 2"]);
    assert_eq!(words(&impact.skills), ["charge 4"]);
    assert_eq!(words(&impact.errors), ["no rule 2", "no answer 1"]);
    assert_eq!(impact_in_words(&snapshot, problem, &impact), "3 failed, 1 at risk");
    assert!(!impact.at_least);
}

#[test]
fn the_impact_of_a_problem_of_tasks_is_those_tasks() {
    let mut fleet = Fleet::default();
    let agent = fleet.agent("h", None);
    let silent = fleet.job(50, agent, "shop", Ends::Never);
    fleet.job(50, agent, "other", Ends::Never);
    let key = fleet.state.attempt_key(silent).and_then(|key| fleet.state.attempt(key)).unwrap().job;
    let job = fleet.state.jobs().get(key).unwrap().id;
    for (verdict, kind) in [
        (Verdict::Silent, Kind::TaskSilent),
        (Verdict::Unheard, Kind::StreamSilent),
        (Verdict::Stuck, Kind::TaskStuck),
        (Verdict::Looping, Kind::TaskLooping),
    ] {
        let verdict = Some(verdict);
        fleet.add_fact(90, Fact::attempt(job, silent, AttemptFact::VerdictChanged { verdict, usual: None }));
        let number = fleet.raise(100, kind, Some(agent));
        let snapshot = fleet.snapshot();
        let (key, problem) = found(&snapshot, number);
        let impact = impact_of(&snapshot, key, problem);
        assert_eq!((impact.jobs, impact.at_risk, impact.failed), (1, 1, 0), "{kind:?}");
        assert_eq!(impact_in_words(&snapshot, problem, &impact), "work");
        assert_eq!(evidence(&snapshot, problem, 9).len(), 1);
    }
}
