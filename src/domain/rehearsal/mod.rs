//! What would happen: a copy of the core plays on against agents that are played too. What the copy decides is what the
//! core would decide, as it is the same code on the same state; nothing leaves the copy.
//!
//! The played world: agents that are dead, or down already, refuse connections; the others take every message at once,
//! agree to every cancel and end the task, and end nothing else. So nothing but what is rehearsed frees or takes a place.

pub mod drill;
pub mod plan;
#[cfg(test)]
mod tests;
pub mod words;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::Health;
use crate::domain::call::{Answered, CallKind, Outcome, SendOutcome, StreamOutcome, SubscribeOutcome};
use crate::domain::cause::{Cause, Failure, Sent};
use crate::domain::core::{Core, Out};
use crate::domain::effect::{Effect, Order};
use crate::domain::id::{AgentKey, JobId, TaskId};
use crate::domain::input::{Input, Reply};
use crate::domain::job::message::Message;
use crate::domain::job::task::{Status, StreamEvent, TaskReport, TaskState};
use crate::domain::state::State;
use crate::domain::time::At;

/// Inputs of a rehearsal, at most: a storm of retries must not keep a surface waiting.
const INPUTS: u32 = 200_000;
/// Agents answer at once.
const TOOK: Duration = Duration::from_millis(1);

/// Reads the message of a job that is in the journal alone.
pub type Messages<'m> = dyn FnMut(JobId) -> Option<Arc<Message>> + 'm;

/// A copy of the core, and the world that answers it.
struct Rehearsal<'m> {
    core: Core,
    now: At,
    dead: BTreeSet<AgentKey>,
    canceled: BTreeSet<(AgentKey, TaskId)>,
    made: u32,
    fed: u32,
    messages: &'m mut Messages<'m>,
    replies: Vec<Reply>,
}

impl<'m> Rehearsal<'m> {
    fn new(core: Core, now: At, messages: &'m mut Messages<'m>) -> Self {
        Self {
            core,
            now,
            dead: BTreeSet::new(),
            canceled: BTreeSet::new(),
            made: 0,
            fed: 0,
            messages,
            replies: Vec::new(),
        }
    }

    fn state(&self) -> &State {
        self.core.state()
    }

    /// True once it was cut short.
    fn is_cut(&self) -> bool {
        self.fed >= INPUTS
    }

    /// Something goes into the copy, and everything that follows at once.
    fn feed(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            if self.is_cut() {
                return;
            }
            self.fed += 1;
            let mut out = Out::default();
            self.core.step(self.now, input, &mut out);
            self.replies.append(&mut out.replies);
            for effect in out.effects {
                inputs.extend(self.answer(effect));
            }
        }
    }

    /// Time passes until then.
    fn pass_until(&mut self, until: At) {
        while let Some(due) = self.core.deadline().filter(|due| *due <= until) {
            if self.is_cut() {
                return;
            }
            self.now = due.max(self.now);
            self.feed(Input::Deadline);
        }
        self.now = until.max(self.now);
    }

    /// An agent dies: what is under way with it fails, and so does everything that follows.
    fn kill(&mut self, agent: AgentKey) {
        self.dead.insert(agent);
        for (call, kind, has_task) in self.core.calls_of(agent) {
            let cut = StreamOutcome::Ended(Err(Cause::Reset));
            let outcome = match kind {
                CallKind::Subscribe => Outcome::Subscribe(SubscribeOutcome::Stream(cut)),
                CallKind::Send if has_task => Outcome::Send(SendOutcome::Stream(cut)),
                CallKind::Send => kind.failed(Failure { sent: Sent::Maybe, cause: Cause::Reset }),
                CallKind::Probe | CallKind::Check | CallKind::Get | CallKind::List | CallKind::Cancel => {
                    kind.unsent(Cause::Refused)
                }
            };
            self.feed(Input::Outcome { call, outcome });
        }
    }

    fn answer(&mut self, effect: Effect) -> Vec<Input> {
        let Effect { call, to, order } = effect;
        if let Order::LoadMessage { job, carry, .. } = order {
            // What an attempt carries along changes nothing about where it goes.
            let message = (self.messages)(job);
            return vec![Input::MessageLoaded { job, carry, message }];
        }
        let (Some(agent), Some(kind)) = (to.agent(), order.kind()) else { return Vec::new() };
        let is_down = self.state().agent(agent).is_some_and(|agent| agent.health == Health::Down);
        if is_down || self.dead.contains(&agent) {
            return vec![Input::Outcome { call, outcome: kind.unsent(Cause::Refused) }];
        }
        self.answer_well(agent, order).map(|outcome| Input::Outcome { call, outcome }).into_iter().collect()
    }

    /// What an agent that is well answers; `None` for calls whose answer would change nothing.
    fn answer_well(&mut self, agent: AgentKey, order: Order) -> Option<Outcome> {
        match order {
            Order::Send { message, stream, .. } => {
                self.made += 1;
                let id = message
                    .task
                    .clone()
                    .unwrap_or_else(|| format!("rehearsed-{}", self.made).as_str().into());
                let report = Box::new(TaskReport::new(id, Status::new(TaskState::Working)));
                Some(Outcome::Send(if stream {
                    SendOutcome::Stream(StreamOutcome::Events(vec![StreamEvent::Task(report)]))
                } else {
                    SendOutcome::Task(Answered { value: report, took: TOOK })
                }))
            }
            Order::Cancel { task, .. } => {
                self.canceled.insert((agent, task.clone()));
                let report = Box::new(TaskReport::new(task, Status::new(TaskState::Canceled)));
                Some(Outcome::Cancel(Ok(Answered { value: report, took: TOOK })))
            }
            Order::Get { task, .. } => {
                let is_canceled = self.canceled.contains(&(agent, task.clone()));
                let known = self.state().attempt_of_task(agent, &task);
                let known = known.and_then(|key| self.state().attempt(key)?.task.as_ref());
                let known = known.map_or(TaskState::Working, |task| task.state.clone());
                let state = if is_canceled { TaskState::Canceled } else { known };
                let report = Box::new(TaskReport::new(task, Status::new(state)));
                Some(Outcome::Get(Ok(Answered { value: report, took: TOOK })))
            }
            Order::Probe { .. }
            | Order::Check { .. }
            | Order::List { .. }
            | Order::Subscribe { .. }
            | Order::Close { .. }
            | Order::Notify(_)
            | Order::LoadMessage { .. } => None,
        }
    }
}
