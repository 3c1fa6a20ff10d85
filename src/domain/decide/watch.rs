//! Watches tasks by streams and polls, and records gaps and doubts.
//!
//! The end of a stream is not the end of its task, and watching must not change the task: with 0.3, a second
//! subscription is made only if the server is known to handle it safely.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::card::Ability;
use crate::domain::call::{Answer, StreamOutcome, SubscribeOutcome};
use crate::domain::cause::{Cause, ErrorName};
use crate::domain::decide::answer;
use crate::domain::decide::baseline;
use crate::domain::decide::cancel;
use crate::domain::decide::dispatch;
use crate::domain::decide::doubt;
use crate::domain::decide::listing;
use crate::domain::decide::live::{GetReason, ListReason, PendingCall, Timer};
use crate::domain::decide::measure;
use crate::domain::decide::not_now;
use crate::domain::decide::observe;
use crate::domain::decide::order;
use crate::domain::decide::retry;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::unknown;
use crate::domain::effect::{ListQuery, Order};
use crate::domain::fact::AttemptFact;
use crate::domain::id::{AgentKey, AttemptId, AttemptKey, CallId};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::job::task::{CancelMark, StreamEvent, TaskReport, TaskState, Verdict, Via};
use crate::domain::job::{Origin, Phase, Task};
use crate::domain::time::At;

/// Polls begin at two seconds and slow down to thirty.
const POLL_FIRST: Duration = Duration::from_secs(2);
const POLL_LAST: Duration = Duration::from_secs(30);
/// Resubscribing begins at half a second and slows down to thirty seconds.
const RESUBSCRIBE_FIRST: Duration = Duration::from_millis(500);
/// The maximum number of streams per agent for tasks that are not ours.
const FOREIGN_STREAMS: u16 = 32;
/// The wait before a second look. A disagreement or a loss is believed only then: stores lag behind their streams.
const SECOND_LOOK: Duration = Duration::from_secs(1);
/// Outputs larger than this are not fetched again only to compare states.
const LARGE: u64 = 1 << 20;
/// So many ends a second of one agent are compared with reads; the others are taken as their streams reported them.
/// Reading after every end would double the calls that a busy agent has to answer.
const COMPARED: u32 = 20;

fn task<'t>(turn: &'t Turn<'_>, key: AttemptKey) -> Option<&'t Task> {
    turn.state().attempt(key)?.task.as_ref()
}

/// An event of a task arrived on its stream. A snapshot alone does not show that the stream is alive, and one without
/// news does not show that the task is.
pub(super) fn event_seen(turn: &mut Turn, key: AttemptKey, snapshot: bool, news: bool) {
    let at = turn.at;
    let Some(now) = task(turn, key) else { return };
    let (over, verdict, gap) = (now.is_over(), now.verdict, now.gap_since().is_some());
    let agreed = now.cancel.is_some_and(|mark| matches!(mark, CancelMark::Agreed | CancelMark::Unconfirmed));
    baseline::update_seen(turn, key);
    let watch = turn.watch(key);
    let before = std::mem::replace(&mut watch.last_activity, at);
    let streams = watch.stream.is_some();
    watch.has_event = true;
    watch.cut = None;
    watch.tries = 0;
    if !snapshot {
        watch.resubscribed = 0;
    }
    if streams && !snapshot {
        measure::word(turn, key, before);
    }
    if agreed {
        cancel::still_talking(turn, key);
    }
    let is_refuted = |verdict: Verdict| match verdict {
        // A new stream is open.
        Verdict::Stalled | Verdict::Unheard => true,
        verdict if verdict.is_of_silence() => news,
        verdict => verdict.is_of_absence(),
    };
    if verdict.is_some_and(is_refuted) {
        doubt(turn, key, None);
    }
    if gap && !over {
        turn.attempt_fact(key, AttemptFact::GapClosed { via: Via::Subscribe, changed: true });
    }
    if over {
        turn.clear_timer(Timer::Quiet(key));
        if task(turn, key).is_some_and(|task| !task.settled) && !order::waits_for_stream(turn, key) {
            confirm(turn, key);
        }
    } else if !turn.timer_is_set(Timer::Quiet(key)) {
        let due = at + turn.rules.silent_after;
        turn.set_timer(Timer::Quiet(key), due);
    }
}

/// Events of a subscription.
pub(super) fn on_stream(turn: &mut Turn, key: AttemptKey, call: CallId, outcome: SubscribeOutcome) {
    match outcome {
        SubscribeOutcome::Stream(StreamOutcome::Opened { .. }) => {
            let due = turn.at + turn.rules.silent_after;
            turn.set_timer_by(Timer::Quiet(key), due);
        }
        SubscribeOutcome::Stream(StreamOutcome::Events(events)) => {
            for event in events {
                subscribed(turn, key, event);
            }
        }
        SubscribeOutcome::Stream(StreamOutcome::Ended(how)) => {
            release(turn, key, call);
            stream_ended(turn, key, how.err().map(Arc::new));
        }
        SubscribeOutcome::Failed(failure) => {
            release(turn, key, call);
            if let Cause::Rpc(error) = &failure.cause
                && matches!(
                    error.name,
                    ErrorName::UnsupportedOperation
                        | ErrorName::MethodNotFound
                        | ErrorName::TaskNotFound
                        | ErrorName::VersionNotSupported
                )
            {
                turn.watch(key).poll_only = true;
            }
            if failure.cause.is_transport() {
                // If the agent is back before it was considered down, nothing else would start the next attempt.
                if task(turn, key).is_some_and(|task| !task.settled) && !turn.timer_is_set(Timer::Watch(key))
                {
                    later(turn, key);
                }
            } else {
                read(turn, key, GetReason::Reconcile);
            }
        }
    }
}

fn subscribed(turn: &mut Turn, key: AttemptKey, event: StreamEvent) {
    let gap = task(turn, key).and_then(|task| task.gap_since()).is_some();
    match event {
        // The first event of a subscription is the whole task, which includes what was missed.
        StreamEvent::Task(report) if gap => {
            let facts = turn.out.facts.len();
            observe::report(turn, key, *report, Via::Subscribe, turn.at);
            let changed = turn.out.facts.len() > facts;
            close_gap(turn, key, Via::Subscribe, changed);
            event_seen(turn, key, true, changed);
        }
        event => observe::event(turn, key, event, Via::Subscribe),
    }
}

fn release(turn: &mut Turn, key: AttemptKey, call: CallId) {
    let agent = turn.state().attempt(key).map(|attempt| attempt.agent);
    let watch = turn.watch(key);
    if watch.stream == Some(call) {
        watch.stream = None;
    }
    if std::mem::take(&mut watch.foreign_slot)
        && let Some(agent) = agent
    {
        let live = turn.agent_live(agent);
        live.foreign_streams = live.foreign_streams.saturating_sub(1);
    }
}

/// A stream ended. The agent is asked whether the task has ended too.
pub(super) fn stream_ended(turn: &mut Turn, key: AttemptKey, cause: Option<Arc<Cause>>) {
    let at = turn.at;
    let Some(now) = task(turn, key) else { return };
    if now.is_over() {
        if !now.settled {
            confirm(turn, key);
        }
        return;
    }
    let interrupted = now.state.is_interrupted();
    let gap = now.gap_since().is_some();
    if !interrupted {
        // SDKs close streams when the task needs an answer; while it works, the end counts as a cut.
        let watch = turn.watch(key);
        watch.cut.get_or_insert(at);
        let since = watch.last_activity;
        if !gap {
            turn.attempt_fact(key, AttemptFact::GapOpened { since, cause });
        }
        let due = at + turn.rules.stalled_after;
        turn.set_timer(Timer::Quiet(key), due);
    }
    read(turn, key, GetReason::Reconcile);
}

/// Reads a task with `GetTask`, unless a read is under way; then once more after it.
pub(super) fn read(turn: &mut Turn, key: AttemptKey, why: GetReason) {
    let Some(attempt) = turn.state().attempt(key) else { return };
    let agent = attempt.agent;
    let Some(task) = attempt.task.as_ref().map(|task| task.id.clone()) else { return };
    let Some(interface) = turn.state().agent(agent).and_then(|agent| agent.interface.clone()) else { return };
    let watch = turn.watch(key);
    if watch.get.is_some() {
        watch.get_again = true;
        return;
    }
    turn.clear_timer(Timer::Watch(key));
    let call = turn.call(agent, PendingCall::Get(key, why), Order::Get { attempt: key, interface, task });
    turn.watch(key).get = Some(call);
}

/// Handles the result of a read.
pub(super) fn got(
    turn: &mut Turn,
    key: AttemptKey,
    why: GetReason,
    issued: At,
    answer: Answer<Box<TaskReport>>,
) {
    let watch = turn.watch(key);
    watch.get = None;
    let again = std::mem::take(&mut watch.get_again);
    match answer {
        Ok(answered) => {
            turn.watch(key).missing = 0;
            reported(turn, key, *answered.value, Via::Get, issued);
            cancel::still_runs(turn, key, issued);
            // No open call reports on an answer that an earlier process sent.
            let unanswered = answer::is_open(turn, key) && !answer::has_call(turn, key);
            // The read may have been requested before the answer was sent; read again.
            if why == GetReason::Answer || (unanswered && !again) {
                answer_seen(turn, key);
            }
        }
        Err(failure) => match &failure.cause {
            Cause::Rpc(error) if error.name == ErrorName::TaskNotFound => missing(turn, key),
            _ if why == GetReason::Confirm => settle(turn, key),
            _ => later(turn, key),
        },
    }
    if again {
        read(turn, key, GetReason::Reconcile);
    }
}

/// Handles a requested report and schedules the next one.
pub(super) fn reported(turn: &mut Turn, key: AttemptKey, report: TaskReport, via: Via, issued: At) {
    let Some(before) = task(turn, key) else { return };
    let (ended, gap) = (before.state.is_terminal(), before.gap_since().is_some());
    let says = report.status.state.clone();
    let changed = observe::report(turn, key, report, via, issued);
    let at = turn.at;
    if changed {
        baseline::update_seen(turn, key);
        let watch = turn.watch(key);
        watch.last_activity = at;
        watch.tries = 0;
        if watch.cut.is_some() {
            watch.cut = Some(at);
        }
        if task(turn, key).and_then(|task| task.verdict).is_some_and(Verdict::is_of_silence) {
            doubt(turn, key, None);
        }
    }
    if ended {
        return compare(turn, key, says, via, issued);
    }
    if gap {
        close_gap(turn, key, via, changed);
    }
    if task(turn, key).and_then(|task| task.verdict).is_some_and(Verdict::is_of_absence) {
        doubt(turn, key, None);
    }
    if task(turn, key).is_some_and(|task| task.state.is_terminal()) {
        let has_content = via == Via::Get || turn.state().attempt(key).is_some_and(|a| a.progress.is_none());
        if has_content {
            settle(turn, key);
        } else {
            read(turn, key, GetReason::Confirm);
        }
        return;
    }
    go_on(turn, key);
}

fn close_gap(turn: &mut Turn, key: AttemptKey, via: Via, changed: bool) {
    if task(turn, key).is_some_and(|task| task.gap_since().is_some()) {
        turn.attempt_fact(key, AttemptFact::GapClosed { via, changed });
    }
}

/// The stream reported the end of the task: asks the agent to confirm it.
fn confirm(turn: &mut Turn, key: AttemptKey) {
    let Some(attempt) = turn.state().attempt(key) else { return };
    let Some(now) = attempt.task.as_ref() else { return };
    let agent = attempt.agent;
    let plain = now.verdict.is_none() && now.cancel.is_none() && now.gap_since().is_none();
    let watch = turn.watch(key);
    let streamed = plain && watch.reported_end.is_some() && watch.resubscribed == 0 && watch.confirms == 0;
    let at = turn.at;
    if !turn.agent_live(agent).compared.allows(at, COMPARED) && streamed {
        return settle(turn, key);
    }
    let Some(now) = task(turn, key) else { return };
    let context = now.context.clone();
    let large = now.bytes > LARGE;
    if turn.watch(key).get.is_some() {
        turn.watch(key).get_again = true;
        return;
    }
    let lists = turn.state().agent(agent).is_some_and(|agent| agent.can(Ability::ListTasks))
        && !turn.agent_live(agent).listing.unsupported;
    if large && lists && context.is_some() {
        let query = ListQuery { context, ..ListQuery::default() };
        listing::order_list(turn, agent, ListReason::Confirm(key), query);
    } else if large {
        settle(turn, key);
    } else {
        read(turn, key, GetReason::Confirm);
    }
}

/// Compares an ended task with what its agent reports now. A terminal state stays; both states are shown.
pub(super) fn compare(turn: &mut Turn, key: AttemptKey, says: TaskState, via: Via, issued: At) {
    let Some(now) = task(turn, key) else { return };
    if now.state == says {
        if now.verdict == Some(Verdict::Conflict) && issued >= now.state_since {
            // Stores lag behind their streams; now both agree.
            turn.attempt_fact(key, AttemptFact::VerdictChanged { verdict: None, usual: None });
        }
        return settle(turn, key);
    }
    if issued < now.state_since {
        // It was requested before the end; read again.
        if !now.settled {
            read(turn, key, GetReason::Confirm);
        }
        return;
    }
    let known = now.says.as_deref() == Some(&says);
    let watch = turn.watch(key);
    watch.confirms += 1;
    if watch.confirms < 2 && !known {
        let due = turn.at + SECOND_LOOK;
        return turn.set_timer(Timer::Watch(key), due);
    }
    if !known {
        let says = Some(says);
        turn.attempt_fact(key, AttemptFact::ClaimSeen { says, via });
    }
    doubt(turn, key, Some(Verdict::Conflict));
    settle(turn, key);
}

/// Nothing more is expected of this task.
pub(super) fn settle(turn: &mut Turn, key: AttemptKey) {
    if order::waits_for_stream(turn, key) {
        return;
    }
    for timer in [Timer::Watch(key), Timer::Quiet(key), Timer::Cancel(key)] {
        turn.clear_timer(timer);
    }
    let needs_fact = turn.state().attempt(key).is_some_and(|attempt| {
        attempt.progress.is_some() || attempt.task.as_ref().is_some_and(|task| !task.settled)
    });
    let passing =
        |verdict: Verdict| verdict.is_of_silence() || verdict.is_of_absence() || verdict == Verdict::Looping;
    if task(turn, key).and_then(|task| task.verdict).is_some_and(passing) {
        doubt(turn, key, None);
    }
    if needs_fact {
        turn.attempt_fact(key, AttemptFact::Settled);
    }
}

/// The agent does not know the task: accepted at the second read.
fn missing(turn: &mut Turn, key: AttemptKey) {
    let Some(now) = task(turn, key) else { return };
    if now.state.is_terminal() {
        // Some servers drop ended tasks.
        return settle(turn, key);
    }
    let watch = turn.watch(key);
    watch.missing += 1;
    if watch.missing < 2 {
        let due = turn.at + SECOND_LOOK;
        return turn.set_timer(Timer::Watch(key), due);
    }
    close_gap(turn, key, Via::Get, true);
    doubt(turn, key, Some(Verdict::Lost));
    settle(turn, key);
}

/// Decides how a task is watched from here.
pub(super) fn go_on(turn: &mut Turn, key: AttemptKey) {
    let Some(attempt) = turn.state().attempt(key) else { return };
    let Some(now) = attempt.task.as_ref() else { return };
    if now.settled {
        return;
    }
    let agent = attempt.agent;
    let (ended, interrupted, id) = (now.is_over(), now.state.is_interrupted(), now.id.clone());
    let ours = turn.state().job_of(attempt).is_some_and(|job| job.origin == Origin::Sent);
    if ended {
        return confirm(turn, key);
    }
    if !turn.agent_live(agent).reached {
        return;
    }
    let watch = turn.watch(key);
    if watch.stream.is_some() || watch.get.is_some() {
        return;
    }
    if watch.missing > 0 {
        return read(turn, key, GetReason::Reconcile);
    }
    let poll_only = watch.poll_only || interrupted;
    let Some(row) = turn.state().agent(agent) else { return };
    let Some(interface) = row.interface.clone() else { return };
    let streams = row.streams();
    let resubscribes = interface.can(Ability::Resubscribe);
    let configured = row.spec.resubscribe;
    let listed = listing::shows_changes(turn, agent);
    let live = turn.agent_live(agent);
    let safe = configured.unwrap_or(resubscribes || live.is_express);
    let slot = ours || live.foreign_streams < FOREIGN_STREAMS;
    if streams && safe && slot && !poll_only {
        let watch = turn.watch(key);
        if watch.resubscribed == 0 || std::mem::take(&mut watch.ready) {
            return subscribe(turn, key, agent, interface, id, ours);
        }
        let wait = grown(RESUBSCRIBE_FIRST, watch.resubscribed - 1);
        let wait = turn.jittered(agent, wait);
        let due = turn.at + wait;
        return turn.set_timer_by(Timer::Watch(key), due);
    }
    if !ours && listed {
        // The listing shows it every five seconds, unless it is too far down in the list.
        quiet_by(turn, key);
        let due = turn.at + POLL_LAST;
        return turn.set_timer_by(Timer::Watch(key), due);
    }
    quiet_by(turn, key);
    if !turn.timer_is_set(Timer::Watch(key)) {
        later(turn, key);
    }
}

/// Sets the timer for silence: a task that is only read or listed can be stuck too.
fn quiet_by(turn: &mut Turn, key: AttemptKey) {
    let waits = task(turn, key).is_none_or(|task| task.state.is_interrupted());
    if !waits && !turn.timer_is_set(Timer::Quiet(key)) {
        let due = turn.at + turn.rules.silent_after;
        turn.set_timer(Timer::Quiet(key), due);
    }
}

fn subscribe(
    turn: &mut Turn,
    key: AttemptKey,
    agent: AgentKey,
    interface: Arc<crate::domain::agent::card::Interface>,
    task: crate::domain::id::TaskId,
    ours: bool,
) {
    turn.clear_timer(Timer::Watch(key));
    let order = Order::Subscribe { attempt: key, interface, task };
    let call = turn.call(agent, PendingCall::Stream(key), order);
    let watch = turn.watch(key);
    watch.stream = Some(call);
    watch.resubscribed = watch.resubscribed.saturating_add(1);
    if !ours {
        watch.foreign_slot = true;
        turn.agent_live(agent).foreign_streams += 1;
    }
}

/// Reads again after a delay that grows with each try.
fn later(turn: &mut Turn, key: AttemptKey) {
    let watch = turn.watch(key);
    let tries = watch.tries;
    watch.tries = tries.saturating_add(1);
    let Some(agent) = turn.state().attempt(key).map(|attempt| attempt.agent) else { return };
    let wait = turn.jittered(agent, grown(POLL_FIRST, tries));
    let due = turn.at + wait.min(POLL_LAST);
    turn.set_timer(Timer::Watch(key), due);
}

/// `first`, multiplied by 1.5 for each try, up to thirty seconds.
fn grown(first: Duration, tries: u32) -> Duration {
    let mut wait = first;
    for _ in 0..tries.min(16) {
        wait = wait * 3 / 2;
    }
    wait.min(POLL_LAST)
}

/// The timer of a task: poll, resubscribe or compare.
pub(super) fn due(turn: &mut Turn, key: AttemptKey) {
    let Some(now) = task(turn, key) else { return };
    if now.state.is_terminal() {
        let looks_again = turn.watch(key).confirms == 1;
        if task(turn, key).is_some_and(|now| !now.settled) || looks_again {
            confirm(turn, key);
        }
        return;
    }
    if now.settled {
        return;
    }
    let agent = turn.state().attempt(key).map(|attempt| attempt.agent);
    if !agent.is_some_and(|agent| turn.agent_live(agent).reached) {
        return;
    }
    // Read first: this returns what was missed, and whether the task is still running.
    turn.watch(key).ready = true;
    read(turn, key, GetReason::Reconcile);
}

/// Checks whether a task that should be sending events has become silent or stalled.
pub(super) fn look_for_quiet(turn: &mut Turn, key: AttemptKey) {
    let Some(attempt) = turn.state().attempt(key) else { return };
    let agent = attempt.agent;
    let Some(now) = attempt.task.as_ref() else { return };
    if now.is_over() || now.state.is_interrupted() || now.settled {
        return;
    }
    let at = turn.at;
    let (silent_after, stalled_after) = (turn.rules.silent_after, turn.rules.stalled_after);
    if !turn.agent_live(agent).reached {
        return;
    }
    // If the usual pause is known, it decides: an agent that thinks for minutes is not silent after half a minute.
    let usual = baseline::limit(turn, key);
    let watch = turn.watch(key);
    let (quiet, limit, verdict) = match (watch.stream, watch.cut, usual) {
        (None, Some(cut), _) => (at.since(watch.last_activity.max(cut)), stalled_after, Verdict::Stalled),
        (Some(_), ..) if !watch.has_event => (at.since(watch.last_activity), silent_after, Verdict::Unheard),
        (_, _, Some(usual)) => (at.since(watch.last_activity), usual, Verdict::Stuck),
        (Some(_), _, None) => (at.since(watch.last_activity), silent_after, Verdict::Silent),
        (None, None, None) => return,
    };
    if quiet < limit {
        let due = at + limit.saturating_sub(quiet);
        return turn.set_timer(Timer::Quiet(key), due);
    }
    // After a start the usual pause is not known for a while.
    let before = task(turn, key).and_then(|task| task.verdict);
    let verdict =
        if verdict == Verdict::Silent && before == Some(Verdict::Stuck) { Verdict::Stuck } else { verdict };
    doubt(turn, key, Some(verdict));
    turn.set_timer(Timer::Quiet(key), at + silent_after);
    // A read may show a change that the stream does not report.
    read(turn, key, GetReason::Reconcile);
}

/// The agent is gone or is not watched: the state of its tasks is stale.
pub(super) fn lose_sight(turn: &mut Turn, agent: AgentKey, since: At, cause: Option<Arc<Cause>>) {
    turn.agent_live(agent).watched = false;
    for key in turn.state().open_attempts(agent) {
        let Some(now) = task(turn, key) else { continue };
        if now.settled || now.is_over() {
            continue;
        }
        let (gap, interrupted) = (now.gap_since().is_some(), now.state.is_interrupted());
        let asked = now.verdict == Some(Verdict::Unreachable);
        // Nobody looked for a moment: what it was doubted for goes on until it says something new.
        let doubted =
            now.verdict.is_some_and(|verdict| verdict.is_of_silence() || verdict == Verdict::Looping);
        let stays = cause.is_none() && doubted;
        if !gap && !interrupted {
            let cause = cause.clone();
            turn.attempt_fact(key, AttemptFact::GapOpened { since, cause });
        }
        if !asked && !stays {
            doubt(turn, key, Some(Verdict::Stale));
        }
        retry::agent_away(turn, key);
        turn.clear_timer(Timer::Watch(key));
        turn.clear_timer(Timer::Quiet(key));
    }
}

/// The agent is back: all its tasks are read.
pub(super) fn regain_sight(turn: &mut Turn, agent: AgentKey) {
    turn.agent_live(agent).watched = true;
    dispatch::look_up_all(turn, agent);
    for key in turn.state().open_attempts(agent) {
        let Some(now) = task(turn, key) else { continue };
        if now.settled {
            continue;
        }
        let watch = turn.watch(key);
        watch.tries = 0;
        watch.missing = 0;
        // An old connection may hang forever; an answer in progress has its own limit, and closing it would lose its
        // result.
        if !answer::has_call(turn, key)
            && let Some(stream) = turn.watch(key).stream.take()
        {
            let watch = turn.watch(key);
            let foreign = std::mem::take(&mut watch.foreign_slot);
            turn.close(stream);
            if foreign {
                let live = turn.agent_live(agent);
                live.foreign_streams = live.foreign_streams.saturating_sub(1);
            }
        }
        read(turn, key, GetReason::Reconcile);
        cancel::again(turn, key);
    }
}

/// Checks whether an uncertain answer arrived: its message is in the history, or the task continued.
fn answer_seen(turn: &mut Turn, key: AttemptKey) {
    let Some(attempt) = turn.state().attempt(key) else { return };
    let Some(answer) = &attempt.answer else { return };
    let hash = crate::domain::job::message::text_hash(&answer.message.id.raw());
    let in_history = attempt.progress.as_ref().is_some_and(|progress| progress.messages.contains(&hash));
    if in_history {
        answer::finish(turn, key, Phase::Accepted, None);
    } else if answer.phase == Phase::Sending {
        answer::finish(turn, key, Phase::Uncertain, None);
    }
}

/// Reads a task on an operator's request.
pub(super) fn check(turn: &mut Turn, attempt: AttemptId) -> Result<Receipt, Refusal> {
    let key = turn.state().attempt_key(attempt).ok_or_else(|| unknown("attempt"))?;
    let row = turn.state().attempt(key).ok_or_else(|| unknown("attempt"))?;
    if row.task.is_none() {
        return match row.phase {
            Phase::Uncertain => {
                turn.watch(key).lookups = 0;
                dispatch::lookup(turn, key);
                Ok(Receipt::Done)
            }
            phase => Err(not_now(format!("the attempt is {}: there is no task to read", phase.as_str()))),
        };
    }
    read(turn, key, GetReason::Reconcile);
    Ok(Receipt::Done)
}

/// An attempt is about to be removed: its calls and timers end.
pub(super) fn forget(turn: &mut Turn, key: AttemptKey) {
    let Some(agent) = turn.state().attempt(key).map(|attempt| attempt.agent) else { return };
    if turn.live.watches.remove(&key).is_some_and(|watch| watch.foreign_slot) {
        let live = turn.agent_live(agent);
        live.foreign_streams = live.foreign_streams.saturating_sub(1);
    }
    let of_task = [Timer::Watch(key), Timer::Quiet(key), Timer::Cancel(key), Timer::Lookup(key)];
    for timer in of_task.into_iter().chain([Timer::Overdue(key), Timer::Hedge(key), Timer::Unreachable(key)])
    {
        turn.clear_timer(timer);
    }
    let calls: Vec<_> = turn.live.calls.of_attempt(agent, key).map(|(call, _)| call).collect();
    for call in calls {
        turn.close(call);
    }
}

/// Drops the watch of a task that can no longer change. A stream that is still open may report violations and ends on
/// its own.
pub(super) fn forget_settled(turn: &mut Turn, key: AttemptKey) {
    let over = turn.state().attempt(key).is_none_or(|attempt| match &attempt.task {
        Some(task) => task.settled,
        None => attempt.phase.is_over(),
    });
    let idle = turn
        .live
        .watches
        .get(&key)
        .is_some_and(|watch| watch.stream.is_none() && watch.get.is_none() && !watch.is_canceling());
    // A set timer means that a disagreement will be looked at once more.
    let idle = idle && !turn.timer_is_set(Timer::Watch(key));
    if over && idle {
        turn.live.watches.remove(&key);
    }
}
