//! A2A 0.3 over JSON-RPC.
//!
//! Methods like `message/send`, objects distinguished by `kind`, states in lower case with hyphens, `final` on the last
//! status. No version header: 0.3 servers ignore it. No SDK can list tasks.

mod decode;
mod encode;
mod fast_path;

use super::{Codec, Deviations, Event, Incoming, Reply, Request};
use crate::domain::agent::card::Dialect;
use crate::domain::cause::Cause;
use crate::domain::job::message::Message;
use crate::domain::job::task::{StreamEvent, TaskReport};

/// The codec.
#[derive(Clone, Copy, Debug)]
pub struct V0_3;

impl Codec for V0_3 {
    fn dialect(&self) -> Dialect {
        Dialect::V0_3
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn encode_request(&self, id: &str, tenant: Option<&str>, request: &Request<'_>) -> String {
        encode::request(id, tenant, request)
    }

    fn decode_reply(&self, body: &str, deviations: &mut Deviations) -> Result<Reply, Cause> {
        decode::reply(body, deviations)
    }

    fn decode_event<'a>(&self, data: &'a str, deviations: &mut Deviations) -> Result<Event<'a>, Cause> {
        decode::event(data, deviations)
    }

    fn encode_task(&self, task: &TaskReport) -> String {
        encode::task(task)
    }

    fn encode_message(&self, message: &Message) -> String {
        encode::message(message)
    }

    fn encode_event(&self, event: &StreamEvent) -> String {
        encode::event(event)
    }

    fn encode_send_result(&self, reply: &Reply) -> String {
        encode::send_result(reply)
    }

    fn decode_request(&self, body: &str) -> Result<(String, Incoming), Cause> {
        decode::request(body)
    }
}
