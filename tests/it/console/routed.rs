//! Rules of routing in the scene, jobs that wait, and what the console shows of both.

use std::sync::Arc;
use std::time::Duration;

use quarterdeck::cli;
use quarterdeck::domain::agent::Health;
use quarterdeck::domain::cause::Cause;
use quarterdeck::domain::fact::{AttemptFact, Fact, JobFact};
use quarterdeck::domain::id::{AgentId, JobId};
use quarterdeck::domain::intent::Intent;
use quarterdeck::domain::job::message::{Message, Part, Role};
use quarterdeck::domain::job::plan::{Plan, SpentBudget, WaitReason};
use quarterdeck::domain::job::{Attempt, Origin, Phase};
use quarterdeck::domain::route::balance::Balance;
use quarterdeck::domain::route::condition::{Condition, DataPath, DataTest, Field};
use quarterdeck::domain::route::decision::{Considered, Decision, Obstacle, Verdict};
use quarterdeck::domain::route::difference::{RulesFile, differences};
use quarterdeck::domain::route::replay::{Changes, Goes, Replay, ReplayPage, Way};
use quarterdeck::domain::route::{Backoff, Retry, Rule, Rules, Selector, Target};
use quarterdeck::tui::cmd::Cmd;

use super::Console;
use super::scene::{NOW, Scene, at};

/// The rules of the scene; the last one can never decide.
pub(super) fn rules() -> Rules {
    let field = |field, value: &str| Condition::OneOf { field, values: vec![value.into()] };
    let eu = Condition::Data {
        path: DataPath::new("country").unwrap(),
        test: DataTest::OneOf(vec!["DE".into(), "FR".into()]),
    };
    let charge = || Selector::Skill("charge".into());
    let rules = [
        Rule {
            conditions: vec![field(Field::Caller, "vip-desk")],
            priority: 9,
            ..Rule::new("vip", Selector::Agent("cashier-1".into()))
        },
        Rule {
            conditions: vec![field(Field::Type, "charge"), eu],
            balance: Balance::LeastConnections,
            timeout: Some(Duration::from_secs(30)),
            deadline: Some(Duration::from_secs(300)),
            retry: Retry {
                backoff: Backoff::Exponential { base: Duration::from_secs(1), cap: Duration::from_secs(60) },
                max: 2,
                budget: 20,
            },
            fallback: vec![Selector::Agent("refund-desk".into())],
            concurrency: Some(20),
            ..Rule::new("eu-first", charge())
        },
        Rule { conditions: vec![field(Field::Type, "charge")], ..Rule::new("charge", charge()) },
        Rule {
            conditions: vec![field(Field::Type, "charge"), field(Field::Tag, "legacy")],
            route: "charge".into(),
            ..Rule::new("old-charge", Selector::Agent("cashier-2".into()))
        },
    ];
    Rules { revision: 0x5f3a_9c01, rules: rules.into_iter().map(Arc::new).collect() }
}

/// What a file of rules would change: nothing, or the balance of one rule.
pub(super) fn rules_file(file: Option<&str>) -> RulesFile {
    let mut changed = rules();
    if file.is_some() {
        changed.revision += 1;
        let eu = Rule { balance: Balance::LowestLatency, ..(*changed.rules[1]).clone() };
        changed.rules[1] = Arc::new(eu);
    }
    RulesFile {
        file: file.unwrap_or("/etc/quarterdeck.toml").into(),
        fault: None,
        revision: changed.revision,
        differences: differences(&rules(), &changed),
    }
}

/// Two pages of the past.
pub(super) fn replayed(after: Option<u64>, agents: [AgentId; 2]) -> ReplayPage {
    let changes = Changes { same: 25_000, by_chance: 40, elsewhere: 15, waits: 0, nowhere: 4 };
    let ways = vec![
        Way { from: Goes::To(agents[0]), to: Goes::To(agents[1]), jobs: 15 },
        Way { from: Goes::To(agents[0]), to: Goes::Nowhere, jobs: 4 },
    ];
    let replay = Replay { changes, ways, by_name: 7, unrecorded: 2, ..Replay::default() };
    match after {
        None => ReplayPage { replay, next: Some(7), percent: 50 },
        Some(_) => ReplayPage { replay, next: None, percent: 100 },
    }
}

/// The decision that sent a job to its first agent, at which two others were considered.
pub(super) fn decision(taken: AgentId, behind: AgentId, out: AgentId) -> Decision {
    let one = |agent, verdict| Considered {
        agent,
        score: Some(100),
        health: Health::Up,
        in_flight: 3,
        capacity: Some(30),
        latency: Some(Duration::from_millis(900)),
        failing: 0,
        verdict,
    };
    Decision {
        rule: Some("charge".into()),
        route: Some("charge".into()),
        revision: rules().revision,
        matched: vec!["type charge".into()],
        stage: 0,
        candidates: vec![
            one(taken, Verdict::Taken),
            Considered { score: Some(467), in_flight: 14, ..one(behind, Verdict::Behind) },
            Considered {
                score: None,
                health: Health::Down,
                in_flight: 0,
                latency: None,
                ..one(out, Verdict::Out(Obstacle::Health(Health::Down)))
            },
        ],
        shift: None,
    }
}

impl Scene {
    /// A job without an attempt, waiting since it was accepted.
    fn waits(&mut self, seconds: f64, title: &str, plan: Plan, why: WaitReason) -> JobId {
        let job = JobId(self.uuid());
        let id = self.uuid().to_string();
        let message = Arc::new(Message::new(id.as_str(), Role::User, vec![Part::text(title)]));
        self.add_fact(
            seconds,
            Fact::Job(
                job,
                JobFact::Opened {
                    origin: Origin::Sent,
                    title: title.into(),
                    caller: Some("shop-web".into()),
                    skill: None,
                    context: None,
                    parent: None,
                    message: Some(message),
                    plan: Some(Arc::new(plan)),
                },
            ),
        );
        self.add_fact(seconds, Fact::Job(job, JobFact::Queued { why, until: None }));
        job
    }

    /// Jobs that wait for different things, and a dead letter.
    pub(super) fn queue(&mut self, retried: JobId) {
        let plan = |target| Plan::new(target);
        self.waits(
            210.0,
            "charge order 88220",
            Plan { deadline: Some(at(NOW + 48.0)), ..plan(Target::Route("charge".into())) },
            WaitReason::Capacity,
        );
        self.waits(
            239.0,
            "charge order 88221 of the VIP desk",
            Plan { priority: 9, ..plan(Target::Any) },
            WaitReason::Concurrency,
        );
        self.waits(
            30.0,
            "forecast the demand of next week",
            plan(Target::Skill("forecast".into())),
            WaitReason::Unavailable,
        );
        let late = Plan { deadline: Some(at(200.0)), ..plan(Target::Tag("ledger\u{1b}[2J".into())) };
        let dead = self.waits(20.0, "reconcile the ledger of yesterday", late, WaitReason::Unavailable);
        let cause = Some(Arc::new(Cause::Deadline(Duration::from_secs(180))));
        self.add_fact(200.0, Fact::Job(dead, JobFact::Ended { cause, spent: None }));
        let until = Some(at(NOW + 12.0));
        self.add_fact(206.4, Fact::Job(retried, JobFact::Queued { why: WaitReason::Backoff, until }));
    }
}

/// The first words of the rows, from the top.
fn jobs(console: &mut Console) -> Vec<String> {
    let screen = console.screen();
    let rows = screen.lines().skip(3).filter(|line| line.starts_with('│'));
    let words = rows.map(|line| line.chars().skip(3).take(22).collect::<String>().trim().to_owned());
    words.filter(|words| !words.is_empty()).collect()
}

#[test]
fn the_queue_is_in_the_order_in_which_jobs_leave() {
    for (keys, rows) in [
        (
            "9",
            &[
                "charge order 88221",
                "forecast the",
                "charge order 88214",
                "charge order 88220",
                "reconcile the",
            ][..],
        ),
        ("9 z", &["reconcile the"]),
        ("9 / \"rule=skill\" enter", &["forecast the"]),
        ("9 / \"is=waiting_!order\" enter", &["forecast the"]),
        ("9 / \"cause=deadline\" enter", &["reconcile the"]),
    ] {
        let mut console = Console::new(160, 40);
        console.press(keys);
        let shown = jobs(&mut console);
        let same = shown.len() == rows.len() && shown.iter().zip(rows).all(|(one, row)| one.starts_with(row));
        assert!(same, "{keys}: {shown:?}\n{}", console.screen());
    }
}

/// The job with these words in its title ends without a result.
fn give_up(console: &mut Console, title: &str) {
    let job = console.model.context.snapshot.jobs.iter().find(|(_, job)| job.title.raw().contains(title));
    let job = job.map(|(_, job)| job.id).unwrap();
    let ended = JobFact::Ended { cause: Some(Arc::new(Cause::Refused)), spent: None };
    console.scene.add_fact(253.0, Fact::Job(job, ended));
    console.now = at(253.0);
    console.publish();
}

/// What the console says about a spent retry budget, documents for scripts say too.
#[test]
fn a_spent_retry_budget_is_told_on_every_surface() {
    let mut console = Console::new(160, 40);
    let sent = console.scene.job(240.0, console.cast.cashier, "charge order 88300", "shop-web");
    let refused = AttemptFact::Moved { phase: Phase::Refused, cause: Some(Arc::new(Cause::Refused)) };
    console.scene.add_fact(241.0, Fact::attempt(sent.job, sent.attempt, refused));
    let decision = Arc::new(decision(console.cast.cashier, console.cast.cashier, console.cast.cashier));
    console.scene.add_fact(240.0, Fact::Job(sent.job, JobFact::Routed { decision, retry: false }));
    let spent = Some(SpentBudget { rule: "charge".into(), percent: 20 });
    let cause = Some(Arc::new(Cause::Refused));
    console.scene.add_fact(241.0, Fact::Job(sent.job, JobFact::Ended { cause, spent }));
    console.publish();
    let snapshot = console.model.context.snapshot.clone();
    let attempts: Vec<&Attempt> = snapshot.attempts.iter().map(|(_, attempt)| attempt).collect();
    let told = serde_json::json!({ "rule": "charge", "percent": 20 });
    let document = cli::protocol_json::task_list(&snapshot, &attempts, attempts.len());
    let entries = ["tasks", "attempts"].map(|of| document[of].as_array().unwrap().clone()).concat();
    let entries = entries.iter().map(|entry| match &entry["metadata"]["quarterdeck"] {
        serde_json::Value::Null => entry.clone(),
        ours => ours.clone(),
    });
    let spent: Vec<_> = entries.filter(|entry| !entry["retryBudgetSpent"].is_null()).collect();
    assert_eq!(spent.iter().map(|entry| &entry["retryBudgetSpent"]).collect::<Vec<_>>(), [&told]);
    let dead = cli::queue::document(&snapshot)["deadLetters"].as_array().unwrap().clone();
    let of = |title: &str| dead.iter().find(|row| row["title"] == title).unwrap()["retryBudgetSpent"].clone();
    assert_eq!(
        (of("charge order 88300"), of("reconcile the ledger of yesterday")),
        (told, serde_json::Value::Null)
    );
}

#[test]
fn jobs_in_the_queue_come_and_go() {
    let mut console = Console::new(160, 40);
    console.press("9");
    assert!(console.screen().contains("4 jobs wait, oldest 3m · 1 dead letter"), "{}", console.screen());
    give_up(&mut console, "88220");
    assert!(console.screen().contains("3 jobs wait, oldest 3m · 2 dead letters"), "{}", console.screen());
    assert!(console.press("v").screen().contains("3 wait, 2 dead letters"), "{}", console.screen());
    console.press("esc");
    // The newest dead letter is above the older one.
    assert!(jobs(&mut console)[3].starts_with("charge order 88220"), "{}", console.screen());
    // One that is sent counts for a minute.
    let job = console.model.context.snapshot.jobs.iter().find(|(_, job)| job.title.raw().contains("88221"));
    let job = job.map(|(_, job)| job.id).unwrap();
    let agent = console.model.context.snapshot.agents.iter().next().map(|(_, agent)| agent.id).unwrap();
    let decision = Arc::new(decision(agent, agent, agent));
    console.scene.add_fact(263.0, Fact::Job(job, JobFact::Routed { decision, retry: false }));
    for (seconds, facts) in [
        (263.0, "2 jobs wait, oldest 3m · 1 sent in 11s · 2 dead letters"),
        (322.0, "2 jobs wait, oldest 4m · 1 sent in 1m · 2 dead letters"),
        (323.0, "2 jobs wait, oldest 4m · 2 dead letters"),
    ] {
        console.now = at(seconds);
        console.publish();
        assert!(console.screen().contains(facts), "{seconds}: {}", console.screen());
    }
    let mut console = Console::empty(80, 24);
    assert!(console.press("9").screen().contains("No job waits"), "{}", console.screen());
}

#[test]
fn the_page_of_a_job_without_an_attempt_says_for_what_it_waits() {
    for (keys, shown) in [
        ("9 enter", &["waits for a place in its route", "sent to the rules", "taken from shop-web"][..]),
        ("9 / \"forecast\" enter enter", &["waits for an agent that takes work", "sent to skill forecast"]),
        ("9 / \"88214\" enter enter", &["waits for the next attempt, in 12s", "rule charge", "✗ failed"]),
        ("9 z enter", &["✗ given up", "its deadline of 180 s passed"]),
    ] {
        let mut console = Console::new(120, 40);
        console.press(keys);
        let screen = console.screen();
        for words in shown {
            assert!(screen.contains(words), "{keys}: {words}\n{screen}");
        }
    }
}

#[test]
fn routes_are_listed_and_explained() {
    for (keys, shown) in [
        ("v r", &["4 rules, revision 5f3a9c01", "data.country is in DE, FR", "by turns"][..]),
        ("v r j", &["timeout 30s · deadline 5m00s · 2 retries", "skill charge, then refund-desk"]),
        ("v r G", &["can never decide: rule charge takes all of its messages"]),
        ("v r z", &["old-charge"]),
        (
            ": \"explain_hello\" enter",
            &["not accepted: no rule fits this message", "not type charge: it has none"],
        ),
        (
            ": \"explain_{\"type\":\"charge\"}\" enter",
            &["✓ charge", "decides", "candidates of skill charge", "VERDICT"],
        ),
        (": \"explain_{no\" enter", &["not JSON: "]),
        (
            "2 / \"88214\" enter enter g r",
            &["rule charge, type charge", "taken", "could take it", "out: down"],
        ),
    ] {
        let mut console = Console::new(120, 40);
        console.press(keys);
        let screen = console.screen();
        for words in shown {
            assert!(screen.contains(words), "{keys}: {words}\n{screen}");
        }
    }
}

#[test]
fn an_explanation_is_changed_and_closed() {
    let mut console = Console::new(120, 40);
    console.press(": \"explain_one\" enter e ctrl-u \"explain_two\" enter");
    assert!(console.screen().contains(" two ┤"), "{}", console.screen());
    console.press("esc");
    assert!(!console.screen().contains("explain ─"), "{}", console.screen());
    console.press("esc");
    assert_ne!(console.model.view.screen().word(), "routes", "the second explanation is in the same view");
    // The decisions about a job lead back to its page.
    console.press("2 / \"88214\" enter enter g r esc");
    assert_eq!(console.model.view.screen().word(), "task");
}

/// What the console submitted, in words.
fn submitted(console: &Console) -> Vec<String> {
    let agents = &console.model.context.snapshot.agents;
    let name = |to: &Option<AgentId>| match to {
        Some(id) => {
            let agent = agents.iter().find(|(_, agent)| agent.id == *id);
            agent.map_or_else(|| "gone".into(), |(_, agent)| agent.name.line().into_string())
        }
        None => "router".into(),
    };
    let words = |intent: &Intent| match intent {
        Intent::Retry { to, .. } => format!("retry {}", name(to)),
        Intent::Reroute { to, .. } => format!("reroute {}", name(to)),
        Intent::Requeue { to, .. } => format!("requeue {}", name(to)),
        Intent::PresumeLost { .. } => "presume lost".into(),
        Intent::Send(send) => match &send.target {
            Target::Agent(id) => format!("send {}", name(&Some(*id))),
            Target::Skill(skill) => format!("send skill {}", skill.line()),
            Target::Tag(tag) => format!("send tag {}", tag.line()),
            Target::Route(route) => format!("send route {route}"),
            Target::Any => "send by rules".into(),
        },
        other => format!("{other:?}"),
    };
    let intents = console.asked.iter().flat_map(|cmd| match cmd {
        Cmd::Submit(intent, _) => vec![words(intent)],
        Cmd::SubmitInOrder(intents, _) | Cmd::SubmitOneOf(_, intents, _) => {
            intents.iter().map(words).collect()
        }
        _ => Vec::new(),
    });
    intents.collect()
}

/// Presses keys, each a while after the one before, so that cards hear them.
fn pressed(width: u16, height: u16, keys: &str) -> Console {
    pressed_on(Console::new(width, height), keys)
}

/// The same on a fleet whose agents take work.
fn pressed_working(width: u16, height: u16, keys: &str) -> Console {
    let mut console = Console::new(width, height);
    console.scene.answers = true;
    pressed_on(console, keys)
}

fn pressed_on(mut console: Console, keys: &str) -> Console {
    for key in keys.split(' ') {
        console.press(key).wait(0.3);
    }
    console
}

#[test]
fn a_card_offers_what_fits_the_state() {
    let (ended, live, uncertain) = ("2 / \"88210\" enter", "2 / \"88213\" enter", "2 / \"88190\" enter");
    for (keys, done) in [
        (format!("{ended} r y"), &[][..]),
        (format!("{ended} r 1 y"), &["retry router"]),
        (format!("{ended} r 2 y"), &["retry cashier-2"]),
        (format!("{ended} r 3 \"refund\" enter y"), &["retry refund-desk"]),
        // The agent is chosen before anything is sent, also where its row was only lit.
        (format!("{ended} r j j j y"), &[]),
        (format!("{ended} r j j j y \"refund\" enter y"), &["retry refund-desk"]),
        (format!("{ended} r 3 \"nobody\" enter y"), &[]),
        (format!("{live} r 1 y"), &["reroute router"]),
        // It cannot be moved to where it is.
        (format!("{live} r 2 \"cashier\" enter y"), &["reroute cashier-2"]),
        (format!("{uncertain} r 3 y"), &["presume lost", "retry router"]),
        ("2 / \"88201\" enter r 1 y".into(), &[]),
        ("9 / \"88214\" enter r 1 y".into(), &[]),
        // On a problem of an agent it is about what runs there, or else about what failed there.
        ("4 / \"ledger-1\" enter j r 1 y".into(), &["presume lost", "retry router"]),
        (
            "2 / \"charge_8821\" enter * r \"o2\" tab \"why\" enter".into(),
            &["reroute router", "reroute router"],
        ),
        (
            "2 / \"charge_8821\" enter * r \"ccatalog\" enter \"2\" tab \"why\" enter".into(),
            &["reroute catalog", "reroute catalog"],
        ),
    ] {
        let mut console = pressed(120, 40, &keys);
        assert_eq!(submitted(&console), done, "{keys}\n{}", console.screen());
    }
    for (keys, shown) in [
        (format!("{live} r 1"), "and that is verified. Nothing is"),
        (format!("{ended} r 2"), "task retry"),
        (format!("{uncertain} r 3"), "It is presumed lost; then the agent"),
        (format!("{live} r 2 \"zz\""), "no agent of this name"),
        ("2 / \"88201\" enter r".into(), "it is completed; e sends a copy"),
        ("9 / \"88214\" enter r".into(), "another attempt follows it already"),
        ("2 / \"88100\" enter r 2".into(), "It is unknown whether the work was done"),
    ] {
        let screen = pressed(120, 40, &keys).screen();
        assert!(screen.contains(shown), "{keys}: {shown}\n{screen}");
    }
}

/// A job that was sent and one that never was end without a result, and both are marked.
#[test]
fn dead_letters_of_both_kinds_are_tried_again_together() {
    let mut console = Console::new(120, 40);
    give_up(&mut console, "88214");
    let mut console = pressed_on(console, "9 z * r");
    let card = console.screen();
    for words in ["1 was sent before, 1 was never sent", "2 jobs", "type 2 to do it", "What was never sent"] {
        assert!(card.contains(words), "{words}\n{card}");
    }
    let console = pressed_on(console, "\"o2\" tab \"why\" enter");
    assert_eq!(submitted(&console), ["retry router", "requeue router"]);
}

#[test]
fn an_agent_is_chosen_in_a_card() {
    let mut all = String::new();
    for (width, height) in [(40, 12), (80, 24), (120, 40), (200, 60)] {
        let screen = pressed(width, height, "2 / \"88213\" enter r 2 down").screen();
        all.push_str(&format!("── {width}x{height}\n{screen}\n"));
    }
    insta::assert_snapshot!("screen-card-choose", all);
}

#[test]
fn a_message_is_sent_to_an_agent_a_skill_a_tag_a_route_or_by_rules() {
    for (to, sent) in [
        (r#""cashier-1""#, &["send cashier-1"][..]),
        (r#""skill:charge""#, &["send skill charge"]),
        // A name is completed: the skill of exactly this name comes first, then the route.
        (r#""charge""#, &["send skill charge"]),
        (r#""charge" down"#, &["send route charge"]),
        (r#""skill:ch""#, &["send skill charge"]),
        (r#""tag:pay""#, &["send tag payments"]),
        (r#""route:eu""#, &["send route eu-first"]),
        // Nothing is sent to a route of which no rule fits.
        (r#""route:vip""#, &[]),
        // An empty field offers the rules first.
        ("down up", &["send by rules"]),
        (r#""by_ru""#, &["send by rules"]),
        // Names that nothing has are not sent to.
        (r#""zzz""#, &[]),
        (r#""route:zzz""#, &[]),
        (r#""skill:zzz""#, &[]),
    ] {
        let keys =
            format!(r#"2 n {to} tab "do_it" tab "{{"country":"DE"}}" tab "{{"type":"charge"}}" ctrl-s"#);
        let mut console = pressed_working(120, 40, &keys);
        assert_eq!(submitted(&console), sent, "{keys}\n{}", console.screen());
    }
}

#[test]
fn a_composer_says_where_a_message_will_go() {
    let typed = r#"tab "do_it" tab tab "{"type":"charge"}""#;
    for (keys, shown) in [
        (format!(r#""by_rules" {typed}"#), &["→ cashier-1 by rule charge; then cashier-2"][..]),
        (
            r#""by_rules" tab"#.into(),
            &["Not accepted: no rule fits this message", "eu-first: not type charge: it has none"],
        ),
        (r#""skill:charge" tab"#.into(), &["by turns, as no rule fits; then"]),
        (
            r#""skill:chargx" tab"#.into(),
            &["no agent of the fleet has skill chargx", "Nearest: skill:charge."],
        ),
        (
            r#""route:zzz" tab"#.into(),
            &["no rule has the route zzz; there are charge, eu-first, old-charge, vip"],
        ),
        (r#""zzz" tab"#.into(), &["no agent has the name zzz; name an agent, skill:ID, tag:TAG, route:NAME"]),
        (r#""cashjer-1" tab"#.into(), &["no agent has the name cashjer-1; nearest: cashier-1"]),
        (r#""by_rules" tab tab tab "{no""#.into(), &["Not known yet: Metadata is not JSON"]),
        (r#""charge""#.into(), &["Nothing yet: enter takes skill:charge."]),
        (r#""charge" down"#.into(), &["Nothing yet: enter takes route:charge."]),
        (r#""refund-desk" tab"#.into(), &["→ refund-desk over JSONRPC 0.3"]),
        (
            r#""by_rules" tab "do_it" ctrl-s"#.into(),
            &["no rule fits this message", "ctrl-s again sends it anyway"],
        ),
    ] {
        let screen = pressed_working(120, 40, &format!("2 n {keys}")).screen();
        for words in shown {
            assert!(screen.contains(words), "{keys}: {words}\n{screen}");
        }
    }
    // The same fleet before its agents were reached.
    let screen = pressed(120, 40, &format!(r#"2 n "by_rules" {typed}"#)).screen();
    assert!(screen.contains("Waits: of 7 agents of rule charge, 5 are not reached yet"), "{screen}");
}

#[test]
fn a_deadline_and_a_priority_are_sent_with_a_message() {
    for (options, sent) in [
        (r#""2m" tab "9""#, Some((Some(Duration::from_secs(120)), Some(9)))),
        (r#"tab "0""#, Some((None, Some(0)))),
        ("tab", Some((None, None))),
        (r#""soon""#, None),
        (r#"tab "10""#, None),
    ] {
        let keys = format!(r#"2 n "skill:charge" tab "do_it" tab tab tab {options} ctrl-s"#);
        let mut console = pressed_working(120, 40, &keys);
        let found = console.asked.iter().find_map(|cmd| match cmd {
            Cmd::Submit(Intent::Send(send), _) => Some((send.deadline, send.priority)),
            _ => None,
        });
        assert_eq!(found, sent, "{keys}\n{}", console.screen());
    }
    let screen =
        pressed_working(120, 40, r#"2 n "skill:charge" tab "do_it" tab tab tab "2m" tab "9""#).screen();
    assert!(screen.contains("--deadline=120s --priority=9"), "{screen}");
}

#[test]
fn a_composer_follows_the_fleet() {
    let mut console = pressed(120, 40, r#"2 n "by_rules" tab "do_it" tab tab "{"type":"charge"}""#);
    assert!(console.screen().contains("Waits: "), "{}", console.screen());
    console.scene.answers = true;
    console.wait(2.5);
    assert!(console.screen().contains("by rule charge"), "{}", console.screen());
}

#[test]
fn destinations_and_what_will_happen_at_every_size() {
    let fits = r#"2 n "by_rules" tab "Charge_it." tab tab "{"type":"charge"}""#;
    for (name, keys) in [
        ("to", r#"2 n "charge""#),
        ("to-empty", "2 n"),
        ("rules", fits),
        ("no-rule", r#"2 n "by_rules" tab "Charge_it.""#),
        ("options", r#"2 n "by_rules" tab "Charge_it." tab tab "{"type":"charge"}" tab "2m" tab "9""#),
    ] {
        let mut all = String::new();
        for (width, height) in [(40, 12), (80, 24), (120, 40), (200, 60)] {
            let screen = pressed_working(width, height, keys).screen();
            all.push_str(&format!("── {width}x{height}\n{screen}\n"));
        }
        insta::assert_snapshot!(format!("screen-composer-{name}"), all);
    }
}
