//! Metrics as last read from the engine, shared by every view that shows some: a month of minutes is read only once.

use std::sync::Arc;
use std::time::Duration;

use super::window::{Baseline, Window};
use crate::domain::metrics::{Block, Metrics, Minute, MinuteRange};
use crate::domain::time::At;

type Blocks = Vec<(Minute, Arc<Block>)>;

/// Metrics as last read.
#[derive(Debug, Default)]
pub struct MetricsCache {
    /// Minutes of the last hour.
    pub live: Metrics,
    /// How often something was read.
    pub rev: u64,
    /// The number of reads of minutes other than the current one.
    older: u64,
    /// The window in parts, if it is longer than the last hour.
    past: Option<(MinuteRange, Blocks)>,
    /// Everything of the baseline.
    previous: Option<(MinuteRange, Block)>,
    /// The window and the baseline that both are of.
    of: Option<(Window, Baseline)>,
    /// Queries waiting for an answer.
    under_way: Vec<MinuteRange>,
    /// Queries that failed; they are not asked again.
    failed_queries: Vec<MinuteRange>,
    /// When the last minutes were read.
    read: At,
}

impl MetricsCache {
    /// The queries to send now for a view whose metrics may be at most `every` old.
    pub fn ask(&mut self, window: Window, baseline: Baseline, every: Duration, now: At) -> Vec<MinuteRange> {
        let parts = window.parts(now);
        if self.of != Some((window, baseline)) {
            // Metrics of another stretch are never shown as those of this one.
            self.of = Some((window, baseline));
            (self.past, self.previous) = (None, None);
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
        let earlier = parts.earlier(baseline.minutes());
        wanted.push(MinuteRange::whole(earlier.from, earlier.until));
        let known = |query: &MinuteRange| {
            self.past.as_ref().is_some_and(|(of, _)| of == query)
                || self.previous.as_ref().is_some_and(|(of, _)| of == query)
                || self.failed_queries.contains(query)
        };
        wanted.retain(|query| !self.under_way.contains(query) && !known(query));
        self.under_way.extend(&wanted);
        wanted
    }

    /// When the last minutes are to be read again.
    pub fn due(&self, every: Duration) -> At {
        self.read + every
    }

    /// Takes the answer to a query.
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
            self.previous = Some((query, all));
        } else {
            self.older += 1;
            self.past = Some((query, blocks));
        }
    }

    /// A query failed. It is not repeated; the window of the next minute is a new query.
    pub fn failed(&mut self, query: MinuteRange) {
        self.under_way.retain(|asked| *asked != query);
        if !query.is_open() {
            self.failed_queries.truncate(1);
            self.failed_queries.insert(0, query);
        }
    }

    /// The blocks of a window, each with its part.
    pub(super) fn blocks<'s>(&'s self, parts: MinuteRange, now: At) -> Vec<(usize, &'s Arc<Block>)> {
        let placed = |(minute, block): (Minute, &'s Arc<Block>)| Some((parts.place(minute)?, block));
        if parts.is_recent(now) {
            return self.live.from(parts.from).filter_map(placed).collect();
        }
        let known = self.past.iter().flat_map(|(_, blocks)| blocks.iter());
        known.map(|(minute, block)| (*minute, block)).filter_map(placed).collect()
    }

    /// The minute until which a window is made up; `None` if all of it was measured.
    pub fn made_up_until(&self, parts: MinuteRange, now: At) -> Option<Minute> {
        let blocks = self.blocks(parts, now).into_iter();
        let last = blocks.filter(|(_, block)| block.is_made_up()).map(|(place, _)| place).max()?;
        let step = parts.step * u32::try_from(last + 1).unwrap_or(u32::MAX);
        Some(parts.from.after(step).min(Minute::of(now)))
    }

    /// The number of reads of past minutes.
    pub fn older(&self) -> u64 {
        self.older
    }

    /// Everything of the baseline, once it has been read.
    pub fn previous(&self) -> Option<&Block> {
        self.previous.as_ref().map(|(_, block)| block)
    }
}
