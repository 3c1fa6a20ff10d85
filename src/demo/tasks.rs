//! The tasks of one embedded agent, and those who watch them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::domain::id::{ContextId, MessageId, TaskId};
use crate::domain::job::message::{Artifact, Message, Part};
use crate::domain::job::task::{Status, StreamEvent, TaskReport, TaskState};
use crate::domain::text::Untrusted;
use crate::domain::time::PeerTime;

/// Ended tasks that an agent still knows, at least.
const KEPT: usize = 500;

/// What goes down a stream.
#[derive(Clone, Debug)]
pub(super) enum Frame {
    /// An event.
    Event(Arc<StreamEvent>),
    /// Half of an event, then the connection breaks.
    Cut(Arc<StreamEvent>),
    /// Bytes as they are.
    Raw(Arc<str>),
    /// The stream ends.
    End,
}

#[derive(Debug)]
struct Served {
    report: TaskReport,
    /// What `GetTask` says instead, if the agent lies.
    claims: Option<TaskState>,
    watchers: Vec<mpsc::Sender<Frame>>,
    /// As long as its script may listen: a hundred thousand that have ended take no room for it.
    mouth: Option<Mouth>,
    order: u64,
}

/// What a script of a task is told through.
#[derive(Debug)]
struct Mouth {
    /// Follow-up messages wait here.
    inbox: mpsc::Sender<Message>,
    cancel: tokio::sync::watch::Sender<bool>,
}

/// What a script of a task needs to hear.
#[derive(Debug)]
pub(super) struct Ears {
    /// Follow-up messages.
    pub inbox: mpsc::Receiver<Message>,
    /// True once somebody asked to cancel.
    pub cancelled: tokio::sync::watch::Receiver<bool>,
}

#[derive(Debug, Default)]
struct Shelf {
    tasks: BTreeMap<String, Served>,
    by_message: BTreeMap<MessageId, TaskId>,
    received: BTreeMap<MessageId, u64>,
    made: u64,
}

/// The tasks of one agent; they outlive its deaths unless it forgets.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks(Arc<Mutex<Shelf>>);

impl Tasks {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a send, before anything else happens with it. The number says the how-manieth it is.
    pub fn count(&self, message: &MessageId) -> u64 {
        let mut shelf = self.shelf();
        let count = shelf.received.entry(message.clone()).or_default();
        *count += 1;
        *count
    }

    /// How often each message id arrived, over all callers and all lives.
    pub fn received(&self) -> Vec<(MessageId, u64)> {
        self.shelf().received.iter().map(|(id, count)| (id.clone(), *count)).collect()
    }

    /// How many tasks were ever made.
    pub fn made(&self) -> u64 {
        self.shelf().made
    }

    /// The task that a message made, if it arrived before.
    pub fn of_message(&self, message: &MessageId) -> Option<TaskId> {
        self.shelf().by_message.get(message).cloned()
    }

    /// Makes a task for a message.
    pub fn open(&self, message: &Message, id: String, context: String, now: PeerTime) -> (TaskReport, Ears) {
        let (inbox, messages) = mpsc::channel(8);
        let (cancel, cancelled) = tokio::sync::watch::channel(false);
        let id = TaskId::from(id.as_str());
        let context = message.context.clone().unwrap_or_else(|| ContextId::from(context.as_str()));
        let said = Message { task: Some(id.clone()), context: Some(context.clone()), ..message.clone() };
        let report = TaskReport {
            id: id.clone(),
            context: Some(context),
            status: Status { state: TaskState::Submitted, message: None, timestamp: Some(now) },
            artifacts: Some(Vec::new()),
            history: vec![said],
            metadata: message.metadata.clone(),
            hints: message.hints.clone(),
            raw: None,
        };
        let mut shelf = self.shelf();
        shelf.made += 1;
        shelf.drop_old();
        let order = shelf.made;
        shelf.by_message.insert(message.id.clone(), id.clone());
        let mouth = Some(Mouth { inbox, cancel });
        let served = Served { report: report.clone(), claims: None, watchers: Vec::new(), mouth, order };
        shelf.tasks.insert(id.raw().to_owned(), served);
        (report, Ears { inbox: messages, cancelled })
    }

    /// A task as the agent tells it to those who ask.
    pub fn get(&self, id: &TaskId) -> Option<TaskReport> {
        let shelf = self.shelf();
        let served = shelf.tasks.get(&*id.raw())?;
        let mut report = served.report.clone();
        if let Some(claims) = &served.claims {
            report.status.state = claims.clone();
        }
        Some(report)
    }

    /// A page of the tasks that a query names, youngest state first, and how many it names in all.
    pub fn list(
        &self,
        fits: impl Fn(&TaskReport) -> bool,
        from: usize,
        size: usize,
    ) -> (Vec<TaskReport>, usize) {
        let shelf = self.shelf();
        let mut found: Vec<_> = shelf.tasks.values().filter(|served| fits(&served.report)).collect();
        found.sort_by_key(|served| std::cmp::Reverse((served.report.status.timestamp, served.order)));
        let page = found.iter().skip(from).take(size).map(|served| served.report.clone());
        (page.collect(), found.len())
    }

    /// Tasks of the last day that ended before anybody watched.
    pub fn remember(&self, count: u64, id: impl Fn(u64) -> String, now: PeerTime) {
        const DAY: i64 = 24 * 3600 * 1_000_000;
        for number in 0..count {
            let message = Message {
                id: MessageId::from(format!("before-{number}-{}", id(number)).as_str()),
                role: crate::domain::job::message::Role::User,
                parts: vec![Part::text(format!("piece of work of yesterday {}", number + 1))],
                context: None,
                task: None,
                metadata: None,
                references: Vec::new(),
                hints: crate::domain::job::message::Hints::default(),
            };
            let (report, _nobody_listens) = self.open(&message, id(number), id(count + number), now);
            let ago = i64::try_from(DAY.unsigned_abs() / (count + 1) * (count - number)).unwrap_or(0);
            let state = if number % 50 == 49 { TaskState::Failed } else { TaskState::Completed };
            self.status(&report.id, state, None, PeerTime(now.0 - ago));
        }
    }

    /// Watches a task: its state as it is, then its events.
    pub fn watch(&self, id: &TaskId) -> Option<(TaskReport, mpsc::Receiver<Frame>)> {
        let mut shelf = self.shelf();
        let served = shelf.tasks.get_mut(&*id.raw())?;
        let (sender, receiver) = mpsc::channel(1024);
        served.watchers.push(sender);
        Some((served.report.clone(), receiver))
    }

    /// Hands a follow-up message to the script of a task.
    pub fn follow_up(&self, id: &TaskId, message: Message) -> bool {
        let mut shelf = self.shelf();
        let Some(served) = shelf.tasks.get_mut(&*id.raw()) else { return false };
        served.report.history.push(message.clone());
        served.mouth.as_ref().is_some_and(|mouth| mouth.inbox.try_send(message).is_ok())
    }

    /// Asks the script of a task to stop.
    pub fn ask_to_cancel(&self, id: &TaskId) {
        if let Some(mouth) = self.shelf().tasks.get(&*id.raw()).and_then(|served| served.mouth.as_ref()) {
            mouth.cancel.send_replace(true);
        }
    }

    /// Changes a task's state and tells it.
    pub fn status(&self, id: &TaskId, state: TaskState, said: Option<Message>, now: PeerTime) {
        let status = Status { state: state.clone(), message: said, timestamp: Some(now) };
        let mut shelf = self.shelf();
        let Some(served) = shelf.tasks.get_mut(&*id.raw()) else { return };
        if let Some(message) = &status.message {
            served.report.history.push(message.clone());
        }
        served.report.status = status.clone();
        let event = StreamEvent::Status {
            task: Some(id.clone()),
            context: served.report.context.clone(),
            status,
            metadata: None,
            raw: None,
        };
        served.send(&Frame::Event(Arc::new(event)));
        if state.is_terminal() || state.is_interrupted() {
            served.send(&Frame::End);
            served.watchers.clear();
        }
        if state.is_terminal() {
            served.mouth = None;
        }
    }

    /// Adds to an output and tells it.
    pub fn chunk(&self, id: &TaskId, name: &str, text: &str, append: bool, last: bool) {
        let mut shelf = self.shelf();
        let Some(served) = shelf.tasks.get_mut(&*id.raw()) else { return };
        let artifact = Artifact {
            id: Untrusted::from("out"),
            name: Some(Untrusted::from(name)),
            description: None,
            parts: vec![Part::text(text)],
            metadata: None,
        };
        let outputs = served.report.artifacts.get_or_insert_default();
        match outputs.iter_mut().find(|known| known.id == artifact.id) {
            Some(known) if append => known.parts.extend(artifact.parts.iter().cloned()),
            Some(known) => known.parts.clone_from(&artifact.parts),
            None => outputs.push(artifact.clone()),
        }
        let name = if append { None } else { artifact.name.clone() };
        let event = StreamEvent::Artifact {
            task: Some(id.clone()),
            context: served.report.context.clone(),
            artifact: Artifact { name, ..artifact },
            append,
            last,
        };
        served.send(&Frame::Event(Arc::new(event)));
    }

    /// Breaks every stream of a task in the middle of an event.
    pub fn cut(&self, id: &TaskId) {
        let mut shelf = self.shelf();
        let Some(served) = shelf.tasks.get_mut(&*id.raw()) else { return };
        let half = StreamEvent::Status {
            task: Some(id.clone()),
            context: served.report.context.clone(),
            status: served.report.status.clone(),
            metadata: None,
            raw: None,
        };
        served.send(&Frame::Cut(Arc::new(half)));
        served.watchers.clear();
    }

    /// Sends bytes down the streams of a task.
    pub fn raw(&self, id: &TaskId, bytes: &str) {
        if let Some(served) = self.shelf().tasks.get_mut(&*id.raw()) {
            served.send(&Frame::Raw(Arc::from(bytes)));
        }
    }

    /// From now on `GetTask` says something else than the streams.
    pub fn claim(&self, id: &TaskId, state: TaskState) {
        if let Some(served) = self.shelf().tasks.get_mut(&*id.raw()) {
            served.claims = Some(state);
        }
    }

    /// The process died: nobody watches any more.
    pub fn lose_watchers(&self) {
        for served in self.shelf().tasks.values_mut() {
            served.watchers.clear();
        }
    }

    /// The process forgot everything but how often it was called.
    pub fn forget(&self) {
        let mut shelf = self.shelf();
        shelf.tasks.clear();
        shelf.by_message.clear();
    }

    /// Tasks that have not ended.
    pub fn unfinished(&self) -> Vec<TaskId> {
        let shelf = self.shelf();
        let running = shelf.tasks.values().filter(|served| !served.report.status.state.is_terminal());
        running.map(|served| served.report.id.clone()).collect()
    }
}

impl Shelf {
    /// A long run must not fill the memory: of the ended tasks the last ones are kept.
    fn drop_old(&mut self) {
        if self.tasks.len() < KEPT * 2 {
            return;
        }
        let ended = self.tasks.iter().filter(|(_, served)| served.report.status.state.is_terminal());
        let mut ended: Vec<_> = ended.map(|(id, served)| (served.order, id.clone())).collect();
        ended.sort_unstable();
        let old = ended.len().saturating_sub(KEPT);
        for (_, id) in ended.into_iter().take(old) {
            self.tasks.remove(&id);
        }
    }
}

impl Served {
    /// A watcher that is too slow loses its stream, as real servers do it.
    fn send(&mut self, frame: &Frame) {
        self.watchers.retain(|watcher| watcher.try_send(frame.clone()).is_ok());
    }
}
