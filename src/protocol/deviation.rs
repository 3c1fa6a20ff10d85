//! Deviations of an agent from its protocol version that were understood.

use super::words;
use crate::domain::text::Untrusted;

/// The maximum number of deviations recorded per document or stream.
const MOST: usize = 16;
/// The maximum number of quoted characters.
const QUOTED: usize = 40;

/// Deviations that were understood: each once, in words that follow "it wrote".
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Deviations(Vec<Untrusted>);

impl Deviations {
    /// Records a deviation.
    pub fn note(&mut self, what: String) {
        let what = Untrusted::from(what);
        if self.0.len() < MOST && !self.0.contains(&what) {
            self.0.push(what);
        }
    }

    /// A word or a name that should be another.
    pub fn spelt(&mut self, of: &str, seen: &str, meant: &str) {
        let seen = Untrusted::from(seen).shortened(QUOTED);
        self.note(format!("{of} {:?} for {meant:?}", seen.raw()));
    }

    /// A member whose name should be another.
    pub fn name(&mut self, seen: &str) {
        if let Some(meant) = words::misspelt(seen) {
            self.spelt("the member", seen, meant);
        }
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each once, in the order in which they were seen.
    pub fn iter(&self) -> impl Iterator<Item = &Untrusted> {
        self.0.iter()
    }
}
