//! What a stream prints of a job while attempts of it run beside each other: nothing until one of them has won, so that
//! the result is the output of one attempt alone.

use std::sync::Arc;

use crate::domain::fact::{AttemptFact, Fact, JobFact, JournalEntry};
use crate::domain::id::{AgentId, AttemptId};

/// The attempts of a job as its facts tell them.
#[derive(Debug, Default)]
pub(super) struct Race {
    /// All attempts, in the order of their numbers.
    attempts: Vec<(AttemptId, AgentId)>,
    /// Those that run beside each other; one alone is printed as it goes on.
    round: Vec<AttemptId>,
    /// True if the next one that is planned runs beside them.
    beside: bool,
    /// What came of them since they run beside each other, in order.
    held: Vec<Arc<JournalEntry>>,
    won: Option<AttemptId>,
}

/// What a fact of a job means for the output.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Facts to print, in order.
    pub facts: Vec<Arc<JournalEntry>>,
    /// The attempt whose fact is held, or whose output follows after others ran beside it.
    pub of: Option<AttemptId>,
    /// True if a part of its output was printed before others ran beside it.
    pub goes_on: bool,
}

impl Race {
    /// Takes the next fact.
    pub fn take(&mut self, entry: &Arc<JournalEntry>) -> Due {
        let Fact::Job(_, fact) = &entry.fact else { return Due::default() };
        match fact {
            JobFact::Racing { .. } => self.beside = true,
            JobFact::RaceDropped { .. } => self.beside = false,
            JobFact::Attempt(id, AttemptFact::Planned { agent, .. }) => {
                if !self.attempts.iter().any(|(known, _)| known == id) {
                    self.attempts.push((*id, *agent));
                }
                if !std::mem::take(&mut self.beside) {
                    (self.round, self.held, self.won) = (Vec::new(), Vec::new(), None);
                }
                self.round.push(*id);
                return Due { of: self.is_on().then_some(*id), ..Due::default() };
            }
            JobFact::Attempt(id, AttemptFact::Won) => return self.decide(*id),
            JobFact::Attempt(id, _) if self.is_on() && self.round.contains(id) => {
                self.held.push(entry.clone());
                return Due { of: Some(*id), ..Due::default() };
            }
            JobFact::Attempt(id, _) if !self.is_on() && self.won.is_none_or(|won| won == *id) => {
                return Due { facts: vec![entry.clone()], ..Due::default() };
            }
            _ => {}
        }
        Due::default()
    }

    /// One of them stands for the job: what came of it meanwhile is due.
    pub fn decide(&mut self, won: AttemptId) -> Due {
        if !self.is_on() {
            return Due::default();
        }
        self.won = Some(won);
        let held = std::mem::take(&mut self.held).into_iter();
        let of_it = |entry: &Arc<JournalEntry>| entry.fact.of_attempt().is_some_and(|(of, _)| of == won);
        Due { facts: held.filter(of_it).collect(), of: Some(won), goes_on: self.round.first() == Some(&won) }
    }

    /// Facts behind this one were lost with their engine.
    pub fn forget_after(&mut self, seq: u64) {
        self.held.retain(|entry| entry.seq <= seq);
    }

    /// True while several run beside each other and none has won.
    pub fn is_on(&self) -> bool {
        self.round.len() > 1 && self.won.is_none()
    }

    /// The number of an attempt and its agent.
    pub fn number(&self, of: AttemptId) -> Option<(usize, AgentId)> {
        let place = self.attempts.iter().position(|(id, _)| *id == of)?;
        Some((place + 1, self.attempts.get(place)?.1))
    }
}
