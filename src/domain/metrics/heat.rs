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

/// What makes a cell hot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeatCause {
    /// Tasks that failed, or calls that reached nothing.
    Failures,
    /// How long tasks took: now, and usually.
    Took(Duration, Duration),
    /// How long calls that do no work took to be answered: now, and usually.
    Answers(Duration, Duration),
}

/// Three times almost nothing is still almost nothing.
const NEVER_SLOW: Duration = Duration::from_millis(500);

impl Heat {
    /// Of a stretch; failures count first, then how slow it was against the usual 95th percentiles of tasks and of
    /// calls that do no work.
    pub fn of(tally: &Tally, usual_took: Option<Duration>, usual_answer: Option<Duration>) -> Self {
        Self::with_cause(tally, usual_took, usual_answer).0
    }

    /// The same, with what makes it so.
    pub fn with_cause(
        tally: &Tally,
        usual_took: Option<Duration>,
        usual_answer: Option<Duration>,
    ) -> (Self, Option<HeatCause>) {
        if tally.is_empty() {
            return (Self::Unwatched, None);
        }
        if tally.calls > 0 && tally.calls_failed == tally.calls && tally.ok == 0 {
            return (Self::Full, Some(HeatCause::Failures));
        }
        let (bad, ended) = (u64::from(tally.bad()), u64::from(tally.ended()));
        let failures = match bad * 100 {
            0 => Self::Usual,
            share if share > ended * 50 => Self::Full,
            share if share > ended * 20 => Self::High,
            share if share > ended * 5 => Self::Much,
            _ => Self::Some,
        };
        let slow =
            |now: Option<Duration>, usual: Option<Duration>, cause: fn(Duration, Duration) -> HeatCause| {
                let (now, usual) = now.zip(usual).filter(|(now, _)| *now > NEVER_SLOW)?;
                let steps = [(8, Self::High), (4, Self::Much), (2, Self::Some)];
                let (_, heat) = steps.into_iter().find(|(times, _)| now > usual * *times)?;
                Some((heat, cause(now, usual)))
            };
        let failed = (failures > Self::Usual).then_some((failures, HeatCause::Failures));
        let took = slow(tally.took.percentile(95), usual_took, HeatCause::Took);
        let answers = slow(tally.answer.percentile(95), usual_answer, HeatCause::Answers);
        // Of equals the last is the greatest.
        let hottest = [answers, took, failed].into_iter().flatten().max_by_key(|(heat, _)| *heat);
        hottest.map_or((Self::Usual, None), |(heat, cause)| (heat, Some(cause)))
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
        let (mut slow, usual) = (took(99, 1, second), Some(second));
        (0..10).for_each(|_| slow.answer.add(second * 30));
        let cause = |tally: &Tally| Heat::with_cause(tally, usual, usual).1;
        assert!(matches!(cause(&slow), Some(HeatCause::Answers(now, usual)) if now > usual * 8));
        assert!(matches!(cause(&took(99, 1, second * 5)), Some(HeatCause::Took(..))));
        assert_eq!(cause(&took(70, 30, second * 5)), Some(HeatCause::Failures), "the hottest says it");
        assert_eq!(cause(&took(10, 0, second)), None);
        let quick = Duration::from_millis(1);
        assert_eq!(Heat::of(&took(9, 0, quick * 30), Some(quick), None), Heat::Usual, "30 ms is quick");
        assert_eq!(Heat::of(&took(9, 0, second * 30), None, None), Heat::Usual, "nothing is usual yet");
    }
}
