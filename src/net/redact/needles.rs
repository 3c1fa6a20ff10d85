//! Finds every form of a set of secrets in a text, also where the text is escaped once more.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind};

use super::forms::forms;
use super::levels::{Level, Window, any_window, escape};
use crate::config::secret::Secret;
use crate::domain::limits;

/// Replaces a secret.
pub(super) const MARK: &str = "[redacted]";

/// Replaces base64 of a secret; repeated to the same length, so that the rest can still be decoded.
const BASE64_MARK: &str = "redacted";

/// How many levels of JSON strings are searched: JSON in a string of JSON in a string of JSON still is.
const LEVELS: usize = 3;

/// All forms of a set of secrets.
#[derive(Debug)]
pub(super) struct Needles {
    /// `None` if the secrets are too many or too long to be searched for. Every text is replaced as a whole then.
    automaton: Option<AhoCorasick>,
    forms: Vec<Needle>,
    longest: usize,
    /// For each byte, whether a form begins with it.
    first: [bool; 256],
    /// For each byte behind a backslash, whether that escape stands for a character that no form contains.
    harmless: [bool; 256],
}

#[derive(Debug)]
struct Needle {
    bytes: Box<[u8]>,
    base64: bool,
}

/// A form of a secret in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hit {
    pub start: usize,
    pub end: usize,
    /// If the form is base64, its length.
    base64: Option<usize>,
    /// The hit is a JSON value that is not a string, so that its mark needs quotes.
    bare: bool,
}

impl Hit {
    /// A hit that is replaced by the mark.
    pub fn plain(start: usize, end: usize) -> Self {
        Self { start, end, base64: None, bare: false }
    }

    pub fn put_mark(&self, out: &mut String) {
        match self.base64 {
            _ if self.bare => {
                out.push('"');
                out.push_str(MARK);
                out.push('"');
            }
            Some(length) => out.extend(BASE64_MARK.chars().cycle().take(length)),
            None => out.push_str(MARK),
        }
    }
}

impl Needles {
    /// Prepares a search for these secrets.
    pub fn new<'s>(secrets: impl Iterator<Item = &'s Secret>) -> Self {
        let mut needles: Vec<Needle> = Vec::new();
        for form in secrets.flat_map(|secret| forms(secret.expose())) {
            let bytes = form.text.into_bytes().into_boxed_slice();
            if !needles.iter().any(|known| known.bytes == bytes) {
                needles.push(Needle { bytes, base64: form.base64 });
            }
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(needles.iter().map(|needle| &needle.bytes))
            .ok();
        let mut first = [false; 256];
        for byte in needles.iter().filter_map(|needle| needle.bytes.first()) {
            first[usize::from(*byte)] = true;
        }
        let mut harmless = [false; 256];
        for (letter, meant) in [(b'"', b'"'), (b'/', b'/'), (b'n', b'\n'), (b'r', b'\r'), (b't', b'\t')] {
            harmless[usize::from(letter)] = needles.iter().all(|needle| !needle.bytes.contains(&meant));
        }
        let longest = needles.iter().map(|needle| needle.bytes.len()).max().unwrap_or(0);
        Self { automaton, forms: needles, longest, first, harmless }
    }

    /// Every form that is in the text without further escaping, in order and without overlaps.
    pub fn find(&self, text: &[u8]) -> Vec<Hit> {
        let Some(automaton) = &self.automaton else { return vec![Hit::plain(0, text.len())] };
        let found = automaton.find_iter(text).map(|found| {
            let base64 = self.forms[found.pattern().as_usize()].base64.then_some(found.len());
            Hit { start: found.start(), end: found.end(), base64, bare: false }
        });
        found.collect()
    }

    /// The position of the longest suffix of the text that is the beginning of a form; the length of the text if there
    /// is none.
    pub fn tail(&self, text: &[u8]) -> usize {
        let from = text.len().saturating_sub(self.longest.saturating_sub(1));
        let begins = |at: &usize| {
            let end = &text[*at..];
            let is_begun = |form: &Needle| form.bytes.len() > end.len() && form.bytes.starts_with(end);
            self.first[usize::from(end[0])] && self.forms.iter().any(is_begun)
        };
        (from..text.len()).find(begins).unwrap_or(text.len())
    }

    /// The text without any form of a secret, in whatever way it is escaped in JSON.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(automaton) = &self.automaton else { return Cow::Borrowed(MARK) };
        if !automaton.is_match(text) && !self.is_within_escapes(automaton, text.as_bytes()) {
            return Cow::Borrowed(text);
        }
        let mut levels: Vec<_> = self.searches(automaton, text).map(Iterator::peekable).collect();
        let mut values = is_json(text).then(|| Values::new(text.as_bytes()));
        let mut clean = Clean::new(text);
        loop {
            // Takes the hits of all levels in the order of their positions in the text.
            let first = levels.iter_mut().filter_map(|level| {
                let hit = level.peek()?;
                Some(((hit.start, hit.end), level))
            });
            let Some((_, level)) = first.min_by_key(|(place, _)| *place) else { break };
            let Some(hit) = level.next() else { break };
            let hit = match &mut values {
                Some(values) => values.within(hit),
                None => Some(hit),
            };
            if let Some(hit) = hit {
                clean.take(hit);
            }
        }
        clean.end().map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// True if the text, in which no form was found, contains one once its escapes are undone.
    fn is_within_escapes(&self, automaton: &AhoCorasick, text: &[u8]) -> bool {
        let Some(first) = memchr::memchr(b'\\', text) else { return false };
        // What lies between harmless escapes was searched already, and no form goes across one.
        self.has_other_escapes(&text[first..])
            && any_window(text, LEVELS, self.longest.saturating_sub(1), |window| automaton.is_match(window))
    }

    /// True if an escape in the text, which begins with one, may be part of a form or of an escape of another level.
    fn has_other_escapes(&self, mut text: &[u8]) -> bool {
        while let [_, letter, rest @ ..] = text {
            if !self.harmless[usize::from(*letter)] {
                return true;
            }
            let Some(next) = memchr::memchr(b'\\', rest) else { return false };
            text = &rest[next..];
        }
        true
    }

    /// A search for each level of escaping, beginning with the text itself.
    fn searches<'n>(&'n self, automaton: &'n AhoCorasick, text: &'n str) -> impl Iterator<Item = Search<'n>> {
        // Without a backslash, all levels are the same text.
        let levels = if memchr::memchr(b'\\', text.as_bytes()).is_some() { LEVELS } else { 0 };
        (0..=levels).map(move |level| Search {
            needles: self,
            automaton,
            level: Level::new(text.as_bytes(), level),
            window: Window::default(),
            from: 0,
        })
    }
}

/// The forms at one level of escaping, in order and without overlaps, with their positions in the original text.
struct Search<'n> {
    needles: &'n Needles,
    automaton: &'n AhoCorasick,
    level: Level<'n>,
    window: Window,
    /// Where the part of the window begins that was not searched yet.
    from: usize,
}

impl Iterator for Search<'_> {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        loop {
            let bytes = &self.window.bytes;
            // Even the longest form that begins before this position is completely in the window, so that the match
            // found there is the one that a search of the whole level would find.
            let sure = if self.window.is_last {
                bytes.len()
            } else {
                (bytes.len() + 1).saturating_sub(self.needles.longest)
            };
            let found = self.automaton.find(Input::new(bytes).range(self.from..));
            if let Some(found) = found.filter(|found| found.start() < sure) {
                self.from = found.end();
                let base64 = self.needles.forms[found.pattern().as_usize()].base64.then_some(found.len());
                let places = &self.window.places;
                let (start, end) = (places[found.start()].0, places[found.end() - 1].1);
                return Some(Hit { start, end, base64, bare: false });
            }
            if self.window.is_last {
                return None;
            }
            self.window.forget(self.from.max(sure).min(bytes.len()));
            self.from = 0;
            loop {
                self.level.fill(&mut self.window);
                if self.window.is_last || self.window.bytes.len() >= self.needles.longest {
                    break;
                }
            }
        }
    }
}

/// Writes a text with its hits replaced by marks. Hits must be passed in order.
struct Clean<'t> {
    text: &'t str,
    /// `None` until there is a hit.
    out: Option<String>,
    done: usize,
    /// The last hit, which is not written yet because the next ones may overlap it.
    last: Option<Hit>,
}

impl<'t> Clean<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, out: None, done: 0, last: None }
    }

    /// Adds a hit. Overlapping hits are merged.
    fn take(&mut self, hit: Hit) {
        match &mut self.last {
            Some(last) if hit.start < last.end => {
                last.bare |= hit.bare;
                last.base64 = last.base64.filter(|_| hit.base64.is_some() && hit.end <= last.end);
                last.end = last.end.max(hit.end);
            }
            _ => {
                self.put_last();
                self.last = Some(hit);
            }
        }
    }

    fn put_last(&mut self) {
        if let Some(hit) = self.last.take() {
            let out = self.out.get_or_insert_with(|| {
                let is_large = self.text.len() > limits::SMALL;
                String::with_capacity(if is_large { limits::RESERVED } else { self.text.len() })
            });
            out.push_str(self.text.get(self.done..hit.start).unwrap_or_default());
            hit.put_mark(out);
            self.done = hit.end;
        }
    }

    /// The text with its marks; `None` if there was no hit.
    fn end(mut self) -> Option<String> {
        self.put_last();
        let mut out = self.out?;
        out.push_str(self.text.get(self.done..).unwrap_or_default());
        Some(out)
    }
}

/// Interprets hits in JSON. A hit within a string counts, unless it begins or ends within an escape, which stands for
/// other characters. A hit in a number covers the whole number. A hit that crosses the end of a string is not a value
/// and is ignored.
struct Values<'t> {
    json: &'t [u8],
    /// The position up to which the JSON was scanned.
    at: usize,
    in_string: bool,
    /// The end of the last number that was hit.
    number_end: usize,
}

impl<'t> Values<'t> {
    fn new(json: &'t [u8]) -> Self {
        Self { json, at: 0, in_string: false, number_end: 0 }
    }

    /// The hit as it applies to the JSON value that it is in, if it does. Hits must be passed in order.
    fn within(&mut self, mut hit: Hit) -> Option<Hit> {
        let json = self.json;
        while self.at < hit.start {
            self.at += step(json, self.at, &mut self.in_string);
        }
        if self.at != hit.start || hit.end <= self.number_end {
            return None;
        }
        if self.in_string {
            let (mut end, mut inside) = (hit.start, true);
            while end < hit.end && inside {
                end += step(json, end, &mut inside);
            }
            return (inside && end == hit.end).then_some(hit);
        }
        let is_scalar = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if !json[hit.start..hit.end].iter().all(is_scalar) {
            return None;
        }
        hit.start -= json[..hit.start].iter().rev().take_while(|byte| is_scalar(byte)).count();
        hit.end += json[hit.end..].iter().take_while(|byte| is_scalar(byte)).count();
        self.number_end = hit.end;
        Some(Hit { bare: true, ..hit })
    }
}

/// True if the text may be JSON.
fn is_json(text: &str) -> bool {
    matches!(text.trim_ascii_start().as_bytes().first(), Some(b'{' | b'[' | b'"'))
}

/// The length of the escape or byte at this position. Updates `in_string` if a string begins or ends there.
fn step(json: &[u8], at: usize, in_string: &mut bool) -> usize {
    match json[at] {
        b'\\' if *in_string => escape(&json[at..]).1,
        b'"' => {
            *in_string = !*in_string;
            1
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

        /// A text is redacted the same whether escapes that cannot be part of a form are skipped or undone.
        #[test]
        fn skipped_escapes_hide_no_secret(
            secret in r#"[ab"/\\n]{6,7}"#,
            ways in prop::collection::vec(0u8..4, 1..20),
            noise in r#"(\\[ntr"/\\u]|[ab"/]){0,6}"#,
        ) {
            let quick = Needles::new([Secret::new(secret.as_str())].iter());
            let mut thorough = Needles::new([Secret::new(secret.as_str())].iter());
            thorough.harmless = [false; 256];
            let escaped: String = secret
                .chars()
                .zip(ways.iter().cycle())
                .map(|(c, way)| match way {
                    0 | 1 => c.to_string(),
                    2 if matches!(c, '"' | '/' | '\\') => format!("\\{c}"),
                    2 => c.to_string(),
                    _ => format!("\\u{:04x}", u32::from(c)),
                })
                .collect();
            for text in [format!("{noise}{escaped}{noise}"), format!("{escaped}{noise}{}", &escaped[1..]), noise.clone()] {
                prop_assert_eq!(quick.redact(&text), thorough.redact(&text));
            }
        }
    }
}
