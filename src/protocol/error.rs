//! Errors as agents send them, by reason first and by code second (A2A 1.0.1 section 5.4).

use super::json::Object;
use crate::domain::cause::{Cause, ErrorName, RpcError};
use crate::domain::text::Untrusted;

/// The `error` member of a JSON-RPC answer, of either dialect.
pub fn decode(raw: &str) -> Cause {
    let Ok(object) = Object::parse(raw) else {
        let message =
            super::json::text_of(raw).map_or_else(|| Untrusted::from(""), |text| Untrusted::new(&*text));
        return Cause::Rpc(RpcError { name: ErrorName::Other, code: None, message });
    };
    let code = object.number("code");
    let reason = object.objects("data").into_iter().find_map(|detail| detail.text("reason"));
    let by_reason = reason.and_then(|reason| ErrorName::from_reason(&reason));
    let name = by_reason.or_else(|| code.map(ErrorName::from_code)).unwrap_or(ErrorName::Other);
    let message = object.untrusted("message").unwrap_or_else(|| Untrusted::from(""));
    Cause::Rpc(RpcError { name, code, message })
}

/// An `error` member as a 1.0 server writes it.
pub fn encode(error: &RpcError) -> String {
    let code = error.code.unwrap_or(-32603).to_string();
    super::json::Writer::new().raw("code", &code).text("message", error.message.raw()).end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_classified_by_reason_then_code() {
        for (raw, name) in [
            (r#"{"code":-32001,"message":"Task not found"}"#, ErrorName::TaskNotFound),
            (
                r#"{"code":-32603,"message":"x","data":[{"reason":"VERSION_NOT_SUPPORTED"}]}"#,
                ErrorName::VersionNotSupported,
            ),
            (r#"{"code":-32602,"data":"a text"}"#, ErrorName::InvalidParams),
            (r#"{"code":-31999,"data":null}"#, ErrorName::Other),
            (r#""just words""#, ErrorName::Other),
            ("17", ErrorName::Other),
        ] {
            let Cause::Rpc(error) = decode(raw) else { panic!("not an error of the agent") };
            assert_eq!(error.name, name, "{raw}");
        }
    }
}
