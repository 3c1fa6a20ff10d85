//! Jobs and attempts: what somebody wanted, and each sending of it.

pub mod attention;
pub mod detail;
pub mod message;
pub mod task;

use std::sync::Arc;

use smallvec::SmallVec;

use crate::domain::cause::Cause;
use crate::domain::id::{AgentKey, AttemptId, AttemptKey, ContextId, JobId, JobKey, MessageId, TaskId};
use crate::domain::job::message::{Fingerprint, Message};
use crate::domain::job::task::{CancelMark, TaskState, Verdict};
use crate::domain::text::Untrusted;
use crate::domain::time::{At, PeerTime};

/// What somebody wanted done, once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    /// Ours.
    pub id: JobId,
    /// Facts so far.
    pub seq: u64,
    /// The first words of its message.
    pub title: Untrusted,
    /// Whether we sent it.
    pub origin: Origin,
    /// Who asked, if it is known.
    pub caller: Option<Untrusted>,
    /// The skill that it was sent by.
    pub skill: Option<Untrusted>,
    /// The conversation.
    pub context: Option<ContextId>,
    /// The task that delegated it.
    pub parent: Option<TaskId>,
    /// When we planned or found it.
    pub created: At,
    /// Its sendings, oldest first.
    pub attempts: SmallVec<[AttemptKey; 4]>,
    /// The message, until no attempt needs it any more.
    pub message: Option<Arc<Message>>,
}

/// How a job came to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// An intent of ours.
    Sent,
    /// Seen on an agent; somebody else sent it.
    Found,
}

/// How far one sending has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Decided and durable; not a byte was written.
    Planned,
    /// Durable, and may be on its way.
    Sending,
    /// The agent made a task of it.
    Accepted,
    /// The agent answered with a message and made no task.
    Answered,
    /// The agent said no.
    Refused,
    /// It never left.
    Unsent,
    /// It may have arrived, and nobody can tell.
    Uncertain,
    /// A person decided to take it as lost.
    PresumedLost,
}

impl Phase {
    /// The word in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Sending => "sending",
            Self::Accepted => "accepted",
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Unsent => "unsent",
            Self::Uncertain => "uncertain",
            Self::PresumedLost => "presumed lost",
        }
    }

    /// True if nothing more will come of it by itself.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Answered | Self::Refused | Self::Unsent | Self::PresumedLost)
    }
}

/// One sending of a job to one agent; accepted, it is one task there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Ours.
    pub id: AttemptId,
    /// Whose.
    pub job: JobKey,
    /// From 1.
    pub number: u16,
    /// To whom.
    pub agent: AgentKey,
    /// Its message; a resend keeps it. `None` for a task that somebody else sent.
    pub message_id: Option<MessageId>,
    /// How far it has come.
    pub phase: Phase,
    /// Its message was sent before and may have arrived then: what comes of sending it again does not settle that.
    pub may_have_arrived: bool,
    /// When the phase began.
    pub phase_since: At,
    /// When it was planned or found.
    pub created: At,
    /// Why it was refused, unsent or is uncertain.
    pub cause: Option<Arc<Cause>>,
    /// The agent's task.
    pub task: Option<Task>,
    /// An answer to its question that is on its way.
    pub answer: Option<Box<Answer>>,
    /// What has been taken in, to tell news from repeats; dropped once it is settled.
    pub progress: Option<Arc<Progress>>,
}

/// The agent's task, as we know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Task {
    /// The agent's id.
    pub id: TaskId,
    /// The conversation.
    pub context: Option<ContextId>,
    /// The state that counts; a terminal one sticks.
    pub state: TaskState,
    /// When we learnt of it.
    pub state_since: At,
    /// The agent's clock for it.
    pub peer_time: Option<PeerTime>,
    /// What the agent says where that differs from `state`.
    pub says: Option<TaskState>,
    /// What we doubt.
    pub verdict: Option<Verdict>,
    /// How far a cancel has come.
    pub cancel: Option<CancelMark>,
    /// It goes on although its agent agreed to end it.
    pub ignored: bool,
    /// The last time that we heard something new of it.
    pub last_activity: At,
    /// When a gap began, while nobody tells us anything.
    pub gap_since: Option<At>,
    /// The agent's last words.
    pub note: Option<Untrusted>,
    /// Outputs so far.
    pub artifacts: u16,
    /// Bytes of all outputs.
    pub bytes: u64,
    /// True once nothing more is expected: ended and compared, or lost.
    pub settled: bool,
}

/// An answer to a task that needed one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// What is said.
    pub message: Arc<Message>,
    /// Sending, accepted, refused, unsent or uncertain.
    pub phase: Phase,
    /// Why not.
    pub cause: Option<Arc<Cause>>,
}

/// What has been taken in of a task.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// The outputs.
    pub artifacts: Vec<ArtifactMeta>,
    /// [`Message::fingerprint`] of the last messages that were seen, oldest first.
    pub messages: Vec<u64>,
    /// Messages recorded so far, by number.
    pub messages_total: u32,
    /// Bytes of artifacts recorded so far, with those that were replaced later.
    pub content: u64,
}

impl Progress {
    /// True if a message was seen. `place` counts messages without an id that say the same.
    pub fn has(&self, message: &Message, place: u32) -> bool {
        self.messages.contains(&message.fingerprint(place))
    }

    /// The place of a message behind those that say the same; 0 if it has an id.
    pub fn next_place(&self, message: &Message) -> u32 {
        if !message.has_no_id() {
            return 0;
        }
        let most = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        (0..most).find(|place| !self.has(message, *place)).unwrap_or(most)
    }

    /// How many messages are remembered: a history is in order, so one known message dates all before it.
    pub const MESSAGES: usize = 32;
}

/// An output without its content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArtifactMeta {
    /// Unique in its task.
    pub id: Untrusted,
    /// For people.
    pub name: Option<Untrusted>,
    /// What it holds so far.
    pub print: Fingerprint,
    /// True after the last chunk.
    pub closed: bool,
}

impl Attempt {
    /// True if it is neither ended, lost nor given up.
    pub fn is_live(&self) -> bool {
        match &self.task {
            Some(task) => !task.is_over() && self.phase != Phase::PresumedLost,
            None => !self.phase.is_over(),
        }
    }

    /// True until it is settled: more is expected of it, if only the comparison with what its agent keeps.
    pub fn goes_on(&self) -> bool {
        !self.task.as_ref().map_or(self.phase.is_over(), |task| task.settled)
    }

    /// True if a person must act.
    pub fn needs_you(&self) -> bool {
        match &self.task {
            Some(task) => {
                task.state.is_interrupted()
                    && !task.is_over()
                    && !self.answer.as_ref().is_some_and(|answer| {
                        matches!(answer.phase, Phase::Planned | Phase::Sending | Phase::Accepted)
                    })
            }
            None => self.phase == Phase::Uncertain,
        }
    }

    /// True if we doubt what we know of it.
    pub fn is_doubtful(&self) -> bool {
        self.phase == Phase::Uncertain || self.task.as_ref().is_some_and(|task| task.verdict.is_some())
    }

    /// True if a person may have to look at it: see [`crate::domain::job::attention`].
    pub fn wants_attention(&self) -> bool {
        self.is_live() || self.needs_you() || self.is_doubtful()
    }
}

impl Task {
    /// Ended, or its agent forgot it.
    pub fn is_over(&self) -> bool {
        self.state.is_terminal() || self.verdict == Some(Verdict::Lost)
    }
}
