//! Points in time on the engine's clock, and times that peers claim.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Microseconds since the Unix epoch, held so that an `Option` of them takes no more room: an engine has a million tasks,
/// each with several times that may be unknown. The earliest number that an `i64` has is held as the next one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Micros(NonZeroU64);

impl Micros {
    /// The sign bit: with it flipped, unsigned numbers have the order of the signed ones.
    const SIGN: u64 = 1 << 63;

    const fn new(micros: i64) -> Self {
        match NonZeroU64::new(micros.cast_unsigned() ^ Self::SIGN) {
            Some(held) => Self(held),
            None => Self(NonZeroU64::MIN),
        }
    }

    const fn get(self) -> i64 {
        (self.0.get() ^ Self::SIGN).cast_signed()
    }
}

impl fmt::Debug for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// Microseconds since the Unix epoch on the engine's clock: wall time at start plus boot time since.
///
/// Never decreases, and no decision compares it with a [`PeerTime`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct At(Micros);

impl Default for At {
    fn default() -> Self {
        Self::ZERO
    }
}

impl At {
    /// The start of the epoch; earlier than every real point in time.
    pub const ZERO: Self = Self::from_micros(0);
    /// Later than every real point in time.
    pub const NEVER: Self = Self::from_micros(i64::MAX);

    /// A point from microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(Micros::new(micros))
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0.get()
    }

    /// Whole milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.micros().div_euclid(1000)
    }

    /// The time from `earlier` until this point; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.micros().saturating_sub(earlier.micros())).unwrap_or(0))
    }
}

impl Add<Duration> for At {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.micros().saturating_add(by))
    }
}

impl Sub<Duration> for At {
    type Output = Self;
    fn sub(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.micros().saturating_sub(by))
    }
}

/// A time reported by a peer, in microseconds since the Unix epoch.
///
/// Only for display and for measuring the skew between two clocks: a peer's clock may show anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerTime(Micros);

impl PeerTime {
    /// A time from microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(Micros::new(micros))
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0.get()
    }

    /// The time this much earlier, at least the lowest one that there is.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self::from_micros(self.micros().saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
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

/// A duration that was measured, rounded: below a second in milliseconds, below a minute with tenths.
pub fn format_measured(time: Duration) -> String {
    let micros = time.as_micros();
    let (millis, tenths) = ((micros + 500) / 1000, (micros + 50_000) / 100_000);
    match (millis, tenths) {
        (0, _) => "<1ms".into(),
        (1..1000, _) => format!("{millis}ms"),
        (_, ..600) => format!("{}.{}s", tenths / 10, tenths % 10),
        _ => format_duration(time + Duration::from_millis(500)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_times_are_rounded() {
        for (micros, text) in [
            (400, "<1ms"),
            (159_744, "160ms"),
            (999_600, "1.0s"),
            (7_960_000, "8.0s"),
            (13_900_000, "13.9s"),
            (59_960_000, "1m00s"),
            (112_600_000, "1m53s"),
        ] {
            assert_eq!(format_measured(Duration::from_micros(micros)), text, "{micros}");
        }
    }

    #[test]
    fn times_keep_their_numbers_and_order_and_an_option_takes_no_more_room() {
        let numbers = [i64::MIN + 1, -1_000_001, -1, 0, 1, 1_795_336_154_063_680, i64::MAX];
        for pair in numbers.windows(2) {
            assert!(At::from_micros(pair[0]) < At::from_micros(pair[1]), "{pair:?}");
        }
        for number in numbers {
            assert_eq!(At::from_micros(number).micros(), number);
            assert_eq!(PeerTime::from_micros(number).micros(), number);
        }
        assert_eq!(At::from_micros(i64::MIN).micros(), i64::MIN + 1);
        assert_eq!(At::default(), At::ZERO);
        assert_eq!(size_of::<Option<At>>(), 8);
        assert_eq!(size_of::<Option<PeerTime>>(), 8);
    }
}
