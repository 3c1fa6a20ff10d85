//! What another attempt takes along from an earlier one: its conversation and its results so far.

use std::sync::Arc;

use crate::domain::fact::{AttemptFact, JournalEntry};
use crate::domain::id::{AttemptId, ContextId, TaskId};
use crate::domain::job::detail::{Detail, outputs_of};
use crate::domain::job::message::{Artifact, Content, Json, Message, Part, Role};
use crate::domain::text::Untrusted;

/// The conversation that another attempt belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum CarryContext {
    /// The one that its caller gave, if any.
    #[default]
    Given,
    /// The one of the earlier attempt. Agents other than the earlier one and its replicas may not know it.
    Same,
    /// A new one.
    New,
}

impl CarryContext {
    /// The word on the command line and in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Same => "same",
            Self::New => "new",
        }
    }
}

/// How an attempt carries what an earlier one has come to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum CarryHistory {
    /// Not at all.
    #[default]
    None,
    /// By the ids of the earlier task and of its artifacts.
    References,
    /// With the conversation and the artifacts as parts of the message.
    Content,
}

impl CarryHistory {
    /// The word on the command line and in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::References => "references",
            Self::Content => "content",
        }
    }
}

/// What an operator wants another attempt to take along.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Carry {
    /// Its conversation.
    pub context: CarryContext,
    /// What the earlier attempt has come to.
    pub history: CarryHistory,
}

/// What another attempt takes along, and from which one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Carried {
    /// The earlier attempt.
    pub from: AttemptId,
    /// Its conversation.
    pub context: CarryContext,
    /// What the earlier attempt has come to.
    pub history: CarryHistory,
}

/// Bytes of messages and artifacts that are carried as content, at most.
pub const CARRIED: usize = 256 * 1024;
/// The key in a message's metadata under which it names what it carries.
const KEY: &str = "quarterdeck.carried";

/// The earlier attempt, as far as it is carried.
struct Earlier {
    task: Option<TaskId>,
    context: Option<ContextId>,
    messages: Vec<Arc<Message>>,
    artifacts: Vec<Artifact>,
}

impl Earlier {
    fn of(facts: &[JournalEntry], attempt: AttemptId, original: &Message) -> Self {
        let (mut task, mut context, mut detail) = (None, None, Detail::default());
        for entry in facts {
            let of = entry.fact.of_attempt().filter(|(of, _)| *of == attempt);
            match of.map(|(_, fact)| fact) {
                Some(AttemptFact::TaskSeen { task: id, context: seen, .. }) => {
                    task = Some(id.clone());
                    context = seen.clone().or(context);
                }
                Some(AttemptFact::StateSeen { context: seen, .. }) => context = seen.clone().or(context),
                _ => {}
            }
            detail.apply(entry);
        }
        // The agent may repeat the message that is sent again anyway.
        let ours = |message: &Message| message.role == Role::User && message.parts == original.parts;
        let of_attempt = detail.messages.iter().filter(|entry| entry.attempt == Some(attempt));
        let messages =
            of_attempt.map(|entry| entry.message.clone()).filter(|message| !ours(message)).collect();
        let artifacts = outputs_of(facts, attempt)
            .into_iter()
            .map(|(id, name, parts)| Artifact { name, ..Artifact::new(id, joined(parts)) });
        Self { task, context, messages, artifacts: artifacts.collect() }
    }

    /// The ids of what is carried, as metadata.
    fn ids(&self) -> serde_json::Value {
        let artifacts = self.artifacts.iter().map(|artifact| {
            serde_json::json!({
                "artifactId": artifact.id.raw(),
                "name": artifact.name.as_ref().map(Untrusted::raw),
            })
        });
        serde_json::json!({
            "task": self.task.as_ref().map(|task| task.raw().to_string()),
            "context": self.context.as_ref().map(|context| context.raw().to_string()),
            "artifacts": artifacts.collect::<Vec<_>>(),
        })
    }

    /// The conversation and the artifacts as parts, each under a heading that says what it is.
    fn parts(&self) -> Vec<Part> {
        let size = |parts: &[Part]| parts.iter().map(Part::len).sum::<usize>();
        let mut left = CARRIED;
        let mut fits = |bytes: usize| {
            let fits = bytes <= left;
            left -= if fits { bytes } else { 0 };
            fits
        };
        // The last words matter most.
        let mut kept: Vec<_> =
            self.messages.iter().rev().take_while(|message| fits(size(&message.parts))).collect();
        kept.reverse();
        let cut = self.messages.len() - kept.len();
        let mut parts = vec![Part::text(self.heading(cut))];
        for message in kept {
            let who = if message.role == Role::User { "the caller" } else { "the agent" };
            parts.push(Part::text(format!("Message of {who}:")));
            parts.extend(message.parts.iter().cloned());
        }
        for artifact in &self.artifacts {
            let bytes = size(&artifact.parts);
            let name = artifact.name.as_ref().unwrap_or(&artifact.id).raw();
            let id = artifact.id.raw();
            if fits(bytes) {
                parts.push(Part::text(format!("Artifact {name} (id {id}):")));
                parts.extend(artifact.parts.iter().cloned());
            } else {
                let task =
                    self.task.as_ref().map(|task| format!(" of task {}", &*task.raw())).unwrap_or_default();
                parts.push(Part::text(format!(
                    "Artifact {name} (id {id}{task}) has {bytes} bytes and is not repeated here, as it is too large."
                )));
            }
        }
        parts
    }

    fn heading(&self, cut: usize) -> String {
        let task = self.task.as_ref().map(|task| format!(" (task {})", &*task.raw())).unwrap_or_default();
        let cut = match cut {
            0 => String::new(),
            1 => " Its first message is left out, as it is too large.".to_owned(),
            cut => format!(" Its first {cut} messages are left out, as they are too large."),
        };
        format!(
            "[Carried over from an earlier attempt{task}: its conversation and its artifacts so far follow.{cut}]"
        )
    }
}

/// Chunks of text that were cut anywhere, as one part.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::new();
    for part in parts {
        if let (Some(Content::Text(text)), Content::Text(more)) =
            (all.last_mut().map(|last| &mut last.content), &part.content)
        {
            *text = Untrusted::from(format!("{}{}", text.raw(), more.raw()));
            continue;
        }
        all.push(part);
    }
    all
}

/// The message of another attempt: the job's own, with what it takes along from the earlier one by the facts of the job.
pub fn compose(original: &Message, facts: &[JournalEntry], carried: &Carried) -> Message {
    let earlier = Earlier::of(facts, carried.from, original);
    let mut message = original.clone();
    match carried.context {
        CarryContext::Given => {}
        CarryContext::Same => message.context = earlier.context.clone().or(message.context),
        CarryContext::New => message.context = None,
    }
    if carried.history == CarryHistory::None {
        return message;
    }
    message.references.extend(earlier.task.clone());
    message.metadata = Some(with(message.metadata.as_ref(), &earlier.ids()));
    if carried.history == CarryHistory::Content {
        message.parts.extend(earlier.parts());
    }
    message
}

/// A metadata object with one more member; the others stay as they were written.
fn with(metadata: Option<&Json>, value: &serde_json::Value) -> Json {
    let before = metadata.map_or("{}", |json| json.raw().trim());
    // Whatever is not an object was never sent as metadata.
    let inner = before.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).map_or("", str::trim);
    let comma = if inner.is_empty() { "" } else { "," };
    Json::new(format!("{{{inner}{comma}\"{KEY}\":{value}}}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fact::{Fact, JobFact};
    use crate::domain::id::{JobId, MessageId};
    use crate::domain::job::task::{TaskState, Via};
    use crate::domain::time::At;

    const FROM: AttemptId = AttemptId(uuid::Uuid::from_u128(7));

    fn entry(seq: u64, fact: AttemptFact) -> JournalEntry {
        let fact = Fact::Job(JobId(uuid::Uuid::from_u128(1)), JobFact::Attempt(FROM, fact));
        JournalEntry { at: At::from_micros(1), seq, actor: None, fact }
    }

    fn output(seq: u64, id: &str, append: bool, text: &str) -> JournalEntry {
        let parts = Arc::new(vec![Part::text(text)]);
        entry(seq, AttemptFact::ArtifactSeen { artifact: id.into(), name: None, append, parts, last: true })
    }

    fn facts(large: usize) -> Vec<JournalEntry> {
        let seen = |seq, id: &str, role, text: &str| {
            let message = Arc::new(Message::new(MessageId::from(id), role, vec![Part::text(text)]));
            entry(seq, AttemptFact::MessageSeen { message, status: false })
        };
        let task = AttemptFact::TaskSeen {
            task: "task-1".into(),
            context: Some("context-1".into()),
            state: TaskState::Working,
            peer_time: None,
            via: Via::Send,
            raw: None,
        };
        vec![
            entry(1, task),
            seen(2, "m", Role::User, "sum up"),
            seen(3, "q", Role::Agent, "which year?"),
            seen(4, "a", Role::User, "2026"),
            output(5, "draft", false, "half of "),
            output(6, "draft", true, "it"),
            output(7, "table", false, &"x".repeat(large)),
        ]
    }

    fn composed(context: CarryContext, history: CarryHistory, large: usize) -> Message {
        let original = Message {
            context: Some("given".into()),
            metadata: Some(Json::new(r#"{"type":"sum","deep":{"n":1.50}}"#)),
            ..Message::new("m", Role::User, vec![Part::text("sum up")])
        };
        compose(&original, &facts(large), &Carried { from: FROM, context, history })
    }

    fn texts(message: &Message) -> Vec<&str> {
        message.parts.iter().filter_map(Part::as_text).map(Untrusted::raw).collect()
    }

    #[test]
    fn the_context_is_the_given_the_same_or_a_new_one() {
        for (context, expected) in [
            (CarryContext::Given, Some("given")),
            (CarryContext::Same, Some("context-1")),
            (CarryContext::New, None),
        ] {
            let message = composed(context, CarryHistory::None, 1);
            let context = message.context.as_ref().map(|context| context.raw().to_string());
            assert_eq!(context.as_deref(), expected);
            assert_eq!(texts(&message), ["sum up"]);
            assert!(message.references.is_empty());
        }
    }

    #[test]
    fn references_name_the_task_and_its_artifacts() {
        let message = composed(CarryContext::Given, CarryHistory::References, 1);
        assert_eq!(message.references, [TaskId::from("task-1")]);
        assert_eq!(texts(&message), ["sum up"]);
        assert_eq!(
            message.metadata.unwrap().raw(),
            r#"{"type":"sum","deep":{"n":1.50},"quarterdeck.carried":{"task":"task-1","context":"context-1","artifacts":[{"artifactId":"draft","name":null},{"artifactId":"table","name":null}]}}"#
        );
    }

    #[test]
    fn content_repeats_the_conversation_and_the_artifacts_that_fit() {
        let message = composed(CarryContext::New, CarryHistory::Content, CARRIED);
        let too_large = format!(
            "Artifact table (id table of task task-1) has {CARRIED} bytes and is not repeated here, as it is too large."
        );
        assert_eq!(
            texts(&message),
            [
                "sum up",
                "[Carried over from an earlier attempt (task task-1): its conversation and its artifacts so far follow.]",
                "Message of the agent:",
                "which year?",
                "Message of the caller:",
                "2026",
                "Artifact draft (id draft):",
                "half of it",
                &*too_large,
            ]
        );
        assert_eq!(message.references, [TaskId::from("task-1")]);
    }

    #[test]
    fn the_first_messages_are_left_out_if_there_are_too_many() {
        let mut facts = facts(1);
        for seq in 10..20 {
            let text = "y".repeat(CARRIED / 4);
            let message =
                Arc::new(Message::new(format!("m{seq}").as_str(), Role::Agent, vec![Part::text(text)]));
            facts.push(entry(seq, AttemptFact::MessageSeen { message, status: false }));
        }
        let carried = Carried { from: FROM, context: CarryContext::Given, history: CarryHistory::Content };
        let message = compose(&Message::new("m", Role::User, vec![Part::text("sum up")]), &facts, &carried);
        assert!(texts(&message)[1].contains("Its first 8 messages are left out"), "{:?}", texts(&message)[1]);
        assert!(message.size() < 2 * CARRIED as u64);
    }
}
