//! What commands print: the shapes that scripts rely on, streams, and the schemas.

use super::*;

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
