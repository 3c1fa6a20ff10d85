//! Tests of the core alone, with a controlled clock: reads and streams report one task in any order.

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

fn sending(outcome: StreamOutcome) -> Outcome {
    Outcome::Send(SendOutcome::Stream(outcome))
}

fn subscribed(outcome: StreamOutcome) -> Outcome {
    Outcome::Subscribe(SubscribeOutcome::Stream(outcome))
}

/// A core with one agent, whose answers and clock the test controls.
struct Rig {
    core: Core,
    now: At,
    /// What `GetTask` and `ListTasks` return; `None` if the task is unknown.
    stored: Option<TaskReport>,
    /// The stream that was opened last, and how its outcomes are wrapped.
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

    /// Ends the process and starts another one from the stored state.
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

    /// Sets what the agent's store reports from now on. Its history contains our message.
    fn store(&mut self, state: TaskState, texts: &[&str]) {
        let ours = Message { id: self.sent.clone().unwrap(), role: Role::User, ..message("", "work") };
        let artifacts = texts.iter().map(|text| artifact(text)).collect();
        self.stored = Some(TaskReport { history: vec![ours], artifacts: Some(artifacts), ..report(state) });
    }

    fn emit(&mut self, event: StreamEvent) {
        let (call, stream) = self.stream.unwrap();
        self.feed(Input::Outcome { call, outcome: stream(StreamOutcome::Events(vec![event])) });
    }

    fn emit_task(&mut self, state: TaskState) {
        self.emit(StreamEvent::Task(Box::new(report(state))));
    }

    fn emit_state(&mut self, state: TaskState) {
        self.emit_status(state, None);
    }

    fn emit_status(&mut self, state: TaskState, message: Option<Message>) {
        let status = Status { state, message, timestamp: None };
        self.emit(StreamEvent::Status { task: None, context: None, status, metadata: None, raw: None });
    }

    fn emit_output(&mut self, text: &str, append: bool) {
        let artifact = artifact(text);
        self.emit(StreamEvent::Artifact { task: None, context: None, artifact, append, last: false });
    }

    fn end_stream(&mut self) {
        let (call, stream) = self.stream.take().unwrap();
        self.feed(Input::Outcome { call, outcome: stream(StreamOutcome::Ended(Ok(()))) });
    }

    /// State, doubt, messages and outputs of the only task, and `!` for each violation.
    fn summary(&self) -> String {
        let state = self.core.state();
        let mut tasks = Vec::new();
        for (_, attempt) in state.attempts().iter() {
            let Some(task) = &attempt.task else { continue };
            let mut task_text = task.state.word();
            if !task.settled {
                task_text.push_str(", not settled");
            }
            if let Some(verdict) = task.verdict {
                task_text.push_str(&format!(", {}", verdict.as_str()));
            }
            tasks.push(task_text);
        }
        let mut detail = Detail::default();
        self.facts.iter().for_each(|fact| detail.apply(fact));
        let text = |parts: &[Part]| -> String {
            parts.iter().filter_map(Part::as_text).map(|text| text.raw().to_owned()).collect()
        };
        let messages = detail.messages.iter().filter(|entry| entry.message.role == Role::Agent);
        let content: Vec<String> = messages
            .map(|entry| text(&entry.message.parts))
            .chain(detail.outputs.iter().map(|output| format!("[{}]", text(&output.parts))))
            .collect();
        let violations = state.agents().iter().next().unwrap().1.violations;
        format!("{}: {}{}", tasks.join(" + "), content.join(" | "), "!".repeat(violations as usize))
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

fn message(id: &str, text: &str) -> Message {
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

/// What an agent reports, and the summary that is expected.
struct Row {
    name: &'static str,
    run: fn(&mut Rig),
    expected: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        name: "a stream delayed by a proxy does not contradict a read that overtook it",
        run: |rig| {
            rig.send();
            rig.store(Completed, &["all"]);
            rig.pass(8.0);
            for state in [Submitted, Working, Completed] {
                rig.emit_task(state);
            }
            rig.end_stream();
            rig.pass(5.0);
            rig.restart();
            rig.pass(10.0);
        },
        expected: "completed: [all]",
    },
    Row {
        name: "a stream that goes on after it reported the end is a conflict",
        run: |rig| {
            rig.send();
            rig.emit_task(Working);
            rig.store(Working, &[]);
            rig.emit_state(Completed);
            rig.emit_state(Working);
            rig.end_stream();
            rig.pass(5.0);
        },
        expected: "completed, conflict: !",
    },
    Row {
        name: "a store that never reports the end is a conflict",
        run: |rig| {
            rig.send();
            rig.emit_task(Working);
            rig.store(Working, &[]);
            rig.emit_state(Completed);
            rig.end_stream();
            rig.pass(5.0);
        },
        expected: "completed, conflict: ",
    },
    Row {
        name: "a store that lags briefly behind its stream is no conflict",
        run: |rig| {
            rig.send();
            rig.emit_task(Working);
            rig.store(Working, &[]);
            rig.emit_state(Completed);
            rig.end_stream();
            rig.store(Completed, &[]);
            rig.pass(5.0);
        },
        expected: "completed: ",
    },
    Row {
        name: "a conflict ends when the store finally agrees",
        run: |rig| {
            rig.send();
            rig.emit_task(Working);
            rig.store(Working, &[]);
            rig.emit_state(Completed);
            rig.end_stream();
            rig.pass(5.0);
            rig.store(Completed, &[]);
            rig.pass(60.0);
        },
        expected: "completed: ",
    },
    Row {
        name: "a read that lags behind a stream removes nothing",
        run: |rig| {
            rig.send();
            rig.emit_task(Working);
            rig.emit_output("Hello", false);
            rig.emit_output(" world", true);
            rig.store(Working, &["Hello"]);
            rig.pass(40.0);
            rig.emit_output("!", true);
            rig.store(Completed, &["Hello world!"]);
            rig.emit_state(Completed);
            rig.end_stream();
            rig.pass(5.0);
        },
        expected: "completed: [Hello world!]",
    },
    Row {
        name: "what comes after the end is accepted until the stream ends",
        run: |rig| {
            rig.send();
            rig.emit_task(Working);
            rig.store(Completed, &[]);
            rig.emit_state(Completed);
            rig.pass(0.5);
            let artifacts = Some(vec![artifact("late")]);
            let last = TaskReport { history: vec![message("m", "bye")], artifacts, ..report(Completed) };
            rig.emit(StreamEvent::Task(Box::new(last)));
            rig.emit_output(" words", true);
            rig.pass(0.2);
            rig.end_stream();
            rig.pass(1.0);
        },
        expected: "completed: bye | [late words]",
    },
    Row {
        name: "the wait for a stream that stays open after the end is bounded",
        run: |rig| {
            rig.send();
            rig.emit_task(Working);
            rig.store(Completed, &["all"]);
            rig.emit_state(Completed);
            rig.pass(2.5);
        },
        expected: "completed: [all]",
    },
    Row {
        name: "parts of one output in a snapshot are joined, and an update without append replaces",
        run: |rig| {
            rig.send();
            rig.emit_task(Working);
            rig.emit_output("Hello", false);
            rig.emit_output("Hi", false);
            rig.store(Completed, &["Hi", " there"]);
            rig.emit_state(Completed);
            rig.end_stream();
            rig.pass(5.0);
        },
        expected: "completed: [Hi there]",
    },
    Row {
        name: "another text with the same id is another message, and a longer text continues it",
        run: |rig| {
            rig.send();
            rig.emit_task(Working);
            rig.store(Completed, &[]);
            for text in ["Hel", "lo ", "lo there", "lo there"] {
                rig.emit_status(Working, Some(message("m", text)));
                rig.emit_task(Working);
            }
            rig.emit_state(Completed);
            rig.end_stream();
            rig.pass(5.0);
        },
        expected: "completed: Hel | lo there",
    },
    Row {
        name: "messages without ids are distinguished by content and place",
        run: |rig| {
            rig.send();
            rig.emit_task(Working);
            for text in ["the ", "end ", "the ", "the "] {
                rig.emit_status(Working, Some(message("", text)));
            }
            rig.store(Completed, &[]);
            if let Some(stored) = &mut rig.stored {
                stored.history.extend(["the ", "end ", "the ", "new"].map(|text| message("", text)));
                stored.status.message = Some(message("", "new"));
            }
            rig.emit_state(Completed);
            rig.end_stream();
            rig.pass(60.0);
        },
        expected: "completed: the  | end  | the  | new",
    },
];

#[test]
fn reads_and_streams_have_no_common_order() {
    let mut wrong = Vec::new();
    for row in ROWS {
        let mut rig = Rig::new();
        (row.run)(&mut rig);
        let summary = rig.summary();
        if summary != row.expected {
            wrong.push(format!("{}:\n  {summary:?} is not\n  {:?}", row.name, row.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
