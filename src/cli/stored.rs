//! What the journal knows while no engine runs.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;

use super::output::{Failure, Printer};
use crate::domain::fact::{JournalEntry, Owner};
use crate::domain::metrics::{Block, Minute, MinuteRange};
use crate::domain::state::State;
use crate::domain::state::snapshot::Snapshot;
use crate::domain::time::At;
use crate::protocol::timestamp;
use crate::store::{Reader, StoreError};

/// Reads the stored state without an engine, as of its last commit.
///
/// # Errors
/// The journal cannot be read.
pub fn stored(dir: &Path) -> Result<Option<Snapshot>, Failure> {
    let reader = Reader::open(dir).map_err(|error| store_failure(&error))?;
    let Some(reader) = reader else { return Ok(None) };
    let loaded = reader.load().map_err(|error| store_failure(&error))?;
    let mut snapshot = Snapshot::starting(loaded.alive.unwrap_or(At::ZERO));
    let state = State::restore(loaded.rows, RandomState::new().hash_one(dir.as_os_str()));
    let at = snapshot.at;
    snapshot.publish(&state, at, Vec::new());
    Ok(Some(snapshot))
}

/// Facts of an owner as the journal holds them, without an engine.
///
/// # Errors
/// The journal cannot be read.
pub fn stored_facts(dir: &Path, owner: Owner, limit: usize) -> Result<Vec<JournalEntry>, Failure> {
    let reader = Reader::open(dir).map_err(|error| store_failure(&error))?;
    let facts = reader.map(|reader| reader.facts(owner, limit)).transpose();
    Ok(facts.map_err(|error| store_failure(&error))?.unwrap_or_default())
}

/// Reads stored metrics without an engine.
///
/// # Errors
/// The journal cannot be read.
pub fn stored_metrics(dir: &Path, range: MinuteRange) -> Result<Vec<(Minute, Arc<Block>)>, Failure> {
    let reader = Reader::open(dir).map_err(|error| store_failure(&error))?;
    let blocks = reader.map(|reader| reader.metrics(range)).transpose();
    let blocks = blocks.map_err(|error| store_failure(&error))?.unwrap_or_default();
    Ok(blocks.into_iter().map(|(minute, block)| (minute, Arc::new(block))).collect())
}

/// Prints that nothing is watched now.
pub(super) fn as_of(at: At, out: &mut Printer) {
    if at == At::ZERO {
        out.warn("nothing is known yet: no engine runs, and none has run");
    } else {
        out.warn(format!("as of {}: no engine runs now", timestamp::format_at(at)));
    }
}

/// A trouble with the data folder.
pub fn store_failure(error: &StoreError) -> Failure {
    Failure::new(1, "QUARTERDECK_ERR_STORE", error.to_string())
}
