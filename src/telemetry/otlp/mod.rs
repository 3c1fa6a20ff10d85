//! OTLP, the protocol in which OpenTelemetry sends traces and logs.
//!
//! `split` takes a request apart as it comes in, without building spans: what is stored are the bytes that were sent, by
//! trace, within the limits. `decode` builds spans and records when somebody looks at them. Requests in JSON become
//! protocol buffers first (`json`), so that everything later has one form.
//! <https://opentelemetry.io/docs/specs/otlp/>

pub mod decode;
pub mod encode;
pub mod json;
pub mod split;
pub mod to_json;

use super::protobuf::Malformed;
use crate::domain::trace::{SpanId, TraceId};

/// A trace id of 16 bytes that are not all zero.
pub(super) fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    <[u8; 16]>::try_from(bytes).ok().filter(|id| *id != [0; 16]).map(TraceId)
}

/// A span id of 8 bytes that are not all zero.
pub(super) fn span_id(bytes: &[u8]) -> Option<SpanId> {
    <[u8; 8]>::try_from(bytes).ok().filter(|id| *id != [0; 8]).map(SpanId)
}

/// Fields of `TracesData`, `ResourceSpans`, `ScopeSpans` and `Span`, and of their siblings for logs.
pub(super) mod number {
    pub const RESOURCE_ITEMS: u32 = 1;
    pub const RESOURCE: u32 = 1;
    pub const SCOPE_ITEMS: u32 = 2;
    pub const SCOPE: u32 = 1;
    pub const ITEMS: u32 = 2;
    pub const RESOURCE_ATTRIBUTES: u32 = 1;
    pub const SCOPE_NAME: u32 = 1;
    pub const KEY: u32 = 1;
    pub const VALUE: u32 = 2;

    pub mod span {
        pub const TRACE: u32 = 1;
        pub const ID: u32 = 2;
        pub const PARENT: u32 = 4;
        pub const NAME: u32 = 5;
        pub const KIND: u32 = 6;
        pub const START: u32 = 7;
        pub const END: u32 = 8;
        pub const ATTRIBUTES: u32 = 9;
        pub const DROPPED_ATTRIBUTES: u32 = 10;
        pub const EVENTS: u32 = 11;
        pub const DROPPED_EVENTS: u32 = 12;
        pub const LINKS: u32 = 13;
        pub const DROPPED_LINKS: u32 = 14;
        pub const STATUS: u32 = 15;
        pub const STATUS_MESSAGE: u32 = 2;
        pub const STATUS_CODE: u32 = 3;
        pub const STATUS_ERROR: u64 = 2;
        pub const EVENT_TIME: u32 = 1;
        pub const EVENT_NAME: u32 = 2;
        pub const EVENT_ATTRIBUTES: u32 = 3;
        pub const LINK_TRACE: u32 = 1;
        pub const LINK_SPAN: u32 = 2;
        pub const LINK_ATTRIBUTES: u32 = 4;
    }

    pub mod log {
        pub const TIME: u32 = 1;
        pub const SEVERITY: u32 = 2;
        pub const SEVERITY_TEXT: u32 = 3;
        pub const BODY: u32 = 5;
        pub const ATTRIBUTES: u32 = 6;
        pub const DROPPED_ATTRIBUTES: u32 = 7;
        pub const TRACE: u32 = 9;
        pub const SPAN: u32 = 10;
        pub const OBSERVED: u32 = 11;
    }

    pub mod value {
        pub const TEXT: u32 = 1;
        pub const BOOL: u32 = 2;
        pub const INT: u32 = 3;
        pub const DOUBLE: u32 = 4;
        pub const LIST: u32 = 5;
        pub const MAP: u32 = 6;
        pub const BYTES: u32 = 7;
        pub const ELEMENT: u32 = 1;
    }
}

/// What a request is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
}

impl Signal {
    /// What it has, for people.
    pub fn items(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Logs => "log records",
        }
    }
}

/// Why a request cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// It is no message of protocol buffers.
    Protobuf,
    /// It is no JSON, and where.
    Json(String),
    /// It has more items than a request may have.
    TooMany(usize),
}

impl From<Malformed> for Unreadable {
    fn from(_: Malformed) -> Self {
        Self::Protobuf
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Protobuf => Malformed.fmt(f),
            Self::Json(why) => write!(f, "the body is not OTLP in JSON: {why}"),
            Self::TooMany(most) => write!(f, "the request has more than {most} items"),
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
