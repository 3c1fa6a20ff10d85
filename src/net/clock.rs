//! The engine's clock: wall time at start plus boot time since, never backwards.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::domain::time::At;

/// One clock for the whole process. It includes the time that the machine sleeps.
#[derive(Debug)]
pub struct Clock {
    /// Wall time minus boot time, in microseconds, when the clock was made.
    offset: i64,
    last: AtomicI64,
}

impl Clock {
    /// A clock that starts at the system's wall time.
    pub fn start() -> Self {
        let wall = micros(ClockId::Realtime);
        Self { offset: wall - boot_micros(), last: AtomicI64::new(wall) }
    }

    /// A clock that starts no earlier than `after`, so that a wall clock that was set back does not
    /// order new facts before old ones.
    pub fn start_after(after: At) -> Self {
        let clock = Self::start();
        let behind = after.micros() - clock.now().micros();
        if behind <= 0 { clock } else { Self { offset: clock.offset + behind + 1, last: clock.last } }
    }

    /// The current time.
    pub fn now(&self) -> At {
        let now = boot_micros() + self.offset;
        let last = self.last.fetch_max(now, Ordering::Relaxed);
        At::from_micros(now.max(last))
    }

    /// The time until `at`; zero if it has passed.
    pub fn until(&self, at: At) -> Duration {
        at.since(self.now())
    }
}

fn micros(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000 + time.tv_nsec / 1000
}

#[cfg(target_os = "linux")]
fn boot_micros() -> i64 {
    micros(ClockId::Boottime)
}

/// Elsewhere the monotonic clock counts sleep as well (macOS), or there is nothing better.
#[cfg(not(target_os = "linux"))]
fn boot_micros() -> i64 {
    micros(ClockId::Monotonic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_runs_backwards() {
        let clock = Clock::start();
        let later = clock.now() + Duration::from_secs(3600);
        let after = Clock::start_after(later);
        assert!(after.now() > later);
        let mut last = clock.now();
        for _ in 0..1000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }
}
