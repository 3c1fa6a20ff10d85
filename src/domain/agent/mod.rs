//! An agent of the fleet: its identity, its interface and its health.

pub mod breaker;
pub mod candidates;
pub mod card;
pub mod card_diff;
pub mod outage;
pub mod replicas;
pub mod service;
pub mod shift;
pub mod uptime;
pub mod version;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::breaker::Breaker;
use crate::domain::agent::card::{Ability, Card, Dialect, Interface};
use crate::domain::agent::outage::Outage;
use crate::domain::agent::replicas::ReplicaKey;
use crate::domain::agent::service::Service;
use crate::domain::agent::shift::Shift;
use crate::domain::cause::Cause;
use crate::domain::id::AgentId;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::domain::trace::TraceCarrier;

/// The origin of an agent and the operator's settings for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentSpec {
    /// The name in the configuration; if given, it identifies the agent.
    pub name: Option<Arc<str>>,
    /// The URL as configured or typed.
    pub url: Arc<str>,
    /// Where it was named.
    pub source: Source,
    /// Speak only this dialect.
    pub dialect: Option<Dialect>,
    /// True if a second subscription to a running task is known to be safe, false if it is known to do harm.
    pub resubscribe: Option<bool>,
    /// Labels for grouping.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// The agent of which the operator declared it a replica; that agent names itself. `None` if nothing is declared.
    pub replica_of: Option<Arc<str>>,
    /// The number of tasks it accepts at once; `None` if not configured or reported.
    pub capacity: Option<u32>,
    /// The probe interval; `None` for that of the fleet.
    pub probe_interval: Option<Duration>,
    /// Where it gets the trace context of messages; `None` for the headers.
    pub trace_context: Option<TraceCarrier>,
}

impl AgentSpec {
    /// Where it gets the trace context of messages.
    pub fn trace_carrier(&self) -> TraceCarrier {
        self.trace_context.unwrap_or(TraceCarrier::Headers)
    }

    /// An agent of which only the URL is given.
    pub fn at(url: impl Into<Arc<str>>, source: Source) -> Self {
        Self {
            name: None,
            url: url.into(),
            source,
            dialect: None,
            resubscribe: None,
            labels: Vec::new(),
            replica_of: None,
            capacity: None,
            probe_interval: None,
            trace_context: None,
        }
    }
}

/// Where an agent was named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Source {
    /// `[[fleet.NAME.agents]]`
    Config,
    /// A URL on the command line.
    CommandLine,
    /// The demo fleet.
    Demo,
    /// Only a source of agents.
    Discovery,
    /// The operator added it for good.
    Kept,
}

impl Source {
    /// All but sources of agents.
    const OF_OPERATOR: [Self; 4] = [Self::Config, Self::CommandLine, Self::Demo, Self::Kept];

    /// The word on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "configuration",
            Self::CommandLine => "command line",
            Self::Demo => "demo",
            Self::Discovery => "discovery",
            Self::Kept => "operator's list",
        }
    }
}

/// The health of an agent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Health {
    /// Not reached yet.
    Unknown,
    /// It answers.
    Up,
    /// It answers, but with faults.
    Degraded,
    /// It refuses, resets or is silent.
    Down,
    /// The last observation is older than the agent's interval.
    Stale,
    /// It answers 401 or 403.
    LoginNeeded,
    /// It answers, but offers nothing that we speak.
    NotSpoken,
}

impl Health {
    /// Every state, worst first.
    pub const ALL: [Self; 7] = [
        Self::Down,
        Self::LoginNeeded,
        Self::Degraded,
        Self::Stale,
        Self::NotSpoken,
        Self::Unknown,
        Self::Up,
    ];

    /// The word in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Stale => "stale",
            Self::LoginNeeded => "login-needed",
            Self::NotSpoken => "not-spoken",
        }
    }

    /// True if work can be sent there now.
    pub fn takes_work(self) -> bool {
        matches!(self, Self::Up | Self::Degraded)
    }
}

/// An agent's durable state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agent {
    /// Ours, from first sight on.
    pub id: AgentId,
    /// The number of its facts.
    pub seq: u64,
    /// Its place in the configuration or on the command line; names are numbered in this order.
    pub order: u32,
    /// The operator's settings.
    pub spec: Arc<AgentSpec>,
    /// Unique among the listed agents of the fleet.
    pub name: Untrusted,
    /// False once it has left the fleet; its history is kept for a while.
    pub listed: bool,
    /// When it left the fleet; `None` while it is listed.
    pub left: Option<At>,
    /// When an operator last named it, acted on it or wrote a note about it; `None` if only sources ever named it.
    pub operator_at: Option<At>,
    /// Who names it now: the configuration, the command line, and sources by their names.
    pub sources: Arc<[Arc<str>]>,
    /// The last card that could be read.
    pub card: Option<Arc<Card>>,
    /// True if the agent itself served that card; false if a source reported it, or if there is none.
    pub own_card: bool,
    /// The key that its card shares with its replicas; `None` if it has none.
    pub replica_key: Option<ReplicaKey>,
    /// The server software as reported in its headers.
    pub server: Option<Untrusted>,
    /// When that card was first seen.
    pub card_since: At,
    /// The last change of the card, with its time; `None` if the card never changed.
    pub card_change: Option<(At, Untrusted)>,
    /// The interface that we call.
    pub interface: Option<Arc<Interface>>,
    /// The protocol version that a call confirmed, if it differs from the card's first.
    pub confirmed_dialect: Option<Dialect>,
    /// Why it refused to stream; none if it did not since its card changed last.
    pub stream_refused: Option<Arc<Cause>>,
    /// The health.
    pub health: Health,
    /// The time of the last change of health. A time in which nobody looked, and after which it is as before, is none.
    pub since: At,
    /// Its health before it became stale and since when; `None` while it is not stale.
    pub before_stale: Option<(Health, At)>,
    /// The reason for its health; `None` if there is none.
    pub cause: Option<Arc<Cause>>,
    /// The last activity before it went down; `At::ZERO` if there was none.
    pub last_seen: At,
    /// The last times in which it was down, oldest first.
    pub outages: Arc<[Outage]>,
    /// When the certificate that it last showed ends.
    pub certificate_until: Option<At>,
    /// The circuit breaker.
    pub breaker: Breaker,
    /// Why it gets no new work; `None` while it is in service.
    pub service: Service,
    /// Its work goes to a successor step by step; `None` if it does not.
    pub shift: Option<Arc<Shift>>,
    /// The number of protocol violations so far, without deviations, up to a hundred.
    pub violations: u32,
    /// Deviations from its protocol version that were understood, each once, in words that follow "it wrote".
    pub deviations: Arc<[Untrusted]>,
    /// Control sequences and hidden characters sanitised so far.
    pub sanitised: u32,
    /// Counts of its tasks; derived, not stored.
    pub counts: Counts,
}

/// The number of an agent's tasks, by their meaning to an operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Not ended.
    pub live: u32,
    /// Waiting for a person.
    pub need_you: u32,
    /// Completed, or answered without a task.
    pub completed: u32,
    /// Failed.
    pub failed: u32,
    /// Canceled or rejected.
    pub stopped: u32,
    /// Silent, stalled, stale, lost, conflicting or uncertain.
    pub doubtful: u32,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { live, need_you, completed, failed, stopped, doubtful } = other;
        self.live += live;
        self.need_you += need_you;
        self.completed += completed;
        self.failed += failed;
        self.stopped += stopped;
        self.doubtful += doubtful;
    }
}

impl Agent {
    /// True if the agent has an interface that we call, with this ability.
    pub fn can(&self, ability: Ability) -> bool {
        self.interface.as_ref().is_some_and(|interface| interface.can(ability))
    }

    /// The protocol version in use.
    pub fn dialect(&self) -> Option<Dialect> {
        self.interface.as_ref().map(|interface| interface.dialect)
    }

    /// True if the operator named it: in the configuration, on the command line or in the operator's list.
    pub fn is_named_by_operator(&self) -> bool {
        let by_operator =
            |name: &Arc<str>| Source::OF_OPERATOR.iter().any(|source| source.as_str() == &**name);
        self.spec.source != Source::Discovery || self.sources.iter().any(by_operator)
    }

    /// Whether its card offers server-sent events, and it has not refused them since.
    pub fn streams(&self) -> bool {
        self.stream_refused.is_none() && self.card.as_ref().is_some_and(|card| card.streaming)
    }
}

/// A normalised URL, so that different spellings identify the same agent: scheme and host in lower case, no default
/// port, no trailing slash, no query, no fragment, no well-known path.
pub fn normalise_url(url: &str) -> String {
    let url = url.trim();
    let url = url.split(['?', '#']).next().unwrap_or(url);
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let scheme = scheme.to_ascii_lowercase();
    let (host, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host).to_ascii_lowercase();
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    let mut path = path;
    for known in ["/.well-known/agent-card.json", "/.well-known/agent.json"] {
        path = path.strip_suffix(known).unwrap_or(path);
    }
    format!("{scheme}://{host}{}", path.trim_end_matches('/'))
}

/// True if both URLs have a scheme, a host and a port, and the same ones. They are parsed as the HTTP client parses
/// them, so that no spelling means another host there.
pub fn is_same_origin(one: &str, other: &str) -> bool {
    let origin = |url: &str| url::Url::parse(url).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
    origin(one).is_some_and(|one| origin(other) == Some(one))
}

/// The host in a URL, without its port.
pub fn host_of(url: &str) -> String {
    let url = normalise_url(url);
    let rest = url.split_once("://").map_or(&*url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once(':') {
        // The colons of an address in brackets are none of a port.
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host.to_owned(),
        _ => authority.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_without_its_port() {
        for (url, expected) in [
            ("http://Agents.Example:9101/a", "agents.example"),
            ("https://a.example", "a.example"),
            ("http://[::1]:9101/x", "[::1]"),
            ("http://[::1]/x", "[::1]"),
            ("10.0.0.1:80", "10.0.0.1"),
        ] {
            assert_eq!(host_of(url), expected);
        }
    }

    #[test]
    fn origins_are_those_of_the_http_client() {
        for (one, other, same) in [
            ("http://bank:1/a", "HTTP://Bank:1/b?c", true),
            ("http://bank", "http://bank:80/", true),
            ("http://bank:1", "http://bank:2", false),
            ("http://bank", "https://bank", false),
            ("http://bank:1", "http://evil:1\\@bank:1/", false),
            ("http://bank:1", "http://bank:1@evil/", false),
            ("file:///card.json", "file:///card.json", false),
            ("http://bank", "http://bank.evil.example", false),
            ("http://bank", "http://bank@evil.example/", false),
            ("nonsense", "nonsense", false),
        ] {
            assert_eq!(is_same_origin(one, other), same, "{one} {other}");
        }
    }

    #[test]
    fn different_spellings_of_a_url_name_one_agent() {
        for (url, expected) in [
            ("http://Agents.Example:80/", "http://agents.example"),
            ("agents.example", "http://agents.example"),
            ("https://a.example:443/x/?q#f", "https://a.example/x"),
            ("http://h:9101/.well-known/agent-card.json", "http://h:9101"),
            ("http://user:pw@h/a/.well-known/agent.json", "http://h/a"),
        ] {
            assert_eq!(normalise_url(url), expected);
        }
    }
}
