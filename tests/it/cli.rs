//! The command line: the shapes of results, exit codes, errors with a next step, help.

use std::path::Path;
use std::process::Output;

use quarterdeck::demo::{Behaviour, Fleet};
use quarterdeck::domain::limits;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::kill::{binary, configure};
use crate::support::{fleet, old_part, part, polled};

pub(crate) struct Desk {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) fleet: Fleet,
}

impl Desk {
    pub(crate) fn new(parts: Vec<quarterdeck::demo::AgentPart>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fleet = fleet(parts);
        configure(dir.path(), &fleet);
        Self { dir, fleet }
    }

    fn url(&self, name: &str) -> String {
        self.fleet.list().into_iter().find(|agent| agent.name == name).unwrap().url
    }

    /// A command on its fleet.
    pub(crate) fn command(&self) -> Command {
        let mut command = binary();
        command.arg("--config").arg(self.dir.path().join("config.toml"));
        command.arg("--data-dir").arg(self.dir.path().join("data"));
        command
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().await.unwrap()
    }

    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["-o", "json"]].concat()).await;
        assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{args:?}: {}", text(&output.stdout)))
    }

    /// The exit code of a command that fails, and its error.
    async fn failure(&self, args: &[&str]) -> (i32, Value) {
        let output = self.run(&[args, &["-o", "json"]].concat()).await;
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{args:?}: {}{}", text(&output.stdout), text(&output.stderr)));
        assert!(value["error"]["message"].is_string(), "{value}");
        (output.status.code().unwrap(), value["error"].clone())
    }

    /// The exit code and the error's code of a command that fails.
    async fn error(&self, args: &[&str]) -> (i32, String) {
        let (exit, error) = self.failure(args).await;
        (exit, error["code"].as_str().unwrap().to_owned())
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_have_the_shapes_that_scripts_rely_on() {
    let desk = Desk::new(vec![
        part("steady", Behaviour::Steady),
        old_part("old", Behaviour::Steady),
        part("words", Behaviour::MessageOnly),
        part("asks", Behaviour::NeedsInput),
    ]);
    let agents = desk.json(&["agents"]).await;
    let rows = agents["agents"].as_array().unwrap();
    let states: Vec<_> = rows
        .iter()
        .map(|row| (row["name"].as_str(), row["state"].as_str(), row["dialect"].as_str()))
        .collect();
    assert_eq!(
        states,
        [
            (Some("steady"), Some("up"), Some("1.0")),
            (Some("old"), Some("up"), Some("0.3")),
            (Some("words"), Some("up"), Some("1.0")),
            (Some("asks"), Some("up"), Some("1.0")),
        ]
    );
    assert_eq!(rows[0]["binding"], "JSONRPC");
    assert!(rows[0]["reason"].is_null() && rows[0]["since"].is_string());

    for agent in ["steady", "old"] {
        let sent = desk.json(&["send", "-a", agent, "do it"]).await;
        let ours = &sent["task"]["metadata"]["quarterdeck"];
        assert_eq!(sent["task"]["status"]["state"], "TASK_STATE_COMPLETED");
        assert_eq!(sent["task"]["artifacts"][0]["parts"][0]["text"], "Done: do it");
        assert_eq!(
            (&ours["agent"], &ours["attemptState"], &ours["cancel"]),
            (&Value::from(agent), &Value::from("accepted"), &Value::Null)
        );
        let id = sent["task"]["id"].as_str().unwrap();
        let read = desk.json(&["task", "get", id]).await;
        assert_eq!(read["status"]["state"], "TASK_STATE_COMPLETED");
        assert_eq!(read["metadata"]["quarterdeck"]["job"], ours["job"]);
    }
    let words = desk.json(&["send", "-a", "words", "which way?"]).await;
    assert_eq!(words["message"]["role"], "ROLE_AGENT");

    let asked = desk.json(&["send", "-a", "asks", "refund 412 EUR"]).await;
    assert_eq!(asked["task"]["status"]["state"], "TASK_STATE_INPUT_REQUIRED");
    let id = asked["task"]["id"].as_str().unwrap();
    let inbox = desk.json(&["inbox"]).await;
    assert_eq!(inbox["inbox"][0]["taskId"], id);
    assert_eq!(inbox["inbox"][0]["wants"], "approval");
    let answered = desk.json(&["send", "-a", "asks", "--task-id", id, "approve"]).await;
    assert_eq!(answered["task"]["status"]["state"], "TASK_STATE_COMPLETED");
    assert_eq!(desk.json(&["inbox"]).await["inbox"], Value::Array(vec![]));

    let list = desk.json(&["task", "list"]).await;
    assert_eq!(list["tasks"].as_array().unwrap().len(), 3);
    assert_eq!(list["attempts"][0]["attemptState"], "answered");
    let completed = desk.json(&["task", "list", "--state", "completed", "--limit", "1"]).await;
    assert_eq!((completed["tasks"].as_array().unwrap().len(), &completed["totalSize"]), (1, &Value::from(3)));
    assert!(desk.json(&["problems"]).await["problems"].is_array());
    assert_eq!(desk.fleet.received().1, 0);
}

/// Metrics add up to the same totals however they are grouped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_listed_by_agent_skill_and_caller() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady), part("words", Behaviour::MessageOnly)]);
    for _ in 0..3 {
        desk.json(&["send", "-a", "steady", "do it"]).await;
    }
    for by in ["agent", "skill", "caller"] {
        let json = desk.json(&["metrics", "--by", by]).await;
        assert_eq!(json["by"], by);
        let rows = json["metrics"].as_array().unwrap();
        let sum = |key: &str| rows.iter().map(|row| row["now"][key].as_u64().unwrap()).sum::<u64>();
        assert_eq!((sum("begun"), sum("ok"), sum("failed")), (3, 3, 0), "{json}");
        assert!(rows.iter().all(|row| row["was"]["begun"] == 0), "{json}");
    }
    let alone = desk.json(&["metrics", "steady", "--window", "5m"]).await;
    let row = &alone["metrics"][0];
    assert_eq!((&row["agent"], alone["metrics"].as_array().unwrap().len()), (&Value::from("steady"), 1));
    let took = &row["now"]["took"];
    assert!(took["p50"].as_f64().unwrap() > 0.0 && took["p50"].as_f64() <= took["p99"].as_f64(), "{row}");
    let shown = desk.run(&["metrics"]).await;
    let shown = text(&shown.stdout);
    let line = shown.lines().find(|line| line.starts_with("steady")).expect("a row of the agent");
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells[1..6], ["3", "0", "0", "0", "100.0"], "{shown}");
    // LIVE is now, MOST in the window.
    assert!(shown.lines().next().is_some_and(|head| head.contains("LIVE  MOST")), "{shown}");
    assert_eq!((cells[13], cells[14] == "0"), ("0", false), "{shown}");
    let nothing = desk.run(&["metrics", "nobody"]).await;
    assert!(text(&nothing.stderr).contains("nothing was measured"), "{}", text(&nothing.stderr));
    assert_eq!(desk.error(&["metrics", "--window", "never"]).await.0, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_json_lines_and_the_last_one_is_the_end() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady), part("words", Behaviour::MessageOnly)]);
    let output = desk.run(&["send", "-a", &desk.url("steady"), "--stream", "-o", "json", "do it"]).await;
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0]["task"]["id"].is_string(), "{lines:?}");
    assert!(lines.iter().any(|line| line["artifactUpdate"]["artifact"]["parts"][0]["text"] == "Done: do it"));
    let last = lines.last().unwrap();
    assert_eq!(last["statusUpdate"]["status"]["state"], "TASK_STATE_COMPLETED");
    assert_eq!(last["statusUpdate"]["taskId"], lines[0]["task"]["id"]);
    let output = desk.run(&["send", "-a", &desk.url("words"), "--stream", "-o", "json", "which way?"]).await;
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["message"]["role"]), (1, &Value::from("ROLE_AGENT")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streamed_text_is_one_block_and_its_end_is_printed_once() {
    let desk = Desk::new(vec![part("chatty", Behaviour::Chatty)]);
    let output = desk.run(&["send", "-a", &desk.url("chatty"), "--stream", "a letter"]).await;
    let (stdout, times) = (text(&output.stdout), |word: &str| text(&output.stdout).matches(word).count());
    assert_eq!(times("State: completed"), 1, "{stdout}");
    assert_eq!(times("Artifact "), 1, "{stdout}");
    assert!(!stdout.contains("\n\n"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_comes_too_late_says_so() {
    let desk = Desk::new(vec![quarterdeck::demo::AgentPart {
        takes: [30.0, 30.0],
        ..part("deaf", Behaviour::IgnoresCancel)
    }]);
    let sent = desk.json(&["send", "-a", "deaf", "--async", "drive"]).await;
    let id = sent["task"]["id"].as_str().unwrap();
    let output = desk.run(&["task", "cancel", "-a", "deaf", id]).await;
    let stdout = text(&output.stdout);
    assert!(
        stdout.contains("Cancel: too late, it completed by itself "),
        "{stdout} {}",
        text(&output.stderr)
    );
    let list = desk.json(&["task", "list"]).await;
    assert_eq!(list["tasks"][0]["metadata"]["quarterdeck"]["cancel"], "too-late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_have_a_code_and_an_exit() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady), part("gone", Behaviour::Dies)]);
    let gone = desk.url("gone");
    desk.fleet.kill("gone");
    let usage = |code: &str| (2, code.to_owned());
    assert_eq!(desk.error(&["send", "-a", &gone, "x"]).await, (3, "A2ACLI_ERR_UNREACHABLE".into()));
    assert_eq!(desk.error(&["send", "-a", "gone", "x"]).await, (3, "A2ACLI_ERR_UNREACHABLE".into()));
    assert_eq!(desk.error(&["card", "get", "-a", &gone]).await, (3, "A2ACLI_ERR_UNREACHABLE".into()));
    assert_eq!(desk.error(&["send", "-a", "stedy", "x"]).await, usage("A2ACLI_ERR_USAGE"));
    assert_eq!(desk.error(&["send", "-a", "steady"]).await, usage("A2ACLI_ERR_USAGE"));
    assert_eq!(
        desk.error(&["send", "-a", "steady", "--metadata", "[1]", "x"]).await,
        usage("A2ACLI_ERR_USAGE")
    );
    assert_eq!(desk.error(&["send", "-a", "steady", "--nonsense"]).await, usage("A2ACLI_ERR_USAGE"));
    assert_eq!(
        desk.error(&["--read-only", "send", "-a", "steady", "x"]).await,
        (1, "QUARTERDECK_ERR_READ_ONLY".into())
    );
    assert_eq!(desk.error(&["task", "get", "-a", "steady", "nope"]).await, (1, "TaskNotFoundError".into()));
    assert_eq!(
        desk.error(&["task", "cancel", "-a", "steady", "nope"]).await,
        (1, "TaskNotFoundError".into())
    );
    assert_eq!(desk.error(&["--fleet", "prod", "agents"]).await, usage("A2ACLI_ERR_USAGE"));
    assert_eq!(
        desk.error(&["send", "-a", "steady", "--task-id", "nope", "x"]).await,
        (1, "TaskNotFoundError".into())
    );
    let near = text(&desk.run(&["send", "-a", "stedy", "x"]).await.stderr);
    assert!(near.contains("did you mean steady?"), "{near}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_is_ignored_is_a_time_out() {
    let desk = Desk::new(vec![quarterdeck::demo::AgentPart {
        takes: [300.0, 300.0],
        ..part("deaf", Behaviour::IgnoresCancel)
    }]);
    let sent = desk.json(&["send", "-a", "deaf", "--async", "drive"]).await;
    let id = sent["task"]["id"].as_str().unwrap();
    let output = desk.run(&["task", "cancel", "-a", "deaf", "--timeout", "2s", id]).await;
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    let words = "the agent agreed to cancel the task, but it is still working (A2ACLI_ERR_TIMEOUT)";
    assert!(stderr.contains(words), "{stderr}");
    let list = desk.json(&["task", "list"]).await;
    assert_eq!(list["tasks"][0]["metadata"]["quarterdeck"]["cancel"], "agreed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_prints_how_to_continue() {
    let desk = Desk::new(vec![quarterdeck::demo::AgentPart {
        takes: [300.0, 300.0],
        ..part("slow", Behaviour::Steady)
    }]);
    let mut send = binary();
    send.arg("--config").arg(desk.dir.path().join("config.toml"));
    send.arg("--data-dir").arg(desk.dir.path().join("data"));
    let send =
        send.args(["send", "-a", "slow", "drive"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let id = polled(async || {
        let list = desk.json(&["task", "list"]).await;
        list["tasks"][0]["id"].as_str().map(str::to_owned).ok_or_else(|| list.to_string())
    })
    .await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(send.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = send.wait_with_output().await.unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains(&format!("task {id} is")) && stderr.contains("task cancel"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_engine_serves_all_commands() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady)]);
    let mut serve = binary();
    serve.arg("--config").arg(desk.dir.path().join("config.toml"));
    let mut serve = serve.arg("--data-dir").arg(desk.dir.path().join("data")).arg("serve").spawn().unwrap();
    let mut lines = {
        use tokio::io::AsyncBufReadExt;
        tokio::io::BufReader::new(serve.stdout.take().unwrap()).lines()
    };
    let socket: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert!(Path::new(socket["socket"].as_str().unwrap()).exists());
    let (exit, code) = desk.error(&["serve"]).await;
    assert_eq!((exit, code.as_str()), (1, "QUARTERDECK_ERR_RUNNING"));
    // By name, and by the URL of an agent of the running engine.
    let by_name = desk.json(&["send", "-a", "steady", "one"]).await;
    let by_url = desk.json(&["send", "-a", &format!("{}/", desk.url("steady")), "two"]).await;
    let list = desk.json(&["task", "list"]).await;
    let ids: Vec<_> = list["tasks"].as_array().unwrap().iter().map(|task| task["id"].clone()).collect();
    assert!(ids.contains(&by_name["task"]["id"]) && ids.contains(&by_url["task"]["id"]));
    let measured = desk.json(&["metrics"]).await;
    assert_eq!(measured["metrics"][0]["now"]["ok"], 2, "{measured}");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(serve.id().unwrap()).unwrap()).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert!(serve.wait().await.unwrap().success());
    assert!(!Path::new(socket["socket"].as_str().unwrap()).exists());
    let stored = desk.run(&["task", "list"]).await;
    assert!(text(&stored.stderr).contains("as of"), "{}", text(&stored.stderr));
    assert!(text(&stored.stdout).contains("completed"));
    let stored = desk.json(&["metrics"]).await;
    assert_eq!(stored["metrics"][0]["now"]["took"], measured["metrics"][0]["now"]["took"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_named_by_a_card_are_offered_added_and_removed() {
    let stranger = "http://127.0.0.1:9";
    let mut known = part("steady", Behaviour::Steady);
    known.peers = vec![stranger.to_owned()];
    let desk = Desk::new(vec![known]);
    let offered = desk.json(&["agents", "--candidates"]).await;
    let candidate = &offered["candidates"][0];
    assert_eq!((&candidate["url"], &candidate["namedBy"]), (&json!(stranger), &json!(["steady"])));
    let urls = async |args: &[&str]| -> Vec<String> {
        let agents = desk.json(&[&["agents", "--timeout", "500ms"], args].concat()).await;
        let rows = agents["agents"].as_array().unwrap().iter();
        rows.map(|row| row["url"].as_str().unwrap().trim_end_matches('/').to_owned()).collect()
    };
    assert!(!urls(&[]).await.contains(&stranger.to_owned()), "nobody is added by itself");
    assert!(urls(&["--add", stranger]).await.contains(&stranger.to_owned()));
    assert!(urls(&[]).await.contains(&stranger.to_owned()), "it stays");
    assert!(!urls(&["--remove", stranger]).await.contains(&stranger.to_owned()));
    assert_eq!(desk.error(&["agents", "--remove", stranger]).await, (2, "A2ACLI_ERR_USAGE".into()));
    assert_eq!(desk.error(&["agents", "--add", "http://me:word@host/"]).await.0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_shown_and_validated() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady)]);
    let card = desk.json(&["card", "get", "-a", "steady", "--validate"]).await;
    assert_eq!(card["name"], "steady");
    let file = desk.dir.path().join("card.json");
    std::fs::write(&file, r#"{"name":"half","url":"http://127.0.0.1:1/","skills":[{"id":"a"}]}"#).unwrap();
    let output = desk.run(&["card", "get", "-a", file.to_str().unwrap(), "--validate"]).await;
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("protocolVersion: missing") && stderr.contains("skills[0].name: missing"),
        "{stderr}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_is_shown_and_checked() {
    let desk = Desk::new(vec![]);
    let shown = desk.json(&["config", "show"]).await;
    let of = |key: &str| {
        let rows = shown["settings"].as_array().unwrap();
        rows.iter().find(|row| row["key"] == key).unwrap()["source"].as_str().unwrap().to_owned()
    };
    assert_eq!(of("fleet.default.probe_interval"), "file, line 2");
    assert_eq!(of("console.theme"), "default");
    assert_eq!(of("data folder"), "flag, --data-dir");
    std::fs::write(desk.dir.path().join("config.toml"), "them = 1\n[watch]\nsilent_after = \"soon\"\n")
        .unwrap();
    let output = desk.run(&["config", "check"]).await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 4, "{stderr}");
    assert!(lines[0].contains("config.toml has 2 errors"), "{stderr}");
    assert!(lines[1].contains("config.toml:1: them: is no setting"), "{stderr}");
    assert!(lines[2].contains("config.toml:3: watch.silent_after: "), "{stderr}");
    let (_, error) = desk.failure(&["config", "check"]).await;
    let faults = error["faults"].as_array().unwrap();
    let places: Vec<_> = faults.iter().map(|fault| (fault["line"].as_u64(), fault["key"].as_str())).collect();
    assert_eq!(places, [(Some(1), Some("them")), (Some(3), Some("watch.silent_after"))]);
    std::fs::remove_file(desk.dir.path().join("config.toml")).unwrap();
    let (_, error) = desk.failure(&["config", "check"]).await;
    assert_eq!(error["faults"][0]["line"], Value::Null);
    let stderr = text(&desk.run(&["config", "check"]).await.stderr);
    assert!(stderr.contains("config.toml: cannot be read: "), "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_errors_name_what_is_wrong() {
    let desk = Desk::new(vec![part("slow", Behaviour::Steady)]);
    for (words, expected) in [
        (&["send"][..], "no target: name an agent with --agent-card <REF>"),
        (&["send", "-a", "slow", "--outptu", "x"], "unexpected argument '--outptu' found; tip: "),
        (
            &["breaker", "slow", "ajar"],
            "invalid value 'ajar' for '<open|close|auto>'; [possible values: open",
        ),
        (&["send", "-a", "slow", ""], "the message is empty"),
        (&["send", "-a", "slow", "--text", " ", "\n"], "the message is empty"),
    ] {
        let (exit, error) = desk.failure(words).await;
        assert_eq!(exit, 2, "{words:?}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(expected), "{words:?}: {message}");
    }
}

/// With every line uncommented, the example is a configuration without faults and with every key at its default; the
/// program starts with it and shows all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_configuration_shows_the_defaults() {
    let example = quarterdeck::config::EXAMPLE;
    let is_setting = |line: &str| {
        let rest = line.trim_start_matches('#');
        line.starts_with('#') && !rest.starts_with(' ') && !rest.is_empty()
    };
    let uncommented: String = example
        .lines()
        .map(|line| if is_setting(line) { line.trim_start_matches('#') } else { line })
        .map(|line| format!("{line}\n"))
        .collect();
    let full = quarterdeck::config::load_text(&uncommented, Path::new("config.example.toml")).unwrap();
    let empty = quarterdeck::config::load_text("", Path::new("config.toml")).unwrap();
    for setting in &empty.settings {
        let same = full.settings.iter().find(|other| other.key == setting.key);
        // The user's own name cannot be in an example.
        if setting.key != "operator" {
            assert_eq!(same.map(|same| &same.value), Some(&setting.value), "{}", setting.key);
        }
    }
    let usual = quarterdeck::tui::preferences::Preferences::default();
    let words = |listed: &quarterdeck::config::preferences::NamedList| -> (String, Vec<String>) {
        (listed.name.text.clone(), listed.words.iter().map(|word| word.text.clone()).collect())
    };
    let actions = quarterdeck::tui::actions::Action::ALL.iter().map(|action| {
        (action.word().to_owned(), action.keys().iter().map(|key| (*key).to_owned()).collect())
    });
    assert_eq!(full.preferences.keys.iter().map(words).collect::<Vec<_>>(), actions.collect::<Vec<_>>());
    let lists = quarterdeck::tui::saved_view::ListKind::ALL;
    let columns = lists.map(|list| (list.word().to_owned(), usual.columns.names(list)));
    assert_eq!(full.preferences.columns.iter().map(words).collect::<Vec<_>>(), columns);
    let agent = &full.fleets["default"].agents[0];
    assert!(agent.credentials.bearer.is_some() && agent.resubscribe == Some(true));
    assert_eq!(full.fleets["default"].probe_interval, quarterdeck::config::Fleet::default().probe_interval);
    for source in &full.fleets["default"].sources {
        let usual = quarterdeck::config::AgentSource::new(source.kind, source.at.as_str());
        let options = (source.every, &source.selector, &source.port, &source.namespace, source.scheme);
        let default = (usual.every, &usual.selector, &usual.port, &usual.namespace, usual.scheme);
        assert_eq!(options, default, "{}", source.name);
    }
    let desk = Desk::new(Vec::new());
    // A test must not touch the user's own home folder.
    let home = desk.dir.path().display().to_string();
    std::fs::write(desk.dir.path().join("config.toml"), uncommented.replace("~/.", &format!("{home}/.")))
        .unwrap();
    let shown = desk.run(&["config", "show"]).await;
    let stdout = text(&shown.stdout);
    for part in
        ["fleet.default.sources.kind", "registry (file, line", "_a2a._tcp.example.com", "env:REGISTRY_TOKEN"]
    {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let output = desk.run(&["agents", "--timeout", "1s"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

/// Faults in keys, columns and views are listed together with all others, each with its line, and with the valid
/// values.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_keys_columns_and_views_name_their_lines() {
    let desk = Desk::new(Vec::new());
    let file = desk.dir.path().join("config.toml");
    std::fs::write(
        &file,
        "them = 1\n[keys]\ncancle = \"k\"\n[columns]\ntasks = [\"task\", \"agnt\"]\nflet = \"agent\"\n\
         [[view]]\nname = \"tasks\"\nof = \"tasks\"\n[[view]]\nname = \"stuck\"\nof = \"fleet\"\nsort = \"age\"\n",
    )
    .unwrap();
    let output = desk.run(&["config", "check"]).await;
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    for part in [
        "config.toml:1: them: is no setting",
        "config.toml:3: keys.cancle: is not an action; did you mean cancel?",
        "config.toml:5: columns.tasks: tasks has no column agnt; there are task, job, agent,",
        "config.toml:6: columns.flet: there is no list flet; there are fleet, tasks,",
        "config.toml:8: view.name: tasks is a command already",
        "config.toml:13: view.sort: fleet has no column age; there are agent, state,",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
    std::fs::write(&file, "[keys]\ncancel = \"k\"\nup = \"up\"\nmute = []\n").unwrap();
    let shown = desk.json(&["config", "keys"]).await;
    let of = |action: &str| {
        let rows = shown["actions"].as_array().unwrap();
        rows.iter().find(|row| row["action"] == action).unwrap().clone()
    };
    assert_eq!(of("cancel")["keys"], serde_json::json!(["k"]));
    assert_eq!(of("cancel")["source"], "configuration");
    assert_eq!(of("down")["source"], "default");
    let stdout = text(&desk.run(&["config", "keys"]).await.stdout);
    assert!(stdout.lines().any(|line| line.starts_with("mute") && line.contains(":mute")), "{stdout}");
}

/// Files that are sent must be regular files of a bounded size; the error contains the file, its size and the limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_sent_are_bounded() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady)]);
    let file = |name: &str, size: u64| {
        let path = desk.dir.path().join(name);
        std::fs::File::create(&path).unwrap().set_len(size).unwrap();
        path.display().to_string()
    };
    let (large, largest) = (file("large", limits::FILE + 1), file("largest", limits::FILE));
    let fifo = desk.dir.path().join("fifo");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let fifo = fifo.display().to_string();
    for (args, expected) in [
        (
            &["--file", &*large] as &[&str],
            "large cannot be sent: it has 23068673 bytes, and at most 23068672 (22 MiB)",
        ),
        (&["--data", &*large], "large cannot be sent: it has 23068673 bytes"),
        (&["--file", "/dev/zero"], "/dev/zero cannot be sent: it is no regular file"),
        (&["--data", "/dev/zero"], "/dev/zero cannot be sent: it is no regular file"),
        (&["--file", &*fifo], "fifo cannot be sent: it is no regular file"),
        (&["--file", &*largest, "--file", &*largest], "as JSON, and at most 32 MiB can be sent"),
    ] {
        let output = desk.run(&[&["send", "-a", "steady"], args].concat()).await;
        let stderr = text(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains(expected), "{args:?}: {stderr}");
    }
}

/// A command waits until each source has reported its agents, and reports sources that cannot be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_of_sources_are_listed() {
    let desk = Desk::new(vec![part("found", Behaviour::Steady)]);
    let cards = desk.dir.path().join("cards");
    std::fs::create_dir(&cards).unwrap();
    std::fs::write(cards.join("all.json"), format!("[{:?}]", desk.url("found"))).unwrap();
    let config = "[[fleet.default.sources]]\nkind = \"path\"\nat = \"cards\"\n\
                  [[fleet.default.sources]]\nkind = \"path\"\nat = \"nowhere\"\nname = \"lost\"\n";
    std::fs::write(desk.dir.path().join("config.toml"), config).unwrap();
    let output = desk.run(&["agents", "-o", "json"]).await;
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["agents"].as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!((&json["agents"][0]["name"], &json["agents"][0]["state"]), (&json!("found"), &json!("up")));
    let warned = text(&output.stderr);
    assert!(warned.contains("source lost cannot be read: ") && warned.contains("nowhere"), "{warned}");
}

/// Help is part of the interface: that of every verb is compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_is_what_it_was() {
    let verbs: [&[&str]; 15] = [
        &[],
        &["demo"],
        &["serve"],
        &["agents"],
        &["card", "get"],
        &["send"],
        &["batch"],
        &["task", "get"],
        &["task", "list"],
        &["task", "subscribe"],
        &["task", "cancel"],
        &["inbox"],
        &["problems"],
        &["config"],
        &["completion"],
    ];
    for verb in verbs {
        let output = binary().args(verb).arg("--help").output().await.unwrap();
        assert!(output.status.success());
        let name = format!("help-{}", if verb.is_empty() { "quarterdeck".into() } else { verb.join("-") });
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, text(&output.stdout));
        });
    }
    for verb in [&["completion", "bash"][..], &["man"][..], &["--version"][..]] {
        let output = binary().args(verb).output().await.unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{verb:?}");
    }
}

/// Splits a command as a shell does.
fn shell_words(command: &str) -> Vec<String> {
    let script = format!("for word in {command}; do printf '%s\\0' \"$word\"; done");
    let output = std::process::Command::new("bash").arg("-c").arg(script).output().unwrap();
    assert!(output.status.success(), "{command}");
    let words = output.stdout.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    let mut words: Vec<String> = words.collect();
    words.pop();
    words
}

/// A card chooses the URL of its interface, but must not attract a credential to it.
#[test]
fn a_copied_curl_names_a_credential_for_the_configured_origin_alone() {
    use quarterdeck::domain::agent::card::Interface;
    use quarterdeck::domain::agent::{Agent, Source};
    use quarterdeck::tui::command;
    let (mut scene, cast) = crate::console::three_in_the_morning();
    let snapshot = scene.publish(252.0);
    let attempt = crate::support::attempt_of(&snapshot, cast.working.attempt).unwrap();
    let agent = snapshot.agents.get(attempt.agent).unwrap();
    let card = r#"{"name":"n","url":"http://h/","securitySchemes":{"b":{"type":"http","scheme":"bearer"}},"security":[{"b":[]}]}"#;
    let card = std::sync::Arc::new(quarterdeck::protocol::card::decode(card).unwrap());
    assert!(!card.required_security.is_empty());
    for (source, interface, names_it) in [
        (Source::Config, "http://h:1/rpc", true),
        (Source::Config, "http://h:2/rpc", false),
        (Source::Config, "https://h:1/rpc", false),
        (Source::Config, "http://h:1@evil.example/rpc", false),
        (Source::Discovery, "http://h:1/rpc", false),
    ] {
        let mut agent: Agent = agent.clone();
        let spec = std::sync::Arc::make_mut(&mut agent.spec);
        (spec.url, spec.source) = ("http://h:1/a".into(), source);
        agent.card = Some(card.clone());
        let old = agent.interface.take().unwrap();
        agent.interface = Some(std::sync::Arc::new(Interface { url: interface.into(), ..(*old).clone() }));
        let curl = command::curl(&agent, Some(attempt)).unwrap();
        assert!(curl.command.contains(interface), "{curl:?}");
        assert_eq!(curl.command.contains("$TOKEN"), names_it, "{interface}: {curl:?}");
        assert_eq!(curl.is_without_credential, !names_it, "{interface}: {curl:?}");
    }
}

#[test]
fn commands_offered_by_the_console_are_valid() {
    use clap::Parser;
    use quarterdeck::cli::args::Cli;
    use quarterdeck::domain::agent::breaker::BreakerState;
    use quarterdeck::domain::intent::{Intent, Send};
    use quarterdeck::domain::job::carry::{Carry, CarryContext, CarryHistory};
    use quarterdeck::domain::job::message::{Json, Part};
    use quarterdeck::domain::problem::ProblemAct;
    use quarterdeck::tui::command;
    let (mut scene, cast) = crate::console::three_in_the_morning();
    let snapshot = scene.publish(252.0);
    let nasty = "it's \"quoted\" $HOME `id` ; rm -rf / \n--text second line \u{1b}[2J";
    let attempt = cast.working.attempt;
    let send = |parts: Vec<Part>, metadata: Option<&str>| {
        Intent::Send(Box::new(Send {
            context: Some("c-1".into()),
            metadata: metadata.map(|text| Json::new(text.to_owned())),
            ..Send::new(cast.cashier, parts)
        }))
    };
    let why = Some(nasty.into());
    let on_problem = |act| Intent::OnProblem { number: 7, act, by: "sam".into() };
    let note = |problem, agent, attempt| Intent::Note {
        problem,
        agent,
        attempt,
        by: "sam".into(),
        text: "its owner is on it".into(),
    };
    for intent in [
        send(vec![Part::text(nasty)], None),
        send(vec![Part::text("--help")], Some("{\"a\": \"it's\"}")),
        send(vec![Part::text(""), crate::console::data("{\"x\":1}")], None),
        Intent::Answer { attempt: cast.asking.attempt, parts: vec![Part::text(nasty)], metadata: None },
        Intent::Cancel { attempt, why: why.clone() },
        Intent::CancelWithDelegated { attempt, why: why.clone() },
        Intent::Resend { attempt: cast.uncertain.attempt, why: None },
        Intent::PresumeLost { attempt: cast.uncertain.attempt, why },
        Intent::Retry {
            attempt,
            to: Some(cast.cashier),
            carry: Carry { context: CarryContext::Same, history: CarryHistory::Content },
            why: Some(nasty.into()),
        },
        Intent::Race { attempt, to: Some(cast.cashier), why: Some(nasty.into()) },
        Intent::Requeue { job: cast.working.job, to: None, why: Some(nasty.into()) },
        Intent::Reroute { attempt, to: None, carry: Carry::default(), why: None },
        Intent::CheckTask { attempt },
        Intent::CheckAgent { agent: cast.cashier },
        Intent::AddAgent { url: "http://127.0.0.1:9101/a?b=$HOME".into(), by: "sam".into() },
        Intent::RemoveAgent { agent: cast.cashier, why: None, by: "sam".into() },
        Intent::Breaker { agent: cast.cashier, to: Some(BreakerState::Open), why: None, by: "sam".into() },
        Intent::Breaker { agent: cast.cashier, to: None, why: None, by: "sam".into() },
        on_problem(ProblemAct::Take),
        on_problem(ProblemAct::GiveBack),
        on_problem(ProblemAct::Unmute),
        on_problem(ProblemAct::Mute { time: std::time::Duration::from_secs(5400), why: nasty.into() }),
        note(Some(7), None, None),
        note(None, Some(cast.cashier), None),
        note(None, None, Some(attempt)),
    ] {
        let offered = command::of_intent(&snapshot, " --fleet prod-eu", &intent);
        assert!(!offered.contains('\u{1b}'), "{offered:?}");
        let command = offered.rsplit_once("| ").map_or(&*offered, |(_, command)| command);
        let words = shell_words(command);
        let parsed = Cli::try_parse_from(&words);
        assert!(parsed.is_ok(), "{offered}\n{words:?}\n{}", parsed.unwrap_err());
        assert!(parsed.unwrap().command.is_some(), "{offered} is no verb");
    }
    let agent = snapshot.agents.iter().find(|(_, agent)| agent.id == cast.cashier).unwrap().1;
    let ids = format!(" {attempt} {attempt}");
    for (act, which, to) in [
        (command::Bulk::Cancel { alone: true }, ids.clone(), None),
        (command::Bulk::Cancel { alone: false }, " --problem=p-17".into(), None),
        (command::Bulk::Reroute, command::agent_flag(agent), Some(cast.cashier)),
        (command::Bulk::Retry, ids, None),
    ] {
        let offered = command::of_bulk(&snapshot, " --fleet prod-eu", act, &which, to, nasty);
        let parsed = Cli::try_parse_from(shell_words(&offered));
        assert!(parsed.is_ok(), "{offered}\n{}", parsed.unwrap_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handover_lists_what_was_taken_muted_and_noted() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady), part("gone", Behaviour::Steady)]);
    desk.fleet.kill("gone");
    desk.json(&["agents"]).await;
    let id = desk.json(&["problems"]).await["problems"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.run(&["problems", "--exit-code"]).await.status.code(), Some(1));
    assert_eq!(desk.json(&["problems", "take", &id]).await["state"], "taken");
    let muted = desk.json(&["problems", "mute", &id, "--for", "2h", "--why", "being moved"]).await;
    assert_eq!((&muted["state"], &muted["why"]), (&"muted".into(), &"being moved".into()));
    assert_eq!(desk.run(&["problems", "--exit-code"]).await.status.code(), Some(0));
    fits(&schema("problems"), &desk.json(&["problems"]).await, "problems");
    assert!(desk.run(&["note", "--on", &id, "asked the payments team"]).await.status.success());
    assert!(desk.run(&["note", "--on", "steady", "looks fine"]).await.status.success());
    for (args, code) in [
        (vec!["problems", "take", "p-999"], 1),
        (vec!["problems", "mute", &id, "--for", "2h", "--why", " "], 1),
        (vec!["note", "--on", "nobody-of-this-name", "x"], 2),
        (vec!["--read-only", "problems", "take", &id], 1),
    ] {
        assert_eq!(desk.error(&args).await.0, code, "{args:?}");
    }
    let handover = desk.json(&["handover"]).await;
    assert_eq!(handover["open"][0]["id"], id);
    let log: Vec<&str> =
        handover["log"].as_array().unwrap().iter().filter_map(|row| row["what"].as_str()).collect();
    let expected = [
        format!("took {id}"),
        format!("muted {id} until "),
        format!("noted on {id}: asked the payments team"),
        "noted on steady: looks fine".to_owned(),
    ];
    assert_eq!(log.len(), expected.len(), "{log:?}");
    for (line, expected) in log.iter().zip(&expected) {
        assert!(line.starts_with(expected.as_str()), "{line:?} is not {expected:?}");
    }
    let report = text(&desk.run(&["handover"]).await.stdout);
    assert!(report.contains("being moved") && report.contains("## Acts and notes"), "{report}");
    // Texts of others must not act as Markdown, so they are only in indented blocks.
    for line in report.lines().skip(2).filter(|line| !line.is_empty() && !line.starts_with("## ")) {
        assert!(line.starts_with("    "), "{line:?} in {report}");
    }
    assert_eq!(desk.json(&["problems", "unmute", &id]).await["state"], "taken");
    assert_eq!(desk.json(&["problems", "give-back", &id]).await["state"], "open");
}

/// The schemas in `docs/` describe everything that is printed, and nothing else.
pub(crate) fn fits(schema: &Value, value: &Value, place: &str) {
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => panic!("{place}: the schema says no type"),
    };
    let kind = match value {
        Value::Null => "null",
        Value::String(_) => "string",
        Value::Number(_) if kinds.contains(&"number") => "number",
        Value::Number(_) => "integer",
        Value::Bool(_) => "boolean",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(kinds.contains(&kind), "{place}: {value} is no {kinds:?}");
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{place}: {value} is none of {allowed:?}");
    }
    if let (Some(members), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(members.contains_key(name.as_str().unwrap()), "{place}: {name} is missing");
        }
        for (name, member) in members {
            let Some(known) = known.get(name) else { panic!("{place}: {name} is in no schema") };
            fits(known, member, &format!("{place}.{name}"));
        }
    }
    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(&schema["items"], item, &format!("{place}[{at}]"));
    }
}

pub(crate) fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{name}.schema.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn printed_json_matches_the_schemas() {
    let desk = Desk::new(vec![part("steady", Behaviour::Steady), part("asks", Behaviour::NeedsInput)]);
    fits(&schema("agents"), &desk.json(&["agents"]).await, "agents");
    let sent = desk.json(&["send", "-a", "asks", "refund 412 EUR"]).await;
    fits(&schema("metadata"), &sent["task"]["metadata"]["quarterdeck"], "metadata");
    fits(&schema("inbox"), &desk.json(&["inbox"]).await, "inbox");
    desk.fleet.kill("steady");
    let agents = desk.json(&["agents"]).await;
    fits(&schema("agents"), &agents, "agents");
    assert_eq!(agents["agents"][0]["state"], "down");
    let problems = desk.json(&["problems"]).await;
    assert_eq!(problems["problems"][0]["kind"], "agent-down", "{problems}");
    fits(&schema("problems"), &problems, "problems");
    let output = desk.run(&["task", "get", "nothing-of-this-name", "-o", "json"]).await;
    fits(&schema("error"), &serde_json::from_slice(&output.stdout).unwrap(), "error");
}

#[test]
fn every_kind_of_problem_is_explained() {
    use quarterdeck::domain::problem::Kind;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/problems.md");
    let docs = std::fs::read_to_string(path).unwrap();
    let mut table = String::from("| kind | severity | means | clears |\n|---|---|---|---|\n");
    for kind in Kind::ALL {
        let (word, severity) = (kind.as_str(), kind.severity().as_str());
        table.push_str(&format!("| `{word}` | {severity} | {} | {} |\n", kind.meaning(), kind.clears()));
    }
    assert!(docs.contains(&table), "the table of docs/problems.md must be:\n{table}");
}
