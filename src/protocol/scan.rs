//! A cursor over JSON text, for the few shapes that come thousands of times a second.
//!
//! It knows only these shapes and gives up on anything else; the caller then uses the full decoder.
//! `tests/it/recordings.rs` compares both.

use std::borrow::Cow;

use super::Event;

/// Somewhere in a JSON text.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A scanner at the start of the text.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Where the next value begins, in bytes.
    pub fn here(&mut self) -> Option<usize> {
        self.peek().map(|_| self.at)
    }

    /// The text passed since `start`.
    pub fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    /// Skips one byte, if it is the next after white space.
    pub fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Nothing but white space is left.
    pub fn end(mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// The raw text between a string's quotes, and whether it has escapes.
    fn string(&mut self) -> Option<(&'a str, bool)> {
        self.eat(b'"')?;
        let (text, start) = (self.text, self.at);
        let mut escapes = false;
        loop {
            self.at += plain(text.as_bytes().get(self.at..)?);
            match text.as_bytes().get(self.at)? {
                b'"' => break,
                b'\\' => {
                    escapes = true;
                    self.at += 2;
                }
                // A bare control character is no JSON.
                _ => return None,
            }
        }
        let end = self.at;
        self.at += 1;
        Some((&text[start..end], escapes))
    }

    /// A string. Half a surrogate pair is not understood here.
    pub fn text(&mut self) -> Option<Cow<'a, str>> {
        let (text, escapes) = self.string()?;
        if escapes { unescaped(text).map(Cow::Owned) } else { Some(Cow::Borrowed(text)) }
    }

    /// A string without escapes.
    pub fn plain(&mut self) -> Option<&'a str> {
        self.string().and_then(|(text, escapes)| (!escapes).then_some(text))
    }

    /// `true` or `false`.
    pub fn flag(&mut self) -> Option<bool> {
        self.peek()?;
        let rest = &self.text[self.at..];
        let (word, value) = if rest.starts_with("true") { ("true", true) } else { ("false", false) };
        rest.starts_with(word).then(|| self.at += word.len())?;
        Some(value)
    }

    /// Steps over a string without escapes or a whole number.
    pub fn skip_scalar(&mut self) -> Option<()> {
        if self.peek()? == b'"' {
            return self.plain().map(|_| ());
        }
        let rest = &self.text.as_bytes()[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_number = digits == 1 || (digits > 1 && rest[0] != b'0');
        (is_number && digits < 16).then(|| self.at += digits)
    }

    /// An object: `take` reads the value of each member. A name with escapes is not understood.
    pub fn members(&mut self, mut take: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.eat(b'{')?;
        loop {
            let name = self.plain()?;
            self.eat(b':')?;
            take(self, name)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    /// An array of one value.
    pub fn only<T>(&mut self, take: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.eat(b'[')?;
        let value = take(self)?;
        self.eat(b']')?;
        Some(value)
    }
}

/// The value of a string with escapes.
fn unescaped(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let mut used = 2;
        out.push(match rest.as_bytes().get(at + 1)? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                used = 6;
                let digits = rest.get(at + 2..at + 6)?;
                // `from_str_radix` also accepts a sign.
                let all = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                all.then(|| u32::from_str_radix(digits, 16).ok()).flatten().and_then(char::from_u32)?
            }
            _ => return None,
        });
        rest = rest.get(at + used..)?;
    }
    out.push_str(rest);
    Some(out)
}

/// The raw text between the quotes, if the text is exactly one string.
pub fn inside_quotes(text: &str) -> Option<Cow<'_, str>> {
    let plain = plain(text.as_bytes());
    if plain == text.len() {
        return Some(Cow::Borrowed(text));
    }
    // The quote that ends the string must be the one behind the text.
    let mut at = plain;
    while let Some(byte) = text.as_bytes().get(at) {
        at += match byte {
            b'\\' => 2,
            b'"' | 0..b' ' => return None,
            _ => 1 + self::plain(&text.as_bytes()[at + 1..]),
        };
    }
    if at == text.len() { unescaped(text).map(Cow::Owned) } else { None }
}

/// How many bytes come before a quote, a backslash or a control character. Sixteen at a time, which the
/// compiler makes one comparison of.
fn plain(bytes: &[u8]) -> usize {
    let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    let (blocks, _) = bytes.as_chunks::<16>();
    let clean = blocks.iter().take_while(|block| !block.iter().fold(false, |any, byte| any | special(*byte)));
    let start = clean.count() * 16;
    start + bytes[start..].iter().take_while(|byte| !special(**byte)).count()
}

/// The result of a JSON-RPC answer that holds nothing else but its id.
pub fn rpc_result<'a, T>(data: &'a str, mut take: impl FnMut(&mut Cursor<'a>) -> Option<T>) -> Option<T> {
    let mut cursor = Cursor::new(data);
    let mut result = None;
    cursor.members(|cursor, name| match name {
        "jsonrpc" | "id" => cursor.skip_scalar(),
        "result" => once(&mut result, take(cursor)),
        _ => None,
    })?;
    cursor.end()?;
    result
}

/// A chunk of appended plain text, with the members that both versions share.
#[derive(Debug, Default)]
pub struct Chunk<'a> {
    task: Option<Cow<'a, str>>,
    artifact: Option<Cow<'a, str>>,
    text: Option<Cow<'a, str>>,
    append: Option<bool>,
    last: Option<bool>,
}

impl<'a> Chunk<'a> {
    /// Reads a member of the update; `part` reads the text of its only part.
    pub fn member(
        &mut self,
        cursor: &mut Cursor<'a>,
        name: &str,
        part: fn(&mut Cursor<'a>) -> Option<Cow<'a, str>>,
    ) -> Option<()> {
        match name {
            "taskId" => once(&mut self.task, cursor.text()),
            "contextId" => cursor.skip_scalar(),
            "append" => once(&mut self.append, cursor.flag()),
            "lastChunk" => once(&mut self.last, cursor.flag()),
            "artifact" => cursor.members(|cursor, name| match name {
                "artifactId" => once(&mut self.artifact, cursor.text()),
                "name" => cursor.skip_scalar(),
                "parts" => once(&mut self.text, cursor.only(part)),
                _ => None,
            }),
            _ => None,
        }
    }

    /// The event, if it is one.
    pub fn event(self) -> Option<Event<'a>> {
        let Self { task: Some(task), artifact: Some(artifact), text: Some(text), append: Some(true), last } =
            self
        else {
            return None;
        };
        Some(Event::Chunk { task, artifact, text, last: last.unwrap_or(false) })
    }
}

/// Stores a member's value; a duplicate member is not understood.
pub fn once<T>(place: &mut Option<T>, value: Option<T>) -> Option<()> {
    if place.is_some() {
        return None;
    }
    *place = value;
    place.as_ref().map(|_| ())
}

#[cfg(test)]
pub(super) mod tests {
    use crate::domain::job::message::{Artifact, Part};
    use crate::domain::job::task::StreamEvent;
    use crate::protocol::{Deviations, Event};

    /// Replacements for a byte, in turn.
    pub const CHANGES: [&[u8]; 13] =
        [b"", b"\"", b"\\", b" ", b"x", b"0", b"{", b"}", b"[", b",", b":", b"\n", b"\xc3\xa9"];

    type FullDecoder = fn(&str, &mut Deviations) -> Result<Event<'static>, crate::domain::cause::Cause>;

    /// The fast path and the full decoder agree, for the text and for every change of one byte in it.
    pub fn check(text: &str, quick: fn(&str) -> Option<Event<'_>>, long: FullDecoder) {
        assert!(quick(text).is_some(), "the quick way does not know {text}");
        let bytes = text.as_bytes();
        for at in 0..bytes.len() {
            for change in CHANGES {
                let changed = [&bytes[..at], change, &bytes[at + 1..]].concat();
                same(&String::from_utf8_lossy(&changed), quick, long);
            }
        }
        same(text, quick, long);
    }

    fn same(text: &str, quick: fn(&str) -> Option<Event<'_>>, long: FullDecoder) {
        let Some(quick) = quick(text) else { return };
        let mut deviations = Deviations::default();
        let long = long(text, &mut deviations)
            .unwrap_or_else(|cause| panic!("only the quick way reads {text}: {cause}"));
        assert!(deviations.is_empty(), "the quick way notes nothing of {text}: {deviations:?}");
        assert_eq!(shown(quick), shown(long), "{text}");
    }

    /// A chunk in normal form. A name or a context may be present; neither changes an append.
    fn shown(event: Event<'_>) -> String {
        let event = match event {
            Event::Chunk { task, artifact, text, last } => StreamEvent::Artifact {
                task: (!task.is_empty()).then(|| (*task).into()),
                context: None,
                artifact: Artifact::new(&*artifact, vec![Part::text(&*text)]),
                append: true,
                last,
            },
            Event::Full(StreamEvent::Artifact { task, artifact, append, last, .. }) => {
                let artifact = Artifact { name: None, ..artifact };
                StreamEvent::Artifact { task, context: None, artifact, append, last }
            }
            Event::Full(event) => event,
            Event::Error(cause) => return cause.to_string(),
        };
        format!("{event:?}")
    }
}
