//! The diagnosis of a problem: its impact, its evidence, and its probable cause.
//!
//! Computed only from a snapshot, so that the console, the commands and the handover agree. At most `NEWEST` tasks are
//! examined; if there are more, the counts are "at least".

mod cause;
mod tasks;

pub use cause::{Cause, Certainty, cause, why};
pub use tasks::{failed_of, live_of};

use std::collections::BTreeMap;

use crate::domain::agent::{Agent, Health, host_of};
use crate::domain::id::{AgentKey, AttemptKey, ProblemKey};
use crate::domain::job::task::TaskState;
use crate::domain::job::{Attempt, Phase};
use crate::domain::problem::{Kind, Problem, Severity, Subject};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// The maximum number of newest tasks, and of live tasks, that are examined.
pub const NEWEST: usize = 20_000;
/// The number of callers, skills and errors listed by name.
const NAMED: usize = 5;
/// Names and error texts that are counted apart; agents choose them, so there may be any number.
const COUNTED: usize = 200;

/// Something, and how often.
pub type Count = (Untrusted, u32);

/// The impact of a problem.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Impact {
    /// Jobs that it has hit or puts at risk.
    pub jobs: u32,
    /// Tasks that failed since it began, or raised it: see [`counted_from`].
    pub failed: u32,
    /// The number of tasks that ended since then.
    pub ended: u32,
    /// Tasks that are running there now.
    pub at_risk: u32,
    /// Agents, where there are several.
    pub agents: u32,
    /// Callers of those jobs, most frequent first.
    pub callers: Vec<Count>,
    /// For which skills, most first.
    pub skills: Vec<Count>,
    /// By which rules, most first.
    pub rules: Vec<Count>,
    /// Error texts of failed tasks, most frequent first.
    pub errors: Vec<Count>,
    /// There are more tasks than were looked at.
    pub at_least: bool,
}

/// Counts by name, bounded.
#[derive(Default)]
struct Tally(BTreeMap<Untrusted, u32>);

impl Tally {
    fn add(&mut self, what: Option<&Untrusted>) {
        let Some(what) = what.filter(|what| !what.is_empty()) else { return };
        if let Some(count) = self.0.get_mut(what) {
            *count += 1;
        } else if self.0.len() < COUNTED {
            self.0.insert(what.clone(), 1);
        }
    }

    /// Most first, the same in the order of their names.
    fn most(self) -> Vec<Count> {
        let mut all: Vec<Count> = self.0.into_iter().collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.truncate(NAMED);
        all
    }
}

#[derive(Default)]
struct Counting {
    impact: Impact,
    callers: Tally,
    skills: Tally,
    rules: Tally,
    errors: Tally,
}

impl Counting {
    fn job(&mut self, snapshot: &Snapshot, attempt: &Attempt) {
        self.impact.jobs += 1;
        if let Some(job) = snapshot.job_of(attempt) {
            self.callers.add(job.caller.as_ref());
            self.skills.add(job.skill.as_ref());
            let rule = job.plan.as_ref().and_then(|plan| plan.rule.clone()).map(Untrusted::new);
            if rule.is_some() {
                self.rules.add(rule.as_ref());
            }
        }
    }

    fn done(self) -> Impact {
        Impact {
            callers: self.callers.most(),
            skills: self.skills.most(),
            rules: self.rules.most(),
            errors: self.errors.most(),
            ..self.impact
        }
    }
}

/// Failures that raised a problem happened up to this long before it.
const BEFORE: std::time::Duration = std::time::Duration::from_secs(600);

/// From when on tasks count: since the problem began, and where failures raised it, those ten minutes too.
pub fn counted_from(problem: &Problem) -> At {
    match problem.kind {
        Kind::AgentFailing | Kind::SkillFailing | Kind::AgentDegraded | Kind::BreakerOpen => {
            problem.since - BEFORE
        }
        _ => problem.since,
    }
}

/// True if the problem harms work while it lasts; others are informative.
fn hurts(kind: Kind) -> bool {
    kind.severity() > Severity::Info
        && !matches!(kind, Kind::CertificateEnds | Kind::AgentNameConfusable | Kind::ShiftBack)
}

/// The agents that a problem is about now.
pub fn agents_of(snapshot: &Snapshot, problem: &Problem) -> Vec<AgentKey> {
    let down = |of: &dyn Fn(&Agent) -> bool| {
        let hit = |agent: &Agent| agent.listed && agent.health == Health::Down && of(agent);
        snapshot.agents.iter().filter(|(_, agent)| hit(agent)).map(|(key, _)| key).collect()
    };
    match (problem.subject, problem.kind) {
        (Subject::Agent(key), _) => vec![key],
        (Subject::Host(key), _) => {
            let host = snapshot.agents.get(key).map(|agent| host_of(&agent.spec.url)).unwrap_or_default();
            down(&|agent| host_of(&agent.spec.url) == host)
        }
        (Subject::Source(key), Kind::SourceDown) => {
            let name = snapshot.sources.get(key).map(|row| row.spec.name.clone());
            down(&|agent| agent.sources.iter().any(|source| Some(source) == name.as_ref()))
        }
        (Subject::Source(_) | Subject::Objective(_) | Subject::Console, _) => Vec::new(),
    }
}

/// The impact of each of these problems, counted in one pass.
pub fn impacts<'s>(
    snapshot: &'s Snapshot,
    problems: impl Iterator<Item = (ProblemKey, &'s Problem)>,
) -> BTreeMap<ProblemKey, Impact> {
    let mut all: BTreeMap<ProblemKey, Counting> = BTreeMap::new();
    // Problems whose impact counts ended tasks, by agent.
    let mut by_agent: BTreeMap<AgentKey, Vec<(ProblemKey, &Problem)>> = BTreeMap::new();
    let mut budget = NEWEST;
    for (key, problem) in problems {
        let counting = all.entry(key).or_default();
        if !hurts(problem.kind) {
            continue;
        }
        let of_tasks = Kind::OF_TASKS.contains(&problem.kind);
        let agents = agents_of(snapshot, problem);
        counting.impact.agents = u32::try_from(agents.len()).unwrap_or(u32::MAX);
        for agent in agents {
            if !of_tasks {
                by_agent.entry(agent).or_default().push((key, problem));
            }
            // A cleared problem affects no running task.
            let live = snapshot.attention.of(agent).take(if problem.cleared.is_some() { 0 } else { budget });
            for attempt in live.filter_map(|key| snapshot.attempts.get(key)) {
                budget -= 1;
                if of_tasks && problem.kind.is_about(attempt, snapshot.job_of(attempt)) {
                    counting.job(snapshot, attempt);
                }
                if attempt.is_live()
                    && (!of_tasks || problem.kind.is_about(attempt, snapshot.job_of(attempt)))
                {
                    counting.impact.at_risk += 1;
                    if !of_tasks {
                        counting.job(snapshot, attempt);
                    }
                }
            }
        }
        counting.impact.at_least = budget == 0;
    }
    let partly = snapshot.attempts.len() > NEWEST;
    if !by_agent.is_empty() {
        for (_, attempt) in snapshot.attempts.iter().rev().take(NEWEST) {
            let (Some(problems), Some(task)) = (by_agent.get(&attempt.agent), &attempt.task) else {
                continue;
            };
            if !matches!(task.state, TaskState::Completed | TaskState::Failed) {
                continue;
            }
            for (key, problem) in problems {
                let counts = task.state_since >= counted_from(problem)
                    && problem.cleared.is_none_or(|cleared| task.state_since <= cleared);
                let Some(counting) = all.get_mut(key).filter(|_| counts) else { continue };
                counting.impact.ended += 1;
                if task.state == TaskState::Failed {
                    counting.impact.failed += 1;
                    counting.errors.add(task.note.as_ref());
                    counting.job(snapshot, attempt);
                }
            }
        }
    }
    all.into_iter()
        .map(|(key, mut counting)| {
            counting.impact.at_least |= partly && !counting.impact.at_least && counting.impact.failed > 0;
            (key, counting.done())
        })
        .collect()
}

/// The impact of one problem.
pub fn impact_of(snapshot: &Snapshot, key: ProblemKey, problem: &Problem) -> Impact {
    impacts(snapshot, std::iter::once((key, problem))).remove(&key).unwrap_or_default()
}

impl Impact {
    /// `60 failed, 14 at risk`
    pub fn short(&self) -> Option<String> {
        let least = if self.at_least { "at least " } else { "" };
        let failed = (self.failed > 0).then(|| format!("{least}{} failed", self.failed));
        let at_risk = (self.at_risk > 0).then(|| format!("{} at risk", self.at_risk));
        let words: Vec<String> = failed.into_iter().chain(at_risk).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// The impact of a problem, in a few words.
pub fn impact_in_words(snapshot: &Snapshot, problem: &Problem, impact: &Impact) -> String {
    let nobody = if problem.cleared.is_some() { "nobody any more" } else { "nobody now" };
    match problem.subject {
        Subject::Console if problem.kind == Kind::RoutesUnread => {
            "jobs that new rules would send elsewhere".into()
        }
        Subject::Console if problem.kind == Kind::WebhookFailing => "operators who should be notified".into(),
        Subject::Console => "every action".into(),
        Subject::Objective(_) => "its callers".into(),
        Subject::Source(key) if problem.kind == Kind::SourceFailing => {
            match snapshot.sources.get(key).map(|source| source.agents) {
                Some(agents) if agents > 0 => format!("{agents} agents, as it last reported"),
                _ => "no known agent".into(),
            }
        }
        _ if Kind::OF_TASKS.contains(&problem.kind) => match impact.jobs {
            0 => nobody.into(),
            1 => evidence(snapshot, problem, 1)
                .first()
                .and_then(|key| snapshot.job_of(snapshot.attempts.get(*key)?))
                .map_or_else(|| "1 task".into(), |job| job.title.line().into_string()),
            jobs => format!("{jobs} tasks"),
        },
        Subject::Host(_) | Subject::Source(_) => {
            let rest = impact.short().map(|short| format!(", {short}")).unwrap_or_default();
            format!("{} agents{rest}", impact.agents)
        }
        Subject::Agent(_) => impact.short().unwrap_or_else(|| nobody.into()),
    }
}

/// Attempts that show a problem, the newest first where there are many.
pub fn evidence(snapshot: &Snapshot, problem: &Problem, most: usize) -> Vec<AttemptKey> {
    match problem.subject {
        Subject::Agent(agent) if Kind::OF_TASKS.contains(&problem.kind) => snapshot
            .attention
            .of(agent)
            .filter(|key| {
                snapshot
                    .attempts
                    .get(*key)
                    .is_some_and(|attempt| problem.kind.is_about(attempt, snapshot.job_of(attempt)))
            })
            .take(most)
            .collect(),
        Subject::Agent(_) | Subject::Host(_) | Subject::Source(_) if hurts(problem.kind) => {
            let agents = agents_of(snapshot, problem);
            let hit = |attempt: &Attempt| {
                let failed = attempt.task.as_ref().is_some_and(|task| {
                    task.state == TaskState::Failed && task.state_since >= counted_from(problem)
                });
                let refused = attempt.phase == Phase::Refused && attempt.phase_since >= counted_from(problem);
                agents.binary_search(&attempt.agent).is_ok()
                    && (problem.kind.is_about(attempt, snapshot.job_of(attempt)) || failed || refused)
            };
            let newest = snapshot.attempts.iter().rev().take(NEWEST);
            newest.filter(|(_, attempt)| hit(attempt)).map(|(key, _)| key).take(most).collect()
        }
        _ => Vec::new(),
    }
}

/// Agents that do the same as this one, by their skills: those that the problem does not hit.
pub fn not_hit(snapshot: &Snapshot, problem: &Problem) -> Vec<AgentKey> {
    let Subject::Agent(key) = problem.subject else { return Vec::new() };
    if !hurts(problem.kind) {
        return Vec::new();
    }
    let skills = |agent: &Agent| -> Option<Vec<Untrusted>> {
        let mut skills: Vec<_> = agent.card.as_ref()?.skills.iter().map(|skill| skill.id.clone()).collect();
        skills.sort_unstable();
        Some(skills)
    };
    let Some(own) = snapshot.agents.get(key).and_then(skills).filter(|own| !own.is_empty()) else {
        return Vec::new();
    };
    let well = |(other, agent): &(AgentKey, &Agent)| {
        *other != key && agent.listed && agent.health == Health::Up && skills(agent).as_ref() == Some(&own)
    };
    snapshot.agents.iter().filter(well).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests;
