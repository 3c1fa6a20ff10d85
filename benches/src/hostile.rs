//! P12: eighty hostile agents beside a good one: the memory of the console, its keys, and the events of the good agent.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::built;
use crate::measure::{Fault, Part, median, memory, print_figure};
use crate::pty::Pty;

const AGENTS: usize = 80;
/// The name of the good agent.
const GOOD: &str = "honest";
/// The fleet is watched for this long, by default.
pub const MINUTES: f64 = 2.0;
/// Views that are gone through, with the words of their titles.
const KEYS: [(&str, &str); 5] =
    [("1", " fleet "), ("2", " tasks "), ("4", " problems "), ("7", " metrics "), ("0", " now ")];
/// Between two keys.
const PAUSE: Duration = Duration::from_millis(700);
/// Tasks that are sent to the good agent in each run.
const SENT: usize = 5;

/// What a run tells.
struct Run {
    /// Megabytes at most.
    most: f64,
    /// Milliseconds that a key waited, each.
    waits: Vec<f64>,
    /// Events of one task of the good agent, and the milliseconds until the first of them.
    events: Vec<f64>,
    first: Vec<f64>,
}

/// Runs the row; `program` is the console that is measured, the released one unless another is named.
pub fn run(minutes: f64, program: Option<&str>) -> Result<(), Fault> {
    let released = built::quarterdeck()?;
    let program = program.map_or(released.as_path(), Path::new);
    println!("P12 hostile: {AGENTS} hostile agents beside a good one, for {minutes} minutes");
    let alone = watch(&released, program, 0, 0.5)?;
    let beside = watch(&released, program, AGENTS, minutes)?;
    let slowest = |run: &Run| run.waits.iter().copied().fold(0.0, f64::max);
    print_figure("memory at most, beside the good agent alone", &format!("{:.0} MB", alone.most), "");
    print_figure(
        "memory at most, beside the hostile ones",
        &format!("{:.0} MB", beside.most),
        "must 300 MB, aim 150 MB",
    );
    print_figure("a key is answered, median", &format!("{:.0} ms", median(beside.waits.clone())), "");
    print_figure("the slowest", &format!("{:.0} ms", slowest(&beside)), "must 100 ms");
    print_figure("events of a task of the good agent, alone", &format!("{:.0}", median(alone.events)), "");
    print_figure(
        "the same beside the hostile ones",
        &format!("{:.0}", median(beside.events)),
        "must be as many",
    );
    print_figure("its first event after, alone", &format!("{:.0} ms", median(alone.first)), "");
    print_figure("the same beside the hostile ones", &format!("{:.0} ms", median(beside.first)), "");
    Ok(())
}

fn watch(released: &Path, program: &Path, agents: usize, minutes: f64) -> Result<Run, Fault> {
    let mut fleet = Part(
        Command::new(released)
            .args(["demo", "--headless", "--scenario", "hostile", "--agents", &agents.to_string()])
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let listed = BufReader::new(fleet.0.stdout.take().ok_or("no output")?).lines().take(agents + 1);
    let mut config = String::new();
    for line in listed {
        let agent: Value = serde_json::from_str(&line?)?;
        writeln!(config, "[[fleet.default.agents]]\nname = {}\nurl = {}", agent["name"], agent["url"])?;
    }
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("config.toml"), config)?;
    let words = ["--config", &path("config.toml"), "--data-dir", &path("data")];
    let mut pty = Pty::start(program, &words)?;
    // A key that comes before the terminal is in raw mode is lost.
    let started = Instant::now();
    while !pty.screen().contains(" now ") {
        if started.elapsed() > Duration::from_secs(60) {
            return Err(format!("the first screen never came:\n{}", pty.screen()).into());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let begun = Instant::now();
    let long = Duration::from_secs_f64(minutes * 60.0);
    let mut run = Run { most: 0.0, waits: Vec::new(), events: Vec::new(), first: Vec::new() };
    while begun.elapsed() < long {
        for (key, title) in KEYS {
            run.waits.push(pty.answer(key, title)?.as_secs_f64() * 1e3);
            std::thread::sleep(PAUSE);
        }
        let due = long.mul_f64(run.events.len() as f64 / SENT as f64);
        if run.events.len() < SENT && begun.elapsed() >= due.max(Duration::from_secs(3)) {
            let (events, first) = send(program, &words)?;
            run.events.push(events);
            run.first.push(first);
        }
        run.most = memory(pty.pid(), "VmHWM").ok_or("the console has ended")? / 1024.0;
    }
    print_figure("the first line", pty.screen().lines().next().unwrap_or_default().trim(), "");
    Ok(run)
}

/// Sends a task to the good agent through the console's engine: its events, and the milliseconds until the first.
fn send(program: &Path, words: &[&str]) -> Result<(f64, f64), Fault> {
    let begun = Instant::now();
    let mut sent = Part(
        Command::new(program)
            .args(["send", "-a", GOOD, "--stream", "-o", "json", "--timeout", "60s", "--text", "honest work"])
            .args(words)
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let (mut events, mut first) = (0.0, f64::NAN);
    for line in BufReader::new(sent.0.stdout.take().ok_or("no output")?).lines() {
        line?;
        if events == 0.0 {
            first = begun.elapsed().as_secs_f64() * 1e3;
        }
        events += 1.0;
    }
    Ok((events, first))
}
