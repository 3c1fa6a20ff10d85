//! Spans and log records.

use std::sync::Arc;
use std::time::Duration;

use super::convention;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::domain::trace::{SpanId, TraceId};

/// Nanoseconds since the Unix epoch on the clock of whoever wrote them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UnixNanos(pub u64);

impl UnixNanos {
    /// The time from `earlier` until this point; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same point in microseconds, as far as it has one.
    pub fn at(self) -> At {
        At::from_micros(i64::try_from(self.0 / 1000).unwrap_or(i64::MAX))
    }

    /// The point moved by nanoseconds.
    #[must_use]
    pub fn moved(self, by: i64) -> Self {
        Self(self.0.saturating_add_signed(by))
    }
}

impl From<At> for UnixNanos {
    /// Points before the epoch become its start.
    fn from(at: At) -> Self {
        Self(u64::try_from(at.micros()).unwrap_or(0).saturating_mul(1000))
    }
}

/// The value of an attribute, or the body of a record.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Value {
    /// None.
    #[default]
    Empty,
    /// A text.
    Text(Untrusted),
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// Values.
    List(Vec<Self>),
    /// Values with names.
    Map(Vec<Attribute>),
}

impl Value {
    /// The value as a text: bytes in base64, lists and maps in JSON.
    pub fn text(&self) -> Untrusted {
        match self {
            Self::Empty => Untrusted::default(),
            Self::Text(text) => text.clone(),
            Self::Bytes(_) => self.json().as_str().unwrap_or_default().into(),
            other => other.json().to_string().into(),
        }
    }

    /// The value in JSON; bytes in base64.
    pub fn json(&self) -> serde_json::Value {
        use base64::Engine as _;
        match self {
            Self::Empty => serde_json::Value::Null,
            Self::Text(text) => text.raw().into(),
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Double(value) => (*value).into(),
            Self::Bytes(bytes) => base64::engine::general_purpose::STANDARD.encode(bytes).into(),
            Self::List(values) => values.iter().map(Self::json).collect(),
            Self::Map(members) => {
                let members = members.iter().map(|member| (member.key.raw().to_owned(), member.value.json()));
                serde_json::Value::Object(members.collect())
            }
        }
    }

    /// The whole number, also if it was written as a text.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Text(text) => text.raw().parse().ok(),
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
            Self::Double(value) => (value.fract() == 0.0 && value.abs() < 9e15).then_some(*value as i64),
            Self::Empty | Self::Bool(_) | Self::Bytes(_) | Self::List(_) | Self::Map(_) => None,
        }
    }
}

/// A name and a value.
#[derive(Clone, PartialEq, Debug)]
pub struct Attribute {
    /// The name.
    pub key: Untrusted,
    /// The value.
    pub value: Value,
}

impl Attribute {
    /// An attribute with a text of our own.
    pub fn text(key: &str, value: impl Into<Untrusted>) -> Self {
        Self { key: key.into(), value: Value::Text(value.into()) }
    }

    /// An attribute with a number of our own.
    pub fn int(key: &str, value: i64) -> Self {
        Self { key: key.into(), value: Value::Int(value) }
    }
}

/// The value of the first attribute of a name.
pub fn value_of<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key.raw() == key).map(|attribute| &attribute.value)
}

/// Who produced spans and records.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Resource {
    /// `service.name` and the rest.
    pub attributes: Vec<Attribute>,
}

impl Resource {
    /// The name of the service; empty if it has none.
    pub fn service(&self) -> Untrusted {
        value_of(&self.attributes, convention::SERVICE_NAME).map(Value::text).unwrap_or_default()
    }
}

/// What a span is to its caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SpanKind {
    /// Not said.
    #[default]
    Unspecified,
    /// Within a service.
    Internal,
    /// It serves a request.
    Server,
    /// It sends a request.
    Client,
    /// It hands over a message.
    Producer,
    /// It takes a message.
    Consumer,
}

impl SpanKind {
    /// All kinds, in the order of their numbers in OTLP.
    pub const ALL: [Self; 6] =
        [Self::Unspecified, Self::Internal, Self::Server, Self::Client, Self::Producer, Self::Consumer];

    /// The kind of a number.
    pub fn from_number(number: u64) -> Self {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number).copied()).unwrap_or_default()
    }

    /// The number in OTLP.
    pub fn number(self) -> u64 {
        match self {
            Self::Unspecified => 0,
            Self::Internal => 1,
            Self::Server => 2,
            Self::Client => 3,
            Self::Producer => 4,
            Self::Consumer => 5,
        }
    }

    /// The word of OTLP's JSON without its prefix, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// How a span ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum SpanStatus {
    /// Not said.
    #[default]
    Unset,
    /// Well, says its application.
    Ok,
    /// With an error, described if its text is not empty.
    Error(Untrusted),
}

impl SpanStatus {
    /// True for an error.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}

/// Something that happened within a span.
#[derive(Clone, PartialEq, Debug)]
pub struct SpanEvent {
    /// When.
    pub at: UnixNanos,
    /// What.
    pub name: Untrusted,
    /// More about it.
    pub attributes: Vec<Attribute>,
}

/// Another span that a span refers to.
#[derive(Clone, PartialEq, Debug)]
pub struct SpanLink {
    /// Its trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// More about it.
    pub attributes: Vec<Attribute>,
}

/// One span.
#[derive(Clone, PartialEq, Debug)]
pub struct Span {
    /// The trace.
    pub trace: TraceId,
    /// Its id, unique in the trace.
    pub id: SpanId,
    /// The span that caused it; `None` for a root.
    pub parent: Option<SpanId>,
    /// What was done.
    pub name: Untrusted,
    /// What it is to its caller.
    pub kind: SpanKind,
    /// Its begin.
    pub start: UnixNanos,
    /// Its end; `None` while it goes on.
    pub end: Option<UnixNanos>,
    /// How it ended.
    pub status: SpanStatus,
    /// More about it.
    pub attributes: Vec<Attribute>,
    /// What happened within it.
    pub events: Vec<SpanEvent>,
    /// Spans that it refers to.
    pub links: Vec<SpanLink>,
    /// Attributes, events and links that its sender or our limits dropped, by number.
    pub dropped: u32,
    /// Who produced it.
    pub resource: Arc<Resource>,
    /// The library that produced it; empty if it is not named.
    pub scope: Untrusted,
}

impl Span {
    /// The value of an attribute.
    pub fn value(&self, key: &str) -> Option<&Value> {
        value_of(&self.attributes, key)
    }

    /// The value of an attribute as a text.
    pub fn text(&self, key: &str) -> Option<Untrusted> {
        self.value(key).map(Value::text).filter(|text| !text.is_empty())
    }

    /// True if it says how a library works and not what an agent does. One with an error is worth a look.
    pub fn is_plumbing(&self) -> bool {
        let name = self.name.raw();
        !self.status.is_error()
            && (convention::PLUMBING.contains(&self.scope.raw())
                || convention::PLUMBING_NAMES.iter().any(|end| name.ends_with(end)))
    }

    /// What it does, as far as the conventions tell.
    pub fn activity(&self) -> Activity {
        let operation = self.text(convention::OPERATION);
        let operation = operation.as_ref().map_or("", |text| text.raw());
        if self.value(convention::MCP_METHOD).is_some() {
            Activity::McpTool
        } else if operation == "execute_tool" || self.value(convention::TOOL_NAME).is_some() {
            Activity::Tool
        } else if matches!(operation, "chat" | "text_completion" | "generate_content" | "embeddings")
            || (operation.is_empty() && self.value(convention::REQUEST_MODEL).is_some())
        {
            Activity::Model
        } else if self.value(convention::A2A_METHOD).is_some() || operation == "invoke_agent" {
            Activity::Agent
        } else {
            Activity::Other
        }
    }
}

/// What a span does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activity {
    /// It calls or serves an agent.
    Agent,
    /// It asks a model.
    Model,
    /// It runs a tool.
    Tool,
    /// It calls a tool by MCP.
    McpTool,
    /// Anything else.
    Other,
}

/// How severe a record is; the numbers of OTLP in steps of four.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Severity {
    /// Not said.
    #[default]
    Unspecified,
    /// Traces of a program's steps.
    Trace,
    /// For those who write the program.
    Debug,
    /// For those who run it.
    Info,
    /// Something may be wrong.
    Warn,
    /// Something went wrong.
    Error,
    /// The program ends by it.
    Fatal,
}

impl Severity {
    /// All of them, from the least severe.
    pub const ALL: [Self; 7] =
        [Self::Unspecified, Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    /// The severity of a number of OTLP, 1 to 24.
    pub fn from_number(number: u64) -> Self {
        match number {
            1..=4 => Self::Trace,
            5..=8 => Self::Debug,
            9..=12 => Self::Info,
            13..=16 => Self::Warn,
            17..=20 => Self::Error,
            21..=24 => Self::Fatal,
            _ => Self::Unspecified,
        }
    }

    /// The lowest number of OTLP.
    pub fn number(self) -> u64 {
        match self {
            Self::Unspecified => 0,
            Self::Trace => 1,
            Self::Debug => 5,
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
            Self::Fatal => 21,
        }
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// The severity of a word in any case, as loggers write it.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "trace" => Self::Trace,
            "debug" => Self::Debug,
            "info" | "information" | "notice" => Self::Info,
            "warn" | "warning" => Self::Warn,
            "error" | "err" => Self::Error,
            "fatal" | "critical" | "panic" => Self::Fatal,
            _ => return None,
        })
    }
}

/// One log record.
#[derive(Clone, PartialEq, Debug)]
pub struct LogRecord {
    /// When it happened, or was seen if its sender does not say.
    pub at: UnixNanos,
    /// How severe it is.
    pub severity: Severity,
    /// What it says.
    pub body: Value,
    /// More about it.
    pub attributes: Vec<Attribute>,
    /// Its trace, if it belongs to one.
    pub trace: Option<TraceId>,
    /// Its span.
    pub span: Option<SpanId>,
    /// Attributes that its sender or our limits dropped, by number.
    pub dropped: u32,
    /// Who produced it.
    pub resource: Arc<Resource>,
    /// The logger; empty if it is not named.
    pub scope: Untrusted,
}
