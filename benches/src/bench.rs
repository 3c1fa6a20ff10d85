//! Benchmarks of Quarterdeck: one subcommand a row, ours and the reference in one call; see README.md.

mod built;
mod constant;
mod crowd;
mod dispatch;
mod fixture;
mod frame;
mod frames;
mod hostile;
mod idle;
mod ingest;
mod lists;
mod measure;
mod memory;
mod pty;
mod screen;
mod secure;
mod spans;
mod start;

use std::process::ExitCode;

use crate::ingest::Length;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["p1"] => ingest::run(),
        ["p1-sdks", folder] => ingest::run_sdks(folder),
        ["p2"] => memory::run(),
        ["p3"] => frame::run(),
        ["p4"] => lists::run(),
        ["p5"] => start::run(None),
        ["p5", program] => start::run(Some(*program)),
        ["p5-handler", program] => start::run_handler(program),
        ["p7"] => crowd::run(),
        ["crowd-fleet", agents, past, round] => crowd_fleet(agents, past, round),
        ["p6"] => idle::run(),
        ["p8"] => dispatch::run(),
        ["p9"] => spans::run(),
        ["p10"] => spans::run_search(),
        ["p12"] => hostile::run(hostile::MINUTES, None),
        ["p12", "--minutes", minutes] => minutes_of(minutes).and_then(|minutes| hostile::run(minutes, None)),
        ["p12", "--minutes", minutes, program] => {
            minutes_of(minutes).and_then(|minutes| hostile::run(minutes, Some(*program)))
        }
        ["p13"] => constant::run(constant::MINUTES),
        ["p13", "--minutes", minutes] => minutes_of(minutes).and_then(constant::run),
        ["constant-fleet", past] => past.parse().map_err(Into::into).and_then(constant::serve),
        // Parts that a row runs in processes of their own.
        ["memory-streams", origin, ca, count] => {
            count.parse().map_err(Into::into).and_then(|count| memory::streams(origin, ca, count))
        }
        ["memory-tasks", count] => count.parse().map_err(Into::into).and_then(memory::tasks),
        ["dispatch-agent"] => dispatch::serve(),
        ["dispatch-ours", port] => dispatch::ours(port),
        ["dispatch-bare", port] => dispatch::bare(port),
        ["frames-server"] => frames::serve(),
        ["secure-server", ca] => secure::serve(ca.as_ref()),
        ["ingest-ours", port] => ingest::ours(port, Length::Long, false),
        ["ingest-ours-short", port] => ingest::ours(port, Length::Short, false),
        ["ingest-screen", port] => ingest::ours(port, Length::Long, true),
        ["ingest-reference", port] => ingest::reference(port),
        _ => Err(
            "write one of p1, p1-sdks FOLDER, p2, p3, p4, p5 [PROGRAM], p5-handler PROGRAM, p6, p7, p8, p9, p10, p12, p13"
                .into(),
        ),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::from(2)
        }
    }
}

fn minutes_of(text: &str) -> Result<f64, measure::Fault> {
    match text.parse::<f64>() {
        Ok(minutes) if (0.1..=600.0).contains(&minutes) => Ok(minutes),
        _ => Err("write a number of minutes between 0.1 and 600".into()),
    }
}

fn crowd_fleet(agents: &str, past: &str, round: &str) -> Result<(), measure::Fault> {
    crowd::serve(agents.parse()?, past.parse()?, std::time::Duration::from_millis(round.parse()?))
}
