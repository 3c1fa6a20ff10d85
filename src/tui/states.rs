//! How states are shown: the mark, the word and the colour of an agent, a task, a source and a severity.

use crate::domain::agent::{Agent, Health};
use crate::domain::fleet::source::SourceHealth;
use crate::domain::job::message::OfferedAnswer;
use crate::domain::job::task::{CancelMark, TaskState, Verdict};
use crate::domain::job::{Attempt, Phase};
use crate::domain::problem::Severity;
use crate::domain::time::At;
use crate::tui::theme::{Glyphs, Role};

/// How a state is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// The mark, one cell wide.
    pub mark: &'static str,
    /// The word beside it.
    pub word: String,
    /// Its colour.
    pub role: Role,
}

/// The health of an agent.
pub fn agent(agent: &Agent, glyphs: &'static Glyphs) -> Label {
    let label = health(agent.health, glyphs);
    // An agent that is out of service and well needs nobody: one that is not shows what is wrong first.
    match &agent.service {
        Some(out) if matches!(agent.health, Health::Up) => {
            let left = match (out.word(), agent.counts.live) {
                ("draining", live) => format!(", {live} left"),
                _ => String::new(),
            };
            Label { mark: glyphs.cordoned, word: format!("{}{left}", out.word()), role: Role::Warn }
        }
        Some(out) => Label { word: format!("{}, {}", label.word, out.word()), ..label },
        None => label,
    }
}

/// Since when an agent is as its label says.
pub fn agent_since(agent: &Agent) -> At {
    match &agent.service {
        Some(out) if matches!(agent.health, Health::Up) => {
            out.drain.and_then(|drain| drain.empty_since).unwrap_or(out.since)
        }
        _ => agent.since,
    }
}

/// A health.
pub fn health(health: Health, glyphs: &'static Glyphs) -> Label {
    let (mark, word, role) = match health {
        Health::Up => (glyphs.up, "up", Role::Ok),
        Health::Degraded => (glyphs.degraded, "degraded", Role::Warn),
        Health::Down => (glyphs.down, "down", Role::Bad),
        Health::Unknown => (glyphs.unknown, "not seen yet", Role::Doubt),
        Health::Stale => (glyphs.stale, "stale", Role::Doubt),
        Health::LoginNeeded => (glyphs.login, "login needed", Role::You),
        Health::NotSpoken => (glyphs.not_spoken, "not spoken", Role::Doubt),
    };
    Label { mark, word: word.into(), role }
}

/// The health of a source of agents.
pub fn source(health: SourceHealth, glyphs: &'static Glyphs) -> Label {
    let (mark, role) = match health {
        SourceHealth::Working => (glyphs.up, Role::Ok),
        SourceHealth::Failing => (glyphs.down, Role::Warn),
        SourceHealth::Unknown => (glyphs.unknown, Role::Doubt),
    };
    Label { mark, word: health.as_str().into(), role }
}

/// The state of an attempt's task, or of its message while there is no task.
pub fn attempt(attempt: &Attempt, glyphs: &'static Glyphs) -> Label {
    let label = |mark, word: &str, role| Label { mark, word: word.to_owned(), role };
    let Some(task) = &attempt.task else {
        return match attempt.phase {
            Phase::Planned => label(glyphs.queued, "planned", Role::Plain),
            Phase::Sending | Phase::Accepted => label(glyphs.queued, "sending", Role::Plain),
            Phase::Answered => label(glyphs.completed, "answered", Role::Ok),
            Phase::Refused => label(glyphs.rejected, "refused", Role::Bad),
            Phase::Unsent => label(glyphs.rejected, "unsent", Role::Warn),
            Phase::Uncertain => label(glyphs.uncertain, "uncertain", Role::You),
            Phase::PresumedLost => label(glyphs.lost, "presumed lost", Role::Doubt),
        };
    };
    match task.verdict {
        Some(Verdict::Lost) => return label(glyphs.lost, "lost by restart", Role::Bad),
        Some(Verdict::Conflict) => {
            return label(glyphs.doubtful, &format!("{}, disputed", task.state.word()), Role::Warn);
        }
        _ if attempt.phase == Phase::PresumedLost && !task.is_over() => {
            return label(glyphs.lost, "presumed lost", Role::Doubt);
        }
        Some(Verdict::Stale) => return label(glyphs.doubtful, "stale", Role::Doubt),
        Some(Verdict::Unreachable) => return label(glyphs.uncertain, "unreachable", Role::You),
        Some(Verdict::Stalled) => return label(glyphs.doubtful, "stalled", Role::Warn),
        Some(doubt @ (Verdict::Silent | Verdict::Unheard | Verdict::Stuck | Verdict::Looping)) => {
            return label(glyphs.doubtful, doubt.as_str(), Role::Warn);
        }
        None => {}
    }
    if !task.state.is_terminal()
        && let Some(cancel) = task.cancel
    {
        return match cancel {
            CancelMark::Asked => label(glyphs.working, "cancel asked", Role::Warn),
            CancelMark::Agreed => label(glyphs.working, "cancel agreed", Role::Warn),
            CancelMark::Unconfirmed => label(glyphs.uncertain, "cancel unconfirmed", Role::Warn),
            CancelMark::Refused => label(glyphs.working, "cancel refused", Role::Warn),
            CancelMark::Verified | CancelMark::TooLate => label(glyphs.canceled, "canceled", Role::Plain),
        };
    }
    let word = task.state.word();
    match &task.state {
        TaskState::Submitted => label(glyphs.queued, &word, Role::Plain),
        TaskState::Working => label(glyphs.working, &word, Role::Plain),
        TaskState::InputRequired | TaskState::AuthRequired if attempt.needs_you() => {
            let word = match task.offers {
                Some(OfferedAnswer::Approval) => "needs approval",
                Some(OfferedAnswer::Choice) => "needs a choice",
                None => &word,
            };
            label(glyphs.you, word, Role::You)
        }
        TaskState::InputRequired | TaskState::AuthRequired => {
            label(glyphs.working, "answered, waiting", Role::Plain)
        }
        TaskState::Completed => label(glyphs.completed, &word, Role::Ok),
        TaskState::Failed => label(glyphs.failed, &word, Role::Bad),
        TaskState::Canceled => label(glyphs.canceled, &word, Role::Plain),
        TaskState::Rejected => label(glyphs.rejected, &word, Role::Warn),
        TaskState::Unspecified | TaskState::Other(_) => label(glyphs.uncertain, &word, Role::Doubt),
    }
}

/// The severity of a problem.
pub fn severity(severity: Severity, glyphs: &'static Glyphs) -> Label {
    let (mark, word, role) = match severity {
        Severity::Bad => (glyphs.down, "bad", Role::Bad),
        Severity::Warn => (glyphs.degraded, "warn", Role::Warn),
        Severity::Info => (glyphs.info, "info", Role::Doubt),
    };
    Label { mark, word: word.into(), role }
}

/// True if the filter "faults only" shows the attempt.
pub fn is_fault(attempt: &Attempt) -> bool {
    let failed = matches!(
        attempt.task.as_ref().map(|task| &task.state),
        Some(TaskState::Failed | TaskState::Rejected)
    );
    failed || attempt.is_doubtful() || matches!(attempt.phase, Phase::Refused | Phase::Unsent)
}

/// The place of a health in an order with the worst first.
pub fn health_rank(health: Health) -> i64 {
    Health::ALL.iter().position(|other| *other == health).map_or(99, |at| i64::try_from(at).unwrap_or(99))
}
