//! One message of a batch, from its sending to its result, with the sendings that repeat it.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::input::Message;
use super::outcome::{self, Outcome, Row, State};
use super::pace::{Pace, pause};
use super::place::Place;
use super::summary::Counted;
use super::tracker::{Decided, Tracker};
use crate::cli::output::Failure;
use crate::cli::session::find_agent;
use crate::domain::id::JobId;
use crate::domain::intent::{Intent, Receipt, Refusal, Send};
use crate::domain::route::Target;
use crate::domain::shell_words::{flag, positional};
use crate::domain::text::Untrusted;

/// How long the row of a job is waited for before all rows of the engine are asked for.
const ROWS_COME: Duration = Duration::from_secs(1);

/// After so many lines in a row that no earlier run has sent, the engine is not asked any more before a line is sent.
const NEW_LINES: u16 = 200;

/// What every item of a batch needs.
#[derive(Debug)]
pub(super) struct Sender<'b> {
    /// The name of the batch.
    pub batch: &'b str,
    pub tracker: &'b Tracker,
    pub pace: &'b Pace,
    /// Where lines go that name no agent, in the words of the command.
    pub to: Option<(&'b str, Target)>,
    pub retries: u8,
    pub timeout: Option<Duration>,
    /// True if a batch sends each line more than once.
    pub repeats: bool,
    pub is_json: bool,
    /// The flags of commands that are offered.
    pub flags: &'b str,
    /// Set once nothing more may be sent.
    pub stopped: &'b Cell<bool>,
    /// Lines in a row of which no earlier run has sent anything.
    pub new_lines: Cell<u16>,
    /// Notified when the rows of ended jobs are needed.
    pub wants_all: &'b Notify,
}

/// A message to send.
#[derive(Debug)]
pub(super) struct Item {
    /// Its place among all items.
    pub place: u64,
    pub line: u64,
    /// Which of the line's repetitions it is, from 1.
    pub repeat: u32,
    pub message: Arc<Message>,
}

/// An item that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub place: u64,
    pub printed: String,
    pub counted: Counted,
}

/// How far the sendings of an item are.
#[derive(Debug, Default)]
struct Sendings {
    job: Cell<Option<JobId>>,
    /// Those that repeat an earlier one and were made by this run.
    repeated: Cell<u8>,
}

impl Sender<'_> {
    /// Where a message goes: as the line or the command says it, and the target.
    ///
    /// # Errors
    /// It is not in the fleet, or neither names any.
    pub fn target<'m>(&'m self, message: &'m Message) -> Result<(&'m str, Target), Failure> {
        let Some(name) = &message.agent else {
            return self.to.clone().ok_or_else(|| {
                Failure::usage("it names no agent")
                    .hint("add \"agent\" to the line, or -a, --skill or --route to the command")
            });
        };
        let snapshot = self.tracker.handle().borrow().snapshot();
        match find_agent(&snapshot, name) {
            Some((_, agent)) => Ok((name, Target::Agent(agent.id))),
            None => Err(Failure::usage(format!("no agent is called {name:?}"))),
        }
    }

    /// A line that cannot be sent.
    pub fn invalid(&self, place: u64, line: u64, failure: Failure) -> Ended {
        let row = Row { line, result: Outcome::Error(Box::new(failure)), ..Row::default() };
        self.ended(place, row, Counted { state: State::Invalid, earlier: false, retries: 0, took: None })
    }

    fn ended(&self, place: u64, row: Row, counted: Counted) -> Ended {
        let printed = if self.is_json { row.json(counted.state) } else { row.text(counted.state) };
        Ended { place, printed, counted }
    }

    /// Sends a message and waits for its result.
    pub async fn run(&self, item: Item) -> Ended {
        let (name, to) = match self.target(&item.message) {
            Ok(target) => target,
            Err(failure) => return self.invalid(item.place, item.line, failure),
        };
        let sendings = Sendings::default();
        let job = self.place(&item, name, 0).job();
        let found = self.earlier(job).await;
        if found.is_none() {
            // What waits for its turn is not late.
            self.turn(job).await;
        }
        let decided = {
            let work = self.decided(&item, (name, &to), &sendings, found);
            match self.timeout {
                Some(limit) => tokio::time::timeout(limit, work).await.ok(),
                None => Some(work.await),
            }
        };
        let retries = sendings.repeated.get();
        let repeat = self.repeats.then_some(item.repeat);
        let row = Row { line: item.line, repeat, agent: Some(name.into()), ..Row::default() };
        let Some(decided) = decided else {
            let job = sendings.job.get();
            let last = job.and_then(|job| self.tracker.give_up(job));
            let result = Outcome::Error(Box::new(self.timed_out(name, last)));
            let counted = Counted { state: State::Timeout, earlier: false, retries, took: None };
            return self.ended(item.place, Row { job, result, ..row }, counted);
        };
        match decided {
            Ok((job, decided)) => {
                self.result(item.place, Row { job: Some(job), ..row }, retries, decided).await
            }
            Err(refusal) => {
                let result = Outcome::Error(Box::new(Failure::from_refusal(&refusal)));
                let counted = Counted { state: State::Unsent, earlier: false, retries, took: None };
                self.ended(item.place, Row { result, ..row }, counted)
            }
        }
    }

    fn place<'i>(&'i self, item: &'i Item, agent: &'i str, retry: u8) -> Place<'i> {
        let Item { line, repeat, ref message, .. } = *item;
        Place { batch: self.batch, agent, line, digest: &message.digest, repeat, retry }
    }

    /// The result of a job that an earlier run of the batch has sent. Once many lines in a row had none, this run is new
    /// to what follows.
    async fn earlier(&self, job: JobId) -> Option<Decided> {
        if self.new_lines.get() >= NEW_LINES || self.tracker.is_known(job) {
            return None;
        }
        match self.tracker.ask(job).await {
            Ok(Some(decided)) => {
                self.new_lines.set(0);
                Some(decided)
            }
            Ok(None) => {
                self.new_lines.set(self.new_lines.get() + 1);
                None
            }
            Err(_) => {
                self.new_lines.set(NEW_LINES);
                None
            }
        }
    }

    /// Waits until the job may be sent. What was sent before needs no turn.
    async fn turn(&self, job: JobId) {
        if !self.tracker.is_known(job) {
            self.pace.turn().await;
        }
        if self.stopped.get() {
            std::future::pending::<()>().await;
        }
    }

    /// Sends until a result stands.
    async fn decided(
        &self,
        item: &Item,
        (name, to): (&str, &Target),
        sendings: &Sendings,
        mut found: Option<Decided>,
    ) -> Result<(JobId, Decided), Refusal> {
        let (mut retry, mut refused) = (0, 0);
        loop {
            let job = self.place(item, name, retry).job();
            sendings.job.set(Some(job));
            if retry + refused > 0 {
                found = self.earlier(job).await;
                if found.is_none() {
                    self.turn(job).await;
                }
            }
            let may_repeat = u16::from(retry) + u16::from(refused) < u16::from(self.retries);
            let sent = match found.take() {
                Some(decided) => Ok(decided),
                None => self.submit(job, to, &item.message).await,
            };
            match sent {
                Ok(decided) => {
                    let attempt = decided.attempt();
                    let is_earlier = attempt.is_some_and(|attempt| self.tracker.is_earlier(attempt));
                    if retry > 0 && !is_earlier {
                        sendings.repeated.set(sendings.repeated.get() + 1);
                    }
                    let fails = attempt.is_some_and(|attempt| State::of(attempt).may_retry(attempt));
                    if !fails || !may_repeat {
                        return Ok((job, decided));
                    }
                    retry += 1;
                    if attempt.is_some_and(|attempt| self.tracker.is_earlier(attempt)) {
                        continue;
                    }
                }
                // Nothing was recorded, so that the same id is free.
                Err(refusal) if may_repeat && !matches!(refusal, Refusal::ReadOnly) => refused += 1,
                Err(refusal) => return Err(refusal),
            }
            tokio::time::sleep(pause(retry + refused)).await;
        }
    }

    /// Submits a job, or finds it, and waits until it is decided.
    async fn submit(&self, job: JobId, to: &Target, message: &Message) -> Result<Decided, Refusal> {
        let mut handles = self.tracker.handle();
        let mut decided = self.tracker.expect(job);
        loop {
            let handle = handles.borrow_and_update().clone();
            let send = Send {
                job: Some(job),
                context: message.context.clone(),
                metadata: message.metadata.clone(),
                skill: message.skill.clone(),
                caller: message.caller.clone(),
                ..Send::to(to.clone(), message.parts.clone())
            };
            match handle.submit(Intent::Send(Box::new(send))).await {
                Ok(Receipt::Taken { .. } | Receipt::Done | Receipt::Agents(_)) => break,
                // The next engine knows whether it was accepted: the id is the same.
                Err(Refusal::Busy | Refusal::Unanswered) => {
                    let _the_batch_has_ended = handles.changed().await;
                }
                Err(refusal) => {
                    self.tracker.give_up(job);
                    return Err(refusal);
                }
            }
        }
        if let Ok(decided) = tokio::time::timeout(ROWS_COME, &mut decided).await {
            return decided.map_err(|_| Refusal::Unanswered);
        }
        if self.tracker.is_unseen(job) {
            // It had ended before this run: the engine shows only what is open.
            match self.tracker.ask(job).await {
                Ok(Some(decided)) => {
                    self.tracker.give_up(job);
                    return Ok(decided);
                }
                Ok(None) => {}
                Err(_) => self.wants_all.notify_one(),
            }
        }
        decided.await.map_err(|_| Refusal::Unanswered)
    }

    async fn result(&self, place: u64, row: Row, retries: u8, decided: Decided) -> Ended {
        let (snapshot, key) = (&decided.snapshot, decided.key);
        let (Some((key, attempt)), Some(job)) = (key.zip(decided.attempt()), row.job) else {
            let failure = decided
                .given_up
                .as_deref()
                .map_or_else(|| Failure::internal("the engine no longer knows the job"), Failure::from_cause);
            let result = Outcome::Error(Box::new(failure));
            let counted = Counted { state: State::Unsent, earlier: false, retries, took: None };
            return self.ended(place, Row { result, ..row }, counted);
        };
        let state = State::of(attempt);
        let result = if self.is_json {
            let mut handles = self.tracker.handle();
            loop {
                let handle = handles.borrow_and_update().clone();
                match outcome::outcome(&handle, snapshot, key, job).await {
                    Ok(outcome) => break outcome,
                    Err(_the_engine_has_gone) => {
                        let _the_batch_has_ended = handles.changed().await;
                    }
                }
            }
        } else if matches!(state, State::Unsent | State::Refused | State::Uncertain | State::PresumedLost) {
            Outcome::Error(Box::new(outcome::not_run(snapshot, attempt)))
        } else {
            Outcome::Words(outcome::words(attempt))
        };
        let is_known = state.is_end() && attempt.ended_unseen().is_none();
        let took = attempt.ended().filter(|_| is_known).map(|end| end.since(attempt.created));
        let agent = snapshot.agents.get(attempt.agent).map(|agent| agent.name.clone()).or(row.agent);
        let counted = Counted { state, earlier: self.tracker.is_earlier(attempt), retries, took };
        self.ended(place, Row { agent, result, ..row }, counted)
    }

    fn timed_out(&self, name: &str, last: Option<Decided>) -> Failure {
        let attempt = last.as_ref().and_then(Decided::attempt);
        match attempt.and_then(|attempt| attempt.task.as_ref()) {
            Some(task) => {
                let words: Untrusted = format!("task {} {}", task.id, task.state.still()).into();
                let agent = last.as_ref().zip(attempt).and_then(|(last, attempt)| {
                    last.snapshot.agents.get(attempt.agent).map(|agent| agent.name.line().into_string())
                });
                let (flags, agent) = (self.flags, flag("-a", agent.as_deref().unwrap_or(name)));
                let id = positional(&task.id.raw());
                Failure::timeout(words).hint(format!("quarterdeck{flags} task get --wait{agent} {id}"))
            }
            None if attempt.is_none() => Failure::timeout("it still waits in the queue"),
            None => Failure::timeout("the agent has not answered yet"),
        }
    }
}
