//! Retention: ended jobs, cleared problems and departed agents are kept for a while, everything else forever.
//!
//! A step removes a bounded number of rows, and a timer starts the next step, so that no turn is long however much is
//! due. What is due is at the front of indexes that are updated with the facts; nothing is searched.
//!
//! A departed agent is one that neither the configuration nor a source lists any more. It is kept as long as any of its
//! tasks or problems. After that, an agent on which an operator has acted is kept as long as a job, and one that was
//! only ever reported by sources is kept for an hour (`keep_departed`). As anybody with access to a registry can
//! register new agents at any rate, the number and size of the latter are bounded too.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::decide::fleet;
use crate::domain::decide::lint;
use crate::domain::decide::live::Timer;
use crate::domain::decide::queue;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::watch;
use crate::domain::fact::{AgentFact, FleetFact, JobFact};
use crate::domain::id::{AgentKey, AttemptKey, JobId};
use crate::domain::limits;
use crate::domain::time::At;

/// How often the rules of retention are applied.
pub(super) const EVERY: Duration = Duration::from_secs(3600);
/// The maximum number of rows of a kind that are removed in one step, to bound its duration.
const AT_ONCE: usize = 500;
/// The pause between two steps.
const PAUSE: Duration = Duration::from_millis(100);

/// Handles a new size of the store. If it is too large, the oldest twentieth of the ended jobs is forgotten.
pub(super) fn on_store_size(turn: &mut Turn, bytes: u64) {
    if bytes > turn.rules.keep_bytes {
        turn.live.to_forget = turn.state().ended_count().div_ceil(20);
    }
    forget_some(turn);
}

/// Forgets what is due, up to the limit of one step.
pub(super) fn forget_some(turn: &mut Turn) {
    let mut left = forget_jobs(turn);
    left |= forget_abandoned(turn);
    left |= forget_problems(turn);
    for _ in 0..AT_ONCE {
        let Some(key) = departed(turn).filter(|(due, _)| *due <= turn.at).map(|(_, key)| key) else { break };
        forget_agent(turn, key);
    }
    if left {
        let next = turn.at + PAUSE;
        turn.set_timer_by(Timer::Forget, next);
    }
    schedule(turn);
}

/// Sets the timer for the next departed agent that is due.
pub(super) fn schedule(turn: &mut Turn) {
    if let Some((due, _)) = departed(turn) {
        let due = due.max(turn.at + PAUSE);
        turn.set_timer_by(Timer::Forget, due);
    }
}

/// True if more jobs are due than one step may forget.
fn forget_jobs(turn: &mut Turn) -> bool {
    let cutoff = turn.at - turn.rules.keep;
    for _ in 0..AT_ONCE {
        let due = turn.state().oldest_ended().filter(|job| job.created < cutoff || turn.live.to_forget > 0);
        let Some(job) = due.map(|job| job.id) else {
            turn.live.to_forget = 0;
            return false;
        };
        turn.live.to_forget = turn.live.to_forget.saturating_sub(1);
        forget_job(turn, job);
    }
    true
}

/// Forgets a job, and ends everything that is in progress for it.
fn forget_job(turn: &mut Turn, job: JobId) {
    let Some(job_key) = turn.state().job_key(job) else { return };
    let attempts = turn.state().jobs().get(job_key).map(|job| job.attempts.clone()).unwrap_or_default();
    for key in &attempts {
        watch::forget(turn, *key);
    }
    lint::forget(turn, &attempts);
    queue::forget(turn, job_key);
    turn.job_fact(job, JobFact::Forgotten);
}

/// Forgets open tasks of departed agents. Such tasks are not watched and would never end, so they are treated as if
/// they had ended when the agent left. True if more may be due than one step may check.
fn forget_abandoned(turn: &mut Turn) -> bool {
    let cutoff = turn.at - turn.rules.keep;
    let agents: Vec<_> = turn.state().departed().abandoning(cutoff).take(AT_ONCE).collect();
    let open = agents.into_iter().flat_map(|agent| turn.state().open_attempts(agent));
    let jobs: BTreeSet<_> = open.filter_map(|key| abandoned(turn, key)).take(AT_ONCE).collect();
    let any = !jobs.is_empty();
    for job in jobs {
        forget_job(turn, job);
    }
    any
}

/// The job of an attempt, unless an agent that is listed still works on it.
fn abandoned(turn: &Turn, key: AttemptKey) -> Option<JobId> {
    let state = turn.state();
    let job = state.job_of(state.attempt(key)?)?;
    let is_watched = |key: &AttemptKey| {
        let agent = state.attempt(*key).filter(|attempt| attempt.goes_on()).map(|attempt| attempt.agent);
        agent.and_then(|agent| state.agent(agent)).is_some_and(|agent| agent.listed)
    };
    (!job.attempts.iter().any(is_watched)).then_some(job.id)
}

/// True if more problems are due than one step may forget.
fn forget_problems(turn: &mut Turn) -> bool {
    let cutoff = turn.at - turn.rules.keep;
    for _ in 0..AT_ONCE {
        let too_many = turn.state().cleared_count() > limits::CLEARED_PROBLEMS;
        let oldest = turn.state().oldest_cleared();
        let due = oldest.filter(|problem| too_many || problem.cleared.is_some_and(|at| at < cutoff));
        let Some(number) = due.map(|problem| problem.number) else { return false };
        turn.fleet_fact(FleetFact::ProblemForgotten { number });
    }
    true
}

/// The departed agent that is due next, and when.
fn departed(turn: &Turn) -> Option<(At, AgentKey)> {
    let departed = turn.state().departed();
    let too_many =
        departed.strangers() > limits::DEPARTED_AGENTS || departed.bytes() > limits::DEPARTED_CARDS;
    let stranger = departed.first_stranger().map(|(left, key)| {
        let due = if too_many { turn.at } else { left + turn.rules.keep_departed };
        (due, key)
    });
    let acquainted = departed.first_acquainted().map(|(last, key)| (last + turn.rules.keep, key));
    stranger.into_iter().chain(acquainted).min()
}

/// Forgets an agent, and ends everything that is in progress there.
fn forget_agent(turn: &mut Turn, key: AgentKey) {
    let calls: Vec<_> = turn.live.calls.of_agent(key).collect();
    for call in calls {
        turn.close(call);
    }
    for timer in
        [Timer::Probe(key), Timer::List(key), Timer::Check(key), Timer::Lint(key), Timer::Breaker(key)]
    {
        turn.clear_timer(timer);
    }
    fleet::forget(turn, key);
    if let Some(agent) = turn.state().agent(key).map(|agent| agent.id) {
        turn.metrics.totals.forget(agent);
    }
    turn.agent_fact(key, AgentFact::Forgotten);
}
