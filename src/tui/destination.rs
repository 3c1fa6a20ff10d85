//! Destinations of navigation: a view names one without knowing the view that it leads to.

use super::context::Context;
use super::widgets::canvas::Span;
use crate::domain::agent::replicas;
use crate::domain::id::{AgentId, AgentKey, AttemptKey, ContextId, JobId, JobKey, ProblemKey, SourceKey};
use crate::domain::metrics;
use crate::domain::time::At;

/// The item under the cursor; actions, navigation and copying use it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Target {
    /// The agent.
    pub agent: Option<AgentKey>,
    /// The attempt with its task.
    pub attempt: Option<AttemptKey>,
    /// The problem.
    pub problem: Option<ProblemKey>,
}

/// A view to open, with its arguments.
#[derive(Clone, Debug)]
pub enum Destination {
    /// The page of an agent, at its card.
    Agent(AgentKey, AgentId),
    /// The page of an agent, at its raw card.
    AgentCard(AgentKey, AgentId),
    /// The page of an agent, with its history open.
    AgentHistory(AgentKey, AgentId),
    /// The page of a job with its tasks.
    Job(JobKey, JobId),
    /// The fleet, filtered.
    Fleet(String),
    /// The fleet in groups.
    FleetBy(replicas::GroupBy),
    /// All tasks that pass a filter.
    Tasks(String),
    /// The same, those first that somebody has to look at.
    WorstTasks(String),
    /// The tasks of an agent.
    TasksOfAgent(AgentKey),
    /// The tasks of an A2A context.
    TasksOfContext(ContextId),
    /// The problems, with the cursor on one.
    Problem(ProblemKey),
    /// The sources, with the cursor on one.
    Source(SourceKey),
    /// Metrics grouped by a dimension other than the agent.
    MetricsBy(metrics::Dimension),
    /// The rules of routing, and what was decided about a job.
    RoutesOfJob(JobKey, JobId),
    /// What was sent and received, by one agent or by all.
    Wire(Option<AgentKey>),
    /// Changes, in the window or around a point in time.
    Changes(Option<At>),
    /// What would happen if these agents died.
    Drill(Vec<AgentId>),
    /// The messages of this console.
    Messages,
    /// The last object that an agent sent about the task of a job.
    RawJob {
        /// The title of the page.
        title: String,
        /// The job.
        job: JobId,
        /// What the page is about.
        target: Target,
    },
    /// A long text.
    RawText {
        /// The title of the page.
        title: String,
        /// The text.
        lines: Vec<Vec<Span>>,
        /// What the page is about.
        target: Target,
    },
}

impl Destination {
    /// The page of a job, if the job is known.
    pub fn job(ctx: &Context, key: JobKey) -> Option<Self> {
        let job = ctx.snapshot.jobs.get(key).or_else(|| ctx.latest.jobs.get(key))?;
        Some(Self::Job(key, job.id))
    }

    /// The page of an attempt's job, if the attempt is known.
    pub fn attempt(ctx: &Context, key: AttemptKey) -> Option<Self> {
        let attempt = ctx.snapshot.attempts.get(key).or_else(|| ctx.latest.attempts.get(key))?;
        Self::job(ctx, attempt.job)
    }

    /// The page of an agent, if the agent is known.
    pub fn agent(ctx: &Context, key: AgentKey) -> Option<Self> {
        let agent = ctx.snapshot.agents.get(key).or_else(|| ctx.latest.agents.get(key))?;
        Some(Self::Agent(key, agent.id))
    }
}
