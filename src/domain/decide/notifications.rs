//! Which problems are posted to the webhook, and when.
//!
//! A notification is due from the fact that makes it due until the fact that records the result of its post. The row of
//! its problem carries it meanwhile, so the next engine posts what this one could not. A post leaves only after the
//! commit of the fact that makes it due. If an engine dies between a post and the commit of its result, the next one
//! posts it again: each is posted at least once.
//!
//! At most [`limits::NOTIFICATIONS`] are due at the same time. When there are that many, the oldest ones matter
//! most: a new one is not posted, which is recorded as a failed post.

use crate::domain::decide::turn::Turn;
use crate::domain::effect::{Notification, Order};
use crate::domain::fact::FleetFact;
use crate::domain::id::CallId;
use crate::domain::input::PostResult;
use crate::domain::limits;
use crate::domain::problem::{Kind, NotificationEvent, Problem};

/// Notifies of a problem that has just been raised.
pub(super) fn raised(turn: &mut Turn, number: u32) {
    add(turn, number, NotificationEvent::Raised, None);
}

/// Notifies of a problem that has just cleared.
pub(super) fn cleared(turn: &mut Turn, number: u32, into: Option<u32>) {
    add(turn, number, NotificationEvent::Cleared, into);
    let Some(problem) = turn.state().problem(number) else { return };
    if problem.due.is_empty() {
        // It cleared while muted: no notification is due any more.
        turn.live.notifications.retain(|(of, _), _| *of != number);
    }
}

fn add(turn: &mut Turn, number: u32, event: NotificationEvent, into: Option<u32>) {
    let Some(problem) = turn.state().problem(number) else { return };
    if !is_wanted(turn, problem) || problem.muted.is_some() {
        return;
    }
    if turn.live.notifications.len() >= limits::NOTIFICATIONS {
        let why =
            format!("{} notifications were already waiting; this one was dropped", limits::NOTIFICATIONS);
        return posted(turn, PostResult { number, event, failed: Some(why.into()) });
    }
    turn.fleet_fact(FleetFact::NotificationDue { number, event, into });
    turn.live.notifications.insert((number, event), None);
    order(turn, number, event);
}

fn is_wanted(turn: &Turn, problem: &Problem) -> bool {
    turn.rules.notify_from.is_some_and(|least| problem.kind.severity() >= least)
}

/// Orders notifications that are due and were not ordered yet, or whose order was withheld.
pub(super) fn order_due(turn: &mut Turn) {
    let waiting = turn.live.notifications.iter().filter(|(_, call)| call.is_none());
    let waiting: Vec<_> = waiting.map(|(due, _)| *due).collect();
    for (number, event) in waiting {
        order(turn, number, event);
    }
}

/// Orders a post, unless it must wait for the end of a mute or for a writable journal. A post about the journal itself
/// does not wait for it.
fn order(turn: &mut Turn, number: u32, event: NotificationEvent) {
    let Some(problem) = turn.state().problem(number) else {
        // It was removed after the time that problems are kept.
        turn.live.notifications.remove(&(number, event));
        return;
    };
    let unsaved = turn.live.unsaved.is_some() && problem.kind != Kind::JournalUnsaved;
    if unsaved || problem.muted.is_some() {
        return;
    }
    let Some(due) = problem.due.iter().find(|due| due.event == event) else { return };
    let agent = problem.agent.and_then(|key| turn.state().agent(key));
    let notification = Notification {
        event,
        into: due.into,
        problem: problem.clone(),
        agent: agent.map(|agent| (agent.name.clone(), agent.spec.url.clone())),
    };
    let call = turn.order_of_shell(Order::Notify(Box::new(notification)));
    turn.live.notifications.insert((number, event), Some(call));
}

/// The fact that a notification is due was not written, so its post was not carried out. It stays due until the
/// journal can be written again.
pub(super) fn withheld(turn: &mut Turn, call: CallId) {
    for ordered in turn.live.notifications.values_mut() {
        if *ordered == Some(call) {
            *ordered = None;
        }
    }
}

/// A problem was posted, or could not be.
pub(super) fn posted(turn: &mut Turn, post: PostResult) {
    let PostResult { number, event, failed } = post;
    turn.touched.console = true;
    turn.live.unposted.clone_from(&failed);
    turn.live.notifications.remove(&(number, event));
    turn.fleet_fact(FleetFact::ProblemPosted { number, event, failed });
}

/// After a start: orders what the previous engine did not post.
pub(super) fn resume(turn: &mut Turn) {
    let wanted = turn.state().problems().iter().filter(|(_, problem)| is_wanted(turn, problem));
    let due =
        wanted.flat_map(|(_, problem)| problem.due.iter().map(|due| ((problem.number, due.event), None)));
    let due = due.take(limits::NOTIFICATIONS).collect();
    turn.live.notifications = due;
    order_due(turn);
}
