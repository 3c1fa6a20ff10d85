//! `send`: sends one message and watches its task until it ends, asks, or is stuck.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use tokio::time::Instant;

use super::args::{Global, Login, Send as Args};
use super::output::{Failure, Printer};
use super::route;
use super::session::{AgentReference, Session, Setup, find_agent, probed, resolve_reference};
use super::watched_task::WatchedTask;
use crate::domain::id::{AgentId, AttemptId, AttemptKey, ContextId, TaskId};
use crate::domain::intent::{self, Intent, Receipt};
use crate::domain::job::Attempt;
use crate::domain::job::message::{Content, Json, Part};
use crate::domain::limits;
use crate::domain::route::Target;
use crate::domain::state::snapshot::Snapshot;
use crate::net::regular_file;
use crate::store::lock;
use crate::store::record::Record;

/// The time in which every agent is probed, so that their skills are known.
const FIND: Duration = Duration::from_secs(10);
/// What a request holds beside the parts of its message, in bytes: ids, metadata, names.
const BESIDE_PARTS: usize = 1024 * 1024;

pub(super) async fn run(global: &Global, args: Args, out: &mut Printer) -> Result<ExitCode, Failure> {
    let setup = Setup::load(global)?;
    may_have_target(&setup, &args)?;
    let parts = parts(&args)?;
    let metadata = metadata(args.metadata.as_deref())?;
    // Only a message that continues a task needs tasks that have ended.
    let setup = if args.task_id.is_some() { setup } else { setup.of_open_tasks() };
    if setup.read_only {
        return Err(Failure::from_refusal(&intent::Refusal::ReadOnly));
    }
    let (session, to) = destination(&setup, &args).await?;
    let context = args.context_id.as_deref().map(ContextId::from);
    let task = args.task_id.as_deref().map(TaskId::from);
    let known = match &to {
        Target::Agent(agent) => known_task(&session, *agent, task.as_ref(), context.as_ref())?,
        Target::Skill(_) | Target::Tag(_) | Target::Route(_) | Target::Any => None,
    };
    let intent = match known {
        Some(attempt) => Intent::Answer { attempt, parts, metadata },
        None => Intent::Send(Box::new(intent::Send {
            context,
            task,
            metadata,
            deadline: args.deadline,
            priority: args.priority,
            skill: args.route.skill.as_deref().map(Into::into),
            ..intent::Send::to(to, parts)
        })),
    };
    // An answer is about its own attempt, whatever the job does later.
    let is_answer = matches!(intent, Intent::Answer { .. });
    let receipt = session.handle.submit(intent).await.map_err(|refusal| Failure::from_refusal(&refusal));
    let (job, attempt) = match receipt {
        Ok(Receipt::Taken { job, attempt }) => (job, attempt.filter(|_| is_answer)),
        Ok(_) => return Err(Failure::internal("the engine took it as something else")),
        Err(failure) => {
            session.close(false).await;
            return Err(failure);
        }
    };
    let (login, reference) = (args.target.login.clone(), args.target.agent.clone());
    let mut watching = WatchedTask::new((setup, session), job, attempt, login, reference);
    let until = args.timeout.map(|limit| Instant::now() + limit);
    let result = if args.detach {
        watching.accepted(until, out).await
    } else {
        watching.decided(until, args.stream, out).await
    };
    let code = match result {
        Ok(()) => watching.finish(args.detach, args.stream, out).await,
        Err(failure) => Err(failure),
    };
    // A temporary engine keeps running for clients that have attached meanwhile.
    watching.session.close(true).await;
    code
}

/// Without rules, somebody has to be named. A running engine may have rules that this configuration does not name.
fn may_have_target(setup: &Setup, args: &Args) -> Result<(), Failure> {
    let named = args.target.agent.is_some() || route::target(&args.route).is_some();
    if named || !setup.fleet.routes.rules.is_empty() || lock::holder(&setup.dir).is_some() {
        return Ok(());
    }
    Err(no_target())
}

fn no_target() -> Failure {
    let what =
        "the message has no target: name an agent with --agent-card <REF>, or a skill with --skill <ID>";
    Failure::usage(what).hint("a fleet with [[fleet.NAME.routes]] needs none: its rules decide")
}

/// Where the message goes, and an engine that knows it.
async fn destination(setup: &Setup, args: &Args) -> Result<(Session, Target), Failure> {
    if let Some(reference) = &args.target.agent {
        if args.route.tag.is_some() || args.route.route.is_some() {
            return Err(Failure::usage(
                "-a names one agent, and --tag and --route let the router choose one: write one of them",
            ));
        }
        let (session, agent) = reach(setup, reference, &args.target.login).await?;
        return Ok((session, Target::Agent(agent)));
    }
    let to = route::target(&args.route);
    if args.task_id.is_some() {
        return Err(Failure::usage(
            "a message to a task goes to the agent that has it: name that agent with -a",
        ));
    }
    let session = Session::open(setup, &[], &args.target.login, false).await?;
    // An engine that has just started does not know yet who has which skill.
    probed(&session.handle, None, FIND).await;
    if to.is_none() && !route::has_rules(&session).await {
        session.close(true).await;
        return Err(no_target());
    }
    Ok((session, to.unwrap_or(Target::Any)))
}

/// Resolves an agent reference: its id, and an engine that knows it.
pub(super) async fn reach(setup: &Setup, target: &str, login: &Login) -> Result<(Session, AgentId), Failure> {
    let (session, reference) = match resolve_reference(setup, target).await? {
        AgentReference::Fleet(name) => (Session::open(setup, &[], login, false).await?, name),
        AgentReference::Running(session, key) => {
            let id = session.handle.snapshot().agents.get(key).map(|agent| agent.id);
            return Ok((session, id.ok_or_else(|| Failure::internal("the agent has gone"))?));
        }
        AgentReference::Direct(reference) => {
            let url = super::login::card_url(&reference)?;
            (Session::direct(setup, &reference, login)?, url)
        }
    };
    let id = find_agent(&session.handle.snapshot(), &reference).map(|(_, agent)| agent.id);
    let id = id.ok_or_else(|| Failure::usage(format!("no agent is called {reference:?}")))?;
    Ok((session, id))
}

/// The attempt of the task that the message continues, if it is known.
fn known_task(
    session: &Session,
    agent: AgentId,
    task: Option<&TaskId>,
    context: Option<&ContextId>,
) -> Result<Option<AttemptId>, Failure> {
    let Some(wanted) = task else { return Ok(None) };
    let snapshot = session.handle.snapshot();
    let Some((_, attempt)) = find_task(&snapshot, Some(agent), &wanted.raw()) else { return Ok(None) };
    let known = attempt.task.as_ref().and_then(|task| task.context.as_ref());
    match (known, context) {
        (Some(known), Some(asked)) if known != asked => Err(Failure::new(
            1,
            "InvalidParamsError",
            format!("task {wanted} belongs to context {known}, not {asked}"),
        )
        .hint("leave --context-id out: the task knows its context")),
        _ => Ok(Some(attempt.id)),
    }
}

/// A task by its agent's id, or by an unambiguous prefix of it.
pub(super) fn find_task<'s>(
    snapshot: &'s Snapshot,
    agent: Option<AgentId>,
    wanted: &str,
) -> Option<(AttemptKey, &'s Attempt)> {
    let of_agent = |attempt: &Attempt| {
        agent.is_none_or(|agent| snapshot.agents.get(attempt.agent).is_some_and(|row| row.id == agent))
    };
    let mut near = None;
    let mut several = false;
    for (key, attempt) in snapshot.attempts.iter().filter(|(_, attempt)| of_agent(attempt)) {
        let Some(task) = &attempt.task else { continue };
        if task.id.raw() == wanted {
            return Some((key, attempt));
        }
        if wanted.len() >= 4 && task.id.raw().starts_with(wanted) {
            several |= near.is_some();
            near = Some((key, attempt));
        }
    }
    near.filter(|_| !several)
}

fn parts(args: &Args) -> Result<Vec<Part>, Failure> {
    let mut parts: Vec<Part> = args.message.iter().map(|text| Part::text(text.as_str())).collect();
    let mut types = args.media_type.iter();
    // The order of the flags is the order of the parts; clap keeps each flag's own order only.
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (mut texts, mut files, mut datas) = (args.text.iter(), args.file.iter(), args.data.iter());
    for word in &words {
        let flag = word.split('=').next().unwrap_or(word);
        match flag {
            "--text" => parts.extend(texts.next().map(|text| Part::text(text.as_str()))),
            "--file" => {
                if let Some(file) = files.next() {
                    parts.push(file_part(file)?);
                }
            }
            "--data" => {
                if let Some(data) = datas.next() {
                    parts.push(data_part(data)?);
                }
            }
            "--media-type" => match (parts.last_mut(), types.next()) {
                (Some(part), Some(kind)) => part.media_type = Some(kind.as_str().into()),
                (None, _) => return Err(Failure::usage("--media-type comes behind the part that it is for")),
                (Some(_), None) => {}
            },
            "--" => break,
            _ => {}
        }
    }
    parts.extend(texts.map(|text| Part::text(text.as_str())));
    if parts.is_empty() {
        return Err(Failure::usage("nothing to send")
            .hint("quarterdeck send -a REF \"text\"; or --text, --file, --data"));
    }
    let is_blank = |part: &Part| part.as_text().is_some_and(|text| text.raw().trim().is_empty());
    if parts.iter().all(is_blank) {
        return Err(Failure::usage("the message is empty, and would start work without saying what")
            .hint("if its text comes from a variable, look whether that is set"));
    }
    let bytes = parts.put().len();
    if bytes + BESIDE_PARTS > limits::MESSAGE {
        return Err(Failure::usage(format!(
            "the message has {bytes} bytes as JSON, and at most {} MiB can be sent",
            limits::MESSAGE >> 20
        ))
        .hint("send fewer or smaller files, or the URL of a file with --file URL"));
    }
    Ok(parts)
}

fn file_part(file: &str) -> Result<Part, Failure> {
    if file.contains("://") {
        return Ok(Part { content: Content::Url(file.into()), ..Part::text("") });
    }
    let bytes = regular_file::read(Path::new(file), limits::FILE)
        .map_err(|error| Failure::usage(format!("{file} cannot be sent: {error}")))?;
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    let name = Path::new(file).file_name().map(|name| name.to_string_lossy().into_owned());
    let kind = match Path::new(file).extension().and_then(|ext| ext.to_str()).unwrap_or_default() {
        "txt" | "log" => Some("text/plain"),
        "md" => Some("text/markdown"),
        "json" => Some("application/json"),
        "csv" => Some("text/csv"),
        "html" => Some("text/html"),
        "pdf" => Some("application/pdf"),
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        _ => None,
    };
    Ok(Part {
        content: Content::Raw(encoded.into()),
        filename: name.map(Into::into),
        media_type: kind.map(Into::into),
        metadata: None,
    })
}

pub(super) fn data_part(data: &str) -> Result<Part, Failure> {
    let text = if data == "-" {
        let mut text = String::new();
        std::io::stdin()
            .take(limits::FILE + 1)
            .read_to_string(&mut text)
            .map_err(|error| Failure::usage(format!("standard input cannot be read: {error}")))?;
        if text.len() as u64 > limits::FILE {
            return Err(Failure::usage(format!(
                "standard input is longer than the {} MiB that can be sent",
                limits::FILE >> 20
            )));
        }
        text
    } else {
        regular_file::read_text(Path::new(data), limits::FILE)
            .map_err(|error| Failure::usage(format!("{data} cannot be sent: {error}")))?
    };
    serde_json::from_str::<serde::de::IgnoredAny>(&text)
        .map_err(|error| Failure::usage(format!("{data} is not JSON: {error}")))?;
    Ok(Part { content: Content::Data(Json::new(text.trim())), ..Part::text("") })
}

pub(super) fn metadata(text: Option<&str>) -> Result<Option<Json>, Failure> {
    let Some(text) = text else { return Ok(None) };
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(_)) => Ok(Some(Json::new(text))),
        Ok(_) => {
            Err(Failure::usage("--metadata is not a JSON object").hint("for example '{\"type\":\"charge\"}'"))
        }
        Err(error) => Err(Failure::usage(format!("--metadata is not JSON: {error}"))),
    }
}
