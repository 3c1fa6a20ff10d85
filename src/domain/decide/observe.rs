//! Processes agents' reports about tasks, so that each change is recorded once and nothing is hidden.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::decide::adopt;
use crate::domain::decide::answer;
use crate::domain::decide::cancel;
use crate::domain::decide::cascade;
use crate::domain::decide::live::PendingCall;
use crate::domain::decide::order;
use crate::domain::decide::retry;
use crate::domain::decide::timeout;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::watch;
use crate::domain::fact::{AgentFact, AttemptFact};
use crate::domain::id::{AttemptKey, TaskId};
use crate::domain::job::message::{Artifact, Content, Fingerprint, Message, Part, text_hash};
use crate::domain::job::task::{
    CancelMark, ProtocolViolation, Status, StreamEvent, TaskReport, TaskState, Verdict, Via,
};
use crate::domain::job::{ArtifactMeta, Phase, Progress};
use crate::domain::limits;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Deviations that an agent's row lists, and the characters of each, at most.
const DEVIATIONS: usize = 8;
const DEVIATION_CHARS: usize = 160;
/// Violations that an agent's row counts: further ones would crowd out the rest of its history.
const VIOLATIONS: u32 = 100;
/// The message of a status is looked for among so many of the last messages of a history.
const LAST: usize = 8;

/// Processes an event of a stream. It belongs to the stream's task, whatever id it carries, unless it is a snapshot of
/// another task.
pub(super) fn event(turn: &mut Turn, key: AttemptKey, event: StreamEvent, via: Via) {
    let snapshot = matches!(event, StreamEvent::Task(_));
    let mut news = true;
    match event {
        StreamEvent::Task(report) => {
            let known = turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref());
            let foreign = known
                .filter(|task| task.id != report.id)
                .map(|task| (name_of(&task.id), name_of(&report.id)));
            match foreign {
                // A snapshot is a complete task: the snapshot of another task contains nothing about this one.
                Some((ours, other)) => {
                    unreadable(
                        turn,
                        key,
                        format!("the whole of task {other} in the stream of task {ours}").into(),
                    );
                }
                None => news = self::report(turn, key, *report, via, turn.at),
            }
        }
        StreamEvent::Message(message) => {
            if turn.state().attempt(key).is_some_and(|attempt| attempt.task.is_some()) {
                self::message(turn, key, *message, false);
            } else {
                answer(turn, key, *message);
            }
        }
        StreamEvent::Status { task, context, status, metadata: _, raw } => {
            foreign_id(turn, key, task.as_ref());
            if turn.state().attempt(key).is_some_and(|attempt| attempt.task.is_none()) {
                // Some servers do not send the task first.
                let Some(id) = task else { return };
                bind(turn, key, &id, context.clone(), &status, via, raw.clone());
            }
            repeats(turn, key, &status);
            self::status(
                turn,
                key,
                ReportedState { status, context, raw, via, issued: turn.at, is_event: true },
            );
        }
        StreamEvent::Artifact { task, context, artifact, append, last } => {
            foreign_id(turn, key, task.as_ref());
            if turn.state().attempt(key).is_some_and(|attempt| attempt.task.is_none()) {
                let Some(id) = task else { return };
                let working = Status::new(TaskState::Working);
                bind(turn, key, &id, context, &working, via, None);
            }
            something_new(turn, key, None);
            chunk(turn, key, artifact, append, last);
        }
        StreamEvent::Unknown(json) => {
            unreadable(
                turn,
                key,
                Untrusted::from(format!("an unknown event: {}", json.0.shortened(120).raw())),
            );
        }
    }
    watch::event_seen(turn, key, snapshot, news);
}

/// A task id as it appears in a message to the user.
fn name_of(task: &TaskId) -> String {
    task.text().shortened(40).line().into_string()
}

/// Looks for loops: the same status text again and again. A status without text is a sign of life, but nothing new.
fn repeats(turn: &mut Turn, key: AttemptKey, status: &Status) {
    let Some(task) = turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()) else { return };
    let (same_state, over) = (task.state == status.state, task.is_over());
    // After a start only the last words are known.
    let said = status.message.as_ref().map(|message| message.headline(200));
    let loops_on = task.verdict == Some(Verdict::Looping) && said.is_some() && said == task.note;
    let texts = status.message.iter().flat_map(|message| &message.parts).filter_map(Part::as_text);
    let hash = texts.fold(None, |all: Option<u64>, text| {
        Some(all.unwrap_or_default().rotate_left(7) ^ text_hash(text.raw()))
    });
    match hash {
        None if same_state => {}
        hash if same_state && loops_on && turn.watch(key).status_repeats.0.is_none() => {
            turn.watch(key).status_repeats.0 = hash;
        }
        hash if !same_state || turn.watch(key).status_repeats.0 != hash => something_new(turn, key, hash),
        _ => {
            let most = turn.rules.problems.loops;
            let watch = turn.watch(key);
            watch.status_repeats.1 = watch.status_repeats.1.saturating_add(1);
            if watch.status_repeats.1 + 1 >= most && !over {
                crate::domain::decide::doubt(turn, key, Some(Verdict::Looping));
            }
        }
    }
}

fn something_new(turn: &mut Turn, key: AttemptKey, text: Option<u64>) {
    turn.watch(key).status_repeats = (text, 0);
    let verdict = turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()?.verdict);
    if verdict == Some(Verdict::Looping) {
        crate::domain::decide::doubt(turn, key, None);
    }
}

fn foreign_id(turn: &mut Turn, key: AttemptKey, claimed: Option<&TaskId>) {
    let known = turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref());
    if let (Some(known), Some(claimed)) = (known, claimed)
        && known.id != *claimed
    {
        let id = claimed.clone();
        violation(turn, key, ProtocolViolation::ForeignTaskId(id));
    }
}

/// Records something that the protocol does not allow, in the answer to a call about an attempt.
pub(super) fn odd(turn: &mut Turn, call: &PendingCall, violation: ProtocolViolation) {
    let key = match call {
        PendingCall::Send(send) => send.attempt,
        PendingCall::Stream(key) | PendingCall::Get(key, _) | PendingCall::Cancel(key) => *key,
        PendingCall::Probe | PendingCall::Check | PendingCall::List(..) => return,
    };
    self::violation(turn, key, violation);
}

/// A violation is part of the story of the job in which it was observed, and counted in the row of its agent. What was
/// understood nevertheless is listed there once, so that it does not count against the agent.
fn violation(turn: &mut Turn, key: AttemptKey, violation: ProtocolViolation) {
    let Some(agent) = turn.state().attempt(key).map(|attempt| attempt.agent) else { return };
    let Some(row) = turn.state().agent(agent) else { return };
    let (known, count) = (row.deviations.clone(), row.violations);
    turn.attempt_fact(key, AttemptFact::ViolationObserved { violation: violation.clone() });
    let counted = match violation {
        ProtocolViolation::Deviation(what) => {
            let what = what.shortened(DEVIATION_CHARS);
            let news = known.len() < DEVIATIONS && !known.contains(&what);
            news.then_some(ProtocolViolation::Deviation(what))
        }
        violation => (count < VIOLATIONS).then_some(violation),
    };
    if let Some(violation) = counted {
        turn.agent_fact(agent, AgentFact::ViolationCounted { violation });
    }
}

/// Records an event that could not be read.
fn unreadable(turn: &mut Turn, key: AttemptKey, why: Untrusted) {
    violation(turn, key, ProtocolViolation::Unreadable(why));
}

/// The agent answered with a message and created no task: the job is answered.
pub(super) fn answer(turn: &mut Turn, key: AttemptKey, message: Message) {
    if turn.state().attempt(key).is_some_and(|attempt| attempt.task.is_none() && !attempt.phase.is_over()) {
        turn.attempt_fact(key, AttemptFact::Moved { phase: Phase::Answered, cause: None });
        if let Some(agent) = turn.state().attempt(key).map(|attempt| attempt.agent) {
            crate::domain::decide::health::task_ended(turn, agent, key, false, None);
        }
    }
    self::message(turn, key, message, false);
}

/// Gives an attempt its task.
fn bind(
    turn: &mut Turn,
    key: AttemptKey,
    id: &TaskId,
    context: Option<crate::domain::id::ContextId>,
    status: &Status,
    via: Via,
    raw: Option<crate::domain::job::message::Json>,
) {
    let Some(agent) = turn.state().attempt(key).map(|attempt| attempt.agent) else { return };
    // A listing may have shown our own task before its stream did.
    if let Some(other) = turn.state().attempt_of_task(agent, id)
        && other != key
    {
        adopt::yield_to_own(turn, other);
    }
    let (task, state, peer_time) = (id.clone(), status.state.clone(), status.timestamp);
    let (ended, agent_key) = (status.state.clone(), agent);
    turn.attempt_fact(key, AttemptFact::TaskSeen { task, context, state, peer_time, via, raw });
    // Tasks in a first listing may have ended before we watched.
    if via != Via::List || turn.agent_live(agent_key).listing.changed != At::ZERO {
        ended_as(turn, key, &ended, status.message.as_ref());
    }
    turn.clear_timer(crate::domain::decide::live::Timer::Lookup(key));
    timeout::watch(turn, key);
    cascade::found(turn, key);
}

/// Records the end of a task as evidence for the health of its agent.
fn ended_as(turn: &mut Turn, key: AttemptKey, state: &TaskState, message: Option<&Message>) {
    let failed = match state {
        TaskState::Completed => false,
        TaskState::Failed => true,
        _ => return,
    };
    let Some(agent) = turn.state().attempt(key).map(|attempt| attempt.agent) else { return };
    let text = message.map(|message| message.headline(200));
    crate::domain::decide::health::task_ended(turn, agent, key, failed, text);
}

/// Processes a report of a whole task; `issued` is the time of the request. True if something was new.
pub(super) fn report(turn: &mut Turn, key: AttemptKey, report: TaskReport, via: Via, issued: At) -> bool {
    let facts = turn.out.facts.len();
    let Some(attempt) = turn.state().attempt(key) else { return false };
    if attempt.task.is_none() {
        if attempt.phase.is_over() && attempt.phase != Phase::PresumedLost {
            return false;
        }
        bind(turn, key, &report.id, report.context.clone(), &report.status, via, report.raw.clone());
    }
    let mut repeated = None;
    retry::reported(turn, key);
    if turn.state().attempt(key).is_some_and(|attempt| attempt.progress.is_some()) {
        let mut messages = report.history;
        repeated = report.status.message.as_ref().and_then(|said| take_repeated(&mut messages, said));
        history(turn, key, messages);
        // A read may have been answered before later events of the stream.
        let may_lag = !is_streamed(via) && turn.watch(key).stream.is_some();
        for artifact in Artifact::joined(report.artifacts.unwrap_or_default()) {
            whole_artifact(turn, key, artifact, may_lag);
        }
    }
    let TaskReport { status: now, context, raw, .. } = report;
    let reported = ReportedState { status: now, context, raw, via, issued, is_event: false };
    status(turn, key, reported);
    // The state was not taken, but its message was sent.
    if let Some(repeated) = repeated
        && !is_known(turn, key, &repeated, 0)
    {
        message(turn, key, repeated, false);
    }
    turn.out.facts.len() > facts
}

/// Takes the message of the status out of the history, where some agents repeat it among the last: it is recorded as the
/// words of its state.
fn take_repeated(history: &mut Vec<Message>, said: &Message) -> Option<Message> {
    let last = history.len().saturating_sub(LAST);
    let place = last + history.iter().skip(last).rposition(|message| message.is(said))?;
    // Without an id, the place among identical messages is all that tells them apart.
    let is_ambiguous = said.has_no_id() && history[..place].iter().any(|message| message.is(said));
    (!is_ambiguous).then(|| history.remove(place))
}

/// Records unknown messages of a history. Only the last ones are remembered, so once there have been more of them, a
/// known message shows that all messages before it are old.
fn history(turn: &mut Turn, key: AttemptKey, history: Vec<Message>) {
    let mut places: BTreeMap<u64, u32> = BTreeMap::new();
    let history: Vec<_> = history
        .into_iter()
        .map(|message| {
            let next = places.entry(message.fingerprint(0)).or_default();
            let place = *next;
            *next += 1;
            (message, place)
        })
        .collect();
    let known = turn.state().attempt(key).and_then(|attempt| attempt.progress.as_ref());
    let forgot = known.is_some_and(|known| known.messages.len() >= Progress::MESSAGES);
    let last_known = known
        .filter(|_| forgot)
        .and_then(|known| history.iter().rposition(|(message, place)| known.has(message, *place)));
    let room = known.map_or(limits::MESSAGES, room_for_messages);
    let history = history.into_iter().skip(last_known.map_or(0, |at| at + 1));
    let fresh: Vec<_> = history.filter(|(message, place)| !is_known(turn, key, message, *place)).collect();
    // If there are too many, the newest are kept: they describe the current state of the task.
    let beyond = fresh.len().saturating_sub(room);
    drop_beyond(turn, key, beyond);
    for (message, place) in fresh.into_iter().skip(beyond) {
        if !is_known(turn, key, &message, place) {
            record_message(turn, key, message, false);
        }
    }
}

/// True if a message is already in the timeline, or if nothing more is expected of its task.
fn is_known(turn: &Turn, key: AttemptKey, message: &Message, place: u32) -> bool {
    turn.state().attempt(key).is_some_and(|attempt| match &attempt.progress {
        Some(progress) => progress.has(message, place),
        None => attempt.task.as_ref().is_some_and(|task| task.settled),
    })
}

/// The place of a message that may have no id: the same text as the last message is a repetition, the same text as an
/// earlier message is a new one.
fn place_of(turn: &Turn, key: AttemptKey, message: &Message) -> u32 {
    let progress = turn.state().attempt(key).and_then(|attempt| attempt.progress.as_ref());
    let Some(progress) = progress else { return 0 };
    let next = progress.next_place(message);
    match next.checked_sub(1) {
        Some(last) if progress.messages.last() == Some(&message.fingerprint(last)) => last,
        _ => next,
    }
}

/// Records our own message, once it is known to have arrived.
pub(super) fn message_arrived(turn: &mut Turn, key: AttemptKey, message: Arc<Message>) {
    if !is_known(turn, key, &message, 0) {
        turn.attempt_fact(key, AttemptFact::MessageSeen { message, status: false });
    }
}

fn message(turn: &mut Turn, key: AttemptKey, message: Message, status: bool) {
    let place = place_of(turn, key, &message);
    if is_known(turn, key, &message, place) {
        return;
    }
    let progress = turn.state().attempt(key).and_then(|attempt| attempt.progress.as_ref());
    if progress.is_some_and(|progress| room_for_messages(progress) == 0) {
        return drop_beyond(turn, key, 1);
    }
    record_message(turn, key, message, status);
}

fn room_for_messages(progress: &Arc<Progress>) -> usize {
    limits::MESSAGES.saturating_sub(progress.messages_total as usize)
}

/// Counts what is dropped of a task that is over its limits. The 1st, the 10th, the 100th drop and so on are recorded.
fn drop_beyond(turn: &mut Turn, key: AttemptKey, count: usize) {
    let dropped = &mut turn.watch(key).dropped;
    let before = *dropped;
    *dropped += count as u64;
    let now = *dropped;
    if now.checked_ilog10() > before.checked_ilog10() {
        let message = format!(
            "its task is over the limit of {} artifacts, {} messages and 1 GiB; dropped so far: {now}",
            limits::ARTIFACTS,
            limits::MESSAGES,
        );
        unreadable(turn, key, message.into());
    }
}

fn record_message(turn: &mut Turn, key: AttemptKey, message: Message, status: bool) {
    let sanitised: u32 = message.parts.iter().filter_map(Part::as_text).map(Untrusted::sanitised).sum();
    let message = Arc::new(message);
    turn.attempt_fact(key, AttemptFact::MessageSeen { message, status });
    note_sanitised(turn, key, sanitised);
}

fn note_sanitised(turn: &mut Turn, key: AttemptKey, count: u32) {
    if count > 0
        && let Some(agent) = turn.state().attempt(key).map(|attempt| attempt.agent)
    {
        turn.agent_fact(agent, AgentFact::TextSanitised { count });
    }
}

fn is_streamed(via: Via) -> bool {
    matches!(via, Via::Send | Via::Subscribe)
}

/// A reported state.
pub(super) struct ReportedState {
    status: Status,
    context: Option<crate::domain::id::ContextId>,
    raw: Option<crate::domain::job::message::Json>,
    via: Via,
    /// The time of the request.
    issued: At,
    /// True for an event; false for a report of the whole task.
    is_event: bool,
}

/// Records a state with its message.
fn status(turn: &mut Turn, key: AttemptKey, reported: ReportedState) {
    let ReportedState { status, context, raw, via, issued, is_event } = reported;
    let Some(task) = turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()) else { return };
    let Status { state, message, timestamp } = status;
    let streamed = is_streamed(via);
    let context = context.filter(|_| task.context.is_none());
    if streamed && state.is_terminal() {
        order::reported_end(turn, key);
    }
    let Some(task) = turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()) else { return };
    if state == task.state && context.is_none() {
        if task.says.is_some() && via == Via::Get {
            turn.attempt_fact(key, AttemptFact::ClaimSeen { says: None, via });
        }
        if let Some(message) = message {
            status_message(turn, key, message, is_event);
        }
        return;
    }
    let task = task.clone();
    if task.state.is_terminal() && state != task.state {
        if streamed && order::contradicts_itself(turn, key) {
            let odd = ProtocolViolation::IllegalMove { from: task.state.clone(), to: state.clone() };
            violation(turn, key, odd);
            let says = Some(state.clone());
            turn.attempt_fact(key, AttemptFact::ClaimSeen { says, via });
            crate::domain::decide::doubt(turn, key, Some(Verdict::Conflict));
        }
        // A stream that has not reported the end may not know of it yet. A read is compared by `watch::compare`, which
        // knows when it was requested.
        return;
    }
    if !streamed && issued < task.state_since && !state.is_terminal() {
        // The answer is older than later events of the stream.
        return;
    }
    if !task.state.may_become(&state) {
        let odd = ProtocolViolation::IllegalMove { from: task.state.clone(), to: state.clone() };
        violation(turn, key, odd);
    }
    let new = state.clone();
    turn.attempt_fact(key, AttemptFact::StateSeen { state: new, context, peer_time: timestamp, via, raw });
    if streamed
        && let Some(reported) = timestamp
        && let Some(agent) = turn.state().attempt(key).map(|attempt| attempt.agent)
    {
        crate::domain::decide::health::clock_seen(turn, agent, reported);
    }
    ended_as(turn, key, &state, message.as_ref());
    if answer::is_open(turn, key) && !state.is_interrupted() {
        answer::finish(turn, key, Phase::Accepted, None);
    }
    if state.is_terminal()
        && task.cancel.is_some_and(|mark| match mark {
            CancelMark::Asked | CancelMark::Agreed | CancelMark::Unconfirmed => true,
            // The agent had refused to cancel, so the task may have ended on its own.
            CancelMark::Refused => state == TaskState::Canceled,
            CancelMark::Verified | CancelMark::TooLate => false,
        })
        && via != Via::Cancel
    {
        cancel::ended(turn, key, &state);
    }
    if let Some(message) = message {
        status_message(turn, key, message, is_event);
    }
}

/// Records the message of a status. A report of the whole task repeats earlier messages.
fn status_message(turn: &mut Turn, key: AttemptKey, message: Message, is_event: bool) {
    if is_event || !is_known(turn, key, &message, 0) {
        self::message(turn, key, message, true);
    }
}

/// A chunk of an output from a stream.
fn chunk(turn: &mut Turn, key: AttemptKey, artifact: Artifact, append: bool, last: bool) {
    let Some(attempt) = turn.state().attempt(key) else { return };
    if attempt.progress.is_none() && attempt.task.as_ref().is_some_and(|task| task.settled) {
        // A late stream repeats in chunks an output that was already read as a whole.
        return;
    }
    let mut outputs = attempt.progress.iter().flat_map(|progress| &progress.artifacts);
    let closed = outputs.find(|meta| meta.id == artifact.id).map(|meta| meta.closed);
    let mut append = append;
    match closed {
        Some(true) if append => violation(turn, key, ProtocolViolation::AfterLastChunk),
        None if append => {
            violation(turn, key, ProtocolViolation::AppendToNothing);
            append = false;
        }
        _ => {}
    }
    put_artifact(turn, key, artifact, append, last);
}

fn put_artifact(turn: &mut Turn, key: AttemptKey, artifact: Artifact, append: bool, last: bool) {
    if turn.state().attempt(key).is_some_and(|attempt| is_beyond(attempt.progress.as_deref(), &artifact)) {
        return drop_beyond(turn, key, 1);
    }
    let sanitised: u32 = artifact.parts.iter().filter_map(Part::as_text).map(Untrusted::sanitised).sum();
    let Artifact { id, name, parts, .. } = artifact;
    turn.attempt_fact(
        key,
        AttemptFact::ArtifactSeen { artifact: id, name, append, parts: Arc::new(parts), last },
    );
    note_sanitised(turn, key, sanitised);
}

/// True if the task has reached its limits, so that no more of this artifact is accepted.
fn is_beyond(progress: Option<&Progress>, artifact: &Artifact) -> bool {
    let Some(progress) = progress else { return false };
    let bytes: u64 = artifact.parts.iter().map(|part| part.len() as u64).sum();
    let is_new = || progress.artifacts.iter().all(|meta| meta.id != artifact.id);
    progress.content.saturating_add(bytes) > limits::CONTENT
        || (progress.artifacts.len() >= limits::ARTIFACTS && is_new())
}

/// Records the new part of an output from a report of the whole task.
fn whole_artifact(turn: &mut Turn, key: AttemptKey, artifact: Artifact, may_lag: bool) {
    let progress = turn.state().attempt(key).and_then(|attempt| attempt.progress.as_ref());
    let known = progress.and_then(|progress| progress.artifacts.iter().find(|meta| meta.id == artifact.id));
    match known.cloned() {
        None => put_artifact(turn, key, artifact, false, false),
        Some(meta) if Fingerprint::of(&artifact.parts) == meta.print => {}
        Some(meta) if may_lag && Fingerprint::of(&artifact.parts).bytes < meta.print.bytes => {}
        Some(meta) => match suffix(&meta, &artifact.parts) {
            Some(more) => put_artifact(turn, key, Artifact { parts: more, ..artifact }, true, meta.closed),
            None => {
                let closed = meta.closed;
                put_artifact(turn, key, artifact, false, closed);
            }
        },
    }
}

/// The part of an output that follows the known one, if it begins with the known one.
fn suffix(meta: &ArtifactMeta, parts: &[Part]) -> Option<Vec<Part>> {
    let mut left = usize::try_from(meta.print.bytes).ok()?;
    let mut print = Fingerprint::default();
    let mut more = Vec::new();
    for part in parts {
        let Content::Text(text) = &part.content else { return None };
        let text = text.raw();
        if left >= text.len() {
            print.add(text.as_bytes());
            left -= text.len();
        } else if text.is_char_boundary(left) {
            let (old, new) = text.split_at(left);
            print.add(old.as_bytes());
            left = 0;
            more.push(Part { content: Content::Text(Untrusted::from(new)), ..part.clone() });
        } else {
            return None;
        }
    }
    (left == 0 && print == meta.print && !more.is_empty()).then_some(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_beyond_the_limits_of_a_task_is_dropped() {
        let output = |id: &str, bytes: usize| Artifact::new(id, vec![Part::text("x".repeat(bytes))]);
        let progress = |artifacts: usize, content: u64| Progress {
            artifacts: (0..artifacts)
                .map(|number| ArtifactMeta {
                    id: format!("a{number}").as_str().into(),
                    name: None,
                    print: Fingerprint::default(),
                    closed: false,
                })
                .collect(),
            content,
            ..Progress::default()
        };
        for (progress, artifact, expected) in [
            (progress(limits::ARTIFACTS - 1, 0), output("new", 1), false),
            (progress(limits::ARTIFACTS, 0), output("new", 1), true),
            (progress(limits::ARTIFACTS, 0), output("a7", 1), false),
            (progress(1, limits::CONTENT - 5), output("a0", 5), false),
            (progress(1, limits::CONTENT - 5), output("a0", 6), true),
        ] {
            assert_eq!(is_beyond(Some(&progress), &artifact), expected, "{} of {progress:?}", artifact.id);
        }
    }

    #[test]
    fn only_the_new_end_of_a_snapshot_is_appended() {
        let meta = |text: &str| ArtifactMeta {
            id: "a".into(),
            name: None,
            print: Fingerprint::of(&[Part::text(text)]),
            closed: false,
        };
        let texts = |parts: &[&str]| parts.iter().map(|text| Part::text(*text)).collect::<Vec<_>>();
        for (known, now, expected) in [
            ("one two", vec!["one ", "two three"], Some(vec![" three"])),
            ("one ", vec!["one ", "two"], Some(vec!["two"])),
            ("one", vec!["eno more"], None),
            ("one two", vec!["one"], None),
        ] {
            assert_eq!(suffix(&meta(known), &texts(&now)), expected.map(|parts| texts(&parts)));
        }
    }
}
