//! Services and Pods of a Kubernetes cluster, by their labels: listed once, then watched.
//!
//! A watch that was cut off resumes at the same version, or lists again if the server no longer has that version (410
//! Gone); bookmarks keep the version recent. Needs `list` and `watch` on the watched kinds; if only one kind is
//! permitted, that one is used and the other is reported.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use futures_util::StreamExt;
use http::Response;
use http_body_util::Limited;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Config, Resource, ResourceExt};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::limit::RateLimitLayer;
use tower::util::MapResponseLayer;

use super::poll::{ChangeReporter, ReadResult};
use super::{Discover, Running, SourceSender, url_of};
use crate::config::AgentSource;
use crate::config::secret::Secret;
use crate::domain::cause::Cause;
use crate::domain::fleet::source::{DiscoveredAgent, SourceSpec};
use crate::domain::text::Untrusted;
use crate::net::{BODY, Net, Redactor};
use crate::protocol::catalog::{Broken, MOST, label};

/// A cluster that was not listed within this time counts as failing.
const FIRST: Duration = Duration::from_secs(60);
/// Seconds after which a silent watch is restarted.
const WATCH: u32 = 120;
/// Changes within this time are reported together.
const TOGETHER: Duration = Duration::from_millis(100);
/// The maximum number of requests per second, whatever the server does to our watches.
const RATE: u64 = 10;
/// A cluster that cannot be reached is tried again after a second, then less and less often, up to this.
const SLOWEST: Duration = Duration::from_secs(30);
/// The number of consecutive cuts, with no object in between, that counts as a failure.
const CUTS: u32 = 3;
/// Bound of objects waiting to be processed; when it is full, the watch waits.
const QUEUE: usize = 256;
/// The maximum number of labels taken from an object.
const LABELS: usize = 32;

/// The source.
#[derive(Debug)]
pub(super) struct Cluster {
    config: AgentSource,
}

impl Cluster {
    pub(super) fn new(config: AgentSource) -> Self {
        Self { config }
    }
}

impl Discover for Cluster {
    fn spec(&self) -> SourceSpec {
        self.config.spec()
    }

    fn run(self: Box<Self>, report: SourceSender, _net: Net) -> Running {
        Box::pin(async move {
            let redactor = report.line().redactor().clone();
            let mut reporter = ChangeReporter::new(report, &self.config);
            let mut pause = Duration::from_secs(1);
            loop {
                let connected = tokio::time::timeout(FIRST, connect(self.config.clone(), &redactor)).await;
                let cause = match connected {
                    Err(_) => Cause::TimedOut(FIRST),
                    Ok(Err(why)) => Cause::Source(Untrusted::from(&*redactor.redact(&why))),
                    Ok(Ok((client, login))) => {
                        return follow(&self.config, &client, &login, reporter).await;
                    }
                };
                if !reporter.failed(cause).await {
                    return;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(SLOWEST);
            }
        })
    }
}

/// The secrets that are sent to a cluster.
struct Login {
    auth: AuthInfo,
    redactor: Redactor,
}

impl Login {
    /// Learns the secrets. A token in a file is renewed by the kubelet, so it is read again each time.
    fn learn(&self) {
        let AuthInfo { token, token_file, password, .. } = &self.auth;
        for secret in token.iter().chain(password) {
            self.redactor.learn(&Secret::new(secret.expose_secret()));
        }
        if let Some(token) = token_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()) {
            self.redactor.learn(&Secret::new(token.trim()));
        }
    }

    /// A text from the server, or from the client about it, without these secrets.
    fn redact(&self, text: &str) -> String {
        self.learn();
        self.redactor.redact(text).into_owned()
    }
}

/// A client of the cluster. The login command of a kubeconfig may take long, so it runs on another thread.
async fn connect(config: AgentSource, redactor: &Redactor) -> Result<(Client, Login), String> {
    let at = config.at.clone();
    let mut cluster = match at.as_str() {
        "in-cluster" => Config::incluster().map_err(|error| format!("in-cluster: {error}"))?,
        "kubeconfig" => Config::from_kubeconfig(&KubeConfigOptions::default())
            .await
            .map_err(|error| format!("kubeconfig: {error}"))?,
        path => {
            let file = path.to_owned();
            let read = tokio::task::spawn_blocking(move || Kubeconfig::read_from(file)).await;
            let kubeconfig =
                read.map_err(|error| error.to_string())?.map_err(|error| format!("{path}: {error}"))?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .map_err(|error| format!("{path}: {error}"))?
        }
    };
    let login = Login { auth: cluster.auth_info.clone(), redactor: redactor.clone() };
    login.learn();
    cluster.connect_timeout = Some(crate::net::CONNECT);
    cluster.read_timeout = Some(Duration::from_secs(u64::from(WATCH) + 10));
    // The login may run a command, which would block this thread.
    let build = tokio::task::spawn_blocking(move || {
        let builder = kube::client::ClientBuilder::try_from(cluster).map_err(|error| error.to_string())?;
        let bounded =
            MapResponseLayer::new(|response: Response<_>| response.map(|body| Limited::new(body, BODY)));
        let paced = RateLimitLayer::new(RATE, Duration::from_secs(1));
        Ok::<_, String>(builder.with_layer(&bounded).with_layer(&paced).build())
    });
    let client = build.await.map_err(|error| error.to_string())??;
    Ok((client, login))
}

/// An update of one of the two watches.
enum WatchUpdate {
    /// The watch starts listing again.
    Init,
    /// An object with its agent; `None` if the object is currently not an agent.
    Has(String, Box<Option<DiscoveredAgent>>),
    /// Everything has been listed.
    Done,
    /// An object is gone.
    Gone(String),
    /// Why objects cannot be listed or watched; true if we are not permitted to.
    Fault(String, bool),
}

/// Objects of one kind.
#[derive(Default)]
struct Kind {
    agents: BTreeMap<String, Option<DiscoveredAgent>>,
    listing: Option<BTreeMap<String, Option<DiscoveredAgent>>>,
    ready: bool,
    fault: Option<String>,
    /// True if we are not permitted to see this kind; agents of the other kind are then reported alone.
    denied: bool,
    full: bool,
}

impl Kind {
    /// Applies an update; true if the agents may have changed.
    fn take(&mut self, update: WatchUpdate) -> bool {
        match update {
            WatchUpdate::Init => self.listing = Some(BTreeMap::new()),
            WatchUpdate::Has(key, found) => {
                let objects = self.listing.as_mut().unwrap_or(&mut self.agents);
                if objects.len() < MOST || objects.contains_key(&key) {
                    objects.insert(key, *found);
                } else {
                    self.full = true;
                }
                return self.listing.is_none();
            }
            WatchUpdate::Done => {
                self.agents = self.listing.take().unwrap_or_default();
                self.full &= self.agents.len() >= MOST;
                self.ready = true;
                (self.fault, self.denied) = (None, false);
                return true;
            }
            WatchUpdate::Gone(key) => {
                if let Some(listing) = &mut self.listing {
                    listing.remove(&key);
                }
                self.agents.remove(&key);
                return true;
            }
            WatchUpdate::Fault(why, denied) => {
                self.listing = None;
                (self.fault, self.denied) = (Some(why), denied);
                return true;
            }
        }
        false
    }
}

const SERVICES: usize = 0;
const PODS: usize = 1;
const NAMES: [&str; 2] = ["services", "pods"];

/// Watches until the engine has ended.
async fn follow(config: &AgentSource, client: &Client, login: &Login, mut reporter: ChangeReporter) {
    let (sender, mut updates) = mpsc::channel(QUEUE);
    let mut watches = JoinSet::new();
    let services: Api<Service> = api(client, config);
    watches.spawn(watch(SERVICES, services, config.clone(), service, sender.clone()));
    let pods: Api<Pod> = api(client, config);
    watches.spawn(watch(PODS, pods, config.clone(), pod, sender));
    let mut kinds = [Kind::default(), Kind::default()];
    // The latest time at which changes are reported.
    let mut due: Option<Instant> = None;
    let first = Instant::now() + FIRST;
    let mut silent = true;
    loop {
        tokio::select! {
            one = updates.recv() => {
                let Some((kind, one)) = one else { return };
                if kinds[kind].take(one) {
                    due.get_or_insert_with(|| Instant::now() + TOGETHER);
                }
            }
            () = async { tokio::time::sleep_until(due.unwrap_or(first)).await }, if due.is_some() || silent => {
                let goes_on = match summary(login, &kinds) {
                    Some(Ok(reading)) => reporter.found(reading).await,
                    Some(Err(cause)) => reporter.failed(cause).await,
                    None if due.is_none() => reporter.failed(Cause::TimedOut(FIRST)).await,
                    // One kind has not been listed yet; a report of only the other would remove agents.
                    None => { due = None; continue }
                };
                if !goes_on {
                    return;
                }
                (due, silent) = (None, false);
            }
        }
    }
}

/// The combined result of both watches; `None` while one of them has no result yet.
fn summary(login: &Login, kinds: &[Kind; 2]) -> Option<Result<ReadResult, Cause>> {
    if kinds.iter().any(|kind| !kind.ready && kind.fault.is_none()) {
        return None;
    }
    let mut broken = Broken::default();
    for (kind, name) in kinds.iter().zip(NAMES) {
        if let Some(why) = &kind.fault {
            broken.add(name, login.redact(why));
        }
        if kind.full {
            broken.add(name, format!("more than {MOST}; the rest is not looked at"));
        }
    }
    // Objects seen by a watch that now fails stay. A watch that has not seen any yet may have reported some before this
    // start, unless it is not permitted to see them.
    let blind = |kind: &Kind| !kind.ready && !kind.denied;
    if kinds.iter().any(blind) || !kinds.iter().any(|kind| kind.ready) {
        return broken.cause().map(Err);
    }
    let agents = kinds.iter().flat_map(|kind| kind.agents.values().flatten().cloned()).collect();
    Some(Ok(ReadResult { agents, broken, ..ReadResult::default() }))
}

fn api<K>(client: &Client, config: &AgentSource) -> Api<K>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match &config.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Watches objects of one kind.
async fn watch<K>(
    kind: usize,
    api: Api<K>,
    config: AgentSource,
    agent: fn(&K, &AgentSource) -> Option<DiscoveredAgent>,
    to: mpsc::Sender<(usize, WatchUpdate)>,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut pause = Duration::from_secs(1);
    loop {
        let wanted = watcher::Config::default().labels(&config.selector).timeout(WATCH);
        let mut events = watcher(api.clone(), wanted).default_backoff().boxed();
        let mut cuts = 0;
        while let Some(event) = events.next().await {
            let update = match event {
                Ok(event) => {
                    cuts = 0;
                    pause = Duration::from_secs(1);
                    match event {
                        Event::Init => WatchUpdate::Init,
                        Event::InitDone => WatchUpdate::Done,
                        Event::InitApply(object) | Event::Apply(object) => {
                            WatchUpdate::Has(key(&object), Box::new(agent(&object, &config)))
                        }
                        Event::Delete(object) => WatchUpdate::Gone(key(&object)),
                    }
                }
                // The client lists again on its own.
                Err(watcher::Error::WatchError(status)) if status.code == 410 => continue,
                // Connections are cut off regularly; the watch resumes.
                Err(watcher::Error::WatchFailed(_)) if cuts < CUTS => {
                    cuts += 1;
                    continue;
                }
                Err(error) => {
                    let fault = WatchUpdate::Fault(describe(&error), is_denied(&error));
                    if to.send((kind, fault)).await.is_err() {
                        return;
                    }
                    // A resumed watch reports nothing; a new one lists, which shows that it works.
                    break;
                }
            };
            if to.send((kind, update)).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(SLOWEST);
    }
}

fn is_denied(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// An error with its sources; the outermost alone only states that something failed.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        below = error.source();
    }
    text
}

fn key(object: &impl ResourceExt) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// A port of a Service or a container.
struct Port<'p> {
    name: Option<&'p str>,
    number: i32,
    protocol: Option<&'p str>,
}

/// The port with the configured name or number, otherwise one with a usual name for agents, otherwise the first.
fn chosen<'p>(ports: &'p [Port<'p>], wanted: Option<&str>) -> Option<(u16, Option<&'p str>)> {
    let called = |name: &str| ports.iter().find(|port| port.name == Some(name));
    let port = match wanted {
        Some(wanted) => match wanted.parse::<u16>() {
            Ok(number) => {
                let known = ports.iter().find(|port| port.number == i32::from(number));
                return Some((number, known.and_then(|port| port.name.or(port.protocol))));
            }
            Err(_) => called(wanted),
        },
        None => called("a2a").or_else(|| called("http")).or_else(|| ports.first()),
    }?;
    let says = if port.protocol.is_some_and(|word| word.eq_ignore_ascii_case("https")) {
        port.protocol
    } else {
        port.name.or(port.protocol)
    };
    Some((u16::try_from(port.number).ok()?, says))
}

fn service(service: &Service, config: &AgentSource) -> Option<DiscoveredAgent> {
    let spec = service.spec.as_ref()?;
    let ports: Vec<Port<'_>> = spec
        .ports
        .iter()
        .flatten()
        .map(|port| Port {
            name: port.name.as_deref(),
            number: port.port,
            protocol: port.app_protocol.as_deref(),
        })
        .collect();
    let (port, called) = chosen(&ports, config.port.as_deref())?;
    // From outside the cluster, only the address of a load balancer can be reached.
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let outside = balancer
        .and_then(|balancer| balancer.ingress.as_ref()?.first())
        .and_then(|ingress| ingress.ip.clone().or_else(|| ingress.hostname.clone()));
    let host = match outside {
        Some(host) if config.at != "in-cluster" => host,
        _ => format!("{}.{}.svc", service.name_any(), service.namespace().unwrap_or_default()),
    };
    Some(found(service, url_of(&host, port, called, config.scheme)))
}

fn pod(pod: &Pod, config: &AgentSource) -> Option<DiscoveredAgent> {
    let status = pod.status.as_ref()?;
    if pod.metadata.deletion_timestamp.is_some() || status.phase.as_deref() != Some("Running") {
        return None;
    }
    let host = status.pod_ip.as_deref().filter(|ip| !ip.is_empty())?;
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let ports: Vec<Port<'_>> = containers
        .iter()
        .flat_map(|container| container.ports.iter().flatten())
        .map(|port| Port { name: port.name.as_deref(), number: port.container_port, protocol: None })
        .collect();
    let (port, called) = chosen(&ports, config.port.as_deref())?;
    Some(found(pod, url_of(host, port, called, config.scheme)))
}

fn found(object: &impl ResourceExt, url: String) -> DiscoveredAgent {
    let namespace = label("namespace", &object.namespace().unwrap_or_default());
    let own = object.labels().iter().take(LABELS).filter_map(|(name, value)| label(name, value));
    DiscoveredAgent { labels: namespace.into_iter().chain(own).collect(), ..DiscoveredAgent::at(url) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Scheme;

    #[test]
    fn the_port_is_selected_by_name_number_or_convention() {
        let port = |name, number, protocol| Port { name, number, protocol };
        let ports = [
            port(Some("metrics"), 9090, None),
            port(Some("http"), 8080, None),
            port(Some("tls"), 443, Some("https")),
        ];
        for (wanted, scheme, url) in [
            (None, Scheme::Auto, Some("http://h:8080")),
            (Some("metrics"), Scheme::Auto, Some("http://h:9090")),
            (Some("tls"), Scheme::Auto, Some("https://h:443")),
            (Some("tls"), Scheme::Http, Some("http://h:443")),
            (Some("8080"), Scheme::Https, Some("https://h:8080")),
            (Some("7777"), Scheme::Auto, Some("http://h:7777")),
            (Some("grpc"), Scheme::Auto, None),
        ] {
            let found = chosen(&ports, wanted).map(|(port, called)| url_of("h", port, called, scheme));
            assert_eq!(found.as_deref(), url, "{wanted:?}");
        }
        assert!(chosen(&[], None).is_none());
        assert_eq!(url_of("fd00::1", 80, None, Scheme::Auto), "http://[fd00::1]:80");
    }
}
