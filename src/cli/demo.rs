//! `demo`: the embedded fleet, with the console or without.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::args::{Demo, Global};
use super::output::{Failure, Printer};
use super::serve::stopped;
use crate::demo::{Fleet, Scenario};

/// Before a screen every agent of a large fleet has so many tasks of the last day.
const PAST: u64 = 100;
/// Without a screen every agent gets a task at least this often.
pub(super) const ROUND: Duration = Duration::from_secs(20);

pub(super) async fn run(global: &Global, args: Demo, out: &mut Printer) -> Result<ExitCode, Failure> {
    let scenario = match args.agents {
        Some(agents) => Scenario::steady(agents),
        None => Scenario::load(&args.scenario).map_err(Failure::usage)?,
    };
    let seed = args.seed.unwrap_or(scenario.seed);
    let fleet = Fleet::start(&scenario, seed, args.speed, args.faults)
        .map_err(|error| Failure::internal(format!("no port can be had: {error}")))?;
    let fleet = Arc::new(fleet);
    if args.headless {
        for agent in fleet.list() {
            out.line(&json!({
                "name": agent.name,
                "url": agent.url,
                "behaviour": agent.behaviour,
                "fault": agent.fault,
            }));
        }
        if args.no_work {
            stopped().await;
        } else {
            tokio::select! {
                () = stopped() => {}
                () = fleet.call(ROUND) => {}
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    if args.agents.is_some() && !args.no_work {
        fleet.prefill(PAST);
    }
    super::console::demo(global, &args, scenario, fleet, out).await
}
