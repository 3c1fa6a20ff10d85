//! `chatty`: streams its result at eighty words a second.

use super::{BehaviourFuture, OnWire};
use crate::demo::work::Work;
use crate::domain::job::task::TaskState;

pub(super) struct Chatty;

impl OnWire for Chatty {
    fn work<'a>(&'a self, work: &'a mut Work) -> BehaviourFuture<'a, ()> {
        Box::pin(stream_words(work))
    }
}

async fn stream_words(work: &mut Work) {
    if !work.wait(0.3).await {
        return;
    }
    work.send_status(TaskState::Working, &work.saying(0), 0);
    let takes = work.takes();
    let result = work.agent.result(&work.message);
    let words: Vec<&str> = result.split_inclusive(' ').collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred words")]
    let total = (takes * 80.0) as usize;
    let name = work.output();
    for number in 0..total {
        let word = words[number % words.len()];
        work.agent.tasks.chunk(&work.task, &name, word, number > 0, number + 1 == total);
        if !work.wait(1.0 / 80.0).await {
            return;
        }
    }
    work.send_status(TaskState::Completed, "done", 1000);
}
