//! The HTTP side of the registry: connections, their bounds, and one answer a request.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener as Bound};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
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
/// Who is refused may send on for so long, and so much.
const PATIENCE: Duration = Duration::from_secs(2);
const PATIENCE_BYTES: usize = 8 * 1024 * 1024;
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
    let mut connection = std::pin::pin!(connection);
    let ended = match tokio::time::timeout(LIFE, connection.as_mut()).await {
        Ok(ended) => ended,
        Err(_) => {
            // What is under way is answered, and nothing more.
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(READ + ANSWER, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection of the registry ended");
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    desk: Arc<Desk>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, mut body) = request.into_parts();
    let (route, method) = (routes::route(head.uri.path()), routes::method_word(&head.method));
    let name = route.as_ref().map_or("none", |route| route.name());
    let admitted = match routes::admit(&desk.writers, route, &head, peer) {
        Ok(route) if routes::takes_body(&route, &head.method) => {
            read_body(&head, &mut body).await.map(|text| (route, text))
        }
        other => other.map(|route| (route, String::new())),
    };
    let reply = match admitted {
        Err(reply) => {
            hear_out(&head, body).await;
            reply
        }
        Ok((route, body)) => {
            let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
            let ask = Ask { route, method: head.method, query: head.uri.query(), host, body };
            tokio::time::timeout(ANSWER, desk.answer(ask)).await.unwrap_or_else(|_| busy())
        }
    };
    desk.requests.count(name, method, reply.status.as_u16());
    Ok(respond(reply))
}

async fn read_body(head: &Parts, body: &mut Incoming) -> Result<String, Reply> {
    let length =
        head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > LARGEST as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let read = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Err(Reply::bad_request("the body ended in the middle")) };
            let data = frame.into_data().unwrap_or_default();
            if bytes.len() + data.len() > LARGEST {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(())
    };
    let late = || {
        let message = "the body did not come within 10 s";
        Reply::error(StatusCode::REQUEST_TIMEOUT, "QUARTERDECK_ERR_TIMEOUT", message, None)
    };
    tokio::time::timeout(READ, read).await.unwrap_or_else(|_| Err(late()))?;
    String::from_utf8(bytes).map_err(|_| Reply::bad_request("the body is not UTF-8"))
}

fn too_large() -> Reply {
    Reply::error(
        StatusCode::PAYLOAD_TOO_LARGE,
        "QUARTERDECK_ERR_TOO_LARGE",
        "the body is larger than 1 MiB",
        Some("register the URL of a large card instead of the card"),
    )
}

/// Lets who is refused send to its end, for a while: many clients read no answer before, and closing earlier
/// would reset the connection under it. Who asks first whether to send needs no patience.
async fn hear_out(head: &Parts, mut body: Incoming) {
    if head.headers.contains_key(EXPECT) {
        return;
    }
    let mut heard = 0;
    let hear = async {
        while let Some(Ok(frame)) = body.frame().await {
            heard += frame.data_ref().map_or(0, Bytes::len);
            if heard > PATIENCE_BYTES {
                return;
            }
        }
    };
    let _it_was_refused_anyway = tokio::time::timeout(PATIENCE, hear).await;
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
