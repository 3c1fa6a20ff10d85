//! `send`: sends one message and watches its task until it ends, asks, or is stuck.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use serde_json::json;
use tokio::time::Instant;

use super::args::{Global, Send as Args, Target};
use super::output::{Failure, Printer};
use super::protocol_json;
use super::session::{AgentReference, Session, Setup, find_agent, resolve_reference};
use crate::domain::fact::{AttemptFact, JobFact, JournalEntry};
use crate::domain::id::{AgentId, AttemptId, AttemptKey, ContextId, JobId, TaskId};
use crate::domain::intent::{self, Intent, Receipt};
use crate::domain::job::detail::Detail;
use crate::domain::job::message::{Content, Json, Part, Role};
use crate::domain::job::task::{Status, StreamEvent, TaskReport, TaskState, Verdict};
use crate::domain::job::{Attempt, Phase};
use crate::domain::limits;
use crate::domain::shell_words::{flag, positional, quoted};
use crate::domain::state::snapshot::Snapshot;
use crate::engine::handle::wire::Tasks;
use crate::engine::{Answer, Query, QueryError};
use crate::net::regular_file;
use crate::shutdown::{self, Reason};
use crate::store::record::Record;

/// What a request holds beside the parts of its message, in bytes: ids, metadata, names.
const BESIDE_PARTS: usize = 1024 * 1024;

pub(super) async fn run(global: &Global, args: Args, out: &mut Printer) -> Result<ExitCode, Failure> {
    let parts = parts(&args)?;
    let metadata = metadata(args.metadata.as_deref())?;
    let setup = Setup::load(global)?;
    // Only a message that continues a task needs tasks that have ended.
    let setup = if args.task_id.is_some() { setup } else { setup.of_open_tasks() };
    if setup.read_only {
        return Err(Failure::from_refusal(&intent::Refusal::ReadOnly));
    }
    let (session, agent) = reach(&setup, &args.target).await?;
    let context = args.context_id.as_deref().map(ContextId::from);
    let task = args.task_id.as_deref().map(TaskId::from);
    let intent = match known_task(&session, agent, task.as_ref(), context.as_ref())? {
        Some(attempt) => Intent::Answer { attempt, parts, metadata },
        None => Intent::Send(Box::new(intent::Send {
            agent,
            parts,
            context,
            task,
            metadata,
            skill: None,
            caller: None,
            parent: None,
        })),
    };
    let receipt = session.handle.submit(intent).await.map_err(|refusal| Failure::from_refusal(&refusal));
    let (job, attempt) = match receipt {
        Ok(Receipt::Taken { job, attempt }) => (job, attempt),
        Ok(_) => return Err(Failure::internal("the engine took it as something else")),
        Err(failure) => {
            session.close(false).await;
            return Err(failure);
        }
    };
    let mut watching = WatchedTask {
        setup,
        session,
        job,
        attempt,
        login: args.target.login.clone(),
        reference: Some(args.target.agent.clone()),
        known: 0,
        printed: 0,
        detail: Detail::default(),
    };
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

/// Resolves an agent reference: its id, and an engine that knows it.
pub(super) async fn reach(setup: &Setup, target: &Target) -> Result<(Session, AgentId), Failure> {
    let (session, reference) = match resolve_reference(setup, &target.agent).await? {
        AgentReference::Fleet(name) => (Session::open(setup, &[], &target.login, false).await?, name),
        AgentReference::Running(session, key) => {
            let id = session.handle.snapshot().agents.get(key).map(|agent| agent.id);
            return Ok((session, id.ok_or_else(|| Failure::internal("the agent has gone"))?));
        }
        AgentReference::Direct(reference) => {
            let url = super::session::card_url(&reference)?;
            (Session::direct(setup, &reference, &target.login)?, url)
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

/// A task under watch, also when the engine changes hands.
pub(super) struct WatchedTask {
    pub setup: Setup,
    pub session: Session,
    pub job: JobId,
    pub attempt: AttemptId,
    pub login: super::args::Login,
    /// The agent as the command line names it; none if it does not.
    pub reference: Option<String>,
    /// The number of facts processed.
    pub known: u64,
    /// Facts that were printed.
    pub printed: u64,
    pub detail: Detail,
}

impl WatchedTask {
    fn find(&self, snapshot: &Snapshot) -> Option<(AttemptKey, Attempt)> {
        let found = snapshot.attempts.iter().find(|(_, attempt)| attempt.id == self.attempt);
        found.map(|(key, attempt)| (key, attempt.clone()))
    }

    /// The engine changed hands or ended: the next one is joined, or we carry on ourselves.
    async fn reopen(&mut self) -> Result<(), Failure> {
        tracing::debug!("the engine has gone; looks for the next");
        // It may be over meanwhile.
        self.setup.tasks = Tasks::All;
        let next = Session::open(&self.setup, &[], &self.login, false).await?;
        let old = std::mem::replace(&mut self.session, next);
        old.close(false).await;
        // The old engine's last updates may not have been committed: the timeline is read again.
        (self.known, self.detail) = (0, Detail::default());
        Ok(())
    }

    /// Waits until the agent has responded.
    async fn accepted(&mut self, until: Option<Instant>, out: &mut Printer) -> Result<(), Failure> {
        self.wait(until, false, out, |attempt| {
            attempt.task.is_some() || attempt.phase.is_over() || attempt.phase == Phase::Uncertain
        })
        .await
    }

    /// Waits until the task ends, asks or is stuck.
    pub(super) async fn decided(
        &mut self,
        until: Option<Instant>,
        stream: bool,
        out: &mut Printer,
    ) -> Result<(), Failure> {
        self.wait(until, stream, out, protocol_json::is_decided).await
    }

    pub(super) async fn wait(
        &mut self,
        until: Option<Instant>,
        stream: bool,
        out: &mut Printer,
        over: impl Fn(&Attempt) -> bool,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        let timeout = async move {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let interrupt = shutdown::requested();
        tokio::pin!(timeout, interrupt);
        'follow: loop {
            let mut follow = match self.session.handle.follow(self.job).await {
                Ok(follow) => follow,
                Err(QueryError::Gone) => {
                    self.reopen().await?;
                    continue;
                }
                Err(error) => return Err(Failure::internal(format!("the job cannot be followed: {error}"))),
            };
            self.printed = self.printed.min(follow.until);
            for fact in std::mem::take(&mut follow.facts) {
                self.take(&fact, stream, out);
            }
            self.known = self.known.max(follow.until);
            let mut snapshots = self.session.handle.watch();
            let mut tick = tokio::time::interval(Duration::from_millis(500));
            let ended = loop {
                let snapshot = snapshots.borrow_and_update().clone();
                // Facts and rows arrive separately: wait for both.
                if let Some((_, attempt)) = self.find(&snapshot)
                    && over(&attempt)
                    && snapshot.job_of(&attempt).is_none_or(|job| self.known >= job.seq)
                {
                    break true;
                }
                tokio::select! {
                    fact = follow.more.recv() => match fact {
                        Some(fact) => self.take(&fact, stream, out),
                        None if self.session.handle.is_gone() => break false,
                        None => {
                            // It was too slow to follow, and reads the timeline again.
                            (self.known, self.detail) = (0, Detail::default());
                            continue 'follow;
                        }
                    },
                    changed = snapshots.changed() => if changed.is_err() { break false },
                    () = self.session.handed_over() => break false,
                    _ = tick.tick() => {
                        if !stream && let Some((_, attempt)) = self.find(&snapshot) {
                            out.progress(progress(&attempt, begun.elapsed()));
                        }
                    }
                    () = &mut timeout => return Err(self.timed_out(&snapshot)),
                    reason = &mut interrupt => return Err(self.interrupted(&snapshot, reason)),
                }
            };
            if ended {
                return Ok(());
            }
            self.reopen().await?;
        }
    }

    /// Tells an interrupted user how to continue: the task goes on without the command.
    fn interrupted(&self, snapshot: &Snapshot, reason: Reason) -> Failure {
        let found = self.find(snapshot);
        match found.and_then(|(_, attempt)| attempt.task) {
            Some(task) => {
                let words = format!("stopped watching; task {} is {} still", task.id, task.state.word());
                Failure::new(reason.exit_code(), "QUARTERDECK_ERR_INTERRUPTED", words).hint(format!(
                    "{}, or end it: {}",
                    self.command("task get --wait", &task.id),
                    self.command("task cancel", &task.id)
                ))
            }
            None => Failure::new(
                reason.exit_code(),
                "QUARTERDECK_ERR_INTERRUPTED",
                "stopped watching; the agent has not answered yet",
            )
            .hint("quarterdeck task list shows what became of it"),
        }
    }

    fn timed_out(&self, snapshot: &Snapshot) -> Failure {
        let task = self.find(snapshot).and_then(|(_, attempt)| attempt.task);
        match task {
            Some(task) => Failure::timeout(format!("task {} is {} still", task.id, task.state.word()))
                .hint(self.command("task get --wait", &task.id)),
            None => Failure::timeout("the agent has not answered yet"),
        }
    }

    /// A command on a task of this agent, as the shell takes it.
    pub(super) fn command(&self, verb: &str, task: &TaskId) -> String {
        format!("quarterdeck{} {verb}{} {}", self.setup.flags, self.agent_flag(), positional(&task.raw()))
    }

    fn agent_flag(&self) -> String {
        self.reference.as_ref().map(|agent| flag("-a", agent)).unwrap_or_default()
    }

    /// Processes a fact, and prints it if events are requested.
    fn take(&mut self, fact: &Arc<JournalEntry>, stream: bool, out: &mut Printer) {
        if fact.seq <= self.known {
            return;
        }
        self.known = fact.seq;
        self.detail.apply(fact);
        let is_news = fact.seq > self.printed;
        self.printed = self.printed.max(fact.seq);
        if stream && is_news && fact.fact.of_attempt().is_none_or(|(of, _)| of == self.attempt) {
            self.print_event(fact, out);
        }
    }

    fn print_event(&self, fact: &JournalEntry, out: &mut Printer) {
        let snapshot = self.session.handle.snapshot();
        let task = self.find(&snapshot).and_then(|(_, attempt)| attempt.task);
        let ids = task.map(|task| (task.id, task.context));
        let (task, context) = ids.map_or((None, None), |(task, context)| (Some(task), context));
        let state = self.last_state();
        let Some((_, fact)) = fact.fact.of_attempt() else { return };
        let event = match fact {
            AttemptFact::TaskSeen { task, context, state, peer_time, .. } => {
                StreamEvent::Task(Box::new(TaskReport {
                    id: task.clone(),
                    context: context.clone(),
                    status: Status { state: state.clone(), message: None, timestamp: *peer_time },
                    artifacts: None,
                    history: Vec::new(),
                    metadata: None,
                    hints: crate::domain::job::message::Hints::default(),
                    raw: None,
                }))
            }
            AttemptFact::StateSeen { state, peer_time, .. } => StreamEvent::Status {
                task,
                context,
                status: Status { state: state.clone(), message: None, timestamp: *peer_time },
                metadata: None,
                raw: None,
            },
            AttemptFact::MessageSeen { message, status: true, .. } => StreamEvent::Status {
                task,
                context,
                status: Status { state, message: Some((**message).clone()), timestamp: None },
                metadata: None,
                raw: None,
            },
            AttemptFact::MessageSeen { message, .. } if message.role != Role::User && task.is_none() => {
                StreamEvent::Message(Box::new((**message).clone()))
            }
            AttemptFact::ArtifactSeen { artifact, name, append, parts, last, .. } => StreamEvent::Artifact {
                task,
                context,
                artifact: crate::domain::job::message::Artifact {
                    id: artifact.clone(),
                    name: name.clone(),
                    description: None,
                    parts: parts.to_vec(),
                    metadata: None,
                },
                append: *append,
                last: *last,
            },
            _ => return,
        };
        if out.is_json() {
            let mut value = protocol_json::event(&event);
            for whole in ["task", "message"] {
                if let (Some(whole), Some((_, attempt))) = (value.get_mut(whole), self.find(&snapshot)) {
                    *whole = protocol_json::with_ours(whole.take(), protocol_json::ours(&snapshot, &attempt));
                }
            }
            return out.line(&value);
        }
        match &event {
            StreamEvent::Task(report) => {
                out.field("Task", report.id.text());
                out.field("State", report.status.state.word());
            }
            StreamEvent::Status { status, .. } => {
                let said = status.message.as_ref().map(|message| format!(": {}", message.headline(400)));
                out.field("State", format!("{}{}", status.state.word(), said.unwrap_or_default()));
            }
            StreamEvent::Artifact { artifact, .. } => {
                let name = format!("Artifact {}", artifact.id);
                protocol_json::print_parts(out, &artifact.parts, Some(&name));
            }
            StreamEvent::Message(message) => protocol_json::print_message(out, message),
            StreamEvent::Unknown(_) => {}
        }
    }

    fn last_state(&self) -> TaskState {
        let states = self.detail.timeline.iter().rev().find_map(|line| match &line.fact {
            JobFact::Attempt(
                _,
                AttemptFact::StateSeen { state, .. } | AttemptFact::TaskSeen { state, .. },
            ) => Some(state.clone()),
            _ => None,
        });
        states.unwrap_or(TaskState::Unspecified)
    }

    /// Prints the result. The exit code says whether the command did its job, not how the agent decided.
    pub(super) async fn finish(
        &mut self,
        detach: bool,
        stream: bool,
        out: &mut Printer,
    ) -> Result<ExitCode, Failure> {
        let snapshot = self.session.handle.snapshot();
        let Some((key, attempt)) = self.find(&snapshot) else {
            return Err(Failure::internal("the engine no longer knows the job"));
        };
        match attempt.phase {
            Phase::Unsent | Phase::Refused => return Err(Self::not_taken(&snapshot, &attempt)),
            Phase::Uncertain => {
                let why = attempt.cause.as_deref().map_or_else(String::new, |cause| format!(": {cause}"));
                return Err(Failure::new(
                    1,
                    "QUARTERDECK_ERR_UNCERTAIN",
                    format!("nobody can tell whether it arrived{why}"),
                )
                .hint(
                    "quarterdeck inbox shows it; send it again there with the same id, or presume it lost",
                ));
            }
            _ => {}
        }
        if let Some(answer) = attempt.answer.as_ref().filter(|answer| answer.phase != Phase::Sending) {
            return Err(answer.cause.as_deref().map_or_else(
                || Failure::new(1, "QUARTERDECK_ERR_UNCERTAIN", "it is unknown whether the answer arrived"),
                Failure::from_cause,
            ));
        }
        if attempt.task.is_none() {
            self.print_answer(&snapshot, &attempt, stream, out);
            return Ok(ExitCode::SUCCESS);
        }
        let outputs = if detach { Vec::new() } else { self.outputs().await? };
        if stream {
            Self::print_last(&snapshot, &attempt, out);
        } else if out.is_json() {
            let task = protocol_json::whole_task(&snapshot, &attempt, &self.detail, outputs);
            out.document(&json!({ "task": task }));
        } else {
            protocol_json::print_task(out, &snapshot, key, &self.detail, &outputs);
        }
        self.warn(&attempt, out);
        Ok(ExitCode::SUCCESS)
    }

    /// Prints an unsuccessful or paused outcome on stderr.
    pub(super) fn warn(&self, attempt: &Attempt, out: &mut Printer) {
        let Some(task) = &attempt.task else { return };
        match task.verdict {
            Some(Verdict::Stalled) => {
                out.warn(format!("stalled: its stream was cut, and the agent says {}", task.state.word()));
            }
            Some(Verdict::Conflict) => {
                let answer = match &task.says {
                    Some(says) => format!("the agent still says {}", says.word()),
                    None => "which the agent has contradicted".into(),
                };
                out.warn(format!("its stream reported {}, {answer}", task.state.word()));
            }
            Some(Verdict::Lost) => out.warn("its agent no longer knows the task"),
            _ => {}
        }
        match task.state {
            TaskState::InputRequired => {
                let agent = self.agent_flag();
                let agent = if agent.is_empty() { " -a AGENT" } else { &agent };
                let task = quoted(&task.id.raw());
                let flags = &self.setup.flags;
                out.warn(format!(
                    "it needs an answer: quarterdeck{flags} send{agent} --task-id={task} 'YOUR ANSWER'"
                ));
            }
            TaskState::AuthRequired => out.warn("it needs a login that is given to the agent out of band"),
            TaskState::Failed => out.warn("the task failed"),
            TaskState::Rejected => out.warn("the agent rejected the task"),
            TaskState::Canceled => out.warn("the task was canceled"),
            _ => {}
        }
    }

    fn not_taken(snapshot: &Snapshot, attempt: &Attempt) -> Failure {
        let agent = snapshot.agents.get(attempt.agent);
        match (&attempt.cause, agent) {
            (Some(cause), Some(agent)) => Failure::from_call(agent, cause),
            (Some(cause), None) => Failure::from_cause(cause),
            (None, _) => {
                let name = agent.map(|agent| agent.name.to_string()).unwrap_or_default();
                Failure::internal(format!("{name} did not take it"))
            }
        }
    }

    fn print_answer(&self, snapshot: &Snapshot, attempt: &Attempt, stream: bool, out: &mut Printer) {
        let said = self.detail.messages.iter().rev().find(|said| said.message.role != Role::User);
        let Some(said) = said else { return };
        if stream {
            return;
        }
        if out.is_json() {
            let message = protocol_json::with_ours(
                protocol_json::message(&said.message),
                protocol_json::ours(snapshot, attempt),
            );
            out.document(&json!({ "message": message }));
        } else {
            protocol_json::print_message(out, &said.message);
        }
    }

    /// The last event repeats ids and state, for readers that keep only the end.
    fn print_last(snapshot: &Snapshot, attempt: &Attempt, out: &mut Printer) {
        if out.is_json() {
            if let Some(task) = &attempt.task {
                let event = StreamEvent::Status {
                    task: Some(task.id.clone()),
                    context: task.context.clone(),
                    status: Status { state: task.state.clone(), message: None, timestamp: task.peer_time },
                    metadata: None,
                    raw: None,
                };
                out.line(&protocol_json::event(&event));
            }
        } else {
            protocol_json::print_ids(
                out,
                attempt,
                snapshot.agents.get(attempt.agent),
                snapshot.job_of(attempt),
            );
        }
    }

    pub(super) async fn outputs(&self) -> Result<protocol_json::Outputs, Failure> {
        let query = Query::Outputs { job: self.job, attempt: self.attempt };
        match self.session.handle.query(query).await {
            Ok(Answer::Outputs(outputs)) => Ok(outputs),
            Ok(_) => Err(Failure::internal("the engine answered something else")),
            Err(error) => Err(Failure::internal(error.to_string())),
        }
    }
}

fn progress(attempt: &Attempt, waited: Duration) -> String {
    let seconds = waited.as_secs();
    match &attempt.task {
        Some(task) => {
            let note = task.note.as_ref().map(|note| format!(": {}", note.shortened(60))).unwrap_or_default();
            format!("{} {seconds}s{note}", task.state.word())
        }
        None => format!("{} {seconds}s", attempt.phase.as_str()),
    }
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

fn data_part(data: &str) -> Result<Part, Failure> {
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
