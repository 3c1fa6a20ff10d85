//! Telemetry from exporters: over HTTP and gRPC, into traces and logs.

use std::io::Write as _;

use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use quarterdeck::demo::Behaviour;
use quarterdeck::domain::agent::AgentSpec;
use quarterdeck::domain::job::task::TaskState;
use quarterdeck::domain::text::Untrusted;
use quarterdeck::domain::trace::TraceId;
use quarterdeck::engine::Engine;
use quarterdeck::serve::http::{Server, bind};
use quarterdeck::serve::otlp;
use quarterdeck::telemetry::model::UnixNanos;
use quarterdeck::telemetry::otlp::json;
use quarterdeck::telemetry::query::{
    LogFilter, LogRow, TelemetryAnswer, TelemetryQuery, TelemetryStatus, TraceFilter, TraceRow,
};
use quarterdeck::telemetry::tree::build;

use crate::support::{attempt_of, fleet, known, options, part, polled, rules, send, until};

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
        Self::on(Vec::new(), token)
    }

    fn on(specs: Vec<AgentSpec>, token: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::start(options(specs, Some(dir.path()), rules())).unwrap();
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
    let fleet = fleet(vec![part("steady", Behaviour::Steady), part("failing", Behaviour::Failing)]);
    let desk = Desk::on(fleet.specs(), None);
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
    for expected in [
        "quarterdeck_agents{health=\"up\"} 2",
        "tasks_completed_total{agent=\"steady\",skill=\"\"} 1",
        "tasks_failed_total{agent=\"failing\",skill=\"\"} 1",
        "tasks_failed_total{agent=\"steady\",skill=\"\"} 0",
        "task_duration_seconds_bucket{agent=\"steady\",skill=\"\",le=\"+Inf\"} 1",
        "task_duration_seconds_count{agent=\"steady\",skill=\"\"} 1",
        "quarterdeck_queue_depth 0",
        "quarterdeck_telemetry_received_total{signal=\"traces\"} 0",
    ] {
        let name = expected.split([' ']).next().unwrap();
        polled(async || {
            let found = samples(&desk, name).await;
            if found == [expected] { Ok(()) } else { Err(format!("{expected}: {found:?}")) }
        })
        .await;
    }
}
