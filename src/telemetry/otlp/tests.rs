//! The codecs against each other and against the messages of the official crate.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message as _;

use super::super::limits;
use super::super::model::*;
use super::*;
use crate::domain::text::Untrusted;
use crate::domain::trace::{SpanId, TraceId};

fn text() -> impl Strategy<Value = Untrusted> {
    "[a-z.é\u{202e}]{0,12}".prop_map(Untrusted::from)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Empty),
        text().prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<i32>().prop_map(|halves| Value::Double(f64::from(halves) / 2.0)),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec((text(), inner), 0..4).prop_map(|members| {
                Value::Map(members.into_iter().map(|(key, value)| Attribute { key, value }).collect())
            }),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    let attribute = (text(), value()).prop_map(|(key, value)| Attribute { key, value });
    prop::collection::vec(attribute, 0..4)
}

fn ids() -> impl Strategy<Value = (TraceId, SpanId)> {
    (1..4_u8, 1..=255_u8).prop_map(|(trace, span)| (TraceId([trace; 16]), SpanId([span; 8])))
}

fn span() -> impl Strategy<Value = Span> {
    let status =
        prop_oneof![Just(SpanStatus::Unset), Just(SpanStatus::Ok), text().prop_map(SpanStatus::Error),];
    let event = (any::<u32>(), text(), attributes()).prop_map(|(at, name, attributes)| SpanEvent {
        at: UnixNanos(at.into()),
        name,
        attributes,
    });
    let link =
        (ids(), attributes()).prop_map(|((trace, span), attributes)| SpanLink { trace, span, attributes });
    let about = (ids(), prop::option::of(ids()), text(), 0..6_u64, any::<u32>(), any::<u32>());
    let inner = (prop::collection::vec(event, 0..3), prop::collection::vec(link, 0..3), any::<u16>());
    (about, attributes(), inner, status, attributes(), text()).prop_map(
        |((ids, parent, name, kind, start, took), own, (events, links, dropped), status, of, scope)| Span {
            trace: ids.0,
            id: ids.1,
            parent: parent.map(|parent| parent.1),
            name,
            kind: SpanKind::from_number(kind),
            start: UnixNanos(start.into()),
            end: Some(UnixNanos(u64::from(start) + u64::from(took))),
            status,
            attributes: own,
            events,
            links,
            dropped: dropped.into(),
            resource: Arc::new(Resource { attributes: of }),
            scope,
        },
    )
}

fn record() -> impl Strategy<Value = LogRecord> {
    let about = (1..u32::MAX, 0..7_usize, value(), prop::option::of(ids()));
    (about, attributes(), attributes(), text()).prop_map(|((at, severity, body, ids), own, of, scope)| {
        LogRecord {
            at: UnixNanos(at.into()),
            severity: Severity::ALL[severity],
            body,
            attributes: own,
            trace: ids.map(|ids| ids.0),
            span: ids.map(|ids| ids.1),
            dropped: 0,
            resource: Arc::new(Resource { attributes: of }),
            scope,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn spans_come_back_from_both_encodings(spans in prop::collection::vec(span(), 0..6)) {
        let data = encode::spans(&spans);
        prop_assert_eq!(&decode::spans(&data), &spans);
        prop_assert_eq!(&json::spans(&to_json::spans(&spans).to_string()).unwrap(), &spans);
        // The official messages hold the same bytes.
        let official = ExportTraceServiceRequest::decode(&*data).unwrap();
        prop_assert_eq!(&decode::spans(&official.encode_to_vec()), &spans);
        // Taken apart by trace and put together again.
        let traces = split::traces(&data).unwrap();
        prop_assert_eq!(traces.invalid, 0);
        let mut apart: Vec<Span> = Vec::new();
        for part in &traces.parts {
            let of_trace = decode::spans(&part.data);
            prop_assert!(of_trace.iter().all(|span| span.trace == part.trace));
            prop_assert_eq!(part.summary.spans, of_trace.len() as u64);
            let errors = of_trace.iter().filter(|span| span.status.is_error()).count();
            prop_assert_eq!(part.summary.errors, errors as u64);
            prop_assert_eq!(part.summary.start, of_trace.iter().map(|span| span.start).min().unwrap());
            apart.extend(of_trace);
        }
        let sorted = |mut spans: Vec<Span>| {
            spans.sort_by_key(|span| format!("{span:?}"));
            spans
        };
        prop_assert_eq!(sorted(apart), sorted(spans));
    }

    #[test]
    fn records_come_back_from_both_encodings(records in prop::collection::vec(record(), 0..6)) {
        let data = encode::logs(&records);
        prop_assert_eq!(&decode::logs(&data), &records);
        let (from_json, invalid) = json::to_protobuf(Signal::Logs, &to_json::logs(&records).to_string()).unwrap();
        prop_assert_eq!((&decode::logs(&from_json), invalid), (&records, 0));
        let official = ExportLogsServiceRequest::decode(&*data).unwrap();
        prop_assert_eq!(&decode::logs(&official.encode_to_vec()), &records);
        let logs = split::logs(&data).unwrap();
        let apart: Vec<LogRecord> = logs.records.iter()
            .flat_map(|part| decode::logs(&split::with_resource(&logs.resources[part.resource], &part.data)))
            .collect();
        prop_assert_eq!(apart, records);
    }

    #[test]
    fn hostile_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _may_be_malformed = (split::traces(&bytes), split::logs(&bytes));
        decode::spans(&bytes);
        decode::logs(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _is_malformed = (json::spans(&text), json::to_protobuf(Signal::Logs, &text));
    }
}

/// The spans of a request in JSON, in short.
#[track_caller]
fn check_json(request: &str, expected: &str) {
    let is = match json::spans(request) {
        Ok(spans) => spans
            .iter()
            .map(|span| {
                let values = span.attributes.iter().map(|of| format!("{}={}", of.key, of.value.text()));
                let (name, kind, took) =
                    (&span.name, span.kind.as_str(), span.end.unwrap().since(span.start));
                let error = if span.status.is_error() { " error" } else { "" };
                let values: Vec<String> = values.collect();
                format!("{name} {kind} {}ns{error} {}", took.as_nanos(), values.join(" "))
            })
            .collect::<Vec<_>>()
            .join("; "),
        Err(why) => why.to_string(),
    };
    assert_eq!(is, expected, "{request}");
}

#[test]
fn json_is_read_in_every_spelling() {
    let ids = r#""traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708""#;
    let request = |span: &str| {
        format!(r#"{{"resourceSpans":[{{"resource":{{}},"scopeSpans":[{{"spans":[{{{ids},{span}}}]}}]}}]}}"#)
    };
    let times = r#""startTimeUnixNano":"10","endTimeUnixNano":"15""#;
    check_json(&request(&format!(r#""name":"a","kind":2,{times}"#)), "a server 5ns ");
    check_json(
        &request(r#""name":"a","kind":"SPAN_KIND_SERVER","startTimeUnixNano":10,"endTimeUnixNano":15"#),
        "a server 5ns ",
    );
    check_json(
        &request(
            r#""name":"a","kind":"3","start_time_unix_nano":10,"end_time_unix_nano":1.5e1,"events":null"#,
        ),
        "a client 5ns ",
    );
    check_json(
        &request(&format!(r#""name":"a","status":{{"code":"STATUS_CODE_ERROR"}},{times}"#)),
        "a unspecified 5ns error ",
    );
    let value = |value: &str| {
        request(&format!(r#""name":"a",{times},"attributes":[{{"key":"k","value":{value}}}],"unknown":{{}}"#))
    };
    for (json, expected) in [
        (r#"{"stringValue":"x"}"#, "x"),
        (r#"{"string_value":"x"}"#, "x"),
        (r#"{"intValue":"-7"}"#, "-7"),
        (r#"{"intValue":-7}"#, "-7"),
        (r#"{"boolValue":true}"#, "true"),
        (r#"{"doubleValue":"NaN"}"#, "null"),
        (r#"{"doubleValue":0.5}"#, "0.5"),
        (r#"{"arrayValue":{"values":[{"intValue":1},{}]}}"#, "[1,null]"),
        (r#"{"kvlistValue":{"values":[{"key":"b","value":{"intValue":1}}]}}"#, r#"{"b":1}"#),
        (r#"{"bytesValue":"AQI="}"#, "AQI="),
        (r#"{"stringValue":null}"#, ""),
        ("null", ""),
        ("{}", ""),
        ("7", ""),
    ] {
        check_json(&value(json), &format!("a unspecified 5ns k={expected}"));
    }
    check_json(r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"00","name":"a"}]}]}]}"#, "");
    check_json("{}", "");
    check_json("[]", "the body is not OTLP in JSON: it is no object");
    check_json("{", "the body is not OTLP in JSON: EOF while parsing an object at line 1 column 1");
}

#[test]
fn what_is_too_large_is_cut_and_counted() {
    let long = "x".repeat(limits::FIELD);
    let attribute = |key: &str| Attribute::text(key, long.as_str());
    let span = Span {
        trace: TraceId([1; 16]),
        id: SpanId([2; 8]),
        parent: None,
        name: Untrusted::from("y".repeat(3 * limits::FIELD)),
        kind: SpanKind::Server,
        start: UnixNanos(1),
        end: Some(UnixNanos(2)),
        status: SpanStatus::Error("z".repeat(2 * limits::FIELD).into()),
        attributes: vec![attribute("a"), Attribute::text("b", "short"), attribute("c")],
        events: vec![SpanEvent { at: UnixNanos(1), name: "e".into(), attributes: vec![attribute("d")] }],
        links: Vec::new(),
        dropped: 0,
        resource: Arc::new(Resource {
            attributes: vec![attribute("r"), Attribute::text("service.name", "s")],
        }),
        scope: "scope".into(),
    };
    let traces = split::traces(&encode::spans(&[span])).unwrap();
    let part = &traces.parts[0];
    assert!(part.data.len() < limits::ITEM, "{}", part.data.len());
    assert_eq!(part.summary.dropped, 5);
    let kept = &decode::spans(&part.data)[0];
    assert_eq!(kept.attributes, [Attribute::text("b", "short")]);
    assert_eq!((kept.events.len(), kept.dropped), (0, 5));
    assert_eq!(kept.name.len(), limits::FIELD / 2);
    assert!(matches!(&kept.status, SpanStatus::Error(why) if why.len() == limits::FIELD / 2));
    assert_eq!(kept.resource.service(), "s".into());

    let record = LogRecord {
        at: UnixNanos(5),
        severity: Severity::Warn,
        body: Value::Text(Untrusted::from("w".repeat(limits::ITEM))),
        attributes: vec![attribute("a")],
        trace: None,
        span: None,
        dropped: 0,
        resource: Arc::default(),
        scope: Untrusted::default(),
    };
    let logs = split::logs(&encode::logs(&[record])).unwrap();
    let kept = &decode::logs(&split::with_resource(&logs.resources[0], &logs.records[0].data))[0];
    assert_eq!((kept.body.text().len(), kept.attributes.len(), kept.dropped), (limits::FIELD / 2, 0, 2));
}
