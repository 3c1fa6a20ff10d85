//! What is known of a span, in lines, and log records as lines of text.

use std::time::Duration;

use crate::domain::text::Untrusted;
use crate::telemetry::convention;
use crate::telemetry::model::{LogRecord, Severity, Span as TraceSpan, SpanKind, SpanStatus, Value};
use crate::telemetry::otlp::to_json;
use crate::telemetry::query::LogRow;
use crate::telemetry::tree::{Line, Trace, What};
use crate::tui::context::Context;
use crate::tui::format;
use crate::tui::theme::Role;
use crate::tui::views::about::{self, Lines};
use crate::tui::views::frame::labelled;
use crate::tui::views::raw;
use crate::tui::views::waterfall::{offset, took};
use crate::tui::widgets::canvas::{Span, span};
use crate::tui::widgets::text::wrap;

/// Events and links of a span that are shown, at most.
const EVENTS: usize = 20;
const LINKS: usize = 3;

fn words(text: Option<Untrusted>) -> Option<String> {
    text.map(|text| text.line().into_string())
}

/// What is known of a line of a trace.
pub fn lines(ctx: &Context, trace: &Trace, line: &Line, width: usize) -> Lines {
    let at = ctx.clocks.precise(line.start.at());
    let began = vec![
        span(at, Role::Plain),
        span(format!(", {}, took {}", offset(trace, line.start), took(line.took())), Role::Quiet),
    ];
    let mut lines = vec![labelled("began", began)];
    let What::Span(place) = line.what else {
        let why = "Its agent had work, and neither reported anything nor called anybody that did.";
        lines.extend(about::wrapped("", why, Role::Doubt, width));
        return lines;
    };
    let Some(of) = trace.spans.get(place) else { return lines };
    let mut add = |label: &str, text: Option<String>, role| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            lines.extend(about::wrapped(label, &text, role, width));
        }
    };
    let (state, role) = state(of);
    add("state", Some(state), role);
    add("server", server(of, line), Role::Plain);
    add("model", model(of), Role::Plain);
    add("tokens", tokens(of), Role::Plain);
    add("tool", words(of.text(convention::TOOL_NAME)), Role::Plain);
    if line.moved != 0 {
        let by = took(Duration::from_nanos(line.moved.unsigned_abs()));
        let side = if line.moved < 0 { "ahead of" } else { "behind" };
        add("clock", Some(format!("{by} {side} ours; moved here")), Role::Warn);
    }
    if line.orphan && of.parent.is_some() {
        add("parent", Some("not received, or in a circle; shown as a root".into()), Role::Warn);
    }
    for (at, link) in of.links.iter().take(LINKS).enumerate() {
        let more = of.links.len().saturating_sub(LINKS);
        let more = if at + 1 == LINKS && more > 0 { format!(", and {more} more") } else { String::new() };
        let label = if at == 0 { "links" } else { "" };
        add(label, Some(format!("span {} of trace {}{more}", link.span, link.trace)), Role::Plain);
    }
    if of.dropped > 0 {
        add("dropped", Some(format!("{} attributes, events or links", of.dropped)), Role::Warn);
    }
    let raw = ctx.step(crate::tui::actions::Action::Raw, "all as it was received");
    let count = match of.attributes.len() {
        1 => "1 attribute".to_owned(),
        count => format!("{count} attributes"),
    };
    add("has", Some(format!("{count}; {raw}")), Role::Quiet);
    for (at, event) in of.events.iter().take(EVENTS).enumerate() {
        let label = if at == 0 { "events" } else { "" };
        add(label, Some(format!("{} {}", offset(trace, event.at), event.name.line())), Role::Plain);
    }
    if of.events.len() > EVENTS {
        add("", Some(format!("and {} more", of.events.len() - EVENTS)), Role::Quiet);
    }
    lines
}

fn state(of: &TraceSpan) -> (String, Role) {
    let task = words(of.text(convention::A2A_TASK)).map(|task| format!(", task {task}")).unwrap_or_default();
    let of_task = words(of.text(convention::A2A_STATE));
    let (word, role) = match (&of.status, of.end) {
        (SpanStatus::Error(why), _) if why.is_empty() => {
            (of_task.unwrap_or_else(|| "error".into()), Role::Bad)
        }
        (SpanStatus::Error(why), _) => (why.line().into_string(), Role::Bad),
        (_, None) => (of_task.unwrap_or_else(|| "goes on".into()), Role::Plain),
        (SpanStatus::Ok, _) => (of_task.unwrap_or_else(|| "ok".into()), Role::Ok),
        (SpanStatus::Unset, Some(_)) => (of_task.unwrap_or_else(|| "ended".into()), Role::Plain),
    };
    let kind = words(of.text(convention::ERROR_TYPE)).map(|kind| format!(", {kind}")).unwrap_or_default();
    (format!("{word}{kind}{task}"), role)
}

fn server(of: &TraceSpan, line: &Line) -> Option<String> {
    if of.is_own() {
        return (!line.agent.is_empty()).then(|| format!("{}, as we saw it", line.agent.line()));
    }
    let resource = &of.resource.attributes;
    let value = |key| crate::telemetry::model::value_of(resource, key).map(Value::text);
    let version =
        words(value(convention::SERVICE_VERSION)).map(|text| format!(" {text}")).unwrap_or_default();
    let port = words(of.text(convention::SERVER_PORT)).map(|port| format!(":{port}")).unwrap_or_default();
    let called = words(of.text(convention::SERVER_ADDRESS)).map(|host| match of.kind {
        SpanKind::Client | SpanKind::Producer => format!(", calls {host}{port}"),
        _ => format!(" at {host}{port}"),
    });
    let service = of.resource.service();
    let name = if service.is_empty() { "not named".to_owned() } else { service.line().into_string() };
    Some(format!("{name}{version}{}", called.unwrap_or_default()))
}

fn model(of: &TraceSpan) -> Option<String> {
    let asked = words(of.text(convention::REQUEST_MODEL));
    let answered = words(of.text(convention::RESPONSE_MODEL));
    match (asked, answered) {
        (Some(asked), Some(answered)) if asked != answered => {
            Some(format!("{asked}, answered by {answered}"))
        }
        (asked, answered) => asked.or(answered),
    }
}

fn tokens(of: &TraceSpan) -> Option<String> {
    let count = |key, word: &str| {
        let number = usize::try_from(of.value(key)?.int()?).ok()?;
        Some(format!("{} {word}", format::count(number)))
    };
    let counts = [count(convention::INPUT_TOKENS, "in"), count(convention::OUTPUT_TOKENS, "out")];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    (!counts.is_empty()).then(|| counts.join(" · "))
}

/// A span as OTLP in JSON, on several lines.
pub fn raw(of: &TraceSpan) -> Lines {
    raw::pretty(&Untrusted::from(to_json::spans(std::slice::from_ref(of)).to_string()))
}

/// The colour of a severity.
pub fn severity_role(severity: Severity) -> Role {
    match severity {
        Severity::Fatal | Severity::Error => Role::Bad,
        Severity::Warn => Role::Warn,
        Severity::Info => Role::Plain,
        Severity::Unspecified | Severity::Trace | Severity::Debug => Role::Quiet,
    }
}

/// The word of a severity; those that hurt are in capitals.
pub fn severity_word(severity: Severity) -> String {
    match severity {
        Severity::Unspecified => "–".to_owned(),
        severity if severity >= Severity::Error => severity.as_str().to_uppercase(),
        severity => severity.as_str().to_owned(),
    }
}

/// Records, oldest first, each wrapped below its time and severity.
pub fn log_lines<'r>(ctx: &Context, rows: impl Iterator<Item = &'r LogRow>, width: usize) -> Lines {
    let mut lines = Lines::new();
    for LogRow { record, .. } in rows {
        let at = ctx.clocks.precise(record.at.at());
        let severity = severity_word(record.severity);
        let indent = if width >= 48 { 19 } else { 2 };
        let body = record.body.text().line().into_string();
        let role = severity_role(record.severity);
        let head = vec![span(format!("{at} "), Role::Quiet), span(format!("{severity:<5} "), role)];
        let mut wrapped = wrap(&body, width.saturating_sub(indent)).into_iter();
        if indent == 2 {
            lines.push(head);
        } else {
            let mut first = head;
            first.push(span(wrapped.next().unwrap_or_default(), role));
            lines.push(first);
        }
        lines.extend(wrapped.take(WRAPPED).map(|text| vec![span(format!("{:indent$}{text}", ""), role)]));
    }
    lines
}

/// Lines of one record beside others, at most; the whole record has a page of its own.
const WRAPPED: usize = 6;

/// A line of text over several lines; those of JSON are left as they are.
fn wrapped(line: Vec<Span>, width: usize) -> Lines {
    match line.as_slice() {
        [one] => wrap(&one.text, width).into_iter().map(|text| vec![span(text, one.role)]).collect(),
        _ => vec![line],
    }
}

/// A record in full: what is known of it, then its body, JSON over several lines, text wrapped at a width.
pub fn record(ctx: &Context, record: &LogRecord, width: usize) -> Lines {
    let severity = span(severity_word(record.severity), severity_role(record.severity));
    let service = record.resource.service();
    let mut lines = vec![labelled(
        "WHEN",
        vec![span(ctx.clocks.precise(record.at.at()), Role::Plain), span("  ", Role::Plain), severity],
    )];
    let logger =
        if record.scope.is_empty() { String::new() } else { format!(", logger {}", record.scope.line()) };
    lines.push(labelled("AGENT", vec![span(format!("{}{logger}", service.line()), Role::Plain)]));
    if let Some(trace) = record.trace {
        let of_span = record.span.map(|of| format!(", span {of}")).unwrap_or_default();
        lines.push(labelled("TRACE", vec![span(format!("{trace}{of_span}"), Role::Plain)]));
    }
    lines.push(Vec::new());
    let body = record.body.text();
    // A logger that writes JSON sends it as a text.
    lines.extend(raw::pretty(&body).into_iter().flat_map(|line| wrapped(line, width)));
    if !record.attributes.is_empty() {
        lines.push(Vec::new());
        for attribute in &record.attributes {
            let value: Vec<Span> = vec![
                span(format!("{}: ", attribute.key.line()), Role::Key),
                span(attribute.value.text().line().into_string(), Role::Plain),
            ];
            lines.push(value);
        }
    }
    if record.dropped > 0 {
        lines.push(vec![span(format!("{} attributes were dropped", record.dropped), Role::Warn)]);
    }
    lines
}
