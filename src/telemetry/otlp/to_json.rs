//! OTLP in JSON, as other tools read it: ids in hexadecimal digits, 64-bit numbers as texts, enums as numbers.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::super::model::{Attribute, LogRecord, Resource, Span, SpanStatus, Value};
use crate::domain::text::Untrusted;

/// Spans as `TracesData`.
pub fn spans(spans: &[Span]) -> Json {
    grouped(spans, ["resourceSpans", "scopeSpans", "spans"], |span| (&span.resource, &span.scope), span)
}

/// Records as `LogsData`.
pub fn logs(records: &[LogRecord]) -> Json {
    grouped(
        records,
        ["resourceLogs", "scopeLogs", "logRecords"],
        |record| (&record.resource, &record.scope),
        log,
    )
}

fn grouped<T>(
    items: &[T],
    names: [&str; 3],
    of: impl Fn(&T) -> (&Arc<Resource>, &Untrusted),
    put: impl Fn(&T) -> Json,
) -> Json {
    let groups = items.chunk_by(|a, b| of(a) == of(b)).map(|group| {
        let (resource, scope) = of(&group[0]);
        let items: Vec<Json> = group.iter().map(&put).collect();
        let mut of_scope = json!({ "scope": { "name": scope.raw() } });
        of_scope[names[2]] = items.into();
        let mut of_resource = json!({ "resource": { "attributes": attributes(&resource.attributes) } });
        of_resource[names[1]] = vec![of_scope].into();
        of_resource
    });
    let groups: Vec<Json> = groups.collect();
    let mut data = json!({});
    data[names[0]] = groups.into();
    data
}

fn span(span: &Span) -> Json {
    let mut json = json!({
        "traceId": span.trace.to_string(),
        "spanId": span.id.to_string(),
        "name": span.name.raw(),
        "kind": span.kind.number(),
        "startTimeUnixNano": span.start.0.to_string(),
        "endTimeUnixNano": span.end.unwrap_or_default().0.to_string(),
        "attributes": attributes(&span.attributes),
    });
    if let Some(parent) = span.parent {
        json["parentSpanId"] = parent.to_string().into();
    }
    if span.dropped > 0 {
        json["droppedAttributesCount"] = span.dropped.into();
    }
    if !span.events.is_empty() {
        let events = span.events.iter().map(|event| {
            json!({
                "timeUnixNano": event.at.0.to_string(),
                "name": event.name.raw(),
                "attributes": attributes(&event.attributes),
            })
        });
        json["events"] = events.collect();
    }
    if !span.links.is_empty() {
        let links = span.links.iter().map(|link| {
            json!({
                "traceId": link.trace.to_string(),
                "spanId": link.span.to_string(),
                "attributes": attributes(&link.attributes),
            })
        });
        json["links"] = links.collect();
    }
    match &span.status {
        SpanStatus::Unset => {}
        SpanStatus::Ok => json["status"] = json!({ "code": 1 }),
        SpanStatus::Error(why) => json["status"] = json!({ "code": 2, "message": why.raw() }),
    }
    json
}

fn log(record: &LogRecord) -> Json {
    let mut json = json!({
        "timeUnixNano": record.at.0.to_string(),
        "severityNumber": record.severity.number(),
        "severityText": record.severity.as_str().to_ascii_uppercase(),
        "body": any_value(&record.body),
        "attributes": attributes(&record.attributes),
    });
    if let Some(trace) = record.trace {
        json["traceId"] = trace.to_string().into();
    }
    if let Some(span) = record.span {
        json["spanId"] = span.to_string().into();
    }
    if record.dropped > 0 {
        json["droppedAttributesCount"] = record.dropped.into();
    }
    json
}

fn attributes(attributes: &[Attribute]) -> Json {
    attributes.iter().map(key_value).collect()
}

fn key_value(attribute: &Attribute) -> Json {
    json!({ "key": attribute.key.raw(), "value": any_value(&attribute.value) })
}

fn any_value(value: &Value) -> Json {
    match value {
        Value::Empty => json!({}),
        Value::Text(text) => json!({ "stringValue": text.raw() }),
        Value::Bool(value) => json!({ "boolValue": value }),
        Value::Int(value) => json!({ "intValue": value.to_string() }),
        Value::Double(value) if value.is_finite() => json!({ "doubleValue": value }),
        Value::Double(value) if value.is_nan() => json!({ "doubleValue": "NaN" }),
        Value::Double(value) => {
            json!({ "doubleValue": if *value > 0.0 { "Infinity" } else { "-Infinity" } })
        }
        Value::Bytes(bytes) => json!({ "bytesValue": STANDARD.encode(bytes) }),
        Value::List(values) => {
            let values: Vec<Json> = values.iter().map(any_value).collect();
            json!({ "arrayValue": { "values": values } })
        }
        Value::Map(members) => {
            let members: Vec<Json> = members.iter().map(key_value).collect();
            json!({ "kvlistValue": { "values": members } })
        }
    }
}
