//! Changes in and around the fleet, newest first: the first place to look when something begins to fail.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::shift::{Shift, ShiftStage};
use crate::domain::agent::{Agent, Health, card_diff};
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
    /// An agent was taken out of service.
    Service,
    /// A share of an agent's work goes to a successor, or came back.
    Shift,
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
            Self::Service => "service",
            Self::Shift => "shift",
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
    /// The changes that this one stands for, oldest first; empty for one that stands for itself.
    pub members: Vec<Change>,
    /// The card's fields that changed.
    fields: Vec<&'static str>,
}

impl Change {
    /// A change that stands for itself.
    pub fn new(at: At, kind: ChangeKind, agent: Option<AgentKey>, words: impl Into<Untrusted>) -> Self {
        Self { at, kind, agent, words: words.into(), members: Vec::new(), fields: Vec::new() }
    }
}

/// So many agents whose cards changed alike within `ONE_CAUSE` are told as one change.
const ALIKE: usize = 3;
/// A rollout or a restart reaches the agents of a fleet within this time.
const ONE_CAUSE: Duration = Duration::from_secs(120);

/// Puts changes of one cause together: the same fields of several agents' cards within a short time. The one that stands
/// for them has the time of the first. Newest first.
pub fn fold(all: Vec<Change>) -> Vec<Change> {
    let (mut cards, mut others): (Vec<Change>, Vec<Change>) =
        all.into_iter().partition(|change| !change.fields.is_empty());
    cards.sort_by(|a, b| (&a.fields, a.at, a.agent).cmp(&(&b.fields, b.at, b.agent)));
    let mut cards = cards.into_iter().peekable();
    while let Some(first) = cards.next() {
        let mut alike = vec![first];
        while let Some(next) =
            cards.next_if(|next| next.fields == alike[0].fields && next.at.since(alike[0].at) <= ONE_CAUSE)
        {
            alike.push(next);
        }
        if alike.len() < ALIKE {
            others.extend(alike);
        } else {
            let (at, count) = (alike[0].at, alike.len());
            let words = format!("{count} agents changed their cards: {}", alike[0].fields.join(", "));
            let members = alike;
            others.push(Change { members, ..Change::new(at, ChangeKind::Card, None, words) });
        }
    }
    others.sort_by_key(newest_first);
    others
}

fn newest_first(change: &Change) -> (std::cmp::Reverse<At>, ChangeKind, Option<AgentKey>) {
    (std::cmp::Reverse(change.at), change.kind, change.agent)
}

/// Changes between two points in time, newest first, from the rows of agents and facts of the fleet.
pub fn changes(snapshot: &Snapshot, fleet: &[JournalEntry], from: At, until: At) -> Vec<Change> {
    let within = |at: At| at > from && at <= until;
    let (mut all, mut changed_cards) = (Vec::new(), Vec::new());
    for (key, agent) in snapshot.agents.iter().filter(|(_, agent)| agent.listed) {
        let name = agent.name.line();
        let mut push = |at: At, kind: ChangeKind, text: String| {
            if within(at) {
                all.push(Change::new(at, kind, Some(key), text));
            }
        };
        if let Some((at, words)) = agent.card_change.as_ref().filter(|(at, _)| within(*at)) {
            let fields = card_diff::fields(&words.line());
            let words = format!("{name} {}", words.line());
            changed_cards.push(Change { fields, ..Change::new(*at, ChangeKind::Card, Some(key), words) });
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
        if let Some(out) = &agent.service {
            push(out.since, ChangeKind::Service, format!("{name} is out of service: {}", out.in_words()));
        }
        if let Some(shift) = &agent.shift {
            push(shift.since, ChangeKind::Shift, shifted(snapshot, agent, shift));
        }
        let breaker = &agent.breaker;
        let by = breaker.forced.as_ref().map(|by| format!(", held by {}", by.line())).unwrap_or_default();
        // What a person did is told by its own fact, with the reason, and stays when the breaker moves again.
        let set_by_hand = |entry: &JournalEntry| {
            entry.at == breaker.since
                && matches!(&entry.fact, Fact::Fleet(FleetFact::BreakerSet { agent: of, .. }) if *of == agent.id)
        };
        let told = breaker.since > from && fleet.iter().any(set_by_hand);
        match breaker.position {
            _ if told => {}
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
    all.append(&mut changed_cards);
    all.extend(fleet.iter().filter(|entry| within(entry.at)).filter_map(|entry| of_fleet(snapshot, entry)));
    all.sort_by_key(newest_first);
    all
}

/// What an operator did to a breaker: `held py10 open: it lies`.
pub fn breaker_words(agent: &str, to: Option<BreakerState>, why: Option<&Untrusted>) -> String {
    let why = why.map(|why| format!(": {}", why.line())).unwrap_or_default();
    match to {
        Some(to) => format!("held {agent} {}{why}", to.as_str()),
        None => format!("left the breaker of {agent} to itself{why}"),
    }
}

/// How a shift stands since it last moved.
fn shifted(snapshot: &Snapshot, legacy: &Agent, shift: &Shift) -> String {
    let (from, to) = (legacy.name.line(), snapshot.agents.iter().find(|(_, to)| to.id == shift.terms.to));
    let to = to.map_or_else(|| "an agent that has left".to_owned(), |(_, to)| to.name.line().into_string());
    let why = shift.why.as_ref().map(|why| format!(": {to} {}", why.line())).unwrap_or_default();
    match shift.stage {
        ShiftStage::Back => format!("all work of {from} comes back from {to}{why}"),
        ShiftStage::Running | ShiftStage::Held | ShiftStage::Complete => {
            format!("{} % of the work of {from} goes to {to}, {}", shift.percent(), shift.place())
        }
    }
}

/// The time within which a fleet is first seen.
pub(crate) const SETTLING: Duration = Duration::from_secs(20);

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
        FleetFact::BreakerSet { agent, to, why } => {
            let agent = key(*agent);
            let what = breaker_words(&name(agent), *to, why.as_ref());
            (ChangeKind::Breaker, agent, format!("{} {what}", by.line()))
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
    Some(Change::new(entry.at, kind, agent, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_on_a_breaker_have_their_reason() {
        let why = Untrusted::from("it lies");
        for (to, why, words) in [
            (Some(BreakerState::Open), Some(&why), "held py10 open: it lies"),
            (Some(BreakerState::Closed), None, "held py10 closed"),
            (None, None, "left the breaker of py10 to itself"),
        ] {
            assert_eq!(breaker_words("py10", to, why), words);
        }
    }

    #[test]
    fn changes_of_one_cause_are_told_as_one() {
        let card = |seconds: i64, agent: u32, words: &str| Change {
            fields: card_diff::fields(words),
            ..Change::new(
                At::from_micros(seconds * 1_000_000),
                ChangeKind::Card,
                Some(AgentKey(agent)),
                words,
            )
        };
        let (moved, newer) = ("interfaces + a, - b", "version 1 → 2; skills + pay");
        for (what, all, expected) in [
            (
                "three within two minutes, whatever the fields became",
                vec![card(300, 1, moved), card(360, 2, "interfaces + c"), card(419, 3, moved)],
                vec![("3 agents changed their cards: interfaces", 300, 3)],
            ),
            ("two", vec![card(1, 1, moved), card(2, 2, moved)], vec![(moved, 2, 0), (moved, 1, 0)]),
            (
                "other fields",
                vec![card(1, 1, moved), card(2, 2, newer), card(3, 3, moved)],
                vec![(moved, 3, 0), (newer, 2, 0), (moved, 1, 0)],
            ),
            (
                "later ones",
                vec![card(1, 1, newer), card(2, 2, newer), card(3, 3, newer), card(122, 4, newer)],
                vec![(newer, 122, 0), ("3 agents changed their cards: version, skills", 1, 3)],
            ),
        ] {
            let folded = fold(all);
            let found: Vec<_> = folded
                .iter()
                .map(|change| (change.words.raw(), change.at.micros() / 1_000_000, change.members.len()))
                .collect();
            assert_eq!(found, expected, "{what}");
        }
    }
}
