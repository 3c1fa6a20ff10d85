//! `too-many-skills`: its card names 100,000 skills, which is over the limit of a card.

use super::OnWire;
use super::many_skills::card_with_skills;
use crate::demo::agent::Agent;
use crate::demo::answer::Answer;

const SKILLS: usize = 100_000;

pub(super) struct TooManySkills;

impl OnWire for TooManySkills {
    fn card(&self, agent: &Agent, url: &str) -> Answer {
        card_with_skills(agent, url, SKILLS)
    }
}
