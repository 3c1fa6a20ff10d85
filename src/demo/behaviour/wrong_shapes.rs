//! `wrong-shapes`: answers with an object of the wrong kind: a send with a page of tasks, a cancel with another
//! task, `GetTask` with a message, `ListTasks` and a subscription with a task.

use super::{BehaviourFuture, OnWire};
use crate::demo::agent::Agent;
use crate::demo::answer::Answer;
use crate::domain::id::{MessageId, TaskId};
use crate::domain::job::message::{Hints, Message};
use crate::domain::job::task::{Status, TaskReport, TaskState};
use crate::protocol::{Incoming, Reply};

pub(super) struct WrongShapes;

impl OnWire for WrongShapes {
    fn answer<'a>(
        &'a self,
        agent: &'a Agent,
        id: &'a str,
        request: &'a Incoming,
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
    TaskReport {
        id: TaskId::from("not-the-one-you-asked-for"),
        context: None,
        status: Status {
            state: TaskState::Working,
            message: Some(message(agent)),
            timestamp: Some(agent.now()),
        },
        artifacts: None,
        history: Vec::new(),
        metadata: None,
        hints: Hints::default(),
        raw: None,
    }
}
