//! Decodes in one pass the two events that come thousands of times a second: a chunk of appended plain text, and a
//! status with at most one line of text. Anything else is left to `decode`.

use std::borrow::Cow;

use crate::domain::agent::card::Dialect;
use crate::domain::job::message::{Message, Part};
use crate::domain::job::task::{Status, StreamEvent};
use crate::protocol::scan::{Chunk, Cursor, once, rpc_result};
use crate::protocol::words::{self, Read};
use crate::protocol::{Event, keep_raw, timestamp};

pub(super) fn event(data: &str) -> Option<Event<'_>> {
    rpc_result(data, result)
}

fn result<'a>(cursor: &mut Cursor<'a>) -> Option<Event<'a>> {
    let start = cursor.here()?;
    let mut event = None;
    cursor.members(|cursor, name| match name {
        "artifactUpdate" => once(&mut event, chunk(cursor)),
        "statusUpdate" => once(&mut event, status_update(cursor)),
        _ => None,
    })?;
    if let Some(Event::Full(StreamEvent::Status { raw, .. })) = &mut event {
        *raw = keep_raw(cursor.since(start));
    }
    event
}

fn chunk<'a>(cursor: &mut Cursor<'a>) -> Option<Event<'a>> {
    let mut chunk = Chunk::default();
    cursor.members(|cursor, name| chunk.member(cursor, name, only_text))?;
    chunk.event()
}

fn only_text<'a>(cursor: &mut Cursor<'a>) -> Option<Cow<'a, str>> {
    let mut text = None;
    cursor.members(|cursor, name| match name {
        "text" => once(&mut text, cursor.text()),
        _ => None,
    })?;
    text
}

fn status_update<'a>(cursor: &mut Cursor<'a>) -> Option<Event<'a>> {
    let (mut task, mut context, mut now) = (None, None, None);
    cursor.members(|cursor, name| match name {
        "taskId" => once(&mut task, cursor.text()),
        "contextId" => once(&mut context, cursor.text()),
        "status" => once(&mut now, status(cursor)),
        _ => None,
    })?;
    Some(Event::Full(StreamEvent::status(filled(task), filled(context), now?)))
}

fn status(cursor: &mut Cursor<'_>) -> Option<Status> {
    let (mut named, mut time, mut note) = (None, None, None);
    cursor.members(|cursor, name| match name {
        "state" => once(&mut named, cursor.plain()),
        "timestamp" => once(&mut time, cursor.plain()),
        "message" => once(&mut note, message(cursor)),
        _ => None,
    })?;
    let state = exact(words::state(named, Dialect::V1_0))?;
    Some(Status { state, message: note, timestamp: time.and_then(timestamp::parse) })
}

fn message(cursor: &mut Cursor<'_>) -> Option<Message> {
    let (mut id, mut by, mut task, mut context, mut text) = (None, None, None, None, None);
    cursor.members(|cursor, name| match name {
        "messageId" => once(&mut id, cursor.text()),
        "role" => once(&mut by, cursor.plain()),
        "taskId" => once(&mut task, cursor.text()),
        "contextId" => once(&mut context, cursor.text()),
        "parts" => once(&mut text, cursor.only(only_text)),
        _ => None,
    })?;
    Some(Message {
        context: filled(context),
        task: filled(task),
        ..Message::new(&*id?, exact(words::role(by, Dialect::V1_0))?, vec![Part::text(&*text?)])
    })
}

/// A word in the spelling of 1.0; others are left to `decode`, which records them.
fn exact<T>(word: Read<T>) -> Option<T> {
    word.instead_of.is_none().then_some(word.value)
}

/// A text that is not empty.
fn filled<I: for<'t> From<&'t str>>(text: Option<Cow<'_, str>>) -> Option<I> {
    text.filter(|text| !text.is_empty()).map(|text| I::from(&*text))
}

#[cfg(test)]
mod tests {
    use crate::protocol::scan::tests::check;
    use crate::protocol::v1_0::decode::any_event;

    #[test]
    fn the_fast_path_reads_events_as_the_full_decoder_does() {
        for text in [
            r#"{"jsonrpc":"2.0","id":"1","result":{"artifactUpdate":{"taskId":"t","contextId":"c","artifact":{"artifactId":"a","name":"n","parts":[{"text":"a \"b\"\n\u00e9"}]},"append":true,"lastChunk":false}}}"#,
            r#"{"result":{"artifactUpdate":{"append":true,"artifact":{"parts":[{"text":""}],"artifactId":"a"},"taskId":"t"}},"id":17,"jsonrpc":"2.0"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result": {"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING","timestamp":"2026-11-22T08:24:07.010Z","message":{"role":"ROLE_AGENT","messageId":"m\u0031","taskId":"t","contextId":"","parts":[{"text":"step 1"}]}}}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"statusUpdate":{"taskId":"t","status":{"state":"TASK_STATE_NEW"}}}}"#,
        ] {
            check(text, super::event, any_event);
        }
    }
}
