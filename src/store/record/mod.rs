//! How facts and rows are written down: JSON bodies, apart from the domain's own shape.
//!
//! Each type names its members once, and both directions follow from that. Members that are absent
//! read as empty, so a later version may add some. What changes meaning gets a new version and an
//! upcast in [`upcast`]; `tests/fixtures/store` keeps a journal of each released version.

mod entity;
mod fact;
mod parts;

pub use entity::{AttemptRow, ProblemRow};

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::id::{AgentId, AttemptId, ContextId, JobId, MessageId, TaskId};
use crate::domain::message::Json;
use crate::domain::text::Untrusted;
use crate::domain::time::{At, PeerTime};
use crate::protocol::json::{Object, Writer, array, elements, string, text_of};

/// The version of bodies that this program writes.
pub const VERSION: i64 = 1;

/// Brings the body of an older version up to the present one.
#[expect(clippy::match_single_binding, reason = "the place for what later versions change")]
pub fn upcast(version: i64, body: String) -> String {
    match version {
        // The first version is the present one.
        _ => body,
    }
}

/// Something that can be written down and read back.
pub trait Record: Sized {
    /// As JSON text; `null` if there is nothing to say.
    fn put(&self) -> String;

    /// From JSON text; `null` stands for an absent member.
    fn get(raw: &str) -> Option<Self>;
}

/// Adds a member unless it says nothing.
pub(crate) fn put_member<T: Record>(writer: Writer, key: &str, value: &T) -> Writer {
    let json = value.put();
    if matches!(json.as_str(), "null" | "[]" | "false") { writer } else { writer.raw(key, &json) }
}

/// Reads a member.
pub(crate) fn member<T: Record>(object: &Object<'_>, key: &str) -> Option<T> {
    T::get(object.raw(key).unwrap_or("null"))
}

/// A struct whose members are written under their names.
macro_rules! record {
    ($($type:ty { $($field:ident),* $(,)? })*) => {$(
        impl $crate::store::record::Record for $type {
            fn put(&self) -> String {
                let writer = $crate::protocol::json::Writer::new();
                $(let writer = $crate::store::record::put_member(writer, stringify!($field), &self.$field);)*
                writer.end()
            }

            fn get(raw: &str) -> Option<Self> {
                let object = $crate::protocol::json::Object::parse(raw).ok()?;
                Some(Self { $($field: $crate::store::record::member(&object, stringify!($field))?),* })
            }
        }
    )*};
}

/// An enum of bare words.
macro_rules! words {
    ($($type:ty { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        impl $crate::store::record::Record for $type {
            fn put(&self) -> String {
                match self { $(Self::$variant => concat!("\"", $word, "\"").to_owned(),)* }
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

/// An enum whose variants hold named members; `what` tells the variant.
macro_rules! variants {
    ($type:ty { $($variant:ident = $word:literal { $($field:ident),* $(,)? }),* $(,)? }) => {
        impl $crate::store::record::Record for $type {
            fn put(&self) -> String {
                match self {$(
                    Self::$variant { $($field),* } => {
                        let writer = $crate::protocol::json::Writer::new().text("what", $word);
                        $(let writer = $crate::store::record::put_member(writer, stringify!($field), $field);)*
                        writer.end()
                    }
                )*}
            }

            fn get(raw: &str) -> Option<Self> {
                let object = $crate::protocol::json::Object::parse(raw).ok()?;
                match &*object.text("what")? {
                    $($word => Some(Self::$variant {
                        $($field: $crate::store::record::member(&object, stringify!($field))?),*
                    }),)*
                    _ => None,
                }
            }
        }

        impl $type {
            /// The word under which the variant is stored.
            #[allow(unused_variables, reason = "members are matched only to name the variant")]
            pub fn stored_as(&self) -> &'static str {
                match self { $(Self::$variant { $($field),* } => $word,)* }
            }
        }
    };
}

pub(crate) use {record, variants, words};

impl Record for Untrusted {
    fn put(&self) -> String {
        string(self.raw())
    }

    fn get(raw: &str) -> Option<Self> {
        Some(text_of(raw).map_or_else(|| Self::from(""), |text| Self::new(&*text)))
    }
}

impl Record for Arc<str> {
    fn put(&self) -> String {
        string(self)
    }

    fn get(raw: &str) -> Option<Self> {
        Some(text_of(raw).map_or_else(|| Self::from(""), |text| Self::from(&*text)))
    }
}

/// JSON that is carried is kept as text, so that it comes back to the letter.
impl Record for Json {
    fn put(&self) -> String {
        string(self.raw())
    }

    fn get(raw: &str) -> Option<Self> {
        text_of(raw).map(|text| Self::new(&*text))
    }
}

impl Record for bool {
    fn put(&self) -> String {
        self.to_string()
    }

    fn get(raw: &str) -> Option<Self> {
        Some(raw == "true")
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Record for $type {
            fn put(&self) -> String {
                self.to_string()
            }

            fn get(raw: &str) -> Option<Self> {
                if raw == "null" { Some(0) } else { raw.parse().ok() }
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64, i64);

impl Record for At {
    fn put(&self) -> String {
        self.micros().to_string()
    }

    fn get(raw: &str) -> Option<Self> {
        i64::get(raw).map(Self::from_micros)
    }
}

impl Record for PeerTime {
    fn put(&self) -> String {
        self.0.to_string()
    }

    fn get(raw: &str) -> Option<Self> {
        raw.parse().ok().map(Self)
    }
}

impl Record for Duration {
    fn put(&self) -> String {
        u64::try_from(self.as_micros()).unwrap_or(u64::MAX).to_string()
    }

    fn get(raw: &str) -> Option<Self> {
        u64::get(raw).map(Self::from_micros)
    }
}

impl Record for Uuid {
    fn put(&self) -> String {
        format!("\"{self}\"")
    }

    fn get(raw: &str) -> Option<Self> {
        Self::try_parse(&text_of(raw)?).ok()
    }
}

macro_rules! ids {
    ($($type:ident),*) => {$(
        impl Record for $type {
            fn put(&self) -> String {
                self.0.put()
            }

            fn get(raw: &str) -> Option<Self> {
                if raw == "null" { return None; }
                Record::get(raw).map(Self)
            }
        }
    )*};
}

ids!(AgentId, JobId, AttemptId, TaskId, ContextId, MessageId);

impl<T: Record> Record for Option<T> {
    fn put(&self) -> String {
        self.as_ref().map_or_else(|| "null".to_owned(), Record::put)
    }

    fn get(raw: &str) -> Option<Self> {
        if raw == "null" { Some(None) } else { T::get(raw).map(Some) }
    }
}

impl<T: Record> Record for Arc<T> {
    fn put(&self) -> String {
        T::put(self)
    }

    fn get(raw: &str) -> Option<Self> {
        T::get(raw).map(Self::new)
    }
}

impl<T: Record> Record for Box<T> {
    fn put(&self) -> String {
        T::put(self)
    }

    fn get(raw: &str) -> Option<Self> {
        T::get(raw).map(Self::new)
    }
}

impl<T: Record> Record for Vec<T> {
    fn put(&self) -> String {
        array(self.iter().map(Record::put))
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
    fn put(&self) -> String {
        array([self.0.put(), self.1.put()])
    }

    fn get(raw: &str) -> Option<Self> {
        match elements(raw)?.as_slice() {
            [a, b] => Some((A::get(a)?, B::get(b)?)),
            _ => None,
        }
    }
}
