//! `message-only`: answers a send with a message and makes no task.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Asked, BehaviourFuture, OnWire};
use crate::demo::answer::Answer;
use crate::demo::tasks::Frame;
use crate::domain::job::task::StreamEvent;
use crate::protocol::{Incoming, Reply};

pub(super) struct MessageOnly;

impl OnWire for MessageOnly {
    fn answer<'a>(&'a self, Asked { agent, id, request }: Asked<'a>) -> BehaviourFuture<'a, Option<Answer>> {
        Box::pin(async move {
            let Incoming::Send { message, stream, .. } = request else { return None };
            if message.task.is_some() {
                return None;
            }
            agent.tasks.count(&message.id);
            let run = agent.tasks.begin_run(message, agent.now());
            agent.sleep(0.2).await;
            if let Some(run) = run {
                agent.tasks.end_run(run, agent.now());
            }
            let answer = agent.says(&agent.result(message), None, &message.id, 0);
            if !stream {
                let reply = Reply::Message(Box::new(answer));
                return Some(Answer::result(id, &agent.codec().encode_send_result(&reply)));
            }
            let (sender, frames) = mpsc::channel(2);
            let event = StreamEvent::Message(Box::new(answer));
            let _room_for_two = sender.try_send(Frame::Event(Arc::new(event)));
            let _room_for_two = sender.try_send(Frame::End);
            Some(Answer::Stream(frames, agent.encoder(id)))
        })
    }
}
