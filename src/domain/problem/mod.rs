//! Faults that the console finds: each with its subject, since when, and the next step.

pub mod diagnosis;
pub mod shared_attributes;
pub mod thresholds;

use std::sync::Arc;

use crate::domain::id::{AgentKey, SourceKey};
use crate::domain::job::task::{CancelMark, Verdict};
use crate::domain::job::{Attempt, Phase};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// How much it hurts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Could hurt.
    Warn,
    /// Hurts now.
    Bad,
}

impl Severity {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// Whom a problem is about. Tasks are told with their agent: one silent agent is one problem, not forty.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// This console.
    Console,
    /// An agent, or tasks of it.
    Agent(AgentKey),
    /// A source of agents.
    Source(SourceKey),
    /// A host with several agents, by the first of them that was known.
    Host(AgentKey),
    /// An objective, by the hash of its name.
    Objective(u32),
}

impl Subject {
    /// An objective, by its name.
    pub fn objective(name: &str) -> Self {
        let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        Self::Objective(name.bytes().fold(0x811c_9dc5, mix))
    }

    /// The agent by which it is kept: itself, or the first of a host.
    pub fn agent(self) -> Option<AgentKey> {
        match self {
            Self::Agent(key) | Self::Host(key) => Some(key),
            Self::Console | Self::Source(_) | Self::Objective(_) => None,
        }
    }

    /// What a problem of a kind is about, by what it was kept with.
    pub fn of(kind: Kind, agent: Option<AgentKey>, source: Option<SourceKey>) -> Self {
        match (source, agent) {
            (Some(source), _) => Self::Source(source),
            (None, Some(agent)) if kind == Kind::HostDown => Self::Host(agent),
            (None, Some(agent)) => Self::Agent(agent),
            (None, None) => Self::Console,
        }
    }

    /// The agent that a problem is about, if it is about one.
    pub fn one(self) -> Option<AgentKey> {
        match self {
            Self::Agent(key) => Some(key),
            Self::Console | Self::Source(_) | Self::Host(_) | Self::Objective(_) => None,
        }
    }
}

macro_rules! kinds {
    ($($name:ident $text:literal $severity:ident $doc:literal $clears:literal),* $(,)?) => {
        /// What is wrong; the lints are in `decide::lint`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Kind {
            $(#[doc = $doc] $name,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// By its word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($text => Some(Self::$name),)* _ => None }
            }

            /// How much it hurts.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// How it is over by itself.
            pub fn clears(self) -> &'static str {
                match self { $(Self::$name => $clears,)* }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }
        }
    };
}

kinds! {
    AgentDown "agent-down" Bad "An agent refuses connections or resets them, or there is no way to it."
        "when it answers again",
    AgentFrozen "agent-frozen" Bad "An agent takes connections and answers nothing, or vanished without closing them."
        "when it answers again",
    CertificateBroken "certificate-broken" Bad "An agent's certificate has expired, or cannot be trusted."
        "when a connection to it can be trusted again",
    CertificateEnds "certificate-ends" Warn "An agent's certificate ends within two weeks."
        "when the agent shows one that lasts longer",
    LoginNeeded "login-needed" Bad "An agent answers 401 or 403."
        "when it takes our credentials",
    HostDown "host-down" Bad "Most agents of one host cannot be reached; they are told here, not each by itself."
        "when fewer than half as many as raised it cannot be reached; each is told by itself then",
    SourceDown "source-down" Bad "Most agents that one source names cannot be reached, on several hosts; they are told here."
        "when fewer than half as many as raised it cannot be reached; each is told by itself then",
    AgentFailing "agent-failing" Bad "An agent fails the tasks that it is given."
        "when it ends eight tasks in a row well, or fewer than a tenth of the last twenty badly",
    SkillFailing "skill-failing" Bad "An agent fails the tasks of one skill, while those of its others go well."
        "when fewer than half of that skill's last tasks fail",
    AgentSlow "agent-slow" Warn "An agent answers calls that should be quick far slower than usual."
        "when its calls of two minutes are quick again",
    AgentDegraded "agent-degraded" Warn "An agent fails calls, or its card can no longer be read."
        "when its last 20 calls are well again and its card can be read",
    AgentFlapping "agent-flapping" Warn "An agent goes away and comes back again and again."
        "when it has stayed for ten minutes",
    BreakerOpen "breaker-open" Warn "An agent's breaker is open: nothing is sent to it."
        "when it closes: by itself after a sending that goes well, or by hand",
    OverCapacity "over-capacity" Warn "An agent has more tasks than it says it takes at once."
        "when it has a fifth less than it takes",
    NotSpoken "agent-not-spoken" Info "An agent is reachable but offers nothing that this console speaks."
        "when its card offers JSON-RPC of A2A 1.0 or 0.3",
    ObjectiveMissed "objective-missed" Bad "Work goes far worse than its objective allows, now and over the last hour."
        "when the last five minutes are as the objective allows",
    CardChanged "card-changed" Info "An agent's card is another one than before."
        "an hour after the change",
    AgentVersionOld "agent-version-old" Warn "An agent runs a version that is older than the configured minimum."
        "when it runs that version or a newer one",
    AgentVersionMixed "agent-version-mixed" Info "Replicas run two versions or more at once."
        "when they all run one",
    ClockSkew "clock-skew" Info "An agent's clock differs from ours."
        "when it is right within fifteen seconds",
    JournalUnsaved "journal-unsaved" Bad "The journal cannot be written; watching goes on, acting is refused."
        "when the journal can be written again",
    WebhookFailing "webhook-failing" Warn "Problems cannot be posted to the webhook: nobody is called."
        "when one can be posted again",
    SourceFailing "source-failing" Warn "A source of agents cannot be read; the agents that it named stay."
        "when it can be read again",
    CancelIgnored "cancel-ignored" Bad "An agent agreed to a cancel and goes on."
        "when the task ends",
    CancelUnconfirmed "cancel-unconfirmed" Warn "An agent did not confirm a cancel."
        "when the task is seen ended",
    SendUncertain "send-uncertain" Warn "Nobody can tell whether a sending arrived."
        "when its task is found, or when somebody decides",
    TaskLost "task-lost" Bad "An agent forgot a task when it restarted."
        "with the job, when it is removed",
    TaskStalled "task-stalled" Warn "A task's stream was cut, and its agent's answer has not changed since."
        "when the agent tells something new of it",
    TaskSilent "task-silent" Warn "A task is said to be running, and no event comes."
        "with the next event",
    StreamSilent "stream-silent" Warn "A task's stream was opened, and nothing ever came on it."
        "with the first event",
    TaskStuck "task-stuck" Warn "A task tells nothing for many times what is usual for its agent and skill."
        "with the next event",
    TaskLooping "task-looping" Warn "A task says the same again and again, and nothing new."
        "when it says something else",
    TaskConflict "task-conflict" Warn "Two sources of one agent disagree about a task."
        "when both agree, or with the job",
    ProtocolBroken "protocol-broken" Info "An agent did something that the protocol does not allow."
        "not by itself: it stays with the agent",
    HostileText "hostile-text" Info "An agent sent control sequences or hidden characters; they were disarmed."
        "not by itself: it stays with the agent",
}

/// One fault that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// `p-17` is number 17; never used again.
    pub number: u32,
    /// What is wrong.
    pub kind: Kind,
    /// With whom.
    pub subject: Subject,
    /// The agent it is about, if there is one.
    pub agent: Option<AgentKey>,
    /// The name of the objective it is about, if there is one.
    pub objective: Option<Arc<str>>,
    /// In words, without the name of the subject.
    pub text: Untrusted,
    /// What a person can do, in words.
    pub next: Untrusted,
    /// When it began.
    pub since: At,
    /// When it was over.
    pub cleared: Option<At>,
    /// Who attends to it.
    pub taken: Option<Taken>,
    /// Nobody wants to hear of it for a while.
    pub muted: Option<Muted>,
}

/// Who attends to a problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Who.
    pub by: Untrusted,
    /// Since when.
    pub at: At,
}

/// Why nobody wants to hear of a problem, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Muted {
    /// Who said so.
    pub by: Untrusted,
    /// Why.
    pub why: Untrusted,
    /// Until when.
    pub until: At,
}

/// What an operator does about a problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProblemAct {
    /// Attends to it.
    Take,
    /// Does not any more.
    GiveBack,
    /// Wants to hear nothing of it for a while.
    Mute {
        /// For how long.
        time: std::time::Duration,
        /// Why.
        why: Untrusted,
    },
    /// Wants to hear of it again.
    Unmute,
}

impl Problem {
    /// The word in JSON: `open`, `taken`, `muted` or `over`.
    pub fn state(&self) -> &'static str {
        match (self.cleared, &self.muted, &self.taken) {
            (Some(_), ..) => "over",
            (_, Some(_), _) => "muted",
            (_, _, Some(_)) => "taken",
            _ => "open",
        }
    }
}

impl Kind {
    /// Those that are about tasks of an agent.
    pub const OF_TASKS: &'static [Self] = &[
        Self::SendUncertain,
        Self::TaskLost,
        Self::TaskStalled,
        Self::TaskSilent,
        Self::StreamSilent,
        Self::TaskStuck,
        Self::TaskLooping,
        Self::TaskConflict,
        Self::CancelIgnored,
        Self::CancelUnconfirmed,
    ];

    /// True if an attempt belongs to the problem of this kind with its agent.
    pub fn is_about(self, attempt: &Attempt) -> bool {
        let task = attempt.task.as_ref();
        let verdict = |is: Verdict| task.is_some_and(|task| task.verdict == Some(is));
        // A cancel that is ignored is told as that, however it is marked.
        let cancel = |ignored: bool| {
            task.is_some_and(|task| {
                let marked = match task.cancel {
                    Some(CancelMark::Agreed) => ignored,
                    Some(CancelMark::Unconfirmed) => true,
                    _ => false,
                };
                marked && task.ignored == ignored && !task.is_over()
            })
        };
        match self {
            Self::SendUncertain => attempt.phase == Phase::Uncertain,
            Self::TaskLost => verdict(Verdict::Lost),
            Self::TaskStalled => verdict(Verdict::Stalled),
            Self::TaskSilent => verdict(Verdict::Silent),
            Self::StreamSilent => verdict(Verdict::Unheard),
            Self::TaskStuck => verdict(Verdict::Stuck),
            Self::TaskLooping => verdict(Verdict::Looping),
            Self::TaskConflict => verdict(Verdict::Conflict),
            Self::CancelIgnored => cancel(true),
            Self::CancelUnconfirmed => cancel(false),
            Self::AgentFailing | Self::SkillFailing => {
                task.is_some_and(|task| task.state == crate::domain::job::task::TaskState::Failed)
            }
            _ => attempt.is_live() || attempt.is_doubtful(),
        }
    }
}
