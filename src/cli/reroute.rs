//! `task retry` and `task reroute`: another attempt of a job, after the last one ended or instead of a live one.

use std::process::ExitCode;

use tokio::time::Instant;

use super::args::Login;
use super::bulk::{self, Act, Asked};
use super::output::{Failure, Printer};
use super::session::{Session, Setup, find_agent, probed};
use super::task_args::Again;
use super::uncertain;
use super::watched_task::WatchedTask;
use crate::config::nearest;
use crate::domain::agent::Health;
use crate::domain::id::{AgentId, AttemptId, JobId};
use crate::domain::intent::{Intent, Receipt, Refusal};
use crate::domain::job::Phase;
use crate::domain::job::detail::Detail;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;

/// The time in which every agent is probed, so that the router knows who takes work.
const FIND: std::time::Duration = std::time::Duration::from_secs(10);

/// What to do with a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    /// Try it again.
    Retry,
    /// Move it.
    Reroute,
}

pub(super) async fn run(
    setup: Setup,
    how: How,
    args: &Again,
    out: &mut Printer,
) -> Result<ExitCode, Failure> {
    if setup.read_only {
        return Err(Failure::from_refusal(&Refusal::ReadOnly));
    }
    let ([id], false) = (args.attempt.as_slice(), args.filter.is_set()) else {
        let act = if how == How::Retry { Act::Retry } else { Act::Reroute };
        let (to, why) = (args.to.as_deref(), args.why.as_deref());
        let (ids, filter, timeout) = (&args.attempt, &args.filter, args.timeout);
        return bulk::run(setup, Asked { act, ids, filter, to, why, timeout }, out).await;
    };
    let session = Session::open(&setup, &[], &Login::default(), false).await?;
    probed(&session.handle, None, FIND).await;
    let job = match submit(&session, how, args, id).await {
        Ok(job) => job,
        Err(failure) => {
            session.close(false).await;
            return Err(failure);
        }
    };
    let mut watching = WatchedTask {
        setup,
        session,
        job,
        attempt: None,
        login: Login::default(),
        reference: None,
        known: 0,
        printed: 0,
        detail: Detail::default(),
    };
    let until = args.timeout.map(|limit| Instant::now() + limit);
    let code = match watching.decided(until, false, out).await {
        Ok(()) => watching.finish(false, false, out).await,
        Err(failure) => Err(failure),
    };
    watching.session.close(true).await;
    code
}

async fn submit(session: &Session, how: How, args: &Again, id: &str) -> Result<JobId, Failure> {
    let snapshot = session.handle.snapshot();
    let (attempt, may_run) = newest(&snapshot, id).ok_or_else(|| {
        Failure::usage(format!("there is no attempt, job or task {id}"))
            .hint("quarterdeck task list -o json shows their ids")
    })?;
    let to = args.to.as_deref().map(|name| agent_named(&snapshot, name)).transpose()?;
    let why = || args.why.as_deref().map(Untrusted::from);
    let refused = |refusal| Failure::from_refusal(&refusal);
    // To try again what may have arrived, or may still run at an agent that is down, is to take it as lost.
    if how == How::Retry && may_run {
        let given_up = Intent::PresumeLost { attempt, why: why() };
        session.handle.submit(given_up).await.map_err(refused)?;
    }
    let intent = match how {
        How::Retry => Intent::Retry { attempt, to, why: why() },
        How::Reroute => Intent::Reroute { attempt, to, why: why() },
    };
    match session.handle.submit(intent).await.map_err(refused)? {
        Receipt::Taken { job, .. } => Ok(job),
        Receipt::Done | Receipt::Agents(_) => Err(Failure::internal("the engine took it as something else")),
    }
}

/// The newest attempt of the job that an id names, of the job, of one of its attempts, or of a task; true if nobody can say
/// what became of it.
fn newest(snapshot: &Snapshot, wanted: &str) -> Option<(AttemptId, bool)> {
    let named = uncertain::attempt_named(snapshot, wanted).or_else(|| {
        let of_task = super::send::find_task(snapshot, None, wanted);
        of_task.map(|(_, attempt)| attempt.id)
    })?;
    let (_, attempt) = snapshot.attempts.iter().find(|(_, attempt)| attempt.id == named)?;
    let last = snapshot.job_of(attempt)?.attempts.last()?;
    let last = snapshot.attempts.get(*last)?;
    let down = snapshot.agents.get(last.agent).is_some_and(|agent| agent.health == Health::Down);
    Some((last.id, last.phase == Phase::Uncertain || (down && last.is_out_of_sight())))
}

pub(super) fn agent_named(snapshot: &Snapshot, name: &str) -> Result<AgentId, Failure> {
    if let Some((_, agent)) = find_agent(snapshot, name) {
        return Ok(agent.id);
    }
    let listed = snapshot.agents.iter().filter(|(_, agent)| agent.listed);
    let names: Vec<String> = listed.map(|(_, agent)| agent.name.line().into_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let failure = Failure::usage(format!("there is no agent {name:?} in the fleet"));
    Err(match nearest(name, &names) {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => failure.hint("quarterdeck agents names them"),
    })
}
