//! The tasks that a problem is about, for what an operator does to all of them.

use super::{NEWEST, agents_of, counted_from};
use crate::domain::id::AttemptKey;
use crate::domain::job::plan::JobPhase;
use crate::domain::job::task::TaskState;
use crate::domain::job::{Attempt, Origin, Phase};
use crate::domain::problem::{Kind, Problem};
use crate::domain::state::snapshot::Snapshot;

/// Live tasks that a problem affects: those that it is about, or all of the agents that it is about.
pub fn live_of(snapshot: &Snapshot, problem: &Problem) -> Vec<AttemptKey> {
    let of_tasks = Kind::OF_TASKS.contains(&problem.kind);
    let affected = |attempt: &Attempt| {
        attempt.task.is_some()
            && attempt.is_live()
            && (!of_tasks || problem.kind.is_about(attempt, snapshot.job_of(attempt)))
    };
    let attempts = agents_of(snapshot, problem);
    let attempts = attempts.into_iter().flat_map(|agent| snapshot.attention.of(agent));
    attempts.filter(|key| snapshot.attempts.get(*key).is_some_and(affected)).take(NEWEST).collect()
}

/// Jobs of ours that failed at a problem's agents since it began, or were lost there if that is the problem, by the attempt that failed last; no other attempt
/// follows by itself.
pub fn failed_of(snapshot: &Snapshot, problem: &Problem) -> Vec<AttemptKey> {
    let (agents, from) = (agents_of(snapshot, problem), counted_from(problem));
    let failed = |key: AttemptKey, attempt: &Attempt| {
        let ended = match &attempt.task {
            Some(task) => {
                matches!(task.state, TaskState::Failed | TaskState::Rejected) && task.state_since >= from
            }
            None => attempt.phase == Phase::Refused && attempt.phase_since >= from,
        };
        let job = snapshot.job_of(attempt).filter(|job| job.origin == Origin::Sent);
        let is_lost = problem.kind == Kind::TaskLost && Kind::TaskLost.is_about(attempt, job);
        (ended || is_lost)
            && agents.binary_search(&attempt.agent).is_ok()
            && job.is_some_and(|job| job.phase == JobPhase::Over && job.attempts.last() == Some(&key))
    };
    let newest = snapshot.attempts.iter().rev().take(NEWEST);
    let mut found: Vec<_> = newest.filter(|(key, row)| failed(*key, row)).map(|(key, _)| key).collect();
    found.reverse();
    found
}
