//! Opens, half-opens and closes breakers, and decides what they let through. Every move is a fact with its cause.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::breaker::{Breaker, BreakerRules, BreakerState};
use crate::domain::cause::Cause;
use crate::domain::decide::evidence::FailureRate;
use crate::domain::decide::live::Timer;
use crate::domain::decide::not_now;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::unknown;
use crate::domain::fact::{AgentFact, FleetFact};
use crate::domain::id::{AgentId, AgentKey, AttemptKey};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// The longest wait before the next trial: a repaired agent is found within ten minutes.
const LONGEST: Duration = Duration::from_secs(600);
/// A trial whose task has not ended after five minutes makes room for another one.
const TRIAL: Duration = Duration::from_secs(300);
/// Replicas that an agent is compared with at most; the cost of a comparison must not grow with the group.
const COMPARED: usize = 50;

fn breaker<'t>(turn: &'t Turn, key: AgentKey) -> Option<&'t Breaker> {
    turn.state().agent(key).map(|agent| &agent.breaker)
}

/// Decides whether a breaker lets a message through; the error says why not. Only [`super::admission`] asks.
pub(super) fn lets_through(turn: &Turn, key: AgentKey) -> Result<(), Untrusted> {
    let Some(breaker) = breaker(turn, key) else { return Ok(()) };
    let trial = turn.live.agents.get(&key).and_then(|live| live.trial);
    match breaker.position {
        BreakerState::Closed => Ok(()),
        BreakerState::HalfOpen if trial.is_none() => Ok(()),
        BreakerState::HalfOpen => Err(Untrusted::from(
            "its breaker is half-open: one message is tried, and nothing else is sent until it succeeds",
        )),
        BreakerState::Open => {
            if let Some(by) = &breaker.forced {
                return Err(Untrusted::from(format!(
                    "its breaker is held open by {}: nothing is sent until somebody gives it back",
                    by.line()
                )));
            }
            let why = breaker
                .cause
                .as_ref()
                .map_or_else(|| "it failed too often".into(), |cause| cause.to_string());
            Err(Untrusted::from(format!(
                "its breaker is open: nothing is sent ({why}). It is tried again automatically"
            )))
        }
    }
}

/// Makes a message the trial of a half-open breaker: further messages wait for its result.
pub(super) fn begins(turn: &mut Turn, agent: AgentKey, attempt: AttemptKey) {
    if breaker(turn, agent).is_some_and(|breaker| breaker.position == BreakerState::HalfOpen) {
        turn.agent_live(agent).trial = Some(attempt);
        let over = turn.at + TRIAL;
        turn.set_timer(Timer::Breaker(agent), over);
    }
}

/// Looks at the evidence of a closed breaker.
pub(super) fn look(turn: &mut Turn, key: AgentKey) {
    let rules = turn.rules.breaker.clone();
    let at = turn.at;
    let Some(now) = breaker(turn, key).cloned() else { return };
    if !rules.enabled || now.position != BreakerState::Closed || now.forced.is_some() {
        return;
    }
    let cause = turn.agent_live(key).evidence.opens(at, now.since, &rules);
    if let Some(cause) = cause.or_else(|| outlier(turn, key, now.since)) {
        open(turn, key, Arc::new(cause));
    }
}

/// Compares the failure rate of an agent with that of its replicas: an agent that does far worse than they do is itself
/// at fault, not its input. One comparison is made for tasks and one for calls.
struct ReplicaComparison {
    own: FailureRate,
    others: FailureRate,
    /// Replicas that have shown any result.
    replicas: u32,
}

impl ReplicaComparison {
    fn new(own: FailureRate) -> Self {
        Self { own, others: FailureRate::default(), replicas: 0 }
    }

    /// Adds the results of one replica.
    fn record(&mut self, rate: FailureRate) {
        self.others = self.others.plus(rate);
        self.replicas += u32::from(rate.of > 0);
    }

    /// True if the agent's own results are bad enough for a comparison.
    fn is_suspect(&self, rules: &BreakerRules) -> bool {
        self.own.of >= rules.outlier_volume && self.own.reaches(rules.outlier_failed, rules.outlier_points)
    }

    fn should_trip(&self, rules: &BreakerRules) -> bool {
        self.is_suspect(rules)
            && self.others.of >= rules.outlier_volume
            && self.own.is_above(self.others, rules.outlier_points)
    }

    fn cause(&self, tasks: bool) -> Cause {
        let (FailureRate { failed, of }, others) = (self.own, self.others);
        let (others_failed, others_of) = (others.failed, others.of);
        Cause::Outlier { failed, of, others_failed, others_of, replicas: self.replicas, tasks }
    }
}

/// The reason why an agent is an outlier among its replicas. Replicas are read only if the agent's own results are bad,
/// and at most [`COMPARED`] of them, so that a large group costs no more than a small one.
fn outlier(turn: &Turn, key: AgentKey, since: At) -> Option<Cause> {
    let (rules, at) = (&turn.rules.breaker, turn.at);
    let own = &turn.live.agents.get(&key)?.evidence;
    let mut tasks = ReplicaComparison::new(own.tasks_since(at, since));
    let mut calls = ReplicaComparison::new(own.calls_since(at, since, rules.window));
    if !rules.outliers || !(tasks.is_suspect(rules) || calls.is_suspect(rules)) {
        return None;
    }
    let group = turn.state().replicas_of(key)?;
    let able = group.able();
    let left = able.len().checked_sub(1).filter(|_| able.contains(&key))?;
    // The remaining replicas take over the work: at least half of the group must stay, however the others were lost.
    if left == 0 || left * 2 < group.members().len() {
        return None;
    }
    let after = able.range((Bound::Excluded(key), Bound::Unbounded)).chain(able.range(..key));
    for other in after.take(COMPARED) {
        let (Some(live), Some(breaker)) = (turn.live.agents.get(other), breaker(turn, *other)) else {
            continue;
        };
        tasks.record(live.evidence.tasks_since(at, breaker.since));
        calls.record(live.evidence.calls_since(at, breaker.since, rules.window));
    }
    if tasks.should_trip(rules) {
        return Some(tasks.cause(true));
    }
    calls.should_trip(rules).then(|| calls.cause(false))
}

fn open(turn: &mut Turn, key: AgentKey, cause: Arc<Cause>) {
    let opened = breaker(turn, key).map_or(0, |breaker| breaker.opened);
    let wait = turn.rules.breaker.open_for * 2_u32.pow(u32::from(opened.min(8)));
    let due = turn.at + wait.min(LONGEST);
    turn.agent_live(key).trial = None;
    moved(turn, key, BreakerState::Open, Some(cause), None);
    turn.set_timer(Timer::Breaker(key), due);
}

fn close(turn: &mut Turn, key: AgentKey) {
    turn.agent_live(key).trial = None;
    turn.clear_timer(Timer::Breaker(key));
    moved(turn, key, BreakerState::Closed, None, None);
}

fn moved(
    turn: &mut Turn,
    key: AgentKey,
    position: BreakerState,
    cause: Option<Arc<Cause>>,
    forced: Option<Untrusted>,
) {
    turn.agent_fact(key, AgentFact::BreakerMoved { position, cause, forced });
}

/// Ends the wait of an open breaker, or of a trial without a result.
pub(super) fn due(turn: &mut Turn, key: AgentKey) {
    let Some(now) = breaker(turn, key).cloned() else { return };
    if now.forced.is_some() {
        return;
    }
    match now.position {
        BreakerState::Open => moved(turn, key, BreakerState::HalfOpen, now.cause, None),
        BreakerState::HalfOpen => turn.agent_live(key).trial = None,
        BreakerState::Closed => {}
    }
}

/// Takes in that the call of a trial was answered, or failed.
pub(super) fn call_ended(turn: &mut Turn, key: AgentKey, attempt: AttemptKey, failed: Option<&Cause>) {
    if turn.agent_live(key).trial != Some(attempt) {
        return;
    }
    let of_tasks =
        |cause: &Cause| matches!(cause, Cause::TasksFailing { .. } | Cause::Outlier { tasks: true, .. });
    let by_tasks = breaker(turn, key).is_some_and(|breaker| breaker.cause.as_deref().is_some_and(of_tasks));
    match failed {
        Some(cause) => open(turn, key, Arc::new(cause.clone())),
        // An agent that fails its tasks still answers every call, so the trial is decided by how its task ends.
        None if by_tasks => {}
        None => close(turn, key),
    }
}

/// Takes in that the task of a trial ended, or that a message answered the trial.
pub(super) fn task_ended(turn: &mut Turn, key: AgentKey, attempt: AttemptKey, failed: bool) {
    if turn.agent_live(key).trial != Some(attempt) {
        return;
    }
    match (failed, breaker(turn, key).and_then(|breaker| breaker.cause.clone())) {
        (true, Some(cause)) => open(turn, key, cause),
        _ => close(turn, key),
    }
}

/// Closes the breaker when another interface is in use, or another version of the agent: results of the previous one say
/// nothing about it.
pub(super) fn judged_anew(turn: &mut Turn, key: AgentKey) {
    if breaker(turn, key).is_some_and(|now| now.position != BreakerState::Closed && now.forced.is_none()) {
        close(turn, key);
    }
}

/// Restores the timers of open breakers after a start.
pub(super) fn resume(turn: &mut Turn) {
    let open: Vec<_> = turn
        .state()
        .agents()
        .iter()
        .filter(|(_, agent)| agent.breaker.position == BreakerState::Open && agent.breaker.forced.is_none())
        .map(|(key, agent)| (key, agent.breaker.since, agent.breaker.opened))
        .collect();
    for (key, since, opened) in open {
        let wait = turn.rules.breaker.open_for * 2_u32.pow(u32::from(opened.saturating_sub(1).min(8)));
        turn.set_timer(Timer::Breaker(key), since + wait.min(LONGEST));
    }
}

/// Puts a breaker back to where it stood before an act that was not kept.
pub(super) fn restore(turn: &mut Turn, key: AgentKey, before: Breaker) {
    let Some(now) = breaker(turn, key) else { return };
    if now.position == before.position && now.forced == before.forced {
        return;
    }
    if before.position == BreakerState::Open && before.forced.is_none() {
        let wait = turn.rules.breaker.open_for * 2_u32.pow(u32::from(before.opened.saturating_sub(1).min(8)));
        turn.set_timer(Timer::Breaker(key), before.since + wait.min(LONGEST));
    }
    moved(turn, key, before.position, before.cause, before.forced);
}

/// Longer reasons of operators are cut.
const WHY: usize = 500;

/// An operator opens or closes a breaker, or leaves it to itself again.
pub(super) fn force(
    turn: &mut Turn,
    agent: AgentId,
    to: Option<BreakerState>,
    by: Untrusted,
    why: Option<Untrusted>,
) -> Result<Receipt, Refusal> {
    let key = turn.state().agent_key(agent).ok_or_else(|| unknown("agent"))?;
    turn.clear_timer(Timer::Breaker(key));
    turn.agent_live(key).trial = None;
    match to {
        Some(BreakerState::HalfOpen) => {
            return Err(not_now("a breaker can only be opened or closed by hand"));
        }
        Some(position) => moved(turn, key, position, None, Some(by.clone())),
        None => moved(turn, key, BreakerState::Closed, None, None),
    }
    let why = why.map(|why| why.shortened(WHY)).filter(|why| !why.line().trim().is_empty());
    turn.fleet_fact_by(Some(by), FleetFact::BreakerSet { agent, to, why });
    Ok(Receipt::Done)
}
