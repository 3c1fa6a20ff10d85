//! `traces`: what tasks did, across agents, and where the time went.

mod list;
mod read;
mod waterfall;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::args::Global;
use super::output::{Failure, Printer};
use super::session::{Setup, seen};
use crate::config::units;
use crate::telemetry::query::TraceOrder;

/// `traces`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  quarterdeck traces --since 1h --sort slowest
  quarterdeck traces --agent ledger-1 --failed
  quarterdeck traces 9a1c
  quarterdeck traces 9a1c --otlp > trace.json
  quarterdeck traces --from-file trace.json")]
pub struct Traces {
    /// Show one trace: its id, a traceparent, or the id of a job, an attempt or a task; the beginning suffices.
    #[arg(value_name = "TRACE|TASK")]
    pub trace: Option<String>,
    /// How far back to look.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = units::duration)]
    pub since: Duration,
    /// Only traces with a span of this agent or service.
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Only traces of this skill.
    #[arg(long, value_name = "ID")]
    pub skill: Option<String>,
    /// Only traces whose last task is in this state: working, completed, TASK_STATE_FAILED, …
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Only traces that took at least this long.
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    pub at_least: Option<Duration>,
    /// Only traces with an error.
    #[arg(long)]
    pub failed: bool,
    /// Only traces with a span that has this attribute, such as gen_ai.request.model=model-s; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = list::attribute)]
    pub attribute: Vec<(String, String)>,
    /// Order of the list.
    #[arg(long, value_enum, default_value_t = Sort::Newest)]
    pub sort: Sort,
    /// Maximum number of traces.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Show the spans too that say how a library works and not what an agent does.
    #[arg(long, requires = "trace")]
    pub all: bool,
    /// Print the spans as OTLP in JSON, which other tools read.
    #[arg(long, requires = "trace")]
    pub otlp: bool,
    /// Read spans from a file of OTLP in JSON instead of the fleet's data: one document, or one on each line.
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
}

/// The order of a list of traces.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    /// The one that began last first.
    Newest,
    /// The one that took longest first.
    Slowest,
    /// Those with the most errors first.
    Failing,
}

impl From<Sort> for TraceOrder {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Newest => Self::Newest,
            Sort::Slowest => Self::Slowest,
            Sort::Failing => Self::Failing,
        }
    }
}

pub(super) async fn run(global: &Global, args: Traces, out: &mut Printer) -> Result<ExitCode, Failure> {
    if let Some(file) = &args.from_file {
        return read::from_file(file, &args, out);
    }
    let setup = Setup::load(global)?;
    let (session, snapshot) = seen(&setup, out).await?;
    let source = read::Source { dir: &setup.dir, session: session.as_ref(), snapshot: &snapshot };
    let done = match &args.trace {
        Some(reference) => read::one(&source, reference, &args, out).await,
        None => list::print(&source, &args, out).await,
    };
    if let Some(session) = session {
        session.close(false).await;
    }
    done.map(|()| ExitCode::SUCCESS)
}
