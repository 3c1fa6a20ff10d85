//! Replicas of an agent, and the other ways to group agents.
//!
//! Agents that the operator declared to be replicas (`replica_of`) are replicas of each other and of nobody else. Two
//! other agents are replicas of each other if their cards have the same `name`, the same `provider.organization` (or
//! none) and the same set of skill ids, compared exactly; A2A 1.0 and 0.3 spell all three alike. Properties that differ
//! between instances or versions are ignored: URLs and interfaces, the version, the protocol version, descriptions,
//! examples, media types, security. A card without a name and an agent that has left the fleet have no replicas.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::domain::agent::Agent;
use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::card::Card;
use crate::domain::id::AgentKey;
use crate::domain::text::Untrusted;

/// The key shared by replicas.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReplicaKey(Arc<str>);

impl ReplicaKey {
    /// Of an agent: what its operator declared, else what its card shows.
    pub fn of(declared: Option<&str>, card: Option<&Card>) -> Option<Self> {
        match declared {
            // No key of a card begins like this, as those begin with a length.
            Some(name) => Some(Self(format!("={name}").into())),
            None => card.and_then(Self::of_card),
        }
    }

    fn of_card(card: &Card) -> Option<Self> {
        if card.name.is_empty() {
            return None;
        }
        let mut skills: Vec<_> = card.skills.iter().map(|skill| skill.id.raw()).collect();
        skills.sort_unstable();
        skills.dedup();
        let provider = card.provider.as_ref().map(Untrusted::raw);
        let mut text = String::new();
        // Each with its length before it, so that no name can be written to look like another agent's.
        for part in [Some(card.name.raw()), provider].into_iter().chain(skills.into_iter().map(Some)) {
            let _infallible = match part {
                Some(part) => write!(text, "{}:{part}", part.len()),
                None => write!(text, "-"),
            };
        }
        Some(Self(text.into()))
    }
}

/// Replicas of one another.
#[derive(Clone, Debug, Default)]
pub struct Group {
    members: BTreeSet<AgentKey>,
    able: BTreeSet<AgentKey>,
    versions: BTreeMap<Untrusted, BTreeSet<AgentKey>>,
}

impl Group {
    /// Everybody, in order of place.
    pub fn members(&self) -> &BTreeSet<AgentKey> {
        &self.members
    }

    /// Those that can be given work now: up or degraded, with a closed breaker.
    pub fn able(&self) -> &BTreeSet<AgentKey> {
        &self.able
    }

    /// The agents of each version.
    pub fn versions(&self) -> &BTreeMap<Untrusted, BTreeSet<AgentKey>> {
        &self.versions
    }
}

/// The listed agents of a fleet by their kin, kept up with every fact.
#[derive(Clone, Debug, Default)]
pub struct Replicas {
    groups: BTreeMap<ReplicaKey, Group>,
}

impl Replicas {
    /// The replicas that have this in common.
    pub fn group(&self, replica_key: &ReplicaKey) -> Option<&Group> {
        self.groups.get(replica_key)
    }

    /// Every group, also of one.
    pub fn groups(&self) -> impl Iterator<Item = (&ReplicaKey, &Group)> {
        self.groups.iter()
    }

    /// Moves an agent between groups.
    pub(in crate::domain) fn moved(
        &mut self,
        key: AgentKey,
        before: &ReplicaMembership,
        after: &ReplicaMembership,
    ) {
        if before == after {
            return;
        }
        if let Some(replica_key) = &before.replica_key
            && let Some(group) = self.groups.get_mut(replica_key)
        {
            group.members.remove(&key);
            group.able.remove(&key);
            if let Some(of) = group.versions.get_mut(&before.version) {
                of.remove(&key);
                if of.is_empty() {
                    group.versions.remove(&before.version);
                }
            }
            if group.members.is_empty() {
                self.groups.remove(replica_key);
            }
        }
        if let Some(replica_key) = &after.replica_key {
            let group = self.groups.entry(replica_key.clone()).or_default();
            group.members.insert(key);
            group.versions.entry(after.version.clone()).or_default().insert(key);
            if after.able {
                group.able.insert(key);
            }
        }
    }
}

/// The group membership of an agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::domain) struct ReplicaMembership {
    replica_key: Option<ReplicaKey>,
    version: Untrusted,
    able: bool,
}

impl ReplicaMembership {
    /// The membership of an agent that is not listed.
    pub fn nowhere() -> Self {
        Self { replica_key: None, version: Untrusted::from(""), able: false }
    }

    pub fn of(agent: &Agent) -> Self {
        match (&agent.card, &agent.replica_key) {
            (Some(card), Some(replica_key)) if agent.listed => Self {
                replica_key: Some(replica_key.clone()),
                version: card.version.clone(),
                able: agent.health.takes_work() && agent.breaker.position == BreakerState::Closed,
            },
            _ => Self::nowhere(),
        }
    }
}

/// The property that a list of agents is grouped by.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum GroupBy {
    /// Declared replicas are folded into one row; all other agents are ungrouped.
    #[default]
    Declared,
    /// All replicas are folded into one row; agents without replicas are ungrouped.
    Replicas,
    /// The provider in the card.
    Provider,
    /// The version in its card.
    Version,
    /// The label `region`, else the region in the card.
    Region,
    /// The label `framework`, else the framework in the card or the server software.
    Framework,
    /// A label.
    Label(Arc<str>),
    /// Every agent is ungrouped.
    None,
}

impl GroupBy {
    /// From the words of a command: `version`, `label team`.
    pub fn parse(words: &str) -> Option<Self> {
        let (first, rest) = words.trim().split_once(char::is_whitespace).unwrap_or((words.trim(), ""));
        Some(match (first, rest.trim()) {
            ("declared", "") => Self::Declared,
            ("replicas", "") => Self::Replicas,
            ("provider", "") => Self::Provider,
            ("version", "") => Self::Version,
            ("region", "") => Self::Region,
            ("framework", "") => Self::Framework,
            ("none", "") => Self::None,
            ("label", name) if !name.is_empty() => Self::Label(name.into()),
            _ => return None,
        })
    }

    /// The words of the command.
    pub fn words(&self) -> String {
        match self {
            Self::Declared => "declared".into(),
            Self::Replicas => "replicas".into(),
            Self::Provider => "provider".into(),
            Self::Version => "version".into(),
            Self::Region => "region".into(),
            Self::Framework => "framework".into(),
            Self::Label(name) => format!("label {name}"),
            Self::None => "none".into(),
        }
    }

    /// The group value of an agent; `None` if it has none.
    pub fn value(&self, agent: &Agent) -> Option<Untrusted> {
        let card = agent.card.as_ref();
        let filled = |text: Untrusted| (!text.is_empty()).then_some(text);
        match self {
            Self::Provider => card.and_then(|card| card.provider.clone()).and_then(filled),
            Self::Version => card.map(|card| card.version.clone()).and_then(filled),
            Self::Region => region(agent),
            Self::Framework => framework(agent),
            Self::Label(name) => label(agent, name),
            Self::Declared => agent.spec.replica_of.clone().map(Untrusted::new),
            Self::Replicas => card.map(|card| card.name.clone()).and_then(filled),
            Self::None => None,
        }
    }
}

/// A label that the operator or a source gave it.
pub fn label(agent: &Agent, name: &str) -> Option<Untrusted> {
    let found = agent.spec.labels.iter().find(|(key, value)| &**key == name && !value.is_empty());
    found.map(|(_, value)| Untrusted::new(value.clone()))
}

/// The region: the operator's label takes precedence over a cluster's, and that over the card.
pub fn region(agent: &Agent) -> Option<Untrusted> {
    label(agent, "region")
        .or_else(|| label(agent, "topology.kubernetes.io/region"))
        .or_else(|| agent.card.as_ref()?.region.clone())
}

/// The framework: a label, else the card, else the server software.
pub fn framework(agent: &Agent) -> Option<Untrusted> {
    label(agent, "framework")
        .or_else(|| agent.card.as_ref()?.framework.clone())
        .or_else(|| agent.server.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::card::Skill;

    fn card(name: &str, provider: Option<&str>, skills: &[&str]) -> Card {
        let skills = skills.iter().map(|id| Skill {
            id: (*id).into(),
            name: "x".into(),
            description: "x".into(),
            tags: Vec::new(),
            examples: Vec::new(),
            input_modes: Vec::new(),
            output_modes: Vec::new(),
        });
        Card {
            name: name.into(),
            provider: provider.map(Into::into),
            skills: skills.collect(),
            ..Card::empty()
        }
    }

    #[test]
    fn replicas_have_name_provider_and_skills_in_common() {
        let one = ReplicaKey::of_card(&card("a", Some("p"), &["x", "y"]));
        let version = Card { version: "2".into(), streaming: true, ..card("a", Some("p"), &["y", "x", "x"]) };
        assert_eq!(one, ReplicaKey::of_card(&version));
        for other in [
            card("b", Some("p"), &["x", "y"]),
            card("a", None, &["x", "y"]),
            card("a", Some("q"), &["x", "y"]),
            card("a", Some("p"), &["x"]),
            card("a", Some("p"), &["x", "y", "z"]),
        ] {
            assert_ne!(one, ReplicaKey::of_card(&other), "{other:?}");
        }
        // A crafted name cannot be read as another agent's name and skills.
        assert_ne!(
            ReplicaKey::of_card(&card("a", None, &["b"])),
            ReplicaKey::of_card(&card("a-1:b", None, &[]))
        );
        assert_eq!(ReplicaKey::of_card(&card("", Some("p"), &["x"])), None);
        let declared = |card: Option<&Card>| ReplicaKey::of(Some("a"), card);
        assert_eq!(declared(None), declared(Some(&card("b", None, &["x"]))), "cards do not matter then");
        assert_ne!(declared(None), ReplicaKey::of_card(&card("a", None, &[])));
    }

    #[test]
    fn ways_to_group_are_parsed_as_they_are_written() {
        for words in
            ["declared", "replicas", "provider", "version", "region", "framework", "label team", "none"]
        {
            assert_eq!(GroupBy::parse(words).map(|by| by.words()).as_deref(), Some(words));
        }
        for words in ["", "label", "label ", "versions", "none x"] {
            assert_eq!(GroupBy::parse(words), None, "{words}");
        }
    }
}
