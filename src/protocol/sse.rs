//! Server-sent events, behind a guard that no peer can hurt.
//!
//! `eventsource-stream` panics on a byte order mark and takes time that grows with the square of a long line. [`Guard`]
//! precedes it: it strips the mark, turns CR and CRLF into LF, replaces invalid UTF-8, limits lines and events, and
//! passes on one whole event at a time. An event that is a single `data:` line, as nearly all are, needs no parser;
//! every other goes through `eventsource-stream`. Servers without framing are understood too: a line that is a JSON
//! document is an event, and the last event needs no empty line after it if its data is a whole JSON document.
//! `tests/it/sse.rs` checks that both ways agree, and that chunking makes no difference.

use std::borrow::Cow;

use eventsource_stream::EventStream;
use futures_util::{FutureExt, StreamExt, stream};

use super::json::is_document;
use crate::domain::cause::{Cause, Limit};
use crate::domain::limits;

/// A line or an event longer than this ends its stream with an error.
pub const MOST: usize = limits::EVENT;

/// One event: its name, if it has one, and its data lines joined by line feeds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event<'a> {
    /// The `event:` field; empty if there is none.
    pub name: Cow<'a, str>,
    /// The `data:` lines.
    pub data: Cow<'a, str>,
}

/// Splits a byte stream into whole events.
#[derive(Debug, Default)]
pub struct Guard {
    /// Bytes of a line that has not ended.
    line: Vec<u8>,
    /// The lines of the event so far, without comments, each ended by a line feed.
    event: String,
    lines: u32,
    /// Bytes of the mark that may still come; 3 once the start is past.
    mark: usize,
    /// The last byte was a CR: a line feed that follows belongs to it.
    after_cr: bool,
    /// Comments seen; servers send them to keep connections open.
    comments: u64,
    /// Empty lines that ended no event.
    empty: u64,
}

const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

impl Guard {
    /// A guard at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of the event that has not ended.
    pub fn pending(&self) -> usize {
        self.line.len() + self.event.len()
    }

    /// Reserves memory for a large event that has begun.
    pub fn reserve(&mut self) {
        self.line.reserve_exact(limits::RESERVED.saturating_sub(self.line.len()));
        self.event.reserve_exact(limits::RESERVED.saturating_sub(self.event.len()));
    }

    /// Gives back the memory of a large event that has ended.
    pub fn shrink(&mut self) {
        self.line.shrink_to(limits::RAW);
        self.event.shrink_to(limits::RAW);
    }

    /// Lines so far that no event came of: comments, and empty lines behind nothing.
    pub fn idle_lines(&self) -> u64 {
        self.comments + self.empty
    }

    /// Takes bytes in and hands each event that they complete to `take`.
    ///
    /// # Errors
    /// [`Limit::SseLine`] or [`Limit::SseEvent`]; the stream must be closed then.
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Event<'_>)) -> Result<(), Cause> {
        let mut rest = self.skip_mark(bytes);
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
            let (line, tail) = rest.split_at(end);
            rest = match (tail[0], tail.get(1)) {
                (b'\r', Some(b'\n')) => &tail[2..],
                (b'\r', None) => {
                    self.after_cr = true;
                    &tail[1..]
                }
                _ => &tail[1..],
            };
            if self.lines == 0
                && self.line.is_empty()
                && line.len() <= MOST
                && let Some(after) = rest.strip_prefix(b"\n")
                && let Some(data) = line.strip_prefix(b"data:")
            {
                // Nearly every event: one line, whole, and the empty line behind it.
                rest = after;
                let data = lossy(data.strip_prefix(b" ").unwrap_or(data));
                take(Event { name: Cow::Borrowed(""), data });
            } else if self.line.is_empty() {
                self.end_line(line, &mut take)?;
            } else {
                if self.line.len() + line.len() > MOST {
                    return Err(Cause::Limit(Limit::SseLine));
                }
                self.line.extend_from_slice(line);
                let whole = std::mem::take(&mut self.line);
                if whole.len() > limits::SMALL && whole.starts_with(b"data:") && self.lines == 0 {
                    // The first line of a large event is not copied.
                    self.event = String::from_utf8(whole)
                        .unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned());
                    self.event.push('\n');
                    self.lines = 1;
                    continue;
                }
                self.end_line(&whole, &mut take)?;
                self.line = whole;
                self.line.clear();
            }
        }
        if self.line.len() + rest.len() > MOST {
            return Err(Cause::Limit(Limit::SseLine));
        }
        self.line.extend_from_slice(rest);
        Ok(())
    }

    /// The stream has ended: an unterminated event is accepted if its data is a whole JSON document. Anything else is
    /// dropped, as the standard requires.
    pub fn finish(&mut self, mut take: impl FnMut(Event<'_>)) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() && self.end_line(&line, &mut take).is_err() {
            return;
        }
        self.end_event(&mut |event: Event<'_>| {
            if event.data.trim_start().starts_with('{') && is_document(&event.data) {
                take(event);
            }
        });
    }

    /// Drops a byte order mark at the very start, also if it comes in pieces.
    fn skip_mark<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let mut rest = bytes;
        while self.mark < MARK.len() {
            match rest.split_first() {
                None => break,
                Some((first, tail)) if *first == MARK[self.mark] => {
                    self.mark += 1;
                    rest = tail;
                }
                Some(_) => {
                    // Not a byte order mark after all: its bytes are ordinary data.
                    self.line.extend_from_slice(&MARK[..self.mark]);
                    self.mark = MARK.len();
                }
            }
        }
        rest
    }

    fn end_line(&mut self, line: &[u8], take: &mut impl FnMut(Event<'_>)) -> Result<(), Cause> {
        if line.len() > MOST {
            return Err(Cause::Limit(Limit::SseLine));
        }
        if line.is_empty() {
            self.end_event(take);
            return Ok(());
        }
        if line[0] == b':' {
            self.comments += 1;
            return Ok(());
        }
        if self.lines == 0
            && let Some(document) = json_line(line)
        {
            take(Event { name: Cow::Borrowed(""), data: lossy(document) });
            return Ok(());
        }
        if line.starts_with(&MARK) {
            // A byte order mark is valid only at the very start; here it makes the field name unknown.
            return Ok(());
        }
        if self.event.len() + line.len() > MOST {
            return Err(Cause::Limit(Limit::SseEvent));
        }
        self.event.push_str(&lossy(line));
        self.event.push('\n');
        self.lines += 1;
        Ok(())
    }

    fn end_event(&mut self, take: &mut impl FnMut(Event<'_>)) {
        let lines = std::mem::take(&mut self.lines);
        if lines == 1
            && let Some(data) = self.event.strip_prefix("data:")
        {
            let data = data.strip_prefix(' ').unwrap_or(data);
            let data = data.strip_suffix('\n').unwrap_or(data);
            take(Event { name: Cow::Borrowed(""), data: Cow::Borrowed(data) });
        } else if lines == 0 {
            self.empty += 1;
        } else {
            self.event.push('\n');
            match parse(&self.event) {
                Some((name, data)) => take(Event { name: Cow::Owned(name), data: Cow::Owned(data) }),
                None => self.empty += 1,
            }
        }
        self.event.clear();
    }
}

/// A line that is a JSON object, as in NDJSON and JSON text sequences. No field of an event stream looks like one.
fn json_line(line: &[u8]) -> Option<&[u8]> {
    let line = line.trim_ascii_start();
    // The separator of JSON text sequences (RFC 7464).
    let line = line.strip_prefix(b"\x1e").unwrap_or(line).trim_ascii();
    let inside = line.strip_prefix(b"{")?.trim_ascii_start();
    (inside.starts_with(b"\"") && is_document(&lossy(line))).then_some(line)
}

/// Text with invalid bytes replaced. Checking for valid text is much faster than that search.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Reads one whole event, ended by an empty line, by `eventsource-stream`.
///
/// An event without data is ignored, as the standard requires.
pub fn parse(event: &str) -> Option<(String, String)> {
    let whole = stream::iter([Ok::<_, std::convert::Infallible>(event.as_bytes())]);
    let mut events = EventStream::new(whole);
    let event = events.next().now_or_never()??.ok()?;
    // An event without a name is called "message" by the standard.
    let name = if event.event == "message" { String::new() } else { event.event };
    Some((name, event.data))
}
