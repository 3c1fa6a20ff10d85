//! An A2A task as an agent reports it, and our verdict on it.

use std::time::Duration;

use crate::domain::id::{ContextId, TaskId};
use crate::domain::job::message::{Artifact, Hints, Json, Message};
use crate::domain::text::Untrusted;
use crate::domain::time::{PeerTime, format_duration};

/// The states of a task, of every dialect (A2A 1.0 section 4.1.3).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TaskState {
    /// Accepted, not begun.
    Submitted,
    /// Being worked on.
    Working,
    /// The agent asks a question.
    InputRequired,
    /// The agent requires a login that is given to it out of band.
    AuthRequired,
    /// Ended successfully.
    Completed,
    /// Ended with an error.
    Failed,
    /// Ended by a cancel.
    Canceled,
    /// Not accepted.
    Rejected,
    /// The agent reports an unspecified state (`TASK_STATE_UNSPECIFIED`, `unknown`).
    Unspecified,
    /// A state that neither protocol version defines, as received; neither terminal nor interrupted.
    Other(Untrusted),
}

impl TaskState {
    /// No further change is allowed after these.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled | Self::Rejected)
    }

    /// Waits for a person.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::InputRequired | Self::AuthRequired)
    }

    /// The word that people read.
    pub fn word(&self) -> String {
        match self {
            Self::Submitted => "submitted".into(),
            Self::Working => "working".into(),
            Self::InputRequired => "needs an answer".into(),
            Self::AuthRequired => "needs a login".into(),
            Self::Completed => "completed".into(),
            Self::Failed => "failed".into(),
            Self::Canceled => "canceled".into(),
            Self::Rejected => "rejected".into(),
            Self::Unspecified => "unspecified".into(),
            Self::Other(raw) => raw.shortened(40).line().into_string(),
        }
    }

    /// The state of a task that goes on, as the end of a sentence: `is still working`.
    pub fn still(&self) -> String {
        match self {
            Self::InputRequired | Self::AuthRequired => format!("still {}", self.word()),
            _ => format!("is still {}", self.word()),
        }
    }

    /// Whether A2A allows a task to go from here to `next`.
    ///
    /// The specification defines the meaning of each state, not a graph; two transitions contradict those meanings:
    /// leaving a terminal state, and being submitted again after work had begun.
    pub fn may_become(&self, next: &Self) -> bool {
        if self == next {
            return true;
        }
        if self.is_terminal() {
            return false;
        }
        !(matches!(next, Self::Submitted) && matches!(self, Self::Working))
    }
}

/// A task's state with its message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The state.
    pub state: TaskState,
    /// The agent's message.
    pub message: Option<Message>,
    /// The agent's clock; some servers leave it out.
    pub timestamp: Option<PeerTime>,
}

impl Status {
    /// A state without a message or a time.
    pub fn new(state: TaskState) -> Self {
        Self { state, message: None, timestamp: None }
    }
}

/// A whole task as an agent reported it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskReport {
    /// The agent's id of it.
    pub id: TaskId,
    /// The context.
    pub context: Option<ContextId>,
    /// The status.
    pub status: Status,
    /// Its outputs; `None` if the answer leaves them out, as a listing does.
    pub artifacts: Option<Vec<Artifact>>,
    /// The messages so far; which of them an agent keeps differs.
    pub history: Vec<Message>,
    /// The task's metadata object.
    pub metadata: Option<Json>,
    /// Metadata found by the codec.
    pub hints: Hints,
    /// The object as received, if it is at most 64 KiB.
    pub raw: Option<Json>,
}

impl TaskReport {
    /// A report of the status and nothing more.
    pub fn new(id: impl Into<TaskId>, status: Status) -> Self {
        Self {
            id: id.into(),
            context: None,
            status,
            artifacts: None,
            history: Vec::new(),
            metadata: None,
            hints: Hints::default(),
            raw: None,
        }
    }
}

/// One event of a stream, of every dialect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamEvent {
    /// A snapshot of the whole task.
    Task(Box<TaskReport>),
    /// An answer without a task, or words within one.
    Message(Box<Message>),
    /// The task's state changed or was explained.
    Status {
        /// The task id in the event; the event belongs to the stream's task in any case.
        task: Option<TaskId>,
        /// The context.
        context: Option<ContextId>,
        /// The state.
        status: Status,
        /// The event's metadata object.
        metadata: Option<Json>,
        /// The event as received, if it is at most 64 KiB.
        raw: Option<Json>,
    },
    /// An output began, grew or was replaced.
    Artifact {
        /// The task it claims to be about.
        task: Option<TaskId>,
        /// The context.
        context: Option<ContextId>,
        /// The chunk.
        artifact: Artifact,
        /// True if the parts are appended; otherwise they replace the content.
        append: bool,
        /// True if no more chunks follow.
        last: bool,
    },
    /// An event that neither protocol version defines, unchanged.
    Unknown(Json),
}

impl StreamEvent {
    /// A status of a task without metadata.
    pub fn status(task: Option<TaskId>, context: Option<ContextId>, status: Status) -> Self {
        Self::Status { task, context, status, metadata: None, raw: None }
    }
}

/// Our doubt about a task, beyond what its agent reports. The highest applies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// No event for a fixed time, on an open stream of which nothing is usual yet.
    Silent,
    /// Its stream is open, and nothing ever came on it.
    Unheard,
    /// No event for many times the usual pause of its agent and skill.
    Stuck,
    /// It keeps repeating the same status.
    Looping,
    /// Its stream was cut, and the agent's answer has not changed since.
    Stalled,
    /// Its agent cannot be reached, so our knowledge is old.
    Stale,
    /// Its agent cannot be reached, and has not been for so long that a person must decide: wait for it, or do the work
    /// elsewhere.
    Unreachable,
    /// Stream and `GetTask` disagree, or it came back after it had ended.
    Conflict,
    /// Its agent came back and no longer knows it.
    Lost,
}

impl Verdict {
    /// True if the next event clears it.
    pub fn is_of_silence(self) -> bool {
        matches!(self, Self::Silent | Self::Unheard | Self::Stuck | Self::Stalled)
    }

    /// True if nobody has seen the task since its agent was away.
    pub fn is_of_absence(self) -> bool {
        matches!(self, Self::Stale | Self::Unreachable)
    }

    /// The word in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Unheard => "unheard",
            Self::Stuck => "stuck",
            Self::Looping => "looping",
            Self::Stalled => "stalled",
            Self::Stale => "stale",
            Self::Unreachable => "unreachable",
            Self::Conflict => "conflict",
            Self::Lost => "lost",
        }
    }
}

/// The usual longest pause between two updates of the tasks of an agent and a skill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UsualPause {
    /// The pause.
    pub time: Duration,
    /// True if it was not measured: a demo makes up a past.
    pub made_up: bool,
}

impl std::fmt::Display for UsualPause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let made_up = if self.made_up { " (made up)" } else { "" };
        f.write_str("usually ")?;
        match self.time {
            time if time < Duration::from_secs(10) => write!(f, "{:.1}s", time.as_secs_f64())?,
            time => f.write_str(&format_duration(time))?,
        }
        write!(f, " between updates{made_up}")
    }
}

/// The progress of a cancel: requested, agreed, confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CancelMark {
    /// Requested, or about to be.
    Asked,
    /// The agent agreed.
    Agreed,
    /// Seen ended, by its stream or by `GetTask`.
    Verified,
    /// The agent did not answer, or its task continues; the task is checked further.
    Unconfirmed,
    /// The agent refused, and its task goes on; nobody asks again by themselves.
    Refused,
    /// Too late: the task ended by itself, not by the cancel.
    TooLate,
}

impl CancelMark {
    /// The word in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Agreed => "agreed",
            Self::Verified => "verified",
            Self::Unconfirmed => "unconfirmed",
            Self::Refused => "refused",
            Self::TooLate => "too-late",
        }
    }
}

/// The end of a task for which a cancel came too late.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LateEnd {
    /// The state in which it ended.
    pub state: TaskState,
    /// How long after the agent had agreed to the cancel; `None` if it had not.
    pub after: Option<Duration>,
}

impl std::fmt::Display for LateEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = match self.state {
            TaskState::Rejected => "the agent rejected it",
            TaskState::Failed => "it failed by itself",
            TaskState::Completed => "it completed by itself",
            _ => "it ended by itself",
        };
        write!(f, "too late, {how}")?;
        match self.after {
            None => Ok(()),
            Some(after) if after < Duration::from_secs(60) => {
                write!(f, " {:.1}s after it agreed", after.as_secs_f64())
            }
            Some(after) => write!(f, " {} after it agreed", format_duration(after)),
        }
    }
}

/// Where a piece of knowledge about a task came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Via {
    /// The answer or stream of our own send.
    Send,
    /// A stream that we subscribed to.
    Subscribe,
    /// `GetTask`.
    Get,
    /// `ListTasks`.
    List,
    /// The answer to our cancel.
    Cancel,
}

impl Via {
    /// The word in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "its stream",
            Self::Subscribe => "its stream",
            Self::Get => "GetTask",
            Self::List => "ListTasks",
            Self::Cancel => "CancelTask",
        }
    }
}

/// Something an agent did that the protocol does not allow; recorded, never hidden.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProtocolViolation {
    /// A transition between states that contradicts their meanings.
    IllegalMove {
        /// The state before.
        from: TaskState,
        /// The state it claimed.
        to: TaskState,
    },
    /// More content for an artifact after its last chunk.
    AfterLastChunk,
    /// Appended to an artifact that was never begun.
    AppendToNothing,
    /// An event with another task's id on this task's stream.
    ForeignTaskId(TaskId),
    /// An event that could not be read.
    Unreadable(Untrusted),
    /// Content that was understood although its protocol version spells it differently; the text follows the word
    /// "wrote".
    Deviation(Untrusted),
}

impl std::fmt::Display for ProtocolViolation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::IllegalMove { from, to } if from.is_terminal() => {
                write!(f, "came back after it ended: {}, then {}", from.word(), to.word())
            }
            Self::IllegalMove { from, to } => write!(f, "went from {} to {}", from.word(), to.word()),
            Self::AfterLastChunk => f.write_str("sent more of an artifact after its last chunk"),
            Self::AppendToNothing => f.write_str("appended to an artifact that it never began"),
            Self::ForeignTaskId(id) => write!(f, "named task {} in this task's stream", id.short()),
            Self::Unreadable(why) => write!(f, "sent an event that cannot be read: {}", why.shortened(160)),
            Self::Deviation(what) => write!(f, "wrote {}", what.shortened(160)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_cancel_says_how_the_task_ended() {
        let seconds = |seconds: f64| Some(Duration::from_secs_f64(seconds));
        for (state, after, words) in [
            (TaskState::Completed, seconds(5.0), "too late, it completed by itself 5.0s after it agreed"),
            (TaskState::Failed, seconds(65.0), "too late, it failed by itself 1m05s after it agreed"),
            (TaskState::Completed, None, "too late, it completed by itself"),
            (TaskState::Rejected, None, "too late, the agent rejected it"),
        ] {
            assert_eq!(LateEnd { state, after }.to_string(), words);
        }
    }

    #[test]
    fn a_live_state_ends_a_sentence() {
        assert_eq!(TaskState::Working.still(), "is still working");
        assert_eq!(TaskState::InputRequired.still(), "still needs an answer");
    }
}
