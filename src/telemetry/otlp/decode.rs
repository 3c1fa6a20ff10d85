//! Spans and records from the protocol buffers that the store keeps.

use std::sync::Arc;

use super::super::limits;
use super::super::model::{
    Attribute, LogRecord, Resource, Severity, Span, SpanEvent, SpanKind, SpanLink, SpanStatus, UnixNanos,
    Value,
};
use super::super::protobuf::{self, Malformed, fields};
use super::{number, span_id, trace_id};
use crate::domain::text::Untrusted;
use crate::domain::trace::{SpanId, TraceId};

/// The spans of `TracesData`. What cannot be read is left out.
pub fn spans(data: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    each_item(data, |resource, scope, raw| {
        if let Ok(Some(span)) = span(raw, resource, scope) {
            spans.push(span);
        }
    });
    spans
}

/// The records of `LogsData`. What cannot be read is left out.
pub fn logs(data: &[u8]) -> Vec<LogRecord> {
    let mut records = Vec::new();
    each_item(data, |resource, scope, raw| {
        if let Ok(record) = log(raw, resource, scope) {
            records.push(record);
        }
    });
    records
}

/// Calls `take` with each span or record, its resource and the name of its scope, as far as they can be read.
fn each_item(data: &[u8], mut take: impl FnMut(&Arc<Resource>, &Untrusted, &[u8])) {
    let of = |number, message| fields(message).flatten().filter(move |field| field.number == number);
    for of_resource in of(number::RESOURCE_ITEMS, data) {
        let of_resource = of_resource.value.bytes();
        let resource = of(number::RESOURCE, of_resource).next();
        let resource = resource.map(|field| resource_of(field.value.bytes())).unwrap_or_default();
        let resource = Arc::new(resource);
        for of_scope in of(number::SCOPE_ITEMS, of_resource) {
            let of_scope = of_scope.value.bytes();
            let scope = of(number::SCOPE, of_scope).next();
            let scope = scope.and_then(|field| of(number::SCOPE_NAME, field.value.bytes()).next());
            let scope = scope.map(|field| text(field.value.bytes())).unwrap_or_default();
            for item in of(number::ITEMS, of_scope) {
                take(&resource, &scope, item.value.bytes());
            }
        }
    }
}

/// A resource from its message; what cannot be read is left out.
pub fn resource_of(message: &[u8]) -> Resource {
    let attributes = fields(message).flatten().filter(|field| field.number == number::RESOURCE_ATTRIBUTES);
    Resource { attributes: attributes.filter_map(|field| attribute(field.value.bytes(), 0).ok()).collect() }
}

/// Text from bytes that should be UTF-8.
pub(super) fn text(bytes: &[u8]) -> Untrusted {
    Untrusted::new(String::from_utf8_lossy(bytes))
}

fn span(raw: &[u8], resource: &Arc<Resource>, scope: &Untrusted) -> Result<Option<Span>, Malformed> {
    use number::span as n;
    let mut ids: (Option<TraceId>, Option<SpanId>) = (None, None);
    let mut end = 0;
    let mut span = Span {
        trace: TraceId([0; 16]),
        id: SpanId([0; 8]),
        parent: None,
        name: Untrusted::default(),
        kind: SpanKind::default(),
        start: UnixNanos::default(),
        end: None,
        status: SpanStatus::default(),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        dropped: 0,
        resource: resource.clone(),
        scope: scope.clone(),
    };
    for field in fields(raw) {
        let field = field?;
        let value = field.value;
        match field.number {
            n::TRACE => ids.0 = trace_id(value.bytes()),
            n::ID => ids.1 = span_id(value.bytes()),
            n::PARENT => span.parent = span_id(value.bytes()),
            n::NAME => span.name = text(value.bytes()),
            n::KIND => span.kind = SpanKind::from_number(value.number()),
            n::START => span.start = UnixNanos(value.number()),
            n::END => end = value.number(),
            n::ATTRIBUTES => span.attributes.push(attribute(value.bytes(), 0)?),
            n::EVENTS => span.events.push(event(value.bytes())?),
            n::LINKS => span.links.extend(link(value.bytes())?),
            n::DROPPED_ATTRIBUTES | n::DROPPED_EVENTS | n::DROPPED_LINKS => {
                span.dropped = span.dropped.saturating_add(u32::try_from(value.number()).unwrap_or(u32::MAX));
            }
            n::STATUS => span.status = status(value.bytes())?,
            _ => {}
        }
    }
    // An end before the begin, or none, is how some exporters write a span of no length.
    span.end = Some(UnixNanos(end.max(span.start.0)));
    let (Some(trace), Some(id)) = ids else { return Ok(None) };
    Ok(Some(Span { trace, id, ..span }))
}

fn status(raw: &[u8]) -> Result<SpanStatus, Malformed> {
    let (mut code, mut message) = (0, Untrusted::default());
    for field in fields(raw) {
        let field = field?;
        match field.number {
            number::span::STATUS_CODE => code = field.value.number(),
            number::span::STATUS_MESSAGE => message = text(field.value.bytes()),
            _ => {}
        }
    }
    Ok(match code {
        1 => SpanStatus::Ok,
        number::span::STATUS_ERROR => SpanStatus::Error(message),
        _ => SpanStatus::Unset,
    })
}

fn event(raw: &[u8]) -> Result<SpanEvent, Malformed> {
    let mut event =
        SpanEvent { at: UnixNanos::default(), name: Untrusted::default(), attributes: Vec::new() };
    for field in fields(raw) {
        let field = field?;
        match field.number {
            number::span::EVENT_TIME => event.at = UnixNanos(field.value.number()),
            number::span::EVENT_NAME => event.name = text(field.value.bytes()),
            number::span::EVENT_ATTRIBUTES => event.attributes.push(attribute(field.value.bytes(), 0)?),
            _ => {}
        }
    }
    Ok(event)
}

fn link(raw: &[u8]) -> Result<Option<SpanLink>, Malformed> {
    let (mut trace, mut span, mut attributes) = (None, None, Vec::new());
    for field in fields(raw) {
        let field = field?;
        match field.number {
            number::span::LINK_TRACE => trace = trace_id(field.value.bytes()),
            number::span::LINK_SPAN => span = span_id(field.value.bytes()),
            number::span::LINK_ATTRIBUTES => attributes.push(attribute(field.value.bytes(), 0)?),
            _ => {}
        }
    }
    Ok(trace.zip(span).map(|(trace, span)| SpanLink { trace, span, attributes }))
}

fn log(raw: &[u8], resource: &Arc<Resource>, scope: &Untrusted) -> Result<LogRecord, Malformed> {
    use number::log as n;
    let (mut time, mut observed) = (0, 0);
    let mut record = LogRecord {
        at: UnixNanos::default(),
        severity: Severity::default(),
        body: Value::Empty,
        attributes: Vec::new(),
        trace: None,
        span: None,
        dropped: 0,
        resource: resource.clone(),
        scope: scope.clone(),
    };
    let mut word = Untrusted::default();
    for field in fields(raw) {
        let field = field?;
        let value = field.value;
        match field.number {
            n::TIME => time = value.number(),
            n::OBSERVED => observed = value.number(),
            n::SEVERITY => record.severity = Severity::from_number(value.number()),
            n::SEVERITY_TEXT => word = text(value.bytes()),
            n::BODY => record.body = any_value(value.bytes(), 0)?,
            n::ATTRIBUTES => record.attributes.push(attribute(value.bytes(), 0)?),
            n::DROPPED_ATTRIBUTES => record.dropped = u32::try_from(value.number()).unwrap_or(u32::MAX),
            n::TRACE => record.trace = trace_id(value.bytes()),
            n::SPAN => record.span = span_id(value.bytes()),
            _ => {}
        }
    }
    record.at = UnixNanos(if time == 0 { observed } else { time });
    if record.severity == Severity::Unspecified {
        record.severity = Severity::from_word(word.raw()).unwrap_or_default();
    }
    Ok(record)
}

/// A `KeyValue`.
pub(super) fn attribute(raw: &[u8], depth: usize) -> Result<Attribute, Malformed> {
    let mut attribute = Attribute { key: Untrusted::default(), value: Value::Empty };
    for field in fields(raw) {
        let field = field?;
        match field.number {
            number::KEY => attribute.key = text(field.value.bytes()),
            number::VALUE => attribute.value = any_value(field.value.bytes(), depth)?,
            _ => {}
        }
    }
    Ok(attribute)
}

/// An `AnyValue`. Values that are nested too deeply are empty; of long lists, the first elements are taken.
pub(super) fn any_value(raw: &[u8], depth: usize) -> Result<Value, Malformed> {
    use number::value as n;
    let mut value = Value::Empty;
    for field in fields(raw) {
        let field = field?;
        value = match (field.number, field.value) {
            (n::TEXT, protobuf::Value::Bytes(bytes)) => Value::Text(text(bytes)),
            (n::BOOL, flag) => Value::Bool(flag.number() != 0),
            (n::INT, int) => Value::Int(int.number().cast_signed()),
            (n::DOUBLE, protobuf::Value::Fixed64(bits)) => Value::Double(f64::from_bits(bits)),
            (n::BYTES, protobuf::Value::Bytes(bytes)) => Value::Bytes(bytes.into()),
            (n::LIST | n::MAP, _) if depth >= limits::DEPTH => Value::Empty,
            (n::LIST, protobuf::Value::Bytes(list)) => {
                let values = elements(list).map(|raw| any_value(raw?, depth + 1));
                Value::List(values.collect::<Result<_, _>>()?)
            }
            (n::MAP, protobuf::Value::Bytes(map)) => {
                let members = elements(map).map(|raw| attribute(raw?, depth + 1));
                Value::Map(members.collect::<Result<_, _>>()?)
            }
            _ => continue,
        };
    }
    Ok(value)
}

fn elements(message: &[u8]) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    fields(message)
        .filter(|field| {
            field.as_ref().is_ok_and(|field| field.number == number::value::ELEMENT) || field.is_err()
        })
        .take(limits::ELEMENTS)
        .map(|field| field.map(|field| field.value.bytes()))
}
