//! Sources of agents.

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
    /// The kind.
    pub kind: SourceKind,
    /// The location: a path, a URL, a DNS name, or a namespace.
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
    /// A registry.
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

/// An agent as a source reports it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiscoveredAgent {
    /// The URL of its card, or its origin; normalised, it identifies the agent. `file://PATH` for a card in a file.
    pub url: Arc<str>,
    /// Its card, if the source has it. It counts until the agent itself answers with one.
    pub card: Option<Arc<Card>>,
    /// For grouping.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// The number of tasks it accepts at once; `None` if not reported.
    pub capacity: Option<u32>,
    /// The requested probe interval; `None` if not reported.
    pub probe_interval: Option<Duration>,
}

impl DiscoveredAgent {
    /// An agent of which a source reports only the URL.
    pub fn at(url: impl Into<Arc<str>>) -> Self {
        Self { url: url.into(), card: None, labels: Vec::new(), capacity: None, probe_interval: None }
    }
}

/// A report of a source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceReport {
    /// All agents that it names now; agents that are missing have left it.
    Agents(Vec<DiscoveredAgent>),
    /// The same, but a part of it cannot be used, and why.
    Partly(Vec<DiscoveredAgent>, Arc<Cause>),
    /// It cannot be read. The agents it named before stay.
    Failed(Arc<Cause>),
}

/// How a source is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SourceHealth {
    /// It has reported nothing yet.
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
    /// The configuration.
    pub spec: SourceSpec,
    /// The health.
    pub health: SourceHealth,
    /// The time of the last change of health.
    pub since: At,
    /// The reason for a failure; `None` while it does not fail.
    pub cause: Option<Arc<Cause>>,
    /// How many agents it named when it last could be read.
    pub agents: u32,
}
