//! The built-in operator, for when nobody sits at the console: it does what a person would do there, through the same
//! handle, and every fact of it has its name.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;

use super::incident::{Incident, Report, StepAct};
use crate::domain::agent::service::ServiceChange;
use crate::domain::agent::{Agent, Health};
use crate::domain::id::{AgentKey, AttemptId};
use crate::domain::intent::Intent;
use crate::domain::job::carry::Carry;
use crate::domain::job::message::Part;
use crate::domain::job::plan::JobPhase;
use crate::domain::job::task::TaskState;
use crate::domain::job::{Attempt, Origin};
use crate::domain::problem::{Kind, ProblemAct};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::engine::Handle;

/// Its name in all facts.
pub(super) const NAME: &str = "demo operator";
/// Seconds of the story that it thinks before it acts.
const THINKS: f64 = 3.0;
const WHY: &str = "its new version fails discounts";

/// Works until it is dropped: answers what agents ask, and takes the steps of an incident.
pub(super) async fn work(
    handle: Handle,
    incident: Option<(Incident, String)>,
    report: watch::Receiver<Report>,
    speed: f64,
) {
    let handle = handle.acting_as(NAME);
    let mut answered = BTreeSet::new();
    loop {
        tokio::time::sleep(Duration::from_secs_f64(THINKS / speed)).await;
        let snapshot = handle.snapshot();
        for intent in answers(&snapshot, &mut answered) {
            submit(&handle, intent).await;
        }
        let Some((incident, version)) = &incident else { continue };
        let next = {
            let report = report.borrow();
            report.raised.and_then(|_| report.next()).map(|step| step.act)
        };
        let found = snapshot.agents.iter().find(|(_, agent)| agent.name.raw() == incident.agent);
        if let (Some(act), Some((key, agent))) = (next, found) {
            for intent in step(act, &snapshot, key, agent, version) {
                submit(&handle, intent).await;
            }
        }
    }
}

async fn submit(handle: &Handle, intent: Intent) {
    if let Err(refusal) = handle.submit(intent).await {
        tracing::debug!(%refusal, "the demo operator was refused");
    }
}

/// Answers to questions that have been open since it last looked, each once.
fn answers(snapshot: &Snapshot, known: &mut BTreeSet<AttemptId>) -> Vec<Intent> {
    let waiting = snapshot.inbox().into_iter().filter_map(|key| snapshot.attempts.get(key));
    let open = waiting.filter(|attempt| attempt.awaits_answer()).map(|attempt| attempt.id);
    let open: Vec<AttemptId> = open.filter(|id| known.insert(*id)).collect();
    open.into_iter()
        .map(|attempt| Intent::Answer { attempt, parts: vec![Part::text("approve")], metadata: None })
        .collect()
}

/// What it does for a step; nothing if it has to wait.
fn step(act: StepAct, snapshot: &Snapshot, key: AgentKey, agent: &Agent, version: &str) -> Vec<Intent> {
    let by = || Untrusted::from(NAME);
    let why = || Some(Untrusted::from(WHY));
    let problem = snapshot
        .open_problems()
        .map(|(_, problem)| problem)
        .find(|problem| {
            problem.agent == Some(key) && matches!(problem.kind, Kind::AgentFailing | Kind::SkillFailing)
        })
        .map(|problem| problem.number);
    let ours = |attempt: &&Attempt| {
        attempt.agent == key && snapshot.job_of(attempt).is_some_and(|job| job.origin == Origin::Sent)
    };
    let attempts = snapshot.attempts.iter().map(|(_, attempt)| attempt).filter(ours);
    match act {
        StepAct::Take => {
            let take = |number| Intent::OnProblem { number, act: ProblemAct::Take, by: by() };
            problem.map(take).into_iter().collect()
        }
        StepAct::Cordon if agent.service.is_none() => {
            let to = ServiceChange::Cordon { window: None };
            vec![Intent::Service { agent: agent.id, to, why: why(), by: by() }]
        }
        StepAct::Move => {
            let live = attempts.filter(|attempt| {
                attempt.is_live() && attempt.task.as_ref().is_some_and(|task| task.cancel.is_none())
            });
            live.map(|attempt| Intent::Reroute {
                attempt: attempt.id,
                to: None,
                carry: Carry::default(),
                why: why(),
            })
            .collect()
        }
        StepAct::Retry => {
            let failed = attempts.filter(|attempt| {
                let is_last = snapshot.job_of(attempt).is_some_and(|job| {
                    let last = job.attempts.last().and_then(|key| snapshot.attempts.get(*key));
                    job.phase == JobPhase::Over && last.is_some_and(|last| last.id == attempt.id)
                });
                is_last && attempt.task.as_ref().is_some_and(|task| task.state == TaskState::Failed)
            });
            failed
                .map(|attempt| Intent::Retry {
                    attempt: attempt.id,
                    to: None,
                    carry: Carry::default(),
                    why: why(),
                })
                .collect()
        }
        StepAct::Heal => {
            // It goes back into service once its old version is there again.
            let is_back = agent.card.as_ref().is_some_and(|card| card.version.raw() == version);
            let resumes = is_back && agent.service.is_some() && agent.health != Health::Down;
            let to = ServiceChange::Resume;
            let resume = || Intent::Service { agent: agent.id, to, why: None, by: by() };
            resumes.then(resume).into_iter().collect()
        }
        StepAct::Note => vec![Intent::Note {
            problem,
            agent: problem.is_none().then_some(agent.id),
            attempt: None,
            by: by(),
            text: "2.4.1 failed orders with a discount; taken back by its team, nothing is left to do".into(),
        }],
        StepAct::Cordon => Vec::new(),
    }
}
