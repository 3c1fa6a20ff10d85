//! Cancels that go on to what was delegated: strangers' tasks name tasks as their parents.

use quarterdeck::domain::id::TaskId;
use quarterdeck::domain::job::delegated::{self, Delegations};
use quarterdeck::domain::job::message::{Hints, Message};
use quarterdeck::domain::job::task::CancelMark;

use super::World;

impl World {
    /// The message of a stranger; every other one comes from a task of the fleet.
    pub(super) fn delegated(&mut self, message: Message) -> Message {
        let all: Vec<&String> = self.agents.iter().flat_map(|agent| agent.tasks.keys()).collect();
        if all.is_empty() || self.seed.below(2) == 0 {
            return message;
        }
        let parent = all[usize::try_from(self.seed.below(all.len() as u64)).unwrap()].as_str();
        let parent = Some(TaskId::from(parent));
        Message { hints: Hints { parent, ..Hints::default() }, ..message }
    }

    /// After the storm: whatever a canceled task delegated was asked to end too, whenever it was found.
    pub(super) fn check_cascades(&self) {
        let state = self.core.state();
        for (_, attempt) in state.attempts().iter().filter(|(_, attempt)| attempt.is_live()) {
            let (Some(task), Some(job)) = (&attempt.task, state.job_of(attempt)) else { continue };
            let Some(parent) = delegated::parent(state, job).and_then(|key| state.attempt(key)) else {
                continue;
            };
            let Some(above) = &parent.task else { continue };
            let open = [CancelMark::Asked, CancelMark::Agreed, CancelMark::Unconfirmed, CancelMark::Verified];
            let follows = above.cascades && above.cancel.is_some_and(|mark| open.contains(&mark));
            let reached =
                state.agent(attempt.agent).is_some_and(|agent| agent.listed && agent.interface.is_some());
            assert!(
                !follows || !reached || task.cancel.is_some(),
                "{task:?} was delegated by {above:?}, and nobody asked for its end; named by {:?}",
                state.named(&above.id)
            );
        }
    }
}
