//! One client of the control socket.
//!
//! Whatever it sends and however slowly it reads, it holds a bounded part of the engine's memory: when a bound is
//! reached, nothing more is read from it until it has read its answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use super::rows::{self, SentCards};
use crate::domain::audit::{Submitter, Surface};
use crate::domain::id::JobId;
use crate::domain::intent::Intent;
use crate::domain::limits;
use crate::domain::text::Untrusted;
use crate::engine::handle::wire::{Hello, Tasks, VERSION};
use crate::engine::{Handle, Query};
use crate::protocol::json::{Object, Writer, array, string};
use crate::store::record::{Record, member};
use crate::telemetry::query::TelemetryQuery;

/// Bytes of one line from a client: the largest message that it can send to an agent. A longer one ends the connection.
const LINE_BYTES: usize = limits::MESSAGE;
/// Requests of a client that are not answered yet, and their bytes together. Full: nothing is read from it.
const REQUESTS: usize = 64;
const REQUEST_BYTES: usize = LINE_BYTES;
/// The number of a client's queries processed at once; the others wait. Their answers may be large.
const QUERIES: usize = 8;
/// Lines that wait to be written to a client, and their bytes together. Full: whatever has a line for it waits.
const QUEUED_LINES: usize = 1024;
const QUEUED_BYTES: usize = 16 * 1024 * 1024;
/// Jobs that a client follows at once. Above it, the oldest timeline ends; its client follows it again if it needs it.
const FOLLOWS: usize = 64;
/// The time within which a client must send its hello.
const HELLO: Duration = Duration::from_secs(10);

/// The reason why a client is refused; the connection is closed after it.
pub(super) fn refusal(why: &str) -> String {
    Writer::new().text("refused", why).end()
}

/// The lines that wait to be written to a client.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    lines: mpsc::Sender<Queued>,
    bytes: Arc<Semaphore>,
}

#[derive(Debug)]
struct Queued {
    line: String,
    _permit: OwnedSemaphorePermit,
}

/// The client has left.
#[derive(Debug)]
pub(super) struct Gone;

impl Outbox {
    fn new() -> (Self, mpsc::Receiver<Queued>) {
        let (lines, to_write) = mpsc::channel(QUEUED_LINES);
        (Self { lines, bytes: Arc::new(Semaphore::new(QUEUED_BYTES)) }, to_write)
    }

    /// Queues a line once there is room for it.
    pub(super) async fn send(&self, line: String) -> Result<(), Gone> {
        let permit = permit(&self.bytes, line.len(), QUEUED_BYTES).await?;
        self.lines.send(Queued { line, _permit: permit }).await.map_err(|_| Gone)
    }
}

/// Waits for `bytes` of a budget of `all`; a larger request takes all of it.
async fn permit(budget: &Arc<Semaphore>, bytes: usize, all: usize) -> Result<OwnedSemaphorePermit, Gone> {
    let bytes = u32::try_from(bytes.min(all)).unwrap_or(u32::MAX);
    budget.clone().acquire_many_owned(bytes).await.map_err(|_| Gone)
}

async fn write_lines(write: OwnedWriteHalf, mut to_write: mpsc::Receiver<Queued>) {
    let mut write = BufWriter::new(write);
    while let Some(queued) = to_write.recv().await {
        let mut more = Some(queued);
        while let Some(queued) = more {
            let line = queued.line.as_bytes();
            if write.write_all(line).await.is_err() || write.write_all(b"\n").await.is_err() {
                return;
            }
            more = to_write.try_recv().ok();
        }
        if write.flush().await.is_err() {
            return;
        }
    }
}

/// Serves one client until it leaves or the engine ends.
pub(super) async fn serve(stream: UnixStream, handle: &Handle, hello: &Hello, handed_over: &Notify) {
    // The listener has let in this user alone.
    let peer = stream.peer_cred().map_or_else(|_| rustix::process::geteuid().as_raw(), |peer| peer.uid());
    let (read, write) = stream.into_split();
    let (outbox, to_write) = Outbox::new();
    let writer = tokio::spawn(write_lines(write, to_write));
    let mut read = BufReader::new(read);
    let greeting = Writer::new().raw("hello", &hello.put()).end();
    if outbox.send(greeting).await.is_ok() {
        match hear_hello(&mut read).await {
            Ok(()) => {
                let mut client = Client::new(handle, peer, outbox.clone());
                tokio::select! {
                    () = client.serve(&mut read, hello, handed_over) => {}
                    () = handle.gone() => {}
                }
            }
            Err(why) => {
                tracing::warn!("a client of the control socket was refused: {why}");
                let _it_may_have_left = outbox.send(refusal(&why)).await;
            }
        }
    }
    drop(outbox);
    let _what_is_queued_is_written = writer.await;
}

/// Reads the first line of a client, which has its protocol version.
async fn hear_hello(read: &mut BufReader<OwnedReadHalf>) -> Result<(), String> {
    let line = tokio::time::timeout(HELLO, next_line(read)).await.ok().flatten();
    let hello = line.as_deref().and_then(|line| Object::parse(line).ok());
    match hello.and_then(|object| member::<Hello>(&object, "hello")) {
        Some(hello) if hello.version == VERSION => Ok(()),
        Some(hello) => Err(format!(
            "this engine speaks version {VERSION} of the control protocol, not {}; use the quarterdeck that it was \
             started with, or restart it",
            hello.version
        )),
        None => Err("the first line must be a hello".to_owned()),
    }
}

async fn next_line(read: &mut BufReader<OwnedReadHalf>) -> Option<String> {
    let mut line = Vec::new();
    loop {
        let buffer = read.fill_buf().await.ok()?;
        if buffer.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', buffer);
        let take = end.map_or(buffer.len(), |end| end + 1);
        if line.len() + take > LINE_BYTES {
            return None;
        }
        line.extend_from_slice(&buffer[..take]);
        read.consume(take);
        if end.is_some() {
            return String::from_utf8(line).ok();
        }
    }
}

/// The work in progress for one client. All of it ends when dropped.
struct Client<'h> {
    handle: &'h Handle,
    /// The user id of its process.
    peer: u32,
    outbox: Outbox,
    requests: Arc<Semaphore>,
    request_bytes: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    tasks: JoinSet<()>,
    watching: Option<AbortHandle>,
    follows: VecDeque<(String, AbortHandle)>,
}

impl<'h> Client<'h> {
    fn new(handle: &'h Handle, peer: u32, outbox: Outbox) -> Self {
        Self {
            handle,
            peer,
            outbox,
            requests: Arc::new(Semaphore::new(REQUESTS)),
            request_bytes: Arc::new(Semaphore::new(REQUEST_BYTES)),
            queries: Arc::new(Semaphore::new(QUERIES)),
            tasks: JoinSet::new(),
            watching: None,
            follows: VecDeque::new(),
        }
    }

    async fn serve(&mut self, read: &mut BufReader<OwnedReadHalf>, hello: &Hello, handed_over: &Notify) {
        while let Some(line) = next_line(read).await {
            let Ok(object) = Object::parse(&line) else { continue };
            let taken = if object.flag("watch") {
                let which = member(&object, "tasks").unwrap_or_default();
                self.watch(which, SentCards::new(object.flag("keeps_cards")));
                Ok(())
            } else if object.flag("hand_over") {
                let answer = Writer::new().flag("handed_over", !hello.lasting).end();
                let answered = self.outbox.send(answer).await;
                if !hello.lasting {
                    handed_over.notify_one();
                }
                answered
            } else if let Some(id) = object.raw("id") {
                self.take(id.to_owned(), &object, line.len()).await
            } else {
                Ok(())
            };
            if taken.is_err() {
                return;
            }
        }
    }

    /// A client watches once: a second watch replaces the first.
    fn watch(&mut self, which: Tasks, cards: SentCards) {
        if let Some(before) = self.watching.take() {
            before.abort();
        }
        let watch = rows::watch(self.handle.clone(), self.outbox.clone(), which, cards);
        self.watching = Some(self.spawn(watch));
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(task)
    }

    /// Handles a request that is answered under its id.
    async fn take(&mut self, id: String, object: &Object<'_>, bytes: usize) -> Result<(), Gone> {
        let place = permit(&self.requests, 1, REQUESTS).await?;
        let held = (place, permit(&self.request_bytes, bytes, REQUEST_BYTES).await?);
        let outbox = self.outbox.clone();
        if let Some(intent) = object.raw("submit").and_then(Intent::get) {
            // What a client says of itself; one of an earlier version says nothing.
            let handle = self.handle.clone().for_client(Submitter {
                name: object.text("by").map(|name| Untrusted::from(&*name)),
                surface: member(object, "surface").unwrap_or(Surface::Socket),
                peer: Some(self.peer),
                bulk: member(object, "bulk").unwrap_or(0),
            });
            self.spawn(async move {
                let _held = held;
                submit(&handle, intent, &id, &outbox).await;
            });
        } else if let Some(query) = object.raw("query").and_then(Query::get) {
            let (handle, queries) = (self.handle.clone(), self.queries.clone());
            self.spawn(async move {
                let _held = held;
                let Ok(_turn) = permit(&queries, 1, QUERIES).await else { return };
                let line = match handle.query(query).await {
                    Ok(answer) => Writer::new().raw("id", &id).raw("answer", &answer.put()),
                    Err(error) => Writer::new().raw("id", &id).raw("error", &error.put()),
                };
                let _it_may_have_left = outbox.send(line.end()).await;
            });
        } else if let Some(query) = object.raw("telemetry").and_then(TelemetryQuery::get) {
            let (handle, queries) = (self.handle.clone(), self.queries.clone());
            self.spawn(async move {
                let _held = held;
                let Ok(_turn) = permit(&queries, 1, QUERIES).await else { return };
                let line = match handle.telemetry(query).await {
                    Ok(answer) => Writer::new().raw("id", &id).raw("telemetry", &answer.put()),
                    Err(error) => Writer::new().raw("id", &id).raw("error", &error.put()),
                };
                let _it_may_have_left = outbox.send(line.end()).await;
            });
        } else if let Some(job) = object.raw("follow").and_then(JobId::get) {
            // A timeline lasts as long as its job, so it has a limit of its own.
            drop(held);
            self.follow(id, job).await?;
        } else {
            let words = string("not understood");
            let refusal = format!("{{\"what\":\"not now\",\"text\":{words}}}");
            outbox.send(Writer::new().raw("id", &id).raw("refusal", &refusal).end()).await?;
        }
        Ok(())
    }

    async fn follow(&mut self, id: String, job: JobId) -> Result<(), Gone> {
        self.follows.retain(|(_, task)| !task.is_finished());
        if self.follows.len() >= FOLLOWS
            && let Some((oldest, task)) = self.follows.pop_front()
        {
            task.abort();
            self.outbox.send(end_of_timeline(&oldest)).await?;
        }
        let (handle, outbox, of) = (self.handle.clone(), self.outbox.clone(), id.clone());
        let task = self.spawn(async move {
            let _it_may_have_left = send_timeline(&handle, job, &of, &outbox).await;
        });
        self.follows.push_back((id, task));
        Ok(())
    }
}

async fn submit(handle: &Handle, intent: Intent, id: &str, outbox: &Outbox) {
    let submitted = handle.submit(intent).await;
    // The client waits for the rows of this revision before it passes the receipt on.
    let rev = handle.snapshot().rev.put();
    let line = match submitted {
        Ok(receipt) => Writer::new().raw("id", id).raw("rev", &rev).raw("receipt", &receipt.put()),
        Err(refusal) => Writer::new().raw("id", id).raw("rev", &rev).raw("refusal", &refusal.put()),
    };
    let _it_may_have_left = outbox.send(line.end()).await;
}

/// Sends the timeline of a job from its beginning, then as it grows.
async fn send_timeline(handle: &Handle, job: JobId, id: &str, outbox: &Outbox) -> Result<(), Gone> {
    let mut follow = match handle.follow(job).await {
        Ok(follow) => follow,
        Err(error) => return outbox.send(Writer::new().raw("id", id).raw("error", &error.put()).end()).await,
    };
    for facts in follow.facts.chunks(rows::ROWS) {
        let timeline = array(facts.iter().map(Record::put));
        outbox.send(Writer::new().raw("id", id).raw("story", &timeline).end()).await?;
    }
    let began = Writer::new().raw("id", id).flag("began", true).raw("until", &follow.until.put()).end();
    outbox.send(began).await?;
    while let Some(fact) = follow.more.recv().await {
        outbox.send(Writer::new().raw("id", id).raw("fact", &fact.put()).end()).await?;
    }
    outbox.send(end_of_timeline(id)).await
}

fn end_of_timeline(id: &str) -> String {
    Writer::new().raw("id", id).flag("end", true).end()
}
