//! What the console knows of metrics: the last hour as it grows, the window that is looked at, and the same
//! stretch before it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::model::Shared;
use super::window::{Before, Window};
use crate::domain::agent::Agent;
use crate::domain::agent::replicas;
use crate::domain::id::{AgentId, AgentKey};
use crate::domain::metrics::{
    Block, Dimension, DimensionValue, Heat, Metrics, Minute, MinuteRange, Series, Tally,
};
use crate::domain::text::Untrusted;
use crate::domain::time::At;

type Blocks = Vec<(Minute, Arc<Block>)>;

/// Metrics as they were last read.
#[derive(Debug, Default)]
pub struct MetricsCache {
    /// Minutes of the last hour.
    pub live: Metrics,
    /// Counts what came in.
    pub rev: u64,
    /// The same for what is not of the present minute.
    older: u64,
    /// The window in parts, where it is more than minutes of the last hour.
    past: Option<(MinuteRange, Blocks)>,
    /// All of the stretch before.
    was: Option<(MinuteRange, Block)>,
    /// Of which stretch both are.
    of: Option<(Window, Before)>,
    /// Asked for and not answered yet.
    under_way: Vec<MinuteRange>,
    /// What could not be told; it is not asked for again.
    untold: Vec<MinuteRange>,
    /// When the last minutes were read.
    read: At,
}

impl MetricsCache {
    /// What must be asked for now, for a view that wants to know it so often.
    pub fn ask(&mut self, window: Window, before: Before, every: Duration, now: At) -> Vec<MinuteRange> {
        let parts = window.parts(now);
        if self.of != Some((window, before)) {
            // What was told of another stretch is never shown as this one's.
            self.of = Some((window, before));
            (self.past, self.was) = (None, None);
            self.under_way.retain(|query| query.is_open());
            self.rev += 1;
            self.older += 1;
        }
        let mut wanted = Vec::new();
        if now.since(self.read) >= every {
            let known = self.live.minutes().next_back().map(|(minute, _)| minute);
            let oldest = Minute::of(now).before(Metrics::KEPT - 1);
            let from = known.map_or(oldest, |known| known.max(oldest));
            wanted.push(MinuteRange::since(from));
            self.read = now;
        }
        if !parts.is_recent(now) {
            wanted.push(parts);
        }
        let earlier = parts.earlier(before.minutes());
        wanted.push(MinuteRange::whole(earlier.from, earlier.until));
        let known = |query: &MinuteRange| {
            self.past.as_ref().is_some_and(|(of, _)| of == query)
                || self.was.as_ref().is_some_and(|(of, _)| of == query)
                || self.untold.contains(query)
        };
        wanted.retain(|query| !self.under_way.contains(query) && !known(query));
        self.under_way.extend(&wanted);
        wanted
    }

    /// When the last minutes are to be read again.
    pub fn due(&self, every: Duration) -> At {
        self.read + every
    }

    /// What was asked for has come.
    pub fn take(&mut self, query: MinuteRange, blocks: Blocks) {
        let asked = self.under_way.len();
        self.under_way.retain(|asked| *asked != query);
        if self.under_way.len() == asked {
            return;
        }
        self.rev += 1;
        if query.is_open() {
            let present = self.live.minutes().next_back().map(|(minute, _)| minute);
            if blocks.iter().any(|(minute, _)| Some(*minute) != present) {
                self.older += 1;
            }
            for (minute, block) in blocks {
                self.live.put(minute, block);
            }
        } else if query.is_whole() {
            let mut all = Block::default();
            for (_, block) in &blocks {
                all.merge(block);
            }
            self.was = Some((query, all));
        } else {
            self.older += 1;
            self.past = Some((query, blocks));
        }
    }

    /// What was asked for cannot be told. Each minute asks for something else.
    pub fn failed(&mut self, query: MinuteRange) {
        self.under_way.retain(|asked| *asked != query);
        if !query.is_open() {
            self.untold.truncate(1);
            self.untold.insert(0, query);
        }
    }

    /// The blocks of a window, each with its part.
    fn blocks<'s>(&'s self, parts: MinuteRange, now: At) -> Vec<(usize, &'s Arc<Block>)> {
        let placed = |(minute, block): (Minute, &'s Arc<Block>)| Some((parts.place(minute)?, block));
        if parts.is_recent(now) {
            return self.live.from(parts.from).filter_map(placed).collect();
        }
        let known = self.past.iter().flat_map(|(_, blocks)| blocks.iter());
        known.map(|(minute, block)| (*minute, block)).filter_map(placed).collect()
    }

    /// Counts what came in of minutes that are over.
    pub fn older(&self) -> u64 {
        self.older
    }

    /// Everything of the stretch before, once it has come.
    pub fn was(&self) -> Option<&Block> {
        self.was.as_ref().map(|(_, block)| block)
    }
}

/// By what groups are told apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Split {
    /// By what each series says.
    Told(Dimension),
    /// By what the cards and labels of the agents say.
    Fleet(replicas::GroupBy),
}

impl Split {
    /// As titles say it.
    pub fn word(&self) -> String {
        match self {
            Self::Told(by) => by.word().to_owned(),
            Self::Fleet(by) => Untrusted::from(by.words()).line().into_string(),
        }
    }

    /// True if what does no work counts too.
    fn is_of_agents(&self) -> bool {
        matches!(self, Self::Told(Dimension::Agent) | Self::Fleet(_))
    }

    fn value_of(&self, series: &Series, agents: &BTreeMap<AgentId, &Agent>) -> DimensionValue {
        match self {
            Self::Told(by) => by.value_of(series),
            Self::Fleet(by) => {
                DimensionValue::Named(agents.get(&series.agent).and_then(|agent| by.value(agent)))
            }
        }
    }
}

impl From<Dimension> for Split {
    fn from(by: Dimension) -> Self {
        Self::Told(by)
    }
}

/// One part of a window.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// What happened.
    pub tally: Tally,
    /// Somebody looked.
    pub seen: bool,
}

/// What is told apart: an agent, a skill or a caller.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name, printable.
    pub name: String,
    /// The agent, if it is one that is known still.
    pub agent: Option<AgentKey>,
    /// Everything of the window.
    pub total: Tally,
    /// Everything of the stretch before.
    pub was: Tally,
    /// The window in parts.
    pub parts: Vec<Part>,
    /// How far each part was from what is usual here.
    pub heat: Vec<Heat>,
    /// All but the last part.
    closed: Tally,
}

impl Group {
    fn new(shared: &Shared, by: &Split, who: &DimensionValue, parts: MinuteRange) -> Self {
        Self {
            name: words(shared, by, who),
            agent: agent_of(shared, who),
            total: Tally::default(),
            was: Tally::default(),
            parts: vec![Part::default(); parts.count()],
            heat: vec![Heat::Unwatched; parts.count()],
            closed: Tally::default(),
        }
    }

    fn measure_heat(&mut self) {
        let usual = if self.was.ended() > 0 { &self.was } else { &self.closed };
        let (took, answer) = (usual.took.percentile(95), usual.answer.percentile(95));
        self.heat = self.parts.iter().map(|part| Heat::of(&part.tally, took, answer)).collect();
    }

    /// The worst of the last five parts.
    pub fn lately(&self) -> Heat {
        self.heat.iter().rev().take(5).max().copied().unwrap_or(Heat::Unwatched)
    }

    /// The worst comes first: by heat of what happened last, then by failures of the window.
    pub fn badness(&self) -> (u32, u32) {
        (self.lately() as u32, self.total.bad())
    }
}

/// The metrics of a window, told apart. What is over is added up once, what goes on each time it is read.
#[derive(Clone, Debug)]
pub struct Groups {
    by: Split,
    /// What `all` was made of.
    of: Option<(MinuteRange, u64, u64)>,
    known: BTreeMap<DimensionValue, usize>,
    all: Arc<Vec<Group>>,
}

impl Groups {
    /// Nothing yet.
    pub fn new(by: impl Into<Split>) -> Self {
        Self { by: by.into(), of: None, known: BTreeMap::new(), all: Arc::default() }
    }

    /// By what they are told apart.
    pub fn by(&self) -> &Split {
        &self.by
    }

    /// The groups; each keeps its place as long as they are told apart by the same.
    pub fn all(&self) -> &Arc<Vec<Group>> {
        &self.all
    }

    /// Who a group is.
    pub fn value_of(&self, key: u32) -> Option<DimensionValue> {
        let at = usize::try_from(key).ok()?;
        self.known.iter().find(|(_, known)| **known == at).map(|(who, _)| who.clone())
    }

    /// Makes room for somebody of whom nothing was measured.
    pub fn add(&mut self, shared: &Shared, who: &DimensionValue) {
        if !self.known.contains_key(who) {
            let parts = shared.window.parts(shared.now);
            let all = Arc::make_mut(&mut self.all);
            all.push(Group::new(shared, &self.by, who, parts));
            self.known.insert(who.clone(), all.len() - 1);
        }
    }

    /// Takes in what has come; true if something has.
    pub fn settle(&mut self, shared: &Shared) -> bool {
        let cache = &shared.metrics;
        let parts = shared.window.parts(shared.now);
        if self.of == Some((parts, cache.rev, cache.older)) {
            return false;
        }
        let last = parts.count().saturating_sub(1);
        // Minutes that are over do not change, but what is read from the journal comes when it comes.
        let same = self.of.is_some_and(|(of, _, older)| of == parts && older == cache.older);
        let only_last = same && parts.is_recent(shared.now);
        let (by, known) = (&self.by, &mut self.known);
        let of_agents = by.is_of_agents();
        let agents: BTreeMap<AgentId, &Agent> =
            shared.snapshot.agents.iter().map(|(_, agent)| (agent.id, agent)).collect();
        let all = Arc::make_mut(&mut self.all);
        for group in all.iter_mut() {
            if only_last {
                if let Some(part) = group.parts.last_mut() {
                    *part = Part::default();
                }
            } else {
                group.parts = vec![Part::default(); parts.count()];
                group.closed = Tally::default();
            }
            group.was = Tally::default();
        }
        let mut group_of = |all: &mut Vec<Group>, series: &Series| {
            *known.entry(by.value_of(series, &agents)).or_insert_with_key(|name| {
                all.push(Group::new(shared, by, name, parts));
                all.len() - 1
            })
        };
        for (place, block) in cache.blocks(parts, shared.now) {
            if only_last && place != last {
                continue;
            }
            for (series, tally) in block.iter() {
                if !of_agents && tally.begun + tally.ended() + tally.canceled == 0 && tally.between.is_empty()
                {
                    continue;
                }
                let at = group_of(all, series);
                let group = &mut all[at];
                if place != last {
                    group.closed.merge(tally);
                }
                if let Some(part) = group.parts.get_mut(place) {
                    part.seen = true;
                    part.tally.merge(tally);
                }
            }
        }
        if let Some(was) = cache.was() {
            for (series, tally) in was.iter() {
                if of_agents || tally.begun + tally.ended() > 0 {
                    let at = group_of(all, series);
                    all[at].was.merge(tally);
                }
            }
        }
        for group in all.iter_mut() {
            group.total = group.closed.clone();
            if let Some(part) = group.parts.last() {
                group.total.merge(&part.tally);
            }
            group.measure_heat();
        }
        self.of = Some((parts, cache.rev, cache.older));
        true
    }
}

fn agent_of(shared: &Shared, name: &DimensionValue) -> Option<AgentKey> {
    let DimensionValue::Agent(id) = name else { return None };
    shared.snapshot.agents.iter().find(|(_, agent)| agent.id == *id).map(|(key, _)| key)
}

fn words(shared: &Shared, by: &Split, name: &DimensionValue) -> String {
    match name {
        DimensionValue::Agent(_) => {
            let agent = agent_of(shared, name).and_then(|key| shared.snapshot.agents.get(key));
            agent
                .map_or_else(|| "(an agent that was removed)".into(), |agent| agent.name.line().into_string())
        }
        DimensionValue::Named(Some(words)) => words.line().into_string(),
        DimensionValue::Named(None) => format!("(no {} told)", by.word()),
    }
}
