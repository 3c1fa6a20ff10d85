//! P8: what it costs that a message goes through rules, queue and journal: jobs of ours against bare reqwest calls, both
//! of them streaming, to an agent in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use quarterdeck::config;
use quarterdeck::domain::agent::{AgentSpec, Health, Source};
use quarterdeck::domain::fact::{AttemptFact, Fact, JobFact, JournalEntry};
use quarterdeck::domain::input::Rules;
use quarterdeck::domain::intent::{Intent, Receipt, Send};
use quarterdeck::domain::job::message::{Json, Part as Said};
use quarterdeck::domain::route::Target;
use quarterdeck::engine::credentials::CredentialBook;
use quarterdeck::engine::{Engine, Handle, Options};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::frames::{card_with, document, envelope, push_chunk, request, task_id, task_json, update};
use crate::ingest::{loopback, scratch, until};
use crate::measure::{Fault, Part, cpu, figures, median, print_figure, print_ratio, stay_on};

/// Ours and the reference, so often.
const ROUNDS: usize = 5;
/// Calls one after the other, after some that are not counted.
const ONE_BY_ONE: usize = 1_500;
const WARM_UP: usize = 200;
/// Calls of which [`TOGETHER`] are under way.
const MANY: usize = 8_000;
const TOGETHER: usize = 64;
/// Callers that put messages into the queue.
const SENDERS: usize = 48;
/// As the program itself has them.
const WORKERS: usize = 2;
/// The core of ours and of the reference; the agent has the first.
const CORE: usize = 1;
/// What a message begins with; the nanosecond follows at which it was handed over.
const STAMP: &str = "job ";

/// The rules: two that fit no message, and the one that decides. It holds 64 jobs at a time, the rest waits.
const RULES: &str = r#"
[[routes]]
name = "data"
match = { type = "data_processing" }
to = { skill = "data-analysis" }
balance = "least_connections"

[[routes]]
name = "serving"
match = { type = "ml_inference" }
to = { skill = "model-serving" }
timeout = "30s"
retry = { policy = "exponential_backoff", max = 2 }

[[routes]]
name = "work"
match = { type = "work" }
to = { skill = "work" }
balance = "least_connections"
timeout = "1m"
retry = { policy = "exponential_backoff", max = 2 }
concurrency = 64
"#;

/// Runs the row.
pub fn run() -> Result<(), Fault> {
    let mut server = Part::start(&["dispatch-agent"])?;
    let mut port = String::new();
    BufReader::new(server.0.stdout.take().ok_or("no output")?).read_line(&mut port)?;
    let port = port.trim();
    println!(
        "P8 dispatch: {ONE_BY_ONE} calls one by one, {MANY} calls {TOGETHER} at a time, {ROUNDS} rounds, medians"
    );
    let mut rounds: [Vec<Vec<f64>>; 2] = Default::default();
    for _ in 0..ROUNDS {
        for (kind, part) in ["dispatch-ours", "dispatch-bare"].into_iter().enumerate() {
            rounds[kind].push(figures(&[part, port])?);
        }
    }
    let column =
        |kind: usize, at: usize| -> Vec<f64> { rounds[kind].iter().map(|round| round[at]).collect() };
    for (kind, name) in ["ours", "bare reqwest"].iter().enumerate() {
        let [sent, whole, rate, cost] = [0, 1, 2, 3].map(|at| median(column(kind, at)));
        print_figure(&format!("{name}: p50 until the agent has it"), &format!("{sent:.3} ms"), "");
        print_figure(&format!("{name}: p50 until its end is known"), &format!("{whole:.3} ms"), "");
        print_figure(&format!("{name}: calls per second, {TOGETHER} at a time"), &format!("{rate:.0}"), "");
        print_figure(&format!("{name}: CPU per call, {TOGETHER} at a time"), &format!("{cost:.0} us"), "");
    }
    let more = |at: usize| {
        median(column(0, at).iter().zip(column(1, at)).map(|(ours, bare)| ours - bare).collect::<Vec<_>>())
    };
    print_figure("ours takes longer until the agent has it by", &format!("{:.3} ms", more(0)), "must 0.2 ms");
    print_figure("ours takes longer until its end is known by", &format!("{:.3} ms", more(1)), "");
    let rates: Vec<f64> = column(0, 2).iter().zip(column(1, 2)).map(|(ours, bare)| ours / bare).collect();
    print_ratio("calls per second, ours / bare", median(rates), "must 0.50, aim 0.70");
    Ok(())
}

/// Nanoseconds of a clock that all processes share.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// An agent that ends each task at once, and measures how long each message was on its way.
struct Quick {
    port: u16,
    next: AtomicU64,
    /// Milliseconds.
    on_their_way: Mutex<Vec<f64>>,
}

/// Serves until it is killed; prints its port once it listens.
pub fn serve() -> Result<(), Fault> {
    stay_on(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        println!("{port}");
        let agent = Arc::new(Quick { port, next: AtomicU64::new(0), on_their_way: Mutex::default() });
        loop {
            let (stream, _) = listener.accept().await?;
            let agent = agent.clone();
            // A client that goes away ends its connection, nothing else.
            tokio::spawn(async move { agent.connection(stream).await });
        }
    })
}

impl Quick {
    async fn connection(&self, mut stream: TcpStream) -> Result<(), Fault> {
        use tokio::io::AsyncWriteExt;
        stream.set_nodelay(true)?;
        let mut bytes = Vec::new();
        loop {
            let Some((path, body)) = request(&mut stream, &mut bytes).await? else { return Ok(()) };
            let arrived = now();
            if path == "/on-their-way" {
                let times = std::mem::take(&mut *self.on_their_way.lock().map_err(|_| "poisoned")?);
                document(&mut stream, &json!(times).to_string()).await?;
                continue;
            }
            if body.is_empty() {
                let card = card_with(&path, &loopback(&self.port.to_string()), "work");
                document(&mut stream, &card).await?;
                continue;
            }
            let body: Value = serde_json::from_slice(&body)?;
            let id = body["id"].to_string();
            match body["method"].as_str() {
                Some("SendStreamingMessage") => {
                    let text = body["params"]["message"]["parts"][0]["text"].as_str().unwrap_or_default();
                    if let Some(sent) = text.strip_prefix(STAMP).and_then(|sent| sent.parse::<u64>().ok()) {
                        let took = arrived.saturating_sub(sent) as f64 / 1e6;
                        self.on_their_way.lock().map_err(|_| "poisoned")?.push(took);
                    }
                    stream.write_all(&self.answer(&id)).await?;
                }
                Some("GetTask") => {
                    let task = body["params"]["id"].as_str().unwrap_or_default();
                    let result = task_json(task, "TASK_STATE_COMPLETED");
                    document(&mut stream, &envelope(&id, "result", &result)).await?;
                }
                Some("ListTasks") => {
                    let none = r#"{"tasks":[],"nextPageToken":"","pageSize":0,"totalSize":0}"#;
                    document(&mut stream, &envelope(&id, "result", none)).await?;
                }
                _ => {
                    let error = r#"{"code":-32601,"message":"method not found"}"#;
                    document(&mut stream, &envelope(&id, "error", error)).await?;
                }
            }
        }
    }

    /// The stream of a task: begun, working, an output, completed.
    fn answer(&self, id: &str) -> Vec<u8> {
        let task = task_id(self.next.fetch_add(1, Ordering::Relaxed));
        let status = |state: &str| {
            let status = format!(r#"{{"state":"{state}","timestamp":"2026-11-22T08:24:08.000Z"}}"#);
            update(&task, "statusUpdate", "status", &status, "")
        };
        let output = r#"{"artifactId":"art-1","name":"report.md","parts":[{"text":"report\n"}]}"#;
        let mut out = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
                        transfer-encoding: chunked\r\n\r\n"
            .to_vec();
        for event in [
            format!(r#"{{"task":{}}}"#, task_json(&task, "TASK_STATE_SUBMITTED")),
            status("TASK_STATE_WORKING"),
            update(&task, "artifactUpdate", "artifact", output, r#","lastChunk":true"#),
            status("TASK_STATE_COMPLETED"),
        ] {
            push_chunk(&mut out, &envelope(id, "result", &event));
        }
        out.extend_from_slice(b"0\r\n\r\n");
        out
    }
}

/// How long the messages were on their way since it was last asked; the median, in milliseconds.
async fn on_their_way(client: &reqwest::Client, port: &str) -> Result<f64, Fault> {
    let bytes = client.get(format!("{}/on-their-way", loopback(port))).send().await?.bytes().await?;
    let times: Vec<f64> = serde_json::from_slice(&bytes)?;
    Ok(median(times))
}

fn stamped() -> String {
    format!("{STAMP}{}", now())
}

/// Ours: the whole engine, its journal on a disk, safe against `kill -9`.
pub fn ours(port: &str) -> Result<(), Fault> {
    stay_on(CORE);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(async {
        let dir = tempfile::tempdir_in(scratch())?;
        let rules =
            config::load_routes(RULES, Path::new("rules.toml"), &[]).map_err(|_| "the rules are wrong")?;
        let engine = Engine::start(Options {
            dir: Some(dir.path().join("data")),
            power_loss_safe: false,
            rules: Rules { routes: rules.into(), ..Rules::default() },
            access: CredentialBook::default(),
            specs: vec![AgentSpec::at(loopback(port), Source::Config)],
            sources: Vec::new(),
            webhook: None,
            telemetry: quarterdeck::telemetry::limits::Retention::default(),
            seed: Some(7),
            lock: None,
        })?;
        let handle = engine.handle();
        until(&handle, |snapshot| {
            snapshot.agents.iter().any(|(_, agent)| agent.health == Health::Up && agent.interface.is_some())
        })
        .await?;
        let client = reqwest::Client::new();
        let mut times = Vec::new();
        for number in 0..WARM_UP + ONE_BY_ONE {
            if number == WARM_UP {
                on_their_way(&client, port).await?;
                times.clear();
            }
            let began = Instant::now();
            let job = submit(&handle).await?;
            ended(&handle, job).await?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        let sent = on_their_way(&client, port).await?;
        let before = usize::try_from(handle.snapshot().task_counts().completed)?;
        let (began, spent) = (Instant::now(), cpu());
        let senders = (0..SENDERS).map(|sender| {
            let handle = handle.clone();
            async move {
                for _ in 0..share(sender, SENDERS) {
                    submit(&handle).await?;
                }
                Ok::<(), Fault>(())
            }
        });
        let all = until(&handle, |snapshot| snapshot.task_counts().completed as usize >= before + MANY);
        tokio::try_join!(try_join_all(senders), all)?;
        print(sent, &times, began.elapsed(), cpu().saturating_sub(spent));
        engine.stop().await;
        Ok(())
    })
}

/// The calls of one of several callers.
fn share(caller: usize, callers: usize) -> usize {
    MANY / callers + usize::from(caller < MANY % callers)
}

async fn submit(handle: &Handle) -> Result<quarterdeck::domain::id::JobId, Fault> {
    let send = Send {
        metadata: Some(Json::new(r#"{"type":"work"}"#)),
        ..Send::to(Target::Any, vec![Said::text(stamped().as_str())])
    };
    match handle.submit(Intent::Send(Box::new(send))).await {
        Ok(Receipt::Taken { job, .. }) => Ok(job),
        Ok(_) => Err("it was taken as something else".into()),
        Err(refusal) => Err(format!("a sending was refused: {refusal}").into()),
    }
}

/// Waits until a job has ended.
async fn ended(handle: &Handle, job: quarterdeck::domain::id::JobId) -> Result<(), Fault> {
    let is_end = |entry: &JournalEntry| match &entry.fact {
        Fact::Job(_, JobFact::Ended { .. }) => true,
        Fact::Job(_, JobFact::Attempt(_, AttemptFact::StateSeen { state, .. })) => state.is_terminal(),
        _ => false,
    };
    let mut follow = handle.follow(job).await.map_err(|error| error.to_string())?;
    if follow.facts.iter().any(|fact| is_end(fact)) {
        return Ok(());
    }
    let limit = Duration::from_secs(20);
    loop {
        let fact = tokio::time::timeout(limit, follow.more.recv()).await.map_err(|_| "a job does not end")?;
        if is_end(&*fact.ok_or("the engine follows no more")?) {
            return Ok(());
        }
    }
}

/// The reference: the same messages, sent and read to the end of their streams, with nothing around them.
pub fn bare(port: &str) -> Result<(), Fault> {
    stay_on(CORE);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(async {
        let client = reqwest::Client::new();
        let url = loopback(port);
        let mut times = Vec::new();
        for number in 0..WARM_UP + ONE_BY_ONE {
            if number == WARM_UP {
                on_their_way(&client, port).await?;
                times.clear();
            }
            let began = Instant::now();
            call(&client, &url, number).await?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        let sent = on_their_way(&client, port).await?;
        let (began, spent) = (Instant::now(), cpu());
        let callers = (0..TOGETHER).map(|caller| {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move {
                for number in 0..share(caller, TOGETHER) {
                    call(&client, &url, number).await?;
                }
                Ok::<(), Fault>(())
            })
        });
        for caller in try_join_all(callers).await? {
            caller?;
        }
        print(sent, &times, began.elapsed(), cpu().saturating_sub(spent));
        Ok(())
    })
}

async fn call(client: &reqwest::Client, url: &str, number: usize) -> Result<(), Fault> {
    let body = json!({
        "jsonrpc": "2.0",
        "id": number,
        "method": "SendStreamingMessage",
        "params": {"message": {
            "messageId": format!("{number}-{}", now()),
            "role": "ROLE_USER",
            "parts": [{"text": stamped()}],
            "metadata": {"type": "work"},
        }},
    });
    let request = client.post(url).header("content-type", "application/json").header("a2a-version", "1.0");
    let mut stream = request.body(body.to_string()).send().await?.bytes_stream();
    while let Some(piece) = stream.next().await {
        std::hint::black_box(piece?);
    }
    Ok(())
}

/// The figures of a part: milliseconds until the agent has a message, until its end is known, calls a second, and
/// microseconds of processor time a call.
fn print(sent: f64, times: &[f64], took: Duration, spent: Duration) {
    let rate = MANY as f64 / took.as_secs_f64();
    let cost = spent.as_secs_f64() * 1e6 / MANY as f64;
    println!("{sent} {} {rate} {cost}", median(times.iter().copied()));
}
