//! Our own registry as a source: whoever is registered there, as long as the lease is alive.

use tokio::sync::watch;

use super::{Discover, Report, Running};
use crate::domain::cause::Cause;
use crate::domain::discovery::{Found, SourceKind, SourceSpec};
use crate::net::Net;

/// Its name among the sources.
pub const NAME: &str = crate::domain::discovery::OWN_REGISTRY;

/// Everybody who is registered, or why nobody can register.
pub type Roll = Result<Vec<Found>, Cause>;

/// Tells the engine what a registry of this process tells.
#[derive(Debug)]
pub struct Own {
    at: String,
    roll: watch::Receiver<Roll>,
}

impl Own {
    /// A source of those whom `roll` names; `at` is where the registry listens, as configured.
    pub fn new(at: impl Into<String>, roll: watch::Receiver<Roll>) -> Self {
        Self { at: at.into(), roll }
    }
}

impl Discover for Own {
    fn spec(&self) -> SourceSpec {
        SourceSpec { name: NAME.into(), kind: SourceKind::Own, at: self.at.as_str().into() }
    }

    fn run(self: Box<Self>, report: Report, _net: Net) -> Running {
        let mut roll = self.roll;
        Box::pin(async move {
            loop {
                let told = roll.borrow_and_update().clone();
                let heard = match told {
                    Ok(agents) => report.found(agents).await,
                    Err(cause) => report.failed(cause).await,
                };
                // A registry that has ended tells nothing more; what it named stays.
                if !heard || roll.changed().await.is_err() {
                    return;
                }
            }
        })
    }
}
