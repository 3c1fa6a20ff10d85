//! Questions about telemetry on the wire. Spans and records are OTLP in base64, as the store has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::domain::text::Untrusted;
use crate::domain::trace::{SpanId, TraceId};
use crate::protocol::json::{Object, Writer, text_of};
use crate::store::record::{Record, member, put_member, record, words};
use crate::telemetry::model::{LogRecord, Severity, Span, UnixNanos};
use crate::telemetry::otlp::{decode, encode};
use crate::telemetry::query::{
    LogFilter, LogRow, TelemetryAnswer, TelemetryQuery, TelemetryStatus, TraceFilter, TraceOrder, TraceRow,
    TraceSpans,
};

words! {
    TraceOrder { Newest = "newest", Slowest = "slowest", Failing = "failing" }
    Severity {
        Unspecified = "unspecified", Trace = "trace", Debug = "debug", Info = "info", Warn = "warn", Error = "error",
        Fatal = "fatal",
    }
}

record! {
    TraceFilter { since, service, at_least, failed, attributes, name, order, limit }
    TraceRow { trace, start, took, received, name, service, services, spans, errors, dropped, tasks }
    LogFilter { since, service, severity, trace, span, text, before, after, limit }
    TelemetryStatus { listening, spans, logs, refused, polls, invalid, dropped, sampled, in_memory, on_disk, fault }
}

impl Record for TraceId {
    fn put(&self) -> String {
        format!("\"{self}\"")
    }

    fn get(raw: &str) -> Option<Self> {
        text_of(raw)?.parse().ok()
    }
}

impl Record for SpanId {
    fn put(&self) -> String {
        format!("\"{self}\"")
    }

    fn get(raw: &str) -> Option<Self> {
        text_of(raw)?.parse().ok()
    }
}

impl Record for UnixNanos {
    fn put(&self) -> String {
        self.0.put()
    }

    fn get(raw: &str) -> Option<Self> {
        u64::get(raw).map(Self)
    }
}

/// OTLP in base64.
struct Otlp(Vec<u8>);

impl Record for Otlp {
    fn put(&self) -> String {
        format!("\"{}\"", BASE64.encode(&self.0))
    }

    fn get(raw: &str) -> Option<Self> {
        BASE64.decode(Untrusted::get(raw)?.raw()).ok().map(Self)
    }
}

fn put_spans(spans: &[Span]) -> String {
    Otlp(encode::spans(spans)).put()
}

/// Spans that go on have an end of 0, which received ones never have.
fn get_spans(object: &Object<'_>, name: &str) -> Option<Vec<Span>> {
    let mut spans = decode::spans(&member::<Otlp>(object, name)?.0);
    if name == "own" {
        let ongoing: Vec<bool> = member(object, "ongoing")?;
        for (span, ongoing) in spans.iter_mut().zip(ongoing) {
            if ongoing {
                span.end = None;
            }
        }
    }
    Some(spans)
}

impl Record for TraceSpans {
    fn put(&self) -> String {
        let ongoing: Vec<bool> = self.own.iter().map(|span| span.end.is_none()).collect();
        Writer::new()
            .raw("spans", &put_spans(&self.spans))
            .raw("own", &put_spans(&self.own))
            .raw("ongoing", &ongoing.put())
            .raw("logs", &self.logs.put())
            .raw("dropped", &self.dropped.put())
            .end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(Self {
            spans: get_spans(&object, "spans")?,
            own: get_spans(&object, "own")?,
            logs: member(&object, "logs")?,
            dropped: member(&object, "dropped")?,
        })
    }
}

impl Record for LogRow {
    fn put(&self) -> String {
        let record = Otlp(encode::logs(std::slice::from_ref(&self.record)));
        let writer = Writer::new().raw("number", &self.number.put()).raw("received", &self.received.put());
        writer.raw("record", &record.put()).end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        let record: Option<LogRecord> =
            decode::logs(&member::<Otlp>(&object, "record")?.0).into_iter().next();
        let (number, received) = (member(&object, "number")?, member(&object, "received")?);
        Some(Self { number, received, record: record? })
    }
}

impl Record for TelemetryQuery {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("what", word);
        match self {
            Self::Traces(filter) => says("traces").raw("filter", &filter.put()).end(),
            Self::Trace(trace) => says("trace").raw("trace", &trace.put()).end(),
            Self::TraceOfJob(job) => says("trace of job").raw("job", &job.put()).end(),
            Self::Logs(filter) => says("logs").raw("filter", &filter.put()).end(),
            Self::Status => says("status").end(),
        }
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(match &*object.text("what")? {
            "traces" => Self::Traces(member(&object, "filter")?),
            "trace" => Self::Trace(member(&object, "trace")?),
            "trace of job" => Self::TraceOfJob(member(&object, "job")?),
            "logs" => Self::Logs(member(&object, "filter")?),
            "status" => Self::Status,
            _ => return None,
        })
    }
}

impl Record for TelemetryAnswer {
    fn put(&self) -> String {
        let says = |word: &str| Writer::new().text("what", word);
        match self {
            Self::Traces(rows) => put_member(says("traces"), "rows", rows).end(),
            Self::Trace(spans) => says("trace").raw("spans", &spans.put()).end(),
            Self::Logs(rows) => put_member(says("logs"), "rows", rows).end(),
            Self::Status(status) => says("status").raw("status", &status.put()).end(),
        }
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(match &*object.text("what")? {
            "traces" => Self::Traces(member(&object, "rows")?),
            "trace" => Self::Trace(Box::new(member(&object, "spans")?)),
            "logs" => Self::Logs(member(&object, "rows")?),
            "status" => Self::Status(Box::new(member(&object, "status")?)),
            _ => return None,
        })
    }
}
