//! Facts of one owner, as last read from the journal.

use super::queries::{Ask, Refresh, Subscription, ViewQuery};
use crate::domain::fact::{JournalEntry, Owner, without_notes_taken_back};
use crate::engine::{Answer, Query};

/// Facts of the fleet as a whole that a view reads at most.
pub const FLEET_FACTS: usize = 2000;
/// Facts of an agent that a view reads at most.
pub const AGENT_FACTS: usize = 500;

/// The newest facts of an owner, for a view that shows them.
#[derive(Debug, Default)]
pub struct FactCache {
    owner: Option<Owner>,
    facts: Vec<JournalEntry>,
    /// The number of reads so far; a view compares it to detect new facts.
    reads: u64,
}

impl FactCache {
    /// The query for at most `most` facts of an owner; `seq` is the number of the owner's last fact.
    pub fn query(name: &'static str, owner: Owner, seq: u64, limit: usize) -> Subscription {
        Subscription::Ask(Ask {
            name,
            query: Query::Facts { owner, limit }.into(),
            refresh: Refresh::Version(seq),
        })
    }

    /// Takes the answer to such a query.
    pub fn take(&mut self, ask: &Ask, answer: Answer) {
        if let (ViewQuery::Engine(Query::Facts { owner, .. }), Answer::Facts(facts)) = (&ask.query, answer) {
            self.owner = Some(*owner);
            self.facts = without_notes_taken_back(facts);
            self.reads += 1;
        }
    }

    /// The facts of an owner, oldest first; `None` until they have been read.
    pub fn of(&self, owner: Owner) -> Option<&[JournalEntry]> {
        (self.owner == Some(owner)).then_some(self.facts.as_slice())
    }

    /// How often facts were read.
    pub fn reads(&self) -> u64 {
        self.reads
    }
}
