//! What commands print about a sent message, and the commands that they suggest next.

use std::time::Duration;

use quarterdeck::demo::{Behaviour, Fleet};
use serde_json::Value;

use crate::kill::{binary, configure};
use crate::support::{fleet, part};

struct Desk {
    dir: tempfile::TempDir,
    fleet: Fleet,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fleet = fleet(vec![
            part("words", Behaviour::MessageOnly),
            part("asks", Behaviour::NeedsInput),
            part("slow", Behaviour::Slow),
        ]);
        configure(dir.path(), &fleet);
        Self { dir, fleet }
    }

    /// The exit code, stdout and stderr.
    async fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let mut command = binary();
        command.arg("--config").arg(self.dir.path().join("config.toml"));
        command.arg("--data-dir").arg(self.dir.path().join("data")).args(args);
        let output = tokio::time::timeout(Duration::from_secs(20), command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{args:?} does not end")).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_answer_carries_the_same_metadata_as_a_task() {
    let desk = Desk::new();
    for args in [
        &["send", "-a", "words", "-o", "json", "which way?"][..],
        &["send", "-a", "words", "--stream", "-o", "json", "which way?"],
    ] {
        let (code, stdout, stderr) = desk.run(args).await;
        assert_eq!(code, Some(0), "{stderr}");
        let value: Value = serde_json::from_str(&stdout).unwrap();
        let ours = &value["message"]["metadata"]["quarterdeck"];
        assert_eq!(ours["agent"], "words", "{args:?}: {stdout}");
        assert!(ours["job"].is_string() && ours["attempt"].is_string(), "{args:?}: {stdout}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_in_hints_can_be_run_as_printed() {
    let desk = Desk::new();
    let url = desk.fleet.list().into_iter().find(|agent| agent.name == "slow").unwrap().url;
    for agent in ["slow", &url] {
        let (code, _, stderr) = desk.run(&["send", "-a", agent, "--timeout", "200ms", "drive"]).await;
        assert_eq!(code, Some(5), "{stderr}");
        assert!(stderr.contains(&format!("task get --wait -a {agent} ")), "{stderr}");
        assert!(stderr.contains(" --config ") && stderr.contains(" --data-dir "), "{stderr}");
    }
    let (_, _, stderr) = desk.run(&["send", "-a", "asks", "refund 412 EUR"]).await;
    assert!(stderr.contains(" send -a asks --task-id="), "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cards_are_read_only_from_regular_files_of_bounded_size() {
    let desk = Desk::new();
    let path = |name: &str| desk.dir.path().join(name).display().to_string();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, path("fifo"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    std::fs::File::create(path("large.json")).unwrap().set_len(2 << 30).unwrap();
    for (file, code, why) in [
        (path("fifo"), 2, "is no regular file"),
        ("/dev/zero".into(), 2, "is no regular file"),
        ("/tmp".into(), 2, "is no regular file"),
        (format!("file://{}", path("fifo")), 3, "it is no regular file"),
        (path("large.json"), 3, "(4 MiB) are read"),
    ] {
        let (ended, _, stderr) = desk.run(&["card", "get", "-a", &file]).await;
        assert_eq!(ended, Some(code), "{file}: {stderr}");
        assert!(stderr.contains(why), "{file}: {stderr}");
    }
}
