//! The JSON-RPC 2.0 envelope, as lenient as its peers are careless.

use super::json::{Object, Writer, string};
use super::{error, malformed};
use crate::domain::cause::Cause;

/// A request.
pub fn request(id: &str, method: &str, params: &str) -> String {
    Writer::new().text("jsonrpc", "2.0").text("id", id).text("method", method).raw("params", params).end()
}

/// A successful answer; `id` is JSON text.
pub fn result(id: &str, result: &str) -> String {
    Writer::new().text("jsonrpc", "2.0").raw("id", id).raw("result", result).end()
}

/// A failed answer; `id` and `error` are JSON text.
pub fn failure(id: &str, error: &str) -> String {
    Writer::new().text("jsonrpc", "2.0").raw("id", id).raw("error", error).end()
}

/// The result of an answer as received. Success is the absence of an error: one SDK omits `result`, which is `null`
/// here.
///
/// # Errors
/// The agent's error, or why the envelope cannot be read.
pub fn open(body: &str) -> Result<&str, Cause> {
    let envelope = Object::parse(body)?;
    if let Some(raw) = envelope.raw("error") {
        return Err(error::decode(raw));
    }
    if !envelope.has("result") && !envelope.has("jsonrpc") {
        return Err(malformed(format!("no JSON-RPC answer, {}", excerpt(body))));
    }
    Ok(envelope.raw("result").unwrap_or("null"))
}

/// A request as a server receives it: its id as JSON text, its method, its parameters.
///
/// # Errors
/// Why the envelope cannot be read.
pub fn open_request(body: &str) -> Result<(String, String, &str), Cause> {
    let envelope = Object::parse(body)?;
    let method = envelope.text("method").ok_or_else(|| malformed("no method"))?;
    let id = envelope.raw("id").unwrap_or("null");
    Ok((id.to_owned(), method.into_owned(), envelope.raw("params").unwrap_or("{}")))
}

/// The start of a text for an error message.
pub fn excerpt(text: &str) -> String {
    let head: String = text.chars().take(60).collect();
    string(&head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_of_all_servers_are_read() {
        assert_eq!(open(r#"{"id":1,"jsonrpc":"2.0","result":{"a":1}}"#).unwrap(), r#"{"a":1}"#);
        assert_eq!(open(r#"{"id":1,"jsonrpc":"2.0","result":null}"#).unwrap(), "null");
        assert_eq!(open(r#"{"id":1,"jsonrpc":"2.0"}"#).unwrap(), "null");
        assert!(matches!(open(r#"{"error":{"code":-32700},"jsonrpc":"2.0"}"#), Err(Cause::Rpc(_))));
        assert!(matches!(open(r#"{"detail":"Not Found"}"#), Err(Cause::Malformed(_))));
        assert!(matches!(open("<html>"), Err(Cause::Malformed(_))));
        assert!(matches!(open("[1]"), Err(Cause::Malformed(_))));
    }
}
