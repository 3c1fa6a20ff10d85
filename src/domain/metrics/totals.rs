//! Totals since the engine began to watch, as Prometheus counts: they only grow, and begin at zero with each start.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::id::AgentId;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Upper bounds of the buckets of durations, in milliseconds; what is longer counts in one more bucket.
pub const BOUNDS: [u64; 15] = [
    50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
    3_600_000,
];

/// Durations in fixed buckets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Timing {
    /// How many fell into each bucket of [`BOUNDS`] and the one above them; each counts once.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// All of it, added up.
    pub sum: Duration,
}

impl Timing {
    /// Adds a duration.
    pub fn add(&mut self, took: Duration) {
        let millis = took.as_micros().div_ceil(1000);
        let bucket = BOUNDS.iter().position(|bound| millis <= u128::from(*bound)).unwrap_or(BOUNDS.len());
        self.buckets[bucket] += 1;
        self.sum += took;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// What became of the work of an agent with one skill.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TaskTotals {
    /// Completed, or answered with a message.
    pub completed: u64,
    /// Failed by the agent.
    pub failed: u64,
    /// Not taken by the agent, or never delivered to it.
    pub refused: u64,
    /// Forgotten by the agent, or taken as lost by a person.
    pub lost: u64,
    /// Ended by a cancel.
    pub canceled: u64,
    /// Attempts that followed an earlier one of their job, or ran beside it.
    pub retries: u64,
    /// From opening a job to the moment at which nothing more was tried; counted for the agent of its last attempt. A
    /// task that somebody else sent counts from its begin, as far as that is known, to its end.
    pub duration: Timing,
    /// From the moment at which an agent took an attempt to its end.
    pub processing: Timing,
}

/// What a fleet has done since its engine began to watch, and what waits now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FleetTotals {
    /// What was done.
    pub totals: Totals,
    /// Jobs that wait in the queue.
    pub queued: u64,
    /// Bytes of their messages.
    pub queued_bytes: u64,
    /// When the one that waits longest was opened; `None` if none waits.
    pub oldest: Option<At>,
}

/// All totals, by agent and skill.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    by: BTreeMap<(AgentId, Option<Untrusted>), TaskTotals>,
}

impl Totals {
    /// Skills of one agent that have totals of their own; further ones count together.
    const MOST: usize = 64;
    /// Their name.
    const OTHER: &str = "(other)";
    /// The longest name of a skill, in characters.
    const NAME: usize = 64;

    /// The totals in order of agents and skills.
    pub fn iter(&self) -> impl Iterator<Item = (AgentId, Option<&Untrusted>, &TaskTotals)> {
        self.by.iter().map(|((agent, skill), totals)| (*agent, skill.as_ref(), totals))
    }

    /// The totals of an agent with a skill, to add to them.
    pub fn of(&mut self, agent: AgentId, skill: Option<&Untrusted>) -> &mut TaskTotals {
        let mut key = (agent, skill.map(|skill| skill.shortened(Self::NAME)));
        if !self.by.contains_key(&key)
            && self.by.range((agent, None)..).take_while(|((of, _), _)| *of == agent).count() >= Self::MOST
        {
            key.1 = Some(Self::OTHER.into());
        }
        self.by.entry(key).or_default()
    }

    /// Drops those of an agent that was forgotten.
    pub fn forget(&mut self, agent: AgentId) {
        self.by.retain(|(of, _), _| *of != agent);
    }

    /// Totals from their parts, for codecs.
    pub fn from_parts(parts: impl IntoIterator<Item = ((AgentId, Option<Untrusted>), TaskTotals)>) -> Self {
        Self { by: parts.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Rng;

    #[test]
    fn durations_fall_into_their_buckets() {
        let mut timing = Timing::default();
        for millis in [0, 50, 51, 3_600_000, 3_600_001] {
            timing.add(Duration::from_millis(millis));
        }
        timing.add(Duration::from_micros(50_001));
        assert_eq!((timing.buckets[0], timing.buckets[1]), (2, 2));
        assert_eq!((timing.buckets[14], timing.buckets[15], timing.count()), (1, 1, 6));
    }

    #[test]
    fn an_agent_cannot_make_more_totals_than_are_kept() {
        let mut rng = Rng::new(1);
        let (agent, other) = (AgentId(rng.uuid(At::ZERO)), AgentId(rng.uuid(At::ZERO)));
        let mut totals = Totals::default();
        for number in 0..1000 {
            totals.of(agent, Some(&Untrusted::from(format!("skill {number}")))).completed += 1;
        }
        totals.of(other, None).completed += 1;
        let of_agent: Vec<_> = totals.iter().filter(|(of, ..)| *of == agent).collect();
        assert!(of_agent.len() <= Totals::MOST + 1, "{}", of_agent.len());
        assert_eq!(of_agent.iter().map(|(.., totals)| totals.completed).sum::<u64>(), 1000);
        totals.forget(agent);
        assert_eq!(totals.iter().count(), 1);
    }
}
