//! No job runs twice: a batch goes through while agents, the engine and the command itself are killed at random, and the
//! agents are asked what they have worked on, and when.
//!
//! `QUARTERDECK_DEATHS=N` sets how often something is killed, `QUARTERDECK_DEATHS_SEED=N` what and when, and
//! `QUARTERDECK_JOBS=N` how many lines the batch has.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use quarterdeck::demo::{AgentPart, Behaviour};
use quarterdeck::domain::id::Rng;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::sync::watch;

use crate::cli::{Desk, fits, schema, text};
use crate::support::{LONG, part};

const HOTELS: [(&str, Behaviour); 3] = [
    ("hotel-alps", Behaviour::Slow),
    ("hotel-lake", Behaviour::Steady),
    // Some of its tasks fail and are tried elsewhere.
    ("hotel-coast", Behaviour::Failing),
];

/// Lines of the batch for each death, so that it is not over before the last one.
const LINES: usize = 16;
/// Messages that are under way at once.
const CONCURRENCY: &str = "16";

/// A task that takes longer, as its agent was dead for a while, is canceled and goes to another hotel.
const RULES: &str = r#"
[[fleet.default.routes]]
name = "rooms"
to = { skill = "room" }
balance = "round_robin"
timeout = "1s"
retry = { policy = "fixed", max = 3, base = "100ms", budget = 100 }
"#;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// A batch that runs, and how many results it has printed.
struct Running {
    child: Child,
    printed: watch::Receiver<u64>,
}

/// What runs, and what is dead.
struct World {
    desk: Desk,
    file: String,
    rng: Rng,
    serve: Option<Child>,
    batch: Option<Running>,
    dead: Option<&'static str>,
    /// Results that are waited for before a death, at most.
    between: u64,
    /// How often an engine was killed, and how often a hotel.
    engines: usize,
    hotels: usize,
}

impl World {
    fn new(lines: usize, deaths: usize, seed: u64) -> Self {
        let hotel = |(name, behaviour)| AgentPart { skills: vec!["room".into()], ..part(name, behaviour) };
        let desk = Desk::new(HOTELS.map(hotel).into());
        let config = std::fs::OpenOptions::new().append(true).open(desk.dir.path().join("config.toml"));
        config.unwrap().write_all(RULES.as_bytes()).unwrap();
        let file = desk.dir.path().join("guests.jsonl");
        let content: String =
            (1..=lines).map(|n| format!("{{\"text\":\"a room for guest {n}\"}}\n")).collect();
        std::fs::write(&file, content).unwrap();
        let file = file.to_str().unwrap().to_owned();
        let between = (lines / deaths.max(1)).max(1) as u64;
        let rng = Rng::new(seed);
        Self { desk, file, rng, serve: None, batch: None, dead: None, between, engines: 0, hotels: 0 }
    }

    fn args(&self) -> [&str; 8] {
        ["batch", "--skill", "room", &self.file, "--concurrency", CONCURRENCY, "-o", "json"]
    }

    async fn start_engine(&mut self) {
        let mut command = self.desk.command();
        let mut child = command.arg("serve").stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(LONG, lines.next_line()).await.expect("serve says something");
        // Otherwise the engine of a batch runs, and this one is not needed.
        if line.unwrap().is_some_and(|line| line.contains("\"socket\"")) {
            self.serve = Some(child);
        }
    }

    fn start_batch(&mut self) {
        let mut command = self.desk.command();
        let mut child = command.args(self.args()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (count, printed) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok(Some(_)) = lines.next_line().await {
                count.send_modify(|count| *count += 1);
            }
        });
        self.batch = Some(Running { child, printed });
    }

    /// Waits until the batch has printed more results, or has ended.
    async fn results(&mut self, more: u64) {
        let Some(batch) = &mut self.batch else { return };
        let wanted = *batch.printed.borrow() + more;
        let wait = batch.printed.wait_for(|printed| *printed >= wanted);
        let _it_may_have_ended = tokio::time::timeout(LONG, wait).await.expect("results come");
    }

    async fn revive(&mut self) {
        if let Some(hotel) = self.dead.take() {
            self.desk.fleet.revive(hotel).await;
        }
    }

    /// One death: of a hotel, and of a process at another moment.
    async fn death(&mut self) {
        if self.serve.is_none() && self.batch.is_none() && self.rng.below(2) == 0 {
            self.start_engine().await;
        }
        if self.batch.is_none() {
            self.start_batch();
        }
        let more = self.rng.below(self.between);
        self.results(more).await;
        // One that is still dead from the last time has been dead during a start of the engine.
        self.revive().await;
        let hotel = HOTELS[self.rng.below(3) as usize].0;
        self.desk.fleet.kill(hotel);
        self.dead = Some(hotel);
        self.hotels += 1;
        let more = self.rng.below(8);
        self.results(more).await;
        if self.rng.below(3) == 0 {
            self.revive().await;
        }
        // Either of them, or both at once.
        let fate = self.rng.below(3);
        let serve = self.serve.take_if(|_| fate > 0);
        let batch = self.batch.take_if(|_| fate < 2 || serve.is_none());
        // Without another engine, that of the batch is killed with it.
        self.engines += usize::from(serve.is_some() || (batch.is_some() && self.serve.is_none()));
        for mut child in serve.into_iter().chain(batch.map(|batch| batch.child)) {
            let _it_may_have_ended = child.start_kill();
            child.wait().await.unwrap();
        }
        if self.rng.below(2) == 0 {
            self.revive().await;
        }
    }

    /// All that the hotels have worked on, by job.
    async fn ran(&self) -> BTreeMap<String, Vec<Run>> {
        let mut all: BTreeMap<String, Vec<Run>> = BTreeMap::new();
        for hotel in self.desk.fleet.list() {
            for (job, runs) in document(&hotel.url, "/demo/ran").await.as_object().unwrap() {
                let runs = runs.as_array().unwrap().iter().map(|run| Run::of(&hotel.name, run));
                all.entry(job.clone()).or_default().extend(runs);
            }
        }
        for runs in all.values_mut() {
            runs.sort_by(|one, other| one.begun.cmp(&other.begun));
        }
        all
    }
}

#[derive(Debug)]
struct Run {
    #[expect(dead_code, reason = "shown when the test fails")]
    hotel: String,
    attempt: String,
    begun: String,
    ended: Option<String>,
}

impl Run {
    fn of(hotel: &str, run: &Value) -> Self {
        let word = |key: &str| run[key].as_str().map(ToOwned::to_owned);
        let (attempt, begun) = (word("attempt").unwrap(), word("begun").unwrap());
        assert_eq!(begun.len(), "2026-11-22T08:29:14.063680Z".len(), "these compare as texts");
        Self { hotel: hotel.into(), attempt, begun, ended: word("ended") }
    }
}

async fn document(url: &str, path: &str) -> Value {
    let host = url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(host).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}")).1;
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_runs_no_job_twice_whoever_dies() {
    let deaths = number("QUARTERDECK_DEATHS").unwrap_or(6) as usize;
    let lines = number("QUARTERDECK_JOBS").map_or(LINES * deaths, |jobs| jobs as usize);
    let mut world = World::new(lines, deaths, number("QUARTERDECK_DEATHS_SEED").unwrap_or(17));
    for _ in 0..deaths {
        world.death().await;
    }
    world.revive().await;
    if let Some(mut batch) = world.batch.take() {
        batch.child.kill().await.unwrap();
    }
    let last = world.desk.command().args(world.args()).output();
    let time = LONG * 3 + Duration::from_millis(200) * u32::try_from(lines).unwrap();
    let last = tokio::time::timeout(time, last).await.expect("the batch ends").unwrap();
    assert!(last.status.success(), "{}{}", text(&last.stdout), text(&last.stderr));
    let mut rows: Vec<Value> =
        text(&last.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = rows.pop().expect("a summary");
    for row in &rows {
        fits(&schema("batch"), row, "batch");
    }
    let numbers: BTreeSet<u64> = rows.iter().map(|row| row["line"].as_u64().unwrap()).collect();
    assert_eq!((rows.len(), numbers), (lines, (1..=lines as u64).collect()));

    let list = world.desk.json(&["task", "list"]).await;
    let of_tasks = list["tasks"].as_array().unwrap().iter().map(|task| &task["metadata"]["quarterdeck"]);
    let attempts: BTreeMap<&str, &Value> = of_tasks
        .chain(list["attempts"].as_array().unwrap())
        .map(|attempt| (attempt["attempt"].as_str().unwrap(), attempt))
        .collect();
    let is_given_up = |run: &Run| {
        let attempt = attempts.get(&*run.attempt).unwrap_or_else(|| panic!("{run:?} is not known"));
        matches!(attempt["attemptState"].as_str(), Some("uncertain" | "presumed-lost"))
            || attempt["verdict"] == "lost"
    };
    let ran = world.ran().await;
    let jobs: BTreeSet<&str> = rows.iter().filter_map(|row| row["job"].as_str()).collect();
    assert_eq!(jobs.len(), lines, "each line is a job of its own");
    for (job, runs) in &ran {
        assert!(jobs.contains(&**job), "{job} is of no line: {runs:?}");
        let attempts: BTreeSet<_> = runs.iter().map(|run| &run.attempt).collect();
        assert_eq!(attempts.len(), runs.len(), "an attempt ran twice: {runs:#?}");
        for pair in runs.windows(2) {
            let [earlier, later] = pair else { continue };
            let has_ended = earlier.ended.as_ref().is_some_and(|ended| *ended <= later.begun);
            assert!(has_ended || is_given_up(earlier), "{job} ran twice at once: {runs:#?}");
        }
    }
    let (mut arrived, mut uncertain) = (0, 0);
    for row in &rows {
        let runs = row["job"].as_str().and_then(|job| ran.get(job)).map_or(&[][..], Vec::as_slice);
        match row["state"].as_str().unwrap() {
            "completed" | "failed" | "canceled" => {
                let has_ended = !runs.is_empty() && runs.iter().all(|run| run.ended.is_some());
                assert!(has_ended, "{row} with {runs:#?}");
            }
            "uncertain" => {
                assert!(row["error"]["message"].is_string(), "without a reason: {row}");
                arrived += usize::from(!runs.is_empty());
                uncertain += 1;
            }
            state => panic!("{state}: {row} with {runs:#?}"),
        }
    }
    // Only what was on its way when somebody was killed can be uncertain.
    let under_way = CONCURRENCY.parse::<usize>().unwrap() * (world.engines + world.hotels);
    assert!(uncertain <= under_way, "{uncertain} are uncertain, of {under_way} under way");
    let (received, doubled) = world.desk.fleet.received();
    assert_eq!(doubled, 0, "of {received}");
    for hotel in world.desk.fleet.list() {
        let counts = document(&hotel.url, "/demo/received").await;
        assert!(counts.as_object().unwrap().values().all(|count| *count == 1), "{counts}");
    }
    let twice = ran.values().filter(|runs| runs.len() > 1).count();
    println!(
        "{lines} jobs, {} engines and {} hotels killed, {received} received, {twice} tried again, {arrived} uncertain ones arrived, {}",
        world.engines, world.hotels, summary["summary"]["states"]
    );
}
