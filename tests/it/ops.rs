//! Acts on many tasks, cancels that go on to what was delegated, and drills, by the command line on a real fleet.

use std::time::Duration;

use quarterdeck::demo::scenario::Delegation;
use quarterdeck::demo::{AgentPart, Behaviour};
use quarterdeck::engine::handle::wire::Hello;
use quarterdeck::engine::{Engine, Options};
use quarterdeck::serve::socket::{self, Listening};
use quarterdeck::store::lock::{Lock, LockHolder};
use serde_json::Value;

use crate::cli::{Desk, fits, schema, text};
use crate::support::{options, part, polled, rules};

/// An agent that hands its work on.
fn delegating(name: &str, to: &[&str]) -> AgentPart {
    let delegate =
        |to: &&str| Delegation { to: (*to).to_owned(), text: "part of {text}".into(), after: 0.1, one_in: 1 };
    let takes = [3000.0, 3000.0];
    AgentPart { delegates: to.iter().map(delegate).collect(), takes, ..part(name, Behaviour::Steady) }
}

/// The ids of the live tasks of an agent.
async fn live(desk: &Desk, agent: &str) -> Vec<String> {
    let list = desk.json(&["task", "list", "-a", agent, "--state", "working"]).await;
    let tasks = list["tasks"].as_array().unwrap().iter();
    tasks.map(|task| task["id"].as_str().unwrap().to_owned()).collect()
}

/// Sends a task and waits until what it delegates is known.
async fn sent(desk: &Desk, agent: &str, below: &[&str]) -> String {
    let sent = desk.json(&["send", "-a", agent, "--async", "do it"]).await;
    let task = sent["task"]["id"].as_str().unwrap().to_owned();
    for below in below {
        polled(async || {
            let is_there = !live(desk, below).await.is_empty();
            is_there.then_some(()).ok_or_else(|| format!("nothing was delegated to {below}"))
        })
        .await;
    }
    task
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_goes_on_to_what_was_delegated_and_says_what_did_not_end() {
    let desk = Desk::new(vec![
        delegating("concierge", &["ledger", "taxi"]),
        part("ledger", Behaviour::Silent),
        AgentPart { takes: [3000.0, 3000.0], ..part("taxi", Behaviour::IgnoresCancel) },
    ]);
    let task = sent(&desk, "concierge", &["ledger", "taxi"]).await;
    let args = ["task", "cancel", "-a", "concierge", &task, "--timeout", "3s"];
    let output = desk.run(&[&args[..], &["-o", "json"]].concat()).await;
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    fits(&schema("metadata"), &printed["metadata"]["quarterdeck"], "metadata");
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
    assert_eq!(printed["status"]["state"], "TASK_STATE_CANCELED");
    let delegated = printed["metadata"]["quarterdeck"]["delegated"].as_array().unwrap();
    let states: Vec<_> = delegated.iter().map(|one| (&one["agent"], &one["state"])).collect();
    let is = |agent: &str, state: &str| states.iter().any(|(of, is)| **of == agent && **is == state);
    assert!(is("ledger", "TASK_STATE_CANCELED") && is("taxi", "TASK_STATE_WORKING"), "{states:?}");
    assert!(
        text(&output.stderr).contains("1 of the 2 that it delegated were seen to end; taxi"),
        "{}",
        text(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_may_be_meant_for_the_task_alone_and_go_on_later() {
    let desk = Desk::new(vec![delegating("concierge", &["ledger"]), part("ledger", Behaviour::Silent)]);
    let task = sent(&desk, "concierge", &["ledger"]).await;
    let alone = desk.json(&["task", "cancel", "-a", "concierge", &task, "--no-cascade"]).await;
    assert!(alone["metadata"]["quarterdeck"]["delegated"].is_null());
    assert_eq!(live(&desk, "ledger").await.len(), 1);
    let later = desk.json(&["task", "cancel", "-a", "concierge", &task]).await;
    assert_eq!(later["metadata"]["quarterdeck"]["delegated"][0]["cancel"], "verified");
    assert_eq!(live(&desk, "ledger").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_are_moved_after_a_plan() {
    let desk = Desk::new(vec![part("one", Behaviour::Silent), part("two", Behaviour::Silent)]);
    for _ in 0..3 {
        sent(&desk, "one", &[]).await;
    }
    // Nobody can be asked here: the plan alone.
    let args = ["task", "reroute", "--agent", "one", "--to", "two", "--why", "it fails"];
    let output = desk.run(&[&args[..], &["-o", "json"]].concat()).await;
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    fits(&schema("bulk"), &plan, "bulk");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert_eq!((&plan["applied"], plan["tasks"].as_array().unwrap().len()), (&Value::Bool(false), 3));
    assert!(plan["tasks"].as_array().unwrap().iter().all(|task| task["to"] == "two"), "{plan}");
    assert_eq!((live(&desk, "one").await.len(), live(&desk, "two").await.len()), (3, 0));

    let done = desk.json(&[&args[..], &["--yes"]].concat()).await;
    fits(&schema("bulk"), &done, "bulk");
    let results: Vec<_> =
        done["tasks"].as_array().unwrap().iter().map(|task| &task["result"]["to"]).collect();
    assert_eq!(results, ["two"; 3], "{done}");
    assert_eq!(live(&desk, "one").await.len(), 0);
    let canceled = desk.json(&["task", "cancel", "--agent", "two", "--yes"]).await;
    assert!(
        canceled["tasks"].as_array().unwrap().iter().all(|task| task["result"]["is"] == "ended"),
        "{canceled}"
    );

    for (args, code) in [
        (vec!["task", "cancel", "--yes"], 2),
        (vec!["task", "reroute", "--agent", "nobody", "--yes"], 2),
        (vec!["task", "reroute", "--problem", "p-999", "--yes"], 2),
        (vec!["task", "reroute", "--agent", "one", "--state", "wrking", "--yes"], 2),
        (vec!["task", "reroute", "--agent", "one", "--yes"], 1),
        (vec!["--read-only", "task", "reroute", "--agent", "two", "--yes"], 1),
    ] {
        let output = desk.run(&args).await;
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_fleet_wants_a_reason_for_many_tasks() {
    let desk = Desk::new(vec![part("one", Behaviour::Silent), part("two", Behaviour::Silent)]);
    let config = desk.dir.path().join("config.toml");
    let plain = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, plain.replacen("[fleet.default]", "[fleet.default]\nprotect = true", 1)).unwrap();
    assert!(std::fs::read_to_string(&config).unwrap().contains("protect = true"), "{plain}");
    for _ in 0..2 {
        sent(&desk, "one", &[]).await;
    }
    for act in ["cancel", "reroute"] {
        let output = desk.run(&["task", act, "--agent", "one", "--yes"]).await;
        assert_eq!(output.status.code(), Some(1), "{act}: {}", text(&output.stderr));
        let says = text(&output.stderr);
        assert!(says.contains("nothing was done") && says.contains("--why"), "{act}: {says}");
    }
    assert_eq!(live(&desk, "one").await.len(), 2);
    // One task needs none.
    let one = live(&desk, "one").await.remove(0);
    desk.json(&["task", "cancel", "-a", "one", &one]).await;
    sent(&desk, "one", &[]).await;
    desk.json(&["task", "cancel", "--agent", "one", "--yes", "--why", "wrong input"]).await;
    assert_eq!(live(&desk, "one").await.len(), 0);
    let acts = desk.json(&["audit", "--intent", "cancel-with-delegated", "--limit", "2"]).await;
    assert_eq!(
        (&acts["audit"][0]["bulk"], &acts["audit"][0]["why"]),
        (&2.into(), &"wrong input".into()),
        "{acts}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_changes_nothing_unless_it_is_for_real() {
    let desk = Desk::new(vec![part("one", Behaviour::Silent), part("two", Behaviour::Silent)]);
    sent(&desk, "one", &[]).await;
    let drill = desk.json(&["drill", "one"]).await;
    fits(&schema("drill"), &drill, "drill");
    assert_eq!((&drill["tasks"][0]["fate"], &drill["forReal"]), (&"asked".into(), &Value::Bool(false)));
    assert_eq!(live(&desk, "one").await.len(), 1);
    for (args, code) in [
        (vec!["drill"], 2),
        (vec!["drill", "nobody"], 2),
        (vec!["drill", "one", "--for-real"], 2),
        (vec!["drill", "one", "--for-real", "--confirm", "two"], 1),
        (vec!["drill", "one", "--for-real", "--for", "2h"], 2),
        (vec!["--read-only", "drill", "one", "--for-real", "--confirm", "one"], 1),
    ] {
        let output = desk.run(&args).await;
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
    }
    // Only the engine that owns the demo may let its agents die.
    let refused = desk.run(&["drill", "one", "--for-real", "--confirm", "one"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("a demo that this engine owns"), "{}", text(&refused.stderr));
    let (owner, socket) = owner(&desk);
    let real = desk.json(&["drill", "one", "--for-real", "--confirm", "one", "--for", "6s"]).await;
    fits(&schema("drill"), &real, "drill");
    assert_eq!(
        (&real["forReal"], &real["tasks"][0]["actual"]["fate"]),
        (&Value::Bool(true), &"stays".into())
    );
    let agents = desk.json(&["agents"]).await;
    assert!(agents["agents"].as_array().unwrap().iter().all(|agent| agent["state"] == "up"), "{agents}");
    drop(socket);
    owner.stop().await;
}

/// The engine that owns the demo of a desk, which its commands join.
fn owner(desk: &Desk) -> (Engine, Listening) {
    let dir = desk.dir.path().join("data");
    let mut lock = Lock::take(&dir).unwrap().expect("no other engine");
    let holder = LockHolder { socket: socket::place(&dir), pid: std::process::id(), lasting: true };
    lock.announce(&holder).unwrap();
    let lock = Some(lock);
    let engine = Engine::start(Options { lock, ..options(desk.fleet.specs(), Some(&dir), rules()) }).unwrap();
    engine.owns_demo(desk.fleet.drill_token().clone());
    let listening = socket::listen(&dir, engine.handle(), Hello::default()).unwrap();
    (engine, listening)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_its_engine_can_let_a_demo_agent_die() {
    let desk = Desk::new(vec![part("one", Behaviour::Steady)]);
    let other = Desk::new(vec![part("one", Behaviour::Steady)]);
    let url = desk.fleet.list()[0].url.clone();
    let client = reqwest::Client::new();
    let own = desk.fleet.drill_token().to_str().unwrap();
    let foreign = other.fleet.drill_token().to_str().unwrap();
    let ask = |token: &str, origin: bool, body: &'static str| {
        let request = client.post(format!("{url}/demo/die")).body(body);
        let request = if token.is_empty() { request } else { request.header("quarterdeck-drill", token) };
        if origin { request.header("origin", &url) } else { request }
    };
    for (name, token, origin, body, status) in [
        ("no token", "", false, "{\"seconds\":5}", 403),
        ("a guess", "1", false, "{\"seconds\":5}", 403),
        ("that of another demo", foreign, false, "{\"seconds\":5}", 403),
        ("a page in a browser", own, true, "{\"seconds\":5}", 403),
        ("no time", own, false, "{\"seconds\":0}", 400),
        ("too long", own, false, "{\"seconds\":601}", 400),
        ("nonsense", own, false, "nonsense", 400),
        ("its engine", own, false, "{\"seconds\":1}", 202),
    ] {
        assert_eq!(ask(token, origin, body).send().await.unwrap().status(), status, "{name}");
    }
    let dead = async || {
        ask("", false, "")
            .timeout(Duration::from_secs(1))
            .send()
            .await
            .is_err()
            .then_some(())
            .ok_or_else(|| "it lives".to_owned())
    };
    polled(dead).await;
    let back = async || {
        ask("", false, "")
            .timeout(Duration::from_secs(1))
            .send()
            .await
            .is_ok()
            .then_some(())
            .ok_or_else(|| "it is dead".to_owned())
    };
    polled(back).await;
}
