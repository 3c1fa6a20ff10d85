//! Cancels tasks. The request, the agent's agreement, and the verified end are separate steps.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::call::Answer;
use crate::domain::cause::{Cause, ErrorName};
use crate::domain::decide::live::{CancelWatch, GetReason, PendingCall, Timer, Watch};
use crate::domain::decide::not_now;
use crate::domain::decide::reason;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::unknown;
use crate::domain::decide::watch;
use crate::domain::effect::Order;
use crate::domain::fact::AttemptFact;
use crate::domain::id::{AgentKey, AttemptId, AttemptKey};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::job::Task;
use crate::domain::job::task::{CancelMark, LateEnd, TaskReport, TaskState};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// The time that an agent has to stop sending after it agreed, and the time between two alarms.
const PATIENCE: Duration = Duration::from_secs(5);
/// If the task does not end within this time after the agent's answer, the cancel is unconfirmed or refused.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
/// The longest wait between reads of the task, which follow after 1, 2, 4 … 60 seconds.
const LONGEST: Duration = Duration::from_secs(60);

/// Requests the cancel of a task.
pub(super) fn ask(turn: &mut Turn, attempt: AttemptId, why: Option<Untrusted>) -> Result<Receipt, Refusal> {
    let key = turn.state().attempt_key(attempt).ok_or_else(|| unknown("attempt"))?;
    let row = turn.state().attempt(key).ok_or_else(|| unknown("attempt"))?;
    let Some(task) = row.task.as_ref() else {
        return Err(not_now(format!("the attempt is {}: there is no task to cancel", row.phase.as_str())));
    };
    if task.is_over() {
        return Err(not_now(format!("task {} is {} already", task.id.short(), task.state.word())));
    }
    if turn.live.watches.get(&key).is_some_and(Watch::is_canceling) {
        return Err(not_now("a cancel is already in progress"));
    }
    let (agent, order) = order(turn, key)?;
    reason(turn, key, why);
    mark(turn, key, CancelMark::Asked, None);
    call(turn, key, agent, order);
    Ok(Receipt::Done)
}

/// The order to cancel, or the reason why the agent cannot be asked.
fn order(turn: &Turn, key: AttemptKey) -> Result<(AgentKey, Order), Refusal> {
    let attempt = turn.state().attempt(key).ok_or_else(|| unknown("attempt"))?;
    let agent = attempt.agent;
    let task = attempt.task.as_ref().map(|task| task.id.clone()).ok_or_else(|| unknown("task"))?;
    let interface = turn.state().agent(agent).and_then(|agent| agent.interface.clone());
    let interface = interface.ok_or_else(|| not_now("its agent has no interface that can be called"))?;
    let trace = turn.trace_parent(key, true);
    Ok((agent, Order::Cancel { attempt: key, interface, task, trace }))
}

fn call(turn: &mut Turn, key: AttemptKey, agent: AgentKey, order: Order) {
    let call = turn.call(agent, PendingCall::Cancel(key), order);
    let cancel = turn.watch(key).cancel_mut();
    cancel.call = Some(call);
    cancel.reads = 0;
    cancel.refused = None;
}

fn mark(turn: &mut Turn, key: AttemptKey, mark: CancelMark, cause: Option<Arc<Cause>>) {
    let now =
        turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()).and_then(|task| task.cancel);
    if now != Some(mark) {
        turn.attempt_fact(key, AttemptFact::CancelMoved { mark, cause, late: None });
    }
}

/// Handles the agent's answer, which is an agreement or a refusal, not yet an end.
pub(super) fn answered(turn: &mut Turn, key: AttemptKey, answer: Answer<Box<TaskReport>>) {
    let at = turn.at;
    turn.watch(key).cancel_mut().call = None;
    let over =
        turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()).is_none_or(|task| task.is_over());
    match answer {
        Ok(_) if over => return,
        Ok(_) => {
            let cancel = turn.watch(key).cancel_mut();
            cancel.agreed = Some(at);
            cancel.events_since_agreed = 0;
            cancel.alarms = 0;
            mark(turn, key, CancelMark::Agreed, None);
        }
        Err(failure) => {
            if over {
                return;
            }
            if is_refusal(&failure.cause) {
                // Most tasks that cannot be canceled have just ended: a read decides whether this one has.
                turn.watch(key).cancel_mut().refused = Some((at, Arc::new(failure.cause)));
            } else if !is_forgotten(&failure.cause) {
                mark(turn, key, CancelMark::Unconfirmed, Some(Arc::new(failure.cause)));
            }
        }
    }
    watch::read(turn, key, GetReason::Reconcile);
    look_again(turn, key, Duration::from_secs(1));
}

/// True if the agent will not cancel the task, however often it is asked.
fn is_refusal(cause: &Cause) -> bool {
    let Cause::Rpc(error) = cause else { return false };
    matches!(
        error.name,
        ErrorName::TaskNotCancelable | ErrorName::UnsupportedOperation | ErrorName::MethodNotFound
    )
}

/// True if the agent does not know the task. The read that follows decides whether it is lost.
fn is_forgotten(cause: &Cause) -> bool {
    matches!(cause, Cause::Rpc(error) if error.name == ErrorName::TaskNotFound)
}

/// Sets the timer to the next `GetTask`, or to when the cancel becomes unconfirmed or refused, if that is sooner.
fn look_again(turn: &mut Turn, key: AttemptKey, wait: Duration) {
    let next = turn.at + wait;
    let cancel = turn.watch(key).cancel_mut();
    cancel.next_read = next;
    let limit =
        answered_at(cancel).map(|answered| answered + CONFIRM_WITHIN).filter(|limit| *limit > turn.at);
    turn.set_timer(Timer::Cancel(key), limit.map_or(next, |limit| limit.min(next)));
}

/// When the agent agreed to the cancel, or refused it.
fn answered_at(cancel: &CancelWatch) -> Option<At> {
    cancel.agreed.or(cancel.refused.as_ref().map(|(at, _)| *at))
}

/// A read that was requested at `issued` shows that the task goes on: if the agent refused the cancel before then, the
/// refusal is final.
pub(super) fn still_runs(turn: &mut Turn, key: AttemptKey, issued: At) {
    if turn.watch(key).cancel_refused().is_some_and(|(at, _)| *at <= issued) {
        refused(turn, key);
    }
}

/// Records that the agent refused to cancel a task that goes on. The request is not repeated unless an operator does
/// it.
fn refused(turn: &mut Turn, key: AttemptKey) {
    let is_over =
        turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()).is_none_or(Task::is_over);
    let marked =
        turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()).and_then(|task| task.cancel);
    let Some((_, cause)) = turn.watch(key).cancel_refused().cloned() else { return };
    if is_over || marked == Some(CancelMark::Refused) {
        return;
    }
    turn.clear_timer(Timer::Cancel(key));
    mark(turn, key, CancelMark::Refused, Some(cause));
}

/// Checks the progress of a cancel until the task has ended.
pub(super) fn look(turn: &mut Turn, key: AttemptKey) {
    let at = turn.at;
    let Some(task) = turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()) else { return };
    if task.is_over() {
        return;
    }
    let marked = task.cancel;
    let cancel = turn.watch(key).cancel_mut();
    let is_late = answered_at(cancel).is_some_and(|answered| at.since(answered) >= CONFIRM_WITHIN);
    if is_late && cancel.refused.is_some() {
        return refused(turn, key);
    }
    if is_late && marked == Some(CancelMark::Agreed) {
        mark(turn, key, CancelMark::Unconfirmed, None);
    }
    let cancel = turn.watch(key).cancel_mut();
    if at < cancel.next_read {
        let wait = cancel.next_read.since(at);
        return look_again(turn, key, wait);
    }
    cancel.reads += 1;
    let reads = cancel.reads;
    watch::read(turn, key, GetReason::Reconcile);
    look_again(turn, key, Duration::from_secs(1 << reads.min(6)).min(LONGEST));
}

/// The end of the task was seen in its stream or with `GetTask`; the answer to the cancel alone does not count. Only a
/// task that ended as canceled did so by the cancel.
pub(super) fn ended(turn: &mut Turn, key: AttemptKey, state: &TaskState) {
    if *state == TaskState::Canceled {
        mark(turn, key, CancelMark::Verified, None);
    } else {
        let at = turn.at;
        let agreed = turn.live.watches.get(&key).and_then(|watch| watch.cancel.as_ref()?.agreed);
        let late = Some(LateEnd { state: state.clone(), after: agreed.map(|agreed| at.since(agreed)) });
        turn.attempt_fact(key, AttemptFact::CancelMoved { mark: CancelMark::TooLate, cause: None, late });
    }
    turn.clear_timer(Timer::Cancel(key));
    if let Some(cancel) = turn.watch(key).cancel.as_mut() {
        cancel.agreed = None;
    }
}

/// The agent sent an event although it had agreed to stop.
pub(super) fn still_talking(turn: &mut Turn, key: AttemptKey) {
    let at = turn.at;
    let Some(cancel) = turn.watch(key).cancel.as_mut() else { return };
    let Some(agreed) = cancel.agreed else { return };
    cancel.events_since_agreed += 1;
    let alarms = u32::try_from(at.since(agreed).as_micros() / PATIENCE.as_micros()).unwrap_or(u32::MAX);
    if alarms > cancel.alarms {
        cancel.alarms = alarms;
        let events = cancel.events_since_agreed;
        turn.attempt_fact(key, AttemptFact::CancelIgnored { events });
    }
}

/// The agent is back: a cancel without a verified end is requested again, as cancels are idempotent.
pub(super) fn again(turn: &mut Turn, key: AttemptKey) {
    let Some(task) = turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()) else { return };
    let open = matches!(task.cancel, Some(CancelMark::Asked | CancelMark::Agreed | CancelMark::Unconfirmed));
    let under_way = turn.live.watches.get(&key).is_some_and(Watch::is_canceling);
    if !open || task.is_over() || under_way {
        return;
    }
    let may_ask = turn.live.unsaved.is_none();
    match order(turn, key) {
        Ok((agent, order)) if may_ask => {
            mark(turn, key, CancelMark::Asked, None);
            call(turn, key, agent, order);
        }
        // The task is read all the same, to see whether it ends.
        Ok(_) | Err(_) => turn.set_timer_by(Timer::Cancel(key), turn.at + Duration::from_secs(1)),
    }
}
