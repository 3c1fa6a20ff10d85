//! `huge-page`: answers every listing with one page of 200,000 tasks, one in a hundred of them working; the others have
//! completed.

use std::iter;

use bytes::Bytes;

use super::{Asked, BehaviourFuture, OnWire};
use crate::demo::answer::Answer;
use crate::domain::job::message::text_hash;
use crate::protocol::Incoming;

const TASKS: u64 = 200_000;
/// Tasks in one piece of the body.
const IN_PIECE: u64 = 200;

pub(super) struct HugePage;

impl OnWire for HugePage {
    fn answer<'a>(
        &'a self,
        Asked { agent, id, request, .. }: Asked<'a>,
    ) -> BehaviourFuture<'a, Option<Answer>> {
        Box::pin(async move {
            let Incoming::List(..) = request else { return None };
            let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tasks":["#);
            let seed = text_hash(&agent.part.name);
            let pieces = (0..TASKS / IN_PIECE).map(move |piece| {
                let numbers = piece * IN_PIECE..(piece + 1) * IN_PIECE;
                Bytes::from(numbers.map(|number| task(seed, number)).collect::<String>())
            });
            let tail = r#"],"nextPageToken":"","pageSize":200000,"totalSize":200000}}"#;
            let ends = |text: String| iter::once(Bytes::from(text));
            Some(Answer::Pieces(Box::new(ends(head).chain(pieces).chain(ends(tail.into())))))
        })
    }
}

fn task(seed: u64, number: u64) -> String {
    let comma = if number == 0 { "" } else { "," };
    let state = if number.is_multiple_of(100) { "WORKING" } else { "COMPLETED" };
    let id = uuid::Uuid::from_u64_pair((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15), seed);
    format!(r#"{comma}{{"id":"{id}","contextId":"all","status":{{"state":"TASK_STATE_{state}"}}}}"#)
}
