//! `[watch]` and `[keep]`: when a task is in doubt, and how long ended work is kept.

use std::time::Duration;

use toml::de::DeTable;

use super::load::Reader;
use super::{Retention, WatchThresholds, units};
use crate::domain::input::Rules;

/// More probes a second than this go to no host: all hosts together have as many.
const MOST_PROBES: u32 = 200;

impl<'a> Reader<'a> {
    pub(super) fn watch(&mut self, table: &DeTable<'a>) -> WatchThresholds {
        self.only(table, "watch", &["silent_after", "stalled_after", "probes_per_host"]);
        let mut time = |key: &str, seconds: u64| {
            let default = Duration::from_secs(seconds);
            self.text_setting(table, "watch", key, default, units::duration, |time| {
                units::show_duration(*time)
            })
        };
        let (silent_after, stalled_after) = (time("silent_after", 30), time("stalled_after", 15));
        let rate = |text: &str| match text.parse::<u32>() {
            Ok(number) if (1..=MOST_PROBES).contains(&number) => Ok(number),
            _ => Err(format!("{text:?} is no number from 1 to {MOST_PROBES}")),
        };
        let usual = Rules::default().probes_per_host;
        let probes_per_host =
            self.text_setting(table, "watch", "probes_per_host", usual, rate, u32::to_string);
        WatchThresholds { silent_after, stalled_after, probes_per_host }
    }

    pub(super) fn keep(&mut self, table: &DeTable<'a>) -> Retention {
        self.only(table, "keep", &["time", "bytes", "audit"]);
        let mut time = |key: &str, default: Duration| {
            self.text_setting(table, "keep", key, default, units::duration, |time| {
                units::show_duration(*time)
            })
        };
        let usual = Rules::default();
        let (ended, audit) = (time("time", usual.keep), time("audit", usual.keep_audit));
        Retention {
            time: ended,
            audit,
            bytes: self
                .text_setting(table, "keep", "bytes", 2 << 30, units::bytes, |size| units::show_bytes(*size)),
        }
    }
}
