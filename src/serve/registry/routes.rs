//! What the registry answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, StatusCode};
use tokio::sync::{Semaphore, watch};

use super::access::{Refused, Writers};
use super::metrics::{self, Numbers, Requests};
use super::{Registry, Trouble};
use crate::domain::agent::{Health, normalise_url};
use crate::domain::fleet::registry::{Page, Registration, Search, Seen, page, parse_id};
use crate::domain::id::RegistrationId;
use crate::domain::state::snapshot::Snapshot;
use crate::protocol::registry as wire;

/// A manifest names so many agents, in so many bytes; the rest is found by asking.
const MANIFEST_AGENTS: usize = 1000;
const MANIFEST_BYTES: usize = 8 * 1024 * 1024;

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Route {
    Agents,
    Agent(String),
    Heartbeat(String),
    Search,
    Explore,
    Manifest(&'static str),
    Health,
    Metrics,
}

impl Route {
    /// Its name in metrics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Agents => "/agents",
            Self::Agent(_) => "/agents/{id}",
            Self::Heartbeat(_) => "/agents/{id}/heartbeat",
            Self::Search => "/search",
            Self::Explore => "/explore",
            Self::Manifest(path) => path,
            Self::Health => "/health",
            Self::Metrics => "/metrics",
        }
    }

    fn allows(&self) -> &'static str {
        match self {
            Self::Agents => "GET, HEAD, POST",
            Self::Agent(_) => "GET, HEAD, DELETE",
            Self::Heartbeat(_) => "PUT",
            Self::Search | Self::Explore => "POST",
            Self::Manifest(_) | Self::Health | Self::Metrics => "GET, HEAD",
        }
    }
}

/// What a path asks for.
pub(super) fn route(path: &str) -> Option<Route> {
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    Some(match path {
        "/agents" => Route::Agents,
        "/search" => Route::Search,
        "/explore" => Route::Explore,
        "/.well-known/ard.json" => Route::Manifest("/.well-known/ard.json"),
        "/.well-known/ai-catalog.json" => Route::Manifest("/.well-known/ai-catalog.json"),
        "/health" => Route::Health,
        "/metrics" => Route::Metrics,
        _ => {
            let rest = path.strip_prefix("/agents/")?;
            // Of what an id may hold, clients escape the colon alone.
            let id = |text: &str| text.replace("%3A", ":").replace("%3a", ":");
            match rest.strip_suffix("/heartbeat") {
                Some(rest) if !rest.contains('/') => Route::Heartbeat(id(rest)),
                None if !rest.contains('/') => Route::Agent(id(rest)),
                _ => return None,
            }
        }
    })
}

/// A method as it is counted.
pub(super) fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// True for requests whose body is read. Others may have one, and nobody looks at it.
pub(super) fn takes_body(route: &Route, method: &Method) -> bool {
    *method == Method::POST && matches!(route, Route::Agents | Route::Search)
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: StatusCode,
    pub kind: &'static str,
    pub body: String,
    pub allow: Option<&'static str>,
}

impl Reply {
    fn json(status: StatusCode, body: String) -> Self {
        Self { status, kind: "application/json", body, allow: None }
    }

    pub(super) fn error(status: StatusCode, code: &str, message: &str, hint: Option<&str>) -> Self {
        Self::json(status, wire::error(code, message, hint))
    }

    pub(super) fn bad_request(message: &str) -> Self {
        let hint = "docs/registry.md has the shapes of every request";
        Self::error(StatusCode::BAD_REQUEST, "QUARTERDECK_ERR_BODY", message, Some(hint))
    }

    fn unknown_agent() -> Self {
        let hint = "its lease may have ended: register again, with POST /agents";
        Self::error(
            StatusCode::NOT_FOUND,
            "QUARTERDECK_ERR_NOT_FOUND",
            "no agent is registered under this id",
            Some(hint),
        )
    }
}

impl From<Trouble> for Reply {
    fn from(trouble: Trouble) -> Self {
        tracing::warn!("the registry could not do what it was asked: {trouble}");
        let (code, hint) = match &trouble {
            Trouble::Full => ("QUARTERDECK_ERR_FULL", "deregister agents that are no longer there"),
            Trouble::Store(_) | Trouble::Broken => (
                "QUARTERDECK_ERR_STORE",
                "look at the disk of the machine that serves the registry; try again",
            ),
        };
        // What the file is called is nobody's business outside.
        let message = match &trouble {
            Trouble::Store(_) => "the registry cannot write down anything now".to_owned(),
            other => other.to_string(),
        };
        Self::error(StatusCode::SERVICE_UNAVAILABLE, code, &message, Some(hint))
    }
}

/// Turns away what is not there, what is not done, and who may not; before any body is read.
pub(super) fn admit(
    writers: &Writers,
    route: Option<Route>,
    head: &Parts,
    peer: SocketAddr,
) -> Result<Route, Reply> {
    let Some(route) = route else {
        let hint = "there are /agents, /search, /.well-known/ard.json, /health and /metrics";
        return Err(Reply::error(
            StatusCode::NOT_FOUND,
            "QUARTERDECK_ERR_NOT_FOUND",
            "there is nothing at this path",
            Some(hint),
        ));
    };
    let allowed = route.allows();
    if !allowed.split(", ").any(|method| method == head.method.as_str()) {
        let message = format!("{} is not done here; {allowed} is", method_word(&head.method));
        let reply = Reply::error(StatusCode::METHOD_NOT_ALLOWED, "QUARTERDECK_ERR_METHOD", &message, None);
        return Err(Reply { allow: Some(allowed), ..reply });
    }
    let reads =
        matches!(head.method, Method::GET | Method::HEAD) || matches!(route, Route::Search | Route::Explore);
    if !reads {
        writers.check(&head.headers, peer).map_err(|refused| match refused {
            Refused::Token => Reply::error(
                StatusCode::UNAUTHORIZED,
                "QUARTERDECK_ERR_TOKEN",
                "writing needs the registry's token",
                Some("send it as Authorization: Bearer TOKEN"),
            ),
            Refused::Place => Reply::error(
                StatusCode::FORBIDDEN,
                "QUARTERDECK_ERR_TOKEN",
                "without a token only programs of the registry's own machine may write, and no web pages",
                Some("set registry.token in the configuration, and send it as Authorization: Bearer TOKEN"),
            ),
        })?;
    }
    if takes_body(&route, &head.method) {
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json")) {
            return Err(Reply::error(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "QUARTERDECK_ERR_MEDIA_TYPE",
                "the body is not said to be JSON",
                Some("send Content-Type: application/json"),
            ));
        }
    }
    Ok(route)
}

/// A request that was let in.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub route: Route,
    pub method: Method,
    pub query: Option<&'a str>,
    pub host: Option<&'a str>,
    pub body: String,
}

/// What the fleet knows of agents, by their normalised URLs.
type Index = BTreeMap<String, Seen>;

/// Where requests are answered.
#[derive(Debug)]
pub(super) struct Desk {
    pub registry: Registry,
    pub fleet: watch::Receiver<Arc<Snapshot>>,
    /// What the fleet knew at one of its snapshots.
    pub index: Mutex<Option<(u64, Arc<Index>)>>,
    /// Who looks through all agents has a thread of its own; so many have one at once.
    pub readers: Semaphore,
    pub writers: Writers,
    pub address: SocketAddr,
    pub requests: Requests,
    pub connections: AtomicU64,
}

impl Desk {
    pub(super) async fn answer(self: &Arc<Self>, ask: Ask<'_>) -> Reply {
        let base = self.base(ask.host);
        let writes = !matches!(ask.method, Method::GET | Method::HEAD);
        match ask.route {
            Route::Agents if writes => self.register(&ask.body).await,
            Route::Agents => match list_page(ask.query) {
                Ok(page) => self.read(move |desk| desk.list(page)).await,
                Err(fault) => Reply::bad_request(&fault.to_string()),
            },
            Route::Agent(id) => match parse_id(&id) {
                None => Reply::unknown_agent(),
                Some(id) if writes => self.deregister(id).await,
                Some(id) => self.read(move |desk| desk.one(id)).await,
            },
            Route::Heartbeat(id) => match parse_id(&id) {
                None => Reply::unknown_agent(),
                Some(id) => self.heartbeat(id).await,
            },
            Route::Search => match wire::search(&ask.body) {
                Ok((search, page)) => self.read(move |desk| desk.search(&search, page, &base)).await,
                Err(fault) => Reply::bad_request(&fault.to_string()),
            },
            Route::Explore => Reply::error(
                StatusCode::NOT_IMPLEMENTED,
                "QUARTERDECK_ERR_NOT_IMPLEMENTED",
                "this registry counts nothing by facets",
                Some("POST /search finds agents"),
            ),
            Route::Manifest(_) => self.read(move |desk| desk.manifest(&base)).await,
            Route::Health => {
                let body = format!("{{\"status\":\"ok\",\"agents\":{}}}", self.registry.len());
                Reply::json(StatusCode::OK, body)
            }
            Route::Metrics => self.read(Self::metrics).await,
        }
    }

    /// Runs what looks through all agents off the threads that serve, a few at once.
    async fn read(self: &Arc<Self>, work: impl FnOnce(&Self) -> Reply + Send + 'static) -> Reply {
        let Ok(_place) = self.readers.acquire().await else { return Trouble::Broken.into() };
        let desk = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&desk)).await;
        done.unwrap_or_else(|_| Trouble::Broken.into())
    }

    async fn register(&self, body: &str) -> Reply {
        let entry = match wire::registration(body) {
            Ok(entry) => entry,
            Err(fault) => return Reply::bad_request(&fault.to_string()),
        };
        match self.registry.register(entry).await {
            Ok(row) => Reply::json(StatusCode::CREATED, wire::registered(&row, self.registry.lease())),
            Err(trouble) => trouble.into(),
        }
    }

    async fn heartbeat(&self, id: RegistrationId) -> Reply {
        match self.registry.heartbeat(id).await {
            Ok(true) => Reply::json(StatusCode::OK, wire::renewed(self.registry.lease())),
            Ok(false) => Reply::unknown_agent(),
            Err(trouble) => trouble.into(),
        }
    }

    async fn deregister(&self, id: RegistrationId) -> Reply {
        match self.registry.deregister(id).await {
            Ok(true) => Reply::json(StatusCode::NO_CONTENT, String::new()),
            Ok(false) => Reply::unknown_agent(),
            Err(trouble) => trouble.into(),
        }
    }

    fn one(&self, id: RegistrationId) -> Reply {
        let Some(row) = self.registry.get(id) else { return Reply::unknown_agent() };
        Reply::json(StatusCode::OK, wire::entry(&row, &seen(&self.index(), &row), None))
    }

    fn list(&self, part: Page) -> Reply {
        let index = self.index();
        let rows = self.registry.list();
        let total = rows.len();
        let (rows, next) = page(rows.into_iter().map(|row| (0, row.id, row)).collect(), part);
        let items = rows.iter().map(|(_, row)| wire::entry(row, &seen(&index, row), None)).collect();
        Reply::json(StatusCode::OK, wire::listed(items, total, next))
    }

    fn search(&self, search: &Search, part: Page, base: &str) -> Reply {
        let index = self.index();
        let fits = |row: Registration| {
            let seen = seen(&index, &row);
            Some((search.score(&row, &seen)?, row.id, (row, seen)))
        };
        let (rows, next) = page(self.registry.list().into_iter().filter_map(fits).collect(), part);
        let results =
            rows.iter().map(|(score, (row, seen))| wire::entry(row, seen, Some((*score, base)))).collect();
        Reply::json(StatusCode::OK, wire::found(results, next))
    }

    fn manifest(&self, base: &str) -> Reply {
        let index = self.index();
        let mut bytes = 0;
        let rows = self.registry.list();
        let entries = rows.iter().take(MANIFEST_AGENTS).map(|row| wire::entry(row, &seen(&index, row), None));
        let entries = entries.take_while(|entry| {
            bytes += entry.len();
            bytes <= MANIFEST_BYTES
        });
        Reply::json(StatusCode::OK, wire::manifest(base, entries.collect()))
    }

    fn metrics(&self) -> Reply {
        let index = self.index();
        let mut agents: BTreeMap<&'static str, u64> =
            Health::ALL.into_iter().map(|health| (health.as_str(), 0)).collect();
        for row in self.registry.list() {
            *agents.entry(seen(&index, &row).health.as_str()).or_default() += 1;
        }
        let shared = &self.registry.shared;
        let numbers = Numbers {
            agents,
            expired: shared.expired.load(Ordering::Relaxed),
            new: shared.new.load(Ordering::Relaxed),
            renewed: shared.renewed.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
        };
        let body = metrics::text(&numbers, &self.requests);
        Reply { kind: metrics::TEXT, ..Reply::json(StatusCode::OK, body) }
    }

    /// What the fleet knows now.
    fn index(&self) -> Arc<Index> {
        let snapshot = self.fleet.borrow().clone();
        let mut kept = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((rev, index)) = &*kept
            && *rev == snapshot.rev
        {
            return index.clone();
        }
        let listed = snapshot.agents.iter().map(|(_, agent)| agent).filter(|agent| agent.listed);
        let known =
            |agent: &crate::domain::agent::Agent| Seen { health: agent.health, card: agent.card.clone() };
        let index: Index = listed.map(|agent| (normalise_url(&agent.spec.url), known(agent))).collect();
        let index = Arc::new(index);
        *kept = Some((snapshot.rev, index.clone()));
        index
    }

    /// Our own URL, as whoever asks sees it.
    fn base(&self, host: Option<&str>) -> String {
        let plain = |host: &&str| {
            let letter =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
            !host.is_empty() && host.len() <= 255 && host.bytes().all(letter)
        };
        match host.filter(plain) {
            Some(host) => format!("http://{host}"),
            None => format!("http://{}", self.address),
        }
    }
}

fn seen(index: &Index, row: &Registration) -> Seen {
    index.get(&row.entry.key()).cloned().unwrap_or(Seen { health: Health::Unknown, card: None })
}

fn list_page(query: Option<&str>) -> Result<Page, wire::Fault> {
    let pairs: Vec<_> = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
    for name in ["filter", "orderBy"] {
        if pairs.iter().any(|(other, _)| other == name) {
            return Err(wire::Fault::new(name, "is not done in a list; POST /search filters and ranks"));
        }
    }
    let of = |names: [&str; 2]| {
        let pair = pairs.iter().find(|(name, _)| names.contains(&&**name));
        pair.map(|(_, value)| &**value)
    };
    wire::page(of(["page_size", "pageSize"]), of(["page_token", "pageToken"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_routes() {
        for (path, expected) in [
            ("/agents", Some("/agents")),
            ("/agents/", Some("/agents")),
            ("/agents/x", Some("/agents/{id}")),
            ("/agents/x/heartbeat", Some("/agents/{id}/heartbeat")),
            ("/agents/x/y", None),
            ("/agents/x/y/heartbeat", None),
            ("/search", Some("/search")),
            ("/.well-known/ard.json", Some("/.well-known/ard.json")),
            ("/", None),
            ("//", None),
            ("", None),
        ] {
            assert_eq!(route(path).map(|route| route.name()), expected, "{path}");
        }
        assert_eq!(route("/agents/urn%3Aair%3ax"), Some(Route::Agent("urn:air:x".into())));
    }
}
