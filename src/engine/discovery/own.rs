//! The built-in registry as a source: registered agents with a valid lease.

use tokio::sync::watch;

use super::{Discover, Running, SourceSender};
use crate::domain::cause::Cause;
use crate::domain::fleet::source::{DiscoveredAgent, SourceKind, SourceSpec};
use crate::net::Net;

/// Its name among the sources.
pub const NAME: &str = crate::domain::fleet::source::OWN_REGISTRY;

/// All registered agents, or why none can be registered.
pub type RegisteredAgents = Result<Vec<DiscoveredAgent>, Cause>;

/// Reports the agents of this process's registry to the engine.
#[derive(Debug)]
pub struct OwnRegistry {
    at: String,
    roll: watch::Receiver<RegisteredAgents>,
}

impl OwnRegistry {
    /// A source of the agents in `roll`; `at` is the registry's configured address.
    pub fn new(at: impl Into<String>, roll: watch::Receiver<RegisteredAgents>) -> Self {
        Self { at: at.into(), roll }
    }
}

impl Discover for OwnRegistry {
    fn spec(&self) -> SourceSpec {
        SourceSpec { name: NAME.into(), kind: SourceKind::Own, at: self.at.as_str().into() }
    }

    fn run(self: Box<Self>, report: SourceSender, _net: Net) -> Running {
        let mut roll = self.roll;
        Box::pin(async move {
            loop {
                let registered = roll.borrow_and_update().clone();
                let heard = match registered {
                    Ok(agents) => report.found(agents).await,
                    Err(cause) => report.failed(cause).await,
                };
                // A registry that has ended reports nothing more; its agents stay.
                if !heard || roll.changed().await.is_err() {
                    return;
                }
            }
        })
    }
}
