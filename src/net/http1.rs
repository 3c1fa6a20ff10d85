//! Work over HTTP/1.1, and a stream of it, has a connection of its own while it lasts.
//!
//! A stream may wait for hours or deliver thousands of events a second, and there are thousands of them. A pooled
//! client keeps three buffers for each stream while it lives, lets one of them grow, and passes every piece between
//! tasks. Here the reader of the stream reads the socket, and a waiting stream holds no buffer but TLS's own.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::ready;
use std::time::Duration;

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_util::io::poll_read_buf;
use url::{Position, Url};

use super::chunks::Chunks;
use super::coding::elements;
use super::connect::Socket;
use super::dedicated::{HttpRequest, defaults};
use super::frames::Frames;
use super::idle::IdleOrigin;
use super::{HEAD, HEADERS, cause};
use crate::domain::cause::{Cause, Failure, Limit, Sent};
use crate::domain::text::Untrusted;

/// So much is read at once.
const PIECE: usize = 16 * 1024;

/// Writes a request, and reads the head of the answer. The connection is given to `idle` once the answer has been read,
/// if the agent lets it be used again.
///
/// # Errors
/// What went wrong.
pub(super) async fn send(
    mut socket: Socket,
    ask: &HttpRequest<'_>,
    idle: Arc<IdleOrigin>,
) -> Result<(StatusCode, HeaderMap, Body), Failure> {
    let request = request(ask.method, ask.url, &(ask.headers)(), ask.body);
    ask.written.store(true, Ordering::Relaxed);
    let (Head { version, status, headers }, framing, first, written) = {
        let (mut from, mut to) = tokio::io::split(&mut socket);
        let writing = async {
            to.write_all(&request).await?;
            to.flush().await
        };
        let reading = answer(&mut from, ask.limit);
        tokio::pin!(writing, reading);
        // A server may answer before all of it is written, and read no more of it.
        let mut wrote = None;
        loop {
            tokio::select! {
                done = &mut writing, if wrote.is_none() => wrote = Some(done),
                answer = &mut reading => break match (answer, wrote) {
                    (Ok((head, framing, first)), wrote) => {
                        Ok((head, framing, first, matches!(wrote, Some(Ok(())))))
                    }
                    (Err(_), Some(Err(error))) => Err(cause::of(&error, ask.limit)),
                    (Err(cause), _) => Err(cause),
                },
            }
        }
    }
    .map_err(|cause| Failure { sent: Sent::Maybe, cause })?;
    let closes = elements(&headers, &CONNECTION).iter().any(|option| option.eq_ignore_ascii_case("close"));
    let idle = (written && version > 0 && !closes).then_some(idle);
    Ok((status, headers, Body { socket: Some(socket), idle, first, framing }))
}

/// The bytes of a request.
fn request(method: &Method, url: &Url, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let mut bytes = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
    let mut put = |name: &HeaderName, value: &[u8]| {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    };
    // Configured headers take precedence.
    if !headers.contains_key(HOST) {
        put(&HOST, url[Position::BeforeHost..Position::AfterPort].as_bytes());
    }
    for (name, value) in defaults(headers) {
        put(&name, value.as_bytes());
    }
    put(&CONTENT_LENGTH, body.len().to_string().as_bytes());
    for (name, value) in headers {
        if *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING {
            put(name, value.as_bytes());
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// Reads the head of an answer: its fields, its framing, and the bytes of the body that came with it.
async fn answer(
    from: &mut (impl AsyncRead + Unpin),
    limit: Duration,
) -> Result<(Head, Framing, BytesMut), Cause> {
    let mut bytes = BytesMut::new();
    // Bytes so far, and those that were looked at.
    let (mut all, mut seen) = (0, 0);
    let interim = Frames::default();
    loop {
        // Heads that arrive byte by byte are not parsed again for each.
        let news = &bytes[seen.min(bytes.len())..];
        if seen == 0 || ends(news) {
            while let Some((length, head)) = parse(&bytes)? {
                let _head = bytes.split_to(length);
                // Interim answers are skipped.
                if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
                    interim.count(1)?;
                    continue;
                }
                let framing = framing(&head)?;
                // A copy: the head would be kept with it.
                return Ok((head, framing, BytesMut::from(&bytes[..])));
            }
        }
        if all > HEAD as usize {
            return Err(Cause::Limit(Limit::Headers));
        }
        seen = bytes.len().saturating_sub(2);
        bytes.reserve(PIECE);
        match from.read_buf(&mut bytes).await.map_err(|error| cause::of(&error, limit))? {
            0 => return Err(Cause::Reset),
            more => all += more,
        }
    }
}

/// True if an empty line is in it.
fn ends(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes)
        .any(|at| bytes[at + 1..].starts_with(b"\n") || bytes[at + 1..].starts_with(b"\r\n"))
}

/// The body of an answer, read from its own connection.
#[derive(Debug)]
pub(super) struct Body {
    /// `None` once it has been given back.
    socket: Option<Socket>,
    /// Where the connection waits afterwards; `None` if it cannot be used again.
    idle: Option<Arc<IdleOrigin>>,
    /// The bytes that came with the head.
    first: BytesMut,
    framing: Framing,
}

/// The framing of a body.
#[derive(Debug)]
enum Framing {
    /// This many bytes are left.
    Length(u64),
    Chunked(Chunks),
    /// Until the connection closes.
    Close,
}

impl Body {
    /// Waits without a buffer, and reads the available bytes. Empty: the connection has ended.
    async fn piece(&mut self) -> std::io::Result<BytesMut> {
        let Some(socket) = &mut self.socket else { return Ok(BytesMut::new()) };
        poll_fn(|cx| {
            ready!(socket.poll_read_ready(cx))?;
            let mut bytes = BytesMut::with_capacity(PIECE);
            ready!(poll_read_buf(Pin::new(&mut *socket), cx, &mut bytes))?;
            Ok(bytes).into()
        })
        .await
    }

    /// Waits for bytes and hands each piece to `take`. False once the body has ended.
    ///
    /// # Errors
    /// The connection broke, or `take` had enough.
    pub async fn read(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), Cause>) -> Result<bool, Cause> {
        let over = match &self.framing {
            Framing::Length(left) => *left == 0,
            Framing::Chunked(chunks) => chunks.are_over(),
            Framing::Close => false,
        };
        if over {
            if let (Some(idle), Some(socket), true) =
                (self.idle.take(), self.socket.take(), self.first.is_empty())
            {
                idle.keep(socket);
            }
            return Ok(false);
        }
        let bytes = if self.first.is_empty() {
            self.piece().await.map_err(|error| cause::of(&error, Duration::ZERO))?
        } else {
            std::mem::take(&mut self.first)
        };
        if bytes.is_empty() {
            return if matches!(self.framing, Framing::Close) { Ok(false) } else { Err(Cause::Reset) };
        }
        match &mut self.framing {
            Framing::Length(left) => {
                let length = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= length as u64;
                // What comes behind the answer was not asked for.
                if length < bytes.len() {
                    self.idle = None;
                }
                take(&bytes[..length])?;
            }
            Framing::Chunked(chunks) => {
                if chunks.feed(&bytes, take)? > 0 {
                    self.idle = None;
                }
            }
            Framing::Close => take(&bytes)?,
        }
        Ok(true)
    }
}

fn not_http(why: impl std::fmt::Display) -> Cause {
    Cause::Malformed(Untrusted::from(format!("not HTTP, {why}")))
}

/// The parsed head of an answer.
#[derive(Debug)]
struct Head {
    /// The minor version of HTTP/1.
    version: u8,
    status: StatusCode,
    headers: HeaderMap,
}

/// The head of an answer and its length, once it is complete.
fn parse(bytes: &[u8]) -> Result<Option<(usize, Head)>, Cause> {
    let mut room = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Response::new(&mut room);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Cause::Limit(Limit::Headers)),
        Err(error) => return Err(not_http(error)),
    };
    let status = StatusCode::from_u16(head.code.unwrap_or_default()).map_err(not_http)?;
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    for header in head.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(not_http)?;
        headers.append(name, HeaderValue::from_bytes(header.value).map_err(not_http)?);
    }
    Ok(Some((length, Head { version: head.version.unwrap_or_default(), status, headers })))
}

/// RFC 9112, section 6.3.
fn framing(Head { version, status, headers }: &Head) -> Result<Framing, Cause> {
    if matches!(*status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::Length(0));
    }
    if *status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(not_http("it changes to another protocol"));
    }
    if let Some(last) = elements(headers, &TRANSFER_ENCODING).last() {
        return match (last.as_str(), version) {
            (_, 0) => Err(not_http("HTTP/1.0 has no transfer codings")),
            ("chunked", _) => Ok(Framing::Chunked(Chunks::default())),
            _ => Ok(Framing::Close),
        };
    }
    let lengths = elements(headers, &CONTENT_LENGTH);
    let Some(length) = lengths.first() else { return Ok(Framing::Close) };
    let digits =
        length.bytes().all(|byte| byte.is_ascii_digit()) && lengths.iter().all(|other| other == length);
    let number = digits.then(|| length.parse().ok()).flatten();
    number.map(Framing::Length).ok_or_else(|| not_http("its length is no number"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::super::AGENT;
    use super::super::connect::Connector;
    use super::*;

    /// The framing of the body, or why the answer is invalid.
    fn framed(first: &str, lines: &str) -> Result<String, String> {
        let head = parse(format!("{first}\r\n{lines}\r\n").as_bytes()).map_err(|cause| cause.to_string())?;
        let framing = framing(&head.expect("whole").1).map_err(|cause| cause.to_string())?;
        Ok(format!("{framing:?}").chars().take_while(|c| c.is_alphanumeric()).collect())
    }

    #[test]
    fn the_head_determines_where_a_body_ends() {
        for (lines, expected) in [
            ("", Ok("Close")),
            ("content-length: 12\r\n", Ok("Length")),
            ("Content-Length: 12\r\ncontent-length: 12, 12\r\n", Ok("Length")),
            ("Transfer-Encoding: Chunked\r\n", Ok("Chunked")),
            ("transfer-encoding: chunked\r\ncontent-length: 3\r\n", Ok("Chunked")),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", Ok("Chunked")),
            ("transfer-encoding: x, chunked\r\n", Ok("Chunked")),
            ("transfer-encoding: chunked, x\r\n", Ok("Close")),
            ("content-length: 12\r\ncontent-length: 13\r\n", Err("its length is no number")),
            ("content-length: -1\r\n", Err("its length is no number")),
            ("content-length: +5\r\n", Err("its length is no number")),
            ("content-length: 99999999999999999999\r\n", Err("its length is no number")),
            ("no colon\r\n", Err("invalid header name")),
        ] {
            let shown = framed("HTTP/1.1 200 OK", lines);
            match expected {
                Ok(kind) => assert_eq!(shown.as_deref(), Ok(kind), "{lines:?}"),
                Err(part) => {
                    assert!(
                        shown.as_ref().is_err_and(|message| message.contains(part)),
                        "{lines:?}: {shown:?}"
                    );
                }
            }
        }
        assert_eq!(framed("HTTP/1.1 204 No Content", "").as_deref(), Ok("Length"));
        assert!(framed("HTTP/1.1 101 Switching", "").is_err());
        assert!(framed("HTTP/1.0 200 OK", "transfer-encoding: chunked\r\n").is_err());
        assert!(framed("SSH-2.0-OpenSSH_9.9", "").is_err());
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
        assert_eq!(parse(many.as_bytes()).err(), Some(Cause::Limit(Limit::Headers)));
    }

    #[test]
    fn a_request_has_its_own_host_and_the_configured_headers() {
        let url = Url::parse("http://[::1]:8080/a%20b/?q=1#never").unwrap();
        let written = |headers: &[(&'static str, &'static str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let written = request(&Method::POST, &url, &headers.collect(), b"{}");
            String::from_utf8(written).unwrap().replace(AGENT, "us")
        };
        assert_eq!(
            written(&[("a2a-version", "1.0")]),
            "POST /a%20b/?q=1 HTTP/1.1\r\nhost: [::1]:8080\r\nuser-agent: us\r\naccept-encoding: identity\r\n\
             content-length: 2\r\na2a-version: 1.0\r\n\r\n{}"
        );
        let own =
            [("host", "inner"), ("user-agent", "me"), ("content-length", "7"), ("accept-encoding", "gzip")];
        assert_eq!(
            written(&own),
            "POST /a%20b/?q=1 HTTP/1.1\r\ncontent-length: 2\r\nhost: inner\r\nuser-agent: me\r\n\
             accept-encoding: gzip\r\n\r\n{}"
        );
    }

    /// The result of an answer written in these pieces, after which the connection is closed.
    async fn exchange(pieces: Vec<Vec<u8>>) -> Result<(u16, String), (Sent, Cause)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            let mut asked = [0; 16];
            socket.read_exact(&mut asked).await.unwrap();
            for piece in pieces {
                let _hung_up = socket.write_all(&piece).await;
                tokio::task::yield_now().await;
            }
            // Unread bytes would turn the close into a reset.
            let _ended = socket.shutdown().await;
            let mut rest = Vec::new();
            let _hung_up = socket.read_to_end(&mut rest).await;
        });
        let connector = Connector::new();
        let uri = connector.reaches(&url).expect("straight");
        let socket = connector.connect(uri, &url, None).await.unwrap();
        // More than a socket takes, so that the answer comes while the request is written.
        let body = "x".repeat(8 * 1024 * 1024);
        let ask = HttpRequest {
            method: &Method::POST,
            url: &url,
            headers: &HeaderMap::new,
            body: &body.into(),
            limit: Duration::from_secs(5),
            written: AtomicBool::new(false),
        };
        let answered = send(socket, &ask, Arc::default()).await;
        let (status, _, mut answer) = answered.map_err(|failure| (failure.sent, failure.cause))?;
        let mut text = Vec::new();
        let mut take = |piece: &[u8]| {
            text.extend_from_slice(piece);
            Ok(())
        };
        while answer.read(&mut take).await.map_err(|cause| (Sent::Maybe, cause))? {}
        drop(answer);
        server.await.unwrap();
        Ok((status.as_u16(), String::from_utf8(text).unwrap()))
    }

    #[tokio::test]
    async fn answers_are_read_for_any_split_of_the_bytes() {
        let whole = |text: &str| vec![text.as_bytes().to_vec()];
        let bytes = |text: &str| text.bytes().map(|byte| vec![byte]).collect::<Vec<_>>();
        let chunked =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab\n\r\n2\r\ncd\r\n0\r\n\r\n";
        let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: x\r\n\r\n\
                     HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig, and more";
        let long = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(2 * HEAD as usize));
        let ok = |status, body: &str| Ok((status, body.to_owned()));
        let maybe = |cause| Err((Sent::Maybe, cause));
        for (pieces, expected) in [
            (whole(chunked), ok(200, "ab\ncd")),
            (bytes(chunked), ok(200, "ab\ncd")),
            (whole(early), ok(413, "big")),
            (bytes(early), ok(413, "big")),
            (whole("HTTP/1.0 200 OK\n\nto the end"), ok(200, "to the end")),
            (whole("HTTP/1.1 204 No Content\r\n\r\nnothing"), ok(204, "")),
            (whole("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut"), maybe(Cause::Reset)),
            (whole(&chunked[..chunked.len() - 4]), maybe(Cause::Reset)),
            (whole("HTTP/1.1 200 O"), maybe(Cause::Reset)),
            (whole(""), maybe(Cause::Reset)),
            (whole(&long), maybe(Cause::Limit(Limit::Headers))),
        ] {
            let shown = String::from_utf8_lossy(&pieces.concat()).chars().take(80).collect::<String>();
            assert_eq!(exchange(pieces).await, expected, "{shown:?}");
        }
        let exchange = exchange(whole("SSH-2.0-OpenSSH_9.9\r\n")).await;
        assert!(matches!(exchange, Err((Sent::Maybe, Cause::Malformed(_)))), "{exchange:?}");
    }
}
