//! `gzip-bomb-card`: its card is compressed with gzip, about 300 kB that become 300 MB.

use super::OnWire;
use super::gzip_bomb::bomb;
use crate::demo::agent::Agent;
use crate::demo::answer::Answer;

pub(super) struct GzipBombCard;

impl OnWire for GzipBombCard {
    fn card(&self, agent: &Agent, url: &str) -> Answer {
        let name = &agent.part.name;
        Answer::Gzip(bomb(&format!(r#"{{"name":"{name}","url":"{url}/","skills":[],"description":""#)))
    }
}
