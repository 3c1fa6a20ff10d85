//! What happened, in the past tense. Facts are journaled; replaying them through `apply` rebuilds the state.

use std::sync::Arc;

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::card::{Card, Dialect, Interface};
use crate::domain::agent::{AgentSpec, Health};
use crate::domain::cause::Cause;
use crate::domain::fleet::source::{SourceHealth, SourceSpec};
use crate::domain::id::{AgentId, AttemptId, ContextId, JobId, MessageId, TaskId};
use crate::domain::job::message::{Json, Message, Part};
use crate::domain::job::task::{CancelMark, ProtocolViolation, TaskState, Verdict, Via};
use crate::domain::job::{Origin, Phase};
use crate::domain::problem::Kind;
use crate::domain::text::Untrusted;
use crate::domain::time::{At, PeerTime};

/// Whose fact it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner {
    /// This watch over the fleet: starts, pauses, problems.
    Watch,
    /// An agent.
    Agent(AgentId),
    /// A job with its attempts and tasks.
    Job(JobId),
}

/// What an operator can change at an agent, but for sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Asked for the end of a task.
    Cancel,
    /// Answered a question.
    Answer,
    /// Sent once more what may not have arrived.
    Resend,
    /// Took it as lost.
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

/// One thing that happened, with everything that was chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// When, on the engine's clock.
    pub at: At,
    /// Whose.
    pub owner: Owner,
    /// The owner's how-manieth, from 1.
    pub seq: u64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    // The watch
    /// An engine began to watch.
    WatchStarted,
    /// Nobody watched since then.
    WatchPaused {
        /// Since.
        from: At,
    },
    /// Facts could not be written between these times; what they said is lost, the state is not.
    JournalGap {
        /// Since.
        from: At,
        /// How many.
        facts: u64,
    },
    /// A problem was found.
    ProblemRaised {
        /// `p-N`
        number: u32,
        /// What is wrong.
        kind: Kind,
        /// With which agent.
        agent: Option<AgentId>,
        /// With which attempt of which job.
        attempt: Option<(JobId, AttemptId)>,
        /// With which source of agents.
        source: Option<Arc<str>>,
        /// In words.
        text: Untrusted,
        /// What to do.
        next: Untrusted,
    },
    /// A problem's words changed.
    ProblemReworded {
        /// `p-N`
        number: u32,
        /// In words.
        text: Untrusted,
        /// What to do.
        next: Untrusted,
    },
    /// A problem is over.
    ProblemCleared {
        /// `p-N`
        number: u32,
        /// It is told by this other problem from here on: it is not over for whom it hits.
        into: Option<u32>,
    },
    /// A problem was posted to the webhook, or could not be.
    ProblemPosted {
        /// `p-N`
        number: u32,
        /// `raised` or `cleared`.
        event: Untrusted,
        /// Why it could not be.
        failed: Option<Untrusted>,
    },
    /// Somebody attends to a problem.
    ProblemTaken {
        /// `p-N`
        number: u32,
        /// Who.
        by: Untrusted,
    },
    /// Nobody attends to a problem any more.
    ProblemGivenBack {
        /// `p-N`
        number: u32,
        /// Who said so.
        by: Untrusted,
    },
    /// Nobody wants to hear of a problem for a while.
    ProblemMuted {
        /// `p-N`
        number: u32,
        /// Who said so.
        by: Untrusted,
        /// Why.
        why: Untrusted,
        /// Until when.
        until: At,
    },
    /// A problem is heard of again.
    ProblemUnmuted {
        /// `p-N`
        number: u32,
        /// Who said so; nobody if its time was over.
        by: Option<Untrusted>,
    },
    /// A note for whoever comes next.
    NoteMade {
        /// About this problem.
        problem: Option<u32>,
        /// About this agent.
        agent: Option<AgentId>,
        /// About this attempt of this job.
        attempt: Option<(JobId, AttemptId)>,
        /// Who.
        by: Untrusted,
        /// What.
        text: Untrusted,
    },
    /// An operator changed something at an agent.
    Acted {
        /// Who.
        by: Untrusted,
        /// What.
        act: Act,
        /// Of which attempt of which job.
        attempt: (JobId, AttemptId),
        /// At which agent.
        agent: AgentId,
    },
    /// A cleared problem was removed.
    ProblemForgotten {
        /// `p-N`
        number: u32,
    },

    /// A source of agents was configured, or anew.
    SourceListed {
        /// As configured.
        spec: SourceSpec,
    },
    /// A source of agents is no longer configured.
    SourceUnlisted {
        /// Which.
        name: Arc<str>,
    },
    /// A source of agents is better or worse, or names more or fewer agents.
    SourceTold {
        /// Which.
        name: Arc<str>,
        /// How it is.
        health: SourceHealth,
        /// Why it fails.
        cause: Option<Arc<Cause>>,
        /// How many agents it names.
        agents: u32,
    },

    // An agent
    /// Seen for the first time.
    AgentListed {
        /// What the operator set.
        spec: Arc<AgentSpec>,
        /// Its place.
        order: u32,
        /// Its name until its card says more.
        name: Untrusted,
    },
    /// It is listed again, or with other settings.
    AgentRelisted {
        /// What the operator set.
        spec: Arc<AgentSpec>,
        /// Its place.
        order: u32,
    },
    /// Other sources name it than before.
    AgentSourced {
        /// All that name it now.
        sources: Vec<Arc<str>>,
    },
    /// An operator added it for good.
    AgentAdded {
        /// Who.
        by: Untrusted,
    },
    /// An operator took it out of what was added for good.
    AgentRemoved {
        /// Who.
        by: Untrusted,
    },
    /// It left the fleet.
    AgentUnlisted,
    /// It has another name.
    AgentNamed {
        /// Unique among the listed.
        name: Untrusted,
    },
    /// Its card was read for the first time, or changed.
    CardSeen {
        /// The card.
        card: Arc<Card>,
    },
    /// It showed a certificate that ends at another time than the one before.
    CertificateSeen {
        /// When it ends; none if it uses TLS no longer.
        until: Option<At>,
    },
    /// Its server says something else of itself than before.
    ServerSeen {
        /// `uvicorn`, `Express`
        server: Option<Untrusted>,
    },
    /// What the card that was just read changed, in words.
    CardChanged {
        /// `version 2.4.0 → 2.4.1; skills: + refund`
        words: Untrusted,
    },
    /// The interface that we call was chosen anew.
    InterfaceChosen {
        /// `None`: it offers none that we speak.
        interface: Option<Arc<Interface>>,
    },
    /// A call has shown that the other dialect works there.
    DialectSettled {
        /// The one that works.
        dialect: Dialect,
    },
    /// It is better or worse.
    HealthChanged {
        /// How it is.
        health: Health,
        /// Why.
        cause: Option<Arc<Cause>>,
        /// The last sign of life.
        last_seen: At,
    },
    /// Its breaker opened or closed, by itself or by somebody's hand.
    BreakerMoved {
        /// Where it stands.
        position: BreakerState,
        /// Why it opened.
        cause: Option<Arc<Cause>>,
        /// Who holds it there.
        forced: Option<Untrusted>,
    },
    /// It sent control sequences or hidden characters.
    TextDisarmed {
        /// How many more.
        count: u32,
    },

    // A job
    /// Somebody wanted something, or we found that somebody had.
    JobOpened {
        /// Sent or found.
        origin: Origin,
        /// First words.
        title: Untrusted,
        /// Who asked.
        caller: Option<Untrusted>,
        /// For which skill.
        skill: Option<Untrusted>,
        /// In which conversation.
        context: Option<ContextId>,
        /// Delegated by.
        parent: Option<TaskId>,
        /// What is to be sent.
        message: Option<Arc<Message>>,
    },
    /// What we know of a found job grew.
    JobExplained {
        /// First words.
        title: Untrusted,
        /// Who asked.
        caller: Option<Untrusted>,
        /// For which skill.
        skill: Option<Untrusted>,
        /// Delegated by.
        parent: Option<TaskId>,
    },
    /// A sending was decided, or a found task got its place.
    AttemptPlanned {
        /// The attempt.
        attempt: AttemptId,
        /// To whom.
        agent: AgentId,
        /// Its message.
        message_id: Option<MessageId>,
    },
    /// A sending moved on.
    AttemptMoved {
        /// The attempt.
        attempt: AttemptId,
        /// Where to.
        phase: Phase,
        /// Why.
        cause: Option<Arc<Cause>>,
    },
    /// The agent made a task of it, or it was found.
    TaskSeen {
        /// The attempt.
        attempt: AttemptId,
        /// The agent's id.
        task: TaskId,
        /// The conversation.
        context: Option<ContextId>,
        /// Its state.
        state: TaskState,
        /// The agent's clock.
        peer_time: Option<PeerTime>,
        /// How we learnt of it.
        via: Via,
        /// The object as it came.
        raw: Option<Json>,
    },
    /// The task's state changed, or was said again with other words.
    StateSeen {
        /// The attempt.
        attempt: AttemptId,
        /// Its state.
        state: TaskState,
        /// The conversation, if it was not known before.
        context: Option<ContextId>,
        /// The agent's clock.
        peer_time: Option<PeerTime>,
        /// How we learnt of it.
        via: Via,
        /// The event as it came.
        raw: Option<Json>,
    },
    /// A terminal state sticks; this is what else was claimed.
    ClaimSeen {
        /// The attempt.
        attempt: AttemptId,
        /// What it says now; `None`: it agrees again.
        says: Option<TaskState>,
        /// Where it says so.
        via: Via,
    },
    /// A message of the conversation.
    MessageSeen {
        /// The attempt.
        attempt: AttemptId,
        /// The message.
        message: Arc<Message>,
        /// True if it came with a state.
        status: bool,
    },
    /// An output began, grew or was replaced.
    ArtifactSeen {
        /// The attempt.
        attempt: AttemptId,
        /// Which.
        artifact: Untrusted,
        /// For people.
        name: Option<Untrusted>,
        /// True if the parts go behind what is there.
        append: bool,
        /// The parts.
        parts: Arc<Vec<Part>>,
        /// True if it is complete.
        last: bool,
    },
    /// Nobody tells us anything from here on.
    GapOpened {
        /// The attempt.
        attempt: AttemptId,
        /// The last moment that was watched.
        since: At,
        /// Why.
        cause: Option<Arc<Cause>>,
    },
    /// We know again.
    GapClosed {
        /// The attempt.
        attempt: AttemptId,
        /// How we learnt of it.
        via: Via,
        /// True if something had changed meanwhile.
        changed: bool,
    },
    /// What we doubt changed.
    VerdictChanged {
        /// The attempt.
        attempt: AttemptId,
        /// The doubt.
        verdict: Option<Verdict>,
    },
    /// A cancel moved on.
    CancelMoved {
        /// The attempt.
        attempt: AttemptId,
        /// How far.
        mark: CancelMark,
        /// Why it is unconfirmed.
        cause: Option<Arc<Cause>>,
    },
    /// An agent goes on emitting although it agreed to a cancel.
    CancelIgnored {
        /// The attempt.
        attempt: AttemptId,
        /// Events since it agreed.
        events: u32,
    },
    /// An answer moved on.
    AnswerMoved {
        /// The attempt.
        attempt: AttemptId,
        /// What is said.
        message: Arc<Message>,
        /// How far.
        phase: Phase,
        /// Why.
        cause: Option<Arc<Cause>>,
    },
    /// An operator said why, in the same turn as the act.
    ReasonGiven {
        /// The attempt.
        attempt: AttemptId,
        /// Who.
        by: Untrusted,
        /// Why.
        why: Untrusted,
    },
    /// Something that the protocol does not allow.
    OddityObserved {
        /// The attempt.
        attempt: AttemptId,
        /// What.
        oddity: ProtocolViolation,
    },
    /// Ended and compared, or given up: nothing more is expected.
    Settled {
        /// The attempt.
        attempt: AttemptId,
    },
    /// It was removed with its history, by the rules of retention.
    JobForgotten,
}
