//! Tests of the core alone, with a controlled clock: reads and streams report one task in any order.

use quarterdeck::domain::call::Outcome;
use quarterdeck::domain::effect::{Effect, Order};
use quarterdeck::domain::id::MessageId;
use quarterdeck::domain::input::Rules;
use quarterdeck::domain::job::detail::Detail;
use quarterdeck::domain::job::message::{Artifact, Message, Part, Role};
use quarterdeck::domain::job::task::TaskState::{Completed, Submitted, Working};
use quarterdeck::domain::job::task::{Status, StreamEvent, TaskReport, TaskState};

use crate::scripted::{Agents, OpenStream, Scripted, got, page};

const URL: &str = "http://h:1/";

/// One agent, whose answers to reads the test controls.
#[derive(Default)]
struct Toy {
    /// What `GetTask` and `ListTasks` return; `None` if the task is unknown.
    stored: Option<TaskReport>,
    /// The stream that was opened last.
    stream: Option<OpenStream>,
    /// The id of our message, once it was sent.
    sent: Option<MessageId>,
}

impl Agents for Toy {
    fn answer(&mut self, effect: &Effect) -> Option<Vec<Outcome>> {
        if let Some(stream) = OpenStream::of(effect) {
            self.stream = Some(stream);
            if let Order::Send { message, .. } = &effect.order {
                self.sent = Some(message.id.clone());
            }
            return Some(vec![stream.opened()]);
        }
        match &effect.order {
            Order::Get { .. } => Some(vec![got(self.stored.clone()?)]),
            Order::List { query, .. } => {
                let fits = |report: &TaskReport| {
                    query.state.as_ref().is_none_or(|state| report.status.state == *state)
                };
                Some(vec![page(self.stored.clone().into_iter().filter(fits).collect(), None)])
            }
            _ => None,
        }
    }
}

type Rig = Scripted<Toy>;

impl Rig {
    fn start() -> Self {
        let mut rig = Self::with(Rules::default(), Toy::default());
        rig.configure(&[URL]);
        rig.pass_seconds(1);
        rig
    }

    /// Ends the process and starts another one from the stored state.
    fn start_again(&mut self) {
        self.agents.stream = None;
        self.replace(self.core.state().clone(), Rules::default());
        self.configure(&[URL]);
        self.pass_seconds(1);
    }

    /// Sets what the agent's store reports from now on. Its history contains our message.
    fn store(&mut self, state: TaskState, texts: &[&str]) {
        let ours = Message { id: self.agents.sent.clone().unwrap(), role: Role::User, ..message("", "work") };
        let artifacts = texts.iter().map(|text| artifact(text)).collect();
        self.agents.stored =
            Some(TaskReport { history: vec![ours], artifacts: Some(artifacts), ..report(state) });
    }

    fn emit(&mut self, event: StreamEvent) {
        self.emit_on(self.agents.stream.unwrap(), event);
    }

    fn emit_task(&mut self, state: TaskState) {
        self.emit(StreamEvent::Task(Box::new(report(state))));
    }

    fn emit_state(&mut self, state: TaskState) {
        self.emit_status(state, None);
    }

    fn emit_status(&mut self, state: TaskState, message: Option<Message>) {
        let status = Status { state, message, timestamp: None };
        self.emit(StreamEvent::status(None, None, status));
    }

    fn emit_output(&mut self, text: &str, append: bool) {
        let artifact = artifact(text);
        self.emit(StreamEvent::Artifact { task: None, context: None, artifact, append, last: false });
    }

    fn end_stream(&mut self) {
        let stream = self.agents.stream.take().unwrap();
        self.end(stream);
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
    TaskReport::new("t", Status::new(state))
}

fn artifact(text: &str) -> Artifact {
    Artifact::new("o", vec![Part::text(text)])
}

fn message(id: &str, text: &str) -> Message {
    Message::new(id, Role::Agent, vec![Part::text(text)])
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
            rig.send(None);
            rig.store(Completed, &["all"]);
            rig.pass_seconds(8);
            for state in [Submitted, Working, Completed] {
                rig.emit_task(state);
            }
            rig.end_stream();
            rig.pass_seconds(5);
            rig.start_again();
            rig.pass_seconds(10);
        },
        expected: "completed: [all]",
    },
    Row {
        name: "a stream that goes on after it reported the end is a conflict",
        run: |rig| {
            rig.send(None);
            rig.emit_task(Working);
            rig.store(Working, &[]);
            rig.emit_state(Completed);
            rig.emit_state(Working);
            rig.end_stream();
            rig.pass_seconds(5);
        },
        expected: "completed, conflict: !",
    },
    Row {
        name: "a store that never reports the end is a conflict",
        run: |rig| {
            rig.send(None);
            rig.emit_task(Working);
            rig.store(Working, &[]);
            rig.emit_state(Completed);
            rig.end_stream();
            rig.pass_seconds(5);
        },
        expected: "completed, conflict: ",
    },
    Row {
        name: "a store that lags briefly behind its stream is no conflict",
        run: |rig| {
            rig.send(None);
            rig.emit_task(Working);
            rig.store(Working, &[]);
            rig.emit_state(Completed);
            rig.end_stream();
            rig.store(Completed, &[]);
            rig.pass_seconds(5);
        },
        expected: "completed: ",
    },
    Row {
        name: "a conflict ends when the store finally agrees",
        run: |rig| {
            rig.send(None);
            rig.emit_task(Working);
            rig.store(Working, &[]);
            rig.emit_state(Completed);
            rig.end_stream();
            rig.pass_seconds(5);
            rig.store(Completed, &[]);
            rig.pass_seconds(60);
        },
        expected: "completed: ",
    },
    Row {
        name: "a read that lags behind a stream removes nothing",
        run: |rig| {
            rig.send(None);
            rig.emit_task(Working);
            rig.emit_output("Hello", false);
            rig.emit_output(" world", true);
            rig.store(Working, &["Hello"]);
            rig.pass_seconds(40);
            rig.emit_output("!", true);
            rig.store(Completed, &["Hello world!"]);
            rig.emit_state(Completed);
            rig.end_stream();
            rig.pass_seconds(5);
        },
        expected: "completed: [Hello world!]",
    },
    Row {
        name: "what comes after the end is accepted until the stream ends",
        run: |rig| {
            rig.send(None);
            rig.emit_task(Working);
            rig.store(Completed, &[]);
            rig.emit_state(Completed);
            rig.pass_seconds(0.5);
            let artifacts = Some(vec![artifact("late")]);
            let last = TaskReport { history: vec![message("m", "bye")], artifacts, ..report(Completed) };
            rig.emit(StreamEvent::Task(Box::new(last)));
            rig.emit_output(" words", true);
            rig.pass_seconds(0.2);
            rig.end_stream();
            rig.pass_seconds(1);
        },
        expected: "completed: bye | [late words]",
    },
    Row {
        name: "the wait for a stream that stays open after the end is bounded",
        run: |rig| {
            rig.send(None);
            rig.emit_task(Working);
            rig.store(Completed, &["all"]);
            rig.emit_state(Completed);
            rig.pass_seconds(2.5);
        },
        expected: "completed: [all]",
    },
    Row {
        name: "parts of one output in a snapshot are joined, and an update without append replaces",
        run: |rig| {
            rig.send(None);
            rig.emit_task(Working);
            rig.emit_output("Hello", false);
            rig.emit_output("Hi", false);
            rig.store(Completed, &["Hi", " there"]);
            rig.emit_state(Completed);
            rig.end_stream();
            rig.pass_seconds(5);
        },
        expected: "completed: [Hi there]",
    },
    Row {
        name: "another text with the same id is another message, and a longer text continues it",
        run: |rig| {
            rig.send(None);
            rig.emit_task(Working);
            rig.store(Completed, &[]);
            for text in ["Hel", "lo ", "lo there", "lo there"] {
                rig.emit_status(Working, Some(message("m", text)));
                rig.emit_task(Working);
            }
            rig.emit_state(Completed);
            rig.end_stream();
            rig.pass_seconds(5);
        },
        expected: "completed: Hel | lo there",
    },
    Row {
        name: "messages without ids are distinguished by content and place",
        run: |rig| {
            rig.send(None);
            rig.emit_task(Working);
            for text in ["the ", "end ", "the ", "the "] {
                rig.emit_status(Working, Some(message("", text)));
            }
            rig.store(Completed, &[]);
            if let Some(stored) = &mut rig.agents.stored {
                stored.history.extend(["the ", "end ", "the ", "new"].map(|text| message("", text)));
                stored.status.message = Some(message("", "new"));
            }
            rig.emit_state(Completed);
            rig.end_stream();
            rig.pass_seconds(60);
        },
        expected: "completed: the  | end  | the  | new",
    },
];

#[test]
fn reads_and_streams_have_no_common_order() {
    let mut wrong = Vec::new();
    for row in ROWS {
        let mut rig = Rig::start();
        (row.run)(&mut rig);
        let summary = rig.summary();
        if summary != row.expected {
            wrong.push(format!("{}:\n  {summary:?} is not\n  {:?}", row.name, row.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
