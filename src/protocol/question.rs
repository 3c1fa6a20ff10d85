//! The choices of an agent's question, from its data part.
//!
//! The protocol has no form for this (A2A 1.0 section 3.4.3 leaves it to the message), so two customs
//! are read: an object whose member lists values, `{"decision": ["approve", "decline"]}`, and a JSON Schema
//! whose property has an `enum`. Everything else is quoted and answered in words.

use serde_json::Value;

use crate::domain::job::message::{Content, Json, Message, OfferedAnswer, Part};
use crate::domain::text::Untrusted;

/// The maximum number of choices with a digit.
const MOST: usize = 9;

/// One thing that can be chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// The displayed label.
    pub label: Untrusted,
    /// The answer for this choice: as text, and as data in the requested shape.
    pub parts: Vec<Part>,
}

/// The choices of a question, in its order; none if it offers none.
pub fn choices(question: &Message) -> Vec<Choice> {
    let found = found(&question.parts);
    let choices = found.iter().flat_map(|(member, values)| values.iter().map(|value| choice(member, value)));
    choices.take(MOST).collect()
}

/// What these parts of a question offer as an answer.
pub fn offered(parts: &[Part]) -> Option<OfferedAnswer> {
    let (_, values) = found(parts)?;
    let is_approval =
        |value: &Value| value.as_str().is_some_and(|word| APPROVES.contains(&word.to_lowercase().as_str()));
    let approves = values.iter().any(is_approval);
    Some(if approves { OfferedAnswer::Approval } else { OfferedAnswer::Choice })
}

/// The words of a choice that make it an approval.
const APPROVES: [&str; 2] = ["approve", "approved"];

/// The member that offers values, and the values.
fn found(parts: &[Part]) -> Option<(String, Vec<Value>)> {
    parts.iter().find_map(|part| {
        let Content::Data(json) = &part.content else { return None };
        listed(&serde_json::from_str(json.raw()).ok()?)
    })
}

fn choice(member: &str, value: &Value) -> Choice {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut object = serde_json::Map::new();
    object.insert(member.to_owned(), value.clone());
    let data = Json::new(Value::Object(object).to_string());
    Choice {
        label: Untrusted::from(text.as_str()),
        parts: vec![Part::text(text), Part { content: Content::Data(data), ..Part::text("") }],
    }
}

fn scalars(value: &Value) -> Option<Vec<Value>> {
    let values = value.as_array()?;
    let plain = |value: &Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
    (values.len() > 1 && values.iter().all(plain)).then(|| values.clone())
}

fn listed(value: &Value) -> Option<(String, Vec<Value>)> {
    let object = value.as_object()?;
    if let Some(properties) = object.get("properties").and_then(Value::as_object) {
        return properties
            .iter()
            .find_map(|(member, schema)| Some((member.clone(), scalars(schema.get("enum")?)?)));
    }
    object.iter().find_map(|(member, values)| Some((member.clone(), scalars(values)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::message::Role;

    #[test]
    fn choices_are_read_from_two_conventions() {
        let (approval, choice) = (Some(OfferedAnswer::Approval), Some(OfferedAnswer::Choice));
        for (data, offers, expected) in [
            (
                r#"{"decision":["approve","decline"]}"#,
                approval,
                vec![("approve", r#"{"decision":"approve"}"#), ("decline", r#"{"decision":"decline"}"#)],
            ),
            (
                r#"{"type":"object","properties":{"why":{"type":"string"},"seat":{"enum":[1,2]}}}"#,
                choice,
                vec![("1", r#"{"seat":1}"#), ("2", r#"{"seat":2}"#)],
            ),
            (r#"{"decision":["approve"]}"#, None, vec![]),
            (r#"{"rows":[{"a":1},{"a":2}]}"#, None, vec![]),
            (r#"["a","b"]"#, None, vec![]),
        ] {
            let part = Part { content: Content::Data(Json::new(data)), ..Part::text("") };
            let message = Message::new("m", Role::Agent, vec![Part::text("which?"), part]);
            let read = choices(&message);
            let found: Vec<_> = read
                .iter()
                .map(|choice| {
                    let Content::Data(json) = &choice.parts[1].content else { panic!("no data") };
                    (choice.label.raw(), json.raw())
                })
                .collect();
            assert_eq!((offered(&message.parts), found), (offers, expected), "{data}");
        }
    }
}
