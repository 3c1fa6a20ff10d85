//! `many-skills`: its card names 20,000 skills, which is just within the limit of a card; it works like `steady`.

use super::OnWire;
use crate::demo::agent::Agent;
use crate::demo::answer::Answer;
use crate::protocol;

const SKILLS: usize = 20_000;

pub(super) struct ManySkills;

impl OnWire for ManySkills {
    fn card(&self, agent: &Agent, url: &str) -> Answer {
        card_with_skills(agent, url, SKILLS)
    }
}

/// A card with this many skills.
pub(super) fn card_with_skills(agent: &Agent, url: &str, skills: usize) -> Answer {
    let mut card = agent.card(url);
    card.skills = (0..skills).map(|number| agent.skill(&format!("skill-{number}"))).collect();
    Answer::Document(protocol::card::encode(&card))
}
