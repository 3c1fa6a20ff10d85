//! `task resend` and `task presume-lost`: the operator's decision on a message that may not have arrived.

use std::process::ExitCode;

use tokio::time::Instant;

use super::args::Login;
use super::output::{Failure, Printer};
use super::protocol_json;
use super::session::{Session, Setup, probed};
use super::watched_task::WatchedTask;
use crate::domain::id::AttemptKey;
use crate::domain::intent::{Intent, Receipt, Refusal};
use crate::domain::job::Attempt;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;

/// The time allowed for finding an agent before its attempt is sent again.
const FIND: std::time::Duration = std::time::Duration::from_secs(15);

/// Finds an attempt by its own id or by that of its job, or by the beginning of either.
fn find<'s>(snapshot: &'s Snapshot, wanted: &str) -> Option<(AttemptKey, &'s Attempt)> {
    let is = |id: &str| id == wanted || (wanted.len() >= 8 && id.starts_with(wanted));
    let mut found = snapshot.attempts.iter().filter(|(_, attempt)| {
        is(&attempt.id.to_string()) || snapshot.job_of(attempt).is_some_and(|job| is(&job.id.to_string()))
    });
    let first = found.next();
    let uncertain = |entry: &(AttemptKey, &Attempt)| entry.1.phase == crate::domain::job::Phase::Uncertain;
    // Of a job with several attempts the uncertain one is meant.
    match first {
        Some(entry) if uncertain(&entry) => Some(entry),
        first => found.find(uncertain).or(first),
    }
}

/// The attempt that an id names.
pub(super) fn attempt_named(snapshot: &Snapshot, wanted: &str) -> Option<crate::domain::id::AttemptId> {
    find(snapshot, wanted).map(|(_, attempt)| attempt.id)
}

async fn open(setup: &Setup, wanted: &str) -> Result<(Session, AttemptKey, Attempt), Failure> {
    if setup.read_only {
        return Err(Failure::from_refusal(&Refusal::ReadOnly));
    }
    let session = Session::open(setup, &[], &Login::default(), false).await?;
    let found = find(&session.handle.snapshot(), wanted).map(|(key, attempt)| (key, attempt.clone()));
    match found {
        Some((key, attempt)) => Ok((session, key, attempt)),
        None => {
            session.close(false).await;
            Err(Failure::usage(format!("there is no attempt or job {wanted}"))
                .hint("quarterdeck inbox and quarterdeck task list -o json show their ids"))
        }
    }
}

pub(super) async fn resend(
    setup: Setup,
    wanted: &str,
    why: Option<String>,
    until: Option<Instant>,
    out: &mut Printer,
) -> Result<ExitCode, Failure> {
    let (session, _, attempt) = open(&setup, wanted).await?;
    probed(&session.handle, Some(&[attempt.agent]), FIND).await;
    let intent = Intent::Resend { attempt: attempt.id, why: why.map(Untrusted::from) };
    let (job, attempt) = match session.handle.submit(intent).await {
        Ok(Receipt::Taken { job, attempt }) => (job, attempt),
        Ok(_) => return Err(Failure::internal("the engine took it as something else")),
        Err(refusal) => {
            session.close(false).await;
            return Err(Failure::from_refusal(&refusal));
        }
    };
    let mut watching = WatchedTask::new((setup, session), job, attempt, Login::default(), None);
    let code = match watching.decided(until, false, out).await {
        Ok(()) => watching.finish(false, false, out).await,
        Err(failure) => Err(failure),
    };
    watching.session.close(true).await;
    code
}

pub(super) async fn presume_lost(
    setup: Setup,
    wanted: &str,
    why: Option<String>,
    out: &mut Printer,
) -> Result<ExitCode, Failure> {
    let (session, key, attempt) = open(&setup, wanted).await?;
    let intent = Intent::PresumeLost { attempt: attempt.id, why: why.map(Untrusted::from) };
    let taken = session.handle.submit(intent).await.map_err(|refusal| Failure::from_refusal(&refusal));
    let snapshot = session.handle.snapshot();
    if taken.is_ok()
        && let Some(attempt) = snapshot.attempts.get(key)
    {
        if out.is_json() {
            let value = protocol_json::task_row(&snapshot, attempt)
                .unwrap_or_else(|| protocol_json::taskless(&snapshot, attempt));
            out.document(&value);
        } else {
            protocol_json::print_ids(out, &snapshot, attempt, None);
        }
    }
    session.close(false).await;
    taken.map(|_| ExitCode::SUCCESS)
}
