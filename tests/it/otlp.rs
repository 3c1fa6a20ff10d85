//! Telemetry from exporters: over HTTP and gRPC, into traces and logs.

use std::collections::BTreeSet;
use std::io::Write as _;

use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use quarterdeck::demo::{Behaviour, Condition, Fleet, Scenario};
use quarterdeck::domain::job::task::TaskState;
use quarterdeck::domain::text::Untrusted;
use quarterdeck::domain::trace::TraceId;
use quarterdeck::engine::{Engine, Options};
use quarterdeck::serve::http::{Server, bind};
use quarterdeck::serve::otlp;
use quarterdeck::telemetry::convention;
use quarterdeck::telemetry::model::{Activity, Severity, Span, SpanKind, SpanStatus, UnixNanos, Value};
use quarterdeck::telemetry::otlp::json;
use quarterdeck::telemetry::query::{
    LogFilter, LogRow, TelemetryAnswer, TelemetryQuery, TelemetryStatus, TraceFilter, TraceRow,
};
use quarterdeck::telemetry::tree::{Line, What, build};

use crate::support::{attempt_of, known, options, part, polled, rules, send, until};

const TRACE: &str = "0102030405060708090a0b0c0d0e0f10";

/// A span of a service in OTLP's JSON.
fn request(service: &str, span: &str, more: &str) -> String {
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"{service}"}}}}]}},
            "scopeSpans":[{{"spans":[{{"traceId":"{TRACE}","spanId":"{span}","name":"charge","kind":2,
            "startTimeUnixNano":"1000000000","endTimeUnixNano":"3000000000"{more}}}]}}]}}]}}"#
    )
}

struct Desk {
    engine: Engine,
    server: Server,
    dir: tempfile::TempDir,
}

impl Desk {
    fn open(token: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::on(options(Vec::new(), Some(dir.path()), rules()), dir, token)
    }

    fn on(options: Options, dir: tempfile::TempDir, token: Option<&str>) -> Self {
        let engine = Engine::start(options).unwrap();
        let token = token.map(quarterdeck::config::secret::Secret::new);
        let bound = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let server = otlp::serve(bound, engine.telemetry(), &engine.handle(), token.as_ref()).unwrap();
        Self { engine, server, dir }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    async fn ask(&self, query: TelemetryQuery) -> TelemetryAnswer {
        self.engine.handle().telemetry(query).await.unwrap()
    }

    async fn traces(&self) -> Vec<TraceRow> {
        let filter = TraceFilter { limit: 100, ..TraceFilter::default() };
        match self.ask(TelemetryQuery::Traces(filter)).await {
            TelemetryAnswer::Traces(rows) => rows,
            other => panic!("{other:?}"),
        }
    }

    async fn logs(&self) -> Vec<LogRow> {
        let filter = LogFilter { limit: 100, ..LogFilter::default() };
        match self.ask(TelemetryQuery::Logs(filter)).await {
            TelemetryAnswer::Logs(rows) => rows,
            other => panic!("{other:?}"),
        }
    }

    async fn status(&self) -> TelemetryStatus {
        match self.ask(TelemetryQuery::Status).await {
            TelemetryAnswer::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Posts a body; the status and the answer.
    async fn post(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, Vec<u8>) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.post(self.url(path)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
    }

    /// Calls a method of gRPC: the status of HTTP, the message, and the status of the call.
    async fn call(
        &self,
        service: &str,
        headers: &[(&str, &str)],
        frame: Vec<u8>,
    ) -> (u16, Vec<u8>, Option<String>) {
        let stream = tokio::net::TcpStream::connect(self.server.address()).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let running = tokio::spawn(connection);
        let mut request =
            http::Request::post(self.url(&format!("/opentelemetry.proto.collector.{service}/Export")))
                .header("content-type", "application/grpc")
                .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response =
            sender.send_request(request.body(Full::<bytes::Bytes>::from(frame)).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap();
        let code = body.trailers().and_then(|trailers| trailers.get("grpc-status")).cloned();
        let bytes = body.to_bytes().to_vec();
        running.abort();
        (status, bytes, code.map(|code| code.to_str().unwrap().to_owned()))
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0], &u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

#[tokio::test]
async fn spans_come_in_over_every_protocol_and_make_one_trace() {
    let desk = Desk::open(None);
    let protobuf = |span: &str, more: &str| {
        json::to_protobuf(quarterdeck::telemetry::otlp::Signal::Traces, &request("ledger", span, more))
            .unwrap()
            .0
    };
    let json_type = [("content-type", "application/json; charset=utf-8")];
    let (status, answer) =
        desk.post("/v1/traces", &json_type, request("cashier", "00000000000000a1", "").into()).await;
    assert_eq!((status, &*answer), (200, &b"{}"[..]));
    let below = r#","parentSpanId":"00000000000000a1""#;
    let zipped = [("content-type", "application/x-protobuf"), ("content-encoding", "gzip")];
    let (status, answer) = desk.post("/v1/traces", &zipped, gzip(&protobuf("00000000000000a2", below))).await;
    assert_eq!((status, &*answer), (200, &b""[..]));
    let official = ExportTraceServiceRequest::decode(&*protobuf("00000000000000a3", below)).unwrap();
    let (status, answer, code) =
        desk.call("trace.v1.TraceService", &[], framed(&official.encode_to_vec())).await;
    assert_eq!((status, code.as_deref()), (200, Some("0")));
    assert_eq!(
        ExportTraceServiceResponse::decode(&answer[5..]).unwrap(),
        ExportTraceServiceResponse::default()
    );
    polled(async || {
        if desk.traces().await.first().is_some_and(|row| row.spans == 3) {
            Ok(())
        } else {
            Err("not seen: three spans".to_owned())
        }
    })
    .await;
    let TelemetryAnswer::Trace(spans) =
        desk.ask(TelemetryQuery::Trace(TRACE.parse::<TraceId>().unwrap())).await
    else {
        panic!("no trace");
    };
    let trace = build(*spans, UnixNanos(0));
    let depths: Vec<usize> = trace.lines.iter().map(|line| line.depth).collect();
    assert_eq!(depths, [0, 1, 1]);
    assert_eq!(trace.agents, [Untrusted::from("cashier"), "ledger".into()]);
    assert_eq!(desk.status().await.spans, 3);
}

#[tokio::test]
async fn records_come_in_and_belong_to_their_trace() {
    let desk = Desk::open(None);
    let logs = format!(
        r#"{{"resourceLogs":[{{"resource":{{}},"scopeLogs":[{{"logRecords":[
            {{"timeUnixNano":"7","severityNumber":"SEVERITY_NUMBER_ERROR","body":{{"stringValue":"no answer"}},"traceId":"{TRACE}"}},
            {{"observedTimeUnixNano":8,"severityText":"WARNING","body":{{"kvlistValue":{{"values":[]}}}}}}]}}]}}]}}"#
    );
    let (status, _) = desk.post("/v1/logs", &[("content-type", "application/json")], logs.into()).await;
    assert_eq!(status, 200);
    polled(
        async || if desk.logs().await.len() == 2 { Ok(()) } else { Err("not seen: two records".to_owned()) },
    )
    .await;
    let rows = desk.logs().await;
    let words: Vec<&str> = rows.iter().map(|row| row.record.severity.as_str()).collect();
    assert_eq!(words, ["warn", "error"]);
    assert_eq!(rows[1].record.trace, Some(TRACE.parse().unwrap()));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_the_senders_own_form() {
    let desk = Desk::open(None);
    let (json, protobuf) = ("application/json", "application/x-protobuf");
    for (path, kind, encoding, body, status, says) in [
        ("/v1/traces", json, "", &b"[]"[..], 400, "cannot be read as OTLP"),
        ("/v1/traces", json, "", b"\xff", 400, "not UTF-8"),
        ("/v1/traces", protobuf, "", b"\x0a\xff", 400, "cannot be read as OTLP"),
        ("/v1/logs", protobuf, "gzip", b"abc", 400, "not gzip"),
        ("/v1/logs", protobuf, "zstd", b"abc", 415, "only gzip"),
        ("/v1/traces", "text/plain", "", b"{}", 415, "not declared to be OTLP"),
        ("/v1/profiles", json, "", b"{}", 404, "nothing at this path"),
    ] {
        let mut headers = vec![("content-type", kind)];
        if !encoding.is_empty() {
            headers.push(("content-encoding", encoding));
        }
        let (is, answer) = desk.post(path, &headers, body.to_vec()).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(is == status && answer.contains(says), "{path} {kind}: {is} {answer}");
    }
    let (status, _, code) = desk.call("trace.v1.TraceService", &[], framed(b"\x0a\xff")).await;
    assert_eq!((status, code.as_deref()), (200, Some("3")));
    let (status, _, code) = desk.call("trace.v1.TraceService", &[], b"abc".to_vec()).await;
    assert_eq!((status, code.as_deref()), (200, Some("3")));
    // A span without ids is not taken, and its sender is told.
    let without = request("cashier", "0000000000000000", "");
    let (status, answer) = desk.post("/v1/traces", &[("content-type", json)], without.into()).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(status == 200 && answer.contains(r#""rejectedSpans":"1""#), "{answer}");
    assert_eq!((desk.status().await.spans, desk.traces().await.len()), (0, 0));
}

#[tokio::test]
async fn web_pages_and_strangers_send_nothing() {
    let (open, closed) = (Desk::open(None), Desk::open(Some("s3cret-token")));
    let json = ("content-type", "application/json");
    let body = || request("cashier", "00000000000000a1", "").into_bytes();
    for (desk, headers, status) in [
        (&open, vec![json, ("origin", "http://evil.example")], 403),
        (&open, vec![json, ("host", "evil.example")], 403),
        (&closed, vec![json], 401),
        (&closed, vec![json, ("authorization", "Bearer wrong")], 401),
        (&closed, vec![json, ("authorization", "Bearer s3cret-token")], 200),
    ] {
        let (is, _) = desk.post("/v1/traces", &headers, body()).await;
        assert_eq!(is, status, "{headers:?}");
    }
    let (status, _, _) = closed.call("trace.v1.TraceService", &[], framed(&[])).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn secrets_are_masked_before_anything_is_stored() {
    let desk = Desk::open(None);
    let secret = quarterdeck::config::secret::Secret::new("s3cret-bearer-of-an-agent");
    desk.engine.net().redactor().child().learn(&secret);
    let more = r#","attributes":[{"key":"http.request.header.authorization","value":{"stringValue":"Bearer s3cret-bearer-of-an-agent"}}]"#;
    let json = [("content-type", "application/json")];
    desk.post("/v1/traces", &json, request("cashier", "00000000000000a1", more).into()).await;
    polled(async || if desk.traces().await.len() == 1 { Ok(()) } else { Err("not seen: a span".to_owned()) })
        .await;
    let TelemetryAnswer::Trace(spans) = desk.ask(TelemetryQuery::Trace(TRACE.parse().unwrap())).await else {
        panic!("no trace");
    };
    let value = spans.spans[0].attributes[0].value.text();
    assert_eq!(value, Untrusted::from(format!("Bearer {}", "*".repeat(25))));
    let file = std::fs::read(desk.dir.path().join("telemetry.db")).unwrap();
    assert!(!file.windows(25).any(|window| window == b"s3cret-bearer-of-an-agent"));
}

/// The samples of a page that begin with a name.
async fn samples(desk: &Desk, begins: &str) -> Vec<String> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = client.get(desk.url("/metrics")).send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let page = page.text().await.unwrap();
    page.lines().filter(|line| line.starts_with(begins)).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_fleets_metrics_are_served_for_prometheus() {
    let fleet =
        crate::support::fleet(vec![part("steady", Behaviour::Steady), part("failing", Behaviour::Failing)]);
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::on(options(fleet.specs(), Some(dir.path()), rules()), dir, None);
    let handle = desk.engine.handle();
    known(&handle, "steady").await;
    known(&handle, "failing").await;
    let ended = async |agent: &str| {
        let (_, attempt) = send(&handle, agent, "hello").await;
        until(&handle, "the end", |snapshot| {
            let attempt = attempt_of(snapshot, attempt).filter(|attempt| !attempt.is_live())?;
            Some(attempt.task.as_ref()?.state == TaskState::Failed)
        })
        .await
    };
    assert!(!ended("steady").await);
    // It fails every second task by chance.
    while !ended("failing").await {}
    // The skill is that of its card, if the card was read before the message was sent.
    for (begins, value) in [
        ("quarterdeck_agents{health=\"up\"}", "2"),
        ("tasks_completed_total{agent=\"steady\"", "1"),
        ("tasks_failed_total{agent=\"failing\"", "1"),
        ("tasks_failed_total{agent=\"steady\"", "0"),
        ("task_duration_seconds_count{agent=\"steady\"", "1"),
        ("quarterdeck_queue_depth", "0"),
        ("quarterdeck_telemetry_received_total{signal=\"traces\"}", "0"),
    ] {
        polled(async || {
            let found = samples(&desk, begins).await;
            if matches!(&*found, [one] if one.ends_with(&format!(" {value}"))) {
                Ok(())
            } else {
                Err(format!("{begins} {value}: {found:?} in {:#?}", samples(&desk, "tasks_").await))
            }
        })
        .await;
    }
}

/// One journey across five agents: instrumented, by another clock, not at all, and with a broken exporter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_of_the_demo_send_one_trace_of_a_journey() {
    let _alone = crate::demo::STAGE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journey.toml");
    std::fs::write(&file, JOURNEY).unwrap();
    let scenario = Scenario::load(&file.display().to_string()).unwrap();
    let fleet = Fleet::start(&scenario, 7, 5.0, 0).unwrap();
    let breaks = Condition { fails: Some("fare".into()), error: NO_RULE.into(), ..Condition::default() };
    fleet.change("fares", breaks);
    let desk = Desk::on(options(fleet.specs(), Some(dir.path()), rules()), dir, None);
    fleet.export_to(desk.server.address());
    let handle = desk.engine.handle();
    let (job, _) = send(&handle, "concierge", "Ana, Zurich to Lisbon").await;
    let services = ["concierge", "fares", "flights", "hotel"];
    let trace = polled(async || {
        let TelemetryAnswer::Trace(spans) = desk.ask(TelemetryQuery::TraceOfJob(job)).await else {
            panic!("no trace");
        };
        let trace = build(*spans, UnixNanos::from(handle.snapshot().at));
        let served = |service: &str| {
            let mut of = trace.spans.iter().filter(|span| span.resource.service().raw() == service);
            of.any(|span| span.kind == SpanKind::Server && span.parent.is_some())
        };
        let missing: Vec<_> = services.iter().filter(|service| !served(service)).collect();
        if missing.is_empty() { Ok(trace) } else { Err(format!("{missing:?} sent no span of their own")) }
    })
    .await;
    let span = |service: &str, kind: SpanKind, name: &str| {
        let is = |span: &&Span| {
            span.resource.service().raw() == service && span.kind == kind && span.name.raw().starts_with(name)
        };
        trace.spans.iter().find(is).unwrap_or_else(|| panic!("no {name} of {service}: {:#?}", trace.spans))
    };
    let line = |of: &Span| {
        let is = |line: &&Line| matches!(line.what, What::Span(place) if trace.spans[place].id == of.id);
        trace.lines.iter().find(is).unwrap()
    };
    // The attempt called the concierge, and the concierge the others.
    let concierge = span("concierge", SpanKind::Server, "SendMessage");
    let attempt = trace.spans.iter().find(|span| Some(span.id) == concierge.parent).unwrap();
    assert_eq!(attempt.name.raw(), "attempt 1");
    for callee in ["fares", "flights", "hotel"] {
        let call = span("concierge", SpanKind::Client, &format!("invoke_agent {callee}"));
        assert_eq!(call.parent, Some(concierge.id), "{callee}");
        assert_eq!(span(callee, SpanKind::Server, "SendMessage").parent, Some(call.id), "{callee}");
    }
    let model = span("concierge", SpanKind::Client, "chat model-s");
    assert_eq!(model.parent, Some(concierge.id));
    assert!(model.value(convention::OUTPUT_TOKENS).and_then(Value::int) > Some(0));
    let tool = span("flights", SpanKind::Client, "tools/call seats.search");
    assert_eq!((tool.activity(), tool.parent.is_some()), (Activity::McpTool, true));
    // A clock that is an hour ahead is found out, and what was sent by it is moved to where it belongs.
    for of in [tool, span("flights", SpanKind::Server, "SendMessage")] {
        let (moved, start) = (line(of).moved / 1_000_000_000, line(of).start);
        assert!((-3602..=-3590).contains(&moved), "{moved}");
        assert!(trace.start <= start && start <= trace.end);
    }
    let fares = span("fares", SpanKind::Server, "SendMessage");
    assert_eq!(fares.status, SpanStatus::Error(NO_RULE.into()));
    assert_eq!(fares.text(convention::ERROR_TYPE), Some("failed".into()));
    // Nothing of whoever sends nothing, or nothing that can be read; the latter is counted.
    let services: BTreeSet<_> = trace.spans.iter().map(|span| span.resource.service()).collect();
    assert!(!services.contains(&"taxi".into()) && !services.contains(&"vouchers".into()), "{services:?}");
    polled(async || if desk.status().await.invalid > 0 { Ok(()) } else { Err("not counted".to_owned()) })
        .await;
    assert_eq!(fleet.not_exported(), 0);
    // Records belong to the spans in which they were written, also by the other clock.
    polled(async || {
        let logs = desk.logs().await;
        let of = |span: &Span, words: &str| {
            let is =
                |row: &&LogRow| row.record.span == Some(span.id) && row.record.body.text().raw() == words;
            logs.iter().find(is).map(|row| row.record.severity)
        };
        let failed = span("fares", SpanKind::Client, "tools/call fares.search");
        let found = (of(tool, "asking TAP"), of(failed, NO_RULE));
        if found == (Some(Severity::Info), Some(Severity::Error)) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
    desk.engine.stop().await;
}

/// The error of an agent of the journey.
const NO_RULE: &str = "no rule for fares of this winter";

const JOURNEY: &str = r#"
title = "a journey"
[[agents]]
name = "concierge"
behaviour = "steady"
takes = [4.0, 4.0]
delegates = [
    { to = "flights", text = "seats for: {text}", after = 0.2 },
    { to = "hotel", text = "a room for: {text}", after = 0.2 },
    { to = "fares", text = "the fare for: {text}", after = 0.3 },
    { to = "taxi", text = "the last mile for: {text}", after = 0.3 },
    { to = "vouchers", text = "a meal for: {text}", after = 0.3 },
]
[[agents]]
name = "flights"
behaviour = "steady"
takes = [2.0, 2.0]
says = ["asking TAP"]
uses = ["seats.search"]
telemetry = "clock-ahead"
[[agents]]
name = "hotel"
behaviour = "steady"
takes = [2.0, 2.0]
[[agents]]
name = "fares"
behaviour = "steady"
skills = ["fares"]
[[agents]]
name = "taxi"
behaviour = "steady"
telemetry = "none"
[[agents]]
name = "vouchers"
behaviour = "steady"
telemetry = "broken"
"#;
