//! `gzip-bomb`: its card is fine; every other answer is compressed with gzip, about 300 kB that become 300 MB.

use std::io::Write;
use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Doing, OnWire};
use crate::demo::agent::Agent;
use crate::demo::answer::Answer;
use crate::protocol::Incoming;

pub(super) struct GzipBomb;

impl OnWire for GzipBomb {
    fn answer<'a>(&'a self, _: &'a Agent, id: &'a str, _: &'a Incoming) -> Doing<'a, Option<Answer>> {
        Box::pin(async move {
            let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"task":{{"id":""#);
            Some(Answer::Gzip(bomb(&head)))
        })
    }
}

/// A text that begins with `head` and goes on for 300 MB, compressed.
pub(super) fn bomb(head: &str) -> Bytes {
    const MEGABYTES: usize = 300;
    static MEGABYTE: LazyLock<Vec<u8>> = LazyLock::new(|| compressed(&vec![b'x'; 1024 * 1024]));
    // Members of a gzip file follow each other, so that one megabyte is compressed only once.
    let mut all = compressed(head.as_bytes());
    for _ in 0..MEGABYTES {
        all.extend_from_slice(&MEGABYTE);
    }
    all.into()
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    // Writing to a vector cannot fail.
    written.unwrap_or_default()
}
