//! One trace, from the engine, from what is stored, or from a file.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Traces, waterfall};
use crate::cli::output::{Failure, Printer};
use crate::cli::session::Session;
use crate::domain::id::JobId;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;
use crate::domain::trace::{self, TraceId};
use crate::engine::telemetry::answer_stored;
use crate::net::clock::Clock;
use crate::protocol::timestamp;
use crate::telemetry::model::{Attribute, UnixNanos};
use crate::telemetry::otlp::{json as otlp, to_json};
use crate::telemetry::query::{TelemetryAnswer, TelemetryQuery, TraceSpans};
use crate::telemetry::tree::{Trace, What, build};

/// The largest file of spans that is read.
const FILE: u64 = 256 * 1024 * 1024;

/// Where traces come from: a running engine, or what the last one stored.
pub(super) struct Source<'a> {
    pub dir: &'a Path,
    pub session: Option<&'a Session>,
    pub snapshot: &'a Snapshot,
}

impl Source<'_> {
    pub async fn ask(&self, query: TelemetryQuery) -> Result<TelemetryAnswer, Failure> {
        let answer = match self.session {
            Some(session) => session.handle.telemetry(query).await,
            None => answer_stored(self.dir, self.snapshot, &query),
        };
        answer.map_err(|error| Failure::new(1, "QUARTERDECK_ERR_STORE", error.to_string()))
    }

    /// The time of the engine, or of its last word.
    pub fn now(&self) -> At {
        if self.snapshot.at == At::ZERO { Clock::start().now() } else { self.snapshot.at }
    }
}

pub(super) async fn one(
    source: &Source<'_>,
    reference: &str,
    args: &Traces,
    out: &mut Printer,
) -> Result<(), Failure> {
    let query = resolve(source, reference)?;
    let TelemetryAnswer::Trace(spans) = source.ask(query).await? else {
        return Err(Failure::internal("the engine answered something else"));
    };
    if spans.spans.is_empty() && spans.own.is_empty() {
        return Err(Failure::usage(format!("nothing is known of a trace {reference}"))
            .hint("quarterdeck traces lists them; what is older than [telemetry] keep was removed"));
    }
    print(*spans, source.now(), args, out);
    Ok(())
}

/// A job, an attempt or a task by the beginning of its id, else a trace by its id or in a traceparent.
fn resolve(source: &Source<'_>, reference: &str) -> Result<TelemetryQuery, Failure> {
    if let Some((trace, _)) = trace::named(reference) {
        return Ok(TelemetryQuery::Trace(trace));
    }
    let snapshot = source.snapshot;
    let begins = |id: &str| id.starts_with(reference);
    let mut found: Vec<JobId> = Vec::new();
    for (_, attempt) in snapshot.attempts.iter() {
        let Some(job) = snapshot.job_of(attempt) else { continue };
        let task = attempt.task.as_ref().is_some_and(|task| begins(task.id.text().raw()));
        let of_job = begins(&job.id.to_string()) || begins(&TraceId::from(job.id).to_string());
        if (task || of_job || begins(&attempt.id.to_string())) && !found.contains(&job.id) {
            found.push(job.id);
        }
    }
    match found.as_slice() {
        [job] => Ok(TelemetryQuery::TraceOfJob(*job)),
        [] => Err(Failure::usage(format!("there is no trace, job, attempt or task {reference}"))
            .hint("quarterdeck traces lists the traces, quarterdeck task list the tasks")),
        several => Err(Failure::usage(format!("{} jobs begin with {reference}", several.len()))
            .hint("write more of the id")),
    }
}

/// Shows what a file holds: each trace of it, or the one that is named.
pub(super) fn from_file(file: &Path, args: &Traces, out: &mut Printer) -> Result<ExitCode, Failure> {
    let unreadable = |why: String| Failure::usage(format!("{} cannot be read: {why}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| unreadable(error.to_string()))?.len();
    if size > FILE {
        return Err(unreadable(format!("it is larger than {} MiB", FILE / 1024 / 1024)));
    }
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    // The file exporter of a collector writes one document a line.
    let mut spans = Vec::new();
    match otlp::spans(&text) {
        Ok(all) => spans = all,
        Err(whole) => {
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            if lines.clone().count() < 2 {
                return Err(unreadable(whole.to_string()));
            }
            for (number, line) in lines.enumerate() {
                let of_line =
                    otlp::spans(line).map_err(|why| unreadable(format!("line {}: {why}", number + 1)))?;
                spans.extend(of_line);
            }
        }
    }
    let mut traces: Vec<TraceId> = Vec::new();
    for span in &spans {
        if !traces.contains(&span.trace) {
            traces.push(span.trace);
        }
    }
    if let Some(wanted) = &args.trace {
        traces.retain(|trace| trace.to_string().starts_with(wanted.as_str()));
    }
    if traces.is_empty() {
        return Err(Failure::usage(format!("{} has no such trace", file.display())));
    }
    let end = spans.iter().filter_map(|span| span.end).max().unwrap_or_default();
    for trace in traces {
        let of = spans.iter().filter(|span| span.trace == trace).cloned().collect();
        print(TraceSpans { spans: of, ..TraceSpans::default() }, end.at(), args, out);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(spans: TraceSpans, now: At, args: &Traces, out: &mut Printer) {
    if args.otlp {
        let mut all = spans.own;
        all.extend(spans.spans);
        out.line(&to_json::spans(&all));
        return;
    }
    let trace = build(spans, UnixNanos::from(now));
    if out.is_json() {
        out.document(&json!({ "trace": document(&trace) }));
    } else {
        let trace = if args.all { trace } else { trace.without_plumbing() };
        waterfall::print(&trace, out);
    }
}

fn document(trace: &Trace) -> Value {
    let spans = trace.lines.iter().filter_map(|line| {
        let What::Span(place) = line.what else { return None };
        let span = trace.spans.get(place)?;
        Some(json!({
            "spanId": span.id.to_string(),
            "parentSpanId": span.parent.map(|parent| parent.to_string()),
            "name": span.name.line().into_string(),
            "agent": line.agent.line().into_string(),
            "kind": span.kind.as_str(),
            "startedAt": timestamp::format_at(line.start.at()),
            "durationMs": millis(line.took()),
            "goesOn": span.end.is_none(),
            "movedMs": line.moved / 1_000_000,
            "criticalMs": millis(line.critical.iter().map(|(from, until)| until.since(*from)).sum()),
            "error": span.status.is_error(),
            "parentMissing": line.orphan,
            "plumbing": line.plumbing,
            "attributes": attributes(&span.attributes),
        }))
    });
    let shares = trace.shares.iter().map(|share| {
        json!({ "agent": share.who.as_ref().map(|who| who.line().into_string()), "ms": millis(share.time) })
    });
    json!({
        "traceId": trace.spans.first().map(|span| span.trace.to_string()),
        "startedAt": timestamp::format_at(trace.start.at()),
        "durationMs": millis(trace.end.since(trace.start)),
        "goesOn": trace.goes_on,
        "errors": trace.errors,
        "dropped": trace.dropped,
        "logs": trace.logs,
        "agents": trace.agents.iter().map(|agent| agent.line().into_string()).collect::<Vec<_>>(),
        "whereTheTimeWent": shares.collect::<Vec<_>>(),
        "spans": spans.collect::<Vec<_>>(),
    })
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn attributes(attributes: &[Attribute]) -> Value {
    let members = attributes.iter().map(|of| (of.key.line().into_string(), of.value.json()));
    Value::Object(members.collect())
}
