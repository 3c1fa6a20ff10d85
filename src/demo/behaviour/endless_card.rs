//! `endless-card`: its card never ends; skills follow each other as fast as they are read.

use std::iter;

use bytes::Bytes;

use super::OnWire;
use crate::demo::agent::Agent;
use crate::demo::answer::Answer;

pub(super) struct EndlessCard;

impl OnWire for EndlessCard {
    fn card(&self, agent: &Agent, url: &str) -> Answer {
        let name = &agent.part.name;
        let head =
            format!(r#"{{"name":"{name}","url":"{url}/","protocolVersion":"1.0","skills":[{{"id":"0"}}"#);
        let skills = r#",{"id":"another","name":"another","description":"one more","tags":[]}"#.repeat(256);
        let skills = iter::repeat(Bytes::from(skills));
        Answer::Pieces(Box::new(iter::once(Bytes::from(head)).chain(skills)))
    }
}
