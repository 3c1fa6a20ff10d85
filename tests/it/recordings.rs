//! Golden tests over bytes recorded from servers of four SDK generations.
//!
//! Each recording is decoded the way the program decodes it, rendered with one line per event, and encoded again. The
//! result must equal the recording, apart from what the dialect allows servers to leave out.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use quarterdeck::domain::agent::card::Dialect;
use quarterdeck::domain::cause::Cause;
use quarterdeck::domain::job::message::{Artifact, Content, Message, Part};
use quarterdeck::domain::job::task::{StreamEvent, TaskReport};
use quarterdeck::protocol::sse::Guard;
use quarterdeck::protocol::{Codec, Deviations, Event, Reply, card, codec};
use serde_json::Value;

/// One recorded exchange.
struct Recording {
    name: String,
    request: String,
    head: String,
    body: Vec<u8>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures")
}

fn recordings(server: &str) -> Vec<Recording> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder().join(server)).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> Recording {
    let bytes = std::fs::read(file).unwrap();
    let marker = b"### RESPONSE (raw, curl -i -N):\n";
    let at = memchr::memmem::find(&bytes, marker).unwrap();
    let request = String::from_utf8_lossy(&bytes[..at]).into_owned();
    let rest = &bytes[at + marker.len()..];
    let rest = &rest[..memchr::memmem::rfind(rest, b"### curl exit").unwrap()];
    let rest = match memchr::memmem::rfind(rest, b"curl: (18)") {
        Some(end) => &rest[..end],
        None => rest,
    };
    let split = memchr::memmem::find(rest, b"\r\n\r\n").map_or(rest.len(), |at| at + 4);
    Recording {
        name: file.file_stem().unwrap().to_string_lossy().into_owned(),
        request,
        head: String::from_utf8_lossy(&rest[..split]).to_ascii_lowercase(),
        body: rest[split..].to_vec(),
    }
}

impl Recording {
    fn dialect(&self) -> Dialect {
        let old = ["\"message/", "\"tasks/", "\"agent/"].iter().any(|method| self.request.contains(method));
        if old { Dialect::V0_3 } else { Dialect::V1_0 }
    }

    fn is_stream(&self) -> bool {
        self.head.contains("text/event-stream")
    }

    fn render(&self, out: &mut String) {
        let codec = codec(self.dialect());
        if self.name.starts_with("card-") {
            let text = String::from_utf8_lossy(&self.body);
            let rendered = match card::decode(&text) {
                Ok(card) => {
                    let schemes: Vec<_> =
                        card.security.iter().map(|s| format!("{} {}", s.name, s.kind)).collect();
                    let faults: Vec<_> = card.faults.iter().map(ToString::to_string).collect();
                    format!("card {} offers {}; {schemes:?} {faults:?}", card.name, card.offers_in_words())
                }
                Err(cause) => format!("no card: {cause}"),
            };
            let _infallible = writeln!(out, "{}: {rendered}", self.name);
            return;
        }
        if !self.is_stream() {
            let mut deviations = Deviations::default();
            let rendered = match codec.decode_reply(&String::from_utf8_lossy(&self.body), &mut deviations) {
                Ok(reply) => render_reply(&reply),
                Err(cause) => render_cause(&cause),
            };
            let _infallible = writeln!(
                out,
                "{} {}: {rendered}{}",
                self.dialect(),
                self.name,
                render_deviations(&deviations)
            );
            return;
        }
        let _infallible = writeln!(out, "{} {}:", self.dialect(), self.name);
        let mut last = (String::new(), 0);
        let mut lines: Vec<(String, u32)> = Vec::new();
        for data in events(&self.body) {
            let mut deviations = Deviations::default();
            let rendered = match codec.decode_event(&data, &mut deviations) {
                Ok(Event::Chunk { artifact, last, .. }) => {
                    format!("chunk of {artifact}{}", if last { ", last" } else { "" })
                }
                Ok(Event::Full(event)) => render_event(&event),
                Ok(Event::Error(cause)) => format!("error in the stream: {}", render_cause(&cause)),
                Err(cause) => format!("unreadable: {}", render_cause(&cause)),
            } + &render_deviations(&deviations);
            if rendered == last.0 && !lines.is_empty() {
                lines.last_mut().unwrap().1 += 1;
            } else {
                lines.push((rendered.clone(), 1));
            }
            last.0 = rendered;
        }
        for (line, times) in lines {
            let times = if times > 1 { format!(" ×{times}") } else { String::new() };
            let _infallible = writeln!(out, "    {line}{times}");
        }
    }

    /// What can be decoded must be encoded to the same JSON.
    fn check_round_trip(&self) {
        let codec = codec(self.dialect());
        if self.name.starts_with("card-") {
            return;
        }
        if !self.is_stream() {
            let text = String::from_utf8_lossy(&self.body);
            if let Ok(reply) = codec.decode_reply(&text, &mut Deviations::default()) {
                let original: Value = serde_json::from_str(&text).unwrap();
                self.compare(&original["result"], &encode_reply(codec, &reply, &original["result"]));
            }
            return;
        }
        for data in events(&self.body) {
            let original: Value = serde_json::from_str(&data).unwrap();
            if let Ok(Event::Full(event)) = codec.decode_event(&data, &mut Deviations::default()) {
                self.compare(&original["result"], &codec.encode_event(&event));
            }
        }
    }

    fn compare(&self, original: &Value, encoded: &str) {
        let mut encoded: Value = serde_json::from_str(encoded).unwrap();
        let mut original = original.clone();
        normalise(&mut original);
        normalise(&mut encoded);
        assert_eq!(encoded, original, "{} in {}", self.name, self.dialect());
    }
}

fn events(body: &[u8]) -> Vec<String> {
    let mut events = Vec::new();
    Guard::new().push(body, |event| events.push(event.data.into_owned())).unwrap();
    events
}

fn encode_reply(codec: &dyn Codec, reply: &Reply, original: &Value) -> String {
    match reply {
        // GetTask and CancelTask answer with the bare task; sends wrap it in 1.0.
        Reply::Task(task) if original.get("task").is_none() => codec.encode_task(task),
        Reply::Message(message) if original.get("message").is_none() => codec.encode_message(message),
        _ => codec.encode_send_result(reply),
    }
}

/// Removes what servers may write or leave out without a difference in meaning.
fn normalise(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // The requested page size, and totals of the whole list.
            map.remove("pageSize");
            map.remove("totalSize");
            // One SDK leaves `kind` out on some tasks; `final` follows from the state.
            map.remove("kind");
            map.remove("final");
            // 0.1 used `type` for `kind`.
            map.remove("type");
            for (key, member) in map.iter_mut() {
                if key == "timestamp" {
                    let text = member.as_str().unwrap_or_default();
                    let time = quarterdeck::protocol::timestamp::parse(text).map(|time| time.micros() / 1000);
                    *member = time.map_or(Value::Null, Value::from);
                }
                normalise(member);
            }
            map.retain(|_, member| {
                !(member.is_null()
                    || member == &Value::Bool(false)
                    || member == &Value::from("")
                    || member.as_array().is_some_and(Vec::is_empty)
                    || member.as_object().is_some_and(serde_json::Map::is_empty))
            });
            map.sort_keys();
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        _ => {}
    }
}

fn render_reply(reply: &Reply) -> String {
    match reply {
        Reply::Task(task) => render_task(task),
        Reply::Message(message) => render_message(message),
        Reply::Page { tasks, next, total, unread } => {
            let tasks: Vec<_> = tasks.iter().map(render_task).collect();
            let of = total.map_or_else(String::new, |total| format!(" of {total}"));
            let unread = if *unread > 0 { format!(", {unread} unread") } else { String::new() };
            let more = if next.is_some() { "more" } else { "no more" };
            format!("{}{of} tasks{unread}, {more}: {tasks:?}", tasks.len())
        }
    }
}

fn render_deviations(deviations: &Deviations) -> String {
    deviations.iter().map(|what| format!("; wrote {what}")).collect()
}

fn render_task(task: &TaskReport) -> String {
    let artifacts: Vec<_> = task.artifacts.iter().flatten().map(render_artifact).collect();
    let note = task.status.message.as_ref().map(|message| format!(" {:?}", message.headline(40).raw()));
    let timed = if task.status.timestamp.is_some() { "" } else { ", no time" };
    let context = if task.context.is_some() { "" } else { ", no context" };
    format!(
        "task {}{}{timed}{context}, {} messages, {artifacts:?}",
        task.status.state.word(),
        note.unwrap_or_default(),
        task.history.len()
    )
}

fn render_message(message: &Message) -> String {
    format!("message of {:?} {:?}", message.role, message.headline(40).raw())
}

fn render_artifact(artifact: &Artifact) -> String {
    let parts: Vec<_> = artifact.parts.iter().map(render_part).collect();
    format!("{} of {}", artifact.id, parts.join("+"))
}

fn render_part(part: &Part) -> &'static str {
    match part.content {
        Content::Text(_) => "text",
        Content::Raw(_) => "bytes",
        Content::Url(_) => "url",
        Content::Data(_) => "data",
        Content::Unknown(_) => "unknown",
    }
}

fn render_event(event: &StreamEvent) -> String {
    match event {
        StreamEvent::Task(task) => render_task(task),
        StreamEvent::Message(message) => render_message(message),
        StreamEvent::Status { status, .. } => {
            let note = status.message.as_ref().map(|message| format!(" {:?}", message.headline(40).raw()));
            format!("status {}{}", status.state.word(), note.unwrap_or_default())
        }
        StreamEvent::Artifact { artifact, append, last, .. } => {
            let how = if *append { "appended" } else { "begun" };
            format!("artifact {how}: {}{}", render_artifact(artifact), if *last { ", last" } else { "" })
        }
        StreamEvent::Unknown(json) => format!("unknown {:?}", json.0),
    }
}

fn render_cause(cause: &Cause) -> String {
    match cause {
        Cause::Rpc(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[track_caller]
fn check(server: &str) {
    let mut rendered = String::new();
    for recording in recordings(server) {
        recording.render(&mut rendered);
        recording.check_round_trip();
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(server, rendered);
    });
}

#[test]
fn python_1_3() {
    check("python-1.3.0-compat");
    check("python-1.3.0-nocompat");
    check("python-1.3.0-compat-as-v03");
}

#[test]
fn python_0_3() {
    check("python-0.3.26-jsonrpc");
}

#[test]
fn javascript_1_3() {
    check("js-1.3.0-compat");
    check("js-1.3.0-nocompat");
    check("js-1.3.0-compat-as-v03");
}

#[test]
fn javascript_0_3() {
    check("js-0.3.14");
}
