//! P9: spans of OTLP from a request in protocol buffers to the store, against decoding the same requests with prost alone.
//! P10: a search over a million spans, and a trace of ten thousand spans as a tree.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use quarterdeck::domain::text::Untrusted;
use quarterdeck::domain::time::At;
use quarterdeck::domain::trace::{SpanId, TraceId};
use quarterdeck::store::telemetry::{Offer, TelemetryReader, TelemetryWriter};
use quarterdeck::telemetry::convention;
use quarterdeck::telemetry::limits::Retention;
use quarterdeck::telemetry::model::{Attribute, Resource, Span, SpanKind, SpanStatus, UnixNanos};
use quarterdeck::telemetry::otlp::{encode, split};
use quarterdeck::telemetry::query::{TraceFilter, TraceOrder, TraceSpans};
use quarterdeck::telemetry::tree::build;
use quarterdeck::telemetry::waterfall::bar;

use crate::measure::{Fault, cpu, median, print_figure, print_ratio, stay_on};

/// Spans of a request, as exporters batch them, and of a trace.
const BATCH: usize = 512;
const OF_TRACE: usize = 16;
const ROUNDS: usize = 9;
const REQUESTS: usize = 100;
const SEARCHED: usize = 1_000_000;
const WATERFALL: usize = 10_000;
const MILLI: u64 = 1_000_000;

/// A span as an instrumented agent sends it: a tree of sixteen, some of which ask a model, one of a hundred fails.
fn span(number: usize, resources: &[Arc<Resource>]) -> Span {
    let (trace, place) = (number / OF_TRACE, number % OF_TRACE);
    let mut id = [0x5a; 16];
    id[..8].copy_from_slice(&(trace as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    let span_id = |place: usize| SpanId(((trace * OF_TRACE + place) as u64 + 1).to_be_bytes());
    let start = trace as u64 * 20 * MILLI + place as u64 * MILLI;
    let took = (OF_TRACE - place) as u64 * MILLI + (trace as u64 * 7919 % 1000) * MILLI;
    let mut attributes = vec![
        Attribute::text(convention::A2A_METHOD, "SendMessage"),
        Attribute::text(convention::A2A_TASK, format!("task-{trace}")),
        Attribute::text("server.address", "ledger.internal"),
        Attribute::int("server.port", 8443),
        Attribute::text("http.request.method", "POST"),
        Attribute::int("http.response.status_code", 200),
    ];
    if place % 4 == 3 {
        attributes.push(Attribute::text(convention::REQUEST_MODEL, format!("model-{}", trace % 7)));
        attributes.push(Attribute::int(convention::INPUT_TOKENS, 1204));
    }
    let failed = number.is_multiple_of(100);
    Span {
        trace: TraceId(id),
        id: span_id(place),
        parent: (place > 0).then(|| span_id((place - 1) / 2)),
        name: Untrusted::from(format!("step {place}")),
        kind: SpanKind::Server,
        start: UnixNanos(start),
        end: Some(UnixNanos(start + took)),
        status: if failed { SpanStatus::Error("no answer".into()) } else { SpanStatus::Unset },
        attributes,
        events: Vec::new(),
        links: Vec::new(),
        dropped: 0,
        resource: resources[place % resources.len()].clone(),
        scope: "agent".into(),
    }
}

fn resources() -> Vec<Arc<Resource>> {
    let of = |name: String| {
        let attributes = vec![
            Attribute::text(convention::SERVICE_NAME, name),
            Attribute::text(convention::SERVICE_VERSION, "2.0.1"),
            Attribute::text("telemetry.sdk.language", "python"),
        ];
        Arc::new(Resource { attributes })
    };
    (0..3).map(|number| of(format!("agent-{number}"))).collect()
}

/// Requests with these spans; each has those of one service.
fn requests(from: usize, count: usize) -> Vec<Vec<u8>> {
    let resources = resources();
    let spans: Vec<Span> = (from..from + count).map(|number| span(number, &resources)).collect();
    spans
        .chunks(BATCH)
        .map(|chunk| {
            let mut chunk = chunk.to_vec();
            chunk.sort_by_key(|span| span.resource.service());
            encode::spans(&chunk)
        })
        .collect()
}

fn written(writer: &TelemetryWriter) -> Result<(), Fault> {
    while writer.status().in_memory > 0 {
        if let Some(fault) = writer.status().fault {
            return Err(fault.to_string().into());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

fn offer(writer: &TelemetryWriter, request: &[u8]) -> Result<(), Fault> {
    let traces = split::traces(request).map_err(|why| why.to_string())?;
    let spans: u64 = traces.parts.iter().map(|part| part.summary.spans).sum();
    let taken = writer.offer(At::from_micros(1), Offer::Traces(traces));
    if taken.taken == spans { Ok(()) } else { Err(format!("{} spans were refused", taken.refused).into()) }
}

/// Runs P9: processor time of all threads, from bytes to the committed store.
pub fn run() -> Result<(), Fault> {
    stay_on(0);
    let spans = REQUESTS * BATCH;
    println!("P9 OTLP: {spans} spans in requests of {BATCH}, {ROUNDS} rounds, medians of processor time");
    let dir = tempfile::tempdir_in(".")?;
    let writer = TelemetryWriter::new(dir.path(), Retention::default());
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let requests = requests(round * spans, spans);
        let begun = cpu();
        let mut decoded = 0;
        for request in &requests {
            let request = ExportTraceServiceRequest::decode(&**request)?;
            decoded += request.resource_spans.len();
        }
        bare.push((cpu() - begun).as_secs_f64() / spans as f64 * 1e6);
        assert!(decoded > 0);
        let begun = cpu();
        for request in &requests {
            offer(&writer, request)?;
            while writer.status().in_memory > 32 * 1024 * 1024 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        written(&writer)?;
        ours.push((cpu() - begun).as_secs_f64() / spans as f64 * 1e6);
    }
    let (ours, bare) = (median(ours), median(bare));
    print_figure("ours, into the store", &format!("{ours:.2} us a span"), "");
    print_figure("prost, decoded alone", &format!("{bare:.2} us a span"), "");
    print_ratio("the rate of prost alone that is reached", bare / ours, "must 0.25, aim 0.5");
    Ok(())
}

/// Runs P10.
pub fn run_search() -> Result<(), Fault> {
    println!("P10 traces: a search over {SEARCHED} spans, medians of {ROUNDS}");
    let dir = tempfile::tempdir_in(".")?;
    let writer = TelemetryWriter::new(dir.path(), Retention::default());
    for from in (0..SEARCHED).step_by(REQUESTS * BATCH) {
        for request in requests(from, (REQUESTS * BATCH).min(SEARCHED - from)) {
            offer(&writer, &request)?;
        }
        written(&writer)?;
    }
    let reader = TelemetryReader::open(dir.path())?.ok_or("nothing was written")?;
    let filter = TraceFilter { limit: 100, ..TraceFilter::default() };
    let pair = |key: &str, value: &str| vec![(Untrusted::from(key), Untrusted::from(value))];
    let all = [
        ("newest", filter.clone()),
        ("slowest", TraceFilter { order: TraceOrder::Slowest, ..filter.clone() }),
        ("by agent, failed", TraceFilter { service: Some("agent-1".into()), failed: true, ..filter.clone() }),
        (
            "at least 900 ms, slowest",
            TraceFilter {
                at_least: Some(Duration::from_millis(900)),
                order: TraceOrder::Slowest,
                ..filter.clone()
            },
        ),
        ("one task", TraceFilter { attributes: pair(convention::A2A_TASK, "task-31000"), ..filter.clone() }),
        (
            "a model, failing first",
            TraceFilter {
                attributes: pair(convention::REQUEST_MODEL, "model-3"),
                order: TraceOrder::Failing,
                ..filter.clone()
            },
        ),
        ("a name", TraceFilter { name: Some("step 0".into()), ..filter }),
    ];
    for (what, filter) in &all {
        let mut times = Vec::new();
        let mut found = 0;
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            found = reader.traces(filter)?.len();
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        print_figure(what, &format!("{:.1} ms, {found} traces", median(times)), "must 200 ms");
    }
    let resources = resources();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let spans: Vec<Span> = (0..WATERFALL)
            .map(|number| {
                let mut span = span(number, &resources);
                span.trace = TraceId([1; 16]);
                // One deep and wide tree instead of many.
                span.id = SpanId((number as u64 + 1).to_be_bytes());
                span.parent = (number > 0).then(|| SpanId((number as u64 / 3 + 1).to_be_bytes()));
                span
            })
            .filter(|span| span.parent != Some(span.id))
            .collect();
        let begun = Instant::now();
        let trace = build(TraceSpans { spans, ..TraceSpans::default() }, UnixNanos(0));
        let cells: usize = trace
            .lines
            .iter()
            .take(50)
            .map(|line| bar(&trace, line, 100, trace.start, trace.end).len())
            .sum();
        assert!(cells > 0);
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    print_figure("a trace of 10,000 spans as a tree, once", &format!("{:.1} ms", median(times)), "");
    Ok(())
}
