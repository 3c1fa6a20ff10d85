//! Carries out effects: calls to agents, and what the shell does itself. Each call ends with exactly one last outcome,
//! even if it panics.
//!
//! Thousands of streams are read at once. An exchange is large, so it is boxed only while it runs, and what remains for
//! a stream is small.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Semaphore;

use super::document::{self, Decoded};
use super::lanes::{Held, Lane};
use super::pages::Pages;
use super::run::Runner;
use super::task_stream::{self, StreamKind, TaskStream};
use crate::domain::agent::card::Interface;
use crate::domain::call::{
    Answer, Answered, CallKind, Outcome, Probed, SendOutcome, StreamOutcome, SubscribeOutcome, foreign_task,
};
use crate::domain::cause::{Cause, Failure, Limit, Sent};
use crate::domain::effect::{Effect, Order, Recipient};
use crate::domain::id::{AgentKey, CallId, TaskId};
use crate::domain::input::ServerTraits;
use crate::domain::job::task::{StreamEvent, TaskReport};
use crate::domain::trace::TraceParent;
use crate::failpoint;
use crate::net::tap::TapHandle;
use crate::net::{self, Access, ConnectionUse, Label, Method, Net, Opened, Redacted, Room, RpcCall, Text};
use crate::protocol::reply::SendReply;
use crate::protocol::{self, Codec, Deviations, Request};

impl Runner {
    /// Carries out an effect, by recipient.
    pub(super) fn carry_out(&mut self, effect: Effect) {
        let Effect { call, to, order } = effect;
        match to {
            Recipient::Agent(agent) => self.carry_out_at(agent, call, order),
            Recipient::Shell => match (order, &self.notifier) {
                (Order::LoadMessage { job, composed, carry }, _) => self.load_message(job, composed, carry),
                (Order::Notify(notification), Some(notifier)) => notifier.post(&notification),
                _ => tracing::error!(call = call.0, "the shell cannot carry out this order"),
            },
        }
    }

    /// Calls an agent, or ends such a call.
    fn carry_out_at(&mut self, agent: AgentKey, call: CallId, order: Order) {
        if let Order::Close { stream } = order {
            if let Some(task) = self.calls.remove(&stream) {
                task.abort();
            }
            self.sends.remove(&stream);
            return;
        }
        let Some(access) = self.access_of(agent) else { return };
        if let Order::Send { .. } = order {
            self.sends.insert(call);
        }
        let tools = EffectContext {
            net: self.net.clone(),
            access,
            lane: self.lanes.of(agent, self.net.tap().redactor(agent), order.attempt()),
            reads: self.reads.clone(),
            lists: self.lists.clone(),
            events: self.publisher.events(),
        };
        let task = tokio::spawn(call_agent(tools, agent, call, order));
        self.calls.insert(call, task.abort_handle());
    }
}

/// The context of an agent's call.
#[derive(Clone, Debug)]
struct EffectContext {
    net: Net,
    access: Arc<Access>,
    lane: Lane,
    /// Limits concurrent cards and reads; sends never wait here.
    reads: Arc<Semaphore>,
    /// Limits concurrent listings.
    lists: Arc<Semaphore>,
    /// Counts events of streams.
    events: Arc<std::sync::atomic::AtomicU64>,
}

/// Calls an agent and reports the outcome to the loop.
fn call_agent(
    tools: EffectContext,
    agent: AgentKey,
    call: CallId,
    order: Order,
) -> impl Future<Output = ()> + Send {
    let lane = tools.lane.clone();
    let kind = order.kind();
    let asked = Box::pin(run(tools, agent, call, order));
    async move {
        // Release the request's memory before watching the stream.
        let done = async move {
            if let Some(mut watch) = asked.await {
                watch.read().await;
            }
        };
        if let Err(panic) = AssertUnwindSafe(done).catch_unwind().await
            && let Some(kind) = kind
        {
            Box::pin(failed(lane, call, kind, panic)).await;
        }
    }
}

/// Reports that a call panicked.
async fn failed(lane: Lane, call: CallId, kind: CallKind, panic: Box<dyn Any + Send>) {
    let message = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(call = call.0, %message, "a call panicked");
    let cause = Cause::Malformed(format!("the console failed while reading it: {message}").into());
    lane.send(call, kind.failed(Failure { sent: Sent::Maybe, cause })).await;
}

/// Makes a call, up to the stream that answers it, if one does.
async fn run(tools: EffectContext, agent: AgentKey, call: CallId, order: Order) -> Option<Box<TaskStream>> {
    let line = line_of(&tools.net, agent, call, &order);
    match order {
        Order::Probe { url, etag, limit } => {
            tools.net.turn_to_probe(&tools.access, &url).await;
            let _place = tools.reads.acquire().await;
            let answer = tools.net.fetch_card(&tools.access, &line, &url, etag.as_ref(), limit);
            let (answer, room) = match Box::pin(answer).await {
                Ok(net::CardAnswer { card, took, server, room, text: _ }) => {
                    (Ok(Answered { value: Probed { card, server }, took }), room)
                }
                Err(failure) => (Err(failure), None),
            };
            tools.lane.send_holding(call, Outcome::Probe(answer), room.into()).await;
        }
        Order::Check { interface } => {
            tools.net.turn_to_probe(&tools.access, interface.url.raw()).await;
            let _place = tools.reads.acquire().await;
            let nobody = TaskId::from(net::NOBODYS_TASK);
            let asked = Question { call, interface: &interface, request: Request::Get(&nobody), trace: None };
            let (answer, room) = ask(&tools, &line, asked, net::PROBE, document::task).await;
            let answer = answer.map(|answered| Answered { value: (), took: answered.took });
            tools.lane.send_holding(call, Outcome::Check(answer), room.into()).await;
        }
        Order::Get { interface, task, .. } => {
            let _place = tools.reads.acquire().await;
            let asked = Question { call, interface: &interface, request: Request::Get(&task), trace: None };
            let (answer, room) = ask(&tools, &line, asked, net::READ, document::task).await;
            tools.lane.send_holding(call, Outcome::Get(answer), room.into()).await;
        }
        Order::List { interface, query } => {
            let place = tools.lists.clone().acquire_owned().await.ok();
            let codec = protocol::codec(interface.dialect);
            let (answer, room) = match tools.lane.pages().go_on(query.page.as_ref(), codec) {
                Some(value) => (Ok(Answered { value, took: Duration::ZERO }), None),
                None if Pages::made(query.page.as_ref()) => {
                    (Err(Failure { sent: Sent::Maybe, cause: Cause::Limit(Limit::InFlight) }), None)
                }
                None => {
                    let (request, pages) = (Request::List(&query), tools.lane.pages().clone());
                    let asked = Question { call, interface: &interface, request, trace: None };
                    let read = move |codec: &dyn Codec, method: &str, text, room| {
                        document::page(codec, method, text, room, &pages)
                    };
                    ask(&tools, &line, asked, net::READ, read).await
                }
            };
            tools.lane.send_holding(call, Outcome::List(answer), Held::new(place, room)).await;
        }
        Order::Cancel { interface, task, trace, .. } => {
            let asked = Question { call, interface: &interface, request: Request::Cancel(&task), trace };
            let (answer, room) = ask(&tools, &line, asked, net::CANCEL, document::task).await;
            tools.lane.send_holding(call, Outcome::Cancel(answer), room.into()).await;
        }
        Order::Subscribe { interface, task, .. } => {
            return subscribe(&tools, &line, call, &interface, &task).await;
        }
        Order::Send { interface, message, stream, trace, .. } => {
            let request = Request::Send { message: &message, stream };
            return send(&tools, &line, Question { call, interface: &interface, request, trace }, stream)
                .await;
        }
        // Closing is done by the loop, which holds the tasks.
        Order::Close { .. } => {}
        // Posting is done by the shell.
        Order::Notify(_) | Order::LoadMessage { .. } => {}
    }
    None
}

/// The line of a call in the wire view, with what it asks for.
fn line_of(net: &Net, agent: AgentKey, call: CallId, order: &Order) -> TapHandle {
    let (method, task) = match order {
        Order::Probe { .. } => (Method::Card, None),
        Order::Check { .. } => (Method::Check, None),
        Order::Send { stream: true, message, .. } => (Method::SendStreaming, message.task.as_ref()),
        Order::Send { stream: false, message, .. } => (Method::Send, message.task.as_ref()),
        Order::Get { task, .. } => (Method::Get, Some(task)),
        Order::List { .. } => (Method::List, None),
        Order::Subscribe { task, .. } => (Method::Subscribe, Some(task)),
        Order::Cancel { task, .. } => (Method::Cancel, Some(task)),
        // Neither is a call to an agent.
        Order::Close { .. } => (Method::Subscribe, None),
        Order::Notify(_) | Order::LoadMessage { .. } => (Method::Notify, None),
    };
    net.tap().line(agent, call.0, method, task)
}

async fn send(
    tools: &EffectContext,
    line: &TapHandle,
    asked: Question<'_>,
    streams: bool,
) -> Option<Box<TaskStream>> {
    failpoint::reach("before-write");
    if streams {
        return send_streaming(tools, line, asked).await;
    }
    let call = asked.call;
    let (answer, room) = ask(tools, line, asked, net::SEND, document::send).await;
    failpoint::reach("after-write");
    failpoint::reach("before-answer");
    tools.lane.send_holding(call, sent(answer), room.into()).await;
    None
}

fn sent(answer: Answer<SendReply>) -> Outcome {
    Outcome::Send(match answer {
        Ok(Answered { value: SendReply::Task(value), took }) => SendOutcome::Task(Answered { value, took }),
        Ok(Answered { value: SendReply::Message(value), took }) => {
            SendOutcome::Message(Answered { value, took })
        }
        Err(failure) => SendOutcome::Failed(failure),
    })
}

/// A request to an agent's interface.
struct Question<'q> {
    call: CallId,
    interface: &'q Interface,
    request: Request<'q>,
    /// The span that asks, if the agent is told.
    trace: Option<TraceParent>,
}

impl Question<'_> {
    /// The request as it is written.
    fn encoded(&self) -> RpcCall<'_> {
        let Self { call, interface, request, trace } = self;
        let codec = protocol::codec(interface.dialect);
        let tenant = interface.tenant.as_ref().map(|tenant| tenant.raw());
        let body = codec.encode_request(&call.0.to_string(), tenant, request);
        RpcCall { url: &interface.url, headers: codec.headers(), trace: *trace, body }
    }
}

/// Makes a request with a single response document, decoded by `read`, and returns it with its room.
async fn ask<T: Send + 'static>(
    tools: &EffectContext,
    line: &TapHandle,
    asked: Question<'_>,
    limit: Duration,
    read: impl FnOnce(&dyn Codec, &str, Redacted<'static>, Option<Room>) -> Decoded<T> + Send + 'static,
) -> (Answer<T>, Option<Room>) {
    // A message may be answered only when the work is done.
    let connection = if matches!(asked.request, Request::Send { .. }) {
        ConnectionUse::Dedicated
    } else {
        ConnectionUse::Pooled
    };
    let answered = tools.net.call(&tools.access, line, asked.encoded(), connection, limit);
    let (text, took) = match Box::pin(answered).await {
        Ok(answered) => answered,
        Err(failure) => return (Err(failure), None),
    };
    let Question { call, interface, request, .. } = asked;
    let Decoded { value, room, deviations, .. } =
        document::decode(interface.dialect, line, request.method(), text, read).await;
    // A listing and a check belong to no attempt that could record deviations; a read of a task does.
    let kind = match request {
        Request::List(_) => None,
        Request::Get(task) => (task.raw() != net::NOBODYS_TASK).then_some(CallKind::Get),
        Request::Send { .. } => Some(CallKind::Send),
        Request::Cancel(_) => Some(CallKind::Cancel),
        Request::Subscribe(_) => Some(CallKind::Subscribe),
    };
    if let Some(kind) = kind {
        report_deviations(&tools.lane, call, kind, &deviations).await;
    }
    (answered_with(value, took), room)
}

/// Reports deviations that the agent has not shown before.
async fn report_deviations(lane: &Lane, call: CallId, kind: CallKind, deviations: &Deviations) {
    for outcome in lane.new_deviations(kind, deviations) {
        lane.send(call, outcome).await;
    }
}

/// The agent's answer, or why it is not an answer.
fn answered_with<T>(value: Result<T, Cause>, took: Duration) -> Answer<T> {
    match value {
        Ok(value) => Ok(Answered { value, took }),
        Err(cause) => Err(Failure { sent: Sent::Maybe, cause }),
    }
}

/// Reads a task for display.
pub(super) async fn read_task(
    net: &Net,
    access: &Access,
    agent: AgentKey,
    interface: &Interface,
    task: &TaskId,
) -> Result<TaskReport, Failure> {
    let asked = Question { call: CallId(0), interface, request: Request::Get(task), trace: None };
    let line = net.tap().line(agent, 0, Method::Get, Some(task));
    let (text, took) = net.call(access, &line, asked.encoded(), ConnectionUse::Pooled, net::READ).await?;
    let method = asked.request.method();
    let read = document::decode(interface.dialect, &line, method, text, document::task).await;
    let mut report = answered_with(read.value, took)?.value;
    if let Some(cause) = foreign_task(method, task, &report.id) {
        return Err(Failure { sent: Sent::Maybe, cause });
    }
    line.redactor().join_report(&mut report);
    Ok(*report)
}

/// Sends a message that requests a stream.
async fn send_streaming(
    tools: &EffectContext,
    line: &TapHandle,
    asked: Question<'_>,
) -> Option<Box<TaskStream>> {
    let opened = Box::pin(tools.net.open(&tools.access, line, asked.encoded(), net::SEND)).await;
    let Question { call, interface, request, .. } = asked;
    let codec = protocol::codec(interface.dialect);
    failpoint::reach("after-write");
    let (answer, room) = match opened {
        Ok((Opened::Stream(reader), took, server)) => {
            let stream = Stream { call, kind: StreamKind::Send, took, server };
            return stream.begin(tools, codec, reader).await;
        }
        Ok((Opened::Document(text), took, server)) => {
            failpoint::reach("before-answer");
            let stream = Stream { call, kind: StreamKind::Send, took, server };
            let text = stream.send_document(tools, codec, line, text).await?;
            let Decoded { value, room, deviations, .. } =
                document::decode(interface.dialect, line, request.method(), text, document::send).await;
            report_deviations(&tools.lane, call, CallKind::Send, &deviations).await;
            (answered_with(value, took), room)
        }
        Err(failure) => {
            failpoint::reach("before-answer");
            (Err(failure), None)
        }
    };
    tools.lane.send_holding(call, sent(answer), room.into()).await;
    None
}

/// Subscribes to a task.
async fn subscribe(
    tools: &EffectContext,
    line: &TapHandle,
    call: CallId,
    interface: &Interface,
    task: &TaskId,
) -> Option<Box<TaskStream>> {
    let asked = Question { call, interface, request: Request::Subscribe(task), trace: None };
    let codec = protocol::codec(interface.dialect);
    let method = asked.request.method();
    let opened = tools.net.open(&tools.access, line, asked.encoded(), net::SEND);
    let failure = match Box::pin(opened).await {
        Ok((Opened::Stream(reader), took, server)) => {
            let stream = Stream { call, kind: StreamKind::Subscribe, took, server };
            return stream.begin(tools, codec, reader).await;
        }
        Ok((Opened::Document(text), took, server)) => {
            let stream = Stream { call, kind: StreamKind::Subscribe, took, server };
            let text = stream.send_document(tools, codec, line, text).await?;
            let Decoded { value, room, deviations, .. } =
                document::decode(interface.dialect, line, method, text, document::task).await;
            report_deviations(&tools.lane, call, CallKind::Subscribe, &deviations).await;
            match value {
                Ok(report) => {
                    stream.send_task(tools, report, room).await;
                    return None;
                }
                Err(cause) => Failure { sent: Sent::Maybe, cause },
            }
        }
        Err(failure) => failure,
    };
    tools.lane.send(call, Outcome::Subscribe(SubscribeOutcome::Failed(failure))).await;
    None
}

/// A call whose answer is a stream, or is treated as one.
#[derive(Debug)]
struct Stream {
    call: CallId,
    kind: StreamKind,
    took: Duration,
    server: ServerTraits,
}

impl Stream {
    /// Reports that the answer has begun. False once the loop has ended.
    async fn send_opened(&self, lane: &Lane) -> bool {
        let Self { call, kind, took, ref server } = *self;
        lane.send(call, kind.outcome(StreamOutcome::Opened { took, server: server.clone() })).await
    }

    /// Reports a document that is a whole stream under another content type. Returns the text if it is not.
    async fn send_document(
        &self,
        tools: &EffectContext,
        codec: &'static dyn Codec,
        line: &TapHandle,
        text: Text,
    ) -> Option<Text> {
        let mut deviations = Deviations::default();
        let Some(outcomes) = task_stream::of_document(codec, self.kind, &text, &mut deviations) else {
            return Some(text);
        };
        line.answered(Label::Stream);
        report_deviations(&tools.lane, self.call, self.kind.call(), &deviations).await;
        self.send_opened(&tools.lane).await;
        for outcome in outcomes {
            tools.lane.send(self.call, outcome).await;
        }
        None
    }

    /// Reports a task sent as a document: a stream that ends with its first event.
    async fn send_task(&self, tools: &EffectContext, report: Box<TaskReport>, room: Option<Room>) {
        self.send_opened(&tools.lane).await;
        let events = StreamOutcome::Events(vec![StreamEvent::Task(report)]);
        tools.lane.send_holding(self.call, self.kind.outcome(events), room.into()).await;
        tools.lane.send(self.call, self.kind.outcome(StreamOutcome::Ended(Ok(())))).await;
    }

    /// Reports that the stream is open and returns it for reading.
    async fn begin(
        self,
        tools: &EffectContext,
        codec: &'static dyn Codec,
        reader: net::EventReader,
    ) -> Option<Box<TaskStream>> {
        let (call, kind) = (self.call, self.kind);
        let goes_on = self.send_opened(&tools.lane).await;
        let (lane, events) = (tools.lane.clone(), tools.events.clone());
        goes_on.then(|| Box::new(TaskStream::new(reader, codec, call, lane, events, kind)))
    }
}
