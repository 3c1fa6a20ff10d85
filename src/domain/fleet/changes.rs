//! Changes in and around the fleet, newest first: the first place to look when something begins to fail.

use std::sync::Arc;

use crate::domain::agent::Health;
use crate::domain::agent::breaker::BreakerState;
use crate::domain::cause::Cause;
use crate::domain::fact::{Fact, FleetFact, JournalEntry};
use crate::domain::id::{AgentId, AgentKey};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::{At, format_duration};

/// The kind of a change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ChangeKind {
    /// An agent's card.
    Card,
    /// How an agent is.
    Health,
    /// A breaker moved.
    Breaker,
    /// An operator did something.
    Act,
    /// An operator noted something.
    Note,
    /// A source of agents, or the watching itself.
    Watch,
    /// Traffic rose or fell strongly.
    Traffic,
}

impl ChangeKind {
    /// A word for a column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Health => "agent",
            Self::Breaker => "breaker",
            Self::Act => "act",
            Self::Note => "note",
            Self::Watch => "watch",
            Self::Traffic => "traffic",
        }
    }
}

/// A change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The time.
    pub at: At,
    /// The kind.
    pub kind: ChangeKind,
    /// The agent; `None` for changes without one.
    pub agent: Option<AgentKey>,
    /// The description.
    pub words: Untrusted,
}

/// Changes between two points in time, newest first, from the rows of agents and facts of the fleet.
pub fn changes(snapshot: &Snapshot, fleet: &[JournalEntry], from: At, until: At) -> Vec<Change> {
    let within = |at: At| at > from && at <= until;
    let mut all = Vec::new();
    for (key, agent) in snapshot.agents.iter().filter(|(_, agent)| agent.listed) {
        let name = agent.name.line();
        let mut push = |at: At, kind: ChangeKind, text: String| {
            if within(at) {
                all.push(Change { at, kind, agent: Some(key), words: Untrusted::from(text) });
            }
        };
        if let Some((at, words)) = &agent.card_change {
            push(*at, ChangeKind::Card, format!("{name} {}", words.line()));
        }
        let because =
            |cause: Option<&Arc<Cause>>| cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        for outage in &*agent.outages {
            push(
                outage.from,
                ChangeKind::Health,
                format!("{name} went down{}", because(outage.cause.as_ref())),
            );
            if let Some(until) = outage.until {
                let time = format_duration(until.since(outage.from));
                let text = if outage.came_back {
                    format!("{name} came back after {time}")
                } else {
                    format!("{name} was still down when the watching ended, after {time}")
                };
                push(until, ChangeKind::Health, text);
            }
        }
        let came_back = agent.last_outage().is_some_and(|outage| outage.until == Some(agent.since));
        let health = match agent.health {
            // Everybody was seen for the first time once.
            Health::Up if came_back || agent.since <= snapshot.watching_since + SETTLING => None,
            Health::Up => Some(format!("{name} is up again")),
            Health::Degraded => Some(format!("{name} is degraded{}", because(agent.cause.as_ref()))),
            Health::Down => None,
            Health::LoginNeeded => Some(format!("{name} requires a login")),
            Health::NotSpoken | Health::Unknown | Health::Stale => None,
        };
        if let Some(text) = health {
            push(agent.since, ChangeKind::Health, text);
        }
        let breaker = &agent.breaker;
        let by = breaker.forced.as_ref().map(|by| format!(", held by {}", by.line())).unwrap_or_default();
        match breaker.position {
            BreakerState::Open => push(breaker.since, ChangeKind::Breaker, format!("{name} opened{by}")),
            BreakerState::HalfOpen => {
                push(breaker.since, ChangeKind::Breaker, format!("{name} is tried again"));
            }
            BreakerState::Closed if breaker.since > At::ZERO => {
                push(breaker.since, ChangeKind::Breaker, format!("{name} closed{by}"));
            }
            BreakerState::Closed => {}
        }
    }
    all.extend(fleet.iter().filter(|entry| within(entry.at)).filter_map(|entry| of_fleet(snapshot, entry)));
    all.sort_by_key(|change| (std::cmp::Reverse(change.at), change.kind, change.agent));
    all
}

/// The time within which a fleet is first seen.
pub(crate) const SETTLING: std::time::Duration = std::time::Duration::from_secs(20);

fn of_fleet(snapshot: &Snapshot, entry: &JournalEntry) -> Option<Change> {
    let Fact::Fleet(fact) = &entry.fact else { return None };
    let by = entry.actor_name();
    let key = |id: AgentId| snapshot.agents.iter().find(|(_, agent)| agent.id == id).map(|(key, _)| key);
    let name = |key: Option<AgentKey>| {
        let agent = key.and_then(|key| snapshot.agents.get(key));
        agent.map_or_else(|| "an agent that was removed".to_owned(), |agent| agent.name.line().into_string())
    };
    let (kind, agent, text) = match fact {
        FleetFact::Acted { act, agent, .. } => {
            let agent = key(*agent);
            let text = format!("{} {} a task of {}", by.line(), act.as_str(), name(agent));
            (ChangeKind::Act, agent, text)
        }
        FleetFact::ProblemMuted { number, why, .. } => {
            (ChangeKind::Act, None, format!("{} muted p-{number}: {}", by.line(), why.line()))
        }
        FleetFact::ProblemTaken { number } => {
            (ChangeKind::Act, None, format!("{} took p-{number}", by.line()))
        }
        FleetFact::NoteMade { text, agent, .. } => {
            (ChangeKind::Note, agent.and_then(key), format!("{}: {}", by.line(), text.line()))
        }
        FleetFact::SourceListed { spec } => (
            ChangeKind::Watch,
            None,
            format!("source {} was configured", Untrusted::from(&*spec.name).line()),
        ),
        FleetFact::SourceUnlisted { name } => (
            ChangeKind::Watch,
            None,
            format!("source {} is no longer configured", Untrusted::from(&**name).line()),
        ),
        FleetFact::WatchStarted => (ChangeKind::Watch, None, "an engine began to watch".to_owned()),
        FleetFact::WatchPaused { .. } => {
            (ChangeKind::Watch, None, "nobody watched for a while before this".to_owned())
        }
        _ => return None,
    };
    Some(Change { at: entry.at, kind, agent, words: Untrusted::from(text) })
}
