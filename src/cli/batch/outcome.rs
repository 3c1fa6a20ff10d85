//! How an item ended, in a word, as a line of JSON, and as a line of text.

use serde_json::{Value, json};

use crate::cli::output::Failure;
use crate::cli::protocol_json::{self, with_ours};
use crate::domain::fact::Owner;
use crate::domain::id::{AttemptKey, JobId};
use crate::domain::job::detail::Detail;
use crate::domain::job::message::Role;
use crate::domain::job::task::{TaskState, Verdict};
use crate::domain::job::{Attempt, Phase};
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::engine::{Answer, Handle, Query, QueryError};
use crate::protocol::json as wire;

/// How an item ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum State {
    Completed,
    Answered,
    NeedsAnswer,
    NeedsLogin,
    Failed,
    Rejected,
    Canceled,
    Refused,
    Unsent,
    Uncertain,
    PresumedLost,
    Stalled,
    Lost,
    Timeout,
    Invalid,
}

impl State {
    pub const ALL: [Self; 15] = [
        Self::Completed,
        Self::Answered,
        Self::NeedsAnswer,
        Self::NeedsLogin,
        Self::Failed,
        Self::Rejected,
        Self::Canceled,
        Self::Refused,
        Self::Unsent,
        Self::Uncertain,
        Self::PresumedLost,
        Self::Stalled,
        Self::Lost,
        Self::Timeout,
        Self::Invalid,
    ];

    /// The state of an attempt that is decided.
    pub fn of(attempt: &Attempt) -> Self {
        let Some(task) = &attempt.task else {
            return match attempt.phase {
                Phase::Answered => Self::Answered,
                Phase::Refused => Self::Refused,
                Phase::Unsent => Self::Unsent,
                Phase::PresumedLost => Self::PresumedLost,
                Phase::Planned | Phase::Sending | Phase::Accepted | Phase::Uncertain => Self::Uncertain,
            };
        };
        match task.state {
            TaskState::Completed => Self::Completed,
            TaskState::Failed => Self::Failed,
            TaskState::Canceled => Self::Canceled,
            TaskState::Rejected => Self::Rejected,
            _ if task.verdict == Some(Verdict::Lost) => Self::Lost,
            _ if attempt.phase == Phase::PresumedLost => Self::PresumedLost,
            _ if attempt.waits_for_decision() => Self::Uncertain,
            TaskState::InputRequired => Self::NeedsAnswer,
            TaskState::AuthRequired => Self::NeedsLogin,
            TaskState::Submitted | TaskState::Working | TaskState::Unspecified | TaskState::Other(_) => {
                Self::Stalled
            }
        }
    }

    /// The word in JSON and text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Answered => "answered",
            Self::NeedsAnswer => "needs-answer",
            Self::NeedsLogin => "needs-login",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Canceled => "canceled",
            Self::Refused => "refused",
            Self::Unsent => "unsent",
            Self::Uncertain => "uncertain",
            Self::PresumedLost => "presumed-lost",
            Self::Stalled => "stalled",
            Self::Lost => "lost",
            Self::Timeout => "timeout",
            Self::Invalid => "invalid",
        }
    }

    /// True if the agent did what it was asked for.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Completed | Self::Answered)
    }

    /// True if the work has ended, so that its time counts.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Answered | Self::Failed | Self::Rejected | Self::Canceled)
    }

    /// True if the message may be sent again: it certainly did not run, or its task failed.
    pub fn may_retry(self, attempt: &Attempt) -> bool {
        match self {
            Self::Failed => true,
            Self::Unsent | Self::Refused => !attempt.may_have_arrived,
            _ => false,
        }
    }
}

/// What is printed of an item.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub line: u64,
    pub repeat: Option<u32>,
    pub job: Option<JobId>,
    pub agent: Option<Untrusted>,
    pub result: Outcome,
}

/// The content of a row.
#[derive(Debug, Default)]
pub(super) enum Outcome {
    #[default]
    None,
    Task(Value),
    /// A task as it was when it was last heard of, and why nobody knows what becomes of it.
    Doubtful(Value, Box<Failure>),
    Message(Value),
    Error(Box<Failure>),
    /// A few words, for text.
    Words(Untrusted),
}

impl Row {
    /// The row as a line of JSON.
    pub fn json(self, state: State) -> String {
        let mut row = json!({
            "line": self.line,
            "job": self.job.map(|job| job.to_string()),
            "agent": self.agent.map(|agent| agent.line().into_string()),
            "state": state.as_str(),
        });
        if let Some(repeat) = self.repeat {
            row["repeat"] = repeat.into();
        }
        match self.result {
            Outcome::Task(task) => row["task"] = task,
            Outcome::Doubtful(task, failure) => {
                row["task"] = task;
                row["error"] = failure.to_json()["error"].take();
            }
            Outcome::Message(message) => row["message"] = message,
            Outcome::Error(failure) => row["error"] = failure.to_json()["error"].take(),
            Outcome::Words(_) | Outcome::None => {}
        }
        wire::escaped(&row.to_string()).into_owned()
    }

    /// The row as a line of text.
    pub fn text(&self, state: State) -> String {
        let words = match &self.result {
            Outcome::Words(words) => words.clone(),
            Outcome::Error(failure) | Outcome::Doubtful(_, failure) => failure.message.clone(),
            Outcome::None | Outcome::Task(_) | Outcome::Message(_) => Untrusted::from(""),
        };
        let number = match self.repeat {
            Some(repeat) => format!("{}.{repeat}", self.line),
            None => self.line.to_string(),
        };
        let agent = self.agent.clone().unwrap_or_else(|| Untrusted::from("-"));
        let line = format!("{number:>6}  {:<12}  {}  {}", state.as_str(), agent.line(), words.line());
        Untrusted::from(line.trim_end()).line().into_string()
    }
}

const UNREACHABLE: &str = "its agent cannot be reached, and nobody knows what becomes of the task";

/// The outcome of a decided attempt in a few words.
pub(super) fn words(attempt: &Attempt) -> Untrusted {
    if attempt.waits_for_decision() {
        return UNREACHABLE.into();
    }
    let note = attempt.task.as_ref().and_then(|task| task.note.as_ref()).map(|note| note.headline(100));
    let cause = || attempt.cause.as_deref().map(|cause| Untrusted::from(cause.to_string()));
    let task = || attempt.task.as_ref().map(|task| task.id.text());
    note.or_else(cause).or_else(task).unwrap_or_else(|| Untrusted::from(""))
}

/// The outcome of a decided attempt in full.
///
/// # Errors
/// The engine has gone; the next one can be asked.
pub(super) async fn outcome(
    handle: &Handle,
    snapshot: &Snapshot,
    key: AttemptKey,
    job: JobId,
) -> Result<Outcome, QueryError> {
    let Some(attempt) = snapshot.attempts.get(key) else { return Ok(Outcome::None) };
    if attempt.task.is_none() && attempt.phase != Phase::Answered {
        return Ok(Outcome::Error(Box::new(not_run(snapshot, attempt))));
    }
    let facts = match handle.query(Query::Facts { owner: Owner::Job(job), limit: usize::MAX }).await {
        Ok(Answer::Facts(facts)) => facts,
        Ok(_) => Vec::new(),
        Err(QueryError::Gone) => return Err(QueryError::Gone),
        Err(error) => return Ok(Outcome::Error(Box::new(Failure::internal(error.to_string())))),
    };
    let outputs = crate::domain::job::detail::outputs_of(&facts, attempt.id);
    let mut detail = Detail::default();
    for fact in facts {
        detail.apply(&fact);
    }
    if let Some(task) = protocol_json::whole_task(snapshot, attempt, &detail, outputs) {
        return Ok(if attempt.waits_for_decision() {
            Outcome::Doubtful(task, Box::new(unreachable(snapshot, attempt)))
        } else {
            Outcome::Task(task)
        });
    }
    let answer = detail.messages_of(attempt.id).rev().find(|entry| entry.message.role != Role::User);
    Ok(answer.map_or(Outcome::None, |answer| {
        let message = protocol_json::message(&answer.message);
        Outcome::Message(with_ours(message, protocol_json::ours(snapshot, attempt)))
    }))
}

/// Why nobody knows what becomes of a task.
fn unreachable(snapshot: &Snapshot, attempt: &Attempt) -> Failure {
    let agent = snapshot.agents.get(attempt.agent);
    let why = agent.and_then(|agent| agent.cause.as_deref()).map(|cause| format!(": {cause}"));
    Failure::new(1, "QUARTERDECK_ERR_UNCERTAIN", format!("{UNREACHABLE}{}", why.unwrap_or_default())).hint(
        "quarterdeck inbox shows it; wait for its agent, or give it up with `task presume-lost` and send it elsewhere",
    )
}

/// Why there is neither a task nor an answer.
pub(super) fn not_run(snapshot: &Snapshot, attempt: &Attempt) -> Failure {
    let agent = snapshot.agents.get(attempt.agent);
    let cause = attempt.cause.as_deref();
    match State::of(attempt) {
        State::Uncertain => {
            let why = cause.map_or_else(String::new, |cause| format!(": {cause}"));
            let words = format!("nobody can tell whether it arrived{why}");
            Failure::new(1, "QUARTERDECK_ERR_UNCERTAIN", words)
                .hint("quarterdeck inbox shows it; send it again there with the same id, or presume it lost")
        }
        State::PresumedLost => {
            Failure::new(1, "QUARTERDECK_ERR_UNCERTAIN", "an operator presumed that it was lost")
        }
        _ => match (cause, agent) {
            (Some(cause), Some(agent)) => Failure::from_call(agent, cause),
            (Some(cause), None) => Failure::from_cause(cause),
            (None, _) => Failure::internal("the agent did not take it"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_safe_lines_of_text_and_json() {
        let error = || Outcome::Error(Box::new(Failure::usage("no\n\u{1b}[2J")));
        let row = |result, repeat| Row {
            line: 7,
            repeat,
            job: Some(JobId(uuid::Uuid::nil())),
            agent: Some("a\u{1b}".into()),
            result,
        };
        for (row, state, json, text) in [
            (
                row(Outcome::Task(json!({"id": "t"})), None),
                State::Completed,
                r#"{"line":7,"job":"00000000-0000-0000-0000-000000000000","agent":"a␛","state":"completed","task":{"id":"t"}}"#,
                "     7  completed     a␛",
            ),
            (
                row(Outcome::Words("Done\u{7}".into()), Some(3)),
                State::Answered,
                r#"{"line":7,"job":"00000000-0000-0000-0000-000000000000","agent":"a␛","state":"answered","repeat":3}"#,
                "   7.3  answered      a␛  Done␇",
            ),
            (
                row(Outcome::Doubtful(json!({"id": "t"}), Box::new(Failure::usage("gone"))), None),
                State::Uncertain,
                r#"{"line":7,"job":"00000000-0000-0000-0000-000000000000","agent":"a␛","state":"uncertain","task":{"id":"t"},"error":{"code":"A2ACLI_ERR_USAGE","message":"gone","hint":null,"a2aCode":null}}"#,
                "     7  uncertain     a␛  gone",
            ),
            (
                Row { line: 9, result: error(), ..Row::default() },
                State::Invalid,
                r#"{"line":9,"job":null,"agent":null,"state":"invalid","error":{"code":"A2ACLI_ERR_USAGE","message":"no ␛[2J","hint":null,"a2aCode":null}}"#,
                "     9  invalid       -  no ␛[2J",
            ),
        ] {
            assert_eq!(row.text(state), text);
            assert_eq!(row.json(state), json);
        }
    }

    #[test]
    fn every_state_has_a_word_of_its_own() {
        let mut words: Vec<_> = State::ALL.iter().map(|state| state.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), State::ALL.len());
    }
}
