//! `kill -9` of `serve` at named points and at random, while tasks are sent through it: nothing that
//! was promised is lost, and nothing is sent twice by itself.
//!
//! Named points need the feature `failpoints`. `QUARTERDECK_KILLS=N` sets the kills for each point;
//! the full measure is 50 for each named point and four times that at random.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use quarterdeck::demo::{Behaviour, Fleet};
use quarterdeck::domain::id::Rng;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{LONG, fleet, old_part, part, polled};

/// Sendings under way at once.
const AT_ONCE: usize = 3;

pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quarterdeck"));
    command.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    for variable in ["QUARTERDECK_DATA_DIR", "QUARTERDECK_CONFIG", "QUARTERDECK_FLEET", "QUARTERDECK_DIE_AT"]
    {
        command.env_remove(variable);
    }
    command
}

/// A configuration that names the agents of an embedded fleet.
pub(crate) fn configure(dir: &Path, fleet: &Fleet) -> std::path::PathBuf {
    let mut text = String::from("[fleet.default]\nprobe_interval = \"2s\"\n");
    for agent in fleet.list() {
        text.push_str(&format!("[[fleet.default.agents]]\nname = {:?}\nurl = {:?}\n", agent.name, agent.url));
    }
    let path = dir.join("config.toml");
    std::fs::write(&path, text).unwrap();
    path
}

struct World<'w> {
    dir: &'w Path,
    config: std::path::PathBuf,
}

impl World<'_> {
    fn command(&self) -> Command {
        let mut command = binary();
        command.arg("--config").arg(&self.config).arg("--data-dir").arg(self.dir.join("data"));
        command
    }

    /// Starts `serve` and waits until it listens; none if it died before.
    async fn serve(&self, die_at: Option<&str>) -> Option<Child> {
        let mut command = self.command();
        if let Some(point) = die_at {
            command.env("QUARTERDECK_DIE_AT", point);
        }
        let mut child = command.arg("serve").spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        match tokio::time::timeout(LONG, lines.next_line()).await.expect("serve says where it listens") {
            Ok(Some(line)) => {
                assert!(line.contains("\"socket\""), "{line}");
                Some(child)
            }
            _ => None,
        }
    }

    /// Sends through whatever runs; the attempt if the command did its job.
    async fn send(&self, agent: &str, text: &str) -> Option<String> {
        let said = self.dir.join(format!("{text}.log"));
        let mut command = self.command();
        command.args(["send", "-a", agent, "--async", "-o", "json", text]);
        command.env("QUARTERDECK_LOG", "quarterdeck=debug").stderr(std::fs::File::create(&said).unwrap());
        let output = command.spawn().unwrap().wait_with_output();
        let Ok(output) = tokio::time::timeout(LONG, output).await else {
            let said = std::fs::read_to_string(&said).unwrap_or_default();
            panic!("sending {text:?} to {agent} does not end; it says:\n{said}");
        };
        let output = output.unwrap();
        if !output.status.success() {
            return None;
        }
        let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
        let attempt = answer["task"]["metadata"]["quarterdeck"]["attempt"].as_str();
        Some(attempt.map_or_else(|| "a message".to_owned(), ToOwned::to_owned))
    }

    async fn list(&self) -> Value {
        self.said(&["task", "list", "-o", "json"]).await
    }

    async fn said(&self, words: &[&str]) -> Value {
        let output = self.command().args(words).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("one JSON document")
    }
}

async fn kills(points: &[Option<&str>], times: usize) {
    let fleet = fleet(vec![
        part("steady", Behaviour::Steady),
        part("slow", Behaviour::Slow),
        old_part("old", Behaviour::Steady),
        part("words", Behaviour::MessageOnly),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let world = World { dir: dir.path(), config: configure(dir.path(), &fleet) };
    let mut seed = Rng::new(17);
    let mut promised = BTreeSet::new();
    let mut deaths = 0;
    for round in 0..times {
        for point in points {
            let die_at = point.map(|point| format!("{point}:{}", 1 + seed.below(6)));
            let Some(mut serve) = world.serve(die_at.as_deref()).await else {
                deaths += 1;
                continue;
            };
            let agents = ["steady", "slow", "old", "words"];
            for batch in 0..3 {
                let name = |n: usize| agents[(round + batch + n) % agents.len()];
                let texts: Vec<_> = (0..AT_ONCE).map(|n| format!("{round} {batch} {n}")).collect();
                let sends = (0..AT_ONCE).map(|n| world.send(name(n), &texts[n]));
                let kill = async {
                    if die_at.is_none() && batch == 1 {
                        tokio::time::sleep(Duration::from_millis(seed.below(60))).await;
                        let _it_may_be_dead = serve.start_kill();
                    }
                };
                let (sent, ()) = tokio::join!(futures_util::future::join_all(sends), kill);
                promised.extend(sent.into_iter().flatten().filter(|attempt| attempt != "a message"));
            }
            let died = serve.try_wait().unwrap().is_some();
            deaths += usize::from(died);
            let _it_may_be_dead = serve.start_kill();
            serve.wait().await.unwrap();
        }
    }
    assert!(deaths * 2 >= times * points.len(), "only {deaths} deaths");
    // A quiet engine settles what is open.
    let serve = world.serve(None).await.expect("it starts on what is left");
    let (known, uncertain) = polled(async || {
        let list = world.list().await;
        let states = |key: &str| -> Vec<Value> { list[key].as_array().cloned().unwrap_or_default() };
        let with_task = states("tasks").into_iter().map(|task| task["metadata"]["quarterdeck"].clone());
        let attempts: Vec<Value> = with_task.chain(states("attempts")).collect();
        let open = attempts
            .iter()
            .filter(|a| matches!(a["attemptState"].as_str(), Some("planned" | "sending")))
            .count();
        if open == 0 {
            let known: BTreeSet<String> =
                attempts.iter().filter_map(|a| a["attempt"].as_str().map(ToOwned::to_owned)).collect();
            Ok((known, attempts.iter().filter(|a| a["attemptState"] == "uncertain").count()))
        } else {
            Err(format!("{open} sendings stay open"))
        }
    })
    .await;
    drop(serve);
    let lost: Vec<_> = promised.difference(&known).collect();
    assert!(lost.is_empty(), "promised and lost: {lost:?}");
    // Every confirmed act is in the audit, whose chains hold.
    let verified = world.said(&["audit", "verify", "-o", "json"]).await;
    assert_eq!(verified["ok"], true, "{verified}");
    let audit = world.said(&["audit", "--limit", "100000", "-o", "json"]).await;
    let attempts = audit["audit"].as_array().unwrap().iter().filter_map(|act| act["attempt"].as_str());
    let recorded: BTreeSet<String> = attempts.map(ToOwned::to_owned).collect();
    let unrecorded: Vec<_> = promised.difference(&recorded).collect();
    assert!(unrecorded.is_empty(), "confirmed and not in the audit: {unrecorded:?}");
    assert!(uncertain <= deaths * AT_ONCE, "{uncertain} uncertain after {deaths} deaths");
    let (received, doubled) = fleet.received();
    assert_eq!(doubled, 0, "of {received} sendings");
    println!(
        "{deaths} deaths, {} promised, {received} received, {uncertain} uncertain, 0 doubled",
        promised.len()
    );
}

fn measure(usual: usize) -> usize {
    std::env::var("QUARTERDECK_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_a_random_moment_loses_and_duplicates_nothing() {
    kills(&[None], measure(3) * 4).await;
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_every_failpoint_loses_and_duplicates_nothing() {
    kills(&quarterdeck::failpoint::POINTS.map(Some), measure(2)).await;
}
