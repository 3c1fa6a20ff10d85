//! `inbox`: tasks and messages that need an operator, oldest first.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{Global, Scope};
use super::output::{Failure, Printer, table};
use super::session::{Session, Setup, stored};
use super::task::as_of;
use crate::domain::job::Attempt;
use crate::domain::job::task::TaskState;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::protocol::timestamp;

pub(super) async fn run(global: &Global, args: Scope, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?.of_open_tasks();
    let session = Session::running(&setup).await?;
    let snapshot = match &session {
        Some(session) => session.handle.snapshot(),
        None => {
            let snapshot = stored(&setup)?.unwrap_or_default();
            as_of(snapshot.at, out);
            snapshot.into()
        }
    };
    let waiting: Vec<&Attempt> = snapshot
        .inbox()
        .into_iter()
        .filter_map(|key| snapshot.attempts.get(key))
        .filter(|attempt| {
            let agent = snapshot.agents.get(attempt.agent);
            args.agent.as_deref().is_none_or(|name| agent.is_some_and(|agent| agent.name.raw() == name))
        })
        .collect();
    if out.is_json() {
        let rows: Vec<Value> = waiting.iter().map(|attempt| entry(&snapshot, attempt)).collect();
        out.document(&json!({ "inbox": rows }));
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

/// The kind of action needed from an operator.
pub(super) fn wants(attempt: &Attempt) -> &'static str {
    match attempt.task.as_ref().map(|task| &task.state) {
        Some(TaskState::AuthRequired) => "login",
        Some(_) => "answer",
        None => "decision",
    }
}

fn question(attempt: &Attempt) -> Untrusted {
    match &attempt.task {
        Some(task) => task.note.clone().unwrap_or_default(),
        None => Untrusted::from("did it arrive? send it again with the same id, or presume it lost"),
    }
}

fn entry(snapshot: &Snapshot, attempt: &Attempt) -> Value {
    let agent = snapshot.agents.get(attempt.agent).map(|agent| agent.name.line().into_string());
    let task = attempt.task.as_ref();
    json!({
        "job": snapshot.job_of(attempt).map(|job| job.id.to_string()),
        "taskId": task.map(|task| task.id.text().line().into_string()),
        "contextId": task.and_then(|task| task.context.as_ref()).map(|context| context.text().line().into_string()),
        "agent": agent,
        "wants": wants(attempt),
        "question": question(attempt).line().into_string(),
        "since": timestamp::format_at(attempt.since().at),
    })
}

fn cells(snapshot: &Snapshot, attempt: &Attempt) -> Vec<String> {
    let agent = snapshot.agents.get(attempt.agent).map(|agent| agent.name.to_string()).unwrap_or_default();
    let task = attempt.task.as_ref().map_or_else(|| "–".to_owned(), |task| task.id.to_string());
    vec![
        timestamp::format_at(attempt.since().at),
        wants(attempt).to_owned(),
        agent,
        task,
        question(attempt).to_string(),
    ]
}
