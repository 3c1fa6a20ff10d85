//! `demo`: the embedded fleet, with the console or without.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::args::{Demo, Global};
use super::output::{Failure, Printer};
use crate::demo::{Fleet, Scenario};
use crate::shutdown;

/// The number of tasks that each agent of a large steady fleet has already ended within the last day.
const PAST: u64 = 100;
/// The built-in caller sends a task to every agent this often.
pub(super) const ROUND: Duration = Duration::from_secs(20);

pub(super) async fn run(global: &Global, args: Demo, out: &mut Printer) -> Result<ExitCode, Failure> {
    let load = || Scenario::load(args.scenario_name());
    let scenario = match (args.agents, &args.scenario) {
        (Some(agents), None) => Ok(Scenario::steady(agents)),
        (Some(agents), Some(_)) => load().and_then(|scenario| scenario.dealt_out(agents)),
        (None, _) => load(),
    };
    let scenario = scenario.map_err(Failure::usage)?;
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
            shutdown::requested().await;
        } else {
            tokio::select! {
                _ = shutdown::requested() => {}
                () = fleet.call(ROUND) => {}
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    if args.agents.is_some() && args.scenario.is_none() && !args.no_work {
        fleet.prefill(PAST);
    }
    super::console::demo(global, &args, scenario, fleet, out).await
}
