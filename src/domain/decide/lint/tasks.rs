//! Findings about the tasks of an agent: one problem for all tasks with the same fault.

use std::collections::BTreeSet;

use crate::domain::decide::lint::Finding;
use crate::domain::decide::turn::Turn;
use crate::domain::id::{AgentKey, AttemptKey};
use crate::domain::job::Attempt;
use crate::domain::problem::{Kind, Subject};

/// Updates the problems that an attempt belongs to, and adds the changed ones to `changed`.
pub(super) fn place(turn: &mut Turn, key: AttemptKey, changed: &mut BTreeSet<(AgentKey, Kind)>) {
    let Some(attempt) = turn.state().attempt(key) else { return };
    let job = turn.state().job_of(attempt);
    let earlier = job.filter(|_| attempt.number > 1).map(|job| job.attempts.clone()).unwrap_or_default();
    place_one(turn, key, changed);
    // What becomes of a job decides whether its earlier attempts are problems.
    for earlier in earlier.into_iter().filter(|earlier| *earlier != key) {
        place_one(turn, earlier, changed);
    }
}

fn place_one(turn: &mut Turn, key: AttemptKey, changed: &mut BTreeSet<(AgentKey, Kind)>) {
    let Some(attempt) = turn.state().attempt(key) else { return };
    let (agent, job) = (attempt.agent, turn.state().job_of(attempt));
    let mut now: Vec<Kind> = Vec::new();
    // Nearly all attempts have no fault.
    if attempt.is_doubtful() || attempt.task.as_ref().is_some_and(|task| task.cancel.is_some()) {
        now.extend(Kind::OF_TASKS.iter().copied().filter(|kind| kind.is_about(attempt, job)));
    }
    let members = &mut turn.live.members;
    for kind in Kind::OF_TASKS {
        let belongs = now.contains(kind);
        match members.get_mut(&(agent, *kind)) {
            Some(keys) if belongs => {
                keys.insert(key);
                changed.insert((agent, *kind));
            }
            Some(keys) => {
                if keys.remove(&key) {
                    changed.insert((agent, *kind));
                }
                if keys.is_empty() {
                    members.remove(&(agent, *kind));
                }
            }
            None if belongs => {
                members.insert((agent, *kind), BTreeSet::from([key]));
                changed.insert((agent, *kind));
            }
            None => {}
        }
    }
}

/// Removes an attempt that is about to be forgotten from its problems.
pub(super) fn leave(turn: &mut Turn, key: AttemptKey, changed: &mut BTreeSet<(AgentKey, Kind)>) {
    let Some(agent) = turn.state().attempt(key).map(|attempt| attempt.agent) else { return };
    for kind in Kind::OF_TASKS {
        if let Some(keys) = turn.live.members.get_mut(&(agent, *kind))
            && keys.remove(&key)
        {
            changed.insert((agent, *kind));
            if keys.is_empty() {
                turn.live.members.remove(&(agent, *kind));
            }
        }
    }
}

/// The problem of this kind that the tasks of an agent have; `None` if they have none.
pub(super) fn finding(turn: &Turn, agent: AgentKey, kind: Kind) -> Option<Finding> {
    let members = turn.live.members.get(&(agent, kind))?;
    let first = turn.state().attempt(*members.first()?)?;
    let (what, all) = (subject(turn, first), members.len());
    let whom = if all == 1 { what } else { format!("{all} tasks, the first {what}") };
    let says = first.task.as_ref().map_or_else(String::new, |task| {
        task.says.as_deref().map_or_else(|| task.state.word(), |says| says.word())
    });
    let state = first.task.as_ref().map_or_else(String::new, |task| task.state.word());
    let (text, next) = match kind {
        Kind::SendUncertain => {
            let why = first.cause.as_deref().map_or_else(String::new, |cause| format!(": {cause}"));
            (
                format!("may or may not have received {whom}{why}"),
                "r: send it again with the same id, or presume it lost",
            )
        }
        Kind::TaskLost => (
            format!("no longer knows {whom}"),
            "its agent lost it in a restart; send it again if it is still needed",
        ),
        Kind::TaskStalled => (
            format!("cut the stream of {whom} and still reports {says}"),
            "check the agent; cancel the task or wait",
        ),
        Kind::TaskSilent => (
            format!("reports {says} but sends no events for {whom}"),
            "check the agent; cancel the task or wait",
        ),
        Kind::StreamSilent => (
            format!("opened the stream of {whom} but never sent anything on it"),
            "check the agent and any proxy that buffers events; cancel the task or wait",
        ),
        Kind::TaskStuck => {
            let usual = first.task.as_ref().and_then(|task| task.usual.as_deref());
            let usual = usual.map_or_else(String::new, |usual| format!("; {usual}"));
            (
                format!("reports {says} but has sent no events for {whom}{usual}"),
                "check the agent; cancel the task or wait",
            )
        }
        Kind::TaskLooping => (
            format!("keeps repeating the same status of {whom}"),
            "see its timeline; cancel the task if it makes no progress",
        ),
        Kind::TaskConflict => (
            format!("ended {whom} as {state} but also reports {says}"),
            "trust neither until you have checked its result",
        ),
        Kind::CancelIgnored => (
            format!("agreed to cancel {whom} but keeps working"),
            "stop the agent itself; it does not act on cancels",
        ),
        Kind::CancelRefused => {
            let watch = members.first().and_then(|key| turn.live.watches.get(key));
            let cause = watch.and_then(|watch| watch.cancel_refused());
            let why = cause.map_or_else(String::new, |(_, cause)| format!(": {cause}"));
            (
                format!("refused to cancel {whom}, which keeps working{why}"),
                "wait until it ends, or stop the agent itself; cancel again to ask once more",
            )
        }
        Kind::CancelUnconfirmed => (
            format!("did not confirm the cancel of {whom}"),
            "its task is read again until it has ended; check the agent",
        ),
        _ => return None,
    };
    Some(Finding { kind, text, next: next.into(), eased: false })
}

fn subject(turn: &Turn, attempt: &Attempt) -> String {
    let title =
        turn.state().job_of(attempt).map(|job| job.title.shortened(40)).filter(|title| !title.is_empty());
    match (&attempt.task, title) {
        (Some(task), Some(title)) => format!("task {} \"{title}\"", task.id.short()),
        (Some(task), None) => format!("task {}", task.id.short()),
        (None, Some(title)) => format!("\"{title}\""),
        (None, None) => "a message".into(),
    }
}

/// The open problems of tasks that an agent has.
pub(super) fn open(turn: &Turn, agent: AgentKey) -> Vec<Kind> {
    let raised = |kind: &&Kind| turn.state().raised(**kind, Subject::Agent(agent)).is_some();
    Kind::OF_TASKS.iter().filter(raised).copied().collect()
}
