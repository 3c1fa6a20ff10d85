//! Decodes in one pass the event that comes thousands of times a second: a chunk of appended plain text. Anything else
//! is left to `decode`.

use std::borrow::Cow;

use crate::protocol::Event;
use crate::protocol::scan::{Chunk, Cursor, once, rpc_result};

pub(super) fn chunk(data: &str) -> Option<Event<'_>> {
    rpc_result(data, update)
}

fn update<'a>(cursor: &mut Cursor<'a>) -> Option<Event<'a>> {
    let (mut kind, mut chunk) = (None, Chunk::default());
    cursor.members(|cursor, name| match name {
        "kind" => once(&mut kind, cursor.plain().filter(|kind| *kind == "artifact-update")),
        name => chunk.member(cursor, name, only_text),
    })?;
    kind.and(chunk.event())
}

fn only_text<'a>(cursor: &mut Cursor<'a>) -> Option<Cow<'a, str>> {
    let (mut kind, mut text) = (None, None);
    cursor.members(|cursor, name| match name {
        "kind" => once(&mut kind, cursor.plain().filter(|kind| *kind == "text")),
        "text" => once(&mut text, cursor.text()),
        _ => None,
    })?;
    kind.and(text)
}

#[cfg(test)]
mod tests {
    use crate::protocol::scan::tests::check;
    use crate::protocol::v0_3::decode::any_event;

    #[test]
    fn the_fast_path_reads_chunks_as_the_full_decoder_does() {
        for text in [
            r#"{"jsonrpc":"2.0","id":"1","result":{"kind":"artifact-update","taskId":"t","contextId":"c","artifact":{"artifactId":"a","name":"n","parts":[{"kind":"text","text":"a \"b\"\n"}]},"append":true,"lastChunk":true}}"#,
            r#"{"result":{"append":true,"artifact":{"parts":[{"text":"","kind":"text"}],"artifactId":"a"},"taskId":"t","kind":"artifact-update"},"id":17,"jsonrpc":"2.0"}"#,
        ] {
            check(text, super::chunk, any_event);
        }
    }
}
