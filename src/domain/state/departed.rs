//! Agents that have left the fleet, in the order in which they are forgotten.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::agent::Agent;
use crate::domain::id::AgentKey;
use crate::domain::time::At;

/// Departed agents, kept up with every fact.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct Departed {
    /// Those that only sources ever named.
    strangers: BTreeSet<(At, AgentKey)>,
    /// Those that an operator named, acted on or wrote a note about.
    acquainted: BTreeSet<(At, AgentKey)>,
    /// Those of which tasks or problems are kept.
    historic: BTreeSet<(At, AgentKey)>,
    of: BTreeMap<AgentKey, (Kind, At, u64)>,
    /// Of the cards of strangers.
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Stranger,
    Acquainted,
    Historic,
}

impl Departed {
    /// Puts an agent in, moves it or takes it out. `keeps`: tasks or problems of it are kept.
    pub fn place(&mut self, key: AgentKey, agent: Option<&Agent>, keeps: bool) {
        let wanted = agent.filter(|agent| !agent.listed).map(|agent| {
            let kind = match agent.operator_at {
                _ if keeps => Kind::Historic,
                None if !agent.is_named_by_operator() => Kind::Stranger,
                _ => Kind::Acquainted,
            };
            // Rows of earlier versions do not say when their agents left.
            let left = agent.left.unwrap_or_else(|| agent.since.max(agent.last_seen));
            (kind, left.max(agent.operator_at.unwrap_or(At::ZERO)))
        });
        let known = self.of.get(&key).copied();
        if known.map(|(kind, since, _)| (kind, since)) == wanted {
            return;
        }
        if let Some((kind, since, bytes)) = known {
            self.of.remove(&key);
            self.side(kind).remove(&(since, key));
            self.bytes -= bytes;
        }
        if let Some((kind, since)) = wanted {
            let card = agent.and_then(|agent| agent.card.as_ref()).filter(|_| kind == Kind::Stranger);
            let bytes = card.map_or(0, |card| card.bytes());
            self.side(kind).insert((since, key));
            self.bytes += bytes;
            self.of.insert(key, (kind, since, bytes));
        }
    }

    fn side(&mut self, kind: Kind) -> &mut BTreeSet<(At, AgentKey)> {
        match kind {
            Kind::Stranger => &mut self.strangers,
            Kind::Acquainted => &mut self.acquainted,
            Kind::Historic => &mut self.historic,
        }
    }

    /// Agents that left before a time and of which tasks or problems are kept.
    pub fn abandoning(&self, before: At) -> impl Iterator<Item = AgentKey> {
        self.historic.range(..(before, AgentKey(0))).map(|(_, key)| *key)
    }

    /// How many agents left without history and were named by sources alone.
    pub fn strangers(&self) -> usize {
        self.strangers.len()
    }

    /// Roughly how many bytes the cards of the strangers take.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The stranger that left first, and when.
    pub fn first_stranger(&self) -> Option<(At, AgentKey)> {
        self.strangers.first().copied()
    }

    /// Of the agents that an operator had to do with, the one whose departure and last act are the longest ago.
    pub fn first_acquainted(&self) -> Option<(At, AgentKey)> {
        self.acquainted.first().copied()
    }
}
