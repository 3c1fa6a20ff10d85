//! Faults that the console finds: each with its subject, since when, and the next step.

use super::id::{AgentKey, AttemptKey, SourceKey};
use super::text::Untrusted;
use super::time::At;

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

/// Whom a problem is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// This console.
    Console,
    /// An agent.
    Agent(AgentKey),
    /// A sending, or the task that came of it.
    Attempt(AttemptKey),
    /// A source of agents.
    Source(SourceKey),
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
    AgentDown "agent-down" Bad "An agent refuses connections, resets them or is silent."
        "when a call to it succeeds",
    LoginNeeded "login-needed" Bad "An agent answers 401 or 403."
        "when it takes our credentials",
    AgentDegraded "agent-degraded" Warn "An agent answers, but slowly, with failures or with an unreadable card."
        "when its last 20 calls are well again and its card can be read",
    NotSpoken "agent-not-spoken" Info "An agent is reachable but offers nothing that this console speaks."
        "when its card offers JSON-RPC of A2A 1.0 or 0.3",
    JournalUnsaved "journal-unsaved" Bad "The journal cannot be written; watching goes on, acting is refused."
        "when the journal can be written again",
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
    /// In words, without the name of the subject.
    pub text: Untrusted,
    /// What a person can do, in words.
    pub next: Untrusted,
    /// When it began.
    pub since: At,
    /// When it was over.
    pub cleared: Option<At>,
}
