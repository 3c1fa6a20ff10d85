//! Shares of a whole, rounded as people expect.

/// A part of `of` as a number out of `whole`, such as 100 or 1000: rounded to the nearest, but 0 only of nothing and
/// `whole` only of all.
pub fn share(part: u64, of: u64, whole: u32) -> u32 {
    if part == 0 || of == 0 {
        return 0;
    }
    if part >= of {
        return whole;
    }
    let (part, of) = (u128::from(part), u128::from(of));
    let nearest = (part * u128::from(whole) * 2 + of) / (of * 2);
    u32::try_from(nearest).unwrap_or(whole).clamp(1, whole.saturating_sub(1).max(1))
}

/// The parts in percent, which add up to 100: those with the largest remainders are rounded up. All are 0 if the parts
/// are.
pub fn percentages(parts: &[u128]) -> Vec<u32> {
    let all: u128 = parts.iter().sum();
    if all == 0 {
        return vec![0; parts.len()];
    }
    let mut percent: Vec<u32> =
        parts.iter().map(|part| u32::try_from(part * 100 / all).unwrap_or(100)).collect();
    let missing = 100u32.saturating_sub(percent.iter().sum());
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(parts[*at] * 100 % all));
    for at in order.into_iter().take(missing as usize) {
        percent[at] += 1;
    }
    percent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_and_add_up() {
        for (part, of, whole, expected) in [
            (1, 3, 100, 33),
            (2, 3, 100, 67),
            (2, 3, 1000, 667),
            (1, 1000, 100, 1),
            (999, 1000, 100, 99),
            (0, 5, 100, 0),
            (5, 5, 100, 100),
            (0, 0, 100, 0),
            (u64::MAX / 2, u64::MAX, 1000, 500),
        ] {
            assert_eq!(share(part, of, whole), expected, "{part} of {of}");
        }
        for (parts, expected) in [
            (&[636, 364][..], &[64, 36][..]),
            (&[1, 1, 1], &[34, 33, 33]),
            (&[0, 0], &[0, 0]),
            (&[5], &[100]),
            (&[], &[]),
        ] {
            assert_eq!(percentages(parts), expected, "{parts:?}");
        }
    }
}
