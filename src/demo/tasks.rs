//! The tasks of a demo agent, and their watchers.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};

use super::runs::{Run, Runs};
use super::task_log::{Line, OUTPUT_KEPT, TaskLog};
use crate::domain::id::{ContextId, MessageId, TaskId};
use crate::domain::job::message::{Artifact, Message, Part, Role, text_hash};
use crate::domain::job::task::{Status, StreamEvent, TaskReport, TaskState};
use crate::domain::text::Untrusted;
use crate::domain::time::PeerTime;
use crate::domain::trace::TraceParent;

/// The minimum number of ended tasks that an agent keeps; a pre-filled agent keeps as many more.
const KEPT: usize = 500;

/// The number of ended tasks of an agent that its file keeps.
const KEPT_IN_FILE: usize = 100;

/// The number of messages whose arrivals are counted one by one; half as many stay when there are more.
const COUNTED: usize = 10_000;

/// The number of different texts whose repeats an agent counts.
const TEXTS: usize = 4096;

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
    /// Decides everything that looks random in the work on it.
    seed: u64,
    /// The bytes that its outputs were sent in.
    outputs: usize,
    /// False for a task that only fills the lists, which no file keeps.
    kept: bool,
    watchers: Vec<mpsc::Sender<Frame>>,
    /// The span that sent the message; no file keeps it.
    caller: Option<TraceParent>,
    /// `None` once the task has ended, so that ended tasks take no memory for it.
    sender: Option<TaskSender>,
    order: u64,
}

/// Passes messages and cancels on to the work on a task.
#[derive(Debug)]
struct TaskSender {
    /// Holds up to eight follow-up messages; more are refused.
    messages: mpsc::Sender<FollowUp>,
    cancel: watch::Sender<bool>,
}

/// Inputs of the work on a task.
#[derive(Debug)]
pub(super) struct TaskReceiver {
    /// Follow-up messages.
    pub messages: mpsc::Receiver<FollowUp>,
    /// True once a cancel was requested.
    pub canceled: watch::Receiver<bool>,
}

/// A message about a task, and the span that sent it.
#[derive(Debug)]
pub(super) struct FollowUp {
    pub message: Message,
    pub caller: Option<TraceParent>,
}

/// An unfinished task, for the work on it to begin or to go on.
#[derive(Debug)]
pub(super) struct OpenTask {
    pub report: TaskReport,
    pub seed: u64,
    /// The span that sent the message.
    pub caller: Option<TraceParent>,
    pub receiver: TaskReceiver,
}

/// How often a message arrived.
#[derive(Clone, Copy, Debug)]
struct Arrivals {
    times: u64,
    /// Its place among the messages, by their first arrival.
    order: u64,
}

#[derive(Debug, Default)]
struct Store {
    tasks: BTreeMap<String, StoredTask>,
    by_message: BTreeMap<MessageId, TaskId>,
    received: BTreeMap<MessageId, Arrivals>,
    /// Messages that are no longer counted one by one: how many, and how many arrivals.
    earlier: (u64, u64),
    runs: Runs,
    /// How many tasks each text began, by its hash.
    begun: BTreeMap<u64, u64>,
    made: u64,
    prefilled: usize,
    /// The file that keeps all of it; `None` if nothing is kept.
    log: Option<TaskLog>,
}

/// The tasks of one agent; they outlive its server unless its behaviour loses them at a restart.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks(Arc<Mutex<Store>>);

impl Tasks {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the tasks that a file has, and keeps them there from now on.
    pub fn keep_in(&self, path: PathBuf) -> io::Result<()> {
        let (log, lines) = TaskLog::open(path)?;
        let mut store = self.store();
        for line in lines {
            store.replay(line);
        }
        store.log = Some(log);
        Ok(())
    }

    /// Counts a send before anything else happens with it. Returns how often its message has arrived by now.
    pub fn count(&self, message: &MessageId) -> u64 {
        let mut store = self.store();
        let times = store.received.get(message).map_or(0, |arrivals| arrivals.times) + 1;
        store.arrived(message.clone(), times);
        store.write(|| Line::Received { message: message.clone(), times });
        times
    }

    /// How often each message id arrived, from all callers and over all restarts; of many, the latest.
    pub fn received(&self) -> Vec<(MessageId, u64)> {
        self.store().received.iter().map(|(id, arrivals)| (id.clone(), arrivals.times)).collect()
    }

    /// The work on each job, from all callers and over all restarts; of much, the latest.
    pub fn ran(&self) -> Vec<(Untrusted, Vec<Run>)> {
        self.store().runs.by_job()
    }

    /// Notes that the work on a message that makes no task begins. Returns the number of the run.
    pub fn begin_run(&self, message: &Message, now: PeerTime) -> Option<u64> {
        let run = Run::new(message, None, now)?;
        Some(self.store().begin_run(run))
    }

    /// Notes that the work on a message that made no task has ended.
    pub fn end_run(&self, number: u64, now: PeerTime) {
        self.store().end_run(number, now);
    }

    /// How many messages arrived, and how many arrivals repeated an earlier one.
    pub fn arrivals(&self) -> (u64, u64) {
        let store = self.store();
        let (messages, arrivals) = store.earlier;
        let all = arrivals + store.received.values().map(|arrivals| arrivals.times).sum::<u64>();
        (all, all - messages - store.received.len() as u64)
    }

    /// How many tasks were ever made.
    pub fn made(&self) -> u64 {
        self.store().made
    }

    /// The task that a message made, if it arrived before.
    pub fn of_message(&self, message: &MessageId) -> Option<TaskId> {
        self.store().by_message.get(message).cloned()
    }

    /// Makes a task for a message. `seed` is given the hash of its text, and how many tasks that text made before.
    pub fn open(
        &self,
        message: &Message,
        caller: Option<TraceParent>,
        id: String,
        context: String,
        now: PeerTime,
        seed: impl FnOnce(u64, u64) -> u64,
    ) -> OpenTask {
        let mut store = self.store();
        let text = text_hash(message.text().raw());
        let seed = seed(text, store.begun.get(&text).copied().unwrap_or(0));
        let mut open = store.make(message, id, context, now, seed, true);
        open.caller = caller;
        if let Some(stored) = store.tasks.get_mut(&*open.report.id.raw()) {
            stored.caller = caller;
        }
        store.begin(text);
        // Before the task, so that a task that is read back has its run.
        if let Some(run) = Run::new(message, Some(open.report.id.clone()), now) {
            store.begin_run(run);
        }
        store.write_task(&open.report.id);
        open
    }

    /// The state of a task.
    pub fn state(&self, id: &TaskId) -> Option<TaskState> {
        self.store().tasks.get(&*id.raw()).map(|stored| stored.report.status.state.clone())
    }

    /// A task as the agent returns it.
    pub fn get(&self, id: &TaskId) -> Option<TaskReport> {
        self.store().tasks.get(&*id.raw()).map(|stored| stored.report.clone())
    }

    /// The last message of the caller after the one that made the task.
    pub fn last_answer(&self, id: &TaskId) -> Option<Message> {
        let store = self.store();
        let mut later = store.tasks.get(&*id.raw())?.report.history.iter().skip(1);
        later.rfind(|message| message.role == Role::User).cloned()
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
        let mut store = self.store();
        store.prefilled = usize::try_from(count).unwrap_or(usize::MAX);
        for number in 0..count {
            let message = Message::new(
                format!("before-{number}-{}", id(number)).as_str(),
                Role::User,
                vec![Part::text(format!("piece of work of yesterday {}", number + 1))],
            );
            let open = store.make(&message, id(number), id(count + number), now, 0, false);
            let ago = i64::try_from(DAY.unsigned_abs() / (count + 1) * (count - number)).unwrap_or(0);
            let state = if number % 50 == 49 { TaskState::Failed } else { TaskState::Completed };
            if let Some(stored) = store.tasks.get_mut(&*open.report.id.raw()) {
                stored.take_status(Status {
                    state,
                    message: None,
                    timestamp: Some(PeerTime::from_micros(now.micros() - ago)),
                });
            }
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
    pub fn follow_up(&self, id: &TaskId, follow_up: FollowUp) -> bool {
        let mut store = self.store();
        let Some(stored) = store.tasks.get_mut(&*id.raw()) else { return false };
        stored.report.history.push(follow_up.message.clone());
        let taken = stored.sender.as_ref().is_some_and(|sender| sender.messages.try_send(follow_up).is_ok());
        store.write_task(id);
        taken
    }

    /// Asks the work on a task to stop.
    pub fn ask_to_cancel(&self, id: &TaskId) {
        if let Some(sender) = self.store().tasks.get(&*id.raw()).and_then(|stored| stored.sender.as_ref()) {
            sender.cancel.send_replace(true);
        }
    }

    /// Changes a task's state and sends the event.
    pub fn status(&self, id: &TaskId, state: TaskState, message: Option<Message>, now: PeerTime) {
        let ends = state.is_terminal() || state.is_interrupted();
        let status = Status { state, message, timestamp: Some(now) };
        let mut store = self.store();
        let Some(stored) = store.tasks.get_mut(&*id.raw()) else { return };
        stored.take_status(status.clone());
        let event = StreamEvent::status(Some(id.clone()), stored.report.context.clone(), status);
        let event = Arc::new(event);
        stored.send(&Frame::Event(event.clone()));
        if ends {
            stored.send(&Frame::End);
            stored.watchers.clear();
        }
        let (seed, has_ended) = (stored.seed, stored.report.status.state.is_terminal());
        store.write(|| Line::Event { event: (*event).clone(), seed });
        if has_ended {
            store.end_run_of(id, now);
        }
    }

    /// Appends to an output and sends the event.
    pub fn chunk(&self, id: &TaskId, name: &str, text: &str, append: bool, last: bool) {
        let mut store = self.store();
        let Some(stored) = store.tasks.get_mut(&*id.raw()) else { return };
        let artifact =
            Artifact { name: Some(Untrusted::from(name)), ..Artifact::new("out", vec![Part::text(text)]) };
        stored.take_output(&artifact, append);
        let name = if append { None } else { artifact.name.clone() };
        let event = StreamEvent::Artifact {
            task: Some(id.clone()),
            context: stored.report.context.clone(),
            artifact: Artifact { name, ..artifact },
            append,
            last,
        };
        let event = Arc::new(event);
        stored.send(&Frame::Event(event.clone()));
        let seed = stored.seed;
        if stored.outputs <= OUTPUT_KEPT {
            store.write(|| Line::Event { event: (*event).clone(), seed });
        }
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
        store.write(|| Line::Forgot);
    }

    /// The text and the state of every task, in the order in which they were made.
    pub fn all(&self) -> Vec<(String, TaskState)> {
        let store = self.store();
        let mut tasks: Vec<_> = store.tasks.values().collect();
        tasks.sort_by_key(|stored| stored.order);
        let text = |stored: &StoredTask| stored.report.history.first().map(Message::text).unwrap_or_default();
        tasks
            .iter()
            .map(|stored| (text(stored).raw().to_owned(), stored.report.status.state.clone()))
            .collect()
    }

    /// Takes up the tasks that have not ended; whoever worked on them before gets nothing more.
    pub fn take_up(&self) -> Vec<OpenTask> {
        let mut store = self.store();
        let running = store.tasks.values_mut().filter(|stored| !stored.report.status.state.is_terminal());
        running
            .map(|stored| {
                let (sender, receiver) = channels();
                stored.sender = Some(sender);
                let (report, seed, caller) = (stored.report.clone(), stored.seed, stored.caller);
                OpenTask { report, seed, caller, receiver }
            })
            .collect()
    }
}

fn channels() -> (TaskSender, TaskReceiver) {
    let (sender, messages) = mpsc::channel(8);
    let (cancel, canceled) = watch::channel(false);
    (TaskSender { messages: sender, cancel }, TaskReceiver { messages, canceled })
}

impl Store {
    fn make(
        &mut self,
        message: &Message,
        id: String,
        context: String,
        now: PeerTime,
        seed: u64,
        kept: bool,
    ) -> OpenTask {
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
            ..TaskReport::new(id, status)
        };
        let (sender, receiver) = channels();
        self.drop_old();
        self.put(report.clone(), seed, kept, Some(sender));
        OpenTask { report, seed, caller: None, receiver }
    }

    /// Stores a task, or replaces what is known of it.
    fn put(&mut self, report: TaskReport, seed: u64, kept: bool, sender: Option<TaskSender>) {
        let id = report.id.raw().to_owned();
        if let Some(stored) = self.tasks.get_mut(&id) {
            stored.report = report;
            return;
        }
        self.made += 1;
        if let Some(first) = report.history.first() {
            self.by_message.insert(first.id.clone(), report.id.clone());
        }
        let order = self.made;
        let (watchers, caller) = (Vec::new(), None);
        self.tasks.insert(id, StoredTask { report, seed, outputs: 0, kept, watchers, caller, sender, order });
    }

    /// Counts a task of a text.
    fn begin(&mut self, text: u64) {
        if self.begun.len() < TEXTS || self.begun.contains_key(&text) {
            *self.begun.entry(text).or_default() += 1;
        }
    }

    /// Notes that a message has arrived this often.
    fn arrived(&mut self, message: MessageId, times: u64) {
        let next = self.earlier.0 + self.received.len() as u64;
        self.received.entry(message).or_insert(Arrivals { times, order: next }).times = times;
        if self.received.len() > COUNTED {
            let stays = self.earlier.0 + (COUNTED / 2) as u64;
            let earlier = &mut self.earlier;
            self.received.retain(|_, arrivals| {
                if arrivals.order < stays {
                    earlier.0 += 1;
                    earlier.1 += arrivals.times;
                }
                arrivals.order >= stays
            });
        }
    }

    /// Adds a run that begins. Returns its number.
    fn begin_run(&mut self, run: Run) -> u64 {
        let number = self.runs.begin(run.clone());
        self.write(|| Line::Run { number, run });
        number
    }

    fn end_run(&mut self, number: u64, now: PeerTime) {
        if let Some(run) = self.runs.end(number, now).cloned() {
            self.write(|| Line::Run { number, run });
        }
    }

    fn end_run_of(&mut self, task: &TaskId, now: PeerTime) {
        if let Some(number) = self.runs.of_task(task) {
            self.end_run(number, now);
        }
    }

    /// Does what a line of the file says.
    fn replay(&mut self, line: Line) {
        match line {
            Line::Event { event: StreamEvent::Task(report), seed } => {
                let new = !self.tasks.contains_key(&*report.id.raw());
                let text = report.history.first().map(|first| text_hash(first.text().raw()));
                self.put(TaskReport { raw: None, ..*report }, seed, true, None);
                if let Some(text) = text.filter(|_| new) {
                    self.begin(text);
                }
            }
            Line::Event { event: StreamEvent::Status { task: Some(task), status, .. }, .. } => {
                if let Some(time) = status.timestamp.filter(|_| status.state.is_terminal()) {
                    // In case the line of its run was not written any more.
                    self.end_run_of(&task, time);
                }
                if let Some(stored) = self.tasks.get_mut(&*task.raw()) {
                    stored.take_status(status);
                }
            }
            Line::Event {
                event: StreamEvent::Artifact { task: Some(task), artifact, append, .. }, ..
            } => {
                if let Some(stored) = self.tasks.get_mut(&*task.raw()) {
                    stored.take_output(&artifact, append);
                }
            }
            Line::Event { .. } => {}
            Line::Received { message, times } => self.arrived(message, times),
            Line::Run { number, run } => self.runs.put(number, run),
            Line::Earlier { messages, arrivals } => self.earlier = (messages, arrivals),
            Line::Begun { text, tasks } => {
                self.begun.insert(text, tasks);
            }
            Line::Forgot => {
                self.tasks.clear();
                self.by_message.clear();
            }
        }
    }

    /// Writes a change that was made.
    fn write(&mut self, line: impl FnOnce() -> Line) {
        let Some(mut log) = self.log.take() else { return };
        if log.append(&line()) {
            log.rewrite(self.lines());
        }
        self.log = Some(log);
    }

    /// Writes a task that has changed in more than its status.
    fn write_task(&mut self, id: &TaskId) {
        let Some(stored) = self.tasks.get(&*id.raw()).filter(|stored| stored.kept) else { return };
        let line = stored.line();
        self.write(|| line);
    }

    /// Everything that the file keeps.
    fn lines(&self) -> impl Iterator<Item = Line> {
        let mut kept: Vec<&StoredTask> = self.tasks.values().filter(|stored| stored.kept).collect();
        kept.sort_by_key(|stored| std::cmp::Reverse(stored.order));
        let mut ended = 0;
        kept.retain(|stored| {
            ended += usize::from(stored.report.status.state.is_terminal());
            ended <= KEPT_IN_FILE || !stored.report.status.state.is_terminal()
        });
        kept.reverse();
        let (messages, arrivals) = self.earlier;
        let mut received: Vec<_> = self.received.iter().collect();
        received.sort_by_key(|(_, arrivals)| arrivals.order);
        let received = received
            .into_iter()
            .map(|(message, arrivals)| Line::Received { message: message.clone(), times: arrivals.times });
        let runs = self.runs.all().map(|(number, run)| Line::Run { number, run: run.clone() });
        // After the tasks, which are counted while they are read.
        let begun = self.begun.iter().map(|(text, tasks)| Line::Begun { text: *text, tasks: *tasks });
        std::iter::once(Line::Earlier { messages, arrivals })
            .chain(received)
            .chain(runs)
            .chain(kept.into_iter().map(StoredTask::line))
            .chain(begun)
    }

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
        let tasks = &self.tasks;
        self.by_message.retain(|_, task| tasks.contains_key(&*task.raw()));
    }
}

impl StoredTask {
    /// The whole of it as a line; an output that is too large for the file is left out.
    fn line(&self) -> Line {
        let small = |artifact: &&Artifact| artifact.parts.iter().map(Part::len).sum::<usize>() <= OUTPUT_KEPT;
        let outputs = self.report.artifacts.iter().flatten().filter(small).cloned();
        let report = TaskReport { artifacts: Some(outputs.collect()), ..self.report.clone() };
        Line::Event { event: StreamEvent::Task(Box::new(report)), seed: self.seed }
    }

    fn take_status(&mut self, status: Status) {
        self.report.history.extend(status.message.clone());
        if status.state.is_terminal() {
            self.sender = None;
        }
        self.report.status = status;
    }

    fn take_output(&mut self, artifact: &Artifact, append: bool) {
        self.outputs += artifact.parts.iter().map(Part::len).sum::<usize>();
        let outputs = self.report.artifacts.get_or_insert_default();
        match outputs.iter_mut().find(|known| known.id == artifact.id) {
            Some(known) if append => known.parts.extend(artifact.parts.iter().cloned()),
            Some(known) => known.parts.clone_from(&artifact.parts),
            None => outputs.push(artifact.clone()),
        }
    }

    /// A watcher that is too slow loses its stream, as with real servers.
    fn send(&mut self, frame: &Frame) {
        self.watchers.retain(|watcher| watcher.try_send(frame.clone()).is_ok());
    }
}
