//! Routing: which agents a message may go to, and which of them gets it.
//!
//! A *rule* is one `[[fleet.NAME.routes]]` entry of the configuration: what a message must have ([`condition`]), where
//! it goes, and how it is sent. A *route* is the name by which callers ask for rules; a rule without `match.route`
//! answers to its own name. The first rule that fits decides. Choosing among agents ([`balance`]) is a pure function of
//! what is known of them, so that `route explain` gives the answer that a send would get.

pub mod balance;
pub mod condition;
pub mod decision;
pub mod difference;
pub mod explanation;
pub mod message;
pub mod replay;
#[cfg(test)]
mod replay_tests;
pub mod shift;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::Agent;
use crate::domain::id::AgentId;
use crate::domain::route::balance::Balance;
use crate::domain::route::condition::{Condition, Unmet};
use crate::domain::route::message::MessageFields;
use crate::domain::text::Untrusted;
use crate::domain::time::format_duration;

/// A rule that names no priority has this one; a higher number goes first.
pub const PRIORITY: u8 = 5;

/// Where an operator wants a job to go.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Target {
    /// One agent; rules are not asked.
    Agent(AgentId),
    /// An agent with this skill, by the first rule that fits, else by turns.
    Skill(Untrusted),
    /// An agent with a skill that has this tag, by the first rule that fits, else by turns.
    Tag(Untrusted),
    /// By the rules of a route.
    Route(Arc<str>),
    /// By the first rule that fits the message.
    Any,
}

/// The agents that a rule sends to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Selector {
    /// One agent by its name.
    Agent(Arc<str>),
    /// Agents whose card declares this skill.
    Skill(Untrusted),
    /// Agents with a skill that has this tag.
    Tag(Untrusted),
    /// Agents with this label in the configuration, or from a source.
    Label {
        /// The label's name.
        name: Arc<str>,
        /// Its value.
        value: Arc<str>,
    },
    /// These agents by their names.
    Set(Arc<[Arc<str>]>),
}

impl Selector {
    /// What an agent must be: the words behind "no agent of the fleet".
    pub fn wanted(&self) -> String {
        match self {
            Self::Agent(name) => format!("is called {name}"),
            Self::Set(names) => format!("is one of {}", names.join(", ")),
            Self::Skill(_) | Self::Tag(_) | Self::Label { .. } => format!("has {self}"),
        }
    }

    /// True if it names this agent.
    pub fn names(&self, agent: &Agent) -> bool {
        let mut skills = agent.card.iter().flat_map(|card| &card.skills);
        let is_called = |name: &str| agent.name.raw() == name || agent.spec.name.as_deref() == Some(name);
        match self {
            Self::Agent(name) => is_called(name),
            Self::Set(names) => names.iter().any(|name| is_called(name)),
            Self::Skill(id) => skills.any(|skill| skill.id == *id),
            Self::Tag(tag) => skills.any(|skill| skill.tags.contains(tag)),
            Self::Label { name, value } => {
                agent.spec.labels.iter().any(|(of, is)| **of == **name && **is == **value)
            }
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Agent(name) => f.write_str(name),
            Self::Skill(skill) => write!(f, "skill {}", skill.line()),
            Self::Tag(tag) => write!(f, "tag {}", tag.line()),
            Self::Label { name, value } => write!(f, "label {name}={value}"),
            Self::Set(names) => f.write_str(&names.join(", ")),
        }
    }
}

/// When a failed job is tried again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retry {
    /// How long the wait before the next attempt is.
    pub backoff: Backoff,
    /// Attempts after the first one, at most.
    pub max: u16,
    /// Retries of this rule are at most this share of its jobs in the last ten minutes, in per cent. Ten retries are
    /// always allowed, so that a rule with little traffic can retry at all.
    pub budget: u8,
}

impl Default for Retry {
    fn default() -> Self {
        Self { backoff: Backoff::None, max: 0, budget: 20 }
    }
}

/// The wait before a retry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backoff {
    /// No retry at all.
    None,
    /// Always the same wait.
    Fixed(Duration),
    /// The wait doubles with each retry, up to a cap, and is jittered by a fifth.
    Exponential {
        /// Before the first retry.
        base: Duration,
        /// The longest wait.
        cap: Duration,
    },
}

impl Backoff {
    /// The wait before the retry of this number, from 1, before jitter.
    pub fn wait(self, retry: u16) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Fixed(wait) => wait,
            Self::Exponential { base, cap } => {
                let doublings = u32::from(retry.saturating_sub(1)).min(30);
                base.checked_mul(1 << doublings).unwrap_or(cap).min(cap)
            }
        }
    }
}

/// When an attempt takes so long that another one is sent beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HedgeAfter {
    /// Longer than this share, in per cent, of the tasks of its agent and skill in the last hour.
    Percentile(u8),
    /// After this time.
    Time(Duration),
}

impl std::fmt::Display for HedgeAfter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Percentile(percent) => write!(f, "p{percent}"),
            Self::Time(time) => f.write_str(&format_duration(*time)),
        }
    }
}

/// Another attempt beside one that takes long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hedge {
    /// When.
    pub after: HedgeAfter,
    /// Attempts of a job that are sent for this reason, at most.
    pub max: u8,
}

/// The time that an agent may be unreachable before something is done about its tasks, where no rule says otherwise.
pub const UNREACHABLE_AFTER: Duration = Duration::from_secs(60);

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Unique among the rules.
    pub name: Arc<str>,
    /// The route that it belongs to; its own name if the configuration gives none.
    pub route: Arc<str>,
    /// All must hold. Without any, the rule fits every message.
    pub conditions: Vec<Condition>,
    /// The agents.
    pub to: Selector,
    /// Weights of agents by name, for [`Balance::Weighted`]; an agent without one has 1.
    pub weights: Vec<(Arc<str>, u32)>,
    /// How one of the agents is chosen.
    pub balance: Balance,
    /// The time that one attempt may take; `None` for no limit.
    pub timeout: Option<Duration>,
    /// The time that an agent may be unreachable before its task is given up, if the work is idempotent, or an operator is
    /// asked.
    pub unreachable_after: Duration,
    /// The time that the job may take from when it was accepted, with waiting and retries; `None` for no limit.
    pub deadline: Option<Duration>,
    /// When it is tried again.
    pub retry: Retry,
    /// When another attempt is sent beside one that takes long; only of work that is idempotent.
    pub hedge: Option<Hedge>,
    /// Where it goes if no agent of `to` takes work, in order.
    pub fallback: Vec<Selector>,
    /// Higher numbers leave the queue first.
    pub priority: u8,
    /// Jobs of the rule that run at once, at most; `None` for no limit.
    pub concurrency: Option<u32>,
    /// Running the work twice does no harm: an attempt with an unknown outcome may be followed by another one.
    pub idempotent: bool,
}

impl Rule {
    /// A rule of this name that sends every message to these agents by turns, once.
    pub fn new(name: impl Into<Arc<str>>, to: Selector) -> Self {
        let name = name.into();
        Self {
            route: name.clone(),
            name,
            conditions: Vec::new(),
            to,
            weights: Vec::new(),
            balance: Balance::RoundRobin,
            timeout: None,
            unreachable_after: UNREACHABLE_AFTER,
            deadline: None,
            retry: Retry::default(),
            hedge: None,
            fallback: Vec::new(),
            priority: PRIORITY,
            concurrency: None,
            idempotent: false,
        }
    }

    /// The agents in the order in which they are asked: `to`, then the fallbacks.
    pub fn stages(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.to).chain(&self.fallback)
    }

    /// The weight of an agent.
    pub fn weight(&self, name: &str) -> u32 {
        self.weights.iter().find(|(of, _)| **of == *name).map_or(1, |(_, weight)| *weight)
    }

    /// The first condition that does not hold; `None` if the rule fits.
    pub fn unmet(&self, fields: &MessageFields) -> Option<Unmet> {
        self.conditions.iter().find_map(|condition| condition.unmet(fields))
    }
}

/// The rules in order, as loaded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// Identifies this version of the rules: a hash of what they say. 0 without any rule.
    pub revision: u64,
    /// The rules; the first that fits decides.
    pub rules: Vec<Arc<Rule>>,
}

/// What a rule says about a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fit {
    /// It decides.
    Decides,
    /// A condition does not hold.
    Unmet(Unmet),
    /// It belongs to another route than the one asked for.
    OtherRoute,
    /// It would fit too, but an earlier rule decides.
    Later,
}

impl Rules {
    /// A rule by its name.
    pub fn rule(&self, name: &str) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| *rule.name == *name)
    }

    /// The rule that decides about a message.
    pub fn decide(&self, target: &Target, fields: &MessageFields) -> Option<&Arc<Rule>> {
        self.rules.iter().find(|rule| rule.serves(target) && rule.unmet(fields).is_none())
    }

    /// The earlier rule that takes every message that a rule would take, so that it can never decide.
    pub fn shadow(&self, rule: &Rule) -> Option<&Arc<Rule>> {
        let earlier = self.rules.iter().take_while(|other| other.name != rule.name);
        let mut shadows = earlier.filter(|other| {
            let covered = |condition: &Condition| rule.conditions.iter().any(|own| condition.covers(own));
            // Asked for by its route, a rule of another route decides all the same.
            other.route == rule.route && other.conditions.iter().all(covered)
                || rule.route == rule.name && other.conditions.iter().all(covered) && other.to == rule.to
        });
        shadows.next()
    }

    /// What each rule says about a message, in order.
    pub fn explain(&self, target: &Target, fields: &MessageFields) -> Vec<(Arc<Rule>, Fit)> {
        let mut decided = false;
        let fit = |rule: &Arc<Rule>| {
            let fit = match rule.unmet(fields) {
                _ if !rule.serves(target) => Fit::OtherRoute,
                Some(unmet) => Fit::Unmet(unmet),
                None if decided => Fit::Later,
                None => {
                    decided = true;
                    Fit::Decides
                }
            };
            (rule.clone(), fit)
        };
        self.rules.iter().map(fit).collect()
    }
}

impl Rule {
    /// True if the rule may decide about jobs with this target. A job for a skill or a tag goes by the rules that send
    /// there or that ask for it; it never ends at agents without the skill because of an unrelated rule.
    fn serves(&self, target: &Target) -> bool {
        let asks = |wanted: &Untrusted, field: condition::Field| {
            self.conditions.iter().any(|condition| condition.names(field, wanted))
        };
        // A rule that belongs to a route is asked only by those who name the route.
        let for_everybody = self.route == self.name;
        match target {
            Target::Agent(_) => false,
            Target::Route(route) => *self.route == **route || *self.name == **route,
            _ if !for_everybody => false,
            Target::Any => true,
            Target::Skill(skill) => {
                matches!(&self.to, Selector::Skill(to) if to == skill) || asks(skill, condition::Field::Skill)
            }
            Target::Tag(tag) => {
                matches!(&self.to, Selector::Tag(to) if to == tag) || asks(tag, condition::Field::Tag)
            }
        }
    }
}

/// The hash of a conversation, for balances that keep it at one agent.
pub fn conversation(context: &Untrusted) -> u64 {
    // FNV-1a: conversations are to stay with their agents after a restart and on every machine.
    context
        .raw()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The default for a target that no rule decides: its agents by turns. `None` if only rules
/// can decide.
pub fn default_rule(target: &Target) -> Option<Rule> {
    match target {
        Target::Skill(skill) => Some(Rule::new("", Selector::Skill(skill.clone()))),
        Target::Tag(tag) => Some(Rule::new("", Selector::Tag(tag.clone()))),
        Target::Agent(_) | Target::Route(_) | Target::Any => None,
    }
}
