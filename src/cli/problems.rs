//! `problems`: what is wrong, since when, with whom, and the next step.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{Global, Here};
use super::output::{Failure, Printer, table};
use super::session::{Session, Setup, stored};
use super::task::as_of;
use crate::domain::problem::Problem;
use crate::domain::snapshot::Snapshot;
use crate::protocol::timestamp;

pub(super) async fn run(global: &Global, args: Here, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?;
    let session = Session::running(&setup).await?;
    let snapshot = match &session {
        Some(session) => session.handle.snapshot(),
        None => {
            let snapshot = stored(&setup)?.unwrap_or_default();
            as_of(snapshot.at, out);
            snapshot.into()
        }
    };
    let agent_name = |problem: &Problem| {
        problem.agent.and_then(|key| snapshot.agents.get(key)).map(|agent| agent.name.line().into_string())
    };
    let mut open: Vec<&Problem> = snapshot
        .open_problems()
        .map(|(_, problem)| problem)
        .filter(|problem| args.agent.is_none() || agent_name(problem) == args.agent)
        .collect();
    open.sort_by_key(|problem| (std::cmp::Reverse(problem.kind.severity()), problem.since));
    if out.is_json() {
        let rows: Vec<Value> = open.iter().map(|problem| entry(&snapshot, problem)).collect();
        out.document(&json!({ "problems": rows }));
    } else if open.is_empty() {
        out.warn("no problem is known");
    } else {
        let rows: Vec<Vec<String>> = open
            .iter()
            .map(|problem| {
                vec![
                    format!("p-{}", problem.number),
                    problem.kind.severity().as_str().to_owned(),
                    timestamp::format_at(problem.since),
                    format!("{} {}", agent_name(problem).unwrap_or_default(), problem.text.line())
                        .trim()
                        .to_owned(),
                    problem.next.to_string(),
                ]
            })
            .collect();
        for line in table(&["ID", "SEVERITY", "SINCE", "PROBLEM", "NEXT"], &rows) {
            out.row(&line);
        }
    }
    if let Some(session) = session {
        session.close(false).await;
    }
    Ok(ExitCode::SUCCESS)
}

fn entry(snapshot: &Snapshot, problem: &Problem) -> Value {
    let agent = problem.agent.and_then(|key| snapshot.agents.get(key));
    json!({
        "id": format!("p-{}", problem.number),
        "kind": problem.kind.as_str(),
        "severity": problem.kind.severity().as_str(),
        "agent": agent.map(|agent| agent.name.line().into_string()),
        "url": agent.map(|agent| agent.spec.url.to_string()),
        "since": timestamp::format_at(problem.since),
        "state": "open",
        "text": problem.text.line().into_string(),
        "next": problem.next.line().into_string(),
    })
}
