//! Requests: cards, calls and streams.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{Method, StatusCode};
use tokio::time::Instant;
use url::{Host, Url};

use super::REDIRECTS;
use super::address::is_blocked;
use super::body::{Body, BodyLimits, Reading, Size, Text};
use super::budget::{Budget, Room};
use super::card_search::{Search, below, card_places};
use super::client::{self, Clients, TrustedClient};
use super::coding::plain;
use super::credentials::{Access, parse_url};
use super::dedicated::{DedicatedClient, HttpRequest, Response};
use super::event_stream::EventReader;
use super::probes::Probes;
use super::redact::{Redacted, Redactor};
use super::tap::{Kind, Label, Tap, TapHandle};
use super::trust::{Trust, install_crypto};
use crate::domain::agent::card::{Card, FetchedCard};
use crate::domain::cause::{Cause, Failure, Limit, Sent};
use crate::domain::input::ServerTraits;
use crate::domain::limits;
use crate::domain::text::Untrusted;
use crate::domain::trace::TraceParent;
use crate::protocol;
use crate::protocol::reply::status_cause;

/// Calls agents. A clone shares connections.
#[derive(Clone, Debug)]
pub struct Net {
    clients: Clients,
    dedicated: DedicatedClient,
    redactor: Redactor,
    tap: Tap,
    budget: Budget,
    probes: Probes,
}

/// The server's self-reported software, shortened for display.
fn software(headers: &HeaderMap, redactor: &Redactor) -> Option<Untrusted> {
    let header = headers.get("x-powered-by").or_else(|| headers.get(http::header::SERVER))?;
    let text = String::from_utf8_lossy(header.as_bytes());
    let text = Untrusted::from(&*redactor.redact(&text)).headline(80);
    (!text.is_empty()).then_some(text)
}

/// A fetched card.
#[derive(Debug)]
pub struct CardAnswer {
    /// `None`: it has not changed.
    pub card: Option<FetchedCard>,
    /// The card's text as received, redacted.
    pub text: Option<Redacted<'static>>,
    /// The room of a large card, held as long as the answer is.
    pub room: Option<Room>,
    /// How long it took.
    pub took: Duration,
    /// Information from the headers.
    pub server: ServerTraits,
}

/// An answer to a request for a stream.
#[derive(Debug)]
pub enum Opened {
    /// A stream.
    Stream(EventReader),
    /// It answered with a document instead: an error, or a server that does not stream.
    Document(Text),
}

pub(super) struct Answer {
    /// Where it came from in the end.
    pub url: Url,
    pub took: Duration,
    server: ServerTraits,
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Body,
}

/// The kind of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectionUse {
    /// A short request, over shared connections.
    Pooled,
    /// A long-running request or stream, which must not block others.
    Dedicated,
}

/// A call of an agent's interface.
#[derive(Debug)]
pub struct RpcCall<'c> {
    /// The URL of the interface.
    pub url: &'c Untrusted,
    /// The headers of its dialect.
    pub headers: &'c [(&'static str, &'static str)],
    /// The span that calls, if the agent is told.
    pub trace: Option<TraceParent>,
    /// The request.
    pub body: String,
}

/// One request.
pub(super) struct Request<'r> {
    pub method: Method,
    pub url: Url,
    /// Makes its headers but for credentials, which are large, and not kept while an answer is waited for.
    pub headers: &'r (dyn Fn() -> HeaderMap + Sync),
    /// Empty if it has none.
    pub body: Bytes,
    pub connection: ConnectionUse,
    /// The head of the answer must be there within this.
    pub limit: Duration,
}

impl Net {
    /// Prepares calls; nothing is connected yet.
    pub fn new(redactor: Redactor, tap: Tap) -> Self {
        install_crypto();
        Self {
            clients: Clients::default(),
            dedicated: DedicatedClient::new(),
            redactor,
            tap,
            budget: Budget::new(),
            probes: Probes::default(),
        }
    }

    /// The same, with at most so many probes a second to one host.
    #[must_use]
    pub fn with_probes_per_host(self, number: u32) -> Self {
        Self { probes: Probes::new(number), ..self }
    }

    /// What was on the wire.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// Waits until an agent may be probed; see `net/probes.rs`.
    pub async fn turn_to_probe(&self, access: &Access, url: &str) {
        self.probes.turn(url, access.origin.is_some()).await;
    }

    /// The secrets of all agents. Those of a single agent are in the redactor of its tap handle.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// One exchange of headers, with redirects where they are allowed.
    pub(super) async fn exchange(
        &self,
        access: &Access,
        line: &TapHandle,
        mut request: Request<'_>,
    ) -> Result<Answer, Failure> {
        let begun = Instant::now();
        let mut visited = Vec::new();
        for _ in 0..=REDIRECTS {
            let url = &request.url;
            Self::check_address(access, url)?;
            let left = request.limit.saturating_sub(begun.elapsed());
            let answer = self.exchange_once(access, line, &request, left).await?;
            let status = answer.status;
            if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
                return Ok(answer);
            }
            let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
            let Some(next) = location.and_then(|to| url.join(to).ok()) else {
                return Err(maybe(Cause::status(status.as_u16(), "a redirect to nowhere")));
            };
            // A request with a body is repeated only if the status says so.
            let keeps_method = request.method == Method::GET
                || matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            let same_origin = next.origin() == url.origin();
            let downgrade = url.scheme() == "https" && next.scheme() != "https";
            let carries = access.has_credentials() || !request.body.is_empty();
            if !keeps_method || downgrade || (!same_origin && carries) {
                return Err(maybe(Cause::RedirectRefused(Untrusted::from(
                    &*line.redactor().redact(next.as_str()),
                ))));
            }
            visited.push(std::mem::replace(&mut request.url, next));
            // The second answer is the final one.
            if visited.contains(&request.url) {
                return Err(maybe(Cause::status(status.as_u16(), "a redirect in a circle")));
            }
        }
        Err(maybe(Cause::Limit(Limit::Redirects)))
    }

    async fn exchange_once(
        &self,
        access: &Access,
        line: &TapHandle,
        request: &Request<'_>,
        left: Duration,
    ) -> Result<Answer, Failure> {
        let Request { method, url, limit, .. } = request;
        let unsent = |cause| Failure { sent: Sent::Not, cause };
        let secret = Box::pin(access.headers(url, line.redactor())).await.map_err(unsent)?;
        let headers = || {
            let mut all = (request.headers)();
            all.extend(secret.clone());
            all
        };
        let names: Vec<_> = secret.keys().map(|name| name.as_str()).collect();
        let text = String::from_utf8_lossy(&request.body);
        line.keep(Kind::Request, &format!("{method} {url}"), &shown(&headers(), &names, &text));
        drop((names, text));
        let begun = Instant::now();
        let ask = HttpRequest {
            method,
            url,
            headers: &headers,
            body: &request.body,
            limit: *limit,
            written: AtomicBool::new(false),
        };
        let sent = tokio::time::timeout(left, self.send(access, request.connection, &ask)).await;
        let sent = sent.unwrap_or_else(|_| {
            let sent = if ask.written.load(Ordering::Relaxed) { Sent::Maybe } else { Sent::Not };
            Err(Failure { sent, cause: Cause::TimedOut(*limit) })
        });
        let Response { status, headers, certificate_until, body } =
            sent.inspect_err(|failure| line.failed(&failure.cause))?;
        let took = begun.elapsed();
        let server = ServerTraits {
            express: headers.get("x-powered-by").is_some_and(|value| value.as_bytes() == b"Express"),
            certificate_until,
            software: software(&headers, line.redactor()),
        };
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            access.refused(url);
            let challenge = headers.get(WWW_AUTHENTICATE).map(header_text);
            let head = format!("{} in {} ms", status.as_u16(), took.as_millis());
            line.keep(Kind::Response, &head, &shown(&headers, &[], ""));
            let cause = Cause::Login {
                status: status.as_u16(),
                challenge: challenge.map(|text| Untrusted::from(&*line.redactor().redact(&text))),
                had_credentials: !secret.is_empty(),
            };
            line.answered_with(&cause);
            return Err(maybe(cause));
        }
        Ok(Answer { url: url.clone(), took, server, status, headers, body })
    }

    async fn send(
        &self,
        access: &Access,
        connection: ConnectionUse,
        ask: &HttpRequest<'_>,
    ) -> Result<Response, Failure> {
        let trust = Trust::of(access, ask.url);
        let unsent = |cause| Failure { sent: Sent::Not, cause };
        let TrustedClient { client, tls } = self.clients.of(&trust).map_err(unsent)?;
        if connection == ConnectionUse::Dedicated
            && let Some(uri) = self.dedicated.reaches(ask.url)
        {
            return self.dedicated.send(trust, tls, uri, ask).await;
        }
        Box::pin(client::send(&client, ask)).await
    }

    /// Cards do not decide that this machine calls the local link or a metadata service.
    fn check_address(access: &Access, url: &Url) -> Result<(), Failure> {
        let named = access.origin.as_ref().is_some_and(|origin| origin.host() == url.host());
        let blocked = match url.host() {
            Some(Host::Ipv4(address)) => is_blocked(address.into()),
            Some(Host::Ipv6(address)) => is_blocked(address.into()),
            _ => false,
        };
        if blocked && !named {
            let host = url.host_str().unwrap_or_default();
            return Err(Failure { sent: Sent::Not, cause: Cause::Blocked(Untrusted::from(host)) });
        }
        Ok(())
    }

    /// Reads a body up to its limits, and keeps its beginning on the tap. An answer is a failure unless its status is a
    /// success.
    pub(super) async fn body(
        &self,
        answer: Answer,
        line: &TapHandle,
        limits: BodyLimits,
    ) -> Result<Text, Failure> {
        let Answer { url, body, took, status, headers, .. } = answer;
        let head = format!("{} in {} ms", status.as_u16(), took.as_millis());
        let reading = Reading::new(&self.budget, &url, limits);
        let (text, read) = reading.read(body, &headers, line.redactor()).await;
        line.keep_body(&head, &shown(&headers, &[], ""), &text);
        if let Err(cause) = read {
            line.failed(&cause);
            return Err(maybe(cause));
        }
        if status.is_success() {
            return Ok(text);
        }
        let cause = match status_cause(status.as_u16(), &text) {
            Cause::Status { status, says, .. } => {
                Cause::Status { status, says, retry_after: retry_after(&headers) }
            }
            cause => cause,
        };
        line.answered_with(&cause);
        Err(maybe(cause))
    }

    /// Fetches an agent's card from its known place, or from the usual ones.
    ///
    /// # Errors
    /// What came of the places that were tried: of several causes the one that says most.
    pub async fn fetch_card(
        &self,
        access: &Access,
        line: &TapHandle,
        url: &str,
        etag: Option<&Untrusted>,
        limit: Duration,
    ) -> Result<CardAnswer, Failure> {
        if let Some(path) = url.strip_prefix("file://") {
            return Self::read_card(path, line.redactor()).await;
        }
        // Each place has the full timeout: an agent that is slow to answer 404 is slow, not silent.
        let mut places = self.probes.places(url, card_places(url));
        let mut search = Search { worst: places.known_failure(), failing: None };
        while let Some(place) = places.next() {
            let base = below(&place).to_owned();
            match self.fetch_card_at(access, line, place, etag, limit, limit).await {
                Err(failure) if search.note(&failure, &base) => {
                    if search.failing.is_some() {
                        places.only(|place| below(place) == base);
                    }
                }
                result => return result,
            }
        }
        let none = || maybe(Cause::Malformed(Untrusted::from("no URL to look for a card at")));
        let failure = search.worst.unwrap_or_else(none);
        places.failed(&failure);
        Err(failure)
    }

    /// A card that the operator has as a file.
    async fn read_card(path: &str, redactor: &Redactor) -> Result<CardAnswer, Failure> {
        let unread = |cause| Failure { sent: Sent::Not, cause };
        let file = std::path::PathBuf::from(path);
        let read = tokio::task::spawn_blocking(move || super::card_file::read(&file)).await;
        let text = read
            .unwrap_or_else(|error| Err(error.into()))
            .map_err(|error| unread(Cause::status(404, format!("{path}: {error}"))))?;
        let text = redactor.redacted(&text).into_owned();
        let card = Arc::new(protocol::card::decode(&text).map_err(unread)?);
        let url = card.offers.first().map_or("", |offer| offer.url.raw());
        let card = Some(FetchedCard { url: Arc::from(url), card, etag: None });
        Ok(CardAnswer {
            card,
            text: Some(text),
            room: None,
            took: Duration::ZERO,
            server: ServerTraits::default(),
        })
    }

    async fn fetch_card_at(
        &self,
        access: &Access,
        line: &TapHandle,
        url: Url,
        etag: Option<&Untrusted>,
        left: Duration,
        limit: Duration,
    ) -> Result<CardAnswer, Failure> {
        let headers = || {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            // Two SDKs serve both cards at one place and choose by this header.
            headers.insert("a2a-version", HeaderValue::from_static("1.0"));
            if let Some(value) = etag.and_then(|etag| HeaderValue::from_str(etag.raw()).ok()) {
                headers.insert(IF_NONE_MATCH, value);
            }
            headers
        };
        let begun = Instant::now();
        let request = Request {
            method: Method::GET,
            url: url.clone(),
            headers: &headers,
            body: Bytes::new(),
            connection: ConnectionUse::Pooled,
            limit: left,
        };
        let answer = self.exchange(access, line, request).await?;
        let (took, server, status) = (answer.took, answer.server.clone(), answer.status);
        let answered = answer.url.clone();
        if status == StatusCode::NOT_MODIFIED {
            line.keep(Kind::Response, &format!("304 in {} ms", took.as_millis()), "");
            line.answered(Label::Unchanged);
            return Ok(CardAnswer { card: None, text: None, room: None, took, server });
        }
        let etag = etag_of(&answer.headers, line.redactor());
        let left = left.saturating_sub(begun.elapsed());
        let text = self.body(answer, line, BodyLimits { size: Size::Card, left, limit }).await?;
        let (text, room) = text.into_parts();
        let (text, mut card) = match decode_card(text).await {
            Ok(decoded) => decoded,
            Err(cause) => {
                line.answered_with(&cause);
                return Err(maybe(cause));
            }
        };
        line.answered(Label::Card);
        protocol::card::resolve(&mut card, &answered);
        let card = Some(FetchedCard { card: Arc::new(card), url: Arc::from(url.as_str()), etag });
        Ok(CardAnswer { card, text: Some(text), room, took, server })
    }

    /// Makes a call with a single response document. Also returns the time until its headers.
    ///
    /// # Errors
    /// What went wrong, and whether it can have arrived.
    pub async fn call(
        &self,
        access: &Access,
        line: &TapHandle,
        call: RpcCall<'_>,
        connection: ConnectionUse,
        limit: Duration,
    ) -> Result<(Text, Duration), Failure> {
        let begun = Instant::now();
        let RpcCall { url, headers, trace, body } = call;
        let headers = || rpc_headers(headers, trace, "application/json");
        let request = Request {
            method: Method::POST,
            url: interface_url(url)?,
            headers: &headers,
            body: body.into(),
            connection,
            limit,
        };
        let answer = self.exchange(access, line, request).await?;
        let took = answer.took;
        // The body has as long again as the answer had.
        let left = (limit * 2).saturating_sub(begun.elapsed());
        let text = self.body(answer, line, BodyLimits { size: Size::Answer, left, limit }).await?;
        Ok((text, took))
    }

    /// Makes a call with a stream as answer. `limit` applies only to its headers.
    ///
    /// # Errors
    /// What went wrong, and whether it can have arrived.
    pub async fn open(
        &self,
        access: &Access,
        line: &TapHandle,
        call: RpcCall<'_>,
        limit: Duration,
    ) -> Result<(Opened, Duration, ServerTraits), Failure> {
        let RpcCall { url, headers, trace, body } = call;
        let headers = || rpc_headers(headers, trace, "text/event-stream, application/json");
        let request = Request {
            method: Method::POST,
            url: interface_url(url)?,
            headers: &headers,
            body: body.into(),
            connection: ConnectionUse::Dedicated,
            limit,
        };
        let answer = self.exchange(access, line, request).await?;
        let (took, server, status) = (answer.took, answer.server.clone(), answer.status);
        let kind = answer.headers.get(CONTENT_TYPE).map(header_text).unwrap_or_default();
        if status.is_success() && is_stream(&kind) {
            let head = format!("{} in {} ms, streaming", status.as_u16(), took.as_millis());
            line.keep(Kind::Response, &head, &shown(&answer.headers, &[], ""));
            line.answered(Label::Stream);
            plain(&answer.headers).map_err(maybe)?;
            let reader = EventReader::new(answer.body, line.clone(), self.budget.events_of(&answer.url));
            return Ok((Opened::Stream(reader), took, server));
        }
        let text =
            Box::pin(self.body(answer, line, BodyLimits { size: Size::Answer, left: limit, limit })).await?;
        Ok((Opened::Document(text), took, server))
    }
}

/// Decodes a card; a large one on a thread where it delays nothing else.
async fn decode_card(text: Redacted<'static>) -> Result<(Redacted<'static>, Card), Cause> {
    let is_small = text.len() <= limits::SMALL;
    let decode = move || protocol::card::decode(&text).map(|card| (text, card));
    if is_small {
        return decode();
    }
    let decoded = tokio::task::spawn_blocking(decode).await;
    decoded.unwrap_or_else(|error| {
        Err(Cause::Malformed(Untrusted::from(format!("reading its card failed: {error}"))))
    })
}

/// Reads the beginning of a body without use, at most `most` bytes of it, and records it on the tap.
pub(super) async fn beginning(
    answer: Answer,
    line: &TapHandle,
    left: Duration,
    most: usize,
) -> Redacted<'static> {
    let Answer { mut body, took, status, headers, .. } = answer;
    let mut bytes = Vec::new();
    let read = async {
        let mut take = |piece: &[u8]| {
            bytes.extend_from_slice(&piece[..piece.len().min(most - bytes.len())]);
            if bytes.len() < most { Ok(()) } else { Err(Cause::Limit(Limit::Body)) }
        };
        while body.read(&mut take).await.unwrap_or(false) {}
    };
    // The bytes received so far suffice.
    let _ended = tokio::time::timeout(left, read).await;
    let text = line.redactor().redacted(&String::from_utf8_lossy(&bytes)).into_owned();
    let head = format!("{} in {} ms", status.as_u16(), took.as_millis());
    line.keep_body(&head, &shown(&headers, &[], ""), &text);
    text
}

fn maybe(cause: Cause) -> Failure {
    Failure { sent: Sent::Maybe, cause }
}

pub(super) fn header_text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// The `ETag` of a document, unless it contains a secret.
pub(super) fn etag_of(headers: &HeaderMap, redactor: &Redactor) -> Option<Untrusted> {
    let etag = headers.get(ETAG).map(header_text)?;
    (redactor.redact(&etag) == etag).then(|| Untrusted::from(etag))
}

fn interface_url(url: &Untrusted) -> Result<Url, Failure> {
    parse_url(url.raw()).ok_or_else(|| Failure {
        sent: Sent::Not,
        cause: Cause::Malformed(Untrusted::from(format!(
            "its card names no URL but {:?}",
            url.shortened(80)
        ))),
    })
}

/// True for media types of streams: events, or one JSON document a line.
fn is_stream(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(
        kind.as_str(),
        "text/event-stream"
            | "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/jsonlines"
            | "application/json-seq"
            | "application/stream+json"
    )
}

fn rpc_headers(
    own: &[(&'static str, &'static str)],
    trace: Option<TraceParent>,
    accept: &'static str,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    for (name, value) in own {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    if let Some(parent) = trace.and_then(|trace| HeaderValue::try_from(trace.to_string()).ok()) {
        headers.insert("traceparent", parent);
    }
    headers
}

/// Headers as they are shown: those that carry secrets without their values.
fn shown(headers: &HeaderMap, secret: &[&str], body: &str) -> String {
    let mut text = String::new();
    for (name, value) in headers {
        let hide = secret.contains(&name.as_str())
            || value.is_sensitive()
            || crate::config::secret::is_secret_header(name.as_str());
        let value = if hide { "[redacted]".to_owned() } else { header_text(value) };
        let _infallible = writeln!(text, "{name}: {value}");
    }
    text.push('\n');
    text.push_str(body);
    text
}

/// The time that an answer asks to wait: `Retry-After` in seconds, or as a date (RFC 9110 section 10.2.3)
/// that the answer's own `Date` is subtracted from, because the clocks of two machines differ.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let time = |text: &str| Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp());
    let answered = time(headers.get(DATE)?.to_str().ok()?)?;
    Duration::try_from(time(text)?.duration_since(answered)).ok()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::clock::Clock;
    use super::super::tap::Method;
    use super::*;
    use crate::domain::id::AgentKey;

    #[test]
    fn an_answer_may_ask_to_wait_in_seconds_or_until_a_date() {
        let at = HeaderValue::from_static("Wed, 21 Oct 2015 07:28:00 GMT");
        for (value, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:29:00 GMT", Some(60)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", None),
            ("soon", None),
            ("-3", None),
        ] {
            let asked = (RETRY_AFTER, HeaderValue::from_static(value));
            let headers = HeaderMap::from_iter([asked, (DATE, at.clone())]);
            assert_eq!(retry_after(&headers).map(|wait| wait.as_secs()), expected, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::from_iter([(DATE, at)])), None);
    }

    /// No answer: a written request may have arrived, one that waits for a connection has not.
    #[tokio::test]
    async fn a_timeout_before_the_request_was_written_means_nothing_was_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let redactor = Redactor::default();
        let net = Net::new(redactor.clone(), Tap::new(Arc::new(Clock::start()), redactor));
        let line = net.tap().line(AgentKey(0), 0, Method::Get, None);
        for (scheme, connection, sent) in [
            ("https", ConnectionUse::Dedicated, Sent::Not),
            ("http", ConnectionUse::Dedicated, Sent::Maybe),
            ("http", ConnectionUse::Pooled, Sent::Maybe),
        ] {
            let url = format!("{scheme}://{address}/");
            let access = Access { insecure: true, ..Access::open(&url) };
            let limit = Duration::from_millis(50);
            let asked = {
                let call = RpcCall { url: &url.into(), headers: &[], trace: None, body: "{}".into() };
                net.call(&access, &line, call, connection, limit).await
            };
            let failure = Failure { sent, cause: Cause::TimedOut(limit) };
            assert_eq!(asked.map(|_| ()), Err(failure), "{scheme} {connection:?}");
        }
    }
}
