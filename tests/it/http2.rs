//! Streams of agents behind TLS: many on one connection where they offer HTTP/2, and never more than they take.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use quarterdeck::domain::agent::{AgentSpec, Source};
use quarterdeck::domain::id::AttemptId;
use quarterdeck::domain::intent::Intent;
use quarterdeck::domain::job::Task;
use quarterdeck::domain::job::task::TaskState;
use quarterdeck::engine::credentials::CredentialBook;
use quarterdeck::engine::{Engine, Handle};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::credentials::{self, Authority};
use crate::support::{engine_on, rules, send, task_of, until};

/// Tasks that an agent has at once.
const TASKS: usize = 10;

/// What became of an agent's tasks.
struct Seen {
    /// It streams; else it answers when all are there.
    streaming: bool,
    all: Barrier,
    streams: AtomicUsize,
    /// Connections that had a stream.
    connections: AtomicUsize,
    /// The most streams that a connection had at once.
    most: AtomicUsize,
    canceled: Mutex<HashSet<String>>,
}

/// An agent over TLS whose tasks work until they are canceled.
struct Agent {
    url: String,
    seen: Arc<Seen>,
}

/// One connection to it.
#[derive(Clone)]
struct Line {
    url: Arc<str>,
    seen: Arc<Seen>,
    /// Its streams now.
    streams: Arc<AtomicUsize>,
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

impl Agent {
    /// With HTTP/2 it takes so many streams on a connection.
    async fn open(mut tls: ServerConfig, http2: Option<u32>, streaming: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        let seen = Arc::new(Seen {
            streaming,
            all: Barrier::new(TASKS),
            streams: AtomicUsize::default(),
            connections: AtomicUsize::default(),
            most: AtomicUsize::default(),
            canceled: Mutex::default(),
        });
        let offers: &[&[u8]] = if http2.is_some() { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        tls.alpn_protocols = offers.iter().map(|name| name.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let (own, kept) = (Arc::<str>::from(url.as_str()), seen.clone());
        tokio::spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                let line = Line { url: own.clone(), seen: kept.clone(), streams: Arc::default() };
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(socket) = acceptor.accept(socket).await else { return };
                    let socket = TokioIo::new(socket);
                    let service = service_fn(move |request| {
                        let line = line.clone();
                        async move { Ok::<_, Infallible>(line.answer(request).await) }
                    });
                    let _it_may_hang_up = match http2 {
                        Some(most) => {
                            let mut http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                            http.max_concurrent_streams(most).serve_connection(socket, service).await
                        }
                        None => {
                            hyper::server::conn::http1::Builder::new().serve_connection(socket, service).await
                        }
                    };
                });
            }
        });
        Self { url, seen }
    }
}

/// A stream that somebody reads.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Line {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        if path.ends_with(".json") {
            return document(&card(&self.url, self.seen.streaming));
        }
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let named = request["params"]["id"].as_str().unwrap_or_default();
        let answered = |result: Value| json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
        if request["method"] == "SendMessage" {
            self.seen.all.wait().await;
            let number = self.seen.streams.fetch_add(1, Ordering::SeqCst);
            let task = task(&format!("t-{number}"), "TASK_STATE_COMPLETED");
            return document(&answered(json!({"task": task})));
        }
        let mut canceled = self.seen.canceled.lock().unwrap();
        document(&answered(match request["method"].as_str() {
            Some("SendStreamingMessage") => {
                let number = self.seen.streams.fetch_add(1, Ordering::SeqCst);
                let task = task(&format!("t-{number}"), "TASK_STATE_WORKING");
                return self.stream(&answered(json!({"task": task})));
            }
            Some("CancelTask") => {
                canceled.insert(named.to_owned());
                task(named, "TASK_STATE_CANCELED")
            }
            Some("GetTask") if canceled.contains(named) => task(named, "TASK_STATE_CANCELED"),
            Some("GetTask") => task(named, "TASK_STATE_WORKING"),
            _ => json!({"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}),
        }))
    }

    /// One event, and then nothing.
    fn stream(&self, event: &Value) -> Answer {
        let now = self.streams.fetch_add(1, Ordering::SeqCst) + 1;
        if now == 1 {
            self.seen.connections.fetch_add(1, Ordering::SeqCst);
        }
        self.seen.most.fetch_max(now, Ordering::SeqCst);
        let open = Open(self.streams.clone());
        let event = Bytes::from(format!("data: {event}\n\n"));
        let events = stream::iter([Ok(Frame::data(event))]).chain(stream::pending()).map(move |event| {
            let _until_it_is_dropped = &open;
            event
        });
        let body = BodyExt::boxed(StreamBody::new(events));
        Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
    }
}

fn document(value: &Value) -> Answer {
    let body = Full::new(Bytes::from(value.to_string())).boxed();
    Response::builder().header("content-type", "application/json").body(body).unwrap()
}

fn task(id: &str, state: &str) -> Value {
    json!({"id": id, "contextId": "c-1", "status": {"state": state}})
}

fn card(url: &str, streaming: bool) -> Value {
    let mut card: Value =
        serde_json::from_str(&credentials::card(url, "works until it is canceled")).unwrap();
    card["capabilities"]["streaming"] = streaming.into();
    card
}

/// All its tasks at once.
async fn tasks(handle: &Handle) -> Vec<AttemptId> {
    let sent = join_all((0..TASKS).map(|_| send(handle, "strict", "work"))).await;
    sent.into_iter().map(|(_, attempt)| attempt).collect()
}

/// An engine that watches one agent and trusts its authority.
fn engine(agent: &Agent, authority: &Authority) -> (Engine, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let mut access = CredentialBook::default();
    access.set_ca(ca);
    let spec = AgentSpec::at(agent.url.as_str(), Source::Config);
    (engine_on(vec![spec], access, None, rules()), dir)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_streams_than_a_connection_takes_block_nothing() {
    let authority = Authority::new();
    for (http2, connections, most) in [(None, 10, 1), (Some(4), 3, 4), (Some(1), 10, 1), (Some(1000), 1, 10)]
    {
        let agent = Agent::open(authority.server("localhost", (2040, 1, 1)), http2, true).await;
        let (engine, _dir) = engine(&agent, &authority);
        let handle = engine.handle();
        let attempts = tasks(&handle).await;
        for attempt in &attempts {
            until(&handle, "each at work", |snapshot| task_of(snapshot, *attempt).map(|_| ())).await;
        }
        let first = attempts[0];
        handle.submit(Intent::Cancel { attempt: first, why: None }).await.unwrap();
        let canceled = |task: &Task| (task.state == TaskState::Canceled).then_some(());
        until(&handle, "a cancel beside them", |snapshot| canceled(task_of(snapshot, first)?)).await;
        let seen = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        let counts = (seen(&agent.seen.streams), seen(&agent.seen.connections), seen(&agent.seen.most));
        assert_eq!(counts, (TASKS, connections, most), "{http2:?}");
        engine.stop().await;
    }
}

/// An agent that does not stream answers when the work is done, and takes two requests at once on a connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_messages_than_a_connection_takes_are_all_sent() {
    let authority = Authority::new();
    let agent = Agent::open(authority.server("localhost", (2040, 1, 1)), Some(2), false).await;
    let (engine, _dir) = engine(&agent, &authority);
    let handle = engine.handle();
    for attempt in tasks(&handle).await {
        let done = |task: &Task| (task.state == TaskState::Completed).then_some(());
        until(&handle, "each done", |snapshot| done(task_of(snapshot, attempt)?)).await;
    }
    engine.stop().await;
}
