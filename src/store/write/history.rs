//! The facts of agents and of the fleet are kept up to a limit: an agent that changes its card with each probe, or is up
//! and down all day, would fill the disk. Acts of operators stay, and facts of a job are removed with the job.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};

use super::facts::{bodies, owner_key};
use crate::domain::fact::Owner;
use crate::domain::limits;
use crate::protocol::json::Object;

/// An owner's facts are counted again after so many bytes or rows, so that not every commit counts them.
const BYTES: u64 = limits::HISTORY / 4;
const ROWS: u32 = limits::HISTORY_ROWS / 16;

/// What was written since the facts of an owner were last counted.
#[derive(Debug, Default)]
pub(super) struct Histories(BTreeMap<Owner, (u64, u32)>);

impl Histories {
    /// Records a row of an owner.
    pub fn add(&mut self, owner: Owner, bytes: usize) {
        if !matches!(owner, Owner::Job(_)) {
            let written = self.0.entry(owner).or_default();
            written.0 += bytes as u64;
            written.1 += 1;
        }
    }

    /// Removes the oldest facts of those who have too many. The newest row always stays.
    pub fn trim(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let due = self.0.extract_if(.., |_, (bytes, rows)| *bytes >= BYTES || *rows >= ROWS);
        for owner in due.map(|(owner, _)| owner).collect::<Vec<_>>() {
            let times = if owner == Owner::Fleet { limits::FLEET_HISTORY } else { 1 };
            trim(
                transaction,
                &owner_key(owner),
                u64::from(times) * limits::HISTORY,
                times * limits::HISTORY_ROWS,
            )?;
        }
        Ok(())
    }
}

fn trim(transaction: &Transaction<'_>, owner: &[u8], most: u64, most_rows: u32) -> rusqlite::Result<()> {
    let mut newest_first = transaction
        .prepare_cached("SELECT seq, octet_length(body) FROM fact WHERE owner = ?1 ORDER BY seq DESC")?;
    let mut rows = newest_first.query([owner])?;
    let (mut bytes, mut count) = (0, 0);
    let newest_beyond = loop {
        let Some(row) = rows.next()? else { return Ok(()) };
        bytes += u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        count += 1;
        if count > 1 && (bytes > most || count > most_rows) {
            break row.get::<_, i64>(0)?;
        }
    };
    drop(rows);
    let mut beyond =
        transaction.prepare_cached("SELECT seq, body FROM fact WHERE owner = ?1 AND seq <= ?2")?;
    let rows = beyond.query_map(params![owner, newest_beyond], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut gone: Vec<i64> = Vec::new();
    for row in rows {
        let (seq, body): (i64, String) = row?;
        if !has_act(&body) {
            gone.push(seq);
        }
    }
    let mut delete = transaction.prepare_cached("DELETE FROM fact WHERE owner = ?1 AND seq = ?2")?;
    for seq in gone {
        delete.execute(params![owner, seq])?;
    }
    Ok(())
}

/// True if a row holds a fact with an actor.
fn has_act(row: &str) -> bool {
    bodies(row).into_iter().any(|(_, body)| Object::parse(body).is_ok_and(|fact| fact.has("by")))
}
