//! `handover` and `note`: information for the next shift.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{Global, Handover, Login, Note};
use super::output::{Failure, Printer};
use super::problems::{all_impacts, entry};
use super::session::{Session, Setup, seen};
use super::shift;
use super::stored::stored_facts;
use super::uncertain::attempt_named;
use crate::domain::fact::{Fact, FleetFact, JournalEntry, Owner, without_notes_taken_back};
use crate::domain::fleet::changes::breaker_words;
use crate::domain::id::{AgentId, AttemptId};
use crate::domain::intent::Intent;
use crate::domain::problem::Problem;
use crate::domain::problem::diagnosis::{self, Impact};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::engine::{Answer, Query};
use crate::net::clock::Clock;
use crate::protocol::timestamp;

/// Facts of the watch that are read back at most.
const FACTS: usize = 20_000;

/// Stores a note.
pub(super) async fn note(global: &Global, args: Note, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?;
    // Only a note on an attempt looks at tasks, which may be over.
    let setup =
        if args.on.as_ref().is_none_or(|on| on.starts_with("p-")) { setup.of_open_tasks() } else { setup };
    let by = Untrusted::from(setup.config.operator.as_str());
    let session = Session::open(&setup, &[], &Login::default(), false).await?;
    let (mut problem, mut agent, mut attempt) = (None, None, None);
    let mut done = Ok(());
    if let Some(on) = &args.on {
        let snapshot = session.handle.snapshot();
        let number = on.strip_prefix("p-").and_then(|number| number.parse().ok());
        let named = snapshot.agents.iter().find(|(_, row)| row.listed && *row.name.line() == **on);
        match (number, named) {
            (Some(number), _) => problem = Some(number),
            (None, Some((_, row))) => agent = Some(row.id),
            (None, None) => match attempt_named(&snapshot, on) {
                Some(id) => attempt = Some(id),
                None => {
                    done = Err(Failure::usage(format!("there is no problem, agent or attempt {on:?}"))
                        .hint("write p-17, an agent's name, or an id of `quarterdeck task list`"));
                }
            },
        }
    }
    if done.is_ok() {
        let text = Untrusted::from(args.text.as_str());
        let intent = if args.take_back {
            Intent::TakeBackNote { problem, agent, attempt, by, text }
        } else {
            Intent::Note { problem, agent, attempt, by, text }
        };
        done = session.handle.submit(intent).await.map(|_| ()).map_err(|no| Failure::from_refusal(&no));
    }
    if done.is_ok() && !out.is_json() {
        out.warn(if args.take_back { "taken back" } else { "noted" });
    }
    session.close(true).await;
    done.map(|()| ExitCode::SUCCESS)
}

/// Prints the handover.
pub(super) async fn run(global: &Global, args: Handover, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?;
    let (session, snapshot) = seen(&setup, out).await?;
    let facts = match &session {
        Some(session) => {
            let query = Query::Facts { owner: Owner::Fleet, limit: FACTS };
            match session.handle.query(query).await {
                Ok(Answer::Facts(facts)) => facts,
                Ok(_) => Vec::new(),
                Err(error) => return Err(Failure::internal(error.to_string())),
            }
        }
        None => stored_facts(&setup.dir, Owner::Fleet, FACTS)?,
    };
    // Of a folder that no engine has used, there is nothing until now.
    let until = if snapshot.at == At::ZERO { Clock::start().now() } else { snapshot.at };
    let from = until - args.since;
    let facts = without_notes_taken_back(facts);
    let facts: Vec<&JournalEntry> = facts.iter().filter(|fact| fact.at >= from).collect();
    if out.is_json() {
        let impacts = all_impacts(&snapshot);
        let open: Vec<Value> =
            ordered(&snapshot).iter().map(|problem| entry(&snapshot, problem, &impacts)).collect();
        let cleared: Vec<Value> = snapshot
            .problems
            .iter()
            .filter(|(_, problem)| problem.cleared.is_some_and(|at| at >= from))
            .map(|(_, problem)| {
                let mut entry = entry(&snapshot, problem, &impacts);
                entry["cleared"] = json!(problem.cleared.map(timestamp::format_at));
                entry
            })
            .collect();
        let log: Vec<Value> = facts
            .iter()
            .filter_map(|fact| {
                let (by, words) = words(&snapshot, fact)?;
                Some(json!({ "at": timestamp::format_at(fact.at), "by": by, "what": words }))
            })
            .collect();
        out.document(&json!({
            "since": timestamp::format_at(from), "until": timestamp::format_at(until),
            "open": open, "cleared": cleared, "shifts": shift::all(&snapshot), "log": log,
        }));
    } else {
        // The engine knows what it watches; a folder that is named by hand may be of any fleet.
        let fleet = match &session {
            Some(session) => session.hello.fleet.line().into_string(),
            None if global.data_dir.is_some() && global.fleet.is_none() => {
                format!("the fleet in {}", setup.dir.display())
            }
            None => setup.name.clone(),
        };
        for line in report(&fleet, &snapshot, &facts, (from, until)) {
            out.row(&Untrusted::from(line.as_str()).line());
        }
    }
    if let Some(session) = session {
        session.close(false).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Open problems, most severe first.
fn ordered(snapshot: &Snapshot) -> Vec<&Problem> {
    let mut open: Vec<&Problem> = snapshot.open_problems().map(|(_, problem)| problem).collect();
    open.sort_by_key(|problem| {
        (problem.muted.is_some(), std::cmp::Reverse(problem.severity()), problem.since)
    });
    open
}

fn headline(snapshot: &Snapshot, problem: &Problem) -> String {
    let agent = problem.agent.and_then(|key| snapshot.agents.get(key));
    let name = agent.map(|agent| format!("{} ", agent.name.line())).unwrap_or_default();
    format!("{name}{}", problem.text.line())
}

/// The report as Markdown. Text from agents and people is only in indented lines, which Markdown shows verbatim: no
/// link, picture or HTML in it takes effect.
fn report(fleet: &str, snapshot: &Snapshot, facts: &[&JournalEntry], (from, until): (At, At)) -> Vec<String> {
    let mut lines = vec![
        format!("# Handover of {}", Untrusted::from(fleet).line()),
        format!("{} to {}", timestamp::format_at(from), timestamp::format_at(until)),
        String::new(),
        "## Open problems".into(),
        String::new(),
    ];
    let open = ordered(snapshot);
    if open.is_empty() {
        lines.push(indented("none"));
    }
    let impacts = all_impacts(snapshot);
    for problem in open {
        let id = problem.number;
        lines.push(indented(&format!(
            "- p-{id} {}: {}",
            problem.severity().as_str(),
            headline(snapshot, problem)
        )));
        lines.push(indented(&format!(
            "  since {}; next: {}",
            timestamp::format_at(problem.since),
            problem.next.line()
        )));
        let nobody = Impact::default();
        let impact = impacts.get(&id).unwrap_or(&nobody);
        let mut whom = diagnosis::impact_in_words(snapshot, problem, impact);
        for (what, counts) in [("callers", &impact.callers), ("skills", &impact.skills)] {
            let named = counts.iter().map(|(name, count)| format!("{} {count}", name.shortened(40).line()));
            let named: Vec<String> = named.collect();
            if !named.is_empty() {
                whom.push_str(&format!("; {what} {}", named.join(", ")));
            }
        }
        lines.push(indented(&format!("  hits {whom}")));
        lines.push(indented(&format!("  cause: {}", diagnosis::cause(snapshot, problem, impact).sentence())));
        if let Some(taken) = &problem.taken {
            lines.push(indented(&format!(
                "  taken by {} at {}",
                taken.by.line(),
                timestamp::format_at(taken.at)
            )));
        }
        if let Some(muted) = &problem.muted {
            let until = timestamp::format_at(muted.until);
            lines.push(indented(&format!(
                "  muted by {} until {until}: {}",
                muted.by.line(),
                muted.why.line()
            )));
        }
    }
    let shifts: Vec<_> = shift::shifts(snapshot).collect();
    if !shifts.is_empty() {
        lines.extend([String::new(), "## Work that moves to a successor".into(), String::new()]);
        for (legacy, shift) in shifts {
            let since = timestamp::format_at(shift.since);
            lines.push(indented(&format!("- since {since}: {}", shift::in_words(snapshot, legacy, shift))));
        }
    }
    lines.extend([String::new(), "## Over since then".into(), String::new()]);
    let before = lines.len();
    for (_, problem) in snapshot.problems.iter() {
        if let Some(cleared) = problem.cleared.filter(|at| *at >= from) {
            let at = timestamp::format_at(cleared);
            lines.push(indented(&format!(
                "- p-{} over at {at}: {}",
                problem.number,
                headline(snapshot, problem)
            )));
        }
    }
    if lines.len() == before {
        lines.push(indented("none"));
    }
    lines.extend([String::new(), "## Acts and notes".into(), String::new()]);
    let before = lines.len();
    for fact in facts {
        if let Some((by, words)) = words(snapshot, fact) {
            lines.push(indented(&format!("- {} {by} {words}", timestamp::format_at(fact.at))));
        }
    }
    if lines.len() == before {
        lines.push(indented("none"));
    }
    lines
}

/// A line of a verbatim Markdown block.
fn indented(line: &str) -> String {
    format!("    {line}")
}

/// Describes a fact that the next shift needs, with its actor.
fn words(snapshot: &Snapshot, entry: &JournalEntry) -> Option<(String, String)> {
    let Fact::Fleet(fact) = &entry.fact else { return None };
    let agent = |id: &AgentId| {
        let row = snapshot.agents.iter().find(|(_, row)| row.id == *id);
        row.map_or_else(|| "an agent".to_owned(), |(_, row)| row.name.line().into_string())
    };
    let attempt = |id: &AttemptId| {
        let row = snapshot.attempts.iter().find(|(_, row)| row.id == *id).map(|(_, row)| row);
        let job = row.and_then(|row| snapshot.job_of(row));
        job.map_or_else(|| id.to_string(), |job| format!("\"{}\"", job.title.line().fit(60)))
    };
    let words = match fact {
        FleetFact::ProblemTaken { number } => format!("took p-{number}"),
        FleetFact::ProblemGivenBack { number } => format!("gave p-{number} back"),
        FleetFact::ProblemMuted { number, why, until } => {
            let until = timestamp::format_at(*until);
            format!("muted p-{number} until {until}: {}", why.line())
        }
        // An expired mute has no actor.
        FleetFact::ProblemUnmuted { number } if entry.actor.is_some() => format!("unmuted p-{number}"),
        FleetFact::NoteMade { problem, agent: of, attempt: on, text } => {
            let about = problem
                .map(|number| format!(" on p-{number}"))
                .or_else(|| of.as_ref().map(|id| format!(" on {}", agent(id))))
                .or_else(|| on.as_ref().map(|(_, id)| format!(" on {}", attempt(id))))
                .unwrap_or_default();
            format!("noted{about}: {}", text.line())
        }
        FleetFact::BreakerSet { agent: of, to, why } => breaker_words(&agent(of), *to, why.as_ref()),
        FleetFact::Acted { act, attempt: (_, id), agent: at } => {
            format!("{} {} at {}", act.as_str(), attempt(id), agent(at))
        }
        _ => return None,
    };
    Some((entry.actor_name().line().into_string(), words))
}
