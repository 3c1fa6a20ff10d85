//! Messages, parts and artifacts: the content that callers and agents exchange.

use std::sync::Arc;

use crate::domain::id::{ContextId, MessageId, TaskId};
use crate::domain::text::Untrusted;

/// A JSON text that the core carries and never looks into.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Json(pub Untrusted);

impl Json {
    /// Takes text that a codec has found to be JSON.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(Untrusted::new(text))
    }

    /// The text as received; see [`Untrusted::raw`].
    pub fn raw(&self) -> &str {
        self.0.raw()
    }
}

/// The sender of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Role {
    /// The caller.
    User,
    /// The agent.
    Agent,
    /// A role that neither protocol version defines, as received.
    Other(Untrusted),
}

/// The content of a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// Text.
    Text(Untrusted),
    /// Bytes, still in base64 as they came.
    Raw(Untrusted),
    /// A URL of the bytes, which is never fetched automatically.
    Url(Untrusted),
    /// Any JSON value.
    Data(Json),
    /// A part of an unknown kind, unchanged.
    Unknown(Json),
}

/// One part of a message or an artifact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The content.
    pub content: Content,
    /// A file name, as claimed.
    pub filename: Option<Untrusted>,
    /// A media type, as claimed.
    pub media_type: Option<Untrusted>,
    /// The part's metadata object.
    pub metadata: Option<Json>,
}

impl Part {
    /// A part of plain text.
    pub fn text(text: impl Into<Untrusted>) -> Self {
        Self { content: Content::Text(text.into()), filename: None, media_type: None, metadata: None }
    }

    /// The text of a text part.
    pub fn as_text(&self) -> Option<&Untrusted> {
        match &self.content {
            Content::Text(text) => Some(text),
            Content::Raw(_) | Content::Url(_) | Content::Data(_) | Content::Unknown(_) => None,
        }
    }

    /// The size of the part in bytes, as received.
    pub fn len(&self) -> usize {
        match &self.content {
            Content::Text(text) | Content::Raw(text) | Content::Url(text) => text.len(),
            Content::Data(json) | Content::Unknown(json) => json.raw().len(),
        }
    }

    /// The size in bytes of a file inside the part; `None` if there is none.
    pub fn file_size(&self) -> Option<u64> {
        let Content::Raw(base64) = &self.content else { return None };
        // Four characters encode three bytes; padding and line ends encode none.
        let padding = |byte: &u8| *byte == b'=' || byte.is_ascii_whitespace();
        let digits = base64.raw().bytes().filter(|byte| !padding(byte)).count() as u64;
        Some(digits * 3 / 4)
    }

    /// True if the part holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What the agent offers as an answer to its question, beside free words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OfferedAnswer {
    /// To approve something or not.
    Approval,
    /// Any other choice between values.
    Choice,
}

/// One turn of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Chosen by the sender.
    pub id: MessageId,
    /// The sender.
    pub role: Role,
    /// The content.
    pub parts: Vec<Part>,
    /// The context.
    pub context: Option<ContextId>,
    /// The task that this message continues.
    pub task: Option<TaskId>,
    /// The message's metadata object.
    pub metadata: Option<Json>,
    /// `referenceTaskIds`: tasks that this message builds on.
    pub references: Vec<TaskId>,
    /// Metadata found by the codec.
    pub hints: Hints,
    /// The answers that its data part offers, as found by the codec; `None` for a question that is answered in words.
    pub offers: Option<OfferedAnswer>,
}

impl Message {
    /// A message of these parts and nothing more.
    pub fn new(id: impl Into<MessageId>, role: Role, parts: Vec<Part>) -> Self {
        Self {
            id: id.into(),
            role,
            parts,
            context: None,
            task: None,
            metadata: None,
            references: Vec::new(),
            hints: Hints::default(),
            offers: None,
        }
    }

    /// The size of its parts and its metadata in bytes.
    pub fn size(&self) -> u64 {
        let metadata = self.metadata.as_ref().map_or(0, |json| json.raw().len());
        (self.parts.iter().map(Part::len).sum::<usize>() + metadata) as u64
    }

    /// The first text, for titles.
    pub fn headline(&self, chars: usize) -> Untrusted {
        let text = self.parts.iter().filter_map(Part::as_text).map(|text| text.headline(chars));
        text.into_iter().find(|text| !text.is_empty()).unwrap_or_else(|| Untrusted::from(""))
    }

    /// True if its sender left the id out.
    pub fn has_no_id(&self) -> bool {
        self.id.raw() == ""
    }

    /// The fingerprint by which a message is recognized. Agents reuse ids with different text, or omit them: two
    /// messages are the same if id and parts are. `place` numbers identical messages without an id. A caller's ids are
    /// unique, and agents may rewrite the parts: for those only the id counts.
    pub fn fingerprint(&self, place: u32) -> u64 {
        let id = text_hash(&self.id.raw());
        if self.role == Role::User && !self.has_no_id() {
            return id;
        }
        let parts = Fingerprint::of(&self.parts);
        let place = if self.has_no_id() { u64::from(place) } else { 0 };
        [parts.bytes, parts.hash, parts.tail, place]
            .into_iter()
            .fold(id, |hash, next| (hash.rotate_left(7) ^ next).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// True if this is the message `other`, as far as its id and content tell.
    pub fn is(&self, other: &Self) -> bool {
        self.role == other.role && self.fingerprint(0) == other.fingerprint(0)
    }

    /// True if this message has the id and text of `earlier` and more text after it.
    pub fn continues(&self, earlier: &Self) -> bool {
        let is_text = |message: &Self| message.parts.iter().all(|part| part.as_text().is_some());
        !self.has_no_id()
            && self.id == earlier.id
            && self.role == earlier.role
            && is_text(self)
            && is_text(earlier)
            && self.joined().starts_with(&earlier.joined())
    }

    /// All text of the message, as the agent cut it.
    fn joined(&self) -> String {
        self.parts.iter().filter_map(Part::as_text).map(Untrusted::raw).collect()
    }

    /// The text of all parts, joined.
    pub fn text(&self) -> Untrusted {
        let mut texts = self.parts.iter().filter_map(Part::as_text);
        match (texts.next(), texts.next()) {
            (None, _) => Untrusted::from(""),
            (Some(one), None) => one.clone(),
            (Some(one), Some(two)) => {
                let mut all = format!("{}\n{}", one.raw(), two.raw());
                for text in texts {
                    all.push('\n');
                    all.push_str(text.raw());
                }
                Untrusted::from(all)
            }
        }
    }
}

/// Metadata about the caller and the requested skill; keys that this project defines or that are customary.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hints {
    /// `quarterdeck.caller`
    pub caller: Option<Untrusted>,
    /// `skill`
    pub skill: Option<Untrusted>,
    /// `quarterdeck.parent_task`
    pub parent: Option<TaskId>,
    /// `quarterdeck.job`: the sender's id of the job.
    pub job: Option<Untrusted>,
    /// `quarterdeck.attempt`: the sender's id of this sending of it.
    pub attempt: Option<Untrusted>,
    /// `traceparent`: the span that sends it, as in the header of W3C Trace Context.
    pub traceparent: Option<Untrusted>,
}

/// An output of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Artifact {
    /// Unique in its task.
    pub id: Untrusted,
    /// The display name.
    pub name: Option<Untrusted>,
    /// The description.
    pub description: Option<Untrusted>,
    /// The content.
    pub parts: Vec<Part>,
    /// The artifact's metadata object.
    pub metadata: Option<Json>,
}

impl Artifact {
    /// An output, or a chunk of one, of these parts and nothing more.
    pub fn new(id: impl Into<Untrusted>, parts: Vec<Part>) -> Self {
        Self { id: id.into(), name: None, description: None, parts, metadata: None }
    }

    /// One artifact for each id, in the order of their first parts: some stores keep each chunk as an artifact
    /// of its own.
    pub fn joined(artifacts: Vec<Self>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::with_capacity(artifacts.len());
        let mut places = std::collections::BTreeMap::new();
        for artifact in artifacts {
            let next = all.len();
            let place = *places.entry(artifact.id.clone()).or_insert(next);
            match all.get_mut(place) {
                Some(known) => {
                    known.parts.extend(artifact.parts);
                    known.name = known.name.take().or(artifact.name);
                    known.description = known.description.take().or(artifact.description);
                    known.metadata = known.metadata.take().or(artifact.metadata);
                }
                None => all.push(artifact),
            }
        }
        all
    }
}

/// A running fingerprint of an artifact's content, so that a snapshot can be compared with the streamed chunks without
/// keeping the content. It does not depend on chunk boundaries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint {
    /// Bytes so far.
    pub bytes: u64,
    /// Over the whole groups of eight bytes so far.
    pub hash: u64,
    /// The bytes since then, and in the highest byte how many these are.
    pub tail: u64,
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self { bytes: 0, hash: 0xcbf2_9ce4_8422_2325, tail: 0 }
    }
}

impl Fingerprint {
    /// Takes more content in.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        // The groups are the same wherever the content was cut.
        let mut rest = bytes;
        while self.tail > 0
            && let Some((byte, more)) = rest.split_first()
        {
            self.add_byte(*byte);
            rest = more;
        }
        let (groups, rest) = rest.as_chunks::<8>();
        for group in groups {
            self.add_group(u64::from_le_bytes(*group));
        }
        for byte in rest {
            self.add_byte(*byte);
        }
    }

    fn add_byte(&mut self, byte: u8) {
        const COUNT: u64 = 1 << 56;
        let count = self.tail / COUNT;
        let bytes = (self.tail % COUNT) | (u64::from(byte) << (8 * count));
        if count == 7 {
            self.tail = 0;
            self.add_group(bytes);
        } else {
            self.tail = bytes | ((count + 1) * COUNT);
        }
    }

    fn add_group(&mut self, group: u64) {
        self.hash = (self.hash.rotate_left(5) ^ group).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// Takes the content of parts in. Text runs together, as agents cut it anywhere; everything
    /// else is kept apart by its kind.
    pub fn add_parts(&mut self, parts: &[Part]) {
        for part in parts {
            match &part.content {
                Content::Text(text) => self.add(text.raw().as_bytes()),
                Content::Raw(text) => self.add_kind(1, text.raw()),
                Content::Url(text) => self.add_kind(2, text.raw()),
                Content::Data(json) => self.add_kind(3, json.raw()),
                Content::Unknown(json) => self.add_kind(4, json.raw()),
            }
        }
    }

    fn add_kind(&mut self, kind: u8, text: &str) {
        self.bytes += text.len() as u64;
        let length = self.bytes;
        self.add(&[0xff, kind]);
        self.add(text.as_bytes());
        self.bytes = length;
    }

    /// A fingerprint of parts.
    pub fn of(parts: &[Part]) -> Self {
        let mut all = Self::default();
        all.add_parts(parts);
        all
    }
}

/// A stable 64-bit hash of a text, for remembering ids that were seen without keeping them.
pub fn text_hash(text: &str) -> u64 {
    // FNV-1a; ids are short.
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_size_of_its_bytes() {
        for (base64, size) in
            [("", 0), ("YQ==", 1), ("YQ", 1), ("aGU=", 2), ("aGVsbG8=", 5), ("aGVs\nbG8h\n", 6)]
        {
            let part = Part { content: Content::Raw(base64.into()), ..Part::text("") };
            assert_eq!(part.file_size(), Some(size), "{base64}");
        }
        assert_eq!(Part::text("aGVsbG8=").file_size(), None);
    }

    #[test]
    fn a_fingerprint_does_not_depend_on_where_content_was_cut() {
        let text: Vec<u8> = (0..100).collect();
        let whole = |bytes: &[u8]| {
            let mut print = Fingerprint::default();
            print.add(bytes);
            print
        };
        for first in 0..text.len() {
            for second in first..text.len() {
                let mut print = whole(&text[..first]);
                print.add(&text[first..second]);
                print.add(&text[second..]);
                assert_eq!(print, whole(&text), "{first} {second}");
            }
            let mut other = text.clone();
            other[first] ^= 1;
            assert_ne!(whole(&other), whole(&text), "{first}");
            assert_ne!(whole(&text[..first]), whole(&text), "{first}");
        }
    }
}
