//! `disagrees`: its streams report completed while `GetTask` still reports working.

use super::{BehaviourFuture, OnWire};
use crate::demo::work::Work;
use crate::domain::job::task::TaskState;

pub(super) struct Disagrees;

impl OnWire for Disagrees {
    fn work<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(async move {
            work.agent.tasks.claim(&work.task, TaskState::Working);
            work.steady(2).await;
        })
    }
}
