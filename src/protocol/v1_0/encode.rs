//! Domain to 1.0 JSON.

use crate::domain::agent::card::Dialect;
use crate::domain::job::message::{Artifact, Content, Message, Part};
use crate::domain::job::task::{Status, StreamEvent, TaskReport};
use crate::domain::text::Untrusted;
use crate::protocol::json::{Writer, array, string};
use crate::protocol::shared::{id_text, metadata_with_hints, raw_of, time_text};
use crate::protocol::{Reply, Request, jsonrpc, words};

/// The largest page that servers allow (A2A 1.0 section 3.1.4).
const PAGE: u16 = 100;

pub(super) fn request(id: &str, tenant: Option<&str>, request: &Request<'_>) -> String {
    let params = Writer::new().maybe("tenant", tenant);
    let (method, params) = match request {
        Request::Send { message, stream } => {
            // A blocking send would hide the task until it ends.
            let configuration = Writer::new().flag("returnImmediately", !stream).end();
            let params = params.raw("message", &self::message(message)).raw("configuration", &configuration);
            (if *stream { "SendStreamingMessage" } else { "SendMessage" }, params)
        }
        Request::Get(task) => ("GetTask", params.text("id", &task.raw())),
        Request::Cancel(task) => ("CancelTask", params.text("id", &task.raw())),
        Request::Subscribe(task) => ("SubscribeToTask", params.text("id", &task.raw())),
        Request::List(query) => {
            let mut params = params.raw("pageSize", &query.size.unwrap_or(PAGE).to_string());
            if let Some(state) = &query.state {
                params = params.text("status", &words::state_word(state, Dialect::V1_0));
            }
            if !query.history {
                params = params.raw("historyLength", "0");
            }
            let after = time_text(query.after);
            let context = query.context.as_ref().map(|context| context.raw());
            let params = params
                .maybe("contextId", context)
                .maybe("statusTimestampAfter", after.as_deref())
                .maybe("pageToken", id_text(query.page.as_ref()));
            ("ListTasks", params)
        }
    };
    jsonrpc::request(id, method, &params.end())
}

pub(super) fn task(task: &TaskReport) -> String {
    let mut writer = Writer::new()
        .text("id", &task.id.raw())
        .maybe("contextId", task.context.as_ref().map(|context| context.raw()))
        .raw("status", &status(&task.status));
    if let Some(artifacts) = &task.artifacts
        && !artifacts.is_empty()
    {
        writer = writer.list("artifacts", artifacts.iter().map(artifact));
    }
    if !task.history.is_empty() {
        writer = writer.list("history", task.history.iter().map(message));
    }
    writer.maybe_raw("metadata", raw_of(task.metadata.as_ref())).end()
}

fn status(status: &Status) -> String {
    Writer::new()
        .text("state", &words::state_word(&status.state, Dialect::V1_0))
        .maybe_raw("message", status.message.as_ref().map(message).as_deref())
        .maybe("timestamp", time_text(status.timestamp).as_deref())
        .end()
}

pub(super) fn message(message: &Message) -> String {
    let mut writer = Writer::new()
        .text("messageId", &message.id.raw())
        .maybe("contextId", message.context.as_ref().map(|context| context.raw()))
        .maybe("taskId", message.task.as_ref().map(|task| task.raw()))
        .text("role", words::role_word(&message.role, Dialect::V1_0))
        .list("parts", message.parts.iter().map(part))
        .maybe_raw("metadata", metadata_with_hints(message).as_deref());
    if !message.references.is_empty() {
        writer = writer.list("referenceTaskIds", message.references.iter().map(|task| string(&task.raw())));
    }
    writer.end()
}

fn part(part: &Part) -> String {
    let writer = match &part.content {
        Content::Text(text) => Writer::new().text("text", text.raw()),
        Content::Raw(bytes) => Writer::new().text("raw", bytes.raw()),
        Content::Url(url) => Writer::new().text("url", url.raw()),
        Content::Data(json) => Writer::new().raw("data", json.raw()),
        Content::Unknown(json) => return json.raw().to_owned(),
    };
    writer
        .maybe("filename", id_text(part.filename.as_ref()))
        .maybe("mediaType", id_text(part.media_type.as_ref()))
        .maybe_raw("metadata", raw_of(part.metadata.as_ref()))
        .end()
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
        StreamEvent::Task(report) => Writer::new().raw("task", &task(report)).end(),
        StreamEvent::Message(content) => Writer::new().raw("message", &message(content)).end(),
        StreamEvent::Status { task, context, status, metadata, .. } => {
            let update = Writer::new()
                .maybe("taskId", task.as_ref().map(|task| task.raw()))
                .maybe("contextId", context.as_ref().map(|context| context.raw()))
                .raw("status", &self::status(status))
                .maybe_raw("metadata", raw_of(metadata.as_ref()))
                .end();
            Writer::new().raw("statusUpdate", &update).end()
        }
        StreamEvent::Artifact { task, context, artifact, append, last } => {
            let mut update = Writer::new()
                .maybe("taskId", task.as_ref().map(|task| task.raw()))
                .maybe("contextId", context.as_ref().map(|context| context.raw()))
                .raw("artifact", &self::artifact(artifact));
            // False booleans are left out in 1.x JSON.
            if *append {
                update = update.flag("append", true);
            }
            if *last {
                update = update.flag("lastChunk", true);
            }
            Writer::new().raw("artifactUpdate", &update.end()).end()
        }
        StreamEvent::Unknown(json) => json.raw().to_owned(),
    }
}

pub(super) fn send_result(reply: &Reply) -> String {
    match reply {
        Reply::Task(report) => Writer::new().raw("task", &task(report)).end(),
        Reply::Message(content) => Writer::new().raw("message", &message(content)).end(),
        Reply::Page { tasks, next, total, .. } => {
            let next = next.as_ref().map_or("", Untrusted::raw);
            Writer::new()
                .raw("tasks", &array(tasks.iter().map(task)))
                .text("nextPageToken", next)
                .raw("pageSize", &tasks.len().to_string())
                .raw("totalSize", &total.unwrap_or(tasks.len() as u64).to_string())
                .end()
        }
    }
}
