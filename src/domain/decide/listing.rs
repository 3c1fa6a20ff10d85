//! Lists an agent's tasks: all of them on first contact, and after that only what is new.
//!
//! `ListTasks` returns the newest tasks first, by the time of the status (specification, section 3.1.4). A scan for new
//! tasks therefore reads a page of the newest and continues only while the last task of a page is new, so that it costs
//! the same however many tasks the agent keeps. There are two exceptions. The Python SDK gives new tasks no timestamp and
//! sorts them last, so submitted tasks are requested separately. Some agents list in another order, which shows in their
//! pages; for them, and to notice them, the whole list is read every ten minutes.

use std::time::Duration;

use crate::domain::agent::card::Ability;
use crate::domain::call::{Answer, Page};
use crate::domain::cause::{Cause, ErrorName};
use crate::domain::decide::adopt;
use crate::domain::decide::dispatch;
use crate::domain::decide::listing_gaps;
use crate::domain::decide::live::{ListReason, Listing, PendingCall, Timer};
use crate::domain::decide::observe;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::watch;
use crate::domain::effect::{ListQuery, Order};
use crate::domain::id::{AgentKey, AttemptKey};
use crate::domain::job::task::{TaskReport, TaskState, Via};
use crate::domain::text::Untrusted;
use crate::domain::time::{At, PeerTime};

/// The maximum number of tasks of one agent that are adopted on first contact.
const AT_FIRST: u32 = 1000;
/// Ended tasks are adopted on first contact when they are younger than this.
const ENDED_WITHIN: Duration = Duration::from_secs(24 * 3600);
/// The interval between scans of a busy agent.
const BUSY: Duration = Duration::from_secs(5);
/// An agent counts as busy for this long after the last change.
const BUSY_FOR: Duration = Duration::from_secs(60);
/// How often the whole list is read.
const WHOLE_EVERY: Duration = Duration::from_secs(600);
/// The page size of a scan for new tasks.
const NEWEST: u16 = 20;
/// The maximum number of pages of a scan, or of a search for one message.
const PAGES: u32 = 10;
/// The maximum number of pages of a whole list: 10,000 tasks.
const WHOLE_PAGES: u32 = 100;
/// An agent may store a status this long after the time that it gives it, so a task can appear below newer ones.
const STORED_WITHIN: Duration = Duration::from_secs(60);
/// Times within a page may be out of order by this much: replicas of an agent have different clocks.
const SKEW: Duration = Duration::from_secs(1);

/// Orders a listing.
pub(super) fn order_list(turn: &mut Turn, agent: AgentKey, why: ListReason, query: ListQuery) {
    let interface = turn.state().agent(agent).and_then(|agent| agent.interface.clone());
    let Some(interface) = interface else { return };
    let own = why.is_scan();
    let call =
        turn.call(agent, PendingCall::List(why, Box::new(query.clone())), Order::List { interface, query });
    if own {
        turn.agent_live(agent).listing.call = Some(call);
    }
}

/// A probe was answered: adopts the agent's tasks on first contact, and scans for new ones after that.
pub(super) fn with_probe(turn: &mut Turn, agent: AgentKey) {
    if !turn.timer_is_set(Timer::List(agent)) {
        scan(turn, agent);
    }
}

/// True if scans show the changes of the agent's tasks, so that they need not be polled.
pub(super) fn shows_changes(turn: &mut Turn, agent: AgentKey) -> bool {
    let lists = turn.state().agent(agent).is_some_and(|agent| agent.can(Ability::ListTasks));
    let listing = &turn.agent_live(agent).listing;
    lists && !listing.unsupported && !listing.unordered
}

/// Begins a scan for new tasks.
pub(super) fn scan(turn: &mut Turn, agent: AgentKey) {
    let Some(row) = turn.state().agent(agent) else { return };
    if !row.can(Ability::ListTasks) || !row.listed {
        return;
    }
    let at = turn.at;
    let live = turn.agent_live(agent);
    if live.listing.unsupported || live.listing.call.is_some() || !live.reached {
        return;
    }
    let listing = &mut live.listing;
    (listing.pages, listing.newest, listing.last, listing.page_end) = (0, None, None, None);
    if !listing.adopted {
        listing.adopted = true;
        listing.budget = AT_FIRST;
        // Popped from the end: running tasks are requested before those that have ended.
        listing.states = vec![
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
    if at.since(listing.whole) >= WHOLE_EVERY {
        // It includes the submitted tasks.
        listing.states = Vec::new();
        listing.whole = at;
        order_list(turn, agent, ListReason::Whole, ListQuery::default());
    } else if listing.unordered {
        listing.states =
            vec![TaskState::Submitted, TaskState::AuthRequired, TaskState::InputRequired, TaskState::Working];
        scan_next(turn, agent);
    } else {
        listing.states = vec![TaskState::Submitted];
        order_page(turn, agent, ListReason::Newest, None);
    }
}

/// Requests the first page of a scan. Messages make up most of a page, so they are requested only after a new task has
/// shown up.
fn order_page(turn: &mut Turn, agent: AgentKey, why: ListReason, state: Option<TaskState>) {
    let history = turn.state().wants_messages(agent);
    order_list(turn, agent, why, ListQuery { state, history, size: Some(NEWEST), ..ListQuery::default() });
}

/// Continues with the states that have not been requested yet.
fn scan_next(turn: &mut Turn, agent: AgentKey) {
    let listing = &mut turn.agent_live(agent).listing;
    listing.pages = 0;
    match listing.states.pop() {
        Some(state) => order_page(turn, agent, ListReason::InState, Some(state)),
        None => schedule(turn, agent),
    }
}

fn adopt_next(turn: &mut Turn, agent: AgentKey) {
    let at = turn.at;
    let listing = &mut turn.agent_live(agent).listing;
    listing.last = None;
    let next = if listing.budget > 0 { listing.states.pop() } else { None };
    let Some(state) = next else {
        listing.states.clear();
        listing.changed = at;
        listing.whole = at;
        listing.listed_until = listing.whole_until;
        listing.listed_at = at;
        return schedule(turn, agent);
    };
    let after = state.is_terminal().then(|| PeerTime::from_micros((at - ENDED_WITHIN).micros()));
    let query = ListQuery { state: Some(state), after, history: true, ..ListQuery::default() };
    order_list(turn, agent, ListReason::Adopt, query);
}

/// Schedules the next scan: soon if the agent is busy, otherwise it follows the next probe.
fn schedule(turn: &mut Turn, agent: AgentKey) {
    if is_busy(turn, agent) {
        let due = turn.at + BUSY;
        turn.set_timer(Timer::List(agent), due);
    }
}

/// True while tasks of the agent run, and for a minute after the last change.
fn is_busy(turn: &mut Turn, agent: AgentKey) -> bool {
    let live_tasks = turn.state().agent(agent).is_some_and(|agent| agent.counts.live > 0);
    let changed = turn.agent_live(agent).listing.changed;
    live_tasks || turn.at.since(changed) < BUSY_FOR
}

/// A job was sent to the agent, or one was found: the next scan comes soon.
pub(super) fn quicken(turn: &mut Turn, agent: AgentKey) {
    let due = turn.at + BUSY;
    let lists = turn.state().agent(agent).is_some_and(|agent| agent.can(Ability::ListTasks));
    let listing = &turn.agent_live(agent).listing;
    if lists && !listing.unsupported && listing.adopted && listing.call.is_none() && listing.states.is_empty()
    {
        turn.set_timer_by(Timer::List(agent), due);
    }
}

/// A listing was answered.
pub(super) fn listed(
    turn: &mut Turn,
    agent: AgentKey,
    why: ListReason,
    query: ListQuery,
    issued: At,
    answer: Answer<Page>,
) {
    if why.is_scan() {
        turn.agent_live(agent).listing.call = None;
    }
    let page = match answer {
        Ok(answered) => answered.value,
        Err(failure) => return list_failed(turn, agent, why, &failure.cause),
    };
    listing_gaps::read(turn, agent, &why, &query, &page);
    let Page { tasks, next, .. } = page;
    match why {
        ListReason::Confirm(key) => {
            let wanted =
                turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()).map(|t| t.id.clone());
            match tasks.into_iter().find(|report| Some(&report.id) == wanted.as_ref()) {
                Some(report) => watch::compare(turn, key, report.status.state, Via::List, issued),
                None => watch::settle(turn, key),
            }
        }
        ListReason::Lookup(key) => find_message(turn, agent, key, query, tasks, next, issued),
        ListReason::Adopt => adopted(turn, agent, query, tasks, next, issued),
        ListReason::Newest | ListReason::InState | ListReason::Whole => {
            scanned(turn, agent, why, query, tasks, next, issued);
        }
    }
}

fn adopted(
    turn: &mut Turn,
    agent: AgentKey,
    query: ListQuery,
    tasks: Vec<TaskReport>,
    next: Option<Untrusted>,
    issued: At,
) {
    let newest = tasks.iter().filter_map(|report| report.status.timestamp).max();
    let listing = &mut turn.agent_live(agent).listing;
    // Tasks that are newer than the first page with content may have changed while further pages were read.
    listing.whole_until = listing.whole_until.or(newest);
    for report in tasks {
        if turn.agent_live(agent).listing.budget == 0 {
            break;
        }
        if adopt::take_listed(turn, agent, report, true, issued) {
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

/// Handles a page of a scan.
fn scanned(
    turn: &mut Turn,
    agent: AgentKey,
    why: ListReason,
    query: ListQuery,
    tasks: Vec<TaskReport>,
    next: Option<Untrusted>,
    issued: At,
) {
    let at = turn.at;
    let is_unknown =
        |turn: &Turn, report: &TaskReport| turn.state().attempt_of_task(agent, &report.id).is_none();
    let is_news = |turn: &mut Turn, report: &TaskReport| {
        is_unknown(turn, report) && is_adopted(&turn.agent_live(agent).listing, &why, report, at)
    };
    let news = tasks.iter().rposition(|report| is_news(turn, report)).map_or(0, |last| last + 1);
    let end = tasks.last().is_some_and(|report| {
        let listed_until = turn.agent_live(agent).listing.listed_until;
        is_news(turn, report) || listed_until < report.status.timestamp && why == ListReason::Newest
    });
    if news > 0 && !query.history {
        // Without its messages, a new task may be one of ours whose stream has not reported yet.
        return with_messages(turn, agent, why, query, news, end);
    }
    // A page that was requested again ends with a new task in any case; what counts is the end of the original page.
    let end = turn.agent_live(agent).listing.page_end.take().unwrap_or(end);
    let disordered = query.state.is_none() && is_disordered(turn, agent, &why, &tasks);
    let facts = turn.out.facts.len();
    for report in tasks {
        if !is_unknown(turn, &report) || is_news(turn, &report) {
            adopt::take_listed(turn, agent, report, query.history, issued);
        }
    }
    let changed = news > 0 || turn.out.facts.len() > facts;
    let listing = &mut turn.agent_live(agent).listing;
    if changed {
        listing.changed = at;
    }
    listing.pages += 1;
    if disordered && !listing.unordered {
        listing.unordered = true;
        // Tasks that only scans followed are polled from now on.
        go_on(turn, agent);
    }
    let (limit, more) = if why == ListReason::Whole { (WHOLE_PAGES, true) } else { (PAGES, end) };
    let listing = &mut turn.agent_live(agent).listing;
    let cut = listing.pages >= limit;
    match next {
        Some(page) if more && !cut => {
            let size = if why == ListReason::Whole { None } else { Some(NEWEST) };
            order_list(turn, agent, why, ListQuery { page: Some(page), size, ..query });
        }
        next => {
            if why == ListReason::Newest && more && next.is_some() {
                // More has changed than a scan reads.
                listing.whole = At::ZERO;
            }
            let was_all = next.is_none() && query.state.is_none();
            if why != ListReason::InState && listing.newest > listing.listed_until {
                listing.listed_until = listing.newest;
                listing.listed_at = at;
            }
            if why == ListReason::Whole {
                listing.whole_until = listing.listed_until;
            }
            if was_all && !is_busy(turn, agent) && turn.agent_live(agent).listing_gaps.words().is_none() {
                // Submitted tasks were in this list. A busy agent is asked for them anyway, so that its cost stays the
                // same once it has more tasks than fit on a page.
                turn.agent_live(agent).listing.states.clear();
            }
            scan_next(turn, agent);
        }
    }
}

/// Repeats a request with messages after a page without them showed new tasks: for the first `news` tasks of the first
/// page, or from the beginning if a later page showed them, as the token that led to it may be used up.
fn with_messages(
    turn: &mut Turn,
    agent: AgentKey,
    why: ListReason,
    query: ListQuery,
    news: usize,
    end: bool,
) {
    let listing = &mut turn.agent_live(agent).listing;
    let first = query.page.is_none();
    (listing.pages, listing.last) = (0, None);
    listing.page_end = (first && why != ListReason::Whole).then_some(end);
    let size =
        if first { query.size.map(|size| size.min(u16::try_from(news).unwrap_or(size))) } else { query.size };
    order_list(turn, agent, why, ListQuery { history: true, page: None, size, ..query });
}

/// True if an unknown task is to be followed. An ended task that is older than the last scan was left out on first
/// contact, or has been forgotten since.
fn is_adopted(listing: &Listing, why: &ListReason, report: &TaskReport, now: At) -> bool {
    let until = match why {
        ListReason::Whole | ListReason::InState => listing.whole_until,
        _ => listing.listed_until,
    };
    // If nothing has changed for longer than this, older tasks have been seen, and may have been forgotten since.
    let is_recent = now.since(listing.listed_at) < WHOLE_EVERY + STORED_WITHIN;
    let late = if is_recent { STORED_WITHIN } else { Duration::ZERO };
    let until =
        until.map_or(PeerTime::from_micros((now - ENDED_WITHIN).micros()), |until| until.before(late));
    !report.status.state.is_terminal() || report.status.timestamp.is_none_or(|time| time > until)
}

/// True if a page shows that the agent does not list the newest first: a task is newer than the one before it, or the
/// whole list contains one that earlier scans should have shown.
fn is_disordered(turn: &mut Turn, agent: AgentKey, why: &ListReason, tasks: &[TaskReport]) -> bool {
    let missed = |turn: &mut Turn, report: &TaskReport, time: PeerTime| {
        let listing = &turn.agent_live(agent).listing;
        let (Some(after), Some(until)) = (listing.whole_until, listing.listed_until) else { return false };
        let was_due = after < time && time < until.before(STORED_WITHIN);
        was_due && turn.state().attempt_of_task(agent, &report.id).is_none()
    };
    let mut disordered = false;
    for report in tasks {
        let Some(time) = report.status.timestamp else { continue };
        disordered |= *why == ListReason::Whole && missed(turn, report, time);
        let listing = &mut turn.agent_live(agent).listing;
        disordered |= listing.last.is_some_and(|last| time.before(SKEW) > last);
        listing.last = Some(time);
        if listing.pages == 0 {
            // Changes that happen while further pages are read are left to the next scan.
            listing.newest = listing.newest.max(Some(time));
        }
    }
    disordered
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
            // If one state cannot be listed, neither can the others: the next probe tries again.
            let stops = cause.is_transport() || matches!(cause, Cause::Malformed(_));
            if turn.agent_live(agent).listing.unsupported || stops {
                turn.agent_live(agent).listing.states.clear();
                turn.agent_live(agent).listing.adopted = turn.agent_live(agent).listing.unsupported;
            } else {
                adopt_next(turn, agent);
            }
        }
        ListReason::Newest | ListReason::InState | ListReason::Whole => {
            turn.agent_live(agent).listing.states.clear();
            schedule(turn, agent);
        }
    }
    if turn.agent_live(agent).listing.unsupported {
        // Tasks that only scans followed are polled from now on.
        go_on(turn, agent);
    }
}

fn go_on(turn: &mut Turn, agent: AgentKey) {
    for key in turn.state().open_attempts(agent) {
        watch::go_on(turn, key);
    }
}

fn find_message(
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
        if adopt::wanted_by(turn, agent, &report) == Some(key) {
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
