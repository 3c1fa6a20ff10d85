//! The health of agents: probes, the evidence of every call, and the consequences of a change.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::{Health, Source, card_diff};
use crate::domain::call::{Answer, Outcome, Probed, StreamOutcome};
use crate::domain::cause::{Cause, ErrorName, Failure, Limit};
use crate::domain::decide::breaker;
use crate::domain::decide::dispatch;
use crate::domain::decide::fleet;
use crate::domain::decide::fleet::CardFrom;
use crate::domain::decide::listing;
use crate::domain::decide::live::{AgentLive, Pending, PendingCall, Timer};
use crate::domain::decide::sources;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::watch;
use crate::domain::effect::Order;
use crate::domain::fact::AgentFact;
use crate::domain::id::{AgentKey, AttemptKey};
use crate::domain::job::task::TaskState;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// An agent is down after this many refused or reset probes in a row; and the waits between them.
const STRIKES: u8 = 3;
const STRIKE_WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// An agent that does not answer a probe within this time is silent. It is longer than five seconds, so that an agent
/// whose calls all take that long counts as slow instead.
const PROBE: Duration = Duration::from_secs(6);
/// An agent that is known to be slow is given more time.
const SLOW_PROBE: Duration = Duration::from_secs(15);
/// How long a probe may take on a busy machine. The documented bound on detecting silence includes it.
const PROBE_TAKES: Duration = Duration::from_millis(6500);
/// The shortest interval between probes that a source can ask for.
const SOURCE_INTERVAL: Duration = Duration::from_secs(5);
/// A silent agent is reported as frozen at most this long after 1.2 of its intervals (docs/health.md).
const SILENCE: Duration = Duration::from_secs(5);
/// How many ended tasks are evaluated after a start, to learn how well each agent did before.
const REMEMBERED: usize = 50_000;

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
    let limit = if live.evidence.slow.is_some() { SLOW_PROBE } else { PROBE };
    turn.clear_timer(Timer::Probe(key));
    let call = turn.call(key, PendingCall::Probe, Order::Probe { url, etag, limit });
    turn.agent_live(key).probe = Some(call);
}

fn probe_in(turn: &mut Turn, key: AgentKey, wait: Duration) {
    let at = turn.at + wait;
    turn.set_timer(Timer::Probe(key), at);
}

/// Handles the result of a probe.
pub(super) fn probed(turn: &mut Turn, key: AgentKey, answer: Answer<Probed>) {
    turn.agent_live(key).probe = None;
    if turn.state().agent(key).is_none_or(|agent| !agent.listed) {
        return;
    }
    let interval = interval(turn, key);
    let wait = spaced(turn, key, interval);
    probe_in(turn, key, wait);
    match answer {
        Ok(answered) => {
            let Probed { card, server } = answered.value;
            let live = it_answers(turn, key);
            live.is_express |= server.express;
            let until = server.certificate_until;
            if turn.state().agent(key).is_some_and(|agent| agent.certificate_until != until) {
                turn.agent_fact(key, AgentFact::CertificateSeen { until });
            }
            if server.software.is_some()
                && turn.state().agent(key).is_some_and(|agent| agent.server != server.software)
            {
                turn.agent_fact(key, AgentFact::ServerSeen { server: server.software });
            }
            if let Some(fetched) = card {
                if !fleet::has_room_for_card(turn, key, &fetched.card) {
                    return probe_failed(turn, key, Cause::Limit(Limit::LargeCards));
                }
                let live = turn.agent_live(key);
                live.etag.clone_from(&fetched.etag);
                fleet::take_card(turn, key, fetched.card, &fetched.url, CardFrom::Agent);
            }
            on_first_answer(turn, key);
        }
        Err(Failure { cause: Cause::Status { status: 404, .. }, .. })
            if sources::has_reported_card(turn, key) =>
        {
            // It has never served a card, but a source reports one.
            it_answers(turn, key);
            sources::take_reported_card(turn, key);
            on_first_answer(turn, key);
        }
        Err(Failure { cause, .. }) => probe_failed(turn, key, cause),
    }
}

/// The agent gave a usable answer to a probe.
fn it_answers<'t>(turn: &'t mut Turn, key: AgentKey) -> &'t mut AgentLive {
    let at = turn.at;
    let live = turn.agent_live(key);
    live.failed_probes = 0;
    live.reached = true;
    live.last_activity = at;
    live.card_fault = None;
    live
}

fn probe_failed(turn: &mut Turn, key: AgentKey, cause: Cause) {
    let cause = Arc::new(cause);
    match &*cause {
        Cause::Refused | Cause::Reset | Cause::Dns(_) | Cause::Unreachable(_) => {
            let live = turn.agent_live(key);
            live.failed_probes = live.failed_probes.saturating_add(1);
            let strikes = live.failed_probes;
            if strikes < STRIKES && turn.health(key) != Health::Down {
                if turn.health(key) == Health::Unknown {
                    // An operator who has just entered this URL sees the cause at once.
                    dispatch::give_up(turn, key, &cause);
                }
                return probe_in(turn, key, STRIKE_WAITS[usize::from(strikes - 1)]);
            }
            go_down(turn, key, cause);
        }
        Cause::Login { .. } | Cause::Credential(_) => {
            turn.agent_live(key).failed_probes = 0;
            change(turn, key, Health::LoginNeeded, Some(cause));
            dispatch::give_up_planned(turn, key);
        }
        cause_ref if cause_ref.is_answer() || matches!(cause_ref, Cause::Blocked(_)) => {
            // It answers, so it is not down; whether we can work with it depends on an earlier card.
            let had_card = turn.state().agent(key).is_some_and(|agent| agent.interface.is_some());
            let live = turn.agent_live(key);
            live.failed_probes = 0;
            live.reached = true;
            live.card_fault = Some(cause.clone());
            if had_card {
                on_answering(turn, key);
            } else {
                change(turn, key, Health::NotSpoken, Some(cause));
                dispatch::give_up_planned(turn, key);
            }
        }
        Cause::Stopping => {}
        Cause::TimedOut(_) if turn.live.busy && turn.health(key) != Health::Down => {
            // It may have answered, and this machine was too busy to notice.
            probe_in(turn, key, STRIKE_WAITS[0]);
        }
        // Silence and broken TLS do not go away within seconds.
        _ => go_down(turn, key, cause),
    }
}

fn go_down(turn: &mut Turn, key: AgentKey, cause: Arc<Cause>) {
    let was = turn.health(key);
    let seen = turn.agent_live(key).last_activity;
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

/// The interval between probes of an agent: its own, or that of the fleet.
fn interval(turn: &Turn, key: AgentKey) -> Duration {
    let Some(agent) = turn.state().agent(key) else { return turn.rules.probe_interval };
    match agent.spec.probe_interval {
        Some(own) if agent.spec.source == Source::Discovery => source_interval(turn, own),
        Some(own) => own,
        None => turn.rules.probe_interval,
    }
}

/// The interval that a source asks for, but not shorter than [`SOURCE_INTERVAL`] or the interval of the fleet,
/// whichever is shorter: a registration must not make this console flood a host.
pub(super) fn source_interval(turn: &Turn, asked: Duration) -> Duration {
    asked.max(SOURCE_INTERVAL.min(turn.rules.probe_interval))
}

/// The time until the next probe: the interval, plus or minus a fifth, but short enough that a probe that is never
/// answered still ends within the documented time for detecting silence.
fn spaced(turn: &mut Turn, key: AgentKey, interval: Duration) -> Duration {
    let promised = (interval * 6 / 5 + SILENCE).saturating_sub(PROBE_TAKES);
    turn.jittered(key, interval).min(promised.max(interval / 4))
}

/// Checks whether the interface answers, unless a check is under way.
pub(super) fn check(turn: &mut Turn, key: AgentKey) {
    let Some(agent) = turn.state().agent(key).filter(|agent| agent.listed) else { return };
    let Some(interface) = agent.interface.clone() else { return };
    turn.clear_timer(Timer::Check(key));
    if turn.agent_live(key).check.is_some() {
        return;
    }
    let call = turn.call(key, PendingCall::Check, Order::Check { interface });
    turn.agent_live(key).check = Some(call);
}

/// The card was served: the interface is checked too, unless it has recently answered another call.
fn check_with_probe(turn: &mut Turn, key: AgentKey) {
    let half = interval(turn, key) / 2;
    let at = turn.at;
    let live = turn.agent_live(key);
    let asked = live.listing.call.is_some();
    if live.interface_fault.is_some() || (at.since(live.answered) > half && !asked) {
        check(turn, key);
    }
}

/// Handles the result of a check of the interface.
pub(super) fn checked(turn: &mut Turn, key: AgentKey, answer: Answer<()>) {
    turn.agent_live(key).check = None;
    if turn.state().agent(key).is_none_or(|agent| !agent.listed) {
        return;
    }
    let cause = answer.err().map(|failure| failure.cause);
    let awaited = std::mem::take(&mut turn.agent_live(key).up_after_check);
    let Some(cause) = cause.filter(|cause| cause.is_transport() || is_no_a2a(turn, key, cause)) else {
        return interface_answered(turn, key, awaited);
    };
    let live = turn.agent_live(key);
    if live.failed_probes > 0
        || live.interface_fault.is_some()
        || (turn.health(key) == Health::Down && !awaited)
    {
        // The card is not served either, or the fault is already known.
        return;
    }
    let live = turn.agent_live(key);
    live.failed_checks = live.failed_checks.saturating_add(1);
    let strikes = live.failed_checks;
    let enough = match cause {
        Cause::Refused | Cause::Reset | Cause::Dns(_) | Cause::Unreachable(_) => STRIKES,
        // A single lost answer proves nothing if the card is still served.
        Cause::TimedOut(_) | Cause::Status { .. } | Cause::Malformed(_) => STRIKES - 1,
        _ => 1,
    };
    if strikes < enough {
        turn.agent_live(key).up_after_check = awaited;
        let due = turn.at + STRIKE_WAITS[usize::from(strikes - 1)];
        return turn.set_timer(Timer::Check(key), due);
    }
    if !cause.is_transport() {
        return speaks_no_a2a(turn, key, &cause);
    }
    let cause = Arc::new(Cause::Interface(Box::new(cause)));
    turn.agent_live(key).interface_fault = Some(cause.clone());
    go_down(turn, key, cause);
}

/// True if the answer to a check is not A2A. An agent that has answered in A2A before may have its own way of answering
/// a request for an unknown task; a web page is no such answer.
fn is_no_a2a(turn: &mut Turn, key: AgentKey, cause: &Cause) -> bool {
    match cause {
        Cause::Status { status: 408 | 425 | 429, .. } => false,
        Cause::Status { status: 400..500, .. } | Cause::Malformed(_) => {
            cause.is_web_page() || !turn.agent_live(key).proven
        }
        _ => false,
    }
}

/// The card is served, but what answers at the interface in the card does not speak A2A.
fn speaks_no_a2a(turn: &mut Turn, key: AgentKey, cause: &Cause) {
    let interface = turn.state().agent(key).and_then(|agent| agent.interface.clone());
    let url = interface.map_or_else(|| Untrusted::from(""), |interface| interface.url.clone());
    let cause = Arc::new(cause.without_a2a(url.raw()));
    let live = turn.agent_live(key);
    live.interface_fault = Some(cause.clone());
    live.reached = false;
    let since = if live.last_activity == At::ZERO { turn.at } else { turn.agent_live(key).last_activity };
    change(turn, key, Health::NotSpoken, Some(cause.clone()));
    dispatch::give_up_planned(turn, key);
    watch::lose_sight(turn, key, since, Some(cause));
}

fn interface_answered(turn: &mut Turn, key: AgentKey, awaited: bool) {
    let live = turn.agent_live(key);
    live.failed_checks = 0;
    if live.interface_fault.take().is_some() || awaited {
        live.reached = true;
        on_answering(turn, key);
    }
}

/// The card was served. An agent that was not up before is up only once its interface has answered too.
fn on_first_answer(turn: &mut Turn, key: AgentKey) {
    let known = turn.health(key).takes_work() || turn.health(key) == Health::LoginNeeded;
    let speaks = turn.state().agent(key).is_some_and(|agent| agent.interface.is_some());
    if known || !speaks {
        return on_answering(turn, key);
    }
    turn.agent_live(key).up_after_check = true;
    check(turn, key);
}

/// Judges an agent that answers, and starts what has been waiting for it.
fn on_answering(turn: &mut Turn, key: AgentKey) {
    let was = turn.health(key);
    if turn.agent_live(key).interface_fault.is_some() {
        turn.agent_live(key).reached = false;
        return check_with_probe(turn, key);
    }
    let Some(agent) = turn.state().agent(key) else { return };
    if agent.interface.is_none() {
        let offers = agent.card.as_ref().map(|card| card.offers_in_words());
        let cause = Cause::NotSpoken(offers.unwrap_or_else(|| Untrusted::from("no card")));
        change(turn, key, Health::NotSpoken, Some(Arc::new(cause)));
        return dispatch::give_up_planned(turn, key);
    }
    judge(turn, key);
    // An agent that has required a login from the start is watched from its first answer on.
    let watched = turn.agent_live(key).watched;
    if !watched || !matches!(was, Health::Up | Health::Degraded | Health::LoginNeeded) {
        watch::regain_sight(turn, key);
    }
    dispatch::send_planned(turn, key);
    listing::with_probe(turn, key);
    check_with_probe(turn, key);
}

/// Decides from the evidence so far whether an agent is up, degraded or requires a login.
fn judge(turn: &mut Turn, key: AgentKey) {
    let at = turn.at;
    turn.touched.agents.push(key);
    let rules = turn.rules.problems.clone();
    let was_down = turn.health(key) == Health::Down;
    let live = turn.agent_live(key);
    if was_down {
        live.evidence.end_outage();
    }
    // The agent is judged again when the probe that is under way has answered.
    let suspected = live.probe.is_some() || live.failed_probes > 0 || live.failed_checks > 0;
    let degraded = live.evidence.judge(at, &rules, suspected);
    let (health, cause) = if let Some(login) = &live.login {
        (Health::LoginNeeded, Some(login.clone()))
    } else if let Some(cause) = degraded {
        (Health::Degraded, Some(cause))
    } else if let Some(fault) = &live.card_fault {
        (Health::Degraded, Some(Arc::new(Cause::StaleCard(Box::new((**fault).clone())))))
    } else {
        (Health::Up, None)
    };
    // The figures of a slow agent change with every call; only a change of the kind of cause is recorded.
    let same_kind = |a: &Option<Arc<Cause>>, b: &Option<Arc<Cause>>| match (a.as_deref(), b.as_deref()) {
        (Some(a), Some(b)) => std::mem::discriminant(a) == std::mem::discriminant(b),
        (a, b) => a.is_none() && b.is_none(),
    };
    let known = turn.state().agent(key).map(|agent| (agent.health, agent.cause.clone()));
    if known.is_none_or(|(h, c)| h != health || !same_kind(&c, &cause)) {
        change(turn, key, health, cause);
    }
}

fn change(turn: &mut Turn, key: AgentKey, health: Health, cause: Option<Arc<Cause>>) {
    let Some(agent) = turn.state().agent(key) else { return };
    if agent.health == health && agent.cause == cause {
        return;
    }
    let (was, at) = (agent.health, turn.at);
    let seen = turn.agent_live(key).last_activity;
    if (was == Health::Down) != (health == Health::Down) && was != Health::Unknown && was != Health::Stale {
        turn.agent_live(key).evidence.flip(at);
    }
    let last_seen = if seen == At::ZERO {
        turn.state().agent(key).map_or(At::ZERO, |agent| agent.last_seen)
    } else {
        seen
    };
    turn.agent_fact(key, AgentFact::HealthChanged { health, cause, last_seen });
}

/// Takes the evidence that a call provides, in addition to the probes.
pub(super) fn note_call(turn: &mut Turn, pending: &Pending, outcome: &Outcome) {
    let key = pending.agent;
    let at = turn.at;
    let is_probe = matches!(pending.call, PendingCall::Probe);
    if matches!(outcome, Outcome::Violation(..)) {
        turn.agent_live(key).last_activity = at;
        return;
    }
    match outcome.stream() {
        Some(StreamOutcome::Events(_)) => {
            turn.agent_live(key).last_activity = at;
            return;
        }
        Some(StreamOutcome::Opened { server, .. }) => turn.agent_live(key).is_express |= server.express,
        Some(StreamOutcome::Ended(_)) | None => {}
    }
    let took = outcome.took();
    // While this machine is too busy, durations say nothing about an agent.
    let busy = turn.live.busy;
    // How long a send takes depends on the work, not on the connection.
    let is_quick = matches!(
        pending.call,
        PendingCall::Probe | PendingCall::Check | PendingCall::Get(..) | PendingCall::List(..)
    );
    if let Some(took) = took {
        let live = turn.agent_live(key);
        live.last_activity = at;
        if is_quick && !busy {
            live.evidence.quick(at, took);
        }
        if !is_probe {
            live.answered = at;
        }
        note_outcome(turn, key, true);
        if !is_probe {
            served(turn, pending, None);
            let live = turn.agent_live(key);
            live.proven = true;
            let had_login = live.login.take().is_some();
            if had_login {
                judge(turn, key);
            }
        }
    }
    let Some(cause) = outcome.cause() else { return };
    if is_probe {
        return;
    }
    if cause.is_answer() {
        let live = turn.agent_live(key);
        live.answered = at;
        if is_quick && !busy {
            live.evidence.quick(at, at.since(pending.issued));
        }
    }
    note_failure(turn, pending, cause);
}

/// Evaluates the cause of a failed call.
fn note_failure(turn: &mut Turn, pending: &Pending, cause: &Cause) {
    let (key, at) = (pending.agent, turn.at);
    match cause {
        Cause::Refused
        | Cause::Reset
        | Cause::TimedOut(_)
        | Cause::Dns(_)
        | Cause::Unreachable(_)
        | Cause::Tls(_) => {
            // A failed connection is only a suspicion; a probe and a check of the interface decide. Once one of them has
            // failed, the next is due after a pause: many calls that fail at once are one sign, not many.
            if turn.health(key) != Health::Down {
                let live = turn.agent_live(key);
                let (card, interface) = (live.failed_probes == 0, live.failed_checks == 0);
                if card {
                    probe(turn, key);
                }
                if interface && !matches!(pending.call, PendingCall::Check) {
                    check(turn, key);
                }
            }
            note_outcome(turn, key, false);
        }
        Cause::Login { .. } => {
            turn.agent_live(key).last_activity = at;
            turn.agent_live(key).login = Some(Arc::new(cause.clone()));
            if turn.health(key).takes_work() || turn.health(key) == Health::LoginNeeded {
                judge(turn, key);
            }
        }
        Cause::Status { status, .. } => {
            turn.agent_live(key).last_activity = at;
            let failed = *status >= 500 || cause.is_web_page();
            note_outcome(turn, key, !failed);
            served(turn, pending, Some(cause).filter(|_| failed));
        }
        Cause::Rpc(error) => {
            let live = turn.agent_live(key);
            live.last_activity = at;
            if !matches!(error.name, ErrorName::VersionNotSupported | ErrorName::MethodNotFound) {
                live.proven = true;
            }
            // An answer in A2A shows that the login was accepted.
            let had_login = live.login.take().is_some();
            note_outcome(turn, key, error.name != ErrorName::Internal);
            if had_login {
                judge(turn, key);
            }
            served(turn, pending, Some(cause).filter(|_| error.name == ErrorName::Internal));
        }
        Cause::Malformed(_) | Cause::Limit(_) | Cause::NoA2a(_) => {
            turn.agent_live(key).last_activity = at;
            note_outcome(turn, key, false);
            served(turn, pending, Some(cause));
        }
        _ => {}
    }
}

/// A call reached the interface: this is evidence for its breaker, and may end a trial.
fn served(turn: &mut Turn, pending: &Pending, failed: Option<&Cause>) {
    let (key, at) = (pending.agent, turn.at);
    turn.agent_live(key).evidence.served(at, failed.is_none());
    if let PendingCall::Send(send) = &pending.call {
        breaker::call_ended(turn, key, send.attempt, failed);
    }
    breaker::look(turn, key);
}

fn note_outcome(turn: &mut Turn, key: AgentKey, ok: bool) {
    let at = turn.at;
    turn.agent_live(key).evidence.call(at, ok);
    if turn.health(key).takes_work() {
        judge(turn, key);
    }
}

/// A task of an agent ended while it was watched, or the agent answered with a message.
pub(super) fn task_ended(
    turn: &mut Turn,
    key: AgentKey,
    attempt: AttemptKey,
    failed: bool,
    text: Option<Untrusted>,
) {
    let at = turn.at;
    let row = turn.state().attempt(attempt);
    let skill = row.and_then(|row| turn.state().job_of(row)).and_then(|job| job.skill.clone());
    let began = row.map_or(at, |row| row.created);
    turn.agent_live(key).evidence.task(began, at, failed, skill, text);
    breaker::task_ended(turn, key, attempt, failed);
    breaker::look(turn, key);
    if turn.health(key).takes_work() {
        judge(turn, key);
    }
}

/// The agent has another version: what the one before failed is no longer held against it.
pub(super) fn version_changed(turn: &mut Turn, key: AgentKey) {
    let at = turn.at;
    turn.agent_live(key).evidence.version_changed(at);
    breaker::judged_anew(turn, key);
    if turn.health(key).takes_work() {
        judge(turn, key);
    }
}

/// Compares an agent's clock with ours, by its time of something that happened just now.
pub(super) fn clock_seen(turn: &mut Turn, key: AgentKey, reported: crate::domain::time::PeerTime) {
    let ahead = (reported.micros() - turn.at.micros()) / 1000;
    turn.agent_live(key).evidence.clock(ahead);
}

/// After a start, takes the ends of the agents' last tasks as evidence.
pub(super) fn remember_tasks(turn: &mut Turn) {
    let mut ended = Vec::new();
    for (_, attempt) in turn.state().attempts().iter().rev().take(REMEMBERED) {
        let Some(task) = &attempt.task else { continue };
        // A task that had already ended when it was found says nothing about the time since.
        let counts = matches!(task.state, TaskState::Completed | TaskState::Failed);
        if counts && task.state_since > attempt.created {
            let failed = task.state == TaskState::Failed;
            let skill = turn.state().job_of(attempt).and_then(|job| job.skill.clone());
            ended.push((task.state_since, attempt.agent, attempt.created, failed, skill, task.note.clone()));
        }
    }
    ended.sort_by_key(|(at, agent, ..)| (*at, *agent));
    let changes = turn.state().agents().iter().filter_map(|(key, agent)| {
        let (at, words) = agent.card_change.as_ref()?;
        card_diff::fields(&words.line()).contains(&"version").then_some((key, *at))
    });
    for (key, at) in changes.collect::<Vec<_>>() {
        turn.agent_live(key).evidence.version_changed(at);
    }
    for (at, agent, began, failed, skill, text) in ended {
        turn.agent_live(agent).evidence.task(began, at, failed, skill, text);
    }
}
