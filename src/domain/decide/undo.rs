//! Taking back acts that the journal did not keep.
//!
//! An act changes the state in the step that decides it; its caller is told once its facts are durable. If they
//! cannot be written, the caller is refused, and what the act changed is put back here, so that neither the
//! screen nor a later start shows what was refused. Calls that waited for the commit never leave.

use std::sync::Arc;

use crate::domain::agent::breaker::Breaker;
use crate::domain::cause::Cause;
use crate::domain::decide::live::Timer;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::{breaker, dispatch, fleet};
use crate::domain::fact::{AttemptFact, FleetFact};
use crate::domain::id::{AgentKey, AttemptId, AttemptKey};
use crate::domain::intent::{Intent, Receipt};
use crate::domain::job::Phase;
use crate::domain::job::task::CancelMark;
use crate::domain::problem::{Muted, Taken};

/// How to take an act back.
#[derive(Clone, Debug)]
pub(in crate::domain) enum Undo {
    /// It changed no row: a note is in the journal alone, and a withheld answer ends as unsent by itself.
    Nothing,
    /// A new job: its attempt ends as unsent.
    Send(AttemptId),
    /// An attempt that was uncertain when an operator decided about it is so again.
    Uncertain(AttemptKey, Option<Arc<Cause>>),
    /// The mark that the task had before it was asked to cancel.
    Cancel(AttemptKey, Option<CancelMark>),
    /// Who had taken the problem, and how it was muted.
    Problem(u32, Option<Taken>, Option<Muted>),
    /// The breaker as it stood.
    Breaker(AgentKey, Breaker),
    /// An agent that was not on the operator's list.
    Added(Vec<crate::domain::id::AgentId>),
    /// An agent that was on the operator's list.
    Removed(AgentKey),
}

/// What must be known before an act is decided. `None` for what promises nothing durable.
pub(super) fn before(turn: &Turn, intent: &Intent) -> Option<Undo> {
    let state = turn.state();
    let uncertain = |attempt: &AttemptId| {
        let key = state.attempt_key(*attempt)?;
        Some(Undo::Uncertain(key, state.attempt(key)?.cause.clone()))
    };
    match intent {
        Intent::Send(_) | Intent::Answer { .. } | Intent::Note { .. } => Some(Undo::Nothing),
        Intent::Resend { attempt, .. } | Intent::PresumeLost { attempt, .. } => uncertain(attempt),
        Intent::Cancel { attempt, .. } => {
            let key = state.attempt_key(*attempt)?;
            Some(Undo::Cancel(key, state.attempt(key)?.task.as_ref().and_then(|task| task.cancel)))
        }
        Intent::OnProblem { number, .. } => {
            let problem = state.problem(*number)?;
            Some(Undo::Problem(*number, problem.taken.clone(), problem.muted.clone()))
        }
        Intent::Breaker { agent, .. } => {
            let key = state.agent_key(*agent)?;
            Some(Undo::Breaker(key, state.agent(key)?.breaker.clone()))
        }
        Intent::AddAgent { url, .. } => {
            let kept = fleet::by_url(turn, url, false).is_some_and(|key| fleet::is_kept(turn, key));
            Some(if kept { Undo::Nothing } else { Undo::Added(Vec::new()) })
        }
        Intent::RemoveAgent { agent, .. } => Some(Undo::Removed(state.agent_key(*agent)?)),
        Intent::CheckAgent { .. }
        | Intent::CheckTask { .. }
        | Intent::AddAgents { .. }
        | Intent::Adopt { .. } => None,
    }
}

/// The same, with what the act has made.
pub(super) fn after(undo: Undo, receipt: &Receipt, is_send: bool) -> Undo {
    match (undo, receipt) {
        (Undo::Nothing, Receipt::Taken { attempt, .. }) if is_send => Undo::Send(*attempt),
        (Undo::Added(_), Receipt::Agents(agents)) => Undo::Added(agents.clone()),
        (undo, _) => undo,
    }
}

/// Takes an act back. Its withheld calls have failed as unsent before.
pub(super) fn undo(turn: &mut Turn, undo: Undo, cause: &Arc<Cause>) {
    match undo {
        Undo::Nothing => {}
        Undo::Send(attempt) => {
            if let Some(key) = turn.state().attempt_key(attempt) {
                dispatch::give_up_one(turn, key, cause);
            }
        }
        Undo::Uncertain(key, cause) => {
            let phase = turn.state().attempt(key).map(|attempt| attempt.phase);
            if matches!(phase, Some(Phase::Planned | Phase::Unsent | Phase::PresumedLost)) {
                turn.attempt_fact(key, AttemptFact::Moved { phase: Phase::Uncertain, cause });
            }
        }
        Undo::Cancel(key, mark) => {
            let task = turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref());
            if task.is_some_and(|task| !task.is_over() && task.cancel != mark) {
                turn.attempt_fact(key, AttemptFact::CancelWithdrawn { mark });
                if mark.is_none() {
                    turn.clear_timer(Timer::Cancel(key));
                }
            }
        }
        Undo::Problem(number, taken, muted) => problem(turn, number, taken, muted),
        Undo::Breaker(key, was) => breaker::restore(turn, key, was),
        Undo::Added(agents) => {
            for agent in agents {
                if let Some(key) = turn.state().agent_key(agent) {
                    fleet::unkeep(turn, key);
                }
            }
        }
        Undo::Removed(key) => fleet::rekeep(turn, key),
    }
}

fn problem(turn: &mut Turn, number: u32, taken: Option<Taken>, muted: Option<Muted>) {
    let Some(now) = turn.state().problem(number) else { return };
    let (taken_now, muted_now) = (now.taken.clone(), now.muted.clone());
    if taken_now != taken {
        match taken {
            Some(taken) => turn.fleet_fact_by(Some(taken.by), FleetFact::ProblemTaken { number }),
            None => turn.fleet_fact(FleetFact::ProblemGivenBack { number }),
        }
    }
    if muted_now != muted {
        match muted {
            Some(Muted { by, why, until }) => {
                turn.set_timer(Timer::Mute(number), until);
                turn.fleet_fact_by(Some(by), FleetFact::ProblemMuted { number, why, until });
            }
            None => {
                turn.clear_timer(Timer::Mute(number));
                turn.fleet_fact(FleetFact::ProblemUnmuted { number });
            }
        }
    }
}
