//! Protocol objects as the command line prints them: A2A 1.0 types with our additions.

use serde_json::{Map, Value, json};

use crate::domain::cause::Cause;
use crate::domain::id::AttemptKey;
use crate::domain::job::detail::Detail;
use crate::domain::job::message::{Artifact, Content, Message, Part, Role};
use crate::domain::job::plan::SpentBudget;
use crate::domain::job::task::{CancelMark, Status, StreamEvent, TaskReport, TaskState, Verdict};
use crate::domain::job::{Attempt, Job, Phase, Task};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::PeerTime;
use crate::domain::trace::{TraceCarrier, TraceId};
use crate::protocol::{codec, timestamp};

use super::output::Printer;

/// The key of our own words in a task's metadata.
const OURS: &str = "quarterdeck";

fn wire() -> &'static dyn crate::protocol::Codec {
    codec(crate::domain::agent::card::Dialect::V1_0)
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or(Value::Null)
}

/// The name of a state in A2A 1.0.
pub fn state_name(state: &TaskState) -> String {
    let report = TaskReport::new("x", Status::new(state.clone()));
    parsed(&wire().encode_task(&report))["status"]["state"].as_str().unwrap_or_default().to_owned()
}

/// Our additions for an attempt, beside what its agent reports.
pub fn ours(snapshot: &Snapshot, attempt: &Attempt) -> Value {
    let agent = snapshot.agents.get(attempt.agent);
    let job = snapshot.job_of(attempt);
    let task = attempt.task.as_ref();
    json!({
        "agent": agent.map(|agent| agent.name.line().into_string()),
        "job": job.map(|job| job.id.to_string()),
        "attempt": attempt.id.to_string(),
        "trace": trace(snapshot, attempt),
        "number": attempt.number,
        "messageId": attempt.message_id.as_ref().map(|id| id.text().line().into_string()),
        "attemptState": attempt.phase.as_str().replace(' ', "-"),
        "verdict": task.and_then(|task| task.verdict).map(Verdict::as_str),
        "usualPause": task.and_then(|task| task.usual.as_deref()).map(|usual| json!({
            "ms": u64::try_from(usual.time.as_millis()).unwrap_or(u64::MAX),
            "madeUp": usual.made_up,
        })),
        "agentSays": task.and_then(agent_says).map(|state| state_name(&state)),
        "cancel": task.and_then(|task| task.cancel).map(CancelMark::as_str),
        "retryBudgetSpent": spent(job, attempt).map(spent_json),
    })
}

/// The retry budget that kept another attempt from following this one.
fn spent<'s>(job: Option<&'s Job>, attempt: &Attempt) -> Option<&'s SpentBudget> {
    job.filter(|job| usize::from(attempt.number) == job.attempts.len())?.spent_budget()
}

/// A retry budget that was spent, as JSON.
pub fn spent_json(spent: &SpentBudget) -> Value {
    json!({ "rule": Untrusted::from(&*spent.rule).line().to_string(), "percent": spent.percent })
}

/// The trace that the spans of its agent join; `None` if the agent is told of none.
fn trace(snapshot: &Snapshot, attempt: &Attempt) -> Option<String> {
    let carrier = snapshot.agents.get(attempt.agent)?.spec.trace_carrier();
    (carrier != TraceCarrier::Off).then(|| Some(TraceId::from(snapshot.job_of(attempt)?.id).to_string()))?
}

/// The state that the agent reports, if it is in doubt.
pub fn agent_says(task: &Task) -> Option<TaskState> {
    let doubted = task.verdict.is_some_and(|verdict| verdict.is_of_silence() || verdict == Verdict::Conflict);
    task.says.as_deref().cloned().or_else(|| doubted.then(|| task.state.clone()))
}

/// Puts our words into a task's metadata; an agent's own member of that name is dropped.
pub fn with_ours(mut task: Value, ours: Value) -> Value {
    if let Some(object) = task.as_object_mut() {
        let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        if !metadata.is_object() {
            *metadata = Value::Object(Map::new());
        }
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert(OURS.to_owned(), ours);
        }
    }
    task
}

/// A task as in a list: without outputs and messages.
pub fn task_row(snapshot: &Snapshot, attempt: &Attempt) -> Option<Value> {
    let task = attempt.task.as_ref()?;
    let report = report(task, None, Vec::new());
    Some(with_ours(parsed(&wire().encode_task(&report)), ours(snapshot, attempt)))
}

/// The document of `task list -o json`: these of `total` tasks, and attempts without a task.
pub fn task_list(snapshot: &Snapshot, attempts: &[&Attempt], total: usize) -> Value {
    let tasks: Vec<Value> = attempts.iter().filter_map(|attempt| task_row(snapshot, attempt)).collect();
    let without = attempts.iter().filter(|attempt| attempt.task.is_none());
    let without: Vec<Value> = without.map(|attempt| taskless(snapshot, attempt)).collect();
    json!({
        "pageSize": tasks.len(),
        "tasks": tasks,
        "nextPageToken": "",
        "totalSize": total,
        "attempts": without,
    })
}

fn report(task: &Task, artifacts: Option<Vec<Artifact>>, history: Vec<Message>) -> TaskReport {
    let last = history.iter().rev().find(|message| message.role == Role::Agent).cloned();
    let noted = last.filter(|message| task.note.is_some() && task.note == Some(message.headline(200)));
    TaskReport {
        context: task.context.clone(),
        artifacts,
        history,
        ..TaskReport::new(
            task.id.clone(),
            Status {
                state: task.state.clone(),
                message: noted,
                timestamp: task.peer_time.or(Some(PeerTime::from_micros(task.state_since.micros()))),
            },
        )
    }
}

/// Outputs as they were read back: id, name, parts.
pub type Outputs = Vec<(Untrusted, Option<Untrusted>, Vec<Part>)>;

/// A whole task, as its agent reported it so far.
pub fn whole_task(
    snapshot: &Snapshot,
    attempt: &Attempt,
    detail: &Detail,
    outputs: Outputs,
) -> Option<Value> {
    let task = attempt.task.as_ref()?;
    let artifacts =
        outputs.into_iter().map(|(id, name, parts)| Artifact { name, ..Artifact::new(id, joined(parts)) });
    let history = detail.messages_of(attempt.id).map(|entry| (*entry.message).clone()).collect();
    let report = report(task, Some(artifacts.collect()), history);
    Some(with_ours(parsed(&wire().encode_task(&report)), ours(snapshot, attempt)))
}

/// Adds stored outputs that the agent no longer returns to a task as the agent reports it; returns their names.
pub fn add_outputs(task: &mut Value, kept: Value) -> Vec<String> {
    let mut added = Vec::new();
    let Value::Array(kept) = kept else { return added };
    let Some(task) = task.as_object_mut() else { return added };
    let artifacts = task.entry("artifacts").or_insert_with(|| Value::Array(Vec::new()));
    if !artifacts.is_array() {
        *artifacts = Value::Array(Vec::new());
    }
    let Some(artifacts) = artifacts.as_array_mut() else { return added };
    let is_empty = |artifact: &Value| artifact["parts"].as_array().is_none_or(Vec::is_empty);
    for artifact in kept {
        if is_empty(&artifact) {
            continue;
        }
        let name = if artifact["name"].is_string() { &artifact["name"] } else { &artifact["artifactId"] };
        let name = name.as_str().unwrap_or_default().to_owned();
        match artifacts.iter_mut().find(|one| one["artifactId"] == artifact["artifactId"]) {
            Some(one) if is_empty(one) => *one = artifact,
            Some(_) => continue,
            None => artifacts.push(artifact),
        }
        added.push(name);
    }
    added
}

/// Chunks of text that were cut anywhere, as one part.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::new();
    let mut text = String::new();
    for part in parts {
        if let Content::Text(more) = &part.content {
            text.push_str(more.raw());
            continue;
        }
        if !text.is_empty() {
            all.push(Part::text(std::mem::take(&mut text)));
        }
        all.push(part);
    }
    if !text.is_empty() {
        all.push(Part::text(text));
    }
    all
}

/// A message as 1.0 writes it.
pub fn message(message: &Message) -> Value {
    parsed(&wire().encode_message(message))
}

/// An event of a stream as 1.0 writes it.
pub fn event(event: &StreamEvent) -> Value {
    parsed(&wire().encode_event(event))
}

/// All attempts of a job, in order, with why each was sent and which one won; `None` of a job with one alone.
pub fn attempts(snapshot: &Snapshot, job: &Job) -> Option<Value> {
    if job.attempts.len() < 2 {
        return None;
    }
    let rows = job.attempts.iter().filter_map(|key| snapshot.attempts.get(*key));
    let row = |attempt: &Attempt| {
        json!({
            "number": attempt.number,
            "attempt": attempt.id.to_string(),
            "agent": snapshot.agents.get(attempt.agent).map(|agent| agent.name.line().into_string()),
            "task": attempt.task.as_ref().map(|task| task.id.to_string()),
            "state": attempt.task.as_ref().map(|task| state_name(&task.state)),
            "attemptState": attempt.phase.as_str().replace(' ', "-"),
            "cancel": attempt.task.as_ref().and_then(|task| task.cancel).map(CancelMark::as_str),
            "sentAs": sent_as(job, attempt.number).0,
            "reason": sent_as(job, attempt.number).1,
            "won": job.race().is_some_and(|race| race.won == Some(attempt.number)),
        })
    };
    Some(rows.map(row).collect())
}

/// Whether an attempt is the first one, follows another one or runs beside it, and why it does.
fn sent_as(job: &Job, number: u16) -> (&'static str, Option<String>) {
    match job.raced(number) {
        Some(why) => (why.as_str(), Some(why.to_string())),
        None if number == 1 => ("first", None),
        None => ("again", None),
    }
}

/// Prints why nothing followed the last attempt of a job, and its attempts if there are several, one a line.
pub fn print_attempts(out: &mut Printer, snapshot: &Snapshot, job: &Job) {
    if let Some(spent) = job.spent_budget() {
        out.field("Retries", spent.to_string());
    }
    if job.attempts.len() < 2 {
        return;
    }
    for attempt in job.attempts.iter().filter_map(|key| snapshot.attempts.get(*key)) {
        let agent = snapshot.agents.get(attempt.agent);
        let agent = agent.map(|agent| agent.name.line().into_string()).unwrap_or_default();
        let state = match &attempt.task {
            Some(task) => task.state.word(),
            None => attempt.phase.as_str().to_owned(),
        };
        let won = job.race().is_some_and(|race| race.won == Some(attempt.number));
        let words = [
            Some(format!("{} at {agent}: {state}", attempt.number)),
            won.then(|| "won".to_owned()),
            sent_as(job, attempt.number).1,
        ];
        out.field("Attempt", words.into_iter().flatten().collect::<Vec<_>>().join(", "));
    }
}

/// An attempt without a known task.
pub fn taskless(snapshot: &Snapshot, attempt: &Attempt) -> Value {
    let mut value = ours(snapshot, attempt);
    if let Some(object) = value.as_object_mut() {
        let reason = attempt.cause.as_deref().map(Cause::to_string);
        object.insert("reason".into(), json!(reason));
        object.insert("since".into(), json!(timestamp::format_at(attempt.phase_since)));
    }
    value
}

/// Prints a task's fields and outputs.
pub fn print_task(
    out: &mut Printer,
    snapshot: &Snapshot,
    key: AttemptKey,
    detail: &Detail,
    outputs: &Outputs,
) {
    let Some(attempt) = snapshot.attempts.get(key) else { return };
    print_ids(out, snapshot, attempt, Some(detail));
    for entry in detail.messages_of(attempt.id).filter(|entry| entry.message.role == Role::Agent) {
        let text = entry.message.text();
        if !text.is_empty() && text.raw().lines().count() <= 1 {
            out.field("Message", text);
        } else if !text.is_empty() {
            out.block("Message", &text);
        }
        print_parts(out, &entry.message.parts, None);
    }
    for (id, name, parts) in outputs {
        let name = name.as_ref().unwrap_or(id);
        print_output(out, name, &joined(parts.clone()));
    }
}

/// The fields that every command prints that touches a task.
pub fn print_ids(out: &mut Printer, snapshot: &Snapshot, attempt: &Attempt, detail: Option<&Detail>) {
    if let Some(task) = &attempt.task {
        out.field("Task", task.id.text());
        if let Some(context) = &task.context {
            out.field("Context", context.text());
        }
        out.field("State", task.state.word());
        if let Some(verdict) = task.verdict {
            let says = agent_says(task).map(|says| format!(", agent says {}", says.word()));
            let usual = task.usual.as_deref().map_or_else(String::new, |usual| format!("; {usual}"));
            out.field("Verdict", format!("{}{}{usual}", verdict.as_str(), says.unwrap_or_default()));
        }
        if let Some(cancel) = task.cancel {
            let late = detail.and_then(|detail| detail.late_end(attempt.id));
            out.field("Cancel", late.map_or_else(|| cancel.as_str().to_owned(), ToString::to_string));
        }
    } else {
        out.field("State", attempt.phase.as_str());
        if let Some(cause) = &attempt.cause {
            out.field("Reason", cause.to_string());
        }
    }
    if let Some(agent) = snapshot.agents.get(attempt.agent) {
        out.field("Agent", agent.name.clone());
    }
    if let Some(job) = snapshot.job_of(attempt) {
        out.field("Job", job.id.to_string());
    }
    if let Some(trace) = trace(snapshot, attempt) {
        out.field("Trace", trace);
    }
}

/// Prints a message that came without a task.
pub fn print_message(out: &mut Printer, message: &Message) {
    let text = message.text();
    if !text.is_empty() {
        out.block("Message", &text);
    }
    print_parts(out, &message.parts, None);
    if let Some(context) = &message.context {
        out.field("Context", context.text());
    }
}

fn print_output(out: &mut Printer, name: &Untrusted, parts: &[Part]) {
    out.field("Artifact", name.clone());
    print_parts(out, parts, Some("Text"));
}

/// Prints parts of any kind. `text` is the label of texts; without it texts are left out, as they are printed
/// elsewhere.
pub fn print_parts(out: &mut Printer, parts: &[Part], text: Option<&str>) {
    for part in parts {
        match &part.content {
            Content::Text(words) => {
                if let Some(label) = text {
                    out.block(label, words);
                }
            }
            Content::Data(json) | Content::Unknown(json) => {
                let pretty = serde_json::from_str::<Value>(json.raw())
                    .ok()
                    .and_then(|value| serde_json::to_string_pretty(&value).ok());
                out.block("Data", &Untrusted::from(pretty.unwrap_or_else(|| json.raw().to_owned())));
            }
            Content::Raw(_) => {
                let name = part.filename.as_ref().map_or_else(|| "unnamed".to_owned(), ToString::to_string);
                let kind =
                    part.media_type.as_ref().map_or_else(|| "unknown type".to_owned(), ToString::to_string);
                out.field("File", format!("{name}, {kind}, {} bytes", part.file_size().unwrap_or_default()));
            }
            Content::Url(url) => out.field("File", url.clone()),
        }
    }
}

/// True if a wait for an attempt has ended: it ended and was compared, it asks, it is stuck, or an operator decides.
pub fn is_decided(attempt: &Attempt) -> bool {
    match &attempt.task {
        Some(task) => {
            task.settled
                || attempt.needs_you()
                || attempt.phase == Phase::PresumedLost
                || matches!(task.verdict, Some(Verdict::Stalled | Verdict::Lost))
                || attempt.answer.as_ref().is_some_and(|answer| {
                    matches!(answer.phase, Phase::Refused | Phase::Unsent | Phase::Uncertain)
                })
        }
        None => attempt.phase.is_over() || attempt.phase == Phase::Uncertain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_missing_from_the_last_report_are_added() {
        let artifact = |id: &str, text: &str| json!({ "artifactId": id, "parts": [{ "text": text }] });
        let empty = json!({ "artifactId": "a", "parts": [] });
        for (before, kept, shown, added) in [
            (json!(null), json!([artifact("a", "kept")]), json!([artifact("a", "kept")]), vec!["a"]),
            (json!([]), json!([artifact("a", "kept")]), json!([artifact("a", "kept")]), vec!["a"]),
            (json!([empty]), json!([artifact("a", "kept")]), json!([artifact("a", "kept")]), vec!["a"]),
            (
                json!([artifact("a", "now")]),
                json!([artifact("a", "kept")]),
                json!([artifact("a", "now")]),
                vec![],
            ),
            (
                json!([artifact("a", "now")]),
                json!([artifact("a", "kept"), artifact("b", "kept")]),
                json!([artifact("a", "now"), artifact("b", "kept")]),
                vec!["b"],
            ),
            (json!([artifact("a", "now")]), json!(null), json!([artifact("a", "now")]), vec![]),
        ] {
            let mut task = json!({ "id": "t", "artifacts": before });
            assert_eq!(add_outputs(&mut task, kept), added, "{task}");
            assert_eq!(task["artifacts"], shown);
        }
    }
}
