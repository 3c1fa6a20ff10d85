//! Uptime computed from an agent's facts; unwatched time counts neither way.

use std::time::Duration;

use crate::domain::agent::Health;
use crate::domain::fact::{AgentFact, JournalEntry};
use crate::domain::metrics::share;
use crate::domain::time::At;

/// How an agent was in a stretch of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Condition {
    /// Unknown: not listed, not reached yet, or not watched.
    Unknown,
    /// It could be given work.
    Up,
    /// It answered, but with faults.
    Degraded,
    /// It could not be given work.
    Down,
}

impl Condition {
    fn of(health: Health) -> Self {
        match health {
            Health::Up => Self::Up,
            Health::Degraded => Self::Degraded,
            Health::Down | Health::LoginNeeded | Health::NotSpoken => Self::Down,
            Health::Unknown | Health::Stale => Self::Unknown,
        }
    }
}

/// A stretch of time in which an agent was the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HealthSpan {
    /// The start.
    pub from: At,
    /// The end, exclusive.
    pub until: At,
    /// The condition in this span.
    pub condition: Condition,
}

/// An agent's life up to `now`, in stretches without gaps, from its facts, oldest first.
pub fn health_spans(facts: &[JournalEntry], now: At) -> Vec<HealthSpan> {
    let mut all: Vec<HealthSpan> = Vec::new();
    let mut push = |from: At, condition: Condition| {
        if let Some(last) = all.last_mut() {
            if last.condition == condition {
                return;
            }
            last.until = from.max(last.from);
        }
        all.push(HealthSpan { from, until: now, condition });
    };
    for entry in facts {
        match entry.fact.of_agent() {
            Some(AgentFact::Listed { .. } | AgentFact::Unlisted) => push(entry.at, Condition::Unknown),
            // A pause is recorded when watching resumes; the time since the last observation is unknown.
            Some(AgentFact::HealthChanged { health: Health::Stale, last_seen, .. }) => {
                push((*last_seen).min(entry.at), Condition::Unknown);
            }
            Some(AgentFact::HealthChanged { health, .. }) => push(entry.at, Condition::of(*health)),
            _ => {}
        }
    }
    all.retain(|span| span.until > span.from);
    all
}

/// How an agent was within a window that ends `now`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Uptime {
    /// Up or degraded.
    pub up: Duration,
    /// Neither up nor degraded, while it was watched.
    pub down: Duration,
}

impl Uptime {
    /// In tenths of a per cent of the watched time; `None` if there is none. 1000 only if it was never down.
    pub fn per_mille(self) -> Option<u32> {
        let known = self.up + self.down;
        if known.is_zero() {
            return None;
        }
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Some(share(millis(self.up), millis(known), 1000))
    }
}

/// Adds up a window that ends with the last stretch.
pub fn uptime(health_spans: &[HealthSpan], now: At, window: Duration) -> Uptime {
    let begin = now - window;
    let mut uptime = Uptime::default();
    for span in health_spans {
        let time = span.until.since(span.from.max(begin));
        match span.condition {
            _ if span.until <= begin => {}
            Condition::Up | Condition::Degraded => uptime.up += time,
            Condition::Down => uptime.down += time,
            Condition::Unknown => {}
        }
    }
    uptime
}

/// The worst of each of `cells` equal parts of a window that ends `now`, oldest first.
pub fn cells(health_spans: &[HealthSpan], now: At, window: Duration, cells: u32) -> Vec<Condition> {
    let part = window / cells.max(1);
    (0..cells)
        .map(|index| {
            let from = now - part * (cells - index);
            let until = from + part;
            let touches = |span: &&HealthSpan| span.from < until && span.until > from;
            health_spans.iter().filter(touches).map(|span| span.condition).max().unwrap_or(Condition::Unknown)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fact::Fact;
    use crate::domain::id::{AgentId, Rng};

    fn at(second: u64) -> At {
        At::from_micros(1_795_000_000_000_000) + Duration::from_secs(second)
    }

    /// Health changes with the second at which they began; a stale one also has the second of the last observation.
    fn life(observed: &[(u64, Health, u64)]) -> Vec<JournalEntry> {
        let agent = AgentId(Rng::new(1).uuid(at(0)));
        let facts = observed.iter().zip(1..).map(|((second, health, seen), seq)| {
            let fact = AgentFact::HealthChanged { health: *health, cause: None, last_seen: at(*seen) };
            JournalEntry { at: at(*second), seq, actor: None, fact: Fact::Agent(agent, fact) }
        });
        facts.collect()
    }

    #[test]
    fn uptime_counts_only_watched_time() {
        use Health::{Degraded, Down, Stale, Up};
        let hour = Duration::from_secs(3600);
        for (observed, now, expected) in [
            (vec![(0, Up, 0)], 100, Some(1000)),
            (vec![(0, Up, 0), (90, Down, 90)], 100, Some(900)),
            (vec![(0, Up, 0), (50, Degraded, 50)], 100, Some(1000)),
            // Stopped at 40, started again at 90.
            (vec![(0, Up, 0), (90, Stale, 40), (91, Up, 91)], 100, Some(1000)),
            (vec![(0, Down, 0), (90, Stale, 40), (91, Up, 91)], 100, Some(184)),
            (vec![(0, Stale, 0)], 100, None),
            (vec![], 100, None),
            // Down for a moment is never rounded to always up.
            (vec![(0, Up, 0), (9_999, Down, 0), (10_000, Up, 0)], 10_000 + 3000, Some(999)),
            // Entries older than the window do not count.
            (vec![(0, Down, 0), (100, Up, 0)], 100 + 3600, Some(1000)),
        ] {
            let health_spans = health_spans(&life(&observed), at(now));
            assert_eq!(uptime(&health_spans, at(now), hour).per_mille(), expected, "{observed:?}");
        }
    }

    #[test]
    fn a_cell_shows_the_worst_condition_of_its_time() {
        use Health::{Down, Up};
        let health_spans = health_spans(&life(&[(20, Up, 0), (61, Down, 0), (62, Up, 0)]), at(100));
        let shown = cells(&health_spans, at(100), Duration::from_secs(100), 5);
        assert_eq!(shown, [Condition::Unknown, Condition::Up, Condition::Up, Condition::Down, Condition::Up]);
    }
}
