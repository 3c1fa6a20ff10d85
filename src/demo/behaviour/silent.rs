//! `silent`: reports that it works and then sends nothing more.

use super::{BehaviourFuture, OnWire};
use crate::demo::work::Work;
use crate::domain::job::task::TaskState;

pub(super) struct Silent;

impl OnWire for Silent {
    fn work<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(async move {
            if work.wait(0.5).await {
                work.send_status(TaskState::Working, &work.saying(0), 0);
            }
        })
    }

    fn resume<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(async move {
            if work.state() == Some(TaskState::Submitted) {
                self.work(work).await;
            }
        })
    }
}
