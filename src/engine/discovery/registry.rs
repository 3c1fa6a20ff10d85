//! A registry as a source: `GET /agents`, which most registries offer, otherwise `POST /search` of ARD.

use super::pages::Pages;
use super::poll::{Fetcher, Read, ReadResult, poll};
use super::{Discover, Running, SourceSender};
use crate::config::AgentSource;
use crate::domain::cause::Cause;
use crate::domain::fleet::source::SourceSpec;
use crate::domain::text::Untrusted;
use crate::net::{BODY, Net};
use crate::protocol::catalog::{self, Catalog, Link};
use crate::protocol::json::{Writer, array, string};

/// The maximum number of entries requested individually from a registry.
const SINGLE: usize = 256;
/// The number of entries per page; ARD allows no more.
const PAGE: i64 = 100;

/// The source.
#[derive(Debug)]
pub(super) struct Registry {
    config: AgentSource,
}

impl Registry {
    pub(super) fn new(config: AgentSource) -> Self {
        Self { config }
    }
}

impl Discover for Registry {
    fn spec(&self) -> SourceSpec {
        self.config.spec()
    }

    fn run(self: Box<Self>, report: SourceSender, net: Net) -> Running {
        Box::pin(async move {
            poll(Reader { at: self.config.at.clone() }, &self.config, report, net).await;
        })
    }
}

struct Reader {
    at: String,
}

impl Read for Reader {
    async fn read(&mut self, way: &Fetcher) -> Result<Option<ReadResult>, Cause> {
        let mut reading = ReadResult::default();
        match list(way, &self.at, &mut reading).await {
            Ok(()) => {}
            Err(cause) if offers_no_list(&cause) => {
                reading = ReadResult::default();
                match search(way, &self.at, &mut reading).await {
                    Ok(()) => {}
                    // The registry offers neither: the error of the first request is more specific.
                    Err(other) if offers_no_list(&other) => return Err(cause),
                    Err(other) => return Err(other),
                }
            }
            Err(cause) => return Err(cause),
        }
        Ok(Some(reading))
    }
}

/// True if the endpoint does not exist, or is something else.
fn offers_no_list(cause: &Cause) -> bool {
    matches!(cause, Cause::Status { status: 400 | 404 | 405 | 410 | 422 | 501, .. } | Cause::Source(_))
}

/// `GET /agents`, page by page.
async fn list(way: &Fetcher, at: &str, reading: &mut ReadResult) -> Result<(), Cause> {
    let mut pages = Pages::new(format!("{}/agents", base(at)));
    while pages.goes_on(reading)? {
        let document = way.get(&pages.url(), None).await?;
        let text = document.text.unwrap_or_default();
        let list = catalog::read(&text, Some(&document.url))?;
        reading.bytes += text.len();
        pages.took(&list, &text);
        take(way, at, list, reading).await?;
    }
    Ok(())
}

/// `POST /search` of ARD, page by page, for all agents.
pub(super) async fn search(way: &Fetcher, at: &str, reading: &mut ReadResult) -> Result<(), Cause> {
    let url = format!("{}/search", base(at).trim_end_matches("/search"));
    let mut pages = Pages::new(url.clone());
    while pages.goes_on(reading)? {
        let kinds = array([string("application/a2a-agent-card+json")]);
        let filter = Writer::new().raw("type", &kinds).end();
        let query = Writer::new().text("text", "agent").raw("filter", &filter).end();
        // Agents of other registries are not requested: those registries can be configured as sources of their own.
        let question = Writer::new()
            .raw("query", &query)
            .text("federation", "none")
            .raw("pageSize", &PAGE.to_string())
            .maybe("pageToken", pages.token())
            .end();
        let document = way.post(&url, question).await?;
        let text = document.text.unwrap_or_default();
        let list = catalog::read(&text, Some(&document.url))?;
        reading.bytes += text.len();
        pages.took(&list, &text);
        take(way, at, list, reading).await?;
    }
    Ok(())
}

/// Processes a page, and requests the entries of which it contains only the identifier.
async fn take(way: &Fetcher, at: &str, list: Catalog, reading: &mut ReadResult) -> Result<(), Cause> {
    reading.agents.extend(list.agents);
    reading.broken.join("", list.broken);
    for link in list.links {
        let Link::Entry(identifier) = link else { continue };
        reading.single += 1;
        if reading.single > SINGLE {
            reading
                .broken
                .add(&shown(&identifier), format!("more than {SINGLE} entries given by name alone"));
            continue;
        }
        let id: String = url::form_urlencoded::byte_serialize(identifier.as_bytes()).collect();
        // In a path, `+` does not stand for a space.
        let url = format!("{}/agents/{}", base(at).trim_end_matches("/search"), id.replace('+', "%20"));
        if reading.bytes > BODY {
            // The next page says so.
            return Ok(());
        }
        let fetched = way.get(&url, None).await;
        match fetched.and_then(|document| {
            let text = document.text.unwrap_or_default();
            reading.bytes += text.len();
            catalog::read(&text, Some(&document.url))
        }) {
            Ok(entry) => {
                reading.agents.extend(entry.agents);
                reading.broken.join(&shown(&identifier), entry.broken);
            }
            // A missing or unusable entry is final; other errors may be temporary.
            Err(cause @ (Cause::Status { status: 400..=499, .. } | Cause::Source(_))) => {
                reading.broken.add(&shown(&identifier), cause);
            }
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

fn shown(identifier: &str) -> String {
    Untrusted::from(identifier).shortened(80).line().into_string()
}

fn base(at: &str) -> &str {
    at.split(['?', '#']).next().unwrap_or(at).trim_end_matches('/').trim_end_matches("/agents")
}
