//! Replicas: their versions, and which of them is given nothing because it does worse than the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quarterdeck::domain::agent::breaker::BreakerState;
use quarterdeck::domain::agent::candidates::Candidates;
use quarterdeck::domain::agent::card::{Card, FetchedCard, Offer, Peer, Skill};
use quarterdeck::domain::agent::version::Minimum;
use quarterdeck::domain::agent::{Agent, AgentSpec, Source};
use quarterdeck::domain::call::{Answered, Outcome, Page, Probed, SendOutcome};
use quarterdeck::domain::cause::{Cause, ErrorName, Failure, RpcError, Sent};
use quarterdeck::domain::core::{Core, Out};
use quarterdeck::domain::effect::{Effect, Order};
use quarterdeck::domain::id::AgentKey;
use quarterdeck::domain::input::{Input, Rules, ServerTraits};
use quarterdeck::domain::intent::{Intent, Send};
use quarterdeck::domain::job::message::Part;
use quarterdeck::domain::job::task::{Status, TaskReport, TaskState};
use quarterdeck::domain::problem::Kind;
use quarterdeck::domain::state::State;
use quarterdeck::domain::text::Untrusted;
use quarterdeck::domain::time::At;

/// A core and agents that answer everything at once.
struct Small {
    core: Core,
    at: At,
    /// The version of each, and its skill.
    cards: Vec<(&'static str, &'static str)>,
    failing: BTreeSet<u32>,
    refusing: BTreeSet<u32>,
    tasks: BTreeMap<String, TaskState>,
    /// Whom every card names.
    peers: Vec<&'static str>,
}

impl Small {
    fn new(cards: &[(&'static str, &'static str)], minimums: Vec<Minimum>) -> Self {
        let rules = Rules { minimum_versions: minimums, ..Rules::default() };
        let mut small = Self {
            core: Core::new(State::default(), rules, 7),
            at: At::from_micros(1_795_000_000_000_000),
            cards: cards.to_vec(),
            failing: BTreeSet::new(),
            refusing: BTreeSet::new(),
            tasks: BTreeMap::new(),
            peers: Vec::new(),
        };
        let specs = (0..cards.len()).map(|n| AgentSpec {
            name: Some(format!("cashier-{n}").into()),
            ..AgentSpec::at(format!("http://cashier-{n}"), Source::Config)
        });
        small.feed(Input::Configured(specs.collect()));
        small
    }

    /// Takes an input, and everything that comes of it.
    fn feed(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = Out::default();
            self.at = self.at + Duration::from_millis(1);
            self.core.step(self.at, input, &mut out);
            for effect in out.effects {
                if let Some(outcome) = self.answer(&effect) {
                    inputs.insert(0, Input::Outcome { call: effect.call, outcome });
                }
            }
        }
    }

    fn answer(&mut self, effect: &Effect) -> Option<Outcome> {
        let AgentKey(index) = effect.to.agent().unwrap();
        let took = Duration::from_millis(3);
        let error = |name| Cause::Rpc(RpcError { name, code: None, message: "".into() });
        let failed = |cause| Some(effect.order.kind()?.failed(Failure { sent: Sent::Maybe, cause }));
        let report = |id: &str, state: &TaskState| TaskReport::new(id, Status::new(state.clone()));
        match &effect.order {
            Order::Probe { url, .. } => {
                let card = Some(FetchedCard { card: self.card(index), url: url.clone(), etag: None });
                let value = Probed { card, server: ServerTraits::default() };
                Some(Outcome::Probe(Ok(Answered { value, took })))
            }
            Order::Send { .. } if self.refusing.contains(&index) => failed(error(ErrorName::Internal)),
            Order::Send { .. } => {
                let state =
                    if self.failing.contains(&index) { TaskState::Failed } else { TaskState::Completed };
                let id = format!("t-{}", self.tasks.len());
                self.tasks.insert(id.clone(), state.clone());
                let value = Box::new(report(&id, &state));
                Some(Outcome::Send(SendOutcome::Task(Answered { value, took })))
            }
            Order::Get { task, .. } => match self.tasks.get(&*task.raw()) {
                Some(state) => {
                    let value = Box::new(report(&task.raw(), state));
                    Some(Outcome::Get(Ok(Answered { value, took })))
                }
                None => failed(error(ErrorName::TaskNotFound)),
            },
            Order::List { .. } => Some(Outcome::List(Ok(Answered { value: Page::default(), took }))),
            Order::Close { .. } | Order::Notify(_) | Order::LoadMessage { .. } => None,
            Order::Check { .. } | Order::Subscribe { .. } | Order::Cancel { .. } => {
                failed(error(ErrorName::TaskNotFound))
            }
        }
    }

    fn card(&self, index: u32) -> Arc<Card> {
        let (version, skill) = self.cards.get(index as usize).copied().unwrap_or(SAME);
        let peers = self.peers.iter().map(|url| Peer { name: None, url: (*url).into() });
        let skill = Skill {
            id: skill.into(),
            name: skill.into(),
            description: "".into(),
            tags: Vec::new(),
            examples: Vec::new(),
            input_modes: Vec::new(),
            output_modes: Vec::new(),
        };
        let offer = Offer {
            url: format!("http://cashier-{index}/").into(),
            binding: "JSONRPC".into(),
            version: Some("1.0".into()),
            tenant: None,
        };
        Arc::new(Card {
            name: "cashier".into(),
            version: version.into(),
            peers: peers.collect(),
            skills: vec![skill],
            offers: vec![offer],
            ..Card::empty()
        })
    }

    /// An agent shows another version.
    fn runs(&mut self, index: u32, version: &'static str) {
        self.cards[index as usize].0 = version;
        let agent = self.core.state().agent(AgentKey(index)).unwrap().id;
        self.feed(Input::Intent { ticket: 0, by: None, intent: Intent::CheckAgent { agent } });
    }

    fn work(&mut self, index: u32, times: u32) {
        let agent = self.core.state().agent(AgentKey(index)).unwrap().id;
        for _ in 0..times {
            let send = Send::new(agent, vec![Part::text("work")]);
            self.feed(Input::Intent { ticket: 0, by: None, intent: Intent::Send(Box::new(send)) });
        }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.at + time;
        while let Some(due) = self.core.deadline().filter(|due| *due <= until) {
            self.at = self.at.max(due);
            self.feed(Input::Deadline);
        }
        self.at = self.at.max(until);
    }

    /// Where a breaker stands, and why.
    fn breaker(&self, index: u32) -> (BreakerState, String) {
        let breaker = &self.core.state().agent(AgentKey(index)).unwrap().breaker;
        (breaker.position, breaker.cause.as_ref().map(ToString::to_string).unwrap_or_default())
    }

    fn closed(&self, indexes: std::ops::Range<u32>) -> bool {
        indexes.into_iter().all(|index| self.breaker(index).0 == BreakerState::Closed)
    }

    /// The open problems of a kind: the agent and the words.
    fn problems(&self, kind: Kind) -> Vec<(u32, String)> {
        let state = self.core.state();
        let open = state.problems().iter().map(|(_, problem)| problem);
        let open = open.filter(|problem| problem.cleared.is_none() && problem.kind == kind);
        open.map(|problem| (problem.agent.unwrap().0, problem.text.raw().to_owned())).collect()
    }
}

fn candidates(small: &Small) -> Vec<String> {
    Candidates::of(small.core.state().agents().iter()).iter().map(|one| one.url.to_string()).collect()
}

#[test]
fn an_agent_named_by_a_card_is_offered_and_stays_once_added() {
    let mut small = Small::new(&[SAME; 2], Vec::new());
    small.peers = vec!["http://cashier-1", "http://cashier-7", "http://bank"];
    small.runs(0, "2.5.0");
    assert_eq!(candidates(&small), ["http://bank", "http://cashier-7"], "who is in the fleet is not offered");
    assert_eq!(small.core.state().agents().len(), 2, "nobody is added by itself");
    let by = || Untrusted::from("sam");
    for url in ["http://u:p@bank", "file:///etc/passwd", "bank", "http://", "http://a b"] {
        small.feed(Input::Intent {
            ticket: 1,
            by: None,
            intent: Intent::AddAgent { url: url.into(), by: by() },
        });
    }
    assert_eq!(small.core.state().agents().len(), 2, "what is no plain URL is refused");
    small.feed(Input::Intent {
        ticket: 1,
        by: None,
        intent: Intent::AddAgent { url: "http://bank".into(), by: by() },
    });
    assert_eq!(candidates(&small), ["http://cashier-7"]);
    let bank = || -> Agent { small.core.state().agent(AgentKey(2)).unwrap().clone() };
    assert!(bank().listed && bank().sources.iter().any(|name| &**name == "operator's list"));
    let id = bank().id;
    // A start with the same configuration does not take it away.
    let specs: Vec<_> =
        small.core.state().agents().iter().take(2).map(|(_, agent)| (*agent.spec).clone()).collect();
    small.feed(Input::Configured(specs));
    assert!(small.core.state().agent(AgentKey(2)).unwrap().listed);
    small.feed(Input::Intent {
        ticket: 1,
        by: None,
        intent: Intent::RemoveAgent { agent: id, why: None, by: by() },
    });
    assert!(!small.core.state().agent(AgentKey(2)).unwrap().listed);
    assert_eq!(candidates(&small), ["http://bank", "http://cashier-7"], "it is offered again");
}

const SAME: (&str, &str) = ("2.4.0", "charge");

#[test]
fn an_agent_that_fails_where_its_replicas_succeed_is_ejected_and_tried_again() {
    let mut small = Small::new(&[SAME; 4], Vec::new());
    for index in 1..4 {
        small.work(index, 19);
    }
    small.work(0, 8);
    small.failing.insert(0);
    // Four failed ones say little, and so do five among thirteen before theirs are far better.
    small.work(0, 4);
    assert!(small.closed(0..4), "{:?}", small.breaker(0));
    small.work(0, 1);
    let words = "it failed 5 of 13 tasks; its 3 replicas failed 0 of 57";
    assert_eq!(small.breaker(0), (BreakerState::Open, words.to_owned()));
    assert!(small.closed(1..4));
    let open = small.problems(Kind::BreakerOpen);
    assert!(matches!(open.as_slice(), [(0, text)] if text.contains(words)), "{open:?}");
    // It is tried again by the half-open way; a task that goes well closes the breaker.
    small.wait(Duration::from_secs(31));
    assert_eq!(small.breaker(0).0, BreakerState::HalfOpen);
    small.work(0, 1);
    assert_eq!(small.breaker(0).0, BreakerState::Open);
    small.failing.clear();
    small.wait(Duration::from_secs(61));
    small.work(0, 1);
    assert_eq!(small.breaker(0).0, BreakerState::Closed);
    assert_eq!(small.problems(Kind::BreakerOpen), []);
}

#[test]
fn no_replica_is_ejected_if_all_fail_alike() {
    let mut small = Small::new(&[SAME; 3], Vec::new());
    small.failing.extend([0, 1, 2]);
    // Seven of fifteen each: bad, but none is worse than the others.
    for _ in 0..7 {
        for index in 0..3 {
            small.failing.clear();
            small.work(index, 1);
            small.failing.insert(index);
            small.work(index, 1);
        }
    }
    assert!(small.closed(0..3));
}

#[test]
fn at_least_half_of_a_group_keeps_receiving_tasks() {
    let mut small = Small::new(&[SAME; 5], Vec::new());
    for index in 0..5 {
        small.work(index, 10);
    }
    // Each does badly, though not so badly that its breaker opens without any comparison.
    small.failing.extend([0, 1, 2]);
    for index in 0..3 {
        small.work(index, 7);
    }
    let open = (0..5).filter(|index| small.breaker(*index).0 == BreakerState::Open).count();
    assert_eq!(open, 2, "a third one would leave fewer than half");
}

#[test]
fn an_agent_that_refuses_calls_its_replicas_answer_is_ejected() {
    let mut small = Small::new(&[SAME; 2], Vec::new());
    small.work(1, 12);
    small.work(0, 8);
    small.refusing.insert(0);
    // Its calls that went well count too: five failed ones are not three in ten of them yet.
    small.work(0, 7);
    let (position, why) = small.breaker(0);
    assert!(
        position == BreakerState::Open && why.contains("calls; its replica failed 0 of"),
        "{position:?} {why}"
    );
}

#[test]
fn an_agent_with_other_skills_is_not_compared() {
    let mut small = Small::new(&[SAME, ("2.4.0", "refund"), ("2.4.0", "refund")], Vec::new());
    small.work(1, 19);
    small.work(2, 19);
    small.work(0, 8);
    small.failing.insert(0);
    small.work(0, 6);
    assert!(small.closed(0..3), "{:?}", small.breaker(0));
}

#[test]
fn mixed_versions_are_reported_until_only_one_is_left() {
    let mut small = Small::new(&[SAME; 3], Vec::new());
    assert_eq!(small.problems(Kind::AgentVersionMixed), []);
    small.runs(1, "2.4.1");
    let words = "and its replicas run 2 versions: 2.4.1 (cashier-1), 2.4.0 (cashier-0, cashier-2)";
    assert_eq!(small.problems(Kind::AgentVersionMixed), [(0, words.to_owned())]);
    small.runs(0, "2.4.1");
    let words = "and its replicas run 2 versions: 2.4.1 (cashier-0, cashier-1), 2.4.0 (cashier-2)";
    assert_eq!(small.problems(Kind::AgentVersionMixed), [(0, words.to_owned())]);
    // Who left runs nothing here any more.
    let specs: Vec<_> = small.core.state().agents().iter().map(|(_, agent)| (*agent.spec).clone()).collect();
    small.feed(Input::Configured(specs[..2].to_vec()));
    assert_eq!(small.problems(Kind::AgentVersionMixed), []);
    small.feed(Input::Configured(specs[1..].to_vec()));
    let words = "and its replicas run 2 versions: 2.4.1 (cashier-1), 2.4.0 (cashier-2)";
    assert_eq!(small.problems(Kind::AgentVersionMixed), [(1, words.to_owned())]);
}

#[test]
fn a_version_below_the_minimum_is_reported_until_it_is_raised() {
    let minimum = |agent: Option<&str>, skill: Option<&str>, version: &str| Minimum {
        agent: agent.map(Into::into),
        skill: skill.map(Into::into),
        version: version.into(),
    };
    let mut small = Small::new(
        &[("2.4.0", "charge"), ("2.10", "charge"), ("1.0", "refund")],
        vec![
            minimum(Some("cashier*"), Some("charge"), "2.9.0"),
            minimum(None, Some("charge"), "2.4.1"),
            minimum(Some("ledger*"), None, "9"),
        ],
    );
    let words = "runs 2.4.0 but needs at least 2.9.0";
    assert_eq!(small.problems(Kind::AgentVersionOld), [(0, words.to_owned())]);
    small.runs(0, "2.4.5");
    assert_eq!(small.problems(Kind::AgentVersionOld).len(), 1);
    small.runs(0, "v2.9");
    assert_eq!(small.problems(Kind::AgentVersionOld), []);
}
