//! Common parts of sources that are read repeatedly: the intervals, the last report, and the tap.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::SourceSender;
use crate::config::AgentSource;
use crate::domain::agent::normalise_url;
use crate::domain::cause::Cause;
use crate::domain::fleet::source::{DiscoveredAgent, SourceReport};
use crate::domain::text::Untrusted;
use crate::net::{Access, Document, Net};
use crate::protocol::catalog::{Broken, MOST};

/// The time limit for fetching one document.
const DOCUMENT: Duration = Duration::from_secs(10);
/// The time limit for one complete reading.
const READING: Duration = Duration::from_secs(60);

/// The result of one reading.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadResult {
    /// The agents.
    pub agents: Vec<DiscoveredAgent>,
    /// Unusable entries.
    pub broken: Broken,
    /// The number of entries that were requested individually.
    pub single: usize,
    /// Bytes of all its documents so far.
    pub bytes: usize,
}

/// A source that is read repeatedly.
pub(super) trait Read: Send {
    /// Reads it. `None` if nothing has changed since the last reading.
    fn read(&mut self, way: &Fetcher) -> impl Future<Output = Result<Option<ReadResult>, Cause>> + Send;
}

/// Reads a source until the engine has ended.
pub(super) async fn poll(mut source: impl Read, config: &AgentSource, report: SourceSender, net: Net) {
    let way = Fetcher::new(config, &report, net);
    let mut pace = PollPacer::new(config);
    let mut reporter = ChangeReporter::new(report, config);
    let mut good = None;
    loop {
        let goes_on = match tokio::time::timeout(READING, source.read(&way)).await {
            Err(_) => reporter.failed(Cause::TimedOut(READING)).await,
            Ok(Err(cause)) => reporter.failed(cause).await,
            Ok(Ok(reading)) => {
                good = reading.or(good);
                reporter.found(good.clone().unwrap_or_default()).await
            }
        };
        if !goes_on {
            return;
        }
        pace.wait().await;
    }
}

/// Reports changes, but nothing twice.
#[derive(Debug)]
pub(super) struct ChangeReporter {
    report: SourceSender,
    labels: Vec<(Arc<str>, Arc<str>)>,
    last: Option<SourceReport>,
}

impl ChangeReporter {
    pub(super) fn new(report: SourceSender, config: &AgentSource) -> Self {
        let labels = config.labels.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        Self { report, labels: labels.collect(), last: None }
    }

    /// Reports all agents that the source lists now. False if the engine has ended.
    pub(super) async fn found(&mut self, reading: ReadResult) -> bool {
        let ReadResult { agents, broken, .. } = reading;
        let agents = merged(agents, &self.labels);
        let cause = broken.cause();
        self.send(match cause {
            None => SourceReport::Agents(agents),
            Some(cause) => SourceReport::Partly(agents, Arc::new(cause)),
        })
        .await
    }

    /// Reports that the source cannot be read. False if the engine has ended.
    pub(super) async fn failed(&mut self, cause: Cause) -> bool {
        self.send(SourceReport::Failed(Arc::new(cause))).await
    }

    async fn send(&mut self, news: SourceReport) -> bool {
        if self.last.as_ref() == Some(&news) {
            return !self.report.to.is_closed();
        }
        self.last = Some(news.clone());
        self.report.send(news).await
    }
}

/// The agents without duplicates. The labels that the operator configured for the source come first.
fn merged(agents: Vec<DiscoveredAgent>, own: &[(Arc<str>, Arc<str>)]) -> Vec<DiscoveredAgent> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut merged: Vec<DiscoveredAgent> = Vec::new();
    for mut found in agents {
        let reported = std::mem::replace(&mut found.labels, own.to_vec());
        let place = match places.entry(normalise_url(&found.url)) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(_) if merged.len() >= MOST => continue,
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(found.clone());
                merged.len() - 1
            }
        };
        let Some(one) = merged.get_mut(place) else { continue };
        one.card = one.card.take().or(found.card);
        one.capacity = one.capacity.or(found.capacity);
        one.probe_interval = one.probe_interval.or(found.probe_interval);
        for (name, value) in reported {
            if !one.labels.iter().any(|(known, _)| *known == name) {
                one.labels.push((name, value));
            }
        }
    }
    merged
}

/// The waits between readings. Each is shorter than the configured interval by a random amount, so that changes are
/// reported in time, and many sources, or many consoles on one registry, do not send their requests in step.
#[derive(Debug)]
pub(super) struct PollPacer {
    every: Duration,
    chance: u64,
}

impl PollPacer {
    pub(super) fn new(config: &AgentSource) -> Self {
        let seed = config.name.bytes().fold(u64::from(std::process::id()), |seed, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self { every: config.every, chance: seed }
    }

    /// The next wait: four to five fifths of the interval.
    pub(super) fn next(&mut self) -> Duration {
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = u32::try_from(self.chance >> 54).unwrap_or(0);
        self.every * 4 / 5 + self.every / 5 * share / 1024
    }

    pub(super) async fn wait(&mut self) {
        let next = self.next();
        tokio::time::sleep(next).await;
    }
}

/// Fetches a source's documents. Its credentials are sent only to its own origin.
#[derive(Debug)]
pub(super) struct Fetcher {
    net: Net,
    access: Access,
    line: crate::net::tap::TapHandle,
}

impl Fetcher {
    pub(super) fn new(config: &AgentSource, report: &SourceSender, net: Net) -> Self {
        let access = Access::of_origin(&config.at, &config.credentials, config.ca.clone());
        Self { net, access, line: report.line().clone() }
    }

    /// Gets a document.
    pub(super) async fn get(&self, url: &str, etag: Option<&Untrusted>) -> Result<Document, Cause> {
        self.net.document(&self.access, &self.line, url, etag, DOCUMENT).await
    }

    /// Posts a query.
    pub(super) async fn post(&self, url: &str, question: String) -> Result<Document, Cause> {
        self.net.ask_document(&self.access, &self.line, url, question, DOCUMENT).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::source::SourceKind;

    #[test]
    fn reads_of_a_source_are_regular_but_not_synchronised() {
        let config = AgentSource::new(SourceKind::Url, "http://h");
        let mut pace = PollPacer::new(&config);
        let waits: Vec<Duration> = (0..50).map(|_| pace.next()).collect();
        assert!(waits.iter().all(|wait| *wait >= config.every * 4 / 5 && *wait <= config.every), "{waits:?}");
        assert!(waits.windows(2).any(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn an_agent_that_is_listed_twice_is_merged_into_one() {
        let label = |text: &str| -> (Arc<str>, Arc<str>) {
            let (name, value) = text.split_once('=').unwrap();
            (name.into(), value.into())
        };
        let found = |url: &str, labels: &[&str]| DiscoveredAgent {
            labels: labels.iter().map(|text| label(text)).collect(),
            ..DiscoveredAgent::at(url)
        };
        let agents = vec![
            found("http://h:1/", &["region=us", "tags=a"]),
            found("http://h:1/.well-known/agent-card.json", &["tags=b", "zone=1"]),
            found("http://h:2", &[]),
        ];
        let merged = merged(agents, &[label("region=eu")]);
        let shown: Vec<String> = merged
            .iter()
            .map(|one| {
                let labels: Vec<_> = one.labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
                format!("{} {}", one.url, labels.join(" "))
            })
            .collect();
        assert_eq!(shown, ["http://h:1/ region=eu tags=a zone=1", "http://h:2 region=eu"]);
    }
}
