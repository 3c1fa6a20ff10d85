//! `dies`: works like `steady`; the story kills it. Once it is back it takes its time, as nobody remembers what was said.

use super::{BehaviourFuture, OnWire};
use crate::demo::work::Work;
use crate::domain::job::task::TaskState;

/// Seconds in which whoever has moved a task elsewhere can find it and cancel it.
const RECOVERY: f64 = 45.0;

pub(super) struct Dies;

impl OnWire for Dies {
    fn resume<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(async move {
            work.send_status(TaskState::Working, "reading the notes of before", 0);
            if work.wait(RECOVERY).await {
                work.finish().await;
            }
        })
    }
}
