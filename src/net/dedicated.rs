//! Asking for work and streams of it: over connections of their own with HTTP/1.1, over shared ones with HTTP/2.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use url::Url;

use super::body::Body;
use super::connect::{Connector, within};
use super::http2::{Pool, Transport};
use super::idle::IdleConnections;
use super::trust::{Tls, Trust};
use super::{AGENT, http1, http2};
use crate::domain::cause::{Failure, Sent};
use crate::domain::time::At;

/// The number of repeats of a request that the agent did not process.
const AGAIN: u32 = 2;

/// Sends long-running requests. A clone shares connections.
#[derive(Clone, Debug)]
pub(super) struct DedicatedClient {
    connector: Connector,
    pool: Pool,
    idle: IdleConnections,
}

/// One request to one URL.
pub(super) struct HttpRequest<'a> {
    pub method: &'a Method,
    pub url: &'a Url,
    /// Builds all its headers.
    pub headers: &'a (dyn Fn() -> HeaderMap + Sync),
    /// Empty if it has none.
    pub body: &'a Bytes,
    /// Its timeout, also for the error message.
    pub limit: Duration,
    /// It may have been written.
    pub written: AtomicBool,
}

/// The head of an answer, and its body still to be read.
#[derive(Debug)]
pub(super) struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// When the certificate ends that the agent has shown.
    pub certificate_until: Option<At>,
    pub body: Body,
}

impl DedicatedClient {
    /// Nothing is connected yet.
    pub fn new() -> Self {
        let connector = Connector::new();
        Self { pool: Pool::new(connector.clone()), connector, idle: IdleConnections::default() }
    }

    /// The URI to connect to; `None` if the URL needs a login in it or a proxy.
    pub fn reaches(&self, url: &Url) -> Option<Uri> {
        self.connector.reaches(url)
    }

    /// The connections that wait.
    #[cfg(test)]
    pub fn idle(&self) -> &IdleConnections {
        &self.idle
    }

    /// The connections that are shared.
    #[cfg(test)]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Sends a request, and reads the head of its answer.
    ///
    /// # Errors
    /// What went wrong, and whether the request can have arrived.
    pub async fn send(
        &self,
        trust: Trust,
        tls: Option<Tls>,
        uri: Uri,
        ask: &HttpRequest<'_>,
    ) -> Result<Response, Failure> {
        let tls = tls.filter(|_| ask.url.scheme() == "https");
        let idle = self.idle.of(&trust, ask.url);
        let mut again = AGAIN;
        let socket = loop {
            if let Some(socket) = idle.take() {
                break socket;
            }
            let Some(tls) = &tls else {
                break Box::pin(within(self.connector.connect(uri.clone(), ask.url, None))).await?;
            };
            match Box::pin(self.pool.way(&trust, tls, &uri, ask.url)).await? {
                Transport::Own(socket) => break socket,
                Transport::Shared(place) => {
                    let certificate_until = place.certificate_until();
                    match http2::send(place, uri.clone(), ask).await {
                        // Another connection may take it.
                        Err(Failure { sent: Sent::Not, .. }) if again > 0 => {
                            again -= 1;
                            ask.written.store(false, Ordering::Relaxed);
                        }
                        answer => {
                            let (status, headers, body) = answer?;
                            let body = Body::Http2(body);
                            return Ok(Response { status, headers, certificate_until, body });
                        }
                    }
                }
            }
        };
        let certificate_until = socket.certificate_until();
        let (status, headers, body) = http1::send(socket, ask, idle).await?;
        Ok(Response { status, headers, certificate_until, body: Body::Http1(body) })
    }
}

/// Default headers, unless configured.
pub(super) fn defaults(headers: &HeaderMap) -> impl Iterator<Item = (HeaderName, &'static str)> {
    let all = [(USER_AGENT, AGENT), (ACCEPT_ENCODING, "identity")];
    all.into_iter().filter(|(name, _)| !headers.contains_key(name))
}
