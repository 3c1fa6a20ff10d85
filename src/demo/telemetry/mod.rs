//! Instrumentation of the embedded agents: spans and log records of what they really do, sent over OTLP as any instrumented
//! agent sends them. It decides nothing about the work itself, so that a story is the same with it and without.

mod exporter;
mod spans;

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

pub(super) use self::exporter::{Exporter, export};
pub(super) use self::spans::{Call, Request, TaskSpans, Uses};
use crate::domain::id::{ContextId, MessageId, TaskId};
use crate::domain::job::message::text_hash;
use crate::domain::trace::TraceId;
use crate::net::clock::Clock;
use crate::telemetry::model::UnixNanos;

/// What an agent sends by OTLP about its work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Instrumentation {
    /// Spans and log records.
    #[default]
    Otlp,
    /// Nothing, and its calls have no trace context.
    None,
    /// The same as `otlp`, by a clock that is an hour ahead.
    ClockAhead,
    /// Bodies that cannot be read.
    Broken,
}

/// How far a clock is ahead.
const AHEAD: Duration = Duration::from_secs(3600);

/// Makes the spans and records of one agent.
#[derive(Clone, Debug)]
pub(super) struct Tracer {
    pub how: Instrumentation,
    pub clock: Arc<Clock>,
    pub exporter: Exporter,
    /// Only one trace in so many is sent.
    pub one_in: u64,
}

impl Tracer {
    /// The time by the agent's own clock.
    pub fn now(&self) -> UnixNanos {
        let ahead = if self.how == Instrumentation::ClockAhead { AHEAD } else { Duration::ZERO };
        UnixNanos::from(self.clock.now() + ahead)
    }

    /// True if the agent sends something about a trace. All agents of a fleet decide the same.
    fn takes(&self, trace: TraceId) -> bool {
        self.how != Instrumentation::None && text_hash(&trace.to_string()).is_multiple_of(self.one_in.max(1))
    }
}

/// What the spans about one message are told of it.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub message: &'a MessageId,
    pub skill: Option<&'a str>,
    pub task: Option<&'a TaskId>,
    pub context: Option<&'a ContextId>,
    /// The length of what it says.
    pub reads: usize,
}
