//! The details of a job: its timeline, its conversation and the start of its outputs.
//!
//! Built only from facts, in the same way for a running job and for one read from the journal.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::domain::fact::{AttemptFact, Fact, JobFact, JournalEntry};
use crate::domain::id::AttemptId;
use crate::domain::job::message::{Content, Json, Message, Part, Role};
use crate::domain::job::task::LateEnd;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// A job's timeline and content.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// Facts in order; consecutive chunks of one output are one line.
    pub timeline: VecDeque<Line>,
    /// Lines that no longer fit.
    pub timeline_cut: u32,
    /// The conversation.
    pub messages: VecDeque<ConversationMessage>,
    /// Messages that no longer fit.
    pub messages_cut: u32,
    /// The outputs.
    pub outputs: Vec<Output>,
    /// The last objects as they came, of tasks and of states.
    pub raw: Option<Json>,
    /// When each attempt was planned: what it sent is what the job's message was then.
    planned: Vec<(AttemptId, At)>,
}

/// One line of a timeline.
#[derive(Clone, Debug)]
pub struct Line {
    /// The time.
    pub at: At,
    /// The fact, without the contents of outputs.
    pub fact: JobFact,
    /// The actor's name; `None` if the engine acted on its own.
    pub actor: Option<Untrusted>,
    /// The number of facts of the same kind that this line stands for.
    pub times: u32,
    /// The last of them.
    pub until: At,
}

/// One message.
#[derive(Clone, Debug)]
pub struct ConversationMessage {
    /// When we learnt of it.
    pub at: At,
    /// The attempt; `None` for the job's own message.
    pub attempt: Option<AttemptId>,
    /// The message.
    pub message: Arc<Message>,
}

/// One output, as far as it is kept in memory.
#[derive(Clone, Debug)]
pub struct Output {
    /// The attempt.
    pub attempt: AttemptId,
    /// Unique in its task.
    pub id: Untrusted,
    /// The display name.
    pub name: Option<Untrusted>,
    /// Its parts, up to [`PREVIEW`] bytes.
    pub parts: Vec<Part>,
    /// All bytes, whether kept or not.
    pub bytes: u64,
    /// Bytes kept.
    pub kept: usize,
    /// True after the last chunk.
    pub closed: bool,
    /// When it grew last.
    pub grew: At,
}

/// Bytes of an output that are kept in memory.
pub const PREVIEW: usize = 64 * 1024;
/// Bytes of all outputs of a job that are kept in memory.
pub const PREVIEWS: usize = 16 * 1024 * 1024;
/// Bytes of the messages of a job that are kept in memory.
const MESSAGE_BYTES: usize = 16 * 1024 * 1024;
const LINES: usize = 512;
const MESSAGES: usize = 256;

impl Detail {
    /// Takes a fact of the job in.
    pub fn apply(&mut self, entry: &JournalEntry) {
        let Fact::Job(_, fact) = &entry.fact else { return };
        let at = entry.at;
        match fact {
            JobFact::Opened { message: Some(message), .. } | JobFact::Composed { message } => {
                self.say(at, None, message);
            }
            JobFact::Attempt(attempt, AttemptFact::Planned { .. }) => self.planned.push((*attempt, at)),
            JobFact::Attempt(attempt, AttemptFact::MessageSeen { message, .. }) => {
                self.say(at, Some(*attempt), message);
            }
            JobFact::Attempt(attempt, AttemptFact::ArtifactSeen { artifact, name, append, parts, last }) => {
                self.grow(at, *attempt, artifact, name.as_ref(), *append, parts, *last);
                // Chunks that follow the first mostly come without the name.
                let mut outputs = self.outputs.iter();
                let known = outputs.find(|output| output.attempt == *attempt && output.id == *artifact);
                let fact = AttemptFact::ArtifactSeen {
                    artifact: artifact.clone(),
                    name: known.and_then(|output| output.name.clone()),
                    append: *append,
                    parts: Arc::default(),
                    last: *last,
                };
                self.line(entry, JobFact::Attempt(*attempt, fact));
                return;
            }
            JobFact::Attempt(
                _,
                AttemptFact::TaskSeen { raw: Some(raw), .. } | AttemptFact::StateSeen { raw: Some(raw), .. },
            ) => {
                self.raw = Some(raw.clone());
            }
            _ => {}
        }
        self.line(entry, fact.clone());
    }

    /// The conversation of one attempt: what the agent has of it, and the job's own message unless the agent repeated it
    /// under the id of this attempt.
    pub fn messages_of(&self, attempt: AttemptId) -> impl DoubleEndedIterator<Item = &ConversationMessage> {
        let repeated = move |own: &ConversationMessage| {
            let same = |entry: &ConversationMessage| {
                entry.attempt == Some(attempt)
                    && entry.message.role == Role::User
                    && entry.message.parts == own.message.parts
            };
            self.messages.iter().any(same)
        };
        let planned = self.planned.iter().find(|(of, _)| *of == attempt).map(|(_, at)| *at);
        let before = |entry: &&ConversationMessage| planned.is_none_or(|planned| entry.at <= planned);
        let mut own = self.messages.iter().rev().filter(|entry| entry.attempt.is_none());
        let sent = own.find(before).map(|entry| &entry.message.id);
        let is_of = move |entry: &&ConversationMessage| match entry.attempt {
            Some(of) => of == attempt,
            None => Some(&entry.message.id) == sent && !repeated(entry),
        };
        self.messages.iter().filter(is_of)
    }

    /// How the task of an attempt ended, if its last cancel came too late.
    pub fn late_end(&self, attempt: AttemptId) -> Option<&LateEnd> {
        let mut marks = self.timeline.iter().rev().filter_map(|line| match &line.fact {
            JobFact::Attempt(of, AttemptFact::CancelMoved { late, .. }) if *of == attempt => Some(late),
            _ => None,
        });
        marks.next()?.as_ref()
    }

    fn line(&mut self, entry: &JournalEntry, fact: JobFact) {
        let at = entry.at;
        if let Some(last) = self.timeline.back_mut()
            && let (
                JobFact::Attempt(a, AttemptFact::ArtifactSeen { artifact: x, last: false, .. }),
                JobFact::Attempt(b, AttemptFact::ArtifactSeen { artifact: y, append: true, last: ends, .. }),
            ) = (&mut last.fact, &fact)
            && a == b
            && x == y
        {
            last.times += 1;
            last.until = at;
            if *ends {
                last.fact = fact;
            }
            return;
        }
        if self.timeline.len() == LINES {
            // The beginning has the request and its reason; the middle is the least important.
            self.timeline.remove(LINES / 4);
            self.timeline_cut += 1;
        }
        self.timeline.push_back(Line { at, fact, actor: entry.actor.clone(), times: 1, until: at });
    }

    fn say(&mut self, at: At, attempt: Option<AttemptId>, message: &Arc<Message>) {
        let by_caller =
            |entry: &ConversationMessage| entry.message.role == Role::User && !message.has_no_id();
        // Two agents may give their messages the same ids.
        let same_id = |entry: &&mut ConversationMessage| {
            entry.message.id == message.id && (entry.attempt.is_none() || entry.attempt == attempt)
        };
        // Identical messages without ids were numbered before they were recorded.
        for entry in self.messages.iter_mut().filter(same_id).filter(|_| !message.has_no_id()) {
            if by_caller(entry) || entry.message.parts == message.parts {
                return;
            }
            if message.continues(&entry.message) {
                entry.message = message.clone();
                return;
            }
        }
        self.messages.push_back(ConversationMessage { at, attempt, message: message.clone() });
        let bytes = |entry: &ConversationMessage| entry.message.parts.iter().map(Part::len).sum::<usize>();
        let mut all: usize = self.messages.iter().map(bytes).sum();
        // The first message says what the job is about.
        while self.messages.len() > 2 && (self.messages.len() > MESSAGES || all > MESSAGE_BYTES) {
            all -= self.messages.remove(1).as_ref().map_or(0, bytes);
            self.messages_cut += 1;
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the members of one fact")]
    fn grow(
        &mut self,
        at: At,
        attempt: AttemptId,
        id: &Untrusted,
        name: Option<&Untrusted>,
        append: bool,
        parts: &[Part],
        last: bool,
    ) {
        let index = self.outputs.iter().position(|output| output.attempt == attempt && output.id == *id);
        let index = index.unwrap_or_else(|| {
            self.outputs.push(Output {
                attempt,
                id: id.clone(),
                name: None,
                parts: Vec::new(),
                bytes: 0,
                kept: 0,
                closed: false,
                grew: at,
            });
            self.outputs.len() - 1
        });
        let kept: usize = self.outputs.iter().map(|output| output.kept).sum();
        let output = &mut self.outputs[index];
        // Of many outputs the later ones have no preview.
        let room = PREVIEWS.saturating_sub(kept - output.kept).min(PREVIEW);
        if !append {
            output.parts.clear();
            output.bytes = 0;
            output.kept = 0;
        }
        if name.is_some() {
            output.name = name.cloned();
        }
        output.closed = last;
        output.grew = at;
        for part in parts {
            output.bytes += part.len() as u64;
            output.keep(part, room);
        }
    }
}

impl Output {
    /// Keeps what of a part there is room for, of `most` bytes in all.
    fn keep(&mut self, part: &Part, most: usize) {
        let room = most.saturating_sub(self.kept);
        if room == 0 {
            return;
        }
        if let (Content::Text(more), Some(Part { content: Content::Text(text), .. })) =
            (&part.content, self.parts.last_mut())
        {
            // Agents cut text anywhere: a text part after a text part continues it.
            let more = head(more.raw(), room);
            let mut joined = String::with_capacity(text.len() + more.len());
            joined.push_str(text.raw());
            joined.push_str(more);
            self.kept += more.len();
            *text = Untrusted::from(joined);
            return;
        }
        let part = match &part.content {
            Content::Text(text) if text.len() > room => {
                Part { content: Content::Text(Untrusted::from(head(text.raw(), room))), ..part.clone() }
            }
            Content::Raw(text) if text.len() > room => {
                Part { content: Content::Raw(Untrusted::from("")), ..part.clone() }
            }
            _ if part.len() > room => return,
            _ => part.clone(),
        };
        self.kept += part.len();
        self.parts.push(part);
    }
}

fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The whole of every output of an attempt, in the order in which they began: id, name, parts.
pub fn outputs_of(
    facts: &[JournalEntry],
    attempt: AttemptId,
) -> Vec<(Untrusted, Option<Untrusted>, Vec<Part>)> {
    let mut outputs: Vec<(Untrusted, Option<Untrusted>, Vec<Part>)> = Vec::new();
    for entry in facts {
        let Some((of, AttemptFact::ArtifactSeen { artifact, name, append, parts, .. })) =
            entry.fact.of_attempt()
        else {
            continue;
        };
        if of != attempt {
            continue;
        }
        let at = outputs.iter().position(|(id, ..)| id == artifact);
        let at = at.unwrap_or_else(|| {
            outputs.push((artifact.clone(), None, Vec::new()));
            outputs.len() - 1
        });
        let (_, known_name, known) = &mut outputs[at];
        if !append {
            known.clear();
        }
        *known_name = name.clone().or(known_name.take());
        known.extend(parts.iter().cloned());
    }
    outputs
}
