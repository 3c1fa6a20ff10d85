//! The possible places of an agent's card, and the most specific failure of a search.

use url::Url;

use super::credentials::parse_url;
use crate::domain::agent::normalise_url;
use crate::domain::cause::{Cause, Failure};

/// Where cards are, in the order tried: 0.3 and 1.0, then 0.2.
const WELL_KNOWN: [&str; 2] = ["/.well-known/agent-card.json", "/.well-known/agent.json"];

/// The places where the card of `url` may be: a path that names a card is one; else the usual
/// places below the path, then below the origin, as some hosts serve many agents.
pub(super) fn card_places(url: &str) -> Vec<Url> {
    let Some(given) = parse_url(url) else { return Vec::new() };
    let base = normalise_url(given.as_str());
    if std::path::Path::new(given.path()).extension().is_some_and(|end| end.eq_ignore_ascii_case("json")) {
        return vec![given];
    }
    let mut places = Vec::new();
    let origin = given.origin().ascii_serialization();
    for base in [base, origin] {
        for known in WELL_KNOWN {
            if let Ok(url) = Url::parse(&format!("{base}{known}"))
                && !places.contains(&url)
            {
                places.push(url);
            }
        }
    }
    places
}

/// The base of a card's place: the agent's URL, or its origin.
pub(super) fn below(place: &Url) -> &str {
    let place = place.as_str();
    WELL_KNOWN.iter().find_map(|known| place.strip_suffix(known)).unwrap_or(place)
}

/// A search for a card, with the results so far.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The most specific failure.
    pub worst: Option<Failure>,
    /// The base below which a server has failed. The card may be there once the server has recovered, so the card of
    /// another agent nearer to the origin is not used instead.
    pub failing: Option<String>,
}

impl Search {
    /// Records the result of a place. False if the search ends with it: a required login is final, and an unreachable
    /// agent is unreachable at its other places too.
    pub fn note(&mut self, failure: &Failure, base: &str) -> bool {
        let says = |failure: &Failure| match &failure.cause {
            // A gateway that does not know the path, or hides it.
            Cause::Login { status: 403, challenge: None, .. } => Some(5),
            Cause::Status { status: 500.., .. } => Some(4),
            Cause::Malformed(_) | Cause::Limit(_) => Some(3),
            Cause::Status { status: 404 | 405 | 410, .. } => Some(1),
            Cause::Status { .. } => Some(2),
            _ => None,
        };
        let Some(most) = says(failure) else { return false };
        if matches!(failure.cause, Cause::Status { status: 500.., .. }) {
            self.failing = Some(base.to_owned());
        }
        if self.worst.as_ref().and_then(says).is_none_or(|known| known < most) {
            let mut failure = failure.clone();
            if let Cause::Status { status: status @ (405 | 410), .. } = &mut failure.cause {
                *status = 404;
            }
            self.worst = Some(failure);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_searched_in_the_usual_places() {
        let places = |url| card_places(url).iter().map(Url::to_string).collect::<Vec<_>>();
        assert_eq!(
            places("h:9101"),
            ["http://h:9101/.well-known/agent-card.json", "http://h:9101/.well-known/agent.json",]
        );
        assert_eq!(
            places("https://h/agents/x/"),
            [
                "https://h/agents/x/.well-known/agent-card.json",
                "https://h/agents/x/.well-known/agent.json",
                "https://h/.well-known/agent-card.json",
                "https://h/.well-known/agent.json",
            ]
        );
        assert_eq!(places("https://h/my-card.json"), ["https://h/my-card.json"]);
        assert!(places("not a url").is_empty());
    }
}
