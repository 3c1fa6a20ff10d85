//! P13: what an engine costs does not grow with what its agents have done: processor time a minute with 200 agents that
//! others send 600 tasks a minute, with and without an hour of ended tasks.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use quarterdeck::demo::{Fleet, Scenario};

use crate::built;
use crate::measure::{Fault, Part, memory, print_figure, print_ratio, ticks};

const AGENTS: usize = 200;
/// Ended tasks that each agent has: an hour at the rate of the callers, 36,000 for all of them.
const PAST: u64 = 180;
/// Each agent gets a task this often: 600 a minute.
const ROUND: Duration = Duration::from_secs(20);
/// Each run is watched for this long, by default.
pub const MINUTES: f64 = 5.0;
/// Before that all agents are found and their tasks adopted, and an agent that began without tasks has ended as many as
/// a page of its newest holds: until then its pages are shorter than those of a busy agent.
const SETTLING: Duration = Duration::from_secs(7 * 60);
/// `/proc` counts in hundredths of a second.
const TICK: f64 = 0.01;

/// Runs the row.
pub fn run(minutes: f64) -> Result<(), Fault> {
    let program = built::quarterdeck()?;
    println!("P13 constant work: {AGENTS} agents, 600 tasks a minute, {minutes} minutes each");
    let empty = watch(&program, 0, minutes)?;
    let full = watch(&program, PAST, minutes)?;
    print_figure("processor time a minute, no task before", &format!("{empty:.2} s"), "");
    print_figure(
        &format!("the same after {} ended tasks", PAST * AGENTS as u64),
        &format!("{full:.2} s"),
        "",
    );
    print_ratio("ratio", full / empty, "must 1.2, aim 1.05");
    Ok(())
}

/// Two hundred agents at work, in a process of its own; prints the URLs, one a line.
pub fn serve(past: u64) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let fleet = Fleet::start(&Scenario::steady(AGENTS), 7, 1.0, 0)?;
        fleet.prefill(past);
        for agent in fleet.list() {
            println!("{}", agent.url);
        }
        fleet.call(ROUND).await;
        Ok(())
    })
}

/// Processor time that an engine takes in a minute, in seconds.
fn watch(program: &Path, past: u64, minutes: f64) -> Result<f64, Fault> {
    let mut fleet = Part::start(&["constant-fleet", &past.to_string()])?;
    let mut config = String::new();
    for url in BufReader::new(fleet.0.stdout.take().ok_or("no output")?).lines().take(AGENTS) {
        writeln!(config, "[[fleet.default.agents]]\nurl = {:?}", url?)?;
    }
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("config.toml"), config)?;
    let words = ["--config", &path("config.toml"), "--data-dir", &path("data")];
    let engine = Part(Command::new(program).arg("serve").args(words).stdout(Stdio::null()).spawn()?);
    let pid = engine.0.id();
    std::thread::sleep(SETTLING);
    let mut all = 0.0;
    let (mut left, mut minute) = (minutes, 1);
    while left > 0.0 {
        let share = left.min(1.0);
        let before = ticks(pid)?;
        std::thread::sleep(Duration::from_secs_f64(share * 60.0));
        let spent = (ticks(pid)? - before) * TICK;
        let kept = memory(pid, "VmRSS").ok_or("the engine has ended")? / 1024.0;
        print_figure(
            &format!("minute {minute}, {past} tasks an agent before"),
            &format!("{:.2} s", spent / share),
            &format!("{kept:.0} MB"),
        );
        all += spent;
        left -= share;
        minute += 1;
    }
    Ok(all / minutes)
}
