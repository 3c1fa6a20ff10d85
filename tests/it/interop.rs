//! Agents built on the SDKs that people run: Python and JavaScript, A2A 1.0 and 0.3.
//!
//! `QUARTERDECK_INTEROP=1` starts them (tests/interop/up installs what is missing from PyPI and npm;
//! it needs python3 with venv, node and npm). Without it these tests skip, and say so.

use std::path::{Path, PathBuf};
use std::process::Command as Blocking;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::kill::binary;
use crate::support::polled;

/// The agents, in the order of their ports, with what must be said of them.
const AGENTS: [(&str, &str, &str); 7] = [
    ("python 1.3, both dialects", "up", "1.0"),
    ("python 1.3", "up", "1.0"),
    ("python 0.3", "up", "0.3"),
    ("python 0.3, REST only", "not-spoken", ""),
    ("javascript 1.3, both dialects", "up", "1.0"),
    ("javascript 1.3", "up", "1.0"),
    ("javascript 0.3", "up", "0.3"),
];

struct Agents {
    base: u16,
    dir: PathBuf,
}

/// A hundred below which every port is free that they listen on, where no connection gets its own port from.
fn free_ports() -> u16 {
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let start = u16::try_from(std::process::id() % 120).unwrap();
    let mut bases = (0..120).map(|next| 20_000 + (start + next) % 120 * 100);
    let all_are = |base: &u16| (1..=7).chain(51..=57).all(|port| is_free(base + port));
    bases.find(all_are).expect("free ports for the agents")
}

/// True if agents are to be started; what they need is installed then, once for all tests.
pub(crate) fn is_wanted() -> bool {
    static INSTALLED: std::sync::OnceLock<()> = std::sync::OnceLock::new();
    if std::env::var_os("QUARTERDECK_INTEROP").is_none() {
        println!("skipped: QUARTERDECK_INTEROP=1 starts agents of the Python and JavaScript SDKs");
        return false;
    }
    INSTALLED.get_or_init(|| {
        let up = Blocking::new("bash").arg(folder().join("up")).arg("install").output().unwrap();
        assert!(up.status.success(), "tests/interop/up install: {}", String::from_utf8_lossy(&up.stderr));
    });
    true
}

/// The scripts and the agents.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

impl Agents {
    /// Starts them, or says why not.
    fn start() -> Option<Self> {
        if !is_wanted() {
            return None;
        }
        let base = free_ports();
        let agents = Self { base, dir: folder() };
        // Those of a run that was cut off listen elsewhere.
        agents.stop();
        let up = Blocking::new("bash").arg(agents.dir.join("up")).arg(base.to_string()).output().unwrap();
        assert!(up.status.success(), "tests/interop/up: {}", String::from_utf8_lossy(&up.stderr));
        Some(agents)
    }

    fn url(&self, at: usize) -> String {
        format!("http://127.0.0.1:{}", usize::from(self.base) + at + 1)
    }

    fn stop(&self) {
        let _they_may_have_ended = Blocking::new("bash").arg(self.dir.join("down")).output();
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Desk(tempfile::TempDir);

impl Desk {
    async fn run(&self, args: &[&str]) -> (i32, Value, String) {
        let output = binary()
            .arg("--data-dir")
            .arg(self.0.path())
            .args(args)
            .args(["-o", "json"])
            .output()
            .await
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code().unwrap_or(-1), value, stderr)
    }
}

/// The state of a task, or `message`, and the verdict about it.
fn outcome(value: &Value) -> String {
    if !value["message"].is_null() {
        return "message".into();
    }
    let state =
        value["task"]["status"]["state"].as_str().unwrap_or("nothing").trim_start_matches("TASK_STATE_");
    let verdict = value["task"]["metadata"]["quarterdeck"]["verdict"].as_str();
    let state = state.to_ascii_lowercase();
    verdict.map_or(state.clone(), |verdict| format!("{state}, {verdict}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_agents_built_with_the_sdks_run_and_can_be_canceled() {
    let Some(agents) = Agents::start() else { return };
    let desk = Desk(tempfile::tempdir().unwrap());
    let urls: Vec<String> = (0..AGENTS.len()).map(|at| agents.url(at)).collect();
    let mut args = vec!["agents"];
    args.extend(urls.iter().map(String::as_str));
    let (code, json, stderr) = desk.run(&args).await;
    assert_eq!(code, 0, "{stderr}");
    for (at, (name, state, dialect)) in AGENTS.iter().enumerate() {
        let row = &json["agents"][at];
        assert_eq!(row["state"], *state, "{name}: {row}");
        assert_eq!(row["dialect"].as_str().unwrap_or_default(), *dialect, "{name}: {row}");
        assert_eq!(row["reason"].is_string(), *state == "not-spoken", "{name}: {row}");
    }
    // What each word leads to, on Python 1.3, Python 0.3, JavaScript 1.3 and JavaScript 0.3.
    for (word, ends) in [
        ("quick", ["completed"; 4]),
        ("fail", ["failed"; 4]),
        ("reject", ["rejected"; 4]),
        ("input", ["input_required"; 4]),
        ("auth", ["auth_required"; 4]),
        ("message", ["message"; 4]),
        ("crash", ["failed", "submitted, stalled", "failed", "failed, conflict"]),
    ] {
        for (at, expected) in [1, 2, 5, 6].into_iter().zip(ends) {
            let (code, json, stderr) = desk.run(&["send", "-a", &agents.url(at), word]).await;
            assert_eq!(
                (code, outcome(&json).as_str()),
                (0, expected),
                "{word} on {}: {json} {stderr}",
                AGENTS[at].0
            );
        }
    }
    for at in [1, 2, 5, 6] {
        let url = agents.url(at);
        let (_, json, stderr) = desk.run(&["send", "-a", &url, "--async", "slow"]).await;
        let id = json["task"]["id"].as_str().unwrap_or_else(|| panic!("{json} {stderr}")).to_owned();
        let (code, json, stderr) = desk.run(&["task", "cancel", "-a", &url, &id]).await;
        assert_eq!(code, 0, "{}: {json} {stderr}", AGENTS[at].0);
        let state = json["status"]["state"].as_str().or(json["task"]["status"]["state"].as_str());
        assert_eq!(state, Some("TASK_STATE_CANCELED"), "{}: {json}", AGENTS[at].0);
    }
    listings_cost_the_same_however_many_tasks_an_sdk_agent_keeps().await;
}

/// An agent of the Python SDK that has this many ended tasks, until it is dropped.
pub(crate) struct Keeper {
    pub(crate) process: tokio::process::Child,
    pub(crate) url: String,
}

impl Keeper {
    pub(crate) async fn start(ended: u32) -> Self {
        let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (port, grpc) = (port(), port());
        let dir = std::env::var_os("QUARTERDECK_INTEROP_DIR").map_or_else(
            || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/quarterdeck-interop"),
            PathBuf::from,
        );
        let process = tokio::process::Command::new(dir.join("py10/bin/python"))
            .arg(folder().join("py_v1.py"))
            .args([&port.to_string(), "plain", &grpc.to_string()])
            .env("ENDED", ended.to_string())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let keeper = Self { process, url: format!("http://127.0.0.1:{port}") };
        keeper.listed_until(|_, _| true).await;
        keeper
    }

    /// How often its tasks were listed, and how many tasks that brought; `None` before it answers.
    async fn listed(&self) -> Option<(u64, u64)> {
        let host = self.url.trim_start_matches("http://");
        let mut stream = tokio::net::TcpStream::connect(host).await.ok()?;
        stream.write_all(b"GET /listed HTTP/1.0\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let value: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1)?).ok()?;
        Some((value["calls"].as_u64()?, value["tasks"].as_u64()?))
    }

    /// The same, once it is enough.
    async fn listed_until(&self, enough: impl Fn(u64, u64) -> bool) -> (u64, u64) {
        polled(async || {
            let listed = self.listed().await;
            let found = listed.filter(|(calls, tasks)| enough(*calls, *tasks));
            found.ok_or_else(|| format!("{} does not get that far: {listed:?}", self.url))
        })
        .await
    }
}

async fn listings_cost_the_same_however_many_tasks_an_sdk_agent_keeps() {
    let (few, many) = (Keeper::start(30).await, Keeper::start(5_000).await);
    let dir = tempfile::tempdir().unwrap();
    let _engine = binary()
        .arg("--data-dir")
        .arg(dir.path())
        .args(["serve", &few.url, &many.url])
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    for keeper in [&few, &many] {
        // On first contact state by state: eight calls, and nine more pages for a thousand ended tasks.
        let adopted = if keeper.url == many.url { (17, 1_000) } else { (8, 30) };
        let before = keeper.listed_until(|calls, tasks| calls >= adopted.0 && tasks >= adopted.1).await;
        let after = keeper.listed_until(|calls, _| calls >= before.0 + 6).await;
        // A page of twenty, and one of those submitted.
        assert!(after.1 - before.1 <= (after.0 - before.0).div_ceil(2) * 20, "{before:?} {after:?}");
    }
}
