//! Groups of agents that can be folded: the members and totals of each, updated incrementally.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::replicas::{GroupBy, ReplicaKey};
use crate::domain::agent::{Agent, Counts, Health};
use crate::domain::id::AgentKey;
use crate::domain::state::Changed;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::tui::views::listing::Order;

/// A row of the fleet: an agent, or a group by its number in this view.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Key {
    /// A group.
    Group(u32),
    /// An agent, ungrouped or in an open group.
    Agent(AgentKey),
}

impl Key {
    /// The agent, if it is one.
    pub fn agent(self) -> Option<AgentKey> {
        match self {
            Self::Agent(key) => Some(key),
            Self::Group(_) => None,
        }
    }
}

/// The value that the members of a group share.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Value {
    /// The key of replicas.
    ReplicaKey(ReplicaKey),
    /// The same value in cards or labels.
    Said(Untrusted),
    /// No value.
    Nobody,
}

/// How often each of a few values comes, in order.
#[derive(Clone, Debug)]
pub struct Tally<T>(BTreeMap<T, u32>);

impl<T> Default for Tally<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord + Clone> Tally<T> {
    fn add(&mut self, value: &T) {
        *self.0.entry(value.clone()).or_default() += 1;
    }

    fn take(&mut self, value: &T) {
        if let Some(count) = self.0.get_mut(value) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(value);
            }
        }
    }

    /// The least.
    pub fn first(&self) -> Option<&T> {
        self.0.keys().next()
    }

    /// The greatest.
    pub fn last(&self) -> Option<&T> {
        self.0.keys().next_back()
    }

    /// How many different ones there are.
    pub fn kinds(&self) -> usize {
        self.0.len()
    }

    /// How often one comes.
    pub fn count(&self, value: &T) -> u32 {
        self.0.get(value).copied().unwrap_or(0)
    }

    /// Each with how often it comes.
    pub fn iter(&self) -> impl Iterator<Item = (&T, u32)> {
        self.0.iter().map(|(value, count)| (value, *count))
    }
}

/// The contribution of an agent to its group.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Share {
    counts: Counts,
    rank: u8,
    seen: At,
    order: u32,
    version: Untrusted,
    speaks: String,
    breaker: BreakerState,
}

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    value: Value,
    /// Its agents that are shown.
    pub members: BTreeSet<AgentKey>,
    /// The sum of their task counts.
    pub counts: Counts,
    /// How they are, as places in [`Health::ALL`].
    pub ranks: Tally<u8>,
    /// Their last activity before they went down.
    pub seen: Tally<At>,
    /// Their positions in the configured order.
    pub orders: Tally<u32>,
    /// Their versions.
    pub versions: Tally<Untrusted>,
    /// Their protocols.
    pub speaks: Tally<String>,
    /// The states of their breakers.
    pub breakers: Tally<BreakerState>,
}

impl Group {
    fn new(value: Value) -> Self {
        Self {
            value,
            members: BTreeSet::new(),
            counts: Counts::default(),
            ranks: Tally::default(),
            seen: Tally::default(),
            orders: Tally::default(),
            versions: Tally::default(),
            speaks: Tally::default(),
            breakers: Tally::default(),
        }
    }

    /// The title.
    pub fn title(&self, snapshot: &Snapshot) -> Untrusted {
        match &self.value {
            Value::Said(text) => text.clone(),
            Value::Nobody => Untrusted::from("–"),
            Value::ReplicaKey(_) => {
                let members = || self.members.iter().filter_map(|key| snapshot.agents.get(*key));
                let declared = members().find_map(|agent| agent.spec.replica_of.clone());
                // A name that a person wrote stays visible in the row that its agent is folded into.
                let written: Vec<&str> = members().filter_map(|agent| agent.spec.name.as_deref()).collect();
                let card = members().find_map(|agent| agent.card.as_ref());
                match (declared, written.as_slice(), card) {
                    (Some(name), ..) => Untrusted::new(name),
                    (None, [_, ..], _) => Untrusted::from(written.join(", ")),
                    (None, [], Some(card)) => card.name.clone(),
                    (None, [], None) => Untrusted::from("–"),
                }
            }
        }
    }

    /// How the worst of them is, and how many are so.
    pub fn worst(&self) -> (Health, u32) {
        let rank = self.ranks.first().copied().unwrap_or(0);
        let health = Health::ALL.get(usize::from(rank)).copied().unwrap_or(Health::Unknown);
        (health, self.ranks.count(&rank))
    }

    fn counts_mut(&mut self) -> [&mut u32; 6] {
        let Counts { live, need_you, completed, failed, stopped, doubtful } = &mut self.counts;
        [live, need_you, completed, failed, stopped, doubtful]
    }

    fn add(&mut self, key: AgentKey, share: &Share) {
        self.members.insert(key);
        for (sum, part) in self.counts_mut().into_iter().zip(parts(share.counts)) {
            *sum = sum.saturating_add(part);
        }
        self.ranks.add(&share.rank);
        self.seen.add(&share.seen);
        self.orders.add(&share.order);
        self.versions.add(&share.version);
        self.speaks.add(&share.speaks);
        self.breakers.add(&share.breaker);
    }

    fn take(&mut self, key: AgentKey, share: &Share) {
        self.members.remove(&key);
        for (sum, part) in self.counts_mut().into_iter().zip(parts(share.counts)) {
            *sum = sum.saturating_sub(part);
        }
        self.ranks.take(&share.rank);
        self.seen.take(&share.seen);
        self.orders.take(&share.order);
        self.versions.take(&share.version);
        self.speaks.take(&share.speaks);
        self.breakers.take(&share.breaker);
    }
}

fn parts(counts: Counts) -> [u32; 6] {
    let Counts { live, need_you, completed, failed, stopped, doubtful } = counts;
    [live, need_you, completed, failed, stopped, doubtful]
}

/// Every displayed agent, in its group.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    by: GroupBy,
    /// The order and the snapshot revision that they were built for.
    built: Option<Order>,
    rev: u64,
    numbers: BTreeMap<Value, u32>,
    rows: BTreeMap<u32, Group>,
    of: BTreeMap<AgentKey, (u32, Share)>,
    /// Every agent that passes the filter, grouped or not.
    shown: BTreeSet<AgentKey>,
    /// The unfolded groups; kept while a group is temporarily gone.
    open: BTreeSet<Value>,
    next: u32,
    /// Rows that the last changes are about.
    touched: BTreeSet<Key>,
    /// The last row comes first.
    pub descending: bool,
}

impl Groups {
    /// The grouping.
    pub fn by(&self) -> &GroupBy {
        &self.by
    }

    /// Which agents are shown has changed, although their rows have not.
    pub fn rebuild(&mut self) {
        self.built = None;
    }

    /// Groups by something else from now on.
    pub fn set(&mut self, by: GroupBy) {
        *self = Self { by, next: self.next, ..Self::default() };
    }

    /// How many agents are shown, under a folded row or not.
    pub fn agents(&self) -> usize {
        self.shown.len()
    }

    /// A group by its number.
    pub fn get(&self, number: u32) -> Option<&Group> {
        self.rows.get(&number)
    }

    /// Every group that has a row.
    pub fn folded(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows.iter().filter(|(_, group)| self.folds(group)).map(|(number, _)| *number)
    }

    /// True for a group with a row of its own; a single replica has none.
    pub fn folds(&self, group: &Group) -> bool {
        group.members.len() > usize::from(matches!(group.value, Value::ReplicaKey(_)))
    }

    /// True if a group shows its members.
    pub fn is_open(&self, group: &Group) -> bool {
        self.open.contains(&group.value)
    }

    /// Unfolds a group, or folds it.
    pub fn open(&mut self, number: u32, open: bool) {
        if let Some(group) = self.rows.get(&number) {
            if open {
                self.open.insert(group.value.clone());
            } else {
                self.open.remove(&group.value);
            }
        }
    }

    /// The group of an agent, open or not.
    pub fn of(&self, key: AgentKey) -> Option<(u32, &Group)> {
        let (number, _) = self.of.get(&key)?;
        let group = self.rows.get(number)?;
        self.folds(group).then_some((*number, group))
    }

    /// The rows that the changes since the last call are about.
    pub fn touched(&self) -> impl Iterator<Item = Key> + '_ {
        self.touched.iter().copied()
    }

    /// Applies changes. `shows` decides which agents are displayed, `speaks` returns an agent's protocols.
    pub fn sync(
        &mut self,
        snapshot: &Snapshot,
        order: &Order,
        shows: impl Fn(&Agent) -> bool,
        speaks: impl Fn(&Agent) -> String,
    ) {
        self.touched.clear();
        let same = |built: &Order| built.filter == order.filter && built.faults == order.faults;
        let known = self.built.as_ref().is_some_and(same);
        let changes = snapshot.changes_since(self.rev).filter(|_| known);
        if let Some(changes) = changes {
            for change in changes {
                if let Changed::Agent(key) = change {
                    self.put(snapshot, key, &shows, &speaks);
                }
            }
            self.touch_members();
        } else {
            self.rows.clear();
            self.of.clear();
            self.shown.clear();
            self.numbers.clear();
            for (key, _) in snapshot.agents.iter() {
                self.put(snapshot, key, &shows, &speaks);
            }
        }
        self.built = Some(order.clone());
        self.rev = snapshot.rev;
    }

    fn put(
        &mut self,
        snapshot: &Snapshot,
        key: AgentKey,
        shows: &impl Fn(&Agent) -> bool,
        speaks: &impl Fn(&Agent) -> String,
    ) {
        self.touched.insert(Key::Agent(key));
        let agent = snapshot.agents.get(key).filter(|agent| shows(agent));
        if agent.is_some() {
            self.shown.insert(key);
        } else {
            self.shown.remove(&key);
        }
        let now = agent.and_then(|agent| Some((self.value(agent)?, share(agent, speaks(agent)))));
        let before = self.of.remove(&key);
        if let Some((number, share)) = &before
            && let Some(group) = self.rows.get_mut(number)
        {
            group.take(key, share);
            if group.members.is_empty() {
                let value = group.value.clone();
                self.rows.remove(number);
                self.numbers.remove(&value);
            }
        }
        let after = now.map(|(value, share)| {
            let number = self.numbers.get(&value).copied().unwrap_or_else(|| {
                // A number is not used again for another group: rows are held by it.
                self.next += 1;
                self.numbers.insert(value.clone(), self.next);
                self.next
            });
            self.rows.entry(number).or_insert_with(|| Group::new(value)).add(key, &share);
            self.of.insert(key, (number, share));
            number
        });
        let groups = before.map(|(number, _)| number).into_iter().chain(after);
        self.touched.extend(groups.map(Key::Group));
    }

    /// Agents under a group's row move with it, and an agent left alone becomes ungrouped.
    fn touch_members(&mut self) {
        let mut moved = Vec::new();
        for row in &self.touched {
            let Key::Group(number) = row else { break };
            if let Some(group) = self.rows.get(number)
                && (group.members.len() <= 2 || self.is_open(group))
            {
                moved.extend(group.members.iter().map(|key| Key::Agent(*key)));
            }
        }
        self.touched.extend(moved);
    }

    /// The group value of an agent; `None` if it is always ungrouped.
    fn value(&self, agent: &Agent) -> Option<Value> {
        match &self.by {
            GroupBy::None => None,
            GroupBy::Declared if agent.spec.replica_of.is_none() => None,
            GroupBy::Declared | GroupBy::Replicas => {
                agent.replica_key.clone().filter(|_| agent.listed).map(Value::ReplicaKey)
            }
            by => Some(by.value(agent).map_or(Value::Nobody, |value| Value::Said(value.headline(60)))),
        }
    }
}

fn share(agent: &Agent, speaks: String) -> Share {
    let rank = Health::ALL.iter().position(|health| *health == agent.health).unwrap_or(0);
    Share {
        counts: agent.counts,
        rank: u8::try_from(rank).unwrap_or(0),
        seen: agent.last_seen,
        order: agent.order,
        version: agent.card.as_ref().map_or_else(|| Untrusted::from(""), |card| card.version.clone()),
        speaks,
        breaker: agent.breaker.position,
    }
}
