//! Facts in the past tense. They are journaled; replaying them through `apply` rebuilds the state.

mod agent;
mod fleet;
mod job;

pub use agent::AgentFact;
pub use fleet::{Act, FleetFact};
pub use job::{AttemptFact, JobFact};

use crate::domain::id::{AgentId, AttemptId, JobId};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Whose history a fact belongs to. Each owner numbers its facts from 1 without a gap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner {
    /// The fleet as a whole: starts and pauses of its engine, problems, notes, sources of agents.
    Fleet,
    /// An agent.
    Agent(AgentId),
    /// A job with its attempts and tasks.
    Job(JobId),
}

/// One fact with its place in the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalEntry {
    /// When it happened, on the engine's clock.
    pub at: At,
    /// Its number among the facts of its owner, from 1.
    pub seq: u64,
    /// The name of the person or program that acted, unauthenticated; `None` if the engine acted on its own.
    pub actor: Option<Untrusted>,
    /// The fact.
    pub fact: Fact,
}

impl JournalEntry {
    /// Whose history it belongs to.
    pub fn owner(&self) -> Owner {
        self.fact.owner()
    }

    /// The actor's name; empty if the engine acted on its own.
    pub fn actor_name(&self) -> Untrusted {
        self.actor.clone().unwrap_or_else(|| Untrusted::from(""))
    }
}

/// One thing that happened, with everything that was chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// To the fleet as a whole.
    Fleet(FleetFact),
    /// To an agent.
    Agent(AgentId, AgentFact),
    /// To a job.
    Job(JobId, JobFact),
}

impl Fact {
    /// A fact of one attempt of a job.
    pub fn attempt(job: JobId, attempt: AttemptId, fact: AttemptFact) -> Self {
        Self::Job(job, JobFact::Attempt(attempt, fact))
    }

    /// Whose history it belongs to.
    pub fn owner(&self) -> Owner {
        match self {
            Self::Fleet(_) => Owner::Fleet,
            Self::Agent(id, _) => Owner::Agent(*id),
            Self::Job(id, _) => Owner::Job(*id),
        }
    }

    /// The fact of an agent; `None` for other facts.
    pub fn of_agent(&self) -> Option<&AgentFact> {
        match self {
            Self::Agent(_, fact) => Some(fact),
            Self::Fleet(_) | Self::Job(..) => None,
        }
    }

    /// The attempt and its fact; `None` for other facts.
    pub fn of_attempt(&self) -> Option<(AttemptId, &AttemptFact)> {
        match self {
            Self::Job(_, fact) => fact.of_attempt(),
            Self::Fleet(_) | Self::Agent(..) => None,
        }
    }
}

/// Facts of the fleet in their order, without notes that their authors took back.
pub fn without_notes_taken_back(entries: Vec<JournalEntry>) -> Vec<JournalEntry> {
    let is_taking_back =
        |entry: &JournalEntry| matches!(entry.fact, Fact::Fleet(FleetFact::NoteTakenBack { .. }));
    if !entries.iter().any(is_taking_back) {
        return entries;
    }
    let mut taken_back = Vec::new();
    let mut kept: Vec<JournalEntry> = Vec::new();
    for entry in entries.into_iter().rev() {
        match &entry.fact {
            Fact::Fleet(FleetFact::NoteTakenBack { problem, agent, attempt, text }) => {
                taken_back.push((entry.actor.clone(), *problem, *agent, *attempt, text.clone()));
            }
            Fact::Fleet(FleetFact::NoteMade { problem, agent, attempt, text }) => {
                let note = (entry.actor.clone(), *problem, *agent, *attempt, text.clone());
                match taken_back.iter().position(|back| *back == note) {
                    Some(at) => drop(taken_back.remove(at)),
                    None => kept.push(entry),
                }
            }
            _ => kept.push(entry),
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_gone_once_its_author_took_it_back() {
        // `m` is a note of mia, `-m` takes one back, `s` and `-s` are those of sam.
        for (written, left) in
            [("m", "m"), ("m -m", ""), ("m m -m", "m"), ("m -m m", "m"), ("s -m", "s"), ("m s -s", "m")]
        {
            let entry = |(seq, word): (usize, &str)| {
                let (problem, agent, attempt, text) = (Some(7), None, None, Untrusted::from("seen"));
                let fact = match word.strip_prefix('-') {
                    Some(_) => FleetFact::NoteTakenBack { problem, agent, attempt, text },
                    None => FleetFact::NoteMade { problem, agent, attempt, text },
                };
                let actor = Some(Untrusted::from(word.trim_start_matches('-')));
                JournalEntry { at: At::ZERO, seq: seq as u64, actor, fact: Fact::Fleet(fact) }
            };
            let entries = written.split(' ').enumerate().map(entry).collect();
            let kept = without_notes_taken_back(entries);
            let kept: Vec<_> = kept.iter().map(|entry| entry.actor_name().raw().to_owned()).collect();
            assert_eq!(kept.join(" "), left, "{written}");
        }
    }
}
