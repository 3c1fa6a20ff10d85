//! Outcomes of calls: one type per method, so that an answer always has the type of its question.
//!
//! An answer of the wrong shape never becomes an outcome of another call: `protocol::reply` turns it into a failure of
//! the original call, with [`Cause::Malformed`].

use std::time::Duration;

use crate::domain::agent::card::FetchedCard;
use crate::domain::cause::{Cause, Failure, Sent};
use crate::domain::id::TaskId;
use crate::domain::input::ServerTraits;
use crate::domain::job::message::Message;
use crate::domain::job::task::{ProtocolViolation, StreamEvent, TaskReport};
use crate::domain::text::Untrusted;

/// The kind of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CallKind {
    /// The agent's card.
    Probe,
    /// Whether the interface answers at all.
    Check,
    /// To take a message.
    Send,
    /// The task's state.
    Get,
    /// Which tasks there are.
    List,
    /// To end a task.
    Cancel,
    /// To stream a task's events.
    Subscribe,
}

/// A successful answer to a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered<T> {
    /// The answer.
    pub value: T,
    /// From the request to the headers of the answer.
    pub took: Duration,
}

/// The answer to a call with a single response document.
pub type Answer<T> = Result<Answered<T>, Failure>;

/// The outcome of a call. Every outcome ends the call, except violations and the opening and events of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Of [`CallKind::Probe`].
    Probe(Answer<Probed>),
    /// Of [`CallKind::Check`]: the agent returned a task, or failed to. An error of A2A is the usual answer.
    Check(Answer<()>),
    /// Of [`CallKind::Send`].
    Send(SendOutcome),
    /// Of [`CallKind::Get`].
    Get(Answer<Box<TaskReport>>),
    /// Of [`CallKind::List`].
    List(Answer<Page>),
    /// Of [`CallKind::Cancel`]: the task as the agent answered with it, which need not have ended.
    Cancel(Answer<Box<TaskReport>>),
    /// Of [`CallKind::Subscribe`].
    Subscribe(SubscribeOutcome),
    /// Of any call: its answer, or an event of its stream, violates the protocol. The call continues.
    Violation(CallKind, ProtocolViolation),
}

/// A card that was fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probed {
    /// `None`: it has not changed.
    pub card: Option<FetchedCard>,
    /// Information about the server from the headers.
    pub server: ServerTraits,
}

/// A page of tasks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// The tasks.
    pub tasks: Vec<TaskReport>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Untrusted>,
    /// The total number of tasks in the list; `None` if not reported.
    pub total: Option<u64>,
    /// Tasks of this page that could not be read.
    pub unread: u32,
}

/// The outcome of sending a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SendOutcome {
    /// The agent made a task of it, or took it into the task that it answers.
    Task(Answered<Box<TaskReport>>),
    /// The agent answered with a message.
    Message(Answered<Box<Message>>),
    /// The agent answers with a stream.
    Stream(StreamOutcome),
    /// The call failed before a stream opened, or with an error as the first event of one.
    Failed(Failure),
}

/// The outcome of a subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SubscribeOutcome {
    /// The agent answers with a stream.
    Stream(StreamOutcome),
    /// The call failed before a stream opened, or with an error as the first event of one.
    Failed(Failure),
}

/// The progress of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamOutcome {
    /// The response headers arrived.
    Opened {
        /// From the request to the headers.
        took: Duration,
        /// Information about the server from the headers.
        server: ServerTraits,
    },
    /// Events, in order.
    Events(Vec<StreamEvent>),
    /// It ended: cleanly, or not.
    Ended(Result<(), Cause>),
}

impl CallKind {
    /// The call in messages: the method as A2A 1.0 names it.
    pub fn method(self) -> &'static str {
        match self {
            Self::Probe => "the request for the agent card",
            Self::Check | Self::Get => "GetTask",
            Self::Send => "SendMessage",
            Self::List => "ListTasks",
            Self::Cancel => "CancelTask",
            Self::Subscribe => "SubscribeToTask",
        }
    }

    /// The outcome of such a call that failed.
    pub fn failed(self, failure: Failure) -> Outcome {
        match self {
            Self::Probe => Outcome::Probe(Err(failure)),
            Self::Check => Outcome::Check(Err(failure)),
            Self::Send => Outcome::Send(SendOutcome::Failed(failure)),
            Self::Get => Outcome::Get(Err(failure)),
            Self::List => Outcome::List(Err(failure)),
            Self::Cancel => Outcome::Cancel(Err(failure)),
            Self::Subscribe => Outcome::Subscribe(SubscribeOutcome::Failed(failure)),
        }
    }

    /// The outcome of such a call that certainly wrote nothing.
    pub fn unsent(self, cause: Cause) -> Outcome {
        self.failed(Failure { sent: Sent::Not, cause })
    }
}

impl Outcome {
    /// The kind of the call that it belongs to.
    pub fn kind(&self) -> CallKind {
        match self {
            Self::Probe(_) => CallKind::Probe,
            Self::Check(_) => CallKind::Check,
            Self::Send(_) => CallKind::Send,
            Self::Get(_) => CallKind::Get,
            Self::List(_) => CallKind::List,
            Self::Cancel(_) => CallKind::Cancel,
            Self::Subscribe(_) => CallKind::Subscribe,
            Self::Violation(kind, _) => *kind,
        }
    }

    /// The outcome of the stream; `None` for other calls.
    pub fn stream(&self) -> Option<&StreamOutcome> {
        match self {
            Self::Send(SendOutcome::Stream(stream)) | Self::Subscribe(SubscribeOutcome::Stream(stream)) => {
                Some(stream)
            }
            Self::Probe(_)
            | Self::Check(_)
            | Self::Send(SendOutcome::Task(_) | SendOutcome::Message(_) | SendOutcome::Failed(_))
            | Self::Get(_)
            | Self::List(_)
            | Self::Cancel(_)
            | Self::Subscribe(SubscribeOutcome::Failed(_))
            | Self::Violation(..) => None,
        }
    }

    /// True if nothing more can come of the call.
    pub fn is_last(&self) -> bool {
        match self.stream() {
            Some(StreamOutcome::Opened { .. } | StreamOutcome::Events(_)) => false,
            Some(StreamOutcome::Ended(_)) => true,
            None => !matches!(self, Self::Violation(..)),
        }
    }

    /// How long a successful answer took; of a stream, its headers.
    pub fn took(&self) -> Option<Duration> {
        match self {
            Self::Probe(answer) => took(answer),
            Self::Check(answer) => took(answer),
            Self::Get(answer) | Self::Cancel(answer) => took(answer),
            Self::List(answer) => took(answer),
            Self::Send(SendOutcome::Task(answer)) => Some(answer.took),
            Self::Send(SendOutcome::Message(answer)) => Some(answer.took),
            Self::Send(SendOutcome::Stream(stream)) | Self::Subscribe(SubscribeOutcome::Stream(stream)) => {
                match stream {
                    StreamOutcome::Opened { took, .. } => Some(*took),
                    StreamOutcome::Events(_) | StreamOutcome::Ended(_) => None,
                }
            }
            Self::Send(SendOutcome::Failed(_))
            | Self::Subscribe(SubscribeOutcome::Failed(_))
            | Self::Violation(..) => None,
        }
    }

    /// Why the call failed, or its stream was cut.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Probe(Err(failure))
            | Self::Check(Err(failure))
            | Self::Send(SendOutcome::Failed(failure))
            | Self::Get(Err(failure))
            | Self::List(Err(failure))
            | Self::Cancel(Err(failure))
            | Self::Subscribe(SubscribeOutcome::Failed(failure)) => Some(&failure.cause),
            Self::Send(SendOutcome::Stream(StreamOutcome::Ended(Err(cause))))
            | Self::Subscribe(SubscribeOutcome::Stream(StreamOutcome::Ended(Err(cause)))) => Some(cause),
            Self::Probe(Ok(_))
            | Self::Check(Ok(_))
            | Self::Send(SendOutcome::Task(_) | SendOutcome::Message(_) | SendOutcome::Stream(_))
            | Self::Get(Ok(_))
            | Self::List(Ok(_))
            | Self::Cancel(Ok(_))
            | Self::Subscribe(SubscribeOutcome::Stream(_))
            | Self::Violation(..) => None,
        }
    }

    /// Converts the outcome to one of `asked`. A mismatch is a fault of the shell; the call then fails, so that it does
    /// not stay open.
    #[must_use]
    pub fn of(self, asked: CallKind) -> Self {
        let answered = self.kind();
        if answered == asked {
            return self;
        }
        let cause = format!("{} got an outcome of {}", asked.method(), answered.method());
        asked.failed(Failure { sent: Sent::Maybe, cause: Cause::Malformed(cause.into()) })
    }

    /// This outcome as that of a call about `task`: if the agent answered with another task, the call has failed.
    #[must_use]
    pub fn about(self, task: &TaskId) -> Self {
        let kind = self.kind();
        let cause = match &self {
            Self::Get(Ok(answer)) | Self::Cancel(Ok(answer)) => {
                foreign_task(kind.method(), task, &answer.value.id)
            }
            _ => None,
        };
        match cause {
            Some(cause) => kind.failed(Failure { sent: Sent::Maybe, cause }),
            None => self,
        }
    }
}

/// Why a task that answers `method` is no answer, unless it is the one that was asked for.
pub fn foreign_task(method: &str, asked: &TaskId, answered: &TaskId) -> Option<Cause> {
    let name = |task: &TaskId| task.text().shortened(40).line().into_string();
    let words = || format!("{method} of task {} was answered with task {}", name(asked), name(answered));
    (asked != answered).then(|| Cause::Malformed(words().into()))
}

fn took<T>(answer: &Answer<T>) -> Option<Duration> {
    answer.as_ref().ok().map(|answered| answered.took)
}
