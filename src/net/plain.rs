//! A request over plain HTTP/1.1 on a connection of its own, as streams are asked for.
//!
//! A stream may wait for hours or bring thousands of events a second, and there are thousands of them. A client with
//! a pool keeps three buffers for each as long as it lives, lets one of them grow with what comes, and hands every
//! piece from the task that reads the socket to the one that wants it. Here who reads the stream reads the socket,
//! and a stream that waits holds no buffer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;
use tower_service::Service;
use url::{Position, Url};

use super::address::Resolver;
use super::cause;
use super::chunks::Chunks;
use super::{AGENT, CONNECT, HEADERS, KEEPALIVE, PROBE};
use crate::domain::cause::{Cause, Failure, Limit, Sent};
use crate::domain::text::Untrusted;

/// A head is at most this long.
const HEAD: usize = 256 * 1024;
/// So much is read at once.
const PIECE: usize = 16 * 1024;

/// Makes connections.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    connect: HttpConnector<Resolver>,
    proxies: Arc<Matcher>,
}

/// The head of an answer, and its body still to be read.
#[derive(Debug)]
pub(super) struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
}

impl Connector {
    /// With the same limits as other clients have.
    pub fn new() -> Self {
        let mut connect = HttpConnector::new_with_resolver(Resolver);
        connect.set_nodelay(true);
        connect.set_connect_timeout(Some(CONNECT.min(PROBE)));
        connect.set_keepalive(Some(KEEPALIVE));
        connect.set_keepalive_interval(Some(KEEPALIVE));
        connect.set_keepalive_retries(Some(3));
        #[cfg(target_os = "linux")]
        connect.set_tcp_user_timeout(Some(2 * KEEPALIVE));
        Self { connect, proxies: Arc::new(Matcher::from_system()) }
    }

    /// True for what needs neither TLS nor a proxy.
    pub fn reaches(&self, url: &Url) -> bool {
        let named = !url.username().is_empty() || url.password().is_some();
        let uri = || url.as_str().parse::<Uri>().ok();
        url.scheme() == "http" && !named && uri().is_some_and(|uri| self.proxies.intercept(&uri).is_none())
    }

    /// Connects, writes a request, and reads the head of the answer.
    ///
    /// # Errors
    /// What went wrong, and whether the request can have arrived.
    pub async fn send(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: &str,
        limit: Duration,
    ) -> Result<Response, Failure> {
        let unsent = |cause| Failure { sent: Sent::Not, cause };
        let uri: Uri = url.as_str().parse().map_err(|error| {
            unsent(Cause::Malformed(Untrusted::from(format!("the URL cannot be used, {error}"))))
        })?;
        let mut connect = self.connect.clone();
        let connected = connect.call(uri).await;
        let mut socket = connected.map_err(|error| unsent(cause::of(&error, limit)))?.into_inner();
        let wrote = socket.write_all(&head(method, url, headers, body)).await;
        match Body::after_head(socket, limit).await {
            Ok(response) => Ok(response),
            // Somebody who does not hear a request out says why, or hangs up.
            Err(cause) => Err(Failure {
                sent: Sent::Maybe,
                cause: wrote.err().map_or(cause, |error| cause::of(&error, limit)),
            }),
        }
    }
}

/// A request as it is written.
fn head(method: &Method, url: &Url, headers: &HeaderMap, body: &str) -> Vec<u8> {
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let mut bytes = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
    let mut put = |name: &HeaderName, value: &[u8]| {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    };
    put(&HOST, url[Position::BeforeHost..Position::AfterPort].as_bytes());
    put(&USER_AGENT, AGENT.as_bytes());
    put(&CONTENT_LENGTH, body.len().to_string().as_bytes());
    for (name, value) in headers {
        put(name, value.as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

/// The body of an answer, read from its own connection.
#[derive(Debug)]
pub(super) struct Body {
    socket: TcpStream,
    /// What came with the head.
    first: BytesMut,
    framing: Framing,
}

/// How one knows where a body ends.
#[derive(Debug)]
enum Framing {
    /// So many bytes are to come.
    Length(u64),
    Chunked(Chunks),
    /// With the connection.
    Close,
}

impl Body {
    async fn after_head(socket: TcpStream, limit: Duration) -> Result<Response, Cause> {
        let mut body = Self { socket, first: BytesMut::new(), framing: Framing::Length(0) };
        loop {
            if let Some((length, status, headers)) = parse(&body.first)? {
                let _head = body.first.split_to(length);
                // What comes before the answer itself says nothing to us.
                if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                    continue;
                }
                body.framing = framing(status, &headers)?;
                return Ok(Response { status, headers, body });
            }
            if body.first.len() > HEAD {
                return Err(Cause::Limit(Limit::Headers));
            }
            let more = body.piece().await.map_err(|error| cause::of(&error, limit))?;
            if more.is_empty() {
                return Err(Cause::Reset);
            }
            body.first.extend_from_slice(&more);
        }
    }

    /// Waits without a buffer, and reads what is there. Nothing: the connection has ended.
    async fn piece(&mut self) -> std::io::Result<BytesMut> {
        poll_fn(|cx| {
            ready!(self.socket.poll_read_ready(cx))?;
            let mut bytes = BytesMut::with_capacity(PIECE);
            ready!(poll_read_buf(Pin::new(&mut self.socket), cx, &mut bytes))?;
            Ok(bytes).into()
        })
        .await
    }

    /// Waits for bytes and hands each piece to `take`. False once the body has ended.
    ///
    /// # Errors
    /// The connection broke, or `take` had enough.
    pub async fn read(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), Cause>) -> Result<bool, Cause> {
        match &self.framing {
            Framing::Length(0) => return Ok(false),
            Framing::Chunked(chunks) if chunks.are_over() => return Ok(false),
            _ => {}
        }
        let mut bytes = std::mem::take(&mut self.first);
        if bytes.is_empty() {
            bytes = self.piece().await.map_err(|error| cause::of(&error, Duration::ZERO))?;
            if bytes.is_empty() {
                return if matches!(self.framing, Framing::Close) { Ok(false) } else { Err(Cause::Reset) };
            }
        }
        match &mut self.framing {
            Framing::Length(left) => {
                let length = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= length as u64;
                take(&bytes[..length])?;
            }
            Framing::Chunked(chunks) => chunks.feed(&bytes, take)?,
            Framing::Close => take(&bytes)?,
        }
        Ok(true)
    }
}

fn not_http(why: impl std::fmt::Display) -> Cause {
    Cause::Malformed(Untrusted::from(format!("not HTTP, {why}")))
}

/// The head of an answer and how long it is, once it is there.
fn parse(bytes: &[u8]) -> Result<Option<(usize, StatusCode, HeaderMap)>, Cause> {
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
    for header in head.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(not_http)?;
        headers.append(name, HeaderValue::from_bytes(header.value).map_err(not_http)?);
    }
    Ok(Some((length, status, headers)))
}

/// RFC 9112, section 6.3.
fn framing(status: StatusCode, headers: &HeaderMap) -> Result<Framing, Cause> {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::Length(0));
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(not_http("it changes to another protocol"));
    }
    if headers.contains_key(http::header::CONTENT_ENCODING) {
        return Err(Cause::Malformed("it is compressed, which nobody asked for".into()));
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if codings.next().is_none() && coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Ok(Framing::Chunked(Chunks::default()));
        }
        return Err(not_http("its transfer coding is unknown"));
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(Framing::Close) };
    let number = length.to_str().ok().filter(|_| lengths.all(|other| other == length));
    let number = number.and_then(|text| text.parse().ok());
    number.map(Framing::Length).ok_or_else(|| not_http("its length is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head, and how its body is framed; or why it is no answer.
    fn framed(head: &str) -> Result<String, String> {
        let (_, status, headers) = parse(head.as_bytes()).map_err(|cause| cause.to_string())?.expect("whole");
        let framing = framing(status, &headers).map_err(|cause| cause.to_string())?;
        Ok(format!("{framing:?}").chars().take_while(|c| c.is_alphanumeric()).collect())
    }

    #[test]
    fn a_body_ends_where_the_head_says() {
        for (lines, told) in [
            ("", Ok("Close")),
            ("content-length: 12\r\n", Ok("Length")),
            ("Content-Length: 12\r\ncontent-length: 12\r\n", Ok("Length")),
            ("Transfer-Encoding: Chunked\r\n", Ok("Chunked")),
            ("transfer-encoding: chunked\r\ncontent-length: 3\r\n", Ok("Chunked")),
            ("content-length: 12\r\ncontent-length: 13\r\n", Err("its length is no number")),
            ("content-length: -1\r\n", Err("its length is no number")),
            ("transfer-encoding: gzip, chunked\r\n", Err("its transfer coding is unknown")),
            (
                "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
                Err("its transfer coding is unknown"),
            ),
            ("content-encoding: br\r\n", Err("it is compressed, which nobody asked for")),
            ("no colon\r\n", Err("invalid header name")),
        ] {
            let shown = framed(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n"));
            match told {
                Ok(kind) => assert_eq!(shown.as_deref(), Ok(kind), "{lines:?}"),
                Err(words) => {
                    assert!(shown.as_ref().is_err_and(|told| told.contains(words)), "{lines:?}: {shown:?}");
                }
            }
        }
        assert_eq!(framed("HTTP/1.1 204 No Content\r\n\r\n").as_deref(), Ok("Length"));
        assert!(framed("HTTP/1.1 101 Switching\r\n\r\n").is_err());
        assert!(framed("SSH-2.0-OpenSSH_9.9\r\n\r\n").is_err());
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
        assert_eq!(parse(many.as_bytes()).unwrap_err(), Cause::Limit(Limit::Headers));
    }

    #[test]
    fn what_needs_tls_a_login_or_a_proxy_is_not_for_it() {
        let proxies = Matcher::builder().http("http://proxy:1/").no("near").build();
        let connector = Connector { proxies: proxies.into(), ..Connector::new() };
        for (url, reaches) in [
            ("http://near:1/", true),
            ("http://far:1/", false),
            ("https://near:1/", false),
            ("http://me:word@near/", false),
        ] {
            assert_eq!(connector.reaches(&Url::parse(url).unwrap()), reaches, "{url}");
        }
    }

    #[test]
    fn a_request_is_written_for_its_own_host() {
        let url = Url::parse("http://[::1]:8080/a%20b/?q=1#never").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("a2a-version", HeaderValue::from_static("1.0"));
        let written = String::from_utf8(head(&Method::POST, &url, &headers, "{}")).unwrap();
        let agent = format!("user-agent: {AGENT}\r\n");
        assert_eq!(
            written.replace(&agent, ""),
            "POST /a%20b/?q=1 HTTP/1.1\r\nhost: [::1]:8080\r\ncontent-length: 2\r\na2a-version: 1.0\r\n\r\n{}"
        );
    }
}
