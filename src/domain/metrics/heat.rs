//! The deviation of a period from its baseline.

use std::time::Duration;

use crate::domain::metrics::Tally;

/// A cell of a heat map.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Heat {
    /// Not watched.
    Unwatched,
    /// Within the baseline.
    Usual,
    /// Some failed, or twice as slow as usual.
    Some,
    /// More than a twentieth failed, or four times as slow.
    Much,
    /// More than a fifth failed, or eight times as slow.
    High,
    /// More than half failed, or it could not be reached at all.
    Full,
}

/// Three times almost nothing is still almost nothing.
const NEVER_SLOW: Duration = Duration::from_millis(500);

impl Heat {
    /// Of a stretch; failures count first, then how slow it was against the usual 95th percentiles of tasks and of
    /// calls that do no work.
    pub fn of(tally: &Tally, usual_took: Option<Duration>, usual_answer: Option<Duration>) -> Self {
        if tally.is_empty() {
            return Self::Unwatched;
        }
        if tally.calls > 0 && tally.calls_failed == tally.calls && tally.ok == 0 {
            return Self::Full;
        }
        let (bad, ended) = (u64::from(tally.bad()), u64::from(tally.ended()));
        let failures = match bad * 100 {
            0 => Self::Usual,
            share if share > ended * 50 => Self::Full,
            share if share > ended * 20 => Self::High,
            share if share > ended * 5 => Self::Much,
            _ => Self::Some,
        };
        let slow = |now: Option<Duration>, usual: Option<Duration>| match (now, usual) {
            (Some(now), Some(usual)) if now > NEVER_SLOW && now > usual * 8 => Self::High,
            (Some(now), Some(usual)) if now > NEVER_SLOW && now > usual * 4 => Self::Much,
            (Some(now), Some(usual)) if now > NEVER_SLOW && now > usual * 2 => Self::Some,
            _ => Self::Usual,
        };
        let calls = slow(tally.answer.percentile(95), usual_answer);
        failures.max(slow(tally.took.percentile(95), usual_took)).max(calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_first_then_slowness() {
        let second = Duration::from_secs(1);
        let took = |ok: u32, failed: u32, each: Duration| {
            let mut tally = Tally { ok, failed, calls: 2, ..Tally::default() };
            (0..ok + failed).for_each(|_| tally.took.add(each));
            tally
        };
        for (tally, expected) in [
            (Tally::default(), Heat::Unwatched),
            (Tally { calls: 2, ..Tally::default() }, Heat::Usual),
            (Tally { calls: 2, calls_failed: 2, ..Tally::default() }, Heat::Full),
            (took(10, 0, second), Heat::Usual),
            (took(10, 0, second * 3), Heat::Some),
            (took(10, 0, second * 5), Heat::Much),
            (took(10, 0, second * 20), Heat::High),
            (took(99, 1, second), Heat::Some),
            (took(90, 10, second), Heat::Much),
            (took(70, 30, second), Heat::High),
            (took(1, 9, second), Heat::Full),
            (took(99, 1, second * 5), Heat::Much),
        ] {
            assert_eq!(Heat::of(&tally, Some(second), Some(second)), expected, "{tally:?}");
        }
        let quick = Duration::from_millis(1);
        assert_eq!(Heat::of(&took(9, 0, quick * 30), Some(quick), None), Heat::Usual, "30 ms is quick");
        assert_eq!(Heat::of(&took(9, 0, second * 30), None, None), Heat::Usual, "nothing is usual yet");
    }
}
