//! What a rule of routing says about further attempts: when one follows, and when one is sent beside a live one.

use std::time::Duration;

use toml::de::DeTable;

use super::load::{Reader, join};
use super::units;
use crate::domain::route::{Backoff, Hedge, HedgeAfter, Retry};

/// The wait before the first retry, and the longest one.
const BASE: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_secs(60);
/// Retries of a policy that does not say how many.
const MAX_RETRIES: u16 = 3;

/// Attempts that a rule may send beside slow ones of one job, at most.
const HEDGES: u8 = 4;

impl<'a> Reader<'a> {
    /// When a rule tries a job again.
    pub(super) fn retry(&mut self, row: &DeTable<'a>, full: &str) -> Retry {
        let Some(table) = self.table(row, full, "retry") else { return Retry::default() };
        let full = join(full, "retry");
        self.only(table, &full, &["policy", "max", "base", "cap", "budget"]);
        let policy = |text: &str| match text {
            "none" | "fixed" | "exponential_backoff" => Ok(text.to_owned()),
            _ => Err(format!("{text:?} is no policy; write one of none, fixed, exponential_backoff")),
        };
        let policy = self.text_setting(
            table,
            &full,
            "policy",
            "exponential_backoff".to_owned(),
            policy,
            String::clone,
        );
        let max = |text: &str| match text.parse::<u16>() {
            Ok(number) if number <= 100 => Ok(number),
            _ => Err(format!("{text:?} is no number of retries; write 0 to 100")),
        };
        let max = self.text_setting(table, &full, "max", MAX_RETRIES, max, u16::to_string);
        let time = |reader: &mut Self, key: &str, usual: Duration| {
            let show = |time: &Duration| units::show_duration(*time);
            reader.text_setting(table, &full, key, usual, units::duration, show)
        };
        let (base, cap) = (time(self, "base", BASE), time(self, "cap", CAP));
        if base > cap {
            let at = table.get("base").or_else(|| table.get("cap")).map_or(0, |value| value.span().start);
            self.fault(at, &join(&full, "base"), "is longer than cap, the longest wait");
        }
        let budget = |text: &str| match text.trim().trim_end_matches('%').trim().parse::<u8>() {
            Ok(share) if share <= 100 => Ok(share),
            _ => Err(format!("{text:?} is no share; write a per cent from 0 to 100")),
        };
        let budget =
            self.text_setting(table, &full, "budget", Retry::default().budget, budget, u8::to_string);
        let backoff = match &*policy {
            "none" => Backoff::None,
            "fixed" => Backoff::Fixed(base),
            _ => Backoff::Exponential { base, cap },
        };
        Retry { backoff, max: if backoff == Backoff::None { 0 } else { max }, budget }
    }

    /// When another attempt is sent beside one that takes long.
    pub(super) fn hedge(&mut self, row: &DeTable<'a>, full: &str, idempotent: bool) -> Option<Hedge> {
        let table = self.table(row, full, "hedge")?;
        let at = row.get("hedge").map_or(0, |value| value.span().start);
        let full = join(full, "hedge");
        self.only(table, &full, &["after", "max"]);
        if !idempotent {
            let what = "does work twice; write idempotent = true if that does no harm, or leave it out";
            self.fault(at, &full, what);
        }
        let after = |text: &str| match text {
            "p95" => Ok(Some(HedgeAfter::Percentile(95))),
            "p99" => Ok(Some(HedgeAfter::Percentile(99))),
            _ => match units::duration(text) {
                Ok(time) if !time.is_zero() => Ok(Some(HedgeAfter::Time(time))),
                _ => Err(format!("{text:?} is neither p95, p99 nor a time such as 30s")),
            },
        };
        let show = |after: &Option<HedgeAfter>| after.map(|after| after.to_string()).unwrap_or_default();
        let max = |text: &str| match text.parse::<u8>() {
            Ok(number @ 1..=HEDGES) => Ok(number),
            _ => Err(format!("{text:?} is no number of attempts; write 1 to {HEDGES}")),
        };
        let max = self.text_setting(table, &full, "max", 1, max, u8::to_string);
        if table.get("after").is_none() {
            let what = "is missing; write after = \"p95\", or a time such as \"30s\"";
            self.fault(at, &join(&full, "after"), what);
        }
        let after = self.text_setting(table, &full, "after", None, after, show)?;
        Some(Hedge { after, max })
    }
}
