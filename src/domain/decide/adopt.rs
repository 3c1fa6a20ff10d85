//! Tasks that are found: on first contact, by later listings, by an operator's word, or by our own message.

use std::time::Duration;

use crate::domain::agent::card::Ability;
use crate::domain::call::{Answer, Page};
use crate::domain::cause::{Cause, ErrorName};
use crate::domain::decide::dispatch;
use crate::domain::decide::lint;
use crate::domain::decide::live::{GetReason, ListReason, PendingCall, Timer};
use crate::domain::decide::observe;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::unknown;
use crate::domain::decide::watch;
use crate::domain::effect::{ListQuery, Order};
use crate::domain::fact::{AttemptFact, Fact, JobFact};
use crate::domain::id::{AgentId, AgentKey, AttemptId, AttemptKey, JobId, TaskId};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::job::Origin;
use crate::domain::job::message::{Hints, Message, Role};
use crate::domain::job::task::{TaskReport, TaskState, Via};
use crate::domain::text::Untrusted;
use crate::domain::time::{At, PeerTime};

/// At most so many tasks of one agent are adopted on first contact.
const AT_FIRST: u32 = 1000;
/// Ended tasks are adopted when they are younger than this.
const ENDED_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// Listings follow each other so fast while there is something to see.
const BUSY: Duration = Duration::from_secs(5);
/// And for so long after the last change.
const BUSY_FOR: Duration = Duration::from_secs(60);
/// Every so many listings, tasks that were only submitted are asked for apart: one SDK gives them
/// no timestamp, and sorts them last.
const SUBMITTED_EVERY: u32 = 6;
/// Pages that one listing reads on as long as they show something new.
const PAGES: u32 = 10;

/// Orders a listing.
pub(super) fn order_list(turn: &mut Turn, agent: AgentKey, why: ListReason, query: ListQuery) {
    let interface = turn.state().agent(agent).and_then(|agent| agent.interface.clone());
    let Some(interface) = interface else { return };
    let own = matches!(why, ListReason::Adopt | ListReason::Refresh);
    let call = turn.call(agent, PendingCall::List(why, query.clone()), Order::List { interface, query });
    if own {
        turn.agent_live(agent).listing.call = Some(call);
    }
}

/// A probe was answered: adopt on first contact, else look what is new.
pub(super) fn with_probe(turn: &mut Turn, agent: AgentKey) {
    if !turn.timer_is_set(Timer::List(agent)) {
        refresh(turn, agent);
    }
}

/// Asks for what is new.
pub(super) fn refresh(turn: &mut Turn, agent: AgentKey) {
    let Some(row) = turn.state().agent(agent) else { return };
    if !row.can(Ability::ListTasks) || !row.listed {
        return;
    }
    let wants = turn.state().wants_messages(agent);
    let live = turn.agent_live(agent);
    if live.listing.unsupported || live.listing.call.is_some() || !live.reached {
        return;
    }
    if !live.listing.adopted {
        live.listing.adopted = true;
        live.listing.budget = AT_FIRST;
        // Last first: what runs is asked for before what has ended.
        live.listing.states = vec![
            TaskState::Rejected,
            TaskState::Canceled,
            TaskState::Failed,
            TaskState::Completed,
            TaskState::Submitted,
            TaskState::AuthRequired,
            TaskState::InputRequired,
            TaskState::Working,
        ];
        return adopt_next(turn, agent);
    }
    live.listing.rounds = live.listing.rounds.wrapping_add(1);
    let history = live.listing.busy || wants;
    let state = live.listing.rounds.is_multiple_of(SUBMITTED_EVERY).then_some(TaskState::Submitted);
    order_list(turn, agent, ListReason::Refresh, ListQuery { state, history, ..ListQuery::default() });
}

fn adopt_next(turn: &mut Turn, agent: AgentKey) {
    let at = turn.at;
    let listing = &mut turn.agent_live(agent).listing;
    let next = if listing.budget > 0 { listing.states.pop() } else { None };
    let Some(state) = next else {
        listing.states.clear();
        listing.changed = at;
        return schedule(turn, agent);
    };
    let after = state.is_terminal().then(|| PeerTime((at - ENDED_WITHIN).micros()));
    let query = ListQuery { state: Some(state), after, history: true, ..ListQuery::default() };
    order_list(turn, agent, ListReason::Adopt, query);
}

/// The next listing comes soon while there is something to see, else with the probe.
fn schedule(turn: &mut Turn, agent: AgentKey) {
    let at = turn.at;
    let live_tasks = turn.state().agent(agent).is_some_and(|agent| agent.counts.live > 0);
    let changed = turn.agent_live(agent).listing.changed;
    if live_tasks || at.since(changed) < BUSY_FOR {
        turn.set_timer(Timer::List(agent), at + BUSY);
    }
}

/// A job was sent to the agent, or one was found: the listing becomes quick.
pub(super) fn quicken(turn: &mut Turn, agent: AgentKey) {
    let due = turn.at + BUSY;
    let lists = turn.state().agent(agent).is_some_and(|agent| agent.can(Ability::ListTasks));
    let listing = &turn.agent_live(agent).listing;
    if lists && !listing.unsupported && listing.adopted && listing.call.is_none() && listing.states.is_empty()
    {
        turn.set_timer_by(Timer::List(agent), due);
    }
}

/// What a listing told.
pub(super) fn listed(
    turn: &mut Turn,
    agent: AgentKey,
    why: ListReason,
    query: ListQuery,
    issued: At,
    answer: Answer<Page>,
) {
    if matches!(why, ListReason::Adopt | ListReason::Refresh) {
        turn.agent_live(agent).listing.call = None;
    }
    let Page { tasks, next, total: _, unread: _ } = match answer {
        Ok(answered) => answered.value,
        Err(failure) => return list_failed(turn, agent, why, &failure.cause),
    };
    match why {
        ListReason::Confirm(key) => {
            let wanted =
                turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()).map(|t| t.id.clone());
            match tasks.into_iter().find(|report| Some(&report.id) == wanted.as_ref()) {
                Some(report) => watch::compare(turn, key, report.status.state, Via::List, issued),
                None => watch::settle(turn, key),
            }
        }
        ListReason::Lookup(key) => look_up(turn, agent, key, query, tasks, next, issued),
        ListReason::Adopt => {
            for report in tasks {
                if turn.agent_live(agent).listing.budget == 0 {
                    break;
                }
                if take_listed(turn, agent, report, true, issued) {
                    turn.agent_live(agent).listing.budget -= 1;
                }
            }
            match next {
                Some(page) if turn.agent_live(agent).listing.budget > 0 => {
                    order_list(turn, agent, ListReason::Adopt, ListQuery { page: Some(page), ..query });
                }
                _ => adopt_next(turn, agent),
            }
        }
        ListReason::Refresh => refreshed(turn, agent, query, tasks, next, issued),
    }
}

fn refreshed(
    turn: &mut Turn,
    agent: AgentKey,
    query: ListQuery,
    tasks: Vec<TaskReport>,
    next: Option<Untrusted>,
    issued: At,
) {
    let at = turn.at;
    let is_new = |turn: &Turn, report: &TaskReport| turn.state().attempt_of_task(agent, &report.id).is_none();
    let news = tasks.iter().filter(|report| is_new(turn, report)).count();
    let facts = turn.out.facts.len();
    let again = news > 0 && !query.history;
    for report in tasks {
        // Without its messages, a new task may be one of ours whose stream has not told yet.
        if query.history || !is_new(turn, &report) {
            take_listed(turn, agent, report, query.history, issued);
        }
    }
    if turn.out.facts.len() > facts || news > 0 {
        turn.agent_live(agent).listing.changed = at;
    }
    turn.agent_live(agent).listing.busy = news > 0;
    let more = news > 0 && !turn.agent_live(agent).listing.rounds.is_multiple_of(SUBMITTED_EVERY * PAGES);
    match next {
        _ if again => order_list(turn, agent, ListReason::Refresh, ListQuery { history: true, ..query }),
        Some(page) if more => {
            order_list(turn, agent, ListReason::Refresh, ListQuery { page: Some(page), ..query });
        }
        _ => schedule(turn, agent),
    }
}

fn list_failed(turn: &mut Turn, agent: AgentKey, why: ListReason, cause: &Cause) {
    if let Cause::Rpc(error) = cause
        && matches!(error.name, ErrorName::MethodNotFound | ErrorName::UnsupportedOperation)
    {
        turn.agent_live(agent).listing.unsupported = true;
    }
    match why {
        ListReason::Confirm(key) => watch::settle(turn, key),
        ListReason::Lookup(key) => dispatch::not_found(turn, key),
        ListReason::Adopt => {
            // What cannot be read for one state cannot be read for the others: it is asked again with the next probe.
            let stops = cause.is_transport() || matches!(cause, Cause::Malformed(_));
            if turn.agent_live(agent).listing.unsupported || stops {
                turn.agent_live(agent).listing.states.clear();
                turn.agent_live(agent).listing.adopted = turn.agent_live(agent).listing.unsupported;
            } else {
                adopt_next(turn, agent);
            }
        }
        ListReason::Refresh => schedule(turn, agent),
    }
    if turn.agent_live(agent).listing.unsupported {
        // What only the listing showed is polled from now on.
        for key in turn.state().open_attempts(agent) {
            watch::go_on(turn, key);
        }
    }
}

/// Takes a task of a listing; true if it was new.
fn take_listed(turn: &mut Turn, agent: AgentKey, report: TaskReport, with_history: bool, issued: At) -> bool {
    if let Some(key) = turn.state().attempt_of_task(agent, &report.id) {
        if with_history {
            explain(turn, key, &report);
        }
        // A listing leaves outputs out, and may leave messages out: they are no news.
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

/// The sending of ours that this task came of.
fn wanted_by(turn: &Turn, agent: AgentKey, report: &TaskReport) -> Option<AttemptKey> {
    let said = report.history.iter().chain(report.status.message.iter());
    said.into_iter().find_map(|message| turn.state().attempt_wanting(agent, &message.id))
}

/// An implicit job of one attempt, for a task that somebody else sent.
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
    };
    turn.record_new(Fact::Job(job, opened));
    let planned = AttemptFact::Planned { agent: agent_id, message_id: None };
    turn.job_fact(job, JobFact::Attempt(attempt, planned));
    let Some(key) = turn.state().attempt_key(attempt) else { return };
    let ended = report.status.state.is_terminal();
    observe::report(turn, key, TaskReport { artifacts: None, ..report }, Via::List, issued);
    if ended {
        // Its outputs are fetched when somebody opens it.
        turn.attempt_fact(key, AttemptFact::Settled);
    } else {
        watch::go_on(turn, key);
        quicken(turn, agent);
    }
}

/// What a report tells about who wanted what.
struct About {
    title: Untrusted,
    hints: Hints,
}

impl About {
    fn of(report: &TaskReport) -> Self {
        let first = report.history.iter().find(|message| message.role == Role::User);
        let title =
            first.map_or_else(|| Untrusted::from(""), |message| message.headline(dispatch::TITLE_CHARS));
        let said = |pick: fn(&Hints) -> Option<Untrusted>| {
            first.and_then(|message| pick(&message.hints)).or_else(|| pick(&report.hints))
        };
        let referenced = |message: &Message| message.references.first().cloned();
        let parent =
            first.and_then(|message| message.hints.parent.clone()).or_else(|| report.hints.parent.clone());
        Self {
            title,
            hints: Hints {
                caller: said(|hints| hints.caller.clone()),
                skill: said(|hints| hints.skill.clone()),
                parent: parent.or_else(|| first.and_then(referenced)),
            },
        }
    }
}

/// A found job whose first message was not known yet.
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
}

/// A found attempt turns out to be a sending of ours: the implicit job goes.
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
    turn.live.calls.retain(|_, pending| {
        !matches!(pending.call,
        PendingCall::Get(of, _) | PendingCall::Stream(of) | PendingCall::Cancel(of) if of == key)
    });
    lint::forget(turn, &[key]);
    turn.job_fact(id, JobFact::Forgotten);
}

fn look_up(
    turn: &mut Turn,
    agent: AgentKey,
    key: AttemptKey,
    query: ListQuery,
    tasks: Vec<TaskReport>,
    next: Option<Untrusted>,
    issued: At,
) {
    if turn.state().attempt(key).is_none_or(|attempt| attempt.task.is_some()) {
        return;
    }
    for report in tasks {
        if wanted_by(turn, agent, &report) == Some(key) {
            observe::report(turn, key, report, Via::List, issued);
            return watch::go_on(turn, key);
        }
    }
    let page = turn.watch(key).tries;
    match next {
        Some(next) if page < PAGES => {
            turn.watch(key).tries = page + 1;
            order_list(turn, agent, ListReason::Lookup(key), ListQuery { page: Some(next), ..query });
        }
        _ => {
            turn.watch(key).tries = 0;
            dispatch::not_found(turn, key);
        }
    }
}

/// Follows a task that an operator names.
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
    Ok(Receipt::Taken { job, attempt })
}
