//! Requests and answers of the built-in registry: registrations, searches, and catalogs as in ARD.
//!
//! The shapes of searches, entries and manifests are those of Agentic Resource Discovery 0.91
//! (github.com/ards-project/ard-spec). Additional data of an entry is in its `metadata`.

mod answer;

pub use answer::{entry, error, found, listed, manifest, registered, renewed};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::json::{Object, elements, text_of};
use crate::domain::agent::card::Card;
use crate::domain::cause::Cause;
use crate::domain::fleet::registry::{Cursor, Entry, Field, Filter, Labels, Page, Search, words};
use crate::domain::text::Untrusted;

/// A larger card is fetched from its URL, not stored.
const LARGEST_CARD: usize = super::RAW_KEPT;
/// A card nested deeper would produce catalogs that clients cannot read.
const DEEPEST_CARD: usize = 64;
/// Bounds of a registration.
const CAPABILITIES: usize = 100;
const LABELS: usize = 32;
const LABEL_CHARS: usize = 64;
const VALUE_CHARS: usize = 256;
const URL_BYTES: usize = 2048;
const MOST_TASKS: i64 = 1_000_000;
/// The bounds of the probe interval that a registration may request.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);
/// Bounds of a search.
const FILTERS: usize = 32;
const VALUES: usize = 100;
const TEXT_CHARS: usize = 4096;
/// The default and maximum number of rows on a page.
const PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// The error of a malformed request: the member, and its fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    member: String,
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.member.is_empty() {
            f.write_str(&self.what)
        } else {
            write!(f, "{}: {}", self.member, self.what)
        }
    }
}

impl Fault {
    /// A fault of a member.
    pub fn new(member: impl Into<String>, what: impl Into<String>) -> Self {
        Self { member: member.into(), what: what.into() }
    }
}

fn fault<T>(member: impl Into<String>, what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(member, what))
}

/// The text of a cause, without the wording for screens.
fn place(cause: &Cause) -> String {
    match cause {
        Cause::Malformed(place) => place.shortened(200).to_string(),
        Cause::Limit(limit) => format!("over the limit: {limit}"),
        other => other.to_string(),
    }
}

fn body(text: &str) -> Result<Object<'_>, Fault> {
    Object::parse(text).or_else(|cause| fault("", format!("the body is {}", place(&cause))))
}

/// A member under one of its names.
fn either<'a>(object: &Object<'a>, names: [&'static str; 2]) -> Option<(&'static str, &'a str)> {
    names.into_iter().find_map(|name| Some((name, object.raw(name)?)))
}

fn text_member(member: &str, raw: &str) -> Result<String, Fault> {
    match text_of(raw).filter(|_| raw.starts_with('"')) {
        Some(text) => Ok(text.into_owned()),
        None => fault(member, "is no text"),
    }
}

/// Parses a registration.
///
/// # Errors
/// The member that is wrong.
pub fn registration(text: &str) -> Result<Entry, Fault> {
    let object = body(text)?;
    let card = match either(&object, ["card", "agent_card"]) {
        Some((member, raw)) => Some(Arc::new(card(member, raw)?)),
        None => None,
    };
    let named = match either(&object, ["cardUrl", "card_url"]) {
        Some((member, raw)) => Some(url(member, &text_member(member, raw)?)?),
        None => None,
    };
    let from_card = || {
        let offers = card.iter().flat_map(|card| &card.offers);
        offers.map(|offer| offer.url.raw()).find_map(|place| url("card", place).ok())
    };
    let is_named = named.is_some();
    let Some(url) = named.or_else(from_card) else {
        return match card {
            Some(_) => fault("card", "names no http or https interface; add one, or a cardUrl"),
            None => fault("cardUrl", "is missing; a registration has a cardUrl, a card, or both"),
        };
    };
    Ok(Entry {
        url: url.into(),
        named: is_named,
        card,
        capabilities: capabilities(&object)?,
        max_concurrent_tasks: max_concurrent_tasks(&object)?,
        health_check_interval: health_check_interval(&object)?,
        labels: labels(&object)?,
    })
}

fn card(member: &str, raw: &str) -> Result<Card, Fault> {
    if raw.len() > LARGEST_CARD {
        return fault(member, "is larger than 64 KiB; register its cardUrl instead");
    }
    if depth(raw) > DEEPEST_CARD {
        return fault(member, format!("is nested deeper than {DEEPEST_CARD}"));
    }
    super::card::decode(raw).or_else(|cause| fault(member, place(&cause)))
}

fn depth(raw: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in raw.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// A URL that may be contacted and shown to everybody.
fn url(member: &str, text: &str) -> Result<String, Fault> {
    if text.len() > URL_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return fault(member, format!("is no URL of at most {URL_BYTES} printable ASCII characters"));
    }
    match url::Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            fault(member, "needs the scheme http or https")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            fault(member, "holds a user name or a password, which every reader would see; leave it out")
        }
        Ok(url) if url.host().is_some() => Ok(text.to_owned()),
        Ok(_) => fault(member, "names no host"),
        Err(error) => fault(member, format!("is no URL: {error}")),
    }
}

/// A list of texts, or an object as in a card, whose true members count.
fn capabilities(object: &Object<'_>) -> Result<Vec<Untrusted>, Fault> {
    let Some(raw) = object.raw("capabilities") else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    if let Some(flags) = object.object("capabilities") {
        found.extend(
            flags.members().filter(|(_, value)| value.get() == "true").map(|(name, _)| name.to_owned()),
        );
    } else if let Some(items) = elements(raw) {
        for (index, item) in items.into_iter().enumerate() {
            found.push(text_member(&format!("capabilities[{index}]"), item)?);
        }
    } else {
        return fault("capabilities", "is neither a list of texts nor an object");
    }
    if found.len() > CAPABILITIES {
        return fault("capabilities", format!("has more than {CAPABILITIES} members"));
    }
    if let Some(index) = found.iter().position(|text| text.is_empty() || text.chars().count() > VALUE_CHARS) {
        return fault(
            format!("capabilities[{index}]"),
            format!("has no or more than {VALUE_CHARS} characters"),
        );
    }
    Ok(found.iter().map(|text| clean(text)).map(Untrusted::from).collect())
}

fn max_concurrent_tasks(object: &Object<'_>) -> Result<Option<u32>, Fault> {
    let Some(raw) = object.raw("max_concurrent_tasks") else { return Ok(None) };
    let number = object.number("max_concurrent_tasks").filter(|number| (1..=MOST_TASKS).contains(number));
    match number.filter(|_| !raw.starts_with('"')).and_then(|number| u32::try_from(number).ok()) {
        Some(number) => Ok(Some(number)),
        None => fault("max_concurrent_tasks", format!("is no whole number from 1 to {MOST_TASKS}")),
    }
}

/// Seconds as a number, or a text such as `30s` or `5m`.
fn health_check_interval(object: &Object<'_>) -> Result<Option<Duration>, Fault> {
    let Some(raw) = object.raw("health_check_interval") else { return Ok(None) };
    let text = text_of(raw).unwrap_or_default();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" | "s" => Some(1.0),
        "ms" => Some(0.001),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    };
    let seconds = factor.zip(number.parse::<f64>().ok()).map(|(factor, number)| factor * number);
    match seconds
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    {
        Some(time) => Ok(Some(time.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL))),
        None => fault("health_check_interval", "is no time; write 30 for seconds, or \"30s\", \"5m\""),
    }
}

fn labels(object: &Object<'_>) -> Result<Labels, Fault> {
    if object.raw("labels").is_none() {
        return Ok(Vec::new());
    }
    let Some(members) = object.object("labels") else { return fault("labels", "is no object") };
    let mut labels = Labels::new();
    for (name, value) in members.members() {
        let shown = clean(name);
        let member = format!("labels.{}", Untrusted::from(&*shown).shortened(LABEL_CHARS));
        if name.is_empty() || name.chars().count() > LABEL_CHARS {
            return fault(member, format!("its name has no or more than {LABEL_CHARS} characters"));
        }
        let Some(value) = text_of(value.get()) else { return fault(member, "is no text") };
        if value.chars().count() > VALUE_CHARS {
            return fault(member, format!("has more than {VALUE_CHARS} characters"));
        }
        labels.retain(|(known, _)| **known != *shown);
        labels.push((shown.into(), clean(&value).into()));
        if labels.len() > LABELS {
            return fault("labels", format!("has more than {LABELS} members"));
        }
    }
    Ok(labels)
}

/// One line in which nothing controls a terminal.
fn clean(text: &str) -> String {
    Untrusted::from(text).line().into_string()
}

/// Parses a search and its page.
///
/// # Errors
/// The member that is wrong.
pub fn search(text: &str) -> Result<(Search, Page), Fault> {
    let object = body(text)?;
    let mut search = Search::default();
    if object.raw("query").is_some() {
        let Some(query) = object.object("query") else { return fault("query", "is no object") };
        take_text(&mut search, &query, "query.text")?;
        if query.raw("filter").is_some() {
            let Some(filter) = query.object("filter") else { return fault("query.filter", "is no object") };
            for (key, value) in filter.members() {
                take_filter(&mut search, &format!("query.filter.{}", clean(key)), key, value.get())?;
            }
        }
    }
    take_text(&mut search, &object, "text")?;
    for key in ["skill", "tag", "health"] {
        if let Some(raw) = object.raw(key) {
            take_filter(&mut search, key, key, raw)?;
        }
    }
    if let Some(raw) = object.raw("federation") {
        let word = text_member("federation", raw)?;
        if !matches!(word.as_str(), "auto" | "referrals" | "none") {
            return fault("federation", "is none of auto, referrals and none");
        }
    }
    let size = either(&object, ["pageSize", "page_size"]).and_then(|(_, raw)| text_of(raw));
    let token = either(&object, ["pageToken", "page_token"]).and_then(|(_, raw)| text_of(raw));
    Ok((search, page(size.as_deref(), token.as_deref())?))
}

fn take_text(search: &mut Search, object: &Object<'_>, member: &str) -> Result<(), Fault> {
    let Some(raw) = object.raw("text") else { return Ok(()) };
    let text = text_member(member, raw)?;
    if text.chars().count() > TEXT_CHARS {
        return fault(member, format!("has more than {TEXT_CHARS} characters"));
    }
    search.words.extend(words(&text));
    Ok(())
}

fn take_filter(search: &mut Search, member: &str, key: &str, raw: &str) -> Result<(), Fault> {
    let any_of: Vec<String> = match elements(raw) {
        Some(items) => items.into_iter().map(|item| text_member(member, item)).collect::<Result<_, _>>()?,
        None => vec![
            text_member(member, raw).or_else(|_| fault(member, "is neither a text nor a list of texts"))?,
        ],
    };
    if any_of.len() > VALUES || any_of.iter().any(|value| value.chars().count() > VALUE_CHARS) {
        return fault(
            member,
            format!("has more than {VALUES} values, or one of more than {VALUE_CHARS} characters"),
        );
    }
    let key = key.strip_prefix("metadata.").unwrap_or(key);
    let field = match key {
        "type" => Field::Type,
        "identifier" | "id" => Field::Identifier,
        "displayName" | "name" => Field::Name,
        "version" => Field::Version,
        "tags" | "tag" => Field::Tag,
        "skills" | "skill" => Field::Skill,
        "capabilities" | "capability" => Field::Capability,
        "health" => Field::Health,
        _ => match key.strip_prefix("labels.") {
            Some(label) => Field::Label(clean(label)),
            None => {
                return fault(
                    member,
                    "is not filtered by; type, identifier, displayName, version, tags, skills, capabilities, \
                     health and labels.NAME are",
                );
            }
        },
    };
    if field == Field::Health {
        let known = crate::domain::agent::Health::ALL.map(crate::domain::agent::Health::as_str);
        if let Some(other) = any_of.iter().find(|value| !known.contains(&value.as_str())) {
            let other = Untrusted::from(other.as_str());
            return fault(member, format!("{:?} is none of {}", other.shortened(40), known.join(", ")));
        }
    }
    search.filters.push(Filter { field, any_of });
    if search.filters.len() > FILTERS {
        return fault("query.filter", format!("has more than {FILTERS} members"));
    }
    Ok(())
}

/// Which page is wanted.
///
/// # Errors
/// The size is no number, or the token is none of ours.
pub fn page(size: Option<&str>, token: Option<&str>) -> Result<Page, Fault> {
    let size = match size.filter(|size| !size.is_empty()).map(str::parse::<usize>) {
        None => PAGE,
        Some(Ok(size)) if size > 0 => size.min(LARGEST_PAGE),
        Some(_) => return fault("page_size", format!("is no whole number from 1 to {LARGEST_PAGE}")),
    };
    let after = match token.filter(|token| !token.is_empty()) {
        None => None,
        Some(token) => match Cursor::parse(token) {
            Some(cursor) => Some(cursor),
            None => {
                return fault("page_token", "is none that was handed out here; leave it out to begin anew");
            }
        },
    };
    Ok(Page { size, after })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = r#"{"name":"Babel","url":"http://127.0.0.1:9/a","skills":[{"id":"t","tags":["x"]}]}"#;

    #[test]
    fn a_registration_is_read_or_its_member_is_named() {
        let check = |body: &str, expected: &str| {
            let read = registration(body);
            match read {
                Ok(entry) => assert_eq!(format!("{} {}", entry.url, entry.named), expected, "{body}"),
                Err(fault) => assert!(fault.to_string().starts_with(expected), "{body}: {fault}"),
            }
        };
        check(r#"{"cardUrl":"http://a.example/x"}"#, "http://a.example/x true");
        check(r#"{"card_url":"https://a.example"}"#, "https://a.example true");
        check(&format!(r#"{{"card":{CARD}}}"#), "http://127.0.0.1:9/a false");
        check(&format!(r#"{{"card":{CARD},"cardUrl":"http://h:1"}}"#), "http://h:1 true");
        check("", "the body is not a JSON object");
        check("[1]", "the body is not a JSON object");
        check(&format!(r#"{{"a":{}{}}}"#, "[".repeat(200), "]".repeat(200)), "the body is over the limit");
        check("{}", "cardUrl: is missing");
        check(r#"{"cardUrl":7}"#, "cardUrl: is no text");
        check(r#"{"cardUrl":"file:///etc/passwd"}"#, "cardUrl: needs the scheme");
        check(r#"{"cardUrl":"http://me:secret@h"}"#, "cardUrl: holds a user name");
        check(r#"{"cardUrl":"http://h/\u001b[2J"}"#, "cardUrl: is no URL");
        check(r#"{"card":{"name":"x"}}"#, "card: an object without url");
        check(r#"{"card":{"name":"x","skills":[]}}"#, "card: names no http");
        check(&format!(r#"{{"card":{{"skills":[],"x":"{}"}}}}"#, "x".repeat(70_000)), "card: is larger");
        check(
            &format!(r#"{{"card":{{"skills":[],"x":{}{}}}}}"#, "[".repeat(70), "]".repeat(70)),
            "card: is nested",
        );
        for (member, value) in [
            ("capabilities", "7"),
            ("capabilities[1]", "[\"a\",{}]"),
            ("max_concurrent_tasks", "0"),
            ("max_concurrent_tasks", "\"many\""),
            ("max_concurrent_tasks", "1.5"),
            ("health_check_interval", "-1"),
            ("health_check_interval", "\"soon\""),
            ("labels", "[]"),
            ("labels.a", "{\"a\":{}}"),
        ] {
            let name = member.split(['[', '.']).next().unwrap();
            check(&format!(r#"{{"cardUrl":"http://h","{name}":{value}}}"#), &format!("{member}: "));
        }
    }

    #[test]
    fn registrations_are_bounded_and_sanitised() {
        let entry = registration(
            r#"{"cardUrl":"http://h","labels":{"te\u001bam":"a\u202eb","n":7},"max_concurrent_tasks":4,
                "health_check_interval":"1ms","capabilities":{"streaming":true,"other":false}}"#,
        )
        .unwrap();
        assert_eq!(entry.labels, [("te␛am".into(), "a\u{fffd}b".into()), ("n".into(), "7".into())]);
        assert_eq!((entry.max_concurrent_tasks, entry.capabilities), (Some(4), vec!["streaming".into()]));
        assert_eq!(entry.health_check_interval, Some(Duration::from_secs(1)));
        let interval = |text: &str| {
            let body = format!(r#"{{"cardUrl":"http://h","health_check_interval":{text}}}"#);
            registration(&body).unwrap().health_check_interval.unwrap().as_secs()
        };
        assert_eq!(
            (interval("30"), interval("\"5m\""), interval("2.0"), interval("100000")),
            (30, 300, 2, 3600)
        );
    }

    #[test]
    fn a_search_is_read_or_its_member_is_named() {
        let (search, page) = search(
            r#"{"query":{"text":"weather in Rome","filter":{"tags":["a","b"],"metadata.labels.region":"eu"}},
                "skill":"t","health":["up"],"federation":"none","pageSize":500,"pageToken":""}"#,
        )
        .unwrap();
        assert_eq!(search.words, ["weather", "rome"]);
        assert_eq!(search.filters.len(), 4);
        assert_eq!(page, Page { size: LARGEST_PAGE, after: None });
        for (body, expected) in [
            (r#"{"query":7}"#, "query: is no object"),
            (r#"{"query":{"text":7}}"#, "query.text: is no text"),
            (r#"{"query":{"filter":{"color":"x"}}}"#, "query.filter.color: is not filtered by"),
            (r#"{"query":{"filter":{"tags":{}}}}"#, "query.filter.tags: is neither"),
            (r#"{"health":"fine"}"#, "health: \"fine\" is none of"),
            (r#"{"federation":"all"}"#, "federation: is none of"),
            (r#"{"pageSize":0}"#, "page_size: is no whole number"),
            (r#"{"pageToken":"x"}"#, "page_token: is none"),
        ] {
            let fault = super::search(body).expect_err(body);
            assert!(fault.to_string().starts_with(expected), "{fault}");
        }
    }
}
