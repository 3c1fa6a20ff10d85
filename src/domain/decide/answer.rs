//! Answers to tasks that need one: the same task, the same context.

use std::sync::Arc;

use crate::domain::cause::{Cause, Sent};
use crate::domain::decide::admission::{self, Work};
use crate::domain::decide::dispatch::{is_refusal, order};
use crate::domain::decide::live::{GetReason, PendingCall, SendCall};
use crate::domain::decide::not_now;
use crate::domain::decide::observe;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::unknown;
use crate::domain::decide::watch;
use crate::domain::fact::AttemptFact;
use crate::domain::id::{AgentKey, AttemptId, AttemptKey};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::job::Phase;
use crate::domain::job::message::{Hints, Json, Message, Part, Role};

/// Answers a task: the same task, the same context.
pub(super) fn send(
    turn: &mut Turn,
    attempt: AttemptId,
    parts: Vec<Part>,
    metadata: Option<Json>,
) -> Result<Receipt, Refusal> {
    let key = turn.state().attempt_key(attempt).ok_or_else(|| unknown("attempt"))?;
    let row = turn.state().attempt(key).ok_or_else(|| unknown("attempt"))?;
    let job = turn.state().job_of(row).map(|job| job.id).ok_or_else(|| unknown("job"))?;
    let task = row.task.as_ref().ok_or_else(|| not_now("there is no task to answer yet"))?;
    admission::accepts(turn, row.agent, Work::Answer)?;
    if parts.is_empty() {
        return Err(not_now("an answer needs at least one part"));
    }
    if task.is_over() {
        return Err(not_now(format!(
            "task {} is {}: it accepts no more messages",
            task.id.short(),
            task.state.word()
        )));
    }
    if !task.state.is_interrupted() {
        // Observed: one SDK then runs the work twice in parallel, another silently queues the message.
        return Err(not_now(format!(
            "task {} is {}: it has no question",
            task.id.short(),
            task.state.word()
        )));
    }
    if row.answer.as_ref().is_some_and(|answer| matches!(answer.phase, Phase::Planned | Phase::Sending)) {
        return Err(not_now("an answer is already being sent"));
    }
    let agent = row.agent;
    let (task_id, context) = (task.id.clone(), task.context.clone());
    let interface = turn.state().agent(agent).and_then(|agent| agent.interface.clone());
    let interface = interface.ok_or_else(|| not_now("its agent has no interface that can be called"))?;
    let at = turn.at;
    let message = Arc::new(Message {
        context,
        task: Some(task_id),
        metadata,
        hints: Hints {
            traceparent: turn.trace_parent(key, false).map(|parent| parent.to_string().into()),
            ..Hints::default()
        },
        ..Message::new(turn.seed.uuid(at).to_string().as_str(), Role::User, parts)
    });
    let answer = message.clone();
    turn.attempt_fact(key, AttemptFact::AnswerMoved { message: answer, phase: Phase::Sending, cause: None });
    let stream = turn.state().agent(agent).is_some_and(crate::domain::agent::Agent::streams);
    if let Some(stream) = turn.watch(key).stream.take() {
        turn.close(stream);
    }
    order(turn, agent, interface, SendCall::new(key, message, true, stream));
    Ok(Receipt::Taken { job, attempt: Some(attempt) })
}

pub(super) fn is_open(turn: &Turn, key: AttemptKey) -> bool {
    let answer = turn.state().attempt(key).and_then(|attempt| attempt.answer.as_ref());
    answer.is_some_and(|answer| matches!(answer.phase, Phase::Sending | Phase::Uncertain))
}

/// True if a call of this process sends the answer of the task, and will report the outcome.
pub(super) fn has_call(turn: &Turn, key: AttemptKey) -> bool {
    let Some(attempt) = turn.state().attempt(key) else { return false };
    attempt.answer.as_ref().is_some_and(|answer| answer.phase == Phase::Sending)
        && turn
            .live
            .calls
            .of_attempt(attempt.agent, key)
            .any(|(_, pending)| matches!(&pending.call, PendingCall::Send(send) if send.answer))
}

/// After a start: an answer that an earlier process was sending becomes uncertain.
pub(super) fn doubt_all(turn: &mut Turn, agent: AgentKey) {
    for key in turn.state().open_attempts(agent) {
        let answer = turn.state().attempt(key).and_then(|attempt| attempt.answer.as_ref());
        if answer.is_some_and(|answer| answer.phase == Phase::Sending) {
            finish(turn, key, Phase::Uncertain, None);
        }
    }
}

pub(super) fn accepted(turn: &mut Turn, send: &SendCall) {
    if send.answer && is_open(turn, send.attempt) {
        finish(turn, send.attempt, Phase::Accepted, None);
    }
}

/// Records the outcome of the answer that is being sent.
pub(super) fn finish(turn: &mut Turn, key: AttemptKey, phase: Phase, cause: Option<Arc<Cause>>) {
    let answer = turn.state().attempt(key).and_then(|attempt| attempt.answer.as_ref());
    let Some(message) = answer.map(|answer| answer.message.clone()) else { return };
    let answer = message.clone();
    turn.attempt_fact(key, AttemptFact::AnswerMoved { message, phase, cause });
    if phase == Phase::Accepted {
        observe::message_arrived(turn, key, answer);
    }
}

pub(super) fn failed(turn: &mut Turn, send: &SendCall, sent: Sent, cause: Arc<Cause>) {
    let phase = match sent {
        Sent::Not => Phase::Unsent,
        Sent::Maybe if is_refusal(&cause) => Phase::Refused,
        Sent::Maybe => Phase::Uncertain,
    };
    if is_open(turn, send.attempt) {
        finish(turn, send.attempt, phase, Some(cause));
    }
    let why = if phase == Phase::Uncertain { GetReason::Answer } else { GetReason::Reconcile };
    watch::read(turn, send.attempt, why);
}
