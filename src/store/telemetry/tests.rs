//! What is offered is found again, within the limits.
#![expect(clippy::disallowed_types, reason = "threads are waited for, and no clock is paused")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::domain::trace::{SpanId, TraceId};
use crate::telemetry::convention;
use crate::telemetry::limits::{self, Retention};
use crate::telemetry::model::{
    Attribute, LogRecord, Resource, Severity, Span, SpanKind, SpanStatus, UnixNanos, Value,
};
use crate::telemetry::otlp::{encode, split};
use crate::telemetry::query::{LogFilter, TraceFilter, TraceOrder};

const SECOND: u64 = 1_000_000_000;

fn resource(service: &str) -> Arc<Resource> {
    Arc::new(Resource { attributes: vec![Attribute::text(convention::SERVICE_NAME, service)] })
}

/// A span of one second.
fn span(trace: u8, id: u8, service: &str) -> Span {
    Span {
        trace: TraceId([trace; 16]),
        id: SpanId([id; 8]),
        parent: (id > 1).then_some(SpanId([1; 8])),
        name: Untrusted::from(format!("span {id}")),
        kind: SpanKind::Server,
        start: UnixNanos(u64::from(trace) * 100 * SECOND),
        end: Some(UnixNanos(u64::from(trace) * 100 * SECOND + SECOND)),
        status: SpanStatus::Unset,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped: 0,
        resource: resource(service),
        scope: "scope".into(),
    }
}

fn record(service: &str, severity: Severity, body: &str) -> LogRecord {
    LogRecord {
        at: UnixNanos(5 * SECOND),
        severity,
        body: Value::Text(body.into()),
        attributes: Vec::new(),
        trace: None,
        span: None,
        dropped: 0,
        resource: resource(service),
        scope: Untrusted::default(),
    }
}

fn at(seconds: i64) -> At {
    At::from_micros(seconds * 1_000_000)
}

fn offer_spans(writer: &TelemetryWriter, seconds: i64, spans: &[Span]) -> Taken {
    writer.offer(at(seconds), Offer::Traces(split::traces(&encode::spans(spans)).unwrap()))
}

fn offer_logs(writer: &TelemetryWriter, seconds: i64, records: &[LogRecord]) -> Taken {
    writer.offer(at(seconds), Offer::Logs(split::logs(&encode::logs(records)).unwrap()))
}

/// Waits until everything that was offered is written.
fn written(writer: &TelemetryWriter) {
    let until = Instant::now() + Duration::from_secs(60);
    while writer.status().in_memory > 0 {
        assert!(Instant::now() < until, "{:?}", writer.status());
        std::thread::yield_now();
    }
}

#[test]
fn traces_are_found_by_what_their_spans_say() {
    let dir = tempfile::tempdir().unwrap();
    assert!(TelemetryReader::open(dir.path()).unwrap().is_none());
    let writer = TelemetryWriter::new(dir.path(), Retention::default());
    let mut failed = span(2, 1, "ledger");
    failed.status = SpanStatus::Error("no".into());
    failed.attributes = vec![
        Attribute::text(convention::A2A_TASK, "t-7"),
        Attribute::text(convention::REQUEST_MODEL, "model-s"),
        Attribute::text("other", "x"),
    ];
    let mut slow = span(3, 1, "cashier");
    slow.end = Some(UnixNanos(400 * SECOND));
    // The second span of a trace comes before its root, and in a request of its own.
    assert_eq!(
        offer_spans(&writer, 10, &[span(1, 2, "ledger"), failed.clone(), slow]),
        Taken { taken: 3, refused: 0 }
    );
    assert_eq!(offer_spans(&writer, 20, &[span(1, 1, "cashier")]).taken, 1);
    written(&writer);
    let reader = TelemetryReader::open(dir.path()).unwrap().unwrap();
    let check = |filter: TraceFilter, expected: &[u8]| {
        let rows = reader.traces(&TraceFilter { limit: 10, ..filter }).unwrap();
        let found: Vec<u8> = rows.iter().map(|row| row.trace.0[0]).collect();
        assert_eq!(found, expected);
    };
    let pair = |key: &str, value: &str| vec![(Untrusted::from(key), Untrusted::from(value))];
    check(TraceFilter::default(), &[3, 2, 1]);
    check(TraceFilter { order: TraceOrder::Slowest, ..TraceFilter::default() }, &[3, 2, 1]);
    check(TraceFilter { order: TraceOrder::Failing, ..TraceFilter::default() }, &[2, 3, 1]);
    check(TraceFilter { failed: true, ..TraceFilter::default() }, &[2]);
    check(TraceFilter { service: Some("ledger".into()), ..TraceFilter::default() }, &[2, 1]);
    check(TraceFilter { at_least: Some(Duration::from_secs(50)), ..TraceFilter::default() }, &[3]);
    check(TraceFilter { since: Some(at(15)), ..TraceFilter::default() }, &[1]);
    check(TraceFilter { name: Some("SPAN 1".into()), ..TraceFilter::default() }, &[3, 2, 1]);
    check(TraceFilter { name: Some("%".into()), ..TraceFilter::default() }, &[]);
    check(
        TraceFilter { attributes: pair(convention::REQUEST_MODEL, "model-s"), ..TraceFilter::default() },
        &[2],
    );
    check(
        TraceFilter { attributes: pair(convention::REQUEST_MODEL, "model"), ..TraceFilter::default() },
        &[],
    );
    check(TraceFilter { attributes: pair("other", "x"), ..TraceFilter::default() }, &[]);
    let row = &reader.traces(&TraceFilter { limit: 9, ..TraceFilter::default() }).unwrap()[2];
    assert_eq!(
        (row.name.raw(), row.service.raw(), row.spans, row.received),
        ("span 1", "cashier", 2, at(20))
    );
    assert_eq!(row.services, ["cashier".into(), "ledger".into()]);
    let spans = reader.trace(TraceId([2; 16])).unwrap();
    assert_eq!((spans.spans, spans.own.len(), spans.logs, spans.dropped), (vec![failed], 0, 0, 0));
    assert_eq!(reader.trace(TraceId([9; 16])).unwrap().spans, []);
    assert_eq!(reader.traces_of_task(&"t-7".into(), 5).unwrap(), [TraceId([2; 16])]);
}

#[test]
fn records_are_found_by_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let writer = TelemetryWriter::new(dir.path(), Retention::default());
    let of_trace = LogRecord {
        trace: Some(TraceId([1; 16])),
        span: Some(SpanId([2; 8])),
        ..record("ledger", Severity::Error, "no answer in 30s")
    };
    let untimed = LogRecord { at: UnixNanos(0), ..record("ledger", Severity::Debug, "100 % done") };
    let info = record("cashier", Severity::Info, "posting 3 lines");
    let all = [of_trace.clone(), untimed, info.clone()];
    assert_eq!(offer_logs(&writer, 10, &all), Taken { taken: 3, refused: 0 });
    written(&writer);
    let reader = TelemetryReader::open(dir.path()).unwrap().unwrap();
    let check = |filter: LogFilter, expected: &[&str]| {
        let rows = reader.logs(&LogFilter { limit: 10, ..filter }).unwrap();
        let found: Vec<Untrusted> = rows.iter().map(|row| row.record.body.text()).collect();
        assert_eq!(found.iter().map(Untrusted::raw).collect::<Vec<_>>(), expected);
    };
    check(LogFilter::default(), &["posting 3 lines", "100 % done", "no answer in 30s"]);
    check(
        LogFilter { severity: Severity::Info, ..LogFilter::default() },
        &["posting 3 lines", "no answer in 30s"],
    );
    check(LogFilter { service: Some("cashier".into()), ..LogFilter::default() }, &["posting 3 lines"]);
    check(LogFilter { trace: Some(TraceId([1; 16])), ..LogFilter::default() }, &["no answer in 30s"]);
    check(LogFilter { span: Some(SpanId([2; 8])), ..LogFilter::default() }, &["no answer in 30s"]);
    check(LogFilter { text: Some("NO ANSWER".into()), ..LogFilter::default() }, &["no answer in 30s"]);
    check(LogFilter { text: Some("0 %".into()), ..LogFilter::default() }, &["100 % done"]);
    check(LogFilter { text: Some("0_%".into()), ..LogFilter::default() }, &[]);
    check(LogFilter { since: Some(at(11)), ..LogFilter::default() }, &[]);
    let rows = reader.logs(&LogFilter { limit: 2, ..LogFilter::default() }).unwrap();
    assert_eq!(rows[0].record, info);
    assert_eq!(rows[1].record.at, UnixNanos(10 * SECOND), "what has no time happened when it came");
    check(LogFilter { before: Some(rows[1].number), ..LogFilter::default() }, &["no answer in 30s"]);
    check(LogFilter { after: Some(rows[1].number), ..LogFilter::default() }, &["posting 3 lines"]);
    assert_eq!(reader.trace(TraceId([1; 16])).unwrap().logs, 1);
}

#[test]
fn what_is_too_much_is_refused_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let writer = TelemetryWriter::new(dir.path(), Retention::default());
    // A trace may have only so many spans; the rest is counted.
    let many: Vec<Span> = (0..limits::SPANS_OF_TRACE + 10)
        .map(|number| Span { id: SpanId((number as u64 + 1).to_be_bytes()), ..span(1, 1, "a") })
        .collect();
    for part in many.chunks(1000) {
        offer_spans(&writer, 1, part);
    }
    written(&writer);
    let reader = TelemetryReader::open(dir.path()).unwrap().unwrap();
    let spans = reader.trace(TraceId([1; 16])).unwrap();
    assert!(spans.spans.len() <= limits::SPANS_OF_TRACE, "{}", spans.spans.len());
    assert_eq!(spans.spans.len() as u64 + spans.dropped, many.len() as u64);
    let status = writer.status();
    assert_eq!((status.spans, status.dropped, status.fault), (many.len() as u64, spans.dropped, None));
    // Nothing can be written into a folder that is gone: told, counted, and taken up again.
    std::fs::remove_dir_all(dir.path()).unwrap();
    let writer = TelemetryWriter::new(dir.path(), Retention::default());
    offer_spans(&writer, 1, &[span(1, 1, "a")]);
    written(&writer);
    let until = Instant::now() + Duration::from_secs(10);
    while writer.status().fault.is_none() {
        assert!(Instant::now() < until, "no fault is told");
        std::thread::yield_now();
    }
    assert_eq!((writer.status().spans, writer.status().refused), (0, 1));
    std::fs::create_dir_all(dir.path()).unwrap();
    offer_spans(&writer, 1, &[span(1, 1, "a")]);
    written(&writer);
    while writer.status().fault.is_some() {
        assert!(Instant::now() < until, "the fault stays");
        std::thread::yield_now();
    }
    assert_eq!(writer.status().spans, 1);
}

#[test]
fn spans_of_our_own_polls_are_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let writer = TelemetryWriter::new(dir.path(), Retention::default());
    let mut poll = span(1, 1, "a");
    poll.attributes = vec![Attribute::text("user_agent.original", "quarterdeck/0.1.0")];
    let mut sent = Span { trace: TraceId([2; 16]), parent: Some(SpanId([9; 8])), ..poll.clone() };
    sent.id = SpanId([3; 8]);
    let mut other = span(3, 1, "a");
    other.attributes = vec![Attribute::text("user_agent.original", "curl/8")];
    // What belongs to a poll may come later, in a request of its own.
    offer_spans(&writer, 1, &[poll, sent, other]);
    offer_spans(&writer, 1, &[span(1, 2, "a")]);
    written(&writer);
    let reader = TelemetryReader::open(dir.path()).unwrap().unwrap();
    let rows = reader.traces(&TraceFilter { limit: 10, ..TraceFilter::default() }).unwrap();
    assert_eq!(rows.iter().map(|row| row.trace.0[0]).collect::<Vec<_>>(), [3, 2]);
    assert_eq!((writer.status().spans, writer.status().polls), (2, 2));
}

#[test]
fn a_full_store_keeps_what_somebody_will_look_for() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = 8 * 1024 * 1024;
    let writer = TelemetryWriter::new(dir.path(), Retention { bytes, ..Retention::default() });
    let filler = "x".repeat(6000);
    let of = |number: u16| {
        let mut id = [7; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        id[15] = (number % 251) as u8;
        let mut span = span(1, 1, "a");
        span.trace = TraceId(id);
        span.attributes = vec![Attribute::text("filler", filler.as_str())];
        // One in fifty fails, one in fifty takes long.
        if number.is_multiple_of(50) {
            span.status = SpanStatus::Error("no".into());
        }
        if number % 50 == 1 {
            span.end = Some(UnixNanos(span.start.0 + 60 * SECOND));
        }
        span
    };
    for number in 0..4000 {
        offer_spans(&writer, i64::from(number), &[of(number)]);
        if number % 100 == 0 {
            written(&writer);
        }
    }
    written(&writer);
    // The last cleaning follows its batch.
    drop(writer);
    let reader = TelemetryReader::open(dir.path()).unwrap().unwrap();
    let rows = reader.traces(&TraceFilter { limit: 9000, ..TraceFilter::default() }).unwrap();
    let failed = rows.iter().filter(|row| row.errors > 0).count();
    let slow = rows.iter().filter(|row| row.took > Duration::from_secs(50)).count();
    assert_eq!((failed, slow), (80, 80), "of {} kept", rows.len());
    assert!(rows.len() < 1600, "{} kept", rows.len());
    let size = std::fs::metadata(telemetry_path(dir.path())).unwrap().len();
    assert!(size < bytes + bytes / 10, "{size}");
}

#[test]
fn resources_go_with_their_records() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = 8 * 1024 * 1024;
    let writer = TelemetryWriter::new(dir.path(), Retention { bytes, ..Retention::default() });
    for number in 0..4000 {
        let service = format!("{number} {}", "x".repeat(4000));
        offer_logs(&writer, number, &[record(&service, Severity::Info, "another one")]);
        if number % 100 == 0 {
            written(&writer);
        }
    }
    written(&writer);
    drop(writer);
    let size = std::fs::metadata(telemetry_path(dir.path())).unwrap().len();
    assert!(size < bytes + bytes / 10, "{size}");
    let reader = TelemetryReader::open(dir.path()).unwrap().unwrap();
    let rows = reader.logs(&LogFilter { limit: 9000, ..LogFilter::default() }).unwrap();
    assert!(rows.first().is_some_and(|row| row.record.resource.service().raw().starts_with("3999 ")));
}

#[test]
fn what_is_too_old_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let keep = Retention { time: Duration::from_secs(100), ..Retention::default() };
    let writer = TelemetryWriter::new(dir.path(), keep);
    offer_spans(&writer, 10, &[span(1, 1, "a")]);
    offer_logs(&writer, 10, &[record("a", Severity::Info, "old")]);
    written(&writer);
    drop(writer);
    // A start looks for what is too old with its first batch.
    let writer = TelemetryWriter::new(dir.path(), keep);
    offer_spans(&writer, 200, &[span(2, 1, "a")]);
    written(&writer);
    drop(writer);
    let reader = TelemetryReader::open(dir.path()).unwrap().unwrap();
    let rows = reader.traces(&TraceFilter { limit: 10, ..TraceFilter::default() }).unwrap();
    assert_eq!(rows.iter().map(|row| row.trace.0[0]).collect::<Vec<_>>(), [2]);
    assert_eq!(reader.logs(&LogFilter { limit: 10, ..LogFilter::default() }).unwrap(), []);
}
