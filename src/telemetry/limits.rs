//! Limits on what senders of telemetry may cost, in bytes unless stated otherwise. Anything beyond is refused, or dropped,
//! counted and told.

use std::time::Duration;

/// How long what is received is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// At most this long.
    pub time: Duration,
    /// At most this many bytes.
    pub bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { time: Duration::from_secs(7 * 24 * 3600), bytes: ON_DISK }
    }
}

/// One request, compressed and not.
pub const REQUEST: usize = 4 * MIB;
/// Requests of all senders that are read, decoded or waiting to be written.
pub const IN_MEMORY: usize = 64 * MIB;
/// Above this share of memory or disk, in percent, only traces that are known already are taken.
pub const RESERVE_FROM: u64 = 80;
/// The file of the store.
pub const ON_DISK: u64 = 1024 * MIB as u64;
/// One span or record as it is kept. Attributes and events that do not fit are dropped from it.
pub const ITEM: usize = 64 * KIB;
/// One attribute or event of it.
pub const FIELD: usize = 8 * KIB;
/// The attributes of a resource or a scope.
pub const RESOURCE: usize = 8 * KIB;
/// Spans of one trace, by number. Further ones are dropped, and the trace is marked.
pub const SPANS_OF_TRACE: usize = 20_000;
/// Spans or records of one request, by number.
pub const ITEMS: usize = 50_000;
/// Levels of values within values.
pub const DEPTH: usize = 16;
/// Elements of one list or map, by number.
pub const ELEMENTS: usize = 1000;
/// A service, a name or another text that a row of the store has.
pub const TEXT: usize = 256;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
