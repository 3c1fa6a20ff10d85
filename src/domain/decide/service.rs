//! Takes agents out of service and puts them back: cordon, drain, maintenance windows.

use std::sync::Arc;

use crate::domain::agent::service::{Drain, OutOfService, Service, ServiceChange};
use crate::domain::decide::cancel;
use crate::domain::decide::live::Timer;
use crate::domain::decide::not_now;
use crate::domain::decide::race;
use crate::domain::decide::reopen;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::unknown;
use crate::domain::fact::AgentFact;
use crate::domain::id::{AgentId, AgentKey, AttemptId};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::job::Origin;
use crate::domain::job::carry::Carry;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Tasks that leave an agent in one step, at most.
const MOVED_AT_ONCE: usize = 100;
/// The pause before the next ones are moved, and before those are tried again that could not be.
const MOVE_AGAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// An operator takes an agent out of service, or puts it back.
pub(super) fn change(
    turn: &mut Turn,
    agent: AgentId,
    to: ServiceChange,
    why: Option<Untrusted>,
    by: Untrusted,
) -> Result<Receipt, Refusal> {
    let key = turn.state().agent_key(agent).ok_or_else(|| unknown("agent"))?;
    let row = turn.state().agent(key).ok_or_else(|| unknown("agent"))?;
    let (before, at) = (row.service.clone(), turn.at);
    let since = before.as_ref().map_or(at, |out| out.since);
    let out = match to {
        ServiceChange::Resume if before.is_none() => return Err(not_now("it is in service")),
        ServiceChange::Resume => None,
        ServiceChange::Cordon { window } => Some((window, None)),
        ServiceChange::Drain { window, move_after } => {
            let drain = Drain { move_at: move_after.map(|after| at + after), empty_since: None };
            Some((window, Some(drain)))
        }
    };
    let service = out.map(|(window, drain)| {
        Arc::new(OutOfService { by: by.clone(), since, why, until: window.map(|window| at + window), drain })
    });
    set(turn, key, service, Some(by));
    Ok(Receipt::Done)
}

/// Puts an agent's service back to where it stood before an act that was not kept.
pub(super) fn restore(turn: &mut Turn, key: AgentKey, before: Service) {
    if turn.state().agent(key).is_some_and(|agent| agent.service != before) {
        set(turn, key, before, None);
    }
}

fn set(turn: &mut Turn, key: AgentKey, service: Service, by: Option<Untrusted>) {
    turn.clear_timer(Timer::Service(key));
    turn.agent_fact_by(by, key, AgentFact::ServiceChanged { service });
    turn.touched.freed = true;
    schedule(turn, key);
    look(turn, key);
}

/// The next moment at which something is due for an agent that is out of service: the window ends, or what runs is
/// moved.
pub(super) fn next(out: &OutOfService) -> Option<At> {
    let moves = out.drain.filter(|drain| drain.empty_since.is_none()).and_then(|drain| drain.move_at);
    out.until.into_iter().chain(moves).min()
}

fn schedule(turn: &mut Turn, key: AgentKey) {
    let out = turn.state().agent(key).and_then(|agent| agent.service.as_deref());
    if let Some(due) = out.and_then(next) {
        turn.set_timer_by(Timer::Service(key), due.max(turn.at));
    }
}

/// Something is due: the window has ended, or what still runs is moved.
pub(super) fn due(turn: &mut Turn, key: AgentKey) {
    let Some(out) = turn.state().agent(key).and_then(|agent| agent.service.clone()) else { return };
    if out.until.is_some_and(|until| until <= turn.at) {
        return set(turn, key, None, None);
    }
    let moves = out.drain.filter(|drain| drain.empty_since.is_none()).and_then(|drain| drain.move_at);
    if moves.is_some_and(|at| at <= turn.at) {
        move_all(turn, key, &out);
        let again = turn.at + MOVE_AGAIN;
        let next = out.until.map_or(again, |until| until.min(again));
        turn.set_timer(Timer::Service(key), next);
    } else {
        schedule(turn, key);
    }
}

/// Moves what still runs at an agent to others. What cannot be canceled stays, and is tried again.
fn move_all(turn: &mut Turn, key: AgentKey, out: &OutOfService) {
    let state = turn.state();
    let ours = |attempt: &crate::domain::id::AttemptKey| {
        let attempt = state.attempt(*attempt)?;
        let job = state.job_of(attempt)?;
        let moves = job.plan.as_ref().is_some_and(|plan| plan.next.is_some());
        let moved = attempt.task.is_some() && attempt.is_live() && job.origin == Origin::Sent && !moves;
        moved.then_some(attempt.id)
    };
    let attempts: Vec<_> = state.open_attempts(key).iter().filter_map(ours).take(MOVED_AT_ONCE).collect();
    let before = turn.by.replace(out.by.clone());
    for attempt in attempts {
        // Refused if nothing can be canceled now; looked at again while it is not empty.
        let _stays_here = leave(turn, attempt, out.why.clone());
    }
    turn.by = before;
}

/// Moves a task, or cancels it if another attempt of its job runs beside it.
fn leave(turn: &mut Turn, attempt: AttemptId, why: Option<Untrusted>) -> Result<Receipt, Refusal> {
    let row = turn.state().attempt_key(attempt).and_then(|key| turn.state().attempt(key));
    let job = row.and_then(|row| turn.state().job_of(row));
    if job.is_some_and(|job| race::living(turn, job).count() > 1) {
        return cancel::ask(turn, attempt, why);
    }
    reopen::reroute(turn, attempt, None, Carry::default(), why)
}

/// Looks whether an agent that is being drained is empty.
pub(super) fn look(turn: &mut Turn, key: AgentKey) {
    let Some(agent) = turn.state().agent(key) else { return };
    let Some(out) = &agent.service else { return };
    if out.drain.is_some_and(|drain| drain.empty_since.is_none()) && agent.counts.live == 0 {
        turn.agent_fact(key, AgentFact::Drained);
    }
}

/// After a start: the timers of agents that are out of service.
pub(super) fn resume(turn: &mut Turn) {
    let out: Vec<_> = turn
        .state()
        .agents()
        .iter()
        .filter(|(_, agent)| agent.service.is_some())
        .map(|(key, _)| key)
        .collect();
    for key in out {
        schedule(turn, key);
        look(turn, key);
    }
}
