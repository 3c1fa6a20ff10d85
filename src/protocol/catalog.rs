//! Lists of agents in files, URLs, registries and ARD manifests: cards, their URLs, or entries around either (ARD
//! v0.91, <https://github.com/ards-project/ard-spec>).

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::card;
use super::json::{self, Object};
use crate::domain::cause::Cause;
use crate::domain::fleet::source::DiscoveredAgent;
use crate::domain::text::{Untrusted, is_control_or_hidden};

/// The maximum number of entries of a list, equal to the limit of agents per source.
pub const MOST: usize = 20_000;
/// Catalogs in catalogs are read so deep.
pub const DEPTH: usize = 3;
/// The number of broken entries that are named; the rest are counted.
const NAMED: usize = 3;
/// The maximum length of a URL.
const URL: usize = 2048;
/// The maximum number of labels of an agent in a list, and their maximum length.
const LABELS: usize = 16;
const LABEL: usize = 120;

/// The content of a list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Catalog {
    /// The agents that it names.
    pub agents: Vec<DiscoveredAgent>,
    /// Links to other documents.
    pub links: Vec<Link>,
    /// The reference to the next page; `None` if this is the last.
    pub next: Option<String>,
    /// How many entries this page has, those that cannot be used included.
    pub entries: u64,
    /// The number of entries in the whole list; `None` if not given.
    pub total: Option<u64>,
    /// The page size of a list with `limit` and `offset`; `None` for others.
    pub limit: Option<u64>,
    /// Entries that cannot be used.
    pub broken: Broken,
}

/// Something that a list leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Link {
    /// Another list, at this URL.
    Catalog(String),
    /// A registry with this base URL.
    Registry(String),
    /// An entry of the registry that gave this list, by its identifier.
    Entry(String),
}

/// Unusable entries: their number, and the first of them with their errors.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Broken {
    count: usize,
    named: Vec<String>,
}

impl Broken {
    /// Counts a broken entry, and names it if it is among the first.
    pub fn add(&mut self, place: &str, why: impl std::fmt::Display) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(if place.is_empty() { why.to_string() } else { format!("{place}: {why}") });
        }
    }

    /// Adds those of another list, which is named in front of each.
    pub fn join(&mut self, place: &str, other: Self) {
        self.count += other.count;
        let room = NAMED.saturating_sub(self.named.len());
        let placed = |named: String| if place.is_empty() { named } else { format!("{place} {named}") };
        self.named.extend(other.named.into_iter().take(room).map(placed));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The broken entries as a cause; `None` if there are none.
    pub fn cause(&self) -> Option<Cause> {
        if self.count == 0 {
            return None;
        }
        let more = self.count - self.named.len();
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        Some(Cause::Source(Untrusted::from(format!("{}{more}", self.named.join("; ")))))
    }
}

/// Reads a list, whatever shape it has. `base` is where it came from, for links that are relative.
///
/// # Errors
/// It is no JSON, is nested too deeply, or holds nothing that a list of agents holds.
pub fn read(text: &str, base: Option<&Url>) -> Result<Catalog, Cause> {
    let text = text.trim_start_matches('\u{feff}').trim();
    json::check_depth(text.as_bytes())?;
    let mut reader = Reader { base, catalog: Catalog::default(), entries: 0 };
    if text.starts_with('[') {
        let items = json::elements(text).ok_or_else(|| fault("not a JSON array"))?;
        reader.items("", items, 0);
    } else {
        let object = Object::parse_lenient(text).map_err(of_source)?;
        reader.document(&object, text, "", 0)?;
        reader.page(&object);
    }
    reader.catalog.entries = reader.entries as u64;
    Ok(reader.catalog)
}

fn fault(what: &str) -> Cause {
    Cause::Source(Untrusted::from(what))
}

/// A list is not an agent's answer: its errors are reported without naming the protocol.
fn of_source(cause: Cause) -> Cause {
    match cause {
        Cause::Malformed(place) => Cause::Source(place),
        other => other,
    }
}

struct Reader<'b> {
    base: Option<&'b Url>,
    catalog: Catalog,
    entries: usize,
}

/// Members under which lists are.
const LISTS: [&str; 5] = ["entries", "agents", "results", "items", "data"];
/// Members about paging, in the document or in one of these objects.
const PAGES: [&str; 4] = ["pagination", "paging", "page", "meta"];
const TOTALS: [&str; 3] = ["total", "totalSize", "totalCount"];
/// Members with the name of an entry.
const ENTRY_NAMES: [&str; 4] = ["name", "displayName", "agentName", "agentId"];
/// Members with the URL of a card.
const CARD_URLS: [&str; 6] =
    ["wellKnownURI", "wellKnownUri", "well_known_uri", "cardUrl", "card_url", "agentCardUrl"];
/// Members that hold a card, or its URL.
const CARDS: [&str; 3] = ["card", "agentCard", "agent_card"];

impl Reader<'_> {
    fn document(&mut self, object: &Object<'_>, raw: &str, place: &str, depth: usize) -> Result<(), Cause> {
        let mut lists = 0;
        for key in LISTS {
            let Some(list) = object.raw(key) else { continue };
            if let Some(items) = json::elements(list) {
                lists += 1;
                self.items(&format!("{place}{key}"), items, depth);
            } else if let Some(by_name) = object.object(key) {
                lists += 1;
                for (name, item) in by_name.members() {
                    self.item(&format!("{place}{key}.{}", safe(name, 40)), item.get(), depth);
                }
            }
        }
        if lists > 0 {
            return Ok(());
        }
        if Self::is_entry(object) {
            self.item(place, raw, depth);
            return Ok(());
        }
        Err(fault("an object without agents, entries, results or items is no list of agents"))
    }

    /// Reads the paging members of a document.
    fn page(&mut self, object: &Object<'_>) {
        let inner = PAGES.iter().filter_map(|key| object.object(key));
        let places: Vec<Object<'_>> = std::iter::once(object.clone()).chain(inner).collect();
        let number = |key: &str| places.iter().find_map(|place| u64::try_from(place.number(key)?).ok());
        let token = |key: &&str| places.iter().find_map(|place| place.filled(key));
        let token = ["pageToken", "nextPageToken"].iter().find_map(token);
        self.catalog.next = token.map(|token| token.raw().to_owned()).filter(|token| token.len() <= URL);
        self.catalog.total = TOTALS.iter().find_map(|key| number(key));
        let limit = number("limit").filter(|limit| *limit > 0);
        self.catalog.limit = limit.or_else(|| number("offset").map(|_| self.entries as u64));
    }

    fn is_entry(object: &Object<'_>) -> bool {
        looks_like_card(object)
            || object.has("url")
            || object.has("identifier")
            || CARD_URLS.iter().chain(&CARDS).any(|key| object.has(key))
    }

    fn items(&mut self, place: &str, items: Vec<&str>, depth: usize) {
        for (index, item) in items.into_iter().enumerate() {
            if !self.item(&format!("{place}[{index}]"), item, depth) {
                break;
            }
        }
    }

    /// Processes one entry; false if the list exceeds its limit.
    fn item(&mut self, place: &str, raw: &str, depth: usize) -> bool {
        self.entries += 1;
        if self.entries > MOST {
            self.catalog.broken.add(place, format!("more than {MOST} entries; the rest is not read"));
            return false;
        }
        if let Err(why) = self.entry(place, raw, depth) {
            self.catalog.broken.add(place, why);
        }
        true
    }

    fn entry(&mut self, place: &str, raw: &str, depth: usize) -> Result<(), String> {
        if raw.starts_with('"') {
            let text = json::text_of(raw).unwrap_or_default();
            let url = address(&text, self.base)?;
            self.catalog.agents.push(DiscoveredAgent::at(url));
            return Ok(());
        }
        if !raw.starts_with('{') {
            return Err("neither a URL nor an object".into());
        }
        let object = Object::parse_lenient(raw).map_err(|cause| of_source(cause).to_string())?;
        let taken = match object.text("type").as_deref().and_then(media_type) {
            Some(kind) => self.typed(&kind, &object, place, depth),
            None if object.has("identifier") && !Self::says_where(&object) => self.identified(&object),
            None => self.untyped(&object, raw),
        };
        taken.map_err(|why| match ENTRY_NAMES.iter().find_map(|key| object.filled(key)) {
            Some(name) => format!("{why} ({})", safe(name.raw(), 40)),
            None => why,
        })
    }

    fn says_where(object: &Object<'_>) -> bool {
        looks_like_card(object)
            || object.has("url")
            || CARD_URLS.iter().chain(&CARDS).any(|key| object.has(key))
    }

    /// An ARD entry, classified by its media type.
    fn typed(&mut self, kind: &str, object: &Object<'_>, place: &str, depth: usize) -> Result<(), String> {
        let (url, data) = (object.filled("url"), object.raw("data"));
        let is_catalog = matches!(
            kind,
            "application/ai-catalog+json" | "application/ard+json" | "application/ard-manifest+json"
        );
        let is_registry = matches!(kind, "application/ai-registry+json" | "application/ai-registry");
        if kind != "application/a2a-agent-card+json" && !is_catalog && !is_registry {
            // Tools, skills and other kinds: neither an error nor an agent.
            return Ok(());
        }
        match (url, data) {
            (Some(_), Some(_)) => Err("has both url and data".into()),
            (Some(url), None) => {
                let url = address(url.raw(), self.base)?;
                if is_catalog {
                    self.catalog.links.push(Link::Catalog(url));
                } else if is_registry {
                    self.catalog.links.push(Link::Registry(url));
                } else {
                    self.push(object, &url, None);
                }
                Ok(())
            }
            (None, Some(data)) if is_catalog => {
                if depth >= DEPTH {
                    return Err(format!("catalogs in catalogs deeper than {DEPTH}"));
                }
                let inner = object.inner(data).ok_or_else(|| "data is no object".to_owned())?;
                self.document(&inner, data, &format!("{place}.data."), depth + 1)
                    .map_err(|cause| cause.to_string())
            }
            (None, Some(_)) if is_registry => Err("a registry without url".into()),
            (None, Some(data)) => self.inline(object, data, None),
            (None, None) => self.identified(object),
        }
    }

    /// A search may return only the identifier of an entry.
    fn identified(&mut self, object: &Object<'_>) -> Result<(), String> {
        let identifier = object.filled("identifier").filter(|id| id.len() <= URL);
        let identifier = identifier.ok_or("has neither url nor data")?;
        self.catalog.links.push(Link::Entry(identifier.raw().to_owned()));
        Ok(())
    }

    fn untyped(&mut self, object: &Object<'_>, raw: &str) -> Result<(), String> {
        let beside = CARD_URLS.iter().find_map(|key| object.filled(key));
        let inner = CARDS.iter().find_map(|key| object.raw(key)).or_else(|| {
            // Some lists have the card under a name of their own.
            let mut members = object.members().map(|(_, raw)| raw.get());
            members.find(|raw| {
                !looks_like_card(object) && object.inner(raw).is_some_and(|inner| is_card(&inner))
            })
        });
        match inner {
            Some(text) if text.starts_with('"') => {
                let url = address(&json::text_of(text).unwrap_or_default(), self.base)?;
                self.push(object, &url, None);
                Ok(())
            }
            Some(card) => {
                let beside = beside.or_else(|| object.filled("url"));
                self.inline(object, card, beside.as_ref().map(Untrusted::raw))
            }
            None if looks_like_card(object) => self.inline(object, raw, beside.as_ref().map(Untrusted::raw)),
            None => {
                let url = beside.or_else(|| object.filled("url")).ok_or("has no url")?;
                let url = address(url.raw(), self.base)?;
                self.push(object, &url, None);
                Ok(())
            }
        }
    }

    /// A card within the list; a URL beside it locates the agent better than the card does.
    fn inline(&mut self, object: &Object<'_>, card: &str, beside: Option<&str>) -> Result<(), String> {
        let mut card = card::decode(card).map_err(|cause| of_source(cause).to_string())?;
        let url = match beside {
            Some(url) => {
                let url = address(url, self.base)?;
                if let Ok(url) = Url::parse(&url) {
                    card::resolve(&mut card, &url);
                }
                url
            }
            None => address(&own_url(&card).ok_or("its card names no http URL")?, None)?,
        };
        self.push(object, &url, Some(Arc::new(card)));
        Ok(())
    }

    fn push(&mut self, object: &Object<'_>, url: &str, card: Option<Arc<crate::domain::agent::card::Card>>) {
        let number = |keys: [&str; 2]| keys.iter().find_map(|key| object.number(key));
        let capacity = number(["maxConcurrentTasks", "max_concurrent_tasks"]);
        let interval = number(["healthCheckInterval", "health_check_interval"]);
        self.catalog.agents.push(DiscoveredAgent {
            url: url.into(),
            card,
            labels: labels(object),
            capacity: capacity.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0),
            // A list does not decide that an agent is probed without a pause, or never.
            probe_interval: interval
                .and_then(|n| u64::try_from(n).ok())
                .filter(|n| (1..=3600).contains(n))
                .map(Duration::from_secs),
        });
    }
}

fn looks_like_card(object: &Object<'_>) -> bool {
    let known = ["supportedInterfaces", "capabilities", "skills", "protocolVersion"];
    known.iter().any(|key| object.has(key))
}

/// True for an object inside of an entry that can be nothing else than a card.
fn is_card(object: &Object<'_>) -> bool {
    object.has("name") && looks_like_card(object)
}

/// A media type without its parameters; none if this is no media type.
fn media_type(text: &str) -> Option<String> {
    let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.contains('/').then_some(kind)
}

/// The agent's URL according to its card: the first usable interface.
fn own_url(card: &crate::domain::agent::card::Card) -> Option<String> {
    let web = card.offers.iter().filter(|offer| !offer.binding.raw().eq_ignore_ascii_case("GRPC"));
    let mut urls = web.map(|offer| offer.url.raw());
    urls.find(|url| url.starts_with("http://") || url.starts_with("https://")).map(ToOwned::to_owned)
}

/// A URL of an agent or a document, as any screen and any command line can show it.
fn address(text: &str, base: Option<&Url>) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("an empty URL".into());
    }
    if text.len() > URL {
        return Err(format!("a URL of more than {URL} bytes"));
    }
    // The parser would drop or rewrite them without a word.
    if text.chars().any(|c| c.is_whitespace() || is_control_or_hidden(c)) {
        return Err("a URL with characters that no URL has".into());
    }
    let shown = || Untrusted::from(text).shortened(80).line().into_string();
    let names_a_file =
        std::path::Path::new(text).extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    let is_relative = text.starts_with(['/', '.', '?']) || names_a_file;
    let parsed = if text.contains("://") {
        Url::parse(text)
    } else if let (true, Some(base)) = (is_relative, base) {
        base.join(text)
    } else {
        Url::parse(&format!("http://{text}"))
    };
    let mut url = parsed.map_err(|error| format!("{} is no URL, {error}", shown()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("{} is no http URL", shown()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with a login in it".into());
    }
    url.set_fragment(None);
    let url = String::from(url);
    if url.len() > URL || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a URL with characters that no URL has".into());
    }
    Ok(url)
}

/// Labels of an agent from its entry.
fn labels(object: &Object<'_>) -> Vec<(Arc<str>, Arc<str>)> {
    let mut labels = Vec::new();
    if let Some(own) = object.object("labels") {
        let texts = own.members().filter_map(|(name, raw)| Some((name, json::text_of(raw.get())?)));
        labels.extend(texts.take(LABELS).filter_map(|(name, text)| label(name, &text)));
    }
    if let Some(identifier) = object.filled("identifier") {
        labels.extend(label("identifier", identifier.raw()));
    }
    // Tags of a card's own are seen in its skills.
    let tags = if looks_like_card(object) { Vec::new() } else { object.texts("tags") };
    if !tags.is_empty() {
        let tags: Vec<&str> = tags.iter().map(Untrusted::raw).take(LABELS).collect();
        labels.extend(label("tags", &tags.join(",")));
    }
    labels
}

/// A label that a screen can show; none if nothing is left of its name.
pub fn label(name: &str, value: &str) -> Option<(Arc<str>, Arc<str>)> {
    let name = safe(name, LABEL);
    (!name.is_empty()).then(|| (name.into(), safe(value, LABEL).into()))
}

fn safe(text: &str, chars: usize) -> String {
    Untrusted::from(text).shortened(chars).line().into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = r#"{"name":"a","url":"http://h:1/","capabilities":{},"skills":[]}"#;

    /// Reads a list and returns its agents, with `+` for a card, then links, then broken entries.
    #[track_caller]
    fn check(text: &str, agents: &[&str], links: &[Link], broken: &[&str]) {
        let base = Url::parse("https://list.example/x/all.json").unwrap();
        let catalog = read(text, Some(&base)).unwrap_or_else(|cause| panic!("{text}: {cause}"));
        let found: Vec<String> = catalog
            .agents
            .iter()
            .map(|found| format!("{}{}", found.url, if found.card.is_some() { " +" } else { "" }))
            .collect();
        assert_eq!(found, agents, "{text}");
        assert_eq!(catalog.links, links, "{text}");
        assert_eq!(catalog.broken.count(), broken.len(), "{text}: {:?}", catalog.broken);
        let cause = catalog.broken.cause().map(|cause| cause.to_string()).unwrap_or_default();
        for part in broken {
            assert!(cause.contains(part), "{text}: {cause:?} says nothing of {part:?}");
        }
    }

    #[test]
    fn lists_of_every_shape_are_read() {
        check(
            r#"["http://a:1","b.example:2","/y.json"]"#,
            &["http://a:1/", "http://b.example:2/", "https://list.example/y.json"],
            &[],
            &[],
        );
        check(CARD, &["http://h:1/ +"], &[], &[]);
        check(&format!("[{CARD},{CARD}]"), &["http://h:1/ +", "http://h:1/ +"], &[], &[]);
        check(&format!(r#"{{"agents":[{CARD}],"count":1}}"#), &["http://h:1/ +"], &[], &[]);
        check(
            &format!(r#"{{"agents":{{"one":{CARD},"two":"http://b"}}}}"#),
            &["http://h:1/ +", "http://b/"],
            &[],
            &[],
        );
        for key in ["url", "cardUrl", "card_url", "wellKnownURI", "card", "agentCard", "agent_card"] {
            check(&format!(r#"{{"items":[{{"{key}":"http://a/c.json"}}]}}"#), &["http://a/c.json"], &[], &[]);
        }
        for key in ["card", "agentCard", "agent_card"] {
            check(&format!(r#"[{{"{key}":{CARD}}}]"#), &["http://h:1/ +"], &[], &[]);
            check(&format!(r#"[{{"{key}":{CARD},"url":"http://b"}}]"#), &["http://b/ +"], &[], &[]);
        }
        // As in a2aregistry.org: a card with its URL beside it.
        check(
            r#"[{"name":"a","url":"http://h/rpc","skills":[],"wellKnownURI":"http://h/.well-known/agent.json"}]"#,
            &["http://h/.well-known/agent.json +"],
            &[],
            &[],
        );
        // As a gateway writes them: the card has a name of its own.
        check(
            &format!(
                r#"[{{"agent_id":"1","agent_name":"n","agent_card_params":{CARD},"litellm_params":{{}}}},null,{{"agent_name":"x","agent_card_params":{{"name":"x"}}}}]"#
            ),
            &["http://h:1/ +"],
            &[],
            &["[1]: neither a URL nor an object", "[2]: has no url (x)"],
        );
        // As PyPI's a2a-registry writes them: members of 0.3 in another spelling.
        check(
            r#"{"agents":[{"name":"a","description":"","url":"http://h:1/rpc","version":"1","protocol_version":"0.3.0","preferred_transport":"JSONRPC"}],"count":1}"#,
            &["http://h:1/rpc +"],
            &[],
            &[],
        );
        check(
            r#"[{"supportedInterfaces":[{"url":"h:50051","protocolBinding":"GRPC"},{"url":"https://h/a","protocolBinding":"JSONRPC"}]}]"#,
            &["https://h/a +"],
            &[],
            &[],
        );
    }

    #[test]
    fn manifests_of_ard_are_read() {
        let entry = |rest: &str| {
            format!(
                r#"{{"entries":[{{"identifier":"urn:air:x:a","displayName":"A","type":"application/a2a-agent-card+json"{rest}}}]}}"#
            )
        };
        check(&entry(r#","url":"https://a/card.json""#), &["https://a/card.json"], &[], &[]);
        check(&entry(&format!(r#","data":{CARD}"#)), &["http://h:1/ +"], &[], &[]);
        check(&entry(&format!(r#","url":"https://a","data":{CARD}"#)), &[], &[], &["entries[0]: has both"]);
        check(&entry(""), &[], &[Link::Entry("urn:air:x:a".into())], &[]);
        check(
            r#"{"entries":[
                {"type":"application/ai-catalog+json; v=1","url":"/more.json"},
                {"type":"application/ai-registry+json","url":"https://r/api/v1/"},
                {"type":"application/mcp-server-card+json","url":"https://mcp"},
                {"type":"application/ai-catalog+json","data":{"entries":["http://deep"]}}]}"#,
            &["http://deep/"],
            &[
                Link::Catalog("https://list.example/more.json".into()),
                Link::Registry("https://r/api/v1/".into()),
            ],
            &[],
        );
        for (text, next, total, limit) in [
            (r#"{"results":[],"pageToken":"p2"}"#, Some("p2"), None, None),
            (r#"{"agents":["a"],"next_page_token":"x","totalSize":"5"}"#, Some("x"), Some(5), None),
            (r#"{"agents":["a"],"total":3,"limit":1,"offset":0}"#, None, Some(3), Some(1)),
            (r#"{"agents":["a","b"],"pagination":{"total":3,"offset":0}}"#, None, Some(3), Some(2)),
            (r#"["a"]"#, None, None, None),
        ] {
            let page = read(text, None).unwrap();
            assert_eq!((page.next.as_deref(), page.total, page.limit), (next, total, limit), "{text}");
        }
        let tagged = read(&entry(r#","url":"https://a","tags":["eu","be\u001bta"]"#), None).unwrap();
        let labels: Vec<_> = tagged.agents[0].labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert!(labels[0] == "identifier=urn:air:x:a" && labels[1].starts_with("tags=eu,be"), "{labels:?}");
        assert!(!labels[1].contains('\u{1b}'));
        let mut nested = r#"{"entries":["http://deep"]}"#.to_owned();
        for _ in 0..5 {
            nested = format!(r#"{{"entries":[{{"type":"application/ai-catalog+json","data":{nested}}}]}}"#);
        }
        check(&nested, &[], &[], &["deeper than 3"]);
    }

    #[test]
    fn one_broken_entry_does_not_affect_others() {
        check(
            r#"["http://a",7,{"name":"x"},"ftp://b",{"card":{"name":"y"}},{"skills":[]},"http://c"]"#,
            &["http://a/", "http://c/"],
            &[],
            &["[1]: neither a URL", "[2]: has no url", "[3]: ftp://b is no http URL", "and 2 more", ""],
        );
        for (url, why) in [
            (r"http://h/\u001b[2J", "characters that no URL has"),
            (r"http://h/a\nb", "characters that no URL has"),
            (r"http://h/\u202egnp.exe", "characters that no URL has"),
            ("http://user:pw@h/", "login in it"),
            ("javascript://x", "no http URL"),
            ("http://", "no URL"),
            ("", "an empty URL"),
        ] {
            check(&format!(r#"["{url}","http://c"]"#), &["http://c/"], &[], &[why]);
        }
        let long = format!(r#"["http://h/{}"]"#, "a".repeat(3000));
        check(&long, &[], &[], &["more than 2048"]);
    }

    #[test]
    fn a_document_that_is_not_a_list_is_refused() {
        for text in ["", "x", "7", "{}", r#"{"agents":7}"#, "[1", r#"{"hello":"world"}"#] {
            assert!(read(text, None).is_err(), "{text}");
        }
        assert!(read(&"[".repeat(200_000), None).is_err());
        let many = format!("[{}]", vec![r#""http://h""#; MOST + 5].join(","));
        let catalog = read(&many, None).unwrap();
        assert_eq!((catalog.agents.len(), catalog.broken.count()), (MOST, 1));
    }
}
