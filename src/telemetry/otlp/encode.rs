//! Spans and records as protocol buffers.

use std::sync::Arc;

use super::super::model::{Attribute, LogRecord, Resource, Span, SpanStatus, Value};
use super::super::protobuf::Message;
use super::number;
use crate::domain::text::Untrusted;

/// Spans as `TracesData`, which is also a request to export them.
pub fn spans(spans: &[Span]) -> Vec<u8> {
    grouped(spans, |span| (&span.resource, &span.scope), put_span)
}

/// Records as `LogsData`, which is also a request to export them.
pub fn logs(records: &[LogRecord]) -> Vec<u8> {
    grouped(records, |record| (&record.resource, &record.scope), put_log)
}

/// Items in order, those that follow each other under one resource and scope together.
fn grouped<T>(
    items: &[T],
    of: impl Fn(&T) -> (&Arc<Resource>, &Untrusted),
    put: impl Fn(&T, &mut Message),
) -> Vec<u8> {
    let mut data = Message::default();
    let same = |a: &T, b: &T| of(a) == of(b);
    for group in items.chunk_by(same) {
        let (resource, scope) = of(&group[0]);
        data.nested(number::RESOURCE_ITEMS, |of_resource| {
            of_resource.nested(number::RESOURCE, |message| {
                attributes(message, number::RESOURCE_ATTRIBUTES, &resource.attributes);
            });
            of_resource.nested(number::SCOPE_ITEMS, |of_scope| {
                of_scope.nested(number::SCOPE, |message| {
                    message.bytes(number::SCOPE_NAME, scope.raw().as_bytes());
                });
                for item in group {
                    of_scope.nested(number::ITEMS, |message| put(item, message));
                }
            });
        });
    }
    data.0
}

fn put_span(span: &Span, message: &mut Message) {
    use number::span as n;
    message.bytes(n::TRACE, &span.trace.0);
    message.bytes(n::ID, &span.id.0);
    if let Some(parent) = span.parent {
        message.bytes(n::PARENT, &parent.0);
    }
    message.bytes(n::NAME, span.name.raw().as_bytes());
    message.varint(n::KIND, span.kind.number());
    message.fixed64(n::START, span.start.0);
    message.fixed64(n::END, span.end.unwrap_or_default().0);
    attributes(message, n::ATTRIBUTES, &span.attributes);
    message.varint(n::DROPPED_ATTRIBUTES, span.dropped.into());
    for event in &span.events {
        message.nested(n::EVENTS, |message| {
            message.fixed64(n::EVENT_TIME, event.at.0);
            message.bytes(n::EVENT_NAME, event.name.raw().as_bytes());
            attributes(message, n::EVENT_ATTRIBUTES, &event.attributes);
        });
    }
    for link in &span.links {
        message.nested(n::LINKS, |message| {
            message.bytes(n::LINK_TRACE, &link.trace.0);
            message.bytes(n::LINK_SPAN, &link.span.0);
            attributes(message, n::LINK_ATTRIBUTES, &link.attributes);
        });
    }
    match &span.status {
        SpanStatus::Unset => {}
        SpanStatus::Ok => message.nested(n::STATUS, |message| message.varint(n::STATUS_CODE, 1)),
        SpanStatus::Error(why) => message.nested(n::STATUS, |message| {
            message.bytes(n::STATUS_MESSAGE, why.raw().as_bytes());
            message.varint(n::STATUS_CODE, n::STATUS_ERROR);
        }),
    }
}

fn put_log(record: &LogRecord, message: &mut Message) {
    use number::log as n;
    message.fixed64(n::TIME, record.at.0);
    message.varint(n::SEVERITY, record.severity.number());
    if record.body != Value::Empty {
        message.nested(n::BODY, |message| any_value(message, &record.body));
    }
    attributes(message, n::ATTRIBUTES, &record.attributes);
    message.varint(n::DROPPED_ATTRIBUTES, record.dropped.into());
    if let Some(trace) = record.trace {
        message.bytes(n::TRACE, &trace.0);
    }
    if let Some(span) = record.span {
        message.bytes(n::SPAN, &span.0);
    }
}

fn attributes(message: &mut Message, number: u32, attributes: &[Attribute]) {
    for attribute in attributes {
        message.nested(number, |message| key_value(message, attribute));
    }
}

fn key_value(message: &mut Message, attribute: &Attribute) {
    message.bytes(number::KEY, attribute.key.raw().as_bytes());
    message.nested(number::VALUE, |message| any_value(message, &attribute.value));
}

fn any_value(message: &mut Message, value: &Value) {
    use number::value as n;
    match value {
        Value::Empty => {}
        Value::Text(text) => message.message(n::TEXT, text.raw().as_bytes()),
        Value::Bool(value) => message.present_varint(n::BOOL, u64::from(*value)),
        Value::Int(value) => message.present_varint(n::INT, value.cast_unsigned()),
        Value::Double(value) => message.present_fixed64(n::DOUBLE, value.to_bits()),
        Value::Bytes(bytes) => message.message(n::BYTES, bytes),
        Value::List(values) => message.nested(n::LIST, |message| {
            for value in values {
                message.nested(n::ELEMENT, |message| any_value(message, value));
            }
        }),
        Value::Map(members) => message.nested(n::MAP, |message| {
            for member in members {
                message.nested(n::ELEMENT, |message| key_value(message, member));
            }
        }),
    }
}
