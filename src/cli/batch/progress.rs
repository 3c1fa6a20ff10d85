//! The line that shows how far a batch is.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::summary::to_float;
use crate::domain::time::format_duration;

/// The time over which the rate is measured.
const RECENT: Duration = Duration::from_secs(10);
/// The cells of the bar.
const CELLS: u64 = 10;

/// How far a batch is at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    pub ended: u64,
    /// `None` if the number of items is not known.
    pub total: Option<u64>,
    pub bad: u64,
    pub in_progress: usize,
}

/// Measures the rate of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Progress {
    seen: VecDeque<(Instant, u64)>,
}

impl Progress {
    /// The line to show now.
    pub fn line(&mut self, now: Instant, reached: Reached) -> String {
        self.seen.push_back((now, reached.ended));
        while self.seen.len() > 2 && self.seen.get(1).is_some_and(|(at, _)| now - *at >= RECENT) {
            self.seen.pop_front();
        }
        let rate = self.seen.front().and_then(|(at, ended)| {
            let time = now.duration_since(*at).as_secs_f64();
            (time > 0.0).then(|| to_float(reached.ended.saturating_sub(*ended)) / time)
        });
        show(reached, rate)
    }
}

fn show(reached: Reached, rate: Option<f64>) -> String {
    let Reached { ended, total, bad, in_progress } = reached;
    let mut words = Vec::new();
    match total.filter(|total| *total > 0) {
        Some(total) => {
            let total = total.max(ended);
            let full = usize::try_from(ended * CELLS / total).unwrap_or_default();
            let empty = usize::try_from(CELLS).unwrap_or_default() - full;
            words.push(format!("{}{}", "█".repeat(full), "░".repeat(empty)));
            words.push(format!("{ended}/{total} {}%", ended * 100 / total));
        }
        None => words.push(format!("{ended} done")),
    }
    if let Some(rate) = rate {
        words.push(if rate < 10.0 { format!("{rate:.1}/s") } else { format!("{rate:.0}/s") });
    }
    if bad > 0 {
        words.push(format!("{bad} not ok"));
    }
    words.push(format!("{in_progress} in progress"));
    if let (Some(total), Some(rate)) = (total, rate.filter(|rate| *rate > 0.0))
        && let Ok(left) = Duration::try_from_secs_f64(to_float(total.saturating_sub(ended)) / rate)
    {
        words.push(format!("{} left", format_duration(Duration::from_secs(left.as_secs().max(1)))));
    }
    words.join("  ")
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn a_line_shows_how_far_it_is_and_how_long_it_takes() {
        for (ended, total, bad, in_progress, rate, line) in [
            (0, Some(2000), 0, 8, None, "░░░░░░░░░░  0/2000 0%  8 in progress"),
            (
                500,
                Some(2000),
                3,
                8,
                Some(118.4),
                "██░░░░░░░░  500/2000 25%  118/s  3 not ok  8 in progress  12s left",
            ),
            (2000, Some(2000), 0, 0, Some(2.0), "██████████  2000/2000 100%  2.0/s  0 in progress  1s left"),
            (7, None, 0, 1, Some(0.0), "7 done  0.0/s  1 in progress"),
            (7, Some(5), 0, 1, None, "██████████  7/7 100%  1 in progress"),
            (0, Some(0), 0, 0, None, "0 done  0 in progress"),
        ] {
            let shown = show(Reached { ended, total, bad, in_progress }, rate);
            assert_eq!(shown, line);
        }
        let widest = Reached { ended: 999_999, total: Some(1_000_000), bad: 9_999, in_progress: 64 };
        assert!(show(widest, Some(0.1)).width() < 80);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_that_of_the_last_seconds() {
        let mut progress = Progress::default();
        let at = |ended| Reached { ended, total: None, bad: 0, in_progress: 0 };
        // A thousand were there from an earlier run, then two a second are sent.
        assert_eq!(progress.line(Instant::now(), at(0)), "0 done  0 in progress");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(progress.line(Instant::now(), at(1000)).contains("1000/s"));
        for second in 1..=12 {
            tokio::time::advance(Duration::from_secs(1)).await;
            progress.line(Instant::now(), at(1000 + 2 * second));
        }
        assert!(progress.line(Instant::now(), at(1024)).contains("2.0/s"));
    }
}
