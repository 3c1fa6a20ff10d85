//! What a rule asks of a message.

use std::sync::Arc;

use regex::Regex;
use serde_json::Value;
use serde_json_path::JsonPath;

use crate::domain::route::message::MessageFields;
use crate::domain::text::Untrusted;

/// The largest compiled size of a pattern, in bytes: a rule must not cost the console its memory.
const PATTERN_BYTES: usize = 1 << 20;
/// What a message has instead is shown up to this many characters.
const SHOWN: usize = 80;

/// A field that is compared with fixed values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// The metadata key `type`.
    Type,
    /// The skill that was asked for.
    Skill,
    /// One of the message's tags.
    Tag,
    /// The conversation.
    Context,
    /// The caller.
    Caller,
}

impl Field {
    /// The word in the configuration and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Skill => "skill",
            Self::Tag => "tag",
            Self::Context => "context",
            Self::Caller => "caller",
        }
    }

    fn values(self, fields: &MessageFields) -> &[Untrusted] {
        match self {
            Self::Type => fields.message_type.as_slice(),
            Self::Skill => fields.skill.as_slice(),
            Self::Tag => &fields.tags,
            Self::Context => fields.context.as_slice(),
            Self::Caller => fields.caller.as_slice(),
        }
    }
}

/// One condition of a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// The field has one of these values.
    OneOf {
        /// The field.
        field: Field,
        /// The values, at least one.
        values: Vec<Untrusted>,
    },
    /// A text part matches.
    Text(TextPattern),
    /// A data part has a value at the path that passes the test.
    Data {
        /// The path.
        path: DataPath,
        /// The test.
        test: DataTest,
    },
}

/// A regular expression, without regard to case.
#[derive(Clone, Debug)]
pub struct TextPattern(Regex);

impl TextPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It is no regular expression, or too large.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let built =
            regex::RegexBuilder::new(pattern).case_insensitive(true).size_limit(PATTERN_BYTES).build();
        built.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
            // The library draws the place below the pattern; its last line says what is wrong.
            error => {
                error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
        })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for TextPattern {}

/// A JSONPath (RFC 9535).
#[derive(Clone, Debug)]
pub struct DataPath {
    text: Arc<str>,
    path: JsonPath,
}

impl DataPath {
    /// Reads a path. A path without `$` begins at the root: `country` is `$.country`.
    ///
    /// # Errors
    /// It is no JSONPath; the text says where.
    pub fn new(text: &str) -> Result<Self, String> {
        let full = if text.starts_with('$') { text.to_owned() } else { format!("$.{text}") };
        let path = JsonPath::parse(&full)
            .map_err(|error| format!("{} at character {}", error.message(), error.position() + 1))?;
        Ok(Self { text: text.into(), path })
    }

    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for DataPath {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for DataPath {}

/// The test of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DataTest {
    /// There is a value at all.
    Exists,
    /// It is one of these. A number is compared by value: `1` is `1.0`.
    OneOf(Vec<Value>),
    /// It is a number within these bounds, which are not part of the range.
    Between {
        /// Greater than this.
        above: Option<serde_json::Number>,
        /// Less than this.
        below: Option<serde_json::Number>,
    },
}

impl DataTest {
    fn passes(&self, value: &Value) -> bool {
        match self {
            Self::Exists => true,
            Self::OneOf(values) => values.iter().any(|wanted| is_same(wanted, value)),
            Self::Between { above, below } => {
                let Some(number) = value.as_f64() else { return false };
                let bound =
                    |bound: &Option<serde_json::Number>| bound.as_ref().and_then(serde_json::Number::as_f64);
                bound(above).is_none_or(|above| number > above)
                    && bound(below).is_none_or(|below| number < below)
            }
        }
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        // Integers beyond the precision of a float are the same only if they are written alike.
        (Some(a), Some(b)) if one.as_i64().is_none() || other.as_i64().is_none() => a.total_cmp(&b).is_eq(),
        _ => one == other,
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OneOf { field, values } => {
                write!(
                    f,
                    "{} {}",
                    field.as_str(),
                    one_of(values.iter().map(|value| value.line().into_string()))
                )
            }
            Self::Text(pattern) => write!(f, "text /{}/", pattern.as_str()),
            Self::Data { path, test } => {
                write!(f, "data.{}", path.as_str().trim_start_matches("$.").trim_start_matches('$'))?;
                match test {
                    DataTest::Exists => f.write_str(" exists"),
                    DataTest::OneOf(values) => write!(f, " is {}", one_of(values.iter().map(shown))),
                    DataTest::Between { above, below } => {
                        let bounds = [("over", above), ("under", below)];
                        let bounds = bounds
                            .iter()
                            .filter_map(|(word, bound)| Some(format!("{word} {}", bound.as_ref()?)));
                        write!(f, " is {}", bounds.collect::<Vec<_>>().join(" and "))
                    }
                }
            }
        }
    }
}

/// `a`, or `in a, b`.
fn one_of(values: impl Iterator<Item = String>) -> String {
    let values: Vec<_> = values.collect();
    if values.len() == 1 { values.concat() } else { format!("in {}", values.join(", ")) }
}

fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Untrusted::from(text).shortened(SHOWN).line().into_string()
}

/// Why a condition does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unmet {
    /// What the rule asks for, in words.
    pub wanted: Arc<str>,
    /// What the message has instead; `None` if it has no such field.
    pub found: Option<Untrusted>,
}

impl std::fmt::Display for Unmet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.found {
            Some(found) => write!(f, "not {}: it has {}", self.wanted, found.line()),
            None => write!(f, "not {}: it has none", self.wanted),
        }
    }
}

impl Condition {
    /// Why the condition does not hold; `None` if it does.
    pub fn unmet(&self, fields: &MessageFields) -> Option<Unmet> {
        let found: Vec<String> = match self {
            Self::OneOf { field, values } => {
                let found = field.values(fields);
                if found.iter().any(|value| values.contains(value)) {
                    return None;
                }
                found.iter().map(|value| value.line().into_string()).collect()
            }
            Self::Text(pattern) => {
                if fields.texts.iter().any(|text| pattern.0.is_match(text.raw())) {
                    return None;
                }
                fields.texts.iter().map(|text| text.headline(SHOWN).line().into_string()).collect()
            }
            Self::Data { path, test } => {
                let found: Vec<_> = fields.data.iter().flat_map(|data| path.path.query(data).all()).collect();
                if found.iter().any(|value| test.passes(value)) {
                    return None;
                }
                found.into_iter().map(shown).collect()
            }
        };
        let found = (!found.is_empty()).then(|| Untrusted::from(found.join(", ")).shortened(SHOWN));
        Some(Unmet { wanted: self.to_string().into(), found })
    }

    /// True if the condition names this value of the field.
    pub fn names(&self, of: Field, value: &Untrusted) -> bool {
        matches!(self, Self::OneOf { field, values } if *field == of && values.contains(value))
    }

    /// True if every message that passes `other` passes this condition too, as far as can be told from what they say.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::OneOf { field, values }, Self::OneOf { field: of, values: others }) => {
                // A message has several tags: one of them may pass without any that the other asks for.
                field == of && others.iter().all(|value| values.contains(value))
            }
            (Self::Data { path, test: DataTest::Exists }, Self::Data { path: of, .. }) => path == of,
            (
                Self::Data { path, test: DataTest::OneOf(values) },
                Self::Data { path: of, test: DataTest::OneOf(others) },
            ) => path == of && others.iter().all(|value| values.iter().any(|own| is_same(own, value))),
            (one, other) => one == other,
        }
    }
}
