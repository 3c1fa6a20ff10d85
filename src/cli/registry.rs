//! Our own registry beside an engine of ours: prepared before the engine starts, served once it runs.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::sync::watch;

use super::output::Failure;
use super::session::Setup;
use super::stored::store_failure;
use crate::config::secret::Secret;
use crate::domain::cause::Cause;
use crate::domain::text::Untrusted;
use crate::engine::Handle;
use crate::engine::discovery::Discover;
use crate::engine::discovery::own::{OwnRegistry, RegisteredAgents};
use crate::net::clock::Clock;
use crate::net::credentials::read_secret;
use crate::serve::http::{bind, bind_error};
use crate::serve::registry::{Registry, Serving, Time, serve};
use crate::store::registry::{RegistryStore, SqliteStore, registry_path};

/// A configured registry, and the reason if it cannot be served.
#[derive(Debug)]
pub struct PreparedRegistry {
    address: SocketAddr,
    ready: Result<Ready, Failure>,
    roll: watch::Receiver<RegisteredAgents>,
}

#[derive(Debug)]
struct Ready {
    bound: TcpListener,
    registry: Registry,
    token: Option<Secret>,
}

impl PreparedRegistry {
    /// Binds the port and reads the registrations, if a registry is configured. A temporary engine does not serve it,
    /// but still reads the registrations.
    pub async fn of(setup: &Setup, lasting: bool) -> Option<Self> {
        let address = setup.config.registry.listen?;
        let (roll, ready) = if lasting {
            match ready(setup, address).await {
                Ok(ready) => (ready.registry.registered(), Ok(ready)),
                Err(failure) => {
                    let cause = Cause::NotServed(failure.message.clone());
                    (watch::channel(Err(cause)).1, Err(failure))
                }
            }
        } else {
            let not_served = Failure::internal("a passing engine serves no registry");
            (watch::channel(registered(setup)).1, Err(not_served))
        };
        Some(Self { address, ready, roll })
    }

    /// The source that reports registrations to the engine.
    pub fn source(&self) -> Box<dyn Discover> {
        Box::new(OwnRegistry::new(self.address.to_string(), self.roll.clone()))
    }

    /// The token of writers, to be redacted from everything displayed.
    pub fn secret(&self) -> Option<&Secret> {
        self.ready.as_ref().ok()?.token.as_ref()
    }

    /// Serves it, now that the engine runs.
    ///
    /// # Errors
    /// Why it is not served; the engine has a problem that says so too.
    pub fn serve(self, handle: &Handle) -> Result<Serving, Failure> {
        let not_served = |failure: Failure| Failure {
            message: format!("the registry is not served: {}", failure.message).into(),
            ..failure
        };
        let Ready { bound, registry, token } = self.ready.map_err(not_served)?;
        serve(bound, registry, handle, token.as_ref())
            .map_err(|error| not_served(Failure::internal(error.to_string())))
    }
}

async fn ready(setup: &Setup, address: SocketAddr) -> Result<Ready, Failure> {
    let config = &setup.config.registry;
    let token = match &config.token {
        Some(token) => Some(read_secret(token).await.map_err(|cause| {
            let why = match cause {
                Cause::Credential(why) => why,
                other => Untrusted::from(other.to_string()),
            };
            Failure::new(4, "A2ACLI_ERR_CREDENTIALS_MISSING", format!("registry.token cannot be read: {why}"))
                .hint("correct the reference in the configuration")
        })?),
        None => None,
    };
    let bound = bind(address).map_err(|error| {
        let step = Cause::NotServed(Untrusted::default()).next_step();
        Failure::new(1, "QUARTERDECK_ERR_LISTEN", bind_error(address, &error)).hint(step)
    })?;
    let store = SqliteStore::open(&setup.dir, setup.config.power_loss_safe);
    let clock = Clock::start();
    let opened =
        store.and_then(|store| Registry::open(Arc::new(store), config.lease, Time::new(move || clock.now())));
    let registry = opened.map_err(|error| store_failure(&error))?;
    Ok(Ready { bound, registry, token })
}

/// The registrations, without serving the registry.
fn registered(setup: &Setup) -> RegisteredAgents {
    if !registry_path(&setup.dir).exists() {
        return Ok(Vec::new());
    }
    let rows = SqliteStore::open(&setup.dir, false).and_then(|store| store.list());
    let rows = rows.map_err(|error| Cause::NotServed(error.to_string().into()))?;
    Ok(rows.iter().map(|row| row.entry.found()).collect())
}
