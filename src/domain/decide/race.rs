//! Attempts of one job that run beside each other: an operator races a live one, or its rule hedges one that takes longer
//! than usual. The first that completes wins, and the others are canceled; what becomes of them changes nothing for the
//! job. None of them waits in the queue: it is sent now, or not at all.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::cause::Cause;
use crate::domain::decide::admission::{self, Admission, Wait, Work};
use crate::domain::decide::live::Timer;
use crate::domain::decide::routing::{self, Choice};
use crate::domain::decide::turn::Turn;
use crate::domain::decide::{
    cancel, cascade, dispatch, instead, not_now, queue, reason, reopen, retry, timeout, unknown,
};
use crate::domain::fact::{AttemptFact, JobFact};
use crate::domain::id::{AgentId, AgentKey, AttemptId, AttemptKey, JobKey};
use crate::domain::intent::{Receipt, Refusal, Remedy};
use crate::domain::job::message::Message;
use crate::domain::job::plan::{JobPhase, NextAgent, RaceReason};
use crate::domain::job::task::TaskState;
use crate::domain::job::{Attempt, Job, Phase};
use crate::domain::route::message::MessageFields;
use crate::domain::route::{Hedge, HedgeAfter, Rule, Target};
use crate::domain::text::Untrusted;

/// Attempts of a job that run beside each other, at most.
const RACERS: usize = 8;
/// Tasks of the last hour before a percentile says how long they take.
const BASELINE: u64 = 20;
/// Why there is no other agent.
const NOBODY: &str = "no other agent takes it now";

/// An operator races a live task: another attempt is sent beside it, and the first that completes wins.
pub(super) fn race(
    turn: &mut Turn,
    attempt: AttemptId,
    to: Option<AgentId>,
    why: Option<Untrusted>,
) -> Result<Receipt, Refusal> {
    let (key, job_key) = reopen::ours(turn, attempt)?;
    let row = turn.state().attempt(key).ok_or_else(|| unknown("attempt"))?;
    let job = turn.state().jobs().get(job_key).ok_or_else(|| unknown("job"))?;
    let Some(task) = row.task.as_ref() else {
        return Err(not_now(format!("the attempt is {}: there is no task to race", row.phase.as_str())));
    };
    if !row.is_live() {
        let why = format!("task {} is {}", task.id.short(), task.state.word());
        if task.state == TaskState::Completed {
            return Err(not_now(format!("{why}: send a copy of it instead")));
        }
        return Err(instead(why, Remedy::Retry));
    }
    if job.phase != JobPhase::Running || !job.round().contains(&key) || task.cancel.is_some() {
        return Err(not_now(format!("task {} is being canceled", task.id.short())));
    }
    let plan = job.plan.as_ref();
    if plan.is_some_and(|plan| plan.next.is_some()) {
        return Err(not_now("it is being moved already"));
    }
    if job.race().is_some_and(|race| race.next.is_some()) {
        return Err(not_now("another attempt is about to be sent beside it already"));
    }
    if living(turn, job).count() >= RACERS {
        return Err(not_now(format!("{RACERS} attempts of it run beside each other already")));
    }
    let next = match to {
        None => NextAgent::Any,
        Some(to) => NextAgent::Named(to),
    };
    let (id, target, by) = (job.id, turn.target_of(job), turn.operator());
    // A message that has to be read first decides later.
    let message = reopen::at_hand(turn, job_key);
    let choice = match (next, &message) {
        (NextAgent::Named(to), _) => Some(named(turn, to)?),
        (NextAgent::Any, Some(message)) => {
            let chosen = beside(turn, job_key, message, None);
            Some(chosen.ok_or_else(|| instead(NOBODY, Remedy::NameAgent))?)
        }
        (NextAgent::Any, None) => None,
    };
    reason(turn, key, why);
    let fact = JobFact::Racing { to: next, why: RaceReason::Raced { by: by.clone() }, target };
    turn.job_fact_by(Some(by), id, fact);
    let sent = match (choice, message) {
        (Some(choice), Some(_)) => send(turn, job_key, choice),
        _ => {
            go_on(turn, job_key);
            None
        }
    };
    Ok(Receipt::Taken { job: id, attempt: sent })
}

/// The agent that an operator names, if it takes work now.
fn named(turn: &mut Turn, to: AgentId) -> Result<Choice, Refusal> {
    let key = turn.state().agent_key(to).ok_or_else(|| unknown("agent"))?;
    admission::accepts(turn, key, Work::New)?;
    if let Admission::Wait(Wait::Full { in_flight, capacity }) = admission::admit(turn, key, Work::New) {
        return Err(not_now(format!(
            "it runs {in_flight} of {capacity} tasks, and an attempt beside a live one does not wait"
        )));
    }
    match routing::choose_named(turn, key) {
        choice @ Choice::Agent(..) => Ok(choice),
        Choice::Wait(..) => {
            Err(not_now("it takes no work now, and an attempt beside a live one does not wait"))
        }
        Choice::Nobody(why) => Err(not_now(why)),
    }
}

/// The agents where attempts of the job run beside each other.
fn places(turn: &Turn, job: &Job) -> Vec<AgentKey> {
    job.round().iter().filter_map(|key| turn.state().attempt(*key)).map(|row| row.agent).collect()
}

/// The attempts of the job that are alive.
pub(super) fn living<'t>(
    turn: &'t Turn<'_>,
    job: &'t Job,
) -> impl Iterator<Item = (AttemptKey, &'t Attempt)> {
    let rows = job.attempts.iter().filter_map(|key| Some((*key, turn.state().attempt(*key)?)));
    rows.filter(|(_, row)| row.is_live())
}

/// Another agent for an attempt beside the live ones, by `rule` alone if that is given; `None` if nobody takes it now.
fn beside(turn: &mut Turn, key: JobKey, message: &Message, rule: Option<&Rule>) -> Option<Choice> {
    let job = turn.state().jobs().get(key)?;
    let fields = MessageFields::of(message, job.caller.as_ref());
    let places = places(turn, job);
    let target = match rule {
        Some(_) => turn.target_of(job),
        None => reopen::target(turn, key, NextAgent::Any),
    };
    let choice = match target {
        // Nothing is known by which the router could find another agent.
        Target::Agent(_) => return None,
        target => routing::choose_beside(turn, &target, &fields, &places),
    };
    match &choice {
        Choice::Agent(_, decision) if rule.is_some_and(|rule| decision.rule.as_ref() != Some(&rule.name)) => {
            None
        }
        Choice::Agent(agent, _) if queue::is_unread(turn, key, *agent) => None,
        Choice::Agent(..) => Some(choice),
        Choice::Wait(..) | Choice::Nobody(_) => None,
    }
}

/// Sends the attempt that is to run beside the live ones.
fn send(turn: &mut Turn, key: JobKey, choice: Choice) -> Option<AttemptId> {
    let Choice::Agent(agent, decision) = choice else { return None };
    let id = turn.state().jobs().get(key)?.id;
    turn.job_fact(id, JobFact::Routed { decision: Arc::new(decision), retry: false });
    queue::plan_attempt(turn, key, agent)
}

/// Sends the attempt that is to run beside the live ones once its message is at hand.
pub(super) fn go_on(turn: &mut Turn, key: JobKey) {
    let Some(job) = turn.state().jobs().get(key).filter(|job| job.phase == JobPhase::Running) else { return };
    let id = job.id;
    let Some(next) = job.race().and_then(|race| race.next.clone()) else { return };
    let Some(message) = reopen::message(turn, key) else { return };
    let choice = match next.to {
        NextAgent::Named(to) => named(turn, to).map_err(|refusal| Untrusted::from(refusal.to_string())),
        NextAgent::Any => beside(turn, key, &message, None).ok_or_else(|| NOBODY.into()),
    };
    match choice {
        Ok(choice) => {
            send(turn, key, choice);
        }
        Err(why) => drop_next(turn, key, Arc::new(Cause::Unsupported(why)), id),
    }
}

fn drop_next(turn: &mut Turn, key: JobKey, cause: Arc<Cause>, id: crate::domain::id::JobId) {
    let pending = turn.state().jobs().get(key).and_then(|job| job.race()?.next.as_ref()).is_some();
    if pending {
        turn.job_fact(id, JobFact::RaceDropped { cause });
    }
}

/// The message of a job is no longer in the journal, or the operator's act was not written: nothing is sent beside the
/// live attempt.
pub(super) fn give_up_next(turn: &mut Turn, key: JobKey, cause: Arc<Cause>) {
    if let Some(id) = turn.state().jobs().get(key).map(|job| job.id) {
        drop_next(turn, key, cause, id);
    }
}

/// The time after which an attempt is hedged, and the rule; `None` if it is not.
fn limit(turn: &Turn, key: AttemptKey) -> Option<(Arc<Rule>, Hedge, Duration)> {
    let row = turn.state().attempt(key)?;
    let job = turn.state().job_of(row)?;
    let plan = job.plan.as_ref()?;
    let rule = turn.live.routes.rule(plan.rule.as_deref()?)?.clone();
    let hedge = rule.hedge?;
    let limit = match hedge.after {
        HedgeAfter::Time(time) => time,
        HedgeAfter::Percentile(percent) => {
            let agent = turn.state().agent(row.agent)?.id;
            let took = turn.metrics.took(agent, job.skill.as_ref());
            took.percentile(percent).filter(|_| took.count() >= BASELINE)?
        }
    };
    Some((rule, hedge, limit))
}

/// An attempt is being sent: it is hedged once it has taken longer than its rule says.
pub(super) fn sending(turn: &mut Turn, key: AttemptKey) {
    let Some((_, _, limit)) = limit(turn, key) else { return };
    let since = turn.state().attempt(key).map_or(turn.at, |row| row.sent.unwrap_or(row.created));
    turn.set_timer(Timer::Hedge(key), (since + limit).max(turn.at + timeout::SOON));
}

/// An attempt takes longer than its rule says: another one follows at another agent, if there is one that takes it.
pub(super) fn hedge(turn: &mut Turn, key: AttemptKey) {
    let Some(row) = turn.state().attempt(key) else { return };
    let (job_key, Some(job)) = (row.job, turn.state().job_of(row)) else { return };
    let Some((rule, hedge, limit)) = limit(turn, key) else { return };
    let Some(plan) = job.plan.as_deref() else { return };
    let hedged = job.race().map_or(0, |race| {
        race.racers.iter().filter(|racer| matches!(racer.why, RaceReason::Hedged { .. })).count()
    });
    let canceled = row.task.as_ref().is_some_and(|task| task.cancel.is_some());
    let slow = row.is_live() && row.phase != Phase::Uncertain && !canceled && !row.awaits_answer();
    let alone = job.attempts.last() == Some(&key) && job.phase == JobPhase::Running;
    let goes_on = plan.next.is_none() && plan.deadline.is_none_or(|deadline| deadline > turn.at);
    let wanted = hedged < usize::from(hedge.max) && living(turn, job).count() < RACERS;
    let busy = job.race().is_some_and(|race| race.next.is_some());
    if !(slow && alone && goes_on && wanted && plan.idempotent && rule.idempotent) || busy {
        return;
    }
    if !retry::within_budget(turn, &rule) {
        return;
    }
    let (id, target) = (job.id, turn.target_of(job));
    // The message of a job that goes by rules is at hand, unless an operator reopened it.
    let Some(message) = reopen::at_hand(turn, job_key) else { return };
    let Some(choice) = beside(turn, job_key, &message, Some(&rule)) else { return };
    retry::spend(turn, job_key);
    let why = RaceReason::Hedged { after: hedge.after, limit };
    turn.job_fact(id, JobFact::Racing { to: NextAgent::Any, why, target });
    send(turn, job_key, choice);
}

/// The attempt of those beside each other that completed first.
pub(super) fn completed(turn: &Turn, job: &Job) -> Option<AttemptKey> {
    let rows = job.round().iter().filter_map(|key| Some((*key, turn.state().attempt(*key)?)));
    let completed = rows.filter(|(_, row)| match &row.task {
        Some(task) => task.state == TaskState::Completed,
        None => row.phase == Phase::Answered,
    });
    completed.min_by_key(|(_, row)| (row.learnt(), row.number)).map(|(key, _)| key)
}

/// Another attempt of the job has won: this one is stopped, whatever it is at.
pub(super) fn stop(turn: &mut Turn, job: JobKey, key: AttemptKey) {
    let winner = turn.state().jobs().get(job).and_then(Job::winner);
    let number = winner.and_then(|winner| turn.state().attempt(winner)).map(|row| row.number);
    let Some(number) = number.filter(|_| winner != Some(key)) else { return };
    let Some(row) = turn.state().attempt(key).filter(|row| row.is_live()) else { return };
    let first = format!("attempt {number} was first");
    let id = row.id;
    let cause = || Arc::new(Cause::Unsupported(first.as_str().into()));
    match (row.phase, &row.task) {
        (_, Some(task)) => {
            // Refused if its agent cannot be reached: asked again with its next report.
            if task.cancel.is_none() && cancel::ask(turn, id, None).is_ok() {
                turn.attempt_fact(key, AttemptFact::ReasonGiven { why: first.as_str().into() });
                cascade::spread(turn, key, None, Some(first.as_str().into()));
            }
        }
        (Phase::Planned, None) => dispatch::give_up_one(turn, key, &cause()),
        (Phase::Uncertain, None) => {
            turn.clear_timer(Timer::Lookup(key));
            turn.attempt_fact(key, AttemptFact::Moved { phase: Phase::PresumedLost, cause: Some(cause()) });
        }
        // Once it has become a task it is canceled.
        (Phase::Sending, None) => {}
        (Phase::Accepted | Phase::Answered | Phase::Refused | Phase::Unsent | Phase::PresumedLost, None) => {}
    }
}

/// After a start: attempts that are to be sent beside live ones.
pub(super) fn resume(turn: &mut Turn) {
    let running = turn.state().jobs().iter().filter(|(_, job)| job.phase == JobPhase::Running);
    let jobs: Vec<_> = running.filter(|(_, job)| job.plan.is_some()).map(|(key, _)| key).collect();
    for job in jobs {
        go_on(turn, job);
    }
}
