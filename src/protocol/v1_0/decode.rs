//! 1.0 JSON to domain: the events that come most, and requests as a server receives them.

use super::fast_path;
use crate::domain::agent::card::Dialect;
use crate::domain::cause::Cause;
use crate::domain::effect::ListQuery;
use crate::domain::id::TaskId;
use crate::domain::text::Untrusted;
use crate::protocol::decode::Reader;
use crate::protocol::json::Object;
use crate::protocol::shared::{context, time};
use crate::protocol::{Deviations, Event, Incoming, Reply, jsonrpc, malformed, words};

fn reader(deviations: &mut Deviations) -> Reader<'_> {
    Reader { dialect: Dialect::V1_0, deviations, recent: None }
}

pub(super) fn reply(body: &str, deviations: &mut Deviations) -> Result<Reply, Cause> {
    reader(deviations).reply(body)
}

pub(super) fn event<'a>(data: &'a str, deviations: &mut Deviations) -> Result<Event<'a>, Cause> {
    fast_path::event(data).map_or_else(|| any_event(data, deviations), Ok)
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
        "SendMessage" | "SendStreamingMessage" => {
            let sent = params.object("message").ok_or_else(|| malformed("no message"))?;
            let config = params.object("configuration").unwrap_or_default();
            Incoming::Send {
                message: reader(&mut Deviations::default()).message(&sent),
                stream: method == "SendStreamingMessage",
                at_once: config.flag("returnImmediately"),
            }
        }
        "GetTask" => Incoming::Get(task()?),
        "CancelTask" => Incoming::Cancel(task()?),
        "SubscribeToTask" => Incoming::Subscribe(task()?),
        "ListTasks" => {
            let size = params.number("pageSize");
            let query = ListQuery {
                size: size.and_then(|size| size.try_into().ok()),
                state: params.text("status").map(|text| words::state(Some(&text), Dialect::V1_0).value),
                context: context(&params),
                after: time(&params, "statusTimestampAfter"),
                page: params.filled("pageToken"),
                history: params.number("historyLength") != Some(0),
            };
            Incoming::List(query, usize::try_from(size.unwrap_or(50)).unwrap_or(50))
        }
        _ => Incoming::Unknown(Untrusted::from(method).line().into_string()),
    };
    Ok((id, incoming))
}
