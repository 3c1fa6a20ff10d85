//! Lenient reading of JSON: one level at a time, members as they came.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::cause::{Cause, Limit};
use crate::domain::job::message::Json;
use crate::domain::text::Untrusted;

/// JSON nested deeper than this is refused.
pub const DEPTH: usize = crate::domain::limits::DEPTH;

/// An object whose members are not looked into yet.
#[derive(Clone, Debug, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// True if members are also found under other spellings of their names; see [`same_name`].
    lenient: bool,
}

impl<'a> Object<'a> {
    /// Reads an object whose members are found by their exact names.
    ///
    /// # Errors
    /// `Malformed` with the place, or the limit on nesting.
    pub fn parse(text: &'a str) -> Result<Self, Cause> {
        check_depth(text.as_bytes())?;
        serde_json::from_str(text).map_err(|error| super::malformed(format!("not a JSON object, {error}")))
    }

    /// Parses an object of an agent: its members, and those of nested objects, are also found under other spellings of
    /// their names. The exact name takes precedence, unless it is `null`.
    ///
    /// # Errors
    /// As [`Object::parse`].
    pub fn parse_lenient(text: &'a str) -> Result<Self, Cause> {
        Self::parse(text).map(|object| Self { lenient: true, ..object })
    }

    /// The members in order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.members.iter().map(|(key, value)| (&**key, *value))
    }

    /// A member as received; `null` counts as absent.
    pub fn raw(&self, key: &str) -> Option<&'a str> {
        let exact = self.members.iter().find(|(name, _)| name == key).map(|(_, value)| value.get());
        if let Some(value) = exact.filter(|value| *value != "null") {
            return Some(value);
        }
        if !self.lenient {
            return None;
        }
        let mut others = self.members.iter().filter(|(name, _)| same_name(name, key));
        others.find_map(|(_, value)| Some(value.get()).filter(|value| *value != "null"))
    }

    /// True if the member is there, `null` or not.
    pub fn has(&self, key: &str) -> bool {
        self.members.iter().any(|(name, _)| name == key || (self.lenient && same_name(name, key)))
    }

    /// A text member; numbers and booleans are taken as they are written.
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        text_of(self.raw(key)?)
    }

    /// A text member that did not come from us.
    pub fn untrusted(&self, key: &str) -> Option<Untrusted> {
        self.text(key).map(|text| Untrusted::new(text.as_ref()))
    }

    /// A text member that is not empty.
    pub fn filled(&self, key: &str) -> Option<Untrusted> {
        self.untrusted(key).filter(|text| !text.is_empty())
    }

    /// A boolean member; anything else is false. An agent may also write it as a string, or as 1.
    pub fn flag(&self, key: &str) -> bool {
        match self.raw(key) {
            Some("true") => true,
            Some(raw) if self.lenient => raw == "1" || raw.trim_matches('"').eq_ignore_ascii_case("true"),
            _ => false,
        }
    }

    /// A whole number; floats that are whole count.
    pub fn number(&self, key: &str) -> Option<i64> {
        let raw = self.raw(key)?;
        raw.parse().ok().or_else(|| {
            let float: f64 = raw.trim_matches('"').parse().ok()?;
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
            (float.fract() == 0.0 && float.abs() < 1e15).then_some(float as i64)
        })
    }

    /// An object member.
    pub fn object(&self, key: &str) -> Option<Object<'a>> {
        self.inner(self.raw(key)?)
    }

    /// A nested value, if it is an object.
    pub fn inner(&self, raw: &'a str) -> Option<Object<'a>> {
        let object: Object<'_> = serde_json::from_str(raw).ok()?;
        Some(Object { lenient: self.lenient, ..object })
    }

    /// The elements of an array member; empty if it is something else.
    pub fn list(&self, key: &str) -> Vec<&'a str> {
        self.raw(key).and_then(elements).unwrap_or_default()
    }

    /// The elements of an array member that are objects.
    pub fn objects(&self, key: &str) -> Vec<Object<'a>> {
        self.list(key).into_iter().filter_map(|raw| self.inner(raw)).collect()
    }

    /// The same as objects, one at a time: each element's memory is released before the next.
    pub fn each_object(&self, key: &str) -> impl Iterator<Item = Object<'a>> + use<'a> {
        self.list(key).into_iter().filter_map(|raw| serde_json::from_str(raw).ok())
    }

    /// The elements of an array member that are text.
    pub fn texts(&self, key: &str) -> Vec<Untrusted> {
        self.list(key).into_iter().filter_map(text_of).map(|text| Untrusted::new(text.as_ref())).collect()
    }

    /// A member of any type, kept as received.
    pub fn json(&self, key: &str) -> Option<Json> {
        self.raw(key).map(Json::new)
    }

    /// An object member with at least one member, kept as received.
    pub fn json_object(&self, key: &str) -> Option<Json> {
        let raw = self.raw(key)?;
        let object: Object = serde_json::from_str(raw).ok()?;
        (!object.members.is_empty()).then(|| Json::new(raw))
    }
}

/// True if two member names differ only in case, `_` and `-`: `taskId`, `task_id`, `TaskID`. Protocol buffers write and
/// accept the first two.
pub fn same_name(one: &str, other: &str) -> bool {
    let letters = |name: &str| {
        let bytes = name.bytes().filter(|byte| !matches!(byte, b'_' | b'-'));
        bytes.map(|byte| byte.to_ascii_lowercase()).collect::<Vec<u8>>()
    };
    // Nearly all names differ in their first letter.
    let first = |name: &str| name.bytes().next().map(|byte| byte.to_ascii_lowercase());
    first(one) == first(other) && letters(one) == letters(other)
}

/// True if a text is one JSON document, whole.
pub fn is_document(text: &str) -> bool {
    check_depth(text.as_bytes()).is_ok() && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// The elements of an array as they came.
pub fn elements(raw: &str) -> Option<Vec<&str>> {
    serde_json::from_str::<Elements>(raw).ok().map(|elements| elements.0)
}

/// A string, or a number or boolean as written.
pub fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' => serde_json::from_str::<LooseText>(raw).ok().map(|text| text.0),
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

/// A string that may hold half a surrogate pair; such halves become U+FFFD.
#[derive(Debug)]
struct LooseText<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for LooseText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = LooseText<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                // Checking for valid text is much faster than searching for invalid characters.
                let text =
                    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
                Ok(LooseText(text))
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(LooseText(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((Key(key), value)) = map.next_entry()? {
                    members.push((key, value));
                }
                Ok(Object { members, lenient: false })
            }
        }
        deserializer.deserialize_map(Members)
    }
}

struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[derive(Debug)]
struct Elements<'a>(Vec<&'a str>);

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'de> Visitor<'de> for Items {
            type Value = Elements<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element::<&RawValue>()? {
                    items.push(item.get());
                }
                Ok(Elements(items))
            }
        }
        deserializer.deserialize_seq(Items)
    }
}

/// Rejects JSON that is nested deeper than [`DEPTH`], before anything recurses into it.
///
/// # Errors
/// [`Limit::Depth`].
pub fn check_depth(text: &[u8]) -> Result<(), Cause> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH {
                    return Err(Cause::Limit(Limit::Depth));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// True for a value that is equivalent to an absent member.
pub fn says_nothing(json: &str) -> bool {
    matches!(json, "null" | "[]" | "false")
}

/// Appends a JSON object to a text, omitting empty members.
#[derive(Debug)]
pub struct Members<'o> {
    out: &'o mut String,
    empty: bool,
}

impl<'o> Members<'o> {
    /// Begins an object.
    pub fn begin(out: &'o mut String) -> Self {
        out.push('{');
        Self { out, empty: true }
    }

    /// A member whose value `put` writes, unless it [`says_nothing`]. The key is one of ours.
    pub fn member(&mut self, key: &str, put: impl FnOnce(&mut String)) {
        let before = self.out.len();
        self.out.push_str(if self.empty { "\"" } else { ",\"" });
        self.out.push_str(key);
        self.out.push_str("\":");
        let value = self.out.len();
        put(self.out);
        if says_nothing(&self.out[value..]) {
            self.out.truncate(before);
        } else {
            self.empty = false;
        }
    }

    /// Ends it.
    pub fn end(self) {
        self.out.push('}');
    }
}

/// Writes JSON objects member by member; values that are JSON already are put in as they are.
#[derive(Debug)]
pub struct Writer {
    out: String,
    empty: bool,
}

impl Default for Writer {
    fn default() -> Self {
        Self { out: String::from("{"), empty: true }
    }
}

impl Writer {
    /// A writer of an empty object.
    pub fn new() -> Self {
        Self::default()
    }

    /// A member whose value is JSON text.
    #[must_use]
    pub fn raw(mut self, key: &str, json: &str) -> Self {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        push_string(&mut self.out, key);
        self.out.push(':');
        self.out.push_str(json);
        self
    }

    /// A text member.
    #[must_use]
    pub fn text(self, key: &str, text: &str) -> Self {
        let value = string(text);
        self.raw(key, &value)
    }

    /// A text member, unless it is absent.
    #[must_use]
    pub fn maybe(self, key: &str, text: Option<impl Deref<Target = str>>) -> Self {
        match text {
            Some(text) => self.text(key, &text),
            None => self,
        }
    }

    /// A member of JSON text, unless it is absent.
    #[must_use]
    pub fn maybe_raw(self, key: &str, json: Option<&str>) -> Self {
        match json {
            Some(json) => self.raw(key, json),
            None => self,
        }
    }

    /// A boolean member.
    #[must_use]
    pub fn flag(self, key: &str, value: bool) -> Self {
        self.raw(key, if value { "true" } else { "false" })
    }

    /// A member that is an array of JSON texts.
    #[must_use]
    pub fn list<I: IntoIterator<Item = String>>(self, key: &str, items: I) -> Self {
        let items = array(items);
        self.raw(key, &items)
    }

    /// The object.
    pub fn end(mut self) -> String {
        self.out.push('}');
        self.out
    }
}

/// An array of JSON texts.
pub fn array<I: IntoIterator<Item = String>>(items: I) -> String {
    let mut out = String::from("[");
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&item);
    }
    out.push(']');
    out
}

/// A JSON string in which every character that a terminal could obey or hide is escaped.
pub fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    out
}

/// Appends a JSON string. Control and hidden characters are escaped.
pub fn push_string(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    loop {
        // Nearly all text is plain: it goes over in long pieces.
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        let end = rest.as_bytes().iter().position(|byte| !plain(byte)).unwrap_or(rest.len());
        out.push_str(&rest[..end]);
        rest = &rest[end..];
        let Some(c) = rest.chars().next() else { break };
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if needs_escape(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _infallible = write!(out, "\\u{unit:04x}");
                }
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// True for characters that must not reach a terminal as they are.
fn needs_escape(c: char) -> bool {
    crate::domain::text::is_control_or_hidden(c)
}

/// Rewrites JSON text so that no string in it holds a character that a terminal could obey or hide.
pub fn escaped(json: &str) -> Cow<'_, str> {
    if json.bytes().all(|byte| (0x20..0x7f).contains(&byte) || byte == b'\n') {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if c != '\n' && needs_escape(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _infallible = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// JSON for a clipboard or a file, without control and hidden characters.
pub fn safe(json: &Untrusted) -> String {
    escaped(json.raw()).into_owned()
}

/// JSON on several lines, otherwise as received: spelling of numbers, escapes, duplicate members. `None` if it is not
/// JSON.
pub fn indented(json: &Untrusted) -> Option<Untrusted> {
    let json = json.raw();
    serde_json::from_str::<serde::de::IgnoredAny>(json).ok()?;
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    let mut rest = json.chars().filter(|c| !c.is_control()).peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = rest.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            ' ' => {}
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while rest.next_if_eq(&' ').is_some() {}
                if let Some(close) = rest.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => out.push(c),
        }
    }
    Some(Untrusted::from(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indenting_changes_only_whitespace() {
        let json = r#"{"a":[1.0,{"b":"x, \"y\": {\\"} ],"a":{},"c":[ ],"d":1e400}"#;
        let shown = "{\n  \"a\": [\n    1.0,\n    {\n      \"b\": \"x, \\\"y\\\": {\\\\\"\n    }\n  ],\n  \
                     \"a\": {},\n  \"c\": [],\n  \"d\": 1e400\n}";
        assert_eq!(indented(&json.into()), Some(shown.into()));
        assert_eq!(indented(&"{".into()), None);
    }

    #[test]
    fn odd_members_are_tolerated() {
        let object = Object::parse(
            r#"{"s":"a\ud800b","n":7,"f":2.0,"b":true,"x":null,"l":["a",1,{"k":2},null],"o":{"deep":[1]},"s":"second"}"#,
        )
        .unwrap();
        assert_eq!(object.text("s").unwrap(), "a\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(object.text("n").unwrap(), "7");
        assert_eq!((object.number("n"), object.number("f"), object.number("s")), (Some(7), Some(2), None));
        assert!(object.flag("b") && !object.flag("n") && object.raw("x").is_none() && object.has("x"));
        assert_eq!(object.texts("l"), vec![Untrusted::from("a"), Untrusted::from("1")]);
        assert_eq!(object.objects("l").len(), 1);
        assert_eq!(object.json("o").unwrap().raw(), r#"{"deep":[1]}"#);
        assert!(object.list("n").is_empty());
    }

    #[test]
    fn members_of_agents_are_found_under_any_spelling() {
        let text = r#"{"task_id":"a","taskId":null,"context-id":"b","ContextID":"c","Append":"True","o":{"media_type":"m"}}"#;
        let object = Object::parse_lenient(text).unwrap();
        assert_eq!(object.text("taskId").unwrap(), "a");
        assert_eq!(object.text("contextId").unwrap(), "b");
        assert_eq!(object.object("o").unwrap().text("mediaType").unwrap(), "m");
        assert!(object.flag("append") && object.has("APPEND") && !object.has("task"));
        let exact = Object::parse(text).unwrap();
        assert!(exact.raw("taskId").is_none() && exact.raw("contextId").is_none() && !exact.flag("append"));
    }

    #[test]
    fn nesting_has_a_limit() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(check_depth(deep(128).as_bytes()).is_ok());
        assert_eq!(check_depth(deep(129).as_bytes()), Err(Cause::Limit(Limit::Depth)));
        assert!(check_depth(br#"{"a":"[[[[\"[["}"#).is_ok());
        assert!(Object::parse(&format!(r#"{{"a":{}}}"#, deep(100_000))).is_err());
    }

    #[test]
    fn output_escapes_what_a_terminal_would_obey() {
        let written = string("a\u{1b}[2J\u{9b}\u{202e}\u{e0041}é\"\\\n");
        assert_eq!(written, r#""a\u001b[2J\u009b\u202e\udb40\udc41é\"\\\n""#);
        assert_eq!(
            serde_json::from_str::<String>(&written).unwrap(),
            "a\u{1b}[2J\u{9b}\u{202e}\u{e0041}é\"\\\n"
        );
        assert_eq!(escaped("{\"a\":\"\u{9b}é\"}"), "{\"a\":\"\\u009bé\"}");
    }
}
