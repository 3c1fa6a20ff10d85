//! Problems that the engine detects, each with its subject, its start and the next step.

pub mod counts;
pub mod diagnosis;
pub mod shared_attributes;
pub mod thresholds;

use std::sync::Arc;

use crate::domain::id::{AgentKey, SourceKey};
use crate::domain::job::task::{CancelMark, Verdict};
use crate::domain::job::{Attempt, Job, Phase};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// The severity of a problem.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Informative; no harm.
    Info,
    /// Possible harm.
    Warn,
    /// Harm now.
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

/// What a problem is about. Problems of tasks are grouped by agent: one silent agent is one problem, not forty.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// This console.
    Console,
    /// An agent or its tasks.
    Agent(AgentKey),
    /// A source of agents.
    Source(SourceKey),
    /// A host with several agents, identified by the first agent that was known on it.
    Host(AgentKey),
    /// An objective, identified by the hash of its name.
    Objective(u32),
}

impl Subject {
    /// The subject for the objective of this name.
    pub fn objective(name: &str) -> Self {
        let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        Self::Objective(name.bytes().fold(0x811c_9dc5, mix))
    }

    /// The agent that the problem is stored under: the agent itself, or the first agent of a host.
    pub fn agent(self) -> Option<AgentKey> {
        match self {
            Self::Agent(key) | Self::Host(key) => Some(key),
            Self::Console | Self::Source(_) | Self::Objective(_) => None,
        }
    }

    /// The subject of a problem of this kind, rebuilt from the stored agent and source.
    pub fn of(kind: Kind, agent: Option<AgentKey>, source: Option<SourceKey>) -> Self {
        match (source, agent) {
            (Some(source), _) => Self::Source(source),
            (None, Some(agent)) if kind == Kind::HostDown => Self::Host(agent),
            (None, Some(agent)) => Self::Agent(agent),
            (None, None) => Self::Console,
        }
    }

    /// The agent that a problem is about; `None` for hosts, sources, objectives and the console.
    pub fn one(self) -> Option<AgentKey> {
        match self {
            Self::Agent(key) => Some(key),
            Self::Console | Self::Source(_) | Self::Host(_) | Self::Objective(_) => None,
        }
    }
}

macro_rules! kinds {
    ($($name:ident $text:literal $severity:ident $doc:literal $clears:literal),* $(,)?) => {
        /// The kind of a problem; the lints that raise them are in `decide::lint`.
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

            /// The kind with this word, as returned by [`Self::as_str`].
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($text => Some(Self::$name),)* _ => None }
            }

            /// The severity of problems of this kind while they do harm.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// The condition under which it clears, to follow the word "clears".
            pub fn clears(self) -> &'static str {
                match self { $(Self::$name => $clears,)* }
            }

            /// Its meaning, as one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }
        }
    };
}

kinds! {
    AgentDown "agent-down" Bad "The agent refuses or resets connections, or there is no network route to it."
        "when it answers again",
    AgentFrozen "agent-frozen" Bad "The agent accepts connections but answers nothing, or vanished without closing them."
        "when it answers again",
    CertificateBroken "certificate-broken" Bad "The agent's certificate has expired or is not trusted."
        "when a connection to it is trusted again",
    CertificateEnds "certificate-ends" Warn "The agent's certificate expires within two weeks."
        "when the agent presents a certificate that lasts longer",
    LoginNeeded "login-needed" Bad "The agent answers 401 or 403."
        "when it accepts our credentials",
    HostDown "host-down" Bad "Most agents of one host cannot be reached; they are reported here instead of one by one."
        "when the number of unreachable agents falls below half of what raised it; the rest are then reported one by one",
    SourceDown "source-down" Bad "Most agents of one source, on several hosts, cannot be reached; they are reported here instead of one by one."
        "when the number of unreachable agents falls below half of what raised it; the rest are then reported one by one",
    AgentFailing "agent-failing" Bad "The agent fails too many of its tasks."
        "when eight tasks in a row succeed, fewer than a tenth of the last twenty failed, or the agent has another version",
    SkillFailing "skill-failing" Bad "The agent fails the tasks of one skill while its other skills work."
        "when fewer than half of that skill's last tasks failed, or the agent has another version",
    AgentSlow "agent-slow" Warn "The agent answers calls that do no work much more slowly than usual."
        "when its calls have been fast for two minutes",
    AgentDegraded "agent-degraded" Warn "The agent fails calls, or its card can no longer be read."
        "when its last 20 calls succeeded and its card can be read",
    AgentFlapping "agent-flapping" Warn "The agent keeps going down and coming back."
        "when it has not changed for ten minutes",
    BreakerOpen "breaker-open" Warn "The agent's breaker is open: nothing is sent to it."
        "when the breaker closes: by itself after a message that succeeds, or by hand",
    ShiftBack "shift-back" Warn "The agent's work was moving to a successor, which did worse than it may: all of it goes to the agent again."
        "when the shift is resumed or ended",
    OverCapacity "over-capacity" Warn "The agent has more tasks than it says it accepts at once."
        "when it has a fifth less than it accepts",
    NotSpoken "agent-not-spoken" Info "The agent is reachable but offers no protocol that this console speaks."
        "when its card offers JSON-RPC of A2A 1.0 or 0.3",
    ObjectiveMissed "objective-missed" Bad "Results are far worse than the objective allows, both now and over the last hour."
        "when the last five minutes meet the objective",
    CardChanged "card-changed" Info "The agent's card has changed."
        "an hour after the change",
    AgentVersionOld "agent-version-old" Warn "The agent runs a version older than the configured minimum."
        "when it runs that version or a newer one",
    AgentVersionMixed "agent-version-mixed" Info "Replicas run different versions at the same time."
        "when they all run the same version",
    AgentNameConfusable "agent-name-confusable" Warn "The agent's name looks like the name of an agent that was known earlier, but differs from it."
        "when one of the two leaves the fleet or is renamed",
    ClockSkew "clock-skew" Info "The agent's clock differs from ours."
        "when the difference is below fifteen seconds",
    JournalUnsaved "journal-unsaved" Bad "The journal cannot be written; watching continues, actions are refused."
        "when the journal has been written for a minute",
    WebhookFailing "webhook-failing" Warn "Problems cannot be posted to the webhook: nobody is notified."
        "when a post succeeds again",
    RoutesUnread "routes-unread" Warn "The configuration file has changed and has faults; the rules of routing that were in force stay."
        "when the file can be read",
    SourceFailing "source-failing" Warn "A source of agents cannot be read; the agents that it named stay in the fleet."
        "when it can be read again",
    CancelIgnored "cancel-ignored" Bad "The agent agreed to a cancel but keeps working on the task."
        "when the task ends",
    CancelUnconfirmed "cancel-unconfirmed" Warn "The agent did not confirm a cancel."
        "when the task is seen to have ended",
    CancelRefused "cancel-refused" Warn "The agent refused to cancel a task, which keeps running."
        "when the task ends, or when it is canceled once more",
    SendUncertain "send-uncertain" Warn "It is unknown whether a message arrived."
        "when its task is found, or when an operator decides",
    TaskLost "task-lost" Bad "The agent forgot a task when it restarted."
        "when its job is removed",
    TaskStalled "task-stalled" Warn "The stream of a task was cut, and the agent has reported no change since."
        "when the agent reports something new about the task",
    TaskSilent "task-silent" Warn "A task is reported as running, but no events arrive."
        "with the next event",
    StreamSilent "stream-silent" Warn "The stream of a task was opened, but nothing ever arrived on it."
        "with the first event",
    TaskStuck "task-stuck" Warn "A task has sent nothing for many times the usual pause of its agent and skill."
        "with the next event",
    TaskLooping "task-looping" Warn "A task repeats the same status and sends nothing new."
        "when it sends something else",
    TaskConflict "task-conflict" Warn "Two sources of one agent disagree about a task."
        "when both agree, or when the job is removed",
    ListIncomplete "list-incomplete" Warn "The agent's task lists leave tasks out, or hold entries that cannot be read."
        "when a list of its tasks is complete",
    ProtocolBroken "protocol-broken" Info "The agent did something that the protocol does not allow."
        "only when the agent leaves the fleet",
    HostileText "hostile-text" Info "The agent sent control sequences or hidden characters; they were neutralized."
        "only when the agent leaves the fleet",
}

/// A detected problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The 17 of `p-17`; never reused.
    pub number: u32,
    /// Its kind.
    pub kind: Kind,
    /// What it is about.
    pub subject: Subject,
    /// The agent it is about; `None` for problems without an agent.
    pub agent: Option<AgentKey>,
    /// The name of the objective it is about; `None` for all other kinds.
    pub objective: Option<Arc<str>>,
    /// The description, without the name of the subject.
    pub text: Untrusted,
    /// The next step for an operator.
    pub next: Untrusted,
    /// When it began.
    pub since: At,
    /// True if it does no more harm, and clears unless that comes back.
    pub eased: bool,
    /// When it cleared; `None` while it is open.
    pub cleared: Option<At>,
    /// Who took it; `None` if nobody did.
    pub taken: Option<Taken>,
    /// The mute in effect; `None` if it is not muted.
    pub muted: Option<Muted>,
    /// Notifications about it that have not been posted to the webhook yet, oldest first.
    pub due: Vec<DueNotification>,
}

/// The event that a notification reports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum NotificationEvent {
    /// The problem was raised.
    Raised,
    /// The problem cleared.
    Cleared,
}

impl NotificationEvent {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Cleared => "cleared",
        }
    }
}

/// A notification that is still to be posted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueNotification {
    /// The event that it reports.
    pub event: NotificationEvent,
    /// The number of the problem that absorbed this one when it cleared; `None` if none did.
    pub into: Option<u32>,
}

/// Who took a problem, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// The operator's name.
    pub by: Untrusted,
    /// When it was taken.
    pub at: At,
}

/// A mute of a problem, with its reason and end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Muted {
    /// The operator who muted it.
    pub by: Untrusted,
    /// The reason.
    pub why: Untrusted,
    /// The end of the mute.
    pub until: At,
}

/// An operator's action on a problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProblemAct {
    /// Take it.
    Take,
    /// Give it back.
    GiveBack,
    /// Mute it for a given time.
    Mute {
        /// The duration of the mute.
        time: std::time::Duration,
        /// The reason.
        why: Untrusted,
    },
    /// End the mute.
    Unmute,
}

/// What is wrong with an agent, and how many of its tasks that puts at risk.
pub fn with_risk(text: &str, live: u32) -> String {
    let tasks = if live == 1 { "task" } else { "tasks" };
    format!("{text}; {live} {tasks} at risk")
}

/// The same without the number, for a place that shows it beside the text.
pub fn without_risk(text: &str) -> &str {
    match text.rsplit_once("; ") {
        Some((what, risk)) if risk.ends_with("at risk") && risk.starts_with(|c: char| c.is_ascii_digit()) => {
            what
        }
        _ => text,
    }
}

/// The percentage in the text of a problem of failing tasks, and what follows it: `fails 39 % of its tasks`.
pub fn failing_share(text: &str) -> Option<(u32, &str)> {
    let text = text.strip_prefix("fails ")?;
    if let Some(rest) = text.strip_prefix("all of ") {
        return Some((100, rest));
    }
    let (percent, rest) = text.split_once(" % of ")?;
    Some((percent.parse().ok()?, rest))
}

impl Problem {
    /// How bad it is now.
    pub fn severity(&self) -> Severity {
        if self.eased { Severity::Info } else { self.kind.severity() }
    }

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
    /// The kinds that are about tasks of an agent.
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
        Self::CancelRefused,
    ];

    /// True if the attempt is covered by a problem of this kind of its agent.
    pub fn is_about(self, attempt: &Attempt, job: Option<&Job>) -> bool {
        let task = attempt.task.as_ref();
        let verdict = |is: Verdict| task.is_some_and(|task| task.verdict == Some(is));
        // An ignored cancel is reported as ignored, whatever its mark says.
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
            // Once its job went on without it, nobody has to do anything about it.
            Self::TaskLost => {
                verdict(Verdict::Lost) && !job.is_some_and(|job| job.has_moved_on_from(attempt.number))
            }
            Self::TaskStalled => verdict(Verdict::Stalled),
            Self::TaskSilent => verdict(Verdict::Silent),
            Self::StreamSilent => verdict(Verdict::Unheard),
            Self::TaskStuck => verdict(Verdict::Stuck),
            Self::TaskLooping => verdict(Verdict::Looping),
            Self::TaskConflict => verdict(Verdict::Conflict),
            Self::CancelIgnored => cancel(true),
            Self::CancelUnconfirmed => cancel(false),
            Self::CancelRefused => {
                task.is_some_and(|task| task.cancel == Some(CancelMark::Refused) && !task.is_over())
            }
            Self::AgentFailing | Self::SkillFailing => {
                task.is_some_and(|task| task.state == crate::domain::job::task::TaskState::Failed)
            }
            _ => attempt.is_live() || attempt.is_doubtful(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_failing_tasks_is_read_from_the_text() {
        for (text, expected) in [
            ("fails 39 % of its tasks", Some((39, "its tasks"))),
            (
                "fails all of its tasks, last with \"5 % of a\"",
                Some((100, "its tasks, last with \"5 % of a\"")),
            ),
            ("is slow: 39 % of it", None),
            ("fails some % of its tasks", None),
        ] {
            assert_eq!(failing_share(text), expected, "{text}");
        }
    }

    #[test]
    fn a_text_is_told_with_and_without_its_risk() {
        for (text, live, told) in [
            ("is down: refused", 1, "is down: refused; 1 task at risk"),
            ("is degraded: slow; 3 of 9", 20, "is degraded: slow; 3 of 9; 20 tasks at risk"),
        ] {
            assert_eq!(with_risk(text, live), told);
            assert_eq!(without_risk(told), text);
            assert_eq!(without_risk(text), text);
        }
        assert_eq!(without_risk("said; nothing is at risk"), "said; nothing is at risk");
    }
}
