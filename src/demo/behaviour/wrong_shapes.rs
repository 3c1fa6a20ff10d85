//! `wrong-shapes`: answers with an object of the wrong kind: a send with a page of tasks, a cancel with another
//! task, `GetTask` with a message, `ListTasks` and a subscription with a task.

use super::{Asked, BehaviourFuture, OnWire};
use crate::demo::agent::Agent;
use crate::demo::answer::Answer;
use crate::domain::id::MessageId;
use crate::domain::job::message::Message;
use crate::domain::job::task::{Status, TaskReport, TaskState};
use crate::protocol::{Incoming, Reply};

pub(super) struct WrongShapes;

impl OnWire for WrongShapes {
    fn answer<'a>(
        &'a self,
        Asked { agent, id, request, .. }: Asked<'a>,
    ) -> BehaviourFuture<'a, Option<Answer>> {
        Box::pin(async move {
            let reply = match request {
                Incoming::Send { message, .. } => {
                    agent.tasks.count(&message.id);
                    Reply::Page { tasks: vec![task(agent)], next: None, total: None, unread: 0 }
                }
                Incoming::Get(_) => Reply::Message(Box::new(message(agent))),
                Incoming::Cancel(_) | Incoming::List(..) | Incoming::Subscribe(_) => {
                    Reply::Task(Box::new(task(agent)))
                }
                Incoming::Unknown(_) => return None,
            };
            Some(Answer::result(id, &agent.codec().encode_send_result(&reply)))
        })
    }
}

fn message(agent: &Agent) -> Message {
    agent.says("this is not what you asked for", None, &MessageId::from("wrong"), 0)
}

fn task(agent: &Agent) -> TaskReport {
    TaskReport::new(
        "not-the-one-you-asked-for",
        Status { state: TaskState::Working, message: Some(message(agent)), timestamp: Some(agent.now()) },
    )
}
