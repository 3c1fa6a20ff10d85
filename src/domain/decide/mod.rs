//! All policy: decides each input. One file per subject; the state is changed only by facts.

mod admission;
mod adopt;
mod answer;
mod audit;
mod breaker;
mod calls;
mod cancel;
mod cascade;
#[cfg(test)]
mod cascade_tests;
mod dispatch;
mod evidence;
mod fleet;
mod health;
mod lint;
mod listing;
mod listing_gaps;
pub(super) mod live;
mod retention;
mod retry;
mod routing;
#[cfg(test)]
pub(super) mod routing_tests;
mod service;
mod shift;
#[cfg(test)]
mod shift_tests;
mod sources;
mod streaming;
mod task_time;
mod timeout;
use lint::{groups, names};
mod baseline;
#[cfg(test)]
mod breaker_tests;
#[cfg(test)]
mod cancel_tests;
#[cfg(test)]
mod health_tests;
mod measure;
mod notifications;
mod observe;
mod order;
mod pace;
mod problems;
mod queue;
mod race;
#[cfg(test)]
mod race_tests;
mod reopen;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
pub(super) mod timers;
pub(super) mod turn;
pub(super) mod unattended;
mod undo;
#[cfg(test)]
mod unreachable_tests;
mod watch;
#[cfg(test)]
mod watch_tests;

use crate::domain::agent::Health;
use crate::domain::call::Outcome;
use crate::domain::cause::Cause;
use crate::domain::fact::{Act, AgentFact, AttemptFact, FleetFact};
use crate::domain::id::{CallId, TaskId};
use crate::domain::input::Input;
use crate::domain::intent::{Intent, Receipt, Refusal, Remedy};
use crate::domain::job::task::Verdict;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
pub(super) use routing::explain;

use live::{PendingCall, Timer};
use turn::Turn;

/// Longer names of people are cut.
const NAME_CHARS: usize = 64;

/// Decides one input.
pub(super) fn decide(turn: &mut Turn, input: Input) {
    match input {
        Input::Configured(specs) => fleet::configure(turn, specs),
        Input::Sources(specs) => sources::configure(turn, specs),
        Input::Discovered { source, news } => sources::on_report(turn, &source, news),
        Input::Intent { ticket, intent, by } => {
            let by = by.unwrap_or_default();
            turn.by = Some(audit::who(turn, &intent, &by));
            let begun = audit::begun(turn, &intent, &by);
            let result = audit::protected(turn, &intent, &by).and_then(|()| on_intent(turn, ticket, intent));
            audit::ended(turn, begun, &result);
            turn.reply(ticket, result);
        }
        Input::Outcome { call, outcome } => on_outcome(turn, call, outcome),
        Input::Withheld(call) => notifications::withheld(turn, call),
        Input::JournalFailed(why) => {
            turn.live.unsaved = Some(why);
            turn.touched.console = true;
        }
        Input::JournalRetried { from, facts } => turn.fleet_fact(FleetFact::JournalGap { from, facts }),
        Input::JournalRecovered => {
            turn.live.unsaved = None;
            turn.live.saved_since = Some(turn.at);
            let settled = turn.at + turn.rules.journal_settles;
            turn.set_timer(Timer::Journal, settled);
            turn.touched.console = true;
            notifications::order_due(turn);
            cascade::find_all(turn);
        }
        Input::ActUnsaved { ticket, why } => {
            let cause = std::sync::Arc::new(crate::domain::cause::Cause::Unsaved(why));
            undo::take_back(turn, ticket, &cause);
        }
        Input::Paused { from } => on_pause(turn, from),
        Input::Busy(busy) => turn.live.busy = busy,
        Input::Posted(post) => notifications::posted(turn, post),
        Input::StoreSize(bytes) => retention::on_store_size(turn, bytes),
        Input::MessageLoaded { job, carry, message } => {
            reopen::loaded(turn, job, carry.as_deref(), message);
        }
        Input::Routes(routes) => routing::load(turn, routes),
        Input::Deadline => on_deadline(turn),
    }
    // What follows may end or begin attempts, which are then looked at too.
    let mut next = 0;
    while next < turn.touched.attempts.len() {
        retry::look(turn, turn.touched.attempts[next]);
        cascade::look(turn, turn.touched.attempts[next]);
        next += 1;
        if next == turn.touched.attempts.len() {
            queue::run(turn);
        }
    }
    queue::run(turn);
    turn.touched.sort();
    for at in 0..turn.touched.attempts.len() {
        watch::forget_settled(turn, turn.touched.attempts[at]);
    }
    for at in 0..turn.touched.agents.len() {
        measure::live(turn, turn.touched.agents[at]);
        service::look(turn, turn.touched.agents[at]);
        shift::look(turn, turn.touched.agents[at]);
    }
    lint::run(turn);
}

/// Derives the work to resume after a start.
pub(super) fn resume(turn: &mut Turn, watched_until: Option<At>) {
    if let Some(from) = watched_until {
        turn.fleet_fact(FleetFact::WatchPaused { from });
    }
    turn.fleet_fact(FleetFact::WatchStarted);
    routing::record_rules(turn);
    let since = watched_until.unwrap_or(turn.at);
    let agents: Vec<_> = turn.state().agents().iter().map(|(key, _)| key).collect();
    for key in agents {
        fleet::name_base(turn, key);
        let health = turn.health(key);
        if matches!(health, Health::Up | Health::Degraded) {
            turn.agent_fact(
                key,
                AgentFact::HealthChanged { health: Health::Stale, cause: None, last_seen: since },
            );
        }
        watch::lose_sight(turn, key, since, None);
        answer::doubt_all(turn, key);
    }
    health::remember_tasks(turn);
    notifications::resume(turn);
    lint::resume(turn);
    problems::resume(turn);
    breaker::resume(turn);
    queue::resume(turn);
    timeout::resume(turn);
    race::resume(turn);
    cascade::resume(turn);
    service::resume(turn);
    shift::resume(turn);
    turn.set_timer(Timer::Retention, turn.at);
    retention::schedule(turn);
    turn.touched.console = true;
    turn.touched.sort();
    lint::run(turn);
}

/// Nothing was watched: the state is stale until it is read again.
fn on_pause(turn: &mut Turn, from: At) {
    turn.fleet_fact(FleetFact::WatchPaused { from });
    let agents: Vec<_> =
        turn.state().agents().iter().filter(|(_, agent)| agent.listed).map(|(key, _)| key).collect();
    for key in agents {
        if matches!(turn.health(key), Health::Up | Health::Degraded) {
            turn.agent_fact(
                key,
                AgentFact::HealthChanged { health: Health::Stale, cause: None, last_seen: from },
            );
        }
        watch::lose_sight(turn, key, from, None);
        health::probe(turn, key);
    }
}

/// A name as stored: printable, on one line, and cut to the maximum length. Any client of the socket may give any name;
/// it is not authenticated.
fn person(name: Untrusted) -> Option<Untrusted> {
    let name = Untrusted::from(name.line().trim()).shortened(NAME_CHARS);
    (!name.is_empty()).then_some(name)
}

/// The operator as stored: the submitter, else the one named in the intent. A client of the socket has one name for all
/// of its intents.
fn named(turn: &Turn, by: Untrusted) -> Untrusted {
    turn.by.clone().or_else(|| person(by)).unwrap_or_else(|| turn.operator())
}

fn on_intent(turn: &mut Turn, ticket: u64, intent: Intent) -> Result<Receipt, Refusal> {
    if intent.acts()
        && let Some(why) = turn.live.unsaved.clone()
    {
        return Err(Refusal::Cause(Cause::Unsaved(why).into()));
    }
    let undo = undo::before(turn, &intent);
    // A job that was there before is not taken back if the journal fails now.
    let is_send = matches!(&intent, Intent::Send(send)
        if send.job.is_none_or(|job| dispatch::existing(turn, job).is_none()))
        || matches!(&intent, Intent::Retry { .. } | Intent::Requeue { .. });
    let about = match &intent {
        Intent::Answer { attempt, .. } => Some((*attempt, Act::Answer)),
        Intent::Cancel { attempt, .. } | Intent::CancelWithDelegated { attempt, .. } => {
            Some((*attempt, Act::Cancel))
        }
        Intent::Resend { attempt, .. } => Some((*attempt, Act::Resend)),
        Intent::PresumeLost { attempt, .. } => Some((*attempt, Act::PresumeLost)),
        Intent::Retry { attempt, .. } => Some((*attempt, Act::Retry)),
        Intent::Reroute { attempt, .. } => Some((*attempt, Act::Reroute)),
        Intent::Race { attempt, .. } => Some((*attempt, Act::Race)),
        _ => None,
    };
    let result = match intent {
        Intent::Send(send) => dispatch::send(turn, *send),
        Intent::Answer { attempt, parts, metadata } => answer::send(turn, attempt, parts, metadata),
        Intent::Cancel { attempt, why } => cancel::ask(turn, attempt, why),
        Intent::CancelWithDelegated { attempt, why } => cascade::cancel(turn, attempt, why),
        Intent::Resend { attempt, why } => dispatch::resend(turn, attempt, why),
        Intent::PresumeLost { attempt, why } => dispatch::presume_lost(turn, attempt, why),
        Intent::Retry { attempt, to, carry, why } => reopen::retry(turn, attempt, to, carry, why),
        Intent::Reroute { attempt, to, carry, why } => reopen::reroute(turn, attempt, to, carry, why),
        Intent::Race { attempt, to, why } => race::race(turn, attempt, to, why),
        Intent::Requeue { job, to, why } => reopen::requeue(turn, job, to, why),
        Intent::CheckAgent { agent } => match turn.state().agent_key(agent) {
            Some(key) => {
                health::probe(turn, key);
                Ok(Receipt::Done)
            }
            None => Err(unknown("agent")),
        },
        Intent::CheckTask { attempt } => watch::check(turn, attempt),
        Intent::AddAgents { specs } => Ok(Receipt::Agents(fleet::add(turn, specs))),
        Intent::AddAgent { url, by } => {
            let by = named(turn, by);
            fleet::add_agent(turn, &url, by)
        }
        Intent::RemoveAgent { agent, by, why: _ } => {
            let by = named(turn, by);
            fleet::remove_agent(turn, agent, by)
        }
        Intent::Breaker { agent, to, by, why } => {
            let by = named(turn, by);
            breaker::force(turn, agent, to, by, why)
        }
        Intent::Service { agent, to, why, by } => {
            let by = named(turn, by);
            service::change(turn, agent, to, why, by)
        }
        Intent::Shift { agent, change, why, by } => {
            let by = named(turn, by);
            shift::change(turn, agent, change, why, by)
        }
        Intent::OnProblem { number, act, by } => {
            let by = named(turn, by);
            problems::act(turn, number, act, by)
        }
        Intent::Note { problem, agent, attempt, by, text } => {
            let by = named(turn, by);
            problems::note(turn, problems::About { problem, agent, attempt }, by, text, false)
        }
        Intent::TakeBackNote { problem, agent, attempt, by, text } => {
            let by = named(turn, by);
            problems::note(turn, problems::About { problem, agent, attempt }, by, text, true)
        }
        Intent::Adopt { agent, task } => adopt::adopt_by_id(turn, agent, &task),
    };
    if let Some((attempt, act)) = about.filter(|_| result.is_ok())
        && let Some(key) = turn.state().attempt_key(attempt)
    {
        problems::acted(turn, key, act);
    }
    if let (Some(undo), Ok(receipt)) = (undo, &result) {
        let undo = undo::after(turn, undo, receipt, is_send);
        turn.live.acts.insert(ticket, undo);
    }
    result
}

/// Records an operator's reason, before the effects of the act.
fn reason(turn: &mut Turn, key: crate::domain::id::AttemptKey, why: Option<Untrusted>) {
    let Some(why) = why.filter(|why| !why.is_empty()) else { return };
    let by = turn.operator();
    turn.attempt_fact_by(Some(by), key, AttemptFact::ReasonGiven { why });
}

fn unknown(what: &str) -> Refusal {
    Refusal::Unknown(Untrusted::from(format!("such {what}")))
}

fn not_now(why: impl Into<Untrusted>) -> Refusal {
    Refusal::NotNow(why.into())
}

fn instead(why: impl Into<Untrusted>, remedy: Remedy) -> Refusal {
    Refusal::Instead(why.into(), remedy)
}

fn on_outcome(turn: &mut Turn, call: CallId, outcome: Outcome) {
    // Late, doubled and unasked-for answers find no call and change nothing.
    let Some(pending) = turn.live.calls.get(call).cloned() else { return };
    let outcome = outcome.of(pending.call.kind());
    let outcome = match asked_task(turn, &pending.call) {
        Some(task) => outcome.about(&task),
        None => outcome,
    };
    if outcome.is_last() {
        turn.live.calls.remove(call);
    }
    // A call withheld because of our own disk is no evidence about the agent.
    if !matches!(outcome.cause(), Some(Cause::Unsaved(_))) {
        health::note_call(turn, &pending, &outcome);
        measure::call(turn, &pending, &outcome);
    }
    let agent = pending.agent;
    match (pending.call, outcome) {
        (asked, Outcome::Violation(_, violation)) => observe::odd(turn, &asked, violation),
        (PendingCall::Probe, Outcome::Probe(answer)) => health::probed(turn, agent, answer),
        (PendingCall::Check, Outcome::Check(answer)) => health::checked(turn, agent, answer),
        (PendingCall::Send(send), Outcome::Send(outcome)) => {
            dispatch::sent(turn, agent, call, send, outcome);
        }
        (PendingCall::Stream(attempt), Outcome::Subscribe(outcome)) => {
            watch::on_stream(turn, attempt, call, outcome);
        }
        (PendingCall::Get(attempt, why), Outcome::Get(answer)) => {
            watch::got(turn, attempt, why, pending.issued, answer);
        }
        (PendingCall::List(why, query), Outcome::List(answer)) => {
            listing::listed(turn, agent, why, *query, pending.issued, answer);
        }
        (PendingCall::Cancel(attempt), Outcome::Cancel(answer)) => cancel::answered(turn, attempt, answer),
        // `Outcome::of` produces no other pair.
        (
            PendingCall::Probe
            | PendingCall::Check
            | PendingCall::Send(_)
            | PendingCall::Stream(_)
            | PendingCall::Get(..)
            | PendingCall::List(..)
            | PendingCall::Cancel(_),
            _,
        ) => {}
    }
}

/// The task that a call asks for, if its answer has to be that task.
fn asked_task(turn: &Turn, call: &PendingCall) -> Option<TaskId> {
    let (PendingCall::Get(key, _) | PendingCall::Cancel(key)) = call else { return None };
    turn.state().attempt(*key)?.task.as_ref().map(|task| task.id.clone())
}

fn on_deadline(turn: &mut Turn) {
    while let Some((due, timer)) = turn.live.timers.first().copied() {
        if due > turn.at {
            break;
        }
        turn.clear_timer(timer);
        match timer {
            Timer::Probe(agent) => health::probe(turn, agent),
            Timer::List(agent) => listing::scan(turn, agent),
            Timer::Watch(attempt) => watch::due(turn, attempt),
            Timer::Quiet(attempt) => watch::look_for_quiet(turn, attempt),
            Timer::Cancel(attempt) => cancel::look(turn, attempt),
            Timer::Lookup(attempt) => dispatch::lookup(turn, attempt),
            Timer::Check(agent) => health::check(turn, agent),
            Timer::Journal => turn.touched.console = true,
            Timer::Service(agent) => service::due(turn, agent),
            Timer::Shift(agent) => shift::look(turn, agent),
            Timer::Queue => turn.touched.freed = true,
            Timer::Dispatch(job) => queue::due(turn, job),
            Timer::Deadline(job) => queue::deadline(turn, job),
            Timer::Overdue(attempt) => timeout::due(turn, attempt),
            Timer::Hedge(attempt) => race::hedge(turn, attempt),
            Timer::Unreachable(attempt) => retry::unreachable(turn, attempt),
            Timer::Breaker(agent) => breaker::due(turn, agent),
            Timer::Mute(number) => problems::unmute(turn, number),
            Timer::Lint(agent) => turn.touched.agents.push(agent),
            Timer::Objectives => lint::objectives::look(turn),
            Timer::Retention => {
                retention::forget_some(turn);
                turn.set_timer(Timer::Retention, turn.at + retention::EVERY);
            }
            Timer::Forget => retention::forget_some(turn),
        }
    }
}

/// Sets the verdict on a task. A lesser verdict never replaces a conflict or a loss.
fn doubt(turn: &mut Turn, key: crate::domain::id::AttemptKey, verdict: Option<Verdict>) {
    let Some(task) = turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref()) else { return };
    let (now, was_over) = (task.verdict, task.is_over());
    let lasting = matches!(now, Some(Verdict::Lost | Verdict::Conflict));
    if now == verdict || (lasting && verdict < now) {
        return;
    }
    let usual = if verdict == Some(Verdict::Stuck) { baseline::usual(turn, key) } else { None };
    turn.attempt_fact(key, AttemptFact::VerdictChanged { verdict, usual });
    if was_over {
        timeout::watch(turn, key);
    }
}
