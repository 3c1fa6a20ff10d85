//! Facts of the fleet as a whole.

use std::sync::Arc;

use crate::domain::agent::breaker::BreakerState;
use crate::domain::cause::Cause;
use crate::domain::fleet::source::{SourceHealth, SourceSpec};
use crate::domain::id::{AgentId, AttemptId, JobId};
use crate::domain::problem::{Kind, NotificationEvent};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// Changes that an operator can make at an agent, except for sending.
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
    /// Tried a job again.
    Retry,
    /// Moved a job to another agent.
    Reroute,
    /// Sent another attempt beside a live task.
    Race,
}

impl Act {
    /// The words in a log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "asked for the end of",
            Self::Answer => "answered",
            Self::Resend => "sent again",
            Self::PresumeLost => "presumed lost",
            Self::Retry => "tried again",
            Self::Reroute => "moved",
            Self::Race => "raced",
        }
    }
}

/// Facts of the fleet as a whole.
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
    /// The rules of routing were loaded.
    RoutesLoaded {
        /// Which version of them: a hash of what they say.
        revision: u64,
        /// How many rules.
        rules: u32,
    },
    /// A problem was found.
    ProblemRaised {
        /// The `N` of `p-N`.
        number: u32,
        /// The kind of problem.
        kind: Kind,
        /// The agent that it concerns; `None` if it concerns none, or several.
        agent: Option<AgentId>,
        /// The attempt that it concerns, with its job; `None` if it concerns no single one.
        attempt: Option<(JobId, AttemptId)>,
        /// The configured name of the source of agents, or of the objective, that it concerns, if any.
        source: Option<Arc<str>>,
        /// The description, as a sentence for operators.
        text: Untrusted,
        /// The next step, as a sentence for people.
        next: Untrusted,
    },
    /// The description of a problem changed.
    ProblemReworded {
        /// The `N` of `p-N`.
        number: u32,
        /// The description, as a sentence for operators.
        text: Untrusted,
        /// The next step, as a sentence for people.
        next: Untrusted,
        /// True if it does no more harm, and clears unless that comes back.
        eased: bool,
    },
    /// A problem cleared.
    ProblemCleared {
        /// The `N` of `p-N`.
        number: u32,
        /// The number of the problem that absorbed it and stays open; `None` if it really cleared.
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
    /// The actor gave a problem back.
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
    /// A problem is no longer muted: the actor unmuted it, or, without an actor, its mute expired.
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
    /// The actor opened or closed the breaker of an agent, or left it to itself again.
    BreakerSet {
        /// The agent.
        agent: AgentId,
        /// Where the actor holds it; `None` if it works automatically again.
        to: Option<BreakerState>,
        /// The actor's reason, if one was given.
        why: Option<Untrusted>,
    },
    /// The actor took back a note of this subject and text.
    NoteTakenBack {
        /// The number of the problem that it was about.
        problem: Option<u32>,
        /// The agent that it was about.
        agent: Option<AgentId>,
        /// The attempt that it was about, with its job.
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
        /// Its configuration.
        spec: SourceSpec,
    },
    /// A source of agents is no longer configured.
    SourceUnlisted {
        /// Facts of a job and its attempts.
        name: Arc<str>,
    },
    /// A source of agents works better or worse than before, or names more or fewer agents.
    SourceReported {
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
