//! 0.3 JSON to domain: the event that comes most, and requests as a server receives them.

use super::fast_path;
use crate::domain::agent::card::Dialect;
use crate::domain::cause::Cause;
use crate::domain::id::TaskId;
use crate::domain::text::Untrusted;
use crate::protocol::decode::Reader;
use crate::protocol::json::Object;
use crate::protocol::{Deviations, Event, Incoming, Reply, jsonrpc, malformed};

fn reader(deviations: &mut Deviations) -> Reader<'_> {
    Reader { dialect: Dialect::V0_3, deviations, recent: None }
}

pub(super) fn reply(body: &str, deviations: &mut Deviations) -> Result<Reply, Cause> {
    reader(deviations).reply(body)
}

pub(super) fn event<'a>(data: &'a str, deviations: &mut Deviations) -> Result<Event<'a>, Cause> {
    fast_path::chunk(data).map_or_else(|| any_event(data, deviations), Ok)
}

/// An event of any shape.
pub(super) fn any_event(data: &str, deviations: &mut Deviations) -> Result<Event<'static>, Cause> {
    reader(deviations).event(data)
}

pub(super) fn request(body: &str) -> Result<(String, Incoming), Cause> {
    let (id, method, params) = jsonrpc::open_request(body)?;
    let params = Object::parse(params)?;
    let task = || params.filled("id").map(TaskId::from).ok_or_else(|| malformed("no id"));
    let incoming = match method.as_str() {
        "message/send" | "message/stream" => {
            let sent = params.object("message").ok_or_else(|| malformed("no message"))?;
            let config = params.object("configuration").unwrap_or_default();
            Incoming::Send {
                message: reader(&mut Deviations::default()).message(&sent),
                stream: method == "message/stream",
                at_once: config.raw("blocking") == Some("false"),
            }
        }
        "tasks/get" => Incoming::Get(task()?),
        "tasks/cancel" => Incoming::Cancel(task()?),
        "tasks/resubscribe" => Incoming::Subscribe(task()?),
        _ => Incoming::Unknown(Untrusted::from(method).line().into_string()),
    };
    Ok((id, incoming))
}
