//! The times in which an agent was down, kept in its row after they are over.

use std::sync::Arc;

use crate::domain::agent::{Agent, Health};
use crate::domain::cause::Cause;
use crate::domain::time::At;

/// The outages that are kept of an agent.
const KEPT: usize = 16;

/// A time in which an agent was down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outage {
    /// When it was found to be down.
    pub from: At,
    /// When that ended, or when it was last observed before a time in which nobody watched; `None` while it lasts.
    pub until: Option<At>,
    /// True if it then answered again; false if what followed is not known.
    pub came_back: bool,
    /// Why it was down at first.
    pub cause: Option<Arc<Cause>>,
}

impl Outage {
    /// True if any part of it lies between two points in time.
    pub fn overlaps(&self, from: At, until: At) -> bool {
        self.from < until && self.until.is_none_or(|end| end > from || (end == self.from && end == from))
    }
}

impl Agent {
    /// Its last outage; `None` if it was never down, or not for long.
    pub fn last_outage(&self) -> Option<&Outage> {
        self.outages.last()
    }

    /// Keeps up its outages when its health becomes another at `at`. `last_seen` is the last observation.
    pub(in crate::domain) fn note_outage(
        &mut self,
        at: At,
        health: Health,
        cause: Option<&Arc<Cause>>,
        last_seen: At,
    ) {
        let is_open = self.outages.last().is_some_and(|last| last.until.is_none());
        if (health == Health::Down) == is_open {
            return;
        }
        let mut all = self.outages.to_vec();
        if is_open {
            let Some(last) = all.last_mut() else { return };
            let end = if health == Health::Stale { last_seen.min(at) } else { at };
            last.until = Some(end.max(last.from));
            last.came_back = health != Health::Stale && health != Health::Unknown;
        } else {
            all.push(Outage { from: at, until: None, came_back: false, cause: cause.cloned() });
            all.drain(..all.len().saturating_sub(KEPT));
        }
        self.outages = all.into();
    }
}
