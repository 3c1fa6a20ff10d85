//! The dimensions of metrics.

use crate::domain::id::AgentId;
use crate::domain::metrics::Series;
use crate::domain::text::Untrusted;

/// A dimension of metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dimension {
    /// The agent that does it.
    Agent,
    /// The requested skill.
    Skill,
    /// The caller.
    Caller,
    /// The rule that dispatched it, else the requested skill.
    Rule,
}

/// A value of a dimension.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DimensionValue {
    /// An agent.
    Agent(AgentId),
    /// A rule.
    Rule(Untrusted),
    /// A skill or a caller; `None` if none was given.
    Named(Option<Untrusted>),
}

impl Dimension {
    /// All of them, in the order in which one turns through them.
    pub const ALL: [Self; 4] = [Self::Agent, Self::Rule, Self::Skill, Self::Caller];

    /// The word in titles and commands.
    pub fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Skill => "skill",
            Self::Caller => "caller",
            Self::Rule => "rule",
        }
    }

    /// Whose a series is.
    pub fn value_of(self, series: &Series) -> DimensionValue {
        match self {
            Self::Agent => DimensionValue::Agent(series.agent),
            Self::Skill => DimensionValue::Named(series.skill.clone()),
            Self::Caller => DimensionValue::Named(series.caller.clone()),
            Self::Rule => match &series.rule {
                Some(rule) => DimensionValue::Rule(rule.clone()),
                None => DimensionValue::Named(series.skill.clone()),
            },
        }
    }
}
