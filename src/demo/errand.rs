//! The messages of a story: sent by our own engine, to an agent or wherever the rules of routing send them.

use std::collections::BTreeMap;

use super::scenario::JobPart;
use crate::domain::id::AttemptId;
use crate::domain::intent::{Intent, Receipt, Send};
use crate::domain::job::message::{Content, Json, Part};
use crate::domain::route::Target;
use crate::engine::Handle;

/// Sends the message of a job; `name` and `number` take the places that it leaves for them. Returns the attempt, if one
/// was begun: a job that goes by rules may have to wait.
pub(super) async fn send(handle: &Handle, job: &JobPart, name: &str, number: usize) -> Option<AttemptId> {
    let target = match &job.to {
        None => Target::Any,
        Some(to) => {
            let snapshot = handle.snapshot();
            let (_, agent) = snapshot.agents.iter().find(|(_, agent)| agent.name.raw() == to)?;
            Target::Agent(agent.id)
        }
    };
    let fill = |text: &str| text.replace("{name}", name).replace("{number}", &number.to_string());
    let object = |fields: &BTreeMap<String, String>| {
        let fields: BTreeMap<&str, String> =
            fields.iter().map(|(key, value)| (key.as_str(), fill(value))).collect();
        serde_json::to_string(&fields).ok().filter(|_| !fields.is_empty()).map(Json::new)
    };
    let data = object(&job.data).map(|json| Part { content: Content::Data(json), ..Part::text("") });
    let parts = std::iter::once(Part::text(fill(&job.text))).chain(data).collect();
    let intent = Intent::Send(Box::new(Send {
        skill: job.skill.as_deref().map(Into::into),
        caller: job.caller.as_deref().map(Into::into),
        metadata: object(&job.metadata),
        ..Send::to(target, parts)
    }));
    match handle.submit(intent).await {
        Ok(Receipt::Taken { attempt, .. }) => attempt,
        Ok(_) => None,
        Err(refusal) => {
            tracing::debug!(%refusal, text = job.text, "the story's job was not taken");
            None
        }
    }
}
