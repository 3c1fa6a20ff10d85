//! The built-in registry: registrations, their leases, and search.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::card::Card;
use crate::domain::agent::{Health, normalise_url};
use crate::domain::fleet::source::DiscoveredAgent;
use crate::domain::id::RegistrationId;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// The maximum number of registrations, equal to the fleet's limit per source.
pub const MOST: usize = 20_000;

/// The media type of a card in a catalog.
pub const CARD_TYPE: &str = "application/a2a-agent-card+json";

/// The prefix of every identifier; ARD reserves the publisher `agent.localhost` for agents without a domain.
pub const IDENTIFIER: &str = "urn:air:agent.localhost:quarterdeck:";

/// Names with their values, for grouping.
pub type Labels = Vec<(Arc<str>, Arc<str>)>;

/// A registration as sent by an agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Where its card is, or its origin, or else the first interface of the card that it brought.
    pub url: Arc<str>,
    /// True if the agent named that URL, false if it was taken from its card.
    pub named: bool,
    /// The card that it brought.
    pub card: Option<Arc<Card>>,
    /// Declared capabilities, in addition to the skills of its card.
    pub capabilities: Vec<Untrusted>,
    /// How many tasks it takes at once.
    pub max_concurrent_tasks: Option<u32>,
    /// The requested probe interval.
    pub health_check_interval: Option<Duration>,
    /// For grouping. Nothing in them controls a terminal.
    pub labels: Labels,
}

impl Entry {
    /// The key that two registrations of one agent share.
    pub fn key(&self) -> String {
        normalise_url(&self.url)
    }

    /// Where its card can be read, if it named a URL.
    pub fn card_url(&self) -> Option<String> {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        let is_card = path.to_ascii_lowercase().ends_with(".json");
        self.named.then(|| {
            if is_card { self.url.to_string() } else { format!("{}/.well-known/agent-card.json", self.key()) }
        })
    }

    /// The registration as a source of agents reports it.
    pub fn found(&self) -> DiscoveredAgent {
        DiscoveredAgent {
            url: self.url.clone(),
            card: self.card.clone(),
            labels: self.labels.clone(),
            capacity: self.max_concurrent_tasks,
            probe_interval: self.health_check_interval,
        }
    }
}

/// An agent that has registered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// Ours; the same when the agent registers again.
    pub id: RegistrationId,
    /// The last registration.
    pub entry: Arc<Entry>,
    /// When it first registered.
    pub registered_at: At,
    /// The end of the lease, unless the agent renews it.
    pub lease_until: At,
}

impl Registration {
    /// Its name in catalogs.
    pub fn identifier(&self) -> String {
        format!("{IDENTIFIER}{}", self.id)
    }
}

/// An id in a URL path: ours, or a catalog identifier.
pub fn parse_id(text: &str) -> Option<RegistrationId> {
    text.strip_prefix(IDENTIFIER).unwrap_or(text).parse().ok()
}

/// The fleet's view of a registered agent.
#[derive(Clone, Debug)]
pub struct ObservedAgent {
    /// The health.
    pub health: Health,
    /// Its card as the agent itself answers it, if it has.
    pub card: Option<Arc<Card>>,
}

impl ObservedAgent {
    /// The effective card: the one the agent served, else the registered one.
    pub fn card_of<'s>(&'s self, entry: &'s Entry) -> Option<&'s Card> {
        self.card.as_deref().or(entry.card.as_deref())
    }
}

/// The field that a filter examines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Field {
    /// The media type of the entry.
    Type,
    /// Its identifier, or its id.
    Identifier,
    /// The name in its card.
    Name,
    /// The version in its card.
    Version,
    /// A tag of a skill.
    Tag,
    /// The id or the name of a skill.
    Skill,
    /// A skill, or a declared capability.
    Capability,
    /// The health.
    Health,
    /// One of its labels.
    Label(String),
}

/// One condition: any of the values will do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    /// The field.
    pub field: Field,
    /// The accepted values.
    pub any_of: Vec<String>,
}

/// A search. Every filter must match; one word of the text is enough.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Search {
    /// The words of the text, in lower case.
    pub words: Vec<String>,
    /// The conditions.
    pub filters: Vec<Filter>,
}

/// Limits for searching a card, which may be huge: the number of skills, of tags and examples per skill, and of bytes
/// per text.
const SKILLS: usize = 500;
const OF_SKILL: usize = 50;
const TEXT: usize = 4096;
/// Bytes of one agent's texts that a search reads, the most important ones first.
const SEARCHED: usize = 64 * 1024;
/// The maximum number of words in a search text.
const WORDS: usize = 32;
/// The weights of a word found in a name, in a skill or tag, or in other text.
const WEIGHTS: [u32; 3] = [6, 4, 2];

/// The significant words of a text; short ones are used only if there are no others.
pub fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let word = word.to_lowercase();
        if !words.contains(&word) {
            words.push(word);
        }
        if words.len() == WORDS {
            break;
        }
    }
    if words.iter().any(|word| word.chars().count() > 2) {
        words.retain(|word| word.chars().count() > 2);
    }
    words
}

impl Search {
    /// The match from 1 to 100; `None` if there is none, or once `stop` is true.
    pub fn score(
        &self,
        registration: &Registration,
        seen: &ObservedAgent,
        stop: &dyn Fn() -> bool,
    ) -> Option<u32> {
        let fits = |filter: &Filter| {
            let mut values = filter.any_of.iter().take_while(|_| !stop());
            values.any(|value| fits(&filter.field, value, registration, seen))
        };
        if !self.filters.iter().all(fits) {
            return None;
        }
        if self.words.is_empty() {
            return Some(100);
        }
        let mut missing: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let (mut total, mut left) = (0, SEARCHED);
        for (texts, weight) in places(registration, seen).iter().zip(WEIGHTS) {
            for text in texts {
                if missing.is_empty() || left == 0 {
                    break;
                }
                if stop() {
                    return None;
                }
                let text = &text[..text.floor_char_boundary(left)];
                left -= text.len();
                let before = missing.len();
                for word_of_text in text.split(|c: char| !c.is_alphanumeric()) {
                    let first = word_of_text.chars().flat_map(char::to_lowercase).next();
                    let Some(first) = first else { continue };
                    if missing.iter().any(|word| word.starts_with(first)) {
                        missing.retain(|word| !begins_with(word_of_text, word));
                    }
                }
                total += weight * u32::try_from(before - missing.len()).unwrap_or(0);
            }
        }
        let most = WEIGHTS[0] * u32::try_from(self.words.len()).unwrap_or(1);
        (total > 0).then(|| (total * 100 / most).max(1))
    }
}

fn fits(field: &Field, value: &str, registration: &Registration, seen: &ObservedAgent) -> bool {
    let entry = &registration.entry;
    let card = seen.card_of(entry);
    let value = value.to_lowercase();
    let is = |text: &Untrusted| text.len() <= TEXT && text.raw().to_lowercase() == value;
    let skill = |card: &Card| card.skills.iter().take(SKILLS).any(|skill| is(&skill.id) || is(&skill.name));
    let tag = |card: &Card| {
        let skills = card.skills.iter().take(SKILLS);
        skills.flat_map(|skill| skill.tags.iter().take(OF_SKILL)).any(is)
    };
    match field {
        Field::Type => value == CARD_TYPE,
        Field::Identifier => parse_id(&value) == Some(registration.id),
        Field::Name => card.is_some_and(|card| is(&card.name)),
        Field::Version => card.is_some_and(|card| is(&card.version)),
        Field::Tag => card.is_some_and(tag),
        Field::Skill => card.is_some_and(skill),
        Field::Capability => entry.capabilities.iter().any(is) || card.is_some_and(skill),
        Field::Health => seen.health.as_str() == value,
        Field::Label(name) => {
            entry.labels.iter().any(|(label, text)| **label == **name && text.to_lowercase() == value)
        }
    }
}

/// The searched texts by weight.
fn places<'r>(registration: &'r Registration, seen: &'r ObservedAgent) -> [Vec<&'r str>; 3] {
    let entry = &*registration.entry;
    let [mut names, mut skills, mut texts] = [Vec::new(), Vec::new(), Vec::new()];
    skills.extend(entry.capabilities.iter().map(start));
    texts.extend(entry.labels.iter().flat_map(|(label, value)| [&**label, &**value]));
    texts.push(&*entry.url);
    if let Some(card) = seen.card_of(entry) {
        names.push(start(&card.name));
        texts.push(start(&card.description));
        for skill in card.skills.iter().take(SKILLS) {
            skills.extend([start(&skill.id), start(&skill.name)]);
            skills.extend(skill.tags.iter().take(OF_SKILL).map(start));
            texts.push(start(&skill.description));
            texts.extend(skill.examples.iter().take(OF_SKILL).map(start));
        }
    }
    [names, skills, texts]
}

/// As much of a text as is searched.
fn start(text: &Untrusted) -> &str {
    let text = text.raw();
    &text[..text.floor_char_boundary(TEXT)]
}

/// True if a word of a text begins with a word of the search, whatever its case.
fn begins_with(word_of_text: &str, word: &str) -> bool {
    let mut letters = word_of_text.chars().flat_map(char::to_lowercase);
    word.chars().all(|letter| letters.next() == Some(letter))
}

/// Where a page ended: the score and the id of its last row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The score; zero in a list.
    pub score: u32,
    /// The id.
    pub id: RegistrationId,
}

impl Cursor {
    /// The token in responses.
    pub fn token(self) -> String {
        format!("{}-{}", self.score, self.id)
    }

    /// Parses a token.
    pub fn parse(token: &str) -> Option<Self> {
        let (score, id) = token.split_once('-')?;
        Some(Self { score: score.parse().ok()?, id: id.parse().ok()? })
    }

    /// True if a row comes after the page.
    fn precedes(self, score: u32, id: RegistrationId) -> bool {
        score < self.score || (score == self.score && id > self.id)
    }
}

/// Which part of the rows is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// The maximum number of rows.
    pub size: usize,
    /// The row after which the page begins.
    pub after: Option<Cursor>,
}

/// A page of rows, best match first and oldest first among equals, with the start of the next one. Rows added or
/// removed between two pages do not move others between pages.
pub fn page<T>(mut rows: Vec<(u32, RegistrationId, T)>, page: Page) -> (Vec<(u32, T)>, Option<Cursor>) {
    if let Some(after) = page.after {
        rows.retain(|(score, id, _)| after.precedes(*score, *id));
    }
    rows.sort_by(|(score, id, _), (other, other_id, _)| other.cmp(score).then(id.cmp(other_id)));
    let more = rows.len() > page.size;
    rows.truncate(page.size);
    let last = rows.last().map(|(score, id, _)| Cursor { score: *score, id: *id });
    (rows.into_iter().map(|(score, _, row)| (score, row)).collect(), last.filter(|_| more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::card::Skill;

    fn registration(number: u128, name: &str, skill: &str, tags: &[&str]) -> Registration {
        let none = || Untrusted::from("");
        let skill = Skill {
            id: skill.into(),
            name: skill.into(),
            description: "turns words of one language into those of another".into(),
            tags: tags.iter().map(|tag| (*tag).into()).collect(),
            examples: Vec::new(),
            input_modes: Vec::new(),
            output_modes: Vec::new(),
        };
        let card = Card { name: name.into(), version: none(), skills: vec![skill], ..Card::empty() };
        let entry = Entry {
            url: "http://a.example/".into(),
            named: true,
            card: Some(Arc::new(card)),
            capabilities: vec!["interpreting".into()],
            max_concurrent_tasks: Some(3),
            health_check_interval: None,
            labels: vec![("region".into(), "eu".into())],
        };
        let id = RegistrationId(uuid::Uuid::from_u128(number));
        Registration { id, entry: Arc::new(entry), registered_at: At::ZERO, lease_until: At::NEVER }
    }

    #[test]
    fn a_search_finds_matches_and_ranks_them() {
        let agent = registration(7, "Babel", "translate-text", &["language", "Übersetzung"]);
        let seen = ObservedAgent { health: Health::Up, card: None };
        let check = |text: &str, filters: &[(Field, &[&str])], expected: Option<u32>| {
            let filters = filters.iter().map(|(field, any_of)| Filter {
                field: field.clone(),
                any_of: any_of.iter().map(|value| (*value).to_owned()).collect(),
            });
            let search = Search { words: words(text), filters: filters.collect() };
            assert_eq!(search.score(&agent, &seen, &|| false), expected, "{text} {search:?}");
            assert!(
                search.score(&agent, &seen, &|| true).is_none_or(|score| score == 100 && text.is_empty())
            );
        };
        check("", &[], Some(100));
        check("babel", &[], Some(100));
        check("Translate", &[], Some(66));
        check("find me a translator, a babel", &[], Some(33));
        check("übersetzung", &[], Some(66));
        check("weather", &[], None);
        check("late", &[], None);
        check("to", &[], None);
        check("", &[(Field::Tag, &["übersetzung"]), (Field::Health, &["up", "degraded"])], Some(100));
        check("", &[(Field::Health, &["down"])], None);
        check("", &[(Field::Skill, &["translate-text"])], Some(100));
        check("", &[(Field::Capability, &["Interpreting"]), (Field::Skill, &["interpreting"])], None);
        check("", &[(Field::Label("region".into()), &["us", "eu"])], Some(100));
        check("", &[(Field::Label("team".into()), &["eu"])], None);
        check("", &[(Field::Type, &[CARD_TYPE]), (Field::Identifier, &[&agent.identifier()])], Some(100));
    }

    #[test]
    fn pages_have_no_gaps_and_no_repeats() {
        let rows = || -> Vec<_> {
            let id = |n: u32| RegistrationId(uuid::Uuid::from_u128(u128::from(n)));
            (0..25u32).map(|n| (n % 3, id(n), n)).collect()
        };
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let (part, next) = page(rows(), Page { size: 4, after });
            all.extend(part);
            let Some(next) = next else { break };
            after = Cursor::parse(&next.token());
            assert_eq!(after, Some(next));
        }
        let (whole, none) = page(rows(), Page { size: 100, after: None });
        assert_eq!((all.len(), all, none), (25, whole, None));
        for bad in ["", "1", "x-1", "1-2-3"] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_url_of_a_card_follows_from_the_registered_url() {
        for (url, expected) in [
            ("http://h:1", "http://h:1/.well-known/agent-card.json"),
            ("http://h:1/a/", "http://h:1/a/.well-known/agent-card.json"),
            ("http://h:1/cards/x.json", "http://h:1/cards/x.json"),
        ] {
            let entry = Entry { url: url.into(), ..(*registration(1, "", "", &[]).entry).clone() };
            assert_eq!(entry.card_url().as_deref(), Some(expected));
        }
    }
}
