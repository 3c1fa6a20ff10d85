//! Objectives for success rate and latency, and their burn rates.
//!
//! With an objective of 99.5 %, one task in two hundred may fail. The burn rate is the multiple of that share that does
//! fail: at 1 exactly the allowed share fails. An objective is missed when both the last hour and the last five minutes
//! burn fast, so that neither a short nor an ended incident raises it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::metrics::{Metrics, Minute, Series, Tally};
use crate::domain::text::Untrusted;

/// The burn rate, of both periods, from which it is missed.
const MISSED: u64 = 6;
/// And met again when the last minutes burn no more than this.
const MET: u64 = 1;
/// The minimum numbers of tasks in the last minutes and in the hour.
const LEAST: (u32, u32) = (2, 5);
/// The short stretch and the long one, in minutes.
const SHORT: u32 = 5;
const LONG: u32 = 60;

/// An objective for the work of a skill, for a caller or by an agent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Objective {
    /// Only this skill; `None` for all.
    pub skill: Option<Arc<str>>,
    /// Only this caller; `None` for all.
    pub caller: Option<Arc<str>>,
    /// Only the agent of this name; `None` for all.
    pub agent: Option<Arc<str>>,
    /// The target success rate, in tenths of a per cent.
    pub ok: Option<u32>,
    /// 95 of a hundred should take at most this.
    pub p95: Option<Duration>,
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("skill", &self.skill), ("caller", &self.caller), ("agent", &self.agent)];
        let mut named = parts.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))).peekable();
        if named.peek().is_none() {
            return f.write_str("all work");
        }
        for (place, (key, value)) in named.enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{key} {}", Untrusted::from(&**value).line())?;
        }
        Ok(())
    }
}

/// The burn rate of an objective.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BurnRate {
    /// Ten times the burn of the last hour.
    pub hour: u64,
    /// Ten times the burn of the last five minutes.
    pub minutes: u64,
    /// True if there were enough tasks.
    pub known: bool,
}

impl BurnRate {
    /// True if it is missed now, or was missed and is not met again.
    pub fn is_missed(self, before: bool) -> bool {
        let fast = self.hour >= MISSED * 10 && self.minutes >= MISSED * 10;
        self.known && (fast || before && self.minutes > MET * 10)
    }
}

/// The status of an objective.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ObjectiveStatus {
    /// For the success rate.
    pub ok: BurnRate,
    /// By how long they take.
    pub p95: BurnRate,
    /// Everything of the last hour.
    pub hour: Tally,
    /// Everything of the last five minutes.
    pub minutes: Tally,
}

impl ObjectiveStatus {
    /// The faster of both.
    pub fn worst(&self) -> BurnRate {
        if self.p95.minutes > self.ok.minutes { self.p95 } else { self.ok }
    }
}

impl Objective {
    /// True if a series counts; `name` returns the name of its agent.
    pub fn covers<'n>(&self, series: &Series, name: impl Fn(&Series) -> Option<&'n Untrusted>) -> bool {
        let is = |wanted: &Option<Arc<str>>, reported: Option<&Untrusted>| {
            wanted.as_ref().is_none_or(|wanted| reported.is_some_and(|reported| reported.raw() == &**wanted))
        };
        is(&self.skill, series.skill.as_ref())
            && is(&self.caller, series.caller.as_ref())
            && (self.agent.is_none() || is(&self.agent, name(series)))
    }

    /// The status in the minute `now`.
    pub fn standing<'n>(
        &self,
        metrics: &Metrics,
        now: Minute,
        name: impl Fn(&Series) -> Option<&'n Untrusted>,
    ) -> ObjectiveStatus {
        let since =
            |minutes: u32| metrics.since(now.after(1).before(minutes), |series| self.covers(series, &name));
        let (hour, minutes) = (since(LONG), since(SHORT));
        let burn = |part: &dyn Fn(&Tally) -> (u64, u64), allowed: u64| {
            let of = |tally: &Tally| {
                let (bad, all) = part(tally);
                // Ten times the ratio of the share to the allowed share, both in tenths of a per cent.
                (bad * 10_000).checked_div(all * allowed.max(1)).unwrap_or(0)
            };
            let known = minutes.ended() >= LEAST.0 && hour.ended() >= LEAST.1;
            BurnRate { hour: of(&hour), minutes: of(&minutes), known }
        };
        let ok = self.ok.map(|ok| {
            let allowed = 1000u64.saturating_sub(u64::from(ok));
            burn(&|tally| (u64::from(tally.bad()), u64::from(tally.ended())), allowed)
        });
        let p95 =
            self.p95.map(|limit| burn(&|tally| (tally.took.over(limit), tally.took.count().max(1)), 50));
        let (ok, p95) = (ok.unwrap_or_default(), p95.unwrap_or_default());
        ObjectiveStatus { ok, p95, hour, minutes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{AgentId, Rng};
    use crate::domain::time::At;

    /// Metrics of an hour: ten tasks each minute; in the last `bad_minutes`, `failed` of them fail or `slow` take ten
    /// seconds.
    fn metrics(bad_minutes: u32, failed: u32, slow: u32) -> (Metrics, Minute, Series) {
        let agent = AgentId(Rng::new(1).uuid(At::ZERO));
        let series = Series { agent, skill: Some("charge".into()), caller: Some("shop".into()), rule: None };
        let now = Minute(29_000_000);
        let mut metrics = Metrics::default();
        for back in 0..60 {
            let tally = metrics.tally(now.before(back).begins(), series.clone());
            let bad = back < bad_minutes;
            tally.failed = if bad { failed } else { 0 };
            tally.ok = 10 - tally.failed;
            for task in 0..10 {
                let time = if bad && task < slow { 10 } else { 1 };
                tally.took.add(Duration::from_secs(time));
            }
        }
        (metrics, now, series)
    }

    fn objective(ok: Option<u32>, p95: Option<u64>) -> Objective {
        let p95 = p95.map(Duration::from_secs);
        Objective { skill: Some("charge".into()), caller: None, agent: None, ok, p95 }
    }

    #[test]
    fn an_objective_is_missed_only_if_both_windows_exceed_the_burn_rate() {
        for (bad_minutes, failed, ok, missed) in [
            (0, 0, 995, false),
            // One bad minute of an hour: 5 of 50, and 5 of 600, where half a per cent may.
            (1, 5, 995, false),
            (5, 5, 995, true),
            (60, 1, 995, true),
            // One in ten fails where one in ten may.
            (60, 1, 900, false),
            (60, 10, 900, true),
        ] {
            let (metrics, now, _) = metrics(bad_minutes, failed, 0);
            let standing = objective(Some(ok), None).standing(&metrics, now, |_| None);
            assert_eq!(standing.ok.is_missed(false), missed, "{bad_minutes} {failed} {ok} {:?}", standing.ok);
        }
    }

    #[test]
    fn slow_work_burns_too() {
        for (slow, limit, missed) in [(0, 2, false), (10, 2, true), (10, 20, false), (1, 2, false)] {
            let (metrics, now, _) = metrics(30, 0, slow);
            let standing = objective(None, Some(limit)).standing(&metrics, now, |_| None);
            assert_eq!(standing.p95.is_missed(false), missed, "{slow} {limit} {:?}", standing.p95);
        }
    }

    #[test]
    fn an_objective_is_met_again_once_the_short_window_recovers() {
        let burn = |hour, minutes| BurnRate { hour, minutes, known: true };
        assert!(burn(100, 30).is_missed(true));
        assert!(!burn(100, 30).is_missed(false));
        assert!(!burn(100, 10).is_missed(true));
        assert!(
            !BurnRate { known: false, ..burn(1000, 1000) }.is_missed(true),
            "nothing happens, so nobody is hurt"
        );
    }

    #[test]
    fn an_objective_counts_only_the_tasks_it_names() {
        let (metrics, now, series) = metrics(60, 10, 0);
        let other = Objective { skill: Some("refund".into()), ..objective(Some(900), None) };
        assert!(!other.standing(&metrics, now, |_| None).ok.known);
        let by_agent = Objective { agent: Some("cashier".into()), ..objective(Some(900), None) };
        let name = Untrusted::from("cashier");
        assert!(by_agent.covers(&series, |_| Some(&name)));
        assert!(!by_agent.covers(&series, |_| None));
        assert_eq!(by_agent.to_string(), "skill charge, agent cashier");
    }
}
