//! By what metrics are told apart.

use crate::domain::id::AgentId;
use crate::domain::metrics::Series;
use crate::domain::text::Untrusted;

/// By what metrics are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dimension {
    /// The agent that does it.
    Agent,
    /// The skill that is asked for.
    Skill,
    /// Who asks.
    Caller,
}

/// One of those that are told apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DimensionValue {
    /// An agent.
    Agent(AgentId),
    /// A skill or a caller, if one was told.
    Named(Option<Untrusted>),
}

impl Dimension {
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
    pub fn value_of(self, series: &Series) -> DimensionValue {
        match self {
            Self::Agent => DimensionValue::Agent(series.agent),
            Self::Skill => DimensionValue::Named(series.skill.clone()),
            Self::Caller => DimensionValue::Named(series.caller.clone()),
        }
    }
}
