//! The HTTP listener for all services.
//!
//! A service defines [`Route`]s: method, path, body limit, access, and a handler. The listener provides the rest:
//! limits for each connection, each address and all of them together, deadlines, access checks, body limits, and a
//! graceful stop.

mod access;
mod connection;
mod connection_slots;
mod listener;
mod route;
mod stats;

pub use access::Access;
pub use listener::{Server, bind, bind_error};
pub use route::{Body, Call, Caller, Cancelled, GrpcStatus, Handler, Reply, Route};
pub use stats::Stats;

use std::time::Duration;

/// The bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once. Above it, a connection is answered with 503 and closed.
    pub connections: usize,
    /// Connections at once from one address (IPv6: from one /64). Above it, a connection is answered with 429 and
    /// closed.
    pub per_address: usize,
    /// The same for all loopback addresses together: many programs of this machine share them.
    pub per_loopback: usize,
    /// The headers of a request must be complete this long after the first wait for them began; bytes that trickle in
    /// do not extend it. An idle connection is closed after the same time.
    pub head: Duration,
    /// A body must be complete this long after its headers.
    pub body: Duration,
    /// A handler must reply within this; then its work is cancelled and 503 is the answer.
    pub answer: Duration,
    /// From complete headers until the reply is sent. A client that does not read its reply is cut off then.
    pub exchange: Duration,
    /// A connection is closed after this, once the request in flight is answered.
    pub life: Duration,
    /// Bytes of request bodies that all connections hold together. Above it, requests are answered with 503.
    pub body_bytes: usize,
    /// Bytes of replies that are not sent yet, of all connections together. Above it, replies are replaced by 503.
    pub reply_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1000,
            per_address: 64,
            per_loopback: 512,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            exchange: Duration::from_secs(60),
            life: Duration::from_secs(300),
            body_bytes: 32 * 1024 * 1024,
            reply_bytes: 64 * 1024 * 1024,
        }
    }
}
