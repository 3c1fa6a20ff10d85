//! Which tasks a command for many is about.

use std::time::Duration;

use clap::Args;

use super::Act;
use crate::cli::output::Failure;
use crate::cli::reroute::agent_named;
use crate::cli::uncertain::attempt_named;
use crate::config::units;
use crate::domain::id::{AgentId, AttemptId};
use crate::domain::job::plan::JobPhase;
use crate::domain::job::task::{TaskState, Verdict};
use crate::domain::job::{Attempt, Origin, Phase};
use crate::domain::problem::diagnosis;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::nearest;

/// Options that choose tasks.
#[derive(Args, Clone, Debug, Default)]
pub struct Filter {
    /// All tasks of this agent.
    #[arg(long = "agent", id = "of_agent", value_name = "NAME", help_heading = "Many at once")]
    pub agent: Option<String>,
    /// All tasks that this problem affects, such as p-17.
    #[arg(long, value_name = "PROBLEM", value_parser = crate::cli::args::problem_number, help_heading = "Many at once")]
    pub problem: Option<u32>,
    /// Only tasks in this state: working, failed, …
    #[arg(long, value_name = "STATE", help_heading = "Many at once")]
    pub state: Option<String>,
    /// Only tasks that were sent by this skill.
    #[arg(long, value_name = "ID", help_heading = "Many at once")]
    pub skill: Option<String>,
    /// Only tasks that have been in their state for longer than this.
    #[arg(long, value_name = "DURATION", value_parser = units::duration, help_heading = "Many at once")]
    pub older_than: Option<Duration>,
    /// Do it without asking; required where nobody can be asked.
    #[arg(long, help_heading = "Many at once")]
    pub yes: bool,
}

impl Filter {
    /// True if it chooses tasks, rather than narrowing down those that are named.
    pub fn is_set(&self) -> bool {
        self.agent.is_some()
            || self.problem.is_some()
            || self.skill.is_some()
            || self.state.is_some()
            || self.older_than.is_some()
    }

    /// The attempts that are meant, oldest first; `ids` name some, otherwise all that fit.
    pub(in crate::cli) fn select(
        &self,
        snapshot: &Snapshot,
        act: Act,
        ids: &[String],
    ) -> Result<Vec<AttemptId>, Failure> {
        if ids.is_empty() && self.agent.is_none() && self.problem.is_none() && self.skill.is_none() {
            return Err(Failure::usage("say which tasks: name them, or use --agent, --problem or --skill"));
        }
        let agent = self.agent.as_deref().map(|name| agent_named(snapshot, name)).transpose()?;
        let state = self.state.as_deref().map(crate::cli::task::normal_state).transpose()?;
        let named = ids.iter().map(|id| newest_of(snapshot, id)).collect::<Result<Vec<_>, _>>()?;
        let of_problem = self.problem.map(|number| of_problem(snapshot, act, number)).transpose()?;
        let fits = |attempt: &Attempt| {
            (ids.is_empty() || named.contains(&attempt.id))
                && of_problem.as_ref().is_none_or(|attempts| attempts.contains(&attempt.id))
                && agent.is_none_or(|agent| is_at(snapshot, attempt, agent))
                && self.is_in(snapshot, attempt, state.as_deref())
                && (state.is_some() || !ids.is_empty() || act.fits(snapshot, attempt))
        };
        let mut found: Vec<_> = snapshot
            .attempts
            .iter()
            .filter(|(_, attempt)| fits(attempt))
            .map(|(_, attempt)| (attempt.since().at, attempt.id))
            .collect();
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, attempt)| attempt).collect())
    }

    fn is_in(&self, snapshot: &Snapshot, attempt: &Attempt, state: Option<&str>) -> bool {
        let task = attempt.task.as_ref();
        let in_state = state.is_none_or(|state| {
            task.is_some_and(|task| crate::cli::protocol_json::state_name(&task.state) == state)
        });
        let by_skill = self.skill.as_ref().is_none_or(|skill| {
            let sent_by = snapshot.job_of(attempt).and_then(|job| job.skill.as_ref());
            sent_by.is_some_and(|sent_by| sent_by.raw() == skill)
        });
        let is_old = self.older_than.is_none_or(|least| snapshot.at.since(attempt.since().at) > least);
        in_state && by_skill && is_old
    }

    /// The filter in words, for the head of a plan.
    pub(in crate::cli) fn words(&self) -> String {
        let mut words = String::new();
        if let Some(agent) = &self.agent {
            words.push_str(&format!(" of {agent}"));
        }
        if let Some(problem) = self.problem {
            words.push_str(&format!(" of p-{problem}"));
        }
        if let Some(state) = &self.state {
            words.push_str(&format!(", {state}"));
        }
        if let Some(skill) = &self.skill {
            words.push_str(&format!(", skill {skill}"));
        }
        if let Some(time) = self.older_than {
            words.push_str(&format!(", for longer than {}", crate::domain::time::format_duration(time)));
        }
        words
    }
}

impl Act {
    /// True if the act is meant for such an attempt, where no state is named.
    fn fits(self, snapshot: &Snapshot, attempt: &Attempt) -> bool {
        match self {
            Self::Cancel { .. } | Self::Reroute => attempt.task.is_some() && attempt.is_live(),
            Self::Retry => ended_without_result(snapshot, attempt),
        }
    }
}

/// True for the last attempt of a job of ours that failed, was rejected, refused, lost or never sent.
fn ended_without_result(snapshot: &Snapshot, attempt: &Attempt) -> bool {
    let job = snapshot.job_of(attempt).filter(|job| job.origin == Origin::Sent);
    let last = job.filter(|job| job.phase != JobPhase::Queued).and_then(|job| job.attempts.last());
    let is_last = last.and_then(|key| snapshot.attempts.get(*key)).is_some_and(|last| last.id == attempt.id);
    let failed = match &attempt.task {
        Some(task) => {
            matches!(task.state, TaskState::Failed | TaskState::Rejected)
                || task.verdict == Some(Verdict::Lost)
        }
        None => matches!(attempt.phase, Phase::Refused | Phase::Unsent),
    };
    is_last && failed && !attempt.is_live()
}

fn is_at(snapshot: &Snapshot, attempt: &Attempt, agent: AgentId) -> bool {
    snapshot.agents.get(attempt.agent).is_some_and(|row| row.id == agent)
}

/// The newest attempt of the job that an id names: of the job, of one of its attempts, or of a task.
pub(in crate::cli) fn newest_of(snapshot: &Snapshot, wanted: &str) -> Result<AttemptId, Failure> {
    let named = attempt_named(snapshot, wanted).or_else(|| {
        let of_task = crate::cli::send::find_task(snapshot, None, wanted);
        of_task.map(|(_, attempt)| attempt.id)
    });
    let attempt = named.and_then(|named| snapshot.attempts.iter().find(|(_, attempt)| attempt.id == named));
    let last = attempt
        .and_then(|(_, attempt)| snapshot.job_of(attempt)?.attempts.last())
        .and_then(|last| snapshot.attempts.get(*last));
    last.map(|last| last.id).ok_or_else(|| {
        Failure::usage(format!("there is no attempt, job or task {wanted}"))
            .hint("quarterdeck task list -o json shows their ids")
    })
}

fn of_problem(snapshot: &Snapshot, act: Act, number: u32) -> Result<Vec<AttemptId>, Failure> {
    let found = snapshot.problems.iter().find(|(_, problem)| problem.number == number);
    let Some((_, problem)) = found else {
        let names: Vec<String> =
            snapshot.open_problems().map(|(_, problem)| format!("p-{}", problem.number)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let failure = Failure::usage(format!("there is no problem p-{number}"));
        return Err(match nearest(&format!("p-{number}"), &names) {
            Some(near) => failure.hint(format!("did you mean {near}?")),
            None => failure.hint("quarterdeck problems lists them"),
        });
    };
    let keys = match act {
        Act::Retry => diagnosis::failed_of(snapshot, problem),
        Act::Cancel { .. } | Act::Reroute => diagnosis::live_of(snapshot, problem),
    };
    Ok(keys.into_iter().filter_map(|key| Some(snapshot.attempts.get(key)?.id)).collect())
}
