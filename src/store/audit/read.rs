//! Reading the audit, beside its writer or without one.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::AuditRow;
use super::verify::{self, AuditRows};
use crate::domain::audit::Hash;
use crate::domain::audit::page::{AuditEntry, AuditFilter, AuditPage, Head, Verification};
use crate::domain::fact::Owner;
use crate::domain::time::At;
use crate::store::read::{Reader, owner_of};
use crate::store::record::audit::AuditBody;
use crate::store::record::{self, BodyKind};
use crate::store::write::owner_key;
use crate::store::{StoreError, migrate, sql};

/// Rows that are looked at for one page: a filter that fits nothing must not read a year at once.
const LOOKED_AT: usize = 20_000;
/// The maximum number of rows of a page.
const PAGE: usize = 1_000;

const COLUMNS: &str = "id, owner, seq, at, version, body, hash";

fn row_of(row: &Row<'_>) -> rusqlite::Result<Option<AuditRow>> {
    let Some(owner) = owner_of(&row.get::<_, Vec<u8>>(1)?) else { return Ok(None) };
    let number = |column| row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0));
    Ok(Some(AuditRow {
        number: number(0)?,
        owner,
        seq: number(2)?,
        at: row.get(3)?,
        version: row.get(4)?,
        body: row.get(5)?,
        hash: Hash(row.get(6)?),
    }))
}

impl Reader {
    fn has_audit(&self) -> Result<bool, StoreError> {
        Ok(migrate::version(&self.connection, &self.file)? >= migrate::AUDIT)
    }

    /// The records of acts before a number, newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<AuditPage, StoreError> {
        let mut page = AuditPage::default();
        if !self.has_audit()? {
            return Ok(page);
        }
        let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
        let query = format!("SELECT {COLUMNS} FROM audit WHERE id < ?1 ORDER BY id DESC");
        let mut select = self.connection.prepare_cached(&query).map_err(sql(&self.file))?;
        let mut rows = select.query([before]).map_err(sql(&self.file))?;
        let mut looked_at = 0;
        while let Some(row) = rows.next().map_err(sql(&self.file))? {
            let Some(AuditRow { number, owner, seq, at, version, body, hash }) =
                row_of(row).map_err(sql(&self.file))?
            else {
                continue;
            };
            let at = At::from_micros(at);
            if filter.since.is_some_and(|since| at < since) {
                return Ok(page);
            }
            looked_at += 1;
            let body = record::upcast(BodyKind::Audit, version, body);
            if let Some(AuditBody::Act(record)) = AuditBody::get(owner, at, &body)
                && filter.passes(&record)
            {
                page.entries.push(AuditEntry { number, seq, hash, record: *record });
            }
            if page.entries.len() >= limit.min(PAGE) || looked_at >= LOOKED_AT {
                page.next = Some(number);
                return Ok(page);
            }
        }
        Ok(page)
    }

    /// Gives every row to `take`, in the order in which they were written, as they are at one moment; ends early if it
    /// returns false.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn export_audit(&self, take: &mut dyn FnMut(AuditRow) -> bool) -> Result<(), StoreError> {
        if !self.has_audit()? {
            return Ok(());
        }
        let query = format!("SELECT {COLUMNS} FROM audit ORDER BY id");
        let mut select = self.connection.prepare(&query).map_err(sql(&self.file))?;
        let mut rows = select.query([]).map_err(sql(&self.file))?;
        while let Some(row) = rows.next().map_err(sql(&self.file))? {
            if row_of(row).map_err(sql(&self.file))?.is_some_and(|row| !take(row)) {
                break;
            }
        }
        Ok(())
    }

    /// Verifies the chains, as they are at one moment.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn verify_audit(&self, head: Option<Head>) -> Result<Verification, StoreError> {
        if !self.has_audit()? {
            return Ok(Verification::default());
        }
        let moment = self.connection.unchecked_transaction().map_err(sql(&self.file))?;
        verify::verify(&Stored(&moment), head).map_err(sql(&self.file))
    }
}

/// The rows of a journal.
struct Stored<'c>(&'c Connection);

impl AuditRows for Stored<'_> {
    type Error = rusqlite::Error;

    fn each(&self, of: Option<Owner>, take: &mut dyn FnMut(AuditRow) -> bool) -> Result<(), Self::Error> {
        let of = of.map(owner_key);
        let condition = if of.is_some() { "WHERE owner = ?1 " } else { "" };
        let query = format!("SELECT {COLUMNS} FROM audit {condition}ORDER BY owner, seq");
        let mut select = self.0.prepare_cached(&query)?;
        let mut rows = match of {
            Some(key) => select.query([key])?,
            None => select.query([])?,
        };
        while let Some(row) = rows.next()? {
            if row_of(row)?.is_some_and(|row| !take(row)) {
                break;
            }
        }
        Ok(())
    }

    fn hash_of(&self, owner: Owner, seq: u64) -> Result<Option<Hash>, Self::Error> {
        let Ok(seq) = i64::try_from(seq) else { return Ok(None) };
        let mut select = self.0.prepare_cached("SELECT hash FROM audit WHERE owner = ?1 AND seq = ?2")?;
        let hash: Option<[u8; 32]> =
            select.query_row(params![owner_key(owner), seq], |row| row.get(0)).optional()?;
        Ok(hash.map(Hash))
    }
}
