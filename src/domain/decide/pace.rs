//! How often something is done in a second, so that watching an agent stays a small part of its load.

use std::time::Duration;

use crate::domain::time::At;

/// Counts within seconds, each of which begins with the first count after the one before.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct Pace {
    since: At,
    count: u32,
}

impl Pace {
    /// Counts one more, unless there were `most` in this second.
    pub fn allows(&mut self, at: At, most: u32) -> bool {
        if at.since(self.since) >= Duration::from_secs(1) {
            *self = Self { since: at, count: 0 };
        }
        let allowed = self.count < most;
        self.count += u32::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many() {
        let mut pace = Pace::default();
        let begin = At::ZERO + Duration::from_secs(100);
        for (millis, allowed) in [
            (0, true),
            (10, true),
            (20, false),
            (999, false),
            (1000, true),
            (1001, true),
            (1500, false),
            (9000, true),
        ] {
            assert_eq!(pace.allows(begin + Duration::from_millis(millis), 2), allowed, "after {millis} ms");
        }
    }
}
