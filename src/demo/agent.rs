//! A demo agent: its card, and its answers to well-formed requests.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::answer::{Answer, Encoder};
use super::behaviour::Asked;
use super::condition::Condition;
use super::fault::Fault;
use super::runs::Run;
use super::scenario::AgentPart;
use super::tasks::{FollowUp, Frame, Tasks};
use super::telemetry::{About, Call, Request, TaskSpans, Tracer};
use super::work::Work;
use crate::domain::agent::card::{Ability, Card, Dialect, Offer, Peer, Skill};
use crate::domain::effect::ListQuery;
use crate::domain::id::{MessageId, Rng, TaskId};
use crate::domain::job::message::{Message, Part, Role, text_hash};
use crate::domain::job::task::{StreamEvent, TaskReport, TaskState};
use crate::domain::text::Untrusted;
use crate::domain::time::{At, PeerTime};
use crate::domain::trace::TraceParent;
use crate::net::clock::Clock;
use crate::protocol::{Codec, Incoming, Reply, codec, json, timestamp};
use crate::telemetry::model::Severity;

/// Sets the seeds of tasks with the same text apart.
const REPEAT: u64 = 0xd1b5_4a32_d192_ed03;

/// An agent. It outlives the server that answers for it, which the story may kill and start again.
#[derive(Debug)]
pub(super) struct Agent {
    pub part: AgentPart,
    pub fault: Option<Fault>,
    pub tasks: Tasks,
    /// How many times faster than real time it works.
    speed: f64,
    seed: u64,
    clock: Arc<Clock>,
    /// Counts the starts of its server. Work that an earlier start began stops.
    pub starts: AtomicU32,
    /// Tasks that it works on without ever ending them.
    pub endless: AtomicU32,
    condition: Mutex<Condition>,
    links: Links,
    pub tracer: Tracer,
}

/// What an agent has of its fleet.
#[derive(Clone, Debug)]
pub(super) struct Links {
    pub outgoing: mpsc::Sender<Outgoing>,
    pub deaths: Deaths,
}

/// Where an agent asks for its own death, by its name, and what somebody has to know who wants it dead.
#[derive(Clone, Debug)]
pub(super) struct Deaths {
    /// Chosen at each start of the demo, and known to its own engine alone.
    pub token: http::HeaderValue,
    pub sender: mpsc::Sender<(String, Duration)>,
}

/// A message that one embedded agent, or the built-in caller, sends to another agent.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The receiving agent, by name.
    pub to: String,
    pub text: String,
    pub caller: String,
    /// The task that delegates; `None` for the built-in caller.
    pub parent: Option<TaskId>,
    /// The span of the call, if its sender has one.
    pub call: Option<Call>,
}

impl Agent {
    pub fn new(
        part: AgentPart,
        fault: Option<Fault>,
        speed: f64,
        seed: u64,
        links: Links,
        tracer: Tracer,
    ) -> Self {
        let seed = seed ^ text_hash(&part.name);
        let (starts, endless) = (AtomicU32::new(1), AtomicU32::new(0));
        let condition = Mutex::default();
        Self {
            part,
            fault,
            tasks: Tasks::default(),
            speed,
            seed,
            clock: tracer.clock.clone(),
            starts,
            endless,
            condition,
            links,
            tracer,
        }
    }

    /// Gives the agent `count` tasks that ended within the day before `now`.
    pub fn prefill(&self, count: u64, now: PeerTime) {
        let at = At::from_micros(now.micros());
        let id = |number: u64| {
            let uuid = Rng::new(self.seed ^ number.wrapping_mul(0x9e37_79b9)).uuid(at);
            uuid_text(uuid.as_u128().reverse_bits())
        };
        self.tasks.prefill(count, id, now);
    }

    /// It dies for a while, once this was answered; false if too many agents are dying already.
    pub fn die(&self, time: Duration) -> bool {
        self.links.deaths.sender.try_send((self.part.name.clone(), time)).is_ok()
    }

    /// True if these headers are of the engine that owns the demo: a page in a browser says where it comes from, and no
    /// other process knows the token.
    pub fn is_asked_by_its_engine(&self, headers: &http::HeaderMap) -> bool {
        headers.get("quarterdeck-drill") == Some(&self.links.deaths.token)
            && !headers.contains_key(http::header::ORIGIN)
    }

    /// What the story has changed about it.
    pub fn condition(&self) -> Condition {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is different about it from here on.
    pub fn change(&self, to: Condition) {
        *self.condition.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    /// Its version now.
    pub fn version(&self) -> String {
        self.condition().version.unwrap_or_else(|| self.part.version.clone())
    }

    pub fn dialect(&self) -> Dialect {
        if self.part.speaks == "0.3" { Dialect::V0_3 } else { Dialect::V1_0 }
    }

    pub fn codec(&self) -> &'static dyn Codec {
        codec(self.dialect())
    }

    pub fn now(&self) -> PeerTime {
        PeerTime::from_micros(self.clock.now().micros())
    }

    /// The card of a well-behaved agent served at `url`.
    pub fn card(&self, url: &str) -> Card {
        let skills = self.part.skills.iter().map(|id| self.skill(id));
        Card {
            name: self.part.card.as_deref().unwrap_or(&self.part.name).into(),
            description: self.part.part.as_str().into(),
            version: self.version().into(),
            provider: Some("Quarterdeck demo".into()),
            offers: vec![Offer {
                url: format!("{url}/").into(),
                binding: "JSONRPC".into(),
                version: Some(self.dialect().as_str().into()),
                tenant: None,
            }],
            peers: self.part.peers.iter().map(|url| Peer { name: None, url: url.as_str().into() }).collect(),
            streaming: true,
            skills: skills.collect(),
            input_modes: vec!["text/plain".into()],
            output_modes: vec!["text/plain".into()],
            ..Card::empty()
        }
    }

    /// A skill as its card names it.
    pub fn skill(&self, id: &str) -> Skill {
        Skill {
            id: id.into(),
            name: id.into(),
            description: self.part.part.as_str().into(),
            tags: vec!["demo".into()],
            examples: Vec::new(),
            input_modes: Vec::new(),
            output_modes: Vec::new(),
        }
    }

    /// `{"<messageId>": n}`: how often a send with that id arrived.
    pub fn received(&self) -> String {
        let mut writer = json::Writer::new();
        for (id, count) in self.tasks.received() {
            writer = writer.raw(&id.raw(), &count.to_string());
        }
        writer.end()
    }

    /// `{"<job>": [{"attempt", "begun", "ended"}]}`: the work on the messages of each job.
    pub fn ran(&self) -> String {
        let time = |time: PeerTime| json::string(&timestamp::format_exact(time.micros()));
        let row = |run: Run| {
            let attempt = run.attempt.map(|attempt| json::string(attempt.raw()));
            json::Writer::new()
                .raw("attempt", attempt.as_deref().unwrap_or("null"))
                .raw("begun", &time(run.begun))
                .raw("ended", run.ended.map(time).as_deref().unwrap_or("null"))
                .end()
        };
        let mut writer = json::Writer::new();
        for (job, runs) in self.tasks.ran() {
            writer = writer.raw(job.raw(), &json::array(runs.into_iter().map(row)));
        }
        writer.end()
    }

    /// Answers a JSON-RPC request; `version` is its `A2A-Version` header, `caller` its `traceparent`.
    pub async fn answer(
        self: &Arc<Self>,
        body: &str,
        version: Option<&str>,
        caller: Option<TraceParent>,
    ) -> Answer {
        let (id, request) = match self.codec().decode_request(body) {
            Ok(read) => read,
            Err(cause) => return Answer::error("null", -32700, &cause.to_string()),
        };
        if self.dialect() == Dialect::V1_0 && version.is_none_or(|version| !version.starts_with("1.")) {
            return Answer::error(&id, -32009, "this agent speaks A2A 1.0");
        }
        let caller = caller.or_else(|| match &request {
            Incoming::Send { message, .. } => message.hints.traceparent.as_ref()?.raw().parse().ok(),
            _ => None,
        });
        let asked = Asked { agent: self, id: &id, request: &request, caller };
        if let Some(answer) = self.part.behaviour.on_wire().answer(asked).await {
            return answer;
        }
        match request {
            Incoming::Send { message, stream, at_once } => {
                self.send(&id, message, caller, stream, at_once).await
            }
            Incoming::Get(task) => self.task_answer(&id, &task),
            Incoming::List(query, size) if self.dialect().can(Ability::ListTasks) => {
                self.list(&id, &query, size)
            }
            Incoming::Cancel(task) => self.cancel(&id, &task, caller),
            Incoming::Subscribe(task) => match self.tasks.watch(&task) {
                None => not_found(&id),
                Some((report, _)) if report.status.state.is_terminal() => {
                    Answer::error(&id, -32004, "the task has ended")
                }
                Some((report, frames)) => self.stream(&id, report, frames),
            },
            Incoming::List(..) | Incoming::Unknown(_) => Answer::error(&id, -32601, "Method not found"),
        }
    }

    /// A task as the agent reports it when asked.
    fn reported(&self, task: &TaskId) -> Option<TaskReport> {
        let mut report = self.tasks.get(task)?;
        if let Some(claimed) = self.part.behaviour.on_wire().claims() {
            report.status.state = claimed;
        }
        Some(report)
    }

    fn task_answer(&self, id: &str, task: &TaskId) -> Answer {
        match self.reported(task) {
            Some(report) => Answer::result(id, &self.codec().encode_task(&report)),
            None => not_found(id),
        }
    }

    fn list(&self, id: &str, query: &ListQuery, size: usize) -> Answer {
        let fits = |report: &TaskReport| {
            let ListQuery { state, context, after, .. } = query;
            let timestamp = report.status.timestamp;
            state.as_ref().is_none_or(|state| *state == report.status.state)
                && context.as_ref().is_none_or(|context| report.context.as_ref() == Some(context))
                && after.is_none_or(|after| timestamp.is_none_or(|time| time > after))
        };
        let from = query.page.as_ref().and_then(|page| page.raw().parse().ok()).unwrap_or(0usize);
        let size = size.clamp(1, 100);
        let (page, all) = self.tasks.list(fits, from, size);
        let next = (from + size < all).then(|| Untrusted::from((from + size).to_string()));
        let tasks = page.into_iter().map(|mut report| {
            report.artifacts = None;
            if !query.history {
                report.history.clear();
            }
            report
        });
        let page = Reply::Page { tasks: tasks.collect(), next, total: Some(all as u64), unread: 0 };
        Answer::result(id, &self.codec().encode_send_result(&page))
    }

    async fn send(
        self: &Arc<Self>,
        id: &str,
        message: Message,
        caller: Option<TraceParent>,
        stream: bool,
        at_once: bool,
    ) -> Answer {
        let times = self.tasks.count(&message.id);
        let task = match (&message.task, self.tasks.of_message(&message.id)) {
            (_, Some(known)) if times > 1 => known,
            (Some(task), _) => match self.follow_up(id, task, &message, caller) {
                Ok(()) => task.clone(),
                Err(error) => return error,
            },
            (None, _) => self.begin(message, caller),
        };
        let Some((report, mut frames)) = self.tasks.watch(&task) else { return not_found(id) };
        if stream {
            return self.stream(id, report, frames);
        }
        if !at_once {
            // A blocking send returns at an end or a question.
            while let Some(frame) = frames.recv().await {
                if let Frame::End = frame {
                    break;
                }
            }
        }
        match self.reported(&task) {
            Some(report) => {
                let reply = Reply::Task(Box::new(report));
                Answer::result(id, &self.codec().encode_send_result(&reply))
            }
            None => not_found(id),
        }
    }

    /// Hands a message to the task that it belongs to.
    fn follow_up(
        &self,
        id: &str,
        task: &TaskId,
        message: &Message,
        caller: Option<TraceParent>,
    ) -> Result<(), Answer> {
        let Some(report) = self.reported(task) else { return Err(not_found(id)) };
        if report.status.state.is_terminal() {
            return Err(Answer::error(id, -32004, "the task has ended"));
        }
        if !self.tasks.follow_up(task, FollowUp { message: message.clone(), caller }) {
            return Err(Answer::error(id, -32004, "the task did not ask for anything"));
        }
        self.tasks.status(task, TaskState::Working, None, self.now());
        Ok(())
    }

    /// Makes a task for a message and begins to work on it.
    ///
    /// Its id differs from run to run; all that the agent decides about it follows from the seed, the agent, the text,
    /// and how often that text came before. So it does not matter when, or after which others, a message arrives.
    fn begin(self: &Arc<Self>, message: Message, caller: Option<TraceParent>) -> TaskId {
        let number = self.tasks.made() + 1;
        let mut ids = Rng::new(self.seed ^ text_hash(&message.id.raw()) ^ number);
        let at = At::from_micros(self.now().micros());
        let (new, context) = (ids.uuid(at), ids.uuid(at));
        // The random end comes first, so that short forms of ids differ.
        let name = |id: uuid::Uuid| id.as_u128().reverse_bits();
        let (task, context) = (uuid_text(name(new)), uuid_text(name(context)));
        let seed = |text: u64, before: u64| self.seed ^ text ^ before.wrapping_mul(REPEAT);
        let open = self.tasks.open(&message, caller, task, context, self.now(), seed);
        let id = open.report.id.clone();
        tokio::spawn(Work::new(self.clone(), message, open).run());
        id
    }

    fn stream(&self, id: &str, report: TaskReport, mut frames: mpsc::Receiver<Frame>) -> Answer {
        // Small, so that the task's own queue shows whether the stream is behind.
        let (sender, out) = mpsc::channel(16);
        let ended = report.status.state.is_terminal();
        let first = Frame::Event(Arc::new(StreamEvent::Task(Box::new(report))));
        tokio::spawn(async move {
            if sender.send(first).await.is_err() || ended {
                return;
            }
            while let Some(frame) = frames.recv().await {
                if sender.send(frame).await.is_err() {
                    return;
                }
            }
        });
        Answer::Stream(out, self.encoder(id))
    }

    /// How frames become the bytes of a stream that answers the request `id`.
    pub fn encoder(&self, id: &str) -> Encoder {
        let (id, codec) = (id.to_owned(), self.codec());
        let event_text = move |event: &StreamEvent| {
            format!("data: {}\n\n", crate::protocol::jsonrpc::result(&id, &codec.encode_event(event)))
        };
        Box::new(move |frame| match frame {
            Frame::Event(event) => Some(event_text(event)),
            Frame::Cut(event) => {
                let whole = event_text(event);
                Some(whole[..whole.floor_char_boundary(whole.len() / 2)].to_owned())
            }
            Frame::Raw(bytes) => Some(bytes.to_string()),
            Frame::End => None,
        })
    }

    fn cancel(&self, id: &str, task: &TaskId, caller: Option<TraceParent>) -> Answer {
        let Some(report) = self.reported(task) else { return not_found(id) };
        let about = About {
            message: &MessageId::from(""),
            skill: None,
            task: Some(task),
            context: report.context.as_ref(),
            reads: 0,
        };
        let request = Request { method: "CancelTask", parent: caller };
        let spans = TaskSpans::begin(self, request, about, self.seed ^ text_hash(&task.raw()));
        if report.status.state.is_terminal() {
            return Answer::error(id, -32002, "Task cannot be canceled");
        }
        self.tasks.ask_to_cancel(task);
        if self.part.behaviour.on_wire().stops_when_canceled() {
            let notice = self.says("canceled as you asked", Some(task), &MessageId::from("cancel"), 0);
            self.tasks.status(task, TaskState::Canceled, Some(notice), self.now());
        }
        if let Some(spans) = spans {
            let state = self.tasks.state(task);
            if state != Some(TaskState::Canceled) {
                spans.log(Severity::Warn, "agreed to a cancel, and the work goes on");
            }
            spans.end(state.as_ref(), "");
        }
        self.task_answer(id, task)
    }

    /// Sleeps for some seconds of the demo's time, which may run faster.
    pub async fn sleep(&self, seconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64((seconds / self.speed).max(0.0))).await;
    }

    /// A message of the agent; `about` and `number` make its id.
    pub fn says(&self, words: &str, task: Option<&TaskId>, about: &MessageId, number: u64) -> Message {
        let hash = text_hash(&format!("{}{}{number}{words}", self.part.name, &*about.raw()));
        Message {
            context: task.and_then(|task| self.tasks.get(task)).and_then(|report| report.context),
            task: task.cloned(),
            ..Message::new(format!("{hash:016x}").as_str(), Role::Agent, vec![Part::text(words)])
        }
    }

    /// The text of its output for a message.
    pub fn result(&self, message: &Message) -> String {
        let text = message.text();
        let template = self.part.result.as_deref().unwrap_or("Done: {text}");
        template.replace("{text}", text.headline(120).raw())
    }

    /// Sends a message to another agent after some seconds.
    pub fn delegate(self: &Arc<Self>, message: Outgoing, after: f64) {
        let agent = self.clone();
        tokio::spawn(async move {
            agent.sleep(after).await;
            let _fleet_has_ended = agent.links.outgoing.send(message).await;
        });
    }

    /// Goes on with the tasks that were under way when its server, or the whole demo, was killed.
    pub fn resume_work(self: &Arc<Self>) {
        for open in self.tasks.take_up() {
            let Some(message) = open.report.history.first().cloned() else { continue };
            tokio::spawn(Work::new(self.clone(), message, open).resume());
        }
    }
}

fn not_found(id: &str) -> Answer {
    Answer::error(id, -32001, "Task not found")
}

fn uuid_text(bits: u128) -> String {
    uuid::Uuid::from_u128(bits).to_string()
}
