//! Intents: the operations that an operator requests, from any surface.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::AgentSpec;
use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::service::ServiceChange;
use crate::domain::agent::shift::ShiftChange;
use crate::domain::cause::Cause;
use crate::domain::id::{AgentId, AttemptId, ContextId, JobId, TaskId};
use crate::domain::job::carry::Carry;
use crate::domain::job::message::{Json, Part};
use crate::domain::problem::ProblemAct;
use crate::domain::route::Target;
use crate::domain::text::Untrusted;

/// An operation requested by an operator. Each is available from the console, the command line and the socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Intent {
    /// Send a new job to an agent.
    Send(Box<Send>),
    /// Answer a task that needs input.
    Answer {
        /// The task's attempt.
        attempt: AttemptId,
        /// The parts of the message.
        parts: Vec<Part>,
        /// The message's metadata object.
        metadata: Option<Json>,
    },
    /// Cancel a task.
    Cancel {
        /// The task's attempt.
        attempt: AttemptId,
        /// The operator's reason.
        why: Option<Untrusted>,
    },
    /// Cancel a task, and the tasks that it delegated, at any depth.
    CancelWithDelegated {
        /// The task's attempt. If the task has ended, what it delegated is canceled all the same.
        attempt: AttemptId,
        /// The operator's reason.
        why: Option<Untrusted>,
    },
    /// Send an uncertain attempt once more, with the same message id.
    Resend {
        /// The attempt.
        attempt: AttemptId,
        /// The operator's reason.
        why: Option<Untrusted>,
    },
    /// Presume that an uncertain attempt was lost.
    PresumeLost {
        /// The attempt.
        attempt: AttemptId,
        /// The operator's reason.
        why: Option<Untrusted>,
    },
    /// Try a job again whose last attempt ended without a result, was not sent, or is uncertain and given up by this.
    Retry {
        /// Its last attempt.
        attempt: AttemptId,
        /// The agent; `None` leaves the choice to the router, agents that were not tried first.
        to: Option<AgentId>,
        /// What it takes along from the last attempt.
        carry: Carry,
        /// The operator's reason.
        why: Option<Untrusted>,
    },
    /// Try a job again that ended in the queue, before any attempt of it.
    Requeue {
        /// The job.
        job: JobId,
        /// The agent; `None` leaves the choice to the router.
        to: Option<AgentId>,
        /// The operator's reason.
        why: Option<Untrusted>,
    },
    /// Race a live task: send another attempt beside it. The first that completes wins, and the others are canceled.
    Race {
        /// The task's attempt.
        attempt: AttemptId,
        /// The agent; `None` leaves the choice to the router.
        to: Option<AgentId>,
        /// The operator's reason.
        why: Option<Untrusted>,
    },
    /// Move a job whose task is alive: cancel the task, and send the job elsewhere once the task was seen to end.
    Reroute {
        /// The task's attempt.
        attempt: AttemptId,
        /// The agent; `None` leaves the choice to the router.
        to: Option<AgentId>,
        /// What it takes along from the task.
        carry: Carry,
        /// The operator's reason.
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
        /// The agents in the order typed.
        specs: Vec<AgentSpec>,
    },
    /// Add an agent permanently: it stays in the fleet until an operator removes it.
    AddAgent {
        /// The URL of its card, or its origin.
        url: Arc<str>,
        /// The operator's name.
        by: Untrusted,
    },
    /// Remove an agent that was added permanently; it leaves the fleet unless a source or the configuration names it too.
    RemoveAgent {
        /// The agent.
        agent: AgentId,
        /// The operator's reason.
        why: Option<Untrusted>,
        /// The operator's name.
        by: Untrusted,
    },
    /// Hold an agent's breaker open or closed, or return it to automatic.
    Breaker {
        /// The agent.
        agent: AgentId,
        /// The position to hold; `None` returns the breaker to automatic.
        to: Option<BreakerState>,
        /// The operator's reason.
        why: Option<Untrusted>,
        /// The operator's name.
        by: Untrusted,
    },
    /// Take an agent out of service, or put it back.
    Service {
        /// The agent.
        agent: AgentId,
        /// What to do with it.
        to: ServiceChange,
        /// The operator's reason.
        why: Option<Untrusted>,
        /// The operator's name.
        by: Untrusted,
    },
    /// Move an agent's work to a successor step by step, or change how far that is.
    Shift {
        /// The legacy agent.
        agent: AgentId,
        /// What to do.
        change: ShiftChange,
        /// The operator's reason.
        why: Option<Untrusted>,
        /// The operator's name.
        by: Untrusted,
    },
    /// Take, give back, mute or unmute a problem.
    OnProblem {
        /// The N of `p-N`.
        number: u32,
        /// What to do with it.
        act: ProblemAct,
        /// The operator's name.
        by: Untrusted,
    },
    /// Record a note for the next operator.
    Note {
        /// The problem that the note is about.
        problem: Option<u32>,
        /// The agent that the note is about.
        agent: Option<AgentId>,
        /// The attempt that the note is about.
        attempt: Option<AttemptId>,
        /// The operator's name.
        by: Untrusted,
        /// The note's text.
        text: Untrusted,
    },
    /// Take a note back.
    TakeBackNote {
        /// The problem that the note is about.
        problem: Option<u32>,
        /// The agent that the note is about.
        agent: Option<AgentId>,
        /// The attempt that the note is about.
        attempt: Option<AttemptId>,
        /// The operator's name; nobody takes back the notes of others.
        by: Untrusted,
        /// The note's text.
        text: Untrusted,
    },
    /// Follow a task that is not known yet.
    Adopt {
        /// The agent.
        agent: AgentId,
        /// The task id assigned by the agent.
        task: TaskId,
    },
}

/// A new job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Send {
    /// The id of the job, chosen by the caller; `None` lets the core choose one. If there is a job of this id, nothing is
    /// sent, and the receipt names that job, so that a caller that was interrupted can repeat itself.
    pub job: Option<JobId>,
    /// Where it is to go.
    pub target: Target,
    /// The parts of the message.
    pub parts: Vec<Part>,
    /// The conversation to continue; `None` starts a new one.
    pub context: Option<ContextId>,
    /// An existing task to continue, which may be unknown here; [`Intent::Answer`] is for known ones.
    pub task: Option<TaskId>,
    /// The message's metadata object.
    pub metadata: Option<Json>,
    /// The requested skill.
    pub skill: Option<Untrusted>,
    /// The caller.
    pub caller: Option<Untrusted>,
    /// The task that delegated this job.
    pub parent: Option<TaskId>,
    /// The time after which nothing more is tried; `None` for that of the route, or no limit.
    pub deadline: Option<Duration>,
    /// Its priority in the queue; `None` for that of the route.
    pub priority: Option<u8>,
}

impl Send {
    /// A message of these parts and nothing more, in a conversation of its own.
    pub fn new(agent: AgentId, parts: Vec<Part>) -> Self {
        Self::to(Target::Agent(agent), parts)
    }

    /// The same for a target.
    pub fn to(target: Target, parts: Vec<Part>) -> Self {
        Self {
            job: None,
            target,
            parts,
            context: None,
            task: None,
            metadata: None,
            skill: None,
            caller: None,
            parent: None,
            deadline: None,
            priority: None,
        }
    }
}

/// Where an intent has its reason, as a reference of the kind by which the intent is given; `None` if it takes none. A mute,
/// which must have one, is told apart before.
macro_rules! reason_of {
    ($intent:expr) => {
        match $intent {
            Intent::Cancel { why, .. }
            | Intent::CancelWithDelegated { why, .. }
            | Intent::Requeue { why, .. }
            | Intent::Race { why, .. }
            | Intent::Shift { why, .. }
            | Intent::Resend { why, .. }
            | Intent::PresumeLost { why, .. }
            | Intent::Retry { why, .. }
            | Intent::Reroute { why, .. }
            | Intent::RemoveAgent { why, .. }
            | Intent::Breaker { why, .. }
            | Intent::Service { why, .. } => Some(why),
            Intent::Send(_)
            | Intent::Answer { .. }
            | Intent::CheckAgent { .. }
            | Intent::CheckTask { .. }
            | Intent::AddAgents { .. }
            | Intent::AddAgent { .. }
            | Intent::OnProblem { .. }
            | Intent::Note { .. }
            | Intent::TakeBackNote { .. }
            | Intent::Adopt { .. } => None,
        }
    };
}

impl Intent {
    /// The attempt that it is about; `None` if it is about none.
    pub fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::Answer { attempt, .. }
            | Self::Cancel { attempt, .. }
            | Self::CancelWithDelegated { attempt, .. }
            | Self::Resend { attempt, .. }
            | Self::PresumeLost { attempt, .. }
            | Self::Retry { attempt, .. }
            | Self::Reroute { attempt, .. }
            | Self::Race { attempt, .. }
            | Self::CheckTask { attempt } => Some(*attempt),
            Self::Send(_)
            | Self::Requeue { .. }
            | Self::CheckAgent { .. }
            | Self::AddAgents { .. }
            | Self::AddAgent { .. }
            | Self::RemoveAgent { .. }
            | Self::Breaker { .. }
            | Self::Shift { .. }
            | Self::Service { .. }
            | Self::OnProblem { .. }
            | Self::Note { .. }
            | Self::TakeBackNote { .. }
            | Self::Adopt { .. } => None,
        }
    }

    /// True for intents that change something, at an agent or for other operators.
    pub fn acts(&self) -> bool {
        match self {
            Self::Send(_)
            | Self::Answer { .. }
            | Self::Cancel { .. }
            | Self::CancelWithDelegated { .. }
            | Self::Resend { .. }
            | Self::PresumeLost { .. }
            | Self::Retry { .. }
            | Self::Reroute { .. }
            | Self::Requeue { .. }
            | Self::Race { .. }
            | Self::AddAgent { .. }
            | Self::RemoveAgent { .. }
            | Self::Breaker { .. }
            | Self::Service { .. }
            | Self::Shift { .. }
            | Self::OnProblem { .. }
            | Self::Note { .. }
            | Self::TakeBackNote { .. } => true,
            Self::CheckAgent { .. }
            | Self::CheckTask { .. }
            | Self::AddAgents { .. }
            | Self::Adopt { .. } => false,
        }
    }

    /// The operator's reason, if one was given.
    pub fn why(&self) -> Option<&Untrusted> {
        match self {
            Self::OnProblem { act: ProblemAct::Mute { why, .. }, .. } => Some(why),
            intent => reason_of!(intent).and_then(Option::as_ref),
        }
    }

    /// The same intent for this reason, if it is one that takes reasons.
    #[must_use]
    pub fn because(mut self, reason: Untrusted) -> Self {
        match &mut self {
            Self::OnProblem { act: ProblemAct::Mute { why, .. }, .. } => *why = reason,
            intent => {
                if let Some(why) = reason_of!(intent) {
                    *why = Some(reason);
                }
            }
        }
        self
    }

    /// The name of the operator in the intent itself.
    pub fn by(&self) -> Option<&Untrusted> {
        match self {
            Self::AddAgent { by, .. }
            | Self::RemoveAgent { by, .. }
            | Self::Breaker { by, .. }
            | Self::Service { by, .. }
            | Self::Shift { by, .. }
            | Self::OnProblem { by, .. }
            | Self::Note { by, .. }
            | Self::TakeBackNote { by, .. } => Some(by),
            Self::Send(_)
            | Self::Answer { .. }
            | Self::Cancel { .. }
            | Self::CancelWithDelegated { .. }
            | Self::Requeue { .. }
            | Self::Race { .. }
            | Self::Resend { .. }
            | Self::PresumeLost { .. }
            | Self::Retry { .. }
            | Self::Reroute { .. }
            | Self::CheckAgent { .. }
            | Self::CheckTask { .. }
            | Self::AddAgents { .. }
            | Self::Adopt { .. } => None,
        }
    }

    /// True if a protected fleet takes it with a reason only: it takes work away from an agent, or it ends or repeats work
    /// and is one of several that are done at once. What puts an agent back needs none.
    pub fn wants_reason(&self, is_bulk: bool) -> bool {
        match self {
            Self::RemoveAgent { .. } | Self::Breaker { to: Some(_), .. } => true,
            Self::Service { to, .. } => *to != ServiceChange::Resume,
            Self::Shift { change, .. } => matches!(change, ShiftChange::Begin(_)),
            Self::Cancel { .. }
            | Self::CancelWithDelegated { .. }
            | Self::Requeue { .. }
            | Self::Race { .. }
            | Self::Resend { .. }
            | Self::PresumeLost { .. }
            | Self::Retry { .. }
            | Self::Reroute { .. } => is_bulk,
            Self::Send(_)
            | Self::Answer { .. }
            | Self::CheckAgent { .. }
            | Self::CheckTask { .. }
            | Self::AddAgents { .. }
            | Self::AddAgent { .. }
            | Self::Breaker { to: None, .. }
            | Self::OnProblem { .. }
            | Self::Note { .. }
            | Self::TakeBackNote { .. }
            | Self::Adopt { .. } => false,
        }
    }
}

/// The result of an accepted intent, once it is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Receipt {
    /// A job was accepted.
    Taken {
        /// The job.
        job: JobId,
        /// Its newest attempt; `None` while the job waits for an agent.
        attempt: Option<AttemptId>,
    },
    /// Done, or in progress.
    Done,
    /// Agents that were added or already in the fleet, in the requested order.
    Agents(Vec<AgentId>),
}

/// Why an intent was refused. Unless the variant says otherwise, nothing was started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The surface that it came from was started to watch only. The engine never refuses for this reason.
    ReadOnly,
    /// There is no such agent, job, attempt or task; the text names it.
    Unknown(Untrusted),
    /// The current state does not allow it; the text is the reason.
    NotNow(Untrusted),
    /// The same, and this can be done instead.
    Instead(Untrusted, Remedy),
    /// It could not be started.
    Cause(Arc<Cause>),
    /// The engine has stopped; nothing was started.
    Busy,
    /// The engine ended before it answered. It may have accepted the intent, in which case the next engine continues it.
    Unanswered,
}

/// What can be done instead of an act that was refused. Each surface names its own command or key for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Remedy {
    /// Try the job again.
    Retry,
    /// Move the task.
    Reroute,
    /// Take the attempt as lost, and then try the job again elsewhere.
    PresumeLost,
    /// Name the agent.
    NameAgent,
    /// Look at what waits, and for what.
    LookAtQueue,
    /// Let the router explain itself, by the rules of a route if the message asked for one.
    Explain(Option<Arc<str>>),
    /// Look at the shifts.
    LookAtShifts,
    /// Give the breaker back to the engine.
    ReleaseBreaker,
    /// Close the breaker.
    CloseBreaker,
    /// Put the agent back in service.
    Resume,
    /// Give a reason.
    GiveReason,
}

impl Remedy {
    /// The word in JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Reroute => "reroute",
            Self::PresumeLost => "presume-lost",
            Self::NameAgent => "name-agent",
            Self::LookAtQueue => "look-at-queue",
            Self::Explain(_) => "explain",
            Self::LookAtShifts => "look-at-shifts",
            Self::ReleaseBreaker => "release-breaker",
            Self::CloseBreaker => "close-breaker",
            Self::Resume => "resume",
            Self::GiveReason => "give-reason",
        }
    }

    /// The remedy of a word, with the route that it may name.
    pub fn of(word: &str, route: Option<Arc<str>>) -> Option<Self> {
        let all = [
            Self::Retry,
            Self::Reroute,
            Self::PresumeLost,
            Self::NameAgent,
            Self::LookAtQueue,
            Self::Explain(route),
            Self::LookAtShifts,
            Self::ReleaseBreaker,
            Self::CloseBreaker,
            Self::Resume,
            Self::GiveReason,
        ];
        all.into_iter().find(|remedy| remedy.as_str() == word)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ReadOnly => f.write_str("--read-only was given, so nothing is changed from here"),
            Self::Unknown(what) => write!(f, "there is no {what}"),
            Self::NotNow(why) | Self::Instead(why, _) => write!(f, "{why}"),
            Self::Cause(cause) => cause.fmt(f),
            Self::Busy => f.write_str("the engine has stopped; try again"),
            Self::Unanswered => f.write_str("the engine ended before it answered and may have accepted this"),
        }
    }
}
