//! Applies facts of the fleet.

use crate::domain::fact::{FleetFact, JournalEntry};
use crate::domain::fleet::source::{SourceHealth, SourceRow, SourceSpec};
use crate::domain::problem::{DueNotification, Kind, Muted, Problem, Subject, Taken};
use crate::domain::state::{Changed, State};
use crate::domain::time::At;

pub(super) fn apply(state: &mut State, entry: &JournalEntry, fact: &FleetFact) {
    state.fleet_seq = entry.seq;
    match fact {
        FleetFact::ProblemRaised { number, kind, agent, source, text, next, attempt: _ } => {
            let agent = agent.and_then(|id| state.agent_key(id));
            let objective = source.clone().filter(|_| *kind == Kind::ObjectiveMissed);
            let subject = match &objective {
                Some(name) => Subject::objective(name),
                None => Subject::of(*kind, agent, source.as_deref().and_then(|name| state.source_key(name))),
            };
            state.last_problem = state.last_problem.max(*number);
            state.insert_problem(Problem {
                number: *number,
                kind: *kind,
                subject,
                agent: subject.one(),
                objective,
                text: text.clone(),
                next: next.clone(),
                since: entry.at,
                eased: false,
                cleared: None,
                taken: None,
                muted: None,
                due: Vec::new(),
            });
        }
        FleetFact::ProblemReworded { number, text, next, eased } => edit_problem(state, *number, |problem| {
            (problem.text, problem.next, problem.eased) = (text.clone(), next.clone(), *eased);
        }),
        FleetFact::ProblemCleared { number, into: _ } => {
            let before = state.problem(*number).and_then(|problem| problem.cleared);
            edit_problem(state, *number, |problem| {
                problem.cleared = Some(entry.at);
                // A problem that cleared while it was muted is not posted late.
                if problem.muted.is_some() {
                    problem.due.clear();
                }
            });
            let key = state.problem_numbers.get(number).copied();
            if let Some(key) = key
                && let Some(problem) = state.problems.get(key)
            {
                if let Some(before) = before {
                    state.cleared.remove(&(before, key));
                }
                state.cleared.insert((entry.at, key));
                if state.raised.get(&(problem.kind, problem.subject)) == Some(&key) {
                    state.raised.remove(&(problem.kind, problem.subject));
                }
            }
        }
        FleetFact::NotificationDue { number, event, into } => edit_problem(state, *number, |problem| {
            problem.due.push(DueNotification { event: *event, into: *into });
        }),
        FleetFact::ProblemPosted { number, event, failed: _ } => edit_problem(state, *number, |problem| {
            problem.due.retain(|due| due.event != *event);
        }),
        FleetFact::ProblemTaken { number } => edit_problem(state, *number, |problem| {
            problem.taken = Some(Taken { by: entry.actor_name(), at: entry.at });
        }),
        FleetFact::ProblemGivenBack { number } => {
            edit_problem(state, *number, |problem| problem.taken = None);
        }
        FleetFact::ProblemMuted { number, why, until } => edit_problem(state, *number, |problem| {
            problem.muted = Some(Muted { by: entry.actor_name(), why: why.clone(), until: *until });
        }),
        FleetFact::ProblemUnmuted { number } => {
            edit_problem(state, *number, |problem| problem.muted = None);
        }
        FleetFact::ProblemForgotten { number } => forget_problem(state, *number),
        FleetFact::SourceListed { spec } => list_source(state, entry.at, spec),
        FleetFact::SourceUnlisted { name } => {
            if let Some(key) = state.source_names.remove(name) {
                state.sources.remove(key);
                state.changes.push(Changed::Source(key));
            }
        }
        FleetFact::SourceReported { name, health, cause, agents } => {
            if let Some(key) = state.source_key(name)
                && let Some(row) = state.sources.get_mut(key)
            {
                if row.health != *health {
                    row.since = entry.at;
                }
                row.health = *health;
                row.cause.clone_from(cause);
                row.agents = *agents;
                state.changes.push(Changed::Source(key));
            }
        }
        FleetFact::NoteMade { agent: Some(agent), .. }
        | FleetFact::Acted { agent, .. }
        | FleetFact::BreakerSet { agent, .. } => state.note_operator(*agent, entry.at),
        // These are history alone.
        FleetFact::WatchStarted
        | FleetFact::WatchPaused { .. }
        | FleetFact::JournalGap { .. }
        | FleetFact::RoutesLoaded { .. }
        | FleetFact::NoteMade { agent: None, .. }
        | FleetFact::NoteTakenBack { .. } => {}
    }
}

fn edit_problem(state: &mut State, number: u32, edit: impl FnOnce(&mut Problem)) {
    if let Some(key) = state.problem_numbers.get(&number).copied()
        && let Some(problem) = state.problems.get_mut(key)
    {
        edit(problem);
        state.changes.push(Changed::Problem(key));
    }
}

fn forget_problem(state: &mut State, number: u32) {
    let Some(key) = state.problem_numbers.remove(&number) else { return };
    if let Some(gone) = state.problems.remove(key) {
        if state.raised.get(&(gone.kind, gone.subject)) == Some(&key) {
            state.raised.remove(&(gone.kind, gone.subject));
        }
        if let Some(cleared) = gone.cleared {
            state.cleared.remove(&(cleared, key));
        }
        state.count_kept(gone.subject.agent(), false);
    }
    state.changes.push(Changed::Problem(key));
}

/// A source whose configuration changed keeps its agents.
fn list_source(state: &mut State, at: At, spec: &SourceSpec) {
    let known = state.source_key(&spec.name).and_then(|key| state.sources.get(key)).cloned();
    let row = match known {
        Some(known) => SourceRow { spec: spec.clone(), ..known },
        None => {
            SourceRow { spec: spec.clone(), health: SourceHealth::Unknown, since: at, cause: None, agents: 0 }
        }
    };
    state.insert_source(row);
}
