//! Missed objectives: the burn rate of the error budget.

use std::time::Duration;

use crate::domain::decide::lint::{Finding, reconcile};
use crate::domain::decide::live::Timer;
use crate::domain::decide::turn::Turn;
use crate::domain::id::AgentId;
use crate::domain::metrics::objective::{Objective, ObjectiveStatus};
use crate::domain::metrics::{Minute, Series};
use crate::domain::problem::{Kind, Subject};
use crate::domain::text::Untrusted;

/// The interval between two checks of the objectives.
const EVERY: Duration = Duration::from_secs(15);

/// Starts the checks, and ends the problems of objectives that are no longer configured.
pub(super) fn resume(turn: &mut Turn) {
    let names: Vec<Subject> = turn.rules.objectives.iter().map(subject).collect();
    let gone: Vec<Subject> =
        turn.state().raised_of(Kind::ObjectiveMissed).filter(|subject| !names.contains(subject)).collect();
    for subject in gone {
        reconcile(turn, subject, &[Kind::ObjectiveMissed], Vec::new());
    }
    if !turn.rules.objectives.is_empty() {
        turn.set_timer(Timer::Objectives, turn.at + EVERY);
    }
}

fn subject(objective: &Objective) -> Subject {
    Subject::objective(&objective.to_string())
}

/// Checks every objective, and raises or clears its problem.
pub(in crate::domain::decide) fn look(turn: &mut Turn) {
    turn.set_timer(Timer::Objectives, turn.at + EVERY);
    let now = Minute::of(turn.at);
    for objective in turn.rules.objectives.clone() {
        let subject = subject(&objective);
        let state = turn.state();
        let name = |series: &Series| name_of(turn, series.agent);
        let standing = objective.standing(turn.metrics, now, name);
        let before = state.raised(Kind::ObjectiveMissed, subject).is_some();
        let missed = standing.ok.is_missed(before) || standing.p95.is_missed(before);
        let found = missed.then(|| Finding {
            kind: Kind::ObjectiveMissed,
            text: words(&objective, &standing),
            next: "see on the first screen what the failed tasks have in common and what changed before"
                .into(),
            eased: false,
        });
        reconcile(turn, subject, &[Kind::ObjectiveMissed], found.into_iter().collect());
    }
}

fn name_of<'t>(turn: &'t Turn<'_>, agent: AgentId) -> Option<&'t Untrusted> {
    let key = turn.state().agent_key(agent)?;
    turn.state().agent(key).map(|agent| &agent.name)
}

/// `skill charge: 92 % succeeded in the last minutes …`. Rounded, so that the text rarely changes.
fn words(objective: &Objective, standing: &ObjectiveStatus) -> String {
    let share = |share: u32| format!("{}.{}", share / 10, share % 10);
    let mut parts = Vec::new();
    if let Some(ok) = objective.ok.filter(|_| standing.ok.minutes > 10) {
        let percent =
            |tally: &crate::domain::metrics::Tally| tally.ok_per_mille().map_or(0, |share| share / 10);
        parts.push(format!(
            "{} % succeeded in the last minutes and {} % in the last hour; the objective is {} %",
            percent(&standing.minutes),
            percent(&standing.hour),
            share(ok)
        ));
    }
    if let Some(limit) = objective.p95.filter(|_| standing.p95.minutes > 10) {
        let over =
            |tally: &crate::domain::metrics::Tally| tally.took.over(limit) * 100 / tally.took.count().max(1);
        parts.push(format!(
            "{} % took longer than {} s in the last minutes and {} % in the last hour; the objective is 5 %",
            over(&standing.minutes),
            limit.as_secs_f64(),
            over(&standing.hour)
        ));
    }
    format!("{objective}: {}", parts.join("; "))
}
