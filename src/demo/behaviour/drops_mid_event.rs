//! `drops-mid-event`: cuts its streams in the middle of an event and keeps working.

use super::{BehaviourFuture, OnWire};
use crate::demo::work::Work;
use crate::domain::job::task::TaskState;
use crate::telemetry::model::Severity;

pub(super) struct DropsMidEvent;

impl OnWire for DropsMidEvent {
    fn work<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(drop_streams(work))
    }

    fn allows_resubscribe(&self) -> bool {
        true
    }
}

async fn drop_streams(work: &mut Work) {
    let takes = work.takes();
    if !work.wait(0.3).await {
        return;
    }
    for number in 0..3 {
        work.send_status(TaskState::Working, &work.saying(number), number);
        if !work.wait(takes / 8.0).await {
            return;
        }
    }
    work.agent.tasks.cut(&work.task);
    work.log(Severity::Warn, "the connection of the stream broke in the middle of an event");
    if !work.wait(takes / 4.0).await {
        return;
    }
    work.send_status(TaskState::Working, &work.saying(3), 3);
    if work.wait(takes / 4.0).await && work.write(takes / 8.0).await {
        work.send_status(TaskState::Completed, "done", 1000);
    }
}
