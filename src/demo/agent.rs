//! One embedded agent: what it answers, and the scripts of its work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::behaviour::{Behaviour, Fault};
use super::scenario::AgentPart;
use super::tasks::{Ears, Frame, Tasks};
use crate::domain::agent::card::{Card, Dialect, Offer, Peer, Skill};
use crate::domain::id::{MessageId, Rng, TaskId};
use crate::domain::job::message::{Content, Hints, Json, Message, Part, Role, text_hash};
use crate::domain::job::task::{TaskReport, TaskState};
use crate::domain::text::Untrusted;
use crate::domain::time::{At, PeerTime};
use crate::net::clock::Clock;
use crate::protocol::{Codec, Incoming, Reply, codec, json, jsonrpc};

/// An agent's mind: it outlives its server's deaths.
#[derive(Debug)]
pub(super) struct Mind {
    pub part: AgentPart,
    pub fault: Option<Fault>,
    pub tasks: Tasks,
    /// How many times faster than life.
    speed: f64,
    seed: u64,
    clock: Arc<Clock>,
    /// Counts its lives; scripts of an earlier life stop.
    pub life: AtomicU32,
    courier: tokio::sync::mpsc::Sender<Errand>,
}

/// Work that an agent hands on to another one.
#[derive(Debug)]
pub(super) struct Errand {
    pub to: String,
    pub text: String,
    pub caller: String,
    /// The task that hands it on.
    pub parent: Option<TaskId>,
}

/// How frames become the bytes of a stream.
type Encoder = Box<dyn Fn(&Frame) -> Option<String> + Send + Sync>;

/// What a request is answered with.
pub(super) enum Answered {
    Document(String),
    Stream(tokio::sync::mpsc::Receiver<Frame>, Encoder),
}

impl Mind {
    pub fn new(
        part: AgentPart,
        fault: Option<Fault>,
        speed: f64,
        seed: u64,
        clock: Arc<Clock>,
        courier: tokio::sync::mpsc::Sender<Errand>,
    ) -> Self {
        let seed = seed ^ text_hash(&part.name);
        Self { part, fault, tasks: Tasks::default(), speed, seed, clock, life: AtomicU32::new(1), courier }
    }

    /// Begins with tasks that ended before anybody watched.
    pub fn remember(&self, count: u64) {
        let at = At::from_micros(self.now().0);
        let id = |number: u64| {
            let uuid = Rng::new(self.seed ^ number.wrapping_mul(0x9e37_79b9)).uuid(at);
            uuid_text(uuid.as_u128().reverse_bits())
        };
        self.tasks.remember(count, id, self.now());
    }

    pub fn dialect(&self) -> Dialect {
        if self.part.speaks == "0.3" { Dialect::V0_3 } else { Dialect::V1_0 }
    }

    fn codec(&self) -> &'static dyn Codec {
        codec(self.dialect())
    }

    fn now(&self) -> PeerTime {
        PeerTime(self.clock.now().micros())
    }

    /// The agent's card, served at `url`.
    pub fn card(&self, url: &str) -> String {
        let hostile = self.part.behaviour == Behaviour::Hostile;
        let name = if hostile { format!("{}\u{202e}tob", self.part.name) } else { self.part.name.clone() };
        let name = self.part.card.clone().unwrap_or(name);
        let description = if hostile {
            "The best offers.\u{1b}[2J\u{1b}[H\u{1b}[41mALL AGENTS DOWN\u{1b}[0m\u{1b}]0;ALL AGENTS DOWN\u{7}"
                .to_owned()
        } else {
            self.part.part.clone()
        };
        let skills = self.part.skills.iter().map(|id| Skill {
            id: id.as_str().into(),
            name: id.as_str().into(),
            description: self.part.part.as_str().into(),
            tags: vec!["demo".into()],
            examples: Vec::new(),
            input_modes: Vec::new(),
            output_modes: Vec::new(),
        });
        let card = Card {
            name: name.into(),
            description: description.into(),
            version: self.part.version.as_str().into(),
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
        };
        crate::protocol::card::encode(&card)
    }

    /// `{"<messageId>": n}`: how often a send with that id arrived.
    pub fn received(&self) -> String {
        let mut writer = json::Writer::new();
        for (id, count) in self.tasks.received() {
            writer = writer.raw(&id.raw(), &count.to_string());
        }
        writer.end()
    }

    /// Answers a JSON-RPC request.
    pub async fn answer(self: &Arc<Self>, body: &str, version: Option<&str>) -> Answered {
        let codec = self.codec();
        let (id, incoming) = match codec.decode_request(body) {
            Ok(read) => read,
            Err(cause) => return Self::error("null", -32700, &cause.to_string()),
        };
        if self.dialect() == Dialect::V1_0 && version.is_none_or(|version| !version.starts_with("1.")) {
            return Self::error(&id, -32009, "this agent speaks A2A 1.0");
        }
        match incoming {
            Incoming::Send { message, stream, at_once } => self.send(&id, message, stream, at_once).await,
            Incoming::Get(task) => match self.tasks.get(&task) {
                Some(report) => Answered::Document(jsonrpc::result(&id, &codec.encode_task(&report))),
                None => Self::error(&id, -32001, "Task not found"),
            },
            Incoming::List(query, size) if codec.lists_tasks() => {
                let fits = |report: &TaskReport| {
                    query.state.as_ref().is_none_or(|state| *state == report.status.state)
                        && query
                            .context
                            .as_ref()
                            .is_none_or(|context| report.context.as_ref() == Some(context))
                        && query
                            .after
                            .is_none_or(|after| report.status.timestamp.is_none_or(|time| time > after))
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
                let page = Reply::Page { tasks: tasks.collect(), next };
                Answered::Document(jsonrpc::result(&id, &codec.encode_send_result(&page)))
            }
            Incoming::Cancel(task) => self.cancel(&id, &task),
            Incoming::Subscribe(task) => match self.tasks.get(&task) {
                None => Self::error(&id, -32001, "Task not found"),
                Some(report) if report.status.state.is_terminal() => {
                    Self::error(&id, -32004, "the task has ended")
                }
                Some(_) => match self.tasks.watch(&task) {
                    Some((report, frames)) => self.stream(&id, report, frames),
                    None => Self::error(&id, -32001, "Task not found"),
                },
            },
            Incoming::List(..) | Incoming::Unknown(_) => Self::error(&id, -32601, "Method not found"),
        }
    }

    fn error(id: &str, code: i64, words: &str) -> Answered {
        let error = json::Writer::new().raw("code", &code.to_string()).text("message", words).end();
        Answered::Document(jsonrpc::failure(id, &error))
    }

    async fn send(self: &Arc<Self>, id: &str, message: Message, stream: bool, at_once: bool) -> Answered {
        let codec = self.codec();
        let times = self.tasks.count(&message.id);
        if self.part.behaviour == Behaviour::MessageOnly && message.task.is_none() {
            self.sleep(0.2).await;
            let words = self.result(&message);
            let said = self.says(&words, None, &message.id, 0);
            let reply = Reply::Message(Box::new(said.clone()));
            if !stream {
                return Answered::Document(jsonrpc::result(id, &codec.encode_send_result(&reply)));
            }
            let (sender, frames) = tokio::sync::mpsc::channel(2);
            let event = crate::domain::job::task::StreamEvent::Message(Box::new(said));
            let _room_for_two = sender.try_send(Frame::Event(Arc::new(event)));
            let _room_for_two = sender.try_send(Frame::End);
            return Answered::Stream(frames, self.encoder(id));
        }
        let task = match (&message.task, self.tasks.of_message(&message.id)) {
            (_, Some(known)) if times > 1 => known,
            (Some(task), _) => {
                let Some(report) = self.tasks.get(task) else {
                    return Self::error(id, -32001, "Task not found");
                };
                if report.status.state.is_terminal() {
                    return Self::error(id, -32004, "the task has ended");
                }
                if !self.tasks.follow_up(task, message.clone()) {
                    return Self::error(id, -32004, "nothing was asked");
                }
                self.tasks.status(task, TaskState::Working, None, self.now());
                task.clone()
            }
            (None, _) => {
                let number = self.tasks.made() + 1;
                let mut seed = Rng::new(self.seed ^ text_hash(&message.id.raw()) ^ number);
                let at = At::from_micros(self.now().0);
                let (new, context) = (seed.uuid(at), seed.uuid(at));
                // Random ends first, so that short forms of ids differ.
                let name = |id: uuid::Uuid| id.as_u128().reverse_bits();
                let (task, context) = (uuid_text(name(new)), uuid_text(name(context)));
                let (report, ears) = self.tasks.open(&message, task, context, self.now());
                let mind = self.clone();
                let life = self.life.load(Ordering::Relaxed);
                let script = Script { mind, task: report.id.clone(), message, ears, life, seed };
                tokio::spawn(script.run());
                report.id
            }
        };
        let Some((report, mut frames)) = self.tasks.watch(&task) else {
            return Self::error(id, -32001, "Task not found");
        };
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
        match self.tasks.get(&task) {
            Some(report) => {
                let reply = Reply::Task(Box::new(report));
                Answered::Document(jsonrpc::result(id, &codec.encode_send_result(&reply)))
            }
            None => Self::error(id, -32001, "Task not found"),
        }
    }

    fn stream(&self, id: &str, report: TaskReport, frames: tokio::sync::mpsc::Receiver<Frame>) -> Answered {
        let (sender, out) = tokio::sync::mpsc::channel(1024);
        let ended = report.status.state.is_terminal();
        let first = Frame::Event(Arc::new(crate::domain::job::task::StreamEvent::Task(Box::new(report))));
        let mut frames = frames;
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
        Answered::Stream(out, self.encoder(id))
    }

    /// How frames become the bytes of a stream.
    fn encoder(&self, id: &str) -> Encoder {
        let (id, codec) = (id.to_owned(), self.codec());
        Box::new(move |frame| match frame {
            Frame::Event(event) => {
                Some(format!("data: {}\n\n", jsonrpc::result(&id, &codec.encode_event(event))))
            }
            Frame::Cut(event) => {
                let whole = format!("data: {}\n\n", jsonrpc::result(&id, &codec.encode_event(event)));
                let mut half = whole.len() / 2;
                while !whole.is_char_boundary(half) {
                    half -= 1;
                }
                Some(whole[..half].to_owned())
            }
            Frame::Raw(bytes) => Some(bytes.to_string()),
            Frame::End => None,
        })
    }

    fn cancel(self: &Arc<Self>, id: &str, task: &TaskId) -> Answered {
        let Some(report) = self.tasks.get(task) else { return Self::error(id, -32001, "Task not found") };
        if report.status.state.is_terminal() {
            return Self::error(id, -32002, "Task cannot be canceled");
        }
        self.tasks.ask_to_cancel(task);
        if self.part.behaviour != Behaviour::IgnoresCancel {
            let said = self.says("canceled as you asked", Some(task), &MessageId::from("cancel"), 0);
            self.tasks.status(task, TaskState::Canceled, Some(said), self.now());
        }
        match self.tasks.get(task) {
            Some(report) => Answered::Document(jsonrpc::result(id, &self.codec().encode_task(&report))),
            None => Self::error(id, -32001, "Task not found"),
        }
    }

    async fn sleep(&self, seconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64((seconds / self.speed).max(0.0))).await;
    }

    fn says(&self, words: &str, task: Option<&TaskId>, about: &MessageId, number: u64) -> Message {
        let hash = text_hash(&format!("{}{}{number}{words}", self.part.name, &*about.raw()));
        Message {
            id: MessageId::from(format!("{hash:016x}").as_str()),
            role: Role::Agent,
            parts: vec![Part::text(words)],
            context: task.and_then(|task| self.tasks.get(task)).and_then(|report| report.context),
            task: task.cloned(),
            metadata: None,
            references: Vec::new(),
            hints: Hints::default(),
        }
    }

    fn result(&self, message: &Message) -> String {
        let text = message.text();
        let template = self.part.result.as_deref().unwrap_or("Done: {text}");
        template.replace("{text}", text.headline(120).raw())
    }

    /// Scripts of tasks that a death interrupted go on in the next life.
    pub fn resume_work(self: &Arc<Self>) {
        for task in self.tasks.unfinished() {
            let mind = self.clone();
            tokio::spawn(async move {
                mind.sleep(2.0).await;
                let said =
                    mind.says("went on after a restart, done", Some(&task), &MessageId::from("resume"), 0);
                mind.tasks.status(&task, TaskState::Completed, Some(said), mind.now());
            });
        }
    }
}

fn uuid_text(bits: u128) -> String {
    uuid::Uuid::from_u128(bits).to_string()
}

/// The work of one task.
struct Script {
    mind: Arc<Mind>,
    task: TaskId,
    message: Message,
    ears: Ears,
    life: u32,
    seed: Rng,
}

impl Script {
    async fn run(mut self) {
        match self.mind.fault {
            Some(Fault::Failing) => return self.fail().await,
            Some(Fault::Silent) => return self.silent().await,
            _ => {}
        }
        match self.mind.part.behaviour {
            Behaviour::Steady | Behaviour::Dies | Behaviour::Forgets | Behaviour::MessageOnly => {
                self.steady(3).await;
            }
            Behaviour::Slow => self.steady(8).await,
            Behaviour::DropsMidEvent => self.drops().await,
            Behaviour::Chatty => self.chatty().await,
            Behaviour::NeedsInput => self.asks().await,
            Behaviour::Failing if self.seed.below(2) == 0 => self.fail().await,
            Behaviour::Failing => self.steady(3).await,
            Behaviour::Silent => self.silent().await,
            Behaviour::IgnoresCancel => self.drives_on().await,
            Behaviour::Disagrees => self.disagrees().await,
            Behaviour::Huge => self.huge().await,
            Behaviour::Hostile => self.hostile().await,
        }
    }

    /// False once this life or this task is over.
    fn goes_on(&self) -> bool {
        self.mind.life.load(Ordering::Relaxed) == self.life
            && self.mind.tasks.get(&self.task).is_some_and(|report| !report.status.state.is_terminal())
    }

    /// Waits; false if the task is over afterwards.
    async fn wait(&mut self, seconds: f64) -> bool {
        let mind = self.mind.clone();
        let stubborn = mind.part.behaviour == Behaviour::IgnoresCancel;
        tokio::select! {
            () = mind.sleep(seconds) => {}
            Ok(_) = self.ears.cancelled.wait_for(|cancelled| *cancelled), if !stubborn => {}
        }
        self.goes_on()
    }

    fn tell(&self, state: TaskState, words: &str, number: u64) {
        let said = self.mind.says(words, Some(&self.task), &self.message.id, number);
        self.mind.tasks.status(&self.task, state, Some(said), self.mind.now());
    }

    /// How long this piece of work takes, in seconds.
    fn takes(&mut self) -> f64 {
        let [least, most] = self.mind.part.takes;
        #[expect(clippy::cast_precision_loss, reason = "a thousandth is precise enough")]
        let share = self.seed.below(1000) as f64 / 1000.0;
        least + (most - least) * share
    }

    fn saying(&self, number: u64) -> String {
        let says = &self.mind.part.says;
        if says.is_empty() {
            format!("step {number}")
        } else {
            says[usize::try_from(number).unwrap_or(0) % says.len()].clone()
        }
    }

    fn output(&self) -> String {
        self.mind.part.output.clone().unwrap_or_else(|| "result.md".into())
    }

    fn hand_on(&self) {
        for delegation in &self.mind.part.delegates {
            let turn = text_hash(&self.message.id.raw()) ^ text_hash(&delegation.to);
            if !turn.is_multiple_of(delegation.one_in) {
                continue;
            }
            let errand = Errand {
                to: delegation.to.clone(),
                text: delegation.text.replace("{text}", self.message.text().headline(80).raw()),
                caller: self.mind.part.name.clone(),
                parent: Some(self.task.clone()),
            };
            let (mind, after) = (self.mind.clone(), delegation.after);
            tokio::spawn(async move {
                mind.sleep(after).await;
                let _nobody_carries_any_more = mind.courier.send(errand).await;
            });
        }
    }

    async fn steady(&mut self, steps: u64) {
        let takes = self.takes();
        #[expect(clippy::cast_precision_loss, reason = "a handful of steps")]
        let step = takes / (steps + 2) as f64;
        if !self.wait(step.min(0.4)).await {
            return;
        }
        self.hand_on();
        for number in 0..steps {
            self.tell(TaskState::Working, &self.saying(number), number);
            if !self.wait(step).await {
                return;
            }
        }
        if !self.write(step).await {
            return;
        }
        self.tell(TaskState::Completed, "done", 1000);
    }

    /// The result, a line at a time.
    async fn write(&mut self, takes: f64) -> bool {
        let (name, result) = (self.output(), self.mind.result(&self.message));
        let lines: Vec<_> = result.split_inclusive('\n').map(ToOwned::to_owned).collect();
        let count = lines.len();
        for (index, line) in lines.into_iter().enumerate() {
            self.mind.tasks.chunk(&self.task, &name, &line, index > 0, index + 1 == count);
            #[expect(clippy::cast_precision_loss, reason = "a handful of lines")]
            if !self.wait(takes / count as f64).await {
                return false;
            }
        }
        true
    }

    async fn fail(&mut self) {
        if !self.wait(0.6).await {
            return;
        }
        self.tell(TaskState::Working, &self.saying(0), 0);
        let takes = self.takes();
        if self.wait(takes).await {
            let why = self.mind.part.result.clone().unwrap_or_else(|| "no such fare any more".into());
            self.tell(TaskState::Failed, &why, 1);
        }
    }

    async fn silent(&mut self) {
        if self.wait(0.5).await {
            self.tell(TaskState::Working, &self.saying(0), 0);
        }
        // Nothing more is ever said.
    }

    async fn drops(&mut self) {
        let takes = self.takes();
        if !self.wait(0.3).await {
            return;
        }
        for number in 0..3 {
            self.tell(TaskState::Working, &self.saying(number), number);
            if !self.wait(takes / 8.0).await {
                return;
            }
        }
        self.mind.tasks.cut(&self.task);
        if !self.wait(takes / 4.0).await {
            return;
        }
        self.tell(TaskState::Working, &self.saying(3), 3);
        if self.wait(takes / 4.0).await && self.write(takes / 8.0).await {
            self.tell(TaskState::Completed, "done", 1000);
        }
    }

    async fn chatty(&mut self) {
        if !self.wait(0.3).await {
            return;
        }
        self.tell(TaskState::Working, &self.saying(0), 0);
        let takes = self.takes();
        let result = self.mind.result(&self.message);
        let words: Vec<&str> = result.split_inclusive(' ').collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred words")]
        let total = (takes * 80.0) as usize;
        let name = self.output();
        for number in 0..total {
            let word = words[number % words.len()];
            self.mind.tasks.chunk(&self.task, &name, word, number > 0, number + 1 == total);
            if !self.wait(1.0 / 80.0).await {
                return;
            }
        }
        self.tell(TaskState::Completed, "done", 1000);
    }

    /// Asks a person if more than 300 EUR are at stake.
    async fn asks(&mut self) {
        let amount = amount_in(&self.message);
        if amount <= 300 {
            return self.steady(2).await;
        }
        if !self.wait(0.4).await {
            return;
        }
        self.tell(TaskState::Working, &self.saying(0), 0);
        if !self.wait(0.8).await {
            return;
        }
        self.tell(TaskState::Working, &self.saying(1), 1);
        if !self.wait(0.8).await {
            return;
        }
        let question =
            format!("Refund {amount}.00 EUR? It is over the limit of 300 that I may refund by myself.");
        let mut said = self.mind.says(&question, Some(&self.task), &self.message.id, 2);
        let choices = r#"{"decision":["approve","decline"]}"#;
        said.parts.push(Part { content: Content::Data(Json::new(choices)), ..Part::text("") });
        self.mind.tasks.status(&self.task, TaskState::InputRequired, Some(said), self.mind.now());
        let answer = tokio::select! {
            answer = self.ears.inbox.recv() => answer,
            _ = self.ears.cancelled.wait_for(|cancelled| *cancelled) => None,
        };
        let Some(answer) = answer.filter(|_| self.goes_on()) else { return };
        let words = answer.text();
        let declined = ["decline", "no"].iter().any(|no| words.contains_ignore_case(no));
        if !self.wait(0.8).await {
            return;
        }
        if declined {
            self.tell(TaskState::Rejected, "declined, nothing was refunded", 3);
            return;
        }
        self.tell(TaskState::Working, "paying it back", 3);
        if self.wait(1.5).await && self.write(0.5).await {
            self.tell(TaskState::Completed, "refunded", 4);
        }
    }

    /// Says yes to a cancel and drives on.
    async fn drives_on(&mut self) {
        if !self.wait(0.4).await {
            return;
        }
        let takes = self.takes();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few dozen steps")]
        let steps = (takes / 0.7) as u64;
        for number in 0..steps {
            self.tell(TaskState::Working, &self.saying(number), number);
            if !self.wait(0.7).await {
                return;
            }
        }
        self.tell(TaskState::Completed, "arrived", 1000);
    }

    async fn disagrees(&mut self) {
        // Its store never learns of the end.
        self.mind.tasks.claim(&self.task, TaskState::Working);
        self.steady(2).await;
    }

    async fn huge(&mut self) {
        if !self.wait(0.4).await {
            return;
        }
        self.tell(TaskState::Working, &self.saying(0), 0);
        let name = self.output();
        // 40 MB in pieces of 256 KiB.
        let line = "| platform | stairs | lift | café | exit to the lake | \n";
        let piece = line.repeat(256 * 1024 / line.len());
        let pieces = 40 * 1024 * 1024 / piece.len();
        for number in 0..pieces {
            self.mind.tasks.chunk(&self.task, &name, &piece, number > 0, number + 1 == pieces);
            if !self.wait(0.05).await {
                return;
            }
        }
        self.tell(TaskState::Completed, "done", 1000);
    }

    async fn hostile(&mut self) {
        if !self.wait(0.4).await {
            return;
        }
        for (number, words) in HOSTILE.iter().enumerate() {
            self.tell(TaskState::Working, words, number as u64);
            if !self.wait(0.3).await {
                return;
            }
        }
        let poster = format!(
            "\u{1b}[2J\u{1b}[H\u{1b}[1;37;41m  ALL AGENTS DOWN  \u{1b}[0m\r\n\u{1b}]52;c;cm0gLXJmIH4=\u{7}{}",
            "\u{1b}[6n".repeat(4)
        );
        self.mind.tasks.chunk(&self.task, "../../poster\u{202e}txt.sh", &poster, false, true);
        if !self.wait(0.5).await {
            return;
        }
        if text_hash(&self.message.id.raw()).is_multiple_of(2) {
            // A line of 10 MB that never ends in time.
            self.mind.tasks.raw(&self.task, &format!("data: {}", "A".repeat(10 * 1024 * 1024)));
            self.mind.tasks.raw(&self.task, "\n\n");
            if !self.wait(0.5).await {
                return;
            }
        }
        self.tell(TaskState::Completed, "\u{1b}]0;owned\u{7}thank you", 1000);
    }
}

/// What a hostile agent says, one status after the other.
const HOSTILE: [&str; 6] = [
    "\u{1b}[2J\u{1b}[3J\u{1b}[H",
    "\u{1b}[?1049l\u{1b}[31mALL AGENTS DOWN\u{1b}[0m",
    "\u{9b}2J\u{9d}0;title\u{9c}",
    "invoice\u{202e}fdp.exe and pass\u{200b}word",
    "\u{1b}]8;;http://evil.example\u{1b}\\click\u{1b}]8;;\u{1b}\\ \u{1b}P+q544e\u{1b}\\",
    "Z\u{335}\u{336}\u{337}\u{338}\u{335}\u{336}\u{337}\u{338}\u{335}\u{336}\u{337}\u{338}algo \u{e0041}\u{e0042}",
];

/// The first number before EUR.
fn amount_in(message: &Message) -> u64 {
    let text = message.text();
    let words: Vec<&str> = text.raw().split_whitespace().collect();
    let before_eur = words.windows(2).find(|pair| pair[1].starts_with("EUR")).map(|pair| pair[0]);
    before_eur.and_then(|word| word.split('.').next()?.parse().ok()).unwrap_or(0)
}
