//! The story of the demo: the same seed tells the same one, a kill does not end it, and what is made up says so.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use quarterdeck::demo::{Behaviour, Fleet, Folder, Scenario, Story, StoryOptions};
use quarterdeck::domain::audit::Surface;
use quarterdeck::domain::fact::{Fact, FleetFact, Owner};
use quarterdeck::domain::input::Rules;
use quarterdeck::domain::intent::Intent;
use quarterdeck::domain::problem::{Kind, ProblemAct};
use quarterdeck::engine::{Answer, Engine, Query};
use serde_json::Value;

use crate::console::pty::Terminal;
use crate::kill::binary;
use crate::support::{LONG, agent_of, engine, engine_with, part, polled, rules, until};

/// What the agents of a story have decided, in the order of the agents and the texts.
type Decisions = Vec<(String, String, String)>;

/// Stories are played one after the other: each is much for a busy machine.
pub(crate) static STAGE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// How many times faster than life stories are played.
const SPEED: f64 = 6.0;

/// An engine with the rules of a scenario, on its fleet, and the story.
fn begin(scenario: &Scenario, unattended: bool) -> (Arc<Fleet>, Engine, Story) {
    let fleet = Arc::new(Fleet::start(scenario, scenario.seed, SPEED, 0).unwrap());
    let rules = Rules { routes: scenario.rules(SPEED).into(), probes_per_host: 100, ..rules() };
    let engine = engine_with(&fleet, None, rules);
    let options = StoryOptions { speed: SPEED, stage: false, no_work: false, unattended };
    let story = Story::begin(scenario.clone(), fleet.clone(), engine.handle(), options);
    (fleet, engine, story)
}

/// Plays the minute of a scenario.
async fn play(scenario: &Scenario) -> Decisions {
    let (fleet, engine, mut story) = begin(scenario, false);
    // Some agents never end their tasks; those of the dead one go on once it is back.
    let waits = ["refunds", "insurer"];
    // Two stories at six times the speed are much for a busy machine.
    let over = tokio::time::timeout(LONG * 3, async {
        story.captions.wait_for(|caption| caption.second.is_some()).await.unwrap();
        story.captions.wait_for(|caption| caption.second.is_none()).await.unwrap();
        polled(async || {
            let mut open = fleet.tasks();
            open.retain(|(agent, _, state)| !state.is_terminal() && !waits.contains(&agent.as_str()));
            if open.is_empty() { Ok(()) } else { Err(format!("{open:?} do not end")) }
        })
        .await;
    });
    assert!(over.await.is_ok(), "the story and its work do not end: {:#?}", fleet.tasks());
    drop(story);
    engine.stop().await;
    let mut tasks = fleet.tasks();
    // Whether these arrive before hotel-alps dies is a matter of milliseconds.
    tasks.retain(|(agent, text, _)| agent != "hotel-alps" || !text.starts_with("a room tonight: "));
    let decisions = tasks.into_iter().map(|(agent, text, state)| (agent, text, format!("{state:?}")));
    let mut decisions: Decisions = decisions.collect();
    decisions.sort();
    decisions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_seed_tells_the_same_story() {
    let _alone = STAGE.lock().await;
    let storm = Scenario { calm: None, ..Scenario::load("storm").unwrap() };
    let (first, second) = tokio::join!(play(&storm), play(&storm));
    assert_eq!(first, second);
    let fares: Vec<_> = first.iter().filter(|(agent, ..)| agent == "fares-old").collect();
    let failed = fares.iter().filter(|(_, _, state)| state == "Failed").count();
    assert_eq!((fares.len(), failed), (4, 2), "{fares:?}");
    // Whoever waited at the hotel that died has a bed in the other one, and no second bed.
    let guests = ["Grete, ground floor", "Hugo and a dog", "Jana, quiet", "Lea and her mother"];
    for guest in guests.into_iter().chain(["Nina, any floor", "Pia, with a cot"]) {
        let text = format!("a room tonight for {guest}");
        let rooms: Vec<_> = first.iter().filter(|(_, known, _)| *known == text).collect();
        let rooms: Vec<_> = rooms.iter().map(|(hotel, _, state)| (hotel.as_str(), state.as_str())).collect();
        assert_eq!(rooms, [("hotel-alps", "Canceled"), ("hotel-lake", "Completed")], "{guest}");
    }
}

/// What nobody at the keys does is done by the story under one name, whoever runs the engine: in facts, in the audit and
/// on agents.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_story_does_by_itself_has_its_name() {
    let _alone = STAGE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ride.toml");
    std::fs::write(&file, RIDE).unwrap();
    let scenario = Scenario::load(&file.display().to_string()).unwrap();
    let fleet = Arc::new(Fleet::start(&scenario, scenario.seed, SPEED, 0).unwrap());
    let engine = engine_with(&fleet, Some(dir.path()), Rules { operator: "mia".into(), ..rules() });
    let handle = engine.handle();
    until(&handle, "the agent", |snapshot| agent_of(snapshot, "taxi")?.card.clone()).await;
    let options = StoryOptions { speed: SPEED, stage: false, no_work: false, unattended: false };
    let surface = handle.clone().acting_as("mia").through(Surface::Cli);
    let story = Story::begin(scenario, fleet.clone(), surface, options);
    let service = until(&handle, "the drain", |snapshot| agent_of(snapshot, "taxi")?.service.clone()).await;
    let facts = handle.query(Query::Facts { owner: Owner::Fleet, limit: 100 }).await.unwrap();
    let Answer::Facts(facts) = facts else { panic!("no facts") };
    let acts = facts.into_iter().filter(|entry| matches!(entry.fact, Fact::Fleet(FleetFact::Acted { .. })));
    let actors: Vec<_> = acts.map(|entry| entry.actor_name().raw().to_owned()).collect();
    let audit =
        handle.query(Query::Audit { filter: Box::default(), before: None, limit: 100 }).await.unwrap();
    let Answer::Audit(audit) = audit else { panic!("no audit") };
    let records = audit.entries.iter().rev().map(|entry| &entry.record);
    let records = records.map(|of| format!("{} {} {}", of.intent, of.who.raw(), of.surface.as_str()));
    assert_eq!(actors, ["demo"]);
    assert_eq!(records.collect::<Vec<_>>(), ["send demo engine", "cancel demo engine", "drain demo engine"]);
    assert_eq!(service.by.raw(), "demo");
    drop(story);
    engine.stop().await;
}

/// A ride that nobody but the story cancels, and its agent, which nobody else drains.
const RIDE: &str = r#"
title = "a ride"
agents = [{ name = "taxi", behaviour = "ignores-cancel" }]
jobs = [{ at = 1, to = "taxi", text = "the last mile", name = "ride" }]
beats = [
    { at = 3, do = "cancel", who = "ride", by_rule_after = 0.5 },
    { at = 4, do = "drain", who = "taxi", by_rule_after = 0.5 },
]
"#;

/// The steps of the operator are recognised from facts, and timed; nobody does them for a person.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_waits_for_a_person() {
    let _alone = STAGE.lock().await;
    let checkout = Scenario::load("checkout").unwrap();
    let (_fleet, engine, mut story) = begin(&checkout, false);
    let handle = engine.handle();
    let number = until(&handle, "the problem of cashier-2", |snapshot| {
        let (key, _) = snapshot.agents.iter().find(|(_, agent)| agent.name.raw() == "cashier-2")?;
        let mut problems = snapshot.open_problems();
        problems.find_map(|(_, problem)| {
            (problem.kind == Kind::AgentFailing && problem.agent == Some(key)).then_some(problem.number)
        })
    })
    .await;
    let raised = tokio::time::timeout(LONG, story.report.wait_for(|report| report.raised.is_some()));
    let before = raised.await.expect("it is recognised").unwrap().clone();
    let done = before.steps.iter().filter(|step| step.seconds.is_some());
    assert_eq!((done.count(), before.seconds), (0, None), "nobody has done anything: {before:?}");
    let take = Intent::OnProblem { number, act: ProblemAct::Take, by: "sam".into() };
    handle.clone().acting_as("sam").submit(take).await.unwrap();
    let taken = tokio::time::timeout(LONG, story.report.wait_for(|report| report.steps[0].seconds.is_some()));
    let report = taken.await.expect("it is recognised").unwrap().clone();
    assert_eq!(
        (report.steps[0].name.as_str(), report.steps[0].by.as_deref()),
        ("tell the others", Some("sam"))
    );
    let done = report.steps.iter().filter(|step| step.seconds.is_some());
    assert_eq!((done.count(), report.steps.len(), report.seconds), (1, 6, None), "{report:?}");
    drop(story);
    engine.stop().await;
}

/// Without a person the built-in operator does it all, under its own name, and the program says how long it took.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unattended_incident_is_mended_by_the_demo_operator() {
    let _alone = STAGE.lock().await;
    let mut command = binary();
    command.args(["demo", "--scenario", "checkout", "--headless", "--unattended", "--speed", "6"]);
    let output = tokio::time::timeout(LONG * 3, command.output());
    let output = output.await.expect("it ends after the last step").unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps: Vec<_> = lines.iter().filter(|line| line["step"].is_string()).collect();
    let names: BTreeSet<_> = steps.iter().filter_map(|step| step["step"].as_str()).collect();
    assert_eq!(names, BTreeSet::from(["take", "cordon", "move", "retry", "heal", "note"]));
    for step in &steps {
        let by = step["by"].as_str();
        assert_eq!(by, (step["step"] != "heal").then_some("demo operator"), "{step}");
    }
    let over = lines.last().unwrap();
    let all: f64 = over["steps"].as_array().unwrap().iter().filter_map(|step| step["seconds"].as_f64()).sum();
    let (raised, seconds) = (over["raised"].as_f64().unwrap(), over["seconds"].as_f64().unwrap());
    assert!((raised + all - seconds).abs() < 1.0, "{over:#}");
}

/// The two example rules decide about messages that other commands send to a running demo.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_to_a_demo_go_by_its_rules() {
    let _alone = STAGE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let arguments = ["demo", "--data-dir", &data, "--no-work", "--speed", "8"];
    let demo = Terminal::run((120, 40), &arguments, &[]);
    demo.shows("● 15");
    for (kind, rule, agents) in [
        ("data_processing", "data", ["flights", "weather"]),
        ("ml_inference", "serving", ["translator", "fares-old"]),
    ] {
        let metadata = format!("{{\"type\":\"{kind}\"}}");
        let sent = ask(dir.path(), &["send", "how many seats?", "--metadata", &metadata]).await;
        let ours = if sent["task"].is_object() { &sent["task"] } else { &sent["message"] };
        let ours = &ours["metadata"]["quarterdeck"];
        assert!(agents.contains(&ours["agent"].as_str().unwrap_or_default()), "{sent:#}");
        let why = ask(dir.path(), &["route", "explain", "--job", ours["job"].as_str().unwrap()]).await;
        assert!(why.to_string().contains(&format!("\"rule\":\"{rule}\"")), "{why:#}");
    }
    // A message that no rule is about is not sent anywhere.
    let mut command = binary();
    let refused = command.args(["--data-dir", &data, "send", "hello", "-o", "json"]).output().await.unwrap();
    assert!(!refused.status.success(), "{}", String::from_utf8_lossy(&refused.stdout));
}

/// What a command says about a running demo, or about the data that it left.
async fn ask(data: &Path, words: &[&str]) -> Value {
    let mut command = binary();
    let output = command.arg("--data-dir").arg(data).args(words).args(["-o", "json"]).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

fn urls(agents: &Value) -> BTreeMap<String, String> {
    let text = |agent: &Value, key: &str| agent[key].as_str().unwrap().to_owned();
    let agents = agents["agents"].as_array().unwrap();
    agents.iter().map(|agent| (text(agent, "name"), text(agent, "url"))).collect()
}

/// The tasks by their ids, each with its agent and our doubt about it.
fn tasks(list: &Value) -> BTreeMap<String, (String, Option<String>)> {
    let tasks = list["tasks"].as_array().unwrap().iter().map(|task| {
        let ours = &task["metadata"]["quarterdeck"];
        let agent = ours["agent"].as_str().unwrap_or_default().to_owned();
        let verdict = ours["verdict"].as_str().map(ToOwned::to_owned);
        (task["id"].as_str().unwrap().to_owned(), (agent, verdict))
    });
    tasks.collect()
}

/// The second of the story in the first line of a screen.
fn story_second(screen: &str) -> Option<u32> {
    let (minutes, rest) = screen.split_once("story ")?.1.split_once(':')?;
    Some(minutes.parse::<u32>().ok()? * 60 + rest.get(..2)?.parse::<u32>().ok()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_that_was_killed_goes_on_where_it_was() {
    let _alone = STAGE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let start = || Terminal::run((160, 40), &["demo", "--data-dir", &data, "--speed", "2"], &[]);
    let first = start();
    first.shows("hotel-alps dies");
    let (agents, before) = (ask(dir.path(), &["agents"]).await, ask(dir.path(), &["task", "list"]).await);
    let second_of = |terminal: &Terminal| terminal.read(|screen| story_second(&screen.contents()));
    let killed_at = second_of(&first).expect("the story is under way");
    first.kill();
    drop(first);
    let second = start();
    second.until("the story", |seen| story_second(&seen.parser.screen().contents()).is_some());
    // The clock goes on from the last thing that happened.
    let goes_on = second_of(&second).is_some_and(|second| second + 4 >= killed_at);
    assert!(goes_on, "{:?} after {killed_at}", second_of(&second));
    second.shows("hotel-alps is back");
    assert_eq!(urls(&ask(dir.path(), &["agents"]).await), urls(&agents));
    second.shows("counted");
    assert!(second.read(|screen| screen.contents().contains("0 of them twice")), "nothing was sent twice");
    // Only vouchers forgets its tasks, when the story restarts it.
    let before = tasks(&before);
    assert!(before.len() > 20, "{before:?}");
    let now = polled(async || {
        let now = tasks(&ask(dir.path(), &["task", "list"]).await);
        let stale: Vec<_> = now.values().filter(|(_, verdict)| verdict.as_deref() == Some("stale")).collect();
        if stale.is_empty() { Ok(now.clone()) } else { Err(format!("stale for ever: {stale:?}")) }
    })
    .await;
    for (id, (agent, _)) in &before {
        let (_, verdict) = now.get(id).unwrap_or_else(|| panic!("a task of {agent} is gone"));
        assert!(verdict.as_deref() != Some("lost") || agent == "vouchers", "{agent} lost {id}");
    }
    let problems = ask(dir.path(), &["problems"]).await;
    let kinds: BTreeSet<_> =
        problems["problems"].as_array().unwrap().iter().filter_map(|p| p["kind"].as_str()).collect();
    assert!(!kinds.contains("card-changed"), "{problems:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_are_those_of_the_first_start_unless_they_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let agents = vec![part("one", Behaviour::Steady), part("two", Behaviour::Steady)];
    let scenario = Scenario { agents, ..Scenario::steady(0) };
    let start = || {
        let folder = Folder::open(dir.path()).unwrap().expect("nobody else uses it");
        Fleet::start_in(Some(folder), &scenario, 7, 10.0, 0).unwrap()
    };
    let first = start();
    let before = first.list();
    let journal = dir.path().join("journal");
    let cards = |fleet: &Fleet| {
        let (engine, fleet) = (engine(fleet, Some(&journal)), fleet.list());
        async move {
            until(&engine.handle(), "the cards", |snapshot| {
                let is_there = |agent: &quarterdeck::demo::Listed| {
                    let card = agent_of(snapshot, &agent.name)?.card.clone()?;
                    card.offers.first().filter(|offer| offer.url.raw().starts_with(&agent.url)).map(|_| ())
                };
                fleet.iter().map(is_there).collect::<Option<Vec<()>>>()
            })
            .await;
            let snapshot = engine.handle().snapshot();
            let changed = snapshot.problems.iter().any(|(_, problem)| problem.kind == Kind::CardChanged);
            engine.stop().await;
            assert!(!changed, "an agent that was moved has not changed its card");
        }
    };
    cards(&first).await;
    assert!(Folder::open(dir.path()).unwrap().is_none(), "one demo at a time");
    drop(first);
    // Its servers end a moment after it was dropped, other than those of a program that was killed.
    let is_free = async |url: &str| {
        let address = url.strip_prefix("http://").unwrap().to_owned();
        polled(async || TcpListener::bind(&address).map(drop).map_err(|error| error.to_string())).await;
    };
    let all_are_free = async || {
        polled(async || {
            let folder = Folder::open(dir.path()).unwrap();
            folder.map(drop).ok_or_else(|| "the folder is in use".to_owned())
        })
        .await;
        for agent in &before {
            is_free(&agent.url).await;
        }
    };
    all_are_free().await;
    let second = start();
    assert_eq!((second.list(), second.moved()), (before.clone(), None));
    drop(second);
    all_are_free().await;
    let taken = before[1].url.strip_prefix("http://").unwrap();
    let _other = polled(async || TcpListener::bind(taken).map_err(|error| error.to_string())).await;
    let third = start();
    let now = third.list();
    assert_eq!(now[0], before[0]);
    assert_ne!(now[1], before[1]);
    let moved = third.moved().unwrap();
    assert!(moved.contains("two from ") && !moved.contains("one from "), "{moved}");
    cards(&third).await;
}

/// The first frame has a yesterday, which says that it is made up, on the screen and in JSON.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_has_a_day_before_that_is_made_up() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let mut terminal =
        Terminal::run((120, 40), &["demo", "--data-dir", &data, "--no-work", "--speed", "0.1"], &[]);
    terminal.shows("The day before is made up.");
    terminal.shows("WAS the day before (made up)");
    terminal.type_in("7");
    terminal.shows("made up until");
    terminal.shows("(partly made up)");
    for (by, most) in [("agent", 15), ("skill", 14), ("caller", 4)] {
        let metrics = ask(dir.path(), &["metrics", "--by", by]).await;
        assert_eq!((&metrics["madeUp"], &metrics["wasMadeUp"]), (&false.into(), &true.into()), "{metrics:#}");
        let rows = metrics["metrics"].as_array().unwrap();
        assert!(rows.len() >= most, "{metrics:#}");
        // Nothing was sent: what is made up is counted as the day before alone.
        assert!(rows.iter().all(|row| row["now"]["ended"] == 0 && row["was"]["ended"] != 0), "{metrics:#}");
    }
    let day = ask(dir.path(), &["metrics", "--window", "24h"]).await;
    assert_eq!(day["madeUp"], true, "{day:#}");
    let problems = ask(dir.path(), &["problems"]).await;
    assert_eq!(problems["problems"], Value::Array(Vec::new()), "no problem comes from what is made up");
    terminal.type_in(":q\r");
    terminal.ends();
    // It stays marked, and is not made up again.
    let day = ask(dir.path(), &["metrics", "--window", "24h"]).await;
    assert_eq!(day["madeUp"], true, "{day:#}");
}
