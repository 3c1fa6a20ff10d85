//! Rows under dense ids, in chunks that are shared until they change.
//!
//! Publishing a million rows copies only the chunks that changed: a clone shares every chunk, and
//! the first write to a shared chunk copies that chunk alone.

use std::marker::PhantomData;
use std::sync::Arc;

/// A dense id: an index that knows what it indexes.
pub trait Key: Copy {
    /// The key of this place.
    fn from_index(index: u32) -> Self;
    /// The place of this key.
    fn index(self) -> u32;
}

/// Rows in one chunk: small enough to copy in a microsecond, large enough to keep the spine short.
const CHUNK: usize = 64;

/// A growable table of rows; freed places are used again.
#[derive(Debug)]
pub struct Slab<K, T> {
    chunks: Vec<Arc<Vec<Option<T>>>>,
    free: Vec<u32>,
    len: usize,
    key: PhantomData<fn() -> K>,
}

impl<K, T> Clone for Slab<K, T> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone(), free: self.free.clone(), len: self.len, key: PhantomData }
    }
}

impl<K, T> Default for Slab<K, T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), len: 0, key: PhantomData }
    }
}

impl<K: Key, T: Clone> Slab<K, T> {
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
        self.chunks
            .last()
            .map_or(0, |last| u32::try_from((self.chunks.len() - 1) * CHUNK + last.len()).unwrap_or(u32::MAX))
    }

    /// The row at `key`, if there is one.
    pub fn get(&self, key: K) -> Option<&T> {
        let index = key.index() as usize;
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)?.as_ref()
    }

    /// The row at `key`, for changing; copies the chunk if a snapshot still holds it.
    pub fn get_mut(&mut self, key: K) -> Option<&mut T> {
        let index = key.index() as usize;
        let chunk = self.chunks.get_mut(index / CHUNK)?;
        chunk.get(index % CHUNK)?.as_ref()?;
        Arc::make_mut(chunk).get_mut(index % CHUNK)?.as_mut()
    }

    /// Adds a row at the first free place.
    pub fn insert(&mut self, row: T) -> K {
        self.len += 1;
        if let Some(index) = self.free.pop() {
            let at = index as usize;
            if let Some(place) =
                self.chunks.get_mut(at / CHUNK).and_then(|c| Arc::make_mut(c).get_mut(at % CHUNK))
            {
                *place = Some(row);
            }
            return K::from_index(index);
        }
        let index = self.end();
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => Arc::make_mut(last).push(Some(row)),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(Some(row));
                self.chunks.push(Arc::new(chunk));
            }
        }
        K::from_index(index)
    }

    /// Removes a row; its place may be used again.
    pub fn remove(&mut self, key: K) -> Option<T> {
        let index = key.index() as usize;
        let row = Arc::make_mut(self.chunks.get_mut(index / CHUNK)?).get_mut(index % CHUNK)?.take();
        if row.is_some() {
            self.len -= 1;
            self.free.push(key.index());
        }
        row
    }

    /// Puts a row at a place that somebody else chose, or takes it away: for a mirror of another slab.
    /// A slab that is set does not give out places by itself.
    pub fn set(&mut self, key: K, row: Option<T>) {
        let index = key.index() as usize;
        while self.chunks.len() <= index / CHUNK {
            self.chunks.push(Arc::new(Vec::with_capacity(CHUNK)));
        }
        let chunk = Arc::make_mut(&mut self.chunks[index / CHUNK]);
        while chunk.len() <= index % CHUNK {
            chunk.push(None);
        }
        let place = &mut chunk[index % CHUNK];
        self.len = self.len + usize::from(row.is_some()) - usize::from(place.is_some());
        *place = row;
    }

    /// Every row with its key, in order of place.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &T)> {
        self.chunks.iter().enumerate().flat_map(|(chunk, rows)| {
            rows.iter().enumerate().filter_map(move |(row, value)| {
                let index = u32::try_from(chunk * CHUNK + row).ok()?;
                Some((K::from_index(index), value.as_ref()?))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::AgentKey;

    #[test]
    fn a_clone_keeps_what_it_saw() {
        let mut slab: Slab<AgentKey, u32> = Slab::default();
        let keys: Vec<_> = (0..200).map(|n| slab.insert(n)).collect();
        let before = slab.clone();
        *slab.get_mut(keys[130]).unwrap() = 7;
        slab.remove(keys[3]);
        assert_eq!((before.get(keys[130]), before.get(keys[3])), (Some(&130), Some(&3)));
        assert_eq!((slab.get(keys[130]), slab.get(keys[3])), (Some(&7), None));
        assert_eq!(slab.insert(9), keys[3]);
        assert_eq!((slab.len(), slab.iter().count(), slab.end()), (200, 200, 200));
    }
}
