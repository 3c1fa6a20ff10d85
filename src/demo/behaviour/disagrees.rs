//! `disagrees`: its streams report completed while `GetTask` still reports working.

use super::{BehaviourFuture, OnWire};
use crate::demo::work::Work;
use crate::domain::job::task::TaskState;

pub(super) struct Disagrees;

impl OnWire for Disagrees {
    fn work<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(work.steady(2))
    }

    fn claims(&self) -> Option<TaskState> {
        Some(TaskState::Working)
    }
}
