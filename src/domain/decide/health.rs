//! How agents are: probes, the evidence of every call, and what a change of health sets off.

use std::sync::Arc;
use std::time::Duration;

use super::super::agent::Health;
use super::super::cause::{Cause, ErrorName, Failure};
use super::super::core::{Pending, PendingWhat, Timer, Turn};
use super::super::effect::Order;
use super::super::fact::What;
use super::super::id::AgentKey;
use super::super::input::Outcome;
use super::super::text::Untrusted;
use super::super::time::At;
use super::{adopt, dispatch, fleet, watch};

/// Refused or reset probes in a row until an agent is down, and the waits between them.
const STRIKES: u8 = 3;
const STRIKE_WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// Calls that are looked at, and the failures among them that make an agent degraded (over 10 %).
const CALLS: usize = 20;
const FAILURES: usize = 3;
/// Evidence older than this says nothing about now.
const EVIDENCE: Duration = Duration::from_secs(600);
/// Until there is a usual time, slower than this is slow.
const SLOW: Duration = Duration::from_secs(2);
/// Calls kept for the usual time of the last hour.
const LATENCIES: usize = 256;

/// Probes an agent now, unless a probe is under way.
pub(super) fn probe(turn: &mut Turn, key: AgentKey) {
    let Some(agent) = turn.state().agent(key) else { return };
    if !agent.listed {
        return turn.clear_timer(Timer::Probe(key));
    }
    let url = agent.spec.url.clone();
    let has_card = agent.card.is_some();
    let live = turn.agent_live(key);
    if live.probe.is_some() {
        return;
    }
    let etag = live.etag.clone().filter(|_| has_card);
    turn.clear_timer(Timer::Probe(key));
    let call = turn.call(key, PendingWhat::Probe, Order::Probe { url, etag });
    turn.agent_live(key).probe = Some(call);
}

fn probe_in(turn: &mut Turn, key: AgentKey, wait: Duration) {
    let at = turn.at + wait;
    turn.set_timer(Timer::Probe(key), at);
}

/// What came of a probe.
pub(super) fn probed(turn: &mut Turn, key: AgentKey, outcome: Outcome) {
    turn.agent_live(key).probe = None;
    let own = turn.state().agent(key).and_then(|agent| agent.spec.probe_interval);
    let wait = own.unwrap_or(turn.core.rules.probe_interval);
    let wait = turn.jittered(wait);
    probe_in(turn, key, wait);
    match outcome {
        Outcome::Probed { card, took: _, server } => {
            let at = turn.at;
            let live = turn.agent_live(key);
            live.strikes = 0;
            live.reached = true;
            live.last_sign = at;
            live.express |= server.express;
            live.card_fault = None;
            if let Some(fetched) = card {
                live.own_card = true;
                live.etag.clone_from(&fetched.etag);
                fleet::take_card(turn, key, fetched.card, &fetched.url);
            }
            settle(turn, key);
        }
        Outcome::Failed(Failure { cause: Cause::Status { status: 404, .. }, .. })
            if turn.agent_live(key).told.is_some() =>
        {
            // It has no card of its own, and a source tells one.
            let at = turn.at;
            let live = turn.agent_live(key);
            live.strikes = 0;
            live.reached = true;
            live.last_sign = at;
            live.card_fault = None;
            live.own_card = false;
            if let Some(card) = live.told.clone()
                && let Some(url) = turn.state().agent(key).map(|agent| agent.spec.url.clone())
            {
                fleet::take_card(turn, key, card, &url);
            }
            settle(turn, key);
        }
        Outcome::Failed(Failure { cause, .. }) => probe_failed(turn, key, cause),
        _ => {}
    }
}

fn probe_failed(turn: &mut Turn, key: AgentKey, cause: Cause) {
    let cause = Arc::new(cause);
    match &*cause {
        Cause::Refused | Cause::Reset | Cause::Dns(_) | Cause::Unreachable(_) => {
            let live = turn.agent_live(key);
            live.strikes = live.strikes.saturating_add(1);
            let strikes = live.strikes;
            if strikes < STRIKES && turn.health(key) != Health::Down {
                if turn.health(key) == Health::Unknown {
                    // Somebody who just typed this URL is told at once.
                    dispatch::give_up(turn, key, &cause);
                }
                return probe_in(turn, key, STRIKE_WAITS[usize::from(strikes - 1)]);
            }
            go_down(turn, key, cause);
        }
        Cause::Login { .. } | Cause::Credential(_) => {
            turn.agent_live(key).strikes = 0;
            change(turn, key, Health::LoginNeeded, Some(cause));
            dispatch::give_up_planned(turn, key);
        }
        cause_ref if cause_ref.is_answer() || matches!(cause_ref, Cause::Blocked(_)) => {
            // It answers, so it is not down; whether we can work with it depends on an earlier card.
            let had_card = turn.state().agent(key).is_some_and(|agent| agent.interface.is_some());
            let live = turn.agent_live(key);
            live.strikes = 0;
            live.reached = true;
            live.card_fault = Some(cause.clone());
            if had_card {
                settle(turn, key);
            } else {
                change(turn, key, Health::NotSpoken, Some(cause));
                dispatch::give_up_planned(turn, key);
            }
        }
        Cause::Stopping => {}
        // Silence and broken TLS do not mend within seconds.
        _ => go_down(turn, key, cause),
    }
}

fn go_down(turn: &mut Turn, key: AgentKey, cause: Arc<Cause>) {
    let was = turn.health(key);
    let seen = turn.agent_live(key).last_sign;
    let live = turn.agent_live(key);
    live.reached = false;
    live.etag = None;
    change(turn, key, Health::Down, Some(cause.clone()));
    dispatch::give_up_planned(turn, key);
    if was != Health::Down {
        let since = if seen == At::ZERO { turn.at } else { seen };
        watch::lose_sight(turn, key, since, Some(cause));
    }
}

/// Judges an agent that answers, and does what waited for it.
fn settle(turn: &mut Turn, key: AgentKey) {
    let was = turn.health(key);
    let Some(agent) = turn.state().agent(key) else { return };
    if agent.interface.is_none() {
        let offers = agent.card.as_ref().map(|card| card.offers_in_words());
        let cause = Cause::NotSpoken(offers.unwrap_or_else(|| Untrusted::from("no card")));
        change(turn, key, Health::NotSpoken, Some(Arc::new(cause)));
        return dispatch::give_up_planned(turn, key);
    }
    judge(turn, key);
    if !matches!(was, Health::Up | Health::Degraded | Health::LoginNeeded) {
        watch::regain_sight(turn, key);
    }
    dispatch::send_planned(turn, key);
    adopt::with_probe(turn, key);
}

/// Up, degraded or wanting a login, by the evidence so far.
fn judge(turn: &mut Turn, key: AgentKey) {
    let at = turn.at;
    let live = turn.agent_live(key);
    let (health, cause) = if let Some(login) = &live.login {
        (Health::LoginNeeded, Some(login.clone()))
    } else if let Some(fault) = &live.card_fault {
        (Health::Degraded, Some(Arc::new(Cause::StaleCard(Box::new((**fault).clone())))))
    } else if let Some(cause) = failing(live, at).or_else(|| slow(live, at)) {
        (Health::Degraded, Some(Arc::new(cause)))
    } else {
        (Health::Up, None)
    };
    // The figures of a slow agent change with every call; only the word is news.
    let same_kind = |a: &Option<Arc<Cause>>, b: &Option<Arc<Cause>>| match (a.as_deref(), b.as_deref()) {
        (Some(a), Some(b)) => std::mem::discriminant(a) == std::mem::discriminant(b),
        (a, b) => a.is_none() && b.is_none(),
    };
    let known = turn.state().agent(key).map(|agent| (agent.health, agent.cause.clone()));
    if known.is_none_or(|(h, c)| h != health || !same_kind(&c, &cause)) {
        change(turn, key, health, cause);
    }
}

fn failing(live: &super::super::core::AgentLive, at: At) -> Option<Cause> {
    let failed = live.outcomes.iter().filter(|(when, ok)| !ok && at.since(*when) < EVIDENCE).count();
    (failed >= FAILURES).then(|| Cause::Failing(u32::try_from(failed).unwrap_or(u32::MAX)))
}

fn slow(live: &super::super::core::AgentLive, at: At) -> Option<Cause> {
    let recent = live.latencies.iter().rev().take(CALLS).filter(|(when, _)| at.since(*when) < EVIDENCE);
    let mut recent: Vec<_> = recent.map(|(_, took)| *took).collect();
    if recent.len() < 5 {
        return None;
    }
    recent.sort_unstable();
    let p95 = recent[(recent.len() * 95).div_ceil(100) - 1];
    let mut hour: Vec<_> = live
        .latencies
        .iter()
        .filter(|(when, _)| at.since(*when) < Duration::from_secs(3600))
        .map(|(_, took)| *took)
        .collect();
    let long_enough =
        live.latencies.front().is_some_and(|(when, _)| at.since(*when) >= Duration::from_secs(600));
    let limit = if long_enough && hour.len() >= CALLS {
        hour.sort_unstable();
        // Three times almost nothing is still almost nothing.
        (hour[hour.len() / 2] * 3).max(Duration::from_millis(250))
    } else {
        SLOW
    };
    (p95 > limit).then_some(Cause::Slow { p95, limit })
}

fn change(turn: &mut Turn, key: AgentKey, health: Health, cause: Option<Arc<Cause>>) {
    let Some(agent) = turn.state().agent(key) else { return };
    if agent.health == health && agent.cause == cause {
        return;
    }
    let seen = turn.agent_live(key).last_sign;
    let last_seen = if seen == At::ZERO {
        turn.state().agent(key).map_or(At::ZERO, |agent| agent.last_seen)
    } else {
        seen
    };
    turn.agent_fact(key, What::HealthChanged { health, cause, last_seen });
}

/// Takes the evidence of a call: passive, beside the probes.
pub(super) fn note_call(turn: &mut Turn, pending: &Pending, outcome: &Outcome) {
    let key = pending.agent;
    let at = turn.at;
    let is_probe = matches!(pending.what, PendingWhat::Probe);
    let took = match outcome {
        Outcome::Probed { took, .. }
        | Outcome::Opened { took, .. }
        | Outcome::Task(_, took)
        | Outcome::Message(_, took)
        | Outcome::Page { took, .. } => Some(*took),
        Outcome::Events(_) | Outcome::Unreadable(_) => {
            turn.agent_live(key).last_sign = at;
            return;
        }
        Outcome::Ended(_) | Outcome::Failed(_) => None,
    };
    if let Outcome::Opened { server, .. } = outcome {
        turn.agent_live(key).express |= server.express;
    }
    if let Some(took) = took {
        let live = turn.agent_live(key);
        live.last_sign = at;
        if live.latencies.len() == LATENCIES {
            live.latencies.pop_front();
        }
        live.latencies.push_back((at, took));
        note_outcome(turn, key, true);
        if !is_probe {
            let live = turn.agent_live(key);
            live.proven = true;
            let had_login = live.login.take().is_some();
            if had_login {
                judge(turn, key);
            }
        }
    }
    let cause = match outcome {
        Outcome::Ended(Err(cause)) => cause,
        Outcome::Failed(failure) => &failure.cause,
        _ => return,
    };
    if is_probe {
        return;
    }
    match cause {
        Cause::Refused
        | Cause::Reset
        | Cause::TimedOut(_)
        | Cause::Dns(_)
        | Cause::Unreachable(_)
        | Cause::Tls(_) => {
            note_outcome(turn, key, false);
            // A connection that fails under a call is a suspicion; the probe tells.
            if turn.health(key) != Health::Down {
                probe(turn, key);
            }
        }
        Cause::Login { .. } => {
            turn.agent_live(key).last_sign = at;
            turn.agent_live(key).login = Some(Arc::new(cause.clone()));
            if turn.health(key).takes_work() || turn.health(key) == Health::LoginNeeded {
                judge(turn, key);
            }
        }
        Cause::Status { status, .. } => {
            turn.agent_live(key).last_sign = at;
            note_outcome(turn, key, *status < 500);
        }
        Cause::Rpc(error) => {
            let live = turn.agent_live(key);
            live.last_sign = at;
            if !matches!(error.name, ErrorName::VersionNotSupported | ErrorName::MethodNotFound) {
                live.proven = true;
            }
            note_outcome(turn, key, error.name != ErrorName::Internal);
        }
        Cause::Malformed(_) | Cause::Limit(_) => {
            turn.agent_live(key).last_sign = at;
            note_outcome(turn, key, false);
        }
        _ => {}
    }
}

fn note_outcome(turn: &mut Turn, key: AgentKey, ok: bool) {
    let at = turn.at;
    let live = turn.agent_live(key);
    if live.outcomes.len() == CALLS {
        live.outcomes.pop_front();
    }
    live.outcomes.push_back((at, ok));
    if turn.health(key).takes_work() {
        judge(turn, key);
    }
}
