//! Decoding shared by both versions.

use super::json::{Object, Writer};
use super::timestamp;
use crate::domain::id::{ContextId, TaskId};
use crate::domain::job::message::{Hints, Json, Message};
use crate::domain::text::Untrusted;
use crate::domain::time::PeerTime;

/// Metadata keys that this project defines, or that are customary.
const CALLER: &str = "quarterdeck.caller";
const PARENT: &str = "quarterdeck.parent_task";
const SKILL: &str = "skill";
const JOB: &str = "quarterdeck.job";
const ATTEMPT: &str = "quarterdeck.attempt";
const TRACEPARENT: &str = "traceparent";

/// The metadata about caller and skill.
pub(super) fn hints(object: &Object<'_>) -> Hints {
    let Some(metadata) = object.object("metadata") else { return Hints::default() };
    Hints {
        caller: metadata.filled(CALLER),
        skill: metadata.filled(SKILL),
        parent: metadata.filled(PARENT).map(TaskId::from),
        job: metadata.filled(JOB),
        attempt: metadata.filled(ATTEMPT),
        traceparent: metadata.filled(TRACEPARENT),
    }
}

/// The metadata of a message with its hints put in; members that are there already stay.
pub(super) fn metadata_with_hints(message: &Message) -> Option<String> {
    let own = message.metadata.as_ref().map(Json::raw);
    let Hints { caller, skill, parent, job, attempt, traceparent } = &message.hints;
    let own_object = own.and_then(|raw| Object::parse(raw).ok());
    if own.is_some() && own_object.is_none() {
        return own.map(ToOwned::to_owned);
    }
    let own_object = own_object.unwrap_or_default();
    let mut writer = Writer::new();
    let mut any = false;
    for (key, value) in own_object.members() {
        writer = writer.raw(key, value.get());
        any = true;
    }
    let parent = parent.as_ref().map(TaskId::text);
    let hints = [
        (CALLER, caller.as_ref()),
        (SKILL, skill.as_ref()),
        (PARENT, parent.as_ref()),
        (JOB, job.as_ref()),
        (ATTEMPT, attempt.as_ref()),
        (TRACEPARENT, traceparent.as_ref()),
    ];
    for (key, hint) in hints {
        if let Some(hint) = hint
            && !own_object.has(key)
        {
            writer = writer.text(key, hint.raw());
            any = true;
        }
    }
    any.then(|| writer.end())
}

/// A timestamp member.
pub(super) fn time(object: &Object<'_>, key: &str) -> Option<PeerTime> {
    timestamp::parse(&object.text(key)?)
}

/// A non-empty `contextId`.
pub(super) fn context(object: &Object<'_>) -> Option<ContextId> {
    object.filled("contextId").map(ContextId::from)
}

/// A non-empty `taskId`.
pub(super) fn task_id(object: &Object<'_>) -> Option<TaskId> {
    object.filled("taskId").map(TaskId::from)
}

/// A member or an empty text.
pub(super) fn or_empty(object: &Object<'_>, key: &str) -> Untrusted {
    object.untrusted(key).unwrap_or_else(|| Untrusted::from(""))
}

/// Metadata of an object that carries nothing to merge.
pub(super) fn raw_of(json: Option<&Json>) -> Option<&str> {
    json.map(Json::raw)
}

/// An id member; `None` if absent.
pub(super) fn id_text(text: Option<&Untrusted>) -> Option<&str> {
    text.map(Untrusted::raw)
}

/// A time as servers write it.
pub(super) fn time_text(time: Option<PeerTime>) -> Option<String> {
    time.map(|time| timestamp::format_micros(time.micros()))
}
