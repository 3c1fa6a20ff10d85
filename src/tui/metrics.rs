//! Metrics of the window by agent, rule, skill, caller or label, beside those of the baseline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::agent::replicas;
use crate::domain::agent::{Agent, Health};
use crate::domain::id::{AgentId, AgentKey};
use crate::domain::metrics::{
    Dimension, DimensionValue, Heat, HeatCause, Minute, MinuteRange, Series, Tally,
};
use crate::domain::text::Untrusted;
use crate::domain::time::At;
use crate::tui::context::Context;

/// The last parts of a window that say how a group is.
const LATELY: usize = 5;

/// The dimension that metrics are grouped by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Split {
    /// A dimension of the series: agent, skill or caller.
    Series(Dimension),
    /// A property from the agents' cards and labels.
    Fleet(replicas::GroupBy),
}

impl Split {
    /// The word in titles.
    pub fn word(&self) -> String {
        match self {
            Self::Series(by) => by.word().to_owned(),
            Self::Fleet(by) => Untrusted::from(by.words()).line().into_string(),
        }
    }

    /// True if agents without work count too.
    fn is_of_agents(&self) -> bool {
        matches!(self, Self::Series(Dimension::Agent) | Self::Fleet(_))
    }

    fn value_of(&self, series: &Series, agents: &BTreeMap<AgentId, &Agent>) -> DimensionValue {
        match self {
            Self::Series(by) => by.value_of(series),
            Self::Fleet(by) => {
                DimensionValue::Named(agents.get(&series.agent).and_then(|agent| by.value(agent)))
            }
        }
    }
}

impl From<Dimension> for Split {
    fn from(by: Dimension) -> Self {
        Self::Series(by)
    }
}

/// One part of a window.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Results of the window.
    pub tally: Tally,
    /// The engine was running in it, or a demo has made it up.
    pub seen: bool,
    /// A demo has made it up: it is drawn, and counts nowhere.
    pub made_up: bool,
}

/// The metrics of one agent, rule, skill, caller or label.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name, printable.
    pub name: String,
    /// The agent, if the group is one and it is still known.
    pub agent: Option<AgentKey>,
    /// Everything of the window that was measured.
    pub total: Tally,
    /// Everything of the baseline.
    pub previous: Tally,
    /// The window in parts.
    pub parts: Vec<Part>,
    /// The deviation of each part from the group's baseline.
    pub heat: Vec<Heat>,
    /// The usual 95th percentiles of tasks and of calls that do no work.
    usual: (Option<Duration>, Option<Duration>),
    /// The seconds of the last part that are over, if it still runs.
    runs: Option<u32>,
    /// All but the last part.
    closed: Tally,
}

impl Group {
    fn new(ctx: &Context, by: &Split, who: &DimensionValue, parts: MinuteRange) -> Self {
        Self {
            name: words(ctx, by, who),
            agent: agent_of(ctx, who),
            total: Tally::default(),
            previous: Tally::default(),
            parts: vec![Part::default(); parts.count()],
            heat: vec![Heat::Unwatched; parts.count()],
            usual: (None, None),
            runs: running_seconds(parts, ctx.now),
            closed: Tally::default(),
        }
    }

    /// Measures the heat of each part. A part in which the agent was down is the hottest, whatever else happened in it.
    fn measure_heat(&mut self, ctx: &Context, parts: MinuteRange) {
        let usual = if self.previous.ended() > 0 { &self.previous } else { &self.closed };
        let (took, answer) = (usual.took.percentile(95), usual.answer.percentile(95));
        self.usual = (took, answer);
        self.heat = self.parts.iter().map(|part| Heat::of(&part.tally, took, answer)).collect();
        let agent = self.agent.and_then(|key| ctx.snapshot.agents.get(key));
        // An agent that is up was last looked at within its interval, whether or not that was in this minute.
        if let (Some(heat @ Heat::Unwatched), Some(_)) = (self.heat.last_mut(), self.runs)
            && agent.is_some_and(|agent| agent.listed && agent.health == Health::Up)
        {
            *heat = Heat::Usual;
        }
        for outage in agent.iter().flat_map(|agent| agent.outages.iter()) {
            for (heat, minute) in self.heat.iter_mut().zip((parts.from.0..).step_by(parts.step as usize)) {
                let until = Minute(minute + parts.step).begins();
                if outage.overlaps(Minute(minute).begins(), until) {
                    *heat = Heat::Full;
                }
            }
        }
    }

    /// The parts that are over: the one that still runs would look like a fall to nothing.
    pub fn closed_parts(&self) -> &[Part] {
        &self.parts[..self.parts.len() - usize::from(self.runs.is_some())]
    }

    /// The watched time of the window, in parts of `step` minutes.
    pub fn watched_seconds(&self, step: u32) -> u64 {
        let counts = |part: &&Part| part.seen && !part.made_up;
        let seconds = |parts: &[Part]| parts.iter().filter(counts).count() as u64 * u64::from(step) * 60;
        match self.runs {
            Some(runs) => {
                let is_seen = self.parts.last().is_some_and(|part| part.seen);
                seconds(self.closed_parts()) + if is_seen { u64::from(runs) } else { 0 }
            }
            None => seconds(&self.parts),
        }
    }

    /// What makes the worst of the last five parts so; `None` if nothing that was counted does.
    pub fn cause_lately(&self) -> Option<HeatCause> {
        let (took, answer) = self.usual;
        let last = self.parts.iter().rev().take(LATELY);
        let (heat, cause) =
            last.map(|part| Heat::with_cause(&part.tally, took, answer)).max_by_key(|(heat, _)| *heat)?;
        cause.filter(|_| heat == self.lately())
    }

    /// The worst of the last five parts.
    pub fn lately(&self) -> Heat {
        self.heat.iter().rev().take(LATELY).max().copied().unwrap_or(Heat::Unwatched)
    }

    /// The sort key for the worst group first: latest heat, then failures in the window.
    pub fn badness(&self) -> (u32, u32) {
        (self.lately() as u32, self.total.bad())
    }
}

/// The metrics of a window, grouped. Past minutes are summed once, the current one at each read.
#[derive(Clone, Debug)]
pub struct Groups {
    by: Split,
    /// The inputs that `all` was computed from.
    of: Option<(MinuteRange, u64, u64)>,
    known: BTreeMap<DimensionValue, usize>,
    all: Arc<Vec<Group>>,
}

impl Groups {
    /// No metrics yet.
    pub fn new(by: impl Into<Split>) -> Self {
        Self { by: by.into(), of: None, known: BTreeMap::new(), all: Arc::default() }
    }

    /// What they are grouped by.
    pub fn by(&self) -> &Split {
        &self.by
    }

    /// The groups; each keeps its place as long as they are grouped by the same.
    pub fn all(&self) -> &Arc<Vec<Group>> {
        &self.all
    }

    /// The agent, rule, skill, caller or label of a group.
    pub fn value_of(&self, key: u32) -> Option<DimensionValue> {
        let at = usize::try_from(key).ok()?;
        self.known.iter().find(|(_, known)| **known == at).map(|(who, _)| who.clone())
    }

    /// True if any group is a rule, and if any is not.
    pub fn has_rules(&self) -> (bool, bool) {
        let is_rule = |who: &DimensionValue| matches!(who, DimensionValue::Rule(_));
        (self.known.keys().any(is_rule), !self.known.keys().all(is_rule))
    }

    /// Adds a group of which nothing was measured.
    pub fn add(&mut self, ctx: &Context, who: &DimensionValue) {
        if !self.known.contains_key(who) {
            let parts = ctx.window.parts(ctx.now);
            let all = Arc::make_mut(&mut self.all);
            all.push(Group::new(ctx, &self.by, who, parts));
            self.known.insert(who.clone(), all.len() - 1);
        }
    }

    /// Takes new data from the cache; true if there was any.
    pub fn refresh(&mut self, ctx: &Context) -> bool {
        let cache = &ctx.metrics;
        let parts = ctx.window.parts(ctx.now);
        if self.of == Some((parts, cache.rev, cache.older())) {
            return false;
        }
        let last = parts.count().saturating_sub(1);
        // Past minutes do not change, but answers from the journal arrive in any order.
        let same = self.of.is_some_and(|(of, _, older)| of == parts && older == cache.older());
        let only_last = same && parts.is_recent(ctx.now);
        let (by, known) = (&self.by, &mut self.known);
        let of_agents = by.is_of_agents();
        let agents: BTreeMap<AgentId, &Agent> =
            ctx.snapshot.agents.iter().map(|(_, agent)| (agent.id, agent)).collect();
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
            group.previous = Tally::default();
        }
        let mut group_of = |all: &mut Vec<Group>, series: &Series| {
            *known.entry(by.value_of(series, &agents)).or_insert_with_key(|name| {
                all.push(Group::new(ctx, by, name, parts));
                all.len() - 1
            })
        };
        for (place, block) in cache.blocks(parts, ctx.now) {
            if only_last && place != last {
                continue;
            }
            // A longer part may have both kinds of minutes.
            let made_up = block.is_made_up() && parts.step == 1;
            for (series, tally) in block.iter() {
                if !of_agents && tally.begun + tally.ended() + tally.canceled == 0 && tally.between.is_empty()
                {
                    continue;
                }
                let at = group_of(all, series);
                let group = &mut all[at];
                if place != last && !made_up {
                    group.closed.merge(tally);
                }
                if let Some(part) = group.parts.get_mut(place) {
                    (part.seen, part.made_up) = (true, made_up);
                    part.tally.merge(tally);
                }
            }
        }
        if let Some(previous) = cache.previous() {
            for (series, tally) in previous.iter() {
                if of_agents || tally.begun + tally.ended() > 0 {
                    let at = group_of(all, series);
                    all[at].previous.merge(tally);
                }
            }
        }
        let runs = running_seconds(parts, ctx.now);
        for group in all.iter_mut() {
            group.total = group.closed.clone();
            if let Some(part) = group.parts.last() {
                group.total.merge(&part.tally);
            }
            group.runs = runs;
            group.measure_heat(ctx, parts);
        }
        self.of = Some((parts, cache.rev, cache.older()));
        true
    }
}

/// The seconds of a window's last part that are over; `None` if all of it is.
fn running_seconds(parts: MinuteRange, now: At) -> Option<u32> {
    let place = parts.place(Minute::of(now))?;
    let begins = parts.from.after(u32::try_from(place).unwrap_or(0) * parts.step).begins();
    Some(u32::try_from(now.since(begins).as_secs()).unwrap_or(u32::MAX).max(1))
}

fn agent_of(ctx: &Context, name: &DimensionValue) -> Option<AgentKey> {
    let DimensionValue::Agent(id) = name else { return None };
    ctx.snapshot.agents.iter().find(|(_, agent)| agent.id == *id).map(|(key, _)| key)
}

fn words(ctx: &Context, by: &Split, name: &DimensionValue) -> String {
    match name {
        DimensionValue::Agent(_) => {
            let agent = agent_of(ctx, name).and_then(|key| ctx.snapshot.agents.get(key));
            agent
                .map_or_else(|| "(an agent that was removed)".into(), |agent| agent.name.line().into_string())
        }
        DimensionValue::Rule(words) | DimensionValue::Named(Some(words)) => words.line().into_string(),
        DimensionValue::Named(None) if *by == Split::Series(Dimension::Rule) => "(no skill given)".into(),
        DimensionValue::Named(None) => format!("(no {} given)", by.word()),
    }
}
