//! Operators' actions on problems, and the notes that they leave for each other.

use std::time::Duration;

use crate::domain::decide::live::Timer;
use crate::domain::decide::not_now;
use crate::domain::decide::notifications;
use crate::domain::decide::turn::Turn;
use crate::domain::decide::unknown;
use crate::domain::fact::{Act, FleetFact};
use crate::domain::id::{AgentId, AttemptId, AttemptKey};
use crate::domain::intent::{Receipt, Refusal};
use crate::domain::problem::ProblemAct;
use crate::domain::text::Untrusted;

/// The longest mute: after that, later shifts would never learn of the problem.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// A note or a reason is cut to this many characters.
const CHARS: usize = 2000;

/// Performs an operator's action on a problem.
pub(super) fn act(turn: &mut Turn, number: u32, act: ProblemAct, by: Untrusted) -> Result<Receipt, Refusal> {
    let problem = turn.state().problem(number).ok_or_else(|| unknown("problem"))?;
    if problem.cleared.is_some() {
        return Err(not_now("the problem has cleared"));
    }
    let (taken, muted) = (problem.taken.clone(), problem.muted.is_some());
    let fact = match act {
        ProblemAct::Take => match taken {
            Some(taken) if taken.by == by => return Ok(Receipt::Done),
            // The log of the problem names the previous owner to whoever takes it over.
            _ => FleetFact::ProblemTaken { number },
        },
        ProblemAct::GiveBack if taken.is_none() => return Err(not_now("nobody has taken it")),
        ProblemAct::GiveBack => FleetFact::ProblemGivenBack { number },
        ProblemAct::Mute { why, .. } if why.line().trim().is_empty() => {
            return Err(not_now("a mute needs a reason"));
        }
        ProblemAct::Mute { time, .. } if time.is_zero() || time > LONGEST => {
            return Err(not_now("a mute needs an end, within 30 days"));
        }
        ProblemAct::Mute { time, why } => {
            let until = turn.at + time;
            turn.set_timer(Timer::Mute(number), until);
            FleetFact::ProblemMuted { number, why: why.shortened(CHARS), until }
        }
        ProblemAct::Unmute if !muted => return Err(not_now("it is not muted")),
        ProblemAct::Unmute => {
            turn.clear_timer(Timer::Mute(number));
            FleetFact::ProblemUnmuted { number }
        }
    };
    let unmuted = matches!(fact, FleetFact::ProblemUnmuted { .. });
    turn.fleet_fact_by(Some(by), fact);
    if unmuted {
        notifications::order_due(turn);
    }
    Ok(Receipt::Done)
}

/// A mute has expired.
pub(super) fn unmute(turn: &mut Turn, number: u32) {
    if turn.state().problem(number).is_some_and(|problem| problem.muted.is_some()) {
        turn.fleet_fact(FleetFact::ProblemUnmuted { number });
        notifications::order_due(turn);
    }
}

/// After a start: mutes end when they were meant to.
pub(super) fn resume(turn: &mut Turn) {
    let muted = turn.state().problems().iter().filter(|(_, problem)| problem.cleared.is_none());
    let muted: Vec<_> =
        muted.filter_map(|(_, problem)| Some((problem.number, problem.muted.as_ref()?.until))).collect();
    for (number, until) in muted {
        turn.set_timer(Timer::Mute(number), until);
    }
}

/// The subject of a note.
pub(super) struct About {
    pub problem: Option<u32>,
    pub agent: Option<AgentId>,
    pub attempt: Option<AttemptId>,
}

/// Stores a note, or takes one back.
pub(super) fn note(
    turn: &mut Turn,
    about: About,
    by: Untrusted,
    text: Untrusted,
    back: bool,
) -> Result<Receipt, Refusal> {
    let About { problem, agent, attempt } = about;
    if text.line().trim().is_empty() {
        return Err(not_now("the note is empty"));
    }
    if problem.is_some_and(|number| turn.state().problem(number).is_none()) {
        return Err(unknown("problem"));
    }
    if agent.is_some_and(|agent| turn.state().agent_key(agent).is_none()) {
        return Err(unknown("agent"));
    }
    let attempt = match attempt {
        None => None,
        Some(id) => {
            let key = turn.state().attempt_key(id).ok_or_else(|| unknown("attempt"))?;
            let row = turn.state().attempt(key).ok_or_else(|| unknown("attempt"))?;
            Some((turn.state().job_of(row).ok_or_else(|| unknown("job"))?.id, id))
        }
    };
    let text = text.shortened(CHARS);
    let fact = if back {
        FleetFact::NoteTakenBack { problem, agent, attempt, text }
    } else {
        FleetFact::NoteMade { problem, agent, attempt, text }
    };
    turn.fleet_fact_by(Some(by), fact);
    Ok(Receipt::Done)
}

/// Records an operator's change at an agent, for the handover.
pub(super) fn acted(turn: &mut Turn, key: AttemptKey, act: Act) {
    let Some(attempt) = turn.state().attempt(key) else { return };
    let (Some(job), Some(agent)) = (turn.state().job_of(attempt), turn.state().agent(attempt.agent)) else {
        return;
    };
    let by = turn.operator();
    let (attempt, agent) = ((job.id, attempt.id), agent.id);
    turn.fleet_fact_by(Some(by), FleetFact::Acted { act, attempt, agent });
}
