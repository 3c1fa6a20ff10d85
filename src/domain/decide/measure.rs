//! Metrics from facts: each fact is measured once, before it is applied.

use std::time::Duration;

use crate::domain::call::{Outcome, StreamOutcome};
use crate::domain::cause::Cause;
use crate::domain::decide::live::{Pending, PendingCall};
use crate::domain::decide::turn::Turn;
use crate::domain::fact::{AttemptFact, JobFact};
use crate::domain::id::{AgentKey, AttemptKey, JobId};
use crate::domain::job::task::{TaskState, Verdict, Via};
use crate::domain::job::{self, Attempt, Phase};
use crate::domain::metrics::{Minute, Series, Tally, TaskTotals};
use crate::domain::time::At;

/// Measures a fact of an attempt that is about to be applied.
pub(in crate::domain) fn fact(turn: &mut Turn, key: AttemptKey, fact: &AttemptFact) {
    match fact {
        // A call withheld because of our own disk is no failure of an agent, and nothing was begun there.
        AttemptFact::Moved { phase: Phase::Unsent, cause: Some(cause) }
            if matches!(**cause, Cause::Unsaved(_)) =>
        {
            withdrawn(turn, key);
        }
        AttemptFact::Moved { phase, .. } => {
            moved(turn, key, *phase);
            moved_in_total(turn, key, *phase);
        }
        AttemptFact::TaskSeen { state, peer_time, via, .. } => {
            let Some((agent, ours, waited)) = turn.state().attempt(key).map(|attempt| {
                let waited = (attempt.phase == Phase::Sending).then_some(attempt.phase_since);
                (attempt.agent, attempt.message_id.is_some(), waited)
            }) else {
                return;
            };
            // Tasks in a first listing began, and may have ended, before we watched.
            let news = *via != Via::List || turn.agent_live(agent).listing.changed != At::ZERO;
            let at = turn.at;
            add(turn, key, |tally| {
                if let Some(since) = waited {
                    tally.first.add(at.since(since));
                }
                tally.begun += u32::from(news && !ours);
            });
            if state.is_terminal() {
                if news {
                    let took = ours.then(|| turn.state().attempt(key).map(|own| at.since(own.created)));
                    ended(turn, key, state, took.flatten());
                }
            } else {
                turn.watch(key).peer_began = *peer_time;
            }
        }
        AttemptFact::StateSeen { state, .. } if !state.is_terminal() => question_over(turn, key, state),
        AttemptFact::StateSeen { state, peer_time, .. } => {
            question_over(turn, key, state);
            let Some(known) = turn.state().attempt(key) else { return };
            let Some(task) = known.task.as_ref().filter(|task| !task.is_over()) else { return };
            let (ours, created, at) = (known.message_id.is_some(), known.created, turn.at);
            // Of an end that nobody saw, only the agent may know the time.
            let until = match task.gap_since() {
                Some(gap) => job::by_agent_within(*peer_time, gap.min(task.last_activity), at),
                None => Some(at),
            };
            // For tasks sent by others, the agent's own clock knows both ends better than we do.
            let by_agent =
                turn.watch(key).peer_began.zip(*peer_time).filter(|_| !ours).and_then(|(from, to)| {
                    u64::try_from(to.micros().saturating_sub(from.micros())).ok().map(Duration::from_micros)
                });
            let questions = turn.watch(key).questions;
            let took = by_agent.or_else(|| Some(until?.since(created)));
            ended(turn, key, state, took.map(|took| took.saturating_sub(questions)));
        }
        AttemptFact::VerdictChanged { verdict: Some(Verdict::Lost), .. } => {
            let known = turn.state().attempt(key).and_then(|known| known.task.as_ref());
            if known.is_some_and(|task| !task.is_over()) {
                add(turn, key, |tally| tally.lost += 1);
                total(turn, key, |totals| totals.lost += 1);
            }
        }
        _ => {}
    }
}

/// A task that waited for an answer goes on: that time was the person's, not the agent's.
fn question_over(turn: &mut Turn, key: AttemptKey, state: &TaskState) {
    let at = turn.at;
    let task = turn.state().attempt(key).and_then(|known| known.task.as_ref());
    let asked = task.filter(|task| task.state.is_interrupted() && task.state != *state);
    if let Some(since) = asked.map(|task| task.state_since) {
        turn.watch(key).questions += at.since(since);
    }
}

/// A message that had begun was not sent after all.
fn withdrawn(turn: &mut Turn, key: AttemptKey) {
    if turn.state().attempt(key).is_some_and(|attempt| attempt.phase == Phase::Sending) {
        add(turn, key, |tally| tally.begun = tally.begun.saturating_sub(1));
    }
}

fn moved(turn: &mut Turn, key: AttemptKey, to: Phase) {
    let Some(Attempt { phase, phase_since, created, .. }) = turn.state().attempt(key) else { return };
    let (from, since, created, at) = (*phase, *phase_since, *created, turn.at);
    if from == to {
        return;
    }
    match to {
        Phase::Sending if from == Phase::Planned => add(turn, key, |tally| tally.begun += 1),
        Phase::Answered => add(turn, key, |tally| {
            tally.ok += 1;
            tally.took.add(at.since(created));
            if from == Phase::Sending {
                tally.first.add(at.since(since));
            }
        }),
        Phase::Refused | Phase::Unsent => add(turn, key, |tally| tally.refused += 1),
        Phase::PresumedLost => add(turn, key, |tally| tally.lost += 1),
        Phase::Planned | Phase::Sending | Phase::Accepted | Phase::Uncertain => {}
    }
}

fn ended(turn: &mut Turn, key: AttemptKey, state: &TaskState, took: Option<Duration>) {
    flush(turn, key);
    ended_in_total(turn, key, state, took);
    add(turn, key, |tally| {
        let count = match state {
            TaskState::Completed => &mut tally.ok,
            TaskState::Failed => &mut tally.failed,
            TaskState::Rejected => &mut tally.refused,
            TaskState::Canceled => &mut tally.canceled,
            _ => return,
        };
        *count += 1;
        if let (TaskState::Completed | TaskState::Failed, Some(took)) = (state, took) {
            tally.took.add(took);
        }
    });
}

/// The same for the totals.
fn moved_in_total(turn: &mut Turn, key: AttemptKey, to: Phase) {
    let Some(Attempt { phase, phase_since, .. }) = turn.state().attempt(key) else { return };
    let (from, since, at) = (*phase, *phase_since, turn.at);
    if from == to {
        return;
    }
    total(turn, key, |totals| match to {
        Phase::Answered => {
            totals.completed += 1;
            totals.processing.add(at.since(since));
        }
        Phase::Refused | Phase::Unsent => totals.refused += 1,
        Phase::PresumedLost => totals.lost += 1,
        Phase::Planned | Phase::Sending | Phase::Accepted | Phase::Uncertain => {}
    });
}

fn ended_in_total(turn: &mut Turn, key: AttemptKey, state: &TaskState, took: Option<Duration>) {
    let Some(attempt) = turn.state().attempt(key) else { return };
    let (ours, since, at) = (attempt.message_id.is_some(), attempt.phase_since, turn.at);
    total(turn, key, |totals| {
        match state {
            TaskState::Completed => totals.completed += 1,
            TaskState::Failed => totals.failed += 1,
            TaskState::Rejected => totals.refused += 1,
            TaskState::Canceled => totals.canceled += 1,
            _ => return,
        }
        // Of a task that somebody else sent, its agent alone knows since when it works on it.
        let processing = if ours { Some(at.since(since)) } else { took };
        if let Some(processing) = processing {
            totals.processing.add(processing);
        }
        if let Some(took) = took.filter(|_| !ours) {
            totals.duration.add(took);
        }
    });
}

/// Counts what a fact of a job adds to the totals.
pub(in crate::domain) fn job_fact(turn: &mut Turn, job: JobId, fact: &JobFact) {
    if !matches!(fact, JobFact::Ended { .. }) {
        return;
    }
    let at = turn.at;
    let Some(row) = turn.state().job_key(job).and_then(|key| turn.state().jobs().get(key)) else { return };
    let (created, last) = (row.created, row.attempts.last().copied());
    if let Some(last) = last {
        total(turn, last, |totals| totals.duration.add(at.since(created)));
    }
}

/// An attempt follows an earlier one of its job, or runs beside it.
pub(in crate::domain) fn planned(turn: &mut Turn, key: AttemptKey) {
    if turn.state().attempt(key).is_some_and(|attempt| attempt.number > 1) {
        total(turn, key, |totals| totals.retries += 1);
    }
}

fn total(turn: &mut Turn, key: AttemptKey, count: impl FnOnce(&mut TaskTotals)) {
    let state = turn.state();
    let Some(attempt) = state.attempt(key) else { return };
    let (Some(agent), Some(job)) = (state.agent(attempt.agent), state.job_of(attempt)) else { return };
    let (agent, skill) = (agent.id, job.skill.clone());
    count(turn.metrics.totals.of(agent, skill.as_ref()));
}

/// A word of a task on its open stream; the one before was then.
pub(super) fn word(turn: &mut Turn, key: AttemptKey, before: At) {
    let at = turn.at;
    let minute = Minute::of(at);
    let watch = turn.watch(key);
    let turns = watch.minute != minute;
    watch.minute = minute;
    if at > before {
        watch.between.add(at.since(before));
    }
    // A stream has thousands of events: the pauses between them are summed separately and counted once a minute.
    if turns {
        flush(turn, key);
    }
}

fn flush(turn: &mut Turn, key: AttemptKey) {
    let Some(watch) = turn.live.watches.get_mut(&key) else { return };
    if watch.between.is_empty() {
        return;
    }
    let between = std::mem::take(&mut watch.between);
    add(turn, key, |tally| tally.between.merge(&between));
}

/// A call was answered, or failed.
pub(super) fn call(turn: &mut Turn, pending: &Pending, outcome: &Outcome) {
    if matches!(outcome, Outcome::Violation(..))
        || matches!(outcome.stream(), Some(StreamOutcome::Events(_) | StreamOutcome::Ended(_)))
    {
        return;
    }
    let cause = outcome.cause();
    let was_answered = cause.is_some_and(Cause::is_answer);
    let took = outcome.took().or_else(|| was_answered.then(|| turn.at.since(pending.issued)));
    // An unreadable answer arrived in time, but counts as a failure.
    let failed = took.is_none() || matches!(cause, Some(Cause::Malformed(_) | Cause::Limit(_)));
    let does_no_work = matches!(
        pending.call,
        PendingCall::Probe | PendingCall::Check | PendingCall::Get(..) | PendingCall::List(..)
    );
    let Some(agent) = turn.state().agent(pending.agent) else { return };
    let (series, live) = (Series::of_agent(agent.id), agent.counts.live);
    let tally = turn.metrics.tally(turn.at, series);
    tally.calls += 1;
    tally.calls_failed += u32::from(failed);
    tally.live = tally.live.max(live);
    if let Some(took) = took.filter(|_| does_no_work) {
        tally.answer.add(took);
    }
}

/// Tasks of an agent began or ended in this step.
pub(super) fn live(turn: &mut Turn, key: AgentKey) {
    let Some(agent) = turn.state().agent(key) else { return };
    let (id, live, at) = (agent.id, agent.counts.live, turn.at);
    let seen = (Minute::of(at), live);
    let known = &mut turn.agent_live(key).measured;
    // The most of a minute counts, so fewer need no look.
    if live > 0 && (known.0 != seen.0 || known.1 < live) {
        *known = seen;
        let tally = turn.metrics.tally(at, Series::of_agent(id));
        tally.live = tally.live.max(live);
    }
}

fn add(turn: &mut Turn, key: AttemptKey, count: impl FnOnce(&mut Tally)) {
    let state = turn.state();
    let Some(attempt) = state.attempt(key) else { return };
    let (Some(agent), Some(job)) = (state.agent(attempt.agent), state.job_of(attempt)) else { return };
    let series = Series::of_job(agent.id, job);
    count(turn.metrics.tally(turn.at, series));
}
