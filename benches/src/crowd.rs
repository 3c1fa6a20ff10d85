//! P7: a thousand agents with a hundred thousand tasks at work: how long keys wait, and what memory it takes; and what
//! ten agents that answer nothing cost the other thirty of forty.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use quarterdeck::demo::{Fleet, Scenario};
use serde_json::Value;

use crate::built;
use crate::measure::{Fault, Part, median, memory, print_figure};
use crate::pty::Pty;

const AGENTS: usize = 1000;
/// Tasks that each agent has had before.
const PAST: u64 = 100;
/// Every agent gets a task so often, which takes about as long: so a thousand are live and watched.
const ROUND: Duration = Duration::from_secs(60);
/// Each makes so many events, most of them towards its end: two a second over all of its time.
const LINES: usize = 140;
/// The fleet is watched so long before keys are pressed, and so long it may take to find all of it.
const SETTLING: Duration = Duration::from_secs(120);
const LONG: Duration = Duration::from_secs(180);
/// Views that are gone through, with the words of their titles.
const KEYS: [(&str, &str); 5] =
    [("1", " fleet "), ("2", " tasks "), ("4", " problems "), ("7", " metrics "), ("0", " now ")];
const ROUNDS: usize = 8;
/// Of so many agents, so many answer nothing; watched for so long.
const FORTY: usize = 40;
const BLACK_HOLES: usize = 10;
const WATCHED: Duration = Duration::from_secs(90);

/// Runs the row.
pub fn run() -> Result<(), Fault> {
    let program = built::quarterdeck()?;
    println!("P7 fleet: {AGENTS} agents, {} tasks each before, one each every {} s", PAST, ROUND.as_secs());
    thousand(&program)?;
    println!("P7 fleet: {FORTY} agents, {BLACK_HOLES} of them answer nothing, {} s", WATCHED.as_secs());
    let well = probes(&program, 0)?;
    let beside = probes(&program, BLACK_HOLES)?;
    print_figure("p99 of the answers of the well, alone", &format!("{:.1} ms", well * 1e3), "");
    print_figure("the same beside the others", &format!("{:.1} ms", beside * 1e3), "");
    print_figure("it rises by", &format!("{:.1} ms", (beside - well) * 1e3), "must 50 ms");
    Ok(())
}

/// A fleet of steady agents at work, in a process of its own; prints the URLs, one a line.
pub fn serve(agents: usize, past: u64, round: Duration) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let mut scenario = Scenario::steady(agents);
        for agent in &mut scenario.agents {
            agent.takes = [ROUND.as_secs_f64() * 0.8, ROUND.as_secs_f64() * 1.2];
            agent.result = Some("a line of what came out of {text}\n".repeat(LINES));
        }
        let fleet = Fleet::start(&scenario, 7, 1.0, 0)?;
        fleet.prefill(past);
        for agent in fleet.list() {
            println!("{}", agent.url);
        }
        fleet.call(round).await;
        Ok(())
    })
}

fn fleet(agents: usize, past: u64, round: Duration) -> Result<(Part, Vec<String>), Fault> {
    let words = ["crowd-fleet", &agents.to_string(), &past.to_string(), &round.as_millis().to_string()];
    let mut part = Part::start(&words)?;
    let lines = BufReader::new(part.0.stdout.take().ok_or("no output")?).lines().take(agents);
    let urls = lines.collect::<Result<_, _>>()?;
    Ok((part, urls))
}

fn configure(dir: &Path, urls: &[String]) -> Result<(String, String), Fault> {
    let mut config = String::new();
    for url in urls {
        writeln!(config, "[[fleet.default.agents]]\nurl = {url:?}")?;
    }
    let path = |name: &str| dir.join(name).display().to_string();
    std::fs::write(path("config.toml"), config)?;
    Ok((path("config.toml"), path("data")))
}

fn thousand(program: &Path) -> Result<(), Fault> {
    let (_fleet, urls) = fleet(AGENTS, PAST, ROUND)?;
    let dir = tempfile::tempdir()?;
    let (config, data) = configure(dir.path(), &urls)?;
    let mut pty = Pty::start(program, &["--config", &config, "--data-dir", &data])?;
    let begun = Instant::now();
    let up = format!("{AGENTS} up");
    while !pty.screen().contains(&up) {
        if begun.elapsed() > LONG {
            return Err(format!("the screen does not say {up:?}:\n{}", pty.screen()).into());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    print_figure("all agents are up after", &format!("{:.1} s", begun.elapsed().as_secs_f64()), "");
    std::thread::sleep(SETTLING);
    let mut waits = Vec::new();
    for _ in 0..ROUNDS {
        for (key, title) in KEYS {
            waits.push(pty.answer(key, title)?.as_secs_f64() * 1e3);
            std::thread::sleep(Duration::from_millis(300));
        }
    }
    let slowest = waits.iter().copied().fold(0.0, f64::max);
    print_figure("a key is answered, median", &format!("{:.0} ms", median(waits)), "");
    print_figure("the slowest", &format!("{slowest:.0} ms"), "must 100 ms");
    let kept = memory(pty.pid(), "VmRSS").ok_or("no memory is reported")? / 1024.0;
    let most = memory(pty.pid(), "VmHWM").ok_or("no memory is reported")? / 1024.0;
    print_figure("memory, now and at most", &format!("{kept:.0} MB, {most:.0} MB"), "must 400 MB");
    print_figure("the first line", pty.screen().lines().next().unwrap_or_default().trim(), "");
    Ok(())
}

/// The median over the well agents of the 99th percentile of their answers, in seconds.
fn probes(program: &Path, holes: usize) -> Result<f64, Fault> {
    let (_fleet, mut urls) = fleet(FORTY - holes, 0, Duration::from_secs(3600))?;
    let sockets: Vec<TcpListener> =
        (0..holes).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let well = urls.len();
    for socket in &sockets {
        urls.push(format!("http://{}", socket.local_addr()?));
    }
    let dir = tempfile::tempdir()?;
    let (config, data) = configure(dir.path(), &urls)?;
    let words = ["--config", &config, "--data-dir", &data];
    let _serve = Part(Command::new(program).arg("serve").args(words).spawn()?);
    std::thread::sleep(WATCHED);
    let output =
        Command::new(program).args(["metrics", "-o", "json", "--window", "5m"]).args(words).output()?;
    let json: Value = serde_json::from_slice(&output.stdout)?;
    let rows = json["metrics"].as_array().ok_or("no metrics are reported")?;
    let mut answers: Vec<f64> = rows.iter().filter_map(|row| row["now"]["answer"]["p99"].as_f64()).collect();
    answers.sort_by(f64::total_cmp);
    answers.truncate(well);
    Ok(median(answers))
}
