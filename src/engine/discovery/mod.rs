//! Sources of agents: each runs beside the loop and tells it all agents that it names, each time they change.
//!
//! A new kind of source is one file here and one line where the configuration is read.

pub mod own;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::domain::cause::Cause;
use crate::domain::discovery::{Found, News, SourceSpec};
use crate::net::Net;

/// What a source told, on its way to the loop.
pub(super) type Told = (Arc<str>, News);

/// Where a source tells what it found.
#[derive(Clone, Debug)]
pub struct Report {
    source: Arc<str>,
    to: mpsc::Sender<Told>,
}

impl Report {
    /// All agents that the source names now; who is missing has left it. False if the engine has ended.
    pub async fn found(&self, agents: Vec<Found>) -> bool {
        self.to.send((self.source.clone(), News::Agents(agents))).await.is_ok()
    }

    /// The source cannot be read; what it named before stays. False if the engine has ended.
    pub async fn failed(&self, cause: Cause) -> bool {
        self.to.send((self.source.clone(), News::Failed(Arc::new(cause)))).await.is_ok()
    }
}

/// What a running source is.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A source of agents.
pub trait Discover: Send + Sync + std::fmt::Debug {
    /// Its name, its kind and where it is.
    fn spec(&self) -> SourceSpec;

    /// Reads it again and again, and tells what it names. It ends when the engine has, or is dropped then.
    fn run(self: Box<Self>, report: Report, net: Net) -> Running;
}

/// Runs sources until they are dropped.
pub(super) fn start(
    sources: Vec<Box<dyn Discover>>,
    to: &mpsc::Sender<Told>,
    net: &Net,
) -> tokio::task::JoinSet<()> {
    let mut running = tokio::task::JoinSet::new();
    for source in sources {
        let report = Report { source: source.spec().name, to: to.clone() };
        running.spawn(source.run(report, net.clone()));
    }
    running
}
