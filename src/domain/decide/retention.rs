//! What is kept: ended jobs for a while, live ones always.

use std::time::Duration;

use crate::domain::decide::lint;
use crate::domain::decide::turn::Turn;
use crate::domain::fact::{FleetFact, JobFact};
use crate::domain::id::JobId;
use crate::domain::time::At;

/// How often the rules of retention are applied.
pub(super) const EVERY: Duration = Duration::from_secs(3600);
/// At most so many jobs are forgotten in one step, so that no turn is long.
const AT_ONCE: usize = 500;

/// Forgets ended jobs that are older than the rules keep, or that no longer fit.
pub(super) fn forget_old(turn: &mut Turn) {
    let cutoff = turn.at - turn.rules.keep;
    let over_full = turn.live.store_bytes > turn.rules.keep_bytes;
    let mut ended: Vec<(At, JobId)> = Vec::new();
    for (_, job) in turn.state().jobs().iter() {
        let over = job.attempts.iter().all(|key| {
            turn.state().attempt(*key).is_none_or(|attempt| {
                attempt.task.as_ref().map_or(attempt.phase.is_over(), |task| task.settled)
            })
        });
        if over && (job.created < cutoff || over_full) {
            ended.push((job.created, job.id));
        }
    }
    ended.sort_unstable();
    let full_share = ended.len().div_ceil(20);
    let forget = ended.iter().enumerate().take(AT_ONCE);
    let forget: Vec<_> = forget
        .filter(|(index, (created, _))| *created < cutoff || (over_full && *index < full_share))
        .map(|(_, (_, job))| *job)
        .collect();
    for job in forget {
        let attempts = turn.state().job_key(job).and_then(|key| turn.state().jobs().get(key));
        let attempts = attempts.map(|job| job.attempts.clone()).unwrap_or_default();
        lint::forget(turn, &attempts);
        turn.job_fact(job, JobFact::Forgotten);
    }
    let old: Vec<_> = turn
        .state()
        .problems()
        .iter()
        .filter(|(_, problem)| problem.cleared.is_some_and(|cleared| cleared < cutoff))
        .map(|(_, problem)| problem.number)
        .take(AT_ONCE)
        .collect();
    for number in old {
        turn.fleet_fact(FleetFact::ProblemForgotten { number });
    }
}
