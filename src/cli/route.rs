//! `route`: the rules of routing, where a message would go, and rules that can never decide.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::{Explain, Global, Login, Route, RouteTarget};
use super::check;
use super::output::{Failure, Printer, table};
use super::send;
use super::session::{Session, Setup, probed};
use super::shift;
use crate::domain::fact::{Fact, JobFact, JournalEntry, Owner};
use crate::domain::id::{AgentId, JobId};
use crate::domain::intent;
use crate::domain::job::message::Part;
use crate::domain::route::Target;
use crate::domain::route::decision::{Considered, Decision, Verdict};
use crate::domain::route::explanation::{Explanation, Outcome, RuleRow};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::engine::{Answer, Query};
use crate::protocol::timestamp;

/// The time in which every agent is probed, so that their skills are known.
const FIND: Duration = Duration::from_secs(10);

pub(super) async fn run(global: &Global, args: Route, out: &mut Printer) -> Result<ExitCode, Failure> {
    match args {
        Route::List => {
            let setup = Setup::load(global)?.of_open_tasks();
            let session = open(&setup).await?;
            let explained = ask(&session, None).await;
            let snapshot = session.handle.snapshot();
            session.close(false).await;
            print_rules(&explained?, &snapshot, out);
            Ok(ExitCode::SUCCESS)
        }
        Route::Explain(args) => match &args.job {
            Some(reference) => explain_job(global, reference, out).await,
            None => explain(global, &args, out).await,
        },
        Route::Check(args) => check::run(global, *args, out).await,
        Route::Shift(args) => shift::run(global, *args, out).await,
    }
}

pub(super) async fn open(setup: &Setup) -> Result<Session, Failure> {
    let session = Session::open(setup, &[], &Login::default(), false).await?;
    probed(&session.handle, None, FIND).await;
    Ok(session)
}

/// True if the engine has rules of routing, wherever it has them from.
pub(super) async fn has_rules(session: &Session) -> bool {
    ask(session, None).await.is_ok_and(|explained| !explained.rules.is_empty())
}

pub(super) async fn ask(session: &Session, send: Option<Box<intent::Send>>) -> Result<Explanation, Failure> {
    match session.handle.query(Query::Explain(send)).await {
        Ok(Answer::Explained(explained)) => Ok(*explained),
        Ok(_) => Err(Failure::internal("the engine answered something else")),
        Err(error) => Err(Failure::internal(error.to_string())),
    }
}

/// The target that flags name; `None` if they name none.
pub(super) fn target(args: &RouteTarget) -> Option<Target> {
    let RouteTarget { skill, tag, route } = args;
    match (skill, tag, route) {
        (Some(skill), ..) => Some(Target::Skill(skill.as_str().into())),
        (None, Some(tag), _) => Some(Target::Tag(tag.as_str().into())),
        (None, None, Some(route)) => Some(Target::Route(route.as_str().into())),
        (None, None, None) => None,
    }
}

async fn explain(global: &Global, args: &Explain, out: &mut Printer) -> Result<ExitCode, Failure> {
    let mut parts: Vec<Part> = args.text.iter().map(|text| Part::text(text.as_str())).collect();
    for data in &args.data {
        parts.push(send::data_part(data)?);
    }
    let metadata = send::metadata(args.metadata.as_deref())?;
    let setup = Setup::load(global)?.of_open_tasks();
    let session = open(&setup).await?;
    let wanted = intent::Send {
        metadata,
        context: args.context_id.as_deref().map(Into::into),
        caller: args.caller.as_deref().map(Into::into),
        ..intent::Send::to(target(&args.target).unwrap_or(Target::Any), parts)
    };
    let explained = ask(&session, Some(Box::new(wanted))).await;
    let snapshot = session.handle.snapshot();
    session.close(false).await;
    print_explanation(&explained?, &snapshot, out);
    Ok(ExitCode::SUCCESS)
}

fn print_explanation(explained: &Explanation, snapshot: &Snapshot, out: &mut Printer) {
    if out.is_json() {
        let mut value = explained.decision.as_ref().map_or_else(
            || json!({"route": null, "rule": null, "revision": revision(explained.revision), "candidates": []}),
            |decision| decision_json(decision, snapshot),
        );
        let rules: Vec<_> = explained.rules.iter().map(rule_json).collect();
        value["outcome"] = explained.outcome.as_ref().map_or(Value::Null, |outcome| match outcome {
            Outcome::Goes(agent) => json!({"agent": name_of(snapshot, *agent).line().to_string()}),
            Outcome::Waits(why) => json!({"waitsFor": why.as_str()}),
            Outcome::Nowhere(why) => json!({"nowhere": why.line().to_string()}),
        });
        value["rules"] = Value::Array(rules);
        return out.document(&value);
    }
    for row in &explained.rules {
        let words = row.fit.as_ref().map_or_else(String::new, |fit| fit.in_words());
        out.field(&format!("Rule {}", row.name), words);
    }
    if let Some(decision) = &explained.decision {
        print_candidates(decision, snapshot, out);
    }
    let outcome = explained.outcome.as_ref().map(|outcome| outcome_words(outcome, snapshot));
    out.field("Outcome", outcome.unwrap_or_default());
}

/// Where a message would go, in words.
fn outcome_words(outcome: &Outcome, snapshot: &Snapshot) -> Untrusted {
    match outcome {
        Outcome::Goes(agent) => format!("goes to {}", name_of(snapshot, *agent)).into(),
        Outcome::Waits(why) => format!("waits for {}", why.in_words()).into(),
        Outcome::Nowhere(why) => why.clone(),
    }
}

fn print_candidates(decision: &Decision, snapshot: &Snapshot, out: &mut Printer) {
    let rows: Vec<_> = decision
        .candidates
        .iter()
        .map(|one| {
            let capacity = one.capacity.map_or_else(|| "-".to_owned(), |capacity| capacity.to_string());
            vec![
                name_of(snapshot, one.agent).line().into_string(),
                one.score.map_or_else(|| "-".to_owned(), |score| score.to_string()),
                format!("{}/{capacity}", one.in_flight),
                one.latency.map_or_else(|| "-".to_owned(), crate::domain::time::format_duration),
                one.health.as_str().to_owned(),
                verdict_words(one),
            ]
        })
        .collect();
    if !rows.is_empty() {
        for line in table(&["AGENT", "SCORE", "IN FLIGHT", "TASK TIME", "HEALTH", "VERDICT"], &rows) {
            out.row(&line);
        }
    }
    if let Some(words) = shift_words(decision, snapshot) {
        out.field("Shift", words);
    }
}

/// What a shift did in a decision.
fn shift_words(decision: &Decision, snapshot: &Snapshot) -> Option<String> {
    let shifted = decision.shift?;
    let name = |id| name_of(snapshot, id).line().into_string();
    Some(shifted.in_words(&name(shifted.from), &name(shifted.to)))
}

fn verdict_words(one: &Considered) -> String {
    match one.verdict {
        Verdict::Taken => "taken".to_owned(),
        Verdict::Behind => "could take it; another one is ahead".to_owned(),
        Verdict::Out(obstacle) => format!("out: {obstacle}"),
    }
}

pub(super) fn name_of(snapshot: &Snapshot, id: AgentId) -> Untrusted {
    let agent = snapshot.agents.iter().find(|(_, agent)| agent.id == id);
    agent.map_or_else(|| Untrusted::from(id.to_string()), |(_, agent)| agent.name.clone())
}

pub(super) fn revision(revision: u64) -> Value {
    if revision == 0 { Value::Null } else { Value::String(format!("{revision:08x}")) }
}

fn decision_json(decision: &Decision, snapshot: &Snapshot) -> Value {
    let candidates: Vec<_> = decision
        .candidates
        .iter()
        .map(|one| {
            json!({
                "agent": name_of(snapshot, one.agent).line().to_string(),
                "score": one.score,
                "taken": one.verdict == Verdict::Taken,
                "why": verdict_words(one),
                "health": one.health.as_str(),
                "inFlight": one.in_flight,
                "capacity": one.capacity,
                "taskTimeMs": one.latency.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            })
        })
        .collect();
    json!({
        "route": decision.route,
        "rule": decision.rule,
        "revision": revision(decision.revision),
        "matched": decision.matched,
        "fallback": decision.stage,
        "candidates": candidates,
        "shift": decision.shift.map(|shifted| json!({
            "from": name_of(snapshot, shifted.from).line().to_string(),
            "to": name_of(snapshot, shifted.to).line().to_string(),
            "percent": shifted.percent,
            "step": shifted.step,
            "steps": shifted.steps,
            "shared": shifted.went.was_shared(),
            "why": shift_words(decision, snapshot),
        })),
    })
}

fn rule_json(row: &RuleRow) -> Value {
    json!({
        "rule": row.name,
        "route": row.route,
        "matches": row.conditions,
        "to": row.to,
        "balance": row.balance.as_str(),
        "settings": row.settings,
        "running": row.running,
        "retryBudget": row.budget.map(|budget| json!({ "spent": budget.spent, "allowed": budget.allowed })),
        "shadowedBy": row.shadowed_by,
        "fit": row.fit.as_ref().map(crate::domain::route::Fit::as_str),
        "why": row.fit.as_ref().map(crate::domain::route::Fit::in_words),
    })
}

fn print_rules(explained: &Explanation, snapshot: &Snapshot, out: &mut Printer) {
    if out.is_json() {
        let rules: Vec<_> = explained.rules.iter().map(rule_json).collect();
        let shifts = shift::all(snapshot);
        return out
            .document(&json!({"revision": revision(explained.revision), "rules": rules, "shifts": shifts}));
    }
    for (legacy, shift) in shift::shifts(snapshot) {
        out.warn(shift::in_words(snapshot, legacy, shift));
    }
    if explained.rules.is_empty() {
        return out
            .warn("this fleet has no routes; config.example.toml shows some under [[fleet.default.routes]]");
    }
    let rows: Vec<_> = explained
        .rules
        .iter()
        .map(|row| {
            vec![
                row.name.to_string(),
                row.route.to_string(),
                if row.conditions.is_empty() { "every message".into() } else { row.conditions.join(", ") },
                row.to.join(", then "),
                row.balance.in_words().to_owned(),
                row.running.to_string(),
                row.settings.join(", "),
            ]
        })
        .collect();
    for line in table(&["RULE", "ROUTE", "MATCHES", "SENDS TO", "BALANCE", "RUNNING", "SETTINGS"], &rows) {
        out.row(&line);
    }
}

/// The decisions about a job, with what they looked at then.
async fn explain_job(global: &Global, reference: &str, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?;
    let session = Session::open(&setup, &[], &Login::default(), false).await?;
    let snapshot = session.handle.snapshot();
    let decisions = match find_job(&snapshot, reference) {
        Some(job) => decisions(&session, job).await,
        None => Err(Failure::usage(format!("there is no job {reference}"))
            .hint("quarterdeck task list -o json shows the ids of jobs")),
    };
    session.close(false).await;
    let decisions = decisions?;
    if out.is_json() {
        let rows: Vec<_> = decisions
            .iter()
            .map(|(entry, decision)| {
                let mut value = decision_json(decision, &snapshot);
                value["at"] = json!(timestamp::format_at(entry.at));
                value
            })
            .collect();
        out.document(&json!({"decisions": rows}));
    } else if decisions.is_empty() {
        out.warn("it was sent to an agent by name: no rule decided");
    }
    let in_text = !out.is_json();
    for (entry, decision) in decisions.iter().filter(|_| in_text) {
        out.field("At", timestamp::format_at(entry.at));
        let rule = decision.rule.as_deref().unwrap_or("none: agents by turns");
        out.field("Rule", rule);
        if !decision.matched.is_empty() {
            out.field("Matched", decision.matched.join(", "));
        }
        print_candidates(decision, &snapshot, out);
    }
    Ok(ExitCode::SUCCESS)
}

/// A job by its id, by the id of one of its attempts or tasks, or by a prefix of its id that names no other.
fn find_job(snapshot: &Snapshot, reference: &str) -> Option<JobId> {
    let named = snapshot.jobs.iter().filter(|(_, job)| job.id.to_string().starts_with(reference));
    let mut named = named.map(|(_, job)| job.id);
    if reference.len() >= 4
        && let (Some(job), None) = (named.next(), named.next())
    {
        return Some(job);
    }
    let by_attempt = snapshot.attempts.iter().find(|(_, attempt)| {
        attempt.id.to_string() == reference
            || attempt.task.as_ref().is_some_and(|task| task.id.raw() == reference)
    });
    by_attempt.and_then(|(_, attempt)| snapshot.job_of(attempt)).map(|job| job.id)
}

async fn decisions(session: &Session, job: JobId) -> Result<Vec<(JournalEntry, Decision)>, Failure> {
    let query = Query::Facts { owner: Owner::Job(job), limit: usize::MAX };
    let facts = match session.handle.query(query).await {
        Ok(Answer::Facts(facts)) => facts,
        Ok(_) => return Err(Failure::internal("the engine answered something else")),
        Err(error) => return Err(Failure::internal(error.to_string())),
    };
    let routed = facts.into_iter().filter_map(|entry| match &entry.fact {
        Fact::Job(_, JobFact::Routed { decision, .. }) => {
            let decision = (**decision).clone();
            Some((entry, decision))
        }
        _ => None,
    });
    Ok(routed.collect())
}
