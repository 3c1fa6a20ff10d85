//! An index of rows by name: it holds only keys, because the rows have the names.

use std::hash::{DefaultHasher, Hash, Hasher};

use hashbrown::HashTable;

/// Keys under the hashes of their rows' names. Nothing depends on their order, as nothing can go through them.
#[derive(Clone, Debug)]
pub(in crate::domain) struct Index<K> {
    /// Agents choose names too: without it, one could choose many with one hash.
    salt: u64,
    keys: HashTable<K>,
}

impl<K> Default for Index<K> {
    fn default() -> Self {
        Self::new(0)
    }
}

impl<K> Index<K> {
    /// An empty index.
    pub fn new(salt: u64) -> Self {
        Self { salt, keys: HashTable::new() }
    }
}

fn hash(salt: u64, name: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    salt.hash(&mut hasher);
    name.hash(&mut hasher);
    hasher.finish()
}

impl<K: Copy + PartialEq> Index<K> {
    /// The key whose row has the name.
    pub fn find<N: Hash + PartialEq>(&self, name: N, name_of: impl Fn(K) -> Option<N>) -> Option<K> {
        let is_it = |key: &K| name_of(*key).as_ref() == Some(&name);
        self.keys.find(hash(self.salt, &name), is_it).copied()
    }

    /// Puts a key in, in the place of another one whose row has the same name.
    pub fn put<N: Hash + PartialEq>(&mut self, name: N, key: K, name_of: impl Fn(K) -> Option<N>) {
        let own = hash(self.salt, &name);
        let is_it = |key: &K| name_of(*key).as_ref() == Some(&name);
        match self.keys.find_mut(own, is_it) {
            Some(known) => *known = key,
            None => {
                let hash_of = |key: &K| name_of(*key).map_or(0, |name| hash(self.salt, name));
                self.keys.insert_unique(own, key, hash_of);
            }
        }
    }

    /// Removes a key, if present.
    pub fn take(&mut self, name: impl Hash, key: K) {
        if let Ok(entry) = self.keys.find_entry(hash(self.salt, name), |known| *known == key) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Like a map: the last key of a name wins, and removing a replaced key removes no other.
    #[test]
    fn an_index_agrees_with_a_map() {
        let mut rows: Vec<String> = Vec::new();
        let mut index = Index::new(7);
        for number in 0..1000_usize {
            rows.push(format!("n{}", number % 700));
            index.put(&rows[number], number, |key| rows.get(key));
        }
        let found = |index: &Index<usize>| {
            ["n0", "n299", "n300", "n699", "n700"]
                .map(|name| index.find(&name.to_owned(), |key| rows.get(key)))
        };
        assert_eq!(found(&index), [Some(700), Some(999), Some(300), Some(699), None]);
        index.take("n0", 0);
        index.take("n299", 999);
        assert_eq!(found(&index), [Some(700), None, Some(300), Some(699), None]);
        assert_ne!(hash(1, "n0"), hash(2, "n0"));
    }
}
