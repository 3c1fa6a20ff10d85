//! Shifts in a decision: the legacy agent and its successor share one seat among the candidates.
//!
//! The balance sees the seat as the legacy agent, with the tasks in flight of both; so a shift changes nothing for the
//! other agents of a rule. Which of the two takes what the seat gets follows from counts alone, so that after each job
//! the successor's part differs by half a job at most from its share. With the balance `sticky` it follows from the
//! conversation, and a conversation moves once at most while the share rises.

use crate::domain::id::AgentId;
use crate::domain::route::balance::{Balance, Candidate, Draw, Turns, rank};
use crate::domain::route::decision::{Considered, Verdict};

/// A shift as a decision sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair {
    /// The legacy agent.
    pub from: AgentId,
    /// The successor.
    pub to: AgentId,
    /// The share of the successor, in per cent.
    pub percent: u8,
    /// The step, from 1; 0 if the successor lost its share.
    pub step: u8,
    /// How many steps there are.
    pub steps: u8,
    /// Jobs that were shared since the share last changed.
    pub decided: u64,
    /// Those among them that the successor got.
    pub given: u64,
}

/// Who got a job of the seat.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Went {
    /// The successor, by its share.
    Successor,
    /// The legacy agent, by the rest.
    Legacy,
    /// The successor, because the legacy agent cannot take it.
    OnlySuccessor,
    /// The legacy agent, because the successor cannot take it.
    OnlyLegacy,
}

impl Went {
    /// True if both could take the job, so that it counts for the share.
    pub fn was_shared(self) -> bool {
        matches!(self, Self::Successor | Self::Legacy)
    }
}

/// What a shift did in a decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shifted {
    /// The legacy agent.
    pub from: AgentId,
    /// The successor.
    pub to: AgentId,
    /// The share of the successor, in per cent.
    pub percent: u8,
    /// The step, from 1; 0 if the successor lost its share.
    pub step: u8,
    /// How many steps there are.
    pub steps: u8,
    /// Who got the job.
    pub went: Went,
}

impl Shifted {
    /// `5 % of what old-x would get goes to new-x (shift, step 2 of 5)`
    pub fn in_words(&self, from: &str, to: &str) -> String {
        let step = match self.step {
            0 => "shift, back at 0".to_owned(),
            step => format!("shift, step {step} of {}", self.steps),
        };
        let share = format!("{} % of what {from} would get goes to {to} ({step})", self.percent);
        match self.went {
            Went::Successor => format!("{share}: this job does"),
            Went::Legacy => format!("{share}: this job does not"),
            Went::OnlySuccessor => format!("{share}, but {from} cannot take it now"),
            Went::OnlyLegacy => format!("{share}, but {to} cannot take it now"),
        }
    }
}

impl Pair {
    fn shifted(&self, went: Went) -> Shifted {
        let Self { from, to, percent, step, steps, .. } = *self;
        Shifted { from, to, percent, step, steps, went }
    }

    /// True if the next job of the seat is the successor's.
    fn gives(&self, balance: Balance, draw: Draw) -> bool {
        let percent = u64::from(self.percent.min(100));
        match draw.conversation.filter(|_| balance == Balance::Sticky) {
            // The high bits of the hash are mixed well; the same conversation stays where a higher share finds it.
            Some(conversation) => (mixed(conversation) % 10_000) < percent * 100,
            // To the nearest: the first job of one per cent is the fiftieth.
            None => 2 * (self.decided + 1) * percent >= (2 * self.given + 1) * 100,
        }
    }
}

fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Candidates in their order, and what shifts did.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// Everybody, the one that takes the job first.
    pub considered: Vec<Considered>,
    /// The agents among which the balance chose, and whose turn it was: for turns and weights.
    pub seats: Vec<Candidate>,
    /// See `seats`; `None` if nobody takes the job.
    pub turn_of: Option<AgentId>,
    /// What a shift did with the job; `None` if none concerns the agent that takes it.
    pub shifted: Option<Shifted>,
}

/// Ranks the candidates under the shifts that concern them: see [`rank`].
pub fn rank_shifted(
    balance: Balance,
    candidates: &[Candidate],
    turns: &Turns,
    draw: Draw,
    pairs: &[Pair],
) -> Ranked {
    let find = |id: AgentId| candidates.iter().find(|one| one.agent == id);
    let mut seats = candidates.to_vec();
    let mut shared = Vec::new();
    for pair in pairs {
        let (Some(from), Some(to)) = (find(pair.from), find(pair.to)) else { continue };
        if from.obstacle.is_some() || to.obstacle.is_some() || from.tried != to.tried {
            continue;
        }
        let gives = pair.gives(balance, draw);
        let stands = if gives { to } else { from };
        let seat = Candidate {
            agent: from.agent,
            weight: from.weight,
            in_flight: from.in_flight.saturating_add(to.in_flight),
            ..stands.clone()
        };
        seats.retain(|one| one.agent != to.agent);
        if let Some(place) = seats.iter_mut().find(|one| one.agent == from.agent) {
            *place = seat;
        }
        shared.push((pair, gives));
    }
    let mut considered = rank(balance, &seats, turns, draw);
    let turn_of = considered.first().filter(|one| one.verdict == Verdict::Taken).map(|one| one.agent);
    let mut shifted = None;
    for (pair, gives) in shared {
        let Some(place) = considered.iter().position(|one| one.agent == pair.from) else { continue };
        let seat = considered[place].clone();
        let of = |id: AgentId, verdict| {
            let one = find(id);
            Considered {
                agent: id,
                in_flight: one.map_or(seat.in_flight, |one| one.in_flight),
                capacity: one.map_or(seat.capacity, |one| one.capacity),
                latency: one.map_or(seat.latency, |one| one.latency),
                failing: one.map_or(seat.failing, |one| one.failing),
                health: one.map_or(seat.health, |one| one.health),
                score: seat.score,
                verdict,
            }
        };
        let (first, second) = if gives { (pair.to, pair.from) } else { (pair.from, pair.to) };
        let taken = seat.verdict == Verdict::Taken;
        considered[place] = of(first, seat.verdict);
        considered.insert(place + 1, of(second, Verdict::Behind));
        if taken {
            shifted = Some(pair.shifted(if gives { Went::Successor } else { Went::Legacy }));
        }
    }
    let taken = considered.first().filter(|one| one.verdict == Verdict::Taken).map(|one| one.agent);
    if shifted.is_none() {
        // Where only one of the two can take work, it does, whatever the share.
        let out = |id: AgentId| find(id).is_some_and(|one| one.obstacle.is_some());
        shifted = pairs.iter().find_map(|pair| match taken {
            Some(taken) if taken == pair.from && out(pair.to) => Some(pair.shifted(Went::OnlyLegacy)),
            Some(taken) if taken == pair.to && out(pair.from) => Some(pair.shifted(Went::OnlySuccessor)),
            _ => None,
        });
    }
    Ranked { considered, seats, turn_of, shifted }
}
