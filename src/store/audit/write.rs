//! Writing the audit: acts, seals, and what retention removes.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::hash_of;
use crate::domain::audit::{AuditRecord, Hash};
use crate::domain::fact::Owner;
use crate::domain::time::At;
use crate::store::read::owner_of;
use crate::store::record::VERSION;
use crate::store::record::audit::{Anchor, AuditBody, Sealed};
use crate::store::write::owner_key;

/// Chains that grew are sealed at the first commit after this time; the engine commits at least every ten seconds.
const SEAL_AFTER: Duration = Duration::from_secs(45);
/// So many chains are sealed at once, and not later.
const HEADS: usize = 1000;
/// Retention removes about so many rows at once.
const PRUNED: i64 = 1000;

/// What the writer knows of the chains.
#[derive(Debug, Default)]
pub(in crate::store) struct AuditWriter {
    /// The heads of the chains that grew since the last seal; `None` until they are read from the journal.
    open: Option<BTreeMap<Owner, Sealed>>,
    /// When the first of them grew.
    since: Option<At>,
}

impl AuditWriter {
    /// Forgets everything after a failed transaction.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes the acts of a batch, and how many were lost before; seals the chains if that is due.
    pub fn write(
        &mut self,
        transaction: &Transaction<'_>,
        acts: &[AuditRecord],
        lost: u64,
        now: At,
    ) -> rusqlite::Result<()> {
        if self.open.is_none() {
            self.open = Some(unsealed(transaction)?);
        }
        for record in acts {
            let body = AuditBody::Act(Box::new(record.clone())).put();
            self.append(transaction, record.owner, record.at, &body)?;
        }
        if lost > 0 {
            let body = AuditBody::Lost { acts: lost }.put();
            self.append(transaction, Owner::Fleet, now, &body)?;
        }
        let open = self.open.as_ref().map_or(0, BTreeMap::len);
        if open > 0 {
            let since = *self.since.get_or_insert(now);
            if open >= HEADS || now.since(since) >= SEAL_AFTER {
                self.seal(transaction, now)?;
            }
        }
        Ok(())
    }

    /// Takes the heads of all chains that grew into the fleet's chain.
    pub fn seal(&mut self, transaction: &Transaction<'_>, now: At) -> rusqlite::Result<()> {
        let heads: Vec<Sealed> = self.open.take().unwrap_or_default().into_values().collect();
        self.since = None;
        self.open = Some(BTreeMap::new());
        if heads.is_empty() {
            return Ok(());
        }
        self.append(transaction, Owner::Fleet, now, &AuditBody::Seal { heads }.put())
    }

    fn append(
        &mut self,
        transaction: &Transaction<'_>,
        owner: Owner,
        at: At,
        body: &str,
    ) -> rusqlite::Result<()> {
        let last = last(transaction, owner)?;
        self.append_after(transaction, last, owner, at, body)
    }

    /// Adds a row behind the last one of its chain, given as its number and hash.
    fn append_after(
        &mut self,
        transaction: &Transaction<'_>,
        last: (i64, Hash),
        owner: Owner,
        at: At,
        body: &str,
    ) -> rusqlite::Result<()> {
        let (key, seq, before) = (owner_key(owner), last.0 + 1, last.1);
        let number = u64::try_from(seq).unwrap_or(0);
        let hash = hash_of(&before, owner, number, at.micros(), VERSION, body);
        transaction
            .prepare_cached(
                "INSERT INTO audit (owner, seq, at, version, body, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![key, seq, at.micros(), VERSION, body, hash.0])?;
        // The fleet's own rows need no seal.
        if owner != Owner::Fleet
            && let Some(open) = &mut self.open
        {
            open.insert(owner, Sealed { owner, seq: number, at, hash });
        }
        Ok(())
    }

    /// Removes rows that are older than the retention, oldest first and a bounded number at once, and leaves anchors.
    pub fn prune(&mut self, transaction: &Transaction<'_>, keep: Duration, now: At) -> rusqlite::Result<()> {
        let cutoff = now - keep;
        let nth = |place: i64| {
            transaction
                .prepare_cached("SELECT at FROM audit ORDER BY id LIMIT 1 OFFSET ?1")?
                .query_row([place], |row| row.get::<_, i64>(0))
                .optional()
        };
        if nth(0)?.is_none_or(|oldest| oldest >= cutoff.micros()) {
            return Ok(());
        }
        let until = nth(PRUNED - 1)?.map_or(cutoff.micros(), |at| cutoff.micros().min(at + 1));
        let first_kept: Option<i64> = transaction
            .prepare_cached("SELECT id FROM audit WHERE at >= ?1 ORDER BY id LIMIT 1")?
            .query_row([until], |row| row.get(0))
            .optional()?;
        let first_kept = first_kept.unwrap_or(i64::MAX);
        // The fleet's chain goes on, even if none of its rows is left.
        let head = last(transaction, Owner::Fleet)?;
        let anchors = anchors(transaction, first_kept)?;
        let rows = transaction.prepare_cached("DELETE FROM audit WHERE id < ?1")?.execute([first_kept])?;
        let body =
            AuditBody::Pruned { until: At::from_micros(until), rows: rows as u64, keep, anchors }.put();
        self.append_after(transaction, head, Owner::Fleet, now, &body)
    }
}

/// The number and the hash of the last row of a chain; zeros before its first row.
fn last(transaction: &Transaction<'_>, owner: Owner) -> rusqlite::Result<(i64, Hash)> {
    let last: Option<(i64, [u8; 32])> = transaction
        .prepare_cached("SELECT seq, hash FROM audit WHERE owner = ?1 ORDER BY seq DESC LIMIT 1")?
        .query_row([owner_key(owner)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(last.map_or((0, Hash::default()), |(seq, hash)| (seq, Hash(hash))))
}

/// The last row before `first_kept` of every chain that goes on behind it. The fleet's chain does at any rate.
fn anchors(transaction: &Transaction<'_>, first_kept: i64) -> rusqlite::Result<Vec<Anchor>> {
    let mut select =
        transaction.prepare_cached("SELECT owner, max(seq) FROM audit WHERE id < ?1 GROUP BY owner")?;
    let last = select.query_map([first_kept], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let last: Vec<(Vec<u8>, i64)> = last.collect::<rusqlite::Result<_>>()?;
    let mut anchors = Vec::new();
    for (key, seq) in last {
        let goes_on: bool = transaction
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM audit WHERE owner = ?1 AND seq > ?2)")?
            .query_row(params![key, seq], |row| row.get(0))?;
        let goes_on = goes_on || key.is_empty();
        let Some(owner) = owner_of(&key).filter(|_| goes_on) else { continue };
        let hash: [u8; 32] = transaction
            .prepare_cached("SELECT hash FROM audit WHERE owner = ?1 AND seq = ?2")?
            .query_row(params![key, seq], |row| row.get(0))?;
        anchors.push(Anchor { owner, seq: u64::try_from(seq).unwrap_or(0), hash: Hash(hash) });
    }
    Ok(anchors)
}

/// The heads of the chains that grew since the last seal, as a process before left them.
fn unsealed(transaction: &Transaction<'_>) -> rusqlite::Result<BTreeMap<Owner, Sealed>> {
    let mut newest_first =
        transaction.prepare("SELECT id, body FROM audit WHERE owner = x'' ORDER BY seq DESC")?;
    let mut rows = newest_first.query([])?;
    let mut sealed = 0;
    while let Some(row) = rows.next()? {
        let body: String = row.get(1)?;
        if matches!(AuditBody::get(Owner::Fleet, At::ZERO, &body), Some(AuditBody::Seal { .. })) {
            sealed = row.get(0)?;
            break;
        }
    }
    let mut later = transaction
        .prepare("SELECT owner, seq, at, hash FROM audit WHERE id > ?1 AND owner <> x'' ORDER BY id")?;
    let mut rows = later.query([sealed])?;
    let mut open = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let Some(owner) = owner_of(&row.get::<_, Vec<u8>>(0)?) else { continue };
        let seq = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        let (at, hash) = (At::from_micros(row.get(2)?), Hash(row.get(3)?));
        open.insert(owner, Sealed { owner, seq, at, hash });
    }
    Ok(open)
}

/// About how many bytes the audit takes: its rows are numbered without gaps, and those of now are like those of before.
pub(in crate::store) fn size(connection: &rusqlite::Connection) -> rusqlite::Result<u64> {
    const SAMPLE: i64 = 64;
    /// A row beside its body: its hash, its columns and its place in the index.
    const BESIDE: i64 = 100;
    let rows: i64 = connection
        .prepare_cached("SELECT ifnull(max(id) - min(id) + 1, 0) FROM audit")?
        .query_row([], |row| row.get(0))?;
    let each: i64 = connection
        .prepare_cached(
            "SELECT CAST(ifnull(avg(octet_length(body)), 0) AS INTEGER) \
             FROM (SELECT body FROM audit ORDER BY id DESC LIMIT ?1)",
        )?
        .query_row([SAMPLE], |row| row.get(0))?;
    Ok(u64::try_from(rows.saturating_mul(each + BESIDE)).unwrap_or(0))
}
