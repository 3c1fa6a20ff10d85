//! How facts and rows are written down: JSON bodies, apart from the domain's own shape.
//!
//! Each type names its members once, for both directions. Absent members read as empty, so a later version may add
//! some. A change of meaning gets a new version and an upcast in [`upcast`]; `tests/fixtures/store` has a journal of
//! each released version.

pub mod audit;
mod entity;
mod fact;
mod parts;

pub use entity::{AttemptRow, ProblemRow};

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::id::{AgentId, AttemptId, ContextId, JobId, MessageId, TaskId};
use crate::domain::job::message::Json;
use crate::domain::text::Untrusted;
use crate::domain::time::{At, PeerTime};
use crate::protocol::json::{Members, Object, Writer, elements, push_string, says_nothing, text_of};

/// The version of bodies that this program writes.
pub const VERSION: i64 = 1;

/// The kind of a stored body; each kind has its own version history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum BodyKind {
    /// A fact of the journal.
    Fact,
    /// The row of an agent.
    Agent,
    /// The row of a job.
    Job,
    /// The row of an attempt.
    Attempt,
    /// The row of a problem.
    Problem,
    /// The row of a source of agents.
    Source,
    /// A row of the audit.
    Audit,
    /// The row of an agent in the registry that we serve.
    Registered,
}

impl BodyKind {
    /// The table that holds such bodies.
    pub fn table(self) -> &'static str {
        match self {
            Self::Fact => "fact",
            Self::Agent => "agent",
            Self::Job => "job",
            Self::Attempt => "attempt",
            Self::Problem => "problem",
            Self::Source => "source",
            Self::Audit => "audit",
            Self::Registered => "registration",
        }
    }
}

/// Brings a body that an older version wrote into the form of [`VERSION`].
#[expect(clippy::match_single_binding, reason = "the place for what later versions change")]
pub fn upcast(kind: BodyKind, version: i64, body: String) -> String {
    match (kind, version) {
        // Every body is of the first version, which is the present one.
        _ => body,
    }
}

/// A value that can be stored. Each type implements one of the two write methods, and the other in terms of it: large
/// ones append, so that nothing is copied again on every level.
pub trait Record: Sized {
    /// The JSON text; `null` if the value is empty.
    fn put(&self) -> String {
        let mut out = String::new();
        self.put_into(&mut out);
        out
    }

    /// Appends the JSON text.
    fn put_into(&self, out: &mut String) {
        out.push_str(&self.put());
    }

    /// From JSON text; `null` stands for an absent member.
    fn get(raw: &str) -> Option<Self>;
}

/// Adds a member unless it is empty.
fn add<T: Record>(members: &mut Members<'_>, key: &str, value: &T) {
    members.member(key, |out| value.put_into(out));
}

/// Adds a member unless it is empty.
pub(crate) fn put_member<T: Record>(writer: Writer, key: &str, value: &T) -> Writer {
    let json = value.put();
    if says_nothing(&json) { writer } else { writer.raw(key, &json) }
}

/// Reads a member.
pub(crate) fn member<T: Record>(object: &Object<'_>, key: &str) -> Option<T> {
    T::get(object.raw(key).unwrap_or("null"))
}

/// The name under which a member is stored: its own, or the one of the first version that had it.
macro_rules! stored_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $stored:literal) => {
        $stored
    };
}

/// A struct whose members are written under their names, or under the name behind `as`.
macro_rules! record {
    ($($type:ty { $($field:ident $(as $stored:literal)?),* $(,)? })*) => {$(
        impl $crate::store::record::Record for $type {
            fn put_into(&self, out: &mut String) {
                let mut writer = $crate::protocol::json::Members::begin(out);
                $(writer.member($crate::store::record::stored_name!($field $($stored)?), |out| {
                    $crate::store::record::Record::put_into(&self.$field, out);
                });)*
                writer.end();
            }

            fn get(raw: &str) -> Option<Self> {
                let object = $crate::protocol::json::Object::parse(raw).ok()?;
                Some(Self { $(
                    $field: $crate::store::record::member(
                        &object,
                        $crate::store::record::stored_name!($field $($stored)?),
                    )?
                ),* })
            }
        }
    )*};
}

/// An enum of bare words.
macro_rules! words {
    ($($type:ty { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        impl $crate::store::record::Record for $type {
            fn put_into(&self, out: &mut String) {
                out.push_str(match self { $(Self::$variant => concat!("\"", $word, "\""),)* });
            }

            fn get(raw: &str) -> Option<Self> {
                match &*$crate::protocol::json::text_of(raw)? {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    )*};
}

pub(crate) use {record, stored_name, words};

impl Record for Untrusted {
    fn put_into(&self, out: &mut String) {
        push_string(out, self.raw());
    }

    fn get(raw: &str) -> Option<Self> {
        Some(text_of(raw).map_or_else(|| Self::from(""), |text| Self::new(&*text)))
    }
}

impl Record for Arc<str> {
    fn put_into(&self, out: &mut String) {
        push_string(out, self);
    }

    fn get(raw: &str) -> Option<Self> {
        Some(text_of(raw).map_or_else(|| Self::from(""), |text| Self::from(&*text)))
    }
}

/// Opaque JSON is kept as text, so that it is returned exactly.
impl Record for Json {
    fn put_into(&self, out: &mut String) {
        push_string(out, self.raw());
    }

    fn get(raw: &str) -> Option<Self> {
        text_of(raw).map(|text| Self::new(&*text))
    }
}

impl Record for bool {
    fn put_into(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }

    fn get(raw: &str) -> Option<Self> {
        Some(raw == "true")
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Record for $type {
            fn put_into(&self, out: &mut String) {
                let _infallible = write!(out, "{self}");
            }

            fn get(raw: &str) -> Option<Self> {
                if raw == "null" { Some(0) } else { raw.parse().ok() }
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64, i64);

impl Record for At {
    fn put_into(&self, out: &mut String) {
        self.micros().put_into(out);
    }

    fn get(raw: &str) -> Option<Self> {
        i64::get(raw).map(Self::from_micros)
    }
}

impl Record for PeerTime {
    fn put_into(&self, out: &mut String) {
        let _infallible = write!(out, "{}", self.micros());
    }

    fn get(raw: &str) -> Option<Self> {
        raw.parse().ok().map(Self::from_micros)
    }
}

impl Record for Duration {
    fn put_into(&self, out: &mut String) {
        u64::try_from(self.as_micros()).unwrap_or(u64::MAX).put_into(out);
    }

    fn get(raw: &str) -> Option<Self> {
        u64::get(raw).map(Self::from_micros)
    }
}

impl Record for Uuid {
    fn put_into(&self, out: &mut String) {
        out.push('"');
        out.push_str(self.hyphenated().encode_lower(&mut Self::encode_buffer()));
        out.push('"');
    }

    fn get(raw: &str) -> Option<Self> {
        Self::try_parse(&text_of(raw)?).ok()
    }
}

macro_rules! ids {
    ($($type:ident),*) => {$(
        impl Record for $type {
            fn put_into(&self, out: &mut String) {
                self.0.put_into(out);
            }

            fn get(raw: &str) -> Option<Self> {
                if raw == "null" { return None; }
                Record::get(raw).map(Self)
            }
        }
    )*};
}

ids!(AgentId, JobId, AttemptId);

macro_rules! peer_ids {
    ($($type:ident),*) => {$(
        impl Record for $type {
            fn put_into(&self, out: &mut String) {
                push_string(out, &self.raw());
            }

            fn get(raw: &str) -> Option<Self> {
                if raw == "null" { return None; }
                Some(text_of(raw).map_or_else(|| Self::from(""), |text| Self::from(&*text)))
            }
        }
    )*};
}

peer_ids!(TaskId, ContextId, MessageId);

impl<T: Record> Record for Option<T> {
    fn put_into(&self, out: &mut String) {
        match self {
            Some(value) => value.put_into(out),
            None => out.push_str("null"),
        }
    }

    fn get(raw: &str) -> Option<Self> {
        if raw == "null" { Some(None) } else { T::get(raw).map(Some) }
    }
}

impl<T: Record> Record for Arc<T> {
    fn put_into(&self, out: &mut String) {
        T::put_into(self, out);
    }

    fn get(raw: &str) -> Option<Self> {
        T::get(raw).map(Self::new)
    }
}

impl<T: Record> Record for Box<T> {
    fn put_into(&self, out: &mut String) {
        T::put_into(self, out);
    }

    fn get(raw: &str) -> Option<Self> {
        T::get(raw).map(Self::new)
    }
}

impl<T: Record> Record for Vec<T> {
    fn put_into(&self, out: &mut String) {
        out.push('[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            item.put_into(out);
        }
        out.push(']');
    }

    fn get(raw: &str) -> Option<Self> {
        if raw == "null" {
            return Some(Self::new());
        }
        elements(raw)?.into_iter().map(T::get).collect()
    }
}

/// A pair, as an array of two.
impl<A: Record, B: Record> Record for (A, B) {
    fn put_into(&self, out: &mut String) {
        out.push('[');
        self.0.put_into(out);
        out.push(',');
        self.1.put_into(out);
        out.push(']');
    }

    fn get(raw: &str) -> Option<Self> {
        match elements(raw)?.as_slice() {
            [a, b] => Some((A::get(a)?, B::get(b)?)),
            _ => None,
        }
    }
}
