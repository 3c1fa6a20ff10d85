//! A URL that yields a list of cards or of their URLs.

use super::pages::Pages;
use super::poll::{Fetcher, Read, ReadResult, poll};
use super::{Discover, Running, SourceSender};
use crate::config::AgentSource;
use crate::domain::cause::Cause;
use crate::domain::fleet::source::SourceSpec;
use crate::domain::text::Untrusted;
use crate::net::Net;
use crate::protocol::catalog;

/// The source.
#[derive(Debug)]
pub(super) struct List {
    config: AgentSource,
}

impl List {
    pub(super) fn new(config: AgentSource) -> Self {
        Self { config }
    }
}

impl Discover for List {
    fn spec(&self) -> SourceSpec {
        self.config.spec()
    }

    fn run(self: Box<Self>, report: SourceSender, net: Net) -> Running {
        Box::pin(async move {
            let reader = Reader { at: self.config.at.clone(), etag: None };
            poll(reader, &self.config, report, net).await;
        })
    }
}

struct Reader {
    at: String,
    etag: Option<Untrusted>,
}

impl Read for Reader {
    async fn read(&mut self, way: &Fetcher) -> Result<Option<ReadResult>, Cause> {
        let mut reading = ReadResult::default();
        let mut pages = Pages::new(self.at.clone());
        // An unreadable list is requested again without a condition.
        let known = self.etag.take();
        let mut etag = None;
        while pages.goes_on(&mut reading)? {
            let is_first = etag.is_none() && reading.agents.is_empty();
            let document = way.get(&pages.url(), known.as_ref().filter(|_| is_first)).await?;
            let Some(text) = document.text else {
                self.etag = known;
                return Ok(None);
            };
            let list = catalog::read(&text, Some(&document.url))?;
            reading.bytes += text.len();
            pages.took(&list, &text);
            reading.agents.extend(list.agents);
            reading.broken.join("", list.broken);
            etag = document.etag;
        }
        // The first page may stay the same while others change.
        self.etag = etag.filter(|_| !pages.are_several());
        Ok(Some(reading))
    }
}
