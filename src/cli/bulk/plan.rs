//! What an act on many tasks would do, shown before anything is done.

use serde_json::{Value, json};

use super::Act;
use crate::cli::output::{Failure, table};
use crate::domain::id::{AgentId, AttemptId};
use crate::domain::job::Attempt;
use crate::domain::rehearsal::plan::{Becomes, Load, Plan, Row};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::engine::{Answer, Handle, Query};

/// For what a job waits whose task delegated to an agent that nobody can ask.
const HELD: &str = "until what it delegated was seen to end, at an agent that cannot be reached";

/// Asks the engine what acts would do.
pub(super) async fn of(handle: &Handle, acts: Vec<crate::domain::intent::Intent>) -> Result<Plan, Failure> {
    match handle.query(Query::Plan(acts)).await {
        Ok(Answer::Planned(plan)) => Ok(*plan),
        Ok(_) => Err(Failure::internal("the engine answered something else")),
        Err(error) => Err(Failure::internal(error.to_string())),
    }
}

/// The name of an agent.
pub(in crate::cli) fn name(snapshot: &Snapshot, agent: AgentId) -> String {
    let row = snapshot.agents.iter().find(|(_, row)| row.id == agent);
    row.map_or_else(|| agent.to_string(), |(_, row)| row.name.line().into_string())
}

pub(super) fn attempt(snapshot: &Snapshot, id: AttemptId) -> Option<&Attempt> {
    snapshot.attempts.iter().find(|(_, attempt)| attempt.id == id).map(|(_, attempt)| attempt)
}

/// The id of a task as people type it, or of the attempt if it has none.
pub(in crate::cli) fn task_name(attempt: &Attempt) -> String {
    attempt.task.as_ref().map_or_else(|| attempt.id.to_string(), |task| task.id.to_string())
}

/// `19/30 becomes 26/30`
fn places(load: &Load) -> String {
    match load.capacity {
        Some(most) => format!("{}/{most} becomes {}/{most}", load.before, load.after),
        None => format!("{} becomes {} in flight", load.before, load.after),
    }
}

/// The plan in lines.
pub(super) fn lines(snapshot: &Snapshot, act: Act, plan: &Plan) -> Vec<String> {
    let mut rows: Vec<Vec<String>> = plan
        .loads
        .iter()
        .map(|load| vec![load.gets.to_string(), format!("→ {}", name(snapshot, load.agent)), places(load)])
        .collect();
    for (why, count) in plan.waits() {
        let wait = if count == 1 { "waits" } else { "wait" };
        rows.push(vec![count.to_string(), wait.to_owned(), format!("for {}", why.in_words())]);
    }
    let held = plan.count(&Becomes::Held);
    if held > 0 {
        let word = if held == 1 { "waits" } else { "wait" };
        rows.push(vec![held.to_string(), word.to_owned(), HELD.to_owned()]);
    }
    let ends = plan.count(&Becomes::Ends);
    if ends > 0 {
        let word = if ends == 1 { "ends" } else { "end" };
        rows.push(vec![
            ends.to_string(),
            word.to_owned(),
            "at their agents, once that is verified".to_owned(),
        ]);
    }
    for (why, count) in plan.stays() {
        let word = if count == 1 { "stays" } else { "stay" };
        rows.push(vec![count.to_string(), word.to_owned(), why.line().into_string()]);
    }
    let mut lines: Vec<String> =
        table(&["", "", ""], &rows).into_iter().skip(1).map(|line| line.to_string()).collect();
    if act == Act::Reroute && plan.acts().next().is_some() {
        lines.push("each is canceled and verified before it is sent again".to_owned());
    }
    if let Some(with) = delegated(snapshot, plan) {
        lines.push(with);
    }
    if plan.is_cut {
        lines.push("too much would follow to be foretold in full".to_owned());
    }
    lines
}

/// `and with them 2 tasks that they delegated: 2 at ledger-1`
fn delegated(snapshot: &Snapshot, plan: &Plan) -> Option<String> {
    let by_agent = plan.delegated();
    let all: u32 = by_agent.iter().map(|(_, count)| count).sum();
    let at: Vec<String> =
        by_agent.iter().map(|(agent, count)| format!("{count} at {}", name(snapshot, *agent))).collect();
    let tasks = if all == 1 { "1 task".to_owned() } else { format!("{all} tasks") };
    (all > 0).then(|| format!("and with them {tasks} that they delegated: {}", at.join(", ")))
}

/// A row in JSON, with how it went once it was done.
pub(super) fn row_json(snapshot: &Snapshot, row: &Row, result: Option<Value>) -> Value {
    let attempt = attempt(snapshot, row.attempt);
    let agent = attempt.and_then(|attempt| snapshot.agents.get(attempt.agent));
    let job = attempt.and_then(|attempt| snapshot.job_of(attempt));
    let (becomes, to, why): (&str, Option<String>, Option<Untrusted>) = match &row.becomes {
        Becomes::Goes(agent) => ("goes", Some(name(snapshot, *agent)), None),
        Becomes::Waits(why) => ("waits", None, Some(why.as_str().into())),
        Becomes::Held => ("held", None, Some(HELD.into())),
        Becomes::Ends => ("ends", None, None),
        Becomes::Stays(why) => ("stays", None, Some(why.clone())),
    };
    json!({
        "task": attempt.and_then(|attempt| attempt.task.as_ref()).map(|task| task.id.to_string()),
        "attempt": row.attempt.to_string(),
        "job": job.map(|job| job.id.to_string()),
        "agent": agent.map(|agent| agent.name.line().into_string()),
        "plan": becomes,
        "to": to,
        "why": why.map(|why| why.line().into_string()),
        "delegated": row.delegated.iter().map(|(agent, count)| {
            json!({ "agent": name(snapshot, *agent), "tasks": count })
        }).collect::<Vec<_>>(),
        "result": result,
    })
}
