//! The operator's settings: defaults, then the file, then the environment, then flags.
//!
//! Reading finds every fault at once and names its line. Secrets are references until they are used.

mod attempts;
mod breaker;
mod console;
mod fault;
mod load;
mod notify;
mod objectives;
pub mod preferences;
mod problems;
mod registry;
mod routes;
pub mod secret;
mod sources;
mod telemetry;
pub mod units;
mod versions;
mod watch;

pub(crate) use crate::domain::text::nearest;
pub use fault::{Fault, Faults};
pub use load::{Origin, PreferencesCheck, Setting, load, load_routes, load_text};
pub use notify::Notify;
pub use registry::Registry;
pub use sources::{AgentSource, Scheme};
pub use telemetry::{Listen, Telemetry};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::agent::breaker::BreakerRules;
use crate::domain::agent::card::Dialect;
use crate::domain::agent::version::Minimum;
use crate::domain::agent::{AgentSpec, Source};
use crate::domain::metrics::objective::Objective;
use crate::domain::problem::thresholds::ProblemThresholds;
use crate::domain::route::Rules;
use crate::domain::trace::TraceCarrier;
use secret::SecretRef;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The fleet that is used by default.
    pub default_fleet: String,
    /// The operator's name in timelines and metadata; the system's user name by default.
    pub operator: String,
    /// How the console looks and behaves.
    pub console: Console,
    /// When a task counts as silent or stalled.
    pub watch: WatchThresholds,
    /// How long ended work is kept.
    pub keep: Retention,
    /// When breakers open.
    pub breaker: BreakerRules,
    /// From when on something is a problem.
    pub problems: ProblemThresholds,
    /// The oldest versions that are wanted.
    pub minimum_versions: Vec<Minimum>,
    /// Notifications.
    pub notify: Notify,
    /// Survive a power loss, not only a kill; each commit then waits for the disk.
    pub power_loss_safe: bool,
    /// The built-in registry.
    pub registry: Registry,
    /// Where traces and logs are received.
    pub telemetry: Telemetry,
    /// Keys, columns and saved views.
    pub preferences: preferences::Preferences,
    /// The fleets by name.
    pub fleets: BTreeMap<String, Fleet>,
    /// Every setting with where it came from, for `config show`.
    pub settings: Vec<Setting>,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
}

/// `[console]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Console {
    /// `dark`, `light` or `mono`.
    pub theme: String,
    /// Draw with ASCII only.
    pub ascii: bool,
    /// Let the mouse select, scroll and open.
    pub mouse: bool,
    /// The zone of all clocks; `UTC` or a name of the tz database, or `local`.
    pub zone: String,
}

/// `[watch]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WatchThresholds {
    /// No event for this long on an open stream makes a task silent.
    pub silent_after: Duration,
    /// No change for this long after a cut stream makes a task stalled.
    pub stalled_after: Duration,
    /// Probes a second that one host gets at most.
    pub probes_per_host: u32,
}

/// `[keep]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retention {
    /// Ended jobs are kept this long.
    pub time: Duration,
    /// The maximum number of bytes kept.
    pub bytes: u64,
    /// Records of the audit are kept this long.
    pub audit: Duration,
}

/// `[fleet.NAME]`
#[derive(Clone, Debug)]
pub struct Fleet {
    /// True for a production fleet: every act needs an extra confirmation, and every screen is marked.
    pub protect: bool,
    /// Where its data is kept; by default a folder of its name in the user's data folder.
    pub data_dir: Option<PathBuf>,
    /// Between two probes of one agent, give or take a fifth.
    pub probe_interval: Duration,
    /// A file of certificate authorities for all its agents.
    pub ca: Option<PathBuf>,
    /// Its agents, in order.
    pub agents: Vec<Agent>,
    /// Credentials by URL pattern.
    pub logins: Vec<Login>,
    /// Where more agents are found.
    pub sources: Vec<AgentSource>,
    /// Objectives for its work.
    pub objectives: Vec<Objective>,
    /// Rules of routing, in order.
    pub routes: Rules,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            protect: false,
            data_dir: None,
            probe_interval: Duration::from_secs(30),
            ca: None,
            agents: Vec::new(),
            logins: Vec::new(),
            sources: Vec::new(),
            objectives: Vec::new(),
            routes: Rules::default(),
        }
    }
}

/// `[[fleet.NAME.agents]]`
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its name in this fleet; the name in its card otherwise.
    pub name: Option<String>,
    /// Where its card is, or its origin.
    pub url: String,
    /// Credentials for each request, sent only to this URL's origin.
    pub credentials: Credentials,
    /// A file of certificate authorities for this agent.
    pub ca: Option<PathBuf>,
    /// Speak only this dialect.
    pub dialect: Option<Dialect>,
    /// Whether looking at a running task by a second stream is harmless there.
    pub resubscribe: Option<bool>,
    /// For grouping.
    pub labels: BTreeMap<String, String>,
    /// The agent of this fleet that it is a replica of; that agent names itself.
    pub replica_of: Option<String>,
    /// How many tasks it takes at once.
    pub max_concurrent_tasks: Option<u32>,
    /// The probe interval; `None` for that of the fleet.
    pub probe_interval: Option<Duration>,
    /// Where it gets the trace context of messages.
    pub trace_context: Option<TraceCarrier>,
}

impl Agent {
    /// An agent of which only the URL is given.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            name: None,
            url: url.into(),
            credentials: Credentials::default(),
            ca: None,
            dialect: None,
            resubscribe: None,
            labels: BTreeMap::new(),
            replica_of: None,
            max_concurrent_tasks: None,
            probe_interval: None,
            trace_context: None,
        }
    }

    /// The part that the core needs.
    pub fn spec(&self, source: Source) -> AgentSpec {
        AgentSpec {
            name: self.name.as_deref().map(Into::into),
            url: self.url.as_str().into(),
            source,
            dialect: self.dialect,
            resubscribe: self.resubscribe,
            labels: self
                .labels
                .iter()
                .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
                .collect(),
            replica_of: self.replica_of.as_deref().map(Into::into),
            capacity: self.max_concurrent_tasks,
            probe_interval: self.probe_interval,
            trace_context: self.trace_context,
        }
    }
}

/// `[[fleet.NAME.logins]]`
#[derive(Clone, Debug)]
pub struct Login {
    /// `https://*.example.com/path`: scheme, host with `*` for one or more labels, port, path prefix.
    pub url: String,
    /// The credentials.
    pub credentials: Credentials,
}

/// Credentials sent with a request.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// `Authorization: Bearer …`
    pub bearer: Option<SecretRef>,
    /// Fixed headers.
    pub headers: BTreeMap<String, SecretRef>,
}

impl Credentials {
    /// True if nothing is sent.
    pub fn is_empty(&self) -> bool {
        self.bearer.is_none() && self.headers.is_empty()
    }
}

/// The commented example, every key at its default.
pub const EXAMPLE: &str = include_str!("../../config.example.toml");
