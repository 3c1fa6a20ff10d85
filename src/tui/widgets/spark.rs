//! Sparklines: a number over time as bars in one line.

/// Eight heights, and nothing at all.
const BARS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 9] = ['.', '_', '_', '-', '-', '=', '=', '#', '#'];

/// A bar for each value, relative to the highest or to `least` if that is higher; empty where there is no data.
pub fn bars(values: &[Option<u64>], least: u64, ascii: bool) -> String {
    let most = values.iter().flatten().copied().max().unwrap_or(0).max(least).max(1);
    let marks = if ascii { ASCII } else { BARS };
    values
        .iter()
        .map(|value| match value {
            None => ' ',
            Some(0) => marks[0],
            Some(value) => {
                let height = value.saturating_mul(8).div_ceil(most).clamp(1, 8);
                marks[usize::try_from(height).unwrap_or(8)]
            }
        })
        .collect()
}

/// The last of the values in at most `most` cells: neighbours are added up where there are more.
pub fn fold(values: &[Option<u64>], most: usize) -> Vec<Option<u64>> {
    let each = values.len().div_ceil(most.max(1)).max(1);
    let odd = values.len() % each;
    let (first, rest) = values.split_at(odd);
    let sum = |chunk: &[Option<u64>]| chunk.iter().flatten().copied().reduce(|sum, value| sum + value);
    let first = (odd > 0).then(|| sum(first));
    first.into_iter().chain(rest.chunks(each).map(sum)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_height_of_a_bar_shows_its_value() {
        let values = [None, Some(0), Some(1), Some(50), Some(100)];
        assert_eq!(bars(&values, 0, false), " ·▁▄█");
        assert_eq!(bars(&values, 800, false), " ·▁▁▁", "little of much");
        assert_eq!(bars(&values, 0, true), " ._-#");
        assert_eq!(bars(&[], 0, false), "");
    }

    #[test]
    fn values_that_do_not_fit_are_added_up() {
        let values: Vec<Option<u64>> = vec![Some(1), None, Some(2), Some(3), Some(4)];
        assert_eq!(fold(&values, 10), values);
        assert_eq!(fold(&values, 3), [Some(1), Some(2), Some(7)]);
        assert_eq!(fold(&[None, None], 1), [None]);
    }
}
