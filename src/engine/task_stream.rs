//! Reads and decodes a task's stream, and gathers chunks of text before they reach the core.
//!
//! Chunks of one output, and status texts of a working task, are gathered in order for 50 ms or up to 64 KiB; any other
//! event is sent at once, after them. A thousand words per second thus cost the core twenty inputs.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::document;
use super::lanes::Lane;
use crate::domain::call::{CallKind, Outcome, SendOutcome, StreamOutcome, SubscribeOutcome};
use crate::domain::cause::{Cause, Failure, Sent};
use crate::domain::id::{CallId, TaskId};
use crate::domain::job::message::{Artifact, Part};
use crate::domain::job::task::{ProtocolViolation, StreamEvent, TaskState};
use crate::domain::text::Untrusted;
use crate::failpoint;
use crate::net::{EventLabel, EventReader, Label};
use crate::protocol::chunk_template::Shape;
use crate::protocol::json::{Object, is_document};
use crate::protocol::sse::{self, Guard};
use crate::protocol::{Codec, Deviations, Event};

/// Chunks and status texts are gathered for this long.
const GATHER: Duration = Duration::from_millis(50);
/// Or until they are this long.
const GATHERED: usize = 64 * 1024;
/// What an event counts in addition to its text, so that not too many small ones are gathered.
const EVENT: usize = 256;
/// The time within which the first event must come: some servers send headers and then nothing.
const FIRST: Duration = Duration::from_secs(60);

/// Events not sent yet: chunks of one output, and status texts between them.
#[derive(Debug, Default)]
struct Coalesced {
    /// The task and the output of the chunk.
    task: Option<TaskId>,
    artifact: Untrusted,
    text: String,
    /// True if there is a chunk, which may be empty.
    is_chunk: bool,
    /// The events before the chunk.
    events: Vec<StreamEvent>,
    /// About as many events were sent together the last time, and a busy stream gathers as many again.
    usual: usize,
    bytes: usize,
    since: Option<Instant>,
}

impl Coalesced {
    fn fits(&self, task: &str, artifact: &str) -> bool {
        let same_task = self.task.as_ref().map_or(task.is_empty(), |known| known.raw() == *task);
        self.artifact.raw() == artifact && same_task
    }

    fn name(&mut self, task: &str, artifact: &str) {
        self.end_chunk(false);
        self.task = (!task.is_empty()).then(|| TaskId::from(task));
        self.artifact = Untrusted::from(artifact);
    }

    fn chunk(&mut self, text: &str) {
        self.since.get_or_insert_with(Instant::now);
        self.is_chunk = true;
        self.text.push_str(text);
        self.bytes += text.len();
    }

    fn event(&mut self, event: StreamEvent) {
        self.since.get_or_insert_with(Instant::now);
        self.end_chunk(false);
        self.bytes += size(&event);
        self.push(event);
    }

    fn push(&mut self, event: StreamEvent) {
        if self.events.capacity() == 0 {
            self.events.reserve_exact(self.usual);
        }
        self.events.push(event);
    }

    fn end_chunk(&mut self, last: bool) {
        if !std::mem::take(&mut self.is_chunk) {
            return;
        }
        self.bytes += EVENT + self.artifact.len();
        let text = Untrusted::from(self.text.as_str());
        self.text.clear();
        self.text.shrink_to(GATHERED);
        let artifact = Artifact::new(self.artifact.clone(), vec![Part::text(text)]);
        let task = self.task.clone();
        self.push(StreamEvent::Artifact { task, context: None, artifact, append: true, last });
    }

    fn take(&mut self, last: bool) -> Option<StreamOutcome> {
        self.since.take()?;
        self.end_chunk(last);
        self.bytes = 0;
        self.usual = self.events.len().next_power_of_two();
        Some(StreamOutcome::Events(std::mem::take(&mut self.events)))
    }
}

/// The approximate size of a gathered event.
fn size(event: &StreamEvent) -> usize {
    match event {
        StreamEvent::Status { raw, .. } => raw.as_ref().map_or(GATHERED, |raw| EVENT + 2 * raw.raw().len()),
        _ => GATHERED,
    }
}

/// How a stream ended.
#[derive(Debug)]
enum End {
    /// It was closed or cut.
    Stream(Result<(), Cause>),
    /// Its first event was an error: the answer to the request.
    Call(Failure),
}

/// A call whose answer is a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StreamKind {
    Send,
    Subscribe,
}

impl StreamKind {
    /// The call.
    pub fn call(self) -> CallKind {
        match self {
            Self::Send => CallKind::Send,
            Self::Subscribe => CallKind::Subscribe,
        }
    }

    /// Wraps a stream's outcome as one of the call.
    pub fn outcome(self, outcome: StreamOutcome) -> Outcome {
        match self {
            Self::Send => Outcome::Send(SendOutcome::Stream(outcome)),
            Self::Subscribe => Outcome::Subscribe(SubscribeOutcome::Stream(outcome)),
        }
    }

    fn ended(self, end: End) -> Outcome {
        match end {
            End::Stream(how) => self.outcome(StreamOutcome::Ended(how)),
            End::Call(failure) => self.call().failed(failure),
        }
    }
}

/// The progress of a stream.
#[derive(Debug)]
struct StreamState {
    codec: &'static dyn Codec,
    kind: StreamKind,
    /// The shape of the chunks of the output that was gathered last.
    shape: Shape,
    gathered: Coalesced,
    /// The last state in the stream.
    state: Option<TaskState>,
    out: Vec<Outcome>,
    seen: bool,
    /// True once an event has named a task.
    named: bool,
    /// Deviations that were not reported yet.
    deviations: Deviations,
    ended: Option<End>,
}

impl StreamState {
    fn new(codec: &'static dyn Codec, kind: StreamKind) -> Self {
        Self {
            codec,
            kind,
            shape: Shape::default(),
            gathered: Coalesced::default(),
            state: None,
            out: Vec::new(),
            seen: false,
            named: false,
            deviations: Deviations::default(),
            ended: None,
        }
    }

    /// Processes an event, and says what it is.
    fn event(&mut self, name: &str, data: &str) -> EventLabel {
        if self.ended.is_some() {
            return Label::Ignored.into();
        }
        if is_keep_alive(name, data) {
            return Label::KeepAlive.into();
        }
        if let Some(text) = self.shape.text_of(data) {
            self.gather(&text, false);
            return Label::Artifact { last: false }.into();
        }
        let (label, task);
        match self.codec.decode_event(data, &mut self.deviations) {
            Ok(Event::Chunk { task: of, artifact, text, last }) => {
                (label, task) = (Label::Artifact { last }, self.name(|| Some(TaskId::from(&*of))));
                if !self.gathered.fits(&of, &artifact) {
                    self.gathered.name(&of, &artifact);
                    self.shape.forget();
                    if self.gathered.bytes >= GATHERED {
                        self.flush(false);
                    }
                }
                if !last {
                    self.shape.learn(data, &text);
                }
                self.gather(&text, last);
            }
            Ok(Event::Full(StreamEvent::Unknown(_))) | Err(Cause::Malformed(_)) if is_ping(name, data) => {
                return Label::KeepAlive.into();
            }
            Ok(Event::Full(mut event)) => {
                (label, task) = (Label::of_event(&event), self.name(|| task_of(&event)));
                if let StreamEvent::Task(report) = &mut event {
                    // What is left is enough for the core to report that the task is over its limits.
                    document::cut(report);
                }
                let waits = self.is_status_text(&event);
                self.gathered.event(event);
                if !waits || self.gathered.bytes >= GATHERED {
                    self.flush(false);
                }
            }
            Ok(Event::Error(cause)) => {
                (label, task) = (Label::of_cause(&cause), None);
                self.flush(false);
                // As the first event it is the answer to the request; later it ends the stream.
                self.ended = Some(if self.seen {
                    End::Stream(Err(cause))
                } else {
                    End::Call(Failure { sent: Sent::Maybe, cause })
                });
            }
            Err(cause) => {
                (label, task) = (Label::of_cause(&cause), None);
                self.flush(false);
                self.violation(ProtocolViolation::Unreadable(Untrusted::from(cause.to_string())));
            }
        }
        self.seen = true;
        EventLabel { label, task }
    }

    /// The task that an event names, the first time that one does.
    fn name(&mut self, task: impl FnOnce() -> Option<TaskId>) -> Option<TaskId> {
        let task = if self.named { None } else { task().filter(|task| !task.raw().is_empty()) };
        self.named |= task.is_some();
        task
    }

    fn gather(&mut self, text: &str, last: bool) {
        self.gathered.chunk(text);
        if last || self.gathered.bytes >= GATHERED {
            self.flush(last);
        }
    }

    /// True if an event only adds a status text to a state that the stream has already reported, so that it can wait.
    fn is_status_text(&mut self, event: &StreamEvent) -> bool {
        let state = match event {
            StreamEvent::Status { status, .. } => &status.state,
            StreamEvent::Task(report) => &report.status.state,
            _ => return false,
        };
        let known = self.state.as_ref() == Some(state);
        if !known {
            self.state = Some(state.clone());
        }
        known && matches!(event, StreamEvent::Status { .. }) && *state == TaskState::Working
    }

    fn flush(&mut self, last: bool) {
        let gathered = self.gathered.take(last).map(|outcome| self.kind.outcome(outcome));
        self.out.extend(gathered);
    }

    fn violation(&mut self, violation: ProtocolViolation) {
        self.out.push(Outcome::Violation(self.kind.call(), violation));
    }
}

/// The task that an event names.
fn task_of(event: &StreamEvent) -> Option<TaskId> {
    match event {
        StreamEvent::Task(report) => Some(report.id.clone()),
        StreamEvent::Status { task, .. } | StreamEvent::Artifact { task, .. } => task.clone(),
        StreamEvent::Message(_) | StreamEvent::Unknown(_) => None,
    }
}

/// True for a word that servers send to keep a connection open.
fn is_ping_word(word: &str) -> bool {
    let known = ["ping", "pong", "heartbeat", "keepalive", "keep-alive", "keep_alive"];
    known.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// True for an event that keeps a connection open, or that ends a stream as language models do: without content, or
/// with non-object data under its own event name. An error is never one.
fn is_keep_alive(name: &str, data: &str) -> bool {
    let data = data.trim();
    if data.starts_with('{') {
        return false;
    }
    let named = !name.is_empty() && name != "error";
    named || data.is_empty() || matches!(data, "[DONE]" | "null") || is_ping_word(data)
}

/// True for an object that keeps a connection open and is not an A2A event: its name or type shows that, or it is
/// empty.
fn is_ping(name: &str, data: &str) -> bool {
    let Ok(object) = Object::parse_lenient(data) else { return false };
    let says_nothing = object.members().next().is_none();
    let called =
        || ["type", "event", "kind"].iter().any(|key| object.text(key).is_some_and(|t| is_ping_word(&t)));
    says_nothing || is_ping_word(name) || called()
}

/// The outcomes of a document that is a whole stream: events, or one JSON document per line. The last outcome ends the
/// call. `None` if the document is anything else.
pub(super) fn of_document(
    codec: &'static dyn Codec,
    kind: StreamKind,
    text: &str,
    deviations: &mut Deviations,
) -> Option<Vec<Outcome>> {
    if is_document(text) {
        return None;
    }
    let mut reading = StreamState::new(codec, kind);
    let mut events = 0u32;
    let mut take = |event: sse::Event<'_>| {
        // A web page may contain anything; text without JSON objects is not a stream.
        events += u32::from(event.data.trim_start().starts_with('{'));
        reading.event(&event.name, &event.data);
    };
    let mut guard = Guard::new();
    guard.push(text.as_bytes(), &mut take).ok()?;
    guard.finish(&mut take);
    if events == 0 {
        return None;
    }
    reading.flush(false);
    *deviations = reading.deviations;
    let end = kind.ended(reading.ended.unwrap_or(End::Stream(Ok(()))));
    Some(reading.out.into_iter().chain([end]).collect())
}

/// Waits until a timer fires; without one, for ever.
async fn elapsed(timer: Option<&mut Pin<Box<Sleep>>>) {
    match timer {
        Some(timer) => timer.await,
        None => std::future::pending().await,
    }
}

/// A stream ready to be read.
#[derive(Debug)]
pub(super) struct TaskStream {
    reader: EventReader,
    reading: StreamState,
    call: CallId,
    lane: Lane,
    /// Counts events of all streams.
    events: Arc<AtomicU64>,
}

impl TaskStream {
    /// A stream of which nothing has been read yet. It answers a call of `kind`.
    pub fn new(
        reader: EventReader,
        codec: &'static dyn Codec,
        call: CallId,
        lane: Lane,
        events: Arc<AtomicU64>,
        kind: StreamKind,
    ) -> Self {
        Self { reader, reading: StreamState::new(codec, kind), call, lane, events }
    }

    /// Reads it to its end.
    pub async fn read(&mut self) {
        let kind = self.reading.kind;
        let first_by = Instant::now() + FIRST;
        let mut answered = false;
        // Set only while an event is gathered or awaited: an idle stream has none. Each batch is due later than the one
        // before; the timer is moved only when it fires too early.
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        let end = loop {
            // A flood that is never idle must not block other tasks.
            tokio::task::consume_budget().await;
            let due = self.reading.gathered.since.map(|since| since + GATHER);
            let wanted = due.or((!answered).then_some(first_by));
            if let Some(wanted) = wanted {
                let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(wanted)));
                if wanted < timer.deadline() || timer.is_elapsed() {
                    timer.as_mut().reset(wanted);
                }
            }
            let step = {
                let mut count = 0u64;
                let read = self.reader.read(|name, data| {
                    count += 1;
                    self.reading.event(name, data)
                });
                let step = tokio::select! {
                    read = read => Some(read),
                    () = elapsed(timer.as_mut()) => None,
                };
                self.events.fetch_add(count, Ordering::Relaxed);
                step
            };
            let ended = match step {
                Some(Ok(true)) => None,
                Some(Ok(false)) => Some(Ok(())),
                Some(Err(cause)) => Some(Err(cause)),
                None => match wanted {
                    None => {
                        timer = None;
                        None
                    }
                    Some(wanted) if wanted > Instant::now() => None,
                    Some(_) if due.is_some() => {
                        self.reading.flush(false);
                        None
                    }
                    Some(_) => Some(Err(Cause::TimedOut(FIRST))),
                },
            };
            if ended.is_some() {
                self.reading.flush(false);
            }
            // In the timeline, deviations come before the events.
            let deviations = std::mem::take(&mut self.reading.deviations);
            for outcome in self.lane.new_deviations(kind.call(), &deviations) {
                if !self.lane.send(self.call, outcome).await {
                    return;
                }
            }
            // The room of a large event is held until the last outcome that may contain a part of it.
            let mut room = self.reader.take_room();
            let out = std::mem::take(&mut self.reading.out);
            let last = out.len().saturating_sub(1);
            for (index, outcome) in out.into_iter().enumerate() {
                if kind == StreamKind::Send && !answered {
                    failpoint::reach("before-answer");
                }
                answered = true;
                let held = room.take_if(|_| index == last).map(|room| *room).into();
                if !self.lane.send_holding(self.call, outcome, held).await {
                    return;
                }
            }
            if let Some(end) = self.reading.ended.take() {
                break end;
            }
            if let Some(ended) = ended {
                break End::Stream(ended);
            }
        };
        match &end {
            End::Stream(Ok(())) => self.reader.ended("the stream ended", None),
            End::Stream(Err(cause)) => {
                self.reader.ended(&format!("the stream was cut: {cause}"), Some(cause));
            }
            End::Call(Failure { cause, .. }) => {
                self.reader.ended(&format!("the stream reported an error: {cause}"), Some(cause));
            }
        }
        self.lane.send(self.call, kind.ended(end)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::card::Dialect;
    use crate::domain::job::message::Content;

    fn chunk(artifact: &str, text: &str, last: bool) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"artifactUpdate":{{"taskId":"t","artifact":{{"artifactId":"{artifact}","parts":[{{"text":"{text}"}}]}},"append":true,"lastChunk":{last}}}}}}}"#
        )
    }

    fn status(state: &str, text: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"statusUpdate":{{"taskId":"t","status":{{"state":"TASK_STATE_{state}","message":{{"messageId":"m","role":"ROLE_AGENT","parts":[{{"text":"{text}"}}]}}}}}}}}}}"#
        )
    }

    /// The outcomes sent to the core: `a+text` for a chunk, `a.text` for a last one, `STATE text` for a status.
    fn shown(outcomes: Vec<Outcome>) -> Vec<String> {
        let text = |parts: &[Part]| match parts {
            [Part { content: Content::Text(text), .. }] => text.raw().to_owned(),
            other => format!("{other:?}"),
        };
        let one = |event: &StreamEvent| match event {
            StreamEvent::Artifact { artifact, append: true, last, .. } => {
                let mark = if *last { '.' } else { '+' };
                format!("{}{mark}{}", artifact.id, text(&artifact.parts))
            }
            StreamEvent::Status { status, .. } => {
                let message = status.message.as_ref().map(|message| text(&message.parts)).unwrap_or_default();
                format!("{} {message}", status.state.word())
            }
            other => format!("{other:?}"),
        };
        outcomes
            .into_iter()
            .map(|outcome| match outcome.stream() {
                Some(StreamOutcome::Events(events)) => events.iter().map(one).collect::<Vec<_>>().join(" | "),
                _ => format!("{outcome:?}"),
            })
            .collect()
    }

    #[track_caller]
    fn check(events: &[String], at_once: &[&str], at_last: &[&str]) {
        let codec = crate::protocol::codec(Dialect::V1_0);
        let mut reading = StreamState::new(codec, StreamKind::Send);
        for event in events {
            reading.event("", event);
        }
        let out = std::mem::take(&mut reading.out);
        assert_eq!(shown(out), at_once, "at once: {events:#?}");
        reading.flush(false);
        assert_eq!(shown(reading.out), at_last, "at last: {events:#?}");
    }

    #[test]
    fn chunks_and_messages_are_batched_in_order() {
        let [one, two] = ["a", "b"].map(|artifact| move |text: &str| chunk(artifact, text, false));
        // Chunks of one output are one chunk, escapes or not, whatever was learnt before.
        check(&[one("x"), one(r#"\"y\"\n"#), one("z"), one("")], &[], &["a+x\"y\"\nz"]);
        check(&[one(r"\t"), one("x"), one("x")], &[], &["a+\txx"]);
        // Another output is another chunk, and the shape learnt from the first does not apply to it.
        check(&[one("1"), two("2"), two("3"), one("4")], &[], &["a+1 | b+23 | a+4"]);
        check(&[one("1"), two(r"\n"), two("3"), one("4")], &[], &["a+1 | b+\n3 | a+4"]);
        // The last chunk does not wait, even if it has no text.
        check(&[one("1"), chunk("a", "", true), two("2")], &["a.1"], &["b+2"]);
        check(&[chunk("a", "", true)], &["a."], &[]);
        // A state is sent at once, after the gathered events; texts in the same state wait with the chunks.
        let (works, asks) = (|text| status("WORKING", text), |text| status("INPUT_REQUIRED", text));
        check(
            &[works("go"), one("1"), works("on"), one("2"), asks("where?"), asks("where?"), one("3")],
            &["working go", "a+1 | working on | a+2 | needs an answer where?", "needs an answer where?"],
            &["a+3"],
        );
        check(&[asks("?"), works("go"), works("on")], &["needs an answer ?", "working go"], &["working on"]);
        // Unreadable events are reported after the gathered ones.
        let bad = String::from("{");
        let out = {
            let mut reading = StreamState::new(crate::protocol::codec(Dialect::V1_0), StreamKind::Send);
            reading.event("", &one("1"));
            reading.event("", &bad);
            shown(reading.out)
        };
        assert!(
            matches!(out.as_slice(), [first, second] if first == "a+1" && second.starts_with("Violation(Send, Unreadable"))
        );
    }

    /// Many small events are not gathered into one input that would delay everything else.
    #[test]
    fn batches_are_bounded_by_number_too() {
        let codec = crate::protocol::codec(Dialect::V1_0);
        let mut reading = StreamState::new(codec, StreamKind::Send);
        for _ in 0..2_000 {
            reading.event("", &chunk("a", "", false));
            reading.event("", &chunk("b", "", false));
        }
        let longest = reading.out.iter().map(|outcome| match outcome.stream() {
            Some(StreamOutcome::Events(events)) => events.len(),
            _ => 0,
        });
        assert!(longest.max().is_some_and(|most| (100..=GATHERED / EVENT).contains(&most)));
    }
}
