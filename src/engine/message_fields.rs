//! The fields of a job's message: its metadata and the scalars of its data parts, for comparing jobs.

use crate::domain::fact::{AttemptFact, Fact, JobFact, JournalEntry};
use crate::domain::job::message::{Content, Json, Message, Role};
use crate::domain::text::Untrusted;
use crate::protocol::json::{Object, text_of};

/// The maximum number of fields of one job, and the maximum length of their names and values.
const MOST: usize = 32;
const NAME: usize = 40;
const VALUE: usize = 60;

/// The fields of the first message of a job, from the job's first facts.
pub(super) fn of_job(facts: &[JournalEntry]) -> Vec<(Untrusted, Untrusted)> {
    let message = facts.iter().find_map(|entry| match &entry.fact {
        Fact::Job(_, JobFact::Opened { message: Some(message), .. }) => Some(message),
        Fact::Job(_, JobFact::Attempt(_, AttemptFact::MessageSeen { message, .. }))
            if message.role == Role::User =>
        {
            Some(message)
        }
        _ => None,
    });
    message.map(|message| of_message(message)).unwrap_or_default()
}

fn of_message(message: &Message) -> Vec<(Untrusted, Untrusted)> {
    let data = message.parts.iter().filter_map(|part| match &part.content {
        Content::Data(json) => Some(json),
        Content::Text(_) | Content::Raw(_) | Content::Url(_) | Content::Unknown(_) => None,
    });
    let mut fields: Vec<(Untrusted, Untrusted)> = Vec::new();
    for json in message.metadata.iter().chain(data) {
        for (name, value) in scalars(json) {
            if fields.len() < MOST && fields.iter().all(|(known, _)| *known != name) {
                fields.push((name, value));
            }
        }
    }
    fields
}

/// The texts, numbers and booleans of an object. Our own keys repeat known values and are skipped.
fn scalars(json: &Json) -> Vec<(Untrusted, Untrusted)> {
    let Ok(object) = Object::parse(json.raw()) else { return Vec::new() };
    let members = object.members().filter(|(name, _)| !name.starts_with("quarterdeck.") && *name != "skill");
    let scalar = |raw: &str| match raw.as_bytes().first()? {
        b'"' => text_of(raw).map(|text| Untrusted::from(&*text)),
        b'{' | b'[' | b'n' => None,
        _ => Some(Untrusted::from(raw)),
    };
    members
        .filter_map(|(name, raw)| {
            let value = scalar(raw.get())?;
            Some((Untrusted::from(name).shortened(NAME), value.shortened(VALUE)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::message::Part;

    #[test]
    fn metadata_and_data_are_fields() {
        let part = |content| Part { content, filename: None, media_type: None, metadata: None };
        let parts = vec![
            part(Content::Text("free text is none".into())),
            part(Content::Data(Json::new(r#"{"country":"DE","amount":470.5,"lines":[1],"discount":true}"#))),
            part(Content::Data(Json::new("[1,2]"))),
        ];
        let metadata =
            Json::new(r#"{"tenant":"a\u001b","quarterdeck.caller":"shop","skill":"s","none":null}"#);
        let message = Message { metadata: Some(metadata), ..Message::new("m", Role::User, parts) };
        let fields: Vec<(String, String)> =
            of_message(&message).iter().map(|(k, v)| (k.raw().to_owned(), v.raw().to_owned())).collect();
        let expected = [("tenant", "a\u{1b}"), ("country", "DE"), ("amount", "470.5"), ("discount", "true")];
        assert_eq!(fields, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
}
