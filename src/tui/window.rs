//! The time window that every view shows, and the baseline that it is compared with.

use std::time::Duration;

use crate::domain::metrics::{Minute, MinuteRange};
use crate::domain::time::At;
use crate::tui::format::Clocks;

/// A stretch of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Window {
    /// The last stretch of this length, up to now.
    Last(Duration),
    /// From a point in time until another.
    Between(At, At),
}

/// The baseline of the window: a window of the same length, this much earlier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Baseline {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week.
    Week,
}

/// The longest window in minutes: as long as metrics are kept.
const LONGEST: u32 = 30 * 24 * 60;

impl Window {
    /// The window of a console that has just started.
    pub const FIRST: Self = Self::Last(Duration::from_secs(30 * 60));

    /// The window of a presentation that has just started: it lasts minutes.
    pub const PRESENTED: Self = Self::Last(Duration::from_secs(15 * 60));

    /// The choices of the time menu: letter, the text of the first line, minutes.
    pub const CHOICES: [(char, &'static str, u32); 7] = [
        ('5', "5m", 5),
        ('1', "15m", 15),
        ('3', "30m", 30),
        ('h', "1h", 60),
        ('6', "6h", 6 * 60),
        ('d', "24h", 24 * 60),
        ('w', "7d", 7 * 24 * 60),
    ];

    /// The last `minutes` minutes.
    pub fn last(minutes: u32) -> Self {
        Self::Last(Duration::from_secs(u64::from(minutes) * 60))
    }

    /// A quarter of an hour before and after something.
    pub fn around(at: At) -> Self {
        let quarter = Duration::from_secs(15 * 60);
        Self::Between(at - quarter, at + quarter)
    }

    /// Parses `30m`, `6h`, or two times of day in the last 24 hours, `02:50..03:10`.
    ///
    /// # Errors
    /// The text is not a window; the message says what can be typed.
    pub fn parse(text: &str, clocks: &Clocks, now: At) -> Result<Self, String> {
        let fault = || format!("not a time: {text}; write 30m, 6h, 7d or 02:50..03:10");
        if let Some((from, until)) = text.split_once("..").or_else(|| text.split_once('–')) {
            let until = clocks.last_time_of_day(until.trim(), now).ok_or_else(fault)?;
            let from = clocks.last_time_of_day(from.trim(), until).ok_or_else(fault)?;
            return Ok(Self::Between(from, until));
        }
        let time = crate::domain::time::duration(text).map_err(|_| fault())?;
        if time < Duration::from_secs(60) || time > Duration::from_secs(u64::from(LONGEST) * 60) {
            return Err("from a minute to thirty days, which is what is kept".into());
        }
        Ok(Self::Last(time))
    }

    /// The text of the first line.
    pub fn word(self, clocks: &Clocks) -> String {
        match self {
            Self::Last(time) => crate::tui::format::window(time),
            Self::Between(from, until) => {
                format!("{}–{}", clocks.time_of_day(from), clocks.time_of_day(until))
            }
        }
    }

    /// The window in equal parts: minutes up to an hour, then fewer and longer ones.
    pub fn parts(self, now: At) -> MinuteRange {
        let (from, until) = match self {
            Self::Last(time) => {
                let until = Minute::of(now).after(1);
                (until.before(Minute::in_window(time).clamp(1, LONGEST)), until)
            }
            Self::Between(from, until) => {
                let from = Minute::of(from);
                (from, Minute::of(until).max(from).after(1).min(from.after(LONGEST)))
            }
        };
        let step = match until.0 - from.0 {
            0..=60 => 1,
            61..=180 => 5,
            181..=720 => 10,
            721..=1440 => 30,
            1441..=2880 => 60,
            2881..=10_080 => 180,
            _ => 720,
        };
        // Parts begin at round times of the clock, so that they do not move with the window.
        MinuteRange { from: Minute(from.0 / step * step), until, step }
    }
}

impl Baseline {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// The offset in minutes.
    pub fn minutes(self) -> u32 {
        match self {
            Self::Hour => 60,
            Self::Day => 24 * 60,
            Self::Week => 7 * 24 * 60,
        }
    }

    /// The word in titles.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hour => "the hour before",
            Self::Day => "the day before",
            Self::Week => "the week before",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_window_are_few_and_keep_their_bounds() {
        let now = At::from_micros(29_000_123 * 60_000_000 + 7);
        for (_, words, minutes) in Window::CHOICES {
            let parts = Window::last(minutes).parts(now);
            assert!(parts.count() <= 61 && parts.count() >= 5, "{words}: {}", parts.count());
            assert_eq!(parts.place(Minute::of(now)), Some(parts.count() - 1), "{words} ends now");
            assert_eq!(parts.from.0 % parts.step, 0, "{words}");
            assert_eq!(Window::last(minutes).word(&Clocks::new("UTC")), words);
            assert_eq!(parts.is_recent(now), minutes <= 60, "{words}");
            let later = Window::last(minutes).parts(now + Duration::from_secs(60));
            assert_eq!((later.from.0 - parts.from.0) % parts.step, 0, "{words}");
        }
    }

    #[test]
    fn typed_windows_are_parsed() {
        let clocks = Clocks::new("UTC");
        let now = At::from_micros(29_000_123 * 60_000_000);
        assert_eq!(Window::parse("6h", &clocks, now), Ok(Window::last(360)));
        assert_eq!(Window::parse("90m", &clocks, now).unwrap().word(&clocks), "1h30m");
        let Ok(Window::Between(from, until)) = Window::parse("23:50..00:10", &clocks, now) else {
            panic!("two times")
        };
        assert_eq!(until.since(from), Duration::from_secs(20 * 60), "over midnight");
        assert!(until <= now && now.since(until) < Duration::from_secs(86_400));
        for wrong in ["", "x", "31d", "5s", "25:00..26:00", "1..2"] {
            assert!(Window::parse(wrong, &clocks, now).is_err(), "{wrong}");
        }
    }
}
