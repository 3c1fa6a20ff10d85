//! Large cards of agents that only sources name. Anybody who may register can name new agents at any rate, so that
//! their cards share one limit; small ones are bounded by the number of agents.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::agent::Agent;
use crate::domain::agent::card::Card;
use crate::domain::id::AgentKey;
use crate::domain::limits;

/// The large cards, kept up with every fact.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct SourcedCards {
    of: BTreeMap<AgentKey, (Arc<Card>, u64)>,
    bytes: u64,
}

impl SourcedCards {
    /// Takes in the card that an agent has now.
    pub fn place(&mut self, key: AgentKey, agent: Option<&Agent>) {
        let counts = agent.filter(|agent| agent.listed && !agent.is_named_by_operator());
        let card = counts.and_then(|agent| agent.card.as_ref());
        if let (Some((known, _)), Some(card)) = (self.of.get(&key), card)
            && Arc::ptr_eq(known, card)
        {
            return;
        }
        if let Some((_, bytes)) = self.of.remove(&key) {
            self.bytes -= bytes;
        }
        if let Some(card) = card
            && let bytes = card.bytes()
            && bytes > limits::SMALL_CARD
        {
            self.bytes += bytes;
            self.of.insert(key, (card.clone(), bytes));
        }
    }

    /// True if an agent may have this card instead of its present one.
    pub fn fits(&self, key: AgentKey, card: &Card) -> bool {
        let bytes = card.bytes();
        let before = self.of.get(&key).map_or(0, |(_, bytes)| *bytes);
        bytes <= limits::SMALL_CARD || self.bytes - before + bytes <= limits::LARGE_CARDS
    }
}
