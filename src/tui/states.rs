//! How agents and tasks are called on the screen: a mark, a word, and what it means.

use crate::domain::agent::{Agent, Health};
use crate::domain::fleet::source::SourceHealth;
use crate::domain::job::task::{CancelMark, TaskState, Verdict};
use crate::domain::job::{Attempt, Phase};
use crate::domain::problem::Severity;
use crate::tui::theme::{Glyphs, Role};

/// What is drawn for something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// The mark.
    pub mark: &'static str,
    /// The word.
    pub word: String,
    /// What it means.
    pub role: Role,
}

/// How an agent is.
pub fn agent(agent: &Agent, glyphs: &'static Glyphs) -> Told {
    health(agent.health, glyphs)
}

/// What a health is called.
pub fn health(health: Health, glyphs: &'static Glyphs) -> Told {
    let (mark, word, role) = match health {
        Health::Up => (glyphs.up, "up", Role::Ok),
        Health::Degraded => (glyphs.degraded, "degraded", Role::Warn),
        Health::Down => (glyphs.down, "down", Role::Bad),
        Health::Unknown => (glyphs.unknown, "not seen yet", Role::Doubt),
        Health::Stale => (glyphs.stale, "stale", Role::Doubt),
        Health::LoginNeeded => (glyphs.login, "login needed", Role::You),
        Health::NotSpoken => (glyphs.not_spoken, "not spoken", Role::Doubt),
    };
    Told { mark, word: word.into(), role }
}

/// How a source of agents is.
pub fn source(health: SourceHealth, glyphs: &'static Glyphs) -> Told {
    let (mark, role) = match health {
        SourceHealth::Working => (glyphs.up, Role::Ok),
        SourceHealth::Failing => (glyphs.down, Role::Warn),
        SourceHealth::Unknown => (glyphs.unknown, Role::Doubt),
    };
    Told { mark, word: health.as_str().into(), role }
}

/// How an attempt, or the task that came of it, stands.
pub fn attempt(attempt: &Attempt, glyphs: &'static Glyphs) -> Told {
    let told = |mark, word: &str, role| Told { mark, word: word.to_owned(), role };
    let Some(task) = &attempt.task else {
        return match attempt.phase {
            Phase::Planned => told(glyphs.queued, "planned", Role::Plain),
            Phase::Sending | Phase::Accepted => told(glyphs.queued, "sending", Role::Plain),
            Phase::Answered => told(glyphs.completed, "answered", Role::Ok),
            Phase::Refused => told(glyphs.rejected, "refused", Role::Bad),
            Phase::Unsent => told(glyphs.rejected, "unsent", Role::Warn),
            Phase::Uncertain => told(glyphs.uncertain, "uncertain", Role::You),
            Phase::PresumedLost => told(glyphs.lost, "presumed lost", Role::Doubt),
        };
    };
    match task.verdict {
        Some(Verdict::Lost) => return told(glyphs.lost, "lost by restart", Role::Bad),
        Some(Verdict::Conflict) => {
            return told(glyphs.doubtful, &format!("{}, disputed", task.state.word()), Role::Warn);
        }
        Some(Verdict::Stale) => return told(glyphs.doubtful, "stale", Role::Doubt),
        Some(Verdict::Stalled) => return told(glyphs.doubtful, "stalled", Role::Warn),
        Some(doubt @ (Verdict::Silent | Verdict::Unheard | Verdict::Stuck | Verdict::Looping)) => {
            return told(glyphs.doubtful, doubt.as_str(), Role::Warn);
        }
        None => {}
    }
    if !task.state.is_terminal()
        && let Some(cancel) = task.cancel
    {
        return match cancel {
            CancelMark::Asked => told(glyphs.working, "cancel asked", Role::Warn),
            CancelMark::Agreed => told(glyphs.working, "cancel agreed", Role::Warn),
            CancelMark::Unconfirmed => told(glyphs.uncertain, "cancel unconfirmed", Role::Warn),
            CancelMark::Verified => told(glyphs.canceled, "canceled", Role::Plain),
        };
    }
    let word = task.state.word();
    match &task.state {
        TaskState::Submitted => told(glyphs.queued, &word, Role::Plain),
        TaskState::Working => told(glyphs.working, &word, Role::Plain),
        TaskState::InputRequired | TaskState::AuthRequired if attempt.needs_you() => {
            told(glyphs.you, &word, Role::You)
        }
        TaskState::InputRequired | TaskState::AuthRequired => {
            told(glyphs.working, "answered, waiting", Role::Plain)
        }
        TaskState::Completed => told(glyphs.completed, &word, Role::Ok),
        TaskState::Failed => told(glyphs.failed, &word, Role::Bad),
        TaskState::Canceled => told(glyphs.canceled, &word, Role::Plain),
        TaskState::Rejected => told(glyphs.rejected, &word, Role::Warn),
        TaskState::Unspecified | TaskState::Other(_) => told(glyphs.uncertain, &word, Role::Doubt),
    }
}

/// How much a problem hurts.
pub fn severity(severity: Severity, glyphs: &'static Glyphs) -> Told {
    let (mark, word, role) = match severity {
        Severity::Bad => (glyphs.down, "bad", Role::Bad),
        Severity::Warn => (glyphs.degraded, "warn", Role::Warn),
        Severity::Info => (glyphs.info, "info", Role::Doubt),
    };
    Told { mark, word: word.into(), role }
}

/// True for what the filter "faults only" shows.
pub fn is_fault(attempt: &Attempt) -> bool {
    let failed = matches!(
        attempt.task.as_ref().map(|task| &task.state),
        Some(TaskState::Failed | TaskState::Rejected)
    );
    failed || attempt.is_doubtful() || matches!(attempt.phase, Phase::Refused | Phase::Unsent)
}

/// How a severity or a health is ordered, worst first.
pub fn health_rank(health: Health) -> i64 {
    Health::ALL.iter().position(|other| *other == health).map_or(99, |at| i64::try_from(at).unwrap_or(99))
}
