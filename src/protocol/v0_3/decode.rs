//! 0.3 JSON to domain.

use super::fast_path;
use crate::domain::cause::Cause;
use crate::domain::id::{MessageId, TaskId};
use crate::domain::job::message::{Artifact, Content, Json, Message, Part, Role};
use crate::domain::job::task::{Status, StreamEvent, TaskReport, TaskState};
use crate::domain::text::Untrusted;
use crate::protocol::json::{Object, elements};
use crate::protocol::shared::{context, hints, or_empty, task_id, time};
use crate::protocol::{Event, Incoming, Reply, jsonrpc, keep_raw, malformed};

pub(super) fn reply(body: &str) -> Result<Reply, Cause> {
    let result = jsonrpc::open(body)?;
    let object = Object::parse(result)?;
    if is_message(&object) {
        return Ok(Reply::Message(Box::new(message(&object))));
    }
    if !object.has("status") {
        return Err(malformed(format!("neither a task nor a message, {}", jsonrpc::excerpt(result))));
    }
    task(result).map(|task| Reply::Task(Box::new(task)))
}

/// `kind` tells; where it is missing, the members do (one SDK leaves it out on some tasks).
fn is_message(object: &Object<'_>) -> bool {
    match object.text("kind").as_deref() {
        Some(kind) => kind == "message",
        None => object.has("messageId") && !object.has("status"),
    }
}

pub(super) fn event(data: &str) -> Result<Event<'_>, Cause> {
    fast_path::chunk(data).map_or_else(|| any_event(data), Ok)
}

/// An event of any shape.
pub(super) fn any_event(data: &str) -> Result<Event<'static>, Cause> {
    let result = match jsonrpc::open(data) {
        Ok(result) => result,
        Err(cause @ Cause::Rpc(_)) => return Ok(Event::Error(cause)),
        Err(cause) => return Err(cause),
    };
    let object = Object::parse(result)?;
    let kind = object.text("kind");
    let event = match kind.as_deref() {
        Some("status-update") => StreamEvent::Status {
            task: task_id(&object),
            context: context(&object),
            status: status(&object),
            metadata: object.json_object("metadata"),
            raw: keep_raw(result),
        },
        Some("artifact-update") => {
            let chunk =
                object.object("artifact").ok_or_else(|| malformed("artifact-update without artifact"))?;
            StreamEvent::Artifact {
                task: task_id(&object),
                context: context(&object),
                artifact: artifact(&chunk),
                append: object.flag("append"),
                last: object.flag("lastChunk"),
            }
        }
        Some("task") => StreamEvent::Task(Box::new(task(result)?)),
        Some("message") => StreamEvent::Message(Box::new(message(&object))),
        Some(_) => StreamEvent::Unknown(Json::new(result)),
        None if is_message(&object) => StreamEvent::Message(Box::new(message(&object))),
        None if object.has("status") && object.has("id") => StreamEvent::Task(Box::new(task(result)?)),
        None => StreamEvent::Unknown(Json::new(result)),
    };
    Ok(Event::Full(event))
}

fn task(raw: &str) -> Result<TaskReport, Cause> {
    let object = Object::parse(raw)?;
    let id = object.filled("id").ok_or_else(|| malformed("a task without an id"))?;
    Ok(TaskReport {
        id: TaskId::from(id),
        context: context(&object),
        status: status(&object),
        // Every answer of 0.3 that holds a task holds all of it.
        artifacts: Some(object.objects("artifacts").iter().map(artifact).collect()),
        history: object.objects("history").iter().map(message).collect(),
        metadata: object.json_object("metadata"),
        hints: hints(&object),
        raw: keep_raw(raw),
    })
}

fn status(object: &Object<'_>) -> Status {
    let status = object.object("status").unwrap_or_default();
    Status {
        state: state(status.text("state").as_deref()),
        message: status.object("message").map(|said| message(&said)),
        timestamp: time(&status, "timestamp"),
    }
}

fn state(text: Option<&str>) -> TaskState {
    match text {
        Some("submitted") => TaskState::Submitted,
        Some("working") => TaskState::Working,
        Some("input-required") => TaskState::InputRequired,
        Some("auth-required") => TaskState::AuthRequired,
        Some("completed") => TaskState::Completed,
        Some("failed") => TaskState::Failed,
        Some("canceled") => TaskState::Canceled,
        Some("rejected") => TaskState::Rejected,
        None | Some("unknown") => TaskState::Unspecified,
        Some(other) => TaskState::Other(other.into()),
    }
}

fn message(object: &Object<'_>) -> Message {
    Message {
        id: MessageId::from(or_empty(object, "messageId")),
        role: match object.text("role").as_deref() {
            Some("user") => Role::User,
            Some("agent") => Role::Agent,
            other => Role::Other(other.unwrap_or_default().into()),
        },
        parts: parts(object),
        context: context(object),
        task: task_id(object),
        metadata: object.json_object("metadata"),
        references: object.texts("referenceTaskIds").into_iter().map(TaskId::from).collect(),
        hints: hints(object),
    }
}

fn artifact(object: &Object<'_>) -> Artifact {
    Artifact {
        id: or_empty(object, "artifactId"),
        name: object.filled("name"),
        description: object.filled("description"),
        parts: parts(object),
        metadata: object.json_object("metadata"),
    }
}

fn parts(object: &Object<'_>) -> Vec<Part> {
    let raw = object.raw("parts").and_then(elements).unwrap_or_default();
    raw.into_iter().map(part).collect()
}

fn part(raw: &str) -> Part {
    let unknown = || Part {
        content: Content::Unknown(Json::new(raw)),
        filename: None,
        media_type: None,
        metadata: None,
    };
    let Ok(object) = Object::parse(raw) else { return unknown() };
    // 0.1 said `type`; servers of 0.3 still send and take it.
    let kind = object.text("kind").or_else(|| object.text("type"));
    let file = object.object("file").unwrap_or_default();
    let content = match kind.as_deref() {
        Some("text") => object.untrusted("text").map(Content::Text),
        Some("data") => Some(Content::Data(object.json("data").unwrap_or_else(|| Json::new("null")))),
        Some("file") => {
            file.untrusted("bytes").map(Content::Raw).or_else(|| file.untrusted("uri").map(Content::Url))
        }
        _ => None,
    };
    let Some(content) = content else { return unknown() };
    Part {
        content,
        filename: file.filled("name"),
        media_type: file.filled("mimeType"),
        metadata: object.json_object("metadata"),
    }
}

pub(super) fn request(body: &str) -> Result<(String, Incoming), Cause> {
    let (id, method, params) = jsonrpc::open_request(body)?;
    let params = Object::parse(params)?;
    let task = || params.filled("id").map(TaskId::from).ok_or_else(|| malformed("no id"));
    let incoming = match method.as_str() {
        "message/send" | "message/stream" => {
            let said = params.object("message").ok_or_else(|| malformed("no message"))?;
            let config = params.object("configuration").unwrap_or_default();
            Incoming::Send {
                message: message(&said),
                stream: method == "message/stream",
                at_once: config.raw("blocking") == Some("false"),
            }
        }
        "tasks/get" => Incoming::Get(task()?),
        "tasks/cancel" => Incoming::Cancel(task()?),
        "tasks/resubscribe" => Incoming::Subscribe(task()?),
        _ => Incoming::Unknown(Untrusted::from(method).line().into_string()),
    };
    Ok((id, incoming))
}
