//! P1: what it costs to take in 100 event streams at once, from the network to the journal and the snapshot,
//! against the official Rust SDK's client, which only decodes each event.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use quarterdeck::config::Credentials;
use quarterdeck::config::secret::{Secret, SecretRef};
use quarterdeck::domain::agent::{AgentSpec, Health, Source};
use quarterdeck::domain::id::AgentId;
use quarterdeck::domain::input::Rules;
use quarterdeck::domain::intent::{Intent, Send};
use quarterdeck::domain::job::message::Part as Said;
use quarterdeck::domain::state::snapshot::Snapshot;
use quarterdeck::engine::credentials::CredentialBook;
use quarterdeck::engine::{Engine, Handle, Options};
use serde_json::json;

use crate::frames::{self, EVENTS, FEW_EVENTS, IDLE, SHORT, STREAMS};
use crate::measure::{Fault, Part, cpu, figures, median, memory, paired, print_figure, print_ratio, stay_on};
use crate::screen::Screen;

/// Agents that the streams are shared out to.
const AGENTS: usize = 10;
/// Ours, ours with a screen and the reference, so often.
const ROUNDS: usize = 5;
/// Beside the other SDKs, which take longer.
const SDK_ROUNDS: usize = 3;
/// As the program itself has them.
const WORKERS: usize = 2;
/// The core of ours and of the reference; the server has the first.
const CORE: usize = 1;
/// Between two drawings.
const FRAME: Duration = Duration::from_millis(33);
const SIZE: (u16, u16) = (200, 60);

/// Runs the row.
pub fn run() -> Result<(), Fault> {
    let mut server = Part::start(&["frames-server"])?;
    let mut port = String::new();
    BufReader::new(server.0.stdout.take().ok_or("no output")?).read_line(&mut port)?;
    let port = port.trim();
    println!(
        "P1 ingest: {STREAMS} streams of {EVENTS} events of {} bytes, {ROUNDS} rounds, medians",
        frames::average()
    );
    let mut rounds: [Vec<Vec<f64>>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (kind, part) in ["ingest-ours", "ingest-screen", "ingest-reference"].into_iter().enumerate() {
            rounds[kind].push(figures(&[part, port])?);
        }
    }
    let column =
        |kind: usize, at: usize| -> Vec<f64> { rounds[kind].iter().map(|round| round[at]).collect() };
    for (kind, name) in
        ["ours, whole pipeline", "ours, with a screen", "a2a-client-lf, decode only"].iter().enumerate()
    {
        let [cost, rate, highest] = [0, 1, 2].map(|at| median(column(kind, at)));
        print_figure(&format!("{name}: CPU per event"), &format!("{cost:.0} ns"), "");
        print_figure(&format!("{name}: events per second"), &format!("{rate:.0}"), "");
        print_figure(&format!("{name}: highest memory"), &format!("{highest:.0} kB"), "");
    }
    print_figure("frames drawn per second", &format!("{:.1}", median(column(1, 3))), "");
    print_ratio("CPU per event, ours / reference", paired(&column(0, 0), &column(2, 0)), "must 0.50");
    print_ratio("rate, with a screen / without", paired(&column(1, 1), &column(0, 1)), "must 0.95");
    print_ratio("CPU per event, without a screen / with", paired(&column(0, 0), &column(1, 0)), "");
    Ok(())
}

/// How long the streams are.
#[derive(Clone, Copy)]
pub enum Length {
    /// Long enough that nothing but events counts.
    Long,
    /// As the limits of the other SDKs were measured.
    Short,
    /// Nothing comes.
    Idle,
}

impl Length {
    fn events(self) -> usize {
        match self {
            Self::Long => EVENTS,
            Self::Short => FEW_EVENTS,
            Self::Idle => 1,
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Long => "",
            Self::Short => SHORT,
            Self::Idle => IDLE,
        }
    }
}

/// Runs the row against the other official SDKs. `folder` holds `js10/node_modules` and the virtual environment
/// `py10`, as `tests/interop/up` makes them.
pub fn run_sdks(folder: &str) -> Result<(), Fault> {
    let mut server = Part::start(&["frames-server"])?;
    let mut port = String::new();
    BufReader::new(server.0.stdout.take().ok_or("no output")?).read_line(&mut port)?;
    let port = port.trim();
    let mut short_js = Vec::new();
    for (length, name) in [(Length::Short, "ingest-ours-short"), (Length::Long, "ingest-ours")] {
        let (streams, events) = (STREAMS.to_string(), length.events().to_string());
        println!(
            "P1 ingest: {streams} streams of {events} events, beside the other SDKs, {SDK_ROUNDS} rounds"
        );
        let mut rounds: [Vec<f64>; 3] = Default::default();
        for _ in 0..SDK_ROUNDS {
            let ours = figures(&[name, port])?;
            rounds[0].push(ours.first().copied().unwrap_or(f64::NAN));
            let sdk = concat!(env!("CARGO_MANIFEST_DIR"), "/sdk");
            let (node, python) = (format!("{sdk}/ingest.mjs"), format!("{sdk}/ingest.py"));
            let (js, py) = (format!("{folder}/js10"), format!("{folder}/py10/bin/python"));
            let at = format!("{port}{}", length.prefix());
            rounds[1].push(figure_of("node", &[&node, &js, &at, &streams, &events])?);
            rounds[2].push(figure_of(&py, &[&python, &at, &streams, &events])?);
        }
        let [ours, js, python] = rounds;
        for (name, all) in [("ours", &ours), ("JavaScript SDK", &js), ("Python SDK", &python)] {
            print_figure(
                &format!("{name}: CPU per event"),
                &format!("{:.0} ns", median(all.iter().copied())),
                "",
            );
        }
        print_ratio("CPU per event, JavaScript / ours", paired(&js, &ours), "must 8");
        if let Length::Long = length {
            // As the limits were taken: V8 not yet warm, the other clients with longer streams.
            let ratio = paired(&short_js, &ours);
            print_ratio("CPU per event, JavaScript short / ours long", ratio, "must 8");
        }
        short_js = js;
        print_ratio("CPU per event, Python / ours", paired(&python, &ours), "must 60");
    }
    Ok(())
}

/// The one figure that a program of the other side prints; it has the core that ours has.
fn figure_of(program: &str, args: &[&str]) -> Result<f64, Fault> {
    let core = CORE.to_string();
    let output = std::process::Command::new("taskset")
        .args(["-c", &core, program])
        .args(args)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{program} {args:?} failed: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Prints CPU per event, events per second, highest memory and frames per second.
fn print(length: Length, cpu: Duration, took: Duration, frames: u32) {
    let events = (STREAMS * length.events()) as f64;
    let cost = cpu.as_nanos() as f64 / events;
    let highest = memory(std::process::id(), "VmHWM").unwrap_or(f64::NAN);
    let seconds = took.as_secs_f64();
    println!("{cost} {} {highest} {}", events / seconds, f64::from(frames) / seconds);
}

/// Our side: the engine with a journal on disk, with or without a screen.
pub fn ours(port: &str, length: Length, with_screen: bool) -> Result<(), Fault> {
    stay_on(CORE);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(async {
        let dir = tempfile::tempdir_in(scratch())?;
        let specs: Vec<_> = (0..AGENTS).map(|agent| spec(&loopback(port), length, agent)).collect();
        let engine = Engine::start(Options {
            dir: Some(dir.path().join("data")),
            power_loss_safe: false,
            rules: Rules::default(),
            access: credentials(&specs),
            specs,
            sources: Vec::new(),
            webhook: None,
            telemetry: quarterdeck::telemetry::limits::Retention::default(),
            seed: Some(7),
            lock: None,
        })?;
        let handle = engine.handle();
        let agents = agents_up(&handle).await?;
        let mut screen = with_screen.then(|| Screen::new(handle.snapshot(), SIZE));
        if let Some(screen) = &mut screen {
            screen.press("2")?;
        }
        let (began, spent) = (Instant::now(), cpu());
        let all = async {
            let sendings = (0..STREAMS).map(|stream| handle.submit(task_for(agents[stream % AGENTS])));
            try_join_all(sendings).await.map_err(|refusal| format!("a sending was refused: {refusal}"))?;
            until(&handle, |snapshot| {
                let settled = |task: &quarterdeck::domain::job::Task| task.settled;
                snapshot.attempts.iter().all(|(_, attempt)| attempt.task.as_ref().is_some_and(settled))
            })
            .await
        };
        match &mut screen {
            Some(screen) => tokio::select! {
                result = all => result?,
                result = show(screen, &handle) => result?,
            },
            None => all.await?,
        }
        engine.stop().await;
        print(length, cpu().saturating_sub(spent), began.elapsed(), screen.map_or(0, |screen| screen.frames));
        Ok(())
    })
}

/// A bearer of 40 bytes for each agent, so that the search for it in what they send is measured too.
fn credentials(specs: &[AgentSpec]) -> CredentialBook {
    let mut book = CredentialBook::default();
    for spec in specs {
        let bearer = Secret::new("q7Rf2xW9-measured-with-a-token-of-forty!");
        let credentials = Credentials { bearer: Some(SecretRef::Literal(bearer)), ..Credentials::default() };
        book.add_credentials(&spec.url, &spec.url, &credentials, None);
    }
    book
}

/// Draws whenever something that is seen has changed, thirty times a second at most, as the console does.
async fn show(screen: &mut Screen, handle: &Handle) -> Result<(), Fault> {
    let mut clock = tokio::time::interval(FRAME);
    let mut snapshots = handle.watch();
    loop {
        tokio::select! {
            biased;
            _ = clock.tick() => screen.draw_if_dirty()?,
            changed = snapshots.changed() => {
                changed?;
                let snapshot = snapshots.borrow_and_update().clone();
                screen.take(snapshot);
            }
        }
    }
}

/// A folder on a disk: `/tmp` may be none.
pub(crate) fn scratch() -> std::path::PathBuf {
    std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.to_owned()))
        .unwrap_or_else(std::env::temp_dir)
}

/// Where the agents of `frames` are.
pub(crate) fn loopback(port: &str) -> String {
    format!("http://127.0.0.1:{port}")
}

pub(crate) fn spec(origin: &str, length: Length, agent: usize) -> AgentSpec {
    AgentSpec::at(format!("{origin}{}/{agent}", length.prefix()), Source::Config)
}

pub(crate) fn task_for(agent: AgentId) -> Intent {
    Intent::Send(Box::new(Send::new(agent, vec![Said::text("write the report")])))
}

pub(crate) async fn agents_up(handle: &Handle) -> Result<Vec<AgentId>, Fault> {
    let up = |snapshot: &Snapshot| {
        snapshot.agents.len() == AGENTS
            && snapshot
                .agents
                .iter()
                .all(|(_, agent)| agent.health == Health::Up && agent.interface.is_some())
    };
    until(handle, up).await?;
    Ok(handle.snapshot().agents.iter().map(|(_, agent)| agent.id).collect())
}

pub(crate) async fn until(handle: &Handle, fits: impl Fn(&Snapshot) -> bool) -> Result<(), Fault> {
    handle.watch().wait_for(|snapshot| fits(snapshot)).await?;
    Ok(())
}

/// The reference: each event is decoded by the SDK and dropped.
pub fn reference(port: &str) -> Result<(), Fault> {
    stay_on(CORE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let card: a2a::AgentCard = serde_json::from_str(&frames::card("/0", &loopback(port)))?;
        let client = a2a_client::A2AClientFactory::builder().build().create_from_card(&card).await?;
        let client = Arc::new(client);
        let (began, spent) = (Instant::now(), cpu());
        let streams = (0..STREAMS).map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                let request: a2a::SendMessageRequest = serde_json::from_value(json!({
                    "message": {
                        "role": "ROLE_USER",
                        "messageId": format!("m-{number}"),
                        "parts": [{"text": "write the report"}],
                    },
                }))?;
                let mut events = client.send_streaming_message(&request).await?;
                let mut count = 0;
                while let Some(event) = events.next().await {
                    std::hint::black_box(&event?);
                    count += 1;
                }
                Ok::<usize, Fault>(count)
            })
        });
        for count in join_all(streams).await {
            let count = count??;
            if count != EVENTS {
                return Err(format!("{count} events instead of {EVENTS}").into());
            }
        }
        print(Length::Long, cpu().saturating_sub(spent), began.elapsed(), 0);
        Ok(())
    })
}
