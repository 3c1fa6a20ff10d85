//! Points in time on the engine's clock, and times that peers claim.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Microseconds since the Unix epoch on the engine's clock: wall time at start plus boot time since.
///
/// It never runs backwards. It is never compared with a [`PeerTime`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct At(i64);

impl At {
    /// The start of the epoch; earlier than every real point in time.
    pub const ZERO: Self = Self(0);
    /// Later than every real point in time.
    pub const NEVER: Self = Self(i64::MAX);

    /// A point from microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The time from `earlier` until this point; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for At {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(by))
    }
}

impl Sub<Duration> for At {
    type Output = Self;
    fn sub(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(by))
    }
}

/// What a peer claims the time was, in microseconds since the Unix epoch.
///
/// Only for showing and for telling the skew between two clocks: a peer's clock may be anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerTime(pub i64);
