//! `[breaker]`: what opens breakers, and for how long.

use std::time::Duration;

use toml::de::DeTable;

use super::load::Reader;
use super::units;
use crate::domain::agent::breaker::BreakerRules;

impl<'a> Reader<'a> {
    pub(super) fn breaker(&mut self, table: &DeTable<'a>) -> BreakerRules {
        let keys = [
            "enabled",
            "calls",
            "calls_percent",
            "window",
            "tasks",
            "tasks_percent",
            "outliers",
            "outlier_failed",
            "outlier_volume",
            "outlier_points",
            "open_for",
        ];
        self.only(table, "breaker", &keys);
        let usual = BreakerRules::default();
        let mut number = |key: &str, default: u32, most: u32| {
            let parse = |text: &str| match text.parse::<u32>() {
                Ok(number) if (1..=most).contains(&number) => Ok(number),
                _ => Err(format!("{text:?} is no number from 1 to {most}")),
            };
            self.text_setting(table, "breaker", key, default, parse, u32::to_string)
        };
        let (calls, calls_percent) =
            (number("calls", usual.calls, 20), number("calls_percent", usual.calls_percent, 100));
        let (tasks, tasks_percent) =
            (number("tasks", usual.tasks, 20), number("tasks_percent", usual.tasks_percent, 100));
        let (outlier_failed, outlier_volume, outlier_points) = (
            number("outlier_failed", usual.outlier_failed, 20),
            number("outlier_volume", usual.outlier_volume, 20),
            number("outlier_points", usual.outlier_points, 100),
        );
        let show = |time: &Duration| units::show_duration(*time);
        BreakerRules {
            enabled: self.flag_setting(table, "breaker", "enabled", usual.enabled),
            calls,
            calls_percent,
            window: self.text_setting(table, "breaker", "window", usual.window, units::duration, show),
            tasks,
            tasks_percent,
            outliers: self.flag_setting(table, "breaker", "outliers", usual.outliers),
            outlier_failed,
            outlier_volume,
            outlier_points,
            open_for: self.text_setting(table, "breaker", "open_for", usual.open_for, units::duration, show),
        }
    }
}
