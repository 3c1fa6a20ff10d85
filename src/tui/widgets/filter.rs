//! Filters: words that must occur, `!` for those that must not, `~` for similar ones, `key=value` for one column.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::domain::text::contains_ignore_case;

/// A filter that was typed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    text: String,
    terms: Vec<Term>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Term {
    Has(String),
    Not(Box<Term>),
    Near(String),
    Key(String, String),
}

/// A row as a filter sees it.
pub trait Filtered {
    /// All its words.
    fn words(&self) -> Vec<String>;
    /// The value of one of its columns.
    fn value(&self, key: &str) -> Option<String>;
}

impl Filter {
    /// Parses a filter; every text is valid.
    pub fn parse(text: &str) -> Self {
        let terms = text.split_whitespace().filter_map(term).collect();
        Self { text: text.trim().to_owned(), terms }
    }

    /// The text as typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The columns that it names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().filter_map(Term::key)
    }

    /// True if it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The columns whose value must be one that was typed, with that value.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.terms.iter().filter_map(|term| match term {
            Term::Key(key, value) => Some((key.as_str(), value.as_str())),
            Term::Has(_) | Term::Not(_) | Term::Near(_) => None,
        })
    }

    /// True if it asks for one value of a column.
    pub fn asks_for(&self, key: &str) -> bool {
        self.terms.iter().any(|term| matches!(term, Term::Key(named, _) if named == key))
    }

    /// True if a row passes.
    pub fn passes(&self, row: &impl Filtered) -> bool {
        if self.terms.is_empty() {
            return true;
        }
        // To find all words costs more than to find one value, and most filters name their column.
        let words = if self.terms.iter().any(Term::wants_words) { row.words() } else { Vec::new() };
        self.terms.iter().all(|term| term.passes(row, &words))
    }
}

fn term(word: &str) -> Option<Term> {
    if let Some(rest) = word.strip_prefix('!') {
        return term(rest).map(|term| Term::Not(Box::new(term)));
    }
    if let Some(rest) = word.strip_prefix('~') {
        return (!rest.is_empty()).then(|| Term::Near(rest.to_owned()));
    }
    if let Some((key, value)) = word.split_once('=')
        && !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    {
        return Some(Term::Key(key.to_ascii_lowercase(), value.to_owned()));
    }
    (!word.is_empty()).then(|| Term::Has(word.to_owned()))
}

impl Term {
    fn wants_words(&self) -> bool {
        match self {
            Self::Has(_) | Self::Near(_) => true,
            Self::Not(term) => term.wants_words(),
            Self::Key(..) => false,
        }
    }

    fn key(&self) -> Option<&str> {
        match self {
            Self::Key(key, _) => Some(key),
            Self::Not(term) => term.key(),
            Self::Has(_) | Self::Near(_) => None,
        }
    }

    fn passes(&self, row: &impl Filtered, words: &[String]) -> bool {
        match self {
            Self::Has(text) => words.iter().any(|word| contains_ignore_case(word, text)),
            Self::Not(term) => !term.passes(row, words),
            Self::Near(text) => {
                let pattern = Pattern::parse(text, CaseMatching::Ignore, Normalization::Smart);
                let mut matcher = Matcher::new(Config::DEFAULT);
                let mut buffer = Vec::new();
                words
                    .iter()
                    .any(|word| pattern.score(Utf32Str::new(word, &mut buffer), &mut matcher).is_some())
            }
            Self::Key(key, value) => row.value(key).is_some_and(|have| contains_ignore_case(&have, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row;

    impl Filtered for Row {
        fn words(&self) -> Vec<String> {
            vec!["charge order 88213".into(), "cashier-1".into()]
        }

        fn value(&self, key: &str) -> Option<String> {
            (key == "state").then(|| "working".into())
        }
    }

    #[test]
    fn filters_match_what_they_name() {
        for (text, passes) in [
            ("", true),
            ("order", true),
            ("ORDER cashier", true),
            ("order nope", false),
            ("!nope", true),
            ("!order", false),
            ("~chgord", true),
            ("~zzz", false),
            ("state=work", true),
            ("state=done", false),
            ("!state=work", false),
            ("agent=cashier", false),
        ] {
            assert_eq!(Filter::parse(text).passes(&Row), passes, "{text}");
        }
    }
}
