//! Calls to agents: the only place with reqwest.
//!
//! Answers that are there come over the connections of a client; work, and streams of it, over others (`streams`), so
//! that neither waits for the other. Only what needs a proxy, or a login in its URL, goes by the client in any case.
//!
//! Every wait, size, depth, header count and redirect has a bound. Credentials go only to the origin
//! that they were configured for. What comes back is redacted before anything else sees it.

mod address;
mod body;
mod budget;
pub mod card_file;
mod card_search;
mod cause;
mod chunks;
mod client;
pub mod clock;
mod coding;
mod connect;
pub mod credentials;
mod dedicated;
mod document;
mod event_stream;
mod frames;
mod http1;
mod http2;
mod probes;
mod redact;
pub mod regular_file;
mod request;
pub mod tap;
mod trust;

pub use body::Text;
pub use budget::Room;
pub use credentials::Access;
pub use document::Document;
pub use event_stream::EventReader;
pub use redact::{Redacted, Redactor};
pub use request::{CardAnswer, ConnectionUse, Net, Opened};

use std::time::Duration;

pub use crate::domain::limits::BODY;
use crate::domain::limits::{HEADER_BYTES as HEAD, HEADERS, REDIRECTS};

/// A card that a command asks for, and a check of an interface, must be answered within this.
pub const PROBE: Duration = Duration::from_secs(6);
/// The id of a task that no agent has, to ask whether an interface answers.
pub const NOBODYS_TASK: &str = "00000000-0000-0000-0000-000000000000";
/// What we call ourselves.
const AGENT: &str = concat!("quarterdeck/", env!("CARGO_PKG_VERSION"));
/// A peer that has vanished without a word is asked for after this.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// A connection must stand within this, with its name looked up and its TLS agreed.
pub const CONNECT: Duration = Duration::from_secs(5);
/// A read or a listing must be answered within this.
pub const READ: Duration = Duration::from_secs(10);
/// A cancel must be answered within this; then `GetTask` tells.
pub const CANCEL: Duration = Duration::from_secs(10);
/// A sending must be answered, or its stream opened, within this.
pub const SEND: Duration = Duration::from_secs(30);
