//! Requests in JSON, as protocol buffers.
//!
//! Liberal: numbers may be texts and texts numbers, enums are numbers or names, members are camelCase or snake_case, `null`
//! is absent, and what is unknown is skipped. Exporters differ in all of these.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value as Json;

use super::super::limits;
use super::super::model::{
    Attribute, LogRecord, Resource, Severity, Span, SpanEvent, SpanKind, SpanLink, SpanStatus, UnixNanos,
    Value,
};
use super::{Signal, Unreadable, encode, span_id, trace_id};
use crate::domain::text::Untrusted;
use crate::protocol::json::same_name;

/// A request in JSON as protocol buffers, and the number of its items without valid ids.
///
/// # Errors
/// It is not JSON, is nested too deeply, or has too many items.
pub fn to_protobuf(signal: Signal, request: &str) -> Result<(Vec<u8>, u64), Unreadable> {
    // serde_json refuses more than 128 levels by itself.
    let request: Json = serde_json::from_str(request).map_err(|error| Unreadable::Json(error.to_string()))?;
    if !request.is_object() {
        return Err(Unreadable::Json("it is no object".to_owned()));
    }
    match signal {
        Signal::Traces => {
            let items = items(&request, ["resourceSpans", "scopeSpans", "spans"])?;
            let count = items.len();
            let spans: Vec<Span> =
                items.into_iter().filter_map(|(resource, scope, json)| span(json, resource, scope)).collect();
            let invalid = count - spans.len();
            Ok((encode::spans(&spans), invalid as u64))
        }
        Signal::Logs => {
            let items = items(&request, ["resourceLogs", "scopeLogs", "logRecords"])?;
            let records: Vec<LogRecord> =
                items.into_iter().map(|(resource, scope, json)| log(json, resource, scope)).collect();
            Ok((encode::logs(&records), 0))
        }
    }
}

/// The spans of OTLP in JSON; those without valid ids are left out.
///
/// # Errors
/// As [`to_protobuf`].
pub fn spans(text: &str) -> Result<Vec<Span>, Unreadable> {
    Ok(super::decode::spans(&to_protobuf(Signal::Traces, text)?.0))
}

type Item<'a> = (Arc<Resource>, Untrusted, &'a Json);

fn items<'a>(request: &'a Json, names: [&str; 3]) -> Result<Vec<Item<'a>>, Unreadable> {
    let mut items = Vec::new();
    for of_resource in list(request, names[0]) {
        let resource = get(of_resource, "resource").map(|resource| attributes(resource, "attributes"));
        let resource = Arc::new(Resource { attributes: resource.unwrap_or_default() });
        let scopes = list(of_resource, names[1]);
        // The name of scopes before OTLP 1.0.
        let older = if names[0] == "resourceSpans" {
            "instrumentationLibrarySpans"
        } else {
            "instrumentationLibraryLogs"
        };
        for of_scope in scopes.chain(list(of_resource, older)) {
            let scope = get(of_scope, "scope").map(|scope| text(scope, "name")).unwrap_or_default();
            for item in list(of_scope, names[2]) {
                items.push((resource.clone(), scope.clone(), item));
                if items.len() > limits::ITEMS {
                    return Err(Unreadable::TooMany(limits::ITEMS));
                }
            }
        }
    }
    Ok(items)
}

fn get<'a>(json: &'a Json, name: &str) -> Option<&'a Json> {
    let object = json.as_object()?;
    let found = object
        .get(name)
        .or_else(|| object.iter().find(|(member, _)| same_name(member, name)).map(|(_, value)| value));
    found.filter(|value| !value.is_null())
}

fn list<'a>(json: &'a Json, name: &str) -> impl Iterator<Item = &'a Json> {
    get(json, name).and_then(Json::as_array).into_iter().flatten()
}

fn text(json: &Json, name: &str) -> Untrusted {
    match get(json, name) {
        Some(Json::String(text)) => text.as_str().into(),
        Some(Json::Number(number)) => number.to_string().into(),
        Some(Json::Bool(value)) => value.to_string().into(),
        Some(Json::Null | Json::Array(_) | Json::Object(_)) | None => Untrusted::default(),
    }
}

fn number(json: &Json, name: &str) -> u64 {
    match get(json, name) {
        Some(Json::Number(number)) => number.as_u64().unwrap_or_else(|| whole(number.as_f64())),
        Some(Json::String(text)) => text.trim().parse().unwrap_or_else(|_| whole(text.trim().parse().ok())),
        _ => 0,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
fn whole(number: Option<f64>) -> u64 {
    number.unwrap_or(0.0) as u64
}

/// Bytes in hexadecimal digits, as OTLP has ids; in base64, as plain protocol buffers have them.
fn id<const N: usize>(json: &Json, name: &str) -> Vec<u8> {
    let Some(Json::String(text)) = get(json, name) else { return Vec::new() };
    if text.len() == 2 * N && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let digit = |place: usize| u8::from_str_radix(&text[place..place + 2], 16).unwrap_or(0);
        return (0..N).map(|place| digit(2 * place)).collect();
    }
    base64_of(text).filter(|bytes| bytes.len() == N).unwrap_or_default()
}

fn base64_of(text: &str) -> Option<Vec<u8>> {
    let engines = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD];
    engines.into_iter().find_map(|engine| engine.decode(text).ok())
}

/// An enum by its number, or by its name behind a prefix: `SPAN_KIND_SERVER`.
fn word(json: &Json, name: &str, prefix: &str) -> Option<String> {
    match get(json, name)? {
        Json::String(word) if word.parse::<u64>().is_err() => {
            let word = word.to_ascii_uppercase();
            Some(word.strip_prefix(prefix).unwrap_or(&word).to_ascii_lowercase())
        }
        _ => None,
    }
}

fn span(json: &Json, resource: Arc<Resource>, scope: Untrusted) -> Option<Span> {
    let kind = match word(json, "kind", "SPAN_KIND_") {
        Some(word) => SpanKind::ALL.into_iter().find(|kind| kind.as_str() == word).unwrap_or_default(),
        None => SpanKind::from_number(number(json, "kind")),
    };
    let status = get(json, "status").map(|status| {
        let code = match word(status, "code", "STATUS_CODE_").as_deref() {
            Some("ok") => 1,
            Some("error") => 2,
            Some(_) => 0,
            None => number(status, "code"),
        };
        match code {
            1 => SpanStatus::Ok,
            2 => SpanStatus::Error(text(status, "message")),
            _ => SpanStatus::Unset,
        }
    });
    let dropped = ["droppedAttributesCount", "droppedEventsCount", "droppedLinksCount"];
    let dropped: u64 = dropped.iter().map(|name| number(json, name)).fold(0, u64::saturating_add);
    Some(Span {
        trace: trace_id(&id::<16>(json, "traceId"))?,
        id: span_id(&id::<8>(json, "spanId"))?,
        parent: span_id(&id::<8>(json, "parentSpanId")),
        name: text(json, "name"),
        kind,
        start: UnixNanos(number(json, "startTimeUnixNano")),
        end: Some(UnixNanos(number(json, "endTimeUnixNano"))),
        status: status.unwrap_or_default(),
        attributes: attributes(json, "attributes"),
        events: list(json, "events").map(event).collect(),
        links: list(json, "links").filter_map(link).collect(),
        dropped: u32::try_from(dropped).unwrap_or(u32::MAX),
        resource,
        scope,
    })
}

fn event(json: &Json) -> SpanEvent {
    SpanEvent {
        at: UnixNanos(number(json, "timeUnixNano")),
        name: text(json, "name"),
        attributes: attributes(json, "attributes"),
    }
}

fn link(json: &Json) -> Option<SpanLink> {
    Some(SpanLink {
        trace: trace_id(&id::<16>(json, "traceId"))?,
        span: span_id(&id::<8>(json, "spanId"))?,
        attributes: attributes(json, "attributes"),
    })
}

fn log(json: &Json, resource: Arc<Resource>, scope: Untrusted) -> LogRecord {
    let time = number(json, "timeUnixNano");
    let at = if time == 0 { number(json, "observedTimeUnixNano") } else { time };
    let severity = match word(json, "severityNumber", "SEVERITY_NUMBER_") {
        // `INFO2` is as severe as `INFO`.
        Some(word) => Severity::from_word(word.trim_end_matches(|c: char| c.is_ascii_digit())),
        None => Some(Severity::from_number(number(json, "severityNumber"))),
    };
    let severity = severity.filter(|severity| *severity != Severity::Unspecified);
    let severity = severity.or_else(|| Severity::from_word(text(json, "severityText").raw()));
    LogRecord {
        at: UnixNanos(at),
        severity: severity.unwrap_or_default(),
        body: get(json, "body").map(|body| any_value(body, 0)).unwrap_or_default(),
        attributes: attributes(json, "attributes"),
        trace: trace_id(&id::<16>(json, "traceId")),
        span: span_id(&id::<8>(json, "spanId")),
        dropped: u32::try_from(number(json, "droppedAttributesCount")).unwrap_or(u32::MAX),
        resource,
        scope,
    }
}

fn attributes(json: &Json, name: &str) -> Vec<Attribute> {
    list(json, name).map(|json| attribute(json, 0)).collect()
}

fn attribute(json: &Json, depth: usize) -> Attribute {
    let value = get(json, "value").map(|value| any_value(value, depth)).unwrap_or_default();
    Attribute { key: text(json, "key"), value }
}

/// An `AnyValue`: an object with one member that names the type.
fn any_value(json: &Json, depth: usize) -> Value {
    let Some((kind, value)) =
        json.as_object().and_then(|object| object.iter().find(|(_, value)| !value.is_null()))
    else {
        return Value::Empty;
    };
    let is = |name: &str| same_name(kind, name);
    let inner =
        |depth: usize| list(value, "values").take(limits::ELEMENTS).map(move |value| (value, depth + 1));
    if is("stringValue") {
        Value::Text(text(json, "stringValue"))
    } else if is("intValue") {
        match value {
            Json::Number(number) => number.as_i64().map_or(Value::Empty, Value::Int),
            Json::String(text) => text.trim().parse().map_or(Value::Empty, Value::Int),
            _ => Value::Empty,
        }
    } else if is("doubleValue") {
        match value {
            Json::Number(number) => number.as_f64().map_or(Value::Empty, Value::Double),
            // `NaN`, `Infinity` and `-Infinity` are texts.
            Json::String(text) => text.trim().parse().map_or(Value::Empty, Value::Double),
            _ => Value::Empty,
        }
    } else if is("boolValue") {
        Value::Bool(value.as_bool().unwrap_or_else(|| value.as_str() == Some("true")))
    } else if is("bytesValue") {
        let bytes = value.as_str().and_then(base64_of).unwrap_or_default();
        Value::Bytes(bytes.into())
    } else if depth >= limits::DEPTH {
        Value::Empty
    } else if is("arrayValue") {
        Value::List(inner(depth).map(|(value, depth)| any_value(value, depth)).collect())
    } else if is("kvlistValue") {
        Value::Map(inner(depth).map(|(value, depth)| attribute(value, depth)).collect())
    } else {
        Value::Empty
    }
}
