//! `message-only`: answers a send with a message and makes no task.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Asked, BehaviourFuture, OnWire};
use crate::demo::answer::Answer;
use crate::demo::tasks::Frame;
use crate::demo::telemetry::{About, Request, TaskSpans};
use crate::domain::job::message::text_hash;
use crate::domain::job::task::StreamEvent;
use crate::protocol::{Incoming, Reply};
use crate::telemetry::model::Severity;

pub(super) struct MessageOnly;

impl OnWire for MessageOnly {
    fn answer<'a>(
        &'a self,
        Asked { agent, id, request, caller }: Asked<'a>,
    ) -> BehaviourFuture<'a, Option<Answer>> {
        Box::pin(async move {
            let Incoming::Send { message, stream, .. } = request else { return None };
            if message.task.is_some() {
                return None;
            }
            agent.tasks.count(&message.id);
            let run = agent.tasks.begin_run(message, agent.now());
            let about = About {
                message: &message.id,
                skill: message.hints.skill.as_ref().map(|skill| skill.raw()),
                task: None,
                context: None,
                reads: message.text().raw().len(),
            };
            let request = Request { method: "SendMessage", parent: caller };
            let seed = text_hash(&format!("{}{}", agent.part.name, &*message.id.raw()));
            let mut spans = TaskSpans::begin(agent, request, about, seed);
            if let Some(spans) = &mut spans {
                spans.step(agent.part.uses(0));
            }
            agent.sleep(0.2).await;
            if let Some(run) = run {
                agent.tasks.end_run(run, agent.now());
            }
            let answer = agent.says(&agent.result(message), None, &message.id, 0);
            if let Some(spans) = spans {
                spans.log(Severity::Info, answer.text().raw());
                spans.end(None, "");
            }
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
