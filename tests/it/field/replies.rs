//! How answers and events of either dialect are decoded.

use std::fmt::Write;

use quarterdeck::domain::agent::card::Dialect;
use quarterdeck::domain::job::message::Message;
use quarterdeck::domain::job::task::{Status, StreamEvent, TaskReport};
use quarterdeck::protocol::{Deviations, Event, Reply, codec};

use super::describe_parts;

/// Whether a text is the answer to a request, or an event of a stream.
#[derive(Clone, Copy, Debug)]
enum At {
    Reply,
    Event,
}

/// The name of the row, the dialect, where the text is from, the `result` of an answer or event, the expected
/// description, and one of the deviations that are noted; if that is empty, none may be noted.
type ReplyRow = (&'static str, Dialect, At, &'static str, &'static str, &'static str);

use At::{Event as InEvent, Reply as InReply};
use Dialect::{V0_3, V1_0};

const REPLIES: &[ReplyRow] = &[
    // Correct ones.
    (
        "1.0 task",
        V1_0,
        InReply,
        r#"{"task":{"id":"t","status":{"state":"TASK_STATE_COMPLETED"}}}"#,
        "task t completed",
        "",
    ),
    (
        "1.0 bare task",
        V1_0,
        InReply,
        r#"{"id":"t","status":{"state":"TASK_STATE_COMPLETED"}}"#,
        "task t completed",
        "",
    ),
    (
        "0.3 task",
        V0_3,
        InReply,
        r#"{"kind":"task","id":"t","status":{"state":"completed"}}"#,
        "task t completed",
        "",
    ),
    (
        "0.3 message",
        V0_3,
        InReply,
        r#"{"kind":"message","messageId":"m","role":"agent","parts":[{"kind":"text","text":"a"}]}"#,
        "Agent: a",
        "",
    ),
    // Spellings of the other dialect and of protocol buffers, in upper and lower case.
    (
        "0.3 words in 1.0",
        V1_0,
        InReply,
        r#"{"task":{"id":"t","status":{"state":"completed","message":{"messageId":"m","role":"agent","parts":[{"text":"a"}]}}}}"#,
        "task t completed; Agent: a",
        r#"the state "completed" for "TASK_STATE_COMPLETED""#,
    ),
    (
        "role of 0.3 in 1.0",
        V1_0,
        InReply,
        r#"{"message":{"messageId":"m","role":"agent","parts":[{"text":"a"}]}}"#,
        "Agent: a",
        r#"the role "agent" for "ROLE_AGENT""#,
    ),
    (
        "numbers",
        V1_0,
        InReply,
        r#"{"task":{"id":"t","status":{"state":6,"message":{"role":2,"parts":[{"text":"a"}]}}}}"#,
        "task t needs an answer; Agent: a",
        r#"the state "6" for "TASK_STATE_INPUT_REQUIRED""#,
    ),
    (
        "1.0 words in 0.3",
        V0_3,
        InEvent,
        r#"{"kind":"status-update","taskId":"t","status":{"state":"TASK_STATE_CANCELLED"}}"#,
        "status canceled",
        r#"the state "TASK_STATE_CANCELLED" for "canceled""#,
    ),
    (
        "capitals, null kinds",
        V0_3,
        InReply,
        r#"{"kind":"task","id":"t","status":{"state":"COMPLETED","message":{"kind":"message","messageId":"m","role":"AGENT","parts":[{"kind":null,"text":"words","metadata":null}]}},"artifacts":null}"#,
        "task t completed; Agent: words",
        r#"the state "COMPLETED" for "completed""#,
    ),
    (
        "a state that nobody knows",
        V1_0,
        InEvent,
        r#"{"statusUpdate":{"taskId":"t","status":{"state":"TASK_STATE_PAUSED"}}}"#,
        "status TASK_STATE_PAUSED",
        "",
    ),
    // With and without envelopes.
    (
        "bare status in 1.0",
        V1_0,
        InEvent,
        r#"{"kind":"status-update","taskId":"t","contextId":"c","status":{"state":"TASK_STATE_COMPLETED"}}"#,
        "status completed",
        "a status update without its envelope",
    ),
    (
        "bare artifact in 1.0",
        V1_0,
        InEvent,
        r#"{"kind":"artifact-update","taskId":"t","artifact":{"artifactId":"o","parts":[{"text":"x"}]},"append":true}"#,
        "artifact o more x",
        "an artifact update without its envelope",
    ),
    (
        "bare task in 1.0",
        V1_0,
        InEvent,
        r#"{"kind":"task","id":"t","status":{"state":"TASK_STATE_WORKING"}}"#,
        "task t working",
        "a task without its envelope",
    ),
    (
        "bare message in 1.0",
        V1_0,
        InReply,
        r#"{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"a"}]}"#,
        "Agent: a",
        "a message without its envelope",
    ),
    (
        "envelope in 0.3",
        V0_3,
        InEvent,
        r#"{"statusUpdate":{"taskId":"t","status":{"state":"completed"},"final":true}}"#,
        "status completed",
        "a status update in an envelope of 1.0",
    ),
    (
        "snake case envelope",
        V1_0,
        InEvent,
        r#"{"status_update":{"task_id":"t","context_id":"c","status":{"state":"TASK_STATE_COMPLETED"}}}"#,
        "status completed",
        r#"the member "task_id" for "taskId""#,
    ),
    (
        "snake case artifact",
        V1_0,
        InEvent,
        r#"{"artifact_update":{"task_id":"t","artifact":{"artifact_id":"o","parts":[{"text":"x","media_type":"text/plain"}]},"append":true,"last_chunk":true}}"#,
        "artifact o last x",
        r#"the member "artifact_id" for "artifactId""#,
    ),
    (
        "no kind at all in 0.3",
        V0_3,
        InEvent,
        r#"{"taskId":"t","status":{"state":"completed"},"final":true}"#,
        "status completed",
        "a status update without kind",
    ),
    (
        "status update as a reply",
        V0_3,
        InReply,
        r#"{"kind":"status-update","taskId":"t","status":{"state":"completed"},"final":true}"#,
        "task t completed",
        "a status update where a task belongs",
    ),
    (
        "a state for a status",
        V0_3,
        InReply,
        r#"{"kind":"task","id":"t","status":"COMPLETED"}"#,
        "task t completed",
        "a state where a status belongs",
    ),
    (
        "an update without any id",
        V1_0,
        InEvent,
        r#"{"statusUpdate":{"status":{"state":"TASK_STATE_COMPLETED"}}}"#,
        "status completed",
        "",
    ),
    // Parts.
    (
        "file of 0.3's proto",
        V0_3,
        InReply,
        r#"{"kind":"message","messageId":"m","role":"agent","parts":[{"kind":"file","file":{"fileWithBytes":"aGVsbG8=","mediaType":"text/plain","name":"note.txt"}}]}"#,
        "Agent: file note.txt text/plain 5 B",
        r#"the member "fileWithBytes" for "bytes""#,
    ),
    (
        "file of 1.0 in 0.3",
        V0_3,
        InReply,
        r#"{"kind":"message","messageId":"m","role":"agent","parts":[{"raw":"aGVsbG8=","media_type":"text/plain","filename":"note.txt"}]}"#,
        "Agent: file note.txt text/plain 5 B",
        "a part without kind",
    ),
    (
        "file of 0.3 in 1.0",
        V1_0,
        InReply,
        r#"{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"kind":"file","file":{"uri":"http://h/x","mimeType":"text/plain","name":"x"}}]}}"#,
        "Agent: link x text/plain http://h/x",
        r#"a part with a member "file""#,
    ),
    (
        "link beside no bytes",
        V0_3,
        InReply,
        r#"{"kind":"message","messageId":"m","role":"agent","parts":[{"kind":"file","file":{"bytes":"","uri":"http://h/x"}}]}"#,
        "Agent: link http://h/x",
        "",
    ),
    (
        "type of 0.1",
        V0_3,
        InReply,
        r#"{"kind":"message","messageId":"m","role":"agent","parts":[{"type":"text","text":"a"},{"type":"data","data":{"n":1}}]}"#,
        r#"Agent: a, data {"n":1}"#,
        r#"the member "type" for "kind""#,
    ),
    (
        "content for parts",
        V1_0,
        InReply,
        r#"{"message":{"messageId":"m","role":"ROLE_AGENT","content":[{"text":"a"}]}}"#,
        "Agent: a",
        r#"the member "content" for "parts""#,
    ),
    (
        "a text for a part",
        V1_0,
        InReply,
        r#"{"message":{"messageId":"m","role":"ROLE_AGENT","parts":["a",{"text":"b"}]}}"#,
        "Agent: a, b",
        "a text where a part belongs",
    ),
    (
        "a text for a message",
        V0_3,
        InEvent,
        r#"{"kind":"status-update","taskId":"t","status":{"state":"working","message":"thinking"}}"#,
        "status working; Agent: thinking",
        "a text where a message belongs",
    ),
    (
        "a part that nobody knows",
        V1_0,
        InReply,
        r#"{"message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"video":1}]}}"#,
        r#"Agent: unknown {"video":1}"#,
        "",
    ),
    // Pages.
    (
        "a page",
        V1_0,
        InReply,
        r#"{"tasks":[{"id":"t","status":{"state":"TASK_STATE_WORKING"}},{"status":{}},7],"nextPageToken":"n","totalSize":5,"pageSize":2}"#,
        "page of 1, 2 unread, total Some(5), more",
        "",
    ),
    (
        "the last page",
        V1_0,
        InReply,
        r#"{"tasks":[],"next_page_token":""}"#,
        "page of 0, 0 unread, total None",
        r#"the member "next_page_token" for "nextPageToken""#,
    ),
];

fn describe_message(message: &Message) -> String {
    format!("{:?}: {}", message.role, describe_parts(&message.parts))
}

fn describe_status(status: &Status) -> String {
    let message = status.message.as_ref().map(|message| format!("; {}", describe_message(message)));
    format!("{}{}", status.state.word(), message.unwrap_or_default())
}

fn describe_task(task: &TaskReport) -> String {
    let mut described = format!("task {} {}", &*task.id.raw(), describe_status(&task.status));
    for artifact in task.artifacts.iter().flatten() {
        let _infallible = write!(described, "; {} {}", artifact.id.raw(), describe_parts(&artifact.parts));
    }
    described
}

fn describe_reply(reply: &Reply) -> String {
    match reply {
        Reply::Task(task) => describe_task(task),
        Reply::Message(message) => describe_message(message),
        Reply::Page { tasks, next, total, unread } => {
            let more = if next.is_some() { ", more" } else { "" };
            format!("page of {}, {unread} unread, total {total:?}{more}", tasks.len())
        }
    }
}

fn describe_event(event: &Event<'_>) -> String {
    match event {
        Event::Chunk { artifact, text, last, .. } => {
            format!("artifact {artifact} {} {text}", if *last { "last" } else { "more" })
        }
        Event::Full(StreamEvent::Task(task)) => describe_task(task),
        Event::Full(StreamEvent::Message(message)) => describe_message(message),
        Event::Full(StreamEvent::Status { status, .. }) => format!("status {}", describe_status(status)),
        Event::Full(StreamEvent::Artifact { artifact, append, last, .. }) => {
            let how = if *last {
                "last"
            } else if *append {
                "more"
            } else {
                "begins"
            };
            format!("artifact {} {how} {}", artifact.id.raw(), describe_parts(&artifact.parts))
        }
        Event::Full(StreamEvent::Unknown(json)) => format!("unknown {}", json.raw()),
        Event::Error(cause) => cause.to_string(),
    }
}

#[test]
fn replies_and_events_of_either_dialect_are_understood() {
    for (name, dialect, at, result, expected, noted) in REPLIES {
        let mut deviations = Deviations::default();
        let text = format!(r#"{{"jsonrpc":"2.0","id":"1","result":{result}}}"#);
        let described = match at {
            At::Reply => {
                codec(*dialect).decode_reply(&text, &mut deviations).map(|reply| describe_reply(&reply))
            }
            At::Event => {
                codec(*dialect).decode_event(&text, &mut deviations).map(|event| describe_event(&event))
            }
        };
        assert_eq!(described.as_deref(), Ok(*expected), "{name}");
        let all: Vec<_> = deviations.iter().map(|what| what.raw()).collect();
        assert_eq!(all.is_empty(), noted.is_empty(), "{name}: {all:?}");
        assert!(noted.is_empty() || all.contains(noted), "{name}: {all:?}");
        // The same without the envelope of JSON-RPC.
        let mut deviations = Deviations::default();
        let described = match at {
            At::Reply => {
                codec(*dialect).decode_reply(result, &mut deviations).map(|reply| describe_reply(&reply))
            }
            At::Event => {
                codec(*dialect).decode_event(result, &mut deviations).map(|event| describe_event(&event))
            }
        };
        assert_eq!(described.as_deref(), Ok(*expected), "{name}, bare");
        assert!(deviations.iter().any(|what| what.raw().contains("JSON-RPC")), "{name}");
    }
}
