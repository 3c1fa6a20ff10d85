//! `gzip-bomb`: its card is fine; every other answer is compressed with gzip, about 300 kB that become 300 MB.

use std::sync::LazyLock;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};

use super::{Asked, BehaviourFuture, OnWire};
use crate::demo::answer::Answer;

pub(super) struct GzipBomb;

impl OnWire for GzipBomb {
    fn answer<'a>(&'a self, Asked { id, .. }: Asked<'a>) -> BehaviourFuture<'a, Option<Answer>> {
        Box::pin(async move {
            let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"task":{{"id":""#);
            Some(Answer::Gzip(bomb(&head)))
        })
    }
}

/// A text that begins with `head` and continues for 300 MB, compressed.
pub(super) fn bomb(head: &str) -> Bytes {
    const MEGABYTES: usize = 300;
    /// Of a gzip file without a name and a time.
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    static MEGABYTE: LazyLock<Vec<u8>> = LazyLock::new(|| compressed(&vec![b'x'; 1024 * 1024]));
    // The blocks are independent, so that one megabyte is compressed only once. The end of the file is missing: no
    // reader gets that far.
    let mut all = HEADER.to_vec();
    all.extend_from_slice(&compressed(head.as_bytes()));
    for _ in 0..MEGABYTES {
        all.extend_from_slice(&MEGABYTE);
    }
    all.into()
}

/// Deflated blocks that do not end the file and refer to nothing before them.
fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::with_capacity(bytes.len() + 1024);
    let mut compress = Compress::new(Compression::best(), false);
    let _there_is_room = compress.compress_vec(bytes, &mut blocks, FlushCompress::Full);
    blocks
}
