//! Points in time on the engine's clock, and times that peers claim.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Microseconds since the Unix epoch on the engine's clock: wall time at start plus boot time since.
///
/// Never decreases, and no decision compares it with a [`PeerTime`].
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

/// A time reported by a peer, in microseconds since the Unix epoch.
///
/// Only for display and for measuring the skew between two clocks: a peer's clock may show anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerTime(pub i64);

impl PeerTime {
    /// The time this much earlier, at least the lowest one that there is.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// A duration for people: `140ms`, `31s`, `4m02s`, `1h07m`, `2d03h`.
pub fn format_duration(time: Duration) -> String {
    let millis = time.as_millis();
    let seconds = time.as_secs();
    match seconds {
        0 if millis == 0 => "0s".into(),
        0 => format!("{millis}ms"),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// `500ms`, `30s`, `5m`, `2h`, `7d`, or a bare number of seconds; also `1m30s`.
///
/// # Errors
/// What a duration looks like.
pub fn duration(text: &str) -> Result<Duration, String> {
    let fault = || format!("not a duration: {text:?}; write 500ms, 30s, 5m, 2h or 7d");
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0).ok_or_else(fault)?;
        let number: u64 = rest[..digits].parse().map_err(|_| fault())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let millis = match &rest[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(fault()),
        };
        total += Duration::from_millis(number.checked_mul(millis).ok_or_else(fault)?);
        rest = &rest[letters..];
    }
    if total.is_zero() { Err(fault()) } else { Ok(total) }
}
