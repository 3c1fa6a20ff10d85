//! Domain to 0.3 JSON.

use crate::domain::agent::card::Dialect;
use crate::domain::job::message::{Artifact, Content, Message, Part};
use crate::domain::job::task::{Status, StreamEvent, TaskReport};
use crate::domain::text::Untrusted;
use crate::protocol::json::{Writer, array, string};
use crate::protocol::shared::{id_text, metadata_with_hints, raw_of, time_text};
use crate::protocol::{Reply, Request, jsonrpc, words};

/// One SDK returns no history without a number, and all of it for zero.
const HISTORY: &str = "1000";

pub(super) fn request(id: &str, _tenant: Option<&str>, request: &Request<'_>) -> String {
    let params = Writer::new();
    let (method, params) = match request {
        Request::Send { message, stream } => {
            let configuration = Writer::new().flag("blocking", false).end();
            let params = params.raw("message", &self::message(message)).raw("configuration", &configuration);
            (if *stream { "message/stream" } else { "message/send" }, params)
        }
        Request::Get(task) => ("tasks/get", params.text("id", &task.raw()).raw("historyLength", HISTORY)),
        Request::Cancel(task) => ("tasks/cancel", params.text("id", &task.raw())),
        Request::Subscribe(task) => ("tasks/resubscribe", params.text("id", &task.raw())),
        // No SDK implements it; the core never requests it, as `lists_tasks` is false.
        Request::List(_) => ("tasks/list", params),
    };
    jsonrpc::request(id, method, &params.end())
}

pub(super) fn task(task: &TaskReport) -> String {
    let mut writer = Writer::new()
        .text("kind", "task")
        .text("id", &task.id.raw())
        .maybe("contextId", task.context.as_ref().map(|context| context.raw()))
        .raw("status", &status(&task.status));
    if let Some(artifacts) = &task.artifacts {
        writer = writer.list("artifacts", artifacts.iter().map(artifact));
    }
    if !task.history.is_empty() {
        writer = writer.list("history", task.history.iter().map(message));
    }
    writer.maybe_raw("metadata", raw_of(task.metadata.as_ref())).end()
}

fn status(status: &Status) -> String {
    Writer::new()
        .text("state", &words::state_word(&status.state, Dialect::V0_3))
        .maybe_raw("message", status.message.as_ref().map(message).as_deref())
        .maybe("timestamp", time_text(status.timestamp).as_deref())
        .end()
}

pub(super) fn message(message: &Message) -> String {
    let mut writer = Writer::new()
        .text("kind", "message")
        .text("messageId", &message.id.raw())
        .maybe("contextId", message.context.as_ref().map(|context| context.raw()))
        .maybe("taskId", message.task.as_ref().map(|task| task.raw()))
        .text("role", words::role_word(&message.role, Dialect::V0_3))
        .list("parts", message.parts.iter().map(part))
        .maybe_raw("metadata", metadata_with_hints(message).as_deref());
    if !message.references.is_empty() {
        writer = writer.list("referenceTaskIds", message.references.iter().map(|task| string(&task.raw())));
    }
    writer.end()
}

fn part(part: &Part) -> String {
    let file = |writer: Writer| {
        writer
            .maybe("name", id_text(part.filename.as_ref()))
            .maybe("mimeType", id_text(part.media_type.as_ref()))
            .end()
    };
    let writer = match &part.content {
        Content::Text(text) => Writer::new().text("kind", "text").text("text", text.raw()),
        Content::Data(json) => Writer::new().text("kind", "data").raw("data", json.raw()),
        Content::Raw(bytes) => {
            Writer::new().text("kind", "file").raw("file", &file(Writer::new().text("bytes", bytes.raw())))
        }
        Content::Url(url) => {
            Writer::new().text("kind", "file").raw("file", &file(Writer::new().text("uri", url.raw())))
        }
        Content::Unknown(json) => return json.raw().to_owned(),
    };
    writer.maybe_raw("metadata", raw_of(part.metadata.as_ref())).end()
}

fn artifact(artifact: &Artifact) -> String {
    Writer::new()
        .text("artifactId", artifact.id.raw())
        .maybe("name", artifact.name.as_ref().map(Untrusted::raw))
        .maybe("description", artifact.description.as_ref().map(Untrusted::raw))
        .list("parts", artifact.parts.iter().map(part))
        .maybe_raw("metadata", raw_of(artifact.metadata.as_ref()))
        .end()
}

pub(super) fn event(event: &StreamEvent) -> String {
    match event {
        StreamEvent::Task(report) => task(report),
        StreamEvent::Message(content) => message(content),
        StreamEvent::Status { task, context, status, metadata, .. } => Writer::new()
            .text("kind", "status-update")
            .maybe("taskId", task.as_ref().map(|task| task.raw()))
            .maybe("contextId", context.as_ref().map(|context| context.raw()))
            .raw("status", &self::status(status))
            .flag("final", status.state.is_terminal() || status.state.is_interrupted())
            .maybe_raw("metadata", raw_of(metadata.as_ref()))
            .end(),
        StreamEvent::Artifact { task, context, artifact, append, last } => Writer::new()
            .text("kind", "artifact-update")
            .maybe("taskId", task.as_ref().map(|task| task.raw()))
            .maybe("contextId", context.as_ref().map(|context| context.raw()))
            .raw("artifact", &self::artifact(artifact))
            .flag("append", *append)
            .flag("lastChunk", *last)
            .end(),
        StreamEvent::Unknown(json) => json.raw().to_owned(),
    }
}

pub(super) fn send_result(reply: &Reply) -> String {
    match reply {
        Reply::Task(report) => task(report),
        Reply::Message(content) => message(content),
        Reply::Page { tasks, .. } => array(tasks.iter().map(task)),
    }
}
