//! Unescapes a text level by level, one window at a time.
//!
//! A peer may send a secret in JSON that is nested in a JSON string. Each level of nesting is read from the level below
//! it in windows, so that a search at every level needs memory for a few windows and not for copies of the whole text.

use memchr::memchr;
use smallvec::{SmallVec, smallvec};

/// The number of bytes that are read from the level below at a time.
const STEP: usize = 16 * 1024;
/// The length of the longest escape, a surrogate pair.
const ESCAPE: usize = 12;

/// A section of one level of the text.
#[derive(Default)]
pub(super) struct Window {
    pub bytes: Vec<u8>,
    /// For each byte, where its source begins and ends in the original text.
    pub places: Vec<(usize, usize)>,
    /// The level ends with this window.
    pub is_last: bool,
}

impl Window {
    /// Drops the first `count` bytes.
    pub fn forget(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.places.drain(..count);
    }
}

/// The source that fills a window.
pub(super) enum Level<'t> {
    /// The original text, and how many bytes of it were read.
    Text(&'t [u8], usize),
    /// The level below, and the unread rest of its last window.
    Unescaped(Box<Level<'t>>, Window),
}

impl<'t> Level<'t> {
    /// The text, unescaped `levels` times.
    pub fn new(text: &'t [u8], levels: usize) -> Self {
        (0..levels).fold(Self::Text(text, 0), |below, _| Self::Unescaped(Box::new(below), Window::default()))
    }

    /// Appends more bytes to a window that is not the last one.
    pub fn fill(&mut self, window: &mut Window) {
        match self {
            Self::Text(text, read) => {
                let end = text.len().min(*read + STEP);
                window.bytes.extend_from_slice(&text[*read..end]);
                window.places.extend((*read..end).map(|at| (at, at + 1)));
                *read = end;
                window.is_last = end == text.len();
            }
            Self::Unescaped(below, rest) => {
                below.fill(rest);
                let Window { bytes, places, .. } = window;
                let read = unescape(
                    &rest.bytes,
                    whole_escapes(&rest.bytes, rest.is_last),
                    bytes,
                    |start, end, count| {
                        let whole = (rest.places[start].0, rest.places[end - 1].1);
                        places.extend(std::iter::repeat_n(whole, count));
                    },
                );
                rest.forget(read);
                window.is_last = rest.is_last;
            }
        }
    }
}

/// True if `is_match` accepts any window of the text after it was unescaped once, twice, or up to `levels` times.
/// Windows overlap by at least `overlap` bytes.
pub(super) fn any_window(
    text: &[u8],
    levels: usize,
    overlap: usize,
    is_match: impl Fn(&[u8]) -> bool,
) -> bool {
    // The bytes of each level, and how many of them were already passed to the next level.
    let mut windows: SmallVec<[(Vec<u8>, usize); 4]> = smallvec![(Vec::new(), 0); levels];
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let mut fresh = Vec::with_capacity(rest.len().min(STEP));
        at += unescape(rest, rest.len().min(STEP), &mut fresh, |_, _, _| {});
        let is_last = at == text.len();
        for (level, (bytes, read)) in windows.iter_mut().enumerate() {
            if bytes.is_empty() {
                *bytes = std::mem::take(&mut fresh);
            } else {
                bytes.extend_from_slice(&fresh);
            }
            if is_match(bytes) {
                return true;
            }
            if level + 1 == levels {
                *read = bytes.len();
            } else {
                let unread = &bytes[*read..];
                if is_last && *read == 0 && memchr(b'\\', unread).is_none() {
                    // Without escapes, the levels above are the same text.
                    return false;
                }
                fresh = Vec::with_capacity(unread.len());
                *read += unescape(unread, whole_escapes(unread, is_last), &mut fresh, |_, _, _| {});
            }
            let forget = (*read).min(bytes.len().saturating_sub(overlap));
            bytes.drain(..forget);
            *read -= forget;
        }
    }
    false
}

/// An escape that begins before this position is completely in the window.
fn whole_escapes(window: &[u8], is_last: bool) -> usize {
    if is_last { window.len() } else { window.len().saturating_sub(ESCAPE - 1) }
}

/// Undoes the JSON escapes that begin before `until`, and returns how many bytes of the text were consumed. `place` is
/// called with the source range of each result and the number of bytes written for it; bytes that are not part of an
/// escape are passed one by one.
fn unescape(
    text: &[u8],
    until: usize,
    out: &mut Vec<u8>,
    mut place: impl FnMut(usize, usize, usize),
) -> usize {
    let mut at = 0;
    while at < until {
        let plain = memchr(b'\\', &text[at..until]).unwrap_or(until - at);
        for byte in at..at + plain {
            place(byte, byte + 1, 1);
        }
        out.extend_from_slice(&text[at..at + plain]);
        at += plain;
        if at < until {
            let (c, length) = escape(&text[at..]);
            let mut bytes = [0; 4];
            let bytes = c.encode_utf8(&mut bytes).as_bytes();
            out.extend_from_slice(bytes);
            place(at, at + length, bytes.len());
            at += length;
        }
    }
    at
}

/// The character that an escape stands for, and the length of the escape. An invalid escape is taken as a plain
/// backslash.
pub(super) fn escape(text: &[u8]) -> (char, usize) {
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
