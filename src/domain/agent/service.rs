//! Out of service: an agent that an operator gives no new work, while what it has goes on.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// What an operator wants of an agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceChange {
    /// Back in service.
    Resume,
    /// No new work.
    Cordon {
        /// Back in service by itself after this long; `None` until an operator resumes it.
        window: Option<Duration>,
    },
    /// No new work, and word once nothing runs there any more.
    Drain {
        /// Back in service by itself after this long; `None` until an operator resumes it.
        window: Option<Duration>,
        /// Move what still runs after this long; `None` waits for it.
        move_after: Option<Duration>,
    },
}

/// An agent that is out of service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutOfService {
    /// The operator.
    pub by: Untrusted,
    /// Since when.
    pub since: At,
    /// The operator's reason.
    pub why: Option<Untrusted>,
    /// When it is back in service by itself; `None` until an operator resumes it.
    pub until: Option<At>,
    /// How far it is drained; `None` if it is only cordoned.
    pub drain: Option<Drain>,
}

/// How far an agent is drained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drain {
    /// When what still runs is moved to other agents; `None` if it is waited for.
    pub move_at: Option<At>,
    /// When nothing ran there any more; `None` while something does.
    pub empty_since: Option<At>,
}

impl OutOfService {
    /// `cordoned`, `draining`, `drained`
    pub fn word(&self) -> &'static str {
        match self.drain {
            None => "cordoned",
            Some(Drain { empty_since: None, .. }) => "draining",
            Some(Drain { empty_since: Some(_), .. }) => "drained",
        }
    }

    /// `draining by sam: disk swap`
    pub fn in_words(&self) -> String {
        let why = self.why.as_ref().map(|why| format!(": {}", why.shortened(120).line())).unwrap_or_default();
        format!("{} by {}{why}", self.word(), self.by.line())
    }
}

/// Kept in the agent's row; few agents are ever out of service.
pub type Service = Option<Arc<OutOfService>>;
