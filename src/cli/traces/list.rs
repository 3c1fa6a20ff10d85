//! The list of traces.

use serde_json::{Value, json};

use super::Traces;
use super::read::Source;
use crate::cli::output::{Failure, Printer, table};
use crate::cli::protocol_json::state_name;
use crate::cli::task::normal_state;
use crate::domain::job::task::TaskState;
use crate::domain::text::Untrusted;
use crate::domain::time::format_measured;
use crate::protocol::timestamp;
use crate::telemetry::convention::SEARCHABLE;
use crate::telemetry::list::{ListFilter, TraceEntry, entries};
use crate::telemetry::query::{TelemetryAnswer, TelemetryQuery, TraceFilter};

/// Traces that the store is asked for: some of them count for a job, and a filter may leave many out.
const STORED: usize = 10_000;

/// Parses `KEY=VALUE`.
pub(super) fn attribute(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    if SEARCHABLE.contains(&key) {
        Ok((key.to_owned(), value.to_owned()))
    } else {
        Err(format!("traces are not found by {key:?}; they are by {}", SEARCHABLE.join(", ")))
    }
}

pub(super) async fn print(source: &Source<'_>, args: &Traces, out: &mut Printer) -> Result<(), Failure> {
    let filter = filter(source, args)?;
    let wanted = TraceFilter { limit: STORED, service: None, name: None, ..filter.common.clone() };
    // What is narrowed down by the store must still be found as a part of a job.
    let wanted = TraceFilter { at_least: None, failed: false, ..wanted };
    let TelemetryAnswer::Traces(received) = source.ask(TelemetryQuery::Traces(wanted)).await? else {
        return Err(Failure::internal("the engine answered something else"));
    };
    let entries = entries(source.snapshot, &received, &filter);
    if out.is_json() {
        let traces: Vec<Value> = entries.iter().map(entry_json).collect();
        out.document(&json!({ "traces": traces }));
    } else if entries.is_empty() {
        out.warn("no traces; a longer --since may have some");
    } else {
        print_table(&entries, out);
    }
    Ok(())
}

fn filter(source: &Source<'_>, args: &Traces) -> Result<ListFilter, Failure> {
    let text = |text: &Option<String>| text.as_deref().map(Untrusted::from);
    let pairs = args.attribute.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into()));
    Ok(ListFilter {
        common: TraceFilter {
            since: Some(source.now() - args.since),
            service: text(&args.agent),
            at_least: args.at_least,
            failed: args.failed,
            attributes: pairs.collect(),
            name: None,
            order: args.sort.into(),
            limit: args.limit,
        },
        skill: text(&args.skill),
        state: args.state.as_deref().map(state).transpose()?,
    })
}

/// A state by any of its words.
fn state(word: &str) -> Result<TaskState, Failure> {
    use TaskState::{AuthRequired, Canceled, Completed, Failed, InputRequired, Rejected, Submitted, Working};
    let name = normal_state(word)?;
    let all = [Submitted, Working, InputRequired, AuthRequired, Completed, Failed, Canceled, Rejected];
    Ok(all.into_iter().find(|state| state_name(state) == name).unwrap_or(TaskState::Unspecified))
}

fn entry_json(entry: &TraceEntry) -> Value {
    let texts =
        |texts: &[Untrusted]| -> Vec<String> { texts.iter().map(|text| text.line().into_string()).collect() };
    json!({
        "traceId": entry.trace.to_string(),
        "name": entry.name.line().into_string(),
        "startedAt": timestamp::format_at(entry.start),
        "durationMs": u64::try_from(entry.took.as_millis()).unwrap_or(u64::MAX),
        "goesOn": entry.goes_on,
        "spans": entry.spans,
        "errors": entry.errors,
        "dropped": entry.dropped,
        "agents": texts(&entry.agents),
        "taskIds": texts(&entry.tasks),
        "skill": entry.skill.as_ref().map(|skill| skill.line().into_string()),
        "state": entry.state.as_ref().map(state_name),
    })
}

fn print_table(entries: &[TraceEntry], out: &mut Printer) {
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let agents: Vec<String> = entry.agents.iter().map(|agent| agent.line().into_string()).collect();
            let name =
                if entry.name.is_empty() { "root not received".into() } else { entry.name.shortened(60) };
            vec![
                entry.trace.to_string(),
                timestamp::format_at(entry.start),
                format_measured(entry.took) + if entry.goes_on { "+" } else { "" },
                entry.spans.to_string(),
                entry.errors.to_string(),
                entry.state.as_ref().map_or_else(|| "-".to_owned(), TaskState::word),
                name.line().into_string(),
                agents.join(", "),
            ]
        })
        .collect();
    for line in table(&["TRACE", "BEGAN", "TOOK", "SPANS", "ERRORS", "STATE", "NAME", "AGENTS"], &rows) {
        out.row(&line);
    }
}
