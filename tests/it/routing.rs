//! Routing on real connections: where messages go, what waits, and what happens when agents die.

use std::io::Write as _;
use std::process::Stdio;

use quarterdeck::demo::{AgentPart, Behaviour};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _};

use crate::cli::{Desk, fits, schema, text};
use crate::support::{part, polled};

/// Two agents that take two tasks at once, one that fails, and rules for them.
fn desk() -> Desk {
    let desk = Desk::new(vec![
        part("one", Behaviour::Steady),
        part("two", Behaviour::Steady),
        part("broken", Behaviour::Failing),
    ]);
    let rules = r#"
[[fleet.default.routes]]
name = "pair"
match = { type = "pair" }
to = { set = ["one", "two"] }
balance = "least_connections"

[[fleet.default.routes]]
name = "narrow"
match = { route = "slow-lane" }
to = { agent = "one" }
concurrency = 1
deadline = "30s"

[[fleet.default.routes]]
name = "never"
match = { type = "pair", caller = "nobody" }
to = { skill = "work" }
[[fleet.default.routes]]
name = "shadowed"
match = { type = "pair", caller = "nobody", tag = "x", route = "never" }
to = { skill = "nothing" }
"#;
    let file = std::fs::OpenOptions::new().append(true).open(desk.dir.path().join("config.toml"));
    file.unwrap().write_all(rules.as_bytes()).unwrap();
    desk
}

const PAIR: &str = r#"{"type":"pair"}"#;

fn agent_of(sent: &Value) -> &str {
    sent["task"]["metadata"]["quarterdeck"]["agent"].as_str().unwrap_or_else(|| panic!("{sent}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_go_where_the_rules_say_and_the_commands_say_why() {
    let desk = desk();
    let explained = desk.json(&["route", "explain", "a room", "--metadata", PAIR]).await;
    fits(&schema("route-explain"), &explained, "route-explain");
    assert_eq!(explained["rule"], "pair");
    let taken = explained["outcome"]["agent"].as_str().unwrap();
    let sent = desk.json(&["send", "a room", "--metadata", PAIR]).await;
    assert_eq!(agent_of(&sent), taken, "what is explained is what is done");
    let job = sent["task"]["metadata"]["quarterdeck"]["job"].as_str().unwrap();
    let decisions = desk.json(&["route", "explain", "--job", job]).await;
    assert_eq!(decisions["decisions"][0]["rule"], "pair");
    assert_eq!(decisions["decisions"][0]["candidates"][0]["agent"], taken);

    let nowhere = desk.json(&["route", "explain", "a room"]).await;
    fits(&schema("route-explain"), &nowhere, "route-explain");
    assert!(nowhere["outcome"]["nowhere"].as_str().unwrap().contains("no rule fits"), "{nowhere}");
    let refused = desk.run(&["send", "a room"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("no rule fits this message"), "{}", text(&refused.stderr));

    let sent = desk.json(&["send", "a room", "--route", "slow-lane"]).await;
    assert_eq!(agent_of(&sent), "one");
    let sent = desk.json(&["send", "a room", "-a", "two", "--skill", "work"]).await;
    assert_eq!(agent_of(&sent), "two");

    let checked = desk.run(&["route", "check", "-o", "json"]).await;
    assert_eq!(checked.status.code(), Some(1));
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let findings: Vec<_> =
        checked["findings"].as_array().unwrap().iter().map(|row| row["rule"].as_str().unwrap()).collect();
    // It can never decide, and nobody has its skill.
    assert_eq!(findings, ["shadowed", "shadowed"], "{checked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_dies_or_is_drained_loses_its_work_to_the_other() {
    let desk = desk();
    let mut serve = desk.command().arg("serve").stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let running = desk.dir.path().join("data/engine.sock");
    polled(async || if running.exists() { Ok(()) } else { Err("no socket yet".into()) }).await;
    let drained = desk.json(&["drain", "one", "--why", "disk swap"]).await;
    assert_eq!((drained["service"].as_str(), drained["why"].as_str()), (Some("drained"), Some("disk swap")));
    let agents = desk.json(&["agents"]).await;
    fits(&schema("agents"), &agents, "agents");
    assert_eq!(agents["agents"][0]["service"], "drained");
    let sent = desk.json(&["send", "a room", "--metadata", PAIR]).await;
    assert_eq!(agent_of(&sent), "two");
    let refused = desk.run(&["send", "-a", "one", "a room"]).await;
    assert!(text(&refused.stderr).contains("out of service, drained by"), "{}", text(&refused.stderr));

    // Nobody is left: it waits, and leaves once one is back.
    desk.fleet.kill("two");
    polled(async || {
        let agents = desk.json(&["agents"]).await;
        let down = agents["agents"][1]["state"] == "down";
        if down { Ok(()) } else { Err(agents.to_string()) }
    })
    .await;
    let args = ["send", "a room for later", "--metadata", PAIR, "-o", "json"];
    let waiting = desk.command().args(args).stdout(Stdio::piped()).spawn().unwrap();
    polled(async || {
        let queue = desk.json(&["queue"]).await;
        fits(&schema("queue"), &queue, "queue");
        if queue["queue"][0]["waitsFor"] == "unavailable" { Ok(()) } else { Err(queue.to_string()) }
    })
    .await;
    desk.json(&["drain", "one", "--resume"]).await;
    let output = waiting.wait_with_output().await.unwrap();
    let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(agent_of(&sent), "one");
    let queue = desk.json(&["queue"]).await;
    assert!(
        queue["queue"].as_array().unwrap().is_empty() && queue["deadLetters"].as_array().unwrap().is_empty()
    );
    serve.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_tried_again_elsewhere_with_a_message_of_its_own() {
    let desk = desk();
    let failed = loop {
        let sent = desk.json(&["send", "-a", "broken", "a room"]).await;
        if sent["task"]["status"]["state"] == "TASK_STATE_FAILED" {
            break sent;
        }
    };
    let ours = |sent: &Value| sent["task"]["metadata"]["quarterdeck"].clone();
    let job = ours(&failed)["job"].as_str().unwrap().to_owned();
    // The message of a job that is over is read from the journal.
    let again = desk.json(&["task", "retry", &job, "--to", "two", "--why", "broken again"]).await;
    assert_eq!(
        (agent_of(&again), again["task"]["status"]["state"].as_str()),
        ("two", Some("TASK_STATE_COMPLETED"))
    );
    assert_eq!(ours(&again)["job"].as_str(), Some(&*job));
    assert_ne!(ours(&again)["messageId"], ours(&failed)["messageId"]);
    let said: Vec<_> = again["task"]["history"].as_array().unwrap().iter().map(|one| &one["role"]).collect();
    assert_eq!(said.iter().filter(|role| **role == "ROLE_USER").count(), 1, "{again}");
    let refused = desk.run(&["task", "retry", &job]).await;
    assert!(text(&refused.stderr).contains("it completed"), "{}", text(&refused.stderr));
    let unknown = desk.run(&["task", "retry", &job, "--to", "tow"]).await;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("did you mean two?"), "{}", text(&unknown.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_attempt_takes_along_arrives_at_its_agent() {
    let desk = desk();
    let failed = loop {
        let sent = desk.json(&["send", "-a", "broken", "a room"]).await;
        if sent["task"]["status"]["state"] == "TASK_STATE_FAILED" {
            break sent;
        }
    };
    let (job, task) = (&failed["task"]["metadata"]["quarterdeck"]["job"], &failed["task"]["id"]);
    let args =
        ["task", "retry", job.as_str().unwrap(), "--to", "two", "--carry", "content", "--context", "same"];
    let output = desk.run(&[&args[..], &["-o", "json"]].concat()).await;
    let warning = text(&output.stderr);
    assert!(
        warning.contains("the context is known to broken: two may begin an empty conversation"),
        "{warning}"
    );
    let again: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(again["task"]["contextId"], failed["task"]["contextId"]);
    // The message as the agent keeps it.
    let history = again["task"]["history"].as_array().unwrap();
    let arrived = history.iter().find(|message| message["role"] == "ROLE_USER").unwrap();
    assert_eq!(arrived["referenceTaskIds"], serde_json::json!([task]), "{arrived}");
    assert_eq!(arrived["metadata"]["quarterdeck.carried"]["task"], *task, "{arrived}");
    assert_eq!(arrived["messageId"], again["task"]["metadata"]["quarterdeck"]["messageId"]);
    let texts: Vec<_> =
        arrived["parts"].as_array().unwrap().iter().filter_map(|part| part["text"].as_str()).collect();
    assert_eq!(texts[0], "a room");
    assert!(texts[1].contains(&format!("an earlier attempt (task {})", task.as_str().unwrap())), "{texts:?}");
    assert!(texts.contains(&"Message of the agent:"), "{texts:?}");
    let attempts = again["attempts"].as_array().unwrap();
    let sent_as: Vec<_> = attempts.iter().map(|one| one["sentAs"].as_str().unwrap()).collect();
    assert_eq!(sent_as, ["first", "again"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_of_a_race_is_the_result_and_the_others_are_canceled() {
    let desk = Desk::new(vec![part("quiet", Behaviour::Silent), part("two", Behaviour::Steady)]);
    let rule = r#"
[[fleet.default.routes]]
name = "hedged"
to = { set = ["quiet", "two"] }
idempotent = true
hedge = { after = "1s" }
"#;
    let file = std::fs::OpenOptions::new().append(true).open(desk.dir.path().join("config.toml"));
    file.unwrap().write_all(rule.as_bytes()).unwrap();
    let mut serve = desk.command().arg("serve").stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let running = desk.dir.path().join("data/engine.sock");
    polled(async || if running.exists() { Ok(()) } else { Err("no socket yet".into()) }).await;
    let story = |sent: &Value| -> Vec<String> {
        let attempts = sent["attempts"].as_array().unwrap_or_else(|| panic!("{sent}"));
        let word = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let line = |one: &Value| format!("{} {} {}", word(one, "agent"), word(one, "sentAs"), one["won"]);
        attempts.iter().map(line).collect()
    };
    let is_canceled = async |task: &str| {
        polled(async || {
            let task = desk.json(&["task", "get", task]).await;
            let verified = task["metadata"]["quarterdeck"]["cancel"] == "verified";
            if verified { Ok(()) } else { Err(task.to_string()) }
        })
        .await;
    };

    let sent = desk.json(&["send", "-a", "quiet", "a room", "--async"]).await;
    let task = sent["task"]["id"].as_str().unwrap();
    let won = desk.json(&["task", "race", task, "--agent", "two", "--why", "it is slow"]).await;
    assert_eq!(agent_of(&won), "two");
    assert_eq!(story(&won), ["quiet first false", "two raced true"]);
    is_canceled(task).await;
    let refused = desk.run(&["task", "race", task, "--why", "again"]).await;
    assert!(text(&refused.stderr).contains("is completed"), "{}", text(&refused.stderr));

    // By turns: one of two is sent to the agent that says nothing.
    let mut hedged = desk.json(&["send", "a room"]).await;
    if hedged["attempts"].is_null() {
        hedged = desk.json(&["send", "a room"]).await;
    }
    assert_eq!(agent_of(&hedged), "two");
    assert_eq!(story(&hedged), ["quiet first false", "two hedged true"]);
    assert_eq!(hedged["attempts"][1]["reason"], "hedged: it took longer than 1.0s");
    is_canceled(hedged["attempts"][0]["task"].as_str().unwrap()).await;
    serve.kill().await.unwrap();
}

/// The output of a stream is that of one attempt, whichever completes first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_prints_the_winner_of_a_race_alone() {
    let talks = |name, seconds| AgentPart { takes: [seconds, seconds], ..part(name, Behaviour::Chatty) };
    let desk = Desk::new(vec![
        talks("talks", 20.0),
        talks("endless", 3000.0),
        part("two", Behaviour::Steady),
        part("quiet", Behaviour::Silent),
    ]);
    let mut serve = desk.command().arg("serve").stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let running = desk.dir.path().join("data/engine.sock");
    polled(async || if running.exists() { Ok(()) } else { Err("no socket yet".into()) }).await;
    // Sends to the first agent, races the task at the second one once the first has said something, and reads all.
    let race = async |first: &str, second: &str, more: &[&str]| {
        let mut sending = desk.command();
        sending.args(["send", "-a", first, "a room", "--stream"]).args(more).kill_on_drop(true);
        let mut sending = sending.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut reader = tokio::io::BufReader::new(sending.stdout.take().unwrap());
        let mut said = String::new();
        while !said.to_lowercase().contains("artifact") {
            assert_ne!(reader.read_line(&mut said).await.unwrap(), 0, "{said}");
        }
        let (_, id) = said.split_once("Task: ").or_else(|| said.split_once(r#""id":""#)).unwrap();
        let id = id.split(['\n', '"']).next().unwrap().to_owned();
        let args = ["task", "race", &id, "--agent", second, "--why", "slow"];
        let raced = desk.run(&args);
        let (raced, read) = tokio::join!(raced, reader.read_to_string(&mut said));
        read.unwrap();
        let output = sending.wait_with_output().await.unwrap();
        assert!(raced.status.success() && output.status.success(), "{}", text(&output.stderr));
        (said, text(&output.stderr))
    };

    // Another one completes first: its output follows, and nothing of the first one comes behind it.
    let (said, told) = race("endless", "two", &[]).await;
    let tasks: Vec<&str> = said.split("Task: ").skip(1).collect();
    assert_eq!(tasks.len(), 3, "{said}");
    assert!(tasks[1].contains("Done: a room"), "{said}");
    assert_eq!(tasks[1].split_whitespace().next(), tasks[2].split_whitespace().next(), "{said}");
    for told_of in ["attempt 2 at two: runs beside it", "attempt 2 at two is the result: its output follows"]
    {
        assert!(told.contains(told_of), "{told}");
    }

    // The first one completes first: its output goes on where it was, once.
    let (said, told) = race("talks", "quiet", &[]).await;
    assert_eq!((said.matches("Task: ").count(), said.matches("Artifact ").count()), (2, 1), "{said}");
    assert!(told.contains("attempt 1 at talks is the result: its output goes on"), "{told}");

    // JSON Lines have both, and say whose each is.
    let (said, _) = race("endless", "two", &["-o", "json"]).await;
    let lines = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let numbers: Vec<_> = lines
        .filter_map(|line| line["artifactUpdate"]["metadata"]["quarterdeck"]["number"].as_u64())
        .collect();
    assert!(numbers.contains(&1) && numbers.contains(&2), "{said}");
    serve.kill().await.unwrap();
}

/// A changed file takes effect; one with faults changes nothing, and a problem names the line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_read_again_when_their_file_changes() {
    let desk = desk();
    let file = desk.dir.path().join("config.toml");
    let mut serve = desk.command().arg("serve").stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let running = desk.dir.path().join("data/engine.sock");
    polled(async || if running.exists() { Ok(()) } else { Err("no socket yet".into()) }).await;
    let good = std::fs::read_to_string(&file).unwrap();
    let before = desk.json(&["route", "list"]).await;
    std::fs::write(&file, good.replace("least_connections", "fastest")).unwrap();
    // Commands read the file too, and say what is wrong with it; the engine keeps what it has.
    let other = desk.dir.path().join("good.toml");
    std::fs::write(&other, &good).unwrap();
    let ask = async |args: &[&str]| -> Value {
        let mut command = crate::kill::binary();
        command.arg("--config").arg(&other).arg("--data-dir").arg(desk.dir.path().join("data"));
        let output = command.args(args).args(["-o", "json"]).output().await.unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
    };
    polled(async || {
        let problems = ask(&["problems"]).await;
        let told = problems["problems"].as_array().unwrap().iter().any(|problem| {
            problem["kind"] == "routes-unread"
                && problem["text"].as_str().unwrap().contains("\"fastest\" is no balance")
        });
        if told { Ok(()) } else { Err(problems.to_string()) }
    })
    .await;
    assert_eq!(ask(&["route", "list"]).await, before);
    std::fs::write(&file, good.replace("least_connections", "two_choices")).unwrap();
    polled(async || {
        let rules = ask(&["route", "list"]).await;
        let problems = ask(&["problems"]).await;
        let clear =
            problems["problems"].as_array().unwrap().iter().all(|problem| problem["kind"] != "routes-unread");
        if clear && rules["rules"][0]["balance"] == "two_choices" { Ok(()) } else { Err(rules.to_string()) }
    })
    .await;
    serve.kill().await.unwrap();
}

/// Waits until an engine of this desk listens.
async fn serving(desk: &Desk) -> tokio::process::Child {
    let serve = desk.command().arg("serve").stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let running = desk.dir.path().join("data/engine.sock");
    polled(async || if running.exists() { Ok(()) } else { Err("no socket yet".into()) }).await;
    serve
}

/// Work moves to a successor in two steps, goes back when an operator says so, and survives the end of the engine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_moves_to_a_successor_and_back() {
    let desk = desk();
    let mut serve = serving(&desk).await;
    let began =
        desk.json(&["route", "shift", "one", "two", "--step", "50,100", "--jobs", "3", "--time", "1s"]).await;
    fits(&schema("route-shift"), &began, "route-shift");
    assert_eq!((&began["shifts"][0]["percent"], &began["shifts"][0]["step"]), (&50.into(), &1.into()));
    let explained = desk.json(&["route", "explain", "a room", "--metadata", PAIR]).await;
    fits(&schema("route-explain"), &explained, "route-explain");
    assert_eq!(
        explained["shift"]["why"],
        "50 % of what one would get goes to two (shift, step 1 of 2): this job does"
    );
    let mut agents = Vec::new();
    for _ in 0..4 {
        let sent = desk.json(&["send", "a room", "--metadata", PAIR]).await;
        agents.push(agent_of(&sent).to_owned());
    }
    assert_eq!(agents, ["two", "one", "two", "one"]);
    // The third job of the successor, and a second, are what the step needs.
    desk.json(&["send", "a room", "--metadata", PAIR]).await;
    let status = polled(async || {
        let status = desk.json(&["route", "shift", "--status"]).await;
        if status["shifts"][0]["step"] == 2 { Ok(status) } else { Err(status.to_string()) }
    })
    .await;
    fits(&schema("route-shift"), &status, "route-shift");
    let listed = desk.json(&["route", "list"]).await;
    fits(&schema("routes"), &listed, "routes");
    assert_eq!(listed["shifts"][0]["to"], status["shifts"][0]["to"]);
    let named = desk.json(&["send", "-a", "one", "a room"]).await;
    assert_eq!(agent_of(&named), "one", "who names an agent gets it");

    for (args, code, words) in [
        (&["route", "shift", "two", "broken"][..], 1, "takes part in another shift"),
        (&["route", "shift", "tow", "broken"], 2, "did you mean two?"),
        (&["route", "shift", "one"], 2, "the successor is missing"),
        (&["route", "shift", "one", "--resume"], 1, "nothing to resume"),
    ] {
        let refused = desk.run(args).await;
        assert_eq!(refused.status.code(), Some(code), "{args:?}: {}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains(words), "{args:?}: {}", text(&refused.stderr));
    }

    serve.kill().await.unwrap();
    let mut serve = serving(&desk).await;
    let back = desk.json(&["route", "shift", "--back", "--why", "wrong totals"]).await;
    assert_eq!(
        (&back["shifts"][0]["percent"], &back["shifts"][0]["stage"]),
        (&0.into(), &"back at 0".into())
    );
    for _ in 0..2 {
        assert_eq!(agent_of(&desk.json(&["send", "a room", "--metadata", PAIR]).await), "one");
    }
    let handover = desk.json(&["handover"]).await;
    assert_eq!(handover["shifts"][0]["to"], "two");
    assert!(handover["log"].to_string().contains("wrong totals"), "{handover}");
    let ended = desk.json(&["route", "shift", "one", "--end"]).await;
    assert_eq!(ended["shifts"], Value::Array(Vec::new()));
    serve.kill().await.unwrap();
}

/// Jobs of the past against a file of rules that is not loaded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_is_replayed_against_changed_rules() {
    let desk = desk();
    let mut serve = serving(&desk).await;
    let mut to_two = 0;
    for _ in 0..4 {
        let sent = desk.json(&["send", "a room", "--metadata", PAIR]).await;
        to_two += u64::from(agent_of(&sent) == "two");
    }
    desk.json(&["send", "a room", "--route", "slow-lane"]).await;
    desk.json(&["send", "a room", "-a", "two"]).await;
    let file = desk.dir.path().join("next.toml");
    let name = file.display().to_string();
    let check = async |rules: &str| -> Value {
        std::fs::write(&file, rules).unwrap();
        let checked = desk.json(&["route", "check", &name, "--replay", "--list", "9"]).await;
        fits(&schema("route-check"), &checked, "route-check");
        checked
    };
    let pair = |to: &str| {
        format!(
            "[[fleet.default.routes]]\nname = \"pair\"\nmatch = {{ type = \"pair\" }}\nto = {to}\n\
             [[fleet.default.routes]]\nname = \"narrow\"\nmatch = {{ route = \"slow-lane\" }}\nto = {{ agent = \"one\" }}\n"
        )
    };
    let moved = check(&pair("{ agent = \"one\" }")).await;
    let replay = &moved["replay"];
    assert_eq!((replay["jobs"].as_u64(), replay["byName"].as_u64()), (Some(5), Some(1)), "{moved}");
    assert_eq!(replay["elsewhere"].as_u64(), Some(to_two), "{moved}");
    assert_eq!(replay["same"].as_u64(), Some(5 - to_two), "{moved}");
    assert!(moved["differences"].to_string().contains("rule pair sends to one, not one, two"), "{moved}");
    let nobody = check(&pair("{ skill = \"nothing\" }")).await;
    assert_eq!(nobody["replay"]["toNobody"].as_u64(), Some(4), "{nobody}");
    assert_eq!(nobody["replay"]["differing"].as_array().map(Vec::len), Some(4), "{nobody}");
    assert_eq!(nobody["findings"][0]["rule"], "pair");
    let turns = check(&pair("{ set = [\"one\", \"two\"] }")).await;
    assert_eq!(turns["replay"]["elsewhere"].as_u64(), Some(0), "turns are chance: {turns}");
    let loaded = desk.json(&["route", "list"]).await;
    assert_eq!(loaded["rules"][0]["balance"], "least_connections", "nothing was loaded");

    std::fs::write(&file, "[[fleet.default.routes]]\nname = 7\n").unwrap();
    let faulty = desk.run(&["route", "check", &name, "--replay"]).await;
    assert_eq!(faulty.status.code(), Some(2));
    let absent = desk.run(&["route", "check", "nothing.toml"]).await;
    assert_eq!(absent.status.code(), Some(2));
    serve.kill().await.unwrap();
}
