//! `endless-chunks`: streams one output without end, in chunks of 1 MB, four a second.

use super::{BehaviourFuture, OnWire};
use crate::demo::work::Work;

pub(super) struct EndlessChunks;

impl OnWire for EndlessChunks {
    fn work<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(async move {
            let chunk = "a line that nobody will read, and then another one\n".repeat(20 * 1024);
            work.endlessly(0.25, |work, number| {
                work.agent.tasks.event_of_output(&work.task, "out", "endless.txt", &chunk, number > 0, false);
            })
            .await;
        })
    }
}
