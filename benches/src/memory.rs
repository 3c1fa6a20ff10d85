//! P2: memory. What a watched stream takes on which nothing comes, what a finished task takes, and a million of them.

use std::io::{BufRead, BufReader};
use std::sync::Arc;

use futures_util::future::try_join_all;
use quarterdeck::domain::input::Rules;
use quarterdeck::domain::state::snapshot::Snapshot;
use quarterdeck::engine::credentials::CredentialBook;
use quarterdeck::engine::{Engine, Options};

use crate::fixture::FleetFixture;
use crate::ingest::{Length, agents_up, scratch, spec, task_for, until};
use crate::measure::{Fault, Part, figures, memory, print_figure};

/// Streams over HTTP/1.1 that are watched at once; a process may have no more files without asking.
const HTTP1: usize = 800;
/// Streams over HTTP/2: what is bounded, such as the journal's cache, is full long before.
const HTTP2: usize = 10_000;
/// And so few, to know what one more takes.
const FEW: usize = 100;
/// Streams that are asked for at once.
const AT_ONCE: usize = 100;
/// Tasks that are finished.
const TASKS: u64 = 1_000_000;

/// Runs the row.
pub fn run() -> Result<(), Fault> {
    println!("P2 memory: {HTTP1} and {HTTP2} idle streams, {TASKS} finished tasks");
    let dir = tempfile::tempdir_in(scratch())?;
    let ca = dir.path().join("ca.pem");
    let ca = ca.to_str().ok_or("the folder's name is not UTF-8")?;
    let servers = [
        ("HTTP/1.1", vec!["frames-server"], "http://127.0.0.1", HTTP1, "must 12 kB"),
        ("HTTP/2", vec!["secure-server", ca], "https://localhost", HTTP2, "must 6 kB"),
    ];
    for (version, words, host, streams, must) in servers {
        let mut server = Part::start(&words)?;
        let mut port = String::new();
        BufReader::new(server.0.stdout.take().ok_or("no output")?).read_line(&mut port)?;
        let origin = format!("{host}:{}", port.trim());
        let few = figures(&["memory-streams", &origin, ca, &FEW.to_string()])?[0];
        let many = figures(&["memory-streams", &origin, ca, &streams.to_string()])?[0];
        let each = (many - few) / (streams - FEW) as f64;
        print_figure(&format!("an idle watched stream over {version}"), &format!("{each:.1} kB"), must);
    }
    let measured = figures(&["memory-tasks", &TASKS.to_string()])?;
    let (whole, text) = (measured[0], measured[1]);
    let each = (whole * 1024.0 - text) / TASKS as f64;
    print_figure("a finished task, beside its text", &format!("{each:.0} bytes"), "must 480");
    print_figure("its text", &format!("{:.0} bytes", text / TASKS as f64), "");
    print_figure(&format!("{TASKS} finished tasks"), &format!("{:.0} MB", whole / 1024.0), "must 600 MB");
    Ok(())
}

/// Watches so many streams of agents at `origin`, and prints how much memory that takes in kB. `ca` is the file of
/// their authority.
pub fn streams(origin: &str, ca: &str, count: usize) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let dir = tempfile::tempdir_in(scratch())?;
        let mut access = CredentialBook::default();
        if origin.starts_with("https:") {
            access.set_ca(ca.into());
        }
        let engine = Engine::start(Options {
            dir: Some(dir.path().join("data")),
            power_loss_safe: false,
            rules: Rules::default(),
            specs: (0..10).map(|agent| spec(origin, Length::Idle, agent)).collect(),
            sources: Vec::new(),
            webhook: None,
            telemetry: quarterdeck::telemetry::limits::Retention::default(),
            access,
            seed: Some(7),
            lock: None,
        })?;
        let handle = engine.handle();
        let agents = agents_up(&handle).await?;
        // So many at a time: what idle ones hold is measured, not what asking for all of them at once takes.
        for begun in (0..count).step_by(AT_ONCE) {
            let until_now = count.min(begun + AT_ONCE);
            let sendings =
                (begun..until_now).map(|stream| handle.submit(task_for(agents[stream % agents.len()])));
            try_join_all(sendings).await.map_err(|refusal| format!("a sending was refused: {refusal}"))?;
            until(&handle, |snapshot| {
                snapshot.attempts.len() == until_now
                    && snapshot.attempts.iter().all(|(_, attempt)| attempt.task.is_some())
            })
            .await?;
        }
        println!("{}", memory(std::process::id(), "VmRSS").ok_or("no memory is reported")?);
        engine.stop().await;
        Ok(())
    })
}

/// Holds so many finished tasks, and prints how much memory that takes in kB, and how many bytes their texts have.
pub fn tasks(count: u64) -> Result<(), Fault> {
    let before = memory(std::process::id(), "VmRSS").ok_or("no memory is reported")?;
    let mut fixture = FleetFixture::agents(count, &mut |_| {});
    for number in 0..count {
        fixture.job(number, true, &mut |_| {});
        fixture.state.take_changes();
    }
    // As an engine has it: the state, and the publication that shares it.
    let mut snapshot = Snapshot::starting(fixture.now);
    snapshot.publish(&fixture.state, fixture.now, Vec::new());
    let snapshot = Arc::new(snapshot);
    let held = memory(std::process::id(), "VmRSS").ok_or("no memory is reported")? - before;
    let texts: usize = snapshot
        .attempts
        .iter()
        .map(|(_, attempt)| {
            let job = snapshot.job_of(attempt).map_or(0, |job| job.title.len());
            let task = attempt.task.as_ref().map_or(0, |task| {
                let context = task.context.as_ref().map_or(0, |context| context.raw().len());
                task.id.raw().len() + context + task.note.as_ref().map_or(0, |note| note.len())
            });
            let message = attempt.message_id.as_ref().map_or(0, |id| id.raw().len());
            job + task + message
        })
        .sum();
    println!("{held} {texts}");
    Ok(())
}
