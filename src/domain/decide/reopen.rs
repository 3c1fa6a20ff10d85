//! An operator wants a job to be tried again, or to move: a retry follows an attempt that has ended or was given up, a
//! reroute cancels a live one first, or gives it up if its agent is unreachable and the work is idempotent. The message
//! of a job that was over is in the journal alone and is read from there.

use std::sync::Arc;

use crate::domain::cause::Cause;
use crate::domain::decide::admission::{self, Work};
use crate::domain::decide::cancel;
use crate::domain::decide::cascade;
use crate::domain::decide::dispatch;
use crate::domain::decide::instead;
use crate::domain::decide::not_now;
use crate::domain::decide::queue;
use crate::domain::decide::race;
use crate::domain::decide::reason;
use crate::domain::decide::retry;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::unknown;
use crate::domain::effect::Order;
use crate::domain::fact::{AttemptFact, JobFact};
use crate::domain::id::{AgentId, AttemptId, AttemptKey, JobId, JobKey};
use crate::domain::intent::{Receipt, Refusal, Remedy};
use crate::domain::job::carry::{Carried, Carry};
use crate::domain::job::message::Message;
use crate::domain::job::plan::{JobPhase, NextAgent};
use crate::domain::job::task::TaskState;
use crate::domain::job::{Job, Origin, Phase};
use crate::domain::route::Target;
use crate::domain::text::Untrusted;

/// The reason shown for a message that retention has removed, or that was never ours.
const NO_MESSAGE: &str = "its message is no longer in the journal";

/// Why a task is not moved whose end nobody can see.
const UNREACHED: &str = "its agent cannot be reached, so nobody can see it end there";

/// Tries a job again: another attempt, at another agent or at one that the operator names.
pub(super) fn retry(
    turn: &mut Turn,
    attempt: AttemptId,
    to: Option<AgentId>,
    carry: Carry,
    why: Option<Untrusted>,
) -> Result<Receipt, Refusal> {
    let (key, job_key) = ours(turn, attempt)?;
    let row = turn.state().attempt(key).ok_or_else(|| unknown("attempt"))?;
    let completed = row.task.as_ref().is_some_and(|task| task.state == TaskState::Completed);
    match (row.phase, &row.task) {
        (Phase::Uncertain, _) => {
            return Err(not_now(
                "it may have arrived: send it again with the same id, or presume it lost first",
            ));
        }
        (_, Some(task)) if row.is_live() => {
            let (id, state) = (task.id.short(), task.state.word());
            if row.is_cut_off(turn.health(row.agent)) {
                return Err(instead(UNREACHED, Remedy::PresumeLost));
            }
            return Err(instead(format!("task {id} is {state}"), Remedy::Reroute));
        }
        (phase, _) if row.is_live() => {
            return Err(not_now(format!("the attempt is {}: wait until it has ended", phase.as_str())));
        }
        (phase, _) if phase == Phase::Answered || completed => {
            return Err(not_now("it completed: send a copy of it instead"));
        }
        _ => {}
    }
    let job = turn.state().jobs().get(job_key).ok_or_else(|| unknown("job"))?;
    if !job.round().contains(&key) || job.phase == JobPhase::Queued {
        return Err(not_now("another attempt has followed it already"));
    }
    if job.winner().is_some() {
        return Err(not_now("another attempt has completed: send a copy of it instead"));
    }
    if let Some((_, other)) = race::living(turn, job).next() {
        return Err(not_now(format!("attempt {} of it is alive: wait until it has ended", other.number)));
    }
    let id = job.id;
    let next = next_agent(turn, to)?;
    let target = target(turn, job_key, next);
    takes_work(turn, &target)?;
    let carry = carried(turn, job_key, attempt, carry);
    reason(turn, key, why);
    let by = Some(turn.operator());
    turn.job_fact_by(by, id, JobFact::Reopened { to: next, target, carry, why: None });
    queue::assign(turn, job_key);
    Ok(receipt(turn, job_key, id))
}

/// Tries a job again that ended in the queue, before any attempt of it.
pub(super) fn requeue(
    turn: &mut Turn,
    id: JobId,
    to: Option<AgentId>,
    why: Option<Untrusted>,
) -> Result<Receipt, Refusal> {
    let key = turn.state().job_key(id).ok_or_else(|| unknown("job"))?;
    let job = turn.state().jobs().get(key).ok_or_else(|| unknown("job"))?;
    if job.origin == Origin::Found {
        return Err(not_now("somebody else sent it: send a copy of it instead"));
    }
    if !job.attempts.is_empty() {
        return Err(instead("it has attempts", Remedy::Retry));
    }
    if job.phase != JobPhase::Over {
        return Err(instead("it waits already", Remedy::LookAtQueue));
    }
    let next = next_agent(turn, to)?;
    let target = match next {
        NextAgent::Named(agent) if matches!(turn.target_of(job), Target::Agent(_)) => Target::Agent(agent),
        _ => turn.target_of(job),
    };
    takes_work(turn, &target)?;
    queue::has_room(turn, 0)?;
    let by = Some(turn.operator());
    let why = why.filter(|why| !why.is_empty());
    turn.job_fact_by(by, id, JobFact::Reopened { to: next, target, carry: None, why });
    queue::assign(turn, key);
    Ok(receipt(turn, key, id))
}

/// What the next attempt takes along from this one; `None` if it is sent as it was.
fn carried(turn: &Turn, job: JobKey, from: AttemptId, carry: Carry) -> Option<Arc<Carried>> {
    let composed = turn.state().jobs().get(job)?.plan.as_ref().is_some_and(|plan| plan.composed);
    let Carry { context, history } = carry;
    (composed || carry != Carry::default()).then(|| Arc::new(Carried { from, context, history }))
}

/// Moves a job whose task is alive: its agent is asked to cancel it, and once it was seen to end, another attempt follows.
pub(super) fn reroute(
    turn: &mut Turn,
    attempt: AttemptId,
    to: Option<AgentId>,
    carry: Carry,
    why: Option<Untrusted>,
) -> Result<Receipt, Refusal> {
    let (key, job_key) = ours(turn, attempt)?;
    let next = next_agent(turn, to)?;
    let here = turn.state().attempt(key).map(|attempt| attempt.agent);
    if let (NextAgent::Named(to), Some(here)) = (&next, here)
        && turn.state().agent_key(*to) == Some(here)
    {
        return Err(not_now("it is there already: a retry on the same agent follows once it has ended"));
    }
    let job = turn.state().jobs().get(job_key).ok_or_else(|| unknown("job"))?;
    let id = job.id;
    if let Some((_, other)) = race::living(turn, job).find(|(other, _)| *other != key) {
        let number = other.number;
        return Err(not_now(format!("attempt {number} of it runs beside this one: cancel this one instead")));
    }
    let target = target(turn, job_key, next);
    takes_work(turn, &target)?;
    let carry = carried(turn, job_key, attempt, carry);
    let row = turn.state().attempt(key).ok_or_else(|| unknown("attempt"))?;
    let by = Some(turn.operator());
    if row.is_cut_off(turn.health(row.agent)) {
        let plan = turn.state().jobs().get(job_key).and_then(|job| job.plan.as_ref());
        if !plan.is_some_and(|plan| plan.idempotent) {
            return Err(instead(UNREACHED, Remedy::PresumeLost));
        }
        let cause = Some(retry::cut_off(turn, row.agent));
        reason(turn, key, why);
        turn.job_fact_by(by, id, JobFact::Moving { to: Some(next), target, carry });
        turn.attempt_fact(key, AttemptFact::Moved { phase: Phase::PresumedLost, cause });
    } else {
        // It refuses what cannot be canceled before it records anything.
        cancel::ask(turn, attempt, why.clone())?;
        cascade::spread(turn, key, by.as_ref(), why);
        turn.job_fact_by(by, id, JobFact::Moving { to: Some(next), target, carry });
    }
    Ok(receipt(turn, job_key, id))
}

/// An attempt of a job that we sent, with the job.
pub(super) fn ours(turn: &Turn, attempt: AttemptId) -> Result<(AttemptKey, JobKey), Refusal> {
    let key = turn.state().attempt_key(attempt).ok_or_else(|| unknown("attempt"))?;
    let row = turn.state().attempt(key).ok_or_else(|| unknown("attempt"))?;
    let job = turn.state().job_of(row).ok_or_else(|| unknown("job"))?;
    if job.origin == Origin::Found {
        return Err(not_now("somebody else sent it: send a copy of it instead"));
    }
    Ok((key, row.job))
}

/// Where a job goes from here on. One that was sent to a named agent goes to agents with the same skill once an operator
/// wants it anywhere, and stays where it was if no skill is known.
pub(super) fn target(turn: &Turn, key: JobKey, next: NextAgent) -> Target {
    let Some(job) = turn.state().jobs().get(key) else { return Target::Any };
    let before = turn.target_of(job);
    match (before, next, &job.skill) {
        (Target::Agent(_), NextAgent::Named(agent), _) => Target::Agent(agent),
        (Target::Agent(_), NextAgent::Any, Some(skill)) => Target::Skill(skill.clone()),
        (before, ..) => before,
    }
}

/// Refuses an agent that takes no work and will not by itself.
fn takes_work(turn: &Turn, target: &Target) -> Result<(), Refusal> {
    let Target::Agent(agent) = target else { return Ok(()) };
    let key = turn.state().agent_key(*agent).ok_or_else(|| unknown("agent"))?;
    admission::accepts(turn, key, Work::New)
}

fn next_agent(turn: &Turn, to: Option<AgentId>) -> Result<NextAgent, Refusal> {
    let Some(to) = to else { return Ok(NextAgent::Any) };
    takes_work(turn, &Target::Agent(to))?;
    Ok(NextAgent::Named(to))
}

fn receipt(turn: &Turn, key: JobKey, job: JobId) -> Receipt {
    let row = turn.state().jobs().get(key);
    let attempt = row.and_then(|row| turn.state().attempt(*row.attempts.last()?)).map(|attempt| attempt.id);
    Receipt::Taken { job, attempt }
}

/// The message of a job as its next attempt sends it, if it is at hand.
pub(super) fn at_hand(turn: &Turn, key: JobKey) -> Option<Arc<Message>> {
    let job = turn.state().jobs().get(key)?;
    let carries = job.plan.as_ref().is_some_and(|plan| plan.carry.is_some());
    let message = job.message.as_ref().or_else(|| turn.live.messages.get(&key));
    message.filter(|_| !carries).cloned()
}

/// The message of a job, if it is at hand; otherwise it is read from the journal, and the job goes on once it has come.
pub(super) fn message(turn: &mut Turn, key: JobKey) -> Option<Arc<Message>> {
    if let Some(message) = at_hand(turn, key) {
        return Some(message);
    }
    load(turn, key);
    None
}

/// Orders the message of a job, unless it is being read already.
fn load(turn: &mut Turn, key: JobKey) {
    let Some(job) = turn.state().jobs().get(key) else { return };
    let id = job.id;
    let plan = job.plan.as_ref();
    let carry = plan.and_then(|plan| plan.carry.as_deref().cloned()).map(Arc::new);
    let composed = plan.is_some_and(|plan| plan.composed);
    if turn.live.loading.insert(key) {
        turn.order_of_shell(Order::LoadMessage { job: id, composed, carry });
    }
}

/// The message of a job was read, with what it carries.
pub(super) fn loaded(turn: &mut Turn, job: JobId, carry: Option<&Carried>, message: Option<Arc<Message>>) {
    let Some(key) = turn.state().job_key(job) else { return };
    if !turn.live.loading.remove(&key) {
        return;
    }
    let Some(row) = turn.state().jobs().get(key).filter(|row| row.phase != JobPhase::Over) else { return };
    let wanted = row.plan.as_ref().and_then(|plan| plan.carry.as_deref());
    if wanted != carry {
        // An operator has decided otherwise in the meantime.
        return load(turn, key);
    }
    let queued = row.phase == JobPhase::Queued;
    let planned = planned(turn, row);
    let Some(message) = message else {
        let cause = Arc::new(Cause::Unsupported(NO_MESSAGE.into()));
        if queued {
            turn.job_fact(job, JobFact::Ended { cause: Some(cause.clone()), spent: None });
        }
        race::give_up_next(turn, key, cause.clone());
        for attempt in planned {
            dispatch::give_up_one(turn, attempt, &cause);
        }
        return;
    };
    if carry.is_some() {
        turn.live.messages.remove(&key);
        let id = dispatch::new_message_id(turn);
        let message = Arc::new(Message { id, ..(*message).clone() });
        turn.job_fact(job, JobFact::Composed { message });
    } else {
        turn.live.messages.insert(key, message);
    }
    if queued {
        queue::assign(turn, key);
    }
    race::go_on(turn, key);
    for attempt in planned {
        dispatch::begin(turn, attempt);
    }
}

fn planned(turn: &Turn, job: &Job) -> Vec<AttemptKey> {
    let is_planned =
        |key: &AttemptKey| turn.state().attempt(*key).is_some_and(|attempt| attempt.phase == Phase::Planned);
    job.attempts.iter().copied().filter(is_planned).collect()
}
