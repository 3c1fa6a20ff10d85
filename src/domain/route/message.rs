//! The fields of a message that conditions look at, read once per decision.

use serde_json::Value;

use crate::domain::job::message::{Content, Hints, Json, Message};
use crate::domain::text::Untrusted;

/// Tags of a message beyond this number are not looked at.
const TAGS: usize = 64;

/// The fields of a message that conditions look at.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MessageFields {
    /// The metadata key `type`.
    pub message_type: Option<Untrusted>,
    /// The skill that was asked for.
    pub skill: Option<Untrusted>,
    /// The metadata key `tags`: a string, or an array of strings.
    pub tags: Vec<Untrusted>,
    /// The conversation.
    pub context: Option<Untrusted>,
    /// The caller.
    pub caller: Option<Untrusted>,
    /// The texts of the parts.
    pub texts: Vec<Untrusted>,
    /// The JSON values of the data parts.
    pub data: Vec<Value>,
}

impl MessageFields {
    /// Reads a message. `caller` is who sends it if the message does not say; JSON that cannot be read has no fields.
    pub fn of(message: &Message, caller: Option<&Untrusted>) -> Self {
        let metadata = message.metadata.as_ref().and_then(value);
        let Hints { caller: named, skill, .. } = &message.hints;
        let text = |key: &str| metadata.as_ref()?.get(key)?.as_str().map(Untrusted::from);
        let tags = match metadata.as_ref().and_then(|metadata| metadata.get("tags")) {
            Some(Value::String(tag)) => vec![Untrusted::from(tag.as_str())],
            Some(Value::Array(tags)) => {
                tags.iter().take(TAGS).filter_map(Value::as_str).map(Untrusted::from).collect()
            }
            _ => Vec::new(),
        };
        let data = message.parts.iter().filter_map(|part| match &part.content {
            Content::Data(json) => value(json),
            Content::Text(_) | Content::Raw(_) | Content::Url(_) | Content::Unknown(_) => None,
        });
        Self {
            message_type: text("type"),
            skill: skill.clone().or_else(|| text("skill")),
            tags,
            context: message.context.as_ref().map(|context| Untrusted::from(&*context.raw())),
            caller: named.clone().or_else(|| text("quarterdeck.caller")).or_else(|| caller.cloned()),
            texts: message.parts.iter().filter_map(|part| part.as_text().cloned()).collect(),
            data: data.collect(),
        }
    }
}

fn value(json: &Json) -> Option<Value> {
    serde_json::from_str(json.raw()).ok()
}
