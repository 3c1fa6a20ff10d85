//! The rate of sending.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// Gives each sending its moment, at an even distance from the one before.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Option<Duration>,
    next: Cell<Option<Instant>>,
}

impl Pace {
    pub fn new(interval: Option<Duration>) -> Self {
        Self { interval, next: Cell::new(None) }
    }

    /// Waits for the next moment at which a message may be sent. Whoever asks first is served first.
    pub async fn turn(&self) {
        let Some(interval) = self.interval else { return };
        let now = Instant::now();
        let at = self.next.get().map_or(now, |next| next.max(now));
        self.next.set(Some(at + interval));
        tokio::time::sleep_until(at).await;
    }
}

/// The time to wait before a message is sent again: half a second, then twice as long each time, up to half a minute.
pub(super) fn pause(retry: u8) -> Duration {
    let halves = 1_u64.checked_shl(u32::from(retry).saturating_sub(1)).unwrap_or(u64::MAX);
    Duration::from_millis(500)
        .saturating_mul(u32::try_from(halves).unwrap_or(u32::MAX))
        .min(Duration::from_secs(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn messages_have_an_even_distance() {
        for (interval, sent, took) in [(None, 5, 0), (Some(100), 1, 0), (Some(100), 5, 400)] {
            let pace = Pace::new(interval.map(Duration::from_millis));
            let begun = Instant::now();
            for _ in 0..sent {
                pace.turn().await;
            }
            assert_eq!(begun.elapsed().as_millis(), took, "{interval:?} {sent}");
        }
        // Time that was not used is not made up for.
        let pace = Pace::new(Some(Duration::from_millis(100)));
        pace.turn().await;
        tokio::time::advance(Duration::from_secs(1)).await;
        let begun = Instant::now();
        pace.turn().await;
        pace.turn().await;
        assert_eq!(begun.elapsed().as_millis(), 100);
    }

    #[test]
    fn pauses_grow_up_to_half_a_minute() {
        for (retry, millis) in
            [(1, 500), (2, 1000), (3, 2000), (6, 16_000), (7, 30_000), (70, 30_000), (255, 30_000)]
        {
            assert_eq!(pause(retry).as_millis(), millis, "{retry}");
        }
    }
}
