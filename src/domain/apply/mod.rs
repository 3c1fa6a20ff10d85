//! The only place where facts change the state. It is total and makes no decisions.
//!
//! Each owner's facts have a file and an exhaustive match, so that a new fact does not compile without its effect.

mod agent;
mod fleet;
mod job;

use crate::domain::fact::{Fact, JournalEntry};
use crate::domain::state::State;

/// Applies an entry of the journal to the state. Facts about things that do not exist change nothing.
pub fn apply(state: &mut State, entry: &JournalEntry) {
    match &entry.fact {
        Fact::Fleet(fact) => fleet::apply(state, entry, fact),
        Fact::Agent(id, fact) => agent::apply(state, entry, *id, fact),
        Fact::Job(id, fact) => job::apply(state, entry, *id, fact),
    }
}
