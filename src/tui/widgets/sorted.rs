//! Rows in order, kept up from changes: a change costs the same whether there are a hundred or a million.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::ops::Bound;

use hashbrown::HashMap;

/// A sort key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SortKey {
    /// By a number.
    Number(i64),
    /// By text.
    Text(Box<str>),
    /// By a number, then by another.
    Pair(i64, i64),
    /// By the group, its identity, whether the row is the group's head or a member, and then by the row's own key.
    Under(Box<(SortKey, i64, bool, SortKey)>),
}

/// Keys in the order of their rows.
#[derive(Clone, Debug)]
pub struct Sorted<K> {
    set: BTreeSet<(SortKey, K)>,
    of: HashMap<K, SortKey>,
    descending: bool,
}

impl<K> Default for Sorted<K> {
    fn default() -> Self {
        Self { set: BTreeSet::new(), of: HashMap::new(), descending: false }
    }
}

impl<K: Copy + Ord + Hash> Sorted<K> {
    /// Rows in an order, all at once.
    pub fn build(rows: impl Iterator<Item = (SortKey, K)>, descending: bool) -> Self {
        let mut pairs: Vec<_> = rows.collect();
        pairs.sort_unstable();
        let of = pairs.iter().map(|(sort, key)| (*key, sort.clone())).collect();
        Self { set: pairs.into_iter().collect(), of, descending }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// True if the row is there.
    pub fn contains(&self, key: K) -> bool {
        self.of.contains_key(&key)
    }

    /// Puts a row where it belongs, or takes it away.
    pub fn put(&mut self, key: K, sort: Option<SortKey>) {
        match (self.of.get(&key), sort) {
            (Some(old), Some(new)) if *old == new => {}
            (_, sort) => {
                if let Some(old) = self.of.remove(&key) {
                    self.set.remove(&(old, key));
                }
                if let Some(sort) = sort {
                    self.of.insert(key, sort.clone());
                    self.set.insert((sort, key));
                }
            }
        }
    }

    /// The rows from the top.
    #[expect(clippy::iter_without_into_iter, reason = "nobody loops over all rows")]
    pub fn iter(&self) -> Box<dyn Iterator<Item = K> + '_> {
        if self.descending {
            Box::new(self.set.iter().rev().map(|(_, key)| *key))
        } else {
            Box::new(self.set.iter().map(|(_, key)| *key))
        }
    }

    /// The rows from the bottom.
    pub fn iter_back(&self) -> Box<dyn Iterator<Item = K> + '_> {
        if self.descending {
            Box::new(self.set.iter().map(|(_, key)| *key))
        } else {
            Box::new(self.set.iter().rev().map(|(_, key)| *key))
        }
    }

    /// The rows below one, nearest first.
    pub fn below(&self, key: K) -> Box<dyn Iterator<Item = K> + '_> {
        let Some(sort) = self.of.get(&key) else { return Box::new(std::iter::empty()) };
        let at = (sort.clone(), key);
        if self.descending {
            Box::new(self.set.range((Bound::Unbounded, Bound::Excluded(at))).rev().map(|(_, key)| *key))
        } else {
            Box::new(self.set.range((Bound::Excluded(at), Bound::Unbounded)).map(|(_, key)| *key))
        }
    }

    /// The rows above one, nearest first.
    pub fn above(&self, key: K) -> Box<dyn Iterator<Item = K> + '_> {
        let Some(sort) = self.of.get(&key) else { return Box::new(std::iter::empty()) };
        let at = (sort.clone(), key);
        if self.descending {
            Box::new(self.set.range((Bound::Excluded(at), Bound::Unbounded)).map(|(_, key)| *key))
        } else {
            Box::new(self.set.range((Bound::Unbounded, Bound::Excluded(at))).rev().map(|(_, key)| *key))
        }
    }

    /// True if a row is above another.
    pub fn is_above(&self, one: K, other: K) -> bool {
        match (self.of.get(&one), self.of.get(&other)) {
            (Some(a), Some(b)) => ((a, one) < (b, other)) != self.descending,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_through_changes() {
        for descending in [false, true] {
            let rows = (0..10u32).map(|n| (SortKey::Number(i64::from(n % 4)), n));
            let mut sorted = Sorted::build(rows, descending);
            sorted.put(3, Some(SortKey::Number(-1)));
            sorted.put(5, None);
            sorted.put(11, Some(SortKey::Number(2)));
            let order: Vec<_> = sorted.iter().collect();
            let mut expected = vec![3u32, 0, 4, 8, 1, 9, 2, 6, 11, 7];
            if descending {
                expected.reverse();
            }
            assert_eq!(order, expected);
            assert_eq!(
                sorted.iter_back().collect::<Vec<_>>(),
                expected.iter().rev().copied().collect::<Vec<_>>()
            );
            let middle = expected[4];
            assert_eq!(sorted.below(middle).collect::<Vec<_>>(), expected[5..]);
            assert_eq!(
                sorted.above(middle).collect::<Vec<_>>(),
                expected[..4].iter().rev().copied().collect::<Vec<_>>()
            );
            assert!(sorted.is_above(expected[0], middle) && !sorted.is_above(middle, expected[0]));
            assert!(!sorted.contains(5) && sorted.len() == 10);
        }
    }
}
