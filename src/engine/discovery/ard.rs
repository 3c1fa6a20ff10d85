//! Agents published by a domain: an ARD manifest, a page that links to one, or its predecessor, an AI Catalog (ARD
//! v0.91, section 5.1).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use url::Url;

use super::poll::{Fetcher, Read, ReadResult, poll};
use super::{Discover, Running, SourceSender, registry};
use crate::config::AgentSource;
use crate::domain::cause::Cause;
use crate::domain::fleet::source::SourceSpec;
use crate::domain::text::Untrusted;
use crate::net::credentials::parse_url;
use crate::net::{BODY, Document, Net};
use crate::protocol::catalog::{self, Broken, Catalog, DEPTH, Link, MOST};

/// The maximum number of documents and registries per reading.
const DOCUMENTS: usize = 64;
/// The manifest link is only searched for in the beginning of a page.
const HEAD: usize = 256 * 1024;

/// The source.
#[derive(Debug)]
pub(super) struct Manifest {
    config: AgentSource,
}

impl Manifest {
    pub(super) fn new(config: AgentSource) -> Self {
        Self { config }
    }
}

impl Discover for Manifest {
    fn spec(&self) -> SourceSpec {
        self.config.spec()
    }

    fn run(self: Box<Self>, report: SourceSender, net: Net) -> Running {
        Box::pin(async move {
            let reader = Reader { at: self.config.at.clone(), known: Known::new() };
            poll(reader, &self.config, report, net).await;
        })
    }
}

/// The last readable content of documents and registries, by URL.
type Known = BTreeMap<String, Catalog>;

struct Reader {
    at: String,
    known: Known,
}

impl Read for Reader {
    async fn read(&mut self, way: &Fetcher) -> Result<Option<ReadResult>, Cause> {
        let mut walk = Walk {
            bytes: 0,
            documents: 0,
            seen: BTreeSet::new(),
            reading: ReadResult::default(),
            known: &self.known,
            fetched: Known::new(),
        };
        let firsts = walk.begin(way, &self.at).await?;
        walk.follow(way, firsts).await;
        let Walk { reading, fetched, .. } = walk;
        self.known = fetched;
        Ok(Some(reading))
    }
}

/// A manifest and everything it links to.
struct Walk<'k> {
    bytes: usize,
    documents: usize,
    seen: BTreeSet<String>,
    reading: ReadResult,
    /// The contents of the previous reading, and of this one.
    known: &'k Known,
    fetched: Known,
}

impl Walk<'_> {
    /// The manifests of a domain, from the first place that has one in the order of the specification.
    async fn begin(&mut self, way: &Fetcher, at: &str) -> Result<Vec<(Url, Catalog)>, Cause> {
        let given = parse_url(at).ok_or_else(|| Cause::Source(format!("{at:?} is no URL").into()))?;
        let names_a_document = std::path::Path::new(given.path())
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("json"));
        if names_a_document {
            return Ok(vec![self.manifest(way, given.as_str()).await?]);
        }
        let place = |path: &str| given.join(path).map(String::from).unwrap_or_default();
        let first = match self.manifest(way, &place("/.well-known/ard.json")).await {
            Ok(found) => return Ok(vec![found]),
            Err(cause) if is_absent(&cause) => cause,
            Err(cause) => return Err(cause),
        };
        let mut linked = Vec::new();
        if let Ok(page) = self.get(way, given.as_str()).await {
            let text = page.text.unwrap_or_default();
            linked.extend(links_of_page(&text).iter().filter_map(|link| page.url.join(link).ok()));
        }
        if linked.is_empty()
            && let Ok(robots) = self.get(way, &place("/robots.txt")).await
        {
            let text = robots.text.unwrap_or_default();
            linked.extend(links_of_robots(&text).iter().filter_map(|link| robots.url.join(link).ok()));
        }
        let mut found = Vec::new();
        for link in linked.into_iter().take(DOCUMENTS) {
            if let Some(catalog) = self.linked(way, link.as_str()).await {
                found.push((link, catalog));
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
        match self.reading.broken.cause() {
            // A link led to it, so the domain does have a manifest.
            Some(cause) => Err(cause),
            None => match self.manifest(way, &place("/.well-known/ai-catalog.json")).await {
                Ok(found) => Ok(vec![found]),
                Err(cause) if is_absent(&cause) => Err(Cause::Source(
                    format!(
                        "no /.well-known/ard.json ({first}), no link to a manifest, no /.well-known/ai-catalog.json"
                    )
                    .into(),
                )),
                Err(cause) => Err(cause),
            },
        }
    }

    /// Reads linked documents, nearest first. Unreadable ones are reported.
    async fn follow(&mut self, way: &Fetcher, firsts: Vec<(Url, Catalog)>) {
        let mut open: VecDeque<(usize, Link)> = VecDeque::new();
        for (url, catalog) in firsts {
            self.seen.insert(url.into());
            self.take(catalog, 0, &mut open);
        }
        while let Some((depth, link)) = open.pop_front() {
            let (Link::Catalog(to) | Link::Registry(to)) = &link else { continue };
            if !self.seen.insert(to.clone()) {
                continue;
            }
            if depth > DEPTH || self.documents >= DOCUMENTS || self.reading.agents.len() >= MOST {
                let why = if depth > DEPTH {
                    format!("catalogs in catalogs deeper than {DEPTH}")
                } else {
                    format!("more than {DOCUMENTS} documents or {MOST} agents; the rest is not read")
                };
                self.reading.broken.add(&shown(to), why);
                continue;
            }
            let catalog = match &link {
                Link::Registry(at) => self.registry(way, at).await,
                _ => self.linked(way, to).await,
            };
            if let Some(catalog) = catalog {
                self.take(catalog, depth, &mut open);
            }
        }
    }

    /// A linked document. If it is unreadable, its previous content is used: its agents must not leave because of that.
    async fn linked(&mut self, way: &Fetcher, url: &str) -> Option<Catalog> {
        let result = self.manifest(way, url).await.map(|(_, catalog)| catalog);
        self.remembered(url, result)
    }

    async fn registry(&mut self, way: &Fetcher, at: &str) -> Option<Catalog> {
        self.documents += 1;
        let mut reading = ReadResult::default();
        let result = registry::search(way, at, &mut reading).await;
        let result =
            result.map(|()| Catalog { agents: reading.agents, broken: reading.broken, ..Catalog::default() });
        self.remembered(at, result)
    }

    fn remembered(&mut self, url: &str, result: Result<Catalog, Cause>) -> Option<Catalog> {
        let catalog = match result {
            Ok(catalog) => catalog,
            Err(cause) => {
                self.reading.broken.add(&shown(url), cause);
                Catalog { broken: Broken::default(), ..self.known.get(url)?.clone() }
            }
        };
        self.fetched.insert(url.to_owned(), catalog.clone());
        Some(catalog)
    }

    fn take(&mut self, catalog: Catalog, depth: usize, open: &mut VecDeque<(usize, Link)>) {
        self.reading.agents.extend(catalog.agents);
        self.reading.broken.join("", catalog.broken);
        for link in catalog.links {
            match link {
                Link::Entry(identifier) => {
                    self.reading.broken.add(&shown(&identifier), "has neither url nor data");
                }
                link if open.len() < MOST => open.push_back((depth + 1, link)),
                _ => {}
            }
        }
    }

    async fn manifest(&mut self, way: &Fetcher, url: &str) -> Result<(Url, Catalog), Cause> {
        let document = self.get(way, url).await?;
        let catalog = catalog::read(&document.text.unwrap_or_default(), Some(&document.url))?;
        Ok((document.url, catalog))
    }

    async fn get(&mut self, way: &Fetcher, url: &str) -> Result<Document, Cause> {
        self.documents += 1;
        let document = way.get(url, None).await?;
        self.bytes += document.text.as_ref().map_or(0, |text| text.len());
        if self.bytes > BODY {
            return Err(Cause::Source(
                format!("{}: its documents are larger than 64 MiB", shown(url)).into(),
            ));
        }
        Ok(document)
    }
}

/// True if the document does not exist. Some servers answer every path with a page.
fn is_absent(cause: &Cause) -> bool {
    matches!(cause, Cause::Status { status: 400..=499, .. } | Cause::Source(_))
}

fn shown(url: &str) -> String {
    Untrusted::from(url).shortened(120).line().into_string()
}

/// The targets of `<link rel="ard" href="…">`, or of its former name `ai-catalog`.
fn links_of_page(page: &str) -> Vec<String> {
    let head = &page[..page.floor_char_boundary(HEAD)];
    let mut links = Vec::new();
    for tag in head.split('<').skip(1) {
        let Some((tag, _)) = tag.split_once('>') else { continue };
        let is_link = tag.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("link "));
        let rel = is_link.then(|| attribute(tag, "rel")).flatten().unwrap_or_default();
        let wanted = |word: &str| word.eq_ignore_ascii_case("ard") || word.eq_ignore_ascii_case("ai-catalog");
        if rel.split_whitespace().any(wanted)
            && let Some(href) = attribute(tag, "href")
        {
            links.push(href);
        }
    }
    links
}

/// The value of an attribute, with or without quotes.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once('=') {
        let word =
            before.trim_end().rsplit(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        let after = after.trim_start();
        let (value, left) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
            // Without quotes it ends at a space or at the end of a self-closing tag.
            _ => after.split_once(char::is_whitespace).unwrap_or((after.trim_end_matches('/'), "")),
        };
        if word.eq_ignore_ascii_case(name) {
            return Some(value.replace("&amp;", "&")).filter(|value| !value.is_empty());
        }
        rest = left;
    }
    None
}

/// The targets of `Agentmap: URL` lines in a robots.txt.
fn links_of_robots(robots: &str) -> Vec<String> {
    let head = &robots[..robots.floor_char_boundary(HEAD)];
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("agentmap"))
        .map(|(_, value)| value.split('#').next().unwrap_or_default().trim().to_owned())
        .filter(|value| !value.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_link_to_their_manifest() {
        for (page, links) in [
            (r#"<html><head><link rel="ard" href="/a.json"></head>"#, vec!["/a.json"]),
            (
                r"<LINK href='https://x/a.json?a=1&amp;b=2' REL='alternate ard'>",
                vec!["https://x/a.json?a=1&b=2"],
            ),
            (r#"<link rel=ai-catalog href=old.json /><link rel="icon" href="i.png">"#, vec!["old.json"]),
            (r#"<a rel="ard" href="/no.json"><linkrel="ard" href="x">"#, vec![]),
            (r#"<link rel="ard""#, vec![]),
            ("", vec![]),
        ] {
            assert_eq!(links_of_page(page), links, "{page}");
        }
        let robots = "User-agent: *\nAgentmap: https://x/e.json # ours\nagentmap:/f.json\nAgentmap:\n";
        assert_eq!(links_of_robots(robots), ["https://x/e.json", "/f.json"]);
        let long = format!("<link rel=\"ard\" href=\"{}", "ä".repeat(HEAD));
        assert!(links_of_page(&long).is_empty());
    }
}
