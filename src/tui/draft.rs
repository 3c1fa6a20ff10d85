//! An unsent message: kept when the composer is closed, and offered again later.

use crate::domain::id::{AttemptId, AttemptKey, ContextId};
use crate::domain::route::Target;

/// The purpose of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// A new job.
    New,
    /// An answer to a task that needs one.
    Answer {
        /// The attempt's row.
        key: AttemptKey,
        /// The attempt, as rows are reused.
        attempt: AttemptId,
    },
}

/// An unsent message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// What the message is for.
    pub purpose: Purpose,
    /// The text that names where it goes.
    pub to: String,
    /// What was chosen under that text: another agent may take the name meanwhile.
    pub target: Option<Target>,
    /// The text part.
    pub message: String,
    /// The data part, as JSON; empty sends none.
    pub data: String,
    /// The message's metadata, as JSON; empty sends none.
    pub metadata: String,
    /// The time after which nothing more is tried, as typed; empty leaves it to the rule.
    pub deadline: String,
    /// The priority in the queue, as typed; empty leaves it to the rule.
    pub priority: String,
    /// The A2A context that the message can join, and whether it does.
    pub context: Option<(ContextId, bool)>,
}

impl Draft {
    /// A new job for the agent of this name.
    pub fn new(to: String) -> Self {
        Self {
            purpose: Purpose::New,
            to,
            target: None,
            message: String::new(),
            data: String::new(),
            metadata: String::new(),
            deadline: String::new(),
            priority: String::new(),
            context: None,
        }
    }

    /// True if nothing was written.
    pub fn is_empty(&self) -> bool {
        self.message.trim().is_empty() && self.data.trim().is_empty() && self.metadata.trim().is_empty()
    }
}
