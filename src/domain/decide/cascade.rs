//! Cancels that go on to what a task delegated. Each delegated task is canceled at its own agent and has a mark of its
//! own; one that cannot be canceled keeps no other from it.
//!
//! A task whose cancel was meant for what it delegated is marked (`Task::cascades`): what is found later to have been
//! delegated by it is canceled too, also after a restart. A job that an operator moves is not sent elsewhere while what
//! it delegated may still run, unless doing the work twice does no harm.

use crate::domain::decide::problems;
use crate::domain::decide::retry;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::{cancel, unknown};
use crate::domain::fact::{Act, AttemptFact};
use crate::domain::id::{AttemptId, AttemptKey, JobKey, TaskId};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::job::delegated::{self, DEPTH, Delegations};
use crate::domain::job::plan::JobPhase;
use crate::domain::job::task::CancelMark;
use crate::domain::job::{Attempt, Job};
use crate::domain::state::State;
use crate::domain::text::Untrusted;

impl Delegations for State {
    fn job(&self, key: JobKey) -> Option<&Job> {
        self.jobs().get(key)
    }

    fn attempt(&self, key: AttemptKey) -> Option<&Attempt> {
        self.attempt(key)
    }

    fn children(&self, task: &TaskId) -> &[JobKey] {
        self.children(task)
    }

    fn named(&self, task: &TaskId) -> Vec<AttemptKey> {
        self.agents().iter().filter_map(|(agent, _)| self.attempt_of_task(agent, task)).take(2).collect()
    }
}

/// Cancels a task and what it delegated; of one that has ended, what it delegated alone.
pub(super) fn cancel(
    turn: &mut Turn,
    attempt: AttemptId,
    why: Option<Untrusted>,
) -> Result<Receipt, Refusal> {
    let key = turn.state().attempt_key(attempt).ok_or_else(|| unknown("attempt"))?;
    let below = live_below(turn, key);
    if let Err(refusal) = cancel::ask(turn, attempt, why.clone()) {
        let may_be_asked =
            below.iter().any(|key| turn.state().attempt(*key).is_some_and(|row| may_ask(turn, row)));
        let is_task = turn.state().attempt(key).is_some_and(|row| row.task.is_some());
        if !is_task || !may_be_asked {
            return Err(refusal);
        }
    }
    let by = turn.operator();
    spread(turn, key, Some(&by), why);
    Ok(Receipt::Done)
}

/// A cancel is meant for what the task delegated too: asks for each of those. `by` is `None` if the engine decided it.
pub(super) fn spread(turn: &mut Turn, key: AttemptKey, by: Option<&Untrusted>, why: Option<Untrusted>) {
    mark(turn, key, by);
    let why = why.or_else(|| Some(reason_of(turn, key)));
    for key in live_below(turn, key) {
        let Some(id) = turn.state().attempt(key).map(|row| row.id) else { continue };
        mark(turn, key, by);
        // What was asked before, or cannot be asked, has its own mark.
        if cancel::ask(turn, id, why.clone()).is_ok() {
            problems::acted(turn, key, Act::Cancel);
        }
    }
}

fn mark(turn: &mut Turn, key: AttemptKey, by: Option<&Untrusted>) {
    let task = turn.state().attempt(key).and_then(|row| row.task.as_ref());
    if task.is_some_and(|task| !task.cascades) {
        turn.attempt_fact_by(by.cloned(), key, AttemptFact::CascadeAsked { asked: true });
    }
}

fn reason_of(turn: &Turn, key: AttemptKey) -> Untrusted {
    let task = turn.state().attempt(key).and_then(|row| row.task.as_ref());
    let id = task.map(|task| task.id.short()).unwrap_or_default();
    format!("task {id}, which delegated it, is canceled").into()
}

fn live_below(turn: &Turn, key: AttemptKey) -> Vec<AttemptKey> {
    live_below_in(turn.state(), key)
}

fn live_below_in(state: &State, key: AttemptKey) -> Vec<AttemptKey> {
    let live = |key: &AttemptKey| state.attempt(*key).is_some_and(Attempt::is_live);
    delegated::below(state, key).tasks.into_iter().filter(live).collect()
}

fn may_ask(turn: &Turn, row: &Attempt) -> bool {
    let asked = row.task.as_ref().and_then(|task| task.cancel);
    let has_interface = turn.state().agent(row.agent).is_some_and(|agent| agent.interface.is_some());
    has_interface && !matches!(asked, Some(CancelMark::Asked | CancelMark::Agreed))
}

/// A task was found, or it became known who delegated it: if the cancel of that one was meant for it too, it follows.
pub(super) fn found(turn: &mut Turn, key: AttemptKey) {
    let Some(row) = turn.state().attempt(key).filter(|row| row.is_live()) else { return };
    let (id, task, job) = (row.id, row.task.as_ref(), turn.state().job_of(row));
    if task.is_none_or(|task| task.cancel.is_some() || task.cascades) {
        return;
    }
    let Some(parent) = job.and_then(|job| delegated::parent(turn.state(), job)).filter(|one| *one != key)
    else {
        return;
    };
    let follows = turn.state().attempt(parent).and_then(|row| row.task.as_ref()).is_some_and(|task| {
        let open = [CancelMark::Asked, CancelMark::Agreed, CancelMark::Unconfirmed, CancelMark::Verified];
        task.cascades && task.cancel.is_some_and(|mark| open.contains(&mark))
    });
    if !follows || turn.live.unsaved.is_some() {
        return;
    }
    let why = reason_of(turn, parent);
    if cancel::ask(turn, id, None).is_err() {
        return;
    }
    mark(turn, key, None);
    turn.attempt_fact(key, AttemptFact::ReasonGiven { why });
    for below in live_below(turn, key) {
        found(turn, below);
    }
}

/// True while a job that an operator moves has to wait because something that its last task delegated may still run.
pub(super) fn holds(state: &State, key: AttemptKey) -> bool {
    let Some(row) = state.attempt(key) else { return false };
    let plan = state.job_of(row).and_then(|job| job.plan.as_ref());
    let waits = plan.is_some_and(|plan| plan.next.is_some() && !plan.idempotent);
    let cascades = row.task.as_ref().is_some_and(|task| task.cascades);
    waits && cascades && !live_below_in(state, key).is_empty()
}

/// A delegated task has ended: a job that waits for it may go on.
pub(super) fn look(turn: &mut Turn, key: AttemptKey) {
    let Some(row) = turn.state().attempt(key) else { return };
    if row.is_live() || row.task.as_ref().is_none_or(|task| !task.cascades) {
        return;
    }
    let mut below = key;
    for _ in 0..DEPTH {
        let job = turn.state().attempt(below).and_then(|row| turn.state().job_of(row));
        let Some(above) = job.and_then(|job| delegated::parent(turn.state(), job)) else { return };
        if waits(turn, above) {
            retry::look(turn, above);
        }
        below = above;
    }
}

fn waits(turn: &Turn, key: AttemptKey) -> bool {
    let job = turn.state().attempt(key).filter(|row| !row.is_live()).and_then(|row| turn.state().job_of(row));
    job.is_some_and(|job| {
        let moves = job.plan.as_ref().is_some_and(|plan| plan.next.is_some());
        moves && job.phase == JobPhase::Running && job.attempts.last() == Some(&key)
    })
}

/// Looks at all delegated tasks: after a start, and after a time in which nothing could be asked of agents.
pub(super) fn find_all(turn: &mut Turn) {
    let jobs = turn.state().delegated_jobs().filter_map(|key| turn.state().jobs().get(key));
    let attempts: Vec<_> = jobs.flat_map(|job| job.attempts.iter().copied()).collect();
    for key in attempts {
        found(turn, key);
    }
}

/// After a start: what jobs waited for may have been forgotten since.
pub(super) fn resume(turn: &mut Turn) {
    find_all(turn);
    let moving = turn.state().jobs().iter().filter(|(_, job)| {
        job.phase == JobPhase::Running && job.plan.as_ref().is_some_and(|plan| plan.next.is_some())
    });
    let last: Vec<_> = moving.filter_map(|(_, job)| job.attempts.last().copied()).collect();
    for key in last {
        if waits(turn, key) {
            retry::look(turn, key);
        }
    }
}

/// The tasks that a cancel with what is delegated would mark, with their marks before: what takes it back needs them.
pub(super) fn marks(turn: &Turn, attempt: AttemptId) -> Vec<Marks> {
    let Some(key) = turn.state().attempt_key(attempt) else { return Vec::new() };
    let all = std::iter::once(key).chain(live_below(turn, key));
    all.filter_map(|key| Marks::of(turn, key)).collect()
}

/// What a cancel changes of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::domain) struct Marks {
    pub task: AttemptKey,
    pub mark: Option<CancelMark>,
    pub cascades: bool,
}

impl Marks {
    pub fn of(turn: &Turn, key: AttemptKey) -> Option<Self> {
        let task = turn.state().attempt(key)?.task.as_ref()?;
        Some(Self { task: key, mark: task.cancel, cascades: task.cascades })
    }
}
