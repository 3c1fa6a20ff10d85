//! Choosing one of several agents. Each balance gives every agent a score, the lower the better; equal scores go by
//! turns.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::agent::Health;
use crate::domain::id::AgentId;
use crate::domain::route::decision::{Considered, Obstacle, Verdict};

/// How one of several agents is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Balance {
    /// By turns.
    RoundRobin,
    /// By turns, each in proportion to its weight.
    Weighted,
    /// The fewest tasks in flight, against what the agent accepts at once.
    LeastConnections,
    /// The shortest time that its tasks take, times those in flight.
    LowestLatency,
    /// The one with fewer tasks in flight of two that are drawn.
    TwoChoices,
    /// The same agent for the same conversation, as long as it takes work.
    Sticky,
}

impl Balance {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::RoundRobin,
        Self::Weighted,
        Self::LeastConnections,
        Self::LowestLatency,
        Self::TwoChoices,
        Self::Sticky,
    ];

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::Weighted => "weighted",
            Self::LeastConnections => "least_connections",
            Self::LowestLatency => "lowest_latency",
            Self::TwoChoices => "two_choices",
            Self::Sticky => "sticky",
        }
    }

    /// The words on screens.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::RoundRobin => "by turns",
            Self::Weighted => "by weight",
            Self::LeastConnections => "fewest in flight",
            Self::LowestLatency => "lowest latency",
            Self::TwoChoices => "better of two",
            Self::Sticky => "by context",
        }
    }
}

/// An agent among which the router chooses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The agent.
    pub agent: AgentId,
    /// Its health.
    pub health: Health,
    /// Its tasks in flight.
    pub in_flight: u32,
    /// The number of tasks that it accepts at once.
    pub capacity: Option<u32>,
    /// The time that its tasks take: rises with a slow one at once, falls slowly. `None` if none has ended yet.
    pub latency: Option<Duration>,
    /// Failed ones among its last results, in thousandths.
    pub failing: u32,
    /// Its weight; 0 takes no work by weight.
    pub weight: u32,
    /// True if an earlier attempt of the job was there.
    pub tried: bool,
    /// What keeps it from taking work.
    pub obstacle: Option<Obstacle>,
}

/// Whose turn it is among the agents of one rule.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    served: u64,
    /// When each was last chosen, in choices of the rule.
    last: BTreeMap<AgentId, u64>,
    /// By how many shares each lags behind its weight.
    credit: BTreeMap<AgentId, i64>,
}

/// What a choice needs beside the candidates.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// The hash of the conversation; `None` if the message has none.
    pub conversation: Option<u64>,
    /// Two random numbers.
    pub random: [u64; 2],
}

/// An agent that fails everything counts as if it had so many times its tasks in flight: one that fails at once never
/// has any, and would otherwise get all work.
const FAILING_FACTOR: u64 = 49;

impl Candidate {
    /// Multiplies a load by how much the agent fails.
    fn burdened(&self, load: u64) -> u64 {
        load.saturating_mul(1000 + u64::from(self.failing.min(1000)) * FAILING_FACTOR) / 1000
    }

    /// Tasks in flight with the new one, in thousandths of what the agent accepts; an agent that does not say counts as
    /// one that accepts `usual`.
    fn load(&self, usual: u32) -> u64 {
        let accepts = u64::from(self.capacity.unwrap_or(usual).max(1));
        self.burdened((u64::from(self.in_flight) + 1) * 1_000_000 / accepts)
    }

    fn waiting_time(&self) -> u64 {
        let tasks = u64::from(self.in_flight) + 1;
        match self.latency {
            Some(latency) => self.burdened(saturating(latency.as_micros()).saturating_mul(tasks)),
            // One task shows how long it takes; until it has ended, the others are preferred.
            None if self.in_flight == 0 => 0,
            None => u64::MAX / 2,
        }
    }
}

fn saturating(n: u128) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// A hash of an agent for a conversation: the highest wins, so that an agent that comes or goes moves only its own
/// conversations (rendezvous hashing).
fn affinity(conversation: u64, agent: AgentId) -> u64 {
    let (high, low) = agent.0.as_u64_pair();
    [high, low].into_iter().fold(conversation, |hash, next| {
        let mixed = (hash ^ next).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb)
    })
}

/// Ranks the candidates: the first takes the job unless it is out. Every candidate is in the result once.
pub fn rank(balance: Balance, candidates: &[Candidate], turns: &Turns, draw: Draw) -> Vec<Considered> {
    let usual = candidates.iter().filter_map(|one| one.capacity).max().unwrap_or(1);
    let ready: Vec<&Candidate> = candidates.iter().filter(|one| one.obstacle.is_none()).collect();
    let drawn = two_of(&ready, draw.random);
    let score = |one: &Candidate| match balance {
        Balance::RoundRobin => turns.last_turn(one.agent),
        Balance::Weighted => turns.share_due(one),
        Balance::LeastConnections => one.load(usual),
        Balance::LowestLatency => one.waiting_time(),
        // The two that were drawn are ahead of everybody else.
        Balance::TwoChoices => {
            let ahead = drawn.contains(&Some(one.agent));
            one.load(usual).min(u64::MAX / 4).saturating_add(if ahead { 0 } else { u64::MAX / 2 })
        }
        Balance::Sticky => match draw.conversation {
            Some(conversation) => u64::MAX - affinity(conversation, one.agent),
            None => turns.last_turn(one.agent),
        },
    };
    let mut ranked: Vec<_> = candidates.iter().map(|one| (one, score(one))).collect();
    ranked.sort_by_key(|(one, score)| {
        let weightless = balance == Balance::Weighted && one.weight == 0;
        // What is equal stays in the order of the fleet.
        (one.obstacle.is_some(), one.tried, weightless, *score, turns.last_turn(one.agent))
    });
    let mut taken = false;
    let considered = |(one, score): (&Candidate, u64)| {
        let verdict = match one.obstacle {
            Some(obstacle) => Verdict::Out(obstacle),
            None if taken => Verdict::Behind,
            None => {
                taken = true;
                Verdict::Taken
            }
        };
        Considered {
            agent: one.agent,
            score: one.obstacle.is_none().then_some(score),
            health: one.health,
            in_flight: one.in_flight,
            capacity: one.capacity,
            latency: one.latency,
            failing: one.failing,
            verdict,
        }
    };
    ranked.into_iter().map(considered).collect()
}

/// Two different ones by two random numbers.
fn two_of(ready: &[&Candidate], random: [u64; 2]) -> [Option<AgentId>; 2] {
    let len = ready.len() as u64;
    if len < 2 {
        return [ready.first().map(|one| one.agent), None];
    }
    let first = random[0] % len;
    let second = (first + 1 + random[1] % (len - 1)) % len;
    let at = |index: u64| usize::try_from(index).ok().and_then(|index| ready.get(index)).map(|one| one.agent);
    [at(first), at(second)]
}

impl Turns {
    fn last_turn(&self, agent: AgentId) -> u64 {
        self.last.get(&agent).copied().unwrap_or(0)
    }

    /// Lower for the agent that lags most behind its weight, with the share of this choice.
    fn share_due(&self, one: &Candidate) -> u64 {
        let due = self.credit.get(&one.agent).copied().unwrap_or(0) + i64::from(one.weight);
        u64::try_from(i64::MAX / 2 - due).unwrap_or(0)
    }

    /// Notes a choice.
    pub fn took(&mut self, candidates: &[Candidate], taken: AgentId) {
        self.served += 1;
        self.last.insert(taken, self.served);
        // Smooth weighted turns: everybody gains its weight, the one taken pays for all.
        let ready = || candidates.iter().filter(|one| one.obstacle.is_none());
        let total: i64 = ready().map(|one| i64::from(one.weight)).sum();
        for one in ready() {
            *self.credit.entry(one.agent).or_default() += i64::from(one.weight);
        }
        *self.credit.entry(taken).or_default() -= total;
        // Agents that left are forgotten once there are far more names than candidates.
        if self.last.len() > candidates.len() * 2 + 64 {
            let known = |agent: &AgentId| candidates.iter().any(|one| one.agent == *agent);
            self.last.retain(|agent, _| known(agent));
            self.credit.retain(|agent, _| known(agent));
        }
    }
}
