//! By what metrics are told apart.

use super::Series;
use crate::domain::id::AgentId;
use crate::domain::text::Untrusted;

/// By what metrics are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// The agent that does it.
    Agent,
    /// The skill that is asked for.
    Skill,
    /// Who asks.
    Caller,
}

/// One of those that are told apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Who {
    /// An agent.
    Agent(AgentId),
    /// A skill or a caller, if one was told.
    Named(Option<Untrusted>),
}

impl By {
    /// All of them, in the order in which one turns through them.
    pub const ALL: [Self; 3] = [Self::Agent, Self::Skill, Self::Caller];

    /// As titles and commands say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Skill => "skill",
            Self::Caller => "caller",
        }
    }

    /// Whose a series is.
    pub fn who(self, series: &Series) -> Who {
        match self {
            Self::Agent => Who::Agent(series.agent),
            Self::Skill => Who::Named(series.skill.clone()),
            Self::Caller => Who::Named(series.caller.clone()),
        }
    }
}
