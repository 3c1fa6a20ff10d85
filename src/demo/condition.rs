//! What a story has changed about an agent while it runs.

use serde::{Deserialize, Serialize};

use crate::domain::job::message::{Content, Message};

/// What is different about an agent from its part; nothing by default.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// Its version; `None` for that of its part.
    pub version: Option<String>,
    /// It fails messages that contain this word; `None` if it fails none for a word.
    pub fails: Option<String>,
    /// With this error.
    pub error: String,
    /// How many times longer its work takes.
    pub slower: f64,
    /// Only the work on messages that contain this word takes longer; `None` for all of it.
    pub slow_for: Option<String>,
    /// Seconds that it takes to answer any request.
    pub answers_after: f64,
}

impl Default for Condition {
    fn default() -> Self {
        Self {
            version: None,
            fails: None,
            error: "internal error".into(),
            slower: 1.0,
            slow_for: None,
            answers_after: 0.0,
        }
    }
}

impl Condition {
    /// True if it fails the work on a message.
    pub fn breaks(&self, message: &Message) -> bool {
        self.fails.as_ref().is_some_and(|word| contains(message, word))
    }

    /// How many times longer the work on a message takes.
    pub fn slowness(&self, message: &Message) -> f64 {
        let is_slow = self.slow_for.as_ref().is_none_or(|word| contains(message, word));
        if is_slow { self.slower } else { 1.0 }
    }
}

fn contains(message: &Message, word: &str) -> bool {
    message.parts.iter().any(|part| match &part.content {
        Content::Text(text) | Content::Url(text) => text.raw().contains(word),
        Content::Data(json) | Content::Unknown(json) => json.raw().contains(word),
        Content::Raw(_) => false,
    })
}
