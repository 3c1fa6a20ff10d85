//! `task retry`, `task reroute`, `task race` and `queue retry`: another attempt of a job, after the last one ended, instead
//! of a live one or beside it.

use std::process::ExitCode;

use clap::Args;
use tokio::time::Instant;

use super::args::Login;
use super::output::{Failure, Printer};
use super::session::{Session, Setup, find_agent, probed};
use super::uncertain;
use super::watched_task::WatchedTask;
use crate::config::{nearest, units};
use crate::domain::agent::Health;
use crate::domain::id::{AgentId, AgentKey, AttemptId, JobId};
use crate::domain::intent::{Intent, Receipt, Refusal};
use crate::domain::job::Phase;
use crate::domain::job::carry::{Carry, CarryContext, CarryHistory};
use crate::domain::job::detail::Detail;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;

/// `task retry` and `task reroute`
#[derive(Args, Debug)]
pub struct Again {
    /// Id of the job, of an attempt of it, or of its task.
    #[arg(value_name = "ID")]
    pub attempt: String,
    /// Agent to send it to [default: the router chooses, agents that were not tried first].
    #[arg(long, value_name = "NAME")]
    pub to: Option<String>,
    /// Conversation of the new attempt: that of the earlier one, which other agents than its own and the replicas of
    /// that may not know, or a new one [default: the one that was given with the message, if any].
    #[arg(long, value_name = "CONTEXT", value_parser = ["same", "new"])]
    pub context: Option<String>,
    /// What to take along of the earlier attempt's conversation and artifacts: nothing, their ids, or their content, as
    /// far as it fits into 256 KiB.
    #[arg(long, value_name = "WHAT", value_parser = ["none", "references", "content"], default_value = "none")]
    pub carry: String,
    /// Reason, recorded in the job's history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Maximum time to wait [default: no limit].
    #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
    pub timeout: Option<std::time::Duration>,
}

/// `task race`
#[derive(Args, Debug)]
pub struct Race {
    /// Id of the job, of an attempt of it, or of its task.
    #[arg(value_name = "ID")]
    pub attempt: String,
    /// Agent to send it to [default: the router chooses another one].
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Reason, recorded in the job's history.
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Maximum time to wait [default: no limit].
    #[arg(long, value_name = "DURATION", value_parser = units::duration, env = "A2ACLI_TIMEOUT")]
    pub timeout: Option<std::time::Duration>,
}

/// The time in which every agent is probed, so that the router knows who takes work.
const FIND: std::time::Duration = std::time::Duration::from_secs(10);

/// What to do with a job.
#[derive(Debug)]
pub(super) enum How {
    /// Try it again.
    Retry(Again),
    /// Move it.
    Reroute(Again),
    /// Send another attempt beside its live one.
    Race {
        /// The agent; none lets the router choose.
        to: Option<String>,
        /// The reason.
        why: Option<String>,
    },
    /// Try a dead letter again.
    Requeue {
        /// The agent; none lets the router choose.
        to: Option<String>,
        /// The reason.
        why: Option<String>,
    },
}

impl How {
    /// The agent that is named.
    fn to(&self) -> Option<&str> {
        match self {
            Self::Retry(Again { to, .. }) | Self::Reroute(Again { to, .. }) => to.as_deref(),
            Self::Race { to, .. } | Self::Requeue { to, .. } => to.as_deref(),
        }
    }

    fn why(&self) -> Option<Untrusted> {
        match self {
            Self::Retry(Again { why, .. }) | Self::Reroute(Again { why, .. }) => why,
            Self::Race { why, .. } | Self::Requeue { why, .. } => why,
        }
        .as_deref()
        .map(Untrusted::from)
    }

    /// What is taken along.
    fn carry(&self) -> Carry {
        match self {
            Self::Retry(again) | Self::Reroute(again) => Carry {
                context: match again.context.as_deref() {
                    Some("same") => CarryContext::Same,
                    Some(_) => CarryContext::New,
                    None => CarryContext::Given,
                },
                history: match &*again.carry {
                    "references" => CarryHistory::References,
                    "content" => CarryHistory::Content,
                    _ => CarryHistory::None,
                },
            },
            Self::Race { .. } | Self::Requeue { .. } => Carry::default(),
        }
    }
}

pub(super) async fn run(
    setup: Setup,
    id: &str,
    how: How,
    timeout: Option<std::time::Duration>,
    out: &mut Printer,
) -> Result<ExitCode, Failure> {
    if setup.read_only {
        return Err(Failure::from_refusal(&Refusal::ReadOnly));
    }
    let session = Session::open(&setup, &[], &Login::default(), false).await?;
    probed(&session.handle, None, FIND).await;
    let job = match submit(&session, id, &how, out).await {
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
    let until = timeout.map(|limit| Instant::now() + limit);
    let code = match watching.decided(until, false, out).await {
        Ok(()) => watching.finish(false, false, out).await,
        Err(failure) => Err(failure),
    };
    watching.session.close(true).await;
    code
}

async fn submit(session: &Session, id: &str, how: &How, out: &mut Printer) -> Result<JobId, Failure> {
    let snapshot = session.handle.snapshot();
    let refused = |refusal| Failure::from_refusal(&refusal);
    let to = how.to().map(|name| agent_named(&snapshot, name)).transpose()?;
    let intent = if let Some(Newest { attempt, may_run, agent }) = newest(&snapshot, id) {
        // To try again what may have arrived, or may still run at an agent that is down, is to take it as lost.
        if matches!(how, How::Retry(_) | How::Requeue { .. }) && may_run {
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
            How::Retry(_) | How::Requeue { .. } => Intent::Retry { attempt, to, carry, why },
            How::Reroute(_) => Intent::Reroute { attempt, to, carry, why },
            How::Race { .. } => Intent::Race { attempt, to, why },
        }
    } else if let Some(job) = without_attempt(&snapshot, id)
        && matches!(how, How::Retry(_) | How::Requeue { .. })
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
    let down = snapshot.agents.get(last.agent).is_some_and(|agent| agent.health == Health::Down);
    let rows = job.attempts.iter().filter_map(|key| snapshot.attempts.get(*key));
    let alone = rows.filter(|row| row.is_live()).count() <= 1;
    let may_run = alone && (last.phase == Phase::Uncertain || (down && last.is_out_of_sight()));
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
