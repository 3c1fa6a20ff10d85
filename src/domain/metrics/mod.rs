//! Metrics minute by minute: throughput, success rate and latency by agent, skill and caller.
//!
//! The minutes of the last hour are here; a store keeps all of them for thirty days.

pub mod objective;

mod dimension;
mod heat;
mod histogram;
mod range;
mod share;
mod tally;
mod totals;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use dimension::{Dimension, DimensionValue};
pub use heat::{Heat, HeatCause};
pub use histogram::Histogram;
pub use range::MinuteRange;
pub use share::{percentages, share};
pub use tally::Tally;
pub use totals::{BOUNDS, FleetTotals, TaskTotals, Timing, Totals};

use crate::domain::id::AgentId;
use crate::domain::job::Job;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Minutes since the Unix epoch, on the engine's clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Minute(pub u32);

impl Minute {
    /// The minute of a point in time.
    pub fn of(at: At) -> Self {
        Self(u32::try_from(at.micros() / 60_000_000).unwrap_or(0))
    }

    /// The start of the minute.
    pub fn begins(self) -> At {
        At::from_micros(i64::from(self.0) * 60_000_000)
    }

    /// The minute this many minutes earlier.
    #[must_use]
    pub fn before(self, minutes: u32) -> Self {
        Self(self.0.saturating_sub(minutes))
    }

    /// The minute this many minutes later.
    #[must_use]
    pub fn after(self, minutes: u32) -> Self {
        Self(self.0.saturating_add(minutes))
    }

    /// The minutes that a stretch of time touches at most.
    pub fn in_window(window: Duration) -> u32 {
        u32::try_from(window.as_secs().div_ceil(60)).unwrap_or(u32::MAX)
    }
}

/// The key of a series: the work of an agent by skill, caller and rule. Calls that do no work belong to the agent without
/// any.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Series {
    /// The agent.
    pub agent: AgentId,
    /// The requested skill; `None` if unknown.
    pub skill: Option<Untrusted>,
    /// The caller; `None` if unknown.
    pub caller: Option<Untrusted>,
    /// The rule that dispatched it; `None` for what was sent to an agent by name, and for what others sent.
    pub rule: Option<Untrusted>,
}

impl Series {
    /// The maximum number of series of one agent in one minute; further callers and skills are counted in
    /// [`Series::OTHER`].
    const MOST: usize = 64;
    /// The skill and caller of the overflow series.
    const OTHER: &str = "(other)";

    /// The maximum length of the names of skills and callers, in characters.
    const NAME: usize = 64;

    /// The series of a job's work at an agent.
    pub fn of_job(agent: AgentId, job: &Job) -> Self {
        let short = |name: &Option<Untrusted>| name.as_ref().map(|name| name.shortened(Self::NAME));
        let rule = job.plan.as_ref().and_then(|plan| plan.rule.clone());
        let rule = short(&rule.map(Untrusted::new));
        Self { agent, skill: short(&job.skill), caller: short(&job.caller), rule }
    }

    /// The series of an agent without skill, caller and rule.
    pub fn of_agent(agent: AgentId) -> Self {
        Self { agent, skill: None, caller: None, rule: None }
    }
}

/// The metrics of one period, by series.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Block {
    series: BTreeMap<Series, Tally>,
    /// True if any of it was not measured.
    made_up: bool,
}

/// Minutes that were made up, so that a demo has a past: marked as such wherever they are kept or shown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MadeUp {
    /// The minutes, in order.
    pub minutes: Vec<(Minute, Vec<MadeUpTally>)>,
    /// The usual pauses between updates.
    pub pauses: Vec<MadeUpPause>,
}

/// The usual pause between updates of an agent, which has no id yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MadeUpPause {
    /// Its configured name.
    pub agent: Arc<str>,
    /// The skill; `None` for tasks whose skill is not known.
    pub skill: Option<Untrusted>,
    /// The pause.
    pub pause: Duration,
}

/// Made-up results of an agent, which has no id yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MadeUpTally {
    /// Its configured name.
    pub agent: Arc<str>,
    /// The skill.
    pub skill: Option<Untrusted>,
    /// The caller.
    pub caller: Option<Untrusted>,
    /// The rule.
    pub rule: Option<Untrusted>,
    /// The results.
    pub tally: Tally,
}

impl Block {
    /// True if any of it was made up rather than measured.
    pub fn is_made_up(&self) -> bool {
        self.made_up
    }

    /// Marks it as made up.
    #[must_use]
    pub fn made_up(self, made_up: bool) -> Self {
        Self { made_up: self.made_up || made_up, ..self }
    }

    /// The tallies in order of their series.
    pub fn iter(&self) -> impl Iterator<Item = (&Series, &Tally)> {
        self.series.iter()
    }

    /// The tallies of one agent.
    pub fn of_agent(&self, agent: AgentId) -> impl Iterator<Item = (&Series, &Tally)> {
        self.series.range(Series::of_agent(agent)..).take_while(move |(series, _)| series.agent == agent)
    }

    /// True if nothing happened.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The tally of a series, to add to it.
    pub fn tally(&mut self, series: Series) -> &mut Tally {
        let own = series.skill.is_none() && series.caller.is_none() && series.rule.is_none();
        let series = if own
            || self.series.contains_key(&series)
            || self.of_agent(series.agent).take(Series::MOST).count() < Series::MOST
        {
            series
        } else {
            let other = Some(Untrusted::from(Series::OTHER));
            // Rules are few, and an operator named them.
            Series { agent: series.agent, skill: other.clone(), caller: other, rule: series.rule }
        };
        self.series.entry(series).or_default()
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        self.made_up |= other.made_up;
        for (series, tally) in &other.series {
            self.tally(series.clone()).merge(tally);
        }
    }

    /// Everything of all series that `wanted` is true of, added up.
    pub fn total(&self, wanted: impl Fn(&Series) -> bool) -> Tally {
        let mut total = Tally::default();
        for (_, tally) in self.series.iter().filter(|(series, _)| wanted(series)) {
            total.merge(tally);
        }
        total
    }
}

/// The metrics of the last minutes.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    minutes: BTreeMap<Minute, Arc<Block>>,
    /// Since the start.
    pub totals: Totals,
}

impl Metrics {
    /// Minutes that are kept here, the present one among them.
    pub const KEPT: u32 = 61;

    /// The minutes in order.
    pub fn minutes(&self) -> impl DoubleEndedIterator<Item = (Minute, &Arc<Block>)> {
        self.minutes.iter().map(|(minute, block)| (*minute, block))
    }

    /// The minutes from one on, in order.
    pub fn from(&self, minute: Minute) -> impl DoubleEndedIterator<Item = (Minute, &Arc<Block>)> {
        self.minutes.range(minute..).map(|(minute, block)| (*minute, block))
    }

    /// The metrics of a minute.
    pub fn get(&self, minute: Minute) -> Option<&Block> {
        self.minutes.get(&minute).map(|block| &**block)
    }

    /// Replaces the metrics of a minute.
    pub fn put(&mut self, minute: Minute, block: Arc<Block>) {
        self.minutes.insert(minute, block);
        let oldest = self.minutes.keys().next_back().map_or(minute, |last| last.before(Self::KEPT - 1));
        while self.minutes.first_key_value().is_some_and(|(minute, _)| *minute < oldest) {
            self.minutes.pop_first();
        }
    }

    /// The tally of a series now, to add to it.
    pub fn tally(&mut self, at: At, series: Series) -> &mut Tally {
        let minute = Minute::of(at);
        if !self.minutes.contains_key(&minute) {
            self.put(minute, Arc::default());
        }
        // After a clock change it may be older than all kept minutes; it is then kept as the oldest.
        Arc::make_mut(self.minutes.entry(minute).or_default()).tally(series)
    }

    /// How long the tasks of an agent with this skill took in the last hour.
    pub fn took(&self, agent: AgentId, skill: Option<&Untrusted>) -> Histogram {
        let skill = skill.map(|skill| skill.shortened(Series::NAME));
        let mut took = Histogram::default();
        for block in self.minutes.values().filter(|block| !block.made_up) {
            for (_, tally) in block.of_agent(agent).filter(|(series, _)| series.skill == skill) {
                took.merge(&tally.took);
            }
        }
        took
    }

    /// Everything that was measured since a minute, of the series that `wanted` is true of.
    pub fn since(&self, minute: Minute, wanted: impl Fn(&Series) -> bool) -> Tally {
        let mut total = Tally::default();
        let minutes = self.minutes.range(minute..).map(|(_, block)| block);
        for block in minutes.filter(|block| !block.made_up) {
            for (_, tally) in block.series.iter().filter(|(series, _)| wanted(series)) {
                total.merge(tally);
            }
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Rng;

    #[test]
    fn an_agent_cannot_make_more_series_than_are_kept() {
        let mut seed = Rng::new(1);
        let agent = AgentId(seed.uuid(At::ZERO));
        let other = AgentId(seed.uuid(At::ZERO));
        let mut block = Block::default();
        for n in 0..1000 {
            let skill = Some(Untrusted::from(format!("skill {n}")));
            block.tally(Series { agent, skill, caller: None, rule: None }).ok += 1;
        }
        block.tally(Series::of_agent(other)).ok += 1;
        assert!(block.of_agent(agent).count() <= Series::MOST + 1);
        assert_eq!(block.total(|series| series.agent == agent).ok, 1000, "and none is lost");
        assert_eq!(block.of_agent(other).count(), 1);
    }

    #[test]
    fn an_hour_is_kept() {
        let mut metrics = Metrics::default();
        let agent = AgentId(Rng::new(1).uuid(At::ZERO));
        for minute in 1000..2000 {
            metrics.tally(Minute(minute).begins(), Series::of_agent(agent)).ok += 1;
        }
        assert_eq!(metrics.minutes().count(), Metrics::KEPT as usize);
        assert_eq!(metrics.since(Minute(1990), |_| true).ok, 10);
        assert_eq!(metrics.since(Minute(0), |_| true).ok, Metrics::KEPT);
    }
}
