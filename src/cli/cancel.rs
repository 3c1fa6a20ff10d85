//! `task cancel`: ends a task and what it delegated, and verifies that each has ended.

use std::process::ExitCode;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::args::OptionalTarget;
use super::bulk::{self, Act, Asked};
use super::output::{Failure, Printer};
use super::protocol_json;
use super::session::Setup;
use super::task::adopt;
use super::task_args::Cancel;
use super::watched_task::WatchedTask;
use crate::domain::cause::Cause;
use crate::domain::fact::{AttemptFact, JobFact};
use crate::domain::id::{AttemptId, AttemptKey};
use crate::domain::intent::{Intent, Refusal};
use crate::domain::job::Attempt;
use crate::domain::job::carry::Carry;
use crate::domain::job::delegated::{self, ByParent, Progress};
use crate::domain::job::detail::Detail;
use crate::domain::job::task::{CancelMark, Verdict};
use crate::domain::state::snapshot::Snapshot;

pub(super) async fn run(setup: Setup, args: &Cancel, out: &mut Printer) -> Result<ExitCode, Failure> {
    if setup.read_only {
        return Err(Failure::from_refusal(&Refusal::ReadOnly));
    }
    if let ([one], false) = (args.task.as_slice(), args.filter.is_set()) {
        return cancel(setup, &args.target, one, args, out).await;
    }
    let act = Act::Cancel { cascade: !args.no_cascade };
    let (why, timeout) = (args.why.as_deref(), Some(args.timeout));
    let mut filter = args.filter.clone();
    // The agent of tasks that are named is meant for each of them; by itself it is no reason to cancel all of its tasks.
    filter.agent = filter.agent.or_else(|| args.target.agent.clone().filter(|_| !args.task.is_empty()));
    let (ids, carry) = (&args.task, Carry::default());
    bulk::run(setup, Asked { act, ids, filter: &filter, to: None, carry, why, timeout }, out).await
}

async fn cancel(
    setup: Setup,
    target: &OptionalTarget,
    task: &str,
    args: &Cancel,
    out: &mut Printer,
) -> Result<ExitCode, Failure> {
    let mut watching = adopt(setup, target, task, out).await?;
    let Some(attempt) = watching.attempt_id() else {
        return Err(Failure::internal("the engine no longer knows the task"));
    };
    let why = args.why.as_deref().map(Into::into);
    let handle = watching.session.handle.clone();
    let seq = move |attempt: &Attempt| handle.snapshot().job_of(attempt).map_or(0, |job| job.seq);
    let snapshot = watching.session.handle.snapshot();
    let before = snapshot.attempts.iter().find(|(_, row)| row.id == attempt).map_or(0, |(_, row)| seq(row));
    let with = if args.no_cascade { Vec::new() } else { live_below(&snapshot, attempt) };
    let intent = if args.no_cascade {
        Intent::Cancel { attempt, why }
    } else {
        Intent::CancelWithDelegated { attempt, why }
    };
    let asked = watching.session.handle.submit(intent).await;
    if let Err(refusal) = asked {
        watching.session.close(true).await;
        return Err(match refusal {
            Refusal::NotNow(why) => Failure::new(1, "TaskNotCancelableError", why),
            other => Failure::from_refusal(&other),
        });
    }
    let until = Instant::now() + args.timeout;
    let waited = watching
        .wait(Some(until), false, out, |attempt| {
            attempt.task.as_ref().is_none_or(|task| {
                task.is_over() && matches!(task.cancel, Some(CancelMark::Verified | CancelMark::TooLate))
                    || task.verdict == Some(Verdict::Lost)
                    // An earlier cancel may have been refused too.
                    || task.cancel == Some(CancelMark::Refused) && seq(attempt) > before
            })
        })
        .await;
    let with = delegated_ended(&mut watching, attempt, with, until, out).await;
    let snapshot = watching.session.handle.snapshot();
    let found = snapshot.attempts.iter().find(|(_, row)| row.id == attempt);
    let is_refused = |row: &Attempt| {
        row.task.as_ref().is_some_and(|task| task.cancel == Some(CancelMark::Refused) && !task.is_over())
    };
    let code = match (waited, found) {
        (Ok(()), Some((_, row))) if is_refused(row) => {
            let why =
                refusal(&watching.detail, attempt).map_or_else(String::new, |cause| format!(": {cause}"));
            let task = row.task.as_ref();
            let words = format!(
                "the agent refused to cancel the task, which {}{why}",
                task.map_or_else(String::new, |task| task.state.still())
            );
            let wait = task.map_or_else(String::new, |task| watching.command("task get --wait", &task.id));
            Err(Failure::new(1, "TaskNotCancelableError", words)
                .hint(format!("stop the agent itself, or wait for the end: {wait}")))
        }
        (Ok(()), Some((_, attempt))) => {
            print(&snapshot, attempt, &with, &watching.detail, out);
            partly(&snapshot, &with).map_or(Ok(ExitCode::SUCCESS), |failure| bulk::beside(failure, out))
        }
        (Err(_), Some((_, attempt))) => {
            for line in lines(&snapshot, &with) {
                out.warn(line);
            }
            let task = attempt.task.as_ref();
            let says = task.map_or_else(String::new, |task| task.state.still());
            let agent = match task.and_then(|task| task.cancel) {
                Some(CancelMark::Agreed) => "the agent agreed to cancel the task",
                Some(CancelMark::Unconfirmed) => "nothing confirms the cancel",
                _ => "the agent has not answered the cancel",
            };
            let but = if agent.ends_with("task") { "but it" } else { "and the task" };
            Err(Failure::timeout(format!("{agent}, {but} {says}")).hint(format!(
                "the engine goes on asking; {} shows how it stands",
                task.map_or_else(
                    || "quarterdeck task list".to_owned(),
                    |task| { watching.command("task get", &task.id) }
                )
            )))
        }
        (_, None) => Err(Failure::internal("the engine no longer knows the task")),
    };
    watching.session.close(false).await;
    code
}

/// Why the agent refused the last cancel of the attempt.
fn refusal(detail: &Detail, attempt: AttemptId) -> Option<&Cause> {
    detail.timeline.iter().rev().find_map(|line| match &line.fact {
        JobFact::Attempt(of, AttemptFact::CancelMoved { mark: CancelMark::Refused, cause, .. })
            if *of == attempt =>
        {
            cause.as_deref()
        }
        _ => None,
    })
}

fn live_below(snapshot: &Snapshot, attempt: AttemptId) -> Vec<AttemptKey> {
    let key = snapshot.attempts.iter().find(|(_, row)| row.id == attempt).map(|(key, _)| key);
    let below = key.map(|key| delegated::below(&ByParent::new(snapshot), key).tasks).unwrap_or_default();
    let is_live = |key: &AttemptKey| snapshot.attempts.get(*key).is_some_and(Attempt::is_live);
    below.into_iter().filter(is_live).collect()
}

/// Waits until what the task delegated has ended, with what was found to have been delegated meanwhile. Returns all of it.
async fn delegated_ended(
    watching: &mut WatchedTask,
    attempt: AttemptId,
    mut with: Vec<AttemptKey>,
    until: Instant,
    out: &mut Printer,
) -> Vec<AttemptKey> {
    if with.is_empty() {
        return with;
    }
    let mut snapshots = watching.session.handle.watch();
    let interrupt = crate::shutdown::requested();
    tokio::pin!(interrupt);
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        with.extend(live_below(&snapshot, attempt));
        with.sort_unstable();
        with.dedup();
        let rows = with.iter().filter_map(|key| snapshot.attempts.get(*key));
        let progress = Progress::of(rows);
        if progress.live() == 0 {
            return with;
        }
        out.progress(format!("{} of {} delegated tasks seen ended", progress.ended, progress.total()));
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() { return with },
            () = tokio::time::sleep_until(until) => return with,
            _ = &mut interrupt => return with,
        }
    }
}

fn rows<'s>(snapshot: &'s Snapshot, with: &[AttemptKey]) -> Vec<&'s Attempt> {
    with.iter().filter_map(|key| snapshot.attempts.get(*key)).collect()
}

/// What became of each delegated task, in lines.
fn lines(snapshot: &Snapshot, with: &[AttemptKey]) -> Vec<String> {
    let line = |row: &Attempt| {
        let agent = snapshot.agents.get(row.agent).map(|agent| agent.name.line().into_string());
        let task = row.task.as_ref()?;
        let mark = task.cancel.map_or("not asked", CancelMark::as_str);
        Some(format!("{} at {}: {}, cancel {mark}", task.id, agent.unwrap_or_default(), task.state.word()))
    };
    rows(snapshot, with).into_iter().filter_map(line).collect()
}

fn print(snapshot: &Snapshot, attempt: &Attempt, with: &[AttemptKey], detail: &Detail, out: &mut Printer) {
    if !out.is_json() {
        protocol_json::print_ids(out, snapshot, attempt, Some(detail));
        for line in lines(snapshot, with) {
            out.field("Delegated", line);
        }
        return;
    }
    let mut document = protocol_json::task_row(snapshot, attempt).unwrap_or(Value::Null);
    if !with.is_empty()
        && let Some(ours) = document.pointer_mut("/metadata/quarterdeck").and_then(Value::as_object_mut)
    {
        let tasks = rows(snapshot, with).into_iter().filter_map(|row| {
            let mut all = protocol_json::ours(snapshot, row);
            let (object, task) = (all.as_object_mut()?, row.task.as_ref()?);
            object.insert("task".into(), json!(task.id.to_string()));
            object.insert("state".into(), json!(protocol_json::state_name(&task.state)));
            Some(all)
        });
        ours.insert("delegated".into(), Value::Array(tasks.collect()));
    }
    out.document(&document);
}

/// The failure if something that was delegated was not seen to end.
fn partly(snapshot: &Snapshot, with: &[AttemptKey]) -> Option<Failure> {
    let rows = rows(snapshot, with);
    let progress = Progress::of(rows.iter().copied());
    let names = bulk::live_names(snapshot, &rows);
    (progress.live() > 0).then(|| {
        let words = format!(
            "the task has ended, and {} of the {} that it delegated were seen to end; {}",
            progress.ended,
            progress.total(),
            names.join(", ")
        );
        Failure::timeout(words).hint("the engine goes on asking; quarterdeck task list shows how they stand")
    })
}
