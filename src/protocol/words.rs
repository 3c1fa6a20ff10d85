//! The words of both dialects: states, roles and members, in every spelling that a writer of JSON or of
//! protocol buffers produces.

use std::borrow::Cow;

use super::json::same_name;
use crate::domain::agent::card::Dialect;
use crate::domain::job::message::Role;
use crate::domain::job::task::TaskState;

/// A word of an enum. Its place in its table is its number in the protocol buffers of both dialects.
struct Word<T> {
    value: T,
    v1_0: &'static str,
    v0_3: &'static str,
}

impl<T> Word<T> {
    fn of(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::V1_0 => self.v1_0,
            Dialect::V0_3 => self.v0_3,
        }
    }
}

const STATES: [Word<TaskState>; 9] = [
    Word { value: TaskState::Unspecified, v1_0: "TASK_STATE_UNSPECIFIED", v0_3: "unknown" },
    Word { value: TaskState::Submitted, v1_0: "TASK_STATE_SUBMITTED", v0_3: "submitted" },
    Word { value: TaskState::Working, v1_0: "TASK_STATE_WORKING", v0_3: "working" },
    Word { value: TaskState::Completed, v1_0: "TASK_STATE_COMPLETED", v0_3: "completed" },
    Word { value: TaskState::Failed, v1_0: "TASK_STATE_FAILED", v0_3: "failed" },
    Word { value: TaskState::Canceled, v1_0: "TASK_STATE_CANCELED", v0_3: "canceled" },
    Word { value: TaskState::InputRequired, v1_0: "TASK_STATE_INPUT_REQUIRED", v0_3: "input-required" },
    Word { value: TaskState::Rejected, v1_0: "TASK_STATE_REJECTED", v0_3: "rejected" },
    Word { value: TaskState::AuthRequired, v1_0: "TASK_STATE_AUTH_REQUIRED", v0_3: "auth-required" },
];

const ROLES: [Word<Option<Role>>; 3] = [
    Word { value: None, v1_0: "ROLE_UNSPECIFIED", v0_3: "" },
    Word { value: Some(Role::User), v1_0: "ROLE_USER", v0_3: "user" },
    Word { value: Some(Role::Agent), v1_0: "ROLE_AGENT", v0_3: "agent" },
];

/// A parsed word: its meaning, and the version's own spelling if it differs.
#[derive(Debug)]
pub(super) struct Read<T> {
    pub value: T,
    pub instead_of: Option<&'static str>,
}

/// Finds a word in any spelling: of the other version, any case, with `_`, `-` or a space, with or without the prefix
/// of protocol buffers, or by its number there.
fn find<'w, T>(words: &'w [Word<T>], prefix: &str, text: &str) -> Option<&'w Word<T>> {
    let text = text.trim();
    if let Ok(number) = text.parse::<usize>() {
        return words.get(number);
    }
    let text = text.replace(' ', "_");
    let bare = match text.get(..prefix.len()) {
        Some(start) if start.eq_ignore_ascii_case(prefix) => &text[prefix.len()..],
        _ => text.as_str(),
    };
    // The protocol buffers of 0.3 spell it with two.
    let bare = if bare.eq_ignore_ascii_case("cancelled") { "canceled" } else { bare };
    let is_it = |word: &&Word<T>| {
        same_name(bare, word.v0_3) || word.v1_0.get(prefix.len()..).is_some_and(|word| same_name(bare, word))
    };
    words.iter().find(is_it)
}

/// A state; unspecified if absent.
pub(super) fn state(text: Option<&str>, dialect: Dialect) -> Read<TaskState> {
    let Some(text) = text else { return Read { value: TaskState::Unspecified, instead_of: None } };
    // Nearly all are spelt as they should be.
    let exact = STATES.iter().find(|word| word.of(dialect) == text);
    match exact.or_else(|| find(&STATES, "TASK_STATE_", text)) {
        Some(word) => Read { value: word.value.clone(), instead_of: other(word.of(dialect), text) },
        None => Read { value: TaskState::Other(text.into()), instead_of: None },
    }
}

/// A role; unknown if absent.
pub(super) fn role(text: Option<&str>, dialect: Dialect) -> Read<Role> {
    let text = text.unwrap_or_default();
    let exact = ROLES.iter().find(|word| word.of(dialect) == text);
    match exact.or_else(|| find(&ROLES, "ROLE_", text)) {
        Some(Word { value: Some(role), .. }) if exact.is_some() => {
            Read { value: role.clone(), instead_of: None }
        }
        Some(word @ Word { value: Some(role), .. }) => {
            Read { value: role.clone(), instead_of: other(word.of(dialect), text) }
        }
        _ => Read { value: Role::Other(text.into()), instead_of: None },
    }
}

fn other(word: &'static str, text: &str) -> Option<&'static str> {
    (word != text).then_some(word)
}

/// A state as a dialect writes it.
pub(super) fn state_word(state: &TaskState, dialect: Dialect) -> Cow<'_, str> {
    match STATES.iter().find(|word| word.value == *state) {
        Some(word) => Cow::Borrowed(word.of(dialect)),
        None => match state {
            TaskState::Other(raw) => Cow::Borrowed(raw.raw()),
            known => Cow::Owned(known.word()),
        },
    }
}

/// A role as a dialect writes it.
pub(super) fn role_word(role: &Role, dialect: Dialect) -> &str {
    let word = ROLES.iter().find(|word| word.value.as_ref() == Some(role)).map(|word| word.of(dialect));
    match (word, role) {
        (Some(word), _) => word,
        (None, Role::Other(raw)) => raw.raw(),
        (None, Role::User | Role::Agent) => "",
    }
}

/// The members of tasks, messages, events, parts and cards of both versions, including those of only one; the reader
/// checks whether they are in place.
const MEMBERS: [&str; 90] = [
    "additionalInterfaces",
    "apiKeySecurityScheme",
    "append",
    "artifact",
    "artifactId",
    "artifactUpdate",
    "artifacts",
    "bearerFormat",
    "bytes",
    "capabilities",
    "content",
    "contextId",
    "data",
    "defaultInputModes",
    "defaultOutputModes",
    "description",
    "documentationUrl",
    "examples",
    "extendedAgentCard",
    "extensions",
    "file",
    "fileWithBytes",
    "fileWithUri",
    "filename",
    "final",
    "flows",
    "history",
    "httpAuthSecurityScheme",
    "iconUrl",
    "id",
    "in",
    "inputModes",
    "kind",
    "lastChunk",
    "location",
    "mediaType",
    "message",
    "messageId",
    "metadata",
    "mimeType",
    "mtlsSecurityScheme",
    "name",
    "nextPageToken",
    "oauth2MetadataUrl",
    "oauth2SecurityScheme",
    "openIdConnectSecurityScheme",
    "openIdConnectUrl",
    "organization",
    "outputModes",
    "pageSize",
    "params",
    "parts",
    "preferredTransport",
    "protocolBinding",
    "protocolVersion",
    "provider",
    "pushNotifications",
    "raw",
    "referenceTaskIds",
    "required",
    "role",
    "scheme",
    "schemes",
    "scopes",
    "security",
    "securityRequirements",
    "securitySchemes",
    "signatures",
    "skills",
    "state",
    "stateTransitionHistory",
    "status",
    "statusUpdate",
    "streaming",
    "supportedInterfaces",
    "supportsAuthenticatedExtendedCard",
    "tags",
    "task",
    "taskId",
    "tasks",
    "tenant",
    "text",
    "timestamp",
    "totalSize",
    "transport",
    "type",
    "uri",
    "url",
    "version",
    "tokenUrl",
];

/// The name that a member should have, if this is another spelling of one that A2A has.
pub(super) fn misspelt(name: &str) -> Option<&'static str> {
    if MEMBERS.contains(&name) {
        return None;
    }
    MEMBERS.into_iter().find(|member| same_name(member, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_in_every_spelling() {
        for (number, word) in STATES.iter().enumerate() {
            let bare = &word.v1_0["TASK_STATE_".len()..];
            let lower = bare.to_ascii_lowercase();
            let spellings = [
                word.v1_0.to_owned(),
                word.v0_3.to_owned(),
                bare.to_owned(),
                lower.clone(),
                lower.replace('_', "-"),
                lower.replace('_', " "),
                bare.replace('_', ""),
                word.v1_0.to_ascii_lowercase(),
                number.to_string(),
            ];
            for text in spellings {
                for dialect in [Dialect::V1_0, Dialect::V0_3] {
                    let read = state(Some(&text), dialect);
                    assert_eq!(read.value, word.value, "{text}");
                    let own = word.of(dialect);
                    assert_eq!(read.instead_of, (own != text).then_some(own), "{text} in {dialect}");
                }
            }
        }
        for text in ["cancelled", "CANCELLED", "TASK_STATE_CANCELLED"] {
            assert_eq!(state(Some(text), Dialect::V1_0).value, TaskState::Canceled, "{text}");
        }
        for text in ["", "done", "9", "-1", "TASK_STATE_", "TASK_STATE_NEW"] {
            assert_eq!(state(Some(text), Dialect::V1_0).value, TaskState::Other(text.into()), "{text}");
        }
        assert_eq!(state(None, Dialect::V0_3).value, TaskState::Unspecified);
    }

    #[test]
    fn a_role_is_read_in_every_spelling() {
        for (texts, expected) in [
            (["ROLE_AGENT", "role_agent", "agent", "AGENT", "Agent", "2"], Role::Agent),
            (["ROLE_USER", "role_user", "user", "USER", "User", "1"], Role::User),
        ] {
            for text in texts {
                for dialect in [Dialect::V1_0, Dialect::V0_3] {
                    let read = role(Some(text), dialect);
                    assert_eq!(read.value, expected, "{text}");
                    assert_eq!(read.instead_of.is_none(), text == role_word(&expected, dialect), "{text}");
                }
            }
        }
        assert_eq!(role(Some("system"), Dialect::V1_0).value, Role::Other("system".into()));
        assert_eq!(
            role(Some("ROLE_UNSPECIFIED"), Dialect::V1_0).value,
            Role::Other("ROLE_UNSPECIFIED".into())
        );
        assert_eq!(role(None, Dialect::V0_3).value, Role::Other("".into()));
    }
}
