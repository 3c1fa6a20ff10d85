//! What surfaces ask about telemetry, and what they get.

use std::time::Duration;

use super::model::{LogRecord, Severity, Span, UnixNanos};
use crate::domain::id::JobId;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::domain::trace::{SpanId, TraceId};

/// A question about telemetry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TelemetryQuery {
    /// Traces that were received.
    Traces(TraceFilter),
    /// The spans of a trace that were received, and those of our own jobs in it.
    Trace(TraceId),
    /// The same for the trace of a job.
    TraceOfJob(JobId),
    /// Log records.
    Logs(LogFilter),
    /// What was received, refused and kept.
    Status,
}

/// The answer.
#[derive(Clone, PartialEq, Debug)]
pub enum TelemetryAnswer {
    /// The answer to [`TelemetryQuery::Traces`], in the order that was asked for.
    Traces(Vec<TraceRow>),
    /// The answer to [`TelemetryQuery::Trace`] and [`TelemetryQuery::TraceOfJob`].
    Trace(Box<TraceSpans>),
    /// The answer to [`TelemetryQuery::Logs`], newest first.
    Logs(Vec<LogRow>),
    /// The answer to [`TelemetryQuery::Status`].
    Status(Box<TelemetryStatus>),
}

/// The order of traces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TraceOrder {
    /// The one that began last first.
    #[default]
    Newest,
    /// The one that took longest first.
    Slowest,
    /// Those with the most errors first, then the newest.
    Failing,
}

/// Which traces are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TraceFilter {
    /// Received at this time or later, by our clock.
    pub since: Option<At>,
    /// With a span of this service.
    pub service: Option<Untrusted>,
    /// At least this long.
    pub at_least: Option<Duration>,
    /// With an error.
    pub failed: bool,
    /// With these values of attributes that are [`super::convention::SEARCHABLE`].
    pub attributes: Vec<(Untrusted, Untrusted)>,
    /// The root's name contains this, in any case.
    pub name: Option<Untrusted>,
    /// The order.
    pub order: TraceOrder,
    /// The most that are wanted.
    pub limit: usize,
}

/// A trace in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceRow {
    /// The trace.
    pub trace: TraceId,
    /// The begin of its first span, by the clock of who sent it.
    pub start: UnixNanos,
    /// From there to its last end.
    pub took: Duration,
    /// When something of it was received last, by our clock.
    pub received: At,
    /// The name of its root; empty if that has not come.
    pub name: Untrusted,
    /// The service of its root; empty if that has not come.
    pub service: Untrusted,
    /// Every service in it.
    pub services: Vec<Untrusted>,
    /// Spans that were received.
    pub spans: u64,
    /// Spans with an error.
    pub errors: u64,
    /// Spans, attributes and events that were dropped for a limit.
    pub dropped: u64,
    /// Ids of tasks of A2A in it.
    pub tasks: Vec<Untrusted>,
}

/// The spans of a trace.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TraceSpans {
    /// The spans that were received, in no order; one id may come more than once.
    pub spans: Vec<Span>,
    /// Those of our jobs, computed from their facts.
    pub own: Vec<Span>,
    /// Log records that belong to it.
    pub logs: u64,
    /// Spans, attributes and events that were dropped for a limit.
    pub dropped: u64,
}

/// Which records are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogFilter {
    /// Received at this time or later, by our clock.
    pub since: Option<At>,
    /// Of this service.
    pub service: Option<Untrusted>,
    /// At least this severe.
    pub severity: Severity,
    /// Of this trace.
    pub trace: Option<TraceId>,
    /// Of this span.
    pub span: Option<SpanId>,
    /// The body contains this, in any case.
    pub text: Option<Untrusted>,
    /// Only records before this number, for the next page.
    pub before: Option<u64>,
    /// Only records after this number, for those that are new.
    pub after: Option<u64>,
    /// The most that are wanted.
    pub limit: usize,
}

/// A record in a list.
#[derive(Clone, PartialEq, Debug)]
pub struct LogRow {
    /// Its number in the store: later ones were received later.
    pub number: u64,
    /// When it was received, by our clock.
    pub received: At,
    /// The record.
    pub record: LogRecord,
}

/// What was received, refused and kept since the engine started.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TelemetryStatus {
    /// Where OTLP is received: addresses, or why not.
    pub listening: Vec<Untrusted>,
    /// Spans that were taken.
    pub spans: u64,
    /// Records that were taken.
    pub logs: u64,
    /// Spans and records that were refused because a limit of memory or disk was reached.
    pub refused: u64,
    /// Spans of our own polls, probes and listings, which are not kept.
    pub polls: u64,
    /// Spans and records without valid ids, and requests that could not be read.
    pub invalid: u64,
    /// Spans, attributes and events that were dropped for a limit.
    pub dropped: u64,
    /// Traces that were removed to make room.
    pub sampled: u64,
    /// Bytes that wait to be written.
    pub in_memory: u64,
    /// Bytes of the store that are in use.
    pub on_disk: u64,
    /// Why nothing can be written; `None` while it can.
    pub fault: Option<Untrusted>,
}
