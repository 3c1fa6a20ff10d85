//! RFC 3339, read leniently and written in UTC.

use jiff::Timestamp;

use crate::domain::time::{At, PeerTime};

/// A peer's timestamp; none if it cannot be read. Servers differ in precision and offset, and some
/// leave it out.
pub fn parse(text: &str) -> Option<PeerTime> {
    let text = text.trim();
    let parsed = text.parse::<Timestamp>().ok().or_else(|| {
        // Without an offset, UTC is assumed.
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })?;
    Some(PeerTime::from_micros(parsed.as_microsecond()))
}

/// Microseconds since the epoch as `2026-11-22T08:29:14.063Z`.
pub fn format_micros(micros: i64) -> String {
    match Timestamp::from_microsecond(micros) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => String::from("1970-01-01T00:00:00.000Z"),
    }
}

/// Microseconds since the epoch as `2026-11-22T08:29:14.063680Z`.
pub fn format_exact(micros: i64) -> String {
    match Timestamp::from_microsecond(micros) {
        Ok(time) => format!("{time:.6}"),
        Err(_) => String::from("1970-01-01T00:00:00.000000Z"),
    }
}

/// A point on the engine's clock as `2026-11-22T08:29:14.063Z`.
pub fn format_at(at: At) -> String {
    format_micros(at.micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_write_time_in_many_ways() {
        let at = Some(PeerTime::from_micros(1_795_336_154_063_680));
        for (text, expected) in [
            ("2026-11-22T08:29:14.063680Z", at),
            ("2026-11-22T09:29:14.063680+01:00", at),
            ("2026-11-22T08:29:14.063680", at),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(format_micros(1_795_336_154_063_680), "2026-11-22T08:29:14.063Z");
        assert_eq!(format_exact(1_795_336_154_063_680), "2026-11-22T08:29:14.063680Z");
    }
}
