//! What commands print about a sending, and what they tell to type next.

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
async fn an_answer_without_a_task_tells_what_we_know_as_a_task_does() {
    let desk = Desk::new();
    for args in [
        &["send", "-a", "words", "-o", "json", "which way?"][..],
        &["send", "-a", "words", "--stream", "-o", "json", "which way?"],
    ] {
        let (code, told, error) = desk.run(args).await;
        assert_eq!(code, Some(0), "{error}");
        let value: Value = serde_json::from_str(&told).unwrap();
        let ours = &value["message"]["metadata"]["quarterdeck"];
        assert_eq!(ours["agent"], "words", "{args:?}: {told}");
        assert!(ours["job"].is_string() && ours["attempt"].is_string(), "{args:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_can_be_typed_as_they_are() {
    let desk = Desk::new();
    let url = desk.fleet.list().into_iter().find(|agent| agent.name == "slow").unwrap().url;
    for agent in ["slow", &url] {
        let (code, _, told) = desk.run(&["send", "-a", agent, "--timeout", "200ms", "drive"]).await;
        assert_eq!(code, Some(5), "{told}");
        assert!(told.contains(&format!("task get --wait -a {agent} ")), "{told}");
        assert!(told.contains(" --config ") && told.contains(" --data-dir "), "{told}");
    }
    let (_, _, told) = desk.run(&["send", "-a", "asks", "refund 412 EUR"]).await;
    assert!(told.contains(" send -a asks --task-id="), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_card_is_read_from_what_is_no_file_of_its_size() {
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
        let (ended, _, told) = desk.run(&["card", "get", "-a", &file]).await;
        assert_eq!(ended, Some(code), "{file}: {told}");
        assert!(told.contains(why), "{file}: {told}");
    }
}
