//! The choices of an agent's question, from its data part.
//!
//! The protocol has no form for this (A2A 1.0 section 3.4.3 leaves it to the message), so two customs
//! are read: an object whose member lists values, `{"decision": ["approve", "decline"]}`, and a JSON Schema
//! whose property has an `enum`. Everything else is quoted and answered in words.

use serde_json::Value;

use crate::domain::job::message::{Content, Json, Message, Part};
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
    for part in &question.parts {
        if let Content::Data(json) = &part.content
            && let Ok(value) = serde_json::from_str::<Value>(json.raw())
            && let Some((member, values)) = listed(&value)
        {
            return values.iter().take(MOST).map(|value| choice(&member, value)).collect();
        }
    }
    Vec::new()
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
        for (data, expected) in [
            (
                r#"{"decision":["approve","decline"]}"#,
                vec![("approve", r#"{"decision":"approve"}"#), ("decline", r#"{"decision":"decline"}"#)],
            ),
            (
                r#"{"type":"object","properties":{"why":{"type":"string"},"seat":{"enum":[1,2]}}}"#,
                vec![("1", r#"{"seat":1}"#), ("2", r#"{"seat":2}"#)],
            ),
            (r#"{"decision":["approve"]}"#, vec![]),
            (r#"{"rows":[{"a":1},{"a":2}]}"#, vec![]),
            (r#"["a","b"]"#, vec![]),
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
            assert_eq!(found, expected, "{data}");
        }
    }
}
