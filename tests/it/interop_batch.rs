//! A batch over four agents of the Python SDK with the same skill, one of which is killed for good: every line is completed,
//! or listed as asked about with the reason. Skips without `QUARTERDECK_INTEROP=1`, as `interop.rs` does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::cli::{fits, schema};
use crate::interop::{Keeper, is_wanted};
use crate::kill::binary;
use crate::support::LONG;

const LINES: u64 = 300;
/// Messages that are under way at once.
const CONCURRENCY: &str = "32";
/// Results after which one of the agents is killed.
const BEFORE: usize = 60;

/// The rules: with `idempotent` the work of the agent that was killed is done elsewhere, without it an operator is asked.
fn config(agents: &[Keeper], idempotent: bool) -> String {
    let mut config = String::new();
    for (number, agent) in agents.iter().enumerate() {
        let url = &agent.url;
        writeln!(config, "[[fleet.default.agents]]\nname = \"writer-{number}\"\nurl = \"{url}\"").unwrap();
    }
    write!(
        config,
        "[[fleet.default.routes]]\nname = \"writing\"\nto = {{ skill = \"s\" }}\n\
         balance = \"least_connections\"\nunreachable_after = \"2s\"\nidempotent = {idempotent}\n\
         retry = {{ policy = \"fixed\", max = 3, base = \"200ms\", budget = 100 }}\n"
    )
    .unwrap();
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_over_agents_of_an_sdk_outlives_one_of_them() {
    if !is_wanted() {
        return;
    }
    for idempotent in [true, false] {
        outlives(idempotent).await;
    }
}

async fn outlives(idempotent: bool) {
    let agents = [Keeper::start(0), Keeper::start(0), Keeper::start(0), Keeper::start(0)];
    let mut agents = futures_util::future::join_all(agents).await;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("config.toml"), config(&agents, idempotent)).unwrap();
    let content: String = (1..=LINES).map(|n| format!("{{\"text\":\"quick {n}\"}}\n")).collect();
    std::fs::write(path("work.jsonl"), content).unwrap();
    let mut command = binary();
    command.args([
        "--config",
        &path("config.toml"),
        "--data-dir",
        &path("data"),
        "batch",
        &path("work.jsonl"),
    ]);
    command.args(["--concurrency", CONCURRENCY, "-o", "json"]).stdout(Stdio::piped()).kill_on_drop(true);
    let mut batch = command.spawn().unwrap();
    let mut lines = BufReader::new(batch.stdout.take().unwrap()).lines();
    let mut rows: Vec<Value> = Vec::new();
    while let Some(line) = tokio::time::timeout(LONG, lines.next_line()).await.expect("results come").unwrap()
    {
        rows.push(serde_json::from_str(&line).unwrap());
        if rows.len() == BEFORE {
            // For good: nobody starts it again.
            agents[1].process.kill().await.unwrap();
        }
    }
    let summary = rows.pop().expect("a summary");
    for row in &rows {
        fits(&schema("batch"), row, "batch");
    }
    let numbers: BTreeSet<u64> = rows.iter().filter_map(|row| row["line"].as_u64()).collect();
    assert_eq!((rows.len() as u64, numbers), (LINES, (1..=LINES).collect()));
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        let state = row["state"].as_str().unwrap();
        *states.entry(state).or_default() += 1;
        match state {
            "completed" => {
                let output = row["task"]["artifacts"][0]["parts"].to_string();
                assert!(output.contains("chunk 2"), "without its output: {row}");
            }
            "uncertain" => {
                assert_eq!(row["agent"], "writer-1", "{row}");
                assert!(row["error"]["message"].is_string(), "without a reason: {row}");
            }
            _ => panic!("{row}"),
        }
    }
    let asked = states.get("uncertain").copied().unwrap_or(0);
    println!("idempotent {idempotent}: {states:?} in {} s", summary["summary"]["seconds"]);
    // What was under way at the agent, and nothing of it where doing it twice does no harm.
    let under_way = if idempotent { 0 } else { CONCURRENCY.parse().unwrap() };
    assert!(asked <= under_way, "{states:?}: {summary}");
}
