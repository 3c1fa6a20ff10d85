//! The tasks of a demo agent, and their watchers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};

use crate::domain::id::{ContextId, MessageId, TaskId};
use crate::domain::job::message::{Artifact, Message, Part, Role};
use crate::domain::job::task::{Status, StreamEvent, TaskReport, TaskState};
use crate::domain::text::Untrusted;
use crate::domain::time::PeerTime;

/// The minimum number of ended tasks that an agent keeps; a pre-filled agent keeps as many more.
const KEPT: usize = 500;

/// A stream on which more frames than this wait is behind.
const BEHIND: usize = 16;

/// An item on a stream.
#[derive(Clone, Debug)]
pub(super) enum Frame {
    /// An event.
    Event(Arc<StreamEvent>),
    /// Half of an event; then the connection breaks.
    Cut(Arc<StreamEvent>),
    /// Bytes as they are.
    Raw(Arc<str>),
    /// The stream ends.
    End,
}

#[derive(Debug)]
struct StoredTask {
    report: TaskReport,
    /// The state that `GetTask` reports instead, if the agent lies.
    claims: Option<TaskState>,
    watchers: Vec<mpsc::Sender<Frame>>,
    /// `None` once the task has ended, so that ended tasks take no memory for it.
    sender: Option<TaskSender>,
    order: u64,
}

/// Passes messages and cancels on to the work on a task.
#[derive(Debug)]
struct TaskSender {
    /// Holds up to eight follow-up messages; more are refused.
    messages: mpsc::Sender<Message>,
    cancel: watch::Sender<bool>,
}

/// Inputs of the work on a task.
#[derive(Debug)]
pub(super) struct TaskReceiver {
    /// Follow-up messages.
    pub messages: mpsc::Receiver<Message>,
    /// True once a cancel was requested.
    pub canceled: watch::Receiver<bool>,
}

#[derive(Debug, Default)]
struct Store {
    tasks: BTreeMap<String, StoredTask>,
    by_message: BTreeMap<MessageId, TaskId>,
    received: BTreeMap<MessageId, u64>,
    made: u64,
    prefilled: usize,
}

/// The tasks of one agent; they outlive its server unless its behaviour loses them at a restart.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks(Arc<Mutex<Store>>);

impl Tasks {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a send before anything else happens with it. Returns how often its message has arrived by now.
    pub fn count(&self, message: &MessageId) -> u64 {
        let mut store = self.store();
        let count = store.received.entry(message.clone()).or_default();
        *count += 1;
        *count
    }

    /// How often each message id arrived, from all callers and over all restarts.
    pub fn received(&self) -> Vec<(MessageId, u64)> {
        self.store().received.iter().map(|(id, count)| (id.clone(), *count)).collect()
    }

    /// How many tasks were ever made.
    pub fn made(&self) -> u64 {
        self.store().made
    }

    /// The task that a message made, if it arrived before.
    pub fn of_message(&self, message: &MessageId) -> Option<TaskId> {
        self.store().by_message.get(message).cloned()
    }

    /// Makes a task for a message.
    pub fn open(
        &self,
        message: &Message,
        id: String,
        context: String,
        now: PeerTime,
    ) -> (TaskReport, TaskReceiver) {
        let (sender, messages) = mpsc::channel(8);
        let (cancel, canceled) = watch::channel(false);
        let id = TaskId::from(id.as_str());
        let context = message.context.clone().unwrap_or_else(|| ContextId::from(context.as_str()));
        let first = Message { task: Some(id.clone()), context: Some(context.clone()), ..message.clone() };
        let status = Status { state: TaskState::Submitted, message: None, timestamp: Some(now) };
        let report = TaskReport {
            context: Some(context),
            artifacts: Some(Vec::new()),
            history: vec![first],
            metadata: message.metadata.clone(),
            hints: message.hints.clone(),
            ..TaskReport::new(id.clone(), status)
        };
        let mut store = self.store();
        store.made += 1;
        store.drop_old();
        let order = store.made;
        store.by_message.insert(message.id.clone(), id.clone());
        let sender = Some(TaskSender { messages: sender, cancel });
        let stored = StoredTask { report: report.clone(), claims: None, watchers: Vec::new(), sender, order };
        store.tasks.insert(id.raw().to_owned(), stored);
        (report, TaskReceiver { messages, canceled })
    }

    /// A task as the agent returns it.
    pub fn get(&self, id: &TaskId) -> Option<TaskReport> {
        let store = self.store();
        let stored = store.tasks.get(&*id.raw())?;
        let mut report = stored.report.clone();
        if let Some(claims) = &stored.claims {
            report.status.state = claims.clone();
        }
        Some(report)
    }

    /// A page of the tasks that fit, newest state first, and how many fit in all.
    pub fn list(
        &self,
        fits: impl Fn(&TaskReport) -> bool,
        from: usize,
        size: usize,
    ) -> (Vec<TaskReport>, usize) {
        let store = self.store();
        let mut found: Vec<_> = store.tasks.values().filter(|stored| fits(&stored.report)).collect();
        found.sort_by_key(|stored| std::cmp::Reverse((stored.report.status.timestamp, stored.order)));
        let page = found.iter().skip(from).take(size).map(|stored| stored.report.clone());
        (page.collect(), found.len())
    }

    /// Adds `count` tasks that ended within the last day.
    pub fn prefill(&self, count: u64, id: impl Fn(u64) -> String, now: PeerTime) {
        const DAY: i64 = 24 * 3600 * 1_000_000;
        self.store().prefilled = usize::try_from(count).unwrap_or(usize::MAX);
        for number in 0..count {
            let message = Message::new(
                format!("before-{number}-{}", id(number)).as_str(),
                Role::User,
                vec![Part::text(format!("piece of work of yesterday {}", number + 1))],
            );
            let (report, _no_work) = self.open(&message, id(number), id(count + number), now);
            let ago = i64::try_from(DAY.unsigned_abs() / (count + 1) * (count - number)).unwrap_or(0);
            let state = if number % 50 == 49 { TaskState::Failed } else { TaskState::Completed };
            self.status(&report.id, state, None, PeerTime(now.0 - ago));
        }
    }

    /// Watches a task: its current state, then its events.
    pub fn watch(&self, id: &TaskId) -> Option<(TaskReport, mpsc::Receiver<Frame>)> {
        let mut store = self.store();
        let stored = store.tasks.get_mut(&*id.raw())?;
        let (sender, receiver) = mpsc::channel(1024);
        stored.watchers.push(sender);
        Some((stored.report.clone(), receiver))
    }

    /// Hands a follow-up message to the work on a task. False if nothing takes it.
    pub fn follow_up(&self, id: &TaskId, message: Message) -> bool {
        let mut store = self.store();
        let Some(stored) = store.tasks.get_mut(&*id.raw()) else { return false };
        stored.report.history.push(message.clone());
        stored.sender.as_ref().is_some_and(|sender| sender.messages.try_send(message).is_ok())
    }

    /// Asks the work on a task to stop.
    pub fn ask_to_cancel(&self, id: &TaskId) {
        if let Some(sender) = self.store().tasks.get(&*id.raw()).and_then(|stored| stored.sender.as_ref()) {
            sender.cancel.send_replace(true);
        }
    }

    /// Changes a task's state and sends the event.
    pub fn status(&self, id: &TaskId, state: TaskState, message: Option<Message>, now: PeerTime) {
        let status = Status { state: state.clone(), message, timestamp: Some(now) };
        let mut store = self.store();
        let Some(stored) = store.tasks.get_mut(&*id.raw()) else { return };
        if let Some(message) = &status.message {
            stored.report.history.push(message.clone());
        }
        stored.report.status = status.clone();
        let event = StreamEvent::status(Some(id.clone()), stored.report.context.clone(), status);
        stored.send(&Frame::Event(Arc::new(event)));
        if state.is_terminal() || state.is_interrupted() {
            stored.send(&Frame::End);
            stored.watchers.clear();
        }
        if state.is_terminal() {
            stored.sender = None;
        }
    }

    /// Appends to an output and sends the event.
    pub fn chunk(&self, id: &TaskId, name: &str, text: &str, append: bool, last: bool) {
        let mut store = self.store();
        let Some(stored) = store.tasks.get_mut(&*id.raw()) else { return };
        let artifact =
            Artifact { name: Some(Untrusted::from(name)), ..Artifact::new("out", vec![Part::text(text)]) };
        let outputs = stored.report.artifacts.get_or_insert_default();
        match outputs.iter_mut().find(|known| known.id == artifact.id) {
            Some(known) if append => known.parts.extend(artifact.parts.iter().cloned()),
            Some(known) => known.parts.clone_from(&artifact.parts),
            None => outputs.push(artifact.clone()),
        }
        let name = if append { None } else { artifact.name.clone() };
        let event = StreamEvent::Artifact {
            task: Some(id.clone()),
            context: stored.report.context.clone(),
            artifact: Artifact { name, ..artifact },
            append,
            last,
        };
        stored.send(&Frame::Event(Arc::new(event)));
    }

    /// Sends a chunk of an output, or a whole one, without storing it, because an endless output fits in no store. It
    /// is skipped while a stream is behind, for the same reason.
    pub fn event_of_output(
        &self,
        id: &TaskId,
        output: &str,
        name: &str,
        text: &str,
        append: bool,
        last: bool,
    ) {
        let mut store = self.store();
        let Some(stored) = store.tasks.get_mut(&*id.raw()) else { return };
        if stored.watchers.iter().any(|watcher| watcher.max_capacity() - watcher.capacity() > BEHIND) {
            return;
        }
        let event = StreamEvent::Artifact {
            task: Some(id.clone()),
            context: stored.report.context.clone(),
            artifact: Artifact {
                name: Some(Untrusted::from(name)),
                ..Artifact::new(output, vec![Part::text(text)])
            },
            append,
            last,
        };
        stored.send(&Frame::Event(Arc::new(event)));
    }

    /// Breaks every stream of a task in the middle of an event.
    pub fn cut(&self, id: &TaskId) {
        let mut store = self.store();
        let Some(stored) = store.tasks.get_mut(&*id.raw()) else { return };
        let half = StreamEvent::status(
            Some(id.clone()),
            stored.report.context.clone(),
            stored.report.status.clone(),
        );
        stored.send(&Frame::Cut(Arc::new(half)));
        stored.watchers.clear();
    }

    /// Sends bytes down the streams of a task.
    pub fn raw(&self, id: &TaskId, bytes: &str) {
        if let Some(stored) = self.store().tasks.get_mut(&*id.raw()) {
            stored.send(&Frame::Raw(Arc::from(bytes)));
        }
    }

    /// From now on `GetTask` reports a state other than the streams do.
    pub fn claim(&self, id: &TaskId, state: TaskState) {
        if let Some(stored) = self.store().tasks.get_mut(&*id.raw()) {
            stored.claims = Some(state);
        }
    }

    /// Drops all streams, as the server was killed.
    pub fn drop_streams(&self) {
        for stored in self.store().tasks.values_mut() {
            stored.watchers.clear();
        }
    }

    /// Forgets all tasks, but not which messages have arrived.
    pub fn forget(&self) {
        let mut store = self.store();
        store.tasks.clear();
        store.by_message.clear();
    }

    /// Tasks that have not ended.
    pub fn unfinished(&self) -> Vec<TaskId> {
        let store = self.store();
        let running = store.tasks.values().filter(|stored| !stored.report.status.state.is_terminal());
        running.map(|stored| stored.report.id.clone()).collect()
    }
}

impl Store {
    /// Drops ended tasks but for the newest, so that a long run does not fill the memory.
    fn drop_old(&mut self) {
        let kept = KEPT.saturating_add(self.prefilled);
        if self.tasks.len() < kept.saturating_mul(2) {
            return;
        }
        let ended = self.tasks.iter().filter(|(_, stored)| stored.report.status.state.is_terminal());
        let mut ended: Vec<_> = ended.map(|(id, stored)| (stored.order, id.clone())).collect();
        ended.sort_unstable();
        let old = ended.len().saturating_sub(kept);
        for (_, id) in ended.into_iter().take(old) {
            self.tasks.remove(&id);
        }
    }
}

impl StoredTask {
    /// A watcher that is too slow loses its stream, as with real servers.
    fn send(&mut self, frame: &Frame) {
        self.watchers.retain(|watcher| watcher.try_send(frame.clone()).is_ok());
    }
}
