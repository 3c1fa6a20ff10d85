//! The HTTP side of an embedded agent: a port that can really die and come back.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame as BodyFrame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use super::agent::Agent;
use super::answer::{Answer, Encoder, Pieces};
use super::fault::Fault;
use super::tasks::Frame;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Request bodies over this many bytes are refused.
const LARGEST: usize = 8 * 1024 * 1024;
/// Between keep-alive comments of a stream, as one SDK sends them.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A listening port, bound and not yet served.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// A port that refuses connections: it is bound, so that no other process gets it, but never listened on.
pub(super) fn refuse(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(address)?;
    Ok(socket)
}

/// Serves an agent until the task is aborted. Then its port refuses connections, and open ones are cut.
pub(super) async fn serve(listener: TcpListener, agent: Arc<Agent>, url: Arc<str>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((socket, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if agent.fault == Some(Fault::Frozen) {
            connections.spawn(async move {
                let _held_open = socket;
                std::future::pending::<()>().await;
            });
            continue;
        }
        let _late_is_better_than_never = socket.set_nodelay(true);
        let (agent, url) = (agent.clone(), url.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| handle(request, agent.clone(), url.clone()));
            let http = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(socket), service)
                .await;
            if let Err(error) = http {
                tracing::trace!(%error, "an embedded agent's connection ended");
            }
        });
    }
}

async fn handle(
    request: Request<Incoming>,
    agent: Arc<Agent>,
    url: Arc<str>,
) -> Result<Response<Body>, Infallible> {
    match agent.fault {
        Some(Fault::Slow) => tokio::time::sleep(Duration::from_secs(5)).await,
        Some(Fault::Login) if !request.uri().path().starts_with("/demo/") => {
            let mut response = document(StatusCode::UNAUTHORIZED, "text/plain", "who are you?".into());
            let challenge = http::HeaderValue::from_static("Bearer realm=\"demo\"");
            response.headers_mut().insert(http::header::WWW_AUTHENTICATE, challenge);
            return Ok(response);
        }
        _ => {}
    }
    let answers_after = agent.condition().answers_after;
    if answers_after > 0.0 {
        agent.sleep(answers_after).await;
    }
    let (head, body) = request.into_parts();
    Ok(match (head.method.as_str(), head.uri.path()) {
        ("GET", "/.well-known/agent-card.json") => {
            let card = match agent.part.behaviour.on_wire().card(&agent, &url) {
                Answer::Document(card) => card,
                other => return Ok(respond(other)),
            };
            let etag = format!("\"{:016x}\"", crate::domain::job::message::text_hash(&card));
            let known = head
                .headers
                .get(http::header::IF_NONE_MATCH)
                .is_some_and(|known| known.as_bytes() == etag.as_bytes());
            let mut response = if known {
                document(StatusCode::NOT_MODIFIED, "application/json", String::new())
            } else {
                document(StatusCode::OK, "application/json", card)
            };
            if let Ok(etag) = http::HeaderValue::from_str(&etag) {
                response.headers_mut().insert(http::header::ETAG, etag);
            }
            response
        }
        ("GET", "/demo/received") => document(StatusCode::OK, "application/json", agent.received()),
        ("GET", "/demo/ran") => document(StatusCode::OK, "application/json", agent.ran()),
        ("POST", "/demo/die") if agent.is_asked_by_its_engine(&head.headers) => die(&agent, body).await,
        ("POST", "/demo/die") => {
            document(StatusCode::FORBIDDEN, "text/plain", "only the engine of this demo may ask that".into())
        }
        ("POST", "/") => match Limited::new(body, LARGEST).collect().await {
            Ok(body) => {
                let body = body.to_bytes();
                let version = head.headers.get("a2a-version").and_then(|value| value.to_str().ok());
                let caller =
                    head.headers.get("traceparent").and_then(|value| value.to_str().ok()?.parse().ok());
                respond(agent.answer(&String::from_utf8_lossy(&body), version, caller).await)
            }
            Err(_) => document(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", "too large".into()),
        },
        _ => document(StatusCode::NOT_FOUND, "text/plain", "Not Found".into()),
    })
}

/// The agent dies for so many seconds: a drill kills it for real. It comes back by itself.
async fn die(agent: &Agent, body: Incoming) -> Response<Body> {
    let body = Limited::new(body, LARGEST).collect().await.map(http_body_util::Collected::to_bytes);
    let asked: Option<serde_json::Value> = body.ok().and_then(|body| serde_json::from_slice(&body).ok());
    let seconds = asked.and_then(|asked| asked["seconds"].as_u64());
    let (status, answer) = match seconds {
        Some(seconds @ 1..=600) if agent.die(Duration::from_secs(seconds)) => (StatusCode::ACCEPTED, "{}"),
        Some(1..=600) => (StatusCode::SERVICE_UNAVAILABLE, "too many agents are dying"),
        _ => (StatusCode::BAD_REQUEST, "seconds is a number from 1 to 600"),
    };
    document(status, "application/json", answer.into())
}

fn respond(answer: Answer) -> Response<Body> {
    match answer {
        Answer::Document(text) => document(StatusCode::OK, "application/json", text),
        Answer::Pieces(pieces) => in_pieces(pieces),
        Answer::Gzip(bytes) => {
            let mut response = document(StatusCode::OK, "application/json", String::new());
            *response.body_mut() = Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
            let gzip = http::HeaderValue::from_static("gzip");
            response.headers_mut().insert(http::header::CONTENT_ENCODING, gzip);
            response
        }
        Answer::Stream(frames, encode) => event_stream(frames, encode),
    }
}

fn in_pieces(pieces: Pieces) -> Response<Body> {
    let frames = stream::iter(pieces.map(|piece| Ok(BodyFrame::data(piece))));
    let mut response = document(StatusCode::OK, "application/json", String::new());
    *response.body_mut() = StreamBody::new(frames).boxed_unsync();
    response
}

fn document(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

struct Sse {
    frames: tokio::sync::mpsc::Receiver<Frame>,
    encode: Encoder,
    broken: bool,
}

fn event_stream(frames: tokio::sync::mpsc::Receiver<Frame>, encode: Encoder) -> Response<Body> {
    let state = Sse { frames, encode, broken: false };
    let frames = stream::unfold(state, |mut state| async move {
        if state.broken {
            // An error here makes the server cut the connection without ending the body.
            state.broken = false;
            return Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), state));
        }
        let frame = match tokio::time::timeout(KEEP_ALIVE, state.frames.recv()).await {
            Ok(frame) => frame?,
            Err(_) => return Some((Ok(BodyFrame::data(Bytes::from_static(b": ping\n\n"))), state)),
        };
        state.broken = matches!(frame, Frame::Cut(_));
        let text = (state.encode)(&frame)?;
        Some((Ok(BodyFrame::data(Bytes::from(text))), state))
    });
    let frames: Pin<Box<dyn futures_util::Stream<Item = io::Result<BodyFrame<Bytes>>> + Send>> =
        Box::pin(frames);
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/event-stream"));
    headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-cache"));
    response
}
