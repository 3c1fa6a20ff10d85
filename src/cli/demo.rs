//! `demo`: the embedded fleet, with the console or without.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::args::{Demo, Global};
use super::output::{Failure, Printer};
use crate::demo::{Fleet, Folder, Scenario};
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
    let mut scenario = scenario.map_err(Failure::usage)?;
    let seed = args.seed.unwrap_or(scenario.seed);
    scenario.seed = seed;
    let folder = global.data_dir.as_deref().map(folder).transpose()?;
    let fleet = Fleet::start_in(folder, &scenario, seed, args.speed, args.faults)
        .map_err(|error| Failure::internal(format!("the agents cannot be started: {error}")))?;
    let fleet = Arc::new(fleet);
    if args.headless {
        if let Some(moved) = fleet.moved() {
            out.warn(moved);
        }
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

/// Where a data folder keeps the demo: its agents' ports and tasks, and how far its story is.
fn folder(data_dir: &Path) -> Result<Folder, Failure> {
    let dir = data_dir.join("demo");
    let fault = |error: &dyn std::fmt::Display| {
        Failure::internal(format!("{} cannot be used: {error}", dir.display()))
    };
    crate::store::make_dir(data_dir).map_err(|error| fault(&error))?;
    Folder::open(&dir).map_err(|error| fault(&error))?.ok_or_else(|| {
        Failure::internal("another demo uses this data folder").hint("name another one with --data-dir")
    })
}
