//! Sent and received frames, redacted: the last ones of each agent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::clock::Clock;
pub use super::label::{Fault, Label, Method};
use super::redact::Redactor;
use crate::config::secret::{HIDDEN, secret_part};
use crate::domain::cause::Cause;
use crate::domain::id::{AgentKey, TaskId};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Frames kept of each agent, and their bytes together.
const FRAMES: usize = 128;
const BYTES: usize = 128 * 1024;
/// The bytes shared by many agents; each always keeps at least `OWN` of them, or its newest frame.
const SHARED: usize = 32 * 1024 * 1024;
const LEAST: usize = 4 * 1024;
/// For the view of all agents: the maximum number of frames of each, and in total.
const OF_EACH: usize = 64;
const OF_ALL: usize = 512;
/// The number of sources with rings of their own; keys of agents never reach these numbers.
const SOURCES: u32 = 1024;
/// And so has the webhook.
const WEBHOOK: AgentKey = AgentKey(u32::MAX - SOURCES);
/// A longer frame is cut; its true length is kept.
const FRAME: usize = 16 * 1024;
/// And so is a longer head.
const HEAD: usize = 2 * 1024;

/// The direction and kind of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Sent by us.
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
            Self::Event => "⇐",
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
    /// What its call asks for.
    pub method: Method,
    /// The task that its call is about; `None` if it is about none, or none is known yet.
    pub task: Option<TaskId>,
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub label: Label,
    /// `POST http://… SendMessage`, `200 in 12 ms`.
    pub head: Untrusted,
    /// Headers and body as they were, redacted, at most 16 KiB.
    pub text: Untrusted,
    /// Bytes of the whole.
    pub bytes: usize,
}

/// The call that frames belong to; they share it, so that a task that becomes known is known of all of them.
#[derive(Debug)]
struct Call {
    number: u64,
    method: Method,
    task: OnceLock<TaskId>,
}

/// The metadata of a frame.
struct FrameMeta {
    at: At,
    call: Arc<Call>,
    kind: Kind,
    label: Label,
    /// Bytes of its head and of its text.
    head: u32,
    text: u32,
    /// Bytes of the whole.
    bytes: usize,
}

/// The texts of all frames are in one ring buffer: a busy stream reuses its memory, and nothing is allocated per frame.
#[derive(Default)]
struct Ring {
    frames: VecDeque<FrameMeta>,
    texts: VecDeque<u8>,
    /// Frames that were ever kept.
    count: u64,
}

impl Ring {
    fn forget_oldest(&mut self) {
        if let Some(old) = self.frames.pop_front() {
            self.texts.drain(..(old.head + old.text) as usize);
        }
    }

    fn keep(&mut self, kept: FrameMeta, head: &str, text: &str, most: usize) {
        let more = head.len() + text.len();
        while self.frames.len() >= FRAMES || (self.texts.len() + more > most && !self.frames.is_empty()) {
            self.forget_oldest();
        }
        let wanted = self.texts.len() + more;
        if wanted > self.texts.capacity() {
            // Doubled, but never to more than it may hold.
            let room = (2 * wanted).min(most).max(wanted);
            self.texts.reserve_exact(room - self.texts.len());
        } else if self.texts.capacity() > 2 * most.max(wanted) {
            self.texts.shrink_to(most.max(wanted));
        }
        self.texts.extend(head.as_bytes());
        self.texts.extend(text.as_bytes());
        self.frames.push_back(kept);
        self.count += 1;
    }

    /// Labels the newest answer to a call.
    fn label(&mut self, call: &Arc<Call>, label: Label) {
        let is_answer =
            |frame: &&mut FrameMeta| frame.kind == Kind::Response && Arc::ptr_eq(&frame.call, call);
        if let Some(frame) = self.frames.iter_mut().rev().find(is_answer) {
            frame.label = label;
        }
    }

    /// The newest frames, oldest first.
    fn newest(&mut self, most: usize) -> Vec<Frame> {
        let skipped = self.frames.len().saturating_sub(most);
        let mut unread = &*self.texts.make_contiguous();
        let mut next = |bytes: u32| {
            let (these, rest) = unread.split_at(bytes as usize);
            unread = rest;
            these
        };
        let mut frames = Vec::with_capacity(self.frames.len() - skipped);
        let oldest = self.count - self.frames.len() as u64 + 1;
        for (number, kept) in (oldest..).zip(&self.frames) {
            let (head, text) = (next(kept.head), next(kept.text));
            if number >= oldest + skipped as u64 {
                let untrusted = |bytes| Untrusted::from(String::from_utf8_lossy(bytes).into_owned());
                frames.push(Frame {
                    number,
                    at: kept.at,
                    call: kept.call.number,
                    method: kept.call.method,
                    task: kept.call.task.get().cloned(),
                    kind: kept.kind,
                    label: kept.label.clone(),
                    head: untrusted(head),
                    text: untrusted(text),
                    bytes: kept.bytes,
                });
            }
        }
        frames
    }
}

impl std::fmt::Debug for Ring {
    // Debug output must not contain agents' text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("frames", &self.frames.len()).finish_non_exhaustive()
    }
}

/// The handle for one agent: its frames, and the secrets to redact from them.
#[derive(Clone, Debug)]
struct Agent {
    ring: Arc<Mutex<Ring>>,
    redactor: Redactor,
}

/// The frames of all agents.
#[derive(Clone, Debug)]
pub struct Tap {
    agents: Arc<Mutex<BTreeMap<AgentKey, Agent>>>,
    /// Frames that were ever kept of agents that were forgotten.
    gone: Arc<AtomicU64>,
    /// Bytes that each of them may hold.
    most: Arc<AtomicUsize>,
    clock: Arc<Clock>,
    /// The secrets of all agents.
    common: Redactor,
}

/// The frames of one agent, to write to.
#[derive(Clone, Debug)]
pub struct TapHandle {
    ring: Arc<Mutex<Ring>>,
    most: Arc<AtomicUsize>,
    clock: Arc<Clock>,
    redactor: Redactor,
    call: Arc<Call>,
    /// The secret part of its URL; `None` if there is none.
    hides: Option<Arc<str>>,
}

impl Tap {
    /// An empty tap. Secrets in `common` are redacted from the frames of every agent.
    pub fn new(clock: Arc<Clock>, common: Redactor) -> Self {
        Self {
            agents: Arc::default(),
            gone: Arc::default(),
            most: Arc::new(AtomicUsize::new(BYTES)),
            clock,
            common,
        }
    }

    fn agent(&self, key: AgentKey) -> Agent {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Agent { ring: Arc::default(), redactor: self.common.child() };
        let agent = agents.entry(key).or_insert_with(new).clone();
        self.most.store((SHARED / agents.len()).clamp(LEAST, BYTES), Ordering::Relaxed);
        agent
    }

    /// Drops the frames of an agent that was forgotten, and what is known of its secrets.
    pub fn forget(&self, key: AgentKey) {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.remove(&key) {
            let count = agent.ring.lock().unwrap_or_else(PoisonError::into_inner).count;
            self.gone.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Knows the secrets that are sent to an agent.
    pub fn redactor(&self, agent: AgentKey) -> Redactor {
        self.agent(agent).redactor
    }

    /// The line of one call to an agent, and the task that the call is about.
    pub fn line(&self, agent: AgentKey, call: u64, method: Method, task: Option<&TaskId>) -> TapHandle {
        let Agent { ring, redactor } = self.agent(agent);
        let task = task.cloned().map(OnceLock::from).unwrap_or_default();
        TapHandle {
            ring,
            most: self.most.clone(),
            clock: self.clock.clone(),
            redactor,
            call: Arc::new(Call { number: call, method, task }),
            hides: None,
        }
    }

    /// The line of a source of agents: it has a ring of its own beside those of the agents.
    pub fn line_of_source(&self, number: u32) -> TapHandle {
        self.line(AgentKey(u32::MAX - number.min(SOURCES - 1)), 0, Method::Document, None)
    }

    /// The handle of the webhook. Anyone with its URL may post there, so only its origin is kept.
    pub fn line_of_webhook(&self, url: &str) -> TapHandle {
        let hides = secret_part(url).map(Arc::from);
        TapHandle { hides, ..self.line(WEBHOOK, 0, Method::Notify, None) }
    }

    /// True if frames under this key are those of the webhook.
    pub fn is_webhook(key: AgentKey) -> bool {
        key == WEBHOOK
    }

    /// True if frames under this key are those of a source of agents.
    pub fn is_source(key: AgentKey) -> bool {
        key.0 > WEBHOOK.0
    }

    /// The frames of an agent, or the newest of all, oldest first.
    pub fn frames(&self, agent: Option<AgentKey>) -> Vec<(AgentKey, Frame)> {
        let rings: Vec<_> = {
            let agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
            let wanted = agents.iter().filter(|(key, _)| agent.is_none_or(|agent| agent == **key));
            wanted.map(|(key, agent)| (*key, agent.ring.clone())).collect()
        };
        let alone = agent.is_some();
        let mut frames = Vec::new();
        for (key, ring) in rings {
            let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
            // Of many agents only the newest frames are looked at.
            let newest = ring.newest(if alone { FRAMES } else { OF_EACH });
            frames.extend(newest.into_iter().map(|frame| (key, frame)));
        }
        frames.sort_by_key(|(_, frame)| frame.at);
        if !alone {
            let old = frames.len().saturating_sub(OF_ALL);
            frames.drain(..old);
        }
        frames
    }

    /// The number of frames ever recorded, so that readers can detect new ones.
    pub fn count(&self, agent: Option<AgentKey>) -> u64 {
        let agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = agents.iter().filter(|(key, _)| agent.is_none_or(|agent| agent == **key));
        let kept = wanted.map(|(_, agent)| agent.ring.lock().unwrap_or_else(PoisonError::into_inner).count);
        kept.sum::<u64>() + if agent.is_none() { self.gone.load(Ordering::Relaxed) } else { 0 }
    }
}

impl TapHandle {
    /// The secrets sent to its agent.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The line of one more request of its kind, for what asks several at once.
    pub(super) fn another(&self) -> Self {
        let call = Call { number: self.call.number, method: self.call.method, task: OnceLock::new() };
        Self { call: Arc::new(call), ..self.clone() }
    }

    /// Names the task that the call is about, once it is known.
    pub fn name_task(&self, task: &TaskId) {
        let _known_already = self.call.task.set(task.clone());
    }

    /// Says what the answer of the call was.
    pub fn answered(&self, label: Label) {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).label(&self.call, label);
    }

    /// Says why the answer of the call is a failure. Any error of A2A is what a check asks for.
    pub fn answered_with(&self, cause: &Cause) {
        let mut label = self.label_of(cause);
        if let Label::Failed(fault) = &mut label {
            fault.expected = self.call.method == Method::Check && matches!(cause, Cause::Rpc(_));
        }
        self.answered(label);
    }

    /// Keeps why the call failed without an answer, or in the middle of it.
    pub fn failed(&self, cause: &Cause) {
        self.ended(&cause.to_string(), Some(cause));
    }

    /// Keeps how the call ended, and the cause if it failed.
    pub fn ended(&self, how: &str, cause: Option<&Cause>) {
        let label = cause.map(|cause| self.label_of(cause)).unwrap_or_default();
        self.keep_labelled(Kind::End, label, &self.clean(how), "");
    }

    /// The label of a cause, without secrets.
    fn label_of(&self, cause: &Cause) -> Label {
        let mut label = Label::of_cause(cause);
        if let Label::Failed(fault) = &mut label {
            fault.text = Untrusted::from(self.clean(fault.text.raw()));
        }
        label
    }

    /// Keeps a frame. Headers must already be without secrets; the text is redacted here.
    pub fn keep(&self, kind: Kind, head: &str, text: &str) {
        match &self.hides {
            Some(_) => self.keep_clean(kind, &self.clean(head), &self.clean(text)),
            None => self.keep_clean(kind, &self.redactor.redact(head), &self.redactor.redact(text)),
        }
    }

    /// Keeps a response whose body is redacted already; of a long body only the beginning is looked at.
    pub(super) fn keep_body(&self, head: &str, headers: &str, body: &str) {
        let bytes = headers.len() + body.len();
        let text = format!("{headers}{}", cut(body, FRAME));
        match &self.hides {
            Some(_) => {
                self.keep_frame(Kind::Response, Label::Plain, &self.clean(head), &self.clean(&text), bytes);
            }
            None => {
                self.keep_frame(Kind::Response, Label::Plain, head, &self.redactor.redact(&text), bytes);
            }
        }
    }

    /// The text without secrets of this handle.
    pub fn clean(&self, text: &str) -> String {
        let text = self.redactor.redact(text);
        match &self.hides {
            Some(part) => text.replace(&**part, HIDDEN),
            None => text.into_owned(),
        }
    }

    /// Keeps a frame whose text is already redacted.
    fn keep_clean(&self, kind: Kind, head: &str, text: &str) {
        self.keep_labelled(kind, Label::Plain, head, text);
    }

    /// The same with a label.
    pub(super) fn keep_labelled(&self, kind: Kind, label: Label, head: &str, text: &str) {
        self.keep_frame(kind, label, head, text, text.len());
    }

    /// Records the beginning of a text with this total size.
    fn keep_frame(&self, kind: Kind, label: Label, head: &str, text: &str, bytes: usize) {
        let long = (head.len() > HEAD).then(|| format!("{}…", cut(head, HEAD)));
        let (head, text) = (long.as_deref().unwrap_or(head), cut(text, FRAME));
        let kept = FrameMeta {
            at: self.clock.now(),
            call: self.call.clone(),
            kind,
            label,
            head: u32::try_from(head.len()).unwrap_or(0),
            text: u32::try_from(text.len()).unwrap_or(0),
            bytes,
        };
        let most = self.most.load(Ordering::Relaxed);
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).keep(kept, head, text, most);
    }
}

/// The beginning of a text, at most `most` bytes.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret::{Secret, shown_url};
    use crate::domain::cause::{ErrorName, RpcError};
    use crate::domain::job::task::TaskState;

    #[test]
    fn only_the_origin_of_a_webhook_is_recorded() {
        for (url, shown) in [
            ("https://hooks.example/services/T0/B0/x?key=y", "https://hooks.example/[redacted]"),
            ("https://hooks.example:8443?key=y", "https://hooks.example:8443/[redacted]"),
            ("http://127.0.0.1:9/", "http://127.0.0.1:9/"),
            ("http://127.0.0.1:9", "http://127.0.0.1:9"),
        ] {
            assert_eq!(shown_url(url), shown);
            let tap = Tap::new(Arc::new(Clock::start()), Redactor::default());
            tap.line_of_webhook(url).keep(Kind::Request, &format!("POST {url}"), "x");
            let (key, frame) = tap.frames(None).remove(0);
            assert_eq!(frame.head.raw(), format!("POST {shown}"));
            assert!(Tap::is_webhook(key) && !Tap::is_source(key));
        }
        let tap = Tap::new(Arc::new(Clock::start()), Redactor::default());
        tap.line_of_source(u32::MAX).keep(Kind::Request, "GET", "");
        assert!(tap.frames(None).iter().all(|(key, _)| Tap::is_source(*key) && !Tap::is_webhook(*key)));
    }

    #[test]
    fn a_ring_holds_the_newest_frames_within_its_bounds() {
        let tap = Tap::new(Arc::new(Clock::start()), Redactor::default());
        let agent = AgentKey(3);
        let line = tap.line(agent, 7, Method::Send, None);
        for (count, bytes, expected) in [(3, 10, 3), (200, 10, FRAMES), (40, 20 * 1024, 7), (1, 0, 8)] {
            let before = tap.count(Some(agent));
            for number in 0..count {
                line.keep(Kind::Event, &format!("e{number}"), &"ä".repeat(bytes / 2));
            }
            let frames = tap.frames(Some(agent));
            let counted = (tap.count(Some(agent)), tap.count(None), frames.len());
            assert_eq!(counted, (before + count, before + count, expected));
            let (_, last) = frames.last().unwrap();
            assert_eq!((last.number, last.call, last.bytes), (before + count, 7, bytes));
            assert_eq!(last.head.raw(), format!("e{}", count - 1));
            assert_eq!(last.text.raw(), "ä".repeat(bytes.min(FRAME) / 2));
            assert!(frames.windows(2).all(|pair| pair[0].1.number + 1 == pair[1].1.number));
        }
        // Many agents share the memory; a frame larger than a share is kept anyway.
        let lines: Vec<_> = (0..8192).map(|agent| tap.line(AgentKey(agent), 7, Method::Send, None)).collect();
        line.keep(Kind::Event, "e", &"x".repeat(1024));
        assert_eq!(tap.frames(Some(agent)).len(), 2);
        lines[3].keep(Kind::Event, "e", &"x".repeat(1024));
        assert_eq!(tap.frames(Some(agent)).len(), 3);
        lines[3].keep(Kind::Event, "e", &"x".repeat(FRAME));
        assert_eq!(tap.frames(Some(agent)).len(), 1);
        line.keep(Kind::Event, &"h".repeat(1 << 20), "");
        assert_eq!(tap.frames(None).last().map(|(_, frame)| frame.head.len()), Some(HEAD + "…".len()));
    }

    #[test]
    fn labels_and_tasks_belong_to_their_call() {
        let tap = Tap::new(Arc::new(Clock::start()), Redactor::default());
        let agent = AgentKey(3);
        let asks = |call, method| tap.line(agent, call, method, None);
        let (send, check) = (asks(1, Method::Send), asks(2, Method::Check));
        for line in [&send, &check] {
            line.keep(Kind::Request, "POST", "");
            line.keep_body("200 in 1 ms", "", "{}");
        }
        let error = RpcError { name: ErrorName::TaskNotFound, code: Some(-32001), message: "".into() };
        check.answered_with(&Cause::Rpc(error.clone()));
        send.answered(Label::Task(TaskState::Submitted));
        send.name_task(&"2fbf".into());
        send.name_task(&"another".into());
        let frames = tap.frames(Some(agent));
        let shown: Vec<_> = frames
            .iter()
            .map(|(_, frame)| {
                let task = frame.task.as_ref().map(TaskId::short).unwrap_or_default();
                format!(
                    "{} {} {task} {}",
                    frame.call,
                    frame.method.name(),
                    frame.label.words().unwrap_or_default()
                )
            })
            .collect();
        let expected = [
            "1 SendMessage 2fbf ",
            "1 SendMessage 2fbf Task submitted",
            "2 GetTask  ",
            "2 GetTask  -32001 TaskNotFound, as a check expects",
        ];
        assert_eq!(shown, expected);
        // The same error is a failure of any other call, and secrets are taken out of what it says.
        send.redactor().learn(&Secret::new("hunter22"));
        send.answered_with(&Cause::Rpc(RpcError { message: "hunter22".into(), ..error }));
        send.failed(&Cause::Malformed("hunter22".into()));
        let frames = tap.frames(Some(agent));
        let words = |at: usize| frames[at].1.label.words().unwrap_or_default();
        assert_eq!(words(1), "-32001 TaskNotFound: [redacted]");
        assert_eq!(words(4), "its answer is not A2A: [redacted]");
    }
}
