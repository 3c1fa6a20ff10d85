//! The shell around the core: one loop owns the state; everything else sends inputs and gets snapshots.
//!
//! Clients hold a [`Handle`]: submit an intent, read the snapshot, send a query, follow a job.

mod commits;
pub mod credentials;
pub mod discovery;
mod document;
mod effects;
mod follower;
mod gate;
pub mod handle;
mod lanes;
mod message_fields;
pub mod notify;
mod pages;
mod past;
mod publisher;
mod queries;
mod rehearsals;
mod run;
mod start;
mod task_stream;
pub mod telemetry;

pub use handle::{Answer, Follow, Handle, Query, QueryError};
pub use past::RulesReader;
pub use run::RoutesRead;
pub use start::{Engine, Options, Stopped, all_ended};

/// The bound of the lane of requests. When it is full, the client waits and shows that it does.
const REQUESTS: usize = 64;
/// The bound of the control lane. When it is full, readers of streams wait, and TCP slows their agents down.
const CONTROL: usize = 4096;
/// The bound of one agent's outcomes in the control lane; its readers wait, other agents are unaffected.
const CREDITS: usize = 64;
/// The bound of unread facts per follower of a job. When it is full, the follower is dropped and follows again.
const FOLLOW: usize = 4096;
/// The bound of the bytes of their content.
const FOLLOW_BYTES: usize = 8 * 1024 * 1024;
/// The bound of updates of sources that wait for the loop. When it is full, the source waits.
const NEWS: usize = 16;
/// The number of cards and tasks that are read at once.
const READS: usize = 512;
/// The number of listings in progress at once, until the loop has taken their results: a page has a hundred tasks.
const LISTS: usize = 64;
