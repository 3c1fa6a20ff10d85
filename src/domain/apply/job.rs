//! Applies facts of jobs and attempts.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::domain::cause::Cause;
use crate::domain::fact::{AttemptFact, JobFact, JournalEntry};
use crate::domain::id::{AgentId, AttemptId, AttemptKey, ContextId, JobId, JobKey, MessageId, TaskId};
use crate::domain::job::carry::Carried;
use crate::domain::job::message::{Fingerprint, Message};
use crate::domain::job::plan::{
    JobPhase, NextAgent, NextRacer, Plan, Race, Racer, SpentBudget, WaitReason, Waiting,
};
use crate::domain::job::task::{CancelMark, TaskState, UsualPause, Verdict};
use crate::domain::job::{Answer, ArtifactMeta, Attempt, Job, Phase, Progress, Task};
use crate::domain::route::Target;
use crate::domain::route::shift::{Shifted, Went};
use crate::domain::state::{Changed, State};
use crate::domain::text::Untrusted;
use crate::domain::time::{At, PeerTime};

pub(super) fn apply(state: &mut State, entry: &JournalEntry, id: JobId, fact: &JobFact) {
    match fact {
        JobFact::Opened { origin, title, caller, skill, context, parent, message, plan } => {
            state.insert_job(Job {
                id,
                seq: entry.seq,
                title: title.clone(),
                origin: *origin,
                caller: caller.clone(),
                skill: skill.clone(),
                context: context.clone(),
                parent: parent.clone(),
                created: entry.at,
                attempts: SmallVec::new(),
                message: message.clone(),
                phase: JobPhase::Running,
                plan: plan.as_deref().cloned().map(Box::new),
            });
        }
        JobFact::Explained { title, caller, skill, parent } => {
            let Some((key, job)) = advance(state, id, entry.seq) else { return };
            job.title = title.clone();
            job.caller.clone_from(caller);
            job.skill.clone_from(skill);
            let before = std::mem::replace(&mut job.parent, parent.clone());
            if let (None, Some(parent)) = (before, parent) {
                state.children.entry(parent.clone()).or_default().push(key);
            }
            state.changes.push(Changed::Job(key));
        }
        JobFact::Routed { decision, retry } => {
            count_shared(state, decision.shift);
            edit_job(state, id, entry.seq, |job| {
                job.phase = JobPhase::Running;
                let plan = job.plan.get_or_insert_with(|| Box::new(Plan::new(Target::Any)));
                // The job stays as it is; another attempt runs beside the live one.
                if plan.race.as_ref().is_some_and(|race| race.next.is_some()) {
                    return;
                }
                plan.rule.clone_from(&decision.rule);
                plan.revision = decision.revision;
                plan.retries = plan.retries.saturating_add(u16::from(*retry && plan.next.is_none()));
                plan.next = None;
                plan.waiting = None;
            });
        }
        JobFact::Queued { why, until } => edit_job(state, id, entry.seq, |job| {
            job.phase = JobPhase::Queued;
            if let Some(plan) = &mut job.plan {
                let since = plan.waiting.filter(|now| now.why == *why).map_or(entry.at, |now| now.since);
                plan.waiting = Some(Waiting { why: *why, since, until: *until });
                next_racer(plan, None);
            }
        }),
        JobFact::Ended { cause, spent } => edit_job(state, id, entry.seq, |job| {
            end(job, entry.at, cause.as_ref(), spent.as_ref());
        }),
        JobFact::Reopened { to, target, carry, why: _ } => edit_job(state, id, entry.seq, |job| {
            reopen(job, entry.at, (*to, target), carry.as_deref());
        }),
        JobFact::CameBack => edit_job(state, id, entry.seq, |job| {
            job.phase = JobPhase::Running;
            if let Some(plan) = &mut job.plan {
                plan.dead = None;
                plan.spent = None;
                plan.ended = None;
                plan.waiting = None;
            }
        }),
        JobFact::Moving { to, target, carry } => edit_job(state, id, entry.seq, |job| {
            let plan = plan_of(job, target);
            plan.next = *to;
            plan.carry = carry.as_deref().cloned().map(Box::new);
        }),
        JobFact::Composed { message } => edit_job(state, id, entry.seq, |job| {
            job.message = Some(message.clone());
            if let Some(plan) = &mut job.plan {
                plan.carry = None;
                plan.composed = true;
            }
        }),
        JobFact::Racing { to, why, target } => edit_job(state, id, entry.seq, |job| {
            let plan = job.plan.get_or_insert_with(|| Box::new(Plan::new(target.clone())));
            next_racer(plan, Some(NextRacer { to: *to, why: why.clone() }));
        }),
        JobFact::RaceDropped { cause: _ } => edit_job(state, id, entry.seq, |job| {
            if let Some(plan) = &mut job.plan {
                next_racer(plan, None);
            }
        }),
        JobFact::Forgotten => {
            let Some((key, _)) = advance(state, id, entry.seq) else { return };
            state.remove_job(key);
            state.changes.push(Changed::Job(key));
        }
        JobFact::Attempt(attempt, fact) => {
            let Some((key, _)) = advance(state, id, entry.seq) else { return };
            apply_to_attempt(state, entry.at, key, *attempt, fact);
        }
    }
}

/// A shift decided who of the two gets a job.
fn count_shared(state: &mut State, shifted: Option<Shifted>) {
    let Some(shifted) = shifted.filter(|shifted| shifted.went.was_shared()) else { return };
    let Some(legacy) = state.agent_key(shifted.from) else { return };
    // Journals are also read after the shift has ended or moved on.
    let same = state
        .agent(legacy)
        .and_then(|agent| agent.shift.as_ref())
        .is_some_and(|shift| shift.terms.to == shifted.to && shift.percent() == shifted.percent);
    if same {
        state.count_shift(legacy, |counts, _| {
            counts.decided = counts.decided.saturating_add(1);
            counts.given = counts.given.saturating_add(u64::from(shifted.went == Went::Successor));
        });
    }
}

/// Nothing more is tried.
fn end(job: &mut Job, at: At, cause: Option<&Arc<Cause>>, spent: Option<&SpentBudget>) {
    job.phase = JobPhase::Over;
    job.message = None;
    if let Some(plan) = &mut job.plan {
        plan.next = None;
        plan.carry = None;
        plan.waiting = None;
        plan.ended = Some(at);
        plan.dead = cause.cloned();
        plan.spent = spent.cloned().map(Box::new);
        next_racer(plan, None);
    }
}

/// It is to be tried again.
fn reopen(job: &mut Job, at: At, (to, target): (NextAgent, &Target), carry: Option<&Carried>) {
    job.phase = JobPhase::Queued;
    let plan = plan_of(job, target);
    plan.dead = None;
    plan.spent = None;
    plan.ended = None;
    plan.next = Some(to);
    plan.carry = carry.cloned().map(Box::new);
    next_racer(plan, None);
    // An operator who tries it again after its deadline wants it all the same.
    plan.deadline = None;
    plan.waiting = Some(Waiting { why: WaitReason::Unavailable, since: at, until: None });
}

/// Notes the number of a job's last fact.
fn advance(state: &mut State, id: JobId, seq: u64) -> Option<(JobKey, &mut Job)> {
    let key = state.job_key(id)?;
    let job = state.jobs.get_mut(key)?;
    job.seq = seq;
    Some((key, job))
}

/// The plan of a job, which goes to this target from here on; one that was sent to a named agent at once had none.
fn plan_of<'a>(job: &'a mut Job, target: &Target) -> &'a mut Plan {
    let plan = job.plan.get_or_insert_with(|| Box::new(Plan::new(target.clone())));
    plan.target = target.clone();
    plan
}

/// The attempt that is to be sent beside a live one, or that there is none.
fn next_racer(plan: &mut Plan, next: Option<NextRacer>) {
    match (&mut plan.race, next) {
        (Some(race), next) => race.next = next,
        (race @ None, Some(next)) => {
            *race = Some(Box::new(Race { next: Some(next), ..Race::default() }));
        }
        (None, None) => {}
    }
}

/// Changes a job and keeps its indexes in step.
fn edit_job(state: &mut State, id: JobId, seq: u64, change: impl FnOnce(&mut Job)) {
    let Some((key, _)) = advance(state, id, seq) else { return };
    state.edit_job(key, change);
}

fn apply_to_attempt(state: &mut State, at: At, job: JobKey, id: AttemptId, fact: &AttemptFact) {
    match fact {
        AttemptFact::Planned { agent, message_id } => {
            plan(state, at, (job, id), *agent, message_id.as_ref());
        }
        AttemptFact::Moved { phase, cause } => edit(state, job, id, |attempt| {
            attempt.may_have_arrived |= attempt.phase == Phase::Uncertain;
            attempt.phase = *phase;
            attempt.phase_since = at;
            if *phase == Phase::Sending {
                attempt.sent = Some(at);
            }
            attempt.cause.clone_from(cause);
        }),
        AttemptFact::TaskSeen { task, context, state: seen, peer_time, via: _, raw: _ } => {
            edit(state, job, id, |attempt| {
                attempt.phase = Phase::Accepted;
                attempt.phase_since = at;
                attempt.cause = None;
                attempt.progress.get_or_insert_default();
                attempt.task = Some(new_task(at, task, context.as_ref(), seen, *peer_time));
            });
        }
        AttemptFact::StateSeen { state: seen, context, peer_time, via: _, raw: _ } => {
            edit_task(state, job, id, |task| {
                if task.context.is_none() {
                    task.context.clone_from(context);
                }
                change_state(task, at, seen, *peer_time);
            });
        }
        AttemptFact::ClaimSeen { says, via: _ } => {
            edit_task(state, job, id, |task| task.says = says.clone().map(Box::new));
        }
        AttemptFact::MessageSeen { message, status } => {
            touch(state, job, id, |attempt| add_message(attempt, at, message, *status));
        }
        AttemptFact::ArtifactSeen { artifact, name, append, parts, last } => {
            touch(state, job, id, |attempt| {
                let meta = output_of(attempt, artifact);
                if !append {
                    meta.print = Fingerprint::default();
                }
                if name.is_some() {
                    meta.name.clone_from(name);
                }
                meta.print.add_parts(parts);
                meta.closed = *last;
                if let Some(progress) = &mut attempt.progress {
                    let bytes = parts.iter().map(|part| part.len() as u64).sum();
                    let progress = Arc::make_mut(progress);
                    progress.content = progress.content.saturating_add(bytes);
                }
                count_outputs(attempt, at);
            });
        }
        AttemptFact::GapOpened { since, cause: _ } => {
            edit_task(state, job, id, |task| task.unwatched_since = Some(*since));
        }
        AttemptFact::GapClosed { .. } => {
            edit_task(state, job, id, |task| task.unwatched_since = task.ended_after());
        }
        AttemptFact::VerdictChanged { verdict, usual } => {
            edit_task(state, job, id, |task| change_verdict(task, at, *verdict, *usual));
        }
        AttemptFact::CancelMoved { mark, cause: _, late: _ } => edit_task(state, job, id, |task| {
            task.cancel = Some(*mark);
            // A repeated cancel may be obeyed this time.
            task.ignored &= *mark != CancelMark::Asked;
        }),
        AttemptFact::CancelWithdrawn { mark } => edit_task(state, job, id, |task| task.cancel = *mark),
        AttemptFact::CascadeAsked { asked } => edit_task(state, job, id, |task| task.cascades = *asked),
        AttemptFact::CancelIgnored { .. } => edit_task(state, job, id, |task| task.ignored = true),
        AttemptFact::AnswerMoved { message, phase, cause } => edit(state, job, id, |attempt| {
            attempt.answer = if *phase == Phase::Accepted {
                None
            } else {
                Some(Box::new(Answer { message: message.clone(), phase: *phase, cause: cause.clone() }))
            };
        }),
        // The agent counts it by a fact of its own.
        AttemptFact::ViolationObserved { .. } => edit(state, job, id, |_| {}),
        AttemptFact::Settled => edit(state, job, id, |attempt| {
            attempt.progress = None;
            if let Some(task) = &mut attempt.task {
                task.settled = true;
                task.unwatched_since = task.ended_after();
            }
        }),
        AttemptFact::Won => {
            let number = state.attempt_key(id).and_then(|key| state.attempt(key)).map(|row| row.number);
            edit(state, job, id, |_| {});
            let won = |row: &mut Job| {
                let plan = row.plan.get_or_insert_with(|| Box::new(Plan::new(Target::Any)));
                plan.race.get_or_insert_default().won = number;
            };
            state.edit_job(job, won);
        }
        AttemptFact::Overdue { cause } => edit(state, job, id, |attempt| attempt.cause = Some(cause.clone())),
        // This fact only records history.
        AttemptFact::ReasonGiven { .. } => edit(state, job, id, |_| {}),
    }
}

fn plan(
    state: &mut State,
    at: At,
    (job, id): (JobKey, AttemptId),
    agent: AgentId,
    message_id: Option<&MessageId>,
) {
    let count = state.jobs.get(job).map_or(0, |job| job.attempts.len());
    let number = u16::try_from(count + 1).unwrap_or(u16::MAX);
    let plan = state.jobs.get_mut(job).and_then(|job| job.plan.as_mut());
    if let Some(race) = plan.and_then(|plan| plan.race.as_mut())
        && let Some(next) = race.next.take()
    {
        race.racers.push(Racer { number, why: next.why });
    }
    if let Some(agent) = state.agent_key(agent) {
        state.insert_attempt(Attempt {
            id,
            job,
            number,
            agent,
            message_id: message_id.cloned(),
            phase: Phase::Planned,
            may_have_arrived: false,
            phase_since: at,
            created: at,
            sent: None,
            cause: None,
            task: None,
            answer: None,
            progress: None,
        });
    }
    state.changes.push(Changed::Job(job));
}

fn new_task(
    at: At,
    id: &TaskId,
    context: Option<&ContextId>,
    state: &TaskState,
    peer_time: Option<PeerTime>,
) -> Task {
    Task {
        id: id.clone(),
        context: context.cloned(),
        state: state.clone(),
        state_since: at,
        peer_time,
        first_peer_time: peer_time,
        says: None,
        verdict: None,
        usual: None,
        cancel: None,
        ignored: false,
        cascades: false,
        last_activity: at,
        unwatched_since: None,
        note: None,
        offers: None,
        artifacts: 0,
        bytes: 0,
        settled: false,
    }
}

/// The row of an attempt whose job has a new fact, which its timeline shows.
fn row_of(state: &mut State, job: JobKey, id: AttemptId) -> Option<AttemptKey> {
    let key = state.attempt_key(id);
    state.changes.push(if key.is_some() { Changed::Timeline(job) } else { Changed::Job(job) });
    key
}

/// Changes an attempt's progress, which no index and no count depends on.
fn touch(state: &mut State, job: JobKey, id: AttemptId, change: impl FnOnce(&mut Attempt)) {
    if let Some(key) = row_of(state, job, id) {
        state.touch_attempt(key, change);
    }
}

/// Changes an attempt.
fn edit(state: &mut State, job: JobKey, id: AttemptId, change: impl FnOnce(&mut Attempt)) {
    let Some(key) = row_of(state, job, id) else { return };
    let mut needs_no_message = false;
    state.edit_attempt(key, |attempt| {
        change(attempt);
        needs_no_message = attempt.task.is_some() || attempt.phase.is_over();
    });
    // A message is kept only while a resend may need it, and one that goes by rules while another attempt may.
    let by_rules = state.jobs.get(job).is_some_and(|row| row.plan.is_some());
    if needs_no_message
        && !by_rules
        && state.jobs.get_mut(job).is_some_and(|row| row.message.take().is_some())
    {
        state.changes.push(Changed::Job(job));
    }
}

/// Changes the task of an attempt, if it has one.
fn edit_task(state: &mut State, job: JobKey, id: AttemptId, change: impl FnOnce(&mut Task)) {
    edit(state, job, id, |attempt| {
        if let Some(task) = &mut attempt.task {
            change(task);
        }
    });
}

fn change_verdict(task: &mut Task, at: At, verdict: Option<Verdict>, usual: Option<UsualPause>) {
    if verdict == Some(Verdict::Lost) && !task.is_over() {
        task.state_since = at;
    }
    (task.verdict, task.usual) = (verdict, usual.map(Box::new));
}

fn change_state(task: &mut Task, at: At, seen: &TaskState, peer_time: Option<PeerTime>) {
    let ends = seen.is_terminal() && !task.state.is_terminal();
    let unwatched_since =
        task.unwatched_since.map(|gap| if ends { gap.min(task.last_activity) } else { gap });
    if task.state != *seen {
        task.state_since = at;
        task.note = None;
        task.offers = None;
        // The time is that of the state.
        task.peer_time = None;
    }
    task.state = seen.clone();
    task.peer_time = peer_time.or(task.peer_time);
    task.first_peer_time = task.first_peer_time.or(peer_time);
    task.last_activity = at;
    task.unwatched_since = unwatched_since;
}

fn add_message(attempt: &mut Attempt, at: At, message: &Message, status: bool) {
    let progress = Arc::make_mut(attempt.progress.get_or_insert_default());
    let hash = message.fingerprint(progress.next_place(message));
    if !progress.messages.contains(&hash) {
        if progress.messages.len() == Progress::MESSAGES {
            progress.messages.remove(0);
        }
        progress.messages.push(hash);
        progress.messages_total = progress.messages_total.saturating_add(1);
    }
    if let Some(task) = &mut attempt.task {
        task.last_activity = at;
        if status {
            let words = message.headline(200);
            task.note = (!words.is_empty()).then_some(words);
            task.offers = message.offers;
        }
    }
}

/// The progress of an output, created with its first chunk.
fn output_of<'a>(attempt: &'a mut Attempt, artifact: &Untrusted) -> &'a mut ArtifactMeta {
    let progress = Arc::make_mut(attempt.progress.get_or_insert_default());
    let known = progress.artifacts.iter().position(|meta| meta.id == *artifact);
    let index = known.unwrap_or_else(|| {
        progress.artifacts.push(ArtifactMeta {
            id: artifact.clone(),
            name: None,
            print: Fingerprint::default(),
            closed: false,
        });
        progress.artifacts.len() - 1
    });
    &mut progress.artifacts[index]
}

fn count_outputs(attempt: &mut Attempt, at: At) {
    let Some(progress) = &attempt.progress else { return };
    let bytes = progress.artifacts.iter().map(|meta| meta.print.bytes).sum();
    let artifacts = u16::try_from(progress.artifacts.len()).unwrap_or(u16::MAX);
    if let Some(task) = &mut attempt.task {
        task.last_activity = at;
        task.bytes = bytes;
        task.artifacts = artifacts;
    }
}
