//! Sources of agents: who is in the fleet without anybody typing it.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::card::Card;
use crate::domain::cause::Cause;
use crate::domain::time::At;

/// A source of agents, as the operator configured it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceSpec {
    /// Unique in its fleet; agents name their sources by it.
    pub name: Arc<str>,
    /// How it is read.
    pub kind: SourceKind,
    /// Where it is: a path, a URL, a name in the DNS, a namespace.
    pub at: Arc<str>,
}

/// How a source is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SourceKind {
    /// A watched file or folder of cards.
    Path,
    /// A URL that yields a list of cards or of their URLs.
    Url,
    /// An ARD manifest or an AI Catalog.
    Ard,
    /// A registry that is asked.
    Registry,
    /// Services and Pods of a Kubernetes cluster.
    Kubernetes,
    /// SRV records.
    Dns,
    /// The registry that this console serves.
    Own,
}

impl SourceKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Path, Self::Url, Self::Ard, Self::Registry, Self::Kubernetes, Self::Dns, Self::Own];

    /// The word in the configuration and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Url => "url",
            Self::Ard => "ard",
            Self::Registry => "registry",
            Self::Kubernetes => "kubernetes",
            Self::Dns => "dns",
            Self::Own => "own registry",
        }
    }
}

/// The name of the registry that this console serves.
pub const OWN_REGISTRY: &str = "registry";

/// An agent as a source tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiscoveredAgent {
    /// Where its card is, or its origin; normalised, it is the agent's identity. `file://PATH` for a card in a file.
    pub url: Arc<str>,
    /// Its card, if the source has it. It counts until the agent itself answers with one.
    pub card: Option<Arc<Card>>,
    /// For grouping.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// How many tasks it takes at once, if it said so.
    pub capacity: Option<u32>,
    /// How often it wants to be probed, if it said so.
    pub probe_interval: Option<Duration>,
}

impl DiscoveredAgent {
    /// An agent of which a source tells the URL alone.
    pub fn at(url: impl Into<Arc<str>>) -> Self {
        Self { url: url.into(), card: None, labels: Vec::new(), capacity: None, probe_interval: None }
    }
}

/// What a source told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceReport {
    /// All agents that it names now; who is missing has left it.
    Agents(Vec<DiscoveredAgent>),
    /// The same, but a part of it cannot be used, and why.
    Partly(Vec<DiscoveredAgent>, Arc<Cause>),
    /// It cannot be read. What it named before stays.
    Failed(Arc<Cause>),
}

/// How a source is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SourceHealth {
    /// It has told nothing yet.
    Unknown,
    /// The last time it was read, it could be.
    Working,
    /// It cannot be read.
    Failing,
}

impl SourceHealth {
    /// The word on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "not read yet",
            Self::Working => "working",
            Self::Failing => "failing",
        }
    }
}

/// A source with its health.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceRow {
    /// As configured.
    pub spec: SourceSpec,
    /// How it is.
    pub health: SourceHealth,
    /// Since when it is so.
    pub since: At,
    /// Why it fails.
    pub cause: Option<Arc<Cause>>,
    /// How many agents it named when it last could be read.
    pub agents: u32,
}
