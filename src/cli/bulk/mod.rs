//! `task cancel`, `task retry` and `task reroute` for many tasks: what would happen to each, then the acts, then what
//! has become of each.

pub mod filter;
pub(super) mod plan;
mod result;

pub(super) use plan::{name, task_name};
pub(super) use result::live_names;

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use self::filter::Filter;
use super::args::Login;
use super::output::{Failure, Printer};
use super::reroute::agent_named;
use super::session::{Session, Setup, probed};
use crate::domain::id::{AgentId, AttemptId};
use crate::domain::intent::{Intent, Refusal, Remedy};
use crate::domain::job::Phase;
use crate::domain::job::carry::Carry;
use crate::domain::rehearsal::plan::{Becomes, MOST, Plan};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;

/// The time in which every agent is probed, so that the router knows who takes work.
const FIND: Duration = Duration::from_secs(10);
/// The time in which the acts have to come to something, unless another one is given.
const SETTLES: Duration = Duration::from_secs(30);

/// What is done to each task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// Cancel it, and unless told otherwise what it delegated.
    Cancel { cascade: bool },
    /// Try it again.
    Retry,
    /// Move it.
    Reroute,
}

impl Act {
    fn verb(self) -> &'static str {
        match self {
            Self::Cancel { .. } => "cancel",
            Self::Retry => "retry",
            Self::Reroute => "move",
        }
    }

    /// The intents for one attempt, in order.
    fn intents(
        self,
        snapshot: &Snapshot,
        attempt: AttemptId,
        to: Option<AgentId>,
        carry: Carry,
        why: Option<&Untrusted>,
    ) -> Vec<Intent> {
        let why = why.cloned();
        match self {
            Self::Cancel { cascade: true } => vec![Intent::CancelWithDelegated { attempt, why }],
            Self::Cancel { cascade: false } => vec![Intent::Cancel { attempt, why }],
            Self::Reroute => vec![Intent::Reroute { attempt, to, carry, why }],
            Self::Retry => {
                let uncertain =
                    plan::attempt(snapshot, attempt).is_some_and(|row| row.phase == Phase::Uncertain);
                let lost = uncertain.then(|| Intent::PresumeLost { attempt, why: why.clone() });
                lost.into_iter().chain([Intent::Retry { attempt, to, carry, why }]).collect()
            }
        }
    }
}

/// What a command asks for.
pub(super) struct Asked<'a> {
    pub act: Act,
    pub ids: &'a [String],
    pub filter: &'a Filter,
    pub to: Option<&'a str>,
    pub carry: Carry,
    pub why: Option<&'a str>,
    pub timeout: Option<Duration>,
}

pub(super) async fn run(setup: Setup, asked: Asked<'_>, out: &mut Printer) -> Result<ExitCode, Failure> {
    if setup.read_only {
        return Err(Failure::from_refusal(&Refusal::ReadOnly));
    }
    let session = Session::open(&setup, &[], &Login::default(), false).await?;
    probed(&session.handle, None, FIND).await;
    let result = act(&session, &asked, out).await;
    session.close(true).await;
    result
}

async fn act(session: &Session, asked: &Asked<'_>, out: &mut Printer) -> Result<ExitCode, Failure> {
    let snapshot = session.handle.snapshot();
    let to = asked.to.map(|name| agent_named(&snapshot, name)).transpose()?;
    let why = asked.why.map(Untrusted::from);
    let mut attempts = asked.filter.select(&snapshot, asked.act, asked.ids)?;
    let of = asked.filter.words();
    if attempts.is_empty() {
        return Err(Failure::new(
            1,
            "QUARTERDECK_ERR_NOTHING",
            format!("no task to {}{of}", asked.act.verb()),
        )
        .hint("quarterdeck task list shows the tasks of all agents"));
    }
    let left_out = attempts.len().saturating_sub(MOST);
    attempts.truncate(MOST);
    let intents = |attempt: &AttemptId| asked.act.intents(&snapshot, *attempt, to, asked.carry, why.as_ref());
    let plan = plan::of(&session.handle, attempts.iter().flat_map(intents).collect()).await?;
    let acts: Vec<AttemptId> = plan.acts().map(|row| row.attempt).collect();
    show(&snapshot, asked, &plan, left_out, out);
    if acts.is_empty() {
        print(session, asked, &plan, &[], false, out);
        return beside(Failure::new(1, "QUARTERDECK_ERR_NOTHING", "nothing can be done to any of them"), out);
    }
    if !asked.filter.yes {
        let verb = asked.act.verb();
        if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) || out.is_json() {
            print(session, asked, &plan, &[], false, out);
            let tasks = if acts.len() == 1 { "task" } else { "tasks" };
            let words = format!("nothing was done: to {verb} {} {tasks}, add --yes", acts.len());
            return beside(Failure::usage(words), out);
        }
        if !confirmed(verb, acts.len()).await {
            return Err(Failure::new(1, "QUARTERDECK_ERR_NOTHING", "nothing was done"));
        }
    }
    let handle = session.handle.clone().one_of(acts.len());
    let mut refused: Vec<(AttemptId, Refusal)> = Vec::new();
    for (at, attempt) in acts.iter().enumerate() {
        out.progress(format!("{} of {}", at + 1, acts.len()));
        for intent in intents(attempt) {
            if let Err(refusal) = handle.submit(intent).await {
                if matches!(refusal, Refusal::Instead(_, Remedy::GiveReason)) {
                    // It holds for all of them, and for the first one already.
                    let words = format!("nothing was done: {refusal}");
                    return beside(Failure { message: words.into(), ..Failure::from_refusal(&refusal) }, out);
                }
                refused.push((*attempt, refusal));
                break;
            }
        }
    }
    let until = Instant::now() + asked.timeout.unwrap_or(SETTLES);
    result::wait(session, asked.act, &acts, until, out).await;
    print(session, asked, &plan, &refused, true, out);
    match result::verdict(&session.handle.snapshot(), asked.act, &acts, &refused) {
        Ok(code) => Ok(code),
        Err(failure) => beside(failure, out),
    }
}

/// A failure after the result was printed: in JSON, which is one document, it goes to stderr.
pub(super) fn beside(failure: Failure, out: &mut Printer) -> Result<ExitCode, Failure> {
    if !out.is_json() {
        return Err(failure);
    }
    out.warn(failure.message.clone());
    if let Some(hint) = &failure.hint {
        out.warn(hint.clone());
    }
    Ok(ExitCode::from(failure.exit))
}

/// Shows the plan, where a person reads it.
fn show(snapshot: &Snapshot, asked: &Asked<'_>, plan: &Plan, left_out: usize, out: &mut Printer) {
    let count = plan.rows.len();
    let tasks = if count == 1 { "task" } else { "tasks" };
    let names = if asked.ids.is_empty() { asked.filter.words() } else { String::new() };
    out.warn(format!("{} {count} {tasks}{names}:", asked.act.verb()));
    for line in plan::lines(snapshot, asked.act, plan) {
        out.warn(format!("  {line}"));
    }
    if left_out > 0 {
        out.warn(format!("  and {left_out} more, for which the command has to be repeated"));
    }
    let agent = asked.filter.agent.as_deref().and_then(|name| super::session::find_agent(snapshot, name));
    if let Some(more) = plan.more_agents(agent.and_then(|(_, agent)| agent.spec.capacity)) {
        let agents = if more == 1 { "1 more agent".to_owned() } else { format!("{more} more agents") };
        out.warn(format!("  {agents} of this kind would take those that wait for a place"));
    }
}

/// Asks for the number to be typed.
async fn confirmed(verb: &str, count: usize) -> bool {
    let prompt = format!("type {count} to {verb} {count}: ");
    let asked = tokio::task::spawn_blocking(move || {
        let mut err = std::io::stderr();
        let _nobody_reads_it = err.write_all(prompt.as_bytes()).and_then(|()| err.flush());
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        read.is_ok() && line.trim() == count.to_string()
    });
    tokio::select! {
        answer = asked => answer.unwrap_or(false),
        _ = crate::shutdown::requested() => false,
    }
}

/// The result of each task.
fn print(
    session: &Session,
    asked: &Asked<'_>,
    plan: &Plan,
    refused: &[(AttemptId, Refusal)],
    done: bool,
    out: &mut Printer,
) {
    let snapshot = session.handle.snapshot();
    let result = |attempt: AttemptId, stays: bool| {
        (done && !stays).then(|| result::of(&snapshot, asked.act, attempt, refused))
    };
    let stays = |row: &crate::domain::rehearsal::plan::Row| matches!(row.becomes, Becomes::Stays(_));
    if out.is_json() {
        let rows = plan.rows.iter().map(|row| {
            let result = result(row.attempt, stays(row)).map(|result| result.json(&snapshot));
            plan::row_json(&snapshot, row, result)
        });
        return out.document(&json!({
            "act": asked.act.verb(),
            "applied": done,
            "tasks": rows.collect::<Vec<_>>(),
        }));
    }
    if !done {
        return;
    }
    let rows: Vec<Vec<String>> = plan
        .rows
        .iter()
        .filter_map(|row| {
            let result = result(row.attempt, stays(row))?;
            let attempt = plan::attempt(&snapshot, row.attempt)?;
            let agent = snapshot.agents.get(attempt.agent)?;
            let words = result.words(&snapshot);
            Some(vec![plan::task_name(attempt), agent.name.line().into_string(), words])
        })
        .collect();
    for line in super::output::table(&["TASK", "AGENT", "RESULT"], &rows) {
        out.row(&line);
    }
}
