//! Times, ages and counts as displayed, with the time at which each display becomes outdated.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::time::At;
pub use crate::domain::time::format_duration as duration;
pub use crate::domain::time::format_measured as measured;
use crate::protocol::timestamp;

/// A whole stretch of minutes: `30m`, `1h`, `1h30m`, `24h`, `7d`.
pub fn window(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    // Up to two days are told in hours.
    let days = if minutes < 2 * 1440 { 0 } else { minutes / 1440 };
    let (hours, minutes) = ((minutes - days * 1440) / 60, minutes % 60);
    let parts = [(days, "d"), (hours, "h"), (minutes, "m")];
    let words = parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}"));
    words.collect()
}

/// A duration with tenths of a second, for stories: `+14ms`, `+3.2s`, `+34s`.
pub fn step(time: Duration) -> String {
    let millis = time.as_millis();
    match millis {
        0..1000 => format!("+{millis}ms"),
        1000..10_000 => format!("+{}.{}s", millis / 1000, millis % 1000 / 100),
        _ => format!("+{}", duration(Duration::from_secs(time.as_secs()))),
    }
}

/// An age in whole seconds, and how long it stays true.
pub fn age(now: At, since: At) -> (String, Duration) {
    let age = now.since(since);
    let seconds = age.as_secs();
    let text = if seconds == 0 { "0s".into() } else { duration(Duration::from_secs(seconds)) };
    // Below an hour every second shows, below a day every minute, then every hour.
    let grain: u64 = match seconds {
        0..3600 => 1,
        3600..86_400 => 60,
        _ => 3600,
    };
    let next = Duration::from_secs((seconds / grain + 1) * grain).saturating_sub(age);
    (text, next.max(Duration::from_millis(1)))
}

/// An age by its largest unit only, `31s`, `4m`, `5h`, `3d`, and how long it stays correct; for ages that rarely
/// change.
pub fn coarse_age(now: At, since: At) -> (String, Duration) {
    let age = now.since(since);
    let seconds = age.as_secs();
    let (grain, unit) = match seconds {
        0..60 => (1, "s"),
        60..3600 => (60, "m"),
        3600..86_400 => (3600, "h"),
        _ => (86_400, "d"),
    };
    let next = Duration::from_secs((seconds / grain + 1) * grain).saturating_sub(age);
    (format!("{}{unit}", seconds / grain), next.max(Duration::from_millis(1)))
}

/// `1.2 kB`, `340 B`, `40 MB`.
pub fn bytes(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) if bytes / unit < 10 => {
            format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
        }
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} B"),
    }
}

/// `41,207`
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Clocks in one zone.
#[derive(Clone, Debug)]
pub struct Clocks {
    zone: TimeZone,
    suffix: &'static str,
    /// Seconds are written with their date, in UTC.
    dated: bool,
}

impl Clocks {
    /// Clocks in a zone of the configuration.
    pub fn new(zone: &str) -> Self {
        match zone {
            "UTC" => Self { zone: TimeZone::UTC, suffix: "Z", dated: false },
            "local" => Self { zone: TimeZone::system(), suffix: "", dated: false },
            name => Self { zone: TimeZone::get(name).unwrap_or(TimeZone::UTC), suffix: "", dated: false },
        }
    }

    /// The same for a text that is read elsewhere and later: every point in time has its date and zone.
    #[must_use]
    pub fn dated(&self) -> Self {
        Self { dated: true, ..self.clone() }
    }

    fn civil(&self, at: At) -> Option<jiff::civil::DateTime> {
        let time = jiff::Timestamp::from_microsecond(at.micros()).ok()?;
        Some(self.zone.to_datetime(time))
    }

    /// `03:04Z`, and how long it stays true.
    pub fn minute(&self, at: At) -> (String, Duration) {
        let Some(time) = self.civil(at) else { return ("--:--".into(), Duration::from_secs(60)) };
        let left = 60_000_000 - at.micros().rem_euclid(60_000_000);
        let left = Duration::from_micros(u64::try_from(left).unwrap_or(1));
        (format!("{:02}:{:02}{}", time.hour(), time.minute(), self.suffix), left)
    }

    /// `02:58:53`, with the day in front if it is not the same day as `now`.
    pub fn second(&self, at: At, now: At) -> String {
        if self.dated {
            return timestamp::format_at(at);
        }
        let (Some(time), Some(today)) = (self.civil(at), self.civil(now)) else { return "--:--:--".into() };
        let clock = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
        if time.date() == today.date() {
            return clock;
        }
        let days = today.date() - time.date();
        if days.get_days().abs() < 7 {
            format!("{} {:02}:{:02}", weekday(time), time.hour(), time.minute())
        } else {
            format!("{} {:02}:{:02}", time.date(), time.hour(), time.minute())
        }
    }

    /// `02:58`
    pub fn time_of_day(&self, at: At) -> String {
        self.civil(at)
            .map_or_else(|| "--:--".into(), |time| format!("{:02}:{:02}", time.hour(), time.minute()))
    }

    /// When it was this time of day last, `02:58` or `02:58:30`.
    pub fn last_time_of_day(&self, text: &str, now: At) -> Option<At> {
        let mut parts = text.trim_end_matches('Z').split(':').map(|part| part.parse::<i8>().ok());
        let (hour, minute) = (parts.next()??, parts.next()??);
        let second = parts.next().map_or(Some(0), |second| second)?;
        let time = jiff::civil::Time::new(hour, minute, second, 0).ok().filter(|_| parts.next().is_none())?;
        let today = self.civil(now)?.date();
        [today, today.yesterday().ok()?].into_iter().find_map(|day| {
            let at = self.zone.to_timestamp(day.to_datetime(time)).ok()?;
            let at = At::from_micros(at.as_microsecond());
            (at <= now).then_some(at)
        })
    }

    /// `20.104`: seconds and milliseconds, for stories.
    pub fn fraction(&self, at: At) -> String {
        match self.civil(at) {
            Some(time) => format!("{:02}.{:03}", time.second(), time.subsec_nanosecond() / 1_000_000),
            None => "--.---".into(),
        }
    }

    /// `03:02:20.104`
    pub fn precise(&self, at: At) -> String {
        match self.civil(at) {
            Some(time) => format!("{:02}:{:02}:{}", time.hour(), time.minute(), self.fraction(at)),
            None => "--:--:--.---".into(),
        }
    }
}

fn weekday(time: jiff::civil::DateTime) -> &'static str {
    use jiff::civil::Weekday;
    match time.weekday() {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        for (millis, text) in [
            (0, "0s"),
            (140, "140ms"),
            (31_000, "31s"),
            (242_000, "4m02s"),
            (4_020_000, "1h07m"),
            (183_600_000, "2d03h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        for (millis, text) in [(14, "+14ms"), (3200, "+3.2s"), (34_000, "+34s"), (90_000, "+1m30s")] {
            assert_eq!(step(Duration::from_millis(millis)), text);
        }
        assert_eq!(
            (count(7), count(41_207), count(1_000_000)),
            ("7".into(), "41,207".into(), "1,000,000".into())
        );
        assert_eq!(
            (bytes(340), bytes(1_234), bytes(40_000_000)),
            ("340 B".into(), "1.2 kB".into(), "40 MB".into())
        );
    }

    #[test]
    fn ages_give_the_time_until_they_change() {
        let since = At::from_micros(1_000_000_000);
        for (millis, text, next) in [(400, "0s", 600), (59_900, "59s", 100), (3_600_000, "1h00m", 60_000)] {
            let (shown, left) = age(since + Duration::from_millis(millis), since);
            assert_eq!((shown.as_str(), left), (text, Duration::from_millis(next)));
        }
    }

    #[test]
    fn times_of_another_day_name_the_day() {
        let clocks = Clocks::new("UTC");
        let now = At::from_micros(1_795_316_657_000_000);
        assert_eq!(clocks.minute(now).0, "03:04Z");
        assert_eq!(clocks.second(now, now), "03:04:17");
        assert_eq!(clocks.dated().second(now, now), "2026-11-22T03:04:17.000Z");
        assert_eq!(clocks.second(now - Duration::from_secs(86_400), now), "Sat 03:04");
        assert_eq!(clocks.second(now - Duration::from_secs(30 * 86_400), now), "2026-10-23 03:04");
    }
}
