//! What a frame says in A2A's terms. Labels are set by the code that makes a request or decodes its answer, never read
//! back from captured bytes, so they are the same for every binding.

use crate::domain::cause::Cause;
use crate::domain::id::TaskId;
use crate::domain::job::task::{StreamEvent, TaskState};
use crate::domain::text::Untrusted;

/// What a call asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// The agent card.
    Card,
    /// Whether the interface answers at all: a read of a task that does not exist.
    Check,
    /// To take a message and answer with a document.
    Send,
    /// To take a message and answer with a stream.
    SendStreaming,
    /// A task.
    Get,
    /// A page of tasks.
    List,
    /// To end a task.
    Cancel,
    /// A stream of a task's events.
    Subscribe,
    /// A document of a source of agents.
    Document,
    /// To take a notification.
    Notify,
}

impl Method {
    /// Its name: operations as A2A 1.0 names them.
    pub fn name(self) -> &'static str {
        match self {
            Self::Card => "agent card",
            Self::Check | Self::Get => "GetTask",
            Self::Send => "SendMessage",
            Self::SendStreaming => "SendStreamingMessage",
            Self::List => "ListTasks",
            Self::Cancel => "CancelTask",
            Self::Subscribe => "SubscribeToTask",
            Self::Document => "document",
            Self::Notify => "notification",
        }
    }
}

/// What a frame says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Label {
    /// Nothing beyond its head: a request, or an answer that is not decoded.
    #[default]
    Plain,
    /// A task in this state.
    Task(TaskState),
    /// A message without a task.
    Message,
    /// A page with this many tasks.
    Page(u32),
    /// An agent card.
    Card,
    /// What was asked for has not changed.
    Unchanged,
    /// A stream begins.
    Stream,
    /// A change of a task's state, or words about it.
    Status(TaskState),
    /// A part of an output.
    Artifact {
        /// True if no more chunks follow.
        last: bool,
    },
    /// An event that neither protocol version defines.
    Unknown,
    /// An event that only keeps the connection open.
    KeepAlive,
    /// An event after the error that ended its stream.
    Ignored,
    /// An error, or something that cannot be read.
    Failed(Box<Fault>),
}

/// An error as a label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The code of JSON-RPC; `None` if nothing with a code was received.
    pub code: Option<i64>,
    /// The error's name and the agent's message, or what went wrong.
    pub text: Untrusted,
    /// True if this is what a check asks for: any error of A2A shows that the interface works.
    pub expected: bool,
}

/// The label of an event, and the task that it names if its stream was not known to be about one.
#[derive(Debug)]
pub struct EventLabel {
    /// What the event says.
    pub label: Label,
    /// The task.
    pub task: Option<TaskId>,
}

impl From<Label> for EventLabel {
    fn from(label: Label) -> Self {
        Self { label, task: None }
    }
}

impl Label {
    /// The label of an event.
    pub fn of_event(event: &StreamEvent) -> Self {
        match event {
            StreamEvent::Task(report) => Self::Task(report.status.state.clone()),
            StreamEvent::Message(_) => Self::Message,
            StreamEvent::Status { status, .. } => Self::Status(status.state.clone()),
            StreamEvent::Artifact { last, .. } => Self::Artifact { last: *last },
            StreamEvent::Unknown(_) => Self::Unknown,
        }
    }

    /// The label of what failed for this cause.
    pub fn of_cause(cause: &Cause) -> Self {
        let (code, text) = match cause {
            Cause::Rpc(error) => {
                let name = error.name.as_str();
                let name = name.strip_suffix("Error").unwrap_or(name);
                let message = error.message.headline(300);
                let text = if message.is_empty() {
                    Untrusted::from(name)
                } else {
                    Untrusted::from(format!("{name}: {message}"))
                };
                (error.code, text)
            }
            Cause::Status { status, says, .. } => {
                (None, format!("HTTP {status} {}", says.headline(120)).into())
            }
            Cause::Login { status, .. } => (None, format!("HTTP {status}, it requires a login").into()),
            other => (None, other.to_string().into()),
        };
        Self::Failed(Box::new(Fault { code, text, expected: false }))
    }

    /// True if the frame is of use to whoever reads its stream; events that are not are counted.
    pub fn is_of_use(&self) -> bool {
        !matches!(self, Self::KeepAlive | Self::Ignored)
    }

    /// The words for people; `None` if its head says it.
    pub fn words(&self) -> Option<String> {
        Some(match self {
            Self::Plain | Self::Stream => return None,
            Self::Task(state) => format!("Task {}", state.word()),
            Self::Message => "Message".into(),
            Self::Page(0) => "no tasks".into(),
            Self::Page(1) => "1 task".into(),
            Self::Page(tasks) => format!("{tasks} tasks"),
            Self::Card => "agent card".into(),
            Self::Unchanged => "unchanged".into(),
            Self::Status(state) => format!("statusUpdate {}", state.word()),
            Self::Artifact { last: false } => "artifactUpdate".into(),
            Self::Artifact { last: true } => "artifactUpdate, last chunk".into(),
            Self::Unknown => "an event of no known type".into(),
            Self::KeepAlive => "keep-alive".into(),
            Self::Ignored => "ignored: its stream has ended with an error".into(),
            Self::Failed(fault) => {
                let code = fault.code.map(|code| format!("{code} ")).unwrap_or_default();
                let expected = if fault.expected { ", as a check expects" } else { "" };
                format!("{code}{}{expected}", fault.text.line())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cause::{ErrorName, RpcError};

    #[test]
    fn failures_are_named_with_their_code() {
        let rpc = |message: &str| {
            Cause::Rpc(RpcError {
                name: ErrorName::TaskNotFound,
                code: Some(-32001),
                message: message.into(),
            })
        };
        for (cause, words) in [
            (rpc(""), "-32001 TaskNotFound"),
            (rpc("gone\u{1b}[2J"), "-32001 TaskNotFound: gone␛[2J"),
            (Cause::status(404, "Not Found"), "HTTP 404 Not Found"),
            (
                Cause::Login { status: 401, challenge: None, had_credentials: false },
                "HTTP 401, it requires a login",
            ),
            (Cause::Refused, "its port refuses connections"),
        ] {
            assert_eq!(Label::of_cause(&cause).words().as_deref(), Some(words));
        }
    }
}
