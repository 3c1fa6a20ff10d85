//! 1.0 JSON to domain.

use super::fast_path;
use crate::domain::cause::Cause;
use crate::domain::effect::ListQuery;
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
    if let Some(raw) = object.raw("task") {
        return Ok(Reply::Task(Box::new(task(raw)?)));
    }
    if let Some(said) = object.object("message") {
        return Ok(Reply::Message(Box::new(message(&said))));
    }
    if object.has("tasks") {
        let tasks = object.list("tasks").into_iter().filter_map(|raw| task(raw).ok()).collect();
        return Ok(Reply::Page { tasks, next: object.filled("nextPageToken") });
    }
    // GetTask and CancelTask answer with the bare task.
    if !object.has("status") {
        return Err(malformed(format!("neither a task nor a message, {}", jsonrpc::excerpt(result))));
    }
    task(result).map(|task| Reply::Task(Box::new(task)))
}

pub(super) fn event(data: &str) -> Result<Event<'_>, Cause> {
    fast_path::event(data).map_or_else(|| any_event(data), Ok)
}

/// An event of any shape.
pub(super) fn any_event(data: &str) -> Result<Event<'static>, Cause> {
    let result = match jsonrpc::open(data) {
        Ok(result) => result,
        Err(cause @ Cause::Rpc(_)) => return Ok(Event::Error(cause)),
        Err(cause) => return Err(cause),
    };
    let object = Object::parse(result)?;
    if let Some(raw) = object.raw("task") {
        return Ok(Event::Full(StreamEvent::Task(Box::new(task(raw)?))));
    }
    if let Some(said) = object.object("message") {
        return Ok(Event::Full(StreamEvent::Message(Box::new(message(&said)))));
    }
    if let Some(update) = object.object("statusUpdate") {
        return Ok(Event::Full(StreamEvent::Status {
            task: task_id(&update),
            context: context(&update),
            status: status(&update),
            metadata: update.json_object("metadata"),
            raw: keep_raw(result),
        }));
    }
    if let Some(update) = object.object("artifactUpdate") {
        let chunk = update.object("artifact").ok_or_else(|| malformed("artifactUpdate without artifact"))?;
        return Ok(Event::Full(StreamEvent::Artifact {
            task: task_id(&update),
            context: context(&update),
            artifact: artifact(&chunk),
            append: update.flag("append"),
            last: update.flag("lastChunk"),
        }));
    }
    Ok(Event::Full(StreamEvent::Unknown(Json::new(result))))
}

pub(super) fn task(raw: &str) -> Result<TaskReport, Cause> {
    let object = Object::parse(raw)?;
    let id = object.filled("id").ok_or_else(|| malformed("a task without an id"))?;
    Ok(TaskReport {
        id: TaskId::from(id),
        context: context(&object),
        status: status(&object),
        artifacts: object
            .has("artifacts")
            .then(|| object.objects("artifacts").iter().map(artifact).collect()),
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

pub(super) fn state(text: Option<&str>) -> TaskState {
    match text {
        Some("TASK_STATE_SUBMITTED") => TaskState::Submitted,
        Some("TASK_STATE_WORKING") => TaskState::Working,
        Some("TASK_STATE_INPUT_REQUIRED") => TaskState::InputRequired,
        Some("TASK_STATE_AUTH_REQUIRED") => TaskState::AuthRequired,
        Some("TASK_STATE_COMPLETED") => TaskState::Completed,
        Some("TASK_STATE_FAILED") => TaskState::Failed,
        Some("TASK_STATE_CANCELED") => TaskState::Canceled,
        Some("TASK_STATE_REJECTED") => TaskState::Rejected,
        None | Some("TASK_STATE_UNSPECIFIED") => TaskState::Unspecified,
        Some(other) => TaskState::Other(other.into()),
    }
}

pub(super) fn role(text: Option<&str>) -> Role {
    match text {
        Some("ROLE_USER") => Role::User,
        Some("ROLE_AGENT") => Role::Agent,
        other => Role::Other(other.unwrap_or_default().into()),
    }
}

pub(super) fn message(object: &Object<'_>) -> Message {
    Message {
        id: MessageId::from(or_empty(object, "messageId")),
        role: role(object.text("role").as_deref()),
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
    let Ok(object) = Object::parse(raw) else {
        return unknown_part(raw);
    };
    let content = if let Some(text) = object.untrusted("text") {
        Content::Text(text)
    } else if let Some(bytes) = object.untrusted("raw") {
        Content::Raw(bytes)
    } else if let Some(url) = object.untrusted("url") {
        Content::Url(url)
    } else if object.has("data") {
        Content::Data(object.json("data").unwrap_or_else(|| Json::new("null")))
    } else {
        return unknown_part(raw);
    };
    Part {
        content,
        filename: object.filled("filename"),
        media_type: object.filled("mediaType"),
        metadata: object.json_object("metadata"),
    }
}

fn unknown_part(raw: &str) -> Part {
    Part { content: Content::Unknown(Json::new(raw)), filename: None, media_type: None, metadata: None }
}

pub(super) fn request(body: &str) -> Result<(String, Incoming), Cause> {
    let (id, method, params) = jsonrpc::open_request(body)?;
    let params = Object::parse(params)?;
    let task = || params.filled("id").map(TaskId::from).ok_or_else(|| malformed("no id"));
    let incoming = match method.as_str() {
        "SendMessage" | "SendStreamingMessage" => {
            let said = params.object("message").ok_or_else(|| malformed("no message"))?;
            let config = params.object("configuration").unwrap_or_default();
            Incoming::Send {
                message: message(&said),
                stream: method == "SendStreamingMessage",
                at_once: config.flag("returnImmediately"),
            }
        }
        "GetTask" => Incoming::Get(task()?),
        "CancelTask" => Incoming::Cancel(task()?),
        "SubscribeToTask" => Incoming::Subscribe(task()?),
        "ListTasks" => {
            let query = ListQuery {
                state: params.text("status").map(|text| state(Some(&text))),
                context: context(&params),
                after: time(&params, "statusTimestampAfter"),
                page: params.filled("pageToken"),
                history: params.number("historyLength") != Some(0),
            };
            Incoming::List(query, usize::try_from(params.number("pageSize").unwrap_or(50)).unwrap_or(50))
        }
        _ => Incoming::Unknown(Untrusted::from(method).line().into_string()),
    };
    Ok((id, incoming))
}
