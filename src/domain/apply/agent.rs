//! Applies facts of agents.

use std::sync::Arc;

use crate::domain::agent::breaker::{Breaker, BreakerState};
use crate::domain::agent::replicas::{ReplicaKey, ReplicaMembership};
use crate::domain::agent::{Agent, AgentSpec, Counts, Health, Source};
use crate::domain::cause::Cause;
use crate::domain::fact::{AgentFact, JournalEntry};
use crate::domain::id::AgentId;
use crate::domain::job::task::ProtocolViolation;
use crate::domain::state::{Changed, State};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

pub(super) fn apply(state: &mut State, entry: &JournalEntry, id: AgentId, fact: &AgentFact) {
    let (at, seq) = (entry.at, entry.seq);
    match fact {
        AgentFact::Listed { spec, order, name } => insert(state, entry, id, (spec, *order, name)),
        AgentFact::Relisted { spec, order } => {
            edit(state, id, seq, |agent| {
                agent.spec = spec.clone();
                agent.replica_key = ReplicaKey::of(spec.replica_of.as_deref(), agent.card.as_deref());
                agent.order = *order;
                agent.listed = true;
                agent.left = None;
                if agent.is_named_by_operator() {
                    agent.operator_at = Some(at);
                }
            });
            state.next_order = state.next_order.max(order.saturating_add(1));
        }
        AgentFact::Sourced { sources } => edit(state, id, seq, |agent| {
            let named = agent.is_named_by_operator();
            agent.sources = sources.as_slice().into();
            if named || agent.is_named_by_operator() {
                agent.operator_at = Some(at);
            }
        }),
        AgentFact::Unlisted => edit(state, id, seq, |agent| {
            agent.listed = false;
            agent.left = Some(at);
            // Another agent may come to a URL that only sources named; the card before says nothing about it.
            agent.own_card &= agent.is_named_by_operator();
        }),
        AgentFact::Named { name } => edit(state, id, seq, |agent| agent.name = name.clone()),
        AgentFact::CardSeen { card, reported } => edit(state, id, seq, |agent| {
            if agent.card.as_ref() != Some(card) {
                agent.card_since = at;
            }
            agent.replica_key = ReplicaKey::of(agent.spec.replica_of.as_deref(), Some(card));
            agent.card = Some(card.clone());
            agent.own_card = !reported;
            agent.stream_refused = None;
        }),
        AgentFact::CertificateSeen { until } => {
            edit(state, id, seq, |agent| agent.certificate_until = *until);
        }
        AgentFact::ServerSeen { server } => edit(state, id, seq, |agent| agent.server.clone_from(server)),
        AgentFact::CardChanged { words } => {
            edit(state, id, seq, |agent| agent.card_change = Some((at, words.clone())));
        }
        AgentFact::InterfaceChosen { interface } => {
            edit(state, id, seq, |agent| agent.interface.clone_from(interface));
        }
        AgentFact::DialectConfirmed { dialect } => {
            edit(state, id, seq, |agent| agent.confirmed_dialect = Some(*dialect));
        }
        AgentFact::StreamingRefused { cause } => {
            edit(state, id, seq, |agent| agent.stream_refused = Some(cause.clone()));
        }
        AgentFact::HealthChanged { health, cause, last_seen } => edit(state, id, seq, |agent| {
            if agent.health != *health {
                agent.since = change_since(agent, at, *health);
            }
            agent.note_outage(at, *health, cause.as_ref(), *last_seen);
            agent.health = *health;
            agent.cause.clone_from(cause);
            agent.last_seen = *last_seen;
        }),
        AgentFact::BreakerMoved { position, cause, forced } => {
            edit(state, id, seq, |agent| move_breaker(agent, at, *position, cause.as_ref(), forced.as_ref()));
        }
        AgentFact::ServiceChanged { service } => {
            edit(state, id, seq, |agent| {
                agent.service.clone_from(service);
                agent.operator_at = Some(at);
            });
        }
        AgentFact::ShiftMoved { event: _, evidence: _, shift } => {
            edit(state, id, seq, |agent| {
                agent.shift.clone_from(shift);
                agent.operator_at = Some(at);
            });
            state.place_shift(id);
        }
        AgentFact::Drained => edit(state, id, seq, |agent| {
            if let Some(out) = &mut agent.service
                && let Some(drain) = &mut Arc::make_mut(out).drain
            {
                drain.empty_since = Some(at);
            }
        }),
        AgentFact::TextSanitised { count } => {
            edit(state, id, seq, |agent| agent.sanitised = agent.sanitised.saturating_add(*count));
        }
        AgentFact::ViolationCounted { violation } => {
            edit(state, id, seq, |agent| count_violation(agent, violation));
        }
        // The consequences of these are in the facts about sources.
        AgentFact::Added | AgentFact::Removed => {
            edit(state, id, seq, |agent| agent.operator_at = Some(at));
        }
        AgentFact::Forgotten => state.remove_agent(id),
    }
}

/// Since when an agent has another health: what is as before after a time in which nobody looked has been so all along.
fn change_since(agent: &mut Agent, at: At, health: Health) -> At {
    let before = agent.before_stale.take();
    if health == Health::Stale {
        agent.before_stale = Some((agent.health, agent.since));
    }
    before.filter(|(was, _)| *was == health).map_or(at, |(_, since)| since)
}

fn move_breaker(
    agent: &mut Agent,
    at: At,
    position: BreakerState,
    cause: Option<&Arc<Cause>>,
    forced: Option<&Untrusted>,
) {
    let opened = match position {
        BreakerState::Open => agent.breaker.opened.saturating_add(1),
        BreakerState::HalfOpen => agent.breaker.opened,
        BreakerState::Closed => 0,
    };
    if forced.is_some() {
        agent.operator_at = Some(at);
    }
    agent.breaker = Breaker { position, since: at, cause: cause.cloned(), forced: forced.cloned(), opened };
}

fn count_violation(agent: &mut Agent, violation: &ProtocolViolation) {
    match violation {
        ProtocolViolation::Deviation(what) => {
            agent.deviations = agent.deviations.iter().cloned().chain([what.clone()]).collect();
        }
        ProtocolViolation::IllegalMove { .. }
        | ProtocolViolation::AfterLastChunk
        | ProtocolViolation::AppendToNothing
        | ProtocolViolation::ForeignTaskId(_)
        | ProtocolViolation::Unreadable(_) => agent.violations = agent.violations.saturating_add(1),
    }
}

fn insert(
    state: &mut State,
    entry: &JournalEntry,
    id: AgentId,
    (spec, order, name): (&Arc<AgentSpec>, u32, &Untrusted),
) {
    let key = state.agents.insert(Agent {
        id,
        seq: entry.seq,
        order,
        spec: spec.clone(),
        name: name.clone(),
        listed: true,
        left: None,
        operator_at: (spec.source != Source::Discovery).then_some(entry.at),
        sources: Arc::default(),
        card: None,
        own_card: false,
        replica_key: ReplicaKey::of(spec.replica_of.as_deref(), None),
        server: None,
        card_since: At::ZERO,
        card_change: None,
        certificate_until: None,
        interface: None,
        confirmed_dialect: None,
        stream_refused: None,
        health: Health::Unknown,
        since: entry.at,
        before_stale: None,
        cause: None,
        last_seen: At::ZERO,
        outages: Arc::default(),
        breaker: Breaker::default(),
        service: None,
        shift: None,
        violations: 0,
        deviations: Arc::default(),
        sanitised: 0,
        counts: Counts::default(),
    });
    state.agent_ids.insert(id, key);
    state.next_order = state.next_order.max(order.saturating_add(1));
    state.changes.push(Changed::Agent(key));
}

/// Changes the row of an agent and its membership among replicas.
fn edit(state: &mut State, id: AgentId, seq: u64, change: impl FnOnce(&mut Agent)) {
    let Some(key) = state.agent_key(id) else { return };
    let Some(agent) = state.agents.get_mut(key) else { return };
    let (before, sources) = (ReplicaMembership::of(agent), agent.sources.clone());
    agent.seq = seq;
    change(agent);
    let (after, sources_now) = (ReplicaMembership::of(agent), agent.sources.clone());
    state.replicas.moved(key, &before, &after);
    state.name_by(key, &sources, &sources_now);
    state.place_departed(key);
    state.changes.push(Changed::Agent(key));
}
