//! Trace context (W3C Trace Context, level 1): the ids by which spans of agents join those of a job.
//!
//! They are those of the job and of the attempt, which facts have before anything is sent: so the trace of a job is known
//! to every later process, and jobs of earlier versions have one too.

use std::fmt;

use crate::domain::id::{AttemptId, JobId};

/// Where an agent gets the trace context of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TraceCarrier {
    /// In the HTTP header `traceparent`.
    Headers,
    /// In the metadata of the message, for agents behind something that drops headers.
    Metadata,
    /// In both.
    Both,
    /// Nowhere.
    Off,
}

impl TraceCarrier {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Headers, Self::Metadata, Self::Both, Self::Off];

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Metadata => "metadata",
            Self::Both => "both",
            Self::Off => "off",
        }
    }

    /// The carrier of a word in the configuration.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|carrier| carrier.as_str() == word)
    }

    /// True if the header is sent.
    pub fn in_headers(self) -> bool {
        matches!(self, Self::Headers | Self::Both)
    }

    /// True if the metadata of messages has it.
    pub fn in_metadata(self) -> bool {
        matches!(self, Self::Metadata | Self::Both)
    }
}

/// The trace of a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TraceId(pub [u8; 16]);

impl From<JobId> for TraceId {
    fn from(job: JobId) -> Self {
        Self(job.0.into_bytes())
    }
}

impl fmt::Display for TraceId {
    /// 32 lowercase hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for TraceId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        from_hex(text).map(Self)
    }
}

/// A text that is no id of a trace or span: not as many hexadecimal digits, or all of them zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAnId;

fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], NotAnId> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(NotAnId);
    }
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).map_err(|_| NotAnId)?;
    }
    if bytes == [0; N] { Err(NotAnId) } else { Ok(bytes) }
}

/// The span of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SpanId(pub [u8; 8]);

impl From<AttemptId> for SpanId {
    /// The random half of the id, which is never zero: it has the variant's bit.
    fn from(attempt: AttemptId) -> Self {
        let bytes = attempt.0.into_bytes();
        Self(std::array::from_fn(|place| bytes[8 + place]))
    }
}

impl std::str::FromStr for SpanId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        from_hex(text).map(Self)
    }
}

impl fmt::Display for SpanId {
    /// 16 lowercase hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The parent of what an agent does for an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span that called.
    pub span: SpanId,
}

impl TraceParent {
    /// The span of an attempt in the trace of its job.
    pub fn of(job: JobId, attempt: AttemptId) -> Self {
        Self { trace: job.into(), span: attempt.into() }
    }
}

impl fmt::Display for TraceParent {
    /// The value of the header `traceparent`, sampled.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", self.trace, self.span)
    }
}

impl std::str::FromStr for TraceParent {
    type Err = NotAnId;

    /// Reads the value of the header `traceparent`; fields that later versions append are left alone.
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let mut fields = text.split('-');
        let (version, trace, span) = (fields.next(), fields.next(), fields.next());
        let flags = fields.next();
        let is_hex = |field: Option<&str>| {
            field.is_some_and(|field| field.len() == 2 && field.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        if !is_hex(version) || version == Some("ff") || !is_hex(flags) {
            return Err(NotAnId);
        }
        Ok(Self { trace: trace.unwrap_or_default().parse()?, span: span.unwrap_or_default().parse()? })
    }
}

/// The trace that a text names, by its id or in a traceparent, and the span of the latter.
pub fn named(text: &str) -> Option<(TraceId, Option<SpanId>)> {
    if let Ok(trace) = text.parse() {
        return Some((trace, None));
    }
    let parent: TraceParent = text.parse().ok()?;
    Some((parent.trace, Some(parent.span)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Rng;
    use crate::domain::time::At;

    #[test]
    fn a_parent_is_written_as_w3c_wants_it() {
        let uuid = |text: &str| text.parse().unwrap();
        let job = JobId(uuid("0192f3a0-1b2c-7d3e-8f40-5162738495a6"));
        let attempt = AttemptId(uuid("0192f3a0-1b2c-7d3f-9a0b-1c2d3e4f5061"));
        let parent = TraceParent::of(job, attempt).to_string();
        assert_eq!(parent, "00-0192f3a01b2c7d3e8f405162738495a6-9a0b1c2d3e4f5061-01");
        assert_eq!(parent.parse(), Ok(TraceParent::of(job, attempt)));
        assert_eq!(parent.replacen("00", "01", 1).parse(), Ok(TraceParent::of(job, attempt)));
        for broken in ["", "0", "ff", "0x"] {
            assert_eq!(parent.replacen("00", broken, 1).parse::<TraceParent>(), Err(NotAnId), "{broken}");
        }
        for broken in ["00-0-0-01", &parent[..52], &parent.replace("9a0b", "0x0b"), "00-\u{1b}[2J-é-01"] {
            assert_eq!(broken.parse::<TraceParent>(), Err(NotAnId), "{broken:?}");
        }
    }

    #[test]
    fn a_trace_is_named_by_its_id_or_in_a_traceparent() {
        let id = "0192f3a01b2c7d3e8f405162738495a6";
        let trace = id.parse().unwrap();
        let span = "9a0b1c2d3e4f5061".parse().unwrap();
        for (text, expected) in [
            (id.to_owned(), Some((trace, None))),
            (format!("00-{id}-9a0b1c2d3e4f5061-01"), Some((trace, Some(span)))),
            (format!("01-{id}-9a0b1c2d3e4f5061-01-more"), Some((trace, Some(span)))),
            (format!("00-{id}-9a0b1c2d3e4f5061"), None),
            (format!("ff-{id}-9a0b1c2d3e4f5061-01"), None),
            ("0".repeat(32), None),
            (String::new(), None),
        ] {
            assert_eq!(named(&text), expected, "{text}");
        }
    }

    #[test]
    fn ids_of_spans_are_never_zero_and_differ() {
        let mut rng = Rng::new(7);
        let spans: std::collections::BTreeSet<SpanId> =
            (0..1000).map(|_| SpanId::from(AttemptId(rng.uuid(At::ZERO)))).collect();
        assert_eq!(spans.len(), 1000);
        assert!(!spans.contains(&SpanId([0; 8])));
    }
}
