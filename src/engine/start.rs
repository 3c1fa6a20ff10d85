//! Starts and stops an engine.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::credentials::CredentialBook;
use super::discovery::Discover;
use super::handle::Handle;
use super::notify::Webhook;
use super::past::{RulesReader, RulesSource};
use super::run::{RoutesRead, Runner};
use super::telemetry::Telemetry;
use crate::domain::agent::AgentSpec;
use crate::domain::input::Rules;
use crate::domain::metrics::MadeUp;
use crate::net::Net;
use crate::store::StoreError;
use crate::store::lock::Lock;
use crate::telemetry::limits::Retention;

/// The configuration of an engine.
#[derive(Debug)]
pub struct Options {
    /// The data folder; without one, nothing is kept.
    pub dir: Option<PathBuf>,
    /// Survive a power loss too.
    pub power_loss_safe: bool,
    /// The rules.
    pub rules: Rules,
    /// The agents, in order.
    pub specs: Vec<AgentSpec>,
    /// Sources of more agents.
    pub sources: Vec<Box<dyn Discover>>,
    /// Where problems are posted.
    pub webhook: Option<Webhook>,
    /// The credentials and trust of the agents.
    pub access: CredentialBook,
    /// How long traces and logs are kept.
    pub telemetry: Retention,
    /// Fixes ids and jitter, for tests and the demo.
    pub seed: Option<u64>,
    /// The lock of the data folder; released when everything is committed.
    pub lock: Option<Lock>,
}

/// Engines of this process that have not ended.
static RUNNING: std::sync::LazyLock<watch::Sender<usize>> =
    std::sync::LazyLock::new(|| watch::Sender::new(0));

/// Waits until every engine of this process has committed its decisions; a dropped one ends on its own. False if that
/// took too long.
pub async fn all_ended(limit: Duration) -> bool {
    let mut running = RUNNING.subscribe();
    let ended = tokio::time::timeout(limit, running.wait_for(|running| *running == 0)).await;
    matches!(ended, Ok(Ok(_)))
}

/// Counts an engine while it is held.
#[derive(Debug)]
pub(super) struct EngineCount;

impl EngineCount {
    pub fn new() -> Self {
        RUNNING.send_modify(|running| *running += 1);
        Self
    }
}

impl Drop for EngineCount {
    fn drop(&mut self) {
        RUNNING.send_modify(|running| *running -= 1);
    }
}

/// A running engine. Dropped, it commits and ends on its own; see [`all_ended`].
#[derive(Debug)]
pub struct Engine {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<Stopped>,
    net: Net,
    routes: mpsc::Sender<RoutesRead>,
    rules: RulesSource,
    drill_token: Arc<OnceLock<http::HeaderValue>>,
    telemetry: Telemetry,
}

/// How an engine ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stopped {
    /// Everything that was decided is durable.
    Saved,
    /// The journal could not be written at the end.
    Unsaved,
}

impl Engine {
    /// Loads the durable state and starts the loop.
    ///
    /// # Errors
    /// The data folder cannot be used.
    pub fn start(options: Options) -> Result<Self, StoreError> {
        Self::start_with(options, MadeUp::default())
    }

    /// The same, with a past that is made up if the data folder has none of its own.
    ///
    /// # Errors
    /// The data folder cannot be used.
    pub fn start_with(options: Options, made_up: MadeUp) -> Result<Self, StoreError> {
        let (runner, ends) = Runner::new(options, made_up)?;
        let (handle, net, routes) = (ends.handle.clone(), ends.net.clone(), ends.routes_sender.clone());
        let (stop, stopping) = oneshot::channel();
        let (rules, drill_token) = (runner.rules.clone(), runner.drill_token.clone());
        let telemetry = runner.telemetry.clone();
        let task = tokio::spawn(runner.run(ends, stopping));
        Ok(Self { handle, stop: Some(stop), task, net, routes, rules, drill_token, telemetry })
    }

    /// A handle to it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Where the rules of routing go when the configuration was read again.
    pub fn routes(&self) -> mpsc::Sender<RoutesRead> {
        self.routes.clone()
    }

    /// How it reads a file of rules that somebody wants to compare; the first one counts.
    pub fn compare_rules_with(&self, reader: RulesReader) {
        self.rules.set(reader);
    }

    /// It owns a demo, whose agents die for its drills if they are told this.
    pub fn owns_demo(&self, token: http::HeaderValue) {
        let _it_owns_one = self.drill_token.set(token);
    }

    /// Where telemetry goes that is received.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Its network side, for secrets that must be redacted elsewhere too.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Stops it: waits a moment for pending answers, then everything is committed.
    pub async fn stop(mut self) -> Stopped {
        if let Some(stop) = self.stop.take() {
            let _it_has_ended_by_itself = stop.send(());
        }
        self.task.await.unwrap_or(Stopped::Unsaved)
    }
}
