//! A trace as a tree of lines: who called whom, on whose clock, what the whole waited for, and where nobody says anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::convention;
use super::found;
use super::model::{Span, UnixNanos, value_of};
use super::own::{NO_STREAM, SERVICE};
use super::query::TraceSpans;
use crate::domain::text::Untrusted;
use crate::domain::trace::SpanId;

/// A trace, ready to be shown.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Trace {
    /// Its spans; lines refer to them by place.
    pub spans: Vec<Span>,
    /// The lines of the tree, parents before their children.
    pub lines: Vec<Line>,
    /// The begin of the first span.
    pub start: UnixNanos,
    /// The end of the last one, or now if something goes on.
    pub end: UnixNanos,
    /// True if a span goes on.
    pub goes_on: bool,
    /// Spans with an error.
    pub errors: usize,
    /// The agents in it, in the order of their first span.
    pub agents: Vec<Untrusted>,
    /// Where the time went along the critical path, the longest first.
    pub shares: Vec<Share>,
    /// Spans, attributes and events that were dropped for a limit.
    pub dropped: u64,
    /// Log records that belong to it.
    pub logs: u64,
    /// Lines that say how a library works and were left out.
    pub left_out: usize,
}

impl Trace {
    /// The same without lines that say how a library works; what is below them stands where they stood.
    #[must_use]
    pub fn without_plumbing(mut self) -> Self {
        // The depths of the ancestors that are left out, and the places of those that stay.
        let (mut hidden, mut open): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut kept: Vec<Line> = Vec::with_capacity(self.lines.len());
        for mut line in std::mem::take(&mut self.lines) {
            hidden.retain(|depth| *depth < line.depth);
            if line.plumbing {
                hidden.push(line.depth);
                self.left_out += 1;
                continue;
            }
            line.depth -= hidden.len();
            line.below = 0;
            open.truncate(line.depth);
            for above in &open {
                kept[*above].below += 1;
            }
            open.push(kept.len());
            kept.push(line);
        }
        self.lines = kept;
        self
    }
}

/// One line of the tree.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// What it shows.
    pub what: What,
    /// The number of its ancestors.
    pub depth: usize,
    /// Lines below it.
    pub below: usize,
    /// Who does it; empty where nobody says.
    pub agent: Untrusted,
    /// Its begin, on our clock as far as that can be known.
    pub start: UnixNanos,
    /// Its end on the same clock; now if it goes on.
    pub end: UnixNanos,
    /// By how many nanoseconds it was moved, as the clock of its sender differs.
    pub moved: i64,
    /// The parts of it that the whole waited for.
    pub critical: Vec<(UnixNanos, UnixNanos)>,
    /// True if its parent was not received.
    pub orphan: bool,
    /// True if it says how a library works and not what an agent does: shown on request.
    pub plumbing: bool,
}

/// What a line shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// The span of this place.
    Span(usize),
    /// A time in which an agent that had work said nothing.
    Gap,
}

impl Line {
    /// How long it took, or has taken.
    pub fn took(&self) -> Duration {
        self.end.since(self.start)
    }
}

/// Time along the critical path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Share {
    /// Whose; `None` where nobody says.
    pub who: Option<Untrusted>,
    /// How long.
    pub time: Duration,
}

/// A silence counts from this long, and from this share of the trace in percent.
const SILENCE: u64 = 1_000_000_000;
const SILENCE_PERCENT: u64 = 3;
/// A child may begin this much before its parent without its clock being wrong.
const SKEW: i64 = 1_000_000;
/// What an agent does for an attempt may begin this much after its end, as after a restart, or as a later message or cancel
/// of the same attempt; more than this is another clock.
const AFTERWARDS: i64 = 900 * 1_000_000_000;

/// Builds the tree. `now` ends what goes on.
///
/// Whatever was received has a place: of duplicates the longest counts, a span whose parent is missing becomes a root, and
/// a circle of parents is opened at its first span.
pub fn build(of: TraceSpans, now: UnixNanos) -> Trace {
    let TraceSpans { spans, own, logs, dropped } = of;
    let spans = unique(found::place(own, &spans), spans);
    let mut nodes = Nodes::new(&spans, now);
    nodes.move_clocks(&spans);
    nodes.look_through_plumbing();
    let start = nodes.times.iter().map(|(start, _)| *start).min().unwrap_or_default();
    let end = nodes.times.iter().map(|(_, end)| *end).max().unwrap_or_default();
    let critical = nodes.critical(&spans);
    let silence = SILENCE.max(end.0.saturating_sub(start.0) / 100 * SILENCE_PERCENT);
    let mut trace = Trace {
        start,
        end,
        goes_on: spans.iter().any(|span| span.end.is_none()),
        errors: spans.iter().filter(|span| span.status.is_error()).count(),
        dropped,
        logs,
        ..Trace::default()
    };
    let gaps = nodes.gaps(&spans, silence);
    trace.lines = nodes.lines(&critical, &gaps);
    for line in &trace.lines {
        let is_own = line.agent.raw() == SERVICE;
        if !line.agent.is_empty() && !is_own && !trace.agents.contains(&line.agent) {
            trace.agents.push(line.agent.clone());
        }
    }
    trace.shares = shares(&nodes, &critical, &gaps);
    trace.spans = spans;
    trace
}

/// Each span once: ours before those that were received under the same id, else the longest.
fn unique(own: Vec<Span>, received: Vec<Span>) -> Vec<Span> {
    let mut places: BTreeMap<SpanId, usize> = BTreeMap::new();
    let ours = own.len();
    let mut spans: Vec<Span> = Vec::with_capacity(own.len() + received.len());
    for span in own.into_iter().chain(received) {
        match places.get(&span.id) {
            None => {
                places.insert(span.id, spans.len());
                spans.push(span);
            }
            Some(place) => {
                let known = &mut spans[*place];
                let took = |span: &Span| span.end.unwrap_or_default().since(span.start);
                if *place >= ours && took(known) < took(&span) {
                    *known = span;
                }
            }
        }
    }
    spans
}

/// The relations of spans, by place.
struct Nodes {
    children: Vec<Vec<usize>>,
    /// The same without plumbing, whose children count as those of what is above it.
    working: Vec<Vec<usize>>,
    /// When each ends with everything below it.
    reach: Vec<UnixNanos>,
    plumbing: Vec<bool>,
    roots: Vec<usize>,
    orphans: BTreeSet<usize>,
    /// Begin and end on our clock.
    times: Vec<(UnixNanos, UnixNanos)>,
    moved: Vec<i64>,
    agents: Vec<Untrusted>,
    /// Attempts of ours: what is known of their agents is what these said.
    attempts: Vec<bool>,
    /// Spans of ours in which nothing was told.
    untold: Vec<bool>,
}

impl Nodes {
    fn new(spans: &[Span], now: UnixNanos) -> Self {
        let places: BTreeMap<SpanId, usize> =
            spans.iter().enumerate().map(|(place, span)| (span.id, place)).collect();
        let mut children = vec![Vec::new(); spans.len()];
        let (mut roots, mut orphans) = (Vec::new(), BTreeSet::new());
        for (place, span) in spans.iter().enumerate() {
            match span.parent.map(|parent| places.get(&parent)) {
                Some(Some(parent)) if *parent != place => children[*parent].push(place),
                Some(_) => {
                    orphans.insert(place);
                    roots.push(place);
                }
                None => roots.push(place),
            }
        }
        let times = spans.iter().map(|span| (span.start, span.end.unwrap_or(now).max(span.start))).collect();
        let mut nodes = Self {
            children,
            working: Vec::new(),
            reach: Vec::new(),
            plumbing: spans.iter().map(Span::is_plumbing).collect(),
            roots,
            orphans,
            times,
            moved: vec![0; spans.len()],
            agents: Vec::new(),
            attempts: spans.iter().map(|span| span.is_attempt()).collect(),
            untold: spans.iter().map(|span| span.is_own() && span.name.raw() == NO_STREAM).collect(),
        };
        nodes.open_circles(spans);
        nodes.agents = nodes.agents_of(spans);
        nodes.adopt();
        nodes
    }

    /// What is reached from no root is in a circle, or below one.
    fn open_circles(&mut self, spans: &[Span]) {
        let mut reached = vec![false; spans.len()];
        let mut stack = self.roots.clone();
        loop {
            while let Some(place) = stack.pop() {
                if !std::mem::replace(&mut reached[place], true) {
                    stack.extend(&self.children[place]);
                }
            }
            let left = (0..spans.len()).filter(|place| !reached[*place]);
            let Some(first) = left.min_by_key(|place| (spans[*place].start, *place)) else { return };
            for children in &mut self.children {
                children.retain(|child| *child != first);
            }
            self.orphans.insert(first);
            self.roots.push(first);
            stack.push(first);
        }
    }

    /// Puts what an agent did below its attempt while what it belongs to has not been received: spans are sent when they end,
    /// those within others before them.
    fn adopt(&mut self) {
        let mut attempts: BTreeMap<&Untrusted, Vec<usize>> = BTreeMap::new();
        for place in (0..self.attempts.len()).filter(|place| self.attempts[*place]) {
            attempts.entry(&self.agents[place]).or_default().push(place);
        }
        let attempt_of = |orphan: usize| {
            let of_agent = attempts.get(&self.agents[orphan]).filter(|_| !self.attempts[orphan])?;
            let begun = of_agent.iter().filter(|place| self.times[**place].0 <= self.times[orphan].0);
            // One attempt is the only possible place, whatever its agent's clock says.
            let only = of_agent.first().filter(|_| of_agent.len() == 1);
            only.or_else(|| begun.max_by_key(|place| self.times[**place].0)).copied()
        };
        let adopted: Vec<(usize, usize)> =
            self.orphans.iter().filter_map(|orphan| Some((*orphan, attempt_of(*orphan)?))).collect();
        for (orphan, attempt) in adopted {
            // An attempt below what it would adopt is in a circle with it.
            if !self.is_below(attempt, orphan) {
                self.roots.retain(|root| *root != orphan);
                self.children[attempt].push(orphan);
            }
        }
    }

    fn is_below(&self, place: usize, above: usize) -> bool {
        let mut stack = vec![above];
        while let Some(at) = stack.pop() {
            if at == place {
                return true;
            }
            stack.extend(&self.children[at]);
        }
        false
    }

    /// Places, parents before their children.
    fn order(&self) -> Vec<(usize, Option<usize>)> {
        let mut order: Vec<(usize, Option<usize>)> = self.roots.iter().map(|root| (*root, None)).collect();
        let mut next = 0;
        while next < order.len() {
            let place = order[next].0;
            order.extend(self.children[place].iter().map(|child| (*child, Some(place))));
            next += 1;
        }
        order
    }

    /// Who does what: our spans name the agent; a service is the agent whose attempt called it, else bears its own name.
    fn agents_of(&self, spans: &[Span]) -> Vec<Untrusted> {
        let mut names: BTreeMap<Untrusted, Untrusted> = BTreeMap::new();
        let named = |span: &Span| span.text(convention::AGENT_NAME);
        for (place, parent) in self.order() {
            let service = spans[place].resource.service();
            if let Some(attempt) = parent.filter(|parent| self.attempts[*parent] && !spans[place].is_own())
                && let Some(agent) = named(&spans[attempt])
            {
                names.entry(service).or_insert(agent);
            }
        }
        let agent = |span: &Span| {
            let service = span.resource.service();
            if span.is_own() {
                return named(span).unwrap_or(service);
            }
            names.get(&service).cloned().unwrap_or(service)
        };
        spans.iter().map(agent).collect()
    }

    /// Moves the spans of a service whose clock differs so that they lie within what called it. A clock is known to differ
    /// only if a span lies outside of its parent.
    fn move_clocks(&mut self, spans: &[Span]) {
        let groups = self.groups(spans);
        for (place, parent) in self.order() {
            let Some(parent) = parent else { continue };
            let same = spans[place].resource.service() == spans[parent].resource.service();
            // Another service has another clock.
            let mut by = if same { self.moved[parent] } else { 0 };
            let own = self.times[place];
            // What belongs to the same missing span is moved as one.
            let group = spans[place].parent.filter(|_| self.orphans.contains(&place));
            let (begin, end) = *group.and_then(|parent| groups.get(&parent)).unwrap_or(&own);
            let (begin, end) = (begin.moved(by), end.moved(by));
            let outer = self.times[parent];
            let difference = |a: UnixNanos, b: UnixNanos| a.0.cast_signed().saturating_sub(b.0.cast_signed());
            let early = difference(outer.0, begin) > SKEW;
            let afterwards = if self.attempts[parent] { AFTERWARDS } else { 0 };
            let late = difference(begin, outer.1) > afterwards;
            if !same && !spans[place].is_own() && (early || late) {
                let spare = outer.1.since(outer.0).saturating_sub(end.since(begin));
                let delay = i64::try_from(spare.as_nanos() / 2).unwrap_or(0);
                by += difference(outer.0, begin).saturating_add(delay);
            }
            self.moved[place] = by;
            let start = own.0.moved(by);
            // What goes on ends now, whatever its clock says.
            let end = if spans[place].end.is_none() { own.1 } else { own.1.moved(by) };
            self.times[place] = (start, end.max(start));
        }
    }

    /// From the last to the first, so that what is below a node is known before it.
    fn look_through_plumbing(&mut self) {
        self.working = vec![Vec::new(); self.times.len()];
        self.reach = self.times.iter().map(|(_, end)| *end).collect();
        for (place, parent) in self.order().into_iter().rev() {
            for child in &self.children[place] {
                self.reach[place] = self.reach[place].max(self.reach[*child]);
                if self.plumbing[*child] {
                    let below = self.working[*child].clone();
                    self.working[place].extend(below);
                } else {
                    self.working[place].push(*child);
                }
            }
            // What only waits reaches no further than what it waits for.
            if self.plumbing[place] && parent.is_some() {
                let reached = self.working[place].iter().map(|child| self.reach[*child]).max();
                self.reach[place] = reached.unwrap_or(self.times[place].0);
            }
        }
    }

    /// The times of what belongs to each span that was not received.
    fn groups(&self, spans: &[Span]) -> BTreeMap<SpanId, (UnixNanos, UnixNanos)> {
        let mut groups: BTreeMap<SpanId, (UnixNanos, UnixNanos)> = BTreeMap::new();
        for orphan in &self.orphans {
            let (Some(parent), (start, end)) = (spans[*orphan].parent, self.times[*orphan]) else { continue };
            let group = groups.entry(parent).or_insert((start, end));
            *group = (group.0.min(start), group.1.max(end));
        }
        groups
    }

    /// True if a span ended without waiting for what it began in its own service, or for a task that its agent delegated:
    /// both last on after its end. What another service goes on with after its answer is a call all the same.
    fn leaves_behind(&self, spans: &[Span], place: usize, child: usize) -> bool {
        let is_call =
            !spans[child].is_own() && spans[child].resource.service() != spans[place].resource.service();
        let (start, end) = self.times[child];
        // A clock that is a little ahead makes no difference.
        !is_call && end.since(self.times[place].1) > end.since(start) / 4
    }

    /// The parts of each span that the whole waited for: from the end of the longest root backwards, at each point the span
    /// that ended last.
    fn critical(&self, spans: &[Span]) -> Vec<Vec<(UnixNanos, UnixNanos)>> {
        let mut parts = vec![Vec::new(); self.times.len()];
        let longest = self.roots.iter().max_by_key(|root| {
            let (start, end) = self.times[**root];
            (end.since(start), std::cmp::Reverse(start))
        });
        // Each with the time of its parent: what it does before and after that, nobody waits for.
        let mut stack: Vec<(usize, UnixNanos, UnixNanos)> =
            longest.map(|root| (*root, self.times[*root].0, self.times[*root].1)).into_iter().collect();
        while let Some((place, since, until)) = stack.pop() {
            let start = self.times[place].0.max(since);
            let mut at = self.times[place].1.min(until);
            let mut children = self.working[place].clone();
            children.retain(|child| !self.untold[*child] && !self.leaves_behind(spans, place, *child));
            children.sort_by_key(|child| std::cmp::Reverse((self.times[*child].1, *child)));
            for child in children {
                let (from, to) = self.times[child];
                let (from, to) = (from.max(start), to.min(at));
                if from >= at || to <= from {
                    continue;
                }
                if to < at {
                    parts[place].push((to, at));
                }
                stack.push((child, from, to));
                at = from;
            }
            if start < at {
                parts[place].push((start, at));
            }
            parts[place].reverse();
        }
        for place in 0..parts.len() {
            for child in self.children[place].iter().filter(|child| self.untold[**child]) {
                let waited = parts[place].iter().filter_map(|part| overlap(*part, self.times[*child]));
                parts[*child] = waited.collect();
            }
        }
        parts
    }

    /// Times within attempts in which neither the agent nor what it called said anything.
    fn gaps(&self, spans: &[Span], silence: u64) -> BTreeMap<usize, Vec<(UnixNanos, UnixNanos)>> {
        let mut gaps = BTreeMap::new();
        for (place, span) in spans.iter().enumerate().filter(|(place, _)| self.attempts[*place]) {
            let (start, end) = self.times[place];
            let mut heard: Vec<(UnixNanos, UnixNanos)> = vec![(start, start), (end, end)];
            let told =
                span.events.iter().filter(|event| value_of(&event.attributes, convention::UNTOLD).is_none());
            heard.extend(told.map(|event| (event.at, event.at)));
            heard.extend(self.working[place].iter().map(|child| (self.times[*child].0, self.reach[*child])));
            heard.sort_unstable();
            let (mut found, mut known) = (Vec::new(), start);
            for (from, to) in heard {
                let from = from.min(end);
                if from.0.saturating_sub(known.0) >= silence {
                    found.push((known, from));
                }
                known = known.max(to.min(end));
            }
            if !found.is_empty() {
                gaps.insert(place, found);
            }
        }
        gaps
    }

    fn lines(
        &self,
        critical: &[Vec<(UnixNanos, UnixNanos)>],
        gaps: &BTreeMap<usize, Vec<(UnixNanos, UnixNanos)>>,
    ) -> Vec<Line> {
        enum Step {
            Span(usize, usize),
            Gap(usize, usize, (UnixNanos, UnixNanos)),
        }
        let mut lines: Vec<Line> = Vec::new();
        let sorted = |places: &[usize]| {
            let mut places = places.to_vec();
            places.sort_by_key(|place| (self.times[*place].0, *place));
            places
        };
        let mut stack: Vec<Step> =
            sorted(&self.roots).into_iter().rev().map(|root| Step::Span(root, 0)).collect();
        // The lines whose descendants are being added, with the depth of each.
        let mut open: Vec<usize> = Vec::new();
        while let Some(step) = stack.pop() {
            let (depth, line) = match step {
                Step::Span(place, depth) => {
                    let mut below: Vec<(UnixNanos, Step)> = sorted(&self.children[place])
                        .into_iter()
                        .map(|child| (self.times[child].0, Step::Span(child, depth + 1)))
                        .collect();
                    let silent = gaps.get(&place).into_iter().flatten();
                    below.extend(silent.map(|gap| (gap.0, Step::Gap(place, depth + 1, *gap))));
                    below.sort_by_key(|(at, _)| *at);
                    stack.extend(below.into_iter().rev().map(|(_, step)| step));
                    let (start, end) = self.times[place];
                    let line = Line {
                        what: What::Span(place),
                        depth,
                        below: 0,
                        agent: self.agents[place].clone(),
                        start,
                        end,
                        moved: self.moved[place],
                        critical: critical[place].clone(),
                        orphan: self.orphans.contains(&place),
                        plumbing: self.plumbing[place],
                    };
                    (depth, line)
                }
                Step::Gap(place, depth, (start, end)) => {
                    let waited = critical[place].iter().filter_map(|part| overlap(*part, (start, end)));
                    let line = Line {
                        what: What::Gap,
                        depth,
                        below: 0,
                        agent: Untrusted::default(),
                        start,
                        end,
                        moved: 0,
                        critical: waited.collect(),
                        orphan: false,
                        plumbing: false,
                    };
                    (depth, line)
                }
            };
            open.truncate(depth);
            for above in &open {
                lines[*above].below += 1;
            }
            open.push(lines.len());
            lines.push(line);
        }
        lines
    }
}

fn overlap(a: (UnixNanos, UnixNanos), b: (UnixNanos, UnixNanos)) -> Option<(UnixNanos, UnixNanos)> {
    let both = (a.0.max(b.0), a.1.min(b.1));
    (both.0 < both.1).then_some(both)
}

fn shares(
    nodes: &Nodes,
    critical: &[Vec<(UnixNanos, UnixNanos)>],
    gaps: &BTreeMap<usize, Vec<(UnixNanos, UnixNanos)>>,
) -> Vec<Share> {
    let mut times: BTreeMap<Option<Untrusted>, Duration> = BTreeMap::new();
    for (place, parts) in critical.iter().enumerate().filter(|(place, _)| !nodes.untold[*place]) {
        let untold = nodes.children[place].iter().filter(|child| nodes.untold[**child]);
        let untold = untold.map(|child| nodes.times[*child]);
        let silent: Vec<_> = gaps.get(&place).into_iter().flatten().copied().chain(untold).collect();
        for part in parts {
            let silence: Duration = silent
                .iter()
                .filter_map(|gap| overlap(*part, *gap))
                .map(|(from, until)| until.since(from))
                .sum();
            let own = part.1.since(part.0).saturating_sub(silence);
            *times.entry(Some(nodes.agents[place].clone())).or_default() += own;
            *times.entry(None).or_default() += silence;
        }
    }
    let mut shares: Vec<Share> = times
        .into_iter()
        .filter(|(_, time)| !time.is_zero())
        .map(|(who, time)| Share { who, time })
        .collect();
    shares.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.who.cmp(&b.who)));
    shares
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
