//! The HTTP side of the registry: connections, their bounds, and one answer a request.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener as Bound};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Registry;
use super::access::Writers;
use super::metrics::Requests;
use super::routes::{self, Ask, Desk, Reply};
use crate::config::secret::Secret;
use crate::engine::Handle;

/// Connections at once. Full: who comes is told so and closed.
const CONNECTIONS: usize = 1000;
/// A body that is larger is refused.
const LARGEST: usize = 1024 * 1024;
/// The headers of a request together, and their number.
const HEAD: usize = 64 * 1024;
const HEADERS: usize = 100;
/// Headers, and a body, come within this time; an idle connection is closed after it.
const READ: Duration = Duration::from_secs(10);
/// A request is answered within this time.
const ANSWER: Duration = Duration::from_secs(10);
/// No connection is kept longer, so that nobody holds one by not reading.
const LIFE: Duration = Duration::from_secs(300);

/// A registry that others can ask. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Serving {
    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Takes a port; nothing is answered yet.
///
/// # Errors
/// The address is taken, or is none of this machine.
pub fn bind(address: SocketAddr) -> io::Result<Bound> {
    let bound = Bound::bind(address)?;
    bound.set_nonblocking(true)?;
    Ok(bound)
}

/// Answers requests, ends leases, and tells the engine, until it is dropped.
///
/// # Errors
/// The port cannot be used.
pub fn serve(
    bound: Bound,
    registry: Registry,
    handle: &Handle,
    token: Option<&Secret>,
) -> io::Result<Serving> {
    let address = bound.local_addr()?;
    let listener = TcpListener::from_std(bound)?;
    let desk = Arc::new(Desk {
        registry: registry.clone(),
        fleet: handle.watch(),
        index: std::sync::Mutex::default(),
        readers: Semaphore::new(2),
        writers: Writers::new(token),
        address,
        requests: Requests::default(),
        connections: AtomicU64::new(0),
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(registry.keep());
    tasks.spawn(accept(listener, desk));
    Ok(Serving { address, _tasks: tasks })
}

async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((socket, peer)) = accepted else {
            // No file is left, or the connection was gone already.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            turn_away(&socket);
            continue;
        };
        let desk = desk.clone();
        connections.spawn(async move {
            desk.connections.fetch_add(1, Ordering::Relaxed);
            converse(socket, peer, &desk).await;
            desk.connections.fetch_sub(1, Ordering::Relaxed);
            drop(place);
        });
    }
}

fn turn_away(socket: &TcpStream) {
    let body = busy().body;
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let _it_has_no_right_to_one = socket.try_write(answer.as_bytes());
}

fn busy() -> Reply {
    Reply::error(
        StatusCode::SERVICE_UNAVAILABLE,
        "QUARTERDECK_ERR_BUSY",
        "the registry has no time left for this request",
        Some("try again in a second"),
    )
}

async fn converse(socket: TcpStream, peer: SocketAddr, desk: &Arc<Desk>) {
    let _late_is_better_than_never = socket.set_nodelay(true);
    let service = service_fn(|request| answer(request, peer, desk.clone()));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ)
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(socket), service);
    if let Ok(Err(error)) = tokio::time::timeout(LIFE, connection).await {
        tracing::trace!(%error, "a connection of the registry ended");
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    desk: Arc<Desk>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let (route, method) = (routes::route(head.uri.path()), routes::method_word(&head.method));
    let name = route.as_ref().map_or("none", |route| route.name());
    let reply = match routes::admit(&desk.writers, route, &head, peer) {
        Err(reply) => reply,
        Ok(route) => match read_body(routes::takes_body(&route, &head.method), &head, body).await {
            Err(reply) => reply,
            Ok(body) => {
                let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
                let ask = Ask { route, method: head.method, query: head.uri.query(), host, body };
                tokio::time::timeout(ANSWER, desk.answer(ask)).await.unwrap_or_else(|_| busy())
            }
        },
    };
    desk.requests.count(name, method, reply.status.as_u16());
    Ok(respond(reply))
}

async fn read_body(takes: bool, head: &http::request::Parts, body: Incoming) -> Result<String, Reply> {
    if !takes {
        return Ok(String::new());
    }
    let too_large = || {
        Reply::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "QUARTERDECK_ERR_TOO_LARGE",
            "the body is larger than 1 MiB",
            Some("register the URL of a large card instead of the card"),
        )
    };
    let length =
        head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > LARGEST as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(READ, Limited::new(body, LARGEST).collect()).await {
        Err(_) => Err(Reply::error(
            StatusCode::REQUEST_TIMEOUT,
            "QUARTERDECK_ERR_TIMEOUT",
            "the body did not come within 10 s",
            None,
        )),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Reply::bad_request("the body ended in the middle")),
        Ok(Ok(body)) => {
            String::from_utf8(body.to_bytes().into()).map_err(|_| Reply::bad_request("the body is not UTF-8"))
        }
    }
}

fn respond(reply: Reply) -> Response<Full<Bytes>> {
    let Reply { status, kind, body, allow } = reply;
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if status != StatusCode::NO_CONTENT {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if let Some(allow) = allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"quarterdeck registry\""));
    }
    response
}

/// Why a port could not be taken, in words for an operator.
pub fn in_words(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!("{address} is in use by another program"),
        ErrorKind::AddrNotAvailable => format!("{address} is no address of this machine"),
        ErrorKind::PermissionDenied => format!("{address} may not be listened on by this user"),
        _ => format!("{address} cannot be listened on: {error}"),
    }
}
