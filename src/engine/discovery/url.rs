//! A URL that yields a list of cards or of their URLs.

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
        let document = way.get(&self.at, self.etag.as_ref()).await?;
        let Some(text) = document.text else { return Ok(None) };
        // A list that cannot be read is asked for again, whatever its server thinks of it.
        self.etag = None;
        let list = catalog::read(&text, Some(&document.url))?;
        self.etag = document.etag;
        Ok(Some(ReadResult { agents: list.agents, broken: list.broken, single: 0 }))
    }
}
