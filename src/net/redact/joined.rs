//! Secrets that are split over the parts of one message, or over the chunks of one output.
//!
//! Each piece alone is harmless, but readers join them. If the end of a chunk matches the beginning of a secret, it is
//! therefore held back until the next chunk of the output shows whether the secret goes on. It is released when the
//! output, the task or the stream ends, or when the task waits for somebody. It is remembered after that, because
//! another stream may continue it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::Redactor;
use super::needles::{Hit, Needles};
use crate::domain::call::{Outcome, SendOutcome, StreamOutcome, SubscribeOutcome};
use crate::domain::id::{AttemptKey, TaskId};
use crate::domain::job::message::{Artifact, Content, Part};
use crate::domain::job::task::{StreamEvent, TaskReport};
use crate::domain::text::Untrusted;

/// The number of outputs of one agent whose ends are remembered. If there are more, ends that were released are
/// forgotten first. If none was released, the beginning of a secret is removed instead of held back.
const TAILS: usize = 256;

/// The ends of outputs that match the beginning of a secret, by attempt and id of the output.
#[derive(Debug, Default)]
pub(super) struct Tails(BTreeMap<(AttemptKey, String), Tail>);

/// The end of an output. Unless it is empty, it matches the beginning of a secret.
#[derive(Clone, Default)]
struct Tail {
    text: String,
    /// How many bytes of `text`, from its beginning, were released.
    released: usize,
    /// The task that the chunk referred to.
    task: Option<TaskId>,
}

impl std::fmt::Debug for Tail {
    // The text is left out: it may be all of a secret but its last byte.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").field("released", &self.released).finish_non_exhaustive()
    }
}

impl Redactor {
    /// Removes secrets that are split over the parts of an outcome, or over its chunks and earlier ones. Returns what was
    /// held back until now and must be delivered before the outcome. `attempt` is the attempt that the call belongs to.
    pub fn join(&self, attempt: Option<AttemptKey>, outcome: &mut Outcome) -> Option<Outcome> {
        self.with_needles(|needles| {
            let mut tails = self.0.tails.lock().unwrap_or_else(PoisonError::into_inner);
            tails.outcome(needles, attempt, outcome)
        })?
    }

    /// The same for a task that is only displayed.
    pub fn join_report(&self, report: &mut TaskReport) {
        self.with_needles(|needles| Tails::default().report(needles, None, report));
    }
}

impl Tails {
    /// Processes an outcome, and returns what must be delivered before it.
    fn outcome(
        &mut self,
        needles: &Needles,
        attempt: Option<AttemptKey>,
        outcome: &mut Outcome,
    ) -> Option<Outcome> {
        match outcome {
            Outcome::Send(SendOutcome::Stream(stream)) => {
                let held = self.stream(needles, attempt, stream);
                return held.map(|held| Outcome::Send(SendOutcome::Stream(held)));
            }
            Outcome::Subscribe(SubscribeOutcome::Stream(stream)) => {
                let held = self.stream(needles, attempt, stream);
                return held.map(|held| Outcome::Subscribe(SubscribeOutcome::Stream(held)));
            }
            Outcome::Send(SendOutcome::Task(task)) | Outcome::Get(Ok(task)) | Outcome::Cancel(Ok(task)) => {
                self.report(needles, attempt, &mut task.value);
            }
            Outcome::Send(SendOutcome::Message(message)) => {
                join_parts(needles, &mut message.value.parts);
            }
            Outcome::List(Ok(page)) => {
                for task in &mut page.value.tasks {
                    self.report(needles, None, task);
                }
            }
            // A stream that was closed reported no end. If no other stream follows, what it held back is released here.
            Outcome::Subscribe(SubscribeOutcome::Failed(_)) => {
                let mut held = Vec::new();
                self.release(attempt, &mut held);
                let held = (!held.is_empty()).then_some(StreamOutcome::Events(held));
                return held.map(|held| Outcome::Subscribe(SubscribeOutcome::Stream(held)));
            }
            // Their texts are never split.
            Outcome::Probe(_)
            | Outcome::Check(_)
            | Outcome::Send(SendOutcome::Failed(_))
            | Outcome::Get(Err(_))
            | Outcome::List(Err(_))
            | Outcome::Cancel(Err(_))
            | Outcome::Violation(..) => {}
        }
        None
    }

    /// Processes an outcome of a stream. At the end of the stream, returns what was held back, which must be delivered
    /// before the end.
    fn stream(
        &mut self,
        needles: &Needles,
        attempt: Option<AttemptKey>,
        outcome: &mut StreamOutcome,
    ) -> Option<StreamOutcome> {
        match outcome {
            StreamOutcome::Opened { .. } => None,
            StreamOutcome::Events(events) => {
                let mut held = Vec::new();
                for (at, event) in events.iter_mut().enumerate() {
                    for before in self.event(needles, attempt, event) {
                        held.push((at, before));
                    }
                }
                for (at, before) in held.into_iter().rev() {
                    events.insert(at, before);
                }
                None
            }
            StreamOutcome::Ended(_) => {
                let mut held = Vec::new();
                self.release(attempt, &mut held);
                (!held.is_empty()).then_some(StreamOutcome::Events(held))
            }
        }
    }

    /// Processes an event of a stream, and returns what was held back and must be delivered before it.
    fn event(
        &mut self,
        needles: &Needles,
        attempt: Option<AttemptKey>,
        event: &mut StreamEvent,
    ) -> Vec<StreamEvent> {
        let mut held = Vec::new();
        match event {
            StreamEvent::Artifact { task, artifact, append, last, .. } => {
                self.chunk(needles, attempt, task.as_ref(), artifact, *append, *last);
            }
            StreamEvent::Status { status, .. } => {
                if let Some(message) = &mut status.message {
                    join_parts(needles, &mut message.parts);
                }
                if status.state.is_terminal() || status.state.is_interrupted() {
                    self.release(attempt, &mut held);
                }
            }
            StreamEvent::Task(report) => self.report(needles, attempt, report),
            StreamEvent::Message(message) => join_parts(needles, &mut message.parts),
            StreamEvent::Unknown(_) => {}
        }
        held
    }

    fn chunk(
        &mut self,
        needles: &Needles,
        attempt: Option<AttemptKey>,
        task: Option<&TaskId>,
        artifact: &mut Artifact,
        append: bool,
        last: bool,
    ) {
        let Some(attempt) = attempt else { return join_parts(needles, &mut artifact.parts) };
        let key = (attempt, artifact.id.raw().to_owned());
        let before = self.0.remove(&key).filter(|_| append).unwrap_or_default();
        let ends = if last || artifact.parts.last().is_some_and(|part| part.as_text().is_none()) {
            Ends::Released
        } else if self.has_room() {
            Ends::Held
        } else {
            Ends::TakenOut
        };
        let tail = splice(needles, before, &mut artifact.parts, ends);
        self.keep(key, Tail { task: task.cloned(), ..tail });
    }

    fn report(&mut self, needles: &Needles, attempt: Option<AttemptKey>, report: &mut TaskReport) {
        for message in report.status.message.iter_mut().chain(&mut report.history) {
            join_parts(needles, &mut message.parts);
        }
        for artifact in report.artifacts.iter_mut().flatten() {
            let tail = splice(needles, Tail::default(), &mut artifact.parts, Ends::Released);
            if let Some(attempt) = attempt {
                let key = (attempt, artifact.id.raw().to_owned());
                self.0.remove(&key);
                self.keep(key, tail);
            }
        }
    }

    /// Appends what was held back of this attempt's outputs to `out`.
    fn release(&mut self, attempt: Option<AttemptKey>, out: &mut Vec<StreamEvent>) {
        let Some(attempt) = attempt else { return };
        let from = (attempt, String::new());
        for ((_, artifact), tail) in self.0.range_mut(from..).take_while(|((of, _), _)| *of == attempt) {
            let held = &tail.text[tail.released..];
            if held.is_empty() {
                continue;
            }
            let artifact = Artifact::new(artifact.as_str(), vec![Part::text(held)]);
            let task = tail.task.clone();
            out.push(StreamEvent::Artifact { task, context: None, artifact, append: true, last: false });
            tail.released = tail.text.len();
        }
    }

    /// True if there is room to hold back one more end.
    fn has_room(&mut self) -> bool {
        if self.0.len() >= TAILS {
            let released = self.0.iter().find(|(_, tail)| tail.released == tail.text.len());
            if let Some(key) = released.map(|(key, _)| key.clone()) {
                self.0.remove(&key);
            }
        }
        self.0.len() < TAILS
    }

    fn keep(&mut self, key: (AttemptKey, String), tail: Tail) {
        if !tail.text.is_empty() && self.has_room() {
            self.0.insert(key, tail);
        }
    }
}

/// What is done with an end that matches the beginning of a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Released,
    Held,
    TakenOut,
}

fn join_parts(needles: &Needles, parts: &mut [Part]) {
    if parts.iter().filter(|part| part.as_text().is_some()).count() > 1 {
        splice(needles, Tail::default(), parts, Ends::Released);
    }
}

/// Removes secrets from the texts of `parts`, including those that began in the end `before`, and returns the new end.
fn splice(needles: &Needles, before: Tail, parts: &mut [Part], ends: Ends) -> Tail {
    let mut texts: Vec<&mut Untrusted> = parts
        .iter_mut()
        .filter_map(|part| match &mut part.content {
            Content::Text(text) => Some(text),
            Content::Raw(_) | Content::Url(_) | Content::Data(_) | Content::Unknown(_) => None,
        })
        .collect();
    let Some(first) = texts.first() else { return before };
    // Usually there is one text and nothing before it; nothing is copied then.
    let first = Untrusted::clone(first);
    let joined = if texts.len() == 1 && before.text.is_empty() {
        Cow::Borrowed(first.raw())
    } else {
        let mut joined = before.text.clone();
        for text in &texts {
            joined.push_str(text.raw());
        }
        Cow::Owned(joined)
    };
    // A single text is searched as well: chunks that came together are one text by now.
    let mut hits = needles.find(joined.as_bytes());
    let searched = hits.last().map_or(0, |hit| hit.end);
    let tail = searched + needles.tail(&joined.as_bytes()[searched..]);
    // What was released cannot be held back any more.
    let held = tail.max(before.released);
    let until = match ends {
        Ends::Released => joined.len(),
        Ends::Held => held,
        Ends::TakenOut => {
            if held < joined.len() {
                hits.push(Hit::plain(held, joined.len()));
            }
            joined.len()
        }
    };
    let tail = if ends == Ends::TakenOut { joined.len() } else { tail };
    if !hits.is_empty() || before.released < before.text.len() || until < joined.len() {
        let mut start = before.released;
        let mut end = before.text.len();
        for text in &mut texts {
            end += text.len();
            **text = Untrusted::from(piece(&joined, &hits, start, end.min(until)));
            start = end.min(until);
        }
    }
    Tail { released: until - tail, text: joined[tail..].to_owned(), task: before.task }
}

/// The text from `start` to `end`, with a mark where a hit begins. The mark of a hit that began earlier is in an
/// earlier piece, unless that piece was released before the hit was known.
fn piece(joined: &str, hits: &[Hit], start: usize, end: usize) -> String {
    let mut out = String::with_capacity(end.saturating_sub(start));
    let mut done = start;
    for hit in hits.iter().filter(|hit| hit.end > start && hit.start < end) {
        out.push_str(joined.get(done..hit.start).unwrap_or_default());
        if hit.start >= start {
            hit.put_mark(&mut out);
        }
        done = hit.end.min(end);
    }
    out.push_str(joined.get(done..end).unwrap_or_default());
    out
}
