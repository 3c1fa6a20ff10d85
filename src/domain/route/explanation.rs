//! What the router says about its rules and about a message: the answer of `route explain` and of the routes view.

use std::sync::Arc;

use crate::domain::id::AgentId;
use crate::domain::job::plan::WaitReason;
use crate::domain::route::balance::Balance;
use crate::domain::route::condition::Unmet;
use crate::domain::route::decision::Decision;
use crate::domain::route::{Backoff, Fit, Rule, Rules};
use crate::domain::text::Untrusted;
use crate::domain::time::format_duration;

/// A rule with what it says about a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleRow {
    /// Its name.
    pub name: Arc<str>,
    /// The route that it belongs to.
    pub route: Arc<str>,
    /// What it asks of a message, in words; empty if it takes every message.
    pub conditions: Vec<Arc<str>>,
    /// Its agents, then its fallbacks, in words.
    pub to: Vec<Arc<str>>,
    /// How one of its agents is chosen.
    pub balance: Balance,
    /// How it sends, in words: time-out, retries, limits; empty if nothing is set.
    pub settings: Vec<Arc<str>>,
    /// Jobs of it that run now.
    pub running: u32,
    /// Its retries of the last ten minutes; `None` if it tries nothing again.
    pub budget: Option<RetryBudget>,
    /// The earlier rule that takes every message that this one would take.
    pub shadowed_by: Option<Arc<str>>,
    /// What it says about the message; `None` if there is none.
    pub fit: Option<Fit>,
}

/// Retries and hedges of a rule in the last ten minutes, of those that its jobs of that time allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryBudget {
    /// How many there were.
    pub spent: u32,
    /// How many are allowed.
    pub allowed: u32,
}

impl std::fmt::Display for RetryBudget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} retries spent in the last 10 min", self.spent, self.allowed)?;
        if self.spent >= self.allowed { f.write_str(": nothing more is tried again") } else { Ok(()) }
    }
}

/// Where a message would go now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// To this agent.
    Goes(AgentId),
    /// It would have to wait.
    Waits(WaitReason),
    /// Nowhere; the text says why.
    Nowhere(Untrusted),
}

/// The rules, and where a message would go.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Explanation {
    /// The revision of the rules.
    pub revision: u64,
    /// The rules in order.
    pub rules: Vec<RuleRow>,
    /// Where the message would go; `None` if none was given.
    pub outcome: Option<Outcome>,
    /// The decision behind it.
    pub decision: Option<Decision>,
    /// The names of the candidates.
    pub names: Vec<(AgentId, Untrusted)>,
}

impl RuleRow {
    /// A rule as it is shown, without a message.
    pub fn of(rule: &Rule, rules: &Rules, running: u32) -> Self {
        Self {
            name: rule.name.clone(),
            route: rule.route.clone(),
            conditions: rule.conditions.iter().map(|condition| condition.to_string().into()).collect(),
            to: rule.stages().map(|selector| selector.to_string().into()).collect(),
            balance: rule.balance,
            settings: settings(rule),
            running,
            budget: None,
            shadowed_by: rules.shadow(rule).map(|earlier| earlier.name.clone()),
            fit: None,
        }
    }
}

/// What a rule sets beside its agents, in words.
fn settings(rule: &Rule) -> Vec<Arc<str>> {
    let mut words: Vec<String> = Vec::new();
    if !rule.weights.is_empty() {
        let weights: Vec<_> = rule.weights.iter().map(|(name, weight)| format!("{name} {weight}")).collect();
        words.push(format!("weights {}", weights.join(", ")));
    }
    words.extend(rule.timeout.map(|time| format!("timeout {}", format_duration(time))));
    if rule.unreachable_after != super::UNREACHABLE_AFTER {
        words.push(format!("unreachable after {}", format_duration(rule.unreachable_after)));
    }
    words.extend(rule.deadline.map(|time| format!("deadline {}", format_duration(time))));
    words.extend(retries(rule));
    if let Some(hedge) = rule.hedge {
        let most = if hedge.max == 1 { String::new() } else { format!(", up to {}", hedge.max) };
        words.push(format!("hedge after {}{most}", hedge.after));
    }
    words.extend(rule.concurrency.map(|most| format!("{most} at once")));
    if rule.priority != super::PRIORITY {
        words.push(format!("priority {}", rule.priority));
    }
    if rule.idempotent {
        words.push("idempotent".to_owned());
    }
    words.into_iter().map(Arc::from).collect()
}

/// When a rule tries again, in words; `None` if it does not.
pub fn retries(rule: &Rule) -> Option<String> {
    let retries =
        if rule.retry.max == 1 { "1 retry".to_owned() } else { format!("{} retries", rule.retry.max) };
    match rule.retry.backoff {
        _ if rule.retry.max == 0 => None,
        Backoff::None => None,
        Backoff::Fixed(wait) => Some(format!("{retries}, {} apart", format_duration(wait))),
        Backoff::Exponential { base, cap } => {
            Some(format!("{retries}, {} doubling to {}", format_duration(base), format_duration(cap)))
        }
    }
}

impl Fit {
    /// The words behind the rule's name.
    pub fn in_words(&self) -> String {
        match self {
            Self::Decides => "decides".to_owned(),
            Self::Unmet(unmet) => unmet.to_string(),
            Self::OtherRoute => "is for another target".to_owned(),
            Self::Later => "would fit too, but comes later".to_owned(),
        }
    }

    /// The word in JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Decides => "decides",
            Self::Unmet(Unmet { .. }) => "no",
            Self::OtherRoute => "other target",
            Self::Later => "later",
        }
    }
}
