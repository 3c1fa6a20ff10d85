//! Answers that are there, such as cards, tasks and lists, over the connections of one client for each kind of
//! trust; and work where a proxy is needed, or a login in the URL.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;
use reqwest::tls::TlsInfo;

use super::address::Resolver;
use super::body::Body;
use super::cause::classify;
use super::dedicated::{HttpRequest, Response};
use super::trust::{Tls, Trust, certificate_until};
use super::{AGENT, CONNECT, HEADERS, KEEPALIVE};
use crate::domain::cause::{Cause, Failure};
use crate::domain::text::Untrusted;

/// Idle connections are closed before the other side does so: uvicorn and Node close theirs after 5 s, and a request
/// written at that moment would fail, or leave a message uncertain.
const IDLE: Duration = Duration::from_millis(1500);

/// The clients, made as they are needed. A clone shares them.
#[derive(Clone, Default, Debug)]
pub(super) struct Clients(Arc<Mutex<BTreeMap<Trust, TrustedClient>>>);

/// The client for one kind of trust.
#[derive(Clone, Debug)]
pub(super) struct TrustedClient {
    pub client: Client,
    /// The same for connections of streams.
    pub tls: Option<Tls>,
}

impl Clients {
    /// The client for this trust.
    ///
    /// # Errors
    /// The authorities cannot be read.
    pub fn of(&self, trust: &Trust) -> Result<TrustedClient, Cause> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trusting) = all.get(trust) {
            return Ok(trusting.clone());
        }
        let tls = trust.tls()?;
        let trusting = TrustedClient { client: build(tls.as_ref())?, tls };
        all.insert(trust.clone(), trusting.clone());
        Ok(trusting)
    }
}

fn build(tls: Option<&Tls>) -> Result<Client, Cause> {
    let builder = Client::builder()
        .user_agent(AGENT)
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .http1_max_headers(HEADERS)
        .dns_resolver(Arc::new(Resolver))
        .pool_idle_timeout(IDLE)
        .tls_info(true)
        .tcp_nodelay(true)
        .tcp_keepalive(KEEPALIVE);
    let builder = match tls {
        None => builder.tls_certs_only([]),
        Some(tls) => builder.tls_backend_preconfigured((**tls).clone()),
    };
    let fault = |error| Cause::Credential(Untrusted::from(format!("TLS cannot be set up: {error}")));
    builder.build().map_err(fault)
}

/// Sends a request, and reads the head of its answer.
///
/// # Errors
/// What went wrong, and whether the request can have arrived.
pub(super) async fn send(client: &Client, ask: &HttpRequest<'_>) -> Result<Response, Failure> {
    // The error does not say when it happened.
    ask.written.store(true, Ordering::Relaxed);
    let mut request = client.request(ask.method.clone(), ask.url.clone()).headers((ask.headers)());
    if !ask.body.is_empty() {
        request = request.body(ask.body.clone());
    }
    let answer = request.send().await.map_err(|error| classify(&error, ask.limit))?;
    let (head, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
    let tls = head.extensions.get::<TlsInfo>();
    Ok(Response {
        status: head.status,
        headers: head.headers,
        certificate_until: tls.and_then(|tls| certificate_until(tls.peer_certificate()?)),
        body: Body::Client(body),
    })
}
