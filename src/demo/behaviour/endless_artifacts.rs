//! `endless-artifacts`: streams a new output with an id of its own in every event, a hundred a second, without end.

use super::{BehaviourFuture, OnWire};
use crate::demo::work::Work;

pub(super) struct EndlessArtifacts;

impl OnWire for EndlessArtifacts {
    fn work<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(async move {
            work.endlessly(0.01, |work, number| {
                let (id, name) = (format!("out-{number}"), format!("output-{number}.txt"));
                let text = "another output that is nearly empty\n".repeat(8);
                work.agent.tasks.event_of_output(&work.task, &id, &name, &text, false, true);
            })
            .await;
        })
    }
}
