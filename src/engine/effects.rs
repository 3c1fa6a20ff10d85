//! Carrying out effects, for an agent or by the shell itself. Each ends in exactly one last outcome, even if it panics.
//!
//! Thousands of streams are read at once, so an exchange, which is large, is boxed as long as it takes, and what
//! goes on behind it stays small.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Semaphore;

use super::bounds;
use super::lanes::{Held, Lane};
use super::pages::Pages;
use super::run::Runner;
use super::task_stream::{self, TaskStream};
use crate::domain::agent::card::{Dialect, Interface};
use crate::domain::cause::{Cause, Failure, Limit, Sent};
use crate::domain::effect::{Effect, Order, Target};
use crate::domain::id::{AgentKey, CallId, TaskId};
use crate::domain::input::Outcome;
use crate::domain::job::message::Message;
use crate::domain::job::task::TaskReport;
use crate::domain::limits;
use crate::failpoint;
use crate::net::tap::{Kind, TapHandle};
use crate::net::{self, Access, ConnectionUse, Net, Opened, Redacted, Room, Text};
use crate::protocol::page::Page;
use crate::protocol::{self, Deviations, Reply, Request};

impl Runner {
    /// Carries an effect out, by whom it is for.
    pub(super) fn carry_out(&mut self, effect: Effect) {
        let Effect { call, to, order } = effect;
        match to {
            Target::Agent(agent) => self.carry_out_at(agent, call, order),
            Target::Shell => match (order, &self.notifier) {
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
            events: self.events.clone(),
        };
        let task = tokio::spawn(call_agent(tools, agent, call, order));
        self.calls.insert(call, task.abort_handle());
    }
}

/// What a call of an agent needs.
#[derive(Clone, Debug)]
struct EffectContext {
    net: Net,
    access: Arc<Access>,
    lane: Lane,
    /// Bounds cards and reads; sends never wait here.
    reads: Arc<Semaphore>,
    /// Bounds listings.
    lists: Arc<Semaphore>,
    /// Counts events of streams.
    events: Arc<std::sync::atomic::AtomicU64>,
}

/// Calls an agent and tells the loop what came of it.
fn call_agent(
    tools: EffectContext,
    agent: AgentKey,
    call: CallId,
    order: Order,
) -> impl Future<Output = ()> + Send {
    let lane = tools.lane.clone();
    let asked = Box::pin(run(tools, agent, call, order));
    async move {
        // What asking took is given back before a stream is watched.
        let done = async move {
            if let Some(mut watch) = asked.await {
                watch.read().await;
            }
        };
        if let Err(panic) = AssertUnwindSafe(done).catch_unwind().await {
            Box::pin(failed(lane, call, panic)).await;
        }
    }
}

/// Tells that a call panicked.
async fn failed(lane: Lane, call: CallId, panic: Box<dyn Any + Send>) {
    let words = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(call = call.0, %words, "a call panicked");
    let cause = Cause::Malformed(format!("the console failed while reading it: {words}").into());
    lane.send(call, Outcome::Failed(Failure { sent: Sent::Maybe, cause })).await;
}

/// Makes a call, up to the stream that answers it, if one does.
async fn run(tools: EffectContext, agent: AgentKey, call: CallId, order: Order) -> Option<Box<TaskStream>> {
    let line = tools.net.tap().line(agent, call.0);
    match order {
        Order::Probe { url, etag, limit } => {
            tools.net.turn_to_probe(&tools.access, &url).await;
            let _place = tools.reads.acquire().await;
            let answer = tools.net.fetch_card(&tools.access, &line, &url, etag.as_ref(), limit);
            let answer = Box::pin(answer).await;
            let (outcome, room) = match answer {
                Ok(net::CardAnswer { card, took, server, room, text: _ }) => {
                    (Outcome::Probed { card, took, server }, room)
                }
                Err(failure) => (Outcome::Failed(failure), None),
            };
            tools.lane.send_holding(call, outcome, room.into()).await;
        }
        Order::Check { interface } => {
            tools.net.turn_to_probe(&tools.access, interface.url.raw()).await;
            let _place = tools.reads.acquire().await;
            let nobody = TaskId::from(net::NOBODYS_TASK);
            let (outcome, room) =
                ask(&tools, &line, call, &interface, &Request::Get(&nobody), net::PROBE).await;
            tools.lane.send_holding(call, outcome, room.into()).await;
        }
        Order::Get { interface, task, .. } => {
            let _place = tools.reads.acquire().await;
            let (outcome, room) = ask(&tools, &line, call, &interface, &Request::Get(&task), net::READ).await;
            tools.lane.send_holding(call, outcome, room.into()).await;
        }
        Order::List { interface, query } => {
            let place = tools.lists.clone().acquire_owned().await.ok();
            let codec = protocol::codec(interface.dialect);
            let (outcome, room) = match tools.lane.pages().go_on(query.page.as_ref(), codec) {
                Some(slice) => (slice, None),
                None if Pages::made(query.page.as_ref()) => {
                    let cause = Cause::Limit(Limit::InFlight);
                    (Outcome::Failed(Failure { sent: Sent::Maybe, cause }), None)
                }
                None => ask(&tools, &line, call, &interface, &Request::List(&query), net::READ).await,
            };
            tools.lane.send_holding(call, outcome, Held::new(place, room)).await;
        }
        Order::Cancel { interface, task, .. } => {
            let (outcome, room) =
                ask(&tools, &line, call, &interface, &Request::Cancel(&task), net::CANCEL).await;
            tools.lane.send_holding(call, outcome, room.into()).await;
        }
        Order::Subscribe { interface, task, .. } => {
            return stream(&tools, &line, call, &interface, &Request::Subscribe(&task)).await;
        }
        Order::Send { interface, message, stream, .. } => {
            return send(&tools, &line, call, &interface, &message, stream).await;
        }
        // Closing is done by the loop, which holds the tasks.
        Order::Close { .. } => {}
        // Posting is done by the shell.
        Order::Notify(_) => {}
    }
    None
}

async fn send(
    tools: &EffectContext,
    line: &TapHandle,
    call: CallId,
    interface: &Interface,
    message: &Message,
    streams: bool,
) -> Option<Box<TaskStream>> {
    failpoint::reach("before-write");
    let request = Request::Send { message, stream: streams };
    if streams {
        return stream(tools, line, call, interface, &request).await;
    }
    let (outcome, room) = ask(tools, line, call, interface, &request, net::SEND).await;
    failpoint::reach("after-write");
    failpoint::reach("before-answer");
    tools.lane.send_holding(call, outcome, room.into()).await;
    None
}

fn encode(interface: &Interface, call: CallId, request: &Request<'_>) -> String {
    let tenant = interface.tenant.as_ref().map(|tenant| tenant.raw());
    protocol::codec(interface.dialect).encode_request(&call.0.to_string(), tenant, request)
}

/// One request that is answered by a document, and the room that its answer has.
async fn ask(
    tools: &EffectContext,
    line: &TapHandle,
    call: CallId,
    interface: &Interface,
    request: &Request<'_>,
    limit: Duration,
) -> (Outcome, Option<Room>) {
    let codec = protocol::codec(interface.dialect);
    let body = encode(interface, call, request);
    // A message may be answered when the work is done.
    let connection = if matches!(request, Request::Send { .. }) {
        ConnectionUse::Dedicated
    } else {
        ConnectionUse::Pooled
    };
    let answered =
        tools.net.call(&tools.access, line, &interface.url, codec.headers(), body, connection, limit);
    let answered = Box::pin(answered).await;
    match answered {
        Ok((text, took)) => {
            let pages = matches!(request, Request::List(_)).then(|| tools.lane.pages());
            let Document { outcome, room, deviations } = document(interface, line, text, took, pages).await;
            // A list and a check are of no attempt that could tell of them; reading a task will.
            let is_of_task = match request {
                Request::List(_) => false,
                Request::Get(task) => task.raw() != net::NOBODYS_TASK,
                _ => true,
            };
            if is_of_task {
                tell(&tools.lane, call, &deviations).await;
            }
            (outcome, room)
        }
        Err(failure) => (Outcome::Failed(failure), None),
    }
}

/// Tells of deviations that the agent was not seen to do before.
async fn tell(lane: &Lane, call: CallId, deviations: &Deviations) {
    for outcome in lane.untold(deviations) {
        lane.send(call, outcome).await;
    }
}

/// Reads a task for somebody who wants to see it.
pub(super) async fn read_task(
    net: &Net,
    access: &Access,
    agent: AgentKey,
    interface: &Interface,
    task: &TaskId,
) -> Result<TaskReport, Failure> {
    let codec = protocol::codec(interface.dialect);
    let body = encode(interface, CallId(0), &Request::Get(task));
    let line = net.tap().line(agent, 0);
    let (headers, connection) = (codec.headers(), ConnectionUse::Pooled);
    let (text, took) = net.call(access, &line, &interface.url, headers, body, connection, net::READ).await?;
    match document(interface, &line, text, took, None).await.outcome {
        Outcome::Task(mut report, _) => {
            line.redactor().join_report(&mut report);
            Ok(*report)
        }
        Outcome::Failed(failure) => Err(failure),
        _ => Err(Failure {
            sent: Sent::Maybe,
            cause: Cause::Malformed("GetTask was answered by no task".into()),
        }),
    }
}

/// What a document says, and the room that it has. A large one is decoded where it keeps nobody waiting; a large page
/// of tasks is handed out in slices by `pages`.
async fn document(
    interface: &Interface,
    line: &TapHandle,
    text: Text,
    took: Duration,
    pages: Option<&Pages>,
) -> Document {
    let (text, room) = text.into_parts();
    let is_small = text.len() <= limits::SMALL;
    let (dialect, pages) = (interface.dialect, pages.cloned());
    let decode = move || decode(dialect, text, room, took, pages.as_ref());
    let decoded = if is_small { Ok(decode()) } else { tokio::task::spawn_blocking(decode).await };
    match decoded {
        Ok((document, dropped)) => {
            if let Some(dropped) = dropped {
                line.keep(Kind::End, &dropped, "");
                tracing::warn!(%dropped, "an answer is over a limit");
            }
            document
        }
        // A panic of the decoder ends this call, and is told as its end.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Document::of(Outcome::unsent(Cause::Stopping)),
        },
    }
}

/// A document that was decoded.
struct Document {
    outcome: Outcome,
    /// The room of a large one, until the loop has taken it.
    room: Option<Room>,
    /// What the agent wrote differently from its dialect.
    deviations: Deviations,
}

impl Document {
    fn of(outcome: Outcome) -> Self {
        Self { outcome, room: None, deviations: Deviations::default() }
    }
}

/// Decodes a document; also says what was left out of it, and why.
fn decode(
    dialect: Dialect,
    text: Redacted<'static>,
    room: Option<Room>,
    took: Duration,
    pages: Option<&Pages>,
) -> (Document, Option<String>) {
    let codec = protocol::codec(dialect);
    let text = match pages {
        Some(pages) => match Page::new(text.into_string()) {
            Ok(page) => {
                let (taken, left_out) = (limits::TASKS_IN_PAGE, page.left_out);
                let dropped = (left_out > 0)
                    .then(|| format!("its page has {} tasks; the first {taken} are read", taken + left_out));
                return (Document::of(pages.begin(page, room, codec, took)), dropped);
            }
            Err(text) => text,
        },
        None => text.into_string(),
    };
    let mut dropped = 0;
    let mut deviations = Deviations::default();
    let outcome = match codec.decode_reply(&text, &mut deviations) {
        Ok(Reply::Task(mut task)) => {
            dropped = bounds::cut(&mut task);
            Outcome::Task(task, took)
        }
        Ok(Reply::Message(message)) => Outcome::Message(message, took),
        Ok(Reply::Page { tasks, next, total, unread }) => Outcome::Page { tasks, next, total, unread, took },
        Err(cause) => Outcome::Failed(Failure { sent: Sent::Maybe, cause }),
    };
    let dropped = (dropped > 0)
        .then(|| format!("its task is over the limit; {dropped} artifacts and messages are not read"));
    (Document { outcome, room, deviations }, dropped)
}

async fn stream(
    tools: &EffectContext,
    line: &TapHandle,
    call: CallId,
    interface: &Interface,
    request: &Request<'_>,
) -> Option<Box<TaskStream>> {
    let codec = protocol::codec(interface.dialect);
    let body = encode(interface, call, request);
    let is_send = matches!(request, Request::Send { .. });
    let opened = tools.net.open(&tools.access, line, &interface.url, codec.headers(), body, net::SEND);
    let opened = Box::pin(opened).await;
    if is_send {
        failpoint::reach("after-write");
    }
    let (last, room) = match opened {
        Ok((Opened::Stream(reader), took, server)) => {
            let goes_on = tools.lane.send(call, Outcome::Opened { took, server }).await;
            let (lane, events) = (tools.lane.clone(), tools.events.clone());
            return goes_on.then(|| Box::new(TaskStream::new(reader, codec, call, lane, events, is_send)));
        }
        Ok((Opened::Document(text), took, _)) => {
            if is_send {
                failpoint::reach("before-answer");
            }
            let mut deviations = Deviations::default();
            // It may be a whole stream under another name.
            let told = task_stream::of_document(codec, &text, &mut deviations);
            let (told, last, room) = match told {
                Some(told) => (told, Outcome::Ended(Ok(())), None),
                None => {
                    let document = document(interface, line, text, took, None).await;
                    deviations = document.deviations;
                    (Vec::new(), document.outcome, document.room)
                }
            };
            tell(&tools.lane, call, &deviations).await;
            for outcome in told {
                if outcome.is_last() {
                    tools.lane.send(call, outcome).await;
                    return None;
                }
                tools.lane.send(call, outcome).await;
            }
            match last {
                last if is_send => (last, room),
                // A subscription that is answered by a document: the task as it is, and no stream.
                Outcome::Task(report, _) => {
                    let event = crate::domain::job::task::StreamEvent::Task(report);
                    tools.lane.send_holding(call, Outcome::Events(vec![event]), room.into()).await;
                    (Outcome::Ended(Ok(())), None)
                }
                last @ (Outcome::Failed(_) | Outcome::Ended(_)) => (last, None),
                _ => {
                    let cause = Cause::Malformed("a subscription was answered by something else".into());
                    (Outcome::Ended(Err(cause)), None)
                }
            }
        }
        Err(failure) => {
            if is_send {
                failpoint::reach("before-answer");
            }
            (Outcome::Failed(failure), None)
        }
    };
    tools.lane.send_holding(call, last, room.into()).await;
    None
}
