//! The timers that rows imply: a limit, a pause or a window that is stored must become due in this process too. There
//! must be one for each after any step; tests check this after each.

use crate::domain::agent::shift::ShiftStage;
use crate::domain::decide::live::{Live, PendingCall, Timer};
use crate::domain::decide::{service, timeout};
use crate::domain::id::AttemptKey;
use crate::domain::job::plan::JobPhase;
use crate::domain::job::task::Verdict;
use crate::domain::job::{Job, Origin, Phase};
use crate::domain::route::HedgeAfter;
use crate::domain::state::State;
use crate::domain::time::At;

fn is_last_of(job: &Job, attempt: AttemptKey) -> bool {
    job.phase == JobPhase::Running && job.attempts.last() == Some(&attempt)
}

/// The timers that are missing at this time.
pub(in crate::domain) fn missing(state: &State, live: &Live, at: At) -> Vec<Timer> {
    let of_agents = state.agents().iter().flat_map(|(key, agent)| {
        let service = agent.service.as_deref().and_then(service::next).map(|_| Timer::Service(key));
        let shift = agent.shift.as_deref().filter(|shift| shift.stage == ShiftStage::Running);
        let shift = shift.filter(|shift| shift.due() > at).map(|_| Timer::Shift(key));
        service.into_iter().chain(shift)
    });
    let of_jobs =
        state.jobs().iter().filter(|(_, job)| job.phase != JobPhase::Over).flat_map(|(key, job)| {
            let plan = job.plan.as_ref();
            let deadline = plan.and_then(|plan| plan.deadline).filter(|deadline| *deadline > at);
            let pause = plan.and_then(|plan| plan.waiting?.until).filter(|_| job.phase == JobPhase::Queued);
            // One that was read meanwhile is asked for its message first.
            let pause = pause.filter(|_| !live.loading.contains(&key));
            deadline.map(|_| Timer::Deadline(key)).into_iter().chain(pause.map(|_| Timer::Dispatch(key)))
        });
    let of_attempts = state.attempts().iter().flat_map(|(key, row)| {
        let job = state.job_of(row);
        // The limit of one whose task is looked for is set once it was found.
        let mut calls = live.calls.of_attempt(row.agent, key);
        let sends = calls.any(|(_, pending)| matches!(pending.call, PendingCall::Send(_)));
        let runs = row.is_live() && (row.task.is_some() || (row.phase == Phase::Sending && sends));
        let overdue = timeout::limit(state, &live.routes, row).filter(|_| runs).map(|_| Timer::Overdue(key));
        let hedge = timeout::rule_of(state, &live.routes, row).and_then(|rule| rule.hedge);
        let hedge = hedge.filter(|_| runs && job.is_some_and(|job| is_last_of(job, key)));
        let hedge = hedge.filter(|hedge| match hedge.after {
            HedgeAfter::Time(time) => row.sent.unwrap_or(row.created) + time > at,
            // Whether it is hedged depends on what was measured.
            HedgeAfter::Percentile(_) => false,
        });
        let sent = job.is_some_and(|job| job.origin == Origin::Sent);
        let asked = row.task.as_ref().is_some_and(|task| task.verdict == Some(Verdict::Unreachable));
        let unreachable = (sent && !asked && row.is_unseen()).then_some(Timer::Unreachable(key));
        overdue.into_iter().chain(hedge.map(|_| Timer::Hedge(key))).chain(unreachable)
    });
    let implied = of_agents.chain(of_jobs).chain(of_attempts);
    implied.filter(|timer| !live.due.contains_key(timer)).collect()
}
