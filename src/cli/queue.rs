//! `queue`: jobs that wait, and dead letters.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::args::Global;
use super::output::{Failure, Printer, table};
use super::protocol_json::spent_json;
use super::reroute::{self, How};
use super::session::{Setup, seen};
use crate::config::units;
use crate::domain::job::Job;
use crate::domain::job::plan::{JobPhase, Plan, WaitReason};
use crate::domain::route::Target;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::format_duration;
use crate::protocol::timestamp;

/// `queue`
#[derive(Args, Debug)]
pub struct Queue {
    #[command(subcommand)]
    pub act: Option<QueueCommand>,
}

/// `queue …`
#[derive(Subcommand, Debug)]
pub enum QueueCommand {
    /// Try a dead letter again, whether or not an attempt of it was made.
    Retry(Requeue),
}

/// `queue retry`
#[derive(Args, Debug)]
pub struct Requeue {
    /// Id of the job, as `queue` shows it.
    #[arg(value_name = "JOB")]
    pub job: String,
    /// Agent to send it to [default: the router chooses].
    #[arg(long, value_name = "NAME")]
    pub to: Option<String>,
    /// Reason, recorded in the job's history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Maximum time to wait [default: no limit].
    #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
    pub timeout: Option<std::time::Duration>,
}

/// Dead letters that are shown, newest first: of many, the last ones say what is wrong now.
const DEAD_LETTERS: usize = 1000;

pub(super) async fn run(global: &Global, args: Queue, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?;
    if let Some(QueueCommand::Retry(requeue)) = &args.act {
        return reroute::run(setup, How::Requeue(requeue), out).await;
    }
    let (session, snapshot) = seen(&setup, out).await?;
    if out.is_json() {
        out.document(&document(&snapshot));
    } else {
        print(&snapshot, &queued(&snapshot), &dead_letters(&snapshot), out);
    }
    if let Some(session) = session {
        session.close(false).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// The document of `-o json`.
pub fn document(snapshot: &Snapshot) -> Value {
    let queue = queued(snapshot).into_iter().map(|(job, plan)| queued_json(snapshot, job, plan));
    let dead = dead_letters(snapshot).into_iter().map(|(job, plan)| dead_json(snapshot, job, plan));
    json!({ "queue": queue.collect::<Vec<_>>(), "deadLetters": dead.collect::<Vec<_>>() })
}

/// The jobs that wait, in the order in which they leave: higher priorities first, then the older ones.
fn queued(snapshot: &Snapshot) -> Vec<(&Job, &Plan)> {
    let jobs = snapshot.jobs.iter().filter(|(_, job)| job.phase == JobPhase::Queued);
    let mut jobs: Vec<_> = jobs.filter_map(|(_, job)| Some((job, job.plan.as_deref()?))).collect();
    jobs.sort_by_key(|(job, plan)| (std::cmp::Reverse(plan.priority), job.created));
    jobs
}

fn dead_letters(snapshot: &Snapshot) -> Vec<(&Job, &Plan)> {
    let dead = |job: &&Job| job.plan.as_ref().is_some_and(|plan| plan.dead.is_some());
    let jobs = snapshot.jobs.iter().map(|(_, job)| job).filter(dead);
    let mut jobs: Vec<_> = jobs.filter_map(|job| Some((job, job.plan.as_deref()?))).collect();
    jobs.sort_by_key(|(job, _)| std::cmp::Reverse(job.created));
    jobs.truncate(DEAD_LETTERS);
    jobs
}

/// The rule, or the target that no rule decided.
pub(super) fn route_words(snapshot: &Snapshot, plan: &Plan) -> String {
    match (&plan.rule, &plan.target) {
        (Some(rule), _) => rule.to_string(),
        (None, Target::Agent(id)) => {
            let agent = snapshot.agents.iter().find(|(_, agent)| agent.id == *id);
            agent.map_or_else(|| id.to_string(), |(_, agent)| agent.name.line().into_string())
        }
        (None, Target::Skill(skill)) => format!("skill {}", skill.line()),
        (None, Target::Tag(tag)) => format!("tag {}", tag.line()),
        (None, Target::Route(route)) => format!("route {route}"),
        (None, Target::Any) => "any rule".to_owned(),
    }
}

fn waits_for(snapshot: &Snapshot, plan: &Plan) -> String {
    match plan.waiting {
        Some(waiting) => match (waiting.why, waiting.until) {
            (WaitReason::Backoff, Some(until)) => {
                format!("{}, in {}", waiting.why.in_words(), format_duration(until.since(snapshot.at)))
            }
            (why, _) => why.in_words().to_owned(),
        },
        None => String::new(),
    }
}

fn queued_json(snapshot: &Snapshot, job: &Job, plan: &Plan) -> Value {
    let waiting = plan.waiting;
    json!({
        "job": job.id.to_string(),
        "title": job.title.line().to_string(),
        "route": route_words(snapshot, plan),
        "priority": plan.priority,
        "since": timestamp::format_at(waiting.map_or(job.created, |waiting| waiting.since)),
        "waitsFor": waiting.map(|waiting| waiting.why.as_str()),
        "until": waiting.and_then(|waiting| waiting.until).map(timestamp::format_at),
        "deadline": plan.deadline.map(timestamp::format_at),
        "attempts": job.attempts.len(),
    })
}

fn dead_json(snapshot: &Snapshot, job: &Job, plan: &Plan) -> Value {
    json!({
        "job": job.id.to_string(),
        "title": job.title.line().to_string(),
        "route": route_words(snapshot, plan),
        "cause": plan.dead.as_ref().map(ToString::to_string),
        "retryBudgetSpent": job.spent_budget().map(spent_json),
        "since": timestamp::format_at(job.created),
        "ended": plan.ended.map(timestamp::format_at),
        "attempts": job.attempts.len(),
    })
}

fn print(snapshot: &Snapshot, queued: &[(&Job, &Plan)], dead: &[(&Job, &Plan)], out: &mut Printer) {
    if queued.is_empty() && dead.is_empty() {
        return out.warn("nothing waits, and there are no dead letters");
    }
    let rows = queued.iter().map(|(job, plan)| {
        let since = plan.waiting.map_or(job.created, |waiting| waiting.since);
        vec![
            job.id.to_string(),
            timestamp::format_at(since),
            plan.priority.to_string(),
            route_words(snapshot, plan),
            format!("waits for {}", waits_for(snapshot, plan)),
            job.title.line().into_string(),
        ]
    });
    let dead = dead.iter().map(|(job, plan)| {
        let cause = plan.dead.as_ref().map(ToString::to_string).unwrap_or_default();
        vec![
            job.id.to_string(),
            timestamp::format_at(job.created),
            plan.priority.to_string(),
            route_words(snapshot, plan),
            match job.spent_budget() {
                Some(spent) => format!("dead letter: {cause}; {spent}"),
                None => format!("dead letter: {cause}"),
            },
            job.title.line().into_string(),
        ]
    });
    for line in
        table(&["JOB", "SINCE", "PRIORITY", "ROUTE", "STATE", "TITLE"], &rows.chain(dead).collect::<Vec<_>>())
    {
        out.row(&line);
    }
}
