//! `problems`: lists problems with their start, impact and next step.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{Global, Login, Problems, ProblemsCommand};
use super::output::{Failure, Printer, table};
use super::session::{Session, Setup, seen};
use crate::domain::intent::Intent;
use crate::domain::problem::counts::ProblemCounts;
use crate::domain::problem::diagnosis::{self, Count, Impact};
use crate::domain::problem::{Problem, ProblemAct};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::protocol::timestamp;

pub(super) async fn run(global: &Global, args: Problems, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?;
    // The impact includes jobs that have ended, but they are not listed to people.
    let setup = if out.is_json() { setup } else { setup.of_open_tasks() };
    let Problems { here: args, exit_code, act } = args;
    if let Some(act) = act {
        return on_problem(&setup, act, out).await;
    }
    let (session, snapshot) = seen(&setup, out).await?;
    let open = open(&snapshot, args.agent.as_deref());
    if out.is_json() {
        out.document(&document(&snapshot, args.agent.as_deref()));
    } else if open.is_empty() {
        out.warn("no problem is known");
    } else {
        let rows: Vec<Vec<String>> = open
            .iter()
            .map(|problem| {
                vec![
                    format!("p-{}", problem.number),
                    problem.severity().as_str().to_owned(),
                    state_words(problem),
                    timestamp::format_at(problem.since),
                    format!("{} {}", agent_name(&snapshot, problem).unwrap_or_default(), problem.text.line())
                        .trim()
                        .to_owned(),
                    problem.next.to_string(),
                ]
            })
            .collect();
        for line in table(&["ID", "SEVERITY", "STATE", "SINCE", "PROBLEM", "NEXT"], &rows) {
            out.row(&line);
        }
    }
    if let Some(session) = session {
        session.close(false).await;
    }
    let raised = ProblemCounts::of(open.iter().copied()).problems > 0;
    Ok(if exit_code && raised { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn agent_name(snapshot: &Snapshot, problem: &Problem) -> Option<String> {
    let agent = problem.agent.and_then(|key| snapshot.agents.get(key));
    agent.map(|agent| agent.name.line().into_string())
}

/// Problems that are not over, of all agents or one, the worst first.
fn open<'s>(snapshot: &'s Snapshot, agent: Option<&str>) -> Vec<&'s Problem> {
    let all = snapshot.open_problems().map(|(_, problem)| problem);
    let is_of = |problem: &Problem, name| agent_name(snapshot, problem).as_deref() == Some(name);
    let mut open: Vec<&Problem> =
        all.filter(|problem| agent.is_none_or(|name| is_of(problem, name))).collect();
    open.sort_by_key(|problem| (std::cmp::Reverse(problem.severity()), problem.since));
    open
}

/// The document of `-o json`.
pub fn document(snapshot: &Snapshot, agent: Option<&str>) -> Value {
    let (open, impacts) = (open(snapshot, agent), all_impacts(snapshot));
    let rows: Vec<Value> = open.iter().map(|problem| entry(snapshot, problem, &impacts)).collect();
    json!({ "problems": rows, "counts": problem_counts(open.into_iter()) })
}

/// `{"problems": 2, "notices": 16, "muted": 1}`
fn problem_counts<'p>(open: impl Iterator<Item = &'p Problem>) -> Value {
    let counts = ProblemCounts::of(open);
    json!({ "problems": counts.problems, "notices": counts.notices, "muted": counts.muted })
}

/// `open`, `taken by sam`, `muted until 06:00`.
fn state_words(problem: &Problem) -> String {
    match (&problem.muted, &problem.taken) {
        (Some(muted), _) => format!("muted until {}", timestamp::format_at(muted.until)),
        (None, Some(taken)) => format!("taken by {}", taken.by.line()),
        (None, None) => "open".into(),
    }
}

/// Takes, mutes, and their opposites.
async fn on_problem(setup: &Setup, act: ProblemsCommand, out: &mut Printer) -> Result<ExitCode, Failure> {
    let (number, act, words) = match act {
        ProblemsCommand::Take { problem } => (problem, ProblemAct::Take, "is yours"),
        ProblemsCommand::GiveBack { problem } => (problem, ProblemAct::GiveBack, "is nobody's"),
        ProblemsCommand::Mute { problem, time, why } => {
            (problem, ProblemAct::Mute { time, why: why.as_str().into() }, "is muted")
        }
        ProblemsCommand::Unmute { problem } => (problem, ProblemAct::Unmute, "is heard of again"),
    };
    let by = Untrusted::from(setup.config.operator.as_str());
    let session = Session::open(setup, &[], &Login::default(), false).await?;
    let done = session.handle.submit(Intent::OnProblem { number, act, by }).await;
    let done = done.map_err(|refusal| Failure::from_refusal(&refusal));
    if done.is_ok() {
        let snapshot = session.handle.snapshot();
        let row = snapshot.problems.iter().find(|(_, problem)| problem.number == number);
        match (out.is_json(), row) {
            (true, Some((_, problem))) => {
                out.document(&entry(&snapshot, problem, &all_impacts(&snapshot)));
            }
            _ => out.warn(format!("p-{number} {words}")),
        }
    }
    session.close(true).await;
    done.map(|_| ExitCode::SUCCESS)
}

/// The impact of each problem, by number.
pub(super) fn all_impacts(snapshot: &Snapshot) -> BTreeMap<u32, Impact> {
    let impacts = diagnosis::impacts(snapshot, snapshot.problems.iter());
    let numbered =
        |(key, impact)| snapshot.problems.get(key).map(|problem: &Problem| (problem.number, impact));
    impacts.into_iter().filter_map(numbered).collect()
}

/// `{"shop-web": 48, "shop-app": 12}`
fn counts(all: &[Count]) -> Value {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for (name, count) in all {
        *counts.entry(name.shortened(80).line().into_string()).or_default() += count;
    }
    json!(counts)
}

pub(super) fn entry(snapshot: &Snapshot, problem: &Problem, impacts: &BTreeMap<u32, Impact>) -> Value {
    let nobody = Impact::default();
    let impact = impacts.get(&problem.number).unwrap_or(&nobody);
    let cause = diagnosis::cause(snapshot, problem, impact);
    let agent = problem.agent.and_then(|key| snapshot.agents.get(key));
    json!({
        "id": format!("p-{}", problem.number),
        "kind": problem.kind.as_str(),
        "severity": problem.severity().as_str(),
        "agent": agent.map(|agent| agent.name.line().into_string()),
        "url": agent.map(|agent| agent.spec.url.to_string()),
        "since": timestamp::format_at(problem.since),
        "state": problem.state(),
        "owner": problem.taken.as_ref().map(|taken| taken.by.line().into_string()),
        "mutedUntil": problem.muted.as_ref().map(|muted| timestamp::format_at(muted.until)),
        "why": problem.muted.as_ref().map(|muted| muted.why.line().into_string()),
        "text": problem.text.line().into_string(),
        "next": problem.next.line().into_string(),
        "hits": {
            "jobs": impact.jobs,
            "failed": impact.failed,
            "of": impact.ended,
            "atRisk": impact.at_risk,
            "agents": impact.agents,
            "atLeast": impact.at_least,
            "callers": counts(&impact.callers),
            "skills": counts(&impact.skills),
            "errors": counts(&impact.errors),
        },
        "cause": {
            "certainty": cause.certainty.as_str(),
            "words": cause.words,
            "problem": cause.problem.map(|number| format!("p-{number}")),
        },
    })
}
