//! `huge`: streams one output of 40 MB in pieces of 256 KiB.

use super::{BehaviourFuture, OnWire};
use crate::demo::work::Work;
use crate::domain::job::task::TaskState;

const PIECE: usize = 256 * 1024;
const ALL: usize = 40 * 1024 * 1024;

pub(super) struct Huge;

impl OnWire for Huge {
    fn work<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(stream_output(work))
    }

    /// From the start: too much was lost to go on.
    fn resume<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(stream_output(work))
    }
}

async fn stream_output(work: &mut Work) {
    if !work.wait(0.4).await {
        return;
    }
    work.send_status(TaskState::Working, &work.saying(0), 0);
    let name = work.output();
    let line = "| platform | stairs | lift | café | exit to the lake | \n";
    let piece = line.repeat(PIECE / line.len());
    let pieces = ALL / piece.len();
    for number in 0..pieces {
        work.agent.tasks.chunk(&work.task, &name, &piece, number > 0, number + 1 == pieces);
        if !work.wait(0.05).await {
            return;
        }
    }
    work.send_status(TaskState::Completed, "done", 1000);
}
