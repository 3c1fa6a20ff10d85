//! Each rule as a row: what is known, and what is said about it.

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
use crate::domain::job::message::{Hints, Message, Part, Role};
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
struct Told {
    state: State,
    next: u128,
}

impl Told {
    fn id(&mut self) -> Uuid {
        self.next += 1;
        Uuid::from_u128(self.next)
    }

    fn tell(&mut self, second: u64, fact: Fact) {
        apply(&mut self.state, &JournalEntry { at: at(second), seq: 1, actor: None, fact });
    }

    fn agent(&mut self, host: &str, capacity: Option<u32>) -> AgentId {
        let id = AgentId(self.id());
        let spec = AgentSpec {
            name: None,
            url: format!("http://{host}:{}/", self.next).as_str().into(),
            source: Source::Config,
            dialect: None,
            resubscribe: None,
            labels: Vec::new(),
            capacity,
            probe_interval: None,
        };
        let name = format!("a{}", self.next).into();
        self.tell(0, Fact::Agent(id, AgentFact::Listed { spec: Arc::new(spec), order: 0, name }));
        id
    }

    fn health(&mut self, second: u64, agent: AgentId, health: Health, cause: Option<Why>) {
        let cause = cause.map(Arc::new);
        let fact = AgentFact::HealthChanged { health, cause, last_seen: at(second) };
        self.tell(second, Fact::Agent(agent, fact));
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
        };
        self.tell(second, Fact::Job(job, opened));
        self.tell(second, fact(AttemptFact::Planned { agent, message_id: None }));
        let state = TaskState::Working;
        let task = format!("t{}", self.next).as_str().into();
        let (via, peer_time, context, raw) = (Via::Send, None, None, None);
        self.tell(second, fact(AttemptFact::TaskSeen { task, context, state, peer_time, via, raw }));
        if ends != Ends::Never {
            let how = if let Ends::Failed(words) = ends { Some(words) } else { None };
            let state = if how.is_some() { TaskState::Failed } else { TaskState::Completed };
            let (context, raw) = (None, None);
            self.tell(second, fact(AttemptFact::StateSeen { state, context, peer_time, via, raw }));
            if let Some(words) = how {
                let message = Message {
                    id: words.into(),
                    role: Role::Agent,
                    parts: vec![Part::text(words)],
                    context: None,
                    task: None,
                    metadata: None,
                    references: Vec::new(),
                    hints: Hints::default(),
                };
                let message = Arc::new(message);
                self.tell(second, fact(AttemptFact::MessageSeen { message, status: true }));
            }
            self.tell(second, fact(AttemptFact::Settled));
        }
        attempt
    }

    fn raise(&mut self, second: u64, kind: Kind, agent: Option<AgentId>) -> u32 {
        let number = self.state.next_problem();
        let (attempt, source) = (None, None);
        let (text, next) = (kind.as_str().into(), "look".into());
        let fact = FleetFact::ProblemRaised { number, kind, agent, attempt, source, text, next };
        self.tell(second, Fact::Fleet(fact));
        number
    }

    fn changes_card(&mut self, second: u64, agent: AgentId, words: &str) {
        self.tell(second, Fact::Agent(agent, AgentFact::CardChanged { words: words.into() }));
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

/// What is known is told by `tell`, which gives the number of the problem.
#[track_caller]
fn check(expected: &str, tell: impl FnOnce(&mut Told, AgentId) -> u32) {
    let mut told = Told::default();
    let agent = told.agent("h", Some(4));
    let number = tell(&mut told, agent);
    let snapshot = told.snapshot();
    let (key, problem) = found(&snapshot, number);
    let said = cause(&snapshot, problem, &impact_of(&snapshot, key, problem)).sentence();
    assert_eq!(said, expected);
}

#[test]
fn tasks_of_a_dead_agent_are_its_problem() {
    for (died, certainty) in [(90, "surely"), (150, "surely"), (400, "probably")] {
        check(&format!("{certainty} the agent, p-2: agent-down"), |told, agent| {
            let number = told.raise(100, Kind::SendUncertain, Some(agent));
            told.raise(died, Kind::AgentDown, Some(agent));
            number
        });
    }
    check("surely its host, p-2: host-down", |told, agent| {
        let number = told.raise(100, Kind::TaskStalled, Some(agent));
        told.health(100, agent, Health::Down, Some(Why::Refused));
        told.raise(101, Kind::HostDown, Some(agent));
        number
    });
    // Another agent's death explains nothing.
    check("unknown: nothing known points to a cause", |told, agent| {
        let other = told.agent("h", None);
        told.raise(100, Kind::AgentDown, Some(other));
        told.raise(100, Kind::SendUncertain, Some(agent))
    });
}

#[test]
fn what_was_changed_shortly_before_is_the_first_suspect() {
    for (changed, expected) in [
        (988, "probably its new version: 12 s before, its card changed: version 2.4.0 → 2.4.1"),
        (400, "probably its new version: 10 min before, its card changed: version 2.4.0 → 2.4.1"),
        (399, "perhaps its new version: 10 min before, its card changed: version 2.4.0 → 2.4.1"),
        // What came after is no cause.
        (1001, "unknown: nothing known points to a cause"),
    ] {
        check(expected, |told, agent| {
            told.changes_card(changed, agent, "version 2.4.0 → 2.4.1");
            told.raise(1000, Kind::AgentFailing, Some(agent))
        });
    }
    check(
        "probably what its owner changed: 5 s before, its card changed: skills: + refund",
        |told, agent| {
            told.changes_card(995, agent, "skills: + refund");
            told.health(1000, agent, Health::Down, Some(Why::Refused));
            told.raise(1000, Kind::AgentDown, Some(agent))
        },
    );
    check("unknown: nothing known points to a cause", |told, agent| {
        told.changes_card(10, agent, "version 1 → 2");
        told.raise(4000, Kind::AgentFailing, Some(agent))
    });
}

#[test]
fn why_an_agent_cannot_be_reached_is_more_or_less_certain() {
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
        check(expected, |told, agent| {
            told.health(100, agent, Health::Down, Some(why));
            told.raise(100, Kind::AgentDown, Some(agent))
        });
    }
}

#[test]
fn many_agents_of_one_host_at_once_are_the_host() {
    for (apart, expected) in [
        (1, "probably the host, or the network path to it: all went down within 5 s"),
        (30, "perhaps the host: they went down one after another, over 2 min"),
    ] {
        check(expected, |told, agent| {
            told.health(100, agent, Health::Down, Some(Why::Refused));
            for number in 1..=5 {
                let other = told.agent("h", None);
                told.health(100 + number * apart, other, Health::Down, Some(Why::Refused));
            }
            // Neither another host nor one that is well.
            let other = told.agent("i", None);
            told.health(900, other, Health::Down, Some(Why::Refused));
            told.agent("h", None);
            told.raise(106, Kind::HostDown, Some(agent))
        });
    }
}

#[test]
fn kinds_that_say_their_cause_say_it() {
    check("surely its failures: 8 of its last 20 tasks failed", |told, agent| {
        let cause = Some(Arc::new(Why::TasksFailing { failed: 8, of: 20 }));
        let fact = AgentFact::BreakerMoved { position: BreakerState::Open, cause, forced: None };
        told.tell(100, Fact::Agent(agent, fact));
        told.raise(100, Kind::BreakerOpen, Some(agent))
    });
    check("surely sam, who holds it open", |told, agent| {
        let fact =
            AgentFact::BreakerMoved { position: BreakerState::Open, cause: None, forced: Some("sam".into()) };
        told.tell(100, Fact::Agent(agent, fact));
        told.raise(100, Kind::BreakerOpen, Some(agent))
    });
    for (tasks, expected) in [
        (5, "surely more work than it accepts, 5 of 4: 1 more slots would be enough, 1 more agent like it"),
        (
            11,
            "surely more work than it accepts, 11 of 4: 7 more slots would be enough, 2 more agents like it",
        ),
    ] {
        check(expected, |told, agent| {
            for _ in 0..tasks {
                told.job(50, agent, "shop", Ends::Never);
            }
            told.raise(100, Kind::OverCapacity, Some(agent))
        });
    }
    check("probably too much work: 5 tasks, but it accepts 4 at once", |told, agent| {
        for _ in 0..5 {
            told.job(50, agent, "shop", Ends::Never);
        }
        told.raise(100, Kind::AgentSlow, Some(agent))
    });
}

#[test]
fn what_the_failed_have_in_common_is_a_guess() {
    let failing = |texts: &'static [(&'static str, &'static str)]| {
        move |told: &mut Told, agent: AgentId| {
            let number = told.raise(100, Kind::AgentFailing, Some(agent));
            for (caller, words) in texts {
                told.job(150, agent, caller, fails(words));
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
fn whom_it_hits_is_counted_since_it_began() {
    let mut told = Told::default();
    let (agent, other) = (told.agent("h", None), told.agent("h", None));
    told.job(50, agent, "old", fails("before"));
    let number = told.raise(1000, Kind::AgentFailing, Some(agent));
    for (caller, ends) in [
        ("shop-web", fails("no rule")),
        ("shop-web", fails("no rule")),
        ("shop-app", fails("no answer")),
        ("shop-app", Ends::Well),
        ("shop-app", Ends::Never),
    ] {
        told.job(1050, agent, caller, ends);
        told.job(1050, other, "elsewhere", ends);
    }
    let snapshot = told.snapshot();
    let (key, problem) = found(&snapshot, number);
    let hits = impact_of(&snapshot, key, problem);
    let words = |counts: &[Count]| counts.iter().map(|(what, n)| format!("{what} {n}")).collect::<Vec<_>>();
    assert_eq!((hits.jobs, hits.failed, hits.ended, hits.at_risk, hits.agents), (4, 3, 4, 1, 1));
    assert_eq!(words(&hits.callers), ["shop-app 2", "shop-web 2"]);
    assert_eq!(words(&hits.skills), ["charge 4"]);
    assert_eq!(words(&hits.errors), ["no rule 2", "no answer 1"]);
    assert_eq!(impact_in_words(&snapshot, problem, &hits), "3 failed, 1 at risk");
    assert!(!hits.at_least);
}

#[test]
fn a_problem_of_tasks_hits_those_tasks() {
    let mut told = Told::default();
    let agent = told.agent("h", None);
    let silent = told.job(50, agent, "shop", Ends::Never);
    told.job(50, agent, "other", Ends::Never);
    let key = told.state.attempt_key(silent).and_then(|key| told.state.attempt(key)).unwrap().job;
    let job = told.state.jobs().get(key).unwrap().id;
    for (verdict, kind) in [
        (Verdict::Silent, Kind::TaskSilent),
        (Verdict::Unheard, Kind::StreamSilent),
        (Verdict::Stuck, Kind::TaskStuck),
        (Verdict::Looping, Kind::TaskLooping),
    ] {
        let verdict = Some(verdict);
        told.tell(90, Fact::attempt(job, silent, AttemptFact::VerdictChanged { verdict }));
        let number = told.raise(100, kind, Some(agent));
        let snapshot = told.snapshot();
        let (key, problem) = found(&snapshot, number);
        let hits = impact_of(&snapshot, key, problem);
        assert_eq!((hits.jobs, hits.at_risk, hits.failed), (1, 1, 0), "{kind:?}");
        assert_eq!(impact_in_words(&snapshot, problem, &hits), "work");
        assert_eq!(evidence(&snapshot, problem, 9).len(), 1);
    }
}
