//! The answers of a demo agent.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::tasks::Frame;
use crate::protocol::{json, jsonrpc};

/// Turns a frame into the bytes of an event stream; `None` ends the stream.
pub(super) type Encoder = Box<dyn Fn(&Frame) -> Option<String> + Send + Sync>;
/// A body generated in pieces while it is sent; possibly endless.
pub(super) type Pieces = Box<dyn Iterator<Item = Bytes> + Send>;

/// The answer to a request.
pub(super) enum Answer {
    /// A JSON document.
    Document(String),
    /// A JSON document that is sent in chunks without a `Content-Length`.
    Pieces(Pieces),
    /// A JSON document, already compressed with gzip.
    Gzip(Bytes),
    /// An event stream.
    Stream(mpsc::Receiver<Frame>, Encoder),
}

impl Answer {
    /// A JSON-RPC answer with a result; `id` and `result` are JSON.
    pub fn result(id: &str, result: &str) -> Self {
        Self::Document(jsonrpc::result(id, result))
    }

    /// A JSON-RPC error; `id` is JSON.
    pub fn error(id: &str, code: i64, message: &str) -> Self {
        let error = json::Writer::new().raw("code", &code.to_string()).text("message", message).end();
        Self::Document(jsonrpc::failure(id, &error))
    }
}
