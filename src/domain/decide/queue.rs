//! Jobs that wait: for a free place, for an agent that takes work, or for the pause before a retry.
//!
//! Every decision about a job that goes by rules is made in [`assign`], for a new job, for one that waited and for a
//! retry. A job leaves the queue when an attempt is planned, which takes a place at its agent; the place is free again
//! when the attempt has ended. What an agent or a rule gives back is noted in [`crate::domain::decide::turn::Touched`],
//! and the lanes are looked at once at the end of the step.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::cause::Cause;
use crate::domain::decide::dispatch;
use crate::domain::decide::instead;
use crate::domain::decide::live::Timer;
use crate::domain::decide::measure;
use crate::domain::decide::not_now;
use crate::domain::decide::reopen;
use crate::domain::decide::routing::{self, Choice};
use crate::domain::decide::turn::Turn;
use crate::domain::fact::{AttemptFact, JobFact};
use crate::domain::id::{AgentKey, AttemptId, JobKey, MessageId};
use crate::domain::intent::{Refusal, Remedy};
use crate::domain::job::plan::{JobPhase, NextAgent, WaitReason};
use crate::domain::job::task::Verdict;
use crate::domain::job::{Job, Phase};
use crate::domain::limits;
use crate::domain::route::Target;
use crate::domain::route::message::MessageFields;
use crate::domain::time::At;

/// Jobs that leave the queue in one step, at most, to bound its duration.
const AT_ONCE: usize = 64;
/// The pause before the next such step.
const PAUSE: Duration = Duration::from_millis(5);

/// Refuses a job for which the queue has no room.
pub(super) fn has_room(turn: &Turn, bytes: u64) -> Result<(), Refusal> {
    let queue = turn.state().queue();
    let most = turn.rules.queued_jobs;
    if queue.len() >= most {
        let why = format!("the queue is full: {most} jobs wait; try again once some have left");
        return Err(instead(why, Remedy::LookAtQueue));
    }
    if queue.bytes() + bytes > limits::QUEUED_BYTES {
        return Err(not_now(format!(
            "the queue is full: the messages that wait have {} MiB; try again once some have left",
            limits::QUEUED_BYTES >> 20
        )));
    }
    Ok(())
}

/// Decides about a job that has no live attempt: it is sent, or it waits. True if it was sent.
pub(super) fn assign(turn: &mut Turn, key: JobKey) -> bool {
    let Some(message) = reopen::message(turn, key) else { return false };
    let Some(job) = turn.state().jobs().get(key) else { return false };
    let Some(plan) = job.plan.clone() else { return false };
    let tried = tried(turn, job);
    let target = match plan.next {
        Some(NextAgent::Named(agent)) => Target::Agent(agent),
        Some(NextAgent::Any) | None => plan.target,
    };
    let fields = MessageFields::of(&message, job.caller.as_ref());
    let choice = routing::choose(turn, &target, &fields, &tried);
    if let Choice::Agent(agent, _) = &choice
        && is_unread(turn, key, *agent)
    {
        wait(turn, key, WaitReason::Unavailable, None);
        return false;
    }
    settle(turn, key, choice)
}

/// True if the agent has a task of the job that was given up and not been read since: it may be alive, which the read
/// tells first.
pub(super) fn is_unread(turn: &Turn, key: JobKey, agent: AgentKey) -> bool {
    let Some(job) = turn.state().jobs().get(key) else { return false };
    let mut attempts = job.attempts.iter().filter_map(|key| turn.state().attempt(*key));
    attempts.any(|row| {
        let verdict = row.task.as_ref().and_then(|task| task.verdict);
        row.agent == agent && row.phase == Phase::PresumedLost && verdict.is_some_and(Verdict::is_of_absence)
    })
}

/// Records the router's choice for a job and acts on it. True if it was sent.
pub(super) fn settle(turn: &mut Turn, key: JobKey, choice: Choice) -> bool {
    match choice {
        Choice::Agent(agent, decision) => {
            let Some(job) = turn.state().jobs().get(key) else { return false };
            let (id, retry) = (job.id, !job.attempts.is_empty());
            if let Some(rule) = decision.rule.clone().filter(|_| !retry) {
                let at = turn.at;
                turn.live.budgets.entry(rule).or_default().began(at);
            }
            turn.clear_timer(Timer::Dispatch(key));
            turn.job_fact(id, JobFact::Routed { decision: Arc::new(decision), retry });
            plan_attempt(turn, key, agent).is_some()
        }
        Choice::Wait(why, _) => {
            wait(turn, key, why, None);
            false
        }
        Choice::Nobody(why) => {
            let Some(job) = turn.state().jobs().get(key) else { return false };
            let named = job.plan.as_ref().is_some_and(|plan| matches!(plan.target, Target::Agent(_)));
            if named {
                let cause = Arc::new(Cause::Unsupported(why));
                let id = job.id;
                turn.job_fact(id, JobFact::Ended { cause: Some(cause), spent: None });
                return false;
            }
            // It was accepted when somebody could take it; such an agent may come back.
            wait(turn, key, WaitReason::Unavailable, None);
            false
        }
    }
}

/// Plans the next attempt of a job and sends it. The first one sends the job's message, and so does the first one after
/// its message was composed anew; each later one has a message id of its own.
pub(super) fn plan_attempt(turn: &mut Turn, key: JobKey, agent: AgentKey) -> Option<AttemptId> {
    let job = turn.state().jobs().get(key)?;
    let id = job.id;
    let message = reopen::message(turn, key)?;
    let job = turn.state().jobs().get(key)?;
    let mut rows = job.attempts.iter().filter_map(|key| turn.state().attempt(*key));
    let is_used = rows.any(|row| row.message_id.as_ref() == Some(&message.id));
    let agent_id = turn.state().agent(agent)?.id;
    let at = turn.at;
    let attempt = AttemptId(turn.seed.uuid(at));
    let message_id =
        if is_used { MessageId::from(turn.seed.uuid(at).to_string().as_str()) } else { message.id.clone() };
    turn.job_fact(
        id,
        JobFact::Attempt(attempt, AttemptFact::Planned { agent: agent_id, message_id: Some(message_id) }),
    );
    let planned = turn.state().attempt_key(attempt)?;
    measure::planned(turn, planned);
    dispatch::begin(turn, planned);
    Some(attempt)
}

/// A job waits from here on.
pub(super) fn wait(turn: &mut Turn, key: JobKey, why: WaitReason, until: Option<At>) {
    let Some(job) = turn.state().jobs().get(key) else { return };
    let now = job.plan.as_ref().and_then(|plan| plan.waiting);
    if job.phase == JobPhase::Queued && now.is_some_and(|now| now.why == why && now.until == until) {
        return;
    }
    let id = job.id;
    turn.job_fact(id, JobFact::Queued { why, until });
    match until {
        Some(until) => turn.set_timer(Timer::Dispatch(key), until),
        None => turn.clear_timer(Timer::Dispatch(key)),
    }
}

/// Lets jobs leave the queue if something has changed that they may wait for.
pub(super) fn run(turn: &mut Turn) {
    if !std::mem::take(&mut turn.touched.freed) || turn.state().queue().is_empty() {
        return;
    }
    let lanes: Vec<_> = turn.state().queue().lanes().cloned().collect();
    let mut sent = 0;
    for lane in lanes {
        while let Some(key) = turn.state().queue().first(&lane) {
            if sent == AT_ONCE {
                let next = turn.at + PAUSE;
                return turn.set_timer_by(Timer::Queue, next);
            }
            if !assign(turn, key) {
                break;
            }
            sent += 1;
        }
    }
}

/// The pause before a retry is over, or the queue is looked at again.
pub(super) fn due(turn: &mut Turn, key: JobKey) {
    let waits = turn.state().jobs().get(key).is_some_and(|job| job.phase == JobPhase::Queued);
    if waits {
        assign(turn, key);
    }
}

/// The deadline of a job has passed: nothing more is tried, and what runs is asked to stop.
pub(super) fn deadline(turn: &mut Turn, key: JobKey) {
    let Some(job) = turn.state().jobs().get(key) else { return };
    let (id, phase, created) = (job.id, job.phase, job.created);
    let limit =
        job.plan.as_ref().and_then(|plan| plan.deadline).map_or(Duration::ZERO, |until| until.since(created));
    match phase {
        JobPhase::Queued => {
            turn.clear_timer(Timer::Dispatch(key));
            turn.job_fact(id, JobFact::Ended { cause: Some(Arc::new(Cause::Deadline(limit))), spent: None });
        }
        JobPhase::Running => {
            let attempts: Vec<_> = job.attempts.iter().copied().collect();
            for attempt in attempts {
                dispatch::overdue(turn, attempt, Cause::Deadline(limit));
            }
        }
        JobPhase::Over => {}
    }
}

/// A job is about to be removed: its place may be that of another one, which has neither its timers nor its message.
pub(super) fn forget(turn: &mut Turn, key: JobKey) {
    for timer in [Timer::Dispatch(key), Timer::Deadline(key)] {
        turn.clear_timer(timer);
    }
    turn.live.messages.remove(&key);
    turn.live.loading.remove(&key);
}

/// After a start: the timers of jobs that wait or have a deadline.
pub(super) fn resume(turn: &mut Turn) {
    turn.touched.freed = true;
    let jobs: Vec<_> = turn
        .state()
        .jobs()
        .iter()
        .filter(|(_, job)| job.phase != JobPhase::Over)
        .filter_map(|(key, job)| {
            let plan = job.plan.as_ref()?;
            Some((key, plan.deadline, plan.waiting.and_then(|waiting| waiting.until)))
        })
        .collect();
    for (key, deadline, until) in jobs {
        if let Some(deadline) = deadline {
            turn.set_timer(Timer::Deadline(key), deadline);
        }
        match until {
            Some(until) => turn.set_timer(Timer::Dispatch(key), until),
            // A job that an operator reopened waits for its message too.
            None => {
                let waits = turn.state().jobs().get(key).is_some_and(|job| job.phase == JobPhase::Queued);
                if waits {
                    reopen::message(turn, key);
                }
            }
        }
    }
}

/// The agents of a job's earlier attempts.
fn tried(turn: &Turn, job: &Job) -> Vec<AgentKey> {
    job.attempts.iter().filter_map(|key| turn.state().attempt(*key)).map(|attempt| attempt.agent).collect()
}
