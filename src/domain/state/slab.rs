//! Rows under dense ids, in a shallow tree of chunks that are shared until they change.
//!
//! Publishing a million rows copies a hundred and twenty pointers: a clone shares every limb, and the first write
//! below a shared limb copies that limb's pointers, those of one branch, and one chunk.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;

/// A dense id that indexes one kind of row.
pub trait Key: Copy {
    /// A place is used again only once more than this many are free, the one that was freed first. What still names a
    /// row that is gone (an open page, a late answer) then finds nothing rather than another row.
    const SPARE: usize = 0;
    /// The key of this place.
    fn from_index(index: u32) -> Self;
    /// The place of this key.
    fn index(self) -> u32;
}

/// Rows in one chunk: small enough to copy in a microsecond, large enough to keep the spine short.
const CHUNK: usize = 8;

/// Chunks of one branch.
const BRANCH: usize = 32;

/// Branches of one limb.
const LIMB: usize = 32;

type Chunk<T> = Vec<Option<T>>;
type Branch<T> = Vec<Arc<Chunk<T>>>;
type Limb<T> = Vec<Arc<Branch<T>>>;

/// A growable table of rows; freed places are used again.
#[derive(Debug)]
pub struct Slab<K, T> {
    limbs: Vec<Arc<Limb<T>>>,
    /// Places of rows that were removed, oldest first.
    free: Arc<VecDeque<u32>>,
    len: usize,
    key: PhantomData<fn() -> K>,
}

impl<K, T> Clone for Slab<K, T> {
    fn clone(&self) -> Self {
        Self { limbs: self.limbs.clone(), free: self.free.clone(), len: self.len, key: PhantomData }
    }
}

impl<K, T> Default for Slab<K, T> {
    fn default() -> Self {
        Self { limbs: Vec::new(), free: Arc::default(), len: 0, key: PhantomData }
    }
}

impl<K: Key, T: Clone> Slab<K, T> {
    /// How many chunks there are.
    fn chunks(&self) -> usize {
        let Some(limb) = self.limbs.last() else { return 0 };
        let branches = (self.limbs.len() - 1) * LIMB + limb.len();
        (branches - 1) * BRANCH + limb.last().map_or(0, |branch| branch.len())
    }

    fn chunk(&self, number: usize) -> Option<&Chunk<T>> {
        let branch = number / BRANCH;
        let branch = self.limbs.get(branch / LIMB)?.get(branch % LIMB)?;
        branch.get(number % BRANCH).map(|chunk| &**chunk)
    }

    /// A chunk for changing; copied, with its parents, if a snapshot still holds them.
    fn chunk_mut(&mut self, number: usize) -> Option<&mut Chunk<T>> {
        let branch = number / BRANCH;
        let limb = Arc::make_mut(self.limbs.get_mut(branch / LIMB)?);
        let branch = Arc::make_mut(limb.get_mut(branch % LIMB)?);
        branch.get_mut(number % BRANCH).map(Arc::make_mut)
    }

    fn push_chunk(&mut self, chunk: Chunk<T>) {
        let chunks = self.chunks();
        if chunks.is_multiple_of(BRANCH * LIMB) {
            self.limbs.push(Arc::new(Vec::with_capacity(LIMB)));
        }
        let Some(limb) = self.limbs.last_mut().map(Arc::make_mut) else { return };
        if chunks.is_multiple_of(BRANCH) {
            limb.push(Arc::new(Vec::with_capacity(BRANCH)));
        }
        let Some(branch) = limb.last_mut().map(Arc::make_mut) else { return };
        branch.push(Arc::new(chunk));
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One more than the highest place ever used.
    pub fn end(&self) -> u32 {
        let chunks = self.chunks();
        let last = chunks.checked_sub(1).and_then(|last| self.chunk(last));
        last.map_or(0, |last| u32::try_from((chunks - 1) * CHUNK + last.len()).unwrap_or(u32::MAX))
    }

    /// The row at `key`, if there is one.
    pub fn get(&self, key: K) -> Option<&T> {
        let index = key.index() as usize;
        self.chunk(index / CHUNK)?.get(index % CHUNK)?.as_ref()
    }

    /// The row at `key`, for changing; copies the chunk if a snapshot still holds it.
    pub fn get_mut(&mut self, key: K) -> Option<&mut T> {
        let index = key.index() as usize;
        self.get(key)?;
        self.chunk_mut(index / CHUNK)?.get_mut(index % CHUNK)?.as_mut()
    }

    /// Adds a row at the place that has been free for the longest time, or at a new one: see [`Key::SPARE`].
    pub fn insert(&mut self, row: T) -> K {
        self.len += 1;
        if self.free.len() > K::SPARE
            && let Some(index) = Arc::make_mut(&mut self.free).pop_front()
        {
            let at = index as usize;
            if let Some(place) = self.chunk_mut(at / CHUNK).and_then(|chunk| chunk.get_mut(at % CHUNK)) {
                *place = Some(row);
            }
            return K::from_index(index);
        }
        let index = self.end();
        match self.chunks().checked_sub(1).and_then(|last| self.chunk_mut(last)) {
            Some(last) if last.len() < CHUNK => last.push(Some(row)),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(Some(row));
                self.push_chunk(chunk);
            }
        }
        K::from_index(index)
    }

    /// Removes a row; its place may be used again.
    pub fn remove(&mut self, key: K) -> Option<T> {
        let index = key.index() as usize;
        let row = self.chunk_mut(index / CHUNK)?.get_mut(index % CHUNK)?.take();
        if row.is_some() {
            self.len -= 1;
            Arc::make_mut(&mut self.free).push_back(key.index());
        }
        row
    }

    /// Sets or removes a row at a given key, to mirror another slab. Such a slab must not assign keys itself.
    pub fn set(&mut self, key: K, row: Option<T>) {
        let index = key.index() as usize;
        while self.chunks() <= index / CHUNK {
            // A mirror of few rows has many chunks of none.
            self.push_chunk(Vec::new());
        }
        let Some(chunk) = self.chunk_mut(index / CHUNK) else { return };
        chunk.reserve_exact(CHUNK - chunk.len());
        while chunk.len() <= index % CHUNK {
            chunk.push(None);
        }
        let Some(place) = chunk.get_mut(index % CHUNK) else { return };
        let (now, before) = (usize::from(row.is_some()), usize::from(place.is_some()));
        *place = row;
        if chunk.iter().all(Option::is_none) {
            *chunk = Vec::new();
        }
        self.len = self.len + now - before;
    }

    /// The places of rows that were removed.
    pub fn vacant(&self) -> impl Iterator<Item = K> {
        self.free.iter().map(|index| K::from_index(*index))
    }

    /// Every row with its key, in order of place.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &T)> {
        self.limbs.iter().enumerate().flat_map(|(limb, branches)| {
            branches.iter().enumerate().flat_map(move |(branch, chunks)| {
                chunks.iter().enumerate().flat_map(move |(chunk, rows)| {
                    rows.iter().enumerate().filter_map(move |(row, value)| {
                        let index = ((limb * LIMB + branch) * BRANCH + chunk) * CHUNK + row;
                        Some((K::from_index(u32::try_from(index).ok()?), value.as_ref()?))
                    })
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{AgentKey, JobKey};

    #[test]
    fn a_clone_does_not_see_later_changes() {
        let mut slab: Slab<JobKey, u32> = Slab::default();
        let keys: Vec<_> = (0..200).map(|n| slab.insert(n)).collect();
        let before = slab.clone();
        *slab.get_mut(keys[130]).unwrap() = 7;
        slab.remove(keys[3]);
        assert_eq!((before.get(keys[130]), before.get(keys[3])), (Some(&130), Some(&3)));
        assert_eq!((slab.get(keys[130]), slab.get(keys[3])), (Some(&7), None));
        assert_eq!(slab.insert(9), keys[3]);
        assert_eq!((slab.len(), slab.iter().count(), slab.end()), (200, 200, 200));
    }

    #[test]
    fn a_slab_grows_and_its_mirror_follows() {
        let many = u32::try_from(CHUNK * BRANCH * (LIMB + 1) + 5).unwrap();
        let mut slab: Slab<AgentKey, u32> = Slab::default();
        let mut mirror: Slab<AgentKey, u32> = Slab::default();
        for n in 0..many {
            assert_eq!(slab.insert(n), AgentKey(n));
        }
        for n in (0..many).rev() {
            mirror.set(AgentKey(n), Some(n));
        }
        assert!(slab.iter().eq(mirror.iter()));
        assert_eq!(
            (slab.len(), mirror.len(), slab.end(), mirror.end()),
            (many as usize, many as usize, many, many)
        );
        mirror.set(AgentKey(9), None);
        mirror.set(AgentKey(9), None);
        assert_eq!(
            (mirror.len(), slab.iter().next_back()),
            (many as usize - 1, Some((AgentKey(many - 1), &(many - 1))))
        );
    }
}
