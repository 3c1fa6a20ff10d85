//! A task that a command watches until it ends, asks or is stuck, even if another process takes over the engine.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::args::Login;
use super::output::{Failure, Printer};
use super::protocol_json;
use super::race::{Due, Race};
use super::session::{Session, Setup};
use crate::domain::fact::{AttemptFact, JobFact, JournalEntry};
use crate::domain::id::{AttemptId, AttemptKey, JobId, TaskId};
use crate::domain::job::detail::Detail;
use crate::domain::job::message::{Artifact, Role};
use crate::domain::job::plan::JobPhase;
use crate::domain::job::task::{Status, StreamEvent, TaskReport, TaskState, Verdict};
use crate::domain::job::{Attempt, Job, Origin, Phase};
use crate::domain::shell_words::{flag, positional, quoted};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;
use crate::engine::handle::wire::Tasks;
use crate::engine::{Answer, Query, QueryError};
use crate::shutdown::{self, Reason};

/// A task that is watched, even if another process takes over the engine.
pub(super) struct WatchedTask {
    pub setup: Setup,
    pub session: Session,
    pub job: JobId,
    /// The attempt; `None` for the one that stands for the job, which may change.
    pub attempt: Option<AttemptId>,
    pub login: Login,
    /// The agent as the command line names it; none if it does not.
    pub reference: Option<String>,
    /// The number of facts processed.
    pub known: u64,
    /// Facts that were printed.
    pub printed: u64,
    pub detail: Detail,
    /// The attempts of the job that run beside each other.
    race: Race,
}

impl WatchedTask {
    /// A job of which nothing has been read yet.
    pub fn new(
        (setup, session): (Setup, Session),
        job: JobId,
        attempt: Option<AttemptId>,
        login: Login,
        reference: Option<String>,
    ) -> Self {
        let (detail, race) = (Detail::default(), Race::default());
        Self { setup, session, job, attempt, login, reference, known: 0, printed: 0, detail, race }
    }

    fn find(&self, snapshot: &Snapshot) -> Option<(AttemptKey, Attempt)> {
        let key = match self.attempt {
            Some(id) => snapshot.attempts.iter().find(|(_, attempt)| attempt.id == id).map(|(key, _)| key),
            None => self.job_in(snapshot).and_then(|job| job.current(|key| snapshot.attempts.get(key))),
        }?;
        Some((key, snapshot.attempts.get(key)?.clone()))
    }

    fn job_in<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s Job> {
        snapshot.jobs.iter().find(|(_, job)| job.id == self.job).map(|(_, job)| job)
    }

    /// The attempt that is shown.
    pub(super) fn attempt_id(&self) -> Option<AttemptId> {
        self.attempt.or_else(|| Some(self.find(&self.session.handle.snapshot())?.1.id))
    }

    /// True once what `over` waits for has come, and all facts before it. A job whose attempt failed goes on while
    /// another one follows by rule; a job that never left the queue may end there.
    fn has_come(&self, snapshot: &Snapshot, over: &impl Fn(&Attempt) -> bool) -> bool {
        let job = self.job_in(snapshot);
        let read = |job: &Job| self.known >= job.seq;
        match self.find(snapshot) {
            Some((_, attempt)) => {
                let goes_on = self.attempt.is_none()
                    && !attempt.is_live()
                    && job.is_some_and(|job| job.origin == Origin::Sent && job.phase != JobPhase::Over);
                let uncertain = attempt.phase == Phase::Uncertain;
                over(&attempt) && (uncertain || !goes_on) && job.is_none_or(read)
            }
            None => job.is_some_and(|job| job.phase == JobPhase::Over && read(job)),
        }
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
    pub(super) async fn accepted(
        &mut self,
        until: Option<Instant>,
        out: &mut Printer,
    ) -> Result<(), Failure> {
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
            self.race.forget_after(self.printed);
            for fact in std::mem::take(&mut follow.facts) {
                self.take(&fact, stream, out);
            }
            self.known = self.known.max(follow.until);
            let mut snapshots = self.session.handle.watch();
            let mut tick = tokio::time::interval(Duration::from_millis(500));
            let ended = loop {
                let snapshot = snapshots.borrow_and_update().clone();
                // Facts and rows arrive separately: wait for both.
                if self.has_come(&snapshot, &over) {
                    if let Some(attempt) = self.attempt_id() {
                        let due = self.race.decide(attempt);
                        self.print_due(due, out);
                    }
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
                        if (!stream || self.race.is_on()) && let Some(words) = self.progress(&snapshot, begun.elapsed()) {
                            out.progress(words);
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

    fn progress(&self, snapshot: &Snapshot, waited: Duration) -> Option<String> {
        let job = self.job_in(snapshot).filter(|_| self.attempt.is_none());
        let round = job.map_or(&[][..], Job::round).iter().filter_map(|key| snapshot.attempts.get(*key));
        let live: Vec<_> = round.filter(|row| row.is_live()).collect();
        if live.len() > 1 {
            let each = live.iter().map(|row| format!("attempt {} {}", row.number, beside(row, snapshot.at)));
            return Some(each.collect::<Vec<_>>().join(" · "));
        }
        let waiting = job.and_then(|job| job.plan.as_ref()?.waiting);
        match (waiting, self.find(snapshot)) {
            (Some(waiting), _) => {
                Some(format!("queued {}s: waits for {}", waited.as_secs(), waiting.why.in_words()))
            }
            (None, Some((_, attempt))) => Some(progress(&attempt, waited)),
            (None, None) => None,
        }
    }

    /// Tells an interrupted user how to continue: the task goes on without the command.
    fn interrupted(&self, snapshot: &Snapshot, reason: Reason) -> Failure {
        let found = self.find(snapshot);
        match found.and_then(|(_, attempt)| attempt.task) {
            Some(task) => {
                let words = format!("stopped watching; task {} {}", task.id, task.state.still());
                Failure::new(reason.exit_code(), "QUARTERDECK_ERR_INTERRUPTED", words).hint(format!(
                    "{}, or end it: {}",
                    self.command("task get --wait", &task.id),
                    self.command("task cancel", &task.id)
                ))
            }
            None => Failure::new(
                reason.exit_code(),
                "QUARTERDECK_ERR_INTERRUPTED",
                format!("stopped watching; {}", self.not_yet(snapshot)),
            )
            .hint("quarterdeck task list shows what became of it"),
        }
    }

    fn timed_out(&self, snapshot: &Snapshot) -> Failure {
        let task = self.find(snapshot).and_then(|(_, attempt)| attempt.task);
        match task {
            Some(task) => Failure::timeout(format!("task {} {}", task.id, task.state.still()))
                .hint(self.command("task get --wait", &task.id)),
            None => Failure::timeout(self.not_yet(snapshot)),
        }
    }

    /// What keeps a job without a task.
    fn not_yet(&self, snapshot: &Snapshot) -> String {
        let waiting = self.job_in(snapshot).and_then(|job| job.plan.as_ref()?.waiting);
        match waiting {
            Some(waiting) => format!("it waits in the queue for {}", waiting.why.in_words()),
            None => "the agent has not answered yet".to_owned(),
        }
    }

    /// A command on a task of this agent, as the shell takes it.
    pub(super) fn command(&self, verb: &str, task: &TaskId) -> String {
        format!("quarterdeck{} {verb}{} {}", self.setup.flags, self.agent_flag(), positional(&task.raw()))
    }

    fn agent_flag(&self) -> String {
        self.reference.as_ref().map(|agent| flag("-a", agent)).unwrap_or_default()
    }

    /// The same with the agent of the attempt if the command line names none.
    fn known_agent_flag(&self, attempt: &Attempt) -> String {
        let agent = || {
            let snapshot = self.session.handle.snapshot();
            let agent = snapshot.agents.get(attempt.agent)?;
            let name = agent.name.raw();
            let alone = snapshot.agents.iter().filter(|(_, other)| other.name.raw() == name).count() == 1;
            Some(flag("-a", if alone && agent.spec.name.is_some() { name } else { &agent.spec.url }))
        };
        let named = self.agent_flag();
        if named.is_empty() { agent().unwrap_or_default() } else { named }
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
        if !stream || !is_news {
            return;
        }
        let due = self.race.take(fact);
        match self.attempt {
            // An answer is about its own attempt alone.
            Some(id) => {
                if fact.fact.of_attempt().is_none_or(|(of, _)| id == of) {
                    self.print_event(fact, out);
                }
            }
            None if out.is_json() => self.print_event(fact, out),
            None if due.facts.is_empty() => self.tell(fact, &due, out),
            None => self.print_due(due, out),
        }
    }

    /// Prints what is due, and whose it is if attempts ran beside each other.
    fn print_due(&self, due: Due, out: &mut Printer) {
        if out.is_json() {
            return;
        }
        if let Some(name) = due.of.and_then(|of| self.name_of(of)) {
            let how = if due.goes_on { "goes on" } else { "follows" };
            out.aside(format!("{name} is the result: its output {how}"));
        }
        for fact in due.facts {
            self.print_event(&fact, out);
        }
    }

    /// Tells how an attempt is doing whose output is held.
    fn tell(&self, fact: &JournalEntry, due: &Due, out: &mut Printer) {
        let Some(name) = due.of.and_then(|of| self.name_of(of)) else { return };
        let news = match fact.fact.of_attempt().map(|(_, fact)| fact) {
            Some(AttemptFact::Planned { .. }) => {
                "runs beside it: their output is printed once one of them has completed".to_owned()
            }
            Some(AttemptFact::Moved { phase, .. }) => phase.as_str().to_owned(),
            Some(AttemptFact::TaskSeen { state, .. } | AttemptFact::StateSeen { state, .. }) => state.word(),
            Some(AttemptFact::MessageSeen { message, status: true }) => message.headline(400).to_string(),
            _ => return,
        };
        out.aside(format!("{name}: {news}"));
    }

    /// An attempt by its number and its agent.
    fn name_of(&self, of: AttemptId) -> Option<String> {
        let (number, agent) = self.race.number(of)?;
        let snapshot = self.session.handle.snapshot();
        let agent = snapshot.agents.iter().find(|(_, row)| row.id == agent);
        let agent = agent.map(|(_, row)| row.name.line().into_string()).unwrap_or_default();
        Some(format!("attempt {number} at {agent}"))
    }

    fn print_event(&self, fact: &JournalEntry, out: &mut Printer) {
        let snapshot = self.session.handle.snapshot();
        let of = fact.fact.of_attempt().map(|(of, _)| of);
        let row = snapshot.attempts.iter().map(|(_, row)| row).find(|row| Some(row.id) == of);
        let task = row.and_then(|row| row.task.clone());
        let ids = task.map(|task| (task.id, task.context));
        let (task, context) = ids.map_or((None, None), |(task, context)| (Some(task), context));
        let state = self.last_state();
        let Some((_, fact)) = fact.fact.of_attempt() else { return };
        let event = match fact {
            AttemptFact::TaskSeen { task, context, state, peer_time, .. } => {
                StreamEvent::Task(Box::new(TaskReport {
                    context: context.clone(),
                    ..TaskReport::new(
                        task.clone(),
                        Status { state: state.clone(), message: None, timestamp: *peer_time },
                    )
                }))
            }
            AttemptFact::StateSeen { state, peer_time, .. } => StreamEvent::status(
                task,
                context,
                Status { state: state.clone(), message: None, timestamp: *peer_time },
            ),
            AttemptFact::MessageSeen { message, status: true, .. } => StreamEvent::status(
                task,
                context,
                Status { state, message: Some((**message).clone()), timestamp: None },
            ),
            AttemptFact::MessageSeen { message, .. } if message.role != Role::User && task.is_none() => {
                StreamEvent::Message(Box::new((**message).clone()))
            }
            AttemptFact::ArtifactSeen { artifact, name, append, parts, last, .. } => StreamEvent::Artifact {
                task,
                context,
                artifact: Artifact { name: name.clone(), ..Artifact::new(artifact.clone(), parts.to_vec()) },
                append: *append,
                last: *last,
            },
            _ => return,
        };
        if out.is_json() {
            let mut value = protocol_json::event(&event);
            for whole in ["task", "message"] {
                if let (Some(whole), Some(attempt)) = (value.get_mut(whole), row) {
                    *whole = protocol_json::with_ours(whole.take(), protocol_json::ours(&snapshot, attempt));
                }
            }
            let number = of.and_then(|of| Some((of, self.race.number(of)?.0)));
            for update in ["statusUpdate", "artifactUpdate"] {
                if let (Some(update), Some((of, number))) = (value.get_mut(update), number) {
                    let ours = json!({ "attempt": of.to_string(), "number": number });
                    *update = protocol_json::with_ours(update.take(), ours);
                }
            }
            return out.line(&value);
        }
        match &event {
            StreamEvent::Task(report) => {
                out.field("Task", report.id.text());
                if !report.status.state.is_terminal() {
                    out.field("State", report.status.state.word());
                }
            }
            // The end is printed once, with the result.
            StreamEvent::Status { status, .. } if status.message.is_none() => {
                if !status.state.is_terminal() {
                    out.field("State", status.state.word());
                }
            }
            StreamEvent::Status { status, .. } => {
                let text = status.message.as_ref().map(|message| message.headline(400));
                out.field("Message", text.unwrap_or_default());
            }
            StreamEvent::Artifact { artifact, .. } => {
                // Chunks that follow the first mostly come without the name.
                let mut outputs = self.detail.outputs.iter();
                let known = outputs.find(|one| Some(one.attempt) == of && one.id == artifact.id);
                let name = known.and_then(|output| output.name.as_ref()).unwrap_or(&artifact.id);
                let name = format!("Artifact {name}");
                for part in &artifact.parts {
                    match part.as_text() {
                        Some(text) => out.piece(&name, text),
                        None => protocol_json::print_parts(out, std::slice::from_ref(part), Some(&name)),
                    }
                }
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
            let dead = self.job_in(&snapshot).and_then(|job| job.plan.as_ref()?.dead.clone());
            return Err(dead.map_or_else(
                || Failure::internal("the engine no longer knows the job"),
                |cause| Failure::from_cause(&cause),
            ));
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
            _ if attempt.decision().is_some() => {
                return Err(Failure::new(
                    1,
                    "QUARTERDECK_ERR_UNCERTAIN",
                    "its agent cannot be reached, so nobody can tell what becomes of its task",
                )
                .hint(
                    "wait for its agent, or `quarterdeck task retry` presumes it lost and sends it elsewhere",
                ));
            }
            Phase::PresumedLost if attempt.task.is_some() => {
                return Err(Failure::new(1, "QUARTERDECK_ERR_UNCERTAIN", "it was presumed lost").hint(
                    "`quarterdeck task retry` sends it again; if its agent comes back with it, it goes on",
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
            let mut document = json!({ "task": task });
            if let Some(attempts) =
                self.job_in(&snapshot).and_then(|job| protocol_json::attempts(&snapshot, job))
            {
                document["attempts"] = attempts;
            }
            out.document(&document);
        } else {
            protocol_json::print_task(out, &snapshot, key, &self.detail, &outputs);
            if let Some(job) = self.job_in(&snapshot) {
                protocol_json::print_attempts(out, &snapshot, job);
            }
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
                let agent = self.known_agent_flag(attempt);
                let task = quoted(&task.id.raw());
                let flags = &self.setup.flags;
                out.warn(format!(
                    "it needs an answer: quarterdeck{flags} send{agent} --task-id={task} 'YOUR ANSWER'"
                ));
            }
            TaskState::AuthRequired => out.warn("it needs a login that is given to the agent out of band"),
            TaskState::Failed => out.warn("the task failed"),
            TaskState::Rejected => out.warn("the agent rejected the task"),
            TaskState::Canceled => {
                // A limit of its rule cancels a task too, and nobody asked for that.
                let snapshot = self.session.handle.snapshot();
                let plan = snapshot.job_of(attempt).and_then(|job| job.plan.as_ref());
                let why = plan.and_then(|plan| plan.dead.as_ref()).map(|why| format!(": {why}"));
                out.warn(format!("the task was canceled{}", why.unwrap_or_default()));
            }
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
        let answer = self.detail.messages_of(attempt.id).rev().find(|entry| entry.message.role != Role::User);
        let Some(answer) = answer else { return };
        if stream {
            return;
        }
        if out.is_json() {
            let message = protocol_json::with_ours(
                protocol_json::message(&answer.message),
                protocol_json::ours(snapshot, attempt),
            );
            out.document(&json!({ "message": message }));
        } else {
            protocol_json::print_message(out, &answer.message);
        }
    }

    /// The last event repeats ids and state, for readers that keep only the end.
    fn print_last(snapshot: &Snapshot, attempt: &Attempt, out: &mut Printer) {
        if out.is_json() {
            if let Some(task) = &attempt.task {
                let event = StreamEvent::status(
                    Some(task.id.clone()),
                    task.context.clone(),
                    Status { state: task.state.clone(), message: None, timestamp: task.peer_time },
                );
                out.line(&protocol_json::event(&event));
            }
        } else {
            protocol_json::print_ids(out, snapshot, attempt, None);
        }
    }

    pub(super) async fn outputs(&self) -> Result<protocol_json::Outputs, Failure> {
        let Some(attempt) = self.attempt_id() else { return Ok(Vec::new()) };
        let query = Query::Outputs { job: self.job, attempt };
        match self.session.handle.query(query).await {
            Ok(Answer::Outputs(outputs)) => Ok(outputs),
            Ok(_) => Err(Failure::internal("the engine answered something else")),
            Err(error) => Err(Failure::internal(error.to_string())),
        }
    }
}

/// How an attempt is doing that runs beside others.
fn beside(attempt: &Attempt, now: At) -> String {
    let bytes = attempt.task.as_ref().map_or(0, |task| task.bytes);
    let output = if bytes == 0 { String::new() } else { format!(", {bytes} bytes") };
    format!("{}{output}", progress(attempt, now.since(attempt.created)))
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
