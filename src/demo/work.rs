//! The work on one task, and the steps that several behaviours are made of.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::agent::{Agent, Outgoing};
use super::behaviour::Behaviour;
use super::fault::Fault;
use super::tasks::{OpenTask, TaskReceiver};
use crate::domain::id::{Rng, TaskId};
use crate::domain::job::message::{Message, text_hash};
use crate::domain::job::task::TaskState;

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
}

impl Work {
    pub fn new(agent: Arc<Agent>, message: Message, open: OpenTask) -> Self {
        let OpenTask { report, seed, receiver } = open;
        let start = agent.starts.load(Ordering::Relaxed);
        Self { agent, task: report.id, message, receiver, start, seed, chance: Rng::new(seed) }
    }

    /// Works according to the agent's behaviour, unless its fault, or what the story has changed, overrides it.
    pub async fn run(mut self) {
        if self.agent.condition().breaks(&self.message) {
            return self.break_off().await;
        }
        let behaviour = match self.agent.fault {
            Some(Fault::Failing) => return self.fail().await,
            Some(Fault::Silent) => Behaviour::Silent,
            _ => self.agent.part.behaviour,
        };
        behaviour.on_wire().work(&mut self).await;
    }

    /// Goes on with a task that was under way when the agent was killed.
    pub async fn resume(mut self) {
        if self.agent.condition().breaks(&self.message) {
            return self.break_off().await;
        }
        match self.agent.fault {
            Some(Fault::Failing) => self.fail().await,
            Some(Fault::Silent) => {}
            _ => self.agent.part.behaviour.on_wire().resume(&mut self).await,
        }
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
    pub fn send_status(&self, state: TaskState, words: &str, number: u64) {
        let message = self.agent.says(words, Some(&self.task), &self.message.id, number);
        self.agent.tasks.status(&self.task, state, Some(message), self.agent.now());
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

    fn delegate(&self) {
        for delegation in &self.agent.part.delegates {
            if Rng::new(self.seed ^ text_hash(&delegation.to)).below(delegation.one_in) != 0 {
                continue;
            }
            let message = Outgoing {
                to: delegation.to.clone(),
                text: delegation.text.replace("{text}", self.message.text().headline(80).raw()),
                caller: self.agent.part.name.clone(),
                parent: Some(self.task.clone()),
            };
            self.agent.delegate(message, delegation.after);
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
            self.send_status(TaskState::Failed, &self.agent.condition().error, 1);
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
