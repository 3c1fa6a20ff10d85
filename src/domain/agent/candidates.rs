//! Candidates: agents that cards name and that are not in the fleet. They are offered to the operator and never called
//! before they are added.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::agent::card::Peer;
use crate::domain::agent::{Agent, normalise_url};
use crate::domain::id::AgentKey;
use crate::domain::text::Untrusted;

/// A candidate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Its URL, as the card gives it.
    pub url: Arc<str>,
    /// Its name in the first card that names it; `None` if that gives none.
    pub name: Option<Untrusted>,
    /// Whose cards name it, in order of place.
    pub by: Vec<AgentKey>,
}

/// References between cards, updated with every changed row.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// The peers named by each agent's card.
    references: BTreeMap<AgentKey, References>,
    named: BTreeMap<Arc<str>, BTreeMap<AgentKey, Option<Untrusted>>>,
    /// Where the agents of the fleet are.
    known: BTreeMap<String, BTreeSet<AgentKey>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct References {
    peers: Vec<Peer>,
    urls: BTreeSet<String>,
}

impl Candidates {
    /// Those of a whole fleet.
    pub fn of<'a>(agents: impl Iterator<Item = (AgentKey, &'a Agent)>) -> Self {
        let mut candidates = Self::default();
        for (key, agent) in agents {
            candidates.note(key, Some(agent));
        }
        candidates
    }

    /// Updates an agent's references; true if the candidates may have changed.
    pub fn note(&mut self, key: AgentKey, agent: Option<&Agent>) -> bool {
        let now = agent.filter(|agent| agent.listed).map(|agent| {
            let card = agent.card.as_deref();
            // An interface that the agent itself offers is this agent, not another one.
            let offers = card.map_or(&[][..], |card| &card.offers).iter();
            let urls = offers.map(|offer| normalise_url(offer.url.raw()));
            References {
                peers: card.map(|card| card.peers.clone()).unwrap_or_default(),
                urls: urls.chain([normalise_url(&agent.spec.url)]).collect(),
            }
        });
        if self.references.get(&key) == now.as_ref() {
            return false;
        }
        if let Some(before) = self.references.remove(&key) {
            for peer in &before.peers {
                if let Some(by) = self.named.get_mut(&peer.url) {
                    by.remove(&key);
                    if by.is_empty() {
                        self.named.remove(&peer.url);
                    }
                }
            }
            for url in &before.urls {
                if let Some(of) = self.known.get_mut(url) {
                    of.remove(&key);
                    if of.is_empty() {
                        self.known.remove(url);
                    }
                }
            }
        }
        if let Some(now) = now {
            for peer in &now.peers {
                self.named.entry(peer.url.clone()).or_default().insert(key, peer.name.clone());
            }
            for url in &now.urls {
                self.known.entry(url.clone()).or_default().insert(key);
            }
            self.references.insert(key, now);
        }
        true
    }

    /// Those that are offered, by URL.
    pub fn iter(&self) -> impl Iterator<Item = Candidate> + '_ {
        let offered = self.named.iter().filter(|(url, _)| !self.known.contains_key(&***url));
        offered.map(|(url, by)| Candidate {
            url: url.clone(),
            name: by.values().flatten().next().cloned(),
            by: by.keys().copied().collect(),
        })
    }
}
