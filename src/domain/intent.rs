//! What an operator wishes, from any surface.

use std::sync::Arc;

use crate::domain::agent::AgentSpec;
use crate::domain::agent::breaker::BreakerState;
use crate::domain::cause::Cause;
use crate::domain::id::{AgentId, AttemptId, ContextId, JobId, TaskId};
use crate::domain::job::message::{Json, Part};
use crate::domain::problem::ProblemAct;
use crate::domain::text::Untrusted;

/// A wish. Each is reachable from the console, the command line and the socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Intent {
    /// A new job for an agent.
    Send(Box<Send>),
    /// An answer to a task that needs one.
    Answer {
        /// The task's attempt.
        attempt: AttemptId,
        /// What is said.
        parts: Vec<Part>,
        /// The message's metadata object.
        metadata: Option<Json>,
    },
    /// End a task.
    Cancel {
        /// The task's attempt.
        attempt: AttemptId,
        /// Why, in the operator's words.
        why: Option<Untrusted>,
    },
    /// Send an uncertain attempt once more, with the same message id.
    Resend {
        /// The attempt.
        attempt: AttemptId,
        /// Why, in the operator's words.
        why: Option<Untrusted>,
    },
    /// Take an uncertain attempt as lost.
    PresumeLost {
        /// The attempt.
        attempt: AttemptId,
        /// Why, in the operator's words.
        why: Option<Untrusted>,
    },
    /// Probe an agent now.
    CheckAgent {
        /// The agent.
        agent: AgentId,
    },
    /// Read a task now.
    CheckTask {
        /// The task's attempt.
        attempt: AttemptId,
    },
    /// Add agents for this run.
    AddAgents {
        /// In the order typed.
        specs: Vec<AgentSpec>,
    },
    /// Add an agent for good: it stays in the fleet until somebody removes it.
    AddAgent {
        /// Where its card is, or its origin.
        url: Arc<str>,
        /// Who.
        by: Untrusted,
    },
    /// Remove an agent that was added for good; it leaves unless somebody else names it too.
    RemoveAgent {
        /// The agent.
        agent: AgentId,
        /// Who.
        by: Untrusted,
    },
    /// Open or close an agent's breaker by hand, or leave it to itself.
    Breaker {
        /// The agent.
        agent: AgentId,
        /// Where to hold it; `None`: it moves by itself again.
        to: Option<BreakerState>,
        /// Who.
        by: Untrusted,
    },
    /// Do something about a problem.
    OnProblem {
        /// `p-N`
        number: u32,
        /// What.
        act: ProblemAct,
        /// Who.
        by: Untrusted,
    },
    /// Keep a note for whoever comes next.
    Note {
        /// About this problem.
        problem: Option<u32>,
        /// About this agent.
        agent: Option<AgentId>,
        /// About this attempt.
        attempt: Option<AttemptId>,
        /// Who.
        by: Untrusted,
        /// What.
        text: Untrusted,
    },
    /// Follow a task that we do not know yet.
    Adopt {
        /// The agent.
        agent: AgentId,
        /// Its id there.
        task: TaskId,
    },
}

/// A new job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Send {
    /// To whom.
    pub agent: AgentId,
    /// What is said.
    pub parts: Vec<Part>,
    /// Join this conversation.
    pub context: Option<ContextId>,
    /// Go on with a task that we may not know; see [`Intent::Answer`] for one that we do.
    pub task: Option<TaskId>,
    /// The message's metadata object.
    pub metadata: Option<Json>,
    /// The skill it is meant for.
    pub skill: Option<Untrusted>,
    /// Who asks.
    pub caller: Option<Untrusted>,
    /// The task that delegates it.
    pub parent: Option<TaskId>,
}

impl Intent {
    /// True for intents that change something, at an agent or for other operators.
    pub fn acts(&self) -> bool {
        match self {
            Self::Send(_)
            | Self::Answer { .. }
            | Self::Cancel { .. }
            | Self::Resend { .. }
            | Self::PresumeLost { .. }
            | Self::AddAgent { .. }
            | Self::RemoveAgent { .. }
            | Self::Breaker { .. }
            | Self::OnProblem { .. }
            | Self::Note { .. } => true,
            Self::CheckAgent { .. }
            | Self::CheckTask { .. }
            | Self::AddAgents { .. }
            | Self::Adopt { .. } => false,
        }
    }
}

/// What became of a wish, once it is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Receipt {
    /// A job was taken.
    Taken {
        /// The job.
        job: JobId,
        /// Its attempt.
        attempt: AttemptId,
    },
    /// Done, or on its way.
    Done,
    /// Agents that were added or were there already, in the order asked.
    Agents(Vec<AgentId>),
}

/// Why a wish was not taken. Nothing was begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The fleet is watched read-only.
    ReadOnly,
    /// There is no such agent, job, attempt or task.
    Unknown(Untrusted),
    /// It does not fit the state that the thing is in, with the reason.
    NotNow(Untrusted),
    /// It could not be begun.
    Cause(Arc<Cause>),
    /// The engine is gone; nothing was begun.
    Busy,
    /// The engine ended before it answered: it may have been taken, and then the next one goes on with it.
    Unanswered,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ReadOnly => f.write_str("this fleet is watched read-only"),
            Self::Unknown(what) => write!(f, "there is no {what}"),
            Self::NotNow(why) => write!(f, "{why}"),
            Self::Cause(cause) => cause.fmt(f),
            Self::Busy => f.write_str("the engine has stopped; try again"),
            Self::Unanswered => f.write_str("the engine ended before it answered; it may have taken this"),
        }
    }
}
