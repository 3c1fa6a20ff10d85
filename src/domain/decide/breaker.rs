//! When a breaker opens, what it lets through, and how it closes again. Every move is a fact with its cause.

use std::sync::Arc;
use std::time::Duration;

use super::super::breaker::{Breaker, Position};
use super::super::cause::Cause;
use super::super::core::{Timer, Turn};
use super::super::fact::What;
use super::super::id::{AgentId, AgentKey, AttemptKey};
use super::super::intent::{Receipt, Refusal};
use super::super::text::Untrusted;
use super::{not_now, unknown};

/// It never stays open longer before the next trial.
const LONGEST: Duration = Duration::from_secs(600);
/// A trial whose task has not ended by then makes room for another one.
const TRIAL: Duration = Duration::from_secs(300);

fn breaker<'t>(turn: &'t Turn, key: AgentKey) -> Option<&'t Breaker> {
    turn.state().agent(key).map(|agent| &agent.breaker)
}

/// Whether a sending to an agent is let through, and the words for who is not.
pub(super) fn lets_through(turn: &Turn, key: AgentKey) -> Result<(), Refusal> {
    let Some(breaker) = breaker(turn, key) else { return Ok(()) };
    let trial = turn.core.live.agents.get(&key).and_then(|live| live.trial);
    match breaker.position {
        Position::Closed => Ok(()),
        Position::HalfOpen if trial.is_none() => Ok(()),
        Position::HalfOpen => Err(not_now(
            "its breaker is half-open: one sending is tried, and nothing else is sent until that has gone well",
        )),
        Position::Open => {
            let why = match (&breaker.forced, &breaker.cause) {
                (Some(by), _) => format!("{} opened it", by.line()),
                (None, Some(cause)) => cause.to_string(),
                (None, None) => "it failed too often".into(),
            };
            Err(not_now(format!(
                "its breaker is open: nothing is sent there ({why}). It is tried again by itself; \
                 `quarterdeck breaker NAME close` closes it now"
            )))
        }
    }
}

/// A sending goes through a half-open breaker: the next ones wait for what comes of it.
pub(super) fn begins(turn: &mut Turn, agent: AgentKey, attempt: AttemptKey) {
    if breaker(turn, agent).is_some_and(|breaker| breaker.position == Position::HalfOpen) {
        turn.agent_live(agent).trial = Some(attempt);
        let over = turn.at + TRIAL;
        turn.set_timer(Timer::Breaker(agent), over);
    }
}

/// Looks at the evidence of a closed breaker.
pub(super) fn look(turn: &mut Turn, key: AgentKey) {
    let rules = turn.core.rules.breaker.clone();
    let at = turn.at;
    let Some(now) = breaker(turn, key).cloned() else { return };
    if !rules.enabled || now.position != Position::Closed || now.forced.is_some() {
        return;
    }
    if let Some(cause) = turn.agent_live(key).evidence.opens(at, now.since, &rules) {
        open(turn, key, Arc::new(cause));
    }
}

fn open(turn: &mut Turn, key: AgentKey, cause: Arc<Cause>) {
    let opened = breaker(turn, key).map_or(0, |breaker| breaker.opened);
    let wait = turn.core.rules.breaker.open_for * 2_u32.pow(u32::from(opened.min(8)));
    let due = turn.at + wait.min(LONGEST);
    turn.agent_live(key).trial = None;
    moved(turn, key, Position::Open, Some(cause), None);
    turn.set_timer(Timer::Breaker(key), due);
}

fn close(turn: &mut Turn, key: AgentKey) {
    turn.agent_live(key).trial = None;
    turn.clear_timer(Timer::Breaker(key));
    moved(turn, key, Position::Closed, None, None);
}

fn moved(
    turn: &mut Turn,
    key: AgentKey,
    position: Position,
    cause: Option<Arc<Cause>>,
    forced: Option<Untrusted>,
) {
    turn.agent_fact(key, What::BreakerMoved { position, cause, forced });
}

/// The time of an open breaker is over, or that of a trial.
pub(super) fn due(turn: &mut Turn, key: AgentKey) {
    let Some(now) = breaker(turn, key).cloned() else { return };
    if now.forced.is_some() {
        return;
    }
    match now.position {
        Position::Open => moved(turn, key, Position::HalfOpen, now.cause, None),
        Position::HalfOpen => turn.agent_live(key).trial = None,
        Position::Closed => {}
    }
}

/// The call of a sending was answered, or failed.
pub(super) fn call_ended(turn: &mut Turn, key: AgentKey, attempt: AttemptKey, failed: Option<&Cause>) {
    if turn.agent_live(key).trial != Some(attempt) {
        return;
    }
    let by_tasks = breaker(turn, key)
        .is_some_and(|breaker| matches!(breaker.cause.as_deref(), Some(Cause::TasksFailing { .. })));
    match failed {
        Some(cause) => open(turn, key, Arc::new(cause.clone())),
        // An agent that fails its tasks answers every call: there the task tells.
        None if by_tasks => {}
        None => close(turn, key),
    }
}

/// The task of a sending ended, or a message answered it.
pub(super) fn task_ended(turn: &mut Turn, key: AgentKey, attempt: AttemptKey, failed: bool) {
    if turn.agent_live(key).trial != Some(attempt) {
        return;
    }
    match (failed, breaker(turn, key).and_then(|breaker| breaker.cause.clone())) {
        (true, Some(cause)) => open(turn, key, cause),
        _ => close(turn, key),
    }
}

/// Another interface is called from now on: what the old one did says nothing about it.
pub(super) fn interface_changed(turn: &mut Turn, key: AgentKey) {
    if breaker(turn, key).is_some_and(|now| now.position != Position::Closed && now.forced.is_none()) {
        close(turn, key);
    }
}

/// After a start: open breakers are tried again when they were meant to.
pub(super) fn resume(turn: &mut Turn) {
    let open: Vec<_> = turn
        .state()
        .agents()
        .iter()
        .filter(|(_, agent)| agent.breaker.position == Position::Open && agent.breaker.forced.is_none())
        .map(|(key, agent)| (key, agent.breaker.since, agent.breaker.opened))
        .collect();
    for (key, since, opened) in open {
        let wait = turn.core.rules.breaker.open_for * 2_u32.pow(u32::from(opened.saturating_sub(1).min(8)));
        turn.set_timer(Timer::Breaker(key), since + wait.min(LONGEST));
    }
}

/// An operator opens or closes a breaker, or leaves it to itself again.
pub(super) fn force(
    turn: &mut Turn,
    agent: AgentId,
    to: Option<Position>,
    by: Untrusted,
) -> Result<Receipt, Refusal> {
    let key = turn.state().agent_key(agent).ok_or_else(|| unknown("agent"))?;
    turn.clear_timer(Timer::Breaker(key));
    turn.agent_live(key).trial = None;
    match to {
        Some(Position::HalfOpen) => return Err(not_now("a breaker is opened or closed by hand")),
        Some(position) => moved(turn, key, position, None, Some(by)),
        None => moved(turn, key, Position::Closed, None, None),
    }
    Ok(Receipt::Done)
}
