//! The work on one task, and the steps that several behaviours are made of.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::agent::{Agent, Outgoing};
use super::behaviour::Behaviour;
use super::fault::Fault;
use super::tasks::{FollowUp, OpenTask, TaskReceiver};
use super::telemetry::{About, Request, TaskSpans, Uses};
use crate::domain::id::{Rng, TaskId};
use crate::domain::job::message::{Message, text_hash};
use crate::domain::job::task::TaskState;
use crate::domain::trace::TraceParent;
use crate::telemetry::model::Severity;

/// An agent at work on one task.
pub(super) struct Work {
    pub agent: Arc<Agent>,
    pub task: TaskId,
    /// The message that began the task.
    pub message: Message,
    pub receiver: TaskReceiver,
    /// The start of the server in which it began.
    start: u32,
    /// Decides everything about this task that looks random.
    seed: u64,
    pub chance: Rng,
    /// Its spans; `None` if the agent sends none, and while no request of the task is served.
    spans: Option<TaskSpans>,
}

impl Work {
    pub fn new(agent: Arc<Agent>, message: Message, open: OpenTask) -> Self {
        let OpenTask { report, seed, caller, receiver } = open;
        let start = agent.starts.load(Ordering::Relaxed);
        let chance = Rng::new(seed);
        let mut work = Self { agent, task: report.id, message, receiver, start, seed, chance, spans: None };
        if !report.status.state.is_interrupted() {
            work.serve(&work.message.clone(), caller);
        }
        work
    }

    /// Begins the spans of a request about the task.
    fn serve(&mut self, message: &Message, caller: Option<TraceParent>) {
        let context = self.agent.tasks.get(&self.task).and_then(|report| report.context);
        let about = About {
            message: &message.id,
            skill: message.hints.skill.as_ref().map(|skill| skill.raw()),
            task: Some(&self.task),
            context: context.as_ref(),
            reads: message.text().raw().len(),
        };
        let request = Request { method: "SendMessage", parent: caller };
        // After a restart it is another request, whose ids differ.
        let about_it = format!("{}{}{}", &*self.task.raw(), &*message.id.raw(), self.start);
        let seed = self.seed ^ text_hash(&about_it);
        self.spans = TaskSpans::begin(&self.agent, request, about, seed);
        if let Some(spans) = &mut self.spans {
            spans.log(Severity::Info, &format!("received: {}", message.text().headline(120).raw()));
            spans.step(Uses::Model(&self.agent.part.model));
        }
    }

    /// Writes a record about its work.
    pub fn log(&self, severity: Severity, words: &str) {
        if let Some(spans) = &self.spans {
            spans.log(severity, words);
        }
    }

    /// Waits for the next message about the task; `None` once the task has ended.
    pub async fn next_message(&mut self) -> Option<Message> {
        let FollowUp { message, caller } = tokio::select! {
            message = self.receiver.messages.recv() => message,
            _ = self.receiver.canceled.wait_for(|canceled| *canceled) => None,
        }
        .filter(|_| self.goes_on())?;
        self.serve(&message, caller);
        Some(message)
    }

    /// Ends the spans of what is over. Those of a server that was killed are lost with it, and those of a task that nobody
    /// works on any more stay open, which means that they are never sent.
    fn leave(&mut self) {
        let Some(spans) = self.spans.take() else { return };
        let killed = self.agent.starts.load(Ordering::Relaxed) != self.start;
        if let Some(state) = self.state().filter(|state| !killed && state.is_terminal()) {
            spans.end(Some(&state), "");
        }
    }

    /// Works according to the agent's behaviour, unless its fault, or what the story has changed, overrides it.
    pub async fn run(mut self) {
        let behaviour = self.agent.part.behaviour;
        match self.agent.fault {
            _ if self.agent.condition().breaks(&self.message) => self.break_off().await,
            Some(Fault::Failing) => self.fail().await,
            Some(Fault::Silent) => Behaviour::Silent.on_wire().work(&mut self).await,
            _ => behaviour.on_wire().work(&mut self).await,
        }
        self.leave();
    }

    /// Goes on with a task that was under way when the agent was killed.
    pub async fn resume(mut self) {
        self.log(Severity::Warn, "goes on after a restart");
        match self.agent.fault {
            _ if self.agent.condition().breaks(&self.message) => self.break_off().await,
            Some(Fault::Failing) => self.fail().await,
            Some(Fault::Silent) => {}
            _ => self.agent.part.behaviour.on_wire().resume(&mut self).await,
        }
        self.leave();
    }

    /// The state of the task; `None` if the agent no longer has it.
    pub fn state(&self) -> Option<TaskState> {
        self.agent.tasks.state(&self.task)
    }

    /// Completes a task after a restart, with its output if it had none yet.
    pub async fn finish(&mut self) {
        if !self.wait(2.0).await {
            return;
        }
        let report = self.agent.tasks.get(&self.task);
        let has_output = report.is_some_and(|report| report.artifacts.is_some_and(|all| !all.is_empty()));
        if has_output || self.write(0.5).await {
            self.send_status(TaskState::Completed, "went on after a restart, done", 1000);
        }
    }

    /// False once the task has ended or the server was restarted.
    pub fn goes_on(&self) -> bool {
        self.agent.starts.load(Ordering::Relaxed) == self.start
            && self.state().is_some_and(|state| !state.is_terminal())
    }

    /// Waits for some seconds, or until the task is canceled. False if the task has ended.
    pub async fn wait(&mut self, seconds: f64) -> bool {
        let agent = self.agent.clone();
        let stops = agent.part.behaviour.on_wire().stops_when_canceled();
        tokio::select! {
            () = agent.sleep(seconds) => {}
            Ok(_) = self.receiver.canceled.wait_for(|canceled| *canceled), if stops => {}
        }
        self.goes_on()
    }

    /// Sends a status with a message; `number` makes the message's id.
    pub fn send_status(&mut self, state: TaskState, words: &str, number: u64) {
        let message = self.agent.says(words, Some(&self.task), &self.message.id, number);
        self.send_status_message(state, message, number);
    }

    /// Sends a status with this message.
    pub fn send_status_message(&mut self, state: TaskState, message: Message, number: u64) {
        let words = message.text();
        self.agent.tasks.status(&self.task, state.clone(), Some(message), self.agent.now());
        let Some(mut spans) = self.spans.take() else { return };
        if !state.is_terminal() && !state.is_interrupted() {
            spans.step(self.agent.part.uses(number));
            spans.log(Severity::Info, words.raw());
            self.spans = Some(spans);
            return;
        }
        let severity = match state {
            TaskState::Failed | TaskState::Rejected => Severity::Error,
            _ => Severity::Info,
        };
        spans.log(severity, words.raw());
        spans.end(Some(&state), words.raw());
    }

    /// How long this piece of work takes, in seconds.
    pub fn takes(&mut self) -> f64 {
        let [least, most] = self.agent.part.takes;
        #[expect(clippy::cast_precision_loss, reason = "a thousandth is precise enough")]
        let share = self.chance.below(1000) as f64 / 1000.0;
        (least + (most - least) * share) * self.agent.condition().slowness(&self.message)
    }

    /// The agent's status text at a step.
    pub fn saying(&self, number: u64) -> String {
        let says = &self.agent.part.says;
        if says.is_empty() {
            format!("step {number}")
        } else {
            says[usize::try_from(number).unwrap_or(0) % says.len()].clone()
        }
    }

    /// The name of the agent's output.
    pub fn output(&self) -> String {
        self.agent.part.output.clone().unwrap_or_else(|| "result.md".into())
    }

    fn delegate(&mut self) {
        let agent = self.agent.clone();
        for delegation in &agent.part.delegates {
            if Rng::new(self.seed ^ text_hash(&delegation.to)).below(delegation.one_in) != 0 {
                continue;
            }
            let message = Outgoing {
                to: delegation.to.clone(),
                text: delegation.text.replace("{text}", self.message.text().headline(80).raw()),
                caller: agent.part.name.clone(),
                parent: Some(self.task.clone()),
                call: self.spans.as_mut().map(|spans| spans.call(&delegation.to)),
            };
            agent.delegate(message, delegation.after);
        }
    }

    /// Works correctly: a number of status texts, then a result.
    pub async fn steady(&mut self, steps: u64) {
        let takes = self.takes();
        #[expect(clippy::cast_precision_loss, reason = "a handful of steps")]
        let step = takes / (steps + 2) as f64;
        if !self.wait(step.min(0.4)).await {
            return;
        }
        self.delegate();
        for number in 0..steps {
            self.send_status(TaskState::Working, &self.saying(number), number);
            if !self.wait(step).await {
                return;
            }
        }
        if self.write(step).await {
            self.send_status(TaskState::Completed, "done", 1000);
        }
    }

    /// Sends the result line by line. False if the task ended before the last one.
    pub async fn write(&mut self, takes: f64) -> bool {
        let (name, result) = (self.output(), self.agent.result(&self.message));
        let lines: Vec<_> = result.split_inclusive('\n').map(ToOwned::to_owned).collect();
        let count = lines.len();
        if let Some(spans) = &mut self.spans {
            spans.step(Uses::Model(&self.agent.part.model));
        }
        for (index, line) in lines.into_iter().enumerate() {
            self.agent.tasks.chunk(&self.task, &name, &line, index > 0, index + 1 == count);
            #[expect(clippy::cast_precision_loss, reason = "a handful of lines")]
            if !self.wait(takes / count as f64).await {
                return false;
            }
        }
        true
    }

    /// Fails with a clear error.
    pub async fn fail(&mut self) {
        if !self.wait(0.6).await {
            return;
        }
        self.send_status(TaskState::Working, &self.saying(0), 0);
        let takes = self.takes();
        if self.wait(takes).await {
            let why = self.agent.part.result.clone().unwrap_or_else(|| "no such fare any more".into());
            self.send_status(TaskState::Failed, &why, 1);
        }
    }

    /// Fails at once, with the error of the agent's condition.
    async fn break_off(&mut self) {
        if !self.wait(0.5).await {
            return;
        }
        self.send_status(TaskState::Working, &self.saying(0), 0);
        if self.wait(1.0).await {
            let why = self.agent.condition().error;
            self.send_status(TaskState::Failed, &why, 1);
        }
    }

    /// Repeats `step` at an interval until the task is canceled. An agent has at most two such tasks at a time and
    /// works on the others correctly, so that callers who keep sending do not make it faster.
    pub async fn endlessly(&mut self, seconds: f64, mut step: impl FnMut(&Self, u64)) {
        const AT_ONCE: u32 = 2;
        let agent = self.agent.clone();
        if agent.endless.fetch_add(1, Ordering::Relaxed) < AT_ONCE {
            self.send_status(TaskState::Working, &self.saying(0), 0);
            let mut number = 0;
            while self.wait(seconds).await {
                step(self, number);
                number += 1;
            }
        } else {
            self.steady(3).await;
        }
        agent.endless.fetch_sub(1, Ordering::Relaxed);
    }
}
