//! What goes wrong: codes, exit codes, and the next step.

use super::*;

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
    // In words they have the form of every other failure.
    let output = desk.run(&["send", "-a", "slow", "--outptu", "x"]).await;
    let stderr = text(&output.stderr);
    for expected in
        ["quarterdeck: unexpected argument '--outptu' found", "(A2ACLI_ERR_USAGE)", "→ the form is "]
    {
        assert!(stderr.contains(expected) && !stderr.contains("error:"), "{stderr}");
    }
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
