//! The exporter of a fleet: a bounded queue, and a batch about every second to a receiver of OTLP.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::domain::id::AgentKey;
use crate::net::tap::{Method, TapHandle};
use crate::net::{Access, Net};
use crate::telemetry::model::{LogRecord, Resource, Span};
use crate::telemetry::otlp::encode;

/// Items that wait, at most; what comes while it is full is dropped and counted.
const QUEUE: usize = 2048;
/// Items of one request, at most.
const BATCH: usize = 512;
/// The longest that an item waits for others.
const FLUSH: Duration = Duration::from_secs(1);
/// A batch that is not taken within this is dropped: nothing is sent again.
const LIMIT: Duration = Duration::from_secs(5);

/// What is sent.
#[derive(Debug)]
pub(in crate::demo) enum Item {
    Span(Span),
    Log(LogRecord),
}

/// Takes what agents send. Clones share it.
#[derive(Clone, Debug)]
pub(in crate::demo) struct Exporter {
    /// Each with whether its body is broken on the way.
    queue: mpsc::Sender<(Item, bool)>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where the receiver is; until that is known, nothing is kept.
    receiver: OnceLock<SocketAddr>,
    dropped: AtomicU64,
}

/// What `export` works on.
#[derive(Debug)]
pub(in crate::demo) struct Queue {
    items: mpsc::Receiver<(Item, bool)>,
    state: Arc<State>,
}

impl Exporter {
    /// An exporter and its queue.
    pub fn new() -> (Self, Queue) {
        let (queue, items) = mpsc::channel(QUEUE);
        let state = Arc::<State>::default();
        (Self { queue, state: state.clone() }, Queue { items, state })
    }

    /// Sends to this receiver from now on; the first one counts.
    pub fn send_to(&self, receiver: SocketAddr) {
        let _the_first_counts = self.state.receiver.set(receiver);
    }

    /// Items that did not fit into the queue, or that the receiver did not take.
    pub fn dropped(&self) -> u64 {
        self.state.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn put(&self, item: Item, broken: bool) {
        if self.state.receiver.get().is_some() && self.queue.try_send((item, broken)).is_err() {
            self.state.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The items of one request of each kind.
#[derive(Debug, Default)]
struct Batch {
    spans: Vec<Span>,
    logs: Vec<LogRecord>,
}

impl Batch {
    fn len(&self) -> usize {
        self.spans.len() + self.logs.len()
    }

    fn add(&mut self, item: Item) {
        match item {
            Item::Span(span) => self.spans.push(span),
            Item::Log(record) => self.logs.push(record),
        }
    }

    /// The requests of the batch, each with its path and the number of its items.
    fn requests(&mut self) -> Vec<(&'static str, Vec<u8>, usize)> {
        let mut requests = Vec::new();
        let service = |resource: &Resource| resource.service();
        if !self.spans.is_empty() {
            // Items of one resource are written together only if they follow each other.
            self.spans.sort_by_key(|span| service(&span.resource));
            requests.push(("/v1/traces", encode::spans(&self.spans), self.spans.len()));
        }
        if !self.logs.is_empty() {
            self.logs.sort_by_key(|record| service(&record.resource));
            requests.push(("/v1/logs", encode::logs(&self.logs), self.logs.len()));
        }
        *self = Self::default();
        requests
    }
}

/// Sends what is put into the queue, until every exporter of it is gone.
pub(in crate::demo) async fn export(queue: Queue, net: Net) {
    let Queue { mut items, state } = queue;
    let line = net.tap().line(AgentKey(0), 0, Method::Notify, None);
    let mut ticks = tokio::time::interval(FLUSH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut good, mut broken) = (Batch::default(), Batch::default());
    loop {
        tokio::select! {
            item = items.recv() => {
                let Some((item, is_broken)) = item else { return };
                let batch = if is_broken { &mut broken } else { &mut good };
                batch.add(item);
                if batch.len() < BATCH {
                    continue;
                }
            }
            _ = ticks.tick() => {}
        }
        let Some(receiver) = state.receiver.get() else { continue };
        for (path, body, _) in broken.requests() {
            // Cut within its last field, as by an exporter that ends in the middle of writing.
            let cut = body[..body.len().saturating_sub(1)].to_vec();
            let _it_never_learns = post(&net, &line, *receiver, path, cut).await;
        }
        for (path, body, items) in good.requests() {
            if post(&net, &line, *receiver, path, body).await.is_err() {
                state.dropped.fetch_add(items as u64, Ordering::Relaxed);
            }
        }
    }
}

async fn post(net: &Net, line: &TapHandle, to: SocketAddr, path: &str, body: Vec<u8>) -> Result<(), ()> {
    let url = format!("http://{to}{path}");
    let sent = net.post(&Access::open(&url), line, &url, "application/x-protobuf", body, LIMIT).await;
    sent.map_err(|cause| tracing::debug!(%cause, "telemetry of embedded agents was not taken"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::model::{Severity, UnixNanos, Value};

    fn record() -> Item {
        Item::Log(LogRecord {
            at: UnixNanos(1),
            severity: Severity::Info,
            body: Value::Empty,
            attributes: Vec::new(),
            trace: None,
            span: None,
            dropped: 0,
            resource: Arc::default(),
            scope: "".into(),
        })
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let (exporter, mut queue) = Exporter::new();
        exporter.put(record(), false);
        assert!(queue.items.try_recv().is_err(), "nobody receives it yet");
        exporter.send_to(([127, 0, 0, 1], 1).into());
        for _ in 0..QUEUE + 3 {
            exporter.put(record(), false);
        }
        assert_eq!(exporter.dropped(), 3);
    }

    /// A receiver that is not there costs what was sent to it, and nothing waits for it.
    #[tokio::test]
    async fn what_nobody_takes_is_dropped_and_counted() {
        let (exporter, queue) = Exporter::new();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        exporter.send_to(port);
        exporter.put(record(), false);
        let redactor = crate::net::Redactor::default();
        let tap = crate::net::tap::Tap::new(Arc::new(crate::net::clock::Clock::start()), redactor.clone());
        let worker = tokio::spawn(export(queue, Net::new(redactor, tap)));
        let counted = tokio::time::timeout(Duration::from_secs(20), async {
            while exporter.dropped() == 0 {
                tokio::task::yield_now().await;
            }
        });
        counted.await.expect("it is counted");
        drop(exporter);
        worker.await.unwrap();
    }
}
