//! Sources of agents: each runs beside the loop and reports all its agents whenever they change.
//!
//! A new kind of source is one file here, one line in [`of_fleet`] and its keys in `config/sources.rs`.

mod ard;
#[cfg(feature = "dns")]
mod dns;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod pages;
mod path;
mod poll;
mod registry;
mod url;

pub mod own;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;

#[cfg(any(feature = "kubernetes", feature = "dns"))]
use crate::config::Scheme;
use crate::config::{self, AgentSource};
use crate::domain::cause::Cause;
use crate::domain::fleet::source::{DiscoveredAgent, SourceKind, SourceReport, SourceSpec};
use crate::net::Net;
use crate::net::tap::TapHandle;

/// A source's report on its way to the loop.
pub(super) type SourceUpdate = (Arc<str>, SourceReport);

/// The channel for a source's reports.
#[derive(Clone, Debug)]
pub struct SourceSender {
    source: Arc<str>,
    to: mpsc::Sender<SourceUpdate>,
    line: TapHandle,
}

impl SourceSender {
    /// Reports all agents that the source lists now; missing ones have left it. False if the engine has ended.
    pub async fn found(&self, agents: Vec<DiscoveredAgent>) -> bool {
        self.send(SourceReport::Agents(agents)).await
    }

    /// The same, but part of the source cannot be used. False if the engine has ended.
    pub async fn found_partly(&self, agents: Vec<DiscoveredAgent>, cause: Cause) -> bool {
        self.send(SourceReport::Partly(agents, Arc::new(cause))).await
    }

    /// Reports that the source cannot be read; its previous agents stay. False if the engine has ended.
    pub async fn failed(&self, cause: Cause) -> bool {
        self.send(SourceReport::Failed(Arc::new(cause))).await
    }

    /// The tap for the source's requests and answers.
    pub fn line(&self) -> &TapHandle {
        &self.line
    }

    async fn send(&self, news: SourceReport) -> bool {
        self.to.send((self.source.clone(), news)).await.is_ok()
    }
}

/// A running source.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A source of agents.
pub trait Discover: Send + Sync + std::fmt::Debug {
    /// Its name, kind and location.
    fn spec(&self) -> SourceSpec;

    /// Reads it repeatedly and reports its agents. It ends with the engine, or is dropped then.
    fn run(self: Box<Self>, report: SourceSender, net: Net) -> Running;
}

/// The configured sources of a fleet.
pub fn of_fleet(fleet: &config::Fleet) -> Vec<Box<dyn Discover>> {
    let with_trust = |source: &AgentSource| AgentSource {
        ca: source.ca.clone().or_else(|| fleet.ca.clone()),
        ..source.clone()
    };
    fleet.sources.iter().map(|source| of_config(with_trust(source))).collect()
}

fn of_config(source: AgentSource) -> Box<dyn Discover> {
    match source.kind {
        SourceKind::Path => Box::new(path::Files::new(source)),
        SourceKind::Url => Box::new(url::List::new(source)),
        SourceKind::Ard => Box::new(ard::Manifest::new(source)),
        SourceKind::Registry => Box::new(registry::Registry::new(source)),
        #[cfg(feature = "kubernetes")]
        SourceKind::Kubernetes => Box::new(kubernetes::Cluster::new(source)),
        #[cfg(feature = "dns")]
        SourceKind::Dns => Box::new(dns::Records::new(source)),
        // The binary was built without it, or it cannot be configured.
        _ => Box::new(UnsupportedSource(source)),
    }
}

/// The URL of an agent with a known host and port.
#[cfg(any(feature = "kubernetes", feature = "dns"))]
fn url_of(host: &str, port: u16, called: Option<&str>, scheme: Scheme) -> String {
    let secure = match scheme {
        Scheme::Http => false,
        Scheme::Https => true,
        Scheme::Auto => matches!(port, 443 | 8443) || called == Some("https"),
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("{}://{host}:{port}", if secure { "https" } else { "http" })
}

/// A source of a kind that this binary was built without.
#[derive(Debug)]
struct UnsupportedSource(AgentSource);

impl Discover for UnsupportedSource {
    fn spec(&self) -> SourceSpec {
        self.0.spec()
    }

    fn run(self: Box<Self>, report: SourceSender, _net: Net) -> Running {
        Box::pin(async move {
            let kind = self.0.kind.as_str();
            let message =
                format!("this quarterdeck was built without {kind}; build it with --features {kind}");
            report.failed(Cause::Source(message.into())).await;
        })
    }
}

/// Runs sources until they are dropped.
pub(super) fn start(
    sources: Vec<Box<dyn Discover>>,
    to: &mpsc::Sender<SourceUpdate>,
    net: &Net,
) -> tokio::task::JoinSet<()> {
    let mut running = tokio::task::JoinSet::new();
    for (number, source) in (0..).zip(sources) {
        let line = net.tap().line_of_source(number);
        let report = SourceSender { source: source.spec().name, to: to.clone(), line };
        running.spawn(source.run(report, net.clone()));
    }
    running
}
