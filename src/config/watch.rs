//! `[watch]` and `[keep]`: when a task is in doubt, and how long ended work is kept.

use std::time::Duration;

use toml::de::DeTable;

use super::load::Reader;
use super::{Retention, WatchThresholds, units};

impl<'a> Reader<'a> {
    pub(super) fn watch(&mut self, table: &DeTable<'a>) -> WatchThresholds {
        self.only(table, "watch", &["silent_after", "stalled_after"]);
        let mut time = |key: &str, seconds: u64| {
            let default = Duration::from_secs(seconds);
            self.text_setting(table, "watch", key, default, units::duration, |time| {
                units::show_duration(*time)
            })
        };
        WatchThresholds { silent_after: time("silent_after", 30), stalled_after: time("stalled_after", 15) }
    }

    pub(super) fn keep(&mut self, table: &DeTable<'a>) -> Retention {
        self.only(table, "keep", &["time", "bytes"]);
        let time = Duration::from_secs(30 * 24 * 3600);
        Retention {
            time: self.text_setting(table, "keep", "time", time, units::duration, |time| {
                units::show_duration(*time)
            }),
            bytes: self
                .text_setting(table, "keep", "bytes", 2 << 30, units::bytes, |size| units::show_bytes(*size)),
        }
    }
}
