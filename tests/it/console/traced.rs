//! What agents of the scene sent about their work: spans, some with errors and another clock, and log records.

use std::sync::Arc;

use quarterdeck::domain::fact::{JournalEntry, Owner};
use quarterdeck::domain::id::{AgentId, JobId};
use quarterdeck::domain::text::Untrusted;
use quarterdeck::domain::time::At;
use quarterdeck::domain::trace::{SpanId, TraceId};
use quarterdeck::telemetry::convention;
use quarterdeck::telemetry::model::{
    Attribute, LogRecord, Resource, Severity, Span, SpanEvent, SpanKind, SpanLink, SpanStatus, UnixNanos,
    Value,
};
use quarterdeck::telemetry::own::{self, OwnJob};
use quarterdeck::telemetry::query::{
    LogFilter, LogRow, TelemetryAnswer, TelemetryQuery, TelemetryStatus, TraceRow, TraceSpans,
};

use super::Console;
use super::scene::{Cast, Scene, at};

/// A trace that none of our jobs has.
pub(crate) const ALONE: TraceId = TraceId([0xab; 16]);

fn resource(service: &str) -> Arc<Resource> {
    let attributes = vec![
        Attribute::text(convention::SERVICE_NAME, service),
        Attribute::text(convention::SERVICE_VERSION, "2.4.1"),
    ];
    Arc::new(Resource { attributes })
}

fn nanos(seconds: f64) -> UnixNanos {
    at(seconds).into()
}

/// A span of a service, below another one.
fn span(
    trace: TraceId,
    id: u8,
    parent: SpanId,
    service: &str,
    name: &str,
    from: f64,
    until: Option<f64>,
) -> Span {
    Span {
        trace,
        id: SpanId([0, 0, 0, 0, 0, 0, 7, id]),
        parent: Some(parent),
        name: name.into(),
        kind: SpanKind::Internal,
        start: nanos(from),
        end: until.map(nanos),
        status: SpanStatus::Unset,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped: 0,
        resource: resource(service),
        scope: "agent".into(),
    }
}

/// The spans that agents sent for the job that is working.
fn of_working(cast: &Cast) -> Vec<Span> {
    let trace = TraceId::from(cast.working.job);
    let attempt = SpanId::from(cast.working.attempt);
    let of = |id: u8| SpanId([0, 0, 0, 0, 0, 0, 7, id]);
    let text = Attribute::text;
    let mut chat = span(trace, 1, attempt, "cashier-1", "chat model-s", 140.4, Some(143.4));
    chat.attributes = vec![
        text(convention::OPERATION, "chat"),
        text(convention::REQUEST_MODEL, "model-s"),
        Attribute::int(convention::INPUT_TOKENS, 1204),
        Attribute::int(convention::OUTPUT_TOKENS, 310),
    ];
    let mut tool = span(trace, 2, attempt, "cashier-1", "tools/call basket.read", 143.41, Some(143.49));
    tool.attributes =
        vec![text(convention::MCP_METHOD, "tools/call"), text(convention::TOOL_NAME, "basket.read")];
    let mut call = span(trace, 7, attempt, "cashier-1", "delegate to ledger-1", 198.9, None);
    call.kind = SpanKind::Client;
    let mut ledger = span(trace, 3, of(7), "ledger-1", "post order 88213 to the ledger", 199.0, None);
    ledger.kind = SpanKind::Server;
    ledger.links = vec![SpanLink { trace: ALONE, span: of(9), attributes: Vec::new() }];
    ledger.attributes = vec![text(convention::A2A_METHOD, "SendMessage"), text("rpc.system", "grpc")];
    ledger.events =
        vec![SpanEvent { at: nanos(201.0), name: "line 1 is posted".into(), attributes: Vec::new() }];
    let mut model = span(trace, 4, of(3), "gateway", "chat model-s", 185.2, Some(215.2));
    // The clock of the gateway is a quarter of a minute behind.
    model.status = SpanStatus::Error("no answer in 30s".into());
    model.attributes = vec![text(convention::OPERATION, "chat"), text(convention::ERROR_TYPE, "timeout")];
    let again = span(trace, 5, of(3), "ledger-1", "chat model-s, once more", 229.3, Some(246.0));
    let mut hostile = span(trace, 6, of(3), "ledger-1", "wait\u{1b}[2J for\u{202e} lock", 246.1, Some(246.4));
    hostile.attributes = vec![text("lock\u{7}", "88201\u{1b}]0;root\u{7}")];
    vec![chat, tool, call, ledger, model, again, hostile]
}

/// The spans of a job of ours.
fn own_of(scene: &Scene, job: JobId) -> Vec<Span> {
    let facts: Vec<JournalEntry> = scene
        .facts
        .iter()
        .filter(|fact| fact.owner() == Owner::Job(job))
        .map(|fact| JournalEntry::clone(fact))
        .collect();
    let agents: Vec<(AgentId, Untrusted)> =
        scene.state.agents().iter().map(|(_, agent)| (agent.id, agent.name.clone())).collect();
    own::spans(&OwnJob { job, trace: job.into(), parent: None, facts: &facts, agents: &agents })
}

fn trace(scene: &Scene, cast: &Cast, id: TraceId) -> TraceSpans {
    let job = JobId(uuid::Uuid::from_bytes(id.0));
    let own = own_of(scene, job);
    let own = if own.first().is_some_and(|job| job.name.is_empty()) { Vec::new() } else { own };
    let spans = if job == cast.working.job {
        of_working(cast)
    } else if id == ALONE {
        let mut root = span(id, 9, SpanId([1; 8]), "night-shift", "nightly report", 30.0, Some(34.0));
        root.parent = None;
        vec![root]
    } else {
        Vec::new()
    };
    let filter = LogFilter { trace: Some(id), limit: usize::MAX, ..LogFilter::default() };
    TraceSpans { spans, own, logs: logs(cast, &filter).len() as u64, dropped: 0 }
}

fn records(cast: &Cast) -> Vec<LogRow> {
    let trace = TraceId::from(cast.working.job);
    let of = |id: u8| Some((trace, SpanId([0, 0, 0, 0, 0, 0, 7, id])));
    let json = r#"{"event":"posting","lines":[{"no":1,"eur":412.0},{"no":2,"eur":58.0}],"dry":false}"#;
    let all: [(f64, Severity, &str, &str, Option<(TraceId, SpanId)>); 11] = [
        (60.3, Severity::Info, "cashier-1", "order 88201 came from shop-app", None),
        (140.2, Severity::Info, "cashier-1", "order 88213: 3 lines", of(1)),
        (140.5, Severity::Debug, "cashier-1", "prompt has 1,204 tokens", of(1)),
        (143.42, Severity::Info, "cashier-1", "basket.read answered in 80 ms", of(2)),
        (184.02, Severity::Info, "ledger-1", json, of(3)),
        (
            214.2,
            Severity::Error,
            "ledger-1",
            "model-s: no answer in 30s, and what it had said until then was not enough to go on with",
            of(4),
        ),
        (214.24, Severity::Info, "ledger-1", "trying again, 1 of 1", of(3)),
        (220.0, Severity::Info, "refund-desk", "waits for a person", None),
        (231.5, Severity::Warn, "ledger-1", "line 2 waits for a lock held by order 88201", of(6)),
        (232.0, Severity::Info, "deals\u{1b}[2J-bot\u{202e}", "\u{1b}[2J\u{1b}[HALL AGENTS DOWN\u{7}", None),
        (240.0, Severity::Unspecified, "cashier-1", "", None),
    ];
    let row = |(number, (second, severity, service, body, of)): (u64, (f64, Severity, &str, &str, _))| {
        let of: Option<(TraceId, SpanId)> = of;
        LogRow {
            number,
            received: at(second + 0.1),
            record: LogRecord {
                at: nanos(second),
                severity,
                body: Value::Text(body.into()),
                attributes: vec![Attribute::text("thread", "worker-1")],
                trace: of.map(|of| of.0),
                span: of.map(|of| of.1),
                dropped: 0,
                resource: resource(service),
                scope: "agent.work".into(),
            },
        }
    };
    (1..).zip(all).map(row).collect()
}

fn logs(cast: &Cast, filter: &LogFilter) -> Vec<LogRow> {
    let fits = |row: &LogRow| {
        let record = &row.record;
        filter.since.is_none_or(|since| row.received >= since)
            && filter.service.as_ref().is_none_or(|service| record.resource.service() == *service)
            && record.severity >= filter.severity
            && filter.trace.is_none_or(|trace| record.trace == Some(trace))
            && filter.span.is_none_or(|span| record.span == Some(span))
            && filter.text.as_ref().is_none_or(|text| record.body.text().contains_ignore_case(text.raw()))
            && filter.before.is_none_or(|before| row.number < before)
            && filter.after.is_none_or(|after| row.number > after)
    };
    let mut rows: Vec<LogRow> = records(cast).into_iter().filter(fits).collect();
    rows.reverse();
    rows.truncate(filter.limit);
    rows
}

fn rows(cast: &Cast, since: At) -> Vec<TraceRow> {
    let row = |trace, start: f64, took, name: &str, services: &[&str], spans, errors| TraceRow {
        trace,
        start: nanos(start),
        took: std::time::Duration::from_secs_f64(took),
        received: at(start + took + 0.2),
        name: name.into(),
        service: services[0].into(),
        services: services.iter().map(|service| (*service).into()).collect(),
        spans,
        errors,
        dropped: 0,
        tasks: Vec::new(),
    };
    let all = [
        row(cast.working.job.into(), 140.4, 106.0, "", &["cashier-1", "ledger-1"], 6, 1),
        row(ALONE, 30.0, 4.0, "nightly report", &["night-shift"], 1, 0),
        row(TraceId([0xcd; 16]), 210.0, 0.04, "deals\u{1b}[2J\u{202e}", &["deals\u{1b}[2J-bot"], 2, 1),
    ];
    all.into_iter().filter(|row| row.received >= since).collect()
}

/// What telemetry answers.
pub(crate) fn answer(scene: &Scene, cast: &Cast, query: &TelemetryQuery) -> TelemetryAnswer {
    match query {
        TelemetryQuery::Traces(filter) if !filter.attributes.is_empty() => {
            let mut rows = rows(cast, filter.since.unwrap_or(At::ZERO));
            let known = filter.attributes.iter().all(|(_, value)| value.raw() == "timeout");
            rows.retain(|row| known && row.trace == TraceId::from(cast.working.job));
            TelemetryAnswer::Traces(rows)
        }
        TelemetryQuery::Traces(filter) => {
            TelemetryAnswer::Traces(rows(cast, filter.since.unwrap_or(At::ZERO)))
        }
        TelemetryQuery::Trace(id) => TelemetryAnswer::Trace(Box::new(trace(scene, cast, *id))),
        TelemetryQuery::TraceOfJob(job) => {
            TelemetryAnswer::Trace(Box::new(trace(scene, cast, TraceId::from(*job))))
        }
        TelemetryQuery::Logs(filter) => TelemetryAnswer::Logs(logs(cast, filter)),
        TelemetryQuery::Status => TelemetryAnswer::Status(Box::new(TelemetryStatus {
            listening: vec!["127.0.0.1:4318".into(), "127.0.0.1:4317".into()],
            spans: 9,
            logs: 11,
            dropped: 2,
            ..TelemetryStatus::default()
        })),
    }
}

/// Presses keys, and checks what is on the screen and what is not.
#[track_caller]
fn check(keys: &str, shown: &[&str], absent: &[&str]) {
    let mut console = Console::new(120, 40);
    console.press(keys);
    let screen = console.screen();
    for words in shown {
        assert!(screen.contains(words), "{keys} shows {words:?}:\n{screen}");
    }
    for words in absent {
        assert!(!screen.contains(words), "{keys} does not show {words:?}:\n{screen}");
    }
}

#[test]
fn traces_are_filtered_like_other_lists() {
    check("5", &["charge order 88213", "nightly report", "2 dropped"], &[]);
    check("5 / \"agent=night\" enter", &["nightly report"], &["charge order 88213"]);
    check("5 / \"state=completed\" enter", &["charge order 88201"], &["nightly report"]);
    check("5 / \"at-least=1m\" enter", &["charge order 88213"], &["nightly report", "anything cheap"]);
    check("5 / \"error.type=timeout\" enter", &["charge order 88213"], &["nightly report"]);
    check("5 / \"is=running\" enter", &["charge order 88213"], &["nightly report", "charge order 88201"]);
    check("5 z", &["charge order 88213", "charge order 88214"], &["nightly report"]);
    check("5 / \"nope=1\"", &["no column nope"], &[]);
}

#[test]
fn traces_are_sorted_by_what_they_took_and_what_failed() {
    for (keys, first) in [("5 T", "refund order 88107"), ("5 E", "deals"), ("5", "charge order 88221")] {
        let mut console = Console::new(120, 40);
        console.press(keys);
        let screen = console.screen();
        let row = screen.lines().nth(3).unwrap_or_default().to_owned();
        assert!(row.contains(first), "{keys}: {row}\n{screen}");
    }
}

/// One key leads from each to the next, and `[` back to the same row.
#[test]
fn a_task_leads_to_its_trace_its_logs_and_its_agent_and_back() {
    let mut console = Console::new(120, 40);
    console.press("2 / \"88213\" enter enter g x");
    assert_eq!(console.model.view.screen().word(), "trace");
    assert!(console.screen().contains("attempt 1"), "{}", console.screen());
    console.press("/ \"once_more\" enter");
    assert!(console.last_line().contains("end search"), "{}", console.screen());
    console.press("l");
    assert_eq!(console.model.view.screen().word(), "logs");
    console.press("[");
    let screen = console.screen();
    assert!(screen.lines().any(|line| line.contains('▌') && line.contains("once more")), "{screen}");
    console.press("g a");
    assert_eq!(console.model.view.screen().word(), "agent");
    console.press("[ g t");
    assert_eq!(console.model.view.screen().word(), "task");
    // From the logs to the trace of a record, at its span.
    console.press(": \"logs\" enter / \"lock\" enter g x");
    let screen = console.screen();
    assert!(screen.lines().any(|line| line.contains('▌') && line.contains("lock")), "{screen}");
}

#[test]
fn ids_and_traceparents_open_a_trace() {
    let id = ALONE.to_string();
    for typed in [id.clone(), format!("00-{id}-0000000000000709-01")] {
        let mut console = Console::new(120, 40);
        console.press(&format!(": \"{typed}\" enter"));
        let screen = console.screen();
        assert_eq!(console.model.view.screen().word(), "trace");
        assert!(screen.contains("nightly report") && screen.contains("night-shift"), "{screen}");
    }
    check(&format!(": \"{}\" enter", "12".repeat(16)), &["Nothing is known of this trace"], &[]);
}

#[test]
fn a_trace_folds_and_is_searched() {
    let at = "2 / \"88213\" enter enter g x";
    check(at, &["chat model-s", "post order 88213", "nothing told", "where the time went", "~"], &["\u{1b}"]);
    check(&format!("{at} home left"), &["job charge order 88213"], &["attempt 1  "]);
    check(&format!("{at} home left / \"basket\" enter"), &["basket.read", "MCP"], &[]);
    check(
        &format!("{at} / \"gateway\" enter"),
        &["behind ours; moved here", "no answer in 30s, timeout"],
        &[],
    );
    check(&format!("{at} / \"post\" enter tab / \"lock\""), &["logs of this span · 4 of 7"], &[]);
    check(&format!("{at} / \"once\" enter i"), &["\"name\": \"chat model-s, once more\""], &[]);
    check(&format!("{at} f"), &["logs of", "basket.read answered"], &["where the time went"]);
}

#[test]
fn logs_are_filtered_and_shown_with_what_is_around_them() {
    check(": \"logs\" enter", &["no answer in 30s", "waits for a person"], &["\u{1b}"]);
    check(": \"logs\" enter / \"severity=warn\" enter", &["no answer in 30s", "around it"], &[]);
    check(": \"logs\" enter / \"text=posting\" enter enter", &["\"event\": \"posting\"", "\"no\": 1"], &[]);
    check(": \"logs\" enter / \"no_answer\" enter", &["trying again, 1 of 1"], &[]);
    check("1 l", &["logs of"], &[]);
}
