//! What was sent and received, as it was, redacted: the last frames of each agent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::clock::Clock;
use super::redact::Redactor;
use crate::domain::id::AgentKey;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Frames kept of each agent, and their bytes together.
const FRAMES: usize = 128;
const BYTES: usize = 128 * 1024;
/// Where all agents are looked at: so many frames of each, and in all.
const OF_EACH: usize = 64;
const OF_ALL: usize = 512;
/// A longer frame is cut; its true length is kept.
const FRAME: usize = 16 * 1024;

/// Which way a frame went, and what it is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Kind {
    /// From us.
    Request,
    /// The answer's head, and its body if it is not a stream.
    Response,
    /// One event of a stream.
    #[default]
    Event,
    /// A stream ended, or a call failed.
    End,
}

impl Kind {
    /// The mark on screens.
    pub fn arrow(self) -> &'static str {
        match self {
            Self::Request => "→",
            Self::Response => "←",
            Self::Event => "◂",
            Self::End => "┤",
        }
    }
}

/// One thing on the wire.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Counts the frames of its agent.
    pub number: u64,
    /// When.
    pub at: At,
    /// Which call it belongs to; pairs requests with answers.
    pub call: u64,
    /// What it is.
    pub kind: Kind,
    /// `POST http://… SendMessage`, `200 in 12 ms`.
    pub head: Untrusted,
    /// Headers and body as they were, redacted, at most 16 KiB.
    pub text: Untrusted,
    /// Bytes of the whole.
    pub bytes: usize,
}

/// A frame as it is kept: its buffers serve again when it has become old.
#[derive(Default)]
struct Kept {
    number: u64,
    at: At,
    call: u64,
    kind: Kind,
    head: String,
    text: String,
    bytes: usize,
}

impl Kept {
    fn frame(&self) -> Frame {
        Frame {
            number: self.number,
            at: self.at,
            call: self.call,
            kind: self.kind,
            head: Untrusted::from(self.head.as_str()),
            text: Untrusted::from(self.text.as_str()),
            bytes: self.bytes,
        }
    }
}

#[derive(Default)]
struct Ring {
    frames: VecDeque<Kept>,
    bytes: usize,
    next: u64,
}

impl std::fmt::Debug for Ring {
    // What agents said does not leave through here.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("frames", &self.frames.len()).finish_non_exhaustive()
    }
}

/// The frames of all agents.
#[derive(Clone, Debug)]
pub struct Tap {
    rings: Arc<Mutex<BTreeMap<AgentKey, Arc<Mutex<Ring>>>>>,
    clock: Arc<Clock>,
    redactor: Redactor,
}

/// The frames of one agent, to write to.
#[derive(Clone, Debug)]
pub struct Line {
    ring: Arc<Mutex<Ring>>,
    clock: Arc<Clock>,
    redactor: Redactor,
    call: u64,
}

impl Tap {
    /// An empty tap.
    pub fn new(clock: Arc<Clock>, redactor: Redactor) -> Self {
        Self { rings: Arc::default(), clock, redactor }
    }

    /// The line of one call to an agent.
    pub fn line(&self, agent: AgentKey, call: u64) -> Line {
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = rings.entry(agent).or_default().clone();
        Line { ring, clock: self.clock.clone(), redactor: self.redactor.clone(), call }
    }

    /// The frames of an agent, or the newest of all, oldest first.
    pub fn frames(&self, agent: Option<AgentKey>) -> Vec<(AgentKey, Frame)> {
        let rings: Vec<_> = {
            let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
            let wanted = rings.iter().filter(|(key, _)| agent.is_none_or(|agent| agent == **key));
            wanted.map(|(key, ring)| (*key, ring.clone())).collect()
        };
        let alone = agent.is_some();
        let mut frames = Vec::new();
        for (key, ring) in rings {
            let ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
            // Of many agents only the newest frames are looked at.
            let skip = if alone { 0 } else { ring.frames.len().saturating_sub(OF_EACH) };
            frames.extend(ring.frames.iter().skip(skip).map(|kept| (key, kept.frame())));
        }
        frames.sort_by_key(|(_, frame)| frame.at);
        if !alone {
            let old = frames.len().saturating_sub(OF_ALL);
            frames.drain(..old);
        }
        frames
    }

    /// Counts every frame ever kept, so that a reader knows whether there is news.
    pub fn count(&self, agent: Option<AgentKey>) -> u64 {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = rings.iter().filter(|(key, _)| agent.is_none_or(|agent| agent == **key));
        wanted.map(|(_, ring)| ring.lock().unwrap_or_else(PoisonError::into_inner).next).sum()
    }
}

impl Line {
    /// Keeps a frame. Headers must already be without secrets; the text is redacted here.
    pub fn keep(&self, kind: Kind, head: &str, text: &str) {
        self.keep_clean(kind, &self.redactor.redact(head), &self.redactor.redact(text));
    }

    /// Keeps a frame whose words are redacted already.
    pub(super) fn keep_clean(&self, kind: Kind, head: &str, text: &str) {
        let bytes = text.len();
        let mut end = bytes.min(FRAME);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = &text[..end];
        let at = self.clock.now();
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.next += 1;
        ring.bytes += text.len() + head.len();
        let mut kept = Kept::default();
        while ring.frames.len() >= FRAMES || (ring.bytes > BYTES && !ring.frames.is_empty()) {
            let Some(old) = ring.frames.pop_front() else { break };
            ring.bytes -= old.text.len() + old.head.len();
            kept = old;
        }
        kept.head.clear();
        kept.head.push_str(head);
        kept.text.clear();
        // A buffer that was made for a much longer frame would hold its memory for good.
        kept.text.shrink_to(4 * text.len().max(256));
        kept.text.push_str(text);
        (kept.number, kept.at, kept.call, kept.kind, kept.bytes) = (ring.next, at, self.call, kind, bytes);
        ring.frames.push_back(kept);
    }
}
