//! P6: what a console costs that watches forty healthy agents while nothing happens.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::built;
use crate::measure::{Fault, Part, memory, print_figure, ticks};
use crate::pty::Pty;

const AGENTS: usize = 40;
/// Every agent is probed at least once before the minute begins.
const SETTLING: Duration = Duration::from_secs(45);
const WATCHED: Duration = Duration::from_secs(60);
/// The beginning of a drawing of ours.
const DRAWS: &str = "\u{1b}[?2026h";
/// `/proc` counts in hundredths of a second.
const TICK: f64 = 0.01;

/// Runs the row.
pub fn run() -> Result<(), Fault> {
    let program = built::quarterdeck()?;
    let mut fleet = Part(
        Command::new(&program)
            .args(["demo", "--headless", "--no-work", "--agents", &AGENTS.to_string()])
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let listed = BufReader::new(fleet.0.stdout.take().ok_or("no output")?).lines().take(AGENTS);
    let mut config = String::from("[fleet.default]\nprobe_interval = \"30s\"\n");
    for line in listed {
        let agent: Value = serde_json::from_str(&line?)?;
        writeln!(config, "[[fleet.default.agents]]\nurl = {}", agent["url"])?;
    }
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("config.toml"), config)?;
    println!("P6 idle: {AGENTS} healthy agents, probed every 30 s, {} s", WATCHED.as_secs());
    let pty = Pty::start(&program, &["--config", &path("config.toml"), "--data-dir", &path("data")])?;
    std::thread::sleep(SETTLING);
    let up = format!("{AGENTS} up");
    if !pty.screen().contains(&up) {
        return Err(format!("the screen does not say {up:?}:\n{}", pty.screen()).into());
    }
    let (spent, (bytes, drawings)) = (ticks(pty.pid())?, pty.written(DRAWS));
    std::thread::sleep(WATCHED);
    let (spent, (bytes_now, drawings_now)) = (ticks(pty.pid())? - spent, pty.written(DRAWS));
    let share = spent * TICK / WATCHED.as_secs_f64() * 100.0;
    print_figure("CPU share of one core", &format!("{share:.2} %"), "must 0.3 %, aim 0.1 %");
    print_figure("drawings", &(drawings_now - drawings).to_string(), "must 2");
    print_figure("bytes written to the terminal", &(bytes_now - bytes).to_string(), "");
    print_figure("memory", &format!("{:.0} kB", memory(pty.pid(), "VmRSS").unwrap_or(f64::NAN)), "");
    Ok(())
}
