//! The answer to a request, decoded for that request: an answer of another type is malformed. It is the body of a
//! successful response; [`status_cause`] handles all others.

use super::decode::Reader;
use super::recent_tasks::RecentTasks;
use super::{Codec, Deviations, Reply, jsonrpc, malformed};
use crate::domain::agent::card::Dialect;
use crate::domain::call::Page;
use crate::domain::cause::Cause;
use crate::domain::job::message::Message;
use crate::domain::job::task::TaskReport;
use crate::domain::text::Untrusted;

/// The possible answers to a message, other than a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SendReply {
    /// The agent made a task of it, or took it into the task that it names.
    Task(Box<TaskReport>),
    /// The agent answered with a message.
    Message(Box<Message>),
}

/// The cause of a response with an error status. A JSON-RPC error in its body is more specific than the status.
pub fn status_cause(status: u16, body: &str) -> Cause {
    if let Err(cause @ Cause::Rpc(_)) = jsonrpc::open(body) {
        return cause;
    }
    Cause::status(status, Untrusted::from(body).headline(160))
}

/// The answer to a message: a task or a message. `method` is [`super::Request::method`], for the message of an error;
/// `deviations` is as in [`Codec::decode_reply`].
///
/// # Errors
/// The agent's own error, or why this answers no message.
pub fn send(
    codec: &dyn Codec,
    method: &str,
    body: &str,
    deviations: &mut Deviations,
) -> Result<SendReply, Cause> {
    match codec.decode_reply(body, deviations)? {
        Reply::Task(task) => Ok(SendReply::Task(task)),
        Reply::Message(message) => Ok(SendReply::Message(message)),
        other @ Reply::Page { .. } => Err(mismatch(method, &other)),
    }
}

/// The answer to a request for one task: to read it, to cancel it, or to stream it.
///
/// # Errors
/// The agent's own error, or why this is no task.
pub fn task(
    codec: &dyn Codec,
    method: &str,
    body: &str,
    deviations: &mut Deviations,
) -> Result<Box<TaskReport>, Cause> {
    match codec.decode_reply(body, deviations)? {
        Reply::Task(task) => Ok(task),
        other @ (Reply::Message(_) | Reply::Page { .. }) => Err(mismatch(method, &other)),
    }
}

/// The answer to a request for a page of tasks.
///
/// # Errors
/// The agent's own error, or why this is no page.
pub fn page(
    codec: &dyn Codec,
    method: &str,
    body: &str,
    recent: &mut RecentTasks,
    deviations: &mut Deviations,
) -> Result<Page, Cause> {
    // Only 1.0 lists tasks.
    let recent = (codec.dialect() == Dialect::V1_0).then_some(recent);
    let mut reader = Reader { dialect: codec.dialect(), deviations, recent };
    let reply = match reader.reply(body) {
        Err(cause @ Cause::Malformed(_)) => reader.empty_page(body).ok_or(cause)?,
        reply => reply?,
    };
    match reply {
        Reply::Page { tasks, next, total, unread } => Ok(Page { tasks, next, total, unread }),
        other @ (Reply::Task(_) | Reply::Message(_)) => Err(mismatch(method, &other)),
    }
}

fn mismatch(method: &str, reply: &Reply) -> Cause {
    let answered = match reply {
        Reply::Task(_) => "a task",
        Reply::Message(_) => "a message",
        Reply::Page { .. } => "a page of tasks",
    };
    malformed(format!("{method} was answered with {answered}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::effect::ListQuery;
    use crate::domain::id::TaskId;
    use crate::domain::job::message::{Part, Role};
    use crate::protocol::Request;

    const TASK: &str = r#"{"id":"t","kind":"task","status":{"state":"working"}}"#;
    const MESSAGE: &str = r#"{"messageId":"m","kind":"message","role":"agent","parts":[]}"#;
    const PAGE: &str = r#"{"tasks":[]}"#;

    /// The decoded `result` for each request: in the order send, stream, get, cancel, subscribe, list.
    #[track_caller]
    fn check(dialect: Dialect, result: &str, expected: [&str; 6]) {
        let codec = crate::protocol::codec(dialect);
        let body = jsonrpc::result("1", result);
        let task = TaskId::from("t");
        let message = Message::new("m", Role::User, vec![Part::text("go")]);
        let query = ListQuery::default();
        let requests = [
            Request::Send { message: &message, stream: false },
            Request::Send { message: &message, stream: true },
            Request::Get(&task),
            Request::Cancel(&task),
            Request::Subscribe(&task),
            Request::List(&query),
        ];
        for (request, expected) in requests.iter().zip(expected) {
            let (method, deviations) = (request.method(), &mut Deviations::default());
            let outcome = match request {
                Request::Send { .. } => send(codec, method, &body, deviations).map(|reply| match reply {
                    SendReply::Task(_) => "task",
                    SendReply::Message(_) => "message",
                }),
                Request::Get(_) | Request::Cancel(_) | Request::Subscribe(_) => {
                    super::task(codec, method, &body, deviations).map(|_| "task")
                }
                Request::List(_) => {
                    page(codec, method, &body, &mut RecentTasks::default(), deviations).map(|_| "page")
                }
            };
            let outcome = match outcome {
                Ok(word) => word.to_owned(),
                Err(Cause::Malformed(why)) => why.to_string(),
                Err(other) => format!("{other:?}"),
            };
            assert!(
                outcome == expected || outcome.starts_with(expected),
                "{dialect} {result}: {outcome}, not {expected}"
            );
        }
    }

    #[test]
    fn an_answer_must_fit_its_request() {
        let by = |what: &'static str| {
            ["SendMessage", "SendStreamingMessage", "GetTask", "CancelTask", "SubscribeToTask", "ListTasks"]
                .map(|method| format!("{method} was answered with {what}"))
        };
        let [page, task, message] = [by("a page of tasks"), by("a task"), by("a message")];
        let task_1_0 = r#"{"id":"t","status":{"state":"TASK_STATE_WORKING"}}"#;
        let wrapped = format!(r#"{{"task":{task_1_0}}}"#);
        let reply = r#"{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[]}}"#;
        let rows: [(Dialect, &str, [&str; 6]); 6] = [
            (Dialect::V1_0, &wrapped, ["task", "task", "task", "task", "task", &task[5]]),
            (Dialect::V1_0, task_1_0, ["task", "task", "task", "task", "task", &task[5]]),
            (
                Dialect::V1_0,
                reply,
                ["message", "message", &message[2], &message[3], &message[4], &message[5]],
            ),
            (Dialect::V1_0, PAGE, [&page[0], &page[1], &page[2], &page[3], &page[4], "page"]),
            (Dialect::V0_3, TASK, ["task", "task", "task", "task", "task", &task[5]]),
            (
                Dialect::V0_3,
                MESSAGE,
                ["message", "message", &message[2], &message[3], &message[4], &message[5]],
            ),
        ];
        for (dialect, result, expected) in rows {
            check(dialect, result, expected);
        }
        for dialect in [Dialect::V1_0, Dialect::V0_3] {
            let neither = "neither a task nor a message";
            check(dialect, r#"{"id":"t"}"#, [neither; 6]);
            // JSON of protocol buffers leaves empty members out: a page without tasks may be empty.
            for page in ["{}", r#"{"totalSize":0}"#, r#"{"nextPageToken":"","page_size":50}"#] {
                check(dialect, page, [neither, neither, neither, neither, neither, "page"]);
            }
        }
    }

    #[test]
    fn a_status_that_is_no_success_is_a_failure() {
        for (status, body, cause) in [
            (404, "not here", Cause::status(404, "not here")),
            (500, r#"{"jsonrpc":"2.0","result":{}}"#, Cause::status(500, r#"{"jsonrpc":"2.0","result":{}}"#)),
        ] {
            assert_eq!(status_cause(status, body), cause, "{status} {body}");
        }
        let error = status_cause(400, r#"{"jsonrpc":"2.0","error":{"code":-32602}}"#);
        assert!(matches!(error, Cause::Rpc(_)), "{error}");
    }
}
