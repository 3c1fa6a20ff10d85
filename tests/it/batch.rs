//! Batches: each line is sent once however often the command is killed, faulty lines are named, and results have the
//! order asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Output, Stdio};

use quarterdeck::demo::Behaviour;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Child;

use crate::cli::{Desk, fits, schema, text};
use crate::support::{LONG, part};

/// A fleet and a file of messages.
struct Bench {
    desk: Desk,
    file: PathBuf,
}

/// The results of a batch and its summary.
struct Results {
    rows: Vec<Value>,
    summary: Value,
    warnings: String,
}

impl Results {
    fn of(output: &Output) -> Self {
        let warnings = text(&output.stderr);
        assert!(output.status.success(), "{}{warnings}", text(&output.stdout));
        let mut rows = lines(&output.stdout);
        let summary = rows.pop().expect("a summary");
        fits(&schema("batch-summary"), &summary, "batch-summary");
        for row in &rows {
            fits(&schema("batch"), row, "batch");
        }
        assert_eq!(summary["summary"]["items"], rows.len());
        Self { rows, summary: summary["summary"].clone(), warnings }
    }

    fn of_state(&self, state: &str) -> u64 {
        self.summary["states"][state].as_u64().unwrap()
    }

    /// The numbers of the lines, as printed.
    fn numbers(&self) -> Vec<u64> {
        self.rows.iter().map(|row| row["line"].as_u64().unwrap()).collect()
    }

    fn states(&self) -> Vec<(u64, &str)> {
        let state = |row: &'_ Value| row["line"].as_u64().unwrap();
        self.rows.iter().map(|row| (state(row), row["state"].as_str().unwrap())).collect()
    }
}

fn lines(stdout: &[u8]) -> Vec<Value> {
    let parsed = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    text(stdout).lines().map(parsed).collect()
}

impl Bench {
    fn new(behaviour: Behaviour, content: &str) -> Self {
        let desk = Desk::new(vec![part("worker", behaviour), part("other", Behaviour::Steady)]);
        let file = desk.dir.path().join("work.jsonl");
        std::fs::write(&file, content).unwrap();
        Self { desk, file }
    }

    fn args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let agent: &[&str] = if more.contains(&"-a") { &[] } else { &["-a", "worker"] };
        [&["batch", self.file.to_str().unwrap(), "-o", "json"], agent, more].concat()
    }

    async fn run(&self, more: &[&str]) -> Results {
        Results::of(&self.desk.run(&self.args(more)).await)
    }

    /// A batch that reads `content` from standard input.
    async fn fed(&self, more: &[&str], content: &str) -> Output {
        let mut command = self.desk.command();
        command.args(["batch", "-a", "worker", "-", "-o", "json"]).args(more).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(content.as_bytes()).await.unwrap();
        drop(stdin);
        child.wait_with_output().await.unwrap()
    }

    /// Starts a batch and waits until it has printed some results; they are returned.
    async fn started(&self, more: &[&str], results: usize) -> (Child, Vec<Value>) {
        let mut child = self.desk.command().args(self.args(more)).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut rows = Vec::new();
        while rows.len() < results {
            let line = tokio::time::timeout(LONG, stdout.next_line()).await.expect("results come");
            rows.push(serde_json::from_str(&line.unwrap().expect("it goes on")).unwrap());
        }
        (child, rows)
    }

    /// How often each text was received by the agents.
    fn received(&self) -> BTreeMap<String, usize> {
        let mut received = BTreeMap::new();
        for (_, text, _) in self.desk.fleet.tasks() {
            *received.entry(text).or_default() += 1;
        }
        received
    }
}

fn messages(count: usize) -> String {
    (1..=count).map(|n| format!("{{\"text\":\"piece {n}\"}}\n")).collect()
}

/// What is printed, and what a second run of the same command does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_is_sent_once_however_often_the_command_runs() {
    let bench = Bench::new(Behaviour::Steady, &messages(200));
    let first = bench.run(&["--concurrency", "16"]).await;
    assert_eq!((first.of_state("completed"), first.rows.len()), (200, 200));
    assert_eq!(first.numbers().into_iter().collect::<BTreeSet<_>>(), (1..=200).collect());
    assert_eq!((&first.summary["complete"], &first.summary["earlier"]), (&true.into(), &0.into()));
    assert_eq!(first.summary["name"], "work.jsonl");
    assert_eq!(first.summary["took"]["count"], 200);
    let row = &first.rows[0];
    let number = row["line"].as_u64().unwrap();
    assert_eq!(row["task"]["artifacts"][0]["parts"][0]["text"], format!("Done: piece {number}"));
    assert_eq!(row["task"]["metadata"]["quarterdeck"]["job"], row["job"]);
    let received = bench.desk.fleet.received();
    assert_eq!(received, (200, 0));
    // The same command, in another order: the same jobs, and nothing is sent.
    let again = bench.run(&["--order", "input"]).await;
    assert_eq!(again.numbers(), (1..=200).collect::<Vec<_>>());
    assert_eq!((again.of_state("completed"), &again.summary["earlier"]), (200, &200.into()));
    assert!(again.warnings.contains("200 of 200 had been sent by an earlier run"), "{}", again.warnings);
    let jobs = |results: &Results| -> BTreeSet<String> {
        results.rows.iter().map(|row| row["job"].to_string()).collect()
    };
    assert_eq!(jobs(&first), jobs(&again));
    assert_eq!(bench.desk.fleet.received(), received);
    // A line that was added is sent, another name or another agent sends everything.
    std::fs::write(&bench.file, messages(201)).unwrap();
    let more = bench.run(&[]).await;
    assert_eq!((more.rows.len(), &more.summary["earlier"]), (201, &200.into()));
    std::fs::write(&bench.file, messages(2)).unwrap();
    assert_eq!(bench.run(&["--name", "second"]).await.summary["earlier"], 0);
    assert_eq!(bench.run(&["-a", "other"]).await.summary["earlier"], 0);
    assert_eq!(bench.desk.fleet.received(), (205, 0));
}

/// `kill -9` of the command, which may have the engine, and the same command again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_batch_goes_on_where_it_was() {
    for is_served in [false, true] {
        let bench = Bench::new(Behaviour::Slow, &messages(200));
        let serve = is_served.then(|| bench.desk.command().arg("serve").spawn().unwrap());
        if let Some(mut serve) = serve {
            let mut stdout = BufReader::new(serve.stdout.take().unwrap()).lines();
            stdout.next_line().await.unwrap().expect("it says where it listens");
            killed_and_run_again(&bench).await;
            serve.kill().await.unwrap();
        } else {
            killed_and_run_again(&bench).await;
        }
    }
}

async fn killed_and_run_again(bench: &Bench) {
    let mut seen = BTreeSet::new();
    for results in [20, 60] {
        let (mut child, rows) = bench.started(&["--concurrency", "16"], results).await;
        child.kill().await.unwrap();
        seen.extend(rows.iter().map(|row| row["line"].as_u64().unwrap()));
    }
    assert!(seen.len() >= 60 && seen.len() < 200, "{} before the kills", seen.len());
    let last = bench.run(&["--concurrency", "16", "--order", "input"]).await;
    assert_eq!(last.numbers(), (1..=200).collect::<Vec<_>>());
    let (completed, uncertain) = (last.of_state("completed"), last.of_state("uncertain"));
    assert_eq!(completed + uncertain, 200, "{}", last.summary);
    // Only what was on its way at a kill can be uncertain.
    assert!(uncertain <= 32, "{uncertain} are uncertain");
    assert!(last.summary["earlier"].as_u64().unwrap() >= 60, "{}", last.summary);
    let (received, doubled) = bench.desk.fleet.received();
    assert_eq!(doubled, 0, "of {received}");
    assert!(bench.received().values().all(|times| *times == 1), "{:?}", bench.received());
    let list = bench.desk.json(&["task", "list"]).await;
    let jobs: BTreeSet<String> = ["tasks", "attempts"]
        .iter()
        .flat_map(|key| list[key].as_array().unwrap())
        .map(|row| if row["job"].is_string() { &row["job"] } else { &row["metadata"]["quarterdeck"]["job"] })
        .map(ToString::to_string)
        .collect();
    assert_eq!(jobs.len(), 200, "each line is one job");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_batch_says_how_it_goes_on() {
    let bench = Bench::new(Behaviour::Slow, &messages(200));
    let mut command = bench.desk.command();
    command.args(bench.args(&["--concurrency", "4"]));
    let mut child = command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = stdout.next_line().await.unwrap().expect("a result");
    assert!(first.contains("\"line\""), "{first}");
    let pid = rustix::process::Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut rest = Vec::new();
    while let Some(line) = stdout.next_line().await.unwrap() {
        rest.push(serde_json::from_str::<Value>(&line).unwrap_or_else(|_| panic!("{line}")));
    }
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    let [.., summary, error] = &rest[..] else { panic!("{rest:?}") };
    assert_eq!(summary["summary"]["complete"], false);
    assert_eq!(error["error"]["code"], "QUARTERDECK_ERR_INTERRUPTED");
    assert!(error["error"]["hint"].as_str().unwrap().contains("same command"), "{error}");
    let last = bench.run(&["--concurrency", "32"]).await;
    assert_eq!(last.of_state("completed") + last.of_state("uncertain"), 200, "{}", last.summary);
    assert!(bench.received().values().all(|times| *times == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faulty_lines_are_named_and_the_rest_is_sent() {
    let content = "{\"text\":\"one\"}\nnonsense\n\n{\"txet\":\"two\"}\n{\"text\":\"three\",\"agent\":\"nobody\"}\n\
        {\"parts\":[{\"text\":\"four\"}],\"role\":\"ROLE_USER\",\"messageId\":\"m\",\"agent\":\"other\"}\n";
    let bench = Bench::new(Behaviour::Steady, content);
    let invalid = [(2, "invalid"), (4, "invalid"), (5, "invalid")];
    let strict = bench.desk.run(&bench.args(&["--strict"])).await;
    assert_eq!(strict.status.code(), Some(2));
    let printed = lines(&strict.stdout);
    let (error, rows) = printed.split_last().unwrap();
    let message = error["error"]["message"].as_str().unwrap();
    assert_eq!(message, "3 lines are not valid of 5, and nothing was sent");
    let rows: Vec<_> = rows.iter().map(|row| (row["line"].as_u64(), row["state"].as_str())).collect();
    assert_eq!(rows, invalid.map(|(line, state)| (Some(line), Some(state))));
    assert_eq!(bench.desk.fleet.received(), (0, 0));
    // From a stream, which can be read only once.
    assert_eq!(bench.fed(&["--strict"], content).await.status.code(), Some(2));
    assert_eq!(bench.desk.fleet.received(), (0, 0));
    let results = bench.run(&["--order", "input"]).await;
    let expected = [&[(1, "completed")], &invalid[..], &[(6, "completed")]].concat();
    assert_eq!(results.states(), expected);
    assert_eq!(results.rows[4]["agent"], "other");
    assert!(results.rows[1]["error"]["message"].as_str().unwrap().contains("not JSON"));
    let correct = bench.fed(&["--strict", "--name", "s"], &messages(3)).await;
    assert_eq!(Results::of(&correct).of_state("completed"), 3);
    assert_eq!(bench.desk.fleet.received(), (5, 0));
    for (args, exit) in [
        (vec!["batch", "-a", "worker", "no-such-file"], 2),
        (vec!["batch", "-a", "worker", "/"], 2),
        (vec!["batch", "-a", "nobody-of-this-name", bench.file.to_str().unwrap()], 2),
        (vec!["batch", "-a", "worker", bench.file.to_str().unwrap(), "--rate", "0/s"], 2),
        (vec!["--read-only", "batch", "-a", "worker", bench.file.to_str().unwrap()], 1),
    ] {
        let output = bench.desk.run(&[&args[..], &["-o", "json"]].concat()).await;
        assert_eq!(output.status.code(), Some(exit), "{args:?}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("\"error\""), "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_standard_input_are_sent_and_repeated() {
    let bench = Bench::new(Behaviour::MessageOnly, "");
    let content = "{\"text\":\"ping\"}\n{\"text\":\"pong\",\"agent\":\"other\"}\n";
    let args = ["--repeat", "10", "--name", "load", "--order", "input", "--rate", "200/s"];
    let results = Results::of(&bench.fed(&args, content).await);
    assert_eq!((results.of_state("answered"), results.of_state("completed")), (10, 10));
    let places: Vec<_> =
        results.rows.iter().map(|row| (row["line"].as_u64(), row["repeat"].as_u64())).collect();
    let expected: Vec<_> = (1..=2).flat_map(|line| (1..=10).map(move |n| (Some(line), Some(n)))).collect();
    assert_eq!(places, expected);
    assert_eq!(results.rows[0]["message"]["role"], "ROLE_AGENT");
    // Twenty messages at two hundred a second.
    assert!(results.summary["seconds"].as_f64().unwrap() >= 0.095, "{}", results.summary);
    assert_eq!(bench.desk.fleet.received(), (20, 0));
    let again = Results::of(&bench.fed(&args, content).await);
    assert_eq!((&again.summary["earlier"], bench.desk.fleet.received()), (&20.into(), (20, 0)));
}

/// What did not run or failed is sent again, what may have run is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_certainly_failed_is_sent_again() {
    let bench = Bench::new(Behaviour::Failing, &messages(20));
    let first = bench.run(&[]).await;
    let failed = first.of_state("failed");
    assert!(failed > 0 && first.of_state("completed") == 20 - failed, "{}", first.summary);
    assert!(first.warnings.contains("--retries 1"), "{}", first.warnings);
    let second = bench.run(&["--retries", "1"]).await;
    assert_eq!(second.summary["retries"], failed);
    assert!(second.of_state("failed") < failed, "{}", second.summary);
    assert_eq!(bench.desk.fleet.received(), (20 + failed, 0));
    let third = bench.run(&["--retries", "1"]).await;
    assert_eq!((&third.summary["retries"], &third.summary["earlier"]), (&0.into(), &20.into()));
    assert_eq!(third.states().into_iter().collect::<BTreeSet<_>>(), second.states().into_iter().collect());
    assert_eq!(bench.desk.fleet.received(), (20 + failed, 0));
    bench.desk.fleet.kill("worker");
    std::fs::write(&bench.file, messages(2)).unwrap();
    let unsent = bench.run(&["--name", "dead", "--retries", "1"]).await;
    assert_eq!((unsent.of_state("unsent"), &unsent.summary["retries"]), (2, &2.into()));
    assert!(unsent.rows[0]["error"]["message"].as_str().unwrap().contains("worker"), "{}", unsent.rows[0]);
    bench.desk.fleet.revive("worker").await;
    let revived = bench.run(&["--name", "dead", "--retries", "2"]).await;
    assert_eq!(revived.of_state("unsent"), 0, "{}", revived.summary);
}

/// A result that does not come in time is not waited for, and the task goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_that_take_too_long_or_ask_end_as_such() {
    let bench =
        Bench::new(Behaviour::NeedsInput, "{\"text\":\"refund 412 EUR\"}\n{\"text\":\"refund 500 EUR\"}");
    let asks = bench.run(&[]).await;
    assert_eq!(asks.of_state("needs-answer"), 2, "{}", asks.summary);
    let bench = Bench::new(Behaviour::Silent, &messages(2));
    let late = bench.run(&["--timeout", "1s"]).await;
    assert_eq!(late.of_state("timeout"), 2, "{}", late.summary);
    assert_eq!(late.rows[0]["error"]["code"], "A2ACLI_ERR_TIMEOUT");
    assert_eq!(bench.desk.fleet.received(), (2, 0));
}

/// Text for people: a line each, and a table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_are_readable_as_text() {
    let bench = Bench::new(Behaviour::Steady, &messages(3));
    let output =
        bench.desk.run(&["batch", "-a", "worker", bench.file.to_str().unwrap(), "--order", "input"]).await;
    let printed = text(&output.stdout);
    let words: Vec<Vec<&str>> =
        printed.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
    assert_eq!(
        words[..3],
        [["1", "completed", "worker"], ["2", "completed", "worker"], ["3", "completed", "worker"]]
    );
    assert_eq!(words[3..6], [vec![], vec!["STATE", "ITEMS"], vec!["completed", "3"]]);
    assert!(printed.contains("3 items in ") && printed.contains("p95 "), "{printed}");
    assert!(output.stderr.is_empty(), "no progress where nobody looks: {}", text(&output.stderr));
}
