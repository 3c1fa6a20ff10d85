//! Lists of agents with pages, which are requested by a token or by `limit` and `offset`.

use std::collections::BTreeSet;

use url::Url;

use super::poll::ReadResult;
use crate::domain::cause::Cause;
use crate::domain::job::message::text_hash;
use crate::net::BODY;
use crate::net::credentials::parse_url;
use crate::protocol::catalog::{Catalog, MOST};

/// The maximum number of pages of a list.
const PAGES: usize = 256;

/// The reference to the next page.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Next {
    Token(String),
    Offset { offset: u64, limit: u64 },
}

/// Goes through the pages of a list, and stops if they repeat or do not end.
pub(super) struct Pages {
    first: String,
    next: Option<Next>,
    seen: BTreeSet<Next>,
    /// The hashes of the pages read: a server that ignores an offset returns the same page again.
    texts: BTreeSet<u64>,
    count: usize,
    /// The number of entries so far.
    read: u64,
    /// The number of entries in the whole list, from the last page.
    total: Option<u64>,
}

impl Pages {
    /// Starts with the first page, which is at this URL.
    pub fn new(first: String) -> Self {
        Self {
            first,
            next: None,
            seen: BTreeSet::new(),
            texts: BTreeSet::new(),
            count: 0,
            read: 0,
            total: None,
        }
    }

    /// The token of the next page; `None` if pages are not requested by token.
    pub fn token(&self) -> Option<&str> {
        match &self.next {
            Some(Next::Token(token)) => Some(token),
            Some(Next::Offset { .. }) | None => None,
        }
    }

    /// True if more than one page was requested.
    pub fn are_several(&self) -> bool {
        self.count > 2
    }

    /// The URL of the next page.
    pub fn url(&self) -> String {
        match &self.next {
            None => self.first.clone(),
            Some(Next::Token(token)) => with(&self.first, &[("pageToken", token)]),
            Some(Next::Offset { offset, limit }) => {
                with(&self.first, &[("limit", &limit.to_string()), ("offset", &offset.to_string())])
            }
        }
    }

    /// Records a page and the reference that follows it.
    pub fn took(&mut self, page: &Catalog, text: &str) {
        let is_new = self.texts.insert(text_hash(text));
        let by_offset = matches!(self.next, Some(Next::Offset { .. }));
        if by_offset && !is_new {
            self.next = None;
            return;
        }
        self.read += page.entries;
        self.total = page.total.or(self.total);
        let rest = self.total.is_some_and(|total| total > self.read) && page.entries > 0;
        self.next = match (&page.next, page.limit) {
            (Some(token), _) => Some(Next::Token(token.clone())),
            (None, Some(limit)) if rest => Some(Next::Offset { offset: self.read, limit }),
            (None, _) => None,
        };
    }

    /// True if another page is to be requested. Entries that the list's total includes but no page has are reported.
    pub fn goes_on(&mut self, reading: &mut ReadResult) -> Result<bool, Cause> {
        self.count += 1;
        if self.count == 1 {
            return Ok(true);
        }
        if reading.bytes > BODY {
            reading.broken.add(&self.first, "more than 64 MiB; the rest is not read");
            return Ok(false);
        }
        let Some(next) = &self.next else {
            let missing = self.total.unwrap_or_default().saturating_sub(self.read);
            if missing > 0 {
                let of = self.total.unwrap_or_default();
                let why = format!("{missing} of its {of} entries are missing: no page has them");
                reading.broken.add(&self.first, why);
            }
            return Ok(false);
        };
        if !self.seen.insert(next.clone()) {
            return Err(Cause::Source(format!("{}: its pages go round", self.first).into()));
        }
        if self.count > PAGES || reading.agents.len() >= MOST {
            let why = format!("more than {MOST} agents or {PAGES} pages; the rest is not read");
            reading.broken.add(&self.first, why);
            return Ok(false);
        }
        Ok(true)
    }
}

/// A URL with these parameters, which replace those that it already has.
fn with(url: &str, parameters: &[(&str, &str)]) -> String {
    let Some(mut url) = parse_url(url) else { return url.to_owned() };
    let is_set = |name: &str| parameters.iter().any(|(set, _)| *set == name);
    let kept: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(name, _)| !is_set(name)).collect();
    url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(parameters);
    Url::into(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_a_url_are_set_once() {
        for (url, expected) in [
            ("http://h/a", "http://h/a?limit=2&offset=4"),
            ("http://h/a?x=1&offset=2&y=%26", "http://h/a?x=1&y=%26&limit=2&offset=4"),
        ] {
            assert_eq!(with(url, &[("limit", "2"), ("offset", "4")]), expected);
        }
    }
}
