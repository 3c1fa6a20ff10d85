//! Tasks that are found: on first contact, in later listings, by an id that an operator gives, or by our own message in
//! their history.

use crate::domain::decide::cascade;
use crate::domain::decide::dispatch;
use crate::domain::decide::lint;
use crate::domain::decide::live::{GetReason, PendingCall, Timer};
use crate::domain::decide::observe;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::unknown;
use crate::domain::decide::watch;
use crate::domain::fact::{AttemptFact, Fact, JobFact};
use crate::domain::id::{AgentId, AgentKey, AttemptId, AttemptKey, JobId, TaskId};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::job::Origin;
use crate::domain::job::message::{Hints, Message, Role};
use crate::domain::job::task::{TaskReport, TaskState, Via};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Processes a task of a listing. True if it was new.
pub(super) fn take_listed(
    turn: &mut Turn,
    agent: AgentKey,
    report: TaskReport,
    with_history: bool,
    issued: At,
) -> bool {
    if let Some(key) = turn.state().attempt_of_task(agent, &report.id) {
        if with_history {
            explain(turn, key, &report);
        }
        if is_settled_as(turn, key, &report) {
            return false;
        }
        // A listing has no outputs and possibly no messages; what it lacks must not be taken for a change.
        let report = TaskReport { artifacts: None, history: Vec::new(), ..report };
        watch::reported(turn, key, report, Via::List, issued);
        return false;
    }
    if let Some(key) = wanted_by(turn, agent, &report) {
        observe::report(turn, key, report, Via::List, issued);
        watch::go_on(turn, key);
        return true;
    }
    open(turn, agent, report, issued);
    true
}

/// True if nothing more is expected of the task and the agent reports what is already known, which is the case for most
/// tasks of a listing.
fn is_settled_as(turn: &Turn, key: AttemptKey, report: &TaskReport) -> bool {
    let Some(attempt) = turn.state().attempt(key).filter(|attempt| attempt.progress.is_none()) else {
        return false;
    };
    attempt.task.as_ref().is_some_and(|task| {
        let no_doubt =
            task.settled && task.verdict.is_none() && task.says.is_none() && task.gap_since().is_none();
        no_doubt && task.state == report.status.state && task.peer_time == report.status.timestamp
    })
}

/// The attempt of ours that started this task.
pub(super) fn wanted_by(turn: &Turn, agent: AgentKey, report: &TaskReport) -> Option<AttemptKey> {
    let mut messages = report.history.iter().chain(report.status.message.iter());
    messages.find_map(|message| turn.state().attempt_wanting(agent, &message.id))
}

/// Opens an implicit job with one attempt for a task that somebody else sent.
fn open(turn: &mut Turn, agent: AgentKey, report: TaskReport, issued: At) {
    let Some(row) = turn.state().agent(agent) else { return };
    let agent_id = row.id;
    let only_skill = row.card.as_ref().and_then(|card| card.only_skill()).map(|skill| skill.id.clone());
    let at = turn.at;
    let (job, attempt) = (JobId(turn.seed.uuid(at)), AttemptId(turn.seed.uuid(at)));
    let about = About::of(&report);
    let opened = JobFact::Opened {
        origin: Origin::Found,
        title: about.title,
        caller: about.hints.caller,
        skill: about.hints.skill.or(only_skill),
        context: report.context.clone(),
        parent: about.hints.parent,
        message: None,
        plan: None,
    };
    turn.record_new(Fact::Job(job, opened));
    let planned = AttemptFact::Planned { agent: agent_id, message_id: None };
    turn.job_fact(job, JobFact::Attempt(attempt, planned));
    let Some(key) = turn.state().attempt_key(attempt) else { return };
    let ended = report.status.state.is_terminal();
    observe::report(turn, key, TaskReport { artifacts: None, ..report }, Via::List, issued);
    if ended {
        // Its outputs are fetched when an operator opens it.
        turn.attempt_fact(key, AttemptFact::Settled);
    } else {
        watch::go_on(turn, key);
    }
}

/// What a report reveals about who requested the task and why.
struct About {
    title: Untrusted,
    hints: Hints,
}

impl About {
    fn of(report: &TaskReport) -> Self {
        let first = report.history.iter().find(|message| message.role == Role::User);
        let title =
            first.map_or_else(|| Untrusted::from(""), |message| message.headline(dispatch::TITLE_CHARS));
        let hint = |pick: fn(&Hints) -> Option<Untrusted>| {
            first.and_then(|message| pick(&message.hints)).or_else(|| pick(&report.hints))
        };
        let referenced = |message: &Message| message.references.first().cloned();
        let parent =
            first.and_then(|message| message.hints.parent.clone()).or_else(|| report.hints.parent.clone());
        Self {
            title,
            hints: Hints {
                caller: hint(|hints| hints.caller.clone()),
                skill: hint(|hints| hints.skill.clone()),
                parent: parent.or_else(|| first.and_then(referenced)),
                ..Hints::default()
            },
        }
    }
}

/// Completes a found job whose first message was not known yet.
pub(super) fn explain(turn: &mut Turn, key: AttemptKey, report: &TaskReport) {
    let Some(attempt) = turn.state().attempt(key) else { return };
    let Some(job) = turn.state().job_of(attempt) else { return };
    if job.origin == Origin::Sent || !job.title.is_empty() {
        return;
    }
    let about = About::of(report);
    if about.title.is_empty() {
        return;
    }
    let (id, skill) = (job.id, job.skill.clone());
    turn.job_fact(
        id,
        JobFact::Explained {
            title: about.title,
            caller: about.hints.caller,
            skill: about.hints.skill.or(skill),
            parent: about.hints.parent,
        },
    );
    cascade::found(turn, key);
}

/// A found attempt turns out to be one of ours: its implicit job is removed.
pub(super) fn yield_to_own(turn: &mut Turn, key: AttemptKey) {
    let Some(attempt) = turn.state().attempt(key) else { return };
    let Some(job) = turn.state().job_of(attempt).filter(|job| job.origin == Origin::Found) else { return };
    let (id, agent) = (job.id, attempt.agent);
    if let Some(gone) = turn.live.watches.remove(&key) {
        if let Some(stream) = gone.stream {
            turn.close(stream);
        }
        if gone.foreign_slot {
            let live = turn.agent_live(agent);
            live.foreign_streams = live.foreign_streams.saturating_sub(1);
        }
    }
    for timer in [Timer::Watch(key), Timer::Quiet(key), Timer::Cancel(key), Timer::Lookup(key)] {
        turn.clear_timer(timer);
    }
    let calls = turn.live.calls.of_attempt(agent, key).filter(|(_, pending)| {
        matches!(pending.call, PendingCall::Get(..) | PendingCall::Stream(_) | PendingCall::Cancel(_))
    });
    for call in calls.map(|(call, _)| call).collect::<Vec<_>>() {
        turn.live.calls.remove(call);
    }
    lint::forget(turn, &[key]);
    turn.job_fact(id, JobFact::Forgotten);
}

/// Follows a task whose id an operator gives.
pub(super) fn adopt_by_id(turn: &mut Turn, agent: AgentId, task: &TaskId) -> Result<Receipt, Refusal> {
    let key = turn.state().agent_key(agent).ok_or_else(|| unknown("agent"))?;
    let (job, attempt) = if let Some(known) = turn.state().attempt_of_task(key, task) {
        let attempt = turn.state().attempt(known).ok_or_else(|| unknown("attempt"))?;
        let job = turn.state().job_of(attempt).ok_or_else(|| unknown("job"))?;
        (job.id, attempt.id)
    } else {
        let at = turn.at;
        let (job, attempt) = (JobId(turn.seed.uuid(at)), AttemptId(turn.seed.uuid(at)));
        let nothing = Untrusted::from("");
        let opened = JobFact::Opened {
            origin: Origin::Found,
            title: nothing,
            caller: None,
            skill: None,
            context: None,
            parent: None,
            message: None,
            plan: None,
        };
        turn.record_new(Fact::Job(job, opened));
        let planned = AttemptFact::Planned { agent, message_id: None };
        turn.job_fact(job, JobFact::Attempt(attempt, planned));
        let new = turn.state().attempt_key(attempt).ok_or_else(|| unknown("attempt"))?;
        let task = task.clone();
        turn.attempt_fact(
            new,
            AttemptFact::TaskSeen {
                task,
                context: None,
                state: TaskState::Unspecified,
                peer_time: None,
                via: Via::Get,
                raw: None,
            },
        );
        watch::read(turn, new, GetReason::Reconcile);
        (job, attempt)
    };
    Ok(Receipt::Taken { job, attempt: Some(attempt) })
}
