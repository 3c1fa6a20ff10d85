//! Finding every form of some secrets in a text, also where the text is escaped once more.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::forms::forms;
use crate::config::secret::Secret;

/// What stands where a secret stood.
pub(super) const MARK: &str = "[redacted]";

/// What stands where base64 of a secret stood, repeated to its length, so that the rest can still be decoded.
const BASE64_MARK: &str = "redacted";

/// JSON within a string of JSON within a string of JSON is still looked into.
const LEVELS: usize = 3;

/// All forms of some secrets.
#[derive(Debug)]
pub(super) struct Needles {
    /// `None`: there are more or longer secrets than can be searched for; then nothing passes.
    automaton: Option<AhoCorasick>,
    forms: Vec<Needle>,
    longest: usize,
    /// Bytes that a form begins with.
    first: [bool; 256],
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
    /// The length of the base64 that it is.
    base64: Option<usize>,
    /// It is a value of JSON that is no string: its mark needs quotes.
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
        let longest = needles.iter().map(|needle| needle.bytes.len()).max().unwrap_or(0);
        Self { automaton, forms: needles, longest, first }
    }

    /// Every form as it stands there, in order and apart.
    pub fn find(&self, text: &[u8]) -> Vec<Hit> {
        let Some(automaton) = &self.automaton else { return vec![Hit::plain(0, text.len())] };
        let found = automaton.find_iter(text).map(|found| {
            let base64 = self.forms[found.pattern().as_usize()].base64.then_some(found.len());
            Hit { start: found.start(), end: found.end(), base64, bare: false }
        });
        found.collect()
    }

    /// Where the longest end of the text begins that begins a form: its length if there is none.
    pub fn tail(&self, text: &[u8]) -> usize {
        let from = text.len().saturating_sub(self.longest.saturating_sub(1));
        let begins = |at: &usize| {
            let end = &text[*at..];
            self.first[usize::from(end[0])]
                && self.forms.iter().any(|form| form.bytes.len() > end.len() && form.bytes.starts_with(end))
        };
        (from..text.len()).find(begins).unwrap_or(text.len())
    }

    /// The text without any form of a secret, however JSON escapes it.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(automaton) = &self.automaton else { return Cow::Borrowed(MARK) };
        if !automaton.is_match(text) && !Self::is_within_escapes(automaton, text.as_bytes()) {
            return Cow::Borrowed(text);
        }
        let hits = self.hits(text);
        if hits.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(without(text, &hits)) }
    }

    /// True if a form is there once escapes are undone.
    fn is_within_escapes(automaton: &AhoCorasick, text: &[u8]) -> bool {
        let mut level = Cow::Borrowed(text);
        for _ in 0..LEVELS {
            if memchr::memchr(b'\\', &level).is_none() {
                return false;
            }
            let mut next = Vec::with_capacity(level.len());
            unescape(&level, &mut next, |_, _, _| {});
            if automaton.is_match(&next) {
                return true;
            }
            level = Cow::Owned(next);
        }
        false
    }

    /// Every form at every level of escapes, in order and apart, by its place in the text itself.
    fn hits(&self, text: &str) -> Vec<Hit> {
        let mut hits = self.find(text.as_bytes());
        let mut level = text.as_bytes().to_vec();
        // Where each byte of the level begins and ends in the text.
        let mut places: Vec<(usize, usize)> = (0..level.len()).map(|at| (at, at + 1)).collect();
        for _ in 0..LEVELS {
            if memchr::memchr(b'\\', &level).is_none() {
                break;
            }
            let (mut next, mut next_places) = (Vec::new(), Vec::new());
            unescape(&level, &mut next, |start, end, bytes| {
                let whole = (places[start].0, places[end - 1].1);
                next_places.extend(std::iter::repeat_n(whole, bytes));
            });
            (level, places) = (next, next_places);
            hits.extend(self.find(&level).into_iter().map(|hit| Hit {
                start: places[hit.start].0,
                end: places[hit.end - 1].1,
                ..hit
            }));
        }
        hits.sort_by_key(|hit| (hit.start, hit.end));
        if matches!(text.trim_ascii_start().as_bytes().first(), Some(b'{' | b'[' | b'"')) {
            hits = within_values(text.as_bytes(), hits);
        }
        merged(hits)
    }
}

/// The text with marks where the hits are, which are in order and apart.
fn without(text: &str, hits: &[Hit]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for hit in hits {
        out.push_str(text.get(done..hit.start).unwrap_or_default());
        hit.put_mark(&mut out);
        done = hit.end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

/// Overlapping hits become one.
fn merged(hits: Vec<Hit>) -> Vec<Hit> {
    let mut apart: Vec<Hit> = Vec::with_capacity(hits.len());
    for hit in hits {
        match apart.last_mut() {
            Some(last) if hit.start < last.end => {
                last.bare |= hit.bare;
                last.base64 = last.base64.filter(|_| hit.base64.is_some() && hit.end <= last.end);
                last.end = last.end.max(hit.end);
            }
            _ => apart.push(hit),
        }
    }
    apart
}

/// What hits mean in JSON. Inside a string they are what they are, unless they begin or end within an escape, which
/// says something else. A number is hit as a whole. What crosses the end of a string is no value.
fn within_values(json: &[u8], hits: Vec<Hit>) -> Vec<Hit> {
    let is_scalar = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let mut kept = Vec::with_capacity(hits.len());
    let (mut at, mut in_string) = (0, false);
    for mut hit in hits {
        while at < hit.start {
            at += step(json, at, &mut in_string);
        }
        if at != hit.start {
            continue;
        }
        if in_string {
            let (mut end, mut inside) = (hit.start, true);
            while end < hit.end && inside {
                end += step(json, end, &mut inside);
            }
            if inside && end == hit.end {
                kept.push(hit);
            }
        } else if json[hit.start..hit.end].iter().all(|byte| is_scalar(*byte)) {
            hit.start -= json[..hit.start].iter().rev().take_while(|byte| is_scalar(**byte)).count();
            hit.end += json[hit.end..].iter().take_while(|byte| is_scalar(**byte)).count();
            kept.push(Hit { bare: true, ..hit });
        }
    }
    kept
}

/// The length of what stands there: an escape, or a byte; and whether a string begins or ends with it.
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

/// Undoes the escapes of JSON strings. `place` is told where each result stood, and how many bytes it has now.
fn unescape(text: &[u8], out: &mut Vec<u8>, mut place: impl FnMut(usize, usize, usize)) {
    let mut at = 0;
    while at < text.len() {
        let plain = memchr::memchr(b'\\', &text[at..]).unwrap_or(text.len() - at);
        for byte in at..at + plain {
            place(byte, byte + 1, 1);
        }
        out.extend_from_slice(&text[at..at + plain]);
        at += plain;
        if at < text.len() {
            let (c, length) = escape(&text[at..]);
            let mut bytes = [0; 4];
            let bytes = c.encode_utf8(&mut bytes).as_bytes();
            out.extend_from_slice(bytes);
            place(at, at + length, bytes.len());
            at += length;
        }
    }
}

/// What an escape means, and its length. What is no escape is the backslash that it begins with.
fn escape(text: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6).filter(|digits| digits.starts_with(b"\\u"))?;
        digits[2..].iter().try_fold(0u32, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
    };
    let c = match text.get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let Some(first) = unit(0) else { return ('\\', 1) };
            if let (0xd800..0xdc00, Some(second @ 0xdc00..0xe000)) = (first, unit(6)) {
                let both = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return (char::from_u32(both).unwrap_or('\u{fffd}'), 12);
            }
            return (char::from_u32(first).unwrap_or('\u{fffd}'), 6);
        }
        _ => return ('\\', 1),
    };
    (c, 2)
}
