//! JSON to domain, for both dialects.
//!
//! Agents mix protocol versions: methods of one with the words, members or envelopes of the other, and the names used
//! by protocol buffers. One reader understands all of it, whichever version was requested; deviations from that version
//! are recorded in [`Deviations`].

use super::json::{Object, elements, text_of};
use super::recent_tasks::RecentTasks;
use super::shared::{context, hints, or_empty, task_id, time};
use super::{Deviations, Event, Reply, jsonrpc, keep_raw, malformed, question, words};
use crate::domain::agent::card::Dialect;
use crate::domain::cause::Cause;
use crate::domain::id::{MessageId, TaskId};
use crate::domain::job::message::{Artifact, Content, Json, Message, Part, Role};
use crate::domain::job::task::{Status, StreamEvent, TaskReport};
use crate::domain::text::Untrusted;

/// Decodes one document or one event of an agent in a protocol version.
#[derive(Debug)]
pub(super) struct Reader<'d> {
    pub dialect: Dialect,
    pub deviations: &'d mut Deviations,
    /// Tasks that need not be decoded again.
    pub recent: Option<&'d mut RecentTasks>,
}

/// The type of an object in an answer or event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    Task,
    Message,
    Status,
    Artifact,
}

/// The envelopes of 1.0, and the types of their contents.
const ENVELOPES: [(&str, Shape); 4] = [
    ("task", Shape::Task),
    ("message", Shape::Message),
    ("statusUpdate", Shape::Status),
    ("artifactUpdate", Shape::Artifact),
];

/// An object found in an answer or event.
struct Found<'a> {
    shape: Shape,
    raw: &'a str,
    object: Object<'a>,
    /// It stood in one of the [`ENVELOPES`].
    wrapped: bool,
}

impl Reader<'_> {
    /// The answer to a request that does not stream.
    pub fn reply(&mut self, body: &str) -> Result<Reply, Cause> {
        let result = self.result(body)?;
        let object = Object::parse_lenient(result)?;
        if object.has("tasks") {
            return Ok(self.page(&object));
        }
        let Some(found) = find(&object, result) else {
            return Err(malformed(format!("neither a task nor a message, {}", jsonrpc::excerpt(result))));
        };
        // GetTask and CancelTask of 1.0 are answered by a bare task.
        if found.wrapped || found.shape != Shape::Task {
            self.check_envelope(&found);
        }
        match found.shape {
            Shape::Task => Ok(Reply::Task(Box::new(self.task(found.raw, &found.object)?))),
            Shape::Message => Ok(Reply::Message(Box::new(self.message(&found.object)))),
            Shape::Status | Shape::Artifact => {
                // Its end is not lost although it came as an event.
                let id = task_id(&found.object).filter(|_| found.shape == Shape::Status);
                let id = id.ok_or_else(|| {
                    malformed(format!("neither a task nor a message, {}", jsonrpc::excerpt(result)))
                })?;
                self.deviations.note("a status update where a task belongs".into());
                Ok(Reply::Task(Box::new(TaskReport {
                    id,
                    context: context(&found.object),
                    status: self.status(&found.object),
                    artifacts: None,
                    history: Vec::new(),
                    metadata: found.object.json_object("metadata"),
                    hints: hints(&found.object),
                    raw: keep_raw(found.raw),
                })))
            }
        }
    }

    /// A page of tasks without its `tasks`: JSON of protocol buffers leaves an empty list out. `None` if the answer
    /// holds anything but the other members of a page.
    pub fn empty_page(&mut self, body: &str) -> Option<Reply> {
        let object = Object::parse_lenient(jsonrpc::open(body).ok()?).ok()?;
        let others = ["nextPageToken", "pageSize", "totalSize"];
        let is_page = |name: &str| others.iter().any(|other| super::json::same_name(name, other));
        object.members().all(|(name, _)| is_page(name)).then(|| self.page(&object))
    }

    /// The data of one event.
    pub fn event(&mut self, data: &str) -> Result<Event<'static>, Cause> {
        let result = match self.result(data) {
            Ok(result) => result,
            Err(cause @ Cause::Rpc(_)) => return Ok(Event::Error(cause)),
            Err(cause) => return Err(cause),
        };
        let object = Object::parse_lenient(result)?;
        let Some(found) = find(&object, result) else {
            return Ok(Event::Full(StreamEvent::Unknown(Json::new(result))));
        };
        self.check_envelope(&found);
        let Found { shape, raw, object, .. } = found;
        Ok(Event::Full(match shape {
            Shape::Task => StreamEvent::Task(Box::new(self.task(raw, &object)?)),
            Shape::Message => StreamEvent::Message(Box::new(self.message(&object))),
            Shape::Status => {
                self.names(&object);
                StreamEvent::Status {
                    task: task_id(&object),
                    context: context(&object),
                    status: self.status(&object),
                    metadata: object.json_object("metadata"),
                    raw: keep_raw(result),
                }
            }
            Shape::Artifact => {
                self.names(&object);
                let chunk = object
                    .object("artifact")
                    .ok_or_else(|| malformed("an artifact update without artifact"))?;
                StreamEvent::Artifact {
                    task: task_id(&object),
                    context: context(&object),
                    artifact: self.artifact(&chunk),
                    append: object.flag("append"),
                    last: object.flag("lastChunk"),
                }
            }
        }))
    }

    /// The result of a JSON-RPC answer, or the object in its place.
    fn result<'a>(&mut self, body: &'a str) -> Result<&'a str, Cause> {
        let opened = jsonrpc::open(body);
        if let Err(Cause::Malformed(_)) = opened
            && let Ok(object) = Object::parse_lenient(body)
            && (find(&object, body).is_some() || object.raw("tasks").is_some())
        {
            self.deviations.note("an answer without its JSON-RPC envelope".into());
            return Ok(body);
        }
        opened
    }

    fn page(&mut self, object: &Object<'_>) -> Reply {
        self.names(object);
        let mut tasks = Vec::new();
        let mut unread = 0;
        for raw in object.list("tasks") {
            if let Some(known) = self.recent.as_ref().and_then(|recent| recent.get(raw)) {
                tasks.push(known);
                continue;
            }
            match object.inner(raw).map(|task| self.task(raw, &task)) {
                Some(Ok(task)) => {
                    if let Some(recent) = &mut self.recent {
                        recent.keep(raw, &task);
                    }
                    tasks.push(task);
                }
                Some(Err(_)) | None => unread += 1,
            }
        }
        let total = object.number("totalSize").and_then(|total| u64::try_from(total).ok());
        Reply::Page { tasks, next: object.filled("nextPageToken"), total, unread }
    }

    /// Records a missing envelope or one of the other version.
    fn check_envelope(&mut self, found: &Found<'_>) {
        let what = match found.shape {
            Shape::Task => "a task",
            Shape::Message => "a message",
            Shape::Status => "a status update",
            Shape::Artifact => "an artifact update",
        };
        match self.dialect {
            Dialect::V1_0 if !found.wrapped => self.deviations.note(format!("{what} without its envelope")),
            Dialect::V0_3 if found.wrapped => self.deviations.note(format!("{what} in an envelope of 1.0")),
            Dialect::V0_3 if found.object.text("kind").is_none() => {
                self.deviations.note(format!("{what} without kind"));
            }
            Dialect::V1_0 | Dialect::V0_3 => {}
        }
    }

    /// Notes members whose names are spelt in another way.
    fn names(&mut self, object: &Object<'_>) {
        for (name, _) in object.members() {
            self.deviations.name(name);
        }
    }

    /// Notes a member under a name that this dialect does not have for it.
    fn renamed(&mut self, seen: &str, v1_0: &str, v0_3: &str) {
        let meant = match self.dialect {
            Dialect::V1_0 => v1_0,
            Dialect::V0_3 => v0_3,
        };
        if seen != meant {
            self.deviations.spelt("the member", seen, meant);
        }
    }

    fn task(&mut self, raw: &str, object: &Object<'_>) -> Result<TaskReport, Cause> {
        self.names(object);
        let id = object.filled("id").or_else(|| object.filled("taskId"));
        let id = id.ok_or_else(|| malformed("a task without an id"))?;
        let artifacts = object.raw("artifacts").map(|_| self.artifacts(object));
        let artifacts = match self.dialect {
            Dialect::V1_0 => artifacts,
            // Every answer of 0.3 that holds a task holds all of it.
            Dialect::V0_3 => Some(artifacts.unwrap_or_default()),
        };
        Ok(TaskReport {
            id: TaskId::from(id),
            context: context(object),
            status: self.status(object),
            artifacts,
            history: object.objects("history").iter().map(|message| self.message(message)).collect(),
            metadata: object.json_object("metadata"),
            hints: hints(object),
            raw: keep_raw(raw),
        })
    }

    fn artifacts(&mut self, object: &Object<'_>) -> Vec<Artifact> {
        object.objects("artifacts").iter().map(|artifact| self.artifact(artifact)).collect()
    }

    /// The status member of a task or an update.
    fn status(&mut self, object: &Object<'_>) -> Status {
        let status = object.object("status").unwrap_or_default();
        self.names(&status);
        // Some send only the state.
        let bare = object.text("status");
        if bare.is_some() {
            self.deviations.note("a state where a status belongs".into());
        }
        let text = status.text("state").or(bare);
        let state = words::state(text.as_deref(), self.dialect);
        if let (Some(text), Some(meant)) = (&text, state.instead_of) {
            self.deviations.spelt("the state", text, meant);
        }
        let message = status.object("message").map(|message| self.message(&message));
        Status {
            state: state.value,
            message: message.or_else(|| self.bare_words(&status)),
            timestamp: time(&status, "timestamp"),
        }
    }

    /// Words of a status that are a string, not a message.
    fn bare_words(&mut self, status: &Object<'_>) -> Option<Message> {
        let text = status.filled("message")?;
        self.deviations.note("a text where a message belongs".into());
        Some(Message::new("", Role::Agent, vec![Part::text(text)]))
    }

    /// A message, also as a server receives it.
    pub fn message(&mut self, object: &Object<'_>) -> Message {
        self.names(object);
        let text = object.text("role");
        let role = words::role(text.as_deref(), self.dialect);
        if let (Some(text), Some(meant)) = (&text, role.instead_of) {
            self.deviations.spelt("the role", text, meant);
        }
        let parts = self.parts(object);
        Message {
            id: MessageId::from(or_empty(object, "messageId")),
            role: role.value,
            offers: question::offered(&parts),
            parts,
            context: context(object),
            task: task_id(object),
            metadata: object.json_object("metadata"),
            references: object.texts("referenceTaskIds").into_iter().map(TaskId::from).collect(),
            hints: hints(object),
        }
    }

    fn artifact(&mut self, object: &Object<'_>) -> Artifact {
        self.names(object);
        Artifact {
            id: or_empty(object, "artifactId"),
            name: object.filled("name"),
            description: object.filled("description"),
            parts: self.parts(object),
            metadata: object.json_object("metadata"),
        }
    }

    /// The parts of a message or an artifact: an array, or the only one of them.
    fn parts(&mut self, object: &Object<'_>) -> Vec<Part> {
        // The protocol buffers of 0.3 call them `content`.
        let content =
            || object.raw("content").inspect(|_| self.deviations.spelt("the member", "content", "parts"));
        let Some(raw) = object.raw("parts").or_else(content) else {
            // Text beside the expected member of a part is still text.
            return if object.has("text") { self.part_of(object).into_iter().collect() } else { Vec::new() };
        };
        match elements(raw) {
            Some(parts) => parts.into_iter().map(|part| self.part(part)).collect(),
            None => {
                self.deviations.note("a part that is in no array".into());
                vec![self.part(raw)]
            }
        }
    }

    fn part(&mut self, raw: &str) -> Part {
        if let Some(text) = text_of(raw).filter(|_| raw.starts_with('"')) {
            self.deviations.note("a text where a part belongs".into());
            return Part::text(Untrusted::new(text.as_ref()));
        }
        let object = Object::parse_lenient(raw).ok();
        object.and_then(|object| self.part_of(&object)).unwrap_or_else(|| Part {
            content: Content::Unknown(Json::new(raw)),
            filename: None,
            media_type: None,
            metadata: None,
        })
    }

    /// A part by its `kind`, or by its content member; `None` if it is unknown.
    fn part_of(&mut self, object: &Object<'_>) -> Option<Part> {
        let file = object.object("file");
        // 0.3 has the members of a file in an object of their own.
        let places: Vec<&Object<'_>> = file.iter().chain([object]).collect();
        let first = |names: [&'static str; 3]| {
            let all = || places.iter().flat_map(|place| names.map(|name| (name, place.untrusted(name))));
            let filled = all().find(|(_, text)| text.as_ref().is_some_and(|text| !text.is_empty()));
            let (name, text) = filled.or_else(|| all().find(|(_, text)| text.is_some()))?;
            Some((name, text?))
        };
        let bytes =
            || first(["raw", "bytes", "fileWithBytes"]).map(|(name, text)| (name, Content::Raw(text)));
        let url = || first(["url", "uri", "fileWithUri"]).map(|(name, text)| (name, Content::Url(text)));
        let in_file = || match (bytes(), url()) {
            (Some((_, Content::Raw(nothing))), Some(url)) if nothing.is_empty() => Some(url),
            (bytes, url) => bytes.or(url),
        };
        let text = || Some(("text", Content::Text(object.untrusted("text")?)));
        let data = || {
            let data = || object.json("data").unwrap_or_else(|| Json::new("null"));
            object.has("data").then(|| ("data", Content::Data(data())))
        };
        let kind = object.text("kind").or_else(|| object.text("type"));
        let by_kind = match kind.as_deref() {
            Some(kind) if kind.eq_ignore_ascii_case("text") => text(),
            Some(kind) if kind.eq_ignore_ascii_case("data") => data(),
            Some(kind) if kind.eq_ignore_ascii_case("file") => in_file(),
            _ => None,
        };
        let (name, content) = by_kind.or_else(text).or_else(in_file).or_else(data)?;
        self.names(object);
        if let Some(file) = &file {
            self.names(file);
        }
        if self.dialect == Dialect::V0_3 && object.text("kind").is_none() {
            match kind {
                Some(_) => self.deviations.spelt("the member", "type", "kind"),
                None => self.deviations.note("a part without kind".into()),
            }
        }
        let mut part =
            Part { content, filename: None, media_type: None, metadata: object.json_object("metadata") };
        let is_file = matches!(part.content, Content::Raw(_) | Content::Url(_));
        if is_file {
            match (self.dialect, &file) {
                (Dialect::V1_0, Some(_)) => self.deviations.note("a part with a member \"file\"".into()),
                (Dialect::V0_3, None) => self.deviations.note("a file without its member \"file\"".into()),
                (Dialect::V1_0, None) | (Dialect::V0_3, Some(_)) => {}
            }
            let (v1_0, v0_3) =
                if matches!(part.content, Content::Raw(_)) { ("raw", "bytes") } else { ("url", "uri") };
            self.renamed(name, v1_0, v0_3);
        }
        let mut beside = |names: [&'static str; 2]| {
            let found = places
                .iter()
                .find_map(|place| names.into_iter().find_map(|name| Some((name, place.filled(name)?))));
            found.map(|(name, text)| {
                if is_file {
                    self.renamed(name, names[0], names[1]);
                }
                text
            })
        };
        // Only in 1.0, where `name` is not a member of it, may a non-file part have a name.
        part.filename = beside(if is_file { ["filename", "name"] } else { ["filename", "filename"] });
        part.media_type = beside(["mediaType", "mimeType"]);
        Some(part)
    }
}

/// The type of an object: by its envelope, else by its `kind`, else by its members.
fn find<'a>(object: &Object<'a>, raw: &'a str) -> Option<Found<'a>> {
    for (name, shape) in ENVELOPES {
        if let Some(raw) = object.raw(name)
            && let Some(object) = object.inner(raw)
        {
            return Some(Found { shape, raw, object, wrapped: true });
        }
    }
    let kind = object.text("kind");
    let by_kind = kind.and_then(|kind| {
        ENVELOPES.into_iter().find(|(name, _)| super::json::same_name(name, &kind)).map(|(_, shape)| shape)
    });
    let by_members = || {
        let has = |name: &str| object.raw(name).is_some();
        if object.object("artifact").is_some() {
            return Some(Shape::Artifact);
        }
        // An event without an id belongs to the task of its stream.
        if object.object("status").is_some() {
            return Some(if has("id") { Shape::Task } else { Shape::Status });
        }
        (has("messageId") || (has("role") && (has("parts") || has("content")))).then_some(Shape::Message)
    };
    let shape = by_kind.or_else(by_members)?;
    Some(Found { shape, raw, object: object.clone(), wrapped: false })
}
