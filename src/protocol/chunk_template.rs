//! The common envelope of the chunks of one stream: everything but the text.
//!
//! A stream repeats the same envelope thousands of times. Once a codec has decoded a chunk, any event with the same
//! bytes before and after its text, and a JSON string between them, is the same chunk with another text.

use std::borrow::Cow;

use super::scan;

/// The envelope of the last chunk that a codec has read.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    before: String,
    behind: String,
    known: bool,
}

impl Shape {
    /// Remembers the envelope of a chunk: `data` as received, and the `text` in it. A text with escapes is a copy of
    /// unknown position; then the previous envelope is kept.
    pub fn learn(&mut self, data: &str, text: &str) {
        let Some(start) = text.as_ptr().addr().checked_sub(data.as_ptr().addr()) else { return };
        let (Some(before), Some(behind)) = (data.get(..start), data.get(start + text.len()..)) else {
            return;
        };
        // An empty text may be absent from the data, or occur elsewhere in it.
        if !before.ends_with('"') || !behind.starts_with('"') {
            return;
        }
        self.before.clear();
        self.before.push_str(before);
        self.behind.clear();
        self.behind.push_str(behind);
        self.known = true;
    }

    /// Forgets the envelope.
    pub fn forget(&mut self) {
        self.known = false;
    }

    /// The text of a chunk that differs from the last one in nothing else.
    pub fn text_of<'a>(&self, data: &'a str) -> Option<Cow<'a, str>> {
        if !self.known {
            return None;
        }
        let text = data.strip_prefix(self.before.as_str())?.strip_suffix(self.behind.as_str())?;
        scan::inside_quotes(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::card::Dialect;
    use crate::protocol::scan::tests::CHANGES;
    use crate::protocol::{Codec, Deviations, Event, codec};

    /// For every change of one byte: what the template accepts as a chunk is that chunk.
    #[test]
    fn a_template_accepts_only_chunks_that_its_codec_reads_the_same() {
        for (dialect, text) in [
            (
                Dialect::V1_0,
                r#"{"jsonrpc":"2.0","id":"1","result":{"artifactUpdate":{"taskId":"t","contextId":"c","artifact":{"artifactId":"a","name":"n","parts":[{"text":"a word"}]},"append":true,"lastChunk":false}}}"#,
            ),
            (
                Dialect::V0_3,
                r#"{"jsonrpc":"2.0","id":"1","result":{"kind":"artifact-update","taskId":"t","contextId":"c","artifact":{"artifactId":"a","parts":[{"kind":"text","text":""}]},"append":true}}"#,
            ),
        ] {
            let codec = codec(dialect);
            let mut shape = Shape::default();
            assert_eq!(shape.text_of(text), None);
            let Ok(Event::Chunk { text: words, .. }) = codec.decode_event(text, &mut Deviations::default())
            else {
                panic!("no chunk: {text}");
            };
            shape.learn(text, &words);
            assert_eq!(shape.text_of(text), Some(words));
            let bytes = text.as_bytes();
            let mut taken = 0;
            for at in 0..bytes.len() {
                for change in CHANGES {
                    for skipped in [0, 1] {
                        let changed = [&bytes[..at], change, &bytes[at + skipped..]].concat();
                        let changed = String::from_utf8_lossy(&changed);
                        taken += u32::from(same(codec, text, &changed, &shape));
                    }
                }
            }
            assert!(taken > 10, "only {taken} changes were taken");
        }
    }

    fn same(codec: &dyn Codec, first: &str, data: &str, shape: &Shape) -> bool {
        let Some(text) = shape.text_of(data) else { return false };
        let Ok(Event::Chunk { task, artifact, last, .. }) =
            codec.decode_event(first, &mut Deviations::default())
        else {
            panic!("no chunk: {first}");
        };
        let expected = Event::Chunk { task, artifact, text, last };
        let mut deviations = Deviations::default();
        assert_eq!(codec.decode_event(data, &mut deviations), Ok(expected), "{data}");
        assert!(deviations.is_empty(), "{data}: {deviations:?}");
        true
    }
}
