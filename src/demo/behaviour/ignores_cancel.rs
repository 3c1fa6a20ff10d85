//! `ignores-cancel`: agrees to a cancel and keeps working working.

use super::{BehaviourFuture, OnWire};
use crate::demo::work::Work;
use crate::domain::job::task::TaskState;

pub(super) struct IgnoresCancel;

impl OnWire for IgnoresCancel {
    fn work<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(go_on(work))
    }

    fn resume<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(go_on(work))
    }

    fn stops_when_canceled(&self) -> bool {
        false
    }
}

async fn go_on(work: &mut Work) {
    if !work.wait(0.4).await {
        return;
    }
    let takes = work.takes();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few dozen steps")]
    let steps = (takes / 0.7) as u64;
    for number in 0..steps {
        work.send_status(TaskState::Working, &work.saying(number), number);
        if !work.wait(0.7).await {
            return;
        }
    }
    work.send_status(TaskState::Completed, "arrived", 1000);
}
