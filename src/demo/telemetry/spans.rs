//! The spans of one message: one for the request, as long as the work on it takes, and below it one for each step.

use std::sync::Arc;

use super::exporter::Item;
use super::{About, Instrumentation, Tracer};
use crate::demo::agent::Agent;
use crate::domain::id::{Rng, TaskId};
use crate::domain::job::task::TaskState;
use crate::domain::text::Untrusted;
use crate::domain::trace::{SpanId, TraceId, TraceParent};
use crate::telemetry::convention;
use crate::telemetry::model::{Attribute, LogRecord, Resource, Severity, Span, SpanKind, SpanStatus, Value};

/// The library that makes the spans.
const SCOPE: &str = "quarterdeck.demo";
/// Steps of one message that have a span; an agent that reports without end sends no more.
const STEPS: usize = 100;
/// The method of MCP that calls a tool.
const MCP_CALL: &str = "tools/call";
/// Characters of a record.
const TEXT: usize = 1000;

/// What an agent uses in a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::demo) enum Uses<'a> {
    /// A model.
    Model(&'a str),
    /// A tool; one with a dot in its name belongs to a server of MCP.
    Tool(&'a str),
    /// A tool of MCP that searches for what a skill is about.
    Search(&'a str),
}

/// A request that an agent serves: its method, and the span that called.
#[derive(Clone, Copy)]
pub(in crate::demo) struct Request {
    pub method: &'static str,
    pub parent: Option<TraceParent>,
}

/// The spans of the work on one message.
#[derive(Debug)]
pub(in crate::demo) struct TaskSpans {
    maker: Maker,
    ids: Rng,
    server: Span,
    step: Option<Span>,
    /// Steps that have begun.
    steps: usize,
    /// The length of what a model reads first.
    reads: usize,
}

/// Makes and sends spans and records of one trace.
#[derive(Clone, Debug)]
struct Maker {
    tracer: Tracer,
    resource: Arc<Resource>,
    trace: TraceId,
}

impl Maker {
    fn begin(&self, id: SpanId, parent: Option<SpanId>, name: String, kind: SpanKind) -> Span {
        Span {
            trace: self.trace,
            id,
            parent,
            name: name.into(),
            kind,
            start: self.tracer.now(),
            end: None,
            status: SpanStatus::Unset,
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            dropped: 0,
            resource: self.resource.clone(),
            scope: SCOPE.into(),
        }
    }

    fn end(&self, mut span: Span) {
        span.end = Some(self.tracer.now());
        self.send(Item::Span(span));
    }

    fn send(&self, item: Item) {
        self.tracer.exporter.put(item, self.tracer.how == Instrumentation::Broken);
    }
}

fn span_id(ids: &mut Rng) -> SpanId {
    SpanId(ids.next().max(1).to_be_bytes())
}

fn fail(span: &mut Span, kind: &str, why: &str) {
    span.status = SpanStatus::Error(Untrusted::from(why).shortened(TEXT));
    span.attributes.push(Attribute::text(convention::ERROR_TYPE, kind));
}

impl TaskSpans {
    /// Begins with a request; `None` if the agent sends nothing about it. Ids follow from `seed`. Without a caller's span
    /// the trace is the agent's own.
    pub fn begin(agent: &Agent, request: Request, about: About<'_>, seed: u64) -> Option<Self> {
        let mut ids = Rng::new(seed);
        let own = || {
            let (high, low) = (ids.next().max(1), ids.next());
            TraceId((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
        };
        let trace = request.parent.map_or_else(own, |parent| parent.trace);
        if !agent.tracer.takes(trace) {
            return None;
        }
        let version = agent.version();
        let resource = Arc::new(Resource {
            attributes: vec![
                Attribute::text(convention::SERVICE_NAME, agent.part.name.as_str()),
                Attribute::text(convention::SERVICE_VERSION, version),
            ],
        });
        let maker = Maker { tracer: agent.tracer.clone(), resource, trace };
        let parent = request.parent.map(|parent| parent.span);
        let mut server = maker.begin(span_id(&mut ids), parent, request.method.to_owned(), SpanKind::Server);
        let attributes = &mut server.attributes;
        attributes.push(Attribute::text(convention::A2A_METHOD, request.method));
        attributes.push(Attribute::text(convention::A2A_VERSION, agent.dialect().as_str()));
        attributes.push(Attribute::text(convention::OPERATION, "invoke_agent"));
        attributes.push(Attribute::text(convention::AGENT_NAME, agent.part.name.as_str()));
        if !about.message.raw().is_empty() {
            attributes.push(Attribute::text(convention::A2A_MESSAGE, about.message.text()));
        }
        if let Some(task) = about.task {
            attributes.push(Attribute::text(convention::A2A_TASK, task.text()));
        }
        if let Some(context) = about.context {
            attributes.push(Attribute::text(convention::CONVERSATION, context.text()));
        }
        if let Some(skill) = about.skill {
            attributes.push(Attribute::text(convention::SKILL, skill));
        }
        Some(Self { maker, ids, server, step: None, steps: 0, reads: about.reads })
    }

    /// Begins the next step, which ends the one before.
    pub fn step(&mut self, uses: Uses<'_>) {
        self.end_step(None);
        if self.steps >= STEPS {
            return;
        }
        self.steps += 1;
        let (operation, key, used) = match uses {
            Uses::Model(model) => ("chat", convention::REQUEST_MODEL, model.to_owned()),
            Uses::Tool(tool) => ("execute_tool", convention::TOOL_NAME, tool.to_owned()),
            Uses::Search(skill) => ("execute_tool", convention::TOOL_NAME, format!("{skill}.search")),
        };
        let is_mcp = operation == "execute_tool" && used.contains('.');
        let name = format!("{} {used}", if is_mcp { MCP_CALL } else { operation });
        let kind = if operation == "chat" || is_mcp { SpanKind::Client } else { SpanKind::Internal };
        let mut span = self.maker.begin(span_id(&mut self.ids), Some(self.server.id), name, kind);
        span.attributes.push(Attribute::text(convention::OPERATION, operation));
        span.attributes.push(Attribute::text(key, used));
        if is_mcp {
            span.attributes.push(Attribute::text(convention::MCP_METHOD, MCP_CALL));
        }
        self.step = Some(span);
    }

    /// Ends the step that goes on, with an error if it failed.
    fn end_step(&mut self, failed: Option<(&str, &str)>) {
        let Some(mut span) = self.step.take() else { return };
        if let Some((kind, why)) = failed {
            fail(&mut span, kind, why);
        }
        if let Some(model) = span.value(convention::REQUEST_MODEL).cloned() {
            span.attributes.push(Attribute { key: convention::RESPONSE_MODEL.into(), value: model });
            // There is no model; a real one would have read what was said so far, at about this speed.
            let millis = self.maker.tracer.now().since(span.start).as_millis();
            let read = 200 + self.reads / 4 + 60 * self.steps;
            let written = i64::try_from(millis / 25).unwrap_or(i64::MAX).max(1);
            let read = i64::try_from(read).unwrap_or(i64::MAX);
            span.attributes.push(Attribute::int(convention::INPUT_TOKENS, read));
            span.attributes.push(Attribute::int(convention::OUTPUT_TOKENS, written));
        }
        self.maker.end(span);
    }

    /// A log record on the step that goes on, or on the whole.
    pub fn log(&self, severity: Severity, words: &str) {
        let span = self.step.as_ref().unwrap_or(&self.server);
        let words = Untrusted::from(words).shortened(TEXT);
        self.maker.send(Item::Log(LogRecord {
            at: self.maker.tracer.now(),
            severity,
            body: Value::Text(words),
            attributes: Vec::new(),
            trace: Some(self.maker.trace),
            span: Some(span.id),
            dropped: 0,
            resource: self.maker.resource.clone(),
            scope: SCOPE.into(),
        }));
    }

    /// The request was answered to its end, which has this state if there is a task.
    pub fn end(mut self, state: Option<&TaskState>, why: &str) {
        let word = state.map(word);
        let failed = matches!(state, Some(TaskState::Failed | TaskState::Rejected));
        let failed = word.as_deref().filter(|_| failed).map(|word| (word, why));
        // Who declines has not failed in what it did before.
        self.end_step(failed.filter(|_| state == Some(&TaskState::Failed)));
        if let Some(word) = &word {
            self.server.attributes.push(Attribute::text(convention::A2A_STATE, word.as_str()));
        }
        if let Some((kind, why)) = failed {
            fail(&mut self.server, kind, why);
        }
        self.maker.end(self.server);
    }

    /// A call of another agent, which has not begun yet.
    pub fn call(&mut self, agent: &str) -> Call {
        let id = span_id(&mut self.ids);
        let name = format!("invoke_agent {agent}");
        let mut span = self.maker.begin(id, Some(self.server.id), name, SpanKind::Client);
        span.attributes.push(Attribute::text(convention::A2A_METHOD, "SendMessage"));
        span.attributes.push(Attribute::text(convention::OPERATION, "invoke_agent"));
        span.attributes.push(Attribute::text(convention::AGENT_NAME, agent));
        Call { maker: self.maker.clone(), span }
    }
}

/// The state as A2A has it in attributes.
fn word(state: &TaskState) -> String {
    match state {
        TaskState::InputRequired => "input-required".to_owned(),
        TaskState::AuthRequired => "auth-required".to_owned(),
        other => other.word(),
    }
}

/// A call of another agent.
#[derive(Debug)]
pub(in crate::demo) struct Call {
    maker: Maker,
    span: Span,
}

impl Call {
    /// What the called agent is told.
    pub fn parent(&self) -> TraceParent {
        TraceParent { trace: self.span.trace, span: self.span.id }
    }

    /// The message is sent now.
    pub fn begin(&mut self, message: &str) {
        self.span.start = self.maker.tracer.now();
        self.span.attributes.push(Attribute::text(convention::A2A_MESSAGE, message));
    }

    /// It was answered, with this task if it made one, or why not, as a class and in words.
    pub fn end(mut self, task: Option<&TaskId>, failed: Option<(&str, &str)>) {
        if let Some(task) = task {
            self.span.attributes.push(Attribute::text(convention::A2A_TASK, task.text()));
        }
        if let Some((kind, why)) = failed {
            fail(&mut self.span, kind, why);
        }
        self.maker.end(self.span);
    }
}
