//! Takes a request apart: spans by trace, and records, as the bytes that were sent and within the limits.

use std::collections::BTreeMap;

use super::super::convention::{self, SEARCHABLE};
use super::super::limits;
use super::super::model::{Severity, UnixNanos};
use super::super::protobuf::{Field, Malformed, Message, fields};
use super::decode::{any_value, attribute, resource_of, text};
use super::{Unreadable, number, span_id, trace_id};
use crate::domain::text::Untrusted;
use crate::domain::trace::{SpanId, TraceId};

/// The spans of one trace in one request.
#[derive(Clone, PartialEq, Debug)]
pub struct TracePart {
    /// The trace.
    pub trace: TraceId,
    /// Its spans as `TracesData`.
    pub data: Vec<u8>,
    /// What they say about it.
    pub summary: TraceSummary,
    /// True if its root serves a request of ours that has no trace context: a poll, a probe or a listing.
    pub is_poll: bool,
}

/// What is known about a trace without reading its spans. Parts of a trace add up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TraceSummary {
    /// The earliest begin of a span.
    pub start: UnixNanos,
    /// The latest end of a span.
    pub end: UnixNanos,
    /// The name and service of the root; `None` until it comes.
    pub root: Option<(Untrusted, Untrusted)>,
    /// Services, in the order in which they came.
    pub services: Vec<Untrusted>,
    /// Spans.
    pub spans: u64,
    /// Spans that ended with an error.
    pub errors: u64,
    /// Values of the attributes of [`SEARCHABLE`], each with its place there.
    pub values: Vec<(u8, Untrusted)>,
    /// Spans, attributes or events that were dropped for a limit.
    pub dropped: u64,
}

/// The number of services, and of values for the search, that a summary has.
const SERVICES: usize = 32;
const VALUES: usize = 64;

impl TraceSummary {
    /// Adds what another part of the trace says.
    pub fn add(&mut self, other: &Self) {
        if self.spans == 0 {
            self.start = other.start;
        } else if other.spans > 0 {
            self.start = self.start.min(other.start);
        }
        self.end = self.end.max(other.end);
        if self.root.is_none() {
            self.root.clone_from(&other.root);
        }
        for service in &other.services {
            self.service(service);
        }
        for (key, value) in &other.values {
            self.value(*key, value.clone());
        }
        self.spans += other.spans;
        self.errors += other.errors;
        self.dropped += other.dropped;
    }

    fn service(&mut self, service: &Untrusted) {
        if !service.is_empty() && self.services.len() < SERVICES && !self.services.contains(service) {
            self.services.push(service.clone());
        }
    }

    fn value(&mut self, key: u8, value: Untrusted) {
        let known = self.values.iter().any(|(other, known)| *other == key && *known == value);
        if !known && !value.is_empty() && self.values.len() < VALUES {
            self.values.push((key, value));
        }
    }
}

/// The traces of a request.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Traces {
    /// By trace, in the order in which they came.
    pub parts: Vec<TracePart>,
    /// Spans without a valid trace or span id.
    pub invalid: u64,
}

/// One record of a request.
#[derive(Clone, PartialEq, Debug)]
pub struct LogPart {
    /// When it happened, or was seen if its sender does not say; zero if it says neither.
    pub at: UnixNanos,
    /// How severe it is.
    pub severity: Severity,
    /// The service.
    pub service: Untrusted,
    /// Its trace and span, if it belongs to one.
    pub trace: Option<TraceId>,
    /// Its span.
    pub span: Option<SpanId>,
    /// The place of its resource in [`Logs::resources`].
    pub resource: usize,
    /// What it says.
    pub body: Untrusted,
    /// The record as `LogRecord`.
    pub data: Vec<u8>,
}

/// The records of a request.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Logs {
    /// The resources with their scopes: `ResourceLogs` without a record.
    pub resources: Vec<Vec<u8>>,
    /// The records in order.
    pub records: Vec<LogPart>,
}

/// The spans of `TracesData`, by trace.
///
/// # Errors
/// It cannot be read, or has too many spans; nothing of it counts then.
pub fn traces(request: &[u8]) -> Result<Traces, Unreadable> {
    let mut traces = Traces::default();
    let mut places: BTreeMap<TraceId, usize> = BTreeMap::new();
    let mut count = 0;
    each_scope(request, |group| {
        // The spans of this scope, by the place of their trace.
        let mut spans: BTreeMap<usize, Message> = BTreeMap::new();
        for item in &group.items {
            count += 1;
            if count > limits::ITEMS {
                return Err(Unreadable::TooMany(limits::ITEMS));
            }
            let scanned = scan_span(item.value.bytes())?;
            let (Some(trace), Some(_)) = scanned.ids else {
                traces.invalid += 1;
                continue;
            };
            let place = *places.entry(trace).or_insert_with(|| {
                let part =
                    TracePart { trace, data: Vec::new(), summary: TraceSummary::default(), is_poll: false };
                traces.parts.push(part);
                traces.parts.len() - 1
            });
            traces.parts[place].summary.add(&scanned.summary(group.service));
            traces.parts[place].is_poll |= scanned.parent.is_none() && scanned.is_of_quarterdeck;
            let message = spans.entry(place).or_default();
            match scanned.kept {
                None => message.0.extend_from_slice(item.whole),
                Some(kept) => message.message(number::ITEMS, &kept),
            }
        }
        for (place, spans) in spans {
            append_group(&mut traces.parts[place].data, group.resource, group.scope, &spans.0);
        }
        Ok(())
    })?;
    Ok(traces)
}

/// The records of `LogsData`.
///
/// # Errors
/// It cannot be read, or has too many records; nothing of it counts then.
pub fn logs(request: &[u8]) -> Result<Logs, Unreadable> {
    let mut logs = Logs::default();
    each_scope(request, |group| {
        let mut resource = Vec::new();
        append_group(&mut resource, group.resource, group.scope, &[]);
        for item in &group.items {
            if logs.records.len() >= limits::ITEMS {
                return Err(Unreadable::TooMany(limits::ITEMS));
            }
            logs.records.push(scan_log(item.value.bytes(), group.service, logs.resources.len())?);
        }
        logs.resources.push(resource);
        Ok(())
    })?;
    Ok(logs)
}

/// A record of the store under its resource, as `LogsData`.
pub fn with_resource(resource: &[u8], record: &[u8]) -> Vec<u8> {
    let (mut raw_resource, mut scope) = (&[][..], &[][..]);
    let of_resource = fields(resource).flatten().next().map_or(&[][..], |field| field.value.bytes());
    for field in fields(of_resource).flatten() {
        match field.number {
            number::RESOURCE => raw_resource = field.value.bytes(),
            number::SCOPE_ITEMS => {
                let inner = fields(field.value.bytes()).flatten().next();
                scope = inner.map_or(&[][..], |field| field.value.bytes());
            }
            _ => {}
        }
    }
    let mut item = Message::default();
    item.message(number::ITEMS, record);
    let mut data = Vec::new();
    append_group(&mut data, raw_resource, scope, &item.0);
    data
}

/// The spans or records of one scope of one resource.
struct Group<'a> {
    resource: &'a [u8],
    service: &'a Untrusted,
    scope: &'a [u8],
    items: Vec<Field<'a>>,
}

fn each_scope(
    request: &[u8],
    mut take: impl FnMut(Group<'_>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    for of_resource in fields(request) {
        let of_resource = of_resource?;
        if of_resource.number != number::RESOURCE_ITEMS {
            continue;
        }
        // A field may come in any order: the resource is looked for before its scopes are read.
        let of_resource: Vec<Field<'_>> =
            fields(of_resource.value.bytes()).collect::<Result<_, Malformed>>()?;
        let found = of_resource.iter().find(|field| field.number == number::RESOURCE);
        let resource = bounded(found.map_or(&[][..], |field| field.value.bytes()))?;
        let service = resource_of(&resource).service().shortened(limits::TEXT);
        for of_scope in of_resource.iter().filter(|field| field.number == number::SCOPE_ITEMS) {
            let of_scope: Vec<Field<'_>> =
                fields(of_scope.value.bytes()).collect::<Result<_, Malformed>>()?;
            let scope = of_scope.iter().find(|field| field.number == number::SCOPE);
            let scope = bounded(scope.map_or(&[][..], |field| field.value.bytes()))?;
            let items = of_scope.into_iter().filter(|field| field.number == number::ITEMS).collect();
            take(Group { resource: &resource, service: &service, scope: &scope, items })?;
        }
    }
    Ok(())
}

/// A resource or a scope without the fields that are over the limit.
fn bounded(message: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut kept = Vec::with_capacity(message.len().min(limits::RESOURCE));
    for field in fields(message) {
        let whole = field?.whole;
        if kept.len() + whole.len() <= limits::RESOURCE {
            kept.extend_from_slice(whole);
        }
    }
    Ok(kept)
}

/// Appends spans or records as one `ResourceSpans` or `ResourceLogs`.
fn append_group(data: &mut Vec<u8>, resource: &[u8], scope: &[u8], items: &[u8]) {
    let mut of_scope = Message::default();
    of_scope.message(number::SCOPE, scope);
    of_scope.0.extend_from_slice(items);
    let mut of_resource = Message::default();
    of_resource.message(number::RESOURCE, resource);
    of_resource.message(number::SCOPE_ITEMS, &of_scope.0);
    let mut group = Message(std::mem::take(data));
    group.message(number::RESOURCE_ITEMS, &of_resource.0);
    *data = group.0;
}

/// What a span says at its first level.
#[derive(Default)]
struct ScannedSpan<'a> {
    ids: (Option<TraceId>, Option<SpanId>),
    parent: Option<SpanId>,
    name: &'a [u8],
    start: u64,
    end: u64,
    error: bool,
    is_of_quarterdeck: bool,
    values: Vec<(u8, Untrusted)>,
    dropped: u64,
    /// The span without what was dropped from it; `None` if nothing was.
    kept: Option<Vec<u8>>,
}

impl ScannedSpan<'_> {
    fn summary(&self, service: &Untrusted) -> TraceSummary {
        let start = UnixNanos(self.start);
        let name = || text(self.name).shortened(limits::TEXT);
        TraceSummary {
            start,
            end: UnixNanos(self.end).max(start),
            root: self.parent.is_none().then(|| (name(), service.clone())),
            services: if service.is_empty() { Vec::new() } else { vec![service.clone()] },
            spans: 1,
            errors: self.error.into(),
            values: self.values.clone(),
            dropped: self.dropped,
        }
    }
}

fn scan_span(raw: &[u8]) -> Result<ScannedSpan<'_>, Malformed> {
    use number::span as n;
    let mut span = ScannedSpan::default();
    for field in fields(raw) {
        let field = field?;
        let value = field.value;
        match field.number {
            n::TRACE => span.ids.0 = trace_id(value.bytes()),
            n::ID => span.ids.1 = span_id(value.bytes()),
            n::PARENT => span.parent = span_id(value.bytes()),
            n::NAME => span.name = value.bytes(),
            n::START => span.start = value.number(),
            n::END => span.end = value.number(),
            n::STATUS => {
                let code = fields(value.bytes()).flatten().find(|field| field.number == n::STATUS_CODE);
                span.error = code.is_some_and(|field| field.value.number() == n::STATUS_ERROR);
            }
            n::ATTRIBUTES => {
                span.values.extend(searchable(value.bytes()));
                span.is_of_quarterdeck |= is_our_user_agent(value.bytes());
            }
            _ => {}
        }
    }
    let droppable = [n::ATTRIBUTES, n::EVENTS, n::LINKS];
    if let Some((kept, dropped)) = within_limits(raw, &droppable, n::DROPPED_ATTRIBUTES, shorten_span)? {
        span.kept = Some(kept);
        span.dropped = dropped;
    }
    Ok(span)
}

/// True for an attribute that says that Quarterdeck sent the request.
fn is_our_user_agent(raw: &[u8]) -> bool {
    let key = fields(raw).flatten().find(|field| field.number == number::KEY);
    let key = key.map_or(&[][..], |field| field.value.bytes());
    convention::USER_AGENT.iter().any(|name| name.as_bytes() == key)
        && attribute(raw, 0).is_ok_and(|of| of.value.text().raw().starts_with("quarterdeck/"))
}

/// The value of an attribute that traces are found by, with its place in [`SEARCHABLE`].
fn searchable(raw: &[u8]) -> Option<(u8, Untrusted)> {
    let key = fields(raw).flatten().find(|field| field.number == number::KEY)?.value.bytes();
    let place = SEARCHABLE.iter().position(|known| known.as_bytes() == key)?;
    let value = attribute(raw, 0).ok()?.value.text().shortened(limits::TEXT);
    Some((u8::try_from(place).ok()?, value))
}

/// A span or record without the fields that are over the limits, and their number; `None` if it is within them.
///
/// `shorten` writes the beginning of a field that is no attribute, event or link.
fn within_limits(
    raw: &[u8],
    droppable: &[u32],
    counter: u32,
    shorten: fn(Field<'_>, &mut Message),
) -> Result<Option<(Vec<u8>, u64)>, Malformed> {
    if raw.len() <= limits::FIELD {
        return Ok(None);
    }
    let (mut kept, mut dropped) = (Message::default(), 0);
    for field in fields(raw) {
        let field = field?;
        let fits = field.whole.len() <= limits::FIELD && kept.0.len() + field.whole.len() <= limits::ITEM;
        if fits {
            kept.0.extend_from_slice(field.whole);
        } else {
            dropped += 1;
            if !droppable.contains(&field.number) {
                shorten(field, &mut kept);
            }
        }
    }
    if dropped == 0 {
        return Ok(None);
    }
    // A reader adds the counters of a message up that has several.
    kept.varint(counter, dropped);
    Ok(Some((kept.0, dropped)))
}

/// The beginning of a text, as much as a message keeps of it.
fn beginning(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text[..text.floor_char_boundary(limits::FIELD / 2)].to_owned()
}

fn shorten_span(field: Field<'_>, kept: &mut Message) {
    match field.number {
        number::span::NAME => kept.bytes(number::span::NAME, beginning(field.value.bytes()).as_bytes()),
        number::span::STATUS => kept.nested(number::span::STATUS, |message| {
            for inner in fields(field.value.bytes()).flatten() {
                if inner.number == number::span::STATUS_MESSAGE {
                    message.bytes(inner.number, beginning(inner.value.bytes()).as_bytes());
                } else {
                    message.varint(inner.number, inner.value.number());
                }
            }
        }),
        _ => {}
    }
}

/// The body of a record that is too long becomes the beginning of its text.
fn shorten_log(field: Field<'_>, kept: &mut Message) {
    if field.number == number::log::BODY
        && let Ok(body) = any_value(field.value.bytes(), 0)
    {
        let text = beginning(body.text().raw().as_bytes());
        kept.nested(number::log::BODY, |message| message.message(number::value::TEXT, text.as_bytes()));
    }
}

fn scan_log(raw: &[u8], service: &Untrusted, resource: usize) -> Result<LogPart, Malformed> {
    use number::log as n;
    let (mut time, mut observed, mut word) = (0, 0, &[][..]);
    let mut part = LogPart {
        at: UnixNanos::default(),
        severity: Severity::default(),
        service: service.clone(),
        trace: None,
        span: None,
        resource,
        body: Untrusted::default(),
        data: Vec::new(),
    };
    for field in fields(raw) {
        let field = field?;
        let value = field.value;
        match field.number {
            n::TIME => time = value.number(),
            n::OBSERVED => observed = value.number(),
            n::SEVERITY => part.severity = Severity::from_number(value.number()),
            n::SEVERITY_TEXT => word = value.bytes(),
            n::BODY => {
                let body = any_value(value.bytes(), 0)?.text();
                part.body = beginning(body.raw().as_bytes()).into();
            }
            n::TRACE => part.trace = trace_id(value.bytes()),
            n::SPAN => part.span = span_id(value.bytes()),
            _ => {}
        }
    }
    part.at = UnixNanos(if time == 0 { observed } else { time });
    if part.severity == Severity::Unspecified {
        part.severity = Severity::from_word(text(word).raw()).unwrap_or_default();
    }
    let kept = within_limits(raw, &[n::ATTRIBUTES], n::DROPPED_ATTRIBUTES, shorten_log)?;
    part.data = kept.map_or_else(|| raw.to_vec(), |(kept, _)| kept);
    Ok(part)
}

/// The place of an attribute in [`SEARCHABLE`].
pub fn place_of(key: &str) -> Option<u8> {
    SEARCHABLE.iter().position(|known| *known == key).and_then(|place| u8::try_from(place).ok())
}

impl TraceSummary {
    /// The first value of an attribute by which traces are found.
    pub fn first(&self, key: &str) -> Option<&Untrusted> {
        let place = place_of(key)?;
        self.values.iter().find(|(key, _)| *key == place).map(|(_, value)| value)
    }

    /// The tasks of the trace.
    pub fn tasks(&self) -> impl Iterator<Item = &Untrusted> {
        let place = place_of(convention::A2A_TASK);
        self.values.iter().filter(move |(key, _)| Some(*key) == place).map(|(_, value)| value)
    }
}
