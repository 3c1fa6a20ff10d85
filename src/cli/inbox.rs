//! `inbox`: tasks and messages that need an operator, oldest first.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{Global, Scope};
use super::output::{Failure, Printer, table};
use super::session::{Setup, seen};
use crate::domain::job::Attempt;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::protocol::timestamp;

pub(super) async fn run(global: &Global, args: Scope, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?.of_open_tasks();
    let (session, snapshot) = seen(&setup, out).await?;
    let agent = args.agent.as_deref();
    let waiting = waiting(&snapshot, agent);
    if out.is_json() {
        out.document(&document(&snapshot, agent));
    } else if waiting.is_empty() {
        out.warn("nobody waits for you");
    } else {
        let rows: Vec<Vec<String>> = waiting.iter().map(|attempt| cells(&snapshot, attempt)).collect();
        for line in table(&["SINCE", "WANTS", "AGENT", "TASK", "QUESTION"], &rows) {
            out.row(&line);
        }
    }
    if let Some(session) = session {
        session.close(false).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Tasks and messages that need an operator, of all agents or one.
fn waiting<'s>(snapshot: &'s Snapshot, agent: Option<&str>) -> Vec<&'s Attempt> {
    let all = snapshot.inbox().into_iter().filter_map(|key| snapshot.attempts.get(key));
    let is_of = |attempt: &&Attempt, name: &str| {
        snapshot.agents.get(attempt.agent).is_some_and(|agent| agent.name.raw() == name)
    };
    all.filter(|attempt| agent.is_none_or(|name| is_of(attempt, name))).collect()
}

/// The document of `-o json`.
pub fn document(snapshot: &Snapshot, agent: Option<&str>) -> Value {
    let rows: Vec<Value> = waiting(snapshot, agent).iter().map(|attempt| entry(snapshot, attempt)).collect();
    json!({ "inbox": rows })
}

fn question(attempt: &Attempt) -> Untrusted {
    let note = || attempt.task.as_ref().and_then(|task| task.note.clone());
    attempt.decision().map_or_else(|| note().unwrap_or_default(), Untrusted::from)
}

fn entry(snapshot: &Snapshot, attempt: &Attempt) -> Value {
    let agent = snapshot.agents.get(attempt.agent).map(|agent| agent.name.line().into_string());
    let task = attempt.task.as_ref();
    json!({
        "job": snapshot.job_of(attempt).map(|job| job.id.to_string()),
        "taskId": task.map(|task| task.id.text().line().into_string()),
        "contextId": task.and_then(|task| task.context.as_ref()).map(|context| context.text().line().into_string()),
        "agent": agent,
        "wants": attempt.wants(),
        "question": question(attempt).line().into_string(),
        "since": timestamp::format_at(attempt.since().at),
    })
}

fn cells(snapshot: &Snapshot, attempt: &Attempt) -> Vec<String> {
    let agent = snapshot.agents.get(attempt.agent).map(|agent| agent.name.to_string()).unwrap_or_default();
    let task = attempt.task.as_ref().map_or_else(|| "–".to_owned(), |task| task.id.to_string());
    vec![
        timestamp::format_at(attempt.since().at),
        attempt.wants().to_owned(),
        agent,
        task,
        question(attempt).to_string(),
    ]
}
