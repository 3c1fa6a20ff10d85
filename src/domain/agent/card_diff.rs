//! Differences between two cards of one agent, in words.

use url::Url;

use crate::domain::agent::card::Card;
use crate::domain::agent::is_same_origin;
use crate::domain::text::Untrusted;

/// `version 2.4.0 → 2.4.1; skills + refund, - pay; streaming off`. Empty if no parsed member differs.
pub fn words(before: &Card, after: &Card) -> String {
    let mut changes = Vec::new();
    let quoted = |text: &Untrusted| text.shortened(40).line().into_string();
    let mut changed = |name: &str, before: &Untrusted, after: &Untrusted| {
        if before != after {
            changes.push(format!("{name} {} → {}", quoted(before), quoted(after)));
        }
    };
    let none = Untrusted::from("none");
    changed("version", &before.version, &after.version);
    changed("name", &before.name, &after.name);
    changed("provider", before.provider.as_ref().unwrap_or(&none), after.provider.as_ref().unwrap_or(&none));
    let offers = |card: &Card| {
        card.offers
            .iter()
            .map(|offer| {
                let version = offer.version.as_ref().map_or("", |version| version.raw());
                format!("{} {version} at {}", offer.binding.raw(), offer.url.raw())
            })
            .collect::<Vec<_>>()
    };
    changes.extend(list("interfaces", &offers(before), &offers(after)));
    let skills = |card: &Card| card.skills.iter().map(|skill| skill.id.raw().to_owned()).collect::<Vec<_>>();
    changes.extend(list("skills", &skills(before), &skills(after)));
    let reworded = after
        .skills
        .iter()
        .filter(|skill| before.skills.iter().any(|known| known.id == skill.id && known != *skill));
    let reworded: Vec<_> = reworded.map(|skill| quoted(&skill.id)).collect();
    if !reworded.is_empty() {
        changes.push(format!("skills reworded: {}", reworded.join(", ")));
    }
    for (name, before, after) in [
        ("streaming", before.streaming, after.streaming),
        ("push notifications", before.push_notifications, after.push_notifications),
        ("extended card", before.extended_card, after.extended_card),
    ] {
        if before != after {
            changes.push(format!("{name} {}", if after { "on" } else { "off" }));
        }
    }
    let words = |texts: &[Untrusted]| texts.iter().map(|text| text.raw().to_owned()).collect::<Vec<_>>();
    changes.extend(list("input modes", &words(&before.input_modes), &words(&after.input_modes)));
    changes.extend(list("output modes", &words(&before.output_modes), &words(&after.output_modes)));
    changes.extend(list("extensions", &words(&before.extensions), &words(&after.extensions)));
    let security =
        |card: &Card| card.security.iter().map(|scheme| scheme.kind.raw().to_owned()).collect::<Vec<_>>();
    changes.extend(list("security", &security(before), &security(after)));
    let required = (&before.required_security, &after.required_security);
    changes.extend(list("required login", &words(required.0), &words(required.1)));
    if before.description != after.description {
        changes.push("description reworded".into());
    }
    changes.join("; ")
}

/// What can differ, as differences in words begin with it.
const FIELDS: [&str; 14] = [
    "version",
    "name",
    "provider",
    "interfaces",
    "skills",
    "streaming",
    "push notifications",
    "extended card",
    "input modes",
    "output modes",
    "extensions",
    "security",
    "required login",
    "description",
];

/// The fields that differ, by the words for the difference. An agent whose texts imitate such words is only grouped
/// wrongly.
pub fn fields(words: &str) -> Vec<&'static str> {
    let begins = |part: &str, field: &str| part.strip_prefix(field).is_some_and(|rest| rest.starts_with(' '));
    let named = |part: &str| FIELDS.into_iter().find(|field| begins(part, field));
    let mut fields: Vec<_> = words.split("; ").filter_map(named).collect();
    fields.dedup();
    fields
}

/// The card that is expected of an agent that an operator gave another URL: interfaces of the old origin are found at
/// the new one.
pub fn moved(card: &Card, from: &str, to: &str) -> Card {
    let moved = |url: &Untrusted| {
        let new = Url::parse(to).ok()?;
        let mut url = Url::parse(url.raw()).ok().filter(|url| is_same_origin(url.as_str(), from))?;
        url.set_scheme(new.scheme()).ok()?;
        url.set_host(new.host_str()).ok()?;
        url.set_port(new.port()).ok()?;
        Some(Untrusted::from(url.as_str()))
    };
    let mut card = card.clone();
    for offer in &mut card.offers {
        if let Some(url) = moved(&offer.url) {
            offer.url = url;
        }
    }
    card
}

/// `skills + refund, - pay`
fn list(name: &str, before: &[String], after: &[String]) -> Option<String> {
    let mark =
        |sign: &str, item: &String| format!("{sign} {}", Untrusted::from(item.as_str()).shortened(60).line());
    let added = after.iter().filter(|item| !before.contains(item)).map(|item| mark("+", item));
    let removed = before.iter().filter(|item| !after.contains(item)).map(|item| mark("-", item));
    let all: Vec<_> = added.chain(removed).collect();
    (!all.is_empty()).then(|| format!("{name} {}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::card::{Offer, Skill};

    fn card(version: &str, skills: &[&str]) -> Card {
        let skills = skills.iter().map(|id| Skill {
            id: (*id).into(),
            name: (*id).into(),
            description: "".into(),
            tags: Vec::new(),
            examples: Vec::new(),
            input_modes: Vec::new(),
            output_modes: Vec::new(),
        });
        Card { version: version.into(), skills: skills.collect(), ..Card::empty() }
    }

    #[test]
    fn interfaces_move_with_their_agent() {
        let at = |url: &str| {
            let offer = Offer { url: url.into(), binding: "JSONRPC".into(), version: None, tenant: None };
            Card { offers: vec![offer], ..card("1", &[]) }
        };
        let words = |before: &str, after: &str| {
            words(&moved(&at(before), "http://old:1/", "https://new:2"), &at(after))
        };
        assert_eq!(words("http://old:1/a2a?x=1", "https://new:2/a2a?x=1"), "");
        // Whatever else is different is news.
        assert!(!words("http://old:1/a2a", "https://new:2/b").is_empty());
        assert!(!words("http://old:1/a2a", "https://other:2/a2a").is_empty());
        assert!(!words("http://gateway/a2a", "https://new:2/a2a").is_empty());
    }

    #[test]
    fn only_differences_of_cards_are_listed() {
        for (before, after, expected) in [
            (card("2.4.0", &["pay"]), card("2.4.0", &["pay"]), ""),
            (card("2.4.0", &["pay"]), card("2.4.1", &["pay"]), "version 2.4.0 → 2.4.1"),
            (card("1", &["pay", "ask"]), card("1", &["ask", "refund"]), "skills + refund, - pay"),
            (card("1", &[]), Card { streaming: true, ..card("1", &[]) }, "streaming on"),
            (card("1", &[]), card("\u{1b}[2J", &[]), "version 1 → ␛[2J"),
        ] {
            assert_eq!(words(&before, &after), expected);
        }
    }
}
