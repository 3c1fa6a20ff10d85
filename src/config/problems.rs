//! `[problems]`: from when on something is a problem.

use std::time::Duration;

use toml::de::DeTable;

use super::load::Reader;
use super::units;
use crate::domain::problem::thresholds::ProblemThresholds;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86400);

const KEYS: &[&str] = &[
    "flaps",
    "flap_window",
    "certificate",
    "card_news",
    "clock_skew",
    "failed_tasks",
    "failed_tasks_percent",
    "failed_skill",
    "failed_calls",
    "slow_factor",
    "slow",
    "stuck_factor",
    "stuck_least",
    "stuck_seen",
    "loops",
    "group",
    "group_percent",
];

impl<'a> Reader<'a> {
    pub(super) fn problems(&mut self, table: &DeTable<'a>) -> ProblemThresholds {
        self.only(table, "problems", KEYS);
        let usual = ProblemThresholds::default();
        // Outside these bounds a lint would never apply, or always.
        let mut number = |key: &str, default: u32, least: u32, most: u32| {
            let parse = |text: &str| match text.parse::<u32>() {
                Ok(number) if (least..=most).contains(&number) => Ok(number),
                _ => Err(format!("{text:?} is no number from {least} to {most}")),
            };
            self.text_setting(table, "problems", key, default, parse, u32::to_string)
        };
        let flaps = number("flaps", usual.flaps, 2, 12);
        let failed_tasks = number("failed_tasks", usual.failed_tasks, 1, 20);
        let failed_tasks_percent = number("failed_tasks_percent", usual.failed_tasks_percent, 11, 100);
        let failed_skill = number("failed_skill", usual.failed_skill, 2, 20);
        let failed_calls = number("failed_calls", usual.failed_calls, 1, 20);
        let slow_factor = number("slow_factor", usual.slow_factor, 2, 100);
        let stuck_factor = number("stuck_factor", usual.stuck_factor, 2, 1000);
        let stuck_seen = number("stuck_seen", usual.stuck_seen, 2, 10_000);
        let loops = number("loops", usual.loops, 5, 1000);
        let group = number("group", usual.group, 2, 1000);
        let group_percent = number("group_percent", usual.group_percent, 20, 100);
        let mut time = |key: &str, default: Duration, least: Duration, most: Duration| {
            let parse = |text: &str| {
                let time = units::duration(text)?;
                if (least..=most).contains(&time) {
                    return Ok(time);
                }
                let (least, most) = (units::show_duration(least), units::show_duration(most));
                Err(format!("{text:?} is not from {least} to {most}"))
            };
            self.text_setting(table, "problems", key, default, parse, |time| units::show_duration(*time))
        };
        ProblemThresholds {
            flaps,
            flap_window: time("flap_window", usual.flap_window, 60 * SECOND, DAY),
            certificate: time("certificate", usual.certificate, HOUR, 365 * DAY),
            card_news: time("card_news", usual.card_news, 60 * SECOND, 30 * DAY),
            clock_skew: time("clock_skew", usual.clock_skew, SECOND, DAY),
            failed_tasks,
            failed_tasks_percent,
            failed_skill,
            failed_calls,
            slow_factor,
            slow: time("slow", usual.slow, SECOND / 10, HOUR),
            stuck_factor,
            stuck_least: time("stuck_least", usual.stuck_least, SECOND, DAY),
            stuck_seen,
            loops,
            group,
            group_percent,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::load_text;

    #[test]
    fn thresholds_have_bounds_and_faults_have_lines() {
        for (line, expected) in [
            ("flaps = 3", None),
            ("flaps = 1", Some("config.toml:2: problems.flaps: \"1\" is no number from 2 to 12")),
            ("certificate = \"30d\"", None),
            (
                "certificate = \"1m\"",
                Some("config.toml:2: problems.certificate: \"1m\" is not from 1h to 365d"),
            ),
            (
                "slow_factr = 3",
                Some("config.toml:2: problems.slow_factr: is no setting; did you mean slow_factor?"),
            ),
        ] {
            let read = load_text(&format!("[problems]\n{line}\n"), Path::new("config.toml"));
            assert_eq!(read.err().map(|faults| faults.to_string()).as_deref(), expected, "{line}");
        }
    }
}
