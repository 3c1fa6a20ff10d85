//! Taking back acts that the journal did not keep.
//!
//! An act changes the state in the step that decides it; its caller gets the reply once its facts are durable. If they
//! cannot be written, the caller is refused, and the change is reverted here, so that neither the screen nor a later
//! start shows what was refused. Calls that waited for the commit are never made.

use std::sync::Arc;

use crate::domain::agent::breaker::Breaker;
use crate::domain::agent::service::Service;
use crate::domain::agent::shift::Shift;
use crate::domain::cause::Cause;
use crate::domain::decide::cascade::Marks;
use crate::domain::decide::live::Timer;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::{breaker, cascade, dispatch, fleet, race, retry, service, shift, timeout};
use crate::domain::fact::{AttemptFact, FleetFact, JobFact};
use crate::domain::id::{AgentKey, AttemptId, AttemptKey, JobId};
use crate::domain::intent::{Intent, Receipt};
use crate::domain::job::Phase;
use crate::domain::job::plan::JobPhase;
use crate::domain::problem::{Muted, Taken};

/// How to take an act back.
#[derive(Clone, Debug)]
pub(in crate::domain) enum Undo {
    /// No row changed: a note is only in the journal, and a withheld answer ends as unsent.
    Nothing,
    /// A new job, or one that is tried again: its attempt ends as unsent, and it leaves the queue.
    Send(JobId),
    /// The phase and the cause of the attempt before an operator's decision.
    Attempt(AttemptKey, Phase, Option<Arc<Cause>>),
    /// The task that was to move, with the cancel marks before the act, its own and those of what it delegated.
    Reroute(AttemptKey, Vec<Marks>),
    /// The job of a task that is raced, and how many attempts it had before.
    Race(JobId, usize),
    /// The cancel marks before the act, of the task and of what it delegated.
    Cancel(Vec<Marks>),
    /// The take and the mute of the problem before the act.
    Problem(u32, Option<Taken>, Option<Muted>),
    /// The service of the agent before the act.
    Service(AgentKey, Service),
    /// The shift of the agent before the act, and what the act made of it.
    Shift {
        /// The legacy agent.
        agent: AgentKey,
        /// Before the act.
        before: Option<Arc<Shift>>,
        /// After it.
        made: Option<Arc<Shift>>,
    },
    /// The breaker before the act.
    Breaker(AgentKey, Breaker),
    /// An agent that was not on the operator's list.
    Added(Vec<crate::domain::id::AgentId>),
    /// An agent that was on the operator's list.
    Removed(AgentKey),
}

/// The state to remember before an act is decided. `None` for intents without durable facts.
pub(super) fn before(turn: &Turn, intent: &Intent) -> Option<Undo> {
    let state = turn.state();
    let as_it_was = |attempt: &AttemptId| {
        let key = state.attempt_key(*attempt)?;
        let row = state.attempt(key)?;
        Some(Undo::Attempt(key, row.phase, row.cause.clone()))
    };
    match intent {
        Intent::Send(_)
        | Intent::Retry { .. }
        | Intent::Requeue { .. }
        | Intent::Answer { .. }
        | Intent::Note { .. }
        | Intent::TakeBackNote { .. } => Some(Undo::Nothing),
        Intent::Resend { attempt, .. } | Intent::PresumeLost { attempt, .. } => as_it_was(attempt),
        Intent::Reroute { attempt, .. } => {
            Some(Undo::Reroute(state.attempt_key(*attempt)?, cascade::marks(turn, *attempt)))
        }
        Intent::Race { attempt, .. } => {
            let job = state.job_of(state.attempt(state.attempt_key(*attempt)?)?)?;
            Some(Undo::Race(job.id, job.attempts.len()))
        }
        Intent::Cancel { attempt, .. } => {
            Some(Undo::Cancel(Marks::of(turn, state.attempt_key(*attempt)?).into_iter().collect()))
        }
        Intent::CancelWithDelegated { attempt, .. } => Some(Undo::Cancel(cascade::marks(turn, *attempt))),
        Intent::OnProblem { number, .. } => {
            let problem = state.problem(*number)?;
            Some(Undo::Problem(*number, problem.taken.clone(), problem.muted.clone()))
        }
        Intent::Breaker { agent, .. } => {
            let key = state.agent_key(*agent)?;
            Some(Undo::Breaker(key, state.agent(key)?.breaker.clone()))
        }
        Intent::Service { agent, .. } => {
            let key = state.agent_key(*agent)?;
            Some(Undo::Service(key, state.agent(key)?.service.clone()))
        }
        Intent::Shift { agent, .. } => {
            let key = state.agent_key(*agent)?;
            Some(Undo::Shift { agent: key, before: state.agent(key)?.shift.clone(), made: None })
        }
        Intent::AddAgent { url, .. } => {
            let kept = fleet::by_url(turn, url, false).is_some_and(|key| fleet::is_kept(turn, key));
            Some(if kept { Undo::Nothing } else { Undo::Added(Vec::new()) })
        }
        Intent::RemoveAgent { agent, .. } => Some(Undo::Removed(state.agent_key(*agent)?)),
        Intent::CheckAgent { .. }
        | Intent::CheckTask { .. }
        | Intent::AddAgents { .. }
        | Intent::Adopt { .. } => None,
    }
}

/// Adds the results of the act.
pub(super) fn after(turn: &Turn, undo: Undo, receipt: &Receipt, is_send: bool) -> Undo {
    match (undo, receipt) {
        (Undo::Shift { agent, before, .. }, _) => {
            let made = turn.state().agent(agent).and_then(|agent| agent.shift.clone());
            Undo::Shift { agent, before, made }
        }
        (Undo::Nothing, Receipt::Taken { job, .. }) if is_send => Undo::Send(*job),
        (Undo::Added(_), Receipt::Agents(agents)) => Undo::Added(agents.clone()),
        (undo, _) => undo,
    }
}

/// Takes the act of a ticket back. Its withheld calls have failed as unsent before.
pub(super) fn take_back(turn: &mut Turn, ticket: u64, cause: &Arc<Cause>) {
    if let Some(act) = turn.live.acts.remove(&ticket) {
        let act = hand_on(turn, ticket, act);
        undo(turn, act, cause);
    }
}

/// Later acts on the same item that still wait for their commit were based on this one. Their changes stay for now; if
/// they are refused too, they are reverted to the state before this act.
fn hand_on(turn: &mut Turn, ticket: u64, undo: Undo) -> Undo {
    match undo {
        Undo::Problem(number, taken, muted) => {
            let now = turn.state().problem(number);
            let now = now.map(|problem| (problem.taken.clone(), problem.muted.clone()));
            let Some((taken_now, muted_now)) = now else { return Undo::Nothing };
            let mut later: Vec<_> = later(turn, ticket)
                .filter_map(|undo| match undo {
                    Undo::Problem(of, taken, muted) if *of == number => Some((taken, muted)),
                    _ => None,
                })
                .collect();
            let taken = handed_on(taken, taken_now, later.iter_mut().map(|(taken, _)| &mut **taken));
            let muted = handed_on(muted, muted_now, later.iter_mut().map(|(_, muted)| &mut **muted));
            Undo::Problem(number, taken, muted)
        }
        Undo::Breaker(key, breaker) => {
            let Some(now) = turn.state().agent(key).map(|agent| agent.breaker.clone()) else {
                return Undo::Nothing;
            };
            let later = later(turn, ticket).filter_map(|undo| match undo {
                Undo::Breaker(of, breaker) if *of == key => Some(breaker),
                _ => None,
            });
            Undo::Breaker(key, handed_on(breaker, now, later))
        }
        Undo::Service(key, service) => {
            let Some(now) = turn.state().agent(key).map(|agent| agent.service.clone()) else {
                return Undo::Nothing;
            };
            let later = later(turn, ticket).filter_map(|undo| match undo {
                Undo::Service(of, service) if *of == key => Some(service),
                _ => None,
            });
            Undo::Service(key, handed_on(service, now, later))
        }
        Undo::Shift { agent: key, before, made } => {
            let later = later(turn, ticket).find_map(|undo| match undo {
                Undo::Shift { agent, before, .. } if *agent == key => Some(before),
                _ => None,
            });
            match later {
                Some(begun_with) => {
                    if shift::is_same(begun_with.as_ref(), made.as_ref()) {
                        *begun_with = before;
                    }
                    Undo::Nothing
                }
                None => Undo::Shift { agent: key, before, made },
            }
        }
        Undo::Cancel(all) => {
            let restored = all.into_iter().map(|before| {
                let Some(now) = Marks::of(turn, before.task) else { return before };
                let later = later(turn, ticket).filter_map(|undo| match undo {
                    Undo::Cancel(marks) => marks.iter_mut().find(|marks| marks.task == before.task),
                    _ => None,
                });
                handed_on(before.clone(), now, later)
            });
            Undo::Cancel(restored.collect())
        }
        Undo::Added(agents) => {
            let keys: Vec<_> = agents.iter().filter_map(|agent| turn.state().agent_key(*agent)).collect();
            let removed = |undo: &Undo| matches!(undo, Undo::Removed(key) if keys.contains(key));
            cancel_out(turn, ticket, Undo::Added(agents), removed)
        }
        Undo::Removed(key) => {
            let agent = turn.state().agent(key).map(|agent| agent.id);
            let added = |undo: &Undo| matches!(undo, Undo::Added(agents) if agent.is_some_and(|id| agents.contains(&id)));
            cancel_out(turn, ticket, Undo::Removed(key), added)
        }
        undo @ (Undo::Nothing | Undo::Send(_) | Undo::Attempt(..) | Undo::Reroute(..) | Undo::Race(..)) => {
            undo
        }
    }
}

fn later<'t>(turn: &'t mut Turn<'_>, ticket: u64) -> impl Iterator<Item = &'t mut Undo> {
    turn.live.acts.range_mut(ticket..).map(|(_, undo)| undo)
}

/// The state to restore, after `before` was passed on to each later act that was based on this one.
fn handed_on<'u, T: Clone + PartialEq + 'u>(
    before: T,
    now: T,
    mut later: impl Iterator<Item = &'u mut T>,
) -> T {
    let Some(first) = later.next() else { return before };
    let made = std::mem::replace(first, before.clone());
    for begun_with in later {
        if *begun_with != made {
            return now;
        }
        begun_with.clone_from(&before);
    }
    if now == made { before } else { now }
}

/// A later act that did the opposite has already restored the previous state: neither needs to be reverted.
fn cancel_out(turn: &mut Turn, ticket: u64, undo: Undo, is_opposite: impl Fn(&Undo) -> bool) -> Undo {
    match later(turn, ticket).find(|undo| is_opposite(undo)) {
        Some(opposite) => {
            *opposite = Undo::Nothing;
            Undo::Nothing
        }
        None => undo,
    }
}

fn undo(turn: &mut Turn, undo: Undo, cause: &Arc<Cause>) {
    match undo {
        Undo::Nothing => {}
        Undo::Send(job) => {
            let row = turn.state().job_key(job).and_then(|key| turn.state().jobs().get(key));
            let (attempts, queued) =
                row.map_or((Vec::new(), false), |job| (job.attempts.to_vec(), job.phase == JobPhase::Queued));
            if queued {
                turn.job_fact(job, JobFact::Ended { cause: Some(cause.clone()), spent: None });
            }
            for key in attempts {
                dispatch::give_up_one(turn, key, cause);
            }
        }
        Undo::Attempt(key, phase, cause) => {
            // The withheld call made it uncertain again, but with the cause of that.
            let differs = turn.state().attempt(key).is_some_and(|attempt| match attempt.phase {
                Phase::Planned | Phase::Unsent | Phase::PresumedLost => true,
                Phase::Uncertain => attempt.cause != cause,
                Phase::Sending | Phase::Accepted | Phase::Answered | Phase::Refused => false,
            });
            if differs {
                turn.attempt_fact(key, AttemptFact::Moved { phase, cause });
                retry::goes_on(turn, key);
                timeout::watch(turn, key);
            }
        }
        Undo::Reroute(key, marks) => {
            let job = turn.state().attempt(key).and_then(|attempt| turn.state().job_of(attempt));
            if let Some((job, target)) = job.map(|job| (job.id, turn.target_of(job))) {
                turn.job_fact(job, JobFact::Moving { to: None, target, carry: None });
            }
            withdraw_cancels(turn, marks);
            if turn.state().attempt(key).is_some_and(|attempt| attempt.phase == Phase::PresumedLost) {
                turn.attempt_fact(key, AttemptFact::Moved { phase: Phase::Accepted, cause: None });
                let job = turn.state().attempt(key).and_then(|attempt| turn.state().job_of(attempt));
                let followed: Vec<_> = job
                    .map(|job| job.attempts.iter().copied().skip_while(|one| *one != key).skip(1).collect())
                    .unwrap_or_default();
                for next in followed {
                    dispatch::give_up_one(turn, next, cause);
                }
                retry::goes_on(turn, key);
            }
        }
        Undo::Race(job, before) => {
            let Some(key) = turn.state().job_key(job) else { return };
            race::give_up_next(turn, key, cause.clone());
            let attempts = turn.state().jobs().get(key).map(|job| job.attempts.to_vec()).unwrap_or_default();
            for attempt in attempts.into_iter().skip(before) {
                dispatch::give_up_one(turn, attempt, cause);
            }
        }
        Undo::Cancel(marks) => withdraw_cancels(turn, marks),
        Undo::Problem(number, taken, muted) => problem(turn, number, taken, muted),
        Undo::Breaker(key, was) => breaker::restore(turn, key, was),
        Undo::Service(key, was) => service::restore(turn, key, was),
        Undo::Shift { agent, before, made } => shift::restore(turn, agent, before, made.as_ref()),
        Undo::Added(agents) => {
            for agent in agents {
                if let Some(key) = turn.state().agent_key(agent) {
                    fleet::unkeep(turn, key);
                }
            }
        }
        Undo::Removed(key) => fleet::rekeep(turn, key),
    }
}

fn withdraw_cancels(turn: &mut Turn, all: Vec<Marks>) {
    for Marks { task: key, mark, cascades } in all {
        let task = turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref());
        if task.is_some_and(|task| task.cascades != cascades) {
            turn.attempt_fact(key, AttemptFact::CascadeAsked { asked: cascades });
        }
        let task = turn.state().attempt(key).and_then(|attempt| attempt.task.as_ref());
        if task.is_some_and(|task| !task.is_over() && task.cancel != mark) {
            turn.attempt_fact(key, AttemptFact::CancelWithdrawn { mark });
            if mark.is_none() {
                turn.clear_timer(Timer::Cancel(key));
            }
        }
    }
}

fn problem(turn: &mut Turn, number: u32, taken: Option<Taken>, muted: Option<Muted>) {
    let Some(now) = turn.state().problem(number) else { return };
    let (taken_now, muted_now) = (now.taken.clone(), now.muted.clone());
    if taken_now != taken {
        match taken {
            Some(taken) => turn.fleet_fact_by(Some(taken.by), FleetFact::ProblemTaken { number }),
            None => turn.fleet_fact(FleetFact::ProblemGivenBack { number }),
        }
    }
    if muted_now != muted {
        match muted {
            Some(Muted { by, why, until }) => {
                turn.set_timer(Timer::Mute(number), until);
                turn.fleet_fact_by(Some(by), FleetFact::ProblemMuted { number, why, until });
            }
            None => {
                turn.clear_timer(Timer::Mute(number));
                turn.fleet_fact(FleetFact::ProblemUnmuted { number });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::agent::breaker::BreakerState;
    use crate::domain::agent::service::ServiceChange;
    use crate::domain::agent::{AgentSpec, Source};
    use crate::domain::core::{Core, Out};
    use crate::domain::id::AgentId;
    use crate::domain::input::{Input, PostResult, Rules};
    use crate::domain::problem::{NotificationEvent, ProblemAct};
    use crate::domain::state::State;
    use crate::domain::text::Untrusted;
    use crate::domain::time::At;

    const KEPT: &str = "http://127.0.0.1:2";

    fn step(core: &mut Core, input: Input) {
        core.step(At::from_micros(1_795_000_000_000_000), input, &mut Out::default());
    }

    /// An agent that is configured, another one that an operator added, and a problem that sam has taken.
    fn core() -> (Core, AgentId, AgentId) {
        let mut core = Core::new(State::default(), Rules::default(), 7);
        let spec =
            AgentSpec { name: Some("one".into()), ..AgentSpec::at("http://127.0.0.1:1", Source::Config) };
        step(&mut core, Input::Configured(vec![spec]));
        step(
            &mut core,
            Input::Posted(PostResult {
                number: 1,
                event: NotificationEvent::Raised,
                failed: Some("no".into()),
            }),
        );
        let intents = [
            Intent::AddAgent { url: KEPT.into(), by: "sam".into() },
            Intent::OnProblem { number: 1, act: ProblemAct::Take, by: "sam".into() },
        ];
        for (ticket, intent) in (1..).zip(intents) {
            step(&mut core, Input::Intent { ticket, intent, by: None });
            core.act_saved(ticket);
        }
        let ids: Vec<_> = core.state().agents().iter().map(|(_, agent)| agent.id).collect();
        (core, ids[0], ids[1])
    }

    /// The changes of the acts, in words.
    fn shown(core: &Core) -> Vec<String> {
        let agents = core.state().agents().iter().map(|(_, agent)| {
            let breaker = &agent.breaker;
            let by = breaker.forced.as_ref().map(Untrusted::raw);
            let service = agent.service.as_ref().map(|out| out.in_words());
            format!(
                "{} {} {:?} {:?} {by:?} {service:?}",
                agent.name, agent.listed, agent.sources, breaker.position
            )
        });
        let open = core.state().problems().iter().filter(|(_, problem)| problem.cleared.is_none());
        let problems = open.map(|(_, problem)| {
            let by = problem.taken.as_ref().map(|taken| taken.by.raw());
            format!("{} {by:?} {:?}", problem.number, problem.muted)
        });
        agents.chain(problems).collect()
    }

    fn acts(one: AgentId, kept: AgentId) -> Vec<Intent> {
        let by = || Untrusted::from("mia");
        let on_problem = |act| Intent::OnProblem { number: 1, act, by: by() };
        let time = Duration::from_secs(600);
        let note =
            || Intent::Note { problem: Some(1), agent: None, attempt: None, by: by(), text: "seen".into() };
        vec![
            note(),
            on_problem(ProblemAct::Take),
            on_problem(ProblemAct::GiveBack),
            on_problem(ProblemAct::Mute { time, why: "known".into() }),
            on_problem(ProblemAct::Mute { time: time * 2, why: "longer".into() }),
            on_problem(ProblemAct::Unmute),
            Intent::Breaker { agent: one, to: Some(BreakerState::Open), why: None, by: by() },
            Intent::Breaker { agent: one, to: Some(BreakerState::Closed), why: None, by: by() },
            Intent::Breaker { agent: one, to: None, why: None, by: by() },
            Intent::Service { agent: one, to: ServiceChange::Cordon { window: None }, why: None, by: by() },
            Intent::Service {
                agent: one,
                to: ServiceChange::Drain { window: Some(time), move_after: None },
                why: Some("disk".into()),
                by: by(),
            },
            Intent::Service { agent: one, to: ServiceChange::Resume, why: None, by: by() },
            Intent::RemoveAgent { agent: kept, why: None, by: by() },
            Intent::AddAgent { url: KEPT.into(), by: by() },
        ]
    }

    /// Refused acts leave the state unchanged, in every combination of acts waiting for the journal.
    #[test]
    fn refused_acts_leave_the_state_as_it_was() {
        let (_, one, kept) = core();
        let count = acts(one, kept).len();
        for (first, second) in (0..count).flat_map(|first| (0..count).map(move |second| (first, second))) {
            let (mut core, one, kept) = core();
            let (before, acts) = (shown(&core), acts(one, kept));
            for (ticket, act) in [(10, first), (11, second)] {
                step(&mut core, Input::Intent { ticket, intent: acts[act].clone(), by: None });
            }
            for ticket in [10, 11] {
                step(&mut core, Input::ActUnsaved { ticket, why: "disk full".into() });
            }
            assert_eq!(shown(&core), before, "{:?}, then {:?}", acts[first], acts[second]);
        }
    }
}
