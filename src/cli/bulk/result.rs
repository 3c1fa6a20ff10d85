//! What has become of each task of an act on many.

use std::process::ExitCode;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Act, plan};
use crate::cli::output::{Failure, Printer};
use crate::cli::session::Session;
use crate::domain::id::{AgentId, AttemptId};
use crate::domain::intent::Refusal;
use crate::domain::job::Attempt;
use crate::domain::job::delegated::{self, ByParent, Progress};
use crate::domain::job::plan::{JobPhase, WaitReason};
use crate::domain::job::task::CancelMark;
use crate::domain::state::snapshot::Snapshot;
use crate::shutdown;

/// What has become of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Done {
    /// The core refused the act.
    Refused(String),
    /// Another attempt follows, at this agent.
    Goes(AgentId),
    /// Another attempt waits.
    Waits(WaitReason),
    /// It has ended, in this state.
    Ended(String),
    /// Its end was not seen yet; the word says how far the cancel is. What it delegated has ended or not.
    Unconfirmed(&'static str),
    /// It has ended, but something that it delegated was not seen to end: how many of how many, and which.
    Delegated(Progress, Vec<String>),
}

impl Done {
    fn is_settled(&self) -> bool {
        !matches!(self, Self::Unconfirmed(_) | Self::Delegated(..))
    }

    pub(super) fn words(&self, snapshot: &Snapshot) -> String {
        match self {
            Self::Refused(why) => format!("stays: {why}"),
            Self::Goes(agent) => format!("sent to {}", plan::name(snapshot, *agent)),
            Self::Waits(why) => format!("waits for {}", why.in_words()),
            Self::Ended(state) => state.clone(),
            Self::Unconfirmed(word) => format!("cancel {word}"),
            Self::Delegated(progress, which) => {
                let (ended, all) = (progress.ended, progress.total());
                format!("{ended} of {all} that it delegated seen ended; {}", which.join(", "))
            }
        }
    }

    pub(super) fn json(&self, snapshot: &Snapshot) -> Value {
        match self {
            Self::Refused(why) => json!({ "is": "refused", "why": why }),
            Self::Goes(agent) => json!({ "is": "sent", "to": plan::name(snapshot, *agent) }),
            Self::Waits(why) => json!({ "is": "waits", "for": why.as_str() }),
            Self::Ended(state) => json!({ "is": "ended", "state": state }),
            Self::Unconfirmed(word) => json!({ "is": "unconfirmed", "cancel": word }),
            Self::Delegated(progress, which) => json!({
                "is": "unconfirmed",
                "delegated": { "ended": progress.ended, "of": progress.total(), "unconfirmed": which },
            }),
        }
    }
}

/// What has become of one.
pub(super) fn of(
    snapshot: &Snapshot,
    act: Act,
    attempt: AttemptId,
    refused: &[(AttemptId, Refusal)],
) -> Done {
    if let Some((_, refusal)) = refused.iter().find(|(id, _)| *id == attempt) {
        return Done::Refused(refusal.to_string());
    }
    of_index(snapshot, act, attempt, &ByParent::new(snapshot))
}

fn of_index(snapshot: &Snapshot, act: Act, attempt: AttemptId, parents: &ByParent<'_>) -> Done {
    let found = snapshot.attempts.iter().find(|(_, row)| row.id == attempt);
    let Some((key, row)) = found else { return Done::Ended("gone".to_owned()) };
    let job = snapshot.job_of(row);
    let next = job.and_then(|job| job.attempts.last()).filter(|last| **last != key);
    let next = next.and_then(|next| snapshot.attempts.get(*next));
    if let (Some(next), Act::Retry | Act::Reroute) = (next, act) {
        return snapshot
            .agents
            .get(next.agent)
            .map_or_else(|| Done::Ended("gone".to_owned()), |agent| Done::Goes(agent.id));
    }
    let waiting = job.filter(|job| job.phase == JobPhase::Queued).and_then(|job| job.plan.as_ref()?.waiting);
    if let (Some(waiting), Act::Retry | Act::Reroute) = (waiting, act) {
        return Done::Waits(waiting.why);
    }
    if row.is_live() {
        return Done::Unconfirmed(cancel_word(row));
    }
    let cascades = matches!(act, Act::Cancel { cascade: true } | Act::Reroute);
    let rows: Vec<&Attempt> = delegated::below(parents, key)
        .tasks
        .into_iter()
        .filter_map(|key| snapshot.attempts.get(key))
        .filter(|_| cascades)
        .collect();
    let progress = Progress::of(rows.iter().copied());
    if progress.live() > 0 {
        return Done::Delegated(progress, live_names(snapshot, &rows));
    }
    Done::Ended(row.task.as_ref().map_or_else(|| row.phase.as_str().to_owned(), |task| task.state.word()))
}

/// `ledger-1 5e02 unconfirmed`
pub(in crate::cli) fn live_names(snapshot: &Snapshot, rows: &[&Attempt]) -> Vec<String> {
    let name = |row: &&Attempt| {
        let agent = snapshot.agents.get(row.agent).map(|agent| agent.name.line().into_string());
        let task = row.task.as_ref().map(|task| task.id.short()).unwrap_or_default();
        format!("{} {task} {}", agent.unwrap_or_default(), cancel_word(row))
    };
    rows.iter().copied().filter(|row| row.is_live()).map(|row| name(&row)).collect()
}

fn cancel_word(row: &Attempt) -> &'static str {
    row.task.as_ref().and_then(|task| task.cancel).map_or("not asked", CancelMark::as_str)
}

/// Waits until every task has come to something.
pub(super) async fn wait(session: &Session, act: Act, all: &[AttemptId], until: Instant, out: &mut Printer) {
    let mut snapshots = session.handle.watch();
    let interrupt = shutdown::requested();
    tokio::pin!(interrupt);
    loop {
        let open = {
            let snapshot = snapshots.borrow_and_update().clone();
            let parents = ByParent::new(&snapshot);
            let done = all.iter().map(|attempt| of_index(&snapshot, act, *attempt, &parents));
            done.filter(|done| !done.is_settled()).count()
        };
        if open == 0 {
            return;
        }
        out.progress(format!("{open} of {} still to be confirmed", all.len()));
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(until) => return,
            _ = &mut interrupt => return,
        }
    }
}

/// The exit code: 5 if something was not confirmed, 1 if something was refused.
pub(super) fn verdict(
    snapshot: &Snapshot,
    act: Act,
    all: &[AttemptId],
    refused: &[(AttemptId, Refusal)],
) -> Result<ExitCode, Failure> {
    let parents = ByParent::new(snapshot);
    let is_open = |attempt: &&AttemptId| {
        let is_refused = refused.iter().any(|(id, _)| id == *attempt);
        !is_refused && !of_index(snapshot, act, **attempt, &parents).is_settled()
    };
    let open = all.iter().filter(is_open).count();
    if open > 0 {
        let words = format!("{open} of {} were not confirmed in time", all.len());
        return Err(Failure::timeout(words)
            .hint("the engine goes on asking; quarterdeck task list shows how they stand"));
    }
    match refused.len() {
        0 => Ok(ExitCode::SUCCESS),
        count => {
            Err(Failure::new(1, "QUARTERDECK_ERR_REFUSED", format!("{count} of {} were refused", all.len())))
        }
    }
}
