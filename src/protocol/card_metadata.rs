//! Card members beyond the protocol: the region, the framework, and peers.
//!
//! Neither A2A 1.0 nor 0.3 defines members for them. Agents put them in the card itself, in its `metadata`, or in the
//! `params` of an extension; all three are read, in this order.

use std::sync::Arc;

use super::json::{Object, elements, text_of};
use crate::domain::agent::card::Peer;
use crate::domain::agent::normalise_url;
use crate::domain::text::Untrusted;

/// Members under which agents name those that they delegate to.
const MEMBERS: [&str; 8] =
    ["delegations", "delegates", "delegatesTo", "agents", "peers", "peerAgents", "subAgents", "remoteAgents"];
/// Members with the URL and the name of such an entry.
const URLS: [&str; 6] = ["url", "cardUrl", "agentCardUrl", "agentCard", "card", "endpoint"];
const NAMES: [&str; 4] = ["name", "displayName", "agent", "id"];
/// The maximum number of peers per card.
const MOST: usize = 16;
/// Longer URLs fit no screen and no command line.
const URL_BYTES: usize = 512;
const NAME_CHARS: usize = 60;

/// The objects of a card that may have such members.
fn places<'a>(card: &Object<'a>) -> Vec<Object<'a>> {
    let extensions = card.object("capabilities").unwrap_or_default().objects("extensions");
    let params = extensions.iter().filter_map(|extension| extension.object("params"));
    card.object("metadata").into_iter().chain(params).collect()
}

/// The region and the framework.
pub fn traits(card: &Object<'_>) -> (Option<Untrusted>, Option<Untrusted>) {
    let places = places(card);
    let value = |key: &str| {
        let found = places.iter().find_map(|place| place.filled(key)).map(|text| text.headline(NAME_CHARS));
        found.filter(|text| !text.is_empty())
    };
    (value("region"), value("framework"))
}

/// The peers that a card names. Entries without a plain http or https URL are ignored.
pub fn read(card: &Object<'_>) -> Vec<Peer> {
    let mut found: Vec<Peer> = Vec::new();
    let mut add = |name: Option<Untrusted>, url: &str| {
        if let Some(url) = plain(url)
            && found.len() < MOST
            && !found.iter().any(|peer| peer.url == url)
        {
            found.push(Peer { name, url });
        }
    };
    let of_card = MEMBERS.iter().filter_map(|member| card.raw(member));
    let places = places(card);
    let elsewhere = places.iter().flat_map(|place| MEMBERS.iter().filter_map(|member| place.raw(member)));
    for raw in of_card.chain(elsewhere) {
        // An array of URLs or of objects, or an object of either under names.
        if raw.starts_with('[') {
            for entry in elements(raw).unwrap_or_default().into_iter().take(MOST * 4) {
                entry_of(entry, None, &mut add);
            }
        } else if let Ok(object) = Object::parse(raw) {
            for (name, entry) in object.members().take(MOST * 4) {
                entry_of(entry.get(), Some(name), &mut add);
            }
        }
    }
    found
}

fn entry_of(raw: &str, called: Option<&str>, add: &mut impl FnMut(Option<Untrusted>, &str)) {
    let short = |name: Untrusted| Some(name.headline(NAME_CHARS)).filter(|name| !name.is_empty());
    let called = called.map(Untrusted::from).and_then(short);
    if raw.starts_with('"') {
        if let Some(url) = text_of(raw) {
            add(called, &url);
        }
        return;
    }
    let Ok(object) = Object::parse(raw) else { return };
    let Some(url) = URLS.iter().find_map(|key| object.text(key).filter(|text| text.contains("://"))) else {
        return;
    };
    let name = NAMES.iter().find_map(|key| object.filled(key)).and_then(short);
    add(name.or(called), &url);
}

/// A URL that may be offered, in one spelling: of a web server, with a host, without credentials, printable.
pub fn plain(url: &str) -> Option<Arc<str>> {
    if url.len() > URL_BYTES || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let parsed = url::Url::parse(url).ok()?;
    let web = matches!(parsed.scheme(), "http" | "https") && parsed.host().is_some();
    let open = parsed.username().is_empty() && parsed.password().is_none();
    (web && open).then(|| normalise_url(parsed.as_str()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(card: &str, expected: &[(&str, &str)]) {
        let peers = read(&Object::parse(card).unwrap());
        let got: Vec<_> =
            peers.iter().map(|peer| (peer.name.as_ref().map_or("", Untrusted::raw), &*peer.url)).collect();
        assert_eq!(got, expected, "{card}");
    }

    #[test]
    fn agents_named_by_a_card_are_read_from_all_places() {
        check(r#"{"peers":["http://H:80/"]}"#, &[("", "http://h")]);
        check(
            r#"{"capabilities":{"extensions":[{"uri":"x","params":{"delegations":[{"name":"ledger","url":"https://l.example/.well-known/agent-card.json"}]}}]}}"#,
            &[("ledger", "https://l.example")],
        );
        check(
            r#"{"metadata":{"agents":{"bank":"http://b:1","tax":{"cardUrl":"http://t:2/a"}}}}"#,
            &[("bank", "http://b:1"), ("tax", "http://t:2/a")],
        );
        check(r#"{"peers":["http://a","http://a/"],"subAgents":[{"url":"http://a"}]}"#, &[("", "http://a")]);
    }

    #[test]
    fn only_a_plain_url_names_an_agent() {
        for url in [
            "file:///etc/passwd",
            "javascript:alert(1)",
            "http://user:secret@h",
            "http://user@h",
            "http://",
            "h:1",
            r"http://h/\u001b[2J",
            "http://h/ b",
            "unix:/x",
        ] {
            check(&format!(r#"{{"peers":["{url}"]}}"#), &[]);
        }
        check(&format!(r#"{{"peers":["http://h/{}"]}}"#, "x".repeat(600)), &[]);
        check(r#"{"peers":7,"agents":[[1],null,{"url":3}],"delegations":"http://x"}"#, &[]);
        let many: Vec<_> = (0..1000).map(|n| format!("\"http://h{n}\"")).collect();
        let card = format!(r#"{{"peers":[{}]}}"#, many.join(","));
        assert_eq!(read(&Object::parse(&card).unwrap()).len(), 16);
    }

    #[test]
    fn region_and_framework_are_read_from_all_places() {
        let card = r#"{"capabilities":{"extensions":[{"uri":"x","params":{"region":"eu"}}]},"metadata":{"framework":"adk"}}"#;
        let (region, framework) = traits(&Object::parse(card).unwrap());
        assert_eq!((region, framework), (Some("eu".into()), Some("adk".into())));
    }
}
