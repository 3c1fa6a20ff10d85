//! The table of docs/health.md: each thing that happens to an agent is called by its name, within its time, of
//! nobody else, and it is over when it is over.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use quarterdeck::config::Agent;
use quarterdeck::demo::Behaviour;
use quarterdeck::domain::agent::breaker::{BreakerRules, BreakerState};
use quarterdeck::domain::agent::{Health, Source};
use quarterdeck::domain::input::Rules;
use quarterdeck::domain::intent::{Intent, Refusal, Remedy};
use quarterdeck::domain::problem::Kind;
use quarterdeck::domain::state::snapshot::Snapshot;
use quarterdeck::engine::credentials::CredentialBook;
use quarterdeck::engine::{Engine, Handle};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::credentials::Authority;
use crate::support::{agent_of, engine_on, engine_with, fleet, known, part, rules, send, try_send, until};

/// What happens to an agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Well,
    Refused,
    Frozen,
    Vanished,
    Slow,
    Expired,
    Failing,
    Login,
}

/// An agent to which things happen.
struct Patient {
    url: String,
    fate: watch::Sender<Fate>,
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(1).unwrap()
}

impl Patient {
    fn admit(tls: Option<(TlsAcceptor, TlsAcceptor)>) -> Self {
        let listener = listen("127.0.0.1:0".parse().unwrap());
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https://localhost" } else { "http://127.0.0.1" };
        let url = format!("{scheme}:{}", address.port());
        let (fate, seen) = watch::channel(Fate::Well);
        tokio::spawn(live(listener, address, url.clone(), tls, seen));
        Self { url, fate }
    }

    fn meets(&self, fate: Fate) {
        self.fate.send_replace(fate);
    }
}

async fn live(
    mut listener: TcpListener,
    address: SocketAddr,
    url: String,
    tls: Option<(TlsAcceptor, TlsAcceptor)>,
    mut fate: watch::Receiver<Fate>,
) {
    loop {
        let now = *fate.borrow_and_update();
        match now {
            Fate::Refused => {
                drop(listener);
                if fate.wait_for(|fate| *fate != Fate::Refused).await.is_err() {
                    return;
                }
                listener = listen(address);
                continue;
            }
            Fate::Vanished => {
                // Nobody accepts, and the backlog is full: what comes now is never answered.
                let mut crowd = Vec::new();
                while let Ok(Ok(one)) =
                    tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
                {
                    crowd.push(one);
                }
                if fate.wait_for(|fate| *fate != Fate::Vanished).await.is_err() {
                    return;
                }
                continue;
            }
            _ => {}
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            changed = fate.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let Ok((socket, _)) = accepted else { continue };
        let (url, fate, tls) = (url.clone(), fate.clone(), tls.clone());
        tokio::spawn(async move {
            let at_first = *fate.borrow();
            // A process that dies, or gets another certificate, takes its connections with it.
            let mut end = fate.clone();
            let over = async move {
                let over = |fate: &Fate| {
                    *fate == Fate::Refused || (*fate == Fate::Expired && at_first != Fate::Expired)
                };
                let _the_test_is_over = end.wait_for(over).await;
            };
            let service = service_fn(move |request| answer(request, url.clone(), fate.clone()));
            let http = hyper::server::conn::http1::Builder::new();
            let serve = async {
                match tls {
                    Some((good, expired)) => {
                        let acceptor = if at_first == Fate::Expired { expired } else { good };
                        let Ok(stream) = acceptor.accept(socket).await else { return };
                        let _it_may_hang_up = http.serve_connection(TokioIo::new(stream), service).await;
                    }
                    None => {
                        let _it_may_hang_up = http.serve_connection(TokioIo::new(socket), service).await;
                    }
                }
            };
            tokio::select! {
                () = serve => {}
                () = over => {}
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    url: String,
    mut fate: watch::Receiver<Fate>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let silent = |fate: &Fate| matches!(fate, Fate::Frozen | Fate::Vanished);
    if silent(&fate.borrow()) {
        let _the_test_is_over = fate.wait_for(|fate| !silent(fate)).await;
    }
    let now = *fate.borrow();
    if now == Fate::Slow {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let is_card = request.uri().path().ends_with(".json");
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = if is_card {
        json!({
            "name": "patient", "description": "", "version": "1",
            "supportedInterfaces": [{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
            "capabilities": {"streaming": false}, "defaultInputModes": ["text/plain"],
            "defaultOutputModes": ["text/plain"],
            "skills": [{"id": "s", "name": "s", "description": "s", "tags": []}]
        })
    } else {
        let state = if now == Fate::Failing { "TASK_STATE_FAILED" } else { "TASK_STATE_COMPLETED" };
        let id = request["params"]["message"]["messageId"].as_str().unwrap_or("none");
        let task = json!({"id": format!("t-{id}"), "contextId": "c", "status": {"state": state}});
        let result = match request["method"].as_str() {
            Some("SendMessage") => json!({"task": task}),
            Some("ListTasks") => json!({"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}),
            _ => Value::Null,
        };
        match result {
            Value::Null => json!({"jsonrpc": "2.0", "id": request["id"],
                "error": {"code": -32001, "message": "Task not found"}}),
            result => json!({"jsonrpc": "2.0", "id": request["id"], "result": result}),
        }
    };
    let status = if now == Fate::Login { 401 } else { 200 };
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Full::new(Bytes::from(answer.to_string()))).unwrap())
}

/// An engine that watches a patient and somebody who is well.
fn watch_over(patient: &Patient, well: &Patient, ca: Option<&Path>) -> Engine {
    watch_over_with(patient, well, ca, rules())
}

fn watch_over_with(patient: &Patient, well: &Patient, ca: Option<&Path>, rules: Rules) -> Engine {
    let spec = |name: &str, url: &str| Agent { name: Some(name.into()), ..Agent::at(url) };
    let specs = [spec("patient", &patient.url), spec("well", &well.url)];
    let mut access = CredentialBook::default();
    if let Some(ca) = ca {
        access.set_ca(ca.to_owned());
    }
    engine_on(specs.iter().map(|agent| agent.spec(Source::Config)).collect(), access, None, rules)
}

/// The kinds of open problems, each with whom it is about.
fn problems(snapshot: &Snapshot) -> Vec<(Kind, String)> {
    let name = |key| snapshot.agents.get(key).map(|agent| agent.name.raw().to_owned()).unwrap_or_default();
    snapshot
        .open_problems()
        .map(|(_, problem)| (problem.kind, problem.agent.map(name).unwrap_or_default()))
        .collect()
}

async fn both_up(handle: &Handle) {
    until(handle, "both up", |snapshot| {
        let up = |name| agent_of(snapshot, name).is_some_and(|agent| agent.health == Health::Up);
        (up("patient") && up("well")).then_some(())
    })
    .await;
}

/// What happens, what it must be called, within which time, and whether the end of it is waited for.
async fn check(fate: Fate, kind: Kind, within: Duration, clears: bool) {
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let acceptor = |until| TlsAcceptor::from(Arc::new(authority.server("localhost", until)));
    let tls = (fate == Fate::Expired).then(|| (acceptor((2040, 1, 1)), acceptor((2021, 1, 1))));
    let (patient, well) = (Patient::admit(tls), Patient::admit(None));
    let engine = watch_over(&patient, &well, Some(&ca));
    let handle = engine.handle();
    both_up(&handle).await;
    patient.meets(fate);
    let begun = tokio::time::Instant::now();
    if fate == Fate::Refused {
        // The next call meets the refusal.
        let agent = known(&handle, "patient").await;
        handle.submit(Intent::CheckAgent { agent }).await.unwrap();
    }
    if fate == Fate::Failing {
        for number in 0..8 {
            assert_eq!(problems(&handle.snapshot()), [], "after {number}");
            send(&handle, "patient", "work").await;
            until(&handle, "a failed task", |snapshot| {
                (agent_of(snapshot, "patient")?.counts.failed > number).then_some(())
            })
            .await;
        }
    }
    let wanted = vec![(kind, "patient".to_owned())];
    until(&handle, &format!("{kind:?} of a patient that is {fate:?}"), |snapshot| {
        (problems(snapshot) == wanted).then_some(())
    })
    .await;
    let took = begun.elapsed();
    assert!(took < within, "{fate:?} took {took:?}, more than {within:?}");
    if clears {
        patient.meets(Fate::Well);
        until(&handle, &format!("the end of {kind:?}"), |snapshot| {
            problems(snapshot).is_empty().then_some(())
        })
        .await;
    }
    engine.stop().await;
}

/// 1.2 intervals and five seconds.
fn silence() -> Duration {
    rules().probe_interval * 6 / 5 + Duration::from_secs(5)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused() {
    check(Fate::Refused, Kind::AgentDown, Duration::from_secs(4), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen() {
    check(Fate::Frozen, Kind::AgentFrozen, silence(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vanished() {
    check(Fate::Vanished, Kind::AgentFrozen, silence(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow() {
    // That it is over after two minutes is held by the core's own tests.
    check(Fate::Slow, Kind::AgentSlow, Duration::from_secs(120), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_certificate() {
    check(Fate::Expired, Kind::CertificateBroken, silence(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing() {
    check(Fate::Failing, Kind::AgentFailing, Duration::from_secs(30), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login() {
    check(Fate::Login, Kind::LoginNeeded, silence(), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent() {
    let fleet = fleet(vec![part("patient", Behaviour::Silent), part("well", Behaviour::Steady)]);
    let quick = quarterdeck::domain::input::Rules { silent_after: Duration::from_secs(2), ..rules() };
    let engine = engine_with(&fleet, None, quick);
    let handle = engine.handle();
    both_up(&handle).await;
    for text in ["one", "two", "three"] {
        send(&handle, "patient", text).await;
        send(&handle, "well", text).await;
    }
    until(&handle, "one problem for three silent tasks", |snapshot| {
        let problem = snapshot.open_problems().map(|(_, problem)| problem).next()?;
        (problem.text.raw().contains("3 tasks")).then_some(())
    })
    .await;
    assert_eq!(problems(&handle.snapshot()), [(Kind::TaskSilent, "patient".to_owned())]);
    engine.stop().await;
}

/// The rows of the document are the tests of this file.
#[test]
fn the_document_names_every_row() {
    let text = std::fs::read_to_string("docs/health.md").unwrap();
    let rows: Vec<_> = text
        .lines()
        .filter(|line| line.contains("| `"))
        .map(|line| line.split('|').nth(1).unwrap().trim().replace(' ', "_"))
        .collect();
    let own = std::fs::read_to_string("tests/it/health.rs").unwrap();
    for row in &rows {
        assert!(own.contains(&format!("\nasync fn {row}() {{")), "no test is called {row}");
    }
    assert_eq!(rows.len(), 8, "{rows:?}");
}

/// Sends, and waits for the end of the task.
async fn work(handle: &Handle, ended: u32) {
    send(handle, "patient", "work").await;
    until(handle, "an ended task", |snapshot| {
        let counts = agent_of(snapshot, "patient")?.counts;
        (counts.failed + counts.completed >= ended).then_some(())
    })
    .await;
}

async fn stands(handle: &Handle, position: BreakerState) {
    until(handle, position.as_str(), |snapshot| {
        (agent_of(snapshot, "patient")?.breaker.position == position).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_opens_tries_one_and_closes() {
    let (patient, well) = (Patient::admit(None), Patient::admit(None));
    let quick = BreakerRules { open_for: Duration::from_secs(1), ..BreakerRules::default() };
    let engine = watch_over_with(&patient, &well, None, Rules { breaker: quick, ..rules() });
    let handle = engine.handle();
    both_up(&handle).await;
    patient.meets(Fate::Failing);
    for number in 1..=8 {
        work(&handle, number).await;
    }
    stands(&handle, BreakerState::Open).await;
    let refused = try_send(&handle, "patient", "more").await;
    assert!(
        matches!(&refused, Err(Refusal::Instead(why, Remedy::CloseBreaker)) if why.raw().contains("breaker is open")),
        "{refused:?}"
    );
    // The first trial fails, and the next wait is longer.
    stands(&handle, BreakerState::HalfOpen).await;
    work(&handle, 9).await;
    stands(&handle, BreakerState::Open).await;
    patient.meets(Fate::Well);
    stands(&handle, BreakerState::HalfOpen).await;
    work(&handle, 10).await;
    stands(&handle, BreakerState::Closed).await;
    for number in 11..=20 {
        work(&handle, number).await;
    }
    until(&handle, "no problem", |snapshot| problems(snapshot).is_empty().then_some(())).await;
    // By hand: nothing is sent, whatever it does.
    let agent = known(&handle, "patient").await;
    let hold = |to| Intent::Breaker { agent, to, why: None, by: "sam".into() };
    handle.submit(hold(Some(BreakerState::Open))).await.unwrap();
    assert!(try_send(&handle, "patient", "more").await.is_err());
    until(&handle, "the problem", |snapshot| {
        (problems(snapshot) == [(Kind::BreakerOpen, "patient".to_owned())]).then_some(())
    })
    .await;
    handle.submit(hold(None)).await.unwrap();
    work(&handle, 21).await;
    until(&handle, "no problem", |snapshot| problems(snapshot).is_empty().then_some(())).await;
    engine.stop().await;
}
