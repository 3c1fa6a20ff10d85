//! Calls to agents: the only place with reqwest.
//!
//! Short answers use the pooled connections of a client; long-running requests and streams use others (`streams`), so
//! that neither waits for the other. Only requests through a proxy, or with a login in the URL, always use the client.
//!
//! Every wait, size, depth, header count and redirect has a bound. Credentials go only to the origin that they were
//! configured for. Answers are redacted before anything else sees them.

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
mod idle;
mod label;
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
pub use label::{EventLabel, Label, Method};
pub use redact::{Redacted, Redactor};
pub use request::{CardAnswer, ConnectionUse, Net, Opened, RpcCall};

use std::time::Duration;

pub use crate::domain::limits::BODY;
use crate::domain::limits::{HEADER_BYTES as HEAD, HEADERS, REDIRECTS};

/// The timeout for a card that a command requests, and for a check of an interface.
pub const PROBE: Duration = Duration::from_secs(6);
/// A task id that no agent has, to test whether an interface answers.
pub const NOBODYS_TASK: &str = "00000000-0000-0000-0000-000000000000";
/// Our `User-Agent`.
const AGENT: &str = concat!("quarterdeck/", env!("CARGO_PKG_VERSION"));
/// The idle time after which a silent peer is probed.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// The timeout for opening a connection, including DNS and TLS.
pub const CONNECT: Duration = Duration::from_secs(5);
/// A read or a listing must be answered within this.
pub const READ: Duration = Duration::from_secs(10);
/// The timeout of a cancel; after it `GetTask` shows the state.
pub const CANCEL: Duration = Duration::from_secs(10);
/// A sending must be answered, or its stream opened, within this.
pub const SEND: Duration = Duration::from_secs(30);
