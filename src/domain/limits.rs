//! All limits on external input, in one place. Anything beyond is refused with the limit's name, or dropped, counted
//! and reported.
//!
//! Sizes are in bytes unless stated otherwise. The figures are our own; no specification sets any.

/// Jobs of a fleet that wait in the queue.
pub const QUEUED_JOBS: usize = 100_000;
/// Bytes of their messages.
pub const QUEUED_BYTES: u64 = 256 * 1024 * 1024;
/// An agent card.
pub const CARD: usize = 4 * MIB;
/// A JSON answer, with the compressed bytes that it came in.
pub const BODY: usize = 64 * MIB;
/// One line of an event stream, and one event.
pub const EVENT: usize = 8 * MIB;
/// Answers and events up to this size are always read. Larger ones need a share of [`LARGE_IN_FLIGHT`].
pub const SMALL: usize = 256 * KIB;
/// Large answers and events of all agents together, while they are read and decoded.
pub const LARGE_IN_FLIGHT: usize = BODY;
/// Bytes that are reserved for a large answer or event, however long it becomes. The C library gives a buffer back to the
/// system if it is over 32 MiB (glibc's `DEFAULT_MMAP_THRESHOLD_MAX`); smaller ones it keeps, and between what is
/// allocated meanwhile their places soon fit nothing. Memory that is reserved and not written to costs nothing.
pub const RESERVED: usize = BODY;
/// Seconds within which a large answer must have come once others wait for room.
pub const LARGE_WITHIN_S: u64 = 5;
/// Raw JSON kept beside its parsed form.
pub const RAW: usize = 64 * KIB;
/// A message to an agent, in JSON as a client of the control socket sends it.
pub const MESSAGE: usize = 32 * MIB;
/// A file that is sent in a message, so that its base64 fits into one.
pub const FILE: u64 = 22 * 1024 * 1024;
/// Levels of nested JSON.
pub const DEPTH: usize = 128;
/// Headers of a response, by number.
pub const HEADERS: usize = 100;
/// All headers of a response together.
pub const HEADER_BYTES: u32 = 256 * 1024;
/// Extensions of one HTTP chunk, or all trailers of a body.
pub const CHUNK_EXTENSIONS: usize = 64 * KIB;
/// Notifications that wait to be posted to the webhook or are being posted, by number.
pub const NOTIFICATIONS: usize = 64;
/// Problems that are over, by number. Of more, those that cleared first are forgotten.
pub const CLEARED_PROBLEMS: usize = 20_000;
/// Agents that have left and that only sources ever named, by number. Of more, those that left first are forgotten.
pub const DEPARTED_AGENTS: usize = 20_000;
/// And their cards.
pub const DEPARTED_CARDS: u64 = 64 * 1024 * 1024;
/// Cards up to this size of agents that only sources name are always taken.
pub const SMALL_CARD: u64 = 16 * 1024;
/// Larger ones of all these agents together.
pub const LARGE_CARDS: u64 = 256 * 1024 * 1024;
/// Facts of one agent that the journal keeps, in bytes. Of more, the oldest are removed, but for acts of operators.
pub const HISTORY: u64 = 4 * 1024 * 1024;
/// And by rows, each of which holds the facts of one commit.
pub const HISTORY_ROWS: u32 = 20_000;
/// Facts of the fleet that the journal keeps, in as many times the bytes and rows of an agent.
pub const FLEET_HISTORY: u32 = 16;
/// Redirects that are followed, by number.
pub const REDIRECTS: usize = 5;

/// The maximum number of tasks taken from one answer to `ListTasks`. We request 100.
pub const TASKS_IN_PAGE: usize = 1_000;
/// The number of tasks of a page processed at once, so that a large page delays nothing else.
pub const TASKS_AT_ONCE: usize = 100;
/// The maximum size of those tasks.
pub const TASK_BYTES_AT_ONCE: usize = MIB;
/// Artifacts of one task, by number, over all its streams and answers. So are the next two.
pub const ARTIFACTS: usize = 1_000;
/// Messages of one task, by number.
pub const MESSAGES: usize = 10_000;
/// Bytes of artifacts that one task brings, with those that it replaces later; most of them are in blob files.
pub const CONTENT: u64 = 1024 * 1024 * 1024;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
