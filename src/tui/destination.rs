//! Destinations of navigation: a view names one without knowing the view that it leads to.

use super::context::Context;
use super::widgets::canvas::Span;
use crate::domain::agent::replicas;
use crate::domain::id::{AgentId, AgentKey, AttemptKey, ContextId, JobId, JobKey, ProblemKey, SourceKey};
use crate::domain::job::Job;
use crate::domain::metrics;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::domain::trace::{SpanId, TraceId};

/// The item under the cursor; actions, navigation and copying use it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Target {
    /// The agent.
    pub agent: Option<AgentKey>,
    /// The attempt with its task.
    pub attempt: Option<AttemptKey>,
    /// The problem.
    pub problem: Option<ProblemKey>,
    /// The trace, and the span of it, where one is selected.
    pub trace: Option<(TraceId, Option<SpanId>)>,
}

/// Whose log records are shown; all of them by default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogsOf {
    /// Of this agent or service.
    pub agent: Option<Untrusted>,
    /// Of this trace.
    pub trace: Option<TraceId>,
    /// Of this span of it.
    pub span: Option<SpanId>,
}

/// Newest attempts among which the one that delegated a job is searched, and how many times a task may be handed on.
const SEARCHED: usize = 20_000;
const DEPTH: usize = 16;

impl Target {
    /// The trace of what is selected: of its own, or of the job that its attempt belongs to. What a task delegated is in the
    /// trace of the job that did it.
    pub fn trace(&self, ctx: &Context) -> Option<(TraceId, Option<SpanId>)> {
        if self.trace.is_some() {
            return self.trace;
        }
        let attempt = ctx.snapshot.attempts.get(self.attempt?)?;
        let mut job = ctx.snapshot.job_of(attempt)?;
        let delegated_by = |job: &Job| {
            let parent = job.parent.as_ref()?;
            let newest = ctx.snapshot.attempts.iter().rev().take(SEARCHED);
            let mut named =
                newest.filter(|(_, row)| row.task.as_ref().is_some_and(|task| task.id == *parent));
            // An id that several agents use is nobody's.
            let (_, one) = named.next().filter(|_| named.next().is_none())?;
            ctx.snapshot.job_of(one)
        };
        for _ in 0..DEPTH {
            let Some(above) = delegated_by(job) else { break };
            job = above;
        }
        Some((TraceId::from(job.id), Some(SpanId::from(attempt.id))))
    }

    /// Whose logs those of what is selected are: of its trace, else of its agent.
    pub fn logs(&self, ctx: &Context) -> Option<LogsOf> {
        if let Some((trace, span)) = self.trace(ctx) {
            // Our own spans log nothing: what an agent logs for an attempt is in spans below it.
            let span = span.filter(|_| self.trace.is_some());
            return Some(LogsOf { trace: Some(trace), span, agent: None });
        }
        let agent = ctx.snapshot.agents.get(self.agent?)?;
        Some(LogsOf { agent: Some(agent.name.clone()), ..LogsOf::default() })
    }
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
    /// A trace, with the cursor on a span.
    Trace(TraceId, Option<SpanId>),
    /// Log records of an agent, a trace or a span.
    Logs(LogsOf),
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
