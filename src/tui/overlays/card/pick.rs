//! Choosing an agent in a card: its name is typed as far as needed.

use crossterm::event::KeyCode;

use crate::domain::agent::{Agent, Health};
use crate::domain::id::{AgentId, AgentKey};
use crate::domain::text::{Untrusted, contains_ignore_case};
use crate::tui::context::Context;
use crate::tui::keymap::Chord;
use crate::tui::widgets::field::Field;

/// Agents that are offered at a time.
const OFFERED: usize = 6;

/// The choice of an agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Pick {
    /// What was typed.
    pub field: Field,
    /// The agent that is lit.
    pub lit: usize,
    /// True while keys are text.
    pub is_open: bool,
    /// The agent that was chosen.
    pub chosen: Option<AgentId>,
}

impl Pick {
    /// Opens the choice.
    pub fn open(&mut self) {
        *self = Self { is_open: true, ..Self::default() };
    }

    /// The name of the chosen agent.
    pub fn name(&self, ctx: &Context) -> Option<String> {
        let chosen = self.chosen?;
        let mut agents = ctx.latest.agents.iter();
        agents.find(|(_, agent)| agent.id == chosen).map(|(_, agent)| agent.name.line().into_string())
    }

    /// The agents that fit what was typed, those with the skill first, then the healthiest. `not` are left out.
    pub fn offered<'c>(
        &self,
        ctx: &'c Context,
        skill: Option<&Untrusted>,
        not: &[AgentKey],
    ) -> Vec<&'c Agent> {
        let typed = self.field.text().trim();
        let has_skill = |agent: &Agent| {
            skill.is_some_and(|skill| {
                agent.card.as_ref().is_some_and(|card| card.skills.iter().any(|one| one.id == *skill))
            })
        };
        let fits = |agent: &Agent| {
            agent.listed && (typed.is_empty() || contains_ignore_case(&agent.name.line(), typed))
        };
        let agents = ctx.latest.agents.iter().filter(|(key, agent)| !not.contains(key) && fits(agent));
        let mut agents: Vec<&Agent> = agents.map(|(_, agent)| agent).collect();
        agents.sort_by_cached_key(|agent| {
            let rank = match agent.health {
                Health::Up => 0,
                Health::Degraded | Health::LoginNeeded => 1,
                Health::Unknown | Health::Stale | Health::Down => 2,
                Health::NotSpoken => 3,
            };
            (!has_skill(agent), rank, agent.name.line().into_string())
        });
        agents.truncate(OFFERED);
        agents
    }

    /// Takes a key while it is open.
    pub fn key(&mut self, chord: Chord, offered: &[&Agent]) {
        match chord.code {
            KeyCode::Down | KeyCode::Tab => self.lit = (self.lit + 1).min(offered.len().saturating_sub(1)),
            KeyCode::Up | KeyCode::BackTab => self.lit = self.lit.saturating_sub(1),
            KeyCode::Enter => {
                if let Some(agent) = offered.get(self.lit) {
                    self.chosen = Some(agent.id);
                    self.is_open = false;
                }
            }
            _ => {
                if self.field.key(chord) {
                    self.lit = 0;
                }
            }
        }
    }
}
