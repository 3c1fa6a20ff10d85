//! Agents that have left are forgotten, whoever named them and however many there were.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use quarterdeck::domain::agent::card::Card;
use quarterdeck::domain::cause::{Cause, Limit};
use quarterdeck::domain::effect::Order;
use quarterdeck::domain::fact::{AgentFact, Fact, JobFact, Owner};
use quarterdeck::domain::fleet::source::{DiscoveredAgent, SourceKind, SourceSpec};
use quarterdeck::domain::id::{JobId, Rng, TaskId};
use quarterdeck::domain::input::{Input, Rules};
use quarterdeck::domain::intent::Intent;
use quarterdeck::domain::job::plan::JobPhase;
use quarterdeck::domain::job::{Job, Origin};
use quarterdeck::domain::limits;
use quarterdeck::domain::state::{Rows, State};
use quarterdeck::domain::text::Untrusted;
use quarterdeck::engine::discovery::Discover;
use quarterdeck::engine::discovery::own::{OwnRegistry, RegisteredAgents};
use quarterdeck::engine::handle::remote::join;
use quarterdeck::engine::handle::wire::{Hello, Tasks};
use quarterdeck::engine::{Engine, Options};
use quarterdeck::store::Reader;

use crate::scripted::{Scripted, card_at, served, status};
use crate::support::{options, rules, until};

const SOURCE: &str = "registry";
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const URL: &str = "http://passing.example/a";

fn rig(
    rules: Rules,
    script: impl FnMut(&Order) -> Option<quarterdeck::domain::call::Outcome> + 'static,
) -> Scripted {
    let mut rig = Scripted::new(rules, script);
    let spec = SourceSpec { name: SOURCE.into(), kind: SourceKind::Own, at: "127.0.0.1:1".into() };
    rig.feed(Input::Sources(vec![spec]));
    rig
}

fn forgotten(rig: &Scripted) -> usize {
    rig.facts.iter().filter(|entry| matches!(entry.fact, Fact::Agent(_, AgentFact::Forgotten))).count()
}

fn intent(rig: &mut Scripted, intent: Intent) {
    rig.feed(Input::Intent { ticket: 1, intent, by: None });
}

/// What happens to an agent before it leaves decides how long it is kept after that: an hour, or as long as jobs.
#[test]
fn an_agent_that_left_is_forgotten_once_nothing_of_it_is_kept() {
    type Before = fn(&mut Scripted);
    let rows: [(&str, Before, bool); 4] = [
        ("only a source named it", |_| {}, false),
        ("the configuration named it once", |rig| rig.configure(&[URL]), true),
        (
            "an operator wrote a note",
            |rig| {
                let agent = Some(rig.agent(URL).unwrap().id);
                let text = "ask its owner".into();
                intent(rig, Intent::Note { problem: None, agent, attempt: None, by: "sam".into(), text });
            },
            true,
        ),
        (
            "an operator held its breaker",
            |rig| {
                let agent = rig.agent(URL).unwrap().id;
                intent(rig, Intent::Breaker { agent, to: None, why: None, by: "sam".into() });
                let to = Some(quarterdeck::domain::agent::breaker::BreakerState::Open);
                intent(rig, Intent::Breaker { agent, to, why: None, by: "sam".into() });
                intent(rig, Intent::Breaker { agent, to: None, why: None, by: "sam".into() });
            },
            true,
        ),
    ];
    for (what, before, is_kept) in rows {
        let mut rig = rig(Rules::default(), |_| None);
        rig.report(SOURCE, vec![DiscoveredAgent::at(URL)]);
        before(&mut rig);
        rig.pass(Duration::from_secs(1));
        rig.configure(&[]);
        rig.pass(5 * HOUR);
        assert!(rig.agent(URL).is_some_and(|agent| agent.listed), "{what}: it is named");
        rig.report(SOURCE, Vec::new());
        rig.pass(Duration::from_secs(3599));
        assert!(rig.agent(URL).is_some_and(|agent| !agent.listed), "{what}: within the hour");
        rig.restart();
        rig.report(SOURCE, Vec::new());
        rig.pass(Duration::from_secs(2));
        assert_eq!(rig.agent(URL).is_some(), is_kept, "{what}: after an hour");
        rig.pass(31 * DAY);
        assert!(rig.agent(URL).is_none(), "{what}: after all of its history");
        assert_eq!(forgotten(&rig), 1, "{what}");
        // Whoever comes back is met as if for the first time.
        rig.report(SOURCE, vec![DiscoveredAgent::at(URL)]);
        assert!(rig.agent(URL).is_some_and(|agent| agent.listed && agent.card.is_some()), "{what}");
    }
}

/// As long as its task or its problem is kept, an agent is kept.
#[test]
fn an_agent_that_left_is_forgotten_after_its_tasks_and_problems() {
    for with_task in [true, false] {
        let mut rig = rig(Rules::default(), |_| None);
        rig.report(SOURCE, vec![DiscoveredAgent::at(URL)]);
        if with_task {
            let agent = rig.agent(URL).unwrap().id;
            intent(&mut rig, Intent::Adopt { agent, task: TaskId::from("t-1") });
        } else {
            rig.script(|order| matches!(order, Order::Probe { .. }).then(|| status(401)));
            rig.pass(Duration::from_secs(60));
            assert!(!rig.core.state().raises_nothing());
        }
        rig.report(SOURCE, Vec::new());
        rig.pass(29 * DAY);
        assert!(rig.agent(URL).is_some(), "with a task: {with_task}");
        rig.pass(3 * DAY);
        assert!(rig.agent(URL).is_none(), "with a task: {with_task}");
    }
}

/// Agents that only a source names serve the largest cards: their room is shared, and who finds none says so.
#[test]
fn large_cards_of_agents_that_only_sources_name_share_their_room() {
    let raw = Untrusted::from("x".repeat(limits::CARD - 1024));
    let mut rig = rig(Rules::default(), move |order| match order {
        Order::Probe { url, .. } => {
            Some(served(Arc::new(Card { raw: Some(raw.clone()), ..(*card_at(url)).clone() }), url))
        }
        _ => None,
    });
    let urls: Vec<_> = (0..70).map(|n| format!("http://h{n}.example/")).collect();
    let found =
        |urls: &[String]| urls.iter().map(|url| DiscoveredAgent::at(url.as_str())).collect::<Vec<_>>();
    rig.report(SOURCE, found(&urls));
    rig.pass(Duration::from_secs(60));
    let with_card = |rig: &Scripted| {
        let agents = rig.core.state().agents().iter();
        agents.filter(|(_, agent)| agent.listed && agent.card.is_some()).count() as u64
    };
    let room = limits::LARGE_CARDS / limits::CARD as u64;
    assert_eq!(with_card(&rig), room);
    let without = rig.core.state().agents().iter().find(|(_, agent)| agent.card.is_none()).unwrap().1;
    let (refused, cause) = (without.spec.url.to_string(), without.cause.clone());
    assert_eq!(cause.as_deref(), Some(&Cause::Limit(Limit::LargeCards)));
    // The operator names one: its card is taken. Others leave: their room is free.
    rig.configure(&[&refused]);
    rig.pass(Duration::from_secs(60));
    assert_eq!(with_card(&rig), room + 1);
    rig.report(SOURCE, found(&urls[10..]));
    rig.pass(Duration::from_secs(60));
    assert_eq!(with_card(&rig), 60);
}

/// Three times four thousand agents come with large cards and go again.
#[test]
fn departed_strangers_are_bounded_by_number_and_by_their_cards() {
    let card = |url: &str| {
        let raw = "x".repeat(30 * 1024);
        Arc::new(Card { name: url.into(), raw: Some(raw.as_str().into()), ..(*card_at(url)).clone() })
    };
    let mut rig = rig(Rules::default(), move |order| match order {
        Order::Probe { url, .. } => Some(served(card(url), url)),
        _ => None,
    });
    for wave in 0..3 {
        let urls = (0..4000).map(|n| format!("http://h{n}.example/{wave}"));
        rig.report(SOURCE, urls.map(DiscoveredAgent::at).collect());
        rig.pass(Duration::from_secs(1));
        rig.report(SOURCE, Vec::new());
        // No step forgets many, so it takes some.
        for _ in 0..100 {
            let before = forgotten(&rig);
            let Some(due) = rig.core.deadline() else { break };
            if due.since(rig.now) > Duration::from_secs(1) {
                break;
            }
            rig.pass(due.since(rig.now));
            assert!(forgotten(&rig) - before <= 500, "one step forgot {}", forgotten(&rig) - before);
        }
        let kept = rig.core.state().agents().len() as u64;
        assert!(kept * 30 * 1024 <= limits::DEPARTED_CARDS, "{kept} cards are kept");
        assert!(kept > 1000, "{kept}");
    }
    rig.pass(HOUR + Duration::from_secs(10));
    assert_eq!((rig.core.state().agents().len(), forgotten(&rig)), (0, 12_000));
    // And by number where the cards are small.
    rig.script(|order| match order {
        Order::Probe { url, .. } => {
            let card = Card { name: (&**url).into(), ..(*card_at(url)).clone() };
            Some(served(Arc::new(card), url))
        }
        _ => None,
    });
    for wave in 0..6 {
        let urls = (0..4000).map(|n| format!("http://h{n}.example/small/{wave}"));
        rig.report(SOURCE, urls.map(DiscoveredAgent::at).collect());
    }
    rig.report(SOURCE, Vec::new());
    rig.pass(Duration::from_secs(60));
    assert_eq!(rig.core.state().agents().len(), limits::DEPARTED_AGENTS);
    let oldest = rig.agent("http://h0.example/small/0");
    assert!(oldest.is_none() && rig.agent("http://h0.example/small/5").is_some(), "the oldest go first");
}

fn ended_jobs(count: u32, rig: &Scripted) -> Rows {
    let mut seed = Rng::new(3);
    let jobs = (0..count).map(|n| Job {
        id: JobId(seed.uuid(rig.now)),
        seq: 1,
        title: format!("{n}").as_str().into(),
        origin: Origin::Found,
        caller: None,
        skill: None,
        context: None,
        parent: None,
        created: rig.now - Duration::from_secs(u64::from(count - n)),
        attempts: SmallVec::default(),
        message: None,
        phase: JobPhase::Running,
        plan: None,
    });
    Rows { jobs: jobs.map(|job| (job, Vec::new())).collect(), ..Rows::default() }
}

/// However many jobs are due, a step forgets a part of them, the oldest first, and the next ones follow.
#[test]
fn a_step_forgets_a_bounded_number_of_jobs() {
    let keep = Duration::from_secs(3000);
    let cases: [(&str, Rules, Option<u64>, usize); 3] = [
        ("too old", Rules { keep, ..Rules::default() }, None, 3000),
        ("too much in the store", Rules { keep_bytes: 1000, ..Rules::default() }, Some(2000), 5700),
        ("neither", Rules::default(), Some(1000), 6000),
    ];
    for (what, rules, bytes, expected) in cases {
        let mut rig = Scripted::new(rules.clone(), |_| None);
        let state = State::restore(ended_jobs(6000, &rig), 3);
        rig.replace(state, rules);
        if let Some(bytes) = bytes {
            rig.feed(Input::StoreSize(bytes));
        }
        let mut first = None;
        let until = rig.now + Duration::from_secs(5);
        while let Some(due) = rig.core.deadline().filter(|due| *due <= until) {
            let before = rig.core.state().jobs().len();
            rig.pass(due.since(rig.now));
            let gone = before - rig.core.state().jobs().len();
            assert!(gone <= 500, "{what}: one step forgot {gone}");
            first = first.or_else(|| {
                rig.facts.iter().find_map(|entry| match entry.fact {
                    Fact::Job(id, JobFact::Forgotten) => Some(id),
                    _ => None,
                })
            });
        }
        let left = rig.core.state().jobs().len();
        assert!(left.abs_diff(expected) <= 10, "{what}: {left} are left");
        let kept: Vec<u32> =
            rig.core.state().jobs().iter().map(|(_, job)| job.title.raw().parse().unwrap()).collect();
        let oldest = u32::try_from(6000 - left).unwrap();
        assert!(kept.iter().all(|n| *n >= oldest), "{what}: the oldest go first");
        assert_eq!(first.is_some(), expected < 6000, "{what}");
    }
}

/// The engine forgets an agent in its journal and on attached consoles, and starts again without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_forgets_an_agent_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let (sender, roll) = tokio::sync::watch::channel::<RegisteredAgents>(Ok(Vec::new()));
    let start = |roll| {
        let rules = Rules { keep_departed: Duration::from_millis(300), ..rules() };
        let sources: Vec<Box<dyn Discover>> = vec![Box::new(OwnRegistry::new("127.0.0.1:8080", roll))];
        Engine::start(Options { sources, ..options(Vec::new(), Some(dir.path()), rules) }).unwrap()
    };
    let engine = start(roll);
    let handle = engine.handle();
    let hello = Hello::default();
    let listening = quarterdeck::serve::socket::listen(dir.path(), handle.clone(), hello).unwrap();
    let (console, _) = join(listening.path(), Tasks::All).await.unwrap();
    let found = |n: u32| {
        let card = Card { name: format!("toy {n}").as_str().into(), ..Card::empty() };
        DiscoveredAgent {
            card: Some(Arc::new(card)),
            ..DiscoveredAgent::at(format!("http://127.0.0.1:1/{n}"))
        }
    };
    sender.send(Ok(vec![found(1), found(2)])).unwrap();
    let id = until(&console, "both agents", |snapshot| {
        let mut listed = snapshot.agents.iter().map(|(_, agent)| agent).filter(|agent| agent.card.is_some());
        (snapshot.agents.len() == 2)
            .then(|| listed.find(|agent| agent.spec.url.ends_with("/1")).map(|a| a.id))?
    });
    let id = id.await;
    let written = || {
        let reader = Reader::open(dir.path()).unwrap().unwrap();
        let mut agents = BTreeMap::new();
        for agent in reader.load().unwrap().rows.agents {
            agents.insert(agent.spec.url.clone(), agent.id);
        }
        (agents, reader.facts(Owner::Agent(id), usize::MAX).unwrap().len())
    };
    sender.send(Ok(vec![found(2)])).unwrap();
    for handle in [&handle, &console] {
        let gone = |snapshot: &quarterdeck::domain::state::snapshot::Snapshot| {
            snapshot.agents.iter().all(|(_, agent)| agent.id != id).then_some(())
        };
        until(handle, "the end of the agent", gone).await;
    }
    drop(console);
    drop(listening);
    engine.stop().await;
    let (agents, facts) = written();
    assert_eq!((agents.len(), facts), (1, 0), "its row, its card and its facts are gone");
    let (_sender, roll) = tokio::sync::watch::channel::<RegisteredAgents>(Ok(vec![found(1), found(2)]));
    let engine = start(roll);
    until(&engine.handle(), "both agents again", |snapshot| {
        let listed = snapshot.agents.iter().filter(|(_, agent)| agent.listed).count();
        (listed == 2 && snapshot.agents.iter().all(|(_, agent)| agent.id != id)).then_some(())
    })
    .await;
    engine.stop().await;
}
