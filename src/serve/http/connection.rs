//! One connection: its deadlines, and one reply to each request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::access::{self, Refused};
use super::listener::Shared;
use super::route::{Body, Call, Cancelled, Found, GrpcStatus, Reply, Route};

/// Headers of a request: bytes together, and their number.
const HEAD_BYTES: usize = 32 * 1024;
const HEADERS: usize = 100;
/// Requests at once of one connection of HTTP/2.
const STREAMS: u32 = 32;
/// The time and size for which a refused client may keep sending, so that it reads the refusal instead of a reset.
const DRAIN: Duration = Duration::from_secs(2);
const DRAIN_BYTES: usize = 8 * 1024 * 1024;
/// Replies up to this long need no part of the budget, so that heartbeats are answered while large replies wait.
const SMALL_REPLY: usize = 16 * 1024;

/// Serves a connection until it ends.
pub(super) async fn serve(socket: TcpStream, peer: SocketAddr, shared: &Arc<Shared>) {
    let _only_slower_without = socket.set_nodelay(true);
    let limits = shared.limits;
    let (due, mut dues) = watch::channel(Instant::now() + limits.exchange);
    let service = service_fn(move |request| {
        due.send_replace(Instant::now() + limits.exchange);
        respond_to(request, peer, shared.clone())
    });
    let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS);
    // For gRPC. A client that never reads cannot make many requests wait.
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .max_send_buf_size(HEAD_BYTES)
        .keep_alive_interval(Some(limits.exchange));
    let connection = builder.serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    let life = tokio::time::sleep(limits.life);
    let mut life = std::pin::pin!(life);
    let mut ending = false;
    loop {
        let due = *dues.borrow_and_update();
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::trace!(%error, "a connection ended");
                }
                return;
            }
            // The exchange took too long: the client does not read its reply, or sends too slowly.
            () = tokio::time::sleep_until(due) => if Instant::now() >= *dues.borrow() { return },
            Ok(()) = dues.changed() => {}
            () = life.as_mut(), if !ending => {
                connection.as_mut().graceful_shutdown();
                ending = true;
            }
            () = shared.stop.cancelled(), if !ending => {
                connection.as_mut().graceful_shutdown();
                ending = true;
            }
        }
    }
}

/// Sets a call's flag when its future ends in any way: answered, out of time, or its client gone.
struct CancelOnDrop(Cancelled);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

async fn respond_to(
    request: Request<Incoming>,
    peer: SocketAddr,
    shared: Arc<Shared>,
) -> Result<Response<ReplyBody>, Infallible> {
    let (head, mut body) = request.into_parts();
    let found = shared.router.find(&head.method, head.uri.path());
    let name = match &found {
        Found::Route(route, _) => route.path,
        Found::Method(path, _) => path,
        Found::Nothing => "none",
    };
    let called = match admit(found, &head, peer, &shared) {
        Ok((route, mut call)) => match read_body(route, &head, &mut body, &shared).await {
            Ok(bytes) => {
                call.body = bytes;
                Ok((route, call))
            }
            Err(reply) => Err(reply),
        },
        Err(reply) => Err(reply),
    };
    let reply = match called {
        Err(reply) => {
            drain(&head, body).await;
            reply
        }
        Ok((route, call)) => {
            let _cancel = CancelOnDrop(call.cancelled.clone());
            let answered = tokio::time::timeout(shared.limits.answer, (route.handler)(call)).await;
            answered.unwrap_or_else(|_| {
                Reply::busy(StatusCode::SERVICE_UNAVAILABLE, "the request could not be answered in time")
            })
        }
    };
    let (status, response) = response(reply, &shared);
    shared.stats.count(name, method_name(&head.method), status.as_u16());
    Ok(response)
}

/// The method as a metrics label; unknown methods share one, because clients can invent any number.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Refuses malformed, unknown or forbidden requests, before any body is read.
fn admit<'s>(
    found: Found<'s, '_>,
    head: &Parts,
    peer: SocketAddr,
    shared: &Shared,
) -> Result<(&'s Route, Call), Reply> {
    let host = access::host(head).map_err(|message| {
        Reply::error(StatusCode::BAD_REQUEST, "QUARTERDECK_ERR_HOST", message, Some("send one Host header"))
    })?;
    let (route, parameter) = match found {
        Found::Route(route, parameter) => (route, parameter),
        Found::Method(_, allowed) => {
            let message = format!("{} is not allowed here; allowed: {allowed}", method_name(&head.method));
            let reply =
                Reply::error(StatusCode::METHOD_NOT_ALLOWED, "QUARTERDECK_ERR_METHOD", &message, None);
            return Err(Reply { allow: Some(allowed), ..reply });
        }
        Found::Nothing => {
            let hint = format!("the paths are {}", shared.router.paths());
            return Err(Reply::error(
                StatusCode::NOT_FOUND,
                "QUARTERDECK_ERR_NOT_FOUND",
                "there is nothing at this path",
                Some(&hint),
            ));
        }
    };
    shared.access.check(route.caller, &head.headers, host, peer).map_err(refusal)?;
    let media_type = media_type(head);
    if matches!(route.body, Body::Otlp(_)) && !is_otlp(&media_type) {
        return Err(Reply::error(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "QUARTERDECK_ERR_MEDIA_TYPE",
            "the body is not declared to be OTLP",
            Some("send Content-Type: application/x-protobuf or application/json, or use gRPC"),
        ));
    }
    if matches!(route.body, Body::Json(_)) && !is_json(&media_type) {
        return Err(Reply::error(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "QUARTERDECK_ERR_MEDIA_TYPE",
            "the body is not declared to be JSON",
            Some("send Content-Type: application/json"),
        ));
    }
    let call = Call {
        parameter: parameter.map(str::to_owned),
        query: head.uri.query().map(str::to_owned),
        host: host.map(str::to_owned),
        encoding: encoding(head, &media_type),
        media_type,
        body: Bytes::new(),
        cancelled: Cancelled::default(),
    };
    Ok((route, call))
}

fn refusal(refused: Refused) -> Reply {
    match refused {
        Refused::Token => Reply::error(
            StatusCode::UNAUTHORIZED,
            "QUARTERDECK_ERR_TOKEN",
            "this needs the token of the configuration",
            Some("send it as Authorization: Bearer TOKEN"),
        ),
        Refused::NotLocal => Reply::error(
            StatusCode::FORBIDDEN,
            "QUARTERDECK_ERR_TOKEN",
            "without a token only programs of this machine are answered, under a loopback name and not through a proxy",
            Some("set a token in the configuration, and send it as Authorization: Bearer TOKEN"),
        ),
        Refused::WebPage => Reply::error(
            StatusCode::FORBIDDEN,
            "QUARTERDECK_ERR_TOKEN",
            "web pages are not answered without a token",
            Some("ask from a program, or send the token as Authorization: Bearer TOKEN"),
        ),
    }
}

/// The media type of the body, in lower case and without parameters.
fn media_type(head: &Parts) -> String {
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// A web page can send none of these without asking first.
fn is_otlp(media_type: &str) -> bool {
    matches!(media_type, "application/x-protobuf" | "application/protobuf" | "application/json")
        || is_grpc(media_type)
}

fn is_grpc(media_type: &str) -> bool {
    matches!(media_type, "application/grpc" | "application/grpc+proto")
}

/// How the body is encoded. Calls of gRPC say it of each message, in a header of their own.
fn encoding(head: &Parts, media_type: &str) -> String {
    let header = if is_grpc(media_type) {
        head.headers.get("grpc-encoding")
    } else {
        head.headers.get(CONTENT_ENCODING)
    };
    let encoding = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let encoding = encoding.trim().to_ascii_lowercase();
    if encoding == "identity" { String::new() } else { encoding }
}

/// Bytes that count against a budget until the last clone of them is dropped.
struct Counted {
    bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reserves bytes of a budget; `None` if too few are left.
fn reserve(budget: &Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    budget.clone().try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
}

async fn read_body(
    route: &Route,
    head: &Parts,
    body: &mut Incoming,
    shared: &Shared,
) -> Result<Bytes, Reply> {
    let (limit, is_text) = match route.body {
        Body::None => return Ok(Bytes::new()),
        Body::Json(limit) => (limit, true),
        Body::Otlp(limit) => (limit, false),
    };
    let length =
        head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large(route, limit));
    }
    let full = || Reply::busy(StatusCode::SERVICE_UNAVAILABLE, "too many request bodies are being read");
    // An announced size is reserved at once, otherwise bytes as they arrive.
    let mut permit = reserve(&shared.body_bytes, length.unwrap_or(0)).ok_or_else(full)?;
    let mut bytes = BytesMut::new();
    let read = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Err(bad_request("the body ended in the middle")) };
            let data = frame.into_data().unwrap_or_default();
            let total = bytes.len() + data.len();
            if total > limit {
                return Err(too_large(route, limit));
            }
            let more = total.saturating_sub(permit.num_permits());
            permit.merge(reserve(&shared.body_bytes, more).ok_or_else(full)?);
            bytes.extend_from_slice(&data);
        }
        Ok(())
    };
    let late = || {
        let message = format!("the body did not come within {} s", shared.limits.body.as_secs());
        Reply::error(StatusCode::REQUEST_TIMEOUT, "QUARTERDECK_ERR_TIMEOUT", &message, None)
    };
    tokio::time::timeout(shared.limits.body, read).await.unwrap_or_else(|_| Err(late()))?;
    if is_text && std::str::from_utf8(&bytes).is_err() {
        return Err(bad_request("the body is not UTF-8"));
    }
    Ok(Bytes::from_owner(Counted { bytes: bytes.freeze(), _permit: permit }))
}

fn bad_request(message: &str) -> Reply {
    Reply::error(StatusCode::BAD_REQUEST, "QUARTERDECK_ERR_BODY", message, None)
}

fn too_large(route: &Route, limit: usize) -> Reply {
    let message = format!("the body is larger than {} KiB, the limit of {route:?}", limit / 1024);
    Reply::error(StatusCode::PAYLOAD_TOO_LARGE, "QUARTERDECK_ERR_TOO_LARGE", &message, None)
}

/// Reads on after a refusal for a while: many clients read no reply before they have sent everything, and closing
/// earlier would reset the connection. A client that asks first (`Expect`) does not need this.
async fn drain(head: &Parts, mut body: Incoming) {
    if head.headers.contains_key(EXPECT) {
        return;
    }
    let mut drained = 0;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            drained += frame.data_ref().map_or(0, Bytes::len);
            if drained > DRAIN_BYTES {
                return;
            }
        }
    };
    let _refused_anyway = tokio::time::timeout(DRAIN, read).await;
}

/// The body of a reply, with trailers if it answers a call of gRPC.
type ReplyBody = UnsyncBoxBody<Bytes, Infallible>;

fn body(bytes: Bytes, grpc: Option<GrpcStatus>) -> ReplyBody {
    let Some(GrpcStatus { code, message }) = grpc else { return Full::new(bytes).boxed_unsync() };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code));
    if !message.is_empty() {
        trailers.insert("grpc-message", HeaderValue::from_static(message));
    }
    Full::new(bytes).with_trailers(std::future::ready(Some(Ok(trailers)))).boxed_unsync()
}

fn response(reply: Reply, shared: &Shared) -> (StatusCode, Response<ReplyBody>) {
    let counted = if reply.body.len() > SMALL_REPLY { reply.body.len() } else { 0 };
    let (reply, permit) = match reserve(&shared.reply_bytes, counted) {
        Some(permit) => (reply, Some(permit)),
        None => {
            let message = "too many replies wait for clients that do not read them";
            (Reply::busy(StatusCode::SERVICE_UNAVAILABLE, message), None)
        }
    };
    let Reply { status, media_type, body: bytes, grpc, allow, retry_after } = reply;
    let bytes = match permit {
        Some(permit) => Bytes::from_owner(Counted { bytes, _permit: permit }),
        None => bytes,
    };
    let mut response = Response::new(body(bytes, grpc));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if status != StatusCode::NO_CONTENT {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if let Some(Ok(allow)) = allow.map(HeaderValue::try_from) {
        headers.insert(ALLOW, allow);
    }
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"quarterdeck\""));
    }
    (status, response)
}
