//! Work over HTTP/2, and streams of it: many on one connection, and never more than the agent takes.
//!
//! A pooled client has one connection per agent. Streams beyond the agent's limit wait until one of them ends, as does
//! everything behind them: the cancel of a task would wait for the watched tasks. Here streams have connections of
//! their own, as many as they need, and each connection closes with its last stream.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::Shared;
use h2::client::{self, SendRequest};
use h2::{Reason, RecvStream};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, Version};
use url::{Position, Url};

use super::coding::elements;
use super::connect::{Connector, Socket, within};
use super::dedicated::{HttpRequest, defaults};
use super::frames::{Counted, Frames};
use super::trust::{Tls, Trust};
use super::{CONNECT, HEAD, HEADERS, cause};
use crate::domain::cause::{Cause, Failure, Limit, Sent};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// The maximum number of streams per connection, whatever the agent allows: all of them end with it.
const STREAMS: u32 = 128;
/// The maximum number of unread bytes per stream.
const WINDOW: u32 = 256 * 1024;
/// And a connection as many as all its streams.
const WINDOWS: u32 = STREAMS * WINDOW;
/// The number of connections without usable streams that are tried in a row.
const BARREN: usize = 3;
/// The maximum number of origins remembered; beyond it, only those with connections.
const ORIGINS: usize = 1024;
/// Headers that HTTP/2 expresses in another way, or not at all.
const OF_HTTP1: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The connections that streams share.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    connector: Connector,
    origins: Arc<Mutex<BTreeMap<Key, Origin>>>,
}

/// Requests with the same trust, host and port share connections.
type Key = (Trust, String);

#[derive(Debug, Default)]
struct Origin {
    connections: Vec<Weak<Connection>>,
    /// A connection being opened: requests wait for it instead of opening another.
    opening: Option<Opening>,
    /// It chose HTTP/1.1 last.
    http1: bool,
}

type Opening = Shared<Pin<Box<dyn Future<Output = Result<Opened, Failure>> + Send>>>;

/// The result of opening a connection.
#[derive(Clone, Debug)]
enum Opened {
    Http2(Arc<Connection>),
    /// The first request to take it owns it.
    Http1(Arc<Mutex<Option<Socket>>>),
}

/// A request for a stream.
#[derive(Debug)]
pub(super) enum Transport {
    /// On a connection of its own, over HTTP/1.1.
    Own(Socket),
    /// On a connection that it shares, over HTTP/2.
    Shared(StreamSlot),
}

#[derive(Debug)]
struct Connection {
    send: SendRequest<Bytes>,
    certificate_until: Option<At>,
    /// Streams that it has.
    dedicated: AtomicUsize,
    /// It has refused one: it gets no more.
    refuses: AtomicBool,
    /// The useless frames on it since the last useful one.
    frames: Arc<Frames>,
}

impl Connection {
    /// The maximum number of streams; zero if it is closing.
    fn most(&self) -> usize {
        if self.refuses.load(Ordering::Relaxed) {
            return 0;
        }
        // It never waits: nothing of this handle is pending.
        match self.send.clone().poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => self.send.current_max_send_streams().min(STREAMS as usize),
            _ => 0,
        }
    }
}

/// The place of one stream on a connection.
#[derive(Debug)]
pub(super) struct StreamSlot(Arc<Connection>);

impl StreamSlot {
    /// When the certificate ends that the agent has shown.
    pub fn certificate_until(&self) -> Option<At> {
        self.0.certificate_until
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        self.0.dedicated.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Origin {
    /// A place on a connection that has one. Called under the lock of all origins.
    fn place(&mut self) -> Option<StreamSlot> {
        self.connections.retain(|connection| connection.strong_count() > 0);
        self.connections.iter().filter_map(Weak::upgrade).find_map(|connection| {
            let free = connection.dedicated.load(Ordering::Relaxed) < connection.most();
            free.then(|| {
                connection.dedicated.fetch_add(1, Ordering::Relaxed);
                StreamSlot(connection)
            })
        })
    }
}

/// The state of an origin.
fn known(origins: &mut BTreeMap<Key, Origin>, key: Key) -> &mut Origin {
    if origins.len() >= ORIGINS && !origins.contains_key(&key) {
        origins.retain(|_, origin| {
            origin.opening.is_some() || origin.connections.iter().any(|one| one.strong_count() > 0)
        });
    }
    origins.entry(key).or_default()
}

impl Pool {
    /// Nothing is connected yet.
    pub fn new(connector: Connector) -> Self {
        Self { connector, origins: Arc::default() }
    }

    /// A way to the agent: a place on a connection, or the connection itself if the agent chooses HTTP/1.1.
    ///
    /// # Errors
    /// There is none; nothing was sent.
    pub async fn way(&self, trust: &Trust, tls: &Tls, uri: &Uri, url: &Url) -> Result<Transport, Failure> {
        let key = (trust.clone(), url[Position::BeforeHost..Position::AfterPort].to_owned());
        // A connection lives while it is referenced.
        let mut _opened = None;
        let mut barren = 0;
        while barren < BARREN {
            let opening = {
                let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
                let origin = known(&mut origins, key.clone());
                if let Some(place) = origin.place() {
                    return Ok(Transport::Shared(place));
                }
                let open = || self.open(&key, uri, url, tls);
                (!origin.http1).then(|| origin.opening.get_or_insert_with(open).clone())
            };
            let opened = match opening {
                Some(opening) => opening.await?,
                // No request waits for another one's connection.
                None => {
                    let opened = self.clone().opened(key.clone(), uri.clone(), url.clone(), tls.clone());
                    Box::pin(opened).await?
                }
            };
            match &opened {
                Opened::Http1(socket) => {
                    if let Some(socket) = socket.lock().unwrap_or_else(PoisonError::into_inner).take() {
                        return Ok(Transport::Own(socket));
                    }
                }
                Opened::Http2(connection) => barren += usize::from(connection.most() == 0),
            }
            _opened = Some(opened);
        }
        Err(Failure { sent: Sent::Not, cause: Cause::Reset })
    }

    /// Opens a connection, whether or not a request still waits for it.
    fn open(&self, key: &Key, uri: &Uri, url: &Url, tls: &Tls) -> Opening {
        let (pool, key) = (self.clone(), key.clone());
        let opened = self.clone().opened(key.clone(), uri.clone(), url.clone(), tls.clone());
        let task = tokio::spawn(opened);
        async move {
            task.await.unwrap_or_else(|fault| {
                // It has not tidied up after itself.
                let mut origins = pool.origins.lock().unwrap_or_else(PoisonError::into_inner);
                known(&mut origins, key).opening = None;
                let cause = if fault.is_cancelled() {
                    Cause::Stopping
                } else {
                    Cause::Malformed("the console failed while connecting".into())
                };
                Err(Failure { sent: Sent::Not, cause })
            })
        }
        .boxed()
        .shared()
    }

    /// Opens a connection, and stores it for others.
    async fn opened(self, key: Key, uri: Uri, url: Url, tls: Tls) -> Result<Opened, Failure> {
        let made = Box::pin(within(async {
            let socket = self.connector.connect(uri, &url, Some(tls)).await?;
            if !socket.speaks_http2() {
                return Ok(Opened::Http1(Arc::new(Mutex::new(Some(socket)))));
            }
            Ok(Opened::Http2(Arc::new(agree(socket).await?)))
        }))
        .await;
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = known(&mut origins, key);
        origin.opening = None;
        match &made {
            Ok(Opened::Http2(connection)) => {
                origin.connections.push(Arc::downgrade(connection));
                origin.http1 = false;
            }
            Ok(Opened::Http1(_)) => origin.http1 = true,
            Err(_) => {}
        }
        made
    }
}

/// Starts HTTP/2, and waits until the agent has announced its stream limit.
async fn agree(socket: Socket) -> Result<Connection, Cause> {
    let certificate_until = socket.certificate_until();
    let frames = Arc::new(Frames::default());
    let (send, mut connection) = client::Builder::new()
        .enable_push(false)
        .initial_max_send_streams(0)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOWS)
        .max_header_list_size(HEAD)
        .handshake(Counted::new(socket, frames.clone()))
        .await
        .map_err(|error| of(&error, CONNECT))?;
    poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(ended) => {
            Poll::Ready(Err(ended.map_or_else(|error| of(&error, CONNECT), |()| Cause::Reset)))
        }
        Poll::Pending if connection.max_concurrent_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await?;
    // It ends with its last stream or when it breaks; its streams report why.
    tokio::spawn(connection);
    let (dedicated, refuses) = (AtomicUsize::new(0), AtomicBool::new(false));
    Ok(Connection { send, certificate_until, dedicated, refuses, frames })
}

/// Opens a stream, and reads the head of the answer.
///
/// # Errors
/// What went wrong, and whether the request can have arrived.
pub(super) async fn send(
    place: StreamSlot,
    uri: Uri,
    ask: &HttpRequest<'_>,
) -> Result<(StatusCode, HeaderMap, Body), Failure> {
    let mut send = place.0.send.clone();
    let (answer, mut out) = send
        .send_request(request(uri, ask), ask.body.is_empty())
        .map_err(|error| Failure { sent: Sent::Not, cause: of(&error, ask.limit) })?;
    ask.written.store(true, Ordering::Relaxed);
    if !ask.body.is_empty() {
        // If it fails, the answer shows why.
        let _sent = out.send_data(ask.body.clone(), true);
    }
    let failed = |error: h2::Error| {
        // RFC 9113, sections 6.8 and 8.7: neither was looked at. A connection that goes away ends those with an
        // error of the socket that it did look at.
        let refused = error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM);
        let refused = refused && error.is_remote();
        place.0.refuses.fetch_or(refused, Ordering::Relaxed);
        let sent = if refused { Sent::Not } else { Sent::Maybe };
        Failure { sent, cause: of(&error, ask.limit) }
    };
    let (head, stream) = answer.await.map_err(failed)?.into_parts();
    place.0.frames.progress();
    let maybe = |cause| Failure { sent: Sent::Maybe, cause };
    if head.headers.len() > HEADERS {
        return Err(maybe(Cause::Limit(Limit::Headers)));
    }
    Ok((head.status, head.headers, Body { stream, place }))
}

fn request(uri: Uri, ask: &HttpRequest<'_>) -> Request<()> {
    let own = (ask.headers)();
    let mut request = Request::new(());
    *request.method_mut() = ask.method.clone();
    *request.version_mut() = Version::HTTP_2;
    let mut parts = uri.clone().into_parts();
    // Configured headers take precedence.
    if let Some(host) = own.get(HOST).and_then(|host| host.to_str().ok()?.parse().ok()) {
        parts.authority = Some(host);
    }
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or(uri);
    let headers = request.headers_mut();
    for (name, value) in defaults(&own) {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_LENGTH, ask.body.len().into());
    let named = elements(&own, &CONNECTION);
    for (name, value) in &own {
        if !OF_HTTP1.contains(name) && !named.iter().any(|named| named == name.as_str()) {
            headers.append(name, value.clone());
        }
    }
    request
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Body {
    stream: RecvStream,
    place: StreamSlot,
}

impl Body {
    /// Something of use has come.
    pub fn progress(&self) {
        self.place.0.frames.progress();
    }

    /// Waits for bytes and hands each piece to `take`. False once the body has ended.
    ///
    /// # Errors
    /// The connection broke, or `take` had enough.
    pub async fn read(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), Cause>) -> Result<bool, Cause> {
        let piece = poll_fn(|cx| {
            let piece = ready!(self.stream.poll_data(cx));
            Poll::Ready(piece.transpose())
        });
        let Some(bytes) = piece.await.map_err(|error| of(&error, Duration::ZERO))? else { return Ok(false) };
        // An error means that the stream has ended, which the next piece shows.
        let _over = self.stream.flow_control().release_capacity(bytes.len());
        take(&bytes)?;
        Ok(true)
    }
}

/// The cause of an HTTP/2 error; `limit` is the timeout.
fn of(error: &h2::Error, limit: Duration) -> Cause {
    let not = |why: &dyn std::fmt::Display| Cause::Malformed(Untrusted::from(format!("not HTTP/2, {why}")));
    match error.get_io() {
        Some(io) => cause::of(io, limit),
        None if error.is_remote() && error.reason() == Some(Reason::HTTP_1_1_REQUIRED) => {
            not(&"it wants HTTP/1.1, though it chose HTTP/2")
        }
        None if error.is_remote() => Cause::Reset,
        None => not(error),
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use rcgen::{CertificateParams, KeyPair};
    use rustls_pki_types::PrivateKeyDer;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::server::TlsStream;

    use super::super::dedicated::{DedicatedClient, Response};
    use super::*;
    use crate::domain::cause::TlsFault;

    type Serving = h2::server::Connection<TlsStream<TcpStream>, Bytes>;

    /// A test server with a rule per connection, and its client.
    struct Rig {
        url: Url,
        trust: Trust,
        dedicated: DedicatedClient,
        /// Connections that were made.
        connections: Arc<AtomicUsize>,
    }

    impl Rig {
        /// The first connection is number 0.
        async fn new<S: Future<Output = ()> + Send + 'static>(
            trust: Trust,
            serve: impl Fn(usize, Serving) -> S + Send + 'static,
        ) -> Self {
            let key = KeyPair::generate().unwrap();
            let certificate =
                CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
            let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
            let ring = Arc::new(rustls::crypto::ring::default_provider());
            let mut config = rustls::ServerConfig::builder_with_provider(ring)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], key)
                .unwrap();
            config.alpn_protocols = vec![b"h2".to_vec()];
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = Url::parse(&format!("https://{}/a?b=c", listener.local_addr().unwrap())).unwrap();
            let connections = Arc::new(AtomicUsize::new(0));
            let counted = connections.clone();
            tokio::spawn(async move {
                while let Ok((socket, _)) = listener.accept().await {
                    let Ok(socket) = acceptor.accept(socket).await else { continue };
                    let Ok(connection) = h2::server::handshake(socket).await else { continue };
                    tokio::spawn(serve(counted.fetch_add(1, Ordering::SeqCst), connection));
                }
            });
            Self { url, trust, dedicated: DedicatedClient::new(), connections }
        }

        fn connections(&self) -> usize {
            self.connections.load(Ordering::SeqCst)
        }

        /// The head of an answer, and its body to be read.
        async fn ask(
            &self,
            headers: &[(&'static str, &'static str)],
            body: &Bytes,
        ) -> Result<Response, Failure> {
            let uri = self.dedicated.reaches(&self.url).expect("straight");
            let own = || {
                let pair = |(name, value): &(&'static str, &'static str)| {
                    (HeaderName::from_static(name), HeaderValue::from_static(value))
                };
                headers.iter().map(pair).collect()
            };
            let ask = HttpRequest {
                method: &Method::POST,
                url: &self.url,
                headers: &own,
                body,
                limit: Duration::from_secs(5),
                written: AtomicBool::new(false),
            };
            self.dedicated.send(self.trust.clone(), self.trust.tls().unwrap(), uri, &ask).await
        }
    }

    /// The status and the body of an answer.
    async fn read(mut answer: Response) -> Result<String, Failure> {
        let mut text = format!("{} ", answer.status.as_u16());
        let mut take = |piece: &[u8]| {
            text.push_str(&String::from_utf8_lossy(piece));
            Ok(())
        };
        while answer.body.read(&mut take).await.map_err(|cause| Failure { sent: Sent::Maybe, cause })? {}
        Ok(text)
    }

    /// The result of a small request.
    async fn exchange<S: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(usize, Serving) -> S + Send + 'static,
        headers: &[(&'static str, &'static str)],
    ) -> Result<String, Failure> {
        let rig = Rig::new(Trust::Anybody, serve).await;
        read(rig.ask(headers, &Bytes::from_static(b"{}")).await?).await
    }

    /// Answers each request so.
    async fn answered<A: Future<Output = ()> + Send + 'static>(
        mut connection: Serving,
        answer: impl Fn(Request<RecvStream>, h2::server::SendResponse<Bytes>) -> A,
    ) {
        while let Some(Ok((request, respond))) = connection.accept().await {
            tokio::spawn(answer(request, respond));
        }
    }

    fn head(headers: &[(&'static str, &'static str)]) -> http::Response<()> {
        let head =
            headers.iter().fold(http::Response::builder(), |head, (name, value)| head.header(*name, *value));
        head.body(()).unwrap()
    }

    #[tokio::test]
    async fn a_request_has_its_own_authority_and_the_configured_headers() {
        let echo = |_, connection| {
            answered(connection, |request, mut respond| async move {
                let (head, _) = request.into_parts();
                let names = ["user-agent", "accept-encoding", "content-length", "connection", "te", "x-own"];
                let values =
                    names.map(|name| head.headers.get(name).map_or("-", |value| value.to_str().unwrap()));
                let at = head.uri.authority().map_or("-", |at| at.host()).to_owned();
                let path = head.uri.path_and_query().map_or("-", |path| path.as_str()).to_owned();
                let text = format!("{} {at} {path} {}", head.method, values.join(" "));
                let mut out = respond.send_response(self::head(&[]), false).unwrap();
                out.send_data(text.into(), true).unwrap();
            })
        };
        let us = super::super::AGENT;
        assert_eq!(
            exchange(echo, &[("x-own", "1")]).await,
            Ok(format!("200 POST 127.0.0.1 /a?b=c {us} identity 2 - - 1"))
        );
        let own = [
            ("host", "inner"),
            ("user-agent", "me"),
            ("connection", "close, x-own"),
            ("proxy-connection", "close"),
            ("te", "gzip"),
            ("x-own", "1"),
        ];
        assert_eq!(exchange(echo, &own).await, Ok("200 POST inner /a?b=c me identity 2 - - -".into()));
    }

    /// More than any window holds, both ways.
    #[tokio::test]
    async fn bodies_larger_than_the_window_are_sent_and_read() {
        let long = Bytes::from("long ".repeat(4 * WINDOW as usize / 5));
        let echo = |_, connection| {
            answered(connection, |request, mut respond| async move {
                let mut body = request.into_body();
                let mut length = 0;
                while let Some(Ok(piece)) = body.data().await {
                    length += piece.len();
                    body.flow_control().release_capacity(piece.len()).unwrap();
                }
                let mut out = respond.send_response(head(&[]), false).unwrap();
                out.send_data("y".repeat(length).into(), true).unwrap();
                poll_fn(|cx| out.poll_reset(cx)).await.ok();
            })
        };
        let rig = Rig::new(Trust::Anybody, echo).await;
        let answer = read(rig.ask(&[], &long).await.unwrap()).await.unwrap();
        assert_eq!(answer.len(), "200 ".len() + long.len());
    }

    #[tokio::test]
    async fn a_request_that_was_not_processed_is_sent_on_another_connection() {
        let served = |refuses: usize| {
            Rig::new(Trust::Anybody, move |number, connection| {
                answered(connection, move |_, mut respond| async move {
                    if number < refuses {
                        respond.send_reset(Reason::REFUSED_STREAM);
                    } else {
                        respond.send_response(head(&[]), true).unwrap();
                    }
                })
            })
        };
        let rig = served(2).await;
        let answer = rig.ask(&[], &Bytes::new()).await.unwrap();
        assert_eq!((read(answer).await, rig.connections()), (Ok("200 ".into()), 3));
        let rig = served(99).await;
        let failure = rig.ask(&[], &Bytes::new()).await.err();
        assert_eq!(failure, Some(Failure { sent: Sent::Not, cause: Cause::Reset }));
        assert_eq!(rig.connections(), 3);
    }

    #[tokio::test]
    async fn a_connection_that_refuses_a_stream_keeps_those_it_has() {
        let rig = Rig::new(Trust::Anybody, |_, connection| {
            let count = AtomicUsize::new(0);
            answered(connection, move |_, mut respond| {
                let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
                async move {
                    if is_first {
                        let mut out = respond.send_response(head(&[]), false).unwrap();
                        poll_fn(|cx| out.poll_reset(cx)).await.ok();
                    } else {
                        respond.send_reset(Reason::REFUSED_STREAM);
                    }
                }
            })
        })
        .await;
        // Each takes one stream, whatever it announces.
        let mut open = Vec::new();
        for connections in 1..4 {
            open.push(rig.ask(&[], &Bytes::new()).await.unwrap());
            assert_eq!(rig.connections(), connections);
        }
    }

    #[tokio::test]
    async fn after_goaway_a_connection_keeps_its_streams_and_gets_no_new_ones() {
        let rig = Rig::new(Trust::Anybody, |number, mut connection: Serving| async move {
            let mut open = Vec::new();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                open.push(respond.send_response(head(&[]), false).unwrap());
                if number == 0 {
                    connection.graceful_shutdown();
                }
            }
        })
        .await;
        let first = rig.ask(&[], &Bytes::new()).await.unwrap();
        let going = || {
            let origins = rig.dedicated.pool().origins.lock().unwrap();
            let mut all = origins.values().flat_map(|origin| &origin.connections);
            all.next().and_then(Weak::upgrade).is_some_and(|connection| connection.most() == 0)
        };
        while !going() {
            tokio::task::yield_now().await;
        }
        let second = rig.ask(&[], &Bytes::new()).await.unwrap();
        let third = rig.ask(&[], &Bytes::new()).await.unwrap();
        assert_eq!(rig.connections(), 2);
        drop((second, third));
        // No stream is left on the second one, and the first accepts nothing.
        let _fourth = rig.ask(&[], &Bytes::new()).await.unwrap();
        assert_eq!(rig.connections(), 3);
        drop(first);
    }

    #[tokio::test]
    async fn a_broken_answer_keeps_its_cause() {
        let maybe = |cause| Err(Failure { sent: Sent::Maybe, cause });
        let reset = |_, connection| {
            answered(connection, |_, mut respond| async move { respond.send_reset(Reason::INTERNAL_ERROR) })
        };
        assert_eq!(exchange(reset, &[]).await, maybe(Cause::Reset));
        let cut = |_, connection| {
            answered(connection, |_, mut respond| async move {
                let mut out = respond.send_response(head(&[]), false).unwrap();
                out.send_data("cut".into(), false).unwrap();
                out.send_reset(Reason::CANCEL);
            })
        };
        assert_eq!(exchange(cut, &[]).await, maybe(Cause::Reset));
        let gone = |_, mut connection: Serving| async move {
            let _asked = connection.accept().await;
        };
        assert_eq!(exchange(gone, &[]).await, maybe(Cause::Reset));
        let many = |_, connection| {
            answered(connection, |_, mut respond| async move {
                respond.send_response(head(&[("a", "b"); HEADERS + 1]), true).unwrap();
            })
        };
        assert_eq!(exchange(many, &[]).await, maybe(Cause::Limit(Limit::Headers)));
    }

    #[test]
    fn origins_without_connections_are_forgotten_where_there_are_many() {
        let mut origins = BTreeMap::new();
        for port in 0..3 * ORIGINS {
            known(&mut origins, (Trust::System, format!("agent:{port}"))).http1 = true;
            assert!(origins.len() <= ORIGINS, "{port}");
        }
        let last = (Trust::System, format!("agent:{}", 3 * ORIGINS - 1));
        assert!(known(&mut origins, last).http1);
    }

    #[tokio::test]
    async fn a_certificate_of_an_unknown_authority_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca.pem");
        let other = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let other = other.self_signed(&KeyPair::generate().unwrap()).unwrap();
        std::fs::write(&ca, other.pem()).unwrap();
        let rig = Rig::new(Trust::Authorities(ca), |_, _: Serving| async {}).await;
        let failure = rig.ask(&[], &Bytes::new()).await.err();
        let cause = Cause::Tls(TlsFault::UnknownIssuer);
        assert_eq!(failure, Some(Failure { sent: Sent::Not, cause }));
    }
}
