//! Rows found by what they are called: keys alone, as the rows themselves know their names.

use std::hash::{DefaultHasher, Hash, Hasher};

use hashbrown::HashTable;

/// Keys under the hashes of their rows' names. Nothing depends on their order, as nothing can go through them.
#[derive(Clone, Debug)]
pub(super) struct Index<K>(HashTable<K>);

impl<K> Default for Index<K> {
    fn default() -> Self {
        Self(HashTable::new())
    }
}

impl<K: Copy + PartialEq> Index<K> {
    /// The key under this hash whose row has the name.
    pub fn find(&self, hash: u64, is_it: impl Fn(K) -> bool) -> Option<K> {
        self.0.find(hash, |key| is_it(*key)).copied()
    }

    /// Puts a key in, in the place of another one whose row has the same name.
    pub fn put(&mut self, hash: u64, key: K, is_it: impl Fn(K) -> bool, hash_of: impl Fn(K) -> u64) {
        match self.0.find_mut(hash, |known| is_it(*known)) {
            Some(known) => *known = key,
            None => {
                self.0.insert_unique(hash, key, |key| hash_of(*key));
            }
        }
    }

    /// Takes a key out, if it is there.
    pub fn take(&mut self, hash: u64, key: K) {
        if let Ok(entry) = self.0.find_entry(hash, |known| *known == key) {
            entry.remove();
        }
    }
}

/// The hash of a name. Agents choose names too: without the salt, none can choose many with one hash.
pub(super) fn hash(salt: u64, name: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    salt.hash(&mut hasher);
    name.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a map would: the last key of a name wins, and what was replaced takes nobody else out.
    #[test]
    fn it_finds_what_a_map_finds() {
        let mut rows: Vec<String> = Vec::new();
        let mut index = Index::default();
        for number in 0..1000_usize {
            let name = format!("n{}", number % 700);
            rows.push(name.clone());
            index.put(hash(7, &name), number, |key| rows[key] == name, |key| hash(7, &rows[key]));
        }
        let find = |index: &Index<usize>, name: &str| index.find(hash(7, name), |key| rows[key] == name);
        let found =
            |index: &Index<usize>| ["n0", "n299", "n300", "n699", "n700"].map(|name| find(index, name));
        assert_eq!(found(&index), [Some(700), Some(999), Some(300), Some(699), None]);
        index.take(hash(7, "n0"), 0);
        index.take(hash(7, "n299"), 999);
        assert_eq!(found(&index), [Some(700), None, Some(300), Some(699), None]);
        assert_ne!(hash(1, "n0"), hash(2, "n0"));
    }
}
