//! `demo`: the embedded fleet, with the console or without.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::args::{Demo, Global};
use super::output::{Failure, Printer};
use super::session::{Session, Setup};
use crate::config::{self, Config};
use crate::demo::{Fleet, Folder, Report, Scenario, Story, StoryOptions};
use crate::domain::text::Untrusted;
use crate::shutdown;

/// The number of tasks that each agent of a large steady fleet has already ended within the last day.
const PAST: u64 = 100;
/// The built-in caller sends a task to every agent this often.
pub(super) const ROUND: Duration = Duration::from_secs(20);
/// The probe interval of the demo fleet: short, so that a short story shows changes.
const PROBES: Duration = Duration::from_secs(5);
/// Probes a second of the demo fleet, whose agents are all on one host.
const PROBES_PER_HOST: u32 = 50;

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
        if scenario.incident.is_some() && args.agents.is_none() && !args.no_work {
            return practise(global, &args, scenario, fleet, out).await;
        }
        if args.unattended {
            return Err(Failure::usage(
                "without a console, a built-in operator has nothing to do in this scenario",
            )
            .hint("leave out --headless or --unattended, or play --scenario checkout"));
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

impl Demo {
    /// How its story is played.
    pub(super) fn story(&self) -> StoryOptions {
        let Self { speed, stage, no_work, unattended, .. } = *self;
        StoryOptions { speed, stage, no_work, unattended }
    }
}

/// A folder that is removed with its content.
#[derive(Debug)]
pub(super) struct Passing(PathBuf);

impl Drop for Passing {
    fn drop(&mut self) {
        let _what_is_left_is_harmless = std::fs::remove_dir_all(&self.0);
    }
}

/// What a demo is played on.
pub(super) struct Stage {
    pub setup: Setup,
    /// The folder of its data, unless it is kept.
    pub dir: Option<Passing>,
}

impl Stage {
    /// The settings of the user as far as they concern the console, on the fleet of a scenario.
    pub fn of(global: &Global, args: &Demo, scenario: &Scenario) -> Result<Self, Failure> {
        let mut setup = Setup::load(global)?;
        setup.name = match args.agents {
            Some(_) => "demo".into(),
            None => {
                let name = Path::new(args.scenario_name()).file_stem().unwrap_or_default();
                format!("demo: {}", Untrusted::from(&*name.to_string_lossy()).line())
            }
        };
        setup.fleet = config::Fleet {
            probe_interval: PROBES,
            objectives: scenario.objectives(),
            routes: scenario.rules(args.speed),
            ..config::Fleet::default()
        };
        let mut dir = None;
        if global.data_dir.is_none() {
            setup.dir = std::env::temp_dir().join(format!("quarterdeck-demo-{}", std::process::id()));
            dir = Some(Passing(setup.dir.clone()));
        }
        let mut config = Config::clone(&setup.config);
        if let Some(theme) = &args.theme {
            config.console.theme.clone_from(theme);
        }
        config.watch.probes_per_host = config.watch.probes_per_host.max(PROBES_PER_HOST);
        // A demo notifies nobody, and its rules are those of the scenario, whatever becomes of the user's file.
        config.notify = config::Notify::default();
        config.file = None;
        setup.config = Arc::new(config);
        Ok(Self { setup, dir })
    }
}

/// Plays an incident without a console: others may join its engine, and each step is printed once it is done.
async fn practise(
    global: &Global,
    args: &Demo,
    scenario: Scenario,
    fleet: Arc<Fleet>,
    out: &mut Printer,
) -> Result<ExitCode, Failure> {
    let Stage { setup, dir } = Stage::of(global, args, &scenario)?;
    let made_up = scenario.yesterday(fleet.now());
    let session = Session::on_fleet(&setup, &fleet, scenario.seed, made_up)?;
    out.line(&json!({ "dataDir": setup.dir.display().to_string(), "scenario": args.scenario_name() }));
    let story = Story::begin(scenario, fleet, session.handle.clone(), args.story());
    let mut reports = story.report.clone();
    let mut printed = Report::default();
    loop {
        tokio::select! {
            _ = shutdown::requested() => break,
            changed = reports.changed() => if changed.is_err() {
                // The story is over; the fleet goes on until it is stopped.
                if !args.unattended {
                    shutdown::requested().await;
                }
                break;
            }
        }
        let report = reports.borrow_and_update().clone();
        print_news(&printed, &report, out);
        printed = report;
        if printed.seconds.is_some() && args.unattended {
            break;
        }
    }
    drop(story);
    session.close(false).await;
    drop(dir);
    Ok(ExitCode::SUCCESS)
}

/// What a report says that was not printed yet.
fn print_news(printed: &Report, report: &Report, out: &mut Printer) {
    if let (None, Some(seconds)) = (printed.raised, report.raised) {
        out.line(&json!({ "event": "problem raised", "seconds": seconds }));
    }
    for step in report.steps.iter().filter(|step| step.seconds.is_some()) {
        let is_new = !printed.steps.iter().any(|known| known.act == step.act && known.seconds.is_some());
        if is_new {
            out.line(&json!({
                "step": step.act.as_str(),
                "name": step.name,
                "seconds": step.seconds,
                "by": step.by,
            }));
        }
    }
    if let Some(seconds) = report.seconds {
        let steps = report.steps.iter().map(|step| {
            json!({ "step": step.act.as_str(), "name": step.name, "seconds": step.seconds, "by": step.by })
        });
        let steps: Vec<_> = steps.collect();
        out.line(&json!({ "event": "over", "seconds": seconds, "raised": report.raised, "steps": steps }));
    }
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
