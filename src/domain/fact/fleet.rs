//! Facts of the fleet as a whole.

use std::sync::Arc;

use crate::domain::cause::Cause;
use crate::domain::fleet::source::{SourceHealth, SourceSpec};
use crate::domain::id::{AgentId, AttemptId, JobId};
use crate::domain::problem::{Kind, NotificationEvent};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// What an operator can change at an agent, except for sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Asked the agent to cancel a task.
    Cancel,
    /// Answered a question of a task.
    Answer,
    /// Sent again what may not have arrived.
    Resend,
    /// Declared an uncertain attempt lost.
    PresumeLost,
}

impl Act {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "asked for the end of",
            Self::Answer => "answered",
            Self::Resend => "sent again",
            Self::PresumeLost => "took as lost",
        }
    }
}

/// What happened to the fleet as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FleetFact {
    /// An engine began to watch.
    WatchStarted,
    /// No engine watched until now.
    WatchPaused {
        /// The last moment at which one did.
        from: At,
    },
    /// The journal could not be written for a while. Its facts of that time are lost, the state is not.
    JournalGap {
        /// The first moment of that time.
        from: At,
        /// How many facts are lost.
        facts: u64,
    },
    /// A problem was found.
    ProblemRaised {
        /// The `N` of `p-N`.
        number: u32,
        /// What is wrong.
        kind: Kind,
        /// The agent that it concerns; `None` if it concerns none, or several.
        agent: Option<AgentId>,
        /// The attempt that it concerns, with its job; `None` if it concerns no single one.
        attempt: Option<(JobId, AttemptId)>,
        /// The configured name of the source of agents, or of the objective, that it concerns, if any.
        source: Option<Arc<str>>,
        /// What is wrong, as a sentence for people.
        text: Untrusted,
        /// The next step, as a sentence for people.
        next: Untrusted,
    },
    /// A problem is described in other words than before.
    ProblemReworded {
        /// The `N` of `p-N`.
        number: u32,
        /// What is wrong, as a sentence for people.
        text: Untrusted,
        /// The next step, as a sentence for people.
        next: Untrusted,
    },
    /// A problem is over.
    ProblemCleared {
        /// The `N` of `p-N`.
        number: u32,
        /// The number of the problem that has absorbed it and goes on; `None` if it is really over.
        into: Option<u32>,
    },
    /// A notification about a problem is to be posted to the webhook.
    NotificationDue {
        /// The `N` of `p-N`.
        number: u32,
        /// The event that it reports.
        event: NotificationEvent,
        /// The number of the problem that absorbed this one when it cleared; `None` if none did.
        into: Option<u32>,
    },
    /// A problem was posted to the webhook, or could not be: the notification is no longer due.
    ProblemPosted {
        /// The `N` of `p-N`.
        number: u32,
        /// The event that was reported.
        event: NotificationEvent,
        /// Why the post failed; `None` if it succeeded.
        failed: Option<Untrusted>,
    },
    /// The actor attends to a problem.
    ProblemTaken {
        /// The `N` of `p-N`.
        number: u32,
    },
    /// Nobody attends to a problem any more; the actor said so.
    ProblemGivenBack {
        /// The `N` of `p-N`.
        number: u32,
    },
    /// The actor muted a problem.
    ProblemMuted {
        /// The `N` of `p-N`.
        number: u32,
        /// The actor's reason.
        why: Untrusted,
        /// When the mute ends.
        until: At,
    },
    /// A problem is no longer muted: the actor said so, or, if there is none, its mute had run out.
    ProblemUnmuted {
        /// The `N` of `p-N`.
        number: u32,
    },
    /// The actor left a note. At most one of its subjects is set; none if it is about the fleet.
    NoteMade {
        /// The number of the problem that it is about.
        problem: Option<u32>,
        /// The agent that it is about.
        agent: Option<AgentId>,
        /// The attempt that it is about, with its job.
        attempt: Option<(JobId, AttemptId)>,
        /// The note.
        text: Untrusted,
    },
    /// The actor changed something at an agent.
    Acted {
        /// The change.
        act: Act,
        /// The attempt that was changed, with its job.
        attempt: (JobId, AttemptId),
        /// The agent that has the attempt.
        agent: AgentId,
    },
    /// A cleared problem was removed.
    ProblemForgotten {
        /// The `N` of `p-N`.
        number: u32,
    },
    /// A source of agents was configured, or its configuration changed.
    SourceListed {
        /// As configured.
        spec: SourceSpec,
    },
    /// A source of agents is no longer configured.
    SourceUnlisted {
        /// Its configured name.
        name: Arc<str>,
    },
    /// A source of agents works better or worse than before, or names more or fewer agents.
    SourceTold {
        /// Its configured name.
        name: Arc<str>,
        /// Whether it can be read.
        health: SourceHealth,
        /// Why it fails; `None` while it works.
        cause: Option<Arc<Cause>>,
        /// How many agents it names.
        agents: u32,
    },
}
