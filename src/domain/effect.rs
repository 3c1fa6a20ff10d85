//! Orders from the core to the shell. Each effect ends in exactly one [`crate::domain::input::Input`].

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::card::Interface;
use crate::domain::call::CallKind;
use crate::domain::id::{AgentKey, AttemptKey, CallId, ContextId, JobId, TaskId};
use crate::domain::job::carry::Carried;
use crate::domain::job::message::Message;
use crate::domain::job::task::TaskState;
use crate::domain::problem::{Kind, NotificationEvent, Problem};
use crate::domain::text::Untrusted;
use crate::domain::time::PeerTime;
use crate::domain::trace::TraceParent;

/// An order. Gated ones wait until the facts that come with them are durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    /// Its answers carry this.
    pub call: CallId,
    /// The recipient.
    pub to: Recipient,
    /// The order.
    pub order: Order,
}

/// The recipient of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recipient {
    /// An agent: the order becomes a call with its credentials, on its lane.
    Agent(AgentKey),
    /// The shell itself: no agent is called.
    Shell,
}

impl Recipient {
    /// The agent; `None` for the shell.
    pub fn agent(self) -> Option<AgentKey> {
        match self {
            Self::Agent(key) => Some(key),
            Self::Shell => None,
        }
    }
}

/// An order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// Fetch the card.
    Probe {
        /// The URL as configured or typed.
        url: Arc<str>,
        /// The `ETag` for a conditional request.
        etag: Option<Untrusted>,
        /// The timeout; silence for this long is an outcome too.
        limit: Duration,
    },
    /// Read a task that does not exist: any A2A answer shows that the interface works.
    Check {
        /// The interface to use.
        interface: Arc<Interface>,
    },
    /// Send a message; gated.
    Send {
        /// For which attempt; names it in logs and captures.
        attempt: AttemptKey,
        /// The interface to use.
        interface: Arc<Interface>,
        /// The message; it carries the task that it continues, if any.
        message: Arc<Message>,
        /// Watch by the answer's own stream, or return at once.
        stream: bool,
        /// The span that sends it; `None` if the headers carry none.
        trace: Option<TraceParent>,
    },
    /// Read a task.
    Get {
        /// The attempt.
        attempt: AttemptKey,
        /// The interface to use.
        interface: Arc<Interface>,
        /// The task to read.
        task: TaskId,
    },
    /// List tasks.
    List {
        /// The interface to use.
        interface: Arc<Interface>,
        /// The query.
        query: ListQuery,
    },
    /// Watch a task by a stream.
    Subscribe {
        /// The attempt.
        attempt: AttemptKey,
        /// The interface to use.
        interface: Arc<Interface>,
        /// The task to subscribe to.
        task: TaskId,
    },
    /// End a task; gated.
    Cancel {
        /// The attempt.
        attempt: AttemptKey,
        /// The interface to use.
        interface: Arc<Interface>,
        /// The task to cancel.
        task: TaskId,
        /// The span that cancels it; `None` if the headers carry none.
        trace: Option<TraceParent>,
    },
    /// Close the stream of an earlier call. It has no answer of its own.
    Close {
        /// The stream to close.
        stream: CallId,
    },
    /// Post a problem to the webhook; gated, except for problems of the journal itself.
    Notify(Box<Notification>),
    /// Read the message of a job from the journal.
    LoadMessage {
        /// The job.
        job: JobId,
        /// True if it was composed with what an earlier attempt had come to.
        composed: bool,
        /// What it is to carry; `None` if it is sent as it is.
        carry: Option<Arc<Carried>>,
    },
}

impl Order {
    /// The kind of call; `None` if it is not a call.
    pub fn kind(&self) -> Option<CallKind> {
        match self {
            Self::Probe { .. } => Some(CallKind::Probe),
            Self::Check { .. } => Some(CallKind::Check),
            Self::Send { .. } => Some(CallKind::Send),
            Self::Get { .. } => Some(CallKind::Get),
            Self::List { .. } => Some(CallKind::List),
            Self::Subscribe { .. } => Some(CallKind::Subscribe),
            Self::Cancel { .. } => Some(CallKind::Cancel),
            Self::Close { .. } | Self::Notify(_) | Self::LoadMessage { .. } => None,
        }
    }

    /// The attempt that it belongs to; `None` if it belongs to none.
    pub fn attempt(&self) -> Option<AttemptKey> {
        match self {
            Self::Send { attempt, .. }
            | Self::Get { attempt, .. }
            | Self::Subscribe { attempt, .. }
            | Self::Cancel { attempt, .. } => Some(*attempt),
            Self::Probe { .. }
            | Self::Check { .. }
            | Self::List { .. }
            | Self::Close { .. }
            | Self::Notify(_)
            | Self::LoadMessage { .. } => None,
        }
    }

    /// True if it must wait for the journal.
    pub fn is_gated(&self) -> bool {
        match self {
            Self::Send { .. } | Self::Cancel { .. } => true,
            // An operator who can free the disk must be notified while nothing can be written.
            Self::Notify(notification) => notification.problem.kind != Kind::JournalUnsaved,
            Self::Probe { .. }
            | Self::Check { .. }
            | Self::Get { .. }
            | Self::List { .. }
            | Self::Subscribe { .. }
            | Self::Close { .. }
            | Self::LoadMessage { .. } => false,
        }
    }
}

/// The content of a post to the webhook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// The event that it reports.
    pub event: NotificationEvent,
    /// The number of the problem that absorbed this one when it cleared; `None` if none did.
    pub into: Option<u32>,
    /// The problem as it was when the post was ordered.
    pub problem: Problem,
    /// Name and URL of the agent that the problem is about; `None` if it is about no single agent.
    pub agent: Option<(Untrusted, Arc<str>)>,
}

/// The tasks that a listing requests.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListQuery {
    /// Only those in this state.
    pub state: Option<TaskState>,
    /// Only those of this conversation.
    pub context: Option<ContextId>,
    /// Only those whose state is younger, by the agent's clock.
    pub after: Option<PeerTime>,
    /// Tasks on a page, at most 100; `None` for as many as agents allow.
    pub size: Option<u16>,
    /// Go on from here.
    pub page: Option<Untrusted>,
    /// Whether messages are wanted too.
    pub history: bool,
}
