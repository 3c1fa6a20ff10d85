//! The routes of the registry.

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, StatusCode};
use tokio::sync::{Semaphore, watch};

use super::metrics::{self, Numbers};
use super::{RegistrationError, Registry};
use crate::domain::agent::{Health, normalise_url};
use crate::domain::fleet::registry::{ObservedAgent, Page, Registration, Search, page, parse_id};
use crate::domain::id::RegistrationId;
use crate::domain::state::snapshot::Snapshot;
use crate::protocol::registry as wire;
use crate::serve::exposition;
use crate::serve::http::{Body, Call, Caller, Cancelled, Reply, Route, Stats};

/// The maximum numbers of agents and bytes in a manifest; further agents are found by listing or searching.
const MANIFEST_AGENTS: usize = 1000;
const MANIFEST_BYTES: usize = 8 * 1024 * 1024;
/// Bodies are at most this long.
const REGISTRATION_BYTES: usize = 1024 * 1024;
const SEARCH_BYTES: usize = 16 * 1024;

/// Every route; each handler answers from `api`.
pub(super) fn routes(api: &Arc<Api>) -> Vec<Route> {
    use Caller::{Reader, Writer};
    let (get, post) = (Method::GET, Method::POST);
    vec![
        route(api, get.clone(), "/agents", Body::None, Reader, Api::list),
        route(api, post.clone(), "/agents", Body::Json(REGISTRATION_BYTES), Writer, Api::register),
        route(api, get.clone(), "/agents/{id}", Body::None, Reader, Api::one),
        route(api, Method::DELETE, "/agents/{id}", Body::None, Writer, Api::deregister),
        route(api, Method::PUT, "/agents/{id}/heartbeat", Body::None, Writer, Api::heartbeat),
        route(api, post.clone(), "/search", Body::Json(SEARCH_BYTES), Reader, Api::search),
        route(api, post, "/explore", Body::None, Reader, explore),
        route(api, get.clone(), "/.well-known/ard.json", Body::None, Reader, Api::manifest),
        route(api, get.clone(), "/.well-known/ai-catalog.json", Body::None, Reader, Api::manifest),
        route(api, get.clone(), "/health", Body::None, Reader, Api::health),
        route(api, get, "/metrics", Body::None, Reader, Api::metrics),
    ]
}

fn route<F: Future<Output = Reply> + Send + 'static>(
    api: &Arc<Api>,
    method: Method,
    path: &'static str,
    body: Body,
    caller: Caller,
    handler: impl Fn(Arc<Api>, Call) -> F + Send + Sync + 'static,
) -> Route {
    let api = api.clone();
    Route::new(method, path, body, caller, move |call| handler(api.clone(), call))
}

fn bad_request(fault: &wire::Fault) -> Reply {
    let hint = "docs/registry.md describes every request";
    Reply::error(StatusCode::BAD_REQUEST, "QUARTERDECK_ERR_BODY", &fault.to_string(), Some(hint))
}

fn unknown_agent() -> Reply {
    let hint = "its lease may have ended: register again, with POST /agents";
    Reply::error(
        StatusCode::NOT_FOUND,
        "QUARTERDECK_ERR_NOT_FOUND",
        "no agent is registered under this id",
        Some(hint),
    )
}

impl From<RegistrationError> for Reply {
    fn from(trouble: RegistrationError) -> Self {
        tracing::warn!("the registry could not answer a request: {trouble}");
        let (code, hint) = match &trouble {
            RegistrationError::Full => ("QUARTERDECK_ERR_FULL", "deregister agents that are no longer there"),
            RegistrationError::Store(_) | RegistrationError::Broken => {
                ("QUARTERDECK_ERR_STORE", "check the disk of the machine that serves the registry; try again")
            }
        };
        // File names are not sent to other machines.
        let message = match &trouble {
            RegistrationError::Store(_) => "the registry cannot write to its store now".to_owned(),
            other => other.to_string(),
        };
        Self::error(StatusCode::SERVICE_UNAVAILABLE, code, &message, Some(hint))
    }
}

/// The fleet's view of agents, by normalised URL.
type Index = BTreeMap<String, ObservedAgent>;

/// The state behind the handlers.
#[derive(Debug)]
pub(super) struct Api {
    registry: Registry,
    fleet: watch::Receiver<Arc<Snapshot>>,
    /// The index of one snapshot, and that snapshot's number.
    index: Mutex<Option<(u64, Arc<Index>)>>,
    /// Requests that go through all agents run on threads of their own, this many at once.
    readers: Arc<Semaphore>,
    address: SocketAddr,
    stats: Arc<Stats>,
}

impl Api {
    pub(super) fn new(
        registry: Registry,
        fleet: watch::Receiver<Arc<Snapshot>>,
        address: SocketAddr,
        stats: Arc<Stats>,
    ) -> Arc<Self> {
        // Half of the processors stay free for the engine.
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let readers = Arc::new(Semaphore::new((processors / 2).max(1)));
        Arc::new(Self { registry, fleet, index: Mutex::default(), readers, address, stats })
    }

    /// Runs work over all agents on a thread of its own. The permit belongs to the work, not to the waiting client, and
    /// work whose client has left stops at the next agent.
    async fn read(
        self: Arc<Self>,
        cancelled: Cancelled,
        work: impl FnOnce(&Self, &Cancelled) -> Reply + Send + 'static,
    ) -> Reply {
        let Ok(permit) = self.readers.clone().acquire_owned().await else {
            return RegistrationError::Broken.into();
        };
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&self, &cancelled)
        });
        done.await.unwrap_or_else(|_| RegistrationError::Broken.into())
    }

    async fn register(self: Arc<Self>, call: Call) -> Reply {
        let entry = match wire::registration(call.text()) {
            Ok(entry) => entry,
            Err(fault) => return bad_request(&fault),
        };
        match self.registry.register(entry).await {
            Ok(row) => Reply::json(StatusCode::CREATED, wire::registered(&row, self.registry.lease())),
            Err(trouble) => trouble.into(),
        }
    }

    async fn heartbeat(self: Arc<Self>, call: Call) -> Reply {
        let Some(id) = id(&call) else { return unknown_agent() };
        match self.registry.heartbeat(id).await {
            Ok(true) => Reply::json(StatusCode::OK, wire::renewed(self.registry.lease())),
            Ok(false) => unknown_agent(),
            Err(trouble) => trouble.into(),
        }
    }

    async fn deregister(self: Arc<Self>, call: Call) -> Reply {
        let Some(id) = id(&call) else { return unknown_agent() };
        match self.registry.deregister(id).await {
            Ok(true) => Reply::json(StatusCode::NO_CONTENT, String::new()),
            Ok(false) => unknown_agent(),
            Err(trouble) => trouble.into(),
        }
    }

    async fn one(self: Arc<Self>, call: Call) -> Reply {
        let Some(id) = id(&call) else { return unknown_agent() };
        let work = move |api: &Self, _: &Cancelled| {
            let Some(row) = api.registry.get(id) else { return unknown_agent() };
            Reply::json(StatusCode::OK, wire::entry(&row, &seen(&api.index(), &row), None))
        };
        self.read(call.cancelled, work).await
    }

    async fn list(self: Arc<Self>, call: Call) -> Reply {
        let part = match list_page(call.query.as_deref()) {
            Ok(part) => part,
            Err(fault) => return bad_request(&fault),
        };
        let work = move |api: &Self, _: &Cancelled| {
            let index = api.index();
            let rows = api.registry.list();
            let total = rows.len();
            let (rows, next) = page(rows.into_iter().map(|row| (0, row.id, row)).collect(), part);
            let items = rows.iter().map(|(_, row)| wire::entry(row, &seen(&index, row), None)).collect();
            Reply::json(StatusCode::OK, wire::listed(items, total, next))
        };
        self.read(call.cancelled, work).await
    }

    async fn search(self: Arc<Self>, call: Call) -> Reply {
        let (search, part) = match wire::search(call.text()) {
            Ok(parsed) => parsed,
            Err(fault) => return bad_request(&fault),
        };
        let base = self.base(call.host.as_deref());
        let work = move |api: &Self, cancelled: &Cancelled| {
            let rows = api.matches(&search, cancelled);
            let (rows, next) = page(rows, part);
            let results = rows
                .iter()
                .map(|(score, (row, seen))| wire::entry(row, seen, Some((*score, &*base))))
                .collect();
            Reply::json(StatusCode::OK, wire::found(results, next))
        };
        self.read(call.cancelled, work).await
    }

    /// The agents that match a search, up to its cancellation.
    fn matches(
        &self,
        search: &Search,
        cancelled: &Cancelled,
    ) -> Vec<(u32, RegistrationId, (Registration, ObservedAgent))> {
        let index = self.index();
        let stop = || cancelled.is_set();
        let fits = |row: Registration| {
            let seen = seen(&index, &row);
            Some((search.score(&row, &seen, &stop)?, row.id, (row, seen)))
        };
        self.registry.list().into_iter().take_while(|_| !stop()).filter_map(fits).collect()
    }

    async fn manifest(self: Arc<Self>, call: Call) -> Reply {
        let base = self.base(call.host.as_deref());
        let work = move |api: &Self, cancelled: &Cancelled| {
            let index = api.index();
            let mut bytes = 0;
            let rows = api.registry.list();
            let rows = rows.iter().take(MANIFEST_AGENTS).take_while(|_| !cancelled.is_set());
            let entries = rows.map(|row| wire::entry(row, &seen(&index, row), None));
            let entries = entries.take_while(|entry| {
                bytes += entry.len();
                bytes <= MANIFEST_BYTES
            });
            Reply::json(StatusCode::OK, wire::manifest(&base, entries.collect()))
        };
        self.read(call.cancelled, work).await
    }

    fn health(self: Arc<Self>, _call: Call) -> Ready<Reply> {
        let body = format!("{{\"status\":\"ok\",\"agents\":{}}}", self.registry.len());
        ready(Reply::json(StatusCode::OK, body))
    }

    async fn metrics(self: Arc<Self>, call: Call) -> Reply {
        self.read(call.cancelled, |api, _| api.metrics_now()).await
    }

    fn metrics_now(&self) -> Reply {
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
        };
        let body = metrics::text(&numbers, &self.stats);
        Reply::of(StatusCode::OK, exposition::TEXT, body)
    }

    /// The current view of the fleet.
    fn index(&self) -> Arc<Index> {
        let snapshot = self.fleet.borrow().clone();
        let mut kept = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((rev, index)) = &*kept
            && *rev == snapshot.rev
        {
            return index.clone();
        }
        let listed = snapshot.agents.iter().map(|(_, agent)| agent).filter(|agent| agent.listed);
        let known = |agent: &crate::domain::agent::Agent| ObservedAgent {
            health: agent.health,
            card: agent.card.clone(),
        };
        let index: Index = listed.map(|agent| (normalise_url(&agent.spec.url), known(agent))).collect();
        let index = Arc::new(index);
        *kept = Some((snapshot.rev, index.clone()));
        index
    }

    /// Our own URL, as the client sees it.
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

fn explore(_api: Arc<Api>, _call: Call) -> Ready<Reply> {
    ready(Reply::error(
        StatusCode::NOT_IMPLEMENTED,
        "QUARTERDECK_ERR_NOT_IMPLEMENTED",
        "this registry does not count by facets",
        Some("POST /search finds agents"),
    ))
}

/// The id in a path. Clients escape only the colon of an id.
fn id(call: &Call) -> Option<RegistrationId> {
    let text = call.parameter.as_deref()?;
    parse_id(&text.replace("%3A", ":").replace("%3a", ":"))
}

fn seen(index: &Index, row: &Registration) -> ObservedAgent {
    index.get(&row.entry.key()).cloned().unwrap_or(ObservedAgent { health: Health::Unknown, card: None })
}

fn list_page(query: Option<&str>) -> Result<Page, wire::Fault> {
    let pairs: Vec<_> = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
    for name in ["filter", "orderBy"] {
        if pairs.iter().any(|(other, _)| other == name) {
            return Err(wire::Fault::new(name, "is not supported in a list; POST /search filters and ranks"));
        }
    }
    let of = |names: [&str; 2]| {
        let pair = pairs.iter().find(|(name, _)| names.contains(&&**name));
        pair.map(|(_, value)| &**value)
    };
    wire::page(of(["page_size", "pageSize"]), of(["page_token", "pageToken"]))
}
