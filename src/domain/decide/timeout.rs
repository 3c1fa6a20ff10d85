//! How long an attempt may take: the `timeout` of its rule, counted from when its message was sent, the deadline of its
//! job, and the time after which it is hedged. They are kept as timers, which are derived again from the rows whenever an
//! attempt becomes one that runs: when it is sent, when its task is found or comes back, after a start, and when the rules
//! have changed.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::cause::Cause;
use crate::domain::decide::dispatch;
use crate::domain::decide::live::Timer;
use crate::domain::decide::race;
use crate::domain::decide::turn::Turn;
use crate::domain::id::AttemptKey;
use crate::domain::job::plan::JobPhase;
use crate::domain::job::{Attempt, Phase};
use crate::domain::route::{self, Rule};
use crate::domain::state::State;
use crate::domain::time::At;

/// A limit that has passed is looked at after this step: what is due in it was processed before.
pub(super) const SOON: Duration = Duration::from_millis(1);

/// The rule by which the job of an attempt was last dispatched, as it is now.
pub(super) fn rule_of<'r>(
    state: &State,
    routes: &'r route::Rules,
    attempt: &Attempt,
) -> Option<&'r Arc<Rule>> {
    routes.rule(state.job_of(attempt)?.plan.as_ref()?.rule.as_deref()?)
}

/// When an attempt that runs has taken as long as its rule allows; `None` if it may take any time, does not run, or was
/// stopped for that already.
pub(super) fn limit(state: &State, routes: &route::Rules, attempt: &Attempt) -> Option<At> {
    let is_stopped = matches!(attempt.cause.as_deref(), Some(Cause::Overdue(_) | Cause::Deadline(_)));
    let runs = matches!(attempt.phase, Phase::Sending | Phase::Accepted) && attempt.is_live();
    let job = state.job_of(attempt).filter(|job| job.phase == JobPhase::Running)?;
    // What did not win is being stopped anyway.
    if !runs || is_stopped || job.winner().is_some() {
        return None;
    }
    let timeout = rule_of(state, routes, attempt)?.timeout?;
    Some(attempt.sent.unwrap_or(attempt.phase_since) + timeout)
}

/// An attempt runs from here on, or again: it is stopped once it has taken longer than its rule allows, and at once if
/// that was so before its task was found.
pub(super) fn watch(turn: &mut Turn, key: AttemptKey) {
    let Some(row) = turn.state().attempt(key).filter(|row| row.is_live()) else { return };
    let job = row.job;
    let running = turn.state().job_of(row).filter(|job| job.phase == JobPhase::Running);
    let deadline = running.and_then(|job| job.plan.as_ref()?.deadline);
    let is_last = running.is_some_and(|job| job.attempts.last() == Some(&key));
    if let Some(limit) = limit(turn.state(), &turn.live.routes, row) {
        turn.set_timer(Timer::Overdue(key), limit.max(turn.at + SOON));
    }
    if let Some(deadline) = deadline {
        turn.set_timer(Timer::Deadline(job), deadline.max(turn.at + SOON));
    }
    if is_last {
        race::sending(turn, key);
    }
}

/// An attempt takes longer than its rule allowed when it was last looked at.
pub(super) fn due(turn: &mut Turn, key: AttemptKey) {
    let Some(row) = turn.state().attempt(key) else { return };
    match limit(turn.state(), &turn.live.routes, row) {
        Some(limit) if limit > turn.at => turn.set_timer(Timer::Overdue(key), limit),
        Some(_) => {
            let timeout = rule_of(turn.state(), &turn.live.routes, row).and_then(|rule| rule.timeout);
            dispatch::overdue(turn, key, Cause::Overdue(timeout.unwrap_or_default()));
        }
        None => {}
    }
}

/// After a start, and when the rules have changed: the limits of all attempts that run.
pub(super) fn resume(turn: &mut Turn) {
    let running = turn.state().jobs().iter().filter(|(_, job)| job.phase == JobPhase::Running);
    let planned = running.filter(|(_, job)| job.plan.is_some());
    let attempts: Vec<_> = planned.flat_map(|(_, job)| job.attempts.iter().copied()).collect();
    for attempt in attempts {
        watch(turn, attempt);
    }
}
