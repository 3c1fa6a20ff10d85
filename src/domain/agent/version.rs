//! Versions as agents write them: which of two is newer, and how old one may be.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::domain::agent::Agent;
use crate::domain::text::Untrusted;

/// Compares two versions as SemVer does, with any number of numeric parts (`2.4` is `2.4.0`, `v2` is `2`, anything
/// after `+` is ignored). Other formats are compared part by part, numeric parts as numbers.
pub fn compare(a: &str, b: &str) -> Ordering {
    match (Parts::of(a), Parts::of(b)) {
        (Some(a), Some(b)) => a.compare(&b),
        _ => pieces(a.trim(), b.trim()),
    }
}

/// Compares versions reported by agents, newest first.
pub fn newest_first(a: &Untrusted, b: &Untrusted) -> Ordering {
    compare(b.raw(), a.raw()).then_with(|| a.cmp(b))
}

/// Numeric parts separated by dots, and the pre-release after a hyphen.
struct Parts<'a> {
    numbers: Vec<&'a str>,
    early: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Option<Self> {
        let version = version.trim();
        let version = version.strip_prefix(['v', 'V']).unwrap_or(version);
        let version = version.split('+').next().unwrap_or(version);
        let (core, early) = match version.split_once('-') {
            Some((core, early)) => (core, Some(early)),
            None => (version, None),
        };
        let numbers: Vec<_> = core.split('.').collect();
        let plain = numbers.iter().all(|number| is_number(number));
        plain.then_some(Self { numbers, early })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let most = self.numbers.len().max(other.numbers.len());
        for at in 0..most {
            let number = |of: &Self| of.numbers.get(at).copied().unwrap_or("0").to_owned();
            match by_number(&number(self), &number(other)) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        match (self.early, other.early) {
            (None, None) => Ordering::Equal,
            // A pre-release is older than its release.
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => identifiers(a, b),
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Digits by their value, however many there are.
fn by_number(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Compares pre-releases as SemVer does: numbers before words, and fewer parts before more.
fn identifiers(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (is_number(a), is_number(b)) {
                (true, true) => by_number(a, b),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Runs of digits by their value, everything else by its letters.
fn pieces(mut a: &str, mut b: &str) -> Ordering {
    let run = |text: &str| {
        let digits = text.starts_with(|c: char| c.is_ascii_digit());
        text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len())
    };
    while !a.is_empty() && !b.is_empty() {
        let (one, rest_a) = a.split_at(run(a));
        let (other, rest_b) = b.split_at(run(b));
        let order = if is_number(one) && is_number(other) { by_number(one, other) } else { one.cmp(other) };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.len().cmp(&b.len())
}

/// A minimum version for some agents, set by the operator.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Minimum {
    /// The agents: a name in the fleet or in a card, with `*` for any characters; `None` for all agents.
    pub agent: Option<Arc<str>>,
    /// Only of agents that offer a skill of this id, with `*` too.
    pub skill: Option<Arc<str>>,
    /// The version.
    pub version: Arc<str>,
}

impl Minimum {
    /// True if it applies to this agent.
    pub fn is_about(&self, agent: &Agent) -> bool {
        let Some(card) = &agent.card else { return false };
        let named = self
            .agent
            .as_deref()
            .is_none_or(|pattern| fits(pattern, agent.name.raw()) || fits(pattern, card.name.raw()));
        let skilled = self
            .skill
            .as_deref()
            .is_none_or(|pattern| card.skills.iter().any(|skill| fits(pattern, skill.id.raw())));
        named && skilled
    }
}

/// True if a text matches a pattern; `*` matches any characters, including none.
pub fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The highest minimum that an agent's version does not reach. An agent without a version is not checked.
pub fn missed<'m>(agent: &Agent, minimums: &'m [Minimum]) -> Option<&'m Minimum> {
    let version = agent.card.as_ref().map(|card| &card.version).filter(|version| !version.is_empty())?;
    let missed = minimums.iter().filter(|minimum| {
        compare(version.raw(), &minimum.version) == Ordering::Less && minimum.is_about(agent)
    });
    missed.max_by(|a, b| compare(&a.version, &b.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_in_any_notation() {
        let ascending = [
            ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0"]
                .as_slice(),
            &["2.4.0", "2.4.1", "2.10", "v10", "10.0.1+build"],
            &["2024-05-30", "2024-06-01", "2025.1"],
            &["build-9", "build-10", "build-10b"],
            &["0.9.99999999999999999999", "0.9.100000000000000000000"],
        ];
        for versions in ascending {
            for pair in versions.windows(2) {
                assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
                assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
            }
        }
        for (a, b) in [("2.4", "2.4.0"), ("v2.4.0", "2.4"), ("1.0+a", "1.0+b"), ("", "")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn a_star_matches_any_characters() {
        for (pattern, text, expected) in [
            ("cashier*", "cashier-2", true),
            ("cashier*", "cashier", true),
            ("*-eu", "cashier-eu", true),
            ("c*-*u", "cashier-eu", true),
            ("*", "", true),
            ("cashier", "cashier-2", false),
            ("a*a", "a", false),
            ("*x*", "abc", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
