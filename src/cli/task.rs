//! `task …`: read, list, follow and end tasks, on every agent.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::args::{Global, OptionalTarget, Task as Args};
use super::output::{Failure, Printer, table};
use super::reroute::{self, How};
use super::send::{find_task, reach};
use super::session::{Session, Setup, probed, seen};
use super::watched_task::WatchedTask;
use super::{cancel, protocol_json, uncertain};
use crate::domain::cause::Cause;
use crate::domain::id::{AgentId, TaskId};
use crate::domain::intent::{Intent, Receipt};
use crate::domain::job::detail::Detail;
use crate::domain::job::message::Json;
use crate::domain::job::task::TaskState;
use crate::domain::job::{Attempt, Phase};
use crate::domain::problem::Kind;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;
use crate::engine::{Answer, Query, QueryError};
use crate::protocol::timestamp;

/// The time allowed for a fresh engine to find a task.
const FIND: Duration = Duration::from_secs(15);

pub(super) async fn run(global: &Global, args: Args, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?;
    match args {
        Args::Get { task, target, history, wait, timeout } => {
            if wait {
                let until = timeout.map(|limit| Instant::now() + limit);
                follow(setup, &target, &task, false, until, out).await
            } else {
                get(setup, &target, &task, history, out).await
            }
        }
        Args::List { target, state, context_id, limit } => {
            list(setup, &target, state.as_deref(), context_id.as_deref(), limit, out).await
        }
        Args::Subscribe { task, target, stream, timeout } => {
            let until = timeout.map(|limit| Instant::now() + limit);
            follow(setup, &target, &task, stream, until, out).await
        }
        Args::Cancel(args) => cancel::run(setup, &args, out).await,
        Args::Retry(args) => reroute::run(setup, How::Retry(&args), out).await,
        Args::Reroute(args) => reroute::run(setup, How::Reroute(&args), out).await,
        Args::Race(args) => reroute::run(setup, How::Race(&args), out).await,
        Args::Resend { attempt, why, timeout } => {
            let until = timeout.map(|limit| Instant::now() + limit);
            uncertain::resend(setup, &attempt, why, until, out).await
        }
        Args::PresumeLost { attempt, why } => uncertain::presume_lost(setup, &attempt, why, out).await,
    }
}

/// The location of a task: an engine, the agent, and the known state.
struct TaskLocation {
    session: Session,
    agent: AgentId,
    task: TaskId,
}

/// Finds a task by its id; without an agent, among all known tasks.
async fn find(setup: &Setup, target: &OptionalTarget, task: &str) -> Result<TaskLocation, Failure> {
    if let Some(agent) = &target.agent {
        let (session, agent) = reach(setup, agent, &target.login).await?;
        let known = find_task(&session.handle.snapshot(), Some(agent), task)
            .and_then(|(_, attempt)| attempt.task.as_ref().map(|task| task.id.clone()));
        return Ok(TaskLocation { session, agent, task: known.unwrap_or_else(|| TaskId::from(task)) });
    }
    let session = Session::open(setup, &[], &target.login, false).await?;
    let snapshot = session.handle.snapshot();
    let found = find_task(&snapshot, None, task).and_then(|(_, attempt)| {
        let agent = snapshot.agents.get(attempt.agent)?.id;
        Some((agent, attempt.task.as_ref()?.id.clone()))
    });
    match found {
        Some((agent, task)) => Ok(TaskLocation { session, agent, task }),
        None => {
            session.close(false).await;
            Err(Failure::new(
                1,
                "TaskNotFoundError",
                format!("no agent of the fleet is known to have task {task}"),
            )
            .hint("name its agent with -a"))
        }
    }
}

async fn get(
    setup: Setup,
    target: &OptionalTarget,
    task: &str,
    history: Option<usize>,
    out: &mut Printer,
) -> Result<ExitCode, Failure> {
    let TaskLocation { session, agent, task } = find(&setup, target, task).await?;
    let key = session.handle.snapshot().agents.iter().find(|(_, row)| row.id == agent).map(|(key, _)| key);
    probed(&session.handle, Some(&key.into_iter().collect::<Vec<_>>()), FIND).await;
    let answer = session.handle.query(Query::ReadTask { agent, task: task.clone() }).await;
    let snapshot = session.handle.snapshot();
    let known = find_task(&snapshot, Some(agent), &task.raw()).map(|(_, attempt)| attempt.clone());
    let result = match answer {
        Ok(Answer::Task(json)) => {
            let kept = kept_outputs(&session, &snapshot, known.as_ref()).await;
            print_read(&snapshot, agent, known.as_ref(), &json, kept, history, out);
            Ok(ExitCode::SUCCESS)
        }
        Ok(_) => Err(Failure::internal("the engine answered something else")),
        Err(QueryError::Failed(cause)) => match &known {
            // The agent cannot be asked: print the known state with its age.
            Some(attempt) if cause.is_transport() => {
                out.warn(format!("{cause}; this is what was known last"));
                print_known(&session, &snapshot, attempt, out).await
            }
            _ => Err(call_failed(&snapshot, agent, &cause)),
        },
        Err(QueryError::Unknown) => {
            let cause = key.and_then(|key| snapshot.agents.get(key)).and_then(|row| row.cause.clone());
            match (&known, cause) {
                (Some(attempt), Some(cause)) => {
                    out.warn(format!("{cause}; this is what was known last"));
                    print_known(&session, &snapshot, attempt, out).await
                }
                (None, Some(cause)) => Err(call_failed(&snapshot, agent, &cause)),
                (_, None) => Err(Failure::internal("the agent is not known yet")),
            }
        }
        Err(error) => Err(Failure::internal(error.to_string())),
    };
    session.close(false).await;
    result
}

fn call_failed(snapshot: &Snapshot, agent: AgentId, cause: &Cause) -> Failure {
    match snapshot.agents.iter().find(|(_, row)| row.id == agent) {
        Some((_, row)) => Failure::from_call(row, cause),
        None => Failure::from_cause(cause),
    }
}

/// The outputs of a task that we have kept, as 1.0 writes them.
async fn kept_outputs(session: &Session, snapshot: &Snapshot, known: Option<&Attempt>) -> Value {
    let Some((attempt, job)) = known.and_then(|attempt| Some((attempt, snapshot.job_of(attempt)?.id))) else {
        return Value::Null;
    };
    let Ok(Answer::Outputs(outputs)) =
        session.handle.query(Query::Outputs { job, attempt: attempt.id }).await
    else {
        return Value::Null;
    };
    let task = protocol_json::whole_task(snapshot, attempt, &Detail::default(), outputs);
    task.map_or(Value::Null, |mut task| task["artifacts"].take())
}

/// Prints a task as its agent reports it now, with outputs that only we have stored.
fn print_read(
    snapshot: &Snapshot,
    agent: AgentId,
    known: Option<&Attempt>,
    json: &Json,
    kept: Value,
    history: Option<usize>,
    out: &mut Printer,
) {
    let mut value: Value = serde_json::from_str(json.raw()).unwrap_or(Value::Null);
    // Some agents send an output only once, in the stream, and never return it with the task.
    for name in protocol_json::add_outputs(&mut value, kept) {
        out.warn(format!("output {name} is what was received before: its agent no longer lists it"));
    }
    if let (Some(limit), Some(messages)) = (history, value.get_mut("history").and_then(Value::as_array_mut)) {
        let cut = messages.len().saturating_sub(limit);
        messages.drain(..cut);
    }
    let name =
        snapshot.agents.iter().find(|(_, row)| row.id == agent).map(|(_, row)| row.name.line().into_string());
    let ours = match known {
        Some(attempt) => protocol_json::ours(snapshot, attempt),
        None => json!({
            "agent": name, "job": null, "attempt": null, "number": null, "trace": null, "messageId": null,
            "attemptState": "accepted", "verdict": null, "usualPause": null, "agentSays": null, "cancel": null,
            "retryBudgetSpent": null,
        }),
    };
    let mut value = protocol_json::with_ours(value, ours);
    let job = known.and_then(|attempt| snapshot.job_of(attempt));
    if out.is_json() {
        let attempts = job.and_then(|job| protocol_json::attempts(snapshot, job));
        if let (Some(attempts), Some(object)) = (attempts, value.as_object_mut()) {
            object.insert("attempts".to_owned(), attempts);
        }
        return out.document(&value);
    }
    print_value(&value, name, known, out);
    if let Some(job) = job {
        protocol_json::print_attempts(out, snapshot, job);
    }
}

fn print_value(value: &Value, agent: Option<String>, known: Option<&Attempt>, out: &mut Printer) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    out.field("Task", text(&value["id"]));
    out.field("Context", text(&value["contextId"]));
    out.field("State", word_of(&text(&value["status"]["state"])));
    if let Some(verdict) = known.and_then(|attempt| attempt.task.as_ref()).and_then(|task| task.verdict) {
        out.field("Verdict", verdict.as_str());
    }
    if let Some(agent) = agent {
        out.field("Agent", agent);
    }
    let parts = |value: &Value| -> Vec<Value> { value["parts"].as_array().cloned().unwrap_or_default() };
    for part in parts(&value["status"]["message"]) {
        print_part("Message", &part, out);
    }
    for artifact in value["artifacts"].as_array().cloned().unwrap_or_default() {
        let name = if artifact["name"].is_string() { &artifact["name"] } else { &artifact["artifactId"] };
        out.field("Artifact", text(name));
        let texts: String = parts(&artifact).iter().filter_map(|part| part["text"].as_str()).collect();
        if !texts.is_empty() {
            out.block("Text", &texts.into());
        }
        for part in parts(&artifact).iter().filter(|part| part["text"].is_null()) {
            print_part("Part", part, out);
        }
    }
}

fn print_part(label: &str, part: &Value, out: &mut Printer) {
    if let Some(text) = part["text"].as_str() {
        if text.contains('\n') { out.block(label, &text.into()) } else { out.field(label, text) }
    } else if let Some(url) = part["url"].as_str() {
        out.field("File", url);
    } else if let Some(raw) = part["raw"].as_str() {
        let name = part["filename"].as_str().unwrap_or("unnamed");
        let kind = part["mediaType"].as_str().unwrap_or("unknown type");
        out.field("File", format!("{name}, {kind}, {} bytes", raw.len() / 4 * 3));
    } else {
        let pretty = serde_json::to_string_pretty(&part["data"]).unwrap_or_default();
        out.block("Data", &pretty.into());
    }
}

/// `TASK_STATE_INPUT_REQUIRED` in plain words.
fn word_of(state: &str) -> String {
    state.strip_prefix("TASK_STATE_").map_or_else(
        || state.to_owned(),
        |rest| match rest {
            "INPUT_REQUIRED" => "needs an answer".into(),
            "AUTH_REQUIRED" => "needs a login".into(),
            rest => rest.to_ascii_lowercase(),
        },
    )
}

async fn print_known(
    session: &Session,
    snapshot: &Snapshot,
    attempt: &Attempt,
    out: &mut Printer,
) -> Result<ExitCode, Failure> {
    let job =
        snapshot.job_of(attempt).map(|job| job.id).ok_or_else(|| Failure::internal("its job is gone"))?;
    let detail = session.handle.follow(job).await.map(|follow| follow.detail()).unwrap_or_default();
    let outputs = match session.handle.query(Query::Outputs { job, attempt: attempt.id }).await {
        Ok(Answer::Outputs(outputs)) => outputs,
        _ => Vec::new(),
    };
    if out.is_json() {
        out.document(&protocol_json::whole_task(snapshot, attempt, &detail, outputs).unwrap_or(Value::Null));
    } else if let Some((key, _)) = snapshot.attempts.iter().find(|(_, row)| row.id == attempt.id) {
        protocol_json::print_task(out, snapshot, key, &detail, &outputs);
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(
    setup: Setup,
    target: &OptionalTarget,
    state: Option<&str>,
    context: Option<&str>,
    limit: Option<usize>,
    out: &mut Printer,
) -> Result<ExitCode, Failure> {
    let (snapshot, session, agent) = match &target.agent {
        Some(agent) => {
            let (session, agent) = reach(&setup, agent, &target.login).await?;
            if session.is_own() {
                let key = session
                    .handle
                    .snapshot()
                    .agents
                    .iter()
                    .find(|(_, row)| row.id == agent)
                    .map(|(key, _)| key);
                probed(&session.handle, Some(&key.into_iter().collect::<Vec<_>>()), FIND).await;
                quiet(&session).await;
            }
            let snapshot = session.handle.snapshot();
            if let Some((_, row)) = snapshot.agents.iter().find(|(_, row)| row.id == agent)
                && row.interface.is_none()
                && let Some(cause) = row.cause.clone()
            {
                session.close(false).await;
                return Err(Failure::from_call(row, &cause));
            }
            (snapshot, Some(session), Some(agent))
        }
        None => {
            let (session, snapshot) = seen(&setup, out).await?;
            (snapshot, session, None)
        }
    };
    let state = state.map(normal_state).transpose()?;
    let fits = |attempt: &&Attempt| {
        let task = attempt.task.as_ref();
        agent.is_none_or(|agent| snapshot.agents.get(attempt.agent).is_some_and(|row| row.id == agent))
            && state
                .as_ref()
                .is_none_or(|state| task.is_some_and(|task| protocol_json::state_name(&task.state) == *state))
            && context.is_none_or(|context| {
                task.and_then(|task| task.context.as_ref()).is_some_and(|known| known.raw() == context)
            })
    };
    let mut attempts: Vec<&Attempt> =
        snapshot.attempts.iter().map(|(_, attempt)| attempt).filter(fits).collect();
    attempts.sort_by_key(|attempt| std::cmp::Reverse(changed(attempt)));
    let total = attempts.iter().filter(|attempt| attempt.task.is_some()).count();
    if let Some(limit) = limit {
        attempts.truncate(limit);
    }
    for (_, problem) in snapshot.problems.iter() {
        if problem.kind == Kind::ListIncomplete
            && problem.cleared.is_none()
            && let Some(row) = problem.agent.and_then(|key| snapshot.agents.get(key))
            && agent.is_none_or(|agent| agent == row.id)
        {
            out.warn(format!("{} {}; {}", row.name.line(), problem.text.line(), problem.next.line()));
        }
    }
    if out.is_json() {
        out.document(&protocol_json::task_list(&snapshot, &attempts, total));
    } else {
        let rows: Vec<_> = attempts.iter().map(|attempt| row(&snapshot, attempt)).collect();
        for line in table(&["TASK", "STATE", "AGENT", "SINCE", "JOB"], &rows) {
            out.row(&line);
        }
    }
    if let Some(session) = session {
        session.close(false).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits until a fresh engine's rows have been stable for a moment, so that an agent's tasks have been found.
async fn quiet(session: &Session) {
    let mut snapshots = session.handle.watch();
    let until = Instant::now() + FIND;
    loop {
        match tokio::time::timeout(Duration::from_millis(400), snapshots.changed()).await {
            Ok(Ok(())) if Instant::now() < until => snapshots.mark_unchanged(),
            _ => return,
        }
    }
}

fn changed(attempt: &Attempt) -> At {
    attempt.task.as_ref().map_or(attempt.phase_since, |task| task.last_activity)
}

fn row(snapshot: &Snapshot, attempt: &Attempt) -> Vec<String> {
    let agent = snapshot.agents.get(attempt.agent).map(|agent| agent.name.to_string()).unwrap_or_default();
    let title = snapshot.job_of(attempt).map(|job| job.title.to_string()).filter(|title| !title.is_empty());
    let (id, state) = match &attempt.task {
        Some(task) if attempt.phase == Phase::PresumedLost && !task.is_over() => {
            (task.id.to_string(), Phase::PresumedLost.as_str().to_owned())
        }
        Some(task) => {
            let verdict = task.verdict.map(|verdict| format!(", {}", verdict.as_str())).unwrap_or_default();
            (task.id.to_string(), format!("{}{verdict}", task.state.word()))
        }
        None => ("–".to_owned(), attempt.phase.as_str().to_owned()),
    };
    vec![id, state, agent, timestamp::format_at(attempt.since().at), title.unwrap_or_else(|| "–".to_owned())]
}

/// A state as 1.0 writes it, from how people write it.
pub(super) fn normal_state(word: &str) -> Result<String, Failure> {
    let word = word.to_ascii_uppercase().replace(['-', ' '], "_");
    let word = word.strip_prefix("TASK_STATE_").unwrap_or(&word).to_owned();
    let known = [
        "SUBMITTED",
        "WORKING",
        "INPUT_REQUIRED",
        "AUTH_REQUIRED",
        "COMPLETED",
        "FAILED",
        "CANCELED",
        "REJECTED",
        "UNSPECIFIED",
    ];
    if known.contains(&word.as_str()) {
        return Ok(format!("TASK_STATE_{word}"));
    }
    let near = crate::config::nearest(&word, &known).unwrap_or("WORKING").to_ascii_lowercase();
    Err(Failure::usage(format!("{:?} is no state", word.to_ascii_lowercase()))
        .hint(format!("did you mean {near}?")))
}

/// Makes a task known to the engine and follows it.
pub(super) async fn adopt(
    setup: Setup,
    target: &OptionalTarget,
    task: &str,
    out: &mut Printer,
) -> Result<WatchedTask, Failure> {
    let TaskLocation { session, agent, task } = find(&setup, target, task).await?;
    let key = session.handle.snapshot().agents.iter().find(|(_, row)| row.id == agent).map(|(key, _)| key);
    probed(&session.handle, Some(&key.into_iter().collect::<Vec<_>>()), FIND).await;
    let row = key.and_then(|key| session.handle.snapshot().agents.get(key).cloned());
    if let Some(row) = row
        && row.interface.is_none()
        && let Some(cause) = &row.cause
    {
        session.close(false).await;
        return Err(Failure::from_call(&row, cause));
    }
    // A task that does not exist must not be watched forever.
    let known = find_task(&session.handle.snapshot(), Some(agent), &task.raw()).is_some();
    if !known
        && let Err(QueryError::Failed(cause)) =
            session.handle.query(Query::ReadTask { agent, task: task.clone() }).await
    {
        let failure = call_failed(&session.handle.snapshot(), agent, &cause);
        session.close(false).await;
        return Err(failure);
    }
    let receipt = session.handle.submit(Intent::Adopt { agent, task }).await;
    match receipt {
        Ok(Receipt::Taken { job, attempt }) => {
            let (login, reference) = (target.login.clone(), target.agent.clone());
            let mut watching = WatchedTask::new((setup, session), job, attempt, login, reference);
            let until = Instant::now() + FIND;
            watching
                .wait(Some(until), false, out, |attempt| {
                    attempt.task.as_ref().is_some_and(|task| {
                        task.state != TaskState::Unspecified || task.verdict.is_some() || task.settled
                    })
                })
                .await?;
            Ok(watching)
        }
        Ok(_) => Err(Failure::internal("the engine took it as something else")),
        Err(refusal) => Err(Failure::from_refusal(&refusal)),
    }
}

async fn follow(
    setup: Setup,
    target: &OptionalTarget,
    task: &str,
    stream: bool,
    until: Option<Instant>,
    out: &mut Printer,
) -> Result<ExitCode, Failure> {
    let mut watching = adopt(setup, target, task, out).await?;
    if stream {
        // From the beginning, including events processed during the search.
        (watching.known, watching.printed) = (0, 0);
        watching.detail = Detail::default();
    }
    let result = watching.decided(until, stream, out).await;
    let snapshot = watching.session.handle.snapshot();
    let found = snapshot.attempts.iter().find(|(_, attempt)| Some(attempt.id) == watching.attempt);
    let code = match (result, found) {
        (Err(failure), _) => Err(failure),
        (Ok(()), Some((key, attempt))) => {
            let outputs = watching.outputs().await?;
            if stream && out.is_json() {
                if let Some(task) = protocol_json::task_row(&snapshot, attempt) {
                    out.line(&json!({ "task": task }));
                }
            } else if out.is_json() {
                out.document(
                    &protocol_json::whole_task(&snapshot, attempt, &watching.detail, outputs)
                        .unwrap_or(Value::Null),
                );
            } else if stream {
                protocol_json::print_ids(out, &snapshot, attempt, Some(&watching.detail));
            } else {
                protocol_json::print_task(out, &snapshot, key, &watching.detail, &outputs);
            }
            watching.warn(attempt, out);
            Ok(ExitCode::SUCCESS)
        }
        (Ok(()), None) => Err(Failure::internal("the engine no longer knows the task")),
    };
    watching.session.close(true).await;
    code
}
