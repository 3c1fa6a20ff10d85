//! `huge-card`: its card is 50 MB long, with a description that fills it, and is sent without a `Content-Length`.

use std::iter;

use bytes::Bytes;

use super::OnWire;
use crate::demo::agent::Agent;
use crate::demo::answer::Answer;
use crate::protocol;

const MEGABYTES: usize = 50;

pub(super) struct HugeCard;

impl OnWire for HugeCard {
    fn card(&self, agent: &Agent, url: &str) -> Answer {
        let mut card = agent.card(url);
        card.description = "MARK".into();
        let card = protocol::card::encode(&card);
        let (head, tail) = card.split_once("MARK").unwrap_or((&card, ""));
        let (head, tail) = (Bytes::from(head.to_owned()), Bytes::from(tail.to_owned()));
        let filling = Bytes::from("all that it can do, and more ".repeat(36 * 1024).into_bytes());
        let fillings = iter::repeat_n(filling, MEGABYTES);
        Answer::Pieces(Box::new(iter::once(head).chain(fillings).chain(iter::once(tail))))
    }
}
