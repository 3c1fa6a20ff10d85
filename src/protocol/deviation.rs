//! Where an agent does not keep to its dialect, although it is understood.

use super::words;
use crate::domain::text::Untrusted;

/// So many different deviations of one document or stream are noted.
const MOST: usize = 16;
/// What an agent wrote is quoted up to so many characters.
const QUOTED: usize = 40;

/// What was understood although the agent's dialect writes it differently: each once, in words that go on
/// behind "it wrote".
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Deviations(Vec<Untrusted>);

impl Deviations {
    /// Notes one.
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
