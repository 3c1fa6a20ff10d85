//! A stretch of minutes in equal parts.

use crate::domain::metrics::{Metrics, Minute};
use crate::domain::time::At;

/// A range of minutes, end exclusive, in parts of equal length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MinuteRange {
    /// Its first minute.
    pub from: Minute,
    /// The minute after its last.
    pub until: Minute,
    /// Minutes of a part, from 1. Parts of whole hours that begin with an hour are read quickly.
    pub step: u32,
}

impl MinuteRange {
    /// A step longer than any range, so that it has a single part. A multiple of whole hours, which are read quickly.
    const WHOLE: u32 = 60 * 1_000_000;
    /// Longer stretches begin with an hour.
    const LONG: u32 = 12 * 60;
    /// After every minute.
    const END: Minute = Minute(u32::MAX);

    /// A range in one part; a long one begins with the hour of `from`.
    pub fn whole(from: Minute, until: Minute) -> Self {
        let long = until.0.saturating_sub(from.0) > Self::LONG;
        let from = if long { Minute(from.0 / 60 * 60) } else { from };
        Self { from, until, step: Self::WHOLE }
    }

    /// Every minute from one on, the present one too.
    pub fn since(from: Minute) -> Self {
        Self { from, until: Self::END, step: 1 }
    }

    /// True for ranges made by [`MinuteRange::since`].
    pub fn is_open(self) -> bool {
        self.until == Self::END
    }

    /// True for ranges made by [`MinuteRange::whole`].
    pub fn is_whole(self) -> bool {
        self.step == Self::WHOLE
    }

    /// The number of parts.
    pub fn count(self) -> usize {
        usize::try_from((self.until.0 - self.from.0).div_ceil(self.step)).unwrap_or(0)
    }

    /// Which part a minute belongs to.
    pub fn place(self, minute: Minute) -> Option<usize> {
        let inside = minute >= self.from && minute < self.until;
        inside.then(|| usize::try_from((minute.0 - self.from.0) / self.step).unwrap_or(0))
    }

    /// The minute that the part of a minute begins with.
    #[must_use]
    pub fn begins(self, minute: Minute) -> Minute {
        self.from.after(minute.0.saturating_sub(self.from.0) / self.step * self.step)
    }

    /// True if all of it is in memory: minutes of the last hour.
    pub fn is_recent(self, now: At) -> bool {
        self.step == 1 && self.from >= Minute::of(now).after(1).before(Metrics::KEPT - 1)
    }

    /// A range of the same length, this many minutes earlier.
    #[must_use]
    pub fn earlier(self, minutes: u32) -> Self {
        Self { from: self.from.before(minutes), until: self.until.before(minutes), step: self.step }
    }
}
