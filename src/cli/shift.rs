//! `route shift`: moves an agent's work to a successor step by step, and says how far that is.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::args::{Global, Login};
use super::output::{Failure, Printer, table};
use super::reroute::agent_named;
use super::session::{Session, Setup, probed};
use crate::config::units;
use crate::domain::agent::Agent;
use crate::domain::agent::shift::{
    OK_LIMIT, Results, STEP_JOBS, STEP_TIME, STEPS, Shift, ShiftChange, ShiftTerms,
};
use crate::domain::id::AgentId;
use crate::domain::intent::{Intent, Refusal};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::protocol::timestamp;

/// The time in which every agent is probed, so that their skills are known.
const FIND: Duration = Duration::from_secs(10);

/// `route shift`
#[derive(Args, Debug)]
#[command(after_help = "\
Where both agents could take a job, the successor gets a rising share of what the two of them get. A step is over after
its time and its jobs, whichever is later. If the successor's OK % falls under the limit, or is 5 points or more below
the legacy agent's, it gets nothing again and a problem is raised. The shift survives restarts and is no part of the
configuration. The last share stays until --end; remove the legacy agent from the rules or the fleet before that.

Examples:
  quarterdeck route shift cashier-old cashier-new
  quarterdeck route shift cashier-old cashier-new --step 10,50,100 --jobs 200 --ok-limit 99
  quarterdeck route shift --status
  quarterdeck route shift cashier-old --hold
  quarterdeck route shift cashier-old --back --why 'wrong totals'
  quarterdeck route shift cashier-old --end")]
pub struct ShiftArgs {
    /// The legacy agent's name in the fleet; may be left out of a change if there is one shift only.
    #[arg(value_name = "FROM")]
    pub from: Option<String>,
    /// The successor's name in the fleet.
    #[arg(value_name = "TO", requires = "from", conflicts_with_all = ["status", "hold", "resume", "back", "end"])]
    pub to: Option<String>,
    /// Shift only jobs for this skill.
    #[arg(long, value_name = "ID", requires = "to")]
    pub skill: Option<String>,
    /// The successor's share in each step, in per cent; the last is 100 [default: 1,5,25,50,100].
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', requires = "to")]
    pub step: Vec<u8>,
    /// The time that each step takes at least [default: 10m].
    #[arg(long, value_name = "DURATION", value_parser = units::duration, requires = "to")]
    pub time: Option<Duration>,
    /// The jobs that have to end at the successor in each step [default: 50].
    #[arg(long, value_name = "N", requires = "to")]
    pub jobs: Option<u32>,
    /// The OK % under which the successor loses its share [default: 95].
    #[arg(long, value_name = "PERCENT", requires = "to")]
    pub ok_limit: Option<u8>,
    /// Show every shift: its step, both OK %, and what the next step needs.
    #[arg(long, conflicts_with_all = ["hold", "resume", "back", "end"])]
    pub status: bool,
    /// Stay at this share; the limits still hold.
    #[arg(long, conflicts_with_all = ["resume", "back", "end"])]
    pub hold: bool,
    /// Go on after --hold, or begin again after the shift went back.
    #[arg(long, conflicts_with_all = ["back", "end"])]
    pub resume: bool,
    /// Back to 0: the legacy agent gets everything again.
    #[arg(long, conflicts_with = "end")]
    pub back: bool,
    /// End the shift: the rules decide alone.
    #[arg(long)]
    pub end: bool,
    /// Reason, recorded as a note on the legacy agent.
    #[arg(long, value_name = "TEXT", conflicts_with = "status")]
    pub why: Option<String>,
}

impl ShiftArgs {
    fn change(&self) -> Option<ShiftChange> {
        [
            (self.hold, ShiftChange::Hold),
            (self.resume, ShiftChange::Resume),
            (self.back, ShiftChange::Back),
            (self.end, ShiftChange::End),
        ]
        .into_iter()
        .find_map(|(wanted, change)| wanted.then_some(change))
    }
}

pub(super) async fn run(global: &Global, args: ShiftArgs, out: &mut Printer) -> Result<ExitCode, Failure> {
    let change = args.change();
    if args.status || (args.from.is_none() && change.is_none()) {
        return status(global, &args, out).await;
    }
    if args.to.is_none() && change.is_none() {
        return Err(Failure::usage("the successor is missing")
            .hint("quarterdeck route shift FROM TO begins a shift; --status shows those there are"));
    }
    let setup = Setup::load(global)?.of_open_tasks();
    if setup.read_only {
        return Err(Failure::from_refusal(&Refusal::ReadOnly));
    }
    let by = Untrusted::from(setup.config.operator.as_str());
    let session = Session::open(&setup, &[], &Login::default(), false).await?;
    let result = submit(&session, &args, change, by, out).await;
    session.close(true).await;
    result.map(|()| ExitCode::SUCCESS)
}

async fn submit(
    session: &Session,
    args: &ShiftArgs,
    change: Option<ShiftChange>,
    by: Untrusted,
    out: &mut Printer,
) -> Result<(), Failure> {
    if change.is_none() {
        // What the two share is known once their cards are.
        probed(&session.handle, None, FIND).await;
    }
    let snapshot = session.handle.snapshot();
    let agent = match &args.from {
        Some(name) => agent_named(&snapshot, name)?,
        None => the_only(&snapshot)?,
    };
    let change = match (change, &args.to) {
        (Some(change), _) => change,
        (None, Some(to)) => ShiftChange::Begin(terms(args, agent_named(&snapshot, to)?)),
        (None, None) => return Err(Failure::usage("the successor is missing")),
    };
    let why = args.why.as_deref().map(Untrusted::from);
    let intent = Intent::Shift { agent, change, why, by };
    session.handle.submit(intent).await.map_err(|refusal| Failure::from_refusal(&refusal))?;
    let snapshot = session.handle.snapshot();
    if out.is_json() {
        out.document(&json!({"shifts": all(&snapshot)}));
        return Ok(());
    }
    let row = snapshot.agents.iter().find(|(_, row)| row.id == agent).map(|(_, row)| row);
    let shift = row.and_then(|row| Some((row, row.shift.as_deref()?)));
    out.warn(match shift {
        Some((row, shift)) => in_words(&snapshot, row, shift),
        None => "the shift is over: the rules decide alone".to_owned(),
    });
    Ok(())
}

fn terms(args: &ShiftArgs, to: AgentId) -> ShiftTerms {
    ShiftTerms {
        to,
        skill: args.skill.as_deref().map(Untrusted::from),
        steps: if args.step.is_empty() { STEPS.to_vec() } else { args.step.clone() },
        time: args.time.unwrap_or(STEP_TIME),
        jobs: args.jobs.unwrap_or(STEP_JOBS),
        ok_limit: args.ok_limit.unwrap_or(OK_LIMIT),
    }
}

/// The legacy agent of the only shift.
fn the_only(snapshot: &Snapshot) -> Result<AgentId, Failure> {
    let mut shifted = snapshot.agents.iter().filter(|(_, agent)| agent.shift.is_some());
    match (shifted.next(), shifted.next()) {
        (Some((_, agent)), None) => Ok(agent.id),
        (None, _) => Err(Failure::usage("no work is shifted").hint("quarterdeck route shift FROM TO begins")),
        (Some(_), Some(_)) => Err(Failure::usage("there are several shifts: name the legacy agent")
            .hint("quarterdeck route shift --status lists them")),
    }
}

async fn status(global: &Global, args: &ShiftArgs, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?.of_open_tasks();
    let session = Session::open(&setup, &[], &Login::default(), false).await?;
    let snapshot = session.handle.snapshot();
    let only = args.from.as_deref().map(|name| agent_named(&snapshot, name)).transpose();
    session.close(false).await;
    let only = only?;
    let shifts: Vec<_> = shifts(&snapshot).filter(|(row, _)| only.is_none_or(|id| row.id == id)).collect();
    if out.is_json() {
        let shifts: Vec<_> = shifts.iter().map(|(row, shift)| shift_json(&snapshot, row, shift)).collect();
        out.document(&json!({"shifts": shifts}));
        return Ok(ExitCode::SUCCESS);
    }
    if shifts.is_empty() {
        out.warn("no work is shifted; `quarterdeck route shift FROM TO` begins");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = shifts.iter().map(|(row, shift)| cells(&snapshot, row, shift)).collect();
    for line in table(&["FROM", "TO", "SHARE", "STEP", "SINCE", "NEW", "OLD", "NEXT"], &rows) {
        out.row(&line);
    }
    for (row, shift) in shifts {
        if let Some(why) = &shift.why {
            out.warn(format!("{} is back at 0: {}", row.name.line(), why.line()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The shifts of a fleet, each with its legacy agent.
pub(super) fn shifts(snapshot: &Snapshot) -> impl Iterator<Item = (&Agent, &Shift)> {
    snapshot.agents.iter().filter_map(|(_, agent)| Some((agent, agent.shift.as_deref()?)))
}

fn name_of(snapshot: &Snapshot, id: AgentId) -> String {
    let agent = snapshot.agents.iter().find(|(_, agent)| agent.id == id);
    agent.map_or_else(|| id.to_string(), |(_, agent)| agent.name.line().into_string())
}

fn cells(snapshot: &Snapshot, legacy: &Agent, shift: &Shift) -> Vec<String> {
    vec![
        legacy.name.line().into_string(),
        name_of(snapshot, shift.terms.to),
        format!("{} %", shift.percent()),
        shift.place(),
        timestamp::format_at(shift.since),
        shift.counts.successor.in_words(),
        shift.counts.legacy.in_words(),
        shift.missing_in_words(snapshot.at),
    ]
}

/// `old-x → new-x: 5 % (step 2 of 5), …`
pub(super) fn in_words(snapshot: &Snapshot, legacy: &Agent, shift: &Shift) -> String {
    let (from, to) = (legacy.name.line(), name_of(snapshot, shift.terms.to));
    let skill = shift.terms.skill.as_ref().map(|skill| format!(" for skill {}", skill.line()));
    let next = shift.missing_in_words(snapshot.at);
    let next = if next.is_empty() { next } else { format!("; {next}") };
    let why = shift.why.as_ref().map(|why| format!("; {}", why.line())).unwrap_or_default();
    format!(
        "{} % of what {from} would get{} goes to {to} ({}); since then {to}: {}, {from}: {}{why}{next}",
        shift.percent(),
        skill.unwrap_or_default(),
        shift.place(),
        shift.counts.successor.in_words(),
        shift.counts.legacy.in_words(),
    )
}

/// Every shift in the shape that scripts rely on.
pub(super) fn all(snapshot: &Snapshot) -> Vec<Value> {
    shifts(snapshot).map(|(legacy, shift)| shift_json(snapshot, legacy, shift)).collect()
}

fn shift_json(snapshot: &Snapshot, legacy: &Agent, shift: &Shift) -> Value {
    let time = |at: At| timestamp::format_at(at);
    let results = |results: &Results| {
        json!({
            "ended": results.ended(),
            "ok": results.ok,
            "failed": results.failed,
            "refused": results.refused,
            "lost": results.lost,
            "okPercent": results.ok_per_mille().map(|share| f64::from(share) / 10.0),
        })
    };
    let (left, jobs) = shift.missing(snapshot.at);
    let running = !shift.missing_in_words(snapshot.at).is_empty();
    json!({
        "from": legacy.name.line().to_string(),
        "to": name_of(snapshot, shift.terms.to),
        "skill": shift.terms.skill.as_ref().map(|skill| skill.line().to_string()),
        "stage": shift.stage.as_str(),
        "percent": shift.percent(),
        "step": u32::from(shift.step) + 1,
        "steps": shift.terms.steps,
        "began": time(shift.began),
        "by": shift.by.line().to_string(),
        "since": time(shift.since),
        "why": shift.why.as_ref().map(|why| why.line().to_string()),
        "shared": shift.counts.decided,
        "given": shift.counts.given,
        "successor": results(&shift.counts.successor),
        "legacy": results(&shift.counts.legacy),
        "okLimit": shift.terms.ok_limit,
        "stepSeconds": shift.terms.time.as_secs(),
        "stepJobs": shift.terms.jobs,
        "missing": running.then(|| json!({"seconds": left.as_secs(), "jobs": jobs})),
    })
}
