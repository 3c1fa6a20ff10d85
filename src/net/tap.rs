//! What was sent and received, as it was, redacted: the last frames of each agent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::clock::Clock;
use super::redact::Redactor;
use crate::domain::id::AgentKey;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Frames kept of each agent, and their bytes together.
const FRAMES: usize = 256;
const BYTES: usize = 256 * 1024;
/// Where all agents are looked at: so many frames of each, and in all.
const OF_EACH: usize = 64;
const OF_ALL: usize = 512;
/// A longer frame is cut; its true length is kept.
const FRAME: usize = 16 * 1024;

/// Which way a frame went, and what it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// From us.
    Request,
    /// The answer's head, and its body if it is not a stream.
    Response,
    /// One event of a stream.
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

#[derive(Debug, Default)]
struct Ring {
    frames: VecDeque<Frame>,
    bytes: usize,
    next: u64,
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
            frames.extend(ring.frames.iter().skip(skip).map(|frame| (key, frame.clone())));
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
        let (text, head) = (Untrusted::from(&text[..end]), Untrusted::from(head));
        let cost = text.len() + head.len();
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.next += 1;
        let frame =
            Frame { number: ring.next, at: self.clock.now(), call: self.call, kind, head, text, bytes };
        ring.frames.push_back(frame);
        ring.bytes += cost;
        while ring.frames.len() > FRAMES || (ring.bytes > BYTES && ring.frames.len() > 1) {
            if let Some(old) = ring.frames.pop_front() {
                ring.bytes -= old.text.len() + old.head.len();
            }
        }
    }
}
