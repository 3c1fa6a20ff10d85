//! Attempts per agent that may need an operator, so that they are found without scanning a million rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::id::{AgentKey, AttemptKey};

/// Attempts that are live, need an operator or are doubtful, by agent. A clone shares every set.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Attention(BTreeMap<AgentKey, Arc<BTreeSet<AttemptKey>>>);

impl Attention {
    /// Notes whether an attempt belongs here.
    pub fn put(&mut self, agent: AgentKey, key: AttemptKey, belongs: bool) {
        if self.0.get(&agent).is_some_and(|keys| keys.contains(&key)) == belongs {
            return;
        }
        let keys = Arc::make_mut(self.0.entry(agent).or_default());
        if belongs {
            keys.insert(key);
        } else {
            keys.remove(&key);
            if keys.is_empty() {
                self.0.remove(&agent);
            }
        }
    }

    /// Those of an agent, in the order of their keys.
    pub fn of(&self, agent: AgentKey) -> impl DoubleEndedIterator<Item = AttemptKey> {
        self.0.get(&agent).into_iter().flat_map(|keys| keys.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_does_not_see_later_changes() {
        let (one, two) = (AgentKey(1), AgentKey(2));
        let mut all = Attention::default();
        all.put(one, AttemptKey(7), true);
        all.put(one, AttemptKey(3), true);
        all.put(two, AttemptKey(5), false);
        let before = all.clone();
        all.put(one, AttemptKey(7), false);
        all.put(one, AttemptKey(3), false);
        assert_eq!(before.of(one).collect::<Vec<_>>(), [AttemptKey(3), AttemptKey(7)]);
        assert_eq!(before.of(two).count(), 0);
        assert_eq!(all, Attention::default());
    }
}
