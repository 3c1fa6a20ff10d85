//! Answers of the registry.

use std::time::Duration;

use super::{CAPABILITIES, TEXT_CHARS, VALUE_CHARS};
use crate::domain::fleet::registry::{CARD_TYPE, Cursor, IDENTIFIER, ObservedAgent, Registration};
use crate::domain::text::Untrusted;
use crate::protocol::json::{Writer, array, escaped, string};
use crate::protocol::timestamp::format_at;

/// The media type of an entry that is a registry.
const REGISTRY_TYPE: &str = "application/ai-registry+json";

/// An agent as an entry of a catalog; a search adds its score and where it was found.
pub fn entry(registration: &Registration, seen: &ObservedAgent, found: Option<(u32, &str)>) -> String {
    let entry = &registration.entry;
    let card = seen.card_of(entry);
    let texts = |items: &[Untrusted]| array(items.iter().map(|text| string(text.raw())));
    let name = card.map(|card| card.name.headline(200)).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| Untrusted::from(entry.key()));
    let mut writer = Writer::new()
        .text("identifier", &registration.identifier())
        .text("displayName", name.raw())
        .text("type", CARD_TYPE);
    let brought = entry.card.as_ref().and_then(|card| card.raw.as_ref());
    writer = match (entry.card_url(), brought) {
        (Some(url), _) => writer.text("url", &url),
        (None, Some(raw)) => writer.raw("data", &escaped(raw.raw())),
        (None, None) => writer.text("url", &entry.url),
    };
    // The card may be the one the agent served, and huge: each part of it is limited.
    let skills = || card.iter().flat_map(|card| &card.skills).take(CAPABILITIES);
    if let Some(card) = card {
        let part =
            |text: &Untrusted, chars: usize| Some(text.shortened(chars)).filter(|text| !text.is_empty());
        writer = writer
            .maybe("description", part(&card.description, TEXT_CHARS).as_ref().map(Untrusted::raw))
            .maybe("version", part(&card.version, VALUE_CHARS).as_ref().map(Untrusted::raw));
        let tags = some_of(skills().flat_map(|skill| skill.tags.iter().take(CAPABILITIES)));
        if !tags.is_empty() {
            writer = writer.raw("tags", &texts(&tags));
        }
        let examples = skills().flat_map(|skill| &skill.examples).take(5);
        let examples: Vec<_> = examples.map(|text| text.shortened(VALUE_CHARS)).collect();
        // ARD requires two to five of them, or none.
        if examples.len() >= 2 {
            writer = writer.raw("representativeQueries", &texts(&examples));
        }
    }
    let capabilities = some_of(entry.capabilities.iter().chain(skills().map(|skill| &skill.id)));
    if !capabilities.is_empty() {
        writer = writer.raw("capabilities", &texts(&capabilities));
    }
    let writer = writer.raw("metadata", &metadata(registration, seen));
    match found {
        Some((score, source)) => writer.raw("score", &score.to_string()).text("source", source).end(),
        None => writer.end(),
    }
}

/// Different texts in order, not too many and none too long.
fn some_of<'t>(texts: impl Iterator<Item = &'t Untrusted>) -> Vec<Untrusted> {
    let mut some: Vec<Untrusted> =
        texts.filter(|text| !text.is_empty()).map(|text| text.shortened(VALUE_CHARS)).collect();
    some.sort();
    some.dedup();
    some.truncate(CAPABILITIES);
    some
}

fn metadata(registration: &Registration, seen: &ObservedAgent) -> String {
    let entry = &registration.entry;
    let mut labels = Writer::new();
    for (name, value) in &entry.labels {
        labels = labels.text(name, value);
    }
    let tasks = entry.max_concurrent_tasks.map(|number| number.to_string());
    let interval = entry.health_check_interval.map(|time| time.as_secs().to_string());
    Writer::new()
        .text("id", &registration.id.to_string())
        .text("agentUrl", &entry.url)
        .text("health", seen.health.as_str())
        .raw("labels", &labels.end())
        .maybe_raw("max_concurrent_tasks", tasks.as_deref())
        .maybe_raw("health_check_interval", interval.as_deref())
        .text("registered_at", &format_at(registration.registered_at))
        .text("lease_until", &format_at(registration.lease_until))
        .end()
}

/// The answer to a search.
pub fn found(results: Vec<String>, next: Option<Cursor>) -> String {
    let writer = Writer::new().list("results", results).raw("referrals", "[]");
    writer.maybe("pageToken", next.map(Cursor::token).as_deref()).end()
}

/// The answer to a list.
pub fn listed(items: Vec<String>, total: usize, next: Option<Cursor>) -> String {
    let writer = Writer::new().list("items", items).raw("total", &total.to_string());
    writer.maybe("pageToken", next.map(Cursor::token).as_deref()).end()
}

/// The manifest: the registry itself, then the agents.
pub fn manifest(base: &str, entries: Vec<String>) -> String {
    let own = Writer::new()
        .text("identifier", &format!("{IDENTIFIER}registry"))
        .text("displayName", "Quarterdeck registry")
        .text("type", REGISTRY_TYPE)
        .text("url", base)
        .text(
            "description",
            "Agents that have registered with this Quarterdeck: POST /search, GET /agents/{identifier}.",
        )
        .end();
    let host = Writer::new().text("displayName", "Quarterdeck").end();
    let entries = std::iter::once(own).chain(entries);
    Writer::new().text("specVersion", "1.0").raw("host", &host).list("entries", entries).end()
}

/// The answer to a registration: its id, and the renewal interval.
pub fn registered(registration: &Registration, lease: Duration) -> String {
    Writer::new()
        .text("id", &registration.id.to_string())
        .raw("lease_seconds", &lease.as_secs().to_string())
        .end()
}

/// The answer to a renewal.
pub fn renewed(lease: Duration) -> String {
    Writer::new().raw("lease_seconds", &lease.as_secs().to_string()).end()
}

/// An error, in the shape of every error of ours.
pub fn error(code: &str, message: &str, hint: Option<&str>) -> String {
    let clean = |text: &str| Untrusted::from(text).line().into_string();
    let hint = hint.map_or_else(|| "null".to_owned(), |hint| string(&clean(hint)));
    let error = Writer::new().text("code", code).text("message", &clean(message)).raw("hint", &hint);
    Writer::new().raw("error", &error.raw("a2aCode", "null").end()).end()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::registration;
    use super::*;

    #[test]
    fn an_entry_stays_small_however_large_the_card_is() {
        let huge = "x".repeat(100_000);
        let skill = format!(
            r#"{{"id":"{huge}","tags":[{}],"examples":["{huge}","{huge}"]}}"#,
            vec![format!("\"{huge}\""); 20].join(",")
        );
        let card = format!(
            r#"{{"name":"{huge}","description":"{huge}","version":"{huge}","url":"http://h","skills":[{}]}}"#,
            vec![skill; 20].join(",")
        );
        let live = crate::protocol::card::decode(&card).unwrap();
        let registration = Registration {
            id: "01a20656-1f65-799d-b36e-d55656a07e5e".parse().unwrap(),
            entry: Arc::new(registration(r#"{"cardUrl":"http://h"}"#).unwrap()),
            registered_at: crate::domain::time::At::ZERO,
            lease_until: crate::domain::time::At::ZERO,
        };
        let seen = ObservedAgent { health: crate::domain::agent::Health::Up, card: Some(Arc::new(live)) };
        let entry = entry(&registration, &seen, Some((7, "http://r")));
        assert!(entry.len() < 10_000, "{} bytes", entry.len());
        let read: serde_json::Value = serde_json::from_str(&entry).unwrap();
        assert_eq!(read["score"], 7);
        assert_eq!(read["url"], "http://h/.well-known/agent-card.json");
    }
}
