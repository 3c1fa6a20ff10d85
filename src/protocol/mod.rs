//! Bytes to domain and back, without I/O: the dialects of A2A, cards, errors, event streams.
//!
//! A protocol version is one folder and one line in [`codec`]. Wire types never leave this module. Decoding is lenient:
//! an operator must see what a nonconforming agent sent, so a member of the wrong type is skipped, not a reason to lose
//! the object, and the words of either version are understood in the other. Encoding is exact.

use std::borrow::Cow;
use std::fmt::Debug;

use crate::domain::agent::card::Dialect;
use crate::domain::cause::Cause;
use crate::domain::effect::ListQuery;
use crate::domain::id::TaskId;
use crate::domain::job::message::Message;
use crate::domain::job::task::{StreamEvent, TaskReport};
use crate::domain::text::Untrusted;

pub mod card;
pub mod card_metadata;
pub mod catalog;
pub mod chunk_template;
mod decode;
mod deviation;
pub mod error;
pub mod json;
pub mod jsonrpc;
pub mod page;
pub mod question;
pub mod recent_tasks;
pub mod registry;
pub mod reply;
mod scan;
mod security;
mod shared;
pub mod sse;
pub mod timestamp;
pub mod v0_3;
pub mod v1_0;
mod words;

pub use deviation::Deviations;

/// The codec of a dialect.
pub fn codec(dialect: Dialect) -> &'static dyn Codec {
    match dialect {
        Dialect::V1_0 => &v1_0::V1_0,
        Dialect::V0_3 => &v0_3::V0_3,
    }
}

/// Raw JSON above this is not kept beside the typed value.
pub const RAW_KEPT: usize = crate::domain::limits::RAW;

/// A request to an agent.
#[derive(Clone, Debug)]
pub enum Request<'a> {
    /// Send a message.
    Send {
        /// The message; its hints are merged into its metadata.
        message: &'a Message,
        /// Answer with a stream, or at once.
        stream: bool,
    },
    /// Read a task.
    Get(&'a TaskId),
    /// List tasks.
    List(&'a ListQuery),
    /// Cancel a task.
    Cancel(&'a TaskId),
    /// Subscribe to a task.
    Subscribe(&'a TaskId),
}

impl Request<'_> {
    /// The method in messages, as A2A 1.0 names it.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Send { stream: false, .. } => "SendMessage",
            Self::Send { stream: true, .. } => "SendStreamingMessage",
            Self::Get(_) => "GetTask",
            Self::List(_) => "ListTasks",
            Self::Cancel(_) => "CancelTask",
            Self::Subscribe(_) => "SubscribeToTask",
        }
    }
}

/// The type of a document by its shape; [`reply`] decides whether it answers the request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// A task.
    Task(Box<TaskReport>),
    /// A message without a task.
    Message(Box<Message>),
    /// A page of tasks.
    Page {
        /// The tasks.
        tasks: Vec<TaskReport>,
        /// Where the next page begins.
        next: Option<Untrusted>,
        /// The number of tasks in the whole list; `None` if not given.
        total: Option<u64>,
        /// Tasks of this page that cannot be read.
        unread: u32,
    },
}

/// One event of a stream.
#[derive(Clone, PartialEq, Debug)]
pub enum Event<'a> {
    /// More text for an output: by far the most frequent event, decoded without a copy.
    Chunk {
        /// The task it claims to be about.
        task: Cow<'a, str>,
        /// The output.
        artifact: Cow<'a, str>,
        /// The text.
        text: Cow<'a, str>,
        /// True if no more chunks follow.
        last: bool,
    },
    /// Anything else.
    Full(StreamEvent),
    /// An error inside a stream.
    Error(Cause),
}

/// A request as a server receives it; used by the embedded fleet.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// A message was sent.
    Send {
        /// The message.
        message: Message,
        /// True for a stream.
        stream: bool,
        /// Answer at once, not at the end.
        at_once: bool,
    },
    /// A task is read.
    Get(TaskId),
    /// Tasks are listed.
    List(ListQuery, usize),
    /// A task is to end.
    Cancel(TaskId),
    /// A task is to be watched.
    Subscribe(TaskId),
    /// Anything else.
    Unknown(String),
}

/// One dialect of A2A over JSON-RPC.
pub trait Codec: Send + Sync + Debug {
    /// The version.
    fn dialect(&self) -> Dialect;

    /// Headers that go with each request.
    fn headers(&self) -> &'static [(&'static str, &'static str)];

    /// The body of a request.
    fn encode_request(&self, id: &str, tenant: Option<&str>, request: &Request<'_>) -> String;

    /// Decodes a document by its shape; [`reply`] matches it to a request. Deviations are added to `deviations`.
    ///
    /// # Errors
    /// The agent's own error, or why the answer cannot be read.
    fn decode_reply(&self, body: &str, deviations: &mut Deviations) -> Result<Reply, Cause>;

    /// The data of one event; `deviations` as above.
    ///
    /// # Errors
    /// Why the event cannot be read; the stream goes on.
    fn decode_event<'a>(&self, data: &'a str, deviations: &mut Deviations) -> Result<Event<'a>, Cause>;

    /// A task as this dialect writes it.
    fn encode_task(&self, task: &TaskReport) -> String;

    /// A message as this dialect writes it.
    fn encode_message(&self, message: &Message) -> String;

    /// The `result` of an event as this dialect writes it.
    fn encode_event(&self, event: &StreamEvent) -> String;

    /// The `result` of an answer to a send: the task or the message.
    fn encode_send_result(&self, reply: &Reply) -> String;

    /// A request as a server receives it: the raw id and the parsed request.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn decode_request(&self, body: &str) -> Result<(String, Incoming), Cause>;
}

/// A bounded copy of the received text, for the raw view.
fn keep_raw(raw: &str) -> Option<crate::domain::job::message::Json> {
    (raw.len() <= RAW_KEPT).then(|| crate::domain::job::message::Json::new(raw))
}

fn malformed(place: impl Into<Untrusted>) -> Cause {
    Cause::Malformed(place.into())
}
