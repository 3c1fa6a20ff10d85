//! `task retry`, `task reroute`, `task race` and `queue retry`: another attempt of a job, after the last one ended, instead
//! of a live one or beside it.

use std::process::ExitCode;

use tokio::time::Instant;

use super::args::Login;
use super::bulk::{self, Act, Asked};
use super::output::{Failure, Printer};
use super::queue::Requeue;
use super::session::{Session, Setup, find_agent, probed};
use super::task_args::{Again, Race};
use super::uncertain;
use super::watched_task::WatchedTask;
use crate::config::nearest;
use crate::domain::id::{AgentId, AgentKey, AttemptId, JobId};
use crate::domain::intent::{Intent, Receipt, Refusal};
use crate::domain::job::Phase;
use crate::domain::job::carry::{Carry, CarryContext};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;

/// The time in which every agent is probed, so that the router knows who takes work.
const FIND: std::time::Duration = std::time::Duration::from_secs(10);

/// What to do with a job.
#[derive(Clone, Copy, Debug)]
pub(super) enum How<'a> {
    /// Try it again.
    Retry(&'a Again),
    /// Move it.
    Reroute(&'a Again),
    /// Send another attempt beside its live one.
    Race(&'a Race),
    /// Try a dead letter again.
    Requeue(&'a Requeue),
}

impl How<'_> {
    /// The id of the job; the first one of several.
    fn id(&self) -> &str {
        match self {
            Self::Retry(again) | Self::Reroute(again) => again.attempt.first().map_or("", String::as_str),
            Self::Race(race) => &race.attempt,
            Self::Requeue(requeue) => &requeue.job,
        }
    }

    /// The agent that is named.
    fn to(&self) -> Option<&str> {
        match self {
            Self::Retry(again) | Self::Reroute(again) => again.to.as_deref(),
            Self::Race(race) => race.agent.as_deref(),
            Self::Requeue(requeue) => requeue.to.as_deref(),
        }
    }

    fn why(&self) -> Option<Untrusted> {
        match self {
            Self::Retry(again) | Self::Reroute(again) => &again.why,
            Self::Race(race) => &race.why,
            Self::Requeue(requeue) => &requeue.why,
        }
        .as_deref()
        .map(Untrusted::from)
    }

    fn carry(&self) -> Carry {
        match self {
            Self::Retry(again) | Self::Reroute(again) => again.carried(),
            Self::Race(_) | Self::Requeue(_) => Carry::default(),
        }
    }

    fn timeout(&self) -> Option<std::time::Duration> {
        match self {
            Self::Retry(again) | Self::Reroute(again) => again.timeout,
            Self::Race(race) => race.timeout,
            Self::Requeue(requeue) => requeue.timeout,
        }
    }

    /// The same for many tasks, if that is asked for.
    fn bulk(&self) -> Option<Asked<'_>> {
        let (act, again) = match self {
            Self::Retry(again) => (Act::Retry, again),
            Self::Reroute(again) => (Act::Reroute, again),
            Self::Race(_) | Self::Requeue(_) => return None,
        };
        let (ids, filter) = (&again.attempt, &again.filter);
        (ids.len() != 1 || filter.is_set()).then(|| Asked {
            act,
            ids,
            filter,
            to: again.to.as_deref(),
            carry: again.carried(),
            why: again.why.as_deref(),
            timeout: again.timeout,
        })
    }
}

pub(super) async fn run(setup: Setup, how: How<'_>, out: &mut Printer) -> Result<ExitCode, Failure> {
    if setup.read_only {
        return Err(Failure::from_refusal(&Refusal::ReadOnly));
    }
    if let Some(asked) = how.bulk() {
        return bulk::run(setup, asked, out).await;
    }
    let session = Session::open(&setup, &[], &Login::default(), false).await?;
    probed(&session.handle, None, FIND).await;
    let job = match submit(&session, how, out).await {
        Ok(job) => job,
        Err(failure) => {
            session.close(false).await;
            return Err(failure);
        }
    };
    let mut watching = WatchedTask::new((setup, session), job, None, Login::default(), None);
    let until = how.timeout().map(|limit| Instant::now() + limit);
    let code = match watching.decided(until, false, out).await {
        Ok(()) => watching.finish(false, false, out).await,
        Err(failure) => Err(failure),
    };
    watching.session.close(true).await;
    code
}

async fn submit(session: &Session, how: How<'_>, out: &mut Printer) -> Result<JobId, Failure> {
    let snapshot = session.handle.snapshot();
    let id = how.id();
    let refused = |refusal| Failure::from_refusal(&refusal);
    let to = how.to().map(|name| agent_named(&snapshot, name)).transpose()?;
    let intent = if let Some(Newest { attempt, may_run, agent }) = newest(&snapshot, id) {
        // To try again what may have arrived, or may still run at an agent that is down, is to take it as lost.
        if matches!(how, How::Retry(_) | How::Requeue(_)) && may_run {
            let given_up = Intent::PresumeLost { attempt, why: how.why() };
            session.handle.submit(given_up).await.map_err(refused)?;
        }
        let (carry, why) = (how.carry(), how.why());
        if carry.context == CarryContext::Same
            && let Some(words) = unknown_there(&snapshot, agent, to)
        {
            out.warn(words);
        }
        match how {
            How::Retry(_) | How::Requeue(_) => Intent::Retry { attempt, to, carry, why },
            How::Reroute(_) => Intent::Reroute { attempt, to, carry, why },
            How::Race(_) => Intent::Race { attempt, to, why },
        }
    } else if let Some(job) = without_attempt(&snapshot, id)
        && matches!(how, How::Retry(_) | How::Requeue(_))
    {
        Intent::Requeue { job, to, why: how.why() }
    } else {
        return Err(Failure::usage(format!("there is no attempt, job or task {id}"))
            .hint("quarterdeck task list -o json shows their ids"));
    };
    match session.handle.submit(intent).await.map_err(refused)? {
        Receipt::Taken { job, .. } => Ok(job),
        Receipt::Done | Receipt::Agents(_) => Err(Failure::internal("the engine took it as something else")),
    }
}

/// The attempt that stands for a job.
struct Newest {
    attempt: AttemptId,
    agent: AgentKey,
    /// True if nobody can say what became of it, and no other one is alive.
    may_run: bool,
}

/// The attempt that stands for the job that an id names, of the job, of one of its attempts, or of a task.
fn newest(snapshot: &Snapshot, wanted: &str) -> Option<Newest> {
    let named = uncertain::attempt_named(snapshot, wanted).or_else(|| {
        let of_task = super::send::find_task(snapshot, None, wanted);
        of_task.map(|(_, attempt)| attempt.id)
    })?;
    let (_, attempt) = snapshot.attempts.iter().find(|(_, attempt)| attempt.id == named)?;
    let job = snapshot.job_of(attempt)?;
    let last = snapshot.attempts.get(job.current(|key| snapshot.attempts.get(key))?)?;
    let agent = snapshot.agents.get(last.agent);
    let is_cut_off = agent.is_some_and(|agent| last.is_cut_off(agent.health));
    let rows = job.attempts.iter().filter_map(|key| snapshot.attempts.get(*key));
    let alone = rows.filter(|row| row.is_live()).count() <= 1;
    let may_run = alone && (last.phase == Phase::Uncertain || is_cut_off);
    Some(Newest { attempt: last.id, agent: last.agent, may_run })
}

/// A job by its id, or by the beginning of it, that ended in the queue.
fn without_attempt(snapshot: &Snapshot, wanted: &str) -> Option<JobId> {
    let is = |id: &str| id == wanted || (wanted.len() >= 8 && id.starts_with(wanted));
    let mut jobs = snapshot.jobs.iter().map(|(_, job)| job).filter(|job| is(&job.id.to_string()));
    jobs.next().filter(|job| job.attempts.is_empty()).map(|job| job.id)
}

/// What may become of a conversation that goes on at another agent; `None` at the same one and at its replicas.
fn unknown_there(snapshot: &Snapshot, from: AgentKey, to: Option<AgentId>) -> Option<String> {
    let before = snapshot.agents.get(from)?;
    let name = before.name.line();
    let Some(to) = to else {
        return Some(format!(
            "the context is known to {name}: another agent may begin an empty conversation under its id, or refuse it"
        ));
    };
    let (_, agent) = snapshot.agents.iter().find(|(_, agent)| agent.id == to)?;
    let knows =
        agent.id == before.id || before.replica_key.is_some() && agent.replica_key == before.replica_key;
    (!knows).then(|| {
        format!(
            "the context is known to {name}: {} may begin an empty conversation under its id, or refuse it",
            agent.name.line()
        )
    })
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
