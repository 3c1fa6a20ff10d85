//! An incident on which an operator practises: its steps, each recognised from what really happened, and how long each
//! one took.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::agent::breaker::BreakerState;
use crate::domain::fact::{Act, AgentFact, Fact, FleetFact, JournalEntry};
use crate::domain::id::{AgentId, AgentKey, AttemptId};
use crate::domain::job::plan::JobPhase;
use crate::domain::job::task::TaskState;
use crate::domain::job::{Attempt, Origin};
use crate::domain::problem::Kind;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// An incident: the agent at fault, and what an operator does about it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// The agent at fault. The incident begins once it fails messages for a word.
    pub agent: String,
    /// The steps, in the order of a practised operator; any other order is recognised too.
    pub steps: Vec<Step>,
}

/// One step of an incident.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What is done.
    #[serde(rename = "do")]
    pub act: StepAct,
    /// Its name, such as `stop the bleeding`.
    pub name: String,
    /// The suggested keys.
    #[serde(default)]
    pub tour: Option<String>,
}

/// What is done in a step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepAct {
    /// The problem of the agent was taken.
    Take,
    /// The agent was taken out of service, or its breaker was opened.
    Cordon,
    /// Nothing that we sent runs at the agent any more.
    Move,
    /// What failed at the agent was tried again.
    Retry,
    /// The problem cleared, and the agent is in service.
    Heal,
    /// A note was written.
    Note,
}

impl StepAct {
    /// The word in scenario files and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Take => "take",
            Self::Cordon => "cordon",
            Self::Move => "move",
            Self::Retry => "retry",
            Self::Heal => "heal",
            Self::Note => "note",
        }
    }
}

/// A step that was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct StepDone {
    pub act: StepAct,
    /// When, in microseconds since the Unix epoch.
    pub at: i64,
    /// Who did it; `None` if nobody in particular.
    pub by: Option<String>,
}

/// How far the incident is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// Seconds from its beginning until the problem was raised; `None` before that.
    pub raised: Option<f64>,
    /// The steps: first those that are done, in the order in which they were, then the others.
    pub steps: Vec<StepReport>,
    /// Seconds from its beginning to the last step; `None` while a step is left.
    pub seconds: Option<f64>,
}

/// One step in a report.
#[derive(Clone, PartialEq, Debug)]
pub struct StepReport {
    /// What is done.
    pub act: StepAct,
    /// Its name.
    pub name: String,
    /// Seconds since the step before it, or since the problem was raised; `None` if it is not done yet.
    pub seconds: Option<f64>,
    /// Who did it; `None` if it is not done, or nobody did it.
    pub by: Option<String>,
}

impl Report {
    /// The report about steps that were done; `began` and `raised` are in microseconds, and the story is `speed` times
    /// faster than life.
    pub(super) fn of(
        incident: &Incident,
        began: i64,
        raised: Option<i64>,
        done: &[StepDone],
        speed: f64,
    ) -> Self {
        let mut done: Vec<&StepDone> = done.iter().collect();
        done.sort_by_key(|done| done.at);
        let mut last = raised.unwrap_or(began);
        let mut steps = Vec::with_capacity(incident.steps.len());
        for step in &done {
            let Some(known) = incident.steps.iter().find(|known| known.act == step.act) else { continue };
            steps.push(StepReport {
                act: step.act,
                name: known.name.clone(),
                seconds: Some(seconds(last, step.at, speed)),
                by: step.by.clone(),
            });
            last = last.max(step.at);
        }
        let is_over = steps.len() == incident.steps.len();
        let left = incident.steps.iter().filter(|step| done.iter().all(|done| done.act != step.act));
        steps.extend(left.map(|step| StepReport {
            act: step.act,
            name: step.name.clone(),
            seconds: None,
            by: None,
        }));
        Self {
            raised: raised.map(|raised| seconds(began, raised, speed)),
            steps,
            seconds: is_over.then(|| seconds(began, last, speed)),
        }
    }

    /// The first step that is left; `None` once all are done.
    pub fn next(&self) -> Option<&StepReport> {
        self.steps.iter().find(|step| step.seconds.is_none())
    }

    /// The report in a sentence or two.
    pub fn in_words(&self) -> String {
        let done = self.steps.iter().filter_map(|step| Some((step, step.seconds?)));
        let done: Vec<_> = done.map(|(step, took)| format!("{} {}", step.name, clock(took))).collect();
        match (self.seconds, self.next()) {
            (Some(all), _) => format!("It took {} in all: {}.", clock(all), done.join(" · ")),
            (None, Some(next)) if done.is_empty() => format!("Next: {}.", next.name),
            (None, Some(next)) => format!("Next: {}. So far: {}.", next.name, done.join(" · ")),
            (None, None) => String::new(),
        }
    }
}

fn seconds(from: i64, to: i64, speed: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "minutes")]
    let seconds = (to - from).max(0) as f64 / 1e6;
    // Tenths are enough, and read better.
    (seconds * speed * 10.0).round() / 10.0
}

/// `12s`, `1m05s`
fn clock(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes")]
    let whole = seconds.max(0.0).round() as u64;
    if whole < 60 { format!("{whole}s") } else { format!("{}m{:02}s", whole / 60, whole % 60) }
}

/// What is known about an incident: facts of the fleet and of the agent at fault, and the fleet as it is.
pub(super) struct Evidence<'a> {
    pub agent: (AgentKey, AgentId),
    pub began: At,
    pub of_fleet: &'a [JournalEntry],
    pub of_agent: &'a [JournalEntry],
    pub snapshot: &'a Snapshot,
}

/// When something was done, and by whom.
type Deed = (At, Option<Untrusted>);

impl Evidence<'_> {
    fn facts(&self) -> impl Iterator<Item = (&JournalEntry, &FleetFact)> {
        self.of_fleet.iter().filter(|entry| entry.at >= self.began).filter_map(|entry| match &entry.fact {
            Fact::Fleet(fact) => Some((entry, fact)),
            Fact::Agent(..) | Fact::Job(..) => None,
        })
    }

    /// The problems that the agent at fault has for its failed tasks, each with when it was raised.
    pub fn problems(&self) -> Vec<(u32, At)> {
        let raised = self.facts().filter_map(|(entry, fact)| match fact {
            FleetFact::ProblemRaised {
                number, kind: Kind::AgentFailing | Kind::SkillFailing, agent, ..
            } => (*agent == Some(self.agent.1)).then_some((*number, entry.at)),
            _ => None,
        });
        raised.collect()
    }

    /// A step, once it is done.
    pub fn done(&self, act: StepAct) -> Option<StepDone> {
        let (at, by) = match act {
            StepAct::Take => self.taken(),
            StepAct::Cordon => self.out_of_service(),
            StepAct::Move => self.moved(),
            StepAct::Retry => self.tried_again(),
            StepAct::Heal => self.cleared(),
            StepAct::Note => self.noted(),
        }?;
        Some(StepDone { act, at: at.micros(), by: by.map(|by| by.line().into_string()) })
    }

    fn taken(&self) -> Option<Deed> {
        let ours = self.problems();
        self.facts().find_map(|(entry, fact)| match fact {
            FleetFact::ProblemTaken { number } if ours.iter().any(|(ours, _)| ours == number) => {
                Some((entry.at, entry.actor.clone()))
            }
            _ => None,
        })
    }

    fn out_of_service(&self) -> Option<Deed> {
        let facts = self.of_agent.iter().filter(|entry| entry.at >= self.began);
        let mut stops = facts.filter_map(|entry| match &entry.fact {
            Fact::Agent(_, AgentFact::ServiceChanged { service: Some(service) }) => {
                Some((entry.at, Some(service.by.clone())))
            }
            Fact::Agent(_, AgentFact::BreakerMoved { forced: Some(by), .. }) => {
                Some((entry.at, Some(by.clone())))
            }
            _ => None,
        });
        stops.next()
    }

    /// Acts of this kind on attempts of the agent at fault, oldest first.
    fn acts(&self, wanted: Act) -> Vec<(AttemptId, Deed)> {
        let acts = self.facts().filter_map(|(entry, fact)| match fact {
            FleetFact::Acted { act, attempt, agent } if *act == wanted && *agent == self.agent.1 => {
                Some((attempt.1, (entry.at, entry.actor.clone())))
            }
            _ => None,
        });
        acts.collect()
    }

    /// Our attempts at the agent at fault.
    fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        let ours = |attempt: &&Attempt| {
            attempt.agent == self.agent.0
                && self.snapshot.job_of(attempt).is_some_and(|job| job.origin == Origin::Sent)
        };
        self.snapshot.attempts.iter().map(|(_, attempt)| attempt).filter(ours)
    }

    fn moved(&self) -> Option<Deed> {
        let (stopped, _) = self.out_of_service()?;
        if self.attempts().any(Attempt::is_live) {
            return None;
        }
        let acts = self.acts(Act::Reroute);
        let moved: BTreeSet<AttemptId> = acts.iter().map(|(attempt, _)| *attempt).collect();
        let ends = self.attempts().filter(|attempt| moved.contains(&attempt.id)).filter_map(Attempt::ended);
        let by = acts.last().and_then(|(_, (_, by))| by.clone());
        // Without an act of an operator they have ended by themselves.
        let ends: Vec<At> = if moved.is_empty() {
            self.attempts().filter_map(Attempt::ended).collect()
        } else {
            ends.collect()
        };
        Some((ends.into_iter().max().unwrap_or(stopped).max(stopped), by))
    }

    fn tried_again(&self) -> Option<Deed> {
        let (stopped, _) = self.out_of_service()?;
        let failed = |attempt: &&Attempt| {
            attempt.created >= self.began
                && attempt.task.as_ref().is_some_and(|task| task.state == TaskState::Failed)
        };
        let is_left = |attempt: &Attempt| {
            let job = self.snapshot.job_of(attempt);
            job.is_some_and(|job| {
                let last = job.attempts.last().and_then(|key| self.snapshot.attempts.get(*key));
                job.phase == JobPhase::Over && last.is_some_and(|last| last.id == attempt.id)
            })
        };
        if self.attempts().filter(failed).any(is_left) || self.attempts().any(Attempt::is_live) {
            return None;
        }
        let acts = self.acts(Act::Retry);
        let last = acts.last().map(|(_, deed)| deed.clone());
        // If the rules have tried everything again, nothing is left to an operator.
        Some(last.unwrap_or((stopped, None)))
    }

    fn cleared(&self) -> Option<Deed> {
        let ours = self.problems();
        let clears: Vec<(u32, At)> = self
            .facts()
            .filter_map(|(entry, fact)| match fact {
                FleetFact::ProblemCleared { number, into: None } => Some((*number, entry.at)),
                _ => None,
            })
            .filter(|(number, _)| ours.iter().any(|(ours, _)| ours == number))
            .collect();
        let all = !ours.is_empty()
            && ours.iter().all(|(number, _)| clears.iter().any(|(cleared, _)| cleared == number));
        // An agent without work fails nothing: it has healed once it works again.
        let agent = self.snapshot.agents.get(self.agent.0).filter(|agent| agent.service.is_none())?;
        if agent.breaker.position != BreakerState::Closed {
            return None;
        }
        let back = self.of_agent.iter().rev().find_map(|entry| match &entry.fact {
            Fact::Agent(_, AgentFact::ServiceChanged { service: None }) => Some(entry.at),
            _ => None,
        });
        let cleared = clears.iter().map(|(_, at)| *at).max().filter(|_| all)?;
        Some((cleared.max(back.unwrap_or(cleared)), None))
    }

    fn noted(&self) -> Option<Deed> {
        let (stopped, _) = self.out_of_service()?;
        self.facts().find_map(|(entry, fact)| match fact {
            FleetFact::NoteMade { .. } if entry.at >= stopped => Some((entry.at, entry.actor.clone())),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident() -> Incident {
        let step = |act, name: &str| Step { act, name: name.into(), tour: None };
        Incident {
            agent: "cashier-2".into(),
            steps: vec![
                step(StepAct::Take, "tell"),
                step(StepAct::Cordon, "stop"),
                step(StepAct::Note, "note"),
            ],
        }
    }

    #[test]
    fn a_report_says_how_long_each_step_took_in_whatever_order() {
        let done = |act, second: i64| StepDone { act, at: second * 1_000_000, by: Some("sam".into()) };
        let cases: [(&[StepDone], &str); 4] = [
            (&[], "Next: tell."),
            (&[done(StepAct::Take, 130)], "Next: stop. So far: tell 10s."),
            (&[done(StepAct::Cordon, 190)], "Next: tell. So far: stop 1m10s."),
            (
                &[done(StepAct::Take, 150), done(StepAct::Cordon, 130), done(StepAct::Note, 170)],
                "It took 1m10s in all: stop 10s · tell 20s · note 20s.",
            ),
        ];
        for (steps, expected) in cases {
            let report = Report::of(&incident(), 100_000_000, Some(120_000_000), steps, 1.0);
            assert_eq!(report.in_words(), expected);
            assert_eq!(report.raised, Some(20.0));
        }
        // Ten times as fast, the story's seconds are ten times as many.
        let fast = Report::of(&incident(), 0, Some(1_000_000), &[done(StepAct::Take, 3)], 10.0);
        assert_eq!((fast.raised, fast.steps[0].seconds), (Some(10.0), Some(20.0)));
    }
}
