//! The audit in the journal: a chain of hashes for each owner, and the seals that hold the chains together.
//!
//! A row's hash covers the row and the hash of the row before it in the chain of its owner, so that a row cannot be
//! changed or removed without changing all that follow. The last rows of a chain could still be cut off; so the fleet's
//! chain takes the heads of the chains that grew, in a *seal*, at least each minute. What is left is the end of the
//! fleet's own chain, whose head has to be kept elsewhere.
//!
//! Retention removes the oldest rows of all chains together, and leaves in the fleet's chain up to when, and an *anchor*
//! for each chain that goes on: the number and the hash of its last removed row.

mod read;
pub mod verify;
mod write;

pub(in crate::store) use write::{AuditWriter, size};

use sha2::{Digest, Sha256};

use crate::domain::audit::{Hash, owner_of_words, owner_words};
use crate::domain::fact::Owner;
use crate::protocol::json::{Object, Writer};
use crate::store::record::{Record, member};

/// A row of the audit as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRow {
    /// Its number in the order in which all rows were written.
    pub number: u64,
    /// Whose chain it belongs to.
    pub owner: Owner,
    /// Its number in that chain, from 1.
    pub seq: u64,
    /// When it happened, in microseconds since 1970.
    pub at: i64,
    /// The version of its body.
    pub version: i64,
    /// What it says.
    pub body: String,
    /// The hash that ends the chain up to it.
    pub hash: Hash,
}

impl AuditRow {
    /// The hash that it must have behind a row of the given hash; the first row of a chain is behind [`Hash::default`].
    pub fn hash_after(&self, before: &Hash) -> Hash {
        hash_of(before, self.owner, self.seq, self.at, self.version, &self.body)
    }
}

/// SHA-256 of the hash before, the owner, the number, the time and the version, each with a line break, and the body.
fn hash_of(before: &Hash, owner: Owner, seq: u64, at: i64, version: i64, body: &str) -> Hash {
    let mut hash = Sha256::new();
    hash.update(format!("{before}\n{}\n{seq}\n{at}\n{version}\n", owner_words(owner)));
    hash.update(body);
    Hash(hash.finalize().into())
}

/// A line of an export.
impl Record for AuditRow {
    fn put(&self) -> String {
        let writer = Writer::new().raw("number", &self.number.put()).text("owner", &owner_words(self.owner));
        let writer = writer.raw("seq", &self.seq.put()).raw("at", &self.at.put());
        let writer = writer.raw("version", &self.version.put()).raw("hash", &self.hash.put());
        writer.text("body", &self.body).end()
    }

    fn get(raw: &str) -> Option<Self> {
        let object = Object::parse(raw).ok()?;
        Some(Self {
            number: member(&object, "number")?,
            owner: owner_of_words(&object.text("owner")?)?,
            seq: member(&object, "seq")?,
            at: member(&object, "at")?,
            version: member(&object, "version")?,
            hash: member(&object, "hash")?,
            body: object.text("body")?.into_owned(),
        })
    }
}
