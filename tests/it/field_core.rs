//! The core alone, on a clock of its own: what reads and streams tell of one task in an order of their own.

use std::sync::Arc;
use std::time::Duration;

use quarterdeck::config::Agent;
use quarterdeck::domain::agent::Source;
use quarterdeck::domain::agent::card::{Card, FetchedCard, Offer};
use quarterdeck::domain::call::{
    Answered, CallKind, Outcome, Page, Probed, SendOutcome, StreamOutcome, SubscribeOutcome,
};
use quarterdeck::domain::cause::{Cause, ErrorName, Failure, RpcError, Sent};
use quarterdeck::domain::core::{Core, Out};
use quarterdeck::domain::effect::Order;
use quarterdeck::domain::fact::JournalEntry;
use quarterdeck::domain::id::{CallId, MessageId};
use quarterdeck::domain::input::{Input, Rules, ServerTraits};
use quarterdeck::domain::intent::{Intent, Send};
use quarterdeck::domain::job::detail::Detail;
use quarterdeck::domain::job::message::{Artifact, Hints, Message, Part, Role};
use quarterdeck::domain::job::task::TaskState::{Completed, Submitted, Working};
use quarterdeck::domain::job::task::{Status, StreamEvent, TaskReport, TaskState};
use quarterdeck::domain::state::State;
use quarterdeck::domain::time::At;

const URL: &str = "http://h:1/";
const TOOK: Duration = Duration::from_millis(3);

fn sending(told: StreamOutcome) -> Outcome {
    Outcome::Send(SendOutcome::Stream(told))
}

fn subscribed(told: StreamOutcome) -> Outcome {
    Outcome::Subscribe(SubscribeOutcome::Stream(told))
}

/// One agent, whose answers to reads are what the test says, and a clock that goes when the test says so.
struct Rig {
    core: Core,
    now: At,
    /// What `GetTask` and `ListTasks` tell; none: the task is unknown.
    stored: Option<TaskReport>,
    /// The stream that was opened last, and how it tells.
    stream: Option<(CallId, fn(StreamOutcome) -> Outcome)>,
    /// The id of our message, once it was sent.
    sent: Option<MessageId>,
    facts: Vec<JournalEntry>,
}

impl Rig {
    fn new() -> Self {
        let mut rig = Self {
            core: Core::new(State::default(), Rules::default(), 7),
            now: At::from_micros(1_795_000_000_000_000),
            stored: None,
            stream: None,
            sent: None,
            facts: Vec::new(),
        };
        rig.start(None);
        rig
    }

    fn start(&mut self, watched_until: Option<At>) {
        let mut out = Out::default();
        self.core.resume(self.now, watched_until, &mut out);
        self.facts.extend(out.facts);
        self.feed(Input::Configured(vec![Agent::at(URL).spec(Source::Config)]));
        self.pass(1.0);
    }

    /// The process ends, and another one goes on with what was kept.
    fn restart(&mut self) {
        self.core = Core::new(self.core.state().clone(), Rules::default(), 8);
        self.stream = None;
        self.start(Some(self.now));
    }

    fn feed(&mut self, input: Input) {
        let mut out = Out::default();
        self.core.step(self.now, input, &mut out);
        self.facts.extend(out.facts);
        for effect in out.effects {
            for outcome in self.answer(&effect.order, effect.call) {
                self.feed(Input::Outcome { call: effect.call, outcome });
            }
        }
    }

    fn answer(&mut self, order: &Order, call: CallId) -> Vec<Outcome> {
        let server = ServerTraits::default();
        let unknown = |kind: CallKind| {
            let error = RpcError { name: ErrorName::TaskNotFound, code: None, message: "".into() };
            vec![kind.failed(Failure { sent: Sent::Maybe, cause: Cause::Rpc(error) })]
        };
        match order {
            Order::Probe { url, .. } => {
                let (binding, version) = ("JSONRPC".into(), Some("1.0".into()));
                let offer = Offer { url: url.as_ref().into(), binding, version, tenant: None };
                let card = Card { name: "toy".into(), streaming: true, offers: vec![offer], ..Card::empty() };
                let card = Some(FetchedCard { card: Arc::new(card), url: url.clone(), etag: None });
                vec![Outcome::Probe(Ok(Answered { value: Probed { card, server }, took: TOOK }))]
            }
            Order::Send { message, .. } => {
                self.sent = Some(message.id.clone());
                self.stream = Some((call, sending));
                vec![sending(StreamOutcome::Opened { took: TOOK, server })]
            }
            Order::Subscribe { .. } => {
                self.stream = Some((call, subscribed));
                vec![subscribed(StreamOutcome::Opened { took: TOOK, server })]
            }
            Order::Get { .. } => match self.stored.clone() {
                Some(report) => vec![Outcome::Get(Ok(Answered { value: Box::new(report), took: TOOK }))],
                None => unknown(CallKind::Get),
            },
            Order::List { query, .. } => {
                let fits = |report: &TaskReport| {
                    query.state.as_ref().is_none_or(|state| report.status.state == *state)
                };
                let tasks: Vec<_> = self.stored.clone().into_iter().filter(fits).collect();
                let value = Page { tasks, ..Page::default() };
                vec![Outcome::List(Ok(Answered { value, took: TOOK }))]
            }
            Order::Check { .. } => unknown(CallKind::Check),
            Order::Cancel { .. } => unknown(CallKind::Cancel),
            Order::Close { .. } | Order::Notify(_) => vec![],
        }
    }

    fn pass(&mut self, seconds: f64) {
        for _ in 0..(seconds * 10.0) as u32 {
            self.now = self.now + Duration::from_millis(100);
            if self.core.deadline().is_some_and(|due| due <= self.now) {
                self.feed(Input::Deadline);
            }
        }
    }

    fn send(&mut self) {
        let agent = self.core.state().agents().iter().next().unwrap().1.id;
        let (parts, context, task, metadata) = (vec![Part::text("work")], None, None, None);
        let send = Send { agent, parts, context, task, metadata, skill: None, caller: None, parent: None };
        self.feed(Input::Intent { ticket: 0, intent: Intent::Send(Box::new(send)), by: None });
    }

    /// What the agent's store says from now on. It knows our message.
    fn store(&mut self, state: TaskState, texts: &[&str]) {
        let ours = Message { id: self.sent.clone().unwrap(), role: Role::User, ..words("", "work") };
        let artifacts = texts.iter().map(|text| artifact(text)).collect();
        self.stored = Some(TaskReport { history: vec![ours], artifacts: Some(artifacts), ..report(state) });
    }

    fn tells(&mut self, event: StreamEvent) {
        let (call, stream) = self.stream.unwrap();
        self.feed(Input::Outcome { call, outcome: stream(StreamOutcome::Events(vec![event])) });
    }

    fn tells_task(&mut self, state: TaskState) {
        self.tells(StreamEvent::Task(Box::new(report(state))));
    }

    fn tells_state(&mut self, state: TaskState) {
        self.tells_words(state, None);
    }

    fn tells_words(&mut self, state: TaskState, message: Option<Message>) {
        let status = Status { state, message, timestamp: None };
        self.tells(StreamEvent::Status { task: None, context: None, status, metadata: None, raw: None });
    }

    fn tells_output(&mut self, text: &str, append: bool) {
        let artifact = artifact(text);
        self.tells(StreamEvent::Artifact { task: None, context: None, artifact, append, last: false });
    }

    fn ends(&mut self) {
        let (call, stream) = self.stream.take().unwrap();
        self.feed(Input::Outcome { call, outcome: stream(StreamOutcome::Ended(Ok(()))) });
    }

    /// State, doubt, words and outputs of the only task, and `!` for each violation.
    fn told(&self) -> String {
        let state = self.core.state();
        let mut told = Vec::new();
        for (_, attempt) in state.attempts().iter() {
            let Some(task) = &attempt.task else { continue };
            let mut words = task.state.word();
            if !task.settled {
                words.push_str(", not settled");
            }
            if let Some(verdict) = task.verdict {
                words.push_str(&format!(", {}", verdict.as_str()));
            }
            told.push(words);
        }
        let mut detail = Detail::default();
        self.facts.iter().for_each(|fact| detail.apply(fact));
        let text = |parts: &[Part]| -> String {
            parts.iter().filter_map(Part::as_text).map(|text| text.raw().to_owned()).collect()
        };
        let messages = detail.messages.iter().filter(|said| said.message.role == Role::Agent);
        let content: Vec<String> = messages
            .map(|said| text(&said.message.parts))
            .chain(detail.outputs.iter().map(|output| format!("[{}]", text(&output.parts))))
            .collect();
        let violations = state.agents().iter().next().unwrap().1.violations;
        format!("{}: {}{}", told.join(" + "), content.join(" | "), "!".repeat(violations as usize))
    }
}

fn report(state: TaskState) -> TaskReport {
    TaskReport {
        id: "t".into(),
        context: None,
        status: Status { state, message: None, timestamp: None },
        artifacts: None,
        history: Vec::new(),
        metadata: None,
        hints: Hints::default(),
        raw: None,
    }
}

fn artifact(text: &str) -> Artifact {
    Artifact { id: "o".into(), name: None, description: None, parts: vec![Part::text(text)], metadata: None }
}

fn words(id: &str, text: &str) -> Message {
    Message {
        id: id.into(),
        role: Role::Agent,
        parts: vec![Part::text(text)],
        context: None,
        task: None,
        metadata: None,
        references: Vec::new(),
        hints: Hints::default(),
    }
}

/// What an agent tells, and what is made of it.
struct Row {
    name: &'static str,
    tells: fn(&mut Rig),
    told: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        name: "a stream that a proxy holds back contradicts no read that overtook it",
        tells: |rig| {
            rig.send();
            rig.store(Completed, &["all"]);
            rig.pass(8.0);
            for state in [Submitted, Working, Completed] {
                rig.tells_task(state);
            }
            rig.ends();
            rig.pass(5.0);
            rig.restart();
            rig.pass(10.0);
        },
        told: "completed: [all]",
    },
    Row {
        name: "one stream that goes on after the end that it told is a conflict",
        tells: |rig| {
            rig.send();
            rig.tells_task(Working);
            rig.store(Working, &[]);
            rig.tells_state(Completed);
            rig.tells_state(Working);
            rig.ends();
            rig.pass(5.0);
        },
        told: "completed, conflict: !",
    },
    Row {
        name: "a store that never tells the end is a conflict",
        tells: |rig| {
            rig.send();
            rig.tells_task(Working);
            rig.store(Working, &[]);
            rig.tells_state(Completed);
            rig.ends();
            rig.pass(5.0);
        },
        told: "completed, conflict: ",
    },
    Row {
        name: "a store that lags behind its stream for a moment is none",
        tells: |rig| {
            rig.send();
            rig.tells_task(Working);
            rig.store(Working, &[]);
            rig.tells_state(Completed);
            rig.ends();
            rig.store(Completed, &[]);
            rig.pass(5.0);
        },
        told: "completed: ",
    },
    Row {
        name: "a conflict ends when the store says the same at last",
        tells: |rig| {
            rig.send();
            rig.tells_task(Working);
            rig.store(Working, &[]);
            rig.tells_state(Completed);
            rig.ends();
            rig.pass(5.0);
            rig.store(Completed, &[]);
            rig.pass(60.0);
        },
        told: "completed: ",
    },
    Row {
        name: "a read that is behind a stream takes nothing away",
        tells: |rig| {
            rig.send();
            rig.tells_task(Working);
            rig.tells_output("Hello", false);
            rig.tells_output(" world", true);
            rig.store(Working, &["Hello"]);
            rig.pass(40.0);
            rig.tells_output("!", true);
            rig.store(Completed, &["Hello world!"]);
            rig.tells_state(Completed);
            rig.ends();
            rig.pass(5.0);
        },
        told: "completed: [Hello world!]",
    },
    Row {
        name: "what comes behind the end is taken in until the stream ends",
        tells: |rig| {
            rig.send();
            rig.tells_task(Working);
            rig.store(Completed, &[]);
            rig.tells_state(Completed);
            rig.pass(0.5);
            let artifacts = Some(vec![artifact("late")]);
            let last = TaskReport { history: vec![words("m", "bye")], artifacts, ..report(Completed) };
            rig.tells(StreamEvent::Task(Box::new(last)));
            rig.tells_output(" words", true);
            rig.pass(0.2);
            rig.ends();
            rig.pass(1.0);
        },
        told: "completed: bye | [late words]",
    },
    Row {
        name: "a stream that stays open behind the end is not waited for without end",
        tells: |rig| {
            rig.send();
            rig.tells_task(Working);
            rig.store(Completed, &["all"]);
            rig.tells_state(Completed);
            rig.pass(2.5);
        },
        told: "completed: [all]",
    },
    Row {
        name: "parts of one output in a snapshot are joined, an update without append replaces",
        tells: |rig| {
            rig.send();
            rig.tells_task(Working);
            rig.tells_output("Hello", false);
            rig.tells_output("Hi", false);
            rig.store(Completed, &["Hi", " there"]);
            rig.tells_state(Completed);
            rig.ends();
            rig.pass(5.0);
        },
        told: "completed: [Hi there]",
    },
    Row {
        name: "other words under one id are other words, and more words go on",
        tells: |rig| {
            rig.send();
            rig.tells_task(Working);
            rig.store(Completed, &[]);
            for text in ["Hel", "lo ", "lo there", "lo there"] {
                rig.tells_words(Working, Some(words("m", text)));
                rig.tells_task(Working);
            }
            rig.tells_state(Completed);
            rig.ends();
            rig.pass(5.0);
        },
        told: "completed: Hel | lo there",
    },
    Row {
        name: "words without ids are told apart by content and place",
        tells: |rig| {
            rig.send();
            rig.tells_task(Working);
            for text in ["the ", "end ", "the ", "the "] {
                rig.tells_words(Working, Some(words("", text)));
            }
            rig.store(Completed, &[]);
            if let Some(stored) = &mut rig.stored {
                stored.history.extend(["the ", "end ", "the ", "new"].map(|text| words("", text)));
                stored.status.message = Some(words("", "new"));
            }
            rig.tells_state(Completed);
            rig.ends();
            rig.pass(60.0);
        },
        told: "completed: the  | end  | the  | new",
    },
];

#[test]
fn reads_and_streams_have_no_common_order() {
    let mut wrong = Vec::new();
    for row in ROWS {
        let mut rig = Rig::new();
        (row.tells)(&mut rig);
        let told = rig.told();
        if told != row.told {
            wrong.push(format!("{}:\n  {told:?} is not\n  {:?}", row.name, row.told));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
