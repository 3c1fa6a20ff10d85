//! Durations in buckets that can be added up: of minutes, of skills, of agents.

use std::time::Duration;

/// Buckets an octave. A quantile is off by at most half a bucket: 3.2 %.
const PARTS: u64 = 16;
const PART_BITS: u32 = PARTS.trailing_zeros();

/// A histogram of durations, with buckets of microseconds that grow by a sixteenth of an octave. Histograms can be
/// merged without loss.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Histogram {
    /// Buckets that hold something, in order.
    buckets: Vec<(u16, u32)>,
    /// The sum in microseconds.
    sum: u64,
}

impl Histogram {
    /// A histogram from its buckets, in order, and the sum in microseconds; for codecs.
    pub fn from_parts(buckets: Vec<(u16, u32)>, sum: u64) -> Self {
        Self { buckets, sum }
    }

    /// The buckets that hold something, in order.
    pub fn buckets(&self) -> &[(u16, u32)] {
        &self.buckets
    }

    /// All of it, added up.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum)
    }

    /// True if nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// How many were seen.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Adds a duration.
    pub fn add(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.sum = self.sum.saturating_add(micros);
        self.add_to(bucket_of(micros), 1);
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Self) {
        self.sum = self.sum.saturating_add(other.sum);
        for (bucket, count) in &other.buckets {
            self.add_to(*bucket, *count);
        }
    }

    fn add_to(&mut self, bucket: u16, by: u32) {
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(by),
            Err(at) => self.buckets.insert(at, (bucket, by)),
        }
    }

    /// How many took longer; those in the bucket of the limit itself did not.
    pub fn over(&self, limit: Duration) -> u64 {
        let limit = bucket_of(u64::try_from(limit.as_micros()).unwrap_or(u64::MAX));
        self.buckets.iter().filter(|(bucket, _)| *bucket > limit).map(|(_, count)| u64::from(*count)).sum()
    }

    /// The duration that `percent` of all do not exceed, to 3.2 %; `None` of nothing.
    pub fn percentile(&self, percent: u8) -> Option<Duration> {
        let rank = (self.count() * u64::from(percent)).div_ceil(100).max(1);
        let mut below = 0;
        self.buckets.iter().find_map(|(bucket, count)| {
            below += u64::from(*count);
            (below >= rank).then(|| middle_of(*bucket))
        })
    }
}

fn bucket_of(micros: u64) -> u16 {
    if micros < PARTS {
        return u16::try_from(micros).unwrap_or(0);
    }
    let octave = micros.ilog2();
    let part = (micros >> (octave - PART_BITS)) & (PARTS - 1);
    let bucket = u64::from(octave - PART_BITS + 1) * PARTS + part;
    u16::try_from(bucket).unwrap_or(u16::MAX)
}

fn middle_of(bucket: u16) -> Duration {
    let (octave, part) = (u64::from(bucket) / PARTS, u64::from(bucket) % PARTS);
    if octave == 0 {
        return Duration::from_micros(part);
    }
    let shift = u32::try_from(octave - 1).unwrap_or(0).min(63 - PART_BITS - 1);
    let low = (PARTS + part) << shift;
    Duration::from_micros(low + (1 << shift) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(all: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for micros in all {
            histogram.add(Duration::from_micros(*micros));
        }
        histogram
    }

    proptest! {
        #[test]
        fn a_quantile_is_close_to_the_exact_value(mut all in prop::collection::vec(0u64..1 << 45, 1..200), percent in 1u8..=100) {
            let estimate = of(&all).percentile(percent).unwrap().as_micros();
            all.sort_unstable();
            let rank = (all.len() * usize::from(percent)).div_ceil(100).max(1);
            let exact = u128::from(all[rank - 1]);
            prop_assert!(estimate.abs_diff(exact) * 1000 <= exact * 32 + 1000, "{estimate} for {exact}");
        }

        #[test]
        fn a_merged_histogram_equals_one_of_all_values(a in prop::collection::vec(0u64..1 << 45, 0..50), b in prop::collection::vec(0u64..1 << 45, 0..50)) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::default().percentile(95), None);
        assert_eq!(of(&[u64::MAX]).count(), 1, "the longest there is");
        assert!(of(&[u64::MAX]).percentile(50).unwrap() > Duration::from_secs(1));
    }
}
