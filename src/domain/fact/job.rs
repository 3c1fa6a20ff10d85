//! Facts of a job and of its attempts.

use std::sync::Arc;

use crate::domain::cause::Cause;
use crate::domain::id::{AgentId, AttemptId, ContextId, MessageId, TaskId};
use crate::domain::job::carry::Carried;
use crate::domain::job::message::{Json, Message, Part};
use crate::domain::job::plan::{NextAgent, Plan, RaceReason, SpentBudget, WaitReason};
use crate::domain::job::task::{CancelMark, LateEnd, ProtocolViolation, TaskState, UsualPause, Verdict, Via};
use crate::domain::job::{Origin, Phase};
use crate::domain::route::Target;
use crate::domain::route::decision::Decision;
use crate::domain::text::Untrusted;
use crate::domain::time::{At, PeerTime};

/// Facts of a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobFact {
    /// A job was submitted here, or a task that was sent elsewhere was found.
    Opened {
        /// Sent or found.
        origin: Origin,
        /// The first words of its message.
        title: Untrusted,
        /// The caller; `None` if unknown.
        caller: Option<Untrusted>,
        /// The id of the requested skill; `None` if unknown.
        skill: Option<Untrusted>,
        /// The conversation that it belongs to; `None` until an agent names one.
        context: Option<ContextId>,
        /// The task that delegated it, if any.
        parent: Option<TaskId>,
        /// The message to send; `None` for a found job.
        message: Option<Arc<Message>>,
        /// How it is to be dispatched; `None` for a found job, and for one sent to a named agent.
        plan: Option<Arc<Plan>>,
    },
    /// The router chose an agent, with what it looked at. The attempt follows.
    Routed {
        /// The decision.
        decision: Arc<Decision>,
        /// True if an earlier attempt of the job has ended: this one follows it by rule.
        retry: bool,
    },
    /// It waits from here on, or waits for something else.
    Queued {
        /// Why.
        why: WaitReason,
        /// Until when at least; `None` if something else ends the wait.
        until: Option<At>,
    },
    /// Nothing more is tried.
    Ended {
        /// Why it ended without a result; `None` if its last attempt says how it ended.
        cause: Option<Arc<Cause>>,
        /// The budget because of which nothing follows; `None` if that is not why.
        spent: Option<SpentBudget>,
    },
    /// An operator wants it to be tried again.
    Reopened {
        /// Where.
        to: NextAgent,
        /// The target from here on.
        target: Target,
        /// What it takes along from an earlier attempt; `None` if it is sent as it was.
        carry: Option<Arc<Carried>>,
        /// The operator's reason, if there is no attempt whose history has it.
        why: Option<Untrusted>,
    },
    /// What it is to be sent as from here on: its message with what an earlier attempt had come to.
    Composed {
        /// The message.
        message: Arc<Message>,
    },
    /// Another attempt is to be sent beside a live one.
    Racing {
        /// Where.
        to: NextAgent,
        /// Why.
        why: RaceReason,
        /// The target of the job.
        target: Target,
    },
    /// That attempt is not sent after all.
    RaceDropped {
        /// Why.
        cause: Arc<Cause>,
    },
    /// A task of an attempt that was given up was found alive, and no other attempt has followed it.
    CameBack,
    /// An operator moves it: another attempt follows once the live one was seen to end.
    Moving {
        /// Where to; `None` if the journal could not store the operator's act, and nothing moves.
        to: Option<NextAgent>,
        /// The target from here on.
        target: Target,
        /// What it takes along from the live attempt; `None` if it is sent as it was.
        carry: Option<Arc<Carried>>,
    },
    /// Details of a found job became known.
    Explained {
        /// The first words of its message.
        title: Untrusted,
        /// The caller; `None` if unknown.
        caller: Option<Untrusted>,
        /// The id of the requested skill; `None` if unknown.
        skill: Option<Untrusted>,
        /// The task that delegated it, if any.
        parent: Option<TaskId>,
    },
    /// It was removed with its history, by the rules of retention.
    Forgotten,
    /// Something happened to one of its attempts.
    Attempt(AttemptId, AttemptFact),
}

impl JobFact {
    /// The attempt and its fact; `None` for facts of the job itself.
    pub fn of_attempt(&self) -> Option<(AttemptId, &AttemptFact)> {
        match self {
            Self::Attempt(id, fact) => Some((*id, fact)),
            Self::Opened { .. }
            | Self::Explained { .. }
            | Self::Routed { .. }
            | Self::Queued { .. }
            | Self::Ended { .. }
            | Self::Reopened { .. }
            | Self::Moving { .. }
            | Self::Composed { .. }
            | Self::Racing { .. }
            | Self::RaceDropped { .. }
            | Self::CameBack
            | Self::Forgotten => None,
        }
    }
}

/// Facts of one attempt of a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AttemptFact {
    /// A sending was decided, or a found task became an attempt.
    Planned {
        /// The agent that gets it or has it.
        agent: AgentId,
        /// The id of the message to send; `None` for a found task.
        message_id: Option<MessageId>,
    },
    /// The sending moved on.
    Moved {
        /// The phase from here on.
        phase: Phase,
        /// Why, where something went wrong.
        cause: Option<Arc<Cause>>,
    },
    /// The agent made a task of it, or the task was found.
    TaskSeen {
        /// The agent's id of the task.
        task: TaskId,
        /// The task's conversation; `None` if the agent names none.
        context: Option<ContextId>,
        /// The task's state.
        state: TaskState,
        /// The time of that state by the agent's clock; `None` if not reported.
        peer_time: Option<PeerTime>,
        /// How we learned of it.
        via: Via,
        /// The object as received; `None` if it was too large or not new.
        raw: Option<Json>,
    },
    /// The task's state changed, or was reported again with another message.
    StateSeen {
        /// The task's state from here on.
        state: TaskState,
        /// The task's context; `None` if it was already known.
        context: Option<ContextId>,
        /// The time of that state by the agent's clock; `None` if not reported.
        peer_time: Option<PeerTime>,
        /// How we learned of it.
        via: Via,
        /// The event as received; `None` if it was too large or not new.
        raw: Option<Json>,
    },
    /// The agent contradicts a terminal state, which stays, or no longer does.
    ClaimSeen {
        /// The state that it reports; `None` once it agrees again.
        says: Option<TaskState>,
        /// How we learned of it.
        via: Via,
    },
    /// A message of the task's conversation.
    MessageSeen {
        /// The message.
        message: Arc<Message>,
        /// True if it came with a state.
        status: bool,
    },
    /// An output began, grew or was replaced.
    ArtifactSeen {
        /// The agent's id of the output, unique in its task.
        artifact: Untrusted,
        /// A name for people, if the agent gives one.
        name: Option<Untrusted>,
        /// True if the parts are appended; false if they replace the content.
        append: bool,
        /// The parts that came.
        parts: Arc<Vec<Part>>,
        /// True if the output is complete.
        last: bool,
    },
    /// Updates of the task stop here.
    GapOpened {
        /// The last moment at which it was watched.
        since: At,
        /// Why; `None` if nothing failed.
        cause: Option<Arc<Cause>>,
    },
    /// The task is watched again.
    GapClosed {
        /// How we learned of its state.
        via: Via,
        /// True if it had changed in between.
        changed: bool,
    },
    /// Another doubt about the task than before.
    VerdictChanged {
        /// The verdict; `None` if it was withdrawn.
        verdict: Option<Verdict>,
        /// The usual pause, if the task is stuck because of it.
        usual: Option<UsualPause>,
    },
    /// A cancel moved on.
    CancelMoved {
        /// The progress of the cancel.
        mark: CancelMark,
        /// The reason why it is unconfirmed; `None` otherwise.
        cause: Option<Arc<Cause>>,
        /// How the task ended if the cancel came too late; `None` otherwise.
        late: Option<LateEnd>,
    },
    /// The journal could not store the operator's cancel: nothing was sent, and the mark is as before.
    CancelWithdrawn {
        /// The mark before; `None` if no cancel had been requested.
        mark: Option<CancelMark>,
    },
    /// The cancel of the task is meant for what it delegated too, or no longer is, as the journal could not store that.
    CascadeAsked {
        /// True if it is.
        asked: bool,
    },
    /// The agent keeps sending events although it agreed to a cancel.
    CancelIgnored {
        /// Events since it agreed.
        events: u32,
    },
    /// The answer to a question of the task moved on.
    AnswerMoved {
        /// The answer.
        message: Arc<Message>,
        /// The phase from here on.
        phase: Phase,
        /// Why, where something went wrong.
        cause: Option<Arc<Cause>>,
    },
    /// It takes longer than its rule or its job's deadline allows; its agent is asked to stop.
    Overdue {
        /// The limit.
        cause: Arc<Cause>,
    },
    /// The actor's reason for the acts of the same step.
    ReasonGiven {
        /// The reason.
        why: Untrusted,
    },
    /// The agent did something that the protocol does not allow.
    ViolationObserved {
        /// The violation.
        violation: ProtocolViolation,
    },
    /// It is the first to complete of the attempts that ran beside each other: its result is that of the job.
    Won,
    /// The task has ended and was compared, or was given up: nothing more is expected of it.
    Settled,
}
