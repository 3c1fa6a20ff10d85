//! Work that would never make progress: it has no call, no timer and no open stream, and does not wait for an agent.
//! There must be none after any step; tests check this after each.

use std::collections::BTreeSet;

use crate::domain::agent::Health;
use crate::domain::decide::cascade;
use crate::domain::decide::live::{ListReason, Live, PendingCall, Timer};
use crate::domain::id::{AgentKey, AttemptKey};
use crate::domain::job::plan::JobPhase;
use crate::domain::job::task::CancelMark;
use crate::domain::job::{Attempt, Origin, Phase, Task};
use crate::domain::state::State;

/// The attempts of the open calls.
#[derive(Debug, Default)]
struct Calls {
    /// Attempts whose message is being sent.
    sends: BTreeSet<AttemptKey>,
    /// Attempts whose answer to a question is being sent.
    answers: BTreeSet<AttemptKey>,
    /// Attempts whose message is looked for.
    lookups: BTreeSet<AttemptKey>,
    /// Attempts whose task is read, streamed or compared.
    watches: BTreeSet<AttemptKey>,
    /// Attempts whose task is being cancelled.
    cancels: BTreeSet<AttemptKey>,
    /// Agents that are probed.
    probes: BTreeSet<AgentKey>,
}

impl Calls {
    fn of(live: &Live) -> Self {
        let mut calls = Self::default();
        for pending in live.calls.values() {
            match &pending.call {
                PendingCall::Probe => calls.probes.insert(pending.agent),
                PendingCall::Send(send) if send.answer => calls.answers.insert(send.attempt),
                PendingCall::Send(send) => calls.sends.insert(send.attempt),
                PendingCall::Get(key, _)
                | PendingCall::Stream(key)
                | PendingCall::List(ListReason::Confirm(key), _) => calls.watches.insert(*key),
                PendingCall::List(ListReason::Lookup(key), _) => calls.lookups.insert(*key),
                PendingCall::Cancel(key) => calls.cancels.insert(*key),
                PendingCall::Check | PendingCall::List(..) => continue,
            };
        }
        calls
    }
}

/// The attempts that would never make progress, each with what is missing.
pub(in crate::domain) fn find(state: &State, live: &Live) -> Vec<(AttemptKey, &'static str)> {
    let calls = Calls::of(live);
    let is_due = |timer| live.due.contains_key(&timer);
    let mut found = Vec::new();
    for (key, attempt) in state.attempts().iter() {
        let Attempt { agent, phase, task, answer, .. } = attempt;
        let probed = calls.probes.contains(agent) || is_due(Timer::Probe(*agent));
        let waits = waits_for(state, live, *agent, probed);
        match task {
            None => {
                let is_brought_on = match phase {
                    Phase::Planned => probed || live.loading.contains(&attempt.job),
                    Phase::Sending => {
                        calls.sends.contains(&key)
                            || calls.lookups.contains(&key)
                            || is_due(Timer::Lookup(key))
                            || waits
                    }
                    // An operator decides.
                    Phase::Uncertain => true,
                    Phase::Accepted
                    | Phase::Answered
                    | Phase::Refused
                    | Phase::Unsent
                    | Phase::PresumedLost => true,
                };
                if !is_brought_on {
                    found.push((key, phase.as_str()));
                }
            }
            Some(task) if !task.settled => {
                let is_watched = calls.watches.contains(&key)
                    || calls.answers.contains(&key)
                    || calls.sends.contains(&key)
                    || is_due(Timer::Watch(key));
                if !is_watched && !waits {
                    found.push((key, "its task is not watched"));
                }
                if is_cancelling(task)
                    && !calls.cancels.contains(&key)
                    && !is_due(Timer::Cancel(key))
                    && !waits
                {
                    found.push((key, "its cancel is not looked at"));
                }
            }
            Some(_) => {}
        }
        let answers = answer.as_ref().is_some_and(|answer| answer.phase == Phase::Sending);
        if answers && !calls.answers.contains(&key) {
            found.push((key, "its answer has no call"));
        }
    }
    for (key, job) in state.jobs().iter().filter(|(_, job)| job.origin == Origin::Sent) {
        let Some(last) = job.attempts.last() else { continue };
        let ended = |key: &AttemptKey| {
            state.attempt(*key).is_none_or(|attempt| !attempt.is_live() && attempt.phase != Phase::Uncertain)
        };
        let pauses = job.plan.as_ref().and_then(|plan| plan.waiting?.until).is_some();
        match job.phase {
            // One that an operator moves may wait for what it delegated, which is attended by itself.
            JobPhase::Running if job.attempts.iter().all(ended) && !cascade::holds(state, *last) => {
                found.push((*last, "nothing follows its last attempt"));
            }
            JobPhase::Running
                if job.race().is_some_and(|race| race.next.is_some()) && !live.loading.contains(&key) =>
            {
                found.push((*last, "nothing sends the attempt that is to race it"));
            }
            JobPhase::Queued if pauses && !is_due(Timer::Dispatch(key)) && !live.loading.contains(&key) => {
                found.push((*last, "its next attempt is not due"));
            }
            JobPhase::Queued | JobPhase::Running | JobPhase::Over => {}
        }
    }
    found
}

fn is_cancelling(task: &Task) -> bool {
    !task.is_over()
        && matches!(task.cancel, Some(CancelMark::Asked | CancelMark::Agreed | CancelMark::Unconfirmed))
}

/// True if an agent's work resumes once it is back: its next probe is scheduled, or it is no longer listed.
fn waits_for(state: &State, live: &Live, key: AgentKey, probed: bool) -> bool {
    let Some(agent) = state.agent(key) else { return true };
    let reached = live.agents.get(&key).is_some_and(|live| live.reached);
    let answers = matches!(agent.health, Health::Up | Health::Degraded | Health::LoginNeeded);
    let away = !reached || !answers || agent.interface.is_none();
    !agent.listed || (away && probed)
}
