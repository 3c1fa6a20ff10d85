//! An unsent message: kept when the composer is closed, and offered again later.

use crate::domain::id::{AgentId, AttemptId, AttemptKey, ContextId};

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
    /// The name of the agent that it goes to.
    pub to: String,
    /// The agent that was chosen under that name: another agent may take the name meanwhile.
    pub agent: Option<AgentId>,
    /// The text part.
    pub message: String,
    /// The data part, as JSON; empty sends none.
    pub data: String,
    /// The message's metadata, as JSON; empty sends none.
    pub metadata: String,
    /// The A2A context that the message can join, and whether it does.
    pub context: Option<(ContextId, bool)>,
}

impl Draft {
    /// A new job for the agent of this name.
    pub fn new(to: String) -> Self {
        Self {
            purpose: Purpose::New,
            to,
            agent: None,
            message: String::new(),
            data: String::new(),
            metadata: String::new(),
            context: None,
        }
    }

    /// True if nothing was written.
    pub fn is_empty(&self) -> bool {
        self.message.trim().is_empty() && self.data.trim().is_empty() && self.metadata.trim().is_empty()
    }
}
